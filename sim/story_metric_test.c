/* Each metric has the value that the world has, counted by somebody else. */
#include "story_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

/* The number that was measured for expectation i. */
static uint64_t measured(const struct try *t, uint32_t i)
{
	const char *text = story_expect(t->story, i)->measured;
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (end == text) fail_msg("no number: %s", text);
	return value;
}

/* ---- packets ---- */

/* Two clients of one node; one of them sends a packet of 100 B each 100 ms for ten seconds: 100 of them, 10 kB, none over a link. */
static void metric_packets_are_counted(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# one flow\n"
	             "region fra nodes=2\n"
	             "tailnet acme clients=2 spread=frankfurt join=0s..1s\n"
	             "load bulk share=100% rate=8Kbps size=100B for=1h begin=10s till=20s\n"
	             "expect at 10s packets.sent == 0\n"
	             "expect at 15s packets.sent == 50\n"
	             "expect at 15s packets.sent.rate == 10/s\n"
	             "expect at 15s packets.delivered.rate == 10/s\n"
	             "expect at 20.9s packets.sent.rate == 1/s\n"
	             "expect at 21.1s packets.sent.rate == 0/s\n"
	             "expect at end packets.sent == 100\n"
	             "expect at end packets.delivered == 100\n"
	             "expect at end bytes.sent == 10KB\n"
	             "expect at end bytes.delivered == 10KB\n"
	             "expect at end forwarded == 0\n"
	             "expect at end forwarded.share == 0%\n"
	             "expect always packets.lost == 0\n"
	             "expect always drops == 0\n"
	             "until 30s\n");
}

/* The pair sits on two nodes: a crash drove both to the second, and one was sent home. Everything crosses the mesh (REG-006), once. */
#define SPLIT \
	"# a pair on two nodes\n" \
	"region fra nodes=2\n" \
	"tailnet acme clients=2 spread=frankfurt join=0s..1s order=same\n" \
	"at 4s crash fra/1 for=1s\n" \
	"at 6s close acme/1/1\n"

static void metric_split_pair_is_forwarded(void **state)
{
	struct try t;
	uint32_t sender;

	(void)state;
	try_init(&t);
	try_run(&t, SPLIT "load bulk share=100% rate=8Kbps size=100B for=1h begin=12s till=22s\n"
	                  "expect at 11s clients.connected == 2\n"
	                  "expect at 11s clients.away == 1\n"
	                  "expect at 11s clients.away of acme/1/1 == 0\n"
	                  "expect at 11s clients.away of acme/1/2 == 100%\n"
	                  "expect at 11s clients.away == 50%\n"
	                  "expect at 11s clients.connected of clients away == 1\n"
	                  "expect at 11s clients.connected of clients on fra/2 == 1\n"
	                  "expect at 11s conns of fra/1 == 1\n"
	                  "expect at 11s conns == 2\n"
	                  "expect at 11s conns per node == 1\n"
	                  "expect at 11s conns of fra/1 == 50%\n"
	                  "expect at 11s mesh.links == 2\n"
	                  "expect at 11s mesh.links of fra/2 == 1\n"
	                  "expect at 4.5s mesh.links == 0%\n"
	                  "expect at 11s reconnects == 3\n"
	                  "expect at 11s reconnects of acme/1/1 == 2\n"
	                  "expect at 11s reconnects since close == 1\n"
	                  "expect at end forwarded == 100\n"
	                  "expect at end forwarded.share == 100%\n"
	                  "expect at end forwarded per node <= 100\n"
	                  "expect at 17s forwarded.rate == 10/s\n"
	                  "expect at end packets.delivered == 100\n"
	                  "expect at end failover.client.count == 3\n"
	                  "until 30s\n");
	try_is_good(&t);
	sender = story_node(t.story, 0).forwarded > 0 ? 0 : 1;
	assert_int_equal(story_node(t.story, sender).forwarded, 100);
	assert_int_equal(story_node(t.story, 1 - sender).forwarded, 0);
	assert_int_equal(story_node(t.story, 0).conns, 1);
	assert_int_equal(story_node(t.story, 0).links, 1);
	assert_string_equal(story_client(t.story, 0).node, "fra/1");
	assert_string_equal(story_client(t.story, 1).node, "fra/2");
	assert_int_equal(story_client(t.story, 0).logins, 3);
	try_end(&t);
}

