/* Hosts that go and come: what the other end of a connection hears of it, and when. Each kind of crash at every moment. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THERE (10 * NS_MS)
#define BACK (7 * NS_MS)
#define ROUND (THERE + BACK)

enum { DIALER, LISTENER };

static struct stage *two_hosts(void)
{
	struct stage *st = stage_new(1, THERE);

	stage_host(st, false);
	stage_host(st, true);
	st->path[LISTENER][DIALER].latency_ns = BACK;
	st->host[LISTENER].config.user_timeout_ns = 15 * NS_S; /* HTTP-023 */
	st->host[DIALER].config.user_timeout_ns = 3 * NS_S;    /* of no account: it dials */
	return st;
}

static void assert_closed(const struct stage *st, uint32_t host, uint64_t token, enum close_cause cause, uint64_t at)
{
	const struct heard *x = stage_heard(st, host, EVENT_CLOSED, 0);

	assert_int_equal(x->cause, cause);
	assert_int_equal(x->at, at);
	assert_int_equal(x->token, token);
	assert_int_equal(stage_count(st, host, EVENT_CLOSED), 1);
}

/* A connection of which one end vanishes at 1 s; `at` says from when on the other end may write. */
struct pair {
	struct stage *st;
	uint32_t gone, stays;
	uint64_t token; /* of the end that stays */
	uint64_t there, back;
};

static struct pair pair_open(uint32_t gone)
{
	struct pair p = { .st = two_hosts(), .gone = gone, .stays = 1 - gone };
	uint64_t token, accepted;

	stage_open(p.st);
	token = stage_connect(p.st, DIALER, LISTENER, &accepted);
	p.token = gone == DIALER ? accepted : token;
	p.there = p.st->path[p.stays][gone].latency_ns; /* the way of what is written */
	p.back = p.st->path[gone][p.stays].latency_ns;
	return p;
}

/* Whether a user timeout of 15 s is set at the end that stays: only accepted connections have one. */
static uint64_t timeout_of(const struct pair *p) { return p->stays == LISTENER ? 15 * NS_S : 924 * NS_S; }

/* ---- the process dies ---- */

/* RST to each connection, one latency later; the machine hears nothing more; the port refuses until the restart, whose connections
 * have other tokens. */
static void crash_resets(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++) {
		struct pair p = pair_open(gone);
		stage_send(p.st, p.stays, p.token, 1000);
		sim_crash(p.st->sim, gone, SIM_CRASH_RESET);
		assert_false(sim_host_up(p.st->sim, gone));
		sim_run(p.st->sim, 5 * NS_S);
		assert_closed(p.st, p.stays, p.token, CLOSE_RESET, NS_S + p.back);
		assert_int_equal(p.st->host[gone].heard_n, 0);
		assert_int_equal(p.st->lost[p.stays][gone], 1000);
		assert_int_equal(sim_connections(p.st->sim), 0);
		assert_int_equal(p.st->ended, 2);
		sim_boot(p.st->sim, gone);
		stage_dial(p.st, DIALER, LISTENER);
		sim_run(p.st->sim, 6 * NS_S);
		assert_int_equal(stage_heard(p.st, DIALER, EVENT_DIALED, 0)->at, 5 * NS_S + ROUND);
		assert_int_equal(stage_count(p.st, LISTENER, EVENT_ACCEPTED), 1);
		stage_free(p.st);
	}
}

/* ---- the host vanishes ---- */

/* Nobody tells an end that has nothing to say: it waits for as long as its machine does. */
static void silence_is_not_heard(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++) {
		struct pair p = pair_open(gone);
		sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
		sim_run(p.st->sim, 100000 * NS_S);
		assert_int_equal(stage_count(p.st, p.stays, EVENT_CLOSED), 0);
		stage_free(p.st);
	}
}

/* HTTP-023: who has something unacknowledged is told by the user timeout, counted from the crash that it was on its way in, or from
 * the writing after it; more writing does not renew it. Where none is set the kernel tries for 924 s. */
