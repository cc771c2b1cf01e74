/* The machine: configuration, commands, sending, timers, ends, views. */
#include "client_core.h"

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const retries[] = { "original", "full-jitter", "none", "fixed", "manual", NULL };
static const char *const fasts[] = { "auto", "always", "never", NULL };
static const char *const profiles[] = { "ours", "derper", NULL };

#define FIELD(member) offsetof(struct client_config, member)
static const struct config_key config_table[] = {
	{ "key", CONFIG_KEY, FIELD(key), 0, 0, NULL },
	{ "mesh-key", CONFIG_KEY, FIELD(mesh_key), 0, 0, NULL },
	{ "server-key", CONFIG_KEY, FIELD(server_key), 0, 0, NULL },
	{ "region", CONFIG_TEXT, FIELD(region), 0, 0, NULL },
	{ "url", CONFIG_TEXT, FIELD(url), 0, 0, NULL },
	{ "dial-host", CONFIG_TEXT, FIELD(dial_host), 0, 0, NULL },
	{ "app-name", CONFIG_TEXT, FIELD(app_name), 0, 0, NULL },
	{ "proxy", CONFIG_TEXT, FIELD(proxy), 0, 0, NULL },
	{ "raw", CONFIG_BOOL, FIELD(raw), 0, 0, NULL },
	{ "plain", CONFIG_BOOL, FIELD(plain), 0, 0, NULL },
	{ "websocket", CONFIG_BOOL, FIELD(websocket), 0, 0, NULL },
	{ "connect", CONFIG_BOOL, FIELD(connect), 0, 0, NULL },
	{ "home", CONFIG_BOOL, FIELD(home), 0, 0, NULL },
	{ "watch", CONFIG_BOOL, FIELD(watch), 0, 0, NULL },
	{ "prober", CONFIG_BOOL, FIELD(prober), 0, 0, NULL },
	{ "can-ack-pings", CONFIG_BOOL, FIELD(can_ack_pings), 0, 0, NULL },
	{ "prefer-v6", CONFIG_BOOL, FIELD(prefer_v6), 0, 0, NULL },
	{ "insecure", CONFIG_BOOL, FIELD(insecure), 0, 0, NULL },
	{ "fast-start", CONFIG_ENUM, FIELD(fast), 0, 0, fasts },
	{ "retry", CONFIG_ENUM, FIELD(retry), 0, 0, retries },
	{ "profile", CONFIG_ENUM, FIELD(profile), 0, 0, profiles },
	{ "queue-depth", CONFIG_U32, FIELD(queue_depth), 1, OUTBOX_DEPTH_MAX, NULL },
	{ "high-water", CONFIG_U32, FIELD(high_water), 1, 1 << 30, NULL },
	{ "dial-timeout", CONFIG_TIME, FIELD(dial_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "connect-timeout", CONFIG_TIME, FIELD(connect_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "receive-timeout", CONFIG_TIME, FIELD(receive_timeout), NS_MS, 86400 * NS_S, NULL },
	{ "retry-after", CONFIG_TIME, FIELD(retry_after), NS_MS, 3600 * NS_S, NULL },
	{ "retry-max", CONFIG_TIME, FIELD(retry_max), NS_MS, 3600 * NS_S, NULL },
	{ "return-after", CONFIG_TIME, FIELD(return_after), 0, 0, NULL },
	{ "forward-timeout", CONFIG_TIME, FIELD(forward_timeout), 0, 3600 * NS_S, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

static const struct client_config defaults = {
	.connect = true,
	.can_ack_pings = true,
	.queue_depth = 32,
	.high_water = 131072,
	.dial_timeout = 1500 * NS_MS,
	.connect_timeout = 10 * NS_S,
	.receive_timeout = 120 * NS_S,
	.retry_after = 5 * NS_S,
	.retry_max = 5 * NS_S,
};

static bool complain(char error[200], const char *what)
{
	snprintf(error, 200, "%s", what);
	return false;
}

static struct client_region *config_read(const char *text, size_t n, struct client_config *config, char error[200])
{
	struct client_proxy proxy;

	*config = defaults;
	if (!config_parse(text, n, config_table, config, error)) return NULL;
	if (key_is_zero(config->key.b) && !complain(error, "key= is missing: a client needs a private key")) return NULL;
	if (config->fast == FAST_ALWAYS && key_is_zero(config->server_key.b) && !complain(error, "fast-start=always needs server-key= (HTTP-010)"))
		return NULL;
	if (config->websocket && (config->raw || config->watch || config->fast == FAST_ALWAYS) &&
	    !complain(error, "websocket=on goes with none of raw=on, watch=on, fast-start=always (HTTP-034)"))
		return NULL;
	if (config->app_name.n > 63 && !complain(error, "app-name= of at most 63 bytes")) return NULL;
	if (config->proxy.n != 0 && !client_proxy_parse(config->proxy, &proxy, error)) return NULL;
	if (config->proxy.n != 0 && config->region.n == 0 && !complain(error, "proxy= is for the nodes of a region=, not for a url= (CLI-022)"))
		return NULL;
	return client_region_parse(config, error);
}

bool client_config_check(const char *text, size_t n, char error[200])
{
	struct client_config config;
	struct client_region *region = config_read(text, n, &config, error);

	free(region);
	key_wipe(&config, sizeof config);
	return region != NULL;
}

bool client_region_check(const char *json, size_t n, char error[200])
{
	struct client_config config = { .region = { .p = json, .n = n } };
	struct client_region *region = client_region_parse(&config, error);

	free(region);
	return region != NULL;
}

/* ---- states ---- */

const char *client_state_name(enum client_state state)
{
	static const char *const name[CLIENT_STATES] = { "idle", "dialing", "proxy", "tls", "http", "login", "sent", "ready", "waiting", "gone" };

	assert(state < CLIENT_STATES);
	return name[state];
}

const char *client_end_name(enum client_end end)
{
	static const char *const name[CLIENT_ENDS] = { "refused", "timeout", "tls",   "http",   "protocol", "closed",
		                                       "reset",   "silence", "write", "return", "region",   "left" };

	assert(end < CLIENT_ENDS);
	return name[end];
}

/* What may follow what: chapter 3.2. */
static const uint16_t follows[CLIENT_STATES] = {
	[CLIENT_IDLE] = 1 << CLIENT_DIALING | 1 << CLIENT_GONE,
	[CLIENT_DIALING] = 1 << CLIENT_PROXY | 1 << CLIENT_TLS | 1 << CLIENT_HTTP | 1 << CLIENT_LOGIN | 1 << CLIENT_SENT | 1 << CLIENT_WAITING |
	                   1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_PROXY] = 1 << CLIENT_DIALING | 1 << CLIENT_TLS | 1 << CLIENT_HTTP | 1 << CLIENT_LOGIN | 1 << CLIENT_SENT | 1 << CLIENT_WAITING |
	                 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_TLS] = 1 << CLIENT_HTTP | 1 << CLIENT_SENT | 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_HTTP] = 1 << CLIENT_LOGIN | 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_LOGIN] = 1 << CLIENT_SENT | 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_SENT] = 1 << CLIENT_READY | 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_READY] = 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
	[CLIENT_WAITING] = 1 << CLIENT_DIALING | 1 << CLIENT_GONE,
	[CLIENT_GONE] = 0,
};

