/* The client over WebSocket: with our relay, and with a relay by hand that says what ours never would: handshake, masks, limits, ends,
 * the first node and no other. Stories run with whole events and cut to single bytes (TRP-004). */
#include "digest.h"
#include "http.h"
#include "pair_websocket.h"
#include "rng.h"
#include "websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, MOST = 32768 };

static void each(void (*story)(struct pair *p))
{
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct pair *p = pair_new(chunk);
		story(p);
		pair_free(p);
	}
}

#define STORY(name) \
	static void name##_story(struct pair *p); \
	static void name(void **state) \
	{ \
		(void)state; \
		each(name##_story); \
	} \
	static void name##_story(struct pair *p)

static struct client *client_of(struct pair *p, int host) { return p->host[host].client; }

static void state_is(struct pair *p, int host, enum client_state state)
{
	if (client_state(client_of(p, host)) != state)
		fail_msg("the client is %s, not %s", client_state_name(client_state(client_of(p, host))), client_state_name(state));
}

static void ended(struct pair *p, int host, size_t i, enum client_end why)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_DISCONNECTED, i);

	assert_non_null(h);
	assert_null(pair_heard(p, host, DELIVER_DISCONNECTED, i + 1));
	if (h->a != why) fail_msg("ended because of %s, not %s", client_end_name((enum client_end)h->a), client_end_name(why));
}

static void packet_came(struct pair *p, int host, size_t i, uint8_t from, const void *packet, uint32_t n)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_PACKET, i);
	struct key key = pair_public(from);

	assert_non_null(h);
	assert_null(pair_heard(p, host, DELIVER_PACKET, i + 1));
	assert_memory_equal(h->key, key.b, KEY_SIZE);
	assert_int_equal(h->n, n);
	if (n != 0) assert_memory_equal(h->p, packet, n);
}

/* ---- with our relay ---- */

/* HTTP-030, HTTP-032, HSK-001: login, packets of every size each way, pings, KeepAlives, and a leave that the relay sees as an end. */
static void two_clients(struct pair *p, const char *one, const char *other)
{
	static const uint32_t sizes[] = { 0, 1, 88, 89, 4051, 4052, MOST - 37, MOST - 36, FRAME_PACKET_MAX };
	struct key a = pair_public(A), b = pair_public(B);
	int r = pair_relay(p, SERVER, ""), ca = pair_client(p, A, one), cb = pair_client(p, B, other);
	struct relay_session_view v;

	state_is(p, ca, CLIENT_READY);
	state_is(p, cb, CLIENT_READY);
	assert_true(relay_session(p->host[r].relay, p->stream[0].end[1].token, &v));
	assert_true(v.websocket && !v.not_ideal);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		pair_send(p, ca, &b, ws_pattern(), sizes[i]);
		packet_came(p, cb, i, A, ws_pattern(), sizes[i]);
		pair_send(p, cb, &a, ws_pattern(), sizes[i]);
		packet_came(p, ca, i, B, ws_pattern(), sizes[i]);
	}
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PONG), 1);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	assert_int_equal(relay_counters(p->host[r].relay)->current_home_connections, 1);
	pair_advance(p, 300 * NS_S); /* CLI-008 */
	assert_int_equal(pair_heard_count(p, ca, DELIVER_DISCONNECTED), 0);
	assert_true(pair_heard_count(p, ca, DELIVER_KEEPALIVE) >= 4);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_LEAVE });
	state_is(p, ca, CLIENT_GONE);
	assert_int_equal(pair_heard_count(p, cb, DELIVER_PEER_GONE), 1);
	assert_string_equal(pair_noted(p, r, NOTE_LEAVE, 0)->text, "eof"); /* 1000 */
	assert_false(p->stream[0].end[0].open || p->stream[0].end[1].open);
	assert_true(machine_deadline(p->host[ca].machine) == TIME_NEVER);
}

