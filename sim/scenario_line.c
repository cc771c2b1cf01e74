/* Files into lines, lines into tokens; and the reader that walks over them.
 *
 * A line is UTF-8 of at most SCENARIO_COLUMNS_MAX bytes; columns count bytes. `include` is followed here, so that all later passes
 * see one list of statements in the order in which one would read them. */
#include "scenario_parse.h"

#include <assert.h>
#include <string.h>

static void read_file(struct scenario_parse *p, struct scenario_stmt *from, uint32_t depth, const struct scenario_text *text);

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool scenario_is_name(const char *p, uint32_t n)
{
	if (n == 0 || n > SCENARIO_NAME_MAX || !is_letter(p[0])) return false;
	for (uint32_t i = 1; i < n; i++) {
		if (!is_letter(p[i]) && !is_digit(p[i]) && p[i] != '-' && p[i] != '_') return false;
	}
	return true;
}

/* ---- what a line is made of ---- */

/* Bytes of the letter of UTF-8 at p, 0 if it is none, or a control character other than a tab. */
static uint32_t letter(const unsigned char *p, uint32_t n)
{
	uint32_t more = p[0] < 0x80 ? 0 : p[0] < 0xc2 ? 9 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : p[0] < 0xf5 ? 3 : 9;

	if (more == 0) return (p[0] >= 0x20 && p[0] != 0x7f) || p[0] == '\t' ? 1 : 0;
	if (more >= n) return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
	for (uint32_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) return 0;
	}
	return more + 1;
}

static bool is_text(struct scenario_parse *p, struct scenario_stmt *st, const char *text, uint32_t n)
{
	for (uint32_t i = 0, step; i < n; i += step) {
		step = letter((const unsigned char *)text + i, n - i);
		if (step == 0) return scenario_say(p, st, i + 1, "found the byte 0x%02x, expected text in UTF-8.", (unsigned)(unsigned char)text[i]);
	}
	return true;
}

/* One token from text[*at]; advances over it. */
static bool split_one(struct scenario_parse *p, struct scenario_stmt *st, const char *text, uint32_t n, uint32_t column, uint32_t *at)
{
	struct scenario_token *token = SCENARIO_ADD(p, st->token, st->tokens);
	char copy[SCENARIO_COLUMNS_MAX];
	uint32_t i = *at, opened = 0; /* behind an opening quote */

	*token = (struct scenario_token){ .p = "", .column = column + i };
	for (; i < n && (opened > 0 || !is_blank(text[i])); i++) {
		if (text[i] == '"' && !token->quoted && token->n == token->key) {
			token->quoted = true;
			opened = i + 1;
		} else if (text[i] == '"' && opened > 0) {
			opened = 0;
		} else if (token->quoted && opened == 0) {
			return scenario_say(p, st, column + i, "found '%c' behind a closing quote, expected a blank.", text[i]);
		} else {
			copy[token->n++] = text[i];
			if (text[i] == '=' && token->key == 0 && !token->quoted && scenario_is_name(copy, token->n - 1)) token->key = token->n;
		}
	}
	*at = i;
	token->p = scenario_copy(p, copy, token->n);
	return opened == 0 || scenario_say(p, st, column + opened - 1, "found a quote that is not closed, expected another \" on this line.");
}

bool scenario_split(struct scenario_parse *p, struct scenario_stmt *st, const char *text, uint32_t n, uint32_t column, uint32_t *comment)
{
	uint32_t at = 0;

	assert(n <= SCENARIO_COLUMNS_MAX);
	while (at < n) {
		if (is_blank(text[at])) {
			at++;
		} else if (text[at] == '#' && comment != NULL) {
			*comment = at;
			return true;
		} else if (!split_one(p, st, text, n, column, &at)) {
			return false;
		}
	}
	if (comment != NULL) *comment = n;
	return true;
}

/* ---- statements ---- */

/* "A: send Ping": the steps of conformance stories. */
static bool is_step(const struct scenario_stmt *st)
{
	for (uint32_t i = 0; i < st->tokens && i < 8; i++) {
		if (st->token[i].n > 0 && st->token[i].p[st->token[i].n - 1] == ':') return true;
		if (!scenario_is_name(st->token[i].p, st->token[i].n)) return false;
	}
	return false;
}

/* What the statement is, although misspelt; SCENARIO_STATEMENTS if nothing can be made of it. */
static enum scenario_statement kind_of(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_spot first = scenario_spot_of(&st->token[0]);
	uint32_t kind = scenario_find_word(scenario_statement_word, SCENARIO_STATEMENTS, first);
	bool bad = false;

	if (kind == SCENARIO_STATEMENTS && is_step(st)) {
		p->any_name = true;
		scenario_complain(p, st, first,
		                  "a step of a conformance story, which is not simulated yet, expected a statement of a failover story.");
		return SCENARIO_STATEMENTS;
	}
	kind = scenario_read_word(p, st, first, scenario_statement_word, SCENARIO_STATEMENTS, "a statement", &bad);
	if (kind == SCENARIO_S_MAYBE || kind == SCENARIO_S_SWARM || kind == SCENARIO_STATEMENTS) p->any_event = true;
	if (kind >= SCENARIO_S_CASE) p->any_name = true;
	return bad ? SCENARIO_STATEMENTS : (enum scenario_statement)kind;
}

