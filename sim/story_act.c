/* The timeline: what the lines do, to whom, when.
 *
 * A line fires at its time, and again with every=; its set is looked up then, a pick drawn. With pace= its members have their turn one
 * after the other, each an event of its own. What a member suffers is a deed; a crash with down= or for= brings a second one. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRINGS_MAX = 100000 };

struct story_fire {
	uint32_t act, number; /* which line, its how-manieth firing */
	uint64_t at;
};

/* One member's part of a line. */
struct story_deed {
	uint32_t act;
	bool is_node;
	uint32_t member;
	enum scenario_verb verb;
	uint32_t call, next; /* its own call; free list */
};

static const struct scenario_act *act_of(const struct story *st, uint32_t act) { return &st->scenario->act[act]; }

static void happened(struct story *st, const struct story_deed *d, enum scenario_verb verb)
{
	check_event(st, SCENARIO_ON_VERB, verb, d->act, false, d->is_node ? d->member : NOBODY, d->is_node ? NOBODY : d->member);
	record_fault(st->record, sim_now(st->sim), scenario_verb_name(verb), d->is_node ? d->member : client_host(st, d->member),
	             act_of(st, d->act)->line.line);
}

/* ---- deeds ---- */

static void deed_fire(void *ctx, uint32_t index);

static void deed_later(struct story *st, struct story_deed deed, uint64_t at)
{
	uint32_t index = st->deeds_free;

	if (index == NOBODY) {
		MEM_ROOM(st->deed, st->deeds, st->deeds_cap);
		index = st->deeds++;
		deed.call = sim_call_add(st->sim, deed_fire, st, index);
	} else {
		st->deeds_free = st->deed[index].next;
		deed.call = st->deed[index].call;
	}
	st->deed[index] = deed;
	sim_call_at(st->sim, deed.call, at);
}

static void boot_node(struct story *st, uint32_t node)
{
	st->node[node].up = true;
	st->node[node].boots++;
	sim_boot(st->sim, node);
	story_dirty(st, DIRT_CLIENTS | DIRT_MESH);
}

static void change(struct story *st, uint32_t node, const struct scenario_settings *s)
{
	if (s->mesh_key != SCENARIO_KEY_SAME) st->node[node].settings.mesh_key = s->mesh_key;
}

/* down= or for= of the line: when the node comes back after it went. */
static bool comes_back(const struct scenario_act *a, uint64_t *wait)
{
	const struct scenario_amount *x = a->down.unit != SCENARIO_NONE ? &a->down : &a->hold;

	if (x->unit == SCENARIO_NONE) return false;
	*wait = x->lo;
	return true;
}

static void crash(struct story *st, const struct story_deed *d, enum sim_crash how)
{
	uint64_t wait;
	struct story_deed back = *d;

	if (!st->node[d->member].up) return; /* it is down already */
	happened(st, d, how == SIM_CRASH_RESET ? SCENARIO_CRASH : how == SIM_CRASH_SILENT ? SCENARIO_CRASH_SILENT : SCENARIO_CRASH_SILENT_REFUSE);
	sim_crash(st->sim, d->member, how);
	back.verb = SCENARIO_RESTART;
	if (comes_back(act_of(st, d->act), &wait)) deed_later(st, back, sim_now(st->sim) + wait);
}

static void restart(struct story *st, const struct story_deed *d)
{
	const struct scenario_act *a = act_of(st, d->act);

	if (sim_host_up(st->sim, d->member)) {
		if (a->verb == SCENARIO_RESTART) crash(st, d, SIM_CRASH_RESET);
		return;
	}
	change(st, d->member, &a->settings);
	boot_node(st, d->member);
	happened(st, d, SCENARIO_RESTART);
}

