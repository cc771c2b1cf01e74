/* DERP maps: the public fall-back map, lenient decoding, messages, and region texts. */
#include "derpmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *file_read(const char *name, size_t *n)
{
	const char *data = getenv("DERP_DATA");
	char path[1000], *text;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", data == NULL ? "../shared/data" : data, name);
	f = fopen(path, "r");
	if (f == NULL) return NULL;
	text = malloc(1 << 20);
	assert_non_null(text);
	*n = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

/* Parses a copy of exactly that length. */
static struct derp_map *parse(const char *text, size_t n, char error[DERPMAP_ERROR_SIZE])
{
	char *copy = malloc(n + (n == 0));
	struct derp_map *map;

	assert_non_null(copy);
	memcpy(copy, text, n);
	memset(error, 0, DERPMAP_ERROR_SIZE);
	map = derp_map_parse(copy, n, error);
	assert_int_equal(map == NULL, error[0] != 0);
	free(copy);
	return map;
}

/* The public map: 12 regions in ascending order though the file has them as text ("1", "10", "11"), their nodes in priority order. */
static void fallback_map(void **state)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map;
	uint32_t nodes = 0;
	size_t n = 0;
	char *text = file_read("derpmap-tailscale-fallback.json", &n);

	(void)state;
	if (text == NULL) skip();
	map = parse(text, n, error);
	assert_non_null(map);
	assert_int_equal(map->regions, 12);
	for (uint32_t i = 0; i < map->regions; i++) {
		const struct derp_region *r = &map->region[i];
		if (i > 0) assert_true(r->id > r[-1].id);
		assert_ptr_equal(derp_map_by_id(map, r->id), r);
		assert_ptr_equal(derp_map_by_code(map, r->code), r);
		nodes += r->nodes;
		for (uint32_t k = 0; k < r->nodes; k++) assert_int_equal(r->node[k].region_id, r->id); /* MAP-020 */
	}
	assert_int_equal(nodes, 24);
	assert_int_equal(map->region[0].id, 1);
	assert_string_equal(map->region[0].node[0].name, "1c");
	assert_string_equal(map->region[0].node[0].host_name, "derp1c.tailscale.com");
	assert_string_equal(map->region[0].node[0].ipv4, "104.248.8.210");
	assert_string_equal(map->region[0].node[0].ipv6, "2604:a880:800:10::7a0:e001");
	assert_true(map->region[0].node[0].can_port80);
	assert_string_equal(map->region[0].node[2].name, "1e");
	assert_null(derp_map_by_id(map, 900));
	assert_null(derp_map_by_code(map, "nowhere"));
	derp_map_free(map);
	for (size_t cut = 0; cut + 2 < n; cut += 37) { /* no beginning of it is a map */
		map = parse(text, cut, error);
		assert_null(map);
	}
	free(text);
}

/* MAP-001..MAP-003: odd but legal maps. */
static void lenient(void **state)
{
	static const char text[] = "{\"unknown\":[{}],\"OmitDefaultRegions\":true,\"REGIONS\":{"
				   "\"7\":{\"regionid\":7,\"RegionCode\":\"a\",\"Extra\":{},\"Latitude\":50.11,\"Longitude\":-8.68,\"Nodes\":null},"
				   "\"3\":null,"
				   "\"2\":{\"RegionCode\":\"two\",\"Nodes\":[null,{\"name\":\"2a\",\"HOSTNAME\":\"h\",\"DERPPort\":-1,\"STUNPort\":"
				   "70000,\"STUNOnly\":true}]},"
				   "\"7\":{\"RegionID\":7,\"RegionCode\":\"b\",\"Avoid\":true,\"NoMeasureNoHome\":true},"
				   "\"5\":{\"RegionID\":5},\"5\":null,"
				   "\"9007199254740991\":{\"RegionName\":\"last\"}}}";
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = parse(text, sizeof text - 1, error);

	(void)state;
	assert_non_null(map);
	assert_true(map->omit_default_regions);
	assert_int_equal(map->regions, 3);
	assert_int_equal(map->region[0].id, 2);
	assert_int_equal(map->region[0].nodes, 2);
	assert_string_equal(map->region[0].node[0].name, "");
	assert_string_equal(map->region[0].node[1].host_name, "h");
	assert_int_equal(map->region[0].node[1].derp_port, -1);
	assert_int_equal(map->region[0].node[1].stun_port, 70000);
	assert_true(map->region[0].node[1].stun_only);
	assert_string_equal(map->region[1].code, "b"); /* the later duplicate, whole */
	assert_false(map->region[1].has_place);
	assert_true(map->region[1].avoid && map->region[1].no_measure_no_home);
	assert_true(map->region[2].id == 9007199254740991);
	derp_map_free(map);
	map = parse("{\"Regions\":null}", 16, error);
	assert_non_null(map);
	assert_int_equal(map->regions, 0);
	derp_map_free(map);
}

