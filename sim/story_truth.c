/* Who is where: what is true at both ends, kept up to date with every login, leave, crash and close.
 *
 * A client is connected while it holds a connection that is registered at the other end, on a host that runs; it is a zombie while it
 * holds one that leads nowhere. Failover of a client: from the fault until ServerInfo arrives on another connection. Of a pair: from the first
 * packet sent after the fault to the first delivered; whether that was the same packet is kept apart, since one whose first packet is lost
 * comes back with the next that its load happens to send, minutes later perhaps. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

uint32_t truth_client_of_key(const struct story *st, const uint8_t *key)
{
	uint32_t client = key == NULL ? KEYMAP_NONE : keymap_find(&st->by_key, key);

	return client == KEYMAP_NONE ? NOBODY : client;
}

/* ---- who is connected ---- */

static void set_alive(struct story *st, struct story_client *c, bool alive)
{
	if (c->alive == alive) return;
	c->alive = alive;
	st->connected += alive ? 1 : UINT64_MAX;
	st->zombies += alive ? UINT64_MAX : 1; /* it is ready: whoever is not alive is a zombie until it knows */
	story_dirty(st, DIRT_CLIENTS);
}

static void set_away(struct story *st, struct story_client *c, bool away)
{
	if (c->away == away) return;
	c->away = away;
	st->away += away ? 1 : UINT64_MAX;
}

static uint32_t *session_slot(struct story_node *n, uint64_t token)
{
	uint32_t slot = token_slot(token), cap = n->sessions;

	if (slot >= cap) {
		while (slot >= cap) cap = cap ? 2 * cap : 64;
		n->session = mem_grow(n->session, (uint64_t)cap * sizeof *n->session);
		for (uint32_t i = n->sessions; i < cap; i++) n->session[i] = NOBODY;
		n->sessions = cap;
	}
	return &n->session[slot];
}

void truth_login(struct story *st, uint32_t node, const struct note *note)
{
	struct story_node *n = &st->node[node];
	uint32_t client = truth_client_of_key(st, note->key);

	if (client == NOBODY) return; /* a mesh peer */
	*session_slot(n, note->token) = client;
	n->conns++;
	story_dirty(st, DIRT_CLIENTS);
}

void truth_leave(struct story *st, uint32_t node, const struct note *note)
{
	struct story_node *n = &st->node[node];
	uint32_t *slot = session_slot(n, note->token), client = *slot;
	struct story_client *c;

	if (client == NOBODY) return;
	*slot = NOBODY;
	n->conns--;
	c = &st->client[client];
	if (c->ready && c->node == node && c->peer_token == note->token) {
		act_left(st, client);
		set_alive(st, c, false);
	}
	story_dirty(st, DIRT_CLIENTS);
}

/* From the fault to here. */
static void back(struct story *st, uint32_t client)
{
	struct story_client *c = &st->client[client];

	if (c->fault_at == TIME_NEVER) return;
	dist_add(&st->failover_client, sim_now(st->sim) - c->fault_at);
	record_move(st->record, sim_now(st->sim), client_host(st, client), c->fault_node, c->node, c->fault_at);
	c->fault_at = TIME_NEVER;
	story_dirty(st, DIRT_FAILOVER);
}

void truth_ready(struct story *st, uint32_t client, uint64_t token)
{
	struct story_client *c = &st->client[client];
	uint32_t host, *slot;
	uint64_t peer;
	bool found = sim_peer_of(st->sim, client_host(st, client), token, &host, &peer);

	assert(!c->ready && !c->alive);
	c->ready = true;
	st->zombies++; /* until it is found alive */
	c->token = token;
	c->node = found && host_is_node(st, host) ? host : NOBODY;
	c->peer_token = found ? peer : TOKEN_NONE;
	slot = c->node == NOBODY ? NULL : session_slot(&st->node[c->node], peer);
	if (slot != NULL && *slot == client && st->node[c->node].up) set_alive(st, c, true);
	set_away(st, c, client_node((const struct client *)sim_machine(st->sim, client_host(st, client))) != 0);
	if (c->logins++ > 0) st->reconnects++;
	back(st, client);
	story_dirty(st, DIRT_CLIENTS);
}

void truth_disconnected(struct story *st, uint32_t client, uint64_t token, uint64_t why)
{
	struct story_client *c = &st->client[client];

	(void)why;
	if (!c->ready || c->token != token) return; /* an attempt that failed */
	if (c->alive) set_alive(st, c, false);
	c->ready = c->closing = false;
	st->zombies--;
	set_away(st, c, false);
	story_dirty(st, DIRT_CLIENTS);
}

void truth_hit(struct story *st, uint32_t client)
{
	struct story_client *c = &st->client[client];

	st->hit = true;
	c->hit_at = sim_now(st->sim);
	if (c->fault_at != TIME_NEVER) return; /* still without connection since an earlier one */
	c->fault_at = c->hit_at;
	c->fault_node = c->node;
}

