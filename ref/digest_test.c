/* SHA-1 and base64 against the vectors of their standards. */
#include "digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sha1_is(const void *p, size_t n, const char *hex)
{
	uint8_t digest[DIGEST_SHA1];
	char text[2 * DIGEST_SHA1 + 1];

	digest_sha1(p, n, digest);
	for (size_t i = 0; i < DIGEST_SHA1; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

/* FIPS 180: one block, two blocks, nothing at all, and a million times the letter a. */
static void sha1_vectors(void **state)
{
	static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	enum { MILLION = 1000000 };
	char *many = malloc(MILLION);

	(void)state;
	assert_non_null(many);
	memset(many, 'a', MILLION);
	sha1_is("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	sha1_is(two, sizeof two - 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	sha1_is("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	sha1_is(many, MILLION, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	free(many);
}

/* RFC 4648, 10: every length modulo three; nothing is written behind the last character. */
static void base64_vectors(void **state)
{
	static const char *const text[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

	(void)state;
	for (size_t n = 0; n <= 6; n++) {
		char out[10];
		memset(out, '!', sizeof out);
		digest_base64("foobar", n, out);
		assert_int_equal(digest_base64_n(n), strlen(text[n]));
		assert_memory_equal(out, text[n], strlen(text[n]));
		assert_int_equal(out[strlen(text[n])], '!');
	}
}

/* RFC 6455, 1.3: the key of its example and the accept value that belongs to it. */
static void websocket_example(void **state)
{
	static const char joined[] = "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t digest[DIGEST_SHA1];
	char text[29] = "";

	(void)state;
	digest_sha1(joined, sizeof joined - 1, digest);
	digest_base64(digest, sizeof digest, text);
	assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sha1_vectors), cmocka_unit_test(base64_vectors), cmocka_unit_test(websocket_example) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
