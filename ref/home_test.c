/* The choice of home: the situations of the original's own tests in our words and numbers, every bound from both sides, what each
 * version did, and a comparison with the rules worked out the long way over thousands of random histories. */
#include "home.h"

#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { REGIONS_MAX = 8 };

/* "1=20ms 3=7500us": latencies of a report. */
static uint32_t latencies_of(const char *text, struct home_latency out[REGIONS_MAX])
{
	uint32_t n = 0;
	int used;

	for (; *text != 0; text += used) {
		unsigned long long region, value;
		char unit[4];
		assert_in_range(n, 0, REGIONS_MAX - 1);
		assert_int_equal(sscanf(text, " %llu=%llu%3[a-z]%n", &region, &value, unit, &used), 3);
		out[n++] = (struct home_latency){ .region = (int64_t)region,
			                          .ns = value * (strcmp(unit, "ns") == 0   ? 1
			                                         : strcmp(unit, "us") == 0 ? NS_US
			                                         : strcmp(unit, "ms") == 0 ? NS_MS
			                                                                   : NS_S) };
	}
	return n;
}

/* A report that took 100 ms, or as long as it can at the beginning of time. */
static struct home_choice report(struct home *h, uint64_t now, const char *text)
{
	struct home_latency latency[REGIONS_MAX];
	struct home_report r = { .started = now < 100 * NS_MS ? 0 : now - 100 * NS_MS, .now = now, .latency = latency };

	r.latencies = latencies_of(text, latency);
	return home_add_report(h, &r, NULL);
}

static struct home home_of(const char *policy)
{
	const struct home_policy *p = home_policy_find(policy, strlen(policy));
	struct home h;

	assert_non_null(p);
	home_init(&h, p, 0);
	return h;
}

static struct derp_map *map_of(const char *json)
{
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(json, strlen(json), error);

	if (map == NULL) fail_msg("%s", error);
	return map;
}

#define CHOICE(choice, region, why) \
	do { \
		struct home_choice choice_ = (choice); \
		if (choice_.reason != (why)) \
			fail_msg("line %d: region %lld, %s", __LINE__, (long long)choice_.preferred, home_reason_text(choice_.reason)); \
		assert_int_equal(choice_.preferred, region); \
	} while (0)

/* ---- stories ---- */

/* HOM-010: the smallest record among the regions at hand wins; a region that is slow just now is judged by its record. */
static void record_counts(void **state)
{
	struct home h = home_of("current");

	(void)state;
	CHOICE(report(&h, 0, "1=20ms 2=30ms"), 1, HOME_FIRST);
	CHOICE(report(&h, NS_S, "1=50ms 2=31ms"), 1, HOME_STAYED);    /* the 20 ms are remembered */
	CHOICE(report(&h, 2 * NS_S, "2=31ms"), 2, HOME_LEFT);         /* not measured any more */
	CHOICE(report(&h, 3 * NS_S, "1=50ms 2=31ms"), 1, HOME_MOVED); /* back with its record: 20 ms are below 2/3 of 31 */
	CHOICE(report(&h, 4 * NS_S, ""), 0, HOME_NONE);
	CHOICE(report(&h, 5 * NS_S, "2=31ms"), 2, HOME_FIRST);
	CHOICE(report(&h, 600 * NS_S, "3=90ms"), 3, HOME_LEFT); /* everything else is forgotten */
	CHOICE(report(&h, 601 * NS_S, "1=70ms 3=90ms"), 3, HOME_KEPT_SHARE);
	assert_int_equal(home_best(&h, 1), 70 * NS_MS);
	assert_int_equal(home_best(&h, 2), 0);
	home_free(&h);
}

