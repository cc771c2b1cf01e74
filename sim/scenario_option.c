/* The options of every statement: one line each with its unit, bounds, usual value and place; and the reading of them.
 *
 * An option that is not simulated may be written with its usual value only; one without usual value not at all. Give a flag of 1 to
 * turn it on. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WORDS(...) \
	.word = (const struct scenario_word[]){ __VA_ARGS__ }, \
	.words = sizeof((const struct scenario_word[]){ __VA_ARGS__ }) / sizeof(struct scenario_word)
#define AT(member) .offset = offsetof(struct OF, member)
#define TIME_LONG .unit = SCENARIO_TIME, .hi = SCENARIO_TIME_MAX
#define TIME_UP_TO(most) .unit = SCENARIO_TIME, .hi = UINT64_C(most)
#define TIME_SOME .unit = SCENARIO_TIME, .lo = 1, .hi = SCENARIO_TIME_MAX
#define SHARE .unit = SCENARIO_SHARE, .hi = SCENARIO_SHARE_ALL
#define PACE .unit = SCENARIO_PACE, .lo = 1000000, .hi = UINT64_C(3600000000) * 1000000
#define RATE .unit = SCENARIO_RATE, .lo = 1, .hi = UINT64_C(1000000000) * 1000
#define COUNT(from, to) .unit = SCENARIO_COUNT, .lo = (from), .hi = (to)
enum { YES = 1, NO = 0, ZIPF_MAX = 10000 };

/* ---- tables ---- */

