/* Buckets: values below 2^11 are exact; above, the 11 leading bits choose the bucket. No floating point. */
#include "dist.h"

#include "../ref/buf.h"
#include "../ref/machine.h"

#include <stdlib.h>

enum { MANTISSA_BITS = 10, MANTISSA = 1 << MANTISSA_BITS, BUCKETS = (64 - MANTISSA_BITS + 1) * MANTISSA };

void dist_init(struct dist *d) { *d = (struct dist){ 0 }; }

void dist_free(struct dist *d)
{
	free(d->bucket);
	dist_init(d);
}

static uint32_t bucket_of(uint64_t v)
{
	uint32_t shift;

	if (v < 2 * MANTISSA) return (uint32_t)v;
	shift = 63 - (uint32_t)__builtin_clzll(v) - MANTISSA_BITS;
	return (shift + 1) * MANTISSA + (uint32_t)((v >> shift) & (MANTISSA - 1));
}

/* Largest value of a bucket. */
static uint64_t bucket_top(uint32_t b)
{
	uint32_t shift;

	if (b < 2 * MANTISSA) return b;
	shift = b / MANTISSA - 1;
	return (((uint64_t)MANTISSA + b % MANTISSA + 1) << shift) - 1;
}

void dist_add(struct dist *d, uint64_t value)
{
	if (d->bucket == NULL) d->bucket = mem_zero(BUCKETS, sizeof *d->bucket);
	if (d->n == 0 || value < d->min) d->min = value;
	if (value > d->max) d->max = value;
	d->sum = d->sum + value < d->sum ? UINT64_MAX : d->sum + value;
	d->n++;
	assert(bucket_of(value) < BUCKETS);
	d->bucket[bucket_of(value)]++;
}

uint64_t dist_quantile(const struct dist *d, uint32_t per_mille)
{
	uint64_t all = d->n + d->never, rank, seen = 0;

	assert(per_mille >= 1 && per_mille <= 1000);
	if (all == 0) return DIST_NEVER;
	rank = (all * per_mille + 999) / 1000;
	if (rank > d->n) return DIST_NEVER;
	for (uint32_t b = 0; b < BUCKETS; b++) {
		seen += d->bucket[b];
		if (seen >= rank) return bucket_top(b) < d->max ? bucket_top(b) : d->max;
	}
	assert(false && "a rank within n lies in a bucket");
	return DIST_NEVER;
}

uint64_t dist_mean(const struct dist *d) { return d->n == 0 ? 0 : d->sum / d->n; }