STORY(both_websocket) { two_clients(p, "url=http://192.0.2.101/derp\nwebsocket=on\n", "url=http://192.0.2.101/derp\nwebsocket=on\n"); }
STORY(other_raw) { two_clients(p, "url=http://192.0.2.101/derp\nwebsocket=on\n", "url=http://192.0.2.101/derp\n"); }

/* HTTP-034: no fast start, though TLS 1.3 and the meta certificate offer it. */
STORY(over_tls) { two_clients(p, "url=https://192.0.2.101/derp\nwebsocket=on\n", "url=https://192.0.2.101/derp\n"); }

/* HTTP-031: with the original's way to write, 36,827 bytes are the last packet that gets through, in either direction. */
STORY(derper_limit)
{
	struct key a = pair_public(A), b = pair_public(B);
	int r = pair_relay(p, SERVER, "profile=derper\n"), ca, cb;

	ca = pair_client(p, A, "url=http://192.0.2.101/derp\nwebsocket=on\nretry=manual\n");
	cb = pair_client(p, B, "url=http://192.0.2.101/derp\nwebsocket=on\nretry=manual\nprofile=derper\n");
	pair_send(p, cb, &a, ws_pattern(), 36827);
	packet_came(p, ca, 0, B, ws_pattern(), 36827);
	pair_send(p, cb, &a, ws_pattern(), 36829); /* the relay takes one byte too many before it closes, which is not enough for this */
	ended(p, cb, 0, CLIENT_END_CLOSED);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PACKET), 1);
	pair_command(p, cb, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, cb, CLIENT_READY);
	pair_send(p, ca, &b, ws_pattern(), 36827);
	packet_came(p, cb, 0, A, ws_pattern(), 36827);
	pair_send(p, cb, &b, "still here", 10);
	pair_send(p, ca, &a, ws_pattern(), 36828); /* to itself: ours takes nothing of a message too long */
	ended(p, ca, 0, CLIENT_END_PROTOCOL);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PACKET), 1);
	assert_int_equal(relay_counters(p->host[r].relay)->current_connections, 1);
}

/* ---- a relay by hand ---- */

static const struct address wire_at = { .ip = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 50 }, .port = 80 };
#define WIRE "url=http://192.0.2.50/derp\nwebsocket=on\n"

static void wire_listens(struct pair *p) { pair_listen(p, wire_at, PAIR_WIRE, -1, TOKEN_NONE, false); }

static int wire_relay(struct pair *p)
{
	int s = wire_accepted(p, wire_at);

	assert_true(s >= 0);
	return s;
}

/* Reads the request up to its key; what follows is checked too. */
static void request_is(struct pair *p, int s, const char *host, char key[25])
{
	char head[300], text[800];
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);
	size_t at = (size_t)snprintf(
		head, sizeof head,
		"GET /derp HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ", host);

	assert_true(n > at + 24);
	snprintf(key, 25, "%.24s", (const char *)rest + at);
	snprintf(text, sizeof text, "%s%s\r\nSec-WebSocket-Protocol: derp\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n", head, key);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(rest, text, n);
	wire_skip(p, s, n);
}

/* Consents, by http.c's own word, of which http_test.c knows that it is right. */
static void consent(struct pair *p, int s, const char *key)
{
	struct http_request request = { .subprotocol = true, .accept_key = { .p = key, .n = HTTP_WEBSOCKET_KEY } };
	char text[HTTP_OUT_MAX];

	wire_send(p, s, text, http_websocket_response(text, &request));
}

static void message_is(struct pair *p, int s, uint8_t first, const void *payload, size_t n)
{
	struct pair_buf data = { 0 };
	struct ws_frame f = { 0 };

	if (!wire_message(p, s, &f, &data)) fail_msg("expected a message of %zu, nothing came", n);
	if (f.first != first || f.n != n) fail_msg("expected message %02x of %zu, got %02x of %zu, status %u", first, n, f.first, f.n, f.status);
	assert_true(f.masked);
	if (n != 0 && payload != NULL) assert_memory_equal(data.p, payload, n);
	free(data.p);
}

