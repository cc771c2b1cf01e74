/* The relay as a whole: mesh privilege, ends, commands, what is left behind, configuration. Logins, routing and presence have files of
 * their own (relay_login_test.c, relay_route_test.c, relay_peers_test.c), the mesh has relay_mesh_test.c. */
#include "pair_relay.h"

/* MSH-001, MSH-016, MSH-019..MSH-021, PGR-015, FRM-019, TRP-016: forwards go to local clients under the given source, else NotHere to the forwarder. */
STORY(forward_in, MESHED)
{
	struct key a = pair_public(A), b = pair_public(B), zero = { { 0 } };
	uint8_t payload[2 * KEY_SIZE + 62] = { 0 };
	int m = login_mesh(p, r, D), sb = login(p, r, B);

	memcpy(payload, a.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, b.b, KEY_SIZE);
	memcpy(payload + 2 * KEY_SIZE, "\x54\x53\xf0\x9f\x92\xac", 6);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 5);
	packet_is(p, sb, A, payload + 64, 5);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64);
	packet_is(p, sb, A, "", 0);
	memcpy(payload, zero.b, KEY_SIZE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 5);
	silent(p, sb);
	memcpy(payload, b.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, a.b, KEY_SIZE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 62);
	gone_is(p, m, A, GONE_NOT_HERE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 61);
	silent(p, m);
	silent(p, sb);
	assert_int_equal(counters(p, r)->packets_forwarded_in, 5);
	assert_int_equal(counters(p, r)->packets_received, 0);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST_ON_FWD][PACKET_DISCO], 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST_ON_FWD][PACKET_OTHER], 2);
}

/* FRM-019: in the original's profile a zero source goes out in the old form of the frame, without a key. */
STORY(forward_zero_source_derper, MESHED "profile=derper\n")
{
	struct key b = pair_public(B);
	uint8_t payload[2 * KEY_SIZE + 3] = { 0 };
	int m = login_mesh(p, r, D), sb = login(p, r, B);

	memcpy(payload + KEY_SIZE, b.b, KEY_SIZE);
	memcpy(payload + 2 * KEY_SIZE, "old", 3);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, sizeof payload);
	frame_is(p, sb, FRAME_RECV_PACKET, "old", 3);
}

/* MSH-001, MSH-032, MSH-033, MSH-034, TRP-023: all local connections of the key end without a frame, an unknown key is nothing, and it may come back. */
STORY(close_peer, MESHED)
{
	int m = login_mesh(p, r, D), a1 = login(p, r, A), a2 = login(p, r, A), b = login(p, r, B);

	send_to(p, a2, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	key_frame(p, m, FRAME_CLOSE_PEER, C);
	silent(p, m);
	key_frame(p, m, FRAME_CLOSE_PEER, A);
	closed(p, a1);
	closed(p, a2);
	gone_is(p, b, A, GONE_DISCONNECTED);
	silent(p, m);
	a1 = login(p, r, A);
	ping(p, a1);
	key_frame(p, m, FRAME_CLOSE_PEER, D); /* the sender itself */
	closed(p, m);
}

/* The operator's COMMAND_CLOSE_PEER does the same; COMMAND_LEAVE closes everything and says so (SRV-036). */
STORY(commands, RAW)
{
	struct key a = pair_public(A);
	int sa = login(p, r, A), sb = login(p, r, B), half = wire_connect(p, r);

	pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = a.b });
	closed(p, sa);
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = a.b }); /* who is not here is nobody's loss */
	silent(p, sb);
	frame_is(p, half, FRAME_SERVER_KEY, NULL, 40);
	assert_null(pair_heard(p, r, DELIVER_STOPPED, 0));
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_LEAVE });
	closed(p, sb);
	closed(p, half);
	assert_non_null(pair_heard(p, r, DELIVER_STOPPED, 0));
	half = wire_connect(p, r);
	closed(p, half);
	assert_int_equal(counters(p, r)->current_connections, 0);
}

/* A connection that we closed and that never closes its side is cut after a while, and its slot comes back. */
STORY(linger, RAW)
{
	int s = login(p, r, A), t;

	p->stream[s].end[0].fin = p->stream[s].end[0].fin_gone = true; /* this wire does not answer a FIN */
	wire_send_frame(p, s, FRAME_PING, "short", 5);
	pair_advance(p, 10 * NS_S);
	assert_false(p->stream[s].end[1].open);
	t = login(p, r, A);
	ping(p, t);
}

/* Comings and goings leave nothing behind: memory is what it was, and nobody is known. */
STORY(churn, MESHED)
{
	uint64_t before = 0;
	int w = login_mesh(p, r, D);
	struct wire_frame f = { 0 };

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	for (int round = 0; round < 12; round++) {
		int a = login(p, r, A), b = login(p, r, (uint8_t)(B + round)), b2 = login(p, r, (uint8_t)(B + round));
		send_to(p, a, (uint8_t)(B + round), "x", 1);
		send_to(p, b2, A, "y", 1);
		send_to(p, b, A, "y", 1);
		send_to(p, b, D, "y", 1);
		wire_fin(p, a);
		wire_reset(p, b);
		wire_fin(p, b2);
		while (wire_frame(p, w, &f)) continue;
		if (round == 2) before = relay_memory(p->host[r].relay);
	}
	assert_int_equal(relay_memory(p->host[r].relay), before);
	assert_int_equal(counters(p, r)->clients_total, 1);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 0);
	assert_int_equal(route_to(p, r, B), ROUTE_NONE);
}

/* Configurations that are refused, with a reason; MSH-002: HOST[:PORT][/DIALHOST], and never without a mesh key. */
static void config_checked(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define KEY_LINE "key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define MESH_LINE "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
		{ KEY_LINE, true },
		{ "", false },
		{ "key=00\n", false },
		{ KEY_LINE "mesh-with=192.0.2.1:443\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=192.0.2.1:443, http://192.0.2.2:80\n", true },
		{ KEY_LINE MESH_LINE "mesh-with=derp1.test,derp2.test:8443/192.0.2.2,derp3.test/other.test,derp4.test/2001:db8::1\n", true },
		{ KEY_LINE MESH_LINE "mesh-with=derp1.test/\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=derp1.test/other.test:443\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=derp1.test/other.test/more\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=http://\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=a@b\n", false },
		{ KEY_LINE "profile=theirs\n", false },
		{ KEY_LINE "keepalive=1ms\nlogin-timeout=1h\nraw=on\nprofile=derper\n", true },
		{ KEY_LINE "no-such-key=1\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[200] = "";
		if (relay_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
}

static void who_speaks_first(void **state)
{
	static const char http[] = KEY_LINE, raw[] = KEY_LINE "raw=on\n", bad[] = "raw=on\n";

	(void)state;
	assert_false(relay_config_speaks_first(http, sizeof http - 1));
	assert_true(relay_config_speaks_first(raw, sizeof raw - 1));
	assert_false(relay_config_speaks_first(bad, sizeof bad - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_in),     cmocka_unit_test(forward_zero_source_derper),
		cmocka_unit_test(close_peer),     cmocka_unit_test(commands),
		cmocka_unit_test(linger),         cmocka_unit_test(churn),
		cmocka_unit_test(config_checked), cmocka_unit_test(who_speaks_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
