/* Over WebSocket, connections that are not read on: receive limits and admission, with what stands behind the DERP bytes that wait:
 * messages, pings, a close message. Every story runs with whole events, with streams cut to single bytes and to pieces of 13 (TRP-004).
 * The same without messages: relay_limits_test.c. */
#include "pair_websocket.h"
#include "websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, RATE = 20000, PING_N = FRAME_HEADER + FRAME_PING_SIZE };
#define RATED "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n"
#define ASKED "verify-client-url=http://127.0.0.1:9/admit\n"

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

static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(p->host[r].relay); }

static void message_is(struct pair *p, int s, uint8_t first, const void *payload, size_t n)
{
	struct pair_buf data = { 0 };
	struct ws_frame f = { 0 };

	if (!wire_message(p, s, &f, &data)) fail_msg("expected message %02x of %zu, nothing came", first, n);
	if (f.first != first || f.n != n) fail_msg("expected message %02x of %zu, got %02x of %zu", first, n, f.first, f.n);
	if (payload != NULL) assert_memory_equal(data.p, payload, n);
	free(data.p);
}

static void derp_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	uint8_t frame[FRAME_HEADER + 64];

	frame_header(frame, type, n);
	if (payload != NULL) memcpy(frame + FRAME_HEADER, payload, n);
	message_is(p, s, WS_FIN | WS_BINARY, payload != NULL ? frame : NULL, FRAME_HEADER + n);
}

static void ends(struct pair *p, int s, enum pair_ended how)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_equal(wire_end(p, s)->ended, how);
}

/* ---- what clients do ---- */

static void put_ping(struct pair_buf *b, const char *data)
{
	uint8_t frame[PING_N];

	frame_ping(frame, (const uint8_t *)data);
	ws_put(b, WS_FIN | WS_BINARY, frame, sizeof frame, ws_mask);
}

static void pong(struct pair *p, int s, const char *data) { derp_is(p, s, FRAME_PONG, data, 8); }

/* Sends what was gathered in one write. */
static void flush(struct pair *p, int s, struct pair_buf *b)
{
	wire_send(p, s, b->p, b->n);
	free(b->p);
	*b = (struct pair_buf){ 0 };
}

