/* Golden transcripts: what a real relay and the real client library said, replayed through our parsers and machines.
 *
 * The folder is data/transcripts beside the checkout, or DERP_DATA/transcripts; its README says what the stories are. Relay stories:
 * the recorded client bytes go to our relay (profile=derper) at their times, what comes back is compared frame for frame. Client
 * stories: the recorded relay bytes go to our client, which is told to do what the recorded one did. Mesh stories: two of our relays,
 * of which every stream is compared. Over WebSocket the messages are compared too, but for the words of a close message. Boxes are
 * opened, nonces and ports ignored; order is free only where TRP-002 leaves it free, Pongs of a burst may differ in number (SRV-026).
 * Everything runs whole and cut to single bytes, and must give the same (TRP-004). */
#include "pair_websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONNS = 32, KEYS = 8, LINE_MAX_BYTES = 1 << 19 };

enum what { OPEN, END, RESET, DATA };

struct record {
	uint64_t ms;
	int conn;
	bool from_server;
	enum what what;
	uint8_t *p;
	size_t n;
};

struct story {
	char conn[CONNS][40];
	int conns;
	struct key private_key[KEYS], public_key[KEYS];
	int keys;
	char mesh_key[KEY_HEX + 1];
	const char *config; /* more lines for the relay */
	struct record *record;
	size_t records, cap;
};

/* ---- reading a story ---- */

static FILE *story_open(const char *name)
{
	const char *data = getenv("DERP_DATA");
	char path[1000];

	snprintf(path, sizeof path, "%s/transcripts/%s.wire", data == NULL ? "../shared/data" : data, name);
	return fopen(path, "r");
}

static int conn_of(struct story *s, const char *name)
{
	for (int i = 0; i < s->conns; i++)
		if (strcmp(s->conn[i], name) == 0) return i;
	assert_in_range(s->conns, 0, CONNS - 1);
	snprintf(s->conn[s->conns], sizeof s->conn[0], "%s", name);
	return s->conns++;
}

static uint8_t *bytes_of(const char *hex, size_t *n)
{
	uint8_t *p;

	*n = strlen(hex) / 2;
	p = mem_alloc(*n);
	for (size_t i = 0; i < *n; i++) {
		unsigned v;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		p[i] = (uint8_t)v;
	}
	return p;
}

static void read_comment(struct story *s, const char *line)
{
	char name[64], one[KEY_HEX + 1], two[KEY_HEX + 1];

	if (sscanf(line, "# key %63s %64s %64s", name, one, two) == 3) {
		assert_in_range(s->keys, 0, KEYS - 1);
		assert_true(key_from_hex(one, KEY_HEX, &s->private_key[s->keys]));
		assert_true(key_from_hex(two, KEY_HEX, &s->public_key[s->keys]));
		s->keys++;
	} else if (sscanf(line, "# mesh-key %64s", one) == 1) {
		snprintf(s->mesh_key, sizeof s->mesh_key, "%s", one);
	}
}

static void read_record(struct story *s, char *line)
{
	char name[40], dir[8];
	unsigned long long ms;
	int at = 0;
	struct record r = { .what = DATA };

	assert_int_equal(sscanf(line, "%llu %39s %7s %n", &ms, name, dir, &at), 3);
	r.ms = ms;
	r.conn = conn_of(s, name);
	r.from_server = strcmp(dir, "S>C") == 0;
	line[strcspn(line, "\n")] = 0;
	if (strcmp(line + at, "OPEN") == 0)
		r.what = OPEN;
	else if (strcmp(line + at, "END") == 0)
		r.what = END;
	else if (strcmp(line + at, "RESET") == 0)
		r.what = RESET;
	else
		r.p = bytes_of(line + at, &r.n);
	MEM_ROOM(s->record, s->records, s->cap);
	s->record[s->records++] = r;
}

/* NULL: the folder is absent. */
static struct story *story_read(const char *name)
{
	FILE *f = story_open(name);
	struct story *s;
	char *line;

