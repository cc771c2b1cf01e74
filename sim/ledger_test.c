/* The ledger: each fault is found where it is made, each packet ends once, and what lies in streams is found wherever it is cut. */
#include "ledger.h"

#include "../ref/frame.h"
#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOBODY = UINT32_MAX, SIZE_MAX_HERE = 2048, AT_MARKER = 8, AT_CHECK = 12, AT_NUMBER = 16, AT_FROM = 24 };

/* A packet as it is on its way: the ledger's own bytes live until the next one is sent. */
struct copy {
	uint32_t n, from, to;
	bool disco, open;
	uint8_t forwards;
	uint64_t sent_at;
	uint8_t p[SIZE_MAX_HERE];
};

static void send(struct ledger *l, struct copy *c, uint64_t now, uint32_t from, uint32_t to, uint32_t n, bool disco)
{
	assert_true(n <= SIZE_MAX_HERE);
	*c = (struct copy){ .n = n, .from = from, .to = to, .disco = disco, .open = true, .sent_at = now };
	memcpy(c->p, ledger_send(l, now, from, to, n, disco), n);
}

static enum ledger_fault deliver(struct ledger *l, const struct copy *c)
{
	struct ledger_packet out;

	return ledger_deliver(l, c->to, c->from, c->p, c->n, &out);
}

static uint64_t number_of(const struct copy *c)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--) v = v << 8 | c->p[AT_NUMBER + i];
	return v;
}

/* ---- delivery ---- */

/* A packet tells whose it is and what it was; it looks like disco if it should (KEY-011); delivered once, it is closed. */
static void delivered_once(void **state)
{
	static const uint32_t size[] = { LEDGER_SIZE_MIN, 33, FRAME_DISCO_MIN, 200, 1280, SIZE_MAX_HERE };
	struct ledger *l = ledger_new();
	uint64_t sent = 0, bytes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof size / sizeof *size; i++)
		for (int disco = 0; disco < 2; disco++) {
			struct ledger_packet out;
			struct copy c;
			if (disco && size[i] < FRAME_DISCO_MIN) continue;
			send(l, &c, 1000 + i, 7, 8, size[i], disco);
			sent++, bytes += size[i];
			assert_int_equal(memcmp(c.p, "TS\xf0\x9f\x92\xac", 6) == 0, disco);
			assert_int_equal(ledger_claims(c.p, c.n), 7);
			assert_int_equal(ledger_open(l), 1);
			assert_int_equal(ledger_deliver(l, 8, 7, c.p, c.n, &out), LEDGER_OK);
			assert_int_equal(out.from, 7);
			assert_int_equal(out.to, 8);
			assert_int_equal(out.size, size[i]);
			assert_int_equal(out.disco, disco);
			assert_int_equal(out.forwards, 0);
			assert_int_equal(out.number, number_of(&c));
			assert_int_equal(ledger_sent_at(l, out.number), 1000 + i);
			assert_int_equal(ledger_open(l), 0);
			assert_int_equal(ledger_sent(l), sent);
			assert_int_equal(ledger_ended(l, LEDGER_DELIVERED), sent);
			assert_int_equal(ledger_sent_bytes(l), bytes);
			assert_int_equal(ledger_delivered_bytes(l), bytes);
			assert_int_equal(ledger_deliver(l, 8, 7, c.p, c.n, &out), LEDGER_DOUBLED);
		}
	ledger_free(l);
}

