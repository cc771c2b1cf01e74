/* A pull parser over one span, and a writer. What is accepted is what Go's encoding/json accepts, see json.h. */
#include "json.h"

#include "buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json_reader *r, const void *text, size_t n)
{
	r->start = r->p = text;
	r->end = r->start + n;
	r->depth = 0;
	r->bad = false;
	r->error = NULL;
	r->at = 0;
}

static void fail(struct json_reader *r, const char *error)
{
	if (r->bad) return;
	r->bad = true;
	r->error = error;
	r->at = (size_t)(r->p - r->start);
	r->p = r->end;
}

static void blanks(struct json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')) r->p++;
}

enum json_kind json_peek(struct json_reader *r)
{
	blanks(r);
	if (r->p < r->end) {
		switch (*r->p) {
		case 'n': return JSON_NULL;
		case 't': return JSON_TRUE;
		case 'f': return JSON_FALSE;
		case '"': return JSON_STRING;
		case '{': return JSON_OBJECT;
		case '[': return JSON_ARRAY;
		default: break;
		}
		if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) return JSON_NUMBER;
	}
	fail(r, "expected a value");
	return JSON_NULL;
}

static bool bit(const uint8_t *bits, uint32_t i) { return bits[i / 8] >> (i % 8) & 1; }

static void bit_set(uint8_t *bits, uint32_t i, bool v)
{
	if (v)
		bits[i / 8] |= (uint8_t)(1u << (i % 8));
	else
		bits[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

void json_enter(struct json_reader *r)
{
	enum json_kind kind = json_peek(r);

	if (r->bad) return;
	if (kind != JSON_OBJECT && kind != JSON_ARRAY) {
		fail(r, "expected an object or array");
		return;
	}
	if (r->depth == JSON_DEPTH_MAX) {
		fail(r, "nested too deep");
		return;
	}
	r->p++;
	bit_set(r->nest, r->depth, kind == JSON_OBJECT);
	bit_set(r->first, r->depth, true);
	r->depth++;
}

/* Before an element or member: true if there is one, false if the bracket closed. */
static bool next(struct json_reader *r, bool object)
{
	uint32_t top;

	if (r->bad) return false;
	assert(r->depth > 0 && bit(r->nest, r->depth - 1) == object);
	top = r->depth - 1;
	blanks(r);
	if (r->p < r->end && *r->p == (object ? '}' : ']')) {
		r->p++;
		r->depth--;
		return false;
	}
	if (bit(r->first, top)) {
		bit_set(r->first, top, false);
		return true;
	}
	if (r->p < r->end && *r->p == ',') {
		r->p++;
		return true;
	}
	fail(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
	return false;
}

bool json_element(struct json_reader *r) { return next(r, false); }

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
	int32_t v = 0;

	if (end - p < 4) return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);
		if (d < 0) return -1;
		v = v << 4 | d;
	}
	return v;
}

/* Passes over a string, quotes included; hands out what is between them. */
static bool raw_string(struct json_reader *r, const uint8_t **text, size_t *n)
{
	if (json_peek(r) != JSON_STRING || r->bad) {
		fail(r, "expected a string");
		return false;
	}
	*text = ++r->p;
	while (r->p < r->end && *r->p != '"') {
		if (*r->p < 0x20) break;
		if (*r->p++ != '\\') continue;
		if (r->p < r->end && *r->p == 'u' && hex4(r->p + 1, r->end) >= 0)
			r->p += 5;
		else if (r->p < r->end && *r->p != 0 && strchr("\"\\/bfnrt", *r->p) != NULL)
			r->p++;
		else
			break;
	}
	if (r->p >= r->end || *r->p != '"') {
		fail(r, "bad or unfinished string");
		return false;
	}
	*n = (size_t)(r->p++ - *text);
	return true;
}

bool json_member(struct json_reader *r, const uint8_t **name, size_t *n)
{
	if (!next(r, true) || !raw_string(r, name, n)) return false;
	blanks(r);
	if (r->p < r->end && *r->p == ':') {
		r->p++;
		return true;
	}
	fail(r, "expected ':'");
	return false;
}

