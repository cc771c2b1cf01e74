/* The client at its limits: lengths, queues, buckets, deadlines, the head start of IPv6, ports: one below, at, and one above. */
#include "pair_client.h"

/* ---- what is lost, what is refused ---- */

/* CLI-023: what was told to be sent and was refused by the transport is told when the connection ends, once; what went out is not. */
STORY(lost_is_told)
{
	static uint8_t packet[1000];
	struct key b = pair_public(B);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");
	s = wire_ready(p, c, A);
	pair_send(p, c, &b, packet, sizeof packet);
	wire_reset(p, s);
	assert_int_equal(pair_heard_count(p, c, DELIVER_LOST), 0);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 1);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	s = wire_ready(p, c, A);
	wire_room(p, s, 500);
	pair_send(p, c, &b, packet, sizeof packet);
	pair_send(p, c, &b, packet, sizeof packet);
	wire_reset(p, s);
	assert_int_equal(pair_heard_count(p, c, DELIVER_LOST), 1);
	assert_int_equal(pair_heard(p, c, DELIVER_LOST, 0)->a, 2 * (5 + 32 + 1000) - 500);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 2);
}

/* CLI-026: Leave drops what waits, and says so; with the flag it resets the connection. Behind it every command is refused. */
STORY(leave)
{
	struct key b = pair_public(B);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	for (int i = 0; i < 2; i++) pair_send(p, c, &b, "x", 1);
	s = wire_relay(p);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE, .flag = true });
	assert_int_equal(wire_end(p, s)->ended, PAIR_RESET);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 2);
	assert_int_equal(pair_heard(p, c, DELIVER_DROPPED, 1)->a, DROP_GONE_DISCONNECTED);
	assert_true(client_is_over(client_of(p, c)));
	pair_send(p, c, &b, "x", 1);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = b.b });
	assert_int_equal(pair_heard_count(p, c, DELIVER_REFUSED), 2);
	assert_int_equal(pair_heard(p, c, DELIVER_REFUSED, 0)->a, REFUSED_LEFT);
	assert_int_equal(pair_heard(p, c, DELIVER_REFUSED, 0)->n, 1);
	c = pair_client(p, C, WIRE "raw=on\n");
	s = wire_ready(p, c, C);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	assert_false(client_is_over(client_of(p, c)));
	wire_fin(p, s);
	assert_true(client_is_over(client_of(p, c)));
}

/* ---- limits in time and number ---- */

/* CLI-031: 31 and 32 packets wait, of 33 the oldest goes. */
STORY(queue_of_32)
{
	struct key b = pair_public(B);
	int c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");

	for (uint64_t i = 1; i <= 33; i++) {
		pair_send(p, c, &b, &(char){ (char)i }, 1);
		assert_int_equal(client_packets_queued(client_of(p, c)), i < 32 ? i : 32);
		assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), i == 33);
	}
	assert_int_equal(pair_heard(p, c, DELIVER_DROPPED, 0)->p[0], 1);
	assert_int_equal(pair_heard(p, c, DELIVER_DROPPED, 0)->a, DROP_QUEUE_HEAD);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 1); /* the owner says when it dials */
}

/* The backlog: with 131,071 bytes on their way to a transport that takes none the next packet still goes out, with 131,072 and more it waits. */
STORY(backlog_limit)
{
	static uint8_t packet[65536];
	static const uint32_t more[] = { 65535 - 37, 65536 - 37, 65536 };
	struct key b = pair_public(B);

	wire_listens(p);
	for (size_t i = 0; i < 3; i++) {
		int c = pair_client(p, A, WIRE "raw=on\nretry=manual\n"), s = wire_ready(p, c, A);
		wire_room(p, s, 0);
		pair_send(p, c, &b, packet, 65536 - 37);
		pair_send(p, c, &b, packet, more[i]);
		assert_int_equal(client_packets_queued(client_of(p, c)), 0);
		pair_send(p, c, &b, "x", 1);
		assert_int_equal(client_packets_queued(client_of(p, c)), i != 0);
		wire_reset(p, s);
	}
}

static bool sends_one(struct pair *p, int c, uint32_t n)
{
	static uint8_t packet[1000];
	struct key b = pair_public(B);
	size_t dropped = pair_heard_count(p, c, DELIVER_DROPPED);

	pair_send(p, c, &b, packet, n);
	return pair_heard_count(p, c, DELIVER_DROPPED) == dropped;
}

/* Packets of n bytes until one is dropped. */
static uint64_t sends(struct pair *p, int c, uint32_t n)
{
	uint64_t i = 0;

	while (i < 1000 && sends_one(p, c, n)) i++;
	return i;
}

