/* Decoding of the DERP map. Lenient like the original's (MAP-001): unknown members are skipped, names match in any letter case,
 * null leaves the default, a later duplicate wins. Null regions are removed (MAP-003). */
#include "derpmap.h"

#include "buf.h"
#include "json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, PATH_MAX_TEXT = 160 };
#define REGION_ID_MAX ((INT64_C(1) << 53) - 1) /* MAP-002 */

/* What a parse needs besides the reader: where it is, for messages. */
struct parse {
	struct json_reader r;
	char path[PATH_MAX_TEXT];
	char *error;
};

static void locate(const struct parse *p, size_t at, unsigned *line, unsigned *column)
{
	*line = 1, *column = 1;
	for (size_t i = 0; i < at; i++) {
		if (p->r.start[i] == '\n')
			(*line)++, *column = 1;
		else
			(*column)++;
	}
}

static bool complain(struct parse *p, size_t at, const char *what)
{
	unsigned line, column;

	locate(p, at, &line, &column);
	snprintf(p->error, DERPMAP_ERROR_SIZE, "%u:%u: %s: %s", line, column, p->path, what);
	return false;
}

static bool good(struct parse *p) { return !p->r.bad || complain(p, p->r.at, p->r.error); }

static size_t path_push(struct parse *p, const char *fmt, const char *name, uint32_t index)
{
	size_t used = strlen(p->path);

	if (name != NULL)
		snprintf(p->path + used, sizeof p->path - used, fmt, name);
	else
		snprintf(p->path + used, sizeof p->path - used, fmt, index);
	return used;
}

static bool is_null(struct parse *p)
{
	if (json_peek(&p->r) != JSON_NULL || p->r.bad) return false;
	json_skip(&p->r);
	return true;
}

static bool expect(struct parse *p, enum json_kind kind, const char *what)
{
	size_t at;

	if (json_peek(&p->r) == kind) return true; /* never null, as which what is bad is told */
	at = (size_t)(p->r.p - p->r.start);
	return p->r.bad ? good(p) : complain(p, at, what);
}

static bool text_value(struct parse *p, char **out)
{
	char text[TEXT_MAX];

	if (is_null(p)) return good(p);
	if (!expect(p, JSON_STRING, "expected a string")) return false;
	if (json_string(&p->r, text, sizeof text) >= sizeof text) return complain(p, (size_t)(p->r.p - p->r.start), "expected a shorter string");
	free(*out);
	*out = mem_alloc(strlen(text) + 1);
	memcpy(*out, text, strlen(text) + 1);
	return good(p);
}

static bool bool_value(struct parse *p, bool *out)
{
	if (is_null(p)) return good(p);
	if (json_peek(&p->r) != JSON_TRUE && !expect(p, JSON_FALSE, "expected true or false")) return false;
	*out = json_bool(&p->r);
	return good(p);
}

static bool int_value(struct parse *p, int64_t lo, int64_t hi, int64_t *out)
{
	char what[80];
	size_t at;

	if (is_null(p)) return good(p);
	if (!expect(p, JSON_NUMBER, "expected an integer")) return false;
	at = (size_t)(p->r.p - p->r.start);
	*out = json_i64(&p->r);
	if (!good(p)) return false;
	if (*out >= lo && *out <= hi) return true;
	snprintf(what, sizeof what, "expected an integer from %lld to %lld", (long long)lo, (long long)hi);
	return complain(p, at, what);
}

static bool port_value(struct parse *p, int32_t *out)
{
	int64_t v = *out;

	if (!int_value(p, INT32_MIN, INT32_MAX, &v)) return false;
	*out = (int32_t)v;
	return true;
}

static bool degrees_value(struct parse *p, int64_t limit, int64_t *out)
{
	size_t at;

	if (is_null(p)) return good(p);
	if (!expect(p, JSON_NUMBER, "expected a number")) return false;
	at = (size_t)(p->r.p - p->r.start);
	*out = json_micro(&p->r);
	if (!good(p)) return false;
	return (*out >= -limit && *out <= limit) ||
	       complain(p, at, limit == 90000000 ? "expected -90 to 90 degrees" : "expected -180 to 180 degrees");
}

