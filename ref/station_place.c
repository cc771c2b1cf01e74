/* The connections of a station: one client a region (CLI-028), each with a token range of its own. */
#include "station_core.h"

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATION_BITS = 16 }; /* dials of one client after which its tokens may be those of the next one */

static bool place_open_now(const struct station_place *p) { return p->region != 0 && !p->leaving; }

/* CLI-028: there is one at most. */
uint32_t place_of(const struct station *s, uint32_t region)
{
	for (uint32_t i = 0; i < s->places && region != 0; i++)
		if (s->place[i].region == region && !s->place[i].leaving) return i;
	return STATION_NONE;
}

/* ---- what a client says ---- */

/* Where the region stands in the list of those that were heard last: its own place, a new one, or that of who was heard longest ago. */
static struct station_heard *heard_place(struct station *s, uint32_t region)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < s->heard_n; i++) {
		if (s->heard[i].region == region) return &s->heard[i];
		if (s->heard[i].at < s->heard[oldest].at) oldest = i;
	}
	if (s->heard_n == STATION_HEARD_MAX) return &s->heard[oldest];
	MEM_ROOM(s->heard, s->heard_n, s->heard_cap);
	return &s->heard[s->heard_n++];
}

/* CLI-041: last heard, at most every 5 s. */
static void record(struct station *s, uint64_t now, struct station_place *p)
{
	if (p->recorded_at != TIME_NEVER && now - p->recorded_at <= station_record_ns) return;
	p->recorded_at = now;
	*heard_place(s, p->region) = (struct station_heard){ .region = p->region, .at = now };
}

static void message_came(struct station *s, uint64_t now, struct station_place *p)
{
	struct action *x;

	record(s, now, p);
	if (!s->warned || p->region != s->home) return;
	s->warned = false;
	x = actions_deliver(s->up, DELIVER_WARNING, TOKEN_NONE);
	x->deliver.region = p->region;
}

/* CLI-040: the text of the last Health frame; an empty one and ServerInfo clear it. */
static void problem_set(struct station_place *p, const uint8_t *text, uint32_t n)
{
	free(p->problem);
	p->problem = NULL;
	if (n == 0) return;
	if (n > STATION_PROBLEM_MAX) n = STATION_PROBLEM_MAX;
	p->problem = mem_alloc((uint64_t)n + 1);
	memcpy(p->problem, text, n);
	p->problem[n] = 0;
}

/* CLI-032. The client itself backs off and comes back. */
static void broken(struct station *s, uint32_t place, enum client_end why)
{
	struct station_place *p = &s->place[place];
	struct action *x;

	p->connected = false;
	p->recorded_at = TIME_NEVER;
	contact_routes_forget(s, place);
	if (why == CLIENT_END_RETURN) return; /* its own doing */
	x = actions_deliver(s->up, DELIVER_CHECK, TOKEN_NONE);
	x->deliver.region = p->region;
	x->deliver.a = STATION_CHECK_BROKEN;
}

/* CLI-039: home is opened again at once. */
static void pinged(struct station *s, uint64_t now, uint32_t place, bool answered)
{
	s->place[place].pinging = false;
	if (answered) {
		message_came(s, now, &s->place[place]);
		return;
	}
	place_shut(s, now, place, STATION_CLOSE_PING, true);
	place_home_open(s, now);
}

static void hear(struct station *s, uint64_t now, uint32_t place, const struct action *x)
{
	struct station_place *p = &s->place[place];

	switch (x->deliver.what) {
	case DELIVER_CONNECTED:
	case DELIVER_DROPPED:
	case DELIVER_REFUSED:
	case DELIVER_LOST: return;
	case DELIVER_DISCONNECTED: broken(s, place, (enum client_end)x->deliver.a); return;
	case DELIVER_PINGED:
		if (p->pinging) pinged(s, now, place, x->deliver.a != 0);
		return;
	case DELIVER_READY:
		p->connected = true;
		problem_set(p, NULL, 0);
		break;
	case DELIVER_HEALTH: problem_set(p, x->span.p, x->span.n); break;
	case DELIVER_PACKET: contact_heard(s, place, x->deliver.key); break;
	case DELIVER_PEER_GONE: contact_gone(s, place, x->deliver.key); break;
	default: break;
	}
	message_came(s, now, p);
}

