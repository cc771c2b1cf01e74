/* Heads of requests and responses: parsed whole and in pieces, judged, written. What a relay does with them is in relay_test.c. */
#include "http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads text in chunks; every chunk is a copy of its own length. Returns the result, and how many bytes behind the head are left. */
static enum http_result read_cut(struct http_reader *r, const char *text, size_t n, size_t chunk, struct http_head *head, size_t *left)
{
	enum http_result result = HTTP_MORE;
	size_t at = 0;

	while (at < n && result == HTTP_MORE) {
		size_t take = n - at < chunk ? n - at : chunk, rest = take;
		uint8_t *copy = malloc(take);
		const uint8_t *p = copy;
		assert_non_null(copy);
		memcpy(copy, text + at, take);
		result = http_read(r, &p, &rest, head);
		at += take - rest;
		if (result == HTTP_READY && r->held == NULL)
			r->held = copy; /* the head points into the span: it lives as long as the reader */
		else
			free(copy);
	}
	*left = n - at;
	return result;
}

/* HTTP-006: what follows the head stays where it is, however the head came; names match in any case. */
static void request_parsed(void **state)
{
	static const char text[] =
		"GET /derp?a=b HTTP/1.1\r\nHost: derp.example.com\r\nUpgrade:\t DERP \t\r\nX-Empty:\r\nx-empty: second\r\n\r\nDERPbytes";

	(void)state;
	for (size_t chunk = 1; chunk <= sizeof text - 1; chunk++) {
		struct http_reader r;
		struct http_head head;
		size_t left;
		http_reader_init(&r, false);
		assert_int_equal(read_cut(&r, text, sizeof text - 1, chunk, &head, &left), HTTP_READY);
		assert_int_equal(left, strlen("DERPbytes"));
		assert_true(http_text_is(head.method, "GET"));
		assert_true(http_text_is(head.target, "/derp?a=b"));
		assert_int_equal(head.minor, 1);
		assert_int_equal(head.fields, 4);
		assert_true(http_text_is(*http_field(&head, "hOST"), "derp.example.com"));
		assert_true(http_text_is(*http_field(&head, "upgrade"), "DERP"));
		assert_true(http_text_is_nocase(*http_field(&head, "upgrade"), "derp"));
		assert_true(http_text_is(*http_field(&head, "X-Empty"), "")); /* the first one */
		assert_null(http_field(&head, "Hos"));
		http_reader_free(&r);
		assert_null(r.held);
	}
}

static void response_parsed(void **state)
{
	static const struct {
		const char *text;
		uint32_t status; /* 0: refused */
	} cases[] = {
		{ "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\n\r\n", 101 },
		{ "HTTP/1.0 200\r\n\r\n", 200 },
		{ "HTTP/1.1 404 \r\n\r\n", 404 },
		{ "HTTP/1.1 101\n\n", 101 },
		{ "HTTP/1.1 1011 x\r\n\r\n", 0 },
		{ "HTTP/1.1 10 x\r\n\r\n", 0 },
		{ "HTTP/1.1  101 x\r\n\r\n", 0 },
		{ "HTTP/1.2 101 x\r\n\r\n", 0 },
		{ "http/1.1 101 x\r\n\r\n", 0 },
		{ "HTTP/1.1 1x1 x\r\n\r\n", 0 },
		{ "HTTP/1.1_101 x\r\n\r\n", 0 },
		{ "\r\n\r\n", 0 },
		{ "\n\n", 0 },
		{ "HTTP/1.1 101 x\r\nno colon\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\nna me: x\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\nname : x\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\nname: a\x01z\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\n: x\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\nX-1_~: x\r\n\r\n", 101 },
		{ "HTTP/1.1 101 x\r\nna{me: x\r\n\r\n", 0 },
		{ "HTTP/1.1 101 x\r\nna[me: x\r\n\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t chunk = 1; chunk < 100; chunk += 49) {
			struct http_reader r;
			struct http_head head = { .status = 0 };
			size_t left;
			http_reader_init(&r, true);
			if (read_cut(&r, cases[i].text, strlen(cases[i].text), chunk, &head, &left) != (cases[i].status ? HTTP_READY : HTTP_BAD))
				fail_msg("%s", cases[i].text);
			if (cases[i].status != 0) assert_int_equal(head.status, cases[i].status);
			http_reader_free(&r);
		}
}

/* A first line that is none of a request, and a NUL where a name stands. */
static void request_refused(void **state)
{
	static const char *const cases[] = { " / HTTP/1.1",
		                             "GET  HTTP/1.1",
		                             "GET",
		                             "GET /",
		                             "G@T / HTTP/1.1",
		                             "GET / HTTP/1.2",
		                             "GET / HTTP/1.1x",
		                             "GET /HTTP/1.1",
		                             "GET / http/1.1",
		                             "GET /\x01 HTTP/1.1",
		                             "GET / HTTP/1.",
		                             "GET /\x7f HTTP/1.1",
		                             "GET / x HTTP/1.1" };
	static const char nul[] = "GET / HTTP/1.1\nna\0me: x\n\n";
	struct http_reader r;
	struct http_head head;
	size_t left;
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		http_reader_init(&r, false);
		snprintf(text, sizeof text, "%s\n\n", cases[i]);
		if (read_cut(&r, text, strlen(text), 1000, &head, &left) != HTTP_BAD) fail_msg("%s", cases[i]);
		http_reader_free(&r);
	}
	http_reader_init(&r, false);
	assert_int_equal(read_cut(&r, nul, sizeof nul - 1, 1000, &head, &left), HTTP_BAD);
	http_reader_free(&r);
}

