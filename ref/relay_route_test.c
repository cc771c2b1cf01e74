/* The steady state of a relay: where packets go, what other frames do, queues, deadlines, KeepAlive. */
#include "pair_relay.h"

/* SRV-002..SRV-004, SRV-006, SRV-018, FRM-004, FRM-005: packets of 0, 1 and 65,536 bytes, to others and to oneself, under the sender's key. */
STORY(packet_routed, RAW)
{
	static uint8_t big[FRAME_PACKET_MAX];
	int a = login(p, r, A), b = login(p, r, B);

	for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 7);
	send_to(p, a, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	send_to(p, b, A, NULL, 0);
	packet_is(p, a, B, "", 0);
	send_to(p, a, A, "self", 4);
	packet_is(p, a, A, "self", 4);
	send_to(p, a, B, big, sizeof big);
	packet_is(p, b, A, big, sizeof big);
	silent(p, a);
	silent(p, b);
	assert_int_equal(counters(p, r)->packets_received, 4);
	assert_int_equal(counters(p, r)->packets_sent, 4);
	assert_int_equal(counters(p, r)->bytes_received, 5 + FRAME_PACKET_MAX);
	assert_int_equal(counters(p, r)->bytes_sent, 5 + FRAME_PACKET_MAX);
	assert_int_equal(counters(p, r)->packets_received_kind[PACKET_OTHER], 4);
	assert_int_equal(route_to(p, r, A), ROUTE_LOCAL);
	assert_int_equal(route_to(p, r, D), ROUTE_NONE);
}

/* SRV-007, PGR-013, PGR-014, TRP-008: to an absent key silence for ordinary packets; NotHere for disco, 3 at once, then 1 a second. */
STORY(not_here_limited, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	send_to(p, a, D, "ordinary", 8);
	silent(p, a);
	for (int i = 0; i < 6; i++) send_disco(p, a, i % 2 ? C : D); /* over all destinations together */
	for (int i = 0; i < 3; i++) gone_is(p, a, i % 2 ? C : D, GONE_NOT_HERE);
	silent(p, a);
	send_disco(p, b, D); /* a bucket for each sender */
	gone_is(p, b, D, GONE_NOT_HERE);
	pair_advance(p, NS_S - 1);
	send_disco(p, a, D);
	silent(p, a);
	pair_advance(p, 1);
	send_disco(p, a, D);
	gone_is(p, a, D, GONE_NOT_HERE);
	send_disco(p, a, D);
	silent(p, a);
	pair_advance(p, 10 * NS_S); /* full again, and not fuller */
	for (int i = 0; i < 5; i++) send_disco(p, a, D);
	for (int i = 0; i < 3; i++) gone_is(p, a, D, GONE_NOT_HERE);
	silent(p, a);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST][PACKET_DISCO], 15);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST][PACKET_OTHER], 1);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_UNKNOWN_DEST][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->packets_received, 16); /* SRV-009: whatever became of them */
	assert_int_equal(counters(p, r)->packets_received_kind[PACKET_DISCO], 15);
	assert_int_equal(counters(p, r)->peer_gone_not_here_frames, 8);
	assert_int_equal(counters(p, r)->peer_gone_suppressed, 7);
}

/* SRV-001: what comes in one write is served frame by frame, in order, to every receiver; the Pong proves what went before (TRP-006). */
STORY(frames_in_order, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);
	struct key to = pair_public(B);
	uint8_t all[400], data[8] = { 1 };
	size_t n = 0;

	for (uint8_t i = 0; i < 5; i++) {
		n += frame_send_head(all + n, to.b, 1);
		all[n++] = i;
		if (i == 2) n += frame_note_preferred(all + n, true);
	}
	n += frame_ping(all + n, data);
	wire_send(p, a, all, n);
	frame_is(p, a, FRAME_PONG, data, sizeof data);
	for (uint8_t i = 0; i < 5; i++) packet_is(p, b, A, &i, 1);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
}

