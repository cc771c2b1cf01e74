/* Sets of small numbers against an array of flags. */
#include "slotset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SPAN = 20000 };

static uint32_t draw(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return (uint32_t)(*x >> 11);
}

/* Borders of words and pages, the largest number, and memory given back with the last member. */
static void borders(void **state)
{
	static const uint32_t members[] = { 0, 1, 63, 64, 511, 512, 513, 1023, 1024, 70000, SLOTSET_MAX - 1 };
	enum { N = sizeof members / sizeof *members };
	struct slotset s = { 0 };

	(void)state;
	assert_int_equal(slotset_next(&s, 0), SLOTSET_NONE);
	assert_false(slotset_has(&s, SLOTSET_MAX - 1));
	assert_false(slotset_remove(&s, 5));
	for (size_t i = 0; i < N; i++) {
		assert_true(slotset_add(&s, members[i]));
		assert_false(slotset_add(&s, members[i]));
	}
	assert_int_equal(s.n, N);
	for (size_t i = 0; i < N; i++) {
		assert_true(slotset_has(&s, members[i]));
		assert_int_equal(slotset_next(&s, members[i]), members[i]);
		assert_int_equal(slotset_next(&s, members[i] + 1), i + 1 < N ? members[i + 1] : SLOTSET_NONE);
	}
	assert_int_equal(slotset_next(&s, UINT32_MAX), SLOTSET_NONE);
	for (size_t i = 0; i < N; i++) assert_true(slotset_remove(&s, members[i]));
	assert_int_equal(slotset_memory(&s), 0);
	assert_null(s.page);
}

/* A million random additions, removals and walks; removing while walking is allowed. */
static void against_flags(void **state)
{
	struct slotset s = { 0 };
	bool *flag = calloc(SPAN, sizeof *flag);
	uint64_t seed = 0x2545f4914f6cdd1du;
	uint32_t n = 0;

	(void)state;
	assert_non_null(flag);
	for (uint32_t step = 0; step < 1000000; step++) {
		uint32_t i = draw(&seed) % SPAN, phase = step / 100000 % 2;
		bool add = draw(&seed) % 4 > 2 * phase;
		if (add) {
			assert_int_equal(slotset_add(&s, i), !flag[i]);
			n += !flag[i], flag[i] = true;
		} else {
			assert_int_equal(slotset_remove(&s, i), flag[i]);
			n -= flag[i], flag[i] = false;
		}
		assert_int_equal(s.n, n);
		if (step % 50000 != 49999) continue;
		for (uint32_t k = 0; k < SPAN; k++) assert_int_equal(slotset_has(&s, k), flag[k]);
		for (uint32_t from = 0, k = slotset_next(&s, 0);; k = slotset_next(&s, from)) {
			while (from < SPAN && !flag[from]) from++;
			assert_int_equal(k, from == SPAN ? SLOTSET_NONE : from);
			if (from++ == SPAN) break;
		}
	}
	for (uint32_t k = slotset_next(&s, 0); k != SLOTSET_NONE; k = slotset_next(&s, k + 1)) assert_true(slotset_remove(&s, k));
	assert_int_equal(s.n, 0);
	assert_int_equal(slotset_memory(&s), 0);
	free(flag);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(borders), cmocka_unit_test(against_flags) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
