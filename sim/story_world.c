/* The world of a story: regions and nodes as the scenario and the map say, tailnets of clients in cities, who can be reached how.
 *
 * Distances are geography (geo.h); a client adds its own last mile. Keys are a function of the entity's name alone, so that they and
 * their shared secrets are the same in every run. */
#include "story_core.h"

#include "../ref/address.h"
#include "../ref/buf.h"
#include "geo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A client's last mile, one way: 1 to 8 ms, drawn for each; 0.5 ms of jitter; 100 Mbps. Not fitted: round figures of home access. */
static const uint64_t access_min_ns = 1 * NS_MS, access_max_ns = 8 * NS_MS, access_jitter_ns = 500 * NS_US, access_bps = 100000000;

enum { CLIENT_WINDOW = 65536, RELAY_PORT = 443, ZIPF_SPAN_MAX = 1000000 };

static struct address ipv4(uint8_t a, uint32_t low)
{
	struct address x = { .ip = { [10] = 0xff, [11] = 0xff, a, (uint8_t)(low >> 16), (uint8_t)(low >> 8), (uint8_t)low } };

	return x;
}

static void name_key(const char *name, struct key *key)
{
	prng_derive(0, name, "key", key->b); /* not of the seed */
	key_clamp(key);
}

static void *copy_text(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(mem_alloc(n), text, n);
}

/* ---- regions and nodes ---- */

/* A node as clients are told of it. Without a literal address in the map it gets one: this world has no names to look up. */
static void fill_node(const struct story *st, struct story_region *r, uint32_t i)
{
	const struct derp_node *in_map = r->def->in_map != NULL && i < r->def->in_map->nodes ? &r->def->in_map->node[i] : NULL;
	struct derp_node *n = &r->map.node[i];
	char text[80];

	snprintf(text, sizeof text, "%s%u", r->def->name, i + 1);
	n->name = copy_text(in_map != NULL ? in_map->name : text);
	n->region_id = r->map.id;
	snprintf(text, sizeof text, "derp-%s-%u.example.com", r->def->name, i + 1);
	n->host_name = copy_text(in_map != NULL && in_map->host_name[0] != 0 ? in_map->host_name : text);
	n->cert_name = copy_text("");
	snprintf(text, sizeof text, "198.18.%u.%u", (uint32_t)(r - st->region) & 255, (i + 1) & 255);
	n->ipv4 = copy_text(in_map != NULL && in_map->ipv4[0] != 0 && strcmp(in_map->ipv4, "none") != 0 ? in_map->ipv4 : text);
	n->ipv6 = copy_text("none"); /* MAP-006: one family, so that a dial is one connection */
	n->derp_port = in_map != NULL ? in_map->derp_port : 0;
}

static bool place_region(struct story *st, struct story_region *r, char *error, size_t cap)
{
	const struct derp_region *m = r->def->in_map;

	r->place.city = NOBODY;
	if (r->def->city != NULL) {
		r->place.city = geo_find(r->def->city, strlen(r->def->city));
	} else if (m != NULL && m->has_place) {
		r->place = (struct place){ (int32_t)m->latitude_udeg, (int32_t)m->longitude_udeg, NOBODY };
		return true;
	}
	if (r->place.city == NOBODY) {
		snprintf(error, cap,
		         "%s:%u: nobody knows where region %s is: give it city=", r->def->line.line ? r->def->line.file : st->scenario->file[0].name,
		         r->def->line.line, r->def->name);
		return false;
	}
	r->place.lat_udeg = geo_city(r->place.city)->lat_udeg;
	r->place.lon_udeg = geo_city(r->place.city)->lon_udeg;
	return true;
}

static uint64_t or_else(const struct scenario_amount *a, uint64_t value) { return a->unit == SCENARIO_NONE ? value : a->lo; }

