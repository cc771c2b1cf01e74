/* Conservation: whatever breaks, every packet is somewhere, and the run knows where. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

static const char crashes[] = "# every way to lose a packet\n"
			      "region fra nodes=3\n"
			      "tailnet acme x6 clients=4 spread=europe join=0s..2s\n"
			      "tailnet beta x2 clients=3 spread=world join=0s..2s\n"
			      "load disco every=100ms..200ms\n"
			      "load bulk share=100% rate=2Mbps size=2500B for=5s..10s\n"
			      "policy order=scattered\n"
			      "at 10s crash fra/1\n"
			      "at 12.5s restart fra/1\n"
			      "at 20.5s crash silent fra/2\n"
			      "at 25s close clients pace=10/s\n"
			      "at 40s restart fra/2\n"
			      "at 50s leave beta\n"
			      "at 55s join beta\n"
			      "at 62s crash silent refuse fra/3\n"
			      "at 63s restart fra/3\n"
			      "until 80s\n";

struct seconds {
	struct try try;
	uint64_t seconds, queued, in_flight, nowhere;
	struct story_packets last;
};

static uint64_t sum(const struct story_packets *p)
{
	return p->delivered + p->dropped + p->dropped_by_client + p->lost_crash + p->lost_forwarding + p->lost_stream + p->queued + p->in_flight;
}

/* The sum, and that no part of it ever shrinks but what is on its way. */
static bool each_second(void *ctx, uint64_t now, uint64_t until)
{
	struct seconds *s = ctx;
	struct story_packets p = story_packets(s->try.story);

	(void)now, (void)until;
	assert_int_equal(p.sent, sum(&p) + p.nowhere);
	assert_int_equal(p.delivered, story_delivered(s->try.story));
	assert_true(p.sent >= s->last.sent && p.delivered >= s->last.delivered && p.dropped >= s->last.dropped);
	assert_true(p.lost_crash >= s->last.lost_crash && p.lost_stream >= s->last.lost_stream && p.nowhere >= s->last.nowhere);
	s->seconds++;
	s->queued += p.queued;
	s->in_flight += p.in_flight;
	s->nowhere += p.nowhere > 0;
	s->last = p;
	return true;
}

static void begin(struct seconds *s, uint64_t seed)
{
	*s = (struct seconds){ 0 };
	try_init(&s->try);
	s->try.options.seed = seed;
	s->try.options.second = each_second;
	s->try.options.ctx = s;
}

/* sent = delivered + dropped with a reason + queued + in flight + lost with a host or a stream, exactly, at every second of runs in which
 * nodes crash in all three ways, connections are closed and clients leave; and all of these parts are there. */
static void census_sum_is_exact(void **state)
{
	struct seconds s;

	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		begin(&s, seed);
		try_run(&s.try, crashes);
		try_is_good(&s.try);
		assert_int_equal(s.seconds, 80);
		assert_int_equal(s.nowhere, 0);
		assert_true(s.last.delivered > 50000 && s.last.dropped > 1000 && s.last.dropped_by_client > 1000);
		assert_true(s.last.lost_crash > 500 && s.last.lost_stream > 20);
		assert_true(s.queued > 1000 && s.in_flight > 5000);
		try_end(&s.try);
	}
}

/* A packet that vanishes is missed in the sum from that second on, and told by the next census: once. */
static void census_misses_one(void **state)
{
	struct seconds s;

	(void)state;
	begin(&s, 1);
	s.try.options.plant = STORY_PLANT_UNACCOUNTED;
	s.try.options.plant_at = 45 * NS_S + 500 * NS_MS;
	try_run(&s.try, crashes);
	assert_int_equal(s.seconds, 80);
	assert_int_equal(s.nowhere, 35);
	assert_int_equal(s.last.nowhere, 1);
	assert_int_equal(story_findings(s.try.story), 1);
	assert_int_equal(story_finding(s.try.story, 0)->at, 60 * NS_S);
	try_end(&s.try);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(census_sum_is_exact),
		cmocka_unit_test(census_misses_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
