/* derpsim: run, replay, check, timeline, list. The only file of the simulator with input and output of its own. */
#include "cli_lint.h"
#include "geo.h"
#include "record.h"
#include "tell.h"

#include "../ref/key.h"
#include "../reports/timeline.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum exit_code { EXIT_FINE, EXIT_FINDING, EXIT_USAGE, EXIT_FAILED };
enum { SETS_MAX = 64, KEYS_CACHED = 1 << 17, FILE_MAX = 64 << 20 };

static const char version[] = "derpsim 0.1";

/* ---- output ---- */

static void write_out(void *ctx, const char *p, size_t n) { fwrite(p, 1, n, ctx); }

static struct tell tell_to(FILE *f) { return (struct tell){ write_out, f }; }

static int usage_error(const char *format, const char *what)
{
	fprintf(stderr, "derpsim: ");
	fprintf(stderr, format, what);
	fprintf(stderr, "\n");
	return EXIT_USAGE;
}

/* ---- files ---- */

struct text {
	char *p;
	size_t n;
};

/* Whole, terminated. False: errno says why. */
static bool read_whole(const char *path, struct text *out)
{
	FILE *f = fopen(path, "rb");
	size_t cap = 65536, got;
	struct stat st;

	if (f == NULL) return false;
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(f);
		errno = EISDIR;
		return false;
	}
	*out = (struct text){ malloc(cap + 1), 0 };
	while (out->p != NULL && (got = fread(out->p + out->n, 1, cap - out->n, f)) > 0) {
		out->n += got;
		if (out->n < cap) continue;
		if (cap >= FILE_MAX) break;
		out->p = realloc(out->p, 2 * cap + 1);
		cap *= 2;
	}
	if (out->p == NULL) abort();
	out->p[out->n] = 0;
	fclose(f);
	return true;
}

/* The scenarios that ship: beside the working directory, else beside the program's folder. */
static const char *shipped(char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n;

	snprintf(out, PATH_MAX, "scenarios");
	if (access("scenarios/failover", R_OK) == 0) return out;
	n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0) return out;
	self[n] = 0;
	snprintf(out, PATH_MAX, "%.*s/../scenarios", (int)(PATH_MAX - 20), dirname(self));
	return out;
}

static const char *const folders[] = { "failover", "capacity" };

/* A path, or the bare name of a scenario that ships. */
static bool find_scenario(const char *name, char out[PATH_MAX])
{
	char root[PATH_MAX];

	snprintf(out, PATH_MAX, "%s", name);
	if (access(name, R_OK) == 0 || strchr(name, '/') != NULL) return access(name, R_OK) == 0;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(out, PATH_MAX, "%.*s/%s/%s%s", PATH_MAX - 300, shipped(root), folders[i], name, strstr(name, ".scn") ? "" : ".scn");
		if (access(out, R_OK) == 0) return true;
	}
	return false;
}

/* What a scenario's lines name: files beside it, or maps that ship; or, in a replay, what the trace holds. */
struct loader {
	char folder[PATH_MAX];
	struct record_reader *trace; /* NULL: from disk */
	struct text held[SCENARIO_FILES_MAX + 1];
	char name[SCENARIO_FILES_MAX + 1][PATH_MAX];
	uint32_t files;
	uint32_t served[2]; /* from the trace, by enum scenario_file_kind */
};

static void loader_free(struct loader *l)
{
	for (uint32_t i = 0; i < l->files; i++) free(l->held[i].p);
}

