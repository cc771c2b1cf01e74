/* The levels and the run. */
#include "queue.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

void queue_init(struct queue *q) { *q = (struct queue){ 0 }; }

void queue_free(struct queue *q)
{
	for (int level = 0; level < QUEUE_LEVELS; level++)
		for (int s = 0; s < QUEUE_SLOTS; s++) free(q->slot[level][s].v);
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

static void slot_to_run(struct queue *q, struct queue_bucket *b, uint64_t end)
{
	struct queue_bucket empty = q->run;

	q->run = *b;
	*b = empty;
	b->n = 0;
	sort(&q->run);
	q->run_end = end;
	q->last = q->run.v[0].at;
	q->front = 0;
}

static void spread(struct queue *q, struct queue_bucket *b, uint64_t start)
{
	struct queue_bucket taken = *b;

	b->n = 0;
	q->last = start;
	for (uint32_t k = 0; k < taken.n; k++) queue_slot_add(q, taken.v[k]); /* all go to lower levels: b itself is not touched */
}

bool queue_refill(struct queue *q, uint64_t until)
{
	q->run.n = q->front = 0;
	for (;;) {
		uint32_t level = 0, s;
		uint64_t span, start;
		struct queue_bucket *b;

		while (level < QUEUE_LEVELS && q->used[level] == 0) level++;
		if (level == QUEUE_LEVELS) return false;
		s = (uint32_t)__builtin_ctzll(q->used[level]);
		b = &q->slot[level][s];
		span = (UINT64_C(1) << (QUEUE_DIGIT * level)) - 1; /* the last level's is short of nothing: 64 bits end there */
		start = (b->v[0].at | span) - span;
		/* Time stays if nothing is due: what comes may still be earlier. */
		if (start > until || (start + span > until && earliest(b) > until)) return false;
		q->used[level] &= q->used[level] - 1;
		if (b->n <= QUEUE_RUN || level == 0) {
			slot_to_run(q, b, start + span);
			return true;
		}
		spread(q, b, start);
	}
}

/* The later half goes back to the levels, cut between two times. */
static void cut_run(struct queue *q)
{
	uint32_t k = q->front + (q->run.n - q->front) / 2, n = q->run.n;

	if (q->run.v[k - 1].at == q->run.v[n - 1].at) return; /* nowhere: a crowd of one time is not looked through again and again */
	while (q->run.v[k].at == q->run.v[k - 1].at) k++;
	q->run_end = q->run.v[k].at - 1;
	q->run.n = k;
	for (; k < n; k++) queue_slot_add(q, q->run.v[k]);
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
