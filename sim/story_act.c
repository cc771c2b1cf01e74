/* The timeline: what the lines do, to whom, when.
 *
 * A line fires at its time, and again with every=; its set is looked up then, a pick drawn. With pace= its members have their turn one
 * after the other, each an event of its own. What a member suffers is a deed; down= or for= bring a second one, which takes it back.
 * An event is told when the deed takes effect: a busy host crashes, and lets go of a closed client, when its step is over. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRINGS_MAX = 100000 };

struct story_fire {
	struct story_cause cause;
	uint64_t at;
};

struct story_deed {
	struct story_cause cause;
	bool is_node;
	bool back; /* takes back what the line did */
	uint32_t member;
	uint32_t call, next; /* its own call; free list */
};

static const struct scenario_act *act_of(const struct story *st, uint32_t act) { return &st->scenario->act[act]; }

static void happened(struct story *st, const struct story_cause *cause, enum scenario_verb verb, uint32_t node, uint32_t client)
{
	uint32_t host = node != NOBODY ? node : client_host(st, client);

	check_event(st, SCENARIO_ON_VERB, verb, cause->act, false, node, client);
	record_fault(st->record, sim_now(st->sim), scenario_verb_name(verb), host, act_of(st, cause->act)->line.line);
	if (st->options.fault != NULL) st->options.fault(st->options.ctx, sim_now(st->sim), verb, host);
}

static void ended(struct story *st, const struct story_cause *cause, enum scenario_verb verb, uint32_t node, uint32_t client)
{
	check_event(st, SCENARIO_ON_VERB, verb, cause->act, true, node, client);
}

/* The stream of a firing: the line's first has the line's own. */
static struct prng firing_stream(const struct story *st, const struct story_cause *cause, const char *name, const char *key)
{
	char numbered[32];

	if (cause->firing > 0) snprintf(numbered, sizeof numbered, "%s %u", key, cause->firing + 1);
	return story_stream(st, name, &act_of(st, cause->act)->line, cause->firing > 0 ? numbered : key);
}

