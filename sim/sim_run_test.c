/* The run: its order, its clock, and that it is a function of the world and the seed. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- calls, time, moments ---- */

struct diary {
	struct stage *st;
	uint32_t call[2];
	struct {
		uint64_t at;
		uint32_t arg;
	} line[64];
	uint32_t lines, again, moments_at[64];
};

static void write_down(void *ctx, uint32_t arg)
{
	struct diary *d = ctx;

	assert_true(d->lines < 64);
	d->moments_at[d->lines] = d->st->moments;
	d->line[d->lines].at = sim_now(d->st->sim);
	d->line[d->lines++].arg = arg;
	if (arg == 7 && d->again > 0) sim_call_at(d->st->sim, d->call[0], sim_now(d->st->sim) + (d->again-- > 1 ? 10 : 0));
	if (arg == 8) sim_moment(d->st->sim);
}

static struct diary *diary_new(void)
{
	struct diary *d = mem_zero(1, sizeof *d);

	d->st = stage_new(1, NS_MS);
	d->call[0] = sim_call_add(d->st->sim, write_down, d, 7);
	d->call[1] = sim_call_add(d->st->sim, write_down, d, 8);
	return d;
}

static void diary_free(struct diary *d)
{
	stage_free(d->st);
	free(d);
}

/* Calls come at their times, equal ones in the order of arming; each arming is one call; one for the past comes at once; a call may
 * arm itself. */
static void calls_in_order(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t arg;
	} want[] = { { 50, 8 }, { 100, 7 }, { 100, 8 }, { 100, 7 }, { 100, 7 }, { 110, 7 }, { 300, 8 } };
	struct diary *d = diary_new();

	(void)state;
	sim_call_at(d->st->sim, d->call[0], 100);
	sim_call_at(d->st->sim, d->call[1], 100);
	sim_call_at(d->st->sim, d->call[1], 50);
	sim_call_at(d->st->sim, d->call[0], 100);
	d->again = 2; /* after 10 ns, and then at once */
	sim_run(d->st->sim, 300);
	sim_call_at(d->st->sim, d->call[1], 20);
	sim_run(d->st->sim, 300);
	assert_int_equal(d->lines, sizeof want / sizeof *want);
	for (uint32_t i = 0; i < d->lines; i++) {
		assert_int_equal(d->line[i].at, want[i].at);
		assert_int_equal(d->line[i].arg, want[i].arg);
	}
	diary_free(d);
}

static void stop(void *ctx, uint32_t arg)
{
	(void)arg;
	sim_stop(ctx);
}

/* A run takes what is due at its end, and then it is that time, whether anything happened or not. Stopped, it stays at the event
 * under way, and the next run goes on behind it. */
static void runs_until(void **state)
{
	struct diary *d = diary_new();
	uint32_t halt = sim_call_add(d->st->sim, stop, d->st->sim, 0);

	(void)state;
	sim_run(d->st->sim, 40);
	assert_int_equal(sim_now(d->st->sim), 40);
	sim_call_at(d->st->sim, d->call[0], 60);
	sim_run(d->st->sim, 59);
	assert_int_equal(d->lines, 0);
	sim_run(d->st->sim, 60);
	assert_int_equal(d->lines, 1);
	sim_call_at(d->st->sim, halt, 70);
	sim_call_at(d->st->sim, d->call[0], 70);
	sim_run(d->st->sim, 100);
	assert_int_equal(sim_now(d->st->sim), 70);
	assert_int_equal(d->lines, 1);
	sim_run(d->st->sim, 100);
	assert_int_equal(d->lines, 2);
	assert_int_equal(d->line[1].at, 70);
	assert_int_equal(sim_now(d->st->sim), 100);
	diary_free(d);
}

/* The moment hook comes once at the end of the instant in which it was asked for, behind all that happens then. */
static void moments_end_instants(void **state)
{
	struct diary *d = diary_new();

	(void)state;
	sim_call_at(d->st->sim, d->call[1], 10); /* asks */
	sim_call_at(d->st->sim, d->call[1], 10); /* twice */
	sim_call_at(d->st->sim, d->call[0], 10);
	sim_call_at(d->st->sim, d->call[0], 11);
	sim_call_at(d->st->sim, d->call[1], 20);
	sim_run(d->st->sim, 20);
	assert_int_equal(d->lines, 5);
	for (uint32_t i = 0; i < 3; i++) assert_int_equal(d->moments_at[i], 0);
	assert_int_equal(d->moments_at[3], 1);
	assert_int_equal(d->moments_at[4], 1);
	assert_int_equal(d->st->moments, 2); /* the run's end is an instant's end */
	sim_run(d->st->sim, 100);
	assert_int_equal(d->st->moments, 2);
	diary_free(d);
}

/* ---- determinism ---- */

enum { WILD_HOSTS = 4 };

