/* HTTP on a relay's connections: requests one after the other, bodies, times, what is held, /debug/, bootstrap names. Every story runs
 * with whole events, with streams cut to single bytes and to pieces of 13 (TRP-004). Routing alone: endpoint_test.c. */
#include "body.h"
#include "bootstrap.h"
#include "endpoint.h"
#include "http.h"
#include "json.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, MESH = 0xe0 };

static void each(void (*story)(struct pair *p, int r), const char *config)
{
	static const size_t chunks[] = { 0, 1, 13 };

	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		struct pair *p = pair_new(chunks[i]);
		p->wall_ns = UINT64_C(1795438505) * NS_S;
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

#define MESHED "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
#define DATE "Date: Mon, 23 Nov 2026 12:55:05 GMT\r\n"
#define UPGRADE "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"

static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(p->host[r].relay); }

static void send_text(struct pair *p, int s, const char *text) { wire_send(p, s, text, strlen(text)); }

/* What has come and was not looked at yet, as a string of its own. */
static char *rest(struct pair *p, int s)
{
	static char text[4 << 20];
	size_t n;
	const uint8_t *b = wire_rest(p, s, &n);

	assert_true(n < sizeof text);
	if (n != 0) memcpy(text, b, n);
	text[n] = 0;
	wire_skip(p, s, n);
	return text;
}

static void text_is(struct pair *p, int s, const char *want)
{
	const char *came = rest(p, s);

	if (strcmp(came, want) != 0) fail_msg("expected\n%s\ncame\n%s", want, came);
}

