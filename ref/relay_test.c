/* The relay against hand-written clients: login, routing, duplicates, presence, limits, ends. Every story runs with whole events,
 * with streams cut to single bytes and to pieces of 13 (TRP-004). The mesh has a file of its own: relay_mesh_test.c. */
#include "http.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, D = 0x80, MESH = 0xe0 };

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

#define RAW "raw=on\n"
#define MESHED RAW "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

/* ---- what must be seen ---- */

static void frame_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a %s, nothing came", frame_name(type));
	if (f.type != type || f.n != n) fail_msg("expected a %s of %u, got a %s of %u", frame_name(type), n, frame_name(f.type), f.n);
	assert_memory_equal(f.p, payload == NULL ? f.p : payload, n);
}

static void packet_is(struct pair *p, int s, uint8_t from, const void *packet, uint32_t n)
{
	struct key source = pair_public(from);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a RecvPacket, nothing came");
	assert_int_equal(f.type, FRAME_RECV_PACKET);
	assert_int_equal(f.n, FRAME_KEY + n);
	assert_memory_equal(f.p, source.b, KEY_SIZE);
	assert_memory_equal(f.p + FRAME_KEY, packet, n);
}

static void gone_is(struct pair *p, int s, uint8_t who, uint8_t reason)
{
	struct key key = pair_public(who);
	uint8_t payload[FRAME_GONE_SIZE];

	memcpy(payload, key.b, KEY_SIZE);
	payload[KEY_SIZE] = reason;
	frame_is(p, s, FRAME_PEER_GONE, payload, sizeof payload);
}

static void present_is(struct pair *p, int s, uint8_t who, uint8_t flags)
{
	struct key key = pair_public(who);
	struct address from = pair_address(7, 41641);
	uint8_t frame[FRAME_HEADER + FRAME_PRESENT_SIZE];

	frame_peer_present(frame, key.b, from.ip, from.port, flags);
	frame_is(p, s, FRAME_PEER_PRESENT, frame + FRAME_HEADER, FRAME_PRESENT_SIZE);
}

static void silent(struct pair *p, int s)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	if (n != 0) fail_msg("expected nothing, got %zu bytes: %s", n, frame_name(rest[0]));
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

static void closed(struct pair *p, int s)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* Everything that was sent before has been read when the Pong is here (TRP-006). */
static void ping(struct pair *p, int s)
{
	static const uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	wire_send_frame(p, s, FRAME_PING, data, sizeof data);
	frame_is(p, s, FRAME_PONG, data, sizeof data);
}

static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(p->host[r].relay); }
static enum relay_route route_to(struct pair *p, int r, uint8_t key)
{
	struct key public_key = pair_public(key);

	return relay_route(p->host[r].relay, public_key.b);
}

static int login(struct pair *p, int r, uint8_t key) { return wire_login(p, r, key, NULL); }

static int login_mesh(struct pair *p, int r, uint8_t key)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };

	return wire_login(p, r, key, &info);
}

static void send_to(struct pair *p, int s, uint8_t to, const void *packet, uint32_t n)
{
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, packet, n);
}

static void send_disco(struct pair *p, int s, uint8_t to)
{
	static const uint8_t packet[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	send_to(p, s, to, packet, sizeof packet);
}

static void key_frame(struct pair *p, int s, uint8_t type, uint8_t key)
{
	struct key public_key = pair_public(key);

	wire_send_frame(p, s, type, public_key.b, KEY_SIZE);
}

/* ---- login ---- */

/* HSK-001, HSK-002, HSK-020..HSK-022, HSK-025: ServerKey at once, ServerInfo after ClientInfo, nothing else. */
STORY(login_raw, RAW)
{
	struct key private_key = pair_key(A), server = pair_public(SERVER), shared;
	struct client_info info = { .version = 2, .can_ack_pings = true };
	struct server_info answer;
	struct wire_frame f = { 0 };
	uint8_t want[45];
	int s = wire_connect(p, r);

	frame_server_key(want, server.b);
	frame_is(p, s, FRAME_SERVER_KEY, want + FRAME_HEADER, 40);
	silent(p, s);
	assert_int_equal(counters(p, r)->accepts, 1);
	assert_int_equal(counters(p, r)->current_connections, 0);
	wire_client_info(p, s, A, &server, &info);
	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_SERVER_INFO);
	assert_true(key_shared(&private_key, server.b, &shared));
	assert_true(login_server_info_open(f.p, f.n, &shared, &answer));
	assert_int_equal(f.n, 53);
	assert_int_equal(answer.version, 2);
	assert_int_equal(answer.bucket_bytes_per_second, 0);
	silent(p, s);
	assert_int_equal(counters(p, r)->logins, 1);
	assert_int_equal(counters(p, r)->current_connections, 1);
	assert_int_equal(counters(p, r)->clients_local, 1);
	assert_int_equal(counters(p, r)->clients_total, 1);
	assert_int_equal(pair_note_count(p, r, NOTE_READY), 1);
	wire_fin(p, s);
	closed(p, s);
	assert_int_equal(counters(p, r)->current_connections, 0);
	assert_int_equal(counters(p, r)->clients_total, 0);
}

#define REQUEST "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
static const char answer_101[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n"
				 "Derp-Public-Key: 8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f\r\n\r\n";

static void text_is(struct pair *p, int s, const char *text)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	assert_true(n >= strlen(text));
	assert_memory_equal(rest, text, strlen(text));
	wire_skip(p, s, strlen(text));
}

