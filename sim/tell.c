/* Printing. */
#include "tell.h"

#include "record.h"

#include "../ref/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 1024, VALUE = 48, DRAWS_SHOWN = 20 };

void tell_text(const struct tell *t, const char *format, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	assert(n >= 0);
	t->write(t->ctx, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static const char *value_of(enum scenario_unit unit, uint64_t v, char out[VALUE])
{
	story_print_value(unit, v, out, VALUE);
	return out;
}

/* ---- header ---- */

/* As one could have written it; many as what they are like. */
static void tell_draw(const struct tell *t, const struct story_draw *d)
{
	char a[VALUE], b[VALUE], c[VALUE];

	if (d->unit == SCENARIO_NONE) {
		for (uint32_t i = 0; i < d->values.n && i < DRAWS_SHOWN; i++) tell_text(t, "# drawn: line %u, %s %s\n", d->line, d->word, d->name[i]);
		if (d->values.n > DRAWS_SHOWN) tell_text(t, "# drawn: line %u, %llu in all\n", d->line, (unsigned long long)d->values.n);
		return;
	}
	if (d->values.n > DRAWS_SHOWN) {
		tell_text(t, "# drawn: line %u, %s %s=: %llu values, min %s, median %s, max %s\n", d->line, d->word, d->key,
		          (unsigned long long)d->values.n, value_of(d->unit, d->values.min, a), value_of(d->unit, dist_quantile(&d->values, 500), b),
		          value_of(d->unit, d->values.max, c));
		return;
	}
	for (uint32_t i = 0; i < d->values.n; i++) {
		story_print_exact(d->unit, d->value[i], a, sizeof a);
		tell_text(t, "# drawn: line %u, %s %s=%s\n", d->line, d->name[i], d->key, a);
	}
}

static void tell_draws(const struct tell *t, const struct story *st, bool late)
{
	for (uint32_t i = 0; i < story_draws(st); i++)
		if (story_draw(st, i)->late == late) tell_draw(t, story_draw(st, i));
}

void tell_header(const struct tell *t, const struct scenario *sc, const struct story *st, uint64_t seed, const char *build)
{
	char until[VALUE];

	tell_text(t, "%s\n", sc->title[0] != 0 ? sc->title : sc->file[0].name);
	tell_text(t, "%s  seed %llu  %s\n", sc->file[0].name, (unsigned long long)seed, build);
	tell_text(t, "%u nodes, %u clients in %u tailnets, %s of virtual time\n", story_nodes(st), story_clients(st), story_tailnets(st),
	          value_of(SCENARIO_TIME, story_until(st), until));
	for (uint32_t i = 0; i < sc->lets; i++)
		if (sc->let[i].set) tell_text(t, "# set: %s=%s\n", sc->let[i].name, sc->let[i].value);
	for (uint32_t i = 0; i < sc->varies; i++)
		tell_text(t, "# vary: %s=%s, %s of %u values\n", sc->vary[i].name, sc->vary[i].chosen, sc->vary[i].set ? "as set," : "the first",
		          sc->vary[i].values);
	tell_draws(t, st, false);
}

/* ---- result ---- */

static void tell_dist(const struct tell *t, const char *who, const struct dist *d)
{
	static const uint32_t quantile[] = { 500, 900, 990 };
	char text[VALUE];

	tell_text(t, "  %-10s %7llu", who, (unsigned long long)(d->n + d->never));
	for (size_t i = 0; i < 3; i++)
		tell_text(t, " %10s", d->n + d->never == 0 ? "-" : value_of(SCENARIO_TIME, dist_quantile(d, quantile[i]), text));
	tell_text(t, " %10s", d->n + d->never == 0 ? "-" : value_of(SCENARIO_TIME, d->never > 0 ? DIST_NEVER : d->max, text));
	tell_text(t, " %8llu\n", (unsigned long long)d->never);
}

static const char *verdict_of(const struct story_expect *e)
{
	if (e->verdict == STORY_OK) return "ok    ";
	return e->def->goal ? "goal  " : "MISSED";
}

void tell_result(const struct tell *t, const struct scenario *sc, const struct story *st)
{
	uint32_t missed = 0, shown = story_findings(st) < STORY_FINDINGS_MAX ? story_findings(st) : STORY_FINDINGS_MAX;
	char at[VALUE];

	(void)sc;
	tell_draws(t, st, true);
	for (uint32_t i = 0; i < story_expects(st); i++) {
		const struct story_expect *e = story_expect(st, i);
		missed += e->verdict != STORY_OK && !e->def->goal;
		tell_text(t, "%s %-62s %s\n", verdict_of(e), e->def->line.text, e->measured);
	}
	for (uint32_t i = 0; i < shown && i < 10; i++) {
		const struct story_finding *f = story_finding(st, i);
		tell_text(t, "FOUND  %s at %s: %s\n", f->rule, value_of(SCENARIO_TIME, f->at, at), f->text);
	}
	if (story_findings(st) > 10) tell_text(t, "FOUND  and %u more\n", story_findings(st) - 10);
	tell_text(t, "failover    %8s %10s %10s %10s %10s %8s\n", "n", "p50", "p90", "p99", "max", "never");
	tell_dist(t, "client", story_failover_clients(st));
	tell_dist(t, "pair", story_failover_pairs(st));
	if (story_failover_later(st)->n + story_failover_later(st)->never > 0) {
		tell_dist(t, " first", story_failover_first(st));
		tell_dist(t, " later", story_failover_later(st));
		tell_text(t, "  pair later: its first packet was lost, and the time goes on until another that it sends arrives\n");
	}
	if (story_good(st))
		tell_text(t, "good: %u expectations, %llu machine events\n", story_expects(st), (unsigned long long)story_events(st));
	else
		tell_text(t, "not good: %u of %u expectations missed, %u findings\n", missed, story_expects(st), story_findings(st));
}

void tell_digest(const struct tell *t, const struct story *st)
{
	char text[33];

	record_digest_text(story_digest(st), text);
	tell_text(t, "digest %s\n", text);
}

/* ---- JSON ---- */

static void put_text(struct json_writer *w, const char *name, const char *s)
{
	json_name(w, name);
	json_put_string(w, s, strlen(s));
}

static void put_number(struct json_writer *w, const char *name, uint64_t v)
{
	json_name(w, name);
	if (v == DIST_NEVER)
		json_put_null(w);
	else
		json_put_u64(w, v);
}

static void put_dist(struct json_writer *w, const char *who, const struct dist *d)
{
	json_name(w, who);
	json_open(w, '{');
	put_number(w, "n", d->n + d->never);
	put_number(w, "never", d->never);
	put_number(w, "p50_ns", dist_quantile(d, 500));
	put_number(w, "p90_ns", dist_quantile(d, 900));
	put_number(w, "p99_ns", dist_quantile(d, 990));
	put_number(w, "max_ns", d->never > 0 || d->n == 0 ? DIST_NEVER : d->max);
	json_close(w, '}');
}

static void put_expects(struct json_writer *w, const struct story *st)
{
	json_name(w, "expects");
	json_open(w, '[');
	for (uint32_t i = 0; i < story_expects(st); i++) {
		const struct story_expect *e = story_expect(st, i);
		json_open(w, '{');
		put_number(w, "line", e->def->line.line);
		put_text(w, "text", e->def->line.text);
		put_text(w, "measured", e->measured);
		json_name(w, "ok");
		json_put_bool(w, e->verdict == STORY_OK);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void put_findings(struct json_writer *w, const struct story *st)
{
	json_name(w, "findings");
	json_open(w, '[');
	for (uint32_t i = 0; i < story_findings(st) && i < STORY_FINDINGS_MAX; i++) {
		const struct story_finding *f = story_finding(st, i);
		json_open(w, '{');
		put_number(w, "t_ns", f->at);
		put_text(w, "rule", f->rule);
		put_text(w, "text", f->text);
		json_close(w, '}');
	}
	json_close(w, ']');
}

void tell_json(const struct tell *t, const struct scenario *sc, const struct story *st, uint64_t seed, const char *build)
{
	struct json_writer w;
	char digest[33];

	record_digest_text(story_digest(st), digest);
	json_writer_init(&w);
	json_open(&w, '{');
	put_number(&w, "schema", 1);
	put_text(&w, "scenario", sc->file[0].name);
	json_name(&w, "seed");
	json_put_u64(&w, seed);
	put_text(&w, "build", build);
	put_text(&w, "digest", digest);
	put_number(&w, "events", story_events(st));
	put_number(&w, "virtual_ns", story_now(st));
	put_text(&w, "verdict", story_good(st) ? "good" : "finding");
	put_expects(&w, st);
	put_findings(&w, st);
	json_name(&w, "failover");
	json_open(&w, '{');
	put_dist(&w, "client", story_failover_clients(st));
	put_dist(&w, "pair", story_failover_pairs(st));
	json_close(&w, '}');
	json_close(&w, '}');
	t->write(t->ctx, w.p, w.n);
	t->write(t->ctx, "\n", 1);
	json_writer_free(&w);
}