/* ---- drops ---- */

/* What the relays count themselves (MET-006), all of those that never crashed. */
static uint64_t dropped_by_relays(const struct try *t, enum drop_reason reason)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < story_nodes(t->story); i++) {
		const struct relay_counters *c = relay_counters((const struct relay *)sim_machine(t->story->sim, i));
		n += c->packets_dropped[reason][PACKET_DISCO] + c->packets_dropped[reason][PACKET_OTHER];
	}
	return n;
}

#define DROPS \
	"expect at end drops >= 0\n" \
	"expect at end drops.unknown_dest >= 0\n" \
	"expect at end drops.unknown_dest_on_fwd >= 0\n" \
	"expect at end drops.gone_disconnected >= 0\n" \
	"expect at end drops.queue_head >= 0\n" \
	"expect at end drops.queue_tail >= 0\n" \
	"expect at end drops.write_error >= 0\n" \
	"expect at end drops.dup_client >= 0\n"

/* The first eight expectations are DROPS: each is what the relays say, and the first is their sum. */
static void drops_are_the_relays(struct try *t, const char *text)
{
	uint64_t all = 0;

	try_init(t);
	try_run(t, text);
	try_is_good(t);
	for (int reason = 0; reason < DROP_REASONS; reason++) {
		assert_int_equal(measured(t, 1 + reason), dropped_by_relays(t, (enum drop_reason)reason));
		all += measured(t, 1 + reason);
	}
	assert_int_equal(measured(t, 0), all);
	assert_int_equal(story_packets(t->story).dropped, all);
}

/* Whoever writes to one who left is told nothing and dropped: every packet of the other, ten a second for ten seconds. */
static void metric_drops_unknown_dest(void **state)
{
	struct try t;
	struct story_packets p;

	(void)state;
	drops_are_the_relays(&t, "# one has left\n"
	                         "region fra nodes=1\n"
	                         "tailnet acme clients=2 spread=frankfurt join=0s..1s\n"
	                         "load disco every=100ms begin=2s till=15s\n"
	                         "at 5s leave acme/1/2\n" DROPS "expect at end bytes.sent == 19840B\n"
	                         "expect at end bytes.delivered < 10KB\n"
	                         "until 20s\n");
	p = story_packets(t.story);
	assert_int_equal(p.sent, 160); /* of 124 B */
	assert_int_equal(measured(&t, 9), p.delivered * 124);
	assert_in_range(measured(&t, 1), 99, 100);
	assert_int_equal(measured(&t, 0), measured(&t, 1));
	assert_int_equal(p.sent, p.delivered + p.dropped + p.lost_stream); /* the last was on its way to him */
	assert_true(p.lost_stream <= 1);
	try_end(&t);
}

/* A forwarded packet that finds its receiver gone: those that were on the link when he left, and those sent until the news came back. */
static void metric_drops_unknown_dest_on_fwd(void **state)
{
	struct try t;

	(void)state;
	drops_are_the_relays(&t, SPLIT "load bulk share=100% rate=40Mbps size=200B for=1h begin=10s till=12s\n"
	                               "at 11s leave acme/1/2\n" DROPS "until 20s\n");
	assert_in_range(measured(&t, 2), 5, 20); /* 25 in a millisecond, and a link of 0.1 ms */
	try_end(&t);
}

/* More than a client's line takes: the relay drops the oldest of the full queue of 32 (SRV-012), and when the client is closed, what its
 * queue still holds (SRV-016). */
