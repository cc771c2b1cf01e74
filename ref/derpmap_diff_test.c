/* Updates of a map by member, and what is different between two maps. */
#include "derpmap_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct derp_map *map_of(const char *text)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(text, strlen(text), error);

	if (map == NULL) fail_msg("%s: %s", text, error);
	return map;
}

/* ---- updates ---- */

/* The codes of a map's regions in order, a `!` if default regions are left out, and its scores. */
static const char *summary(const struct derp_map *map, char out[200])
{
	size_t n = 0;

	for (uint32_t i = 0; i < map->regions; i++) n += (size_t)sprintf(out + n, "%s%s", i ? " " : "", map->region[i].code);
	n += (size_t)sprintf(out + n, "%s", map->omit_default_regions ? "!" : "");
	for (uint32_t i = 0; i < map->scores; i++)
		n += (size_t)sprintf(out + n, " %d=%d", (int)map->score[i].region, (int)(map->score[i].micro / 1000000));
	out[n] = 0;
	return out;
}

#define START \
	"{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"a\"},\"2\":{\"RegionID\":2,\"RegionCode\":\"b\"}},\"omitDefaultRegions\":true," \
	"\"HomeParams\":{\"RegionScore\":{\"1\":2,\"2\":3}}}"
#define REGION_C "\"3\":{\"RegionID\":3,\"RegionCode\":\"c\"}"

/* MAP-012, MAP-013: what an update leaves out or calls null stays, with Regions also omitDefaultRegions; Regions that are there replace all,
 * empty scores reset, null scores do not. */
static void update_by_member(void **state)
{
	static const struct {
		const char *update, *then;
	} cases[] = {
		{ "{}", "a b! 1=2 2=3" },
		{ "{\"Regions\":null,\"HomeParams\":null}", "a b! 1=2 2=3" },
		{ "{\"omitDefaultRegions\":false}", "a b! 1=2 2=3" },
		{ "{\"Regions\":{" REGION_C "}}", "c 1=2 2=3" },
		{ "{\"Regions\":{" REGION_C ",\"1\":null},\"omitDefaultRegions\":true}", "c! 1=2 2=3" }, /* MAP-003 */
		{ "{\"Regions\":{}}", " 1=2 2=3" },
		{ "{\"HomeParams\":{}}", "a b! 1=2 2=3" },
		{ "{\"HomeParams\":{\"RegionScore\":null}}", "a b! 1=2 2=3" },
		{ "{\"HomeParams\":{\"RegionScore\":{}}}", "a b!" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"2\":5}}}", "a b! 2=5" },
		{ "{\"Regions\":{" REGION_C "},\"HomeParams\":{\"RegionScore\":{\"3\":4}}}", "c 3=4" },
		{ "{\"Regions\":{" REGION_C "},\"Regions\":null}", "a b! 1=2 2=3" }, /* the later one counts */
		{ "{\"HomeParams\":{\"RegionScore\":{\"3\":4}},\"HomeParams\":null}", "a b! 1=2 2=3" },
	};
	char out[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct derp_map *map = map_of(START);
		assert_string_equal(summary(map, out), "a b! 1=2 2=3");
		derp_map_apply(map, map_of(cases[i].update));
		if (strcmp(summary(map, out), cases[i].then) != 0) fail_msg("%s: %s, not %s", cases[i].update, out, cases[i].then);
		derp_map_apply(map, map_of(START)); /* and back: nothing of the first update is left, nothing is freed twice */
		assert_string_equal(summary(map, out), "a b! 1=2 2=3");
		derp_map_free(map);
	}
}

/* ---- homes ---- */