/* 16,384 bytes are the last good head, 100 fields the last good number; and far more of both. */
static void limits(void **state)
{
	static char text[100000];

	(void)state;
	for (size_t n = 16383; n <= sizeof text; n += n < 16385 ? 1 : sizeof text - 16385)
		for (size_t chunk = 1; chunk <= sizeof text; chunk = 2 * chunk + 61) {
			struct http_reader r;
			struct http_head head;
			size_t left;
			memset(text, 'x', sizeof text);
			memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
			memcpy(text + n - 4, "\r\n\r\n", 4);
			http_reader_init(&r, false);
			assert_int_equal(read_cut(&r, text, n, chunk, &head, &left), n <= 16384 ? HTTP_READY : HTTP_TOO_LONG);
			http_reader_free(&r);
		}
	for (int fields = 100; fields <= 2000; fields += fields == 100 ? 1 : 1899) {
		struct http_reader r;
		struct http_head head;
		size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n"), left;
		for (int i = 0; i < fields; i++) n += (size_t)sprintf(text + n, "X: y\r\n");
		n += (size_t)sprintf(text + n, "\r\n");
		http_reader_init(&r, false);
		assert_int_equal(read_cut(&r, text, n, n, &head, &left), fields <= 100 ? HTTP_READY : HTTP_BAD);
		http_reader_free(&r);
	}
}

/* HTTP-002, HTTP-003, HTTP-008, HTTP-018, HTTP-026, HTTP-027: what a relay makes of a request to /derp. */
static void judged(void **state)
{
	static const struct {
		const char *fields;
		uint32_t status;
		enum http_upgrade upgrade;
		bool ideal;
	} cases[] = {
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost:\nUpgrade: derp\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "BREW /derp HTTP/1.0\nUpgrade: derp\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: websocket\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\nDerp-Fast-Start: 1\n\n", 0, HTTP_UPGRADE_DERP_FAST, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\nDerp-Fast-Start: true\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\nDerp-Fast-Start: 11\n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\nIdeal-Node: 1a\n\n", 0, HTTP_UPGRADE_DERP, true },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP\nIdeal-Node: \n\n", 0, HTTP_UPGRADE_DERP, false },
		{ "GET /derp HTTP/1.1\nHost: x\nUpgrade: DERP, DERP\n\n", 426, HTTP_UPGRADE_NONE, false },
		{ "GET /derp HTTP/1.1\nHost: x\n\n", 426, HTTP_UPGRADE_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_reader r;
		struct http_head head;
		struct http_request request;
		size_t left;
		http_reader_init(&r, false);
		assert_int_equal(read_cut(&r, cases[i].fields, strlen(cases[i].fields), 1000, &head, &left), HTTP_READY);
		if (http_request_judge(&head, &request) != cases[i].status || request.upgrade != cases[i].upgrade ||
		    request.ideal_node != cases[i].ideal)
			fail_msg("%s", cases[i].fields);
		http_reader_free(&r);
	}
}

