/* The machine: configuration, dispatch of events, timers, views. */
#include "session.h"

#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const profiles[] = { "ours", "derper", NULL };

#define FIELD(member) offsetof(struct relay_config, member)
static const struct config_key config_table[] = {
	{ "key", CONFIG_KEY, FIELD(key), 0, 0, NULL },
	{ "mesh-key", CONFIG_KEY, FIELD(mesh_key), 0, 0, NULL },
	{ "mesh-with", CONFIG_TEXT, FIELD(mesh_with), 0, 0, NULL },
	{ "mesh-retry", CONFIG_TIME, FIELD(mesh_retry), NS_MS, 3600 * NS_S, NULL },
	{ "profile", CONFIG_ENUM, FIELD(profile), 0, 0, profiles },
	{ "raw", CONFIG_BOOL, FIELD(raw), 0, 0, NULL },
	{ "queue-depth", CONFIG_U32, FIELD(queue_depth), 1, OUTBOX_DEPTH_MAX, NULL },
	{ "high-water", CONFIG_U32, FIELD(high_water), 1, 1 << 30, NULL },
	{ "write-timeout", CONFIG_TIME, FIELD(write_timeout), 0, 3600 * NS_S, NULL },
	{ "mesh-write-timeout", CONFIG_TIME, FIELD(mesh_write_timeout), 0, 3600 * NS_S, NULL },
	{ "http-timeout", CONFIG_TIME, FIELD(http_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "login-timeout", CONFIG_TIME, FIELD(login_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "keepalive", CONFIG_TIME, FIELD(keepalive), NS_MS, 86400 * NS_S, NULL },
	{ "keepalive-jitter", CONFIG_TIME, FIELD(keepalive_jitter), 0, 86400 * NS_S, NULL },
	{ "sessions-max", CONFIG_U32, FIELD(sessions_max), 1, SLOTSET_MAX, NULL },
	{ "keys-max", CONFIG_U32, FIELD(keys_max), 1, SLOTSET_MAX, NULL },
	{ "mesh-keys-max", CONFIG_U32, FIELD(mesh_keys_max), 1, SLOTSET_MAX, NULL },
	{ "departed-max", CONFIG_U32, FIELD(departed_max), 1, SLOTSET_MAX, NULL },
	{ "derp", CONFIG_BOOL, FIELD(derp), 0, 0, NULL },
	{ "home", CONFIG_TEXT, FIELD(home), 0, 0, NULL },
	{ "debug-allow", CONFIG_TEXT, FIELD(debug_allow), 0, 0, NULL },
	{ "debug-key", CONFIG_TEXT, FIELD(debug_key), 0, 0, NULL },
	{ "bootstrap-dns-names", CONFIG_TEXT, FIELD(published), 0, 0, NULL },
	{ "unpublished-bootstrap-dns-names", CONFIG_TEXT, FIELD(unpublished), 0, 0, NULL },
	{ "verify-client-url", CONFIG_TEXT, FIELD(admit_url), 0, 0, NULL },
	{ "verify-client-url-fail-open", CONFIG_BOOL, FIELD(fail_open), 0, 0, NULL },
	{ "verify-client-timeout", CONFIG_TIME, FIELD(admit_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "verify-client-questions", CONFIG_U32, FIELD(questions), 1, RELAY_QUESTIONS_MAX, NULL },
	{ "accept-connection-limit", CONFIG_U64, FIELD(accepts.rate), 0, 0, NULL },
	{ "accept-connection-burst", CONFIG_U64, FIELD(accepts.burst), 1, UINT64_MAX, NULL },
	{ "rate-config", CONFIG_TEXT, FIELD(rates), 0, 0, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

static const struct relay_config defaults = {
	.queue_depth = 32,
	.high_water = 131072,
	.sessions_max = 1000000,
	.keys_max = 8000000,
	.mesh_keys_max = 1000000,
	.departed_max = 1000000,
	.mesh_retry = 5 * NS_S,
	.write_timeout = 2 * NS_S,
	.mesh_write_timeout = 30 * NS_S, /* MSH-006 */
	.http_timeout = 30 * NS_S,
	.login_timeout = 10 * NS_S,
	.keepalive = 60 * NS_S,
	.keepalive_jitter = 5 * NS_S,
	.derp = true,
	.fail_open = true,
	.admit_timeout = 5 * NS_S,
	.questions = RELAY_QUESTIONS_MAX,
};

static bool complain(char error[200], const char *what)
{
	snprintf(error, 200, "%s", what);
	return false;
}

/* Would the link's client start with it? */
static bool link_config_check(const struct relay_config *config, const struct mesh_entry *entry)
{
	char text[400], hex[KEY_HEX], why[200];
	int n;

	key_hex(config->key.b, hex);
	n = snprintf(text, sizeof text, "key=%.*s\nurl=%s\ndial-host=%s\n", KEY_HEX, hex, entry->url, entry->dial_host);
	assert(n > 0 && n < (int)sizeof text);
	return entry->url[0] != 0 && client_config_check(text, (size_t)n, why);
}

static bool text_starts(struct config_text t, const char *start)
{
	size_t n = strlen(start);

	return t.n >= n && memcmp(t.p, start, n) == 0;
}

static bool text_is_url(struct config_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] <= ' ' || (unsigned char)t.p[i] >= 0x7f) return false;
	return t.n <= RELAY_URL_MAX && (text_starts(t, "http://") || text_starts(t, "https://"));
}

/* IP addresses, separated by commas, into the site. */
static bool addresses_read(struct config_text list, struct endpoint_site *site)
{
	const char *p = list.p, *end = p + list.n;

	for (site->allow_n = 0; p < end; site->allow_n++) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma == NULL ? end : comma;
		if (site->allow_n == ENDPOINT_ALLOW_MAX || !address_ip_parse(p, (size_t)(stop - p), &site->allow[site->allow_n])) return false;
		p = comma == NULL ? end : comma + 1;
	}
	return true;
}

/* What a look at each value alone does not tell. */
static bool site_check(const struct relay_config *config, char error[200])
{
	struct endpoint_site site = { .home = "" };
	struct bootstrap names = { 0 };
	struct limit rates;
	bool blank = config->home.n == 5 && text_starts(config->home, "blank");

	if (config->home.n != 0 && !blank && !text_is_url(config->home)) return complain(error, "home= needs nothing, blank, or a http(s) URL");
	if (config->admit_url.n != 0 && !text_is_url(config->admit_url)) return complain(error, "verify-client-url= needs a http(s) URL");
	if (config->debug_key.n >= ENDPOINT_VALUE_MAX) return complain(error, "debug-key= is longer than 255 characters");
	if (config->debug_allow.n != 0 && !addresses_read(config->debug_allow, &site))
		return complain(error, "debug-allow= needs at most 16 IP addresses, separated by commas");
	if (config->raw && !config->derp) return complain(error, "raw=on with derp=off serves nothing");
	if (config->rates.p != NULL && !limit_parse(config->rates.p, config->rates.n, &rates, error)) return false;
	if (!bootstrap_init(&names, config->published.p, config->published.n, config->unpublished.p, config->unpublished.n, error)) return false;
	bootstrap_free(&names);
	return true;
}

static bool config_read(const char *text, size_t n, struct relay_config *config, char error[200])
{
	struct config_text list;
	struct mesh_entry entry;
	uint32_t links = 0;

	*config = defaults;
	if (!config_parse(text, n, config_table, config, error)) return false;
	if (key_is_zero(config->key.b)) return complain(error, "key= is missing: a relay needs a private key");
	for (list = config->mesh_with; mesh_list_next(&list, &entry); links++)
		if (links == RELAY_LINKS_MAX || !link_config_check(config, &entry))
			return complain(
				error,
				"mesh-with= needs at most 64 entries HOST[:PORT] or HOST[:PORT]/DIALHOST of at most 100 characters"); /* MSH-002 */
	if (links != 0 && key_is_zero(config->mesh_key.b)) return complain(error, "mesh-with= without mesh-key=");                    /* MSH-002 */
	if (config->accepts.burst == 0) config->accepts.burst = config->accepts.rate;
	return site_check(config, error);
}

bool relay_config_check(const char *text, size_t n, char error[200])
{
	struct relay_config config;

	return config_read(text, n, &config, error);
}

bool relay_rates_check(const char *json, size_t n, char error[200])
{
	struct limit limit;

	return limit_parse(json, n, &limit, error);
}

void relay_note(const struct relay *r, const struct note *note)
{
	if (r->env.tracer != NULL) r->env.tracer->note(r->env.tracer, note);
}

static char *text_copy(struct config_text t)
{
	char *p = t.n == 0 ? NULL : mem_zero(t.n + 1, 1);

	if (p != NULL) memcpy(p, t.p, t.n);
	return p;
}

/* Everything of the configuration that the endpoints and questions need, out of START's bytes. */
static void site_start(struct relay *r, const struct event *e)
{
	struct relay_config *c = &r->config;
	char error[200];
	bool good = bootstrap_init(&r->bootstrap, c->published.p, c->published.n, c->unpublished.p, c->unpublished.n, error);

	assert(good);
	(void)good;
	r->home = text_copy(c->home);
	r->debug_key = text_copy(c->debug_key);
	r->admit_url = text_copy(c->admit_url);
	r->site = (struct endpoint_site){
		.home = r->home == NULL ? "" : r->home, .debug_key = r->debug_key, .derp = c->derp, .original = relay_is_derper(r)
	};
	if (c->debug_allow.n != 0) addresses_read(c->debug_allow, &r->site);
	if (c->rates.p != NULL) rates_set(r, e->now, c->rates.p, c->rates.n);
	c->mesh_with = c->home = c->debug_allow = c->debug_key = c->published = c->unpublished = c->admit_url = c->rates = (struct config_text){ 0 };
	asks_start(r, e->start);
}

static void start(struct relay *r, const struct event *e, struct actions *out)
{
	const struct event_start *s = e->start;
	char error[200], hex[KEY_HEX];
	uint8_t secret[16];
	bool good = config_read(s->config, s->config_n, &r->config, error);

	assert(good);
	(void)good;
	assert(r->config.high_water >= s->low_water + 2 * s->turn_max);
	/* SRV-011: the depth is fixed here. */
	r->limits[0] = (struct outbox_limits){ r->config.queue_depth, r->config.high_water, r->config.write_timeout };
	r->limits[1] = (struct outbox_limits){ r->config.queue_depth, r->config.high_water, r->config.mesh_write_timeout };
	r->limits[2] = (struct outbox_limits){ r->config.queue_depth, r->config.high_water, r->config.http_timeout };
	r->wall_ns = s->wall_ns;
	r->turn_max = s->turn_max;
	rng_init(&r->rng, s->seed);
	rng_bytes(&r->rng, RNG_HASH, secret, sizeof secret);
	keymap_init(&r->keys, secret, peer_key_at, r);
	key_cache_public(r->env.keys, &r->config.key, &r->public_key);
	key_hex(r->public_key.b, hex);
	snprintf(r->meta_name, sizeof r->meta_name, "derpkey%.*s", KEY_HEX, hex); /* KEY-003 */
	r->sockets = mem_alloc((uint64_t)s->sockets_n * sizeof *r->sockets);
	if (s->sockets_n != 0) memcpy(r->sockets, s->sockets, s->sockets_n * sizeof *r->sockets);
	r->sockets_n = s->sockets_n;
	r->slot_first = s->slot_first;
	links_start(r, e, out);
	site_start(r, e);
}

/* Closes everything, a step's worth at a time; SRV-036. */
static void leave_on(struct relay *r, uint64_t now, struct actions *out, struct actions *up)
{
	for (; r->leave_cursor < r->chunks << CHUNK_BITS && actions_room(out); r->leave_cursor++) {
		struct session *s = r->chunk[r->leave_cursor >> CHUNK_BITS] == NULL ? NULL : session_at(r, r->leave_cursor);
		if (s != NULL && s->token != TOKEN_NONE) session_close(r, s, now, "relay closes", true, out);
	}
	if (r->leave_cursor < r->chunks << CHUNK_BITS || r->stopped) return;
	r->stopped = true;
	actions_deliver(up, DELIVER_STOPPED, TOKEN_NONE);
}

static void command(struct relay *r, const struct event *e, struct actions *out)
{
	const struct event_command *c = e->command;
	uint32_t index;

	if (c->verb == COMMAND_LEAVE) {
		r->leaving = true;
		links_leave(r, e->now, out);
		return;
	}
	if (c->verb == COMMAND_RATES) {
		rates_set(r, e->now, (const char *)c->p, c->n);
		return;
	}
	if (c->verb == COMMAND_DRAIN) {
		drain_begin(r, e->now, c->patience_ns, out);
		return;
	}
	assert(c->verb == COMMAND_CLOSE_PEER);
	index = keymap_find(&r->keys, c->dst); /* MSH-033, by the operator of the machine itself */
	if (index == KEYMAP_NONE) return;
	for (uint32_t slot = r->peer[index].first; slot != SLOT_NONE; slot = session_at(r, slot)->key_next)
		session_doom(r, session_at(r, slot), "ClosePeer");
}

static void timer(struct relay *r, uint64_t now, struct actions *out)
{
	struct timer *t;

	links_timer(r, now, out);
	if (now >= r->bootstrap_at) asks_timer(r, now, out);
	while (actions_room(out) && (t = timers_pop(&r->timers, now)) != NULL) session_timer(r, session_at(r, t->owner), now, out);
}

static void drained(struct relay *r, struct session *s, const struct event *e, struct actions *out)
{
	if (s->phase == SESSION_CLOSING) return;
	s->drained += e->drained.n;
	outbox_drained(&s->out, e->now, &e->drained);
	session_timer_arm(r, s);
	route_pump(r, s, e->now, out);
}

static void ready_on(struct relay *r, uint64_t now, struct actions *out)
{
	while (r->ready_first != SLOT_NONE && actions_room(out)) {
		struct session *s = session_at(r, r->ready_first);
		r->ready_first = s->ready_next;
		s->ready_listed = false;
		if (s->token != TOKEN_NONE) route_pump(r, s, now, out);
	}
}

static void stream_event(struct relay *r, const struct event *e, struct actions *out)
{
	struct session *s;

	if (token_is_machine(e->token)) {
		if (asks_mine(r, e->token))
			asks_answer(r, e, out);
		else
			links_step(r, e, out);
		return;
	}
	s = session_find(r, e->token);
	if (s == NULL) return; /* late: the token is over */
	switch (e->kind) {
	case EVENT_SECURED: session_secured(r, s, e, out); break;
	case EVENT_BYTES: session_bytes(r, s, e, out); break;
	case EVENT_DRAINED: drained(r, s, e, out); break;
	case EVENT_CLOSED: session_closed(r, s, e->now, e->closed.cause, out); break;
	default: break;
	}
}

static void step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct relay *r = (struct relay *)m;

	switch (e->kind) {
	case EVENT_START: start(r, e, out); break;
	case EVENT_ACCEPTED: session_accepted(r, e, out); break;
	case EVENT_TIMER: timer(r, e->now, out); break;
	case EVENT_COMMAND: command(r, e, out); break;
	case EVENT_DATAGRAM:
		if (!r->leaving) stun_serve(&r->count.stun, e, out); /* STN-001: any UDP socket of START */
		break;
	default: stream_event(r, e, out); break;
	}
	ready_on(r, e->now, out);
	if (r->drain.on && !r->leaving) drain_on(r, e->now, out);
	if (r->leaving) leave_on(r, e->now, out, up);
}

static uint64_t deadline(const struct machine *m)
{
	const struct relay *r = (const struct relay *)m;
	uint64_t at = timers_deadline(&r->timers), links = links_deadline(r), drain = drain_deadline(r);

	if (r->ready_first != SLOT_NONE || (r->leaving && !r->stopped)) return 0; /* more of the last step */
	if (r->bootstrap_at < at) at = r->bootstrap_at;
	if (drain < at) at = drain;
	return links < at ? links : at;
}

static void release(struct machine *m)
{
	struct relay *r = (struct relay *)m;

	for (uint32_t i = 0; i < r->chunks; i++) {
		for (uint32_t k = 0; r->chunk[i] != NULL && k < CHUNK; k++) {
			struct session *s = &r->chunk[i][k];
			outbox_free(&s->out);
			slotset_free(&s->seen);
			slotset_free(&s->gone_due);
			slotset_free(&s->dirty);
			frame_reader_free(&s->reader);
			http_free(r, s);
			session_wait_free(s);
			free(s->rate);
			session_websocket_free(s);
		}
		free(r->chunk[i]);
	}
	for (uint32_t i = 0; i < r->peers; i++) slotset_free(&r->peer[i].recipients);
	for (uint32_t i = 0; i < r->links; i++) machine_free(mesh_machine(r->link[i].mesh));
	slotset_free(&r->watchers);
	slotset_free(&r->askers);
	bootstrap_free(&r->bootstrap);
	timers_free(&r->timers);
	keymap_free(&r->keys);
	actions_free(&r->up);
	free(r->chunk);
	free(r->peer);
	free(r->forwarder);
	free(r->sockets);
	free(r->ask);
	free(r->home);
	free(r->admit_url);
	if (r->debug_key != NULL) key_wipe(r->debug_key, strlen(r->debug_key));
	free(r->debug_key);
	key_wipe(&r->config, sizeof r->config);
	free(r);
}

static const struct machine_ops ops = { .name = "relay", .step = step, .deadline = deadline, .free = release };

struct relay *relay_new(const struct machine_env *env)
{
	struct relay *r = mem_zero(1, sizeof *r);

	r->machine.ops = &ops;
	r->env = *env;
	r->peers_free = r->forwarders_free = r->ready_first = r->ready_last = SLOT_NONE;
	timers_init(&r->timers);
	actions_init(&r->up);
	return r;
}

/* ---- views ---- */

const struct relay_counters *relay_counters(const struct relay *r) { return &r->count; }
const uint8_t *relay_public_key(const struct relay *r) { return r->public_key.b; }
uint32_t relay_regular_clients(const struct relay *r) { return r->regular; }
uint32_t relay_mesh_keys(const struct relay *r) { return r->mesh_keys; }

bool relay_session(const struct relay *r, uint64_t token, struct relay_session_view *out)
{
	const struct session *s = session_find(r, token);

	if (s == NULL) return false;
	*out = (struct relay_session_view){
		.phase = (enum session_phase)s->phase,
		.key = s->phase == SESSION_STEADY ? r->peer[s->peer].key : NULL,
		.mesh_peer = s->mesh_peer,
		.watcher = s->watcher,
		.home = s->home,
		.not_ideal = s->not_ideal,
		.active = s->phase == SESSION_STEADY && r->peer[s->peer].active == s->slot,
		.queued_disco = outbox_queued(&s->out, OUTBOX_DISCO),
		.queued_other = outbox_queued(&s->out, OUTBOX_OTHER),
		.unacked = s->out.unacked,
		.left = s->out.left,
		.held = s->wait == NULL || s->wait->hold == NULL ? 0 : s->wait->hold->n - s->wait->at,
		.waits = s->wait != NULL,
		.websocket = s->messages,
	};
	return true;
}

uint64_t relay_packets_queued(const struct relay *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->chunks; i++)
		for (uint32_t k = 0; r->chunk[i] != NULL && k < CHUNK; k++)
			n += outbox_queued(&r->chunk[i][k].out, OUTBOX_DISCO) + outbox_queued(&r->chunk[i][k].out, OUTBOX_OTHER);
	for (uint32_t i = 0; i < r->links; i++) n += client_packets_queued(mesh_client(r->link[i].mesh));
	return n;
}