/* The largest packet there is, from head to filler. */
static void largest_packet(void **state)
{
	struct ledger *l = ledger_new();
	uint8_t *p = malloc(LEDGER_SIZE_MAX);
	struct ledger_packet out;

	(void)state;
	assert_non_null(p);
	for (uint32_t i = 0; i < 100; i++) { /* filler begins at another place each time */
		memcpy(p, ledger_send(l, 0, i, i + 1, LEDGER_SIZE_MAX, false), LEDGER_SIZE_MAX);
		p[LEDGER_SIZE_MAX - 1] ^= 1;
		assert_int_equal(ledger_deliver(l, i + 1, i, p, LEDGER_SIZE_MAX, &out), LEDGER_CHANGED);
		p[LEDGER_SIZE_MAX - 1] ^= 1;
		assert_int_equal(ledger_deliver(l, i + 1, i, p, LEDGER_SIZE_MAX, &out), LEDGER_OK);
	}
	free(p);
	ledger_free(l);
}

/* ---- faults ---- */

/* What nobody sent: no head of ours, a head cut short, a number that was never given, a sender that is another one or unknown. */
static void forged(void **state)
{
	struct ledger *l = ledger_new();
	uint8_t junk[SIZE_MAX_HERE] = { 0 };
	struct ledger_packet out;
	struct copy c, d;

	(void)state;
	assert_int_equal(ledger_deliver(l, 2, 1, junk, sizeof junk, &out), LEDGER_FORGED); /* nothing was ever sent */
	assert_int_equal(ledger_forward(l, junk, sizeof junk), LEDGER_FORGED);
	assert_false(ledger_end(l, junk, sizeof junk, LEDGER_DROPPED, NULL));
	send(l, &c, 5, 1, 2, 200, false);
	assert_int_equal(ledger_deliver(l, 2, 1, junk, sizeof junk, &out), LEDGER_FORGED);
	assert_int_equal(out.number, 0);
	for (uint32_t n = 0; n < LEDGER_HEAD; n++) {
		assert_int_equal(ledger_deliver(l, 2, 1, c.p, n, &out), LEDGER_FORGED);
		assert_int_equal(ledger_claims(c.p, n), NOBODY);
	}
	for (uint32_t at = AT_NUMBER; at < AT_NUMBER + 8; at++)
		for (uint32_t bit = 0; bit < 8; bit++) { /* there is one slot, of one generation */
			d = c;
			d.p[at] ^= (uint8_t)(1 << bit);
			assert_int_equal(deliver(l, &d), LEDGER_FORGED);
			assert_int_equal(ledger_forward(l, d.p, d.n), LEDGER_FORGED);
			assert_false(ledger_end(l, d.p, d.n, LEDGER_DROPPED, NULL));
		}
	assert_int_equal(ledger_deliver(l, 2, 3, c.p, c.n, &out), LEDGER_FORGED); /* in another one's name */
	assert_int_equal(out.from, 1);
	assert_int_equal(out.number, number_of(&c));
	assert_int_equal(ledger_deliver(l, 2, NOBODY, c.p, c.n, &out), LEDGER_FORGED);
	assert_int_equal(deliver(l, &c), LEDGER_OK); /* none of this ended it */
	ledger_free(l);
}

/* Every bit of a packet counts, and so does its length. */
static void changed(void **state)
{
	struct ledger *l = ledger_new();
	struct copy c, d;

	(void)state;
	for (int disco = 0; disco < 2; disco++) {
		send(l, &c, 5, 1, 2, 100, disco);
		for (uint32_t at = 0; at < c.n; at++)
			for (uint32_t bit = 0; bit < 8; bit++) {
				bool marker = at >= AT_MARKER && at < AT_CHECK, number = at >= AT_NUMBER && at < AT_FROM;
				enum ledger_fault fault;
				d = c;
				d.p[at] ^= (uint8_t)(1 << bit);
				fault = deliver(l, &d);
				if (number)
					assert_true(fault == LEDGER_FORGED || fault == LEDGER_DOUBLED);
				else
					assert_int_equal(fault, marker ? LEDGER_FORGED : LEDGER_CHANGED);
			}
		for (uint32_t n = LEDGER_HEAD; n < 140; n++) {
			d = c;
			d.n = n;
			if (n != c.n) assert_int_equal(deliver(l, &d), LEDGER_CHANGED);
		}
		assert_int_equal(ledger_open(l), 1);
		assert_int_equal(deliver(l, &c), LEDGER_OK);
	}
	ledger_free(l);
}

