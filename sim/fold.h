/* The mixing step of the digests: two words to one, by a multiplication to 128 bits. Not cryptographic. */
#ifndef SIM_FOLD_H
#define SIM_FOLD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 x = (unsigned __int128)a * b;

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Eight bytes, little-endian. */
static inline uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

#endif
