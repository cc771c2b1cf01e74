/* What a failure costs: the constants of the rules come out in the runs, to the bound. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

enum { EVENTS_MAX = 200000 };

/* Machine events of some hosts, as the trace has them. */
struct seen {
	uint64_t at, token;
	uint32_t host;
	enum event_kind kind;
	enum close_cause cause; /* CLOSED */
};

struct watch {
	struct try try;
	uint64_t from;        /* events before are not kept */
	uint32_t first, last; /* hosts */
	struct seen *v;
	uint32_t n;
};

static bool on_event(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	struct watch *w = ctx;

	(void)seq, (void)content;
	if (now < w->from || host < w->first || host > w->last) return true;
	assert_true(w->n < EVENTS_MAX);
	w->v[w->n++] = (struct seen){ now, e->token, host, e->kind, e->kind == EVENT_CLOSED ? e->closed.cause : CLOSE_CAUSES };
	return true;
}

static void watch_run(struct watch *w, uint64_t from, uint32_t first, uint32_t last, const char *text)
{
	*w = (struct watch){ .from = from, .first = first, .last = last, .v = malloc(EVENTS_MAX * sizeof *w->v) };
	assert_non_null(w->v);
	try_init(&w->try);
	w->try.options.event = on_event;
	w->try.options.ctx = w;
	try_run(&w->try, text);
}

static void watch(struct watch *w, uint64_t from, uint32_t first, uint32_t last, const char *text)
{
	watch_run(w, from, first, last, text);
	try_is_good(&w->try);
}

static void watch_end(struct watch *w)
{
	try_end(&w->try);
	free(w->v);
}

/* The index of the next such event of the host from `at` on; cause CLOSE_CAUSES: any. */
static uint32_t next(const struct watch *w, uint32_t at, uint32_t host, enum event_kind kind, enum close_cause cause)
{
	for (; at < w->n; at++)
		if (w->v[at].host == host && w->v[at].kind == kind && (cause == CLOSE_CAUSES || w->v[at].cause == cause)) return at;
	fail_msg("host %u saw no %s", host, event_kind_name(kind));
	return 0;
}

static uint64_t time_of(const struct watch *w, uint32_t at) { return w->v[at].at; }

/* A round trip of a client: its first connection is DIALED one after its START. */
static uint64_t round_trip(const struct watch *w, uint32_t host)
{
	uint32_t start = next(w, 0, host, EVENT_START, CLOSE_CAUSES);

	return time_of(w, next(w, start, host, EVENT_DIALED, CLOSE_CAUSES)) - time_of(w, start);
}

/* ---- who notices when ---- */

/* A crash with RST is noticed within a round trip, by everyone; the next attempt comes after 5..15 ms (CLI-032), and a node that refuses
 * is left for the next one at once, without any wait: DIALED comes exactly a round trip after the refusal (CLI-015). */
static void truth_reset_is_noticed_in_a_round_trip(void **state)
{
	static const char text[] = "# two of three nodes are gone\n"
				   "region fra nodes=3\n"
				   "tailnet acme x6 clients=2 spread=europe join=0s..2s\n"
				   "policy order=same\n"
				   "at 10s crash fra/2\n"
				   "at 20s crash fra/1\n"
				   "until 30s\n";
	const uint64_t crash = 20 * NS_S;
	struct watch w;

	(void)state;
	watch(&w, 0, 3, 14, text);
	for (uint32_t host = 3; host < 15; host++) {
		uint64_t trip = round_trip(&w, host);
		uint32_t reset = next(&w, 0, host, EVENT_CLOSED, CLOSE_RESET), retry = next(&w, reset, host, EVENT_TIMER, CLOSE_CAUSES);
		uint32_t first = next(&w, retry, host, EVENT_CLOSED, CLOSE_REFUSED), second = next(&w, first + 1, host, EVENT_CLOSED, CLOSE_REFUSED);
		assert_in_range(time_of(&w, reset), crash, crash + trip);
		assert_in_range(time_of(&w, retry) - time_of(&w, reset), 5 * NS_MS, 15 * NS_MS);
		assert_int_equal(time_of(&w, first) - time_of(&w, retry), trip);
		assert_int_equal(time_of(&w, second) - time_of(&w, first), trip);
		assert_int_equal(time_of(&w, next(&w, second, host, EVENT_DIALED, CLOSE_CAUSES)) - time_of(&w, second), trip);
	}
	assert_true(story_failover_clients(w.try.story)->max < 700 * NS_MS);
	watch_end(&w);
}

