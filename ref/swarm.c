/* A parent of many clients: opens them, hands them their events, hears what they tell. */
#include "swarm_core.h"

#include "buf.h"
#include "config.h"
#include "frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATION_BITS = 24 }; /* connections that a client may have before its successor's tokens could be its own */

struct swarm_config {
	struct config_text url, url2, map, app_name;
	struct key mesh_key, server_key;
	bool raw, plain, websocket, insecure;
	uint32_t clients, logins, job, size, batch, window, fast, high_water;
	uint64_t rate, patience;
};

static const char *const job_names[] = { "pairs", "fan-in", "idle", "logins", "mates", NULL };
static const char *const fast_names[] = { "auto", "always", "never", NULL };

#define FIELD(member) offsetof(struct swarm_config, member)
static const struct config_key config_table[] = {
	{ "url", CONFIG_TEXT, FIELD(url), 0, 0, NULL },
	{ "url2", CONFIG_TEXT, FIELD(url2), 0, 0, NULL },
	{ "map", CONFIG_TEXT, FIELD(map), 0, 0, NULL },
	{ "clients", CONFIG_U32, FIELD(clients), 1, SWARM_CLIENTS_MAX, NULL },
	{ "logins", CONFIG_U32, FIELD(logins), 1, SWARM_CLIENTS_MAX, NULL },
	{ "job", CONFIG_ENUM, FIELD(job), 0, 0, job_names },
	{ "size", CONFIG_U32, FIELD(size), SWARM_SIZE_MIN, FRAME_PACKET_MAX, NULL },
	{ "batch", CONFIG_U32, FIELD(batch), 1, SWARM_WINDOW_MAX, NULL },
	{ "window", CONFIG_U32, FIELD(window), 1, SWARM_WINDOW_MAX, NULL },
	{ "rate", CONFIG_U64, FIELD(rate), 0, 1000000000, NULL },
	{ "patience", CONFIG_TIME, FIELD(patience), NS_MS, 3600 * NS_S, NULL },
	{ "mesh-key", CONFIG_KEY, FIELD(mesh_key), 0, 0, NULL },
	{ "server-key", CONFIG_KEY, FIELD(server_key), 0, 0, NULL },
	{ "raw", CONFIG_BOOL, FIELD(raw), 0, 0, NULL },
	{ "plain", CONFIG_BOOL, FIELD(plain), 0, 0, NULL },
	{ "websocket", CONFIG_BOOL, FIELD(websocket), 0, 0, NULL },
	{ "insecure", CONFIG_BOOL, FIELD(insecure), 0, 0, NULL },
	{ "fast-start", CONFIG_ENUM, FIELD(fast), 0, 0, fast_names },
	{ "high-water", CONFIG_U32, FIELD(high_water), 0, 0, NULL },
	{ "app-name", CONFIG_TEXT, FIELD(app_name), 0, 0, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

static size_t add_key(char *out, size_t room, const char *name, const struct key *key)
{
	char hex[KEY_HEX];

	if (key_is_zero(key->b)) return 0;
	key_hex(key->b, hex);
	return (size_t)snprintf(out, room, "%s=%.*s\n", name, KEY_HEX, hex);
}

/* What all clients are given beside key and URL. */
static char *client_text(const struct swarm_config *c)
{
	size_t cap = c->app_name.n + 600, n;
	char *text = mem_alloc(cap);

	n = (size_t)snprintf(text, cap, "raw=%s\nplain=%s\nwebsocket=%s\ninsecure=%s\nfast-start=%s\n", c->raw ? "on" : "off",
	                     c->plain ? "on" : "off", c->websocket ? "on" : "off", c->insecure ? "on" : "off", fast_names[c->fast]);
	if (c->high_water != 0) n += (size_t)snprintf(text + n, cap - n, "high-water=%u\n", c->high_water);
	if (c->app_name.n != 0) n += (size_t)snprintf(text + n, cap - n, "app-name=%.*s\n", (int)c->app_name.n, c->app_name.p);
	n += add_key(text + n, cap - n, "mesh-key", &c->mesh_key);
	n += add_key(text + n, cap - n, "server-key", &c->server_key);
	assert(n < cap);
	return text;
}

/* where: `url=..` or `region=..`. */
static char *member_text(const char *where, const struct key *key, const char *shared)
{
	size_t cap = strlen(where) + strlen(shared) + 200;
	char *text = mem_alloc(cap), hex[KEY_HEX];

	key_hex(key->b, hex);
	snprintf(text, cap, "key=%.*s\n%s\n%s", KEY_HEX, hex, where, shared);
	return text;
}

static char *text_join(const char *name, const char *p, size_t n)
{
	size_t name_n = strlen(name);
	char *text = mem_zero(name_n + n + 1, 1);

	memcpy(text, name, name_n);
	if (n != 0) memcpy(text + name_n, p, n);
	return text;
}

static bool where_good(const struct swarm_config *c, const char *where, char error[200])
{
	static const struct key any = { { 1 } };
	char *shared = client_text(c), *text = member_text(where, &any, shared);
	bool good = client_config_check(text, strlen(text), error);

	free(text);
	free(shared);
	return good;
}

static bool url_good(const struct swarm_config *c, struct config_text url, char error[200])
{
	char *where = text_join("url=", url.p, url.n);
	bool good = where_good(c, where, error);

	free(where);
	return good;
}

static bool complain(char error[200], const char *text)
{
	snprintf(error, 200, "%s", text);
	return false;
}

/* `region=` with the nodes in the order that begins with node `first`; to be freed. */
static char *region_text_from(const struct derp_region *region, uint32_t first)
{
	uint32_t *order = mem_alloc((uint64_t)region->nodes * sizeof *order);
	size_t cap = 1024, n;
	char *text = mem_alloc(cap);

	for (uint32_t i = 0; i < region->nodes; i++) order[i] = (first + i) % region->nodes;
	n = (size_t)snprintf(text, cap, "region=");
	while (derp_region_json(region, order, text + n, cap - n) == 0) text = mem_grow(text, cap *= 2);
	free(order);
	return text;
}

static bool map_good(const struct swarm_config *c, char error[200])
{
	char why[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(c->map.p, c->map.n, why);
	bool good = map != NULL && map->regions != 0;

	if (map == NULL)
		snprintf(error, 200, "map=: %.180s", why);
	else if (!good)
		complain(error, "map=: expected a region, there is none");
	for (uint32_t i = 0; good && i < map->regions; i++) {
		char *where = region_text_from(&map->region[i], 0);
		good = map->region[i].nodes != 0 ? where_good(c, where, error) : complain(error, "map=: expected nodes in each region");
		free(where);
	}
	derp_map_free(map);
	return good;
}

static bool parse(const char *text, size_t n, struct swarm_config *c, char error[200])
{
	*c = (struct swarm_config){ .clients = 2, .logins = 16, .size = 200, .batch = 1, .window = 32, .patience = NS_S };
	if (!config_parse(text, n, config_table, c, error)) return false;
	if ((c->url.n == 0) == (c->map.n == 0)) return complain(error, "expected either url= or map=");
	if ((c->job == SWARM_PAIRS || c->job == SWARM_MATES) && c->clients % 2 != 0)
		return complain(error, "clients= must be even for job=pairs and job=mates");
	if (c->job == SWARM_MATES && c->rate == 0) return complain(error, "rate= is missing: job=mates has an open loop");
	if (c->job == SWARM_FAN_IN && c->clients < 2) return complain(error, "clients= must be at least 2 for job=fan-in");
	if (c->batch > c->window) return complain(error, "batch= must not exceed window=");
	if (c->map.n != 0) return map_good(c, error);
	return url_good(c, c->url, error) && (c->url2.n == 0 || url_good(c, c->url2, error));
}

bool swarm_config_check(const char *text, size_t n, char error[200])
{
	struct swarm_config c;

	return parse(text, n, &c, error);
}

/* ---- clients ---- */

static void timer_follow(struct swarm *s, uint32_t member)
{
	struct swarm_member *m = &s->member[member];
	uint64_t at = machine_deadline(client_machine(m->client));

	/* A deadline that moves away is found out when the timer strikes: no packet costs a move in the heap. */
	if (timer_is_set(&m->timer) && timer_at(&s->timers, &m->timer) <= at) return;
	if (at != TIME_NEVER) timer_set(&s->timers, &m->timer, at);
}

/* Where a client is to go; to be freed. */
static char *member_where(struct swarm *s, uint32_t member)
{
	bool receives = s->job == SWARM_PAIRS ? member % 2 == 1 : s->job == SWARM_FAN_IN && member == 0;
	const struct derp_region *region;

	if (s->map == NULL) return text_join("url=", s->url[receives], strlen(s->url[receives]));
	region = &s->map->region[rng_range(&s->rng, RNG_JITTER, 0, s->map->regions - 1)];
	return region_text_from(region, member / 2 % region->nodes);
}

static void member_open(struct swarm *s, uint64_t now, uint32_t member)
{
	struct swarm_member *m = &s->member[member];
	struct event_start start = { .wall_ns = s->wall_ns,
		                     .generation_first = m->uses << GENERATION_BITS,
		                     .slot_first = s->slot_first + member * CLIENT_SLOTS,
		                     .slot_count = CLIENT_SLOTS,
		                     .turn_max = s->turn_max,
		                     .low_water = s->low_water };
	char *where = member_where(s, member), *text;
	struct key key;

	rng_bytes(&s->rng, RNG_KEY, key.b, sizeof key.b);
	rng_bytes(&s->rng, RNG_KEY, start.seed, sizeof start.seed);
	key_clamp(&key);
	key_public(&key, &m->public_key);
	text = member_text(where, &key, s->client_text);
	free(where);
	start.config = text, start.config_n = strlen(text);
	m->client = client_new(&s->env);
	m->uses++;
	m->pending = true, m->ready = m->leaving = false;
	s->pending++;
	swarm_step_member(s, member, &(struct event){ .kind = EVENT_START, .now = now, .start = &start });
	key_wipe(text, start.config_n);
	key_wipe(&key, sizeof key);
	free(text);
}

static void open_some(struct swarm *s, uint64_t now)
{
	while (!s->left && s->opened < s->clients && s->pending < s->logins) member_open(s, now, s->opened++);
}

static void member_leave(struct swarm *s, uint64_t now, uint32_t member)
{
	struct event_command command = { .verb = COMMAND_LEAVE };

	if (s->member[member].leaving) return;
	s->member[member].leaving = true;
	swarm_step_member(s, member, &(struct event){ .kind = EVENT_COMMAND, .now = now, .command = &command });
}

static void settled(struct swarm *s, uint64_t now, uint32_t member)
{
	if (!s->member[member].pending) return;
	s->member[member].pending = false;
	s->pending--;
	open_some(s, now);
}

static void on_ready(struct swarm *s, uint64_t now, uint32_t member)
{
	s->member[member].ready = true;
	s->count.ready++;
	s->count.logins++;
	failover_back(s, now, member);
	settled(s, now, member);
	if (s->job == SWARM_LOGINS)
		member_leave(s, now, member);
	else
		flows_member_ready(s, now, member);
}

static void on_disconnected(struct swarm *s, uint64_t now, uint32_t member, enum client_end why)
{
	struct swarm_member *m = &s->member[member];

	if (why != CLIENT_END_LEFT) {
		s->count.ended += m->ready;
		s->count.failed += !m->ready;
		if (m->ready) failover_lost(s, member);
	}
	s->count.ready -= m->ready;
	m->ready = false;
	settled(s, now, member);
}

static void hear(struct swarm *s, uint64_t now, uint32_t member, const struct action *x)
{
	switch (x->deliver.what) {
	case DELIVER_READY: on_ready(s, now, member); break;
	case DELIVER_DISCONNECTED: on_disconnected(s, now, member, (enum client_end)x->deliver.a); break;
	case DELIVER_PACKET: flows_packet(s, now, member, x); break;
	default: break;
	}
}

/* What clients tell is heard by the outermost step, in order: hearing may step other clients. */
void swarm_step_member(struct swarm *s, uint32_t member, const struct event *e)
{
	uint32_t first = s->up.n;
	bool outermost = s->heard == UINT32_MAX;

	machine_step(client_machine(s->member[member].client), e, s->out, &s->up);
	for (uint32_t i = first; i < s->up.n; i++) s->up.v[i].deliver.region = member;
	timer_follow(s, member);
	if (!outermost) return;
	for (s->heard = 0; s->heard < s->up.n; s->heard++) {
		struct action x = s->up.v[s->heard]; /* the list may grow meanwhile */
		hear(s, e->now, x.deliver.region, &x);
	}
	actions_reset(&s->up);
	s->heard = UINT32_MAX;
}

/* job=logins: the place of one that has left is taken again. */
static void succeed(struct swarm *s, uint64_t now, uint32_t member)
{
	struct swarm_member *m = &s->member[member];

	if (s->job != SWARM_LOGINS || s->left || !m->leaving || !client_is_over(m->client)) return;
	timer_cancel(&s->timers, &m->timer);
	machine_free(client_machine(m->client));
	member_open(s, now, member);
}

/* ---- the machine ---- */

static char *copy(struct config_text t) { return text_join("", t.p, t.n); }

static void start(struct swarm *s, const struct event *e)
{
	const struct event_start *start = e->start;
	struct swarm_config c;
	char error[200];
	bool good = parse(start->config, start->config_n, &c, error);

	assert(good); /* swarm_config_check said so */
	(void)good;
	assert(start->slot_count >= swarm_slots(c.clients));
	s->clients = c.clients, s->logins = c.logins, s->job = (enum swarm_job)c.job;
	s->size = c.size, s->batch = c.batch, s->window = c.window, s->rate = c.rate, s->patience = c.patience;
	s->url[0] = copy(c.url);
	s->url[1] = copy(c.url2.n == 0 ? c.url : c.url2);
	if (c.map.n != 0) s->map = derp_map_parse(c.map.p, c.map.n, (char[DERPMAP_ERROR_SIZE]){ 0 });
	s->client_text = client_text(&c);
	s->slot_first = start->slot_first, s->turn_max = start->turn_max, s->low_water = start->low_water, s->wall_ns = start->wall_ns;
	s->member = mem_zero(s->clients, sizeof *s->member);
	for (uint32_t i = 0; i < s->clients; i++) s->member[i].timer.owner = i;
	rng_init(&s->rng, start->seed);
	flows_make(s);
	open_some(s, e->now);
}

static void timer(struct swarm *s, uint64_t now)
{
	struct timer *due;

	while ((due = timers_pop(&s->timers, now)) != NULL) {
		uint32_t member = due->owner;
		if (machine_deadline(client_machine(s->member[member].client)) <= now)
			swarm_step_member(s, member, &(struct event){ .kind = EVENT_TIMER, .now = now });
		else
			timer_follow(s, member);
	}
	flows_timer(s, now);
}

static bool says(const struct event_command *m, const char *text) { return m->n == strlen(text) && memcmp(m->p, text, m->n) == 0; }

static void command(struct swarm *s, const struct event *e)
{
	const struct event_command *m = e->command;

	if (m->verb == COMMAND_LEAVE) {
		s->left = true;
		flows_run(s, e->now, false);
		for (uint32_t i = 0; i < s->opened; i++) member_leave(s, e->now, i);
		return;
	}
	assert(m->verb == COMMAND_SET);
	if (says(m, "running=on")) flows_run(s, e->now, true);
	if (says(m, "running=off")) flows_run(s, e->now, false);
	if (says(m, "fault=now")) failover_fault(s, e->now);
}

static void step(struct machine *machine, const struct event *e, struct actions *out, struct actions *up)
{
	struct swarm *s = (struct swarm *)machine;
	uint32_t member;

	(void)up;
	s->out = out;
	switch (e->kind) {
	case EVENT_START: start(s, e); break;
	case EVENT_TIMER: timer(s, e->now); break;
	case EVENT_COMMAND: command(s, e); break;
	default:
		member = (token_slot(e->token) - s->slot_first) / CLIENT_SLOTS;
		assert(token_slot(e->token) >= s->slot_first && member < s->opened);
		swarm_step_member(s, member, e);
		succeed(s, e->now, member);
	}
	s->out = NULL;
}

static uint64_t deadline(const struct machine *machine)
{
	const struct swarm *s = (const struct swarm *)machine;
	uint64_t a = timers_deadline(&s->timers), b = flows_deadline(s);

	return a < b ? a : b;
}

static void swarm_free(struct machine *machine)
{
	struct swarm *s = (struct swarm *)machine;

	for (uint32_t i = 0; i < s->opened; i++) machine_free(client_machine(s->member[i].client));
	timers_free(&s->timers);
	actions_free(&s->up);
	packet_drop(s->packet);
	if (s->client_text != NULL) key_wipe(s->client_text, strlen(s->client_text));
	free(s->client_text);
	free(s->url[0]);
	free(s->url[1]);
	derp_map_free(s->map);
	free(s->mates);
	free(s->member);
	free(s->flow);
	free(s->waiting);
	free(s);
}

struct swarm *swarm_new(const struct machine_env *env)
{
	static const struct machine_ops ops = { "swarm", step, deadline, swarm_free };
	struct swarm *s = mem_zero(1, sizeof *s);

	s->machine.ops = &ops;
	s->env = *env;
	s->heard = UINT32_MAX;
	s->patience_at = s->fault_at = TIME_NEVER;
	timers_init(&s->timers);
	actions_init(&s->up);
	return s;
}

/* ---- views ---- */

const struct swarm_count *swarm_count(const struct swarm *s) { return &s->count; }
const struct histogram *swarm_latency(const struct swarm *s) { return &s->latency; }
const struct histogram *swarm_late(const struct swarm *s) { return &s->late; }

uint32_t swarm_flows_silent(const struct swarm *s, uint64_t since)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->flows; i++) n += s->flow[i].heard_at < since;
	return n;
}

bool swarm_is_over(const struct swarm *s)
{
	for (uint32_t i = 0; i < s->opened && s->left; i++)
		if (!client_is_over(s->member[i].client)) return false;
	return s->left;
}

void swarm_count_reset(struct swarm *s)
{
	s->count = (struct swarm_count){ .ready = s->count.ready };
	s->latency = s->late = (struct histogram){ 0 };
}
