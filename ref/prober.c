/* The prober's clients, and which check comes next. */
#include "prober_core.h"

#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATION_BITS = 8, STEPS = 3 /* of a node: login, STUN over IPv4, over IPv6 */, CLIENT_TEXT = 16384 };

const char *prober_check_name(enum prober_check check)
{
	static const char *const name[PROBER_CHECKS] = { "login", "certificate", "stun", "pair", "bandwidth", "delay" };

	assert(check < PROBER_CHECKS);
	return name[check];
}

/* ---- configuration ---- */

#define FIELD(name) offsetof(struct prober_config, name)
static const struct config_key keys[] = {
	{ "region", CONFIG_U64, FIELD(region), 0, INT64_C(9007199254740991), NULL },
	{ "mesh-key", CONFIG_KEY, FIELD(mesh_key), 0, 0, NULL },
	{ "plain", CONFIG_BOOL, FIELD(plain), 0, 0, NULL },
	{ "insecure", CONFIG_BOOL, FIELD(insecure), 0, 0, NULL },
	{ "proxy", CONFIG_TEXT, FIELD(proxy), 0, 0, NULL },
	{ "timeout", CONFIG_TIME, FIELD(timeout), NS_MS, 3600 * NS_S, NULL },
	{ "bandwidth", CONFIG_U64, FIELD(bandwidth), 0, 1 << 30, NULL },
	{ "rate", CONFIG_U64, FIELD(rate), 0, 10000, NULL },
	{ "rate-time", CONFIG_TIME, FIELD(rate_time), NS_MS, 60 * NS_S, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};
static const struct prober_config defaults = { .timeout = 10 * NS_S, .rate_time = 5 * NS_S };

/* A client of any node would take these. */
static bool proxy_good(const struct prober_config *c, char error[200])
{
	static const char region[] = "{\"RegionID\":1,\"Nodes\":[{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"a\"}]}";
	char text[600];
	int n = snprintf(text, sizeof text, "key=%064d\nregion=%s\nproxy=%.*s\n", 1, region, (int)(c->proxy.n < 300 ? c->proxy.n : 300), c->proxy.p);

	return c->proxy.n == 0 || client_config_check(text, (size_t)n, error);
}

bool prober_config_check(const char *text, size_t n, char error[200])
{
	struct prober_config c = defaults;

	error[0] = 0;
	return config_parse(text, n, keys, &c, error) && proxy_good(&c, error);
}

const struct derp_region *prober_region(const struct prober *p) { return &p->map->region[p->region]; }
const struct prober_result *prober_result(const struct prober *p, uint32_t i) { return i < p->results ? &p->result[i] : NULL; }

/* ---- results ---- */

void prober_tell(struct prober *p, enum prober_verdict verdict, const char *why)
{
	p->now.verdict = verdict;
	snprintf(p->now.why, sizeof p->now.why, "%s", why);
	MEM_ROOM(p->result, p->results, p->results_cap);
	p->result[p->results] = p->now;
	actions_deliver(p->up, DELIVER_REPORT, TOKEN_NONE)->deliver.a = p->results++;
	p->failed += verdict == PROBER_FAILED;
}

void prober_over(struct prober *p, uint64_t now, enum prober_verdict verdict, const char *why)
{
	const struct event_command leave = { .verb = COMMAND_LEAVE, .flag = true };

	if (p->state == PROBER_LEAVING) return;
	p->state = PROBER_LEAVING;
	prober_tell(p, verdict, why);
	for (uint32_t i = 0; i < 2; i++)
		if (p->side[i].client != NULL) prober_command(p, now, i, &leave);
}

/* ---- clients ---- */

static void disconnected(struct prober *p, uint64_t now, const struct prober_side *s, enum client_end why)
{
	char text[PROBER_WHY];

	snprintf(text, sizeof text, "%s %.60s: %s", s->ready ? "the connection ended at" : "no login at", prober_region(p)->node[s->node].name,
	         client_end_name(why));
	prober_over(p, now, PROBER_FAILED, text);
}

/* PRB-002 */
static void judge_certificate(struct prober *p, uint64_t now, const struct prober_side *s)
{
	const struct derp_node *node = &prober_region(p)->node[s->node];
	struct address literal;
	bool by_address = s->server_name[0] == 0 && address_ip_parse(node->host_name, strlen(node->host_name), &literal);
	char why[PROBER_WHY] = "";

	p->now.check = PROBER_CERTIFICATE;
	p->now.expires_s = s->expires_s;
	if (s->chain_n == 0)
		snprintf(why, sizeof why, "%s", s->secured ? "no certificate" : "no TLS");
	else if (!by_address && strcmp(s->server_name, node->host_name) != 0)
		snprintf(why, sizeof why, "asked for '%.40s', expected '%.40s'", s->server_name, node->host_name);
	prober_over(p, now, why[0] == 0 ? PROBER_GOOD : PROBER_FAILED, why);
}

static void on_ready(struct prober *p, uint64_t now, struct prober_side *s)
{
	s->ready = true;
	if (p->now.check != PROBER_LOGIN) {
		if (p->side[0].ready && p->side[1].ready) prober_pair_ready(p, now);
		return;
	}
	p->now.ns = now - p->began;
	p->in[s->node] = true;
	if (p->config.plain) {
		prober_over(p, now, PROBER_GOOD, "");
		return;
	}
	prober_tell(p, PROBER_GOOD, "");
	judge_certificate(p, now, s);
}

/* PRB-001: whatever else comes before ServerInfo is a fault; after it, what is no packet means nothing. */
static void on_deliver(struct prober *p, uint64_t now, uint32_t side, const struct action *x)
{
	struct prober_side *s = &p->side[side];
	char why[PROBER_WHY];

	if (p->state == PROBER_LEAVING) return;
	switch (x->deliver.what) {
	case DELIVER_CONNECTED:
	case DELIVER_LOST: break;
	case DELIVER_READY: on_ready(p, now, s); break;
	case DELIVER_DISCONNECTED: disconnected(p, now, s, (enum client_end)x->deliver.a); break;
	default:
		if (!s->ready) {
			snprintf(why, sizeof why, "%s came before ServerInfo", deliver_kind_name(x->deliver.what));
			prober_over(p, now, PROBER_FAILED, why);
		} else if (x->deliver.what == DELIVER_PACKET) {
			prober_pair_packet(p, now, side, x);
		} else if (x->deliver.what == DELIVER_PINGED) {
			prober_pair_confirmed(p, now, x->deliver.a == 1);
		}
	}
}

/* What the clients have told; what they are told meanwhile may make them tell more. */
static void hear(struct prober *p, uint64_t now)
{
	bool again = true;

	if (p->hearing) return;
	p->hearing = true;
	while (again) {
		again = false;
		for (uint32_t i = 0; i < 2; i++) {
			struct prober_side *s = &p->side[i];
			for (; s->heard < s->up.n; again = true) {
				struct action x = s->up.v[s->heard++]; /* the list may grow */
				on_deliver(p, now, i, &x);
			}
		}
	}
	for (uint32_t i = 0; i < 2; i++) {
		actions_reset(&p->side[i].up);
		p->side[i].heard = 0;
	}
	p->hearing = false;
}

static void look_at_secured(struct prober_side *s, const struct event_secured *secured)
{
	s->secured = true;
	s->chain_n = secured->chain_n;
	s->expires_s = secured->chain_n != 0 ? secured->chain[0].not_after_s : 0;
}

static void step_side(struct prober *p, uint32_t side, const struct event *e)
{
	struct prober_side *s = &p->side[side];
	uint32_t before = p->out->n;

	if (e->kind == EVENT_SECURED) look_at_secured(s, e->secured);
	machine_step(client_machine(s->client), e, p->out, &s->up);
	for (uint32_t i = before; i < p->out->n; i++)
		if (p->out->v[i].kind == ACTION_START_TLS && p->out->v[i].tls.server_name != NULL)
			snprintf(s->server_name, sizeof s->server_name, "%s", p->out->v[i].tls.server_name);
	hear(p, e->now);
}

void prober_command(struct prober *p, uint64_t now, uint32_t side, const struct event_command *command)
{
	step_side(p, side, &(struct event){ .kind = EVENT_COMMAND, .now = now, .command = command });
}

/* The configuration of a client of one node; 0: it does not fit, or the node is none. */
static size_t client_text(const struct prober *p, uint32_t node, const struct key *key, char *text, char error[200])
{
	static const char *const flag[] = { "off", "on" };
	struct derp_region alone = *prober_region(p);
	char hex[KEY_HEX], mesh_hex[KEY_HEX], json[CLIENT_TEXT / 2];
	int n;

	alone.node += node;
	alone.nodes = 1;
	if (derp_region_json(&alone, NULL, json, sizeof json) == 0) return 0;
	key_hex(key->b, hex);
	key_hex(p->config.mesh_key.b, mesh_hex);
	n = snprintf(text, CLIENT_TEXT, "key=%.*s\nregion=%s\nprober=on\nretry=manual\nconnect-timeout=1h\nplain=%s\ninsecure=%s\n", KEY_HEX, hex,
	             json, flag[p->config.plain], flag[p->config.insecure]);
	if (!key_is_zero(p->config.mesh_key.b)) n += snprintf(text + n, CLIENT_TEXT - (size_t)n, "mesh-key=%.*s\n", KEY_HEX, mesh_hex);
	if (p->proxy[0] != 0) n += snprintf(text + n, CLIENT_TEXT - (size_t)n, "proxy=%s\n", p->proxy);
	key_wipe(hex, sizeof hex);
	key_wipe(mesh_hex, sizeof mesh_hex);
	return client_config_check(text, (size_t)n, error) ? (size_t)n : 0;
}

static void open_side(struct prober *p, uint64_t now, uint32_t side, uint32_t node)
{
	struct prober_side *s = &p->side[side];
	struct event_start start = { .wall_ns = p->wall_ns,
		                     .generation_first = s->uses << GENERATION_BITS,
		                     .slot_first = p->slot_first + side * CLIENT_SLOTS,
		                     .slot_count = CLIENT_SLOTS,
		                     .turn_max = p->turn_max,
		                     .low_water = p->low_water };
	char text[CLIENT_TEXT], error[200] = "the node does not fit";
	struct key key;

	if (p->state == PROBER_LEAVING) return;
	rng_bytes(&p->rng, RNG_KEY, key.b, sizeof key.b);
	rng_bytes(&p->rng, RNG_KEY, start.seed, sizeof start.seed);
	key_clamp(&key);
	key_public(&key, &s->public_key);
	start.config = text, start.config_n = client_text(p, node, &key, text, error);
	s->node = node, s->uses++;
	s->ready = s->secured = false;
	s->server_name[0] = 0, s->chain_n = 0, s->expires_s = 0;
	if (start.config_n == 0) {
		prober_over(p, now, PROBER_FAILED, error);
	} else {
		s->client = client_new(&p->env);
		step_side(p, side, &(struct event){ .kind = EVENT_START, .now = now, .start = &start });
	}
	key_wipe(text, sizeof text);
	key_wipe(&key, sizeof key);
}

/* ---- which check comes next ---- */

static void begin(struct prober *p, uint64_t now, enum prober_check check, uint32_t from, uint32_t to)
{
	p->now = (struct prober_result){ .check = check, .region = prober_region(p), .from = from, .to = to };
	p->began = now;
	p->deadline = now + p->config.timeout;
	p->due = TIME_NEVER;
}

static void begin_login(struct prober *p, uint64_t now, uint32_t node)
{
	begin(p, now, PROBER_LOGIN, node, node);
	p->state = PROBER_IN;
	open_side(p, now, 0, node);
}

static void begin_pair(struct prober *p, uint64_t now, uint32_t from, uint32_t to)
{
	begin(p, now, PROBER_PAIR, from, to);
	p->state = PROBER_IN;
	if (!p->in[from] || !p->in[to]) {
		prober_over(p, now, PROBER_SKIPPED, "no login");
		return;
	}
	open_side(p, now, 0, from);
	open_side(p, now, 1, to);
}

/* One step of a node, or one pair. */
static void begin_next(struct prober *p, uint64_t now)
{
	const struct derp_region *r = prober_region(p);
	uint32_t node = p->at / STEPS, step = p->at % STEPS, pair = p->at - r->nodes * STEPS;

	if (p->at++ >= r->nodes * STEPS) {
		uint32_t from = pair / r->nodes, to = pair % r->nodes;
		if (!r->node[from].stun_only && !r->node[to].stun_only) begin_pair(p, now, from, to);
	} else if (step != 0) {
		begin(p, now, PROBER_STUN, node, node);
		p->now.v6 = step == 2;
		prober_stun_start(p, now);
	} else if (!r->node[node].stun_only) {
		begin_login(p, now, node);
	}
}

static void enter_region(struct prober *p)
{
	free(p->in);
	p->in = mem_zero((uint64_t)prober_region(p)->nodes + 1, sizeof *p->in);
	p->at = 0;
}

static bool region_over(const struct prober *p)
{
	const struct derp_region *r = prober_region(p);

	return (p->config.region != 0 && (uint64_t)r->id != p->config.region) || p->at >= r->nodes * STEPS + (uint64_t)r->nodes * r->nodes;
}

static void next(struct prober *p, uint64_t now)
{
	while (p->state == PROBER_IDLE) {
		if (p->region == p->map->regions) {
			p->state = PROBER_DONE;
			actions_deliver(p->up, DELIVER_STOPPED, TOKEN_NONE)->deliver.a = p->failed;
		} else if (!region_over(p)) {
			begin_next(p, now);
		} else if (++p->region < p->map->regions) {
			enter_region(p);
		}
	}
}

/* Clients that have left and whose tokens are over are freed; then the next check may begin. */
static void settle(struct prober *p, uint64_t now)
{
	while (p->state == PROBER_LEAVING) {
		for (uint32_t i = 0; i < 2; i++) {
			if (p->side[i].client == NULL) continue;
			if (!client_is_over(p->side[i].client)) return;
			machine_free(client_machine(p->side[i].client));
			p->side[i].client = NULL;
		}
		p->state = PROBER_IDLE;
		next(p, now);
	}
}

/* ---- the machine ---- */

static void start(struct prober *p, const struct event *e)
{
	const struct event_start *s = e->start;
	char error[200];
	bool good;

	p->config = defaults;
	good = config_parse(s->config, s->config_n, keys, &p->config, error);
	assert(good && s->slot_count >= PROBER_SLOTS && p->map->regions != 0);
	(void)good;
	rng_init(&p->rng, s->seed);
	p->proxy = mem_zero(p->config.proxy.n + 1, 1);
	if (p->config.proxy.n != 0) memcpy(p->proxy, p->config.proxy.p, p->config.proxy.n);
	p->slot_first = s->slot_first, p->turn_max = s->turn_max, p->low_water = s->low_water, p->wall_ns = s->wall_ns;
	for (uint32_t i = s->sockets_n; i-- > 0;) /* so that the first of a family stays */
		if (s->sockets[i].datagram) p->socket[!address_is_v4(&s->sockets[i].local)] = s->sockets[i].token;
	enter_region(p);
	next(p, e->now);
}

static void late(struct prober *p, uint64_t now)
{
	const struct prober_side *s = &p->side[p->side[0].ready ? 1 : 0];
	char why[PROBER_WHY];

	if (p->state != PROBER_IN) {
		prober_pair_timer(p, now);
		return;
	}
	snprintf(why, sizeof why, "no login at %.60s within the time", prober_region(p)->node[s->node].name);
	prober_over(p, now, PROBER_FAILED, why);
}

static void timer(struct prober *p, const struct event *e)
{
	for (uint32_t i = 0; i < 2; i++)
		if (p->side[i].client != NULL && machine_deadline(client_machine(p->side[i].client)) <= e->now) step_side(p, i, e);
	if (p->state == PROBER_LEAVING || p->state == PROBER_DONE || (e->now < p->deadline && e->now < p->due)) return;
	if (p->state == PROBER_ASKED)
		prober_stun_timer(p, e->now);
	else
		late(p, e->now);
}

static void step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct prober *p = (struct prober *)m;
	uint32_t side = (token_slot(e->token) - p->slot_first) / CLIENT_SLOTS;

	p->out = out, p->up = up;
	switch (e->kind) {
	case EVENT_START: start(p, e); break;
	case EVENT_TIMER: timer(p, e); break;
	case EVENT_DATAGRAM: prober_stun_answer(p, e); break;
	case EVENT_COMMAND: assert(false && "a prober knows no command"); break;
	default: assert(token_slot(e->token) >= p->slot_first && side < 2 && p->side[side].client != NULL); step_side(p, side, e);
	}
	settle(p, e->now);
	p->out = p->up = NULL;
}

