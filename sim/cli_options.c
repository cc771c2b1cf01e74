/* The words of the command line: one table of commands and one of options, from which parsing, errors and help are made. */
#include "cli.h"

#include "scenario.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is ---- */

static const struct {
	const char *name, *takes, *what, *more;
} commands[CLI_COMMANDS] = {
	[CLI_RUN] = { "run", "SCENARIO", "runs a scenario; its last line is `digest` and 32 hex digits",
	              "SCENARIO is a file, or the bare name of a scenario that ships (derpsim list).\n"
	              "As in: derpsim run node-crash --seed 2 --db build/crash.db --trace full\n" },
	[CLI_REPLAY] = { "replay", "TRACE.db", "proves that a trace's run repeats, or names the first divergence",
	                 "Event by event as far as the trace holds them, by the digest of each second else. Of a recording\n"
	                 "of derp-relay --record each event enters the relay of this build, and the same actions must come out.\n" },
	[CLI_CHECK] = { "check", "SCENARIO...", "syntax and sanity only: every error, with line, column and what was expected",
	                "Exit code 2 if any of them is not good.\n" },
	[CLI_TIMELINE] = { "timeline", "TRACE.db", "the story of a trace in the terminal", "" },
	[CLI_LIST] = { "list", "", "the scenarios that ship, with their first line", "" },
	[CLI_LINT_MAP] = { "lint-map", "MAP.json...", "what is wrong with DERP maps: all of it, with place, path and rule",
	                   "Exit code 1 if there is any error or warning.\n" },
};

enum { OF_RUN = 1 << CLI_RUN, OF_REPLAY = 1 << CLI_REPLAY, OF_CHECK = 1 << CLI_CHECK, OF_LINT = 1 << CLI_LINT_MAP, OF_ALL = (1 << CLI_COMMANDS) - 1 };
enum word { SEED = 256, DB, FORCE, TRACE, UNTIL, SET, JSON, QUIET, PLANT, METRICS, HELP, VERSION, WORDS_END };
enum { WORDS = WORDS_END - SEED };

#define PLANTS "forged, changed, doubled, misdelivered, twice-forwarded, unaccounted"

static const struct {
	const char *name, *value; /* value NULL: takes none */
	unsigned of;
	const char *what;
} words[WORDS] = {
	{ "seed", "N", OF_RUN, "the seed, from which every draw comes; 1 if not given" },
	{ "db", "OUT.db", OF_RUN, "write a trace (SQLite; sim/schema.sql is its manual)" },
	{ "force", NULL, OF_RUN, "overwrite the file of --db if it is there" },
	{ "trace", "LEVEL", OF_RUN, "full, sampled, summary (if not given) or off" },
	{ "until", "TIME", OF_RUN, "end then, as in 90s or 1.5m" },
	{ "set", "NAME=VALUE", OF_RUN | OF_CHECK, "override a let, a vary, or an option of a statement, as in policy.return=10m" },
	{ "json", NULL, OF_RUN | OF_LINT, "the result as one JSON object (of each map, for lint-map); times in ns" },
	{ "quiet", NULL, OF_RUN | OF_REPLAY | OF_CHECK, "only the digest, and what is not good" },
	{ "plant", "FAULT[@TIME]", OF_RUN, "test of the checks: " PLANTS },
	{ "metrics", NULL, OF_CHECK, "list every metric that an expectation may name" },
	{ "help", NULL, OF_ALL, "this; also -h" },
	{ "version", NULL, OF_ALL, "the version" },
};

/* ---- errors and help ---- */

static int complain(int code, const char *format, va_list args)
{
	fprintf(stderr, "derpsim: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	return code;
}

int cli_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(EXIT_USAGE, format, args);
	va_end(args);
	return EXIT_USAGE;
}

int cli_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(EXIT_FAILED, format, args);
	va_end(args);
	return EXIT_FAILED;
}

void cli_help(enum cli_command command)
{
	if (command == CLI_COMMANDS) {
		printf("derpsim runs stories about DERP relays in virtual time.\n\n");
		for (int i = 0; i < CLI_COMMANDS; i++) printf("  derpsim %-8s %-12s %s\n", commands[i].name, commands[i].takes, commands[i].what);
		printf("\nderpsim COMMAND --help says more; --version. Options may stand anywhere, as --name=value or --name value.\n");
	} else {
		printf("derpsim %s%s%s%s: %s\n%s\n", commands[command].name, commands[command].takes[0] == 0 ? "" : " ", commands[command].takes,
		       command == CLI_LIST ? "" : " [options]", commands[command].what, commands[command].more);
		for (int i = 0; i < WORDS; i++) {
			char word[40];
			if ((words[i].of & 1u << command) == 0) continue;
			snprintf(word, sizeof word, "%s %s", words[i].name, words[i].value == NULL ? "" : words[i].value);
			printf("  --%-22s %s\n", word, words[i].what);
		}
	}
	printf("Exit codes: 0 fine, 1 a finding, 2 usage or bad input, 3 could not run.\n");
}