/* Bytes of one packet under the number of another that is on its way too. */
static void changed_number(void **state)
{
	struct ledger *l = ledger_new();
	struct copy a, b, mixed;

	(void)state;
	send(l, &a, 5, 1, 2, 100, false);
	send(l, &b, 5, 1, 2, 100, false);
	mixed = a;
	memcpy(mixed.p + AT_NUMBER, b.p + AT_NUMBER, 8);
	assert_int_equal(deliver(l, &mixed), LEDGER_CHANGED);
	memcpy(mixed.p, b.p, LEDGER_HEAD); /* the whole head: its filler is another one */
	assert_int_equal(deliver(l, &mixed), LEDGER_CHANGED);
	assert_int_equal(deliver(l, &a), LEDGER_OK);
	assert_int_equal(deliver(l, &b), LEDGER_OK);
	ledger_free(l);
}

/* At somebody whom it was not for; the one whom it was for may still get it. */
static void misdelivered(void **state)
{
	struct ledger *l = ledger_new();
	struct ledger_packet out;
	struct copy c;

	(void)state;
	send(l, &c, 5, 1, 2, 100, false);
	assert_int_equal(ledger_deliver(l, 3, 1, c.p, c.n, &out), LEDGER_MISDELIVERED);
	assert_int_equal(out.to, 2);
	assert_int_equal(ledger_deliver(l, 1, 1, c.p, c.n, &out), LEDGER_MISDELIVERED);
	assert_int_equal(ledger_ended(l, LEDGER_DELIVERED), 0);
	assert_int_equal(deliver(l, &c), LEDGER_OK);
	ledger_free(l);
}

/* MSH-017: one hop at most. The second forward is found, and the 300th; who arrives tells how often. A new packet starts afresh. */
static void twice_forwarded(void **state)
{
	struct ledger *l = ledger_new();
	struct ledger_packet out;
	struct copy c;

	(void)state;
	send(l, &c, 5, 1, 2, 100, false);
	assert_int_equal(ledger_forward(l, c.p, c.n), LEDGER_OK);
	for (uint32_t i = 0; i < 300; i++) assert_int_equal(ledger_forward(l, c.p, c.n), LEDGER_TWICE_FORWARDED);
	assert_int_equal(ledger_deliver(l, 2, 1, c.p, c.n, &out), LEDGER_OK);
	assert_int_equal(out.forwards, UINT8_MAX);
	assert_int_equal(ledger_forward(l, c.p, c.n), LEDGER_DOUBLED);
	send(l, &c, 6, 1, 2, 100, false);
	assert_int_equal(ledger_forward(l, c.p, c.n), LEDGER_OK);
	assert_true(ledger_end(l, c.p, c.n, LEDGER_DROPPED, &out));
	assert_int_equal(out.forwards, 1);
	ledger_free(l);
}

/* Each fault has a name of its own. */
static void faults_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < LEDGER_FAULTS; i++)
		for (int k = 0; k < i; k++) assert_string_not_equal(ledger_fault_name((enum ledger_fault)i), ledger_fault_name((enum ledger_fault)k));
}

/* ---- ends ---- */

