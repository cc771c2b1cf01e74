/* What the story is about, and the world it happens in: the map, regions, populations and what they do. */
#include "scenario_parse.h"

#include <assert.h>
#include <string.h>

static struct scenario_spot end_of(struct scenario_parse *p, struct scenario_stmt *st)
{
	return (struct scenario_spot){ .column = scenario_reader_of(p, st, st->tokens).end };
}

/* A statement of which one line is enough. False: this is another one. */
static bool only_once(struct scenario_parse *p, struct scenario_stmt *st)
{
	const struct scenario_stmt *first = p->once[st->kind];

	st->line.number = 1;
	return first == st || scenario_say(p, st, st->line.column, "found another '%s', expected one (line %u).", st->line.word, first->line.line);
}

/* ---- about ---- */

/* As in REG-004 or HTTP-023. */
static bool is_rule(const char *p, uint32_t n)
{
	uint32_t letters = 0;

	while (letters < n && p[letters] >= 'A' && p[letters] <= 'Z') letters++;
	if (letters < 3 || letters > 4 || n != letters + 4 || p[letters] != '-') return false;
	for (uint32_t i = letters + 1; i < n; i++) {
		if (p[i] < '0' || p[i] > '9') return false;
	}
	return true;
}

static void read_list(struct scenario_parse *p, struct scenario_stmt *st, bool rules)
{
	struct scenario *s = p->s;

	if (st->tokens == 1) scenario_complain(p, st, end_of(p, st), rules ? "expected rules, as in REG-004." : "expected tags.");
	for (uint32_t i = 1; i < st->tokens; i++) {
		struct scenario_spot spot = scenario_spot_of(&st->token[i]);

		if (rules ? !is_rule(spot.p, spot.n) : !scenario_is_name(spot.p, spot.n))
			scenario_complain(p, st, spot, rules ? "expected a rule, as in REG-004." : "expected a tag: " SCENARIO_NAME_RULE ".");
		else if (rules)
			*SCENARIO_ADD(p, s->rule, s->rules) = spot.p;
		else
			*SCENARIO_ADD(p, s->tag, s->tags) = spot.p;
	}
}

static void read_why(struct scenario_parse *p, struct scenario_stmt *st)
{
	const char *text = st->line.text + 3;
	size_t n = strlen(p->s->why);
	char *both;

	while (*text == ' ' || *text == '\t') text++;
	if (*text == '\0') {
		scenario_complain(p, st, end_of(p, st), "expected a text.");
		return;
	}
	both = scenario_take(p, n + strlen(text) + 2);
	if (n > 0) memcpy(both, p->s->why, n), both[n++] = ' ';
	memcpy(both + n, text, strlen(text));
	p->s->why = both;
}

static void read_since(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_spot spot = st->tokens > 1 ? scenario_spot_of(&st->token[1]) : end_of(p, st);
	bool good = st->tokens == 2 && spot.n > 0 && spot.p[0] >= '0' && spot.p[0] <= '9';

	for (uint32_t i = 0; good && i < spot.n; i++) good = (spot.p[i] >= '0' && spot.p[i] <= '9') || spot.p[i] == '.';
	if (!only_once(p, st)) return;
	if (good)
		p->s->since = spot.p;
	else
		scenario_complain(p, st, st->tokens > 2 ? scenario_spot_of(&st->token[2]) : spot, "expected one version, as in 0.1.");
}

static void read_until(struct scenario_parse *p, struct scenario_stmt *st)
{
	static const struct scenario_want want = { SCENARIO_TIME, true, 1, SCENARIO_TIME_MAX, "after until" };
	struct scenario_reader r = scenario_reader_of(p, st, 1);
	struct scenario_spot spot = scenario_peek(&r);

	if (!only_once(p, st) || !scenario_read_amount(p, st, spot, &want, &p->s->until)) return;
	p->s->until_given = true;
	p->s->until_line = st->line;
	scenario_skip(&r, spot);
	if (!scenario_at_end(&r)) scenario_complain(p, st, scenario_peek(&r), "expected the end of the line.");
}

void scenario_read_about(struct scenario_parse *p, struct scenario_stmt *st)
{
	st->line.number = 1;
	if (st->kind == SCENARIO_S_RULES || st->kind == SCENARIO_S_TAGS) read_list(p, st, st->kind == SCENARIO_S_RULES);
	if (st->kind == SCENARIO_S_WHY) read_why(p, st);
	if (st->kind == SCENARIO_S_SINCE) read_since(p, st);
	if (st->kind == SCENARIO_S_UNTIL) read_until(p, st);
}

