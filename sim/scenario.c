/* The parse as a whole: its memory, its complaints, the order of its passes; and the questions that a parsed scenario answers.
 *
 * Memory is taken from chunks that are given back together. Growing arrays are copied into new memory when they double; what they
 * leave behind is at most as much again. */
#include "scenario.h"

#include "../ref/buf.h"
#include "scenario_parse.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 16384, FOUND_MAX = 60 };

struct scenario_chunk {
	struct scenario_chunk *older;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

/* ---- memory ---- */

void *scenario_take(struct scenario_parse *p, size_t size)
{
	size_t wanted = (size + 15) & ~(size_t)15;
	struct scenario_chunk *chunk = p->chunk;

	if (chunk == NULL || chunk->size - chunk->used < wanted) {
		size_t room = wanted > CHUNK_SIZE ? wanted : CHUNK_SIZE;
		chunk = mem_zero(1, sizeof *chunk + room);
		chunk->size = room;
		chunk->older = p->chunk;
		p->chunk = chunk;
	}
	chunk->used += wanted;
	assert(chunk->used <= chunk->size);
	return chunk->bytes + chunk->used - wanted;
}

char *scenario_copy(struct scenario_parse *p, const char *text, size_t n)
{
	char *copy = scenario_take(p, n + 1);

	if (n > 0) memcpy(copy, text, n);
	return copy;
}

char *scenario_format(struct scenario_parse *p, const char *format, ...)
{
	char text[SCENARIO_MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return scenario_copy(p, text, strlen(text));
}

void *scenario_room(struct scenario_parse *p, void *v, uint32_t n, size_t size)
{
	void *bigger;

	assert(n < UINT32_MAX / 2);
	if (n != 0 && (n < 4 || (n & (n - 1)) != 0)) return v;
	bigger = scenario_take(p, (n < 4 ? 4 : 2 * (size_t)n) * size);
	if (n > 0) memcpy(bigger, v, n * size);
	return bigger;
}

static void free_chunks(struct scenario_chunk *chunk)
{
	while (chunk != NULL) {
		struct scenario_chunk *older = chunk->older;
		free(chunk);
		chunk = older;
	}
}

/* ---- complaints ---- */

/* Cuts a text that is too long for a message, never within a letter of UTF-8. */
static int shown(const char *p, uint32_t n)
{
	uint32_t m = FOUND_MAX;

	if (n <= m) return (int)n;
	while (m > 0 && ((unsigned char)p[m] & 0xc0) == 0x80) m--;
	return (int)m;
}

static bool add(struct scenario_parse *p, struct scenario_stmt *st, const struct scenario_token *token, uint32_t column, const char *text)
{
	struct scenario_complaint *c;

	if (token != NULL && token->broken) return false;
	if (st != NULL && ++st->errors > SCENARIO_LINE_ERRORS_MAX) return false;
	c = SCENARIO_ADD(p, p->complaint, p->complaints);
	c->order = p->complaints;
	c->error.text = scenario_copy(p, text, strlen(text));
	c->error.file = st == NULL ? p->s->file[0].name : st->line.file;
	if (token != NULL && token->set != NULL) {
		c->error.file = token->set;
	} else if (st != NULL) {
		c->sequence = st->line.sequence;
		c->error.line = st->line.line;
		c->error.column = column;
	}
	return false;
}

bool scenario_say(struct scenario_parse *p, struct scenario_stmt *st, uint32_t column, const char *format, ...)
{
	char text[SCENARIO_MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return add(p, st, NULL, column, text);
}

bool scenario_complain(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot at, const char *format, ...)
{
	char text[SCENARIO_MESSAGE_SIZE];
	const struct scenario_token *token = at.token;
	size_t n;
	va_list args;

	if (at.p == NULL)
		n = (size_t)snprintf(text, sizeof text, "found the end of the line, ");
	else if (token != NULL && token->names != NULL)
		n = (size_t)snprintf(text, sizeof text, "found '%.*s' (written %.*s), ", shown(at.p, at.n), at.p,
		                     shown(token->names, (uint32_t)strlen(token->names)), token->names);
	else
		n = (size_t)snprintf(text, sizeof text, "found '%.*s', ", shown(at.p, at.n), at.p);
	assert(n < sizeof text);
	va_start(args, format);
	vsnprintf(text + n, sizeof text - n, format, args);
	va_end(args);
	return add(p, st, token, at.column, text);
}

/* Line order; within a line by column; `order` makes it total. */
static int compare(const void *a, const void *b)
{
	const struct scenario_complaint *x = a, *y = b;

	if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
	if (x->error.column != y->error.column) return x->error.column < y->error.column ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void hand_over_errors(struct scenario_parse *p)
{
	struct scenario *s = p->s;

	if (p->complaints == 0) return;
	qsort(p->complaint, p->complaints, sizeof *p->complaint, compare);
	s->error = scenario_take(p, ((size_t)SCENARIO_ERRORS_MAX + 1) * sizeof *s->error);
	for (; s->errors < p->complaints && s->errors < SCENARIO_ERRORS_MAX; s->errors++) s->error[s->errors] = p->complaint[s->errors].error;
	if (p->complaints <= SCENARIO_ERRORS_MAX) return;
	s->error[s->errors] = (struct scenario_error){ .file = s->file[0].name };
	s->error[s->errors++].text = scenario_format(p, "%u more errors are not shown.", p->complaints - SCENARIO_ERRORS_MAX);
}

size_t scenario_error_print(const struct scenario_error *error, char *out, size_t cap)
{
	int n;

	if (error->line == 0)
		n = snprintf(out, cap, "%s: %s", error->file, error->text);
	else if (error->column == 0)
		n = snprintf(out, cap, "%s:%u: %s", error->file, error->line, error->text);
	else
		n = snprintf(out, cap, "%s:%u:%u: %s", error->file, error->line, error->column, error->text);
	assert(n >= 0);
	return (size_t)n;
}

/* ---- the passes ---- */

static void read_statements(struct scenario_parse *p)
{
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind <= SCENARIO_S_UNTIL) scenario_read_about(p, &p->stmt[i]);
	}
	scenario_read_world(p);
	scenario_read_populations(p);
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_AT) scenario_read_act(p, &p->stmt[i]);
	}
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_EXPECT || p->stmt[i].kind == SCENARIO_S_GOAL) scenario_read_expect(p, &p->stmt[i]);
	}
}