/* ---- strings ---- */

/* One UTF-8 sequence at p; 1 byte and U+FFFD if it is none (as Go decodes). */
static uint32_t utf8_rune(const uint8_t *p, const uint8_t *end, uint32_t *used)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t len = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0, rune;

	*used = 1;
	if (len == 1) return *p;
	if (len == 0 || (size_t)(end - p) < len) return 0xfffd;
	rune = *p & (0x7fu >> len);
	for (uint32_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2) return 0xfffd;
		rune = rune << 6 | (p[i] & 0x3f);
	}
	if (rune < least[len] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) return 0xfffd;
	*used = len;
	return rune;
}

/* The escape after a backslash at *p; two halves of a surrogate pair are one rune, a lone one is U+FFFD. */
static uint32_t escape_rune(const uint8_t **p, const uint8_t *end)
{
	int32_t high, low;
	uint8_t c = *(*p)++;

	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'u': break;
	default: return c;
	}
	high = hex4(*p, end);
	assert(high >= 0);
	*p += 4;
	if (high < 0xd800 || high >= 0xe000) return (uint32_t)high;
	if (high < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		low = hex4(*p + 2, end);
		if (low >= 0xdc00 && low < 0xe000) {
			*p += 6;
			return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
		}
	}
	return 0xfffd;
}

static uint32_t next_rune(const uint8_t **p, const uint8_t *end)
{
	uint32_t used, rune;

	if (**p == '\\') {
		(*p)++;
		return escape_rune(p, end);
	}
	rune = utf8_rune(*p, end, &used);
	*p += used;
	return rune;
}

static uint32_t fold_rune(uint32_t c)
{
	if (c >= 'A' && c <= 'Z') return c + 32;
	if (c == 0x212a) return 'k'; /* Kelvin sign */
	if (c == 0x017f) return 's'; /* long s */
	return c;
}

bool json_name_is(const uint8_t *name, size_t n, const char *want)
{
	const uint8_t *end = name + n;

	for (; *want != 0; want++)
		if (name >= end || fold_rune(next_rune(&name, end)) != fold_rune((uint8_t)*want)) return false;
	return name == end;
}

