/* Faulty maps and exactly what is said of them. */
#include "derpmap_lint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The faults of a copy of exactly that length, a line each; or `no JSON: ` and where. */
static const char *lint_of(const char *text, size_t n, char *out, size_t cap)
{
	char *copy = malloc(n + (n == 0)), error[DERPMAP_ERROR_SIZE], line[LINT_LINE_MAX];
	struct lint lint;
	size_t at = 0;

	assert_non_null(copy);
	memcpy(copy, text, n);
	out[0] = 0;
	if (!derp_map_lint(copy, n, &lint, error)) {
		snprintf(out, cap, "no JSON: %s", error);
		assert_int_equal(lint.faults, 0);
	}
	assert_int_equal(lint.faults, lint.errors + lint.warnings);
	for (uint32_t i = 0; i < lint.faults; i++) {
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? "\n" : "", lint_print(&lint.fault[i], line));
		assert_true(at < cap);
		if (i > 0) assert_true(lint.fault[i].at >= lint.fault[i - 1].at);
	}
	lint_free(&lint);
	free(copy);
	return out;
}

struct text_case {
	const char *map, *says;
};

static void say_exactly(const struct text_case *cases, size_t n)
{
	char out[8192];

	for (size_t i = 0; i < n; i++)
		if (strcmp(lint_of(cases[i].map, strlen(cases[i].map), out, sizeof out), cases[i].says) != 0)
			fail_msg("%s\n%s\nnot\n%s", cases[i].map, out, cases[i].says);
}

#define SAY_EXACTLY(cases) say_exactly(cases, sizeof(cases) / sizeof *(cases))

