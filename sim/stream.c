/* The ring of arrivals. */
#include "stream.h"

#include "../ref/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ACKS = 256 };

struct stream_acks {
	struct {
		uint64_t at, from, read; /* acknowledges from..read */
	} v[ACKS];
	uint32_t head, n;
};

/* ---- pool ---- */

void stream_pool_free(struct stream_pool *pool)
{
	for (int i = 0; i <= STREAM_RING_MAX; i++)
		while (pool->free[i] != NULL) {
			void *next;
			memcpy(&next, pool->free[i], sizeof next);
			free(pool->free[i]);
			pool->free[i] = next;
		}
}

static uint8_t *pool_take(struct stream_pool *pool, int bits)
{
	uint8_t *ring = pool->free[bits];

	if (ring == NULL) return mem_alloc(UINT64_C(1) << bits);
	memcpy(&pool->free[bits], ring, sizeof(void *));
	return ring;
}

static void pool_give(struct stream_pool *pool, uint8_t *ring, uint32_t cap)
{
	int bits = __builtin_ctz(cap);

	memcpy(ring, &pool->free[bits], sizeof(void *));
	pool->free[bits] = ring;
}

/* ---- ring ---- */

static struct arrival *arrival_at(const struct stream *s, uint32_t place) { return (struct arrival *)(void *)(s->ring + place); }

void stream_init(struct stream *s, uint32_t window) { *s = (struct stream){ .window = window }; }

void stream_free(struct stream *s, struct stream_pool *pool)
{
	if (s->ring != NULL) pool_give(pool, s->ring, s->cap);
	free(s->acks);
	s->ring = NULL;
	s->acks = NULL;
	s->arrivals = s->head = s->tail = s->cap = 0;
}

/* Moves what is unread into a larger ring. */
static void grow(struct stream *s, struct stream_pool *pool, uint32_t need)
{
	int bits = s->cap == 0 ? STREAM_RING_MIN : __builtin_ctz(s->cap) + 1;
	struct stream old = *s;
	uint32_t place = s->head;

	while ((UINT32_C(1) << bits) < need + s->cap + stream_space(0)) bits++;
	assert(bits <= STREAM_RING_MAX);
	s->ring = pool_take(pool, bits);
	s->cap = UINT32_C(1) << bits;
	s->head = s->tail = 0;
	for (uint32_t i = 0; i < old.arrivals; i++) {
		const struct arrival *a = arrival_at(&old, place);
		if (a->n == STREAM_WRAPPED) place = 0, a = arrival_at(&old, 0);
		memcpy(s->ring + s->tail, a, sizeof *a + a->n);
		s->last = s->tail;
		s->tail += stream_space(a->n);
		place += stream_space(a->n);
		if (place == old.cap) place = 0;
	}
	if (old.ring != NULL) pool_give(pool, old.ring, old.cap);
}

/* A place for `space` contiguous bytes at the tail, or false. The ring always keeps room for a STREAM_WRAPPED head behind the tail. */
static bool fits(struct stream *s, uint32_t space)
{
	const uint32_t head_n = (uint32_t)sizeof(struct arrival);

	if (s->arrivals == 0) {
		s->head = s->tail = 0;
		return space + head_n <= s->cap;
	}
	if (s->tail > s->head) {
		if (s->tail + space + head_n <= s->cap) return true;
		if (space >= s->head) return false; /* tail may never reach head */
		arrival_at(s, s->tail)->n = STREAM_WRAPPED;
		s->tail = 0;
		return true;
	}
	return s->tail + space < s->head;
}

uint8_t *stream_put(struct stream *s, struct stream_pool *pool, uint64_t at, uint32_t n)
{
	uint32_t space = stream_space(n);
	struct arrival *a;

	assert(n > 0 && at >= s->last_at);
	if (s->cap == 0 || !fits(s, space)) {
		grow(s, pool, space);
		if (!fits(s, space)) assert(false && "a grown ring has room");
	}
	a = arrival_at(s, s->tail);
	*a = (struct arrival){ .at = at, .n = n };
	s->last = s->tail;
	s->tail += space;
	s->arrivals++;
	s->written += n;
	s->last_at = at;
	return (uint8_t *)(a + 1);
}

static void next_arrival(struct stream *s, struct stream_pool *pool)
{
	s->head += stream_space(arrival_at(s, s->head)->n);
	if (--s->arrivals == 0) {
		pool_give(pool, s->ring, s->cap);
		s->ring = NULL;
		s->cap = s->head = s->tail = 0;
		return;
	}
	if (arrival_at(s, s->head)->n == STREAM_WRAPPED) s->head = 0;
}

/* ---- window ---- */

/* Readings are noted only under pressure: below it the window cannot bind, and an acknowledgement counts at once. */
static void note_read(struct stream *s, uint64_t now, uint64_t latency_back_ns)
{
	struct stream_acks *k = s->acks;
	uint32_t last;

	if (k == NULL && s->written - s->read < s->window / 8) {
		s->acked = s->read;
		return;
	}
	if (k == NULL) s->acks = k = mem_zero(1, sizeof *k);
	last = (k->head + k->n - 1) % ACKS;
	if (k->n == ACKS || (k->n > 0 && s->read - k->v[last].from < s->window / ACKS)) { /* as delayed acks do */
		k->v[last].read = s->read;
		k->v[last].at = now + latency_back_ns;
		return;
	}
	last = (k->head + k->n++) % ACKS;
	k->v[last].at = now + latency_back_ns;
	k->v[last].from = s->read;
	k->v[last].read = s->read;
}

uint32_t stream_room(struct stream *s, uint64_t now)
{
	struct stream_acks *k = s->acks;
	uint64_t used;

	while (k != NULL && k->n > 0 && k->v[k->head].at <= now) {
		s->acked = k->v[k->head].read;
		k->head = (k->head + 1) % ACKS;
		if (--k->n == 0 && s->acked == s->read && s->written - s->read < s->window / 8) {
			free(k);
			s->acks = k = NULL;
		}
	}
	used = s->written - s->acked;
	assert(used <= s->window);
	return s->window - (uint32_t)used;
}

uint64_t stream_room_at(const struct stream *s) { return s->acks == NULL || s->acks->n == 0 ? UINT64_MAX : s->acks->v[s->acks->head].at; }

/* ---- reading ---- */

void stream_take(struct stream *s, struct stream_pool *pool, uint64_t now, uint32_t n, uint64_t latency_back_ns)
{
	struct arrival *a = arrival_at(s, s->head);

	assert(s->arrivals > 0 && a->at <= now && n <= a->n - a->read);
	a->read += n;
	s->read += n;
	note_read(s, now, latency_back_ns);
	if (a->read == a->n) next_arrival(s, pool);
}

uint32_t stream_gather(struct stream *s, struct stream_pool *pool, uint64_t now, uint8_t *out, uint32_t max, uint64_t latency_back_ns)
{
	uint32_t got = 0, n;

	while (got < max) {
		const uint8_t *p = stream_peek(s, now, &n);
		if (n == 0) break;
		if (n > max - got) n = max - got;
		memcpy(out + got, p, n);
		got += n;
		stream_take(s, pool, now, n, latency_back_ns);
	}
	return got;
}

void stream_each(const struct stream *s, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx)
{
	uint32_t place = s->head;

	for (uint32_t i = 0; i < s->arrivals; i++) {
		const struct arrival *a = arrival_at(s, place);
		if (a->n == STREAM_WRAPPED) place = 0, a = arrival_at(s, 0);
		fn(ctx, (const uint8_t *)(a + 1) + a->read, a->n - a->read);
		place += stream_space(a->n);
	}
}