static void metric_drops_of_full_queues(void **state)
{
	struct try t;

	(void)state;
	drops_are_the_relays(&t, "# too much for some\n"
	                         "region fra nodes=1 cpu=16 packet=0ns byte=0ns\n"
	                         "tailnet acme clients=6 spread=frankfurt join=0s..1s\n"
	                         "load bulk share=100% rate=60Mbps size=1312B for=1h begin=2s till=4s\n"
	                         "at 3.5s close clients\n" DROPS "until 20s\n");
	assert_in_range(measured(&t, 3), 32, 6 * 32);
	assert_true(measured(&t, 4) > 1000);
	try_end(&t);
}

/* Each reason has its metric, also those that nothing here brings about. */
static bool tamper(void *ctx, uint64_t now, uint64_t until)
{
	struct try *t = ctx;

	(void)until;
	for (uint32_t i = 0; i < DROP_REASONS && now == 19 * NS_S; i++) t->story->drops[i] = 100 + i;
	return true;
}

static void metric_drops_have_their_reasons(void **state)
{
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < DROP_REASONS; i++) {
		char name[64];
		snprintf(name, sizeof name, "drops.%s", drop_reason_name((enum drop_reason)i));
		assert_string_equal(scenario_metric_info(SCENARIO_METRIC_DROPS_UNKNOWN_DEST + i)->name, name);
	}
	try_init(&t);
	t.options.second = tamper;
	t.options.ctx = &t;
	try_run(&t, "# nothing happens\nregion fra nodes=1\ntailnet acme clients=2 spread=frankfurt join=0s..1s\n" DROPS "until 20s\n");
	for (uint32_t i = 0; i < DROP_REASONS; i++) assert_int_equal(measured(&t, 1 + i), 100 + i);
	try_end(&t);
}

/* ---- losses ---- */

/* Of each kind alone: what is on a client's stream when the connection is closed, what a crash takes with it, what is on a link between two
 * relays that live when one of them is too slow and the link is given up after 5 s without progress (CLI-003). */
static void losses(const char *text, enum ledger_end kind)
{
	struct try t;
	struct story_packets p;

	try_init(&t);
	try_run(&t, text);
	try_is_good(&t);
	p = story_packets(t.story);
	assert_true(measured(&t, 0) > 0);
	assert_int_equal(measured(&t, 0), p.lost_crash + p.lost_forwarding + p.lost_stream);
	assert_int_equal(measured(&t, 1), p.lost_crash);
	assert_int_equal(measured(&t, 2), p.lost_forwarding);
	assert_int_equal(measured(&t, 3), p.lost_stream);
	assert_int_equal(measured(&t, 0), ledger_ended(t.story->ledger, kind));
	assert_int_equal(p.sent, p.delivered + p.dropped + p.dropped_by_client + measured(&t, 0) + p.queued + p.in_flight);
	try_end(&t);
}

#define LOSSES \
	"expect at end packets.lost > 0\n" \
	"expect at end packets.lost.crash >= 0\n" \
	"expect at end packets.lost.forwarding >= 0\n" \
	"expect at end packets.lost.stream >= 0\n"

static void metric_losses_have_their_kinds(void **state)
{
	(void)state;
	losses("# closed in the middle\n"
	       "region fra nodes=1\n"
	       "tailnet acme clients=4 spread=europe join=0s..1s\n"
	       "load bulk share=100% rate=20Mbps size=20KB for=1h begin=2s\n"
	       "at 5s close clients\n" LOSSES "until 20s\n",
	       LEDGER_LOST_STREAM);
	losses("# crashed in the middle\n"
	       "region fra nodes=2\n"
	       "tailnet acme x4 clients=4 spread=europe join=0s..1s\n"
	       "load bulk share=100% rate=20Mbps size=20KB for=1h begin=2s\n"
	       "policy order=scattered\n"
	       "at 5s crash fra/1\n" LOSSES "until 20s\n",
	       LEDGER_LOST_CRASH);
	losses(SPLIT "node fra/2 packet=200ms\n"
	             "load disco every=1ms begin=10s till=20s\n" LOSSES "until 300s\n",
	       LEDGER_LOST_FORWARD);
}

/* ---- failover ---- */

