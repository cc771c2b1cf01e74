/* Who is here: departures and who hears of them, several connections with one key, watchers. */
#include "pair_relay.h"

/* PGR-004, PGR-005, PGR-011: told are those who received from the key, not those who sent to it, not others. */
STORY(gone_to_receivers, RAW)
{
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C), d = login(p, r, D);

	send_to(p, a, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	send_to(p, c, A, "y", 1);
	packet_is(p, a, C, "y", 1);
	wire_fin(p, a);
	gone_is(p, b, A, GONE_DISCONNECTED);
	silent(p, c);
	silent(p, d);
	assert_int_equal(counters(p, r)->peer_gone_disconnected_frames, 1);
}

static void gone_twice(struct pair *p, int r, bool told)
{
	int b = login(p, r, B);

	for (int i = 0; i < 2; i++) {
		int a = login(p, r, A);
		send_to(p, a, B, "x", 1);
		packet_is(p, b, A, "x", 1);
		if (i == 0)
			wire_reset(p, a);
		else
			wire_fin(p, a);
		if (i == 0 || told) gone_is(p, b, A, GONE_DISCONNECTED);
		silent(p, b);
	}
}

/* PGR-009: forty departures while the receiver takes nothing: it hears of each once it reads again. */
STORY(gone_while_blocked, RAW)
{
	static uint8_t big[60000];
	int b = login(p, r, B), c = login(p, r, C);
	struct wire_frame f = { 0 };
	int gone = 0;

	for (int i = 0; i < 40; i++) {
		int a = login(p, r, (uint8_t)(D + i));
		send_to(p, a, B, "x", 1);
	}
	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, c, B, big, sizeof big);
	for (int s = 0; s < p->streams; s++)
		if (s != b && s != c) wire_fin(p, s);
	wire_room(p, b, SIZE_MAX);
	while (wire_frame(p, b, &f)) gone += f.type == FRAME_PEER_GONE;
	assert_int_equal(gone, 40);
}

/* TRP-011: ours tells every departure after new traffic. */
STORY(gone_again, RAW) { gone_twice(p, r, true); }
/* PGR-007: the original tells only the first. */
STORY(gone_one_shot, RAW "profile=derper\n") { gone_twice(p, r, false); }

/* PGR-008: a recipient that reconnects starts empty. */
STORY(gone_forgotten, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	send_to(p, a, B, "x", 1);
	wire_fin(p, b);
	b = login(p, r, B);
	wire_fin(p, a);
	silent(p, b);
}

/* PGR-006, PGR-010: when the sender leaves while its packet waits, ours tells, the original does not; the packet is delivered either way. */
static void gone_while_queued(struct pair *p, int r, bool told)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C);
	struct wire_frame f = { 0 };
	bool gone = false, came = false;

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, c, B, big, sizeof big);
	send_to(p, a, B, "late", 4);
	wire_fin(p, a);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f));
	while (wire_frame(p, b, &f)) {
		gone |= f.type == FRAME_PEER_GONE;
		came |= f.type == FRAME_RECV_PACKET && f.n == FRAME_KEY + 4;
	}
	assert_true(came);
	assert_int_equal(gone, told);
	if (told) return;
	a = login(p, r, A);
	wire_fin(p, a); /* the entry made when it was written fires at the next departure */
	gone_is(p, b, A, GONE_DISCONNECTED);
}
STORY(gone_queued, RAW) { gone_while_queued(p, r, true); }
STORY(gone_queued_derper, RAW "profile=derper\n") { gone_while_queued(p, r, false); }

/* DUP-001, DUP-002, DUP-004, DUP-005, DUP-010, DUP-012, DUP-015, HSK-029:
 * the newest connection of a key receives, then whoever sent last; gone is told with the last. */
STORY(duplicate_keys, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2;

	send_to(p, a1, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	a2 = login(p, r, A);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 1);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 2);
	assert_int_equal(counters(p, r)->total_dup_client_conns, 1);
	assert_int_equal(counters(p, r)->clients_local, 2);
	assert_int_equal(counters(p, r)->current_connections, 3);
	send_to(p, b, A, "newest", 6);
	packet_is(p, a2, B, "newest", 6);
	ping(p, a1);
	send_to(p, b, A, "a1 sent last", 12);
	packet_is(p, a1, B, "a1 sent last", 12);
	wire_send_frame(p, a2, 0x7a, "any frame", 9);
	send_to(p, b, A, "a2 again", 8);
	packet_is(p, a2, B, "a2 again", 8);
	wire_fin(p, a2);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 0);
	send_to(p, b, A, "one left", 8);
	packet_is(p, a1, B, "one left", 8);
	silent(p, b);
	wire_fin(p, a1);
	gone_is(p, b, A, GONE_DISCONNECTED);
	for (int kind = 0; kind < PACKET_KINDS; kind++) assert_int_equal(counters(p, r)->packets_dropped[DROP_DUP_CLIENT][kind], 0);
}

