/* STUN as far as DERP needs it: binding requests of the kind that Tailscale's clients send, and the responses (STN-002, STN-003).
 *
 *   request    20 bytes header, attribute SOFTWARE `tailnode`, attribute FINGERPRINT: 40 bytes
 *   response   20 bytes header, attribute XOR-MAPPED-ADDRESS: 32 bytes for IPv4, 44 for IPv6; no FINGERPRINT
 *
 * Both sides are here: a relay parses requests and encodes responses, a network check does the reverse. Everything is one datagram
 * in, one datagram out: no state, no allocation. Whatever stands in a datagram, a parser reads each byte of it at most a few times. */
#ifndef REF_STUN_H
#define REF_STUN_H

#include "machine.h"

enum {
	STUN_PORT = 3478, /* MAP-010, STN-001 */
	STUN_TXID = 12,
	STUN_HEADER = 20,
	STUN_REQUEST = 40,
	STUN_RESPONSE_MAX = 44,
	STUN_MESSAGE_MAX = 1500 /* ours: longer datagrams are no STUN; no client sends half of it */
};

/* What a parser made of a datagram. */
enum stun_verdict {
	STUN_GOOD,
	STUN_BAD_HEADER,     /* no STUN message at all */
	STUN_BAD_KIND,       /* STUN, but not the kind that was asked for */
	STUN_BAD_ATTRIBUTES, /* an attribute ends behind the datagram; a response without an address */
	STUN_BAD_SOFTWARE,   /* request: not from Tailscale */
	STUN_NO_FINGERPRINT, /* request: FINGERPRINT is not the last attribute */
	STUN_BAD_FINGERPRINT,
	STUN_VERDICTS
};
const char *stun_verdict_name(enum stun_verdict verdict);

/* Is this a STUN message, by its first bytes? For owners of a socket that carries other things too. */
bool stun_is(const uint8_t *p, uint32_t n);

/* Writes a request; returns its length, STUN_REQUEST. */
uint32_t stun_request(uint8_t out[STUN_REQUEST], const uint8_t txid[STUN_TXID]);
/* txid is set if the verdict is STUN_GOOD. The header's length field is not looked at, as in the original. */
enum stun_verdict stun_request_parse(const uint8_t *p, uint32_t n, uint8_t txid[STUN_TXID]);

/* Writes the response to a request that came from `mapped`; returns its length. */
uint32_t stun_response(uint8_t out[STUN_RESPONSE_MAX], const uint8_t txid[STUN_TXID], const struct address *mapped);
/* txid and mapped are set if the verdict is STUN_GOOD. Lenient as the original: bytes behind the header's length are skipped, the
 * alternative number of XOR-MAPPED-ADDRESS counts, and MAPPED-ADDRESS does where neither is there. */
enum stun_verdict stun_response_parse(const uint8_t *p, uint32_t n, uint8_t txid[STUN_TXID], struct address *mapped);

/* CRC-32 as in Ethernet and zip files, the base of FINGERPRINT. */
uint32_t stun_crc32(const uint8_t *p, uint32_t n);

/* ---- serving ---- */

/* MET-004: stun_requests{disposition}. Reading and writing is the host's, so those two stay 0 in a machine. */
enum stun_disposition { STUN_READ_ERROR, STUN_NOT_STUN, STUN_WRITE_ERROR, STUN_SUCCESS, STUN_DISPOSITIONS };
enum stun_family { STUN_IPV4, STUN_IPV6, STUN_FAMILIES }; /* stun_addrfamily{family} */
struct stun_counters {
	uint64_t requests[STUN_DISPOSITIONS], addrfamily[STUN_FAMILIES];
};
const char *stun_disposition_name(enum stun_disposition disposition);
const char *stun_family_name(enum stun_family family);

/* Takes a DATAGRAM: answers a good request to where it came from, ignores everything else in silence, counts both (STN-002). */
void stun_serve(struct stun_counters *count, const struct event *e, struct actions *out);

#endif