/* A node that vanishes is noticed by its clients 120 s after the last frame they heard, to the nanosecond (CLI-008), whether they send
 * meanwhile or not: sends have no deadline (CLI-003), and no answer comes that would tell (TRP-033). Then the black hole costs 1.5 s
 * before the next node is tried (CLI-015). */
static void truth_silence_is_noticed_after_120_s(void **state)
{
	static const char text[] = "# half of the clients send each second, half do not\n"
				   "region fra nodes=2\n"
				   "tailnet talks x4 clients=2 spread=europe join=0s..2s\n"
				   "tailnet quiet x4 clients=2 spread=europe join=0s..2s\n"
				   "load disco every=1s of=talks\n"
				   "policy order=same\n"
				   "at 20s crash silent fra/1\n"
				   "expect at 19s clients.zombie of talks == 0\n"
				   "expect at 119s clients.zombie == 16\n"
				   "expect at 119s clients.zombie of talks == 100%\n"
				   "expect at 125s clients.zombie of quiet == 0\n"
				   "expect at 125s clients.zombie == 8\n" /* the quiet ones heard nothing since they came */
				   "expect at 143s clients.zombie == 0\n"
				   "expect at end clients.away == 16\n"
				   "until 240s\n";
	struct watch w;

	(void)state;
	watch(&w, 0, 2, 17, text);
	for (uint32_t host = 2; host < 18; host++) {
		uint64_t trip = round_trip(&w, host);
		uint32_t closed = next(&w, 0, host, EVENT_CLOSED, CLOSE_CAUSES), heard = closed, retry, given_up, dialed;
		while (w.v[heard].host != host || w.v[heard].kind != EVENT_BYTES) heard--;
		assert_int_equal(w.v[closed].cause, CLOSE_LOCAL);
		assert_int_equal(time_of(&w, closed) - time_of(&w, heard), 120 * NS_S);
		retry = next(&w, closed, host, EVENT_TIMER, CLOSE_CAUSES);
		assert_in_range(time_of(&w, retry) - time_of(&w, closed), 5 * NS_MS, 15 * NS_MS);
		given_up = next(&w, retry, host, EVENT_CLOSED, CLOSE_LOCAL);
		assert_int_equal(time_of(&w, given_up) - time_of(&w, retry), 1500 * NS_MS);
		dialed = next(&w, given_up, host, EVENT_DIALED, CLOSE_CAUSES);
		assert_int_equal(time_of(&w, dialed) - time_of(&w, given_up), trip);
	}
	watch_end(&w);
}

/* A process that dies without a word on a host that lives: whoever sends learns it a round trip later, from the RST; whoever does not
 * learns it from silence alone. */
static void truth_dead_process_answers_who_sends(void **state)
{
	static const char text[] = "# half of the clients send each second, half do not\n"
				   "region fra nodes=2\n"
				   "tailnet talks x4 clients=2 spread=europe join=0s..2s\n"
				   "tailnet quiet x4 clients=2 spread=europe join=0s..2s\n"
				   "load disco every=1s of=talks\n"
				   "policy order=same\n"
				   "at 20s crash silent refuse fra/1\n"
				   "expect at 21.2s clients.away of talks/* == 8\n"
				   "expect at 119s clients.zombie of quiet/* == 8\n"
				   "expect at end clients.away == 16\n"
				   "until 240s\n";
	struct watch w;

	(void)state;
	watch(&w, 0, 2, 17, text);
	for (uint32_t host = 2; host < 10; host++) {
		uint64_t trip = round_trip(&w, host);
		uint32_t closed = next(&w, 0, host, EVENT_CLOSED, CLOSE_CAUSES), sent = closed;
		while (w.v[sent].host != host || w.v[sent].kind != EVENT_COMMAND || time_of(&w, closed) - time_of(&w, sent) < trip) sent--;
		assert_int_equal(w.v[closed].cause, CLOSE_RESET);
		assert_in_range(time_of(&w, closed) - time_of(&w, sent), trip, trip + NS_MS); /* a packet's jitter is 0.5 ms at most */
		assert_in_range(time_of(&w, sent), 20 * NS_S - trip, 21 * NS_S);              /* the first that finds the process dead */
	}
	for (uint32_t host = 10; host < 18; host++) {
		uint32_t closed = next(&w, 0, host, EVENT_CLOSED, CLOSE_CAUSES), heard = closed;
		while (w.v[heard].host != host || w.v[heard].kind != EVENT_BYTES) heard--;
		assert_int_equal(w.v[closed].cause, CLOSE_LOCAL);
		assert_int_equal(time_of(&w, closed) - time_of(&w, heard), 120 * NS_S);
	}
	watch_end(&w);
}