	if (f == NULL) return NULL;
	s = mem_zero(1, sizeof *s);
	line = mem_alloc(LINE_MAX_BYTES);
	while (fgets(line, LINE_MAX_BYTES, f) != NULL)
		if (line[0] == '#')
			read_comment(s, line);
		else
			read_record(s, line);
	free(line);
	fclose(f);
	return s;
}

static void story_free(struct story *s)
{
	for (size_t i = 0; i < s->records; i++) free(s->record[i].p);
	free(s->record);
	free(s);
}

/* All bytes of one connection and direction (TRP-004). */
static struct pair_buf recorded(const struct story *s, int conn, bool from_server)
{
	struct pair_buf b = { 0 };

	for (size_t i = 0; i < s->records; i++)
		if (s->record[i].conn == conn && s->record[i].from_server == from_server) pair_put(&b, s->record[i].p, s->record[i].n);
	return b;
}

/* The same without WebSocket, where it speaks it (HTTP-030). */
static struct pair_buf joined(const struct story *s, int conn, bool from_server)
{
	struct pair_buf b = recorded(s, conn, from_server);

	ws_strip(&b, NULL);
	return b;
}

/* ---- frames of a stream ---- */

struct list {
	struct wire_frame *v;
	size_t n, cap;
	const uint8_t *head; /* HTTP head in front */
	size_t head_n;
};

static struct list frames_of(const struct pair_buf *b)
{
	struct list l = { .head = b->p };
	size_t at = 0;

	if (b->n >= 4 && (memcmp(b->p, "GET ", 4) == 0 || memcmp(b->p, "HTTP", 4) == 0)) {
		while (at + 4 <= b->n && memcmp(b->p + at, "\r\n\r\n", 4) != 0) at++;
		l.head_n = at += 4;
	}
	while (b->n - at >= FRAME_HEADER) {
		struct wire_frame f = { .type = b->p[at],
			                .n = (uint32_t)b->p[at + 1] << 24 | (uint32_t)b->p[at + 2] << 16 | (uint32_t)b->p[at + 3] << 8 | b->p[at + 4],
			                .p = b->p + at + FRAME_HEADER };
		if (b->n - at - FRAME_HEADER < f.n) break;
		MEM_ROOM(l.v, l.n, l.cap);
		l.v[l.n++] = f;
		at += FRAME_HEADER + f.n;
	}
	return l;
}

/* The key under which the client of a connection logged in, or -1. */
static int client_key(const struct story *s, int conn)
{
	struct pair_buf b = joined(s, conn, false);
	struct list l = frames_of(&b);
	int found = -1;

	for (int i = 0; i < s->keys && l.n > 0; i++)
		if (l.v[0].type == FRAME_CLIENT_INFO && l.v[0].n >= KEY_SIZE && memcmp(l.v[0].p, s->public_key[i].b, KEY_SIZE) == 0) found = i;
	free(l.v);
	free(b.p);
	return found;
}

static void shared_of(const struct story *s, int client, const uint8_t *server, struct key *shared)
{
	assert_in_range(client, 0, s->keys - 1);
	assert_true(key_shared(&s->private_key[client], server, shared));
}

/* The same frame, but for nonces and ports. */
static bool same(const struct story *s, int client, const uint8_t *server, const struct wire_frame *a, const struct wire_frame *b)
{
	struct key shared;

	if (a->type != b->type || a->n != b->n) return false;
	if (a->type == FRAME_PEER_PRESENT && a->n == FRAME_PRESENT_SIZE)
		return memcmp(a->p, b->p, KEY_SIZE) == 0 && a->p[FRAME_PRESENT_SIZE - 1] == b->p[FRAME_PRESENT_SIZE - 1];
	if (a->type == FRAME_SERVER_INFO) {
		uint8_t one[512], two[512];
		assert_true(a->n <= sizeof one);
		shared_of(s, client, server, &shared);
		return key_open(&shared, a->p, a->n, one) && key_open(&shared, b->p, b->n, two) && memcmp(one, two, a->n - KEY_BOX_OVERHEAD) == 0;
	}
	if (a->type == FRAME_CLIENT_INFO && a->n > KEY_SIZE + KEY_BOX_OVERHEAD) {
		uint8_t one[512], two[512];
		assert_true(a->n <= sizeof one);
		shared_of(s, client, server, &shared);
		return memcmp(a->p, b->p, KEY_SIZE) == 0 && key_open(&shared, a->p + KEY_SIZE, a->n - KEY_SIZE, one) &&
		       key_open(&shared, b->p + KEY_SIZE, b->n - KEY_SIZE, two) && memcmp(one, two, a->n - KEY_SIZE - KEY_BOX_OVERHEAD) == 0;
	}
	return a->n == 0 || memcmp(a->p, b->p, a->n) == 0;
}

