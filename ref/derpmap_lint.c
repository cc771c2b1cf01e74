/* A walk over the whole text, member by member, without stopping at a fault. */
#include "derpmap_lint_core.h"

#include "buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX ((INT64_C(1) << 53) - 1)

/* ---- the members of chapter 4.3 ---- */

enum kind { KIND_TEXT, KIND_FLAG, KIND_INTEGER, KIND_NUMBER, KIND_OBJECT, KIND_ARRAY };

struct member {
	const char *name;
	enum kind kind;
};

enum { MAP_HOME_PARAMS, MAP_REGIONS, MAP_OMIT };
static const struct member map_members[] = {
	{ "HomeParams", KIND_OBJECT }, { "Regions", KIND_OBJECT }, { "omitDefaultRegions", KIND_FLAG }, { NULL, KIND_TEXT }
};
static const struct member home_members[] = { { "RegionScore", KIND_OBJECT }, { NULL, KIND_TEXT } };
static const struct member region_members[] = { { "RegionID", KIND_INTEGER },     { "RegionCode", KIND_TEXT },  { "RegionName", KIND_TEXT },
	                                        { "Latitude", KIND_NUMBER },      { "Longitude", KIND_NUMBER }, { "Avoid", KIND_FLAG },
	                                        { "NoMeasureNoHome", KIND_FLAG }, { "Nodes", KIND_ARRAY },      { NULL, KIND_TEXT } };
static const struct member node_members[] = { { "Name", KIND_TEXT },        { "RegionID", KIND_INTEGER },
	                                      { "HostName", KIND_TEXT },    { "CertName", KIND_TEXT },
	                                      { "IPv4", KIND_TEXT },        { "IPv6", KIND_TEXT },
	                                      { "STUNPort", KIND_INTEGER }, { "STUNOnly", KIND_FLAG },
	                                      { "DERPPort", KIND_INTEGER }, { "InsecureForTests", KIND_FLAG },
	                                      { "STUNTestIP", KIND_TEXT },  { "CanPort80", KIND_FLAG },
	                                      { NULL, KIND_TEXT } };
_Static_assert(sizeof region_members / sizeof *region_members == REGION_NODES + 2, "the table has the order of the enum");
_Static_assert(sizeof node_members / sizeof *node_members == NODE_PORT80 + 2, "the table has the order of the enum");

/* ---- faults ---- */

/* A copy of at most so many bytes, cut between characters, without what would spoil a line. */
static char *cut(const char *text, size_t most, char *out)
{
	size_t n = strlen(text);

	if (n > most)
		for (n = most; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--) continue;
	memcpy(out, text, n);
	out[n] = 0;
	for (char *p = out; *p != 0; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
	return out + n;
}

const char *lint_shown(const char *text, char out[LINT_SHOWN + 8])
{
	char *end = cut(text, LINT_SHOWN, out);

	if (strlen(text) > LINT_SHOWN) memcpy(end, "...", 4);
	return out;
}

static char *copy_of(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = mem_alloc(n);

	memcpy(copy, text, n);
	return copy;
}

void lint_say_at(struct lint_walk *w, const char *path, size_t at, enum lint_level level, const char *text)
{
	struct lint *l = w->out;
	uint32_t seq = l->errors + l->warnings;

	if (level == LINT_ERROR)
		l->errors++;
	else
		l->warnings++;
	if (l->faults == LINT_FAULTS_MAX) return;
	MEM_ROOM(l->fault, l->faults, l->cap);
	l->fault[l->faults++] = (struct lint_fault){ .at = at, .seq = seq, .level = level, .path = copy_of(path), .text = copy_of(text) };
}

void lint_say(struct lint_walk *w, size_t at, enum lint_level level, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	lint_say_at(w, w->path, at, level, text);
}

void lint_say_of(struct lint_walk *w, const char *member, size_t at, enum lint_level level, const char *format, ...)
{
	char text[400], path[LINT_PATH + 40];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(path, sizeof path, "%s.%s", w->path, member);
	lint_say_at(w, path, at, level, text);
}

void lint_remember(struct lint_list *list, const char *text, const char *path, size_t at, int64_t id)
{
	MEM_ROOM(list->v, list->n, list->cap);
	list->v[list->n++] = (struct lint_seen){ .text = copy_of(text), .path = copy_of(path), .at = at, .id = id };
}

static void list_free(struct lint_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		free(list->v[i].text);
		free(list->v[i].path);
	}
	free(list->v);
}

/* ---- values ---- */

static size_t here(const struct lint_walk *w) { return (size_t)(w->r.p - w->r.start); }

