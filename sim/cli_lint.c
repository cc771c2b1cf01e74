/* derpsim lint-map: every fault of a DERP map, a line each, in the order of the text (MAP-016, MAP-020; the rest is in derpmap_lint.h). */
#include "cli.h"

#include "../ref/derpmap_lint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int lint_one(const char *file, bool json)
{
	char error[DERPMAP_ERROR_SIZE], *said;
	struct lint lint;
	struct cli_text text;
	int code = EXIT_USAGE;

	if (!cli_read(file, &text)) return cli_usage("%s: %s", file, strerror(errno));
	if (derp_map_lint(text.p, text.n, &lint, error)) {
		said = lint_format(&lint, file, json);
		fputs(said, stdout);
		free(said);
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
