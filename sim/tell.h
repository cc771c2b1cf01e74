/* What a run says of itself: for people, and as JSON for programs. Text goes out in pieces through a callback. */
#ifndef SIM_TELL_H
#define SIM_TELL_H

#include "story.h"

struct tell {
	void (*write)(void *ctx, const char *p, size_t n);
	void *ctx;
};

void tell_text(const struct tell *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Scenario, seed, build, the size of the world, what varies, and all that was drawn. */
void tell_header(const struct tell *t, const struct scenario *scenario, const struct story *st, uint64_t seed, const char *build);
/* Expectations with what was measured, findings, failover times. */
void tell_result(const struct tell *t, const struct scenario *scenario, const struct story *st);
void tell_digest(const struct tell *t, const struct story *st);
/* design page, "run --json": schema 1. */
void tell_json(const struct tell *t, const struct scenario *scenario, const struct story *st, uint64_t seed, const char *build);

#endif
