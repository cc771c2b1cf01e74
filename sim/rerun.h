/* Executes a recording again, event by event, and compares what comes out. */
#ifndef SIM_RERUN_H
#define SIM_RERUN_H

#include "recording.h"

enum rerun_result {
	RERUN_SAME,
	RERUN_MISSING,  /* the row is not the next one */
	RERUN_ALTERED,  /* its event is not what was recorded */
	RERUN_DAMAGED,  /* it is no event, or no recording begins with it: rerun_error */
	RERUN_DIVERGES, /* other actions came out */
};

struct rerun {
	struct machine *machine; /* outlives it */
	/* Would the machine start with this configuration? */
	bool (*config_check)(const char *text, size_t n, char error[200]);
	struct actions out, up;
	uint32_t out_from, up_from; /* what the last step added begins there */
	struct event_copy **kept;   /* of this turn: actions point into them */
	uint32_t kept_n, kept_cap;
	uint64_t seq;
	struct sim_digest digest;
	char error[240];
};

void rerun_init(struct rerun *r, struct machine *machine, bool (*config_check)(const char *, size_t, char[200]));
void rerun_free(struct rerun *r);
/* Of a row in which the relay crashed, RERUN_SAME: this time it came back. */
enum rerun_result rerun_step(struct rerun *r, const struct recording_row *row);

#endif
