/* Responses byte by byte, redirects that cannot be led astray, and dates. */
#include "reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT UINT64_C(1795438505) /* Mon, 23 Nov 2026 12:55:05 GMT */
#define DATE "Date: Mon, 23 Nov 2026 12:55:05 GMT\r\n"

static void is(struct reply *r, bool head_only, bool close, const char *want)
{
	struct packet *packet = reply_write(r, head_only, close, AT);

	assert_int_equal(packet->n, strlen(want));
	assert_memory_equal(packet->bytes, want, packet->n);
	packet_drop(packet);
}

/* Fields of the endpoint in the order of their names, then those of the server; a length where there is, or could be, a body. */
static void written(void **state)
{
	static const struct http_text challenge = { "abc:1", 5 };
	struct reply r;

	(void)state;
	reply_init(&r, 200, NULL, REPLY_ANY_ORIGIN);
	is(&r, false, false, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n" DATE "Content-Length: 0\r\n\r\n");
	is(&r, true, false, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n" DATE "\r\n");
	reply_init(&r, 204, NULL, REPLY_NO_CACHE);
	r.challenge = challenge;
	is(&r, false, true,
	   "HTTP/1.1 204 No Content\r\nCache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\n"
	   "X-Tailscale-Response: response abc:1\r\n" DATE "Connection: close\r\n\r\n");
	reply_init(&r, 200, "application/json", REPLY_SAY_CLOSE | REPLY_BROWSER);
	reply_format(&r, "{%d", 1);
	reply_put(&r, "}\0", 2);
	is(&r, true, true,
	   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'; form-action 'self'; "
	   "base-uri 'self'; block-all-mixed-content; object-src 'none'\r\nContent-Type: application/json\r\n"
	   "Strict-Transport-Security: max-age=63072000; includeSubDomains\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n" DATE
	   "Content-Length: 4\r\n\r\n");
	reply_error(&r, 404, "gone");
	is(&r, false, false,
	   "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" DATE
	   "Content-Length: 5\r\n\r\ngone\n");
	reply_free(&r);
	reply_init(&r, 200, "text/plain", REPLY_TYPE_GUESSED);
	is(&r, false, false, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
	reply_put(&r, "x", 1);
	is(&r, false, false, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 1\r\nContent-Type: text/plain\r\n\r\nx");
	reply_free(&r);
	reply_init(&r, 200, "text/plain", REPLY_TYPE_GUESSED | REPLY_CHUNKED);
	is(&r, false, false, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
}

/* A link for GET only; what stands in the URL breaks neither header nor page. */
static void redirected(void **state)
{
	static const char url[] = "/a?\"<'>&\xc3\xa9";
	static const struct {
		const char *method, *want;
	} cases[] = {
		{ "GET", "HTTP/1.1 307 Temporary Redirect\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /a?\"<'>&%c3%a9\r\n" DATE
		         "Content-Length: 68\r\n\r\n<a href=\"/a?&#34;&lt;&#39;&gt;&amp;%c3%a9\">Temporary Redirect</a>.\n\n" },
		{ "HEAD", "HTTP/1.1 307 Temporary Redirect\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /a?\"<'>&%c3%a9\r\n" DATE "\r\n" },
		{ "POST", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /a?\"<'>&%c3%a9\r\n" DATE "Content-Length: 0\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_text method = { cases[i].method, (uint32_t)strlen(cases[i].method) };
		struct reply r;
		reply_init(&r, 200, NULL, 0);
		reply_redirect(&r, 307, url, strlen(url), method);
		is(&r, i == 1, false, cases[i].want);
		reply_free(&r);
	}
}

static void dates(void **state)
{
	static const struct {
		uint64_t s;
		const char *text;
	} cases[] = {
		{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },          { 86399, "Thu, 01 Jan 1970 23:59:59 GMT" },
		{ 951782399, "Mon, 28 Feb 2000 23:59:59 GMT" },  { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
		{ 951868800, "Wed, 01 Mar 2000 00:00:00 GMT" },  { 1735689599, "Tue, 31 Dec 2024 23:59:59 GMT" },
		{ 1735689600, "Wed, 01 Jan 2025 00:00:00 GMT" }, { AT, "Mon, 23 Nov 2026 12:55:05 GMT" },
		{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" }, { 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[REPLY_DATE];
		assert_string_equal(reply_date(cases[i].s, out), cases[i].text);
	}
	for (uint64_t day = 0; day < 3000000; day += 997) { /* any time at all fits */
		char out[REPLY_DATE];
		assert_int_equal(strlen(reply_date(day * 86400, out)), REPLY_DATE - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written),
		cmocka_unit_test(redirected),
		cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
