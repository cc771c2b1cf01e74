/* The world: a real map, places and distances, hosts with their limits, populations. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

/* ---- maps ---- */

/* A file of the shared data, terminated; NULL: it is not there. */
static char *read_data(const char *name)
{
	const char *data = getenv("DERP_DATA");
	char path[512], *text = calloc(1, 1 << 20);
	FILE *f;
	size_t n;

	assert_non_null(text);
	snprintf(path, sizeof path, "%s/%s", data == NULL ? "../shared/data" : data, name);
	f = fopen(path, "r");
	if (f == NULL) {
		free(text);
		return NULL;
	}
	n = fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	assert_true(n > 1000);
	return text;
}

/* The node crash in a region of the map that clients of the original fall back on: its names and addresses, its three nodes. It says of no
 * region where it is; one of its regions has one node, which crashes and comes back. */
static void world_fallback_map(void **state)
{
	char *map = read_data("derpmap-tailscale-fallback.json");
	struct try t;

	(void)state;
	if (map == NULL) skip();
	try_init(&t);
	t.map = map;
	try_run(&t, "# a node crash\n"
	            "world map=derpmap-tailscale-fallback.json\n"
	            "region r4 city=frankfurt\n"
	            "tailnet acme x200 clients=5 spread=europe\n"
	            "load disco every=25s..35s\n"
	            "load bulk share=2% rate=200Kbps for=20s..60s\n"
	            "at 30s crash r4/1\n"
	            "at 90s restart r4/1\n"
	            "expect within 2s of crash clients.connected >= 99%\n"
	            "expect at end failover.client.p99 <= 1s\n"
	            "expect at end failover.client.never == 0\n"
	            "expect from 5s after restart clients.away >= 20%\n"
	            "expect always nothing forged, doubled, misdelivered\n"
	            "expect at end packets.lost.forwarding == 0\n"
	            "until 3m\n");
	try_is_good(&t);
	assert_int_equal(story_nodes(t.story), 3);
	try_end(&t);
	try_run(&t, "# all regions, one of them with one node\n"
	            "world map=derpmap-tailscale-fallback.json\n"
	            "region r4 city=frankfurt\n"
	            "region r3 city=singapore\n"
	            "tailnet acme x20 clients=2 spread=europe join=0s..5s\n"
	            "tailnet beta x20 clients=2 spread=singapore join=0s..5s\n"
	            "load disco every=1s..2s begin=10s\n"
	            "at 30s crash r3\n"
	            "at 40s restart r3\n"
	            "expect at 20s conns of r4 == 40\n"
	            "expect at 20s conns of r3 == 40\n"
	            "expect at 39s clients.connected of beta == 0\n"
	            "expect at 39s clients.connected of acme == 40\n"
	            "expect within 10s of restart clients.connected == 100%\n"
	            "expect at end mesh.links == 6\n"
	            "expect at 29s drops == 0\n"
	            "until 60s\n");
	try_is_good(&t);
	assert_int_equal(story_nodes(t.story), 4);
	try_end(&t);
	assert_false(try_build(&t, "# nobody knows where\nworld map=x.json\nregion r4\ntailnet acme\nuntil 10s\n"));
	assert_string_equal(t.error, "t.scn:3:8: found 'r4', expected city=: the map does not say where it is.");
	try_end(&t);
	free(map);
}

/* What a map may say and this world has not is refused, not passed over. */
static void world_map_is_honoured(void **state)
{
	static const char *const map[][2] = {
		{ "\"NoMeasureNoHome\":true,", "t.scn:2: region fra of the map is NoMeasureNoHome: not simulated yet" },
		{ "\"Nodes\":[{\"STUNOnly\":true,", "t.scn:2: region fra of the map has a node that is STUNOnly: not simulated yet" },
	};
	char text[2048];
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		const char *at = strstr(try_map, i == 0 ? "\"RegionName\"" : "\"Nodes\":[{");
		snprintf(text, sizeof text, "%.*s%s%s", (int)(at - try_map), try_map, map[i][0], at + (i == 0 ? 0 : strlen("\"Nodes\":[{")));
		try_init(&t);
		t.map = text;
		assert_false(try_build(&t, "# x\nregion fra\ntailnet acme\nuntil 1s\n"));
		assert_string_equal(t.error, map[i][1]);
		try_end(&t);
	}
}

/* ---- places ---- */

struct trips {
	struct try try;
	uint64_t started[64], trip[64];
};

static bool on_event(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	struct trips *t = ctx;

	(void)seq, (void)content;
	assert_true(host < 64);
	if (e->kind == EVENT_START) t->started[host] = now;
	if (e->kind == EVENT_DIALED && t->trip[host] == 0) t->trip[host] = now - t->started[host];
	return true;
}

