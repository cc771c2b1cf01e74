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
	{ "app-name", CONFIG_TEXT, FIELD(app_name), 0, 0, NULL },
	{ "raw", CONFIG_BOOL, FIELD(raw), 0, 0, NULL },
	{ "plain", CONFIG_BOOL, FIELD(plain), 0, 0, NULL },
	{ "websocket", CONFIG_BOOL, FIELD(websocket), 0, 0, NULL },
	{ "connect", CONFIG_BOOL, FIELD(connect), 0, 0, NULL },
	{ "home", CONFIG_BOOL, FIELD(home), 0, 0, NULL },
	{ "watch", CONFIG_BOOL, FIELD(watch), 0, 0, NULL },
	{ "prober", CONFIG_BOOL, FIELD(prober), 0, 0, NULL },
	{ "can-ack-pings", CONFIG_BOOL, FIELD(can_ack_pings), 0, 0, NULL },
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
	*config = defaults;
	if (!config_parse(text, n, config_table, config, error)) return NULL;
	if (key_is_zero(config->key.b) && !complain(error, "key= is missing: a client needs a private key")) return NULL;
	if (config->fast == FAST_ALWAYS && key_is_zero(config->server_key.b) && !complain(error, "fast-start=always needs server-key= (HTTP-010)"))
		return NULL;
	if (config->websocket && (config->raw || config->watch || config->fast == FAST_ALWAYS) &&
	    !complain(error, "websocket=on goes with none of raw=on, watch=on, fast-start=always (HTTP-034)"))
		return NULL;
	if (config->app_name.n > 63 && !complain(error, "app-name= of at most 63 bytes")) return NULL;
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

/* ---- states ---- */