static const char *bare(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* A run asks for the same files in the same order each time. */
static bool load_from_trace(struct loader *l, enum scenario_file_kind kind, struct scenario_text *out)
{
	const char *want = kind == SCENARIO_FILE_MAP ? "map" : "include";
	uint32_t left = l->served[kind]++;

	for (uint32_t i = 0; i < record_reader_files(l->trace); i++) {
		struct record_file_row f = record_reader_file(l->trace, i);
		if (strcmp(f.kind, want) != 0 || left-- > 0) continue;
		*out = (struct scenario_text){ f.name, f.text, f.n };
		return true;
	}
	return false;
}

/* Where a path that a line of the file `from` names lies: beside that file; a map also where the user stands, or among those that
 * ship. */
static void place(const struct loader *l, enum scenario_file_kind kind, const char *from, const char *path, char out[PATH_MAX])
{
	char of[PATH_MAX], root[PATH_MAX];

	if (path != NULL && path[0] == '/') {
		snprintf(out, PATH_MAX, "%s", path);
		return;
	}
	if (path != NULL) {
		snprintf(of, sizeof of, "%s", from);
		snprintf(out, PATH_MAX, "%.1300s/%.1300s/%.1300s", from[0] == '/' ? "" : l->folder, dirname(of), path);
		if (kind == SCENARIO_FILE_INCLUDE || access(out, F_OK) == 0) return;
		snprintf(out, PATH_MAX, "%s", path);
		if (access(out, F_OK) == 0) return;
	}
	snprintf(out, PATH_MAX, "%.2000s/%.2000s", shipped(root), path == NULL ? "public2024.json" : path);
}

/* A name that is the same for the same file: from the scenario's folder on if it lies in there. */
static void name_of(const struct loader *l, const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX], whole[PATH_MAX];
	size_t n;

	if (realpath(path, whole) == NULL) snprintf(whole, sizeof whole, "%s", path);
	n = realpath(l->folder, folder) == NULL ? 0 : strlen(folder);
	if (n > 0 && strncmp(whole, folder, n) == 0 && whole[n] == '/')
		snprintf(out, PATH_MAX, "%s", whole + n + 1);
	else
		snprintf(out, PATH_MAX, "%s", whole);
}

static bool load_file(void *ctx, enum scenario_file_kind kind, const char *from, const char *path, struct scenario_text *out,
                      char reason[SCENARIO_REASON_SIZE])
{
	struct loader *l = ctx;
	char at[PATH_MAX];
	uint32_t i = l->files;

	if (l->trace != NULL) {
		snprintf(reason, SCENARIO_REASON_SIZE, "the trace does not hold it");
		return load_from_trace(l, kind, out);
	}
	place(l, kind, from, path, at);
	if (i > SCENARIO_FILES_MAX || !read_whole(at, &l->held[i])) {
		snprintf(reason, SCENARIO_REASON_SIZE, "%s",
		         i > SCENARIO_FILES_MAX ? "too many files"
		         : errno == ENOENT      ? "there is no such file"
		                                : strerror(errno));
		return false;
	}
	name_of(l, at, l->name[i]);
	*out = (struct scenario_text){ l->name[i], l->held[i].p, l->held[i].n };
	l->files++;
	return true;
}

static struct scenario *parse(struct loader *l, const char *name, const struct text *text, const char *const *set, uint32_t sets)
{
	const char **city = calloc(geo_cities(), sizeof *city);
	struct scenario_request request = {
		.file = { name, text->p, text->n }, .set = set, .sets = sets, .load = load_file, .ctx = l, .city = city, .cities = geo_cities()
	};
	struct scenario *sc;

	if (city == NULL) abort();
	for (uint32_t i = 0; i < geo_cities(); i++) city[i] = geo_city(i)->name;
	sc = scenario_parse(&request);
	free(city);
	return sc;
}

static void print_errors(const struct scenario *sc, FILE *f)
{
	char line[4 * SCENARIO_COLUMNS_MAX];

	for (uint32_t i = 0; i < sc->errors; i++) {
		scenario_error_print(&sc->error[i], line, sizeof line);
		fprintf(f, "%s\n", line);
	}
}

/* ---- options ---- */

struct options {
	const char *db;
	enum record_level level;
	bool level_given, json, quiet, force, help, metrics;
	uint64_t seed, until, plant_at;
	enum story_plant plant;
	const char *set[SETS_MAX];
	uint32_t sets;
};