/* ClosePeer, as an operator's tool sends it to the relay (MSH-033). */
static void close_peer(struct story *st, const struct story_deed *d)
{
	struct story_client *c = &st->client[d->member];
	struct event_command command = { .verb = COMMAND_CLOSE_PEER, .dst = c->public_key.b }; /* REG-008 */

	if (!c->alive) return;
	truth_hit(st, d->member);
	happened(st, d, SCENARIO_CLOSE);
	sim_command(st->sim, c->node, &command);
}

static void leave(struct story *st, const struct story_deed *d)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	struct story_client *c = &st->client[d->member];

	if (c->gone || !sim_host_up(st->sim, client_host(st, d->member))) return;
	c->gone = true;
	happened(st, d, SCENARIO_LEAVE);
	sim_command(st->sim, client_host(st, d->member), &command);
}

static void join(struct story *st, const struct story_deed *d)
{
	struct story_client *c = &st->client[d->member];
	uint32_t host = client_host(st, d->member);

	if (!c->gone) return;
	c->gone = false;
	c->fault_at = TIME_NEVER;
	happened(st, d, SCENARIO_JOIN);
	if (sim_host_up(st->sim, host)) sim_crash(st->sim, host, SIM_CRASH_RESET); /* what was left of it */
	sim_boot(st->sim, host);
}

static void deed_do(struct story *st, const struct story_deed *d)
{
	switch (d->verb) {
	case SCENARIO_CRASH: crash(st, d, SIM_CRASH_RESET); break;
	case SCENARIO_CRASH_SILENT: crash(st, d, SIM_CRASH_SILENT); break;
	case SCENARIO_CRASH_SILENT_REFUSE: crash(st, d, SIM_CRASH_SILENT_REFUSE); break;
	case SCENARIO_RESTART: restart(st, d); break;
	case SCENARIO_CLOSE: close_peer(st, d); break;
	case SCENARIO_LEAVE: leave(st, d); break;
	case SCENARIO_JOIN: join(st, d); break;
	default: assert(false && "act_build lets no other verb through");
	}
}

static void deed_fire(void *ctx, uint32_t index)
{
	struct story *st = ctx;
	struct story_deed d = st->deed[index];

	st->deed[index].next = st->deeds_free;
	st->deeds_free = index;
	deed_do(st, &d);
}

/* The crash of a host takes effect when its step is over. */
void act_down(struct story *st, uint32_t node, enum sim_crash how)
{
	(void)how;
	truth_down(st, node);
}

/* ---- lines ---- */

static bool verb_is_of_nodes(enum scenario_verb verb)
{
	return verb == SCENARIO_CRASH || verb == SCENARIO_CRASH_SILENT || verb == SCENARIO_CRASH_SILENT_REFUSE || verb == SCENARIO_RESTART;
}

/* Who of the set takes part now, in order of number. Picks are drawn from the line's own stream. */
static uint32_t members(struct story *st, uint32_t act, bool nodes, uint32_t **out)
{
	const struct scenario_act *a = act_of(st, act);
	struct scenario_part *part = a->path.from.part;
	uint32_t all = nodes ? st->nodes : st->clients, *list = mem_alloc((uint64_t)all * sizeof *list + 1), n = 0, total = 0;
	bool *in = mem_zero((uint64_t)all + 1, sizeof *in);
	struct prng p = story_stream(st, "run", &a->line, "pick");

	for (uint32_t k = 0; k < a->path.from.parts; k++) {
		struct scenario_part whole = part[k];
		struct scenario_set one = { &whole, 1 };
		bool but = whole.but;
		uint32_t take;
		whole.but = false;
		n = 0;
		for (uint32_t i = 0; i < all; i++)
			if (nodes ? set_has_node(st, &one, i) : set_has_client(st, &one, i)) list[n++] = i;
		take = n;
		if (whole.pick.unit == SCENARIO_COUNT) take = (uint32_t)prng_range(&p, whole.pick.lo, whole.pick.hi);
		if (whole.pick.unit == SCENARIO_SHARE)
			take = (uint32_t)((prng_range(&p, whole.pick.lo, whole.pick.hi) * n + SCENARIO_SHARE_ALL / 2) / SCENARIO_SHARE_ALL);
		if (take < n) prng_shuffle(&p, list, n);
		for (uint32_t i = 0; i < n && i < take; i++) in[list[i]] = !but;
	}
	for (uint32_t i = 0; i < all; i++)
		if (in[i]) list[total++] = i;
	free(in);
	*out = list;
	return total;
}

