/* The network check in a small world: which requests leave when, what the report says and when it ends, when checks run, and what
 * becomes of the home. What goes over HTTP is in netcheck_fetch_test.c. */
#include "pair_netcheck.h"

/* ---- STUN ---- */

/* HOM-002..HOM-004, HOM-006: the first answer ends a set, the last set the check; the report says what was seen. */
static void first_report(void **state)
{
	struct world *w = world_new();
	const struct netcheck_report *r;
	struct address seen = world_address("203.0.113.5:41641");

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 30 * NS_MS);
	world_start(w, "", "1 2");
	assert_true(netcheck_is_running(w->check));
	assert_null(netcheck_report(w->check));
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp 192.0.2.2:3478\n30 report home=1 preferred=1\n");
	r = netcheck_report(w->check);
	assert_true(r->full && r->udp && r->ipv4 && r->ipv4_can_send && !r->ipv6 && !r->ipv6_can_send);
	assert_int_equal(r->started, 0);
	assert_int_equal(r->ended, 30 * NS_MS);
	assert_int_equal(r->regions, 2);
	assert_int_equal(world_latency(w, 1), 20 * NS_MS);
	assert_int_equal(world_latency(w, 2), 30 * NS_MS);
	assert_int_equal(r->region[1].v4_ns, 30 * NS_MS);
	assert_true(address_equal(&r->global_v4, &seen));
	assert_int_equal(r->mapping_varies, NETCHECK_NO);
	assert_int_equal(r->captive_portal, NETCHECK_UNKNOWN);
	assert_int_equal(r->choice.reason, HOME_FIRST);
	assert_int_equal(w->homes, 1);
	assert_int_equal(netcheck_home(w->check), 1);
	assert_int_equal(machine_deadline(netcheck_machine(w->check)), TIME_NEVER);
	world_free(w);
}

/* HOM-004: lost requests are sent again at 100 and 200 ms; the time counts from the request that was answered. */
static void lost_requests(void **state)
{
	for (uint32_t lost = 0; lost <= 3; lost++) {
		struct world *w = world_new();
		(void)state;
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS)->lose = lost;
		world_start(w, "only=stun", "1");
		world_run_until(w, 60 * NS_S);
		assert_int_equal(w->server[0].asked, lost < 3 ? lost + 1 : 3);
		assert_int_equal(world_latency(w, 1), lost < 3 ? 20 * NS_MS : 0);
		assert_int_equal(netcheck_report(w->check)->ended, lost < 3 ? (100 * lost + 20) * NS_MS : 3 * NS_S); /* HOM-002 */
		world_free(w);
	}
}

/* An answer that comes late, to the first of three requests, is timed from that one. */
static void slow_answer(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 250 * NS_MS);
	world_start(w, "only=stun", "1");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n100 udp 192.0.2.1:3478\n200 udp 192.0.2.1:3478\n250 report home=1 preferred=1\n");
	assert_int_equal(world_latency(w, 1), 250 * NS_MS);
	assert_int_equal(netcheck_report(w->check)->mapping_varies, NETCHECK_UNKNOWN); /* one answer */
	world_free(w);
}

/* Three regions answer after 10, 20 and 30 ms, a fourth after `fourth`; what a check says of the fourth, and when it ends. */
static void fourth_region(const char *config, uint64_t fourth, bool again, uint64_t want, uint64_t ended)
{
	struct world *w = world_new();
	struct server *s;

	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.3:3478", 30 * NS_MS);
	s = world_add(w, UDP_ANSWERS, "192.0.2.4:3478", again ? 5 * NS_MS : fourth);
	world_start(w, config, "1 2 3 4");
	if (again) {
		world_run_until(w, 10 * NS_S);
		s->rtt = fourth;
		world_check(w, false);
	}
	world_run_for(w, 60 * NS_S);
	assert_int_equal(world_latency(w, 4), want);
	assert_int_equal(netcheck_report(w->check)->ended - netcheck_report(w->check)->started, ended);
	assert_int_equal(netcheck_report(w->check)->full, !again);
	world_free(w);
}

