/* What a network check does over HTTP: latencies over TLS when UDP is dead, the browser's way, captive portals. */
#include "pair_netcheck.h"

/* ---- HTTPS ---- */

/* HOM-007: with no answer over UDP every region is asked over TLS; its first node that can be reached counts, and only the time of
 * the request. MAP-014, MAP-015, MAP-017: some are left out. Status 299 counts, 300 does not; so does a bad certificate where asked. */
static void https(void **state)
{
	static const char answer299[] = "HTTP/1.1 299 Fine\r\n\r\n", answer300[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 300 Other\r\n\r\n";
	for (size_t chunk = 0; chunk < 3; chunk++) {
		struct world *w = world_new();
		struct server *s[6];
		const struct netcheck_report *r;
		(void)state;
		w->chunk = chunk;
		(s[0] = world_add(w, TCP_REFUSES, "192.0.2.1:443", 10 * NS_MS));
		(s[1] = world_add(w, TCP_ANSWERS, "192.0.2.11:8443", 40 * NS_MS))->answer = "HTTP/1.1 100 Continue\r\n\r\n" OK200;
		(s[2] = world_add(w, TCP_ANSWERS, "192.0.2.2:443", 50 * NS_MS))->answer = answer300;
		(s[3] = world_add(w, TCP_ANSWERS, "192.0.2.3:443", 60 * NS_MS))->answer = answer299;
		(s[4] = world_add(w, TCP_ANSWERS, "192.0.2.6:443", 10 * NS_MS))->answer = OK200;
		(s[5] = world_add(w, TCP_ANSWERS, "192.0.2.7:443", 70 * NS_MS))->answer = OK200;
		s[4]->unverified = s[5]->unverified = true;
		world_start(w, "",
		            "1=1+10{'STUNOnly':true}+11{'HostName':'c.test','DERPPort':8443} 2 3 4{'Avoid':true} 5{'NoMeasureNoHome':true} 6 "
		            "7=7{'InsecureForTests':true} 8=8{'STUNOnly':true} 9=");
		world_run_until(w, 2999 * NS_MS);
		w->log_n = 0;
		world_run_until(w, 60 * NS_S);
		world_log_is(
			w,
			"3000 dial 192.0.2.1:443\n3000 dial 192.0.2.2:443\n3000 dial 192.0.2.3:443\n3000 dial 192.0.2.6:443\n3000 dial "
			"192.0.2.7:443\n"
			"3010 dial 192.0.2.11:8443\n3090 send GET /derp/latency-check HTTP/1.1\n3100 send GET /derp/latency-check HTTP/1.1\n"
			"3120 send GET /derp/latency-check HTTP/1.1\n3140 send GET /derp/latency-check HTTP/1.1\n3210 report home=1 preferred=1\n");
		r = netcheck_report(w->check);
		assert_int_equal(r->regions, 3);
		assert_int_equal(world_latency(w, 1), 40 * NS_MS);
		assert_int_equal(world_latency(w, 3), 60 * NS_MS);
		assert_int_equal(world_latency(w, 7), 70 * NS_MS);
		assert_true(!r->udp && r->ipv4 && !r->ipv6);
		assert_int_equal(r->region[0].v4_ns, 0);
		assert_string_equal(s[1]->request, "GET /derp/latency-check HTTP/1.1\r\nHost: c.test\r\n\r\n");
		assert_string_equal(s[1]->sni, "c.test");
		assert_string_equal(s[5]->sni, "n7.test insecure");
		assert_int_equal(w->open, 0);
		world_free(w);
	}
}

/* HOM-002: a report takes five seconds at most, and a node 1.5 s to be reached; the families of a node are tried at once. */
static void https_silence(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_SILENT, "192.0.2.1:443", 0);
	world_add_name(w, NAME_SILENT, "n1.test/6", NULL, 0);
	world_add(w, TCP_ANSWERS, "192.0.2.2:443", 10 * NS_MS); /* and then says nothing */
	world_add(w, TCP_ANSWERS, "[2001:db8::9]:8443", 5 * NS_MS)->answer = OK200;
	world_add_name(w, NAME_KNOWN, "n3.test/6", "[2001:db8::9]:0", 5 * NS_MS);
	world_start(w, "only=https", "1=1{'IPv6':''} 2 3=3{'IPv6':'','DERPPort':8443}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 dial 192.0.2.1:443\n0 ask n1.test/6\n0 dial 192.0.2.2:443\n0 dial 192.0.2.3:8443\n0 ask n3.test/6\n"
	                "5 dial [2001:db8:0:0:0:0:0:9]:8443\n15 send GET /derp/latency-check HTTP/1.1\n20 send GET /derp/latency-check HTTP/1.1\n"
	                "5000 report home=3 preferred=3\n");
	assert_int_equal(world_latency(w, 3), 5 * NS_MS);
	assert_true(netcheck_report(w->check)->ipv6 && !netcheck_report(w->check)->ipv4);
	assert_int_equal(w->open, 0);
	world_free(w);
}

