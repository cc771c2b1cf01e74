/* The way in to a relay: ServerKey and ClientInfo on raw streams and over HTTP, what is refused, how long it may take. */
#include "pair_relay.h"

/* HSK-001, HSK-002, HSK-021, HSK-022, HSK-025: ServerKey at once, ServerInfo after ClientInfo, nothing else. */
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

/* HTTP-005, HTTP-006, KEY-003: 101 with the headers in their order and ServerKey behind it, before the client says more. */
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

/* HTTP-008, HTTP-018, HSK-018, PGR-019: with fast start no response, and request, ClientInfo, NotePreferred and Ping in one write are all served. */
STORY(login_http_fast, MESH_KEY)
{
	static const char request[] = REQUEST "Derp-Fast-Start: 1\r\nIdeal-Node: 1a\r\n\r\n";
	struct client_info info = { .version = 2 };
	struct key private_key = pair_key(A), public_key = pair_public(A), server = pair_public(SERVER), shared;
	uint8_t nonce[KEY_NONCE] = { 9 }, all[1024], data[8] = { 8 };
	size_t n = sizeof request - 1;
	struct relay_session_view view;
	int w = login_mesh(p, r, D), s = wire_connect(p, r);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, D, PRESENT_MESH);
	assert_true(key_shared(&private_key, server.b, &shared));
	memcpy(all, request, n);
	n += login_client_info_frame(all + n, &public_key, &shared, nonce, &info);
	n += frame_note_preferred(all + n, true);
	n += frame_ping(all + n, data);
	wire_send(p, s, all, n);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	frame_is(p, s, FRAME_PONG, data, 8);
	present_is(p, w, A, PRESENT_NOT_IDEAL);
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

/* ClientInfo of A with this text in its box. */
static void send_json(struct pair *p, int s, const char *json)
{
	struct key private_key = pair_key(A), public_key = pair_public(A), server = pair_public(SERVER), shared;
	uint8_t payload[200], nonce[KEY_NONCE] = { 4 };
	uint32_t n = (uint32_t)strlen(json);

	assert_true(key_shared(&private_key, server.b, &shared));
	memcpy(payload, public_key.b, KEY_SIZE);
	key_seal(&shared, nonce, (const uint8_t *)json, n, payload + KEY_SIZE);
	wire_send_frame(p, s, FRAME_CLIENT_INFO, payload, KEY_SIZE + KEY_BOX_OVERHEAD + n);
}

/* HSK-008, HSK-009, HSK-016, HSK-028, HSK-030, FRM-015, KEY-006, KEY-007, TRP-017: logins that end by closing, of which nobody else sees
 * anything. */
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
	for (int i = 0; i < 5; i++) {
		s = wire_connect(p, r);
		frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
		switch (i) {
		case 0: wire_send_frame(p, s, FRAME_CLIENT_INFO, big, sizeof big); break; /* zero key */
		case 1:
			memcpy(big, low_order, sizeof low_order);
			wire_send_frame(p, s, FRAME_CLIENT_INFO, big, sizeof big);
			break;
		case 2: wire_client_info(p, s, A, &other, &info); break; /* sealed to somebody else */
		case 3: send_json(p, s, "{\"version\":2.0}"); break;
		default: send_json(p, s, "{\"version\":2,\"meshKey\":\"\"}"); break;
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
	assert_int_equal(counters(p, r)->accepts, 7);
}

/* HSK-015: a wrong mesh key logs in as a regular client. */
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

/* KEY-012, HSK-015: a relay without mesh key has no mesh peers, whatever key a client presents, none and the zero key too. */
STORY(login_mesh_key_of_nobody, RAW)
{
	struct client_info none = { .version = 2 }, some = { .version = 2, .mesh_key = pair_key(MESH) };
	struct relay_session_view view;

	for (int i = 0; i < 2; i++) {
		int s = wire_login(p, r, A, i == 0 ? &none : &some);
		assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
		assert_false(view.mesh_peer);
		wire_send_frame(p, s, FRAME_WATCH_CONNS, NULL, 0);
		closed(p, s);
	}
}

/* KEY-005: the same ClientInfo a second time is a login too, and the answer is never sealed with the same nonce twice. */
STORY(login_replayed, RAW)
{
	struct client_info info = { .version = 2 };
	struct key server = pair_public(SERVER);
	uint8_t nonce[KEY_NONCE];
	struct wire_frame f = { 0 };

	for (int i = 0; i < 2; i++) {
		int s = wire_connect(p, r);
		frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
		wire_client_info(p, s, A, &server, &info);
		assert_true(wire_frame(p, s, &f));
		assert_int_equal(f.type, FRAME_SERVER_INFO);
		if (i == 1) assert_memory_not_equal(f.p, nonce, KEY_NONCE);
		memcpy(nonce, f.p, KEY_NONCE);
	}
	assert_int_equal(counters(p, r)->logins, 2);
}

/* HSK-011..HSK-014: any version logs in and is answered with 2; no flag and no name changes what the client gets, nor is it ever pinged. */
STORY(login_whatever_is_said, RAW)
{
	static const struct client_info infos[] = {
		{ .version = 0 },
		{ .version = -1 },
		{ .version = INT64_MAX },
		{ .version = 99, .can_ack_pings = true, .is_prober = true, .app_name = "something" },
	};
	int other = login(p, r, B);

	for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
		int s = wire_login(p, r, A, &infos[i]);
		struct wire_frame f = { 0 };
		ping(p, s);
		send_to(p, other, A, "x", 1);
		packet_is(p, s, B, "x", 1);
		pair_advance(p, 66 * NS_S);
		while (wire_frame(p, s, &f)) assert_int_equal(f.type, FRAME_KEEP_ALIVE);
		silent(p, s);
		wire_fin(p, s);
	}
}

/* HSK-020, TRP-015: watchers hear of a client that never takes its ServerInfo, and of its end, for which ours does not wait for ever. */
STORY(login_unread, MESHED)
{
	struct client_info info = { .version = 2 };
	struct key server = pair_public(SERVER);
	int w = login_mesh(p, r, D), s = wire_connect(p, r);

	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	present_is(p, w, D, PRESENT_MESH);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	wire_room(p, s, 0);
	wire_client_info(p, s, A, &server, &info);
	present_is(p, w, A, PRESENT_REGULAR);
	silent(p, s);
	pair_advance(p, 2 * NS_S);
	gone_is(p, w, A, GONE_DISCONNECTED);
	closed(p, s);
}

/* KEY-003: the meta certificate is asked for by the untyped form of the relay's key. */
STORY(login_tls_names_key, "")
{
	pair_client(p, A, "url=https://192.0.2.101/derp\n");
	assert_string_equal(p->stream[0].end[1].meta, "derpkey8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
	assert_int_equal(counters(p, r)->logins, 1);
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
	pair_advance(p, NS_S - 1);
	silent(p, s);
	pair_advance(p, 1);
	closed(p, s);
	pair_advance(p, 9 * NS_S - 1);
	silent(p, t);
	pair_advance(p, 1);
	closed(p, t);
}

/* SRV-024: after the login silence has no limit. */
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
		cmocka_unit_test(login_mesh_key_of_nobody),
		cmocka_unit_test(login_replayed),
		cmocka_unit_test(login_whatever_is_said),
		cmocka_unit_test(login_unread),
		cmocka_unit_test(login_tls_names_key),
		cmocka_unit_test(login_timeout),
		cmocka_unit_test(http_timeout),
		cmocka_unit_test(login_then_silence),
		cmocka_unit_test(sessions_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