/* Of the relays' side: a relay that vanishes with data in flight to it is noticed 15 s after that was sent (HTTP-023), which is the user
 * timeout of accepted connections; a relay that sends it nothing notices 15 s after its next KeepAlive (SRV-022); and of its own link, on
 * which it only listens, 120 s after it heard the last (MSH-015). The data is the news that a client left (PGR-022). */
static void relay_side(bool leave)
{
	static const char text[] = "# a relay vanishes, and its sister has nothing to tell it, or has\n"
				   "region fra nodes=2\n"
				   "tailnet acme x2 clients=2 spread=frankfurt join=0s..1s order=same\n"
				   "policy order=same\n"
				   "at 20s crash silent fra/2\n"
				   "%s"
				   "until 200s\n";
	char whole[1024];
	struct watch w;
	uint32_t up, dead, link, heard;

	snprintf(whole, sizeof whole, text, leave ? "at 31s leave acme/1/1\n" : "");
	watch(&w, 0, 0, 0, whole);
	dead = next(&w, 0, 0, EVENT_CLOSED, CLOSE_TIMEOUT);
	up = next(&w, 0, 0, EVENT_ACCEPTED, CLOSE_CAUSES);
	assert_int_equal(w.v[dead].token, w.v[up].token); /* the first that came is the other relay */
	if (leave) {
		uint32_t left = next(&w, 0, 0, EVENT_CLOSED, CLOSE_EOF);
		assert_in_range(time_of(&w, left), 31 * NS_S, 31 * NS_S + 10 * NS_MS);
		assert_in_range(time_of(&w, dead) - time_of(&w, left), 15 * NS_S, 15 * NS_S + NS_MS);
	} else {
		assert_in_range(time_of(&w, dead) - time_of(&w, up), 75 * NS_S, 80 * NS_S + 10 * NS_MS);
	}
	link = next(&w, 0, 0, EVENT_CLOSED, CLOSE_LOCAL);
	assert_true(token_is_machine(w.v[link].token));
	for (heard = link; w.v[heard].kind != EVENT_BYTES || w.v[heard].token != w.v[link].token;) heard--;
	assert_in_range(time_of(&w, link) - time_of(&w, heard), 120 * NS_S, 120 * NS_S + 10 * NS_US); /* a step of the CPU */
	watch_end(&w);
}

static void truth_relay_side_has_15_s(void **state)
{
	(void)state;
	relay_side(true);
	relay_side(false);
}

/* ---- the mesh ---- */

/* After a break a link is dialled again after mesh-retry=, 5 s (MSH-013), and is up a login later; not earlier, and also when the other
 * node was back long before. The node that comes back has its own link at once. */
static void mesh_is_back(const char *policy, unsigned retry_ms)
{
	static const char text[] = "# a short restart\n"
				   "region fra nodes=2\n"
				   "%s"
				   "tailnet acme clients=2 spread=frankfurt join=0s..1s\n"
				   "at 20s restart fra/1 down=1s\n"
				   "expect at 20.9s mesh.links == 0\n"
				   "expect at 21.01s mesh.links == 1\n"
				   "expect at 21.01s mesh.links of fra/1 == 1\n"
				   "expect at %ums mesh.links == 1\n"
				   "expect at %ums mesh.links == 2\n"
				   "expect from 10ms after end of restart mesh.links >= 1\n"
				   "until 60s\n";
	char whole[1024];
	struct try t;

	snprintf(whole, sizeof whole, text, policy, 20000 + retry_ms, 20000 + retry_ms + 10);
	try_init(&t);
	try_good(&t, whole);
}

static void truth_mesh_is_back_after_5_s(void **state)
{
	(void)state;
	mesh_is_back("", 5000);
	mesh_is_back("policy mesh-retry=2s\n", 2000);
}

/* ---- balance ---- */

/* Three nodes are upgraded one after the other, each back before the next one goes: nobody returns by himself (REG-007, CLI-018), so the
 * first is left with all of one order and half of two others: 2 : 1 : 0, by arithmetic; nobody is lost. */
