/* derp-client lint-map: as derpsim lint-map; a map may also be a URL. */
#include "cmd.h"

#include "derpmap_lint.h"

#include <stdlib.h>
#include <string.h>

static int lint_one(struct cmd *cmd, const char *file)
{
	char error[DERPMAP_ERROR_SIZE], *said;
	struct lint lint;
	struct cmd_text text;
	int end = cmd_map_text(cmd, file, &text);

	if (end >= 0) return end;
	end = OS_EXIT_USAGE;
	if (derp_map_lint(text.p, text.n, &lint, error)) {
		said = lint_format(&lint, file, cmd->json);
		fputs(said, stdout);
		free(said);
		end = lint.errors + lint.warnings == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING;
	} else {
		fprintf(stderr, "derp-client: %s:%s\n", file, error);
	}
	lint_free(&lint);
	free(text.p);
	return end;
}

int cmd_lint(struct cmd *cmd)
{
	int end = OS_EXIT_FINE;

	for (uint32_t i = 0; i < cmd->args; i++) {
		int one = lint_one(cmd, cmd->arg[i]);
		if (one > end) end = one;
	}
	return end;
}