/* What the client says goes up with its region; what it makes of that comes behind. */
void place_step(struct station *s, uint32_t place, const struct event *e)
{
	uint32_t first = s->up->n, last;

	machine_step(client_machine(s->place[place].client), e, s->out, s->up);
	last = s->up->n;
	for (uint32_t i = first; i < last; i++) s->up->v[i].deliver.region = s->place[place].region;
	for (uint32_t i = first; i < last && !s->place[place].leaving; i++) {
		struct action x = s->up->v[i]; /* the list may grow meanwhile */
		hear(s, e->now, place, &x);
	}
	if (e->kind == EVENT_DIALED && client_token(s->place[place].client) == e->token) s->place[place].local = e->dialed->local;
	if (e->kind == EVENT_CLOSED && e->token == s->place[place].token) s->place[place].linger_at = TIME_NEVER;
}

void place_command(struct station *s, uint64_t now, uint32_t place, const struct event_command *command)
{
	place_step(s, place, &(struct event){ .kind = EVENT_COMMAND, .now = now, .command = command });
}

/* ---- opening ---- */

static uint32_t place_free_one(struct station *s)
{
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].region == 0) return i;
	if (s->places == s->places_max) return STATION_NONE;
	s->place = mem_grow(s->place, (s->places + 1) * sizeof *s->place);
	s->place[s->places] = (struct station_place){ 0 };
	return s->places++;
}

/* CLI-042: can-ack-pings is on unless the owner says otherwise. */
static char *client_config(const struct station *s, uint32_t region, const char *json, size_t *n)
{
	size_t cap = strlen(json) + strlen(s->client_text) + 300;
	char *text = mem_alloc(cap), hex[KEY_HEX];

	key_hex(s->key.b, hex);
	*n = (size_t)snprintf(text, cap, "key=%.*s\nprofile=%s\nprefer-v6=%s\nhome=%s\nconnect=on\nwatch=off\nregion=%s\n%s", KEY_HEX, hex,
	                      s->derper ? "derper" : "ours", s->prefer_v6 ? "on" : "off", region == s->home ? "on" : "off", json, s->client_text);
	assert(*n < cap);
	return text;
}

static void client_start(struct station *s, uint64_t now, uint32_t place, const char *json)
{
	struct station_place *p = &s->place[place];
	struct event_start start = { .wall_ns = s->wall_ns,
		                     .generation_first = p->uses << GENERATION_BITS,
		                     .slot_first = s->slot_first + place * CLIENT_SLOTS,
		                     .slot_count = CLIENT_SLOTS,
		                     .turn_max = s->turn_max,
		                     .low_water = s->low_water };
	char *text = client_config(s, p->region, json, &start.config_n);

	start.config = text;
	rng_bytes(&s->rng, RNG_KEY, start.seed, sizeof start.seed);
	place_step(s, place, &(struct event){ .kind = EVENT_START, .now = now, .start = &start });
	key_wipe(text, start.config_n);
	key_wipe(start.seed, sizeof start.seed);
	free(text);
}

uint32_t place_open(struct station *s, uint64_t now, uint32_t region, enum refusal *why)
{
	uint32_t place;
	char *json;

	assert(place_of(s, region) == STATION_NONE);
	*why = REFUSED_NETWORK;
	if (s->down) return STATION_NONE;
	*why = REFUSED_REGION;
	json = station_map_region(s, region);
	if (json == NULL) return STATION_NONE;
	*why = REFUSED_LIMIT;
	place = place_free_one(s);
	if (place != STATION_NONE) {
		s->place[place] = (struct station_place){ .region = region,
			                                  .uses = s->place[place].uses,
			                                  .client = client_new(&s->env),
			                                  .linger_at = TIME_NEVER,
			                                  .open_at = now,
			                                  .write_at = now,
			                                  .recorded_at = TIME_NEVER };
		if (s->reap_at == TIME_NEVER) s->reap_at = now + station_reap_ns;
		client_start(s, now, place, json);
	}
	free(json);
	return place;
}