/* Must these two keep their order? Packets of one sender and one kind, presence of one key, frames of one type (TRP-002). */
static bool ordered(const struct wire_frame *a, const struct wire_frame *b)
{
	bool presence_a = a->type == FRAME_PEER_PRESENT || a->type == FRAME_PEER_GONE,
	     presence_b = b->type == FRAME_PEER_PRESENT || b->type == FRAME_PEER_GONE;

	if (presence_a && presence_b) return memcmp(a->p, b->p, KEY_SIZE) == 0;
	if (a->type != b->type) return false;
	if (a->type != FRAME_RECV_PACKET) return true;
	return memcmp(a->p, b->p, KEY_SIZE) == 0 &&
	       frame_looks_like_disco(a->p + KEY_SIZE, a->n - KEY_SIZE) == frame_looks_like_disco(b->p + KEY_SIZE, b->n - KEY_SIZE);
}

static void show(const char *title, const struct list *l)
{
	print_message("%s:", title);
	for (size_t i = 0; i < l->n; i++) print_message(" %s(%u)", frame_name(l->v[i].type), l->v[i].n);
	print_message("\n");
}

/* Finds the place of each wanted frame among those that came: the first unused one with which it may not change its order. */
static bool matches(const struct story *s, int client, const uint8_t *server, const struct list *want, const struct list *got)
{
	bool *used = mem_zero(got->n, sizeof *used), good = true;
	size_t pongs = 0;

	for (size_t i = 0; i < want->n && good; i++) {
		size_t k = 0;
		if (want->v[i].type == FRAME_PONG) { /* SRV-026 */
			pongs++;
			continue;
		}
		if (want->v[i].type == FRAME_SERVER_KEY || want->v[i].type == FRAME_SERVER_INFO) /* HSK-022 */
			k = i;
		else
			while (k < got->n && (used[k] || !ordered(&want->v[i], &got->v[k]))) k++;
		good = k < got->n && !used[k] && same(s, client, server, &want->v[i], &got->v[k]);
		if (good) used[k] = true;
	}
	for (size_t k = 0; k < got->n; k++) {
		if (got->v[k].type == FRAME_PONG && pongs > 0) used[k] = true;
		if (!used[k]) good = false;
	}
	free(used);
	return good;
}

/* Every Pong answers a Ping, in order, and there are at least as many as recorded: ours is never slower than its reader. */
static void pongs_fit(const struct list *pings, const struct list *want, const struct list *got)
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

static void stream_is(const struct story *s, int conn, const struct pair_buf *came, const uint8_t *server)
{
	struct pair_buf wanted = recorded(s, conn, true), asked = joined(s, conn, false), stripped = { 0 };
	char want_said[WS_SAID], got_said[WS_SAID];
	struct list want, got, pings = frames_of(&asked);
	int client = client_key(s, conn);

	pair_put(&stripped, came->p, came->n);
	ws_strip(&wanted, want_said);
	ws_strip(&stripped, got_said);
	assert_string_equal(got_said, want_said); /* message by message, statuses of close messages too: HTTP-030, HTTP-031 */
	want = frames_of(&wanted), got = frames_of(&stripped);
	if (want.head_n != got.head_n || (want.head_n > 0 && memcmp(want.head, got.head, want.head_n) != 0))
		fail_msg("%s: the answer is %.*s", s->conn[conn], (int)got.head_n, (const char *)got.head);
	if (!matches(s, client, server, &want, &got)) {
		show("recorded", &want);
		show("came", &got);
		fail_msg("%s: other frames than recorded", s->conn[conn]);
	}
	pongs_fit(&pings, &want, &got);
	free(want.v), free(got.v), free(pings.v);
	free(wanted.p), free(asked.p), free(stripped.p);
}

