/* One check, from plan to report. */
#include "netcheck_core.h"

#include "address.h"
#include "buf.h"

#include <stdlib.h>
#include <string.h>

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static struct netcheck_fetcher fetcher(struct netcheck *n, uint64_t now)
{
	return (struct netcheck_fetcher){ .tokens = &n->tokens,
		                          .out = n->out_now,
		                          .now = now,
		                          .dial_timeout = n->config.dial_timeout,
		                          .portal_timeout = n->config.portal_timeout };
}

/* ---- fetches ---- */

static void fetch_add(struct netcheck_check *c, enum netcheck_fetch_kind kind, const struct derp_region *region, const struct address *to)
{
	MEM_ROOM(c->fetch, c->fetches, c->fetches_cap);
	netcheck_fetch_init(&c->fetch[c->fetches++], kind, region, to);
}

/* HOM-007: every region, but for those that are not to be measured. */
static void add_latencies(struct netcheck *n)
{
	uint32_t added = 0;

	for (uint32_t i = 0; i < n->map.map->regions && added < NETCHECK_REGIONS_MAX; i++) {
		const struct derp_region *region = &n->map.map->region[i];
		if (!netcheck_region_fetchable(region)) continue;
		fetch_add(&n->check, NETCHECK_LATENCY, region, NULL);
		added++;
	}
}

/* TRP-031: the regions of the last report, or all; Avoid does not count. */
static void add_browser(struct netcheck *n, const struct netcheck_report *last)
{
	for (int all = last == NULL; all < 2 && n->check.fetches == 0; all++) {
		for (uint32_t i = 0; i < n->map.map->regions && n->check.fetches < NETCHECK_REGIONS_MAX; i++) {
			const struct derp_region *region = &n->map.map->region[i];
			if (region->nodes == 0 || (all ? region->no_measure_no_home : netcheck_report_region(last, region->id) == NULL)) continue;
			fetch_add(&n->check, NETCHECK_BROWSER, region, NULL);
		}
	}
}

static void add_portals(struct netcheck *n)
{
	struct address to[NETCHECK_ENDPOINTS_MAX];
	uint32_t endpoints = netcheck_plan_endpoints(n->map.map, n->home.prev, to);

	n->check.report.captive_portal = NETCHECK_NO; /* until an answer says otherwise */
	for (uint32_t i = 0; i < endpoints; i++) fetch_add(&n->check, NETCHECK_PORTAL, NULL, &to[i]);
}

/* One answer that is not a relay's is enough. */
static void portal_found(struct netcheck *n, const struct netcheck_fetcher *w)
{
	n->check.report.captive_portal = NETCHECK_YES;
	for (uint32_t i = 0; i < n->check.fetches; i++)
		if (n->check.fetch[i].kind == NETCHECK_PORTAL) netcheck_fetch_end(&n->check.fetch[i], w);
}

static void answered(struct netcheck *n, uint64_t now, int64_t region, const struct address *mapped, uint64_t ns);

static void fetch_done(struct netcheck *n, const struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	if (f->kind == NETCHECK_PORTAL) {
		if (f->portal) portal_found(n, w);
		return;
	}
	if (f->kind == NETCHECK_BROWSER) {
		answered(n, w->now, f->region->node[f->node].region_id, NULL, f->ns);
		return;
	}
	netcheck_report_book(&n->check.report, f->region->id, NETCHECK_ANY, f->ns);
	*(f->v6 ? &n->check.report.ipv6 : &n->check.report.ipv4) = true;
}

static bool fetches_over(const struct netcheck_check *c)
{
	for (uint32_t i = 0; i < c->fetches; i++)
		if (!netcheck_fetch_over(&c->fetch[i])) return false;
	return true;
}

static bool latencies_over(const struct netcheck_check *c)
{
	for (uint32_t i = 0; i < c->fetches; i++)
		if (c->fetch[i].kind != NETCHECK_PORTAL && !netcheck_fetch_over(&c->fetch[i])) return false;
	return true;
}