/* The line that says what stands `at` that many bytes into the node's settings: the last of its `node` lines that does, or its region's. */
static const struct scenario_line *settings_line(const struct story *st, const struct story_node *n, size_t at)
{
	const struct scenario_line *line = &st->region[n->region].def->line;

	for (uint32_t i = 0; i < st->scenario->nodes; i++) {
		const struct scenario_node *def = &st->scenario->node[i];
		const struct scenario_amount *a = (const struct scenario_amount *)((const char *)&def->settings + at);
		if (a->unit != SCENARIO_NONE && scenario_set_has_node(&def->set, n->region, n->index)) line = &def->line;
	}
	return line;
}

static void settle_amount(struct story *st, struct story_node *n, const char *key, size_t at)
{
	struct scenario_amount *a = (struct scenario_amount *)((char *)&n->settings + at);

	if (a->unit != SCENARIO_NONE) a->lo = a->hi = story_take(st, n->name, settings_line(st, n, at), key, a);
}

/* Draws what is drawn, once for each node, and prices its work. */
static void settle_node(struct story *st, struct story_node *n)
{
	struct scenario_settings *s = &n->settings;

	settle_amount(st, n, "cpu", offsetof(struct scenario_settings, cpu));
	settle_amount(st, n, "nic", offsetof(struct scenario_settings, nic));
	settle_amount(st, n, "fds", offsetof(struct scenario_settings, fds));
	settle_amount(st, n, "backlog", offsetof(struct scenario_settings, backlog));
	settle_amount(st, n, "handshake", offsetof(struct scenario_settings, handshake));
	settle_amount(st, n, "packet", offsetof(struct scenario_settings, packet));
	settle_amount(st, n, "byte", offsetof(struct scenario_settings, byte));
	n->cost = cost_ours;
	n->cost.handshake_ns = or_else(&s->handshake, n->cost.handshake_ns);
	if (s->packet.unit != SCENARIO_NONE) { /* what a relayed packet costs, in and out */
		n->cost.step_ps = 0;
		n->cost.work_ps[WORK_FRAMES_IN] = n->cost.work_ps[WORK_FRAMES_OUT] = s->packet.lo * 500;
	}
	if (s->byte.unit != SCENARIO_NONE) n->cost.work_ps[WORK_BYTES_IN] = n->cost.work_ps[WORK_BYTES_OUT] = s->byte.lo * 500;
}

/* Homes that nobody may choose (MAP-014) and nodes that take no connection (MAP-005) come with home selection. */
static bool map_supported(const struct story *st, const struct story_region *r, char *error, size_t cap)
{
	const struct derp_region *m = r->def->in_map;
	const char *file = r->def->line.line != 0 ? r->def->line.file : st->scenario->file[0].name, *what = NULL;

	if (m != NULL && m->no_measure_no_home) what = "is NoMeasureNoHome";
	for (uint32_t i = 0; m != NULL && i < m->nodes && i < r->nodes; i++)
		if (m->node[i].stun_only) what = "has a node that is STUNOnly";
	if (what != NULL) snprintf(error, cap, "%s:%u: region %s of the map %s: not simulated yet", file, r->def->line.line, r->def->name, what);
	return what == NULL;
}

static bool build_region(struct story *st, uint32_t index, char *error, size_t cap)
{
	struct story_region *r = &st->region[index];
	const struct derp_region *m;

	r->def = &st->scenario->region[index];
	m = r->def->in_map;
	if (!place_region(st, r, error, cap)) return false;
	r->nodes = r->def->nodes.unit == SCENARIO_NONE ? (m == NULL ? 1 : m->nodes)
	                                               : (uint32_t)story_take(st, r->def->name, &r->def->line, "nodes", &r->def->nodes);
	if (r->nodes == 0 || r->nodes > ORDER_MAX) {
		snprintf(error, cap, "%s:%u: region %s has %u nodes, expected 1 to %d", r->def->line.file == NULL ? "map" : r->def->line.file,
		         r->def->line.line, r->def->name, r->nodes, ORDER_MAX);
		return false;
	}
	if (!map_supported(st, r, error, cap)) return false;
	r->map = (struct derp_region){ .id = m != NULL ? m->id : 900 + (int64_t)index, .nodes = r->nodes, .code = copy_text(r->def->name) };
	r->map.name = copy_text(m != NULL ? m->name : r->def->name);
	r->map.node = mem_zero(r->nodes, sizeof *r->map.node);
	for (uint32_t i = 0; i < r->nodes; i++) fill_node(st, r, i);
	return true;
}

