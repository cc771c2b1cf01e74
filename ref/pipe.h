/* A byte stream over packets that may be lost: derp-client pipe. Our own protocol, on top of DERP; the original has none like it.
 *
 * Both sides send DATA, a FIN behind the last byte, and ACK what came in order. A packet:
 *   0   4  "dpp1"
 *   4   4  flags: 1 = FIN stands behind the data
 *   8   8  id of the sender's run, drawn
 *   16  8  id of the receiver's run as the sender knows it; 0: not yet
 *   24  8  sequence number of the first byte of data; FIN takes one too
 *   32  8  number of the byte that the sender awaits
 *   40     data, at most PIPE_DATA
 * All numbers big-endian. At most PIPE_WINDOW bytes are on their way: half of what a relay queues for one receiver (FRM, SRV-013). What is
 * not acknowledged in time, or is asked for by three equal ACKs, is sent again with all that follows; a receiver keeps nothing that
 * is out of order. A pure value: no clock, no allocation. */
#ifndef REF_PIPE_H
#define REF_PIPE_H

#include <stdbool.h>
#include <stdint.h>

enum { PIPE_HEADER = 40, PIPE_DATA = 8192, PIPE_PACKET = PIPE_HEADER + PIPE_DATA, PIPE_WINDOW = 16 * PIPE_DATA };

struct pipe {
	uint64_t id, peer; /* peer 0: not known yet */
	/* sending */
	uint64_t acked, next, most; /* numbers: awaited by the other side; to be sent next; behind the last ever sent */
	uint64_t end;               /* behind the last byte that was put; that of FIN */
	bool fin;                   /* nothing follows */
	uint32_t equal;             /* ACKs that moved nothing */
	bool repeated;              /* on account of them, since one moved something */
	uint64_t patience, due;     /* of what is on its way; due TIME_NEVER: nothing is */
	/* receiving */
	uint64_t await;
	bool peer_fin, ack_due;
	uint8_t held[PIPE_WINDOW];
};

/* id: drawn, not 0. */
void pipe_init(struct pipe *p, uint64_t id);
/* Takes bytes to send; returns how many fit. None behind pipe_finish. */
uint32_t pipe_put(struct pipe *p, const uint8_t *bytes, uint32_t n);
uint32_t pipe_room(const struct pipe *p);
void pipe_finish(struct pipe *p);

/* Writes the next packet that may go now; 0: there is none. */
uint32_t pipe_next(struct pipe *p, uint64_t now, uint8_t out[PIPE_PACKET]);
uint64_t pipe_deadline(const struct pipe *p);
void pipe_timer(struct pipe *p, uint64_t now);

enum pipe_verdict {
	PIPE_TAKEN,   /* *data, *n: new bytes, perhaps none; they are in the packet */
	PIPE_IGNORED, /* not one of ours, or of a run that is over */
	PIPE_ANEW     /* the other side has begun anew: what this one sent is lost */
};
enum pipe_verdict pipe_take(struct pipe *p, uint64_t now, const uint8_t *packet, uint32_t packet_n, const uint8_t **data, uint32_t *n);

bool pipe_all_sent(const struct pipe *p);                                    /* finished, and every byte acknowledged; the FIN perhaps not */
static inline bool pipe_heard(const struct pipe *p) { return p->peer != 0; } /* from the other side, ever */
/* Both directions are over. Who left behind that may have taken its last ACK along: the other side, when it is told of its leaving, is
 * through too if pipe_all_sent and peer_fin. */
bool pipe_over(const struct pipe *p);

#endif
