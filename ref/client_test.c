/* What a client makes of frames, and what its owner asks of it. Logins and dialling have files of their own: client_login_test.c,
 * client_dial_test.c. */
#include "pair_client.h"

/* HSK-026: a ServerInfo that does not open kills, also behind one that did. */
STORY(server_info_sealed_wrong)
{
	static uint8_t junk[60];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");
	s = wire_ready(p, c, A);
	wire_send_frame(p, s, FRAME_SERVER_INFO, junk, sizeof junk);
	ended(p, c, 0, CLIENT_END_PROTOCOL);
}

static const uint8_t *big_packet(void)
{
	static const uint8_t packet[1000];

	return packet;
}

/* CLI-004, CLI-005, HSK-026, TRP-035: the announced bucket limits sends, silently; a later ServerInfo without a rate lifts it. */
STORY(bucket)
{
	struct key b = pair_public(B);
	struct wire_frame f = { 0 };
	size_t n = 0;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_sent(p, c, A);
	server_info(p, s, A, &(struct server_info){ .version = 2, .bucket_bytes_per_second = 100, .bucket_bytes_burst = 300 });
	for (int i = 0; i < 5; i++) pair_send(p, c, &b, big_packet(), 63); /* 100 tokens each */
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 3);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 2);
	pair_advance(p, NS_S);
	for (int i = 0; i < 2; i++) pair_send(p, c, &b, big_packet(), 63);
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 4);
	for (int i = 0; i < 40; i++) { /* slow refills add up */
		pair_advance(p, 100 * NS_MS);
		pair_send(p, c, &b, big_packet(), 263);
	}
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 5);
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	for (int i = 0; i < 50; i++) pair_send(p, c, &b, big_packet(), 263);
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 55);
}

/* CLI-008, TRP-033: 120 s without a complete frame are the end; a skipped frame renews the deadline, half a frame does not. */
STORY(receive_deadline)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");
	s = wire_ready(p, c, A);
	pair_advance(p, 119 * NS_S);
	wire_send_frame(p, s, 0x7a, "x", 1);
	pair_advance(p, 119 * NS_S);
	state_is(p, c, CLIENT_READY);
	wire_send(p, s, "\x06\x00\x00", 3);
	pair_advance(p, NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_SILENCE);
	state_is(p, c, CLIENT_IDLE);
	assert_int_equal(wire_end(p, s)->ended, PAIR_RESET);
}

/* SRV-017 seen from here, CLI-002, CLI-031: towards a transport that takes nothing the newest 32 packets wait. */
STORY(queue_blocked)
{
	static uint8_t big[60000];
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, "raw=on\n"), ca = pair_client(p, A, "url=http://192.0.2.101/derp\nraw=on\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\nraw=on\n");

	(void)r;
	p->stream[0].end[0].room = 0;
	for (int i = 0; i < 3; i++) pair_send(p, ca, &b, big, sizeof big);
	for (int i = 0; i < 40; i++) pair_send(p, ca, &b, &(char){ (char)i }, 1);
	assert_int_equal(client_packets_queued(client_of(p, ca)), 32);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_DROPPED), 8);
	assert_int_equal(pair_heard(p, ca, DELIVER_DROPPED, 7)->p[0], 7);
	assert_int_equal(pair_heard(p, ca, DELIVER_DROPPED, 7)->a, DROP_QUEUE_HEAD);
	pair_advance(p, 60 * NS_S); /* CLI-003: no write deadline */
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	p->stream[0].end[0].room = SIZE_MAX;
	pair_flush(p, 0, 0);
	pair_run(p);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PONG), 1); /* CLI-002: between two packets, not inside one */
	assert_int_equal(pair_heard_count(p, cb, DELIVER_PACKET), 35);
	for (size_t i = 0; i < 32; i++) assert_int_equal(pair_heard(p, cb, DELIVER_PACKET, 3 + i)->p[0], 8 + i);
}

/* CLI-011, CLI-025, CLI-027, FRM-021: Ping, home and ClosePeer commands, each on the wire at once. */
STORY(commands)
{
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n");
	int ca = pair_client(p, A,
	                     "url=http://192.0.2.101/derp\n"
	                     "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\nretry=manual\n");

	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PONG), 1);
	assert_memory_equal(pair_heard(p, ca, DELIVER_PONG, 0)->p, "12345678", 8);
	for (int i = 0; i < 2; i++) pair_command(p, ca, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	assert_int_equal(relay_counters(p->host[r].relay)->current_home_connections, 1);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_WATCH });
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PEER_PRESENT), 2);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_FORWARD, .src = b.b, .dst = b.b, .p = (const uint8_t *)"fwd", .n = 3 });
	packet_came(p, cb, 0, B, "fwd");
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = b.b });
	ended(p, cb, 0, CLIENT_END_CLOSED);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PEER_GONE), 1);
	pair_command(p, cb, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, cb, CLIENT_READY);
}