/* A node that is not reached within 1.5 s makes place for the next. */
static void https_next_node(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_SILENT, "192.0.2.1:443", 0);
	world_add(w, TCP_ANSWERS, "192.0.2.2:443", 10 * NS_MS)->answer = OK200;
	world_start(w, "only=https", "1=1+2");
	world_run_until(w, 60 * NS_S);
	world_log_is(w,
	             "0 dial 192.0.2.1:443\n1500 dial 192.0.2.2:443\n1520 send GET /derp/latency-check HTTP/1.1\n1530 report home=1 preferred=1\n");
	world_free(w);
}

/* A hundred regions with two families a node need more tokens than there are: they wait for each other, and all are measured. */
static void https_many(void **state)
{
	struct world *w = world_new();
	char spec[8000] = "";
	size_t n = 0;

	(void)state;
	for (int i = 1; i <= 100; i++) {
		char address[40];
		n += (size_t)sprintf(spec + n, "%s%d=%d{'IPv6':'2001:db8::%d'}", i > 1 ? " " : "", i, i, i);
		sprintf(address, "192.0.2.%d:443", i);
		world_add(w, TCP_ANSWERS, address, (uint64_t)i * NS_MS)->answer = OK200;
	}
	world_start(w, "only=https", spec);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_report(w->check)->regions, 100);
	for (int i = 1; i <= 100; i++) assert_int_equal(world_latency(w, i), (uint64_t)i * NS_MS);
	assert_int_equal(w->open_max, NETCHECK_SLOTS);
	assert_int_equal(w->open, 0);
	world_free(w);
}

/* When all tokens are in use and every first node is given up at once, the second ones have their turn as tokens become free. */
static void https_many_nodes(void **state)
{
	struct world *w = world_new();
	char spec[8000] = "";
	size_t n = 0;

	(void)state;
	for (int i = 1; i <= 32; i++) {
		char address[40];
		n += (size_t)sprintf(spec + n, "%s%d=200{'IPv6':'2001:db8::200'}+%d", i > 1 ? " " : "", i, i);
		sprintf(address, "192.0.2.%d:443", i);
		world_add(w, TCP_ANSWERS, address, 10 * NS_MS)->answer = OK200;
	}
	world_start(w, "only=https", spec);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(w->open_max, NETCHECK_SLOTS);
	assert_int_equal(netcheck_report(w->check)->regions, 32);
	assert_int_equal(netcheck_report(w->check)->ended, 1530 * NS_MS);
	world_free(w);
}

/* A name that is not found makes place for the next node at once; a connection that breaks before the answer is the end for its region. */
static void https_failures(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add_name(w, NAME_FAILS, "a.test/4", NULL, 5 * NS_MS);
	world_add_name(w, NAME_KNOWN, "c.test/4", "192.0.2.4:0", 5 * NS_MS);
	world_add(w, TCP_ANSWERS, "192.0.2.2:443", 10 * NS_MS)->answer = OK200;
	world_add(w, TCP_BREAKS, "192.0.2.3:443", 10 * NS_MS);
	world_add(w, TCP_BREAKS, "192.0.2.4:443", 10 * NS_MS)->unverified = true;
	world_start(w, "only=https", "1=1{'IPv4':'','HostName':'a.test'}+2 2=3+2 3=4{'IPv4':'','HostName':'c.test'}+2");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 ask a.test/4\n0 dial 192.0.2.3:443\n0 ask c.test/4\n5 dial 192.0.2.2:443\n5 dial 192.0.2.4:443\n"
	                "20 send GET /derp/latency-check HTTP/1.1\n25 send GET /derp/latency-check HTTP/1.1\n200 report home=1 preferred=1\n");
	assert_int_equal(netcheck_report(w->check)->regions, 1);
	assert_int_equal(world_latency(w, 1), 10 * NS_MS);
	assert_int_equal(w->open, 0);
	world_free(w);
}

