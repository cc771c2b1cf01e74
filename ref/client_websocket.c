/* A client whose DERP stream lies in WebSocket messages (HTTP-028..HTTP-031, HTTP-034); what is in them is client_login.c's.
 *
 * What comes is unmasked into one packet an event, which the list of actions keeps: see machine.h. What leaves is masked straight into
 * the arena or, if it is long, into a packet of its own; masks and the nonce of the handshake are drawn from one stream (RNG_MASK).
 * A connection that closes lives on beside the next one, for its relay's close message: at most one, the older is aborted. */
#include "client_core.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

static void websocket_end(struct client_websocket *ws)
{
	websocket_free(&ws->w);
	free(ws);
}

/* ---- handshake ---- */

uint32_t client_websocket_request(struct client *c, char out[HTTP_OUT_MAX])
{
	const struct client_node *node = &c->region->node[c->node];

	assert(c->ws == NULL);
	c->ws = mem_zero(1, sizeof *c->ws);
	rng_bytes(&c->rng, RNG_MASK, c->ws->nonce, sizeof c->ws->nonce);
	return http_websocket_request(out, region_text(c->region, node->http_host_at), region_text(c->region, c->region->path_at), c->ws->nonce);
}

bool client_websocket_accepted(struct client *c, const struct http_head *head)
{
	if (!http_websocket_accepted(head, c->ws->nonce)) return false;
	websocket_init(&c->ws->w, &c->rng, c->derper);
	c->ws->open = true;
	return true;
}

/* ---- writing ---- */

static void send_message(struct client *c, const uint8_t *a, uint32_t a_n, const uint8_t *b, uint32_t b_n)
{
	uint32_t n = websocket_message_n(&c->ws->w, a_n + b_n), written;

	if (n <= ACTIONS_HEAD_MAX) {
		written = websocket_message(&c->ws->w, a, a_n, b, b_n, actions_send(c->out_now, c->conn, n));
	} else {
		struct packet *packet = packet_new(n);
		written = websocket_message(&c->ws->w, a, a_n, b, b_n, packet->bytes);
		actions_send(c->out_now, c->conn, 0);
		actions_span_packet(c->out_now, packet, packet->bytes, n);
	}
	assert(written == n);
	(void)written;
	outbox_sent(&c->out, n);
}

/* HTTP-031 */
void client_websocket_send(struct client *c, const uint8_t *head, uint32_t head_n, const struct span *span)
{
	uint32_t left = head_n + (span != NULL ? span->n : 0), at = 0;

	for (uint32_t mine = head_n; left > 0; mine = 0) {
		uint32_t n = websocket_cut(&c->ws->w, left, mine != 0);
		assert(n >= mine);
		send_message(c, head, mine, span == NULL ? NULL : span->p + at, n - mine);
		at += n - mine;
		left -= n;
	}
}

static void send_plain(struct client *c, const uint8_t *p, uint32_t n)
{
	if (n == 0) return;
	memcpy(actions_send(c->out_now, c->conn, n), p, n);
	outbox_sent(&c->out, n);
}

void client_websocket_pong(struct client *c)
{
	uint8_t pong[WEBSOCKET_CONTROL_MAX];

	if (c->ws != NULL && c->ws->open && outbox_open(&c->out, &c->limits)) send_plain(c, pong, websocket_pong(&c->ws->w, pong));
}

/* ---- ends ---- */

bool client_websocket_goodbye(struct client *c, uint64_t now, uint16_t status)
{
	uint8_t message[WEBSOCKET_CONTROL_MAX];

	if (c->ws == NULL || !c->ws->open) return false;
	send_plain(c, message, websocket_close(&c->ws->w, status, message));
	if (c->ws_closing != NULL) {
		actions_close(c->out_now, c->ws_closing->token, true);
		websocket_end(c->ws_closing);
	}
	c->ws_closing = c->ws;
	c->ws_closing->token = c->conn;
	c->ws_closing->deadline = now + WEBSOCKET_LINGER;
	c->ws = NULL;
	return true;
}

bool client_websocket_over(struct client *c, uint64_t token)
{
	if (c->ws_closing == NULL || c->ws_closing->token != token) return false;
	websocket_end(c->ws_closing);
	c->ws_closing = NULL;
	return true;
}

void client_websocket_timer(struct client *c, uint64_t now)
{
	if (c->ws_closing == NULL || now < c->ws_closing->deadline) return;
	c->ws_closing->deadline = TIME_NEVER;
	actions_close(c->out_now, c->ws_closing->token, true);
}

void client_websocket_drop(struct client *c)
{
	struct client_websocket *ws = c->ws;

	c->ws = NULL;
	if (ws == NULL) return;
	if (ws->busy)
		ws->dead = true;
	else
		websocket_end(ws);
}

void client_websocket_release(struct client *c)
{
	client_websocket_drop(c);
	if (c->ws_closing != NULL) websocket_end(c->ws_closing);
}

uint64_t client_websocket_memory(const struct client *c)
{
	return (c->ws == NULL ? 0 : sizeof *c->ws + websocket_memory(&c->ws->w)) +
	       (c->ws_closing == NULL ? 0 : sizeof *c->ws_closing + websocket_memory(&c->ws_closing->w));
}

/* HTTP-030: whatever the status, it is the end of the stream. */
static void relay_closed(struct client *c, uint64_t now, const struct client_websocket *ws, uint64_t token)
{
	if (ws == c->ws) {
		client_websocket_goodbye(c, now, ws->w.status);
		client_end(c, now, CLIENT_END_CLOSED, true);
	}
	actions_close(c->out_now, token, false); /* the deadline holds for the relay's FIN too */
}

static void failed(struct client *c, uint64_t now, const struct client_websocket *ws)
{
	client_websocket_goodbye(c, now, ws->w.status);
	client_end(c, now, CLIENT_END_PROTOCOL, true);
}

/* ---- reading ---- */

void client_websocket_bytes(struct client *c, uint64_t now, struct client_websocket *ws, uint64_t token, const uint8_t *p, size_t n)
{
	enum websocket_result result = WEBSOCKET_PING;
	struct packet *stream;
	uint32_t used = 0;

	if (n == 0) return;
	stream = packet_new((uint32_t)n);
	actions_keep(c->out_now, stream);
	ws->busy = true;
	while (result != WEBSOCKET_MORE) {
		uint32_t got = 0;
		result = websocket_read(&ws->w, &p, &n, stream->bytes + used, &got);
		if (got != 0 && c->ws == ws)
			client_stream(c, now, stream->bytes + used, got);
		else
			client_cut(c, now, token, stream->bytes + used, got);
		used += got;
		if (ws->dead) continue; /* DERP has aborted it: the rest is only counted */
		if (result == WEBSOCKET_PING) client_websocket_pong(c);
		if (result == WEBSOCKET_CLOSED) relay_closed(c, now, ws, token);
		if (result == WEBSOCKET_FAILED) failed(c, now, ws);
	}
	ws->busy = false;
	if (ws->dead) websocket_end(ws);
}