static void follow(struct scenario_parse *p, struct scenario_stmt *st, uint32_t depth)
{
	char reason[SCENARIO_REASON_SIZE] = "";
	struct scenario_text text = { 0 };
	struct scenario_spot path = st->tokens > 1 ? scenario_spot_of(&st->token[1]) : (struct scenario_spot){ .column = st->line.column + 7 };

	if (path.p == NULL || path.n == 0 || st->tokens > 2) {
		if (st->tokens > 2) path = scenario_spot_of(&st->token[2]);
		scenario_complain(p, st, path, "expected one path behind include.");
	} else if (p->request->load == NULL) {
		scenario_complain(p, st, path, "expected no include: nothing can be read here.");
	} else if (depth + 1 >= SCENARIO_DEPTH_MAX || p->s->files >= SCENARIO_FILES_MAX) {
		scenario_complain(p, st, path, "expected at most %d files, %d deep: does one include itself?", SCENARIO_FILES_MAX,
		                  SCENARIO_DEPTH_MAX);
	} else if (!p->request->load(p->request->ctx, SCENARIO_FILE_INCLUDE, st->line.file, path.p, &text, reason)) {
		scenario_complain(p, st, path, "expected a file to include: %.*s.", (int)sizeof reason - 1, reason);
	} else {
		assert(text.name != NULL);
		read_file(p, st, depth + 1, &text);
		return;
	}
	p->any_event = p->any_name = true;
}

static void title_of(struct scenario_parse *p, const char *text, uint32_t n)
{
	uint32_t from = 1;

	if (n == 0 || text[0] != '#') return;
	while (from < n && is_blank(text[from])) from++;
	while (n > from && is_blank(text[n - 1])) n--;
	p->s->title = scenario_copy(p, text + from, n - from);
}

/* What follows `why` is a text, not tokens: a comment in it begins at a # at the start of a word. */
static bool is_why(const char *text, uint32_t n) { return n >= 3 && memcmp(text, "why", 3) == 0 && (n == 3 || is_blank(text[3])); }

static uint32_t comment_of(const char *text, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		if (text[i] == '#' && is_blank(text[i - 1])) return i;
	}
	return n;
}

static bool read_tokens(struct scenario_parse *p, struct scenario_stmt *st, const char *text, uint32_t n)
{
	uint32_t from = 0, comment = 0;
	bool why;

	while (from < n && is_blank(text[from])) from++;
	st->line.column = from + 1;
	text += from;
	n -= from;
	why = is_why(text, n);
	if (!scenario_split(p, st, text, why ? 3 : n, from + 1, &comment)) return false;
	if (why) comment = comment_of(text, n);
	while (comment > 0 && is_blank(text[comment - 1])) comment--;
	st->line.text = scenario_copy(p, text, comment);
	return true;
}

static bool unreadable(struct scenario_parse *p)
{
	p->any_event = p->any_name = true;
	return false;
}

static bool read_text(struct scenario_parse *p, struct scenario_stmt *st, const char *text, size_t n)
{
	if (n <= SCENARIO_COLUMNS_MAX) return (is_text(p, st, text, (uint32_t)n) && read_tokens(p, st, text, (uint32_t)n)) || unreadable(p);
	scenario_say(p, st, SCENARIO_COLUMNS_MAX + 1, "found a line of %zu bytes, expected %d at most.", n, SCENARIO_COLUMNS_MAX);
	return unreadable(p);
}

static void read_line(struct scenario_parse *p, const struct scenario_text *file, uint32_t depth, uint32_t number, const char *text, size_t n)
{
	struct scenario_stmt st = { .line = { .file = file->name, .line = number, .column = 1, .text = "", .word = "", .sequence = ++p->lines } };

	if (!read_text(p, &st, text, n)) return;
	if (depth == 0 && number == 1) title_of(p, text, (uint32_t)n);
	if (st.tokens == 0) return;
	st.kind = kind_of(p, &st);
	if (st.kind == SCENARIO_STATEMENTS) return;
	st.line.word = scenario_statement_word[st.kind].name;
	if (st.kind == SCENARIO_S_INCLUDE)
		follow(p, &st, depth);
	else
		*SCENARIO_ADD(p, p->stmt, p->stmts) = st;
}

static bool read_before(const struct scenario_parse *p, const char *name)
{
	for (uint32_t i = 0; i < p->s->files; i++) {
		if (strcmp(p->s->file[i].name, name) == 0) return true;
	}
	return false;
}

