/* wslay reads and writes frames; what they mean is said here. Its event interface is not used: it allocates for every message, queues
 * without a limit, and joins the fragments of a message although their boundaries mean nothing (HTTP-030). */
#include "websocket.h"

#include "rng.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum { CONTEXT_SIZE = 4352, LENGTH_7 = 125, LENGTH_16 = 65535 };

/* ---- the library ---- */

static ssize_t give(uint8_t *buf, size_t n, int flags, void *user)
{
	struct websocket *w = user;

	(void)flags;
	if (n > w->in_n) n = w->in_n;
	if (n == 0) return -1;
	memcpy(buf, w->in, n);
	w->in += n, w->in_n -= n;
	w->held += (uint32_t)n;
	return (ssize_t)n;
}

static ssize_t take(const uint8_t *p, size_t n, int flags, void *user)
{
	struct websocket *w = user;

	(void)flags;
	memcpy(w->sent, p, n);
	w->sent += n;
	return (ssize_t)n;
}

static int draw(uint8_t *mask, size_t n, void *user)
{
	struct websocket *w = user;

	rng_bytes(w->masks, RNG_MASK, mask, n);
	return 0;
}

static struct wslay_frame_context *context(struct websocket *w)
{
	static const struct wslay_frame_callbacks callbacks = { .send_callback = take, .recv_callback = give, .genmask_callback = draw };

	if (w->context == NULL && wslay_frame_context_init(&w->context, &callbacks, w) != 0) abort(); /* as mem_alloc does */
	return w->context;
}

static void context_drop(struct websocket *w)
{
	wslay_frame_context_free(w->context);
	w->context = NULL;
}

/* Between two frames the library knows nothing that matters. A client writes with it all the time. */
static void rest(struct websocket *w)
{
	if (w->context != NULL && (w->deaf || (w->masks == NULL && !w->in_frame && w->held == 0))) context_drop(w);
}

void websocket_init(struct websocket *w, struct rng *masks, bool derper) { *w = (struct websocket){ .masks = masks, .derper = derper }; }

void websocket_free(struct websocket *w)
{
	if (w->context != NULL) context_drop(w);
}

uint32_t websocket_memory(const struct websocket *w) { return w->context == NULL ? 0 : CONTEXT_SIZE; }

/* ---- reading ---- */

static enum websocket_result fail(struct websocket *w, uint16_t status)
{
	if (w->ending) return WEBSOCKET_MORE; /* it is over anyway */
	w->ending = true;
	w->status = status;
	return WEBSOCKET_FAILED;
}

/* What is wrong with a frame, by its header; 0: nothing. Control frames of more than 125 bytes or in fragments, and lengths in another
 * than their shortest form or with the top bit, are the library's to refuse. */
static uint16_t fault_of(const struct websocket *w, const struct wslay_frame_iocb *io)
{
	if (io->rsv != 0 || (io->mask != 0) != (w->masks == NULL)) return WEBSOCKET_PROTOCOL; /* a client masks, a server does not */
	switch (io->opcode) {
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG: return 0;
	case WSLAY_CONTINUATION_FRAME:
		if (!w->in_message) return WEBSOCKET_PROTOCOL;
		break;
	case WSLAY_TEXT_FRAME:
	case WSLAY_BINARY_FRAME:
		if (w->in_message) return WEBSOCKET_PROTOCOL;
		if (io->opcode == WSLAY_TEXT_FRAME) return WEBSOCKET_UNSUPPORTED; /* HTTP-030 */
		break;
	default: return WEBSOCKET_PROTOCOL;
	}
	/* HTTP-031; the original takes what it can before it says so. */
	return !w->derper && io->payload_length > WEBSOCKET_MESSAGE_MAX - w->message_n ? WEBSOCKET_TOO_BIG : 0;
}

