/* Numbers with units, exactly: decimals are integers of tenths, hundreds, .. until their unit makes whole things of them. */
#include "scenario_parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { DIGITS_MAX = 18 };

struct unit {
	const char *name;
	enum scenario_unit unit;
	uint64_t scale;
};

/* Of each kind from the smallest. */
static const struct unit unit_table[] = {
	{ "", SCENARIO_COUNT, 1 },
	{ "ns", SCENARIO_TIME, 1 },
	{ "us", SCENARIO_TIME, 1000 },
	{ "ms", SCENARIO_TIME, 1000000 },
	{ "s", SCENARIO_TIME, 1000000000 },
	{ "m", SCENARIO_TIME, UINT64_C(60000000000) },
	{ "h", SCENARIO_TIME, UINT64_C(3600000000000) },
	{ "bps", SCENARIO_RATE, 1 },
	{ "Kbps", SCENARIO_RATE, 1000 },
	{ "Mbps", SCENARIO_RATE, 1000000 },
	{ "Gbps", SCENARIO_RATE, 1000000000 },
	{ "B", SCENARIO_SIZE, 1 },
	{ "KB", SCENARIO_SIZE, 1000 },
	{ "KiB", SCENARIO_SIZE, 1024 },
	{ "MB", SCENARIO_SIZE, 1000000 },
	{ "MiB", SCENARIO_SIZE, 1048576 },
	{ "GB", SCENARIO_SIZE, 1000000000 },
	{ "GiB", SCENARIO_SIZE, 1073741824 },
	{ "/h", SCENARIO_PACE, 1000000 },
	{ "/m", SCENARIO_PACE, 60000000 },
	{ "/s", SCENARIO_PACE, UINT64_C(3600000000) },
	{ "%", SCENARIO_SHARE, 10000000 },
};
enum { UNIT_KINDS = sizeof unit_table / sizeof unit_table[0] };

static const char *const noun[SCENARIO_UNITS] = {
	[SCENARIO_NONE] = "a value",
	[SCENARIO_COUNT] = "a whole number",
	[SCENARIO_TIME] = "a time with a unit",
	[SCENARIO_RATE] = "a rate with a unit",
	[SCENARIO_SIZE] = "a size with a unit",
	[SCENARIO_PACE] = "a pace with a unit",
	[SCENARIO_SHARE] = "a share in %",
};

uint64_t scenario_add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

/* ---- reading ---- */

/* A number as written: mantissa / 10^decimals of a unit. */
struct number {
	struct scenario_spot spot, unit_spot;
	uint64_t mantissa;
	uint32_t decimals, digits;
	bool is_number;          /* begins with one */
	const struct unit *unit; /* NULL: not one of ours */
};

static struct number scan(struct scenario_spot spot)
{
	struct number number = { .spot = spot };
	uint32_t i = 0;
	bool point = false;

	for (; i < spot.n; i++) {
		char c = spot.p[i];

		if (c == '.' && !point && number.is_number && i + 1 < spot.n && spot.p[i + 1] >= '0' && spot.p[i + 1] <= '9') {
			point = true;
			continue;
		}
		if (c < '0' || c > '9') break;
		if (number.digits < DIGITS_MAX) number.mantissa = number.mantissa * 10 + (uint64_t)(c - '0');
		if (number.mantissa > 0 || point) number.digits++;
		number.decimals += point;
		number.is_number = true;
	}
	number.unit_spot = scenario_part_of(spot, i, spot.n - i);
	for (uint32_t k = 0; k < UNIT_KINDS; k++) {
		if (scenario_spot_is(number.unit_spot, unit_table[k].name)) number.unit = &unit_table[k];
	}
	return number;
}

enum scenario_unit scenario_unit_of(const char *p, uint32_t n)
{
	struct number number = scan((struct scenario_spot){ .p = p, .n = n });

	return number.is_number && number.unit != NULL ? number.unit->unit : SCENARIO_NONE;
}

/* "ns, us, ms, s, m, h" */
static void list_units(enum scenario_unit unit, char *out, size_t cap)
{
	uint32_t listed = 0;

	out[0] = '\0';
	for (uint32_t k = 0; k < UNIT_KINDS; k++) {
		if (unit_table[k].unit == unit) scenario_list_add(out, cap, &listed, unit_table[k].name);
	}
}

struct context {
	struct scenario_parse *p;
	struct scenario_stmt *st;
	const struct scenario_want *want;
};

/* sibling: the other end of a range, whose unit may have been meant for both; NULL: none. */
static bool wrong_unit(const struct context *c, const struct number *number, const struct number *sibling)
{
	enum scenario_unit unit = c->want->unit;
	char list[80];

	if (!number->is_number) {
		list_units(unit, list, sizeof list);
		return scenario_complain(c->p, c->st, number->spot,
		                         unit == SCENARIO_COUNT || unit == SCENARIO_SHARE ? "expected %s %s."
		                                                                          : "expected %s %s: a number and one of %s.",
		                         noun[unit], c->want->where, list);
	}
	if (number->unit_spot.n == 0 && sibling != NULL && sibling->unit != NULL && sibling->unit->unit == unit) {
		bool first = sibling->spot.p > number->spot.p;
		const struct scenario_spot *a = first ? &number->spot : &sibling->spot, *b = first ? &sibling->spot : &number->spot;
		return scenario_complain(c->p, c->st, number->spot, "expected %s %s. Write %.*s%s..%.*s%s.", noun[unit], c->want->where, (int)a->n,
		                         a->p, first ? sibling->unit->name : "", (int)b->n, b->p, first ? "" : sibling->unit->name);
	}
	if (unit == SCENARIO_COUNT)
		return scenario_complain(c->p, c->st, number->spot, "expected a whole number %s, without a unit.", c->want->where);
	if (unit == SCENARIO_SHARE) return scenario_complain(c->p, c->st, number->spot, "expected a share in %% %s.", c->want->where);
	list_units(unit, list, sizeof list);
	return scenario_complain(c->p, c->st, number->spot, "expected %s %s: one of %s.", noun[unit], c->want->where, list);
}

