/* Binding requests and responses, both ways.
 *
 * The CRC is our own 10 lines: zlib would be a whole library, tied to one file, for one function; the table of 16 makes it quick
 * enough for a flood of the longest datagrams that are looked at. */
#include "stun.h"

#include "address.h"

#include <string.h>

enum {
	BINDING_REQUEST = 0x0001,
	BINDING_SUCCESS = 0x0101,
	MAPPED_ADDRESS = 0x0001,
	XOR_MAPPED_ADDRESS = 0x0020,
	XOR_MAPPED_ADDRESS_ALT = 0x8020, /* some servers shift it into the range of what may be ignored */
	SOFTWARE = 0x8022,
	FINGERPRINT = 0x8028,
	ATTRIBUTE_HEADER = 4,
	FINGERPRINT_SIZE = ATTRIBUTE_HEADER + 4,
	FAMILY_V4 = 1,
	FAMILY_V6 = 2,
	TXID_AT = 8
};

static const uint32_t fingerprint_mask = 0x5354554e; /* "STUN" */
static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
static const char software[8] = { 't', 'a', 'i', 'l', 'n', 'o', 'd', 'e' };

static_assert(STUN_REQUEST == STUN_HEADER + ATTRIBUTE_HEADER + sizeof software + FINGERPRINT_SIZE, "a request");
static_assert(STUN_RESPONSE_MAX == STUN_HEADER + ATTRIBUTE_HEADER + 4 + 16, "a response");
static_assert(sizeof software % 4 == 0, "no padding");

#define NAME_OF(table, value) (assert((size_t)(value) < sizeof(table) / sizeof *(table)), (table)[value])

const char *stun_verdict_name(enum stun_verdict verdict)
{
	static const char *const name[STUN_VERDICTS] = { "good",           "no STUN message",     "other kind of message", "malformed attributes",
		                                         "other software", "no fingerprint last", "wrong fingerprint" };
	return NAME_OF(name, verdict);
}

const char *stun_disposition_name(enum stun_disposition disposition)
{
	static const char *const name[STUN_DISPOSITIONS] = { "read_error", "not_stun", "write_error", "success" };
	return NAME_OF(name, disposition);
}

