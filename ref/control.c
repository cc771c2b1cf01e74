/* Members, their homes, and who is to be told. News are not stored but walked: one change at a time, from member to member. */
#include "control.h"

#include "buf.h"
#include "keymap.h"

#include <stdlib.h>
#include <string.h>

struct member {
	uint8_t key[KEY_SIZE];
	uint32_t tailnet; /* CONTROL_NONE: free */
	uint32_t flags, home;
	bool reported;
	uint32_t prev, next; /* in the tailnet, in order of joining; next also in the list of free ones */
};

struct tailnet {
	struct packet *map;
	uint32_t first, last, members;
};

/* The change whose news are being told. */
enum change { CHANGE_NONE, CHANGE_JOIN, CHANGE_HOME, CHANGE_MAP };

struct control {
	struct member *member;
	uint32_t members, members_cap, member_free;
	struct tailnet *tailnet;
	uint32_t tailnets, tailnets_cap;
	struct keymap by_key;
	enum change change;
	uint32_t at;           /* JOIN: the next peer to speak of; else the next member to tell */
	uint32_t joined;       /* JOIN: who is told */
	bool map_told;         /* JOIN */
	uint8_t key[KEY_SIZE]; /* HOME: of whom */
	uint32_t home;
};

static const uint8_t *key_at(const void *owner, uint32_t index) { return ((const struct control *)owner)->member[index].key; }

struct control *control_new(const uint8_t secret[16])
{
	struct control *c = mem_zero(1, sizeof *c);

	keymap_init(&c->by_key, secret, key_at, c);
	c->member_free = CONTROL_NONE;
	return c;
}

void control_free(struct control *c)
{
	if (c == NULL) return;
	for (uint32_t i = 0; i < c->tailnets; i++) packet_drop(c->tailnet[i].map);
	keymap_free(&c->by_key);
	free(c->member);
	free(c->tailnet);
	free(c);
}

bool control_report_differs(const struct control_report *a, const struct control_report *b) { return a->home != b->home || a->flags != b->flags; }

/* ---- changes ---- */

static void change(struct control *c, enum change what, uint32_t tailnet)
{
	assert(c->change == CHANGE_NONE); /* the news of the last one have been taken */
	c->change = what;
	c->at = c->tailnet[tailnet].first;
}

uint32_t control_tailnet(struct control *c)
{
	if (c->tailnets == CONTROL_TAILNETS_MAX) return CONTROL_NONE;
	MEM_ROOM(c->tailnet, c->tailnets, c->tailnets_cap);
	c->tailnet[c->tailnets] = (struct tailnet){ .first = CONTROL_NONE, .last = CONTROL_NONE };
	return c->tailnets++;
}

void control_map(struct control *c, uint32_t tailnet, struct packet *text)
{
	assert(tailnet < c->tailnets);
	change(c, CHANGE_MAP, tailnet);
	packet_drop(c->tailnet[tailnet].map);
	c->tailnet[tailnet].map = text;
}

static uint32_t member_new(struct control *c)
{
	uint32_t i = c->member_free;

	if (i != CONTROL_NONE) {
		c->member_free = c->member[i].next;
		return i;
	}
	if (c->members == CONTROL_MEMBERS_MAX) return CONTROL_NONE;
	MEM_ROOM(c->member, c->members, c->members_cap);
	return c->members++;
}

uint32_t control_join(struct control *c, uint32_t tailnet, const uint8_t key[KEY_SIZE])
{
	struct tailnet *t = &c->tailnet[tailnet];
	uint32_t i;

	assert(tailnet < c->tailnets);
	if (keymap_find(&c->by_key, key) != KEYMAP_NONE) return CONTROL_NONE;
	i = member_new(c);
	if (i == CONTROL_NONE) return CONTROL_NONE;
	c->member[i] = (struct member){ .tailnet = tailnet, .prev = t->last, .next = CONTROL_NONE };
	memcpy(c->member[i].key, key, KEY_SIZE);
	keymap_add(&c->by_key, key, i);
	if (t->last == CONTROL_NONE)
		t->first = i;
	else
		c->member[t->last].next = i;
	t->last = i;
	t->members++;
	change(c, CHANGE_JOIN, tailnet);
	c->joined = i;
	c->map_told = false;
	return i;
}

static void home_changed(struct control *c, uint32_t tailnet, const uint8_t *key, uint32_t home)
{
	change(c, CHANGE_HOME, tailnet);
	memcpy(c->key, key, KEY_SIZE);
	c->home = home;
}