void client_move(struct client *c, uint64_t now, enum client_state to)
{
	struct note note = { .kind = NOTE_STATE, .now = now, .token = c->conn, .key = c->public_key.b, .a = to, .b = c->state };

	assert((follows[c->state] >> to & 1) != 0);
	c->state = (uint8_t)to;
	if (c->env.tracer != NULL) c->env.tracer->note(c->env.tracer, &note);
}

uint64_t client_token_new(struct client *c)
{
	for (uint32_t i = 0; i < CLIENT_SLOTS; i++) {
		if (c->slots_busy >> i & 1) continue;
		c->slots_busy |= 1u << i;
		return TOKEN_MACHINE | token_make(c->slot_first + i, ++c->generation_next);
	}
	return TOKEN_NONE;
}

static void token_over(struct client *c, uint64_t token)
{
	uint32_t i = token_slot(token) - c->slot_first;

	assert(token_is_machine(token) && i < CLIENT_SLOTS && (c->slots_busy >> i & 1) != 0);
	c->slots_busy &= ~(1u << i);
}

/* CLI-032 and its alternatives; TRP-036: bounded, and for ever. */
static uint64_t retry_delay(struct client *c)
{
	uint64_t n = c->failures < 1000 ? c->failures : 1000, base = n * n * 10 * NS_MS;

	switch ((enum client_retry)c->retry) {
	case RETRY_ORIGINAL:
		if (base > c->times.retry_max) base = c->times.retry_max;
		return rng_range(&c->rng, RNG_JITTER, base / 2, base + base / 2);
	case RETRY_FULL_JITTER:
		base = n < 20 ? (5 * NS_MS) << n : c->times.retry_max;
		return rng_range(&c->rng, RNG_JITTER, 0, base < c->times.retry_max ? base : c->times.retry_max);
	case RETRY_NONE: return 0;
	case RETRY_FIXED: return c->times.retry_after;
	case RETRY_MANUAL: return TIME_NEVER;
	}
	assert(false && "every policy has a case");
	return 0;
}

