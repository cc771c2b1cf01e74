/* Who talks, how much, with whom. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

/* ---- bulk ---- */

/* share= of all pairs have a flow at any time, each of rate= in packets of size=, from begin= to till=: 6 of 60 pairs, 20 packets a second
 * each, for 10 s. A second line adds its own. */
static void load_bulk_is_exact(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# flows\n"
	             "region fra nodes=1\n"
	             "tailnet acme x10 clients=4 spread=frankfurt join=0s..1s\n"
	             "load bulk share=10% rate=40Kbps size=250B for=1s..3s begin=5s till=15s\n"
	             "load bulk share=5% rate=8Kbps size=100B for=1s..3s begin=20s till=30s\n"
	             "expect at 5s packets.sent == 0\n"
	             "expect at 10s packets.sent.rate == 120/s\n"
	             "expect at 19s packets.sent == 1200\n"
	             "expect at 19s bytes.sent == 300KB\n"
	             "expect at end packets.sent == 1500\n"
	             "expect at end packets.delivered == 1500\n"
	             "until 40s\n");
}

/* The smallest share of anything is one flow; none is none. */
static void load_bulk_of_few(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# one flow\n"
	             "region fra nodes=1\n"
	             "tailnet acme clients=2 spread=frankfurt join=0s..1s\n"
	             "load bulk share=0.1% rate=8Kbps size=100B for=1h begin=5s till=15s\n"
	             "load bulk share=0% rate=8Kbps size=100B for=1h begin=5s till=15s\n"
	             "expect at end packets.sent == 100\n"
	             "until 20s\n");
}

/* ---- disco ---- */

/* Each client sends one after each drawn interval, to somebody else of its own tailnet: all are delivered, none to nobody. 40 clients with
 * 25..35 s over five minutes, the first somewhere within one interval. */
static void load_disco_is_steady(void **state)
{
	struct try t;
	uint64_t sent;

	(void)state;
	try_init(&t);
	try_run(&t, "# disco\n"
	            "region fra nodes=1\n"
	            "tailnet acme x20 clients=2 spread=frankfurt join=0s..0s\n"
	            "tailnet lone clients=1 spread=frankfurt join=0s..0s\n"
	            "load disco every=25s..35s begin=10s till=310s\n"
	            "expect at 10s packets.sent == 0\n"
	            "expect always packets.sent.rate <= 9/s\n"
	            "expect always drops == 0\n"
	            "expect always nothing misdelivered, forged\n"
	            "until 320s\n");
	try_is_good(&t);
	sent = story_packets(t.story).sent;
	assert_in_range(sent, 40 * 8, 40 * 12);
	assert_in_range(sent, 380, 420); /* 40 * 300 s / 30 s = 400 */
	assert_int_equal(story_packets(t.story).delivered, sent);
	try_end(&t);
}

/* of= is whoever is in the set when a packet is due; of a flow, both ends. */
static void load_of_a_set(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	try_good(&t, "# half of them; a pair needs two\n"
	             "region fra nodes=2\n"
	             "tailnet acme x2 clients=5 spread=frankfurt join=0s..1s\n"
	             "load disco every=100ms begin=2s of=acme/1\n"
	             "load bulk share=100% rate=8Kbps size=100B for=1s begin=2s till=12s of=acme/2/1\n"
	             "load bulk share=100% rate=8Kbps size=100B for=1s begin=12s till=18s of=acme/2\n"
	             "expect at 11s packets.sent.rate == 50/s\n"
	             "expect at 18s packets.sent.rate between 80/s and 220/s\n" /* about half of twenty flows */
	             "until 20s\n");
	try_good(&t, "# those on the second node are none before the crash\n"
	             "region fra nodes=2\n"
	             "tailnet acme x2 clients=5 spread=frankfurt join=0s..1s\n"
	             "policy order=same\n"
	             "load disco every=100ms begin=2s of=\"clients on fra/2\"\n"
	             "at 10s crash fra/1\n"
	             "expect at 9.9s packets.sent == 0\n"
	             "expect at 15s packets.sent.rate == 100/s\n"
	             "until 20s\n");
}

/* ---- what is not simulated is refused ---- */

static void load_refuses_what_it_cannot(void **state)
{
	static const struct {
		const char *line, *error;
	} of[] = {
		{ "load disco every=1s\nload disco every=2s", "t.scn:5: a second load disco: one is simulated" },
		{ "load disco every=1s of=\"10% of clients\"", "t.scn:4: of= a drawn part is not simulated yet, expected the whole set" },
		{ "load bulk share=1% rate=1000Gbps size=32B for=1s",
		  "t.scn:4: 99 flows of a packet each 0 ns, expected at most 1000000 and at least 1000 ns" },
		{ "tailnet huge clients=2000 spread=frankfurt\nload bulk share=100% rate=1Mbps for=1s",
		  "t.scn:5: 2008900 flows of a packet each 10496000 ns, expected at most 1000000 and at least 1000 ns" },
		{ "region sin city=singapore nodes=1\ntailnet far clients=20 spread=world\nload disco every=1s",
		  "t.scn:6: far has clients at home in sin and in fra, between whom packets are not simulated yet" },
	};
	char text[1024];
	struct try t;

	(void)state;
	for (uint32_t i = 0; i < sizeof of / sizeof *of; i++) {
		try_init(&t);
		snprintf(text, sizeof text, "# x\nregion fra nodes=1\ntailnet acme x990 clients=5 spread=frankfurt\n%s\nuntil 20s\n", of[i].line);
		assert_false(try_build(&t, text));
		assert_string_equal(t.error, of[i].error);
		try_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_bulk_is_exact),          cmocka_unit_test(load_bulk_of_few),
		cmocka_unit_test(load_disco_is_steady),        cmocka_unit_test(load_of_a_set),
		cmocka_unit_test(load_refuses_what_it_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
