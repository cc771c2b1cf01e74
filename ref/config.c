/* `key=value` lines, by a table. */
#include "config.h"

#include "key.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_MAX = 64 };

struct line {
	const char *name, *value;
	size_t name_n, value_n;
	unsigned number;
};

static bool complain(char error[CONFIG_ERROR_SIZE], const struct line *l, const char *expected)
{
	snprintf(error, CONFIG_ERROR_SIZE, "line %u: found '%.*s=%.*s', expected %s", l->number, (int)(l->name_n < 40 ? l->name_n : 40), l->name,
	         (int)(l->value_n < 60 ? l->value_n : 60), l->value, expected);
	return false;
}

static bool decimal(const char **p, const char *end, uint64_t *out)
{
	uint64_t v = 0;
	const char *start = *p;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');
		if (v > (UINT64_MAX - digit) / 10) return false;
		v = v * 10 + digit;
	}
	*out = v;
	return *p > start;
}

static bool parse_time(const char *p, size_t n, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", UINT64_C(60000000000) }, { "h", UINT64_C(3600000000000) },
	};
	const char *end = p + n;
	uint64_t v;

	if (n == 5 && memcmp(p, "never", 5) == 0) {
		*out = 0;
		return true;
	}
	if (!decimal(&p, end, &v)) return false;
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
		if ((size_t)(end - p) != strlen(unit[i].name) || memcmp(p, unit[i].name, (size_t)(end - p)) != 0) continue;
		if (v > UINT64_MAX / unit[i].ns) return false;
		*out = v * unit[i].ns;
		return true;
	}
	return false;
}

static bool in_limits(const struct config_key *k, uint64_t v) { return k->max == 0 || (v >= k->min && v <= k->max); }

static bool set_number(const struct line *l, const struct config_key *k, void *field, char error[CONFIG_ERROR_SIZE])
{
	const char *p = l->value, *end = l->value + l->value_n;
	char expected[120];
	uint64_t v = 0;
	bool good = k->type == CONFIG_TIME ? parse_time(p, l->value_n, &v) : decimal(&p, end, &v) && p == end;

	if (k->type == CONFIG_U32 && v > UINT32_MAX) good = false;
	if (good && in_limits(k, v)) {
		if (k->type == CONFIG_U32)
			*(uint32_t *)field = (uint32_t)v;
		else
			*(uint64_t *)field = v;
		return true;
	}
	if (k->type == CONFIG_TIME) return complain(error, l, "a time such as 1500ms, within the limits of this key");
	snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long)k->min,
	         (unsigned long long)(k->max ? k->max : UINT64_MAX));
	return complain(error, l, expected);
}

static bool set_enum(const struct line *l, const struct config_key *k, uint32_t *field, char error[CONFIG_ERROR_SIZE])
{
	char expected[120] = "one of:";

	for (uint32_t i = 0; k->names[i] != NULL; i++) {
		size_t used = strlen(expected);
		if (strlen(k->names[i]) == l->value_n && memcmp(k->names[i], l->value, l->value_n) == 0) {
			*field = i;
			return true;
		}
		snprintf(expected + used, sizeof expected - used, " %s", k->names[i]);
	}
	return complain(error, l, expected);
}

static bool set_key(const struct line *l, struct key *field, char error[CONFIG_ERROR_SIZE])
{
	if (key_from_text(l->value, l->value_n, "privkey:", field) || key_from_text(l->value, l->value_n, "nodekey:", field)) return true;
	/* A key is never repeated in a message. */
	snprintf(error, CONFIG_ERROR_SIZE, "line %u: '%.*s=' needs a key of 64 hex digits", l->number, (int)l->name_n, l->name);
	return false;
}

static bool set_bool(const struct line *l, bool *field, char error[CONFIG_ERROR_SIZE])
{
	bool on = l->value_n == 2 && memcmp(l->value, "on", 2) == 0, off = l->value_n == 3 && memcmp(l->value, "off", 3) == 0;

	if (!on && !off) return complain(error, l, "on or off");
	*field = on;
	return true;
}

static bool set_field(const struct line *l, const struct config_key *k, void *field, char error[CONFIG_ERROR_SIZE])
{
	switch (k->type) {
	case CONFIG_BOOL: return set_bool(l, field, error);
	case CONFIG_U32:
	case CONFIG_U64:
	case CONFIG_TIME: return set_number(l, k, field, error);
	case CONFIG_KEY: return set_key(l, field, error);
	case CONFIG_ENUM: return set_enum(l, k, field, error);
	case CONFIG_TEXT: *(struct config_text *)field = (struct config_text){ .p = l->value, .n = l->value_n }; return true;
	}
	assert(false && "every type has a case");
	return false;
}

static const struct config_key *find_key(const struct config_key *table, const struct line *l)
{
	for (const struct config_key *k = table; k->name != NULL; k++)
		if (strlen(k->name) == l->name_n && memcmp(k->name, l->name, l->name_n) == 0) return k;
	return NULL;
}

bool config_parse(const char *text, size_t n, const struct config_key *table, void *into, char error[CONFIG_ERROR_SIZE])
{
	const char *end = text + n;
	uint64_t seen = 0;
	struct line l = { 0 };

	for (const char *p = text; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *stop = eol ? eol : end, *equals = memchr(p, '=', (size_t)(stop - p));
		const struct config_key *k;
		l = (struct line){ .name = p, .number = l.number + 1, .name_n = (size_t)((equals ? equals : stop) - p) };
		if (equals != NULL) l.value = equals + 1, l.value_n = (size_t)(stop - equals - 1);
		p = eol ? eol + 1 : end;
		if (l.name_n == 0 && equals == NULL) continue;
		if (*l.name == '#') continue;
		if (equals == NULL) return complain(error, &l, "key=value");
		k = find_key(table, &l);
		if (k == NULL) return complain(error, &l, "a known key");
		assert(k - table < TABLE_MAX);
		if (seen >> (k - table) & 1) return complain(error, &l, "each key once");
		seen |= UINT64_C(1) << (k - table);
		if (!set_field(&l, k, (char *)into + k->offset, error)) return false;
	}
	return true;
}
