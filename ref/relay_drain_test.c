/* COMMAND_DRAIN: everybody is told, closed in turn, and the relay stops; ours. */
#include "pair_relay.h"

static void drain(struct pair *p, int r, uint64_t span) { pair_command(p, r, &(struct event_command){ .verb = COMMAND_DRAIN, .patience_ns = span }); }
static void restarting(struct pair *p, int s) { frame_is(p, s, FRAME_RESTARTING, "\x00\x00\x00\x00\x00\x00\x13\x88", 8); }
static bool stopped(struct pair *p, int r) { return pair_heard(p, r, DELIVER_STOPPED, 0) != NULL; }

/* Closed with FIN; the client answers with its own. */
static void let_go(struct pair *p, int s)
{
	closed(p, s);
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	wire_fin(p, s);
}

/* SRV-034: all are told at once; the closes are spread evenly; packets go their way until then; mesh peers are the last, and not told. */
STORY(spread, MESHED)
{
	int s[4], mesh = login_mesh(p, r, MESH);

	for (int i = 0; i < 4; i++) s[i] = login(p, r, (uint8_t)(A + 32 * i));
	drain(p, r, 4 * NS_S);
	for (int i = 0; i < 4; i++) restarting(p, s[i]);
	for (int i = 0; i < 4; i++) {
		pair_advance(p, NS_S - 1);
		for (int k = i; k < 4; k++) silent(p, s[k]);
		send_to(p, s[i], D, "still here", 10);
		packet_is(p, s[3], (uint8_t)(A + 32 * i), "still here", 10);
		pair_advance(p, 1);
		let_go(p, s[i]);
		if (i < 3) gone_is(p, s[3], (uint8_t)(A + 32 * i), GONE_DISCONNECTED);
		assert_int_equal(stopped(p, r), i == 3);
		if (i < 3) silent(p, mesh);
	}
	closed(p, mesh);
	assert_int_equal(counters(p, r)->current_connections, 0);
}

/* Whoever dials is refused; who is on the way in is sent off; a connection that the host had accepted already is closed. */
STORY(nobody_comes_in, RAW)
{
	int in = login(p, r, A), half = wire_connect(p, r), listeners = 0, late;

	drain(p, r, 10 * NS_S);
	restarting(p, in);
	assert_int_equal(wire_end(p, half)->ended, PAIR_RESET);
	for (int i = 0; i < p->listeners; i++) {
		if (p->listener[i].host != r) continue;
		assert_int_equal(p->listener[i].where, PAIR_REFUSE);
		listeners++;
	}
	assert_int_equal(listeners, 3);
	late = wire_connect(p, r);
	assert_int_equal(wire_end(p, late)->ended, PAIR_RESET);
	silent(p, in);
}

/* It takes no longer than it must: without clients it stops at once, and when the last one has left by itself. */
STORY(not_longer_than_needed, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	drain(p, r, 3600 * NS_S);
	restarting(p, a);
	restarting(p, b);
	wire_fin(p, a);
	assert_false(stopped(p, r));
	wire_fin(p, b);
	pair_advance(p, 1);
	assert_true(stopped(p, r));
}

STORY(empty, RAW)
{
	drain(p, r, 3600 * NS_S);
	assert_true(stopped(p, r));
}

/* The only client is let go when this time is over, not before. */
static void takes(struct pair *p, int r, uint64_t patience, uint64_t span)
{
	const uint64_t step = 59 * NS_S; /* keep-alives come meanwhile */
	int s = login(p, r, A);

	drain(p, r, patience);
	for (uint64_t t = step; t < span; t += step) pair_advance(p, step);
	pair_advance(p, (span - 1) % step);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* A time beyond the longest is the longest. */
STORY(an_hour, RAW) { takes(p, r, 3600 * NS_S - 1, 3600 * NS_S - 1); }
STORY(an_hour_at_most, RAW) { takes(p, r, 3600 * NS_S + 1, 3600 * NS_S); }
STORY(an_hour_for_ever, RAW) { takes(p, r, UINT64_MAX, 3600 * NS_S); }

/* A time of nothing closes all at once; a client that does not end its side has the time that every closing connection has. */
STORY(at_once, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	drain(p, r, 0);
	restarting(p, a);
	restarting(p, b);
	let_go(p, a);
	closed(p, b);
	pair_advance(p, 5 * NS_S - 1);
	assert_false(stopped(p, r));
	pair_advance(p, 1);
	assert_true(stopped(p, r));
}

/* Draining again changes nothing; SRV-036: leaving does not wait any more. */
STORY(leaving_ends_it, RAW)
{
	int a = login(p, r, A);

	drain(p, r, 10 * NS_S);
	restarting(p, a);
	drain(p, r, NS_S);
	pair_advance(p, 9 * NS_S);
	silent(p, a);
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_LEAVE });
	closed(p, a);
	assert_true(stopped(p, r));
}

/* Behind an upgrade too; idle HTTP connections are closed. */
STORY(over_http, "")
{
	int s = login(p, r, A), idle = wire_connect(p, r);

	drain(p, r, NS_S);
	restarting(p, s);
	assert_int_equal(wire_end(p, idle)->ended, PAIR_RESET);
	pair_advance(p, NS_S);
	let_go(p, s);
	assert_true(stopped(p, r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spread),
		cmocka_unit_test(nobody_comes_in),
		cmocka_unit_test(not_longer_than_needed),
		cmocka_unit_test(empty),
		cmocka_unit_test(an_hour),
		cmocka_unit_test(an_hour_at_most),
		cmocka_unit_test(an_hour_for_ever),
		cmocka_unit_test(at_once),
		cmocka_unit_test(leaving_ends_it),
		cmocka_unit_test(over_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