/* ---- the map ---- */

/* Complaints about the map stand where it is named: at map=, or without place for ours. */
static bool no_map(struct scenario_parse *p, struct scenario_stmt *st, const char *what)
{
	const struct scenario_token *token = st == NULL ? NULL : scenario_option_token(st, "map");

	if (p->s->map == NULL) p->any_name = true; /* it would name regions */
	if (token != NULL) return scenario_complain(p, st, scenario_value_of(token), "expected a DERP map: %s.", what);
	return scenario_say(p, st, 0, "found no map of our own, expected one: %s.", what);
}

static void read_map(struct scenario_parse *p, struct scenario_stmt *st)
{
	char reason[SCENARIO_REASON_SIZE] = "", error[DERPMAP_ERROR_SIZE] = "";
	struct scenario_text text = { 0 };
	const char *from = st == NULL ? p->s->file[0].name : st->line.file;

	if (p->request->load == NULL) return;
	if (!p->request->load(p->request->ctx, SCENARIO_FILE_MAP, from, p->s->world.map, &text, reason)) {
		no_map(p, st, scenario_format(p, "%.*s", (int)sizeof reason - 1, reason));
		return;
	}
	assert(text.name != NULL);
	assert(text.text != NULL);
	p->s->map_text.name = scenario_copy(p, text.name, strlen(text.name));
	p->s->map_text.text = scenario_copy(p, text.text, text.n);
	p->s->map_text.n = text.n;
	p->s->map = text.n > DERPMAP_BYTES_MAX ? NULL : derp_map_parse(text.text, text.n, error);
	if (p->s->map == NULL) no_map(p, st, text.n > DERPMAP_BYTES_MAX ? "it is too long" : scenario_format(p, "%s", error));
}

/* ---- regions ---- */

static bool is_taken(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot name)
{
	const struct scenario *s = p->s;
	const struct scenario_line *line;
	bool tailnet;
	uint32_t index;

	if (!scenario_find_name(s, name, &tailnet, &index)) return false;
	line = tailnet ? &s->tailnet[index].line : &s->region[index].line;
	if (line->line == 0)
		scenario_complain(p, st, name, "expected a name that no region of the map has.");
	else
		scenario_complain(p, st, name, "expected a name that is not taken: line %u has a %s of it.", line->line,
		                  tailnet ? "tailnet" : "region");
	return true;
}

static bool is_reserved(struct scenario_spot name)
{
	static const char *const word[] = { "all",  "control", "clients", "but",     "of",      "on",     "in",    "homed",
		                            "away", "since",   "per",     "between", "nothing", "silent", "refuse" };
	enum scenario_metric metric;
	enum scenario_statistic statistic;

	for (uint32_t i = 0; i < sizeof word / sizeof *word; i++) {
		if (scenario_spot_is(name, word[i])) return true;
	}
	return scenario_is_metric(name, &metric, &statistic);
}

/* The name behind `region` and `tailnet`. False: there is none that can be used. */
static bool new_name(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot *name)
{
	*name = st->tokens > 1 ? scenario_spot_of(&st->token[1]) : end_of(p, st);
	if (name->p != NULL && scenario_is_name(name->p, name->n) && !is_reserved(*name)) return !is_taken(p, st, *name);
	p->any_name = true;
	if (name->p != NULL && is_reserved(*name)) return scenario_complain(p, st, *name, "a word of the language, expected a name.");
	return scenario_complain(p, st, *name, "expected a name: " SCENARIO_NAME_RULE ".");
}

static bool unknown_region(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot name)
{
	const struct derp_map *map = p->s->map;
	struct scenario_guess guess = scenario_guess_begin(p, name);
	char list[400] = "";
	uint32_t listed = 0;

	for (uint32_t i = 0; i < map->regions; i++) {
		scenario_list_add(list, sizeof list, &listed, map->region[i].code);
		scenario_guess_offer(&guess, map->region[i].code);
	}
	return scenario_complain(p, st, name, "expected a region of the map (%s), or city= and nodes= beside it.%s",
	                         listed == 0 ? "it has none" : list, scenario_guess_text(p, &guess));
}

