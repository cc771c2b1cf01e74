/* Is what ours wrote what was recorded? Frame by frame, HTTP heads byte by byte. Each difference is a line of text and must stand in the
 * test's list, with the rule that explains it; what stands there must occur. For transcript_*_test.c only.
 *
 * Boxes are opened, nonces and ports ignored (both differ from run to run); order is free only where TRP-002 leaves it free, and Pongs of
 * a burst may differ in number (SRV-026). */
#ifndef REF_PAIR_DIFFERENCE_H
#define REF_PAIR_DIFFERENCE_H

#include "pair_transcript.h"

enum { DIFFERENCES_MAX = 100, DIFFERENCE_TEXT = 500, PAUSE_MS = 50 };

/* what: "+FRAME": ours wrote it and the recorded one did not; "-FRAME": the reverse; "rest M N": M recorded and N bytes of ours are no
 * whole frame; "messages ...": the WebSocket frames that ours wrote, of opcode and length, or status and length of the words. */
struct difference {
	const char *story, *conn;
	const char *rule; /* by which ours decides otherwise; NULL: not ours, `why` it is recorded so */
	const char *what;
	const char *why;
};

/* Of one play of one story. */
struct judge {
	const struct story *story;
	const struct difference *list;
	size_t n;
	bool seen[DIFFERENCES_MAX];
};

static size_t compared, plays_judged;

static inline struct judge judge_new(const struct story *s, const struct difference *list, size_t n)
{
	assert_true(n <= DIFFERENCES_MAX);
	return (struct judge){ .story = s, .list = list, .n = n };
}

/* What has a rule is only so with the default profile. */
static inline bool judge_expects(const struct judge *j, size_t i)
{
	return strcmp(j->list[i].story, j->story->name) == 0 && (j->list[i].rule == NULL || j->story->ours);
}

static inline void judge_difference(struct judge *j, const char *conn, const char *what)
{
	size_t i = 0;

	while (i < j->n && (j->seen[i] || !judge_expects(j, i) || strcmp(j->list[i].conn, conn) != 0 || strcmp(j->list[i].what, what) != 0)) i++;
	if (i == j->n) fail_msg("%s (%s), %s: no rule explains the difference %s", j->story->name, j->story->ours ? "ours" : "derper", conn, what);
	j->seen[i] = true;
}

static inline void judge_done(const struct judge *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (!j->seen[i] && judge_expects(j, i))
			fail_msg("%s (%s), %s: expected the difference %s", j->story->name, j->story->ours ? "ours" : "derper", j->list[i].conn,
			         j->list[i].what);
	plays_judged++;
}

/* ---- frames ---- */

static inline const char *name_of(const struct story *s, const uint8_t *key, char out[17])
{
	for (int i = 0; i < s->keys; i++)
		if (memcmp(key, s->public_key[i].b, KEY_SIZE) == 0) return s->key_name[i];
	snprintf(out, 17, "%02x%02x%02x%02x", key[0], key[1], key[2], key[3]);
	return out;
}

/* "+RecvPacket a 9": with the name of the key in front and the bytes behind it. */
static inline void judge_frame(struct judge *j, const char *conn, char sign, const struct wire_frame *f)
{
	char text[100], key[17];

	if ((f->type == FRAME_PEER_GONE || f->type == FRAME_PEER_PRESENT) && f->n > KEY_SIZE)
		snprintf(text, sizeof text, "%c%s %s %u", sign, frame_name(f->type), name_of(j->story, f->p, key), f->p[f->n - 1]);
	else if (f->type == FRAME_RECV_PACKET && f->n >= KEY_SIZE)
		snprintf(text, sizeof text, "%c%s %s %u", sign, frame_name(f->type), name_of(j->story, f->p, key), f->n - KEY_SIZE);
	else
		snprintf(text, sizeof text, "%c%s %u", sign, frame_name(f->type), f->n);
	judge_difference(j, conn, text);
}

/* Two boxes with a nonce in front hold the same. */
static inline bool same_box(uint8_t server, const uint8_t *client_a, const uint8_t *client_b, const uint8_t *a, const uint8_t *b, uint32_t n)
{
	struct key private_key = pair_key(server), shared_a, shared_b;
	uint8_t one[512], two[512];

	assert_true(n <= sizeof one);
	return n >= KEY_BOX_OVERHEAD && key_shared(&private_key, client_a, &shared_a) && key_shared(&private_key, client_b, &shared_b) &&
	       key_open(&shared_a, a, n, one) && key_open(&shared_b, b, n, two) && memcmp(one, two, n - KEY_BOX_OVERHEAD) == 0;
}

