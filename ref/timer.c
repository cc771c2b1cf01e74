/* A 4-ary heap with places told back to its timers. */
#include "timer.h"

#include "buf.h"
#include "machine.h"

#include <stdlib.h>

enum { CHILDREN = 4 };

void timers_init(struct timers *t) { *t = (struct timers){ 0 }; }

void timers_free(struct timers *t)
{
	free(t->v);
	timers_init(t);
}

static bool before(const struct timer_entry *a, const struct timer_entry *b) { return a->at != b->at ? a->at < b->at : a->order < b->order; }

static void put(struct timers *t, uint32_t place, struct timer_entry e)
{
	t->v[place] = e;
	e.timer->place = place + 1;
}

static void sift_up(struct timers *t, uint32_t place, struct timer_entry e)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / CHILDREN;
		if (!before(&e, &t->v[parent])) break;
		put(t, place, t->v[parent]);
		place = parent;
	}
	put(t, place, e);
}

static void sift_down(struct timers *t, uint32_t place, struct timer_entry e)
{
	for (;;) {
		uint32_t child = place * CHILDREN + 1, end = child + CHILDREN < t->n ? child + CHILDREN : t->n, best = child;
		if (child >= t->n) break;
		for (uint32_t i = child + 1; i < end; i++)
			if (before(&t->v[i], &t->v[best])) best = i;
		if (!before(&t->v[best], &e)) break;
		put(t, place, t->v[best]);
		place = best;
	}
	put(t, place, e);
}

static void replace(struct timers *t, uint32_t place, struct timer_entry e)
{
	if (place > 0 && before(&e, &t->v[(place - 1) / CHILDREN]))
		sift_up(t, place, e);
	else
		sift_down(t, place, e);
}

static void take_off(struct timers *t, uint32_t place)
{
	struct timer_entry last = t->v[--t->n];

	t->v[place < t->n ? place : t->n].timer->place = 0;
	if (place < t->n) replace(t, place, last);
}

void timer_set(struct timers *t, struct timer *timer, uint64_t at)
{
	struct timer_entry e = { .at = at, .order = t->orders++, .timer = timer };

	if (timer->place != 0) {
		replace(t, timer->place - 1, e);
		return;
	}
	MEM_ROOM(t->v, t->n, t->cap);
	sift_up(t, t->n++, e);
}

void timer_cancel(struct timers *t, struct timer *timer)
{
	if (timer->place == 0) return;
	assert(timer->place <= t->n && t->v[timer->place - 1].timer == timer);
	take_off(t, timer->place - 1);
	timer->place = 0;
}

uint64_t timer_at(const struct timers *t, const struct timer *timer) { return timer->place == 0 ? TIME_NEVER : t->v[timer->place - 1].at; }

struct timer *timers_pop(struct timers *t, uint64_t now)
{
	struct timer *timer;

	if (t->n == 0 || t->v[0].at > now) return NULL;
	timer = t->v[0].timer;
	take_off(t, 0);
	timer->place = 0;
	return timer;
}
