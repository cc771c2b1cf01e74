/* Where scenarios, what they include and maps are found: on disk, among those that ship, or in a trace. */
#include "cli.h"

#include "geo.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20, SHIPPED_MAX = 1000 };

static void *must(void *p)
{
	if (p == NULL) abort();
	return p;
}

/* ---- the disk ---- */

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool cli_read(const char *path, struct cli_text *out)
{
	FILE *f = is_folder(path) ? NULL : fopen(path, "rb");
	size_t cap = 65536, got;
	bool good;

	if (f == NULL) {
		if (is_folder(path)) errno = EISDIR;
		return false;
	}
	*out = (struct cli_text){ must(malloc(cap + 1)), 0 };
	while ((got = fread(out->p + out->n, 1, cap - out->n, f)) > 0) {
		out->n += got;
		if (out->n < cap) continue;
		if (cap >= FILE_MAX) break;
		cap *= 2;
		out->p = must(realloc(out->p, cap + 1));
	}
	out->p[out->n] = 0;
	good = !ferror(f) && out->n < FILE_MAX;
	if (!good) {
		if (!ferror(f)) errno = EFBIG;
		free(out->p);
		out->p = NULL;
	}
	fclose(f);
	return good;
}

/* Are they in that folder of root? Then *out is it. */
static bool ships(const char *root, const char *folder, char out[PATH_MAX])
{
	char inside[PATH_MAX];

	snprintf(inside, sizeof inside, "%.4000s/%s/failover", root, folder);
	if (access(inside, R_OK) != 0) return false;
	snprintf(out, PATH_MAX, "%.4000s/%s", root, folder);
	return true;
}

/* The folder of the scenarios that ship: beside the working directory, else the nearest above the program: where it was built, or what
 * `make install` put beside its bin. */
static const char *shipped(char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	snprintf(out, PATH_MAX, "scenarios");
	if (access("scenarios/failover", R_OK) == 0 || n <= 0) return out;
	self[n] = 0;
	for (char *slash = strrchr(self, '/'); slash != NULL; slash = strrchr(self, '/')) {
		*slash = 0;
		if (ships(self, "scenarios", out) || ships(self, "share/derpsim/scenarios", out)) break;
	}
	return out;
}

