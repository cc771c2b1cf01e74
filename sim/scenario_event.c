/* Events: what something happening is called, whether this file can cause it, and when. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool is_crash(enum scenario_verb verb) { return scenario_verb_is(verb, SCENARIO_CRASH); }
static bool given(const struct scenario_amount *amount) { return amount->unit != SCENARIO_NONE; }

/* ---- which lines cause it ---- */

/* A line of the timeline causes its verb; a restart of what runs a crash, a crash with an end a restart. */
static bool act_is(const struct scenario_act *act, const struct scenario_event *event, uint32_t index)
{
	if (event->kind == SCENARIO_ON_ACT) return event->act == index;
	if (event->kind != SCENARIO_ON_VERB) return false;
	if (scenario_verb_is(act->verb, event->verb)) return true;
	if (event->verb == SCENARIO_CRASH) return act->verb == SCENARIO_RESTART && given(&act->down);
	return event->verb == SCENARIO_RESTART && is_crash(act->verb) && given(&act->hold);
}

static bool meets(const struct scenario_act *act, const struct scenario_event *event)
{
	const struct scenario_path *of = &event->path;

	if (of->from.parts == 0) return true;
	if (scenario_sets_meet(&of->from, &act->path.from)) return of->to.parts == 0 || scenario_sets_meet(&of->to, &act->path.to);
	return of->to.parts > 0 && scenario_sets_meet(&of->from, &act->path.to) && scenario_sets_meet(&of->to, &act->path.from);
}

/* A crash ends with its restart, all else with for=. */
static bool act_ends(const struct scenario *s, const struct scenario_act *act)
{
	if (given(&act->hold)) return true;
	for (uint32_t i = 0; i < s->acts && (is_crash(act->verb) || act->verb == SCENARIO_RESTART); i++) {
		if (s->act[i].verb == SCENARIO_RESTART && (is_crash(act->verb) || given(&act->down))) return true;
	}
	return false;
}

/* ---- when ---- */

static uint64_t clients_of(const struct scenario *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->tailnets; i++) n += scenario_copies(s, &s->tailnet[i]) * s->tailnet[i].clients.hi;
	return n;
}

static uint64_t nodes_of(const struct scenario *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->regions; i++) n += scenario_region_nodes(s, i);
	return n;
}

/* Members at most. */
static uint64_t members(const struct scenario *s, const struct scenario_set *set)
{
	uint64_t n = 0, clients = clients_of(s);

	for (uint32_t i = 0; i < set->parts; i++) {
		const struct scenario_part *part = &set->part[i];

		if (part->but) continue;
		if (part->pick.unit == SCENARIO_COUNT)
			n += part->pick.hi;
		else if (part->base == SCENARIO_NODES)
			n += part->index != 0 ? 1 : scenario_region_nodes(s, part->name);
		else
			n += clients + (part->base == SCENARIO_ALL ? nodes_of(s) : 0);
	}
	return n;
}

static uint64_t times(uint64_t a, uint64_t b) { return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b; }

/* From its first to its last occurrence. */
static void act_when(const struct scenario *s, const struct scenario_act *act, uint64_t *first, uint64_t *last)
{
	uint64_t n = given(&act->pace) ? members(s, &act->path.from) : 0;

	*first = act->at.lo;
	*last = scenario_add(act->at.hi, times(act->every.hi, act->times.hi > 0 ? act->times.hi - 1 : 0));
	if (n > 1 && act->pace.lo > 0) *last = scenario_add(*last, scenario_pace_ns(act->pace.lo, n - 1));
}

bool scenario_event_when(const struct scenario *s, const struct scenario_event *event, uint64_t *first, uint64_t *last)
{
	bool any = event->kind == SCENARIO_ON_START;

	*first = any ? 0 : UINT64_MAX;
	*last = 0;
	for (uint32_t i = 0; i < s->acts; i++) {
		const struct scenario_act *act = &s->act[i];
		uint64_t from, to;

		if (!act_is(act, event, i) || !meets(act, event)) continue;
		any = true;
		act_when(s, act, &from, &to);
		if (event->kind == SCENARIO_ON_VERB && event->verb == SCENARIO_RESTART) from = scenario_add(from, act->down.lo + act->hold.lo);
		to = scenario_add(to, act->down.hi + act->hold.hi);
		if (event->end) from = scenario_add(from, act->hold.lo);
		if (from < *first) *first = from;
		if (to > *last) *last = to;
	}
	return any;
}

