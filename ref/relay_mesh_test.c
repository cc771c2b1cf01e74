/* Relays of one region, meshed: what they tell each other, what they forward, and what a broken link does (chapter 12). Our relays
 * in twos and threes, and one against a neighbour written by hand. Every story runs with whole events and with single bytes. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { A = 0x20, B = 0x40, C = 0x60, FIRST = 0x00, SECOND = 0xa0, THIRD = 0xc0, FOURTH = 0x90, MESH = 0xe0 };
static const uint8_t relay_keys[4] = { FIRST, SECOND, THIRD, FOURTH };

#define MESH_KEY "raw=on\nmesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

static void each(void (*story)(struct pair *p))
{
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct pair *p = pair_new(chunk);
		story(p);
		pair_free(p);
	}
}

#define STORY(name) \
	static void name##_story(struct pair *p); \
	static void name(void **state) \
	{ \
		(void)state; \
		each(name##_story); \
	} \
	static void name##_story(struct pair *p)

static const struct relay *relay_of(struct pair *p, int r) { return p->host[r].relay; }
static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(relay_of(p, r)); }
static int login(struct pair *p, int r, uint8_t key) { return wire_login(p, r, key, NULL); }

/* So many relays, each meshed with every other; hosts are 0, 1, 2, 3. The first dials come too early and are repeated (MSH-013). */
static void region(struct pair *p, int relays)
{
	for (int i = 0; i < relays; i++) {
		char config[400];
		int n = snprintf(config, sizeof config, "%smesh-with=", MESH_KEY);
		for (int k = 0; k < relays; k++)
			if (k != i) n += snprintf(config + n, sizeof config - (size_t)n, "http://192.0.2.%d:80,", 101 + k);
		config[n - 1] = '\n';
		assert_int_equal(pair_relay(p, relay_keys[i], config), i);
	}
	pair_advance(p, 5 * NS_S);
	for (int i = 0; i < relays; i++) {
		assert_int_equal(relay_mesh_links(relay_of(p, i)), relays - 1);
		assert_int_equal(relay_mesh_links_up(relay_of(p, i)), relays - 1);
	}
}

static enum relay_route route_to(struct pair *p, int r, uint8_t key)
{
	struct key public_key = pair_public(key);

	return relay_route(relay_of(p, r), public_key.b);
}

static void send_to(struct pair *p, int s, uint8_t to, const char *text)
{
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, text, (uint32_t)strlen(text));
}

static void send_disco(struct pair *p, int s, uint8_t to)
{
	static const uint8_t packet[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, packet, sizeof packet);
}

static void packet_is(struct pair *p, int s, uint8_t from, const char *text)
{
	struct key source = pair_public(from);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected '%s', nothing came", text);
	assert_int_equal(f.type, FRAME_RECV_PACKET);
	assert_int_equal(f.n, FRAME_KEY + strlen(text));
	assert_memory_equal(f.p, source.b, KEY_SIZE);
	assert_memory_equal(f.p + FRAME_KEY, text, strlen(text));
}

static void gone_is(struct pair *p, int s, uint8_t who, uint8_t reason)
{
	struct key key = pair_public(who);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a PeerGone, nothing came");
	assert_int_equal(f.type, FRAME_PEER_GONE);
	assert_memory_equal(f.p, key.b, KEY_SIZE);
	assert_int_equal(f.p[KEY_SIZE], reason);
}

static void silent(struct pair *p, int s)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* The stream of the link from one relay to another. */
static int link_stream(struct pair *p, int from, int to)
{
	for (int i = p->streams - 1; i >= 0; i--)
		if (p->stream[i].end[0].host == from && p->stream[i].end[1].host == to && p->stream[i].end[0].open) return i;
	fail_msg("no link from %d to %d", from, to);
	return -1;
}

/* ---- two ---- */