void truth_down(struct story *st, uint32_t node)
{
	struct story_node *n = &st->node[node];

	n->up = false;
	for (uint32_t i = 0; i < n->sessions; i++) {
		uint32_t client = n->session[i];
		struct story_client *c;
		if (client == NOBODY) continue;
		n->session[i] = NOBODY;
		c = &st->client[client];
		c->closing = false;
		if (!c->ready || c->node != node || !c->alive) continue;
		set_alive(st, c, false);
		truth_hit(st, client);
	}
	n->conns = 0;
	for (uint32_t k = 0; k < n->links; k++) n->link[k].up = false;
	story_dirty(st, DIRT_CLIENTS | DIRT_MESH);
}

/* ---- mesh ---- */

void truth_mesh(struct story *st, uint32_t node, const struct note *note)
{
	struct story_node *n = &st->node[node];

	if (note->a >= n->links) return;
	n->link[note->a].up = note->b == MESH_UP;
	n->link[note->a].boots = st->node[n->link[note->a].to].boots;
	story_dirty(st, DIRT_MESH);
}

uint64_t truth_links(const struct story *st, uint32_t node)
{
	const struct story_node *n = &st->node[node];
	uint64_t up = 0;

	for (uint32_t k = 0; n->up && k < n->links; k++) {
		const struct story_node *to = &st->node[n->link[k].to];
		up += n->link[k].up && to->up && to->boots == n->link[k].boots;
	}
	return up;
}

/* ---- pairs ---- */

static void pairs_grow(struct story *st)
{
	struct story_pair *old = st->pair;
	uint32_t old_cap = old == NULL ? 0 : st->pairs_mask + 1, cap = old_cap ? 2 * old_cap : 1024;

	st->pair = mem_zero(cap, sizeof *st->pair);
	st->pairs_mask = cap - 1;
	for (uint32_t i = 0; i < old_cap; i++) {
		uint32_t at = (uint32_t)(old[i].key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & st->pairs_mask;
		if (old[i].key == 0) continue;
		while (st->pair[at].key != 0) at = (at + 1) & st->pairs_mask;
		st->pair[at] = old[i];
	}
	free(old);
}

static struct story_pair *pair_of(struct story *st, uint32_t a, uint32_t b, bool make)
{
	uint64_t key = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
	uint32_t at;

	if (st->pair == NULL || 4 * st->pairs >= 3 * st->pairs_mask) pairs_grow(st);
	at = (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & st->pairs_mask;
	while (st->pair[at].key != 0 && st->pair[at].key != key) at = (at + 1) & st->pairs_mask;
	if (st->pair[at].key == key) return &st->pair[at];
	if (!make) return NULL;
	st->pairs++;
	st->pair[at] = (struct story_pair){ .key = key };
	return &st->pair[at];
}

static void record_reunion(struct story *st, uint64_t at, const struct story_pair *p)
{
	record_pair(st->record, at, client_host(st, (uint32_t)(p->key >> 32)), client_host(st, (uint32_t)p->key), p->sent_at);
}

void truth_pair_sent(struct story *st, uint32_t a, uint32_t b)
{
	uint64_t hit = st->client[a].hit_at > st->client[b].hit_at ? st->client[a].hit_at : st->client[b].hit_at;
	struct story_pair *p;

	if (hit == 0) return;
	p = pair_of(st, a, b, true);
	if (p->hit_at == hit) return;
	p->hit_at = hit;
	if (p->open) return; /* hit again while it waits: the outage goes on */
	p->open = true;
	p->sent_at = sim_now(st->sim);
}

void truth_pair_delivered(struct story *st, uint32_t a, uint32_t b, uint64_t sent_at)
{
	struct story_pair *p = pair_of(st, a, b, false);

	if (p == NULL || !p->open || sent_at < p->sent_at) return;
	p->open = false;
	dist_add(&st->failover_pair, sim_now(st->sim) - p->sent_at);
	record_reunion(st, sim_now(st->sim), p);
	dist_add(sent_at == p->sent_at ? &st->failover_first : &st->failover_later, sim_now(st->sim) - p->sent_at);
	story_dirty(st, DIRT_FAILOVER);
}

static bool both_here(const struct story *st, const struct story_pair *p)
{
	return !st->client[(uint32_t)(p->key >> 32)].gone && !st->client[(uint32_t)p->key].gone;
}

/* Those who never came back, but for those who left. */
void truth_end(struct story *st)
{
	for (uint32_t i = 0; i < st->clients; i++)
		if (st->client[i].fault_at != TIME_NEVER && !st->client[i].gone) {
			st->failover_client.never++;
			record_move(st->record, sim_now(st->sim), client_host(st, i), st->client[i].fault_node, NOBODY, st->client[i].fault_at);
		}
	for (uint32_t i = 0; st->pair != NULL && i <= st->pairs_mask; i++)
		if (st->pair[i].key != 0 && st->pair[i].open && both_here(st, &st->pair[i])) {
			st->failover_pair.never++, st->failover_later.never++;
			record_reunion(st, TIME_NEVER, &st->pair[i]);
		}
}