/* A region of the map has its place and nodes there, another one needs them written. */
static void check_region(struct scenario_parse *p, struct scenario_stmt *st, const struct scenario_region *region, struct scenario_spot name)
{
	if (p->s->map == NULL || st->errors > 0) return;
	if (region->in_map == NULL && (region->city == NULL || region->nodes.unit == SCENARIO_NONE))
		unknown_region(p, st, name);
	else if (region->city == NULL && !region->in_map->has_place)
		scenario_complain(p, st, name, "expected city=: the map does not say where it is.");
	else if (region->nodes.unit == SCENARIO_NONE && (region->in_map->nodes == 0 || region->in_map->nodes > SCENARIO_NODES_MAX))
		scenario_complain(p, st, name, "expected nodes=: the map has %u of it.", region->in_map->nodes);
}

static void read_region(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_region region = { .line = st->line };
	struct scenario_place place[] = { scenario_region_options(&region), scenario_settings_options(&region.settings, true) };
	struct scenario_spot name;

	if (!new_name(p, st, &name)) return;
	region.line.number = 1;
	region.name = name.p;
	if (p->s->map != NULL) region.in_map = derp_map_by_code(p->s->map, name.p);
	scenario_read_options(p, st, 2, place, 2);
	if (region.nodes.unit == SCENARIO_NONE && scenario_option_token(st, "nodes") != NULL)
		region.nodes = (struct scenario_amount){ SCENARIO_COUNT, 1, SCENARIO_NODES_MAX };
	check_region(p, st, &region, name);
	*SCENARIO_ADD(p, p->s->region, p->s->regions) = region;
}

/* Without any region line all of the map's take part. */
static void take_regions(struct scenario_parse *p, struct scenario_stmt *world)
{
	const struct derp_map *map = p->s->map;
	bool tailnet;
	uint32_t taken;

	for (uint32_t i = 0; i < map->regions; i++) {
		const struct derp_region *in_map = &map->region[i];
		struct scenario_region region = { .line = { .file = p->s->file[0].name, .text = "", .word = "region", .number = 1 },
			                          .name = in_map->code,
			                          .in_map = in_map };
		struct scenario_place place = scenario_settings_options(&region.settings, true);
		struct scenario_spot name = { .p = in_map->code, .n = (uint32_t)strlen(in_map->code) };

		if (!scenario_is_name(name.p, name.n) || scenario_find_name(p->s, name, &tailnet, &taken))
			no_map(p, world, scenario_format(p, "its region %lld has no code of its own", (long long)in_map->id));
		else if (in_map->nodes == 0 || in_map->nodes > SCENARIO_NODES_MAX)
			no_map(p, world, scenario_format(p, "its region %.40s has %u nodes", name.p, in_map->nodes));
		else if (!in_map->has_place)
			no_map(p, world, scenario_format(p, "it does not say where its region %.40s is; write region lines with city=", name.p));
		scenario_read_options(p, NULL, 0, &place, 1);
		*SCENARIO_ADD(p, p->s->region, p->s->regions) = region;
		if (world != NULL && world->errors >= SCENARIO_LINE_ERRORS_MAX) return;
	}
}

void scenario_read_world(struct scenario_parse *p)
{
	struct scenario *s = p->s;
	struct scenario_stmt *world = NULL;
	struct scenario_place place = scenario_world_options(&s->world);

	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_WORLD && only_once(p, &p->stmt[i])) world = &p->stmt[i];
	}
	s->world.line = world == NULL ? (struct scenario_line){ .file = s->file[0].name, .text = "", .word = "world", .number = 1 } : world->line;
	scenario_read_options(p, world, 1, &place, 1);
	read_map(p, world);
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_REGION) read_region(p, &p->stmt[i]);
	}
	if (p->once[SCENARIO_S_REGION] == NULL && s->map != NULL) take_regions(p, world);
}

/* ---- nodes, policy, tailnets ---- */

static void read_node(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_node node = { .line = st->line };
	struct scenario_place place[] = { scenario_settings_options(&node.settings, false), scenario_mesh_key_options(&node.settings) };
	struct scenario_reader r = scenario_reader_of(p, st, 1);

	if (!scenario_read_set(&r, SCENARIO_IS_NODES, "nodes, as in fra/2", &node.set)) return;
	scenario_read_options(p, st, r.at, place, 2);
	node.line.number = p->s->nodes + 1;
	*SCENARIO_ADD(p, p->s->node, p->s->nodes) = node;
}