/* For home the connection goes that was asked to write longest ago. */
static void make_room(struct station *s, uint64_t now)
{
	uint32_t victim = STATION_NONE;

	for (uint32_t i = 0; i < s->places; i++) {
		if (s->place[i].leaving) return; /* room comes */
		if (victim == STATION_NONE || s->place[i].write_at < s->place[victim].write_at) victim = i;
	}
	if (victim != STATION_NONE) place_shut(s, now, victim, STATION_CLOSE_ROOM, true);
}

void place_home_open(struct station *s, uint64_t now)
{
	enum refusal why = REFUSALS;

	s->home_waits = false;
	if (s->home == 0 || s->left || place_of(s, s->home) != STATION_NONE) return;
	if (place_open(s, now, s->home, &why) != STATION_NONE || why != REFUSED_LIMIT) return;
	s->home_waits = true;
	make_room(s, now);
}

/* ---- closing ---- */

void place_shut(struct station *s, uint64_t now, uint32_t place, enum station_close why, bool abort)
{
	struct station_place *p = &s->place[place];
	struct action *x;

	assert(place_open_now(p));
	contact_routes_forget(s, place);
	problem_set(p, NULL, 0);
	p->leaving = true;
	p->connected = false;
	p->token = client_token(p->client);
	p->linger_at = abort || p->token == TOKEN_NONE ? TIME_NEVER : now + station_linger_ns;
	place_command(s, now, place, &(struct event_command){ .verb = COMMAND_LEAVE, .flag = abort });
	x = actions_deliver(s->up, DELIVER_CLOSED, TOKEN_NONE);
	x->deliver.region = s->place[place].region;
	x->deliver.a = why;
}

void place_shut_all(struct station *s, uint64_t now, enum station_close why, bool abort)
{
	for (uint32_t i = 0; i < s->places; i++)
		if (place_open_now(&s->place[i])) place_shut(s, now, i, why, abort);
}

static bool place_is_over(const struct station_place *p) { return p->leaving && client_is_over(p->client); }

bool place_sweep(struct station *s)
{
	bool some = false;

	for (uint32_t i = 0; i < s->places; i++) {
		if (!place_is_over(&s->place[i])) continue;
		machine_free(client_machine(s->place[i].client));
		s->place[i] = (struct station_place){ .uses = s->place[i].uses + 1 };
		some = true;
	}
	return some;
}

/* ---- time ---- */

/* CLI-034: received packets do not count; home is never closed (REG-003). */
static void reap(struct station *s, uint64_t now)
{
	bool others = false;

	s->reap_at = TIME_NEVER;
	for (uint32_t i = 0; i < s->places; i++) {
		struct station_place *p = &s->place[i];
		if (!place_open_now(p) || p->region == s->home) continue;
		if (now - p->write_at >= station_idle_ns)
			place_shut(s, now, i, STATION_CLOSE_IDLE, false);
		else
			others = true;
	}
	if (others) s->reap_at = now + station_reap_ns;
}

void place_timer(struct station *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->places; i++) {
		struct station_place *p = &s->place[i];
		if (p->client != NULL && machine_deadline(client_machine(p->client)) <= now)
			place_step(s, i, &(struct event){ .kind = EVENT_TIMER, .now = now });
		p = &s->place[i];
		if (p->region == 0 || p->linger_at > now) continue;
		actions_close(s->out, p->token, true);
		p->linger_at = TIME_NEVER;
	}
	if (now >= s->reap_at) reap(s, now);
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t place_deadline(const struct station *s)
{
	uint64_t at = s->reap_at;

	for (uint32_t i = 0; i < s->places; i++) {
		const struct station_place *p = &s->place[i];
		if (p->region == 0) continue;
		if (place_is_over(p)) return 0; /* its place is wanted */
		at = sooner(at, sooner(p->linger_at, machine_deadline(client_machine(p->client))));
	}
	return at;
}