static void unacknowledged_times_out(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++)
		for (uint32_t late = 0; late < 2; late++) {
			struct pair p = pair_open(gone);
			uint64_t from = NS_S;
			if (late == 0) stage_send(p.st, p.stays, p.token, 1000);
			sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
			if (late == 1) {
				from = 4 * NS_S;
				sim_run(p.st->sim, from);
				stage_send(p.st, p.stays, p.token, 1000);
			}
			sim_run(p.st->sim, from + 10 * NS_S);
			stage_send(p.st, p.stays, p.token, 1000);
			sim_run(p.st->sim, 2000 * NS_S);
			assert_closed(p.st, p.stays, p.token, CLOSE_TIMEOUT, from + timeout_of(&p));
			assert_int_equal(sim_connections(p.st->sim), 0);
			assert_int_equal(p.st->lost[p.stays][gone], 2000);
			stage_free(p.st);
		}
}

/* What had come before the crash is acknowledged, read or not. */
static void acknowledged_does_not_time_out(void **state)
{
	struct pair p = pair_open(DIALER);

	(void)state;
	stage_send(p.st, LISTENER, p.token, 1000);
	sim_run(p.st->sim, NS_S + BACK);
	sim_crash(p.st->sim, DIALER, SIM_CRASH_SILENT);
	sim_run(p.st->sim, 1000 * NS_S);
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_CLOSED), 0);
	stage_free(p.st);
}

/* FIN is to be acknowledged like data: on its way at the crash, also to a reader with a closed window, or sent after it. */
static void fin_times_out(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++)
		for (uint32_t when = 0; when < 3; when++) {
			struct pair p = pair_open(gone);
			if (when == 1) stage_read(p.st, gone, p.st->host[gone].end[0].token, 0);
			if (when < 2) stage_close(p.st, p.stays, p.token, false);
			sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
			if (when == 2) stage_close(p.st, p.stays, p.token, false);
			sim_run(p.st->sim, 2000 * NS_S);
			assert_closed(p.st, p.stays, p.token, CLOSE_TIMEOUT, NS_S + timeout_of(&p));
			assert_int_equal(sim_connections(p.st->sim), 0);
			stage_free(p.st);
		}
}

/* The host is back before that: it answers what is sent again (200 ms, 600 ms, 1.4 s, 3 s .. after the first time) with RST. */
static void back_again_resets(void **state)
{
	static const struct {
		uint64_t back_ms, again_ms;
	} with[] = { { 100, 200 }, { 250, 600 }, { 599, 600 }, { 1300, 1400 }, { 2000, 3000 }, { 5000, 6200 }, { 7000, 12600 } };

	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++)
		for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
			struct pair p = pair_open(gone);
			stage_send(p.st, p.stays, p.token, 1000);
			sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
			sim_run(p.st->sim, NS_S + with[i].back_ms * NS_MS);
			sim_boot(p.st->sim, gone);
			sim_run(p.st->sim, 100 * NS_S);
			assert_closed(p.st, p.stays, p.token, CLOSE_RESET, NS_S + with[i].again_ms * NS_MS + p.there + p.back);
			assert_int_equal(stage_count(p.st, gone, EVENT_CLOSED), 0); /* the new process knows nothing of it */
			assert_int_equal(sim_connections(p.st->sim), 0);
			stage_free(p.st);
		}
}

/* The same for a FIN; and what is written to a host that is back is answered after a round trip, however long it was away. */
static void back_again_resets_fin_and_news(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++) {
		struct pair p = pair_open(gone);
		sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
		stage_close(p.st, p.stays, p.token, false);
		sim_run(p.st->sim, NS_S + 250 * NS_MS);
		sim_boot(p.st->sim, gone);
		sim_run(p.st->sim, 100 * NS_S);
		assert_closed(p.st, p.stays, p.token, CLOSE_RESET, NS_S + 600 * NS_MS + ROUND);
		stage_free(p.st);
		p = pair_open(gone);
		sim_crash(p.st->sim, gone, SIM_CRASH_SILENT);
		sim_run(p.st->sim, 5000 * NS_S);
		sim_boot(p.st->sim, gone);
		sim_run(p.st->sim, 6000 * NS_S);
		stage_send(p.st, p.stays, p.token, 1);
		sim_run(p.st->sim, 7000 * NS_S);
		assert_closed(p.st, p.stays, p.token, CLOSE_RESET, 6000 * NS_S + ROUND);
		stage_free(p.st);
	}
}

