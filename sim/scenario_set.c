/* Sets of nodes and clients, and paths between them. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>

/* ---- names ---- */

bool scenario_find_name(const struct scenario *s, struct scenario_spot spot, bool *tailnet, uint32_t *index)
{
	for (uint32_t i = 0; i < s->regions; i++) {
		if (!scenario_spot_is(spot, s->region[i].name)) continue;
		*tailnet = false, *index = i;
		return true;
	}
	for (uint32_t i = 0; i < s->tailnets; i++) {
		if (!scenario_spot_is(spot, s->tailnet[i].name)) continue;
		*tailnet = true, *index = i;
		return true;
	}
	return false;
}

enum { REGIONS = 1, TAILNETS = 2 };

static bool unknown_name(struct scenario_reader *r, struct scenario_spot spot, unsigned of)
{
	static const char *const what[] = { "a set", "a region", "a tailnet", "a region or tailnet" };
	const struct scenario *s = r->p->s;
	struct scenario_guess guess = scenario_guess_begin(r->p, spot);
	char list[400] = "";
	uint32_t listed = 0;

	if (r->p->any_name && scenario_is_name(spot.p, spot.n)) {
		r->st->errors++; /* it may be what a line names that could not be read, and that line has its message */
		return false;
	}
	for (uint32_t i = 0; i < s->regions && (of & REGIONS) != 0; i++) {
		scenario_list_add(list, sizeof list, &listed, s->region[i].name);
		scenario_guess_offer(&guess, s->region[i].name);
	}
	for (uint32_t i = 0; i < s->tailnets && (of & TAILNETS) != 0; i++) {
		scenario_list_add(list, sizeof list, &listed, s->tailnet[i].name);
		scenario_guess_offer(&guess, s->tailnet[i].name);
	}
	if (of == (REGIONS | TAILNETS)) {
		scenario_guess_offer(&guess, "clients");
		scenario_guess_offer(&guess, "control");
	}
	return scenario_complain(r->p, r->st, spot, "expected %s of this file: %s.%s", what[of], listed == 0 ? "it has none" : list,
	                         scenario_guess_text(r->p, &guess));
}

/* "fra/1" -> "fra", "1" */
static uint32_t split_name(struct scenario_spot spot, struct scenario_spot part[3])
{
	uint32_t parts = 0, from = 0;

	for (uint32_t i = 0; i <= spot.n; i++) {
		if (i < spot.n && spot.p[i] != '/') continue;
		if (parts < 3) part[parts] = scenario_part_of(spot, from, i - from);
		parts++;
		from = i + 1;
	}
	return parts;
}

/* "*" or a number from 1 to max (0: not known). */
static bool index_of(struct scenario_spot spot, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	if (scenario_spot_is(spot, "*")) {
		*out = 0;
		return true;
	}
	if (spot.n == 0 || spot.n > 8 || spot.p[0] == '0') return false;
	for (uint32_t i = 0; i < spot.n; i++) {
		if (spot.p[i] < '0' || spot.p[i] > '9') return false;
		v = v * 10 + (uint32_t)(spot.p[i] - '0');
	}
	*out = v;
	return max == 0 || v <= max;
}

static void place_of(const struct scenario_line *line, char *out, size_t cap)
{
	out[0] = '\0';
	if (line->line > 0) snprintf(out, cap, " (line %u)", line->line);
}

/* second: what stands behind the '/'; a number there is too large, or 0. */
static bool wrong_node(struct scenario_reader *r, struct scenario_spot spot, const struct scenario_region *region, uint32_t nodes,
                       struct scenario_spot second)
{
	bool number = second.n > 0 && second.p[0] >= '1' && second.p[0] <= '9';
	uint32_t meant = nodes, index = 0;
	char where[40];

	place_of(&region->line, where, sizeof where);
	if (nodes == 0) return scenario_complain(r->p, r->st, spot, "expected %s/1, %s/2 .. or %s/*.", region->name, region->name, region->name);
	if (!number)
		meant = 1;
	else if (index_of(second, nodes, &index))
		meant = index;
	return scenario_complain(r->p, r->st, spot, "expected a node of %s, which has 1..%u%s. Did you mean %s/%u?", region->name, nodes, where,
	                         region->name, meant);
}

static bool read_node(struct scenario_reader *r, struct scenario_spot spot, struct scenario_spot piece[3], uint32_t pieces, struct scenario_part *out)
{
	const struct scenario_region *region = &r->p->s->region[out->name];
	uint32_t nodes = scenario_region_nodes(r->p->s, out->name);

	assert(pieces > 0);
	out->base = SCENARIO_NODES;
	return pieces == 1 || (pieces == 2 && index_of(piece[1], nodes, &out->index)) || wrong_node(r, spot, region, nodes, piece[1]);
}