struct wild {
	uint64_t seed;
	uint32_t extra; /* hosts that do nothing */
	uint32_t steps;
	uint64_t late; /* ns: the second half of the steps comes later */
	bool crashes;
};

static struct stage *wild_open(const struct wild *w)
{
	struct stage *st = stage_new(w->seed, NS_MS);
	struct prng draw = prng_make(1, "wild", "world"); /* one world for all seeds */

	for (uint32_t i = 0; i < WILD_HOSTS + w->extra; i++) {
		struct puppet_host *h = &st->host[stage_host(st, true)];
		h->config.window = i % 2 ? 65536 : SIM_WINDOW;
		h->config.cores = 1 + i % 2;
		h->config.user_timeout_ns = 15 * NS_S;
		h->config.fds = 12;
		h->config.listener.backlog = 2;
		h->tls = i < 2;
		if (i < WILD_HOSTS) h->cost.step_ps = 1000 * prng_below(&draw, 100 * NS_US);
		h->cost.handshake_ns = 2 * NS_MS;
	}
	for (uint32_t i = 0; i < WILD_HOSTS; i++)
		for (uint32_t k = 0; k < WILD_HOSTS; k++)
			st->path[i][k] = (struct sim_path){ .latency_ns = prng_below(&draw, 20 * NS_MS),
				                            .jitter_ns = 3 * NS_MS,
				                            .rate_bps = i % 2 * 50000000 };
	stage_open(st);
	return st;
}

static void wild_order(struct stage *st, uint32_t host, struct prng *draw)
{
	struct puppet_host *h = &st->host[host];
	struct puppet_end *end = h->ends == 0 ? NULL : &h->end[h->ends - 1 - prng_below(draw, h->ends < 8 ? h->ends : 8)];
	uint32_t what = (uint32_t)prng_below(draw, 48);
	uint64_t n = prng_below(draw, what < 8 ? 60000 : 3000);

	if (end == NULL || !end->open) {
		if (what < 4) stage_dial(st, host, (host + 1 + (uint32_t)prng_below(draw, WILD_HOSTS - 1)) % WILD_HOSTS);
	} else if (end->aborted || end->finished) {
		return;
	} else if (what == 47) {
		stage_close(st, host, end->token, !end->connected || n % 2);
	} else if (!end->connected) {
		return;
	} else if (what < 38) {
		stage_send(st, host, end->token, n);
	} else if (what < 46) {
		stage_read(st, host, end->token, what == 38 ? 0 : 1 + 6 * n);
	} else {
		stage_work(st, host, n * 3000);
	}
}

static void wild_step(struct stage *st, const struct wild *w, struct prng *draw)
{
	uint32_t host = (uint32_t)prng_below(draw, WILD_HOSTS), what = (uint32_t)prng_below(draw, 300);

	if (!sim_host_up(st->sim, host)) {
		if (what < 20) sim_boot(st->sim, host);
	} else if (w->crashes && what == 0) {
		sim_crash(st->sim, host, (enum sim_crash)prng_below(draw, 3));
	} else {
		wild_order(st, host, draw);
	}
}

static struct stage *wild_run(const struct wild *w)
{
	struct stage *st = wild_open(w);
	struct prng draw = prng_make(1, "wild", "steps"); /* the same story for all seeds */
	uint64_t now = 0;

	for (uint32_t i = 0; i < w->steps; i++) {
		if (i == w->steps / 2) now += w->late;
		sim_run(st->sim, now);
		wild_step(st, w, &draw);
		now += prng_below(&draw, 4 * NS_MS);
	}
	sim_run(st->sim, now + NS_S);
	return st;
}

static bool same(struct sim_digest a, struct sim_digest b) { return a.a == b.a && a.b == b.b; }

/* One seed, one run, to the last event. Another seed draws other jitter and is another run. */
static void same_seed_same_run(void **state)
{
	struct wild w = { .seed = 1, .steps = 3000, .crashes = true };
	struct stage *a = wild_run(&w), *b = wild_run(&w), *c;

	(void)state;
	assert_true(sim_events(a->sim) > 3000);
	assert_int_equal(sim_events(a->sim), sim_events(b->sim));
	assert_true(same(sim_digest(a->sim), sim_digest(b->sim)));
	w.seed = 2;
	c = wild_run(&w);
	assert_false(same(sim_digest(a->sim), sim_digest(c->sim)));
	stage_free(a);
	stage_free(b);
	stage_free(c);
}

/* The digest sees a step that comes a nanosecond later. */
static void digest_sees_a_nanosecond(void **state)
{
	struct wild w = { .seed = 1, .steps = 200 };
	struct stage *a = wild_run(&w), *b;

	(void)state;
	w.late = 1;
	b = wild_run(&w);
	assert_false(same(sim_digest(a->sim), sim_digest(b->sim)));
	stage_free(a);
	stage_free(b);
}