/* What the language has and this world has not. */
static bool settings_supported(const struct scenario_line *line, const struct scenario_settings *s, char *error, size_t cap)
{
	const uint64_t usual = UINT64_C(2000000000);
	bool good = s->mem.unit == SCENARIO_NONE || (s->mem.lo == usual && s->mem.hi == usual);

	if (!good) snprintf(error, cap, "%s:%u: a limit of memory is not simulated yet, expected mem=2GB", line->file, line->line);
	return good;
}

static bool nodes_supported(const struct story *st, char *error, size_t cap)
{
	const struct scenario *sc = st->scenario;

	for (uint32_t i = 0; i < sc->regions; i++)
		if (!settings_supported(&sc->region[i].line, &sc->region[i].settings, error, cap)) return false;
	for (uint32_t i = 0; i < sc->nodes; i++) {
		const struct scenario_node *n = &sc->node[i];
		if (!settings_supported(&n->line, &n->settings, error, cap)) return false;
		for (uint32_t k = 0; k < n->set.parts; k++) {
			if (n->set.part[k].pick.unit == SCENARIO_NONE) continue;
			snprintf(error, cap, "%s:%u: a drawn part of nodes is not simulated yet, expected the whole set", n->line.file, n->line.line);
			return false;
		}
	}
	return true;
}

static void build_nodes(struct story *st)
{
	for (uint32_t k = 0; k < st->regions; k++) st->region[k].first = st->nodes, st->nodes += st->region[k].nodes;
	st->node = mem_zero(st->nodes, sizeof *st->node);
	for (uint32_t k = 0; k < st->regions; k++) {
		struct story_region *r = &st->region[k];
		for (uint32_t i = 0; i < r->nodes; i++) {
			struct story_node *n = &st->node[r->first + i];
			snprintf(n->name, sizeof n->name, "%s/%u", r->def->name, i + 1);
			n->region = k;
			n->index = i + 1;
			n->place = r->place;
			n->settings = scenario_node_settings(st->scenario, k, i + 1);
			name_key(n->name, &n->key);
			settle_node(st, n);
			for (uint32_t other = 0; other < r->nodes && n->links < LINKS_MAX; other++)
				if (other != i) n->link[n->links++].to = r->first + other;
		}
	}
}

/* ---- tailnets and clients ---- */

/* Weights 1/x for x in lo..hi. */
static uint64_t zipf(struct prng *p, uint64_t lo, uint64_t hi)
{
	uint64_t total = 0, at;

	for (uint64_t x = lo; x <= hi; x++) total += (UINT64_C(1) << 40) / x;
	at = prng_below(p, total);
	for (uint64_t x = lo; x < hi; x++) {
		uint64_t weight = (UINT64_C(1) << 40) / x;
		if (at < weight) return x;
		at -= weight;
	}
	return hi;
}

static uint32_t tailnet_clients(struct story *st, const struct story_tailnet *t)
{
	const struct scenario_amount *a = &t->def->clients;
	struct prng p;
	uint64_t n;

	if (!t->def->zipf) return (uint32_t)story_take(st, t->name, &t->def->line, "clients", a);
	p = story_stream(st, t->name, &t->def->line, "clients");
	n = zipf(&p, a->lo, a->hi);
	story_draw_note(st, t->name, &t->def->line, "clients", SCENARIO_COUNT, n);
	return (uint32_t)n;
}

static bool in_spread(const struct scenario_tailnet *def, uint32_t city)
{
	for (uint32_t i = 0; i < def->spreads; i++) {
		const struct scenario_area *a = &def->spread[i];
		switch (a->kind) {
		case SCENARIO_WORLD: return true;
		case SCENARIO_EUROPE:
			if (geo_in_area(city, GEO_EUROPE)) return true;
			break;
		case SCENARIO_AMERICA:
			if (geo_in_area(city, GEO_AMERICA)) return true;
			break;
		case SCENARIO_ASIA:
			if (geo_in_area(city, GEO_ASIA)) return true;
			break;
		case SCENARIO_CITY:
			if (strcmp(geo_city(city)->name, a->city) == 0) return true;
			break;
		}
	}
	return false;
}

