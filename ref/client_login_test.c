/* From TCP to ServerInfo: against our relay over every transport, and against a relay written by hand that says what ours never would. */
#include "pair_client.h"

/* The whole way: login of two clients, a packet each way, and who has gone. */
static void two_clients(struct pair *p, const char *relay, const char *client)
{
	struct key a = pair_public(A), b = pair_public(B), server = pair_public(SERVER);
	int r = pair_relay(p, SERVER, relay), ca = pair_client(p, A, client), cb = pair_client(p, B, client);

	state_is(p, ca, CLIENT_READY);
	state_is(p, cb, CLIENT_READY);
	assert_memory_equal(client_server_key(client_of(p, ca)), server.b, KEY_SIZE);
	assert_int_equal(client_generation(client_of(p, ca)), 1);
	assert_int_equal(relay_counters(p->host[r].relay)->current_connections, 2);
	pair_send(p, ca, &b, "hello", 5);
	packet_came(p, cb, 0, A, "hello");
	pair_send(p, cb, &a, "", 0);
	packet_came(p, ca, 0, B, "");
	pair_command(p, cb, &(struct event_command){ .verb = COMMAND_LEAVE });
	state_is(p, cb, CLIENT_GONE);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PEER_GONE), 1);
	assert_memory_equal(pair_heard(p, ca, DELIVER_PEER_GONE, 0)->key, b.b, KEY_SIZE);
	assert_int_equal(pair_heard(p, ca, DELIVER_PEER_GONE, 0)->a, GONE_DISCONNECTED);
	assert_int_equal(relay_counters(p->host[r].relay)->current_connections, 1);
	pair_advance(p, 300 * NS_S); /* KeepAlives keep it up (CLI-008) */
	state_is(p, ca, CLIENT_READY);
	assert_true(pair_heard_count(p, ca, DELIVER_KEEPALIVE) >= 4);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_DISCONNECTED), 0);
}

STORY(raw) { two_clients(p, "raw=on\n", "raw=on\nurl=http://192.0.2.101:80/derp\n"); }
STORY(http_plain) { two_clients(p, "", "url=http://192.0.2.101/derp\n"); }
STORY(tls_fast) { two_clients(p, "", "url=https://192.0.2.101/derp\n"); }
STORY(tls_forced_slow) { two_clients(p, "", "url=https://192.0.2.101/derp\nfast-start=never\n"); }
STORY(tls_stripped)
{
	p->strip_meta = true; /* HTTP-015: by slow start */
	two_clients(p, "", "url=https://192.0.2.101:443/derp\n");
}
STORY(tls_12)
{
	p->tls_version = 0x0303; /* by slow start */
	two_clients(p, "", "url=https://192.0.2.101\n");
}
STORY(plain_fast_by_key)
{
	two_clients(p, "",
	            "url=http://192.0.2.101/derp\nfast-start=always\n"
	            "server-key=8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f\n");
}

/* HSK-004: fast start with a wrong key reports success first; the relay's close is the answer. */
STORY(fast_wrong_key)
{
	int r = pair_relay(p, SERVER, ""), c;

	(void)r;
	c = pair_client(p, A,
	                "url=http://192.0.2.101/derp\nfast-start=always\nretry=manual\n"
	                "server-key=358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254\n");
	assert_int_equal(pair_heard_count(p, c, DELIVER_CONNECTED), 1);
	assert_int_equal(pair_heard_count(p, c, DELIVER_READY), 0);
	ended(p, c, 0, CLIENT_END_CLOSED);
	state_is(p, c, CLIENT_IDLE);
}