/* HOM-006: after three regions the rest get twice as long again as the slowest took, and in an incremental report as long again. */
static void early_end(void **state)
{
	(void)state;
	fourth_region("", 89 * NS_MS, false, 89 * NS_MS, 89 * NS_MS);
	fourth_region("", 90 * NS_MS, false, 90 * NS_MS, 90 * NS_MS);
	fourth_region("", 90 * NS_MS + 1, false, 0, 90 * NS_MS);
	fourth_region("", 500 * NS_MS, false, 0, 90 * NS_MS);
	/* incremental: 4, 1 and 2 are the fastest; two answers are enough */
	fourth_region("enough=2", 39 * NS_MS, true, 39 * NS_MS, 39 * NS_MS);
	fourth_region("enough=2", 40 * NS_MS, true, 40 * NS_MS, 40 * NS_MS);
	fourth_region("enough=2", 40 * NS_MS + 1, true, 0, 40 * NS_MS);
	fourth_region("enough=4", 500 * NS_MS, false, 500 * NS_MS, 500 * NS_MS);
}

/* HOM-006: a probe that could tell nothing new is not sent. Region 3's node answers for 2 as well; its second probe never leaves. */
static void useless_probe(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS)->lose = 9;
	world_start(w, "", "1 2=2+1{'RegionID':2}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp 192.0.2.2:3478\n100 udp 192.0.2.1:3478\n110 report home=1 preferred=1\n");
	world_free(w);
	w = world_new();
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS)->lose = 9;
	world_add(w, UDP_ANSWERS, "192.0.2.3:3478", 30 * NS_MS);
	world_start(w, "", "1 2 3=3{'RegionID':2}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp 192.0.2.2:3478\n0 udp 192.0.2.3:3478\n100 report home=1 preferred=1\n");
	world_free(w);
	w = world_new(); /* region 3's own node is dead, but would only tell of region 2 */
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	world_start(w, "", "1 2 3=3{'RegionID':2}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp 192.0.2.2:3478\n0 udp 192.0.2.3:3478\n100 report home=1 preferred=1\n");
	world_free(w);
}

/* HOM-006: the end is set by the answer that makes three regions; later ones of the same regions do not move it. */
static void end_stays(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.3:3478", 30 * NS_MS);
	world_add(w, UDP_ANSWERS, "[2001:db8::1]:3478", 80 * NS_MS);
	world_start(w, "", "1=1{'IPv6':'2001:db8::1'} 2 3 4");
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_report(w->check)->ended, 90 * NS_MS);
	assert_int_equal(netcheck_report(w->check)->region[0].v6_ns, 80 * NS_MS);
	world_free(w);
}

/* MAP-020: an answer is booked under the region that the node claims; a node without one leaves its region unmeasured. */
static void region_of_node(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	world_start(w, "only=stun", "1=1{'RegionID':0} 2=2{'RegionID':7} 7=");
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_report(w->check)->regions, 1);
	assert_int_equal(world_latency(w, 7), 20 * NS_MS);
	assert_true(netcheck_report(w->check)->udp);
	assert_int_equal(netcheck_home(w->check), 7);
	world_free(w);
}

/* MAP-010: no request to a node whose STUN is off, to the last port, or to its own; MAP-005: STUN-only nodes get theirs. */
static void stun_ports(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_start(w, "only=stun\nstun-timeout=50ms",
	            "1=1{'STUNPort':-1} 2=2{'STUNPort':65536} 3=3{'STUNPort':65535} 4=4{'STUNPort':1,'STUNOnly':true} 5");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.3:65535\n0 udp 192.0.2.4:1\n0 udp 192.0.2.5:3478\n50 report home=3 preferred=0\n");
	world_free(w);
}

/* Both families: each has its sets, its latencies and its socket; and a mapping that varies is seen. */
static void dual_stack(void **state)
{
	struct world *w = world_new();
	const struct netcheck_report *r;
	struct address seen = world_address("[2001:db8::5]:41641");

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "[2001:db8::1]:3478", 10 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 30 * NS_MS)->mapped = "203.0.113.5:9";
	world_start(w, "", "1=1{'IPv6':'2001:db8::1'} 2");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp [2001:db8:0:0:0:0:0:1]:3478\n0 udp 192.0.2.2:3478\n30 report home=1 preferred=1\n");
	r = netcheck_report(w->check);
	assert_int_equal(r->region[0].ns, 10 * NS_MS);
	assert_int_equal(r->region[0].v4_ns, 20 * NS_MS);
	assert_int_equal(r->region[0].v6_ns, 10 * NS_MS);
	assert_true(r->ipv4 && r->ipv6 && r->ipv6_can_send && address_equal(&r->global_v6, &seen));
	assert_int_equal(r->mapping_varies, NETCHECK_YES);
	world_set(w, "ipv4=off", NULL);
	world_check(w, true);
	world_run_for(w, NS_S);
	world_log_is(w, "60000 udp [2001:db8:0:0:0:0:0:1]:3478\n60010 report home=1 preferred=1\n");
	world_free(w);
}

