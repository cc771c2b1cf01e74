/* The radix heap. */
#include "queue.h"

#include "../ref/buf.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

void queue_init(struct queue *q) { *q = (struct queue){ 0 }; }

void queue_free(struct queue *q)
{
	for (int i = 0; i < QUEUE_BUCKETS; i++) free(q->bucket[i].v);
	queue_init(q);
}

static void grow(struct queue_bucket *b)
{
	b->cap = b->cap ? 2 * b->cap : FIRST_CAP;
	b->v = mem_grow(b->v, (uint64_t)b->cap * sizeof *b->v);
}

static inline void add(struct queue *q, struct queued e)
{
	uint64_t differs = e.at ^ q->last;
	uint32_t i = differs == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(differs);
	struct queue_bucket *b = &q->bucket[i];

	if (b->n == b->cap) grow(b);
	b->v[b->n++] = e;
	if (i != 0) q->used |= UINT64_C(1) << (i - 1);
}

void queue_push(struct queue *q, uint64_t at, uint32_t kind, uint32_t id)
{
	assert(at >= q->last);
	add(q, (struct queued){ .at = at, .kind = kind, .id = id });
	q->n++;
}

/* Bucket 0 is used up: the lowest other one is spread around its smallest time, unless that is later than `until`. */
static bool refill(struct queue *q, uint64_t until)
{
	struct queue_bucket *b, taken;
	uint64_t min = UINT64_MAX;

	if (q->used == 0) return false;
	b = &q->bucket[__builtin_ctzll(q->used) + 1];
	for (uint32_t k = 0; k < b->n; k++)
		if (b->v[k].at < min) min = b->v[k].at;
	if (min > until) return false;
	q->bucket[0].n = q->front = 0;
	taken = *b;
	b->n = 0;
	q->used &= q->used - 1;
	q->last = min;
	for (uint32_t k = 0; k < taken.n; k++) add(q, taken.v[k]); /* all go to lower buckets: b itself is not touched */
	return true;
}

bool queue_pop(struct queue *q, uint64_t until, struct queued *out)
{
	if (q->front == q->bucket[0].n ? !refill(q, until) : q->last > until) return false;
	*out = q->bucket[0].v[q->front++];
	assert(out->at == q->last && q->n > 0);
	q->n--;
	return true;
}