static void fetch_pump(struct netcheck *n, uint64_t now)
{
	struct netcheck_fetcher w = fetcher(n, now);

	for (uint32_t i = 0; i < n->check.fetches; i++) {
		struct netcheck_fetch *f = &n->check.fetch[i];
		netcheck_fetch_timer(f, &w);
		if (f->state == NETCHECK_FETCH_NEW) netcheck_fetch_start(f, &w);
	}
}

/* ---- STUN: sending ---- */

static struct netcheck_name *name_of(struct netcheck *n, const struct derp_node *node, enum netcheck_family family)
{
	struct netcheck_check *c = &n->check;
	struct action *x;
	uint64_t token;

	for (uint32_t i = 0; i < c->names; i++)
		if (c->name[i].node == node && c->name[i].family == family) return &c->name[i];
	token = netcheck_token_new(&n->tokens);
	if (token == TOKEN_NONE) return NULL;
	MEM_ROOM(c->name, c->names, c->names_cap);
	c->name[c->names] = (struct netcheck_name){ .node = node, .family = family, .token = token };
	x = actions_add(n->out_now, ACTION_ASK, token);
	x->ask = family == NETCHECK_V6 ? ASK_NAME6 : ASK_NAME4;
	x->span = (struct span){ .p = (const uint8_t *)node->host_name, .n = (uint32_t)strlen(node->host_name) };
	return &c->name[c->names++];
}

/* False: not known yet. */
static bool resolve(struct netcheck *n, const struct derp_node *node, enum netcheck_family family, struct address *to, enum netcheck_where *where)
{
	const struct netcheck_name *name;
	uint16_t port;

	*where = netcheck_stun_address(node, family, to);
	if (*where != NETCHECK_ASK) return true;
	port = to->port;
	name = name_of(n, node, family);
	if (name == NULL || name->token != TOKEN_NONE) return false;
	*where = name->found ? NETCHECK_KNOWN : NETCHECK_NOWHERE;
	*to = name->address;
	to->port = port;
	return true;
}

static void send_request(struct netcheck *n, uint64_t now, uint32_t set, uint32_t node, const struct address *to)
{
	struct netcheck_check *c = &n->check;
	bool v6 = c->plan.set[set].family == NETCHECK_V6;
	struct netcheck_flight *f;

	MEM_ROOM(c->flight, c->flights, c->flights_cap);
	f = &c->flight[c->flights++];
	*f = (struct netcheck_flight){ .set = set, .node = node, .sent = now };
	rng_bytes(&n->rng, RNG_STUN, f->txid, sizeof f->txid);
	stun_request(actions_datagram(n->out_now, n->socket[v6], to, STUN_REQUEST), f->txid);
	*(v6 ? &c->report.ipv6_can_send : &c->report.ipv4_can_send) = true;
}

/* Sends what is due of a set; HOM-006: a probe that could add nothing new ends it. */
static void set_pump(struct netcheck *n, uint64_t now, uint32_t i)
{
	const struct netcheck_set *set = &n->check.plan.set[i];
	struct netcheck_progress *p = &n->check.progress[i];

	p->waiting = false;
	while (!p->done && p->next < set->probes && n->check.report.started + set->probe[p->next].delay <= now) {
		const struct derp_node *node = &set->region->node[set->probe[p->next].node];
		enum netcheck_where where;
		struct address to;
		if (!netcheck_report_wants(&n->check.report, node->region_id, set->family)) {
			p->done = true;
		} else if (!resolve(n, node, set->family, &to, &where)) {
			p->waiting = true;
			return;
		} else {
			if (where == NETCHECK_KNOWN) send_request(n, now, i, set->probe[p->next].node, &to);
			p->next++;
		}
	}
}

/* ---- STUN: answers ---- */

