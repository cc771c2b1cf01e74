/* Who is here: a peer a key, its connections (DUP), who must hear of its going (PGR), who watches (PGR-018..PGR-026).
 *
 * A peer lives while it has a connection, a forwarder, or stands in a set of some session. Sets are walked in ascending order. */
#include "session.h"

#include <string.h>

const uint8_t *peer_key_at(const void *relay, uint32_t index) { return ((const struct relay *)relay)->peer[index].key; }

bool peer_room(const struct relay *r, const uint8_t key[KEY_SIZE])
{
	return r->keys.n < r->config.keys_max || keymap_find(&r->keys, key) != KEYMAP_NONE;
}

uint32_t peer_of_key(struct relay *r, const uint8_t key[KEY_SIZE])
{
	uint32_t index = keymap_find(&r->keys, key);
	struct peer *peer;

	if (index != KEYMAP_NONE) return index;
	if (!peer_room(r, key)) return SLOT_NONE;
	index = r->peers_free;
	if (index != SLOT_NONE) {
		r->peers_free = r->peer[index].first;
	} else {
		MEM_ROOM(r->peer, r->peers, r->peers_cap);
		index = r->peers++;
	}
	peer = &r->peer[index];
	*peer = (struct peer){ .active = SLOT_NONE, .first = SLOT_NONE, .last = SLOT_NONE, .forwarder = SLOT_NONE };
	memcpy(peer->key, key, KEY_SIZE);
	keymap_add(&r->keys, key, index);
	return index;
}

void peer_settle(struct relay *r, uint32_t index)
{
	struct peer *peer = &r->peer[index];

	if (peer->sessions != 0 || peer->forwarder != SLOT_NONE || peer->refs != 0) return;
	assert(peer->recipients.n == 0 && peer->active == SLOT_NONE);
	keymap_remove(&r->keys, peer->key);
	peer->first = r->peers_free;
	r->peers_free = index;
}

static bool set_add(struct relay *r, struct slotset *set, uint32_t index)
{
	if (!slotset_add(set, index)) return false;
	r->peer[index].refs++;
	return true;
}

static void set_remove(struct relay *r, struct slotset *set, uint32_t index)
{
	if (!slotset_remove(set, index)) return;
	assert(r->peer[index].refs > 0);
	r->peer[index].refs--;
	peer_settle(r, index);
}

static void set_clear(struct relay *r, struct slotset *set)
{
	for (uint32_t i = slotset_next(set, 0); i != SLOTSET_NONE; i = slotset_next(set, i + 1)) set_remove(r, set, i);
}

/* ---- PeerGone ---- */

/* Keys that are not here, or no longer, live as long as somebody must hear of them. Who does not take the news of departed-max of them is
 * closed, so that one who reads slowly does not make the table grow for ever; so many sources that nobody here knows are tracked. */
static void departed_limit(struct relay *r, struct session *s)
{
	if (s->gone_due.n > r->config.departed_max || s->dirty.n > r->count.clients_local + r->config.departed_max)
		session_doom(r, s, "does not take the news of too many keys");
}

void peer_heard(struct relay *r, struct session *recipient, uint32_t index, const uint8_t *source)
{
	if (index == SLOT_NONE) index = keymap_find(&r->keys, source);
	if (index == SLOT_NONE && recipient->seen.n >= r->count.clients_total + r->config.departed_max) return;
	if (index == SLOT_NONE) index = peer_of_key(r, source);
	if (index == SLOT_NONE) return;
	if (set_add(r, &recipient->seen, index)) slotset_add(&r->peer[index].recipients, recipient->slot);
}

/* PGR-004, PGR-005. Ours forgets that the recipient has seen the peer, so that a later departure is told again; the original
 * remembers and tells at most once (PGR-007, TRP-011). */
