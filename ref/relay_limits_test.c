/* What a relay allows: bytes a second, new connections a second, and who may come in at all. Every story runs with whole events, with
 * streams cut to single bytes and to pieces of 13 (TRP-004). The buckets themselves: limit_test.c. */
#include "limit.h"
#include "pair_relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RATED "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n"
#define RATE 20000
#define ASKED "verify-client-url=http://127.0.0.1:9/admit\n"

static uint8_t zeros[100000];

static void send_ping(struct pair *p, int s) { wire_send_frame(p, s, FRAME_PING, "pingpong", 8); }
static void pong(struct pair *p, int s) { frame_is(p, s, FRAME_PONG, "pingpong", 8); }

static struct relay_session_view view_of(struct pair *p, int r, int s)
{
	struct relay_session_view view = { .held = 0 };

	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	return view;
}

/* ---- receive limits ---- */

/* RAT-002, RAT-004: payload bytes are paid for, unknown types too, headers and empty frames not; the bucket holds 65,568 at first. */
STORY(payload_is_paid, RAW RATED)
{
	int s = wire_login(p, r, A, NULL);

	for (int i = 0; i < 1000; i++) wire_send_frame(p, s, 0x7a, NULL, 0);
	wire_send_frame(p, s, 0x7a, zeros, 65568 - 16);
	send_ping(p, s);
	pong(p, s);
	send_ping(p, s);
	pong(p, s); /* to the last token */
	assert_int_equal(counters(p, r)->rate_limit_per_client_waited, 0);
	wire_send_frame(p, s, 0x7a, NULL, 0);
	send_ping(p, s);
	silent(p, s);
	pair_advance(p, 8 * NS_S / RATE - 1);
	silent(p, s);
	pair_advance(p, 1);
	pong(p, s);
	assert_int_equal(counters(p, r)->rate_limit_per_client_waited, 1); /* RAT-008 */
	pair_advance(p, 50 * NS_S);                                        /* no more than full */
	wire_send_frame(p, s, 0x7a, zeros, 65568 - 7);
	send_ping(p, s);
	silent(p, s);
	pair_advance(p, NS_S / RATE);
	pong(p, s);
}

/* RAT-003: everything of that connection waits, in its order, and nothing is lost; what is written to it does not wait. */
STORY(all_wait, RAW RATED)
{
	int a = wire_login(p, r, A, NULL), b = wire_login(p, r, B, NULL);
	struct key to_a = pair_public(A), to_b = pair_public(B);
	struct wire_frame f = { 0 };

	wire_send_packet(p, a, &to_b, zeros, 65536);
	frame_is(p, b, FRAME_RECV_PACKET, NULL, 65568);
	wire_send_packet(p, a, &to_b, "first", 5);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, "\x01", 1);
	send_ping(p, a);
	wire_send_packet(p, a, &to_b, "second", 6);
	silent(p, a);
	silent(p, b);
	assert_int_equal(counters(p, r)->current_home_connections, 0);
	wire_send_packet(p, b, &to_a, "back", 4);
	assert_true(wire_frame(p, a, &f));
	assert_int_equal(f.type, FRAME_RECV_PACKET);
	pair_advance(p, 37 * NS_S / RATE);
	frame_is(p, b, FRAME_RECV_PACKET, NULL, 37);
	assert_int_equal(counters(p, r)->current_home_connections, 0);
	pair_advance(p, 1 * NS_S / RATE);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	silent(p, a);
	pair_advance(p, 8 * NS_S / RATE);
	pong(p, a);
	silent(p, b);
	pair_advance(p, 38 * NS_S / RATE);
	frame_is(p, b, FRAME_RECV_PACKET, NULL, 38);
	assert_int_equal(counters(p, r)->packets_received, 4);
	assert_int_equal(counters(p, r)->rate_limit_per_client_waited, 4);
}