/* A host more shifts nothing for the others: they hear the same at the same times (draws belong to hosts, by name). */
static void another_host_shifts_nothing(void **state)
{
	struct wild w = { .seed = 1, .steps = 2000 };
	struct stage *a = wild_run(&w), *b;

	(void)state;
	w.extra = 3;
	b = wild_run(&w);
	for (uint32_t i = 0; i < WILD_HOSTS; i++) {
		assert_int_equal(a->host[i].heard_n, b->host[i].heard_n);
		for (uint32_t k = 0; k < a->host[i].heard_n; k++) {
			assert_int_equal(a->host[i].heard[k].at, b->host[i].heard[k].at);
			assert_int_equal(a->host[i].heard[k].kind, b->host[i].heard[k].kind);
			assert_int_equal(a->host[i].heard[k].n, b->host[i].heard[k].n);
		}
	}
	stage_free(a);
	stage_free(b);
}

/* Two hosts that send at the same times over the same jittery path do not draw the same. */
static void hosts_draw_apart(void **state)
{
	enum { SENDS = 50 };
	struct stage *st = stage_new(1, NS_MS);
	uint64_t token[2];
	uint32_t same_time = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) stage_host(st, i >= 2);
	st->path[0][2].jitter_ns = st->path[1][3].jitter_ns = 20 * NS_MS;
	stage_open(st);
	for (uint32_t i = 0; i < 2; i++) token[i] = stage_connect(st, i, 2 + i, NULL);
	stage_forget(st);
	for (uint32_t k = 0; k < SENDS; k++) {
		for (uint32_t i = 0; i < 2; i++) stage_send(st, i, token[i], 1);
		sim_run(st->sim, sim_now(st->sim) + NS_S);
		same_time += stage_heard(st, 2, EVENT_BYTES, k)->at == stage_heard(st, 3, EVENT_BYTES, k)->at;
	}
	assert_int_equal(stage_count(st, 3, EVENT_BYTES), SENDS);
	assert_true(same_time < SENDS / 10);
	stage_free(st);
}

/* Bytes that differ in their last place, with the same length at the same time, are other runs; what hooks are there is not. */
static void digest_sees_bytes_not_hooks(void **state)
{
	struct sim_digest digest[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct stage *st = stage_new(1, NS_MS);
		uint64_t token;
		stage_host(st, false);
		stage_host(st, true);
		if (i == 2) st->table[199] ^= 1;
		if (i == 3) { /* the stage without ears */
			struct sim_hooks deaf = { .ctx = st, .make = stage_make, .configure = stage_configure, .path = stage_path };
			sim_free(st->sim);
			st->sim = sim_new(1, &deaf, NULL);
		}
		stage_open(st);
		token = stage_connect(st, 0, 1, NULL);
		stage_send(st, 0, token, 200);
		sim_run(st->sim, 2 * NS_S);
		digest[i] = sim_digest(st->sim);
		stage_free(st);
	}
	assert_true(same(digest[0], digest[1]));
	assert_false(same(digest[0], digest[2]));
	assert_true(same(digest[0], digest[3]));
}

/* Hosts that crash, vanish and come back among all this: the puppets hold the engine to the seam at each event, and when the last
 * ends have gone there is no connection left. */
static void wild_with_crashes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 25; seed++) {
		struct wild w = { .seed = seed, .crashes = true };
		struct stage *st = wild_open(&w);
		struct prng draw = prng_make(seed, "wild", "crashes");
		uint64_t now = 0;
		for (uint32_t i = 0; i < 4000; i++) {
			sim_run(st->sim, now);
			wild_step(st, &w, &draw);
			now += prng_below(&draw, 300) == 0 ? 20 * NS_S : prng_below(&draw, 4 * NS_MS);
		}
		now += 3000 * NS_S; /* whoever can hear of an end has heard of it */
		sim_run(st->sim, now);
		for (uint32_t i = 0; i < WILD_HOSTS; i++) {
			if (!sim_host_up(st->sim, i)) sim_boot(st->sim, i);
			for (uint32_t k = 0; k < st->host[i].ends; k++)
				if (st->host[i].end[k].open) stage_close(st, i, st->host[i].end[k].token, true);
		}
		sim_run(st->sim, now + NS_S);
		assert_int_equal(sim_connections(st->sim), 0);
		for (uint32_t i = 0; i < WILD_HOSTS; i++) {
			assert_int_equal(sim_cpu(st->sim, i).handshakes, 0);
			assert_int_equal(sim_cpu(st->sim, i).ready, 0);
		}
		stage_free(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_in_order),           cmocka_unit_test(runs_until),
		cmocka_unit_test(moments_end_instants),     cmocka_unit_test(same_seed_same_run),
		cmocka_unit_test(digest_sees_a_nanosecond), cmocka_unit_test(another_host_shifts_nothing),
		cmocka_unit_test(hosts_draw_apart),         cmocka_unit_test(digest_sees_bytes_not_hooks),
		cmocka_unit_test(wild_with_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
