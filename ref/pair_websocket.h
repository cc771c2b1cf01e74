/* WebSocket frames by hand, for tests: independent of websocket.c and of wslay. *_test.c only, like pair.h. */
#ifndef REF_PAIR_WEBSOCKET_H
#define REF_PAIR_WEBSOCKET_H

#include "pair.h"

enum { WS_FIN = 0x80, WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_HEAD_MAX = 14 };

/* The mask of the examples in RFC 6455. */
static const uint8_t ws_mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* A header with the shortest form of the length; first: FIN, reserved bits and opcode; mask: NULL for none. Returns its length. */
static inline size_t ws_head(uint8_t out[WS_HEAD_MAX], uint8_t first, uint64_t n, const uint8_t *mask)
{
	size_t bytes = n < 126 ? 0 : n < 65536 ? 2 : 8, at = 2;

	out[0] = first;
	out[1] = (uint8_t)((mask == NULL ? 0 : 0x80) | (bytes == 0 ? n : bytes == 2 ? 126 : 127));
	for (size_t i = 0; i < bytes; i++) out[at++] = (uint8_t)(n >> 8 * (bytes - 1 - i));
	for (size_t i = 0; mask != NULL && i < 4; i++) out[at++] = mask[i];
	return at;
}

static inline void ws_put(struct pair_buf *b, uint8_t first, const void *p, size_t n, const uint8_t *mask)
{
	uint8_t head[WS_HEAD_MAX];
	size_t at;

	pair_put(b, head, ws_head(head, first, n, mask));
	at = b->n;
	pair_put(b, p, n);
	for (size_t i = 0; mask != NULL && i < n; i++) b->p[at + i] ^= mask[i % 4];
}

/* A close message; status 0: without one. */
static inline void ws_put_close(struct pair_buf *b, uint16_t status, const uint8_t *mask)
{
	uint8_t data[2] = { (uint8_t)(status >> 8), (uint8_t)status };

	ws_put(b, WS_FIN | WS_CLOSE, data, status == 0 ? 0 : 2, mask);
}

/* One frame, taken from the front; its payload is unmasked and appended to data. */
struct ws_frame {
	uint8_t first;
	bool masked;
	uint8_t mask[4];
	size_t n, at;    /* payload bytes; where they begin in data */
	uint16_t status; /* of a close message; 0: none */
};

/* False: there is no whole frame. */
static inline bool ws_take(const uint8_t **p, size_t *n, struct ws_frame *f, struct pair_buf *data)
{
	const uint8_t *b = *p;
	size_t at = 2, bytes;

	if (*n < 2) return false;
	*f = (struct ws_frame){ .first = b[0], .masked = (b[1] & 0x80) != 0, .n = b[1] & 0x7f, .at = data->n };
	bytes = f->n < 126 ? 0 : f->n == 126 ? 2 : 8;
	if (*n < at + bytes + (f->masked ? 4 : 0)) return false;
	for (size_t i = 0; i < bytes; i++) f->n = (i == 0 ? 0 : f->n << 8) | b[at++];
	for (size_t i = 0; f->masked && i < 4; i++) f->mask[i] = b[at++];
	if (*n - at < f->n) return false;
	pair_put(data, b + at, f->n);
	for (size_t i = 0; f->masked && i < f->n; i++) data->p[f->at + i] ^= f->mask[i % 4];
	if ((f->first & 15) == WS_CLOSE && f->n >= 2) f->status = (uint16_t)(data->p[f->at] << 8 | data->p[f->at + 1]);
	*p += at + f->n, *n -= at + f->n;
	return true;
}

enum { WS_SAID = 400 };

/* One direction of a recorded connection: if its HTTP head is that of a WebSocket for DERP, takes the frames off, so that head and DERP
 * bytes remain. said: the frames that were there, in words, or NULL. */