/* ---- the process vanishes, its host answers ---- */

/* `crash silent refuse`: nothing is said, but what comes is answered with RST: bytes on their way, bytes written later, FIN; and SYN
 * is refused. */
static void dead_process_is_answered_for(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < 2; gone++)
		for (uint32_t what = 0; what < 4; what++) {
			struct pair p = pair_open(gone);
			uint64_t from = NS_S;
			if (what == 0) stage_send(p.st, p.stays, p.token, 1000);
			if (what == 1) stage_close(p.st, p.stays, p.token, false);
			sim_crash(p.st->sim, gone, SIM_CRASH_SILENT_REFUSE);
			if (what >= 2) {
				sim_run(p.st->sim, 500 * NS_S);
				assert_int_equal(stage_count(p.st, p.stays, EVENT_CLOSED), 0);
				from = 500 * NS_S;
			}
			if (what == 2) stage_send(p.st, p.stays, p.token, 1000);
			if (what == 3) stage_close(p.st, p.stays, p.token, false);
			sim_run(p.st->sim, 2000 * NS_S);
			assert_closed(p.st, p.stays, p.token, CLOSE_RESET, from + ROUND);
			assert_int_equal(sim_connections(p.st->sim), 0);
			stage_free(p.st);
		}
}

static void dead_process_refuses(void **state)
{
	struct stage *st = two_hosts();
	uint64_t token;

	(void)state;
	stage_open(st);
	sim_crash(st->sim, LISTENER, SIM_CRASH_SILENT_REFUSE);
	token = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, NS_S);
	assert_closed(st, DIALER, token, CLOSE_REFUSED, ROUND);
	stage_free(st);
}

/* The flights of a TLS handshake are answered too, by a host that answers or is back when they are sent again. */
static void flights_to_nobody(void **state)
{
	static const struct {
		uint32_t gone;
		uint64_t at;    /* of the crash, after DIAL */
		uint64_t flown; /* when the flight was sent that nobody reads */
	} with[] = {
		{ LISTENER, THERE + 1, ROUND },                 /* ACK and hello */
		{ DIALER, ROUND + THERE, ROUND + THERE },       /* the server's flight */
		{ LISTENER, ROUND + THERE + 1, ROUND + ROUND }, /* the client's */
	};

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++)
		for (int back = 0; back < 2; back++) {
			struct stage *st = two_hosts();
			uint32_t stays = 1 - with[i].gone;
			const struct heard *x;
			uint64_t at;
			st->host[DIALER].tls = st->host[LISTENER].tls = true;
			stage_open(st);
			stage_dial(st, DIALER, LISTENER);
			sim_run(st->sim, with[i].at);
			sim_crash(st->sim, with[i].gone, back ? SIM_CRASH_SILENT : SIM_CRASH_SILENT_REFUSE);
			sim_run(st->sim, with[i].flown + 250 * NS_MS);
			if (back) sim_boot(st->sim, with[i].gone);
			sim_run(st->sim, 100 * NS_S);
			x = stage_heard(st, stays, EVENT_CLOSED, 0);
			at = with[i].flown + (back ? 600 * NS_MS : 0) + ROUND;
			assert_int_equal(x->cause, CLOSE_RESET);
			assert_in_range(x->at, at, at + 1); /* a job of no length lasts 1 ns */
			assert_int_equal(sim_connections(st->sim), 0);
			stage_free(st);
		}
}

/* A connection that was opened, or almost: the ACK, and a hello that comes later, are answered for a dead process. An ACK that came to
 * silence is not sent again. */
static void ack_and_hello_to_nobody(void **state)
{
	static const uint64_t crash_at[] = { THERE, 500 * NS_MS };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct stage *st = two_hosts();
		struct order o = { .kind = ORDER_TLS };
		stage_open(st);
		o.token = stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, crash_at[i % 2]);
		sim_crash(st->sim, LISTENER, i == 2 ? SIM_CRASH_SILENT : SIM_CRASH_SILENT_REFUSE);
		sim_run(st->sim, NS_S);
		if (i == 2) sim_boot(st->sim, LISTENER);
		if (i == 1) stage_order(st, DIALER, &o, 1);
		sim_run(st->sim, 10 * NS_S);
		if (i == 2)
			assert_int_equal(stage_count(st, DIALER, EVENT_CLOSED), 0);
		else
			assert_closed(st, DIALER, o.token, CLOSE_RESET, (i == 0 ? ROUND : NS_S) + ROUND);
		stage_free(st);
	}
}