/* MAP-001: in any letter case, what is unknown is skipped. */
static bool node_member(struct parse *p, const uint8_t *name, size_t n, struct derp_node *node)
{
	if (json_name_is(name, n, "Name")) return text_value(p, &node->name);
	if (json_name_is(name, n, "RegionID")) return int_value(p, INT64_MIN, INT64_MAX, &node->region_id);
	if (json_name_is(name, n, "HostName")) return text_value(p, &node->host_name);
	if (json_name_is(name, n, "CertName")) return text_value(p, &node->cert_name);
	if (json_name_is(name, n, "IPv4")) return text_value(p, &node->ipv4);
	if (json_name_is(name, n, "IPv6")) return text_value(p, &node->ipv6);
	if (json_name_is(name, n, "STUNPort")) return port_value(p, &node->stun_port);
	if (json_name_is(name, n, "DERPPort")) return port_value(p, &node->derp_port);
	if (json_name_is(name, n, "STUNOnly")) return bool_value(p, &node->stun_only);
	if (json_name_is(name, n, "InsecureForTests")) return bool_value(p, &node->insecure_for_tests);
	if (json_name_is(name, n, "CanPort80")) return bool_value(p, &node->can_port80);
	json_skip(&p->r);
	return good(p);
}

static void node_free(struct derp_node *node)
{
	free(node->name);
	free(node->host_name);
	free(node->cert_name);
	free(node->ipv4);
	free(node->ipv6);
}

static char *empty_text(void) { return mem_zero(1, 1); }

static void node_init(struct derp_node *node)
{
	*node = (struct derp_node){
		.name = empty_text(), .host_name = empty_text(), .cert_name = empty_text(), .ipv4 = empty_text(), .ipv6 = empty_text()
	};
}

/* Enters the object at hand and hands each member to fn, with the path of messages extended by its name. */
#define EACH_MEMBER(p, name, name_n) for (json_enter(&(p)->r); json_member(&(p)->r, &(name), &(name_n));)

static bool node_value(struct parse *p, struct derp_node *node)
{
	const uint8_t *name;
	size_t n;

	if (is_null(p)) return good(p);
	if (!expect(p, JSON_OBJECT, "expected an object (a node)")) return false;
	EACH_MEMBER(p, name, n)
	{
		char text[40];
		size_t used;
		snprintf(text, sizeof text, "%.*s", (int)(n < 32 ? n : 32), (const char *)name);
		used = path_push(p, ".%s", text, 0);
		if (!node_member(p, name, n, node)) return false;
		p->path[used] = 0;
	}
	return good(p);
}

static void nodes_clear(struct derp_region *region)
{
	for (uint32_t i = 0; i < region->nodes; i++) node_free(&region->node[i]);
	free(region->node);
	region->node = NULL;
	region->nodes = 0;
}

static bool nodes_value(struct parse *p, struct derp_region *region)
{
	uint32_t cap = 0;

	nodes_clear(region);
	if (is_null(p)) return good(p);
	if (!expect(p, JSON_ARRAY, "expected an array of nodes")) return false;
	for (json_enter(&p->r); json_element(&p->r);) {
		size_t used = path_push(p, "[%u]", NULL, region->nodes);
		if (region->nodes == DERPMAP_NODES_MAX) return complain(p, (size_t)(p->r.p - p->r.start), "expected fewer nodes");
		MEM_ROOM(region->node, region->nodes, cap);
		node_init(&region->node[region->nodes++]);
		if (!node_value(p, &region->node[region->nodes - 1])) return false;
		p->path[used] = 0;
	}
	return good(p);
}

static bool region_member(struct parse *p, const uint8_t *name, size_t n, struct derp_region *region)
{
	if (json_name_is(name, n, "RegionID")) return int_value(p, INT64_MIN, INT64_MAX, &region->id);
	if (json_name_is(name, n, "RegionCode")) return text_value(p, &region->code);
	if (json_name_is(name, n, "RegionName")) return text_value(p, &region->name);
	if (json_name_is(name, n, "Latitude")) return degrees_value(p, 90000000, &region->latitude_udeg);
	if (json_name_is(name, n, "Longitude")) return degrees_value(p, 180000000, &region->longitude_udeg);
	if (json_name_is(name, n, "Avoid")) return bool_value(p, &region->avoid);
	if (json_name_is(name, n, "NoMeasureNoHome")) return bool_value(p, &region->no_measure_no_home);
	if (json_name_is(name, n, "Nodes")) return nodes_value(p, region);
	json_skip(&p->r);
	return good(p);
}

