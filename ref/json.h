/* JSON, read as Go's encoding/json reads it, since what the original accepts is part of the protocol (HSK-009, MAP-001); and a
 * small writer.
 *
 * The reader is a pull parser over one complete span: no recursion, no allocation, depth limit JSON_DEPTH_MAX (deeper is an
 * error, HSK-009). It validates everything that it passes over, skipped values included. */
#ifndef REF_JSON_H
#define REF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 10000 };

enum json_kind { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_reader {
	const uint8_t *p, *start, *end;
	uint32_t depth;
	bool bad; /* sticky; `error` and `at` say what and where */
	const char *error;
	size_t at;
	uint8_t nest[(JSON_DEPTH_MAX + 7) / 8]; /* 1 = object */
	uint8_t first[(JSON_DEPTH_MAX + 7) / 8];
};

void json_init(struct json_reader *r, const void *text, size_t n);
/* Kind of the value at hand (white space skipped). On error r->bad. */
enum json_kind json_peek(struct json_reader *r);
/* Enters an object or array; then json_member or json_element until false, which leaves it. */
void json_enter(struct json_reader *r);
bool json_element(struct json_reader *r);
/* name,n: the raw bytes between the quotes. Compare with json_name_is. The value is at hand then. */
bool json_member(struct json_reader *r, const uint8_t **name, size_t *n);
/* Escapes resolved, letter case folded as the original does (ASCII and the two special letters K and long s). */
bool json_name_is(const uint8_t *name, size_t n, const char *want);
void json_skip(struct json_reader *r); /* one value, checked */
/* The value at hand must be of that kind, or null where `null_ok` style callers peeked before; else r->bad. */
bool json_bool(struct json_reader *r);
int64_t json_i64(struct json_reader *r); /* no fraction, no exponent, in range */
uint64_t json_u64(struct json_reader *r);
/* Degrees and scores without floating point: the number times 10^6, rounded to nearest, saturating. */
int64_t json_micro(struct json_reader *r);
/* Copies a string with escapes resolved and invalid UTF-8 replaced as the original does; returns its full length, which may be
 * more than cap - 1; always terminates. */
size_t json_string(struct json_reader *r, char *out, size_t cap);
/* At the end: only white space left, not bad. */
bool json_done(struct json_reader *r);

/* Writer into a growing or fixed buffer: call json_put_* in order; commas are its own business. */
struct json_writer {
	char *p;
	size_t n, cap;
	bool fixed; /* never grows: `full` is set instead */
	bool full;
	bool comma;
	uint32_t depth;
};
void json_writer_init(struct json_writer *w); /* grows; json_writer_free */
void json_writer_fixed(struct json_writer *w, char *buffer, size_t cap);
void json_writer_free(struct json_writer *w);
void json_open(struct json_writer *w, char bracket);  /* '{' or '[' */
void json_close(struct json_writer *w, char bracket); /* '}' or ']' */
void json_name(struct json_writer *w, const char *name);
void json_put_string(struct json_writer *w, const char *s, size_t n); /* what is no UTF-8 becomes U+FFFD */
void json_put_u64(struct json_writer *w, uint64_t v);
void json_put_i64(struct json_writer *w, int64_t v);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);

#endif
