/* STUN requests and responses: the recorded ones byte for byte, what is answered and what is not, and every way of being cut off. */
#include "stun.h"

#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t txid[STUN_TXID] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

/* The last recorded request of the transcript's connection x, and what derper said. */
static const uint8_t golden_request[STUN_REQUEST] = { 0x00, 0x01, 0x00, 0x14, 0x21, 0x12, 0xa4, 0x42, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
	                                              0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x80, 0x22, 0x00, 0x08, 't',  'a',  'i',  'l',
	                                              'n',  'o',  'd',  'e',  0x80, 0x28, 0x00, 0x04, 0x8a, 0xab, 0xad, 0x90 };
static const uint8_t golden_response[32] = { 0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
	                                     0x08, 0x09, 0x0a, 0x0b, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0x9f, 0xbe, 0x5e, 0x12, 0xa4, 0x43 };

static struct address address_of(const char *text)
{
	struct address a = { 0 };

	assert_true(address_parse(text, strlen(text), &a));
	return a;
}

/* Parsers see a copy of exactly the length, so that a sanitizer sees who reads behind it. */
static enum stun_verdict request_of(const uint8_t *p, uint32_t n, uint8_t out[STUN_TXID])
{
	uint8_t *copy = malloc(n + (n == 0));
	enum stun_verdict verdict;

	assert_non_null(copy);
	if (n != 0) memcpy(copy, p, n);
	verdict = stun_request_parse(copy, n, out);
	free(copy);
	return verdict;
}

static enum stun_verdict response_of(const uint8_t *p, uint32_t n, uint8_t out[STUN_TXID], struct address *mapped)
{
	uint8_t *copy = malloc(n + (n == 0));
	enum stun_verdict verdict;

	assert_non_null(copy);
	if (n != 0) memcpy(copy, p, n);
	verdict = stun_response_parse(copy, n, out, mapped);
	free(copy);
	return verdict;
}

/* The check value that every CRC-32 of this kind is known by. */
static void crc_known(void **state)
{
	(void)state;
	assert_int_equal(stun_crc32((const uint8_t *)"123456789", 9), 0xcbf43926);
	assert_int_equal(stun_crc32(NULL, 0), 0);
}

/* STN-002: our request is what the reference client sends, and is one that we answer. */
static void request_golden(void **state)
{
	uint8_t out[STUN_REQUEST], got[STUN_TXID] = { 0xff };

	(void)state;
	assert_int_equal(stun_request(out, txid), STUN_REQUEST);
	assert_memory_equal(out, golden_request, STUN_REQUEST);
	assert_int_equal(request_of(golden_request, sizeof golden_request, got), STUN_GOOD);
	assert_memory_equal(got, txid, STUN_TXID);
}

/* STN-003: the response carries source address and port, for both families, and is read back. */
static void response_golden(void **state)
{
	static const uint8_t v6[STUN_RESPONSE_MAX] = { 0x01, 0x01, 0x00, 0x18, 0x21, 0x12, 0xa4, 0x42, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
		                                       0x08, 0x09, 0x0a, 0x0b, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47,
		                                       /* 2001:db8::1:2 port 32853, mixed with cookie and transaction ID */
		                                       0x01, 0x13, 0xa9, 0xfa, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x08, 0x0a,
		                                       0x09 };
	struct address v4_source = address_of("127.0.0.1:48812"), v6_source = address_of("[2001:db8::1:2]:32853"), got;
	uint8_t out[STUN_RESPONSE_MAX], got_txid[STUN_TXID];

	(void)state;
	assert_int_equal(stun_response(out, txid, &v4_source), sizeof golden_response);
	assert_memory_equal(out, golden_response, sizeof golden_response);
	assert_int_equal(response_of(out, sizeof golden_response, got_txid, &got), STUN_GOOD);
	assert_memory_equal(got_txid, txid, STUN_TXID);
	assert_true(address_equal(&got, &v4_source));
	assert_int_equal(stun_response(out, txid, &v6_source), sizeof v6);
	assert_memory_equal(out, v6, sizeof v6);
	assert_int_equal(response_of(out, sizeof v6, got_txid, &got), STUN_GOOD);
	assert_true(address_equal(&got, &v6_source));
}

