/* A host at work: what its CPU delays, in which order what waits is stepped, and what of it a crash lets happen. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LATENCY (10 * NS_MS)

enum { A, B, C };

/* Three hosts that listen and dial; A is the one whose CPU matters. */
static struct stage *three_hosts(void)
{
	struct stage *st = stage_new(1, LATENCY);

	for (uint32_t i = 0; i < 3; i++) stage_host(st, true);
	stage_open(st);
	return st;
}

static void assert_heard(const struct stage *st, uint32_t host, uint32_t i, enum event_kind kind, uint64_t at)
{
	assert_true(i < st->host[host].heard_n);
	assert_int_equal(st->host[host].heard[i].kind, kind);
	assert_int_equal(st->host[host].heard[i].at, at);
}

/* ---- the CPU ---- */

/* What a step wants leaves when it is over: bytes, SYN, FIN and RST alike; its own CLOSED local comes then. */
static void actions_leave_after_the_step(void **state)
{
	struct stage *st = three_hosts();
	uint64_t to_b = stage_connect(st, A, B, NULL), to_c = stage_connect(st, A, C, NULL), now = sim_now(st->sim);
	struct order o[] = { { .kind = ORDER_SEND, .token = to_b, .n = 100 },
		             { .kind = ORDER_CLOSE, .token = to_b },
		             { .kind = ORDER_ABORT, .token = to_c },
		             { .kind = ORDER_DIAL, .token = TOKEN_MACHINE | token_make(9, 1), .to = stage_ip(B) },
		             { .kind = ORDER_WORK, .n = 5 * NS_MS } };

	(void)state;
	stage_order(st, A, o, 5);
	assert_int_equal(sim_cpu(st->sim, A).free_at, now + 5 * NS_MS);
	sim_run(st->sim, now + NS_S);
	assert_heard(st, A, 0, EVENT_COMMAND, now);
	assert_heard(st, A, 1, EVENT_CLOSED, now + 5 * NS_MS);
	assert_heard(st, B, 0, EVENT_BYTES, now + 5 * NS_MS + LATENCY);
	assert_heard(st, B, 1, EVENT_CLOSED, now + 5 * NS_MS + LATENCY);
	assert_heard(st, C, 0, EVENT_CLOSED, now + 5 * NS_MS + LATENCY);
	assert_int_equal(stage_heard(st, A, EVENT_DIALED, 0)->at, now + 5 * NS_MS + 2 * LATENCY);
	assert_int_equal(sim_cpu(st->sim, A).busy_ns, 5 * NS_MS);
	stage_free(st);
}

/* Each event costs its step; what comes meanwhile waits its turn in the order in which it came, and bytes of one connection come
 * together at the place of the first. */
static void what_waits_is_in_order(void **state)
{
	struct stage *st = three_hosts();
	uint64_t b = stage_connect(st, B, A, NULL), c = stage_connect(st, C, A, NULL), now = sim_now(st->sim);
	struct order o[] = { { .kind = ORDER_WAKE, .n = 14 * NS_MS }, { .kind = ORDER_WORK, .n = 30 * NS_MS } };
	static const enum event_kind want[] = { EVENT_COMMAND, EVENT_BYTES, EVENT_BYTES, EVENT_COMMAND, EVENT_TIMER, EVENT_ACCEPTED };

	(void)state;
	stage_order(st, A, o, 2);
	st->host[A].cost.step_ps = 2 * NS_MS * 1000;
	for (uint64_t ms = 1; ms < 5; ms++) {
		sim_run(st->sim, now + ms * NS_MS);
		if (ms == 1) stage_send(st, B, b, 100);
		if (ms == 2) stage_send(st, C, c, 40);
		if (ms == 4) stage_send(st, B, b, 10); /* comes with the first */
	}
	sim_run(st->sim, now + 13 * NS_MS);
	stage_work(st, A, NS_MS);
	assert_int_equal(sim_cpu(st->sim, A).ready, 3);
	sim_run(st->sim, now + 15 * NS_MS);
	stage_dial(st, C, A); /* at the listener 20 ms later, when the CPU is free for moments only */
	sim_run(st->sim, now + NS_S);
	assert_int_equal(st->host[A].heard_n, 6);
	for (uint32_t i = 0; i < 6; i++) {
		uint64_t at = i == 0 ? now : now + 30 * NS_MS + (i - 1) * 2 * NS_MS + (i > 3 ? NS_MS : 0);
		if (i == 5) at = now + 45 * NS_MS;
		assert_heard(st, A, i, want[i], at);
	}
	assert_int_equal(st->host[A].heard[1].n, 110);
	assert_int_equal(st->host[A].heard[2].n, 40);
	stage_free(st);
}

/* Bytes that came while the CPU was busy are read in turns of 16 KiB or of what READ says, over the borders of what was sent; after
 * each turn those who wait are next. */