/* HTTP-005, HTTP-006: 101 with the headers in their order and ServerKey behind it, before the client says more. */
STORY(login_http_slow, "")
{
	struct client_info info = { .version = 2 };
	struct key server = pair_public(SERVER);
	int s = wire_connect(p, r);

	silent(p, s);
	wire_send(p, s, REQUEST "\r\n", strlen(REQUEST "\r\n"));
	text_is(p, s, answer_101);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	wire_client_info(p, s, A, &server, &info);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	ping(p, s);
}

/* HTTP-008, HSK-018: with fast start no response, and request, ClientInfo, NotePreferred and Ping in one write are all served. */
STORY(login_http_fast, "")
{
	static const char request[] = REQUEST "Derp-Fast-Start: 1\r\nIdeal-Node: 1a\r\n\r\n";
	struct client_info info = { .version = 2 };
	struct key private_key = pair_key(A), public_key = pair_public(A), server = pair_public(SERVER), shared;
	uint8_t nonce[KEY_NONCE] = { 9 }, all[1024], data[8] = { 8 };
	size_t n = sizeof request - 1;
	struct relay_session_view view;
	int s = wire_connect(p, r);

	assert_true(key_shared(&private_key, server.b, &shared));
	memcpy(all, request, n);
	n += login_client_info_frame(all + n, &public_key, &shared, nonce, &info);
	n += frame_note_preferred(all + n, true);
	n += frame_ping(all + n, data);
	wire_send(p, s, all, n);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	frame_is(p, s, FRAME_PONG, data, 8);
	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	assert_int_equal(view.phase, SESSION_STEADY);
	assert_true(view.home && view.not_ideal && view.active && !view.mesh_peer);
	assert_int_equal(counters(p, r)->current_notideal_connections, 1); /* HTTP-018 */
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	wire_reset(p, s);
	assert_int_equal(counters(p, r)->current_notideal_connections, 0);
	assert_int_equal(counters(p, r)->current_home_connections, 0);
}

/* HTTP-002: no upgrade is 426 and the connection stays usable; an upgrade may follow on it. */
STORY(http_refused_then_upgraded, "")
{
	int s = wire_connect(p, r);
	struct wire_frame f = { 0 };

	for (int i = 0; i < 2; i++) {
		wire_send(p, s, "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: derp, websocket\r\n\r\n",
		          strlen("GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: derp, websocket\r\n\r\n"));
		text_is(p, s, "HTTP/1.1 426 Upgrade Required\r\n");
		assert_true(wire_http(p, s));
		text_is(p, s, "DERP requires connection upgrade\n");
		silent(p, s);
	}
	wire_send(p, s, REQUEST "\r\n", strlen(REQUEST "\r\n"));
	text_is(p, s, answer_101);
	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_SERVER_KEY);
}

