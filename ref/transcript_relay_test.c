/* Transcripts played to our relay: what the recorded clients sent comes at its times, what the relay writes is compared frame for frame,
 * once with profile=derper and once with the default profile, whole and cut to single bytes (TRP-004). Nothing may come later than
 * recorded, nor, behind a pause, earlier; connections end by the side that ended them. */
#include "pair_difference.h"

#include <time.h>

/* With the default profile ours answers otherwise where the protocol document says so. */
static const struct difference differences[] = {
	{ "peer-gone", "b", "PGR-007", "+PeerGone a 0", "the second departure of a peer that sent again is told too (TRP-011)" },
	{ "mesh-client", "a", "FRM-019", "-RecvPacket 7a65726f 8", "a packet of the zero key is dropped (TRP-016); the key is its first 32 bytes" },
	{ "websocket", "a", "HTTP-031", "messages 82 45 82 58 82 13 82 46 82 5037 88 1000",
	  "messages as long as may be, not first one of 4,096 bytes" },
	{ "websocket", "text-message", NULL, "messages 82 45 82 58 88 1003", "HTTP-030 asks for the status; the words behind it are free" },
	{ "go-client-tls", "go1", NULL, "+ServerKey 40", "the proxy was cut before it had read the answer" },
	{ "go-client-tls", "go1", NULL, "+ServerInfo 53", "the same" },
};
enum { DIFFERENCES = sizeof differences / sizeof *differences };

struct relay_play {
	struct pair *p;
	const struct story *s;
	int relay;
	int stream[CONNS]; /* -1: not open yet */
	size_t flood_at;   /* stalled-reader: bytes of b in front of the flood */
};

/* ---- time ---- */

static size_t came_so_far(struct relay_play *x, int conn) { return x->stream[conn] < 0 ? 0 : wire_end(x->p, x->stream[conn])->got.n; }

/* Everything that was recorded in front of this record is here; not so the words of a WebSocket's close message. */
static void not_late(struct relay_play *x, size_t record)
{
	for (int i = 0; i < x->s->conns; i++) {
		struct pair_buf b = recorded_until(x->s, i, true, record);
		bool late = came_so_far(x, i) < b.n && !is_proxied(x->s, i);
		if (late && memmem(b.p, b.n, "Sec-Websocket-Accept: ", 22) == NULL) fail_msg("%s: late at record %zu", x->s->conn[i], record);
		free(b.p);
	}
}

/* What the relay wrote after a pause it did not write much sooner: a KeepAlive comes after 60 s and up to 5 s of chance (SRV-022), a
 * Pong when the bucket allows it (RAT-002). */
static void not_early(struct relay_play *x, size_t record)
{
	const struct record *r = &x->s->record[record];
	uint64_t pause = r->ms - x->s->record[record - 1].ms, slack = pause > 10000 ? 5000 : 50;
	struct pair_buf b;

	if (!r->from_server || r->what != DATA || pause < 500) return;
	pair_advance(x->p, (r->ms - slack) * NS_MS - x->p->now);
	b = recorded_until(x->s, r->conn, true, record);
	if (came_so_far(x, r->conn) > b.n) fail_msg("%s: early at record %zu", x->s->conn[r->conn], record);
	free(b.p);
}

/* ---- the play ---- */

/* stalled-reader: what the recording leaves out. b has stopped reading, and a sends 400 packets of 20,000 bytes (SRV-019). */
static void flood(struct relay_play *x)
{
	int b = conn_named(x->s, "b"), a;
	struct key dst = pair_public(0x40);
	uint8_t *packet = mem_zero(20000, 1);

	x->flood_at = came_so_far(x, b);
	wire_room(x->p, x->stream[b], 100000);
	a = wire_login(x->p, x->relay, 0x20, NULL);
	for (int i = 0; i < 400; i++) wire_send_packet(x->p, a, &dst, packet, 20000);
	free(packet);
}