/* MSH-004, MSH-005, MSH-011, MSH-018, MSH-021: packets cross in both directions under their sender's key; each side counts its part. */
STORY(forward_both_ways)
{
	int a, b;

	region(p, 2);
	a = login(p, 0, A), b = login(p, 1, B);
	assert_int_equal(route_to(p, 0, B), ROUTE_FORWARD);
	assert_int_equal(route_to(p, 1, B), ROUTE_LOCAL);
	send_to(p, a, B, "there");
	packet_is(p, b, A, "there");
	send_to(p, b, A, "and back");
	packet_is(p, a, B, "and back");
	send_to(p, a, B, "");
	packet_is(p, b, A, "");
	silent(p, a);
	silent(p, b);
	assert_int_equal(counters(p, 0)->packets_received, 2);
	assert_int_equal(counters(p, 0)->packets_forwarded_out, 2);
	assert_int_equal(counters(p, 1)->packets_forwarded_in, 2);
	assert_int_equal(counters(p, 1)->packets_received, 1);
	assert_int_equal(counters(p, 0)->clients_local, 2);  /* MET-003: the other relay counts as a client */
	assert_int_equal(counters(p, 0)->clients_remote, 2); /* B, and this relay's own key, seen over there */
	assert_int_equal(counters(p, 0)->clients_total, 4);
	assert_int_equal(relay_mesh_keys(relay_of(p, 0)), 2);
	assert_int_equal(relay_regular_clients(relay_of(p, 0)), 1);
}

/* The largest packet crosses, also in single bytes. */
STORY(forward_largest)
{
	static char big[FRAME_PACKET_MAX + 1];
	int a, b;

	memset(big, 'x', FRAME_PACKET_MAX);
	region(p, 2);
	a = login(p, 0, A), b = login(p, 1, B);
	send_to(p, a, B, big);
	packet_is(p, b, A, big);
}

/* PGR-004 b, PGR-023, MSH-030: a departure over there is told here to those who received from the key; then nobody knows it. */
STORY(gone_over_there)
{
	int a, b, c;

	region(p, 2);
	a = login(p, 0, A), b = login(p, 1, B), c = login(p, 0, C);
	send_to(p, b, A, "x");
	packet_is(p, a, B, "x");
	wire_fin(p, b);
	gone_is(p, a, B, GONE_DISCONNECTED);
	silent(p, c);
	assert_int_equal(route_to(p, 0, B), ROUTE_NONE);
	send_disco(p, a, B);
	gone_is(p, a, B, GONE_NOT_HERE);
	assert_int_equal(counters(p, 0)->clients_remote, 1); /* this relay's own key */
}

/* MSH-018, MSH-029, SRV-005: local wins; when it leaves the spare forwarder takes over and nobody is told that the key has gone. */
STORY(local_before_remote)
{
	int a, b, b_here;

	region(p, 2);
	a = login(p, 0, A), b = login(p, 1, B);
	b_here = login(p, 0, B);
	send_to(p, b_here, A, "hello");
	packet_is(p, a, B, "hello");
	send_to(p, a, B, "to the local one");
	packet_is(p, b_here, A, "to the local one");
	wire_fin(p, b_here);
	silent(p, a);
	send_to(p, a, B, "to the remote one");
	packet_is(p, b, A, "to the remote one");
	wire_fin(p, b);
	gone_is(p, a, B, GONE_DISCONNECTED);
}

/* MSH-014, MSH-013, PGR-003, PGR-012: a cut link makes all its keys gone; 5 s later it is back and they are known again. */
STORY(link_cut)
{
	int a, b;

	region(p, 2);
	a = login(p, 0, A), b = login(p, 1, B);
	send_to(p, b, A, "x");
	packet_is(p, a, B, "x");
	pair_abort(p, link_stream(p, 0, 1), 1);
	pair_run(p);
	gone_is(p, a, B, GONE_DISCONNECTED);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 0);
	assert_int_equal(relay_mesh_keys(relay_of(p, 0)), 0);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 1)), 1); /* MSH-005: the other direction stands */
	send_to(p, a, B, "nobody");
	send_to(p, b, A, "still");
	packet_is(p, a, B, "still");
	pair_advance(p, 5 * NS_S - 1);
	assert_int_equal(route_to(p, 0, B), ROUTE_NONE);
	pair_advance(p, 1);
	assert_int_equal(route_to(p, 0, B), ROUTE_FORWARD);
	send_to(p, a, B, "again");
	packet_is(p, b, A, "again");
	silent(p, a);
}