/* ---- relay stories ---- */

static void relay_record(struct pair *p, const struct story *s, const struct record *r, int stream[CONNS], int relay)
{
	if (r->ms * NS_MS > p->now) pair_advance(p, r->ms * NS_MS - p->now);
	if (r->from_server) return;
	switch (r->what) {
	case OPEN: stream[r->conn] = wire_connect(p, relay); return;
	case END:
	case RESET:
		/* The first end is recorded: ours must not have been before. */
		if (wire_end(p, stream[r->conn])->ended != PAIR_OPEN) fail_msg("%s: ended by the relay", s->conn[r->conn]);
		if (r->what == END)
			wire_fin(p, stream[r->conn]);
		else
			wire_reset(p, stream[r->conn]);
		return;
	case DATA: wire_send(p, stream[r->conn], r->p, r->n); return;
	}
}

static bool relay_closes(const struct story *s, int conn)
{
	for (size_t i = 0; i < s->records; i++)
		if (s->record[i].conn == conn && s->record[i].from_server && (s->record[i].what == END || s->record[i].what == RESET)) return true;
	return false;
}

/* Plays the story to our relay; came[] are the bytes of each connection. */
static void relay_play(const struct story *s, size_t chunk, struct pair_buf came[CONNS])
{
	struct pair *p = pair_new(chunk);
	int stream[CONNS], relay;
	char config[300];

	snprintf(config, sizeof config, "profile=derper\nkeepalive-jitter=0s\n%s%s\n%s", s->mesh_key[0] != 0 ? "mesh-key=" : "", s->mesh_key,
	         s->config == NULL ? "" : s->config);
	relay = pair_relay(p, 0x00, config);
	for (size_t i = 0; i < s->records; i++) relay_record(p, s, &s->record[i], stream, relay);
	pair_advance(p, NS_S);
	for (int i = 0; i < s->conns; i++) {
		struct pair_end *e = wire_end(p, stream[i]);
		pair_put(&came[i], e->got.p, e->got.n);
		if (relay_closes(s, i) && e->ended == PAIR_OPEN) fail_msg("%s: not closed by the relay", s->conn[i]);
	}
	pair_free(p);
}

static void relay_story(void **state)
{
	const char *name = *state;
	struct story *s = story_read(name);
	struct pair_buf whole[CONNS] = { { 0 } }, cut[CONNS] = { { 0 } };
	struct key server = pair_public(0x00);

	if (s == NULL) skip();
	assert_true(s->conns > 0);
	if (strcmp(name, "rate-limit") == 0) s->config = "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n";
	relay_play(s, 0, whole);
	relay_play(s, 1, cut);
	for (int i = 0; i < s->conns; i++) {
		stream_is(s, i, &whole[i], server.b);
		assert_int_equal(whole[i].n, cut[i].n);
		if (whole[i].n != 0) assert_memory_equal(whole[i].p, cut[i].p, cut[i].n);
		free(whole[i].p), free(cut[i].p);
	}
	story_free(s);
}

/* ---- client stories ---- */

struct client_play {
	struct pair *p;
	const struct story *s;
	int host, wire; /* the client; the stream of its present connection */
	size_t seen;    /* frames of the recorded connection that the client has sent, by its own will or told to */
};

/* Host of a recorded request: NAME:PORT. */
static void host_of(const struct story *s, char host[128], uint16_t *port, bool *fast)
{
	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		char text[1024];
		unsigned value;
		const char *at;
		if (strncmp(s->conn[r->conn], "go", 2) != 0 || r->what != DATA || r->from_server) continue;
		snprintf(text, sizeof text, "%.*s", (int)(r->n < 1000 ? r->n : 1000), (const char *)r->p);
		at = strstr(text, "Host: ");
		assert_non_null(at);
		assert_int_equal(sscanf(at, "Host: %127[^:]:%u", host, &value), 2);
		*port = (uint16_t)value;
		*fast = strstr(text, "Derp-Fast-Start: 1") != NULL;
		return;
	}
	fail_msg("no request of the library");
}

