/* libsodium, and nothing else of it than pure functions: no random source. Without sodium_init (os_cpu.h) it runs its portable code;
 * either way it computes the same on every machine. */
#include "key.h"

#include "buf.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(KEY_SIZE == crypto_box_PUBLICKEYBYTES, "raw Curve25519 keys");
_Static_assert(KEY_SIZE == crypto_box_BEFORENMBYTES, "shared keys have the size of keys");
_Static_assert(KEY_NONCE == crypto_box_NONCEBYTES, "nonce of XSalsa20");
_Static_assert(KEY_TAG == crypto_box_MACBYTES, "tag of Poly1305");

void key_clamp(struct key *private_key)
{
	private_key->b[0] &= 248;
	private_key->b[31] &= 127;
	private_key->b[31] |= 64;
}

void key_public(const struct key *private_key, struct key *public_key)
{
	/* Fails only for a zero scalar, which clamping inside X25519 rules out. */
	int failed = crypto_scalarmult_base(public_key->b, private_key->b);

	assert(failed == 0);
	(void)failed;
}

/* No branch on the bytes: mesh keys come here too. Asked for each packet, so in words. */
bool key_is_zero(const uint8_t key[KEY_SIZE])
{
	uint64_t word[KEY_SIZE / 8];

	memcpy(word, key, sizeof word);
	return (word[0] | word[1] | word[2] | word[3]) == 0;
}

bool key_equal(const uint8_t a[KEY_SIZE], const uint8_t b[KEY_SIZE]) { return sodium_memcmp(a, b, KEY_SIZE) == 0; }

bool key_shared(const struct key *private_key, const uint8_t public_key[KEY_SIZE], struct key *shared)
{
	if (crypto_box_beforenm(shared->b, public_key, private_key->b) == 0) return true;
	key_wipe(shared, sizeof *shared);
	return false;
}

void key_seal(const struct key *shared, const uint8_t nonce[KEY_NONCE], const uint8_t *plain, size_t n, uint8_t *box)
{
	int failed;

	memcpy(box, nonce, KEY_NONCE);
	failed = crypto_box_easy_afternm(box + KEY_NONCE, plain, n, nonce, shared->b);
	assert(failed == 0);
	(void)failed;
}

bool key_open(const struct key *shared, const uint8_t *box, size_t n, uint8_t *plain)
{
	if (n < KEY_BOX_OVERHEAD) return false;
	return crypto_box_open_easy_afternm(plain, box + KEY_NONCE, n - KEY_NONCE, box, shared->b) == 0;
}

void key_hex(const uint8_t key[KEY_SIZE], char out[KEY_HEX])
{
	static const char digit[] = "0123456789abcdef";

	for (int i = 0; i < KEY_SIZE; i++) {
		out[2 * i] = digit[key[i] >> 4];
		out[2 * i + 1] = digit[key[i] & 15];
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

bool key_from_hex(const char *text, size_t n, struct key *out)
{
	struct key key;

	if (n != KEY_HEX) return false;
	for (int i = 0; i < KEY_SIZE; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0) return false;
		key.b[i] = (uint8_t)(high << 4 | low);
	}
	*out = key;
	return true;
}

bool key_from_text(const char *text, size_t n, const char *prefix, struct key *out)
{
	size_t prefix_n = strlen(prefix);

	if (n == KEY_HEX + prefix_n && memcmp(text, prefix, prefix_n) == 0) text += prefix_n, n -= prefix_n;
	return key_from_hex(text, n, out);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

bool key_mesh_from_text(const char *text, size_t n, struct key *out)
{
	while (n > 0 && is_blank(*text)) text++, n--;
	while (n > 0 && is_blank(text[n - 1])) n--;
	return key_from_hex(text, n, out);
}

void key_stream_block(const uint8_t seed[32], uint64_t stream, uint64_t counter, uint8_t out[KEY_STREAM_BLOCK])
{
	static const uint8_t zero[KEY_STREAM_BLOCK];
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	for (unsigned i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)(stream >> (8 * i));
	crypto_stream_chacha20_xor_ic(out, zero, KEY_STREAM_BLOCK, nonce, counter, seed);
}

void key_derive(const void *p, size_t n, const char *context, uint8_t out[32])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, (const uint8_t *)context, strlen(context) + 1);
	crypto_generichash_update(&state, p, n);
	crypto_generichash_final(&state, out, 32);
}

