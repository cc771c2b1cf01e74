/* TLS handshakes: a round trip and the server's job; jobs share the cores that steps leave. */
#include "puppet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THERE (10 * NS_MS)
#define BACK (7 * NS_MS)
#define ROUND (THERE + BACK)
#define JOB (1200 * NS_US)

enum { LISTENER, DIALER }; /* more dialers behind */

/* A listener with so many cores, and dialers, all of which speak TLS. */
static struct stage *tls_stage(uint32_t cores, uint32_t dialers)
{
	struct stage *st = stage_new(1, THERE);

	stage_host(st, true);
	st->host[LISTENER].config.cores = cores;
	st->host[LISTENER].cost.handshake_ns = JOB;
	for (uint32_t i = 0; i < dialers; i++) {
		stage_host(st, false);
		st->path[LISTENER][DIALER + i].latency_ns = BACK;
	}
	for (uint32_t i = 0; i <= dialers; i++) st->host[i].tls = true;
	stage_open(st);
	return st;
}

/* ---- one handshake ---- */

/* Two round trips and the job until the dialer is SECURED, half a round trip more for the listener. */
static void secured_after_a_round_trip_and_a_job(void **state)
{
	struct stage *st = tls_stage(1, 1);

	(void)state;
	sim_run(st->sim, NS_S);
	stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * NS_S);
	assert_int_equal(stage_heard(st, DIALER, EVENT_DIALED, 0)->at, NS_S + ROUND);
	assert_int_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->at, NS_S + 2 * ROUND + JOB);
	assert_int_equal(stage_heard(st, LISTENER, EVENT_SECURED, 0)->at, NS_S + 2 * ROUND + JOB + THERE);
	assert_int_equal(sim_cpu(st->sim, LISTENER).handshake_ns, JOB);
	assert_int_equal(sim_cpu(st->sim, LISTENER).handshakes, 0);
	assert_int_equal(sim_cpu(st->sim, LISTENER).busy_ns, 0); /* no step cost anything */
	stage_free(st);
}

/* A host without prices has no job to wait for. */
static void no_price_no_wait(void **state)
{
	struct stage *st = stage_new(1, THERE);

	(void)state;
	stage_host(st, true);
	stage_host(st, false);
	st->host[0].tls = st->host[1].tls = true;
	st->host[0].config.cost = NULL;
	stage_open(st);
	stage_dial(st, 1, 0);
	sim_run(st->sim, NS_S);
	assert_int_equal(stage_heard(st, 1, EVENT_SECURED, 0)->at, 4 * THERE);
	assert_int_equal(stage_heard(st, 0, EVENT_SECURED, 0)->at, 5 * THERE);
	stage_free(st);
}

/* HTTP-011: the dialer sees the server's name, and the meta certificate last; the listener sees no certificate. */
static void chain_is_seen(void **state)
{
	struct stage *st = tls_stage(1, 1);

	(void)state;
	stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, NS_S);
	assert_int_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->chain, 2);
	assert_string_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->name[0], "puppet.example");
	assert_string_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->name[1], st->host[LISTENER].name);
	assert_int_equal(stage_heard(st, LISTENER, EVENT_SECURED, 0)->chain, 0);
	stage_free(st);
}

/* What the dialer sends as soon as it is SECURED comes in the instant of the listener's SECURED, behind it. */
static void data_is_behind_the_handshake(void **state)
{
	struct stage *st = tls_stage(1, 1);
	const struct heard *x;
	uint64_t token;

	(void)state;
	token = stage_dial(st, DIALER, LISTENER);
	sim_run(st->sim, 2 * ROUND + JOB);
	stage_send(st, DIALER, token, 100);
	sim_run(st->sim, NS_S);
	x = st->host[LISTENER].heard;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(x[i].kind, ((enum event_kind[]){ EVENT_START, EVENT_ACCEPTED, EVENT_SECURED, EVENT_BYTES })[i]);
	assert_int_equal(x[2].at, x[3].at);
	stage_free(st);
}

/* The job begins when both have come: the dialer's hello, and START_TLS at the end of the step that says it. */
static void job_waits_for_both(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct stage *st = tls_stage(4, 1);
		struct order o = { .kind = ORDER_TLS };
		uint64_t begins = late ? 200 * NS_MS : ROUND + THERE + 3 * NS_MS;
		st->host[LISTENER].tls = !late;
		if (!late) st->host[LISTENER].cost.step_ps = 3 * NS_MS * 1000; /* of ACCEPTED */
		stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, 200 * NS_MS);
		if (late) {
			o.token = stage_heard(st, LISTENER, EVENT_ACCEPTED, 0)->token;
			stage_order(st, LISTENER, &o, 1);
		}
		sim_run(st->sim, NS_S);
		assert_int_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->at, begins + JOB + BACK);
		stage_free(st);
	}
	for (int late = 0; late < 2; late++) { /* and the hello may be the later one */
		struct stage *st = tls_stage(1, 1);
		struct order o = { .kind = ORDER_TLS };
		st->host[DIALER].tls = false;
		o.token = stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, 200 * NS_MS);
		stage_order(st, DIALER, &o, 1);
		sim_run(st->sim, NS_S);
		assert_int_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->at, 200 * NS_MS + ROUND + JOB);
		stage_free(st);
	}
}

