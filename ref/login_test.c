/* The login of chapter 2, byte by byte, and what the JSON inside the boxes may be. */
#include "frame.h"
#include "login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct vector {
	struct key server, client, server_public, client_public, shared;
	uint8_t client_nonce[KEY_NONCE], server_nonce[KEY_NONCE];
};

static void count_up(uint8_t *p, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(first + i);
}

static struct vector vector_new(void)
{
	struct vector v;

	count_up(v.server.b, KEY_SIZE, 0x00);
	count_up(v.client.b, KEY_SIZE, 0x20);
	count_up(v.client_nonce, KEY_NONCE, 0x40);
	count_up(v.server_nonce, KEY_NONCE, 0x60);
	key_public(&v.server, &v.server_public);
	key_public(&v.client, &v.client_public);
	assert_true(key_shared(&v.client, v.server_public.b, &v.shared));
	return v;
}

static void equal_hex(const uint8_t *p, size_t n, const char *hex)
{
	assert_int_equal(strlen(hex), 2 * n);
	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], 0 };
		assert_int_equal(p[i], strtoul(two, NULL, 16));
	}
}

/* Chapter 2: keys and the shared key, from either side. */
static void vector_keys(void **state)
{
	struct vector v = vector_new();
	struct key other;

	(void)state;
	equal_hex(v.server_public.b, KEY_SIZE, "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
	equal_hex(v.client_public.b, KEY_SIZE, "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
	equal_hex(v.shared.b, KEY_SIZE, "429b61f5d96e37268dfc5114849d599c9ceabffdb68c1f52cd0499af30f5b377");
	assert_true(key_shared(&v.server, v.client_public.b, &other));
	assert_memory_equal(other.b, v.shared.b, KEY_SIZE);
}

/* Chapter 2.2: ClientInfo, HSK-005, HSK-010, FRM-018; and it opens again. */
static void vector_client_info(void **state)
{
	struct vector v = vector_new();
	struct client_info info = { .version = 2, .can_ack_pings = true }, back;
	uint8_t frame[LOGIN_FRAME_MAX];
	uint32_t n = login_client_info_frame(frame, &v.client_public, &v.shared, v.client_nonce, &info);

	(void)state;
	equal_hex(frame, n,
	          "0200000068358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254404142434445464748494a4b4c4d4e4f5051525354555657"
	          "5ced510ea521fd8c93b5fb572cdc3b83c51736ebbff954bbcd71a150815a3b3a0d6425f015948ec55275cfc4f82af696");
	assert_true(login_client_info_open(frame + FRAME_HEADER, n - FRAME_HEADER, &v.shared, &back));
	assert_int_equal(back.version, 2);
	assert_true(back.can_ack_pings);
	assert_false(back.is_prober);
	assert_true(key_is_zero(back.mesh_key.b));
}

/* Chapter 2.3: ServerInfo, HSK-021, HSK-025. */
static void vector_server_info(void **state)
{
	struct vector v = vector_new();
	struct server_info info = { .version = 2 }, back;
	uint8_t frame[LOGIN_FRAME_MAX];
	uint32_t n = login_server_info_frame(frame, &v.shared, v.server_nonce, &info);

	(void)state;
	equal_hex(frame, n, "0300000035606162636465666768696a6b6c6d6e6f7071727374757677bfd7ab32b35ecdf6bc47d122c45a266f4e7505b0459aebc8c4d09c7a45");
	assert_true(login_server_info_open(frame + FRAME_HEADER, n - FRAME_HEADER, &v.shared, &back));
	assert_int_equal(back.version, 2);
	assert_int_equal(back.bucket_bytes_per_second, 0);
}

/* HSK-008: a changed byte anywhere, a wrong key, or a box that is cut does not open. */
static void box_changed(void **state)
{
	struct vector v = vector_new();
	struct client_info info = { .version = 2 }, back;
	struct server_info server = { .version = 2 }, server_back;
	uint8_t frame[LOGIN_FRAME_MAX];
	uint32_t n = login_client_info_frame(frame, &v.client_public, &v.shared, v.client_nonce, &info) - FRAME_HEADER;

	(void)state;
	for (uint32_t i = KEY_SIZE; i < n; i++) {
		frame[FRAME_HEADER + i] ^= 0x10;
		assert_false(login_client_info_open(frame + FRAME_HEADER, n, &v.shared, &back));
		frame[FRAME_HEADER + i] ^= 0x10;
	}
	for (uint32_t i = 0; i < n; i++) assert_false(login_client_info_open(frame + FRAME_HEADER, i, &v.shared, &back));
	assert_true(login_client_info_open(frame + FRAME_HEADER, n, &v.shared, &back));
	n = login_server_info_frame(frame, &v.shared, v.server_nonce, &server) - FRAME_HEADER;
	for (uint32_t i = 0; i < n; i++) assert_false(login_server_info_open(frame + FRAME_HEADER, i, &v.shared, &server_back));
	v.shared.b[0] ^= 1;
	assert_false(login_server_info_open(frame + FRAME_HEADER, n, &v.shared, &server_back));
}

/* 4.1: members in their order, only when set (HSK-010); CanAckPings always. */
static void json_emitted(void **state)
{
	struct client_info info = { .version = 2, .can_ack_pings = true, .is_prober = true, .app_name = "probe \"x\"" };
	struct server_info server = { .version = 2, .bucket_bytes_per_second = 1000, .bucket_bytes_burst = 5000 };
	char text[LOGIN_JSON_MAX];
	size_t n;

	(void)state;
	for (int i = 0; i < KEY_SIZE; i++) info.mesh_key.b[i] = (uint8_t)i;
	n = login_client_info_json(&info, text);
	text[n] = 0;
	assert_string_equal(text,
	                    "{\"meshKey\":\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\",\"version\":2,\"CanAckPings\":true,"
	                    "\"IsProber\":true,\"AppName\":\"probe \\\"x\\\"\"}");
	n = login_client_info_json(&(struct client_info){ .version = 2 }, text);
	text[n] = 0;
	assert_string_equal(text, "{\"version\":2,\"CanAckPings\":false}");
	n = login_server_info_json(&server, text);
	text[n] = 0;
	assert_string_equal(text, "{\"version\":2,\"TokenBucketBytesPerSecond\":1000,\"TokenBucketBytesBurst\":5000}");
	memset(info.app_name, 1, sizeof info.app_name - 1); /* the worst: every byte escaped; FRM-017 */
	assert_true(login_client_info_json(&info, text) <= LOGIN_JSON_MAX);
}

#define HEX64 "000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const struct {
	const char *json;
	bool good;
	int64_t version;
	bool ack, prober, mesh;
} info_cases[] = {
	{ "{\"version\":2,\"CanAckPings\":true}", true, 2, true, false, false },
	{ "{}", true, 0, false, false, false },
	{ " \t\r\n{ \"version\" : 2 } \n", true, 2, false, false, false },
	{ "null", true, 0, false, false, false },
	{ "{\"version\":null,\"CanAckPings\":null,\"IsProber\":null,\"AppName\":null}", true, 0, false, false, false },
	{ "{\"Version\":3,\"CANACKPINGS\":true,\"isprober\":true,\"appname\":\"x\"}", true, 3, true, true, false },
	{ "{\"ver\\u0073ion\":4}", true, 4, false, false, false },
	{ "{\"ver\xc5\xbfion\":5}", true, 5, false, false, false }, /* long s */
	{ "{\"version\":1,\"version\":7}", true, 7, false, false, false },
	{ "{\"version\":\"1\",\"version\":7}", false, 0, false, false, false },
	{ "{\"unknown\":[1,{\"a\":[]},\"x\"],\"version\":2}", true, 2, false, false, false },
	{ "{\"version\":-9223372036854775808}", true, INT64_MIN, false, false, false },
	{ "{\"version\":9223372036854775807}", true, INT64_MAX, false, false, false },
	{ "{\"version\":9223372036854775808}", false, 0, false, false, false },
	{ "{\"version\":2.0}", false, 0, false, false, false },
	{ "{\"version\":2e0}", false, 0, false, false, false },
	{ "{\"version\":\"2\"}", false, 0, false, false, false },
	{ "{\"version\":true}", false, 0, false, false, false },
	{ "{\"CanAckPings\":1}", false, 0, false, false, false },
	{ "{\"CanAckPings\":\"true\"}", false, 0, false, false, false },
	{ "{\"AppName\":1}", false, 0, false, false, false },
	{ "{\"AppName\":\"\xff\xfe\\ud800\"}", true, 0, false, false, false },
	{ "{\"AppName\":\"a\nb\"}", false, 0, false, false, false },
	{ "{\"version\":2}x", false, 0, false, false, false },
	{ "{\"version\":2}{}", false, 0, false, false, false },
	{ "", false, 0, false, false, false },
	{ "[]", false, 0, false, false, false },
	{ "\"x\"", false, 0, false, false, false },
	{ "7", false, 0, false, false, false },
	{ "true", false, 0, false, false, false },
	{ "\xef\xbb\xbf{}", false, 0, false, false, false },
	{ "{}//", false, 0, false, false, false },
	{ "{\"version\":2,}", false, 0, false, false, false },
	{ "{\"version\":02}", false, 0, false, false, false },
	{ "{version:2}", false, 0, false, false, false },
	{ "{\"x\":nul}", false, 0, false, false, false },
	{ "nul", false, 0, false, false, false },
	{ "{\"meshKey\":\"" HEX64 "\"}", true, 0, false, false, true },
	{ "{\"MESHKEY\":\"" HEX64 "\"}", true, 0, false, false, true },
	{ "{\"meshKey\":\"\\u00300"
	  "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"}",
	  true, 0, false, false, true },
	{ "{\"meshKey\":\"" HEX64 "0\"}", false, 0, false, false, false },
	{ "{\"meshKey\":\" " HEX64 "\"}", false, 0, false, false, false },
	{ "{\"meshKey\":\"0102\"}", false, 0, false, false, false },
	{ "{\"meshKey\":\"\"}", false, 0, false, false, false },
	{ "{\"meshKey\":null}", false, 0, false, false, false },
	{ "{\"meshKey\":1}", false, 0, false, false, false },
	{ "{\"meshKey\":\"x"
	  "00102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"}",
	  false, 0, false, false, false },
};