static const char *bare(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* ---- scenarios that ship ---- */

static const char *const folders[] = { "failover", "capacity" };
enum { FOLDERS = sizeof folders / sizeof *folders };

static int is_scenario(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".scn") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* One folder, in order; each name is the caller's. */
static uint32_t names_in(const char *folder, char *name[SHIPPED_MAX])
{
	char root[PATH_MAX], path[PATH_MAX];
	struct dirent **entry;
	uint32_t names = 0;
	int n;

	snprintf(path, sizeof path, "%.3000s/%s", shipped(root), folder);
	n = scandir(path, &entry, is_scenario, by_bytes);
	for (int i = 0; i < n; i++) {
		if (names < SHIPPED_MAX) name[names++] = must(strndup(entry[i]->d_name, strlen(entry[i]->d_name) - 4));
		free(entry[i]);
	}
	if (n >= 0) free(entry);
	return names;
}

static void print_one(const char *folder, const char *name)
{
	char root[PATH_MAX], path[PATH_MAX], line[256] = "";
	FILE *f;

	snprintf(path, sizeof path, "%.3000s/%s/%.200s.scn", shipped(root), folder, name);
	f = fopen(path, "r");
	if (f != NULL && fgets(line, sizeof line, f) != NULL) line[strcspn(line, "\r\n")] = 0;
	if (f != NULL) fclose(f);
	printf("  %-20s %s\n", name, line[0] == '#' ? line + 1 + (line[1] == ' ') : line);
}

bool cli_print_shipped(void)
{
	char *name[SHIPPED_MAX];
	bool any = false;

	for (size_t i = 0; i < FOLDERS; i++) {
		uint32_t n = names_in(folders[i], name);
		if (n > 0) printf("%s\n", folders[i]);
		any = any || n > 0;
		for (uint32_t k = 0; k < n; k++) {
			print_one(folders[i], name[k]);
			free(name[k]);
		}
	}
	return any;
}

static int not_found(const char *name, int why)
{
	char *shipping[SHIPPED_MAX], nearest[80] = "";

	for (size_t i = 0; i < FOLDERS && nearest[0] == 0; i++) {
		uint32_t n = names_in(folders[i], shipping);
		const char *one = scenario_nearest(name, (const char *const *)shipping, n);
		if (one != NULL) snprintf(nearest, sizeof nearest, "Did you mean %s? ", one);
		for (uint32_t k = 0; k < n; k++) free(shipping[k]);
	}
	return cli_usage("%s: %s, expected a file or the name of a scenario that ships. %sderpsim list shows those", name, strerror(why), nearest);
}

/* A path, or the bare name of a scenario that ships. */
static bool find_scenario(const char *name, struct cli_text *out, char path[PATH_MAX])
{
	char root[PATH_MAX];
	int why;

	snprintf(path, PATH_MAX, "%s", name);
	if (cli_read(name, out)) return true;
	why = errno;
	for (size_t i = 0; i < FOLDERS && strchr(name, '/') == NULL; i++) {
		snprintf(path, PATH_MAX, "%.3000s/%s/%.200s%s", shipped(root), folders[i], name, strstr(name, ".scn") ? "" : ".scn");
		if (cli_read(path, out)) return true;
	}
	not_found(name, why);
	return false;
}

/* ---- what a scenario's lines name ---- */

/* Files beside it, or maps that ship; or, in a replay, what the trace holds. */
struct loader {
	char folder[PATH_MAX];
	const struct record_reader *trace; /* NULL: from disk */
	struct cli_text held[SCENARIO_FILES_MAX + 1];
	char name[SCENARIO_FILES_MAX + 1][PATH_MAX];
	uint32_t files;
	uint32_t served[2]; /* from the trace, by enum scenario_file_kind */
};

static void loader_free(struct loader *l)
{
	for (uint32_t i = 0; i < l->files; i++) free(l->held[i].p);
	free(l);
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

/* What is behind the folder, if the file lies in there; else NULL. */
static const char *within(const char *whole, const char *folder)
{
	char real[PATH_MAX];
	size_t n = realpath(folder, real) == NULL ? 0 : strlen(real);

	return n > 0 && strncmp(whole, real, n) == 0 && whole[n] == '/' ? whole + n + 1 : NULL;
}

/* A name that is the same for the same file, wherever the repository lies: from the scenario's folder on if the file is in there, a
 * map also from the folder of those that ship. */
static void name_of(const struct loader *l, enum scenario_file_kind kind, const char *path, char out[PATH_MAX])
{
	char whole[PATH_MAX], root[PATH_MAX];
	const char *inside;

	if (realpath(path, whole) == NULL) snprintf(whole, sizeof whole, "%s", path);
	inside = within(whole, l->folder);
	if (inside == NULL && kind == SCENARIO_FILE_MAP) inside = within(whole, shipped(root));
	snprintf(out, PATH_MAX, "%s", inside == NULL ? whole : inside);
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
	if (i > SCENARIO_FILES_MAX || !cli_read(at, &l->held[i])) {
		snprintf(reason, SCENARIO_REASON_SIZE, "%s",
		         i > SCENARIO_FILES_MAX ? "too many files"
		         : errno == ENOENT      ? "there is no such file"
		                                : strerror(errno));
		return false;
	}
	name_of(l, kind, at, l->name[i]);
	*out = (struct scenario_text){ l->name[i], l->held[i].p, l->held[i].n };
	l->files++;
	return true;
}

/* ---- the whole ---- */

static struct scenario *parse(struct loader *l, const char *name, const char *text, size_t n, const char *const *set, uint32_t sets)
{
	const char **city = must(calloc(geo_cities(), sizeof *city));
	struct scenario_request request = {
		.file = { name, text, n }, .set = set, .sets = sets, .load = load_file, .ctx = l, .city = city, .cities = geo_cities()
	};
	struct scenario *sc;

	for (uint32_t i = 0; i < geo_cities(); i++) city[i] = geo_city(i)->name;
	sc = scenario_parse(&request);
	free(city);
	return sc;
}

struct scenario *cli_load(const char *name, const char *const *set, uint32_t sets)
{
	char path[PATH_MAX], copy[PATH_MAX];
	struct cli_text text;
	struct loader *l;
	struct scenario *sc;

	if (!find_scenario(name, &text, path)) return NULL;
	l = must(calloc(1, sizeof *l));
	snprintf(copy, sizeof copy, "%s", path);
	snprintf(l->folder, sizeof l->folder, "%s", dirname(copy));
	sc = parse(l, bare(path), text.p, text.n, set, sets);
	loader_free(l);
	free(text.p);
	return sc;
}

struct scenario *cli_load_trace(const struct record_reader *trace, const char *overrides)
{
	struct record_file_row main_file;
	char *lines = must(strdup(overrides)), *rest = lines, *line;
	const char *set[CLI_SETS_MAX];
	struct loader *l;
	struct scenario *sc = NULL;
	uint32_t sets = 0;

	while (sets < CLI_SETS_MAX && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != 0) set[sets++] = line;
	if (record_reader_files(trace) > 0) {
		main_file = record_reader_file(trace, 0);
		l = must(calloc(1, sizeof *l));
		l->trace = trace;
		sc = parse(l, main_file.name, main_file.text, main_file.n, set, sets);
		loader_free(l);
	}
	free(lines);
	return sc;
}

void cli_print_errors(const struct scenario *sc, bool to_stderr)
{
	char line[4 * SCENARIO_COLUMNS_MAX];

	for (uint32_t i = 0; i < sc->errors; i++) {
		scenario_error_print(&sc->error[i], line, sizeof line);
		fprintf(to_stderr ? stderr : stdout, "%s\n", line);
	}
}

int cli_look_at_trace(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) return cli_usage("%s: %s, expected a trace", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) return cli_usage("%s: found a directory, expected a trace", path);
	if (S_ISREG(st.st_mode) && st.st_size == 0) return cli_usage("%s: found an empty file, expected a trace", path);
	return EXIT_FINE;
}
