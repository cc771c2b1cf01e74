/* A connection whose DERP stream lies in WebSocket messages (HTTP-026..HTTP-033): login and routing are those of any other.
 *
 * What comes is unmasked into one packet an event, which the list of actions keeps, so that packets go on from there uncopied, as they
 * do from the bytes of an event. What leaves is not masked: a message is a header in the arena and the span as it is. The backlog counts
 * the bytes of the stream below, headers included.
 *
 * A connection that is not read on (relay_wait.c) keeps what DERP has not looked at unmasked, and behind that the bytes as they came;
 * its pings and its close message wait with them, as they do at the original, whose reader sleeps. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_plain(struct session *s, const void *p, uint32_t n, struct actions *out)
{
	if (n == 0) return;
	memcpy(actions_send(out, s->token, n), p, n);
	outbox_sent(&s->out, n);
}

/* ---- beginning ---- */

void session_websocket_enter(struct relay *r, struct session *s, uint64_t now, const struct http_request *request, struct actions *out)
{
	char text[HTTP_OUT_MAX], date[REPLY_DATE];
	uint32_t n = http_websocket_response(text, request) - 2; /* without its empty line: dated as the original's is, though 101 need not be */

	n += (uint32_t)snprintf(text + n, sizeof text - n, "Date: %s\r\n\r\n", reply_date((r->wall_ns + now) / NS_S, date));
	assert(n < sizeof text);
	send_plain(s, text, n, out);
	s->ws = mem_alloc(sizeof *s->ws);
	websocket_init(s->ws, NULL, relay_is_derper(r));
	s->messages = true;
	if (!request->subprotocol) { /* HTTP-029 */
		session_websocket_goodbye(s, WEBSOCKET_POLICY, out);
		session_close(r, s, now, "websocket: not the subprotocol derp", false, out);
		return;
	}
	r->count.websocket_accepts++;
	session_enter_login(r, s, now, NULL, 0, out); /* HTTP-032: HSK-001 first, whatever else the request says */
}

/* ---- writing ---- */

static void put_span(struct actions *out, const struct span *span, uint32_t at, uint32_t n)
{
	if (n == 0) return;
	if (span->owner != NULL)
		actions_span_packet(out, packet_hold(span->owner), span->p + at, n);
	else
		actions_span(out, span->p + at, n);
}

/* HTTP-031: one message as a rule, more where it would be too long; the head is always whole in the first. */
uint8_t *session_websocket_send(struct session *s, uint32_t head_n, const struct span *span, struct actions *out)
{
	uint32_t left = head_n + (span != NULL ? span->n : 0), first = out->n, first_head = 0, at = 0;

	assert(s->ws != NULL && head_n > 0 && left >= head_n);
	while (left > 0) {
		bool is_first = out->n == first;
		uint32_t n = websocket_cut(s->ws, left, is_first), mine = is_first ? head_n : 0;
		uint8_t head[WEBSOCKET_HEAD_MAX];
		uint32_t message_head = websocket_head(head, n);
		assert(n >= mine);
		memcpy(actions_send(out, s->token, message_head + mine), head, message_head);
		if (is_first) first_head = message_head;
		if (span != NULL) put_span(out, span, at, n - mine);
		at += n - mine;
		left -= n;
		outbox_sent(&s->out, message_head + n);
	}
	return out->arena + out->v[first].head_at + first_head;
}

/* A peer that pings and does not read gets the answer to its last ping when it reads again (RFC 6455, 5.5.3). */
void session_websocket_pong(struct relay *r, struct session *s, struct actions *out)
{
	uint8_t pong[WEBSOCKET_CONTROL_MAX];

	if (s->ws != NULL && outbox_open(&s->out, session_limits(r, s))) send_plain(s, pong, websocket_pong(s->ws, pong), out);
}

/* ---- ends ---- */

bool session_websocket_goodbye(struct session *s, uint16_t status, struct actions *out)
{
	uint8_t message[WEBSOCKET_CONTROL_MAX];

	if (s->ws == NULL) return false;
	send_plain(s, message, websocket_close(s->ws, status, message), out);
	return true;
}

void session_websocket_free(struct session *s)
{
	if (s->ws != NULL) websocket_free(s->ws);
	free(s->ws);
	s->ws = NULL;
}

static void peer_closed(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	uint16_t status = s->ws->status;

	if (s->phase == SESSION_CLOSING) { /* the answer to ours */
		session_fin(r, s, now, out);
		return;
	}
	session_websocket_goodbye(s, status, out);
	session_websocket_free(s); /* nothing is awaited */
	session_close(r, s, now, status == WEBSOCKET_NORMAL || status == WEBSOCKET_GOING_AWAY ? "eof" : "websocket: closed by the peer", false, out);
}