const char *client_state_name(enum client_state state)
{
	static const char *const name[CLIENT_STATES] = { "idle", "dialing", "tls", "http", "login", "sent", "ready", "waiting", "gone" };

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
	[CLIENT_DIALING] =
		1 << CLIENT_TLS | 1 << CLIENT_HTTP | 1 << CLIENT_LOGIN | 1 << CLIENT_SENT | 1 << CLIENT_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_GONE,
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

/* CLI-032 and its alternatives. */
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

/* What a mesh link held is of no use behind the break (MSH-014); a client's packets wait for the next connection. */
static void drop_forwards(struct client *c)
{
	struct outbox_entry e;

	if (!c->watch) return;
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

static void forget_stream(struct client *c, uint64_t now)
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
	c->conn = TOKEN_NONE;
	c->attempt_deadline = c->node_deadline = c->return_at = TIME_NEVER;
}

void client_end(struct client *c, uint64_t now, enum client_end why, bool stream_gone)
{
	uint64_t token = c->conn, delay;
	struct action *x;

	client_dials_cancel(c);
	if (token != TOKEN_NONE && !stream_gone && !(why == CLIENT_END_LEFT && client_websocket_goodbye(c, now, WEBSOCKET_NORMAL)))
		actions_close(c->out_now, token, why != CLIENT_END_LEFT);
	forget_stream(c, now);
	drop_forwards(c);
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

/* A packet's frame; forwards are told by their source. */
static void write_packet(struct client *c, const uint8_t *src, const uint8_t *dst, const struct span *span)
{
	uint8_t head[FRAME_HEADER + 2 * FRAME_KEY];
	uint32_t head_n = src != NULL ? frame_forward_head(head, src, dst, span->n) : frame_send_head(head, dst, span->n);

	client_send(c, head, head_n, span);
	c->out_now->work[WORK_FRAMES_OUT]++;
	c->out_now->work[WORK_BYTES_OUT] += span->n;
}

/* CLI-004, CLI-005: false means that the packet must not go. */
static bool bucket_take(struct client_bucket *b, uint64_t now, uint32_t n)
{
	uint64_t cost = FRAME_HEADER + FRAME_KEY + n, second = (now - b->at) / NS_S, rest = (now - b->at) % NS_S;
	uint64_t add = second > b->burst
	                       ? b->burst
	                       : second * (b->rate < b->burst ? b->rate : b->burst) + (b->rate < 1000000000 ? rest * b->rate / NS_S : b->burst);

	if (add > 0) b->tokens = add >= b->burst - b->tokens ? b->burst : b->tokens + add, b->at = now;
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

/* CLI-001: too long a packet is refused here and nothing is written. */
static void send_packet(struct client *c, uint64_t now, const struct event_command *m)
{
	bool forward = m->verb == COMMAND_FORWARD;

	assert(m->n <= FRAME_PACKET_MAX);
	if (!can_send(c) || c->out.queue[OUTBOX_OTHER] != NULL || !outbox_open(&c->out, &c->limits)) {
		queue_packet(c, now, m);
		if (c->state == CLIENT_IDLE && !c->connect && !forward) client_attempt(c, now); /* CLI-013 */
		return;
	}
	if (c->bucket != NULL && !forward && !bucket_take(c->bucket, now, m->n)) { /* MSH-024 */
		struct action *x = actions_deliver(c->up_now, DELIVER_DROPPED, c->conn);
		x->span = (struct span){ .p = m->p, .n = m->n };
		x->deliver.a = DROP_QUEUE_TAIL;
		return;
	}
	write_packet(c, forward ? m->src : NULL, m->dst, &(struct span){ .owner = m->owner, .p = m->p, .n = m->n });
}

void client_pump(struct client *c, uint64_t now)
{
	struct outbox_entry e;

	client_websocket_pong(c);
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
	config.plain = !c->region->tls;
	region = client_region_parse(&config, error);
	assert(region != NULL); /* the owner has checked it */
	/* CLI-038; an attempt under way points into the old region and starts anew. */
	if (c->state != CLIENT_IDLE && c->state != CLIENT_WAITING && (m->flag || !can_send(c))) client_end(c, now, CLIENT_END_REGION, false);
	free(c->region);
	c->region = region; /* CLI-017 */
	if (c->node >= region->nodes) c->node = 0;
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
	uint8_t frame[FRAME_HEADER + FRAME_KEY];

	if (c->state == CLIENT_GONE) return; /* CLI-026 */
	switch (m->verb) {
	case COMMAND_SEND:
	case COMMAND_FORWARD: send_packet(c, e->now, m); break;
	case COMMAND_PING:
		if (can_send(c)) client_send(c, frame, frame_ping(frame, m->p), NULL); /* CLI-011, CLI-013: never connects */
		break;
	case COMMAND_HOME: set_home(c, m->flag); break;
	case COMMAND_WATCH:
		c->watch = !c->websocket; /* HTTP-034 */
		if (c->watch && can_send(c)) client_watch_conns(c);
		break;
	case COMMAND_CLOSE_PEER:
		if (can_send(c)) client_send(c, frame, frame_close_peer(frame, m->dst), NULL); /* CLI-027 */
		break;
	case COMMAND_REGION: change_region(c, e->now, m); break;
	case COMMAND_CONNECT:
		c->wanted = true;
		if (c->state == CLIENT_IDLE || c->state == CLIENT_WAITING) client_attempt(c, e->now);
		break;
	case COMMAND_LEAVE:
		c->wanted = false;
		client_end(c, e->now, CLIENT_END_LEFT, false);
		break;
	case COMMAND_VERBS: assert(false && "a verb");
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
	rng_init(&c->rng, s->seed);
	c->key = config.key;
	key_cache_public(c->env.keys, &c->key, &c->public_key);
	c->fast = (uint8_t)config.fast, c->retry = (uint8_t)config.retry, c->raw = config.raw, c->connect = config.connect;
	c->websocket = config.websocket;
	c->home = config.home, c->watch = config.watch, c->prober = config.prober, c->can_ack_pings = config.can_ack_pings;
	c->derper = config.profile == 1;
	c->wanted = config.connect;
	c->limits = (struct outbox_limits){ config.queue_depth, config.high_water, config.forward_timeout };
	c->times = (struct client_times){ config.dial_timeout, config.connect_timeout, config.receive_timeout,
		                          config.retry_after,  config.retry_max,       config.return_after };
	if (!key_is_zero(config.mesh_key.b) || !key_is_zero(config.server_key.b) || config.app_name.n != 0) {
		c->extra = mem_zero(1, sizeof *c->extra);
		c->extra->mesh_key = config.mesh_key;
		c->extra->server_key = config.server_key;
		if (config.app_name.n != 0) memcpy(c->extra->app_name, config.app_name.p, config.app_name.n);
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
	if (e->token == c->conn)
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
	else if (can_send(c) && now - c->heard >= c->times.receive)
		client_end(c, now, CLIENT_END_SILENCE, false); /* CLI-008 */
	else if (can_send(c) && now >= outbox_deadline(&c->out, &c->limits))
		client_end(c, now, CLIENT_END_WRITE, false); /* CLI-003 */
	else if (now >= c->return_at)
		client_end(c, now, CLIENT_END_RETURN, false);
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
	uint64_t at = sooner(sooner(c->retry_at, c->attempt_deadline), sooner(c->node_deadline, c->return_at));

	if (c->ws_closing != NULL) at = sooner(at, c->ws_closing->deadline);
	if (!can_send(c)) return at;
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
	c->attempt_deadline = c->node_deadline = c->retry_at = c->return_at = TIME_NEVER;
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
	       (c->http ? sizeof *c->http + c->http->held_cap : 0) + client_websocket_memory(c);
}
