/* The client: against our relay, and against a relay written by hand that says what ours never would. Stories about streams run with
 * whole events and cut to single bytes (TRP-004). */
#include "http.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, MESH = 0xe0 };

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

/* The i-th end of a connection or attempt was for this reason; returns the announced wait. */
static uint64_t ended(struct pair *p, int host, size_t i, enum client_end why)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_DISCONNECTED, i);

	assert_non_null(h);
	if (h->a != why) fail_msg("ended because of %s, not %s", client_end_name((enum client_end)h->a), client_end_name(why));
	return h->b;
}

static void packet_came(struct pair *p, int host, size_t i, uint8_t from, const char *text)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_PACKET, i);
	struct key key = pair_public(from);

	assert_non_null(h);
	assert_memory_equal(h->key, key.b, KEY_SIZE);
	assert_int_equal(h->n, strlen(text));
	assert_memory_equal(h->p, text, h->n);
}

/* ---- with our relay ---- */

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
	p->strip_meta = true; /* HTTP-015 */
	two_clients(p, "", "url=https://192.0.2.101:443/derp\n");
}
STORY(tls_12)
{
	p->tls_version = 0x0303; /* HTTP-009: fast start at TLS 1.3 only */
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

/* CLI-024, CLI-032: a reset in the middle; the client is back after 5 to 15 ms, one generation later, and sends what waited. */
STORY(reconnect)
{
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, ""), ca = pair_client(p, A, "url=http://192.0.2.101/derp\nhome=on\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\n");
	uint64_t wait;

	pair_abort(p, 0, 1);
	pair_run(p);
	wait = ended(p, ca, 0, CLIENT_END_RESET);
	assert_true(wait >= 5 * NS_MS && wait <= 15 * NS_MS);
	state_is(p, ca, CLIENT_WAITING);
	pair_send(p, ca, &b, "waited", 6);
	assert_int_equal(client_packets_queued(client_of(p, ca)), 1);
	pair_advance(p, wait - 1);
	state_is(p, ca, CLIENT_WAITING);
	pair_advance(p, 1);
	state_is(p, ca, CLIENT_READY);
	assert_int_equal(client_generation(client_of(p, ca)), 2);
	packet_came(p, cb, 0, A, "waited");
	assert_int_equal(relay_counters(p->host[r].relay)->current_home_connections, 1); /* CLI-025: remembered */
	assert_int_equal(relay_counters(p->host[r].relay)->logins, 3);
}

/* SRV-017 seen from here, CLI-031: towards a transport that takes nothing the newest 32 packets wait. */
STORY(queue_blocked)
{
	static uint8_t big[60000];
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, "raw=on\n"), ca = pair_client(p, A, "url=http://192.0.2.101/derp\nraw=on\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\nraw=on\n");

	(void)r;
	p->stream[0].end[0].room = 0;
	for (int i = 0; i < 3; i++) pair_send(p, ca, &b, big, sizeof big);
	for (int i = 0; i < 40; i++) pair_send(p, ca, &b, &(char){ (char)i }, 1);
	assert_int_equal(client_packets_queued(client_of(p, ca)), 32);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_DROPPED), 8);
	assert_int_equal(pair_heard(p, ca, DELIVER_DROPPED, 7)->p[0], 7);
	assert_int_equal(pair_heard(p, ca, DELIVER_DROPPED, 7)->a, DROP_QUEUE_HEAD);
	pair_advance(p, 60 * NS_S); /* CLI-003: no write deadline */
	p->stream[0].end[0].room = SIZE_MAX;
	pair_flush(p, 0, 0);
	pair_run(p);
	assert_int_equal(pair_heard_count(p, cb, DELIVER_PACKET), 35);
	for (size_t i = 0; i < 32; i++) assert_int_equal(pair_heard(p, cb, DELIVER_PACKET, 3 + i)->p[0], 8 + i);
}