/* CLI-013, CLI-031: without connection a Send dials when connect=off, a Ping never; 32 packets wait. */
STORY(send_connects)
{
	struct key b = pair_public(B);
	int c, s;
	struct wire_frame f = { 0 };
	size_t n = 0;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nconnect=off\n");
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	state_is(p, c, CLIENT_IDLE);
	for (int i = 0; i < 40; i++) pair_send(p, c, &b, &(char){ (char)i }, 1);
	state_is(p, c, CLIENT_LOGIN);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 8);
	s = wire_sent(p, c, A);
	frame_is(p, s, FRAME_NOTE_PREFERRED, "\x01", 1);
	for (; wire_frame(p, s, &f); n++) assert_int_equal(f.p[KEY_SIZE], 8 + n);
	assert_int_equal(n, 32);
	wire_reset(p, s);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-026: Leave is final, from every state. */
STORY(leave_is_final)
{
	static const char *const configs[] = { "connect=off\n", "raw=on\n", "", "retry=fixed\n" };
	struct key b = pair_public(B);

	wire_listens(p);
	for (size_t i = 0; i < 5; i++) {
		char text[200];
		int c;
		snprintf(text, sizeof text, "%s%s", i == 3 ? "url=http://192.0.2.99/derp\n" : WIRE, i < 4 ? configs[i] : "raw=on\n");
		c = pair_client(p, A, text);
		if (i == 4) wire_ready(p, c, A);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
		state_is(p, c, CLIENT_GONE);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		pair_send(p, c, &b, "x", 1);
		pair_advance(p, 100 * NS_S);
		state_is(p, c, CLIENT_GONE);
		assert_true(machine_deadline(p->host[c].machine) == TIME_NEVER);
		if (i == 4) assert_int_equal(wire_accepted(p, wire_at) < 0 || wire_end(p, wire_accepted(p, wire_at))->ended != PAIR_OPEN, true);
	}
}

/* CLI-003, MSH-023: with forward-timeout a write without progress ends the connection. */
STORY(forward_timeout)
{
	static uint8_t big[60000];
	struct key a = pair_public(A), b = pair_public(B);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nforward-timeout=5s\nretry=manual\nwatch=on\n");
	s = wire_ready(p, c, A);
	p->stream[s].end[0].room = 0;
	for (int i = 0; i < 4; i++)
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_FORWARD, .src = a.b, .dst = b.b, .p = big, .n = sizeof big });
	pair_advance(p, 5 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_WRITE);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 1); /* what waited is of no use behind the break (MSH-014) */
	assert_int_equal(client_packets_queued(client_of(p, c)), 0);
}

/* Configurations: what a client starts with, and what is refused with a reason. */
static void config_checked(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define K "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"
		{ K "url=https://derp.example.com/derp\n", true },
		{ K "url=https://[2001:db8::1]:8443/derp\n", true },
		{ K "url=http://192.0.2.1\n", true },
		{ "url=http://192.0.2.1\n", false },
		{ K, false },
		{ K "url=http://x\n" REGION(""), false },
		{ K "url=ftp://x/\n", false },
		{ K "url=http://\n", false },
		{ K "url=http://:80/\n", false },
		{ K "url=http://x:80x/\n", false },
		{ K "url=http://a@b/\n", false },
		{ K "url=http://a b/\n", false },
		{ K "url=http://a/de rp\n", false },
		{ K "url=http://[::1/\n", false },
		{ K "url=http://[]/\n", false },
		{ K "url=http://[name]/\n", false },
		{ K "url=http://[192.0.2.1]/\n", false },
		{ K "url=http://x\nfast-start=always\n", false }, /* HTTP-010 */
		{ K "url=http://x\nretry=later\n", false },
		{ K "url=http://x\nreturn-after=never\n", true },
		{ K "region={}\n", true },
		{ K "region=[]\n", false },
		{ K REGION(NODE("1a", "a.test", ",\"DERPPort\":\"80\"")), false },
		{ K REGION(NODE("1a\\r\\nX: y", "a.test", "")), false },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = 0;
		if (client_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_info_sealed_wrong),
		cmocka_unit_test(bucket),
		cmocka_unit_test(receive_deadline),
		cmocka_unit_test(queue_blocked),
		cmocka_unit_test(commands),
		cmocka_unit_test(send_connects),
		cmocka_unit_test(leave_is_final),
		cmocka_unit_test(forward_timeout),
		cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
