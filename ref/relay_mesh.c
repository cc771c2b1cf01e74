/* Links to the other relays of the region, and the forwarders that they bring (MSH-004..MSH-031). */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length of http:// or https:// at the beginning, or 0. */
static size_t scheme(const char *p, size_t n)
{
	if (n > 7 && memcmp(p, "http://", 7) == 0) return 7;
	return n > 8 && memcmp(p, "https://", 8) == 0 ? 8 : 0;
}

/* One entry of mesh-with (MSH-002): HOST[:PORT] of certificate and request, perhaps with what to dial behind a slash. Alone it is
 * https; http:// is ours. */
bool mesh_list_next(struct config_text *list, struct mesh_entry *out)
{
	const char *comma, *slash;
	size_t n, head, host;

	while (list->n > 0 && (*list->p == ',' || *list->p == ' ')) list->p++, list->n--;
	if (list->n == 0) return false;
	comma = memchr(list->p, ',', list->n);
	n = comma == NULL ? list->n : (size_t)(comma - list->p);
	*out = (struct mesh_entry){ .url = "" };
	head = scheme(list->p, n);
	slash = memchr(list->p + head, '/', n - head);
	host = slash == NULL ? n : (size_t)(slash - list->p);
	if (n <= 100 && host + 1 != n) {
		snprintf(out->url, sizeof out->url, "%s%.*s/derp", head == 0 ? "https://" : "", (int)host, list->p);
		if (slash != NULL) snprintf(out->dial_host, sizeof out->dial_host, "%.*s", (int)(n - host - 1), slash + 1);
	}
	list->p += n, list->n -= n;
	return true;
}

/* ---- forwarders of a key ---- */

/* Where the link stands, or should be appended, in the list of a peer. */
static uint32_t *forwarder_place(struct relay *r, struct peer *peer, uint32_t link)
{
	uint32_t *place = &peer->forwarder;

	while (*place != SLOT_NONE && r->forwarder[*place].link != link) place = &r->forwarder[*place].next;
	return place;
}

static void count_remote(struct relay *r, const struct peer *peer, bool more)
{
	if (peer->sessions == 0) r->count.clients_remote += more ? 1 : UINT64_MAX;
	r->count.clients_total = r->count.clients_local + r->count.clients_remote;
	r->mesh_keys += more ? 1 : UINT32_MAX;
}

static void note_forwarder(const struct relay *r, uint64_t now, const struct peer *peer, uint32_t link, bool known)
{
	relay_note(r, &(struct note){ .kind = NOTE_FORWARDER, .now = now, .key = peer->key, .a = link, .b = known });
}

static void forwarder_add(struct relay *r, uint64_t now, uint32_t link, const uint8_t *key)
{
	uint32_t index = r->link[link].keys < r->config.mesh_keys_max ? peer_of_key(r, key) : SLOT_NONE, f = r->forwarders_free, *place;
	struct peer *peer;

	if (index == SLOT_NONE) return; /* ours: what a sibling tells has a limit too; to such a key there is no way */
	peer = &r->peer[index];
	if (*forwarder_place(r, peer, link) != SLOT_NONE) return; /* MSH-026, TRP-009 */
	r->link[link].keys++;
	if (f != SLOT_NONE) {
		r->forwarders_free = r->forwarder[f].next;
	} else {
		MEM_ROOM(r->forwarder, r->forwarders, r->forwarders_cap);
		f = r->forwarders++;
	}
	place = forwarder_place(r, peer, link);
	r->forwarder[f] = (struct forwarder){ .link = link, .next = SLOT_NONE };
	if (place == &peer->forwarder)
		count_remote(r, peer, true);
	else if (place == &r->forwarder[peer->forwarder].next)
		r->count.multiforwarder_created++; /* MSH-031 */
	*place = f;
	note_forwarder(r, now, peer, link, true);
}

static void forwarder_remove(struct relay *r, uint64_t now, uint32_t link, uint32_t index)
{
	struct peer *peer = &r->peer[index];
	uint32_t *place = forwarder_place(r, peer, link), f = *place;

	if (f == SLOT_NONE) { /* MSH-028 */
		if (peer->forwarder != SLOT_NONE) r->count.packet_forwarder_delete_other_value++;
		return;
	}
	r->link[link].keys--;
	*place = r->forwarder[f].next; /* MSH-027: the list is in order of registration */
	r->forwarder[f].next = r->forwarders_free;
	r->forwarders_free = f;
	note_forwarder(r, now, peer, link, false);
	if (peer->forwarder != SLOT_NONE) {
		if (r->forwarder[peer->forwarder].next == SLOT_NONE) r->count.multiforwarder_deleted++;
		return;
	}
	count_remote(r, peer, false);
	if (peer->sessions == 0) peer_gone_from_region(r, index); /* PGR-004 b, MSH-030 */
	peer_settle(r, index);
}

static void forwarder_forget_key(struct relay *r, uint64_t now, uint32_t link, const uint8_t *key)
{
	uint32_t index = keymap_find(&r->keys, key);

	if (index != KEYMAP_NONE) forwarder_remove(r, now, link, index);
}

/* MSH-014: all keys of a link. */
static void forwarder_forget_all(struct relay *r, uint64_t now, uint32_t link)
{
	for (uint32_t i = 0; i < r->peers; i++)
		if (r->peer[i].forwarder != SLOT_NONE && *forwarder_place(r, &r->peer[i], link) != SLOT_NONE) forwarder_remove(r, now, link, i);
}

/* ---- links ---- */

static void note_state(struct relay *r, uint64_t now, uint32_t link)
{
	enum mesh_state state = mesh_state(r->link[link].mesh);

	if (state == r->link[link].state) return;
	r->link[link].state = state;
	relay_note(r, &(struct note){ .kind = NOTE_MESH, .now = now, .a = link, .b = state, .text = r->link[link].url });
}