#define UPGRADE \
	"# a rolling upgrade\n" \
	"region fra nodes=3\n" \
	"tailnet acme x3000 clients=2 spread=europe\n" \
	"load disco every=25s..35s\n" \
	"at 60s restart fra/* down=10s pace=1/m\n" \
	"expect within 5s of crash clients.connected >= 99%%\n" \
	"expect at end failover.client.never == 0\n" \
	"expect at end clients.connected == 100%%\n"

struct upgrade {
	struct try try;
	uint32_t downs[3]; /* crashes */
	bool down;
};

static void on_fault(void *ctx, uint64_t now, enum scenario_verb verb, uint32_t host)
{
	struct upgrade *u = ctx;

	(void)now;
	assert_true(u->down == (verb == SCENARIO_RESTART)); /* one at a time */
	u->down = verb == SCENARIO_CRASH;
	if (u->down) u->downs[host]++;
}

static void upgrade(const char *policy)
{
	char text[2048];
	struct upgrade u = { .down = false };

	snprintf(text, sizeof text, UPGRADE "%s", policy);
	try_init(&u.try);
	u.try.options.fault = on_fault;
	u.try.options.ctx = &u;
	try_run(&u.try, text);
	try_is_good(&u.try);
	for (uint32_t i = 0; i < 3; i++) assert_int_equal(u.downs[i], 1);
	try_end(&u.try);
}

static void truth_rolling_upgrade_leaves_2_1_0(void **state)
{
	(void)state;
	upgrade("policy order=permuted return=never\n"
	        "expect at end conns of fra/1 between 184% and 216%\n"
	        "expect at end conns of fra/2 between 92% and 108%\n"
	        "expect at end conns of fra/3 <= 8%\n"
	        "until 5m\n");
}

/* One order for all: everybody ends where he began, on the first, which came back first. Rotations of one order: all clients of a node
 * move to one other, and every attempt begins at the first node again (CLI-018), so the same 2 : 1 : 0 comes out. */
static void truth_rolling_upgrade_of_other_orders(void **state)
{
	(void)state;
	upgrade("policy order=same\n"
	        "expect at 59s conns of fra/1 == 6000\n"
	        "expect at 100s conns of fra/2 == 6000\n"
	        "expect at end conns of fra/1 == 6000\n"
	        "until 5m\n");
	upgrade("policy order=rotated\n"
	        "expect at 100s conns of fra/2 between 184% and 216%\n" /* all of the first's */
	        "expect at 100s conns of fra/3 between 92% and 108%\n"
	        "expect at 160s conns of fra/1 between 92% and 108%\n"
	        "expect at 160s conns of fra/3 between 184% and 216%\n"
	        "expect at end conns of fra/1 between 184% and 216%\n"
	        "expect at end conns of fra/2 between 92% and 108%\n"
	        "expect at end conns of fra/3 == 0%\n"
	        "until 5m\n");
}

/* With return=30s everybody is on his first node again half a minute after he came to another. */
static void truth_return_restores_the_balance(void **state)
{
	(void)state;
	upgrade("policy order=permuted return=30s\n"
	        "expect at 89.9s clients.away >= 30%\n"
	        "expect at 92s clients.away == 0\n"
	        "expect at end conns per node == 100%\n"
	        "until 5m\n");
}

/* Strayed clients are sent home with ClosePeer, twenty a second (REG-008, MSH-033): each at its moment exactly, each is back on its first
 * node (MSH-034), with no storm of logins, and the loads are what they were. */