const char *stun_family_name(enum stun_family family)
{
	static const char *const name[STUN_FAMILIES] = { "ipv4", "ipv6" };
	return NAME_OF(name, family);
}

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_bytes(uint8_t *p, const void *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

uint32_t stun_crc32(const uint8_t *p, uint32_t n)
{
	static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		                            0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

bool stun_is(const uint8_t *p, uint32_t n)
{
	return n >= STUN_HEADER && n <= STUN_MESSAGE_MAX && (p[0] & 0xc0) == 0 && memcmp(p + 4, cookie, sizeof cookie) == 0;
}

static uint8_t *put_header(uint8_t *p, uint32_t kind, uint32_t n, const uint8_t txid[STUN_TXID])
{
	p = put16(p, kind);
	p = put16(p, n);
	p = put_bytes(p, cookie, sizeof cookie);
	return put_bytes(p, txid, STUN_TXID);
}

static uint8_t *put_attribute(uint8_t *p, uint32_t type, uint32_t n)
{
	p = put16(p, type);
	return put16(p, n);
}

/* ---- attributes ---- */

struct attribute {
	uint32_t type, n;
	const uint8_t *p;
};

/* The next attribute of *p,*n. False: there is none, or (*bad) it does not fit with its padding. */
static bool next_attribute(const uint8_t **p, uint32_t *n, struct attribute *a, bool *bad)
{
	uint32_t padded;

	if (*n == 0) return false;
	*bad = true;
	if (*n < ATTRIBUTE_HEADER) return false;
	*a = (struct attribute){ .type = get16(*p), .n = get16(*p + 2), .p = *p + ATTRIBUTE_HEADER };
	padded = ATTRIBUTE_HEADER + ((a->n + 3) & ~3u);
	if (padded > *n) return false;
	*bad = false;
	*p += padded, *n -= padded;
	return true;
}

/* ---- requests ---- */

uint32_t stun_request(uint8_t out[STUN_REQUEST], const uint8_t txid[STUN_TXID])
{
	uint8_t *p = put_header(out, BINDING_REQUEST, STUN_REQUEST - STUN_HEADER, txid);
	uint32_t crc;

	p = put_attribute(p, SOFTWARE, sizeof software);
	p = put_bytes(p, software, sizeof software);
	crc = stun_crc32(out, (uint32_t)(p - out)) ^ fingerprint_mask;
	p = put_attribute(p, FINGERPRINT, 4);
	p = put16(p, crc >> 16);
	put16(p, crc & 0xffff);
	return STUN_REQUEST;
}

enum stun_verdict stun_request_parse(const uint8_t *p, uint32_t n, uint8_t txid[STUN_TXID])
{
	struct attribute a = { 0 };
	bool ours = false, bad = false;
	const uint8_t *at;
	uint32_t left;

	if (!stun_is(p, n)) return STUN_BAD_HEADER;
	if (get16(p) != BINDING_REQUEST) return STUN_BAD_KIND;
	at = p + STUN_HEADER, left = n - STUN_HEADER;
	while (next_attribute(&at, &left, &a, &bad))
		if (a.type == SOFTWARE && a.n == sizeof software && memcmp(a.p, software, sizeof software) == 0) ours = true;
	if (bad) return STUN_BAD_ATTRIBUTES;
	if (!ours) return STUN_BAD_SOFTWARE;
	if (a.type != FINGERPRINT) return STUN_NO_FINGERPRINT;
	if (a.n != 4 || get32(a.p) != (stun_crc32(p, n - FINGERPRINT_SIZE) ^ fingerprint_mask)) return STUN_BAD_FINGERPRINT;
	memcpy(txid, p + TXID_AT, STUN_TXID);
	return STUN_GOOD;
}

/* ---- responses ---- */

/* What an address is mixed with: the cookie and the transaction ID, which follow each other in the header. */
static void mix_address(uint8_t *p, uint32_t n, const uint8_t txid[STUN_TXID])
{
	for (uint32_t i = 0; i < n; i++) p[i] ^= i < sizeof cookie ? cookie[i] : txid[i - sizeof cookie];
}

uint32_t stun_response(uint8_t out[STUN_RESPONSE_MAX], const uint8_t txid[STUN_TXID], const struct address *mapped)
{
	bool v4 = address_is_v4(mapped);
	uint32_t n = v4 ? 4 : 16;
	uint8_t *p = put_header(out, BINDING_SUCCESS, ATTRIBUTE_HEADER + 4 + n, txid);

	p = put_attribute(p, XOR_MAPPED_ADDRESS, 4 + n);
	*p++ = 0;
	*p++ = v4 ? FAMILY_V4 : FAMILY_V6;
	p = put16(p, mapped->port ^ get16(cookie));
	memcpy(p, mapped->ip + sizeof mapped->ip - n, n);
	mix_address(p, n, txid);
	return STUN_HEADER + ATTRIBUTE_HEADER + 4 + n;
}

/* An address attribute, as it is or mixed. False: cut off, or of no family that there is. */
static bool get_address(const struct attribute *a, bool mixed, const uint8_t txid[STUN_TXID], struct address *out)
{
	uint32_t n = a->n < 4 ? 0 : a->p[1] == FAMILY_V4 ? 4 : a->p[1] == FAMILY_V6 ? 16 : 0;

	if (n == 0 || a->n < 4 + n) return false;
	*out = (struct address){ .port = (uint16_t)(get16(a->p + 2) ^ (mixed ? get16(cookie) : 0)) };
	if (n == 4) memset(out->ip + 10, 0xff, 2);
	memcpy(out->ip + sizeof out->ip - n, a->p + 4, n);
	if (mixed) mix_address(out->ip + sizeof out->ip - n, n, txid);
	return true;
}

enum stun_verdict stun_response_parse(const uint8_t *p, uint32_t n, uint8_t txid[STUN_TXID], struct address *mapped)
{
	struct address xored, plain;
	bool has_xored = false, has_plain = false, bad = false;
	struct attribute a;
	const uint8_t *at;
	uint32_t left;

	if (!stun_is(p, n)) return STUN_BAD_HEADER;
	if (get16(p) != BINDING_SUCCESS) return STUN_BAD_KIND;
	at = p + STUN_HEADER, left = get16(p + 2);
	if (left > n - STUN_HEADER) return STUN_BAD_ATTRIBUTES;
	while (next_attribute(&at, &left, &a, &bad)) {
		bool is_xored = a.type == XOR_MAPPED_ADDRESS || a.type == XOR_MAPPED_ADDRESS_ALT;
		if (!is_xored && a.type != MAPPED_ADDRESS) continue;
		if (!get_address(&a, is_xored, p + TXID_AT, is_xored ? &xored : &plain)) return STUN_BAD_ATTRIBUTES;
		*(is_xored ? &has_xored : &has_plain) = true;
	}
	if (bad || (!has_xored && !has_plain)) return STUN_BAD_ATTRIBUTES;
	*mapped = has_xored ? xored : plain;
	memcpy(txid, p + TXID_AT, STUN_TXID);
	return STUN_GOOD;
}

/* ---- serving ---- */

void stun_serve(struct stun_counters *count, const struct event *e, struct actions *out)
{
	const struct event_datagram *d = e->datagram;
	uint8_t txid[STUN_TXID], response[STUN_RESPONSE_MAX];
	uint32_t n;

	assert(e->kind == EVENT_DATAGRAM);
	if (stun_request_parse(d->p, d->n, txid) != STUN_GOOD) {
		count->requests[STUN_NOT_STUN]++;
		return;
	}
	count->addrfamily[address_is_v4(&d->peer) ? STUN_IPV4 : STUN_IPV6]++;
	count->requests[STUN_SUCCESS]++;
	n = stun_response(response, txid, &d->peer); /* STN-003 */
	memcpy(actions_datagram(out, e->token, &d->peer, n), response, n);
}
