/* What only the whole file can tell: is somebody there, does what returns go first, is the run long enough, and when does it end. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>

enum { REST_S = 60 };

static struct scenario_stmt *stmt_of(struct scenario_parse *p, const struct scenario_line *line)
{
	uint32_t lo = 0, hi = p->stmts;

	while (lo < hi) { /* in the order of their sequence, but for those of --set, which are no acts and expects */
		uint32_t mid = lo + (hi - lo) / 2;
		if (p->stmt[mid].line.sequence != 0 && p->stmt[mid].line.sequence < line->sequence)
			lo = mid + 1;
		else
			hi = mid;
	}
	assert(lo < p->stmts);
	assert(p->stmt[lo].line.sequence == line->sequence);
	return &p->stmt[lo];
}

static void check_world(struct scenario_parse *p)
{
	if (p->any_name) return;
	if (p->once[SCENARIO_S_REGION] == NULL && p->s->map == NULL)
		scenario_say(p, NULL, 0, "found no region, expected one: region fra nodes=3 city=frankfurt");
	if (p->once[SCENARIO_S_TAILNET] == NULL)
		scenario_say(p, NULL, 0, "found no tailnet, expected one: tailnet acme x200 clients=5 spread=europe");
}

/* ---- what returns must have gone ---- */

static bool goes_first(const struct scenario *s, const struct scenario_act *back)
{
	for (uint32_t i = 0; i < s->acts; i++) {
		const struct scenario_act *gone = &s->act[i];
		bool is = back->verb == SCENARIO_JOIN ? gone->verb == SCENARIO_LEAVE : scenario_verb_is(gone->verb, SCENARIO_CRASH);

		if (is && gone->at.lo <= back->at.hi && scenario_sets_meet(&gone->path.from, &back->path.from)) return true;
	}
	return false;
}

static void check_return(struct scenario_parse *p, const struct scenario_act *act)
{
	struct scenario_stmt *st = stmt_of(p, &act->line);
	bool join = act->verb == SCENARIO_JOIN;
	const struct scenario_token *verb = &st->token[2];

	if (st->errors > 0 || p->any_event || act->down.unit != SCENARIO_NONE || goes_first(p->s, act)) return;
	if (join)
		scenario_complain(p, st, scenario_spot_of(verb), "expected a leave of these clients before.");
	else
		scenario_complain(p, st, scenario_spot_of(verb), "expected a crash of these nodes before, or down= to crash them now.");
}

/* ---- the end ---- */

static void print_end(const struct scenario *s, char *out, size_t cap)
{
	char time[64];

	scenario_print_value(SCENARIO_TIME, s->until.hi, time, sizeof time);
	if (s->until_line.file == s->file[0].name)
		snprintf(out, cap, "%s (line %u)", time, s->until_line.line);
	else
		snprintf(out, cap, "%s (%.80s:%u)", time, s->until_line.file, s->until_line.line);
}

/* Is what begins at `at` still before the end that was given? */
static void check_end(struct scenario_parse *p, const struct scenario_line *line, uint64_t at, bool window)
{
	struct scenario_stmt *st = stmt_of(p, line);
	char end[160];

	if (!p->s->until_given || st->errors > 0 || at < p->s->until.hi || (window && at == p->s->until.hi)) return;
	print_end(p->s, end, sizeof end);
	scenario_complain(p, st, scenario_spot_of(&st->token[window ? 2 : 1]), "expected %s before the end of the run, %s.",
	                  window ? "a window that is over" : "a time", end);
}

static void later(uint64_t *last, uint64_t at)
{
	if (at > *last) *last = at;
}

static uint64_t check_acts(struct scenario_parse *p)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < p->s->acts; i++) {
		const struct scenario_act *act = &p->s->act[i];
		struct scenario_event event = { .kind = SCENARIO_ON_ACT, .act = i };
		uint64_t from, to;

		if (act->verb == SCENARIO_RESTART || act->verb == SCENARIO_JOIN) check_return(p, act);
		check_end(p, &act->line, act->at.lo, false);
		if (scenario_event_when(p->s, &event, &from, &to)) later(&last, to);
	}
	return last;
}

static uint64_t check_expects(struct scenario_parse *p)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < p->s->expects; i++) {
		const struct scenario_expect *e = &p->s->expect[i];
		uint64_t from = 0, to = 0;

		if (e->when != SCENARIO_AT && e->when != SCENARIO_WITHIN && e->when != SCENARIO_FROM) continue;
		if (e->when != SCENARIO_AT && !scenario_event_when(p->s, &e->event, &from, &to)) continue;
		check_end(p, &e->line, scenario_add(from, e->time), true);
		later(&last, scenario_add(to, e->time));
	}
	return last;
}

void scenario_check(struct scenario_parse *p)
{
	struct scenario *s = p->s;
	uint64_t last = 0;

	check_world(p);
	for (uint32_t i = 0; i < s->loads; i++) later(&last, s->load[i].till.unit == SCENARIO_NONE ? s->load[i].begin.hi : s->load[i].till.hi);
	later(&last, check_acts(p));
	later(&last, check_expects(p));
	assert(!s->until_given || s->until.hi > 0);
	if (s->until_given) return;
	last = scenario_add(last, REST_S * UINT64_C(1000000000));
	if (last > SCENARIO_TIME_MAX) {
		scenario_say(p, NULL, 0, "found what lasts longer than 10000h, expected until TIME, or shorter times.");
		last = SCENARIO_TIME_MAX;
	}
	s->until = (struct scenario_amount){ SCENARIO_TIME, last, last };
}