/* SRV-027: what is counted of Pings and Pongs. */
STORY(pings_counted, RAW)
{
	int s = login(p, r, A);

	for (int i = 0; i < 3; i++) ping(p, s);
	wire_send_frame(p, s, FRAME_PING, "7 bytes", 7);
	closed(p, s);
	assert_int_equal(counters(p, r)->got_ping, 4);
	assert_int_equal(counters(p, r)->sent_pong, 3);
}

/* SRV-026: while a Pong waits for a blocked connection, further Pings are not answered. */
STORY(ping_while_blocked, RAW)
{
	static uint8_t big[60000];
	uint8_t data[8] = { 1 };
	int a = login(p, r, A), b = login(p, r, B);
	struct wire_frame f = { 0 };

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 1; i <= 5; i++) {
		data[0] = i;
		wire_send_frame(p, b, FRAME_PING, data, 8);
	}
	assert_int_equal(counters(p, r)->sent_pong, 0);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f) && f.type == FRAME_RECV_PACKET);
	data[0] = 1;
	frame_is(p, b, FRAME_PONG, data, 8);
	silent(p, b);
	assert_int_equal(counters(p, r)->got_ping, 5);
	assert_int_equal(counters(p, r)->sent_pong, 1);
	ping(p, b);
}

/* SRV-029, SRV-030: the gauge follows changes, repeats count nothing; moves count after 5 s. */
STORY(note_preferred, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x01", 1);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x07", 1);
	silent(p, a);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	assert_int_equal(counters(p, r)->home_moves_in, 0);
	pair_advance(p, 5 * NS_S + 1);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x00", 1);
	wire_send_frame(p, b, FRAME_NOTE_PREFERRED, "\x01", 1);
	assert_int_equal(counters(p, r)->home_moves_out, 1);
	assert_int_equal(counters(p, r)->home_moves_in, 1);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	wire_fin(p, b);
	assert_int_equal(counters(p, r)->current_home_connections, 0);
}

/* ---- queues and deadlines ---- */

/* SRV-010, SRV-012..SRV-015: towards a stalled receiver the newest 32 of each kind survive, each further one costs the oldest. */
STORY(queue_limit, RAW)
{
	static uint8_t big[60000];
	uint8_t disco[64] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C);
	struct wire_frame f = { 0 };
	struct relay_session_view view;
	int others = 8, discos = 8;

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 0; i < 40; i++) {
		disco[62] = i;
		send_to(p, a, B, disco, 63);
		send_to(p, a, B, &i, 1);
	}
	assert_true(relay_session(p->host[r].relay, p->stream[b].end[1].token, &view));
	assert_int_equal(view.queued_disco, 32);
	assert_int_equal(view.queued_other, 32);
	assert_true(view.left > 0);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 64);
	assert_int_equal(counters(p, r)->packets_sent, 3); /* SRV-021: also what the transport has not taken yet */
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_DISCO], 8);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_QUEUE_HEAD][PACKET_DISCO], 8 * 63);
	send_to(p, a, C, "SRV-017", 7); /* a stalled receiver delays nobody else */
	packet_is(p, c, A, "SRV-017", 7);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f));
	while (wire_frame(p, b, &f)) {
		assert_int_equal(f.type, FRAME_RECV_PACKET);
		assert_int_equal(f.p[f.n - 1], f.n == FRAME_KEY + 1 ? others++ : discos++); /* SRV-014: in order, kind by kind */
	}
	assert_int_equal(others, 40);
	assert_int_equal(discos, 40);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 0);
	ping(p, b);
}

