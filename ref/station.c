/* The machine: configuration, commands, timers, views. */
#include "station_core.h"

#include "buf.h"
#include "config.h"
#include "frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct station_config {
	struct key key;
	bool prefer_v6;
	uint32_t profile, regions_max, peers_max;
};

static const char *const profiles[] = { "ours", "derper", NULL };

#define FIELD(member) offsetof(struct station_config, member)
static const struct config_key config_table[] = {
	{ "key", CONFIG_KEY, FIELD(key), 0, 0, NULL },
	{ "profile", CONFIG_ENUM, FIELD(profile), 0, 0, profiles },
	{ "prefer-v6", CONFIG_BOOL, FIELD(prefer_v6), 0, 0, NULL },
	{ "regions-max", CONFIG_U32, FIELD(regions_max), 1, STATION_PLACES_MAX, NULL },
	{ "peers-max", CONFIG_U32, FIELD(peers_max), 1, STATION_CONTACTS_MAX, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

static bool is_ours(const char *line, size_t n)
{
	for (const struct config_key *k = config_table; k->name != NULL; k++) {
		size_t name_n = strlen(k->name);
		if (n > name_n && line[name_n] == '=' && memcmp(line, k->name, name_n) == 0) return true;
	}
	return false;
}

/* Our own lines and those for the clients, each with its line end; both have room for all of the text and a NUL. */
static void config_split(const char *text, size_t n, char *own, char *clients)
{
	for (const char *p = text, *end = text + n; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *stop = eol == NULL ? end : eol;
		char **to = is_ours(p, (size_t)(stop - p)) ? &own : &clients;
		memcpy(*to, p, (size_t)(stop - p));
		*to += stop - p;
		*(*to)++ = '\n';
		p = eol == NULL ? end : eol + 1;
	}
	*own = *clients = 0;
}

static bool config_read(const char *text, size_t n, struct station_config *config, char **client_text, char error[200])
{
	static const char rest[] = "key=0100000000000000000000000000000000000000000000000000000000000000\nprofile=ours\nprefer-v6=off\nhome=off\n"
				   "connect=on\nwatch=off\nregion={}\n";
	char *own = mem_alloc(n + 2), *clients = mem_alloc(n + 2), *whole = mem_alloc(sizeof rest + n + 2);
	bool good;

	*config = (struct station_config){ .regions_max = 64, .peers_max = 65536 };
	config_split(text, n, own, clients);
	snprintf(whole, sizeof rest + n + 2, "%s%s", rest, clients);
	good = config_parse(own, strlen(own), config_table, config, error);
	if (good && key_is_zero(config->key.b)) {
		snprintf(error, 200, "key= is missing: a station needs a private key");
		good = false;
	}
	good = good && client_config_check(whole, strlen(whole), error);
	key_wipe(own, n + 2);
	free(own);
	free(whole);
	*client_text = clients;
	return good;
}

bool station_config_check(const char *text, size_t n, char error[200])
{
	struct station_config config;
	char *clients;
	bool good = config_read(text, n, &config, &clients, error);

	free(clients);
	key_wipe(&config, sizeof config);
	return good;
}

const char *station_close_name(enum station_close why)
{
	static const char *const name[STATION_CLOSES] = { "idle", "map", "home", "network", "address", "ping", "key", "room", "leave" };

	assert(why < STATION_CLOSES);
	return name[why];
}

const char *station_check_name(enum station_check why)
{
	static const char *const name[STATION_CHECKS] = { "broken", "map" };

	assert(why < STATION_CHECKS);
	return name[why];
}

static void start(struct station *s, const struct event *e)
{
	const struct event_start *start = e->start;
	struct station_config config;
	char error[200];
	bool good = config_read(start->config, start->config_n, &config, &s->client_text, error);

	assert(good);
	(void)good;
	assert(start->slot_count >= CLIENT_SLOTS);
	rng_init(&s->rng, start->seed);
	s->key = config.key;
	key_cache_public(s->env.keys, &s->key, &s->public_key);
	s->derper = config.profile == 1;
	s->prefer_v6 = config.prefer_v6;
	s->contacts_max = config.peers_max;
	s->places_max = start->slot_count / CLIENT_SLOTS < config.regions_max ? start->slot_count / CLIENT_SLOTS : config.regions_max;
	s->wall_ns = start->wall_ns, s->turn_max = start->turn_max, s->low_water = start->low_water, s->slot_first = start->slot_first;
	contacts_init(s);
	key_wipe(&config, sizeof config);
}

/* ---- commands ---- */

void station_refuse(struct station *s, const struct event_command *m, enum refusal why)
{
	struct action *x = actions_deliver(s->up, DELIVER_REFUSED, TOKEN_NONE);

	x->span = (struct span){ .owner = m->owner != NULL ? packet_hold(m->owner) : NULL, .p = m->p, .n = m->n };
	x->deliver.key = m->dst;
	x->deliver.a = why;
	x->deliver.b = m->verb;
	x->deliver.region = m->region <= STATION_REGION_MAX ? (uint32_t)m->region : 0;
}

void station_home_set(struct station *s, uint64_t now, uint32_t region)
{
	if (s->warned) actions_deliver(s->up, DELIVER_WARNING, TOKEN_NONE)->deliver.region = s->home;
	s->warned = false;
	s->home = region;
	s->home_since = now;
}

/* CLI-037: every relay hears whether it is home; the old home stays until CLI-034. Homeless, it does not (HOM-019). Control may know
 * of the new home before the connection to it stands (TRP-034). */
static void change_home(struct station *s, uint64_t now, const struct event_command *m)
{
	uint32_t old = place_of(s, s->home), region = (uint32_t)m->region;

	if (m->region > STATION_REGION_MAX) { /* CLI-043 */
		station_refuse(s, m, REFUSED_REGION);
		return;
	}
	s->homeless = region == 0;
	if (region == s->home) return;
	station_home_set(s, now, region);
	actions_deliver(s->up, DELIVER_HOME, TOKEN_NONE)->deliver.region = region;
	if (region == 0 && old != STATION_NONE) place_shut(s, now, old, STATION_CLOSE_HOME, false);
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].region != 0 && !s->place[i].leaving)
			place_command(s, now, i, &(struct event_command){ .verb = COMMAND_HOME, .flag = s->place[i].region == region });
	place_home_open(s, now);
}

