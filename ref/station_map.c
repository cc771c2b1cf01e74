/* The map of a station: the text as control sent it, and an index of its regions. What changed between two maps decides which connections
 * are closed (CLI-038, MAP-011, MAP-012). */
#include "station_core.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

void station_map_free(struct station_map *map)
{
	derp_index_free(&map->index);
	if (map->text != NULL) packet_drop(map->text);
	*map = (struct station_map){ 0 };
}

static bool spans_same(const struct station_map *a, const struct derp_span *x, const struct station_map *b, const struct derp_span *y)
{
	return x->n == y->n && (x->n == 0 || memcmp(a->json + x->at, b->json + y->at, x->n) == 0);
}

/* Usually the bytes are the same; else what they say decides. */
static bool region_same(const struct station_map *a, const struct derp_span *x, const struct station_map *b, const struct derp_span *y)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_region *p, *q;
	bool same;

	if (spans_same(a, x, b, y)) return true;
	p = derp_region_parse(a->json + x->at, x->n, error);
	q = derp_region_parse(b->json + y->at, y->n, error);
	assert(p != NULL && q != NULL); /* the whole map has been read */
	same = derp_region_equal(p, q);
	derp_region_free(p);
	derp_region_free(q);
	return same;
}

/* CLI-038: closes what the new map has not, or has otherwise. True: there was something. */
static bool close_changed(struct station *s, uint64_t now, const struct station_map *map)
{
	bool changed = false;

	for (uint32_t i = 0; i < s->map.index.regions; i++) {
		const struct derp_span *old = &s->map.index.region[i], *new = derp_index_find(&map->index, old->id);
		uint32_t region = old->id <= STATION_REGION_MAX ? (uint32_t)old->id : 0, place = place_of(s, region);
		if (new != NULL && region_same(&s->map, old, map, new)) continue;
		changed = true;
		if (place != STATION_NONE) place_shut(s, now, place, STATION_CLOSE_MAP, false);
		if (region != 0 && region == s->home) station_home_set(s, now, 0);
	}
	return changed;
}

static bool has_new(const struct station *s, const struct station_map *map)
{
	for (uint32_t i = 0; i < map->index.regions; i++)
		if (derp_index_find(&s->map.index, map->index.region[i].id) == NULL) return true;
	return false;
}

/* CLI-038: a null map closes all; TRP-037. */
static void map_none(struct station *s, uint64_t now)
{
	place_shut_all(s, now, STATION_CLOSE_MAP, false);
	station_home_set(s, now, 0);
	station_map_free(&s->map);
}

static void check(struct station *s) { actions_deliver(s->up, DELIVER_CHECK, TOKEN_NONE)->deliver.a = STATION_CHECK_MAP; }

/* An unreadable map changes nothing but is told. */
static void refuse_map(struct station *s, struct event_command m, const char *error)
{
	size_t n = strlen(error);

	free(s->error);
	s->error = mem_alloc(n + 1);
	memcpy(s->error, error, n + 1);
	m.owner = NULL, m.p = (const uint8_t *)s->error, m.n = (uint32_t)n;
	station_refuse(s, &m, REFUSED_TEXT);
}

void station_map_set(struct station *s, uint64_t now, const struct event_command *m)
{
	struct station_map map = { .json = (const char *)m->p };
	char error[DERPMAP_ERROR_SIZE];
	bool news;

	if (m->n == 0) {
		map_none(s, now);
		return;
	}
	if (!derp_map_index(map.json, m->n, &map.index, error)) {
		refuse_map(s, *m, error);
		return;
	}
	if (map.index.keeps_regions) { /* MAP-012: only what stands beside the regions is new */
		if (map.index.home_params.n != 0) check(s);
		derp_index_free(&map.index);
		return;
	}
	news = s->map.text == NULL || !spans_same(&s->map, &s->map.index.home_params, &map, &map.index.home_params) || has_new(s, &map);
	if (close_changed(s, now, &map)) news = true;
	map.text = m->owner != NULL ? packet_hold(m->owner) : packet_copy(m->p, m->n);
	if (m->owner == NULL) map.json = (const char *)map.text->bytes;
	station_map_free(&s->map);
	s->map = map;
	if (news) check(s); /* MAP-011 */
}

char *station_map_region(const struct station *s, uint32_t region)
{
	const struct derp_span *span = derp_index_find(&s->map.index, region);
	char error[200], *text;

	if (span == NULL || !client_region_check(s->map.json + span->at, span->n, error)) return NULL;
	text = mem_alloc((uint64_t)span->n + 1);
	for (uint32_t i = 0; i < span->n; i++) { /* bare line ends can only stand between its words */
		char c = s->map.json[span->at + i];
		text[i] = c == '\n' || c == '\r' ? ' ' : c;
	}
	text[span->n] = 0;
	return text;
}
