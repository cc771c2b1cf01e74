/* A connection whose DERP stream lies in WebSocket messages (HTTP-026..HTTP-033): login and routing are those of any other.
 *
 * What comes is unmasked into one packet an event, which the list of actions keeps, so that packets go on from there uncopied, as they
 * do from the bytes of an event. What leaves is not masked: a message is a header in the arena and the span as it is. The backlog counts
 * the bytes of the stream below, headers included. */
#include "session.h"

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
	char text[HTTP_OUT_MAX];

	send_plain(s, text, http_websocket_response(text, request), out);
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

void session_websocket_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out)
{
	enum websocket_result result = WEBSOCKET_PING;
	struct packet *stream;
	uint32_t used = 0;

	if (s->ws == NULL || n == 0) return; /* behind the end */
	stream = packet_new((uint32_t)n);
	actions_keep(out, stream);
	while (s->ws != NULL && result != WEBSOCKET_MORE) {
		uint32_t got = 0;
		result = websocket_read(s->ws, &p, &n, stream->bytes + used, &got);
		if (got != 0) session_stream(r, s, now, stream->bytes + used, got, out);
		used += got;
		if (result == WEBSOCKET_PING) session_websocket_pong(r, s, out);
		if (result == WEBSOCKET_CLOSED) peer_closed(r, s, now, out);
		if (result == WEBSOCKET_FAILED) failed(r, s, now, out);
	}
}
