/* Keys, boxes, derivation, draws, and the memo that must change nothing but speed. Chapter 2's vectors are in login_test.c. */
#include "key.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct key counting(uint8_t first)
{
	struct key key;

	for (int i = 0; i < KEY_SIZE; i++) key.b[i] = (uint8_t)(first + i);
	return key;
}

static struct key public_of(uint8_t first)
{
	struct key key = counting(first), public_key;

	key_public(&key, &public_key);
	return public_key;
}

static void is_hex(const uint8_t key[KEY_SIZE], const char *want)
{
	char hex[KEY_HEX + 1];

	key_hex(key, hex);
	hex[KEY_HEX] = 0;
	assert_string_equal(hex, want);
}

/* KEY-001: public keys of bytes that count up, as the transcripts have them. */
static void public_vectors(void **state)
{
	(void)state;
	is_hex(public_of(0x60).b, "675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f");
	is_hex(public_of(0x80).b, "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d");
	is_hex(public_of(0xa0).b, "605a725d2a4adfeeb1a29e17edd621c1b7593ee8cdbc44ac6c4ab6e2f805d23c");
	is_hex(public_of(0xc0).b, "dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44");
}

/* KEY-008: clamping changes the five bits and no other, and not the public key. */
static void clamped(void **state)
{
	struct key key = counting(0xe7), before = key, one, two;

	(void)state;
	key_public(&key, &one);
	key_clamp(&key);
	key_public(&key, &two);
	assert_int_equal(key.b[0] & 7, 0);
	assert_int_equal(key.b[31] & 0xc0, 0x40);
	assert_int_equal(key.b[0] | 7, before.b[0] | 7);
	assert_int_equal(key.b[31] & 0x3f, before.b[31] & 0x3f);
	assert_memory_equal(key.b + 1, before.b + 1, 30);
	assert_memory_equal(one.b, two.b, KEY_SIZE);
}

/* KEY-006, KEY-007: the zero key and the other points of low order give no shared key, and what is there is wiped. */
static void low_order(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct key_cache *cache = key_cache_new(16);
	struct key private_key = counting(1), public_key = public_of(1), point, shared;

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		assert_true(key_from_hex(points[i], KEY_HEX, &point));
		shared = counting(7);
		assert_false(key_shared(&private_key, point.b, &shared));
		assert_true(key_is_zero(shared.b));
		for (int k = 0; k < 2; k++) assert_false(key_cache_shared(cache, &private_key, &public_key, point.b, &shared));
	}
	key_cache_free(cache);
}

/* KEY-004: 40 bytes more than the plaintext, of any length, 0 too; in place of one box another does not open. */
static void box_lengths(void **state)
{
	struct key private_key = counting(1), peer = public_of(0x40), shared;
	uint8_t plain[300], box[300 + KEY_BOX_OVERHEAD], back[300], nonce[KEY_NONCE] = { 1 };

	(void)state;
	assert_true(key_shared(&private_key, peer.b, &shared));
	memset(plain, 0x5a, sizeof plain);
	for (size_t n = 0; n <= sizeof plain; n += n < 3 ? 1 : 99) {
		key_seal(&shared, nonce, plain, n, box);
		assert_memory_equal(box, nonce, KEY_NONCE);
		assert_true(key_open(&shared, box, n + KEY_BOX_OVERHEAD, back));
		if (n != 0) assert_memory_equal(back, plain, n);
		assert_false(key_open(&shared, box, n + KEY_BOX_OVERHEAD - 1, back));
		box[KEY_NONCE] ^= 1;
		assert_false(key_open(&shared, box, n + KEY_BOX_OVERHEAD, back));
	}
	for (size_t n = 0; n < KEY_BOX_OVERHEAD; n++) assert_false(key_open(&shared, box, n, back));
}

/* KEY-002, KEY-009: 64 hex digits of either case, prefix as asked; a mesh key from a file is trimmed. */
static void texts(void **state)
{
#define HEX "000102030405060708090A0B0C0d0e0f101112131415161718191a1b1c1d1e1f"
	static const struct {
		const char *text, *prefix;
		bool good, mesh;
	} cases[] = {
		{ HEX, "privkey:", true, true },
		{ "privkey:" HEX, "privkey:", true, false },
		{ "nodekey:" HEX, "privkey:", false, false },
		{ "privkey:" HEX "0", "privkey:", false, false },
		{ HEX "0", "", false, false },
		{ "0x" HEX, "", false, false },
		{ " \t\r\n" HEX "\n\v\f ", "", false, true },
		{ "", "", false, false },
		{ "   ", "", false, false },
		{ "g" HEX, "", false, false },
		{ "privkey:", "privkey:", false, false },
	};
	struct key want = counting(0), key;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(key_from_text(cases[i].text, strlen(cases[i].text), cases[i].prefix, &key), cases[i].good);
		if (cases[i].good) assert_memory_equal(key.b, want.b, KEY_SIZE);
		assert_int_equal(key_mesh_from_text(cases[i].text, strlen(cases[i].text), &key), cases[i].mesh);
		if (cases[i].mesh) assert_memory_equal(key.b, want.b, KEY_SIZE);
	}
	key = counting(9);
	assert_false(key_from_hex("00010203040506070809zz0b0c0d0e0f101112131415161718191a1b1c1d1e1f", KEY_HEX, &key));
	assert_int_equal(key.b[0], 9); /* untouched */
}

