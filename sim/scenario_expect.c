/* What is demanded: ("expect" | "goal") when ( condition | "nothing" WORD {"," WORD} ). */
#include "scenario_parse.h"

#include <assert.h>

enum first_word { ALWAYS, SOMETIMES, IN, AT, WITHIN, FROM, FIRST_WORDS };
static const struct scenario_word first_table[FIRST_WORDS] = {
	[ALWAYS] = { "always", 1, 0 }, [SOMETIMES] = { "sometimes", 1, 0 }, [IN] = { "in", 1, 0 },
	[AT] = { "at", 1, 0 },         [WITHIN] = { "within", 1, 0 },       [FROM] = { "from", 1, 0 },
};

static bool read_time(struct scenario_reader *r, const char *where, struct scenario_expect *e)
{
	struct scenario_want want = { SCENARIO_TIME, false, 0, SCENARIO_TIME_MAX, where };
	struct scenario_spot spot = scenario_peek(r);
	struct scenario_amount amount = { 0 };

	if (!scenario_read_amount(r->p, r->st, spot, &want, &amount)) {
		if (spot.p == NULL) return false;
		if (spot.n == 0 || spot.p[0] < '0' || spot.p[0] > '9') return true; /* it was left out */
	}
	scenario_skip(r, spot);
	e->time = amount.lo;
	return true;
}

static bool read_when(struct scenario_reader *r, struct scenario_expect *e)
{
	struct scenario_spot spot = scenario_peek(r);
	bool bad = false;
	uint32_t first = scenario_read_word(r->p, r->st, spot, first_table, FIRST_WORDS, "when", &bad);

	if (bad) return false;
	scenario_skip(r, spot);
	switch ((enum first_word)first) {
	case ALWAYS: e->when = SCENARIO_ALWAYS; return true;
	case SOMETIMES: e->when = SCENARIO_SOMETIMES; return true;
	case IN: e->when = SCENARIO_IN_SOME_RUN; return scenario_need(r, "some") && scenario_need(r, "run");
	case AT:
		e->when = SCENARIO_AT_END;
		if (scenario_accept(r, "end")) return true;
		e->when = SCENARIO_AT;
		return read_time(r, "after at", e);
	case WITHIN: e->when = SCENARIO_WITHIN; return read_time(r, "after within", e) && scenario_need(r, "of") && scenario_read_event(r, &e->event);
	case FROM: e->when = SCENARIO_FROM; return read_time(r, "after from", e) && scenario_need(r, "after") && scenario_read_event(r, &e->event);
	case FIRST_WORDS: break;
	}
	return false;
}

static bool read_nothing(struct scenario_reader *r, struct scenario_expect *e)
{
	do {
		struct scenario_spot spot = scenario_peek_atom(r);
		bool bad = false;
		uint32_t found = scenario_read_word(r->p, r->st, spot, scenario_nothing_word, SCENARIO_NOTHINGS, "a fault", &bad);

		if (spot.p == NULL || spot.n == 0) return false;
		scenario_skip(r, spot);
		if (!bad) e->nothing |= 1u << found;
	} while (scenario_accept(r, ","));
	return true;
}

static bool read_all(struct scenario_reader *r, struct scenario_expect *e)
{
	if (!read_when(r, e)) return false;
	if (scenario_accept(r, "nothing") ? !read_nothing(r, e) : !scenario_read_condition(r, &e->condition)) return false;
	return scenario_at_end(r) || scenario_complain(r->p, r->st, scenario_peek_atom(r), "expected the end of the line.");
}

void scenario_read_expect(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_reader r = scenario_reader_of(p, st, 1);
	struct scenario_expect e = { .line = st->line, .goal = st->kind == SCENARIO_S_GOAL };

	assert(e.goal || st->kind == SCENARIO_S_EXPECT);
	e.line.number = 1;
	for (uint32_t i = p->s->expects; i > 0 && e.line.number == 1; i--) {
		if (p->s->expect[i - 1].goal == e.goal) e.line.number = p->s->expect[i - 1].line.number + 1;
	}
	if (read_all(&r, &e) && st->errors == 0) *SCENARIO_ADD(p, p->s->expect, p->s->expects) = e;
}
