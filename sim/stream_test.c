/* The ring of arrivals against a list of them; the window and its acknowledgements; what an idle stream owns. */
#include "stream.h"

#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MODEL_MAX = 4096, BYTES_MAX = 1 << 16 };

static uint8_t byte_at(uint64_t place) { return (uint8_t)((place * 0x9e3779b97f4a7c15u) >> 56); }

/* ---- a stream and what it should hold ---- */

struct world {
	struct stream s;
	struct stream_pool pool;
	struct {
		uint64_t at;
		uint32_t n, read;
	} model[MODEL_MAX]; /* arrivals from `first` */
	uint32_t first, n;
	uint64_t now, latency, written, read, read_at;
	uint64_t acked; /* the least that is acknowledged */
	uint32_t wraps, grows;
	struct prng draw;
};

static struct world *world_new(uint32_t window, uint64_t latency)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	stream_init(&w->s, window);
	w->latency = latency;
	w->draw = prng_make(window, "stream", "test");
	return w;
}

static void world_free(struct world *w)
{
	stream_free(&w->s, &w->pool);
	assert_null(w->s.ring);
	stream_pool_free(&w->pool);
	free(w);
}

/* The window bounds what is unread; once nothing was read for a latency, all that was read is acknowledged; it is not taken back. */
static uint32_t room(struct world *w)
{
	uint32_t got = stream_room(&w->s, w->now), window = w->s.window;

	assert_true(got <= window - (w->written - w->read));
	if (w->now >= w->read_at + w->latency) assert_int_equal(got, window - (w->written - w->read));
	assert_true(got >= window - (w->written - w->acked));
	w->acked = w->written - (window - got);
	return got;
}

static void put(struct world *w, uint64_t at, uint32_t n)
{
	uint32_t cap = w->s.cap, tail = w->s.tail;
	uint8_t *p;

	assert_true(n <= room(w));
	p = stream_put(&w->s, &w->pool, at, n);
	for (uint32_t i = 0; i < n; i++) p[i] = byte_at(w->written + i);
	if (cap != 0 && w->s.cap > cap)
		w->grows++;
	else if (w->n > 0 && w->s.tail < tail)
		w->wraps++;
	if (w->first + w->n == MODEL_MAX) {
		memmove(w->model, w->model + w->first, w->n * sizeof *w->model);
		w->first = 0;
	}
	assert_true(w->n < MODEL_MAX);
	w->model[w->first + w->n].at = at;
	w->model[w->first + w->n].n = n;
	w->model[w->first + w->n++].read = 0;
	w->written += n;
	assert_int_equal(w->s.written, w->written);
	assert_int_equal(w->s.last_at, at);
}

static void assert_bytes(const uint8_t *p, uint64_t place, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] != byte_at(place + i)) fail_msg("byte %u of those from %llu is another one", i, (unsigned long long)place);
}

/* The model's part of reading n bytes. */
static void was_read(struct world *w, uint32_t n)
{
	w->read += n;
	w->read_at = w->now;
	while (n > 0) {
		uint32_t left = w->model[w->first].n - w->model[w->first].read, part = n < left ? n : left;
		w->model[w->first].read += part;
		n -= part;
		if (part == left) w->first++, w->n--;
	}
	assert_int_equal(w->s.read, w->read);
	assert_int_equal(w->s.arrivals, w->n);
	assert_int_equal(w->s.ring == NULL, w->n == 0); /* an idle stream owns no buffer */
}

static uint32_t model_ready(const struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = w->first; i < w->first + w->n && w->model[i].at <= w->now; i++) n += w->model[i].n - w->model[i].read;
	return n;
}

struct seen {
	const struct world *w;
	uint32_t k;
	uint64_t place;
};

static void see(void *ctx, const uint8_t *p, uint32_t n)
{
	struct seen *s = ctx;
	uint32_t i = s->w->first + s->k++;

	assert_true(s->k <= s->w->n);
	assert_int_equal(n, s->w->model[i].n - s->w->model[i].read);
	assert_bytes(p, s->place, n);
	s->place += n;
}

/* Everything a stream can be asked. */
static void look(struct world *w)
{
	struct seen seen = { w, 0, w->read };
	uint32_t n;
	const uint8_t *p = stream_peek(&w->s, w->now, &n);

	assert_int_equal(stream_first_at(&w->s), w->n == 0 ? UINT64_MAX : w->model[w->first].at);
	assert_int_equal(n, w->n == 0 || w->model[w->first].at > w->now ? 0 : w->model[w->first].n - w->model[w->first].read);
	if (n > 0) assert_bytes(p, w->read, n);
	assert_int_equal(stream_more(&w->s, w->now), w->n > 1 && w->model[w->first + 1].at <= w->now);
	stream_each(&w->s, see, &seen);
	assert_int_equal(seen.k, w->n);
	assert_int_equal(seen.place, w->written);
}

static void take(struct world *w, uint32_t n)
{
	uint32_t there;

	stream_peek(&w->s, w->now, &there);
	assert_true(n <= there);
	stream_take(&w->s, &w->pool, w->now, n, w->latency);
	was_read(w, n);
}