struct scenario *scenario_parse(const struct scenario_request *request)
{
	struct scenario_parse p = { .request = request };

	assert(request->file.text != NULL || request->file.n == 0);
	p.s = scenario_take(&p, sizeof *p.s);
	p.s->title = p.s->why = p.s->since = "";
	scenario_read_files(&p);
	scenario_read_names(&p);
	read_statements(&p);
	scenario_check(&p);
	hand_over_errors(&p);
	p.s->own = p.chunk;
	return p.s;
}

void scenario_free(struct scenario *scenario)
{
	if (scenario == NULL) return;
	derp_map_free(scenario->map);
	free_chunks(scenario->own);
}

/* ---- questions ---- */

uint64_t scenario_pace_ns(uint64_t pace, uint64_t k)
{
	unsigned __int128 million_hours = (unsigned __int128)UINT64_C(3600000000000) * 1000000, due;

	assert(pace > 0);
	due = million_hours * k / pace;
	return due >= SCENARIO_NEVER ? SCENARIO_NEVER : (uint64_t)due;
}

bool scenario_verb_is(enum scenario_verb verb, enum scenario_verb wanted)
{
	if (verb == wanted) return true;
	if (wanted == SCENARIO_CRASH_SILENT) return verb == SCENARIO_CRASH_SILENT_REFUSE;
	return wanted == SCENARIO_CRASH && (verb == SCENARIO_CRASH_SILENT || verb == SCENARIO_CRASH_SILENT_REFUSE);
}

uint32_t scenario_region_nodes(const struct scenario *scenario, uint32_t region)
{
	const struct scenario_region *r = &scenario->region[region];

	assert(region < scenario->regions);
	if (r->nodes.unit != SCENARIO_NONE) return (uint32_t)r->nodes.hi;
	return r->in_map != NULL ? r->in_map->nodes : 0;
}

static bool part_has_node(const struct scenario_part *part, uint32_t region, uint32_t index)
{
	if (part->base == SCENARIO_ALL) return true;
	return part->base == SCENARIO_NODES && part->name == region && (part->index == 0 || part->index == index);
}

bool scenario_set_has_node(const struct scenario_set *set, uint32_t region, uint32_t index)
{
	bool has = false;

	for (uint32_t i = 0; i < set->parts; i++) {
		if (part_has_node(&set->part[i], region, index)) has = !set->part[i].but;
	}
	return has;
}

static void override(struct scenario_amount *old, const struct scenario_amount *new)
{
	if (new->unit != SCENARIO_NONE) *old = *new;
}

struct scenario_settings scenario_node_settings(const struct scenario *scenario, uint32_t region, uint32_t index)
{
	struct scenario_settings settings;

	assert(region < scenario->regions);
	settings = scenario->region[region].settings;
	for (uint32_t i = 0; i < scenario->nodes; i++) {
		const struct scenario_settings *new = &scenario->node[i].settings;

		if (!scenario_set_has_node(&scenario->node[i].set, region, index)) continue;
		override(&settings.cpu, &new->cpu);
		override(&settings.nic, &new->nic);
		override(&settings.mem, &new->mem);
		override(&settings.fds, &new->fds);
		override(&settings.backlog, &new->backlog);
		override(&settings.handshake, &new->handshake);
		override(&settings.packet, &new->packet);
		override(&settings.byte, &new->byte);
		override(&settings.watchdog, &new->watchdog);
		if (new->costs != NULL) settings.costs = new->costs;
		if (new->mesh_key != SCENARIO_KEY_SAME) settings.mesh_key = new->mesh_key;
	}
	return settings;
}
