/* The queue against a plain sorted list: whatever a simulation does with it, the earliest leaves first, and of equal times the one
 * that came first. */
#include "queue.h"

#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MODEL_MAX = 8192 };
#define MS UINT64_C(1000000)

/* A queue and what it should hold, in order. Every event's id is its number of insertion. */
struct world {
	struct queue q;
	struct queued model[MODEL_MAX]; /* from `first` */
	uint32_t first, n, ids;
	struct prng draw;
};

static struct world *world_new(const char *name)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	queue_init(&w->q);
	w->draw = prng_make(1, name, "queue");
	return w;
}

static void world_free(struct world *w)
{
	queue_free(&w->q);
	free(w);
}

static void push(struct world *w, uint64_t at)
{
	uint32_t lo = w->first, hi = w->first + w->n, id = w->ids++;

	if (hi == MODEL_MAX) {
		memmove(w->model, w->model + w->first, w->n * sizeof *w->model);
		w->first = lo = 0, hi = w->n;
	}
	assert_true(w->n < MODEL_MAX);
	while (lo < hi) { /* behind all that are not later */
		uint32_t mid = lo + (hi - lo) / 2;
		if (w->model[mid].at <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	memmove(w->model + lo + 1, w->model + lo, (w->first + w->n++ - lo) * sizeof *w->model);
	w->model[lo] = (struct queued){ .at = at, .kind = id % 7, .id = id };
	queue_push(&w->q, at, id % 7, id);
	assert_int_equal(w->q.n, w->n);
}

static void assert_queued(const struct queued *got, const struct queued *want)
{
	assert_int_equal(got->at, want->at);
	assert_int_equal(got->id, want->id);
	assert_int_equal(got->kind, want->kind);
}

/* Takes the next at or before `until`, as the model does; what the queue says comes next is true. Returns whether there was one. */
static bool pop(struct world *w, uint64_t until)
{
	bool due = w->n > 0 && w->model[w->first].at <= until;
	struct queued e;

	for (uint32_t k = 0; k < 4; k++) {
		const struct queued *next = queue_next(&w->q, k);
		if (next == NULL) break;
		assert_true(k < w->n);
		assert_queued(next, &w->model[w->first + k]);
	}
	assert_int_equal(queue_pop(&w->q, until, &e), due);
	if (!due) return false;
	assert_queued(&e, &w->model[w->first]);
	w->first++, w->n--;
	assert_int_equal(w->q.n, w->n);
	return true;
}

static void empty(struct world *w)
{
	while (pop(w, UINT64_MAX)) continue;
	assert_int_equal(w->q.n, 0);
}

/* ---- the patterns of a simulation ---- */

/* How far ahead events are pushed: each pattern draws from its list, a number below the value, or the value itself. */
struct pattern {
	const char *name;
	uint32_t pending; /* on average */
	struct {
		uint64_t ns;
		bool exact;
	} ahead[6];
	uint32_t kinds;
};

static uint64_t ahead(struct world *w, const struct pattern *p)
{
	uint32_t k = (uint32_t)prng_below(&w->draw, p->kinds);
	uint64_t ns = p->ahead[k].ns, at;

	if (!p->ahead[k].exact) ns = prng_below(&w->draw, ns);
	at = w->q.now + ns;
	return at < w->q.now ? UINT64_MAX : at;
}

static void run_pattern(const struct pattern *p)
{
	struct world *w = world_new(p->name);

	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t pushes = (uint32_t)prng_below(&w->draw, w->n < p->pending ? 4 : 2);
		uint64_t until = w->q.now + prng_below(&w->draw, 20 * MS);
		for (uint32_t i = 0; i < pushes; i++) push(w, ahead(w, p));
		if (step % 3 != 0 || until < w->q.now) until = UINT64_MAX;
		pop(w, until);
		if (step % 10000 == 9999) empty(w); /* a world may fall silent */
	}
	empty(w);
	world_free(w);
}

/* Timers, latencies and steps of hosts; few and many; a world that ends at the end of time. */
static void against_model(void **state)
{
	static const struct pattern pattern[] = {
		{ "idle clients", 3, { { 60000 * MS, true }, { 65000 * MS, false } }, 2 },
		{ "a busy star", 4000, { { 10 * MS, true }, { 20 * MS, true }, { 2000, false }, { 0, true } }, 4 },
		{ "one latency", 1000, { { 10 * MS, true } }, 1 },
		{ "one instant", 500, { { 0, true } }, 1 },
		{ "steps of a host", 200, { { 1, true }, { 700, true }, { 3000, false }, { 0, true } }, 4 },
		{ "near and far",
		  2000,
		  { { 50, false }, { MS, false }, { 120000 * MS, false }, { UINT64_MAX / 2, false }, { 15000 * MS, true } },
		  5 },
		{ "the end of time", 300, { { UINT64_MAX, true }, { UINT64_MAX - 3, false }, { UINT64_MAX / 3, true }, { 100, false } }, 4 },
		{ "all of the same few", 1500, { { 1, true }, { 2, true }, { 3, true }, { 0, true } }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) run_pattern(&pattern[i]);
}

/* Events of one time leave in the order in which they came, also those that come while it is that time. */
static void equal_times_in_order(void **state)
{
	struct world *w = world_new("equal");

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) push(w, i % 2 == 0 ? 5 * MS : 5 * MS + 1);
	for (uint32_t i = 0; i < 3000; i++) {
		assert_true(pop(w, UINT64_MAX));
		if (i < 2000) push(w, w->q.now);
	}
	assert_int_equal(w->n, 0);
	assert_false(pop(w, UINT64_MAX));
	world_free(w);
}

/* A look that finds nothing due leaves time where it was: what comes next may be earlier than what waits. */
static void until_keeps_time(void **state)
{
	struct world *w = world_new("until");

	(void)state;
	assert_false(pop(w, UINT64_MAX));
	for (uint64_t i = 0; i < 200; i++) push(w, 100 * MS + i); /* more than a run */
	assert_false(pop(w, 99 * MS));
	push(w, 3);
	push(w, 50 * MS);
	assert_false(pop(w, 2));
	assert_true(pop(w, 3));
	assert_false(pop(w, 50 * MS - 1));
	push(w, 4);
	assert_true(pop(w, 4));
	assert_true(pop(w, 50 * MS));
	assert_false(pop(w, 100 * MS - 1));
	assert_true(pop(w, 100 * MS));
	assert_false(pop(w, 100 * MS)); /* the rest of the run is later */
	push(w, 100 * MS);
	assert_true(pop(w, 100 * MS));
	empty(w);
	push(w, 200 * MS);
	push(w, 200 * MS + 1);
	assert_false(pop(w, 199 * MS));
	for (uint64_t i = 0; i < 3 * QUEUE_RUN_MAX; i++) push(w, 150 * MS + i * 1000); /* more than a run of earlier ones */
	empty(w);
	world_free(w);
}

static uint32_t run_length(const struct queue *q) { return q->run.n - q->front; }

/* What comes for the span of the run makes it longer only up to QUEUE_RUN_MAX: then its later half goes back, never between equals. */
static void long_run_is_cut(void **state)
{
	(void)state;
	for (uint32_t equals = 1; equals <= 64; equals *= 2) {
		struct world *w = world_new("cut");
		push(w, 1 << 20);
		push(w, (1 << 20) + (1 << 17));
		assert_true(pop(w, UINT64_MAX)); /* the run spans a quarter of a million */
		assert_true(w->q.run_end >= (1 << 20) + (1 << 17));
		for (uint32_t i = 0; i < 3 * QUEUE_RUN_MAX; i++) {
			uint64_t at = (w->q.now + prng_below(&w->draw, 400)) / equals * equals + equals;
			bool into_run = at <= w->q.run_end;
			uint32_t before = run_length(&w->q);
			push(w, at);
			assert_true(run_length(&w->q) <= (into_run ? QUEUE_RUN_MAX : before));
			if (i % 5 == 0) assert_true(pop(w, UINT64_MAX));
		}
		assert_true(w->q.run_end < (1 << 20) + (1 << 17)); /* it was cut indeed */
		empty(w);
		world_free(w);
	}
}

/* Events of one time cannot be cut apart: their run is as long as they are many, and the later ones leave it. */
static void equals_are_not_cut(void **state)
{
	struct world *w = world_new("not cut");

	(void)state;
	push(w, 1000);
	push(w, 1020);
	assert_true(pop(w, UINT64_MAX)); /* the run spans up to 1023 */
	for (uint32_t i = 0; i < 4 * QUEUE_RUN_MAX; i++) push(w, 1001);
	assert_int_equal(run_length(&w->q), 4 * QUEUE_RUN_MAX);
	assert_int_equal(w->q.run_end, 1019);
	for (uint32_t i = 0; i < 4 * QUEUE_RUN_MAX; i++) push(w, 1001 + i % 3);
	empty(w);
	world_free(w);
}

/* A hundred thousand of one instant, each of which begets another at the same: no push may look at or move them all. A queue that
 * does takes minutes here. */
static void crowd_of_one_instant(void **state)
{
	enum { CROWD = 131072 };
	struct queue q;
	struct queued e;

	(void)state;
	queue_init(&q);
	for (uint32_t round = 0; round < 4; round++)
		for (uint32_t i = 0; i < CROWD; i++) queue_push(&q, 0, 0, round * CROWD + i);
	for (uint32_t i = 0; i < 8 * CROWD; i++) {
		if (!queue_pop(&q, 0, &e) || e.id != i) fail_msg("event %u is not where it belongs", i);
		if (i < 4 * CROWD) queue_push(&q, 0, 0, 4 * CROWD + i);
	}
	assert_false(queue_pop(&q, UINT64_MAX, &e));
	queue_free(&q);
}

/* What comes next is known as far as the run goes, and only that far. */
static void next_is_known(void **state)
{
	struct world *w = world_new("next");

	(void)state;
	assert_null(queue_next(&w->q, 0));
	for (uint32_t i = 0; i < 10; i++) push(w, 2000 + i);
	assert_null(queue_next(&w->q, 0)); /* nobody has looked yet */
	assert_true(pop(w, UINT64_MAX));
	for (uint32_t k = 0; k < 9; k++) {
		assert_non_null(queue_next(&w->q, k));
		assert_int_equal(queue_next(&w->q, k)->id, k + 1);
	}
	assert_null(queue_next(&w->q, 9));
	empty(w);
	assert_null(queue_next(&w->q, 0));
	world_free(w);
}

/* Every pair of times that differ in one bit alone, pushed in either order. */
static void every_bit(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 64; bit++)
		for (uint32_t other = 0; other < 64; other++) {
			struct world *w = world_new("bit");
			push(w, UINT64_C(1) << bit);
			push(w, UINT64_C(1) << other);
			push(w, UINT64_C(1) << bit | UINT64_C(1) << other);
			push(w, UINT64_MAX);
			push(w, 0);
			empty(w);
			world_free(w);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_model),      cmocka_unit_test(equal_times_in_order),
		cmocka_unit_test(until_keeps_time),   cmocka_unit_test(long_run_is_cut),
		cmocka_unit_test(equals_are_not_cut), cmocka_unit_test(crowd_of_one_instant),
		cmocka_unit_test(next_is_known),      cmocka_unit_test(every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