/* A message says where (line:column, path) and what was expected. */
static void messages(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "1:1: $: expected a value" },
		{ "[]", "1:1: $: expected an object (a DERP map)" },
		{ "{\n \"Regions\": 7}", "2:13: $.Regions: expected an object of regions" },
		{ "{\"Regions\":{\"x\":{}}}", "expected a region number as name" },
		{ "{\"Regions\":{\"0\":{}}}", "expected a region number from 1 to 2^53 - 1" },
		{ "{\"Regions\":{\"9007199254740992\":{}}}", "from 1 to 2^53 - 1" },
		{ "{\"Regions\":{\"\":{}}}", "expected a region number" },
		{ "{\"Regions\":{\"1\":{\"RegionID\":2}}}", "$.Regions.1: expected RegionID to equal the name" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[{},\n{\"DERPPort\":\"443\"}]}}}", "2:13: $.Regions.1.Nodes[1].DERPPort: expected an integer" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[{\"DERPPort\":4294967296}]}}}", "expected an integer from -2147483648 to 2147483647" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[7]}}}", "expected an object (a node)" },
		{ "{\"Regions\":{\"1\":{\"RegionCode\":1}}}", "expected a string" },
		{ "{\"Regions\":{\"1\":{\"Avoid\":\"no\"}}}", "expected true or false" },
		{ "{\"Regions\":{\"1\":{\"Latitude\":90.1}}}", "expected -90 to 90 degrees" },
		{ "{\"Regions\":{\"1\":{\"Longitude\":-180.5}}}", "expected -180 to 180 degrees" },
		{ "{\"Regions\":{\"1\":{\"Latitude\":\"x\"}}}", "expected a number" },
		{ "{\"HomeParams\":7}", "$.HomeParams: expected an object (home parameters)" },
		{ "{\"HomeParams\":{\"RegionScore\":[]}}", "$.HomeParams.RegionScore: expected an object of scores" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"x\":1}}}", "expected a region number as name" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":\"1\"}}}", "expected a number" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[{\"DERPPort\":-2147483649}]}}}", "expected an integer from -2147483648 to 2147483647" },
		{ "{\"Regions\":{\"12345678901234567\":{}}}", "expected a region number as name" },
		{ "{\"omitDefaultRegions\":1}", "$.omitDefaultRegions: expected true or false" },
		/* of a long name, the start */
		{ "{\"Regions\":{\"1\":{\"A2345678901234567890123456789012x\":?}}}",
		  "$.Regions.1.A2345678901234567890123456789012: expected a value" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[{\"A2345678901234567890123456789012x\":?}]}}}",
		  "[0].A2345678901234567890123456789012: expected a" },
		{ "{\"Regions\":{\"A2345678901234567890x\":{}}}", "$.Regions.A2345678901234567890: expected a region number" },
		{ "{\"Regions\":{}} x", "expected the end of the text" },
		{ "{\"x\":nul}", "expected a value" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[DERPMAP_ERROR_SIZE];
		assert_null(parse(cases[i].text, strlen(cases[i].text), error));
		if (strstr(error, cases[i].says) == NULL) fail_msg("%s says: %s", cases[i].text, error);
	}
}

/* Is a map that begins so, holds n times what is repeated and ends so taken? %zu is the number of the time. */
static bool map_is_taken(const char *start, const char *again, size_t n, const char *end)
{
	size_t step = strlen(again) + 8, at = strlen(start);
	char *text = malloc(at + n * step + strlen(end) + 1), error[DERPMAP_ERROR_SIZE];
	struct derp_map *map;

	assert_non_null(text);
	memcpy(text, start, at);
	if (strlen(again) == 1)
		memset(text + at, *again, n), at += n;
	else
		for (size_t i = 1; i <= n; i++) at += (size_t)snprintf(text + at, step + 1, again, i);
	if (n != 0 && text[at - 1] == ',') at--;
	at += (size_t)sprintf(text + at, "%s", end);
	map = parse(text, at, error);
	free(text);
	derp_map_free(map);
	return map != NULL;
}

/* MAP-002: the last good number of everything, one more, and far more. */
static void limits(void **state)
{
	static const struct {
		const char *start, *again, *end;
		size_t most, absurd;
	} cases[] = {
		{ "{\"Regions\":{\"1\":{\"RegionName\":\"", "x", "\"}}}", 4095, 1 << 20 },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[", "{\"Name\":\"n%zu\"},", "]}}}", 4096, 100000 },
		{ "{\"Regions\":{", "\"%zu\":{},", "}}", 65536, 200000 },
		{ "{\"HomeParams\":{\"RegionScore\":{", "\"%zu\":1,", "}}}", 65536, 200000 },
		{ "{}", " ", "", 67108862, 80000000 }, /* 64 MiB in all */
	};
	static const struct {
		const char *id;
		bool good;
	} ids[] = { { "0", false }, { "1", true }, { "9007199254740991", true }, { "9007199254740992", false }, { "18446744073709551617", false } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int k = -1; k <= 2; k++) {
			size_t n = k == 2 ? cases[i].absurd : cases[i].most + (size_t)k;
			if (map_is_taken(cases[i].start, cases[i].again, n, cases[i].end) != (k <= 0)) fail_msg("%s %zu times", cases[i].again, n);
		}
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		char text[100], error[DERPMAP_ERROR_SIZE];
		struct derp_map *map = parse(text, (size_t)snprintf(text, sizeof text, "{\"Regions\":{\"%s\":{}}}", ids[i].id), error);
		if ((map != NULL) != ids[i].good) fail_msg("region %s", ids[i].id);
		derp_map_free(map);
	}
}

/* REG-004: a region on one line with its nodes in a given order, and back; it fits or says 0. */
static void region_text(void **state)
{
	static const char text[] =
		"{\"RegionID\":9,\"RegionCode\":\"x\",\"Nodes\":[{\"Name\":\"9a\",\"RegionID\":9,\"HostName\":\"a\",\"IPv4\":\"192.0.2.1\","
		"\"DERPPort\":8443},{\"Name\":\"9b\",\"RegionID\":9,\"HostName\":\"b\\\"\",\"CertName\":\"c\",\"IPv6\":\"none\",\"STUNPort\":-1,"
		"\"STUNOnly\":true}]}";
	static const uint32_t order[2] = { 1, 0 };
	char error[DERPMAP_ERROR_SIZE], out[1000], again[1000];
	struct derp_region *region = derp_region_parse(text, sizeof text - 1, error), *turned;

	(void)state;
	assert_non_null(region);
	assert_int_equal(derp_region_json(region, NULL, out, sizeof out), sizeof text - 1);
	assert_string_equal(out, text);
	for (size_t cap = 0; cap < sizeof text; cap++) assert_int_equal(derp_region_json(region, NULL, again, cap), 0);
	assert_int_equal(derp_region_json(region, NULL, again, sizeof text), sizeof text - 1);
	assert_int_not_equal(derp_region_json(region, order, out, sizeof out), 0);
	assert_null(strchr(out, '\n'));
	turned = derp_region_parse(out, strlen(out), error);
	assert_non_null(turned);
	assert_string_equal(turned->node[0].name, "9b");
	assert_string_equal(turned->node[0].host_name, "b\"");
	assert_string_equal(turned->node[1].name, "9a");
	assert_int_equal(turned->node[1].derp_port, 8443);
	derp_region_free(turned);
	derp_region_free(region);
	assert_null(derp_region_parse("null", 4, error));
	assert_null(derp_region_parse("{} {}", 5, error));
	derp_region_free(NULL);
	derp_map_free(NULL);
}

/* HOM-008: scores in millionths, wherever they stand in the map and whether their region is in it; null and absent are no score. */
static void scores(void **state)
{
	static const char text[] = "{\"homeparams\":{\"Other\":[1],\"RegionScore\":{\"9\":0.6666666666666666,\"2\":1.5,\"1\":-1,\"3\":0,"
				   "\"4\":null,\"9007199254740991\":1e3,\"2\":2}},\"Regions\":{\"2\":{}}}";
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = parse(text, sizeof text - 1, error);

	(void)state;
	assert_non_null(map);
	assert_int_equal(map->scores, 6);
	for (uint32_t i = 1; i < map->scores; i++) assert_true(map->score[i].region > map->score[i - 1].region);
	assert_int_equal(derp_map_score(map, 9), 666667);
	assert_int_equal(derp_map_score(map, 2), 2000000); /* the later duplicate */
	assert_int_equal(derp_map_score(map, 1), -1000000);
	assert_int_equal(derp_map_score(map, 3), 0);
	assert_int_equal(derp_map_score(map, 4), 0);
	assert_int_equal(derp_map_score(map, 5), 0);
	assert_int_equal(derp_map_score(map, 9007199254740991), 1000000000);
	derp_map_free(map);
	map = parse("{\"HomeParams\":null}", 19, error);
	assert_non_null(map);
	assert_int_equal(map->scores, 0);
	derp_map_free(map);
	map = parse("{\"HomeParams\":{\"RegionScore\":null}}", 35, error);
	assert_non_null(map);
	assert_int_equal(derp_map_score(map, 1), 0);
	derp_map_free(map);
}

/* MAP-011: regions are the same when every member that we know is; how they are written does not matter, the order of nodes does. */
static void region_equal(void **state)
{
	static const char text[] = "{\"RegionID\":9,\"RegionCode\":\"x\",\"RegionName\":\"X\",\"Nodes\":[{\"Name\":\"9a\"},{\"Name\":\"9b\"}]}";
	static const char same[] =
		"{ \"regionname\": \"X\", \"Nodes\": [{\"Name\":\"9a\",\"New\":1},{\"Name\":\"9b\"}], \"RegionID\": 9, \"RegionCode\":\"x\" }";
	static const char *const members[] = { "\"RegionID\":8",
		                               "\"RegionCode\":\"y\"",
		                               "\"RegionName\":\"Y\"",
		                               "\"Latitude\":1",
		                               "\"Longitude\":1",
		                               "\"Avoid\":true",
		                               "\"NoMeasureNoHome\":true",
		                               "\"Nodes\":[{\"Name\":\"9a\"}]",
		                               "\"Nodes\":[{\"Name\":\"9b\"},{\"Name\":\"9a\"}]" };
	static const char *const node_members[] = { "\"HostName\":\"h\"", "\"CertName\":\"c\"",       "\"IPv4\":\"192.0.2.1\"", "\"IPv6\":\"none\"",
		                                    "\"RegionID\":9",     "\"STUNPort\":-1",          "\"DERPPort\":80",        "\"STUNOnly\":true",
		                                    "\"CanPort80\":true", "\"InsecureForTests\":true" };
	char error[DERPMAP_ERROR_SIZE], changed[500];
	struct derp_region *a = derp_region_parse(text, sizeof text - 1, error), *b = derp_region_parse(same, sizeof same - 1, error);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_true(derp_region_equal(a, b));
	derp_region_free(b);
	for (size_t i = 0; i < 19; i++) {
		if (i < 9)
			snprintf(changed, sizeof changed, "%.*s,%s}", (int)sizeof text - 2, text, members[i]);
		else
			snprintf(changed, sizeof changed, "%.*s,\"Nodes\":[{\"Name\":\"9a\",%s},{\"Name\":\"9b\"}]}", (int)sizeof text - 2, text,
			         node_members[i - 9]);
		b = derp_region_parse(changed, strlen(changed), error);
		if (b == NULL) fail_msg("%s: %s", changed, error);
		if (derp_region_equal(a, b)) fail_msg("the same as %s", changed);
		derp_region_free(b);
	}
	derp_region_free(a);
}

/* MAP-002, MAP-003, MAP-012: the index knows each region that counts and where it stands; null and absent Regions are told apart from none. */
static void index_of_text(void **state)
{
	static const char text[] =
		"{\"HomeParams\": {\"RegionScore\":{\"1\":2}} , \"x\":[{}], \"regions\": {\"20\":\n {\"RegionID\":20} ,\"3\":{\"RegionID\":3},"
		"\"4\":{},\"4\":null,\"3\":{\"RegionID\":3,\"Avoid\":true},\"65536\":{}}}";
	static const struct {
		int64_t id;
		const char *text; /* NULL: not there */
	} regions[] = {
		{ 3, "{\"RegionID\":3,\"Avoid\":true}" }, { 20, "{\"RegionID\":20}" }, { 65536, "{}" }, { 4, NULL }, { 0, NULL }, { 65537, NULL }
	};
	static const struct {
		const char *text;
		bool good, keeps;
		uint32_t regions;
	} maps[] = { { "{}", true, true, 0 },
		     { "{\"Regions\":null}", true, true, 0 },
		     { "{\"Regions\":{}}", true, false, 0 },
		     { "{\"Regions\":{\"1\":null}}", true, false, 0 },
		     { "null", false, true, 0 },
		     { "{\"Regions\":{\"1\":{}}", false, true, 0 },
		     { "{\"Regions\":{\"0\":{}}}", false, true, 0 } };
	char error[DERPMAP_ERROR_SIZE];
	struct derp_index index;

	(void)state;
	assert_true(derp_map_index(text, sizeof text - 1, &index, error));
	assert_false(index.keeps_regions);
	assert_int_equal(index.regions, 3);
	assert_memory_equal(text + index.home_params.at, "{\"RegionScore\":{\"1\":2}}", index.home_params.n);
	for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
		const struct derp_span *span = derp_index_find(&index, regions[i].id);
		assert_int_equal(span != NULL, regions[i].text != NULL);
		if (span == NULL) continue;
		assert_int_equal(span->n, strlen(regions[i].text));
		assert_memory_equal(text + span->at, regions[i].text, span->n);
	}
	for (uint32_t i = 1; i < index.regions; i++) assert_true(index.region[i - 1].id < index.region[i].id);
	derp_index_free(&index);
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
		assert_int_equal(derp_map_index(maps[i].text, strlen(maps[i].text), &index, error), maps[i].good);
		assert_int_equal(index.keeps_regions, maps[i].keeps);
		assert_int_equal(index.regions, maps[i].regions);
		assert_int_equal(index.home_params.n, 0);
		derp_index_free(&index);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fallback_map), cmocka_unit_test(lenient),      cmocka_unit_test(messages),      cmocka_unit_test(limits),
		cmocka_unit_test(region_text),  cmocka_unit_test(region_equal), cmocka_unit_test(index_of_text), cmocka_unit_test(scores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
