/* The ledger: every packet of the load, from the sender's hand to its end.
 *
 * Each packet carries a number and contents that follow from it, so that whoever sees its bytes can tell who sent it to whom, and
 * whether it is unchanged. Checked on every delivery (design page, "nothing X"): forged, changed, doubled, misdelivered; on every
 * forward: twice-forwarded (MSH-017). At the end every packet must be accounted for: delivered, dropped with a reason, queued, in
 * flight, or lost with a stream or host that died; else it is unaccounted.
 *
 * Bytes of a packet: 6 of disco magic (KEY-011) or a WireGuard-like type, 2 zero, 4 marker, 4 check sum, 8 number, 4 sender, 4 receiver,
 * then filler by number. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "../ref/machine.h"

#include <stdbool.h>
#include <stdint.h>

enum { LEDGER_HEAD = 32, LEDGER_SIZE_MIN = LEDGER_HEAD, LEDGER_SIZE_MAX = 65536 };

enum ledger_end {
	LEDGER_DELIVERED,
	LEDGER_DROPPED,      /* a relay or client said so, with a reason */
	LEDGER_LOST_CRASH,   /* was in a host that crashed, or on its way to it */
	LEDGER_LOST_FORWARD, /* was on a mesh link that broke */
	LEDGER_LOST_STREAM,  /* was on a client's stream that broke */
	LEDGER_UNACCOUNTED,  /* nobody knows: a finding */
	LEDGER_ENDS
};

enum ledger_fault { LEDGER_OK, LEDGER_FORGED, LEDGER_CHANGED, LEDGER_DOUBLED, LEDGER_MISDELIVERED, LEDGER_TWICE_FORWARDED, LEDGER_FAULTS };
const char *ledger_fault_name(enum ledger_fault fault);

struct ledger_packet {
	uint64_t sent_at;
	uint32_t from, to; /* the owner's numbers of clients */
	uint32_t size;
	bool disco;
	uint8_t forwards;
	uint64_t number;
};

struct ledger;
struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);

/* A new packet; returns its bytes, valid until the next call. size >= FRAME_DISCO_MIN for disco. */
const uint8_t *ledger_send(struct ledger *l, uint64_t now, uint32_t from, uint32_t to, uint32_t size, bool disco);
/* A client got p,n with a source key that belongs to `from` (UINT32_MAX: nobody's). On LEDGER_OK the packet is closed and *out says
 * what it was; on another fault *out is as far as known (out->number 0: nothing). out->sent_at is left 0: ledger_sent_at. */
enum ledger_fault ledger_deliver(struct ledger *l, uint32_t at, uint32_t from, const uint8_t *p, uint32_t n, struct ledger_packet *out);
uint64_t ledger_sent_at(const struct ledger *l, uint64_t number); /* of the packet delivered last */
enum ledger_fault ledger_forward(struct ledger *l, const uint8_t *p, uint32_t n);
/* The packet ends otherwise. False: p,n is no open packet of ours (already ended, or forged). *out may be NULL. */
bool ledger_end(struct ledger *l, const uint8_t *p, uint32_t n, enum ledger_end end, struct ledger_packet *out);

/* Finds the packets whose heads lie in these stream bytes (two pieces that follow each other), the ones within the first piece alone
 * left out; calls fn for each open one. */
void ledger_scan(struct ledger *l, const uint8_t *a, uint32_t an, const uint8_t *b, uint32_t bn, void (*fn)(void *ctx, const uint8_t *head),
                 void *ctx);
/* A census: none is seen; those found are; the open ones not seen are told to fn, and closed without an end if it returns true. */
void ledger_see_none(struct ledger *l);
void ledger_see(struct ledger *l, const uint8_t *p, uint32_t n);
void ledger_unseen_each(struct ledger *l, bool (*fn)(void *ctx, const struct ledger_packet *packet), void *ctx);
/* What the head of p,n says: number, from, to; size is n. False: it does not look like a packet of ours. */
bool ledger_read(const uint8_t *p, uint32_t n, struct ledger_packet *out);
/* Whom p,n names as its sender: UINT32_MAX if it does not look like a packet of ours. */
uint32_t ledger_claims(const uint8_t *p, uint32_t n);

uint64_t ledger_sent(const struct ledger *l);
uint64_t ledger_sent_bytes(const struct ledger *l);
uint64_t ledger_delivered_bytes(const struct ledger *l);
uint64_t ledger_ended(const struct ledger *l, enum ledger_end end);
uint64_t ledger_open(const struct ledger *l);

#endif