/* What the client sent on this connection so far. */
static struct list sent(struct client_play *c)
{
	struct pair_buf *b = &wire_end(c->p, c->wire)->got;

	return frames_of(b);
}

/* The recorded library sent this frame. If ours has not by itself, its owner wants it now. */
static void client_wants(struct client_play *c, const struct wire_frame *f)
{
	struct event_command x = { 0 };
	struct list l = sent(c);
	bool there = l.n > c->seen++;

	free(l.v);
	if (there) return;
	switch (f->type) {
	case FRAME_NOTE_PREFERRED: x = (struct event_command){ .verb = COMMAND_HOME, .flag = f->p[0] != 0 }; break;
	case FRAME_PING: x = (struct event_command){ .verb = COMMAND_PING, .p = f->p, .n = f->n }; break;
	case FRAME_WATCH_CONNS: x = (struct event_command){ .verb = COMMAND_WATCH }; break;
	case FRAME_CLOSE_PEER: x = (struct event_command){ .verb = COMMAND_CLOSE_PEER, .dst = f->p }; break;
	case FRAME_SEND_PACKET: x = (struct event_command){ .verb = COMMAND_SEND, .dst = f->p, .p = f->p + KEY_SIZE, .n = f->n - KEY_SIZE }; break;
	case FRAME_FORWARD_PACKET:
		x = (struct event_command){
			.verb = COMMAND_FORWARD, .src = f->p, .dst = f->p + KEY_SIZE, .p = f->p + 2 * KEY_SIZE, .n = f->n - 2 * KEY_SIZE
		};
		break;
	default: fail_msg("the client has not sent its %s", frame_name(f->type));
	}
	pair_command(c->p, c->host, &x);
}

static void client_record(struct client_play *c, const struct record *r, struct address at)
{
	struct pair_buf b = { .p = r->p, .n = r->n };
	struct list l;

	if (r->ms * NS_MS > c->p->now) pair_advance(c->p, r->ms * NS_MS - c->p->now);
	switch (r->what) {
	case OPEN:
		pair_command(c->p, c->host, &(struct event_command){ .verb = COMMAND_CONNECT });
		c->wire = wire_accepted(c->p, at);
		c->seen = 0;
		assert_true(c->wire >= 0);
		break;
	case END: /* whoever ended: the recorder's cut, the library's anger */
	case RESET:
		if (wire_end(c->p, c->wire)->ended == PAIR_OPEN) wire_fin(c->p, c->wire);
		break;
	case DATA:
		if (r->from_server) {
			wire_send(c->p, c->wire, r->p, r->n);
			break;
		}
		l = frames_of(&b);
		for (size_t i = 0; i < l.n; i++) client_wants(c, &l.v[i]);
		free(l.v);
	}
}

/* What the library said of itself. */
static struct client_info library_info(const struct story *s)
{
	struct client_info info = { .version = 0 };
	struct key server = pair_public(0x00), shared;

	for (int i = 0; i < s->conns && info.version == 0; i++) {
		struct pair_buf b = joined(s, i, false);
		struct list l = frames_of(&b);
		if (strncmp(s->conn[i], "go", 2) == 0 && l.n > 0) {
			shared_of(s, client_key(s, i), server.b, &shared);
			assert_true(login_client_info_open(l.v[0].p, l.v[0].n, &shared, &info));
		}
		free(l.v);
		free(b.p);
	}
	return info;
}