static void dropped(struct client *c, const struct outbox_entry *e, enum drop_reason reason)
{
	struct action *x = actions_deliver(c->up_now, DELIVER_DROPPED, c->conn);

	x->span = (struct span){ .owner = e->packet, .p = e->p, .n = e->n };
	x->deliver.a = reason;
	x->deliver.key = e->dst;
}

/* Tells of a command that came to nothing, with what it was about. */
static struct action *tell_of(struct client *c, enum deliver_kind what, const struct event_command *m)
{
	struct action *x = actions_deliver(c->up_now, what, c->conn);

	x->span = (struct span){ .owner = m->owner != NULL ? packet_hold(m->owner) : NULL, .p = m->p, .n = m->n };
	x->deliver.key = m->dst;
	x->deliver.b = m->verb;
	return x;
}

static void refused(struct client *c, const struct event_command *m, enum refusal why) { tell_of(c, DELIVER_REFUSED, m)->deliver.a = why; }

static void give_up(struct client *c, const struct event_command *m, enum drop_reason why) { tell_of(c, DELIVER_DROPPED, m)->deliver.a = why; }

/* What a mesh link held is of no use behind the break (MSH-014), nor is anything to a client that stays away; else packets wait
 * for the next connection. */
static void drop_queued(struct client *c, enum client_end why)
{
	struct outbox_entry e;

	if (!c->watch && why != CLIENT_END_LEFT) return;
	while (outbox_take(&c->out, OUTBOX_OTHER, &e)) {
		dropped(c, &e, DROP_GONE_DISCONNECTED);
		c->up_now->v[c->up_now->n - 1].deliver.key = NULL; /* the entry is on our stack */
	}
}

void client_cut(const struct client *c, uint64_t now, uint64_t token, const uint8_t *p, size_t n)
{
	struct note note = { .kind = NOTE_CUT, .now = now, .token = token, .p = p, .n = (uint32_t)n };

	if (n > 0 && c->env.tracer != NULL) c->env.tracer->note(c->env.tracer, &note);
}

void client_stream_forget(struct client *c, uint64_t now)
{
	uint32_t n;
	const uint8_t *partial = frame_reader_partial(&c->reader, &n);

	client_cut(c, now, c->conn, partial, n);
	c->out.unacked = c->out.left = c->out.progress = 0;
	frame_reader_free(&c->reader);
	if (c->http != NULL) http_reader_free(c->http);
	free(c->http);
	c->http = NULL;
	client_websocket_drop(c);
	free(c->bucket);
	c->bucket = NULL;
	c->skipping = c->pong_due = false;
	c->conn = TOKEN_NONE;
	c->node_deadline = c->return_at = TIME_NEVER;
}