/* Handshake; then ClientInfo and, in the same write, a Ping. */
static int knock(struct pair *p, int r, uint8_t key)
{
	struct pair_buf b = { 0 };
	uint8_t frame[LOGIN_FRAME_MAX];
	int s = wire_connect(p, r);

	wire_text(p, s,
	          "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	          "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: derp\r\n\r\n");
	assert_true(wire_http(p, s));
	derp_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	ws_put(&b, WS_FIN | WS_BINARY, frame, ws_client_info(key, frame), ws_mask);
	put_ping(&b, "atlogin.");
	flush(p, s, &b);
	return s;
}

static void is_in(struct pair *p, int s)
{
	derp_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	pong(p, s, "atlogin.");
}

/* In, and with an empty bucket. */
static int spent(struct pair *p, int r, uint8_t key)
{
	static const uint8_t zeros[65568 - FRAME_PING_SIZE];
	uint64_t waited = counters(p, r)->rate_limit_per_client_waited;
	int s = knock(p, r, key);

	is_in(p, s);
	wire_put_frame(p, s, 0x7a, zeros, sizeof zeros, ws_mask);
	ends(p, s, PAIR_OPEN);
	assert_int_equal(counters(p, r)->rate_limit_per_client_waited, waited);
	return s;
}

static void answer(struct pair *p, int r, const char *body)
{
	struct event_answer a = { .status = 200, .p = (const uint8_t *)body, .n = (uint32_t)strlen(body) };

	pair_ask_answer(p, r, 0, &a);
}

static bool waits(struct pair *p, int r, int s)
{
	struct relay_session_view view = { .waits = false };

	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	return view.waits;
}

/* ---- stories ---- */

/* RAT-002, RAT-003, HTTP-030: DERP frames are paid for, not messages: two in one message, one in three, one whose header is a message
 * of its own. Each comes when it is paid for, in its order; a WebSocket ping between them waits its turn. */
STORY(frames_are_paid, RATED)
{
	struct key to = pair_public(B);
	struct pair_buf b = { 0 };
	uint8_t two[2 * PING_N], packet[FRAME_HEADER + FRAME_KEY + 8], came[FRAME_KEY + 8];
	int receiver = knock(p, r, B), s = spent(p, r, A);
	uint32_t head = frame_send_head(packet, to.b, 8);

	is_in(p, receiver);
	memcpy(packet + head, "a packet", 8);
	frame_ping(two, (const uint8_t *)"first...");
	frame_ping(two + PING_N, (const uint8_t *)"second..");
	ws_put(&b, WS_FIN | WS_BINARY, two, sizeof two, ws_mask);
	ws_put(&b, WS_FIN | WS_PING, "control", 7, ws_mask);
	ws_put(&b, WS_FIN | WS_BINARY, packet, FRAME_HEADER, ws_mask);
	ws_put(&b, WS_BINARY, packet + FRAME_HEADER, 20, ws_mask);
	ws_put(&b, WS_FIN | WS_CONTINUATION, packet + FRAME_HEADER + 20, sizeof packet - FRAME_HEADER - 20, ws_mask);
	flush(p, s, &b);
	ends(p, s, PAIR_OPEN);
	pair_advance(p, 8 * NS_S / RATE - 1);
	ends(p, s, PAIR_OPEN);
	pair_advance(p, 1);
	pong(p, s, "first...");
	ends(p, s, PAIR_OPEN);
	pair_advance(p, 8 * NS_S / RATE);
	pong(p, s, "second..");
	message_is(p, s, WS_FIN | WS_PONG, "control", 7);
	pair_advance(p, 40 * NS_S / RATE - 1);
	ends(p, receiver, PAIR_OPEN);
	pair_advance(p, 1);
	memcpy(came, pair_public(A).b, FRAME_KEY);
	memcpy(came + FRAME_KEY, "a packet", 8);
	derp_is(p, receiver, FRAME_RECV_PACKET, came, sizeof came);
	assert_int_equal(counters(p, r)->rate_limit_per_client_waited, 3); /* RAT-008 */
	assert_false(waits(p, r, s));
	put_ping(&b, "last....");
	flush(p, s, &b);
	pair_advance(p, 8 * NS_S / RATE);
	pong(p, s, "last....");
}

/* Packets out of bytes that waited, for a receiver that takes nothing and one that takes all: they are themselves when they come. */
STORY(wait_and_queue, RATED)
{
	int receiver[2] = { wire_login(p, r, B, NULL), wire_login(p, r, C, NULL) }, s = spent(p, r, A);
	struct wire_frame f = { 0 };
	struct pair_buf b = { 0 };
	uint8_t packet[FRAME_HEADER + FRAME_KEY + 8];

	put_ping(&b, "waits...");
	for (int i = 0; i < 4; i++) {
		struct key to = pair_public(i % 2 == 0 ? B : C);
		char text[9];
		snprintf(text, sizeof text, "packet %d", i);
		memcpy(packet + frame_send_head(packet, to.b, 8), text, 8);
		ws_put(&b, WS_FIN | WS_BINARY, packet, sizeof packet, ws_mask);
	}
	wire_room(p, receiver[0], 0);
	flush(p, s, &b);
	for (int i = 0; i < 200; i++) pair_advance(p, NS_S / RATE);
	pong(p, s, "waits...");
	assert_int_equal(counters(p, r)->packets_received, 4);
	wire_room(p, receiver[0], SIZE_MAX);
	for (int i = 0; i < 4; i++) {
		char text[9];
		snprintf(text, sizeof text, "packet %d", i);
		assert_true(wire_frame(p, receiver[i % 2], &f));
		assert_int_equal(f.type, FRAME_RECV_PACKET);
		assert_memory_equal(f.p + FRAME_KEY, text, 8);
	}
}

/* RAT-003: many messages behind a WebSocket ping, more than the library takes in at once: none is lost, none is early, and what is held
 * goes with the connection. */
STORY(many_behind_ping, RATED)
{
	enum { MANY = 600 };

	for (int round = 0; round < 2; round++) {
		uint64_t before = relay_memory(p->host[r].relay);
		struct pair_buf b = { 0 };
		char data[9];
		int s = spent(p, r, A);
		put_ping(&b, "waits...");
		ws_put(&b, WS_FIN | WS_PING, "control", 7, ws_mask);
		for (int i = 0; i < MANY; i++) {
			snprintf(data, sizeof data, "ping %03d", i);
			put_ping(&b, data);
		}
		flush(p, s, &b);
		pair_advance(p, 8 * NS_S / RATE);
		pong(p, s, "waits...");
		message_is(p, s, WS_FIN | WS_PONG, "control", 7);
		for (int i = 0; i < (round == 0 ? MANY : 3); i++) {
			ends(p, s, PAIR_OPEN);
			pair_advance(p, 8 * NS_S / RATE);
			snprintf(data, sizeof data, "ping %03d", i);
			pong(p, s, data);
		}
		assert_int_equal(waits(p, r, s), round == 1);
		wire_reset(p, s);
		assert_int_equal(counters(p, r)->current_connections, 0);
		if (round == 1) assert_int_equal(relay_memory(p->host[r].relay), before);
	}
}

/* RAT-007, HTTP-030: a close message behind frames that wait is read when they are done with, and so is what is against the protocol. */
STORY(end_behind_frames, RATED)
{
	static const struct {
		uint8_t first;
		uint16_t status;
	} cases[] = { { WS_FIN | WS_CLOSE, WEBSOCKET_NORMAL }, { WS_FIN | WS_TEXT, WEBSOCKET_UNSUPPORTED } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t before = relay_memory(p->host[r].relay);
		uint8_t status[2] = { 1000 >> 8, 1000 & 255 }, answered[2] = { (uint8_t)(cases[i].status >> 8), (uint8_t)cases[i].status };
		struct pair_buf b = { 0 };
		int s;
		s = knock(p, r, A);
		is_in(p, s);
		wire_put_frame(p, s, 0x7a, ws_pattern(), 65000, ws_mask);
		wire_put_frame(p, s, 0x7a, ws_pattern(), 560, ws_mask);
		put_ping(&b, "onemore.");
		put_ping(&b, "another.");
		ws_put(&b, cases[i].first, status, 2, ws_mask);
		flush(p, s, &b);
		assert_true(waits(p, r, s));
		pair_advance(p, 8 * NS_S / RATE);
		pong(p, s, "onemore.");
		ends(p, s, PAIR_OPEN);
		pair_advance(p, 8 * NS_S / RATE);
		pong(p, s, "another.");
		message_is(p, s, WS_FIN | WS_CLOSE, answered, 2);
		if (i == 1) {
			ends(p, s, PAIR_OPEN);
			wire_put(p, s, WS_FIN | WS_CLOSE, status, 2, ws_mask);
		}
		ends(p, s, PAIR_EOF);
		wire_fin(p, s);
		assert_int_equal(counters(p, r)->current_connections, 0);
		if (i == 1) assert_int_equal(relay_memory(p->host[r].relay), before);
	}
}

/* RAT-007, HTTP-030, MSH-033: closed while it waits: our close message goes at once, and the peer's is read, so that it is no linger;
 * where it stood already among what waited, our FIN comes after 5 s. A reset ends everything at once. */
STORY(closed_while_waiting, RATED)
{
	static const uint8_t normal[2] = { 1000 >> 8, 1000 & 255 };
	struct key key = pair_public(A);

	for (int i = 0; i < 3; i++) {
		struct pair_buf b = { 0 };
		int s = spent(p, r, A);
		put_ping(&b, "waits...");
		put_ping(&b, "waits..2");
		if (i == 1) ws_put(&b, WS_FIN | WS_CLOSE, normal, 2, ws_mask);
		flush(p, s, &b);
		assert_true(waits(p, r, s));
		if (i == 2) {
			wire_reset(p, s);
		} else {
			pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = key.b });
			message_is(p, s, WS_FIN | WS_CLOSE, normal, 2);
			if (i == 0) wire_put(p, s, WS_FIN | WS_CLOSE, normal, 2, ws_mask);
			if (i == 1) pair_advance(p, 5 * NS_S);
			ends(p, s, PAIR_EOF);
			wire_fin(p, s);
		}
		assert_false(p->stream[s].end[1].open);
		assert_int_equal(counters(p, r)->current_connections, 0);
		assert_int_equal(counters(p, r)->sent_pong, i + 1); /* at login */
	}
}

