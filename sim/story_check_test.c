/* The alarms ring: planted faults, expectations that are false, and those that nothing ever judged. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

/* ---- nothing forged, changed, .. ---- */

#define CROWD \
	"# a region that loses a node, so that packets are forwarded\n" \
	"region fra nodes=3\n" \
	"tailnet acme x6 clients=4 spread=europe join=0s..2s\n" \
	"load disco every=1s..2s\n" \
	"load bulk share=50% rate=80Kbps size=500B for=5s..10s\n" \
	"policy order=scattered\n" \
	"at 20s crash fra/1\n" \
	"at 25s restart fra/1\n"

static const char nothings[] = CROWD "expect always nothing forged\n"
				     "expect always nothing changed\n"
				     "expect always nothing doubled\n"
				     "expect always nothing misdelivered\n"
				     "expect always nothing twice-forwarded\n"
				     "expect always nothing unaccounted\n"
				     "until 60s\n";

/* Each fault makes exactly the finding of its name, at its time, with its rule and its packet; the line that forbids it is missed and no
 * other; the run is not good. The rules are those that such a relay would break. */
static void check_plants_ring(void **state)
{
	static const struct {
		enum story_plant plant;
		const char *name, *rule;
		uint64_t by; /* it is found until then */
	} of[] = {
		{ STORY_PLANT_FORGED, "forged", "SRV-003: ", 31 * NS_S },
		{ STORY_PLANT_CHANGED, "changed", "SRV-004: ", 31 * NS_S },
		{ STORY_PLANT_DOUBLED, "doubled", "SRV-004: ", 31 * NS_S },
		{ STORY_PLANT_MISDELIVERED, "misdelivered", "SRV-005: ", 31 * NS_S },
		{ STORY_PLANT_TWICE_FORWARDED, "twice-forwarded", "MSH-017: ", 31 * NS_S },
		{ STORY_PLANT_UNACCOUNTED, "unaccounted", "SRV-015: ", 60 * NS_S }, /* the next census */
	};
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < sizeof of / sizeof *of; i++) {
		const struct story_finding *f;
		try_init(&t);
		t.options.plant = of[i].plant;
		t.options.plant_at = 30 * NS_S;
		try_run(&t, nothings);
		assert_false(story_good(t.story));
		assert_int_equal(story_findings(t.story), 1);
		f = story_finding(t.story, 0);
		assert_string_equal(f->rule, of[i].name);
		assert_string_equal(story_plant_name(of[i].plant), of[i].name);
		assert_in_range(f->at, 30 * NS_S, of[i].by);
		assert_memory_equal(f->text, of[i].rule, strlen(of[i].rule));
		assert_non_null(strstr(f->text, "packet "));
		assert_non_null(strstr(f->text, " from acme/"));
		assert_non_null(strstr(f->text, " to acme/"));
		for (uint32_t k = 0; k < story_expects(t.story); k++) try_verdict(&t, k, k == i ? STORY_MISSED : STORY_OK, k == i ? "1" : "none");
		try_end(&t);
	}
}

/* The same run without a fault finds nothing. */
static void check_without_plants_is_quiet(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, nothings);
}

/* ---- conditions ---- */

/* Everyone is on fra/1 until it crashes at 10.5 s; 0.2 s later all are on fra/2. */
#define MOVE \
	"# everyone moves at once\n" \
	"region fra nodes=2\n" \
	"tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n" \
	"policy order=same\n" \
	"at 10.5s crash fra/1\n" \
	"at 20s restart fra/1\n" \
	"until 30s\n"

struct judged {
	const char *line;
	enum story_verdict verdict;
	const char *measured; /* NULL: whatever it is */
};

static void judge(const char *world, const struct judged *j, uint32_t n)
{
	char text[8192];
	size_t at = (size_t)snprintf(text, sizeof text, "%s", world);
	bool good = true;
	struct try t;

	for (uint32_t i = 0; i < n; i++) at += (size_t)snprintf(text + at, sizeof text - at, "%s\n", j[i].line);
	assert_true(at < sizeof text);
	try_init(&t);
	try_run(&t, text);
	for (uint32_t i = 0; i < n; i++) {
		try_verdict(&t, i, j[i].verdict, j[i].measured);
		good = good && (j[i].verdict == STORY_OK || strncmp(j[i].line, "goal", 4) == 0);
	}
	assert_int_equal(story_good(t.story), good);
	assert_int_equal(story_findings(t.story), 0);
	try_end(&t);
}

/* Each way to demand something, once true and once false; one that is false makes the run not good, a goal does not. States that last
 * a fifth of a second, between two full ones, are seen. */
