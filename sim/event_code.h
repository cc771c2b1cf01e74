/* Machine events as bytes and back: what a recording (recording.h) holds of each beside its kind, time and token.
 *
 * Numbers are little-endian; a text or blob has its length in front unless it is the last. Everything that a machine can see of an event is
 * in it, so that a machine stepped with the copy does what it did with the original. The layout is RECORDING_VERSION's. */
#ifndef SIM_EVENT_CODE_H
#define SIM_EVENT_CODE_H

#include "../ref/machine.h"

/* All zero before; the buffer is used again by each event. */
struct event_code {
	const uint8_t *p; /* the event's own bytes where they are all there is to say: valid while it is */
	uint32_t n;
	uint8_t *own;
	uint32_t own_n, cap;
};
/* names: an ANSWER to ASK_NAME4 or ASK_NAME6, of which n counts addresses. */
void event_encode(struct event_code *out, const struct event *e, bool names);
void event_code_free(struct event_code *code);

/* An event and all that it points to. */
struct event_copy {
	struct event e;
	union {
		struct event_start start;
		struct event_accepted accepted;
		struct event_dialed dialed;
		struct event_secured secured;
		struct event_datagram datagram;
		struct event_answer answer;
		struct event_command command;
	};
	uint8_t *data;  /* what it was made from */
	void *array[2]; /* sockets; addresses; certificates and their names */
};
/* NULL: these bytes are none of event_encode. */
struct event_copy *event_decode(enum event_kind kind, uint64_t now, uint64_t token, const uint8_t *p, uint32_t n);
void event_copy_free(struct event_copy *copy);

#endif
