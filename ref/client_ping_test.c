/* Calls that end in an answer or in a refusal: Pings of the client's own, and ClosePeer. */
#include "pair_client.h"

static void ping(struct pair *p, int c, uint64_t patience_ns)
{
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_PING, .patience_ns = patience_ns });
}

static void pinged(struct pair *p, int c, size_t i, bool answered, uint64_t took_ns)
{
	const struct pair_heard *h = pair_heard(p, c, DELIVER_PINGED, i);

	assert_non_null(h);
	assert_int_equal(h->a, answered);
	assert_int_equal(h->b, took_ns);
}

/* What the Ping that came holds. */
static void take_ping(struct pair *p, int s, uint8_t data[FRAME_PING_SIZE])
{
	struct wire_frame f = { 0 };

	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_PING);
	assert_int_equal(f.n, FRAME_PING_SIZE);
	memcpy(data, f.p, FRAME_PING_SIZE);
}

/* CLI-011: 8 random bytes, other ones each time; the Pong with them is the answer and goes no further, any other one is the owner's. */
STORY(answered)
{
	uint8_t first[FRAME_PING_SIZE], second[FRAME_PING_SIZE];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	ping(p, c, 0);
	ping(p, c, 0);
	take_ping(p, s, first);
	take_ping(p, s, second);
	assert_memory_not_equal(first, second, FRAME_PING_SIZE);
	pair_advance(p, 30 * NS_MS);
	wire_send_frame(p, s, FRAME_PONG, "unasked!", FRAME_PING_SIZE);
	wire_send_frame(p, s, FRAME_PONG, second, FRAME_PING_SIZE);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PONG), 1);
	pinged(p, c, 0, true, 30 * NS_MS);
	pair_advance(p, NS_MS);
	wire_send_frame(p, s, FRAME_PONG, first, FRAME_PING_SIZE);
	pinged(p, c, 1, true, 31 * NS_MS);
	wire_send_frame(p, s, FRAME_PONG, first, FRAME_PING_SIZE); /* it has been answered: this one is unasked */
	assert_int_equal(pair_heard_count(p, c, DELIVER_PONG), 2);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PINGED), 2);
}

/* CLI-011: 5 s of patience at most, less if the owner says so; a Pong in the last nanosecond is in time. A lost Ping ends nothing. */
STORY(patience)
{
	static const struct {
		uint64_t asked, waits;
	} cases[] = { { 0, 5 * NS_S },
		      { 3 * NS_S, 3 * NS_S },
		      { 5 * NS_S - 1, 5 * NS_S - 1 },
		      { 5 * NS_S, 5 * NS_S },
		      { 5 * NS_S + 1, 5 * NS_S },
		      { 3600 * NS_S, 5 * NS_S },
		      { 1, 1 } };
	uint8_t data[FRAME_PING_SIZE];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ping(p, c, cases[i].asked);
		take_ping(p, s, data);
		pair_advance(p, cases[i].waits - 1);
		assert_int_equal(pair_heard_count(p, c, DELIVER_PINGED), i);
		pair_advance(p, 1);
		pinged(p, c, i, false, cases[i].waits);
		wire_send_frame(p, s, FRAME_PONG, data, FRAME_PING_SIZE); /* too late: the owner's */
		assert_int_equal(pair_heard_count(p, c, DELIVER_PONG), i + 1);
	}
	ping(p, c, 0);
	take_ping(p, s, data);
	pair_advance(p, 5 * NS_S - 1);
	wire_send_frame(p, s, FRAME_PONG, data, FRAME_PING_SIZE);
	pinged(p, c, sizeof cases / sizeof *cases, true, 5 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
}

/* CLI-011, CLI-013: without a connection it fails at once and does not connect; when the connection ends it fails with it. No more than
 * four are under way. */