/* Names are asked for once a node and family; the time counts from the request, and what fell due meanwhile leaves with the answer. */
static void names(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS)->lose = 2;
	world_add_name(w, NAME_KNOWN, "n1.test/4", "192.0.2.1:0", 150 * NS_MS);
	world_add_name(w, NAME_FAILS, "n1.test/6", NULL, 5 * NS_MS);
	world_start(w, "only=stun", "1=1{'IPv4':'','IPv6':''}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 ask n1.test/4\n0 ask n1.test/6\n150 udp 192.0.2.1:3478\n150 udp 192.0.2.1:3478\n200 udp 192.0.2.1:3478\n"
	                "3000 report home=1 preferred=1\n");
	assert_int_equal(world_latency(w, 1), 20 * NS_MS);
	assert_int_equal(w->open, 0);
	w->server[1].kind = NAME_SILENT; /* never answered: cancelled with the check */
	world_set(w, "ipv6=off", NULL);
	world_check(w, true);
	world_run_for(w, 2 * NS_S);
	assert_int_equal(w->open, 1);
	world_run_for(w, 2 * NS_S);
	assert_int_equal(w->open, 0);
	assert_int_equal(w->reports, 2);
	world_free(w);
}

/* Answers that nobody asked for are nothing: another transaction, a request, one from before; twice the same counts once. */
static void forged(void **state)
{
	struct world *w = world_new();
	struct address mapped = world_address("198.51.100.1:1");
	struct item *item;

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 500 * NS_MS);
	world_start(w, "only=stun", "1");
	item = world_enqueue(w, NS_MS, EVENT_DATAGRAM, WORLD_SOCKET4);
	item->n = stun_response(item->bytes, (const uint8_t *)"twelve bytes", &mapped);
	item = world_enqueue(w, NS_MS, EVENT_DATAGRAM, WORLD_SOCKET4);
	item->n = stun_request(item->bytes, w->txid[0]);
	world_enqueue(w, NS_MS, EVENT_DATAGRAM, WORLD_SOCKET4);
	world_run_until(w, 400 * NS_MS);
	assert_int_equal(w->reports, 0);
	world_run_until(w, NS_S);
	assert_int_equal(world_latency(w, 1), 500 * NS_MS);
	world_check(w, true); /* the answers to the second and third request of the first check are still under way or too late */
	item = world_enqueue(w, NS_MS, EVENT_DATAGRAM, WORLD_SOCKET4);
	item->n = stun_response(item->bytes, w->txid[0], &mapped);
	world_run_until(w, 1400 * NS_MS);
	assert_int_equal(w->reports, 1);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(world_latency(w, 1), 500 * NS_MS);
	world_free(w);
	w = world_new();
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 50 * NS_MS);
	world_start(w, "only=stun", "1 2");
	for (uint64_t i = 0; i < 3; i++) { /* one answer three times is one answer: it does not say that the mapping stays */
		item = world_enqueue(w, (10 + i) * NS_MS, EVENT_DATAGRAM, WORLD_SOCKET4);
		item->n = stun_response(item->bytes, w->txid[0], &mapped);
	}
	world_run_until(w, 40 * NS_MS);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(world_latency(w, 1), 10 * NS_MS);
	assert_int_equal(netcheck_report(w->check)->mapping_varies, NETCHECK_UNKNOWN);
	world_free(w);
}

/* ---- when checks run ---- */