/* ---- reading ---- */

static void list_events(const struct scenario_parse *p, char *out, size_t cap, struct scenario_guess *guess)
{
	uint32_t listed = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < SCENARIO_VERBS; i++) {
		struct scenario_event event = { .kind = SCENARIO_ON_VERB, .verb = (enum scenario_verb)i };
		uint64_t first, last;

		scenario_guess_offer(guess, scenario_verb_word[i].name);
		if (p->caused[i] || (strchr(scenario_verb_word[i].name, ' ') == NULL && scenario_event_when(p->s, &event, &first, &last))) {
			scenario_list_add(out, cap, &listed, scenario_verb_word[i].name);
		}
	}
	for (uint32_t i = 0; i < p->s->acts; i++) {
		if (p->s->act[i].as == NULL) continue;
		scenario_list_add(out, cap, &listed, p->s->act[i].as);
		scenario_guess_offer(guess, p->s->act[i].as);
	}
	for (uint32_t i = 0; i < SCENARIO_ON_KINDS; i++) scenario_guess_offer(guess, scenario_event_word[i].name);
	if (listed == 0) snprintf(out, cap, "only start");
}

static bool complain_event(struct scenario_reader *r, struct scenario_spot spot, const char *phrase)
{
	struct scenario_guess guess = scenario_guess_begin(r->p, spot);
	char list[400];

	list_events(r->p, list, sizeof list, &guess);
	if (phrase == NULL)
		return scenario_complain(r->p, r->st, spot, "expected an event that this file causes: %s.%s", list,
		                         scenario_guess_text(r->p, &guess));
	return scenario_complain(r->p, r->st, spot,
	                         "expected an event that this file causes: %s. Nothing here %s, so this line would never be judged.", list, phrase);
}

static bool is_lost(const struct scenario_parse *p, struct scenario_spot spot)
{
	for (uint32_t i = 0; i < p->lost_names; i++) {
		if (scenario_spot_is(spot, p->lost_name[i])) return true;
	}
	return false;
}

/* What the name means. False: it means nothing, which was said. */
static bool read_name(struct scenario_reader *r, struct scenario_event *event)
{
	struct scenario_spot spot = scenario_peek(r);
	enum scenario_metric metric;
	enum scenario_statistic statistic;
	uint32_t found;

	if (spot.p == NULL || spot.n == 0 || scenario_spot_is(spot, "nothing") || scenario_is_metric(spot, &metric, &statistic))
		return complain_event(r, spot, NULL);
	scenario_skip(r, spot);
	found = scenario_find_word(scenario_verb_word, SCENARIO_VERBS, spot);
	if (found < SCENARIO_VERBS) {
		event->kind = SCENARIO_ON_VERB;
		event->verb = (enum scenario_verb)found;
		if (found != SCENARIO_CRASH || !scenario_accept(r, "silent")) return true;
		event->verb = scenario_accept(r, "refuse") ? SCENARIO_CRASH_SILENT_REFUSE : SCENARIO_CRASH_SILENT;
		return true;
	}
	found = scenario_find_word(scenario_event_word, SCENARIO_ON_KINDS, spot);
	event->kind = (enum scenario_event_kind)found;
	if (found < SCENARIO_ON_KINDS)
		return scenario_event_word[found].simulated ||
		       scenario_complain(r->p, r->st, spot, "an event that is not simulated yet, expected one that is.");
	event->kind = SCENARIO_ON_ACT;
	for (event->act = 0; event->act < r->p->s->acts; event->act++) {
		const char *as = r->p->s->act[event->act].as;
		if (as != NULL && scenario_spot_is(spot, as)) return true;
	}
	return is_lost(r->p, spot) || r->p->any_event ? false : complain_event(r, spot, NULL);
}

static bool is_comparison(struct scenario_spot spot)
{
	static const char *const word[] = { "==", "!=", "<", "<=", ">", ">=", "between", "per", "nothing" };

	for (uint32_t i = 0; i < sizeof word / sizeof *word; i++) {
		if (scenario_spot_is(spot, word[i])) return true;
	}
	return false;
}

