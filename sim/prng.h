/* The simulator's randomness: one stream an entity and purpose, derived from the seed and the entity's name.
 *
 * A new draw somewhere shifts nothing elsewhere. Integers only; one draw a statement. xoshiro256** behind BLAKE2b of the names;
 * machines have their own (ref/rng.h). */
#ifndef SIM_PRNG_H
#define SIM_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
	uint64_t s[4];
};

/* The stream of (seed, name, purpose). */
struct prng prng_make(uint64_t seed, const char *name, const char *purpose);
/* Derives 32 bytes from the same, for machines' seeds and for keys. */
void prng_derive(uint64_t seed, const char *name, const char *purpose, uint8_t out[32]);

static inline uint64_t prng_u64(struct prng *p)
{
	uint64_t *s = p->s, x = s[1] * 5, t = s[1] << 17, result = (x << 7 | x >> 57) * 9;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return result;
}

/* Uniform in 0..n-1 without bias; n > 0. */
static inline uint64_t prng_below(struct prng *p, uint64_t n)
{
	unsigned __int128 x = (unsigned __int128)prng_u64(p) * n;

	if ((uint64_t)x < n) {
		uint64_t limit = (0 - n) % n;
		while ((uint64_t)x < limit) x = (unsigned __int128)prng_u64(p) * n;
	}
	return (uint64_t)(x >> 64);
}

/* Uniform in lo..hi inclusive. */
static inline uint64_t prng_range(struct prng *p, uint64_t lo, uint64_t hi)
{
	return hi - lo == UINT64_MAX ? prng_u64(p) : lo + prng_below(p, hi - lo + 1);
}

/* A random order of 0..n-1. */
void prng_shuffle(struct prng *p, uint32_t *v, uint32_t n);

#endif