/* ---- jobs together ---- */

/* Handshakes whose hellos come at these times after the first, and when their jobs are done. */
static void run_jobs(uint32_t cores, uint32_t n, const uint64_t *come, const uint64_t *done, uint64_t within)
{
	struct stage *st = tls_stage(cores, n);

	for (uint32_t i = 0; i < n; i++) {
		sim_run(st->sim, NS_S + come[i]);
		stage_dial(st, DIALER + i, LISTENER);
	}
	sim_run(st->sim, 5 * NS_S);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = stage_heard(st, DIALER + i, EVENT_SECURED, 0)->at - (NS_S + 2 * ROUND);
		assert_in_range(at, done[i], done[i] + within);
	}
	assert_in_range(sim_cpu(st->sim, LISTENER).handshake_ns + within, n * JOB, n * JOB + 2 * within);
	stage_free(st);
}

/* Processor sharing: two jobs on one core take twice as long, both of them; on two cores they do not feel each other. */
static void jobs_share_cores(void **state)
{
	static const uint64_t at_once[4] = { 0 };
	static const struct {
		uint32_t cores, jobs, halves; /* how long all take, in half jobs */
	} with[] = { { 1, 1, 2 }, { 1, 2, 4 }, { 1, 3, 6 }, { 2, 1, 2 }, { 2, 2, 2 }, { 2, 3, 3 }, { 2, 4, 4 }, { 4, 4, 2 }, { 64, 3, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		uint64_t done[4];
		for (uint32_t k = 0; k < 4; k++) done[k] = with[i].halves * JOB / 2;
		run_jobs(with[i].cores, with[i].jobs, at_once, done, 0);
	}
}

/* Those who come later slow down those who are there, and go on faster when these are done. */
static void jobs_join_and_leave(void **state)
{
	(void)state;
	run_jobs(1, 2, (uint64_t[]){ 0, JOB / 2 }, (uint64_t[]){ 3 * JOB / 2, 2 * JOB }, 0);
	run_jobs(1, 3, (uint64_t[]){ 0, JOB / 2, JOB }, (uint64_t[]){ 7 * JOB / 4, 11 * JOB / 4, 3 * JOB }, 0);
	run_jobs(2, 3, (uint64_t[]){ 0, 0, JOB / 2 }, (uint64_t[]){ 5 * JOB / 4, 5 * JOB / 4, 7 * JOB / 4 }, 0);
	run_jobs(1, 2, (uint64_t[]){ 0, 2 * JOB }, (uint64_t[]){ JOB, 3 * JOB }, 0); /* idle between */
}

/* The fluid that this is meant to be: at each moment n jobs are served at min(1, cores / n). */
static void fluid(double cores, uint32_t n, const uint64_t *come, double *done)
{
	double left[STAGE_HOSTS], now = 0;
	uint32_t over = 0;

	for (uint32_t i = 0; i < n; i++) left[i] = (double)JOB, done[i] = -1;
	while (over < n) {
		double step = INFINITY, rate;
		uint32_t first = 0, behind = 0; /* all are equally long: those being served follow each other */
		while (done[first] >= 0) first++;
		for (behind = first; behind < n && (double)come[behind] <= now + 1e-6; behind++) continue;
		rate = fmin(1, cores / fmax(behind - first, 1));
		if (behind > first) step = left[first] / rate;
		if (behind < n) step = fmin(step, (double)come[behind] - now);
		now += step;
		for (uint32_t i = first; i < behind; i++) {
			left[i] -= step * rate;
			if (left[i] < 1e-3) done[i] = now, over++;
		}
	}
}

/* Random arrivals at one, two and three cores. */
static void jobs_are_a_fluid(void **state)
{
	enum { N = STAGE_HOSTS - 1 };
	struct prng draw = prng_make(1, "tls", "fluid");

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t cores = 1 + round % 3;
		uint64_t come[N], done[N];
		double want[N];
		come[0] = 0;
		for (uint32_t i = 1; i < N; i++) come[i] = come[i - 1] + prng_below(&draw, JOB);
		fluid(cores, N, come, want);
		for (uint32_t i = 0; i < N; i++) done[i] = (uint64_t)floor(want[i]);
		run_jobs(cores, N, come, done, 2 * N); /* service is counted in 1/256 ns and events in ns, rounded up at each end of a job */
	}
}