/* A packet that waited and whose receiver is blocked waits again there, and is itself when it comes. */
STORY(wait_and_queue, RAW RATED)
{
	int a = wire_login(p, r, A, NULL), b = wire_login(p, r, B, NULL), c = wire_login(p, r, C, NULL);
	struct key to_b = pair_public(B);
	struct wire_frame f = { 0 };

	wire_room(p, b, 0);
	for (int i = 0; i < 3; i++) wire_send_packet(p, i == 0 ? a : c, &to_b, zeros, 65536 - 7 * (i == 1)); /* c waits for one token */
	wire_send_packet(p, a, &to_b, "packet", 6);
	assert_int_equal(counters(p, r)->packets_received, 2);
	pair_advance(p, 38 * NS_S / RATE); /* after the bytes of a, before those of c */
	assert_int_equal(counters(p, r)->packets_received, 3);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 1);
	wire_room(p, b, SIZE_MAX);
	frame_is(p, b, FRAME_RECV_PACKET, NULL, 65568);
	frame_is(p, b, FRAME_RECV_PACKET, NULL, 65561);
	assert_true(wire_frame(p, b, &f));
	assert_int_equal(f.n, 38);
	assert_memory_equal(f.p + 32, "packet", 6);
}

/* What waits behind it in the same event is not kept with a packet that is queued. */
STORY(queued_alone, RAW RATED)
{
	int a = wire_login(p, r, A, NULL), b = wire_login(p, r, B, NULL);
	struct key to_b = pair_public(B);
	static uint8_t all[30100];
	uint32_t n;
	uint64_t before;

	wire_room(p, b, 0);
	wire_send_packet(p, b, &to_b, zeros, 65536);
	pair_advance(p, 4 * NS_S / 10);
	wire_send_packet(p, a, &to_b, zeros, 65536);
	before = relay_memory(p->host[r].relay);
	frame_header(all, 0x7a, 1);
	n = FRAME_HEADER + 1;
	n += frame_send_head(all + n, to_b.b, 6) + 6;
	frame_header(all + n, 0x7a, 30000);
	wire_send(p, a, all, n + FRAME_HEADER + 30000);
	pair_advance(p, 39 * NS_S / RATE);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 1);
	pair_advance(p, 3 * NS_S / 2);
	assert_false(view_of(p, r, a).waits);
	assert_int_equal(relay_packets_queued(p->host[r].relay), 1);
	assert_in_range(relay_memory(p->host[r].relay) - before, 1, 8192);
}

/* RAT-002, RAT-004: the wait comes before the look at the type: an illegal frame is closed only when it is paid for, and one that
 * announces more than the bucket holds costs 65,568. */
STORY(illegal_waits, RAW RATED)
{
	static const uint32_t announced[] = { 65567, 65568, 65569, UINT32_MAX };
	uint8_t header[FRAME_HEADER];

	for (int i = 0; i < 4; i++) {
		int s = wire_login(p, r, A, NULL);
		uint32_t price = announced[i] < 65568 ? announced[i] : 65568;
		wire_send_frame(p, s, 0x7a, zeros, 65568);
		frame_header(header, FRAME_PING, announced[i]);
		wire_send(p, s, header, sizeof header);
		silent(p, s);
		pair_advance(p, price * NS_S / RATE - 1);
		silent(p, s);
		pair_advance(p, 1);
		closed(p, s);
	}
}

/* RAT-005, MSH-006: a bucket a connection, not a key; mesh peers have none. */
STORY(whose_bucket, MESHED RATED)
{
	int s = wire_login(p, r, A, NULL), again = wire_login(p, r, A, NULL), m = login_mesh(p, r, B);

	wire_send_frame(p, s, 0x7a, zeros, 65568);
	send_ping(p, s);
	silent(p, s);
	send_ping(p, again);
	pong(p, again);
	for (int i = 0; i < 5; i++) wire_send_frame(p, m, 0x7a, zeros, 100000);
	send_ping(p, m);
	pong(p, m);
}

/* RAT-006, TRP-026: a reload gives every connection a new full bucket, duplicates included; who waits finishes under the old one; a
 * file that is wrong changes nothing; rate 0 is no limit. */
