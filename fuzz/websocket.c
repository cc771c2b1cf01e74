/* The WebSocket reader: a stream means the same whole and in pieces, for both sides; memory is bounded whatever comes; what we answer and
 * what we write of the same bytes is read by the other side as it was meant. The seeds are what our encoder writes.
 *
 * Input: side and limits, a number that places the cuts, then the stream. Rules: HTTP-030, HTTP-031, RFC 6455. */
#include "fuzz.h"

#include "../ref/buf.h"
#include "../ref/rng.h"
#include "../ref/websocket.h"

enum { SEEN_MAX = 1024, MEMORY_MAX = 8192, STEP_MAX = 70000 };

/* What a reader said, and where in the DERP stream. */
struct seen {
	uint8_t what;
	uint16_t status;
	size_t at;
};

struct reading {
	struct websocket w;
	struct rng rng;
	struct seen v[SEEN_MAX];
	uint32_t n;
	uint8_t data[FUZZ_INPUT_MAX]; /* the DERP stream */
	size_t data_n;
	uint8_t answers[SEEN_MAX * WEBSOCKET_CONTROL_MAX]; /* pongs and the close message */
	size_t answers_n;
};

static void begin(struct reading *r, bool client, bool derper)
{
	static const uint8_t seed[32] = "masks";

	r->n = 0, r->data_n = 0, r->answers_n = 0;
	rng_init(&r->rng, seed);
	websocket_init(&r->w, client ? &r->rng : NULL, derper);
}

static void note(struct reading *r, enum websocket_result what)
{
	uint16_t status = what == WEBSOCKET_PING ? 0 : r->w.status;

	r->v[r->n++] = (struct seen){ .what = (uint8_t)what, .status = status, .at = r->data_n };
	if (what == WEBSOCKET_PING)
		r->answers_n += websocket_pong(&r->w, r->answers + r->answers_n);
	else
		r->answers_n += websocket_close(&r->w, status, r->answers + r->answers_n);
#ifdef FUZZ_CANARY
	FUZZ_CHECK(!(what == WEBSOCKET_CLOSED && status >= 3000 && status < 4000)); /* no seed has one */
#endif
}

/* Takes the stream's next piece; the room for what it holds is exactly as large as promised. */
static void feed(struct reading *r, const uint8_t *p, size_t n)
{
	uint8_t *out = mem_alloc(n);
	size_t used = 0, piece = n;

	while (r->n < SEEN_MAX) {
		uint32_t got = 0;
		enum websocket_result what = websocket_read(&r->w, &p, &n, out + used, &got);
		FUZZ_CHECK(got <= piece - used && r->data_n + got <= sizeof r->data);
		memcpy(r->data + r->data_n, out + used, got);
		r->data_n += got, used += got;
		FUZZ_CHECK(websocket_memory(&r->w) <= MEMORY_MAX);
		FUZZ_CHECK(r->w.message_n <= WEBSOCKET_MESSAGE_MAX + 1u);
		if (what == WEBSOCKET_MORE) {
			FUZZ_CHECK(n == 0);
			break;
		}
		note(r, what);
	}
	free(out);
}

/* One end at most, and behind it neither pings nor failures. */
static void check_order(const struct reading *r)
{
	bool failed = false;

	for (uint32_t i = 0; i < r->n; i++) {
		FUZZ_CHECK(i + 1 == r->n || r->v[i].what != WEBSOCKET_CLOSED);
		FUZZ_CHECK(!failed || r->v[i].what == WEBSOCKET_CLOSED);
		failed |= r->v[i].what == WEBSOCKET_FAILED;
	}
}

/* What we answered is nothing that the other side would refuse: pongs, then at most one close message with our status. */
static void check_answers(const struct reading *r, struct reading *other)
{
	feed(other, r->answers, r->answers_n);
	FUZZ_CHECK(other->data_n == 0 && other->n <= 1);
	if (other->n == 0) return;
	FUZZ_CHECK(other->v[0].what == WEBSOCKET_CLOSED);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->v[i].what != WEBSOCKET_PING) {
			FUZZ_CHECK(other->v[0].status == r->v[i].status);
			return;
		}
	FUZZ_CHECK(false);
}

/* Messages that we write of any bytes are read as these bytes. */
static void check_written(struct reading *r, bool client, const uint8_t *p, size_t n, uint32_t cut)
{
	static uint8_t out[WEBSOCKET_MESSAGE_MAX + WEBSOCKET_HEAD_MAX];
	static struct reading other; /* large */

	begin(r, client, false);
	begin(&other, !client, false);
	while (n > 0) {
		uint32_t most = n < STEP_MAX ? (uint32_t)n : STEP_MAX, take = websocket_cut(&r->w, most, true), a_n = cut % (take + 1);
		uint32_t message_n = websocket_message(&r->w, p, a_n, p + a_n, take - a_n, out);
		FUZZ_CHECK(take <= WEBSOCKET_MESSAGE_MAX && message_n == websocket_message_n(&r->w, take));
		feed(&other, out, message_n);
		FUZZ_CHECK(other.n == 0 && other.data_n >= take && memcmp(other.data + other.data_n - take, p, take) == 0);
		p += take, n -= take;
	}
	websocket_free(&r->w);
	websocket_free(&other.w);
}