/* A packet ends once, in whatever way: afterwards its bytes are a double, also when its slot holds another one. */
static void ends_once(void **state)
{
	struct ledger *l = ledger_new();
	struct ledger_packet out;
	struct copy c, next;

	(void)state;
	for (int i = LEDGER_DROPPED; i < LEDGER_ENDS; i++) {
		enum ledger_end end = (enum ledger_end)i;
		send(l, &c, (uint64_t)i, 3, 4, 62, true);
		assert_true(ledger_end(l, c.p, LEDGER_HEAD, end, &out)); /* its head is enough */
		assert_int_equal(out.sent_at, i);
		assert_int_equal(out.from, 3);
		assert_int_equal(out.to, 4);
		assert_int_equal(out.size, 62);
		assert_true(out.disco);
		assert_int_equal(out.number, number_of(&c));
		assert_int_equal(ledger_ended(l, end), 1);
		assert_int_equal(ledger_open(l), 0);
		assert_false(ledger_end(l, c.p, c.n, end, NULL));
		assert_int_equal(deliver(l, &c), LEDGER_DOUBLED);
		send(l, &next, 9, 3, 4, 62, true);
		assert_int_equal((uint32_t)number_of(&next), (uint32_t)number_of(&c)); /* the slot again */
		assert_int_equal(number_of(&next) >> 32, (number_of(&c) >> 32) + 1);   /* of the next generation */
		assert_int_equal(deliver(l, &c), LEDGER_DOUBLED);
		assert_int_equal(ledger_forward(l, c.p, c.n), LEDGER_DOUBLED);
		assert_false(ledger_end(l, c.p, c.n, end, NULL));
		assert_int_equal(deliver(l, &next), LEDGER_OK);
	}
	assert_int_equal(ledger_ended(l, LEDGER_DELIVERED), LEDGER_ENDS - 1);
	ledger_free(l);
}

/* ---- against a list ---- */

enum { COPIES = 300 };

/* One random thing that may happen to a packet; the books are those of the test. */
static void happen(struct ledger *l, struct copy *c, struct prng *draw, uint64_t now, uint64_t ended[LEDGER_ENDS])
{
	uint32_t what = (uint32_t)prng_below(draw, 6);
	struct ledger_packet out;

	if (!c->open && c->n > 0 && what < 3) { /* what is over comes again */
		assert_int_equal(deliver(l, c), LEDGER_DOUBLED);
	} else if (!c->open) {
		uint32_t from = (uint32_t)prng_below(draw, 50), to = (uint32_t)prng_below(draw, 50);
		uint32_t n = (uint32_t)prng_range(draw, FRAME_DISCO_MIN, SIZE_MAX_HERE);
		send(l, c, now, from, to, n, what == 4);
	} else if (what == 0) {
		enum ledger_end end = (enum ledger_end)prng_range(draw, LEDGER_DROPPED, LEDGER_ENDS - 1);
		assert_true(ledger_end(l, c->p, c->n, end, &out));
		assert_int_equal(out.sent_at, c->sent_at);
		c->open = false;
		ended[end]++;
	} else if (what == 1) {
		c->forwards++;
		assert_int_equal(ledger_forward(l, c->p, c->n), c->forwards == 1 ? LEDGER_OK : LEDGER_TWICE_FORWARDED);
	} else if (what == 2) {
		uint8_t *p = &c->p[prng_below(draw, c->n)];
		*p ^= 0x10;
		assert_int_not_equal(deliver(l, c), LEDGER_OK);
		*p ^= 0x10;
	} else {
		assert_int_equal(ledger_deliver(l, c->to, c->from, c->p, c->n, &out), LEDGER_OK);
		assert_int_equal(out.size, c->n);
		assert_int_equal(out.forwards, c->forwards);
		assert_int_equal(ledger_sent_at(l, out.number), c->sent_at);
		c->open = false;
		ended[LEDGER_DELIVERED]++;
	}
}

/* Hundreds at a time, over many generations of their slots: the books are right at every moment. */
static void against_list(void **state)
{
	struct copy *c = calloc(COPIES, sizeof *c);
	struct ledger *l = ledger_new();
	struct prng draw = prng_make(1, "ledger", "test");
	uint64_t ended[LEDGER_ENDS] = { 0 };

	(void)state;
	assert_non_null(c);
	for (uint32_t step = 0; step < 200000; step++) {
		uint64_t all;
		happen(l, &c[prng_below(&draw, COPIES)], &draw, step, ended);
		all = ledger_open(l);
		for (int i = 0; i < LEDGER_ENDS; i++) {
			assert_int_equal(ledger_ended(l, (enum ledger_end)i), ended[i]);
			all += ended[i];
		}
		assert_int_equal(all, ledger_sent(l));
	}
	assert_true(ended[LEDGER_DELIVERED] > 10000);
	free(c);
	ledger_free(l);
}

