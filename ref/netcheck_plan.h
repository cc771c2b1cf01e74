/* What a network check would ask, and whom: pure functions of the map and the last report.
 *
 * The probe plan (HOM-003..HOM-005), the addresses of nodes (MAP-005..MAP-007, MAP-010), the endpoints of the captive portal check
 * (MAP-019). What the original does in the order of a hash table is done in the order of region numbers. */
#ifndef REF_NETCHECK_PLAN_H
#define REF_NETCHECK_PLAN_H

#include "derpmap.h"
#include "netcheck_report.h"

enum {
	NETCHECK_REGIONS_MAX = 1024, /* ours: regions of a map that are probed, by number; those beyond are as if NoMeasureNoHome */
	NETCHECK_TRIES_MAX = 4,
	NETCHECK_FASTEST = 3, /* regions of an incremental plan, besides the preferred one */
	NETCHECK_ENDPOINTS_MAX = 5
};

struct netcheck_probe {
	uint64_t delay; /* from the start of the report */
	uint32_t node;  /* index in the region */
};

/* The probes of one region over one family. */
struct netcheck_set {
	const struct derp_region *region;
	enum netcheck_family family; /* V4 or V6 */
	uint32_t probes;
	struct netcheck_probe probe[NETCHECK_TRIES_MAX];
};

struct netcheck_plan {
	struct netcheck_set *set;
	uint32_t sets, cap;
};

struct netcheck_interfaces {
	bool v4, v6;
};

/* HOM-003. last: NULL if there is none; last_full: TIME_NEVER if there was none. */
bool netcheck_plan_is_full(const struct netcheck_report *last, bool requested, uint64_t last_full, uint64_t now, uint64_t every);
/* Fills an empty plan. last: NULL for a full one (so is one without latencies). preferred: by the last report, 0 = none; always_preferred:
 * it is in the plan however slow it was (since 1.78: home_policy.plan_home). Points into the map. */
void netcheck_plan_make(struct netcheck_plan *plan, const struct derp_map *map, const struct netcheck_interfaces *have,
                        const struct netcheck_report *last, int64_t preferred, bool always_preferred);
void netcheck_plan_free(struct netcheck_plan *plan);

/* Where a node is. ASK: its address is to be asked for by its host name; the port is set already. */
enum netcheck_where { NETCHECK_NOWHERE, NETCHECK_KNOWN, NETCHECK_ASK };
enum netcheck_where netcheck_stun_address(const struct derp_node *node, enum netcheck_family family, struct address *out);
/* NOWHERE for STUN-only nodes. */
enum netcheck_where netcheck_derp_address(const struct derp_node *node, enum netcheck_family family, struct address *out);

/* Has it a node to connect to, and may it be measured over HTTPS? (HOM-007, MAP-014, MAP-015, MAP-017) */
bool netcheck_region_fetchable(const struct derp_region *region);

/* The nodes to ask for a captive portal, those of the preferred region first; returns their number. Addresses have port 80. */
uint32_t netcheck_plan_endpoints(const struct derp_map *map, int64_t preferred, struct address out[NETCHECK_ENDPOINTS_MAX]);

#endif