static enum websocket_result begin(struct websocket *w, const struct wslay_frame_iocb *io)
{
	uint32_t head = 2 + (io->payload_length <= LENGTH_7 ? 0 : io->payload_length <= LENGTH_16 ? 2 : 8) + (io->mask ? 4 : 0);
	uint16_t fault = fault_of(w, io);

	assert(w->held >= head);
	w->held -= head;
	w->in_frame = true;
	w->frame_have = 0;
	w->control_n = 0;
	w->skip = fault != 0;
	if (fault != 0) return fail(w, fault);
	if (!wslay_is_ctrl_frame(io->opcode)) w->in_message = true;
	return WEBSOCKET_MORE;
}

static enum websocket_result payload(struct websocket *w, const struct wslay_frame_iocb *io, uint8_t *out, uint32_t *out_n)
{
	uint32_t n = (uint32_t)io->data_length, room = WEBSOCKET_MESSAGE_MAX + 1 - w->message_n;

	if (wslay_is_ctrl_frame(io->opcode)) {
		assert(n <= WEBSOCKET_DATA_MAX - (uint32_t)w->control_n);
		memcpy(w->control + w->control_n, io->data, n);
		w->control_n = (uint8_t)(w->control_n + n);
		return WEBSOCKET_MORE;
	}
	if (n > room) n = room;
	memcpy(out + *out_n, io->data, n);
	*out_n += n;
	w->message_n += n;
	return w->message_n > WEBSOCKET_MESSAGE_MAX ? fail(w, WEBSOCKET_TOO_BIG) : WEBSOCKET_MORE; /* only as the original: see fault_of */
}

/* RFC 6455, 7.4: what may stand in a close message. */
static bool is_status(uint32_t status)
{
	if (status >= 3000) return status <= 4999;
	return status >= 1000 && status <= 1014 && status != 1004 && status != WEBSOCKET_NO_STATUS && status != 1006;
}

static enum websocket_result on_close(struct websocket *w)
{
	uint32_t status = w->control_n < 2 ? 0 : (uint32_t)w->control[0] << 8 | w->control[1];

	w->deaf = true; /* nothing follows a close message */
	if (w->control_n == 0) status = WEBSOCKET_NO_STATUS;
	if (w->control_n != 0 && !is_status(status) && !w->ending) return fail(w, WEBSOCKET_PROTOCOL);
	w->ending = true;
	w->status = (uint16_t)status;
	return WEBSOCKET_CLOSED;
}

static enum websocket_result on_ping(struct websocket *w)
{
	if (w->ending) return WEBSOCKET_MORE;
	memcpy(w->pong, w->control, w->control_n);
	w->pong_n = w->control_n;
	w->pong_due = true;
	return WEBSOCKET_PING;
}

static enum websocket_result finish(struct websocket *w, const struct wslay_frame_iocb *io)
{
	w->in_frame = false;
	if (w->skip) return WEBSOCKET_MORE;
	if (io->opcode == WSLAY_CONNECTION_CLOSE) return on_close(w);
	if (io->opcode == WSLAY_PING) return on_ping(w);
	if (!wslay_is_ctrl_frame(io->opcode) && io->fin) w->in_message = false, w->message_n = 0;
	return WEBSOCKET_MORE;
}

/* The next piece of a frame. At most one of the three has something to say: a frame that fails is skipped. */
static enum websocket_result piece(struct websocket *w, const struct wslay_frame_iocb *io, uint8_t *out, uint32_t *out_n)
{
	enum websocket_result result = w->in_frame ? WEBSOCKET_MORE : begin(w, io), end;

	assert(w->held >= io->data_length);
	w->held -= (uint32_t)io->data_length;
	w->frame_have += io->data_length;
	if (!w->skip && io->data_length != 0) result = payload(w, io, out, out_n);
	if (w->frame_have < io->payload_length) return result;
	end = finish(w, io);
	assert(result == WEBSOCKET_MORE || end == WEBSOCKET_MORE);
	return end != WEBSOCKET_MORE ? end : result;
}