static void fuzz_one(const uint8_t *p, size_t n)
{
	static struct reading whole, pieces, other; /* large */
	uint32_t cut, place;
	bool client, derper;

	if (n < 2) return;
	client = (p[0] & 1) != 0, derper = (p[0] & 2) != 0;
	place = cut = p[1];
	p += 2, n -= 2;
	begin(&whole, client, derper);
	begin(&pieces, client, derper);
	begin(&other, !client, false);
	feed(&whole, p, n);
	for (size_t at = 0; at < n;) {
		size_t piece = cut == 0 ? 1 : 1 + cut % 7 * (cut % 5) + cut % 3;
		if (piece > n - at) piece = n - at;
		feed(&pieces, p + at, piece);
		at += piece;
		cut = cut == 0 ? 0 : (cut * 75 + 74) % 65537;
	}
	FUZZ_CHECK(whole.n == pieces.n && whole.data_n == pieces.data_n && whole.answers_n == pieces.answers_n);
	for (uint32_t i = 0; i < whole.n; i++) {
		const struct seen *a = &whole.v[i], *b = &pieces.v[i];
		FUZZ_CHECK(a->what == b->what && a->status == b->status && a->at == b->at);
	}
	FUZZ_CHECK(memcmp(whole.data, pieces.data, whole.data_n) == 0 && memcmp(whole.answers, pieces.answers, whole.answers_n) == 0);
	FUZZ_CHECK(whole.data_n <= n);
	if (whole.n < SEEN_MAX) {
		check_order(&whole);
		check_answers(&whole, &other);
	}
	websocket_free(&whole.w);
	websocket_free(&pieces.w);
	websocket_free(&other.w);
	check_written(&whole, client, p, n, place * 131);
}

/* ---- seeds ---- */

struct writer {
	struct websocket w;
	uint8_t *out;
	size_t n;
};

static void message(struct writer *s, uint8_t first, uint32_t n)
{
	static uint8_t data[WEBSOCKET_MESSAGE_MAX];
	uint8_t *out = s->out + s->n;

	memset(data, 0xa5, sizeof data);
	s->n += websocket_message(&s->w, data, n, NULL, 0, out);
	out[0] = first; /* the rest of a frame does not depend on it */
}

static void closing(struct writer *s, uint16_t status) { s->n += websocket_close(&s->w, status, s->out + s->n); }

static void stream_of(struct writer *s, uint32_t i)
{
	static const uint32_t sizes[] = { 0, 1, 125, 126, 4096, 4097 };

	switch (i) {
	case 0: /* a login and its end */
		message(s, 0x82, 45);
		message(s, 0x82, 58);
		closing(s, WEBSOCKET_NORMAL);
		break;
	case 1: closing(s, WEBSOCKET_NO_STATUS); break;
	case 2: closing(s, 4000); break;
	case 3: closing(s, 1005 + 1); break; /* not allowed on the wire */
	case 4: message(s, 0x81, 4); break;  /* text */
	case 5:                              /* fragments, a ping and a pong among them */
		message(s, 0x02, 3);
		message(s, 0x89, 4);
		message(s, 0x00, 37);
		message(s, 0x8a, 0);
		message(s, 0x80, 14);
		message(s, 0x82, 5);
		break;
	case 6: message(s, 0xc2, 5); break; /* reserved bit */
	case 7: message(s, 0x83, 5); break; /* opcode */
	case 8: message(s, 0x09, 5); break; /* a ping in fragments */
	case 9: message(s, 0x80, 5); break; /* continues nothing */
	case 10:
		for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++) message(s, 0x82, sizes[k]);
		break;
	case 11: message(s, 0x89, 125); break;
	case 12: message(s, 0x89, 126); break;
	case 13: message(s, 0x82, WEBSOCKET_MESSAGE_MAX); break;
	case 14: /* one byte too long, in two fragments */
		message(s, 0x02, WEBSOCKET_MESSAGE_MAX);
		message(s, 0x80, 1);
		message(s, 0x89, 2);
		closing(s, WEBSOCKET_TOO_BIG);
		break;
	case 15: /* the longest length that there is, and one beyond */
	case 16:
		memcpy(s->out, i == 15 ? "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" : "\x82\x7f\x80\0\0\0\0\0\0\0", 10);
		memset(s->out + 10, 1, 8);
		if (s->w.masks != NULL) s->out[1] |= 0x80;
		s->n = 18;
		break;
	default: break;
	}
}

static size_t fuzz_seed(uint32_t i, uint8_t *out, size_t cap, char name[64])
{
	enum { STREAMS = 17 };
	static const uint8_t seed[32] = "peer", cut[] = { 0, 91 };
	uint32_t stream = i % STREAMS, side = i / STREAMS % 4, way = i / STREAMS / 4;
	struct rng rng;
	struct writer s = { .out = out + 2 };

	if (way >= sizeof cut || cap < FUZZ_SEED_MAX) return 0;
	if (way == 0 && (stream == 13 || stream == 14)) stream = 0; /* byte by byte they would take long */
	rng_init(&rng, seed);
	websocket_init(&s.w, (side & 1) != 0 ? NULL : &rng, false); /* the other side's */
	stream_of(&s, stream);
	websocket_free(&s.w);
	out[0] = (uint8_t)side;
	out[1] = cut[way];
	snprintf(name, 64, "side%u-cut%u-%02u", side, cut[way], i % STREAMS);
	return 2 + s.n;
}
