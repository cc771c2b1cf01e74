/* Which endpoint a request reaches, who sees what, and what the answers say. What a relay makes of it is in relay_http_test.c. */
#include "endpoint.h"

#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct endpoint_site site = { .home = "", .derp = true };
static char request[40000], answer[40000];

/* Routes a request; `answer` is what would be written of it, the date cut out. */
static enum endpoint route(const struct endpoint_site *s, const char *from, bool tls, bool helper)
{
	struct endpoint_call call = { .tls = tls, .helper = helper };
	const uint8_t *p = (const uint8_t *)request;
	size_t n = strlen(request);
	struct http_reader r;
	struct http_head head;
	struct reply reply;
	struct packet *packet;
	enum endpoint endpoint;
	char *date;

	http_reader_init(&r, false);
	if (http_read(&r, &p, &n, &head) != HTTP_READY) fail_msg("%s", request);
	if (from[0] != 0) assert_true(address_ip_parse(from, strlen(from), &call.remote));
	call.head = &head;
	endpoint = endpoint_route(s, &call, &reply);
	packet = reply_write(&reply, http_text_is(head.method, "HEAD"), false, 0);
	assert_true(packet->n < sizeof answer);
	memcpy(answer, packet->bytes, packet->n);
	answer[packet->n] = 0;
	date = strstr(answer, "Date: ");
	if (date != NULL) memmove(date, strchr(date, '\n') + 1, strlen(strchr(date, '\n')));
	packet_drop(packet);
	reply_free(&reply);
	return endpoint;
}

static enum endpoint get(const char *target)
{
	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	return route(&site, "203.0.113.9", false, false);
}

static void answers(const char *start)
{
	if (strncmp(answer, start, strlen(start)) != 0) fail_msg("%s\nwas answered by %s", request, answer);
}

static void has(const char *text)
{
	if (strstr(answer, text) == NULL) fail_msg("%s\nwas answered by %s", request, answer);
}

static void has_not(const char *text)
{
	if (strstr(answer, text) != NULL) fail_msg("%s\nwas answered by %s", request, answer);
}