static void read_policy(struct scenario_parse *p)
{
	struct scenario_policy *policy = &p->s->policy;
	struct scenario_place place[] = { scenario_client_options(policy, true), scenario_node_options(policy) };
	struct scenario_stmt *st = NULL;

	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_POLICY && only_once(p, &p->stmt[i])) st = &p->stmt[i];
	}
	policy->line = st == NULL ? (struct scenario_line){ .file = p->s->file[0].name, .text = "", .word = "policy", .number = 1 } : st->line;
	scenario_read_options(p, st, 1, place, 2);
}

/* "x200" behind the name. */
static uint32_t read_copies(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_tailnet *tailnet)
{
	static const struct scenario_want want = { SCENARIO_COUNT, true, 1, 1000000, "behind x" };
	struct scenario_spot spot = st->tokens > 2 ? scenario_spot_of(&st->token[2]) : end_of(p, st);

	tailnet->copies = (struct scenario_amount){ SCENARIO_COUNT, 1, 1 };
	if (spot.p == NULL || st->token[2].key != 0 || spot.n < 2 || spot.p[0] != 'x') return 2;
	tailnet->numbered = true;
	if (!scenario_read_amount(p, st, scenario_part_of(spot, 1, spot.n - 1), &want, &tailnet->copies)) tailnet->copies.hi = want.hi;
	return 3;
}

uint64_t scenario_copies(const struct scenario *s, const struct scenario_tailnet *tailnet)
{
	uint64_t places = tailnet->per == SCENARIO_PER_REGION ? s->regions : 0;

	for (uint32_t i = 0; i < s->regions && tailnet->per == SCENARIO_PER_NODE; i++) places += scenario_region_nodes(s, i);
	if (places == 0) return tailnet->copies.hi;
	return places > SCENARIO_CLIENTS_MAX ? SCENARIO_CLIENTS_MAX : places * tailnet->copies.hi;
}

static void read_tailnet(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_tailnet tailnet = { .line = st->line, .policy = p->s->policy };
	struct scenario_place place[] = { scenario_tailnet_options(&tailnet), scenario_client_options(&tailnet.policy, false) };
	struct scenario_spot name;
	uint32_t from;

	assert(st->kind == SCENARIO_S_TAILNET);
	if (!new_name(p, st, &name)) return;
	tailnet.line.number = 1;
	tailnet.name = name.p;
	from = read_copies(p, st, &tailnet);
	scenario_read_options(p, st, from, place, 2);
	if (st->errors > 0)
		tailnet.clients.hi = SCENARIO_CLIENTS_MAX; /* whoever is named may be there */
	else if (tailnet.clients.hi > SCENARIO_CLIENTS_MAX / scenario_copies(p->s, &tailnet)) {
		scenario_complain(p, st, name, "expected at most %d clients in all of its copies.", SCENARIO_CLIENTS_MAX);
	}
	*SCENARIO_ADD(p, p->s->tailnet, p->s->tailnets) = tailnet;
}

/* ---- loads ---- */

static void read_load(struct scenario_parse *p, struct scenario_stmt *st)
{
	struct scenario_load load = { .line = st->line };
	struct scenario_spot name = st->tokens > 1 ? scenario_spot_of(&st->token[1]) : end_of(p, st);
	struct scenario_place place;
	bool bad = false;

	load.kind = (enum scenario_load_kind)scenario_read_word(p, st, name, scenario_load_word, SCENARIO_LOADS, "a load", &bad);
	p->caused[SCENARIO_MOVE] = p->caused[SCENARIO_MOVE] || load.kind == SCENARIO_ROAMING;
	if (bad) return;
	load.line.word = st->line.word = scenario_format(p, "load %s", scenario_load_word[load.kind].name);
	load.line.number = ++p->loads[load.kind];
	place = scenario_load_options(&load);
	scenario_read_options(p, st, 2, &place, 1);
	if (load.till.unit != SCENARIO_NONE && load.till.hi <= load.begin.lo) {
		scenario_complain(p, st, scenario_value_of(scenario_option_token(st, "till")), "expected a time after begin=.");
	}
	*SCENARIO_ADD(p, p->s->load, p->s->loads) = load;
}

void scenario_read_populations(struct scenario_parse *p)
{
	read_policy(p);
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_TAILNET) read_tailnet(p, &p->stmt[i]);
	}
	for (uint32_t i = 0; i < p->stmts; i++) {
		if (p->stmt[i].kind == SCENARIO_S_NODE) read_node(p, &p->stmt[i]);
		if (p->stmt[i].kind == SCENARIO_S_LOAD) read_load(p, &p->stmt[i]);
	}
}
