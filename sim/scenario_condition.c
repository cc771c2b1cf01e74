/* Conditions: metric ["of" set] ["since" event] ["per" KIND] ( OP VALUE | "between" VALUE "and" VALUE ). */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BIT(per) (1u << SCENARIO_PER_##per)

/* Whose values a chapter has, and by what they can be told apart. */
static const struct {
	unsigned of, per;
} chapter[SCENARIO_OF_KINDS] = {
	[SCENARIO_OF_CLIENT] = { SCENARIO_IS_CLIENTS, BIT(TAILNET) | BIT(CLIENT) },
	[SCENARIO_OF_PAIR] = { SCENARIO_IS_CLIENTS, BIT(TAILNET) | BIT(CLIENT) | BIT(PAIR) },
	[SCENARIO_OF_NODE] = { SCENARIO_IS_NODES, BIT(NODE) | BIT(REGION) },
	[SCENARIO_OF_HOST] = { SCENARIO_IS_NODES, BIT(NODE) | BIT(REGION) },
	[SCENARIO_OF_MESH] = { SCENARIO_IS_NODES, BIT(NODE) | BIT(REGION) },
	[SCENARIO_OF_PACKET] = { SCENARIO_IS_NODES | SCENARIO_IS_CLIENTS, BIT(NODE) | BIT(REGION) | BIT(TAILNET) | BIT(CLIENT) },
	[SCENARIO_OF_DROP] = { SCENARIO_IS_NODES, BIT(NODE) | BIT(REGION) },
	[SCENARIO_OF_FRAME] = { SCENARIO_IS_NODES, BIT(NODE) | BIT(REGION) },
	[SCENARIO_OF_TIME] = { SCENARIO_IS_NODES | SCENARIO_IS_CLIENTS, BIT(NODE) | BIT(REGION) | BIT(TAILNET) | BIT(CLIENT) | BIT(PAIR) },
};

static const char statistics[] = ".min .p50 .p90 .p99 .max .mean .count or .never";

/* ---- metrics ---- */

static bool unknown_metric(struct scenario_reader *r, struct scenario_spot spot)
{
	struct scenario_guess guess;
	uint32_t dot = spot.n;
	enum scenario_metric base;

	for (uint32_t i = 0; i < spot.n; i++) {
		if (strchr("<>=!", spot.p[i]) != NULL) return scenario_complain(r->p, r->st, spot, "expected a metric, a blank and a comparison.");
	}
	while (dot > 0 && spot.p[dot - 1] != '.') dot--;
	base = dot == 0 ? SCENARIO_METRIC_KINDS : scenario_metric_find(spot.p, dot - 1);
	if (base != SCENARIO_METRIC_KINDS) {
		const struct scenario_metric_info *info = scenario_metric_info(base);
		if (info->type == SCENARIO_DISTRIBUTION)
			return scenario_complain(r->p, r->st, spot, "expected %s with one of %s.", info->name, statistics);
	}
	guess = scenario_guess_begin(r->p, spot);
	for (uint32_t i = 0; i < SCENARIO_METRIC_KINDS; i++) scenario_guess_offer(&guess, scenario_metric_info((enum scenario_metric)i)->name);
	if (guess.best == NULL && dot > 1) {
		guess = scenario_guess_begin(r->p, scenario_part_of(spot, 0, dot - 1)); /* perhaps there is a statistic behind it */
		for (uint32_t i = 0; i < SCENARIO_METRIC_KINDS; i++)
			scenario_guess_offer(&guess, scenario_metric_info((enum scenario_metric)i)->name);
	}
	return scenario_complain(r->p, r->st, spot, "expected a metric.%s All of them: derpsim check --metrics", scenario_guess_text(r->p, &guess));
}

static bool read_metric(struct scenario_reader *r, struct scenario_condition *c)
{
	struct scenario_spot spot = scenario_peek(r);
	const struct scenario_metric_info *info;

	if (spot.p == NULL) return scenario_complain(r->p, r->st, spot, "expected a metric or nothing. All of them: derpsim check --metrics");
	if (!scenario_is_metric(spot, &c->metric, &c->statistic)) return unknown_metric(r, spot);
	scenario_skip(r, spot);
	info = scenario_metric_info(c->metric);
	if (info->type == SCENARIO_DISTRIBUTION && c->statistic <= SCENARIO_PER_SECOND) {
		return scenario_complain(r->p, r->st, spot, "expected %s with one of %s.", info->name, statistics);
	}
	if (info->type == SCENARIO_COUNTER && c->statistic > SCENARIO_PER_SECOND) {
		return scenario_complain(r->p, r->st, spot, "expected %s or %s.rate.", info->name, info->name);
	}
	if (info->type != SCENARIO_DISTRIBUTION && info->type != SCENARIO_COUNTER && c->statistic != SCENARIO_VALUE) {
		return scenario_complain(r->p, r->st, spot, "expected %s alone.", info->name);
	}
	if (!info->measured) {
		scenario_complain(r->p, r->st, spot, "a metric that is not measured yet, expected one that is. All of them: derpsim check --metrics");
	}
	return true;
}

/* ---- of, since, per ---- */

static bool read_of(struct scenario_reader *r, struct scenario_condition *c)
{
	static const char *const what[] = { "a set", "nodes", "clients", "nodes or clients" };
	unsigned may = chapter[scenario_metric_info(c->metric)->of].of;

	if (c->metric == SCENARIO_METRIC_HOMES) may |= SCENARIO_IS_NODES;
	return !scenario_accept(r, "of") || scenario_read_set(r, may, what[may & 3], &c->of);
}

static bool read_since(struct scenario_reader *r, struct scenario_condition *c)
{
	struct scenario_spot spot = scenario_peek(r);
	enum scenario_metric_type type = scenario_metric_info(c->metric)->type;

	if (!scenario_accept(r, "since")) return true;
	c->has_since = true;
	if (type != SCENARIO_COUNTER && type != SCENARIO_DISTRIBUTION) {
		scenario_complain(r->p, r->st, spot, "expected a comparison: %s is what it is at a moment.", scenario_metric_info(c->metric)->name);
	}
	return scenario_read_event(r, &c->since);
}

static bool read_per(struct scenario_reader *r, struct scenario_condition *c)
{
	static const struct scenario_word table[] = { { "", 0, 0 },        { "node", 1, 0 },   { "region", 1, 0 },
		                                      { "tailnet", 1, 0 }, { "client", 1, 0 }, { "pair", 1, 0 } };
	unsigned may = chapter[scenario_metric_info(c->metric)->of].per;
	struct scenario_spot spot;
	char list[80] = "";
	uint32_t found, errors, listed = 0;
	bool bad = false;

	if (!scenario_accept(r, "per")) return true;
	spot = scenario_peek(r);
	if (c->metric == SCENARIO_METRIC_HOMES) may |= BIT(NODE) | BIT(REGION);
	errors = r->st->errors;
	found = scenario_read_word(r->p, r->st, spot, table, SCENARIO_PER_PAIR + 1, "what it is told apart by", &bad);
	if (spot.p != NULL) scenario_skip(r, spot);
	if (r->st->errors != errors) return spot.p != NULL;
	c->per = (enum scenario_per)found;
	if ((may & 1u << found) != 0) return true;
	for (uint32_t i = 1; i <= SCENARIO_PER_PAIR; i++) {
		if ((may & 1u << i) != 0) scenario_list_add(list, sizeof list, &listed, table[i].name);
	}
	scenario_complain(r->p, r->st, spot, "expected what %s is told apart by: %s.", scenario_metric_info(c->metric)->name, list);
	return true;
}

/* ---- comparing ---- */

/* The unit of what is compared; *share: % is fine too. */
static enum scenario_unit unit_of(const struct scenario_condition *c, bool *share)
{
	const struct scenario_metric_info *info = scenario_metric_info(c->metric);

	*share = info->type == SCENARIO_GAUGE || c->statistic == SCENARIO_LOST;
	if (info->type == SCENARIO_RATIO) return SCENARIO_SHARE;
	if (c->statistic == SCENARIO_PER_SECOND) return SCENARIO_PACE;
	if (info->type == SCENARIO_DISTRIBUTION && (c->statistic == SCENARIO_SAMPLES || c->statistic == SCENARIO_LOST)) return SCENARIO_COUNT;
	return info->unit;
}

static bool read_value(struct scenario_reader *r, struct scenario_condition *c, uint64_t *out)
{
	static const uint64_t most[SCENARIO_UNITS] = {
		[SCENARIO_COUNT] = UINT64_C(1000000000000000),       [SCENARIO_TIME] = SCENARIO_TIME_MAX,
		[SCENARIO_RATE] = UINT64_C(1000000000000000),        [SCENARIO_SIZE] = UINT64_C(1000000000000000),
		[SCENARIO_PACE] = UINT64_C(3600000000) * 1000000000, [SCENARIO_SHARE] = SCENARIO_SHARE_ALL * 1000,
	};
	struct scenario_spot spot = scenario_peek(r);
	bool share;
	enum scenario_unit unit = unit_of(c, &share);
	char where[80];
	struct scenario_want want = { .where = where };
	struct scenario_amount amount;

	if (share && spot.p != NULL && spot.n > 0 && spot.p[spot.n - 1] == '%') unit = SCENARIO_SHARE;
	snprintf(where, sizeof where, "for %s", scenario_metric_info(c->metric)->name);
	want.unit = unit;
	want.hi = most[unit];
	assert(want.hi > 0);
	if (!scenario_read_amount(r->p, r->st, spot, &want, &amount)) return false;
	assert(amount.lo == amount.hi);
	scenario_skip(r, spot);
	c->unit = unit;
	*out = amount.lo;
	return true;
}

static bool read_between(struct scenario_reader *r, struct scenario_condition *c)
{
	enum scenario_unit unit;
	struct scenario_spot second;

	c->op = SCENARIO_BETWEEN;
	if (!read_value(r, c, &c->low) || !scenario_need(r, "and")) return false;
	unit = c->unit;
	second = scenario_peek(r);
	if (!read_value(r, c, &c->high)) return false;
	if (c->unit != unit) return scenario_complain(r->p, r->st, second, "expected the same unit as between has.");
	return c->low <= c->high || scenario_complain(r->p, r->st, second, "expected no less than behind between.");
}

static bool read_comparison(struct scenario_reader *r, struct scenario_condition *c)
{
	static const char *const op[] = { "==", "!=", "<", "<=", ">", ">=" };
	struct scenario_spot spot = scenario_peek(r);

	if (scenario_accept(r, "between")) return read_between(r, c);
	for (uint32_t i = 0; i < sizeof op / sizeof *op; i++) {
		if (!scenario_accept(r, op[i])) continue;
		c->op = (enum scenario_op)i;
		if (!read_value(r, c, &c->low)) return false;
		c->high = c->low;
		return true;
	}
	return scenario_complain(r->p, r->st, spot, "expected a comparison: == != < <= > >= or between.%s",
	                         scenario_spot_is(spot, "=")    ? " Did you mean ==?"
	                         : scenario_spot_is(spot, "=>") ? " Did you mean >=?"
	                         : scenario_spot_is(spot, "=<") ? " Did you mean <=?"
	                                                        : "");
}

bool scenario_read_condition(struct scenario_reader *r, struct scenario_condition *out)
{
	struct scenario_condition c = { 0 };

	if (!read_metric(r, &c) || !read_of(r, &c) || !read_since(r, &c) || !read_per(r, &c) || !read_comparison(r, &c)) return false;
	*out = c;
	return true;
}