static void comparing(void **state)
{
	struct key a = counting(3), b = a, zero = { { 0 } };

	(void)state;
	assert_true(key_equal(a.b, b.b));
	for (int i = 0; i < KEY_SIZE; i++) {
		b.b[i] ^= 0x80;
		assert_false(key_equal(a.b, b.b));
		b.b[i] ^= 0x80;
		zero.b[i] = 1;
		assert_false(key_is_zero(zero.b));
		zero.b[i] = 0;
	}
	assert_true(key_is_zero(zero.b));
	key_wipe(&a, sizeof a);
	assert_true(key_is_zero(a.b));
}

/* ChaCha20's first block under the zero key, and BLAKE2b of context, NUL, data. */
static void streams(void **state)
{
	static const uint8_t zero[32];
	uint8_t block[KEY_STREAM_BLOCK], other[KEY_STREAM_BLOCK], derived[32];

	(void)state;
	key_stream_block(zero, 0, 0, block);
	is_hex(block, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
	is_hex(block + 32, "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
	key_stream_block(zero, 0, 1, block);
	is_hex(block, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed");
	key_stream_block(zero, 1, 1, other);
	assert_memory_not_equal(block, other, sizeof block);
	key_derive("data", 4, "ctx", derived);
	is_hex(derived, "015d4e29c3687cd0a85c54c521f88b5ae20857c81ee7fc2c7fd3ab325854dddf");
	key_derive("atad", 4, "ctxd", block);
	key_derive("datad", 5, "ctx", other);
	assert_memory_not_equal(block, other, 32);
}

/* Draws: a stream does not depend on how it is cut, nor on draws of another purpose; ranges keep their limits and reach them. */
static void draws(void **state)
{
	uint8_t seed[32] = { 4, 2 }, whole[200], parts[200];
	struct rng a, b;
	bool low = false, high = false;

	(void)state;
	rng_init(&a, seed);
	rng_init(&b, seed);
	rng_bytes(&a, RNG_NONCE, whole, sizeof whole);
	for (size_t i = 0, n = 1; i < sizeof parts; i += n, n = n % 31 + 1) {
		if (n > sizeof parts - i) n = sizeof parts - i;
		rng_u64(&b, RNG_JITTER);
		rng_bytes(&b, RNG_NONCE, parts + i, n);
	}
	assert_memory_equal(whole, parts, sizeof whole);
	rng_bytes(&a, RNG_MASK, parts, sizeof parts);
	assert_memory_not_equal(whole, parts, 64);
	for (int i = 0; i < 2000; i++) {
		uint64_t v = rng_range(&a, RNG_JITTER, 10, 14);
		assert_in_range(v, 10, 14);
		low |= v == 10, high |= v == 14;
	}
	assert_true(low && high);
	assert_int_equal(rng_range(&a, RNG_JITTER, 7, 7), 7);
	rng_range(&a, RNG_JITTER, 0, UINT64_MAX);
}

/* The memo gives what the functions give, hit or miss, for both sides of a pair, also when it is far too small. */
static void memo(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 8, 1024 };

	(void)state;
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		struct key_cache *cache = k == 0 ? NULL : key_cache_new(sizes[k]);
		for (int round = 0; round < 2; round++)
			for (uint8_t i = 0; i < 6; i++)
				for (uint8_t j = 0; j < 6; j++) {
					struct key x = counting((uint8_t)(40 * i)), y = counting((uint8_t)(40 * j)), px, py, want, got;
					key_public(&x, &px);
					key_cache_public(cache, &x, &got);
					assert_memory_equal(got.b, px.b, KEY_SIZE);
					key_public(&y, &py);
					assert_true(key_shared(&x, py.b, &want));
					assert_true(key_cache_shared(cache, &x, &px, py.b, &got));
					assert_memory_equal(got.b, want.b, KEY_SIZE);
					assert_true(key_cache_shared(cache, &y, &py, px.b, &got));
					assert_memory_equal(got.b, want.b, KEY_SIZE);
				}
		key_cache_free(cache);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_vectors), cmocka_unit_test(clamped), cmocka_unit_test(low_order),
		cmocka_unit_test(box_lengths),    cmocka_unit_test(texts),   cmocka_unit_test(comparing),
		cmocka_unit_test(streams),        cmocka_unit_test(draws),   cmocka_unit_test(memo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
