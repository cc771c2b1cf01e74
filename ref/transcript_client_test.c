/* Transcripts played to our client, in the place of each recorded one: the relay's bytes come at their times, ours is told to do what the
 * recorded one did, and says it in the same frames, in the same order, none of them unasked; the reference library's request heads are
 * met byte by byte too (the recorder's own say another User-Agent). Then what the client told its owner is what the relay had said.
 * With both profiles, whole and cut to single bytes (TRP-004). */
#include "http.h"
#include "pair_difference.h"

/* No difference is known, with either profile. */
static const struct difference differences[1];
enum { DIFFERENCES = 0, ALL = 999 };

/* What the recorder wrote by hand and no client of ours would: so many frames, or ALL: it never logged in. */
static const struct {
	const char *story, *conn;
	int frames;
	const char *why;
} hand_made[] = {
	{ "login-refused", "bad-tag", ALL, "a box that does not open" },
	{ "login-refused", "json-type", ALL, "JSON that is none" },
	{ "login-refused", "json-fraction", ALL, "the same" },
	{ "login-refused", "json-trailing", ALL, "the same" },
	{ "login-refused", "meshkey-empty", ALL, "a mesh key that is none" },
	{ "login-refused", "meshkey-short", ALL, "the same" },
	{ "login-refused", "first-frame-ping", ALL, "no ClientInfo" },
	{ "login-refused", "clientinfo-55", ALL, "a ClientInfo too short for its box" },
	{ "login-refused", "clientinfo-262145", ALL, "only the header of a ClientInfo" },
	{ "login-refused", "zero-key", ALL, "the key of nobody" },
	{ "duplicate-key", "a2", 1, "an unassigned type" },
	{ "ping-pong", "a", 3, "Pings of 9, 1000 and 7 bytes" },
	{ "ping-pong", "b", 1, "a Ping of 1001 bytes" },
	{ "note-preferred", "a", 3, "the same NotePreferred twice (CLI-025), one of the byte ff, one without any" },
	{ "note-preferred", "b", 1, "NotePreferred with two bytes" },
	{ "ignored-frames", "a", 32, "unassigned types, frames that only relays send, a second ClientInfo, Pongs to nothing" },
	{ "illegal-frames", "send-31", 1, "a SendPacket too short for its key" },
	{ "illegal-frames", "watch-1", 1, "a WatchConns that is not empty" },
	{ "illegal-frames", "closepeer-31", 1, "a ClosePeer that is no key" },
	{ "illegal-frames", "closepeer-33", 1, "the same" },
	{ "illegal-frames", "forward-63", 1, "a ForwardPacket too short for its keys" },
	{ "rate-limit", "a", 3, "an unassigned type" },
	{ "mesh-client", "m", 1, "a second WatchConns" },
};

struct client_play {
	struct pair *p;
	const struct story *s;
	int host, wire; /* the client; the stream of its present connection */
	int conn;       /* recorded as */
	struct address at;
	struct pair_buf said; /* by the recorded relay, as ours must hear it */
	size_t said_at, seen; /* how far it is sent; frames of the recorded client that are dealt with */
	struct pair_buf want; /* the frames of it that a client can send */
	bool home, watches;   /* as the recorded one had said */
	int left_out;
	struct ends ends;
	size_t heard; /* of what the client told its owner: how far it is judged */
	struct judge *judge;
	struct pair_buf *came; /* by connection: what ours sent, and behind it what it told */
};

/* ---- the recorded client ---- */

/* Would a client of ours ever send it? */
static bool is_sayable(const struct client_play *c, const struct wire_frame *f)
{
	switch (f->type) {
	case FRAME_CLIENT_INFO: return c->want.n == 0;
	case FRAME_NOTE_PREFERRED: return f->n == 1 && f->p[0] <= 1 && (f->p[0] == 1) != c->home;
	case FRAME_PING:
	case FRAME_PONG: return f->n == FRAME_PING_SIZE;
	case FRAME_WATCH_CONNS: return f->n == 0 && !c->watches;
	case FRAME_CLOSE_PEER: return f->n == KEY_SIZE;
	case FRAME_SEND_PACKET: return f->n >= KEY_SIZE;
	case FRAME_FORWARD_PACKET: return f->n >= 2 * KEY_SIZE;
	default: return false;
	}
}