#define OF scenario_world
static const struct scenario_option world_option[] = {
	{ "map", SCENARIO_O_PATH, YES, AT(map) },
	{ "cities", SCENARIO_O_PATH, NO, .usual = "builtin", .never = "builtin", AT(cities) },
	{ "profile", SCENARIO_O_WORD, YES, .usual = "ours", WORDS({ "ours", 1, 0 }, { "derper", 1, 0 }), AT(profile) },
};
#undef OF
#define OF scenario_region
static const struct scenario_option region_option[] = {
	{ "nodes", SCENARIO_O_AMOUNT, YES, .draws = YES, COUNT(1, SCENARIO_NODES_MAX), AT(nodes) },
	{ "city", SCENARIO_O_CITY, YES, AT(city) },
};
#undef OF
#define OF scenario_settings
static const struct scenario_option settings_option[] = {
	{ "cpu", SCENARIO_O_AMOUNT, YES, .draws = YES, COUNT(1, 1024), .usual = "2", AT(cpu) },
	{ "nic", SCENARIO_O_AMOUNT, YES, .draws = YES, RATE, .usual = "1Gbps", AT(nic) },
	{ "mem", SCENARIO_O_AMOUNT, YES, .draws = YES, .unit = SCENARIO_SIZE, .lo = 1 << 20, .hi = UINT64_C(1) << 44, .usual = "2GB", AT(mem) },
	{ "fds", SCENARIO_O_AMOUNT, YES, .draws = YES, COUNT(1, 1 << 24), .usual = "65536", AT(fds) },
	{ "backlog", SCENARIO_O_AMOUNT, YES, .draws = YES, COUNT(1, 1 << 20), .usual = "4096", AT(backlog) },
	{ "handshake", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_UP_TO(10000000000), AT(handshake) },
	{ "packet", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_UP_TO(1000000000), AT(packet) },
	{ "byte", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_UP_TO(1000000), AT(byte) },
	{ "watchdog", SCENARIO_O_AMOUNT, NO, .draws = YES, TIME_SOME, .usual = "off", .never = "off", AT(watchdog) },
	{ "costs", SCENARIO_O_PATH, NO, .usual = "ours", .never = "ours", AT(costs) },
};
static const struct scenario_option mesh_key_option[] = {
	{ "mesh-key", SCENARIO_O_WORD, YES, WORDS({ "", 0, 0 }, { "right", 1, 0 }, { "wrong", 1, 0 }), AT(mesh_key) },
};
#undef OF
#define OF scenario_policy
static const struct scenario_option client_option[] = {
	{ "order", SCENARIO_O_WORD, YES, .usual = "permuted",
	  WORDS({ "permuted", 1, 0 }, { "rotated", 1, 0 }, { "same", 1, 0 }, { "scattered", 1, 0 }), AT(order) },
	{ "return", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_SOME, .usual = "never", .never = "never", AT(back) },
	{ "backoff", SCENARIO_O_WORD, YES, .usual = "original", WORDS({ "original", 1, 0 }, { "full-jitter", 1, 0 }, { "none", 1, 0 }), AT(backoff) },
	{ "hysteresis", SCENARIO_O_WORD, NO, .usual = "on", WORDS({ "on", 1, 0 }, { "off", 1, 0 }), AT(hysteresis) },
	{ "home-needs", SCENARIO_O_WORD, NO, .usual = "stun", WORDS({ "stun", 1, 0 }, { "tcp", 1, 0 }), AT(home_needs) },
	{ "notice", SCENARIO_O_WORD, NO, .usual = "ignore", WORDS({ "ignore", 1, 0 }, { "honour", 1, 0 }), AT(notice) },
};
static const struct scenario_option node_option[] = {
	{ "mesh-retry", SCENARIO_O_AMOUNT, YES, TIME_SOME, .usual = "5s", AT(mesh_retry) },
	{ "service", SCENARIO_O_WORD, NO, .usual = "shared", WORDS({ "shared", 1, 0 }, { "fifo", 1, 0 }, { "lifo", 1, 0 }, { "skip-dead", 1, 0 }),
	  AT(service) },
	{ "accept", SCENARIO_O_AMOUNT, NO, PACE, .usual = "unlimited", .never = "unlimited", AT(accept) },
	{ "shed", SCENARIO_O_WORD, NO, .usual = "none", WORDS({ "none", 1, 0 }, { "newest", 1, 0 }, { "oldest", 1, 0 }), AT(shed) },
};
#undef OF
#define OF scenario_tailnet
static const struct scenario_option tailnet_option[] = {
	{ "clients", SCENARIO_O_CLIENTS, YES, .draws = YES, COUNT(1, SCENARIO_CLIENTS_MAX), .usual = "5", AT(clients) },
	{ "spread", SCENARIO_O_AREAS, YES, .usual = "world", AT(spread) },
	{ "join", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_LONG, .usual = "0s..10s", AT(join) },
	{ "per", SCENARIO_O_WORD, YES, WORDS({ "", 0, 0 }, { "node", 1, 0 }, { "region", 1, 0 }), AT(per) },
	{ "net", SCENARIO_O_WORD, NO, .usual = "open", WORDS({ "open", 1, 0 }, { "nat", 1, 0 }, { "no-udp", 1, 0 }, { "proxy", 1, 0 }), AT(net) },
	{ "direct", SCENARIO_O_AMOUNT, NO, SHARE, .usual = "0%", AT(direct) },
};
#undef OF
#define OF scenario_load
#define FOR(load) (1u << SCENARIO_##load)
static const struct scenario_option load_option[] = {
	{ "begin", SCENARIO_O_AMOUNT, YES, TIME_LONG, .usual = "0s", AT(begin) },
	{ "till", SCENARIO_O_AMOUNT, YES, TIME_LONG, AT(till) },
	{ "of", SCENARIO_O_SET, YES, AT(of) },
	{ "curve", SCENARIO_O_WORD, NO, .usual = "flat", WORDS({ "flat", 1, 0 }, { "day", 1, 0 }), AT(curve) },
	{ "every", SCENARIO_O_AMOUNT, YES, .draws = YES, .unit = SCENARIO_TIME, .lo = 1000, .hi = SCENARIO_TIME_MAX, .usual = "25s..35s", AT(every),
	  FOR(DISCO) },
	{ "every", SCENARIO_O_AMOUNT, YES, .needed = YES, .draws = YES, TIME_SOME, AT(every), FOR(ROAMING) },
	{ "share", SCENARIO_O_AMOUNT, YES, .needed = YES, SHARE, AT(share), FOR(BULK) | FOR(ONOFF) | FOR(ROAMING) },
	{ "rate", SCENARIO_O_AMOUNT, YES, .needed = YES, RATE, AT(rate), FOR(BULK) | FOR(ONOFF) },
	{ "for", SCENARIO_O_AMOUNT, YES, .needed = YES, .draws = YES, TIME_SOME, AT(hold), FOR(BULK) },
	{ "size", SCENARIO_O_AMOUNT, YES, .unit = SCENARIO_SIZE, .lo = 32, .hi = 65536, .usual = "1312B", AT(size), FOR(BULK) | FOR(ONOFF) },
	{ "on", SCENARIO_O_AMOUNT, YES, .needed = YES, .draws = YES, TIME_SOME, AT(on), FOR(ONOFF) },
	{ "off", SCENARIO_O_AMOUNT, YES, .needed = YES, .draws = YES, TIME_SOME, AT(off), FOR(ONOFF) },
	{ "pace", SCENARIO_O_AMOUNT, YES, .needed = YES, PACE, AT(pace), FOR(ARRIVALS) },
	{ "stay", SCENARIO_O_AMOUNT, YES, .needed = YES, .draws = YES, TIME_SOME, AT(stay), FOR(ARRIVALS) },
	{ "to", SCENARIO_O_AREAS, YES, .needed = YES, AT(to), FOR(ROAMING) },
	{ "cpu", SCENARIO_O_AMOUNT, YES, .needed = YES, .unit = SCENARIO_SHARE, .hi = SCENARIO_SHARE_ALL * 10, AT(cpu), FOR(BACKGROUND) },
};
#undef FOR
#undef OF
#define OF scenario_act
#define FOR(verb) (1u << SCENARIO_##verb)
#define CRASHES (FOR(CRASH) | FOR(CRASH_SILENT) | FOR(CRASH_SILENT_REFUSE))
#define PATHS (FOR(CUT) | FOR(DEGRADE) | FOR(SWIZZLE))
#define ENDING (CRASHES | PATHS | FOR(LEAVE) | FOR(FREEZE) | FOR(STALL) | FOR(SLOW) | FOR(SQUEEZE) | FOR(THROTTLE) | FOR(CLONE))
static const struct scenario_option act_option[] = {
	{ "for", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_SOME, AT(hold), ENDING },
	{ "down", SCENARIO_O_AMOUNT, YES, .draws = YES, TIME_SOME, AT(down), FOR(RESTART) },
	{ "pace", SCENARIO_O_AMOUNT, YES, PACE, AT(pace) },
	{ "every", SCENARIO_O_AMOUNT, YES, TIME_SOME, AT(every) },
	{ "times", SCENARIO_O_AMOUNT, YES, COUNT(1, 1000000), .usual = "1", AT(times) },
	{ "as", SCENARIO_O_NAME, YES, AT(as) },
	{ "ramp", SCENARIO_O_AMOUNT, NO, .draws = YES, TIME_LONG }, /* has no member yet */
};
#undef FOR
#undef OF