static inline void ws_strip(struct pair_buf *b, char said[WS_SAID])
{
	struct pair_buf data = { 0 };
	char head[1024] = "";
	const uint8_t *p, *end = b->n == 0 ? NULL : memmem(b->p, b->n, "\r\n\r\n", 4);
	size_t n, at = 0;
	struct ws_frame f;

	if (said != NULL) said[0] = 0;
	if (end == NULL || (n = (size_t)(end - b->p) + 4) >= sizeof head) return;
	memcpy(head, b->p, n);
	if (strcasestr(head, "\r\nSec-WebSocket-Protocol: derp\r\n") == NULL) return;
	p = b->p + n, n = b->n - n;
	pair_put(&data, head, strlen(head));
	while (ws_take(&p, &n, &f, &data)) {
		if (said != NULL) at += (size_t)snprintf(said + at, WS_SAID - at, " %02x %zu", f.first, f.status != 0 ? f.status : f.n);
		if (said != NULL && f.status != 0 && f.n > 2) at += (size_t)snprintf(said + at, WS_SAID - at, "+%zu", f.n - 2);
		assert(at < WS_SAID);
		if ((f.first & 8) != 0) data.n = f.at;
	}
	assert(n == 0);
	free(b->p);
	*b = data;
}

/* ---- wires ---- */

static inline void wire_put(struct pair *p, int s, uint8_t first, const void *data, size_t n, const uint8_t *mask)
{
	struct pair_buf b = { 0 };

	ws_put(&b, first, data, n, mask);
	wire_send(p, s, b.p, b.n);
	free(b.p);
}

/* DERP bytes in binary messages of at most `most` payload bytes. */
static inline void wire_put_stream(struct pair *p, int s, const uint8_t *data, size_t n, size_t most, const uint8_t *mask)
{
	for (size_t at = 0; at < n; at += most) wire_put(p, s, WS_FIN | WS_BINARY, data + at, n - at < most ? n - at : most, mask);
}

/* One DERP frame in as few messages as may be. */
static inline void wire_put_frame(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n, const uint8_t *mask)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + (uint64_t)n);

	frame_header(frame, type, n);
	if (n != 0) memcpy(frame + FRAME_HEADER, payload, n);
	wire_put_stream(p, s, frame, FRAME_HEADER + (size_t)n, 32768, mask);
	free(frame);
}

/* The next WebSocket frame that came; data is emptied before. False: none. */
static inline bool wire_message(struct pair *p, int s, struct ws_frame *f, struct pair_buf *data)
{
	size_t n, left;
	const uint8_t *b = wire_rest(p, s, &n);

	left = n;
	data->n = 0;
	if (n == 0 || !ws_take(&b, &left, f, data)) return false;
	wire_skip(p, s, n - left);
	return true;
}

/* ClientInfo of the key for the relay whose key is the transcripts' `server`. */
static inline uint32_t ws_client_info(uint8_t key, uint8_t out[LOGIN_FRAME_MAX])
{
	static const uint8_t nonce[KEY_NONCE] = { 1, 2, 3 };
	struct client_info info = { .version = 2, .can_ack_pings = true };
	struct key private_key = pair_key(key), public_key = pair_public(key), server = pair_public(0x00), shared;
	bool good = key_shared(&private_key, server.b, &shared);

	assert(good);
	(void)good;
	return login_client_info_frame(out, &public_key, &shared, nonce, &info);
}

/* The largest packet there is, of bytes that tell where they belong. */
static inline const uint8_t *ws_pattern(void)
{
	static uint8_t bytes[FRAME_PACKET_MAX];

	for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 256);
	return bytes;
}

/* What a relay says to a request with the key of the bytes 00..0f, in the first minute: now, with the subprotocol's line or without. */
static inline const char *ws_consent(const struct pair *p, const char *protocol)
{
	static char text[400];

	snprintf(text, sizeof text,
	         "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-Websocket-Accept: Bz3qJYTGdOe8gUSpLosEdiLKDrk=\r\n%s"
	         "Upgrade: websocket\r\nDate: Thu, 01 Jan 1970 00:00:%02u GMT\r\n\r\n",
	         protocol, (unsigned)(p->now / NS_S));
	return text;
}

static inline void wire_text(struct pair *p, int s, const char *text) { wire_send(p, s, text, strlen(text)); }

#endif
