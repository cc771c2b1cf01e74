/* derpsim lint-map: every fault of a DERP map, a line each, in the order of the text (MAP-016, MAP-020; the rest is in derpmap_lint.h). */
#include "cli.h"

#include "../ref/derpmap_lint.h"
#include "../ref/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(uint32_t n) { return n == 1 ? "" : "s"; }

static void print_text(const char *file, const struct lint *lint)
{
	char line[LINT_LINE_MAX];
	uint32_t all = lint->errors + lint->warnings;

	for (uint32_t i = 0; i < lint->faults; i++) printf("%s:%s\n", file, lint_print(&lint->fault[i], line));
	if (lint->faults < all) printf("%s: and %u more\n", file, all - lint->faults);
	if (all == 0)
		printf("%s: good\n", file);
	else
		printf("%s: %u error%s, %u warning%s\n", file, lint->errors, plural(lint->errors), lint->warnings, plural(lint->warnings));
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

/* One object a file and line. */
static void print_json(const char *file, const struct lint *lint)
{
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	put_number(&w, "schema", 1);
	put_text(&w, "file", file);
	put_number(&w, "errors", lint->errors);
	put_number(&w, "warnings", lint->warnings);
	json_name(&w, "faults");
	json_open(&w, '[');
	for (uint32_t i = 0; i < lint->faults; i++) {
		const struct lint_fault *f = &lint->fault[i];
		json_open(&w, '{');
		put_number(&w, "line", f->line);
		put_number(&w, "column", f->column);
		put_text(&w, "level", lint_level_name(f->level));
		put_text(&w, "path", f->path);
		put_text(&w, "text", f->text);
		json_close(&w, '}');
	}
	json_close(&w, ']');
	json_close(&w, '}');
	printf("%.*s\n", (int)w.n, w.p);
	json_writer_free(&w);
}

static int lint_one(const char *file, bool json)
{
	char error[DERPMAP_ERROR_SIZE];
	struct lint lint;
	struct cli_text text;
	int code = EXIT_USAGE;

	if (!cli_read(file, &text)) return cli_usage("%s: %s", file, strerror(errno));
	if (derp_map_lint(text.p, text.n, &lint, error)) {
		if (json)
			print_json(file, &lint);
		else
			print_text(file, &lint);
		code = lint.errors + lint.warnings == 0 ? EXIT_FINE : EXIT_FINDING;
	} else {
		fprintf(stderr, "derpsim: %s:%s\n", file, error);
	}
	lint_free(&lint);
	free(text.p);
	return code;
}

int cli_lint_map(const struct cli *o)
{
	int code = EXIT_FINE;

	for (int i = 0; i < o->args; i++) {
		int one = lint_one(o->arg[i], o->json);
		if (one > code) code = one;
	}
	return code;
}