/* ---- in streams ---- */

enum { HEADS = 3, STREAM_MAX = 400 };

struct found {
	const struct copy *c; /* HEADS of them */
	uint32_t times[HEADS];
	uint32_t others;
};

static void find(void *ctx, const uint8_t *head)
{
	struct found *f = ctx;

	for (uint32_t i = 0; i < HEADS; i++)
		if (memcmp(head, f->c[i].p, LEDGER_HEAD) == 0) {
			f->times[i]++;
			return;
		}
	f->others++;
}

/* Bytes that are nearly heads: marks alone, marks with a number that was never given, and the mark's first byte everywhere. */
static uint32_t junk(uint8_t *p, const struct copy *c, uint32_t n)
{
	memset(p, c->p[AT_MARKER], n);
	for (uint32_t i = 0; i + 4 <= n; i += 7) memcpy(p + i, c->p + AT_MARKER, 4);
	return n;
}

static void scan_cut(struct ledger *l, const struct copy *c, const uint8_t *p, uint32_t n, uint32_t cut, const uint32_t want[HEADS])
{
	uint8_t *a = malloc(cut + 1), *b = malloc(n - cut + 1); /* a sanitizer sees who looks beyond */
	struct found first = { .c = c }, second = { .c = c };

	assert_non_null(a);
	assert_non_null(b);
	memcpy(a, p, cut);
	memcpy(b, p + cut, n - cut);
	ledger_scan(l, NULL, 0, a, cut, find, &first);
	ledger_scan(l, a, cut, b, n - cut, find, &second);
	for (uint32_t i = 0; i < HEADS; i++) assert_int_equal(first.times[i] + second.times[i], want[i]);
	assert_int_equal(first.others + second.others, 0);
	free(a);
	free(b);
}

/* Heads are found once, whether they lie in the first piece, in the second, or across the two, for every place of the cut; those of
 * packets that have ended are not told. */
static void scanned_at_every_cut(void **state)
{
	static const uint32_t all[HEADS] = { 1, 1, 1 }, without[HEADS] = { 1, 0, 1 };
	struct ledger *l = ledger_new();
	uint8_t p[STREAM_MAX];
	struct copy c[HEADS];
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < HEADS; i++) send(l, &c[i], i, 1, 2, 40 + 30 * i, i == 1);
	n += junk(p + n, c, 45);
	memcpy(p + n, c[0].p, c[0].n), n += c[0].n;
	memcpy(p + n, c[1].p, c[1].n), n += c[1].n; /* back to back */
	n += junk(p + n, c, 31);
	memcpy(p + n, c[2].p, LEDGER_HEAD), n += LEDGER_HEAD; /* its rest is still to come */
	for (uint32_t cut = 0; cut <= n; cut++) scan_cut(l, c, p, n, cut, all);
	for (uint32_t cut = 0; cut < n; cut++) scan_cut(l, c, p, n - 1, cut, (const uint32_t[HEADS]){ 1, 1, 0 }); /* a byte is missing */
	assert_true(ledger_end(l, c[1].p, c[1].n, LEDGER_DROPPED, NULL));
	for (uint32_t cut = 0; cut <= n; cut++) scan_cut(l, c, p, n, cut, without);
	ledger_free(l);
}

/* A head alone, with nothing around it, in two pieces of every size. */
static void scanned_alone(void **state)
{
	static const uint32_t want[HEADS] = { 1, 0, 0 };
	struct ledger *l = ledger_new();
	struct copy c[HEADS];

	(void)state;
	for (uint32_t i = 0; i < HEADS; i++) send(l, &c[i], i, 1, 2, 64, false);
	for (uint32_t n = LEDGER_HEAD; n <= 64; n++)
		for (uint32_t cut = 0; cut <= n; cut++) scan_cut(l, c, c[0].p, n, cut, want);
	ledger_free(l);
}