/* Returns what to cut the path to again. */
static size_t path_push(struct lint_walk *w, const char *name)
{
	size_t used = strlen(w->path);
	char text[44];

	cut(name, 40, text);
	snprintf(w->path + used, sizeof w->path - used, ".%s", text);
	return used;
}

/* A member's name, escapes resolved; n bytes between quotes. */
static const char *name_shown(const uint8_t *name, size_t n, char out[LINT_SHOWN + 8])
{
	struct json_reader r;
	char text[4 * LINT_SHOWN];

	json_init(&r, name - 1, n + 2);
	json_string(&r, text, sizeof text);
	return lint_shown(text, out);
}

static const char *kind_name(enum json_kind kind)
{
	static const char *const name[] = { "null", "true", "false", "a number", "a string", "an object", "an array" };

	return name[kind];
}

static const char *expected_name(enum kind kind)
{
	static const char *const name[] = { "a string", "true or false", "an integer", "a number", "an object", "an array" };

	return name[kind];
}

static bool fits(enum kind want, enum json_kind is)
{
	switch (want) {
	case KIND_TEXT: return is == JSON_STRING;
	case KIND_FLAG: return is == JSON_TRUE || is == JSON_FALSE;
	case KIND_INTEGER:
	case KIND_NUMBER: return is == JSON_NUMBER;
	case KIND_OBJECT: return is == JSON_OBJECT;
	case KIND_ARRAY: return is == JSON_ARRAY;
	}
	assert(false && "every kind has a case");
	return false;
}

/* Is the value at hand of this kind? If not, says so and passes over it; null means absent and is passed over without a word. */
static bool expect(struct lint_walk *w, enum kind want, size_t *at)
{
	enum json_kind is = json_peek(&w->r);

	*at = here(w);
	if (w->r.bad) return false;
	if (fits(want, is)) return true;
	json_skip(&w->r);
	if (!w->r.bad && is != JSON_NULL) lint_say(w, *at, LINT_ERROR, "found %s, expected %s (MAP-001)", kind_name(is), expected_name(want));
	return false;
}

/* What may not be null here: says so. */
static void not_null(struct lint_walk *w, const char *what)
{
	if (json_peek(&w->r) == JSON_NULL && !w->r.bad) lint_say(w, here(w), LINT_ERROR, "found null, expected an object (%s)", what);
}

/* The scalar between v->at and the reader's place. Read by a reader of its own: a number that is no integer is a fault here, but would be the
 * end of the walk's. */
static void scalar(struct lint_walk *w, enum kind kind, struct lint_value *v)
{
	struct json_reader r;
	size_t n = here(w) - v->at;

	json_init(&r, w->r.start + v->at, n);
	v->there = true;
	v->text[0] = 0;
	if (kind == KIND_FLAG) v->number = json_bool(&r);
	if (kind == KIND_NUMBER) v->number = json_micro(&r);
	if (kind == KIND_INTEGER) v->number = json_i64(&r);
	if (kind == KIND_TEXT && json_string(&r, v->text, sizeof v->text) >= sizeof v->text) {
		lint_say(w, v->at, LINT_ERROR, "found a string of more than %d bytes", LINT_TEXT - 1);
		v->there = false;
	}
	if (!r.bad) return;
	lint_say(w, v->at, LINT_ERROR, "found %.*s, expected an integer of 64 bits without fraction and exponent (MAP-001)",
	         (int)(n < LINT_SHOWN ? n : LINT_SHOWN), (const char *)w->r.start + v->at);
	v->there = false;
}

static void read_scalar(struct lint_walk *w, enum kind kind, struct lint_value *v)
{
	uint32_t faults = w->out->errors;

	v->there = false;
	if (expect(w, kind, &v->at)) {
		json_skip(&w->r);
		if (!w->r.bad) scalar(w, kind, v);
	}
	v->told = w->out->errors != faults;
}

/* ---- members ---- */

/* Which member of the table is this? Tells of one that is none (-1), of another spelling, and of a second one. */
static int member_find(struct lint_walk *w, const struct member *table, const uint8_t *name, size_t n, uint32_t *met)
{
	size_t at = (size_t)(name - w->r.start);
	char found[LINT_SHOWN + 8];

	for (int i = 0; table[i].name != NULL; i++) {
		if (!json_name_is(name, n, table[i].name)) continue;
		if (n != strlen(table[i].name) || memcmp(name, table[i].name, n) != 0)
			lint_say(w, at, LINT_WARNING, "found '%s', expected '%s': other readers look at the letter case (MAP-001)",
			         name_shown(name, n, found), table[i].name);
		if ((*met >> i & 1) != 0) lint_say(w, at, LINT_WARNING, "found '%s' a second time; the later one counts (MAP-001)", table[i].name);
		*met |= 1u << i;
		return i;
	}
	lint_say(w, at, LINT_WARNING, "found '%s', which is no member here and is ignored (MAP-001)", name_shown(name, n, found));
	return -1;
}