/* DUP-003: a connection that is not the active one of its key still hears of those it once received from, and gets its KeepAlives. */
STORY(duplicate_inactive, RAW)
{
	int b1 = login(p, r, B), a = login(p, r, A), b2;
	struct wire_frame f = { 0 };

	send_to(p, a, B, "x", 1);
	packet_is(p, b1, A, "x", 1);
	b2 = login(p, r, B);
	wire_fin(p, a);
	gone_is(p, b1, A, GONE_DISCONNECTED);
	silent(p, b2);
	pair_advance(p, 66 * NS_S);
	assert_true(wire_frame(p, b1, &f));
	assert_int_equal(f.type, FRAME_KEEP_ALIVE);
	assert_true(wire_frame(p, b2, &f));
	a = login(p, r, A);
	send_to(p, b1, A, "obeyed", 6);
	packet_is(p, a, B, "obeyed", 6);
}

/* DUP-013, DUP-014: home and connections are counted each, and so do privilege and subscription belong to one connection of a key. */
STORY(duplicate_apart, MESHED)
{
	int a1 = login(p, r, A), a2 = login(p, r, A), m = login_mesh(p, r, A);
	struct relay_session_view view;

	for (int i = 0; i < 2; i++) wire_send_frame(p, i == 0 ? a1 : a2, FRAME_NOTE_PREFERRED, "\x01", 1);
	assert_int_equal(counters(p, r)->current_connections, 3);
	assert_int_equal(counters(p, r)->current_home_connections, 2);
	assert_int_equal(counters(p, r)->clients_local, 1);
	assert_true(relay_session(p->host[r].relay, p->stream[m].end[1].token, &view));
	assert_false(view.home);
	wire_send_frame(p, m, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, m, A, PRESENT_MESH);
	silent(p, a1);
	wire_send_frame(p, a1, FRAME_WATCH_CONNS, NULL, 0);
	closed(p, a1);
	silent(p, m);
	ping(p, a2);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	assert_int_equal(counters(p, r)->watchers, 1);
}

/* SRV-038, DUP-001: forty connections of one key; the newest receives, and no older one is closed for it. */
STORY(duplicate_many, RAW)
{
	int b = login(p, r, B), s[40];

	for (int i = 0; i < 40; i++) {
		s[i] = login(p, r, A);
		send_to(p, b, A, "x", 1);
		packet_is(p, s[i], B, "x", 1);
	}
	for (int i = 0; i < 40; i++) silent(p, s[i]);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 40);
	assert_int_equal(counters(p, r)->total_dup_client_conns, 39);
}

/* DUP-009, TRP-019: two that send in turn, however long, cost no memory. */
STORY(duplicate_in_turn, RAW)
{
	int a1 = login(p, r, A), a2 = login(p, r, A);
	uint64_t before;

	ping(p, a1);
	before = relay_memory(p->host[r].relay);
	for (int i = 0; i < 1000; i++) ping(p, i % 2 ? a1 : a2);
	assert_int_equal(relay_memory(p->host[r].relay), before);
	assert_int_equal(counters(p, r)->sent_pong, 1001);
}

/* DUP-007, DUP-008: of three that never sent, when the newest leaves the first becomes active, for the second is not in the history. */
STORY(duplicate_history, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2 = login(p, r, A), a3 = login(p, r, A);

	assert_int_equal(counters(p, r)->current_dup_client_conns, 3);
	wire_fin(p, a3);
	send_to(p, b, A, "x", 1);
	packet_is(p, a1, B, "x", 1);
	a3 = login(p, r, A);
	ping(p, a2);
	ping(p, a3);
	wire_fin(p, a3);
	send_to(p, b, A, "y", 1);
	packet_is(p, a2, B, "y", 1);
	silent(p, a1);
}

/* DUP-005: the header of a frame that then closes has made its connection active before. */
STORY(duplicate_closing_frame, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2 = login(p, r, A), a3 = login(p, r, A);

	ping(p, a2);
	wire_send_frame(p, a1, FRAME_PING, "short", 5);
	closed(p, a1);
	send_to(p, b, A, "x", 1);
	packet_is(p, a2, B, "x", 1);
	silent(p, a3);
}

