/* The choice of home.
 *
 * History. Only the smallest latency of a region over the retained reports matters (HOM-010), so a sample is forgotten as soon as
 * a later one of its region is not slower. What is left of a region has latencies that rise with time, and its first sample is its
 * best. Ties between regions go to the lower number (TRP-030). */
#include "home.h"

#include "buf.h"
#include "machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct home_sample {
	int64_t region;
	uint64_t at, ns;
};

struct home_frame {
	int64_t region;
	uint64_t at;
};

/* ---- the versions ---- */

/* clang-format off */
enum { NO = false, YES = true };
static const struct home_policy policies[] = {
	/* from       gain_min    heard_for   alive_for    retention    hyste-  scores force control:    plan_home
	                                                                 resis                change first       */
	{ "1.44",     0,          0,          0,           300 * NS_S,  YES,    NO,    NO,   NO,   NO,   NO  },
	{ "1.46",     10 * NS_MS, 0,          0,           300 * NS_S,  YES,    YES,   NO,   NO,   NO,   NO  },
	{ "1.58",     10 * NS_MS, 2 * NS_S,   0,           300 * NS_S,  YES,    YES,   NO,   NO,   NO,   NO  },
	{ "1.62",     10 * NS_MS, 2 * NS_S,   0,           300 * NS_S,  YES,    YES,   NO,   YES,  YES,  NO  },
	{ "1.64",     10 * NS_MS, 8 * NS_S,   0,           300 * NS_S,  YES,    YES,   NO,   YES,  YES,  NO  },
	{ "1.70",     10 * NS_MS, 8 * NS_S,   0,           300 * NS_S,  YES,    YES,   NO,   YES,  NO,   NO  },
	{ "1.78",     10 * NS_MS, 8 * NS_S,   0,           300 * NS_S,  YES,    YES,   YES,  YES,  NO,   YES },
	{ "1.86",     10 * NS_MS, 8 * NS_S,   120 * NS_S,  300 * NS_S,  YES,    YES,   YES,  YES,  NO,   YES },
	{ "1.102",    10 * NS_MS, 8 * NS_S,   120 * NS_S,  305 * NS_S,  YES,    YES,   YES,  YES,  NO,   YES },
	{ "current",  10 * NS_MS, 8 * NS_S,   120 * NS_S,  305 * NS_S,  YES,    YES,   YES,  YES,  NO,   YES },
};
/* clang-format on */

const struct home_policy *home_policy_find(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
		if (strlen(policies[i].name) == n && memcmp(policies[i].name, name, n) == 0) return &policies[i];
	return NULL;
}

const struct home_policy *home_policy_at(uint32_t i) { return i < sizeof policies / sizeof *policies ? &policies[i] : NULL; }

const char *home_reason_text(enum home_reason reason)
{
	static const char *const text[HOME_REASONS] = {
		"none: nothing measured, nothing heard",
		"first: nothing was preferred before",
		"stayed: still the best",
		"moved: faster by enough",
		"moved: the old one was neither measured nor heard",
		"moved: the fastest, without hysteresis",
		"kept: heard but unmeasured",
		"kept: the other is not faster by the minimum",
		"kept: the other takes more than two thirds",
		"kept: nothing measured, but a frame came not long ago",
		"forced",
	};

	assert(reason < HOME_REASONS);
	return text[reason];
}

const char *home_effect_text(enum home_effect effect)
{
	static const char *const text[HOME_EFFECTS] = {
		"as the report prefers",
		"unchanged: no connection to control",
		"unchanged: the report prefers none",
		"drawn: the report prefers none and there was no home",
		"none: there is no region",
		"none: homeless",
	};

	assert(effect < HOME_EFFECTS);
	return text[effect];
}

/* ---- life ---- */

void home_init(struct home *h, const struct home_policy *policy, uint64_t draw)
{
	*h = (struct home){ .policy = *policy, .draw = draw, .control = true };
}

void home_free(struct home *h)
{
	free(h->past);
	free(h->frame);
	*h = (struct home){ 0 };
}

void home_adopt(struct home *h, int64_t region)
{
	assert(region >= 0);
	h->home = region;
}

uint64_t home_memory(const struct home *h) { return h->pasts * sizeof *h->past + h->frames_cap * sizeof *h->frame; }

/* ---- frames ---- */

static uint32_t frame_place(const struct home *h, int64_t region)
{
	uint32_t i = 0;

	while (i < h->frames && h->frame[i].region < region) i++;
	return i;
}