static uint64_t deadline(const struct machine *m)
{
	const struct prober *p = (const struct prober *)m;
	bool idle = p->state == PROBER_LEAVING || p->state == PROBER_DONE;
	uint64_t at = idle ? TIME_NEVER : p->deadline < p->due ? p->deadline : p->due;

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t its = p->side[i].client == NULL ? TIME_NEVER : machine_deadline(client_machine(p->side[i].client));
		if (its < at) at = its;
	}
	return at;
}

static void prober_free(struct machine *m)
{
	struct prober *p = (struct prober *)m;

	for (uint32_t i = 0; i < 2; i++) {
		if (p->side[i].client != NULL) machine_free(client_machine(p->side[i].client));
		actions_free(&p->side[i].up);
	}
	free(p->in);
	free(p->proxy);
	free(p->sent_at);
	free(p->result);
	key_wipe(&p->config, sizeof p->config);
	free(p);
}

struct prober *prober_new(const struct machine_env *env, const struct derp_map *map)
{
	static const struct machine_ops ops = { "prober", step, deadline, prober_free };
	struct prober *p = mem_zero(1, sizeof *p);

	p->machine.ops = &ops;
	p->env = *env;
	p->map = map;
	p->due = p->deadline = TIME_NEVER;
	for (uint32_t i = 0; i < 2; i++) actions_init(&p->side[i].up);
	return p;
}