static void relay_ended(struct relay_play *x, const struct record *r)
{
	bool open = wire_end(x->p, x->stream[r->conn])->ended == PAIR_OPEN;

	if (open && !is_proxied(x->s, r->conn)) fail_msg("%s: not ended by the relay at %llu ms", x->s->conn[r->conn], (unsigned long long)r->ms);
	if (open) wire_fin(x->p, x->stream[r->conn]);
}

static void client_ended(struct relay_play *x, const struct record *r)
{
	/* The first end is recorded: ours must not have been before. */
	if (wire_end(x->p, x->stream[r->conn])->ended != PAIR_OPEN) fail_msg("%s: ended by the relay", x->s->conn[r->conn]);
	if (r->what == END)
		wire_fin(x->p, x->stream[r->conn]);
	else
		wire_reset(x->p, x->stream[r->conn]);
}

static void play_record(struct relay_play *x, size_t i)
{
	const struct record *r = &x->s->record[i];

	if (r->ms * NS_MS > x->p->now) {
		if (!x->s->ours) not_late(x, i);
		if (strcmp(x->s->name, "stalled-reader") == 0 && x->flood_at == 0 && r->ms > 2000) flood(x);
		not_early(x, i);
		pair_advance(x->p, r->ms * NS_MS - x->p->now);
	}
	if (r->what == OPEN)
		x->stream[r->conn] = wire_connect(x->p, x->relay);
	else if (r->what == DATA && !r->from_server)
		wire_send(x->p, x->stream[r->conn], r->p, r->n);
	else if (r->what != DATA && r->from_server)
		relay_ended(x, r);
	else if (r->what != DATA)
		client_ended(x, r);
}

/* The wall time at which a story began, of what its answers say; 0: they do not. */
static uint64_t wall_of(const struct story *s)
{
	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		const char *at = !r->from_server || r->n == 0 ? NULL : memmem(r->p, r->n, "\r\nDate: ", 8);
		char text[40];
		struct tm tm = { 0 };
		if (at == NULL) continue;
		snprintf(text, sizeof text, "%.29s", at + 8);
		assert_non_null(strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm));
		return (uint64_t)timegm(&tm) * NS_S;
	}
	return 0;
}

/* came[]: the bytes of each connection. */
static void play(const struct story *s, size_t chunk, struct pair_buf came[CONNS])
{
	struct relay_play x = { .p = pair_new(chunk), .s = s };
	char config[500];

	snprintf(config, sizeof config, "%skeepalive-jitter=0s\n%s%s\n%s", s->ours ? "" : "profile=derper\n", s->mesh_key[0] != 0 ? "mesh-key=" : "",
	         s->mesh_key, s->config);
	x.p->wall_ns = wall_of(s);
	x.p->remote = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 40000 };
	for (int i = 0; i < CONNS; i++) x.stream[i] = -1;
	x.relay = pair_relay(x.p, 0x00, config);
	for (size_t i = 0; i < s->records; i++) play_record(&x, i);
	pair_advance(x.p, NS_S);
	for (int i = 0; i < s->conns; i++) {
		struct pair_end *e = wire_end(x.p, x.stream[i]);
		pair_put(&came[i], e->got.p, x.flood_at != 0 && strcmp(s->conn[i], "b") == 0 ? x.flood_at : e->got.n);
	}
	pair_free(x.p);
}

/* HSK-022, HTTP-005, HTTP-030, SRV-026, TRP-002: heads, messages, frames and their order, as judge_answer() compares them. */
static void relay_story(void **state)
{
	struct story *s = case_story(state);
	struct pair_buf whole[CONNS] = { { 0 } }, cut[CONNS] = { { 0 } };
	struct judge j;

	if (s == NULL) skip();
	play(s, 0, whole);
	play(s, 1, cut);
	j = judge_new(s, differences, DIFFERENCES);
	for (int i = 0; i < s->conns; i++) {
		judge_answer(&j, i, &whole[i]);
		same_in_pieces(s->conn[i], &whole[i], &cut[i]);
		free(whole[i].p), free(cut[i].p);
	}
	judge_done(&j);
	story_free(s);
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX];

	return _cmocka_run_group_tests("relay", tests, transcript_cases(SIDE_RELAY, relay_story, tests), NULL, difference_report);
}
