/* Randomness: streams that do not know of each other, draws without bias. Bounds are those of chi-square, in integers. */
#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Are these counts those of equally likely cells? With an expectation of `each` a cell, the sum of squares is within five standard
 * deviations of what chi-square promises, on both sides: too even is wrong too. */
static void assert_even(const uint32_t *count, uint32_t cells, uint64_t each)
{
	uint64_t squares = 0, degrees = cells - 1, chi;

	for (uint32_t i = 0; i < cells; i++) {
		uint64_t off = count[i] > each ? count[i] - each : each - count[i];
		squares += off * off;
	}
	chi = squares / each;
	if (chi > degrees)
		assert_true((chi - degrees) * (chi - degrees) <= 50 * degrees);
	else
		assert_true((degrees - chi) * (degrees - chi) <= 50 * degrees);
}

/* xoshiro256**: the first values of its authors' reference for the state 1, 2, 3, 4. */
static void known_answers(void **state)
{
	static const uint64_t want[] = { 11520,
		                         0,
		                         1509978240,
		                         UINT64_C(1215971899390074240),
		                         UINT64_C(1216172134540287360),
		                         UINT64_C(607988272756665600),
		                         UINT64_C(16172922978634559625),
		                         UINT64_C(8476171486693032832),
		                         UINT64_C(10595114339597558777),
		                         UINT64_C(2904607092377533576) };
	struct prng p = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_int_equal(prng_u64(&p), want[i]);
}

/* A stream is the same on every machine: its state is what prng_derive says, little-endian, and that is a function of the names. */
static void streams_follow_names(void **state)
{
	struct prng p = prng_make(7, "fra/1", "jitter");
	uint8_t b[32];

	(void)state;
	prng_derive(7, "fra/1", "jitter", b);
	for (uint32_t i = 0; i < 32; i++) assert_int_equal(p.s[i / 8] >> 8 * (i % 8) & 0xff, b[i]);
	assert_int_equal(prng_u64(&p), UINT64_C(12999497465672936011)); /* computed by another implementation */
}

/* Another seed, entity or purpose is another stream, also where one name begins with another; drawing from one shifts none. */
static void streams_are_independent(void **state)
{
	static const struct {
		uint64_t seed;
		const char *name, *purpose;
	} of[] = {
		{ 1, "fra/1", "jitter" },
		{ 1, "fra/1", "jitter2" },
		{ 1, "fra/1", "machine-1" },
		{ 1, "fra/11", "jitter" },
		{ 1, "fra/2", "jitter" },
		{ 2, "fra/1", "jitter" },
		{ 11, "fra/1", "jitter" },
		{ 0, "fra/1", "jitter" },
		{ UINT64_MAX, "fra/1", "jitter" },
		{ 257, "fra/1", "jitter" },
		{ UINT64_C(1) << 32 | 1, "fra/1", "jitter" },
		{ 1, "", "jitter" },
		{ 1, "fra/1", "" },
		{ 1, "a", "bc" },
		{ 1, "ab", "c" },
	};
	enum { N = sizeof of / sizeof *of, DRAWS = 200 };
	static uint64_t alone[N][DRAWS];
	struct prng p[N];

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		p[i] = prng_make(of[i].seed, of[i].name, of[i].purpose);
		for (uint32_t k = 0; k < DRAWS; k++) alone[i][k] = prng_u64(&p[i]);
		for (uint32_t j = 0; j < i; j++)
			for (uint32_t k = 0; k < DRAWS; k++) assert_int_not_equal(alone[i][k], alone[j][k]);
	}
	for (uint32_t i = 0; i < N; i++) p[i] = prng_make(of[i].seed, of[i].name, of[i].purpose);
	for (uint32_t k = 0; k < DRAWS; k++)
		for (uint32_t i = 0; i < N; i++)
			if (i % 2 == 0 || k % 3 == 0) assert_int_equal(prng_u64(&p[i]), alone[i][i % 2 == 0 ? k : k / 3]);
}

/* Streams of neighbours (the clients of a tailnet, the seeds of a sweep) agree in a bit as often as not. */
static void neighbours_are_strangers(void **state)
{
	uint32_t same[2] = { 0 };
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < 4000; i++) {
		struct prng a, b;
		snprintf(name, sizeof name, "acme-%u", i);
		a = prng_make(1, name, "load");
		b = prng_make(2, name, "load");
		snprintf(name, sizeof name, "acme-%u", i + 1);
		same[__builtin_parityll(prng_u64(&a) ^ prng_u64(&b))]++;
		b = prng_make(1, name, "load");
		same[(prng_u64(&a) ^ prng_u64(&b)) >> 63]++;
	}
	assert_even(same, 2, 4000);
}