/* One line a region, so that columns count from its beginning. */
#define MAP(regions) "{\"Regions\":{\n" regions "}}"
#define REGION(id, more, nodes) "\"" id "\":{\"RegionID\":" id ",\"RegionCode\":\"r" id "\"" more ",\"Nodes\":[" nodes "]}"
#define ONE(node) MAP("\"1\":{\"RegionID\":1,\"RegionCode\":\"r1\",\"Nodes\":[\n" node "]}")
#define NODE(more) "{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"a.example.com\"" more "}"
#define USABLE "{\"Name\":\"1z\",\"RegionID\":1,\"HostName\":\"z.example.com\"}"
#define AT_REGION "$.Regions.1: "
#define AT_NODE "$.Regions.1.Nodes[0]: "
#define AT(member) "$.Regions.1.Nodes[0]." member ": "
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Maps of which nothing is said, odd as they are. */
static void good_maps(void **state)
{
	static const struct text_case cases[] = {
		{ "{}", "" },
		{ MAP(""), "" },
		{ "{\"Regions\":null,\"HomeParams\":null,\"omitDefaultRegions\":null}", "" },
		{ ONE(NODE("")), "" },
		{ ONE(NODE(",\"IPv4\":\"192.0.2.1\",\"IPv6\":\"2001:db8::1\",\"CanPort80\":true,\"STUNPort\":-1,\"DERPPort\":65535")), "" },
		{ ONE(NODE(",\"IPv4\":\"\",\"IPv6\":\"none\",\"STUNPort\":65535,\"CertName\":\"other.example.com\"")), "" },
		{ ONE(NODE(",\"CertName\":\"sha256-raw:" HEX "\",\"InsecureForTests\":false,\"STUNTestIP\":\"\",\"STUNOnly\":false")), "" },
		{ ONE("{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"2001:db8::1\"}"), "" },
		{ ONE(USABLE "," NODE(",\"STUNOnly\":true")), "" },
		{ MAP(REGION("900", ",\"Latitude\":-90,\"Longitude\":180", "{\"Name\":\"x\",\"RegionID\":900,\"HostName\":\"192.0.2.1\"}")), "" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}},"
		  "\"Regions\":{" REGION("1", "", USABLE) "}}",
		  "" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* MAP-001: what is ignored, written otherwise, there twice, or of the wrong type. */
static void members(void **state)
{
	static const struct text_case cases[] = {
		{ "[]", "1:1: error: $: found an array, expected an object (MAP-001)" },
		{ "null", "1:1: error: $: found null, expected an object (a DERP map)" },
		{ "{\"regions\":{},\"Extra\":1}",
		  "1:3: warning: $: found 'regions', expected 'Regions': other readers look at the letter case (MAP-001)\n"
		  "1:16: warning: $: found 'Extra', which is no member here and is ignored (MAP-001)" },
		{ "{\"OmitDefaultRegions\":\"yes\"}",
		  "1:3: warning: $: found 'OmitDefaultRegions', expected 'omitDefaultRegions': other readers look at the letter case (MAP-001)\n"
		  "1:23: error: $.omitDefaultRegions: found a string, expected true or false (MAP-001)" },
		{ "{\"Regions\":7}", "1:12: error: $.Regions: found a number, expected an object (MAP-001)" },
		{ "{\"Regions\":{\"1\":[]}}", "1:17: error: $.Regions.1: found an array, expected an object (MAP-001)" },
		{ "{\"Regions\":{},\"Regions\":{}}", "1:16: warning: $: found 'Regions' a second time; the later one counts (MAP-001)" },
		{ ONE("null"), "2:45: warning: $.Regions.1.Nodes: no node can be connected to: the region cannot be connected to (MAP-017)\n"
		               "3:1: error: $.Regions.1.Nodes[0]: found null, expected an object (a node)" },
		{ ONE(NODE(",\"DERPPort\":\"443\",\"STUNOnly\":0,\"IPv4\":{},\"Hostname\":\"b\"")),
		  "3:65: error: " AT(
			  "DERPPort") "found a string, expected an integer (MAP-001)\n"
		                      "3:82: error: " AT(
					      "STUNOnly") "found a number, expected true or false (MAP-001)\n"
		                                          "3:91: error: " AT(
								  "IPv4") "found an object, expected a string (MAP-001)\n"
		                                                          "3:95: warning: $.Regions.1.Nodes[0]: found 'Hostname', expected "
		                                                          "'HostName': other readers look at the letter case (MAP-001)\n"
		                                                          "3:95: warning: $.Regions.1.Nodes[0]: found 'HostName' a second time; the "
		                                                          "later one counts (MAP-001)" },
		{ ONE(NODE(",\"DERPPort\":443.0,\"STUNPort\":1e3")),
		  "3:65: error: " AT(
			  "DERPPort") "found 443.0, expected an integer of 64 bits without fraction and exponent (MAP-001)\n"
		                      "3:82: error: " AT(
					      "STUNPort") "found 1e3, expected an integer of 64 bits without fraction and exponent (MAP-001)" },
		{ "{\"a\\u0041\\n\xff\":1}", "1:3: warning: $: found 'aA?\xef\xbf\xbd', which is no member here and is ignored (MAP-001)" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* MAP-002, MAP-003, CLI-043: numbers of regions, and where they do not agree. */
static void region_numbers(void **state)
{
	static const struct text_case cases[] = {
		{ MAP("\"x\":{\"RegionID\":7,\"RegionCode\":\"r\",\"Nodes\":[" USABLE "]}"),
		  "2:2: error: $.Regions.x: found 'x', expected a region's number from 1 to 9007199254740991 (MAP-002)" },
		{ MAP("\"0\":{\"RegionID\":0,\"RegionCode\":\"r\",\"Nodes\":[" USABLE "]}"),
		  "2:2: error: $.Regions.0: found '0', expected a region's number from 1 to 9007199254740991 (MAP-002)\n"
		  "2:5: error: $.Regions.0: found no RegionID, expected the number under which the region stands (MAP-002)" },
		{ MAP("\"1\":{\"RegionID\":2,\"RegionCode\":\"r\",\"Nodes\":[" USABLE "]}"),
		  "2:17: error: $.Regions.1.RegionID: found 2, expected 1, the number under which the region stands (MAP-002)" },
		{ MAP("\"1\":{\"RegionID\":\"1\",\"RegionCode\":\"r\",\"Nodes\":[" USABLE "]}"), /* no second word of it */
		  "2:17: error: $.Regions.1.RegionID: found a string, expected an integer (MAP-001)" },
		{ MAP("\"9007199254740992\":null"), "2:2: error: $.Regions.9007199254740992: found '9007199254740992', expected a region's number "
		                                    "from 1 to 9007199254740991 (MAP-002)\n"
		                                    "2:2: warning: $.Regions.9007199254740992: found null: the region is taken as absent (MAP-003)" },
		{ MAP("\"9007199254740991\":null"),
		  "2:2: warning: $.Regions.9007199254740991: found null: the region is taken as absent (MAP-003)\n"
		  "2:2: warning: $.Regions.9007199254740991: numbers over 65535 do not work from end to end (CLI-043)" },
		{ MAP(REGION("65536", "", "{\"Name\":\"x\",\"RegionID\":65536,\"HostName\":\"x\"}") ",\n\"02\":null,\n\"2\":null"),
		  "2:2: warning: $.Regions.65536: numbers over 65535 do not work from end to end (CLI-043)\n"
		  "3:2: warning: $.Regions.02: found '02', expected '2' (MAP-002)\n"
		  "3:2: warning: $.Regions.02: found null: the region is taken as absent (MAP-003)\n"
		  "4:2: warning: $.Regions.2: found null: the region is taken as absent (MAP-003)\n"
		  "4:2: warning: $.Regions.2: the region a second time; the later one counts (MAP-001)" },
		{ MAP(REGION("1", "", USABLE) ",\n" REGION("999", "", "{\"Name\":\"x\",\"RegionID\":999,\"HostName\":\"x\"}")),
		  "3:2: warning: $.Regions.999: 900 to 999 are reserved for users' own relays, and this map has others (MAP-002)" },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":-1,\"2\":\"x\",\"z\":1}},\"Regions\":{" REGION("1", "", USABLE) "}}",
		  "1:35: warning: $.HomeParams.RegionScore.1: found a score of 0 or less, which counts as 1 (HOM-008)\n"
		  "1:39: warning: $.HomeParams.RegionScore.2: found a score of a region that is not in this map (HOM-008)\n"
		  "1:42: error: $.HomeParams.RegionScore.2: found a string, expected a number (MAP-001)\n"
		  "1:47: error: $.HomeParams.RegionScore.z: found 'z', expected a region's number from 1 to 9007199254740991 (MAP-002)" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* MAP-017, TRP-028, and the members of a region. */
static void regions(void **state)
{
	static const struct text_case cases[] = {
		{ MAP("\"1\":{\"RegionID\":1}"), "2:5: warning: " AT_REGION "found no RegionCode, expected a short name, as in nyc (chapter 4.3)\n"
		                                 "2:5: warning: " AT_REGION "there is no node: the region cannot be connected to (MAP-017)" },
		{ MAP("\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Nodes\":null}"),
		  "2:5: warning: " AT_REGION "there is no node: the region cannot be connected to (MAP-017)" },
		{ MAP("\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Nodes\":[]}"),
		  "2:44: warning: $.Regions.1.Nodes: there is no node: the region cannot be connected to (MAP-017)" },
		{ ONE(NODE(",\"STUNOnly\":true")),
		  "2:45: warning: $.Regions.1.Nodes: no node can be connected to: the region cannot be connected to (MAP-017)" },
		{ ONE(NODE(",\"STUNOnly\":true") "," USABLE),
		  "2:45: warning: $.Regions.1.Nodes: the first node is STUNOnly: every client calls itself not ideal, for ever (TRP-028)" },
		{ MAP(REGION("1", ",\"Latitude\":90.1,\"Longitude\":-180.5,\"Avoid\":true", USABLE)),
		  "2:48: error: $.Regions.1.Latitude: found a number out of range, expected -90 to 90 degrees (chapter 4.3)\n"
		  "2:65: error: $.Regions.1.Longitude: found a number out of range, expected -180 to 180 degrees (chapter 4.3)\n"
		  "2:80: warning: $.Regions.1.Avoid: Avoid is deprecated and does little; NoMeasureNoHome keeps homes away (MAP-015, MAP-014)" },
		{ MAP("\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Nodes\":[" USABLE "]},\n"
		      "\"2\":{\"RegionID\":2,\"RegionCode\":\"a\",\"Nodes\":[{\"Name\":\"2a\",\"RegionID\":2,\"HostName\":\"x\"}]}"),
		  "3:32: warning: $.Regions.2.RegionCode: found 'a', which is also that of $.Regions.1 (chapter 4.3)" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* MAP-016, MAP-020, TRP-039: a node has a name of its own, and says in which region it is. */
static void node_identity(void **state)
{
	static const struct text_case cases[] = {
		{ ONE("{\"HostName\":\"a\"}"),
		  "3:1: error: " AT_NODE "found no Name, expected one of its own, as in 1a (MAP-016)\n"
		  "3:1: error: " AT_NODE "found no RegionID, expected that of its region: without it the region is never measured (MAP-020)" },
		{ ONE("{\"Name\":\"\",\"RegionID\":0,\"HostName\":\"\"}"),
		  "2:45: warning: $.Regions.1.Nodes: no node can be connected to: the region cannot be connected to (MAP-017)\n"
		  "3:1: error: " AT_NODE "found no Name, expected one of its own, as in 1a (MAP-016)\n"
		  "3:1: error: " AT_NODE "found no RegionID, expected that of its region: without it the region is never measured (MAP-020)\n"
		  "3:1: error: " AT_NODE "found no HostName, expected a DNS name or an IP address (chapter 4.3)" },
		{ ONE("{\"Name\":\"1a\",\"RegionID\":2,\"HostName\":\"a\"}"),
		  "3:25: error: " AT("RegionID") "found 2, expected 1, the region in which the node stands (MAP-020)" },
		{ MAP(REGION("1", "", USABLE ",\n" USABLE) ",\n" REGION("2", "", "{\"Name\":\"1z\",\"RegionID\":2,\"HostName\":\"a\"}")),
		  "3:9: error: $.Regions.1.Nodes[1].Name: found '1z', which is also that of $.Regions.1.Nodes[0] (MAP-016)\n"
		  "4:54: error: $.Regions.2.Nodes[0].Name: found '1z', which is also that of $.Regions.1.Nodes[0] (MAP-016)" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* MAP-006..MAP-010, MAP-019: addresses, names, ports, and what is for tests. */
static void node_addresses(void **state)
{
	static const struct text_case cases[] = {
		{ ONE(NODE(",\"IPv4\":\"192.0.2.300\"")),
		  "3:61: error: " AT("IPv4") "found '192.0.2.300', expected an IPv4 address, or none to switch IPv4 off, as this does (MAP-006)" },
		{ ONE(NODE(",\"IPv4\":\"2001:db8::1\",\"IPv6\":\"192.0.2.1\"")),
		  "2:45: warning: $.Regions.1.Nodes: no node can be connected to: the region cannot be connected to (MAP-017)\n"
		  "3:1: warning: " AT_NODE "both families are off: the node cannot be dialled (CLI-019)\n"
		  "3:61: error: " AT("IPv4") "found '2001:db8::1', expected an IPv4 address: as it stands, IPv4 is off (MAP-006)\n"
		                             "3:82: error: " AT(
						     "IPv6") "found '192.0.2.1', expected an IPv6 address: as it stands, IPv6 is off (MAP-006)" },
		{ ONE(NODE(",\"IPv6\":\"None\"")),
		  "3:61: error: " AT("IPv6") "found 'None', expected an IPv6 address, or none to switch IPv6 off, as this does (MAP-006)" },
		{ ONE("{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"https://a:443\"}"),
		  "3:38: error: " AT("HostName") "found 'https://a:443', expected a DNS name or an IP address, without port (chapter 4.3)" },
		{ ONE(NODE(",\"CertName\":\"sha256-raw:0123456789ABCDEF"
		           "0123456789abcdef0123456789abcdef0123456789abcdef\"")),
		  "3:65: error: " AT(
			  "CertName") "found 'sha256-raw:0123456789ABCDEF0123456789abcdef0123456789abcdef0...', expected sha256-raw: and 64 "
		                      "lower-case hex digits: no certificate will match (MAP-009)" },
		{ ONE(NODE(",\"CertName\":\"sha256-raw:abc\"")),
		  "3:65: error: " AT("CertName") "found 'sha256-raw:abc', expected sha256-raw: and 64 lower-case hex digits: no certificate will "
		                                 "match (MAP-009)" },
		{ ONE(NODE(",\"CertName\":\"sha256:" HEX "\"")),
		  "3:65: error: " AT("CertName") "found 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef01234...', expected a DNS name, or "
		                                 "sha256-raw: and "
		                                 "64 hex digits (MAP-008, MAP-009)" },
		{ ONE(NODE(",\"DERPPort\":65536,\"STUNPort\":70000")),
		  "2:45: warning: $.Regions.1.Nodes: no node can be connected to: the region cannot be connected to (MAP-017)\n"
		  "3:65: error: " AT("DERPPort") "found 65536, expected 1 to 65535, or 0 for 443 (MAP-007)\n"
		                                 "3:82: warning: " AT("STUNPort") "found 70000, which switches STUN off; expected 1 to 65535, 0 for "
		                                                                  "3478, or -1 for off (MAP-010)" },
		{ ONE(USABLE "," NODE(",\"STUNPort\":-1,\"STUNOnly\":true")),
		  "3:133: warning: $.Regions.1.Nodes[1].STUNOnly: STUN is off too: the node is good for nothing (MAP-005, MAP-010)" },
		{ ONE(NODE(",\"STUNPort\":4294967296")), "3:65: error: " AT("STUNPort") "found 4294967296, expected a port (MAP-010)" },
		{ ONE(NODE(",\"InsecureForTests\":true,\"STUNTestIP\":\"127.0.0.1\",\"CanPort80\":true")),
		  "3:73: warning: " AT(
			  "InsecureForTests") "found true: certificates of this node are not checked (chapter 4.3)\n"
		                              "3:91: warning: " AT(
						      "STUNTestIP") "found an address for tests: STUN goes there and not to the node (chapter 4.3)\n"
		                                                    "3:115: warning: " AT("CanPort80") "found true without an IPv4 address: the node "
		                                                                                       "is not asked (MAP-019)" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* A text that is no JSON: where and what, and nothing else. */
static void no_json(void **state)
{
	static const struct text_case cases[] = {
		{ "", "no JSON: 1:1: expected a value" },
		{ "{\"Regions\":{\n  \"1\":{\"x\":1,}}}", "no JSON: 2:14: expected a value" },
		{ "{\"Regions\":{}} {}", "no JSON: 1:16: expected the end of the text" },
		{ "{\"Regions\":{\"1\":{\"Nodes\":[{\"Name\":\"1a", "no JSON: 1:38: bad or unfinished string" },
		{ "// a comment\n{}", "no JSON: 1:1: expected a value" },
	};

	(void)state;
	SAY_EXACTLY(cases);
}

/* The number of faults has a limit, of which the counters know nothing; a long text and a deep path do not spoil a line. */
static void limits(void **state)
{
	size_t cap = 4 << 20, n;
	char *text = malloc(cap), error[DERPMAP_ERROR_SIZE], line[LINT_LINE_MAX];
	struct lint lint;

	(void)state;
	assert_non_null(text);
	n = (size_t)sprintf(text, "{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Nodes\":[");
	for (uint32_t i = 0; i < 100000; i++) { /* three errors each, and one warning */
		size_t at = n + (size_t)sprintf(text + n, "%s{}", i ? "," : "");
		n = at;
		if (i + 1 != 3332 && i + 1 != 3333 && i + 1 != 3334 && i + 1 != 100000) continue;
		at += (size_t)sprintf(text + at, "]}}}");
		assert_true(derp_map_lint(text, at, &lint, error));
		assert_int_equal(lint.faults, i + 1 <= 3333 ? 3 * (i + 1) + 1 : 10000);
		assert_int_equal(lint.errors, 3 * (i + 1));
		assert_int_equal(lint.warnings, 1);
		lint_free(&lint);
	}
	n = (size_t)sprintf(text, "{\"Regions\":{\"");
	memset(text + n, 'x', 5000);
	n += 5000;
	n += (size_t)sprintf(text + n, "\":{\"RegionCode\":\"");
	memset(text + n, 'y', 5000);
	n += 5000;
	n += (size_t)sprintf(text + n, "\"}}}");
	assert_true(derp_map_lint(text, n, &lint, error));
	for (uint32_t i = 0; i < lint.faults; i++) assert_true(strlen(lint_print(&lint.fault[i], line)) < 400);
	assert_int_equal(lint.errors, 3); /* the number, the code, and no RegionID */
	lint_free(&lint);
	free(text);
}

/* 64 MiB are looked at, one byte more is not, nor far more. */
static void longest(void **state)
{
	static const size_t lengths[] = { 67108863, 67108864, 67108865, 80000000 };
	char *text = malloc(80000000), error[DERPMAP_ERROR_SIZE];
	struct lint lint;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', 80000000);
	memcpy(text, "{}", 2);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(derp_map_lint(text, lengths[i], &lint, error), i < 2);
		lint_free(&lint);
	}
	free(text);
}

/* MAP-001: a map that the decoder refuses has an error here, and what it reads is JSON here: on a map with every byte replaced in turn. */
static void agrees_with_decoder(void **state)
{
	static const char map[] =
		"{\"HomeParams\":{\"RegionScore\":{\"1\":1.5}},\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Latitude\":5e1,"
		"\"Avoid\":false,\"Nodes\":[{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"h\",\"STUNPort\":-1,\"CanPort80\":true}]}}}";
	static const char with[] = "\"\\{}[]:,0129-.eEntfu a\x01\x7f\xc3\xff";
	char text[sizeof map], error[DERPMAP_ERROR_SIZE];
	uint32_t read = 0, refused = 0, broken = 0;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof map; i++)
		for (size_t k = 0; k + 1 < sizeof with; k++) {
			struct derp_map *decoded;
			struct lint lint;
			bool json;
			memcpy(text, map, sizeof map);
			text[i] = with[k];
			json = derp_map_lint(text, sizeof map - 1, &lint, error);
			decoded = derp_map_parse(text, sizeof map - 1, error);
			if (decoded != NULL && !json) fail_msg("decoded, but no JSON: %s", text);
			if (decoded == NULL && json && lint.errors == 0) fail_msg("%s, but no error here: %s", error, text);
			read += decoded != NULL, refused += decoded == NULL && json, broken += !json;
			derp_map_free(decoded);
			lint_free(&lint);
		}
	assert_true(read > 1000 && refused > 50 && broken > 1000);
}

/* A long text is cut between two characters, a long number anywhere; a map over DERPMAP_BYTES_MAX is not read at all. */
static void long_texts(void **state)
{
	char text[1000], host[400] = "", out[8192], error[DERPMAP_ERROR_SIZE];
	struct lint lint;

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		snprintf(host, sizeof host, "%.*s", (int)shift, "xx");
		for (int i = 0; i < 60; i++) strcat(host, "\xe2\x82\xac");
		snprintf(text, sizeof text, ONE("{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"%s/\"}"), host);
		host[shift == 0 ? 60 : shift + 57] = 0;
		lint_of(text, strlen(text), out, sizeof out);
		snprintf(text, sizeof text, "HostName: found '%s...', expected a DNS name", host);
		if (strstr(out, text) == NULL) fail_msg("%s\nnot\n%s", out, text);
	}
	snprintf(text, sizeof text, ONE(NODE(",\"DERPPort\":1%0300d")), 0);
	lint_of(text, strlen(text), out, sizeof out);
	snprintf(text, sizeof text, "DERPPort: found 1%059d, expected an integer of 64 bits", 0);
	if (strstr(out, text) == NULL) fail_msg("%s\nnot\n%s", out, text);
	assert_false(derp_map_lint(text, DERPMAP_BYTES_MAX + 1, &lint, error));
	assert_string_equal(error, "1:1: expected at most 67108864 bytes");
	assert_int_equal(lint.faults, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_maps),
		cmocka_unit_test(members),
		cmocka_unit_test(region_numbers),
		cmocka_unit_test(regions),
		cmocka_unit_test(node_identity),
		cmocka_unit_test(node_addresses),
		cmocka_unit_test(no_json),
		cmocka_unit_test(limits),
		cmocka_unit_test(longest),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(agrees_with_decoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
