/* Connections from SYN to their end: exact times, in virtual time, of what a TCP on Linux does. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The path of the stories below: 10 ms there, 7 ms back. */
#define THERE (10 * NS_MS)
#define BACK (7 * NS_MS)
#define ROUND (THERE + BACK)

enum { DIALER, LISTENER };

/* A dialer and a listener that are up. */
static struct stage *two_hosts(void)
{
	struct stage *st = stage_new(1, THERE);

	stage_host(st, false);
	stage_host(st, true);
	st->path[LISTENER][DIALER].latency_ns = BACK;
	st->host[LISTENER].config.user_timeout_ns = 15 * NS_S; /* HTTP-023 */
	return st;
}

static void assert_closed(const struct stage *st, uint32_t host, uint32_t k, uint64_t token, enum close_cause cause, uint64_t at)
{
	const struct heard *x = stage_heard(st, host, EVENT_CLOSED, k);

	assert_int_equal(x->token, token);
	assert_int_equal(x->cause, cause);
	assert_int_equal(x->at, at);
}

/* ---- opening ---- */

/* DIALED one round trip after DIAL, ACCEPTED with the ACK half a round trip later; both know the other's address. */
static void connect_is_a_round_trip(void **state)
{
	struct stage *st = two_hosts();
	const struct heard *dialed, *accepted;
	struct address ip = stage_ip(DIALER);
	uint64_t token;

	(void)state;
	stage_open(st);
	sim_run(st->sim, NS_S);
	token = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * NS_S);
	dialed = stage_heard(st, DIALER, EVENT_DIALED, 0);
	accepted = stage_heard(st, LISTENER, EVENT_ACCEPTED, 0);
	assert_int_equal(dialed->at, NS_S + ROUND);
	assert_int_equal(dialed->token, token);
	assert_int_equal(accepted->at, NS_S + ROUND + THERE);
	assert_int_equal(dialed->remote.port, STAGE_PORT);
	assert_int_equal(accepted->local.port, STAGE_PORT);
	assert_memory_equal(dialed->remote.ip, accepted->local.ip, 16);
	assert_memory_equal(accepted->remote.ip, ip.ip, 16);
	assert_int_equal(sim_connections(st->sim), 1);
	stage_free(st);
}

/* A port on which nobody listens, and a host whose process is not up, answer RST after a round trip. */
static void refused_after_a_round_trip(void **state)
{
	struct stage *st = two_hosts();
	struct address other = stage_ip(LISTENER);
	uint64_t token;

	(void)state;
	other.port = 80;
	stage_open(st);
	token = stage_dial_to(st, DIALER, other);
	sim_run(st->sim, NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_REFUSED, ROUND);
	sim_crash(st->sim, LISTENER, SIM_CRASH_RESET);
	token = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * NS_S);
	assert_closed(st, DIALER, 1, token, CLOSE_REFUSED, NS_S + ROUND);
	assert_int_equal(stage_count(st, DIALER, EVENT_DIALED), 0);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* An address that no host has: there is no route, and that is known at once. */