/* CLI-029, CLI-030: the connection for a packet to a peer of this home region, 0 = unknown. */
static uint32_t choose(struct station *s, uint64_t now, uint32_t region, const uint8_t *dst, enum refusal *why)
{
	const struct station_contact *contact = contact_find(s, dst);
	uint32_t place;

	if (region == 0 && contact != NULL) region = contact->home;
	place = place_of(s, region);
	if (place != STATION_NONE) return place;
	if (contact != NULL && contact->place != STATION_NONE) return contact->place;
	*why = REFUSED_ROUTE;
	return region == 0 ? STATION_NONE : place_open(s, now, region, why);
}

static void send_packet(struct station *s, uint64_t now, const struct event_command *m)
{
	enum refusal why = REFUSED_REGION;
	uint32_t place = STATION_NONE;
	struct action *x;

	if (m->n > FRAME_PACKET_MAX) { /* CLI-001: no connection is opened for it */
		x = actions_deliver(s->up, DELIVER_DROPPED, TOKEN_NONE);
		x->span = (struct span){ .owner = m->owner != NULL ? packet_hold(m->owner) : NULL, .p = m->p, .n = m->n };
		x->deliver.key = m->dst;
		x->deliver.a = DROP_WRITE_ERROR;
		return;
	}
	if (m->region <= STATION_REGION_MAX) place = choose(s, now, (uint32_t)m->region, m->dst, &why); /* CLI-043 */
	if (place == STATION_NONE) {
		station_refuse(s, m, s->down ? REFUSED_NETWORK : why);
		return;
	}
	s->place[place].write_at = now; /* CLI-034: the request counts, whatever becomes of it */
	place_command(s, now, place, m);
}

/* CLI-039: down closes all, up opens home again. */
static void network(struct station *s, uint64_t now, bool up)
{
	if (up == !s->down) return;
	s->down = !up;
	if (up) {
		s->home_since = now;
		place_home_open(s, now);
	} else {
		place_shut_all(s, now, STATION_CLOSE_NETWORK, true);
	}
}

static bool is_local(const struct event_command *m, const struct address *local)
{
	struct address a;

	for (uint32_t i = 0; i + sizeof a <= m->n; i += (uint32_t)sizeof a) {
		memcpy(&a, m->p + i, sizeof a);
		if (memcmp(a.ip, local->ip, sizeof a.ip) == 0) return true;
	}
	return false;
}