/* HSK-019, RAT-014: until the question is answered its frames wait, then they are served in their order. */
STORY(admitted, ASKED)
{
	struct pair_buf b = { 0 };
	int s = knock(p, r, A);

	assert_int_equal(p->host[r].asks, 1);
	ends(p, s, PAIR_OPEN);
	ws_put(&b, WS_FIN | WS_PING, "control", 7, ws_mask);
	put_ping(&b, "later...");
	flush(p, s, &b);
	pair_advance(p, 4 * NS_S);
	ends(p, s, PAIR_OPEN);
	answer(p, r, "{\"Allow\":true}");
	is_in(p, s);
	message_is(p, s, WS_FIN | WS_PONG, "control", 7);
	pong(p, s, "later...");
	ends(p, s, PAIR_OPEN);
	assert_int_equal(counters(p, r)->current_connections, 1);
}

/* RAT-019, HTTP-030: who is not admitted gets a close message; then the peer's, or 5 s. */
STORY(not_admitted, ASKED)
{
	static const uint8_t normal[2] = { 1000 >> 8, 1000 & 255 };

	for (int i = 0; i < 2; i++) {
		int s = knock(p, r, A);
		answer(p, r, "{\"Allow\":false}");
		message_is(p, s, WS_FIN | WS_CLOSE, normal, 2);
		ends(p, s, PAIR_OPEN);
		if (i == 0)
			wire_put(p, s, WS_FIN | WS_CLOSE, normal, 2, ws_mask);
		else
			pair_advance(p, 5 * NS_S);
		ends(p, s, PAIR_EOF);
		assert_int_equal(counters(p, r)->logins_failed, i + 1);
		assert_int_equal(counters(p, r)->sent_pong, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_paid),   cmocka_unit_test(wait_and_queue),       cmocka_unit_test(many_behind_ping),
		cmocka_unit_test(end_behind_frames), cmocka_unit_test(closed_while_waiting), cmocka_unit_test(admitted),
		cmocka_unit_test(not_admitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
