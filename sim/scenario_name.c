/* let, vary and --set: values with names.
 *
 * $NAME stands in any token but those of what the story is about; it is replaced here, before a statement is read. A let may use
 * other names. --set overrides a let or a vary, or an option of the one line of its statement, as if it were written there. */
#include "scenario_parse.h"

#include <string.h>

enum { DEPTH_MAX = 8, SETTING_MAX = 500 };

/* One --set: name, perhaps an option, value. */
struct setting {
	const char *whole; /* "--set name=value" */
	const char *name, *option, *value;
};

static const char *value_of(const struct scenario *s, const char *name, uint32_t n)
{
	for (uint32_t i = 0; i < s->lets; i++) {
		if (strlen(s->let[i].name) == n && memcmp(s->let[i].name, name, n) == 0) return s->let[i].value;
	}
	for (uint32_t i = 0; i < s->varies; i++) {
		if (strlen(s->vary[i].name) == n && memcmp(s->vary[i].name, name, n) == 0) return s->vary[i].chosen;
	}
	return NULL;
}

/* ---- declarations ---- */

static bool declare(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot name)
{
	const struct scenario *s = p->s;
	const struct scenario_line *taken = NULL;

	if (!scenario_is_name(name.p, name.n)) return scenario_complain(p, st, name, "expected a name: " SCENARIO_NAME_RULE ".");
	for (uint32_t i = 0; i < s->lets; i++) {
		if (scenario_spot_is(name, s->let[i].name)) taken = &s->let[i].line;
	}
	for (uint32_t i = 0; i < s->varies; i++) {
		if (scenario_spot_is(name, s->vary[i].name)) taken = &s->vary[i].line;
	}
	return taken == NULL || scenario_complain(p, st, name, "expected a name that no let or vary has (line %u).", taken->line);
}

static void read_let(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_reader r = scenario_reader_of(p, st, 1);
	struct scenario_spot whole = scenario_peek(&r), value;
	struct scenario_let let = { .line = st->line };

	if (whole.p == NULL || whole.token->key == 0) {
		scenario_complain(p, st, whole, "expected NAME=VALUE.");
		p->any_let = true;
		return;
	}
	value = scenario_value_of(whole.token);
	if (!declare(p, st, scenario_part_of(whole, 0, whole.token->key - 1))) return;
	let.line.number = 1;
	let.name = scenario_copy(p, whole.p, whole.token->key - 1);
	let.value = value.p;
	*SCENARIO_ADD(p, p->s->let, p->s->lets) = let;
	scenario_skip(&r, whole);
	if (value.n == 0)
		scenario_complain(p, st, value, "expected a value for %s.", let.name);
	else if (!scenario_at_end(&r))
		scenario_complain(p, st, scenario_peek(&r), "expected the end of the line; a value with a blank stands in \"quotes\".");
}

static void add_value(struct scenario_parse *p, struct scenario_vary *vary, const char *value)
{
	*SCENARIO_ADD(p, vary->value, vary->values) = value;
}

/* VALUE "to" VALUE ["by" VALUE] */
static bool enumerate(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_vary *vary)
{
	enum scenario_unit unit = scenario_unit_of(st->token[2].p, st->token[2].n);
	struct scenario_want want = { .unit = unit, .hi = UINT64_MAX - 1, .where = "for vary" };
	struct scenario_amount from, to, by = { .lo = 1 };
	char text[64];

	if (unit == SCENARIO_NONE) return scenario_complain(p, st, scenario_spot_of(&st->token[2]), "expected a number to begin with.");
	if (st->tokens != 5 && (st->tokens != 7 || !scenario_spot_is(scenario_spot_of(&st->token[5]), "by"))) {
		return scenario_complain(p, st, scenario_spot_of(&st->token[st->tokens > 5 ? 5 : 3]), "expected VALUE to VALUE by VALUE.");
	}
	if (!scenario_read_amount(p, st, scenario_spot_of(&st->token[2]), &want, &from)) return false;
	if (!scenario_read_amount(p, st, scenario_spot_of(&st->token[4]), &want, &to)) return false;
	if (st->tokens == 5 && unit != SCENARIO_COUNT)
		return scenario_complain(p, st, (struct scenario_spot){ .column = scenario_reader_of(p, st, 5).end }, "expected 'by' and a step.");
	want.lo = 1;
	if (st->tokens == 7 && !scenario_read_amount(p, st, scenario_spot_of(&st->token[6]), &want, &by)) return false;
	if (to.lo < from.lo) return scenario_complain(p, st, scenario_spot_of(&st->token[4]), "expected no less than %s.", st->token[2].p);
	if ((to.lo - from.lo) / by.lo >= SCENARIO_VARY_MAX) {
		return scenario_complain(p, st, scenario_spot_of(&st->token[4]), "expected at most %d values.", SCENARIO_VARY_MAX);
	}
	for (uint64_t k = 0; k <= (to.lo - from.lo) / by.lo; k++) {
		scenario_print_value(unit, from.lo + k * by.lo, text, sizeof text);
		add_value(p, vary, scenario_copy(p, text, strlen(text)));
	}
	return true;
}