static void frame_remove(struct home *h, uint32_t i)
{
	h->frames--;
	memmove(h->frame + i, h->frame + i + 1, (h->frames - i) * sizeof *h->frame);
}

static void forget_longest_silent(struct home *h)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < h->frames; i++)
		if (h->frame[i].at < h->frame[oldest].at) oldest = i;
	frame_remove(h, oldest);
}

void home_heard(struct home *h, int64_t region, uint64_t at)
{
	uint32_t i;

	assert(region > 0);
	i = frame_place(h, region);
	if (i == h->frames || h->frame[i].region != region) {
		if (h->frames == HOME_FRAMES_MAX) forget_longest_silent(h);
		i = frame_place(h, region);
		MEM_ROOM(h->frame, h->frames, h->frames_cap);
		memmove(h->frame + i + 1, h->frame + i, (h->frames - i) * sizeof *h->frame);
		h->frames++;
	}
	h->frame[i] = (struct home_frame){ .region = region, .at = at };
}

/* Did a frame come since the report started, or less than `within` ago? Strictly, both, as in the original. */
static bool heard_within(const struct home *h, const struct home_report *r, int64_t region, uint64_t within)
{
	uint32_t i = frame_place(h, region);

	if (within == 0 || i == h->frames || h->frame[i].region != region) return false;
	return h->frame[i].at > r->started || r->now - h->frame[i].at < within;
}

static bool heard(const struct home *h, const struct home_report *r, int64_t region) /* HOM-013 */
{
	return heard_within(h, r, region, h->policy.heard_for);
}

/* No report to come, which starts after this one, can care for older frames. */
static void forget_frames(struct home *h, uint64_t now)
{
	uint64_t longest = h->policy.heard_for > h->policy.alive_for ? h->policy.heard_for : h->policy.alive_for;

	for (uint32_t i = h->frames; i-- > 0;) {
		assert(h->frame[i].at <= now);
		if (now - h->frame[i].at >= longest) frame_remove(h, i);
	}
}

/* ---- history ---- */

static void add_sample(struct home_sample *v, uint32_t *n, const struct home_latency *x, uint64_t at)
{
	uint32_t run = 0;

	while (run < *n && v[*n - 1 - run].region == x->region) run++;
	if (run == HOME_PAST_MAX) (*n)--;
	v[(*n)++] = (struct home_sample){ .region = x->region, .at = at, .ns = x->ns };
}

/* Merges the report into what is remembered, which loses what is too old (HOM-009) and what can never be the best again. */
static void remember(struct home *h, const struct home_report *r)
{
	struct home_sample *v = mem_alloc((uint64_t)(h->pasts + r->latencies) * sizeof *v);
	uint32_t n = 0, i = 0;

	for (uint32_t k = 0; k <= r->latencies; k++) {
		const struct home_latency *x = k < r->latencies ? &r->latency[k] : NULL;
		assert(x == NULL || (x->region > 0 && x->ns > 0 && (k == 0 || x[-1].region < x->region)));
		for (; i < h->pasts && (x == NULL || h->past[i].region <= x->region); i++) {
			const struct home_sample *old = &h->past[i];
			assert(old->at <= r->now);
			if (r->now - old->at > h->policy.retention) continue;
			if (x != NULL && old->region == x->region && old->ns >= x->ns) continue;
			v[n++] = *old;
		}
		if (x != NULL) add_sample(v, &n, x, r->now);
	}
	free(h->past);
	h->past = v;
	h->pasts = n;
}

uint64_t home_best(const struct home *h, int64_t region)
{
	uint32_t low = 0, high = h->pasts;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (h->past[middle].region < region)
			low = middle + 1;
		else
			high = middle;
	}
	return low < h->pasts && h->past[low].region == region ? h->past[low].ns : 0;
}

/* ---- the decision ---- */

/* The region with the best record among those in the report, and how the one preferred before does now. */
struct candidate {
	int64_t region;
	uint64_t best;     /* `B` of HOM-010 */
	uint64_t prev_now; /* `O` of HOM-011; 0: not measured */
	bool force_measured;
};

/* HOM-008: towards 0, saturating. */
static uint64_t scaled(const struct home *h, const struct derp_map *map, int64_t region, uint64_t ns)
{
	int64_t micro = map == NULL || !h->policy.scores ? 0 : derp_map_score(map, region);
	unsigned __int128 product;

	if (micro <= 0) return ns;
	product = (unsigned __int128)ns * (uint64_t)micro / 1000000;
	return product > INT64_MAX ? INT64_MAX : (uint64_t)product;
}