/* HOM-011, HOM-012: both conditions must hold for a move. */
static void hysteresis(void **state)
{
	static const struct {
		const char *first, *second;
		int64_t want;
		enum home_reason why;
	} cases[] = {
		{ "1=40ms 2=50ms", "1=40ms 2=29ms", 1, HOME_KEPT_SHARE }, /* 11 ms faster, but not by a third */
		{ "1=5ms 2=6ms", "1=5ms 2=1ms", 1, HOME_KEPT_CLOSE },     /* five times as fast, but by 4 ms */
		{ "1=40ms 2=50ms", "1=40ms 2=12ms", 2, HOME_MOVED },
		{ "1=3s 2=4s", "1=3s 2=2500ms", 1, HOME_KEPT_SHARE },
		{ "1=3s 2=4s", "1=3s 2=1s", 2, HOME_MOVED },
		{ "1=40ms 2=50ms", "1=300ms 2=50ms", 1, HOME_STAYED }, /* worse now, the record is still the better */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct home h = home_of("current");
		CHOICE(report(&h, 0, cases[i].first), 1, HOME_FIRST);
		CHOICE(report(&h, NS_S, cases[i].second), cases[i].want, cases[i].why);
		home_free(&h);
	}
}

/* Home 1 now takes `old`, and 2 comes in with `other`: what becomes of it? */
static enum home_reason after(const char *policy, uint64_t old, uint64_t other)
{
	struct home h = home_of(policy);
	char text[80];
	struct home_choice choice;

	snprintf(text, sizeof text, "1=%lluns", (unsigned long long)old);
	report(&h, 0, text);
	snprintf(text, sizeof text, "1=%lluns 2=%lluns", (unsigned long long)old, (unsigned long long)other);
	choice = report(&h, NS_S, text);
	assert_int_equal(choice.preferred, choice.reason == HOME_MOVED ? 2 : 1);
	home_free(&h);
	return choice.reason;
}

/* HOM-011: less than 10 ms stays, 10 ms go. */
static void gain_bound(void **state)
{
	(void)state;
	assert_int_equal(after("current", 29 * NS_MS, 29 * NS_MS - 9999999), HOME_KEPT_CLOSE);
	assert_int_equal(after("current", 29 * NS_MS, 29 * NS_MS - 10000000), HOME_MOVED);
	assert_int_equal(after("current", 29 * NS_MS, 29 * NS_MS - 10000001), HOME_MOVED);
}

/* HOM-011: two thirds exactly go, a nanosecond more stays; and the division comes first: a third of 60,000,002 is 20,000,000. */
static void share_bound(void **state)
{
	(void)state;
	assert_int_equal(after("current", 60 * NS_MS, 40 * NS_MS - 1), HOME_MOVED);
	assert_int_equal(after("current", 60 * NS_MS, 40 * NS_MS), HOME_MOVED);
	assert_int_equal(after("current", 60 * NS_MS, 40 * NS_MS + 1), HOME_KEPT_SHARE);
	assert_int_equal(after("current", 60000002, 40000000), HOME_MOVED);
	assert_int_equal(after("current", 60000002, 40000001), HOME_KEPT_SHARE);
}

/* Home 1 is not measured; a frame of it came `age` before the report's end. The report took `took`. */
static enum home_reason unmeasured(const char *policy, uint64_t age, uint64_t took, const char *text)
{
	struct home h = home_of(policy);
	struct home_latency latency[REGIONS_MAX];
	struct home_report r = { .now = 1000 * NS_S, .started = 1000 * NS_S - took, .latency = latency };
	struct home_choice choice;

	report(&h, 999 * NS_S - took, "1=10ms 2=20ms");
	home_heard(&h, 1, r.now - age);
	home_heard(&h, 2, r.now);
	r.latencies = latencies_of(text, latency);
	choice = home_add_report(&h, &r, NULL);
	home_free(&h);
	return choice.reason;
}