/* The backlog: with 131,071 bytes on their way to a transport that takes none the next packet still goes out, with 131,072 and more it waits. */
STORY(backlog_limit, RAW)
{
	static uint8_t packet[65536];
	static const uint32_t more[] = { 65535 - 37, 65536 - 37, 65536 };

	for (uint64_t i = 0; i < 3; i++) {
		int a = login(p, r, A), b = login(p, r, B);
		uint64_t sent = counters(p, r)->packets_sent;
		wire_room(p, b, 0);
		send_to(p, a, B, packet, 65536 - 37);
		send_to(p, a, B, packet, more[i]);
		assert_int_equal(counters(p, r)->packets_sent, sent + 2);
		send_to(p, a, B, "x", 1);
		assert_int_equal(counters(p, r)->packets_sent, sent + 2 + (i == 0));
		assert_int_equal(relay_packets_queued(p->host[r].relay), i != 0);
		wire_reset(p, a);
		wire_reset(p, b);
	}
}

/* SRV-011: the depth is the configuration's. */
STORY(queue_depth, RAW "queue-depth=3\n")
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B);

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 0; i < 10; i++) send_to(p, a, B, &i, 1);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 3);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 7);
}

/* SRV-016, SRV-035, TRP-013, TRP-014: a receiver that leaves while its transport is stuck is gone at once, all that waited for it is
 * counted, and counted before it is told as gone. */
STORY(left_while_blocked, RAW)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B);
	const struct relay_counters *count = counters(p, r);
	size_t drops = 0;

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 0; i < 40; i++) send_to(p, a, B, &i, 1);
	wire_fin(p, b);
	assert_int_equal(count->current_connections, 1);
	assert_int_equal(route_to(p, r, B), ROUTE_NONE);
	assert_int_equal(count->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_OTHER], 32);
	assert_int_equal(count->packets_received, count->packets_sent + count->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_OTHER] +
	                                                  count->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER]);
	for (size_t i = 0; i < p->host[r].note_n; i++) {
		const struct pair_note *note = &p->host[r].note[i];
		if (note->kind == NOTE_DROP && note->a == DROP_GONE_DISCONNECTED) drops++;
		if (note->kind == NOTE_LEAVE) assert_int_equal(drops, 32);
	}
	silent(p, a);
}

/* FRM-016: an end between frames, inside a header or inside a payload is the same to everybody else; only the last leaves bytes behind. */
STORY(end_anywhere, RAW)
{
	static const uint8_t frame[FRAME_HEADER + 40] = { FRAME_SEND_PACKET, 0, 0, 0, 40 };
	static const size_t cuts[] = { 0, 1, FRAME_HEADER - 1, FRAME_HEADER + 33, sizeof frame };
	int b = login(p, r, B);

	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		int a = login(p, r, A);
		send_to(p, a, B, "x", 1);
		packet_is(p, b, A, "x", 1);
		wire_send(p, a, frame, cuts[i]);
		wire_fin(p, a);
		gone_is(p, b, A, GONE_DISCONNECTED);
		silent(p, b);
		assert_int_equal(pair_note_count(p, r, NOTE_CUT), i >= 3);
		assert_int_equal(pair_note_count(p, r, NOTE_LEAVE), i + 1);
	}
}

/* SRV-019, SRV-020: 2 s without progress end a blocked connection; what waited is gone_disconnected (SRV-016). Progress renews the deadline. */
STORY(write_deadline, RAW)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B);

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	send_to(p, a, B, "waits", 5);
	send_disco(p, a, B);
	for (int i = 0; i < 4; i++) {
		pair_advance(p, 2 * NS_S - 1);
		assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
		wire_room(p, b, 100);
	}
	pair_advance(p, 2 * NS_S - 1);
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	assert_int_equal(wire_end(p, b)->ended, PAIR_RESET);
	assert_int_equal(counters(p, r)->write_timeouts, 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_OTHER], 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_DISCO], 1);
	assert_int_equal(counters(p, r)->current_connections, 1);
	silent(p, a);
	send_disco(p, a, B);
	gone_is(p, a, B, GONE_NOT_HERE);
}