/* No time at all is a nanosecond, over HTTPS as over UDP: zero would mean that the region is not there. */
static void no_time_at_all(void **state)
{
	(void)state;
	for (int https = 0; https < 2; https++) {
		struct world *w = world_new();
		if (https)
			world_add(w, TCP_ANSWERS, "192.0.2.1:443", 0)->answer = OK200;
		else
			world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 0);
		world_start(w, https ? "only=https" : "", "1");
		world_run_until(w, 60 * NS_S);
		assert_int_equal(netcheck_report(w->check)->regions, 1);
		assert_int_equal(world_latency(w, 1), 1);
		assert_int_equal(netcheck_report(w->check)->udp, !https);
		world_free(w);
	}
}

/* One family that fails does not make the other a failure; the node stays in use. */
static void https_families(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_REFUSES, "192.0.2.1:443", 10 * NS_MS);
	world_add(w, TCP_ANSWERS, "[2001:db8::1]:443", 40 * NS_MS)->answer = OK200;
	world_add(w, TCP_ANSWERS, "192.0.2.2:443", 5 * NS_MS)->answer = OK200;
	world_start(w, "only=https", "1=1{'IPv6':'2001:db8::1'}+2");
	world_run_until(w, 60 * NS_S);
	assert_int_equal(world_latency(w, 1), 40 * NS_MS);
	assert_int_equal(w->server[2].asked, 0);
	world_free(w);
}

/* Host names that do not fit a request's head are not dialled; an IPv6 literal stands in brackets there. */
static void https_names(void **state)
{
	struct world *w = world_new();
	char spec[1000], name[256];

	(void)state;
	memset(name, 'x', 255), name[255] = 0;
	snprintf(spec, sizeof spec,
	         "1=1{'HostName':'a b'} 2=2{'HostName':'a\\r\\nX: y'} 3=3{'HostName':''} 4=4{'HostName':'%sx'} 5=5{'HostName':'%s'} "
	         "6=6{'HostName':'2001:db8::6'}",
	         name, name);
	world_add(w, TCP_ANSWERS, "192.0.2.5:443", 5 * NS_MS)->answer = OK200;
	world_add(w, TCP_ANSWERS, "192.0.2.6:443", 10 * NS_MS)->answer = OK200;
	world_start(w, "only=https", spec);
	world_run_until(w, 60 * NS_S);
	world_log_is(
		w, "0 dial 192.0.2.5:443\n0 dial 192.0.2.6:443\n10 send GET /derp/latency-check HTTP/1.1\n20 send GET /derp/latency-check HTTP/1.1\n"
		   "200 report home=5 preferred=5\n");
	assert_string_equal(w->server[1].request, "GET /derp/latency-check HTTP/1.1\r\nHost: [2001:db8::6]\r\n\r\n");
	world_free(w);
}

/* TRP-032: with an answer over UDP nothing is dialled, so a region whose DERP port is dead is home all the same. */
static void stun_up_tcp_down(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 20 * NS_MS);
	world_add(w, TCP_REFUSES, "192.0.2.1:443", NS_MS);
	world_add(w, TCP_ANSWERS, "192.0.2.2:443", NS_MS)->answer = OK200;
	world_start(w, "", "1 2");
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_home(w->check), 1);
	assert_int_equal(w->server[1].asked, 0);
	assert_int_equal(w->server[2].asked, 0);
	world_free(w);
}

