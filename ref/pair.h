/* A host for tests, whole: the world of pair_world.h, and in it hand-written clients of a relay ("wires"), hand-written relays, and what
 * tests do with them. */
#ifndef REF_PAIR_H
#define REF_PAIR_H

#include "pair_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- wires ---- */

/* A hand-written client of a relay, on one of its ports. Returns the stream. */
static inline int wire_connect_port(struct pair *p, int relay, uint16_t port)
{
	struct address at = pair_address((uint8_t)(101 + relay), port);
	const struct pair_listener *l = pair_listener_at(p, &at);
	int s = pair_stream_new(p, -1, TOKEN_NONE, &at);

	assert(l != NULL);
	pair_accept(p, s, l);
	pair_run(p);
	return s;
}

/* On its plain port. */
static inline int wire_connect(struct pair *p, int relay) { return wire_connect_port(p, relay, 80); }

/* The last stream that came in at an address where a wire listens, or -1. */
static inline int wire_accepted(const struct pair *p, struct address at)
{
	for (int s = p->streams - 1; s >= 0; s--)
		if (address_equal(&p->stream[s].to, &at) && p->stream[s].end[1].host < 0 && p->stream[s].end[1].open) return s;
	return -1;
}

static inline int wire_side(const struct pair *p, int s) { return p->stream[s].end[0].host < 0 ? 0 : 1; }
static inline struct pair_end *wire_end(struct pair *p, int s) { return &p->stream[s].end[wire_side(p, s)]; }

static inline void wire_send(struct pair *p, int s, const void *bytes, size_t n)
{
	pair_put(&wire_end(p, s)->held, bytes, n);
	pair_flush(p, s, wire_side(p, s));
	pair_run(p);
}

static inline void wire_fin(struct pair *p, int s)
{
	wire_end(p, s)->fin = true;
	pair_flush(p, s, wire_side(p, s));
	pair_run(p);
}

static inline void wire_reset(struct pair *p, int s)
{
	wire_end(p, s)->open = false;
	pair_abort(p, s, wire_side(p, s));
	pair_run(p);
}

/* Lets the transport towards the wire take only `room` more bytes; SIZE_MAX: everything again. */
static inline void wire_room(struct pair *p, int s, size_t room)
{
	int side = !wire_side(p, s);

	p->stream[s].end[side].room = room;
	pair_flush(p, s, side);
	pair_run(p);
}

static inline const uint8_t *wire_rest(struct pair *p, int s, size_t *n)
{
	struct pair_end *e = wire_end(p, s);

	*n = e->got.n - e->at;
	return e->got.p == NULL ? NULL : e->got.p + e->at;
}

static inline void wire_skip(struct pair *p, int s, size_t n) { wire_end(p, s)->at += n; }

/* The next whole frame that came, parsed by hand: independent of frame.c. False: none. */
struct wire_frame {
	uint8_t type;
	uint32_t n;
	const uint8_t *p;
};

static inline bool wire_frame(struct pair *p, int s, struct wire_frame *f)
{
	size_t n;
	const uint8_t *b = wire_rest(p, s, &n);

	if (n < 5) return false;
	*f = (struct wire_frame){ .type = b[0], .n = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4], .p = b + 5 };
	if (n - 5 < f->n) return false;
	wire_skip(p, s, 5 + (size_t)f->n);
	return true;
}

/* Jumps over an HTTP head; false: there is none. */
static inline bool wire_http(struct pair *p, int s)
{
	size_t n;
	const uint8_t *b = wire_rest(p, s, &n);

	for (size_t i = 3; i < n; i++)
		if (memcmp(b + i - 3, "\r\n\r\n", 4) == 0) {
			wire_skip(p, s, i + 1);
			return true;
		}
	return false;
}

static inline void wire_send_frame(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + (uint64_t)n);

	frame_header(frame, type, n);
	if (n != 0) memcpy(frame + FRAME_HEADER, payload, n);
	wire_send(p, s, frame, FRAME_HEADER + (size_t)n);
	free(frame);
}

static inline void wire_send_packet(struct pair *p, int s, const struct key *dst, const void *packet, uint32_t n)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + FRAME_KEY + (uint64_t)n);
	uint32_t head = frame_send_head(frame, dst->b, n);

	if (n != 0) memcpy(frame + head, packet, n);
	wire_send(p, s, frame, (size_t)head + n);
	free(frame);
}

