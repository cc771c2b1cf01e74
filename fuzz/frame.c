/* The frame parser: a stream means the same whole and in pieces, for every role; what it hands out obeys the table.
 * The seeds are what our encoder writes.
 *
 * Input: role, a number that places the cuts, then the stream. Rules: FRM-001..FRM-016. */
#include "fuzz.h"

#include "../ref/buf.h"
#include "../ref/frame.h"

enum { SEEN_MAX = 4096 };

/* What a reader said of one frame. */
struct seen {
	uint8_t type, verdict;
	uint32_t n;
	uint64_t hash; /* of the payload; 0 if it was not handed out */
};

struct reading {
	struct frame_reader reader;
	struct seen v[SEEN_MAX];
	uint32_t n;
	bool over;
};

static uint64_t hash_of(const uint8_t *p, uint32_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h | 1;
}

static void check_frame(enum frame_role role, const struct frame *f)
{
	const struct frame_info *info = frame_info(f->type);

	FUZZ_CHECK(f->verdict == frame_verdict(role, f->type, f->n));
	if (f->verdict != FRAME_TAKE) return;
	FUZZ_CHECK(info != NULL);
	FUZZ_CHECK(f->n <= FRAME_CLIENT_MAX);
}

/* Takes the stream's next piece. */
static void feed(struct reading *r, const uint8_t *p, size_t n)
{
	struct frame f;

	while (!r->over && r->n < SEEN_MAX) {
		enum frame_result result = frame_read(&r->reader, &p, &n, &f);
		if (result == FRAME_MORE) {
			FUZZ_CHECK(n == 0);
			return;
		}
		check_frame(r->reader.role, &f);
		if (result == FRAME_HEADER_READ) {
			r->v[r->n++] = (struct seen){ .type = f.type, .verdict = (uint8_t)f.verdict, .n = f.n };
			r->over = f.verdict == FRAME_BAD;
#ifdef FUZZ_CANARY
			FUZZ_CHECK(!(f.type == FRAME_PEER_GONE && f.n == FRAME_GONE_SIZE + 2));
#endif
		} else {
			FUZZ_CHECK(r->n > 0 && r->v[r->n - 1].type == f.type && r->v[r->n - 1].verdict == FRAME_TAKE);
			r->v[r->n - 1].hash = hash_of(f.payload, f.n);
		}
	}
}

static void fuzz_one(const uint8_t *p, size_t n)
{
	static struct reading whole, pieces; /* large */
	uint32_t cut;

	if (n < 2) return;
	memset(&whole, 0, sizeof whole);
	memset(&pieces, 0, sizeof pieces);
	frame_reader_init(&whole.reader, (enum frame_role)(p[0] % FRAME_ROLES));
	frame_reader_init(&pieces.reader, (enum frame_role)(p[0] % FRAME_ROLES));
	cut = p[1];
	p += 2, n -= 2;
	feed(&whole, p, n);
	for (size_t at = 0; at < n;) {
		size_t piece = cut == 0 ? 1 : 1 + cut % 7 * (cut % 5) + cut % 3;
		if (piece > n - at) piece = n - at;
		feed(&pieces, p + at, piece);
		at += piece;
		cut = cut == 0 ? 0 : (cut * 75 + 74) % 65537;
	}
	FUZZ_CHECK(whole.n == pieces.n && whole.over == pieces.over);
	for (uint32_t i = 0; i < whole.n; i++) {
		const struct seen *a = &whole.v[i], *b = &pieces.v[i];
		FUZZ_CHECK(a->type == b->type && a->verdict == b->verdict && a->n == b->n && a->hash == b->hash);
	}
	if (!whole.over) FUZZ_CHECK(frame_reader_at_boundary(&whole.reader) == frame_reader_at_boundary(&pieces.reader));
	frame_reader_free(&whole.reader);
	frame_reader_free(&pieces.reader);
}

/* ---- seeds ---- */

static size_t stream_of(uint32_t i, uint8_t *out)
{
	uint8_t key[32], other[32], data[8] = "derpping";
	size_t n = 0;

	memset(key, 0x11, sizeof key);
	memset(other, 0x22, sizeof other);
	switch (i) {
	case 0: return frame_server_key(out, key);
	case 1:
		n = frame_send_head(out, key, 64);
		memset(out + n, 0xa5, 64);
		return n + 64;
	case 2:
		n = frame_recv_head(out, key, 64);
		memset(out + n, 0x5a, 64);
		return n + 64;
	case 3:
		n = frame_forward_head(out, key, other, 32);
		memset(out + n, 0x33, 32);
		return n + 32;
	case 4: return frame_keep_alive(out);
	case 5: return frame_note_preferred(out, true);
	case 6: return frame_peer_gone(out, key, 1);
	case 7: return frame_peer_present(out, key, key, 3340, 1);
	case 8: return frame_watch_conns(out);
	case 9: return frame_close_peer(out, key);
	case 10: return frame_ping(out, data);
	case 11: return frame_pong(out, data);
	case 12: return frame_restarting(out, 1000, 30000);
	case 13: /* a conversation */
		for (uint32_t k = 1; k < 13; k++) n += stream_of(k, out + n);
		return n;
	case 14: /* unknown, then known */
		frame_header(out, 0x77, 5);
		memset(out + FRAME_HEADER, 0, 5);
		return FRAME_HEADER + 5 + frame_ping(out + FRAME_HEADER + 5, data);
	case 15: /* cut off within a header */ n = frame_send_head(out, key, 64); return n - 34;
	case 16: /* longest packet */
		n = frame_send_head(out, key, FRAME_PACKET_MAX);
		memset(out + n, 0x77, FRAME_PACKET_MAX);
		return n + FRAME_PACKET_MAX;
	case 17: frame_header(out, FRAME_SEND_PACKET, UINT32_MAX); return FRAME_HEADER;
	default: return 0;
	}
}

static size_t fuzz_seed(uint32_t i, uint8_t *out, size_t cap, char name[64])
{
	enum { STREAMS = 18 };
	static const uint8_t cut[] = { 0, 91 };
	uint32_t stream = i % STREAMS, role = i / STREAMS % FRAME_ROLES, way = i / STREAMS / FRAME_ROLES;

	if (way >= sizeof cut || cap < FUZZ_SEED_MAX) return 0;
	if (stream == 16 && (role == FRAME_ROLE_SERVER_LOGIN || role == FRAME_ROLE_CLIENT_LOGIN || way > 0))
		stream = 4; /* one large input a role is enough */
	out[0] = (uint8_t)role;
	out[1] = cut[way];
	snprintf(name, 64, "role%u-cut%u-%02u", role, cut[way], i % STREAMS);
	return 2 + stream_of(stream, out + 2);
}
