/* Draws from ChaCha20 streams. A block is computed for each draw and not kept: a machine draws a few times in its life. */
#include "rng.h"

#include "key.h"

#include <assert.h>
#include <string.h>

void rng_init(struct rng *rng, const uint8_t seed[32])
{
	memset(rng, 0, sizeof *rng);
	memcpy(rng->seed, seed, sizeof rng->seed);
}

void rng_bytes(struct rng *rng, enum rng_purpose purpose, void *out, size_t n)
{
	uint8_t *p = out;
	uint8_t block[KEY_STREAM_BLOCK];

	assert(purpose < RNG_PURPOSES);
	while (n > 0) {
		size_t at = (size_t)(rng->used[purpose] % KEY_STREAM_BLOCK), take = KEY_STREAM_BLOCK - at < n ? KEY_STREAM_BLOCK - at : n;
		key_stream_block(rng->seed, purpose, rng->used[purpose] / KEY_STREAM_BLOCK, block);
		memcpy(p, block + at, take);
		rng->used[purpose] += take;
		p += take, n -= take;
	}
	key_wipe(block, sizeof block);
}

uint64_t rng_u64(struct rng *rng, enum rng_purpose purpose)
{
	uint8_t b[8];
	uint64_t v = 0;

	rng_bytes(rng, purpose, b, sizeof b);
	for (int i = 0; i < 8; i++) v |= (uint64_t)b[i] << (8 * i);
	return v;
}

uint64_t rng_range(struct rng *rng, enum rng_purpose purpose, uint64_t lo, uint64_t hi)
{
	uint64_t span, limit, v;

	assert(lo <= hi);
	span = hi - lo + 1;
	if (span == 0) return rng_u64(rng, purpose);
	limit = UINT64_MAX - UINT64_MAX % span; /* values from here on would favour the small remainders */
	do v = rng_u64(rng, purpose);
	while (v >= limit);
	return lo + v % span;
}
