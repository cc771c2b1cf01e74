/* The command line of the programs in ref/, alike in all of them: options anywhere, `--name=value` or `--name value`, with one dash
 * too, as the original's flags are written; -h and --help, --version; exit codes 0 fine, 1 a finding, 2 usage or bad input, 3 could
 * not run. And the text of a machine's configuration, gathered line by line. */
#ifndef REF_OS_CLI_H
#define REF_OS_CLI_H

#include "version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum os_exit { OS_EXIT_FINE, OS_EXIT_FINDING, OS_EXIT_USAGE, OS_EXIT_CANNOT };

enum os_option_value {
	OS_FLAG,  /* takes no value */
	OS_VALUE, /* takes one */
	OS_ON_OFF /* alone it is true; else `--name=true` or `--name=false` in one word, as the original's */
};

struct os_option {
	int id;           /* what os_cli_next returns: > 0, and none of enum os_cli_end */
	const char *name; /* long, without dashes; NULL ends the table */
	char letter;      /* 0: none */
	uint8_t value;    /* enum os_option_value */
};

struct os_cli {
	const char *program;
	const struct os_option *options;
	int argc, at;
	char **argv;
	bool only_arguments; /* behind `--` */
	const char *value;   /* of the option or argument just returned */
	const char *name;    /* of the option just returned */
};

enum os_cli_end { OS_CLI_END = 0, OS_CLI_ARGUMENT = -1, OS_CLI_BAD = -2 };

void os_cli_init(struct os_cli *cli, const char *program, const struct os_option *options, int argc, char **argv);
/* The id of the next option, OS_CLI_ARGUMENT for what is none, OS_CLI_END, or OS_CLI_BAD, of which the user has been told. */
int os_cli_next(struct os_cli *cli);
/* Tells the user, in the form `PROGRAM: TEXT`, and returns OS_EXIT_USAGE. */
int os_cli_usage(const struct os_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The value of the option at hand as a number or as times with their units (ns us ms s m h; 1500ms, 1.5s, 1m30s,
 * 0), in ns, or as true or false, true without a value. False: the user has been told. */
bool os_cli_u64(const struct os_cli *cli, uint64_t min, uint64_t max, uint64_t *out);
bool os_cli_time(const struct os_cli *cli, uint64_t *out);
bool os_cli_on_off(const struct os_cli *cli, bool *out);

/* ---- configuration ---- */

struct os_config {
	char text[16384];
	size_t n;
	bool full;
};
void os_config_add(struct os_config *config, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