/* MSH-017: one hop. What a mesh peer forwards goes to local clients only, also when this relay knows the key through a link. */
STORY(forward_one_hop)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };
	struct key a = pair_public(A), b = pair_public(B);
	uint8_t payload[64 + 62] = { 0 };
	int m, sb;

	region(p, 2);
	sb = login(p, 1, B), m = wire_login(p, 0, C, &info);
	memcpy(payload, a.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, b.b, KEY_SIZE);
	memcpy(payload + 64, "\x54\x53\xf0\x9f\x92\xac", 6);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, sizeof payload);
	gone_is(p, m, B, GONE_NOT_HERE);
	silent(p, sb);
	assert_int_equal(counters(p, 0)->packets_forwarded_out, 0);
	assert_int_equal(counters(p, 0)->packets_dropped[DROP_UNKNOWN_DEST_ON_FWD][PACKET_DISCO], 1);
}

/* MSH-011, MSH-012, TRP-018: a relay that meets itself stops that link for good, and it does not count. */
STORY(link_to_self)
{
	pair_relay(p, FIRST, MESH_KEY "mesh-with=http://192.0.2.101:80\n");
	pair_advance(p, 60 * NS_S);
	assert_int_equal(relay_mesh_links(relay_of(p, 0)), 0);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 0);
	assert_int_equal(counters(p, 0)->current_connections, 0);
	assert_int_equal(counters(p, 0)->accepts, 1);
	assert_int_equal(counters(p, 0)->watchers, 0);
}

/* PGR-026: a watcher hears of the keys of this relay only, not of those that it knows through another. */
STORY(watch_local_only)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };
	struct wire_frame f = { 0 };
	struct key b = pair_public(B);
	int w;

	region(p, 2);
	login(p, 1, B);
	login(p, 0, A);
	assert_int_equal(route_to(p, 0, B), ROUTE_FORWARD);
	w = wire_login(p, 0, C, &info);
	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	for (int i = 0; i < 3; i++) { /* A, the other relay, itself */
		assert_true(wire_frame(p, w, &f));
		assert_int_equal(f.type, FRAME_PEER_PRESENT);
		assert_memory_not_equal(f.p, b.b, KEY_SIZE);
	}
	silent(p, w);
}

/* REG-002: two relays that are not meshed, as those of two regions are: neither finds the other's clients. */
STORY(no_way_between)
{
	int a;

	pair_relay(p, FIRST, MESH_KEY);
	pair_relay(p, SECOND, MESH_KEY);
	a = login(p, 0, A);
	login(p, 1, B);
	send_disco(p, a, B);
	gone_is(p, a, B, GONE_NOT_HERE);
	assert_int_equal(counters(p, 0)->packets_forwarded_out, 0);
	assert_int_equal(counters(p, 1)->accepts, 1);
}

/* MSH-002: what stands behind the slash is dialled, at the port of the name before it, which is what the request says. */
STORY(link_dial_host)
{
	struct address at = pair_address(50, 8080);
	static const char head[] = "GET /derp HTTP/1.1\r\nHost: derp2.test:8080\r\n";
	const uint8_t *rest;
	size_t n;
	int s;

	pair_listen(p, at, PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_relay(p, FIRST,
	           "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\nmesh-with=http://derp2.test:8080/192.0.2.50\n");
	s = wire_accepted(p, at);
	assert_true(s >= 0);
	rest = wire_rest(p, s, &n);
	assert_true(n >= sizeof head - 1);
	assert_memory_equal(rest, head, sizeof head - 1);
}

/* HSK-015, SRV-031: with the wrong mesh key WatchConns ends the link; it is tried again every 5 s and never comes up. */
STORY(link_refused)
{
	pair_relay(p, FIRST, "raw=on\nmesh-key=00e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n");
	pair_relay(p, SECOND, MESH_KEY "mesh-with=http://192.0.2.101:80\n");
	pair_advance(p, 21 * NS_S);
	assert_int_equal(counters(p, 0)->accepts, 5);
	assert_int_equal(counters(p, 0)->current_connections, 0);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 1)), 0);
	assert_int_equal(relay_mesh_keys(relay_of(p, 1)), 0);
}

