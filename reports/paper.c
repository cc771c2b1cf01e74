/* Printing. */
#include "paper.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 512 };
#define SECOND INT64_C(1000000000)

void paper_say(const struct paper *o, const char *format, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	assert(n >= 0);
	assert((size_t)n < sizeof line);
	o->write(o->ctx, line, (size_t)n);
}

/* Begins a letter, or follows in one? */
static bool follows(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

unsigned paper_clean(const char *text, char *out, size_t cap)
{
	size_t n = 0;
	unsigned columns = 0;

	assert(cap > 0);
	for (const char *p = text; *p != 0 && n + 1 < cap; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			if (n == 0 || out[n - 1] == ' ') continue;
			c = ' ';
		} else if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0)) { /* C0, DEL, C1 */
			p += c == 0xc2;
			c = '?';
		}
		columns += !follows((char)c);
		out[n++] = (char)c;
	}
	if (n + 1 == cap && follows(text[0] == 0 ? 0 : out[n - 1])) { /* the last letter may be cut */
		while (n > 0 && follows(out[n - 1])) n--;
		if (n > 0) n--, columns--;
	}
	while (n > 0 && out[n - 1] == ' ') n--, columns--;
	out[n] = 0;
	return columns;
}

static unsigned columns_of(const char *p, size_t n)
{
	unsigned columns = 0;

	for (size_t i = 0; i < n; i++) columns += !follows(p[i]);
	return columns;
}

void paper_wrap(const struct paper *o, const char *head, unsigned indent, const char *text)
{
	char clean[4096];
	unsigned at = columns_of(head, strlen(head));
	bool first = true;

	paper_clean(text, clean, sizeof clean);
	o->write(o->ctx, head, strlen(head));
	for (const char *p = clean; *p != 0; p += *p == ' ') {
		size_t n = strcspn(p, " ");
		unsigned columns = columns_of(p, n);
		if (!first && at + 1 + columns > PAPER_COLUMNS) {
			paper_say(o, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			paper_say(o, " ");
			at++;
		}
		o->write(o->ctx, p, n);
		at += columns;
		first = false;
		p += n;
	}
	paper_say(o, "\n");
}

const char *paper_moment(int64_t ns, char out[PAPER_TIME])
{
	snprintf(out, PAPER_TIME, "%" PRId64 ".%03" PRId64 " s", ns / SECOND, ns / (SECOND / 1000) % 1000);
	return out;
}

const char *paper_duration(int64_t ns, char out[PAPER_TIME])
{
	int64_t unit = ns >= SECOND ? SECOND : ns >= SECOND / 1000 ? SECOND / 1000 : 1000;
	const char *name = ns >= SECOND || ns == 0 ? "s" : ns >= SECOND / 1000 ? "ms" : "us";
	int64_t rest = ns % unit * 1000 / unit;
	size_t n = (size_t)snprintf(out, PAPER_TIME, rest == 0 ? "%" PRId64 : "%" PRId64 ".%03" PRId64, ns / unit, rest);

	while (rest != 0 && out[n - 1] == '0') n--;
	snprintf(out + n, PAPER_TIME - n, "%s", name);
	return out;
}