/* HTTP-003, HTTP-004, and what is no HTTP at all: status and end of the connection, also when the head came in pieces. */
STORY(http_odd_requests, "")
{
	static const struct {
		const char *request, *status;
		bool close;
	} cases[] = {
		{ "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 400 ", true },
		{ "GET /derp HTTP/1.0\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 101 ", false },
		{ "BREW /derp?x=y HTTP/1.1\r\nhost: x\r\nuPGRADE:   derp  \r\n\r\n", "HTTP/1.1 101 ", false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: WebSocket\n\n", "HTTP/1.1 101 ", false }, /* HTTP-027; bare LF */
		{ "GET /DERP HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 200 ", false },
		{ "GET /derp/ HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 200 ", false },
		{ "GET /derp/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", true },
		{ "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: \r\n\r\n", "HTTP/1.1 426 ", false },
		{ "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: derpx\r\n\r\n", "HTTP/1.1 426 ", false },
		{ "GET /derp HTTP/1.0\r\n\r\n", "HTTP/1.1 426 ", true },
		{ "GET /derp HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", true },
		{ "hello\r\n\r\n", "HTTP/1.1 400 ", true },
		{ "\x02\x00\x00\n\n", "HTTP/1.1 400 ", true },
		{ "GET /derp HTTP/1.1\r\nHost x\r\n\r\n", "HTTP/1.1 400 ", true },
		{ "GET /derp HTTP/1.1\r\n : x\r\n\r\n", "HTTP/1.1 400 ", true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int s = wire_connect(p, r);
		wire_send(p, s, cases[i].request, i == 12 ? 5 : strlen(cases[i].request));
		text_is(p, s, cases[i].status);
		if ((wire_end(p, s)->ended != PAIR_OPEN) != cases[i].close) fail_msg("%s", cases[i].request);
		wire_reset(p, s);
	}
	assert_int_equal(counters(p, r)->logins_failed, sizeof cases / sizeof *cases);
}

/* A head of 16 KiB at most; one byte more without its end is 431 and the end. */
STORY(http_head_too_long, "")
{
	static char head[HTTP_HEAD_MAX + 64] = "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nX: ";
	size_t n = strlen("GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nX: ");
	int s = wire_connect(p, r);

	memset(head + n, 'x', HTTP_HEAD_MAX - n);
	memcpy(head + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	wire_send(p, s, head, HTTP_HEAD_MAX);
	text_is(p, s, "HTTP/1.1 101 ");
	s = wire_connect(p, r);
	memset(head + HTTP_HEAD_MAX - 4, 'x', 4);
	wire_send(p, s, head, HTTP_HEAD_MAX - 1);
	silent(p, s);
	wire_send(p, s, "x", 1);
	text_is(p, s, "HTTP/1.1 431 ");
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	head[n] = 0;
}

/* HSK-006..HSK-009, HSK-016, HSK-030, KEY-006, KEY-007: logins that end by closing, of which nobody else sees anything. */
STORY(login_refused, MESHED)
{
	static const uint8_t low_order[32] = { 1 };
	int watcher = login_mesh(p, r, D);
	uint8_t big[FRAME_CLIENT_INFO_MIN] = { 0 };
	struct key server = pair_public(SERVER), other = pair_public(C);
	struct client_info info = { .version = 2 };
	int s;

	wire_send_frame(p, watcher, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, watcher, D, PRESENT_MESH);
	for (int i = 0; i < 7; i++) {
		s = wire_connect(p, r);
		frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
		switch (i) {
		case 0: wire_send_frame(p, s, FRAME_PING, big, 8); break;
		case 1: wire_send_frame(p, s, FRAME_CLIENT_INFO, big, FRAME_CLIENT_INFO_MIN - 1); break;
		case 2: wire_send(p, s, "\x02\x00\x04\x00\x01", 5); break;                /* 262,145: the header alone */
		case 3: wire_send_frame(p, s, FRAME_CLIENT_INFO, big, sizeof big); break; /* zero key */
		case 4:
			memcpy(big, low_order, sizeof low_order);
			wire_send_frame(p, s, FRAME_CLIENT_INFO, big, sizeof big);
			break;
		case 5: wire_client_info(p, s, A, &other, &info); break; /* sealed to somebody else */
		default: wire_send_frame(p, s, 0x7a, NULL, 0); break;    /* unknown types are not skipped before login */
		}
		closed(p, s);
		silent(p, watcher);
		assert_int_equal(counters(p, r)->logins_failed, i + 1);
	}
	s = wire_connect(p, r);
	assert_int_equal(p->stream[s].end[1].open, true);
	wire_client_info(p, s, A, &server, &info);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	present_is(p, watcher, A, PRESENT_REGULAR);
	assert_int_equal(counters(p, r)->accepts, 9);
}

/* HSK-015: a wrong mesh key logs in as a regular client; KEY-012: so does any when the relay has none, and the zero key. */
STORY(login_wrong_mesh_key, MESHED)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(0x11) };
	struct relay_session_view view;
	int s = wire_login(p, r, A, &info);

	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	assert_false(view.mesh_peer);
	ping(p, s);
	wire_send_frame(p, s, FRAME_WATCH_CONNS, NULL, 0);
	closed(p, s);
	s = login_mesh(p, r, A);
	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	assert_true(view.mesh_peer);
}

/* HSK-017: 10 s for ClientInfo from ServerKey on; bytes that trickle in do not extend it. */
STORY(login_timeout, RAW)
{
	int s = wire_connect(p, r), t = wire_connect(p, r);

	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	frame_is(p, t, FRAME_SERVER_KEY, NULL, 40);
	wire_send(p, t, "\x02\x00", 2);
	pair_advance(p, 9 * NS_S);
	wire_send(p, t, "\x00\x00\x68xxxx", 7);
	pair_advance(p, NS_S - 1);
	silent(p, s);
	silent(p, t);
	pair_advance(p, 1);
	closed(p, s);
	closed(p, t);
	assert_int_equal(counters(p, r)->logins_failed, 2);
}

/* HTTP-022: 30 s for the request; then HSK-017 counts anew. */
STORY(http_timeout, "")
{
	int s = wire_connect(p, r), t = wire_connect(p, r);

	wire_send(p, s, "GET /derp", 9);
	pair_advance(p, 29 * NS_S);
	wire_send(p, t, REQUEST "\r\n", strlen(REQUEST "\r\n"));
	text_is(p, t, answer_101);
	frame_is(p, t, FRAME_SERVER_KEY, NULL, 40);
	pair_advance(p, NS_S);
	closed(p, s);
	pair_advance(p, 9 * NS_S - 1);
	silent(p, t);
	pair_advance(p, 1);
	closed(p, t);
}

/* HSK-027, SRV-024: after the login silence has no limit. */
STORY(login_then_silence, RAW)
{
	int s = login(p, r, A);

	pair_advance(p, 24 * 3600 * NS_S);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* sessions-max: one more is closed at once, and its place is free again when another has left. */
STORY(sessions_limit, RAW "sessions-max=2\n")
{
	int a = login(p, r, A), b = login(p, r, B), c = wire_connect(p, r);

	closed(p, c);
	silent(p, a);
	wire_fin(p, b);
	c = login(p, r, C);
	ping(p, c);
}

/* ---- routing ---- */

/* SRV-002..SRV-006, SRV-018, FRM-004, FRM-005: packets of 0, 1 and 65,536 bytes, to others and to oneself, under the sender's key. */
STORY(packet_routed, RAW)
{
	static uint8_t big[FRAME_PACKET_MAX];
	int a = login(p, r, A), b = login(p, r, B);

	for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 7);
	send_to(p, a, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	send_to(p, b, A, NULL, 0);
	packet_is(p, a, B, "", 0);
	send_to(p, a, A, "self", 4);
	packet_is(p, a, A, "self", 4);
	send_to(p, a, B, big, sizeof big);
	packet_is(p, b, A, big, sizeof big);
	silent(p, a);
	silent(p, b);
	assert_int_equal(counters(p, r)->packets_received, 4);
	assert_int_equal(counters(p, r)->packets_sent, 4);
	assert_int_equal(counters(p, r)->bytes_received, 5 + FRAME_PACKET_MAX);
	assert_int_equal(counters(p, r)->bytes_sent, 5 + FRAME_PACKET_MAX);
	assert_int_equal(counters(p, r)->packets_received_kind[PACKET_OTHER], 4);
	assert_int_equal(route_to(p, r, A), ROUTE_LOCAL);
	assert_int_equal(route_to(p, r, D), ROUTE_NONE);
}

/* SRV-007, PGR-013, PGR-014, TRP-008: to an absent key silence for ordinary packets; NotHere for disco, 3 at once, then 1 a second. */
STORY(not_here_limited, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	send_to(p, a, D, "ordinary", 8);
	silent(p, a);
	for (int i = 0; i < 6; i++) send_disco(p, a, i % 2 ? C : D); /* over all destinations together */
	for (int i = 0; i < 3; i++) gone_is(p, a, i % 2 ? C : D, GONE_NOT_HERE);
	silent(p, a);
	send_disco(p, b, D); /* a bucket for each sender */
	gone_is(p, b, D, GONE_NOT_HERE);
	pair_advance(p, NS_S - 1);
	send_disco(p, a, D);
	silent(p, a);
	pair_advance(p, 1);
	send_disco(p, a, D);
	gone_is(p, a, D, GONE_NOT_HERE);
	send_disco(p, a, D);
	silent(p, a);
	pair_advance(p, 10 * NS_S); /* full again, and not fuller */
	for (int i = 0; i < 5; i++) send_disco(p, a, D);
	for (int i = 0; i < 3; i++) gone_is(p, a, D, GONE_NOT_HERE);
	silent(p, a);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST][PACKET_DISCO], 15);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST][PACKET_OTHER], 1);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_UNKNOWN_DEST][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->peer_gone_not_here_frames, 8);
	assert_int_equal(counters(p, r)->peer_gone_suppressed, 7);
}