/* DUP-006: what waits for a connection stays with it when another of its key becomes active. */
STORY(queue_stays, RAW)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b1 = login(p, r, B), b2;
	struct wire_frame f = { 0 };

	wire_room(p, b1, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	send_to(p, a, B, "waits", 5);
	b2 = login(p, r, B);
	send_to(p, a, B, "new", 3);
	packet_is(p, b2, A, "new", 3);
	wire_room(p, b1, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b1, &f));
	packet_is(p, b1, A, "waits", 5);
	silent(p, b2);
}

/* PGR-018, PGR-019, PGR-021..PGR-023, HSK-013, MSH-007, MSH-009: the list with flags and addresses, then every arrival, and gone with the last of a key. */
STORY(watch_list, MESHED)
{
	struct client_info prober = { .version = 2, .is_prober = true };
	int a = login(p, r, A), b = wire_login(p, r, B, &prober), w = login_mesh(p, r, D), a2;

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, A, PRESENT_REGULAR);
	present_is(p, w, B, PRESENT_PROBER);
	present_is(p, w, D, PRESENT_MESH);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 1);
	a2 = login(p, r, A);
	present_is(p, w, A, PRESENT_REGULAR); /* PGR-022: also when the key was there */
	wire_fin(p, a);
	silent(p, w);
	wire_fin(p, a2);
	gone_is(p, w, A, GONE_DISCONNECTED);
	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, B, PRESENT_PROBER);
	present_is(p, w, D, PRESENT_MESH);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 1);
	wire_fin(p, w);
	assert_int_equal(counters(p, r)->watchers, 0);
	wire_fin(p, b);
	assert_int_equal(counters(p, r)->peer_present_frames, 6);
}

/* PGR-020: of a client without IP address and port both are told as zero. */
STORY(watch_nameless, MESHED)
{
	int w = login_mesh(p, r, D);
	struct wire_frame f = { 0 };
	uint8_t zero[18] = { 0 };

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, D, PRESENT_MESH);
	p->nameless = true;
	login(p, r, A);
	assert_true(wire_frame(p, w, &f));
	assert_int_equal(f.n, FRAME_PRESENT_SIZE);
	assert_memory_equal(f.p + KEY_SIZE, zero, sizeof zero);
}

/* PGR-025: a watcher that also received from a key hears of its going twice. */
STORY(watch_and_receive, MESHED)
{
	int w = login_mesh(p, r, D), a = login(p, r, A);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, D, PRESENT_MESH);
	present_is(p, w, A, PRESENT_REGULAR);
	send_to(p, a, D, "x", 1);
	packet_is(p, w, A, "x", 1);
	wire_fin(p, a);
	gone_is(p, w, A, GONE_DISCONNECTED);
	gone_is(p, w, A, GONE_DISCONNECTED);
	silent(p, w);
}

/* MSH-010: while a watcher is blocked nothing is lost; afterwards it knows who is here. */
STORY(watch_blocked, MESHED)
{
	static uint8_t big[60000];
	int w = login_mesh(p, r, D), a = login(p, r, A), b, c;
	struct wire_frame f = { 0 };

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	while (wire_frame(p, w, &f)) continue;
	wire_room(p, w, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, D, big, sizeof big);
	b = login(p, r, B);
	c = login(p, r, C);
	wire_fin(p, c);
	wire_fin(p, a);
	wire_room(p, w, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, w, &f) && f.type == FRAME_RECV_PACKET);
	gone_is(p, w, A, GONE_DISCONNECTED);
	present_is(p, w, B, PRESENT_REGULAR);
	gone_is(p, w, C, GONE_DISCONNECTED);
	gone_is(p, w, A, GONE_DISCONNECTED); /* as a receiver of its packets */
	silent(p, w);
	ping(p, b);
}

/* MSH-008: a watcher under the relay's own key gets nothing and stays. */
STORY(watch_own_key, MESHED)
{
	int w = login_mesh(p, r, SERVER);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	ping(p, w);
	login(p, r, A);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gone_to_receivers),  cmocka_unit_test(gone_while_blocked),      cmocka_unit_test(gone_again),
		cmocka_unit_test(gone_one_shot),      cmocka_unit_test(gone_forgotten),          cmocka_unit_test(gone_queued),
		cmocka_unit_test(gone_queued_derper), cmocka_unit_test(duplicate_keys),          cmocka_unit_test(duplicate_inactive),
		cmocka_unit_test(duplicate_apart),    cmocka_unit_test(duplicate_many),          cmocka_unit_test(duplicate_in_turn),
		cmocka_unit_test(duplicate_history),  cmocka_unit_test(duplicate_closing_frame), cmocka_unit_test(queue_stays),
		cmocka_unit_test(watch_list),         cmocka_unit_test(watch_nameless),          cmocka_unit_test(watch_and_receive),
		cmocka_unit_test(watch_blocked),      cmocka_unit_test(watch_own_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
