/* JSON as Go's encoding/json reads it, and the writer. Documents of the protocol are in login_test.c and derpmap_test.c. */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
	const char *p;
	bool good;
};

/* Skips one value in a copy of exactly that length. */
static bool valid(const char *text, size_t n)
{
	struct json_reader *r = malloc(sizeof *r);
	char *copy = malloc(n + (n == 0));
	bool good;

	assert_non_null(r);
	assert_non_null(copy);
	memset(r, 0xa5, sizeof *r);
	memcpy(copy, text, n);
	json_init(r, copy, n);
	json_skip(r);
	good = json_done(r);
	assert_int_equal(good, !r->bad);
	if (r->bad) assert_non_null(r->error);
	assert_true(r->at <= n);
	free(copy);
	free(r);
	return good;
}

static const struct text grammar_cases[] = {
	{ "null", true },
	{ "true", true },
	{ "false", true },
	{ "0", true },
	{ "-0", true },
	{ "1e5", true },
	{ "1E+5", true },
	{ "1.5e-5", true },
	{ "-1.25", true },
	{ "\"\"", true },
	{ "[]", true },
	{ "{}", true },
	{ " [ 1 , 2 ] ", true },
	{ "{\"a\":1,\"a\":2}", true },
	{ "[[],{},[{}]]", true },
	{ "\t\r\n 1 \n", true },
	{ "\"\x7f\"", true },
	{ "\"\\u0000\"", true },
	{ "\"\\ud83d\\udd11\"", true },
	{ "\"\\ud83d\"", true },
	{ "\"\\/\\\\\\\"\\b\\f\\n\\r\\t\"", true },
	{ "{\"\":0}", true },
	{ "", false },
	{ " ", false },
	{ "nul", false },
	{ "nulll", false },
	{ "True", false },
	{ "tru", false },
	{ "falsee", false },
	{ "01", false },
	{ "-", false },
	{ "-01", false },
	{ "+1", false },
	{ ".5", false },
	{ "1.", false },
	{ "1.e5", false },
	{ "1e", false },
	{ "1e+", false },
	{ "0x1", false },
	{ "NaN", false },
	{ "Infinity", false },
	{ "--1", false },
	{ "1 2", false },
	{ "\"", false },
	{ "\"a", false },
	{ "'a'", false },
	{ "\"\n\"", false },
	{ "\"\x1f\"", false },
	{ "\"\\x41\"", false },
	{ "\"\\u12\"", false },
	{ "\"\\u12g4\"", false },
	{ "\"\\\"", false },
	{ "\"\\", false },
	{ "[", false },
	{ "]", false },
	{ "[1", false },
	{ "[1,", false },
	{ "[1,]", false },
	{ "[,1]", false },
	{ "[1 2]", false },
	{ "[1}", false },
	{ "{", false },
	{ "{]", false },
	{ "{\"a\"}", false },
	{ "{\"a\":}", false },
	{ "{\"a\":1,}", false },
	{ "{,}", false },
	{ "{a:1}", false },
	{ "{1:1}", false },
	{ "{\"a\" 1}", false },
	{ "{\"a\":1 \"b\":2}", false },
	{ "{\"a\":1}}", false },
	{ "[]]", false },
	{ "\xef\xbb\xbf{}", false },
	{ "/**/{}", false },
	{ "{}\v", false },
	{ "\xc2\xa0{}", false },
	{ "[1,2]x", false },
	{ "\"\\u", false },
	{ "\"\\ud83d\\u", false },
};

/* HSK-009: the grammar, checked in what is skipped too. */
static void grammar(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof grammar_cases / sizeof *grammar_cases; i++)
		if (valid(grammar_cases[i].p, strlen(grammar_cases[i].p)) != grammar_cases[i].good) fail_msg("%s", grammar_cases[i].p);
	assert_false(valid("{}", 3)); /* a NUL behind the value */
	assert_false(valid("\"\0\"", 3));
	assert_false(valid("\"\\\0\"", 4)); /* nor is it one of the characters that may be escaped */
}

/* Every prefix of a good document is refused, without reading behind its end. */
static void prefixes(void **state)
{
	static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\"],\"b\":{\"c\":null,\"d\":[true,false,{}]},\"e\":\"\\ud83d\\udd11\"}";

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) assert_false(valid(text, n));
	assert_true(valid(text, sizeof text - 1));
}

/* HSK-009: 10,000 levels are read, 10,001 and a million are not; arrays and objects count alike. */
static void depth(void **state)
{
	char *text = malloc(8000000);

	(void)state;
	assert_non_null(text);
	for (int kind = 0; kind < 2; kind++)
		for (size_t levels = 9999; levels <= 1000000; levels += levels <= 10000 ? 1 : 989999) {
			size_t n = 0;
			for (size_t i = 0; i < levels; i++) n += (size_t)sprintf(text + n, kind ? "{\"a\":" : "[");
			if (kind) n += (size_t)sprintf(text + n, "0");
			for (size_t i = 0; i < levels; i++) text[n++] = kind ? '}' : ']';
			assert_int_equal(valid(text, n), levels <= 10000);
		}
	free(text);
}