/* SRV-036: a relay that leaves closes its links too and stops dialling; the neighbour's link comes back when it does. */
STORY(leave)
{
	region(p, 2);
	pair_command(p, 0, &(struct event_command){ .verb = COMMAND_LEAVE });
	pair_advance(p, 30 * NS_S);
	assert_int_equal(counters(p, 1)->current_connections, 0);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 1)), 0);
	assert_true(machine_deadline(p->host[0].machine) == TIME_NEVER);
}

/* ---- three ---- */

/* MSH-025, MSH-027, MSH-031: of two links that know a key the first carries everything; when it forgets the key the other takes over. */
STORY(two_forwarders)
{
	int a, b2, b3;

	region(p, 3);
	a = login(p, 0, A), b2 = login(p, 1, B);
	send_to(p, b2, A, "hello");
	packet_is(p, a, B, "hello");
	assert_int_equal(counters(p, 0)->multiforwarder_created, 1); /* this relay's own key, seen at both others */
	b3 = login(p, 2, B);
	assert_int_equal(counters(p, 0)->multiforwarder_created, 2);
	for (int i = 0; i < 3; i++) send_to(p, a, B, "first");
	for (int i = 0; i < 3; i++) packet_is(p, b2, A, "first");
	silent(p, b3);
	wire_fin(p, b2);
	silent(p, a);
	send_to(p, a, B, "second");
	packet_is(p, b3, A, "second");
	assert_int_equal(counters(p, 0)->multiforwarder_deleted, 1);
	wire_fin(p, b3);
	gone_is(p, a, B, GONE_DISCONNECTED);
	assert_int_equal(route_to(p, 0, B), ROUTE_NONE);
}

/* TRP-020: while two links know a key it comes and goes on a third 300 times: the one that has known it for longest still carries it. */
STORY(forwarders_for_long)
{
	int a, b2;

	region(p, 4);
	a = login(p, 0, A), b2 = login(p, 1, B);
	login(p, 2, B);
	for (int i = 0; i < 300; i++) wire_fin(p, login(p, 3, B));
	send_to(p, a, B, "first");
	packet_is(p, b2, A, "first");
}

/* REG-001: a region of three in which everybody talks to everybody, over one hop; when one relay's links break, the other two go on. */
STORY(three_all_pairs)
{
	int s[3];
	const uint8_t key[3] = { A, B, C };

	region(p, 3);
	for (int i = 0; i < 3; i++) s[i] = login(p, i, key[i]);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++) {
			send_to(p, s[i], key[k], "to you");
			packet_is(p, s[k], key[i], "to you");
		}
	pair_abort(p, link_stream(p, 0, 2), 0);
	pair_abort(p, link_stream(p, 1, 2), 0);
	pair_run(p);
	gone_is(p, s[0], C, GONE_DISCONNECTED);
	gone_is(p, s[1], C, GONE_DISCONNECTED);
	send_to(p, s[0], B, "still");
	packet_is(p, s[1], A, "still");
	for (int i = 0; i < 3; i++) silent(p, s[i]);
}

/* ---- a neighbour by hand ---- */

/* A relay meshed with a wire at 192.0.2.50:80. Returns the wire's stream, logged in and asked to watch. */
static int neighbour(struct pair *p, const char *config)
{
	struct address at = pair_address(50, 80);
	struct key private_key = pair_key(SECOND), public_key = pair_public(SECOND), first = pair_public(FIRST), shared;
	struct client_info info;
	uint8_t frame[LOGIN_FRAME_MAX], nonce[KEY_NONCE] = { 3 };
	char text[400];
	struct wire_frame f = { 0 };
	int s;

	if (p->hosts == 0) {
		pair_listen(p, at, PAIR_WIRE, -1, TOKEN_NONE, false);
		snprintf(text, sizeof text, "%smesh-with=http://192.0.2.50:80\n%s", MESH_KEY, config);
		pair_relay(p, FIRST, text);
	}
	s = wire_accepted(p, at);
	assert_true(s >= 0);
	wire_send(p, s, frame, frame_server_key(frame, public_key.b));
	assert_true(wire_frame(p, s, &f) && f.type == FRAME_CLIENT_INFO);
	assert_memory_equal(f.p, first.b, KEY_SIZE); /* MSH-004: its own key pair, the mesh key, CanAckPings false */
	assert_true(key_shared(&private_key, first.b, &shared));
	assert_true(login_client_info_open(f.p, f.n, &shared, &info));
	assert_false(info.can_ack_pings);
	assert_false(key_is_zero(info.mesh_key.b));
	assert_true(wire_frame(p, s, &f) && f.type == FRAME_WATCH_CONNS && f.n == 0);
	wire_send(p, s, frame, login_server_info_frame(frame, &shared, nonce, &(struct server_info){ .version = 2 }));
	return s;
}

