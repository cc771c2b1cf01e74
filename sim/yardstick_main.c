/* derpsim-yardstick: what a plain C loop does with the star's traffic, without protocol, checks or trace. `make bench` sets the
 * simulator beside it.
 *
 * Each of N clients sends when its timer fires, to a random other; the relay finds the receiver's key in a hash table and copies
 * header and payload into that client's stream; the receiver reads it. Three queue events a message (timer, arrival at the relay,
 * arrival at the receiver), one look-up, two copies; every message is an arrival of its own. It shares nothing with the simulator. */
#include "../ref/buf.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS_MAX = 100000, HEAD = 37, KEY = 32, RATE_NS_PER_BYTE = 8 /* 1 Gbps */ };
enum { FIRES, AT_RELAY, AT_CLIENT };

struct segment {
	uint64_t at;
	uint32_t n;
};

/* One direction of a connection: a ring of bytes, a ring of segments; caps are powers of two. */
struct pipe {
	uint8_t *byte;
	struct segment *seg;
	uint64_t free_at;
	uint32_t cap, head, tail;
	uint32_t segs, first, last;
	bool armed;
};

struct queued {
	uint64_t at;
	uint32_t kind, id;
};

/* A plain radix heap: bucket i holds what first differs from the last time in bit i - 1. */
struct bucket {
	struct queued *v;
	uint32_t n, cap;
};

struct star {
	struct bucket bucket[65];
	uint64_t last;
	uint32_t front;
	uint64_t now, random;
	struct pipe *up, *down;
	uint64_t *latency;
	uint8_t (*key)[KEY];
	uint32_t *slot, mask;
};

static void push(struct star *s, uint64_t at, uint32_t kind, uint32_t id)
{
	struct bucket *b = &s->bucket[at == s->last ? 0 : 64 - __builtin_clzll(at ^ s->last)];

	MEM_ROOM(b->v, b->n, b->cap);
	b->v[b->n++] = (struct queued){ .at = at, .kind = kind, .id = id };
}

static bool pop(struct star *s, struct queued *out)
{
	if (s->front == s->bucket[0].n) {
		uint32_t i = 1;
		struct bucket b;
		s->bucket[0].n = s->front = 0;
		while (i < 65 && s->bucket[i].n == 0) i++;
		if (i == 65) return false;
		b = s->bucket[i];
		s->bucket[i].n = 0;
		s->last = UINT64_MAX;
		for (uint32_t k = 0; k < b.n; k++)
			if (b.v[k].at < s->last) s->last = b.v[k].at;
		for (uint32_t k = 0; k < b.n; k++) push(s, b.v[k].at, b.v[k].kind, b.v[k].id);
	}
	*out = s->bucket[0].v[s->front++];
	return true;
}

static uint64_t draw(struct star *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	return s->random ^= s->random << 17;
}

static uint32_t place(const struct star *s, const uint8_t *key)
{
	uint64_t a;

	memcpy(&a, key, sizeof a);
	return (uint32_t)(a * UINT64_C(0x9e3779b97f4a7c15) >> 32) & s->mask;
}

static uint32_t find(const struct star *s, const uint8_t *key)
{
	uint32_t i = place(s, key);

	while (memcmp(s->key[s->slot[i] - 1], key, KEY) != 0) i = (i + 1) & s->mask;
	return s->slot[i] - 1;
}

static void copy_in(struct pipe *p, const uint8_t *from, uint32_t n)
{
	uint32_t at = p->tail & (p->cap - 1), first = p->cap - at < n ? p->cap - at : n;

	memcpy(p->byte + at, from, first);
	memcpy(p->byte, from + first, n - first);
	p->tail += n;
}

static void make_room(struct pipe *p, uint32_t n)
{
	uint32_t used = p->tail - p->head, cap = p->cap ? p->cap : 1024;
	uint8_t *byte;

	if (used + n <= p->cap) return;
	while (cap < used + n) cap *= 2;
	byte = mem_alloc(cap);
	for (uint32_t i = 0; i < used; i++) byte[i] = p->byte[(p->head + i) & (p->cap - 1)];
	free(p->byte);
	p->byte = byte, p->cap = cap, p->head = 0, p->tail = used;
}

static void make_segment(struct pipe *p)
{
	uint32_t n = p->last - p->first, cap = p->segs ? 2 * p->segs : 8;
	struct segment *seg;

	if (n < p->segs) return;
	seg = mem_alloc(cap * sizeof *seg);
	for (uint32_t i = 0; i < n; i++) seg[i] = p->seg[(p->first + i) & (p->segs - 1)];
	free(p->seg);
	p->seg = seg, p->segs = cap, p->first = 0, p->last = n;
}

