/* Expectations: each judged when what it looks at has changed, with the state of a whole instant, and at the ends of its windows.
 *
 * within T of E: a window opens at each E and closes at the first moment at which the condition holds; one that is still open T later, or at
 * the end of the run, is missed. from T after E: at every moment from then to the next line of the timeline, or the end. An expectation
 * whose event did not happen was never judged, and fails. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scenario_expect *def_of(const struct story_judge *j) { return j->result.def; }

/* ---- one look ---- */

static void keep_worst(struct story *st, struct story_judge *j, uint64_t value)
{
	if (j->judged && !metric_worse(&def_of(j)->condition, value, j->worst)) return;
	j->worst = value;
	j->worst_at = sim_now(st->sim);
}

static void windows_hold(struct story *st, struct story_judge *j, uint64_t value)
{
	uint64_t now = sim_now(st->sim);

	for (uint32_t i = j->first_open; i < j->windows; i++) {
		struct story_window *w = &j->window[i];
		if (w->done) continue;
		w->done = true;
		if (now - w->at >= j->longest) j->longest = now - w->at, j->worst = value;
		j->held = true;
	}
	j->first_open = j->windows;
}

static void windows_expire(struct story *st, struct story_judge *j, bool at_end, uint64_t value)
{
	uint64_t now = sim_now(st->sim);

	for (; j->first_open < j->windows; j->first_open++) {
		const struct story_window *w = &j->window[j->first_open];
		if (w->done) continue;
		if (!at_end && w->at + def_of(j)->time > now) return;
		if (!j->broken) j->worst = value, j->worst_at = now;
		j->broken = true;
	}
}

/* Looks once, now. */
static void look(struct story *st, struct story_judge *j)
{
	const struct scenario_expect *e = def_of(j);
	uint64_t value;
	bool holds;

	if (!metric_measure(st, j, &value)) {
		if (e->when == SCENARIO_WITHIN) windows_expire(st, j, false, 0);
		return;
	}
	holds = metric_holds(&e->condition, value);
	switch (e->when) {
	case SCENARIO_ALWAYS:
		keep_worst(st, j, value);
		j->judged = true;
		j->broken = j->broken || !holds;
		break;
	case SCENARIO_SOMETIMES:
	case SCENARIO_IN_SOME_RUN:
		if (!j->judged || metric_worse(&e->condition, j->worst, value)) j->worst = value, j->worst_at = sim_now(st->sim); /* the best */
		j->judged = true;
		j->held = j->held || holds;
		break;
	case SCENARIO_FROM:
		if (sim_now(st->sim) < j->from_at) break;
		keep_worst(st, j, value);
		j->judged = true;
		j->broken = j->broken || !holds;
		break;
	case SCENARIO_WITHIN:
		if (holds) windows_hold(st, j, value);
		windows_expire(st, j, false, value);
		break;
	case SCENARIO_AT:
	case SCENARIO_AT_END:
		j->worst = value;
		j->worst_at = sim_now(st->sim);
		j->judged = true;
		j->broken = !holds;
		break;
	case SCENARIO_WHENS: break;
	}
}

static bool looks_always(const struct story_judge *j)
{
	enum scenario_when w = def_of(j)->when;

	return def_of(j)->nothing == 0 && w != SCENARIO_AT && w != SCENARIO_AT_END;
}

/* Judged at one moment, and yet of what happened in the second before it. */
static bool follows(const struct story_judge *j) { return def_of(j)->nothing == 0 && def_of(j)->condition.statistic == SCENARIO_PER_SECOND; }

void check_moment(struct story *st)
{
	uint32_t dirt = st->dirt;
	uint64_t value;

	st->dirt = 0;
	for (uint32_t i = 0; i < st->judges; i++) {
		struct story_judge *j = &st->judge[i];
		bool changed = (metric_dirt(def_of(j)->condition.metric) & dirt) != 0;
		if (j->due || (changed && looks_always(j)))
			look(st, j);
		else if (changed && follows(j))
			metric_measure(st, j, &value);
		j->due = false;
	}
}

