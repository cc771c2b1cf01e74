/* The timeline: "at" TIME verb (set | path) {opt}. */
#include "scenario_parse.h"

#include <assert.h>
#include <string.h>

/* What the set of a verb may name; 0: it takes a path. */
unsigned scenario_verb_may(enum scenario_verb verb)
{
	switch (verb) {
	case SCENARIO_CLOSE:
	case SCENARIO_LEAVE:
	case SCENARIO_JOIN:
	case SCENARIO_MOVE:
	case SCENARIO_CLONE: return SCENARIO_IS_CLIENTS;
	case SCENARIO_CUT:
	case SCENARIO_RESET:
	case SCENARIO_DEGRADE:
	case SCENARIO_SWIZZLE: return 0;
	case SCENARIO_REMAP:
	case SCENARIO_CALM: return SCENARIO_IS_NODES;
	default: return SCENARIO_IS_ANY;
	}
}

/* Clients and control crash and restart in the language, and not here yet. */
static unsigned simulated(enum scenario_verb verb) { return verb <= SCENARIO_RESTART ? SCENARIO_IS_NODES : scenario_verb_may(verb); }

const char *scenario_kinds_name(unsigned kinds)
{
	return kinds == SCENARIO_IS_NODES ? "nodes, as in fra/1" : kinds == SCENARIO_IS_CLIENTS ? "clients" : "nodes or clients";
}

/* "crash silent refuse" is one verb of three words. */
static bool read_verb(struct scenario_reader *r, enum scenario_verb *out)
{
	struct scenario_spot spot = scenario_peek(r);
	bool bad = false;
	uint32_t found = scenario_read_word(r->p, r->st, spot, scenario_verb_word, SCENARIO_VERBS, "a verb", &bad);

	if (found == SCENARIO_VERBS) {
		r->p->any_event = true;
		return false;
	}
	scenario_skip(r, spot);
	if (found == SCENARIO_CRASH && scenario_accept(r, "silent"))
		found = scenario_accept(r, "refuse") ? SCENARIO_CRASH_SILENT_REFUSE : SCENARIO_CRASH_SILENT;
	*out = (enum scenario_verb)found;
	r->p->caused[found] = true;
	return !bad;
}

static bool is_event_name(struct scenario_spot spot)
{
	return scenario_find_word(scenario_verb_word, SCENARIO_VERBS, spot) < SCENARIO_VERBS ||
	       scenario_find_word(scenario_event_word, SCENARIO_ON_KINDS, spot) < SCENARIO_ON_KINDS || scenario_spot_is(spot, "end");
}

static void check_name(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_act *act)
{
	const struct scenario_token *token = scenario_option_token(st, "as");
	enum scenario_metric metric;
	enum scenario_statistic statistic;

	if (act->as == NULL) return;
	if (is_event_name(scenario_value_of(token)) || scenario_is_metric(scenario_value_of(token), &metric, &statistic)) {
		scenario_complain(p, st, scenario_value_of(token), "a word of the language, expected a name.");
	}
	for (uint32_t i = 0; i < p->s->acts; i++) {
		const struct scenario_act *other = &p->s->act[i];

		if (other->as == NULL || strcmp(other->as, act->as) != 0) continue;
		scenario_complain(p, st, scenario_value_of(token), "expected a name that no other line has (line %u).", other->line.line);
		return;
	}
}

static void check_options(struct scenario_parse *p, struct scenario_stmt *st, const struct scenario_act *act)
{
	const struct scenario_token *every = scenario_option_token(st, "every"), *times = scenario_option_token(st, "times");

	if (times != NULL && every == NULL) scenario_complain(p, st, scenario_spot_of(times), "expected every= beside it.");
	if (every != NULL && times == NULL) scenario_complain(p, st, scenario_spot_of(every), "expected times= beside it.");
	if (every == NULL || act->every.unit == SCENARIO_NONE) return;
	if (act->hold.unit != SCENARIO_NONE && act->hold.hi >= act->every.lo)
		scenario_complain(p, st, scenario_spot_of(every), "expected a longer every= than for=.");
	if (act->down.unit != SCENARIO_NONE && act->down.hi >= act->every.lo)
		scenario_complain(p, st, scenario_spot_of(every), "expected a longer every= than down=.");
}

/* The set, then options; a line with an error in its set still has its name and its options read. */
static void read_rest(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_reader *r, struct scenario_act *act)
{
	struct scenario_place place[] = { scenario_act_options(act), scenario_settings_options(&act->settings, false),
		                          scenario_mesh_key_options(&act->settings) };
	unsigned may = scenario_verb_may(act->verb);
	struct scenario_spot first = scenario_peek_atom(r);

	place[1].later = true; /* what else changes with a restart */
	if (may == 0 ? !scenario_read_path(r, &act->path) : !scenario_read_set(r, may, scenario_kinds_name(simulated(act->verb)), &act->path.from)) {
		while (r->at < r->tokens && r->token[r->at].key == 0) r->at++;
	} else if (may != 0 && (scenario_set_kinds(&act->path.from) & ~simulated(act->verb)) != 0) {
		scenario_complain(p, st, first, "for which %s is not simulated yet, expected %s.", scenario_verb_name(act->verb),
		                  scenario_kinds_name(simulated(act->verb)));
	}
	scenario_read_options(p, st, r->at, place, act->verb == SCENARIO_RESTART ? 3 : 1);
	check_name(p, st, act);
	check_options(p, st, act);
}

void scenario_read_act(struct scenario_parse *p, struct scenario_stmt *st)
{
	static const struct scenario_want want = { SCENARIO_TIME, true, 0, SCENARIO_TIME_MAX, "after at" };
	struct scenario_reader r = scenario_reader_of(p, st, 1);
	struct scenario_spot time = scenario_peek(&r);
	struct scenario_act act = { .line = st->line };
	const struct scenario_token *as = scenario_option_token(st, "as");

	assert(st->kind == SCENARIO_S_AT);
	scenario_read_amount(p, st, time, &want, &act.at);
	if (time.p == NULL) return;
	scenario_skip(&r, time);
	if (!read_verb(&r, &act.verb)) {
		if (as != NULL) *SCENARIO_ADD(p, p->lost_name, p->lost_names) = scenario_value_of(as).p;
		return;
	}
	act.line.word = st->line.word = scenario_format(p, "at %s", scenario_verb_name(act.verb));
	assert(act.verb < SCENARIO_VERBS);
	act.line.number = ++p->verbs[act.verb];
	read_rest(p, st, &r, &act);
	*SCENARIO_ADD(p, p->s->act, p->s->acts) = act;
}
