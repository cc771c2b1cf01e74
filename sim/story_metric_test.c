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
				 "at 5s leave acme/1/2\n" DROPS "until 20s\n");
	p = story_packets(t.story);
	assert_in_range(measured(&t, 1), 99, 100);
	assert_int_equal(measured(&t, 0), measured(&t, 1));
	assert_int_equal(p.sent, p.delivered + p.dropped + p.lost_stream);
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
	print_message("head %llu gone %llu\n", (unsigned long long)measured(&t, 4 + 0), (unsigned long long)measured(&t, 3));
	try_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metric_packets_are_counted),
		cmocka_unit_test(metric_split_pair_is_forwarded),
		cmocka_unit_test(metric_drops_unknown_dest),
		cmocka_unit_test(metric_drops_unknown_dest_on_fwd),
		cmocka_unit_test(metric_drops_of_full_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