STORY(reload, RAW RATED)
{
	static const char half[] = "{\"PerClientRateLimitBytesPerSec\":10000,\"PerClientRateBurstBytes\":70000}", none[] = "{}",
			  bad[] = "{\"PerClientRateLimitBytesPerSec\":\"x\"}";
	int waits = wire_login(p, r, A, NULL), other = wire_login(p, r, A, NULL);
	char error[200];
	struct event_command command = { .verb = COMMAND_RATES, .p = (const uint8_t *)bad, .n = sizeof bad - 1 };

	assert_true(relay_rates_check(half, sizeof half - 1, error) && relay_rates_check(none, sizeof none - 1, error));
	assert_false(relay_rates_check(bad, sizeof bad - 1, error)); /* what a host asks before it gives the command */
	assert_non_null(strstr(error, "unsigned integers"));
	wire_send_frame(p, waits, 0x7a, zeros, 65568);
	wire_send_frame(p, other, 0x7a, zeros, 65568);
	send_ping(p, waits);
	pair_command(p, r, &command);
	assert_int_equal(counters(p, r)->rate_limit_per_client_bytes_per_second, 20000);
	assert_int_equal(counters(p, r)->rate_limit_per_client_burst_bytes, 65568); /* RAT-004: the raised value */
	assert_non_null(strstr(pair_noted(p, r, NOTE_RATES, 1)->text, "unsigned integers"));
	command.p = (const uint8_t *)half, command.n = sizeof half - 1;
	pair_command(p, r, &command);
	assert_int_equal(pair_noted(p, r, NOTE_RATES, 2)->a, 10000);
	assert_int_equal(pair_noted(p, r, NOTE_RATES, 2)->b, 70000);
	pair_advance(p, 8 * NS_S / RATE - 1);
	silent(p, waits);
	pair_advance(p, 1);
	pong(p, waits);
	for (int i = 0; i < 2; i++) {
		int s = i == 0 ? waits : other;
		wire_send_frame(p, s, 0x7a, zeros, 70000 - 4432); /* 65,568 */
		wire_send_frame(p, s, 0x7a, zeros, 4432 - 8);
		send_ping(p, s);
		pong(p, s);
		send_ping(p, s);
		silent(p, s);
		pair_advance(p, 8 * NS_S / 10000);
		pong(p, s);
	}
	wire_send_frame(p, other, 0x7a, zeros, 1);
	command.p = (const uint8_t *)none, command.n = sizeof none - 1;
	pair_command(p, r, &command);
	for (int i = 0; i < 5; i++) wire_send_frame(p, other, 0x7a, zeros, 100000);
	send_ping(p, other);
	pair_advance(p, NS_S / 10000); /* the one it waited for */
	pong(p, other);
	assert_int_equal(counters(p, r)->rate_limit_per_client_burst_bytes, 0); /* RAT-001: forgotten */
}

/* RAT-001: a limit may come later; it applies to whoever is here. */
STORY(limit_comes, RAW)
{
	static const char json[] = "{\"PerClientRateLimitBytesPerSec\":20000}";
	int s = wire_login(p, r, A, NULL);

	for (int i = 0; i < 5; i++) wire_send_frame(p, s, 0x7a, zeros, 65568);
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_RATES, .p = (const uint8_t *)json, .n = sizeof json - 1 });
	wire_send_frame(p, s, 0x7a, zeros, 65568);
	send_ping(p, s);
	silent(p, s);
	pair_advance(p, 8 * NS_S / RATE);
	pong(p, s);
}

/* RAT-007: a wait ends early only with the connection: a reset is seen at once, an orderly end when it is read; nothing is left. */
STORY(end_while_waiting, RAW RATED)
{
	uint64_t before;
	struct wire_frame f = { 0 };

	for (int i = 0; i < 3; i++) {
		int s = wire_login(p, r, A, NULL);
		before = relay_memory(p->host[r].relay);
		wire_send_frame(p, s, 0x7a, zeros, 65568);
		for (int k = 0; k < 100; k++) send_ping(p, s);
		assert_true(view_of(p, r, s).waits);
		if (i == 0) {
			wire_reset(p, s);
			assert_int_equal(counters(p, r)->current_connections, 0);
		} else if (i == 1) {
			wire_fin(p, s);
			pair_advance(p, 799 * NS_S / RATE);
			assert_int_equal(counters(p, r)->current_connections, 1);
			pair_advance(p, NS_S / RATE);
			assert_int_equal(counters(p, r)->current_connections, 0);
			assert_int_equal(counters(p, r)->sent_pong, 100);
		} else {
			struct key key = pair_public(A);
			pair_command(p, r, &(struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = key.b });
			assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
			wire_fin(p, s);
			assert_false(p->stream[s].end[1].open); /* its end is seen, and not after a linger */
		}
		while (wire_frame(p, s, &f)) continue;
		assert_int_equal(relay_memory(p->host[r].relay), before);
	}
}