static void gather(struct world *w, uint32_t max)
{
	static uint8_t out[BYTES_MAX];
	uint32_t ready = model_ready(w), n;

	assert_true(max <= sizeof out);
	n = stream_gather(&w->s, &w->pool, w->now, out, max, w->latency);
	assert_int_equal(n, max < ready ? max : ready);
	assert_bytes(out, w->read, n);
	if (n > 0) was_read(w, n);
}

/* ---- against the list ---- */

struct pattern {
	uint32_t window, put_max, take_max, backlog; /* a backlog is kept of so many bytes, while there is room */
	uint64_t latency, spread;
};

static void run_step(struct world *w, const struct pattern *p)
{
	uint32_t n = 1 + (uint32_t)prng_below(&w->draw, p->put_max), there;
	uint64_t at = w->now + prng_below(&w->draw, p->spread + 1);

	if (at < w->s.last_at) at = w->s.last_at;
	if (w->written - w->read <= p->backlog && n <= room(w)) put(w, at, n);
	if (prng_below(&w->draw, 16) == 0) look(w);
	w->now += prng_below(&w->draw, 4);
	stream_peek(&w->s, w->now, &there);
	if (there == 0) return;
	n = 1 + (uint32_t)prng_below(&w->draw, p->take_max);
	if (prng_below(&w->draw, 4) == 0)
		gather(w, n);
	else
		take(w, n < there ? n : there);
}

/* Bytes come out as they went in, through wraps and growths, whatever the sizes; windows from one byte to a whole one of Linux. */
static void against_list(void **state)
{
	static const struct pattern pattern[] = {
		{ 1, 1, 1, 1, 5, 9 },
		{ 16, 16, 16, 16, 3, 2 },
		{ 300, 40, 60, 250, 7, 3 },
		{ 5000, 700, 900, 4000, 50, 20 },
		{ 5000, 5000, 5000, 5000, 10, 0 },
		{ 65536, 20, 60, 3000, 100, 40 },
		{ 65536, 16384, 16384, 40000, 4, 2 },
		{ 262144, 65536, 16384, 200000, 30, 10 },
		{ 262144, 200, 60000, 200000, 1000, 300 },
	};
	uint32_t wraps = 0, grows = 0;

	(void)state;
	for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) {
		struct world *w = world_new(pattern[i].window, pattern[i].latency);
		for (uint32_t step = 0; step < 10000; step++) run_step(w, &pattern[i]);
		wraps += w->wraps, grows += w->grows;
		look(w);
		if (w->now < w->s.last_at) w->now = w->s.last_at;
		while (w->n > 0) gather(w, pattern[i].take_max);
		w->now += w->latency;
		assert_int_equal(room(w), pattern[i].window);
		world_free(w);
	}
	assert_true(wraps > 1000);
	assert_true(grows > 10);
}

/* A ring grows at every place of its head, with an arrival half read and others on their way, and nothing moves. */
static void grows_anywhere(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < 80; at++)
		for (uint32_t half = 0; half < 8; half++) {
			struct world *w = world_new(60000, 5);
			for (uint32_t i = 0; i < 20; i++) put(w, 0, 24);
			for (uint32_t i = 0; i < at; i++) {
				put(w, 0, 24 - i % 3);
				take(w, w->model[w->first].n);
			}
			take(w, half);
			assert_int_equal(w->s.cap, 1 << STREAM_RING_MIN);
			while (w->grows == 0) put(w, w->now + w->n, 24);
			look(w);
			put(w, w->now + 100, 9000); /* by more than one step */
			look(w);
			w->now += 200;
			gather(w, 20000);
			assert_int_equal(w->n, 0);
			world_free(w);
		}
}

/* A whole window of single bytes, the least that a sender can write, still has place. */
static void window_of_single_bytes(void **state)
{
	enum { WINDOW = 262144 };
	struct stream_pool pool = { 0 };
	struct stream s;
	uint8_t out[1000];

	(void)state;
	stream_init(&s, WINDOW);
	for (uint32_t i = 0; i < WINDOW; i++) *stream_put(&s, &pool, i, 1) = byte_at(i);
	assert_int_equal(stream_room(&s, WINDOW), 0);
	for (uint32_t i = 0; i < WINDOW;) {
		uint32_t n = stream_gather(&s, &pool, WINDOW, out, sizeof out, 0);
		assert_true(n > 0);
		assert_bytes(out, i, n);
		i += n;
	}
	assert_null(s.ring);
	stream_free(&s, &pool);
	stream_pool_free(&pool);
}

/* ---- time ---- */

/* Nothing is seen before it comes, and what comes together is read arrival by arrival or in one go. */
static void comes_in_time(void **state)
{
	struct world *w = world_new(1000, 0);
	uint32_t n;

	(void)state;
	put(w, 10, 100);
	put(w, 10, 50);
	put(w, 20, 30);
	w->now = 9;
	look(w);
	gather(w, 1000);
	w->now = 10;
	stream_peek(&w->s, w->now, &n);
	assert_int_equal(n, 100);
	take(w, 99);
	gather(w, 2); /* the last of one and the first of the next */
	stream_peek(&w->s, w->now, &n);
	assert_int_equal(n, 49);
	gather(w, 1000);
	assert_int_equal(w->read, 150);
	w->now = 20;
	gather(w, 1000);
	assert_int_equal(w->read, 180);
	world_free(w);
}

