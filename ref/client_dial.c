/* Where to connect: the nodes of a region in order, both families of a node at once (CLI-013..CLI-021). */
#include "client_core.h"

#include "buf.h"
#include "derpmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_DERP = 443, PORT_PLAIN = 3340, TEXTS_MAX = 60000 };

static const uint64_t head_start_ns = 200 * NS_MS; /* CLI-020 */

/* ---- the region, from configuration ---- */

struct builder {
	struct client_region *region;
	char *texts;
	uint32_t n, cap;
};

static uint16_t add_text(struct builder *b, const char *text, size_t n)
{
	uint32_t at = b->n;

	assert(b->n + n + 1 < TEXTS_MAX);
	while (b->n + n + 1 > b->cap) {
		b->cap = b->cap ? 2 * b->cap : 128;
		b->texts = mem_grow(b->texts, b->cap);
	}
	if (n != 0) memcpy(b->texts + b->n, text, n);
	b->texts[b->n + n] = 0;
	b->n += (uint32_t)n + 1;
	return (uint16_t)at;
}

static struct client_region *finish(struct builder *b)
{
	size_t nodes = sizeof *b->region + b->region->nodes * sizeof *b->region->node;
	struct client_region *r = mem_grow(b->region, nodes + b->n);

	memcpy((char *)&r->node[r->nodes], b->texts, b->n);
	r->texts_n = b->n;
	free(b->texts);
	return r;
}

static struct client_region *region_alloc(uint32_t nodes)
{
	struct client_region *r = mem_zero(1, sizeof *r + nodes * sizeof *r->node);

	r->nodes = nodes;
	return r;
}

/* MAP-006: a literal replaces DNS, empty means DNS, anything else switches the family off. A host name that is a literal of the
 * other family is skipped (CLI-021). */
static void family(const char *literal, const char *host, bool v6, uint16_t port, struct address *out, bool *has, bool *ask)
{
	const char *text = *literal != 0 ? literal : host;

	*has = address_ip_parse(text, strlen(text), out) && address_is_v4(out) == !v6;
	out->port = port;
	*ask = !*has && *literal == 0 && !address_ip_parse(host, strlen(host), &(struct address){ 0 });
}

static void add_node(struct builder *b, struct client_node *node, const struct derp_node *from)
{
	bool usable = from->derp_port >= 0 && from->derp_port < 65536;                                              /* else no dial of it succeeds */
	uint16_t port = from->derp_port != 0 ? (uint16_t)from->derp_port : b->region->tls ? PORT_DERP : PORT_PLAIN; /* MAP-007, CLI-021 */
	char host[300];

	family(from->ipv4, from->host_name, false, port, &node->v4, &node->has_v4, &node->ask_v4);
	family(from->ipv6, from->host_name, true, port, &node->v6, &node->has_v6, &node->ask_v6);
	node->stun_only = from->stun_only || !usable;
	node->insecure = from->insecure_for_tests;
	node->name_at = add_text(b, from->name, strlen(from->name));
	node->host_at = node->ask_at = add_text(b, from->host_name, strlen(from->host_name));
	node->cert_at = add_text(b, from->cert_name, strlen(from->cert_name));
	if (from->derp_port == 0 || port == PORT_DERP) /* HTTP-016 */
		snprintf(host, sizeof host, "%.255s", from->host_name);
	else
		snprintf(host, sizeof host, "%.255s:%u", from->host_name, port);
	node->http_host_at = add_text(b, host, strlen(host));
}

/* Both names go into the request's head: short enough for it, and nothing that would end a line. */
static bool name_fits(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f) return false;
	return n <= 255;
}

static bool region_fits(const struct derp_region *from, char error[200])
{
	size_t bytes = 64;

	for (uint32_t i = 0; i < from->nodes; i++) {
		if (!name_fits(from->node[i].name) || !name_fits(from->node[i].host_name) || !name_fits(from->node[i].cert_name)) {
			snprintf(error, 200, "region=: node %u: expected Name, HostName and CertName of at most 255 characters without blanks", i);
			return false;
		}
		bytes += strlen(from->node[i].name) + 2 * strlen(from->node[i].host_name) + strlen(from->node[i].cert_name) + 16;
	}
	if (bytes < TEXTS_MAX) return true;
	snprintf(error, 200, "region=: too many or too long nodes");
	return false;
}

