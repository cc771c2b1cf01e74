/* Which region is home: the decision alone (HOM-008..HOM-019, HOM-021). A value with no clock and no network: reports go in, a
 * preference and the home in force come out, each with its reason. Integers only: latencies are ns, scores are millionths.
 *
 * Two things are kept apart, as HOM-021 wants: `prev`, what the last report preferred, which the hysteresis is about; and `home`, what
 * is in force, which follows it unless there is no connection to the control server (HOM-017) or the report prefers nothing (HOM-016).
 *
 * All times are ns of one clock of the owner's, which never goes back. Regions are positive; 0 is none. */
#ifndef REF_HOME_H
#define REF_HOME_H

#include "derpmap.h"

/* How a version of the original decides; times in ns. A copy may be changed: hysteresis = false moves to the fastest every time. */
struct home_policy {
	const char *name;          /* the version that began so; the first row: that one and those before */
	uint64_t gain_min;         /* HOM-011, absolute part: a new home is at least that much faster */
	uint64_t heard_for;        /* HOM-013: a frame so recent is as good as a measurement; 0: frames count for nothing */
	uint64_t alive_for;        /* HOM-014: a frame so recent keeps a home when nothing is measured; 0: nothing does */
	uint64_t retention;        /* HOM-009 */
	bool hysteresis;           /* HOM-011 */
	bool scores;               /* HOM-008 */
	bool force;                /* HOM-015 */
	bool change_needs_control; /* HOM-017: without control an existing home stays */
	bool first_needs_control;  /* and none is chosen */
	bool plan_home;            /* HOM-005: the preferred region is in every probe plan */
};
/* By name: "1.44", "1.46", "1.58", "1.62", "1.64", "1.70", "1.78", "1.86", "1.102", each up to the next, and "current". NULL: none. */
const struct home_policy *home_policy_find(const char *name, size_t n);
const struct home_policy *home_policy_at(uint32_t i); /* NULL: no more */

struct home_latency {
	int64_t region;
	uint64_t ns; /* > 0: a region without latency is not in the report */
};

/* What a network check has found. */
struct home_report {
	uint64_t started, now;
	const struct home_latency *latency; /* ascending by region, each region once */
	uint32_t latencies;
};

/* Why a report prefers what it prefers. */
enum home_reason {
	HOME_NONE,       /* nothing measured and nothing heard */
	HOME_FIRST,      /* nothing was preferred before */
	HOME_STAYED,     /* the best is the one that was preferred */
	HOME_MOVED,      /* faster by enough, both ways (HOM-012) */
	HOME_LEFT,       /* the old one is neither measured nor heard (REG-010) */
	HOME_FASTEST,    /* no hysteresis */
	HOME_KEPT_HEARD, /* not measured, but heard (HOM-013) */
	HOME_KEPT_CLOSE, /* the other is not faster by gain_min */
	HOME_KEPT_SHARE, /* the other takes more than two thirds */
	HOME_KEPT_ALIVE, /* HOM-014 */
	HOME_FORCED,     /* HOM-015 */
	HOME_REASONS
};
const char *home_reason_text(enum home_reason reason);

/* What became of it. */
enum home_effect {
	HOME_AS_PREFERRED,
	HOME_NO_CONTROL,     /* unchanged (HOM-017) */
	HOME_FALLBACK_KEPT,  /* nothing preferred: the home in force stays (HOM-016) */
	HOME_FALLBACK_DRAWN, /* nothing preferred, no home: the one drawn for this process (HOM-016, TRP-029) */
	HOME_NO_REGION,      /* nothing preferred, no home, no region to draw from */
	HOME_HOMELESS,       /* HOM-019 */
	HOME_EFFECTS
};
const char *home_effect_text(enum home_effect effect);

struct home_choice {
	int64_t preferred; /* by the report */
	int64_t home, was; /* in force after and before it */
	enum home_reason reason;
	enum home_effect effect;
};

struct home_sample;
struct home_frame;

struct home {
	struct home_policy policy;
	int64_t prev;             /* preferred by the last report */
	int64_t home;             /* in force */
	int64_t force;            /* HOM-015; 0 = none. The owner sets it */
	bool control;             /* is there a connection to the control server? The owner sets it; true at first */
	bool homeless;            /* HOM-019. The owner sets it */
	uint64_t draw;            /* which region the fall-back is */
	struct home_sample *past; /* ascending by region, then by time; see home.c */
	uint32_t pasts;
	struct home_frame *frame; /* last frames, ascending by region */
	uint32_t frames, frames_cap;
};

enum {
	HOME_PAST_MAX = 64,    /* samples of one region: of more that only got slower the last but one are forgotten */
	HOME_FRAMES_MAX = 4096 /* regions heard of lately: of more the longest silent one is forgotten */
};

/* draw: any number, fixed for this process, from which the fall-back of HOM-016 follows. */
void home_init(struct home *h, const struct home_policy *policy, uint64_t draw);
void home_free(struct home *h);
/* A DERP frame came from the region. Owners may thin these out (CLI-041: the original tells at most one every 5 s). */
void home_heard(struct home *h, int64_t region, uint64_t at);
/* HOM-018: the home of a cached map is in force until a report with control says otherwise. */
void home_adopt(struct home *h, int64_t region);
/* Takes a report and decides. map: scores and the regions of the fall-back; NULL: none. */
struct home_choice home_add_report(struct home *h, const struct home_report *r, const struct derp_map *map);
/* Smallest latency of the region that is remembered, unscaled; 0: none. */
uint64_t home_best(const struct home *h, int64_t region);
uint64_t home_memory(const struct home *h);

#endif