static void close_is(struct pair *p, int s, uint16_t status)
{
	uint8_t data[2] = { (uint8_t)(status >> 8), (uint8_t)status };

	message_is(p, s, WS_FIN | WS_CLOSE, data, status == 0 ? 0 : 2);
}

static void quiet(struct pair *p, int s, enum pair_ended how)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_equal(wire_end(p, s)->ended, how);
}

/* The relay's side of a login, from the request on. */
static int wire_ready_as(struct pair *p, int host, const char *name)
{
	struct key server = pair_public(SERVER), private_key = pair_key(SERVER), a = pair_public(A), shared;
	uint8_t frame[LOGIN_FRAME_MAX];
	static const uint8_t nonce[KEY_NONCE] = { 5 };
	char key[25];
	int s = wire_relay(p);

	request_is(p, s, name, key);
	consent(p, s, key);
	state_is(p, host, CLIENT_LOGIN);
	quiet(p, s, PAIR_OPEN);
	wire_put_stream(p, s, frame, frame_server_key(frame, server.b), MOST, NULL);
	state_is(p, host, CLIENT_SENT);
	message_is(p, s, WS_FIN | WS_BINARY, NULL, 109);
	assert_true(key_shared(&private_key, a.b, &shared));
	wire_put_stream(p, s, frame, login_server_info_frame(frame, &shared, nonce, &(struct server_info){ .version = 2 }), 7, NULL);
	state_is(p, host, CLIENT_READY);
	return s;
}

static int wire_ready(struct pair *p, int host) { return wire_ready_as(p, host, "192.0.2.50"); }

/* HTTP-028: the request byte by byte, without Ideal-Node or fast start; nonce and masks are the machine's own draws, one after the other. */
STORY(request_and_masks)
{
	struct key b = pair_public(B);
	struct pair_buf data = { 0 };
	struct ws_frame f;
	struct rng rng;
	uint8_t drawn[16];
	char want[25] = "", key[25];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE);
	s = wire_relay(p);
	rng_init(&rng, (const uint8_t[32]){ p->seed, (uint8_t)(c + 1) });
	rng_bytes(&rng, RNG_MASK, drawn, 16);
	digest_base64(drawn, 16, want);
	request_is(p, s, "192.0.2.50", key);
	assert_string_equal(key, want);
	wire_send(p, s, "", 0);
	consent(p, s, key);
	{
		struct key server = pair_public(SERVER);
		uint8_t frame[64];
		wire_put_stream(p, s, frame, frame_server_key(frame, server.b), MOST, NULL);
	}
	for (int i = 0; i < 5; i++) {
		if (i != 0) pair_send(p, c, &b, ws_pattern(), (uint32_t)(i * i * i * 1000)); /* in the arena, then in a packet, then in two */
		while (wire_message(p, s, &f, &data)) {
			rng_bytes(&rng, RNG_MASK, drawn, 4);
			assert_true(f.masked);
			assert_memory_equal(f.mask, drawn, 4);
			assert_true(f.n <= MOST);
		}
	}
	quiet(p, s, PAIR_OPEN);
	free(data.p);
}

/* HTTP-028 from the client's side: an answer that is no consent to this very request ends the attempt; http_test.c has all of them. */
STORY(handshake_refused)
{
#define OTHER_KEY "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	static const char *const answers[] = {
		"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: derp\r\n" OTHER_KEY "\r\n",
	};
	char key[25], first[25] = "";
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < 3; i++) {
		s = wire_relay(p);
		request_is(p, s, "192.0.2.50", key);
		assert_string_not_equal(key, first); /* a nonce for each */
		memcpy(first, key, sizeof first);
		wire_send(p, s, answers[i], strlen(answers[i]));
		ended(p, c, i, CLIENT_END_HTTP);
		quiet(p, s, PAIR_RESET);
		pair_advance(p, NS_S);
	}
	request_is(p, wire_relay(p), "192.0.2.50", key);
	consent(p, wire_relay(p), key);
	state_is(p, c, CLIENT_LOGIN);
}