void peer_gone_from_region(struct relay *r, uint32_t index)
{
	struct slotset *recipients = &r->peer[index].recipients;

	r->peer[index].refs++; /* hold it while its sets change */
	for (uint32_t slot = slotset_next(recipients, 0); slot != SLOTSET_NONE; slot = slotset_next(recipients, slot + 1)) {
		struct session *s = session_at(r, slot);
		assert(s->phase == SESSION_STEADY && slotset_has(&s->seen, index));
		slotset_remove(recipients, slot);
		set_add(r, &s->gone_due, index);
		departed_limit(r, s);
		route_ready(r, s);
		if (!relay_is_derper(r)) set_remove(r, &s->seen, index);
	}
	r->peer[index].refs--;
}

/* PGR-008: what a connection has seen ends with it. */
static void untrack(struct relay *r, struct session *s)
{
	for (uint32_t i = slotset_next(&s->seen, 0); i != SLOTSET_NONE; i = slotset_next(&s->seen, i + 1))
		slotset_remove(&r->peer[i].recipients, s->slot);
	set_clear(r, &s->seen);
	set_clear(r, &s->gone_due);
	set_clear(r, &s->dirty);
}

/* ---- watchers ---- */

uint8_t peer_flags(const struct session *s)
{
	uint8_t flags = (uint8_t)((s->mesh_peer ? PRESENT_MESH : 0) | (s->prober ? PRESENT_PROBER : 0) | (s->not_ideal ? PRESENT_NOT_IDEAL : 0));

	return flags != 0 ? flags : PRESENT_REGULAR; /* PGR-019 */
}

static void tell_watchers(struct relay *r, uint32_t index)
{
	for (uint32_t slot = slotset_next(&r->watchers, 0); slot != SLOTSET_NONE; slot = slotset_next(&r->watchers, slot + 1)) {
		struct session *s = session_at(r, slot);
		set_add(r, &s->dirty, index);
		departed_limit(r, s);
		route_ready(r, s);
	}
}

/* PGR-021: everybody's state is due; MSH-009: a second time just again. */
void peer_watch(struct relay *r, struct session *s, uint64_t now)
{
	if (memcmp(r->peer[s->peer].key, r->public_key.b, KEY_SIZE) == 0) return; /* MSH-008 */
	for (uint32_t i = 0; i < r->peers; i++)
		if (r->peer[i].sessions != 0) set_add(r, &s->dirty, i); /* PGR-026: local keys only */
	if (!s->watcher) {
		s->watcher = true;
		slotset_add(&r->watchers, s->slot);
		r->count.watchers++;
		relay_note(r, &(struct note){ .kind = NOTE_WATCHER, .now = now, .token = s->token, .key = r->peer[s->peer].key });
	}
	route_ready(r, s);
}

/* ---- connections of a key ---- */

static void count_clients(struct relay *r, const struct peer *peer, int sign)
{
	uint64_t one = sign > 0 ? 1 : UINT64_MAX;

	if (peer->sessions != 0)
		r->count.clients_local += one;
	else if (peer->forwarder != SLOT_NONE)
		r->count.clients_remote += one;
	r->count.clients_total = r->count.clients_local + r->count.clients_remote; /* MET-003 */
}

static void list_add(struct relay *r, struct peer *peer, struct session *s)
{
	s->key_prev = peer->last;
	s->key_next = SLOT_NONE;
	if (peer->last == SLOT_NONE)
		peer->first = s->slot;
	else
		session_at(r, peer->last)->key_next = s->slot;
	peer->last = s->slot;
	peer->sessions++;
}

static void list_remove(struct relay *r, struct peer *peer, struct session *s)
{
	if (s->key_prev == SLOT_NONE)
		peer->first = s->key_next;
	else
		session_at(r, s->key_prev)->key_next = s->key_next;
	if (s->key_next == SLOT_NONE)
		peer->last = s->key_prev;
	else
		session_at(r, s->key_next)->key_prev = s->key_prev;
	peer->sessions--;
}

