/* Randomness of a machine: ChaCha20 streams by purpose, all from the 32-byte seed of START.
 *
 * A stream a purpose, so that a new draw of one kind shifts nothing elsewhere. One draw a statement. No floating point. */
#ifndef REF_RNG_H
#define REF_RNG_H

#include <stddef.h>
#include <stdint.h>

enum rng_purpose { RNG_KEY, RNG_NONCE, RNG_MASK, RNG_JITTER, RNG_HASH, RNG_PING, RNG_SHUFFLE, RNG_STUN, RNG_HOME, RNG_PURPOSES };

struct rng {
	uint8_t seed[32];
	uint64_t used[RNG_PURPOSES]; /* bytes drawn so far of each stream; no buffered block: machines are many and draw seldom */
};

void rng_init(struct rng *rng, const uint8_t seed[32]);
void rng_bytes(struct rng *rng, enum rng_purpose purpose, void *out, size_t n);
uint64_t rng_u64(struct rng *rng, enum rng_purpose purpose);
/* Uniform in lo..hi inclusive, without bias. lo <= hi. */
uint64_t rng_range(struct rng *rng, enum rng_purpose purpose, uint64_t lo, uint64_t hi);

#endif