static void unreachable_at_once(void **state)
{
	struct stage *st = two_hosts();
	uint64_t token;

	(void)state;
	stage_open(st);
	sim_run(st->sim, NS_S);
	token = stage_dial_to(st, DIALER, stage_ip(200));
	sim_run(st->sim, 2 * NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_UNREACHABLE, NS_S);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* A silent host: SYN goes out again 1, 3, 7, 15, 31 and 63 s after the first; after 127 s the transport gives up. */
static void silent_host_times_out(void **state)
{
	struct stage *st = two_hosts();
	uint64_t token, events;

	(void)state;
	stage_open(st);
	sim_crash(st->sim, LISTENER, SIM_CRASH_SILENT);
	sim_run(st->sim, NS_S);
	token = stage_dial(st, DIALER, LISTENER);
	events = sim_events(st->sim);
	sim_run(st->sim, 127 * NS_S);
	assert_int_equal(sim_events(st->sim), events);
	sim_run(st->sim, 200 * NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_TIMEOUT, 128 * NS_S);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* The host comes back in between: the next SYN finds it. */
static void syn_finds_who_came_back(void **state)
{
	static const struct {
		uint64_t back_at, syn_at;
	} with[] = { { 900, 1000 }, { 1005, 1000 }, { 1500, 3000 }, { 3100, 7000 }, { 14999, 15000 }, { 16000, 31000 }, { 40000, 63000 } };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct stage *st = two_hosts();
		stage_open(st);
		sim_crash(st->sim, LISTENER, SIM_CRASH_SILENT);
		stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, with[i].back_at * NS_MS);
		sim_boot(st->sim, LISTENER);
		sim_run(st->sim, 200 * NS_S);
		assert_int_equal(stage_heard(st, DIALER, EVENT_DIALED, 0)->at, with[i].syn_at * NS_MS + ROUND);
		assert_int_equal(stage_count(st, LISTENER, EVENT_ACCEPTED), 1);
		stage_free(st);
	}
}

/* The dialer gives up before the answer: CLOSED local at once and nothing afterwards, and the listener never hears of it. */
static void dial_is_given_up(void **state)
{
	static const uint64_t after[] = { 0, 5 * NS_MS, THERE, THERE + 1, ROUND - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
		struct stage *st = two_hosts();
		uint64_t token;
		stage_open(st);
		sim_run(st->sim, NS_S);
		token = stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, NS_S + after[i]);
		stage_close(st, DIALER, token, true);
		sim_run(st->sim, 10 * NS_S);
		assert_closed(st, DIALER, 0, token, CLOSE_LOCAL, NS_S + after[i]);
		assert_int_equal(stage_count(st, DIALER, EVENT_DIALED), 0);
		assert_int_equal(stage_count(st, LISTENER, EVENT_ACCEPTED), 0);
		assert_int_equal(sim_connections(st->sim), 0);
		stage_free(st);
	}
}

/* A listener that is busy leaves connections in its backlog; the SYN that finds it full is lost, and the next one comes 1 s later. */
static void full_backlog_loses_syn(void **state)
{
	struct stage *st = two_hosts();

	(void)state;
	st->host[LISTENER].config.listener.backlog = 2;
	stage_open(st);
	stage_work(st, LISTENER, 500 * NS_MS);
	for (int i = 0; i < 3; i++) stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 5 * NS_S);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(stage_heard(st, DIALER, EVENT_DIALED, i)->at, ROUND); /* the kernel has answered */
		assert_int_equal(stage_heard(st, LISTENER, EVENT_ACCEPTED, i)->at, 500 * NS_MS);
	}
	assert_int_equal(stage_heard(st, DIALER, EVENT_DIALED, 2)->at, NS_S + ROUND);
	assert_int_equal(stage_heard(st, LISTENER, EVENT_ACCEPTED, 2)->at, NS_S + ROUND + THERE);
	stage_free(st);
}

/* A listener out of descriptors does not accept; when a connection is over, the next SYN is let in. */
static void descriptors_bound_accepting(void **state)
{
	struct stage *st = two_hosts();
	uint64_t token;

	(void)state;
	st->host[LISTENER].config.fds = 2;
	stage_open(st);
	token = stage_dial(st, DIALER, LISTENER);
	for (int i = 0; i < 2; i++) stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_DIALED), 2);
	stage_close(st, DIALER, token, true);
	sim_run(st->sim, 5 * NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_DIALED), 3);
	assert_int_equal(stage_heard(st, DIALER, EVENT_DIALED, 2)->at, 3 * NS_S + ROUND);
	stage_free(st);
}

