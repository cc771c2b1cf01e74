/* Timers against a naive model, small ones by hand. */
#include "machine.h"
#include "timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Ties fire in order of setting; setting again is a new place in that order. */
static void order_of_ties(void **state)
{
	struct timer x[4] = { { .owner = 0 }, { .owner = 1 }, { .owner = 2 }, { .owner = 3 } };
	struct timers t;

	(void)state;
	timers_init(&t);
	assert_true(timers_deadline(&t) == TIME_NEVER);
	for (int i = 0; i < 4; i++) timer_set(&t, &x[i], 100);
	timer_set(&t, &x[1], 100);
	timer_cancel(&t, &x[2]);
	timer_cancel(&t, &x[2]);
	assert_true(timer_at(&t, &x[2]) == TIME_NEVER);
	assert_true(timer_at(&t, &x[1]) == 100);
	assert_null(timers_pop(&t, 99));
	assert_ptr_equal(timers_pop(&t, 100), &x[0]);
	assert_false(timer_is_set(&x[0]));
	assert_ptr_equal(timers_pop(&t, 100), &x[3]);
	timer_set(&t, &x[3], 5); /* in the past: at the next pop */
	assert_ptr_equal(timers_pop(&t, 100), &x[3]);
	assert_ptr_equal(timers_pop(&t, 100), &x[1]);
	assert_null(timers_pop(&t, UINT64_MAX));
	timers_free(&t);
}

/* ---- the model: for every owner its time and order, and the earliest found by walking a bitmap of buckets ---- */

enum { TIMERS = 100000, STEPS = 400000, SPAN = 4096 };

struct model {
	uint64_t at[TIMERS], order[TIMERS];
	bool set[TIMERS];
	uint32_t head[SPAN]; /* timers of one time, unordered list by next */
	uint32_t next[TIMERS], prev[TIMERS];
	uint64_t orders;
	uint32_t n;
};

enum { NONE = UINT32_MAX };

static void model_cancel(struct model *m, uint32_t i)
{
	if (!m->set[i]) return;
	if (m->prev[i] == NONE)
		m->head[m->at[i]] = m->next[i];
	else
		m->next[m->prev[i]] = m->next[i];
	if (m->next[i] != NONE) m->prev[m->next[i]] = m->prev[i];
	m->set[i] = false;
	m->n--;
}

static void model_set(struct model *m, uint32_t i, uint64_t at)
{
	model_cancel(m, i);
	m->at[i] = at, m->order[i] = m->orders++, m->set[i] = true;
	m->prev[i] = NONE, m->next[i] = m->head[at];
	if (m->next[i] != NONE) m->prev[m->next[i]] = i;
	m->head[at] = i;
	m->n++;
}

static uint32_t model_first(const struct model *m)
{
	uint32_t best = NONE;

	for (uint64_t at = 0; at < SPAN && best == NONE; at++)
		for (uint32_t i = m->head[at]; i != NONE; i = m->next[i])
			if (best == NONE || m->order[i] < m->order[best]) best = i;
	return best;
}

static uint64_t draw(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x;
}

/* 100,000 timers set, moved and cancelled at random: the heap and the model agree on every deadline, every time and every pop. */
static void against_model(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	struct timer *x = calloc(TIMERS, sizeof *x);
	struct timers t;
	uint64_t seed = 88172645463325252u;
	uint32_t first;

	(void)state;
	assert_non_null(m);
	assert_non_null(x);
	timers_init(&t);
	for (uint32_t i = 0; i < SPAN; i++) m->head[i] = NONE;
	for (uint32_t i = 0; i < TIMERS; i++) {
		uint64_t at = draw(&seed) % SPAN;
		x[i].owner = i;
		model_set(m, i, at);
		timer_set(&t, &x[i], at);
	}
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t i = (uint32_t)(draw(&seed) % TIMERS);
		uint64_t kind = draw(&seed) % 8, at = draw(&seed) % SPAN;
		if (kind < 4) {
			model_set(m, i, at);
			timer_set(&t, &x[i], at);
		} else if (kind < 5) {
			model_cancel(m, i);
			timer_cancel(&t, &x[i]);
		} else if (step % 16 == 0) {
			struct timer *popped = timers_pop(&t, SPAN);
			first = model_first(m);
			assert_int_equal(popped == NULL ? NONE : popped->owner, first);
			if (first != NONE) model_cancel(m, first);
		}
		assert_int_equal(t.n, m->n);
		assert_int_equal(timer_is_set(&x[i]), m->set[i]);
		assert_true(timer_at(&t, &x[i]) == (m->set[i] ? m->at[i] : TIME_NEVER));
	}
	for (uint64_t last_at = 0, last_order = 0; m->n > 0;) { /* the rest comes out in one order */
		struct timer *popped;
		uint32_t i;
		assert_null(timers_pop(&t, timers_deadline(&t) - 1));
		popped = timers_pop(&t, UINT64_MAX);
		assert_non_null(popped);
		i = popped->owner;
		assert_true(m->set[i]);
		assert_true(m->at[i] > last_at || (m->at[i] == last_at && m->order[i] >= last_order));
		last_at = m->at[i], last_order = m->order[i];
		model_cancel(m, i);
	}
	assert_null(timers_pop(&t, UINT64_MAX));
	timers_free(&t);
	free(x);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(order_of_ties), cmocka_unit_test(against_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