void control_leave(struct control *c, uint32_t member)
{
	struct member *m = &c->member[member];
	struct tailnet *t;
	uint8_t key[KEY_SIZE];

	assert(member < c->members && m->tailnet != CONTROL_NONE);
	assert(c->change == CHANGE_NONE);
	t = &c->tailnet[m->tailnet];
	memcpy(key, m->key, KEY_SIZE);
	keymap_remove(&c->by_key, key);
	if (m->prev == CONTROL_NONE)
		t->first = m->next;
	else
		c->member[m->prev].next = m->next;
	if (m->next == CONTROL_NONE)
		t->last = m->prev;
	else
		c->member[m->next].prev = m->prev;
	t->members--;
	if (m->home != 0) home_changed(c, m->tailnet, key, 0);
	*m = (struct member){ .tailnet = CONTROL_NONE, .next = c->member_free };
	c->member_free = member;
}

bool control_report(struct control *c, uint32_t member, const struct control_report *report)
{
	struct member *m = &c->member[member];
	struct control_report before = { .home = m->home, .flags = m->flags };
	uint32_t old = m->home;

	assert(member < c->members && m->tailnet != CONTROL_NONE);
	assert(report->latencies <= CONTROL_LATENCIES_MAX);
	if (m->reported && !control_report_differs(&before, report)) return false;
	m->reported = true;
	m->home = report->home;
	m->flags = report->flags;
	if (m->home != old) home_changed(c, m->tailnet, m->key, m->home);
	return true;
}

/* ---- news ---- */

static bool tell_map(const struct control *c, uint32_t member, struct control_news *out)
{
	*out = (struct control_news){ .member = member, .map = true, .text = c->tailnet[c->member[member].tailnet].map };
	return true;
}

/* First the map, then who is where. */
static bool join_news(struct control *c, struct control_news *out)
{
	if (!c->map_told) {
		c->map_told = true;
		return tell_map(c, c->joined, out);
	}
	while (c->at != CONTROL_NONE) {
		const struct member *m = &c->member[c->at];
		c->at = m->next;
		if (m->home == 0) continue; /* that of who joined among them */
		*out = (struct control_news){ .member = c->joined, .home = m->home };
		memcpy(out->key, m->key, KEY_SIZE);
		return true;
	}
	return false;
}

static bool home_news(struct control *c, struct control_news *out)
{
	uint32_t at = c->at;

	if (at != CONTROL_NONE && memcmp(c->member[at].key, c->key, KEY_SIZE) == 0) at = c->member[at].next; /* it knows */
	if (at == CONTROL_NONE) return false;
	c->at = c->member[at].next;
	*out = (struct control_news){ .member = at, .home = c->home };
	memcpy(out->key, c->key, KEY_SIZE);
	return true;
}

static bool map_news(struct control *c, struct control_news *out)
{
	uint32_t at = c->at;

	if (at == CONTROL_NONE) return false;
	c->at = c->member[at].next;
	return tell_map(c, at, out);
}

bool control_news(struct control *c, struct control_news *out)
{
	bool more = false;

	switch (c->change) {
	case CHANGE_NONE: break;
	case CHANGE_JOIN: more = join_news(c, out); break;
	case CHANGE_HOME: more = home_news(c, out); break;
	case CHANGE_MAP: more = map_news(c, out); break;
	}
	if (!more) c->change = CHANGE_NONE;
	return more;
}

struct event_command control_command(const struct control_news *news)
{
	if (!news->map) return (struct event_command){ .verb = COMMAND_PEER, .dst = news->key, .region = news->home };
	if (news->text == NULL) return (struct event_command){ .verb = COMMAND_MAP };
	return (struct event_command){ .verb = COMMAND_MAP, .owner = news->text, .p = news->text->bytes, .n = news->text->n };
}

/* ---- views ---- */

uint32_t control_member(const struct control *c, const uint8_t key[KEY_SIZE])
{
	uint32_t i = keymap_find(&c->by_key, key);

	return i == KEYMAP_NONE ? CONTROL_NONE : i;
}

uint32_t control_home(const struct control *c, uint32_t member) { return c->member[member].home; }
uint32_t control_members(const struct control *c, uint32_t tailnet) { return c->tailnet[tailnet].members; }

struct packet *control_map_text(const struct derp_map *map, void (*permute)(void *ctx, const struct derp_region *region, uint32_t *order), void *ctx)
{
	size_t n;
	char *json = derp_map_json(map, permute, ctx, &n);
	struct packet *packet = packet_copy((const uint8_t *)json, (uint32_t)n);

	free(json);
	return packet;
}