/* HOM-013: younger than 8 s, or younger than the report, is heard; as old is not. 2 s before 1.64, and nothing before 1.58. */
static void heard_bound(void **state)
{
	(void)state;
	assert_int_equal(unmeasured("current", 8 * NS_S - 1, NS_S, "2=20ms"), HOME_KEPT_HEARD);
	assert_int_equal(unmeasured("current", 8 * NS_S, NS_S, "2=20ms"), HOME_LEFT);
	assert_int_equal(unmeasured("current", 8 * NS_S + 1, NS_S, "2=20ms"), HOME_LEFT);
	assert_int_equal(unmeasured("current", 20 * NS_S - 1, 20 * NS_S, "2=20ms"), HOME_KEPT_HEARD);
	assert_int_equal(unmeasured("current", 20 * NS_S, 20 * NS_S, "2=20ms"), HOME_LEFT);
	assert_int_equal(unmeasured("1.62", 2 * NS_S - 1, NS_S, "2=20ms"), HOME_KEPT_HEARD);
	assert_int_equal(unmeasured("1.62", 2 * NS_S, NS_S, "2=20ms"), HOME_LEFT);
	assert_int_equal(unmeasured("1.46", 1, NS_S, "2=20ms"), HOME_LEFT);
	assert_int_equal(unmeasured("current", 8 * NS_S - 1, NS_S, ""), HOME_KEPT_HEARD); /* even with nothing to go to */
}

/* HOM-014: with nothing measured at all, a frame younger than 120 s keeps the home. */
static void alive_bound(void **state)
{
	(void)state;
	assert_int_equal(unmeasured("current", 120 * NS_S - 1, NS_S, ""), HOME_KEPT_ALIVE);
	assert_int_equal(unmeasured("current", 120 * NS_S, NS_S, ""), HOME_NONE);
	assert_int_equal(unmeasured("current", 120 * NS_S + 1, NS_S, ""), HOME_NONE);
	assert_int_equal(unmeasured("1.78", 9 * NS_S, NS_S, ""), HOME_NONE);
	assert_int_equal(unmeasured("current", 9 * NS_S, NS_S, "2=20ms"), HOME_LEFT); /* with something it does not */
}

/* HOM-014 lasts for as many reports as there is no other news. */
static void silence_outlasted(void **state)
{
	struct home h = home_of("current");

	(void)state;
	CHOICE(report(&h, 0, "1=20ms 2=30ms"), 1, HOME_FIRST);
	home_heard(&h, 1, NS_S);
	for (uint64_t t = 30 * NS_S; t < 121 * NS_S; t += 10 * NS_S) CHOICE(report(&h, t, ""), 1, HOME_KEPT_ALIVE);
	CHOICE(report(&h, 121 * NS_S, ""), 0, HOME_NONE);
	home_free(&h);
}

/* HOM-009: a record of 5 min 5 s counts, an older one does not; 5 min before 1.102. */
static void retention_bound(void **state)
{
	static const struct {
		const char *policy;
		uint64_t age;
		bool counts;
	} cases[] = {
		{ "current", 305 * NS_S - 1, true }, { "current", 305 * NS_S, true },    { "current", 305 * NS_S + 1, false },
		{ "1.102", 305 * NS_S, true },       { "1.102", 305 * NS_S + 1, false }, { "1.86", 300 * NS_S - 1, true },
		{ "1.86", 300 * NS_S, true },        { "1.86", 300 * NS_S + 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct home h = home_of(cases[i].policy);
		CHOICE(report(&h, NS_S, "1=20ms 2=30ms"), 1, HOME_FIRST);
		CHOICE(report(&h, NS_S + cases[i].age, "1=90ms 2=30ms"), cases[i].counts ? 1 : 2, cases[i].counts ? HOME_STAYED : HOME_MOVED);
		assert_int_equal(home_best(&h, 1), cases[i].counts ? 20 * NS_MS : 90 * NS_MS);
		home_free(&h);
	}
}

/* TRP-030, ours: a tie goes to the lower region, whatever was there before it. */
static void ties(void **state)
{
	struct home h = home_of("current");

	(void)state;
	CHOICE(report(&h, 0, "3=20ms 7=20ms"), 3, HOME_FIRST);
	home_free(&h);
	h = home_of("current");
	CHOICE(report(&h, 0, "3=30ms 7=20ms 9=20ms"), 7, HOME_FIRST);
	CHOICE(report(&h, NS_S, "3=20ms 7=20ms 9=20ms"), 7, HOME_KEPT_CLOSE);
	home_free(&h);
}

/* HOM-008: scores multiply the record and the latency now; below 1 favours; missing, zero and negative mean 1; reports stay unscaled. */
static void scores(void **state)
{
	static const struct {
		const char *json, *text;
		int64_t want;
	} cases[] = {
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0.6666666666666666}}}", "1=100ms 2=80ms", 1 },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0.6666666666666666}}}", "1=100ms 2=10ms", 2 },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":1.5}}}", "1=60ms 2=80ms", 2 },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0,\"2\":-1}}}", "1=40ms 2=50ms", 1 },
		{ "{\"HomeParams\":{\"RegionScore\":{\"1\":0,\"2\":-1}}}", "1=50ms 2=40ms", 2 },
		{ "{\"HomeParams\":{\"RegionScore\":{\"2\":1e300}}}", "1=4s 2=1ns", 1 },
		{ "{}", "1=50ms 2=40ms", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct derp_map *map = map_of(cases[i].json);
		struct home h = home_of("current");
		struct home_latency latency[REGIONS_MAX];
		struct home_report r = { .latency = latency, .latencies = latencies_of(cases[i].text, latency) };
		if (home_add_report(&h, &r, map).preferred != cases[i].want) fail_msg("case %zu", i);
		assert_int_equal(home_best(&h, 1), latency[0].ns);
		home_free(&h);
		derp_map_free(map);
	}
}

