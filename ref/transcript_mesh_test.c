/* Transcripts of two meshed relays played to two of ours: the recorded clients' bytes come at their times, what the relays write to them
 * is compared frame for frame, and so is each stream of the links between, what the dialling relay says on it in its order. With both
 * profiles, whole and cut to single bytes (TRP-004). */
#include "pair_difference.h"

/* No rule makes a difference with the default profile; these two are the recorder's, which ended while a PeerGone was on its way. */
static const struct difference differences[] = {
	{ "derpprobe", "pb4", NULL, "rest 60 0", "a TLS record that the proxy has not opened: 5 and 38 + 17 bytes, as many as a PeerGone makes" },
	{ "derpprobe", "pb4", NULL, "+PeerGone ac7e5b4c 0", "that one" },
};
enum { DIFFERENCES = sizeof differences / sizeof *differences };

/* Relay A (key server) and relay B (key server2), meshed through TLS; the links are the streams AB1, BA1 and, after the cut, AB2. */
struct mesh_play {
	struct pair *p;
	const struct story *s;
	int a, b;
	int stream[CONNS];
	struct judge *judge;
};

static bool is_udp(const struct story *s, int conn) { return s->conn[conn][0] == 'u'; }

/* The newest stream that this relay has dialled. */
static int link_stream(const struct pair *p, int from)
{
	for (int i = p->streams - 1; i >= 0; i--)
		if (p->stream[i].end[0].host == from) return i;
	return -1;
}

static void link_record(struct mesh_play *m, const struct record *r)
{
	if (r->what == OPEN) {
		m->stream[r->conn] = link_stream(m->p, m->s->conn[r->conn][0] == 'A' ? m->a : m->b);
		assert_true(m->stream[r->conn] >= 0);
	} else if (r->what == END) { /* the cut */
		pair_abort(m->p, m->stream[r->conn], 0);
		pair_run(m->p);
	}
}

static void client_record(struct mesh_play *m, const struct record *r)
{
	int *stream = &m->stream[r->conn];

	if (r->what == OPEN)
		*stream = wire_connect(m->p, server_of(m->s, r->conn) == 0xa0 ? m->b : m->a);
	else if (r->from_server)
		assert_int_equal(r->what, DATA); /* none of them is ended by its relay */
	else if (r->what == DATA)
		wire_send(m->p, *stream, r->p, r->n);
	else if (wire_end(m->p, *stream)->ended != PAIR_OPEN)
		fail_msg("%s: ended by the relay", m->s->conn[r->conn]);
	else
		wire_fin(m->p, *stream);
}

/* Who dials says what the recorded relay said, its request byte by byte, and hears what that one heard. */
static void link_is(struct mesh_play *m, int conn)
{
	const struct pair_stream *x = &m->p->stream[m->stream[conn]];
	struct pair_buf wanted = recorded(m->s, conn, false);
	struct list want = frames_of(&wanted), got = frames_of(&x->end[1].log);
	struct ends ends = ends_of(m->s, conn);

	if (want.head_n != got.head_n || memcmp(want.head, got.head, want.head_n) != 0)
		fail_msg("%s: the request is %.*s", m->s->conn[conn], (int)got.head_n, (const char *)got.head);
	judge_asked(m->judge, m->s->conn[conn], &ends, &want, &got);
	judge_answer(m->judge, conn, &x->end[0].log);
	free(want.v), free(got.v);
	free(wanted.p);
}

/* Where the recorded relay was dialled: the Host of the link's request; or where pair_relay listens. */
static void place_of(const struct story *s, int relay, char out[64])
{
	snprintf(out, 64, "192.0.2.%d:443", 101 + relay);
	for (int i = 0; i < s->conns; i++) {
		struct pair_buf b = recorded(s, i, false);
		pair_put(&b, "", 1);
		if (strcmp(s->conn[i], relay == 0 ? "BA1" : "AB1") == 0) sscanf(strstr((const char *)b.p, "Host: "), "Host: %63s", out);
		free(b.p);
	}
}

/* Two relays with a link each way. B is not there yet when A starts: A's first dial is refused and comes again after 5 s (MSH-013). */
static void mesh_up(struct mesh_play *m)
{
	for (int i = 0; i < 2; i++) {
		char config[300], own[64], other[64];
		struct address at;
		int host;
		place_of(m->s, i, own);
		place_of(m->s, !i, other);
		snprintf(config, sizeof config, "%skeepalive-jitter=0s\nmesh-key=%s\nmesh-with=%s\n", m->s->ours ? "" : "profile=derper\n",
		         m->s->mesh_key, other);
		if (i == 0) m->a = host = pair_relay(m->p, 0x00, config);
		if (i == 1) m->b = host = pair_relay(m->p, 0xa0, config);
		assert_true(address_parse(own, strlen(own), &at));
		pair_listen(m->p, at, PAIR_RELAY, host, token_make(PAIR_LISTENER_SLOT + 1, 1), true);
	}
	pair_advance(m->p, 5 * NS_S);
	assert_int_equal(relay_mesh_links_up(m->p->host[m->a].relay), 1);
	assert_int_equal(relay_mesh_links_up(m->p->host[m->b].relay), 1);
}

static void play(const struct story *s, size_t chunk, struct judge *j)
{
	struct mesh_play m = { .p = pair_new(chunk), .s = s, .judge = j };

	m.p->log = true;
	m.p->strip_meta = strstr(s->name, "slow") != NULL;
	m.p->remote = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 40000 };
	mesh_up(&m);
	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		uint64_t at = r->ms * NS_MS + 5 * NS_S;
		/* The recorder's proxy took a few ms to connect; ours dials at its five seconds sharp. */
		if (at > m.p->now) pair_advance(m.p, at - m.p->now);
		if (is_udp(s, r->conn)) continue;
		(is_link(s->conn[r->conn]) ? link_record : client_record)(&m, r);
	}
	for (int i = 0; i < s->conns; i++)
		if (is_link(s->conn[i]))
			link_is(&m, i);
		else if (!is_udp(s, i))
			judge_answer(j, i, &wire_end(m.p, m.stream[i])->log);
	pair_free(m.p);
}

static void mesh_story(void **state)
{
	struct story *s = case_story(state);

	if (s == NULL) skip();
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct judge j = judge_new(s, differences, DIFFERENCES);
		play(s, chunk, &j);
		judge_done(&j);
	}
	story_free(s);
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX];

	return _cmocka_run_group_tests("mesh", tests, transcript_cases(SIDE_MESH, mesh_story, tests), NULL, difference_report);
}