/* CLI-004, CLI-005: a packet costs 37 more than its length; a burst that is one short of it sends it never, rate without burst nothing at
 * all; what is earned is earned to the nanosecond, whatever the rate and however often it is asked for, and never more than the burst. */
STORY(bucket)
{
	static const struct {
		uint64_t rate, burst;
		uint32_t n;
		uint64_t at_once, wait_ns, then;
	} cases[] = {
		{ 100, 99, 63, 0, 3600 * NS_S, 0 }, { 100, 100, 63, 1, NS_S - 1, 0 },
		{ 100, 100, 63, 1, NS_S, 1 },       { 100, 101, 63, 1, 3600 * NS_S, 1 },
		{ 1, 99, 63, 0, NS_S, 0 },          { 100, 0, 0, 0, 3600 * NS_S, 0 },
		{ 100, 36, 0, 0, 3600 * NS_S, 0 },  { 100, 37, 0, 1, 370 * NS_MS - 1, 0 },
		{ 100, 37, 0, 1, 370 * NS_MS, 1 },  { 1, INT64_MAX, 63, 1000, 0, 1000 },
		{ INT64_MAX, 100, 63, 1, 0, 0 },    { INT64_MAX, 100, 63, 1, 1, 1 },
		{ 2000000000, 100, 63, 1, 49, 0 },  { 2000000000, 100, 63, 1, 50, 1 },
	};
	struct server_info info = { .version = 2 };
	uint64_t n = 0;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		info.bucket_bytes_per_second = cases[i].rate, info.bucket_bytes_burst = cases[i].burst;
		server_info(p, s, A, &info);
		assert_int_equal(sends(p, c, cases[i].n), cases[i].at_once);
		for (uint64_t at = 0; at < cases[i].wait_ns; at += NS_S) {
			wire_send_frame(p, s, FRAME_KEEP_ALIVE, NULL, 0);
			pair_advance(p, cases[i].wait_ns - at < NS_S ? cases[i].wait_ns - at : NS_S);
		}
		if (sends(p, c, cases[i].n) != cases[i].then) fail_msg("case %zu", i);
	}
	info = (struct server_info){ .version = 2, .bucket_bytes_per_second = 1000, .bucket_bytes_burst = 1000 };
	server_info(p, s, A, &info);
	sends(p, c, 0);                                              /* one token is left */
	for (int i = 0; i < 666; i++, pair_advance(p, 1500 * NS_US)) /* the last one at 997.5 ms */
		n += sends_one(p, c, 0);
	assert_int_equal(n, (1 + 997) / 37);
}

/* CLI-005: Pings, forwards and the rest cost nothing. */
STORY(bucket_is_for_packets)
{
	struct key b = pair_public(B);
	struct wire_frame f;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	server_info(p, s, A, &(struct server_info){ .version = 2, .bucket_bytes_per_second = 1 });
	assert_int_equal(sends(p, c, 0), 0);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_PING });
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_FORWARD, .dst = b.b, .src = b.b, .p = (const uint8_t *)"x", .n = 1 });
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = b.b });
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	for (int i = 0; i < 4; i++) assert_true(wire_frame(p, s, &f));
	quiet(p, s);
}

/* CLI-008: 120 s for each frame, from the end of the one before, skipped ones included: one that takes 119 s to come is in time, and the next
 * one has its own 120 s. */
STORY(liveness)
{
	uint8_t piece[100] = { 0 };
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");
	s = wire_ready(p, c, A);
	pair_advance(p, 100 * NS_S);
	wire_send(p, s, "\x7a\x00\x00\x00\xc8", 5); /* 200 bytes of a type that is skipped */
	pair_advance(p, 19 * NS_S);
	wire_send(p, s, piece, sizeof piece);
	state_is(p, c, CLIENT_READY);
	wire_send(p, s, piece, sizeof piece); /* its end at 119 s */
	pair_advance(p, 120 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
	wire_send(p, s, "\x7a\x00\x00\x00\x64", 5); /* a header alone does not count */
	wire_send(p, s, piece, sizeof piece - 1);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_SILENCE);
}

/* ---- families ---- */

static const struct address six = { .ip = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, .port = 80 };
#define BOTH ",\"IPv4\":\"192.0.2.50\",\"IPv6\":\"2001:db8::1\",\"DERPPort\":80"
#define PREFER "plain=on\nretry=manual\nprefer-v6=on\n"

/* CLI-020: IPv4 starts 200 ms later, to the nanosecond, whether IPv6 is silent, has failed at once or is not there; an IPv6 that comes up
 * before spares it. */
