/* One direction of a TCP-like connection: bytes on their way, in arrivals.
 *
 * What the sender's turn wrote is one arrival: it leaves when the path's rate lets it, and comes after the latency, never before
 * what was sent earlier. Bytes and the heads of arrivals share one ring, taken from a pool while there is something in it, so that
 * an idle connection owns no buffer and memory stays warm. The window bounds what is unread or not yet acknowledged; beyond it the
 * stream refuses, and the host holds. An acknowledgement is back one latency after the reading; it is computed when it matters
 * and costs no event. */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

/* Rings by size, last used first. */
enum { STREAM_RING_MIN = 10, STREAM_RING_MAX = 24 };
struct stream_pool {
	void *free[STREAM_RING_MAX + 1];
};
void stream_pool_free(struct stream_pool *pool);

/* Head of an arrival in the ring; its bytes follow, contiguous. */
struct arrival {
	uint64_t at;
	uint32_t n;    /* bytes; STREAM_WRAPPED: unused end of the ring, the next arrival is at its start */
	uint32_t read; /* of these */
};
enum { STREAM_ALIGN = 8, STREAM_WRAPPED = UINT32_MAX };
static inline uint32_t stream_space(uint32_t n) { return ((uint32_t)sizeof(struct arrival) + n + STREAM_ALIGN - 1) & ~(uint32_t)(STREAM_ALIGN - 1); }

struct stream_acks; /* readings whose acknowledgement is under way: only while the window is under pressure */

struct stream {
	uint8_t *ring;
	uint32_t cap, head, tail, last; /* bytes of ring; first and free place; place of the last arrival */
	uint32_t arrivals;
	uint32_t window;
	uint64_t written, read; /* bytes ever */
	uint64_t last_at;       /* of the arrival written last: order is kept */
	uint64_t free_at;       /* when the path's rate has served what was written */
	uint64_t acked;         /* bytes acknowledged, as far as known */
	struct stream_acks *acks;
};

void stream_init(struct stream *s, uint32_t window);
void stream_free(struct stream *s, struct stream_pool *pool);

/* Bytes that it takes at time now. */
uint32_t stream_room(struct stream *s, uint64_t now);
/* When more room may come: the next acknowledgement under way; UINT64_MAX: when the receiver reads. */
uint64_t stream_room_at(const struct stream *s);
/* Appends n <= room bytes, to be filled by the caller at the returned place, as one arrival at time `at` >= last_at. */
uint8_t *stream_put(struct stream *s, struct stream_pool *pool, uint64_t at, uint32_t n);

/* First arrival, or UINT64_MAX. */
static inline uint64_t stream_first_at(const struct stream *s)
{
	return s->arrivals == 0 ? UINT64_MAX : ((const struct arrival *)(const void *)(s->ring + s->head))->at;
}
/* Contiguous unread bytes of the first arrival that has come by now; 0 if none. */
static inline const uint8_t *stream_peek(const struct stream *s, uint64_t now, uint32_t *n)
{
	const struct arrival *a = s->arrivals == 0 ? 0 : (const struct arrival *)(const void *)(s->ring + s->head);

	*n = a == 0 || a->at > now ? 0 : a->n - a->read;
	return a == 0 ? 0 : (const uint8_t *)(a + 1) + a->read;
}
/* Takes n bytes of the first arrival (as stream_peek said); their acknowledgement takes latency_back_ns. */
void stream_take(struct stream *s, struct stream_pool *pool, uint64_t now, uint32_t n, uint64_t latency_back_ns);
/* Copies up to max bytes that have come by now, over arrivals, and takes them. For a receiver that was busy meanwhile. */
uint32_t stream_gather(struct stream *s, struct stream_pool *pool, uint64_t now, uint8_t *out, uint32_t max, uint64_t latency_back_ns);
/* Has more come by now than the first arrival? */
static inline bool stream_more(const struct stream *s, uint64_t now)
{
	const struct arrival *a;

	if (s->arrivals < 2) return false;
	a = (const struct arrival *)(const void *)(s->ring + s->head);
	a = (const struct arrival *)(const void *)(s->ring + s->head + stream_space(a->n));
	if (a->n == STREAM_WRAPPED) a = (const struct arrival *)(const void *)s->ring;
	return a->at <= now;
}
/* Calls fn for the unread bytes of each arrival, in order. */
void stream_each(const struct stream *s, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx);

#endif