/* HOM-003, HOM-005: the second check asks the three fastest and the preferred region; after five minutes all are asked again. */
static void incremental(void **state)
{
	struct world *w = world_new();

	(void)state;
	for (int i = 1; i <= 5; i++) {
		char at[40];
		sprintf(at, "192.0.2.%d:3478", i);
		world_add(w, UDP_ANSWERS, at, (uint64_t)(60 - 10 * i) * NS_MS);
	}
	world_start(w, "enough=9", "1 2 3 4 5");
	world_run_until(w, 300 * NS_S);
	w->log_n = 0;
	world_check(w, false);
	world_run_for(w, NS_S);
	world_log_is(w, "300000 udp 192.0.2.5:3478\n300000 udp 192.0.2.4:3478\n300000 udp 192.0.2.3:3478\n300030 report home=5 preferred=5\n");
	assert_false(netcheck_report(w->check)->full);
	world_check(w, false);
	world_run_for(w, NS_S);
	assert_true(netcheck_report(w->check)->full); /* 301 s after the first */
	world_free(w);
}

/* When the next check is planned for, from the end of the last on. */
static uint64_t planned(const struct world *w)
{
	uint64_t at = machine_deadline(netcheck_machine(w->check));

	assert_false(netcheck_is_running(w->check));
	return at == TIME_NEVER ? TIME_NEVER : at - netcheck_report(w->check)->ended;
}

/* HOM-001: with peers and a key a check follows the last after 20 to 26 s, drawn anew each time. */
static void periodic(void **state)
{
	uint64_t least = TIME_NEVER, most = 0;

	(void)state;
	for (uint8_t seed = 0; seed < 40; seed++) {
		struct world *w = world_new();
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
		world_start_seeded(w, "periodic=on", "1", seed);
		for (int i = 0; i < 10; i++) {
			uint64_t wait;
			world_run_for(w, 30 * NS_MS);
			wait = planned(w);
			assert_in_range(wait, 20 * NS_S, 26 * NS_S);
			if (wait < least) least = wait;
			if (wait > most) most = wait;
			world_set(w, "active=on", NULL);
			assert_int_equal(planned(w), wait); /* it changes nothing */
			world_run_until(w, netcheck_report(w->check)->ended + wait);
			assert_true(netcheck_is_running(w->check));
		}
		world_free(w);
	}
	assert_in_range(least, 20 * NS_S, 20 * NS_S + 500 * NS_MS);
	assert_in_range(most, 26 * NS_S - 500 * NS_MS, 26 * NS_S);
}

/* HOM-001, HOM-003: to the nanosecond: the bounds of what is drawn, where the other bound is the same; a check that begins 300 s after the
 * beginning of the last full one is full. */
static void exact_times(void **state)
{
	static const struct {
		const char *config;
		uint64_t wait;
	} cases[] = { { "periodic=on\nperiod-max=20s", 20 * NS_S }, { "periodic=on\nperiod-min=26s", 26 * NS_S } };
	struct world *w;

	(void)state;
	for (size_t i = 0; i < 40; i++) { /* of two draws one is the other bound if there are two */
		w = world_new();
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
		world_start_seeded(w, cases[i % 2].config, "1", (uint8_t)i);
		world_run_for(w, 30 * NS_MS);
		assert_int_equal(planned(w), cases[i % 2].wait);
		world_free(w);
	}
	for (uint64_t i = 0; i < 3; i++) {
		w = world_new();
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
		world_start(w, "", "1");
		world_run_until(w, 300 * NS_S - 1 + i);
		world_check(w, false);
		world_run_for(w, NS_S);
		assert_int_equal(netcheck_report(w->check)->full, i >= 2);
		world_free(w);
	}
}

/* HOM-001: not without peers, not when homeless, and not when the last traffic is more than 45 s old. */
static void not_periodic(void **state)
{
	static const struct {
		uint64_t active_at; /* before the end of the check, 20 ms after its start */
		bool planned;
	} cases[] = { { 45 * NS_S - 1, true }, { 45 * NS_S, true }, { 45 * NS_S + 1, false } };
	struct world *w;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		w = world_new();
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
		world_start(w, "periodic=on\nperiod-min=1h\nperiod-max=1h", "1");
		world_run_until(w, 100 * NS_S);
		world_set(w, "active=on", NULL);
		world_run_until(w, 110 * NS_S);
		world_set(w, "control=on", NULL); /* is no traffic */
		world_run_until(w, 100 * NS_S + cases[i].active_at - 20 * NS_MS);
		world_check(w, false);
		world_run_for(w, 20 * NS_MS);
		assert_int_equal(w->reports, 2);
		assert_int_equal(planned(w), cases[i].planned ? 3600 * NS_S : TIME_NEVER);
		world_set(w, "active=on\nperiod-min=22s\nperiod-max=22s", NULL); /* traffic again: a check within the usual time */
		if (!cases[i].planned) assert_int_equal(planned(w), 22 * NS_S);
		world_set(w, "homeless=on", NULL);
		assert_int_equal(planned(w), TIME_NEVER);
		world_set(w, "homeless=off", NULL);
		assert_int_equal(planned(w), 22 * NS_S);
		world_set(w, "periodic=off", NULL);
		assert_int_equal(planned(w), TIME_NEVER);
		world_free(w);
	}
}