/* ClosePeers that waited for this attempt (CLI-013). */
static void closing_failed(struct client *c)
{
	for (uint32_t i = 0; c->closing != NULL && i < c->closing->n; i++)
		refused(c, &(struct event_command){ .verb = COMMAND_CLOSE_PEER }, REFUSED_NOT_CONNECTED);
	free(c->closing);
	c->closing = NULL;
}

/* CLI-023: what was told to be sent and certainly was not. While the transport refuses bytes, all that are not told are refused. */
static void tell_lost(struct client *c)
{
	if (c->out.left != 0) actions_deliver(c->up_now, DELIVER_LOST, c->conn)->deliver.a = c->out.unacked;
}

/* CLI-023: told once, nothing is sent again. */
void client_end(struct client *c, uint64_t now, enum client_end why, bool stream_gone)
{
	uint64_t token = c->conn, delay;
	struct action *x;

	client_dials_cancel(c);
	if (token != TOKEN_NONE && !stream_gone && !(why == CLIENT_END_LEFT && !c->at_once && client_websocket_goodbye(c, now, WEBSOCKET_NORMAL)))
		actions_close(c->out_now, token, why != CLIENT_END_LEFT || c->at_once);
	if (why != CLIENT_END_LEFT || c->at_once) tell_lost(c);
	client_pings_fail(c, now);
	closing_failed(c);
	client_stream_forget(c, now);
	c->attempt_deadline = TIME_NEVER;
	drop_queued(c, why);
	c->failures++;
	delay = why == CLIENT_END_LEFT ? TIME_NEVER : why == CLIENT_END_RETURN || why == CLIENT_END_REGION ? 0 : retry_delay(c);
	if (!c->wanted) delay = TIME_NEVER;
	c->retry_at = delay == TIME_NEVER ? TIME_NEVER : now + delay;
	client_move(c, now, why == CLIENT_END_LEFT ? CLIENT_GONE : delay == TIME_NEVER ? CLIENT_IDLE : CLIENT_WAITING);
	x = actions_deliver(c->up_now, DELIVER_DISCONNECTED, token);
	x->deliver.a = why;
	x->deliver.b = delay;
}

/* ---- sending ---- */

void client_send(struct client *c, const void *head, uint32_t head_n, const struct span *span)
{
	if (c->ws != NULL && c->ws->open) {
		client_websocket_send(c, head, head_n, span);
		return;
	}
	memcpy(actions_send(c->out_now, c->conn, head_n), head, head_n);
	if (span != NULL && span->owner != NULL)
		actions_span_packet(c->out_now, packet_hold(span->owner), span->p, span->n);
	else if (span != NULL && span->n != 0)
		actions_span(c->out_now, span->p, span->n);
	outbox_sent(&c->out, head_n + (span != NULL ? span->n : 0));
}

static bool can_send(const struct client *c) { return c->state == CLIENT_SENT || c->state == CLIENT_READY; }

/* A packet's frame; forwards are told by their source. CLI-002: head and packet are one action, or lie in messages that follow each
 * other; FRM-021: they leave with this turn. */
static void write_packet(struct client *c, const uint8_t *src, const uint8_t *dst, const struct span *span)
{
	uint8_t head[FRAME_HEADER + 2 * FRAME_KEY];
	uint32_t head_n = src != NULL ? frame_forward_head(head, src, dst, span->n) : frame_send_head(head, dst, span->n);

	client_send(c, head, head_n, span);
	c->out_now->work[WORK_FRAMES_OUT]++;
	c->out_now->work[WORK_BYTES_OUT] += span->n;
}

