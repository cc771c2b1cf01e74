/* DERP inside WebSocket messages, both sides: the only file that touches wslay.
 *
 * HTTP-030, HTTP-031, RFC 6455 chapters 5 and 7. Received bytes go in, the DERP stream comes out in order; DERP bytes go in, messages come
 * out. What came is const: it is unmasked into the caller's memory. A frame is judged with the first byte of its payload, or at once if
 * it has none. Memory: this struct, and inside a frame one context of wslay (about 4 KiB); between frames a server holds none.
 *
 * How a connection ends. The peer's close message (WEBSOCKET_CLOSED) is answered with websocket_close and the stream closed. What may
 * not be (WEBSOCKET_FAILED) and the owner's own wish are told with websocket_close; then the stream stays open for WEBSOCKET_LINGER, in
 * which it is read on until WEBSOCKET_CLOSED comes or the peer ends it. */
#ifndef REF_WEBSOCKET_H
#define REF_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng;

enum {
	WEBSOCKET_MESSAGE_MAX = 32768, /* HTTP-031: payload bytes, of ours and of the peer's */
	WEBSOCKET_BUFFER = 4096,       /* HTTP-031: the original's first message of a long write */
	WEBSOCKET_HEAD_MAX = 8,        /* of what we send: the longest form of the length is not needed */
	WEBSOCKET_DATA_MAX = 125,      /* payload of close, ping, pong */
	WEBSOCKET_CONTROL_MAX = 2 + 4 + WEBSOCKET_DATA_MAX
};
#define WEBSOCKET_LINGER (5 * UINT64_C(1000000000)) /* ns; HTTP-030 */

enum websocket_status {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_PROTOCOL = 1002,    /* against RFC 6455 */
	WEBSOCKET_UNSUPPORTED = 1003, /* a text message */
	WEBSOCKET_NO_STATUS = 1005,   /* a close message without one; never on the wire */
	WEBSOCKET_POLICY = 1008,      /* HTTP-029 */
	WEBSOCKET_TOO_BIG = 1009      /* HTTP-031 */
};

struct websocket {
	struct wslay_frame_context *context; /* NULL at rest */
	struct rng *masks;                   /* client; NULL: server */
	const uint8_t *in;                   /* of the call under way: received and not yet given to the library */
	size_t in_n;
	uint8_t *sent;       /* of the call under way: where the library writes */
	uint64_t frame_have; /* payload bytes of the frame that is being read */
	uint32_t held;       /* bytes in the library's buffer */
	uint32_t message_n;  /* payload bytes of the message that is being read */
	uint16_t status;     /* why it ended: the peer's status, or what we say */
	bool derper, in_frame, in_message, skip, pong_due;
	bool ending; /* told the owner why it must close, or closed by it */
	bool closed; /* our close message is written */
	bool deaf;   /* behind the peer's close message or broken framing: nothing is read any more */
	uint8_t control_n, pong_n;
	uint8_t control[WEBSOCKET_DATA_MAX], pong[WEBSOCKET_DATA_MAX];
};

/* masks: stream from which a client draws its masks (RNG_MASK); it outlives w. NULL: a server. derper: the limits of HTTP-031 as the
 * original has them. w must not move. */
void websocket_init(struct websocket *w, struct rng *masks, bool derper);
void websocket_free(struct websocket *w);
uint32_t websocket_memory(const struct websocket *w); /* bytes behind the struct, an estimate */

/* ---- reading ---- */

enum websocket_result {
	WEBSOCKET_MORE,   /* the span is used up */
	WEBSOCKET_PING,   /* send websocket_pong now or later; call again */
	WEBSOCKET_CLOSED, /* the peer's close message, w->status: send websocket_close(w, w->status), close the stream; call again */
	WEBSOCKET_FAILED  /* send websocket_close(w, w->status); call again */
};
/* Takes bytes from *p,*n; appends what they hold of the DERP stream to out,*out_n, which comes before the result in time. Call with the
 * same span until MORE; out needs room for as many bytes as the span had at first. Who stops before MORE goes on later with what is left of
 * the span, even if that is nothing, and needs room for w->held bytes more. What comes out behind FAILED or an own close
 * message is of no use any more. */
enum websocket_result websocket_read(struct websocket *w, const uint8_t **p, size_t *n, uint8_t *out, uint32_t *out_n);

/* ---- writing ---- each returns the number of bytes written ---- */

/* How many of n bytes that leave together the next message takes; first: it is the first of them. */
uint32_t websocket_cut(const struct websocket *w, uint32_t n, bool first);
static inline uint32_t websocket_message_n(const struct websocket *w, uint32_t n) { return n + (n <= 125 ? 2 : 4) + (w->masks != NULL ? 4 : 0); }
/* A server's header of a message of n bytes: they follow as they are. */
uint32_t websocket_head(uint8_t out[WEBSOCKET_HEAD_MAX], uint32_t n);
/* A whole message of a and b, masked on a client: websocket_message_n of their bytes. */
uint32_t websocket_message(struct websocket *w, const uint8_t *a, uint32_t a_n, const uint8_t *b, uint32_t b_n, uint8_t *out);
/* The answer to the last ping; 0: none is due. */
uint32_t websocket_pong(struct websocket *w, uint8_t out[WEBSOCKET_CONTROL_MAX]);
/* Our close message, WEBSOCKET_NO_STATUS: an empty one; 0: it has been sent. */
uint32_t websocket_close(struct websocket *w, uint16_t status, uint8_t out[WEBSOCKET_CONTROL_MAX]);

#endif