static int client_start(struct pair *p, const struct story *s, struct address *at)
{
	char host[128], config[2048], hex[KEY_HEX + 1];
	struct key server = pair_public(0x00);
	uint16_t port = 0;
	bool fast = false, by_name, mesh = s->mesh_key[0] != 0;
	struct client_info info;
	int n;

	host_of(s, host, &port, &fast);
	by_name = !address_ip_parse(host, strlen(host), at);
	if (by_name) *at = pair_address(9, 0);
	at->port = port;
	pair_listen(p, *at, PAIR_WIRE, -1, TOKEN_NONE, fast);
	key_hex(server.b, hex);
	snprintf(p->wire_meta, sizeof p->wire_meta, "derpkey%.*s", KEY_HEX, hex);
	info = library_info(s);
	n = snprintf(config, sizeof config, "connect=off\nretry=manual\nprofile=derper\n%s%s\ncan-ack-pings=%s\nprober=%s\napp-name=%s\n",
	             mesh ? "mesh-key=" : "", s->mesh_key, info.can_ack_pings ? "on" : "off", info.is_prober ? "on" : "off", info.app_name);
	if (by_name)
		snprintf(config + n, sizeof config - (size_t)n,
		         "region={\"RegionID\":900,\"Nodes\":[{\"Name\":\"900a\",\"RegionID\":900,\"HostName\":\"relay-a.test\","
		         "\"IPv4\":\"192.0.2.8\",\"IPv6\":\"none\",\"DERPPort\":%u},{\"Name\":\"900b\",\"RegionID\":900,\"HostName\":\"%s\","
		         "\"IPv4\":\"192.0.2.9\",\"IPv6\":\"none\",\"DERPPort\":%u}]}\n",
		         port, host, port);
	else
		snprintf(config + n, sizeof config - (size_t)n, "url=%s://%s:%u/derp\n", fast ? "https" : "http", host, port);
	return pair_client(p, mesh ? 0xc0 : 0x20, config);
}

/* The library's connections of the story, one after the other. came[] are the bytes that ours sent on each. */
static void client_play(const struct story *s, size_t chunk, struct pair_buf came[CONNS])
{
	struct client_play c = { .p = pair_new(chunk), .s = s, .wire = -1 };
	struct address at;

	c.host = client_start(c.p, s, &at);
	if (s->mesh_key[0] != 0) { /* the program set both before it connected */
		pair_command(c.p, c.host, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
		pair_command(c.p, c.host, &(struct event_command){ .verb = COMMAND_WATCH });
	}
	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		struct pair_buf *b;
		if (strncmp(s->conn[r->conn], "go", 2) != 0) continue;
		client_record(&c, r, at);
		b = &wire_end(c.p, c.wire)->got;
		came[r->conn].n = 0;
		pair_put(&came[r->conn], b->p, b->n);
	}
	pair_free(c.p);
}

static void sent_is(const struct story *s, int conn, const struct pair_buf *came)
{
	struct pair_buf wanted = joined(s, conn, false);
	struct list want = frames_of(&wanted), got = frames_of(came);
	struct key server = pair_public(0x00);
	size_t i = 0;

	if (want.head_n != got.head_n || memcmp(want.head, got.head, want.head_n) != 0)
		fail_msg("%s: the request is %.*s", s->conn[conn], (int)got.head_n, (const char *)got.head);
	while (i < want.n && i < got.n && same(s, client_key(s, conn), server.b, &want.v[i], &got.v[i])) i++;
	if (i < want.n || i < got.n) {
		show("recorded", &want);
		show("came", &got);
		fail_msg("%s: frame %zu is another than recorded", s->conn[conn], i);
	}
	free(want.v), free(got.v);
	free(wanted.p);
}

static void client_story(void **state)
{
	const char *name = *state;
	struct story *s = story_read(name);
	struct pair_buf whole[CONNS] = { { 0 } }, cut[CONNS] = { { 0 } };

	if (s == NULL) skip();
	client_play(s, 0, whole);
	client_play(s, 1, cut);
	for (int i = 0; i < s->conns; i++) {
		if (strncmp(s->conn[i], "go", 2) != 0) continue;
		sent_is(s, i, &whole[i]);
		assert_int_equal(whole[i].n, cut[i].n);
		assert_memory_equal(whole[i].p, cut[i].p, cut[i].n);
		free(whole[i].p), free(cut[i].p);
	}
	story_free(s);
}

