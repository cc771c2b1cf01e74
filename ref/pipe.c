/* Go-back-N with cumulative acknowledgements. */
#include "pipe.h"

#include "machine.h"

#include <string.h>

#define PIPE_FIRST (500 * NS_MS)
#define PIPE_LONGEST (4 * NS_S)
enum { FLAG_FIN = 1, EQUAL_ENOUGH = 3 };
static const uint8_t magic[4] = { 'd', 'p', 'p', '1' };

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) v = v << 8 | p[i];
	return v;
}

void pipe_init(struct pipe *p, uint64_t id)
{
	assert(id != 0);
	memset(p, 0, offsetof(struct pipe, held));
	p->id = id;
	p->patience = PIPE_FIRST;
	p->due = TIME_NEVER;
}

/* ---- sending ---- */

static uint32_t held(const struct pipe *p) { return p->acked > p->end ? 0 : (uint32_t)(p->end - p->acked); }
uint32_t pipe_room(const struct pipe *p) { return PIPE_WINDOW - held(p); }

uint32_t pipe_put(struct pipe *p, const uint8_t *bytes, uint32_t n)
{
	uint32_t room = pipe_room(p);

	assert(!p->fin);
	if (n > room) n = room;
	if (n != 0) memcpy(p->held + held(p), bytes, n);
	p->end += n;
	return n;
}

void pipe_finish(struct pipe *p) { p->fin = true; }

uint32_t pipe_next(struct pipe *p, uint64_t now, uint8_t out[PIPE_PACKET])
{
	uint32_t n = p->next >= p->end ? 0 : p->end - p->next < PIPE_DATA ? (uint32_t)(p->end - p->next) : PIPE_DATA;
	bool fin = p->fin && p->next + n == p->end;

	if (n == 0 && !fin && !p->ack_due) return 0;
	memcpy(out, magic, sizeof magic);
	memset(out + 4, 0, 4);
	out[7] = fin ? FLAG_FIN : 0;
	put_u64(out + 8, p->id);
	put_u64(out + 16, p->peer);
	put_u64(out + 24, p->next);
	put_u64(out + 32, p->await);
	if (n != 0) memcpy(out + PIPE_HEADER, p->held + (p->next - p->acked), n);
	p->next += n + fin;
	if (p->next > p->most) p->most = p->next;
	if (p->next > p->acked && p->due == TIME_NEVER) p->due = now + p->patience;
	p->ack_due = false;
	return PIPE_HEADER + n;
}

uint64_t pipe_deadline(const struct pipe *p) { return p->due; }

/* Once more from what is not acknowledged. */
void pipe_timer(struct pipe *p, uint64_t now)
{
	if (now < p->due) return;
	p->next = p->acked;
	p->patience = 2 * p->patience < PIPE_LONGEST ? 2 * p->patience : PIPE_LONGEST;
	p->due = TIME_NEVER;
	p->equal = 0;
}

/* ---- receiving ---- */

static void acknowledged(struct pipe *p, uint64_t now, uint64_t ack)
{
	uint64_t bytes_to = ack < p->end ? ack : p->end;
	uint32_t gone = bytes_to > p->acked ? (uint32_t)(bytes_to - p->acked) : 0;

	memmove(p->held, p->held + gone, held(p) - gone);
	p->acked = ack;
	if (p->next < ack) p->next = ack;
	p->equal = 0, p->repeated = false;
	p->patience = PIPE_FIRST;
	p->due = p->most > ack ? now + p->patience : TIME_NEVER;
}

/* Three ACKs that move nothing mean that something was lost, and those behind it came; once, as those sent again bring such ACKs too. */
static void take_ack(struct pipe *p, uint64_t now, uint64_t ack, bool bare)
{
	if (ack > p->most || ack < p->acked) return;
	if (ack > p->acked) {
		acknowledged(p, now, ack);
	} else if (bare && p->most > p->acked && ++p->equal >= EQUAL_ENOUGH && !p->repeated) {
		p->repeated = true;
		p->next = p->acked;
	}
}

/* Is it from the run that we talk to? The first one heard of is; another one that knows us takes the place of one that never sent. */
static enum pipe_verdict judge_run(struct pipe *p, uint64_t from, uint64_t to)
{
	if (from == 0 || (to != 0 && to != p->id)) return PIPE_IGNORED; /* meant for an earlier run of ours */
	if (p->peer == 0) p->peer = from;
	if (p->peer == from) return PIPE_TAKEN;
	if (p->acked != 0 || p->await != 0) return PIPE_ANEW;
	p->peer = from;
	return PIPE_TAKEN;
}

enum pipe_verdict pipe_take(struct pipe *p, uint64_t now, const uint8_t *packet, uint32_t packet_n, const uint8_t **data, uint32_t *n)
{
	uint32_t data_n = packet_n - PIPE_HEADER, skip;
	enum pipe_verdict verdict;
	uint64_t at;
	bool fin;

	*data = packet, *n = 0;
	if (packet_n < PIPE_HEADER || packet_n > PIPE_PACKET || memcmp(packet, magic, sizeof magic) != 0) return PIPE_IGNORED;
	verdict = judge_run(p, get_u64(packet + 8), get_u64(packet + 16));
	if (verdict != PIPE_TAKEN) return verdict;
	at = get_u64(packet + 24);
	fin = (packet[7] & FLAG_FIN) != 0;
	take_ack(p, now, get_u64(packet + 32), data_n == 0 && !fin);
	if (data_n == 0 && !fin) return PIPE_TAKEN;
	p->ack_due = true;
	if (at > p->await || p->await - at > data_n) return PIPE_TAKEN; /* out of order, or known to its end */
	if (p->peer_fin) return PIPE_TAKEN;
	skip = (uint32_t)(p->await - at);
	*data = packet + PIPE_HEADER + skip;
	*n = data_n - skip;
	p->await += *n + fin;
	p->peer_fin = fin;
	return PIPE_TAKEN;
}

bool pipe_all_sent(const struct pipe *p) { return p->fin && p->acked >= p->end; }
bool pipe_over(const struct pipe *p) { return p->fin && p->acked == p->end + 1 && p->peer_fin && !p->ack_due; }