/* " Did you mean X?", or "". */
static const char *guess_of(const char *word, const char *const *candidate, uint32_t candidates, const char *before, char out[60])
{
	const char *nearest = scenario_nearest(word, candidate, candidates);

	out[0] = 0;
	if (nearest != NULL) snprintf(out, 60, " Did you mean %s%s?", before, nearest);
	return out;
}

static int unknown_command(const char *word)
{
	const char *name[CLI_COMMANDS];
	char guess[60];

	for (int i = 0; i < CLI_COMMANDS; i++) name[i] = commands[i].name;
	return cli_usage("found '%s', expected run, replay, check, timeline, list or lint-map.%s", word,
	                 guess_of(word, name, CLI_COMMANDS, "", guess));
}

/* text: "--seeed=3" */
static int unknown_word(const char *text)
{
	const char *name[WORDS];
	char guess[60], word[40];

	for (int i = 0; i < WORDS; i++) name[i] = words[i].name;
	snprintf(word, sizeof word, "%.*s", (int)strcspn(text + (text[1] == '-' ? 2 : 1), "="), text + (text[1] == '-' ? 2 : 1));
	return cli_usage("found '%s', expected an option that there is.%s derpsim --help says more", text,
	                 text[1] == '-' ? guess_of(word, name, WORDS, "--", guess) : "");
}

/* ---- values ---- */

static bool parse_u64(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

static const struct {
	const char *name;
	uint64_t ns;
} units[] = { { "ns", 1 }, { "us", NS_US }, { "ms", NS_MS }, { "s", NS_S }, { "m", 60 * NS_S }, { "h", 3600 * NS_S } };

/* 90s, 1.5m: exact to the nanosecond, or it is none. */
static bool parse_time(const char *text, uint64_t *out)
{
	uint64_t whole, part = 0, scale = 1;
	char *end;

	if (text[0] < '0' || text[0] > '9') return false;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (*end == '.' && (end[1] < '0' || end[1] > '9')) return false;
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9' && scale < NS_S; end++) part = part * 10 + (uint64_t)(*end - '0'), scale *= 10;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		unsigned __int128 rest = (unsigned __int128)part * units[i].ns;
		if (strcmp(end, units[i].name) != 0) continue;
		if (errno != 0 || whole >= SCENARIO_TIME_MAX / units[i].ns || rest % scale != 0) return false;
		*out = whole * units[i].ns + (uint64_t)(rest / scale);
		return true;
	}
	return false;
}

static bool parse_level(const char *text, struct cli *o)
{
	for (int i = 0; i < RECORD_LEVELS; i++) {
		if (strcmp(text, record_level_name((enum record_level)i)) != 0) continue;
		o->level = (enum record_level)i;
		return o->level_given = true;
	}
	return false;
}

bool cli_parse_plant(const char *text, enum story_plant *plant, uint64_t *at)
{
	size_t n = strcspn(text, "@");

	*at = 0;
	if (text[n] == '@' && !parse_time(text + n + 1, at)) return false;
	for (int i = STORY_PLANT_NONE + 1; i < STORY_PLANTS; i++) {
		const char *name = story_plant_name((enum story_plant)i);
		if (strlen(name) != n || memcmp(name, text, n) != 0) continue;
		*plant = (enum story_plant)i;
		return true;
	}
	return false;
}

void cli_print_plant(enum story_plant plant, uint64_t at, char *out, size_t cap)
{
	out[0] = 0;
	if (plant != STORY_PLANT_NONE) snprintf(out, cap, "%s@%" PRIu64 "ns", story_plant_name(plant), at);
}

/* ---- the line ---- */

static int set_word(struct cli *o, const char *value)
{
	if (o->sets == CLI_SETS_MAX) return cli_usage("--set: found '%s' as one more, expected %d at most", value, CLI_SETS_MAX);
	if (value[0] == '=' || strchr(value, '=') == NULL || strchr(value, '\n') != NULL)
		return cli_usage("--set: found '%s', expected NAME=VALUE in one line", value);
	o->set[o->sets++] = value;
	return EXIT_FINE;
}

