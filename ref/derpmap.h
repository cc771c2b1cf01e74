/* The DERP map of chapter 4.3, decoded as MAP-001..MAP-007 say, and the region text that a client is configured with. */
#ifndef REF_DERPMAP_H
#define REF_DERPMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct derp_node {
	char *name, *host_name, *cert_name, *ipv4, *ipv6; /* "" if absent */
	int64_t region_id;
	int32_t stun_port, derp_port;
	bool stun_only, insecure_for_tests, can_port80;
};

struct derp_region {
	int64_t id;
	char *code, *name;
	int64_t latitude_udeg, longitude_udeg; /* micro-degrees */
	bool has_place, avoid, no_measure_no_home;
	struct derp_node *node;
	uint32_t nodes;
};

/* HomeParams.RegionScore: what a region's latency is multiplied by when a home is chosen (HOM-008). */
struct derp_score {
	int64_t region;
	int64_t micro; /* millionths */
};

struct derp_map {
	struct derp_region *region; /* ascending by id */
	uint32_t regions;
	struct derp_score *score; /* ascending by region; regions need not be in the map */
	uint32_t scores;
	bool omit_default_regions;    /* an instruction to whoever merges maps; carried along (MAP-013) */
	bool has_regions, has_scores; /* the text had them, and not null: as an update they replace what was there (MAP-012) */
};

enum { DERPMAP_REGIONS_MAX = 65536, DERPMAP_NODES_MAX = 4096, DERPMAP_BYTES_MAX = 64 << 20, DERPMAP_ERROR_SIZE = 300 };

/* NULL: `error` says where (line:column and JSON path) and what. */
struct derp_map *derp_map_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE]);
void derp_map_free(struct derp_map *map);
/* MAP-012: an update is a delta by member. What it has replaces what the map has, what it leaves out or calls null stays. Takes over what it
 * needs of the update, and frees it. */
void derp_map_apply(struct derp_map *map, struct derp_map *update);
/* One region object, as clients are configured with; derp_region_free gives it back. */
struct derp_region *derp_region_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE]);
void derp_region_free(struct derp_region *region);
/* Writes the region on one line with its nodes in the given order (NULL: as they are); returns the length without NUL, or 0 if it
 * does not fit. For coordinators: the order of nodes is a function of the tailnet (REG-004). */
size_t derp_region_json(const struct derp_region *region, const uint32_t *order, char *out, size_t cap);
/* The whole map on one line, to be freed, with the nodes of each region in the order that `permute` makes of order[i] = i (REG-004;
 * NULL: as they are). Places and HomeParams are left out. */
char *derp_map_json(const struct derp_map *map, void (*permute)(void *ctx, const struct derp_region *region, uint32_t *order), void *ctx, size_t *n);

/* Do the two say the same in every member that we know (MAP-011)? */
bool derp_region_equal(const struct derp_region *a, const struct derp_region *b);

/* Where things stand in the text of a map, for who keeps the text (shared with many) instead of what it says. Nulls and earlier
 * duplicates are left out. */
struct derp_span {
	int64_t id;
	uint32_t at, n; /* bytes of the region's object */
};
struct derp_index {
	struct derp_span *region; /* ascending by id */
	uint32_t regions, cap;
	bool keeps_regions;           /* Regions is null or absent: an update that leaves them as they are (MAP-012) */
	struct derp_span home_params; /* n = 0: none; id = 0 */
};
/* False: as derp_map_parse. `out` is to be given to derp_index_free in any case. */
bool derp_map_index(const char *json, size_t n, struct derp_index *out, char error[DERPMAP_ERROR_SIZE]);
void derp_index_free(struct derp_index *index);
const struct derp_span *derp_index_find(const struct derp_index *index, int64_t id); /* NULL: no such region */
const struct derp_region *derp_map_by_code(const struct derp_map *map, const char *code);
const struct derp_region *derp_map_by_id(const struct derp_map *map, int64_t id);
int64_t derp_map_score(const struct derp_map *map, int64_t id); /* 0: none */

/* The home of a peer as its node record says it: the number HomeDERP, or, where that is 0, the old member DERP, `127.3.3.40:N` (MAP-018).
 * 0: unknown. */
int64_t derp_home(int64_t home_derp, const char *old, size_t n);
/* And after a patch: its DERPRegion, unless that is 0. */
int64_t derp_home_patched(int64_t home, int64_t derp_region);

#endif
