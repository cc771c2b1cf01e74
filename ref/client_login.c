/* From TCP to steady state, and what the relay says then. */
#include "client_core.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

static void fail(struct client *c, uint64_t now, enum client_end why) { client_end(c, now, why, false); }

/* ---- TLS and HTTP ---- */

static void send_request(struct client *c, bool fast)
{
	const struct client_node *node = &c->region->node[c->node];
	const char *ideal = c->node != 0 ? region_text(c->region, c->region->node[0].name_at) : NULL; /* HTTP-017, TRP-028 */
	const char *host = region_text(c->region, node->http_host_at), *path = region_text(c->region, c->region->path_at);
	char text[HTTP_OUT_MAX];
	uint32_t n = c->websocket ? client_websocket_request(c, text) : http_upgrade_request(text, host, path, fast, ideal);

	assert(n != 0);
	client_send(c, text, n, NULL);
}

static void send_client_info(struct client *c)
{
	struct client_info info = { .version = FRAME_PROTOCOL_VERSION, .can_ack_pings = c->can_ack_pings, .is_prober = c->prober };
	uint8_t nonce[KEY_NONCE], frame[LOGIN_FRAME_MAX];

	if (c->extra != NULL) {
		info.mesh_key = c->extra->mesh_key;
		memcpy(info.app_name, c->extra->app_name, sizeof info.app_name);
	}
	rng_bytes(&c->rng, RNG_NONCE, nonce, sizeof nonce); /* KEY-005 */
	client_send(c, frame, login_client_info_frame(frame, &c->public_key, &c->shared, nonce, &info), NULL);
	c->out_now->work[WORK_BOXES]++;
	c->out_now->work[WORK_FRAMES_OUT]++;
	key_wipe(&info, sizeof info);
}

void client_note_preferred(struct client *c)
{
	uint8_t frame[FRAME_HEADER + 1];

	client_send(c, frame, frame_note_preferred(frame, c->home), NULL);
}

void client_watch_conns(struct client *c)
{
	uint8_t frame[FRAME_HEADER];

	client_send(c, frame, frame_watch_conns(frame), NULL);
}

/* HSK-005, HSK-024: ClientInfo, then home, then watch; sends are allowed from now on (HSK-023). */
static void login(struct client *c, uint64_t now)
{
	c->out_now->work[WORK_SHARED]++;
	if (!key_cache_shared(c->env.keys, &c->key, &c->public_key, c->server_key.b, &c->shared)) {
		fail(c, now, CLIENT_END_PROTOCOL);
		return;
	}
	send_client_info(c);
	if (c->home) client_note_preferred(c);
	if (c->watch) client_watch_conns(c);
	frame_reader_role(&c->reader, FRAME_ROLE_CLIENT);
	c->attempt_deadline = TIME_NEVER;
	c->heard = now;
	client_move(c, now, CLIENT_SENT);
	actions_deliver(c->up_now, DELIVER_CONNECTED, c->conn)->deliver.a = c->node;
	client_pump(c, now);
}

/* The stream is ready for the request, or for DERP itself. */
static void begin(struct client *c, uint64_t now)
{
	/* HTTP-009, HTTP-010; HTTP-015: without the key by slow start, and so over WebSocket (HTTP-034) */
	bool fast = c->server_known && c->fast != FAST_NEVER && !c->websocket;

	if (c->raw) {
		frame_reader_init(&c->reader, FRAME_ROLE_CLIENT_LOGIN);
		client_move(c, now, CLIENT_LOGIN);
		return;
	}
	send_request(c, fast);
	if (fast) { /* nothing is read before: ServerKey is skipped when it comes (HSK-004) */
		frame_reader_init(&c->reader, FRAME_ROLE_CLIENT);
		login(c, now);
		return;
	}
	client_move(c, now, CLIENT_HTTP);
}

void client_connected(struct client *c, uint64_t now)
{
	const char *host = region_text(c->region, c->region->node[c->node].host_at);
	bool ip = address_ip_parse(host, strlen(host), &(struct address){ 0 });
	struct action *tls;

	if (c->fast == FAST_ALWAYS) c->server_key = c->extra->server_key, c->server_known = true;
	if (!c->region->tls || c->raw) {
		begin(c, now);
		return;
	}
	client_move(c, now, CLIENT_TLS);
	tls = actions_add(c->out_now, ACTION_START_TLS, c->conn);
	tls->tls = (struct action_tls){ .server_name = ip ? NULL : host, .insecure = client_tls_insecure(c) }; /* HTTP-024 */
}

void client_secured(struct client *c, const struct event *e)
{
	if (e->token != c->conn || c->state != CLIENT_TLS) return;
	if (!client_certificate_good(c, e->now, e->secured)) {
		fail(c, e->now, CLIENT_END_TLS); /* CLI-016 */
		return;
	}
	if (c->fast == FAST_AUTO) c->server_known = client_meta_key(e->secured, &c->server_key);
	begin(c, e->now);
}