static void read_values(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_vary *vary)
{
	if (st->tokens > 4 && scenario_spot_is(scenario_spot_of(&st->token[3]), "to")) {
		enumerate(p, st, vary);
		return;
	}
	for (uint32_t i = 2; i < st->tokens && vary->values < SCENARIO_VARY_MAX; i++) {
		if (st->token[i].n == 0) scenario_complain(p, st, scenario_spot_of(&st->token[i]), "expected a value.");
		add_value(p, vary, st->token[i].p);
	}
	if (st->tokens > SCENARIO_VARY_MAX + 2) {
		scenario_complain(p, st, scenario_spot_of(&st->token[SCENARIO_VARY_MAX + 2]), "expected at most %d values.", SCENARIO_VARY_MAX);
	}
}

static void read_vary(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_reader r = scenario_reader_of(p, st, 1);
	struct scenario_vary vary = { .line = st->line, .chosen = "" };

	if (scenario_at_end(&r)) {
		scenario_complain(p, st, scenario_peek(&r), "expected a name and its values.");
		return;
	}
	if (!declare(p, st, scenario_spot_of(&st->token[1]))) {
		p->any_let = true;
		return;
	}
	vary.line.number = 1;
	vary.name = st->token[1].p;
	if (st->tokens == 2)
		scenario_complain(p, st, (struct scenario_spot){ .column = r.end }, "expected values: VALUE VALUE .., or VALUE to VALUE by VALUE.");
	else
		read_values(p, st, &vary);
	if (vary.values > 0) vary.chosen = vary.value[0];
	*SCENARIO_ADD(p, p->s->vary, p->s->varies) = vary;
}

/* ---- $NAME ---- */

struct expansion {
	char text[SCENARIO_COLUMNS_MAX];
	uint32_t n;
	uint32_t names; /* replaced so far */
	bool too_long, too_deep;
	struct scenario_spot unknown; /* p NULL: none */
};

static void expand(const struct scenario *s, struct scenario_spot spot, uint32_t depth, struct expansion *out)
{
	for (uint32_t i = 0; i < spot.n && !out->too_long && !out->too_deep && out->unknown.p == NULL;) {
		uint32_t n = 0;

		if (spot.p[i] != '$') {
			if (out->n == sizeof out->text)
				out->too_long = true;
			else
				out->text[out->n++] = spot.p[i];
			i++;
			continue;
		}
		i++;
		while (i + n < spot.n && scenario_is_name(spot.p + i, n + 1)) n++;
		const char *value = value_of(s, spot.p + i, n);
		if (value == NULL)
			out->unknown = scenario_part_of(spot, i, n);
		else if (depth == DEPTH_MAX || ++out->names > SCENARIO_COLUMNS_MAX)
			out->too_deep = true;
		else
			expand(s, (struct scenario_spot){ .p = value, .n = (uint32_t)strlen(value) }, depth + 1, out);
		i += n;
	}
}

static bool unknown_name(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot token, struct scenario_spot unknown)
{
	struct scenario_guess guess = scenario_guess_begin(p, unknown);
	char list[400] = "";
	uint32_t listed = 0;

	for (uint32_t i = 0; i < p->s->lets; i++) {
		scenario_guess_offer(&guess, p->s->let[i].name);
		scenario_list_add(list, sizeof list, &listed, p->s->let[i].name);
	}
	for (uint32_t i = 0; i < p->s->varies; i++) {
		scenario_guess_offer(&guess, p->s->vary[i].name);
		scenario_list_add(list, sizeof list, &listed, p->s->vary[i].name);
	}
	if (unknown.token == NULL) unknown = token; /* in the value of a let */
	if (listed == 0) return scenario_complain(p, st, unknown, "expected the name of a let or vary, and there is none here.");
	return scenario_complain(p, st, unknown, "expected the name of a let or vary: %s.%s", list, scenario_guess_text(p, &guess));
}

static void replace(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_token *token)
{
	struct expansion e = { .n = 0 };
	struct scenario_spot whole = { .p = token->p, .n = token->n, .column = token->column, .token = token };

	if (memchr(token->p, '$', token->n) == NULL) return;
	expand(p->s, whole, 0, &e);
	if (e.unknown.p != NULL && !p->any_let)
		unknown_name(p, st, whole, e.unknown);
	else if (e.too_deep || e.too_long)
		scenario_complain(p, st, whole,
		                  e.too_deep ? "expected a name whose value does not lead back to itself." : "expected a shorter value.");
	token->broken = e.unknown.p != NULL || e.too_deep || e.too_long || e.n == token->key;
	token->names = token->p;
	token->p = scenario_copy(p, e.text, e.n);
	token->n = e.n;
}

static void replace_names(struct scenario_parse *p)
{
	for (uint32_t i = 0; i < p->stmts; i++) {
		struct scenario_stmt *st = &p->stmt[i];

		for (uint32_t k = 1; k < st->tokens && (st->kind == SCENARIO_S_UNTIL || st->kind >= SCENARIO_S_WORLD); k++)
			replace(p, st, &st->token[k]);
	}
}