void check_all(struct story *st)
{
	st->dirt = DIRT_ALL;
	sim_moment(st->sim);
}

/* What else happens at this instant counts too: the look is at its end. */
static void window_end(void *ctx, uint32_t judge)
{
	struct story *st = ctx;

	st->judge[judge].due = true;
	sim_moment(st->sim);
}

/* ---- events ---- */

static bool event_is(const struct story *st, const struct scenario_event *e, enum scenario_event_kind kind, enum scenario_verb verb, uint32_t act,
                     bool end, uint32_t node, uint32_t client)
{
	if (e->end != end) return false;
	if (e->kind == SCENARIO_ON_ACT) {
		if (kind != SCENARIO_ON_VERB || e->act != act || st->scenario->act[act].verb != verb) return false;
	} else if (e->kind != kind || (kind == SCENARIO_ON_VERB && !scenario_verb_is(verb, e->verb))) {
		return false;
	}
	if (e->path.from.parts == 0) return true;
	return node != NOBODY ? set_has_node(st, &e->path.from, node) : client != NOBODY && set_has_client(st, &e->path.from, client);
}

static void open_window(struct story *st, uint32_t index)
{
	struct story_judge *j = &st->judge[index];
	uint64_t now = sim_now(st->sim);

	j->judged = true;
	MEM_ROOM(j->window, j->windows, j->windows_cap);
	j->window[j->windows++] = (struct story_window){ .at = now };
	sim_call_at(st->sim, j->call, now + def_of(j)->time);
	story_dirty(st, metric_dirt(def_of(j)->condition.metric));
}

static void open_from(struct story *st, uint32_t index)
{
	struct story_judge *j = &st->judge[index];
	uint64_t at = sim_now(st->sim) + def_of(j)->time;

	if (j->from_at != TIME_NEVER) return; /* the first event of the line counts */
	j->from_at = at;
	sim_call_at(st->sim, j->call, at);
}

void check_event(struct story *st, enum scenario_event_kind kind, enum scenario_verb verb, uint32_t act, bool end, uint32_t node, uint32_t client)
{
	for (uint32_t i = 0; i < st->judges; i++) {
		struct story_judge *j = &st->judge[i];
		const struct scenario_expect *e = def_of(j);
		if (e->nothing != 0) continue;
		if (e->condition.has_since && event_is(st, &e->condition.since, kind, verb, act, end, node, client)) metric_since(st, j);
		if (e->when != SCENARIO_WITHIN && e->when != SCENARIO_FROM) continue;
		if (!event_is(st, &e->event, kind, verb, act, end, node, client)) continue;
		if (e->when == SCENARIO_WITHIN)
			open_window(st, i);
		else
			open_from(st, i);
	}
}

void check_line(struct story *st)
{
	if (!st->begun) metric_start(st);
	for (uint32_t i = 0; i < st->judges; i++) st->judge[i].from_at = TIME_NEVER;
}

/* ---- the end ---- */

static const char *print_value(const struct story_judge *j, uint64_t value, char out[48])
{
	story_print_value(def_of(j)->condition.unit, value, out, 48);
	return out;
}

static const char *print_time(uint64_t ns, char out[48])
{
	story_print_value(SCENARIO_TIME, ns, out, 48);
	return out;
}

static void say_within(struct story_judge *j)
{
	char value[48], time[48];
	char *out = j->result.measured;
	size_t cap = sizeof j->result.measured;

	if (j->broken)
		snprintf(out, cap, "%s at %s", print_value(j, j->worst, value), print_time(j->worst_at, time));
	else
		snprintf(out, cap, "%s after %s%s", print_value(j, j->worst, value), print_time(j->longest, time),
		         j->windows > 1 ? " (the slowest)" : "");
}

