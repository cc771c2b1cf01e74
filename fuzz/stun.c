/* The STUN parsers: whatever a datagram holds, a request that is taken is one of STN-002, a response that is taken means the same
 * when it is written anew, and a relay answers exactly the requests that are taken. The seeds are what our encoder writes.
 *
 * Input: a mode, then the datagram. Odd modes give the datagram's last 8 bytes a correct FINGERPRINT, so that a fuzzer need not
 * guess a CRC to get behind it. Rules: STN-002, STN-003. */
#include "fuzz.h"

#include "../ref/address.h"
#include "../ref/buf.h"
#include "../ref/stun.h"

static uint32_t crc_bit_by_bit(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

static void fingerprint(uint8_t *p, size_t n)
{
	uint32_t crc = crc_bit_by_bit(p, n - 8) ^ UINT32_C(0x5354554e);
	const uint8_t attribute[8] = { 0x80, 0x28, 0, 4, (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };

	memcpy(p + n - 8, attribute, sizeof attribute);
}

/* What STN-002 says of a request, in other words than the parser's. */
static void check_request(const uint8_t *p, size_t n)
{
	uint8_t *fixed = mem_alloc(n);
	bool tailnode = false;

	FUZZ_CHECK(n >= STUN_REQUEST && n <= STUN_MESSAGE_MAX && n % 4 == 0);
	FUZZ_CHECK(memcmp(p, "\x00\x01", 2) == 0 && memcmp(p + 4, "\x21\x12\xa4\x42", 4) == 0);
	for (size_t at = STUN_HEADER; at + 12 <= n - 8; at += 4) tailnode |= memcmp(p + at, "\x80\x22\x00\x08tailnode", 12) == 0;
	FUZZ_CHECK(tailnode);
	memcpy(fixed, p, n);
	fingerprint(fixed, n); /* changes nothing */
	FUZZ_CHECK(memcmp(fixed, p, n) == 0);
	free(fixed);
}

static void check_response(const uint8_t txid[STUN_TXID], const struct address *mapped)
{
	uint8_t out[STUN_RESPONSE_MAX], again[STUN_TXID];
	uint32_t n = stun_response(out, txid, mapped);
	struct address got;

	FUZZ_CHECK(n == (address_is_v4(mapped) ? 32 : 44));
	FUZZ_CHECK(stun_response_parse(out, n, again, &got) == STUN_GOOD);
	FUZZ_CHECK(memcmp(again, txid, STUN_TXID) == 0 && address_equal(&got, mapped));
}

static void check_serve(const uint8_t *p, uint32_t n, bool good)
{
	struct event_datagram d = { .peer = { .port = 7 }, .p = p, .n = n };
	struct stun_counters count = { 0 };
	struct actions out;

	actions_init(&out);
	stun_serve(&count, &(struct event){ .kind = EVENT_DATAGRAM, .token = 5, .datagram = &d }, &out);
	FUZZ_CHECK(out.n == good);
	FUZZ_CHECK(count.requests[STUN_SUCCESS] == good && count.requests[STUN_NOT_STUN] == !good);
	actions_free(&out);
}

static void check_datagram(const uint8_t *p, uint32_t n)
{
	uint8_t txid[STUN_TXID];
	struct address mapped;
	bool good = stun_request_parse(p, n, txid) == STUN_GOOD;

	if (good) check_request(p, n);
#ifdef FUZZ_CANARY
	FUZZ_CHECK(!(good && n == STUN_REQUEST + 4));
#endif
	FUZZ_CHECK(!good || stun_is(p, n));
	check_serve(p, n, good);
	if (stun_response_parse(p, n, txid, &mapped) == STUN_GOOD) check_response(txid, &mapped);
}

static void fuzz_one(const uint8_t *p, size_t n)
{
	uint8_t *copy;

	if (n < 1 || n > 70000) return;
	copy = mem_alloc(n - 1); /* of its own length: reading behind it is seen */
	if (n > 1) memcpy(copy, p + 1, n - 1);
	if (p[0] % 2 != 0 && n - 1 >= 8) fingerprint(copy, n - 1);
	check_datagram(copy, (uint32_t)n - 1);
	free(copy);
}

/* ---- seeds ---- */

static size_t fuzz_seed(uint32_t i, uint8_t *out, size_t cap, char name[64])
{
	static const uint8_t txid[STUN_TXID] = "transaction";
	static const uint8_t filler[8] = { 0x77, 0x77, 0, 3, 'a', 'b', 'c', 0 };
	struct address v4 = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 7 }, .port = 41641 },
		       v6 = { .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, .port = 1 };
	uint32_t n;

	if (cap < 2000) return 0;
	out[0] = (uint8_t)(i % 2);
	snprintf(name, 64, "%02u", i);
	switch (i) {
	case 0:
	case 1: return 1 + stun_request(out + 1, txid);
	case 2: return 1 + stun_response(out + 1, txid, &v4);
	case 3: /* another attribute before the fingerprint, which the mode makes right */
		n = stun_request(out + 1, txid);
		memmove(out + 1 + n, out + 1 + n - 8, 8);
		memcpy(out + 1 + n - 8, filler, sizeof filler);
		return 1 + n + 8;
	case 4: return 1 + stun_response(out + 1, txid, &v6);
	case 5: /* cut off */ return 1 + stun_request(out + 1, txid) - 3;
	case 6: /* MAPPED-ADDRESS instead */
		n = stun_response(out + 1, txid, &v4);
		out[1 + STUN_HEADER + 1] = 0x01;
		return 1 + n;
	default: return 0;
	}
}