static void bytes_coalesce(void **state)
{
	static const struct {
		uint32_t read, turns;
	} with[] = { { SIM_TURN_MAX, 2 }, { 250, 80 }, { 7000, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct stage *st = three_hosts();
		uint64_t accepted, b = stage_connect(st, B, A, &accepted), c = stage_connect(st, C, A, NULL), now = sim_now(st->sim), left = 20000;
		stage_read(st, A, accepted, with[i].read);
		stage_work(st, A, 500 * NS_MS);
		for (uint32_t k = 0; k < 200; k++) {
			sim_run(st->sim, now + k * NS_MS);
			stage_send(st, B, b, 100);
			if (k == 100) stage_send(st, C, c, 1);
		}
		sim_run(st->sim, now + NS_S);
		for (uint32_t k = 0; k < with[i].turns; k++) {
			const struct heard *x = &st->host[A].heard[2 + k + (k > 0)]; /* C's byte is behind the first turn */
			uint64_t n = with[i].read < left ? with[i].read : left;
			assert_int_equal(x->kind, EVENT_BYTES);
			assert_int_equal(x->n, n);
			left -= n;
		}
		assert_int_equal(left, 0);
		assert_int_equal(st->host[A].heard[3].n, 1);
		stage_free(st);
	}
}

/* A reader that is busy says READ 0: what waited for it stays where it is, and comes after the next READ, together. */
static void read_0_while_bytes_wait(void **state)
{
	struct stage *st = three_hosts();
	uint64_t accepted, b = stage_connect(st, B, A, &accepted), now = sim_now(st->sim);

	(void)state;
	stage_work(st, A, 30 * NS_MS);
	stage_read(st, A, accepted, 0); /* waits for the CPU, before the bytes */
	for (uint64_t ms = 0; ms < 10; ms++) {
		sim_run(st->sim, now + ms * NS_MS);
		stage_send(st, B, b, 10);
	}
	sim_run(st->sim, now + NS_S);
	assert_int_equal(stage_count(st, A, EVENT_BYTES), 0);
	stage_read(st, A, accepted, 55);
	sim_run(st->sim, now + 2 * NS_S);
	assert_int_equal(stage_heard(st, A, EVENT_BYTES, 0)->n, 55);
	assert_int_equal(stage_heard(st, A, EVENT_BYTES, 1)->n, 45);
	stage_free(st);
}

/* DRAINED is the next event of the machine, before all that waits; its step costs what a step costs. */
static void drained_comes_first(void **state)
{
	struct stage *st = three_hosts();
	uint64_t b = stage_connect(st, A, B, NULL), now = sim_now(st->sim);
	struct order o[2] = { { .kind = ORDER_SEND, .token = b, .n = 60000 }, { .kind = ORDER_SEND, .token = b, .n = 60000 } };

	(void)state;
	st->host[A].cost.step_ps = NS_MS * 1000;
	stage_work(st, A, 5 * NS_MS);
	stage_order(st, A, o, 2);
	stage_work(st, A, 0);
	sim_run(st->sim, now + NS_S);
	assert_int_equal(st->host[A].heard_n, 4);
	assert_heard(st, A, 1, EVENT_COMMAND, now + 6 * NS_MS);
	assert_heard(st, A, 2, EVENT_DRAINED, now + 6 * NS_MS);
	assert_heard(st, A, 3, EVENT_COMMAND, now + 8 * NS_MS);
	stage_free(st);
}

/* TIMER comes at the deadline or, to a busy machine, as soon as its turn comes; the deadline of now counts, not one of before. */
static void timers_follow_the_deadline(void **state)
{
	struct stage *st = three_hosts();
	struct order o = { .kind = ORDER_WAKE, .n = 50 * NS_MS };

	(void)state;
	stage_order(st, A, &o, 1);
	o.n = 20 * NS_MS; /* earlier */
	stage_order(st, A, &o, 1);
	sim_run(st->sim, 30 * NS_MS);
	assert_int_equal(stage_heard(st, A, EVENT_TIMER, 0)->at, 20 * NS_MS);
	stage_order(st, A, &o, 1);
	o.n = 100 * NS_MS; /* later */
	stage_order(st, A, &o, 1);
	sim_run(st->sim, NS_S);
	assert_int_equal(stage_heard(st, A, EVENT_TIMER, 1)->at, 130 * NS_MS);
	assert_int_equal(stage_count(st, A, EVENT_TIMER), 2);
	o.n = 10 * NS_MS;
	stage_order(st, A, &o, 1);
	stage_work(st, A, 300 * NS_MS);
	sim_run(st->sim, 2 * NS_S);
	assert_int_equal(stage_heard(st, A, EVENT_TIMER, 2)->at, NS_S + 300 * NS_MS);
	o.n = 0; /* at once */
	stage_order(st, A, &o, 1);
	sim_run(st->sim, 2 * NS_S);
	assert_int_equal(stage_heard(st, A, EVENT_TIMER, 3)->at, 2 * NS_S);
	stage_free(st);
}

/* ---- boot and crash ---- */

/* Each life has a seed of its own, the same in every run; the wall clock goes on. */
static void every_life_has_a_seed(void **state)
{
	uint64_t seed[3][2];

	(void)state;
	for (int run = 0; run < 3; run++) {
		struct stage *st = stage_new(run == 2 ? 2 : 1, LATENCY);
		stage_host(st, false);
		stage_open(st);
		sim_run(st->sim, NS_S);
		sim_crash(st->sim, 0, SIM_CRASH_RESET);
		sim_run(st->sim, 3 * NS_S);
		sim_boot(st->sim, 0);
		for (uint32_t i = 0; i < 2; i++) seed[run][i] = stage_heard(st, 0, EVENT_START, i)->n;
		assert_int_equal(stage_heard(st, 0, EVENT_START, 1)->left - stage_heard(st, 0, EVENT_START, 0)->left, 3 * NS_S);
		stage_free(st);
	}
	assert_int_not_equal(seed[0][0], seed[0][1]);
	assert_memory_equal(seed[0], seed[1], sizeof seed[0]);
	assert_int_not_equal(seed[0][0], seed[2][0]);
	assert_int_not_equal(seed[0][1], seed[2][1]);
}

/* A step is atomic: a crash in its midst takes effect when it is over. What the step sent goes out, then RST; of what waited nothing
 * is stepped any more. */
static void crash_waits_for_the_step(void **state)
{
	(void)state;
	for (int waiting = 0; waiting < 2; waiting++)
		for (int how = SIM_CRASH_RESET; how <= SIM_CRASH_SILENT_REFUSE; how++) {
			struct stage *st = three_hosts();
			uint64_t b = stage_connect(st, A, B, NULL), now = sim_now(st->sim), over = now + 10 * NS_MS;
			struct order o[] = { { .kind = ORDER_SEND, .token = b, .n = 100 }, { .kind = ORDER_WORK, .n = 10 * NS_MS } };
			stage_order(st, A, o, 2);
			if (waiting) stage_send(st, A, b, 7);
			sim_run(st->sim, now + 4 * NS_MS);
			sim_crash(st->sim, A, (enum sim_crash)how);
			sim_run(st->sim, over - 1);
			assert_true(sim_host_up(st->sim, A));
			if (waiting) stage_send(st, A, b, 8);
			sim_run(st->sim, over);
			assert_false(sim_host_up(st->sim, A));
			sim_run(st->sim, now + NS_S);
			assert_heard(st, B, 0, EVENT_BYTES, over + LATENCY);
			assert_int_equal(st->host[B].heard[0].n, 100);
			assert_int_equal(st->host[B].heard_n, how == SIM_CRASH_RESET ? 2 : 1);
			if (how == SIM_CRASH_RESET) assert_heard(st, B, 1, EVENT_CLOSED, over + LATENCY);
			assert_int_equal(st->host[A].heard_n, 1);
			sim_boot(st->sim, A);
			for (int i = 0; i < 2; i++) stage_work(st, A, NS_MS);
			sim_run(st->sim, now + 2 * NS_S);
			assert_int_equal(st->host[A].heard_n, 4); /* START and these two, nothing of before */
			stage_free(st);
		}
}

/* Two crashes are asked for during one step: one takes effect, and the next life is none of theirs. */
static void crash_asked_for_twice(void **state)
{
	struct stage *st = three_hosts();

	(void)state;
	stage_work(st, A, 10 * NS_MS);
	sim_crash(st->sim, A, SIM_CRASH_RESET);
	sim_run(st->sim, 5 * NS_MS);
	sim_crash(st->sim, A, SIM_CRASH_RESET);
	sim_run(st->sim, 10 * NS_MS);
	assert_false(sim_host_up(st->sim, A));
	sim_boot(st->sim, A);
	sim_run(st->sim, NS_S);
	assert_true(sim_host_up(st->sim, A));
	stage_free(st);
}

static void count(void *ctx, const uint8_t *p, uint32_t n)
{
	(void)p;
	*(uint64_t *)ctx += n;
}

/* The engine counts the packets of commands that wait, and tells no more once they are stepped. */
static void commands_that_wait_are_told(void **state)
{
	struct stage *st = three_hosts();
	uint64_t bytes = 0;

	(void)state;
	for (int i = 0; i < 4; i++) stage_work(st, A, NS_MS);
	sim_commands_each(st->sim, count, &bytes);
	assert_int_equal(bytes, 3 * sizeof(struct order));
	sim_run(st->sim, 2 * NS_MS);
	bytes = 0;
	sim_commands_each(st->sim, count, &bytes);
	assert_int_equal(bytes, sizeof(struct order));
	sim_run(st->sim, 3 * NS_MS);
	bytes = 0;
	sim_commands_each(st->sim, count, &bytes);
	assert_int_equal(bytes, 0);
	sim_crash(st->sim, B, SIM_CRASH_RESET);
	assert_false(sim_command(st->sim, B, &(struct event_command){ .verb = COMMAND_PING }));
	stage_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_leave_after_the_step),
		cmocka_unit_test(what_waits_is_in_order),
		cmocka_unit_test(bytes_coalesce),
		cmocka_unit_test(read_0_while_bytes_wait),
		cmocka_unit_test(drained_comes_first),
		cmocka_unit_test(timers_follow_the_deadline),
		cmocka_unit_test(every_life_has_a_seed),
		cmocka_unit_test(crash_waits_for_the_step),
		cmocka_unit_test(crash_asked_for_twice),
		cmocka_unit_test(commands_that_wait_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
