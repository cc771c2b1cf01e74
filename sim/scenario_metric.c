/* The metrics of the language: SCENARIO_METRICS as a table, their names with statistics, and `check --metrics`. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct scenario_metric_info metric_table[SCENARIO_METRIC_KINDS] = {
#define METRIC_ROW(id, name_, of_, type_, unit_, measured_, what_) \
	[SCENARIO_METRIC_##id] = { name_, what_, SCENARIO_OF_##of_, SCENARIO_##type_, SCENARIO_##unit_, measured_ },
	SCENARIO_METRICS(METRIC_ROW)
#undef METRIC_ROW
};

static const char *const statistic_name[SCENARIO_STATISTICS] = { "", "rate", "min", "p50", "p90", "p99", "max", "mean", "count", "never" };

const struct scenario_metric_info *scenario_metric_info(enum scenario_metric metric)
{
	assert(metric < SCENARIO_METRIC_KINDS);
	return &metric_table[metric];
}

enum scenario_metric scenario_metric_find(const char *name, size_t n)
{
	uint32_t i = 0;

	while (i < SCENARIO_METRIC_KINDS && (strlen(metric_table[i].name) != n || memcmp(metric_table[i].name, name, n) != 0)) i++;
	return (enum scenario_metric)i;
}

bool scenario_is_metric(struct scenario_spot spot, enum scenario_metric *metric, enum scenario_statistic *statistic)
{
	uint32_t dot = spot.p == NULL ? 0 : spot.n;

	if (spot.p == NULL) return false;
	*statistic = SCENARIO_VALUE;
	*metric = scenario_metric_find(spot.p, spot.n);
	if (*metric != SCENARIO_METRIC_KINDS) return true;
	while (dot > 0 && spot.p[dot - 1] != '.') dot--;
	if (dot == 0) return false;
	*metric = scenario_metric_find(spot.p, dot - 1);
	for (uint32_t i = SCENARIO_PER_SECOND; i < SCENARIO_STATISTICS; i++) {
		if (scenario_spot_is(scenario_part_of(spot, dot, spot.n - dot), statistic_name[i])) *statistic = (enum scenario_statistic)i;
	}
	return *metric != SCENARIO_METRIC_KINDS && *statistic != SCENARIO_VALUE;
}

size_t scenario_print_metrics(char *out, size_t cap)
{
	static const char *const chapter[SCENARIO_OF_KINDS] = { "client", "pair", "node", "host", "mesh", "packet", "drop", "frame", "time" };
	static const char *const type[] = { "count", "counter", "share", "times" };
	size_t n = 0;

	for (uint32_t i = 0; i < SCENARIO_METRIC_KINDS; i++) {
		const struct scenario_metric_info *m = &metric_table[i];
		bool first = i == 0 || m->of != metric_table[i - 1].of;
		int more = snprintf(n < cap ? out + n : NULL, n < cap ? cap - n : 0, "%-8s%-28s%-9s%s%s\n", first ? chapter[m->of] : "", m->name,
		                    type[m->type], m->what, m->measured ? "" : " (not measured yet)");
		assert(more > 0);
		n += (size_t)more;
	}
	n += (size_t)snprintf(
		n < cap ? out + n : NULL, n < cap ? cap - n : 0,
		"times need .min .p50 .p90 .p99 .max .mean .count or .never; a counter may take .rate, its growth in the last second\n");
	return n;
}