/* ---- --set ---- */

static struct scenario_spot spot_of(struct scenario_parse *p, const struct setting *set, const char *text)
{
	struct scenario_token *token = scenario_take(p, sizeof *token);

	*token = (struct scenario_token){ .p = text, .n = (uint32_t)strlen(text), .set = set->whole };
	return scenario_spot_of(token);
}

/* Splits "name=value" or "statement.option=value". */
static bool read_setting(struct scenario_parse *p, const char *text, struct setting *out)
{
	const char *equals = strchr(text, '='), *dot = strchr(text, '.');
	const char *end = memchr(text, '\0', SETTING_MAX);
	size_t n = end == NULL ? SETTING_MAX : (size_t)(end - text);

	out->whole = scenario_format(p, "--set %.*s", (int)n, text);
	if (n == SETTING_MAX || equals == NULL || equals == text || equals[1] == '\0') {
		return scenario_complain(p, NULL, spot_of(p, out, scenario_copy(p, text, n)), "expected name=value, or statement.option=value.");
	}
	if (dot != NULL && dot > equals) dot = NULL;
	out->name = scenario_copy(p, text, (size_t)((dot != NULL ? dot : equals) - text));
	out->option = dot == NULL ? NULL : scenario_copy(p, dot + 1, (size_t)(equals - dot) - 1);
	out->value = scenario_copy(p, equals + 1, strlen(equals + 1));
	return true;
}

static void set_name(struct scenario_parse *p, const struct setting *set)
{
	struct scenario *s = p->s;
	struct scenario_spot name = spot_of(p, set, set->name);

	for (uint32_t i = 0; i < s->lets; i++) {
		if (!scenario_spot_is(name, s->let[i].name)) continue;
		s->let[i].value = set->value;
		s->let[i].set = true;
		return;
	}
	for (uint32_t i = 0; i < s->varies; i++) {
		if (!scenario_spot_is(name, s->vary[i].name)) continue;
		s->vary[i].chosen = set->value;
		s->vary[i].set = true;
		return;
	}
	unknown_name(p, NULL, name, name);
}

/* A line that nobody wrote: world and policy need none. */
static struct scenario_stmt *new_stmt(struct scenario_parse *p, enum scenario_statement kind)
{
	struct scenario_stmt *st = SCENARIO_ADD(p, p->stmt, p->stmts);
	const char *name = scenario_statement_word[kind].name;

	*st = (struct scenario_stmt){ .kind = kind, .line = { .file = p->s->file[0].name, .text = name, .word = name } };
	*SCENARIO_ADD(p, st->token, st->tokens) = (struct scenario_token){ .p = name, .n = (uint32_t)strlen(name) };
	return st;
}

static void set_option(struct scenario_parse *p, const struct setting *set)
{
	struct scenario_spot name = spot_of(p, set, set->name);
	struct scenario_stmt *found = NULL;
	uint32_t kind, lines = 0, k = 1, complaints = p->complaints;
	bool bad = false;

	kind = scenario_read_word(p, NULL, name, scenario_statement_word, SCENARIO_STATEMENTS, "a statement", &bad);
	if (p->complaints != complaints) return;
	if (kind < SCENARIO_S_WORLD || kind > SCENARIO_S_AT) {
		scenario_complain(p, NULL, name, "expected a statement that has options.");
		return;
	}
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == kind) found = &p->stmt[i], lines++;
	}
	if (lines == 0 && (kind == SCENARIO_S_WORLD || kind == SCENARIO_S_POLICY)) found = new_stmt(p, (enum scenario_statement)kind), lines = 1;
	if (lines != 1) {
		scenario_complain(p, NULL, name, "expected a statement of one line, and here are %u. Use a let and --set that.", lines);
		return;
	}
	while (k < found->tokens &&
	       (found->token[k].key != strlen(set->option) + 1 || memcmp(found->token[k].p, set->option, found->token[k].key - 1) != 0))
		k++;
	if (k == found->tokens) SCENARIO_ADD(p, found->token, found->tokens);
	found->token[k] = (struct scenario_token){ .p = scenario_format(p, "%s=%s", set->option, set->value),
		                                   .key = (uint32_t)strlen(set->option) + 1,
		                                   .set = set->whole };
	found->token[k].n = (uint32_t)strlen(found->token[k].p);
}

void scenario_read_names(struct scenario_parse *p)
{
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_LET) read_let(p, &p->stmt[i]);
		if (p->stmt[i].kind == SCENARIO_S_VARY) read_vary(p, &p->stmt[i]);
	}
	for (uint32_t i = 0; i < p->request->sets; i++) {
		struct setting set = { 0 };

		if (!read_setting(p, p->request->set[i], &set)) continue;
		if (set.option == NULL)
			set_name(p, &set);
		else
			set_option(p, &set);
	}
	replace_names(p);
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->once[p->stmt[i].kind] == NULL) p->once[p->stmt[i].kind] = &p->stmt[i];
	}
}