/* CLI-011, CLI-025, CLI-027: Ping, home and ClosePeer commands. */
STORY(commands)
{
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n");
	int ca = pair_client(p, A,
	                     "url=http://192.0.2.101/derp\n"
	                     "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\nretry=manual\n");

	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PONG), 1);
	assert_memory_equal(pair_heard(p, ca, DELIVER_PONG, 0)->p, "12345678", 8);
	for (int i = 0; i < 2; i++) pair_command(p, ca, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	assert_int_equal(relay_counters(p->host[r].relay)->current_home_connections, 1);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_WATCH });
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PEER_PRESENT), 2);
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_FORWARD, .src = b.b, .dst = b.b, .p = (const uint8_t *)"fwd", .n = 3 });
	packet_came(p, cb, 0, B, "fwd");
	pair_command(p, ca, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = b.b });
	ended(p, cb, 0, CLIENT_END_CLOSED);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_PEER_GONE), 1);
	pair_command(p, cb, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, cb, CLIENT_READY);
}

/* ---- a relay by hand ---- */

static const struct address wire_at = { .ip = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 50 }, .port = 80 };
#define WIRE "url=http://192.0.2.50/derp\n"

static int wire_relay(struct pair *p)
{
	int s = wire_accepted(p, wire_at);

	assert_true(s >= 0);
	return s;
}

static void wire_listens(struct pair *p) { pair_listen(p, wire_at, PAIR_WIRE, -1, TOKEN_NONE, false); }

static void request_is(struct pair *p, int s, const char *text)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	if (n < strlen(text) || memcmp(rest, text, strlen(text)) != 0) fail_msg("the request is: %.*s", (int)n, (const char *)rest);
	wire_skip(p, s, strlen(text));
}

static void server_key(struct pair *p, int s, uint32_t more)
{
	struct key server = pair_public(SERVER);
	uint8_t payload[1100] = { 0 };

	memcpy(payload, frame_magic, FRAME_MAGIC);
	memcpy(payload + FRAME_MAGIC, server.b, KEY_SIZE);
	wire_send_frame(p, s, FRAME_SERVER_KEY, payload, 40 + more);
}

static void server_info(struct pair *p, int s, uint8_t client, const struct server_info *info)
{
	struct key private_key = pair_key(SERVER), public_key = pair_public(client), shared;
	uint8_t nonce[KEY_NONCE] = { 5 }, frame[LOGIN_FRAME_MAX];

	assert_true(key_shared(&private_key, public_key.b, &shared));
	wire_send(p, s, frame, login_server_info_frame(frame, &shared, nonce, info));
}

static void client_info_is(struct pair *p, int s, uint8_t client, struct client_info *info)
{
	struct key private_key = pair_key(SERVER), public_key = pair_public(client), shared;
	struct wire_frame f = { 0 };

	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_CLIENT_INFO);
	assert_memory_equal(f.p, public_key.b, KEY_SIZE);
	assert_true(key_shared(&private_key, public_key.b, &shared));
	assert_true(login_client_info_open(f.p, f.n, &shared, info));
}

static void frame_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a %s, nothing came", frame_name(type));
	assert_int_equal(f.type, type);
	assert_int_equal(f.n, n);
	if (n != 0) assert_memory_equal(f.p, payload, n);
}

static void quiet(struct pair *p, int s)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
}

/* A raw connection with the login done, but for ServerInfo. */
static int wire_sent(struct pair *p, int host, uint8_t key)
{
	struct client_info info;
	int s = wire_relay(p);

	server_key(p, s, 0);
	client_info_is(p, s, key, &info);
	state_is(p, host, CLIENT_SENT);
	return s;
}