/* A dialer out of descriptors is told so at once, accepted connections counted; when one is over, it may dial again. */
static void descriptors_bound_dialing(void **state)
{
	struct stage *st = two_hosts();
	uint64_t first, third;

	(void)state;
	st->host[DIALER].config.fds = 3;
	st->host[DIALER].config.listener = st->host[LISTENER].config.listener;
	stage_open(st);
	first = stage_dial(st, DIALER, LISTENER);
	stage_dial(st, DIALER, LISTENER);
	stage_dial(st, LISTENER, DIALER);
	sim_run(st->sim, NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_ACCEPTED), 1);
	third = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * NS_S);
	assert_closed(st, DIALER, 0, third, CLOSE_LIMIT, NS_S);
	stage_close(st, DIALER, first, true);
	sim_run(st->sim, 3 * NS_S);
	stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 4 * NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_DIALED), 3);
	stage_free(st);
}

/* ---- closing ---- */

/* FIN comes behind the data; the other end hears eof after the last BYTES, and its own FIN goes back. */
static void fin_is_behind_data(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token;

	(void)state;
	st->path[DIALER][LISTENER].rate_bps = 8000000; /* 1 us a byte */
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_send(st, DIALER, token, 20000);
	stage_close(st, DIALER, token, false);
	sim_run(st->sim, 5 * NS_S);
	assert_int_equal(puppet_end(&st->host[LISTENER], accepted)->got, 20000);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_EOF, NS_S + 20 * NS_MS + THERE);
	assert_int_equal(st->host[LISTENER].heard[st->host[LISTENER].heard_n - 1].kind, EVENT_CLOSED);
	assert_closed(st, DIALER, 0, token, CLOSE_EOF, NS_S + 20 * NS_MS + ROUND);
	assert_int_equal(sim_connections(st->sim), 0);
	assert_int_equal(st->ended, 2);
	stage_free(st);
}

/* Who has said CLOSE finish still hears what the other sends, until its eof. */
static void half_closed_still_hears(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token;

	(void)state;
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_close(st, DIALER, token, false);
	sim_run(st->sim, NS_S + THERE - 1);
	stage_send(st, LISTENER, accepted, 5000); /* before the FIN is there */
	sim_run(st->sim, 5 * NS_S);
	assert_int_equal(puppet_end(&st->host[DIALER], token)->got, 5000);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_EOF, NS_S + THERE);
	assert_closed(st, DIALER, 0, token, CLOSE_EOF, NS_S + ROUND);
	stage_free(st);
}

/* Both say CLOSE finish at once: each hears the other's eof. */
static void both_finish(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token;

	(void)state;
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_close(st, DIALER, token, false);
	stage_close(st, LISTENER, accepted, false);
	sim_run(st->sim, 5 * NS_S);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_EOF, NS_S + THERE);
	assert_closed(st, DIALER, 0, token, CLOSE_EOF, NS_S + BACK);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* RST overtakes what is on its way: the receiver hears reset one latency later, and what had not come is lost. Whoever aborts hears
 * CLOSED local at once and nothing else. */
static void rst_overtakes(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token;

	(void)state;
	st->path[DIALER][LISTENER].rate_bps = 8000000;
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_send(st, DIALER, token, 1000);
	stage_send(st, DIALER, token, 50000);
	stage_send(st, LISTENER, accepted, 700);
	sim_run(st->sim, NS_S + NS_MS);
	stage_close(st, DIALER, token, true);
	sim_run(st->sim, 5 * NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_LOCAL, NS_S + NS_MS);
	assert_int_equal(st->host[DIALER].heard[st->host[DIALER].heard_n - 1].kind, EVENT_CLOSED);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_RESET, NS_S + NS_MS + THERE);
	assert_int_equal(puppet_end(&st->host[LISTENER], accepted)->got, 1000); /* it came in the same instant, before */
	assert_int_equal(st->lost[DIALER][LISTENER], 50000);
	assert_int_equal(st->lost[LISTENER][DIALER], 700);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* Both abort at once: each hears only of its own, and who aborts what is already ending hears local too. */
static void both_abort(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token;

	(void)state;
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_close(st, DIALER, token, true);
	stage_close(st, LISTENER, accepted, true);
	sim_run(st->sim, 2 * NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_LOCAL, NS_S);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_LOCAL, NS_S);
	stage_forget(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_close(st, DIALER, token, false);
	stage_close(st, DIALER, token, true); /* second thoughts */
	sim_run(st->sim, 4 * NS_S);
	assert_closed(st, DIALER, 0, token, CLOSE_LOCAL, 3 * NS_S);
	assert_int_equal(stage_count(st, LISTENER, EVENT_CLOSED), 1);
	assert_int_equal(sim_connections(st->sim), 0);
	stage_free(st);
}