/* The two ends of a connection: keys that boxes are for. */
struct ends {
	uint8_t server;    /* first byte of its private key */
	struct key client; /* as recorded */
	bool other_client; /* ours has another key: the recorded one is unknown */
	struct key ours;   /* which one */
	bool watches;      /* it sent WatchConns */
};

static inline struct ends ends_of(const struct story *s, int conn)
{
	struct ends e = { .server = server_of(s, conn) };
	struct pair_buf b = joined(s, conn, false);
	struct list l = frames_of(&b);

	client_key(s, conn, &e.client);
	for (size_t i = 0; i < l.n; i++) e.watches |= l.v[i].type == FRAME_WATCH_CONNS;
	free(l.v), free(b.p);
	return e;
}

/* The same frame, but for nonces and ports. a: recorded. */
static inline bool same(const struct ends *e, const struct wire_frame *a, const struct wire_frame *b)
{
	const uint8_t *client_b = e->other_client ? e->ours.b : e->client.b;

	if (a->type != b->type || a->n != b->n) return false;
	if (a->type == FRAME_PEER_PRESENT && a->n == FRAME_PRESENT_SIZE)
		return memcmp(a->p, b->p, KEY_SIZE + 16) == 0 && a->p[FRAME_PRESENT_SIZE - 1] == b->p[FRAME_PRESENT_SIZE - 1]; /* but the port */
	if (a->type == FRAME_SERVER_INFO) return same_box(e->server, e->client.b, e->client.b, a->p, b->p, a->n);
	if (a->type == FRAME_CLIENT_INFO && a->n > KEY_SIZE)
		return memcmp(a->p, e->client.b, KEY_SIZE) == 0 && memcmp(b->p, client_b, KEY_SIZE) == 0 &&
		       same_box(e->server, e->client.b, client_b, a->p + KEY_SIZE, b->p + KEY_SIZE, a->n - KEY_SIZE);
	return a->n == 0 || memcmp(a->p, b->p, a->n) == 0;
}

/* Must these two keep their order? Packets of one sender and one kind, presence of one key, frames of one type (TRP-002). */
static inline bool ordered(const struct wire_frame *a, const struct wire_frame *b)
{
	bool presence_a = a->type == FRAME_PEER_PRESENT || a->type == FRAME_PEER_GONE,
	     presence_b = b->type == FRAME_PEER_PRESENT || b->type == FRAME_PEER_GONE;

	if (presence_a && presence_b) return memcmp(a->p, b->p, KEY_SIZE) == 0;
	if (a->type != b->type) return false;
	if (a->type != FRAME_RECV_PACKET) return true;
	return memcmp(a->p, b->p, KEY_SIZE) == 0 &&
	       frame_looks_like_disco(a->p + KEY_SIZE, a->n - KEY_SIZE) == frame_looks_like_disco(b->p + KEY_SIZE, b->n - KEY_SIZE);
}

/* When each recorded frame was whole, in ms; the array is the caller's. All zero of a WebSocket, whose frames are not the records'. */
static inline uint64_t *times_of(const struct story *s, int conn, size_t frames)
{
	uint64_t *ms = mem_zero(frames, sizeof *ms);
	struct pair_buf b = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		struct list l;
		if (r->conn != conn || !r->from_server) continue;
		pair_put(&b, r->p, r->n);
		l = frames_of(&b);
		for (; n < l.n && n < frames; n++) ms[n] = r->ms;
		free(l.v);
	}
	free(b.p);
	return ms;
}

static inline bool is_update(const struct wire_frame *f)
{
	return f->type == FRAME_PEER_PRESENT || (f->type == FRAME_PEER_GONE && f->n == FRAME_GONE_SIZE && f->p[KEY_SIZE] != GONE_NOT_HERE);
}

/* Must the second of two recorded frames stay behind the first? Behind a pause everything must; of what a watcher is told only the list
 * that it gets in one go has no order of its own (PGR-021, PGR-022, PGR-024). */
static inline bool stays_behind(const struct ends *e, const struct wire_frame *a, uint64_t ms_a, const struct wire_frame *b, uint64_t ms_b)
{
	return ordered(a, b) || ms_b - ms_a >= PAUSE_MS || (e->watches && is_update(a) && is_update(b) && ms_a != ms_b);
}

/* Finds the place of each recorded frame among those that came, behind the places of those with which it may not change its order. What
 * has no place, and what is left, is a difference. */
