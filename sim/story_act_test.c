/* The timeline: what a line does happens to those it names, when it says, as often as it says, and ends when it says. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

/* Four tailnets of two, all on fra/1; hosts are fra/1..3, then acme/1/1, acme/1/2, acme/2/1 .. */
#define WORLD \
	"# a timeline\n" \
	"region fra nodes=3\n" \
	"tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n" \
	"policy order=same\n"

enum { NODES = 3, HAPPENED_MAX = 400 };

struct happened {
	uint64_t at;
	enum scenario_verb verb;
	uint32_t host;
};

struct told {
	struct try try;
	struct happened v[HAPPENED_MAX];
	uint32_t n;
};

static void on_fault(void *ctx, uint64_t now, enum scenario_verb verb, uint32_t host)
{
	struct told *t = ctx;

	assert_true(t->n < HAPPENED_MAX);
	t->v[t->n++] = (struct happened){ now, verb, host };
}

static void tell(struct told *t, const char *text)
{
	*t = (struct told){ 0 };
	try_init(&t->try);
	t->try.options.fault = on_fault;
	t->try.options.ctx = t;
	try_run(&t->try, text);
	try_is_good(&t->try);
}

static void is(const struct happened *h, uint64_t at_ms, enum scenario_verb verb, uint32_t host)
{
	assert_int_equal(h->at, at_ms * NS_MS);
	assert_int_equal(h->verb, verb);
	assert_int_equal(h->host, host);
}

static const struct story_draw *draw_of(const struct story *st, const char *key)
{
	for (uint32_t i = 0; i < story_draws(st); i++)
		if (strcmp(story_draw(st, i)->key, key) == 0) return story_draw(st, i);
	fail_msg("nothing was drawn for %s", key);
	return NULL;
}

/* ---- when ---- */

/* A line with every= fires `times` times; with pace= its members have their turn one after the other, in order, exactly 1/pace apart. */
static void act_fires_when_it_says(void **state)
{
	struct told t;

	(void)state;
	tell(&t, WORLD "at 10s crash fra/2 for=1s every=5s times=3\n"
	               "at 40s restart fra pace=3/s down=100ms\n"
	               "at 50s leave acme/2 pace=20/s\n"
	               "until 60s\n");
	assert_int_equal(t.n, 6 + 6 + 2);
	for (uint32_t i = 0; i < 3; i++) {
		is(&t.v[2 * i], 10000 + 5000 * i, SCENARIO_CRASH, 1);
		is(&t.v[2 * i + 1], 11000 + 5000 * i, SCENARIO_RESTART, 1);
	}
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(t.v[6 + 2 * i].at, 40 * NS_S + i * NS_S / 3);
		assert_int_equal(t.v[7 + 2 * i].at, 40 * NS_S + i * NS_S / 3 + 100 * NS_MS);
		assert_int_equal(t.v[6 + 2 * i].host, i);
	}
	is(&t.v[12], 50000, SCENARIO_LEAVE, NODES + 2);
	is(&t.v[13], 50050, SCENARIO_LEAVE, NODES + 3);
	try_end(&t.try);
}

/* At equal times the order of the file counts: a restart before the crash finds the node running. */
static void act_order_is_the_files(void **state)
{
	struct told t;

	(void)state;
	tell(&t, WORLD "at 5s crash fra/2\nat 10s restart fra/2\nat 10s crash fra/2\nat 20s restart fra/2\nuntil 30s\n");
	assert_int_equal(t.n, 4);
	is(&t.v[1], 10000, SCENARIO_RESTART, 1);
	assert_int_equal(t.v[2].verb, SCENARIO_CRASH);
	assert_in_range(t.v[2].at, 10 * NS_S, 10 * NS_S + NS_MS); /* when its first step is over */
	try_end(&t.try);
	tell(&t, WORLD "at 5s crash fra/2\nat 10s crash fra/2\nat 10s restart fra/2\nat 20s restart fra/2\nuntil 30s\n");
	assert_int_equal(t.n, 2); /* the second crash finds it down, the last restart finds it up */
	is(&t.v[1], 10000, SCENARIO_RESTART, 1);
	try_end(&t.try);
}