/* CLI-004, CLI-005, TRP-035: false means that the packet must not go. */
static bool bucket_take(struct client_bucket *b, uint64_t now, uint32_t n)
{
	unsigned __int128 gained = (unsigned __int128)(now - b->at) * b->rate + b->part;
	uint64_t cost = FRAME_HEADER + FRAME_KEY + n;
	bool full = gained / NS_S >= b->burst - b->tokens;

	b->tokens = full ? b->burst : b->tokens + (uint64_t)(gained / NS_S);
	b->part = full ? 0 : (uint64_t)(gained % NS_S);
	b->at = now;
	if (b->tokens < cost) return false;
	b->tokens -= cost;
	return true;
}

static void queue_packet(struct client *c, uint64_t now, const struct event_command *m)
{
	struct packet *packet = m->owner != NULL ? packet_hold(m->owner) : packet_copy(m->p, m->n);
	struct outbox_entry e = { .packet = packet, .p = m->owner != NULL ? m->p : packet->bytes, .n = m->n, .queued_at = now }, oldest;

	memcpy(e.dst, m->dst, KEY_SIZE);
	if (m->verb == COMMAND_FORWARD) memcpy(e.src, m->src, KEY_SIZE);
	if (!outbox_push(&c->out, &c->limits, OUTBOX_OTHER, &e, &oldest)) return; /* CLI-031 */
	dropped(c, &oldest, DROP_QUEUE_HEAD);
	c->up_now->v[c->up_now->n - 1].deliver.key = NULL;
}

/* CLI-013: what needs a connection makes one, unless the owner says when. */
static void dial_on_demand(struct client *c, uint64_t now)
{
	if (c->state == CLIENT_IDLE && !c->connect) client_attempt(c, now);
}

/* CLI-001: too long a packet is refused here and nothing is written. */
static void send_packet(struct client *c, uint64_t now, const struct event_command *m)
{
	bool forward = m->verb == COMMAND_FORWARD;

	if (m->n > FRAME_PACKET_MAX) {
		give_up(c, m, DROP_WRITE_ERROR);
		return;
	}
	if (!can_send(c) || c->out.queue[OUTBOX_OTHER] != NULL || !outbox_open(&c->out, &c->limits)) {
		queue_packet(c, now, m);
		dial_on_demand(c, now);
		return;
	}
	if (c->bucket != NULL && !forward && !bucket_take(c->bucket, now, m->n)) { /* MSH-024 */
		give_up(c, m, DROP_QUEUE_TAIL);
		return;
	}
	write_packet(c, forward ? m->src : NULL, m->dst, &(struct span){ .owner = m->owner, .p = m->p, .n = m->n });
}

static void send_close_peer(struct client *c, const uint8_t *key)
{
	uint8_t frame[FRAME_HEADER + FRAME_KEY];

	client_send(c, frame, frame_close_peer(frame, key), NULL);
}

/* A relay that pings and does not read has one Pong due, as it has of us (SRV-026): the original's reader sleeps instead. */
void client_send_pong(struct client *c)
{
	uint8_t frame[FRAME_HEADER + FRAME_PING_SIZE];

	if (!c->pong_due || !can_send(c) || !outbox_open(&c->out, &c->limits)) return;
	c->pong_due = false;
	client_send(c, frame, frame_pong(frame, c->pong), NULL);
	c->out_now->work[WORK_FRAMES_OUT]++;
}

void client_pump(struct client *c, uint64_t now)
{
	struct outbox_entry e;

	client_websocket_pong(c);
	client_send_pong(c);
	if (c->closing != NULL && can_send(c)) {
		for (uint32_t i = 0; i < c->closing->n; i++) send_close_peer(c, c->closing->key[i]);
		free(c->closing);
		c->closing = NULL;
	}
	while (can_send(c) && outbox_open(&c->out, &c->limits) && outbox_take(&c->out, OUTBOX_OTHER, &e)) {
		if (c->bucket != NULL && key_is_zero(e.src) && !bucket_take(c->bucket, now, e.n)) {
			dropped(c, &e, DROP_QUEUE_TAIL);
			c->up_now->v[c->up_now->n - 1].deliver.key = NULL;
			continue;
		}
		write_packet(c, key_is_zero(e.src) ? NULL : e.src, e.dst, &(struct span){ .owner = e.packet, .p = e.p, .n = e.n });
		packet_drop(e.packet);
	}
}