static bool parse_u64(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

/* 90s, 1.5m: exact to the nanosecond. */
static bool parse_time(const char *text, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = { { "ns", 1 }, { "us", NS_US }, { "ms", NS_MS }, { "s", NS_S }, { "m", 60 * NS_S }, { "h", 3600 * NS_S } };
	uint64_t whole, part = 0, scale = 1;
	char *end;

	if (text[0] < '0' || text[0] > '9') return false;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9' && scale < 1000000000; end++) part = part * 10 + (uint64_t)(*end - '0'), scale *= 10;
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
		if (strcmp(end, unit[i].name) != 0) continue;
		if (errno != 0 || whole > SCENARIO_TIME_MAX / unit[i].ns) return false;
		*out = whole * unit[i].ns + part * unit[i].ns / scale;
		return true;
	}
	return false;
}

static bool parse_level(const char *text, struct options *o)
{
	for (int i = 0; i < RECORD_LEVELS; i++)
		if (strcmp(text, record_level_name((enum record_level)i)) == 0) {
			o->level = (enum record_level)i;
			o->level_given = true;
			return true;
		}
	return false;
}

static bool parse_plant(const char *text, struct options *o)
{
	const char *at = strchr(text, '@');
	size_t n = at == NULL ? strlen(text) : (size_t)(at - text);

	o->plant_at = 0;
	if (at != NULL && !parse_time(at + 1, &o->plant_at)) return false;
	for (int i = 0; i < STORY_PLANTS; i++) {
		const char *name = story_plant_name((enum story_plant)i);
		if (strlen(name) != n || memcmp(name, text, n) != 0) continue;
		o->plant = (enum story_plant)i;
		return true;
	}
	return false;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	enum { DB = 256, TRACE, SEED, UNTIL, SET, JSON, QUIET, FORCE, PLANT, METRICS, VERSION };
	static const struct option known[] = { { "db", required_argument, NULL, DB },
		                               { "trace", required_argument, NULL, TRACE },
		                               { "seed", required_argument, NULL, SEED },
		                               { "until", required_argument, NULL, UNTIL },
		                               { "set", required_argument, NULL, SET },
		                               { "json", no_argument, NULL, JSON },
		                               { "quiet", no_argument, NULL, QUIET },
		                               { "force", no_argument, NULL, FORCE },
		                               { "plant", required_argument, NULL, PLANT },
		                               { "metrics", no_argument, NULL, METRICS },
		                               { "version", no_argument, NULL, VERSION },
		                               { "help", no_argument, NULL, 'h' },
		                               { NULL, 0, NULL, 0 } };
	int c;

	*o = (struct options){ .seed = 1, .until = TIME_NEVER, .level = RECORD_SUMMARY };
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case DB: o->db = optarg; break;
		case TRACE:
			if (!parse_level(optarg, o)) return usage_error("--trace: found '%s', expected full, sampled, summary or off", optarg);
			break;
		case SEED:
			if (!parse_u64(optarg, &o->seed))
				return usage_error("--seed: found '%s', expected a number from 0 to 18446744073709551615", optarg);
			break;
		case UNTIL:
			if (!parse_time(optarg, &o->until))
				return usage_error("--until: found '%s', expected a time with a unit, as in 90s or 1.5m", optarg);
			break;
		case SET:
			if (o->sets == SETS_MAX) return usage_error("--set: too many; '%s' is one more than there may be", optarg);
			if (strchr(optarg, '=') == NULL) return usage_error("--set: found '%s', expected name=value", optarg);
			o->set[o->sets++] = optarg;
			break;
		case JSON: o->json = true; break;
		case QUIET: o->quiet = true; break;
		case FORCE: o->force = true; break;
		case PLANT:
			if (!parse_plant(optarg, o))
				return usage_error("--plant: found '%s', expected a fault of `derpsim run --help`, as in forged@40s", optarg);
			break;
		case METRICS: o->metrics = true; break;
		case VERSION: printf("%s\n", version); exit(EXIT_FINE);
		case 'h': o->help = true; break;
		default: return usage_error("%s", "derpsim --help says what there is");
		}
	}
	return EXIT_FINE;
}