/* What the recorded client said of itself; false: nothing that a client of ours could say. */
static bool info_of(const struct story *s, int conn, const struct ends *e, struct client_info *info)
{
	struct pair_buf b = joined(s, conn, false);
	struct list l = frames_of(&b);
	struct key private_key = pair_key(e->server), shared;
	bool good = l.n > 0 && l.v[0].type == FRAME_CLIENT_INFO && l.v[0].n >= KEY_SIZE + KEY_BOX_OVERHEAD &&
	            key_shared(&private_key, l.v[0].p, &shared) && login_client_info_open(l.v[0].p, l.v[0].n, &shared, info) &&
	            info->version == FRAME_PROTOCOL_VERSION;

	free(l.v);
	free(b.p);
	return good;
}

/* A line of the recorded request's head, or "". */
static void header_of(const struct story *s, int conn, const char *name, char out[128])
{
	struct pair_buf b = recorded(s, conn, false);
	const char *at;

	pair_put(&b, "", 1);
	at = strstr((const char *)b.p, name);
	out[0] = 0;
	if (at != NULL) sscanf(at + strlen(name), "%127[^\r]", out);
	free(b.p);
}

/* ---- ours in its place ---- */

/* The relay's place in a region: its only node, or as the library was told it, behind one that refuses. */
static void region_of(char *out, size_t n, bool second, const char *host, uint16_t port)
{
	static const char node[] = "{\"Name\":\"%s\",\"RegionID\":900,\"HostName\":\"%s\",\"IPv4\":\"192.0.2.%d\",\"IPv6\":\"none\",\"DERPPort\":%u}";
	char first_node[256] = "", this_node[256];

	if (second) snprintf(first_node, sizeof first_node, node, "900a", "relay-a.test", 8, port);
	snprintf(this_node, sizeof this_node, node, second ? "900b" : "900a", host, 9, port);
	snprintf(out, n, "region={\"RegionID\":900,\"Nodes\":[%s%s%s]}\n", first_node, second ? "," : "", this_node);
}

/* How ours is to get there; c->at is where. */
static void place_of(struct client_play *c, char *out, size_t n)
{
	char host[128], text[128], ideal[128], websocket[128], fast[128];
	bool tls, by_name;
	unsigned port = 80;

	header_of(c->s, c->conn, "\r\nHost: ", text);
	assert_true(sscanf(text, "%127[^:]:%u", host, &port) >= 1);
	header_of(c->s, c->conn, "Derp-Fast-Start: ", fast);
	header_of(c->s, c->conn, "Ideal-Node: ", ideal);
	header_of(c->s, c->conn, "Sec-WebSocket-Protocol: ", websocket);
	tls = fast[0] != 0 || strstr(c->s->name, "-tls") != NULL;
	by_name = !address_ip_parse(host, strlen(host), &c->at);
	if (by_name) c->at = pair_address(9, 0);
	c->at.port = (uint16_t)port;
	pair_listen(c->p, c->at, PAIR_WIRE, -1, TOKEN_NONE, tls);
	if (fast[0] != 0) {
		char server[KEY_HEX + 1];
		struct key key = pair_public(c->ends.server);
		key_hex(key.b, server);
		snprintf(c->p->wire_meta, sizeof c->p->wire_meta, "derpkey%.*s", KEY_HEX, server);
	}
	if (by_name)
		region_of(out, n, ideal[0] != 0, host, c->at.port);
	else
		snprintf(out, n, "url=%s://%s:%u/derp\nwebsocket=%s\n", tls ? "https" : "http", host, port, websocket[0] != 0 ? "on" : "off");
}

/* A client with the recorded one's key where that is known, and with all that it said of itself. */
static void client_start(struct client_play *c, const struct client_info *info)
{
	char place[1024], config[2048], mesh[KEY_HEX + 1] = "";
	uint8_t key = 0x20;

	c->ends.other_client = true;
	for (int first = 0; first < 256; first += 0x20) {
		struct key mine = pair_public((uint8_t)first);
		if (key_equal(mine.b, c->ends.client.b)) key = (uint8_t)first, c->ends.other_client = false;
	}
	c->ends.ours = pair_public(key);
	place_of(c, place, sizeof place);
	if (!key_is_zero(info->mesh_key.b)) key_hex(info->mesh_key.b, mesh);
	snprintf(config, sizeof config, "connect=off\nretry=manual\n%s%scan-ack-pings=%s\nprober=%s\napp-name=%s\n%s%.*s\n",
	         c->s->ours ? "" : "profile=derper\n", place, info->can_ack_pings ? "on" : "off", info->is_prober ? "on" : "off", info->app_name,
	         mesh[0] != 0 ? "mesh-key=" : "", KEY_HEX, mesh);
	c->host = pair_client(c->p, key, config);
}

