/* WebSocket messages: the examples of RFC 6455, every limit from both sides, all that a peer may not do, what we write. Every stream is
 * read whole, in pieces and byte by byte, and must give the same; pieces and room for them are exactly as large as promised. */
#include "websocket.h"

#include "pair_websocket.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 32768, MEMORY_MAX = 8192, EVENTS = 32 };
#define CLIENT ws_mask /* a stream that a client writes, as ws_put wants it; NULL: a server's */

/* What reading a stream gave: the DERP bytes, and between which of them something else was said. */
struct seen {
	struct pair_buf data;
	struct {
		enum websocket_result what;
		uint16_t status;
		size_t at;
	} event[EVENTS];
	size_t events;
};

static void read_piece(struct websocket *w, const uint8_t *p, size_t n, struct seen *seen)
{
	uint8_t *copy = mem_alloc(n), *out = mem_alloc(n);
	const uint8_t *at = copy;
	size_t left = n, used = 0;
	enum websocket_result result;

	memcpy(copy, p, n);
	do {
		uint32_t got = 0;
		result = websocket_read(w, &at, &left, out + used, &got);
		used += got;
		assert_true(used <= n);
		pair_put(&seen->data, out + used - got, got);
		assert_true(websocket_memory(w) <= MEMORY_MAX);
		if (result == WEBSOCKET_MORE) break;
		assert_in_range(seen->events, 0, EVENTS - 1);
		seen->event[seen->events].what = result;
		seen->event[seen->events].status = result == WEBSOCKET_PING ? 0 : w->status;
		seen->event[seen->events++].at = seen->data.n;
	} while (true);
	assert_int_equal(left, 0);
	free(copy);
	free(out);
}

static void read_cut(struct websocket *w, const struct pair_buf *b, size_t chunk, struct seen *seen)
{
	memset(seen, 0, sizeof *seen);
	for (size_t at = 0; at < b->n; at += chunk) read_piece(w, b->p + at, b->n - at < chunk ? b->n - at : chunk, seen);
}

static struct rng *test_rng(void)
{
	static struct rng rng;

	rng_init(&rng, (const uint8_t[32]){ 7 });
	return &rng;
}

/* Reads whole, in pieces of 7 and 4,099, byte by byte; the caller frees what is seen. Emptied is b. */
static void read_all(const uint8_t *writer, bool derper, struct pair_buf *b, struct seen *seen)
{
	static const size_t chunks[] = { SIZE_MAX, 4099, 7, 1 };

	for (size_t i = 0; i < 4; i++) {
		struct websocket w;
		struct seen again;
		websocket_init(&w, writer == NULL ? test_rng() : NULL, derper);
		read_cut(&w, b, chunks[i] < b->n ? chunks[i] : b->n, i == 0 ? seen : &again);
		websocket_free(&w);
		assert_int_equal(websocket_memory(&w), 0);
		if (i == 0) continue;
		assert_int_equal(again.data.n, seen->data.n);
		if (seen->data.n != 0) assert_memory_equal(again.data.p, seen->data.p, seen->data.n);
		assert_int_equal(again.events, seen->events);
		assert_memory_equal(again.event, seen->event, sizeof seen->event);
		free(again.data.p);
	}
	b->n = 0;
}

/* Reads b, which must give this text and then one event, or none: WEBSOCKET_MORE. */
static void gives(const uint8_t *writer, struct pair_buf *b, const char *text, enum websocket_result what, uint16_t status)
{
	struct seen seen;

	read_all(writer, false, b, &seen);
	assert_int_equal(seen.data.n, strlen(text));
	if (seen.data.n != 0) assert_memory_equal(seen.data.p, text, seen.data.n);
	if (what == WEBSOCKET_MORE) {
		assert_int_equal(seen.events, 0);
	} else {
		assert_int_equal(seen.events, 1);
		if (seen.event[0].what != what || seen.event[0].status != status)
			fail_msg("got event %d, status %u, not %d, %u", seen.event[0].what, seen.event[0].status, what, status);
		assert_int_equal(seen.event[0].at, seen.data.n);
	}
	free(seen.data.p);
}

static void fails(const uint8_t *writer, struct pair_buf *b, uint16_t status) { gives(writer, b, "", WEBSOCKET_FAILED, status); }