/* ---- run ---- */

static volatile sig_atomic_t interrupted;
static void on_signal(int number) { interrupted = number; }

struct progress {
	bool shown;
	struct timespec last, begun;
};

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static bool on_second(void *ctx, uint64_t now, uint64_t until)
{
	struct progress *p = ctx;

	if (p->shown && seconds_since(&p->last) > 0.1) {
		double spent = seconds_since(&p->begun), rate = spent > 0 ? (double)now / 1e9 / spent : 0;
		clock_gettime(CLOCK_MONOTONIC, &p->last);
		fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " s, %.0f times real time, %.0f s left  ", now / NS_S, until / NS_S, rate,
		        rate > 0 ? (double)(until - now) / 1e9 / rate : 0);
	}
	return interrupted == 0;
}

static void save_inputs(struct record *r, const struct scenario *sc, const struct options *o, const struct story *st)
{
	char overrides[8192] = "";
	size_t n = 0;
	struct record_run run = { .scenario = sc->file[0].name, .title = sc->title, .build = version, .overrides = overrides, .seed = o->seed };

	for (uint32_t i = 0; i < o->sets && n < sizeof overrides; i++) n += (size_t)snprintf(overrides + n, sizeof overrides - n, "%s\n", o->set[i]);
	run.until_ns = story_until(st);
	run.cities = geo_table_hash();
	record_run(r, &run);
	for (uint32_t i = 0; i < sc->files; i++)
		record_file(r, i, sc->file[i].name, i == 0 ? "scenario" : "include", sc->file[i].text, sc->file[i].n);
	record_file(r, sc->files, sc->map_text.name, "map", sc->map_text.text, sc->map_text.n);
}

static int finish_record(struct record *r, int code)
{
	char error[RECORD_ERROR_SIZE];
	const char *why = record_error(r);

	if (why != NULL) fprintf(stderr, "derpsim: %s\n", why);
	if (record_close(r, error)) return code;
	if (why == NULL) fprintf(stderr, "derpsim: %s\n", error);
	return EXIT_FAILED;
}

static int run_story(const struct scenario *sc, const struct options *o, struct record *record)
{
	struct key_cache *keys = key_cache_new(KEYS_CACHED);
	struct progress progress = { .shown = !o->quiet && !o->json && isatty(STDERR_FILENO) };
	struct story_options so = { .seed = o->seed,
		                    .until = o->until,
		                    .record = record,
		                    .plant = o->plant,
		                    .plant_at = o->plant_at,
		                    .second = on_second,
		                    .ctx = &progress };
	struct tell out = tell_to(stdout);
	char error[512];
	struct story *st = story_new(sc, &so, keys, error, sizeof error);
	int code;

	if (st == NULL) {
		fprintf(stderr, "%s\n", error);
		key_cache_free(keys);
		return EXIT_USAGE;
	}
	if (record != NULL) save_inputs(record, sc, o, st);
	if (!o->quiet && !o->json) tell_header(&out, sc, st, o->seed, version);
	fflush(stdout);
	if (progress.shown) {
		clock_gettime(CLOCK_MONOTONIC, &progress.begun);
		progress.last = progress.begun;
	}
	story_run(st);
	if (progress.shown) fprintf(stderr, "\r%70s\r", "");
	code = story_good(st) ? EXIT_FINE : EXIT_FINDING;
	if (story_interrupted(st)) {
		fprintf(stderr, "derpsim: stopped at %" PRIu64 " s of %" PRIu64 " s\n", story_now(st) / NS_S, story_until(st) / NS_S);
		code = EXIT_FAILED;
	} else if (o->json) {
		tell_json(&out, sc, st, o->seed, version);
	} else {
		if (!o->quiet || code != EXIT_FINE) tell_result(&out, sc, st);
		tell_digest(&out, st);
	}
	story_free(st);
	key_cache_free(keys);
	return code;
}

