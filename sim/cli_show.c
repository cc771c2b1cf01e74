/* derpsim check, timeline, list: what only looks. */
#include "cli.h"

#include "../ref/key.h"
#include "../reports/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_metrics(void)
{
	size_t n = scenario_print_metrics(NULL, 0) + 1;
	char *text = malloc(n);

	if (text == NULL) abort();
	scenario_print_metrics(text, n);
	fputs(text, stdout);
	free(text);
}

/* What the parser lets through and this simulator has not. */
static bool check_world(const struct scenario *sc)
{
	struct story_options so = { .seed = 1, .until = TIME_NEVER };
	struct key_cache *keys = key_cache_new(CLI_KEYS_CACHED);
	char error[512];
	struct story *st = story_new(sc, &so, keys, error, sizeof error);
	bool good = st != NULL;

	if (!good) printf("%s\n", error);
	story_free(st);
	key_cache_free(keys);
	return good;
}

static bool check_one(const char *name, const struct cli *o)
{
	struct scenario *sc = cli_load(name, o->set, o->sets);
	bool good = false;

	if (sc == NULL) return false;
	if (sc->errors > 0)
		cli_print_errors(sc, false);
	else
		good = check_world(sc);
	if (good && !o->quiet) printf("%s: good\n", sc->file[0].name);
	scenario_free(sc);
	return good;
}

int cli_check(const struct cli *o)
{
	int code = EXIT_FINE;

	if (o->metrics) print_metrics();
	for (int i = 0; i < o->args; i++)
		if (!check_one(o->arg[i], o)) code = EXIT_USAGE;
	return code;
}

static void write_out(void *ctx, const char *p, size_t n) { fwrite(p, 1, n, ctx); }

int cli_timeline(const struct cli *o)
{
	struct paper out = { write_out, stdout };
	const char *path = o->arg[0], *damage;
	char error[DB_ERROR_SIZE];
	struct db *db;
	int code = cli_look_at_trace(path);

	if (code != EXIT_FINE) return code;
	db = db_open(path, error);
	if (db == NULL) return cli_usage("%s: %s", path, error);
	if (!timeline_print(db, &out)) {
		fflush(stdout);
		damage = db_error(db);
		code = damage == NULL ? cli_usage("%s: found a trace without a run, expected one that holds a run", path)
		                      : cli_usage("%s: the trace is damaged: %s", path, damage);
	}
	db_close(db);
	return code;
}

int cli_list(const struct cli *o)
{
	(void)o;
	return cli_print_shipped() ? EXIT_FINE : cli_failed("found no scenarios beside the program's folder, nor in scenarios/ here");
}
