/* The relay over WebSocket, against clients by hand: handshake, login, packets both ways, limits, pings, every kind of end, backlog.
 * Every story runs with whole events, with streams cut to single bytes and to pieces of 13 (TRP-004). */
#include "pair_websocket.h"
#include "websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, SERVER2 = 0xa0, A = 0x20, B = 0x40, C = 0x60, D = 0x80, MOST = 32768 };

static void each(void (*story)(struct pair *p, int r), const char *config)
{
	static const size_t chunks[] = { 0, 1, 13 };

	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		struct pair *p = pair_new(chunks[i]);
		story(p, pair_relay(p, SERVER, config));
		pair_free(p);
	}
}

#define STORY(name, config) \
	static void name##_story(struct pair *p, int r); \
	static void name(void **state) \
	{ \
		(void)state; \
		each(name##_story, config); \
	} \
	static void name##_story(struct pair *p, int r)

/* ---- what must be seen ---- */

static void text_is(struct pair *p, int s, const char *text)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	if (n < strlen(text) || memcmp(rest, text, strlen(text)) != 0) fail_msg("got: %.*s", (int)n, (const char *)rest);
	wire_skip(p, s, strlen(text));
}

static void message_is(struct pair *p, int s, uint8_t first, const void *payload, size_t n)
{
	struct pair_buf data = { 0 };
	struct ws_frame f = { 0 };

	if (!wire_message(p, s, &f, &data)) fail_msg("expected a message of %zu, nothing came", n);
	if (f.first != first || f.n != n) fail_msg("expected message %02x of %zu, got %02x of %zu, status %u", first, n, f.first, f.n, f.status);
	assert_false(f.masked);
	if (n != 0 && payload != NULL) assert_memory_equal(data.p, payload, n);
	free(data.p);
}

/* A message that holds exactly one DERP frame. */
static void frame_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	struct pair_buf data = { 0 };
	struct ws_frame f = { 0 };
	uint8_t head[FRAME_HEADER];

	if (!wire_message(p, s, &f, &data)) fail_msg("expected a %s, nothing came", frame_name(type));
	assert_int_equal(f.first, WS_FIN | WS_BINARY);
	assert_int_equal(f.n, FRAME_HEADER + n);
	frame_header(head, type, n);
	assert_memory_equal(data.p, head, sizeof head);
	if (payload != NULL && n != 0) assert_memory_equal(data.p + FRAME_HEADER, payload, n);
	free(data.p);
}

static void packet_is(struct pair *p, int s, uint8_t from, const void *packet, uint32_t n)
{
	struct key source = pair_public(from);
	uint8_t payload[200];

	memcpy(payload, source.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, packet, n);
	frame_is(p, s, FRAME_RECV_PACKET, payload, KEY_SIZE + n);
}

/* The same on a connection without messages. */
static void raw_packet_is(struct pair *p, int s, uint8_t from, const void *packet, uint32_t n)
{
	struct key source = pair_public(from);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a RecvPacket, nothing came");
	assert_int_equal(f.type, FRAME_RECV_PACKET);
	assert_int_equal(f.n, FRAME_KEY + n);
	assert_memory_equal(f.p, source.b, KEY_SIZE);
	if (n != 0) assert_memory_equal(f.p + FRAME_KEY, packet, n);
}

static void close_is(struct pair *p, int s, uint16_t status)
{
	uint8_t data[2] = { (uint8_t)(status >> 8), (uint8_t)status };

	message_is(p, s, WS_FIN | WS_CLOSE, data, status == 0 ? 0 : 2);
}

static void ends(struct pair *p, int s, enum pair_ended how)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_equal(wire_end(p, s)->ended, how);
}

static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(p->host[r].relay); }

/* ---- what clients do ---- */

#define REQUEST(protocol) \
	"GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n" protocol
#define PROTOCOL "Sec-WebSocket-Protocol: derp\r\n"

static int ws_open(struct pair *p, int r)
{
	int s = wire_connect(p, r);

	wire_text(p, s, REQUEST(PROTOCOL "\r\n"));
	text_is(p, s, ws_consent(p, "Sec-Websocket-Protocol: derp\r\n"));
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	return s;
}

static int ws_login(struct pair *p, int r, uint8_t key)
{
	uint8_t frame[LOGIN_FRAME_MAX];
	int s = ws_open(p, r);

	wire_put_stream(p, s, frame, ws_client_info(key, frame), MOST, ws_mask);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	return s;
}

