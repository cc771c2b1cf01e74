/* The coordination server, as far as a client of one region sees it: in which order the nodes of its region are told (REG-004). */
#include "story_core.h"

#include <stdio.h>

/* permuted: each tailnet its own order, of which the original makes a function of the tailnet; rotated: the map's order, begun at
 * another node; same: the map's; scattered: each client its own. */
void coordinator_order(const struct story *st, uint32_t client, uint32_t *order)
{
	const struct story_client *c = &st->client[client];
	const struct story_tailnet *t = &st->tailnet[c->tailnet];
	const struct story_region *r = &st->region[c->region];
	char purpose[NAME_MAX_LEN + 8];
	struct prng p;
	uint32_t first;

	for (uint32_t i = 0; i < r->nodes; i++) order[i] = i;
	snprintf(purpose, sizeof purpose, "order %s", r->def->name);
	switch (t->def->policy.order) {
	case SCENARIO_ORDER_SAME: return;
	case SCENARIO_ORDER_PERMUTED:
		p = prng_make(st->options.seed, t->name, purpose);
		prng_shuffle(&p, order, r->nodes);
		return;
	case SCENARIO_ORDER_SCATTERED:
		p = prng_make(st->options.seed, c->name, purpose);
		prng_shuffle(&p, order, r->nodes);
		return;
	case SCENARIO_ORDER_ROTATED:
		p = prng_make(st->options.seed, t->name, purpose);
		first = (uint32_t)prng_below(&p, r->nodes);
		for (uint32_t i = 0; i < r->nodes; i++) order[i] = (first + i) % r->nodes;
		return;
	}
}