/* from: the include that names it; NULL: the scenario itself. */
static void read_file(struct scenario_parse *p, struct scenario_stmt *from, uint32_t depth, const struct scenario_text *text)
{
	struct scenario_text file = { .n = text->n };
	uint32_t number = 1;

	if (from != NULL && read_before(p, text->name)) {
		scenario_complain(p, from, scenario_spot_of(&from->token[1]), "expected a file that is not read already.");
		return;
	}
	file.name = text->name == NULL ? "scenario" : scenario_copy(p, text->name, strlen(text->name));
	if (text->n > SCENARIO_BYTES_MAX) file.n = 0;
	file.text = scenario_copy(p, text->text, file.n);
	*SCENARIO_ADD(p, p->s->file, p->s->files) = file;
	if (text->n > SCENARIO_BYTES_MAX) {
		scenario_say(p, from, from == NULL ? 0 : from->token[1].column, "found a file of %zu bytes, expected %d at most.", text->n,
		             SCENARIO_BYTES_MAX);
		return;
	}
	for (size_t at = 0; at < file.n; number++) {
		const char *end = memchr(file.text + at, '\n', file.n - at);
		size_t length = end == NULL ? file.n - at : (size_t)(end - file.text) - at;

		if (p->lines >= SCENARIO_LINES_MAX) {
			scenario_say(p, from, 0, "found more than %d lines, expected fewer in all files together.", SCENARIO_LINES_MAX);
			return;
		}
		read_line(p, &file, depth, number, file.text + at, length);
		at += length + 1;
	}
}

void scenario_read_files(struct scenario_parse *p) { read_file(p, NULL, 0, &p->request->file); }

/* ---- spots and the reader ---- */

struct scenario_spot scenario_spot_of(const struct scenario_token *token)
{
	bool inside = token->quoted && token->key == 0;

	return (struct scenario_spot){ .p = token->p, .n = token->n, .column = token->column + inside, .token = token };
}

struct scenario_spot scenario_value_of(const struct scenario_token *token)
{
	return (struct scenario_spot){
		.p = token->p + token->key, .n = token->n - token->key, .column = token->column + token->key + token->quoted, .token = token
	};
}

struct scenario_spot scenario_part_of(struct scenario_spot spot, uint32_t from, uint32_t n)
{
	assert(from <= spot.n);
	assert(n <= spot.n - from);
	/* behind $names columns are those of no text */
	return (struct scenario_spot){ spot.p + from, n, spot.token != NULL && spot.token->names != NULL ? spot.column : spot.column + from,
		                       spot.token };
}

bool scenario_spot_is(struct scenario_spot spot, const char *word)
{
	return spot.p != NULL && spot.n == strlen(word) && memcmp(spot.p, word, spot.n) == 0;
}

struct scenario_reader scenario_reader_of(struct scenario_parse *p, struct scenario_stmt *st, uint32_t from)
{
	const struct scenario_token *last = &st->token[st->tokens - 1];
	uint32_t written = last->names != NULL ? (uint32_t)strlen(last->names) : last->n + (last->quoted ? 2 : 0);

	assert(from <= st->tokens);
	return (struct scenario_reader){ .p = p, .st = st, .token = st->token, .tokens = st->tokens, .at = from, .end = last->column + written };
}

bool scenario_at_end(const struct scenario_reader *r) { return r->at == r->tokens; }

struct scenario_spot scenario_peek(const struct scenario_reader *r)
{
	struct scenario_spot spot;

	if (scenario_at_end(r)) return (struct scenario_spot){ .column = r->end };
	spot = scenario_spot_of(&r->token[r->at]);
	return scenario_part_of(spot, r->offset, spot.n - r->offset);
}

struct scenario_spot scenario_peek_atom(const struct scenario_reader *r)
{
	struct scenario_spot spot = scenario_peek(r);
	const char *comma;

	if (spot.p == NULL || spot.n == 0) return spot;
	if (spot.p[0] == ',') return scenario_part_of(spot, 0, 1);
	comma = memchr(spot.p, ',', spot.n);
	return comma == NULL ? spot : scenario_part_of(spot, 0, (uint32_t)(comma - spot.p));
}

void scenario_skip(struct scenario_reader *r, struct scenario_spot spot)
{
	assert(!scenario_at_end(r));
	r->offset += spot.n;
	assert(r->offset <= r->token[r->at].n);
	if (r->offset == r->token[r->at].n) r->at++, r->offset = 0;
}

bool scenario_accept(struct scenario_reader *r, const char *word)
{
	struct scenario_spot spot = scenario_peek_atom(r);

	if (!scenario_spot_is(spot, word)) return false;
	scenario_skip(r, spot);
	return true;
}

bool scenario_need(struct scenario_reader *r, const char *word)
{
	if (scenario_accept(r, word)) return true;
	return scenario_complain(r->p, r->st, scenario_peek_atom(r), "expected '%s'.", word);
}