/* The first round trip of a client is twice the way between the cities and its own last mile, 1 to 8 ms each way. */
static void world_distance_is_geography(void **state)
{
	static const char *const city[] = { "frankfurt", "lisbon", "new-york", "sydney" };
	const struct geo_city *fra = geo_city(geo_find("frankfurt", 9));
	struct trips t;
	char text[512];

	(void)state;
	for (uint32_t i = 0; i < sizeof city / sizeof *city; i++) {
		const struct geo_city *there = geo_city(geo_find(city[i], strlen(city[i])));
		uint64_t way = geo_latency_ns(fra->lat_udeg, fra->lon_udeg, there->lat_udeg, there->lon_udeg), low = UINT64_MAX, high = 0;
		t = (struct trips){ .started = { 0 } };
		try_init(&t.try);
		t.try.options.event = on_event;
		t.try.options.ctx = &t;
		snprintf(text, sizeof text, "# far\nregion ffm city=frankfurt nodes=1\ntailnet acme clients=60 spread=%s join=0s..1s\nuntil 5s\n",
		         city[i]);
		try_run(&t.try, text);
		for (uint32_t c = 1; c <= 60; c++) {
			if (t.trip[c] < low) low = t.trip[c];
			if (t.trip[c] > high) high = t.trip[c];
		}
		assert_in_range(low, 2 * (way + 1 * NS_MS), 2 * (way + 2 * NS_MS)); /* of sixty one is near each end */
		assert_in_range(high, 2 * (way + 7 * NS_MS), 2 * (way + 8 * NS_MS));
		try_end(&t.try);
	}
}

/* Clients stand in the cities of spread=, in all of them, and are at home in the region that is nearest. */
static void world_clients_stand_where_it_says(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# two cities, two regions\n"
	             "region fra nodes=1\n"
	             "region sin city=singapore nodes=1\n"
	             "tailnet acme x100 clients=1 spread=lisbon,warsaw join=1s..2s\n"
	             "tailnet beta x100 clients=1 spread=tokyo join=1s..2s\n"
	             "tailnet gamma x100 clients=1 spread=world join=1s..2s\n"
	             "expect at 1s clients.connected == 0\n"
	             "expect at 4s clients.connected == 300\n"
	             "expect at 4s clients.connected of clients in lisbon between 30 and 70\n"
	             "expect at 4s clients.connected of clients in warsaw between 30 and 70\n"
	             "expect at 4s clients.connected of acme but clients in lisbon between 30 and 70\n"
	             "expect at 4s clients.connected of acme but clients homed sin == 100\n"
	             "expect at 4s clients.connected of clients homed sin between 100 and 180\n"
	             "expect at 4s conns of sin between 100 and 180\n"
	             "expect at 4s clients.connected of clients in tokyo between 100 and 110\n"
	             "expect at 4s clients.connected of beta but clients on fra == 100\n"
	             "until 5s\n");
}

/* ---- hosts ---- */

/* A TLS handshake costs CPU time on the cores that there are: 20 logins of 100 ms each take 2 s on one core and 1 s on two. */
static void world_handshakes_take_cpu(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# one core\n"
	             "region fra nodes=1 cpu=1 handshake=100ms\n"
	             "tailnet acme clients=20 spread=frankfurt join=0s..0s\n"
	             "expect at 1.99s clients.connected < 20\n"
	             "expect at 2.1s clients.connected == 20\n"
	             "until 5s\n");
	try_good(&t, "# two cores, by a node line\n"
	             "region fra nodes=1 cpu=1 handshake=1s\n"
	             "node fra/1 cpu=2 handshake=100ms\n"
	             "tailnet acme clients=20 spread=frankfurt join=0s..0s\n"
	             "expect at 0.99s clients.connected < 20\n"
	             "expect at 1.1s clients.connected == 20\n"
	             "until 5s\n");
}

/* fds= bounds the connections of a node: the others wait for one to go. */
static void world_descriptors_are_limited(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# six of ten\n"
	             "region fra nodes=1 fds=6\n"
	             "tailnet acme clients=10 spread=frankfurt join=0s..1s\n"
	             "at 20s leave 3 of clients on fra\n"
	             "expect always conns <= 6\n"
	             "expect at 19s conns == 6\n"
	             "expect at end conns == 6\n"
	             "until 60s\n");
}

/* What a relayed packet costs bounds how many a node relays: 1 ms each are a thousand a second. */
static void world_packets_take_cpu(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# twice as many as it can\n"
	             "region fra nodes=1 packet=1ms byte=0ns\n"
	             "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
	             "load bulk share=100% rate=800Kbps size=200B for=1h begin=2s till=12s\n"
	             "expect at 7s packets.sent.rate == 2000/s\n"
	             "expect at 12s packets.delivered between 9900 and 10000\n"
	             "until 40s\n");
}

/* ---- populations ---- */

