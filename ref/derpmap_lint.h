/* What is wrong with a DERP map, all of it at once: for whoever writes one by hand.
 *
 * The original's decoder is lenient (MAP-001) and its clients make the best of what they get, so that a slip costs a family, a region's
 * latency or a home without a word. An error is what does not do what it says; a warning is what does, and is seldom meant. */
#ifndef REF_DERPMAP_LINT_H
#define REF_DERPMAP_LINT_H

#include "derpmap.h"

enum lint_level { LINT_ERROR, LINT_WARNING };

struct lint_fault {
	size_t at; /* byte of the text; the list is sorted by it */
	uint32_t line, column, seq;
	enum lint_level level;
	char *path; /* $.Regions.1.Nodes[0].IPv4 */
	char *text; /* what was found, what was expected, and by which rule */
};

enum { LINT_FAULTS_MAX = 10000, LINT_LINE_MAX = 1024 };

struct lint {
	struct lint_fault *fault;
	uint32_t faults, cap;
	uint32_t errors, warnings; /* all of them, also those over LINT_FAULTS_MAX, which are not listed */
};

/* False: the text is no JSON, of which `error` says where (line:column) and what; *out is empty then. lint_free in both cases. */
bool derp_map_lint(const char *json, size_t n, struct lint *out, char error[DERPMAP_ERROR_SIZE]);
void lint_free(struct lint *lint);
/* "LINE:COLUMN: error: PATH: TEXT", cut to LINT_LINE_MAX; returns out. */
const char *lint_print(const struct lint_fault *fault, char out[LINT_LINE_MAX]);
/* All of them as lines for people, or as one JSON object and line for programs (member schema: 1), about a map of this name; free it. */
char *lint_format(const struct lint *lint, const char *file, bool json);
const char *lint_level_name(enum lint_level level);

#endif