static void failed(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	uint16_t status = s->ws->status;

	session_websocket_goodbye(s, status, out);
	session_close(r, s, now,
	              status == WEBSOCKET_UNSUPPORTED ? "websocket: a text message"
	              : status == WEBSOCKET_TOO_BIG   ? "websocket: a message too long"
	                                              : "websocket: against the protocol",
	              false, out);
}

/* ---- reading ---- */

/* What came behind DERP bytes that are done with. */
static void behind(struct relay *r, struct session *s, uint64_t now, enum websocket_result result, struct actions *out)
{
	if (result == WEBSOCKET_PING) session_websocket_pong(r, s, out);
	if (result == WEBSOCKET_CLOSED) peer_closed(r, s, now, out);
	if (result == WEBSOCKET_FAILED) failed(r, s, now, out);
}

/* DERP bytes p,n, the last that packet holds but for raw bytes that are kept; then result; then raw. False: the connection is not to be
 * read on (RAT-002, HSK-019): all that is left waits in packet. */
static bool take(struct relay *r, struct session *s, uint64_t now, struct packet *packet, struct span derp, struct span raw,
                 enum websocket_result result, struct actions *out)
{
	size_t n = derp.n;

	session_stream(r, s, now, &derp.p, &n, out);
	if (s->phase == SESSION_CLOSING) session_cut(r, now, s->token, derp.p, n);
	if (s->wait == NULL) {
		behind(r, s, now, result, out);
		return true;
	}
	s->wait->plain = (uint32_t)n;
	s->wait->behind = result;
	if (n + raw.n == 0) return false;
	packet->n = (uint32_t)(derp.p - packet->bytes + (ptrdiff_t)n) + raw.n;
	memmove(packet->bytes + packet->n - raw.n, raw.p, raw.n);
	session_keep(s, packet, derp.p, n + raw.n);
	return false;
}

/* Bytes as they came, behind those that the library holds of the span before: after a wait that may be more than the head of a frame. */
static void read_on(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out)
{
	enum websocket_result result = WEBSOCKET_PING;
	struct packet *stream = packet_new((uint32_t)n + s->ws->held);
	uint32_t used = 0;

	actions_keep(out, stream);
	r->feed = NULL; /* what is unmasked here is no packet that waited */
	while (s->ws != NULL && result != WEBSOCKET_MORE) {
		struct span derp = { .p = stream->bytes + used };
		result = websocket_read(s->ws, &p, &n, stream->bytes + used, &derp.n);
		used += derp.n;
		if (!take(r, s, now, stream, derp, (struct span){ .p = p, .n = (uint32_t)n }, result, out)) return;
	}
}

void session_websocket_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out)
{
	if (s->ws != NULL && n != 0) read_on(r, s, now, p, n, out); /* else: behind the end */
}

/* ---- bytes that waited ---- */

void session_websocket_resume(struct relay *r, struct session *s, uint64_t now, const struct session_wait *w, struct actions *out)
{
	const uint8_t *p = w->hold == NULL ? (const uint8_t *)"" : w->hold->bytes + w->at;
	struct span raw = { .p = p + w->plain, .n = w->hold == NULL ? 0 : w->hold->n - w->at - w->plain };

	if (take(r, s, now, w->hold, (struct span){ .p = p, .n = w->plain }, raw, w->behind, out) && s->ws != NULL)
		read_on(r, s, now, raw.p, raw.n, out);
}

/* The peer's close message may be among it: then our FIN comes with the deadline. */
void session_websocket_held_cut(struct relay *r, struct session *s, uint64_t now)
{
	const struct session_wait *w = s->wait;
	const uint8_t *p = w->hold == NULL ? (const uint8_t *)"" : w->hold->bytes + w->at;
	size_t n = w->hold == NULL ? 0 : w->hold->n - w->at - w->plain;
	enum websocket_result result = WEBSOCKET_PING;
	struct packet *stream;

	session_cut(r, now, s->token, p, w->plain);
	if (s->ws == NULL) return;
	p += w->plain;
	stream = packet_new((uint32_t)n + s->ws->held);
	while (result != WEBSOCKET_MORE) {
		uint32_t got = 0;
		result = websocket_read(s->ws, &p, &n, stream->bytes, &got);
		session_cut(r, now, s->token, stream->bytes, got);
	}
	packet_drop(stream);
}