/* An amount of the line for a member: as it is, or drawn. */
static uint64_t firing_take(struct story *st, const struct story_cause *cause, const char *name, const char *key, const struct scenario_amount *a)
{
	struct prng p;
	uint64_t value;

	if (a->lo == a->hi) return a->lo;
	p = firing_stream(st, cause, name, key);
	value = prng_range(&p, a->lo, a->hi);
	story_draw_note(st, name, &act_of(st, cause->act)->line, key, a->unit, value);
	return value;
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

static bool given(const struct scenario_amount *amount) { return amount->unit != SCENARIO_NONE; }

/* down= or for= of the line: when what it did to the member is taken back. */
static void back_later(struct story *st, const struct story_cause *cause, bool is_node, uint32_t member)
{
	const struct scenario_act *a = act_of(st, cause->act);
	const char *name = is_node ? st->node[member].name : st->client[member].name;
	uint64_t wait;

	if (!given(&a->down) && !given(&a->hold)) return;
	wait = firing_take(st, cause, name, given(&a->down) ? "down" : "for", given(&a->down) ? &a->down : &a->hold);
	deed_later(st, (struct story_deed){ .cause = *cause, .is_node = is_node, .back = true, .member = member }, sim_now(st->sim) + wait);
}

static void crash(struct story *st, const struct story_deed *d, enum sim_crash how)
{
	struct story_node *n = &st->node[d->member];

	if (!n->up || n->falling) return;
	n->falling = true;
	n->fell = d->cause;
	sim_crash(st->sim, d->member, how);
}

/* The crash of a host takes effect when its step is over. */
void act_down(struct story *st, uint32_t node, enum sim_crash how)
{
	static const enum scenario_verb verb[] = { [SIM_CRASH_RESET] = SCENARIO_CRASH,
		                                   [SIM_CRASH_SILENT] = SCENARIO_CRASH_SILENT,
		                                   [SIM_CRASH_SILENT_REFUSE] = SCENARIO_CRASH_SILENT_REFUSE };
	struct story_node *n = &st->node[node];

	truth_down(st, node);
	n->falling = false;
	n->fell_as = verb[how];
	happened(st, &n->fell, n->fell_as, node, NOBODY);
	back_later(st, &n->fell, true, node);
}

/* Of a node that runs: with down= it crashes now, and comes back later; else there is nothing to do. */
static void restart(struct story *st, const struct story_deed *d)
{
	const struct scenario_act *a = act_of(st, d->cause.act);
	struct story_node *n = &st->node[d->member];

	if (n->up) {
		if (!d->back && given(&a->down)) crash(st, d, SIM_CRASH_RESET);
		return;
	}
	change(st, d->member, &a->settings);
	boot_node(st, d->member);
	happened(st, &d->cause, SCENARIO_RESTART, d->member, NOBODY);
	ended(st, &n->fell, n->fell_as, d->member, NOBODY);
	if (a->verb == SCENARIO_RESTART && d->back) ended(st, &d->cause, SCENARIO_RESTART, d->member, NOBODY);
}

/* ClosePeer, as an operator's tool sends it to the relay (MSH-033). */
static void close_peer(struct story *st, const struct story_deed *d)
{
	struct story_client *c = &st->client[d->member];
	struct event_command command = { .verb = COMMAND_CLOSE_PEER, .dst = c->public_key.b }; /* REG-008 */

	if (!c->alive || c->closing) return;
	c->closing = true;
	c->closes = d->cause;
	sim_command(st->sim, c->node, &command);
}

void act_left(struct story *st, uint32_t client)
{
	struct story_client *c = &st->client[client];

	if (!c->closing) return;
	c->closing = false;
	truth_hit(st, client);
	happened(st, &c->closes, SCENARIO_CLOSE, NOBODY, client);
}

static void leave(struct story *st, const struct story_deed *d)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	struct story_client *c = &st->client[d->member];

	if (c->gone || !sim_host_up(st->sim, client_host(st, d->member))) return;
	c->gone = true;
	sim_command(st->sim, client_host(st, d->member), &command);
	happened(st, &d->cause, SCENARIO_LEAVE, NOBODY, d->member);
	back_later(st, &d->cause, false, d->member);
}

static void join(struct story *st, const struct story_deed *d)
{
	struct story_client *c = &st->client[d->member];
	uint32_t host = client_host(st, d->member);

	if (!c->gone) return;
	c->gone = false;
	c->fault_at = TIME_NEVER;
	if (sim_host_up(st->sim, host)) sim_crash(st->sim, host, SIM_CRASH_RESET); /* what was left of it */
	sim_boot(st->sim, host);
	happened(st, &d->cause, SCENARIO_JOIN, NOBODY, d->member);
	if (d->back) ended(st, &d->cause, SCENARIO_LEAVE, NOBODY, d->member);
}