static void send_to(struct pair *p, int s, uint8_t to, const void *packet, uint32_t n)
{
	struct key dst = pair_public(to);
	uint8_t *payload = mem_alloc(FRAME_KEY + (uint64_t)n);

	memcpy(payload, dst.b, KEY_SIZE);
	if (n != 0) memcpy(payload + FRAME_KEY, packet, n);
	wire_put_frame(p, s, FRAME_SEND_PACKET, payload, FRAME_KEY + n, ws_mask);
	free(payload);
}

static void raw_send_to(struct pair *p, int s, uint8_t to, const void *packet, uint32_t n)
{
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, packet, n);
}

static void ping(struct pair *p, int s)
{
	wire_put_frame(p, s, FRAME_PING, "12345678", 8, ws_mask);
	frame_is(p, s, FRAME_PONG, "12345678", 8);
}

static bool view(struct pair *p, int r, int s, struct relay_session_view *out)
{
	return relay_session(p->host[r].relay, p->stream[s].end[1].token, out);
}

/* ---- handshake and login ---- */

/* HTTP-026, HTTP-028, HTTP-032, HSK-001: 101 without Derp-* headers and ServerKey behind it, whatever else was asked for; then the login. */
STORY(login_asked_for_more, "")
{
	struct relay_session_view v;
	uint8_t frame[LOGIN_FRAME_MAX];
	struct wire_frame f;
	int s = wire_connect(p, r), t;

	wire_text(p, s,
	          REQUEST(PROTOCOL "Derp-Fast-Start: 1\r\nIdeal-Node: 1a\r\nOrigin: https://other.example\r\n"
	                           "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
	text_is(p, s, ws_consent(p, "Sec-Websocket-Protocol: derp\r\n"));
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	ends(p, s, PAIR_OPEN);
	wire_put_stream(p, s, frame, ws_client_info(A, frame), 5, ws_mask); /* 22 messages */
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	ping(p, s);
	assert_true(view(p, r, s, &v));
	assert_int_equal(v.phase, SESSION_STEADY);
	assert_true(v.websocket && v.active && !v.not_ideal);
	assert_string_equal(pair_noted(p, r, NOTE_LOGIN, 0)->text, "WebSocket");
	assert_int_equal(counters(p, r)->websocket_accepts, 1);
	assert_int_equal(counters(p, r)->current_notideal_connections, 0);
	t = wire_login(p, r, B, NULL);
	assert_true(view(p, r, t, &v) && !v.websocket);
	assert_false(wire_frame(p, t, &f));
	assert_int_equal(counters(p, r)->websocket_accepts, 1);
}

/* TRP-004: the request, ClientInfo and a Ping in one write. */
STORY(login_in_one_write, "")
{
	static const char request[] = REQUEST(PROTOCOL "\r\n");
	uint8_t frame[LOGIN_FRAME_MAX + 64];
	struct pair_buf b = { 0 };
	uint32_t n = ws_client_info(A, frame);
	int s = wire_connect(p, r);

	pair_put(&b, request, sizeof request - 1);
	n += frame_ping(frame + n, (const uint8_t *)"12345678");
	ws_put(&b, WS_FIN | WS_BINARY, frame, n, ws_mask); /* frames have no relation to messages: FRM-002 */
	wire_send(p, s, b.p, b.n);
	text_is(p, s, ws_consent(p, "Sec-Websocket-Protocol: derp\r\n"));
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	frame_is(p, s, FRAME_PONG, "12345678", 8);
	ends(p, s, PAIR_OPEN);
	free(b.p);
}

/* HTTP-027: without the subprotocol a historic client is served raw DERP. */
STORY(historic_client, "")
{
	struct key server = pair_public(SERVER);
	struct client_info info = { .version = 2 };
	struct relay_session_view v;
	struct wire_frame f = { 0 };
	int s = wire_connect(p, r);

	wire_text(p, s, REQUEST("\r\n"));
	text_is(p, s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n");
	assert_true(wire_http(p, s));
	assert_true(wire_frame(p, s, &f) && f.type == FRAME_SERVER_KEY);
	wire_client_info(p, s, A, &server, &info);
	assert_true(wire_frame(p, s, &f) && f.type == FRAME_SERVER_INFO);
	assert_true(view(p, r, s, &v));
	assert_false(v.websocket);
	assert_int_equal(counters(p, r)->websocket_accepts, 0);
}

/* HTTP-028: each refusal, and the connection stays usable where HTTP says so. */
STORY(handshake_refused, "")
{
	int s = wire_connect(p, r);

	wire_text(p, s, "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" PROTOCOL "\r\n");
	text_is(p, s, "HTTP/1.1 426 Upgrade Required\r\n");
	assert_true(wire_http(p, s));
	text_is(p, s, "DERP requires connection upgrade\n");
	wire_text(p, s, "POST /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" PROTOCOL "\r\n");
	text_is(p, s, "HTTP/1.1 405 Method Not Allowed\r\n");
	assert_true(wire_http(p, s));
	text_is(p, s, "Method Not Allowed\n");
	wire_text(p, s, "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" PROTOCOL "\r\n");
	text_is(p, s, "HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain; charset=utf-8\r\n");
	assert_true(wire_http(p, s));
	text_is(p, s, "Bad Request\n");
	ends(p, s, PAIR_OPEN);
	wire_text(p, s, REQUEST(PROTOCOL "\r\n"));
	text_is(p, s, ws_consent(p, "Sec-Websocket-Protocol: derp\r\n"));
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	s = wire_connect(p, r);
	wire_text(p, s, "GET /derp HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" PROTOCOL "\r\n");
	text_is(p, s, "HTTP/1.1 426 ");
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
}

/* HTTP-029: a subprotocol that only contains the word: 1008 at once, no DERP; the peer's close message is the end. */
STORY(other_subprotocol, "")
{
	int s = wire_connect(p, r);

	wire_text(p, s, REQUEST("Sec-WebSocket-Protocol: derpx\r\n\r\n"));
	text_is(p, s, ws_consent(p, ""));
	close_is(p, s, WEBSOCKET_POLICY);
	ends(p, s, PAIR_OPEN);
	wire_put(p, s, WS_FIN | WS_CLOSE, "\x03\xf0", 2, ws_mask);
	ends(p, s, PAIR_EOF);
	assert_int_equal(counters(p, r)->websocket_accepts, 0);
	assert_int_equal(counters(p, r)->logins_failed, 1);
}

/* HSK-006, HSK-030: a login that fails ends with a close message, and nobody hears of it. */
STORY(login_refused, "")
{
	int other = ws_login(p, r, B), s = ws_open(p, r);

	wire_put_frame(p, s, FRAME_PING, "12345678", 8, ws_mask);
	close_is(p, s, WEBSOCKET_NORMAL);
	ends(p, s, PAIR_OPEN);
	ends(p, other, PAIR_OPEN);
	assert_int_equal(counters(p, r)->logins_failed, 1);
	assert_int_equal(counters(p, r)->current_connections, 1);
}

/* ---- packets ---- */

/* HTTP-030, TRP-042: packets to and from a WebSocket client, also empty ones, however they lie in messages and fragments. */
STORY(packets_both_ways, "")
{
	struct key b = pair_public(B);
	int a = ws_login(p, r, A), s = wire_login(p, r, B, NULL), c = ws_login(p, r, C);
	uint8_t frames[256];
	uint32_t n = 0;

	send_to(p, a, B, "to raw", 6);
	raw_packet_is(p, s, A, "to raw", 6);
	raw_send_to(p, s, A, "from raw", 8);
	packet_is(p, a, B, "from raw", 8);
	send_to(p, a, C, "both", 4);
	packet_is(p, c, A, "both", 4);
	send_to(p, a, A, "self", 4);
	packet_is(p, a, A, "self", 4);
	send_to(p, a, B, NULL, 0);
	raw_packet_is(p, s, A, "", 0);
	raw_send_to(p, s, A, NULL, 0);
	packet_is(p, a, B, "", 0);
	for (uint8_t i = 0; i < 4; i++) {
		n += frame_send_head(frames + n, b.b, 1);
		frames[n++] = i;
	}
	wire_put(p, a, WS_FIN | WS_BINARY, frames, n, ws_mask); /* four frames in a message */
	for (uint8_t i = 0; i < 4; i++) raw_packet_is(p, s, A, &i, 1);
	wire_put_stream(p, a, frames, n, 3, ws_mask); /* in messages of three bytes */
	for (uint8_t i = 0; i < 4; i++) raw_packet_is(p, s, A, &i, 1);
	wire_put(p, a, WS_BINARY, frames, 2, ws_mask); /* in fragments, with a ping among them */
	wire_put(p, a, WS_CONTINUATION, frames + 2, 10, ws_mask);
	wire_put(p, a, WS_FIN | WS_PING, "amid", 4, ws_mask);
	message_is(p, a, WS_FIN | WS_PONG, "amid", 4);
	wire_put(p, a, WS_FIN | WS_CONTINUATION, frames + 12, n - 12, ws_mask);
	for (uint8_t i = 0; i < 4; i++) raw_packet_is(p, s, A, &i, 1);
	wire_put_stream(p, a, frames, n, n, (const uint8_t[4]){ 0 }); /* a mask of zeros */
	for (uint8_t i = 0; i < 4; i++) raw_packet_is(p, s, A, &i, 1);
	ends(p, a, PAIR_OPEN);
	ends(p, c, PAIR_OPEN);
}

/* Reads what a packet of n bytes came in: its messages' sizes, and its bytes joined. */
static void big_packet_is(struct pair *p, int s, uint8_t from, uint32_t n, const size_t *sizes)
{
	struct pair_buf all = { 0 }, data = { 0 };
	struct key source = pair_public(from);
	uint8_t head[FRAME_HEADER + FRAME_KEY];
	struct ws_frame f;

	for (; *sizes != 0; sizes++) {
		assert_true(wire_message(p, s, &f, &data));
		assert_int_equal(f.first, WS_FIN | WS_BINARY);
		assert_int_equal(f.n, *sizes);
		pair_put(&all, data.p, data.n);
	}
	frame_recv_head(head, source.b, n);
	assert_int_equal(all.n, sizeof head + n);
	assert_memory_equal(all.p, head, sizeof head);
	assert_memory_equal(all.p + sizeof head, ws_pattern(), n);
	ends(p, s, PAIR_OPEN);
	free(all.p);
	free(data.p);
}

/* HTTP-031: the largest packets go through in messages of 32,768 bytes at most: last that fits one, first that does not, the largest. */
STORY(large_packets, "")
{
	int a = ws_login(p, r, A), s = wire_login(p, r, B, NULL);

	raw_send_to(p, s, A, ws_pattern(), MOST - 37);
	big_packet_is(p, a, B, MOST - 37, (const size_t[]){ MOST, 0 });
	raw_send_to(p, s, A, ws_pattern(), MOST - 36);
	big_packet_is(p, a, B, MOST - 36, (const size_t[]){ MOST, 1, 0 });
	raw_send_to(p, s, A, ws_pattern(), FRAME_PACKET_MAX);
	big_packet_is(p, a, B, FRAME_PACKET_MAX, (const size_t[]){ MOST, MOST, 37, 0 });
	send_to(p, a, B, ws_pattern(), FRAME_PACKET_MAX);
	raw_packet_is(p, s, A, ws_pattern(), FRAME_PACKET_MAX);
	send_to(p, a, A, ws_pattern(), FRAME_PACKET_MAX);
	big_packet_is(p, a, A, FRAME_PACKET_MAX, (const size_t[]){ MOST, MOST, 37, 0 });
}

/* HTTP-031: the original's writer has a buffer of 4 KiB, and what does not fit leaves as one message, too long or not. */
STORY(large_packets_derper, "profile=derper\n")
{
	int a = ws_login(p, r, A), s = wire_login(p, r, B, NULL);

	raw_send_to(p, s, A, ws_pattern(), 4096 - 37);
	big_packet_is(p, a, B, 4096 - 37, (const size_t[]){ 4096, 0 });
	raw_send_to(p, s, A, ws_pattern(), 5000);
	big_packet_is(p, a, B, 5000, (const size_t[]){ 4096, 941, 0 });
	raw_send_to(p, s, A, ws_pattern(), FRAME_PACKET_MAX);
	big_packet_is(p, a, B, FRAME_PACKET_MAX, (const size_t[]){ 4096, FRAME_PACKET_MAX + 37 - 4096, 0 });
}

/* A message of n bytes, of which the last are a Ping and the rest a KeepAlive, which means nothing to a relay. */
static void put_message_with_ping(struct pair *p, int s, size_t n)
{
	uint8_t *data = mem_zero(1, n);

	frame_header(data, FRAME_KEEP_ALIVE, (uint32_t)(n - 13 - FRAME_HEADER));
	frame_ping(data + n - 13, (const uint8_t *)"12345678");
	wire_put(p, s, WS_FIN | WS_BINARY, data, n, ws_mask);
	free(data);
}

/* HTTP-031: 32,768 bytes are taken, one more closes with 1009, and nothing of it is taken. */
STORY(message_too_long, "")
{
	int s = ws_login(p, r, A);

	put_message_with_ping(p, s, MOST);
	frame_is(p, s, FRAME_PONG, "12345678", 8);
	put_message_with_ping(p, s, MOST + 1);
	close_is(p, s, WEBSOCKET_TOO_BIG);
	ends(p, s, PAIR_OPEN);
}

/* HTTP-031: the original takes a message of 32,769 bytes in before it closes. */
STORY(message_too_long_derper, "profile=derper\n")
{
	int s = ws_login(p, r, A);

	put_message_with_ping(p, s, MOST + 1);
	frame_is(p, s, FRAME_PONG, "12345678", 8);
	close_is(p, s, WEBSOCKET_TOO_BIG);
	s = ws_login(p, r, A);
	put_message_with_ping(p, s, MOST + 2);
	close_is(p, s, WEBSOCKET_TOO_BIG);
}

/* ---- pings ---- */

/* RFC 6455, 5.5.2: each ping is answered, before and after the login; one by one while the peer reads. */
STORY(pings_answered, "")
{
	uint8_t data[WEBSOCKET_DATA_MAX], frame[LOGIN_FRAME_MAX];
	int s = ws_open(p, r);

	memset(data, 'x', sizeof data);
	wire_put(p, s, WS_FIN | WS_PING, "", 0, ws_mask);
	message_is(p, s, WS_FIN | WS_PONG, "", 0);
	wire_put_stream(p, s, frame, ws_client_info(A, frame), MOST, ws_mask);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	for (uint8_t i = 0; i < 3; i++) {
		data[0] = i;
		wire_put(p, s, WS_FIN | WS_PING, data, sizeof data, ws_mask);
		message_is(p, s, WS_FIN | WS_PONG, data, sizeof data);
	}
	wire_put(p, s, WS_FIN | WS_PONG, "unasked", 7, ws_mask);
	ping(p, s);
}

/* A peer that pings and does not read costs no memory: it gets the answer to its last ping, and all its packets, when it reads again. */
STORY(pings_while_blocked, "write-timeout=0s\n")
{
	int a = ws_login(p, r, A), b = wire_login(p, r, B, NULL);
	uint64_t before;

	wire_room(p, a, 0);
	for (int i = 0; i < 3; i++) raw_send_to(p, b, A, ws_pattern(), 60000); /* fills the backlog */
	wire_put(p, a, WS_FIN | WS_PING, "first", 5, ws_mask);
	before = p->stream[a].end[1].held.n;
	for (int i = 0; i < 100; i++) wire_put(p, a, WS_FIN | WS_PING, "again", 5, ws_mask);
	wire_put(p, a, WS_FIN | WS_PING, "last", 4, ws_mask);
	assert_int_equal(p->stream[a].end[1].held.n, before);
	wire_room(p, a, SIZE_MAX);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 2; k++) message_is(p, a, WS_FIN | WS_BINARY, NULL, k == 0 ? MOST : 60037 - MOST);
	message_is(p, a, WS_FIN | WS_PONG, "last", 4);
	ends(p, a, PAIR_OPEN);
	ping(p, a);
}

/* ---- ends ---- */

/* HTTP-030: a text message is 1003. Ours then waits 5 s for the peer's close message, taking nothing more for DERP, and ends the stream. */
STORY(text_message, "")
{
	int a = ws_login(p, r, A), b = wire_login(p, r, B, NULL);
	struct wire_frame f = { 0 };

	send_to(p, a, B, "x", 1);
	raw_packet_is(p, b, A, "x", 1);
	wire_put(p, a, WS_FIN | WS_TEXT, "text", 4, ws_mask);
	close_is(p, a, WEBSOCKET_UNSUPPORTED);
	assert_true(wire_frame(p, b, &f) && f.type == FRAME_PEER_GONE); /* gone at once */
	assert_int_equal(counters(p, r)->current_connections, 1);
	send_to(p, a, B, "late", 4);
	wire_put(p, a, WS_FIN | WS_PING, "late", 4, ws_mask);
	assert_false(wire_frame(p, b, &f));
	pair_advance(p, 5 * NS_S - 1);
	ends(p, a, PAIR_OPEN);
	pair_advance(p, 1);
	ends(p, a, PAIR_EOF);
	pair_advance(p, 5 * NS_S - 1); /* and as long for its FIN */
	assert_true(p->stream[a].end[1].open);
	pair_advance(p, 1);
	assert_false(p->stream[a].end[1].open);
}

/* HTTP-030: the peer's answer, or its FIN, ends the wait at once. */
STORY(close_answered, "")
{
	int s = ws_login(p, r, A);

	wire_put(p, s, WS_FIN | WS_TEXT, "text", 4, ws_mask);
	close_is(p, s, WEBSOCKET_UNSUPPORTED);
	pair_advance(p, 4 * NS_S);
	ends(p, s, PAIR_OPEN);
	wire_put(p, s, WS_FIN | WS_CLOSE, "\x03\xeb", 2, ws_mask);
	ends(p, s, PAIR_EOF);
	pair_advance(p, 5 * NS_S - 1);
	assert_true(p->stream[s].end[1].open);
	pair_advance(p, 1);
	assert_false(p->stream[s].end[1].open);
	s = ws_login(p, r, A);
	wire_put(p, s, WS_FIN | WS_TEXT, "text", 4, ws_mask);
	close_is(p, s, WEBSOCKET_UNSUPPORTED);
	wire_fin(p, s);
	ends(p, s, PAIR_EOF);
	assert_false(p->stream[s].end[1].open);
}

/* HTTP-030: 1000 and 1001 are the end of the stream; any other status, or none, is an end too. Each is answered with the same. */
STORY(peer_closes, "")
{
	static const uint16_t statuses[] = { 1000, 1001, 1011, 4999, 0 };
	int b = wire_login(p, r, B, NULL);

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		int s = ws_login(p, r, A);
		struct wire_frame f = { 0 };
		struct pair_buf close = { 0 };
		send_to(p, s, B, "x", 1);
		raw_packet_is(p, b, A, "x", 1);
		wire_put(p, s, WS_FIN | WS_BINARY, "\x04\x00\x00", 3, ws_mask); /* half a frame */
		ws_put_close(&close, statuses[i], ws_mask);
		ws_put(&close, WS_FIN | WS_PING, "behind", 6, ws_mask);
		wire_send(p, s, close.p, close.n);
		close_is(p, s, statuses[i]);
		ends(p, s, PAIR_EOF);
		assert_true(wire_frame(p, b, &f) && f.type == FRAME_PEER_GONE);
		assert_string_equal(pair_noted(p, r, NOTE_LEAVE, i)->text, i < 2 ? "eof" : "websocket: closed by the peer");
		wire_fin(p, s);
		free(close.p);
	}
	assert_int_equal(counters(p, r)->current_connections, 1);
}

/* RFC 6455, 5 and 7.4: what a client may not send, and the status for it. More of them are in websocket_test.c. */
STORY(frames_refused, "")
{
	static const struct {
		uint8_t first;
		bool masked;
		const char *data;
		uint16_t status;
	} cases[] = {
		{ WS_FIN | WS_BINARY, false, "unmasked", 1002 },
		{ WS_FIN | 0x40 | WS_BINARY, true, "reserved", 1002 },
		{ WS_FIN | 3, true, "opcode", 1002 },
		{ WS_PING, true, "in fragments", 1002 },
		{ WS_FIN | WS_CONTINUATION, true, "of nothing", 1002 },
		{ WS_FIN | WS_CLOSE, true, "\x03\xed", 1002 }, /* 1005 */
		{ WS_TEXT, true, "text", 1003 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int s = ws_login(p, r, A);
		wire_put(p, s, cases[i].first, cases[i].data, strlen(cases[i].data), cases[i].masked ? ws_mask : NULL);
		close_is(p, s, cases[i].status);
		ends(p, s, PAIR_OPEN);
		pair_advance(p, 5 * NS_S);
		ends(p, s, PAIR_EOF);
		wire_reset(p, s);
	}
	for (int i = 0; i < 2; i++) { /* no length at all: top bit set, or longer than it must be */
		int s = ws_login(p, r, A);
		wire_send(p, s, i == 0 ? "\x82\xff\x80\0\0\0\0\0\0\0" : "\x82\xfe\0\x01\0\0\0\0\0\0", 10);
		close_is(p, s, WEBSOCKET_PROTOCOL);
		wire_put_stream(p, s, ws_pattern(), 60000, 60000, NULL); /* nothing is read any more */
		pair_advance(p, 5 * NS_S);
		ends(p, s, PAIR_EOF);
		wire_reset(p, s);
	}
	assert_int_equal(counters(p, r)->current_connections, 0);
}

/* Ends that DERP decides are close messages with 1000: an illegal frame, ClosePeer. A frame behind one in its message is not read. */
STORY(derp_closes, "")
{
	struct key a = pair_public(A);
	uint8_t frames[64];
	uint32_t n;
	int s = ws_login(p, r, A);

	frame_header(frames, FRAME_PING, 7);
	n = FRAME_HEADER + 7;
	memset(frames + FRAME_HEADER, 0, 7);
	n += frame_ping(frames + n, (const uint8_t *)"12345678");
	wire_put(p, s, WS_FIN | WS_BINARY, frames, n, ws_mask);
	close_is(p, s, WEBSOCKET_NORMAL);
	ends(p, s, PAIR_OPEN);
	wire_put(p, s, WS_FIN | WS_CLOSE, "\x03\xe8", 2, ws_mask);
	ends(p, s, PAIR_EOF);
	s = ws_login(p, r, A);
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = a.b });
	close_is(p, s, WEBSOCKET_NORMAL);
	pair_advance(p, 5 * NS_S);
	ends(p, s, PAIR_EOF);
}