/* TRP-031: a browser has only HTTP: the second of two requests counts, and UDP is said to work. */
static void browser(void **state)
{
	struct world *w = world_new();
	struct server *s = world_add(w, TCP_ANSWERS, "192.0.2.1:443", 40 * NS_MS);

	(void)state;
	s->answer = OK200;
	world_add(w, TCP_REFUSES, "192.0.2.2:443", 10 * NS_MS);
	world_add(w, TCP_ANSWERS, "192.0.2.4:443", 10 * NS_MS)->answer = "HTTP/1.1 404 No\r\n\r\n";
	world_start(w, "style=browser", "1 2=2+1 3{'NoMeasureNoHome':true} 4");
	world_run_until(w, 60 * NS_S);
	world_log_is(w,
	             "0 dial 192.0.2.1:443\n0 dial 192.0.2.2:443\n0 dial 192.0.2.4:443\n20 send HEAD /derp/probe HTTP/1.1\n80 send HEAD /derp/probe "
	             "HTTP/1.1\n"
	             "120 send HEAD /derp/probe HTTP/1.1\n160 report home=1 preferred=1\n");
	assert_int_equal(world_latency(w, 1), 40 * NS_MS);
	assert_true(netcheck_report(w->check)->udp && !netcheck_report(w->check)->ipv4);
	world_check(w, false); /* incremental: what was measured last time */
	world_run_for(w, NS_S);
	assert_int_equal(w->server[1].asked, 1);
	assert_int_equal(s->asked, 2);
	world_free(w);
}

/* ---- captive portal ---- */

/* MAP-019: 204 with the matching response is a relay, anything else that answers is a portal; who does not answer says nothing. */
static void portal_answers(void **state)
{
	static const struct {
		const char *answer;
		enum netcheck_answer want;
	} cases[] = {
		{ "HTTP/1.1 204 No Content\r\nX-Tailscale-Response: response ts_192.0.2.1\r\n\r\n", NETCHECK_NO },
		{ "HTTP/1.1 204 No Content\r\nx-tailscale-response:  response ts_192.0.2.1 \r\n\r\n", NETCHECK_NO },
		{ "HTTP/1.1 204 No Content\r\n\r\n", NETCHECK_YES },
		{ "HTTP/1.1 204 No Content\r\nX-Tailscale-Response: response ts_192.0.2.2\r\n\r\n", NETCHECK_YES },
		{ "HTTP/1.1 204 No Content\r\nX-Tailscale-Response: ts_192.0.2.1\r\n\r\n", NETCHECK_YES },
		{ "HTTP/1.1 200 OK\r\nX-Tailscale-Response: response ts_192.0.2.1\r\n\r\n", NETCHECK_YES },
		{ "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n", NETCHECK_YES },
		{ "no HTTP at all\r\n\r\n", NETCHECK_NO },
		{ NULL, NETCHECK_NO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = world_new();
		struct server *s = world_add(w, TCP_ANSWERS, "192.0.2.1:80", 10 * NS_MS);
		s->answer = cases[i].answer;
		w->chunk = i % 2;
		world_start(w, "report-timeout=3s", "1=1{'CanPort80':true}");
		world_run_until(w, 60 * NS_S);
		if (netcheck_report(w->check)->captive_portal != cases[i].want) fail_msg("case %zu", i);
		assert_string_equal(s->request,
		                    "GET /generate_204 HTTP/1.1\r\nHost: 192.0.2.1\r\nX-Tailscale-Challenge: ts_192.0.2.1\r\n"
		                    "Cache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\nConnection: close\r\n\r\n");
		assert_int_equal(w->open, 0);
		world_free(w);
	}
}

/* MAP-019, HOM-003: the question begins after 200 ms, in full reports only, unless STUN was through by then; 3 s are given to it, and
 * the report waits. One portal found ends the others. Behind a portal without UDP the next report is full again. */
static void portal_timing(void **state)
{
	struct world *w = world_new();
	struct server *one = world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 250 * NS_MS), *port = world_add(w, TCP_SILENT, "192.0.2.1:80", 10 * NS_MS);

	(void)state;
	world_add(w, TCP_SILENT, "192.0.2.2:80", 10 * NS_MS);
	world_start(w, "", "1=1{'CanPort80':true}+2{'CanPort80':true,'STUNPort':-1}");
	world_run_until(w, 10 * NS_S);
	world_log_is(w,
	             "0 udp 192.0.2.1:3478\n200 udp 192.0.2.1:3478\n200 dial 192.0.2.1:80\n200 dial 192.0.2.2:80\n3200 report home=1 preferred=1\n");
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_NO);
	world_check(w, false); /* incremental: no question */
	world_run_until(w, 20 * NS_S);
	assert_int_equal(port->asked, 1);
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_UNKNOWN);
	one->rtt = 199 * NS_MS;
	world_check(w, true); /* STUN is through in time */
	world_run_until(w, 30 * NS_S);
	assert_int_equal(port->asked, 1);
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_UNKNOWN);
	assert_true(netcheck_report(w->check)->full);
	one->lose = 999;
	port->kind = TCP_ANSWERS, port->answer = OK200;
	world_check(w, true);
	w->log_n = 0;
	world_run_until(w, 40 * NS_S);
	world_log_is(w, "30200 udp 192.0.2.1:3478\n30200 dial 192.0.2.1:80\n30200 dial 192.0.2.2:80\n30210 send GET /generate_204 HTTP/1.1\n"
	                "33000 dial 192.0.2.1:443\n34500 dial 192.0.2.2:443\n35000 report home=1 preferred=0\n");
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_YES);
	world_check(w, false);
	world_run_until(w, 50 * NS_S);
	assert_true(netcheck_report(w->check)->full);
	world_free(w);
}