/* HTTP-030: what the relay may not send, and the status for it. The stream stays open for the relay's close message, 5 s at most, and the
 * client is back meanwhile. */
STORY(relay_faults)
{
	static const struct {
		uint8_t first;
		bool masked;
		size_t n;
		uint16_t status;
	} cases[] = {
		{ WS_FIN | WS_TEXT, false, 4, 1003 },          { WS_FIN | WS_BINARY, true, 4, 1002 }, /* only clients mask */
		{ WS_FIN | WS_BINARY, false, MOST + 1, 1009 }, { WS_FIN | 0x20 | WS_BINARY, false, 4, 1002 }, { WS_FIN | 11, false, 4, 1002 },
	};
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		s = wire_ready(p, c);
		wire_put(p, s, cases[i].first, ws_pattern(), cases[i].n, cases[i].masked ? ws_mask : NULL);
		close_is(p, s, cases[i].status);
		ended(p, c, i, CLIENT_END_PROTOCOL);
		wire_put_frame(p, s, FRAME_KEEP_ALIVE, NULL, 0, NULL); /* late: not heard */
		assert_int_equal(pair_heard_count(p, c, DELIVER_KEEPALIVE), 0);
		quiet(p, s, PAIR_OPEN);
		if (i % 2 == 0) {
			wire_put(p, s, WS_FIN | WS_CLOSE, "\x03\xe8", 2, NULL); /* the answer */
			quiet(p, s, PAIR_EOF);
			wire_fin(p, s);
			assert_false(p->stream[s].end[0].open);
		}
		pair_advance(p, NS_S);
	}
	s = wire_ready(p, c);
	wire_put(p, s, WS_FIN | WS_TEXT, "text", 4, NULL);
	close_is(p, s, WEBSOCKET_UNSUPPORTED);
	pair_advance(p, 5 * NS_S - 1);
	wire_ready(p, c); /* another connection */
	quiet(p, s, PAIR_OPEN);
	pair_advance(p, 1);
	quiet(p, s, PAIR_RESET);
	state_is(p, c, CLIENT_READY);
}

/* Two that close at once: the older makes room. No token is ever used up. */
STORY(closing_again)
{
	int c, s, before = -1;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=none\n");
	for (int i = 0; i < 3 * CLIENT_SLOTS; i++) {
		pair_advance(p, 0);
		s = wire_ready(p, c);
		wire_put(p, s, WS_FIN | WS_TEXT, "text", 4, NULL);
		close_is(p, s, WEBSOCKET_UNSUPPORTED);
		if (before >= 0) quiet(p, before, PAIR_RESET);
		before = s;
	}
	quiet(p, s, PAIR_OPEN);
}

/* HTTP-030: a close message of the relay, with any status or none, is the end; it is answered with the same and the stream closed. */
STORY(relay_closes)
{
	static const uint16_t statuses[] = { 1000, 1001, 1008, 1011, 4000, 0 };
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct pair_buf b = { 0 };
		s = wire_ready(p, c);
		ws_put(&b, WS_FIN | WS_BINARY, "\x06\x00\x00\x00\x00\x06\x00", 7, NULL); /* a KeepAlive, and half of one */
		ws_put_close(&b, statuses[i], NULL);
		ws_put(&b, WS_FIN | WS_PING, "behind", 6, NULL);
		wire_send(p, s, b.p, b.n);
		close_is(p, s, statuses[i]);
		quiet(p, s, PAIR_EOF);
		ended(p, c, i, CLIENT_END_CLOSED);
		assert_int_equal(pair_heard_count(p, c, DELIVER_KEEPALIVE), i + 1);
		free(b.p);
		pair_advance(p, NS_S);
	}
}

