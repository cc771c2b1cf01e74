/* Two pipes and a wire that loses, doubles and reorders. */
#include "pipe.h"

#include "machine.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIRE = 400, TOTAL = 700000 };

struct end {
	struct pipe pipe;
	uint32_t put, got; /* bytes of TOTAL */
	uint32_t total;
	bool over;
};

struct item {
	int to;
	uint32_t n;
	uint8_t bytes[PIPE_PACKET];
};

struct world {
	struct end end[2];
	struct item *wire;
	uint32_t items, sent, again;
	uint64_t now;
	struct rng rng;
	uint32_t lose, twice, swap; /* in 1000 */
};

static uint8_t byte_of(int end, uint32_t i) { return (uint8_t)(i * 31 + (i >> 8) * 7 + (uint32_t)end * 101); }

static void setup(struct world *w, uint8_t seed, uint32_t total0, uint32_t total1)
{
	const uint8_t seeds[32] = { seed };

	*w = (struct world){ .wire = calloc(WIRE, sizeof(struct item)) };
	rng_init(&w->rng, seeds);
	for (int i = 0; i < 2; i++) pipe_init(&w->end[i].pipe, 11 + (uint64_t)i);
	w->end[0].total = total0, w->end[1].total = total1;
}

static bool chance(struct world *w, uint32_t permille) { return permille != 0 && rng_range(&w->rng, RNG_SHUFFLE, 0, 999) < permille; }

static void feed(struct world *w, int i)
{
	struct end *e = &w->end[i];
	uint8_t bytes[5000];

	while (e->put < e->total && pipe_room(&e->pipe) != 0) {
		uint32_t n = e->total - e->put < sizeof bytes ? e->total - e->put : (uint32_t)sizeof bytes;
		for (uint32_t k = 0; k < n; k++) bytes[k] = byte_of(i, e->put + k);
		e->put += pipe_put(&e->pipe, bytes, n);
	}
	if (e->put == e->total) pipe_finish(&e->pipe);
}

static void send_all(struct world *w, int i)
{
	uint8_t packet[PIPE_PACKET];
	uint32_t n;

	feed(w, i);
	while ((n = pipe_next(&w->end[i].pipe, w->now, packet)) != 0) {
		w->sent++;
		for (int copies = chance(w, w->twice) ? 2 : 1; copies > 0 && !chance(w, w->lose); copies--) {
			assert_true(w->items < WIRE);
			w->wire[w->items].to = !i, w->wire[w->items].n = n;
			memcpy(w->wire[w->items++].bytes, packet, n);
		}
		assert_true(w->end[i].pipe.most - w->end[i].pipe.acked <= PIPE_WINDOW + 1);
	}
}

static void arrive(struct world *w)
{
	struct item *x = &w->wire[chance(w, w->swap) && w->items > 1 ? 1 : 0];
	struct end *e = &w->end[x->to];
	const uint8_t *data;
	uint32_t n;

	assert_int_equal(pipe_take(&e->pipe, w->now, x->bytes, x->n, &data, &n), PIPE_TAKEN);
	for (uint32_t k = 0; k < n; k++) assert_int_equal(data[k], byte_of(!x->to, e->got + k));
	e->got += n;
	memmove(x, x + 1, (size_t)(&w->wire[--w->items] - x) * sizeof *x);
}

static void run(struct world *w)
{
	for (int turn = 0; !pipe_over(&w->end[0].pipe) || !pipe_over(&w->end[1].pipe); turn++) {
		uint64_t at[2];
		assert_true(turn < 100000);
		for (int i = 0; i < 2; i++) send_all(w, i);
		if (w->items != 0) {
			arrive(w);
			continue;
		}
		for (int i = 0; i < 2; i++) at[i] = pipe_deadline(&w->end[i].pipe);
		if (at[0] == TIME_NEVER && at[1] == TIME_NEVER) continue;
		w->now = at[0] < at[1] ? at[0] : at[1];
		for (int i = 0; i < 2; i++) pipe_timer(&w->end[i].pipe, w->now);
	}
	for (int i = 0; i < 2; i++) assert_int_equal(w->end[i].got, w->end[!i].total);
}

/* Nothing is lost: nothing is sent twice, and no time passes. */
static void whole(void **state)
{
	struct world w;

	(void)state;
	setup(&w, 1, TOTAL, 0);
	run(&w);
	assert_int_equal(w.now, 0);
	assert_true(w.sent < 3 * (TOTAL / PIPE_DATA + 2));
	free(w.wire);
	setup(&w, 1, 0, 0);
	run(&w);
	free(w.wire);
}