static bool logged_in(const struct client *c) { return client_state(c) == CLIENT_SENT || client_state(c) == CLIENT_READY; }

/* CLI-039: who has no local address yet, or lost it, is closed, the others are asked; home comes back at once. */
static void rebind(struct station *s, uint64_t now, const struct event_command *m)
{
	for (uint32_t i = 0, n = s->places; i < n; i++) { /* not those that are opened meanwhile */
		struct station_place *p = &s->place[i];
		if (p->region == 0 || p->leaving) continue;
		if (!logged_in(p->client) || !is_local(m, &p->local)) {
			place_shut(s, now, i, STATION_CLOSE_ADDRESS, true);
		} else if (!p->pinging) {
			p->pinging = true;
			place_command(s, now, i, &(struct event_command){ .verb = COMMAND_PING, .patience_ns = station_rebind_ns });
		}
	}
	place_home_open(s, now);
}

/* CLI-039: another key is another client. */
static void change_key(struct station *s, uint64_t now, const struct event_command *m)
{
	assert(m->n == KEY_SIZE && !key_is_zero(m->p));
	if (key_equal(m->p, s->key.b)) return;
	memcpy(s->key.b, m->p, KEY_SIZE);
	key_cache_public(s->env.keys, &s->key, &s->public_key);
	place_shut_all(s, now, STATION_CLOSE_KEY, false);
	place_home_open(s, now);
}

static void prefer_v6(struct station *s, uint64_t now, const struct event_command *m)
{
	s->prefer_v6 = m->flag;
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].region != 0 && !s->place[i].leaving) place_command(s, now, i, m);
}

static void learn(struct station *s, const struct event_command *m)
{
	if (m->region > STATION_REGION_MAX)
		station_refuse(s, m, REFUSED_REGION); /* CLI-043 */
	else if (!contact_home_set(s, m->dst, (uint32_t)m->region))
		station_refuse(s, m, REFUSED_LIMIT);
}

static void command(struct station *s, uint64_t now, const struct event_command *m)
{
	if (s->left) {
		if (m->verb != COMMAND_LEAVE) station_refuse(s, m, REFUSED_LEFT);
		return;
	}
	switch (m->verb) {
	case COMMAND_SEND: send_packet(s, now, m); break;
	case COMMAND_PEER: learn(s, m); break;
	case COMMAND_HOME: change_home(s, now, m); break;
	case COMMAND_MAP:
		station_map_set(s, now, m);
		place_home_open(s, now); /* it may have been waiting for its region */
		break;
	case COMMAND_NETWORK: network(s, now, m->flag); break;
	case COMMAND_REBIND: rebind(s, now, m); break;
	case COMMAND_KEY: change_key(s, now, m); break;
	case COMMAND_PREFER_V6: prefer_v6(s, now, m); break;
	case COMMAND_LEAVE:
		s->left = true;
		place_shut_all(s, now, STATION_CLOSE_LEAVE, m->flag);
		break;
	default: assert(false && "a verb of a station");
	}
}

/* ---- events ---- */

/* When the silence of home is to be told. */
static uint64_t silence_at(const struct station *s)
{
	uint64_t heard = station_heard_at(s, s->home), base;

	if (s->home == 0 || s->warned || s->down || s->left) return TIME_NEVER;
	base = heard == TIME_NEVER || heard < s->home_since ? s->home_since : heard;
	return base + station_silence_ns;
}

static void timer(struct station *s, uint64_t now)
{
	struct action *x;

	s->out->work[WORK_TIMERS]++;
	place_timer(s, now);
	if (now < silence_at(s)) return;
	s->warned = true;
	x = actions_deliver(s->up, DELIVER_WARNING, TOKEN_NONE); /* CLI-041 */
	x->deliver.region = s->home;
	x->deliver.a = 1;
}

/* Places that are over are given back before anything else: what they told has been read. */
static void tidy(struct station *s, uint64_t now)
{
	if (place_sweep(s) && s->home_waits) place_home_open(s, now);
}

static void stop(struct station *s)
{
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].region != 0) return;
	s->stopped = true;
	actions_deliver(s->up, DELIVER_STOPPED, TOKEN_NONE);
}