/* One client, two failures: each time is when it is connected again, to the nanosecond, and so are all statistics of the two. */
static void metric_failover_client(void **state)
{
	static const char world[] = "# one client, two failures\n"
				    "region fra nodes=3\n"
				    "tailnet acme clients=1 spread=lisbon join=0s..1s\n"
				    "policy order=same\n"
				    "at 5s crash fra/1\n"
				    "at 10s crash fra/2\n"
				    "until 15s\n";
	char text[2048];
	unsigned long long min, max, s = NS_S;
	struct try t;

	(void)state;
	try_init(&t);
	try_run(&t, world);
	assert_int_equal(story_failover_clients(t.story)->n, 2);
	min = story_failover_clients(t.story)->min, max = story_failover_clients(t.story)->max;
	assert_true(min < max); /* the second time two nodes refuse */
	try_end(&t);
	snprintf(text, sizeof text,
	         "%s"
	         "expect at %lluns clients.connected == 0\n"
	         "expect at %lluns clients.connected == 1\n"
	         "expect at %lluns clients.connected == 0\n"
	         "expect at %lluns clients.connected == 1\n"
	         "expect at end failover.client.min == %lluns\n"
	         "expect at end failover.client.max == %lluns\n"
	         "expect at end failover.client.mean == %lluns\n"
	         "expect at end failover.client.p50 between %lluns and %lluns\n"
	         "expect at end failover.client.p90 == %lluns\n"
	         "expect at end failover.client.p99 == %lluns\n"
	         "expect at end failover.client.count == 2\n"
	         "expect at end failover.client.never == 0%%\n",
	         world, 5 * s + min - 1, 5 * s + min, 10 * s + max - 1, 10 * s + max, min, max, (min + max) / 2, min, min + min / 1000, max, max);
	try_good(&t, text);
}

/* A pair: from the first packet that its sender sends after the crash to the first that comes. The packets are the only thing of more
 * than 1,000 B that a client gets. */
struct pair {
	struct try try;
	uint64_t sent_at, came_at;
	bool again[2]; /* has another connection */
};

static bool on_event(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	struct pair *p = ctx;

	(void)seq, (void)content;
	if (now < 5 * NS_S || host < 2) return true;
	if (e->kind == EVENT_COMMAND && p->sent_at == 0) p->sent_at = now;
	if (e->kind == EVENT_DIALED) p->again[host - 2] = true;
	if (e->kind == EVENT_BYTES && e->bytes.n > 1000 && p->again[host - 2] && p->came_at == 0) p->came_at = now;
	return true;
}

static void metric_failover_pair(void **state)
{
	struct pair p = { .sent_at = 0 };
	const struct dist *d;

	(void)state;
	try_init(&p.try);
	p.try.options.event = on_event;
	p.try.options.ctx = &p;
	try_run(&p.try, "# one pair, one failure\n"
	                "region fra nodes=2\n"
	                "tailnet acme clients=2 spread=lisbon join=0s..1s\n"
	                "load bulk share=100% rate=800Kbps size=1000B for=1h begin=2s\n"
	                "policy order=same\n"
	                "at 5s crash fra/1\n"
	                "expect at end failover.pair.count == 1\n"
	                "expect at end failover.pair.never == 0\n"
	                "expect at end failover.pair.p99 > 100ms\n"
	                "until 15s\n");
	try_is_good(&p.try);
	d = story_failover_pairs(p.try.story);
	assert_int_equal(d->min, p.came_at - p.sent_at);
	assert_int_equal(d->max, d->min);
	try_end(&p.try);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metric_packets_are_counted),     cmocka_unit_test(metric_split_pair_is_forwarded),
		cmocka_unit_test(metric_drops_unknown_dest),      cmocka_unit_test(metric_drops_unknown_dest_on_fwd),
		cmocka_unit_test(metric_drops_of_full_queues),    cmocka_unit_test(metric_drops_have_their_reasons),
		cmocka_unit_test(metric_losses_have_their_kinds), cmocka_unit_test(metric_failover_client),
		cmocka_unit_test(metric_failover_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