/* What a waiting client can make the relay hold: one event of at most a turn, and what keeps it. */
STORY(held_at_most, RAW RATED)
{
	static uint8_t flood[200000];
	int s = wire_login(p, r, A, NULL);
	uint64_t before = relay_memory(p->host[r].relay), now;
	uint32_t n = 0;

	wire_send_frame(p, s, 0x7a, zeros, 65568);
	while (n + 13 <= sizeof flood) n += frame_ping(flood + n, zeros);
	wire_send(p, s, flood, n);
	now = relay_memory(p->host[r].relay);
	assert_in_range(now - before, 0, PAIR_TURN + 512);
	if (p->chunk == 0) assert_in_range(view_of(p, r, s).held, PAIR_TURN - 16, PAIR_TURN);
	for (int i = 0; i < 1000; i++) {
		pair_advance(p, 8 * NS_S / RATE);
		now = relay_memory(p->host[r].relay);
		assert_in_range(now - before, 0, PAIR_TURN + 512);
	}
	assert_int_equal(counters(p, r)->sent_pong, 1000);
}

/* RAT-009: the limit is not told. RAT-011: the login costs nothing. */
STORY(login_is_free, RATED)
{
	struct key private_key = pair_key(A), server = pair_public(SERVER), shared;
	struct server_info info;
	struct client_info me = { .version = 2 };
	struct wire_frame f = { 0 };
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n";
	int s = wire_connect(p, r);

	wire_send(p, s, request, sizeof request - 1);
	wire_client_info(p, s, A, &server, &me);
	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	assert_true(wire_frame(p, s, &f));
	assert_true(key_shared(&private_key, server.b, &shared));
	assert_true(login_server_info_open(f.p, f.n, &shared, &info));
	assert_int_equal(info.bucket_bytes_per_second, 0);
	assert_int_equal(info.bucket_bytes_burst, 0);
	wire_send_frame(p, s, 0x7a, zeros, 65568 - 8);
	send_ping(p, s);
	pong(p, s);
}

/* ---- new connections ---- */

/* RAT-012, TRP-024: above the limit a TLS connection is closed at once and the relay goes on; other listeners have no limit. */
STORY(accept_limit, "accept-connection-limit=2\naccept-connection-burst=3\n")
{
	int s[8];

	for (int i = 0; i < 5; i++) {
		s[i] = wire_connect_port(p, r, 443);
		assert_int_equal(wire_end(p, s[i])->ended == PAIR_OPEN, i < 3);
	}
	pair_advance(p, NS_S / 2 - 1);
	s[5] = wire_connect_port(p, r, 443);
	assert_int_equal(wire_end(p, s[5])->ended, PAIR_RESET);
	pair_advance(p, 1);
	s[6] = wire_connect_port(p, r, 443);
	silent(p, s[6]);
	s[7] = wire_connect_port(p, r, 443);
	assert_int_equal(wire_end(p, s[7])->ended, PAIR_RESET);
	for (int i = 0; i < 10; i++) silent(p, wire_connect(p, r));
	assert_int_equal(counters(p, r)->tls_accepted, 4);
	assert_int_equal(counters(p, r)->tls_rejected, 4);
	assert_int_equal(pair_heard_count(p, r, DELIVER_STOPPED), 0);
	silent(p, s[0]);
}

/* RAT-012: the burst is the limit's number if nothing is said. */
STORY(accept_limit_alone, "accept-connection-limit=2\n")
{
	for (int i = 0; i < 3; i++) assert_int_equal(wire_end(p, wire_connect_port(p, r, 443))->ended == PAIR_OPEN, i < 2);
}

/* RAT-012, TRP-024: the original's process ends with the first rejection, and everybody's connection with it. */
STORY(accept_limit_derper, "profile=derper\naccept-connection-limit=1\naccept-connection-burst=1\n")
{
	int a = wire_login(p, r, A, NULL), s = wire_connect_port(p, r, 443);

	silent(p, a);
	silent(p, s);
	wire_connect_port(p, r, 443);
	closed(p, a);
	closed(p, s);
	assert_int_equal(pair_heard_count(p, r, DELIVER_STOPPED), 1);
}

/* ---- admission ---- */

static struct pair_ask *asked(struct pair *p, int r, int i) { return &p->host[r].asked[i]; }

static void answer(struct pair *p, int r, int i, uint32_t status, const char *body)
{
	struct event_answer a = { .status = status, .p = (const uint8_t *)body, .n = (uint32_t)strlen(body) };

	pair_ask_answer(p, r, i, &a);
}

static void answer_failed(struct pair *p, int r, int i)
{
	struct event_answer a = { .result = ANSWER_FAILED };

	pair_ask_answer(p, r, i, &a);
}