static bool region_value(struct parse *p, struct derp_region *region)
{
	const uint8_t *name;
	size_t n;

	if (!expect(p, JSON_OBJECT, "expected an object (a region)")) return false;
	EACH_MEMBER(p, name, n)
	{
		char text[40];
		size_t used;
		snprintf(text, sizeof text, "%.*s", (int)(n < 32 ? n : 32), (const char *)name);
		used = path_push(p, ".%s", text, 0);
		if (!region_member(p, name, n, region)) return false;
		p->path[used] = 0;
	}
	region->has_place = region->latitude_udeg != 0 || region->longitude_udeg != 0;
	return good(p);
}

static void region_init(struct derp_region *region) { *region = (struct derp_region){ .code = empty_text(), .name = empty_text() }; }

static void region_clear(struct derp_region *region)
{
	nodes_clear(region);
	free(region->code);
	free(region->name);
}

/* Place of the region id in the ascending list, or where it belongs. */
static uint32_t region_place(const struct derp_map *map, int64_t id)
{
	uint32_t lo = 0, hi = map->regions;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (map->region[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void region_remove(struct derp_map *map, uint32_t place)
{
	region_clear(&map->region[place]);
	map->regions--;
	memmove(map->region + place, map->region + place + 1, (map->regions - place) * sizeof *map->region);
}

static void regions_clear(struct derp_map *map)
{
	for (uint32_t i = 0; i < map->regions; i++) region_clear(&map->region[i]);
	map->regions = 0;
	map->has_regions = false;
}

/* The member's name is the region's number (MAP-002). */
static bool region_key(struct parse *p, const uint8_t *name, size_t n, int64_t *id)
{
	int64_t v = 0;

	if (n == 0 || n > 16) return complain(p, (size_t)(name - p->r.start), "expected a region number as name");
	for (size_t i = 0; i < n; i++) {
		if (name[i] < '0' || name[i] > '9') return complain(p, (size_t)(name - p->r.start), "expected a region number as name");
		v = v * 10 + (name[i] - '0');
	}
	if (v < 1 || v > REGION_ID_MAX) return complain(p, (size_t)(name - p->r.start), "expected a region number from 1 to 2^53 - 1");
	*id = v;
	return true;
}

static bool region_add(struct parse *p, struct derp_map *map, uint32_t *cap, int64_t id)
{
	struct derp_region region;
	uint32_t place = region_place(map, id);
	size_t at = (size_t)(p->r.p - p->r.start);

	if (place < map->regions && map->region[place].id == id) region_remove(map, place); /* a later duplicate wins */
	if (is_null(p)) return good(p);                                                     /* MAP-003 */
	if (map->regions == DERPMAP_REGIONS_MAX) return complain(p, at, "expected fewer regions");
	region_init(&region);
	region.id = id;
	if (!region_value(p, &region) || (region.id != id && !complain(p, at, "expected RegionID to equal the name under which the region stands"))) {
		region_clear(&region);
		return false;
	}
	MEM_ROOM(map->region, map->regions, *cap);
	memmove(map->region + place + 1, map->region + place, (map->regions - place) * sizeof region);
	map->region[place] = region;
	map->regions++;
	return true;
}

static bool regions_value(struct parse *p, struct derp_map *map, uint32_t *cap)
{
	const uint8_t *name;
	size_t n;
	int64_t id = 0;

	if (is_null(p)) {
		regions_clear(map);
		return good(p);
	}
	if (!expect(p, JSON_OBJECT, "expected an object of regions")) return false;
	map->has_regions = true;
	EACH_MEMBER(p, name, n)
	{
		char text[24];
		size_t used;
		snprintf(text, sizeof text, "%.*s", (int)(n < 20 ? n : 20), (const char *)name);
		used = path_push(p, ".%s", text, 0);
		if (!region_key(p, name, n, &id) || !region_add(p, map, cap, id)) return false;
		p->path[used] = 0;
	}
	return good(p);
}

/* Place of the region's score in the ascending list, or where it belongs. */
static uint32_t score_place(const struct derp_map *map, int64_t id)
{
	uint32_t lo = 0, hi = map->scores;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (map->score[mid].region < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool score_add(struct parse *p, struct derp_map *map, uint32_t *cap, int64_t id)
{
	uint32_t place = score_place(map, id);
	size_t at = (size_t)(p->r.p - p->r.start);
	int64_t micro = 0;

	if (!is_null(p)) {
		if (!expect(p, JSON_NUMBER, "expected a number")) return false;
		micro = json_micro(&p->r);
	}
	if (!good(p)) return false;
	if (place == map->scores || map->score[place].region != id) {
		if (map->scores == DERPMAP_REGIONS_MAX) return complain(p, at, "expected fewer regions");
		MEM_ROOM(map->score, map->scores, *cap);
		memmove(map->score + place + 1, map->score + place, (map->scores - place) * sizeof *map->score);
		map->scores++;
	}
	map->score[place] = (struct derp_score){ .region = id, .micro = micro }; /* a later duplicate wins */
	return true;
}

static bool scores_value(struct parse *p, struct derp_map *map, uint32_t *cap)
{
	const uint8_t *name;
	size_t n;
	int64_t id = 0;

	if (is_null(p)) {
		map->scores = 0, map->has_scores = false;
		return good(p);
	}
	if (!expect(p, JSON_OBJECT, "expected an object of scores")) return false;
	map->has_scores = true;
	EACH_MEMBER(p, name, n)
	if (!region_key(p, name, n, &id) || !score_add(p, map, cap, id)) return false;
	return good(p);
}

static bool home_params_value(struct parse *p, struct derp_map *map, uint32_t *cap)
{
	const uint8_t *name;
	size_t n;

	if (is_null(p)) {
		map->scores = 0, map->has_scores = false;
		return good(p);
	}
	if (!expect(p, JSON_OBJECT, "expected an object (home parameters)")) return false;
	EACH_MEMBER(p, name, n)
	{
		size_t used = path_push(p, ".%s", "RegionScore", 0);
		if (!json_name_is(name, n, "RegionScore"))
			json_skip(&p->r);
		else if (!scores_value(p, map, cap))
			return false;
		p->path[used] = 0;
	}
	return good(p);
}

static bool map_value(struct parse *p, struct derp_map *map)
{
	const uint8_t *name;
	size_t n, used;
	uint32_t cap = 0, scores_cap = 0;

	if (!expect(p, JSON_OBJECT, "expected an object (a DERP map)")) return false;
	EACH_MEMBER(p, name, n)
	{
		used = strlen(p->path);
		if (json_name_is(name, n, "Regions")) {
			path_push(p, ".%s", "Regions", 0);
			if (!regions_value(p, map, &cap)) return false;
		} else if (json_name_is(name, n, "HomeParams")) {
			path_push(p, ".%s", "HomeParams", 0);
			if (!home_params_value(p, map, &scores_cap)) return false;
		} else if (json_name_is(name, n, "omitDefaultRegions")) {
			path_push(p, ".%s", "omitDefaultRegions", 0);
			if (!bool_value(p, &map->omit_default_regions)) return false;
		} else {
			json_skip(&p->r);
		}
		p->path[used] = 0;
	}
	json_done(&p->r);
	return good(p);
}

struct derp_map *derp_map_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE])
{
	struct derp_map *map = mem_zero(1, sizeof *map);
	struct parse p = { .error = error, .path = "$" };

	if (n > DERPMAP_BYTES_MAX) {
		snprintf(error, DERPMAP_ERROR_SIZE, "1:1: $: expected at most %d bytes", DERPMAP_BYTES_MAX);
	} else {
		json_init(&p.r, json, n);
		if (map_value(&p, map)) return map;
	}
	derp_map_free(map);
	return NULL;
}

void derp_map_free(struct derp_map *map)
{
	if (map == NULL) return;
	regions_clear(map);
	free(map->region);
	free(map->score);
	free(map);
}

void derp_map_apply(struct derp_map *map, struct derp_map *update)
{
	struct derp_map was = *map;

	if (update->has_regions) { /* MAP-012, MAP-013 */
		map->region = update->region, map->regions = update->regions;
		map->omit_default_regions = update->omit_default_regions;
		map->has_regions = true;
		update->region = was.region, update->regions = was.regions;
	}
	if (update->has_scores) {
		map->score = update->score, map->scores = update->scores;
		map->has_scores = true;
		update->score = was.score;
	}
	derp_map_free(update);
}

struct derp_region *derp_region_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE])
{
	struct derp_region *region = mem_alloc(sizeof *region);
	struct parse p = { .error = error, .path = "$" };

	region_init(region);
	json_init(&p.r, json, n);
	if (region_value(&p, region) && (json_done(&p.r) || good(&p))) return region;
	derp_region_free(region);
	return NULL;
}

void derp_region_free(struct derp_region *region)
{
	if (region == NULL) return;
	region_clear(region);
	free(region);
}

static void put_text(struct json_writer *w, const char *name, const char *text)
{
	if (*text == 0) return;
	json_name(w, name);
	json_put_string(w, text, strlen(text));
}

static void put_int(struct json_writer *w, const char *name, int64_t v)
{
	if (v == 0) return;
	json_name(w, name);
	json_put_i64(w, v);
}

static void put_flag(struct json_writer *w, const char *name, bool v)
{
	if (!v) return;
	json_name(w, name);
	json_put_bool(w, true);
}

static void put_node(struct json_writer *w, const struct derp_node *node)
{
	json_open(w, '{');
	put_text(w, "Name", node->name);
	put_int(w, "RegionID", node->region_id);
	put_text(w, "HostName", node->host_name);
	put_text(w, "CertName", node->cert_name);
	put_text(w, "IPv4", node->ipv4);
	put_text(w, "IPv6", node->ipv6);
	put_int(w, "STUNPort", node->stun_port);
	put_flag(w, "STUNOnly", node->stun_only);
	put_int(w, "DERPPort", node->derp_port);
	put_flag(w, "InsecureForTests", node->insecure_for_tests);
	put_flag(w, "CanPort80", node->can_port80);
	json_close(w, '}');
}

size_t derp_region_json(const struct derp_region *region, const uint32_t *order, char *out, size_t cap)
{
	struct json_writer w;

	json_writer_fixed(&w, out, cap);
	json_open(&w, '{');
	put_int(&w, "RegionID", region->id);
	put_text(&w, "RegionCode", region->code);
	json_name(&w, "Nodes");
	json_open(&w, '[');
	for (uint32_t i = 0; i < region->nodes; i++) put_node(&w, &region->node[order == NULL ? i : order[i]]);
	json_close(&w, ']');
	json_close(&w, '}');
	if (w.full || w.n == cap) return 0;
	out[w.n] = 0;
	return w.n;
}

const struct derp_region *derp_map_by_code(const struct derp_map *map, const char *code)
{
	for (uint32_t i = 0; i < map->regions; i++)
		if (strcmp(map->region[i].code, code) == 0) return &map->region[i];
	return NULL;
}

const struct derp_region *derp_map_by_id(const struct derp_map *map, int64_t id)
{
	uint32_t place = region_place(map, id);

	return place < map->regions && map->region[place].id == id ? &map->region[place] : NULL;
}

int64_t derp_map_score(const struct derp_map *map, int64_t id)
{
	uint32_t place = score_place(map, id);

	return place < map->scores && map->score[place].region == id ? map->score[place].micro : 0;
}

/* ---- homes ---- */

int64_t derp_home(int64_t home_derp, const char *old, size_t n)
{
	static const char magic[] = "127.3.3.40:";
	const size_t m = sizeof magic - 1;
	int64_t v = 0;

	if (home_derp != 0) return home_derp;
	if (n <= m || n > m + 16 || memcmp(old, magic, m) != 0) return 0;
	for (size_t i = m; i < n; i++) {
		if (old[i] < '0' || old[i] > '9') return 0;
		v = v * 10 + (old[i] - '0');
	}
	return v <= REGION_ID_MAX ? v : 0;
}

int64_t derp_home_patched(int64_t home, int64_t derp_region) { return derp_region != 0 ? derp_region : home; } /* MAP-018 */

static void put_region(struct json_writer *w, const struct derp_region *region, const uint32_t *order)
{
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)region->id);
	json_name(w, id);
	json_open(w, '{');
	put_int(w, "RegionID", region->id);
	put_text(w, "RegionCode", region->code);
	put_text(w, "RegionName", region->name);
	put_flag(w, "Avoid", region->avoid);
	put_flag(w, "NoMeasureNoHome", region->no_measure_no_home);
	json_name(w, "Nodes");
	json_open(w, '[');
	for (uint32_t i = 0; i < region->nodes; i++) put_node(w, &region->node[order[i]]);
	json_close(w, ']');
	json_close(w, '}');
}