/* A token of a list, in any of the fields of that name, in any case. */
static void tokens(void **state)
{
	static const struct {
		const char *fields;
		bool has;
	} cases[] = {
		{ "Connection: close", true },        { "connection: x ,\tCLOSE,y", true }, { "Connection: x\nConnection: close", true },
		{ "Connection: closed", false },      { "Connection: close x", false },     { "Connection:", false },
		{ "Proxy-Connection: close", false }, { "Connection: ,,close", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[200];
		struct http_reader r;
		struct http_head head;
		size_t left, n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\n%s\n\n", cases[i].fields);
		http_reader_init(&r, false);
		assert_int_equal(read_cut(&r, text, n, 1000, &head, &left), HTTP_READY);
		if (http_has_token(&head, "Connection", "close") != cases[i].has) fail_msg("%s", cases[i].fields);
		http_reader_free(&r);
	}
}

static uint32_t judge(struct http_reader *r, const char *text, struct http_head *head, struct http_request *request)
{
	size_t left;

	http_reader_init(r, false);
	assert_int_equal(read_cut(r, text, strlen(text), 1000, head, &left), HTTP_READY);
	assert_int_equal(left, 0);
	return http_request_judge(head, request);
}

/* A good request but for what is said: line by line, so that each can be left out. */
#define LINE "GET /derp HTTP/1.1\nHost: x\n"
#define UPGRADE "Upgrade: websocket\n"
#define CONNECTION "Connection: Upgrade\n"
#define VERSION "Sec-WebSocket-Version: 13\n"
#define KEY "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\n"
#define PROTOCOL "Sec-WebSocket-Protocol: derp\n"

/* HTTP-026, HTTP-027, HTTP-029: which requests are WebSocket, which are a historic client's, and which subprotocol is selected. */
static void websocket_recognised(void **state)
{
	static const struct {
		const char *fields;
		bool websocket, derp;
	} cases[] = {
		{ UPGRADE PROTOCOL, true, true },
		{ "uPGRADE: WebSocket\n" PROTOCOL, true, true },
		{ UPGRADE, false, false },
		{ UPGRADE "Sec-WebSocket-Protocol: chat\n", false, false },
		{ UPGRADE "Sec-WebSocket-Protocol: DERP\n", false, false }, /* the substring counts in its case */
		{ UPGRADE "Sec-WebSocket-Protocol: derpx\n", true, false },
		{ UPGRADE "Sec-WebSocket-Protocol: underp\n", true, false },
		{ UPGRADE "Sec-WebSocket-Protocol: DERP, derpx\n", true, false },
		{ UPGRADE "Sec-WebSocket-Protocol: foo, derp\n", true, true },
		{ UPGRADE "Sec-WebSocket-Protocol: derp,foo\n", true, true },
		{ UPGRADE "Sec-WebSocket-Protocol: derpx ,\tderp\n", true, true },
		{ UPGRADE "Sec-WebSocket-Protocol: chat\n" PROTOCOL, false, false }, /* the first header decides */
		{ UPGRADE "Sec-WebSocket-Protocol: derpx\n" PROTOCOL, true, true },
		{ "Upgrade: DERP\n" PROTOCOL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_request request;
		struct http_reader r;
		struct http_head head;
		char text[1000];
		snprintf(text, sizeof text, LINE CONNECTION VERSION KEY "%s\n", cases[i].fields);
		assert_int_equal(judge(&r, text, &head, &request), 0);
		if ((request.upgrade == HTTP_UPGRADE_WEBSOCKET) != cases[i].websocket || request.subprotocol != cases[i].derp)
			fail_msg("%s", cases[i].fields);
		if (!cases[i].websocket) assert_int_equal(request.upgrade, HTTP_UPGRADE_DERP);
		http_reader_free(&r);
	}
}

/* HTTP-028: 426, 405, 400 in this order, each with what the client needs to know; any Origin and any offered extension is fine. */
static void websocket_judged(void **state)
{
	static const struct {
		const char *text;
		uint32_t status;
		const char *extra;
	} cases[] = {
		{ LINE UPGRADE CONNECTION VERSION KEY PROTOCOL, 0, NULL },
		{ LINE UPGRADE "Connection: keep-alive, uPGRADE\n" VERSION KEY PROTOCOL, 0, NULL },
		{ LINE UPGRADE "Connection: keep-alive\n" CONNECTION VERSION KEY PROTOCOL, 0, NULL },
		{ LINE UPGRADE CONNECTION VERSION KEY PROTOCOL "Origin: https://other.example\nSec-WebSocket-Extensions: permessage-deflate\n", 0,
		  NULL },
		{ "GET /derp HTTP/1.0\n" UPGRADE CONNECTION VERSION KEY PROTOCOL, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n" },
		{ LINE UPGRADE VERSION KEY PROTOCOL, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n" },
		{ LINE UPGRADE "Connection: keep-alive\n" VERSION KEY PROTOCOL, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n" },
		{ LINE UPGRADE "Connection: Upgraded\n" VERSION KEY PROTOCOL, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n" },
		{ LINE UPGRADE "Connection: \n" VERSION KEY PROTOCOL, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n" },
		{ "POST /derp HTTP/1.1\nHost: x\n" UPGRADE CONNECTION VERSION KEY PROTOCOL, 405, "Allow: GET\r\n" },
		{ "get /derp HTTP/1.1\nHost: x\n" UPGRADE CONNECTION VERSION KEY PROTOCOL, 405, "Allow: GET\r\n" },
		{ "HEAD /derp HTTP/1.1\nHost: x\n" UPGRADE CONNECTION PROTOCOL, 405, "Allow: GET\r\n" },
		{ LINE UPGRADE CONNECTION KEY PROTOCOL, 400, "Sec-WebSocket-Version: 13\r\n" },
		{ LINE UPGRADE CONNECTION "Sec-WebSocket-Version: 8\n" KEY PROTOCOL, 400, "Sec-WebSocket-Version: 13\r\n" },
		{ LINE UPGRADE CONNECTION "Sec-WebSocket-Version: 8, 13\n" KEY PROTOCOL, 400, "Sec-WebSocket-Version: 13\r\n" },
		{ LINE UPGRADE CONNECTION VERSION PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION KEY KEY PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: \n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:  \tdGhlIHNhbXBsZSBub25jZQ== \n" PROTOCOL, 0, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0OD+/=\n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODx==\n" PROTOCOL, 0,
		  NULL }, /* its last bits mean nothing */
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0O-_==\n" PROTOCOL, 400, NULL }, /* another alphabet */
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0+/w==\n" PROTOCOL, 0, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0OD{==\n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0OD[==\n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0OD:==\n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw=A\n" PROTOCOL, 400, NULL },
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0O\n" PROTOCOL, 400, NULL },     /* 15 bytes */
		{ LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODxA=\n" PROTOCOL, 400, NULL }, /* 17 bytes */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_request request;
		struct http_reader r;
		struct http_head head;
		char text[1000];
		uint32_t status;
		snprintf(text, sizeof text, "%s\n", cases[i].text);
		status = judge(&r, text, &head, &request);
		if (status != cases[i].status) fail_msg("%u: %s", status, cases[i].text);
		assert_int_equal(request.extra == NULL, cases[i].extra == NULL);
		if (request.extra != NULL) assert_string_equal(request.extra, cases[i].extra);
		if (status == 0) assert_int_equal(request.accept_key.n, HTTP_WEBSOCKET_KEY);
		http_reader_free(&r);
	}
}

/* HTTP-029, HTTP-032, RFC 6455, 1.3: what the relay answers; Ideal-Node and Derp-Fast-Start mean nothing. */
static void websocket_answered(void **state)
{
	struct http_request request;
	struct http_reader r;
	struct http_head head;
	char text[HTTP_OUT_MAX];

	(void)state;
	assert_int_equal(judge(&r,
	                       LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n" PROTOCOL
	                                                       "Derp-Fast-Start: 1\nIdeal-Node: 1a\n\n",
	                       &head, &request),
	                 0);
	assert_int_equal(request.upgrade, HTTP_UPGRADE_WEBSOCKET);
	assert_false(request.ideal_node);
	text[http_websocket_response(text, &request)] = 0;
	assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	                          "Sec-Websocket-Protocol: derp\r\nUpgrade: websocket\r\n\r\n");
	request.subprotocol = false;
	text[http_websocket_response(text, &request)] = 0;
	assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	                          "Upgrade: websocket\r\n\r\n");
	http_reader_free(&r);
}

/* HTTP-028 from the client's side: the request byte by byte, one that does not fit, and which answers are a consent to it. */
static void websocket_asked(void **state)
{
	static const uint8_t nonce[HTTP_WEBSOCKET_NONCE] = "the sample nonce";
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"
#define OK_101 "HTTP/1.1 101 Switching Protocols\n"
		{ OK_101 UPGRADE CONNECTION ACCEPT PROTOCOL, true },
		{ "HTTP/1.1 101\nUPGRADE: WebSocket\nConnection: x, upgrade\n" ACCEPT PROTOCOL, true },
		{ "HTTP/1.1 200 OK\n" UPGRADE CONNECTION ACCEPT PROTOCOL, false },
		{ OK_101 CONNECTION ACCEPT PROTOCOL, false },
		{ OK_101 "Upgrade: DERP\n" CONNECTION ACCEPT PROTOCOL, false },
		{ OK_101 UPGRADE ACCEPT PROTOCOL, false },
		{ OK_101 UPGRADE "Connection: close\n" ACCEPT PROTOCOL, false },
		{ OK_101 UPGRADE CONNECTION PROTOCOL, false },
		{ OK_101 UPGRADE CONNECTION "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n" PROTOCOL, false },
		{ OK_101 UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x\n" PROTOCOL, false },
		{ OK_101 UPGRADE CONNECTION ACCEPT, false },
		{ OK_101 UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: derpx\n", false },
		{ OK_101 UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: chat, derp\n", false },
		{ OK_101 UPGRADE CONNECTION ACCEPT PROTOCOL "Sec-WebSocket-Extensions: permessage-deflate\n", false },
	};
	char text[HTTP_OUT_MAX], longest[100000];

	(void)state;
	text[http_websocket_request(text, "derp.example.com", "/derp", nonce)] = 0;
	assert_string_equal(text, "GET /derp HTTP/1.1\r\nHost: derp.example.com\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\n"
	                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: derp\r\nSec-WebSocket-Version: 13\r\n"
	                          "Upgrade: websocket\r\n\r\n");
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_int_equal(http_websocket_request(text, "h", longest, nonce), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_reader r;
		struct http_head head;
		size_t left;
		snprintf(text, sizeof text, "%s\n", cases[i].text);
		http_reader_init(&r, true);
		assert_int_equal(read_cut(&r, text, strlen(text), 1000, &head, &left), HTTP_READY);
		if (http_websocket_accepted(&head, nonce) != cases[i].good) fail_msg("%s", cases[i].text);
		http_reader_free(&r);
	}
}

/* Chapter 2.5, FRM-018, HTTP-005, HTTP-017, KEY-003: the texts that we write, byte by byte. */
static void written(void **state)
{
	static const uint8_t key[32] = { 0x8f, 0x40 };
	char text[HTTP_OUT_MAX], longest[100000];
	uint32_t n;

	(void)state;
	n = http_upgrade_request(text, "derp.example.com", "/derp", false, NULL);
	text[n] = 0;
	assert_string_equal(text, "GET /derp HTTP/1.1\r\nHost: derp.example.com\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\n"
	                          "Upgrade: DERP\r\n\r\n");
	n = http_upgrade_request(text, "h:8443", "/derp", true, "900a");
	text[n] = 0;
	assert_string_equal(text, "GET /derp HTTP/1.1\r\nHost: h:8443\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\n"
	                          "Derp-Fast-Start: 1\r\nIdeal-Node: 900a\r\nUpgrade: DERP\r\n\r\n");
	memset(longest, 'a', sizeof longest - 1);
	for (size_t i = 0; i < 4; i++) { /* 2,047 bytes in all are the last that fit */
		static const size_t lengths[] = { sizeof longest - 1, 1934, 1933, 1932 };
		longest[lengths[i]] = 0;
		assert_int_equal(http_upgrade_request(text, "h", longest, true, NULL), i >= 2 ? lengths[i] + 114 : 0);
	}
	n = http_upgrade_response(text, key);
	text[n] = 0;
	assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n"
	                          "Derp-Public-Key: 8f40000000000000000000000000000000000000000000000000000000000000\r\n\r\n");
	n = http_answer(text, 426, NULL, "no\n", true);
	text[n] = 0;
	assert_string_equal(text, "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nno\n");
	n = http_answer(text, 307, "Location: /derp\r\n", "", false);
	text[n] = 0;
	assert_string_equal(text, "HTTP/1.1 307 Temporary Redirect\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n"
	                          "Location: /derp\r\nConnection: close\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_parsed),   cmocka_unit_test(response_parsed),
		cmocka_unit_test(limits),           cmocka_unit_test(judged),
		cmocka_unit_test(tokens),           cmocka_unit_test(written),
		cmocka_unit_test(websocket_asked),  cmocka_unit_test(websocket_answered),
		cmocka_unit_test(websocket_judged), cmocka_unit_test(websocket_recognised),
		cmocka_unit_test(request_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