static uint32_t utf8_put(uint32_t rune, char out[4])
{
	if (rune < 0x80) {
		out[0] = (char)rune;
		return 1;
	}
	if (rune < 0x800) {
		out[0] = (char)(0xc0 | rune >> 6);
		out[1] = (char)(0x80 | (rune & 0x3f));
		return 2;
	}
	if (rune < 0x10000) {
		out[0] = (char)(0xe0 | rune >> 12);
		out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
		out[2] = (char)(0x80 | (rune & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | rune >> 18);
	out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
	out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
	out[3] = (char)(0x80 | (rune & 0x3f));
	return 4;
}

size_t json_string(struct json_reader *r, char *out, size_t cap)
{
	const uint8_t *p, *end;
	size_t n, full = 0, kept = 0;

	assert(cap > 0);
	if (raw_string(r, &p, &n)) {
		end = p + n;
		while (p < end) {
			char utf8[4];
			uint32_t len = utf8_put(next_rune(&p, end), utf8);
			if (kept == full && kept + len < cap) {
				memcpy(out + kept, utf8, len);
				kept += len;
			}
			full += len;
		}
	}
	out[kept] = 0;
	return full;
}

/* ---- numbers ---- */

/* Passes over a number by the grammar; *integer = it has neither fraction nor exponent. */
static bool raw_number(struct json_reader *r, const uint8_t **text, size_t *n, bool *integer)
{
	const uint8_t *p, *digits;

	if (json_peek(r) != JSON_NUMBER || r->bad) {
		fail(r, "expected a number");
		return false;
	}
	*text = p = r->p;
	*integer = true;
	if (*p == '-') p++;
	digits = p;
	if (p < r->end && *p == '0')
		p++;
	else
		while (p < r->end && *p >= '0' && *p <= '9') p++;
	if (p == digits) goto bad;
	if (p < r->end && *p == '.') {
		*integer = false;
		digits = ++p;
		while (p < r->end && *p >= '0' && *p <= '9') p++;
		if (p == digits) goto bad;
	}
	if (p < r->end && (*p == 'e' || *p == 'E')) {
		*integer = false;
		p++;
		if (p < r->end && (*p == '+' || *p == '-')) p++;
		digits = p;
		while (p < r->end && *p >= '0' && *p <= '9') p++;
		if (p == digits) goto bad;
	}
	*n = (size_t)(p - *text);
	r->p = p;
	return true;
bad:
	fail(r, "bad number");
	return false;
}

static bool integer_value(struct json_reader *r, bool *negative, uint64_t *magnitude)
{
	const uint8_t *p;
	size_t n;
	bool integer;

	if (!raw_number(r, &p, &n, &integer)) return false;
	*negative = *p == '-';
	*magnitude = 0;
	for (size_t i = *negative; integer && i < n; i++) {
		uint64_t digit = (uint64_t)(p[i] - '0');
		if (*magnitude > (UINT64_MAX - digit) / 10) integer = false;
		*magnitude = *magnitude * 10 + digit;
	}
	if (!integer) fail(r, "expected an integer of 64 bits");
	return integer;
}

int64_t json_i64(struct json_reader *r)
{
	bool negative;
	uint64_t v;

	if (!integer_value(r, &negative, &v)) return 0;
	if (v > (uint64_t)INT64_MAX + negative) {
		fail(r, "expected an integer of 64 bits");
		return 0;
	}
	return negative ? (int64_t)(0 - v) : (int64_t)v;
}

uint64_t json_u64(struct json_reader *r)
{
	bool negative;
	uint64_t v;

	if (!integer_value(r, &negative, &v)) return 0;
	if (!negative) return v;
	fail(r, "expected a number that is not negative");
	return 0;
}

/* Decimal exponent of a number's text behind its e, saturating at +-1000. */
static int32_t exponent_of(const uint8_t *p, const uint8_t *end)
{
	int32_t v = 0;
	bool negative = *p == '-';

	if (*p == '-' || *p == '+') p++;
	for (; p < end; p++)
		if (v < 1000) v = v * 10 + (*p - '0');
	if (v > 1000) v = 1000;
	return negative ? -v : v;
}

int64_t json_micro(struct json_reader *r)
{
	const uint8_t *p, *end, *e;
	size_t n;
	bool integer, negative, point = false, round = false;
	int32_t scale = 6;
	uint64_t v = 0;

	if (!raw_number(r, &p, &n, &integer)) return 0;
	end = p + n;
	negative = *p == '-';
	for (e = p; e < end && *e != 'e' && *e != 'E'; e++)
		;
	if (e < end) scale += exponent_of(e + 1, end);
	for (p += negative; p < e; p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		if (v >= UINT64_C(100000000000000000)) { /* 17 digits are enough: what follows only scales */
			if (!point) scale++;
			continue;
		}
		v = v * 10 + (uint64_t)(*p - '0');
		if (point) scale--;
	}
	for (; scale > 0 && v != 0 && v < INT64_MAX; scale--) v = v > INT64_MAX / 10 ? INT64_MAX : v * 10;
	for (; scale < 0 && (v != 0 || round); scale++) round = v % 10 >= 5, v /= 10;
	v += round;
	assert(v <= INT64_MAX); /* what is rounded has been divided */
	return negative ? -(int64_t)v : (int64_t)v;
}

/* ---- the rest ---- */

static bool word(struct json_reader *r, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(r->end - r->p) >= n && memcmp(r->p, w, n) == 0) {
		r->p += n;
		return true;
	}
	fail(r, "expected a value");
	return false;
}

bool json_bool(struct json_reader *r)
{
	enum json_kind kind = json_peek(r);

	if (r->bad) return false;
	if (kind == JSON_TRUE) return word(r, "true");
	if (kind == JSON_FALSE)
		word(r, "false");
	else
		fail(r, "expected true or false");
	return false;
}

static void skip_scalar(struct json_reader *r, enum json_kind kind)
{
	const uint8_t *p;
	size_t n;
	bool integer;

	if (kind == JSON_NULL)
		word(r, "null");
	else if (kind == JSON_STRING)
		raw_string(r, &p, &n);
	else if (kind == JSON_NUMBER)
		raw_number(r, &p, &n, &integer);
	else
		json_bool(r);
}

void json_skip(struct json_reader *r)
{
	uint32_t outer = r->depth;
	const uint8_t *name;
	size_t n;

	do {
		enum json_kind kind = json_peek(r);
		if (r->bad) return;
		if (kind == JSON_OBJECT || kind == JSON_ARRAY)
			json_enter(r);
		else
			skip_scalar(r, kind);
		/* Leave what has closed, come to the next value of what has not. */
		while (!r->bad && r->depth > outer && !(bit(r->nest, r->depth - 1) ? json_member(r, &name, &n) : json_element(r)))
			;
	} while (!r->bad && r->depth > outer);
}

bool json_done(struct json_reader *r)
{
	if (r->bad) return false;
	blanks(r);
	if (r->p != r->end) fail(r, "expected the end of the text");
	return !r->bad;
}

/* ---- writer ---- */

void json_writer_init(struct json_writer *w) { *w = (struct json_writer){ 0 }; }

void json_writer_fixed(struct json_writer *w, char *buffer, size_t cap) { *w = (struct json_writer){ .p = buffer, .cap = cap, .fixed = true }; }

void json_writer_free(struct json_writer *w)
{
	if (!w->fixed) free(w->p);
	json_writer_init(w);
}

static void put(struct json_writer *w, const char *s, size_t n)
{
	if (w->full) return;
	if (w->cap - w->n < n) {
		if (w->fixed) {
			w->full = true;
			return;
		}
		w->cap = w->cap ? w->cap : 256;
		while (w->cap - w->n < n) w->cap *= 2;
		w->p = mem_grow(w->p, w->cap);
	}
	memcpy(w->p + w->n, s, n);
	w->n += n;
}

static void value_next(struct json_writer *w)
{
	if (w->comma) put(w, ",", 1);
	w->comma = true;
}

void json_open(struct json_writer *w, char bracket)
{
	value_next(w);
	put(w, &bracket, 1);
	w->comma = false;
	w->depth++;
}

void json_close(struct json_writer *w, char bracket)
{
	assert(w->depth > 0);
	w->depth--;
	put(w, &bracket, 1);
	w->comma = true;
}

void json_name(struct json_writer *w, const char *name)
{
	json_put_string(w, name, strlen(name));
	put(w, ":", 1);
	w->comma = false;
}

void json_put_string(struct json_writer *w, const char *s, size_t n)
{
	value_next(w);
	put(w, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char text[8];
		if (c == '"' || c == '\\') {
			text[0] = '\\', text[1] = (char)c;
			put(w, text, 2);
		} else if (c < 0x20) {
			put(w, text, (size_t)snprintf(text, sizeof text, "\\u%04x", c));
		} else {
			uint32_t used, rune = utf8_rune((const uint8_t *)s + i, (const uint8_t *)s + n, &used);
			put(w, text, utf8_put(rune, text));
			i += used - 1;
		}
	}
	put(w, "\"", 1);
}

static void put_text(struct json_writer *w, const char *s)
{
	value_next(w);
	put(w, s, strlen(s));
}

void json_put_u64(struct json_writer *w, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	put_text(w, text);
}

void json_put_i64(struct json_writer *w, int64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)v);
	put_text(w, text);
}

void json_put_bool(struct json_writer *w, bool v) { put_text(w, v ? "true" : "false"); }
void json_put_null(struct json_writer *w) { put_text(w, "null"); }
