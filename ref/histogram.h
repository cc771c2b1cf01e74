/* How long something took, counted: buckets of 1/32 of a power of two, so that every figure read is at most 3.1 % too high. Integers
 * only. Values below 32 are exact. */
#ifndef REF_HISTOGRAM_H
#define REF_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 60 * HISTOGRAM_STEPS };

struct histogram {
	uint64_t n, max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value that `permille` of 1000 do not exceed: the upper end of its bucket, or the maximum. 0 while empty. */
uint64_t histogram_quantile(const struct histogram *h, uint32_t permille);

#endif
