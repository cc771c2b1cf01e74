/* Bodies of requests: what a head says of them, and skipping them whole and in pieces. */
#include "body.h"

#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t begin(struct body *b, const char *fields, bool *too_long)
{
	char text[600];
	struct http_reader r;
	struct http_head head;
	const uint8_t *p = (const uint8_t *)text;
	size_t n = (size_t)snprintf(text, sizeof text, "POST / HTTP/1.%s\r\n\r\n", fields);

	http_reader_init(&r, false);
	assert_int_equal(http_read(&r, &p, &n, &head), HTTP_READY);
	return body_begin(b, &head, too_long);
}

/* What the fields of a head mean; the smuggler's favourites are refused. */
static void heads(void **state)
{
	static const struct {
		const char *fields;
		uint32_t status;
		enum body_state state;
		uint32_t left;
		bool too_long;
	} cases[] = {
		{ "1", 0, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: 0", 0, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: 0\r\nExpect: 100-continue", 0, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: 7\r\ncontent-length: 7", 0, BODY_BYTES, 7, false },
		{ "1\r\nContent-Length: 7\r\nExpect: 100-continue", 0, BODY_BYTES, 7, true },
		{ "0\r\nContent-Length: 007", 0, BODY_BYTES, 7, false },
		{ "1\r\nContent-Length: 262143", 0, BODY_BYTES, BODY_MAX - 1, false },
		{ "1\r\nContent-Length: 262144", 0, BODY_BYTES, BODY_MAX, false },
		{ "1\r\nContent-Length: 262145", 0, BODY_BYTES, BODY_MAX, true },
		{ "1\r\nContent-Length: 99999999999999999999999999", 0, BODY_BYTES, BODY_MAX, true },
		{ "1\r\nTransfer-Encoding: Chunked", 0, BODY_SIZE, 0, false },
		{ "1\r\nContent-Length: 7\r\nContent-Length: 8", 400, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: -1", 400, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: +1", 400, BODY_OVER, 0, false },
		{ "1\r\nContent-Length:", 400, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: 1, 1", 400, BODY_OVER, 0, false },
		{ "1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400, BODY_OVER, 0, false },
		{ "0\r\nTransfer-Encoding: chunked", 400, BODY_OVER, 0, false },
		{ "1\r\nTransfer-Encoding: gzip, chunked", 501, BODY_OVER, 0, false },
		{ "1\r\nTransfer-Encoding: identity", 501, BODY_OVER, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct body b;
		bool too_long;
		if (begin(&b, cases[i].fields, &too_long) != cases[i].status) fail_msg("%s", cases[i].fields);
		if (cases[i].status != 0) continue;
		if (b.state != cases[i].state || b.left != cases[i].left || too_long != cases[i].too_long) fail_msg("%s", cases[i].fields);
	}
}

static enum body_result skip_cut(struct body *b, const char *text, size_t n, size_t chunk, size_t *left)
{
	enum body_result result = BODY_MORE;
	size_t at = 0;

	while (at < n && result == BODY_MORE) {
		size_t take = n - at < chunk ? n - at : chunk, rest = take;
		uint8_t *copy = mem_alloc(take);
		const uint8_t *p = copy;
		memcpy(copy, text + at, take);
		result = body_skip(b, &p, &rest);
		at += take - rest;
		free(copy);
	}
	*left = n - at;
	return result;
}

/* However it is cut, a body ends at the same byte, and what is behind it stays. */
static void skipped(void **state)
{
	static const struct {
		const char *fields, *text;
		enum body_result result;
		size_t left;
	} cases[] = {
		{ "1\r\nContent-Length: 5", "helloNEXT", BODY_DONE, 4 },
		{ "1\r\nContent-Length: 5", "hell", BODY_MORE, 0 },
		{ "1\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\nNEXT", BODY_DONE, 4 },
		{ "1\r\nTransfer-Encoding: chunked", "5\nhello\n00\n\nNEXT", BODY_DONE, 4 },
		{ "1\r\nTransfer-Encoding: chunked", "A;x=y\r\n0123456789\r\n1 \r\n.\r\n0\r\nTrailer: z\r\nB: c\r\n\r\nNEXT", BODY_DONE, 4 },
		{ "1\r\nTransfer-Encoding: chunked", "0\r\n\r", BODY_MORE, 0 },
		{ "1\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n", BODY_MORE, 0 },
		{ "1\r\nTransfer-Encoding: chunked", "\r\n", BODY_BAD, 0 },
		{ "1\r\nTransfer-Encoding: chunked", "x", BODY_BAD, 1 },
		{ "1\r\nTransfer-Encoding: chunked", "-1\r\n", BODY_BAD, 4 },
		{ "1\r\nTransfer-Encoding: chunked", "1\r\nab", BODY_BAD, 1 },
		{ "1\r\nTransfer-Encoding: chunked", "40001\r\n", BODY_BAD, 0 }, /* 262,145 */
		{ "1\r\nTransfer-Encoding: chunked", "ffffffffffffffffffff\r\n", BODY_BAD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t chunk = 1; chunk <= 40; chunk++) {
			struct body b;
			bool too_long;
			size_t left;
			enum body_result result;
			assert_int_equal(begin(&b, cases[i].fields, &too_long), 0);
			result = skip_cut(&b, cases[i].text, strlen(cases[i].text), chunk, &left);
			if (result != cases[i].result) fail_msg("%s", cases[i].text);
			if (result == BODY_DONE) assert_int_equal(left, cases[i].left);
		}
}

/* BODY_MAX bytes, framing included, are skipped and one more is not: endless small chunks, endless trailers, endless extensions. */
static void endless(void **state)
{
	static const char *const starts[] = { "", "0\r\n", "1;" }, *const again[] = { "1\r\nx\r\n", "Name: value\r\n", "extension" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct body b;
		bool too_long;
		const uint8_t *p = (const uint8_t *)starts[i];
		size_t n = strlen(starts[i]), total = n;
		enum body_result result;
		assert_int_equal(begin(&b, "1\r\nTransfer-Encoding: chunked", &too_long), 0);
		for (result = body_skip(&b, &p, &n); result == BODY_MORE; total++) {
			p = (const uint8_t *)&again[i][(total - strlen(starts[i])) % strlen(again[i])];
			n = 1;
			result = body_skip(&b, &p, &n);
		}
		assert_int_equal(result, BODY_BAD);
		assert_int_equal(total, BODY_MAX + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(skipped),
		cmocka_unit_test(endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
