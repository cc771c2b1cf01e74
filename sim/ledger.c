/* Open packets live in slots that are used again when the packet ends; a number is generation and slot, so that a packet seen
 * after its end is told from one that never was. Filler is a window of one fixed table, placed by the number: comparing is memcmp. */
#include "ledger.h"

#include "../ref/buf.h"
#include "../ref/frame.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_OFFSETS = 4096, TABLE_SIZE = WINDOW_OFFSETS + LEDGER_SIZE_MAX, SLOT_NONE = UINT32_MAX };

static const uint8_t disco_head[8] = { 'T', 'S', 0xf0, 0x9f, 0x92, 0xac, 0, 0 }; /* KEY-011 */
static const uint8_t other_head[8] = { 4, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t marker[8] = { 0xd1, 0x5c, 0x07, 0xac, 0x9e, 0x4b, 0x33, 0xe8 };

struct entry {
	uint64_t sent_at;
	uint32_t from, to;
	uint32_t generation; /* of the packet that is or was last in the slot; 0 = never used */
	uint32_t size : 17, disco : 1, open : 1, seen : 1, forwards : 8;
	uint32_t next_free;
};

struct ledger {
	struct entry *v;
	uint32_t n, cap, free;
	uint64_t sent, sent_bytes, delivered_bytes, ended[LEDGER_ENDS], open;
	uint8_t table[TABLE_SIZE];
	uint8_t out[LEDGER_SIZE_MAX];
};

const char *ledger_fault_name(enum ledger_fault fault)
{
	static const char *const name[LEDGER_FAULTS] = { "ok", "forged", "changed", "doubled", "misdelivered", "twice-forwarded" };

	assert(fault < LEDGER_FAULTS);
	return name[fault];
}

struct ledger *ledger_new(void)
{
	struct ledger *l = mem_zero(1, sizeof *l);
	uint64_t x = 0x6c65646765720001u;

	for (uint32_t i = 0; i < TABLE_SIZE; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		l->table[i] = (uint8_t)(x >> 56);
	}
	l->free = SLOT_NONE;
	return l;
}

void ledger_free(struct ledger *l)
{
	if (l == NULL) return;
	free(l->v);
	free(l);
}

static uint64_t number_of(uint32_t slot, uint32_t generation) { return (uint64_t)generation << 32 | slot; }

static const uint8_t *filler(const struct ledger *l, uint64_t number) { return l->table + ((number * 0x9e3779b97f4a7c15u) >> 52); }

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint32_t slot_take(struct ledger *l)
{
	uint32_t slot = l->free;

	if (slot != SLOT_NONE) {
		l->free = l->v[slot].next_free;
		return slot;
	}
	MEM_ROOM(l->v, l->n, l->cap);
	l->v[l->n] = (struct entry){ 0 };
	return l->n++;
}

const uint8_t *ledger_send(struct ledger *l, uint64_t now, uint32_t from, uint32_t to, uint32_t size, bool disco)
{
	uint32_t slot = slot_take(l);
	struct entry *e = &l->v[slot];
	uint64_t number;

	assert(size >= (disco ? FRAME_DISCO_MIN : LEDGER_SIZE_MIN) && size <= LEDGER_SIZE_MAX);
	assert(e->generation < UINT32_MAX);
	e->generation++;
	e->sent_at = now, e->from = from, e->to = to, e->size = size & 0x1ffff, e->disco = disco, e->open = 1, e->forwards = 0, e->seen = 0;
	l->sent++, l->sent_bytes += size, l->open++;
	number = number_of(slot, e->generation);
	memcpy(l->out, disco ? disco_head : other_head, 8);
	memcpy(l->out + 8, marker, 8);
	put_u64(l->out + 16, number);
	memcpy(l->out + LEDGER_HEAD, filler(l, number), size - LEDGER_HEAD);
	return l->out;
}

/* The entry that the head of p,n names; *fault says what is wrong with that. */
static struct entry *look_up(struct ledger *l, const uint8_t *p, uint32_t n, enum ledger_fault *fault)
{
	uint64_t number;
	uint32_t slot, generation;
	struct entry *e;

	*fault = LEDGER_FORGED;
	if (n < LEDGER_HEAD || memcmp(p + 8, marker, 8) != 0) return NULL;
	number = get_u64(p + 16);
	slot = (uint32_t)number, generation = (uint32_t)(number >> 32);
	if (slot >= l->n || generation == 0 || generation > l->v[slot].generation) return NULL;
	e = &l->v[slot];
	*fault = e->open && e->generation == generation ? LEDGER_OK : LEDGER_DOUBLED;
	return e;
}

static struct ledger_packet view(const struct ledger *l, const struct entry *e)
{
	return (struct ledger_packet){ .sent_at = e->sent_at,
		                       .from = e->from,
		                       .to = e->to,
		                       .size = e->size,
		                       .disco = e->disco,
		                       .forwards = e->forwards,
		                       .number = number_of((uint32_t)(e - l->v), e->generation) };
}

static void close_entry(struct ledger *l, struct entry *e, enum ledger_end end)
{
	assert(e->open && l->open > 0);
	e->open = 0;
	e->next_free = l->free;
	l->free = (uint32_t)(e - l->v);
	l->open--;
	l->ended[end]++;
	if (end == LEDGER_DELIVERED) l->delivered_bytes += e->size;
}

static bool unchanged(const struct ledger *l, const struct entry *e, const uint8_t *p, uint32_t n)
{
	return n == e->size && memcmp(p, e->disco ? disco_head : other_head, 8) == 0 &&
	       memcmp(p + LEDGER_HEAD, filler(l, get_u64(p + 16)), n - LEDGER_HEAD) == 0;
}

enum ledger_fault ledger_deliver(struct ledger *l, uint32_t at, uint32_t from, const uint8_t *p, uint32_t n, struct ledger_packet *out)
{
	enum ledger_fault fault;
	struct entry *e = look_up(l, p, n, &fault);

	*out = e == NULL ? (struct ledger_packet){ 0 } : view(l, e);
	if (fault != LEDGER_OK) return fault;
	if (e->from != from) return LEDGER_FORGED;
	if (e->to != at) return LEDGER_MISDELIVERED;
	if (!unchanged(l, e, p, n)) return LEDGER_CHANGED;
	close_entry(l, e, LEDGER_DELIVERED);
	return LEDGER_OK;
}

enum ledger_fault ledger_forward(struct ledger *l, const uint8_t *p, uint32_t n)
{
	enum ledger_fault fault;
	struct entry *e = look_up(l, p, n, &fault);

	if (fault != LEDGER_OK) return fault;
	if (e->forwards < UINT8_MAX) e->forwards++;
	return e->forwards > 1 ? LEDGER_TWICE_FORWARDED : LEDGER_OK;
}

bool ledger_end(struct ledger *l, const uint8_t *p, uint32_t n, enum ledger_end end, struct ledger_packet *out)
{
	enum ledger_fault fault;
	struct entry *e = look_up(l, p, n, &fault);

	assert(end != LEDGER_DELIVERED);
	if (fault != LEDGER_OK) return false;
	if (out != NULL) *out = view(l, e);
	close_entry(l, e, end);
	return true;
}

/* The mark begins 8 bytes behind a packet's head; the first of a and b that a whole head fits into is where to look. */
static void scan_flat(struct ledger *l, const uint8_t *p, uint64_t n, void (*fn)(void *ctx, const uint8_t *head), void *ctx)
{
	uint64_t at = 0;
	enum ledger_fault fault;

	while (at + LEDGER_HEAD <= n) {
		const uint8_t *hit = memchr(p + at + 8, marker[0], n - at - LEDGER_HEAD + 1);
		if (hit == NULL) break;
		at = (uint64_t)(hit - p) - 8;
		look_up(l, p + at, LEDGER_HEAD, &fault);
		if (fault == LEDGER_OK) fn(ctx, p + at);
		at++;
	}
}

void ledger_scan(struct ledger *l, const uint8_t *a, uint32_t an, const uint8_t *b, uint32_t bn, void (*fn)(void *ctx, const uint8_t *head),
                 void *ctx)
{
	uint8_t seam[2 * LEDGER_HEAD];
	uint32_t before = an < LEDGER_HEAD - 1 ? an : LEDGER_HEAD - 1, behind = bn < LEDGER_HEAD - 1 ? bn : LEDGER_HEAD - 1;

	if (before > 0) {
		memcpy(seam, a + an - before, before);
		memcpy(seam + before, b, behind);
		scan_flat(l, seam, before + behind, fn, ctx);
	}
	scan_flat(l, b, bn, fn, ctx);
}

void ledger_see_none(struct ledger *l)
{
	for (uint32_t i = 0; i < l->n; i++) l->v[i].seen = 0;
}

void ledger_see(struct ledger *l, const uint8_t *p, uint32_t n)
{
	enum ledger_fault fault;
	struct entry *e = look_up(l, p, n, &fault);

	if (fault == LEDGER_OK) e->seen = 1;
}

void ledger_unseen_each(struct ledger *l, bool (*fn)(void *ctx, const struct ledger_packet *packet), void *ctx)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct ledger_packet packet;
		if (!l->v[i].open || l->v[i].seen) continue;
		packet = view(l, &l->v[i]);
		if (fn(ctx, &packet)) close_entry(l, &l->v[i], LEDGER_UNACCOUNTED);
	}
}

uint32_t ledger_claims(const struct ledger *l, const uint8_t *p, uint32_t n)
{
	uint32_t slot;

	if (n < LEDGER_HEAD || memcmp(p + 8, marker, 8) != 0) return UINT32_MAX;
	slot = (uint32_t)get_u64(p + 16);
	return slot < l->n ? l->v[slot].from : UINT32_MAX;
}

uint64_t ledger_sent(const struct ledger *l) { return l->sent; }
uint64_t ledger_sent_bytes(const struct ledger *l) { return l->sent_bytes; }
uint64_t ledger_delivered_bytes(const struct ledger *l) { return l->delivered_bytes; }
uint64_t ledger_open(const struct ledger *l) { return l->open; }

uint64_t ledger_ended(const struct ledger *l, enum ledger_end end)
{
	assert(end < LEDGER_ENDS);
	return l->ended[end];
}