static int open_record(const struct options *o, struct record **record)
{
	char error[RECORD_ERROR_SIZE], side[PATH_MAX];

	*record = NULL;
	if (o->db == NULL && o->level_given && o->level != RECORD_OFF) return usage_error("--trace %s needs --db FILE", record_level_name(o->level));
	if (o->db == NULL || o->level == RECORD_OFF) return EXIT_FINE;
	if (access(o->db, F_OK) == 0) {
		if (!o->force) return usage_error("--db: %s is there already; --force overwrites it", o->db);
		unlink(o->db);
		snprintf(side, sizeof side, "%s-wal", o->db);
		unlink(side);
		snprintf(side, sizeof side, "%s-shm", o->db);
		unlink(side);
	}
	*record = record_new(o->db, o->level, error);
	if (*record != NULL) return EXIT_FINE;
	fprintf(stderr, "derpsim: %s: %s\n", o->db, error);
	return EXIT_FAILED;
}

static int load_scenario(const char *name, const struct options *o, struct loader *l, struct text *text, struct scenario **out)
{
	char path[PATH_MAX], copy[PATH_MAX];

	if (!find_scenario(name, path) || !read_whole(path, text)) {
		fprintf(stderr, "derpsim: %s: %s. `derpsim list` shows what ships\n", name, strerror(errno));
		return EXIT_USAGE;
	}
	snprintf(copy, sizeof copy, "%s", path);
	snprintf(l->folder, sizeof l->folder, "%s", dirname(copy));
	*out = parse(l, bare(path), text, o->set, o->sets);
	return EXIT_FINE;
}

static int command_run(int argc, char **argv, const struct options *o)
{
	struct loader *l = calloc(1, sizeof *l);
	struct text text = { NULL, 0 };
	struct scenario *sc = NULL;
	struct record *record = NULL;
	int code;

	if (l == NULL) abort();
	if (argc != 1) {
		free(l);
		return usage_error("run: expected one scenario%s", argc == 0 ? ". `derpsim list` shows what ships" : argv[1]);
	}
	code = load_scenario(argv[0], o, l, &text, &sc);
	if (code == EXIT_FINE && sc->errors > 0) {
		print_errors(sc, stderr);
		code = EXIT_USAGE;
	}
	if (code == EXIT_FINE) code = open_record(o, &record);
	if (code == EXIT_FINE) code = finish_record(record, run_story(sc, o, record));
	scenario_free(sc);
	loader_free(l);
	free(l);
	free(text.p);
	return code;
}

/* ---- replay ---- */

struct replay {
	struct record_reader *reader;
	bool full, sampled;
	struct record_event_row row;
	bool has_row, diverged;
	uint64_t compared, seconds, last_second;
	struct story *st;
};

static void print_event(const char *who, uint64_t seq, uint64_t t, const char *host, const char *kind, uint64_t token, uint32_t n, uint64_t content)
{
	printf("  %-9s event %" PRIu64 " at %" PRIu64 ".%09" PRIu64 " s: %s %s, token %016" PRIx64 ", n %u, content %016" PRIx64 "\n", who, seq,
	       t / NS_S, t % NS_S, host, kind, token, n, content);
}