/* The next member that is known, with its value at hand and the path at it; -1: no more, and the path is cut. */
static int member_next(struct lint_walk *w, const struct member *table, uint32_t *met, size_t used)
{
	const uint8_t *name;
	size_t n;

	for (w->path[used] = 0; json_member(&w->r, &name, &n); w->path[used] = 0) {
		int i = member_find(w, table, name, n, met);
		if (i >= 0) {
			path_push(w, table[i].name);
			return i;
		}
		json_skip(&w->r);
	}
	return -1;
}

/* The number of a region as a member's name; 0: it is none, which is told. */
static int64_t region_number(struct lint_walk *w, const uint8_t *name, size_t n)
{
	size_t at = (size_t)(name - w->r.start);
	bool good = n > 0 && n <= 16;
	char found[LINT_SHOWN + 8];
	int64_t v = 0;

	for (size_t i = 0; good && i < n; i++) {
		good = name[i] >= '0' && name[i] <= '9';
		v = v * 10 + (name[i] - '0');
	}
	if (!good || v < 1 || v > ID_MAX) {
		lint_say(w, at, LINT_ERROR, "found '%s', expected a region's number from 1 to 9007199254740991 (MAP-002)",
		         name_shown(name, n, found));
		return 0;
	}
	if (name[0] == '0') lint_say(w, at, LINT_WARNING, "found '%s', expected '%lld' (MAP-002)", name_shown(name, n, found), (long long)v);
	return v;
}

/* The next member, which should be called by a region's number; false: no more. */
static bool number_next(struct lint_walk *w, size_t used, size_t *at, int64_t *id)
{
	char text[LINT_SHOWN + 8];
	const uint8_t *name;
	size_t n;

	w->path[used] = 0;
	if (!json_member(&w->r, &name, &n)) return false;
	path_push(w, name_shown(name, n, text));
	*at = (size_t)(name - w->r.start);
	*id = region_number(w, name, n);
	return true;
}

/* ---- the walk ---- */

static void forget(struct lint_value v[LINT_MEMBERS])
{
	for (int i = 0; i < LINT_MEMBERS; i++) v[i].there = v[i].told = false;
}

static struct lint_use walk_node(struct lint_walk *w, int64_t region)
{
	size_t used = strlen(w->path), at;
	uint32_t met = 0;
	int i;

	not_null(w, "a node");
	if (!expect(w, KIND_OBJECT, &at)) return (struct lint_use){ 0 };
	forget(w->node);
	for (json_enter(&w->r); (i = member_next(w, node_members, &met, used)) >= 0;) read_scalar(w, node_members[i].kind, &w->node[i]);
	return w->r.bad ? (struct lint_use){ 0 } : lint_check_node(w, at, region);
}

static void walk_nodes(struct lint_walk *w, int64_t region)
{
	size_t used = strlen(w->path), at = here(w);
	bool usable = false, first_stun_only = false;
	uint32_t n = 0;

	for (json_enter(&w->r); json_element(&w->r); n++) {
		struct lint_use use;
		snprintf(w->path + used, sizeof w->path - used, "[%u]", n);
		use = walk_node(w, region);
		if (n == 0) first_stun_only = use.stun_only;
		usable |= use.usable;
		w->path[used] = 0;
	}
	if (!w->r.bad) lint_check_nodes(w, at, n, usable, first_stun_only);
}

static void walk_region(struct lint_walk *w, size_t name_at, int64_t id)
{
	size_t used = strlen(w->path), at;
	bool has_nodes = false;
	uint32_t met = 0;
	int i;

	if (json_peek(&w->r) == JSON_NULL && !w->r.bad) lint_say(w, name_at, LINT_WARNING, "found null: the region is taken as absent (MAP-003)");
	if (!expect(w, KIND_OBJECT, &at)) return;
	forget(w->region);
	for (json_enter(&w->r); (i = member_next(w, region_members, &met, used)) >= 0;) {
		if (region_members[i].kind != KIND_ARRAY) {
			read_scalar(w, region_members[i].kind, &w->region[i]);
		} else if (expect(w, KIND_ARRAY, &w->region[i].at)) {
			has_nodes = true;
			walk_nodes(w, id);
		}
	}
	if (!w->r.bad) lint_check_region(w, at, id, has_nodes);
}

