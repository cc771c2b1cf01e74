/* Two ascending lists of regions walked together; in a region that both have, the nodes likewise by their names. */
#include "derpmap_diff.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

/* A node and its place in its region. */
struct named {
	const struct derp_node *node;
	uint32_t place;
};

/* The places of a node that both regions have. */
struct both {
	uint32_t was, is;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->node->name, y->node->name);

	return order != 0 ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int by_place(const void *a, const void *b)
{
	const struct both *x = a, *y = b;

	return x->was < y->was ? -1 : x->was > y->was;
}

static struct named *names_of(const struct derp_region *region)
{
	struct named *v = mem_alloc(((uint64_t)region->nodes + 1) * sizeof *v);

	for (uint32_t i = 0; i < region->nodes; i++) v[i] = (struct named){ &region->node[i], i };
	qsort(v, region->nodes, sizeof *v, by_name);
	return v;
}

static bool node_equal(const struct derp_node *a, const struct derp_node *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->host_name, b->host_name) == 0 && strcmp(a->cert_name, b->cert_name) == 0 &&
	       strcmp(a->ipv4, b->ipv4) == 0 && strcmp(a->ipv6, b->ipv6) == 0 && a->region_id == b->region_id && a->stun_port == b->stun_port &&
	       a->derp_port == b->derp_port && a->stun_only == b->stun_only && a->insecure_for_tests == b->insecure_for_tests &&
	       a->can_port80 == b->can_port80;
}

static bool itself_equal(const struct derp_region *a, const struct derp_region *b)
{
	return strcmp(a->code, b->code) == 0 && strcmp(a->name, b->name) == 0 && a->latitude_udeg == b->latitude_udeg &&
	       a->longitude_udeg == b->longitude_udeg && a->avoid == b->avoid && a->no_measure_no_home == b->no_measure_no_home;
}

static void add_node(struct derp_diff *d, enum derp_change what, const struct derp_node *was, const struct derp_node *is)
{
	MEM_ROOM(d->node, d->nodes, d->nodes_cap);
	d->node[d->nodes++] = (struct derp_node_change){ .what = what, .was = was, .is = is };
}

static void add_region(struct derp_diff *d, const struct derp_region_change *change)
{
	MEM_ROOM(d->region, d->regions, d->regions_cap);
	d->region[d->regions++] = *change;
}

/* Do the nodes that both have follow each other as before? */
static bool in_order(struct both *both, uint32_t n)
{
	qsort(both, n, sizeof *both, by_place);
	for (uint32_t i = 1; i < n; i++)
		if (both[i].is < both[i - 1].is) return false;
	return true;
}

/* Lists what became of the nodes; returns whether those that stayed changed places. */
static bool diff_nodes(struct derp_diff *d, const struct derp_region *was, const struct derp_region *is)
{
	struct named *a = names_of(was), *b = names_of(is);
	struct both *both = mem_alloc(((uint64_t)was->nodes + 1) * sizeof *both);
	uint32_t i = 0, k = 0, n = 0;
	bool reordered;

	while (i < was->nodes || k < is->nodes) {
		int order = i == was->nodes ? 1 : k == is->nodes ? -1 : strcmp(a[i].node->name, b[k].node->name);
		if (order < 0) {
			add_node(d, DERP_REMOVED, a[i++].node, NULL);
		} else if (order > 0) {
			add_node(d, DERP_ADDED, NULL, b[k++].node);
		} else {
			if (!node_equal(a[i].node, b[k].node)) add_node(d, DERP_CHANGED, a[i].node, b[k].node);
			both[n++] = (struct both){ a[i++].place, b[k++].place };
		}
	}
	reordered = !in_order(both, n);
	free(a);
	free(b);
	free(both);
	return reordered;
}

static void diff_region(struct derp_diff *d, const struct derp_region *was, const struct derp_region *is)
{
	struct derp_region_change change = {
		.id = was->id, .what = DERP_CHANGED, .was = was, .is = is, .itself = !itself_equal(was, is), .node = d->nodes
	};

	change.reordered = diff_nodes(d, was, is);
	change.nodes = d->nodes - change.node;
	if (change.itself || change.reordered || change.nodes != 0) add_region(d, &change);
}

static bool scores_equal(const struct derp_map *a, const struct derp_map *b)
{
	if (a->scores != b->scores) return false;
	for (uint32_t i = 0; i < a->scores; i++)
		if (a->score[i].region != b->score[i].region || a->score[i].micro != b->score[i].micro) return false;
	return true;
}

void derp_map_diff(const struct derp_map *was, const struct derp_map *is, struct derp_diff *out)
{
	uint32_t i = 0, k = 0;

	*out = (struct derp_diff){ .scores = !scores_equal(was, is), .omit_default_regions = was->omit_default_regions != is->omit_default_regions };
	while (i < was->regions || k < is->regions) {
		const struct derp_region *a = i < was->regions ? &was->region[i] : NULL, *b = k < is->regions ? &is->region[k] : NULL;
		if (b == NULL || (a != NULL && a->id < b->id)) {
			add_region(out, &(struct derp_region_change){ .id = a->id, .what = DERP_REMOVED, .was = a }); /* TRP-037 */
			i++;
		} else if (a == NULL || b->id < a->id) {
			add_region(out, &(struct derp_region_change){ .id = b->id, .what = DERP_ADDED, .is = b });
			k++;
		} else {
			diff_region(out, a, b);
			i++, k++;
		}
	}
}

void derp_diff_free(struct derp_diff *d)
{
	free(d->region);
	free(d->node);
	*d = (struct derp_diff){ 0 };
}

bool derp_diff_empty(const struct derp_diff *d) { return d->regions == 0 && !d->scores && !d->omit_default_regions; } /* MAP-011 */