void key_wipe(void *p, size_t n) { sodium_memzero(p, n); }

/* ---- the memo ---- */

enum { WAYS = 4 };

struct memo {
	struct key a, b; /* public: the private key and zero; shared: both public keys, the smaller one first */
	struct key value;
	uint8_t used; /* 0 empty, 1 public, 2 shared */
};

struct key_cache {
	uint32_t sets;
	struct memo *v;
};

struct key_cache *key_cache_new(uint32_t entries)
{
	struct key_cache *cache = mem_alloc(sizeof *cache);

	cache->sets = 1;
	while (cache->sets * WAYS < entries) cache->sets *= 2;
	cache->v = mem_zero((uint64_t)cache->sets * WAYS, sizeof *cache->v);
	return cache;
}

void key_cache_free(struct key_cache *cache)
{
	if (cache == NULL) return;
	key_wipe(cache->v, sizeof *cache->v * cache->sets * WAYS);
	free(cache->v);
	free(cache);
}

static struct memo *memo_set(struct key_cache *cache, const struct key *a, const struct key *b)
{
	uint64_t x, y;

	memcpy(&x, a->b + 8, 8);
	memcpy(&y, b->b + 8, 8);
	x = (x ^ (y * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xd6e8feb86659fd93);
	return cache->v + (size_t)(x >> 32 & (cache->sets - 1)) * WAYS;
}

/* The entry of a,b, or the one to overwrite: the set is kept in order of last use. */
static struct memo *memo_find(struct memo *set, uint8_t used, const struct key *a, const struct key *b, bool *hit)
{
	struct memo found = { .used = 0 };
	int at = WAYS - 1;

	*hit = false;
	for (int i = 0; i < WAYS; i++)
		if (set[i].used == used && memcmp(&set[i].a, a, sizeof *a) == 0 && memcmp(&set[i].b, b, sizeof *b) == 0) {
			found = set[i], at = i, *hit = true;
			break;
		}
	memmove(set + 1, set, (size_t)at * sizeof *set);
	if (!*hit) found = (struct memo){ .a = *a, .b = *b };
	set[0] = found;
	return &set[0];
}

void key_cache_public(struct key_cache *cache, const struct key *private_key, struct key *public_key)
{
	static const struct key none;
	struct memo *memo;
	bool hit;

	if (cache == NULL) {
		key_public(private_key, public_key);
		return;
	}
	memo = memo_find(memo_set(cache, private_key, &none), 1, private_key, &none, &hit);
	if (!hit) {
		key_public(private_key, &memo->value);
		memo->used = 1;
	}
	*public_key = memo->value;
}

bool key_cache_shared(struct key_cache *cache, const struct key *private_key, const struct key *public_key, const uint8_t peer[KEY_SIZE],
                      struct key *shared)
{
	struct key other;
	const struct key *a = public_key, *b = &other;
	struct memo *memo;
	bool hit;

	if (cache == NULL) return key_shared(private_key, peer, shared);
	memcpy(other.b, peer, KEY_SIZE);
	if (memcmp(a->b, b->b, KEY_SIZE) > 0) b = public_key, a = &other;
	memo = memo_find(memo_set(cache, a, b), 2, a, b, &hit);
	if (!hit) {
		if (!key_shared(private_key, peer, &memo->value)) return false;
		memo->used = 2;
	}
	*shared = memo->value;
	return true;
}