/* SRV-025..SRV-027: exactly the first 8 bytes come back; 7 and 1001 close, counted all the same. */
STORY(ping_answered, RAW)
{
	uint8_t data[1001];
	int s = login(p, r, A), t = login(p, r, B);

	for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i + 1);
	for (uint32_t n = 8; n <= 1000; n += n == 8 ? 1 : 991) {
		wire_send_frame(p, s, FRAME_PING, data, n);
		frame_is(p, s, FRAME_PONG, data, 8);
	}
	wire_send_frame(p, s, FRAME_PING, data, 7);
	closed(p, s);
	wire_send_frame(p, t, FRAME_PING, data, 1001);
	closed(p, t);
	assert_int_equal(counters(p, r)->got_ping, 5);
	assert_int_equal(counters(p, r)->sent_pong, 3);
}

/* SRV-026: while a Pong waits for a blocked connection, further Pings are not answered. */
STORY(ping_while_blocked, RAW)
{
	static uint8_t big[60000];
	uint8_t data[8] = { 1 };
	int a = login(p, r, A), b = login(p, r, B);
	struct wire_frame f = { 0 };

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 1; i <= 5; i++) {
		data[0] = i;
		wire_send_frame(p, b, FRAME_PING, data, 8);
	}
	assert_int_equal(counters(p, r)->sent_pong, 0);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f) && f.type == FRAME_RECV_PACKET);
	data[0] = 1;
	frame_is(p, b, FRAME_PONG, data, 8);
	silent(p, b);
	assert_int_equal(counters(p, r)->got_ping, 5);
	assert_int_equal(counters(p, r)->sent_pong, 1);
	ping(p, b);
}

/* SRV-029, SRV-030: the gauge follows changes, repeats count nothing; moves count after 5 s. */
STORY(note_preferred, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x01", 1);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x07", 1);
	silent(p, a);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	assert_int_equal(counters(p, r)->home_moves_in, 0);
	pair_advance(p, 5 * NS_S + 1);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x00", 1);
	wire_send_frame(p, b, FRAME_NOTE_PREFERRED, "\x01", 1);
	assert_int_equal(counters(p, r)->home_moves_out, 1);
	assert_int_equal(counters(p, r)->home_moves_in, 1);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	wire_fin(p, b);
	assert_int_equal(counters(p, r)->current_home_connections, 0);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x00\x01", 2);
	closed(p, a);
}

/* FRM-011, FRM-012, SRV-028, SRV-032: unassigned types and frames of the wrong direction are skipped, whatever their length. */
STORY(frames_ignored, RAW)
{
	static uint8_t junk[3000];
	int s = login(p, r, A);

	for (uint32_t type = 0; type < 256; type++) {
		const struct frame_info *info = frame_info((uint8_t)type);
		if (info != NULL && info->to_server) continue;
		for (uint32_t n = 0; n <= sizeof junk; n += 1500) wire_send_frame(p, s, (uint8_t)type, junk, n);
		if (type % 64 == 0) ping(p, s);
	}
	ping(p, s);
	silent(p, s);
}

/* FRM-008, FRM-014, SRV-002, SRV-031, MSH-007, MSH-016, MSH-032: frames that end the connection by their header, without a word. */
STORY(frames_illegal, MESHED)
{
	static const struct {
		uint8_t type;
		bool mesh;
		uint32_t n;
	} cases[] = {
		{ FRAME_SEND_PACKET, false, 31 },      { FRAME_SEND_PACKET, false, 65569 }, { FRAME_SEND_PACKET, false, UINT32_MAX },
		{ FRAME_NOTE_PREFERRED, false, 0 },    { FRAME_NOTE_PREFERRED, false, 2 },  { FRAME_PING, false, 7 },
		{ FRAME_PING, false, 1001 },           { FRAME_WATCH_CONNS, false, 0 },     { FRAME_CLOSE_PEER, false, 32 },
		{ FRAME_FORWARD_PACKET, false, 64 },   { FRAME_FORWARD_PACKET, false, 10 }, { FRAME_WATCH_CONNS, true, 1 },
		{ FRAME_CLOSE_PEER, true, 31 },        { FRAME_CLOSE_PEER, true, 33 },      { FRAME_FORWARD_PACKET, true, 63 },
		{ FRAME_FORWARD_PACKET, true, 65601 },
	};
	int other = login(p, r, B);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int s = cases[i].mesh ? login_mesh(p, r, A) : login(p, r, A);
		uint8_t head[FRAME_HEADER];
		frame_header(head, cases[i].type, cases[i].n);
		wire_send(p, s, head, FRAME_HEADER - 1);
		silent(p, s);
		wire_send(p, s, head + FRAME_HEADER - 1, 1); /* the header alone decides, before any payload (FRM-007) */
		closed(p, s);
	}
	silent(p, other);
	assert_int_equal(counters(p, r)->current_connections, 1);
}