/* ---- mesh stories ---- */

/* Relay A (key server) and relay B (key server2), meshed through TLS; the links are the streams AB1, BA1 and, after the cut, AB2. */
struct mesh_play {
	struct pair *p;
	const struct story *s;
	int a, b;
	int stream[CONNS];
};

static bool is_link(const char *conn) { return strncmp(conn, "AB", 2) == 0 || strncmp(conn, "BA", 2) == 0; }

/* The newest stream that this relay has dialled. */
static int link_stream(const struct pair *p, int from)
{
	for (int i = p->streams - 1; i >= 0; i--)
		if (p->stream[i].end[0].host == from) return i;
	return -1;
}

static void mesh_record(struct mesh_play *m, const struct record *r)
{
	const char *conn = m->s->conn[r->conn];

	/* The recorder's proxy took a few ms to connect; ours dials at its five seconds sharp. */
	if (r->ms * NS_MS > m->p->now) pair_advance(m->p, r->ms * NS_MS - m->p->now);
	if (r->what == OPEN && is_link(conn)) {
		m->stream[r->conn] = link_stream(m->p, conn[0] == 'A' ? m->a : m->b);
		assert_true(m->stream[r->conn] >= 0);
		return;
	}
	if (r->what == END && is_link(conn)) { /* the cut */
		pair_abort(m->p, m->stream[r->conn], 0);
		pair_run(m->p);
		return;
	}
	if (r->from_server || is_link(conn)) return;
	if (r->what == OPEN)
		m->stream[r->conn] = wire_connect(m->p, strcmp(conn, "b") == 0 ? m->b : m->a);
	else if (r->what == END)
		wire_fin(m->p, m->stream[r->conn]);
	else if (r->what == DATA)
		wire_send(m->p, m->stream[r->conn], r->p, r->n);
}

static void links_are(const struct mesh_play *m, int conn)
{
	const struct pair_stream *x = &m->p->stream[m->stream[conn]];
	struct pair_buf wanted = joined(m->s, conn, false);
	struct list want = frames_of(&wanted), got = frames_of(&x->end[1].log);
	struct key server = pair_public(m->s->conn[conn][0] == 'A' ? 0xa0 : 0x00);
	size_t i = 0;

	while (i < want.n && i < got.n && same(m->s, client_key(m->s, conn), server.b, &want.v[i], &got.v[i])) i++;
	if (i < want.n || i < got.n) {
		show("recorded", &want);
		show("came", &got);
		fail_msg("%s: frame %zu to the relay is another than recorded", m->s->conn[conn], i);
	}
	stream_is(m->s, conn, &x->end[0].log, server.b);
	free(want.v), free(got.v);
	free(wanted.p);
}

static void mesh_play(const struct story *s, size_t chunk, bool strip)
{
	struct mesh_play m = { .p = pair_new(chunk), .s = s };
	char config[300];

	m.p->log = true;
	m.p->strip_meta = strip;
	/* B is not there yet when A starts: A's first dial is refused and comes again after 5 s. */
	for (int i = 0; i < 2; i++) {
		snprintf(config, sizeof config, "profile=derper\nkeepalive-jitter=0s\nmesh-key=%s\nmesh-with=192.0.2.%d:443\n", s->mesh_key,
		         i == 0 ? 102 : 101);
		*(i == 0 ? &m.a : &m.b) = pair_relay(m.p, i == 0 ? 0x00 : 0xa0, config);
	}
	pair_advance(m.p, 5 * NS_S);
	assert_int_equal(relay_mesh_links_up(m.p->host[m.a].relay), 1);
	assert_int_equal(relay_mesh_links_up(m.p->host[m.b].relay), 1);
	for (size_t i = 0; i < s->records; i++) {
		struct record r = s->record[i];
		r.ms += 5000;
		mesh_record(&m, &r);
	}
	for (int i = 0; i < s->conns; i++) {
		struct key server = pair_public(strcmp(s->conn[i], "b") == 0 ? 0xa0 : 0x00);
		if (is_link(s->conn[i]))
			links_are(&m, i);
		else
			stream_is(s, i, &wire_end(m.p, m.stream[i])->log, server.b);
	}
	pair_free(m.p);
}