/* Books an answer (MAP-020: under the region that the node says it belongs to) and sets the end for the others (HOM-006). */
static void answered(struct netcheck *n, uint64_t now, int64_t region, const struct address *mapped, uint64_t ns)
{
	struct netcheck_report *r = &n->check.report;
	enum netcheck_family family = mapped == NULL ? NETCHECK_ANY : address_is_v4(mapped) ? NETCHECK_V4 : NETCHECK_V6;

	r->udp = true;
	if (derp_map_by_id(n->map.map, region) != NULL) netcheck_report_book(r, region, family, ns);
	if (mapped != NULL) netcheck_report_mapped(r, mapped);
	if (n->check.enough_at == TIME_NEVER && r->regions >= n->config.enough)
		n->check.enough_at = now + netcheck_report_slowest(r) * (r->full ? 2 : 1);
}

void netcheck_check_datagram(struct netcheck *n, const struct event *e)
{
	struct netcheck_check *c = &n->check;
	uint8_t txid[STUN_TXID];
	struct address mapped;

	if (c->phase == CHECK_IDLE || stun_response_parse(e->datagram->p, e->datagram->n, txid, &mapped) != STUN_GOOD) return;
	for (uint32_t i = 0; i < c->flights; i++) {
		struct netcheck_flight f = c->flight[i];
		const struct netcheck_set *set = &c->plan.set[f.set];
		if (memcmp(f.txid, txid, STUN_TXID) != 0) continue;
		c->flight[i] = c->flight[--c->flights];
		c->progress[f.set].done = true;
		answered(n, e->now, set->region->node[f.node].region_id, &mapped, e->now > f.sent ? e->now - f.sent : 1);
		return;
	}
}

/* ---- phases ---- */

static bool sets_done(const struct netcheck_check *c)
{
	for (uint32_t i = 0; i < c->plan.sets; i++)
		if (!c->progress[i].done) return false;
	return true;
}

static void stun_over(struct netcheck *n, bool saw_enough)
{
	struct netcheck_check *c = &n->check;

	if (saw_enough) c->portal_at = TIME_NEVER; /* STUN got through: no portal, if the question has not begun */
	c->phase = c->report.udp || n->config.only == ONLY_STUN ? CHECK_PORTAL : CHECK_HTTPS;
	if (c->phase == CHECK_HTTPS) add_latencies(n);
}

static void stun_pump(struct netcheck *n, uint64_t now)
{
	struct netcheck_check *c = &n->check;

	for (uint32_t i = 0; i < c->plan.sets; i++) set_pump(n, now, i);
	if (sets_done(c))
		stun_over(n, c->report.udp);
	else if (now >= c->enough_at)
		stun_over(n, true);
	else if (now >= c->stun_until)
		stun_over(n, false);
}

bool netcheck_check_pump(struct netcheck *n, uint64_t now)
{
	struct netcheck_check *c = &n->check;

	if (c->phase == CHECK_IDLE) return false;
	if (now >= c->report.started + n->config.report_timeout) return true; /* HOM-002 */
	if (c->phase == CHECK_STUN) stun_pump(n, now);
	if (now >= c->portal_at) {
		c->portal_at = TIME_NEVER;
		add_portals(n);
	}
	fetch_pump(n, now);
	if (c->phase == CHECK_HTTPS && latencies_over(c)) c->phase = CHECK_PORTAL;
	return c->phase == CHECK_PORTAL && c->portal_at == TIME_NEVER && fetches_over(c);
}

/* ---- begin, events, end ---- */