static inline void judge_frames(struct judge *j, const char *conn, const struct ends *e, const uint64_t *ms, const struct list *want,
                                const struct list *got)
{
	size_t *place = mem_zero(want->n, sizeof *place), pongs = 0; /* of want[i], from 1 */
	bool *used = mem_zero(got->n, sizeof *used);

	for (size_t i = 0; i < want->n; i++) {
		const struct wire_frame *f = &want->v[i];
		bool fixed = f->type == FRAME_SERVER_KEY || f->type == FRAME_SERVER_INFO; /* HSK-022 */
		size_t k = fixed ? i : 0, end = fixed ? i + 1 : got->n;
		if (f->type == FRAME_PONG) { /* SRV-026 */
			pongs++;
			continue;
		}
		for (size_t h = 0; h < i; h++)
			if (place[h] > k && stays_behind(e, &want->v[h], ms[h], f, ms[i])) k = place[h];
		while (k < end && k < got->n && (used[k] || !same(e, f, &got->v[k]))) k++;
		if (k >= end || k >= got->n) {
			judge_frame(j, conn, '-', f);
			continue;
		}
		used[k] = true, place[i] = k + 1;
	}
	for (size_t k = 0; k < got->n; k++)
		if (!used[k] && (got->v[k].type != FRAME_PONG || pongs == 0)) judge_frame(j, conn, '+', &got->v[k]);
	compared += want->n;
	free(used), free(place);
}

/* Every Pong answers a Ping, in order, and there are at least as many as recorded: ours is never slower than its reader. */
static inline void pongs_fit(const struct list *pings, const struct list *want, const struct list *got)
{
	size_t at = 0, wanted = 0, came = 0;

	for (size_t i = 0; i < want->n; i++) wanted += want->v[i].type == FRAME_PONG;
	for (size_t i = 0; i < got->n; i++) {
		if (got->v[i].type != FRAME_PONG) continue;
		assert_int_equal(got->v[i].n, FRAME_PING_SIZE);
		while (at < pings->n && (pings->v[at].type != FRAME_PING || memcmp(pings->v[at].p, got->v[i].p, FRAME_PING_SIZE) != 0)) at++;
		assert_true(at < pings->n);
		at++, came++;
	}
	assert_true(came >= wanted);
}

/* What a relay of ours wrote on a connection: its head byte by byte, its WebSocket messages one by one (HTTP-030, HTTP-031), its frames. */
static inline void judge_answer(struct judge *j, int conn, const struct pair_buf *came)
{
	const struct story *s = j->story;
	const char *name = s->conn[conn];
	struct pair_buf wanted = recorded(s, conn, true), asked = joined(s, conn, false), stripped = { 0 };
	char want_said[WS_SAID], got_said[WS_SAID], text[DIFFERENCE_TEXT];
	struct list want, got, pings = frames_of(&asked);
	struct ends ends = ends_of(s, conn);
	uint64_t *ms;

	pair_put(&stripped, came->p, came->n);
	ws_strip(&wanted, want_said);
	ws_strip(&stripped, got_said);
	snprintf(text, sizeof text, "messages%s", got_said);
	if (strcmp(got_said, want_said) != 0) judge_difference(j, name, text);
	want = frames_of(&wanted), got = frames_of(&stripped);
	if (want.head_n != got.head_n || (want.head_n > 0 && memcmp(want.head, got.head, want.head_n) != 0))
		fail_msg("%s: the answer is %.*s", name, (int)got.head_n, (const char *)got.head);
	snprintf(text, sizeof text, "rest %zu %zu", want.rest, got.rest);
	if (want.rest != 0 || got.rest != 0) judge_difference(j, name, text);
	ms = times_of(s, conn, want.n);
	judge_frames(j, name, &ends, ms, &want, &got);
	free(ms);
	pongs_fit(&pings, &want, &got);
	free(want.v), free(got.v), free(pings.v);
	free(wanted.p), free(asked.p), free(stripped.p);
}

/* What a client or a mesh link of ours wrote: frame by frame in the recorded order. */
static inline void judge_asked(struct judge *j, const char *conn, const struct ends *e, const struct list *want, const struct list *got)
{
	size_t i = 0;

	while (i < want->n && i < got->n && same(e, &want->v[i], &got->v[i])) i++;
	compared += i;
	for (size_t k = i; k < want->n; k++) judge_frame(j, conn, '-', &want->v[k]);
	for (size_t k = i; k < got->n; k++) judge_frame(j, conn, '+', &got->v[k]);
}

/* The same bytes, whatever the pieces in which they came (TRP-004). */
static inline void same_in_pieces(const char *conn, const struct pair_buf *whole, const struct pair_buf *cut)
{
	if (whole->n != cut->n || (whole->n != 0 && memcmp(whole->p, cut->p, whole->n) != 0)) fail_msg("%s: in pieces it is another", conn);
}

/* How much a test has compared, for who runs it by hand. */
static inline int difference_report(void **state)
{
	(void)state;
	print_message("%zu plays of transcripts, %zu frames and answers compared\n", plays_judged, compared);
	return 0;
}

#endif
