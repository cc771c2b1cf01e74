/* Text for a terminal of 80 columns, in pieces through a callback. Texts of a trace may be anybody's: control characters never reach the
 * terminal. Times come from integers; no locale. */
#ifndef REPORTS_PAPER_H
#define REPORTS_PAPER_H

#include <stddef.h>
#include <stdint.h>

enum { PAPER_COLUMNS = 80, PAPER_TIME = 40 };

struct paper {
	void (*write)(void *ctx, const char *p, size_t n);
	void *ctx;
};

/* One line at most, of our own words and numbers. */
void paper_say(const struct paper *paper, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whatever text, broken between words: the first line behind `head` (not broken), the others behind `indent` blanks. */
void paper_wrap(const struct paper *paper, const char *head, unsigned indent, const char *text);
/* Blanks run together, control characters as '?'; cut to cap - 1 bytes, never within a letter. Returns its columns. */
unsigned paper_clean(const char *text, char *out, size_t cap);
/* 12.345 s: moments, to stand in columns. */
const char *paper_moment(int64_t ns, char out[PAPER_TIME]);
/* 138.543ms, 30s: durations, as derpsim run prints them. */
const char *paper_duration(int64_t ns, char out[PAPER_TIME]);

#endif