/* ---- ends ---- */

/* PGR-004, PGR-005, PGR-011: told are those who received from the key, not those who sent to it, not others. */
STORY(gone_to_receivers, RAW)
{
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C), d = login(p, r, D);

	send_to(p, a, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	send_to(p, c, A, "y", 1);
	packet_is(p, a, C, "y", 1);
	wire_fin(p, a);
	gone_is(p, b, A, GONE_DISCONNECTED);
	silent(p, c);
	silent(p, d);
	assert_int_equal(counters(p, r)->peer_gone_disconnected_frames, 1);
}

static void gone_twice(struct pair *p, int r, bool told)
{
	int b = login(p, r, B);

	for (int i = 0; i < 2; i++) {
		int a = login(p, r, A);
		send_to(p, a, B, "x", 1);
		packet_is(p, b, A, "x", 1);
		if (i == 0)
			wire_reset(p, a);
		else
			wire_fin(p, a);
		if (i == 0 || told) gone_is(p, b, A, GONE_DISCONNECTED);
		silent(p, b);
	}
}

/* TRP-011: ours tells every departure after new traffic; PGR-007: the original only the first. */
STORY(gone_again, RAW) { gone_twice(p, r, true); }
STORY(gone_one_shot, RAW "profile=derper\n") { gone_twice(p, r, false); }

/* PGR-008: a recipient that reconnects starts empty. */
STORY(gone_forgotten, RAW)
{
	int a = login(p, r, A), b = login(p, r, B);

	send_to(p, a, B, "x", 1);
	wire_fin(p, b);
	b = login(p, r, B);
	wire_fin(p, a);
	silent(p, b);
}

/* PGR-006: when the sender leaves while its packet waits, ours tells, the original does not; the packet is delivered either way. */
static void gone_while_queued(struct pair *p, int r, bool told)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C);
	struct wire_frame f = { 0 };
	bool gone = false, came = false;

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, c, B, big, sizeof big);
	send_to(p, a, B, "late", 4);
	wire_fin(p, a);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f));
	while (wire_frame(p, b, &f)) {
		gone |= f.type == FRAME_PEER_GONE;
		came |= f.type == FRAME_RECV_PACKET && f.n == FRAME_KEY + 4;
	}
	assert_true(came);
	assert_int_equal(gone, told);
	if (told) return;
	a = login(p, r, A);
	wire_fin(p, a); /* the entry made when it was written fires at the next departure */
	gone_is(p, b, A, GONE_DISCONNECTED);
}
STORY(gone_queued, RAW) { gone_while_queued(p, r, true); }
STORY(gone_queued_derper, RAW "profile=derper\n") { gone_while_queued(p, r, false); }

/* DUP-001..DUP-005, DUP-012, DUP-015: the newest connection of a key receives, then whoever sent last; gone is told with the last. */
STORY(duplicate_keys, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2;

	send_to(p, a1, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	a2 = login(p, r, A);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 1);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 2);
	assert_int_equal(counters(p, r)->total_dup_client_conns, 1);
	assert_int_equal(counters(p, r)->clients_local, 2);
	assert_int_equal(counters(p, r)->current_connections, 3);
	send_to(p, b, A, "newest", 6);
	packet_is(p, a2, B, "newest", 6);
	ping(p, a1);
	send_to(p, b, A, "a1 sent last", 12);
	packet_is(p, a1, B, "a1 sent last", 12);
	wire_send_frame(p, a2, 0x7a, "any frame", 9);
	send_to(p, b, A, "a2 again", 8);
	packet_is(p, a2, B, "a2 again", 8);
	wire_fin(p, a2);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 0);
	send_to(p, b, A, "one left", 8);
	packet_is(p, a1, B, "one left", 8);
	silent(p, b);
	wire_fin(p, a1);
	gone_is(p, b, A, GONE_DISCONNECTED);
}

/* DUP-007, DUP-008: of three that never sent, when the newest leaves the first becomes active, for the second is not in the history. */
STORY(duplicate_history, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2 = login(p, r, A), a3 = login(p, r, A);

	assert_int_equal(counters(p, r)->current_dup_client_conns, 3);
	wire_fin(p, a3);
	send_to(p, b, A, "x", 1);
	packet_is(p, a1, B, "x", 1);
	a3 = login(p, r, A);
	ping(p, a2);
	ping(p, a3);
	wire_fin(p, a3);
	send_to(p, b, A, "y", 1);
	packet_is(p, a2, B, "y", 1);
	silent(p, a1);
}

/* DUP-005: the header of a frame that then closes has made its connection active before. */
STORY(duplicate_closing_frame, RAW)
{
	int b = login(p, r, B), a1 = login(p, r, A), a2 = login(p, r, A), a3 = login(p, r, A);

	ping(p, a2);
	wire_send_frame(p, a1, FRAME_PING, "short", 5);
	closed(p, a1);
	send_to(p, b, A, "x", 1);
	packet_is(p, a2, B, "x", 1);
	silent(p, a3);
}

/* ---- queues and deadlines ---- */