/* MAP-018: HomeDERP; where it is 0 the old member, if it is of its form; a patch replaces it unless it says 0. */
static void homes(void **state)
{
	static const struct {
		int64_t number;
		const char *old;
		int64_t home;
	} cases[] = {
		{ 7, "", 7 },
		{ 7, "127.3.3.40:9", 7 },
		{ 0, "127.3.3.40:9", 9 },
		{ 0, "127.3.3.40:65535", 65535 },
		{ 0, "127.3.3.40:9007199254740991", INT64_C(9007199254740991) },
		{ 0, "127.3.3.40:9007199254740992", 0 },
		{ 0, "127.3.3.40:99999999999999999", 0 },
		{ 0, "127.3.3.40:0", 0 },
		{ 0, "127.3.3.40:", 0 },
		{ 0, "127.3.3.40", 0 },
		{ 0, "127.3.3.41:9", 0 },
		{ 0, "127.3.3.40:9x", 0 },
		{ 0, "127.3.3.40:-9", 0 },
		{ 0, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (derp_home(cases[i].number, cases[i].old, strlen(cases[i].old)) != cases[i].home) fail_msg("%s", cases[i].old);
	assert_int_equal(derp_home_patched(7, 0), 7);
	assert_int_equal(derp_home_patched(7, 9), 9);
	assert_int_equal(derp_home_patched(0, 9), 9);
}

/* ---- differences ---- */

/* A diff as text: `+id`, `-id`, `~id` with `!` for its own members, `%` for another order, and its nodes; `S` scores, `O` omitDefaultRegions. */
static const char *described(const struct derp_diff *d, char out[400])
{
	static const char sign[] = { [DERP_ADDED] = '+', [DERP_REMOVED] = '-', [DERP_CHANGED] = '~' };
	size_t n = 0;

	for (uint32_t i = 0; i < d->regions; i++) {
		const struct derp_region_change *r = &d->region[i];
		n += (size_t)sprintf(out + n, "%s%c%d%s%s", i ? " " : "", sign[r->what], (int)r->id, r->itself ? "!" : "", r->reordered ? "%" : "");
		assert_int_equal(r->was == NULL, r->what == DERP_ADDED);
		assert_int_equal(r->is == NULL, r->what == DERP_REMOVED);
		for (uint32_t k = r->node; k < r->node + r->nodes; k++) {
			const struct derp_node_change *x = &d->node[k];
			assert_int_equal(x->was == NULL, x->what == DERP_ADDED);
			assert_int_equal(x->is == NULL, x->what == DERP_REMOVED);
			n += (size_t)sprintf(out + n, "(%c%s)", sign[x->what], (x->is != NULL ? x->is : x->was)->name);
		}
	}
	n += (size_t)sprintf(out + n, "%s%s", d->scores ? " S" : "", d->omit_default_regions ? " O" : "");
	out[n] = 0;
	return out;
}

#define NODE(name, more) "{\"Name\":\"" name "\"" more "}"
#define REGION(id, more, nodes) "\"" id "\":{\"RegionID\":" id more ",\"Nodes\":[" nodes "]}"
#define MAP(regions) "{\"Regions\":{" regions "}}"
#define ABC NODE("a", "") "," NODE("b", "") "," NODE("c", "")

/* TRP-037: regions that have come, gone or changed; of the changed ones which nodes, whether their order did, and whether the region itself. */
static void differences(void **state)
{
	static const struct {
		const char *was, *is, *says;
	} cases[] = {
		{ MAP(""), MAP(REGION("5", "", "")), "+5" },
		{ MAP(REGION("5", "", ABC)), MAP(""), "-5" },
		{ MAP(REGION("5", "", ABC)), "{\"Regions\":{\"5\":null}}", "-5" },
		{ MAP(REGION("1", "", "") "," REGION("3", "", "")), MAP(REGION("2", "", "") "," REGION("3", "", "") "," REGION("4", "", "")),
		  "-1 +2 +4" },
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", ABC "," NODE("d", ""))), "~1(+d)" },
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", NODE("b", ""))), "~1(-a)(-c)" },
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", NODE("a", "") "," NODE("c", "") "," NODE("b", ""))), "~1%" },
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", NODE("d", "") "," NODE("c", "") "," NODE("a", ""))), "~1%(-b)(+d)" },
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", NODE("d", "") "," ABC)), "~1(+d)" }, /* the rest in its order */
		{ MAP(REGION("1", "", ABC)), MAP(REGION("1", "", NODE("a", ",\"DERPPort\":8443") "," NODE("b", "") "," NODE("c", ""))), "~1(~a)" },
		{ MAP(REGION("1", "", "")), MAP(REGION("1", ",\"Avoid\":true", "")), "~1!" },
		{ MAP(REGION("1", ",\"Latitude\":1", "")), MAP(REGION("1", ",\"Latitude\":1.000001", ABC)), "~1!(+a)(+b)(+c)" },
		{ MAP(REGION("1", "", NODE("a", "") "," NODE("a", ",\"STUNPort\":1"))), MAP(REGION("1", "", NODE("a", ""))), "~1(-a)" },
		{ MAP(""), "{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}}}", " S" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}}}", "{\"HomeParams\":{\"RegionScore\":{\"2\":0.5}}}", " S" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}}}", "{\"HomeParams\":{\"RegionScore\":{\"1\":0.6}}}", " S" },
		{ MAP(""), "{\"omitDefaultRegions\":true}", " O" },
	};
	char out[400];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct derp_map *was = map_of(cases[i].was), *is = map_of(cases[i].is);
		struct derp_diff d;
		derp_map_diff(was, is, &d);
		if (strcmp(described(&d, out), cases[i].says) != 0) fail_msg("%s -> %s: %s, not %s", cases[i].was, cases[i].is, out, cases[i].says);
		assert_false(derp_diff_empty(&d));
		derp_diff_free(&d);
		derp_map_free(was);
		derp_map_free(is);
	}
}

