/* Queues, backlog and write deadline of one connection. */
#include "outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct outbox_entry entry(uint8_t value)
{
	struct packet *packet = packet_copy(&value, 1);

	return (struct outbox_entry){ .packet = packet, .p = packet->bytes, .n = 1, .queued_at = value };
}

/* SRV-010, SRV-012, SRV-014: first in, first out; at every depth the oldest makes room; an empty queue owns nothing. */
static void drops_oldest(void **state)
{
	(void)state;
	for (uint32_t depth = 1; depth <= 40; depth++) {
		struct outbox_limits l = { .depth = depth, .high_water = 100 };
		struct outbox_entry e, dropped;
		struct outbox o;
		outbox_init(&o);
		for (uint8_t i = 0; i < 100; i++) {
			e = entry(i);
			assert_int_equal(outbox_push(&o, &l, OUTBOX_OTHER, &e, &dropped), i >= depth);
			if (i < depth) continue;
			assert_int_equal(dropped.p[0], i - depth);
			packet_drop(dropped.packet);
		}
		assert_int_equal(outbox_queued(&o, OUTBOX_OTHER), depth);
		assert_int_equal(outbox_queued(&o, OUTBOX_DISCO), 0); /* a queue a kind */
		assert_false(outbox_empty(&o));
		assert_true(outbox_memory(&o) > depth * sizeof e);
		for (uint8_t i = (uint8_t)(100 - depth); i < 100; i++) {
			assert_true(outbox_take(&o, OUTBOX_OTHER, &e));
			assert_int_equal(e.p[0], i);
			packet_drop(e.packet);
		}
		assert_false(outbox_take(&o, OUTBOX_OTHER, &e));
		assert_true(outbox_empty(&o));
		assert_int_equal(outbox_memory(&o), 0);
	}
}

static void count(void *ctx, const uint8_t *p, uint32_t n)
{
	uint8_t **at = ctx;

	assert_int_equal(n, 1);
	*(*at)++ = *p;
}

/* Pushing and taking in turn, through the ring's end; outbox_each sees disco first, in order; freeing gives everything back. */
static void ring(void **state)
{
	struct outbox_limits l = { .depth = 32, .high_water = 100 };
	struct outbox_entry e, dropped;
	uint8_t seen[64], *at = seen;
	struct outbox o;

	(void)state;
	outbox_init(&o);
	for (uint8_t i = 0; i < 200; i++) {
		e = entry(i);
		assert_false(outbox_push(&o, &l, OUTBOX_OTHER, &e, &dropped));
		if (i < 20) continue;
		assert_true(outbox_take(&o, OUTBOX_OTHER, &e));
		assert_int_equal(e.p[0], i - 20);
		packet_drop(e.packet);
	}
	e = entry(250);
	outbox_push(&o, &l, OUTBOX_DISCO, &e, &dropped);
	outbox_each(&o, count, &at);
	assert_int_equal(at - seen, 21);
	assert_int_equal(seen[0], 250);
	for (int i = 0; i < 20; i++) assert_int_equal(seen[1 + i], 180 + i);
	outbox_free(&o);
	assert_true(outbox_empty(&o));
}

static void drained(struct outbox *o, uint64_t now, uint64_t n, uint64_t left)
{
	outbox_drained(o, now, &(struct event_drained){ .n = n, .left = left });
}

/* The backlog opens and closes at high_water; the last frame may overshoot. */
static void backlog(void **state)
{
	struct outbox_limits l = { .depth = 32, .high_water = 100 };
	struct outbox o;

	(void)state;
	outbox_init(&o);
	outbox_sent(&o, 99);
	assert_true(outbox_open(&o, &l));
	outbox_sent(&o, 500);
	assert_false(outbox_open(&o, &l));
	drained(&o, 1, 499, 0);
	assert_false(outbox_open(&o, &l));
	drained(&o, 2, 1, 0);
	assert_true(outbox_open(&o, &l));
}

/* SRV-019: the deadline runs while the transport refuses bytes; every byte it takes renews it, more refused bytes do not. */
static void deadline(void **state)
{
	struct outbox_limits l = { .depth = 32, .high_water = 100, .write_timeout_ns = 2000 }, none = { .depth = 32, .high_water = 100 };
	struct outbox o;

	(void)state;
	outbox_init(&o);
	outbox_sent(&o, 1000);
	assert_true(outbox_deadline(&o, &l) == TIME_NEVER);
	drained(&o, 10, 0, 50);
	assert_int_equal(outbox_deadline(&o, &l), 2010);
	assert_true(outbox_deadline(&o, &none) == TIME_NEVER);
	drained(&o, 20, 10, 40);
	assert_int_equal(outbox_deadline(&o, &l), 2020);
	drained(&o, 30, 10, 40); /* as much came behind as was taken */
	assert_int_equal(outbox_deadline(&o, &l), 2030);
	drained(&o, 40, 0, 90);
	assert_int_equal(outbox_deadline(&o, &l), 2030);
	drained(&o, 50, 90, 0);
	assert_true(outbox_deadline(&o, &l) == TIME_NEVER);
	drained(&o, 60, 0, 5); /* blocked anew: from now */
	assert_int_equal(outbox_deadline(&o, &l), 2060);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_oldest),
		cmocka_unit_test(ring),
		cmocka_unit_test(backlog),
		cmocka_unit_test(deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
