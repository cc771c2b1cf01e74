/* DERP maps: the decoder and the linter agree on what is a map, a region survives its own text, and updates and differences fit together.
 *
 * Input: a map's text, perhaps a NUL and another one. Rules: MAP-001..MAP-003, MAP-011, MAP-012. */
#include "fuzz.h"

#include "../ref/derpmap_diff.h"
#include "../ref/derpmap_lint.h"

enum { REGION_TEXT = 1 << 16 };

/* Nothing that is decoded is a surprise to the linter, and nothing that is refused goes without an error. */
static struct derp_map *decode(const char *text, size_t n)
{
	char error[DERPMAP_ERROR_SIZE], line[LINT_LINE_MAX];
	struct derp_map *map = derp_map_parse(text, n, error);
	struct lint lint;
	bool json = derp_map_lint(text, n, &lint, error);

	FUZZ_CHECK(json || map == NULL);
	FUZZ_CHECK(!json || map != NULL || lint.errors > 0);
	for (uint32_t i = 0; i < lint.faults; i++) {
		FUZZ_CHECK(lint.fault[i].at <= n && lint.fault[i].line > 0 && lint.fault[i].column > 0);
		FUZZ_CHECK(i == 0 || lint.fault[i].at >= lint.fault[i - 1].at);
		FUZZ_CHECK(strchr(lint_print(&lint.fault[i], line), '\n') == NULL);
#ifdef FUZZ_CANARY
		FUZZ_CHECK(strstr(line, "CanPort80") == NULL);
#endif
	}
	lint_free(&lint);
	return map;
}

static void check_region(const struct derp_region *region)
{
	static char text[REGION_TEXT];
	char error[DERPMAP_ERROR_SIZE];
	size_t n = derp_region_json(region, NULL, text, sizeof text);
	struct derp_region *again;

	if (n == 0) return; /* longer than this */
	again = derp_region_parse(text, n, error);
	FUZZ_CHECK(again != NULL);
	FUZZ_CHECK(again->id == region->id && again->nodes == region->nodes && strcmp(again->code, region->code) == 0);
	for (uint32_t i = 0; i < region->nodes; i++) {
		const struct derp_node *a = &region->node[i], *b = &again->node[i];
		FUZZ_CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->host_name, b->host_name) == 0 && strcmp(a->ipv4, b->ipv4) == 0);
		FUZZ_CHECK(a->region_id == b->region_id && a->derp_port == b->derp_port && a->stun_port == b->stun_port &&
		           a->stun_only == b->stun_only);
	}
	derp_region_free(again);
}

static bool differ(const struct derp_map *a, const struct derp_map *b)
{
	struct derp_diff there, back;
	bool differ;

	derp_map_diff(a, b, &there);
	derp_map_diff(b, a, &back);
	FUZZ_CHECK(there.regions == back.regions && there.nodes == back.nodes && there.scores == back.scores);
	for (uint32_t i = 0; i < there.regions; i++) {
		FUZZ_CHECK(there.region[i].id == back.region[i].id && there.region[i].reordered == back.region[i].reordered);
		FUZZ_CHECK(i == 0 || there.region[i].id > there.region[i - 1].id);
	}
	differ = !derp_diff_empty(&there);
	derp_diff_free(&there);
	derp_diff_free(&back);
	return differ;
}

/* The map after the update has the update's regions and scores where the update has them, its own elsewhere. */
static void check_update(const char *text, size_t n, const char *more, size_t more_n)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(text, n, error), *was = derp_map_parse(text, n, error), *update = derp_map_parse(more, more_n, error);
	struct derp_map *copy = derp_map_parse(more, more_n, error);

	if (map != NULL && update != NULL) {
		bool regions = update->has_regions, scores = update->has_scores;
		derp_map_apply(map, update);
		update = NULL;
		FUZZ_CHECK(map->regions == (regions ? copy : was)->regions && map->scores == (scores ? copy : was)->scores);
		if (regions && scores) FUZZ_CHECK(!differ(map, copy));
		if (!regions && !scores) FUZZ_CHECK(!differ(map, was));
	}
	derp_map_free(map);
	derp_map_free(was);
	derp_map_free(update);
	derp_map_free(copy);
}

static void fuzz_one(const uint8_t *p, size_t n)
{
	const uint8_t *nul = n == 0 ? NULL : memchr(p, 0, n);
	size_t first = nul == NULL ? n : (size_t)(nul - p);
	struct derp_map *map = decode((const char *)p, first);

	if (map != NULL) {
		FUZZ_CHECK(!differ(map, map));
		for (uint32_t i = 0; i < map->regions; i++) check_region(&map->region[i]);
	}
	derp_map_free(map);
	if (nul == NULL) return;
	derp_map_free(decode((const char *)nul + 1, n - first - 1));
	check_update((const char *)p, first, (const char *)nul + 1, n - first - 1);
}

/* ---- seeds ---- */

static size_t fuzz_seed(uint32_t i, uint8_t *out, size_t cap, char name[64])
{
	static const char node[] = "{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"a.test\",\"IPv4\":\"192.0.2.1\",\"IPv6\":\"none\",\"STUNPort\":-1,"
				   "\"DERPPort\":8443,\"CertName\":\"sha256-raw:00\",\"CanPort80\":true,\"InsecureForTests\":false}";
	static const char *const update[] = {
		"{}",
		"{\"Regions\":{}}",
		"{\"Regions\":null,\"HomeParams\":{\"RegionScore\":{\"1\":0.5}}}",
		"{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":\"1b\",\"STUNOnly\":true},null]},\"2\":null}}",
		"{\"omitdefaultregions\":true,\"Regions\":{\"9007199254740991\":{\"Latitude\":5.5e1,\"Avoid\":true}}}",
		"[1,\"\\ud83d\\udd11\",{\"\":null}]"
	};
	const size_t updates = sizeof update / sizeof *update;
	int n;

	if (i >= 1 + 2 * updates) return 0;
	snprintf(name, 64, "%02u", i);
	if (i == 0) return (size_t)snprintf((char *)out, cap, "{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"x\",\"Nodes\":[%s]}}}", node);
	if (i <= updates) return (size_t)snprintf((char *)out, cap, "%s", update[i - 1]);
	n = snprintf((char *)out, cap, "{\"Regions\":{\"1\":{\"RegionCode\":\"x\",\"Nodes\":[%s,{\"Name\":\"1b\"}]}}}", node) + 1; /* the NUL too */
	return (size_t)(n + snprintf((char *)out + n, cap - (size_t)n, "%s", update[i - 1 - updates]));
}
