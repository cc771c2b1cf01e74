/* Queues of one connection. */
#include "outbox.h"

#include <stdlib.h>
#include <string.h>

struct outbox_queue {
	uint32_t head, n, cap; /* ring; cap a power of two */
	struct outbox_entry v[];
};

enum { FIRST_CAP = 4 };

void outbox_init(struct outbox *o) { *o = (struct outbox){ 0 }; }

void outbox_free(struct outbox *o)
{
	struct outbox_entry entry;

	for (int kind = 0; kind < OUTBOX_KINDS; kind++)
		while (outbox_take(o, (enum outbox_kind)kind, &entry)) packet_drop(entry.packet);
}

bool outbox_empty(const struct outbox *o) { return o->queue[OUTBOX_DISCO] == NULL && o->queue[OUTBOX_OTHER] == NULL; }

uint32_t outbox_queued(const struct outbox *o, enum outbox_kind kind) { return o->queue[kind] == NULL ? 0 : o->queue[kind]->n; }

void outbox_drained(struct outbox *o, uint64_t now, const struct event_drained *drained)
{
	assert(drained->n <= o->unacked);
	o->unacked -= drained->n;
	if (drained->n != 0 || o->left == 0) o->progress = now; /* SRV-019: a fresh deadline with each progress, also if as much came behind */
	o->left = drained->left;
}

static struct outbox_queue *grow(struct outbox_queue *q)
{
	uint32_t cap = q == NULL ? FIRST_CAP : 2 * q->cap, n = q == NULL ? 0 : q->n;
	struct outbox_queue *bigger = mem_alloc(sizeof *bigger + (uint64_t)cap * sizeof *bigger->v);

	for (uint32_t i = 0; i < n; i++) bigger->v[i] = q->v[(q->head + i) & (q->cap - 1)];
	bigger->head = 0, bigger->n = n, bigger->cap = cap;
	free(q);
	return bigger;
}

bool outbox_push(struct outbox *o, const struct outbox_limits *l, enum outbox_kind kind, const struct outbox_entry *entry,
                 struct outbox_entry *dropped)
{
	struct outbox_queue *q = o->queue[kind];
	bool full = q != NULL && q->n >= l->depth;

	assert(l->depth >= 1 && l->depth <= OUTBOX_DEPTH_MAX);
	assert(entry->packet != NULL);
	if (full) {
		*dropped = q->v[q->head];
		q->head = (q->head + 1) & (q->cap - 1);
		q->n--;
	}
	if (q == NULL || q->n == q->cap) o->queue[kind] = q = grow(q);
	q->v[(q->head + q->n++) & (q->cap - 1)] = *entry;
	return full;
}

bool outbox_take(struct outbox *o, enum outbox_kind kind, struct outbox_entry *out)
{
	struct outbox_queue *q = o->queue[kind];

	if (q == NULL) return false;
	assert(q->n > 0);
	*out = q->v[q->head];
	q->head = (q->head + 1) & (q->cap - 1);
	if (--q->n == 0) {
		free(q);
		o->queue[kind] = NULL;
	}
	return true;
}

void outbox_each(const struct outbox *o, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx)
{
	for (int kind = 0; kind < OUTBOX_KINDS; kind++) {
		const struct outbox_queue *q = o->queue[kind];
		for (uint32_t i = 0; q != NULL && i < q->n; i++) {
			const struct outbox_entry *e = &q->v[(q->head + i) & (q->cap - 1)];
			fn(ctx, e->p, e->n);
		}
	}
}

uint64_t outbox_deadline(const struct outbox *o, const struct outbox_limits *l)
{
	return o->left == 0 || l->write_timeout_ns == 0 ? TIME_NEVER : o->progress + l->write_timeout_ns;
}

uint32_t outbox_memory(const struct outbox *o)
{
	uint64_t bytes = 0;

	for (int kind = 0; kind < OUTBOX_KINDS; kind++) {
		const struct outbox_queue *q = o->queue[kind];
		if (q == NULL) continue;
		bytes += sizeof *q + q->cap * sizeof *q->v;
		for (uint32_t i = 0; i < q->n; i++) bytes += q->v[(q->head + i) & (q->cap - 1)].packet->n;
	}
	return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}
