/* The pending events, in order of (time, order of insertion).
 *
 * A radix heap: bucket i holds events whose time first differs in bit i-1 from that of the event last popped. It needs only what
 * a simulation promises, that time never goes back, and has no width to tune. Events of one time stand in one bucket at every
 * moment and are moved in order, so equal times leave in the order in which they came. */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct queued {
	uint64_t at;
	uint32_t kind; /* the owner's */
	uint32_t id;
};

enum { QUEUE_BUCKETS = 65 };

struct queue_bucket {
	struct queued *v;
	uint32_t n, cap;
};

struct queue {
	struct queue_bucket bucket[QUEUE_BUCKETS];
	uint64_t last;  /* time of the bucket 0 events: nothing may be earlier */
	uint32_t front; /* next of bucket 0 */
	uint64_t n;     /* pending */
	uint64_t used;  /* bit i: bucket i + 1 holds something */
};

void queue_init(struct queue *q);
void queue_free(struct queue *q);
void queue_bucket_grow(struct queue_bucket *b);
/* Brings the earliest pending events, if they are not after `until`, into bucket 0, which must be used up. False: none. */
bool queue_refill(struct queue *q, uint64_t until);

static inline void queue_add(struct queue *q, struct queued e)
{
	uint64_t differs = e.at ^ q->last;
	uint32_t i = differs == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(differs);
	struct queue_bucket *b = &q->bucket[i];

	if (b->n == b->cap) queue_bucket_grow(b);
	b->v[b->n++] = e;
	if (i != 0) q->used |= UINT64_C(1) << (i - 1);
}

/* at >= the time of the event last popped. */
static inline void queue_push(struct queue *q, uint64_t at, uint32_t kind, uint32_t id)
{
	assert(at >= q->last);
	queue_add(q, (struct queued){ .at = at, .kind = kind, .id = id });
	q->n++;
}

/* The earliest event at or before `until`, taken off; false: none. */
static inline bool queue_pop(struct queue *q, uint64_t until, struct queued *out)
{
	if (q->front == q->bucket[0].n ? !queue_refill(q, until) : q->last > until) return false;
	*out = q->bucket[0].v[q->front++];
	assert(out->at == q->last && q->n > 0);
	q->n--;
	return true;
}

#endif
