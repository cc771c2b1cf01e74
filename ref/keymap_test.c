/* The table of keys against an array of flags, with keys that share most of their bytes. */
#include "keymap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 3000, MOVED = KEYS };

struct owner {
	uint8_t key[2 * KEYS][32];
};

static const uint8_t *key_at(const void *owner, uint32_t index) { return ((const struct owner *)owner)->key[index]; }

static uint32_t draw(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return (uint32_t)(*x >> 11);
}

/* Adding, finding, moving and removing in random order, through every size; a key that is not in is never found. */
static void against_flags(void **state)
{
	static const uint8_t secret[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct owner *o = calloc(1, sizeof *o);
	uint32_t *index = malloc(KEYS * sizeof *index);
	struct keymap m;
	uint64_t seed = 99;
	uint32_t n = 0;

	(void)state;
	assert_non_null(o);
	assert_non_null(index);
	keymap_init(&m, secret, key_at, o);
	for (uint32_t i = 0; i < KEYS; i++) {
		memset(o->key[i], i % 3, 32);
		o->key[i][i % 32] = (uint8_t)i;
		o->key[i][(i + 7) % 32] = (uint8_t)(i >> 8);
		o->key[i][(i + 9) % 32] = (uint8_t)(i % 3 + 100);
		memcpy(o->key[i + MOVED], o->key[i], 32);
		index[i] = KEYMAP_NONE;
		for (uint32_t k = 0; k < i; k++) assert_memory_not_equal(o->key[i], o->key[k], 32);
	}
	for (uint32_t step = 0; step < 300000; step++) {
		uint32_t i = draw(&seed) % KEYS, kind = draw(&seed) % 4;
		assert_int_equal(keymap_find(&m, o->key[i]), index[i]);
		if (index[i] == KEYMAP_NONE) {
			if (kind > step / 50000 % 2) continue;
			keymap_add(&m, o->key[i], index[i] = i);
			n++;
		} else if (kind == 0) {
			keymap_remove(&m, o->key[i]);
			index[i] = KEYMAP_NONE;
			n--;
		} else if (kind == 1) {
			index[i] = index[i] == i ? i + MOVED : i;
			keymap_move(&m, o->key[i], index[i]);
		}
		assert_int_equal(m.n, n);
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		assert_int_equal(keymap_find(&m, o->key[i]), index[i]);
		if (index[i] != KEYMAP_NONE) keymap_remove(&m, o->key[i]);
	}
	assert_int_equal(m.n, 0);
	keymap_free(&m);
	free(index);
	free(o);
}

/* Another secret gives another order of places: peers cannot aim at one bucket. */
static void secret_matters(void **state)
{
	static struct owner o;
	uint8_t secret[16] = { 0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a, 0x7c, 0x15, 0xd6, 0xe8, 0xfe, 0xb8, 0x66, 0x59, 0xfd, 0x93 };
	uint32_t differ = 0;
	struct keymap a, b;

	(void)state;
	keymap_init(&a, secret, key_at, &o);
	secret[15] ^= 1;
	keymap_init(&b, secret, key_at, &o);
	for (uint32_t i = 0; i < 1000; i++) {
		o.key[i][0] = (uint8_t)i, o.key[i][1] = (uint8_t)(i >> 8);
		keymap_add(&a, o.key[i], i);
		keymap_add(&b, o.key[i], i);
	}
	for (uint32_t i = 0; i <= a.mask; i++) differ += a.v[i].index != b.v[i].index;
	assert_true(differ > 1000);
	keymap_free(&a);
	keymap_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(against_flags), cmocka_unit_test(secret_matters) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