char *derp_map_json(const struct derp_map *map, void (*permute)(void *ctx, const struct derp_region *region, uint32_t *order), void *ctx, size_t *n)
{
	uint32_t order[DERPMAP_NODES_MAX];
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	put_flag(&w, "omitDefaultRegions", map->omit_default_regions);
	json_name(&w, "Regions");
	json_open(&w, '{');
	for (uint32_t i = 0; i < map->regions; i++) {
		const struct derp_region *region = &map->region[i];
		for (uint32_t k = 0; k < region->nodes; k++) order[k] = k;
		if (permute != NULL) permute(ctx, region, order);
		put_region(&w, region, order);
	}
	json_close(&w, '}');
	json_close(&w, '}');
	*n = w.n;
	return w.p;
}

static bool node_equal(const struct derp_node *a, const struct derp_node *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->host_name, b->host_name) == 0 && strcmp(a->cert_name, b->cert_name) == 0 &&
	       strcmp(a->ipv4, b->ipv4) == 0 && strcmp(a->ipv6, b->ipv6) == 0 && a->region_id == b->region_id && a->stun_port == b->stun_port &&
	       a->derp_port == b->derp_port && a->stun_only == b->stun_only && a->insecure_for_tests == b->insecure_for_tests &&
	       a->can_port80 == b->can_port80;
}