/* Without a map there is nothing to repeat, and time passes in peace. A check by wish stands for the one that falls due meanwhile. */
static void periodic_odd(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_start(w, "periodic=on\nperiod-min=22s\nperiod-max=22s\nactive-for=1h", NULL);
	world_run_until(w, 100 * NS_S);
	world_log_is(w, "");
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 300 * NS_MS);
	world_set(w, "", "1");
	world_run_until(w, 122200 * NS_MS);
	assert_int_equal(w->reports, 1); /* at 100.3 s */
	world_check(w, false);
	world_run_until(w, 130 * NS_S);
	assert_int_equal(w->reports, 2);
	assert_int_equal(planned(w), 22 * NS_S);
	world_free(w);
}

/* HOM-001: a wish that comes during a check is granted behind it, once, and as a full one if one of the wishes was. */
static void wishes(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_start(w, "", "1");
	world_run_until(w, 10 * NS_MS);
	world_check(w, false);
	world_check(w, true);
	world_check(w, false);
	world_run_until(w, 39 * NS_MS);
	assert_int_equal(w->reports, 1);
	assert_true(netcheck_is_running(w->check));
	world_run_until(w, 60 * NS_S);
	assert_int_equal(w->reports, 2);
	assert_true(netcheck_report(w->check)->full);
	assert_int_equal(netcheck_report(w->check)->started, 20 * NS_MS);
	world_check(w, false);
	world_run_for(w, NS_S);
	assert_false(netcheck_report(w->check)->full);
	world_free(w);
}

/* HOM-001: without a map no check; a new one is used as soon as nothing hangs on the old one, and is followed by a check. */
static void maps(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	world_add(w, TCP_ANSWERS, "192.0.2.3:443", 10 * NS_S); /* TCP takes its time */
	world_start(w, "", NULL);
	world_run_until(w, 10 * NS_S);
	world_log_is(w, "");
	world_set(w, "", "1");
	world_run_until(w, 10 * NS_S + 10 * NS_MS);
	world_set(w, "", "3"); /* replaced before it is used */
	world_set(w, "", "2");
	assert_int_equal(netcheck_map(w->check)->region[0].id, 1);
	world_run_until(w, 20 * NS_S);
	world_log_is(w, "10000 udp 192.0.2.1:3478\n10020 udp 192.0.2.2:3478\n10020 report home=1 preferred=1\n10040 report home=2 preferred=2\n");
	assert_int_equal(netcheck_map(w->check)->region[0].id, 2);
	world_set(w, "only=https", "3");
	world_run_until(w, 21 * NS_S);
	world_set(w, "only=all", "1");
	world_run_until(w, 24 * NS_S);
	assert_int_equal(w->reports, 4); /* the one over HTTPS ended with its only node's 1.5 s */
	assert_int_equal(netcheck_home(w->check), 1);
	world_free(w);
}

/* The old map stays while a connection that it named is not over: a report that ends in the middle of a TLS handshake. */
static void map_named(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_ANSWERS, "192.0.2.1:443", 100 * NS_MS);
	world_start(w, "only=https\nreport-timeout=150ms", "1");
	world_run_until(w, 140 * NS_MS);
	assert_int_equal(w->open, 1);
	world_set(w, "", "2=2{'HostName':'another.test'}");
	world_run_until(w, 60 * NS_S);
	assert_int_equal(w->reports, 2);
	assert_int_equal(netcheck_map(w->check)->region[0].id, 2);
	world_free(w);
}

