/* Plans and addresses. */
#include "netcheck_plan.h"

#include "address.h"
#include "buf.h"
#include "stun.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_HTTP = 80, PORT_DERP = 443, FULL_TRIES = 3, NAME_MAX_TEXT = 255 };

static const uint64_t full_interval = 100 * NS_MS;    /* between probes of a full report */
static const uint64_t unknown_interval = 200 * NS_MS; /* between probes of a region whose latency is not known */
static const uint64_t patience = 50 * NS_MS;          /* more with each probe from the third on */

/* ---- addresses ---- */

/* MAP-006: a literal replaces DNS, empty means DNS, anything else switches the family off. Asking for a literal gives the literal. */
static enum netcheck_where node_address(const struct derp_node *node, enum netcheck_family family, uint16_t port, struct address *out)
{
	const char *text = family == NETCHECK_V6 ? node->ipv6 : node->ipv4;
	bool disabled = *text != 0;

	if (*text == 0) text = node->host_name;
	*out = (struct address){ 0 };
	out->port = port;
	if (address_ip_parse(text, strlen(text), out)) return address_is_v4(out) == (family == NETCHECK_V4) ? NETCHECK_KNOWN : NETCHECK_NOWHERE;
	return disabled || *text == 0 || strlen(text) > NAME_MAX_TEXT ? NETCHECK_NOWHERE : NETCHECK_ASK;
}

enum netcheck_where netcheck_stun_address(const struct derp_node *node, enum netcheck_family family, struct address *out)
{
	if (node->stun_port < 0 || node->stun_port > 65535) return NETCHECK_NOWHERE; /* MAP-010 */
	return node_address(node, family, node->stun_port == 0 ? STUN_PORT : (uint16_t)node->stun_port, out);
}

enum netcheck_where netcheck_derp_address(const struct derp_node *node, enum netcheck_family family, struct address *out)
{
	bool usual = node->derp_port <= 0 || node->derp_port > 65535; /* MAP-007; what is no port is taken as the client takes it */

	if (node->stun_only) return NETCHECK_NOWHERE; /* MAP-005 */
	return node_address(node, family, usual ? PORT_DERP : (uint16_t)node->derp_port, out);
}

bool netcheck_region_fetchable(const struct derp_region *region)
{
	if (region->avoid || region->no_measure_no_home) return false;
	for (uint32_t i = 0; i < region->nodes; i++)
		if (!region->node[i].stun_only) return true;
	return false;
}

/* ---- the plan ---- */

bool netcheck_plan_is_full(const struct netcheck_report *last, bool requested, uint64_t last_full, uint64_t now, uint64_t every)
{
	if (requested || last_full == TIME_NEVER || now - last_full > every) return true;
	return last != NULL && !last->udp && last->captive_portal == NETCHECK_YES;
}

static struct netcheck_set *set_add(struct netcheck_plan *plan, const struct derp_region *region, enum netcheck_family family)
{
	MEM_ROOM(plan->set, plan->sets, plan->cap);
	plan->set[plan->sets] = (struct netcheck_set){ .region = region, .family = family };
	return &plan->set[plan->sets++];
}

/* A probe to the region's node whose turn it is, unless that has nothing of the family. */
static void probe_add(struct netcheck_set *set, uint32_t try, uint64_t delay)
{
	uint32_t node = try % set->region->nodes;
	struct address ignored;

	if (node_address(&set->region->node[node], set->family, 0, &ignored) == NETCHECK_NOWHERE) return;
	assert(set->probes < NETCHECK_TRIES_MAX);
	set->probe[set->probes++] = (struct netcheck_probe){ .delay = delay, .node = node };
}

static void drop_empty(struct netcheck_plan *plan, struct netcheck_set *set)
{
	assert(set == &plan->set[plan->sets - 1]);
	if (set->probes == 0) plan->sets--;
}

static void plan_full_set(struct netcheck_plan *plan, const struct derp_region *region, enum netcheck_family family)
{
	struct netcheck_set *set = set_add(plan, region, family);

	for (uint32_t try = 0; try < FULL_TRIES; try++) probe_add(set, try, try * full_interval);
	drop_empty(plan, set);
}

/* HOM-004. Avoid does not count here (MAP-015). */
static void plan_full(struct netcheck_plan *plan, const struct derp_map *map, const struct netcheck_interfaces *have)
{
	uint32_t planned = 0;

	for (uint32_t i = 0; i < map->regions && planned < NETCHECK_REGIONS_MAX; i++) {
		const struct derp_region *region = &map->region[i];
		if (region->no_measure_no_home || region->nodes == 0) continue; /* MAP-014, MAP-017 */
		planned++;
		if (have->v4) plan_full_set(plan, region, NETCHECK_V4);
		if (have->v6) plan_full_set(plan, region, NETCHECK_V6);
	}
}

/* A region and what the last report says of it. */
struct ranked {
	const struct derp_region *region;
	uint64_t ns; /* 0: not measured */
};

