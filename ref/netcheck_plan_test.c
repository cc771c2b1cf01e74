/* Probe plans and addresses without a network: the situations of the original's plan tests on a map of our own, and its rules one by one. */
#include "netcheck_plan.h"

#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Regions 10, 20, 30, 40, 50 with one to five nodes that have addresses of both families. Region 60 has one and is marked. */
static struct derp_map *map_of_six(void)
{
	char text[8192], error[DERPMAP_ERROR_SIZE];
	int at = sprintf(text, "{\"Regions\":{");
	struct derp_map *map;

	for (int r = 1; r <= 6; r++) {
		at += sprintf(text + at, "%s\"%d0\":{\"RegionCode\":\"r%d\",\"NoMeasureNoHome\":%s,\"Nodes\":[", r > 1 ? "," : "", r, r,
		              r == 6 ? "true" : "false");
		for (int i = 0; i < (r == 6 ? 1 : r); i++)
			at += sprintf(text + at,
			              "%s{\"Name\":\"%d%c\",\"RegionID\":%d0,\"HostName\":\"n%d.r%d.test\",\"IPv4\":\"198.51.%d.%d\",\"IPv6\":\"2001:"
			              "db8:%d::%d\"}",
			              i ? "," : "", r, 'a' + i, r, i, r, r, i + 1, r, i + 1);
		at += sprintf(text + at, "]}");
	}
	sprintf(text + at, "}}");
	map = derp_map_parse(text, strlen(text), error);
	if (map == NULL) fail_msg("%s", error);
	return map;
}

static struct derp_map *map_of(const char *json)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(json, strlen(json), error);

	if (map == NULL) fail_msg("%s", error);
	return map;
}

/* The plan as text, a line a set: "10/4: 1a@0 1a@100", delays in ms, with us behind a point where there are any. */
static const char *plan_text(const struct netcheck_plan *plan, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = 0;
	for (uint32_t i = 0; i < plan->sets; i++) {
		const struct netcheck_set *set = &plan->set[i];
		at += (size_t)snprintf(out + at, cap - at, "%lld/%d:", (long long)set->region->id, set->family == NETCHECK_V6 ? 6 : 4);
		assert_in_range(set->probes, 1, NETCHECK_TRIES_MAX);
		for (uint32_t k = 0; k < set->probes; k++) {
			uint64_t us = set->probe[k].delay / NS_US;
			assert_int_equal(set->probe[k].delay % NS_US, 0);
			at += (size_t)snprintf(out + at, cap - at, " %s@%llu", set->region->node[set->probe[k].node].name,
			                       (unsigned long long)us / 1000);
			if (us % 1000 != 0) at += (size_t)snprintf(out + at, cap - at, ".%03llu", (unsigned long long)us % 1000);
		}
		at += (size_t)snprintf(out + at, cap - at, "\n");
	}
	assert_true(at < cap);
	return out;
}

/* A last report: "10=15 20=25/4 30=35/6": ms, and over which family if not both. */
static struct netcheck_report last_of(const char *text)
{
	struct netcheck_report r = { .udp = true };
	int used;

	for (; *text != 0; text += used) {
		long long id, ms;
		int family = 0, more = 0;
		assert_int_equal(sscanf(text, " %lld=%lld%n", &id, &ms, &used), 2);
		if (sscanf(text + used, "/%d%n", &family, &more) == 1) used += more;
		if (family != 6) netcheck_report_book(&r, id, NETCHECK_V4, (uint64_t)ms * NS_MS);
		if (family != 4) netcheck_report_book(&r, id, NETCHECK_V6, (uint64_t)ms * NS_MS);
	}
	return r;
}

