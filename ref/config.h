/* The configuration of a machine: text of `key=value` lines, so that the whole of it is bytes of START.
 *
 * A line is `key=value` up to the newline; the value may hold anything else, '=' included. Blank lines and lines starting with
 * '#' mean nothing. Unknown keys, bad values and keys given twice are errors that name line and key. */
#ifndef REF_CONFIG_H
#define REF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_BOOL, /* on, off; bool */
	CONFIG_U32,  /* decimal; uint32_t */
	CONFIG_U64,  /* decimal; uint64_t */
	CONFIG_TIME, /* decimal with ns us ms s m h; uint64_t ns */
	CONFIG_KEY,  /* 64 hex digits with an optional prefix `privkey:` or `nodekey:`; struct key */
	CONFIG_ENUM, /* one of `names`; uint32_t index */
	CONFIG_TEXT  /* struct config_text pointing into the text */
};

struct config_text {
	const char *p;
	size_t n;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;            /* of the field in the machine's config struct */
	uint64_t min, max;        /* CONFIG_U32, U64, TIME: inclusive limits; both 0 = any */
	const char *const *names; /* CONFIG_ENUM: NULL-terminated */
};

enum { CONFIG_ERROR_SIZE = 200 };

/* Fills the fields of *into by the table (terminated by name == NULL); the caller sets the defaults before. False: `error`
 * says `line N: ...` with what was found and what was expected. */
bool config_parse(const char *text, size_t n, const struct config_key *table, void *into, char error[CONFIG_ERROR_SIZE]);

#endif
