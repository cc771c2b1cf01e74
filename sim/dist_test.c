/* Percentiles by nearest rank, against a sorted list; those that never came stand behind all others. */
#include "dist.h"

#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 3000 };

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The smallest value such that at least per_mille of n + never samples are not above it. */
static uint64_t nearest_rank(const uint64_t *sorted, uint32_t n, uint32_t never, uint32_t per_mille)
{
	for (uint32_t i = 0; i < n; i++)
		if ((uint64_t)(i + 1) * 1000 >= (uint64_t)per_mille * (n + never)) return sorted[i];
	return DIST_NEVER;
}

/* Exact below 2048; above it at most 1/1024 too large, and never above the largest. */
static void assert_close(uint64_t got, uint64_t want, uint64_t max)
{
	assert_true(got >= want);
	if (want == DIST_NEVER) return;
	assert_true(got <= max);
	assert_true(got - want <= (want < 2048 ? 0 : want / 1024));
}

static void against_sorted(uint64_t *v, uint32_t n, uint32_t never)
{
	struct dist d;
	uint64_t sum = 0;

	dist_init(&d);
	for (uint32_t i = 0; i < n; i++) {
		dist_add(&d, v[i]);
		sum = sum + v[i] < sum ? UINT64_MAX : sum + v[i];
	}
	d.never = never;
	qsort(v, n, sizeof *v, by_value);
	assert_int_equal(d.n, n);
	assert_int_equal(d.sum, sum);
	assert_int_equal(d.min, n == 0 ? 0 : v[0]);
	assert_int_equal(d.max, n == 0 ? 0 : v[n - 1]);
	assert_int_equal(dist_mean(&d), n == 0 ? 0 : sum / n);
	for (uint32_t p = 1; p <= 1000; p += n < 100 ? 1 : 9) assert_close(dist_quantile(&d, p), nearest_rank(v, n, never, p), d.max);
	if (n > 0 && never == 0) assert_int_equal(dist_quantile(&d, 1000), v[n - 1]);
	dist_free(&d);
	assert_null(d.bucket);
}

/* A few samples, at which nearest rank differs from every other rule: of four, p50 is the second and p51 the third. */
static void few_samples(void **state)
{
	static const uint32_t per_mille[] = { 1, 250, 251, 500, 501, 750, 751, 999, 1000 };
	static const uint64_t want[] = { 10, 10, 20, 20, 30, 30, 40, 40, 40 };
	struct dist d;

	(void)state;
	dist_init(&d);
	assert_null(d.bucket); /* nothing is owned before the first */
	assert_int_equal(dist_quantile(&d, 500), DIST_NEVER);
	assert_int_equal(dist_mean(&d), 0);
	for (uint64_t v = 40; v > 0; v -= 10) dist_add(&d, v);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_int_equal(dist_quantile(&d, per_mille[i]), want[i]);
	assert_int_equal(dist_mean(&d), 25);
	dist_free(&d);
}

/* Three came and one never did: p75 is a time, p76 is never. */
static void never_comes_last(void **state)
{
	struct dist d;

	(void)state;
	dist_init(&d);
	d.never = 1;
	assert_int_equal(dist_quantile(&d, 1), DIST_NEVER);
	for (uint64_t v = 1; v <= 3; v++) dist_add(&d, v);
	assert_int_equal(dist_quantile(&d, 750), 3);
	assert_int_equal(dist_quantile(&d, 751), DIST_NEVER);
	assert_int_equal(dist_quantile(&d, 1000), DIST_NEVER);
	assert_int_equal(d.max, 3);
	assert_int_equal(dist_mean(&d), 2);
	dist_free(&d);
}

/* Samples of every magnitude, with and without some that never came. */
static void many_samples(void **state)
{
	static uint64_t v[SAMPLES];
	struct prng p = prng_make(1, "dist", "test");

	(void)state;
	for (uint32_t bits = 1; bits <= 64; bits += 3)
		for (uint32_t round = 0; round < 3; round++) {
			uint32_t n = round == 0 ? 1 + bits : round == 1 ? 1000 : SAMPLES, never = round == 1 ? bits * 5 : 0;
			for (uint32_t i = 0; i < n; i++) {
				uint32_t shift = 64 - (uint32_t)prng_range(&p, 1, bits);
				v[i] = prng_u64(&p) >> shift;
			}
			against_sorted(v, n, never);
		}
	against_sorted(v, 0, 5);
	against_sorted(v, 1, 1000);
}

/* Values next to each power of two lie in the right place, up to the largest of all; sums stay at the largest. */
static void bounds_of_buckets(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t edge = UINT64_C(1) << bit,
			 v[7] = { edge - 1, edge, edge + 1, edge + edge / 1024, edge + edge / 1024 - 1, edge / 2, UINT64_MAX };
		against_sorted(v, 7, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_samples),
		cmocka_unit_test(never_comes_last),
		cmocka_unit_test(many_samples),
		cmocka_unit_test(bounds_of_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