static void expect(const struct derp_map *map, bool v4, bool v6, const char *last_text, int64_t preferred, bool always, const char *want)
{
	struct netcheck_report last = last_of(last_text == NULL ? "" : last_text);
	struct netcheck_interfaces have = { v4, v6 };
	struct netcheck_plan plan;
	char text[4096];

	netcheck_plan_make(&plan, map, &have, last_text == NULL ? NULL : &last, preferred, always);
	assert_string_equal(plan_text(&plan, text, sizeof text), want);
	netcheck_plan_free(&plan);
	netcheck_report_free(&last);
}

/* HOM-004: three probes a region and family, 100 ms apart, over the region's nodes in turn; marked regions are left out (MAP-014). */
static void full(void **state)
{
	struct derp_map *map = map_of_six();

	(void)state;
	expect(map, true, true, NULL, 0, true,
	       "10/4: 1a@0 1a@100 1a@200\n10/6: 1a@0 1a@100 1a@200\n20/4: 2a@0 2b@100 2a@200\n20/6: 2a@0 2b@100 2a@200\n"
	       "30/4: 3a@0 3b@100 3c@200\n30/6: 3a@0 3b@100 3c@200\n40/4: 4a@0 4b@100 4c@200\n40/6: 4a@0 4b@100 4c@200\n"
	       "50/4: 5a@0 5b@100 5c@200\n50/6: 5a@0 5b@100 5c@200\n");
	expect(map, true, false, NULL, 30, true,
	       "10/4: 1a@0 1a@100 1a@200\n20/4: 2a@0 2b@100 2a@200\n30/4: 3a@0 3b@100 3c@200\n40/4: 4a@0 4b@100 4c@200\n"
	       "50/4: 5a@0 5b@100 5c@200\n");
	expect(map, false, true, NULL, 0, true,
	       "10/6: 1a@0 1a@100 1a@200\n20/6: 2a@0 2b@100 2a@200\n30/6: 3a@0 3b@100 3c@200\n40/6: 4a@0 4b@100 4c@200\n"
	       "50/6: 5a@0 5b@100 5c@200\n");
	expect(map, true, false, "", 0, true, /* a report that measured nothing is no base for an incremental one */
	       "10/4: 1a@0 1a@100 1a@200\n20/4: 2a@0 2b@100 2a@200\n30/4: 3a@0 3b@100 3c@200\n40/4: 4a@0 4b@100 4c@200\n"
	       "50/4: 5a@0 5b@100 5c@200\n");
	expect(map, false, false, NULL, 0, true, "");
	derp_map_free(map);
}

/* HOM-005: the three fastest regions; two probes for the first two, 1.2 times the last latency apart; IPv6 in the dark gets one. */
static void incremental(void **state)
{
	struct derp_map *map = map_of_six();

	(void)state;
	expect(map, true, false, "10=15/4 20=25/4 30=35/4 40=45/4", 0, true, "10/4: 1a@0 1a@18\n20/4: 2a@0 2b@30\n30/4: 3a@0\n");
	expect(map, true, true, "10=15/4 20=25/4 30=35/4 40=45/4", 0, true,
	       "10/4: 1a@0 1a@18\n10/6: 1a@0\n20/4: 2a@0 2b@30\n20/6: 2a@0\n30/4: 3a@0\n");
	expect(map, true, true, "10=15/4 20=25/4 30=35/6 40=45/6", 0, true,
	       "10/4: 1a@0 1a@18\n10/6: 1a@0 1a@18\n20/4: 2a@0 2b@30\n20/6: 2a@0 2b@30\n30/4: 3a@0\n");
	expect(map, true, false, "50=15/4 40=25/4 30=35/4", 0, true, "50/4: 5a@0 5b@18\n40/4: 4a@0 4b@30\n30/4: 3a@0\n");
	expect(map, true, false, "40=25/4", 0, true, "40/4: 4a@0 4b@30\n10/4: 1a@0 1a@200\n20/4: 2a@0\n"); /* then those without latency */
	expect(map, true, false, "30=20/4 20=20/4 10=20/4 40=20/4", 0, true, "10/4: 1a@0 1a@24\n20/4: 2a@0 2b@24\n30/4: 3a@0\n"); /* ties */
	expect(map, false, true, "10=15/6 20=25/6 30=35/6", 0, true, "10/6: 1a@0 1a@18\n20/6: 2a@0 2b@30\n30/6: 3a@0\n");
	expect(map, true, true, "60=1", 0, true, "10/4: 1a@0 1a@200\n10/6: 1a@0 1a@200\n20/4: 2a@0 2b@200\n20/6: 2a@0 2b@200\n30/4: 3a@0\n");
	derp_map_free(map);
}