static void walk_regions(struct lint_walk *w)
{
	size_t used = strlen(w->path), at;
	int64_t id;

	for (json_enter(&w->r); number_next(w, used, &at, &id);) {
		if (id != 0) lint_remember(&w->regions, "", w->path, at, id);
		walk_region(w, at, id);
	}
}

static void walk_scores(struct lint_walk *w)
{
	size_t used = strlen(w->path), at;
	struct lint_value *v = &w->region[0];
	int64_t id;

	for (json_enter(&w->r); number_next(w, used, &at, &id);) {
		if (id != 0) lint_remember(&w->scores, "", w->path, at, id);
		read_scalar(w, KIND_NUMBER, v);
		if (v->there && v->number <= 0) lint_say(w, v->at, LINT_WARNING, "found a score of 0 or less, which counts as 1 (HOM-008)");
	}
}

static void walk_home_params(struct lint_walk *w)
{
	size_t used = strlen(w->path), at;
	uint32_t met = 0;

	for (json_enter(&w->r); member_next(w, home_members, &met, used) >= 0;)
		if (expect(w, KIND_OBJECT, &at)) walk_scores(w);
}

static void walk_map(struct lint_walk *w)
{
	size_t used = strlen(w->path), at;
	uint32_t met = 0;
	int i;

	not_null(w, "a DERP map");
	if (!expect(w, KIND_OBJECT, &at)) return;
	for (json_enter(&w->r); (i = member_next(w, map_members, &met, used)) >= 0;) {
		if (i == MAP_OMIT)
			read_scalar(w, KIND_FLAG, &w->region[0]);
		else if (!expect(w, KIND_OBJECT, &at))
			continue;
		else if (i == MAP_REGIONS)
			walk_regions(w);
		else
			walk_home_params(w);
	}
}

/* ---- in and out ---- */

static int by_place(const void *a, const void *b)
{
	const struct lint_fault *x = a, *y = b;

	if (x->at != y->at) return x->at < y->at ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Sorts the faults and says in which line and column they stand. */
static void locate(struct lint_fault *fault, uint32_t n, const char *text)
{
	uint32_t line = 1, column = 1;
	size_t at = 0;

	if (n != 0) qsort(fault, n, sizeof *fault, by_place);
	for (uint32_t i = 0; i < n; i++) {
		for (; at < fault[i].at; at++) {
			column++;
			if (text[at] == '\n') line++, column = 1;
		}
		fault[i].line = line, fault[i].column = column;
	}
}

/* False: the text is no JSON. */
static bool lint_text(struct lint_walk *w, const char *json, size_t n, char error[DERPMAP_ERROR_SIZE])
{
	struct lint_fault where = { 0 };

	json_init(&w->r, json, n);
	walk_map(w);
	if (json_done(&w->r)) {
		lint_check_map(w);
		locate(w->out->fault, w->out->faults, json);
		return true;
	}
	where.at = w->r.at;
	locate(&where, 1, json);
	snprintf(error, DERPMAP_ERROR_SIZE, "%u:%u: %s", where.line, where.column, w->r.error);
	return false;
}

bool derp_map_lint(const char *json, size_t n, struct lint *out, char error[DERPMAP_ERROR_SIZE])
{
	struct lint_walk *w = mem_zero(1, sizeof *w);
	bool good = false;

	*out = (struct lint){ 0 };
	w->out = out;
	w->path[0] = '$';
	if (n > DERPMAP_BYTES_MAX)
		snprintf(error, DERPMAP_ERROR_SIZE, "1:1: expected at most %d bytes", DERPMAP_BYTES_MAX);
	else
		good = lint_text(w, json, n, error);
	if (!good) lint_free(out);
	list_free(&w->nodes);
	list_free(&w->codes);
	list_free(&w->regions);
	list_free(&w->scores);
	free(w);
	return good;
}

void lint_free(struct lint *l)
{
	for (uint32_t i = 0; i < l->faults; i++) {
		free(l->fault[i].path);
		free(l->fault[i].text);
	}
	free(l->fault);
	*l = (struct lint){ 0 };
}

const char *lint_level_name(enum lint_level level) { return level == LINT_ERROR ? "error" : "warning"; }

const char *lint_print(const struct lint_fault *f, char out[LINT_LINE_MAX])
{
	snprintf(out, LINT_LINE_MAX, "%u:%u: %s: %s: %s", f->line, f->column, lint_level_name(f->level), f->path, f->text);
	return out;
}