static void truth_rebalance_keeps_its_rate(void **state)
{
	static const char text[] = "# a rebalance\n"
				   "region fra nodes=3\n"
				   "tailnet acme x100 clients=3 spread=europe\n"
				   "load disco every=5s..10s\n"
				   "policy order=permuted\n"
				   "at 30s crash fra/1\n"
				   "at 40s restart fra/1\n"
				   "at 60s close clients away pace=20/s\n"
				   "expect at 59s clients.away >= 20%\n"
				   "expect from 1s after close reconnects.rate <= 23/s\n"
				   "expect at 62s reconnects.rate >= 17/s\n"
				   "expect from 0s after close clients.connected >= 97%\n"
				   "expect within 10s of close clients.away == 0\n"
				   "expect at 59s conns per node == 100%\n"
				   "expect at end conns per node == 100%\n"
				   "until 75s\n";
	struct watch w;
	uint64_t last = 0;
	uint32_t closes = 0;

	(void)state;
	watch_run(&w, 60 * NS_S, 0, 2, text);
	assert_int_equal(story_findings(w.try.story), 0);
	for (uint32_t i = 0; i < story_expects(w.try.story); i++)
		try_verdict(&w.try, i, i == 5 ? STORY_MISSED : STORY_OK, NULL); /* before the rebalance the loads are not what they were */
	for (uint32_t i = 0; i < w.n; i++) {
		if (w.v[i].kind != EVENT_COMMAND) continue;
		assert_in_range(w.v[i].at, 60 * NS_S + closes * 50 * NS_MS, 60 * NS_S + closes * 50 * NS_MS + 10 * NS_US);
		last = w.v[i].at;
		closes++;
	}
	assert_int_equal(closes, story_failover_clients(w.try.story)->n / 2); /* once with the crash, once with the close */
	assert_true(last < 68 * NS_S);
	watch_end(&w);
}

/* ---- going again ---- */

/* How long a client waits after its n-th failure: n * n * 10 ms, 5 s at most, times 0.5..1.5 (CLI-032); full jitter: anything up to
 * twice as much with each failure; none: nothing. Nobody waits longer than it takes to find the node back. */
static void back_off(const char *policy, void (*bounds)(uint64_t n, uint64_t *lo, uint64_t *hi))
{
	static const char text[] = "# a region of one node is gone for a while\n"
				   "region fra nodes=1\n"
				   "tailnet acme x2 clients=2 spread=frankfurt join=0s..1s\n"
				   "policy backoff=%s\n"
				   "at 20s crash fra/1\n"
				   "at 32s restart fra/1\n"
				   "expect at 31.9s clients.connected == 0\n"
				   "expect within 7.6s of restart clients.connected == 100%%\n"
				   "until 60s\n";
	char whole[1024];
	struct watch w;

	snprintf(whole, sizeof whole, text, policy);
	watch(&w, 20 * NS_S, 1, 4, whole);
	for (uint32_t host = 1; host < 5; host++) {
		uint32_t at = next(&w, 0, host, EVENT_CLOSED, CLOSE_RESET), n = 1;
		for (; w.v[at].kind == EVENT_CLOSED; n++) {
			uint64_t lo, hi;
			uint32_t retry = next(&w, at, host, EVENT_TIMER, CLOSE_CAUSES);
			bounds(n, &lo, &hi);
			assert_in_range(time_of(&w, retry) - time_of(&w, at), lo, hi);
			for (at = retry + 1; w.v[at].host != host;) at++; /* refused again, or DIALED */
			assert_true(w.v[at].kind == EVENT_DIALED || w.v[at].cause == CLOSE_REFUSED);
		}
		assert_true(n >= 8);
	}
	watch_end(&w);
}

static void original(uint64_t n, uint64_t *lo, uint64_t *hi)
{
	uint64_t base = n * n * 10 * NS_MS;

	if (base > 5 * NS_S) base = 5 * NS_S;
	*lo = base / 2;
	*hi = base + base / 2;
}

static void full_jitter(uint64_t n, uint64_t *lo, uint64_t *hi)
{
	*lo = 0;
	*hi = n < 10 ? (5 * NS_MS) << n : 5 * NS_S;
}

static void none(uint64_t n, uint64_t *lo, uint64_t *hi)
{
	(void)n;
	*lo = *hi = 0;
}

static void truth_backoff_is_the_policys(void **state)
{
	(void)state;
	back_off("original", original);
	back_off("full-jitter", full_jitter);
	back_off("none", none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth_reset_is_noticed_in_a_round_trip), cmocka_unit_test(truth_silence_is_noticed_after_120_s),
		cmocka_unit_test(truth_dead_process_answers_who_sends),   cmocka_unit_test(truth_relay_side_has_15_s),
		cmocka_unit_test(truth_mesh_is_back_after_5_s),           cmocka_unit_test(truth_rolling_upgrade_leaves_2_1_0),
		cmocka_unit_test(truth_rolling_upgrade_of_other_orders),  cmocka_unit_test(truth_return_restores_the_balance),
		cmocka_unit_test(truth_rebalance_keeps_its_rate),         cmocka_unit_test(truth_backoff_is_the_policys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