static bool out_of_bounds(const struct context *c, struct scenario_spot spot)
{
	char lo[64], hi[64];

	scenario_print_value(c->want->unit, c->want->lo, lo, sizeof lo);
	scenario_print_value(c->want->unit, c->want->hi, hi, sizeof hi);
	return scenario_complain(c->p, c->st, spot, "expected %s to %s %s.", lo, hi, c->want->where);
}

static bool read_number(const struct context *c, const struct number *number, const struct number *sibling, uint64_t *out)
{
	unsigned __int128 value, ten = 1;

	if (!number->is_number || number->unit == NULL || number->unit->unit != c->want->unit) return wrong_unit(c, number, sibling);
	if (number->digits > DIGITS_MAX || number->decimals > DIGITS_MAX) {
		return scenario_complain(c->p, c->st, number->spot, "expected a number of at most %d digits %s.", DIGITS_MAX, c->want->where);
	}
	for (uint32_t i = 0; i < number->decimals; i++) ten *= 10;
	value = (unsigned __int128)number->mantissa * number->unit->scale;
	if (value % ten != 0) {
		const struct unit *least = number->unit;
		while (least > unit_table && least[-1].unit == least->unit) least--;
		if (least->unit == SCENARIO_SHARE || least->unit == SCENARIO_PACE)
			return scenario_complain(c->p, c->st, number->spot, "expected fewer decimals %s.", c->want->where);
		return scenario_complain(c->p, c->st, number->spot, "expected a whole number%s%s %s.", least->name[0] == '\0' ? "" : " of ",
		                         least->name, c->want->where);
	}
	value /= ten;
	if (value < c->want->lo || value > c->want->hi) return out_of_bounds(c, number->spot);
	*out = (uint64_t)value;
	return true;
}

static uint32_t find_dots(struct scenario_spot spot)
{
	for (uint32_t i = 0; i + 1 < spot.n; i++) {
		if (spot.p[i] == '.' && spot.p[i + 1] == '.') return i;
	}
	return spot.n;
}

bool scenario_read_amount(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_want *want,
                          struct scenario_amount *out)
{
	struct context c = { p, st, want };
	uint32_t dots = spot.p == NULL ? 0 : find_dots(spot);
	struct scenario_amount amount = { .unit = want->unit };
	struct number lo, hi;

	assert(want->unit > SCENARIO_NONE && want->unit < SCENARIO_UNITS);
	if (spot.p == NULL) return scenario_complain(p, st, spot, "expected %s %s.", noun[want->unit], want->where);
	lo = scan(scenario_part_of(spot, 0, dots));
	if (dots == spot.n) {
		if (!read_number(&c, &lo, NULL, &amount.lo)) return false;
		amount.hi = amount.lo;
		*out = amount;
		return true;
	}
	if (!want->draws) return scenario_complain(p, st, spot, "expected one value %s: A..B is a draw, and here nothing is drawn.", want->where);
	hi = scan(scenario_part_of(spot, dots + 2, spot.n - dots - 2));
	if (!read_number(&c, &lo, &hi, &amount.lo) || !read_number(&c, &hi, &lo, &amount.hi)) return false;
	if (amount.lo > amount.hi) {
		return scenario_complain(p, st, spot, "expected the smaller end first %s. Write %.*s..%.*s.", want->where, (int)hi.spot.n, hi.spot.p,
		                         (int)lo.spot.n, lo.spot.p);
	}
	*out = amount;
	return true;
}

/* ---- printing ---- */

size_t scenario_print_value(enum scenario_unit unit, uint64_t value, char *out, size_t cap)
{
	const struct unit *least = NULL, *best = NULL;
	char decimals[24] = "";
	int n;

	assert(unit > SCENARIO_NONE && unit < SCENARIO_UNITS);
	for (uint32_t k = 0; k < UNIT_KINDS; k++) {
		if (unit_table[k].unit != unit) continue;
		if (least == NULL) least = &unit_table[k];
		if (value > 0 && value % unit_table[k].scale == 0 && (best == NULL || unit_table[k].scale > best->scale)) best = &unit_table[k];
	}
	if (best == NULL) best = unit == SCENARIO_TIME && value == 0 ? least + 3 : least;
	if (value % best->scale != 0) {
		uint64_t rest = value % best->scale, scale = best->scale;
		int digits = 0;

		for (; rest > 0 && digits < 20; digits++) {
			rest *= 10;
			decimals[digits + 1] = (char)('0' + rest / scale);
			rest %= scale;
		}
		decimals[0] = '.';
	}
	n = snprintf(out, cap, "%" PRIu64 "%s%s", value / best->scale, decimals, best->name);
	assert(n > 0);
	return (size_t)n;
}