static void step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct station *s = (struct station *)m;
	uint32_t place;

	s->out = out, s->up = up;
	tidy(s, e->now);
	switch (e->kind) {
	case EVENT_START: start(s, e); break;
	case EVENT_TIMER: timer(s, e->now); break;
	case EVENT_COMMAND: command(s, e->now, e->command); break;
	case EVENT_DIALED:
	case EVENT_SECURED:
	case EVENT_BYTES:
	case EVENT_DRAINED:
	case EVENT_CLOSED:
	case EVENT_ANSWER:
		place = (token_slot(e->token) - s->slot_first) / CLIENT_SLOTS;
		assert(token_slot(e->token) >= s->slot_first && place < s->places && s->place[place].client != NULL);
		place_step(s, place, e);
		break;
	default: break;
	}
	if (s->left && !s->stopped) stop(s);
	s->out = s->up = NULL;
}

static uint64_t deadline(const struct machine *m)
{
	const struct station *s = (const struct station *)m;
	uint64_t at = place_deadline(s), silence = silence_at(s);

	return at < silence ? at : silence;
}

static void release(struct machine *m)
{
	struct station *s = (struct station *)m;

	for (uint32_t i = 0; i < s->places; i++) {
		if (s->place[i].client != NULL) machine_free(client_machine(s->place[i].client));
		slotset_free(&s->place[i].seen);
		free(s->place[i].problem);
	}
	contacts_free(s);
	station_map_free(&s->map);
	free(s->place);
	free(s->heard);
	free(s->error);
	free(s->client_text);
	key_wipe(s, sizeof *s);
	free(s);
}

static const struct machine_ops ops = { .name = "station", .step = step, .deadline = deadline, .free = release };

struct station *station_new(const struct machine_env *env)
{
	struct station *s = mem_zero(1, sizeof *s);

	s->machine.ops = &ops;
	s->env = *env;
	s->reap_at = TIME_NEVER;
	return s;
}

/* ---- views ---- */

uint32_t station_home(const struct station *s) { return s->home; }
bool station_homeless(const struct station *s) { return s->homeless; }
const uint8_t *station_public_key(const struct station *s) { return s->public_key.b; }
uint32_t station_peers(const struct station *s) { return s->contacts_known; }

bool station_region(const struct station *s, uint32_t region, struct station_view *out)
{
	uint32_t place = place_of(s, region);
	const struct station_place *p;

	if (place == STATION_NONE) return false;
	p = &s->place[place];
	*out = (struct station_view){ .home = region == s->home,
		                      .connected = p->connected,
		                      .open_at = p->open_at,
		                      .write_at = p->write_at,
		                      .problem = p->problem,
		                      .client = p->client };
	return true;
}

uint32_t station_connections(const struct station *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->places; i++) n += s->place[i].region != 0 && !s->place[i].leaving;
	return n;
}

uint64_t station_heard_at(const struct station *s, uint32_t region)
{
	for (uint32_t i = 0; i < s->heard_n; i++)
		if (s->heard[i].region == region) return s->heard[i].at;
	return TIME_NEVER;
}

uint32_t station_route(const struct station *s, const uint8_t key[KEY_SIZE])
{
	const struct station_contact *c = contact_find(s, key);

	return c == NULL || c->place == STATION_NONE ? 0 : s->place[c->place].region;
}

uint32_t station_peer_home(const struct station *s, const uint8_t key[KEY_SIZE])
{
	const struct station_contact *c = contact_find(s, key);

	return c == NULL ? 0 : c->home;
}

uint64_t station_packets_queued(const struct station *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].client != NULL) n += client_packets_queued(s->place[i].client);
	return n;
}

void station_holds(const struct station *s, const struct machine_holds *visit)
{
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].client != NULL) client_holds(s->place[i].client, visit);
}

uint64_t station_memory(const struct station *s)
{
	uint64_t n = sizeof *s + s->places * sizeof *s->place + s->contacts_cap * sizeof *s->contact + s->heard_cap * sizeof *s->heard +
	             s->map.index.cap * sizeof *s->map.index.region;

	for (uint32_t i = 0; i < s->places; i++) {
		n += slotset_memory(&s->place[i].seen);
		if (s->place[i].client != NULL) n += client_memory(s->place[i].client);
	}
	return n;
}
