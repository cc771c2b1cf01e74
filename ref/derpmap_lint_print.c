/* The faults of a map for people and for programs. */
#include "derpmap_lint.h"

#include "buf.h"
#include "json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct lines {
	char *p;
	size_t n, cap;
};

__attribute__((format(printf, 2, 3))) static void add(struct lines *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0); /* no format of ours fails */
	if (l->cap - l->n <= (size_t)n) {
		l->cap = 2 * l->cap + (size_t)n + 1;
		l->p = mem_grow(l->p, l->cap);
	}
	va_start(args, format);
	vsnprintf(l->p + l->n, l->cap - l->n, format, args);
	va_end(args);
	l->n += (size_t)n;
}

static const char *plural(uint32_t n) { return n == 1 ? "" : "s"; }

static char *as_text(const struct lint *lint, const char *file)
{
	char line[LINT_LINE_MAX];
	uint32_t all = lint->errors + lint->warnings;
	struct lines l = { 0 };

	for (uint32_t i = 0; i < lint->faults; i++) add(&l, "%s:%s\n", file, lint_print(&lint->fault[i], line));
	if (lint->faults < all) add(&l, "%s: and %u more\n", file, all - lint->faults);
	if (all == 0)
		add(&l, "%s: good\n", file);
	else
		add(&l, "%s: %u error%s, %u warning%s\n", file, lint->errors, plural(lint->errors), lint->warnings, plural(lint->warnings));
	return l.p;
}

static void put_text(struct json_writer *w, const char *name, const char *text)
{
	json_name(w, name);
	json_put_string(w, text, strlen(text));
}

static void put_number(struct json_writer *w, const char *name, uint64_t v)
{
	json_name(w, name);
	json_put_u64(w, v);
}

static void put_fault(struct json_writer *w, const struct lint_fault *f)
{
	json_open(w, '{');
	put_number(w, "line", f->line);
	put_number(w, "column", f->column);
	put_text(w, "level", lint_level_name(f->level));
	put_text(w, "path", f->path);
	put_text(w, "text", f->text);
	json_close(w, '}');
}

static char *as_json(const struct lint *lint, const char *file)
{
	struct json_writer w;
	char *text;

	json_writer_init(&w);
	json_open(&w, '{');
	put_number(&w, "schema", 1);
	put_text(&w, "file", file);
	put_number(&w, "errors", lint->errors);
	put_number(&w, "warnings", lint->warnings);
	json_name(&w, "faults");
	json_open(&w, '[');
	for (uint32_t i = 0; i < lint->faults; i++) put_fault(&w, &lint->fault[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	text = mem_alloc(w.n + 2);
	memcpy(text, w.p, w.n);
	memcpy(text + w.n, "\n", 2);
	json_writer_free(&w);
	return text;
}

char *lint_format(const struct lint *lint, const char *file, bool json) { return json ? as_json(lint, file) : as_text(lint, file); }