/* The region of lowest latency: what a network check finds that measures well (HOM). */
static uint32_t nearest_region(const struct story *st, const struct place *p)
{
	uint64_t best = UINT64_MAX;
	uint32_t at = 0;

	for (uint32_t i = 0; i < st->regions; i++) {
		const struct place *q = &st->region[i].place;
		uint64_t ns = geo_latency_ns(p->lat_udeg, p->lon_udeg, q->lat_udeg, q->lon_udeg);
		if (ns < best) best = ns, at = i;
	}
	return at;
}

/* After how long on another node the client goes home, drawn for each; of the line that says so. */
static uint64_t return_after(struct story *st, const char *name, const struct scenario_tailnet *def)
{
	const struct scenario_amount *own = &def->policy.back, *all = &st->scenario->policy.back;
	bool same = own->lo == all->lo && own->hi == all->hi;

	return story_take(st, name, same ? &st->scenario->policy.line : &def->line, "return", own);
}

static void build_client(struct story *st, uint32_t tailnet, uint32_t index, const uint32_t *cities, uint32_t cities_n)
{
	const struct story_tailnet *t = &st->tailnet[tailnet];
	struct story_client *c = &st->client[t->first + index];
	char name[NAME_MAX_LEN];
	struct prng p;

	c->tailnet = tailnet;
	c->index = index + 1;
	story_client_name(st, t->first + index, name);
	c->name = copy_text(name);
	name_key(name, &c->key);
	key_cache_public(st->keys, &c->key, &c->public_key);
	p = prng_make(st->options.seed, name, "place");
	c->place.city = cities[prng_below(&p, cities_n)];
	c->place.lat_udeg = geo_city(c->place.city)->lat_udeg;
	c->place.lon_udeg = geo_city(c->place.city)->lon_udeg;
	c->access_ns = prng_range(&p, access_min_ns, access_max_ns);
	c->region = nearest_region(st, &c->place);
	c->join_at = story_take(st, name, &t->def->line, "join", &t->def->join);
	c->return_ns = return_after(st, name, t->def);
	c->node = NOBODY;
	c->fault_at = TIME_NEVER;
}

static uint32_t copies_of(struct story *st, const struct scenario_tailnet *def)
{
	uint64_t n = story_take(st, def->name, &def->line, "x", &def->copies);

	if (def->per == SCENARIO_PER_NODE) n *= st->nodes;
	if (def->per == SCENARIO_PER_REGION) n *= st->regions;
	return n > SCENARIO_CLIENTS_MAX ? SCENARIO_CLIENTS_MAX : (uint32_t)n;
}

static bool build_tailnets(struct story *st, char *error, size_t cap)
{
	uint64_t clients = 0;
	uint32_t tailnets_cap = 0;

	for (uint32_t d = 0; d < st->scenario->tailnets; d++) {
		const struct scenario_tailnet *def = &st->scenario->tailnet[d];
		uint32_t copies = copies_of(st, def);
		for (uint32_t k = 0; k < copies; k++) {
			struct story_tailnet *t;
			MEM_ROOM(st->tailnet, st->tailnets, tailnets_cap);
			t = &st->tailnet[st->tailnets++];
			*t = (struct story_tailnet){ .def = def, .def_index = d, .copy = k + 1, .first = (uint32_t)clients };
			if (def->numbered || copies > 1)
				snprintf(t->name, sizeof t->name, "%s/%u", def->name, k + 1);
			else
				snprintf(t->name, sizeof t->name, "%s", def->name);
			t->clients = tailnet_clients(st, t);
			clients += t->clients;
			if (clients > SCENARIO_CLIENTS_MAX) {
				snprintf(error, cap, "%s:%u: more than %d clients", def->line.file, def->line.line, SCENARIO_CLIENTS_MAX);
				return false;
			}
		}
	}
	st->clients = (uint32_t)clients;
	return true;
}