static void present(struct pair *p, int s, uint8_t who)
{
	struct key key = pair_public(who);
	uint8_t frame[FRAME_HEADER + FRAME_PRESENT_SIZE], ip[16] = { 0 };

	wire_send(p, s, frame, frame_peer_present(frame, key.b, ip, 0, PRESENT_REGULAR));
}

static void gone(struct pair *p, int s, uint8_t who, uint8_t reason)
{
	struct key key = pair_public(who);
	uint8_t frame[FRAME_HEADER + FRAME_GONE_SIZE];

	wire_send(p, s, frame, frame_peer_gone(frame, key.b, reason));
}

static size_t forwards(struct pair *p, int s)
{
	struct wire_frame f = { 0 };
	size_t n = 0;

	for (; wire_frame(p, s, &f); n++) assert_int_equal(f.type, FRAME_FORWARD_PACKET);
	return n;
}

/* MSH-011, MSH-019, MSH-026, MSH-028, TRP-009, TRP-022: presence is a set; NotHere for a forward removes the stale entry as well. */
STORY(stale_forwarder)
{
	int s = neighbour(p, ""), a = login(p, 0, A);

	for (int i = 0; i < 2; i++) present(p, s, B);
	send_to(p, a, B, "x");
	assert_int_equal(forwards(p, s), 1);
	gone(p, s, C, GONE_DISCONNECTED); /* never heard of */
	gone(p, s, B, GONE_NOT_HERE);
	gone(p, s, B, GONE_DISCONNECTED);
	send_to(p, a, B, "y");
	assert_int_equal(forwards(p, s), 0);
	assert_int_equal(counters(p, 0)->packets_dropped[DROP_UNKNOWN_DEST][PACKET_OTHER], 1);
	silent(p, a);
	assert_int_equal(counters(p, 0)->multiforwarder_created, 0);
	present(p, s, A); /* MSH-029: a local key with a spare forwarder */
	send_to(p, a, A, "self");
	packet_is(p, a, A, "self");
	gone(p, s, A, GONE_DISCONNECTED);
	silent(p, a);
	assert_int_equal(route_to(p, 0, A), ROUTE_LOCAL);
}

/* REG-006: a client that has moved to the neighbour is dropped here until the neighbour has told of it; then its packets cross. */
STORY(moved_client)
{
	int s = neighbour(p, ""), a = login(p, 0, A), b = login(p, 0, B);

	wire_fin(p, b);
	send_to(p, a, B, "lost");
	send_disco(p, a, B);
	gone_is(p, a, B, GONE_NOT_HERE);
	assert_int_equal(forwards(p, s), 0);
	present(p, s, B);
	send_to(p, a, B, "crosses");
	assert_int_equal(forwards(p, s), 1);
	silent(p, a);
}

/* MSH-015: a link answers no Ping; it has said that it would not. */
STORY(link_pinged)
{
	int s = neighbour(p, "");

	wire_send_frame(p, s, FRAME_PING, "12345678", 8);
	silent(p, s);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 1);
}

/* TRP-012, MSH-022, MSH-024: towards a neighbour that reads nothing 32 packets wait, the oldest are dropped, the sender and others are not held up;
 * after 5 s without progress the link is given up and its keys forgotten (MSH-023). */
