/* The pending events, in order of (time, order of insertion).
 *
 * A radix heap with a sorted front. Bucket i holds events whose time first differs in bit i - 1 from `last`; it needs only what a
 * simulation promises, that time never goes back, and has no width to tune. The lowest bucket is not spread down to its last bit:
 * once it is short it is sorted and becomes the run from which events leave. What comes meanwhile for the span of the run is put
 * in its place there. Events of one time are at every moment together in one bucket or in the run, and are moved in order, so equal
 * times leave in the order in which they came.
 *
 * The run also says what is next, so that the owner can fetch it into the cache. */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued {
	uint64_t at;
	uint32_t kind; /* the owner's */
	uint32_t id;
};

enum { QUEUE_BUCKETS = 65, QUEUE_RUN = 32 /* a bucket this short is sorted */, QUEUE_RUN_MAX = 128 /* a longer run is cut in two */ };

struct queue_bucket {
	struct queued *v;
	uint32_t n, cap;
};

struct queue {
	struct queue_bucket run; /* sorted */
	uint32_t front;          /* its next */
	uint64_t run_end;        /* everything pending up to and at this time is in the run */
	uint64_t now;            /* of the event popped last: nothing may be earlier */
	uint64_t last;           /* what the buckets differ from; <= all in them */
	uint64_t n;              /* pending */
	uint64_t used;           /* bit i: bucket i + 1 holds something */
	struct queue_bucket bucket[QUEUE_BUCKETS];
};

void queue_init(struct queue *q);
void queue_free(struct queue *q);
void queue_bucket_grow(struct queue_bucket *b);
/* The run is used up: makes another, unless all is later than `until`. False: nothing. */
bool queue_refill(struct queue *q, uint64_t until);
void queue_run_insert(struct queue *q, struct queued e);

static inline void queue_bucket_add(struct queue *q, struct queued e)
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
	struct queued e = { .at = at, .kind = kind, .id = id };

	assert(at >= q->now);
	q->n++;
	if (at > q->run_end)
		queue_bucket_add(q, e);
	else
		queue_run_insert(q, e);
}

/* The earliest event at or before `until`, taken off; false: none. */
static inline bool queue_pop(struct queue *q, uint64_t until, struct queued *out)
{
	if (q->front == q->run.n && !queue_refill(q, until)) return false;
	*out = q->run.v[q->front];
	if (out->at > until) return false;
	assert(out->at >= q->now && q->n > 0);
	q->now = out->at;
	q->front++;
	q->n--;
	return true;
}

/* The k-th of what comes next, as far as it is known by now; NULL: it is not. */
static inline const struct queued *queue_next(const struct queue *q, uint32_t k) { return q->front + k < q->run.n ? &q->run.v[q->front + k] : NULL; }

#endif