static int wire_ready(struct pair *p, int host, uint8_t key)
{
	int s = wire_sent(p, host, key);

	server_info(p, s, key, &(struct server_info){ .version = 2 });
	state_is(p, host, CLIENT_READY);
	return s;
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

/* HSK-003: ServerKey of 40 to 1024 bytes with the magic; anything else is the end of the attempt. */
STORY(server_key_limits)
{
	uint8_t payload[FRAME_SERVER_KEY_MIN] = { 0 };
	struct client_info info;
	int c, s;

	memcpy(payload, frame_magic, FRAME_MAGIC);
	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	for (int i = 0; i < 5; i++) {
		s = wire_relay(p);
		switch (i) {
		case 0: server_key(p, s, 1024 - 40 + 1); break;
		case 1: wire_send_frame(p, s, FRAME_SERVER_KEY, frame_magic, FRAME_MAGIC); break;
		case 2: /* another magic */
			payload[FRAME_MAGIC - 1] ^= 1;
			wire_send_frame(p, s, FRAME_SERVER_KEY, payload, sizeof payload);
			payload[FRAME_MAGIC - 1] ^= 1;
			break;
		case 3: wire_send_frame(p, s, FRAME_KEEP_ALIVE, NULL, 0); break;
		default: wire_send_frame(p, s, FRAME_SERVER_KEY, payload, sizeof payload); break; /* the zero key */
		}
		ended(p, c, (size_t)i, CLIENT_END_PROTOCOL);
		pair_advance(p, NS_S);
	}
	s = wire_relay(p);
	server_key(p, s, 1024 - 40);
	client_info_is(p, s, A, &info);
	state_is(p, c, CLIENT_SENT);
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

/* CLI-006, FRM-009..FRM-013, PGR-001, PGR-002, PGR-018, SRV-033, SRV-034: what a client makes of every frame, old and short ones too. */
STORY(frames_heard)
{
	static uint8_t big[70000];
	uint8_t payload[64];
	struct key b = pair_public(B);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	memcpy(payload, b.b, KEY_SIZE);
	for (int i = KEY_SIZE; i < 64; i++) payload[i] = (uint8_t)i;
	payload[KEY_SIZE + 18] = PRESENT_PROBER;
	wire_send_frame(p, s, FRAME_PEER_GONE, payload, 32);
	wire_send_frame(p, s, FRAME_PEER_GONE, payload, 33);
	wire_send_frame(p, s, FRAME_PEER_GONE, payload, 40);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PEER_GONE), 3);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_GONE, 0)->a, 0);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_GONE, 1)->a, 32);
	assert_memory_equal(pair_heard(p, c, DELIVER_PEER_GONE, 2)->key, b.b, KEY_SIZE);
	wire_send_frame(p, s, FRAME_PEER_PRESENT, payload, 32);
	wire_send_frame(p, s, FRAME_PEER_PRESENT, payload, 50);
	wire_send_frame(p, s, FRAME_PEER_PRESENT, payload, 51);
	wire_send_frame(p, s, FRAME_PEER_PRESENT, payload, 60);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PEER_PRESENT), 4);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_PRESENT, 0)->n, 0);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_PRESENT, 1)->a, 0);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_PRESENT, 2)->a, PRESENT_PROBER);
	assert_int_equal(pair_heard(p, c, DELIVER_PEER_PRESENT, 3)->a, PRESENT_PROBER);
	wire_send_frame(p, s, FRAME_PING, "12345678+", 9);
	frame_is(p, s, FRAME_PONG, "12345678", 8); /* CLI-010 */
	assert_int_equal(pair_heard_count(p, c, DELIVER_PING), 1);
	wire_send_frame(p, s, FRAME_PONG, "unasked!", 8);
	assert_memory_equal(pair_heard(p, c, DELIVER_PONG, 0)->p, "unasked!", 8);
	wire_send_frame(p, s, FRAME_HEALTH, "sick", 4);
	wire_send_frame(p, s, FRAME_HEALTH, NULL, 0);
	assert_memory_equal(pair_heard(p, c, DELIVER_HEALTH, 0)->p, "sick", 4);
	assert_int_equal(pair_heard(p, c, DELIVER_HEALTH, 1)->n, 0);
	wire_send_frame(p, s, FRAME_RESTARTING, "\x00\x00\x03\xe8\x00\x00\x13\x88more", 12);
	assert_int_equal(pair_heard(p, c, DELIVER_RESTARTING, 0)->a, 1000);
	assert_int_equal(pair_heard(p, c, DELIVER_RESTARTING, 0)->b, 5000);
	wire_send_frame(p, s, FRAME_KEEP_ALIVE, "junk", 4);
	assert_int_equal(pair_heard_count(p, c, DELIVER_KEEPALIVE), 1);
	wire_send_frame(p, s, FRAME_RECV_PACKET, big, sizeof big); /* more than 64 KiB is fine on this side */
	assert_int_equal(pair_heard(p, c, DELIVER_PACKET, 0)->n, sizeof big - KEY_SIZE);
	for (uint32_t type = 0; type < 256; type++) { /* too short, of the wrong direction, unassigned */
		const struct frame_info *info = frame_info((uint8_t)type);
		if (info == NULL || !info->to_client)
			wire_send_frame(p, s, (uint8_t)type, big, 100);
		else if (info->client_min > 0 && type != FRAME_SERVER_INFO)
			wire_send_frame(p, s, (uint8_t)type, big, info->client_min - 1);
	}
	quiet(p, s);
	state_is(p, c, CLIENT_READY);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PACKET), 1);
	assert_int_equal(pair_heard_count(p, c, DELIVER_PEER_GONE), 3);
}