/* Each member of a node and of a region counts, and no other. MAP-011: an equal map, however it is written, is no difference. */
static void every_member(void **state)
{
	static const char *const node[] = { "\"RegionID\":1",     "\"HostName\":\"h\"",       "\"CertName\":\"c\"", "\"IPv4\":\"192.0.2.1\"",
		                            "\"IPv6\":\"none\"",  "\"STUNPort\":1",           "\"DERPPort\":1",     "\"STUNOnly\":true",
		                            "\"CanPort80\":true", "\"InsecureForTests\":true" };
	static const char *const region[] = { "\"RegionCode\":\"x\"", "\"RegionName\":\"x\"", "\"Latitude\":1",
		                              "\"Longitude\":1",      "\"Avoid\":true",       "\"NoMeasureNoHome\":true" };
	static const char equal_text[] = "{\"omitDefaultRegions\":false,\"unknown\":1,\"regions\":{\"2\":null,\"1\":{\"nodes\":[{\"name\":\"a\"}]}},"
					 "\"homeparams\":{\"regionscore\":{\"2\":2.0,\"1\":5e-1}}}";
#define SCORES ",\"HomeParams\":{\"RegionScore\":{\"1\":0.5,\"2\":2}}}"
	struct derp_map *plain = map_of("{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":\"a\"}]}}" SCORES), *is = map_of(equal_text);
	struct derp_diff d;

	(void)state;
	derp_map_diff(plain, is, &d);
	assert_true(derp_diff_empty(&d));
	derp_diff_free(&d);
	derp_map_free(is);
	for (size_t i = 0; i < sizeof node / sizeof *node + sizeof region / sizeof *region; i++) {
		bool of_node = i < sizeof node / sizeof *node;
		char text[300];
		snprintf(text, sizeof text, "{\"Regions\":{\"1\":{\"Nodes\":[{\"Name\":\"a\"%s%s}]%s%s}}" SCORES, of_node ? "," : "",
		         of_node ? node[i] : "", of_node ? "" : ",", of_node ? "" : region[i - sizeof node / sizeof *node]);
		is = map_of(text);
		derp_map_diff(plain, is, &d);
		assert_int_equal(d.regions, 1);
		assert_false(d.scores);
		assert_int_equal(d.nodes, of_node);
		assert_int_equal(d.region[0].itself, !of_node);
		derp_diff_free(&d);
		derp_map_free(is);
	}
	derp_map_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(update_by_member),
		cmocka_unit_test(homes),
		cmocka_unit_test(differences),
		cmocka_unit_test(every_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