/* DUP-008, DUP-012. The original's history grows without bound (DUP-009, TRP-019); ours keeps the last place of each connection in it. */
static void note_duplicate(struct relay *r, struct peer *peer, struct session *s)
{
	r->count.total_dup_client_conns++;
	if (peer->sessions == 1) {
		session_at(r, peer->first)->history = ++r->history;
		r->count.current_dup_client_keys++;
		r->count.current_dup_client_conns += 2;
		return;
	}
	s->history = ++r->history;
	r->count.current_dup_client_conns++;
}

void peer_register(struct relay *r, struct session *s, uint64_t now, const uint8_t key[KEY_SIZE])
{
	uint32_t index = peer_of_key(r, key);
	struct peer *peer = &r->peer[index];

	count_clients(r, peer, -1);
	if (peer->sessions != 0) note_duplicate(r, peer, s);
	list_add(r, peer, s); /* DUP-001, HSK-029: those that are here stay; SRV-038: as many as come */
	count_clients(r, peer, 1);
	peer->active = s->slot; /* DUP-002 */
	s->peer = index;
	r->count.current_connections++; /* DUP-013 */
	r->count.current_notideal_connections += s->not_ideal;
	r->regular += !s->mesh_peer;
	relay_note(r, &(struct note){ .kind = NOTE_LOGIN,
	                              .now = now,
	                              .token = s->token,
	                              .key = peer->key,
	                              .a = peer_flags(s),
	                              .b = peer->sessions,
	                              .text = s->messages ? "WebSocket" : NULL });
	tell_watchers(r, index); /* PGR-022 */
}

void peer_activity(struct relay *r, struct session *s)
{
	struct peer *peer = &r->peer[s->peer];

	peer->active = s->slot; /* DUP-004. DUP-006: what is queued stays where it is; DUP-003: the others stay what they are */
	s->history = ++r->history;
}

/* DUP-007: the active one if it is still there, else the most recent of the history. */
static void choose_active(struct relay *r, struct peer *peer)
{
	struct session *best = session_at(r, peer->first); /* DUP-010: there is always one */

	for (uint32_t slot = best->key_next; slot != SLOT_NONE; slot = session_at(r, slot)->key_next)
		if (session_at(r, slot)->history > best->history) best = session_at(r, slot);
	peer->active = best->slot;
	if (peer->sessions == 1) best->history = 0; /* an ordinary connection again */
}

static void count_left(struct relay *r, const struct session *s, const struct peer *peer)
{
	r->count.current_connections--;
	r->count.current_home_connections -= s->home;
	r->count.current_notideal_connections -= s->not_ideal;
	r->regular -= !s->mesh_peer;
	if (peer->sessions == 1) {
		r->count.current_dup_client_keys--;
		r->count.current_dup_client_conns -= 2;
	} else if (peer->sessions > 1) {
		r->count.current_dup_client_conns--;
	}
}

void peer_unregister(struct relay *r, struct session *s, uint64_t now, const char *why)
{
	uint32_t index = s->peer;
	struct peer *peer = &r->peer[index];

	if (s->watcher) {
		slotset_remove(&r->watchers, s->slot);
		r->count.watchers--;
	}
	untrack(r, s);
	count_clients(r, peer, -1);
	list_remove(r, peer, s);
	count_clients(r, peer, 1);
	count_left(r, s, peer);
	relay_note(r, &(struct note){ .kind = NOTE_LEAVE, .now = now, .token = s->token, .key = peer->key, .a = peer->sessions, .text = why });
	if (peer->sessions != 0) { /* DUP-015, PGR-011: nobody else hears of it */
		if (peer->active == s->slot || peer->sessions == 1) choose_active(r, peer);
		return;
	}
	peer->active = SLOT_NONE;
	tell_watchers(r, index);                                           /* PGR-023 */
	if (peer->forwarder == SLOT_NONE) peer_gone_from_region(r, index); /* PGR-004 a, MSH-029; PGR-025: a second word to some */
	peer_settle(r, index);
}