/* ---- reading ---- */

#define PUT(b, bytes) pair_put(b, bytes, sizeof bytes - 1)

/* RFC 6455, 5.7, its examples; those with text once as they stand and once as binary. HTTP-030: text fails with 1003. */
static void rfc_examples(void **state)
{
	struct pair_buf b = { 0 };
	struct seen seen;
	uint8_t big[256] = { 0 };

	(void)state;
	PUT(&b, "\x81\x05Hello");
	fails(NULL, &b, WEBSOCKET_UNSUPPORTED);
	PUT(&b, "\x82\x05Hello");
	gives(NULL, &b, "Hello", WEBSOCKET_MORE, 0);
	PUT(&b, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
	fails(CLIENT, &b, WEBSOCKET_UNSUPPORTED);
	PUT(&b, "\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
	gives(CLIENT, &b, "Hello", WEBSOCKET_MORE, 0);
	PUT(&b, "\x01\x03Hel\x80\x02lo");
	fails(NULL, &b, WEBSOCKET_UNSUPPORTED);
	PUT(&b, "\x02\x03Hel\x80\x02lo");
	gives(NULL, &b, "Hello", WEBSOCKET_MORE, 0);
	PUT(&b, "\x89\x05Hello");
	gives(NULL, &b, "", WEBSOCKET_PING, 0);
	PUT(&b, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
	gives(CLIENT, &b, "", WEBSOCKET_MORE, 0);
	PUT(&b, "\x82\x7e\x01\x00");
	pair_put(&b, big, sizeof big);
	read_all(NULL, false, &b, &seen);
	assert_int_equal(seen.data.n, 256);
	free(seen.data.p);
	PUT(&b, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00\x00");
	fails(NULL, &b, WEBSOCKET_TOO_BIG);
	free(b.p);
}

/* HTTP-030, FRM-002: fragments and messages are one stream, whatever their boundaries; control frames between fragments are not in it. */
static void fragments_joined(void **state)
{
	struct pair_buf b = { 0 };
	struct seen seen;

	(void)state;
	ws_put(&b, WS_FIN | WS_BINARY, "", 0, CLIENT);
	ws_put(&b, WS_BINARY, "one ", 4, CLIENT);
	ws_put(&b, WS_FIN | WS_PING, "first", 5, CLIENT);
	ws_put(&b, WS_CONTINUATION, "", 0, CLIENT);
	ws_put(&b, WS_CONTINUATION, "two ", 4, CLIENT);
	ws_put(&b, WS_FIN | WS_PONG, "unasked", 7, CLIENT);
	ws_put(&b, WS_FIN | WS_CONTINUATION, "three", 5, CLIENT);
	ws_put(&b, WS_BINARY, " fo", 3, CLIENT);
	ws_put(&b, WS_FIN | WS_CONTINUATION, "", 0, CLIENT);
	ws_put(&b, WS_FIN | WS_PING, "", 0, CLIENT);
	ws_put(&b, WS_FIN | WS_BINARY, "ur", 2, CLIENT);
	ws_put_close(&b, WEBSOCKET_GOING_AWAY, CLIENT);
	ws_put(&b, WS_FIN | WS_BINARY, "behind the end", 14, CLIENT);
	read_all(CLIENT, false, &b, &seen);
	assert_int_equal(seen.data.n, 18);
	assert_memory_equal(seen.data.p, "one two three four", 18);
	assert_int_equal(seen.events, 3);
	assert_true(seen.event[0].what == WEBSOCKET_PING && seen.event[0].at == 4);
	assert_true(seen.event[1].what == WEBSOCKET_PING && seen.event[1].at == 16);
	assert_true(seen.event[2].what == WEBSOCKET_CLOSED && seen.event[2].status == WEBSOCKET_GOING_AWAY && seen.event[2].at == 18);
	free(seen.data.p);
	free(b.p);
}

/* RFC 6455, 5.2: each opcode, each reserved bit and the mask of each side, alone and within a message. */
static void frames_judged(void **state)
{
	struct pair_buf b = { 0 };

	(void)state;
	for (int side = 0; side < 2; side++) {
		const uint8_t *writer = side == 0 ? CLIENT : NULL, *wrong = side == 0 ? NULL : CLIENT;
		for (uint8_t opcode = 0; opcode < 16; opcode++) {
			bool good = opcode == WS_BINARY || opcode >= WS_CLOSE;
			if (opcode >= WS_CLOSE && opcode <= WS_PONG) continue; /* of their own below */
			ws_put(&b, (uint8_t)(WS_FIN | opcode), "x", 1, writer);
			if (good && opcode == WS_BINARY)
				gives(writer, &b, "x", WEBSOCKET_MORE, 0);
			else
				fails(writer, &b, opcode == WS_TEXT ? WEBSOCKET_UNSUPPORTED : WEBSOCKET_PROTOCOL);
			if (opcode == WS_CONTINUATION) continue;
			ws_put(&b, WS_BINARY, "in", 2, writer);
			ws_put(&b, (uint8_t)(WS_FIN | opcode), "x", 1, writer);
			gives(writer, &b, "in", WEBSOCKET_FAILED, WEBSOCKET_PROTOCOL);
		}
		for (uint8_t reserved = 1; reserved < 8; reserved++) {
			ws_put(&b, (uint8_t)(WS_FIN | reserved << 4 | WS_BINARY), "x", 1, writer);
			fails(writer, &b, WEBSOCKET_PROTOCOL);
		}
		ws_put(&b, WS_FIN | WS_BINARY, "x", 1, wrong);
		fails(writer, &b, WEBSOCKET_PROTOCOL);
		ws_put(&b, WS_FIN | WS_PING, "", 0, wrong);
		fails(writer, &b, WEBSOCKET_PROTOCOL);
		for (uint8_t opcode = WS_CLOSE; opcode <= WS_PONG; opcode++) { /* in fragments: even the first byte is enough */
			ws_put(&b, opcode, "", 0, writer);
			fails(writer, &b, WEBSOCKET_PROTOCOL);
		}
	}
	free(b.p);
}

/* RFC 6455, 5.2, 5.5: lengths in their shortest form only, no top bit, control frames of 125 bytes at most. */
static void lengths_judged(void **state)
{
	static const uint8_t data[65536];
	struct pair_buf b = { 0 };
	struct seen seen;

	(void)state;
	PUT(&b, "\x82\x7e\x00\x7d");
	fails(NULL, &b, WEBSOCKET_PROTOCOL);
	PUT(&b, "\x82\x7e\x00\x7ex");
	gives(NULL, &b, "x", WEBSOCKET_MORE, 0);
	PUT(&b, "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff");
	fails(NULL, &b, WEBSOCKET_PROTOCOL);
	PUT(&b, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00");
	fails(NULL, &b, WEBSOCKET_PROTOCOL);
	PUT(&b, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	fails(CLIENT, &b, WEBSOCKET_PROTOCOL);
	PUT(&b, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffx");
	fails(NULL, &b, WEBSOCKET_TOO_BIG);
	for (int i = 0; i < 12; i++) { /* of both sides, pings and pongs */
		static const size_t lengths[] = { 125, 126, 65536 };
		const uint8_t *writer = i % 2 == 0 ? CLIENT : NULL;
		uint8_t opcode = i / 2 % 2 == 0 ? WS_PING : WS_PONG;
		size_t n = lengths[i / 4];
		ws_put(&b, WS_FIN | opcode, data, n, writer);
		read_all(writer, false, &b, &seen);
		assert_int_equal(seen.events, n > 125 || opcode == WS_PING);
		if (seen.events != 0) assert_int_equal(seen.event[0].what, n > 125 ? WEBSOCKET_FAILED : WEBSOCKET_PING);
		assert_int_equal(seen.data.n, 0);
		free(seen.data.p);
	}
	PUT(&b, "\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00"); /* a ping of 64 KiB */
	fails(NULL, &b, WEBSOCKET_PROTOCOL);
	free(b.p);
}

/* A message of parts, of n bytes in all, of which `sent` are there. What was taken of it, and whether it failed with 1009. */
static void message_from(const uint8_t *writer, bool derper, size_t parts, uint64_t n, size_t sent, size_t taken, bool failed)
{
	uint8_t *data = mem_zero(1, sent + 1000), head[WS_HEAD_MAX];
	struct pair_buf b = { 0 };
	struct seen seen;

	for (size_t i = 0; i < parts - 1; i++) ws_put(&b, i == 0 ? WS_BINARY : WS_CONTINUATION, data, 1000, writer);
	pair_put(&b, head, ws_head(head, (uint8_t)(WS_FIN | (parts == 1 ? WS_BINARY : WS_CONTINUATION)), n - 1000 * (parts - 1), writer));
	pair_put(&b, data, sent);
	read_all(writer, derper, &b, &seen);
	assert_int_equal(seen.data.n, taken);
	assert_int_equal(seen.events, failed);
	if (failed) assert_true(seen.event[0].what == WEBSOCKET_FAILED && seen.event[0].status == WEBSOCKET_TOO_BIG);
	free(seen.data.p);
	free(b.p);
	free(data);
}

/* As a relay reads it, and as a client does. */
static void message_of(bool derper, size_t parts, uint64_t n, size_t sent, size_t taken, bool failed)
{
	message_from(CLIENT, derper, parts, n, sent, taken, failed);
	message_from(NULL, derper, parts, n, sent, taken, failed);
}

/* HTTP-031: 32,768 bytes a message, in one frame or in many. Ours refuses the frame that goes beyond, the original takes 32,769 bytes. */
static void message_limit(void **state)
{
	(void)state;
	message_of(false, 1, MOST, MOST, MOST, false);
	message_of(false, 1, MOST + 1, 1, 0, true);
	message_of(false, 1, UINT64_MAX >> 1, 1, 0, true);
	message_of(false, 5, MOST, MOST - 4000, MOST, false);
	message_of(false, 5, MOST + 1, 1, 4000, true);
	message_of(false, 40, 40000, 1, 32000, true);
	message_of(true, 1, MOST, MOST, MOST, false);
	message_of(true, 1, MOST + 1, MOST, MOST, false);
	message_of(true, 1, MOST + 1, MOST + 1, MOST + 1, true);
	message_of(true, 1, UINT64_MAX >> 1, MOST + 5, MOST + 1, true);
	message_of(true, 5, MOST + 1, MOST + 1 - 4000, MOST + 1, true);
	message_of(true, 40, 40000, 1000, MOST + 1, true);
}

/* RFC 6455, 7.4: which statuses may come; an empty close message has none, one byte is no status. */
static void close_statuses(void **state)
{
	static const struct {
		uint16_t first, last;
		bool good;
	} ranges[] = { { 1, 999, false },     { 1000, 1003, true }, { 1004, 1006, false }, { 1007, 1014, true },
		       { 1015, 2999, false }, { 3000, 4999, true }, { 5000, 5001, false }, { 65535, 65535, false } };
	struct pair_buf b = { 0 };
	char reason[124] = "\x03\xe8 because";

	(void)state;
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		for (int k = 0; k < 4; k++) {
			uint16_t status = k % 2 == 0 ? ranges[i].first : ranges[i].last;
			const uint8_t *writer = k < 2 ? CLIENT : NULL;
			ws_put_close(&b, status, writer);
			gives(writer, &b, "", ranges[i].good ? WEBSOCKET_CLOSED : WEBSOCKET_FAILED, ranges[i].good ? status : WEBSOCKET_PROTOCOL);
		}
	ws_put(&b, WS_FIN | WS_CLOSE, "\0\0", 2, CLIENT);
	fails(CLIENT, &b, WEBSOCKET_PROTOCOL);
	ws_put_close(&b, 0, CLIENT);
	gives(CLIENT, &b, "", WEBSOCKET_CLOSED, WEBSOCKET_NO_STATUS);
	ws_put(&b, WS_FIN | WS_CLOSE, "\x03", 1, CLIENT);
	fails(CLIENT, &b, WEBSOCKET_PROTOCOL);
	ws_put(&b, WS_FIN | WS_CLOSE, reason, sizeof reason, NULL);
	gives(NULL, &b, "", WEBSOCKET_CLOSED, WEBSOCKET_NORMAL);
	free(b.p);
}

/* Behind a failure the stream is read on, quietly, until the peer's close message comes (HTTP-030); behind that nothing is. */
static void read_on(void **state)
{
	static const uint8_t firsts[] = { WS_FIN | WS_TEXT, WS_FIN | WS_BINARY | 0x40, WS_FIN | 3 };
	struct pair_buf b = { 0 };
	struct seen seen;

	(void)state;
	for (size_t i = 0; i < sizeof firsts; i++) {
		ws_put(&b, firsts[i], "fault", 5, CLIENT);
		ws_put(&b, WS_FIN | WS_BINARY, "late", 4, CLIENT);
		ws_put(&b, WS_FIN | WS_PING, "unheard", 7, CLIENT);
		ws_put(&b, firsts[i], "again", 5, CLIENT);
		ws_put_close(&b, 1008, CLIENT);
		ws_put_close(&b, 1000, CLIENT);
		ws_put(&b, WS_FIN | WS_BINARY, "later", 5, CLIENT);
		read_all(CLIENT, false, &b, &seen);
		assert_int_equal(seen.events, 2);
		assert_true(seen.event[0].what == WEBSOCKET_FAILED && seen.event[0].at == 0);
		assert_true(seen.event[1].what == WEBSOCKET_CLOSED && seen.event[1].status == 1008);
		assert_int_equal(seen.data.n, 4);
		free(seen.data.p);
	}
	PUT(&b, "\x82\x7e\x00\x01"); /* where the next frame begins is not known */
	ws_put_close(&b, 1000, NULL);
	fails(NULL, &b, WEBSOCKET_PROTOCOL);
	free(b.p);
}

/* A server holds no memory of the library between frames, and a little within one; nothing grows. */
static void memory_at_rest(void **state)
{
	struct pair_buf b = { 0 };
	struct seen seen = { .events = 0 };
	struct websocket w;

	(void)state;
	websocket_init(&w, NULL, false);
	for (int round = 0; round < 3; round++) {
		b.n = 0;
		ws_put(&b, round == 2 ? WS_FIN | WS_PONG : WS_BINARY, "12345", 5, CLIENT);
		for (size_t i = 0; i < b.n; i++) {
			assert_int_equal(websocket_memory(&w) != 0, i != 0);
			read_piece(&w, b.p + i, 1, &seen);
		}
		assert_int_equal(websocket_memory(&w), 0);
		w.in_message = false;
	}
	free(seen.data.p);
	free(b.p);
}

/* ---- writing ---- */

static void frame_is(const uint8_t *p, size_t n, uint8_t first, bool masked, const void *data, size_t data_n)
{
	struct pair_buf got = { 0 };
	struct ws_frame f = { 0 };

	assert_true(ws_take(&p, &n, &f, &got));
	assert_int_equal(n, 0);
	assert_int_equal(f.first, first);
	assert_int_equal(f.masked, masked);
	assert_int_equal(f.n, data_n);
	if (data_n != 0) assert_memory_equal(got.p, data, data_n);
	free(got.p);
}

/* RFC 6455, 5.2: our own header is the library's, at every border of its forms; both read by hand. */
static void head_compared(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 125, 126, 127, 4096, MOST, 65535 };
	uint8_t *data = mem_zero(1, 65536), *out = mem_alloc(65536 + WEBSOCKET_HEAD_MAX), head[WEBSOCKET_HEAD_MAX];
	struct websocket w;

	(void)state;
	websocket_init(&w, NULL, false);
	for (uint32_t i = 0; i < 65536; i++) data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint32_t a_n = sizes[i] / 3, n = websocket_message(&w, data, a_n, data + a_n, sizes[i] - a_n, out),
			 head_n = websocket_head(head, sizes[i]);
		frame_is(out, n, WS_FIN | WS_BINARY, false, data, sizes[i]);
		assert_int_equal(n, head_n + sizes[i]);
		assert_memory_equal(out, head, head_n);
		assert_int_equal(websocket_memory(&w), 0);
	}
	free(data);
	free(out);
}

/* RFC 6455, 5.3: a client masks every frame, with a mask of its own from the machine's stream and from nowhere else. */
static void client_masks(void **state)
{
	uint8_t data[5000], out[5000 + WEBSOCKET_HEAD_MAX], mask[4], control[WEBSOCKET_CONTROL_MAX];
	struct rng same, *rng = test_rng();
	struct pair_buf b = { 0 };
	struct seen seen = { .events = 0 };
	struct websocket w;

	(void)state;
	same = *rng;
	memset(data, 0x5a, sizeof data);
	websocket_init(&w, rng, false);
	for (uint32_t n = 1; n < 5000; n = 5 * n + 1) {
		frame_is(out, websocket_message(&w, data, n / 2, data + n / 2, n - n / 2, out), WS_FIN | WS_BINARY, true, data, n);
		rng_bytes(&same, RNG_MASK, mask, sizeof mask);
		assert_memory_equal(out + (n < 126 ? 2 : 4), mask, sizeof mask);
	}
	ws_put(&b, WS_FIN | WS_PING, "ping", 4, NULL);
	read_piece(&w, b.p, b.n, &seen);
	frame_is(control, websocket_pong(&w, control), WS_FIN | WS_PONG, true, "ping", 4);
	frame_is(control, websocket_close(&w, WEBSOCKET_NORMAL, control), WS_FIN | WS_CLOSE, true, "\x03\xe8", 2);
	rng_bytes(&same, RNG_MASK, mask, sizeof mask);
	rng_bytes(&same, RNG_MASK, mask, sizeof mask);
	assert_memory_equal(control + 2, mask, sizeof mask);
	assert_memory_equal(rng, &same, sizeof same);
	websocket_free(&w);
	free(b.p);
}

/* RFC 6455, 5.5: the newest ping is answered, once; the close message goes out once, and nothing behind it. */
static void control_written(void **state)
{
	uint8_t out[WEBSOCKET_CONTROL_MAX], most[WEBSOCKET_DATA_MAX];
	struct pair_buf b = { 0 };
	struct seen seen = { .events = 0 };
	struct websocket w;

	(void)state;
	memset(most, 'm', sizeof most);
	websocket_init(&w, NULL, false);
	assert_int_equal(websocket_pong(&w, out), 0);
	ws_put(&b, WS_FIN | WS_PING, "old", 3, CLIENT);
	ws_put(&b, WS_FIN | WS_PING, most, sizeof most, CLIENT);
	read_piece(&w, b.p, b.n, &seen);
	assert_int_equal(seen.events, 2);
	frame_is(out, websocket_pong(&w, out), WS_FIN | WS_PONG, false, most, sizeof most);
	assert_int_equal(websocket_pong(&w, out), 0);
	read_piece(&w, b.p, b.n, &seen);
	frame_is(out, websocket_close(&w, WEBSOCKET_POLICY, out), WS_FIN | WS_CLOSE, false, "\x03\xf0", 2);
	assert_int_equal(websocket_close(&w, WEBSOCKET_NORMAL, out), 0);
	assert_int_equal(websocket_pong(&w, out), 0);
	websocket_init(&w, NULL, false);
	frame_is(out, websocket_close(&w, WEBSOCKET_NO_STATUS, out), WS_FIN | WS_CLOSE, false, NULL, 0);
	free(b.p);
}

/* HTTP-031: ours cuts at 32,768 bytes; the original writes what fills its buffer, then everything else in one. */
static void writes_cut(void **state)
{
	struct websocket w;

	(void)state;
	websocket_init(&w, NULL, false);
	for (int first = 0; first < 2; first++) {
		assert_int_equal(websocket_cut(&w, 1, first), 1);
		assert_int_equal(websocket_cut(&w, MOST, first), MOST);
		assert_int_equal(websocket_cut(&w, MOST + 1, first), MOST);
		assert_int_equal(websocket_cut(&w, UINT32_MAX, first), MOST);
	}
	websocket_init(&w, NULL, true);
	assert_int_equal(websocket_cut(&w, 4096, true), 4096);
	assert_int_equal(websocket_cut(&w, 4097, true), 4096);
	assert_int_equal(websocket_cut(&w, 941, false), 941);
	assert_int_equal(websocket_cut(&w, FRAME_HEADER + FRAME_SEND_MAX - 4096, false), FRAME_HEADER + FRAME_SEND_MAX - 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples),   cmocka_unit_test(fragments_joined), cmocka_unit_test(frames_judged),
		cmocka_unit_test(lengths_judged), cmocka_unit_test(message_limit),    cmocka_unit_test(close_statuses),
		cmocka_unit_test(read_on),        cmocka_unit_test(memory_at_rest),   cmocka_unit_test(head_compared),
		cmocka_unit_test(client_masks),   cmocka_unit_test(control_written),  cmocka_unit_test(writes_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