/* Every bit is set half of the time, and says nothing of its neighbour. */
static void bits_are_even(void **state)
{
	struct prng p = prng_make(1, "bits", "test");
	uint32_t set[64][4] = { { 0 } };

	(void)state;
	for (uint32_t i = 0; i < 40000; i++) {
		uint64_t x = prng_u64(&p);
		for (uint32_t bit = 0; bit < 64; bit++) set[bit][(x >> bit & 1) | (x >> (bit + 1) % 64 & 1) << 1]++;
	}
	for (uint32_t bit = 0; bit < 64; bit++) assert_even(set[bit], 4, 10000);
}

/* prng_below is even over its whole range, and never beyond. */
static void below_is_even(void **state)
{
	static const uint32_t n[] = { 1, 2, 3, 5, 6, 7, 10, 16, 17, 100, 255, 1000 };
	static uint32_t count[1000];

	(void)state;
	for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
		struct prng p = prng_make(i, "below", "test");
		memset(count, 0, sizeof count);
		for (uint32_t k = 0; k < n[i] * 1000; k++) {
			uint64_t x = prng_below(&p, n[i]);
			assert_true(x < n[i]);
			count[x]++;
		}
		if (n[i] > 1) assert_even(count, n[i], 1000);
	}
}

/* Where 2^64 is no multiple of n, it shows most for n near three quarters of it: without a second draw, every third value would come
 * twice as often. */
static void below_has_no_bias(void **state)
{
	struct prng p = prng_make(1, "bias", "test");
	uint32_t third[3] = { 0 }, part[3] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 30000; i++) {
		uint64_t x = prng_below(&p, UINT64_C(3) << 62);
		assert_true(x < UINT64_C(3) << 62);
		third[x % 3]++;
		part[x >> 62]++;
	}
	assert_even(third, 3, 10000);
	assert_even(part, 3, 10000);
}

/* Both ends of a range are drawn, nothing outside; a range of one; all there is; the last numbers of all. */
static void ranges_are_inclusive(void **state)
{
	struct prng p = prng_make(1, "range", "test");
	uint32_t count[8] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 8000; i++) {
		uint64_t x = prng_range(&p, 25, 32), y = prng_range(&p, UINT64_MAX - 1, UINT64_MAX);
		assert_in_range(x, 25, 32);
		count[x - 25]++;
		assert_true(y >= UINT64_MAX - 1);
		assert_int_equal(prng_range(&p, i, i), i);
	}
	assert_even(count, 8, 1000);
	memset(count, 0, sizeof count);
	for (uint32_t i = 0; i < 8000; i++) count[prng_range(&p, 0, UINT64_MAX) >> 61]++;
	assert_even(count, 8, 1000);
}

/* A shuffle is a permutation, of however many. */
static void shuffle_is_a_permutation(void **state)
{
	struct prng p = prng_make(1, "shuffle", "test");
	uint32_t v[300], seen[300];

	(void)state;
	for (uint32_t n = 0; n < 300; n++) {
		memset(seen, 0, sizeof seen);
		for (uint32_t i = n; i < 300; i++) v[i] = 0xdead;
		prng_shuffle(&p, v, n);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(v[i] < n);
			seen[v[i]]++;
		}
		for (uint32_t i = 0; i < n; i++) assert_int_equal(seen[i], 1);
		for (uint32_t i = n; i < 300; i++) assert_int_equal(v[i], 0xdead);
	}
}

/* All 24 orders of four nodes are equally likely (REG-004: tailnets are spread over a region by their orders). */
static void shuffle_is_even(void **state)
{
	struct prng p = prng_make(1, "orders", "test");
	uint32_t count[256] = { 0 }, order[24], orders = 0;

	(void)state;
	for (uint32_t i = 0; i < 24000; i++) {
		uint32_t v[4];
		prng_shuffle(&p, v, 4);
		count[v[0] << 6 | v[1] << 4 | v[2] << 2 | v[3]]++;
	}
	for (uint32_t i = 0; i < 256; i++) {
		if (count[i] == 0) continue;
		assert_true(orders < 24);
		order[orders++] = count[i];
	}
	assert_int_equal(orders, 24);
	assert_even(order, 24, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(streams_follow_names),
		cmocka_unit_test(streams_are_independent),
		cmocka_unit_test(neighbours_are_strangers),
		cmocka_unit_test(bits_are_even),
		cmocka_unit_test(below_is_even),
		cmocka_unit_test(below_has_no_bias),
		cmocka_unit_test(ranges_are_inclusive),
		cmocka_unit_test(shuffle_is_a_permutation),
		cmocka_unit_test(shuffle_is_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