/* Sends ClientInfo and, in the same write, a Ping behind it. */
static int knock(struct pair *p, int r, uint8_t key)
{
	static const uint8_t nonce[KEY_NONCE] = { 1 };
	struct key private_key = pair_key(key), public_key = pair_public(key), server = pair_public(SERVER), shared;
	struct client_info info = { .version = 2 };
	uint8_t all[LOGIN_FRAME_MAX + 13];
	uint32_t n;
	int s = wire_connect(p, r);

	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	assert_true(key_shared(&private_key, server.b, &shared));
	n = login_client_info_frame(all, &public_key, &shared, nonce, &info);
	n += frame_ping(all + n, (const uint8_t *)"pingpong");
	wire_send(p, s, all, n);
	return s;
}

static void is_in(struct pair *p, int s)
{
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	pong(p, s);
	silent(p, s);
}

/* HSK-019, RAT-014, RAT-020: the question is asked once, after ClientInfo; until it is answered the client is nowhere to be seen and its
 * frames wait; then it is registered, gets ServerInfo, and its frames are served. */
STORY(admitted, MESHED ASKED)
{
	struct key a = pair_public(A);
	char want[300], hex[KEY_HEX];
	int s, w;

	p->remote = pair_address(33, 1);
	w = login_mesh(p, r, D);
	wire_send_frame(p, w, FRAME_WATCH_CONNS, NULL, 0);
	frame_is(p, w, FRAME_PEER_PRESENT, NULL, 51);
	assert_int_equal(p->host[r].asks, 0); /* RAT-018, MSH-006, TRP-040 */
	assert_int_equal(p->stream[w].end[1].read_max, PAIR_TURN);
	s = knock(p, r, A);
	silent(p, s);
	silent(p, w);
	assert_int_equal(relay_route(p->host[r].relay, a.b), ROUTE_NONE);
	assert_int_equal(p->host[r].asks, 1);
	assert_int_equal(asked(p, r, 0)->ask, ASK_URL);
	assert_string_equal(asked(p, r, 0)->text, "http://127.0.0.1:9/admit");
	key_hex(a.b, hex);
	snprintf(want, sizeof want, "{\"NodePublic\":\"nodekey:%.*s\",\"Source\":\"192.0.2.33\"}", KEY_HEX, hex);
	assert_string_equal(asked(p, r, 0)->text + 25, want);
	pair_advance(p, 4 * NS_S);
	wire_send_frame(p, s, FRAME_NOTE_PREFERRED, "\x01", 1);
	silent(p, s);
	answer(p, r, 0, 200, "{\"Allow\":true}");
	is_in(p, s);
	assert_int_equal(p->stream[s].end[1].read_max, PAIR_TURN);
	frame_is(p, w, FRAME_PEER_PRESENT, NULL, 51);
	assert_int_equal(counters(p, r)->current_home_connections, 1);
	assert_int_equal(relay_route(p->host[r].relay, a.b), ROUTE_LOCAL);
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(p->host[r].asks, 1);
}

/* HSK-017, HSK-019: the ten seconds are for reading ClientInfo; the question has its own time. */
STORY(asked_late, RAW ASKED)
{
	struct client_info info = { .version = 2 };
	struct key server = pair_public(SERVER);
	int s = wire_connect(p, r);

	frame_is(p, s, FRAME_SERVER_KEY, NULL, 40);
	pair_advance(p, 10 * NS_S - 1);
	wire_client_info(p, s, A, &server, &info);
	pair_advance(p, 5 * NS_S - 1);
	silent(p, s);
	answer(p, r, 0, 200, "{\"Allow\":true}");
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	silent(p, s);
}

/* RAT-014: the source is the peer's address in its canonical form, or empty if it is not known. */
STORY(sources, RAW ASKED)
{
	struct address v6 = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 7 }, .port = 4 };

	p->remote = v6;
	knock(p, r, A);
	assert_non_null(strstr(asked(p, r, 0)->text + 25, "\"Source\":\"2001:db8::7\"}"));
	answer_failed(p, r, 0);
	p->remote = (struct address){ 0 };
	p->nameless = true;
	knock(p, r, B);
	assert_non_null(strstr(asked(p, r, 0)->text + 25, "\"Source\":\"\"}"));
}

/* RAT-015, RAT-019: 200 and a first JSON value in the first 4 KiB that says so; anything else that is an answer is a silent close, also with
 * fail-open. */
