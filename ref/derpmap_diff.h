/* What is different between two DERP maps: for control servers that tell of changes, and for clients, of which a changed region closes the
 * connection to it (CLI-038) and an equal map does nothing (MAP-011).
 *
 * Nodes are the same by their Name (MAP-016). Everything points into the two maps, which must outlive the diff. */
#ifndef REF_DERPMAP_DIFF_H
#define REF_DERPMAP_DIFF_H

#include "derpmap.h"

enum derp_change { DERP_ADDED, DERP_REMOVED, DERP_CHANGED };

struct derp_node_change {
	enum derp_change what;
	const struct derp_node *was, *is; /* NULL where there is none */
};

struct derp_region_change {
	int64_t id;
	enum derp_change what;
	const struct derp_region *was, *is;
	/* of a changed one: */
	bool itself;          /* a member other than Nodes */
	bool reordered;       /* nodes that both have stand in another order: other first choices (MAP-004) */
	uint32_t node, nodes; /* its nodes in the list below: added, removed, changed, in order of their Names */
};

struct derp_diff {
	struct derp_region_change *region; /* ascending by id */
	struct derp_node_change *node;
	uint32_t regions, nodes, regions_cap, nodes_cap;
	bool scores, omit_default_regions;
};

/* Makes a diff; derp_diff_free gives it back. */
void derp_map_diff(const struct derp_map *was, const struct derp_map *is, struct derp_diff *out);
void derp_diff_free(struct derp_diff *d);
bool derp_diff_empty(const struct derp_diff *d); /* MAP-011 */

#endif