/* ---- the window ---- */

/* Room comes back one latency after the reading, reading by reading. */
static void room_after_latency(void **state)
{
	struct world *w = world_new(1000, 5);

	(void)state;
	assert_int_equal(room(w), 1000);
	put(w, 0, 1000);
	assert_int_equal(room(w), 0);
	assert_int_equal(stream_room_at(&w->s), UINT64_MAX); /* only the receiver can help */
	w->now = 10;
	take(w, 100);
	w->now = 12;
	take(w, 250);
	for (; w->now < 25; w->now++) {
		assert_int_equal(room(w), w->now < 15 ? 0 : w->now < 17 ? 100 : 350);
		assert_int_equal(stream_room_at(&w->s), w->now < 15 ? 15 : w->now < 17 ? 17 : UINT64_MAX);
	}
	put(w, w->now, 350);
	assert_int_equal(room(w), 0);
	world_free(w);
}

/* Far below the window nothing is noted: there is room at once, and the stream owns no list. */
static void no_pressure_no_notes(void **state)
{
	struct world *w = world_new(80000, 1000);

	(void)state;
	put(w, 0, 9999);
	for (uint32_t i = 0; i < 9999; i++) take(w, 1);
	assert_null(w->s.acks);
	assert_int_equal(room(w), 80000);
	put(w, 0, 10001); /* one byte more, and an eighth of the window is still unread after the first */
	take(w, 1);
	assert_non_null(w->s.acks);
	assert_int_equal(room(w), 80000 - 10001);
	take(w, 10000);
	w->now = 1000;
	assert_int_equal(room(w), 80000);
	assert_null(w->s.acks);
	world_free(w);
}

/* A reader of crumbs is acknowledged in lumps of 1/256 of the window, the last crumb's latency later, and none is forgotten. */
static void crumbs_in_lumps(void **state)
{
	struct world *w = world_new(256 * 100, 50);
	uint32_t moved = 0;

	(void)state;
	put(w, 0, 256 * 100);
	for (uint32_t i = 0, last = 0; i < 2000; i++) {
		uint32_t now;
		w->now++;
		take(w, 1);
		now = room(w);
		if (now == last) continue;
		assert_in_range(now - last, 100, 101);
		last = now, moved++;
	}
	assert_in_range(moved, 18, 20);
	w->now += 50;
	assert_int_equal(room(w), 2000);
	world_free(w);
}

/* The list of acknowledgements is full: the last one takes in what else is read, at the time of that. */
static void list_of_acks_is_full(void **state)
{
	enum { ACKS = 256, WINDOW = 511 };
	struct world *w = world_new(WINDOW, 1000);

	(void)state;
	put(w, 0, WINDOW);
	for (; w->now < WINDOW; w->now++) take(w, 1);
	for (w->now = 1000 - 1; w->now < 1000 + WINDOW + 5; w->now++) {
		uint64_t k = w->now + 1 - 1000;
		assert_int_equal(room(w), k < ACKS ? k : k < WINDOW ? ACKS - 1 : WINDOW);
	}
	put(w, w->now, WINDOW);
	assert_int_equal(room(w), 0);
	world_free(w);
}

/* ---- buffers ---- */

/* Streams take from the pool the ring given back last, of the size they need; one that becomes idle gives its ring back. */
static void pool_is_used_again(void **state)
{
	struct stream_pool pool = { 0 };
	struct stream a, b;
	const void *small, *large;

	(void)state;
	stream_init(&a, 100000);
	stream_init(&b, 100000);
	assert_null(a.ring);
	stream_put(&a, &pool, 0, 100);
	small = a.ring;
	assert_non_null(small);
	stream_take(&a, &pool, 0, 60, 0);
	assert_non_null(a.ring);
	stream_take(&a, &pool, 0, 40, 0);
	assert_null(a.ring);
	stream_put(&b, &pool, 0, 900);
	assert_ptr_equal(b.ring, small);
	stream_put(&b, &pool, 0, 5000); /* grows: the small one is free again */
	large = b.ring;
	assert_ptr_not_equal(large, small);
	stream_put(&a, &pool, 0, 1);
	assert_ptr_equal(a.ring, small);
	stream_free(&b, &pool); /* with bytes in it */
	assert_null(b.ring);
	stream_put(&a, &pool, 0, 5000);
	assert_ptr_equal(a.ring, large);
	stream_free(&a, &pool);
	stream_pool_free(&pool);
	for (int i = 0; i <= STREAM_RING_MAX; i++) assert_null(pool.free[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_list),    cmocka_unit_test(grows_anywhere),       cmocka_unit_test(window_of_single_bytes),
		cmocka_unit_test(comes_in_time),   cmocka_unit_test(room_after_latency),   cmocka_unit_test(no_pressure_no_notes),
		cmocka_unit_test(crumbs_in_lumps), cmocka_unit_test(list_of_acks_is_full), cmocka_unit_test(pool_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
