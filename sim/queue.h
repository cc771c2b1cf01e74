/* The pending events, in order of (time, order of insertion).
 *
 * A radix heap of 64-way digits with a sorted front. An event stands on the level of the highest digit (6 bits) in which its time differs
 * from `last`, in the slot of that digit's value. It needs only what a simulation promises, that time never goes back, and has no
 * width to tune. The lowest slot becomes the run, from which events leave, once it is short enough to be sorted; a longer one is spread
 * over the levels below. What comes meanwhile for the span of the run is put in its place there. Events of one time are at every
 * moment together in one slot or in the run, and are moved in order, so equal times leave in the order in which they came. */
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

enum {
	QUEUE_DIGIT = 6, /* bits */
	QUEUE_SLOTS = 1 << QUEUE_DIGIT,
	QUEUE_LEVELS = 11,  /* 66 bits */
	QUEUE_RUN = 32,     /* a slot this short is sorted */
	QUEUE_RUN_MAX = 128 /* a longer run is cut in two */
};

struct queue_bucket {
	struct queued *v;
	uint32_t n, cap;
};

struct queue {
	struct queue_bucket run;     /* sorted */
	uint32_t front;              /* its next */
	uint64_t run_end;            /* everything pending up to and at this time is in the run */
	uint64_t now;                /* of the event popped last: nothing may be earlier */
	uint64_t last;               /* what the levels differ from; <= all in them */
	uint64_t n;                  /* pending */
	uint64_t used[QUEUE_LEVELS]; /* bit s: slot s holds something */
	struct queue_bucket slot[QUEUE_LEVELS][QUEUE_SLOTS];
};

void queue_init(struct queue *q);
void queue_free(struct queue *q);
void queue_bucket_grow(struct queue_bucket *b);
/* The run is used up: makes another, unless all is later than `until`. False: nothing. */
bool queue_refill(struct queue *q, uint64_t until);
void queue_run_insert(struct queue *q, struct queued e);

static inline void queue_slot_add(struct queue *q, struct queued e)
{
	uint32_t bit = 63 - (uint32_t)__builtin_clzll((e.at ^ q->last) | 1), level = bit * 43 >> 8; /* bit / 6 */
	uint32_t s = (uint32_t)(e.at >> (QUEUE_DIGIT * level)) % QUEUE_SLOTS;
	struct queue_bucket *b = &q->slot[level][s];

	if (b->n == b->cap) queue_bucket_grow(b);
	b->v[b->n++] = e;
	q->used[level] |= UINT64_C(1) << s;
}

/* at >= the time of the event last popped. */
static inline void queue_push(struct queue *q, uint64_t at, uint32_t kind, uint32_t id)
{
	struct queued e = { .at = at, .kind = kind, .id = id };

	assert(at >= q->now);
	q->n++;
	if (at > q->run_end)
		queue_slot_add(q, e);
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

/* The k-th of what comes next, as far as the run goes; NULL: not known. */
static inline const struct queued *queue_next(const struct queue *q, uint32_t k) { return q->front + k < q->run.n ? &q->run.v[q->front + k] : NULL; }

#endif