static void mesh_story(void **state)
{
	const char *name = *state;
	struct story *s = story_read(name);

	if (s == NULL) skip();
	mesh_play(s, 0, strstr(name, "slow") != NULL);
	mesh_play(s, 1, strstr(name, "slow") != NULL);
	story_free(s);
}

/* ---- the parser alone ---- */

static uint64_t parse_digest(enum frame_role role, const uint8_t *p, size_t n, size_t chunk, size_t *frames)
{
	struct frame_reader r;
	uint64_t h = 7;

	frame_reader_init(&r, role);
	for (size_t at = 0; at < n; at += chunk) {
		const uint8_t *q = p + at;
		size_t left = n - at < chunk ? n - at : chunk;
		struct frame f;
		for (enum frame_result result; (result = frame_read(&r, &q, &left, &f)) != FRAME_MORE;) {
			h = (h ^ f.type ^ (uint64_t)f.n << 8 ^ (uint64_t)f.verdict << 60) * 1099511628211u;
			for (uint32_t i = 0; result == FRAME_READY && i < f.n; i++) h = (h ^ f.payload[i]) * 1099511628211u;
			*frames += result == FRAME_HEADER_READ;
			if (f.verdict == FRAME_BAD) {
				frame_reader_free(&r);
				return h;
			}
		}
	}
	frame_reader_free(&r);
	return h;
}

/* Every recorded stream, whole and byte by byte, gives the same headers, verdicts and payloads. */
static void parser_chunked(void **state)
{
	static const char *const names[] = { "packets",        "max-packet",       "ignored-frames",
		                             "illegal-frames", "mesh-relays-slow", "go-client-scripted-relay" };
	size_t all = 0;

	(void)state;
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		struct story *s = story_read(names[k]);
		if (s == NULL) skip();
		for (int i = 0; i < 2 * s->conns; i++) {
			struct pair_buf b = joined(s, i / 2, i % 2 == 1);
			struct list l = frames_of(&b);
			size_t one = 0, two = 0, n = b.n - l.head_n;
			enum frame_role role = i % 2 == 1 ? FRAME_ROLE_CLIENT : FRAME_ROLE_SERVER;
			assert_true(parse_digest(role, b.p + l.head_n, n, n + 1, &one) == parse_digest(role, b.p + l.head_n, n, 1, &two));
			assert_int_equal(one, two);
			assert_true(one >= l.n || role == FRAME_ROLE_SERVER);
			all += one;
			free(l.v);
			free(b.p);
		}
		story_free(s);
	}
	assert_true(all > 200);
}

#define RELAY(name) \
	{ \
		name, relay_story, NULL, NULL, (void *)(uintptr_t)name \
	}
#define CLIENT(name) \
	{ \
		name, client_story, NULL, NULL, (void *)(uintptr_t)name \
	}
#define MESH_OF(name) \
	{ \
		name, mesh_story, NULL, NULL, (void *)(uintptr_t)name \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parser_chunked),
		RELAY("login-slow-plain"),
		RELAY("login-slow-tls"),
		RELAY("login-fast-plain"),
		RELAY("login-fast-tls"),
		RELAY("login-refused"),
		RELAY("packets"),
		RELAY("max-packet"),
		RELAY("not-here"),
		RELAY("peer-gone"),
		RELAY("duplicate-key"),
		RELAY("ping-pong"),
		RELAY("note-preferred"),
		RELAY("keepalive"),
		RELAY("ignored-frames"),
		RELAY("illegal-frames"),
		RELAY("mesh-client"),
		RELAY("rate-limit"),
		RELAY("websocket"),
		CLIENT("go-client-plain"),
		CLIENT("go-client-tls"),
		CLIENT("go-client-tls-stripped"),
		CLIENT("go-client-region"),
		CLIENT("go-mesh-client"),
		CLIENT("go-client-scripted-relay"),
		MESH_OF("mesh-relays-fast"),
		MESH_OF("mesh-relays-slow"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