/* ---- commands ---- */

static void change_region(struct client *c, uint64_t now, const struct event_command *m)
{
	struct client_config config = defaults;
	char error[200];
	struct client_region *region;

	config.region = (struct config_text){ .p = (const char *)m->p, .n = m->n };
	config.plain = c->plain;
	region = client_region_parse(&config, error);
	assert(region != NULL); /* the owner has checked it */
	/* CLI-038; an attempt under way points into the old region and starts anew. */
	if (c->state != CLIENT_IDLE && c->state != CLIENT_WAITING && (m->flag || !can_send(c))) client_end(c, now, CLIENT_END_REGION, false);
	free(c->region);
	c->region = region; /* CLI-017 */
	if (c->node >= region->nodes) c->node = 0;
}

/* CLI-027: fire and forget, but by way of a connection (CLI-013). */
static void close_peer(struct client *c, uint64_t now, const struct event_command *m)
{
	if (can_send(c)) {
		send_close_peer(c, m->dst);
		return;
	}
	if (c->closing == NULL) c->closing = mem_zero(1, sizeof *c->closing);
	if (c->closing->n == CLIENT_CLOSING_MAX) {
		refused(c, m, REFUSED_LIMIT);
		return;
	}
	memcpy(c->closing->key[c->closing->n++], m->dst, KEY_SIZE);
	dial_on_demand(c, now);
}

/* CLI-011, CLI-013: a Ping never connects. */
static void ping(struct client *c, uint64_t now, const struct event_command *m)
{
	uint8_t frame[FRAME_HEADER + FRAME_PING_SIZE];

	if (m->p == NULL)
		client_ping(c, now, m->patience_ns);
	else if (can_send(c))
		client_send(c, frame, frame_ping(frame, m->p), NULL);
}

static void set_home(struct client *c, bool home)
{
	if (c->home == home) return; /* CLI-025 */
	c->home = home;
	if (can_send(c)) client_note_preferred(c);
}

static void command(struct client *c, const struct event *e)
{
	const struct event_command *m = e->command;

	if (c->state == CLIENT_GONE) { /* CLI-026 */
		if (m->verb != COMMAND_LEAVE) refused(c, m, REFUSED_LEFT);
		return;
	}
	switch (m->verb) {
	case COMMAND_SEND:
	case COMMAND_FORWARD: send_packet(c, e->now, m); break;
	case COMMAND_PING: ping(c, e->now, m); break;
	case COMMAND_HOME: set_home(c, m->flag); break;
	case COMMAND_WATCH:
		c->watch = !c->websocket; /* HTTP-034 */
		if (c->watch && can_send(c)) client_watch_conns(c);
		break;
	case COMMAND_CLOSE_PEER: close_peer(c, e->now, m); break;
	case COMMAND_PREFER_V6: c->prefer_v6 = m->flag; break;
	case COMMAND_REGION: change_region(c, e->now, m); break;
	case COMMAND_CONNECT:
		c->wanted = true;
		if (c->state == CLIENT_IDLE || c->state == CLIENT_WAITING) client_attempt(c, e->now);
		break;
	case COMMAND_LEAVE:
		c->wanted = false;
		c->at_once = m->flag;
		client_end(c, e->now, CLIENT_END_LEFT, false);
		break;
	default: assert(false && "a verb of a client");
	}
}

/* ---- events ---- */