/* ---- what is answered ---- */

static uint32_t put_attribute(uint8_t *p, uint32_t type, const void *value, uint32_t n)
{
	p[0] = (uint8_t)(type >> 8), p[1] = (uint8_t)type, p[2] = (uint8_t)(n >> 8), p[3] = (uint8_t)n;
	memset(p + 4, 0, (n + 3) & ~3u);
	if (n != 0) memcpy(p + 4, value, n);
	return 4 + ((n + 3) & ~3u);
}

/* Appends a correct FINGERPRINT. */
static uint32_t put_fingerprint(uint8_t *message, uint32_t n)
{
	uint32_t crc = stun_crc32(message, n) ^ 0x5354554e;
	uint8_t value[4] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };

	return n + put_attribute(message + n, 0x8028, value, sizeof value);
}

/* STN-002: SOFTWARE `tailnode` exactly, FINGERPRINT last and right; order and company of SOFTWARE do not matter. */
static void requests_judged(void **state)
{
	static const struct {
		const char *software; /* NULL: no such attribute */
		const char *before, *behind;
		bool fingerprint, then_more;
		enum stun_verdict want;
	} cases[] = {
		{ "tailnode", NULL, NULL, true, false, STUN_GOOD },          { "tailnode", "other", NULL, true, false, STUN_GOOD },
		{ "tailnode", NULL, "tailnode", true, false, STUN_GOOD },    { "tailnode", NULL, "x", true, false, STUN_GOOD },
		{ NULL, NULL, NULL, true, false, STUN_BAD_SOFTWARE },        { "other", NULL, NULL, true, false, STUN_BAD_SOFTWARE },
		{ "tailnodes", NULL, NULL, true, false, STUN_BAD_SOFTWARE }, { "tailnod", NULL, NULL, true, false, STUN_BAD_SOFTWARE },
		{ "Tailnode", NULL, NULL, true, false, STUN_BAD_SOFTWARE },  { "tailnode", NULL, NULL, false, false, STUN_NO_FINGERPRINT },
		{ "tailnode", NULL, NULL, true, true, STUN_NO_FINGERPRINT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t m[200], got[STUN_TXID];
		uint32_t n = STUN_HEADER;
		memcpy(m, golden_request, n);
		if (cases[i].before != NULL) n += put_attribute(m + n, 0x8022, cases[i].before, (uint32_t)strlen(cases[i].before));
		if (cases[i].software != NULL) n += put_attribute(m + n, 0x8022, cases[i].software, (uint32_t)strlen(cases[i].software));
		if (cases[i].behind != NULL) n += put_attribute(m + n, 0x7777, cases[i].behind, (uint32_t)strlen(cases[i].behind));
		if (cases[i].fingerprint) n = put_fingerprint(m, n);
		if (cases[i].then_more) n += put_attribute(m + n, 0x7777, NULL, 0);
		if (request_of(m, n, got) != cases[i].want) fail_msg("case %zu: %s", i, stun_verdict_name(request_of(m, n, got)));
	}
}

/* A FINGERPRINT whose value is right but whose length is not 4 is none. */
static void fingerprint_of_other_length(void **state)
{
	uint8_t m[200], got[STUN_TXID];
	uint32_t n = STUN_HEADER, crc;

	(void)state;
	memcpy(m, golden_request, n);
	n += put_attribute(m + n, 0x8022, "tailnode", 8);
	for (uint32_t size = 0; size <= 12; size++) {
		uint8_t value[12] = { 0 };
		uint32_t end;
		if (size == 4) continue;
		/* The CRC is over everything but the last 8 bytes, wherever the attribute begins. */
		end = n + put_attribute(m + n, 0x8028, value, size);
		crc = stun_crc32(m, end - 8) ^ 0x5354554e;
		m[n + 4] = (uint8_t)(crc >> 24), m[n + 5] = (uint8_t)(crc >> 16), m[n + 6] = (uint8_t)(crc >> 8), m[n + 7] = (uint8_t)crc;
		assert_int_equal(request_of(m, end, got), STUN_BAD_FINGERPRINT);
	}
}

/* STN-002: no bit of a request may be another. */
static void request_bits(void **state)
{
	uint8_t m[STUN_REQUEST], got[STUN_TXID];

	(void)state;
	for (uint32_t bit = 0; bit < 8 * STUN_REQUEST; bit++) {
		memcpy(m, golden_request, sizeof m);
		m[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (request_of(m, sizeof m, got) == STUN_GOOD) fail_msg("bit %u makes no difference", bit);
	}
}

/* Cut off anywhere, or with bytes behind it, a request is none; and nothing is read that is not there. */
static void request_lengths(void **state)
{
	uint8_t m[STUN_REQUEST + 8] = { 0 }, got[STUN_TXID];

	(void)state;
	memcpy(m, golden_request, STUN_REQUEST);
	for (uint32_t n = 0; n <= sizeof m; n++) {
		enum stun_verdict want = n < STUN_HEADER                  ? STUN_BAD_HEADER
		                         : n == STUN_HEADER               ? STUN_BAD_SOFTWARE
		                         : n == STUN_HEADER + 12          ? STUN_NO_FINGERPRINT
		                         : n == STUN_REQUEST              ? STUN_GOOD
		                         : n % 4 == 0 && n > STUN_REQUEST ? STUN_NO_FINGERPRINT /* an attribute 0 of no bytes */
		                                                          : STUN_BAD_ATTRIBUTES;
		if (request_of(m, n, got) != want) fail_msg("%u bytes: %s", n, stun_verdict_name(request_of(m, n, got)));
	}
	assert_int_equal(stun_request_parse(NULL, 0, got), STUN_BAD_HEADER);
}

/* Our limit on a message: 1500 bytes are looked at, four more, or as many as a datagram holds, are not. */
static void request_longest(void **state)
{
	static uint8_t filler[65536], m[65536];
	uint8_t got[STUN_TXID];

	(void)state;
	for (uint32_t n = 1496; n <= 65504; n += n < 1504 ? 4 : 64000) {
		uint32_t at = STUN_HEADER;
		memcpy(m, golden_request, at);
		at += put_attribute(m + at, 0x8022, "tailnode", 8);
		at += put_attribute(m + at, 0x7777, filler, n - at - 4 - 8);
		assert_int_equal(put_fingerprint(m, at), n);
		assert_int_equal(request_of(m, n, got), n <= 1500 ? STUN_GOOD : STUN_BAD_HEADER);
	}
}

/* ---- responses that are not ours ---- */

/* Lenient as the original: trailing bytes, the alternative number, the plain attribute where no other is there; the last one counts. */
static void responses_judged(void **state)
{
	static const uint8_t xored[8] = { 0, 1, 0x21 ^ 0x12, 0x12 ^ 0x34, 192 ^ 0x21, 0 ^ 0x12, 2 ^ 0xa4, 1 ^ 0x42 };
	static const uint8_t plain[8] = { 0, 1, 0x56, 0x78, 203, 0, 113, 9 }, family3[8] = { 0, 3 }, short6[8] = { 0, 2, 1, 2 };
	static const struct {
		uint32_t type;
		const uint8_t *value;
		uint32_t n;
		uint32_t type2;
		const uint8_t *value2;
		uint32_t n2;
		enum stun_verdict want;
		const char *address;
	} cases[] = {
		{ 0x0020, xored, 8, 0, NULL, 0, STUN_GOOD, "192.0.2.1:4660" },
		{ 0x8020, xored, 8, 0, NULL, 0, STUN_GOOD, "192.0.2.1:4660" },
		{ 0x0001, plain, 8, 0, NULL, 0, STUN_GOOD, "203.0.113.9:22136" },
		{ 0x0020, xored, 8, 0x0001, plain, 8, STUN_GOOD, "192.0.2.1:4660" },
		{ 0x0001, plain, 8, 0x0020, xored, 8, STUN_GOOD, "192.0.2.1:4660" },
		{ 0x7777, plain, 8, 0x0001, plain, 8, STUN_GOOD, "203.0.113.9:22136" },
		{ 0x7777, plain, 8, 0, NULL, 0, STUN_BAD_ATTRIBUTES, NULL },
		{ 0x0020, xored, 7, 0, NULL, 0, STUN_BAD_ATTRIBUTES, NULL },
		{ 0x0020, xored, 3, 0, NULL, 0, STUN_BAD_ATTRIBUTES, NULL },
		{ 0x0020, xored, 0, 0, NULL, 0, STUN_BAD_ATTRIBUTES, NULL },
		{ 0x0020, family3, 8, 0x0001, plain, 8, STUN_BAD_ATTRIBUTES, NULL },
		{ 0x0001, short6, 8, 0x0020, xored, 8, STUN_BAD_ATTRIBUTES, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (uint32_t trailing = 0; trailing < 3; trailing++) {
			uint8_t m[200] = { 0 }, got_txid[STUN_TXID];
			uint32_t n = STUN_HEADER;
			struct address got, want;
			memcpy(m, golden_response, n);
			n += put_attribute(m + n, cases[i].type, cases[i].value, cases[i].n);
			if (cases[i].value2 != NULL) n += put_attribute(m + n, cases[i].type2, cases[i].value2, cases[i].n2);
			m[3] = (uint8_t)(n - STUN_HEADER);
			if (response_of(m, n + trailing, got_txid, &got) != cases[i].want) fail_msg("case %zu", i);
			if (cases[i].want != STUN_GOOD) continue;
			want = address_of(cases[i].address);
			if (!address_equal(&got, &want)) fail_msg("case %zu: another address", i);
		}
	}
}

/* The same limit on what a server sends: its answer with so many bytes behind it. */
static void response_longest(void **state)
{
	static const uint32_t lengths[] = { 1499, 1500, 1501, 65507 };
	static uint8_t m[65507];
	uint8_t got_txid[STUN_TXID];
	struct address got;

	(void)state;
	memcpy(m, golden_response, sizeof golden_response);
	for (size_t i = 0; i < 4; i++) assert_int_equal(response_of(m, lengths[i], got_txid, &got), i < 2 ? STUN_GOOD : STUN_BAD_HEADER);
}

/* Cut off anywhere it is none; and requests are no responses, nor the reverse. */
static void response_lengths(void **state)
{
	uint8_t got_txid[STUN_TXID];
	struct address got;

	(void)state;
	for (uint32_t n = 0; n < sizeof golden_response; n++)
		assert_int_equal(response_of(golden_response, n, got_txid, &got), n < STUN_HEADER ? STUN_BAD_HEADER : STUN_BAD_ATTRIBUTES);
	assert_int_equal(response_of(golden_request, sizeof golden_request, got_txid, &got), STUN_BAD_KIND);
	assert_int_equal(request_of(golden_response, sizeof golden_response, got_txid), STUN_BAD_KIND);
	assert_true(stun_is(golden_request, STUN_HEADER));
	assert_false(stun_is(golden_request, STUN_HEADER - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_known),        cmocka_unit_test(request_golden),   cmocka_unit_test(response_golden),
		cmocka_unit_test(requests_judged),  cmocka_unit_test(request_bits),     cmocka_unit_test(fingerprint_of_other_length),
		cmocka_unit_test(request_lengths),  cmocka_unit_test(request_longest),  cmocka_unit_test(responses_judged),
		cmocka_unit_test(response_lengths), cmocka_unit_test(response_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