void netcheck_check_begin(struct netcheck *n, uint64_t now)
{
	struct netcheck_check *c = &n->check;
	struct netcheck_interfaces have = { .v4 = n->config.ipv4 && n->socket[0] != TOKEN_NONE, .v6 = n->config.ipv6 && n->socket[1] != TOKEN_NONE };
	const struct netcheck_report *last = n->has_last ? &n->last : NULL;
	bool full = netcheck_plan_is_full(last, n->wanted_full, n->last_full, now, n->config.full_every);

	assert(c->phase == CHECK_IDLE && n->map.map != NULL);
	n->wanted = n->wanted_full = false;
	if (full) n->last_full = now, last = NULL;
	*c = (struct netcheck_check){ .phase = CHECK_STUN,
		                      .report = { .started = now, .full = full },
		                      .stun_until = now + n->config.stun_timeout,
		                      .enough_at = TIME_NEVER,
		                      .portal_at = full && n->config.only != ONLY_STUN ? now + n->config.portal_delay : TIME_NEVER };
	if (n->config.style == STYLE_BROWSER) {
		c->phase = CHECK_HTTPS;
		c->portal_at = TIME_NEVER;
		add_browser(n, last);
		return;
	}
	if (n->config.only == ONLY_HTTPS) have = (struct netcheck_interfaces){ 0 };
	netcheck_plan_make(&c->plan, n->map.map, &have, last, n->home.prev, n->home.policy.plan_home);
	c->progress = mem_zero(c->plan.sets, sizeof *c->progress);
}

static bool name_event(struct netcheck *n, const struct event *e)
{
	for (uint32_t i = 0; i < n->check.names; i++) {
		struct netcheck_name *name = &n->check.name[i];
		if (name->token != e->token) continue;
		name->token = TOKEN_NONE;
		name->found = e->answer->result == ANSWER_OK && e->answer->n > 0;
		if (name->found) memcpy(&name->address, e->answer->p, sizeof name->address);
		return true;
	}
	return false;
}

void netcheck_check_event(struct netcheck *n, const struct event *e)
{
	struct netcheck_fetcher w = fetcher(n, e->now);

	if (e->kind == EVENT_ANSWER && name_event(n, e)) return;
	for (uint32_t i = 0; i < n->check.fetches; i++) {
		struct netcheck_fetch *f = &n->check.fetch[i];
		if (!netcheck_fetch_has(f, e->token)) continue;
		netcheck_fetch_event(f, &w, e);
		if (f->state == NETCHECK_FETCH_DONE) fetch_done(n, f, &w);
		return;
	}
}

uint64_t netcheck_check_due(const struct netcheck *n)
{
	const struct netcheck_check *c = &n->check;
	uint64_t at;

	if (c->phase == CHECK_IDLE) return TIME_NEVER;
	at = sooner(c->report.started + n->config.report_timeout, c->portal_at);
	for (uint32_t i = 0; i < c->fetches; i++) at = sooner(at, c->fetch[i].deadline);
	if (c->phase != CHECK_STUN) return at;
	at = sooner(at, sooner(c->stun_until, c->enough_at));
	for (uint32_t i = 0; i < c->plan.sets; i++) {
		const struct netcheck_progress *p = &c->progress[i];
		if (p->done || p->waiting || p->next == c->plan.set[i].probes) continue;
		at = sooner(at, c->report.started + c->plan.set[i].probe[p->next].delay);
	}
	return at;
}

void netcheck_check_end(struct netcheck *n, uint64_t now)
{
	struct netcheck_check *c = &n->check;
	struct netcheck_fetcher w = fetcher(n, now);

	for (uint32_t i = 0; i < c->fetches; i++) netcheck_fetch_end(&c->fetch[i], &w);
	for (uint32_t i = 0; i < c->names; i++)
		if (c->name[i].token != TOKEN_NONE) actions_close(n->out_now, c->name[i].token, true);
	netcheck_check_free(c);
}

void netcheck_check_free(struct netcheck_check *c)
{
	for (uint32_t i = 0; i < c->fetches; i++) http_reader_free(&c->fetch[i].http);
	netcheck_report_free(&c->report);
	netcheck_plan_free(&c->plan);
	free(c->progress);
	free(c->flight);
	free(c->name);
	free(c->fetch);
	*c = (struct netcheck_check){ .phase = CHECK_IDLE };
}