enum http_result client_read_head(struct client *c, const uint8_t **p, size_t *n, uint32_t *status)
{
	struct http_reader reader;
	struct http_head head;
	enum http_result result;

	http_reader_init(&reader, true);
	if (c->http != NULL) reader = *c->http;
	result = http_read(&reader, p, n, &head);
	if (result == HTTP_MORE) {
		if (c->http == NULL) c->http = mem_alloc(sizeof *c->http);
		*c->http = reader;
		return result;
	}
	if (result == HTTP_READY) *status = c->ws != NULL && !client_websocket_accepted(c, &head) ? 0 : head.status;
	http_reader_free(&reader);
	free(c->http);
	c->http = NULL;
	return result;
}

/* HTTP-006, HTTP-007. True: the head is read and the rest is DERP. */
static bool http_bytes(struct client *c, uint64_t now, const uint8_t **p, size_t *n)
{
	uint32_t status = 0;
	enum http_result result = client_read_head(c, p, n, &status);

	if (result == HTTP_MORE) return false;
	if (result != HTTP_READY || status != 101) {
		fail(c, now, CLIENT_END_HTTP);
		return false;
	}
	frame_reader_init(&c->reader, FRAME_ROLE_CLIENT_LOGIN);
	client_move(c, now, CLIENT_LOGIN);
	return true;
}

/* HSK-003. True: logged in and bytes may be left. */
static bool server_key_bytes(struct client *c, uint64_t now, const uint8_t **p, size_t *n)
{
	struct frame f;
	enum frame_result result = frame_read(&c->reader, p, n, &f);

	if (result == FRAME_HEADER_READ && f.verdict != FRAME_BAD) result = frame_read(&c->reader, p, n, &f);
	if (result == FRAME_MORE) return false;
	if (result == FRAME_HEADER_READ || memcmp(f.payload, frame_magic, FRAME_MAGIC) != 0) {
		fail(c, now, CLIENT_END_PROTOCOL);
		return false;
	}
	memcpy(c->server_key.b, f.payload + FRAME_MAGIC, KEY_SIZE);
	c->server_known = true;
	frame_reader_free(&c->reader);
	c->out_now->work[WORK_FRAMES_IN]++;
	login(c, now);
	return c->state == CLIENT_SENT;
}

/* ---- frames ---- */

static uint32_t get_u32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* CLI-004: a rate replaces the limiter, none removes it (HSK-026). */
static void set_bucket(struct client *c, uint64_t now, const struct server_info *info)
{
	free(c->bucket);
	c->bucket = NULL;
	if (info->bucket_bytes_per_second == 0) return;
	c->bucket = mem_alloc(sizeof *c->bucket);
	*c->bucket = (struct client_bucket){
		.rate = info->bucket_bytes_per_second, .burst = info->bucket_bytes_burst, .tokens = info->bucket_bytes_burst, .at = now
	};
}

static void on_server_info(struct client *c, uint64_t now, const struct frame *f)
{
	struct server_info info;
	bool first = c->state == CLIENT_SENT;

	c->out_now->work[WORK_BOXES]++;
	if (!login_server_info_open(f->payload, f->n, &c->shared, &info)) { /* HSK-026 */
		fail(c, now, CLIENT_END_PROTOCOL);
		return;
	}
	set_bucket(c, now, &info);
	if (first) {
		c->generation++; /* CLI-024 */
		client_move(c, now, CLIENT_READY);
		if (c->times.return_after != 0 && c->node != client_first_usable(c)) c->return_at = now + c->times.return_after; /* OQ-4 */
	}
	actions_deliver(c->up_now, DELIVER_READY, c->conn)->deliver.a = c->generation;
}

/* Bytes of a frame for the owner. A gathered frame's packet is held until the owner has read: the reader drops it with the next one. */
static struct span span_of(const struct frame *f, uint32_t at, uint32_t n)
{
	assert(at <= f->n && n <= f->n - at);
	return (struct span){ .p = f->payload + at, .n = n, .owner = f->owner != NULL ? packet_hold(f->owner) : NULL };
}

static void on_peer_present(struct client *c, const struct frame *f)
{
	struct action *x = actions_deliver(c->up_now, DELIVER_PEER_PRESENT, c->conn);

	x->deliver.key = f->payload;
	x->span = span_of(f, FRAME_KEY, f->n - FRAME_KEY); /* IP and port as they came, if they came (PGR-018) */
	if (f->n >= FRAME_PRESENT_SIZE) x->deliver.a = f->payload[FRAME_PRESENT_SIZE - 1];
}

static void on_ping(struct client *c, const struct frame *f)
{
	if (c->can_ack_pings && !c->pong_due) { /* CLI-010 */
		memcpy(c->pong, f->payload, FRAME_PING_SIZE);
		c->pong_due = true;
		client_send_pong(c);
	}
	actions_deliver(c->up_now, DELIVER_PING, c->conn)->span = span_of(f, 0, FRAME_PING_SIZE);
}