static bool read_tailnet(struct scenario_reader *r, struct scenario_spot spot, struct scenario_spot piece[3], uint32_t pieces,
                         struct scenario_part *out)
{
	const struct scenario_tailnet *t = &r->p->s->tailnet[out->name];
	uint32_t copies = (uint32_t)scenario_copies(r->p->s, t);
	char where[40];

	out->base = SCENARIO_TAILNET;
	place_of(&t->line, where, sizeof where);
	if (pieces > 3) return scenario_complain(r->p, r->st, spot, "expected %s/COPY/CLIENT at most.", t->name);
	if (pieces > 1 && !index_of(piece[1], copies, &out->index)) {
		return scenario_complain(r->p, r->st, spot, "expected a copy of %s, which has 1..%u%s.", t->name, copies, where);
	}
	if (pieces > 2 && (out->index == 0 || !index_of(piece[2], (uint32_t)t->clients.hi, &out->client))) {
		return scenario_complain(r->p, r->st, spot, "expected a client of a copy of %s, which has 1..%u each%s.", t->name,
		                         (uint32_t)t->clients.hi, where);
	}
	return true;
}

/* of: which kinds of names are fine here. */
static bool read_named(struct scenario_reader *r, unsigned of, struct scenario_part *out)
{
	struct scenario_spot spot = scenario_peek_atom(r), piece[3];
	uint32_t pieces;
	bool tailnet = false;

	if (spot.p == NULL || spot.n == 0) return scenario_complain(r->p, r->st, spot, "expected a name.");
	pieces = split_name(spot, piece);
	if (!scenario_find_name(r->p->s, piece[0], &tailnet, &out->name) || (of & (tailnet ? TAILNETS : REGIONS)) == 0) {
		scenario_skip(r, spot);
		return unknown_name(r, piece[0], of);
	}
	scenario_skip(r, spot);
	return tailnet ? read_tailnet(r, spot, piece, pieces, out) : read_node(r, spot, piece, pieces, out);
}

/* ---- cities ---- */

bool scenario_is_city(const struct scenario_parse *p, struct scenario_spot spot)
{
	for (uint32_t i = 0; i < p->request->cities; i++) {
		if (scenario_spot_is(spot, p->request->city[i])) return true;
	}
	return p->request->cities == 0 || p->s->world.cities != NULL;
}

bool scenario_read_city(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_word *also,
                        uint32_t alsos, const char **out)
{
	struct scenario_guess guess;

	if (spot.p == NULL || spot.n == 0) return scenario_complain(p, st, spot, "expected a city.");
	if (scenario_is_city(p, spot)) {
		*out = scenario_copy(p, spot.p, spot.n);
		return true;
	}
	guess = scenario_guess_begin(p, spot);
	for (uint32_t i = 0; i < alsos; i++) scenario_guess_offer(&guess, also[i].name);
	for (uint32_t i = 0; i < p->request->cities; i++) scenario_guess_offer(&guess, p->request->city[i]);
	return scenario_complain(p, st, spot, "expected %sa city that we know.%s", alsos > 0 ? "world, europe, america, asia or " : "",
	                         scenario_guess_text(p, &guess));
}

/* ---- parts ---- */

static bool read_clients(struct scenario_reader *r, struct scenario_part *out)
{
	out->base = SCENARIO_CLIENTS;
	if (scenario_accept(r, "away")) {
		out->base = SCENARIO_CLIENTS_AWAY;
	} else if (scenario_accept(r, "of")) {
		return read_named(r, TAILNETS, out);
	} else if (scenario_accept(r, "on")) {
		if (!read_named(r, REGIONS, out)) return false;
		out->base = SCENARIO_CLIENTS_ON;
	} else if (scenario_accept(r, "homed")) {
		struct scenario_spot region = scenario_peek_atom(r);
		if (!read_named(r, REGIONS, out)) return false;
		if (out->index != 0) return scenario_complain(r->p, r->st, region, "expected a region behind homed, not a node.");
		out->base = SCENARIO_CLIENTS_HOMED;
	} else if (scenario_accept(r, "in")) {
		struct scenario_spot city = scenario_peek_atom(r);
		if (city.p != NULL) scenario_skip(r, city);
		out->base = SCENARIO_CLIENTS_IN;
		return scenario_read_city(r->p, r->st, city, NULL, 0, &out->city);
	}
	return true;
}