STORY(blocked_neighbour)
{
	static char big[60001];
	int s = neighbour(p, ""), a = login(p, 0, A), c = login(p, 0, C);

	memset(big, 'x', sizeof big - 1);
	present(p, s, B);
	wire_room(p, s, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big);
	for (int i = 0; i < 40; i++) send_to(p, a, B, "waits");
	assert_int_equal(relay_packets_queued(relay_of(p, 0)), 32);
	assert_int_equal(counters(p, 0)->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	assert_int_equal(counters(p, 0)->packets_forwarded_out, 43);
	send_to(p, a, C, "local");
	packet_is(p, c, A, "local");
	pair_advance(p, 5 * NS_S - 1);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 1);
	pair_advance(p, 1);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 0);
	assert_int_equal(route_to(p, 0, B), ROUTE_NONE);
	assert_int_equal(relay_packets_queued(relay_of(p, 0)), 0);
	assert_int_equal(counters(p, 0)->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_OTHER], 32);
	assert_int_equal(wire_end(p, s)->ended, PAIR_RESET);
	silent(p, a); /* MSH-022: the sender hears nothing of it */
	pair_advance(p, 5 * NS_S);
	s = neighbour(p, "");
	present(p, s, B);
	send_to(p, a, B, "fresh");
	assert_int_equal(forwards(p, s), 1); /* and nothing is tried again */
}

/* MSH-015, CLI-008: a neighbour that says nothing for 120 s is dead. */
STORY(dead_neighbour)
{
	int s = neighbour(p, "");

	present(p, s, B);
	pair_advance(p, 120 * NS_S - 1);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 1);
	pair_advance(p, 1);
	assert_int_equal(relay_mesh_links_up(relay_of(p, 0)), 0);
	assert_int_equal(route_to(p, 0, B), ROUTE_NONE);
	assert_int_equal(pair_noted(p, 0, NOTE_FORWARDER, pair_note_count(p, 0, NOTE_FORWARDER) - 1)->b, 0);
}

/* Many keys come and go over a link: nothing is left behind. */
STORY(many_keys)
{
	int s = neighbour(p, "");
	uint64_t before = 0;

	for (int round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < 300; i++) {
			uint8_t key[KEY_SIZE] = { (uint8_t)i, (uint8_t)(i >> 8), 1 }, frame[FRAME_HEADER + FRAME_PRESENT_SIZE], ip[16] = { 0 };
			wire_send(p, s, frame, frame_peer_present(frame, key, ip, 0, 1));
		}
		assert_int_equal(counters(p, 0)->clients_remote, 300);
		for (uint32_t i = 300; i-- > 0;) {
			uint8_t key[KEY_SIZE] = { (uint8_t)i, (uint8_t)(i >> 8), 1 }, frame[FRAME_HEADER + FRAME_GONE_SIZE];
			if (round < 3) wire_send(p, s, frame, frame_peer_gone(frame, key, 0));
		}
		if (round == 1) before = relay_memory(relay_of(p, 0));
	}
	wire_reset(p, s);
	assert_int_equal(counters(p, 0)->clients_remote, 0);
	assert_int_equal(counters(p, 0)->clients_total, 0);
	assert_true(relay_memory(relay_of(p, 0)) <= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_both_ways), cmocka_unit_test(forward_largest),
		cmocka_unit_test(gone_over_there),   cmocka_unit_test(local_before_remote),
		cmocka_unit_test(link_cut),          cmocka_unit_test(forward_one_hop),
		cmocka_unit_test(link_to_self),      cmocka_unit_test(watch_local_only),
		cmocka_unit_test(no_way_between),    cmocka_unit_test(link_dial_host),
		cmocka_unit_test(link_refused),      cmocka_unit_test(leave),
		cmocka_unit_test(two_forwarders),    cmocka_unit_test(forwarders_for_long),
		cmocka_unit_test(three_all_pairs),   cmocka_unit_test(stale_forwarder),
		cmocka_unit_test(moved_client),      cmocka_unit_test(link_pinged),
		cmocka_unit_test(blocked_neighbour), cmocka_unit_test(dead_neighbour),
		cmocka_unit_test(many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