/* HOM-005: four probes for the preferred region, each from the third on 50 ms later than the last was; and since 1.78 it is in the
 * plan, over both families, however slow it was. */
static void preferred(void **state)
{
	struct derp_map *map = map_of_six();

	(void)state;
	expect(map, true, true, "10=15/4 20=25/4 30=35/6 40=45/6", 10, true,
	       "10/4: 1a@0 1a@18 1a@136 1a@204\n10/6: 1a@0 1a@18 1a@136 1a@204\n20/4: 2a@0 2b@30\n20/6: 2a@0 2b@30\n30/4: 3a@0\n");
	expect(map, true, true, "10=65/4 20=25/4 30=35/6 40=45/6", 10, true,
	       "20/4: 2a@0 2b@30\n20/6: 2a@0 2b@30\n30/4: 3a@0 3b@42\n30/6: 3a@0 3b@42\n40/4: 4a@0\n"
	       "10/4: 1a@0 1a@78 1a@256 1a@384\n10/6: 1a@0 1a@78 1a@256 1a@384\n");
	expect(map, true, true, "10=65/4 20=25/4 30=35/6 40=45/6", 10, false,
	       "20/4: 2a@0 2b@30\n20/6: 2a@0 2b@30\n30/4: 3a@0 3b@42\n30/6: 3a@0 3b@42\n40/4: 4a@0\n");
	expect(map, true, true, "10=15 20=25 30=35", 30, false, /* third fastest: one family, but four times */
	       "10/4: 1a@0 1a@18\n10/6: 1a@0 1a@18\n20/4: 2a@0 2b@30\n20/6: 2a@0 2b@30\n30/4: 3a@0 3b@42 3c@184 3a@276\n");
	expect(map, true, false, "20=25/4 30=35/4 40=45/4", 50, true, /* not measured last time */
	       "20/4: 2a@0 2b@30\n30/4: 3a@0 3b@42\n40/4: 4a@0\n50/4: 5a@0 5b@200 5c@500 5d@750\n");
	expect(map, true, false, "20=25/4 30=35/4 40=45/4", 60, true, /* MAP-014: not even as the preferred one */
	       "20/4: 2a@0 2b@30\n30/4: 3a@0 3b@42\n40/4: 4a@0\n");
	expect(map, true, false, "20=25/4 30=35/4 40=45/4", 77, true, /* not in the map any more */
	       "20/4: 2a@0 2b@30\n30/4: 3a@0 3b@42\n40/4: 4a@0\n");
	derp_map_free(map);
}

/* MAP-015: Avoid counts in incremental plans, but not for the preferred region, and not in full ones. MAP-017: no nodes, no harm.
 * MAP-005: STUN-only nodes are probed. MAP-006: a family that is switched off is not. */
