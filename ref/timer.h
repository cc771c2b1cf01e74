/* Timers of a machine: deadline in O(1), set and cancel in O(log n), with 10^6 of them.
 *
 * A heap of four children a node, ordered by (time, order of setting), so that timers fire in one order everywhere. Entries carry
 * time and order themselves: moving through the heap touches no timer but those that move. A timer belongs to its owner and
 * must not move in memory while it is set. Fires at its time or later, never early. */
#ifndef REF_TIMER_H
#define REF_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	uint32_t place; /* place in the heap + 1; 0 = not set */
	uint32_t owner; /* free for the owner: which object */
};

struct timer_entry {
	uint64_t at, order;
	struct timer *timer;
};

struct timers {
	struct timer_entry *v;
	uint32_t n, cap;
	uint64_t orders;
};

void timers_init(struct timers *t);
void timers_free(struct timers *t); /* the timers themselves are left as they are */
static inline bool timer_is_set(const struct timer *timer) { return timer->place != 0; }
/* Sets or moves a timer. A time in the past fires at the next pop. */
void timer_set(struct timers *t, struct timer *timer, uint64_t at);
void timer_cancel(struct timers *t, struct timer *timer); /* not set: nothing */
/* When it fires; TIME_NEVER if not set. */
uint64_t timer_at(const struct timers *t, const struct timer *timer);
/* The next timer with at <= now, taken off, or NULL. */
struct timer *timers_pop(struct timers *t, uint64_t now);
static inline uint64_t timers_deadline(const struct timers *t) { return t->n == 0 ? UINT64_MAX : t->v[0].at; }

#endif