/* SRV-010, SRV-012..SRV-015: towards a stalled receiver the newest 32 of each kind survive, each further one costs the oldest. */
STORY(queue_limit, RAW)
{
	static uint8_t big[60000];
	uint8_t disco[64] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	int a = login(p, r, A), b = login(p, r, B), c = login(p, r, C);
	struct wire_frame f = { 0 };
	struct relay_session_view view;
	int others = 8, discos = 8;

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (uint8_t i = 0; i < 40; i++) {
		disco[62] = i;
		send_to(p, a, B, disco, 63);
		send_to(p, a, B, &i, 1);
	}
	assert_true(relay_session(p->host[r].relay, p->stream[b].end[1].token, &view));
	assert_int_equal(view.queued_disco, 32);
	assert_int_equal(view.queued_other, 32);
	assert_true(view.left > 0);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 64);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_QUEUE_HEAD][PACKET_OTHER], 8);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_QUEUE_HEAD][PACKET_DISCO], 8);
	assert_int_equal(counters(p, r)->bytes_dropped[DROP_QUEUE_HEAD][PACKET_DISCO], 8 * 63);
	send_to(p, a, C, "SRV-017", 7); /* a stalled receiver delays nobody else */
	packet_is(p, c, A, "SRV-017", 7);
	wire_room(p, b, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b, &f));
	while (wire_frame(p, b, &f)) {
		assert_int_equal(f.type, FRAME_RECV_PACKET);
		assert_int_equal(f.p[f.n - 1], f.n == FRAME_KEY + 1 ? others++ : discos++); /* SRV-014: in order, kind by kind */
	}
	assert_int_equal(others, 40);
	assert_int_equal(discos, 40);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 0);
	ping(p, b);
}

/* DUP-006: what waits for a connection stays with it when another of its key becomes active. */
STORY(queue_stays, RAW)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b1 = login(p, r, B), b2;
	struct wire_frame f = { 0 };

	wire_room(p, b1, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	send_to(p, a, B, "waits", 5);
	b2 = login(p, r, B);
	send_to(p, a, B, "new", 3);
	packet_is(p, b2, A, "new", 3);
	wire_room(p, b1, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, b1, &f));
	packet_is(p, b1, A, "waits", 5);
	silent(p, b2);
}

/* SRV-019, SRV-020: 2 s without progress end a blocked connection; what waited is gone_disconnected. Progress renews the deadline. */
STORY(write_deadline, RAW)
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B);

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	send_to(p, a, B, "waits", 5);
	send_disco(p, a, B);
	for (int i = 0; i < 4; i++) {
		pair_advance(p, 2 * NS_S - 1);
		assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
		wire_room(p, b, 100);
	}
	pair_advance(p, 2 * NS_S - 1);
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	assert_int_equal(wire_end(p, b)->ended, PAIR_RESET);
	assert_int_equal(counters(p, r)->write_timeouts, 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_OTHER], 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_GONE_DISCONNECTED][PACKET_DISCO], 1);
	assert_int_equal(counters(p, r)->current_connections, 1);
	silent(p, a);
	send_disco(p, a, B);
	gone_is(p, a, B, GONE_NOT_HERE);
}

/* SRV-019: progress counts also when as much is sent behind as was taken, so that what is refused does not shrink. */
STORY(write_progress_under_load, RAW)
{
	static uint8_t packet[10000 - FRAME_HEADER - FRAME_KEY];
	int a = login(p, r, A), b = login(p, r, B);

	wire_room(p, b, 0);
	for (int i = 0; i < 8; i++) send_to(p, a, B, packet, sizeof packet);
	for (int i = 0; i < 8; i++) {
		pair_advance(p, NS_S);
		p->stream[b].end[1].room = 10000; /* the next packet pushes the last one through */
		send_to(p, a, B, packet, sizeof packet);
	}
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
	pair_advance(p, 2 * NS_S);
	assert_int_equal(wire_end(p, b)->ended, PAIR_RESET);
}

/* SRV-019: a mesh peer has 30 s; write-timeout=0 means none. */
STORY(write_deadline_mesh, MESHED "write-timeout=0s\n")
{
	static uint8_t big[60000];
	int a = login(p, r, A), b = login(p, r, B), m = login_mesh(p, r, C);

	wire_room(p, b, 0);
	wire_room(p, m, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, B, big, sizeof big);
	for (int i = 0; i < 3; i++) send_to(p, a, C, big, sizeof big);
	pair_advance(p, 30 * NS_S - 1);
	assert_int_equal(wire_end(p, m)->ended, PAIR_OPEN);
	pair_advance(p, 1);
	assert_int_equal(wire_end(p, m)->ended, PAIR_RESET);
	assert_int_equal(wire_end(p, b)->ended, PAIR_OPEN);
}

/* SRV-022, SRV-023, TRP-003: a KeepAlive every 60 to 65 s, the period fixed for each connection, other traffic or not. */
STORY(keepalive, RAW)
{
	int s[4];
	uint64_t first[4] = { 0 }, at[4] = { 0 };
	struct wire_frame f = { 0 };
	bool differ = false;

	for (int i = 0; i < 4; i++) s[i] = login(p, r, (uint8_t)(0x20 * (i + 1)));
	for (uint64_t t = 0; t < 2600; t++) {
		pair_advance(p, 100 * NS_MS);
		if (t % 50 == 0) ping(p, s[0]);
		for (int i = 0; i < 4; i++)
			while (wire_frame(p, s[i], &f)) {
				uint64_t period = p->now - at[i];
				assert_int_equal(f.type, FRAME_KEEP_ALIVE);
				assert_int_equal(f.n, 0);
				assert_true(period >= 60 * NS_S && period <= 65 * NS_S + 100 * NS_MS);
				if (first[i] == 0) first[i] = period;
				assert_true(period + 100 * NS_MS >= first[i] && period <= first[i] + 100 * NS_MS);
				at[i] = p->now;
			}
	}
	for (int i = 0; i < 4; i++) {
		assert_int_not_equal(first[i], 0);
		differ |= first[i] != first[0];
	}
	assert_true(differ);
	assert_true(counters(p, r)->keepalive_frames >= 15);
}