/* A timeline that would fire for ever is refused. */
static void act_firings_have_a_limit(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	assert_false(try_build(&t, WORLD "at 10s crash fra/2 for=1ns every=2ns times=1000000\nuntil 60s\n"));
	assert_string_equal(t.error, "t.scn:5: the timeline fires more than 100000 times");
	try_end(&t);
	assert_true(try_build(&t, WORLD "at 10s crash fra/2 for=1ns every=1h times=1000000\nuntil 60s\n")); /* once before the end */
	try_end(&t);
}

/* ---- how long ---- */

/* for= and down= take back what the line did; `end of` it is then, and at no other time. A client that left comes back and talks. */
static void act_ends_when_it_says(void **state)
{
	struct told t;

	(void)state;
	tell(&t, WORLD "load disco every=100ms\n"
	               "at 10s crash fra/3 for=2s as=dark\n"
	               "at 20s restart fra/2 down=3s as=upgrade\n"
	               "at 30s leave acme/1/1 for=4s\n"
	               "at 40s crash silent refuse fra/3\n"
	               "at 41s restart fra/3\n"
	               "expect within 0s of end of dark mesh.links < 6\n"
	               "expect within 6s of end of dark mesh.links == 6\n"
	               "expect within 0s of end of upgrade mesh.links < 6\n"
	               "expect within 1s of end of leave clients.connected == 8\n"
	               "expect within 1s of end of crash silent clients.connected == 8\n"
	               "expect within 1s of leave clients.connected == 7\n"
	               "expect at 33s packets.sent.rate == 70/s\n" /* seven of eight */
	               "expect at 36s packets.sent.rate == 80/s\n"
	               "until 50s\n");
	assert_int_equal(t.n, 8);
	is(&t.v[0], 10000, SCENARIO_CRASH, 2);
	is(&t.v[1], 12000, SCENARIO_RESTART, 2);
	is(&t.v[2], 20000, SCENARIO_CRASH, 1);
	is(&t.v[3], 23000, SCENARIO_RESTART, 1);
	is(&t.v[4], 30000, SCENARIO_LEAVE, NODES);
	is(&t.v[5], 34000, SCENARIO_JOIN, NODES);
	is(&t.v[6], 40000, SCENARIO_CRASH_SILENT_REFUSE, 2);
	is(&t.v[7], 41000, SCENARIO_RESTART, 2);
	try_end(&t.try);
}

/* Without down= a restart of a node that runs is nothing; and a node that somebody else has started is not crashed again when its own
 * restart is due. */
static void act_restart_leaves_the_running_alone(void **state)
{
	struct told t;

	(void)state;
	tell(&t, WORLD "at 5s crash fra/1 for=1s\n"
	               "at 10s restart fra/1\n"
	               "at 20s restart fra/1 down=10s\n"
	               "at 25s restart fra/1\n"
	               "expect at end mesh.links == 6\n"
	               "until 60s\n");
	assert_int_equal(t.n, 4);
	is(&t.v[2], 20000, SCENARIO_CRASH, 0);
	is(&t.v[3], 25000, SCENARIO_RESTART, 0);
	try_end(&t.try);
}

/* A range of down= or for= is drawn for each member and each firing, within its bounds, and told as a draw. */
static void act_times_are_drawn(void **state)
{
	const struct story_draw *d;
	struct told t;

	(void)state;
	tell(&t, WORLD "at 10s restart fra down=1s..5s every=20s times=2\nuntil 60s\n");
	assert_int_equal(t.n, 12);
	d = draw_of(t.try.story, "down");
	assert_int_equal(d->values.n, 6);
	assert_true(d->late);
	for (uint32_t i = 0; i < 6; i++) {
		bool found = false;
		assert_in_range(d->value[i], 1 * NS_S, 5 * NS_S);
		for (uint32_t k = 0; k < i; k++) assert_int_not_equal(d->value[i], d->value[k]);
		for (uint32_t k = 0; k < t.n; k++)
			found = found || (t.v[k].verb == SCENARIO_RESTART && t.v[k].at == (i < 3 ? 10 : 30) * NS_S + d->value[i]);
		assert_true(found);
	}
	try_end(&t.try);
}

/* ---- who ---- */

