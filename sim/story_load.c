/* Who talks: disco packets that keep paths known, and bulk flows.
 *
 * disco: each client sends one to a random peer of its tailnet, again and again. bulk: a share of all pairs is active at any time; a flow
 * that ends is followed at once by another of a pair drawn from all. Packets are what magicsock and WireGuard put on the wire. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISCO_SIZE = 124 /* a disco ping in its box */, FLOWS_MAX = 1000000, INTERVAL_MIN = 1000 /* ns between packets of a flow */ };

/* ---- sending ---- */

static void send_packet(struct story *st, uint32_t from, uint32_t to, uint32_t size, bool disco)
{
	struct story_client *c = &st->client[from];
	struct event_command command = { .verb = COMMAND_SEND, .dst = st->client[to].public_key.b, .n = size };

	if (c->gone || !sim_host_up(st->sim, client_host(st, from))) return;
	command.p = ledger_send(st->ledger, sim_now(st->sim), from, to, size, disco);
	if (st->hit) truth_pair_sent(st, from, to);
	story_dirty(st, DIRT_PACKETS);
	sim_command(st->sim, client_host(st, from), &command);
}

/* ---- disco ---- */

static struct story_load *disco_of(struct story *st)
{
	for (uint32_t i = 0; i < st->loads; i++)
		if (st->load[i].def->kind == SCENARIO_DISCO) return &st->load[i];
	return NULL;
}

static void disco_next(struct story *st, const struct story_load *l, uint32_t client, uint64_t wait)
{
	uint64_t at = sim_now(st->sim) + wait;

	if (at < l->till) sim_call_at(st->sim, st->client[client].disco_call, at);
}

static void disco_fire(void *ctx, uint32_t client)
{
	struct story *st = ctx;
	const struct story_load *l = disco_of(st);
	struct story_client *c = &st->client[client];
	const struct story_tailnet *t = &st->tailnet[c->tailnet];
	uint32_t peer = (uint32_t)prng_below(&c->disco, t->clients - 1);

	if (peer >= c->index - 1) peer++;
	if (l->def->of.parts == 0 || set_has_client(st, &l->def->of, client)) send_packet(st, client, t->first + peer, DISCO_SIZE, true);
	disco_next(st, l, client, prng_range(&c->disco, l->def->every.lo, l->def->every.hi));
}

/* The first comes somewhere within one interval, so that the load is steady from the beginning. */
static void disco_start(struct story *st, struct story_load *l, uint32_t client)
{
	struct story_client *c = &st->client[client];
	uint64_t from = c->join_at > l->begin ? c->join_at : l->begin;

	if (st->tailnet[c->tailnet].clients < 2) return;
	c->disco = story_stream(st, c->name, &l->def->line, "every");
	c->disco_call = sim_call_add(st->sim, disco_fire, st, client);
	disco_next(st, l, client, from + prng_below(&c->disco, l->def->every.hi));
}

/* ---- bulk ---- */

static uint64_t pairs_of(uint64_t clients) { return clients < 2 ? 0 : clients * (clients - 1) / 2; }

static void count_pairs(const struct story *st, struct story_load *l)
{
	l->pairs_before = mem_alloc(((uint64_t)st->tailnets + 1) * sizeof *l->pairs_before);
	l->pairs = 0;
	for (uint32_t i = 0; i < st->tailnets; i++) {
		l->pairs_before[i] = l->pairs;
		l->pairs += pairs_of(st->tailnet[i].clients);
	}
	l->pairs_before[st->tailnets] = l->pairs;
}

