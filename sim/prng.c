/* Streams from names. */
#include "prng.h"

#include "../ref/key.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void prng_derive(uint64_t seed, const char *name, const char *purpose, uint8_t out[32])
{
	char text[200];
	int n = snprintf(text, sizeof text, "%llu/%s/%s", (unsigned long long)seed, name, purpose);

	assert(n > 0 && (size_t)n < sizeof text);
	key_derive(text, (size_t)n, "derpsim", out);
}

struct prng prng_make(uint64_t seed, const char *name, const char *purpose)
{
	struct prng p;
	uint8_t b[32];

	prng_derive(seed, name, purpose, b);
	for (int i = 0; i < 4; i++) {
		p.s[i] = 0;
		for (int k = 0; k < 8; k++) p.s[i] |= (uint64_t)b[8 * i + k] << (8 * k);
	}
	return p;
}

void prng_shuffle(struct prng *p, uint32_t *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) v[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)prng_below(p, i), x = v[i - 1];
		v[i - 1] = v[k];
		v[k] = x;
	}
}