static void faulty(void **state)
{
	(void)state;
	for (uint8_t seed = 0; seed < 40; seed++) {
		struct world w;
		setup(&w, seed, TOTAL / 4, seed % 2 == 0 ? TOTAL / 4 : 1);
		w.lose = seed % 4 * 50, w.twice = seed % 3 * 50, w.swap = seed % 5 * 40;
		run(&w);
		free(w.wire);
	}
}

/* A lost packet that others follow costs no time. */
static void quick(void **state)
{
	struct world w;

	(void)state;
	setup(&w, 1, 10 * PIPE_DATA, 0);
	send_all(&w, 0);
	memmove(w.wire, w.wire + 1, --w.items * sizeof *w.wire); /* the first one */
	run(&w);
	assert_int_equal(w.now, 0);
	assert_in_range(w.sent, 20, 45);
	free(w.wire);
}

/* Nobody answers: again after 500 ms, 1 s, 2 s, 4 s, 4 s; an answer begins anew. */
static void patience(void **state)
{
	static const uint64_t wait[] = { 500, 1000, 2000, 4000, 4000 };
	struct world w;
	uint64_t now = 0;

	(void)state;
	setup(&w, 1, 100, 0);
	for (size_t i = 0; i < sizeof wait / sizeof *wait; i++) {
		send_all(&w, 0);
		assert_int_equal(w.items, i + 1);
		assert_int_equal(pipe_deadline(&w.end[0].pipe), now + wait[i] * NS_MS);
		pipe_timer(&w.end[0].pipe, pipe_deadline(&w.end[0].pipe) - 1);
		send_all(&w, 0);
		assert_int_equal(w.items, i + 1);
		now = w.now = pipe_deadline(&w.end[0].pipe);
		pipe_timer(&w.end[0].pipe, now);
	}
	arrive(&w);
	send_all(&w, 1);
	assert_int_equal(w.wire[w.items - 1].to, 0);
	w.wire[0] = w.wire[w.items - 1], w.items = 1;
	arrive(&w);
	assert_true(pipe_all_sent(&w.end[0].pipe));
	assert_int_equal(pipe_deadline(&w.end[0].pipe), TIME_NEVER);
	send_all(&w, 0); /* it was about to send it all again, and owes an ACK only */
	assert_int_equal(w.items, 1);
	assert_int_equal(w.wire[0].n, PIPE_HEADER);
	free(w.wire);
}

/* What is no packet of this pipe is ignored; a new run of the other side is an end, once bytes have passed. */
static void strangers(void **state)
{
	struct world w;
	struct pipe other;
	uint8_t packet[PIPE_PACKET + 1];
	const uint8_t *data;
	uint32_t n, got;

	(void)state;
	setup(&w, 1, 10, 10);
	feed(&w, 0);
	n = pipe_next(&w.end[0].pipe, 0, packet);
	for (uint32_t cut = 0; cut < PIPE_HEADER; cut++) assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, cut, &data, &got), PIPE_IGNORED);
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, PIPE_PACKET + 1, &data, &got), PIPE_IGNORED);
	packet[3] = '2';
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, n, &data, &got), PIPE_IGNORED);
	packet[3] = '1', packet[23] = 99; /* for another run of ours */
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, n, &data, &got), PIPE_IGNORED);
	packet[23] = 0;
	assert_false(pipe_heard(&w.end[1].pipe));
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, n, &data, &got), PIPE_TAKEN);
	assert_int_equal(got, 10);
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, n, &data, &got), PIPE_TAKEN);
	assert_int_equal(got, 0); /* known */
	pipe_init(&other, 77);
	pipe_put(&other, packet, 5);
	n = pipe_next(&other, 0, packet);
	assert_int_equal(pipe_take(&w.end[1].pipe, 0, packet, n, &data, &got), PIPE_ANEW);
	assert_int_equal(pipe_take(&w.end[0].pipe, 0, packet, n, &data, &got), PIPE_TAKEN); /* nothing has passed yet */
	assert_int_equal(got, 5);
	packet[39] = 200; /* acknowledges what was never sent */
	assert_int_equal(pipe_take(&w.end[0].pipe, 0, packet, n, &data, &got), PIPE_TAKEN);
	assert_int_equal(w.end[0].pipe.acked, 0);
	free(w.wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole), cmocka_unit_test(faulty), cmocka_unit_test(quick), cmocka_unit_test(patience), cmocka_unit_test(strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
