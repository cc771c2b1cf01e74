/* Buckets at their limits, and what a rate file may say. */
#include "limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)

/* RAT-004: a bucket starts full; one token less than it holds, all of them, and one more. */
static void burst_triple(void **state)
{
	static const struct limit limits[] = { { 20000, 65568 }, { 3, 65568 }, { 7777777777, 65568 }, { 1, 65568 }, { UINT64_MAX, 65568 } };

	(void)state;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		for (uint32_t n = 65567; n <= 65569; n++) {
			struct limit_bucket b = { 0 };
			uint64_t one = S / limits[i].rate + (S % limits[i].rate != 0);
			assert_int_equal(limit_take(&limits[i], &b, 5 * S, n / 2), 0);
			assert_int_equal(limit_take(&limits[i], &b, 5 * S, 0), 0);
			assert_int_equal(limit_take(&limits[i], &b, 5 * S, n - n / 2), n <= 65568 ? 0 : one);
		}
}

/* A bucket holds 2^33 tokens, whatever its burst: one less, as many, one more and far more. */
static void burst_longest(void **state)
{
	const uint64_t most = UINT64_C(8589934592), bursts[] = { most - 1, most, most + 1, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof bursts / sizeof *bursts; i++) {
		struct limit l = { .rate = 1, .burst = bursts[i] };
		struct limit_bucket b = { 0 };
		assert_int_equal(limit_take(&l, &b, S, UINT32_MAX), 0);
		assert_int_equal(limit_take(&l, &b, S, UINT32_MAX), 0);
		assert_int_equal(limit_take(&l, &b, S, i == 0 ? 1 : 2), 0);
		assert_int_equal(limit_take(&l, &b, S, 1), S);
	}
}

/* Time refills it at the rate, exactly: no rounding adds up, and never above full. */
static void refill(void **state)
{
	struct limit l = { .rate = 3, .burst = 10 };
	struct limit_bucket b = { 0 };
	uint64_t now = 0;

	(void)state;
	assert_int_equal(limit_take(&l, &b, now, 10), 0);
	for (int i = 0; i < 300; i++) { /* one by one, each waited for */
		uint64_t wait = limit_take(&l, &b, now, 1);
		assert_true(wait > 0 && wait <= S / 3 + 1);
		now += wait;
	}
	assert_true(now >= 100 * S && now <= 100 * S + 1);
	assert_int_equal(limit_take(&l, &b, now + 1000 * S, 10), 0);
	assert_int_equal(limit_take(&l, &b, now + 1000 * S, 3), S);
}

/* RAT-012: so many at once, then one each time a token has come, and a refusal costs nothing. */
static void allow(void **state)
{
	struct limit l = { .rate = 2, .burst = 3 }, none = { 0 };
	struct limit_bucket b = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) assert_int_equal(limit_allow(&l, &b, S), i < 3);
	assert_false(limit_allow(&l, &b, S + S / 2 - 1));
	assert_true(limit_allow(&l, &b, S + S / 2));
	assert_false(limit_allow(&l, &b, S + S / 2));
	assert_true(limit_allow(&none, &b, 0));
}

/* RAT-001, RAT-004: what the file may say and what comes of it. */
static void rate_file(void **state)
{
	static const struct {
		const char *json;
		bool good;
		uint64_t rate, burst;
	} cases[] = {
		{ "{\"PerClientRateLimitBytesPerSec\":20000}", true, 20000, 65568 },
		{ " {\n\"perclientratelimitbytespersec\" : 1, \"PerClientRateBurstBytes\":65567}\n", true, 1, 65568 },
		{ "{\"PerClientRateLimitBytesPerSec\":1,\"PerClientRateBurstBytes\":65568}", true, 1, 65568 },
		{ "{\"PerClientRateLimitBytesPerSec\":1,\"PerClientRateBurstBytes\":65569}", true, 1, 65569 },
		{ "{\"PerClientRateLimitBytesPerSec\":18446744073709551615,\"PerClientRateBurstBytes\":18446744073709551615}", true, UINT64_MAX,
		  UINT64_MAX },
		{ "{\"PerClientRateBurstBytes\":100000}", true, 0, 0 }, /* forgotten */
		{ "{\"PerClientRateLimitBytesPerSec\":0,\"PerClientRateBurstBytes\":9}", true, 0, 0 },
		{ "{}", true, 0, 0 },
		{ "null", true, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":null,\"Other\":[1.5,\"x\"]}", true, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":1,\"PerClientRateLimitBytesPerSec\":2}", true, 2, 65568 },
		{ "", false, 0, 0 },
		{ "   ", false, 0, 0 },
		{ "[]", false, 0, 0 },
		{ "7", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":-1}", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":1.5}", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":1e3}", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":\"5\"}", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":18446744073709551616}", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":1} x", false, 0, 0 },
		{ "{\"PerClientRateLimitBytesPerSec\":1", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct limit out = { 7, 7 };
		char error[200] = "";
		if (limit_parse(cases[i].json, strlen(cases[i].json), &out, error) != cases[i].good) fail_msg("%s: %s", cases[i].json, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
		assert_true(out.rate == (cases[i].good ? cases[i].rate : 7));
		assert_true(out.burst == (cases[i].good ? cases[i].burst : 7));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_triple), cmocka_unit_test(burst_longest), cmocka_unit_test(refill),
		cmocka_unit_test(allow),        cmocka_unit_test(rate_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