/* The relay's bytes as ours must hear them: boxes for another key than the recorded one are sealed anew, in place. */
static void hear_as_ours(struct client_play *c)
{
	struct key private_key = pair_key(c->ends.server), theirs, ours;
	struct list l;

	c->said = recorded(c->s, c->conn, true);
	if (!c->ends.other_client) return;
	l = frames_of(&c->said);
	assert_true(key_shared(&private_key, c->ends.client.b, &theirs) && key_shared(&private_key, c->ends.ours.b, &ours));
	for (size_t i = 0; i < l.n; i++) {
		uint8_t plain[512], nonce[KEY_NONCE], *box = c->said.p + (l.v[i].p - c->said.p);
		if (l.v[i].type != FRAME_SERVER_INFO) continue;
		assert_true(l.v[i].n < sizeof plain && key_open(&theirs, box, l.v[i].n, plain));
		memcpy(nonce, box, KEY_NONCE);
		key_seal(&ours, nonce, plain, l.v[i].n - KEY_BOX_OVERHEAD, box);
	}
	free(l.v);
}

/* A WebSocket is accepted for the key that ours has drawn (HTTP-028). */
static void accept_ours(struct client_play *c)
{
	static const char field[] = "Sec-Websocket-Accept: ", asked[] = "Sec-WebSocket-Key: ";
	const struct pair_buf *got = &wire_end(c->p, c->wire)->got;
	uint8_t *at = memmem(c->said.p, c->said.n, field, strlen(field));
	const uint8_t *key = memmem(got->p, got->n, asked, strlen(asked));
	char text[HTTP_OUT_MAX], *accept;
	struct http_request request = { .subprotocol = true };

	if (at == NULL) return;
	assert_non_null(key);
	request.accept_key = (struct http_text){ .p = (const char *)key + strlen(asked), .n = HTTP_WEBSOCKET_KEY };
	text[http_websocket_response(text, &request)] = 0;
	accept = strstr(text, field);
	assert_non_null(accept);
	memcpy(at, accept, strlen(field) + 28);
}

/* ---- the play ---- */

/* What ours sent on this connection so far, without WebSocket; the bytes are the caller's. */
static struct list sent(const struct client_play *c, struct pair_buf *b)
{
	const struct pair_buf *got = &wire_end(c->p, c->wire)->got;

	*b = (struct pair_buf){ 0 };
	pair_put(b, got->p, got->n);
	ws_strip(b, NULL);
	return frames_of(b);
}

static void command(struct client_play *c, const struct wire_frame *f)
{
	struct event_command x = { 0 };

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
	default: fail_msg("%s %s: the client has not sent its %s", c->s->name, c->s->conn[c->conn], frame_name(f->type));
	}
	pair_command(c->p, c->host, &x);
}

/* The recorded client sent this frame. If ours has not by itself, its owner wants it now. */
static void client_wants(struct client_play *c, const struct wire_frame *f)
{
	struct pair_buf b, want = { .p = c->want.p, .n = c->want.n };
	struct list l = sent(c, &b), w = frames_of(&want);
	bool there = l.n > w.n;
	uint8_t head[FRAME_HEADER];

	free(l.v), free(w.v), free(b.p);
	if (!is_sayable(c, f)) {
		c->left_out++;
		return;
	}
	frame_header(head, f->type, f->n);
	pair_put(&c->want, head, sizeof head);
	pair_put(&c->want, f->p, f->n);
	if (f->type == FRAME_NOTE_PREFERRED) c->home = f->p[0] == 1;
	if (f->type == FRAME_WATCH_CONNS) c->watches = true;
	if (!there) command(c, f);
}

/* The frames that are whole with this record. */
static void client_said(struct client_play *c, size_t record)
{
	struct pair_buf b = recorded_until(c->s, c->conn, false, record + 1);
	struct list l;

	ws_strip(&b, NULL);
	l = frames_of(&b);
	for (; c->seen < l.n; c->seen++) client_wants(c, &l.v[c->seen]);
	free(l.v), free(b.p);
}

/* ---- what the owner heard ---- */

static const struct pair_heard *next_heard(struct client_play *c)
{
	const struct pair_host *h = &c->p->host[c->host];

	while (c->heard < h->heard_n) {
		const struct pair_heard *x = &h->heard[c->heard++];
		switch (x->what) {
		case DELIVER_READY:
		case DELIVER_PACKET:
		case DELIVER_PEER_GONE:
		case DELIVER_PEER_PRESENT:
		case DELIVER_PING:
		case DELIVER_PONG:
		case DELIVER_KEEPALIVE:
		case DELIVER_HEALTH:
		case DELIVER_RESTARTING: return x;
		default: break;
		}
	}
	return NULL;
}