/* Event by event, where the trace has them. */
static bool on_event(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	struct replay *r = ctx;
	uint32_t n = record_event_n(e);
	char name[80];

	if (!r->has_row && !record_reader_event(r->reader, &r->row)) return true; /* the trace ends here: the rest is the digests' */
	r->has_row = true;
	if (r->sampled && r->row.seq > seq) return true;
	if (r->row.seq == seq && r->row.t == now && r->row.host == host && r->row.token == e->token && r->row.n == n && r->row.content == content &&
	    strcmp(r->row.kind, event_kind_name(e->kind)) == 0) {
		r->has_row = false;
		r->compared++;
		return true;
	}
	r->diverged = true;
	printf("the first divergence is at event %" PRIu64 ":\n", seq);
	snprintf(name, sizeof name, "%s", record_reader_host(r->reader, r->row.host));
	print_event("trace", r->row.seq, r->row.t, name, r->row.kind, r->row.token, r->row.n, r->row.content);
	snprintf(name, sizeof name, "%s", record_reader_host(r->reader, host));
	print_event("this run", seq, now, name, event_kind_name(e->kind), e->token, n, content);
	return false;
}

static bool on_digest(void *ctx, uint64_t now, uint64_t events, struct sim_digest digest)
{
	struct replay *r = ctx;
	struct record_second_row row;
	char text[33];

	record_digest_text(digest, text);
	if (!record_reader_second(r->reader, &row)) return false; /* a run that was cut off */
	if (row.t == now && row.events == events && strcmp(row.digest, text) == 0) {
		r->seconds++;
		r->last_second = now;
		return interrupted == 0;
	}
	r->diverged = true;
	printf("the first divergence lies in the second before %" PRIu64 " s:\n", now / NS_S);
	printf("  trace     %" PRIu64 " events by %" PRIu64 " s, digest %s\n", row.events, row.t / NS_S, row.digest);
	printf("  this run  %" PRIu64 " events by %" PRIu64 " s, digest %s\n", events, now / NS_S, text);
	if (!r->full) printf("A trace made with --trace full names the event.\n");
	return false;
}

static int replay_verdict(const struct replay *r, const struct record_run_row *run, const struct story *st)
{
	char text[33];

	record_digest_text(story_digest(st), text);
	if (r->diverged) return EXIT_FINDING;
	if (interrupted != 0) return EXIT_FAILED;
	if (!run->finished) {
		printf("the run was cut off; what the trace holds repeats: %" PRIu64 " s, %" PRIu64 " events one by one\n", r->last_second / NS_S,
		       r->compared);
		return EXIT_FINE;
	}
	if (strcmp(run->digest, text) != 0 || run->events != story_events(st)) {
		printf("the run's end differs:\n  trace     %" PRIu64 " events, digest %s\n  this run  %" PRIu64 " events, digest %s\n", run->events,
		       run->digest, story_events(st), text);
		return EXIT_FINDING;
	}
	printf("the run repeats: %" PRIu64 " s by digest, %" PRIu64 " of %" PRIu64 " events one by one\ndigest %s\n", r->seconds, r->compared,
	       story_events(st), text);
	return EXIT_FINE;
}

static uint32_t split_sets(char *text, const char **set)
{
	uint32_t n = 0;

	for (char *line = strtok(text, "\n"); line != NULL && n < SETS_MAX; line = strtok(NULL, "\n")) set[n++] = line;
	return n;
}

static int replay_run(struct record_reader *reader, const struct record_run_row *run, struct loader *l)
{
	struct record_file_row main_file = record_reader_file(reader, 0);
	struct text text = { NULL, main_file.n };
	char overrides[8192], error[512];
	const char *set[SETS_MAX];
	struct replay r = { .reader = reader, .full = strcmp(run->level, "full") == 0, .sampled = strcmp(run->level, "sampled") == 0 };
	struct story_options so = { .seed = run->seed, .until = run->until_ns, .digest = on_digest, .ctx = &r };
	struct key_cache *keys = key_cache_new(KEYS_CACHED);
	struct scenario *sc;
	int code = EXIT_USAGE;

	snprintf(overrides, sizeof overrides, "%s", run->overrides);
	text.p = strndup(main_file.text, main_file.n);
	if (text.p == NULL) abort();
	sc = parse(l, main_file.name, &text, set, split_sets(overrides, set));
	if (r.full || r.sampled) so.event = on_event;
	if (sc->errors > 0) {
		fprintf(stderr, "derpsim: this version does not read the trace's scenario any more:\n");
		print_errors(sc, stderr);
	} else {
		r.st = story_new(sc, &so, keys, error, sizeof error);
		if (r.st == NULL) fprintf(stderr, "%s\n", error);
	}
	if (r.st != NULL) {
		story_run(r.st);
		code = replay_verdict(&r, run, r.st);
	}
	story_free(r.st);
	scenario_free(sc);
	key_cache_free(keys);
	free(text.p);
	return code;
}

