/* Keys and boxes, and the only file of the core that touches libsodium (os_cpu.h: hosts let it choose its code).
 *
 * KEY-001..KEY-009, KEY-012. Curve25519 keys of 32 raw bytes; boxes are NaCl crypto_box in the combined form, nonce in front.
 * Nothing here draws randomness: nonces and key seeds are given (rng.h). libsodium is used without sodium_init's random source:
 * no randombytes*, no crypto_box_keypair. */
#ifndef REF_KEY_H
#define REF_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KEY_SIZE = 32,
	KEY_NONCE = 24,
	KEY_TAG = 16,
	KEY_BOX_OVERHEAD = KEY_NONCE + KEY_TAG, /* KEY-004 */
	KEY_HEX = 2 * KEY_SIZE,
	KEY_STREAM_BLOCK = 64
};

struct key {
	uint8_t b[KEY_SIZE]; /* raw, as on the wire (KEY-001) */
};

/* Clears and sets the bits of KEY-008 in a freshly drawn private key. Keys from files are used as they are. */
void key_clamp(struct key *private_key);
void key_public(const struct key *private_key, struct key *public_key);
bool key_is_zero(const uint8_t key[KEY_SIZE]);
/* Constant time (KEY-012). */
bool key_equal(const uint8_t a[KEY_SIZE], const uint8_t b[KEY_SIZE]);

/* Shared key of a box. False: the public key is of low order or zero (KEY-006, KEY-007); shared is wiped. */
bool key_shared(const struct key *private_key, const uint8_t public_key[KEY_SIZE], struct key *shared);

/* box = nonce, tag, ciphertext: KEY_BOX_OVERHEAD + n bytes. box and plain must not overlap. */
void key_seal(const struct key *shared, const uint8_t nonce[KEY_NONCE], const uint8_t *plain, size_t n, uint8_t *box);
/* plain gets n - KEY_BOX_OVERHEAD bytes. False: too short or does not open. */
bool key_open(const struct key *shared, const uint8_t *box, size_t n, uint8_t *plain);

/* Text: `nodekey:` or `privkey:` and 64 hex digits (KEY-002). Writers emit lower case, without a NUL. */
void key_hex(const uint8_t key[KEY_SIZE], char out[KEY_HEX]);
/* Exactly 64 digits of either case. */
bool key_from_hex(const char *text, size_t n, struct key *out);
/* 64 digits with an optional prefix (`nodekey:`, `privkey:`, `mkey:` of the caller's choice), as tools accept keys. */
bool key_from_text(const char *text, size_t n, const char *prefix, struct key *out);
/* A mesh key as configured: white space around is trimmed, then exactly 64 digits (KEY-009). */
bool key_mesh_from_text(const char *text, size_t n, struct key *out);

/* One 64-byte block of ChaCha20 under seed; stream and counter choose it. For rng.h. */
void key_stream_block(const uint8_t seed[32], uint64_t stream, uint64_t counter, uint8_t out[KEY_STREAM_BLOCK]);
/* Keyed hash of any bytes to 32 bytes (BLAKE2b): derives seeds and keys from names. */
void key_derive(const void *p, size_t n, const char *context, uint8_t out[32]);
void key_wipe(void *p, size_t n);

/* A memo of key_public and key_shared, for simulations in which the same keys meet again in every run. Bounded: at most
 * `entries` results are kept, older ones are overwritten. Every function takes NULL for no memo. */
struct key_cache;
struct key_cache *key_cache_new(uint32_t entries);
void key_cache_free(struct key_cache *cache);
void key_cache_public(struct key_cache *cache, const struct key *private_key, struct key *public_key);
bool key_cache_shared(struct key_cache *cache, const struct key *private_key, const struct key *public_key, const uint8_t peer[KEY_SIZE],
                      struct key *shared); /* the two sides of one pair share an entry */

#endif