/* HTTP-033: a deadline ends the connection for good: no close message, no wait for one, and nothing that comes later is served. */
STORY(deadlines, "write-timeout=2s\n")
{
	uint8_t frame[LOGIN_FRAME_MAX];
	int s = ws_open(p, r), a = ws_login(p, r, A), b = wire_login(p, r, B, NULL);

	wire_put(p, s, WS_FIN | WS_PING, "", 0, ws_mask); /* HSK-017: not renewed by this */
	message_is(p, s, WS_FIN | WS_PONG, "", 0);
	pair_advance(p, 10 * NS_S - 1);
	ends(p, s, PAIR_OPEN);
	pair_advance(p, 1);
	ends(p, s, PAIR_EOF);
	wire_put_stream(p, s, frame, ws_client_info(C, frame), MOST, ws_mask);
	ends(p, s, PAIR_EOF);
	wire_room(p, a, 0); /* SRV-019 */
	raw_send_to(p, b, A, "x", 1);
	pair_advance(p, 2 * NS_S - 1);
	assert_int_equal(wire_end(p, a)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	ends(p, a, PAIR_RESET);
	assert_int_equal(counters(p, r)->write_timeouts, 1);
	assert_int_equal(counters(p, r)->current_connections, 1);
	assert_int_equal(counters(p, r)->logins_failed, 1);
}

/* ---- backlog ---- */

/* What the machine counts as SENT and not yet told is what the host has got and not yet told, to the byte. */
static void backlog_is(struct pair *p, int r, int s)
{
	struct relay_session_view v;

	assert_true(view(p, r, s, &v));
	assert_int_equal(v.unacked, p->stream[s].end[1].unacked);
	assert_int_equal(v.left, p->stream[s].end[1].left_told);
}

/* SRV-010..SRV-016 over WebSocket: bytes SENT, headers of messages included, are those told by DRAINED, refused or not; what does not
 * fit waits, the oldest goes, and every packet that was not dropped arrives in order. */
STORY(backlog, "write-timeout=0s\n")
{
	int a = ws_login(p, r, A), b = wire_login(p, r, B, NULL), big = 0, small = 0;
	struct relay_session_view v;
	struct pair_buf data = { 0 };
	struct ws_frame f;

	backlog_is(p, r, a);
	for (int i = 0; i < 20; i++) raw_send_to(p, b, A, ws_pattern(), 40000); /* passes low_water again and again */
	backlog_is(p, r, a);
	for (int i = 0; i < 40; i++) assert_true(wire_message(p, a, &f, &data));
	assert_false(wire_message(p, a, &f, &data));
	wire_room(p, a, 1000);
	for (int i = 0; i < 4; i++) {
		raw_send_to(p, b, A, ws_pattern(), 40000);
		backlog_is(p, r, a);
	}
	for (uint8_t i = 0; i < 40; i++) raw_send_to(p, b, A, &i, 1);
	backlog_is(p, r, a);
	assert_true(view(p, r, a, &v) && v.queued_other == 32 && v.unacked >= 131072);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	for (size_t room = 7; room < 200000; room *= 3) {
		wire_room(p, a, room);
		backlog_is(p, r, a);
	}
	wire_room(p, a, SIZE_MAX);
	backlog_is(p, r, a);
	while (wire_message(p, a, &f, &data))
		if (data.n == FRAME_HEADER + FRAME_KEY + 1)
			assert_int_equal(data.p[data.n - 1], 8 + small++);
		else
			big++;
	assert_int_equal(big, 8);
	assert_int_equal(small, 32);
	free(data.p);
}

/* A packet that waits does not keep alive what came with it: small packets out of large events cost what they are. */
STORY(queue_memory, "write-timeout=0s\n")
{
	int a = ws_login(p, r, A), b = ws_login(p, r, B);
	uint64_t before;
	uint8_t data[4096];
	struct key dst = pair_public(A);
	uint32_t n;

	wire_room(p, a, 0);
	for (int i = 0; i < 4; i++) send_to(p, b, A, ws_pattern(), 40000);
	before = relay_memory(p->host[r].relay);
	for (int i = 0; i < 32; i++) {
		frame_header(data, FRAME_KEEP_ALIVE, 4000);
		n = FRAME_HEADER + 4000;
		n += frame_send_head(data + n, dst.b, 1);
		data[n++] = 1;
		wire_put(p, b, WS_FIN | WS_BINARY, data, n, ws_mask);
	}
	assert_true(relay_memory(p->host[r].relay) < before + 32 * 300);
	wire_reset(p, a);
}

/* An idle connection owns no buffer beyond the few bytes of its state, and leaves nothing behind. */
STORY(memory, "")
{
	uint64_t before, after = 0;

	for (int round = 0; round < 3; round++) {
		int s, t = wire_login(p, r, B, NULL);
		before = relay_memory(p->host[r].relay);
		s = ws_login(p, r, A);
		send_to(p, s, B, ws_pattern(), FRAME_PACKET_MAX);
		raw_packet_is(p, t, A, ws_pattern(), FRAME_PACKET_MAX);
		wire_put(p, s, WS_FIN | WS_PING, "x", 1, ws_mask);
		message_is(p, s, WS_FIN | WS_PONG, "x", 1);
		if (round > 0) assert_true(relay_memory(p->host[r].relay) <= before + sizeof(struct websocket) + 256);
		if (round != 1) wire_put(p, s, WS_FIN | WS_CLOSE, "", 0, ws_mask); /* or just goes */
		wire_fin(p, s);
		wire_fin(p, t);
		if (round == 1) after = relay_memory(p->host[r].relay);
	}
	assert_int_equal(relay_memory(p->host[r].relay), after);
	assert_int_equal(relay_route(p->host[r].relay, pair_public(A).b), ROUTE_NONE);
}

/* ---- mesh ---- */

#define MESH_KEY "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

/* MSH-018: what a WebSocket client sends is forwarded to the relay where the peer is, and the answer comes back in messages. */
STORY(forwarded, MESH_KEY)
{
	int other = pair_relay(p, SERVER2, MESH_KEY "mesh-with=http://192.0.2.101:80\n"), a, b;
	struct key key = pair_public(A);

	(void)other;
	a = ws_login(p, r, A);
	b = wire_login(p, other, B, NULL);
	raw_send_to(p, b, A, "across", 6);
	packet_is(p, a, B, "across", 6);
	assert_int_equal(relay_route(p->host[other].relay, key.b), ROUTE_FORWARD);
	raw_send_to(p, b, A, ws_pattern(), FRAME_PACKET_MAX);
	big_packet_is(p, a, B, FRAME_PACKET_MAX, (const size_t[]){ MOST, MOST, 37, 0 });
}

/* The other way: this relay has the link, so that bytes out of a message become a child machine's. */
STORY(forwarded_out, MESH_KEY "mesh-with=http://192.0.2.102:80\nmesh-retry=1s\n")
{
	int other = pair_relay(p, SERVER2, MESH_KEY), a, b;

	pair_advance(p, 2 * NS_S);
	b = wire_login(p, other, B, NULL);
	a = ws_login(p, r, A);
	send_to(p, a, B, "out", 3);
	raw_packet_is(p, b, A, "out", 3);
	send_to(p, a, B, ws_pattern(), FRAME_PACKET_MAX);
	raw_packet_is(p, b, A, ws_pattern(), FRAME_PACKET_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_asked_for_more),
		cmocka_unit_test(login_in_one_write),
		cmocka_unit_test(historic_client),
		cmocka_unit_test(handshake_refused),
		cmocka_unit_test(other_subprotocol),
		cmocka_unit_test(login_refused),
		cmocka_unit_test(packets_both_ways),
		cmocka_unit_test(large_packets),
		cmocka_unit_test(large_packets_derper),
		cmocka_unit_test(message_too_long),
		cmocka_unit_test(message_too_long_derper),
		cmocka_unit_test(pings_answered),
		cmocka_unit_test(pings_while_blocked),
		cmocka_unit_test(text_message),
		cmocka_unit_test(close_answered),
		cmocka_unit_test(peer_closes),
		cmocka_unit_test(frames_refused),
		cmocka_unit_test(derp_closes),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(backlog),
		cmocka_unit_test(queue_memory),
		cmocka_unit_test(memory),
		cmocka_unit_test(forwarded),
		cmocka_unit_test(forwarded_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