/* HOM-002, HOM-003, MAP-019: to the nanosecond: a report that hears nothing ends after 5 s, a question for a portal begins after 200 ms
 * and is given 3 s. */
static void exact_times(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_ANSWERS, "192.0.2.1:443", 10 * NS_MS); /* and then says nothing */
	world_start(w, "only=https", "1");
	world_run_until(w, 5 * NS_S - 1);
	assert_true(netcheck_is_running(w->check));
	world_run_until(w, 5 * NS_S);
	assert_false(netcheck_is_running(w->check));
	world_free(w);
	w = world_new();
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 250 * NS_MS);
	world_add(w, TCP_SILENT, "192.0.2.1:80", 10 * NS_MS);
	world_start(w, "", "1=1{'CanPort80':true}");
	world_run_until(w, 200 * NS_MS - 1);
	world_log_is(w, "0 udp 192.0.2.1:3478\n100 udp 192.0.2.1:3478\n");
	world_run_until(w, 200 * NS_MS);
	world_log_is(w, "200 udp 192.0.2.1:3478\n200 dial 192.0.2.1:80\n");
	world_run_until(w, 3200 * NS_MS - 1);
	assert_true(netcheck_is_running(w->check));
	world_run_until(w, 3200 * NS_MS);
	assert_false(netcheck_is_running(w->check));
	world_free(w);
}

/* One portal found is enough: the other questions are given up, and the report need not wait for them. */
static void portal_found(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 250 * NS_MS);
	world_add(w, TCP_ANSWERS, "192.0.2.1:80", 10 * NS_MS)->answer = OK200;
	world_add(w, TCP_SILENT, "192.0.2.2:80", 10 * NS_MS);
	world_start(w, "", "1=1{'CanPort80':true}+2{'CanPort80':true,'STUNPort':-1}");
	world_run_until(w, 230 * NS_MS);
	assert_int_equal(w->open, 0);
	world_run_until(w, 60 * NS_S);
	assert_int_equal(netcheck_report(w->check)->ended, 250 * NS_MS);
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_YES);
	world_free(w);
}

/* Latencies that are there before 200 ms do not spare the question, if no answer came by STUN; the report waits. */
static void portal_behind_https(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add(w, TCP_ANSWERS, "192.0.2.1:443", 10 * NS_MS)->answer = OK200;
	world_add(w, TCP_ANSWERS, "192.0.2.1:80", 10 * NS_MS)->answer = OK200;
	world_start(w, "only=https", "1=1{'CanPort80':true}");
	world_run_until(w, 60 * NS_S);
	world_log_is(w, "0 dial 192.0.2.1:443\n20 send GET /derp/latency-check HTTP/1.1\n200 dial 192.0.2.1:80\n210 send GET /generate_204 HTTP/1.1\n"
	                "220 report home=1 preferred=1\n");
	assert_int_equal(netcheck_report(w->check)->captive_portal, NETCHECK_YES);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(https),          cmocka_unit_test(https_silence),    cmocka_unit_test(https_next_node),
		cmocka_unit_test(https_many),     cmocka_unit_test(https_many_nodes), cmocka_unit_test(stun_up_tcp_down),
		cmocka_unit_test(browser),        cmocka_unit_test(portal_answers),   cmocka_unit_test(portal_timing),
		cmocka_unit_test(exact_times),    cmocka_unit_test(portal_found),     cmocka_unit_test(portal_behind_https),
		cmocka_unit_test(https_families), cmocka_unit_test(https_names),      cmocka_unit_test(https_failures),
		cmocka_unit_test(no_time_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
