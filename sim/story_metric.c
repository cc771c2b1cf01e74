/* What is measured, of whom, in which unit. Gauges that cost a walk over clients are walked only where a set or `per` asks for it. */
#include "story_core.h"

#include "../ref/buf.h"
#include "geo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sets ---- */

static bool part_has_client(const struct story *st, const struct scenario_part *p, uint32_t client)
{
	const struct story_client *c = &st->client[client];
	const struct story_tailnet *t = &st->tailnet[c->tailnet];

	switch (p->base) {
	case SCENARIO_ALL:
	case SCENARIO_CLIENTS: return true;
	case SCENARIO_CLIENTS_ON:
		return c->ready && c->node != NOBODY && st->node[c->node].region == p->name && (p->index == 0 || st->node[c->node].index == p->index);
	case SCENARIO_CLIENTS_IN: return strcmp(geo_city(c->place.city)->name, p->city) == 0;
	case SCENARIO_CLIENTS_HOMED: return c->region == p->name;
	case SCENARIO_CLIENTS_AWAY: return c->away;
	case SCENARIO_TAILNET: return t->def_index == p->name && (p->index == 0 || t->copy == p->index) && (p->client == 0 || c->index == p->client);
	default: return false;
	}
}

static bool part_has_node(const struct story *st, const struct scenario_part *p, uint32_t node)
{
	const struct story_node *n = &st->node[node];

	return p->base == SCENARIO_ALL || (p->base == SCENARIO_NODES && n->region == p->name && (p->index == 0 || n->index == p->index));
}

bool set_has_client(const struct story *st, const struct scenario_set *set, uint32_t client)
{
	bool in = set->parts == 0;

	for (uint32_t i = 0; i < set->parts; i++)
		if (part_has_client(st, &set->part[i], client)) in = !set->part[i].but;
	return in;
}

bool set_has_node(const struct story *st, const struct scenario_set *set, uint32_t node)
{
	bool in = set->parts == 0;

	for (uint32_t i = 0; i < set->parts; i++)
		if (part_has_node(st, &set->part[i], node)) in = !set->part[i].but;
	return in;
}

/* ---- values ---- */

static bool client_counts(const struct story *st, enum scenario_metric metric, uint32_t client)
{
	const struct story_client *c = &st->client[client];

	switch (metric) {
	case SCENARIO_METRIC_CLIENTS_CONNECTED: return c->alive;
	case SCENARIO_METRIC_CLIENTS_ZOMBIE: return c->ready && !c->alive;
	case SCENARIO_METRIC_CLIENTS_AWAY: return c->away;
	default: return false;
	}
}

static uint64_t client_value(const struct story *st, enum scenario_metric metric, uint32_t client)
{
	const struct story_client *c = &st->client[client];

	if (metric == SCENARIO_METRIC_RECONNECTS) return c->logins > 0 ? c->logins - 1 : 0;
	return client_counts(st, metric, client);
}

static uint64_t clients_value(const struct story *st, enum scenario_metric metric)
{
	switch (metric) {
	case SCENARIO_METRIC_CLIENTS_CONNECTED: return st->connected;
	case SCENARIO_METRIC_CLIENTS_ZOMBIE: return st->zombies;
	case SCENARIO_METRIC_CLIENTS_AWAY: return st->away;
	default: return st->reconnects;
	}
}

static uint64_t node_value(const struct story *st, enum scenario_metric metric, uint32_t node)
{
	const struct story_node *n = &st->node[node];

	switch (metric) {
	case SCENARIO_METRIC_CONNS: return n->conns;
	case SCENARIO_METRIC_MESH_LINKS: return truth_links(st, node);
	case SCENARIO_METRIC_FORWARDED: return n->forwarded;
	default: assert(false && "not a metric of nodes"); return 0;
	}
}

