/* A distribution of times: counts in buckets of 0.1 % width, with exact smallest, largest, sum and number.
 *
 * Quantiles are the nearest rank: the smallest value v such that at least q of all samples are <= v, to 1/1024 above. Those
 * that never came ("never") are counted apart and stand behind every finite value, as the design demands of failover times. */
#ifndef SIM_DIST_H
#define SIM_DIST_H

#include <stdint.h>

struct dist {
	uint64_t n, never; /* finite samples, and those that never came */
	uint64_t min, max; /* of the finite ones; 0 if none */
	uint64_t sum;      /* saturates */
	uint32_t *bucket;  /* allocated with the first sample */
};

void dist_init(struct dist *d);
void dist_free(struct dist *d);
void dist_add(struct dist *d, uint64_t value);
/* Value at per_mille/1000, 1..1000, of all samples, never ones included; DIST_NEVER if it falls on one of those or there are none. */
#define DIST_NEVER UINT64_MAX
uint64_t dist_quantile(const struct dist *d, uint32_t per_mille);
uint64_t dist_mean(const struct dist *d); /* of the finite ones; 0 if none */

#endif