static int faster(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if ((x->ns == 0) != (y->ns == 0)) return x->ns == 0 ? 1 : -1;
	if (x->ns != y->ns) return x->ns < y->ns ? -1 : 1;
	return x->region->id < y->region->id ? -1 : x->region->id > y->region->id;
}

/* Regions from the fastest to the slowest, then those without latency. */
static uint32_t rank(struct ranked *v, const struct derp_map *map, const struct netcheck_report *last, int64_t pinned)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < map->regions; i++) {
		const struct derp_region *region = &map->region[i];
		const struct netcheck_region *known = netcheck_report_region(last, region->id);
		if (region->no_measure_no_home || (region->avoid && region->id != pinned)) continue; /* MAP-014, MAP-015 */
		v[n++] = (struct ranked){ .region = region, .ns = known == NULL ? 0 : known->ns };
	}
	if (n != 0) qsort(v, n, sizeof *v, faster);
	return n;
}

struct step {
	uint32_t tries;
	bool v4, v6;
};

static void plan_set(struct netcheck_plan *plan, const struct ranked *r, enum netcheck_family family, uint32_t tries)
{
	uint64_t interval = r->ns == 0 ? unknown_interval : r->ns * 120 / 100;
	struct netcheck_set *set = set_add(plan, r->region, family);

	for (uint32_t try = 0; try < tries; try++) probe_add(set, try, try * interval + (try > 1 ? try * patience : 0));
	drop_empty(plan, set);
}

/* HOM-005: how the region at a rank is asked. */
static struct step step_of(uint32_t rank, bool preferred, bool pinned, const struct netcheck_interfaces *have, const struct netcheck_report *last)
{
	bool had4 = netcheck_report_has_family(last, NETCHECK_V4), had6 = netcheck_report_has_family(last, NETCHECK_V6), fastest = rank < 2;
	struct step s = { .tries = preferred ? NETCHECK_TRIES_MAX : fastest ? 2 : 1, .v4 = have->v4, .v6 = have->v6 };

	if (fastest || pinned) return s;
	if (have->v6 && had4 && had6) s.v4 &= rank % 2 == 0, s.v6 &= rank % 2 != 0;
	if (!had6) s.v6 = false;
	return s;
}

static void plan_incremental(struct netcheck_plan *plan, const struct derp_map *map, const struct netcheck_interfaces *have,
                             const struct netcheck_report *last, int64_t preferred, bool always_preferred)
{
	struct ranked *v = mem_alloc(map->regions * sizeof *v);
	uint32_t n = rank(v, map, last, always_preferred ? preferred : 0);
	bool had6 = netcheck_report_has_family(last, NETCHECK_V6);

	for (uint32_t i = 0; i < n; i++) {
		bool is_preferred = preferred != 0 && v[i].region->id == preferred, pinned = is_preferred && always_preferred;
		struct step s = step_of(i, is_preferred, pinned, have, last);
		if ((i >= NETCHECK_FASTEST && !pinned) || v[i].region->nodes == 0) continue;
		if (s.v4) plan_set(plan, &v[i], NETCHECK_V4, s.tries);
		if (s.v6) plan_set(plan, &v[i], NETCHECK_V6, had6 ? s.tries : 1); /* one try in the dark */
	}
	free(v);
}

void netcheck_plan_make(struct netcheck_plan *plan, const struct derp_map *map, const struct netcheck_interfaces *have,
                        const struct netcheck_report *last, int64_t preferred, bool always_preferred)
{
	*plan = (struct netcheck_plan){ 0 };
	if (last == NULL || last->regions == 0)
		plan_full(plan, map, have);
	else
		plan_incremental(plan, map, have, last, preferred, always_preferred);
}

void netcheck_plan_free(struct netcheck_plan *plan)
{
	free(plan->set);
	*plan = (struct netcheck_plan){ 0 };
}

/* ---- captive portal ---- */

static uint32_t add_endpoints(const struct derp_region *region, struct address *out, uint32_t n)
{
	if (region->avoid || region->no_measure_no_home) return n; /* MAP-014, MAP-015 */
	for (uint32_t i = 0; i < region->nodes && n < NETCHECK_ENDPOINTS_MAX; i++) {
		const struct derp_node *node = &region->node[i];
		if (!node->can_port80 || *node->ipv4 == 0) continue;
		if (node_address(node, NETCHECK_V4, PORT_HTTP, &out[n]) == NETCHECK_KNOWN) n++;
	}
	return n;
}

uint32_t netcheck_plan_endpoints(const struct derp_map *map, int64_t preferred, struct address out[NETCHECK_ENDPOINTS_MAX])
{
	const struct derp_region *first = derp_map_by_id(map, preferred);
	uint32_t n = first == NULL ? 0 : add_endpoints(first, out, 0);

	for (uint32_t i = 0; i < map->regions; i++)
		if (&map->region[i] != first) n = add_endpoints(&map->region[i], out, n);
	return n;
}