static struct client_region *region_from_json(const struct client_config *config, char error[200])
{
	char why[DERPMAP_ERROR_SIZE];
	struct derp_region *from = derp_region_parse(config->region.p, config->region.n, why);
	struct builder b = { 0 };

	if (from == NULL || !region_fits(from, error)) {
		if (from == NULL) snprintf(error, 200, "region=: %.180s", why);
		derp_region_free(from);
		return NULL;
	}
	b.region = region_alloc(from->nodes);
	b.region->tls = !config->plain;
	b.region->path_at = add_text(&b, "/derp", 5);
	for (uint32_t i = 0; i < from->nodes; i++) add_node(&b, &b.region->node[i], &from->node[i]);
	derp_region_free(from);
	return finish(&b);
}

static bool url_port(const char *p, const char *end, struct client_url *u)
{
	uint32_t port = 0;

	if (p == end) return true;
	if (*p++ != ':' || p == end || end - p > 5) return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9') return false;
		port = port * 10 + (uint32_t)(*p - '0');
	}
	if (port == 0 || port > 65535) return false;
	u->port = (uint16_t)port;
	return true;
}

bool client_url_parse(const char *p, size_t n, struct client_url *u)
{
	const char *end = p + n, *slash, *stop;
	struct address ip;

	*u = (struct client_url){ 0 };
	if (n > 8 && memcmp(p, "https://", 8) == 0)
		u->tls = true, u->port = 443, p += 8;
	else if (n > 7 && memcmp(p, "http://", 7) == 0)
		u->port = 80, p += 7;
	else
		return false;
	slash = memchr(p, '/', (size_t)(end - p));
	stop = slash == NULL ? end : slash;
	u->authority = p, u->authority_n = (size_t)(stop - p);
	u->path = slash, u->path_n = slash == NULL ? 0 : (size_t)(end - slash);
	if (u->authority_n > 300 || u->path_n >= 1024) return false; /* the request's head must fit */
	for (const char *c = p; c < end; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f) return false;
	if (*p == '[') {
		const char *bracket = memchr(p, ']', (size_t)(stop - p));
		if (bracket == NULL) return false;
		u->host = p + 1, u->host_n = (size_t)(bracket - p - 1);
		return address_ip_parse(u->host, u->host_n, &ip) && !address_is_v4(&ip) && url_port(bracket + 1, stop, u);
	}
	u->host = p;
	while (p < stop && *p != ':') p++;
	u->host_n = (size_t)(p - u->host);
	return u->host_n > 0 && u->host_n < 256 && memchr(u->host, '@', u->host_n) == NULL && url_port(p, stop, u);
}

/* What to dial instead of the URL's host: a literal, or a name without port. */
static bool dial_host_good(struct config_text t)
{
	struct address ip;

	for (size_t i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] <= ' ' || t.p[i] == 0x7f || t.p[i] == '/') return false;
	return t.n < 256 && (address_ip_parse(t.p, t.n, &ip) || t.n == 0 || memchr(t.p, ':', t.n) == NULL);
}

static struct client_region *region_from_url(const struct client_config *config, char error[200])
{
	struct config_text dial = config->dial_host;
	struct client_node *node;
	struct builder b = { 0 };
	struct address ip = { 0 };
	struct client_url u;