static void deed_do(struct story *st, const struct story_deed *d)
{
	if (d->back) {
		d->is_node ? restart(st, d) : join(st, d);
		return;
	}
	switch (act_of(st, d->cause.act)->verb) {
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

/* ---- lines ---- */

static bool verb_is_of_nodes(enum scenario_verb verb)
{
	return verb == SCENARIO_CRASH || verb == SCENARIO_CRASH_SILENT || verb == SCENARIO_CRASH_SILENT_REFUSE || verb == SCENARIO_RESTART;
}

/* How many of n a part picks: 0 to n. */
static uint32_t picked(struct prng *p, const struct scenario_part *part, uint32_t n)
{
	uint64_t take = n;

	if (part->pick.unit == SCENARIO_COUNT) take = prng_range(p, part->pick.lo, part->pick.hi);
	if (part->pick.unit == SCENARIO_SHARE) take = (prng_range(p, part->pick.lo, part->pick.hi) * n + SCENARIO_SHARE_ALL / 2) / SCENARIO_SHARE_ALL;
	return take < n ? (uint32_t)take : n;
}

/* Marks who of one part takes part now; room is for everyone twice. */
static void part_members(struct story *st, struct prng *p, const struct scenario_part *part, bool nodes, bool *in, uint32_t *room)
{
	struct scenario_part whole = *part;
	struct scenario_set one = { &whole, 1 };
	uint32_t all = nodes ? st->nodes : st->clients, *list = room, *order = room + all, n = 0, take;

	whole.but = false;
	for (uint32_t i = 0; i < all; i++)
		if (nodes ? set_has_node(st, &one, i) : set_has_client(st, &one, i)) list[n++] = i;
	take = picked(p, part, n);
	for (uint32_t i = 0; i < n; i++) order[i] = i;
	if (take < n) prng_shuffle(p, order, n);
	for (uint32_t i = 0; i < take; i++) in[list[order[i]]] = !part->but;
}

static bool picks(const struct scenario_set *set)
{
	bool any = false;

	for (uint32_t k = 0; k < set->parts; k++) any = any || set->part[k].pick.unit != SCENARIO_NONE;
	return any;
}

/* Who of the set takes part now, in order of number. Picks are drawn from the firing's own stream. */
static uint32_t members(struct story *st, const struct story_cause *cause, bool nodes, uint32_t **out)
{
	const struct scenario_act *a = act_of(st, cause->act);
	const struct scenario_set *set = &a->path.from;
	uint32_t all = nodes ? st->nodes : st->clients, *list = mem_alloc((2 * (uint64_t)all + 1) * sizeof *list), total = 0;
	bool *in = mem_zero((uint64_t)all + 1, sizeof *in);
	struct prng p = firing_stream(st, cause, "run", "pick");

	for (uint32_t k = 0; k < set->parts; k++) part_members(st, &p, &set->part[k], nodes, in, list);
	for (uint32_t i = 0; i < all; i++)
		if (in[i]) list[total++] = i;
	for (uint32_t i = 0; i < total && picks(set); i++)
		story_draw_note(st, nodes ? st->node[list[i]].name : st->client[list[i]].name, &a->line, "pick", SCENARIO_NONE, list[i]);
	free(in);
	*out = list;
	return total;
}

static void line_fire(void *ctx, uint32_t index)
{
	struct story *st = ctx;
	const struct story_fire *f = &st->fire[index];
	const struct scenario_act *a = act_of(st, f->cause.act);
	bool nodes = verb_is_of_nodes(a->verb);
	uint32_t *member, n;

	check_line(st);
	n = members(st, &f->cause, nodes, &member);
	for (uint32_t i = 0; i < n; i++) {
		struct story_deed d = { .cause = f->cause, .is_node = nodes, .member = member[i] };
		if (a->pace.unit == SCENARIO_NONE || i == 0)
			deed_do(st, &d);
		else
			deed_later(st, d, sim_now(st->sim) + scenario_pace_ns(a->pace.lo, i));
	}
	free(member);
}

/* Equal times keep the order of the file. */
static int by_time(const void *a, const void *b)
{
	const struct story_fire *x = a, *y = b;

	if (x->at != y->at) return x->at < y->at ? -1 : 1;
	if (x->cause.act != y->cause.act) return x->cause.act < y->cause.act ? -1 : 1;
	return x->cause.firing < y->cause.firing ? -1 : x->cause.firing > y->cause.firing;
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
		uint64_t at, times = given(&a->every) ? a->times.lo : 1;
		if (!act_supported(a, error, cap)) return false;
		at = story_take(st, "run", &a->line, "at", &a->at);
		for (uint32_t i = 0; i < times && at <= st->until; i++, at += a->every.lo) {
			if (st->fires == FIRINGS_MAX) {
				snprintf(error, cap, "%s:%u: the timeline fires more than %d times", a->line.file, a->line.line, FIRINGS_MAX);
				return false;
			}
			MEM_ROOM(st->fire, st->fires, st->fires_cap);
			st->fire[st->fires++] = (struct story_fire){ .cause = { k, i }, .at = at };
		}
	}
	if (st->fires > 0) qsort(st->fire, st->fires, sizeof *st->fire, by_time);
	for (uint32_t i = 0; i < st->fires; i++) sim_call_at(st->sim, sim_call_add(st->sim, line_fire, st, i), st->fire[i].at);
	return true;
}

void act_free(struct story *st)
{
	free(st->fire);
	free(st->deed);
}