static int take_word(struct cli *o, enum word word, const char *value)
{
	switch (word) {
	case DB:
		if (value[0] == 0 || value[0] == ':') return cli_usage("--db: found '%s', expected the name of a file to write", value);
		o->db = value;
		break;
	case TRACE:
		if (!parse_level(value, o)) return cli_usage("--trace: found '%s', expected full, sampled, summary or off", value);
		break;
	case SEED:
		if (!parse_u64(value, &o->seed)) return cli_usage("--seed: found '%s', expected a number from 0 to %" PRIu64, value, UINT64_MAX);
		break;
	case UNTIL:
		if (!parse_time(value, &o->until))
			return cli_usage("--until: found '%s', expected a time in whole ns below 10000h with its unit, as in 90s or 1.5m", value);
		break;
	case SET: return set_word(o, value);
	case PLANT:
		if (!cli_parse_plant(value, &o->plant, &o->plant_at))
			return cli_usage("--plant: found '%s', expected one of " PLANTS ", perhaps with a time as in forged@40s", value);
		break;
	case FORCE: o->force = true; break;
	case JSON: o->json = true; break;
	case QUIET: o->quiet = true; break;
	case METRICS: o->metrics = true; break;
	case HELP: o->help = true; break;
	case VERSION: o->version = true; break;
	case WORDS_END: break;
	}
	return EXIT_FINE;
}

/* What getopt says of a word that it does not take. */
static int bad_word(int c, int word, const char *text)
{
	if (c == ':') return cli_usage("--%s: found nothing behind it, expected %s", words[word - SEED].name, words[word - SEED].value);
	if (word >= SEED) return cli_usage("--%s: found '%s', expected no value", words[word - SEED].name, text);
	return unknown_word(word > 0 ? (const char[]){ '-', (char)word, 0 } : text);
}

static int find_command(struct cli *o, const char *text, uint32_t given)
{
	int i = 0;

	while (i < CLI_COMMANDS && strcmp(text, commands[i].name) != 0) i++;
	if (i == CLI_COMMANDS) return unknown_command(text);
	o->command = (enum cli_command)i;
	for (int k = 0; k < WORDS && !o->help; k++)
		if ((given & 1u << k) != 0 && (words[k].of & 1u << i) == 0)
			return cli_usage("found --%s, expected an option of %s: derpsim %s --help says which there are", words[k].name,
			                 commands[i].name, commands[i].name);
	return EXIT_FINE;
}

static int count_args(const struct cli *o)
{
	const char *name = commands[o->command].name;
	bool many = o->command == CLI_CHECK || o->command == CLI_LINT_MAP;
	int most = o->command == CLI_LIST ? 0 : many ? INT32_MAX : 1;

	if (o->args > most)
		return cli_usage("%s: found '%s', expected %s", name, o->arg[most], most == 0 ? "nothing behind it" : "one argument and no more");
	if (o->args > 0 || most == 0 || o->metrics) return EXIT_FINE;
	return cli_usage("%s: found nothing behind it, expected %s", name,
	                 o->command == CLI_RUN || o->command == CLI_CHECK ? "a scenario. derpsim list shows those that ship"
	                 : o->command == CLI_LINT_MAP                     ? "a DERP map"
	                                                                  : "a trace, as derpsim run SCENARIO --db FILE writes it");
}

int cli_parse(int argc, char **argv, struct cli *o)
{
	struct option known[WORDS + 1] = { { NULL, 0, NULL, 0 } };
	uint32_t given = 0;
	int c, code;

	*o = (struct cli){ .command = CLI_COMMANDS, .seed = 1, .until = TIME_NEVER, .level = RECORD_SUMMARY };
	for (int i = 0; i < WORDS; i++)
		known[i] = (struct option){ words[i].name, words[i].value == NULL ? no_argument : required_argument, NULL, SEED + i };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		if (c == '?' || c == ':') return bad_word(c, optopt, argv[optind - 1]);
		code = take_word(o, c == 'h' ? HELP : (enum word)c, optarg);
		if (code != EXIT_FINE) return code;
		given |= c == 'h' ? 0 : 1u << (c - SEED);
	}
	if (o->version) return EXIT_FINE;
	if (optind < argc) {
		code = find_command(o, argv[optind], given);
		if (code != EXIT_FINE || o->help) return code;
		o->arg = argv + optind + 1;
		o->args = argc - optind - 1;
		return count_args(o);
	}
	return o->help ? EXIT_FINE : cli_usage("found no command, expected run, replay, check, timeline, list or lint-map. derpsim --help says more");
}