STORY(head_start)
{
	static const struct {
		enum pair_where six;
		const char *node;
		int before; /* streams before the 200 ms are over */
	} cases[] = {
		{ PAIR_SILENT, NODE("1a", "a.test", BOTH), 1 },
		{ PAIR_REFUSE, NODE("1a", "a.test", BOTH), 1 },
		{ PAIR_REFUSE, NODE("1a", "a.test", V4("50")), 0 },
		{ PAIR_REFUSE, NODE("1a", "192.0.2.50", ",\"DERPPort\":80"), 0 },
	};
	int c;

	wire_listens(p);
	pair_listen(p, six, PAIR_REFUSE, -1, TOKEN_NONE, false);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[500];
		int streams = p->streams;
		pair_listen_set(p, six, cases[i].six);
		snprintf(text, sizeof text, PREFER "region={\"Nodes\":[%s]}\n", cases[i].node);
		c = pair_client(p, A, text);
		pair_advance(p, 200 * NS_MS - 1);
		state_is(p, c, CLIENT_DIALING);
		assert_int_equal(p->streams, streams + cases[i].before);
		pair_advance(p, 1);
		state_is(p, c, CLIENT_HTTP);
		assert_int_equal(p->streams, streams + cases[i].before + 1);
		wire_reset(p, wire_relay(p));
	}
	pair_listen_set(p, six, PAIR_WIRE);
	c = pair_client(p, B, PREFER REGION(NODE("1a", "a.test", BOTH)));
	pair_advance(p, NS_S);
	state_is(p, c, CLIENT_HTTP);
	assert_int_equal(wire_accepted(p, wire_at), -1);
}

/* CLI-015 with CLI-020: the node fails when both have, and 1.5 s after it began whatever happens; the next node has its own 200 ms. The
 * owner may change its mind for the next attempt. */
STORY(head_start_fails)
{
	int c;

	pair_listen(p, wire_at, PAIR_REFUSE, -1, TOKEN_NONE, false);
	c = pair_client(p, A, PREFER REGION(NODE("1a", "a.test", BOTH) "," NODE("1b", "b.test", V4("50"))));
	pair_advance(p, 200 * NS_MS);
	assert_int_equal(client_node(client_of(p, c)), 1);
	pair_advance(p, 200 * NS_MS - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_REFUSED);
	pair_listen_set(p, wire_at, PAIR_SILENT);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_advance(p, 1500 * NS_MS - 1);
	assert_int_equal(client_node(client_of(p, c)), 0);
	pair_advance(p, 1);
	assert_int_equal(client_node(client_of(p, c)), 1);
	pair_advance(p, 1500 * NS_MS);
	ended(p, c, 1, CLIENT_END_REFUSED);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_PREFER_V6, .flag = false });
	pair_listen_set(p, wire_at, PAIR_WIRE);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, c, CLIENT_HTTP);
}

/* CLI-021, MAP-007: port 443, over plain HTTP 3340, or what the map says; one that is none fails like a refused dial. */
STORY(ports)
{
	static const struct {
		const char *plain, *port;
		uint16_t dialled; /* 0: none */
	} cases[] = {
		{ "", "", 443 },
		{ "plain=on\n", "", 3340 },
		{ "", ",\"DERPPort\":0", 443 },
		{ "plain=on\n", ",\"DERPPort\":443", 443 },
		{ "", ",\"DERPPort\":1", 1 },
		{ "", ",\"DERPPort\":65535", 65535 },
		{ "", ",\"DERPPort\":65536", 0 },
		{ "", ",\"DERPPort\":-1", 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[400];
		int streams = p->streams, c;
		snprintf(text, sizeof text,
		         "retry=manual\n%sregion={\"Nodes\":[{\"HostName\":\"a.test\",\"IPv4\":\"192.0.2.9\",\"IPv6\":\"-\"%s}]}\n", cases[i].plain,
		         cases[i].port);
		c = pair_client(p, A, text);
		ended(p, c, 0, CLIENT_END_REFUSED);
		assert_int_equal(p->streams, streams + (cases[i].dialled != 0));
		if (cases[i].dialled != 0) assert_int_equal(p->stream[streams].to.port, cases[i].dialled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_is_told),  cmocka_unit_test(leave),      cmocka_unit_test(queue_of_32),
		cmocka_unit_test(backlog_limit), cmocka_unit_test(bucket),     cmocka_unit_test(bucket_is_for_packets),
		cmocka_unit_test(liveness),      cmocka_unit_test(head_start), cmocka_unit_test(head_start_fails),
		cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