/* HOM-008, HOM-011: the hysteresis compares scaled values, of both sides. */
static void scores_and_hysteresis(void **state)
{
	struct derp_map *map = map_of("{\"HomeParams\":{\"RegionScore\":{\"1\":2,\"2\":0.5}}}");
	struct home_latency first[1] = { { 1, 30 * NS_MS } }, second[2] = { { 1, 30 * NS_MS }, { 2, 80 * NS_MS + 2 } };
	struct home_report r = { .latency = first, .latencies = 1 };
	struct home h = home_of("current");

	(void)state;
	CHOICE(home_add_report(&h, &r, map), 1, HOME_FIRST);
	r.latency = second, r.latencies = 2; /* 60 ms against 40.000001 */
	CHOICE(home_add_report(&h, &r, map), 1, HOME_KEPT_SHARE);
	second[1].ns -= 1; /* 40.0000005 is cut to 40 */
	CHOICE(home_add_report(&h, &r, map), 2, HOME_MOVED);
	home_free(&h);
	derp_map_free(map);
}

/* HOM-015: forced if measured or heard, else not. */
static void forced(void **state)
{
	static const struct {
		const char *text;
		uint64_t heard_before; /* end of the report; 0: never */
		int64_t want;
		enum home_reason why;
	} cases[] = {
		{ "1=20ms 2=90ms", 0, 2, HOME_FORCED }, { "1=20ms", 0, 1, HOME_STAYED },      { "1=20ms", 8 * NS_S - 1, 2, HOME_FORCED },
		{ "1=20ms", 8 * NS_S, 1, HOME_STAYED }, { "", 8 * NS_S - 1, 2, HOME_FORCED }, { "", 8 * NS_S, 0, HOME_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct home h = home_of("current");
		CHOICE(report(&h, 0, "1=20ms"), 1, HOME_FIRST);
		h.force = 2;
		if (cases[i].heard_before != 0) home_heard(&h, 2, 100 * NS_S - cases[i].heard_before);
		CHOICE(report(&h, 100 * NS_S, cases[i].text), cases[i].want, cases[i].why);
		home_free(&h);
		h = home_of("1.70"); /* it came with 1.78 */
		h.force = 2;
		CHOICE(report(&h, 0, "1=20ms 2=90ms"), 1, HOME_FIRST);
		home_free(&h);
	}
}

/* ---- what is in force ---- */

#define FORCE(choice, region, what) \
	do { \
		struct home_choice choice_ = (choice); \
		if (choice_.effect != (what)) \
			fail_msg("line %d: home %lld, %s", __LINE__, (long long)choice_.home, home_effect_text(choice_.effect)); \
		assert_int_equal(choice_.home, region); \
	} while (0)

/* HOM-017, HOM-021: without control the home stays while the reports' preference moves on; the hysteresis is about the latter, so
 * that with control back the home follows it even to a region that is not the fastest. */
static void without_control(void **state)
{
	struct home h = home_of("current");

	(void)state;
	FORCE(report(&h, 0, "1=100ms 2=200ms"), 1, HOME_AS_PREFERRED);
	h.control = false;
	FORCE(report(&h, NS_S, "1=100ms 2=40ms"), 1, HOME_NO_CONTROL);
	assert_int_equal(h.prev, 2);
	FORCE(report(&h, 2 * NS_S, ""), 1, HOME_NO_CONTROL);
	assert_int_equal(h.prev, 0);
	FORCE(report(&h, 3 * NS_S, "1=100ms 2=40ms"), 1, HOME_NO_CONTROL);
	h.control = true;
	FORCE(report(&h, 4 * NS_S, "1=39ms 2=40ms"), 2, HOME_AS_PREFERRED);
	assert_int_equal(h.home, 2);
	home_free(&h);
}

/* HOM-017: with no home yet one is chosen even without control, since 1.70; from 1.62 on none was; before, control did not matter. */
static void first_without_control(void **state)
{
	static const struct {
		const char *policy;
		int64_t first, second;
	} cases[] = { { "1.58", 1, 2 }, { "1.62", 0, 0 }, { "1.64", 0, 0 }, { "1.70", 1, 1 }, { "current", 1, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct home h = home_of(cases[i].policy);
		h.control = false;
		assert_int_equal(report(&h, 0, "1=100ms 2=200ms").home, cases[i].first);
		assert_int_equal(report(&h, NS_S, "1=100ms 2=20ms").home, cases[i].second);
		home_free(&h);
	}
}

/* HOM-018: the home of a cached map stays until control is reached. */
static void cached(void **state)
{
	struct home h = home_of("current");

	(void)state;
	home_adopt(&h, 5);
	h.control = false;
	FORCE(report(&h, 0, "1=100ms 2=200ms"), 5, HOME_NO_CONTROL);
	h.control = true;
	FORCE(report(&h, NS_S, "1=100ms 2=200ms"), 1, HOME_AS_PREFERRED);
	home_free(&h);
}

/* HOM-016, TRP-029: with nothing preferred the home stays; with none it is a region of the map, fixed for the process, marked ones
 * included; and it stays while nothing is measured. */
static void fall_back(void **state)
{
	struct derp_map *map = map_of("{\"Regions\":{\"4\":{\"NoMeasureNoHome\":true},\"9\":{\"Avoid\":true},\"30\":{}}}"), *empty = map_of("{}");
	static const int64_t ids[3] = { 4, 9, 30 };
	struct home_report r = { 0 };

	(void)state;
	for (uint64_t draw = 0; draw < 9; draw++) {
		struct home h;
		home_init(&h, home_policy_find("current", 7), draw);
		FORCE(home_add_report(&h, &r, empty), 0, HOME_NO_REGION);
		FORCE(home_add_report(&h, &r, NULL), 0, HOME_NO_REGION);
		FORCE(home_add_report(&h, &r, map), ids[draw % 3], HOME_FALLBACK_DRAWN);
		FORCE(home_add_report(&h, &r, map), ids[draw % 3], HOME_FALLBACK_KEPT);
		assert_int_equal(h.prev, 0);
		FORCE(report(&h, NS_S, "1=20ms"), 1, HOME_AS_PREFERRED);
		FORCE(report(&h, 2 * NS_S, ""), 1, HOME_FALLBACK_KEPT);
		home_free(&h);
	}
	derp_map_free(map);
	derp_map_free(empty);
}

/* HOM-019: a homeless node has none, whatever it measures, and gets one when it is no longer. */
static void homeless(void **state)
{
	struct home h = home_of("current");

	(void)state;
	FORCE(report(&h, 0, "1=20ms"), 1, HOME_AS_PREFERRED);
	h.homeless = true;
	FORCE(report(&h, NS_S, "1=20ms"), 0, HOME_HOMELESS);
	h.homeless = false;
	FORCE(report(&h, 2 * NS_S, "1=20ms"), 1, HOME_AS_PREFERRED);
	home_free(&h);
}

/* REG-010: a whole region is lost. While its last frame is younger than 8 s the home stays; the first report after that moves. */
static void region_lost(void **state)
{
	struct home h = home_of("current");

	(void)state;
	FORCE(report(&h, 20 * NS_S, "1=10ms 2=30ms 3=50ms"), 1, HOME_AS_PREFERRED);
	home_heard(&h, 1, 39 * NS_S);
	CHOICE(report(&h, 43 * NS_S, "2=30ms 3=50ms"), 1, HOME_KEPT_HEARD);
	CHOICE(report(&h, 66 * NS_S, "2=30ms 3=50ms"), 2, HOME_LEFT);
	assert_int_equal(h.home, 2);
	CHOICE(report(&h, 90 * NS_S, "1=10ms 2=30ms 3=50ms"), 1, HOME_MOVED); /* it is back, and three times as fast */
	home_free(&h);
}

/* TRP-032 in the decision: frames are a reason to stay, never one to go. A home that is measured stays though nothing comes from it. */
static void measured_but_dead(void **state)
{
	struct home h = home_of("current");

	(void)state;
	for (uint64_t t = 0; t < 3600 * NS_S; t += 25 * NS_S) {
		home_heard(&h, 2, t);
		FORCE(report(&h, t, "1=20ms 2=25ms"), 1, HOME_AS_PREFERRED);
	}
	home_free(&h);
}

/* ---- versions ---- */

/* What changed from version to version, column by column. */
static void versions(void **state)
{
	static const struct {
		const char *policy;
		enum home_reason near, heard_1900ms, heard_7900ms, alive_119s, record_302s;
		bool scores, force, change_needs_control, plan_home;
	} want[] = {
		{ "1.44", HOME_MOVED, HOME_LEFT, HOME_LEFT, HOME_NONE, HOME_LEFT, false, false, false, false },
		{ "1.46", HOME_KEPT_CLOSE, HOME_LEFT, HOME_LEFT, HOME_NONE, HOME_LEFT, true, false, false, false },
		{ "1.58", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_LEFT, HOME_NONE, HOME_LEFT, true, false, false, false },
		{ "1.62", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_LEFT, HOME_NONE, HOME_LEFT, true, false, true, false },
		{ "1.64", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_NONE, HOME_LEFT, true, false, true, false },
		{ "1.70", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_NONE, HOME_LEFT, true, false, true, false },
		{ "1.78", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_NONE, HOME_LEFT, true, true, true, true },
		{ "1.86", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_KEPT_ALIVE, HOME_LEFT, true, true, true, true },
		{ "1.102", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_KEPT_ALIVE, HOME_STAYED, true, true, true, true },
		{ "current", HOME_KEPT_CLOSE, HOME_KEPT_HEARD, HOME_KEPT_HEARD, HOME_KEPT_ALIVE, HOME_STAYED, true, true, true, true },
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof want / sizeof *want; i++) {
		const struct home_policy *p = home_policy_at(i);
		assert_non_null(p);
		assert_string_equal(p->name, want[i].policy);
		assert_ptr_equal(home_policy_find(p->name, strlen(p->name)), p);
		assert_int_equal(after(p->name, 5 * NS_MS, NS_MS), want[i].near);
		assert_int_equal(unmeasured(p->name, 1900 * NS_MS, NS_S, "2=20ms"), want[i].heard_1900ms);
		assert_int_equal(unmeasured(p->name, 7900 * NS_MS, NS_S, "2=20ms"), want[i].heard_7900ms);
		assert_int_equal(unmeasured(p->name, 119 * NS_S, NS_S, ""), want[i].alive_119s);
		assert_int_equal(p->retention, want[i].record_302s == HOME_STAYED ? 305 * NS_S : 300 * NS_S);
		assert_int_equal(p->scores, want[i].scores);
		assert_int_equal(p->force, want[i].force);
		assert_int_equal(p->change_needs_control, want[i].change_needs_control);
		assert_int_equal(p->plan_home, want[i].plan_home);
		assert_true(p->hysteresis);
	}
	assert_null(home_policy_at(sizeof want / sizeof *want));
	assert_null(home_policy_find("1.4", 3));
	assert_null(home_policy_find("1.446", 5));
	assert_null(home_policy_find("", 0));
}

/* Without hysteresis the best record has it, near or not, heard or not; HOM-014 is not part of it. */
static void without_hysteresis(void **state)
{
	struct home h = home_of("current");

	(void)state;
	h.policy.hysteresis = false;
	CHOICE(report(&h, 0, "1=20ms 2=30ms"), 1, HOME_FIRST);
	CHOICE(report(&h, NS_S, "1=20ms 2=19ms"), 2, HOME_FASTEST);
	home_heard(&h, 2, 2 * NS_S);
	CHOICE(report(&h, 2 * NS_S, "1=20ms"), 1, HOME_FASTEST);
	home_heard(&h, 1, 2 * NS_S);
	CHOICE(report(&h, 3 * NS_S, ""), 1, HOME_KEPT_ALIVE);
	home_free(&h);
}

/* ---- limits ---- */

/* HOM-009 at the limit of samples: a region that only gets slower keeps its best ones, and its newest. */
static void many_samples(void **state)
{
	struct home h = home_of("current");
	char text[40];

	(void)state;
	for (uint64_t i = 0; i < 3 * 64; i++) {
		snprintf(text, sizeof text, "1=%llums 2=9s", (unsigned long long)(20 + i));
		report(&h, i * NS_S, text);
		assert_int_equal(home_best(&h, 1), 20 * NS_MS);
	}
	assert_int_equal(home_memory(&h), (64 + 1) * 24);
	report(&h, 306 * NS_S, "2=9s"); /* the first is gone, the next is remembered */
	assert_int_equal(home_best(&h, 1), 21 * NS_MS);
	report(&h, (305 + 3 * 64 - 1) * NS_S, "2=9s"); /* the newest is as old as it can be */
	assert_int_equal(home_best(&h, 1), (20 + 3 * 64 - 1) * NS_MS);
	report(&h, (305 + 3 * 64) * NS_S, "2=9s");
	assert_int_equal(home_best(&h, 1), 0);
	home_free(&h);
}

/* Frames of more regions than the limit: the longest silent one is forgotten, and only it; a report forgets those of no use. */
static void many_frames(void **state)
{
	struct home h = home_of("current");
	uint64_t memory;

	(void)state;
	for (int64_t i = 1; i <= 4096; i++) home_heard(&h, i, (uint64_t)i);
	home_heard(&h, 1, 4096 + 1); /* so that 2 is the longest silent */
	memory = home_memory(&h);
	home_heard(&h, 4096 + 1, 4096 + 2);
	assert_int_equal(home_memory(&h), memory);
	for (int64_t i = 1; i <= 3; i++) {
		struct home_report r = { .now = 4096 + 2 };
		h.force = i;
		assert_int_equal(home_add_report(&h, &r, NULL).reason, i == 2 ? HOME_KEPT_HEARD : HOME_FORCED);
	}
	for (int64_t i = 1; i <= 100000; i++) home_heard(&h, i, 4096 + 3);
	assert_int_equal(h.frames, 4096);
	report(&h, 300 * NS_S, "");
	assert_int_equal(h.frames, 0);
	home_free(&h);
}

/* ---- the long way ---- */

enum { LONG_REPORTS = 40, LONG_REGIONS = 4 };

/* All reports of a history, and the rules as they are written. */
struct long_way {
	uint64_t at[LONG_REPORTS], ns[LONG_REPORTS][LONG_REGIONS + 1]; /* by region, 0 = not measured */
	uint64_t heard[LONG_REGIONS + 1];
	uint32_t n;
	int64_t prev;
};

static uint64_t rest(uint64_t *x, uint64_t n)
{
	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*x >> 33) % n;
}

static int64_t long_decide(struct long_way *w, const struct home_policy *p, uint64_t started)
{
	uint64_t now = w->at[w->n - 1], *cur = w->ns[w->n - 1], best[LONG_REGIONS + 1] = { 0 }, b = 0, o = w->prev ? cur[w->prev] : 0;
	uint64_t h = w->heard[w->prev];
	int64_t candidate = 0;
	bool heard = p->heard_for > 0 && h > 0 && (h > started || now - h < p->heard_for), keep;

	for (uint32_t i = 0; i < w->n; i++)
		for (int r = 1; r <= LONG_REGIONS; r++)
			if (now - w->at[i] <= p->retention && w->ns[i][r] > 0 && (best[r] == 0 || w->ns[i][r] < best[r])) best[r] = w->ns[i][r];
	for (int r = LONG_REGIONS; r > 0; r--)
		if (cur[r] > 0 && (candidate == 0 || best[r] <= b)) candidate = r, b = best[r];
	if (w->prev != 0 && candidate != w->prev && (o > 0 || heard)) {
		keep = (int64_t)o - (int64_t)b < (int64_t)p->gain_min || b > o / 3 * 2;
		if (keep) candidate = w->prev;
	}
	if (candidate == 0 && w->prev != 0 && p->alive_for > 0 && h > 0 && now - h < p->alive_for) candidate = w->prev;
	return candidate;
}

/* HOM-009..HOM-014 and TRP-030: thousands of random histories decided by home.c and the long way, under every policy. */
static void long_way(void **state)
{
	uint64_t x = 1;

	(void)state;
	for (uint32_t run = 0; run < 4000; run++) {
		const struct home_policy *p = home_policy_at(run % 10);
		struct long_way w = { 0 };
		struct home h;
		uint64_t now = 10 * NS_S;
		home_init(&h, p, 0);
		for (uint32_t i = 0; i < LONG_REPORTS; i++) {
			struct home_latency latency[LONG_REGIONS];
			uint64_t started = now += rest(&x, 30) * NS_S;
			struct home_report r = { .started = started, .latency = latency };
			now += rest(&x, 6) * NS_S;
			for (int64_t region = 1; region <= LONG_REGIONS; region++) {
				if (rest(&x, 4) == 0) home_heard(&h, region, w.heard[region] = now - rest(&x, 3) * NS_S);
				if (rest(&x, 3) == 0) continue;
				w.ns[i][region] = (1 + rest(&x, 12)) * (rest(&x, 2) == 0 ? 3 * NS_MS : 10 * NS_MS);
				latency[r.latencies++] = (struct home_latency){ region, w.ns[i][region] };
			}
			w.at[w.n++] = r.now = now;
			w.prev = long_decide(&w, p, started);
			if (home_add_report(&h, &r, NULL).preferred != w.prev)
				fail_msg("run %u, policy %s, report %u: %lld, the long way says %lld", run, p->name, i, (long long)h.prev,
				         (long long)w.prev);
		}
		home_free(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_counts),
		cmocka_unit_test(hysteresis),
		cmocka_unit_test(gain_bound),
		cmocka_unit_test(share_bound),
		cmocka_unit_test(heard_bound),
		cmocka_unit_test(alive_bound),
		cmocka_unit_test(silence_outlasted),
		cmocka_unit_test(retention_bound),
		cmocka_unit_test(ties),
		cmocka_unit_test(scores),
		cmocka_unit_test(scores_and_hysteresis),
		cmocka_unit_test(forced),
		cmocka_unit_test(without_control),
		cmocka_unit_test(first_without_control),
		cmocka_unit_test(cached),
		cmocka_unit_test(fall_back),
		cmocka_unit_test(homeless),
		cmocka_unit_test(region_lost),
		cmocka_unit_test(measured_but_dead),
		cmocka_unit_test(versions),
		cmocka_unit_test(without_hysteresis),
		cmocka_unit_test(many_samples),
		cmocka_unit_test(many_frames),
		cmocka_unit_test(long_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