static uint64_t packets_value(const struct story *st, enum scenario_metric metric)
{
	const struct ledger *l = st->ledger;
	uint64_t crash = ledger_ended(l, LEDGER_LOST_CRASH), link = ledger_ended(l, LEDGER_LOST_FORWARD),
		 stream = ledger_ended(l, LEDGER_LOST_STREAM);

	switch (metric) {
	case SCENARIO_METRIC_PACKETS_SENT: return ledger_sent(l);
	case SCENARIO_METRIC_PACKETS_DELIVERED: return ledger_ended(l, LEDGER_DELIVERED);
	case SCENARIO_METRIC_PACKETS_LOST: return crash + link + stream;
	case SCENARIO_METRIC_PACKETS_LOST_CRASH: return crash;
	case SCENARIO_METRIC_PACKETS_LOST_FORWARDING: return link;
	case SCENARIO_METRIC_PACKETS_LOST_STREAM: return stream;
	case SCENARIO_METRIC_BYTES_SENT: return ledger_sent_bytes(l);
	case SCENARIO_METRIC_BYTES_DELIVERED: return ledger_delivered_bytes(l);
	case SCENARIO_METRIC_FORWARDED_SHARE:
		return st->delivered == 0 ? 0 : (uint64_t)((unsigned __int128)st->forwarded_delivered * SCENARIO_SHARE_ALL / st->delivered);
	default: assert(false && "a metric that is measured"); return 0;
	}
}

static const struct dist *dist_of(const struct story *st, enum scenario_metric metric)
{
	return metric == SCENARIO_METRIC_FAILOVER_PAIR ? &st->failover_pair : &st->failover_client;
}

static bool is_drop(enum scenario_metric m) { return m >= SCENARIO_METRIC_DROPS && m <= SCENARIO_METRIC_DROPS_DUP_CLIENT; }

static uint64_t drops_value(const struct story *st, enum scenario_metric metric)
{
	uint64_t all = 0;

	for (int i = 0; i < DROP_REASONS; i++) all += st->drops[i];
	return metric == SCENARIO_METRIC_DROPS ? all : st->drops[metric - SCENARIO_METRIC_DROPS_UNKNOWN_DEST];
}

static enum scenario_metric_of chapter(enum scenario_metric m)
{
	return m == SCENARIO_METRIC_FORWARDED_SHARE ? SCENARIO_OF_PACKET : scenario_metric_info(m)->of;
}

/* ---- judging ---- */

uint32_t metric_dirt(enum scenario_metric metric)
{
	switch (chapter(metric)) {
	case SCENARIO_OF_CLIENT:
	case SCENARIO_OF_NODE: return DIRT_CLIENTS;
	case SCENARIO_OF_MESH: return metric == SCENARIO_METRIC_FORWARDED ? DIRT_PACKETS : DIRT_MESH;
	case SCENARIO_OF_PAIR: return DIRT_FAILOVER;
	default: return DIRT_PACKETS;
	}
}

bool metric_holds(const struct scenario_condition *c, uint64_t value)
{
	switch (c->op) {
	case SCENARIO_EQ: return value == c->low;
	case SCENARIO_NE: return value != c->low;
	case SCENARIO_LT: return value < c->low;
	case SCENARIO_LE: return value <= c->low;
	case SCENARIO_GT: return value > c->low;
	case SCENARIO_GE: return value >= c->low;
	case SCENARIO_BETWEEN: return value >= c->low && value <= c->high;
	}
	return false;
}

static uint64_t distance(const struct scenario_condition *c, uint64_t v)
{
	if (v < c->low) return c->low - v;
	return v > c->high ? v - c->high : 0;
}

bool metric_worse(const struct scenario_condition *c, uint64_t a, uint64_t b)
{
	switch (c->op) {
	case SCENARIO_LT:
	case SCENARIO_LE: return a > b;
	case SCENARIO_GT:
	case SCENARIO_GE: return a < b;
	default: return distance(c, a) > distance(c, b);
	}
}

static uint64_t share_of(uint64_t value, uint64_t whole)
{
	if (whole == 0) return value == 0 ? SCENARIO_SHARE_ALL : SCENARIO_NEVER;
	return (uint64_t)((unsigned __int128)value * SCENARIO_SHARE_ALL / whole);
}