/* HSK-009, HSK-016: what a relay lets in, and what closes. */
static void client_info_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof info_cases / sizeof *info_cases; i++) {
		struct client_info info;
		size_t n = strlen(info_cases[i].json);
		uint8_t *exact = malloc(n + (n == 0));
		assert_non_null(exact);
		memcpy(exact, info_cases[i].json, n);
		if (login_client_info_parse(exact, n, &info) != info_cases[i].good) fail_msg("%s", info_cases[i].json);
		free(exact);
		if (!info_cases[i].good) continue;
		if (info.version != info_cases[i].version || info.can_ack_pings != info_cases[i].ack || info.is_prober != info_cases[i].prober ||
		    key_is_zero(info.mesh_key.b) == info_cases[i].mesh)
			fail_msg("%s", info_cases[i].json);
	}
}

/* HSK-009: a NUL behind the value closes; nesting up to 10,000 is read, deeper is not. */
static void client_info_odd(void **state)
{
	struct client_info info;
	size_t depth = 9999, n = 0;
	char *deep = malloc(2 * depth + 64);

	(void)state;
	assert_non_null(deep);
	assert_false(login_client_info_parse((const uint8_t *)"{}", 3, &info)); /* the terminator is the third byte */
	for (int more = 0; more < 2; more++) {
		n = (size_t)sprintf(deep, "{\"x\":");
		memset(deep + n, '[', depth + (size_t)more);
		memset(deep + n + depth + (size_t)more, ']', depth + (size_t)more);
		n += 2 * (depth + (size_t)more);
		deep[n++] = '}';
		assert_int_equal(login_client_info_parse((const uint8_t *)deep, n, &info), more == 0);
	}
	free(deep);
}

