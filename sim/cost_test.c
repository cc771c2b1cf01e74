/* Prices: what a step counted becomes nanoseconds, and nothing that a relay does is free. */
#include "cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each kind of work is charged by its own price, the step on top; parts of a nanosecond are rounded up, once. */
static void charges_what_was_counted(void **state)
{
	struct cost_table t = { .step_ps = 1, .handshake_ns = 1000000 /* no part of a step */ };
	uint64_t work[WORK_KINDS] = { 0 }, want = 1;

	(void)state;
	assert_int_equal(cost_of(&t, work), 1);
	t.step_ps = 0;
	assert_int_equal(cost_of(&t, work), 0);
	t.step_ps = 1000;
	assert_int_equal(cost_of(&t, work), 1);
	t.step_ps = 1001;
	assert_int_equal(cost_of(&t, work), 2);
	for (uint32_t i = 0; i < WORK_KINDS; i++) {
		t.work_ps[i] = 3000u << i;
		work[i] = i + 2;
		want += (i + 2) * (3u << i);
		assert_int_equal(cost_of(&t, work), want + 1);
	}
	memset(work, 0, sizeof work);
	t = (struct cost_table){ .work_ps = { [WORK_BYTES_IN] = 300 } };
	work[WORK_BYTES_IN] = 10;
	assert_int_equal(cost_of(&t, work), 3);
	work[WORK_BYTES_IN] = 11; /* a byte can have a price of less than a nanosecond */
	assert_int_equal(cost_of(&t, work), 4);
}

/* A fan-out of all sessions, with their largest frames, is charged without overflow. */
static void large_works_do_not_overflow(void **state)
{
	uint64_t work[WORK_KINDS];

	(void)state;
	for (uint32_t i = 0; i < WORK_KINDS; i++) work[i] = 1000000;
	work[WORK_BYTES_IN] = work[WORK_BYTES_OUT] = UINT64_C(1000000) << 16;
	assert_true(cost_of(&cost_ours, work) > 50 * NS_S);
	assert_true(cost_of(&cost_ours, work) < 200 * NS_S);
}

/* Our own prices: every kind of work has one, and a relayed packet of 200 bytes costs what the comment beside them says. */
static void ours_is_complete(void **state)
{
	uint64_t work[WORK_KINDS] = { [WORK_FRAMES_IN] = 1, [WORK_FRAMES_OUT] = 1, [WORK_BYTES_IN] = 237, [WORK_BYTES_OUT] = 237 };

	(void)state;
	for (uint32_t i = 0; i < WORK_KINDS; i++) assert_true(cost_ours.work_ps[i] > 0);
	assert_true(cost_ours.step_ps > 0);
	assert_true(cost_ours.handshake_ns > 0);
	assert_in_range(cost_of(&cost_ours, work), 1500, 2500);
	memset(work, 0, sizeof work);
	work[WORK_LOGINS] = 1, work[WORK_SHARED] = 1, work[WORK_BOXES] = 2, work[WORK_FRAMES_IN] = 1, work[WORK_FRAMES_OUT] = 2;
	assert_in_range(cost_of(&cost_ours, work), 50000, 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(charges_what_was_counted),
		cmocka_unit_test(large_works_do_not_overflow),
		cmocka_unit_test(ours_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