STORY(verdicts, RAW ASKED)
{
	static char near[5000], late[5000];
	const struct {
		uint32_t status;
		const char *body;
		bool in;
	} cases[] = {
		{ 200, "{\"Allow\":true}", true },
		{ 200, " {\"other\":[1,{}],\"allow\":true} and more {", true },
		{ 200, "{\"Allow\":false,\"Allow\":true}", true },
		{ 200, near, true },
		{ 200, late, false },
		{ 200, "{\"Allow\":false}", false },
		{ 200, "{\"Allow\":null}", false },
		{ 200, "{\"Allow\":1}", false },
		{ 200, "{\"Allow\":\"true\"}", false },
		{ 200, "{\"Allow\":true", false },
		{ 200, "{\"Allow\":true,\"x\":}", false },
		{ 200, "[true]", false },
		{ 200, "true", false },
		{ 200, "null", false },
		{ 200, "{}", false },
		{ 200, "", false },
		{ 201, "{\"Allow\":true}", false },
		{ 204, "", false },
		{ 302, "{\"Allow\":true}", false },
		{ 403, "{\"Allow\":true}", false },
		{ 500, "{\"Allow\":true}", false },
	};

	memset(near, ' ', sizeof near - 1);
	memcpy(near + 4096 - 14, "{\"Allow\":true}", 14);
	memset(late, ' ', sizeof late - 1);
	memcpy(late + 4096 - 13, "{\"Allow\":true}", 14);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int s = knock(p, r, A);
		answer(p, r, 0, cases[i].status, cases[i].body);
		if (cases[i].in)
			is_in(p, s);
		else
			closed(p, s);
		wire_reset(p, s);
	}
	assert_int_equal(counters(p, r)->current_connections, 0);
	assert_int_equal(counters(p, r)->logins, 4);
}

/* RAT-016: no exchange, or none within five seconds: fail-open lets in, its absence refuses; then the question is cancelled. */
static void exchange_failed(struct pair *p, int r, bool open)
{
	for (int i = 0; i < 2; i++) {
		int s = knock(p, r, A);
		uint64_t token = asked(p, r, 0)->token;
		if (i == 0) {
			answer_failed(p, r, 0);
		} else {
			pair_advance(p, 5 * NS_S - 1);
			silent(p, s);
			assert_true(asked(p, r, 0)->token == token);
			pair_advance(p, 1);
			assert_true(asked(p, r, 0)->token == TOKEN_NONE);
		}
		if (open)
			is_in(p, s);
		else
			closed(p, s);
		wire_reset(p, s);
	}
}

STORY(fail_open, RAW ASKED) { exchange_failed(p, r, true); }
STORY(fail_closed, RAW ASKED "verify-client-url-fail-open=off\n") { exchange_failed(p, r, false); }

/* A client that leaves takes its question with it; the answer that comes all the same concerns nobody. An end that cannot be seen yet,
 * because nothing is read, is seen after the answer. */
STORY(leaves_while_asked, RAW ASKED)
{
	int s = knock(p, r, A), t;

	wire_reset(p, s);
	assert_true(asked(p, r, 0)->token == TOKEN_NONE);
	t = knock(p, r, B);
	wire_fin(p, t);
	assert_true(asked(p, r, 0)->token != TOKEN_NONE);
	answer(p, r, 0, 200, "{\"Allow\":true}");
	assert_int_equal(counters(p, r)->logins, 1);
	assert_int_equal(counters(p, r)->sent_pong, 1);
	assert_int_equal(counters(p, r)->current_connections, 0);
	s = knock(p, r, C);
	pair_command(p, r, &(struct event_command){ .verb = COMMAND_LEAVE });
	closed(p, s);
	assert_true(asked(p, r, 0)->token == TOKEN_NONE);
}

/* So many questions are open at once; who comes later waits for one to be answered, and no longer in all than a question may take. */
STORY(questions_limited, RAW ASKED "verify-client-questions=2\n")
{
	int s[5];

	for (int i = 0; i < 5; i++) s[i] = knock(p, r, (uint8_t)(A + 32 * i));
	assert_int_equal(p->host[r].asks, 2);
	answer(p, r, 1, 200, "{\"Allow\":true}");
	is_in(p, s[1]);
	assert_int_equal(p->host[r].asks, 3);
	wire_reset(p, s[0]);
	assert_int_equal(p->host[r].asks, 4);
	wire_reset(p, s[4]);
	pair_advance(p, 3 * NS_S);
	answer(p, r, 1, 200, "{}");
	closed(p, s[2]);
	assert_int_equal(p->host[r].asks, 4); /* nobody waits any more */
	pair_advance(p, 2 * NS_S);
	is_in(p, s[3]); /* fail-open */
}