/* HSK-014: an application name of any length is taken and cut. */
static void app_name_long(void **state)
{
	char text[400] = "{\"AppName\":\"";
	struct client_info info;
	size_t n = strlen(text);

	(void)state;
	memset(text + n, 'a', 300);
	memcpy(text + n + 300, "\"}", 3);
	assert_true(login_client_info_parse((const uint8_t *)text, strlen(text), &info));
	assert_int_equal(strlen(info.app_name), 63);
}

/* 4.2, HSK-026: numbers of the limiter; wrong types are an error, negative ones no limit. */
static void server_info_json(void **state)
{
	static const struct {
		const char *json;
		bool good;
		uint64_t rate, burst;
	} cases[] = {
		{ "{\"version\":2}", true, 0, 0 },
		{ "{\"tokenbucketbytespersecond\":1000,\"TokenBucketBytesBurst\":2000,\"x\":{}}", true, 1000, 2000 },
		{ "{\"TokenBucketBytesPerSecond\":1000,\"TokenBucketBytesBurst\":-1,\"version\":null}", true, 1000, 0 },
		{ "{\"TokenBucketBytesPerSecond\":null,\"TokenBucketBytesBurst\":null}", true, 0, 0 },
		{ "{\"TokenBucketBytesPerSecond\":-1}", true, 0, 0 },
		{ "null", true, 0, 0 },
		{ "{\"TokenBucketBytesPerSecond\":1.5}", false, 0, 0 },
		{ "{\"TokenBucketBytesPerSecond\":\"1\"}", false, 0, 0 },
		{ "{\"version\":\"2\"}", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "[]", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct server_info info;
		if (login_server_info_parse((const uint8_t *)cases[i].json, strlen(cases[i].json), &info) != cases[i].good)
			fail_msg("%s", cases[i].json);
		if (!cases[i].good) continue;
		assert_int_equal(info.bucket_bytes_per_second, cases[i].rate);
		assert_int_equal(info.bucket_bytes_burst, cases[i].burst);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vector_keys),     cmocka_unit_test(vector_client_info), cmocka_unit_test(vector_server_info),
		cmocka_unit_test(box_changed),     cmocka_unit_test(json_emitted),       cmocka_unit_test(client_info_json),
		cmocka_unit_test(client_info_odd), cmocka_unit_test(app_name_long),      cmocka_unit_test(server_info_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