static int command_replay(int argc, char **argv, const struct options *o)
{
	char error[RECORD_ERROR_SIZE];
	struct record_reader *reader;
	struct record_run_row run;
	struct loader *l = calloc(1, sizeof *l);
	int code = EXIT_USAGE;

	(void)o;
	if (l == NULL) abort();
	if (argc != 1) {
		free(l);
		return usage_error("replay: expected one trace%s", "");
	}
	reader = record_reader_new(argv[0], error);
	if (reader == NULL) {
		fprintf(stderr, "derpsim: %s\n", error);
	} else if (!record_reader_run(reader, &run) || record_reader_files(reader) < 2) {
		fprintf(stderr, "derpsim: %s: the trace holds no run\n", argv[0]);
	} else if (run.cities != geo_table_hash()) {
		fprintf(stderr, "derpsim: %s was made by %s with another table of cities: it cannot be repeated\n", argv[0], run.build);
	} else {
		l->trace = reader;
		code = replay_run(reader, &run, l);
	}
	record_reader_free(reader);
	free(l);
	return code;
}

/* ---- check, timeline, list ---- */

/* What the parser lets through and this simulator has not. */
static bool check_world(const struct scenario *sc)
{
	struct story_options so = { .seed = 1, .until = TIME_NEVER };
	struct key_cache *keys = key_cache_new(KEYS_CACHED);
	char error[512];
	struct story *st = story_new(sc, &so, keys, error, sizeof error);
	bool good = st != NULL;

	if (!good) printf("%s\n", error);
	story_free(st);
	key_cache_free(keys);
	return good;
}

static int command_check(int argc, char **argv, const struct options *o)
{
	int code = EXIT_FINE;

	if (o->metrics) {
		size_t n = scenario_print_metrics(NULL, 0) + 1;
		char *text = malloc(n);
		if (text == NULL) abort();
		scenario_print_metrics(text, n);
		fputs(text, stdout);
		free(text);
		return EXIT_FINE;
	}
	if (argc == 0) return usage_error("check: expected a scenario%s", "");
	for (int i = 0; i < argc; i++) {
		struct loader *l = calloc(1, sizeof *l);
		struct text text = { NULL, 0 };
		struct scenario *sc = NULL;
		if (l == NULL) abort();
		if (load_scenario(argv[i], o, l, &text, &sc) != EXIT_FINE) {
			code = EXIT_USAGE;
		} else if (sc->errors > 0) {
			print_errors(sc, stdout);
			code = EXIT_USAGE;
		} else if (!check_world(sc)) {
			code = EXIT_USAGE;
		} else if (!o->quiet) {
			printf("%s: good\n", bare(argv[i]));
		}
		scenario_free(sc);
		loader_free(l);
		free(l);
		free(text.p);
	}
	return code;
}

static int command_timeline(int argc, char **argv, const struct options *o)
{
	char error[DB_ERROR_SIZE];
	struct timeline_out out = { write_out, stdout };
	struct db *db;
	bool good;

	(void)o;
	if (argc != 1) return usage_error("timeline: expected one trace%s", "");
	db = db_open(argv[0], error);
	if (db == NULL) {
		fprintf(stderr, "derpsim: %s\n", error);
		return EXIT_USAGE;
	}
	good = timeline_print(db, &out);
	if (!good) fprintf(stderr, "derpsim: %s: the trace holds no run\n", argv[0]);
	db_close(db);
	return good ? EXIT_FINE : EXIT_USAGE;
}