/* A shared map belongs to its owner: it is used from the next check on, and the old one is let go by then. */
static void shared_map(void **state)
{
	struct world *w = world_new();
	char json[WORLD_MAP], other[WORLD_MAP];
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *one, *two;

	(void)state;
	world_json(json, "1");
	world_json(other, "2");
	one = derp_map_parse(json, strlen(json), error);
	two = derp_map_parse(other, strlen(other), error);
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 20 * NS_MS);
	netcheck_share_map(w->check, one);
	world_start(w, "", NULL);
	world_run_until(w, 10 * NS_MS);
	netcheck_share_map(w->check, two);
	assert_ptr_equal(netcheck_map(w->check), one);
	world_run_until(w, NS_S);
	assert_int_equal(w->reports, 1);
	assert_ptr_equal(netcheck_map(w->check), two);
	derp_map_free(one);
	world_check(w, true);
	world_run_for(w, NS_S);
	assert_int_equal(netcheck_home(w->check), 2);
	world_free(w);
	derp_map_free(two);
}

/* ---- the home ---- */

/* HOM-013, HOM-015, HOM-017..HOM-019, REG-010 through the machine's keys; a change of home is noted once. */
static void home(void **state)
{
	struct world *w = world_new();
	struct server *one = world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 60 * NS_MS);
	world_start(w, "home=2\ncontrol=off", "1 2");
	world_run_until(w, 10 * NS_S);
	world_log_is(w, "0 udp 192.0.2.1:3478\n0 udp 192.0.2.2:3478\n60 report home=2 preferred=1\n");
	assert_int_equal(w->homes, 0);
	world_set(w, "control=on", NULL);
	world_check(w, true);
	world_run_until(w, 20 * NS_S);
	assert_int_equal(netcheck_home(w->check), 1);
	assert_int_equal(w->homes, 1);
	one->lose = 999; /* region 1 is lost; the last frame from it came 7 s before the report's end */
	world_run_until(w, 26 * NS_S);
	world_set(w, "heard=1", NULL);
	world_run_until(w, 30 * NS_S);
	world_check(w, true);
	world_run_until(w, 40 * NS_S);
	assert_int_equal(netcheck_report(w->check)->ended, 33 * NS_S);
	assert_int_equal(netcheck_report(w->check)->choice.reason, HOME_KEPT_HEARD);
	world_check(w, true);
	world_run_until(w, 50 * NS_S);
	assert_int_equal(netcheck_report(w->check)->choice.reason, HOME_LEFT);
	assert_int_equal(netcheck_home(w->check), 2);
	one->lose = 0;
	world_set(w, "force=2", NULL);
	world_check(w, true);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_report(w->check)->choice.reason, HOME_FORCED);
	world_set(w, "force=0\nhysteresis=off", NULL);
	world_check(w, true);
	world_run_until(w, 70 * NS_S);
	assert_int_equal(netcheck_report(w->check)->choice.reason, HOME_FASTEST);
	world_set(w, "homeless=on", NULL);
	world_check(w, true);
	world_run_until(w, 80 * NS_S);
	assert_int_equal(netcheck_home(w->check), 0);
	assert_int_equal(w->homes, 4);
	world_free(w);
}

/* HOM-005 by version: a preferred region that was slow in the last report is asked again since 1.78, and was not before. */
static void plan_by_version(void **state)
{
	static const char *const policies[] = { "1.70", "1.78", "current" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *w = world_new();
		char text[80];
		struct server *four;
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 41 * NS_MS);
		world_add(w, UDP_ANSWERS, "192.0.2.2:3478", 42 * NS_MS);
		world_add(w, UDP_ANSWERS, "192.0.2.3:3478", 43 * NS_MS);
		four = world_add(w, UDP_ANSWERS, "192.0.2.4:3478", 40 * NS_MS);
		snprintf(text, sizeof text, "policy=%s\nenough=9", policies[i]);
		world_start(w, text, "1 2 3 4");
		world_run_until(w, NS_S);
		four->rtt = 50 * NS_MS;
		world_check(w, true);
		world_run_for(w, NS_S);
		four->asked = 0;
		world_check(w, false);
		world_run_for(w, NS_S);
		assert_int_equal(four->asked, i > 0);
		assert_int_equal(netcheck_home(w->check), i > 0 ? 4 : 1); /* who is not asked is not measured, and not heard here */
		world_free(w);
	}
}

/* ---- the machine ---- */