static void check_false_is_missed(void **state)
{
	static const struct judged of[] = {
		{ "expect always clients.connected <= 8", STORY_OK, NULL },
		{ "expect always clients.away == 0", STORY_MISSED, NULL },
		{ "expect sometimes clients.away == 100%", STORY_OK, NULL },
		{ "expect sometimes mesh.links == 3", STORY_MISSED, NULL },
		{ "expect at 10.499s clients.connected == 8", STORY_OK, "8" },
		{ "expect at 10.501s clients.connected == 0", STORY_OK, "0" },
		{ "expect at 10.501s clients.connected == 8", STORY_MISSED, "0" },
		{ "expect at end clients.away == 100%", STORY_OK, "100%" },
		{ "expect at end clients.away == 0%", STORY_MISSED, "100%" },
		{ "expect within 1s of crash clients.connected == 0", STORY_OK, "0 after 0s" },
		{ "expect within 1s of crash clients.connected == 9", STORY_MISSED, NULL },
		{ "expect from 2s after start clients.connected >= 0", STORY_OK, NULL },
		{ "expect from 2s after start clients.connected == 8", STORY_OK, NULL }, /* ends at 10.5 s, with the next line */
		{ "expect from 1s after crash clients.connected == 8", STORY_OK, NULL },
		{ "expect from 0s after crash clients.connected == 8", STORY_MISSED, "0 at 10.5s" },
		{ "goal at end clients.away == 0", STORY_MISSED, "8" },
	};

	(void)state;
	judge(MOVE, of, sizeof of / sizeof *of);
}

/* A missed goal alone leaves the run good; `in some run` is for sweeps, and only noted. */
static void check_goals_are_results(void **state)
{
	static const struct judged of[] = {
		{ "goal at end clients.away == 0", STORY_MISSED, "8" },
		{ "expect in some run clients.connected == 9", STORY_OK, NULL },
	};

	(void)state;
	judge(MOVE, of, sizeof of / sizeof *of);
}

/* What nothing ever judged fails: an event that did not come, a moment behind the end, a value that there is none of, a state that
 * the next line of the timeline ended before it was due. */
static void check_never_judged_fails(void **state)
{
	static const char text[] = MOVE "at 5s leave acme/1/1\n"
					"at 6s leave acme/1/1 as=again\n"
					"expect within 1s of again clients.connected > 0\n"
					"expect at 29s clients.connected > 0\n"
					"expect from 10s after restart clients.connected > 0\n"
					"expect at end failover.pair.p50 < 1s\n"
					"expect at end clients.connected of clients away > 0\n"
					"expect at end reconnects since again == 0\n";
	struct try t;

	(void)state;
	try_init(&t);
	t.options.until = 25 * NS_S;
	try_run(&t, text);
	for (uint32_t i = 0; i < story_expects(t.story); i++)
		try_verdict(&t, i, i == 4 ? STORY_OK : STORY_NEVER_JUDGED, i == 4 ? NULL : "never judged");
	assert_false(story_good(t.story));
	try_end(&t);
}

/* ---- windows ---- */

static uint64_t slowest(const char *text)
{
	struct try t;
	uint64_t max;

	try_init(&t);
	try_run(&t, text);
	assert_int_equal(story_failover_clients(t.story)->n, 8);
	max = story_failover_clients(t.story)->max;
	try_end(&t);
	return max;
}

/* A window of exactly the time that the slowest client needs holds, one of a nanosecond less does not; likewise `at` and `from`. */
static void check_windows_are_exact(void **state)
{
	uint64_t max = slowest(MOVE);
	char line[8][128];
	struct judged of[8];

	(void)state;
	for (uint64_t early = 0; early < 2; early++) {
		unsigned long long t = max - early, at = 10500 * NS_MS + max - early;
		snprintf(line[early], 128, "expect within %lluns of crash clients.connected == 100%%", t);
		snprintf(line[2 + early], 128, "expect from %lluns after crash clients.connected == 100%%", t);
		snprintf(line[4 + early], 128, "expect at %lluns clients.connected == 100%%", at + 1);
		snprintf(line[6 + early], 128, "expect at %lluns clients.connected < 100%%", at - 1);
		for (uint64_t k = 0; k < 4; k++) of[2 * k + early] = (struct judged){ line[2 * k + early], early ? STORY_MISSED : STORY_OK, NULL };
	}
	of[5].verdict = STORY_OK; /* max - 1 + 1 */
	of[7].verdict = STORY_OK; /* a nanosecond earlier still */
	judge(MOVE, of, 8);
}

/* within is owed after every event, and a window that is open at the end of the run is missed. */
static void check_every_window_counts(void **state)
{
	static const char world[] = "# two crashes\n"
				    "region fra nodes=2\n"
				    "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
				    "policy order=same\n"
				    "at 5s crash fra/1 for=1s\n"
				    "at 10s crash fra/2 for=1s\n"
				    "at 19.98s crash fra/1 for=1s\n"
				    "until 20s\n";
	static const struct judged of[] = {
		{ "expect within 1s of crash clients.connected == 100%", STORY_MISSED, NULL }, /* the third */
		{ "expect within 1s of crash fra/2 clients.connected == 100%", STORY_OK, NULL },
		{ "expect within 1s of crash fra/1 clients.connected == 100%", STORY_MISSED, NULL },
		{ "expect within 1s of crash fra/2 clients.away == 100%", STORY_OK, "100% after 0s" },
	};

	(void)state;
	judge(world, of, sizeof of / sizeof *of);
}