/* An event ends where a metric or `nothing` begins. A word that is neither that nor a set is taken for a misspelt one: of a set,
 * if a metric is still to come, else of the metric. */
static bool is_set_next(const struct scenario_reader *r)
{
	struct scenario_spot spot = scenario_peek_atom(r);
	enum scenario_metric metric;
	enum scenario_statistic statistic;
	bool tailnet;
	uint32_t index, n = 0;

	if (spot.p == NULL || spot.n == 0 || is_comparison(spot) || scenario_is_metric(spot, &metric, &statistic)) return false;
	if (scenario_spot_is(spot, "all") || scenario_spot_is(spot, "control") || scenario_spot_is(spot, "clients")) return true;
	if (spot.p[0] >= '0' && spot.p[0] <= '9') return true;
	while (n < spot.n && spot.p[n] != '/') n++;
	if (scenario_find_name(r->p->s, scenario_part_of(spot, 0, n), &tailnet, &index)) return true;
	for (uint32_t i = r->at + 1; i < r->tokens; i++) {
		struct scenario_spot later = scenario_spot_of(&r->token[i]);
		if (scenario_is_metric(later, &metric, &statistic) || scenario_spot_is(later, "nothing")) return true;
	}
	return false;
}

static bool read_members(struct scenario_reader *r, struct scenario_event *event)
{
	enum scenario_verb verb = event->kind == SCENARIO_ON_ACT ? r->p->s->act[event->act].verb : event->verb;
	unsigned may = event->kind == SCENARIO_ON_VERB || event->kind == SCENARIO_ON_ACT ? scenario_verb_may(verb) : SCENARIO_IS_ANY;

	if (may == 0) return scenario_read_path(r, &event->path);
	return scenario_read_set(r, may, scenario_kinds_name(may), &event->path.from);
}

/* Can the file cause it? Lines that could not be read may cause anything. */
static bool check_cause(struct scenario_reader *r, const struct scenario_event *event, struct scenario_spot name, struct scenario_spot of)
{
	const struct scenario *s = r->p->s;
	const char *phrase = event->kind == SCENARIO_ON_ACT ? "happens" : scenario_verb_word[event->verb].phrase;
	struct scenario_event any = *event;
	uint64_t first, last;
	bool ends = !event->end;

	assert(event->kind < SCENARIO_ON_KINDS);
	assert(event->kind != SCENARIO_ON_ACT || event->act < s->acts);
	any.path = (struct scenario_path){ 0 };
	if (r->p->any_event || event->kind == SCENARIO_ON_START) return true;
	if (event->kind == SCENARIO_ON_VERB && r->p->caused[event->verb] && !scenario_event_when(s, &any, &first, &last)) return true;
	if (!scenario_event_when(s, &any, &first, &last)) return complain_event(r, name, phrase);
	if (!scenario_event_when(s, event, &first, &last)) {
		return scenario_complain(r->p, r->st, of,
		                         "expected one to whom it happens here. Nothing there %s, so this line would never be judged.", phrase);
	}
	for (uint32_t i = 0; i < s->acts && !ends; i++) ends = act_is(&s->act[i], event, i) && act_ends(s, &s->act[i]);
	return ends || scenario_complain(r->p, r->st, name, "expected an event that has an end here: one with for=, or a crash with a restart.");
}

bool scenario_read_event(struct scenario_reader *r, struct scenario_event *out)
{
	struct scenario_event event = { 0 };
	struct scenario_spot name, of;
	bool good;

	event.end = scenario_accept(r, "end");
	if (event.end && !scenario_need(r, "of")) return false;
	name = scenario_peek(r);
	good = read_name(r, &event);
	if (event.end && event.kind == SCENARIO_ON_START) good = scenario_complain(r->p, r->st, name, "expected an event that ends.");
	of = scenario_peek_atom(r);
	if (!good) {
		r->st->errors++; /* nothing may come of this line */
		while (!scenario_at_end(r) && is_set_next(r)) scenario_skip(r, scenario_peek(r));
		return true;
	}
	if (is_set_next(r) && !read_members(r, &event)) return false;
	if (!check_cause(r, &event, name, of)) r->st->errors++;
	*out = event;
	return true;
}