enum websocket_result websocket_read(struct websocket *w, const uint8_t **p, size_t *n, uint8_t *out, uint32_t *out_n)
{
	enum websocket_result result = WEBSOCKET_MORE;
	struct wslay_frame_iocb io = { 0 };

	w->in = *p, w->in_n = *n;
	while (result == WEBSOCKET_MORE && !w->deaf) {
		ssize_t got = wslay_frame_recv(context(w), &io);
		if (got == WSLAY_ERR_WANT_READ) break;
		if (got >= 0) {
			result = piece(w, &io, out, out_n);
		} else { /* where the next frame begins is not known */
			w->deaf = true;
			result = fail(w, WEBSOCKET_PROTOCOL);
		}
	}
	if (w->deaf) w->in += w->in_n, w->in_n = 0;
	*p = w->in, *n = w->in_n;
	w->in = NULL;
	rest(w);
	return result;
}

/* ---- writing ---- */

uint32_t websocket_cut(const struct websocket *w, uint32_t n, bool first)
{
	uint32_t most = !w->derper ? WEBSOCKET_MESSAGE_MAX : first ? WEBSOCKET_BUFFER : LENGTH_16;

	return n < most ? n : most;
}

/* The library wants to see the payload behind the header, but ours leaves as a span that nobody copies. websocket_test.c compares. */
uint32_t websocket_head(uint8_t out[WEBSOCKET_HEAD_MAX], uint32_t n)
{
	assert(n <= LENGTH_16);
	out[0] = 0x80 | WSLAY_BINARY_FRAME;
	out[1] = (uint8_t)(n <= LENGTH_7 ? n : LENGTH_7 + 1);
	if (n <= LENGTH_7) return 2;
	out[2] = (uint8_t)(n >> 8);
	out[3] = (uint8_t)n;
	return 4;
}

/* A piece of the frame's payload; the first brings the header. The callbacks take everything, so it is over at once. */
static void put(struct websocket *w, struct wslay_frame_iocb *io, const uint8_t *p, uint32_t n)
{
	ssize_t sent;

	io->data = p;
	io->data_length = n;
	sent = wslay_frame_send(context(w), io);
	assert(sent == (ssize_t)n);
	(void)sent;
}

static uint32_t put_frame(struct websocket *w, uint8_t opcode, const uint8_t *a, uint32_t a_n, const uint8_t *b, uint32_t b_n, uint8_t *out)
{
	struct wslay_frame_iocb io = { .fin = 1, .opcode = opcode, .payload_length = (uint64_t)a_n + b_n, .mask = w->masks != NULL };
	uint32_t n;

	w->sent = out;
	put(w, &io, a, a_n);
	if (b_n != 0) put(w, &io, b, b_n);
	n = (uint32_t)(w->sent - out);
	w->sent = NULL;
	rest(w);
	return n;
}

uint32_t websocket_message(struct websocket *w, const uint8_t *a, uint32_t a_n, const uint8_t *b, uint32_t b_n, uint8_t *out)
{
	assert(!w->closed);
	assert(a_n <= LENGTH_16 && b_n <= LENGTH_16 - a_n);
	return put_frame(w, WSLAY_BINARY_FRAME, a, a_n, b, b_n, out);
}

uint32_t websocket_pong(struct websocket *w, uint8_t out[WEBSOCKET_CONTROL_MAX])
{
	if (!w->pong_due || w->closed) return 0;
	w->pong_due = false;
	return put_frame(w, WSLAY_PONG, w->pong, w->pong_n, NULL, 0, out);
}

uint32_t websocket_close(struct websocket *w, uint16_t status, uint8_t out[WEBSOCKET_CONTROL_MAX])
{
	uint8_t data[2] = { (uint8_t)(status >> 8), (uint8_t)status };

	if (w->closed) return 0;
	w->closed = w->ending = true;
	return put_frame(w, WSLAY_CONNECTION_CLOSE, data, status == WEBSOCKET_NO_STATUS ? 0 : sizeof data, NULL, 0, out);
}