static void say(struct story_judge *j)
{
	char value[48], time[48];
	enum scenario_when when = def_of(j)->when;
	bool timed = when == SCENARIO_ALWAYS || when == SCENARIO_FROM || when == SCENARIO_SOMETIMES || when == SCENARIO_IN_SOME_RUN;

	if (!j->judged)
		snprintf(j->result.measured, sizeof j->result.measured, "never judged");
	else if (when == SCENARIO_WITHIN)
		say_within(j);
	else if (timed)
		snprintf(j->result.measured, sizeof j->result.measured, "%s at %s", print_value(j, j->worst, value), print_time(j->worst_at, time));
	else
		snprintf(j->result.measured, sizeof j->result.measured, "%s", print_value(j, j->worst, value));
}

/* `nothing X` is a look at the findings. */
static void judge_nothing(const struct story *st, struct story_judge *j)
{
	uint32_t n = 0;

	for (int k = 0; k < SCENARIO_NOTHINGS; k++)
		if ((def_of(j)->nothing >> k & 1) != 0) n += st->found[k];
	j->result.verdict = n > 0 ? STORY_MISSED : STORY_OK;
	snprintf(j->result.measured, sizeof j->result.measured, n == 0 ? "none" : "%u", n);
}

static void judge_end(struct story *st, struct story_judge *j)
{
	const struct scenario_expect *e = def_of(j);
	uint64_t value = 0;

	if (e->nothing != 0) {
		judge_nothing(st, j);
		return;
	}
	if (e->when == SCENARIO_AT_END) look(st, j);
	if (e->when == SCENARIO_WITHIN) {
		metric_measure(st, j, &value);
		windows_expire(st, j, true, value);
	}
	if (e->when == SCENARIO_SOMETIMES || e->when == SCENARIO_IN_SOME_RUN) j->broken = !j->held;
	j->result.verdict = !j->judged ? STORY_NEVER_JUDGED : j->broken ? STORY_MISSED : STORY_OK;
	if (e->when == SCENARIO_IN_SOME_RUN) j->result.verdict = STORY_OK; /* a run only notes it */
	say(j);
}

void check_end(struct story *st)
{
	st->dirt = DIRT_ALL;
	check_moment(st);
	for (uint32_t i = 0; i < st->judges; i++) {
		struct story_judge *j = &st->judge[i];
		judge_end(st, j);
		record_expect(st->record, def_of(j)->line.line, def_of(j)->line.text, j->result.measured, j->result.verdict == STORY_OK,
		              def_of(j)->goal);
	}
}

/* An event of "2 of fra": which two is drawn when the line fires, not here. */
static bool event_supported(const struct scenario_expect *e, const struct scenario_event *event, char *error, size_t cap)
{
	for (uint32_t i = 0; i < event->path.from.parts; i++) {
		if (event->path.from.part[i].pick.unit == SCENARIO_NONE) continue;
		snprintf(error, cap, "%s:%u: an event of a drawn part is not simulated yet, expected the whole set", e->line.file, e->line.line);
		return false;
	}
	return true;
}

bool check_build(struct story *st, char *error, size_t cap)
{
	st->judges = st->scenario->expects;
	st->judge = mem_zero(st->judges ? st->judges : 1, sizeof *st->judge);
	for (uint32_t i = 0; i < st->judges; i++) {
		struct story_judge *j = &st->judge[i];
		const struct scenario_expect *e = &st->scenario->expect[i];
		j->result.def = e;
		j->from_at = TIME_NEVER;
		if (e->nothing != 0) continue;
		if (!metric_supported(st, e, error, cap)) return false;
		if (!event_supported(e, &e->event, error, cap) || !event_supported(e, &e->condition.since, error, cap)) return false;
		if (looks_always(j) || follows(j)) st->wanted |= metric_dirt(e->condition.metric);
		j->call = sim_call_add(st->sim, window_end, st, i);
		if (e->when == SCENARIO_AT) sim_call_at(st->sim, j->call, e->time);
	}
	return true;
}

void check_free(struct story *st)
{
	for (uint32_t i = 0; i < st->judges && st->judge != NULL; i++) {
		free(st->judge[i].window);
		free(st->judge[i].rate);
	}
	free(st->judge);
}