/* CLI-026, HTTP-030: a leave is 1000 and a wait for the relay's answer, 5 s at most; then nothing is due any more. */
STORY(leaves)
{
	int c, s;

	wire_listens(p);
	for (int i = 0; i < 2; i++) {
		c = pair_client(p, A, WIRE);
		s = wire_ready(p, c);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
		ended(p, c, 0, CLIENT_END_LEFT);
		close_is(p, s, WEBSOCKET_NORMAL);
		quiet(p, s, PAIR_OPEN);
		if (i == 0) {
			wire_put(p, s, WS_FIN | WS_CLOSE, "\x03\xe8", 2, NULL);
			quiet(p, s, PAIR_EOF);
			wire_fin(p, s);
		} else {
			pair_advance(p, 5 * NS_S - 1);
			quiet(p, s, PAIR_OPEN);
			pair_advance(p, 1);
			quiet(p, s, PAIR_RESET);
		}
		assert_false(p->stream[s].end[0].open);
		assert_true(machine_deadline(p->host[c].machine) == TIME_NEVER);
		pair_advance(p, 100 * NS_S);
		state_is(p, c, CLIENT_GONE);
	}
	c = pair_client(p, A, WIRE); /* in the middle of the handshake there is nobody to say goodbye to */
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
	assert_int_equal(wire_end(p, p->streams - 1)->ended, PAIR_EOF);
}

/* CLI-007, HTTP-033: a fatal frame and the receive deadline end the connection by reset, as on any other transport; what lies behind the
 * frame is counted, in this message and in the next. */
STORY(derp_aborts)
{
	struct pair_buf b = { 0 };
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=fixed\nretry-after=1s\n");
	s = wire_ready(p, c);
	ws_put(&b, WS_FIN | WS_BINARY, "\x7a\x00\x10\x00\x01 more", 10, NULL);
	ws_put(&b, WS_FIN | WS_PING, "?", 1, NULL);
	ws_put(&b, WS_FIN | WS_BINARY, "and more", 8, NULL);
	ws_put(&b, WS_FIN | WS_TEXT, "which is nobody's concern any more", 34, NULL);
	ws_put_close(&b, WEBSOCKET_NORMAL, NULL);
	wire_send(p, s, b.p, b.n);
	ended(p, c, 0, CLIENT_END_PROTOCOL);
	quiet(p, s, PAIR_RESET);
	if (p->chunk == 0) assert_int_equal(pair_note_count(p, c, NOTE_CUT), 2);
	pair_advance(p, NS_S);
	s = wire_ready(p, c);
	pair_advance(p, 119 * NS_S);
	wire_put(p, s, WS_FIN | WS_PING, "alive", 5, NULL); /* no frame of DERP */
	message_is(p, s, WS_FIN | WS_PONG, "alive", 5);
	pair_advance(p, NS_S);
	ended(p, c, 1, CLIENT_END_SILENCE);
	quiet(p, s, PAIR_RESET);
	free(b.p);
}

/* A relay that pings and does not read: one answer waits, the newest. */
STORY(pings_while_blocked)
{
	struct key b = pair_public(B);
	struct pair_buf data = { 0 };
	struct ws_frame f;
	size_t n = 0;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE);
	s = wire_ready(p, c);
	wire_put(p, s, WS_FIN | WS_PING, "free", 4, NULL);
	message_is(p, s, WS_FIN | WS_PONG, "free", 4);
	p->stream[s].end[0].room = 0;
	for (int i = 0; i < 5; i++) pair_send(p, c, &b, ws_pattern(), 30000);
	for (int i = 0; i < 50; i++) wire_put(p, s, WS_FIN | WS_PING, i < 49 ? "often" : "last", i < 49 ? 5 : 4, NULL);
	p->stream[s].end[0].room = SIZE_MAX;
	pair_flush(p, s, 0);
	pair_run(p);
	while (wire_message(p, s, &f, &data))
		if (f.first == (WS_FIN | WS_PONG)) {
			assert_memory_equal(data.p, "last", 4);
			n += 100;
		} else {
			n++;
		}
	assert_int_equal(n, 105);
	free(data.p);
}