/* [ (INT | PERCENT) "of" ] */
static bool read_pick(struct scenario_reader *r, struct scenario_part *out)
{
	struct scenario_spot spot = scenario_peek_atom(r);
	bool share = spot.p != NULL && spot.n > 0 && spot.p[spot.n - 1] == '%';
	struct scenario_want want = { share ? SCENARIO_SHARE : SCENARIO_COUNT, true, share ? 0 : 1, share ? SCENARIO_SHARE_ALL : SCENARIO_CLIENTS_MAX,
		                      "before of" };

	if (spot.p == NULL || spot.n == 0 || spot.p[0] < '0' || spot.p[0] > '9') return true;
	scenario_skip(r, spot);
	return scenario_read_amount(r->p, r->st, spot, &want, &out->pick) && scenario_need(r, "of");
}

static unsigned kinds_of(const struct scenario_part *part)
{
	if (part->base == SCENARIO_ALL) return SCENARIO_IS_NODES | SCENARIO_IS_CLIENTS;
	if (part->base == SCENARIO_CONTROL) return SCENARIO_IS_CONTROL;
	return part->base == SCENARIO_NODES ? SCENARIO_IS_NODES : SCENARIO_IS_CLIENTS;
}

unsigned scenario_set_kinds(const struct scenario_set *set)
{
	unsigned kinds = 0;

	for (uint32_t i = 0; i < set->parts; i++) kinds |= set->part[i].but ? 0 : kinds_of(&set->part[i]);
	return kinds;
}

static bool read_part(struct scenario_reader *r, unsigned may, const char *what, struct scenario_part *out)
{
	struct scenario_spot first = scenario_peek_atom(r);

	if (first.p == NULL || first.n == 0 || scenario_spot_is(first, ",")) return scenario_complain(r->p, r->st, first, "expected %s.", what);
	if (!read_pick(r, out)) return false;
	first = scenario_peek_atom(r);
	if (scenario_accept(r, "all"))
		out->base = SCENARIO_ALL;
	else if (scenario_accept(r, "control"))
		out->base = SCENARIO_CONTROL;
	else if (scenario_accept(r, "clients") ? !read_clients(r, out) : !read_named(r, REGIONS | TAILNETS, out))
		return false;
	if ((kinds_of(out) & ~may) == 0) return true;
	return scenario_complain(r->p, r->st, first, "expected %s.", what);
}

bool scenario_read_set(struct scenario_reader *r, unsigned may, const char *what, struct scenario_set *out)
{
	struct scenario_set set = { 0 };
	bool but = false;

	assert(may != 0);
	assert(may <= SCENARIO_IS_ANY);
	do {
		struct scenario_part part = { .but = but };

		if (set.parts == SCENARIO_PARTS_MAX)
			return scenario_complain(r->p, r->st, scenario_peek_atom(r), "expected at most %d parts of a set.", SCENARIO_PARTS_MAX);
		if (!read_part(r, may, what, &part)) return false;
		*SCENARIO_ADD(r->p, set.part, set.parts) = part;
	} while (scenario_accept(r, ",") || (!but && (but = scenario_accept(r, "but"))));
	assert(set.parts > 0);
	*out = set;
	return true;
}

bool scenario_read_path(struct scenario_reader *r, struct scenario_path *out)
{
	struct scenario_path path = { 0 };

	if (!scenario_read_set(r, SCENARIO_IS_ANY, "nodes or clients", &path.from)) return false;
	path.both = scenario_accept(r, "<->");
	if (!path.both && !scenario_need(r, "->")) return false;
	if (!scenario_read_set(r, SCENARIO_IS_ANY, "nodes or clients", &path.to)) return false;
	*out = path;
	return true;
}

/* ---- do two sets meet? ---- */

/* Conservative: what depends on the run may be. */
static bool parts_meet(const struct scenario_part *a, const struct scenario_part *b)
{
	if ((kinds_of(a) & kinds_of(b)) == 0) return false;
	if (a->base != b->base || (a->base != SCENARIO_NODES && a->base != SCENARIO_TAILNET)) return true;
	if (a->name != b->name) return false;
	if (a->index != 0 && b->index != 0 && a->index != b->index) return false;
	return a->client == 0 || b->client == 0 || a->client == b->client;
}

bool scenario_sets_meet(const struct scenario_set *a, const struct scenario_set *b)
{
	for (uint32_t i = 0; i < a->parts; i++) {
		for (uint32_t k = 0; k < b->parts; k++) {
			if (!a->part[i].but && !b->part[k].but && parts_meet(&a->part[i], &b->part[k])) return true;
		}
	}
	return false;
}
