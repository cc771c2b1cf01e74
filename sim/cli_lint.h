/* derpsim lint-map. Part of derpsim's main: it reads files and prints. */
#ifndef SIM_CLI_LINT_H
#define SIM_CLI_LINT_H

#include <stdbool.h>

#define CLI_LINT_HELP "derpsim lint-map MAP.json...      what is wrong with DERP maps: all of it, with place, path and rule; --json for programs\n"

/* Exit code: 0 nothing, 1 errors or warnings, 2 a file that cannot be read or is no JSON. */
int cli_lint_map(char *const *file, int files, bool json);

#endif
