/* derpsim run: a scenario, a seed, perhaps a trace; the result in text or as JSON. */
#include "cli.h"

#include "geo.h"
#include "tell.h"

#include "../ref/key.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the trace ---- */

static void remove_trace(const char *path)
{
	static const char *const side[] = { "", "-wal", "-shm", "-journal" };
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof side / sizeof *side; i++) {
		snprintf(name, sizeof name, "%s%s", path, side[i]);
		unlink(name);
	}
}

static int open_record(const struct cli *o, struct record **record)
{
	char error[RECORD_ERROR_SIZE];
	struct stat st;

	*record = NULL;
	if (o->db == NULL && o->level_given && o->level != RECORD_OFF)
		return cli_usage("found --trace %s without --db, expected --db FILE as well", record_level_name(o->level));
	if (o->db == NULL || o->level == RECORD_OFF) return EXIT_FINE;
	if (lstat(o->db, &st) == 0) {
		if (!S_ISREG(st.st_mode)) return cli_usage("--db: found %s, which is no file, expected a name for one", o->db);
		if (!o->force) return cli_usage("--db: %s is there already, expected a new name, or --force to overwrite it", o->db);
		remove_trace(o->db);
	}
	*record = record_new(o->db, o->level, error);
	return *record != NULL ? EXIT_FINE : cli_failed("%s: %s", o->db, error);
}

static char *join_sets(const struct cli *o)
{
	size_t n = 1;
	char *text, *at;

	for (uint32_t i = 0; i < o->sets; i++) n += strlen(o->set[i]) + 1;
	text = at = malloc(n);
	if (text == NULL) abort();
	for (uint32_t i = 0; i < o->sets; i++) at += sprintf(at, "%s\n", o->set[i]);
	*at = 0;
	return text;
}

static void save_inputs(struct record *r, const struct scenario *sc, const struct cli *o, const struct story *st)
{
	char plant[80], *overrides = join_sets(o);
	struct record_run run = { .scenario = sc->file[0].name,
		                  .title = sc->title,
		                  .build = CLI_BUILD,
		                  .overrides = overrides,
		                  .plant = plant,
		                  .seed = o->seed,
		                  .until_ns = story_until(st),
		                  .cities = geo_table_hash() };

	cli_print_plant(o->plant, o->plant_at, plant, sizeof plant);
	record_run(r, &run);
	for (uint32_t i = 0; i < sc->files; i++)
		record_file(r, i, sc->file[i].name, i == 0 ? "scenario" : "include", sc->file[i].text, sc->file[i].n);
	record_file(r, sc->files, sc->map_text.name, "map", sc->map_text.text, sc->map_text.n);
	record_commit(r);
	free(overrides);
}

/* ---- the run ---- */

static bool on_second(void *ctx, uint64_t now, uint64_t until)
{
	cli_progress_at(ctx, now, until);
	return !cli_interrupted();
}

/* Before its time is over: why, and what is left of it. */
static int stopped(const struct cli *o, const struct story *st, const struct record *record)
{
	const char *why = record_error(record);
	uint64_t now = story_now(st) / NS_S, until = story_until(st) / NS_S;

	if (why != NULL)
		return cli_failed("%s: %s. The run ends at %" PRIu64 " s of %" PRIu64
		                  " s, and what was written before can be read; make room and run it again",
		                  o->db, why, now, until);
	return cli_failed("stopped at %" PRIu64 " s of %" PRIu64 " s%s%s%s", now, until, record == NULL ? "" : "; ", record == NULL ? "" : o->db,
	                  record == NULL ? "" : " holds the run up to there");
}

static void write_out(void *ctx, const char *p, size_t n) { fwrite(p, 1, n, ctx); }

static int tell_story(const struct scenario *sc, const struct story *st, const struct cli *o)
{
	struct tell out = { write_out, stdout };
	bool good = story_good(st);

	if (o->json) {
		tell_json(&out, sc, st, o->seed, CLI_BUILD);
	} else {
		if (!o->quiet || !good) tell_result(&out, sc, st);
		tell_digest(&out, st);
	}
	return good ? EXIT_FINE : EXIT_FINDING;
}

static int run_story(const struct scenario *sc, const struct cli *o, struct record *record, struct key_cache *keys)
{
	struct cli_progress progress;
	struct story_options so = { .seed = o->seed,
		                    .until = o->until,
		                    .record = record,
		                    .plant = o->plant,
		                    .plant_at = o->plant_at,
		                    .second = on_second,
		                    .ctx = &progress };
	struct tell out = { write_out, stdout };
	char error[512];
	struct story *st = story_new(sc, &so, keys, error, sizeof error);
	int code;

	if (st == NULL) {
		fprintf(stderr, "%s\n", error);
		return EXIT_USAGE;
	}
	if (record != NULL) save_inputs(record, sc, o, st);
	if (!o->quiet && !o->json) tell_header(&out, sc, st, o->seed, CLI_BUILD);
	fflush(stdout);
	cli_progress_begin(&progress, !o->quiet && !o->json);
	story_run(st);
	cli_progress_end(&progress);
	code = story_interrupted(st) ? stopped(o, st, record) : tell_story(sc, st, o);
	story_free(st);
	return code;
}

/* A trace that could not be finished outweighs whatever the run came to. */
static int close_record(const struct cli *o, struct record *record, int code)
{
	char error[RECORD_ERROR_SIZE];
	bool told = record_error(record) != NULL && code == EXIT_FAILED;

	if (record_close(record, error)) {
		if (code == EXIT_USAGE && record != NULL) remove_trace(o->db); /* no run came of it */
		return code;
	}
	return told ? EXIT_FAILED : cli_failed("%s: %s. What was written before can be read; make room and run it again", o->db, error);
}

int cli_run(const struct cli *o)
{
	struct scenario *sc = cli_load(o->arg[0], o->set, o->sets);
	struct key_cache *keys;
	struct record *record = NULL;
	int code = EXIT_USAGE;

	if (sc == NULL) return EXIT_USAGE;
	if (sc->errors > 0) {
		cli_print_errors(sc, true);
	} else if ((code = open_record(o, &record)) == EXIT_FINE) {
		keys = key_cache_new(CLI_KEYS_CACHED);
		code = close_record(o, record, run_story(sc, o, record, keys));
		key_cache_free(keys);
	}
	scenario_free(sc);
	return code;
}