/* HTTP-001, chapter 2.5: the request line by line; nothing more before 101 and ServerKey; over-read bytes belong to DERP (HTTP-006). */
STORY(request_slow)
{
	struct key server = pair_public(SERVER);
	struct client_info info;
	char text[HTTP_OUT_MAX + 64];
	uint32_t n;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "app-name=probe\nprober=on\n");
	s = wire_relay(p);
	request_is(p, s, "GET /derp HTTP/1.1\r\nHost: 192.0.2.50\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n");
	quiet(p, s);
	state_is(p, c, CLIENT_HTTP);
	n = http_upgrade_response(text, server.b);
	n += frame_server_key((uint8_t *)text + n, server.b);
	n += frame_keep_alive((uint8_t *)text + n);
	wire_send(p, s, text, n);
	client_info_is(p, s, A, &info);
	quiet(p, s);
	assert_int_equal(info.version, 2); /* HSK-010 */
	assert_true(info.can_ack_pings && info.is_prober);
	assert_string_equal(info.app_name, "probe");
	assert_int_equal(pair_heard_count(p, c, DELIVER_KEEPALIVE), 1);
	state_is(p, c, CLIENT_SENT);
}

/* HSK-023, HSK-024, MSH-004: ClientInfo with the mesh key, NotePreferred, WatchConns, and at once what the owner wants to send. */
STORY(login_in_one_go)
{
	struct key mesh_key = pair_key(MESH), b = pair_public(B);
	uint8_t packet[KEY_SIZE + 2];
	struct client_info info;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A,
	                WIRE "raw=on\nhome=on\nwatch=on\ncan-ack-pings=off\n"
	                     "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n");
	s = wire_relay(p);
	pair_send(p, c, &b, "hi", 2);
	quiet(p, s);
	server_key(p, s, 0);
	client_info_is(p, s, A, &info);
	assert_memory_equal(info.mesh_key.b, mesh_key.b, KEY_SIZE);
	assert_false(info.can_ack_pings);
	frame_is(p, s, FRAME_NOTE_PREFERRED, "\x01", 1);
	frame_is(p, s, FRAME_WATCH_CONNS, NULL, 0);
	memcpy(packet, b.b, KEY_SIZE);
	memcpy(packet + KEY_SIZE, "hi", 2);
	frame_is(p, s, FRAME_SEND_PACKET, packet, sizeof packet);
	assert_int_equal(pair_heard_count(p, c, DELIVER_CONNECTED), 1);
	assert_int_equal(pair_heard_count(p, c, DELIVER_READY), 0);
}

/* HSK-003: ServerKey with another magic, or with a key of which nothing can be made, is the end of the attempt. */
STORY(server_key_refused)
{
	uint8_t payload[FRAME_SERVER_KEY_MIN] = { 0 };
	int c;

	memcpy(payload, frame_magic, FRAME_MAGIC);
	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < 2; i++) {
		payload[FRAME_MAGIC - 1] ^= 1; /* first another magic, then the zero key */
		wire_send_frame(p, wire_relay(p), FRAME_SERVER_KEY, payload, sizeof payload);
		ended(p, c, i, CLIENT_END_PROTOCOL);
		pair_advance(p, NS_S);
	}
}

/* HTTP-007: only the status counts; 200 and 426 fail, odd headers or none do not matter. */
STORY(http_status)
{
	static const char *const bad[] = { "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno\n",
		                           "SSH-2.0-x\r\n\r\n" };
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < 3; i++) {
		wire_send(p, wire_relay(p), bad[i], strlen(bad[i]));
		ended(p, c, i, CLIENT_END_HTTP);
		pair_advance(p, NS_S);
	}
	s = wire_relay(p);
	wire_send(p, s, "HTTP/1.1 101 whatever you say\r\n\r\n", strlen("HTTP/1.1 101 whatever you say\r\n\r\n"));
	state_is(p, c, CLIENT_LOGIN);
}

/* HTTP-024, KEY-003: the node's name is the TLS server name; with its meta certificate the request and ClientInfo leave unasked (HTTP-009). */
STORY(region_tls)
{
	struct key server = pair_public(SERVER);
	struct client_info info;
	char hex[KEY_HEX];
	int c, s;

	key_hex(server.b, hex);
	snprintf(p->wire_meta, sizeof p->wire_meta, "derpkey%.*s", KEY_HEX, hex);
	wire_listens(p);
	c = pair_client(p, A, REGION(NODE("1a", "a.test", V4("50"))));
	s = wire_relay(p);
	assert_string_equal(p->stream[s].end[0].server_name, "a.test");
	request_is(p, s,
	           "GET /derp HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n"
	           "Upgrade: DERP\r\n\r\n");
	client_info_is(p, s, A, &info);
	state_is(p, c, CLIENT_SENT);
	server_key(p, s, 0); /* skipped (HSK-004) */
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	state_is(p, c, CLIENT_READY);
}