	if (!client_url_parse(config->url.p, config->url.n, &u)) {
		snprintf(error, 200, "url=: expected http://HOST[:PORT]/derp or https://..., found '%.*s'",
		         (int)(config->url.n < 100 ? config->url.n : 100), config->url.p);
		return NULL;
	}
	if (!dial_host_good(dial)) {
		snprintf(error, 200, "dial-host=: expected an address or a name without port, found '%.*s'", (int)(dial.n < 100 ? dial.n : 100),
		         dial.p);
		return NULL;
	}
	if (dial.n == 0) dial = (struct config_text){ .p = u.host, .n = u.host_n };
	b.region = region_alloc(1);
	b.region->tls = u.tls;
	b.region->from_url = true;
	node = &b.region->node[0];
	if (address_ip_parse(dial.p, dial.n, &ip)) {
		ip.port = u.port;
		if (address_is_v4(&ip))
			node->v4 = ip, node->has_v4 = true;
		else
			node->v6 = ip, node->has_v6 = true;
	} else {
		node->ask_v4 = node->ask_v6 = true;
		node->v4.port = node->v6.port = u.port;
	}
	b.region->path_at = u.path_n == 0 ? add_text(&b, "/derp", 5) : add_text(&b, u.path, u.path_n);
	node->name_at = node->cert_at = add_text(&b, "", 0);
	node->host_at = add_text(&b, u.host, u.host_n); /* HTTP-024: without port */
	node->ask_at = add_text(&b, dial.p, dial.n);
	node->http_host_at = add_text(&b, u.authority, u.authority_n);
	return finish(&b);
}

struct client_region *client_region_parse(const struct client_config *config, char error[200])
{
	if ((config->region.n != 0) == (config->url.n != 0)) {
		snprintf(error, 200, "expected either region= or url=");
		return NULL;
	}
	return config->region.n != 0 ? region_from_json(config, error) : region_from_url(config, error);
}

/* ---- attempts ---- */

/* MAP-017: there may be none. */
uint32_t client_first_usable(const struct client *c)
{
	uint32_t i = 0;

	while (!c->websocket && i < c->region->nodes && c->region->node[i].stun_only) i++;
	return i;
}

static void start_one(struct client *c, struct client_dial *d, bool has, bool ask, const struct address *to, bool v6, const char *host)
{
	struct action *x;

	d->token = TOKEN_NONE;
	if (!has && !ask) return;
	d->token = client_token_new(c);
	if (d->token == TOKEN_NONE) return;
	d->asking = !has, d->v6 = v6;
	if (has) {
		actions_dial(c->out_now, d->token, to);
		return;
	}
	x = actions_add(c->out_now, ACTION_ASK, d->token);
	x->ask = v6 ? ASK_NAME6 : ASK_NAME4;
	x->span = (struct span){ .p = (const uint8_t *)host, .n = (uint32_t)strlen(host) };
}

static bool dialing(const struct client *c) { return c->dial[0].token != TOKEN_NONE || c->dial[1].token != TOKEN_NONE || c->v4_at != TIME_NEVER; }

void client_start_v4(struct client *c, uint64_t now)
{
	const struct client_node *node = &c->region->node[c->node];

	c->v4_at = TIME_NEVER;
	start_one(c, &c->dial[0], node->has_v4, node->ask_v4, &node->v4, false, region_text(c->region, node->ask_at));
	if (!dialing(c)) client_node_failed(c, now); /* IPv6 has failed already, and no slot was free */
}

/* CLI-022: the node's own addresses are not used, and only the whole attempt is timed. False: no dial was started. */
static bool start_proxy(struct client *c)
{
	const struct client_proxy *proxy = c->proxy;

	start_one(c, &c->dial[0], proxy->has_v4, proxy->ask, &proxy->v4, false, proxy->host);
	start_one(c, &c->dial[1], proxy->has_v6, proxy->ask, &proxy->v6, true, proxy->host);
	c->node_deadline = TIME_NEVER;
	return dialing(c);
}

/* CLI-019: both families at once; CLI-020: or IPv4 a little later. False: no dial was started. */
static bool start_node(struct client *c, uint64_t now)
{
	const struct client_node *node = &c->region->node[c->node];
	const char *host = region_text(c->region, node->ask_at);

	if (node->stun_only && !c->websocket) return false; /* MAP-005 */
	if (c->proxy != NULL) return start_proxy(c);
	if (c->prefer_v6 && (node->has_v4 || node->ask_v4))
		c->v4_at = now + head_start_ns;
	else
		start_one(c, &c->dial[0], node->has_v4, node->ask_v4, &node->v4, false, host);
	start_one(c, &c->dial[1], node->has_v6, node->ask_v6, &node->v6, true, host);
	c->node_deadline = c->websocket || c->region->from_url ? TIME_NEVER : now + c->times.dial; /* CLI-015 is of region mode only */
	return dialing(c);
}

