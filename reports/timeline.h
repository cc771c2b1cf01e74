/* The story of a run in the terminal: faults, connections per node, who moved where, how long it took, verdicts. */
#ifndef REPORTS_TIMELINE_H
#define REPORTS_TIMELINE_H

#include "db.h"
#include "paper.h"

/* About 40 lines of 80 columns. False: the trace has no run, or it is damaged (then db_error says how, perhaps in the midst of the story). */
bool timeline_print(struct db *db, const struct paper *out);

#endif
