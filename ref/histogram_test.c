/* What a histogram says is never too low, and too high by a step at most. */
#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void exact_below_64(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	assert_int_equal(histogram_quantile(&h, 500), 0);
	for (uint64_t i = 0; i < 64; i++) histogram_add(&h, i);
	assert_int_equal(histogram_quantile(&h, 0), 0);
	assert_int_equal(histogram_quantile(&h, 500), 31);
	assert_int_equal(histogram_quantile(&h, 1000), 63);
	assert_int_equal(h.n, 64);
}

/* Alone in a histogram whose maximum is far away, each value is read at most 1/32 too high and never too low. */
static void within_a_step(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < UINT64_MAX / 3; v += v / 8 + 1) {
		struct histogram h = { 0 };
		uint64_t got;
		histogram_add(&h, v);
		histogram_add(&h, UINT64_MAX);
		got = histogram_quantile(&h, 500);
		assert_true(got >= v && got - v <= v / HISTOGRAM_STEPS);
		assert_true(histogram_quantile(&h, 1000) == UINT64_MAX);
	}
}

static void quantiles(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) histogram_add(&h, i * 1000);
	assert_in_range(histogram_quantile(&h, 500), 500000, 516000);
	assert_in_range(histogram_quantile(&h, 990), 990000, 1000000);
	assert_int_equal(h.max, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_below_64),
		cmocka_unit_test(within_a_step),
		cmocka_unit_test(quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
