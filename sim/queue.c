/* The radix heap. */
#include "queue.h"

#include "../ref/buf.h"

#include <stdlib.h>

enum { FIRST_CAP = 64 };

void queue_init(struct queue *q) { *q = (struct queue){ 0 }; }

void queue_free(struct queue *q)
{
	for (int i = 0; i < QUEUE_BUCKETS; i++) free(q->bucket[i].v);
	queue_init(q);
}

void queue_bucket_grow(struct queue_bucket *b)
{
	b->cap = b->cap ? 2 * b->cap : FIRST_CAP;
	b->v = mem_grow(b->v, (uint64_t)b->cap * sizeof *b->v);
}

bool queue_refill(struct queue *q, uint64_t until)
{
	struct queue_bucket *b, taken;
	uint64_t min = UINT64_MAX;

	if (q->used == 0) return false;
	b = &q->bucket[__builtin_ctzll(q->used) + 1]; /* the lowest */
	for (uint32_t k = 0; k < b->n; k++)
		if (b->v[k].at < min) min = b->v[k].at;
	if (min > until) return false;
	q->bucket[0].n = q->front = 0;
	taken = *b;
	b->n = 0;
	q->used &= q->used - 1;
	q->last = min;
	for (uint32_t k = 0; k < taken.n; k++) queue_add(q, taken.v[k]); /* all go to lower buckets: b itself is not touched */
	return true;
}
