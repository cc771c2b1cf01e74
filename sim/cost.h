/* What a step costs: prices for what the core counts in work[], in picoseconds, so that a byte can have one. */
#ifndef SIM_COST_H
#define SIM_COST_H

#include "../ref/machine.h"

struct cost_table {
	uint64_t step_ps;             /* each event: the way into and out of the process */
	uint64_t work_ps[WORK_KINDS]; /* each unit of work */
	uint64_t handshake_ns;        /* TLS, the server's part: a job of its own */
};

/* Our relay on one core of a 2025 server: measured figures of this project's own bench where they exist, see the reference
 * measurements for the original. */
extern const struct cost_table cost_ours;

/* Nanoseconds, rounded up. */
static inline uint64_t cost_of(const struct cost_table *t, const uint64_t work[WORK_KINDS])
{
	uint64_t ps = t->step_ps;

	for (int i = 0; i < WORK_KINDS; i++) ps += work[i] * t->work_ps[i];
	return (ps + 999) / 1000;
}

#endif