#define PLACE(table, where, whom, fill) \
	(struct scenario_place) { (table), sizeof(table) / sizeof *(table), (where), (whom), (fill), false }
struct scenario_place scenario_world_options(struct scenario_world *world) { return PLACE(world_option, world, 0, true); }
struct scenario_place scenario_region_options(struct scenario_region *region) { return PLACE(region_option, region, 0, true); }
struct scenario_place scenario_settings_options(struct scenario_settings *settings, bool region)
{
	return PLACE(settings_option, settings, 0, region);
}
struct scenario_place scenario_mesh_key_options(struct scenario_settings *settings) { return PLACE(mesh_key_option, settings, 0, false); }
struct scenario_place scenario_client_options(struct scenario_policy *policy, bool usual) { return PLACE(client_option, policy, 0, usual); }
struct scenario_place scenario_node_options(struct scenario_policy *policy) { return PLACE(node_option, policy, 0, true); }
struct scenario_place scenario_tailnet_options(struct scenario_tailnet *tailnet) { return PLACE(tailnet_option, tailnet, 0, true); }
struct scenario_place scenario_load_options(struct scenario_load *load) { return PLACE(load_option, load, 1u << load->kind, true); }
struct scenario_place scenario_act_options(struct scenario_act *act) { return PLACE(act_option, act, 1u << act->verb, true); }