/* FRM-006, HSK-026, CLI-007: a header over 1 MiB and a ServerInfo that does not open are the only frames that kill. */
STORY(frames_fatal)
{
	static uint8_t junk[60];
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	for (int i = 0; i < 4; i++) {
		s = wire_ready(p, c, A);
		if (i == 0) wire_send(p, s, "\x7a\x00\x10\x00\x01", 5);
		if (i == 1) wire_send(p, s, "\x06\xff\xff\xff\xff", 5);
		if (i == 2) wire_send_frame(p, s, FRAME_SERVER_INFO, junk, sizeof junk);
		if (i == 3) wire_send_frame(p, s, FRAME_SERVER_INFO, junk, 23);
		ended(p, c, (size_t)i, CLIENT_END_PROTOCOL);
		pair_advance(p, NS_S);
	}
	s = wire_ready(p, c, A);
	wire_send(p, s, "\x7a\x00\x10\x00\x00", 5); /* 1 MiB is fine */
	state_is(p, c, CLIENT_READY);
}

static const uint8_t *big_packet(void)
{
	static const uint8_t packet[1000];

	return packet;
}

/* CLI-004, CLI-005, HSK-026: the announced bucket limits sends, silently; a later ServerInfo without a rate lifts it. */
STORY(bucket)
{
	struct key b = pair_public(B);
	struct wire_frame f = { 0 };
	size_t n = 0;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_sent(p, c, A);
	server_info(p, s, A, &(struct server_info){ .version = 2, .bucket_bytes_per_second = 100, .bucket_bytes_burst = 300 });
	for (int i = 0; i < 5; i++) pair_send(p, c, &b, big_packet(), 63); /* 100 tokens each */
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 3);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 2);
	pair_advance(p, NS_S);
	for (int i = 0; i < 2; i++) pair_send(p, c, &b, big_packet(), 63);
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 4);
	for (int i = 0; i < 40; i++) { /* slow refills add up */
		pair_advance(p, 100 * NS_MS);
		pair_send(p, c, &b, big_packet(), 263);
	}
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 5);
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	for (int i = 0; i < 50; i++) pair_send(p, c, &b, big_packet(), 263);
	while (wire_frame(p, s, &f)) n++;
	assert_int_equal(n, 55);
}

/* CLI-008: 120 s without a complete frame are the end; a skipped frame renews the deadline, half a frame does not. */
STORY(receive_deadline)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nretry=manual\n");
	s = wire_ready(p, c, A);
	pair_advance(p, 119 * NS_S);
	wire_send_frame(p, s, 0x7a, "x", 1);
	pair_advance(p, 119 * NS_S);
	state_is(p, c, CLIENT_READY);
	wire_send(p, s, "\x06\x00\x00", 3);
	pair_advance(p, NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_SILENCE);
	state_is(p, c, CLIENT_IDLE);
	assert_int_equal(wire_end(p, s)->ended, PAIR_RESET);
}