static int is_scenario(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".scn") == 0;
}

static void list_one(const char *folder, const char *name)
{
	char path[PATH_MAX], line[256] = "";
	FILE *f;

	snprintf(path, sizeof path, "%.3000s/%s", folder, name);
	f = fopen(path, "r");
	if (f != NULL && fgets(line, sizeof line, f) != NULL) line[strcspn(line, "\r\n")] = 0;
	if (f != NULL) fclose(f);
	printf("  %-20.*s %s\n", (int)strlen(name) - 4, name, line[0] == '#' ? line + 1 + (line[1] == ' ') : line);
}

static int command_list(int argc, char **argv, const struct options *o)
{
	char root[PATH_MAX], folder[PATH_MAX];

	(void)argv;
	(void)o;
	if (argc != 0) return usage_error("list: expected nothing behind it%s", "");
	shipped(root);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		struct dirent **entry;
		int n;
		snprintf(folder, sizeof folder, "%.3000s/%s", root, folders[i]);
		n = scandir(folder, &entry, is_scenario, alphasort);
		if (n > 0) printf("%s\n", folders[i]);
		for (int k = 0; k < n; k++) {
			list_one(folder, entry[k]->d_name);
			free(entry[k]);
		}
		if (n >= 0) free(entry);
	}
	return EXIT_FINE;
}

static int command_lint_map(int argc, char **argv, const struct options *o) { return cli_lint_map(argv, argc, o->json); }

/* ---- the command line ---- */

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv, const struct options *o);
	const char *help;
} commands[] = {
	{ "run", command_run,
	  "derpsim run FILE.scn [options]    run a scenario; a bare name is looked up among those that ship\n"
	  "  --seed N              the seed, 1\n"
	  "  --db OUT.db           write a trace; --force overwrites one that is there\n"
	  "  --trace LEVEL         full, sampled, summary (default) or off\n"
	  "  --until TIME          end then, as in 90s\n"
	  "  --set name=value      override a let, a vary, or an option of a statement, as in policy.return=10m\n"
	  "  --json                the result as one JSON object; times in ns\n"
	  "  --quiet               only the digest, and the result if it is not good\n"
	  "  --plant FAULT[@TIME]  for tests of the checks: forged, changed, doubled, misdelivered, twice-forwarded, unaccounted\n" },
	{ "replay", command_replay, "derpsim replay OUT.db             prove that the run repeats, or name the first divergence\n" },
	{ "check", command_check, "derpsim check FILE.scn...         syntax and sanity only; --metrics lists all metrics\n" },
	{ "timeline", command_timeline, "derpsim timeline OUT.db           the story of a trace in the terminal\n" },
	{ "list", command_list, "derpsim list                      the scenarios that ship, with their first line\n" },
	{ "lint-map", command_lint_map, CLI_LINT_HELP },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(const struct command *one)
{
	for (int i = 0; i < COMMANDS; i++)
		if (one == NULL || one == &commands[i]) fputs(commands[i].help, stdout);
	if (one == NULL) puts("Exit codes: 0 fine, 1 a finding, 2 usage or bad input, 3 could not run. --version, --help on every command.");
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	struct options o;
	int code = parse_options(argc, argv, &o);

	if (code != EXIT_FINE) return code;
	for (int i = 0; i < COMMANDS && optind < argc; i++)
		if (strcmp(argv[optind], commands[i].name) == 0) command = &commands[i];
	if (o.help) {
		help(command);
		return EXIT_FINE;
	}
	if (command == NULL)
		return optind < argc ? usage_error("found '%s', expected run, replay, check, timeline, list or lint-map", argv[optind])
		                     : (help(NULL), EXIT_USAGE);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	code = command->run(argc - optind - 1, argv + optind + 1, &o);
	if (fflush(stdout) != 0 && code == EXIT_FINE) code = EXIT_FAILED;
	return code;
}