static void line_fire(void *ctx, uint32_t index)
{
	struct story *st = ctx;
	const struct story_fire *f = &st->fire[index];
	const struct scenario_act *a = act_of(st, f->act);
	bool nodes = verb_is_of_nodes(a->verb);
	uint32_t *member, n;

	check_line(st);
	n = members(st, f->act, nodes, &member);
	for (uint32_t i = 0; i < n; i++) {
		struct story_deed d = { .act = f->act, .is_node = nodes, .member = member[i], .verb = a->verb };
		if (a->pace.unit == SCENARIO_NONE || i == 0)
			deed_do(st, &d);
		else
			deed_later(st, d, sim_now(st->sim) + scenario_pace_ns(a->pace.lo, i));
	}
	free(member);
}

static void fires_sort(struct story *st)
{
	for (uint32_t i = 1; i < st->fires; i++) { /* stable: equal times keep the order of the file */
		struct story_fire f = st->fire[i];
		uint32_t k = i;
		for (; k > 0 && st->fire[k - 1].at > f.at; k--) st->fire[k] = st->fire[k - 1];
		st->fire[k] = f;
	}
}

static bool act_supported(const struct scenario_act *a, char *error, size_t cap)
{
	static const enum scenario_verb known[] = { SCENARIO_CRASH,   SCENARIO_CRASH_SILENT, SCENARIO_CRASH_SILENT_REFUSE,
		                                    SCENARIO_RESTART, SCENARIO_CLOSE,        SCENARIO_LEAVE,
		                                    SCENARIO_JOIN };
	bool good = false;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) good = good || a->verb == known[i];
	if (!good) snprintf(error, cap, "%s:%u: %s is not simulated yet", a->line.file, a->line.line, scenario_verb_name(a->verb));
	for (uint32_t i = 0; good && i < a->path.from.parts; i++) {
		enum scenario_base base = a->path.from.part[i].base;
		bool of_nodes = base == SCENARIO_NODES || base == SCENARIO_ALL, of_clients = base != SCENARIO_NODES && base != SCENARIO_CONTROL;
		if (verb_is_of_nodes(a->verb) ? of_nodes : of_clients) continue;
		snprintf(error, cap, "%s:%u: %s is simulated for %s only", a->line.file, a->line.line, scenario_verb_name(a->verb),
		         verb_is_of_nodes(a->verb) ? "nodes" : "clients");
		return false;
	}
	return good;
}

bool act_build(struct story *st, char *error, size_t cap)
{
	for (uint32_t k = 0; k < st->scenario->acts; k++) {
		const struct scenario_act *a = act_of(st, k);
		uint64_t at, times = 1;
		if (!act_supported(a, error, cap)) return false;
		at = story_take(st, "run", &a->line, "at", &a->at);
		if (a->every.unit != SCENARIO_NONE) times = a->times.unit == SCENARIO_NONE ? 1 : a->times.lo;
		for (uint64_t i = 0; i < times && i < FIRINGS_MAX; i++) {
			MEM_ROOM(st->fire, st->fires, st->fires_cap);
			st->fire[st->fires++] = (struct story_fire){ .act = k, .number = (uint32_t)i, .at = at + i * a->every.lo };
		}
	}
	fires_sort(st);
	for (uint32_t i = 0; i < st->fires; i++) sim_call_at(st->sim, sim_call_add(st->sim, line_fire, st, i), st->fire[i].at);
	return true;
}

void act_free(struct story *st)
{
	free(st->fire);
	free(st->deed);
}