static void odd_regions(void **state)
{
	struct derp_map *map = map_of("{\"Regions\":{\"1\":{\"Avoid\":true,\"Nodes\":[{\"Name\":\"1a\",\"IPv4\":\"192.0.2.1\",\"IPv6\":\"none\"}]},"
	                              "\"2\":{\"Nodes\":[]},\"3\":{\"Nodes\":null},"
	                              "\"4\":{\"Nodes\":[{\"Name\":\"4a\",\"IPv4\":\"192.0.2.4\",\"IPv6\":\"none\",\"STUNOnly\":true}]},"
	                              "\"5\":{\"Nodes\":[{\"Name\":\"5a\",\"IPv4\":\"none\",\"IPv6\":\"off\"},"
	                              "{\"Name\":\"5b\",\"HostName\":\"b.test\",\"IPv6\":\"192.0.2.5\"}]}}}");

	(void)state;
	expect(map, true, true, NULL, 0, true, "1/4: 1a@0 1a@100 1a@200\n4/4: 4a@0 4a@100 4a@200\n5/4: 5b@100\n");
	expect(map, true, false, "1=10/4 4=20/4 5=30/4", 0, true, "4/4: 4a@0 4a@24\n5/4: 5b@36\n");
	expect(map, true, false, "1=10/4 4=20/4 5=30/4", 1, true, "1/4: 1a@0 1a@12 1a@124 1a@186\n4/4: 4a@0 4a@24\n");
	expect(map, true, false, "1=10/4 4=20/4 5=30/4", 1, false, "4/4: 4a@0 4a@24\n5/4: 5b@36\n");
	expect(map, true, false, "4=20/4", 0, true, "4/4: 4a@0 4a@24\n"); /* 2 and 3 take the other places */
	derp_map_free(map);
}

/* HOM-003: when requested, the first time, more than five minutes after the last one, behind a portal without UDP. */
static void when_full(void **state)
{
	const uint64_t every = 300 * NS_S;
	struct netcheck_report last = { .udp = true };

	(void)state;
	assert_true(netcheck_plan_is_full(NULL, false, TIME_NEVER, 0, every));
	assert_false(netcheck_plan_is_full(&last, false, NS_S, NS_S + every - 1, every));
	assert_false(netcheck_plan_is_full(&last, false, NS_S, NS_S + every, every));
	assert_true(netcheck_plan_is_full(&last, false, NS_S, NS_S + every + 1, every));
	assert_true(netcheck_plan_is_full(&last, true, NS_S, NS_S, every));
	last.captive_portal = NETCHECK_YES;
	assert_false(netcheck_plan_is_full(&last, false, NS_S, NS_S, every));
	last.udp = false;
	assert_true(netcheck_plan_is_full(&last, false, NS_S, NS_S, every));
	last.captive_portal = NETCHECK_NO;
	assert_false(netcheck_plan_is_full(&last, false, NS_S, NS_S, every));
	last.captive_portal = NETCHECK_UNKNOWN;
	assert_false(netcheck_plan_is_full(&last, false, NS_S, NS_S, every));
}