/* HTTP-024: in URL mode the server name is the URL's host, without its port; an IP literal yields none. */
STORY(url_server_name)
{
	static const struct address at = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 50 }, .port = 8443 };
	static const char *const names[][2] = { { "url=https://192.0.2.50:8443/derp\n", "" },
		                                { "url=https://named.test:8443/derp\n", "named.test" } };

	pair_listen(p, at, PAIR_WIRE, -1, TOKEN_NONE, false);
	for (size_t i = 0; i < 2; i++) {
		int c = pair_client(p, A, names[i][0]), s;
		if (names[i][1][0] != 0) pair_answer(p, c, &at);
		s = wire_accepted(p, at);
		assert_true(s >= 0);
		assert_string_equal(p->stream[s].end[0].server_name, names[i][1]);
	}
}

/* REG-011, KEY-005: a node that comes back with another key is as good as before; every ClientInfo has a nonce of its own. */
STORY(node_with_another_key)
{
	struct key first = pair_public(SERVER), second = pair_public(B), private_key, shared, client = pair_public(A);
	uint8_t frame[LOGIN_FRAME_MAX], nonce[KEY_NONCE], answer[KEY_NONCE] = { 7 };
	struct wire_frame f = { 0 };
	int c;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=none\n");
	for (int i = 0; i < 2; i++) {
		int s = wire_relay(p);
		wire_send(p, s, frame, frame_server_key(frame, i == 0 ? first.b : second.b));
		private_key = pair_key(i == 0 ? SERVER : B);
		assert_true(key_shared(&private_key, client.b, &shared));
		assert_true(wire_frame(p, s, &f) && f.type == FRAME_CLIENT_INFO);
		if (i == 1) assert_memory_not_equal(f.p + KEY_SIZE, nonce, KEY_NONCE);
		memcpy(nonce, f.p + KEY_SIZE, KEY_NONCE);
		wire_send(p, s, frame, login_server_info_frame(frame, &shared, answer, &(struct server_info){ .version = 2 }));
		state_is(p, c, CLIENT_READY);
		assert_memory_equal(client_server_key(client_of(p, c)), i == 0 ? first.b : second.b, KEY_SIZE);
		if (i == 0) wire_reset(p, s);
	}
}

/* HTTP-013: names that are nearly right mean slow start. */
STORY(meta_malformed)
{
	static const char *const names[] = {
		"derpkey8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285",
		"derpkey8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f0",
		"derpkeyxf40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f",
		"Derpkey8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f",
		"derpkey",
	};
	int c;

	wire_listens(p);
	c = pair_client(p, A, "retry=manual\nconnect=off\n" REGION(NODE("1a", "a.test", V4("50"))));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(p->wire_meta, sizeof p->wire_meta, "%s", names[i]);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		state_is(p, c, CLIENT_HTTP);
		wire_reset(p, wire_relay(p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw),
		cmocka_unit_test(http_plain),
		cmocka_unit_test(tls_fast),
		cmocka_unit_test(tls_forced_slow),
		cmocka_unit_test(tls_stripped),
		cmocka_unit_test(tls_12),
		cmocka_unit_test(plain_fast_by_key),
		cmocka_unit_test(fast_wrong_key),
		cmocka_unit_test(request_slow),
		cmocka_unit_test(login_in_one_go),
		cmocka_unit_test(server_key_refused),
		cmocka_unit_test(http_status),
		cmocka_unit_test(region_tls),
		cmocka_unit_test(url_server_name),
		cmocka_unit_test(node_with_another_key),
		cmocka_unit_test(meta_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