static void start(struct client *c, const struct event *e)
{
	const struct event_start *s = e->start;
	struct client_config config;
	char error[200];

	c->region = config_read(s->config, s->config_n, &config, error);
	assert(c->region != NULL);
	assert(s->slot_count >= CLIENT_SLOTS);
	assert(config.high_water >= s->low_water + 2 * s->turn_max);
	c->slot_first = s->slot_first;
	c->generation_next = s->generation_first;
	rng_init(&c->rng, s->seed);
	c->key = config.key;
	key_cache_public(c->env.keys, &c->key, &c->public_key);
	c->fast = (uint8_t)config.fast, c->retry = (uint8_t)config.retry, c->raw = config.raw, c->connect = config.connect;
	c->websocket = config.websocket;
	c->home = config.home, c->watch = config.watch, c->prober = config.prober, c->can_ack_pings = config.can_ack_pings;
	c->derper = config.profile == 1;
	c->prefer_v6 = config.prefer_v6, c->insecure = config.insecure, c->plain = config.plain;
	c->wall_ns = s->wall_ns;
	c->wanted = config.connect;
	c->limits = (struct outbox_limits){ config.queue_depth, config.high_water, config.forward_timeout };
	c->times = (struct client_times){ config.receive_timeout, config.dial_timeout, config.connect_timeout,
		                          config.retry_after,     config.retry_max,    config.return_after };
	if (!key_is_zero(config.mesh_key.b) || !key_is_zero(config.server_key.b) || config.app_name.n != 0) {
		c->extra = mem_zero(1, sizeof *c->extra);
		c->extra->mesh_key = config.mesh_key;
		c->extra->server_key = config.server_key;
		if (config.app_name.n != 0) memcpy(c->extra->app_name, config.app_name.p, config.app_name.n);
	}
	if (config.proxy.n != 0) {
		bool good;
		c->proxy = mem_zero(1, sizeof *c->proxy);
		good = client_proxy_parse(config.proxy, c->proxy, error);
		assert(good);
		(void)good;
	}
	key_wipe(&config, sizeof config);
	if (c->connect) client_attempt(c, e->now);
}

static void closed(struct client *c, const struct event *e)
{
	static const enum client_end why[CLOSE_CAUSES] = {
		[CLOSE_EOF] = CLIENT_END_CLOSED,      [CLOSE_RESET] = CLIENT_END_RESET,         [CLOSE_TIMEOUT] = CLIENT_END_SILENCE,
		[CLOSE_REFUSED] = CLIENT_END_REFUSED, [CLOSE_UNREACHABLE] = CLIENT_END_REFUSED, [CLOSE_LIMIT] = CLIENT_END_REFUSED,
		[CLOSE_TLS] = CLIENT_END_TLS,         [CLOSE_LOCAL] = CLIENT_END_CLOSED,
	};

	token_over(c, e->token);
	if (client_websocket_over(c, e->token)) return;
	if (e->token == c->conn && c->state == CLIENT_PROXY)
		client_proxy_closed(c, e->now);
	else if (e->token == c->conn)
		client_end(c, e->now, why[e->closed.cause], true); /* CLI-016: TLS and later failures end the attempt */
	else
		client_dial_closed(c, e);
}

static void timer(struct client *c, uint64_t now)
{
	c->out_now->work[WORK_TIMERS]++;
	client_websocket_timer(c, now);
	if (now >= c->retry_at)
		client_attempt(c, now);
	else if (now >= c->attempt_deadline)
		client_end(c, now, CLIENT_END_TIMEOUT, false); /* CLI-014 */
	else if (now >= c->node_deadline && c->state == CLIENT_DIALING)
		client_node_failed(c, now); /* CLI-015 */
	else if (now >= c->v4_at)
		client_start_v4(c, now); /* CLI-020 */
	else if (can_send(c) && now - c->heard >= c->times.receive)
		client_end(c, now, CLIENT_END_SILENCE, false); /* CLI-008, TRP-033 */
	else if (can_send(c) && now >= outbox_deadline(&c->out, &c->limits))
		client_end(c, now, CLIENT_END_WRITE, false); /* CLI-003 */
	else if (now >= c->return_at)
		client_end(c, now, CLIENT_END_RETURN, false);
	else
		client_pings_expire(c, now); /* CLI-011 */
}