/* A pick takes so many of those it names and nobody else, others at each firing, and says whom. Here half of the clients are away. */
static void act_picks_among_its_members(void **state)
{
	static const char text[] = "# half of the tailnets have another first node\n"
				   "region fra nodes=2\n"
				   "tailnet acme x20 clients=2 spread=frankfurt join=0s..1s order=same\n"
				   "tailnet beta x20 clients=2 spread=frankfurt join=0s..1s order=same\n"
				   "at 5s crash fra/1\n"
				   "at 10s restart fra/1\n"
				   "at 20s close beta\n"
				   "at 30s close 5 of clients away every=10s times=2\n"
				   "at 50s close 50% of acme/*\n"
				   "at 55s close clients but acme, beta/1\n"
				   "until 60s\n";
	bool away[4][80] = { { false } };
	uint32_t n[4] = { 0 };
	const struct story_draw *d;
	struct told t;

	(void)state;
	tell(&t, text);
	for (uint32_t i = 0; i < t.n; i++) {
		uint32_t round = t.v[i].at < 40 * NS_S ? 0 : t.v[i].at < 50 * NS_S ? 1 : t.v[i].at < 55 * NS_S ? 2 : 3;
		uint32_t client = t.v[i].host - 2;
		if (t.v[i].at < 30 * NS_S) continue;
		assert_int_equal(t.v[i].verb, SCENARIO_CLOSE);
		n[round]++;
		away[round][client] = true;
		if (round < 3) assert_in_range(client, 0, 39);   /* acme: beta is at home since 20 s */
		if (round == 3) assert_in_range(client, 42, 79); /* beta/2 and on */
	}
	assert_int_equal(n[0], 5);
	assert_int_equal(n[1], 5);
	assert_int_equal(n[2], 20);
	assert_int_equal(n[3], 38);
	assert_memory_not_equal(away[0], away[1], sizeof away[0]);
	for (uint32_t i = 0; i < 40; i++) assert_false(away[0][i] && away[1][i]); /* those of the first round are at home in the second */
	d = draw_of(t.try.story, "pick");
	assert_int_equal(d->unit, SCENARIO_NONE);
	assert_int_equal(d->values.n, 10); /* of this line; each line has its own */
	for (uint32_t i = 0; i < 10; i++) assert_true(away[i / 5][try_client(&t.try, d->name[i])]);
	try_end(&t.try);
}

/* ---- effect ---- */

/* A host whose CPU is busy crashes when its step is over, and lets go of a client it is to close then; that is the event, so that a window
 * does not close on the state of before. */
static void act_event_is_at_its_effect(void **state)
{
	static const char text[] = "# a relay that is never idle\n"
				   "region fra nodes=2 packet=20ms\n"
				   "tailnet acme x4 clients=2 spread=frankfurt join=0s..1s\n"
				   "load bulk share=100% rate=100Kbps size=500B for=1h\n"
				   "policy order=same\n"
				   "at 10s close acme/1/1\n"
				   "at 15s crash fra/1\n"
				   "expect within 0s of close clients.connected of acme/1/1 == 0\n"
				   "expect within 0s of crash clients.connected == 0\n"
				   "until 20s\n";
	struct told t;

	(void)state;
	tell(&t, text);
	assert_int_equal(t.n, 2);
	assert_true(t.v[0].at > 10 * NS_S);
	assert_true(t.v[1].at > 15 * NS_S);
	try_end(&t.try);
}

/* A restart comes up with what has changed: with the right mesh key the node is part of the mesh again (MSH-004). */
static void act_restart_changes_settings(void **state)
{
	struct told t;

	(void)state;
	tell(&t, WORLD "node fra/3 mesh-key=wrong\n"
	               "at 20s restart fra/3 down=1s mesh-key=right\n"
	               "expect at 19s mesh.links == 2\n" /* fra/1 and fra/2, both ways */
	               "expect within 6s of end of restart mesh.links == 6\n"
	               "until 60s\n");
	assert_int_equal(t.n, 2);
	try_end(&t.try);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(act_fires_when_it_says),
		cmocka_unit_test(act_order_is_the_files),
		cmocka_unit_test(act_firings_have_a_limit),
		cmocka_unit_test(act_ends_when_it_says),
		cmocka_unit_test(act_restart_leaves_the_running_alone),
		cmocka_unit_test(act_times_are_drawn),
		cmocka_unit_test(act_picks_among_its_members),
		cmocka_unit_test(act_event_is_at_its_effect),
		cmocka_unit_test(act_restart_changes_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