/* A reset waits for the busy machine, which aborts meanwhile: what it hears is local, once. */
static void abort_meets_reset(void **state)
{
	struct stage *st = two_hosts();
	struct order o[2] = { { .kind = ORDER_ABORT }, { .kind = ORDER_WORK, .n = NS_MS } };
	uint64_t accepted, token;

	(void)state;
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, &accepted);
	stage_work(st, LISTENER, 100 * NS_MS);
	o[0].token = accepted;
	stage_order(st, LISTENER, o, 2); /* waits for the CPU */
	stage_close(st, DIALER, token, true);
	sim_run(st->sim, 5 * NS_S);
	assert_closed(st, LISTENER, 0, accepted, CLOSE_LOCAL, NS_S + 101 * NS_MS);
	assert_int_equal(stage_count(st, LISTENER, EVENT_CLOSED), 1);
	stage_free(st);
}

/* A slot is used again with a new generation, so that nothing of an old connection can be taken for the new one's. */
static void slots_come_back(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted[20];

	(void)state;
	stage_open(st);
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t token = stage_connect(st, DIALER, LISTENER, &accepted[i]);
		assert_int_equal(token_slot(accepted[i]), 1);
		for (uint32_t k = 0; k < i; k++) assert_int_not_equal(accepted[i], accepted[k]);
		stage_close(st, DIALER, token, i % 2);
		sim_run(st->sim, sim_now(st->sim) + NS_S);
		assert_int_equal(sim_connections(st->sim), 0);
	}
	assert_int_equal(st->ended, 40);
	stage_free(st);
}

/* The truth about a connection: each end's other end, as long as both are there. */
static void peers_are_known(void **state)
{
	struct stage *st = two_hosts();
	uint64_t accepted, token, peer_token;
	uint32_t peer;

	(void)state;
	stage_open(st);
	token = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, ROUND + 1);
	assert_false(sim_peer_of(st->sim, DIALER, token, &peer, &peer_token)); /* not accepted yet */
	sim_run(st->sim, NS_S);
	accepted = stage_heard(st, LISTENER, EVENT_ACCEPTED, 0)->token;
	assert_true(sim_peer_of(st->sim, DIALER, token, &peer, &peer_token));
	assert_int_equal(peer, LISTENER);
	assert_int_equal(peer_token, accepted);
	assert_true(sim_peer_of(st->sim, LISTENER, accepted, &peer, &peer_token));
	assert_int_equal(peer, DIALER);
	assert_int_equal(peer_token, token);
	assert_false(sim_peer_of(st->sim, LISTENER, token, &peer, &peer_token));
	stage_close(st, DIALER, token, true);
	sim_run(st->sim, NS_S + 1);
	assert_false(sim_peer_of(st->sim, LISTENER, accepted, &peer, &peer_token));
	stage_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_is_a_round_trip),
		cmocka_unit_test(refused_after_a_round_trip),
		cmocka_unit_test(unreachable_at_once),
		cmocka_unit_test(silent_host_times_out),
		cmocka_unit_test(syn_finds_who_came_back),
		cmocka_unit_test(dial_is_given_up),
		cmocka_unit_test(full_backlog_loses_syn),
		cmocka_unit_test(descriptors_bound_accepting),
		cmocka_unit_test(descriptors_bound_dialing),
		cmocka_unit_test(fin_is_behind_data),
		cmocka_unit_test(half_closed_still_hears),
		cmocka_unit_test(both_finish),
		cmocka_unit_test(rst_overtakes),
		cmocka_unit_test(both_abort),
		cmocka_unit_test(abort_meets_reset),
		cmocka_unit_test(slots_come_back),
		cmocka_unit_test(peers_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