/* ---- mesh privilege ---- */

/* PGR-018..PGR-023, MSH-007, MSH-009: the list with flags and addresses, then every arrival, and gone with the last of a key. */
STORY(watch_list, MESHED)
{
	struct client_info prober = { .version = 2, .is_prober = true };
	int a = login(p, r, A), b = wire_login(p, r, B, &prober), w = login_mesh(p, r, D), a2;

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, A, PRESENT_REGULAR);
	present_is(p, w, B, PRESENT_PROBER);
	present_is(p, w, D, PRESENT_MESH);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 1);
	a2 = login(p, r, A);
	present_is(p, w, A, PRESENT_REGULAR); /* PGR-022: also when the key was there */
	wire_fin(p, a);
	silent(p, w);
	wire_fin(p, a2);
	gone_is(p, w, A, GONE_DISCONNECTED);
	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, B, PRESENT_PROBER);
	present_is(p, w, D, PRESENT_MESH);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 1);
	wire_fin(p, w);
	assert_int_equal(counters(p, r)->watchers, 0);
	wire_fin(p, b);
	assert_int_equal(counters(p, r)->peer_present_frames, 6);
}

/* PGR-025: a watcher that also received from a key hears of its going twice. */
STORY(watch_and_receive, MESHED)
{
	int w = login_mesh(p, r, D), a = login(p, r, A);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, D, PRESENT_MESH);
	present_is(p, w, A, PRESENT_REGULAR);
	send_to(p, a, D, "x", 1);
	packet_is(p, w, A, "x", 1);
	wire_fin(p, a);
	gone_is(p, w, A, GONE_DISCONNECTED);
	gone_is(p, w, A, GONE_DISCONNECTED);
	silent(p, w);
}

/* MSH-010: while a watcher is blocked nothing is lost; afterwards it knows who is here. */
STORY(watch_blocked, MESHED)
{
	static uint8_t big[60000];
	int w = login_mesh(p, r, D), a = login(p, r, A), b, c;
	struct wire_frame f = { 0 };

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	while (wire_frame(p, w, &f)) continue;
	wire_room(p, w, 0);
	for (int i = 0; i < 3; i++) send_to(p, a, D, big, sizeof big);
	b = login(p, r, B);
	c = login(p, r, C);
	wire_fin(p, c);
	wire_fin(p, a);
	wire_room(p, w, SIZE_MAX);
	for (int i = 0; i < 3; i++) assert_true(wire_frame(p, w, &f) && f.type == FRAME_RECV_PACKET);
	gone_is(p, w, A, GONE_DISCONNECTED);
	present_is(p, w, B, PRESENT_REGULAR);
	gone_is(p, w, C, GONE_DISCONNECTED);
	gone_is(p, w, A, GONE_DISCONNECTED); /* as a receiver of its packets */
	silent(p, w);
	ping(p, b);
}

/* MSH-008: a watcher under the relay's own key gets nothing and stays. */
STORY(watch_own_key, MESHED)
{
	int w = login_mesh(p, r, SERVER);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	ping(p, w);
	login(p, r, A);
	silent(p, w);
	assert_int_equal(counters(p, r)->watchers, 0);
}

/* MSH-016..MSH-021, PGR-015, FRM-019: forwards go to local clients under the given source, else NotHere to the forwarder. */
STORY(forward_in, MESHED)
{
	struct key a = pair_public(A), b = pair_public(B), zero = { { 0 } };
	uint8_t payload[2 * KEY_SIZE + 62] = { 0 };
	int m = login_mesh(p, r, D), sb = login(p, r, B);

	memcpy(payload, a.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, b.b, KEY_SIZE);
	memcpy(payload + 2 * KEY_SIZE, "\x54\x53\xf0\x9f\x92\xac", 6);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 5);
	packet_is(p, sb, A, payload + 64, 5);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64);
	packet_is(p, sb, A, "", 0);
	memcpy(payload, zero.b, KEY_SIZE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 5);
	silent(p, sb);
	memcpy(payload, b.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, a.b, KEY_SIZE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 62);
	gone_is(p, m, A, GONE_NOT_HERE);
	wire_send_frame(p, m, FRAME_FORWARD_PACKET, payload, 64 + 61);
	silent(p, m);
	silent(p, sb);
	assert_int_equal(counters(p, r)->packets_forwarded_in, 5);
	assert_int_equal(counters(p, r)->packets_received, 0);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST_ON_FWD][PACKET_DISCO], 1);
	assert_int_equal(counters(p, r)->packets_dropped[DROP_UNKNOWN_DEST_ON_FWD][PACKET_OTHER], 2);
}

/* MSH-032, MSH-033, MSH-034: all local connections of the key end without a frame, an unknown key is nothing, and it may come back. */
STORY(close_peer, MESHED)
{
	int m = login_mesh(p, r, D), a1 = login(p, r, A), a2 = login(p, r, A), b = login(p, r, B);

	send_to(p, a2, B, "x", 1);
	packet_is(p, b, A, "x", 1);
	key_frame(p, m, FRAME_CLOSE_PEER, C);
	silent(p, m);
	key_frame(p, m, FRAME_CLOSE_PEER, A);
	closed(p, a1);
	closed(p, a2);
	gone_is(p, b, A, GONE_DISCONNECTED);
	silent(p, m);
	a1 = login(p, r, A);
	ping(p, a1);
	key_frame(p, m, FRAME_CLOSE_PEER, D); /* the sender itself */
	closed(p, m);
}