static struct json_reader reader(const char *text)
{
	static struct json_reader r;

	json_init(&r, text, strlen(text));
	return r;
}

static void integers(void **state)
{
	static const struct {
		const char *text;
		bool is_signed, is_unsigned;
		int64_t value;
	} cases[] = {
		{ "0", true, true, 0 },
		{ "-0", true, false, 0 },
		{ "42", true, true, 42 },
		{ "9223372036854775807", true, true, INT64_MAX },
		{ "9223372036854775808", false, true, INT64_MIN },
		{ "18446744073709551615", false, true, -1 },
		{ "18446744073709551616", false, false, 0 },
		{ "99999999999999999999", false, false, 0 },
		{ "-9223372036854775808", true, false, INT64_MIN },
		{ "-9223372036854775809", false, false, 0 },
		{ "1.0", false, false, 0 },
		{ "1e0", false, false, 0 },
		{ "\"1\"", false, false, 0 },
		{ "true", false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json_reader r = reader(cases[i].text);
		int64_t v = json_i64(&r);
		if (r.bad == cases[i].is_signed) fail_msg("%s", cases[i].text);
		if (!r.bad) assert_true(v == cases[i].value);
		r = reader(cases[i].text);
		v = (int64_t)json_u64(&r);
		if (r.bad == cases[i].is_unsigned && strcmp(cases[i].text, "-0") != 0) fail_msg("%s", cases[i].text);
		if (!r.bad) assert_true(v == cases[i].value);
	}
}

/* Millionths, rounded to nearest, saturating; no floating point. */
static void micro(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "50.11", 50110000 },
		{ "-122.4194155", -122419416 },
		{ "1e2", 100000000 },
		{ "1.5e-3", 1500 },
		{ "0.0000005", 1 },
		{ "0.00000049999", 0 },
		{ "0.4999999", 500000 },
		{ "-0.0000005", -1 },
		{ "180.0000000000000000000000000001", 180000000 },
		{ "0.00000000000000000000000000001e30", 10000000 },
		{ "0.00000005", 0 },
		{ "1e+2", 100000000 },
		{ "1e30", INT64_MAX },
		{ "1e31", INT64_MAX },
		{ "-1e9999999999", -INT64_MAX },
		{ "1e-9999999999", 0 },
		{ "0e9999", 0 },
		{ "123456789012345678901234567890e-25", 12345678901 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json_reader r = reader(cases[i].text);
		int64_t v = json_micro(&r);
		assert_false(r.bad);
		if (v != cases[i].value) fail_msg("%s is %lld, not %lld", cases[i].text, (long long)v, (long long)cases[i].value);
	}
}

