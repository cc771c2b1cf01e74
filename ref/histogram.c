/* A bucket's number: how often the value was halved until it fitted below 64, and what was left. */
#include "histogram.h"

#include <assert.h>

static uint32_t place(uint64_t value)
{
	uint32_t halved = 0;

	while (value >= 2 * HISTOGRAM_STEPS) value >>= 1, halved++;
	return halved * HISTOGRAM_STEPS + (uint32_t)value;
}

static uint64_t upper_end(uint32_t at)
{
	uint32_t halved;

	if (at < 2 * HISTOGRAM_STEPS) return at;
	halved = at / HISTOGRAM_STEPS - 1;
	return ((uint64_t)(at - halved * HISTOGRAM_STEPS) + 1) * (UINT64_C(1) << halved) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->n++;
	if (value > h->max) h->max = value;
	h->bucket[place(value)]++;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t permille)
{
	uint64_t want = (h->n * permille + 999) / 1000, have = 0, end;

	assert(permille <= 1000);
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && h->n != 0; i++) {
		have += h->bucket[i];
		if (have < want || have == 0) continue;
		end = upper_end(i);
		return end < h->max ? end : h->max;
	}
	return 0;
}