STORY(failed)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nconnect=off\n");
	ping(p, c, 0);
	pinged(p, c, 0, false, 0);
	state_is(p, c, CLIENT_IDLE);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	ping(p, c, 0); /* the login is not over */
	pinged(p, c, 1, false, 0);
	s = wire_sent(p, c, A); /* from here on it may send (HSK-023) */
	for (int i = 0; i < 4 + 1; i++) ping(p, c, 0);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PINGED), 3);
	pinged(p, c, 2, false, 0);
	for (int i = 0; i < 1000; i++) ping(p, c, 0); /* none of them is kept for later */
	pair_advance(p, NS_S);
	wire_reset(p, s);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PINGED), 1003 + 4);
	for (size_t i = 1003; i < 1003 + 4; i++) pinged(p, c, i, false, NS_S);
	pair_advance(p, 100 * NS_S);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PINGED), 1003 + 4);
}

/* CLI-010: who announced at login that it answers Pings does so, with their first 8 bytes; who did not does not. The owner hears of both. */
STORY(answers)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	wire_send_frame(p, s, FRAME_PING, "12345678+", 9);
	frame_is(p, s, FRAME_PONG, "12345678", 8);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PING), 1);
	c = pair_client(p, B, WIRE "raw=on\ncan-ack-pings=off\n");
	s = wire_ready(p, c, B);
	wire_send_frame(p, s, FRAME_PING, "12345678", 8);
	quiet(p, s);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PING), 1);
}

/* ---- ClosePeer ---- */

static void close_peer(struct pair *p, int c, uint8_t key)
{
	struct key peer = pair_public(key);

	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = peer.b });
}

/* CLI-013, CLI-027: without a connection ClosePeer makes one and goes out behind the login, before what else waits. */
STORY(close_peer_connects)
{
	struct key b = pair_public(B), c60 = pair_public(C);
	uint8_t packet[KEY_SIZE + 1];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nconnect=off\n");
	close_peer(p, c, B);
	state_is(p, c, CLIENT_LOGIN);
	pair_send(p, c, &b, "x", 1);
	close_peer(p, c, C);
	s = wire_sent(p, c, A);
	frame_is(p, s, FRAME_CLOSE_PEER, b.b, KEY_SIZE);
	frame_is(p, s, FRAME_CLOSE_PEER, c60.b, KEY_SIZE);
	memcpy(packet, b.b, KEY_SIZE);
	packet[KEY_SIZE] = 'x';
	frame_is(p, s, FRAME_SEND_PACKET, packet, sizeof packet);
	close_peer(p, c, B);
	frame_is(p, s, FRAME_CLOSE_PEER, b.b, KEY_SIZE);
	quiet(p, s);
}

/* CLI-023: an attempt that fails is told to each of them; nothing is kept for the next one. 32 of them may wait. */
STORY(close_peer_refused)
{
	int c, s;

	c = pair_client(p, A, WIRE "raw=on\nconnect=off\n");
	close_peer(p, c, B);
	assert_int_equal(pair_heard_count(p, c, DELIVER_REFUSED), 1);
	assert_int_equal(pair_heard(p, c, DELIVER_REFUSED, 0)->a, REFUSED_NOT_CONNECTED);
	assert_int_equal(pair_heard(p, c, DELIVER_REFUSED, 0)->b, COMMAND_CLOSE_PEER);
	ended(p, c, 0, CLIENT_END_REFUSED);
	wire_listens(p);
	for (int i = 0; i < 32; i++) close_peer(p, c, B);
	assert_int_equal(pair_heard_count(p, c, DELIVER_REFUSED), 1);
	close_peer(p, c, B);
	assert_int_equal(pair_heard_count(p, c, DELIVER_REFUSED), 2);
	assert_int_equal(pair_heard(p, c, DELIVER_REFUSED, 1)->a, REFUSED_LIMIT);
	for (int i = 0; i < 1000; i++) close_peer(p, c, B);
	assert_int_equal(pair_heard_count(p, c, DELIVER_REFUSED), 1002);
	s = wire_sent(p, c, A);
	for (int i = 0; i < 32; i++) frame_is(p, s, FRAME_CLOSE_PEER, pair_public(B).b, KEY_SIZE);
	quiet(p, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered),
		cmocka_unit_test(patience),
		cmocka_unit_test(failed),
		cmocka_unit_test(answers),
		cmocka_unit_test(close_peer_connects),
		cmocka_unit_test(close_peer_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
