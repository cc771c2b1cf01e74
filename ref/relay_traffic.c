/* The stream of /debug/traffic: about every 2 s a line for each client connection whose bytes have grown, then an empty one (MET-008).
 *
 * The original asks the kernel for the bytes of each socket; ours counts those of the stream inside TLS. A stream remembers what it told
 * of each slot, and writes on only while its reader takes it, so a slow one costs nothing but its own time. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_NS (2 * NS_S)
enum { PIECE = 3600, LINE_MAX = 300 }; /* a piece is one SEND */

struct seen {
	uint64_t token, sent, received;
};

struct traffic {
	uint64_t round_at;
	uint32_t cursor; /* slot to go on with */
	bool chunked;
	bool waits;        /* for room, not for time */
	struct seen *seen; /* by slot */
	uint32_t seens;
};

struct traffic *traffic_new(struct relay *r, uint64_t now, bool chunked)
{
	struct traffic *t;

	if (r->traffics == RELAY_TRAFFICS_MAX) return NULL;
	r->traffics++;
	t = mem_zero(1, sizeof *t);
	t->round_at = now;
	t->chunked = chunked;
	return t;
}

void traffic_free(struct relay *r, struct traffic *t)
{
	if (t == NULL) return;
	r->traffics--;
	free(t->seen);
	free(t);
}

uint64_t traffic_deadline(const struct traffic *t) { return t->waits ? TIME_NEVER : t->round_at; }
uint64_t traffic_memory(const struct traffic *t) { return t == NULL ? 0 : sizeof *t + (uint64_t)t->seens * sizeof *t->seen; }

static struct seen *seen_at(struct traffic *t, uint32_t slot)
{
	if (slot >= t->seens) {
		uint32_t n = t->seens ? t->seens : CHUNK;
		while (n <= slot) n *= 2;
		t->seen = mem_grow(t->seen, (uint64_t)n * sizeof *t->seen);
		memset(t->seen + t->seens, 0, (n - t->seens) * sizeof *t->seen);
		t->seens = n;
	}
	return &t->seen[slot];
}

/* The line of a connection, if there is one to write. */
static uint32_t put_line(const struct relay *r, struct traffic *t, const struct session *s, char *out)
{
	const struct peer *peer;
	struct seen *seen;
	char hex[KEY_HEX];
	uint32_t senders;
	int n;

	if (s->token == TOKEN_NONE || s->phase != SESSION_STEADY) return 0;
	seen = seen_at(t, s->slot);
	if (seen->token != s->token) *seen = (struct seen){ .token = s->token };
	if (seen->sent == session_sent(s) && seen->received == s->received) return 0;
	seen->sent = session_sent(s), seen->received = s->received;
	peer = &r->peer[s->peer];
	key_hex(peer->key, hex);
	senders = session_at(r, peer->active)->seen.n;
	n = snprintf(out, LINE_MAX, "{\"Sent\":%llu,\"Recv\":%llu,\"Key\":\"nodekey:%.*s\"", (unsigned long long)session_sent(s),
	             (unsigned long long)s->received, KEY_HEX, hex);
	if (senders != 0) n += snprintf(out + n, LINE_MAX - (size_t)n, ",\"UniqueSenders\":%u", senders);
	n += snprintf(out + n, LINE_MAX - (size_t)n, "}\n");
	return (uint32_t)n;
}

/* As many lines as fit; at the end of the round the empty one, and the next round is planned. */
static uint32_t put_piece(const struct relay *r, struct traffic *t, uint64_t now, char out[PIECE])
{
	uint32_t n = 0, slots = r->chunks << CHUNK_BITS;

	for (; t->cursor < slots && n + LINE_MAX < PIECE; t->cursor++)
		if (r->chunk[t->cursor >> CHUNK_BITS] != NULL) n += put_line(r, t, session_at(r, t->cursor), out + n);
	if (t->cursor < slots) return n;
	out[n++] = '\n';
	t->cursor = 0;
	t->round_at = now + ROUND_NS;
	return n;
}

static void send_piece(struct session *s, const char *p, uint32_t n, bool chunked, struct actions *out)
{
	char head[16];
	uint32_t head_n = chunked ? (uint32_t)snprintf(head, sizeof head, "%x\r\n", n) : 0, end_n = chunked ? 2 : 0;
	uint8_t *to = session_send(s, head_n + n + end_n, NULL, out);

	memcpy(to, head, head_n);
	memcpy(to + head_n, p, n);
	memcpy(to + head_n + n, "\r\n", end_n);
}

void traffic_pump(struct relay *r, struct session *s, struct traffic *t, uint64_t now, struct actions *out)
{
	char piece[PIECE];

	t->waits = true;
	while (now >= t->round_at && outbox_open(&s->out, session_limits(r, s))) {
		uint32_t n;
		if (!actions_room(out)) {
			route_ready(r, s);
			return;
		}
		n = put_piece(r, t, now, piece);
		if (n != 0) send_piece(s, piece, n, t->chunked, out);
	}
	t->waits = now >= t->round_at;
}