/* Escapes, surrogates, and invalid UTF-8 as Go replaces it: one U+FFFD a bad byte. */
static void strings(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{ "\"abc\"", "abc" },
		{ "\"\\u0041\\u00e9\\u20ac\\ud83d\\udd11\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91" },
		{ "\"\xc3\xa9\xf0\x9f\x94\x91\"", "\xc3\xa9\xf0\x9f\x94\x91" },
		{ "\"\\ud83d\"", "\xef\xbf\xbd" },
		{ "\"\\udd11\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
		                        "A" },
		{ "\"\\ud83d\\ud83d\\udd11\"", "\xef\xbf\xbd\xf0\x9f\x94\x91" },
		{ "\"\\ud83d\\uFFee\"", "\xef\xbf\xbd\xef\xbf\xae" },
		{ "\"\\ud83dabcdef\\ud83d\\nabcde\"", "\xef\xbf\xbd"
		                                      "abcdef\xef\xbf\xbd\nabcde" },
		{ "\"\xff\xfe\"", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\xc3\"", "\xef\xbf\xbd" },
		{ "\"\xe2\x82z\"", "\xef\xbf\xbd\xef\xbf\xbdz" },
		{ "\"\xc0\xaf\"", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
		{ "\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate in UTF-8 */
		{ "\"\xf4\x90\x80\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t cap = 1; cap < 40; cap++) {
			struct json_reader r = reader(cases[i].text);
			char *out = malloc(cap);
			assert_non_null(out);
			assert_int_equal(json_string(&r, out, cap), strlen(cases[i].value));
			assert_true(json_done(&r));
			assert_true(strlen(out) < cap);
			assert_memory_equal(out, cases[i].value, strlen(out)); /* cut between runes, never inside */
			if (cap > strlen(cases[i].value)) assert_string_equal(out, cases[i].value);
			free(out);
		}
}

static void names(void **state)
{
	static const struct {
		const char *raw, *want;
		bool same;
	} cases[] = {
		{ "version", "version", true },
		{ "VERSION", "version", true },
		{ "vers\\u0069on", "version", true },
		{ "ver\xc5\xbfion", "version", true },
		{ "meshKey", "meshkey", true },
		{ "mesh\xe2\x84\xaa"
		  "ey",
		  "meshKey", true },
		{ "version ", "version", false },
		{ "versio", "version", false },
		{ "", "version", false },
		{ "", "", true },
		{ "v\\u00e9rsion", "version", false },
		{ "versions", "version", false },
		{ "\\u017fion", "Sion", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (json_name_is((const uint8_t *)cases[i].raw, strlen(cases[i].raw), cases[i].want) != cases[i].same) fail_msg("%s", cases[i].raw);
}

/* The pull interface: members and elements in order, what is not asked for is skipped. */
static void pulling(void **state)
{
	struct json_reader r = reader("{ \"a\" : [1, 2,3], \"b\": {\"x\": [null]}, \"c\" : true }");
	const uint8_t *name;
	size_t n, members = 0;
	int64_t sum = 0;

	(void)state;
	assert_int_equal(json_peek(&r), JSON_OBJECT);
	for (json_enter(&r); json_member(&r, &name, &n); members++) {
		if (json_name_is(name, n, "a")) {
			for (json_enter(&r); json_element(&r);) sum += json_i64(&r);
		} else if (json_name_is(name, n, "c")) {
			assert_true(json_bool(&r));
		} else {
			assert_int_equal(json_peek(&r), JSON_OBJECT);
			json_skip(&r);
		}
	}
	assert_true(json_done(&r));
	assert_int_equal(members, 3);
	assert_int_equal(sum, 6);
	r = reader("[1]");
	json_bool(&r);
	assert_true(r.bad);
	assert_int_equal(r.at, 0);
	json_skip(&r); /* bad is sticky */
	assert_false(json_element(&r));
	assert_false(json_done(&r));
	r = reader("1");
	json_enter(&r);
	assert_string_equal(r.error, "expected an object or array");
	for (int i = 0; i < 5; i++) { /* whatever is asked of what holds no value */
		char out[8];
		r = reader(" ?");
		if (i == 0) json_enter(&r);
		if (i == 1) assert_false(json_bool(&r));
		if (i == 2) assert_int_equal(json_i64(&r), 0);
		if (i == 3) assert_int_equal(json_micro(&r), 0);
		if (i == 4) assert_int_equal(json_string(&r, out, sizeof out), 0);
		assert_string_equal(r.error, "expected a value");
		assert_int_equal(r.at, 1);
	}
}

/* The writer sets commas and escapes; growing and fixed buffers agree; a full one says so and stays within. */
static void writing(void **state)
{
	static const char want[] = "{\"a\":[1,-2,18446744073709551615,true,null,[],{}],\"q\\\"\\\\\":\"\\u0001\\u000a\xc3\xa9\"}";

	(void)state;
	for (size_t cap = 0; cap <= sizeof want; cap++) {
		struct json_writer w;
		char *buffer = malloc(cap + (cap == 0));
		assert_non_null(buffer);
		if (cap == sizeof want)
			json_writer_init(&w);
		else
			json_writer_fixed(&w, buffer, cap);
		json_open(&w, '{');
		json_name(&w, "a");
		json_open(&w, '[');
		json_put_u64(&w, 1);
		json_put_i64(&w, -2);
		json_put_u64(&w, UINT64_MAX);
		json_put_bool(&w, true);
		json_put_null(&w);
		json_open(&w, '[');
		json_close(&w, ']');
		json_open(&w, '{');
		json_close(&w, '}');
		json_close(&w, ']');
		json_name(&w, "q\"\\");
		json_put_string(&w, "\x01\n\xc3\xa9", 4);
		json_close(&w, '}');
		assert_int_equal(w.full, cap < sizeof want - 1);
		if (!w.full) {
			assert_int_equal(w.n, sizeof want - 1);
			assert_memory_equal(w.p, want, w.n);
		}
		json_writer_free(&w);
		free(buffer);
	}
}

/* Whatever bytes a text has, what is written is JSON: each byte that is no UTF-8 becomes U+FFFD, all else is read back as it was. */
static void writing_odd_text(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "\xc3\xbc\xe5\x86\x86\xf0\x9f\x98\x80", "\"\xc3\xbc\xe5\x86\x86\xf0\x9f\x98\x80\"" },
		{ "a\xff\xfe z", "\"a\xef\xbf\xbd\xef\xbf\xbd z\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\x7f'/", "\"\x7f'/\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json_reader r;
		struct json_writer w;
		char back[64];
		json_writer_init(&w);
		json_put_string(&w, cases[i].text, strlen(cases[i].text));
		assert_int_equal(w.n, strlen(cases[i].want));
		assert_memory_equal(w.p, cases[i].want, w.n);
		json_init(&r, w.p, w.n);
		json_string(&r, back, sizeof back);
		assert_true(json_done(&r));
		assert_memory_equal(back, cases[i].want + 1, strlen(cases[i].want) - 2);
		json_writer_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar), cmocka_unit_test(prefixes),         cmocka_unit_test(depth), cmocka_unit_test(integers),
		cmocka_unit_test(micro),   cmocka_unit_test(strings),          cmocka_unit_test(names), cmocka_unit_test(pulling),
		cmocka_unit_test(writing), cmocka_unit_test(writing_odd_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