void relay_holds(const struct relay *r, const struct machine_holds *visit)
{
	for (uint32_t i = 0; i < r->chunks; i++) {
		for (uint32_t k = 0; r->chunk[i] != NULL && k < CHUNK; k++) {
			const struct session *s = &r->chunk[i][k];
			uint32_t n;
			const uint8_t *p = s->token == TOKEN_NONE ? NULL : frame_reader_partial(&s->reader, &n);
			if (s->wait != NULL && s->wait->hold != NULL)
				visit->partial(visit->ctx, s->token, s->wait->hold->bytes + s->wait->at, s->wait->hold->n - s->wait->at);
			outbox_each(&s->out, visit->queued, visit->ctx);
			if (p != NULL && n > 0) visit->partial(visit->ctx, s->token, p, n);
		}
	}
	for (uint32_t i = 0; i < r->links; i++) client_holds(mesh_client(r->link[i].mesh), visit);
}

uint32_t relay_mesh_links(const struct relay *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->links; i++) n += mesh_state(r->link[i].mesh) != MESH_SELF;
	return n;
}

uint32_t relay_mesh_links_up(const struct relay *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->links; i++) n += mesh_state(r->link[i].mesh) == MESH_UP;
	return n;
}

enum relay_route relay_route(const struct relay *r, const uint8_t key[KEY_SIZE])
{
	uint32_t index = keymap_find(&r->keys, key);