/* ---- beside the steps ---- */

/* Steps are one thread: on one core a job gets what they leave, at least a quarter of it; on two cores it has one of its own. */
static void steps_come_first(void **state)
{
	static const struct {
		uint32_t cores;
		uint64_t work, done;
	} with[] = { { 1, 0, JOB }, { 1, JOB / 2, 3 * JOB / 2 }, { 1, 100 * JOB, 4 * JOB }, { 2, JOB / 2, JOB }, { 2, 100 * JOB, JOB } };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct stage *st = tls_stage(with[i].cores, 1);
		stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, ROUND + THERE); /* the job has begun */
		stage_work(st, LISTENER, with[i].work);
		sim_run(st->sim, NS_S);
		assert_in_range(stage_heard(st, DIALER, EVENT_SECURED, 0)->at - 2 * ROUND, with[i].done, with[i].done + 10);
		stage_free(st);
	}
}

/* ---- ends ---- */

/* Either end may go during the job. The other hears of it; the job is worked off all the same, beside those of others. */
static void end_during_job(void **state)
{
	(void)state;
	for (int listener = 0; listener < 2; listener++) {
		struct stage *st = tls_stage(1, 2);
		uint64_t token = stage_dial(st, DIALER, LISTENER), at = ROUND + THERE + JOB / 2;
		st->host[LISTENER].cost.handshake_ns = 40 * JOB; /* longer than the news takes */
		stage_dial(st, DIALER + 1, LISTENER);
		sim_run(st->sim, at);
		assert_int_equal(sim_cpu(st->sim, LISTENER).handshakes, 2);
		if (listener)
			stage_close(st, LISTENER, stage_heard(st, LISTENER, EVENT_ACCEPTED, 0)->token, true);
		else
			stage_close(st, DIALER, token, true);
		sim_run(st->sim, NS_S);
		assert_int_equal(stage_heard(st, DIALER, EVENT_CLOSED, 0)->cause, listener ? CLOSE_RESET : CLOSE_LOCAL);
		assert_int_equal(stage_heard(st, LISTENER, EVENT_CLOSED, 0)->cause, listener ? CLOSE_LOCAL : CLOSE_RESET);
		assert_int_equal(stage_heard(st, LISTENER, EVENT_CLOSED, 0)->at, at + (listener ? 0 : THERE));
		assert_int_equal(stage_count(st, DIALER, EVENT_SECURED), 0);
		assert_int_equal(stage_count(st, LISTENER, EVENT_SECURED), 1);
		assert_int_equal(stage_heard(st, DIALER + 1, EVENT_SECURED, 0)->at, 2 * ROUND + 80 * JOB);
		assert_int_equal(sim_connections(st->sim), 1);
		stage_free(st);
	}
}

/* A crash takes the jobs with it: the new process begins with none, and its first handshake takes as long as any. */
static void crash_takes_jobs(void **state)
{
	(void)state;
	for (int how = SIM_CRASH_RESET; how <= SIM_CRASH_SILENT_REFUSE; how++) {
		struct stage *st = tls_stage(1, 3);
		for (uint32_t i = 0; i < 3; i++) stage_dial(st, DIALER + i, LISTENER);
		sim_run(st->sim, ROUND + THERE + JOB / 2);
		sim_crash(st->sim, LISTENER, (enum sim_crash)how);
		assert_int_equal(sim_cpu(st->sim, LISTENER).handshakes, 0);
		sim_boot(st->sim, LISTENER);
		stage_forget(st);
		stage_dial(st, DIALER, LISTENER);
		sim_run(st->sim, NS_S);
		assert_int_equal(stage_heard(st, DIALER, EVENT_SECURED, 0)->at, 3 * ROUND + THERE + JOB / 2 + JOB);
		assert_int_equal(stage_count(st, LISTENER, EVENT_SECURED), 1);
		if (how == SIM_CRASH_RESET) assert_int_equal(sim_connections(st->sim), 1);
		stage_free(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secured_after_a_round_trip_and_a_job),
		cmocka_unit_test(no_price_no_wait),
		cmocka_unit_test(chain_is_seen),
		cmocka_unit_test(data_is_behind_the_handshake),
		cmocka_unit_test(job_waits_for_both),
		cmocka_unit_test(jobs_share_cores),
		cmocka_unit_test(jobs_join_and_leave),
		cmocka_unit_test(jobs_are_a_fluid),
		cmocka_unit_test(steps_come_first),
		cmocka_unit_test(end_during_job),
		cmocka_unit_test(crash_takes_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