static void put(struct star *s, struct pipe *p, uint32_t kind, uint32_t client, const uint8_t *head, const uint8_t *body, uint32_t body_n)
{
	uint32_t n = HEAD + body_n;

	make_room(p, n);
	make_segment(p);
	copy_in(p, head, HEAD);
	copy_in(p, body, body_n);
	p->free_at = (p->free_at > s->now ? p->free_at : s->now) + RATE_NS_PER_BYTE * n;
	p->seg[p->last++ & (p->segs - 1)] = (struct segment){ .at = p->free_at + s->latency[client], .n = n };
	if (p->armed) return;
	p->armed = true;
	push(s, p->seg[p->first & (p->segs - 1)].at, kind, client);
}

/* The first segment's bytes, contiguous, until the next call. */
static const uint8_t *take(struct star *s, struct pipe *p, uint32_t kind, uint32_t client, uint32_t *n)
{
	static uint8_t line[1 << 17];
	uint32_t at = p->head & (p->cap - 1), first = p->cap - at;

	*n = p->seg[p->first++ & (p->segs - 1)].n;
	p->head += *n;
	p->armed = p->first != p->last;
	if (p->armed) push(s, p->seg[p->first & (p->segs - 1)].at, kind, client);
	if (first >= *n) return p->byte + at;
	memcpy(line, p->byte + at, first);
	memcpy(line + first, p->byte, *n - first);
	return line;
}

static void set_up(struct star *s, uint32_t clients, uint64_t gap)
{
	uint32_t slots = 4;

	while (slots < 2 * clients) slots *= 2;
	s->mask = slots - 1;
	s->slot = mem_zero(slots, sizeof *s->slot);
	s->key = mem_zero(clients, sizeof *s->key);
	s->latency = mem_zero(clients, sizeof *s->latency);
	s->up = mem_zero(clients, sizeof *s->up);
	s->down = mem_zero(clients, sizeof *s->down);
	for (uint32_t c = 0; c < clients; c++) {
		uint32_t i;
		for (int k = 0; k < KEY; k += 8) {
			uint64_t r = draw(s);
			memcpy(s->key[c] + k, &r, sizeof r);
		}
		for (i = place(s, s->key[c]); s->slot[i] != 0;) i = (i + 1) & s->mask;
		s->slot[i] = c + 1;
		s->latency[c] = 1000000 + draw(s) % 50000000;
		push(s, draw(s) % gap, FIRES, c);
	}
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint32_t clients = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000, size = argc > 3 ? (uint32_t)atoi(argv[3]) : 200;
	uint64_t messages = argc > 2 ? (uint64_t)atoll(argv[2]) : 3000000, gap = argc > 4 ? (uint64_t)atoll(argv[4]) : 1000000;
	uint64_t done = 0, sent = 0, digest = UINT64_C(0xcbf29ce484222325);
	uint8_t head[HEAD] = { 4 }, out[HEAD] = { 5 }, body[65536] = { 0 };
	struct star s = { .random = UINT64_C(88172645463325252) };
	struct queued e;
	double begin;

	if (clients == 0 || clients > CLIENTS_MAX || size < 8 || size > 65000 || gap == 0) {
		fprintf(stderr, "usage: derpsim-yardstick [CLIENTS=1000] [MESSAGES=3000000] [BYTES=200] [GAP_NS=1000000]\n");
		return 2;
	}
	set_up(&s, clients, gap);
	begin = cpu_seconds();
	while (done < messages && pop(&s, &e)) {
		const uint8_t *p;
		uint32_t n, to;
		uint64_t id;
		s.now = e.at;
		switch (e.kind) {
		case FIRES:
			sent++;
			memcpy(head + 5, s.key[draw(&s) % clients], KEY);
			memcpy(body, &sent, sizeof sent);
			put(&s, &s.up[e.id], AT_RELAY, e.id, head, body, size);
			push(&s, s.now + gap / 2 + draw(&s) % gap, FIRES, e.id);
			break;
		case AT_RELAY:
			p = take(&s, &s.up[e.id], AT_RELAY, e.id, &n);
			to = find(&s, p + 5);
			memcpy(out + 5, s.key[e.id], KEY);
			put(&s, &s.down[to], AT_CLIENT, to, out, p + HEAD, n - HEAD);
			break;
		default:
			p = take(&s, &s.down[e.id], AT_CLIENT, e.id, &n);
			memcpy(&id, p + HEAD, sizeof id);
			digest = (digest ^ id ^ s.now) * UINT64_C(0x100000001b3);
			done++;
		}
	}
	printf("yardstick %.3f M messages a CPU second (%u clients, %u B, digest %016" PRIx64 ")\n", (double)done / (cpu_seconds() - begin) / 1e6,
	       clients, size, digest);
	return 0;
}