static uint32_t clients_of(const char *tailnet, uint64_t seed, uint32_t *tailnets)
{
	char text[512];
	struct try t;
	uint32_t n;

	snprintf(text, sizeof text, "# people\nregion fra nodes=3\nregion ams city=amsterdam nodes=2\ntailnet %s\nuntil 1s\n", tailnet);
	try_init(&t);
	t.options.seed = seed;
	if (!try_build(&t, text)) fail_msg("%s", t.error);
	n = story_clients(t.story);
	*tailnets = story_tailnets(t.story);
	try_end(&t);
	return n;
}

/* xN copies, per=node and per=region N for each of them, clients= drawn for each copy, by Zipf's law if so wanted: half of the tailnets
 * are small and the largest is large. */
static void world_populations(void **state)
{
	uint32_t tailnets, n;

	(void)state;
	assert_int_equal(clients_of("acme", 1, &tailnets), 5);
	assert_int_equal(tailnets, 1);
	assert_int_equal(clients_of("acme x7 clients=3", 1, &tailnets), 21);
	assert_int_equal(tailnets, 7);
	assert_int_equal(clients_of("acme x2 clients=3 per=node", 1, &tailnets), 30);
	assert_int_equal(clients_of("acme x2 clients=3 per=region", 1, &tailnets), 12);
	n = clients_of("acme x1000 clients=2..8", 1, &tailnets);
	assert_in_range(n, 4800, 5200);
	assert_int_not_equal(n, clients_of("acme x1000 clients=2..8", 2, &tailnets));
	n = clients_of("acme x1000 clients=zipf:2..500", 1, &tailnets);
	assert_in_range(n, 75000, 97000); /* weights 1/x: 499 / (1/2 + .. + 1/500) = 86.1 each, 119 deviation */
	n = clients_of("acme x10..20 clients=1", 1, &tailnets);
	assert_int_equal(n, tailnets);
	assert_in_range(tailnets, 10, 20);
}

/* ---- draws of hosts ---- */

/* What is drawn for a node is of the line that says it, and named so. */
static void world_node_lines_draw(void **state)
{
	struct try t;
	uint32_t of_region = 0, of_node = 0;

	(void)state;
	try_init(&t);
	try_run(&t, "# nodes\nregion fra nodes=3 cpu=1..64\nnode fra/2 cpu=65..128\ntailnet acme\nuntil 1s\n");
	for (uint32_t i = 0; i < story_draws(t.story); i++) {
		const struct story_draw *d = story_draw(t.story, i);
		if (strcmp(d->key, "cpu") != 0) continue;
		assert_int_equal(d->line, strcmp(d->word, "node") == 0 ? 3 : 2);
		for (uint32_t k = 0; k < d->values.n; k++) {
			bool second = strcmp(d->name[k], "fra/2") == 0;
			assert_int_equal(second, d->line == 3);
			assert_in_range(d->value[k], second ? 65 : 1, second ? 128 : 64);
			second ? of_node++ : of_region++;
		}
	}
	assert_int_equal(of_region, 2);
	assert_int_equal(of_node, 1);
	try_end(&t);
}

/* ---- refused ---- */

static void world_refuses_what_it_has_not(void **state)
{
	static const struct {
		const char *line, *error;
	} of[] = {
		{ "region fra nodes=3 mem=1GB", "t.scn:2: a limit of memory is not simulated yet, expected mem=2GB" },
		{ "region fra nodes=3\nnode fra/2 mem=1GB..2GB", "t.scn:3: a limit of memory is not simulated yet, expected mem=2GB" },
		{ "region fra nodes=3\nnode 1 of fra/* cpu=4", "t.scn:3: a drawn part of nodes is not simulated yet, expected the whole set" },
		{ "region fra nodes=65", "t.scn:2: region fra has 65 nodes, expected 1 to 64" },
	};
	char text[512];
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < sizeof of / sizeof *of; i++) {
		try_init(&t);
		snprintf(text, sizeof text, "# x\n%s\ntailnet acme\nuntil 1s\n", of[i].line);
		assert_false(try_build(&t, text));
		assert_string_equal(t.error, of[i].error);
		try_end(&t);
	}
	try_init(&t);
	try_good(&t, "# the usual\nregion fra nodes=64 mem=2GB\ntailnet acme\nuntil 1s\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(world_fallback_map),          cmocka_unit_test(world_map_is_honoured),
		cmocka_unit_test(world_distance_is_geography), cmocka_unit_test(world_clients_stand_where_it_says),
		cmocka_unit_test(world_handshakes_take_cpu),   cmocka_unit_test(world_descriptors_are_limited),
		cmocka_unit_test(world_packets_take_cpu),      cmocka_unit_test(world_populations),
		cmocka_unit_test(world_node_lines_draw),       cmocka_unit_test(world_refuses_what_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