/* ---- values of options ---- */

struct reading {
	struct scenario_parse *p;
	struct scenario_stmt *st; /* NULL: what is usual, which is right */
	const struct scenario_option *option;
	void *to;
};

static bool read_areas(struct reading *r, struct scenario_spot value)
{
	static const struct scenario_word kinds[] = { [SCENARIO_WORLD] = { "world", 1, 0 },
		                                      [SCENARIO_EUROPE] = { "europe", 1, 0 },
		                                      [SCENARIO_AMERICA] = { "america", 1, 0 },
		                                      [SCENARIO_ASIA] = { "asia", 1, 0 } };
	struct scenario_area *areas = NULL, **to = r->to;
	uint32_t n = 0;

	for (uint32_t at = 0; at <= value.n;) {
		const char *comma = memchr(value.p + at, ',', value.n - at);
		struct scenario_spot one = scenario_part_of(value, at, comma == NULL ? value.n - at : (uint32_t)(comma - value.p) - at);
		struct scenario_area area = { .kind = (enum scenario_area_kind)scenario_find_word(kinds, SCENARIO_CITY, one) };

		if (area.kind == SCENARIO_CITY && !scenario_read_city(r->p, r->st, one, kinds, SCENARIO_CITY, &area.city)) return false;
		*SCENARIO_ADD(r->p, areas, n) = area;
		at += one.n + 1;
	}
	*to = areas;
	memcpy(to + 1, &n, sizeof n); /* their number is the next member, in both structs */
	return true;
}
_Static_assert(offsetof(struct scenario_tailnet, spreads) == offsetof(struct scenario_tailnet, spread) + sizeof(void *), "number behind areas");
_Static_assert(offsetof(struct scenario_load, tos) == offsetof(struct scenario_load, to) + sizeof(void *), "number behind areas");

static bool read_one_of(struct reading *r, struct scenario_spot value)
{
	char what[60];
	bool bad = false;
	uint32_t found;

	snprintf(what, sizeof what, "a value of %s=", r->option->key);
	found = scenario_read_word(r->p, r->st, value, r->option->word, r->option->words, what, &bad);
	if (bad || found == r->option->words) return false;
	memcpy(r->to, &found, sizeof found);
	return true;
}
_Static_assert(sizeof(enum scenario_order) == sizeof(uint32_t), "words are stored as uint32_t");

static bool read_name(struct reading *r, struct scenario_spot value)
{
	const char **to = r->to;

	if (!scenario_is_name(value.p, value.n)) return scenario_complain(r->p, r->st, value, "expected a name: " SCENARIO_NAME_RULE ".");
	*to = value.p;
	return true;
}

static bool read_path(struct reading *r, struct scenario_spot value)
{
	const char **to = r->to;

	if (value.n == 0) return scenario_complain(r->p, r->st, value, "expected a path for %s=.", r->option->key);
	*to = r->option->never != NULL && scenario_spot_is(value, r->option->never) ? NULL : value.p;
	return true;
}

