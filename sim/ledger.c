/* Open packets live in slots that are used again when the packet ends; a number is generation and slot, so that a packet seen
 * after its end is told from one that never was. The head says who sent it to whom under a check sum. Filler is a window of one
 * fixed table, placed by the number: comparing is memcmp. */
#include "ledger.h"

#include "../ref/buf.h"
#include "../ref/frame.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_OFFSETS = 4096, TABLE_SIZE = WINDOW_OFFSETS + LEDGER_SIZE_MAX };

static const uint8_t disco_head[8] = { 'T', 'S', 0xf0, 0x9f, 0x92, 0xac, 0, 0 }; /* KEY-011 */
static const uint8_t other_head[8] = { 4, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t marker[4] = { 0xd1, 0x5c, 0x07, 0xac };

/* Places in a packet's head, which tells all that a delivery needs: no look-up but the state's. */
enum { AT_MARKER = 8, AT_CHECK = 12, AT_NUMBER = 16, AT_FROM = 24, AT_TO = 28 };

/* What a delivery touches is kept apart and small. */
struct state {
	uint32_t generation; /* of the packet that is or was last in the slot; 0 = never used */
	uint8_t forwards;
	bool open, seen;
};

struct entry {
	uint64_t sent_at;
	uint32_t from, to;
	uint32_t size;
	bool disco;
};

struct ledger {
	struct state *state;
	struct entry *v; /* by slot */
	uint32_t n, cap, v_cap;
	uint32_t *free; /* slots, last used first */
	uint32_t frees, free_cap;
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
	return l;
}

void ledger_free(struct ledger *l)
{
	if (l == NULL) return;
	free(l->state);
	free(l->v);
	free(l->free);
	free(l);
}

static uint64_t number_of(uint32_t slot, uint32_t generation) { return (uint64_t)generation << 32 | slot; }

static const uint8_t *filler(const struct ledger *l, uint64_t number) { return l->table + ((number * 0x9e3779b97f4a7c15u) >> 52); }

static void put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static uint32_t get_u32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t get_u64(const uint8_t *p) { return get_u32(p) | (uint64_t)get_u32(p + 4) << 32; }

/* Of all that the head says and of the length: whoever changes one of them is found out. */
static uint32_t check_of(uint64_t number, uint32_t from, uint32_t to, uint32_t size)
{
	uint64_t h = (number ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;

	h = (h ^ h >> 29 ^ ((uint64_t)from << 32 | to)) * 0x94d049bb133111ebu;
	h = (h ^ h >> 32 ^ size) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(h >> 32);
}

static uint32_t slot_take(struct ledger *l)
{
	if (l->frees > 0) return l->free[--l->frees];
	MEM_ROOM(l->state, l->n, l->cap);
	MEM_ROOM(l->v, l->n, l->v_cap);
	l->state[l->n] = (struct state){ 0 };
	return l->n++;
}

const uint8_t *ledger_send(struct ledger *l, uint64_t now, uint32_t from, uint32_t to, uint32_t size, bool disco)
{
	uint32_t slot = slot_take(l);
	struct state *state = &l->state[slot];
	uint64_t number;

	assert(size >= (disco ? FRAME_DISCO_MIN : LEDGER_SIZE_MIN) && size <= LEDGER_SIZE_MAX);
	assert(state->generation < UINT32_MAX);
	*state = (struct state){ .generation = state->generation + 1, .open = true };
	l->v[slot] = (struct entry){ .sent_at = now, .from = from, .to = to, .size = size, .disco = disco };
	l->sent++, l->sent_bytes += size, l->open++;
	number = number_of(slot, state->generation);
	memcpy(l->out, disco ? disco_head : other_head, 8);
	memcpy(l->out + AT_MARKER, marker, sizeof marker);
	put_u32(l->out + AT_CHECK, check_of(number, from, to, size));
	put_u32(l->out + AT_NUMBER, slot);
	put_u32(l->out + AT_NUMBER + 4, state->generation);
	put_u32(l->out + AT_FROM, from);
	put_u32(l->out + AT_TO, to);
	memcpy(l->out + LEDGER_HEAD, filler(l, number), size - LEDGER_HEAD);
	return l->out;
}

static bool marked(const uint8_t *p, uint32_t n) { return n >= LEDGER_HEAD && memcmp(p + AT_MARKER, marker, sizeof marker) == 0; }

/* The slot that the head of p,n names; *fault says what is wrong with that. */
static uint32_t look_up(const struct ledger *l, const uint8_t *p, uint32_t n, enum ledger_fault *fault)
{
	uint32_t slot, generation;

	*fault = LEDGER_FORGED;
	if (!marked(p, n)) return 0;
	slot = get_u32(p + AT_NUMBER), generation = get_u32(p + AT_NUMBER + 4);
	if (slot >= l->n || generation == 0 || generation > l->state[slot].generation) return 0;
	*fault = l->state[slot].open && l->state[slot].generation == generation ? LEDGER_OK : LEDGER_DOUBLED;
	return slot;
}

static struct ledger_packet view(const struct ledger *l, uint32_t slot)
{
	const struct entry *e = &l->v[slot];

	return (struct ledger_packet){ .sent_at = e->sent_at,
		                       .from = e->from,
		                       .to = e->to,
		                       .size = e->size,
		                       .disco = e->disco,
		                       .forwards = l->state[slot].forwards,
		                       .number = number_of(slot, l->state[slot].generation) };
}

static void close_slot(struct ledger *l, uint32_t slot, enum ledger_end end)
{
	assert(l->state[slot].open && l->open > 0);
	l->state[slot].open = false;
	MEM_ROOM(l->free, l->frees, l->free_cap);
	l->free[l->frees++] = slot;
	l->open--;
	l->ended[end]++;
}

static bool unchanged(const struct ledger *l, const uint8_t *p, uint32_t n)
{
	uint64_t number = get_u64(p + AT_NUMBER);

	return get_u32(p + AT_CHECK) == check_of(number, get_u32(p + AT_FROM), get_u32(p + AT_TO), n) &&
	       (memcmp(p, other_head, 8) == 0 || memcmp(p, disco_head, 8) == 0) && memcmp(p + LEDGER_HEAD, filler(l, number), n - LEDGER_HEAD) == 0;
}

enum ledger_fault ledger_deliver(struct ledger *l, uint32_t at, uint32_t from, const uint8_t *p, uint32_t n, struct ledger_packet *out)
{
	enum ledger_fault fault;
	uint32_t slot = look_up(l, p, n, &fault);

	*out = (struct ledger_packet){ 0 };
	if (fault != LEDGER_OK) return fault;
	*out = (struct ledger_packet){ .from = get_u32(p + AT_FROM),
		                       .to = get_u32(p + AT_TO),
		                       .size = n,
		                       .disco = p[0] == disco_head[0],
		                       .forwards = l->state[slot].forwards,
		                       .number = get_u64(p + AT_NUMBER) };
	if (!unchanged(l, p, n)) return LEDGER_CHANGED;
	if (out->from != from) return LEDGER_FORGED;
	if (out->to != at) return LEDGER_MISDELIVERED;
	close_slot(l, slot, LEDGER_DELIVERED);
	l->delivered_bytes += n;
	return LEDGER_OK;
}

uint64_t ledger_sent_at(const struct ledger *l, uint64_t number) { return l->v[(uint32_t)number].sent_at; }

enum ledger_fault ledger_forward(struct ledger *l, const uint8_t *p, uint32_t n)
{
	enum ledger_fault fault;
	uint32_t slot = look_up(l, p, n, &fault);
	struct state *state;

	if (fault != LEDGER_OK) return fault;
	state = &l->state[slot];
	if (state->forwards < UINT8_MAX) state->forwards++;
	return state->forwards > 1 ? LEDGER_TWICE_FORWARDED : LEDGER_OK;
}

bool ledger_end(struct ledger *l, const uint8_t *p, uint32_t n, enum ledger_end end, struct ledger_packet *out)
{
	enum ledger_fault fault;
	uint32_t slot = look_up(l, p, n, &fault);

	assert(end != LEDGER_DELIVERED);
	if (fault != LEDGER_OK) return false;
	if (out != NULL) *out = view(l, slot);
	close_slot(l, slot, end);
	return true;
}

/* The mark begins AT_MARKER bytes behind a packet's head; the first of a and b that a whole head fits into is where to look. */
static void scan_flat(struct ledger *l, const uint8_t *p, uint64_t n, void (*fn)(void *ctx, const uint8_t *head), void *ctx)
{
	uint64_t at = 0;
	enum ledger_fault fault;

	while (at + LEDGER_HEAD <= n) {
		const uint8_t *hit = memchr(p + at + AT_MARKER, marker[0], n - at - LEDGER_HEAD + 1);
		if (hit == NULL) break;
		at = (uint64_t)(hit - p) - AT_MARKER;
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
	for (uint32_t i = 0; i < l->n; i++) l->state[i].seen = false;
}

void ledger_see(struct ledger *l, const uint8_t *p, uint32_t n)
{
	enum ledger_fault fault;
	uint32_t slot = look_up(l, p, n, &fault);

	if (fault == LEDGER_OK) l->state[slot].seen = true;
}

void ledger_unseen_each(struct ledger *l, bool (*fn)(void *ctx, const struct ledger_packet *packet), void *ctx)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct ledger_packet packet;
		if (!l->state[i].open || l->state[i].seen) continue;
		packet = view(l, i);
		if (fn(ctx, &packet)) close_slot(l, i, LEDGER_UNACCOUNTED);
	}
}

bool ledger_read(const uint8_t *p, uint32_t n, struct ledger_packet *out)
{
	if (!marked(p, n)) return false;
	*out = (struct ledger_packet){ .number = get_u64(p + AT_NUMBER), .from = get_u32(p + AT_FROM), .to = get_u32(p + AT_TO), .size = n };
	return true;
}

uint32_t ledger_claims(const uint8_t *p, uint32_t n) { return marked(p, n) ? get_u32(p + AT_FROM) : UINT32_MAX; }

uint64_t ledger_sent(const struct ledger *l) { return l->sent; }
uint64_t ledger_sent_bytes(const struct ledger *l) { return l->sent_bytes; }
uint64_t ledger_delivered_bytes(const struct ledger *l) { return l->delivered_bytes; }
uint64_t ledger_open(const struct ledger *l) { return l->open; }

uint64_t ledger_ended(const struct ledger *l, enum ledger_end end)
{
	assert(end < LEDGER_ENDS);
	return l->ended[end];
}