/* A reader had closed its window. What was on its way to it is answered when it comes; of what the window held back its host is asked
 * for room, 200 ms, 600 ms, 1.4 s .. after the window was full, and so the sender hears of the end. */
static void closed_window_is_probed(void **state)
{
	(void)state;
	for (uint32_t held = 0; held < 2; held++) {
		struct pair p = pair_open(DIALER);
		stage_read(p.st, DIALER, p.st->host[DIALER].end[0].token, 0);
		for (uint32_t i = 0; i < 5 * held; i++) stage_send(p.st, LISTENER, p.token, STAGE_PERIOD); /* more than the window */
		if (!held) stage_send(p.st, LISTENER, p.token, 100);
		sim_run(p.st->sim, 2 * NS_S);
		if (!held) stage_send(p.st, LISTENER, p.token, 100);
		sim_crash(p.st->sim, DIALER, SIM_CRASH_SILENT_REFUSE);
		sim_run(p.st->sim, 2000 * NS_S);
		assert_closed(p.st, LISTENER, p.token, CLOSE_RESET, NS_S + (held ? 1400 * NS_MS : NS_S) + ROUND);
		stage_free(p.st);
	}
}

/* ---- at every moment ---- */

/* A host that crashes while a connection is opened, and is up again a second later, leaves nothing behind: once the other end has
 * said a word there is no connection any more, and the listener's backlog is as empty as before. */
static void opened_at_every_moment(enum sim_crash how, uint32_t gone, uint64_t at, bool tls)
{
	struct stage *st = two_hosts();
	uint32_t stays = 1 - gone;
	const struct puppet_end *end;

	st->host[LISTENER].config.listener.backlog = 1;
	st->host[DIALER].tls = st->host[LISTENER].tls = tls;
	stage_open(st);
	stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, at);
	sim_crash(st->sim, gone, how);
	sim_run(st->sim, at + NS_S);
	sim_boot(st->sim, gone);
	sim_run(st->sim, 100 * NS_S);
	for (uint32_t i = 0; i < st->host[stays].ends; i++) {
		end = &st->host[stays].end[i];
		if (end->open && end->connected) stage_send(st, stays, end->token, 1);
	}
	sim_run(st->sim, 2000 * NS_S);
	for (uint32_t i = 0; i < st->host[stays].ends; i++) {
		end = &st->host[stays].end[i];
		if (!end->open) continue;
		assert_true(how != SIM_CRASH_RESET && gone == LISTENER && end->connected); /* its SYN came to the new process */
		stage_close(st, stays, end->token, true);
		sim_run(st->sim, 2001 * NS_S);
	}
	assert_int_equal(sim_connections(st->sim), 0);
	stage_forget(st);
	stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2002 * NS_S);
	assert_int_equal(stage_count(st, LISTENER, EVENT_ACCEPTED), 1);
	stage_free(st);
}

static void crash_at_every_moment(void **state)
{
	(void)state;
	for (int how = SIM_CRASH_RESET; how <= SIM_CRASH_SILENT_REFUSE; how++)
		for (uint32_t gone = 0; gone < 2; gone++)
			for (int tls = 0; tls < 2; tls++)
				for (uint64_t at = 0; at < 6 * THERE; at += NS_MS) opened_at_every_moment((enum sim_crash)how, gone, at, tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crash_resets),
		cmocka_unit_test(silence_is_not_heard),
		cmocka_unit_test(unacknowledged_times_out),
		cmocka_unit_test(acknowledged_does_not_time_out),
		cmocka_unit_test(fin_times_out),
		cmocka_unit_test(back_again_resets),
		cmocka_unit_test(back_again_resets_fin_and_news),
		cmocka_unit_test(dead_process_is_answered_for),
		cmocka_unit_test(dead_process_refuses),
		cmocka_unit_test(flights_to_nobody),
		cmocka_unit_test(ack_and_hello_to_nobody),
		cmocka_unit_test(closed_window_is_probed),
		cmocka_unit_test(crash_at_every_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