/* HTTP-004, HTTP-038, HTTP-043: exact names, whatever the query; all else is the home page. */
static void names(void **state)
{
	static const struct {
		const char *target;
		enum endpoint endpoint;
		const char *start;
	} cases[] = {
		{ "/derp", ENDPOINT_DERP, "" },
		{ "/derp?a=b", ENDPOINT_DERP, "" },
		{ "/%64erp", ENDPOINT_DERP, "" },
		{ "/de%72%70", ENDPOINT_DERP, "" },
		{ "/%6a%6A", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "http://relay.test/derp", ENDPOINT_DERP, "" },
		{ "/derp/", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/derp/x", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/DERP", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/derp%2Fprobe", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/derp%00", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/derp/probe?", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nAccess-Control" },
		{ "/derp/latency-check", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nAccess-Control" },
		{ "/derp/probe/", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/generate_204", ENDPOINT_REPLY, "HTTP/1.1 204 No Content\r\n" },
		{ "/bootstrap-dns?q=x", ENDPOINT_BOOTSTRAP, "" },
		{ "/healthz", ENDPOINT_HEALTH, "" },
		{ "/", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "http://relay.test", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "http://relay.test?x", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/debugger", ENDPOINT_REPLY, "HTTP/1.1 200 OK\r\nContent-Security" },
		{ "/debug", ENDPOINT_REPLY, "HTTP/1.1 307 " },
		{ "/debug/", ENDPOINT_REPLY, "HTTP/1.1 403 " },
		{ "/debug/none", ENDPOINT_REPLY, "HTTP/1.1 403 " },
		{ "derp", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "*", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "?x", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%2", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%xy", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%6y", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%6G", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%6:", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "/a%6.", ENDPOINT_REPLY, "HTTP/1.1 400 " },
		{ "ftp://relay.test/derp", ENDPOINT_REPLY, "HTTP/1.1 400 " },
	};
	struct endpoint_site original = site;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (get(cases[i].target) != cases[i].endpoint) fail_msg("%s", cases[i].target);
		if (cases[i].endpoint == ENDPOINT_REPLY) answers(cases[i].start);
	}
	original.original = true;
	snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(route(&original, "", false, false), ENDPOINT_REPLY);
	answers("HTTP/1.1 200 OK\r\nContent-Security");
}

/* HTTP-004: a path that needs cleaning is redirected with 307, its query kept; one that does not is served. */
static void cleaned(void **state)
{
	static const char *const cases[][2] = {
		{ "//derp", "/derp" },
		{ "/./derp", "/derp" },
		{ "/derp/.", "/derp" },
		{ "/x/../derp", "/derp" },
		{ "/../../derp", "/derp" },
		{ "/derp//", "/derp/" },
		{ "/derp/probe/..", "/derp" },
		{ "/derp/x/../", "/derp/" },
		{ "//", "/" },
		{ "/..", "/" },
		{ "/a/..", "/" },
		{ "//derp?x=1&y=//", "/derp?x=1&y=//" },
		{ "http://relay.test//derp", "/derp" },
		{ "/debug?x", "/debug/?x" },
	};
	char want[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		get(cases[i][0]);
		answers("HTTP/1.1 307 Temporary Redirect\r\n");
		snprintf(want, sizeof want, "\r\nLocation: %s\r\n", cases[i][1]);
		has(want);
	}
	get("/a..b/...");
	answers("HTTP/1.1 200 ");
}

/* The longest target, one byte more, and nearly as many as a head may have. */
static void target_triple(void **state)
{
	(void)state;
	for (int n = 8191; n <= 16000; n += n < 8193 ? 1 : 7807) {
		snprintf(request, sizeof request, "GET /%0*d HTTP/1.1\r\nHost: x\r\n\r\n", n - 1, 0);
		route(&site, "", false, false);
		answers(n <= 8192 ? "HTTP/1.1 200 " : "HTTP/1.1 414 ");
		snprintf(request, sizeof request, "GET //%0*d HTTP/1.1\r\nHost: x\r\n\r\n", n - 2, 0);
		route(&site, "", false, false);
		answers(n <= 8192 ? "HTTP/1.1 307 " : "HTTP/1.1 414 ");
	}
}

/* HTTP-035: GET and HEAD; others 405. HTTP-036, HTTP-038, HTTP-039: any method. HTTP-045: CONNECT is refused. */
static void methods(void **state)
{
	static const struct {
		const char *line;
		bool tls;
		const char *start;
	} cases[] = {
		{ "HEAD /derp/probe", false, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\n" },
		{ "POST /derp/probe", false, "HTTP/1.1 405 Method Not Allowed\r\n" },
		{ "OPTIONS /derp/latency-check", false, "HTTP/1.1 405 Method Not Allowed\r\n" },
		{ "get /derp/probe", false, "HTTP/1.1 405 Method Not Allowed\r\n" },
		{ "DELETE /generate_204", false, "HTTP/1.1 204 No Content\r\n" },
		{ "BREW /", false, "HTTP/1.1 200 OK\r\n" },
		{ "PUT /robots.txt", false, "HTTP/1.1 200 OK\r\n" },
		{ "OPTIONS *", false, "HTTP/1.1 200 OK\r\n" },
		{ "CONNECT controlplane.example:443", false, "HTTP/1.1 404 Not Found\r\n" },
		{ "CONNECT controlplane.example:443", true, "HTTP/1.1 403 Forbidden\r\n" },
		{ "CONNECT /derp/probe", true, "HTTP/1.1 403 Forbidden\r\n" },
		{ "CONNECT /derp/probe", false, "HTTP/1.1 405 Method Not Allowed\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].line);
		route(&site, "203.0.113.9", cases[i].tls, false);
		answers(cases[i].start);
	}
	has("bogus probe method\n");
	get("/robots.txt"); /* HTTP-039 */
	has("X-Frame-Options: DENY\r\nContent-Length: 26\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nUser-agent: *\nDisallow: /\n");
	snprintf(request, sizeof request, "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n");
	route(&site, "", true, false);
	has("\r\n\r\nCONNECT not enabled\n");
}

/* HTTP-003: HTTP/1.1 needs a Host, of any name that could be one; it is the original that asks for exactly one. */
static void hosts(void **state)
{
	static const struct {
		const char *fields;
		bool good;
	} cases[] = {
		{ "1.1\r\nHost: x", true },
		{ "1.1\r\nHost:", true },
		{ "1.1\r\nhOST: [::1]:443", true },
		{ "1.0", true },
		{ "1.1\r\nX: y", false },
		{ "1.1\r\nHost: x\r\nHost: x", false },
		{ "1.0\r\nHost: x\r\nHost: y", false },
		{ "1.1\r\nHost: x y", false },
		{ "1.1\r\nHost: x/", false },
		{ "1.1\r\nHost: x\"", false },
		{ "1.1\r\nHost: x\xc3\xa9", false },
		{ "1.1\r\nHost: X-1.EXAMPLE:8443", true },
		{ "1.1\r\nHost: x{", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(request, sizeof request, "GET /generate_204 HTTP/%s\r\n\r\n", cases[i].fields);
		route(&site, "", false, false);
		answers(cases[i].good ? "HTTP/1.1 204 " : "HTTP/1.1 400 ");
	}
}

/* HTTP-037: 64 characters at most, of these only. */
static void challenges(void **state)
{
	static char text[4100], want[4200];

	(void)state;
	for (int n = 63; n <= 4000; n += n < 65 ? 1 : 3935) {
		snprintf(text, sizeof text, "aZ09.-_:%0*d", n - 8, 0);
		snprintf(request, sizeof request, "GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: %s\r\n\r\n", text);
		snprintf(want, sizeof want, "\r\nX-Tailscale-Response: response %s\r\n", text);
		route(&site, "", false, false);
		answers("HTTP/1.1 204 ");
		if (n <= 64)
			has(want);
		else
			has_not("X-Tailscale-Response");
	}
	for (int c = 0x20; c < 0x100; c++) {
		bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(".-_:", c) != NULL;
		if (c == 0x7f) continue;
		snprintf(request, sizeof request, "GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: a%cb\r\n\r\n", c);
		route(&site, "", false, false);
		if ((strstr(answer, "X-Tailscale-Response: response a") != NULL) != legal) fail_msg("character %d", c);
	}
	snprintf(request, sizeof request, "GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: \r\n\r\n");
	route(&site, "", false, false);
	has_not("X-Tailscale-Response");
}

/* HTTP-043: loopback and Tailscale's ranges to their last address, the allowed ones, the key; not behind a proxy without the key. */
static void debug_access(void **state)
{
	static const struct {
		const char *from, *target, *field;
		bool allowed;
	} cases[] = {
		{ "127.0.0.1", "/", "", true },
		{ "127.255.255.255", "/", "", true },
		{ "128.0.0.0", "/", "", false },
		{ "::1", "/", "", true },
		{ "::2", "/", "", false },
		{ "100.63.255.255", "/", "", false },
		{ "100.64.0.0", "/", "", true },
		{ "100.127.255.255", "/", "", true },
		{ "100.128.0.0", "/", "", false },
		{ "100.115.91.255", "/", "", true },
		{ "100.115.92.0", "/", "", false },
		{ "100.115.93.255", "/", "", false },
		{ "100.115.94.0", "/", "", true },
		{ "fd7a:115c:a1e0::", "/", "", true },
		{ "fd7a:115c:a1e0:ffff:ffff:ffff:ffff:ffff", "/", "", true },
		{ "fd7a:115c:a1e1::", "/", "", false },
		{ "198.51.100.4", "/", "", true },
		{ "198.51.100.5", "/", "", false },
		{ "", "/", "", false },
		{ "127.0.0.1", "/", "X-Forwarded-For: 127.0.0.1\r\n", false },
		{ "127.0.0.1", "/", "X-Forwarded-For:\r\n", true },
		{ "203.0.113.9", "/?debugkey=se+cret%21", "", true },
		{ "203.0.113.9", "/?a=b&debugkey=se%20cret!", "X-Forwarded-For: 1.2.3.4\r\n", true },
		{ "203.0.113.9", "/?debugkey=se+cre", "", false },
		{ "203.0.113.9", "/?debugkey=se+cret!!", "", false },
		{ "203.0.113.9", "/?debugkey=", "", false },
		{ "203.0.113.9", "/?xdebugkey=se+cret!", "", false },
		{ "203.0.113.9", "/?debugkeys=se+cret!", "", false },
		{ "203.0.113.9", "/?debugkey=no&debugkey=se+cret!", "", false }, /* the first counts */
	};
	struct endpoint_site s = site;

	(void)state;
	s.debug_key = "se cret!";
	s.allow_n = 1;
	assert_true(address_ip_parse("198.51.100.4", 12, &s.allow[0]));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(request, sizeof request, "GET /debug%s HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].target, cases[i].field);
		if ((route(&s, cases[i].from, false, false) == ENDPOINT_DEBUG) != cases[i].allowed) fail_msg("%s %s", cases[i].from, request);
		if (!cases[i].allowed) answers("HTTP/1.1 403 Forbidden\r\n");
	}
	snprintf(request, sizeof request, "POST /debug/?debugkey=se+cret! HTTP/1.1\r\nHost: x\r\n\r\n");
	route(&s, "203.0.113.9", false, false);
	answers("HTTP/1.1 403 Forbidden\r\n"); /* GET only */
	has("debug access denied\n");
	snprintf(request, sizeof request, "GET /debug/none HTTP/1.1\r\nHost: x\r\n\r\n");
	route(&s, "127.0.0.1", false, false);
	answers("HTTP/1.1 404 Not Found\r\n");
	snprintf(request, sizeof request, "GET /debug/traffic?x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(route(&s, "127.0.0.1", false, false), ENDPOINT_TRAFFIC);
}

/* HTTP-038, HTTP-041: the page says when DERP is off and shows the way to those who may see /debug/; or nothing; or elsewhere. */
static void homes(void **state)
{
	struct endpoint_site s = site;

	(void)state;
	get("/");
	has_not("disabled");
	has_not("/debug/");
	has("Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n"); /* HTTP-040 */
	has("Content-Type: text/html; charset=utf-8\r\n");
	route(&s, "127.0.0.1", false, false);
	has("href=\"/debug/\"");
	s.derp = false;
	route(&s, "", false, false);
	has("<b>disabled</b>");
	snprintf(request, sizeof request, "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\n\r\n");
	assert_int_equal(route(&s, "", false, false), ENDPOINT_REPLY);
	answers("HTTP/1.1 404 Not Found\r\n");
	has("derp server disabled\n");
	snprintf(request, sizeof request, "GET /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n");
	route(&s, "", false, false);
	answers("HTTP/1.1 200 OK\r\nAccess-Control");
	s.home = "blank";
	snprintf(request, sizeof request, "GET /any HTTP/1.1\r\nHost: x\r\n\r\n");
	route(&s, "127.0.0.1", false, false);
	has("Content-Type: text/html; charset=utf-8\r\n");
	has("\r\nContent-Length: 0\r\n\r\n");
	s.home = "https://derp.example/x?a&b";
	route(&s, "", false, false);
	answers("HTTP/1.1 302 Found\r\n");
	has("\r\nLocation: https://derp.example/x?a&b\r\nStrict-Transport-Security");
	has("<a href=\"https://derp.example/x?a&amp;b\">Found</a>.\n\n");
}

/* HTTP-044: the plain port serves generate_204 and /debug/, and sends everything else to the other port. */
static void helper_port(void **state)
{
	static const struct {
		const char *line, *from, *want;
	} cases[] = {
		{ "GET /derp", "203.0.113.9", "Location: https://h:81/derp\r\n" },
		{ "HEAD /derp/probe?x=1", "203.0.113.9", "Location: https://h:81/derp/probe?x=1\r\n" },
		{ "GET /", "203.0.113.9", "Location: https://h:81/\r\n" },
		{ "GET /", "127.0.0.1", "Location: https://h:81/debug/\r\n" },
		{ "GET /?", "127.0.0.1", "Location: https://h:81/?\r\n" },
		{ "GET //x", "203.0.113.9", "HTTP/1.1 307 " },
		{ "GET /healthz", "203.0.113.9", "Location: https://h:81/healthz\r\n" },
		{ "POST /x", "203.0.113.9", "HTTP/1.1 400 Bad Request\r\n" },
		{ "POST /", "203.0.113.9", "\r\n\r\nUse HTTPS\n" },
		{ "POST /generate_204", "203.0.113.9", "HTTP/1.1 204 No Content\r\n" },
		{ "GET /debug/", "203.0.113.9", "HTTP/1.1 403 Forbidden\r\n" },
		{ "GET /debug", "203.0.113.9", "HTTP/1.1 307 " },
		{ "CONNECT a:1", "127.0.0.1", "HTTP/1.1 404 Not Found\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: h:81\r\n\r\n", cases[i].line);
		route(&site, cases[i].from, false, true);
		has(cases[i].want);
	}
	snprintf(request, sizeof request, "GET /debug/varz HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(route(&site, "127.0.0.1", false, true), ENDPOINT_VARZ);
	snprintf(request, sizeof request, "GET /x HTTP/1.0\r\n\r\n");
	route(&site, "127.0.0.1", false, true);
	answers("HTTP/1.1 400 ");
}

/* A value of the longest length, one byte more, and far more; escapes that break. */
static void query_values(void **state)
{
	char out[ENDPOINT_VALUE_MAX];

	(void)state;
	for (int n = 254; n <= 8000; n += n < 256 ? 1 : 7744) {
		struct http_head head = { 0 };
		int length = snprintf(request, sizeof request, "/x?q=%0*d", n, 0);
		head.target = (struct http_text){ request, (uint32_t)length };
		assert_int_equal(endpoint_query(&head, "q", out), n <= 255);
	}
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = { "/?q=%", "/?q=%0", "/?q=%zz", "/?q=%00" };
		struct http_head head = { .target = { bad[i], (uint32_t)strlen(bad[i]) } };
		assert_false(endpoint_query(&head, "q", out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),       cmocka_unit_test(cleaned),      cmocka_unit_test(target_triple), cmocka_unit_test(methods),
		cmocka_unit_test(hosts),       cmocka_unit_test(challenges),   cmocka_unit_test(debug_access),  cmocka_unit_test(homes),
		cmocka_unit_test(helper_port), cmocka_unit_test(query_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