/* CLI-014: a relay that accepts and says nothing costs 10 s, counted from the start of the attempt. */
STORY(connect_timeout)
{
	int c;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=manual\n");
	pair_advance(p, 5 * NS_S);
	wire_send(p, wire_relay(p), "HTTP/1.1 101 x\r\n", 16);
	pair_advance(p, 5 * NS_S - 1);
	state_is(p, c, CLIENT_HTTP);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-032: n^2 x 10 ms at most 5 s, times 0.5 to 1.5; any message from the relay resets n. */
STORY(backoff_original)
{
	uint64_t least = 0, most = 0;
	int c = pair_client(p, A, WIRE "raw=on\n"), s;

	for (uint64_t n = 1; n < 60; n++) {
		uint64_t base = n * n * 10 * NS_MS < 5 * NS_S ? n * n * 10 * NS_MS : 5 * NS_S, wait = ended(p, c, n - 1, CLIENT_END_REFUSED);
		assert_true(wait >= base / 2 && wait <= base + base / 2);
		least += wait<base, most += wait> base;
		pair_advance(p, wait);
	}
	assert_true(least > 10 && most > 10);
	wire_listens(p);
	pair_advance(p, 8 * NS_S);
	s = wire_ready(p, c, A);
	wire_reset(p, s);
	assert_true(ended(p, c, pair_heard_count(p, c, DELIVER_DISCONNECTED) - 1, CLIENT_END_RESET) <= 15 * NS_MS);
}

/* The other policies: at once, fixed, full jitter with its cap. */
STORY(backoff_others)
{
	int fixed = pair_client(p, A, WIRE "retry=fixed\nretry-after=700ms\n"), jitter = pair_client(p, B, WIRE "retry=full-jitter\nretry-max=2s\n"),
	    none;
	uint64_t longest = 0;

	pair_advance(p, 7 * NS_S + 1);
	assert_int_equal(pair_heard_count(p, fixed, DELIVER_DISCONNECTED), 11);
	for (size_t i = 0; i < 200; i++) {
		uint64_t wait, cap = i < 18 && (UINT64_C(10) << i) < 2000 ? (UINT64_C(10) << i) * NS_MS : 2 * NS_S;
		while (pair_heard_count(p, jitter, DELIVER_DISCONNECTED) <= i) pair_advance(p, 100 * NS_MS);
		wait = ended(p, jitter, i, CLIENT_END_REFUSED);
		assert_true(wait <= cap);
		if (wait > longest) longest = wait;
	}
	assert_true(longest > 1900 * NS_MS);
	wire_listens(p);
	none = pair_client(p, C, WIRE "raw=on\nretry=none\n");
	wire_reset(p, wire_relay(p));
	assert_int_equal(ended(p, none, 0, CLIENT_END_RESET), 0);
	state_is(p, none, CLIENT_LOGIN);
}

/* ---- regions ---- */

#define NODE(name, host, more) "{\"Name\":\"" name "\",\"RegionID\":1,\"HostName\":\"" host "\"" more "}"
#define REGION(nodes) "region={\"RegionID\":1,\"RegionCode\":\"x\",\"Nodes\":[" nodes "]}\n"
#define V4(last) ",\"IPv4\":\"192.0.2." last "\",\"IPv6\":\"none\",\"DERPPort\":80"

/* CLI-015, CLI-018, HTTP-016, HTTP-017, MAP-005: nodes in order, STUN-only ones never; a later node is told the ideal one. */
STORY(region_order)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(NODE("1s", "s.test", ",\"STUNOnly\":true" V4("50")) "," NODE(
				"1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("50")) "," NODE("1c", "c.test", V4("50"))));
	assert_int_equal(client_nodes(client_of(p, c)), 4);
	assert_int_equal(client_node(client_of(p, c)), 2);
	s = wire_relay(p);
	request_is(
		p, s,
		"GET /derp HTTP/1.1\r\nHost: b.test:80\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nIdeal-Node: 1s\r\n" /* TRP-028 */
		"Upgrade: DERP\r\n\r\n");
	wire_reset(p, s); /* CLI-016: after TCP there is no fail-over within the attempt */
	ended(p, c, 0, CLIENT_END_RESET);
	state_is(p, c, CLIENT_IDLE);
	pair_listen(p, pair_address(60, 80), PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	assert_int_equal(client_node(client_of(p, c)), 1); /* CLI-018: again from the first */
}

/* CLI-015: 1.5 s for a node that is silent, then the next; when none is left the attempt is over. */
STORY(region_dial_timeout)
{
	int c;

	for (uint8_t i = 50; i < 53; i++) pair_listen(p, pair_address(i, 80), i == 51 ? PAIR_UNREACHABLE : PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(
				NODE("1a", "a.test", V4("50")) "," NODE("1b", "b.test", V4("51")) "," NODE("1c", "c.test", V4("52"))));
	pair_advance(p, 1500 * NS_MS - 1);
	assert_int_equal(client_node(client_of(p, c)), 0);
	pair_advance(p, 1);
	assert_int_equal(client_node(client_of(p, c)), 2);
	assert_int_equal(p->stream[0].end[0].open, false); /* the silent dial was aborted */
	pair_advance(p, 1500 * NS_MS);
	ended(p, c, 0, CLIENT_END_REFUSED);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-014 over CLI-015: seven silent nodes end after 10 s, not 10.5. */
STORY(region_all_silent)
{
	int c;

	pair_listen(p, wire_at, PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(NODE("1", "a", V4("50")) "," NODE("2", "a", V4("50")) "," NODE("3", "a", V4("50")) "," NODE(
				"4", "a", V4("50")) "," NODE("5", "a", V4("50")) "," NODE("6", "a", V4("50")) "," NODE("7", "a", V4("50"))));
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
}

/* MAP-017: a region without a node to connect to fails at once and breaks nothing. */
STORY(region_stun_only)
{
	int c = pair_client(p, A, "retry=fixed\nretry-after=1s\n" REGION(NODE("1s", "s.test", ",\"STUNOnly\":true"))), d;

	ended(p, c, 0, CLIENT_END_REFUSED);
	pair_advance(p, 3 * NS_S);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 4);
	d = pair_client(p, B, "retry=manual\n" REGION(""));
	ended(p, d, 0, CLIENT_END_REFUSED);
}

static const struct address six = { .ip = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, .port = 80 };
#define BOTH ",\"IPv4\":\"192.0.2.50\",\"IPv6\":\"2001:db8::1\",\"DERPPort\":80"

/* CLI-019: both families start together; the first success wins and the other dial is cancelled; a node fails with its last dial. */
STORY(families_race)
{
	int c;

	pair_listen(p, six, PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_listen(p, wire_at, PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", BOTH)));
	state_is(p, c, CLIENT_HTTP);
	assert_true(wire_accepted(p, six) >= 0);
	assert_false(p->stream[0].end[0].open);
	pair_listen_set(p, six, PAIR_UNREACHABLE);
	wire_reset(p, wire_accepted(p, six));
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, c, CLIENT_DIALING); /* IPv6 failed at once, IPv4 is still silent */
	pair_advance(p, 1500 * NS_MS);
	ended(p, c, 1, CLIENT_END_REFUSED);
}

/* CLI-021, MAP-006: names are asked for each family that has no literal; the answer is dialled at the node's port. */
STORY(names_asked)
{
	struct address answer = pair_address(50, 0);
	int c;

	wire_listens(p);
	c = pair_client(p, A, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", ",\"DERPPort\":80")));
	assert_string_equal(p->host[c].ask, "a.test");
	state_is(p, c, CLIENT_DIALING);
	pair_answer(p, c, &answer);
	state_is(p, c, CLIENT_HTTP);
	wire_reset(p, wire_relay(p));
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_answer(p, c, NULL);
	ended(p, c, 1, CLIENT_END_REFUSED);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_advance(p, 1500 * NS_MS); /* no answer: the question is cancelled */
	ended(p, c, 2, CLIENT_END_REFUSED);
	assert_int_equal(p->host[c].ask_token, TOKEN_NONE);
	c = pair_client(p, B, "plain=on\n" REGION(NODE("1a", "192.0.2.50", ",\"DERPPort\":80"))); /* a literal as host name */
	state_is(p, c, CLIENT_HTTP);
	c = pair_client(p, C, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", ",\"IPv4\":\"none\",\"IPv6\":\"none\"")));
	ended(p, c, 0, CLIENT_END_REFUSED);
}

