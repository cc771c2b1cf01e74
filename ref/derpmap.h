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
	bool omit_default_regions;
};

enum { DERPMAP_REGIONS_MAX = 65536, DERPMAP_NODES_MAX = 4096, DERPMAP_BYTES_MAX = 64 << 20, DERPMAP_ERROR_SIZE = 300 };

/* NULL: `error` says where (line:column and JSON path) and what. */
struct derp_map *derp_map_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE]);
void derp_map_free(struct derp_map *map);
/* One region object, as clients are configured with; derp_region_free gives it back. */
struct derp_region *derp_region_parse(const char *json, size_t n, char error[DERPMAP_ERROR_SIZE]);
void derp_region_free(struct derp_region *region);
/* Writes the region on one line with its nodes in the given order (NULL: as they are); returns the length without NUL, or 0 if it
 * does not fit. For coordinators: the order of nodes is a function of the tailnet (REG-004). */
size_t derp_region_json(const struct derp_region *region, const uint32_t *order, char *out, size_t cap);
const struct derp_region *derp_map_by_code(const struct derp_map *map, const char *code);
const struct derp_region *derp_map_by_id(const struct derp_map *map, int64_t id);
int64_t derp_map_score(const struct derp_map *map, int64_t id); /* 0: none */

#endif