static bool build_clients(struct story *st, char *error, size_t cap)
{
	uint32_t *cities = mem_alloc((uint64_t)geo_cities() * sizeof *cities);

	st->client = mem_zero(st->clients, sizeof *st->client);
	for (uint32_t i = 0; i < st->tailnets; i++) {
		uint32_t n = 0;
		for (uint32_t city = 0; city < geo_cities(); city++)
			if (in_spread(st->tailnet[i].def, city)) cities[n++] = city;
		if (n == 0) {
			snprintf(error, cap, "%s:%u: no city lies in spread=", st->tailnet[i].def->line.file, st->tailnet[i].def->line.line);
			free(cities);
			return false;
		}
		for (uint32_t k = 0; k < st->tailnet[i].clients; k++) build_client(st, i, k, cities, n);
	}
	free(cities);
	return true;
}

static const uint8_t *client_key_at(const void *owner, uint32_t index) { return ((const struct story *)owner)->client[index].public_key.b; }

bool world_build(struct story *st, char *error, size_t cap)
{
	static const uint8_t secret[16] = { 1 };
	struct key mesh;

	if (!nodes_supported(st, error, cap)) return false;
	st->regions = st->scenario->regions;
	st->region = mem_zero(st->regions ? st->regions : 1, sizeof *st->region);
	for (uint32_t i = 0; i < st->regions; i++)
		if (!build_region(st, i, error, cap)) return false;
	build_nodes(st);
	if (!build_tailnets(st, error, cap) || !build_clients(st, error, cap)) return false;
	keymap_init(&st->by_key, secret, client_key_at, st);
	for (uint32_t i = 0; i < st->clients; i++) keymap_add(&st->by_key, st->client[i].public_key.b, i);
	prng_derive(0, "mesh", "key", mesh.b);
	key_hex(mesh.b, st->mesh_key);
	return true;
}

void world_free(struct story *st)
{
	for (uint32_t k = 0; k < st->regions && st->region != NULL; k++) {
		struct derp_region *r = &st->region[k].map;
		for (uint32_t i = 0; r->node != NULL && i < r->nodes; i++) {
			free(r->node[i].name);
			free(r->node[i].host_name);
			free(r->node[i].cert_name);
			free(r->node[i].ipv4);
			free(r->node[i].ipv6);
		}
		free(r->node);
		free(r->code);
		free(r->name);
	}
	for (uint32_t i = 0; i < st->nodes; i++) free(st->node[i].session);
	for (uint32_t i = 0; i < st->clients && st->client != NULL; i++) free(st->client[i].name);
	keymap_free(&st->by_key);
	free(st->region);
	free(st->node);
	free(st->tailnet);
	free(st->client);
}

/* ---- hosts ---- */

static bool node_address(const struct story *st, uint32_t node, struct address *out)
{
	const struct story_region *r = &st->region[st->node[node].region];
	const struct derp_node *n = &r->map.node[st->node[node].index - 1];

	if (!address_ip_parse(n->ipv4, strlen(n->ipv4), out)) return false;
	out->port = n->derp_port != 0 ? (uint16_t)n->derp_port : RELAY_PORT;
	return true;
}

void world_hosts(struct story *st)
{
	for (uint32_t i = 0; i < st->nodes; i++) {
		struct story_node *n = &st->node[i];
		struct sim_host_config config = {
			.name = n->name, .cost = &n->cost, .user_timeout_ns = 15 * NS_S /* HTTP-023 */, .window = SIM_WINDOW
		};
		bool good = node_address(st, i, &config.ip);
		assert(good); /* the map's parser has judged literals */
		(void)good;
		config.listener = (struct sim_listener){ config.ip.port, true, (uint32_t)or_else(&n->settings.backlog, SIM_BACKLOG) };
		config.ip.port = 0;
		config.cores = (uint32_t)or_else(&n->settings.cpu, 2);
		config.fds = (uint32_t)or_else(&n->settings.fds, 65536);
		config.slots = (n->links + 1) * MESH_SLOTS;
		sim_host_add(st->sim, &config);
	}
	for (uint32_t i = 0; i < st->clients; i++) {
		struct sim_host_config config = { .ip = ipv4(10, i + 1), .window = CLIENT_WINDOW, .cores = 1, .fds = 64, .slots = CLIENT_SLOTS };
		config.name = st->client[i].name;
		sim_host_add(st->sim, &config);
	}
}