/* Kinds of an event: crash is every crash, crash silent both silent ones; a name is its line's alone. */
static void check_events_have_kinds(void **state)
{
	static const char world[] = "# one silent crash, one refusing\n"
				    "region fra nodes=3\n"
				    "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
				    "policy order=same\n"
				    "at 5s crash silent refuse fra/2 as=quiet\n"
				    "at 10s crash fra/1\n"
				    "until 20s\n";
	static const struct judged of[] = {
		{ "expect within 0s of quiet clients.connected == 8", STORY_OK, NULL },
		{ "expect within 0s of crash silent clients.connected == 8", STORY_OK, NULL },
		{ "expect within 0s of crash silent refuse clients.connected == 8", STORY_OK, NULL },
		{ "expect within 0s of crash clients.connected == 8", STORY_MISSED, "0 at 10s" },
		{ "expect at end reconnects since crash == 8", STORY_OK, "8" },
		{ "expect at end reconnects since quiet == 8", STORY_OK, "8" },
		{ "expect at 9s reconnects since quiet == 0", STORY_OK, "0" },
	};

	(void)state;
	judge(world, of, sizeof of / sizeof *of);
}

/* ---- those who never come back ---- */

/* A client that is not back at the end counts as never, and its quantile is never: it is not left out. Who left by himself is not meant. */
static void check_never_is_told(void **state)
{
	static const char world[] = "# the last client is closed at the last moment\n"
				    "region fra nodes=2\n"
				    "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
				    "load disco every=100ms\n"
				    "at 5s crash fra/1\n"
				    "at 19.999s close acme/1/1\n"
				    "at 19.9995s close acme/2/1\n"
				    "at 19.9996s leave acme/2/1\n"
				    "until 20s\n";
	static const struct judged of[] = {
		{ "expect at end failover.client.never == 0", STORY_MISSED, "1" },
		{ "expect at end failover.client.never == 1", STORY_OK, "1" },
		{ "expect at end failover.client.max <= 1h", STORY_MISSED, "never" },
		{ "expect at end failover.client.p50 <= 1s", STORY_OK, NULL },
		{ "expect at end failover.client.never <= 1%", STORY_MISSED, NULL },
		{ "expect always failover.client.never == 0", STORY_MISSED, NULL },
	};

	(void)state;
	judge(world, of, sizeof of / sizeof *of);
}

/* A region of one node that stays down: everybody is gone, and every time is never. */
static void check_all_are_gone(void **state)
{
	static const char world[] = "# nobody comes back\n"
				    "region fra nodes=1\n"
				    "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
				    "load disco every=100ms\n"
				    "at 5s crash fra/1\n"
				    "until 20s\n";
	static const struct judged of[] = {
		{ "expect within 10s of crash clients.connected > 0", STORY_MISSED, "0 at 15s" },
		{ "expect at end failover.client.never == 100%", STORY_OK, "100%" },
		{ "expect at end failover.client.min <= 1h", STORY_MISSED, "never" },
		{ "expect at end failover.client.p50 <= 1h", STORY_MISSED, "never" },
		{ "expect at end failover.client.mean <= 1h", STORY_MISSED, "never" },
		{ "expect at end failover.client.count == 8", STORY_OK, "8" },
		{ "expect at end failover.pair.never == 4", STORY_OK, "4" },
	};

	(void)state;
	judge(world, of, sizeof of / sizeof *of);
}

/* ---- what is not judged yet is said before the run ---- */

static void check_refuses_what_it_has_not(void **state)
{
	static const char *const line[] = {
		"at 2s close 2 of clients\nexpect within 1s of close 2 of clients clients.connected == 8",
		"expect at end failover.client.p99 since crash < 1s",
		"expect at end forwarded since crash per node < 5",
		"expect at end forwarded.rate per node < 5/s",
		"expect at end reconnects of clients away since crash < 5",
		"expect at end reconnects.rate of clients on fra/1 < 5/s",
		"expect at end clients.connected of 10% of clients > 0",
		"expect at end clients.connected per tailnet > 0",
		"expect at end conns per region > 0",
		"expect at end packets.sent of acme > 0",
		"expect at end drops of fra/1 == 0",
	};
	char text[2048];
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < sizeof line / sizeof *line; i++) {
		snprintf(text, sizeof text, "%s%s\n", MOVE, line[i]);
		try_init(&t);
		if (try_build(&t, text)) fail_msg("this was taken: %s", line[i]);
		assert_memory_equal(t.error, "t.scn:", 6);
		try_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_plants_ring),
		cmocka_unit_test(check_without_plants_is_quiet),
		cmocka_unit_test(check_false_is_missed),
		cmocka_unit_test(check_goals_are_results),
		cmocka_unit_test(check_never_judged_fails),
		cmocka_unit_test(check_windows_are_exact),
		cmocka_unit_test(check_every_window_counts),
		cmocka_unit_test(check_events_have_kinds),
		cmocka_unit_test(check_never_is_told),
		cmocka_unit_test(check_all_are_gone),
		cmocka_unit_test(check_refuses_what_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
