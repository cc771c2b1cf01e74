/* The command line of derpsim. Only these files and the mains may use the operating system in sim/: files, terminal, signals, the clock
 * of the progress line. Nothing of it reaches a run.
 *
 * sim_main.c     which command          cli_options.c  its words, and the help
 * cli_files.c    scenarios, what they include, those that ship
 * cli_work.c     ^C and the progress line of long work
 * cli_run.c      run                    cli_replay.c   replay
 * cli_show.c     check, timeline, list
 * cli_lint.c     lint-map               cli_recording.c  replay, of what derp-relay recorded */
#ifndef SIM_CLI_H
#define SIM_CLI_H

#include "record.h"
#include "story.h"
#include "version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exit_code { EXIT_FINE, EXIT_FINDING, EXIT_USAGE, EXIT_FAILED };

#define CLI_BUILD "derpsim " DERP_VERSION /* what traces and results name as their maker */

/* ---- words: cli_options.c ---- */

enum cli_command { CLI_RUN, CLI_REPLAY, CLI_CHECK, CLI_TIMELINE, CLI_LIST, CLI_LINT_MAP, CLI_COMMANDS };
enum { CLI_SETS_MAX = 64, CLI_KEYS_CACHED = 1 << 17 };

struct cli {
	enum cli_command command; /* CLI_COMMANDS: none was given */
	char **arg;               /* behind it */
	int args;
	bool help, version, json, quiet, force, metrics;
	const char *db; /* NULL: no trace */
	enum record_level level;
	bool level_given;
	uint64_t seed, until, plant_at; /* until TIME_NEVER: what the scenario says */
	enum story_plant plant;
	const char *set[CLI_SETS_MAX];
	uint32_t sets;
};

/* Fills *out. Anything but EXIT_FINE: an error that was told. With help or version nothing else is checked. */
int cli_parse(int argc, char **argv, struct cli *out);
/* To standard output; CLI_COMMANDS: of all. */
void cli_help(enum cli_command command);
/* "derpsim: ..." to standard error; EXIT_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same; EXIT_FAILED. */
int cli_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "forged@40s": false if it is none. */
bool cli_parse_plant(const char *text, enum story_plant *plant, uint64_t *at);
void cli_print_plant(enum story_plant plant, uint64_t at, char *out, size_t cap);

/* ---- files: cli_files.c ---- */

struct cli_text {
	char *p;
	size_t n;
};
/* Whole, terminated; free(out->p). False: errno says why. */
bool cli_read(const char *path, struct cli_text *out);
/* A path, or the bare name of a scenario that ships, with all that its lines name. NULL: there is none, which was told; else scenario_free. */
struct scenario *cli_load(const char *name, const char *const *set, uint32_t sets);
/* The same from what a trace holds; `overrides` are its --set, one a line. NULL: it holds none. */
struct scenario *cli_load_trace(const struct record_reader *trace, const char *overrides);
void cli_print_errors(const struct scenario *scenario, bool to_stderr);
/* Is there a file that could be a trace? EXIT_USAGE: no, which was told. */
int cli_look_at_trace(const char *path);
bool cli_print_shipped(void); /* false: none ships with this program */

/* ---- long work: cli_work.c ---- */

/* From then on ^C, and a polite kill, ask the run to end; the second ends the program. A file that may not grow is an error of the write. */
void cli_work_signals(void);
bool cli_interrupted(void);

struct cli_progress {
	bool shown;
	uint64_t begun, last; /* real time, ns */
};
/* shown: only if standard error is a terminal. */
void cli_progress_begin(struct cli_progress *p, bool shown);
void cli_progress_at(struct cli_progress *p, uint64_t now, uint64_t until); /* virtual time */
void cli_progress_end(const struct cli_progress *p);

/* ---- commands: each returns an exit code ---- */

int cli_run(const struct cli *o);
int cli_replay(const struct cli *o);
int cli_replay_recording(const struct cli *o);
int cli_check(const struct cli *o);
int cli_timeline(const struct cli *o);
int cli_list(const struct cli *o);
int cli_lint_map(const struct cli *o);

#endif