static void silent(struct pair *p, int s)
{
	text_is(p, s, "");
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

static void closed(struct pair *p, int s)
{
	text_is(p, s, "");
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

static void frame_is(struct pair *p, int s, uint8_t type)
{
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a %s, nothing came", frame_name(type));
	assert_int_equal(f.type, type);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define PROBED "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n" DATE "Content-Length: 0\r\n\r\n"
#define NO_UPGRADE \
	"HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" DATE \
	"Content-Length: 33\r\n\r\nDERP requires connection upgrade\n"
#define EMPTY_204 "HTTP/1.1 204 No Content\r\nCache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\n" DATE "\r\n"

/* ---- requests one after the other ---- */

/* HTTP-002, HTTP-035, HTTP-036: any number of requests on a connection, also several in one write, and an upgrade behind them. */
STORY(pipelined, "")
{
	int s = wire_connect(p, r);

	send_text(p, s, GET("/derp/probe"));
	text_is(p, s, PROBED);
	send_text(p, s, GET("/derp") GET("/generate_204") GET("/derp/latency-check") "HEAD /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n" UPGRADE "\r\n");
	text_is(p, s,
	        NO_UPGRADE EMPTY_204 PROBED "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n" DATE "\r\n"
	                                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n"
	                                    "Derp-Public-Key: 8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f\r\n\r\n\x01");
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(counters(p, r)->accepts, 1); /* MET-002: of DERP, not of HTTP */
}

/* Who says so, and whoever speaks HTTP/1.0, gets one answer. */
STORY(one_answer, "")
{
	static const char *const requests[] = { "GET /derp/probe HTTP/1.1\r\nHost: x\r\nConnection: foo, CLOSE\r\n\r\n",
		                                "GET /derp/probe HTTP/1.0\r\n\r\n" };

	for (int i = 0; i < 2; i++) {
		int s = wire_connect(p, r);
		send_text(p, s, requests[i]);
		text_is(p, s, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n");
		closed(p, s);
		wire_fin(p, s);
		assert_false(p->stream[s].end[1].open);
	}
	assert_int_equal(counters(p, r)->accepts, 0);
}

/* Bodies are skipped, whole or in chunks, and the next request is served; one that cannot be skipped ends the connection. */
STORY(bodies, "")
{
	static const char *const bad[] = { "5\r\nhelloX", "zz\r\n" };
	static char big[BODY_MAX + 1];
	int s = wire_connect(p, r);

	send_text(p, s, "POST /derp HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n..");
	text_is(p, s, NO_UPGRADE);
	send_text(p, s, "POST /derp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n");
	text_is(p, s, NO_UPGRADE);
	send_text(p, s, "3\r\n\r\n\r\r\n0\r\nT: r\r\n\r\n" GET("/generate_204"));
	text_is(p, s, EMPTY_204);
	for (int i = 0; i < 2; i++) {
		send_text(p, s, "POST /generate_204 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
		text_is(p, s, EMPTY_204);
		send_text(p, s, bad[i]);
		closed(p, s);
		s = wire_connect(p, r);
	}
	for (int n = BODY_MAX - 1; n <= BODY_MAX + 1; n++) {
		char head[100];
		snprintf(head, sizeof head, "PUT /generate_204 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n);
		send_text(p, s, head);
		if (n > BODY_MAX) {
			assert_non_null(strstr(rest(p, s), "\r\nConnection: close\r\n"));
			closed(p, s);
			break;
		}
		text_is(p, s, EMPTY_204);
		if (p->chunk == 1) { /* a quarter of a million events say no more than a few thousand */
			s = wire_connect(p, r);
			continue;
		}
		memset(big, 'x', sizeof big);
		wire_send(p, s, big, (size_t)n);
		send_text(p, s, GET("/generate_204"));
		text_is(p, s, EMPTY_204);
	}
	s = wire_connect(p, r);
	send_text(p, s, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n");
	assert_memory_equal(rest(p, s), "HTTP/1.1 501 Not Implemented\r\n", 30);
	closed(p, s);
	s = wire_connect(p, r);
	send_text(p, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
	assert_memory_equal(rest(p, s), "HTTP/1.1 400 Bad Request\r\n", 26);
	closed(p, s);
}

/* HTTP-003: an upgrade's body is not consumed; its bytes are the first frame. */
STORY(upgrade_with_body, "")
{
	struct client_info info = { .version = 2 };
	struct key server = pair_public(SERVER);
	int s = wire_connect(p, r);

	send_text(p, s, UPGRADE "Derp-Fast-Start: 1\r\nContent-Length: 109\r\n\r\n");
	frame_is(p, s, FRAME_SERVER_KEY);
	wire_client_info(p, s, A, &server, &info);
	frame_is(p, s, FRAME_SERVER_INFO);
}

/* HTTP-004: the path that the endpoint was found by is the one that is served. */
STORY(upgrade_by_other_names, "")
{
	static const char *const targets[] = { "/%64erp", "http://relay.test/derp?x", "/derp?" };

	for (int i = 0; i < 3; i++) {
		char request[200];
		int s = wire_connect(p, r);
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\n\r\n", targets[i]);
		send_text(p, s, request);
		assert_memory_equal(rest(p, s), "HTTP/1.1 101 ", 13);
	}
}

/* HTTP-041: with DERP off no upgrade is served, the rest is. */
STORY(derp_off, "derp=off\n")
{
	int s = wire_connect(p, r);

	send_text(p, s, UPGRADE "\r\n" GET("/derp/probe"));
	text_is(p, s,
	        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" DATE
	        "Content-Length: 21\r\n\r\nderp server disabled\n" PROBED);
	send_text(p, s, GET("/"));
	assert_non_null(strstr(rest(p, s), "<b>disabled</b>"));
	send_text(p, s, GET("/healthz"));
	assert_memory_equal(rest(p, s), "HTTP/1.1 503 Service Unavailable\r\n", 34);
}

/* HTTP-044, HTTP-045: the plain port beside TLS; CONNECT, which only TLS refuses with 403. */
STORY(ports, "")
{
	int s = wire_connect_port(p, r, 8080);

	send_text(p, s, GET("/some/path?q=1"));
	text_is(p, s,
	        "HTTP/1.1 302 Found\r\nContent-Type: text/html; charset=utf-8\r\nLocation: https://x/some/path?q=1\r\n" DATE
	        "Content-Length: 46\r\n\r\n<a href=\"https://x/some/path?q=1\">Found</a>.\n\n");
	send_text(p, s, UPGRADE "\r\n");
	assert_non_null(strstr(rest(p, s), "\r\nLocation: https://x/derp\r\n"));
	send_text(p, s, GET("/generate_204"));
	text_is(p, s, EMPTY_204);
	s = wire_connect_port(p, r, 443);
	send_text(p, s, "CONNECT controlplane.example:443 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_memory_equal(rest(p, s), "HTTP/1.1 403 Forbidden\r\n", 24);
	send_text(p, s, GET("/derp/probe"));
	text_is(p, s, PROBED);
	assert_int_equal(counters(p, r)->tls_requests[1], 2); /* MET-004 */
	assert_int_equal(counters(p, r)->tls_requests[0], 0);
	assert_int_equal(counters(p, r)->tls_active[1], 0);
	assert_int_equal(counters(p, r)->tls_accepted, 1);
	send_text(p, s, UPGRADE "\r\n");
	assert_int_equal(counters(p, r)->tls_active[1], 1);
	wire_reset(p, s);
	assert_int_equal(counters(p, r)->tls_active[1], 0);
	s = wire_connect(p, r);
	send_text(p, s, "CONNECT controlplane.example:443 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_memory_equal(rest(p, s), "HTTP/1.1 404 Not Found\r\n", 24);
	assert_int_equal(counters(p, r)->tls_requests[1], 3);
}

/* ---- times and sizes ---- */

/* HTTP-022: 30 s for a request, counted from the answer before it; bytes that trickle in do not extend it. */
STORY(request_time, "")
{
	for (uint64_t late = 0; late < 2; late++) {
		int s = wire_connect(p, r), t = wire_connect(p, r);
		send_text(p, t, "GET /generate_204 HT");
		pair_advance(p, 29 * NS_S);
		send_text(p, s, GET("/generate_204")); /* a second later, but from then on 30 more */
		assert_true(strlen(rest(p, s)) > 0);
		send_text(p, t, "TP/1.1\r\nHost: x\r\n");
		pair_advance(p, NS_S - 1 + late);
		send_text(p, t, "\r\n");
		if (late)
			closed(p, t);
		else
			assert_memory_equal(rest(p, t), "HTTP/1.1 204 ", 13);
		pair_advance(p, 29 * NS_S - 1 + 1 - late);
		silent(p, s);
		pair_advance(p, 1);
		closed(p, s);
		wire_reset(p, t);
	}
}

/* HTTP-022: an answer that is not taken within 30 s ends the connection. */
STORY(answer_time, "http-timeout=30s\n")
{
	int s = wire_connect(p, r);

	wire_room(p, s, 10);
	pair_advance(p, NS_S);
	send_text(p, s, GET("/"));
	pair_advance(p, 29 * NS_S);
	assert_true(p->stream[s].end[1].open);
	pair_advance(p, NS_S - 1);
	assert_true(p->stream[s].end[1].open);
	pair_advance(p, 1);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* What an endless head can make the relay hold: HTTP_HEAD_MAX bytes and what keeps them, until its time is over; and nothing after it.
 * A connection between two requests holds nothing. */
STORY(endless_head, "")
{
	static char junk[HTTP_HEAD_MAX];
	uint64_t idle, most = 0;
	int s = wire_connect(p, r), t = wire_connect(p, r);

	idle = relay_memory(p->host[r].relay);
	send_text(p, t, GET("/derp/probe"));
	assert_int_equal(relay_memory(p->host[r].relay), idle);
	memset(junk, 'x', sizeof junk);
	send_text(p, s, "GET / HTTP/1.1\r\nX: ");
	for (size_t n = 19; n < HTTP_HEAD_MAX - 1; n += 500) {
		size_t left = HTTP_HEAD_MAX - 1 - n;
		uint64_t now;
		wire_send(p, s, junk, left < 500 ? left : 500);
		now = relay_memory(p->host[r].relay);
		if (now > most) most = now;
	}
	silent(p, s);
	assert_in_range(most - idle, HTTP_HEAD_MAX - 1, HTTP_HEAD_MAX + 128);
	wire_send(p, s, junk, 1);
	assert_memory_equal(rest(p, s), "HTTP/1.1 431 ", 13);
	closed(p, s);
	assert_int_equal(relay_memory(p->host[r].relay), idle);
}

/* Who asks and does not read is not read on: what is held is one turn, what is under way one high water and one answer. Taking the
 * answers makes it go on, and every request is answered. */
STORY(unread_answers, "")
{
	static const char request[] = GET("/");
	static char all[2 * PAIR_TURN];
	size_t n = 0, most, one;
	uint64_t idle;
	struct relay_session_view view;
	int s = wire_connect(p, r), answers = 0;

	if (p->chunk == 1) return; /* 64 KiB in single bytes say no more than in pieces of 13 */
	send_text(p, s, request);
	one = strlen(rest(p, s));
	idle = relay_memory(p->host[r].relay);
	wire_room(p, s, 0);
	while (n + sizeof request < sizeof all) {
		memcpy(all + n, request, sizeof request - 1);
		n += sizeof request - 1;
	}
	most = n / (sizeof request - 1);
	wire_send(p, s, all, n);
	assert_true(relay_session(p->host[r].relay, p->stream[s].end[1].token, &view));
	assert_true(view.waits);
	assert_in_range(view.unacked, 131072, 131072 + one);
	assert_in_range(view.held, 0, PAIR_TURN);
	assert_in_range(relay_memory(p->host[r].relay) - idle, view.held, view.held + 1024);
	wire_room(p, s, SIZE_MAX);
	for (const char *at = rest(p, s); (at = strstr(at, "HTTP/1.1 200 OK\r\n")) != NULL; at++) answers++;
	assert_int_equal(answers, most);
	assert_int_equal(relay_memory(p->host[r].relay), idle);
	send_text(p, s, request);
	assert_int_equal(strlen(rest(p, s)), one);
}

/* ---- /debug/ ---- */

static int debug_connect(struct pair *p, int r)
{
	struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 5000 };
	int s;

	p->remote = loopback;
	s = wire_connect(p, r);
	p->remote = (struct address){ 0 };
	return s;
}

static char *debug_get(struct pair *p, int s, const char *path)
{
	char request[200], *body;

	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	send_text(p, s, request);
	body = rest(p, s);
	assert_memory_equal(body, "HTTP/1.1 200 OK\r\n", 17);
	return strstr(body, "\r\n\r\n") + 4;
}

static void has(const char *text, const char *want)
{
	if (strstr(text, want) == NULL) fail_msg("no %s in\n%s", want, text);
}

static void send_to(struct pair *p, int s, uint8_t to, const void *packet, uint32_t n)
{
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, packet, n);
}

static int login_mesh(struct pair *p, int r, uint8_t key)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };

	return wire_login(p, r, key, &info);
}

#define HARDENED \
	"Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; block-all-mixed-content; " \
	"object-src 'none'; style-src 'self' 'unsafe-inline'\r\nStrict-Transport-Security: max-age=63072000; includeSubDomains\r\n" \
	"X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"

/* HTTP-043: only for who may see it; the index links what there is. */
STORY(debug_pages, "debug-allow=192.0.2.7,198.51.100.1\n")
{
	int s = wire_connect(p, r);

	has(debug_get(p, s, "/debug/"), "<a href=\"/debug/traffic\">");
	send_text(p, s, "GET /debug/varz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n");
	text_is(p, s,
	        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" DATE
	        "Content-Length: 20\r\n\r\ndebug access denied\n");
	send_text(p, s, GET("/debug/gc"));
	assert_memory_equal(rest(p, s), "HTTP/1.1 404 Not Found\r\n", 24);
}

/* HTTP-038, HTTP-043: what the configuration says reaches the pages: another home, a secret that opens /debug/ to anyone who has it. */
STORY(configured_pages, MESHED "home=https://derp.example/\ndebug-key=sesame\n")
{
	int s = wire_connect(p, r);
	const char *came;

	send_text(p, s, GET("/"));
	came = rest(p, s);
	has(came, "HTTP/1.1 302 Found\r\n");
	has(came, "Location: https://derp.example/\r\n");
	send_text(p, s, GET("/debug/?debugkey=sesam"));
	has(rest(p, s), "HTTP/1.1 403 ");
	send_text(p, s, GET("/debug/?debugkey=sesame"));
	came = rest(p, s);
	has(came, "HTTP/1.1 200 ");
	has(came, "mesh key: set");
}

/* MET-008: a line for each client whose bytes grew, then an empty one, every two seconds, in chunks; nothing for those who were quiet. */
STORY(traffic, "")
{
	struct key a = pair_public(A), b = pair_public(B);
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: relay.test\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n";
	char hex[2][KEY_HEX], want[1000], line[2][200];
	int sa = wire_login(p, r, A, NULL), sb = wire_login(p, r, B, NULL), s = debug_connect(p, r);
	static const uint8_t packet[100] = { 9 };

	key_hex(a.b, hex[0]);
	key_hex(b.b, hex[1]);
	send_text(p, s, GET("/debug/traffic"));
	for (int i = 0; i < 2; i++)
		snprintf(line[i], sizeof line[0], "{\"Sent\":103,\"Recv\":%zu,\"Key\":\"nodekey:%.*s\"}\n", sizeof request - 1 + 109, KEY_HEX,
		         hex[i]);
	snprintf(want, sizeof want,
	         "HTTP/1.1 200 OK\r\n" HARDENED DATE "Content-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s%s\n\r\n",
	         strlen(line[0]) + strlen(line[1]) + 1, line[0], line[1]);
	text_is(p, s, want);
	pair_advance(p, 2 * NS_S - 1);
	silent(p, s);
	pair_advance(p, 1);
	text_is(p, s, "1\r\n\n\r\n");
	send_to(p, sa, B, packet, sizeof packet);
	pair_advance(p, 2 * NS_S);
	snprintf(want, sizeof want, "\"Key\":\"nodekey:%.*s\",\"UniqueSenders\":1}\n\n\r\n", KEY_HEX, hex[1]);
	{
		const char *came = rest(p, s);
		has(came, want);
		has(came, "{\"Sent\":240,");
	}
	wire_send_frame(p, sb, FRAME_NOTE_PREFERRED, "\x01", 1);
	pair_advance(p, 2 * NS_S);
	snprintf(want, sizeof want, "{\"Sent\":240,");
	{
		const char *came = rest(p, s);
		has(came, want);
		assert_null(strstr(came + 5, "\"Sent\":103"));
	}
	send_text(p, s, "whatever it says now is not heard");
	pair_advance(p, 3600 * NS_S); /* endless */
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	wire_reset(p, sa);
	wire_fin(p, s);
	assert_false(p->stream[s].end[1].open);
}

/* MET-008: streams are few, each holds 24 bytes a slot, and one that is not read writes no further than a high water. */
STORY(traffic_bounds, "")
{
	struct relay_session_view view;
	uint64_t idle;
	int s[5], a = wire_login(p, r, A, NULL);

	for (int i = 0; i < 5; i++) s[i] = debug_connect(p, r);
	idle = relay_memory(p->host[r].relay);
	for (int i = 0; i < 4; i++) {
		send_text(p, s[i], GET("/debug/traffic"));
		has(rest(p, s[i]), "\"Key\"");
	}
	assert_in_range(relay_memory(p->host[r].relay) - idle, 4 * 24 * 256, 4 * (24 * 256 + 256));
	send_text(p, s[4], GET("/debug/traffic"));
	has(rest(p, s[4]), "HTTP/1.1 503 ");
	closed(p, s[4]);
	wire_room(p, s[0], 0);
	for (int i = 0; i < 2000; i++) {
		wire_send_frame(p, a, FRAME_NOTE_PREFERRED, i % 2 ? "\x01" : "", 1);
		pair_advance(p, 2 * NS_S);
		if (i % 10 == 0) wire_room(p, s[0], 1); /* it lives, but hardly */
	}
	assert_true(relay_session(p->host[r].relay, p->stream[s[0]].end[1].token, &view));
	assert_in_range(view.unacked, 131072, 131072 + 4096);
	wire_room(p, s[0], SIZE_MAX);
	rest(p, s[0]);
	pair_advance(p, 2 * NS_S);
	text_is(p, s[0], "1\r\n\n\r\n");
	for (int i = 0; i < 4; i++) wire_reset(p, s[i]);
	assert_int_equal(relay_memory(p->host[r].relay), idle);
}

/* Only the head for HEAD; without chunks for HTTP/1.0. */
STORY(traffic_forms, "")
{
	int s = debug_connect(p, r);

	send_text(p, s, "HEAD /debug/traffic HTTP/1.1\r\nHost: x\r\n\r\n");
	has(rest(p, s), "Transfer-Encoding: chunked\r\n\r\n");
	closed(p, s);
	s = debug_connect(p, r);
	send_text(p, s, "GET /debug/traffic HTTP/1.0\r\n\r\n");
	text_is(p, s, "HTTP/1.1 200 OK\r\nConnection: close\r\n" HARDENED DATE "Content-Type: text/plain; charset=utf-8\r\n\r\n\n");
	pair_advance(p, 2 * NS_S);
	text_is(p, s, "\n");
}

/* MET-007: the check agrees with the tables, also when a key is connected twice; it finds a counter that is wrong. */
STORY(consistency, MESHED)
{
	struct relay_counters *wrong = (struct relay_counters *)(uintptr_t)counters(p, r);
	int s = debug_connect(p, r);

	wire_login(p, r, A, NULL);
	wire_login(p, r, A, NULL);
	login_mesh(p, r, B);
	wire_reset(p, wire_login(p, r, C, NULL)); /* its place is free */
	assert_string_equal(debug_get(p, s, "/debug/check"), "derp.Server ConsistencyCheck okay");
	wrong->current_connections++;
	send_text(p, s, GET("/debug/check"));
	has(rest(p, s), "\r\n\r\nexpvar connections = 4 != clients map says of 3\n");
	wrong->current_connections--;
	wrong->clients_local--;
	wrong->clients_remote++;
	send_text(p, s, GET("/debug/check"));
	has(rest(p, s), "\r\n\r\n1 local keys counted, 2 in the table, 1 remote keys counted, 0 in the table\n");
	send_text(p, s, GET("/debug/check"));
	has(rest(p, s), "HTTP/1.1 500 Internal Server Error\r\n");
	wrong->clients_local++;
	wrong->clients_remote--;
}

/* MET-007, TRP-025: the original calls a key with two connections an inconsistency. */
STORY(consistency_derper, "profile=derper\n")
{
	int s = debug_connect(p, r), a = wire_login(p, r, A, NULL);

	wire_login(p, r, B, NULL);
	assert_string_equal(debug_get(p, s, "/debug/check"), "derp.Server ConsistencyCheck okay");
	for (int i = 0; i < 3; i++) wire_login(p, r, A, NULL);
	send_text(p, s, GET("/debug/check"));
	has(rest(p, s), "HTTP/1.1 500 Internal Server Error\r\n");
	send_text(p, s, GET("/debug/check"));
	has(rest(p, s), "\r\n\r\nexpvar connections = 5 != clients map says of 2\n");
	wire_fin(p, a);
}

/* Ours: whether all that is configured works, told to anybody. */
STORY(health, MESHED "mesh-with=192.0.2.99:443\n")
{
	int s = wire_connect(p, r);

	send_text(p, s, GET("/healthz"));
	has(rest(p, s), "HTTP/1.1 503 Service Unavailable\r\n");
	send_text(p, s, GET("/healthz"));
	has(rest(p, s), "\r\n\r\n0 of 1 mesh links up\n");
	s = wire_connect(p, pair_relay(p, A, ""));
	send_text(p, s, GET("/healthz"));
	has(rest(p, s), "\r\n\r\nok\n");
}

/* ---- bootstrap names ---- */

static void names_answer(struct pair *p, int r, const char *name, uint8_t ask, const struct address *v, uint32_t n)
{
	struct event_answer answer = { .result = v == NULL ? ANSWER_FAILED : ANSWER_OK, .p = (const uint8_t *)v, .n = n };

	for (int i = 0; i < PAIR_ASKS; i++) {
		const struct pair_ask *a = &p->host[r].asked[i];
		if (a->token == TOKEN_NONE || a->ask != ask || strcmp(a->text, name) != 0) continue;
		pair_ask_answer(p, r, i, &answer);
		return;
	}
	fail_msg("nobody asks for %s", name);
}

/* HTTP-042: names are asked for at once and every ten minutes; what came is served when the round is over, answers that do not come are
 * given up after a minute, and who has asked for nothing gets nothing. */
STORY(bootstrap_rounds, "bootstrap-dns-names=b.test,a.test\nunpublished-bootstrap-dns-names=u.test/100\n")
{
	struct address v4 = pair_address(1, 0), v6 = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, u4 = pair_address(9, 0);
	int s = wire_connect(p, r);

	assert_int_equal(p->host[r].asks, 6);
	send_text(p, s, GET("/bootstrap-dns"));
	text_is(p, s,
	        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'; form-action "
	        "'self'; base-uri 'self'; block-all-mixed-content; object-src 'none'\r\nContent-Type: application/json\r\n"
	        "Strict-Transport-Security: max-age=63072000; includeSubDomains\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n" DATE
	        "Content-Length: 0\r\n\r\n");
	closed(p, s);
	names_answer(p, r, "a.test", ASK_NAME4, &v4, 1);
	names_answer(p, r, "a.test", ASK_NAME6, NULL, 0);
	names_answer(p, r, "b.test", ASK_NAME4, NULL, 0);
	names_answer(p, r, "b.test", ASK_NAME6, &v6, 1);
	names_answer(p, r, "u.test", ASK_NAME4, &u4, 1);
	s = debug_connect(p, r);
	assert_string_equal(debug_get(p, s, "/bootstrap-dns"), ""); /* one answer is still out */
	pair_advance(p, 60 * NS_S - 1);
	s = debug_connect(p, r);
	assert_string_equal(debug_get(p, s, "/bootstrap-dns"), "");
	pair_advance(p, 1); /* given up */
	s = debug_connect(p, r);
	assert_string_equal(debug_get(p, s, "/bootstrap-dns?q="),
	                    "{\n\t\"a.test\": [\n\t\t\"192.0.2.1\"\n\t],\n\t\"b.test\": [\n\t\t\"2001:db8::1\"\n\t]\n}");
	s = debug_connect(p, r);
	assert_string_equal(debug_get(p, s, "/bootstrap-dns?q=u.test"), "{\n\t\"u.test\": [\n\t\t\"192.0.2.9\"\n\t]\n}");
	pair_advance(p, 540 * NS_S - 1);
	assert_int_equal(p->host[r].asks, 6);
	pair_advance(p, 1);
	assert_int_equal(p->host[r].asks, 12);
	v4.ip[15] = 77;
	names_answer(p, r, "a.test", ASK_NAME4, &v4, 1);
	names_answer(p, r, "a.test", ASK_NAME6, NULL, 0);
	names_answer(p, r, "b.test", ASK_NAME4, NULL, 0);
	names_answer(p, r, "b.test", ASK_NAME6, NULL, 0);
	names_answer(p, r, "u.test", ASK_NAME4, NULL, 0);
	names_answer(p, r, "u.test", ASK_NAME6, NULL, 0); /* the round is over at once */
	s = debug_connect(p, r);
	assert_string_equal(debug_get(p, s, "/bootstrap-dns"),
	                    "{\n\t\"a.test\": [\n\t\t\"192.0.2.77\"\n\t],\n\t\"b.test\": [\n\t\t\"2001:db8::1\"\n\t]\n}");
	pair_advance(p, 600 * NS_S);
	assert_int_equal(p->host[r].asks, 18);
}

/* Configurations of the endpoints that are refused, with a reason. */
static void config_checked(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define KEY_LINE "key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
		{ KEY_LINE "home=\n", true },
		{ KEY_LINE "home=blank\n", true },
		{ KEY_LINE "home=https://derp.example/\n", true },
		{ KEY_LINE "home=blan\n", false },
		{ KEY_LINE "home=ftp://derp.example/\n", false },
		{ KEY_LINE "home=http://x/ y\n", false },
		{ KEY_LINE "derp=off\n", true },
		{ KEY_LINE "derp=off\nraw=on\n", false },
		{ KEY_LINE "debug-allow=192.0.2.1,2001:db8::1\n", true },
		{ KEY_LINE "debug-allow=192.0.2.1,\n", true },
		{ KEY_LINE "debug-allow=192.0.2.0/24\n", false },
		{ KEY_LINE "bootstrap-dns-names=a.example,b.example\n", true },
		{ KEY_LINE "bootstrap-dns-names=a.example,a.example\n", false },
		{ KEY_LINE "unpublished-bootstrap-dns-names=a.example/101\n", false },
		{ KEY_LINE "verify-client-url=http://127.0.0.1:1/x\nverify-client-url-fail-open=off\nverify-client-timeout=1s\n", true },
		{ KEY_LINE "verify-client-url=127.0.0.1\n", false },
		{ KEY_LINE "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n", true },
		{ KEY_LINE "rate-config=\n", false }, /* RAT-001 */
		{ KEY_LINE "rate-config={\"PerClientRateLimitBytesPerSec\":-1}\n", false },
		{ KEY_LINE "accept-connection-limit=1\naccept-connection-burst=3\n", true },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = 0;
		if (relay_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelined),
		cmocka_unit_test(one_answer),
		cmocka_unit_test(bodies),
		cmocka_unit_test(upgrade_with_body),
		cmocka_unit_test(upgrade_by_other_names),
		cmocka_unit_test(derp_off),
		cmocka_unit_test(ports),
		cmocka_unit_test(request_time),
		cmocka_unit_test(answer_time),
		cmocka_unit_test(endless_head),
		cmocka_unit_test(unread_answers),
		cmocka_unit_test(debug_pages),
		cmocka_unit_test(configured_pages),
		cmocka_unit_test(traffic),
		cmocka_unit_test(traffic_bounds),
		cmocka_unit_test(traffic_forms),
		cmocka_unit_test(consistency),
		cmocka_unit_test(consistency_derper),
		cmocka_unit_test(health),
		cmocka_unit_test(bootstrap_rounds),
		cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
