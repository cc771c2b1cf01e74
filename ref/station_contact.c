/* The peers that a station knows: where they are at home, as control says, and on which connection they were heard, which is the reverse
 * route to them (CLI-029, CLI-035, CLI-036, PGR-016).
 *
 * Two ways of learning routes. Ours (TRP-010): with every change of the source on a connection, and again after a PeerGone or a
 * reconnect. The original's: with the first packet of a source on a connection as long as it stands; neither a PeerGone nor, for the last
 * source, a reconnect makes it look again. */
#include "station_core.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t *key_at(const void *owner, uint32_t index) { return ((const struct station *)owner)->contact[index].key; }

void contacts_init(struct station *s)
{
	uint8_t secret[16];

	rng_bytes(&s->rng, RNG_HASH, secret, sizeof secret);
	keymap_init(&s->by_key, secret, key_at, s);
	s->contact_free = s->oldest = s->newest = STATION_NONE;
}

void contacts_free(struct station *s)
{
	keymap_free(&s->by_key);
	free(s->contact);
}

const struct station_contact *contact_find(const struct station *s, const uint8_t *key)
{
	uint32_t i = keymap_find(&s->by_key, key);

	return i == KEYMAP_NONE ? NULL : &s->contact[i];
}

/* ---- who may be forgotten: those without home, the oldest first ---- */

static void list_push(struct station *s, uint32_t i)
{
	struct station_contact *c = &s->contact[i];

	c->prev = s->newest, c->next = STATION_NONE;
	if (s->newest == STATION_NONE)
		s->oldest = i;
	else
		s->contact[s->newest].next = i;
	s->newest = i;
}

static void list_remove(struct station *s, uint32_t i)
{
	const struct station_contact *c = &s->contact[i];

	if (c->prev == STATION_NONE)
		s->oldest = c->next;
	else
		s->contact[c->prev].next = c->next;
	if (c->next == STATION_NONE)
		s->newest = c->prev;
	else
		s->contact[c->next].prev = c->prev;
}

static void route_clear(struct station *s, uint32_t i)
{
	struct station_contact *c = &s->contact[i];

	if (c->place == STATION_NONE) return;
	s->place[c->place].routes--;
	c->place = STATION_NONE;
}

static void contact_remove(struct station *s, uint32_t i)
{
	struct station_contact *c = &s->contact[i];

	assert(c->used && c->home == 0);
	route_clear(s, i);
	for (uint32_t k = 0; k < s->places; k++) slotset_remove(&s->place[k].seen, i);
	list_remove(s, i);
	keymap_remove(&s->by_key, c->key);
	*c = (struct station_contact){ .place = STATION_NONE, .next = s->contact_free };
	s->contact_free = i;
	s->contacts_known--;
}

static uint32_t contact_add(struct station *s, const uint8_t *key)
{
	uint32_t i;

	if (s->contacts_known == s->contacts_max) {
		if (s->oldest == STATION_NONE) return STATION_NONE; /* all have a home */
		contact_remove(s, s->oldest);
	}
	i = s->contact_free;
	if (i != STATION_NONE) {
		s->contact_free = s->contact[i].next;
	} else {
		MEM_ROOM(s->contact, s->contacts, s->contacts_cap);
		i = s->contacts++;
	}
	s->contact[i] = (struct station_contact){ .used = true, .place = STATION_NONE };
	memcpy(s->contact[i].key, key, KEY_SIZE);
	keymap_add(&s->by_key, key, i);
	list_push(s, i);
	s->contacts_known++;
	return i;
}

static bool seen_anywhere(const struct station *s, uint32_t i)
{
	for (uint32_t k = 0; k < s->places; k++)
		if (slotset_has(&s->place[k].seen, i)) return true;
	return false;
}

/* Forgets a contact of which nothing is known any more. */
static void contact_settle(struct station *s, uint32_t i)
{
	const struct station_contact *c = &s->contact[i];

	if (c->used && c->home == 0 && c->place == STATION_NONE && !seen_anywhere(s, i)) contact_remove(s, i);
}

/* ---- homes ---- */

bool contact_home_set(struct station *s, const uint8_t *key, uint32_t region)
{
	uint32_t i = keymap_find(&s->by_key, key);

	if (i == KEYMAP_NONE && region == 0) return true;
	if (i == KEYMAP_NONE) i = contact_add(s, key);
	if (i == STATION_NONE) return false;
	if ((s->contact[i].home == 0) != (region == 0)) {
		if (region == 0)
			list_push(s, i);
		else
			list_remove(s, i);
	}
	s->contact[i].home = region;
	contact_settle(s, i);
	return true;
}

/* ---- routes ---- */

void contact_heard(struct station *s, uint32_t place, const uint8_t *key)
{
	struct station_place *p = &s->place[place];
	uint32_t i;

	if (p->has_last && memcmp(p->last, key, KEY_SIZE) == 0) return; /* the usual case: no look-up */
	p->has_last = true;
	memcpy(p->last, key, KEY_SIZE);
	i = keymap_find(&s->by_key, key);
	if (s->derper && i != KEYMAP_NONE && slotset_has(&p->seen, i)) return; /* CLI-035 */
	if (i == KEYMAP_NONE) i = contact_add(s, key);
	if (i == STATION_NONE) return;
	if (s->derper) slotset_add(&p->seen, i);
	route_clear(s, i);
	s->contact[i].place = place;
	p->routes++;
}

void contact_gone(struct station *s, uint32_t place, const uint8_t *key)
{
	struct station_place *p = &s->place[place];
	uint32_t i = keymap_find(&s->by_key, key);

	if (!s->derper && p->has_last && memcmp(p->last, key, KEY_SIZE) == 0) p->has_last = false; /* TRP-010 */
	if (i == KEYMAP_NONE || s->contact[i].place != place) return;                              /* PGR-016: only of this very connection */
	route_clear(s, i);
	contact_settle(s, i);
}

/* CLI-032: the connection is broken. */
void contact_routes_forget(struct station *s, uint32_t place)
{
	struct station_place *p = &s->place[place];
	struct slotset seen = p->seen;

	p->seen = (struct slotset){ 0 };
	if (!s->derper) p->has_last = false;
	for (uint32_t i = 0; i < s->contacts && p->routes > 0; i++) {
		if (!s->contact[i].used || s->contact[i].place != place) continue;
		route_clear(s, i);
		contact_settle(s, i);
	}
	assert(p->routes == 0);
	for (uint32_t i = slotset_next(&seen, 0); i != SLOTSET_NONE; i = slotset_next(&seen, i + 1)) contact_settle(s, i);
	slotset_free(&seen);
}