static bool read_number(struct reading *r, struct scenario_spot value)
{
	const struct scenario_option *o = r->option;
	char where[60];
	struct scenario_want want = { o->unit, o->draws, o->lo, o->hi, where };
	struct scenario_amount *to = r->to;

	if (o->never != NULL && scenario_spot_is(value, o->never)) {
		*to = (struct scenario_amount){ o->unit, SCENARIO_NEVER, SCENARIO_NEVER };
		return true;
	}
	snprintf(where, sizeof where, "for %s=", o->key);
	return scenario_read_amount(r->p, r->st, value, &want, to);
}

/* clients=5, 2..8 or zipf:2..500 */
static bool read_clients(struct reading *r, struct scenario_spot value)
{
	struct scenario_tailnet *tailnet = (struct scenario_tailnet *)(void *)((char *)r->to - offsetof(struct scenario_tailnet, clients));
	static const struct scenario_want want = { SCENARIO_COUNT, true, 1, ZIPF_MAX, "behind zipf:" };

	if (value.n < 5 || memcmp(value.p, "zipf:", 5) != 0) return read_number(r, value);
	tailnet->zipf = true;
	return scenario_read_amount(r->p, r->st, scenario_part_of(value, 5, value.n - 5), &want, &tailnet->clients);
}

/* A set in quotes, or of one word. */
static bool read_members(struct reading *r, struct scenario_spot value)
{
	struct scenario_stmt inner = { .line = r->st->line };
	struct scenario_reader reader;
	bool good;

	if (!scenario_split(r->p, &inner, value.p, value.n, value.column, NULL)) return false;
	if (inner.tokens == 0) return scenario_complain(r->p, r->st, value, "expected clients for %s=.", r->option->key);
	for (uint32_t i = 0; i < inner.tokens; i++) {
		inner.token[i].names = value.token->names;
		inner.token[i].set = value.token->set;
		inner.token[i].broken = value.token->broken;
	}
	reader = scenario_reader_of(r->p, &inner, 0);
	reader.st = r->st;
	good = scenario_read_set(&reader, SCENARIO_IS_CLIENTS, "clients", r->to);
	if (!good || scenario_at_end(&reader)) return good;
	return scenario_complain(r->p, r->st, scenario_peek_atom(&reader), "expected the end of the set.");
}

static bool read_value(struct reading *r, struct scenario_spot value)
{
	switch (r->option->kind) {
	case SCENARIO_O_AMOUNT: return read_number(r, value);
	case SCENARIO_O_CLIENTS: return read_clients(r, value);
	case SCENARIO_O_WORD: return read_one_of(r, value);
	case SCENARIO_O_PATH: return read_path(r, value);
	case SCENARIO_O_CITY: return scenario_read_city(r->p, r->st, value, NULL, 0, r->to);
	case SCENARIO_O_NAME: return read_name(r, value);
	case SCENARIO_O_AREAS: return read_areas(r, value);
	case SCENARIO_O_SET: return read_members(r, value);
	}
	return false;
}

/* ---- options of a line ---- */

static bool applies(const struct scenario_option *o, uint32_t who) { return o->who == 0 || (o->who & who) != 0; }

static const struct scenario_option *find(const struct scenario_place *place, uint32_t places, struct scenario_spot key, uint32_t *in)
{
	for (*in = 0; *in < places; ++*in) {
		for (uint32_t i = 0; i < place[*in].options; i++) {
			const struct scenario_option *o = &place[*in].option[i];
			if (applies(o, place[*in].who) && scenario_spot_is(key, o->key)) return o;
		}
	}
	return NULL;
}

static bool unknown(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_place *place,
                    uint32_t places)
{
	struct scenario_guess guess = scenario_guess_begin(p, spot);
	char list[400] = "", key[40];
	uint32_t listed = 0;

	for (uint32_t k = 0; k < places; k++) {
		for (uint32_t i = 0; i < place[k].options; i++) {
			const struct scenario_option *o = &place[k].option[i];

			if (!applies(o, place[k].who)) continue;
			snprintf(key, sizeof key, "%s=", o->key);
			if (o->simulated && !place[k].later) scenario_list_add(list, sizeof list, &listed, key);
			scenario_guess_offer(&guess, o->key);
		}
	}
	return scenario_complain(p, st, spot, "expected an option of %s: %s.%s", st->line.word, list,
	                         guess.best == NULL ? "" : scenario_format(p, " Did you mean %s=?", guess.best));
}