static void heard(struct relay *r, uint64_t now, uint32_t link, const struct action *x)
{
	const struct action_deliver *d = &x->deliver;

	switch (d->what) {
	case DELIVER_PEER_PRESENT: forwarder_add(r, now, link, d->key); break;     /* MSH-011 */
	case DELIVER_PEER_GONE: forwarder_forget_key(r, now, link, d->key); break; /* whatever its reason: TRP-022 */
	case DELIVER_CONNECTED:
	case DELIVER_DISCONNECTED: forwarder_forget_all(r, now, link); break; /* MSH-014, PGR-012 */
	case DELIVER_DROPPED:                                                 /* ours counts what a link could not take (TRP-012; MSH-022) */
		route_drop(r, now, x->token, d->key, d->key, x->span.p, x->span.n, (enum drop_reason)d->a);
		break;
	default: break; /* the rest is of no concern to a link */
	}
}

static void link_step(struct relay *r, uint32_t link, const struct event *e, struct actions *out)
{
	uint32_t first = r->up.n;

	machine_step(mesh_machine(r->link[link].mesh), e, out, &r->up);
	for (uint32_t i = first; i < r->up.n; i++) {
		struct action x = r->up.v[i]; /* the list may grow meanwhile */
		heard(r, e->now, link, &x);
	}
	if (first == 0) actions_reset(&r->up);
	note_state(r, e->now, link);
}

static void link_start(struct relay *r, uint32_t link, const char *dial_host, const struct event *e, struct actions *out)
{
	const struct event_start *start = e->start;
	struct event_start child = *start;
	char config[512], key[KEY_HEX], mesh_key[KEY_HEX];
	struct event event = { .kind = EVENT_START, .now = e->now, .start = &child };

	key_hex(r->config.key.b, key);
	key_hex(r->config.mesh_key.b, mesh_key);
	child.config_n =
		(size_t)snprintf(config, sizeof config, "key=%.*s\nmesh-key=%.*s\nurl=%s\ndial-host=%s\nmesh-retry=%lluns\nraw=%s\nprofile=%s\n",
	                         KEY_HEX, key, KEY_HEX, mesh_key, r->link[link].url, dial_host, (unsigned long long)r->config.mesh_retry,
	                         r->config.raw ? "on" : "off", relay_is_derper(r) ? "derper" : "ours");
	assert(child.config_n < sizeof config);
	child.config = config;
	child.slot_first = r->slot_first + link * MESH_SLOTS;
	child.slot_count = MESH_SLOTS;
	child.sockets_n = 0;
	rng_bytes(&r->rng, RNG_KEY, child.seed, sizeof child.seed);
	link_step(r, link, &event, out);
	key_wipe(config, sizeof config);
}

/* MSH-005: our links; those of the others to us are connections like any. REG-002: there is no other way out of a relay. */
void links_start(struct relay *r, const struct event *start, struct actions *out)
{
	struct config_text list = r->config.mesh_with;
	struct mesh_entry entry;

	while (mesh_list_next(&list, &entry)) {
		struct relay_link *link = &r->link[r->links];
		assert(r->links < RELAY_LINKS_MAX && entry.url[0] != 0);
		memcpy(link->url, entry.url, sizeof entry.url);
		link->mesh = mesh_new(&r->env);
		link->state = MESH_DOWN;
		link_start(r, r->links++, entry.dial_host, start, out);
	}
	assert(start->start->slot_count >= r->links * MESH_SLOTS);
}

void links_step(struct relay *r, const struct event *e, struct actions *out)
{
	uint32_t link = (token_slot(e->token) - r->slot_first) / MESH_SLOTS;

	assert(token_slot(e->token) >= r->slot_first && link < r->links);
	link_step(r, link, e, out);
}

void links_timer(struct relay *r, uint64_t now, struct actions *out)
{
	struct event e = { .kind = EVENT_TIMER, .now = now };

	for (uint32_t i = 0; i < r->links; i++)
		if (machine_deadline(mesh_machine(r->link[i].mesh)) <= now) link_step(r, i, &e, out);
}

uint64_t links_deadline(const struct relay *r)
{
	uint64_t at = TIME_NEVER;

	for (uint32_t i = 0; i < r->links; i++) {
		uint64_t d = machine_deadline(mesh_machine(r->link[i].mesh));
		if (d < at) at = d;
	}
	return at;
}

void links_forward(struct relay *r, uint64_t now, uint32_t peer, const uint8_t *src, const uint8_t *p, uint32_t n, struct packet *owner,
                   struct actions *out)
{
	const uint8_t *dst = r->peer[peer].key;
	struct event_command command = { .verb = COMMAND_FORWARD, .owner = owner, .dst = dst, .src = src, .p = p, .n = n };
	struct event e = { .kind = EVENT_COMMAND, .now = now, .command = &command };
	uint8_t dst_copy[KEY_SIZE];

	memcpy(dst_copy, dst, KEY_SIZE); /* the link may lose the peer while it is at work */
	command.dst = dst_copy;
	r->count.packets_forwarded_out++; /* MSH-021: before trying */
	relay_note(r, &(struct note){ .kind = NOTE_FORWARD, .now = now, .key = src, .key2 = dst_copy, .p = p, .n = n });
	link_step(r, r->forwarder[r->peer[peer].forwarder].link, &e, out); /* MSH-025 */
}

void links_leave(struct relay *r, uint64_t now, struct actions *out)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	struct event e = { .kind = EVENT_COMMAND, .now = now, .command = &command };

	for (uint32_t i = 0; i < r->links; i++) link_step(r, i, &e, out);
}