/* ClientInfo of the key, with what info says. */
static inline void wire_client_info(struct pair *p, int s, uint8_t key, const struct key *server, const struct client_info *info)
{
	static const uint8_t nonce[KEY_NONCE] = { 1, 2, 3 };
	struct key private_key = pair_key(key), public_key = pair_public(key), shared;
	uint8_t frame[LOGIN_FRAME_MAX];
	bool good = key_shared(&private_key, server->b, &shared);

	assert(good);
	(void)good;
	wire_send(p, s, frame, login_client_info_frame(frame, &public_key, &shared, nonce, info));
}

/* The whole login to a relay whose configuration is raw=on or not: request with fast start, ServerKey, ClientInfo, ServerInfo. */
static inline int wire_login(struct pair *p, int relay, uint8_t key, const struct client_info *info)
{
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: relay.test\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n";
	struct client_info usual = { .version = 2, .can_ack_pings = true };
	struct wire_frame f = { 0 };
	struct key server;
	int s = wire_connect(p, relay);

	if (!wire_frame(p, s, &f)) {
		wire_send(p, s, request, sizeof request - 1);
		if (!wire_frame(p, s, &f)) fail_msg("expected a ServerKey, nothing came");
	}
	if (f.type != FRAME_SERVER_KEY || f.n != 40) fail_msg("expected a ServerKey of 40, got a %s of %u", frame_name(f.type), f.n);
	memcpy(server.b, f.p + FRAME_MAGIC, KEY_SIZE);
	wire_client_info(p, s, key, &server, info == NULL ? &usual : info);
	if (!wire_frame(p, s, &f)) fail_msg("expected a ServerInfo, nothing came");
	if (f.type != FRAME_SERVER_INFO) fail_msg("expected a ServerInfo, got a %s", frame_name(f.type));
	return s;
}

/* ---- clients ---- */

static inline void pair_command(struct pair *p, int host, const struct event_command *command)
{
	pair_step(p, host, &(struct event){ .kind = EVENT_COMMAND, .now = p->now, .command = command });
	pair_run(p);
}

static inline void pair_send(struct pair *p, int host, const struct key *dst, const void *packet, uint32_t n)
{
	pair_command(p, host, &(struct event_command){ .verb = COMMAND_SEND, .dst = dst->b, .p = packet, .n = n });
}

/* The i-th thing of that kind that the owner heard, or NULL. */
static inline const struct pair_heard *pair_heard(const struct pair *p, int host, enum deliver_kind what, size_t i)
{
	for (size_t k = 0; k < p->host[host].heard_n; k++)
		if (p->host[host].heard[k].what == what && i-- == 0) return &p->host[host].heard[k];
	return NULL;
}

static inline size_t pair_heard_count(const struct pair *p, int host, enum deliver_kind what)
{
	size_t n = 0;

	while (pair_heard(p, host, what, n) != NULL) n++;
	return n;
}

static inline const struct pair_note *pair_noted(const struct pair *p, int host, enum note_kind kind, size_t i)
{
	for (size_t k = 0; k < p->host[host].note_n; k++)
		if (p->host[host].note[k].kind == kind && i-- == 0) return &p->host[host].note[k];
	return NULL;
}

static inline size_t pair_note_count(const struct pair *p, int host, enum note_kind kind)
{
	size_t n = 0;

	while (pair_noted(p, host, kind, n) != NULL) n++;
	return n;
}

/* Answers the open question of a relay in the i-th place. */
static inline void pair_ask_answer(struct pair *p, int host, int i, const struct event_answer *answer)
{
	uint64_t token = p->host[host].asked[i].token;

	assert(token != TOKEN_NONE);
	p->host[host].asked[i].token = TOKEN_NONE;
	pair_step(p, host, &(struct event){ .kind = EVENT_ANSWER, .now = p->now, .token = token, .answer = answer });
	pair_run(p);
}

/* Answers the open ASK_NAME4 of a client: an address, or NULL for failure. */
static inline void pair_answer(struct pair *p, int host, const struct address *address)
{
	struct event_answer answer = { .result = address == NULL ? ANSWER_FAILED : ANSWER_OK, .p = (const uint8_t *)address, .n = address != NULL };
	uint64_t token = p->host[host].ask_token;

	assert(token != TOKEN_NONE);
	p->host[host].ask_token = TOKEN_NONE;
	pair_step(p, host, &(struct event){ .kind = EVENT_ANSWER, .now = p->now, .token = token, .answer = &answer });
	pair_run(p);
}

#endif