/* Who waits for a question that is not free for five seconds is treated as if it had not been answered. */
STORY(questions_used_up, RAW ASKED "verify-client-questions=1\nverify-client-timeout=5s\n")
{
	int first = knock(p, r, A), second;

	pair_advance(p, NS_S);
	second = knock(p, r, B);
	pair_advance(p, 4 * NS_S);
	is_in(p, first);
	silent(p, second);
	assert_int_equal(p->host[r].asks, 2);
	pair_advance(p, NS_S);
	is_in(p, second);
}

/* What a client whose question is open can make the relay hold: what one read of a connection that has not logged in yet brings, 4 KiB,
 * and what keeps it. */
STORY(held_while_asked, RAW ASKED)
{
	static uint8_t flood[100000];
	uint32_t n = 0, pings = 0;
	uint64_t before;
	int s = knock(p, r, A);

	answer(p, r, 0, 200, "{\"Allow\":true}"); /* tables have their size from now on */
	wire_reset(p, s);
	s = knock(p, r, A);
	before = relay_memory(p->host[r].relay);
	while (n + 13 <= sizeof flood) n += frame_ping(flood + n, zeros);
	wire_send(p, s, flood, n);
	assert_int_equal(relay_memory(p->host[r].relay), before); /* it is not read */
	wire_reset(p, s);
	before = relay_memory(p->host[r].relay);
	s = wire_connect(p, r);
	{
		static const uint8_t nonce[KEY_NONCE] = { 1 };
		struct key private_key = pair_key(A), public_key = pair_public(A), server = pair_public(SERVER), shared;
		struct client_info info = { .version = 2 };
		uint32_t head;
		assert_true(key_shared(&private_key, server.b, &shared));
		head = login_client_info_frame(flood, &public_key, &shared, nonce, &info);
		for (n = head; n + 13 <= sizeof flood; pings++) n += frame_ping(flood + n, zeros);
		wire_send(p, s, flood, n);
		assert_true(view_of(p, r, s).waits);
		assert_in_range(view_of(p, r, s).held, 0, 4096 - head);
		if (p->chunk == 0) assert_int_equal(view_of(p, r, s).held, 4096 - head);
	}
	assert_in_range(relay_memory(p->host[r].relay) - before, 0, 4096 + 512);
	answer(p, r, 0, 200, "{\"Allow\":true}");
	assert_int_equal(counters(p, r)->got_ping, 1 + pings);
	wire_reset(p, s);
	assert_int_equal(relay_memory(p->host[r].relay), before);
}

/* The client is in, and then the receive limit is its own matter: the frames that waited for the one wait for the other. */
STORY(admitted_and_limited, RAW ASKED RATED)
{
	int s = knock(p, r, A);

	wire_send_frame(p, s, 0x7a, zeros, 65568 - 8);
	send_ping(p, s);
	answer(p, r, 0, 200, "{\"Allow\":true}");
	frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
	pong(p, s);
	silent(p, s);
	pair_advance(p, 8 * NS_S / RATE);
	pong(p, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_is_paid),
		cmocka_unit_test(all_wait),
		cmocka_unit_test(wait_and_queue),
		cmocka_unit_test(queued_alone),
		cmocka_unit_test(illegal_waits),
		cmocka_unit_test(whose_bucket),
		cmocka_unit_test(reload),
		cmocka_unit_test(limit_comes),
		cmocka_unit_test(end_while_waiting),
		cmocka_unit_test(held_at_most),
		cmocka_unit_test(login_is_free),
		cmocka_unit_test(accept_limit),
		cmocka_unit_test(accept_limit_alone),
		cmocka_unit_test(accept_limit_derper),
		cmocka_unit_test(admitted),
		cmocka_unit_test(asked_late),
		cmocka_unit_test(sources),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(fail_open),
		cmocka_unit_test(fail_closed),
		cmocka_unit_test(leaves_while_asked),
		cmocka_unit_test(questions_limited),
		cmocka_unit_test(questions_used_up),
		cmocka_unit_test(held_while_asked),
		cmocka_unit_test(admitted_and_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