bool derp_region_equal(const struct derp_region *a, const struct derp_region *b)
{
	if (a->id != b->id || strcmp(a->code, b->code) != 0 || strcmp(a->name, b->name) != 0 || a->latitude_udeg != b->latitude_udeg ||
	    a->longitude_udeg != b->longitude_udeg || a->avoid != b->avoid || a->no_measure_no_home != b->no_measure_no_home || a->nodes != b->nodes)
		return false;
	for (uint32_t i = 0; i < a->nodes; i++)
		if (!node_equal(&a->node[i], &b->node[i])) return false;
	return true;
}

/* ---- the text of a map ---- */

/* Place of the region id in the index, or where it belongs. */
static uint32_t span_place(const struct derp_index *index, int64_t id)
{
	uint32_t lo = 0, hi = index->regions;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (index->region[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void span_remove(struct derp_index *index, int64_t id)
{
	uint32_t place = span_place(index, id);

	if (place == index->regions || index->region[place].id != id) return;
	index->regions--;
	memmove(index->region + place, index->region + place + 1, (index->regions - place) * sizeof *index->region);
}

static void span_put(struct derp_index *index, struct derp_span span)
{
	uint32_t place;

	span_remove(index, span.id);
	place = span_place(index, span.id);
	MEM_ROOM(index->region, index->regions, index->cap);
	memmove(index->region + place + 1, index->region + place, (index->regions - place) * sizeof span);
	index->region[place] = span;
	index->regions++;
}

/* The value at hand, passed over; n = 0: it is null. */
static struct derp_span span_of(struct json_reader *r, int64_t id)
{
	bool null = json_peek(r) == JSON_NULL;
	uint32_t at = (uint32_t)(r->p - r->start);

	json_skip(r);
	return (struct derp_span){ .id = id, .at = at, .n = null ? 0 : (uint32_t)(r->p - r->start) - at };
}

static void index_regions(struct parse *p, struct derp_index *out)
{
	const uint8_t *name;
	size_t n;
	int64_t id = 0;

	if (is_null(p)) return;
	out->keeps_regions = false;
	EACH_MEMBER(p, name, n)
	{
		bool key = region_key(p, name, n, &id);
		struct derp_span span = span_of(&p->r, id);
		assert(key); /* it has been read before */
		(void)key;
		if (span.n != 0)
			span_put(out, span);
		else
			span_remove(out, id);
	}
}

bool derp_map_index(const char *json, size_t n, struct derp_index *out, char error[DERPMAP_ERROR_SIZE])
{
	struct derp_map *map = derp_map_parse(json, n, error);
	struct parse p = { .error = error, .path = "$" };
	const uint8_t *name;
	size_t name_n;

	*out = (struct derp_index){ .keeps_regions = true };
	if (map == NULL) return false;
	derp_map_free(map);
	json_init(&p.r, json, n);
	EACH_MEMBER(&p, name, name_n)
	{
		if (json_name_is(name, name_n, "Regions"))
			index_regions(&p, out);
		else if (json_name_is(name, name_n, "HomeParams"))
			out->home_params = span_of(&p.r, 0);
		else
			json_skip(&p.r);
	}
	assert(!p.r.bad);
	return true;
}

void derp_index_free(struct derp_index *index)
{
	free(index->region);
	*index = (struct derp_index){ 0 };
}

const struct derp_span *derp_index_find(const struct derp_index *index, int64_t id)
{
	uint32_t place = span_place(index, id);

	return place < index->regions && index->region[place].id == id ? &index->region[place] : NULL;
}