static void on_packet(struct client *c, const struct frame *f)
{
	struct action *x = actions_deliver(c->up_now, DELIVER_PACKET, c->conn);

	x->deliver.key = f->payload;
	x->span = span_of(f, FRAME_KEY, f->n - FRAME_KEY);
}

/* PGR-017: whoever it is about, and however often. */
static void on_gone(struct client *c, const struct frame *f)
{
	struct action *x = actions_deliver(c->up_now, DELIVER_PEER_GONE, c->conn);

	x->deliver.key = f->payload;
	x->span = span_of(f, FRAME_KEY, 0);                                          /* keeps the key */
	x->deliver.a = f->n > FRAME_KEY ? f->payload[FRAME_KEY] : GONE_DISCONNECTED; /* PGR-001 */
}

static void deliver_span(struct client *c, enum deliver_kind what, const struct frame *f, uint32_t n)
{
	actions_deliver(c->up_now, what, c->conn)->span = span_of(f, 0, n);
}

static void dispatch(struct client *c, uint64_t now, const struct frame *f)
{
	struct action *x;

	c->heard = now;
	c->failures = 0; /* CLI-032: any received message */
	switch (f->type) {
	case FRAME_RECV_PACKET: on_packet(c, f); break;
	case FRAME_SERVER_INFO: on_server_info(c, now, f); break;
	case FRAME_PEER_GONE: on_gone(c, f); break;
	case FRAME_PEER_PRESENT: on_peer_present(c, f); break;
	case FRAME_PING: on_ping(c, f); break;
	case FRAME_PONG:
		if (!client_pong(c, now, f->payload)) deliver_span(c, DELIVER_PONG, f, FRAME_PING_SIZE); /* CLI-011 */
		break;
	case FRAME_KEEP_ALIVE: actions_deliver(c->up_now, DELIVER_KEEPALIVE, c->conn); break;
	case FRAME_HEALTH: deliver_span(c, DELIVER_HEALTH, f, f->n); break; /* SRV-033 */
	case FRAME_RESTARTING:                                              /* SRV-034: advisory */
		x = actions_deliver(c->up_now, DELIVER_RESTARTING, c->conn);
		x->deliver.a = get_u32(f->payload);
		x->deliver.b = get_u32(f->payload + 4);
		break;
	default: assert(false && "the table takes no other type to a client");
	}
}

/* CLI-008: the deadline is renewed before every frame, so by the end of a skipped one too. */
static void skipped(struct client *c, uint64_t now)
{
	if (c->skipping) c->heard = now;
	c->skipping = false;
}

/* CLI-007: frames in any order. */
static void steady_bytes(struct client *c, uint64_t now, const uint8_t **p, size_t *n)
{
	struct frame f;

	while (c->conn != TOKEN_NONE && (*n > 0 || !frame_reader_idle(&c->reader))) {
		if (!c->skipping && frame_read_whole(&c->reader, p, n, &f)) {
			c->out_now->work[WORK_FRAMES_IN]++;
			dispatch(c, now, &f);
			continue;
		}
		switch (frame_read(&c->reader, p, n, &f)) {
		case FRAME_MORE:
			if (frame_reader_at_boundary(&c->reader)) skipped(c, now);
			return;
		case FRAME_HEADER_READ:
			skipped(c, now);
			if (f.verdict == FRAME_BAD) fail(c, now, CLIENT_END_PROTOCOL); /* FRM-006 */
			c->skipping = f.verdict == FRAME_SKIP;
			break;
		case FRAME_READY:
			c->out_now->work[WORK_FRAMES_IN]++;
			dispatch(c, now, &f);
			break;
		}
	}
}

void client_stream(struct client *c, uint64_t now, const uint8_t *p, size_t n)
{
	uint64_t token = c->conn;

	if (c->state == CLIENT_LOGIN && !server_key_bytes(c, now, &p, &n)) return;
	if (c->state == CLIENT_SENT || c->state == CLIENT_READY) steady_bytes(c, now, &p, &n);
	if (token != c->conn) client_cut(c, now, token, p, n);
}

void client_bytes(struct client *c, const struct event *e)
{
	const uint8_t *p = e->bytes.p;
	size_t n = e->bytes.n;

	if (c->ws_closing != NULL && e->token == c->ws_closing->token) {
		client_websocket_bytes(c, e->now, c->ws_closing, e->token, p, n);
		return;
	}
	if (e->token != c->conn) { /* CLI-009: dead for good */
		client_cut(c, e->now, e->token, p, n);
		return;
	}
	c->out_now->work[WORK_BYTES_IN] += n;
	if (c->state == CLIENT_PROXY) {
		client_proxy_bytes(c, e->now, &p, &n);
		client_cut(c, e->now, e->token, p, n);
		return;
	}
	if (c->state == CLIENT_HTTP && !http_bytes(c, e->now, &p, &n)) return;
	if (c->ws != NULL)
		client_websocket_bytes(c, e->now, c->ws, e->token, p, n);
	else
		client_stream(c, e->now, p, n);
}