/* The tailnet in which pair number `at` lies. */
static uint32_t tailnet_at(const struct story *st, const struct story_load *l, uint64_t at)
{
	uint32_t low = 0, high = st->tailnets;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (l->pairs_before[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Another pair of which both take part, in a random direction. */
static void flow_choose(struct story *st, struct story_load *l, struct story_flow *f)
{
	uint64_t at = prng_below(&l->prng, l->pairs);
	const struct story_tailnet *t = &st->tailnet[tailnet_at(st, l, at)];
	uint32_t a = (uint32_t)prng_below(&l->prng, t->clients), b = (uint32_t)prng_below(&l->prng, t->clients - 1);
	uint64_t hold = prng_range(&l->prng, l->def->hold.lo, l->def->hold.hi);

	if (b >= a) b++;
	f->from = t->first + a;
	f->to = t->first + b;
	f->end_at = sim_now(st->sim) + hold;
}

static void bulk_fire(void *ctx, uint32_t flow)
{
	struct story_load *l = ctx;
	struct story *st = l->st;
	struct story_flow *f = &l->flow[flow];

	if (sim_now(st->sim) >= l->till) return;
	if (sim_now(st->sim) >= f->end_at) flow_choose(st, l, f);
	if (l->def->of.parts == 0 || (set_has_client(st, &l->def->of, f->from) && set_has_client(st, &l->def->of, f->to)))
		send_packet(st, f->from, f->to, (uint32_t)l->def->size.lo, false);
	sim_call_at(st->sim, f->call, sim_now(st->sim) + l->interval_ns);
}

static void bulk_start(struct story *st, struct story_load *l)
{
	for (uint32_t i = 0; i < l->flows; i++) {
		struct story_flow *f = &l->flow[i];
		f->call = sim_call_add(st->sim, bulk_fire, l, i);
		sim_call_at(st->sim, f->call, l->begin + prng_below(&l->prng, l->interval_ns + 1));
	}
}

static bool bulk_build(struct story *st, struct story_load *l, char *error, size_t cap)
{
	uint64_t share = l->def->share.lo, flows;

	count_pairs(st, l);
	flows = (uint64_t)((unsigned __int128)l->pairs * share / SCENARIO_SHARE_ALL);
	if (flows == 0 && l->pairs > 0 && share > 0) flows = 1;
	l->interval_ns = UINT64_C(8000000000) * l->def->size.lo / l->def->rate.lo;
	if (flows > FLOWS_MAX || l->interval_ns < INTERVAL_MIN) {
		snprintf(error, cap, "%s:%u: %llu flows of a packet each %llu ns, expected at most %d and at least %d ns", l->def->line.file,
		         l->def->line.line, (unsigned long long)flows, (unsigned long long)l->interval_ns, FLOWS_MAX, INTERVAL_MIN);
		return false;
	}
	l->flows = (uint32_t)flows;
	l->flow = mem_zero(flows ? flows : 1, sizeof *l->flow);
	return true;
}

/* ---- all ---- */

/* A client has one connection, to its home; REG-002: who is at home elsewhere is not reached by it. */
static bool one_home_each(const struct story *st, const struct story_load *l, char *error, size_t cap)
{
	for (uint32_t i = 0; i < st->tailnets; i++) {
		const struct story_tailnet *t = &st->tailnet[i];
		uint32_t home = t->clients > 0 ? st->client[t->first].region : 0;
		for (uint32_t k = 1; k < t->clients; k++) {
			uint32_t other = st->client[t->first + k].region;
			if (other == home) continue;
			snprintf(error, cap, "%s:%u: %s has clients at home in %s and in %s, between whom packets are not simulated yet",
			         l->def->line.file, l->def->line.line, t->name, st->region[home].def->name, st->region[other].def->name);
			return false;
		}
	}
	return true;
}

static bool of_all_of_it(const struct story_load *l, char *error, size_t cap)
{
	for (uint32_t i = 0; i < l->def->of.parts; i++) {
		if (l->def->of.part[i].pick.unit == SCENARIO_NONE) continue;
		snprintf(error, cap, "%s:%u: of= a drawn part is not simulated yet, expected the whole set", l->def->line.file, l->def->line.line);
		return false;
	}
	return true;
}

bool load_build(struct story *st, char *error, size_t cap)
{
	bool disco = false;

	st->loads = st->scenario->loads;
	st->load = mem_zero(st->loads ? st->loads : 1, sizeof *st->load);
	for (uint32_t i = 0; i < st->loads; i++) {
		struct story_load *l = &st->load[i];
		l->def = &st->scenario->load[i];
		l->st = st;
		l->begin = l->def->begin.unit == SCENARIO_NONE ? 0 : l->def->begin.lo;
		l->till = l->def->till.unit == SCENARIO_NONE ? TIME_NEVER : l->def->till.lo;
		l->prng = story_stream(st, "run", &l->def->line, "flows");
		if (!of_all_of_it(l, error, cap) || !one_home_each(st, l, error, cap)) return false;
		if (l->def->kind == SCENARIO_DISCO && disco) {
			snprintf(error, cap, "%s:%u: a second load disco: one is simulated", l->def->line.file, l->def->line.line);
			return false;
		}
		disco = disco || l->def->kind == SCENARIO_DISCO;
		if (l->def->kind == SCENARIO_BULK && !bulk_build(st, l, error, cap)) return false;
	}
	return true;
}

void load_start(struct story *st)
{
	for (uint32_t i = 0; i < st->loads; i++) {
		struct story_load *l = &st->load[i];
		if (l->def->kind == SCENARIO_BULK) bulk_start(st, l);
		for (uint32_t c = 0; l->def->kind == SCENARIO_DISCO && c < st->clients; c++) disco_start(st, l, c);
	}
}

void load_free(struct story *st)
{
	for (uint32_t i = 0; i < st->loads && st->load != NULL; i++) {
		free(st->load[i].pairs_before);
		free(st->load[i].flow);
	}
	free(st->load);
}
