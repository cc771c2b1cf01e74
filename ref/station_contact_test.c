/* Through which connection a packet goes: homes, reverse routes, and how these are learnt and forgotten, by us and by the original. */
#include "pair_station.h"

/* Two stories in one: for ours and for profile=derper. */
static void both(void (*story)(struct pair *p, const char *profile))
{
	for (size_t i = 0; i < 4; i++) {
		struct pair *p = pair_new(i / 2);
		story(p, i % 2 == 0 ? "" : "profile=derper\n");
		pair_free(p);
	}
}

#define BOTH_STORY(name) \
	static void name##_story(struct pair *p, const char *profile); \
	static void name(void **state) \
	{ \
		(void)state; \
		both(name##_story); \
	} \
	static void name##_story(struct pair *p, const char *profile)

/* A station at home in region 1; returns its host. */
static int at_home(struct pair *p, const char *config, int *s)
{
	int h;

	regions_listen(p);
	h = station_with(p, A, config);
	set_home(p, h, 1);
	*s = region_ready(p, 1, A, true);
	return h;
}

static int open_region(struct pair *p, int h, uint32_t region)
{
	int s;

	send_to(p, h, 0xc0, region, "open");
	s = region_ready(p, region, A, false);
	packet_is(p, s, 0xc0, "open");
	return s;
}

/* CLI-029: an open connection to the peer's home comes first, whatever was heard where; without one the connection on which the peer was
 * heard; only then its home is opened. */
BOTH_STORY(choice)
{
	int one, two, h = at_home(p, profile, &one);

	relay_sends(p, one, B, "hello");
	told(p, h, DELIVER_PACKET, 0, 1, 0);
	assert_int_equal(route_to(p, h, B), 1);
	send_to(p, h, B, 2, "by where you are heard");
	packet_is(p, one, B, "by where you are heard");
	assert_false(is_open(p, h, 2));
	two = open_region(p, h, 2);
	send_to(p, h, B, 2, "by your home");
	packet_is(p, two, B, "by your home");
	quiet(p, one);
	send_to(p, h, C, 3, "never heard");
	packet_is(p, region_ready(p, 3, A, false), C, "never heard");
}

/* CLI-030: without a known home the peer is sent to where it was heard, and nowhere if it was not. What control says of its home comes
 * first as soon as it says it (MAP-018), and counts no more when it takes it back. */
BOTH_STORY(unknown_home)
{
	int one, two, h = at_home(p, profile, &one);

	send_to(p, h, B, 0, "who are you");
	told(p, h, DELIVER_REFUSED, 0, 0, REFUSED_ROUTE);
	assert_memory_equal(pair_heard(p, h, DELIVER_REFUSED, 0)->key, peer_key(B).b, KEY_SIZE);
	two = open_region(p, h, 2);
	relay_sends(p, two, B, "I am B");
	send_to(p, h, B, 0, "hello");
	packet_is(p, two, B, "hello");
	set_peer(p, h, B, 1);
	assert_int_equal(station_peer_home(station_of(p, h), peer_key(B).b), 1);
	send_to(p, h, B, 0, "at home");
	packet_is(p, one, B, "at home");
	set_peer(p, h, B, 3); /* not open: by the route */
	send_to(p, h, B, 0, "by two");
	packet_is(p, two, B, "by two");
	assert_false(is_open(p, h, 3));
	set_peer(p, h, B, 0);
	send_to(p, h, B, 0, "by two again");
	packet_is(p, two, B, "by two again");
	set_peer(p, h, C, 3);
	send_to(p, h, C, 0, "opens three");
	packet_is(p, region_ready(p, 3, A, false), C, "opens three");
	send_to(p, h, C, 2, "the sender knows better");
	packet_is(p, two, C, "the sender knows better");
}

/* PGR-016: PeerGone of any reason forgets the route if it is by this very connection, and nothing else: the connection stays, the home stays. */
BOTH_STORY(peer_gone)
{
	static const uint8_t reasons[] = { GONE_DISCONNECTED, GONE_NOT_HERE, GONE_MESH_BROKE, 0x7f };
	int one, two, h = at_home(p, profile, &one);

	two = open_region(p, h, 2);
	relay_says_gone(p, one, B, GONE_NOT_HERE); /* never heard (PGR-017) */
	for (uint8_t i = 0; i < 4; i++) {
		uint8_t peer = (uint8_t)(B + i);
		relay_sends(p, one, peer, "x");
		relay_says_gone(p, two, peer, reasons[i]);
		assert_int_equal(route_to(p, h, peer), 1);
		set_peer(p, h, peer, 3);
		relay_says_gone(p, one, peer, reasons[i]);
		relay_says_gone(p, one, peer, reasons[i]);
		assert_int_equal(route_to(p, h, peer), 0);
		assert_int_equal(station_peer_home(station_of(p, h), peer_key(peer).b), 3);
	}
	assert_int_equal(pair_heard_count(p, h, DELIVER_DISCONNECTED), 0);
	assert_true(is_open(p, h, 1) && is_open(p, h, 2));
	assert_int_equal(pair_heard_count(p, h, DELIVER_PEER_GONE), 13);
}

/* CLI-035, CLI-036, TRP-010: ours learns a route again after a PeerGone; the original does not as long as the connection stands. */
BOTH_STORY(back_after_gone)
{
	bool ours = *profile == 0;
	int one, h = at_home(p, profile, &one);

	relay_sends(p, one, B, "x");
	relay_says_gone(p, one, B, GONE_DISCONNECTED);
	relay_sends(p, one, B, "I am back");
	assert_int_equal(route_to(p, h, B), ours ? 1 : 0);
	relay_sends(p, one, C, "another in between");
	relay_sends(p, one, B, "and now?");
	assert_int_equal(route_to(p, h, B), ours ? 1 : 0);
	assert_int_equal(route_to(p, h, C), 1);
	wire_reset(p, one); /* CLI-032: a new connection has seen nobody */
	assert_int_equal(route_to(p, h, C), 0);
	pair_advance(p, 15 * NS_MS);
	one = region_ready(p, 1, A, true);
	relay_sends(p, one, C, "first");
	relay_sends(p, one, B, "on a new connection");
	assert_int_equal(route_to(p, h, B), 1);
}

/* CLI-036, TRP-010: after a reconnect the original overlooks the source that was the last before, until another one has come. */
BOTH_STORY(last_source_after_reconnect)
{
	bool ours = *profile == 0;
	int one, h = at_home(p, profile, &one);

	relay_sends(p, one, B, "x");
	wire_reset(p, one);
	pair_advance(p, 15 * NS_MS);
	one = region_ready(p, 1, A, true);
	relay_sends(p, one, B, "the same again");
	assert_int_equal(route_to(p, h, B), ours ? 1 : 0);
	relay_sends(p, one, C, "another");
	relay_sends(p, one, B, "now");
	assert_int_equal(route_to(p, h, B), 1);
	relay_says_gone(p, one, B, GONE_DISCONNECTED); /* it is the last source all the same */
	wire_reset(p, one);
	pair_advance(p, 15 * NS_MS);
	one = region_ready(p, 1, A, true);
	relay_sends(p, one, B, "the same again");
	assert_int_equal(route_to(p, h, B), ours ? 1 : 0);
}

/* CLI-035, TRP-010: of a peer that is heard on two connections the route is, for the original, the one on which it was new last; ours follows
 * it with every change of the source on a connection. */
BOTH_STORY(two_ways)
{
	bool ours = *profile == 0;
	int one, two, h = at_home(p, profile, &one);

	two = open_region(p, h, 2);
	relay_sends(p, one, B, "by one");
	relay_sends(p, two, B, "by two");
	assert_int_equal(route_to(p, h, B), 2);
	relay_sends(p, one, C, "another by one");
	relay_sends(p, one, B, "by one again");
	assert_int_equal(route_to(p, h, B), ours ? 1 : 2);
	relay_says_gone(p, ours ? two : one, B, GONE_DISCONNECTED); /* not where the route is */
	assert_int_equal(route_to(p, h, B), ours ? 1 : 2);
}

/* CLI-032: a broken connection forgets the routes by it, and only those; so does one that we close (its reader ends). */
BOTH_STORY(broken)
{
	int one, two, h = at_home(p, profile, &one);

	two = open_region(p, h, 2);
	relay_sends(p, one, B, "x");
	relay_sends(p, two, C, "x");
	set_peer(p, h, B, 3);
	wire_reset(p, one);
	assert_int_equal(route_to(p, h, B), 0);
	assert_int_equal(route_to(p, h, C), 2);
	assert_int_equal(station_peers(station_of(p, h)), 2); /* B has a home */
	set_peer(p, h, B, 0);
	assert_int_equal(station_peers(station_of(p, h)), 1);
	pair_advance(p, 60 * NS_S);
	assert_false(is_open(p, h, 2));
	assert_int_equal(route_to(p, h, C), 0);
	assert_int_equal(station_peers(station_of(p, h)), 0);
}

/* Of peers-max peers all are known; one more takes the place of the oldest that has no home; where all have one, a route is not kept and a
 * home is refused. */
BOTH_STORY(peers_max)
{
	char config[100];
	int one, h;

	snprintf(config, sizeof config, "peers-max=3\n%s", profile);
	h = at_home(p, config, &one);
	for (uint8_t i = 1; i <= 3; i++) relay_sends(p, one, i, "x");
	set_peer(p, h, 1, 2);
	assert_int_equal(station_peers(station_of(p, h)), 3);
	for (uint8_t i = 1; i <= 3; i++) assert_int_equal(route_to(p, h, i), 1);
	relay_sends(p, one, 4, "x");
	assert_int_equal(station_peers(station_of(p, h)), 3);
	assert_int_equal(route_to(p, h, 1), 1);
	assert_int_equal(route_to(p, h, 2), 0);
	assert_int_equal(route_to(p, h, 4), 1);
	set_peer(p, h, 5, 2); /* takes the place of 3 */
	set_peer(p, h, 4, 2);
	assert_int_equal(route_to(p, h, 3), 0);
	relay_sends(p, one, 6, "x");
	told(p, h, DELIVER_PACKET, 4, 1, 0);
	assert_int_equal(route_to(p, h, 6), 0);
	assert_int_equal(pair_heard_count(p, h, DELIVER_REFUSED), 0);
	set_peer(p, h, 6, 2);
	told(p, h, DELIVER_REFUSED, 0, 2, REFUSED_LIMIT);
	set_peer(p, h, 6, 0); /* nothing to forget */
	assert_int_equal(pair_heard_count(p, h, DELIVER_REFUSED), 1);
	relay_says_gone(p, one, 1, GONE_DISCONNECTED);
	set_peer(p, h, 1, 0); /* makes room; the original remembers having seen it until it needs the room */
	set_peer(p, h, 6, 2);
	assert_int_equal(station_peer_home(station_of(p, h), peer_key(6).b), 2);
	assert_int_equal(station_peers(station_of(p, h)), 3);
}

/* Many peers come and go on two connections: the books agree with a list kept by the test. */
BOTH_STORY(against_a_list)
{
	enum { PEERS = 24 };
	uint32_t route[PEERS] = { 0 }, home[PEERS] = { 0 }, known, last[3] = { PEERS, PEERS, PEERS };
	bool ours = *profile == 0, seen[3][PEERS] = { { false } };
	uint64_t x = 88172645463325252u;
	struct key key[PEERS];
	int s[3], h = at_home(p, profile, &s[1]);

	if (p->chunk != 0) return; /* long, and not about streams */
	s[2] = open_region(p, h, 2);
	for (uint32_t k = 0; k < PEERS; k++) key[k] = peer_key((uint8_t)(8 * k + 1));
	for (int i = 0; i < 2000; i++) {
		uint32_t peer, region, what;
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		peer = (uint32_t)(x >> 8) % PEERS, region = 1 + (uint32_t)(x >> 20) % 2, what = (uint32_t)(x >> 30) % 8;
		if (what < 4) {
			relay_sends(p, s[region], (uint8_t)(8 * peer + 1), "x");
			if (last[region] == peer) continue;
			last[region] = peer;
			if (!ours && seen[region][peer]) continue;
			seen[region][peer] = true;
			route[peer] = region;
		} else if (what < 6) {
			relay_says_gone(p, s[region], (uint8_t)(8 * peer + 1), GONE_DISCONNECTED);
			if (ours && last[region] == peer) last[region] = PEERS;
			if (route[peer] == region) route[peer] = 0;
		} else {
			home[peer] = (uint32_t)(x >> 40) % 3;
			set_peer(p, h, (uint8_t)(8 * peer + 1), home[peer]);
		}
		known = 0;
		for (uint32_t k = 0; k < PEERS; k++) {
			assert_int_equal(station_route(station_of(p, h), key[k].b), route[k]);
			assert_int_equal(station_peer_home(station_of(p, h), key[k].b), home[k]);
			known += route[k] != 0 || home[k] != 0 || (!ours && (seen[1][k] || seen[2][k]));
		}
		assert_int_equal(station_peers(station_of(p, h)), known);
	}
}

/* CLI-043: regions are numbered up to 65,535; above, nothing is known of them, whatever the map says. */
STORY(region_numbers)
{
	static const uint64_t regions[] = { 1, 65534, 65535, 65536, 65537, UINT64_C(1) << 32, (UINT64_C(1) << 53) - 1, UINT64_MAX };
	char text[1000];
	size_t n = 0;
	int h = station_alone(p, A, "");

	n += (size_t)snprintf(text, sizeof text, "{\"Regions\":{\"7\":{}");
	for (size_t i = 0; i < 7; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, ",\"%llu\":{\"Nodes\":[{\"HostName\":\"192.0.2.77\"}]}",
		                      (unsigned long long)regions[i]);
	n += (size_t)snprintf(text + n, sizeof text - n, "}}");
	set_map_text(p, h, text, n);
	for (size_t i = 0; i < 8; i++) {
		bool good = regions[i] <= 65535;
		size_t refused = pair_heard_count(p, h, DELIVER_REFUSED);
		set_home(p, h, regions[i]);
		set_peer(p, h, B, regions[i]);
		send_to(p, h, C, regions[i], "x");
		assert_int_equal(pair_heard_count(p, h, DELIVER_REFUSED), good ? refused : refused + 3);
		for (size_t k = refused; !good && k < refused + 3; k++) told(p, h, DELIVER_REFUSED, k, 0, REFUSED_REGION);
		if (good) assert_int_equal(station_home(station_of(p, h)), regions[i]);
		if (good) assert_int_equal(station_peer_home(station_of(p, h), peer_key(B).b), regions[i]);
	}
	assert_int_equal(station_home(station_of(p, h)), 65535);
	assert_int_equal(station_connections(station_of(p, h)), 3);
	assert_int_equal(station_peer_home(station_of(p, h), peer_key(B).b), 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choice),
		cmocka_unit_test(unknown_home),
		cmocka_unit_test(peer_gone),
		cmocka_unit_test(back_after_gone),
		cmocka_unit_test(last_source_after_reconnect),
		cmocka_unit_test(two_ways),
		cmocka_unit_test(broken),
		cmocka_unit_test(peers_max),
		cmocka_unit_test(against_a_list),
		cmocka_unit_test(region_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
