/* The outgoing side of one connection: backlog, two packet queues, write deadline.
 *
 * SRV-010..SRV-016, SRV-019; the client (CLI-031) and the mesh link (TRP-012) use the same. A packet goes straight out as SEND
 * while unacked < high_water; otherwise it waits in the queue of its kind, of which the oldest is dropped when it is full
 * (queue_head). The kernel's refusal is known by DRAINED's `left`: the write deadline runs while left > 0, and progress renews it. */
#ifndef REF_OUTBOX_H
#define REF_OUTBOX_H

#include "buf.h"
#include "machine.h"

enum outbox_kind { OUTBOX_DISCO, OUTBOX_OTHER, OUTBOX_KINDS };

struct outbox_limits {
	uint32_t depth;            /* packets a queue: 32 (SRV-010); at most OUTBOX_DEPTH_MAX */
	uint32_t high_water;       /* bytes unacked from which packets are queued; see machine.h on low_water */
	uint64_t write_timeout_ns; /* 0 = none */
};
enum { OUTBOX_DEPTH_MAX = 1024 };

/* One queued packet: the head that goes before it is written when it leaves. */
struct outbox_entry {
	struct packet *packet; /* counted; holds p,n */
	const uint8_t *p;
	uint32_t n;
	uint8_t src[32], dst[32];
	uint64_t queued_at;
};

struct outbox_queue; /* allocated with the first queued packet, freed when empty: an idle connection owns no buffer */

struct outbox {
	uint64_t unacked;  /* bytes SENT and not yet told by DRAINED */
	uint64_t left;     /* what the host holds because the transport refused it */
	uint64_t progress; /* when left last shrank or became > 0: the write deadline runs from here */
	struct outbox_queue *queue[OUTBOX_KINDS];
};

void outbox_init(struct outbox *o);
void outbox_free(struct outbox *o); /* drops what is queued without a word: use outbox_take to count */
static inline bool outbox_open(const struct outbox *o, const struct outbox_limits *l) { return o->unacked < l->high_water; }
bool outbox_empty(const struct outbox *o);
uint32_t outbox_queued(const struct outbox *o, enum outbox_kind kind);
/* Every byte given to actions_send for this connection must be told here. */
static inline void outbox_sent(struct outbox *o, uint32_t n) { o->unacked += n; }
/* DRAINED of this connection. */
void outbox_drained(struct outbox *o, uint64_t now, const struct event_drained *drained);
/* Takes over one count of entry->packet. Returns true and fills `dropped` (the caller then owns its count) if the queue was full and
 * its oldest had to go. */
bool outbox_push(struct outbox *o, const struct outbox_limits *l, enum outbox_kind kind, const struct outbox_entry *entry,
                 struct outbox_entry *dropped);
/* The oldest entry of a queue; the caller owns its count. False: empty. */
bool outbox_take(struct outbox *o, enum outbox_kind kind, struct outbox_entry *out);
/* Calls fn for what is queued, disco first, in order. */
void outbox_each(const struct outbox *o, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx);
/* When the write deadline strikes; TIME_NEVER while nothing is refused. */
uint64_t outbox_deadline(const struct outbox *o, const struct outbox_limits *l);
uint32_t outbox_memory(const struct outbox *o);

#endif