/* ---- census ---- */

struct told {
	const struct copy *c;
	uint64_t of; /* bit i: copy i was told */
	bool close;
};

static bool tell(void *ctx, const struct ledger_packet *packet)
{
	struct told *t = ctx;
	uint32_t i = (uint32_t)packet->number;

	assert_int_equal(packet->number, number_of(&t->c[i]));
	assert_int_equal(packet->sent_at, t->c[i].sent_at);
	assert_int_equal(packet->from, t->c[i].from);
	assert_int_equal(packet->to, t->c[i].to);
	assert_int_equal(packet->size, t->c[i].n);
	assert_false(t->of >> i & 1);
	t->of |= UINT64_C(1) << i;
	return t->close;
}

static uint64_t unseen(struct ledger *l, const struct copy *c, bool close)
{
	struct told t = { .c = c, .close = close };

	ledger_unseen_each(l, tell, &t);
	return t.of;
}

/* Those that were not seen anywhere are told, once each; whoever is told for good is unaccounted, and a double when it turns up. */
static void census_finds_the_unseen(void **state)
{
	enum { N = 40 };
	struct ledger *l = ledger_new();
	struct copy c[N], late;
	uint64_t all = (UINT64_C(1) << N) - 1, expected = all;

	(void)state;
	for (uint32_t i = 0; i < N; i++) send(l, &c[i], 100 + i, i, i + 1, 100 + i, false);
	ledger_see_none(l);
	assert_int_equal(unseen(l, c, false), all);
	for (uint32_t i = 0; i < N; i += 3) {
		ledger_see(l, c[i].p, i % 2 ? c[i].n : LEDGER_HEAD);
		expected &= ~(UINT64_C(1) << i);
	}
	assert_int_equal(unseen(l, c, false), expected);
	assert_int_equal(deliver(l, &c[1]), LEDGER_OK);
	assert_true(ledger_end(l, c[2].p, c[2].n, LEDGER_LOST_STREAM, NULL));
	expected &= ~UINT64_C(6);
	ledger_see(l, c[2].p, c[2].n); /* of no account: it has ended */
	assert_int_equal(unseen(l, c, true), expected);
	assert_int_equal(ledger_ended(l, LEDGER_UNACCOUNTED), __builtin_popcountll(expected));
	assert_int_equal(unseen(l, c, true), 0);
	assert_int_equal(ledger_open(l), (N + 2) / 3);
	assert_int_equal(deliver(l, &c[4]), LEDGER_DOUBLED);
	send(l, &late, 999, 1, 2, 100, false);
	ledger_see(l, c[(uint32_t)number_of(&late)].p, LEDGER_HEAD); /* the one that had its slot: itself it was not seen */
	c[(uint32_t)number_of(&late)] = late;
	assert_int_equal(unseen(l, c, false), UINT64_C(1) << (uint32_t)number_of(&late));
	ledger_see_none(l);
	assert_int_equal(__builtin_popcountll(unseen(l, c, true)), (N + 2) / 3 + 1);
	assert_int_equal(ledger_open(l), 0);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivered_once),
		cmocka_unit_test(largest_packet),
		cmocka_unit_test(forged),
		cmocka_unit_test(changed),
		cmocka_unit_test(changed_number),
		cmocka_unit_test(misdelivered),
		cmocka_unit_test(twice_forwarded),
		cmocka_unit_test(faults_have_names),
		cmocka_unit_test(ends_once),
		cmocka_unit_test(against_list),
		cmocka_unit_test(scanned_at_every_cut),
		cmocka_unit_test(scanned_alone),
		cmocka_unit_test(census_finds_the_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