/* HTTP-024: the node's name is the TLS server name; with its meta certificate the request and ClientInfo leave unasked (HTTP-009). */
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

static void region_to(struct pair *p, int c, const char *config, bool flag)
{
	const char *json = config + strlen("region=");
	uint32_t n = (uint32_t)strlen(json) - 1;
	uint8_t *copy = mem_alloc(n);

	memcpy(copy, json, n);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_REGION, .flag = flag, .p = copy, .n = n });
	free(copy);
}

/* CLI-017, CLI-038: a new region takes effect with the next attempt; one under way is given up, an established connection only if told so. */
STORY(region_changed)
{
	static const char to_52[] = REGION(NODE("1x", "x.test", V4("52")));
	static const char many[] = REGION(NODE("1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("61")) "," NODE("1c", "c.test", V4("50")));
	struct address at_52 = pair_address(52, 80);
	int c, s;

	wire_listens(p);
	pair_listen(p, at_52, PAIR_WIRE, -1, TOKEN_NONE, false);
	c = pair_client(p, A, many);
	assert_int_equal(client_node(client_of(p, c)), 2);
	state_is(p, c, CLIENT_HTTP);
	region_to(p, c, to_52, false); /* in the middle of an attempt on the third node of three */
	ended(p, c, 0, CLIENT_END_REGION);
	pair_advance(p, 0);
	s = wire_accepted(p, at_52);
	assert_true(s >= 0);
	assert_string_equal(p->stream[s].end[0].server_name, "x.test");
	assert_int_equal(client_node(client_of(p, c)), 0);
	wire_send(p, s, "HTTP/1.1 101 x\r\n\r\n", 18);
	server_key(p, s, 0);
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	state_is(p, c, CLIENT_READY);
	region_to(p, c, many, false);
	state_is(p, c, CLIENT_READY);
	region_to(p, c, to_52, true);
	ended(p, c, 1, CLIENT_END_REGION);
	state_is(p, c, CLIENT_HTTP);
}

/* OQ-4: return-after goes back to the first node; default is to stay (CLI-018). */
STORY(return_after)
{
	struct address first = pair_address(60, 80);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, "raw=on\nreturn-after=30s\n" REGION(NODE("1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("50"))));
	s = wire_ready(p, c, A);
	pair_listen(p, first, PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_advance(p, 30 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(ended(p, c, 0, CLIENT_END_RETURN), 0);
	assert_int_equal(client_node(client_of(p, c)), 0);
	server_key(p, wire_accepted(p, first), 0);
	server_info(p, wire_accepted(p, first), A, &(struct server_info){ .version = 2 });
	pair_advance(p, 100 * NS_S);
	state_is(p, c, CLIENT_READY);
}

/* ---- owners ---- */

/* CLI-013, CLI-031: without connection a Send dials when connect=off, a Ping never; 32 packets wait. */
STORY(send_connects)
{
	struct key b = pair_public(B);
	int c, s;
	struct wire_frame f = { 0 };
	size_t n = 0;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nconnect=off\n");
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	state_is(p, c, CLIENT_IDLE);
	for (int i = 0; i < 40; i++) pair_send(p, c, &b, &(char){ (char)i }, 1);
	state_is(p, c, CLIENT_LOGIN);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 8);
	s = wire_sent(p, c, A);
	frame_is(p, s, FRAME_NOTE_PREFERRED, "\x01", 1);
	for (; wire_frame(p, s, &f); n++) assert_int_equal(f.p[KEY_SIZE], 8 + n);
	assert_int_equal(n, 32);
	wire_reset(p, s);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-026: Leave is final, from every state. */
STORY(leave_is_final)
{
	static const char *const configs[] = { "connect=off\n", "raw=on\n", "", "retry=fixed\n" };
	struct key b = pair_public(B);

	wire_listens(p);
	for (size_t i = 0; i < 5; i++) {
		char text[200];
		int c;
		snprintf(text, sizeof text, "%s%s", i == 3 ? "url=http://192.0.2.99/derp\n" : WIRE, i < 4 ? configs[i] : "raw=on\n");
		c = pair_client(p, A, text);
		if (i == 4) wire_ready(p, c, A);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
		state_is(p, c, CLIENT_GONE);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		pair_send(p, c, &b, "x", 1);
		pair_advance(p, 100 * NS_S);
		state_is(p, c, CLIENT_GONE);
		assert_true(machine_deadline(p->host[c].machine) == TIME_NEVER);
		if (i == 4) assert_int_equal(wire_accepted(p, wire_at) < 0 || wire_end(p, wire_accepted(p, wire_at))->ended != PAIR_OPEN, true);
	}
}

/* CLI-003, MSH-023: with forward-timeout a write without progress ends the connection. */
STORY(forward_timeout)
{
	static uint8_t big[60000];
	struct key a = pair_public(A), b = pair_public(B);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\nforward-timeout=5s\nretry=manual\nwatch=on\n");
	s = wire_ready(p, c, A);
	p->stream[s].end[0].room = 0;
	for (int i = 0; i < 4; i++)
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_FORWARD, .src = a.b, .dst = b.b, .p = big, .n = sizeof big });
	pair_advance(p, 5 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_WRITE);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), 1); /* what waited is of no use behind the break (MSH-014) */
	assert_int_equal(client_packets_queued(client_of(p, c)), 0);
}

/* Configurations: what a client starts with, and what is refused with a reason. */
static void config_checked(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define K "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"
		{ K "url=https://derp.example.com/derp\n", true },
		{ K "url=https://[2001:db8::1]:8443/derp\n", true },
		{ K "url=http://192.0.2.1\n", true },
		{ "url=http://192.0.2.1\n", false },
		{ K, false },
		{ K "url=http://x\n" REGION(""), false },
		{ K "url=ftp://x/\n", false },
		{ K "url=http://\n", false },
		{ K "url=http://:80/\n", false },
		{ K "url=http://x:0/\n", false },
		{ K "url=http://x:65536/\n", false },
		{ K "url=http://x:80x/\n", false },
		{ K "url=http://a@b/\n", false },
		{ K "url=http://a b/\n", false },
		{ K "url=http://a/de rp\n", false },
		{ K "url=http://[::1/\n", false },
		{ K "url=http://[]/\n", false },
		{ K "url=http://[name]/\n", false },
		{ K "url=http://[192.0.2.1]/\n", false },
		{ K "url=http://x\nfast-start=always\n", false },
		{ K "url=http://x\napp-name=0123456789012345678901234567890123456789012345678901234567890123\n", false },
		{ K "url=http://x\napp-name=012345678901234567890123456789012345678901234567890123456789012\n", true },
		{ K "url=http://x\nretry=later\n", false },
		{ K "url=http://x\nreturn-after=never\n", true },
		{ K "region={}\n", true },
		{ K "region=[]\n", false },
		{ K REGION(NODE("1a", "a.test", ",\"DERPPort\":\"80\"")), false },
		{ K REGION(NODE("1a\\r\\nX: y", "a.test", "")), false },
	};
	char error[200], *text = malloc(9000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = 0;
		if (client_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
	for (int i = 0; i < 4; i++) { /* names and URLs too long for a request */
		static const char *const formats[] = { K "region={\"Nodes\":[{\"Name\":\"%s\",\"HostName\":\"a\"}]}\n",
			                               K "region={\"Nodes\":[{\"Name\":\"a\",\"HostName\":\"%s\"}]}\n", K "url=http://%s/derp\n",
			                               K "url=http://a/%s\n" };
		char name[4001];
		memset(name, 'a', sizeof name - 1);
		name[sizeof name - 1] = 0;
		snprintf(text, 9000, formats[i], name);
		assert_false(client_config_check(text, strlen(text), error));
	}
	free(text);
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
		cmocka_unit_test(reconnect),
		cmocka_unit_test(queue_blocked),
		cmocka_unit_test(commands),
		cmocka_unit_test(request_slow),
		cmocka_unit_test(login_in_one_go),
		cmocka_unit_test(server_key_limits),
		cmocka_unit_test(http_status),
		cmocka_unit_test(frames_heard),
		cmocka_unit_test(frames_fatal),
		cmocka_unit_test(bucket),
		cmocka_unit_test(receive_deadline),
		cmocka_unit_test(connect_timeout),
		cmocka_unit_test(backoff_original),
		cmocka_unit_test(backoff_others),
		cmocka_unit_test(region_order),
		cmocka_unit_test(region_dial_timeout),
		cmocka_unit_test(region_all_silent),
		cmocka_unit_test(region_stun_only),
		cmocka_unit_test(families_race),
		cmocka_unit_test(names_asked),
		cmocka_unit_test(region_tls),
		cmocka_unit_test(meta_malformed),
		cmocka_unit_test(region_changed),
		cmocka_unit_test(return_after),
		cmocka_unit_test(send_connects),
		cmocka_unit_test(leave_is_final),
		cmocka_unit_test(forward_timeout),
		cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