static void step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct client *c = (struct client *)m;

	c->out_now = out, c->up_now = up;
	switch (e->kind) {
	case EVENT_START: start(c, e); break;
	case EVENT_DIALED: client_dialed(c, e); break;
	case EVENT_SECURED: client_secured(c, e); break;
	case EVENT_BYTES: client_bytes(c, e); break;
	case EVENT_DRAINED:
		if (e->token != c->conn) break;
		outbox_drained(&c->out, e->now, &e->drained);
		client_pump(c, e->now);
		break;
	case EVENT_CLOSED: closed(c, e); break;
	case EVENT_ANSWER:
		token_over(c, e->token);
		client_answer(c, e);
		break;
	case EVENT_TIMER: timer(c, e->now); break;
	case EVENT_COMMAND: command(c, e); break;
	default: break;
	}
	c->out_now = c->up_now = NULL;
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t deadline(const struct machine *m)
{
	const struct client *c = (const struct client *)m;
	uint64_t at = sooner(sooner(c->retry_at, c->attempt_deadline), sooner(sooner(c->node_deadline, c->v4_at), c->return_at));

	if (c->ws_closing != NULL) at = sooner(at, c->ws_closing->deadline);
	if (!can_send(c)) return at;
	at = sooner(at, client_pings_deadline(c));
	at = sooner(at, outbox_deadline(&c->out, &c->limits));
	return sooner(at, c->heard + c->times.receive);
}

static void release(struct machine *m)
{
	struct client *c = (struct client *)m;

	outbox_free(&c->out);
	frame_reader_free(&c->reader);
	if (c->http != NULL) http_reader_free(c->http);
	free(c->http);
	client_websocket_release(c);
	free(c->bucket);
	free(c->proxy);
	free(c->pings);
	free(c->closing);
	free(c->extra);
	free(c->region);
	key_wipe(c, sizeof *c);
	free(c);
}

static const struct machine_ops ops = { .name = "client", .step = step, .deadline = deadline, .free = release };

struct client *client_new(const struct machine_env *env)
{
	struct client *c = mem_zero(1, sizeof *c);

	c->machine.ops = &ops;
	c->env = *env;
	c->state = CLIENT_IDLE;
	c->attempt_deadline = c->node_deadline = c->retry_at = c->return_at = c->v4_at = TIME_NEVER;
	return c;
}

/* ---- views ---- */

enum client_state client_state(const struct client *c) { return (enum client_state)c->state; }
uint64_t client_token(const struct client *c) { return c->conn; }
uint32_t client_node(const struct client *c) { return c->node; }
uint32_t client_nodes(const struct client *c) { return c->region->nodes; }
uint64_t client_generation(const struct client *c) { return c->generation; }
const uint8_t *client_public_key(const struct client *c) { return c->public_key.b; }
const uint8_t *client_server_key(const struct client *c) { return c->server_known ? c->server_key.b : NULL; }
bool client_is_over(const struct client *c) { return c->state == CLIENT_GONE && c->slots_busy == 0; }
uint64_t client_packets_queued(const struct client *c) { return outbox_queued(&c->out, OUTBOX_OTHER); }

void client_holds(const struct client *c, const struct machine_holds *visit)
{
	uint32_t n;
	const uint8_t *p = frame_reader_partial(&c->reader, &n);

	outbox_each(&c->out, visit->queued, visit->ctx);
	if (n > 0) visit->partial(visit->ctx, c->conn, p, n);
}

uint64_t client_memory(const struct client *c)
{
	return sizeof *c + sizeof *c->region + c->region->nodes * sizeof *c->region->node + c->region->texts_n + outbox_memory(&c->out) +
	       frame_reader_memory(&c->reader) + (c->extra ? sizeof *c->extra : 0) + (c->bucket ? sizeof *c->bucket : 0) +
	       (c->http ? sizeof *c->http + c->http->held_cap : 0) + (c->proxy ? sizeof *c->proxy : 0) + (c->pings ? sizeof *c->pings : 0) +
	       (c->closing ? sizeof *c->closing : 0) + client_websocket_memory(c);
}