/* The next usable node from `from` on; none left is the end of the attempt (CLI-015). Over WebSocket there is only the first, whatever
 * the map says of it, and its dial may take as long as the attempt (HTTP-034). */
static void try_from(struct client *c, uint64_t now, uint32_t from)
{
	uint32_t nodes = c->websocket && c->region->nodes > 1 ? 1 : c->region->nodes;

	for (c->node = from; c->node < nodes; c->node++)
		if (start_node(c, now)) return;
	c->node = client_first_usable(c);
	client_end(c, now, CLIENT_END_REFUSED, true);
}

void client_attempt(struct client *c, uint64_t now)
{
	assert(c->conn == TOKEN_NONE && !dialing(c));
	client_move(c, now, CLIENT_DIALING);
	c->attempt_deadline = now + c->times.connect; /* CLI-014 */
	c->retry_at = TIME_NEVER;
	c->server_known = false; /* REG-011: whatever key the node had before */
	try_from(c, now, 0);     /* CLI-018, REG-007; from there in the order of the map: MAP-004, REG-005 */
}

static struct client_dial *dial_of(struct client *c, uint64_t token)
{
	if (token == TOKEN_NONE) return NULL;
	return c->dial[0].token == token ? &c->dial[0] : c->dial[1].token == token ? &c->dial[1] : NULL;
}

void client_dials_cancel(struct client *c)
{
	for (int i = 0; i < 2; i++) {
		if (c->dial[i].token != TOKEN_NONE) actions_close(c->out_now, c->dial[i].token, true);
		c->dial[i].token = TOKEN_NONE;
	}
	c->v4_at = TIME_NEVER;
}

void client_dialed(struct client *c, const struct event *e)
{
	struct client_dial *d = dial_of(c, e->token);

	if (d == NULL) return; /* it was cancelled: CLOSED is on its way */
	d->token = TOKEN_NONE;
	client_dials_cancel(c); /* the first success wins */
	c->node_deadline = TIME_NEVER;
	c->conn = e->token;
	if (c->proxy != NULL)
		client_proxy_dialed(c, e->now);
	else
		client_connected(c, e->now);
}

static void one_failed(struct client *c, struct client_dial *d, uint64_t now)
{
	d->token = TOKEN_NONE;
	if (!dialing(c)) try_from(c, now, c->node + 1);
}

void client_dial_closed(struct client *c, const struct event *e)
{
	struct client_dial *d = dial_of(c, e->token);

	if (d != NULL) one_failed(c, d, e->now);
}

void client_answer(struct client *c, const struct event *e)
{
	const struct event_answer *answer = e->answer;
	struct client_dial *d = dial_of(c, e->token);
	struct address to;

	if (d == NULL) return;
	if (answer->result != ANSWER_OK || answer->n == 0) {
		one_failed(c, d, e->now);
		return;
	}
	memcpy(&to, answer->p, sizeof to);
	to.port = c->proxy != NULL ? c->proxy->v4.port : c->region->node[c->node].v4.port; /* the same for both families */
	d->asking = false;
	d->token = client_token_new(c);
	if (d->token == TOKEN_NONE)
		one_failed(c, d, e->now);
	else
		actions_dial(c->out_now, d->token, &to);
}

void client_node_failed(struct client *c, uint64_t now)
{
	client_dials_cancel(c);
	if (c->conn != TOKEN_NONE) { /* to the proxy */
		actions_close(c->out_now, c->conn, true);
		client_stream_forget(c, now);
		client_move(c, now, CLIENT_DIALING);
	}
	try_from(c, now, c->node + 1);
}