struct machine *world_make(void *ctx, uint32_t host, const struct machine_env *env)
{
	return host_is_node(ctx, host) ? relay_machine(relay_new(env)) : client_machine(client_new(env));
}

static size_t configure_node(const struct story *st, uint32_t node, char *out, size_t cap)
{
	const struct story_node *n = &st->node[node];
	char key[KEY_HEX + 1] = { 0 };
	size_t at;

	key_hex(n->key.b, key);
	at = (size_t)snprintf(out, cap, "key=%s\nmesh-key=%s\nmesh-retry=%lluns\nprofile=%s\nmesh-with=", key,
	                      n->settings.mesh_key == SCENARIO_KEY_WRONG ? "00000000000000000000000000000000000000000000000000000000000000ff"
	                                                                 : st->mesh_key,
	                      (unsigned long long)or_else(&st->scenario->policy.mesh_retry, 5 * NS_S),
	                      st->scenario->world.profile == SCENARIO_PROFILE_DERPER ? "derper" : "ours");
	for (uint32_t i = 0; i < n->links && at < cap; i++) {
		const struct story_node *to = &st->node[n->link[i].to];
		const struct derp_node *d = &st->region[to->region].map.node[to->index - 1];
		at += (size_t)snprintf(out + at, cap - at, "%shttps://%s:%d", i == 0 ? "" : ",", d->ipv4,
		                       d->derp_port != 0 ? d->derp_port : RELAY_PORT);
	}
	at += (size_t)snprintf(out + at, cap - at, "\n");
	return at;
}

static size_t configure_client(const struct story *st, uint32_t client, char *out, size_t cap)
{
	const struct story_client *c = &st->client[client];
	const struct scenario_policy *policy = &st->tailnet[c->tailnet].def->policy;
	static const char *const backoff[] = { "original", "full-jitter", "none" };
	uint32_t order[ORDER_MAX];
	char key[KEY_HEX + 1] = { 0 };
	size_t at;

	key_hex(c->key.b, key);
	coordinator_order(st, client, order);
	at = (size_t)snprintf(out, cap, "key=%s\nhome=on\nretry=%s\nprofile=%s\n", key, backoff[policy->backoff],
	                      st->scenario->world.profile == SCENARIO_PROFILE_DERPER ? "derper" : "ours");
	if (c->return_ns != SCENARIO_NEVER) at += (size_t)snprintf(out + at, cap - at, "return-after=%lluns\n", (unsigned long long)c->return_ns);
	at += (size_t)snprintf(out + at, cap - at, "region=");
	at += derp_region_json(&st->region[c->region].map, order, out + at, cap - at);
	at += (size_t)snprintf(out + at, cap - at, "\n");
	return at;
}

size_t world_configure(void *ctx, uint32_t host, char *out, size_t cap)
{
	const struct story *st = ctx;

	return host_is_node(st, host) ? configure_node(st, host, out, cap) : configure_client(st, host - st->nodes, out, cap);
}

static const struct place *place_of(const struct story *st, uint32_t host)
{
	return host_is_node(st, host) ? &st->node[host].place : &st->client[host - st->nodes].place;
}

void world_path(void *ctx, uint32_t from, uint32_t to, struct sim_path *out)
{
	const struct story *st = ctx;
	const struct place *a = place_of(st, from), *b = place_of(st, to);

	out->latency_ns = geo_latency_ns(a->lat_udeg, a->lon_udeg, b->lat_udeg, b->lon_udeg);
	if (host_is_node(st, from) && host_is_node(st, to)) {
		out->rate_bps = or_else(&st->node[from].settings.nic, 0);
		return;
	}
	out->latency_ns += st->client[(host_is_node(st, from) ? to : from) - st->nodes].access_ns;
	out->jitter_ns = access_jitter_ns;
	out->rate_bps = access_bps;
}