static struct candidate find_candidate(const struct home *h, const struct home_report *r, const struct derp_map *map)
{
	struct candidate c = { 0 };

	for (uint32_t i = 0; i < r->latencies; i++) { /* in ascending order: ties go to the lower number (TRP-030) */
		const struct home_latency *x = &r->latency[i];
		uint64_t best = scaled(h, map, x->region, home_best(h, x->region));
		if (x->region == h->prev) c.prev_now = scaled(h, map, x->region, x->ns);
		if (x->region == h->force) c.force_measured = true;
		if (c.region == 0 || best < c.best) c.region = x->region, c.best = best;
	}
	return c;
}

/* HOM-011..HOM-013: another than before is the best. Do we go there, and why? */
static enum home_reason weigh(const struct home *h, const struct home_report *r, const struct candidate *c)
{
	uint64_t old = c->prev_now;

	if (!h->policy.hysteresis) return c->region == 0 ? HOME_NONE : HOME_FASTEST;
	if (old == 0 && heard(h, r, h->prev)) return HOME_KEPT_HEARD;
	if (old == 0) return c->region == 0 ? HOME_NONE : HOME_LEFT;
	assert(c->best <= old); /* the old region is in the report, and its own best is not above its latency now */
	if (old - c->best < h->policy.gain_min) return HOME_KEPT_CLOSE;
	if (c->best > old / 3 * 2) return HOME_KEPT_SHARE;
	return HOME_MOVED;
}

/* TRP-032: only latencies count here; a home that answers STUN is kept although its DERP port is dead. */
static bool is_kept(enum home_reason reason) { return reason == HOME_KEPT_HEARD || reason == HOME_KEPT_CLOSE || reason == HOME_KEPT_SHARE; }

static int64_t prefer(const struct home *h, const struct home_report *r, const struct candidate *c, enum home_reason *reason)
{
	int64_t preferred = c->region;

	if (h->prev == 0) {
		*reason = preferred == 0 ? HOME_NONE : HOME_FIRST;
	} else if (preferred == h->prev) {
		*reason = HOME_STAYED;
	} else {
		*reason = weigh(h, r, c);
		if (is_kept(*reason)) preferred = h->prev;
	}
	if (h->policy.force && h->force != 0 && (c->force_measured || heard(h, r, h->force))) {
		*reason = HOME_FORCED;
		return h->force;
	}
	if (preferred == 0 && heard_within(h, r, h->prev, h->policy.alive_for)) {
		*reason = HOME_KEPT_ALIVE;
		return h->prev;
	}
	return preferred;
}

/* ---- what is in force ---- */

/* HOM-016. Regions that are marked NoMeasureNoHome are drawn like the others (TRP-029). */
static int64_t fall_back(const struct home *h, const struct derp_map *map, enum home_effect *effect)
{
	*effect = HOME_FALLBACK_KEPT;
	if (h->home != 0) return h->home;
	*effect = HOME_NO_REGION;
	if (map == NULL || map->regions == 0) return 0;
	*effect = HOME_FALLBACK_DRAWN;
	return map->region[h->draw % map->regions].id;
}

static int64_t put_in_force(const struct home *h, int64_t preferred, const struct derp_map *map, enum home_effect *effect)
{
	*effect = HOME_HOMELESS;
	if (h->homeless) return 0;
	*effect = HOME_NO_CONTROL;
	if (!h->control && (h->home != 0 ? h->policy.change_needs_control : h->policy.first_needs_control)) return h->home;
	if (preferred == 0) return fall_back(h, map, effect);
	*effect = HOME_AS_PREFERRED;
	return preferred;
}

struct home_choice home_add_report(struct home *h, const struct home_report *r, const struct derp_map *map)
{
	struct home_choice choice = { .was = h->home };
	struct candidate c;

	assert(r->started <= r->now);
	remember(h, r);
	c = find_candidate(h, r, map);
	choice.preferred = prefer(h, r, &c, &choice.reason);
	choice.home = put_in_force(h, choice.preferred, map, &choice.effect);
	forget_frames(h, r->now);
	h->prev = choice.preferred; /* HOM-021: whatever is in force */
	h->home = choice.home;
	return choice;
}