/* CLI-031 over WebSocket: the backlog counts headers and masks, to the byte: one more byte under way, and the next packet waits. */
STORY(backlog)
{
	struct key b = pair_public(B);

	wire_listens(p);
	for (uint32_t over = 0; over < 2; over++) {
		int c = pair_client(p, A, WIRE), s = wire_ready(p, c);
		struct pair_end *e = &p->stream[s].end[0];
		e->room = 0;
		for (int i = 0; i < 4; i++) pair_send(p, c, &b, ws_pattern(), 30000);
		pair_send(p, c, &b, ws_pattern(), (uint32_t)(131072 - 1 + over - e->unacked - 8 - 37));
		assert_int_equal(e->unacked, 131072 - 1 + over);
		pair_send(p, c, &b, "x", 1);
		assert_int_equal(client_packets_queued(client_of(p, c)), over);
		wire_reset(p, s);
	}
}

/* ---- the first node and no other ---- */

#define NODE(name, host, more) "{\"Name\":\"" name "\",\"RegionID\":1,\"HostName\":\"" host "\"" more "}"
#define REGION(nodes) "region={\"RegionID\":1,\"RegionCode\":\"x\",\"Nodes\":[" nodes "]}\n"
#define V4(last) ",\"IPv4\":\"192.0.2." last "\",\"IPv6\":\"none\",\"DERPPort\":80"

/* HTTP-034: no failover, whether the first node refuses, is silent (then the attempt's 10 s are its limit) or is STUN-only. */
STORY(first_node_only)
{
	struct address at_60 = pair_address(60, 80);
	char key[25];
	int c;

	wire_listens(p);
	c = pair_client(p, A, "websocket=on\nplain=on\nretry=manual\n" REGION(NODE("1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("50"))));
	ended(p, c, 0, CLIENT_END_REFUSED);
	assert_int_equal(p->streams, 1);
	pair_listen(p, at_60, PAIR_SILENT, -1, TOKEN_NONE, false);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 1, CLIENT_END_TIMEOUT);
	assert_int_equal(p->streams, 2);
	pair_listen_set(p, at_60, PAIR_WIRE);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	request_is(p, wire_accepted(p, at_60), "a.test:80", key);
	c = pair_client(p, A,
	                "websocket=on\nplain=on\nretry=manual\nreturn-after=5s\n" REGION(
				NODE("1s", "s.test", V4("50") ",\"STUNOnly\":true") "," NODE("1b", "b.test", V4("60"))));
	wire_ready_as(p, c, "s.test:80");
	assert_int_equal(client_node(client_of(p, c)), 0);
	pair_advance(p, 10 * NS_S); /* it is where it should be */
	state_is(p, c, CLIENT_READY);
	c = pair_client(p, B, "websocket=on\nretry=manual\n" REGION(""));
	ended(p, c, 0, CLIENT_END_REFUSED);
}

/* HTTP-034: no WatchConns, though it is asked for; and what it cannot be combined with is refused with a reason. */
STORY(nothing_watched)
{
	static const char *const bad[] = { "raw=on\n", "watch=on\n",
		                           "fast-start=always\nserver-key=8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f\n" };
	char text[400], error[200] = "";
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_WATCH });
	s = wire_ready(p, c);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_WATCH });
	quiet(p, s, PAIR_OPEN);
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof text, "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n" WIRE "%s", bad[i]);
		assert_false(client_config_check(text, strlen(text), error));
		assert_non_null(strstr(error, "websocket=on"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_websocket), cmocka_unit_test(other_raw),         cmocka_unit_test(over_tls),
		cmocka_unit_test(derper_limit),   cmocka_unit_test(request_and_masks), cmocka_unit_test(handshake_refused),
		cmocka_unit_test(relay_faults),   cmocka_unit_test(closing_again),     cmocka_unit_test(relay_closes),
		cmocka_unit_test(leaves),         cmocka_unit_test(derp_aborts),       cmocka_unit_test(pings_while_blocked),
		cmocka_unit_test(backlog),        cmocka_unit_test(first_node_only),   cmocka_unit_test(nothing_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
