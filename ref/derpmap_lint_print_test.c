/* What the lint of a map prints, for people and for programs, to the letter. */
#include "derpmap_lint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void prints(const char *map, bool json, const char *want)
{
	char error[DERPMAP_ERROR_SIZE], *text;
	struct lint lint;

	assert_true(derp_map_lint(map, strlen(map), &lint, error));
	text = lint_format(&lint, "m.json", json);
	assert_string_equal(text, want);
	free(text);
	lint_free(&lint);
}

#define NODE "{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"a.test\""
#define MAP(nodes) "{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"x\",\"RegionName\":\"X\",\"Nodes\":[" nodes "]}}}"

static void good_map(void **state)
{
	(void)state;
	prints(MAP(NODE "}"), false, "m.json: good\n");
	prints(MAP(NODE "}"), true, "{\"schema\":1,\"file\":\"m.json\",\"errors\":0,\"warnings\":0,\"faults\":[]}\n");
}

/* One error; more faults than are listed; and what stands in JSON of one. */
static void faulty_map(void **state)
{
	char error[DERPMAP_ERROR_SIZE], line[LINT_LINE_MAX], want[2 * LINT_LINE_MAX], *text;
	static const char map[] = MAP(NODE ",\"IPv4\":\"nonsense\"}");
	struct lint lint;

	(void)state;
	assert_true(derp_map_lint(map, sizeof map - 1, &lint, error));
	assert_int_equal(lint.errors, 1);
	assert_int_equal(lint.faults, 1);
	snprintf(want, sizeof want, "m.json:%s\nm.json: 1 error, %u warnings\n", lint_print(&lint.fault[0], line), lint.warnings);
	prints(map, false, want);
	lint.errors += 2;
	text = lint_format(&lint, "m.json", false);
	snprintf(want, sizeof want, "m.json:%s\nm.json: and 2 more\nm.json: 3 errors, %u warnings\n", line, lint.warnings);
	assert_string_equal(text, want);
	free(text);
	text = lint_format(&lint, "m.json", true);
	snprintf(want, sizeof want,
	         "{\"schema\":1,\"file\":\"m.json\",\"errors\":3,\"warnings\":%u,\"faults\":[{\"line\":%u,\"column\":%u,\"level\":\"error\","
	         "\"path\":\"$.Regions.1.Nodes[0].IPv4\",\"text\":\"",
	         lint.warnings, lint.fault[0].line, lint.fault[0].column);
	assert_memory_equal(text, want, strlen(want));
	assert_string_equal(text + strlen(text) - 5, "\"}]}\n");
	free(text);
	lint_free(&lint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_map),
		cmocka_unit_test(faulty_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