/* What one hundred per cent of a node's metric is: before the first line of the timeline. */
static uint64_t node_start(const struct story *st, enum scenario_metric metric, uint32_t node)
{
	return metric == SCENARIO_METRIC_MESH_LINKS ? st->node[node].links_start : st->node[node].conns_start;
}

static bool in_percent(const struct scenario_condition *c)
{
	return c->unit == SCENARIO_SHARE && scenario_metric_info(c->metric)->unit != SCENARIO_SHARE;
}

static bool of_node(const struct scenario_condition *c)
{
	return c->metric == SCENARIO_METRIC_CONNS || c->metric == SCENARIO_METRIC_MESH_LINKS || c->metric == SCENARIO_METRIC_FORWARDED;
}

static bool measure_nodes(const struct story *st, const struct scenario_condition *c, uint64_t *out)
{
	uint64_t value = 0, start = 0;
	bool any = false;

	if (in_percent(c) && !st->begun) return false; /* there is no start yet */
	for (uint32_t i = 0; i < st->nodes; i++) {
		uint64_t v = node_value(st, c->metric, i);
		if (!set_has_node(st, &c->of, i)) continue;
		if (c->per == SCENARIO_PER_NODE) {
			if (in_percent(c)) v = share_of(v, node_start(st, c->metric, i));
			if (!any || metric_worse(c, v, value)) value = v;
		} else {
			value += v;
			start += node_start(st, c->metric, i);
		}
		any = true;
	}
	*out = in_percent(c) && c->per != SCENARIO_PER_NODE ? share_of(value, start) : value;
	return any;
}

static bool measure_clients(const struct story *st, const struct scenario_condition *c, uint64_t *out)
{
	uint64_t value = 0, all = 0;

	if (c->of.parts == 0) {
		*out = in_percent(c) ? share_of(clients_value(st, c->metric), st->clients) : clients_value(st, c->metric);
		return st->clients > 0;
	}
	for (uint32_t i = 0; i < st->clients; i++) {
		if (!set_has_client(st, &c->of, i)) continue;
		all++;
		value += client_value(st, c->metric, i);
	}
	*out = in_percent(c) ? share_of(value, all) : value;
	return all > 0;
}

static bool measure_dist(const struct story *st, const struct scenario_condition *c, uint64_t *out)
{
	static const uint32_t per_mille[SCENARIO_STATISTICS] = { [SCENARIO_P50] = 500, [SCENARIO_P90] = 900, [SCENARIO_P99] = 990 };
	const struct dist *d = dist_of(st, c->metric);

	if (c->statistic == SCENARIO_LOST) {
		*out = c->unit == SCENARIO_SHARE ? share_of(d->never, d->n + d->never) : d->never;
		return d->n + d->never > 0;
	}
	if (c->statistic == SCENARIO_SAMPLES) {
		*out = d->n + d->never;
		return true;
	}
	if (d->n + d->never == 0) return false;
	if (c->statistic == SCENARIO_MIN)
		*out = d->n > 0 ? d->min : DIST_NEVER;
	else if (c->statistic == SCENARIO_MAX)
		*out = d->never > 0 ? DIST_NEVER : d->max;
	else if (c->statistic == SCENARIO_MEAN)
		*out = d->n > 0 ? dist_mean(d) : DIST_NEVER;
	else
		*out = dist_quantile(d, per_mille[c->statistic]);
	return true;
}

/* A counter over the last second, in the unit of paces. */
static uint64_t rate_of(struct story *st, struct story_judge *j, uint64_t counter)
{
	uint64_t now = sim_now(st->sim), delta = counter - j->counter;

	j->counter = counter;
	if (delta > 0) {
		if (j->rate_n == j->rate_cap) {
			uint32_t cap = j->rate_cap ? 2 * j->rate_cap : 64;
			struct story_rate *v = mem_alloc((uint64_t)cap * sizeof *v);
			for (uint32_t i = 0; i < j->rate_n; i++) v[i] = j->rate[(j->rate_head + i) & (j->rate_cap - 1)];
			free(j->rate);
			j->rate = v, j->rate_cap = cap, j->rate_head = 0;
		}
		j->rate[(j->rate_head + j->rate_n++) & (j->rate_cap - 1)] = (struct story_rate){ now, delta };
		j->rate_sum += delta;
	}
	while (j->rate_n > 0 && j->rate[j->rate_head].at + NS_S <= now) {
		j->rate_sum -= j->rate[j->rate_head].n;
		j->rate_head = (j->rate_head + 1) & (j->rate_cap - 1);
		j->rate_n--;
	}
	return j->rate_sum * UINT64_C(3600000000); /* 1/s */
}

