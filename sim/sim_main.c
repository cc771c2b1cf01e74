/* derpsim: run, replay, check, timeline, list, lint-map. Which of them, and what becomes of its output; the rest is in cli_*.c. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int (*const run_command[CLI_COMMANDS])(const struct cli *o) = {
	[CLI_RUN] = cli_run,           [CLI_REPLAY] = cli_replay, [CLI_CHECK] = cli_check,
	[CLI_TIMELINE] = cli_timeline, [CLI_LIST] = cli_list,     [CLI_LINT_MAP] = cli_lint_map,
};

int main(int argc, char **argv)
{
	struct cli o;
	int code = cli_parse(argc, argv, &o);

	if (code != EXIT_FINE) return code;
	if (o.version) {
		puts(CLI_BUILD);
	} else if (o.help) {
		cli_help(o.command);
	} else {
		cli_work_signals();
		code = run_command[o.command](&o);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) return cli_failed("cannot write to standard output: %s", strerror(errno));
	return code;
}
