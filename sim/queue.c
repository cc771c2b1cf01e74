/* The radix heap and its sorted front. */
#include "queue.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void queue_init(struct queue *q) { *q = (struct queue){ 0 }; }

void queue_free(struct queue *q)
{
	for (int i = 0; i < QUEUE_BUCKETS; i++) free(q->bucket[i].v);
	free(q->run.v);
	queue_init(q);
}

void queue_bucket_grow(struct queue_bucket *b)
{
	b->cap = b->cap ? 2 * b->cap : FIRST_CAP;
	b->v = mem_grow(b->v, (uint64_t)b->cap * sizeof *b->v);
}

static uint64_t earliest(const struct queue_bucket *b)
{
	uint64_t min = UINT64_MAX;

	for (uint32_t k = 0; k < b->n; k++)
		if (b->v[k].at < min) min = b->v[k].at;
	return min;
}

/* Short, and often nearly in order. Stable. */
static void sort(struct queue_bucket *b)
{
	for (uint32_t i = 1; i < b->n; i++) {
		struct queued e = b->v[i];
		uint32_t k = i;
		for (; k > 0 && b->v[k - 1].at > e.at; k--) b->v[k] = b->v[k - 1];
		b->v[k] = e;
	}
}

static void bucket_to_run(struct queue *q, uint32_t i)
{
	struct queue_bucket empty = q->run;

	q->run = q->bucket[i];
	q->bucket[i] = empty;
	q->bucket[i].n = 0;
	if (i != 0) sort(&q->run); /* bucket 0 is of one time */
	/* The last time that differs from `last` in bit i - 1 first; with `last` moved to the earliest, nothing of below is left. */
	q->run_end = i == 0 ? q->last : i == 64 ? UINT64_MAX : q->run.v[0].at | ((UINT64_C(1) << (i - 1)) - 1);
	q->last = q->run.v[0].at;
	q->front = 0;
}

bool queue_refill(struct queue *q, uint64_t until)
{
	q->run.n = q->front = 0;
	for (;;) {
		uint32_t i = q->bucket[0].n > 0 ? 0 : q->used == 0 ? QUEUE_BUCKETS : (uint32_t)__builtin_ctzll(q->used) + 1;
		struct queue_bucket *b = &q->bucket[i], taken;
		uint64_t min;

		if (i == QUEUE_BUCKETS) return false;
		min = i == 0 ? q->last : earliest(b);
		if (min > until) return false; /* time stays: what comes may still be earlier */
		if (i != 0) q->used &= q->used - 1;
		if (i == 0 || b->n <= QUEUE_RUN) {
			bucket_to_run(q, i);
			return true;
		}
		taken = *b;
		b->n = 0;
		q->last = min;
		for (uint32_t k = 0; k < taken.n; k++) queue_bucket_add(q, taken.v[k]); /* all go to lower buckets: b itself is not touched */
	}
}

/* The later half goes back to the buckets, cut between two times. */
static void cut_run(struct queue *q)
{
	uint32_t k = q->front + (q->run.n - q->front) / 2, n = q->run.n;

	if (q->run.v[k - 1].at == q->run.v[n - 1].at) return; /* nowhere: a crowd of one time is not looked through again and again */
	while (q->run.v[k].at == q->run.v[k - 1].at) k++;
	q->run_end = q->run.v[k].at - 1;
	q->run.n = k;
	for (; k < n; k++) queue_bucket_add(q, q->run.v[k]);
}

void queue_run_insert(struct queue *q, struct queued e)
{
	struct queue_bucket *b = &q->run;
	uint32_t k;

	if (q->front > 0 && q->front == b->n) q->front = b->n = 0;
	if (b->n == b->cap && q->front > b->n / 2) { /* as much was taken as is moved */
		memmove(b->v, b->v + q->front, (b->n - q->front) * sizeof *b->v);
		b->n -= q->front;
		q->front = 0;
	}
	if (b->n == b->cap) queue_bucket_grow(b);
	for (k = b->n++; k > q->front && b->v[k - 1].at > e.at; k--) b->v[k] = b->v[k - 1];
	b->v[k] = e;
	if (b->n - q->front > QUEUE_RUN_MAX) cut_run(q);
}