static bool is_dist(enum scenario_metric m) { return scenario_metric_info(m)->type == SCENARIO_DISTRIBUTION; }

/* A gauge or share as it is, a counter from the start of the run. */
static bool metric_counter(const struct story *st, const struct story_judge *j, uint64_t *value)
{
	const struct scenario_condition *c = &j->result.def->condition;

	if (of_node(c)) return measure_nodes(st, c, value);
	if (chapter(c->metric) == SCENARIO_OF_CLIENT) return measure_clients(st, c, value);
	*value = is_drop(c->metric) ? drops_value(st, c->metric) : packets_value(st, c->metric);
	return true;
}

bool metric_measure(struct story *st, struct story_judge *j, uint64_t *value)
{
	const struct scenario_condition *c = &j->result.def->condition;
	bool there;

	if (is_dist(c->metric)) return measure_dist(st, c, value);
	if (c->has_since && !j->since_come) return false;
	there = metric_counter(st, j, value);
	if (there && c->has_since) *value -= j->since;
	if (there && c->statistic == SCENARIO_PER_SECOND) *value = rate_of(st, j, *value);
	return there;
}

/* The event of `since`: what was counted before it counts no more. */
void metric_since(struct story *st, struct story_judge *j)
{
	uint64_t value;

	j->since_come = true;
	j->since = j->counter = j->rate_sum = 0;
	j->rate_n = 0;
	if (metric_counter(st, j, &value)) j->since = value;
}

void metric_start(struct story *st)
{
	for (uint32_t i = 0; i < st->nodes; i++) {
		st->node[i].conns_start = st->node[i].conns;
		st->node[i].links_start = truth_links(st, i);
	}
	st->begun = true;
}

/* ---- what this simulator does not measure is said before the run ---- */

bool metric_supported(const struct story *st, const struct scenario_expect *e, char *error, size_t cap)
{
	const struct scenario_condition *c = &e->condition;
	const struct scenario_metric_info *info = scenario_metric_info(c->metric);
	bool of_clients = chapter(c->metric) == SCENARIO_OF_CLIENT && !is_drop(c->metric);
	const char *why = NULL;

	(void)st;
	if (!info->measured) why = "is not measured yet";
	if (c->has_since && is_dist(c->metric)) why = "since an event is not measured yet";
	if (c->per != SCENARIO_PER_NONE && (c->has_since || c->statistic == SCENARIO_PER_SECOND)) why = "is counted of all together only";
	for (uint32_t i = 0; why == NULL && i < c->of.parts; i++) {
		const struct scenario_part *p = &c->of.part[i];
		bool nodes = p->base == SCENARIO_NODES || p->base == SCENARIO_ALL;
		bool changes = p->base == SCENARIO_CLIENTS_ON || p->base == SCENARIO_CLIENTS_AWAY;
		if (p->pick.unit != SCENARIO_NONE) why = "of a drawn part is not measured";
		if (changes && (c->has_since || c->statistic == SCENARIO_PER_SECOND)) why = "is counted of a set that stays the same only";
		if (of_node(c) ? !nodes : !(of_clients && p->base != SCENARIO_NODES)) why = "of this set is not measured";
	}
	if (why == NULL && c->per != SCENARIO_PER_NONE && !(of_node(c) && c->per == SCENARIO_PER_NODE))
		why = "is measured per node only, and only of nodes";
	if (why == NULL && in_percent(c) && !of_node(c) && !of_clients && c->statistic != SCENARIO_LOST) why = "has no whole that % could be of";
	if (why != NULL) snprintf(error, cap, "%s:%u: %s %s", e->line.file, e->line.line, info->name, why);
	return why == NULL;
}