/* COMMAND_LEAVE: everything under way is given up, and nothing more is ever done. */
static void leave(void **state)
{
	struct world *w = world_new();
	struct event_command m = { .verb = COMMAND_LEAVE };

	(void)state;
	world_add(w, TCP_SILENT, "192.0.2.1:443", 0);
	world_add_name(w, NAME_SILENT, "n2.test/4", NULL, 0);
	world_start(w, "periodic=on\nonly=https", "1 2=2{'IPv4':''}");
	world_run_until(w, 10 * NS_MS);
	assert_int_equal(w->open, 2);
	world_check(w, true);
	world_step(w, (struct event){ .kind = EVENT_COMMAND, .command = &m });
	world_run_until(w, 20 * NS_MS);
	assert_int_equal(w->open, 0);
	assert_int_equal(w->stopped, 1);
	w->log_n = 0, w->log[0] = 0;
	world_check(w, true);
	world_set(w, "active=on", NULL);
	world_run_until(w, 3600 * NS_S);
	world_log_is(w, "");
	assert_int_equal(machine_deadline(netcheck_machine(w->check)), TIME_NEVER);
	world_free(w);
}

/* Freed in the middle of anything, it gives everything back (a sanitizer looks). */
static void freed_anywhere(void **state)
{
	(void)state;
	for (uint64_t ms = 0; ms < 5000; ms += 97) {
		struct world *w = world_new();
		w->chunk = 7;
		world_add(w, UDP_ANSWERS, "192.0.2.9:3478", 30 * NS_MS);
		world_add(w, TCP_ANSWERS, "192.0.2.1:443", 200 * NS_MS)->answer = OK200;
		world_add(w, TCP_ANSWERS, "192.0.2.1:80", 300 * NS_MS)->answer = OK200;
		world_add_name(w, NAME_KNOWN, "n2.test/4", "192.0.2.1:0", 700 * NS_MS);
		world_start(w, "", "1=1{'CanPort80':true} 2=2{'IPv4':''}");
		world_run_until(w, ms * NS_MS);
		world_set(w, "", "9");
		assert_true(netcheck_memory(w->check) > sizeof(struct netcheck_report));
		world_free(w);
	}
}

/* One seed, one run. */
static void repeats(void **state)
{
	char *first = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w = world_new();
		world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS)->lose = 1;
		world_add(w, TCP_ANSWERS, "192.0.2.2:443", 20 * NS_MS)->answer = OK200;
		world_start_seeded(w, "periodic=on\nactive-for=1h", "1 2", 5);
		world_run_until(w, 300 * NS_S);
		if (first == NULL)
			first = strdup(w->log);
		else
			assert_string_equal(w->log, first);
		world_free(w);
	}
	free(first);
}

/* What is no configuration, and why. */
static void bad_configuration(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "map={\"Regions\":{\"x\":1}}", "map=: 1:14: $.Regions.x: expected a region number as name" },
		{ "policy=1.45", "policy=: expected one of: 1.44 1.46" },
		{ "period-min=27s", "period-min= is above period-max=" },
		{ "force=9007199254740992", "expected a number from 0 to 9007199254740991" },
		{ "style=plain", "expected one of: native browser" },
		{ "nothing=1", "expected a known key" },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_false(netcheck_config_check(cases[i].text, strlen(cases[i].text), error));
		if (strstr(error, cases[i].says) == NULL) fail_msg("%s says: %s", cases[i].text, error);
	}
	assert_true(netcheck_config_check("", 0, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_report),   cmocka_unit_test(lost_requests),
		cmocka_unit_test(slow_answer),    cmocka_unit_test(early_end),
		cmocka_unit_test(useless_probe),  cmocka_unit_test(end_stays),
		cmocka_unit_test(region_of_node), cmocka_unit_test(stun_ports),
		cmocka_unit_test(dual_stack),     cmocka_unit_test(names),
		cmocka_unit_test(forged),         cmocka_unit_test(incremental),
		cmocka_unit_test(periodic),       cmocka_unit_test(exact_times),
		cmocka_unit_test(not_periodic),   cmocka_unit_test(periodic_odd),
		cmocka_unit_test(wishes),         cmocka_unit_test(maps),
		cmocka_unit_test(map_named),      cmocka_unit_test(shared_map),
		cmocka_unit_test(home),           cmocka_unit_test(plan_by_version),
		cmocka_unit_test(leave),          cmocka_unit_test(freed_anywhere),
		cmocka_unit_test(repeats),        cmocka_unit_test(bad_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
