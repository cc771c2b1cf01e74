/* The story of a run in the terminal: faults, connections per node, who moved where, what the pairs felt, verdicts. */
#ifndef REPORTS_TIMELINE_H
#define REPORTS_TIMELINE_H

#include "db.h"

struct timeline_out {
	void (*write)(void *ctx, const char *p, size_t n);
	void *ctx;
};

/* About 40 lines of at most 100 columns. False: the trace has no run. */
bool timeline_print(struct db *db, const struct timeline_out *out);

#endif