/* SRV-019: progress counts also when as much is sent behind as was taken, so that what is refused does not shrink. */
STORY(write_progress_under_load, RAW)
{
	static uint8_t packet[10000 - FRAME_HEADER - FRAME_KEY];
	int a = login(p, r, A), b = login(p, r, B);

	wire_room(p, b, 0);
	for (int i = 0; i < 8; i++) send_to(p, a, B, packet, sizeof packet);
	for (int i = 0; i < 8; i++) {
		pair_advance(p, NS_S);
		p->stream[b].end[1].room = 10000; /* the next packet pushes the last one through */
		send_to(p, a, B, packet, sizeof packet);
	}
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
	pair_advance(p, 2 * NS_S);
	assert_int_equal(wire_end(p, b)->ended, PAIR_RESET);
}

/* SRV-019, MSH-006: a mesh peer has 30 s; write-timeout=0 means none. */
STORY(write_deadline_mesh, MESHED "write-timeout=0s\n")
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B), m = login_mesh(p, r, C);

	wire_room(p, b, 0);
	wire_room(p, m, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (int i = 0; i < 3; i++) send_to(p, a, C, big, sizeof big);
	pair_advance(p, 30 * NS_S - 1);
	assert_int_equal(wire_end(p, m)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	assert_int_equal(wire_end(p, m)->ended, PAIR_RESET);
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
}

/* SRV-022: without jitter the first KeepAlive comes after 60 s to the nanosecond, and the next after as many. */
STORY(keepalive_exact, RAW "keepalive-jitter=0s\n")
{
	int s = login(p, r, A);

	for (int i = 0; i < 3; i++) {
		pair_advance(p, 60 * NS_S - 1);
		silent(p, s);
		pair_advance(p, 1);
		frame_is(p, s, FRAME_KEEP_ALIVE, NULL, 0);
	}
}

/* SRV-022, SRV-023, TRP-003: a KeepAlive every 60 to 65 s, the period fixed for each connection, other traffic or not. */
STORY(keepalive, RAW)
{
	int s[4];
	uint64_t first[4] = { 0 }, at[4] = { 0 };
	struct wire_frame f = { 0 };
	bool differ = false;

	for (int i = 0; i < 4; i++) s[i] = login(p, r, (uint8_t)(0x20 * (i + 1)));
	for (uint64_t t = 0; t < 2600; t++) {
		pair_advance(p, 100 * NS_MS);
		if (t % 50 == 0) ping(p, s[0]);
		for (int i = 0; i < 4; i++)
			while (wire_frame(p, s[i], &f)) {
				uint64_t period = p->now - at[i];
				assert_int_equal(f.type, FRAME_KEEP_ALIVE);
				assert_int_equal(f.n, 0);
				assert_true(period >= 60 * NS_S && period <= 65 * NS_S + 100 * NS_MS);
				if (first[i] == 0) first[i] = period;
				assert_true(period + 100 * NS_MS >= first[i] && period <= first[i] + 100 * NS_MS);
				at[i] = p->now;
			}
	}
	for (int i = 0; i < 4; i++) {
		assert_int_not_equal(first[i], 0);
		differ |= first[i] != first[0];
	}
	assert_true(differ);
	assert_true(counters(p, r)->keepalive_frames >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packet_routed),
		cmocka_unit_test(not_here_limited),
		cmocka_unit_test(frames_in_order),
		cmocka_unit_test(pings_counted),
		cmocka_unit_test(ping_while_blocked),
		cmocka_unit_test(note_preferred),
		cmocka_unit_test(queue_limit),
		cmocka_unit_test(backlog_limit),
		cmocka_unit_test(queue_depth),
		cmocka_unit_test(left_while_blocked),
		cmocka_unit_test(end_anywhere),
		cmocka_unit_test(write_deadline),
		cmocka_unit_test(write_progress_under_load),
		cmocka_unit_test(write_deadline_mesh),
		cmocka_unit_test(keepalive_exact),
		cmocka_unit_test(keepalive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