	if (index == KEYMAP_NONE) return ROUTE_NONE;
	if (r->peer[index].active != SLOT_NONE) return ROUTE_LOCAL;
	return r->peer[index].forwarder != SLOT_NONE ? ROUTE_FORWARD : ROUTE_NONE;
}

uint64_t relay_memory(const struct relay *r)
{
	uint64_t bytes = sizeof *r + (uint64_t)r->peers_cap * sizeof *r->peer + (uint64_t)(r->keys.mask + 1) * sizeof *r->keys.v +
	                 (uint64_t)r->forwarders_cap * sizeof *r->forwarder + (uint64_t)r->timers.cap * sizeof *r->timers.v +
	                 (uint64_t)r->asks * sizeof *r->ask + bootstrap_memory(&r->bootstrap);

	for (uint32_t i = 0; i < r->peers; i++) bytes += slotset_memory(&r->peer[i].recipients);
	for (uint32_t i = 0; i < r->chunks; i++) {
		if (r->chunk[i] == NULL) continue;
		bytes += sizeof **r->chunk * CHUNK;
		for (uint32_t k = 0; k < CHUNK; k++) bytes += session_memory(&r->chunk[i][k]);
	}
	for (uint32_t i = 0; i < r->links; i++) bytes += client_memory(mesh_client(r->link[i].mesh));
	return bytes;
}