static uint32_t number_of(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* What the client must tell of a frame; false: nothing. The table of chapter 1, "client accepts". */
static bool tells(const struct wire_frame *f, struct pair_heard *x)
{
	bool keyed = f->n >= KEY_SIZE;

	*x = (struct pair_heard){ .has_key = false };
	switch (f->type) {
	case FRAME_SERVER_INFO: x->what = DELIVER_READY; return true;
	case FRAME_RECV_PACKET: *x = (struct pair_heard){ .what = DELIVER_PACKET, .has_key = true, .n = keyed ? f->n - KEY_SIZE : 0 }; return keyed;
	case FRAME_PEER_GONE:
		*x = (struct pair_heard){ .what = DELIVER_PEER_GONE, .has_key = true, .a = f->n > KEY_SIZE ? f->p[KEY_SIZE] : 0 };
		return keyed;
	case FRAME_PEER_PRESENT:
		*x = (struct pair_heard){ .what = DELIVER_PEER_PRESENT, .has_key = true, .n = keyed ? f->n - KEY_SIZE : 0 };
		if (f->n >= FRAME_PRESENT_SIZE) x->a = f->p[FRAME_PRESENT_SIZE - 1];
		return keyed;
	case FRAME_PING:
	case FRAME_PONG:
		*x = (struct pair_heard){ .what = f->type == FRAME_PING ? DELIVER_PING : DELIVER_PONG, .n = FRAME_PING_SIZE };
		return f->n >= FRAME_PING_SIZE;
	case FRAME_KEEP_ALIVE: x->what = DELIVER_KEEPALIVE; return true;
	case FRAME_HEALTH: *x = (struct pair_heard){ .what = DELIVER_HEALTH, .n = f->n }; return true;
	case FRAME_RESTARTING:
		if (f->n < 8) return false;
		*x = (struct pair_heard){ .what = DELIVER_RESTARTING, .a = number_of(f->p), .b = number_of(f->p + 4) };
		return true;
	default: return false;
	}
}

/* Everything that the relay said on this connection was told, in its order, and nothing else. */
static void heard_is(struct client_play *c)
{
	struct list l;
	struct pair_heard want;
	const struct pair_heard *got;

	ws_strip(&c->said, NULL);
	l = frames_of(&c->said);
	for (size_t i = 0; i < l.n; i++) {
		const struct wire_frame *f = &l.v[i];
		const uint8_t *data = f->p;
		if (!tells(f, &want)) continue;
		if (want.has_key) data += KEY_SIZE;
		got = next_heard(c);
		if (got == NULL || got->what != want.what || got->n != want.n || (want.n != 0 && memcmp(got->p, data, want.n) != 0) ||
		    (want.has_key && memcmp(got->key, f->p, KEY_SIZE) != 0) || (want.what != DELIVER_READY && (got->a != want.a || got->b != want.b)))
			fail_msg("%s %s: frame %zu, a %s, was told as %s", c->s->name, c->s->conn[c->conn], i, frame_name(f->type),
			         got == NULL ? "nothing" : deliver_kind_name(got->what));
		compared++;
	}
	got = next_heard(c);
	if (got != NULL) fail_msg("%s %s: %s was told of nothing", c->s->name, c->s->conn[c->conn], deliver_kind_name(got->what));
	free(l.v);
}

/* ---- one recorded connection after the other ---- */

static int hand_made_frames(const struct story *s, const char *conn)
{
	for (size_t i = 0; i < sizeof hand_made / sizeof *hand_made; i++)
		if (strcmp(hand_made[i].story, s->name) == 0 && strcmp(hand_made[i].conn, conn) == 0) return hand_made[i].frames;
	return 0;
}

static void conn_open(struct client_play *c, int conn)
{
	c->conn = conn;
	c->said_at = c->seen = 0;
	c->home = c->watches = false;
	c->left_out = 0;
	hear_as_ours(c);
	pair_command(c->p, c->host, &(struct event_command){ .verb = COMMAND_CONNECT });
	c->wire = wire_accepted(c->p, c->at);
	assert_true(c->wire >= 0);
}

static void conn_done(struct client_play *c)
{
	const char *name = c->s->conn[c->conn];
	struct pair_buf b, head = recorded(c->s, c->conn, false);
	struct list got = sent(c, &b), want = frames_of(&c->want), asked = frames_of(&head);

	if (is_proxied(c->s, c->conn) && (asked.head_n != got.head_n || memcmp(asked.head, got.head, got.head_n) != 0))
		fail_msg("%s: the request is %.*s", name, (int)got.head_n, (const char *)got.head);
	judge_asked(c->judge, name, &c->ends, &want, &got);
	if (c->left_out != hand_made_frames(c->s, name)) fail_msg("%s %s: %d frames are made by hand", c->s->name, name, c->left_out);
	heard_is(c);
	pair_put(&c->came[c->conn], wire_end(c->p, c->wire)->got.p, wire_end(c->p, c->wire)->got.n);
	free(got.v), free(want.v), free(asked.v), free(b.p), free(head.p), free(c->said.p), free(c->want.p);
	c->said = c->want = (struct pair_buf){ 0 };
	c->conn = -1;
}

static void play_record(struct client_play *c, size_t i)
{
	const struct record *r = &c->s->record[i];

	if (r->ms * NS_MS > c->p->now) pair_advance(c->p, r->ms * NS_MS - c->p->now);
	switch (r->what) {
	case OPEN:
		if (c->conn >= 0) conn_done(c);
		conn_open(c, r->conn);
		return;
	case END: /* whoever ended: the relay, the recorder, the library's anger */
	case RESET:
		if (wire_end(c->p, c->wire)->ended == PAIR_OPEN) wire_fin(c->p, c->wire);
		return;
	case DATA:
		if (!r->from_server) {
			client_said(c, i);
			return;
		}
		accept_ours(c);
		wire_send(c->p, c->wire, c->said.p + c->said_at, r->n);
		c->said_at += r->n;
	}
}

/* Is this connection the next life of the same client? */
static bool is_same_client(const struct story *s, int first, int conn)
{
	return conn == first || (strncmp(s->conn[first], "go", 2) == 0 && strncmp(s->conn[conn], "go", 2) == 0);
}

/* A client of ours in the place of the one that opened this connection. */
static void play_client(const struct story *s, int first, size_t chunk, struct judge *j, struct pair_buf came[CONNS])
{
	struct client_play c = { .s = s, .judge = j, .came = came, .conn = first, .ends = ends_of(s, first) };
	struct client_info info;

	if (!info_of(s, first, &c.ends, &info)) {
		if (hand_made_frames(s, s->conn[first]) != ALL) fail_msg("%s %s: no client logs in", s->name, s->conn[first]);
		return;
	}
	c.p = pair_new(chunk);
	client_start(&c, &info);
	c.conn = -1;
	if (strcmp(s->name, "go-mesh-client") == 0 && is_proxied(s, first)) { /* the program set both before it connected */
		pair_command(c.p, c.host, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
		pair_command(c.p, c.host, &(struct event_command){ .verb = COMMAND_WATCH });
	}
	for (size_t i = 0; i < s->records; i++)
		if (is_same_client(s, first, s->record[i].conn)) play_record(&c, i);
	conn_done(&c);
	pair_free(c.p);
}

/* Every connection that a client opened, each the first time that its client appears. */
static void play(const struct story *s, size_t chunk, struct judge *j, struct pair_buf came[CONNS])
{
	for (int i = 0; i < s->conns; i++) {
		bool again = is_link(s->conn[i]) || s->conn[i][0] == 'u';
		for (int k = 0; k < i; k++) again |= is_same_client(s, k, i);
		if (!again) play_client(s, i, chunk, j, came);
	}
}

static void client_story(void **state)
{
	struct story *s = case_story(state);
	struct pair_buf whole[CONNS] = { { 0 } }, cut[CONNS] = { { 0 } };
	struct judge j;

	if (s == NULL) skip();
	for (size_t i = 0; i < sizeof hand_made / sizeof *hand_made; i++)
		if (strcmp(hand_made[i].story, s->name) == 0) conn_named(s, hand_made[i].conn);
	for (size_t chunk = 0; chunk < 2; chunk++) {
		j = judge_new(s, differences, DIFFERENCES);
		play(s, chunk, &j, chunk == 0 ? whole : cut);
		judge_done(&j);
	}
	for (int i = 0; i < s->conns; i++) {
		same_in_pieces(s->conn[i], &whole[i], &cut[i]);
		free(whole[i].p), free(cut[i].p);
	}
	story_free(s);
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX];

	return _cmocka_run_group_tests("client", tests, transcript_cases(SIDE_CLIENT, client_story, tests), NULL, difference_report);
}