static bool seen_before(const struct scenario_stmt *st, uint32_t from, uint32_t at)
{
	const struct scenario_token *token = &st->token[at];

	for (uint32_t i = from; i < at; i++) {
		if (st->token[i].key == token->key && memcmp(st->token[i].p, token->p, token->key) == 0) return true;
	}
	return false;
}

static void read_option(struct scenario_parse *p, struct scenario_stmt *st, const struct scenario_token *token, const struct scenario_place *place,
                        uint32_t places)
{
	struct scenario_spot whole = scenario_spot_of(token), value = scenario_value_of(token);
	uint32_t in;
	const struct scenario_option *o;
	struct scenario_spot key = whole;

	key.n = token->key == 0 ? token->n : token->key - 1;
	assert(token->key <= token->n);
	if (token->key == 0) {
		unknown(p, st, whole, place, places);
		return;
	}
	o = find(place, places, key, &in);
	if (o == NULL) {
		unknown(p, st, key, place, places);
	} else if ((!o->simulated || place[in].later) && (o->usual == NULL || place[in].later || !scenario_spot_is(value, o->usual))) {
		if (o->usual == NULL || place[in].later)
			scenario_complain(p, st, key, "an option that is not simulated yet, expected none such.");
		else
			scenario_complain(p, st, value, "a value of %s= that is not simulated yet, expected %s.", o->key, o->usual);
	} else if (value.n == 0) {
		scenario_complain(p, st, value, "expected a value for %s=.", o->key);
	} else {
		struct reading r = { p, st, o, (char *)place[in].base + o->offset };
		read_value(&r, value);
	}
}

static void fill_in(struct scenario_parse *p, const struct scenario_place *place)
{
	for (uint32_t i = 0; i < place->options; i++) {
		const struct scenario_option *o = &place->option[i];
		struct reading r = { p, NULL, o, (char *)place->base + o->offset };

		if (o->usual == NULL || !applies(o, place->who)) continue;
		read_value(&r, (struct scenario_spot){ .p = o->usual, .n = (uint32_t)strlen(o->usual) });
	}
}

const struct scenario_token *scenario_option_token(const struct scenario_stmt *st, const char *key)
{
	size_t n = strlen(key);

	for (uint32_t i = 1; i < st->tokens; i++) {
		if (st->token[i].key == n + 1 && memcmp(st->token[i].p, key, n) == 0) return &st->token[i];
	}
	return NULL;
}

void scenario_read_options(struct scenario_parse *p, struct scenario_stmt *st, uint32_t from, const struct scenario_place *place, uint32_t places)
{
	for (uint32_t k = 0; k < places; k++) {
		if (place[k].usual) fill_in(p, &place[k]);
	}
	for (uint32_t i = from; st != NULL && i < st->tokens; i++) {
		if (st->token[i].key > 0 && seen_before(st, from, i))
			scenario_complain(p, st, scenario_spot_of(&st->token[i]), "expected each option once.");
		else
			read_option(p, st, &st->token[i], place, places);
	}
	for (uint32_t k = 0; st != NULL && st->errors == 0 && k < places; k++) {
		for (uint32_t i = 0; i < place[k].options; i++) {
			const struct scenario_option *o = &place[k].option[i];

			if (!o->needed || !applies(o, place[k].who) || scenario_option_token(st, o->key) != NULL) continue;
			scenario_complain(p, st, (struct scenario_spot){ .column = scenario_reader_of(p, st, st->tokens).end }, "expected %s=.",
			                  o->key);
		}
	}
}