/* The operator's COMMAND_CLOSE_PEER does the same; COMMAND_LEAVE closes everything and says so (SRV-036). */
STORY(commands, RAW)
{
	struct key a = pair_public(A);
	int sa = login(p, r, A), sb = login(p, r, B), half = wire_connect(p, r);

	pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = a.b });
	closed(p, sa);
	silent(p, sb);
	frame_is(p, half, FRAME_SERVER_KEY, NULL, 40);
	assert_null(pair_heard(p, r, DELIVER_STOPPED, 0));
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_LEAVE });
	closed(p, sb);
	closed(p, half);
	assert_non_null(pair_heard(p, r, DELIVER_STOPPED, 0));
	half = wire_connect(p, r);
	closed(p, half);
	assert_int_equal(counters(p, r)->current_connections, 0);
}

/* A connection that we closed and that never closes its side is cut after a while, and its slot comes back. */
STORY(linger, RAW)
{
	int s = login(p, r, A), t;

	p->stream[s].end[0].fin = p->stream[s].end[0].fin_gone = true; /* this wire does not answer a FIN */
	wire_send_frame(p, s, FRAME_PING, "short", 5);
	pair_advance(p, 10 * NS_S);
	assert_false(p->stream[s].end[1].open);
	t = login(p, r, A);
	ping(p, t);
}

/* Comings and goings leave nothing behind: memory is what it was, and nobody is known. */
STORY(churn, MESHED)
{
	uint64_t before = 0;
	int w = login_mesh(p, r, D);
	struct wire_frame f = { 0 };

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	for (int round = 0; round < 12; round++) {
		int a = login(p, r, A), b = login(p, r, (uint8_t)(B + round)), b2 = login(p, r, (uint8_t)(B + round));
		send_to(p, a, (uint8_t)(B + round), "x", 1);
		send_to(p, b2, A, "y", 1);
		send_to(p, b, A, "y", 1);
		send_to(p, b, D, "y", 1);
		wire_fin(p, a);
		wire_reset(p, b);
		wire_fin(p, b2);
		while (wire_frame(p, w, &f)) continue;
		if (round == 2) before = relay_memory(p->host[r].relay);
	}
	assert_int_equal(relay_memory(p->host[r].relay), before);
	assert_int_equal(counters(p, r)->clients_total, 1);
	assert_int_equal(counters(p, r)->current_dup_client_keys, 0);
	assert_int_equal(counters(p, r)->current_dup_client_conns, 0);
	assert_int_equal(route_to(p, r, B), ROUTE_NONE);
}

/* Configurations that are refused, with a reason. */
static void config_checked(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define KEY_LINE "key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define MESH_LINE "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
		{ KEY_LINE, true },
		{ "", false },
		{ "key=00\n", false },
		{ KEY_LINE "mesh-with=192.0.2.1:443\n", false },
		{ KEY_LINE MESH_LINE "mesh-with=192.0.2.1:443, http://192.0.2.2:80\n", true },
		{ KEY_LINE "queue-depth=0\n", false },
		{ KEY_LINE "queue-depth=1025\n", false },
		{ KEY_LINE "profile=theirs\n", false },
		{ KEY_LINE "keepalive=1ms\nlogin-timeout=1h\nraw=on\nprofile=derper\n", true },
		{ KEY_LINE "login-timeout=0s\n", false },
		{ KEY_LINE "no-such-key=1\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[200] = "";
		if (relay_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_raw),
		cmocka_unit_test(login_http_slow),
		cmocka_unit_test(login_http_fast),
		cmocka_unit_test(http_refused_then_upgraded),
		cmocka_unit_test(http_odd_requests),
		cmocka_unit_test(http_head_too_long),
		cmocka_unit_test(login_refused),
		cmocka_unit_test(login_wrong_mesh_key),
		cmocka_unit_test(login_timeout),
		cmocka_unit_test(http_timeout),
		cmocka_unit_test(login_then_silence),
		cmocka_unit_test(sessions_limit),
		cmocka_unit_test(packet_routed),
		cmocka_unit_test(not_here_limited),
		cmocka_unit_test(ping_answered),
		cmocka_unit_test(ping_while_blocked),
		cmocka_unit_test(note_preferred),
		cmocka_unit_test(frames_ignored),
		cmocka_unit_test(frames_illegal),
		cmocka_unit_test(gone_to_receivers),
		cmocka_unit_test(gone_again),
		cmocka_unit_test(gone_one_shot),
		cmocka_unit_test(gone_forgotten),
		cmocka_unit_test(gone_queued),
		cmocka_unit_test(gone_queued_derper),
		cmocka_unit_test(duplicate_keys),
		cmocka_unit_test(duplicate_history),
		cmocka_unit_test(duplicate_closing_frame),
		cmocka_unit_test(queue_limit),
		cmocka_unit_test(queue_stays),
		cmocka_unit_test(write_deadline),
		cmocka_unit_test(write_progress_under_load),
		cmocka_unit_test(write_deadline_mesh),
		cmocka_unit_test(keepalive),
		cmocka_unit_test(watch_list),
		cmocka_unit_test(watch_and_receive),
		cmocka_unit_test(watch_blocked),
		cmocka_unit_test(watch_own_key),
		cmocka_unit_test(forward_in),
		cmocka_unit_test(close_peer),
		cmocka_unit_test(commands),
		cmocka_unit_test(linger),
		cmocka_unit_test(churn),
		cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