/* MAP-010: 0 means 3478, negative and above 65535 mean no STUN. MAP-006, MAP-007: addresses. */
static void addresses(void **state)
{
	static const struct {
		int32_t stun_port, derp_port;
		bool stun_only;
		const char *ipv4, *ipv6, *host;
		const char *want[4]; /* STUN over 4, 6; DERP over 4, 6; "?port": to be asked for; NULL: nowhere */
	} cases[] = {
		{ 0,
		  0,
		  false,
		  "192.0.2.1",
		  "2001:db8::1",
		  "h.test",
		  { "192.0.2.1:3478", "[2001:db8:0:0:0:0:0:1]:3478", "192.0.2.1:443", "[2001:db8:0:0:0:0:0:1]:443" } },
		{ -1, 8443, false, "192.0.2.1", "none", "h.test", { NULL, NULL, "192.0.2.1:8443", NULL } },
		{ INT32_MIN, -1, false, "192.0.2.1", "none", "h.test", { NULL, NULL, "192.0.2.1:443", NULL } },
		{ 1, 1, false, "192.0.2.1", "none", "h.test", { "192.0.2.1:1", NULL, "192.0.2.1:1", NULL } },
		{ 65535, 65535, false, "192.0.2.1", "none", "h.test", { "192.0.2.1:65535", NULL, "192.0.2.1:65535", NULL } },
		{ 65536, 65536, false, "192.0.2.1", "none", "h.test", { NULL, NULL, "192.0.2.1:443", NULL } },
		{ 0, 0, true, "192.0.2.1", "none", "h.test", { "192.0.2.1:3478", NULL, NULL, NULL } },
		{ 0, 0, false, "", "", "h.test", { "?3478", "?3478", "?443", "?443" } },
		{ 7, 8, false, "", "none", "h.test", { "?7", NULL, "?8", NULL } },
		{ 0, 0, false, "", "", "192.0.2.9", { "192.0.2.9:3478", NULL, "192.0.2.9:443", NULL } },
		{ 0, 0, false, "", "", "2001:db8::9", { NULL, "[2001:db8:0:0:0:0:0:9]:3478", NULL, "[2001:db8:0:0:0:0:0:9]:443" } },
		{ 0, 0, false, "2001:db8::1", "192.0.2.1", "h.test", { NULL, NULL, NULL, NULL } },
		{ 0, 0, false, "", "", "", { NULL, NULL, NULL, NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct derp_node node = { .stun_port = cases[i].stun_port, .derp_port = cases[i].derp_port, .stun_only = cases[i].stun_only };
		char ipv4[40], ipv6[40], host[40];
		node.ipv4 = strcpy(ipv4, cases[i].ipv4), node.ipv6 = strcpy(ipv6, cases[i].ipv6), node.host_name = strcpy(host, cases[i].host);
		for (int k = 0; k < 4; k++) {
			enum netcheck_family family = k % 2 ? NETCHECK_V6 : NETCHECK_V4;
			struct address to;
			enum netcheck_where where = k < 2 ? netcheck_stun_address(&node, family, &to) : netcheck_derp_address(&node, family, &to);
			char text[ADDRESS_TEXT + 1];
			if (where == NETCHECK_KNOWN) address_text(&to, text);
			if (where == NETCHECK_ASK) snprintf(text, sizeof text, "?%u", to.port);
			if ((where == NETCHECK_NOWHERE) != (cases[i].want[k] == NULL)) fail_msg("case %zu, address %d", i, k);
			if (where != NETCHECK_NOWHERE) assert_string_equal(text, cases[i].want[k]);
		}
	}
}

/* Nobody is asked for a name that is longer than names can be. */
static void long_names(void **state)
{
	char host[258], none[] = "";

	(void)state;
	for (size_t n = 254; n <= 256; n++) {
		struct derp_node node = { .host_name = host, .ipv4 = none, .ipv6 = none };
		struct address to;
		memset(host, 'x', n), host[n] = 0;
		assert_int_equal(netcheck_stun_address(&node, NETCHECK_V4, &to), n <= 255 ? NETCHECK_ASK : NETCHECK_NOWHERE);
	}
}

/* HOM-007, MAP-014, MAP-015, MAP-017: what may be asked over HTTPS. */
static void fetchable(void **state)
{
	struct derp_map *map = map_of("{\"Regions\":{\"1\":{\"Nodes\":[{},{\"STUNOnly\":true}]},\"2\":{\"Nodes\":[{\"STUNOnly\":true},{}]},"
	                              "\"3\":{\"Nodes\":[{\"STUNOnly\":true}]},\"4\":{},\"5\":{\"Avoid\":true,\"Nodes\":[{}]},"
	                              "\"6\":{\"NoMeasureNoHome\":true,\"Nodes\":[{}]}}}");

	(void)state;
	for (uint32_t i = 0; i < map->regions; i++) assert_int_equal(netcheck_region_fetchable(&map->region[i]), i < 2);
	derp_map_free(map);
}

/* MAP-019: nodes with port 80 and an IPv4 literal, the preferred region's first, five at most; MAP-014 and MAP-015 leave regions out. */
static void endpoints(void **state)
{
	struct derp_map *map = map_of("{\"Regions\":{\"1\":{\"Nodes\":[{\"CanPort80\":true,\"IPv4\":\"192.0.2.11\"},{\"IPv4\":\"192.0.2.12\"},{"
	                              "\"CanPort80\":true,\"IPv4\":\"192.0.2.13\"}]},"
	                              "\"2\":{\"Avoid\":true,\"Nodes\":[{\"CanPort80\":true,\"IPv4\":\"192.0.2.21\"}]},"
	                              "\"3\":{\"NoMeasureNoHome\":true,\"Nodes\":[{\"CanPort80\":true,\"IPv4\":\"192.0.2.31\"}]},"
	                              "\"4\":{\"Nodes\":[{\"CanPort80\":true,\"HostName\":\"h.test\"},{\"CanPort80\":true,\"IPv4\":\"none\"},{"
	                              "\"CanPort80\":true,\"IPv4\":\"192.0.2.41\"}]},"
	                              "\"5\":{\"Nodes\":[{\"CanPort80\":true,\"IPv4\":\"192.0.2.51\"},{\"CanPort80\":true,\"IPv4\":\"192.0.2.52\"},{"
	                              "\"CanPort80\":true,\"IPv4\":\"192.0.2.53\"}]}}}");
	static const struct {
		int64_t preferred;
		const char *want;
	} cases[] = {
		{ 0, "192.0.2.11:80 192.0.2.13:80 192.0.2.41:80 192.0.2.51:80 192.0.2.52:80 " },
		{ 4, "192.0.2.41:80 192.0.2.11:80 192.0.2.13:80 192.0.2.51:80 192.0.2.52:80 " },
		{ 5, "192.0.2.51:80 192.0.2.52:80 192.0.2.53:80 192.0.2.11:80 192.0.2.13:80 " },
		{ 2, "192.0.2.11:80 192.0.2.13:80 192.0.2.41:80 192.0.2.51:80 192.0.2.52:80 " },
		{ 99, "192.0.2.11:80 192.0.2.13:80 192.0.2.41:80 192.0.2.51:80 192.0.2.52:80 " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address to[NETCHECK_ENDPOINTS_MAX];
		char text[400] = "", one[ADDRESS_TEXT];
		uint32_t n = netcheck_plan_endpoints(map, cases[i].preferred, to);
		for (uint32_t k = 0; k < n; k++) strcat(strcat(text, address_text(&to[k], one)), " ");
		assert_string_equal(text, cases[i].want);
	}
	derp_map_free(map);
}

/* Our limit on regions: of a larger map the first by number are planned. */
static void many_regions(void **state)
{
	static const char node[] = "{\"Nodes\":[{\"IPv4\":\"192.0.2.1\"}]}";
	char *text = malloc(100 * 20000);
	int at;

	(void)state;
	assert_non_null(text);
	for (uint32_t regions = 1023; regions <= 20000; regions += regions < 1025 ? 1 : 18975) {
		struct netcheck_interfaces have = { .v4 = true };
		struct netcheck_plan plan;
		struct derp_map *map;
		at = sprintf(text, "{\"Regions\":{");
		for (uint32_t i = 1; i <= regions; i++) at += sprintf(text + at, "%s\"%u\":%s", i > 1 ? "," : "", i, node);
		sprintf(text + at, "}}");
		map = map_of(text);
		netcheck_plan_make(&plan, map, &have, NULL, 0, true);
		assert_int_equal(plan.sets, regions < 1024 ? regions : 1024);
		assert_int_equal(plan.set[plan.sets - 1].region->id, plan.sets);
		netcheck_plan_free(&plan);
		derp_map_free(map);
	}
	free(text);
}

/* ---- reports ---- */

/* HOM-006: an answer helps if its region is not measured, if no region is over IPv6, or while it is open whether the mapping varies. */
static void wants(void **state)
{
	struct netcheck_report r = { 0 };
	struct address one = { .port = 1 }, two = { .port = 2 };

	(void)state;
	one.ip[10] = one.ip[11] = two.ip[10] = two.ip[11] = 0xff, one.ip[15] = two.ip[15] = 1;
	assert_true(netcheck_report_wants(&r, 1, NETCHECK_V4));
	netcheck_report_book(&r, 1, NETCHECK_V4, 20);
	netcheck_report_mapped(&r, &one);
	assert_true(netcheck_report_wants(&r, 1, NETCHECK_V4)); /* one address says nothing of others */
	assert_true(netcheck_report_wants(&r, 1, NETCHECK_V6));
	assert_true(netcheck_report_wants(&r, 2, NETCHECK_V4));
	netcheck_report_mapped(&r, &one);
	assert_int_equal(r.mapping_varies, NETCHECK_NO);
	assert_false(netcheck_report_wants(&r, 1, NETCHECK_V4));
	assert_true(netcheck_report_wants(&r, 2, NETCHECK_V4));
	netcheck_report_book(&r, 2, NETCHECK_V6, 30);
	assert_false(netcheck_report_wants(&r, 1, NETCHECK_V6));
	netcheck_report_mapped(&r, &two);
	assert_int_equal(r.mapping_varies, NETCHECK_YES);
	netcheck_report_mapped(&r, &one);
	assert_int_equal(r.mapping_varies, NETCHECK_YES);
	netcheck_report_free(&r);
}

/* HOM-007: the smallest counts, over all and by family; regions are in order. */
static void booked(void **state)
{
	struct netcheck_report r = { 0 };

	(void)state;
	netcheck_report_book(&r, 5, NETCHECK_V4, 20);
	netcheck_report_book(&r, 3, NETCHECK_ANY, 90);
	netcheck_report_book(&r, 5, NETCHECK_V6, 30);
	netcheck_report_book(&r, 5, NETCHECK_V4, 25);
	netcheck_report_book(&r, 5, NETCHECK_V6, 10);
	assert_int_equal(r.regions, 2);
	assert_int_equal(r.region[0].id, 3);
	assert_int_equal(r.region[0].ns, 90);
	assert_int_equal(r.region[0].v4_ns, 0);
	assert_int_equal(r.region[1].ns, 10);
	assert_int_equal(r.region[1].v4_ns, 20);
	assert_int_equal(r.region[1].v6_ns, 10);
	assert_int_equal(netcheck_report_slowest(&r), 90);
	assert_true(netcheck_report_has_family(&r, NETCHECK_V4));
	assert_null(netcheck_report_region(&r, 4));
	netcheck_report_free(&r);
	assert_int_equal(netcheck_report_slowest(&r), 0);
}

/* HOM-020: latencies alone are no news. */
static void news(void **state)
{
	struct netcheck_report a = { .udp = true, .choice = { .home = 1 } }, b = a;

	(void)state;
	assert_true(netcheck_report_is_news(NULL, &a));
	netcheck_report_book(&b, 1, NETCHECK_V4, 5);
	assert_false(netcheck_report_is_news(&a, &b));
	b.choice.home = 2;
	assert_true(netcheck_report_is_news(&a, &b));
	b.choice.home = 1, b.udp = false;
	assert_true(netcheck_report_is_news(&a, &b));
	b.udp = true, b.ipv6 = true;
	assert_true(netcheck_report_is_news(&a, &b));
	b.ipv6 = false, b.mapping_varies = NETCHECK_NO;
	assert_true(netcheck_report_is_news(&a, &b));
	netcheck_report_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full),      cmocka_unit_test(incremental),  cmocka_unit_test(preferred), cmocka_unit_test(odd_regions),
		cmocka_unit_test(when_full), cmocka_unit_test(addresses),    cmocka_unit_test(fetchable), cmocka_unit_test(endpoints),
		cmocka_unit_test(wants),     cmocka_unit_test(many_regions), cmocka_unit_test(booked),    cmocka_unit_test(long_names),
		cmocka_unit_test(news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
