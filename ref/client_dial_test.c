/* Where a client connects, how long it tries, when it comes back: nodes, families, names, deadlines, back-off. */
#include "pair_client.h"

/* CLI-023, CLI-024, CLI-032: a reset in the middle is told once; the client is back after 5 to 15 ms, one generation later, and sends what waited. */
STORY(reconnect)
{
	struct key b = pair_public(B);
	int r = pair_relay(p, SERVER, ""), ca = pair_client(p, A, "url=http://192.0.2.101/derp\nhome=on\n"),
	    cb = pair_client(p, B, "url=http://192.0.2.101/derp\n");
	uint64_t wait;

	pair_abort(p, 0, 1);
	pair_run(p);
	wait = ended(p, ca, 0, CLIENT_END_RESET);
	assert_true(wait >= 5 * NS_MS && wait <= 15 * NS_MS);
	state_is(p, ca, CLIENT_WAITING);
	assert_int_equal(pair_heard_count(p, ca, DELIVER_DISCONNECTED), 1);
	pair_send(p, ca, &b, "waited", 6);
	assert_int_equal(client_packets_queued(client_of(p, ca)), 1);
	pair_advance(p, wait - 1);
	state_is(p, ca, CLIENT_WAITING);
	pair_advance(p, 1);
	state_is(p, ca, CLIENT_READY);
	assert_int_equal(client_generation(client_of(p, ca)), 2);
	packet_came(p, cb, 0, A, "waited");
	assert_int_equal(relay_counters(p->host[r].relay)->current_home_connections, 1); /* CLI-025: remembered */
	assert_int_equal(relay_counters(p->host[r].relay)->logins, 3);
}

/* CLI-014: a relay that accepts and says nothing costs 10 s, counted from the start of the attempt. */
STORY(connect_timeout)
{
	int c;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=manual\n");
	pair_advance(p, 5 * NS_S);
	wire_send(p, wire_relay(p), "HTTP/1.1 101 x\r\n", 16);
	pair_advance(p, 5 * NS_S - 1);
	state_is(p, c, CLIENT_HTTP);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-032, TRP-036: n^2 x 10 ms at most 5 s, times 0.5 to 1.5, for ever; any message from the relay resets n. */
STORY(backoff_original)
{
	uint64_t least = 0, most = 0;
	int c = pair_client(p, A, WIRE "raw=on\n"), s;

	for (uint64_t n = 1; n < 60; n++) {
		uint64_t base = n * n * 10 * NS_MS < 5 * NS_S ? n * n * 10 * NS_MS : 5 * NS_S, wait = ended(p, c, n - 1, CLIENT_END_REFUSED);
		assert_true(wait >= base / 2 && wait <= base + base / 2);
		least += wait<base, most += wait> base;
		pair_advance(p, wait);
	}
	assert_true(least > 10 && most > 10);
	wire_listens(p);
	pair_advance(p, 8 * NS_S);
	s = wire_ready(p, c, A);
	wire_reset(p, s);
	assert_true(ended(p, c, pair_heard_count(p, c, DELIVER_DISCONNECTED) - 1, CLIENT_END_RESET) <= 15 * NS_MS);
}

/* The fixed policy, if nobody says more: 5 s. */
STORY(backoff_fixed)
{
	int c = pair_client(p, A, WIRE "retry=fixed\n");

	assert_int_equal(ended(p, c, 0, CLIENT_END_REFUSED), 5 * NS_S);
	pair_advance(p, 5 * NS_S - 1);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 1);
	pair_advance(p, 1);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 2);
}

/* The other policies: at once, fixed, full jitter with its cap. */
STORY(backoff_others)
{
	int fixed = pair_client(p, A, WIRE "retry=fixed\nretry-after=700ms\n"), jitter = pair_client(p, B, WIRE "retry=full-jitter\nretry-max=2s\n"),
	    none;
	uint64_t longest = 0;

	pair_advance(p, 7 * NS_S + 1);
	assert_int_equal(pair_heard_count(p, fixed, DELIVER_DISCONNECTED), 11);
	for (size_t i = 0; i < 200; i++) {
		uint64_t wait, cap = i < 18 && (UINT64_C(10) << i) < 2000 ? (UINT64_C(10) << i) * NS_MS : 2 * NS_S;
		while (pair_heard_count(p, jitter, DELIVER_DISCONNECTED) <= i) pair_advance(p, 100 * NS_MS);
		wait = ended(p, jitter, i, CLIENT_END_REFUSED);
		assert_true(wait <= cap);
		if (wait > longest) longest = wait;
	}
	assert_true(longest > 1900 * NS_MS);
	wire_listens(p);
	none = pair_client(p, C, WIRE "raw=on\nretry=none\n");
	wire_reset(p, wire_relay(p));
	assert_int_equal(ended(p, none, 0, CLIENT_END_RESET), 0);
	state_is(p, none, CLIENT_LOGIN);
}

/* CLI-015, CLI-018, HTTP-016, HTTP-017, MAP-004, MAP-005, TRP-028: nodes in order, STUN-only ones never; a later node is told the ideal one. */
STORY(region_order)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(NODE("1s", "s.test", ",\"STUNOnly\":true" V4("50")) "," NODE(
				"1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("50")) "," NODE("1c", "c.test", V4("50"))));
	assert_int_equal(client_nodes(client_of(p, c)), 4);
	assert_int_equal(client_node(client_of(p, c)), 2);
	s = wire_relay(p);
	request_is(
		p, s,
		"GET /derp HTTP/1.1\r\nHost: b.test:80\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nIdeal-Node: 1s\r\n" /* TRP-028 */
		"Upgrade: DERP\r\n\r\n");
	wire_reset(p, s); /* CLI-016: after TCP there is no fail-over within the attempt */
	ended(p, c, 0, CLIENT_END_RESET);
	state_is(p, c, CLIENT_IDLE);
	pair_listen(p, pair_address(60, 80), PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	assert_int_equal(client_node(client_of(p, c)), 1); /* CLI-018: again from the first */
}

/* CLI-015: 1.5 s for a node that is silent, then the next; when none is left the attempt is over. */
STORY(region_dial_timeout)
{
	int c;

	for (uint8_t i = 50; i < 53; i++) pair_listen(p, pair_address(i, 80), i == 51 ? PAIR_UNREACHABLE : PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(
				NODE("1a", "a.test", V4("50")) "," NODE("1b", "b.test", V4("51")) "," NODE("1c", "c.test", V4("52"))));
	pair_advance(p, 1500 * NS_MS - 1);
	assert_int_equal(client_node(client_of(p, c)), 0);
	pair_advance(p, 1);
	assert_int_equal(client_node(client_of(p, c)), 2);
	assert_int_equal(p->stream[0].end[0].open, false); /* the silent dial was aborted */
	pair_advance(p, 1500 * NS_MS);
	ended(p, c, 0, CLIENT_END_REFUSED);
	state_is(p, c, CLIENT_IDLE);
}

/* CLI-014: in URL mode, which has no second node, one that is silent costs the whole attempt's 10 s. */
STORY(url_dial_timeout)
{
	int c;

	pair_listen(p, wire_at, PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A, WIRE "retry=manual\n");
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
}

/* CLI-014 over CLI-015: seven silent nodes end after 10 s, not 10.5. */
STORY(region_all_silent)
{
	int c;

	pair_listen(p, wire_at, PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A,
	                "plain=on\nretry=manual\n" REGION(NODE("1", "a", V4("50")) "," NODE("2", "a", V4("50")) "," NODE("3", "a", V4("50")) "," NODE(
				"4", "a", V4("50")) "," NODE("5", "a", V4("50")) "," NODE("6", "a", V4("50")) "," NODE("7", "a", V4("50"))));
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
}

/* MAP-017: a region without a node to connect to fails at once and breaks nothing. */
STORY(region_stun_only)
{
	int c = pair_client(p, A, "retry=fixed\nretry-after=1s\n" REGION(NODE("1s", "s.test", ",\"STUNOnly\":true"))), d;

	ended(p, c, 0, CLIENT_END_REFUSED);
	pair_advance(p, 3 * NS_S);
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), 4);
	d = pair_client(p, B, "retry=manual\n" REGION(""));
	ended(p, d, 0, CLIENT_END_REFUSED);
}

static const struct address six = { .ip = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, .port = 80 };
#define BOTH ",\"IPv4\":\"192.0.2.50\",\"IPv6\":\"2001:db8::1\",\"DERPPort\":80"

/* CLI-019: both families start together; the first success wins and the other dial is cancelled; a node fails with its last dial. */
STORY(families_race)
{
	int c;

	pair_listen(p, six, PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_listen(p, wire_at, PAIR_SILENT, -1, TOKEN_NONE, false);
	c = pair_client(p, A, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", BOTH)));
	state_is(p, c, CLIENT_HTTP);
	assert_true(wire_accepted(p, six) >= 0);
	assert_false(p->stream[0].end[0].open);
	pair_listen_set(p, six, PAIR_UNREACHABLE);
	wire_reset(p, wire_accepted(p, six));
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	state_is(p, c, CLIENT_DIALING); /* IPv6 failed at once, IPv4 is still silent */
	pair_advance(p, 1500 * NS_MS);
	ended(p, c, 1, CLIENT_END_REFUSED);
}

#define WIRE_NAMED "url=http://named.test/derp\n"
/* CLI-021, MAP-006: names are asked for each family that has no literal; the answer is dialled at the node's port. */
STORY(names_asked)
{
	struct address answer = pair_address(50, 0);
	int c;

	wire_listens(p);
	c = pair_client(p, A, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", ",\"DERPPort\":80")));
	assert_string_equal(p->host[c].ask, "a.test");
	state_is(p, c, CLIENT_DIALING);
	pair_answer(p, c, &answer);
	state_is(p, c, CLIENT_HTTP);
	wire_reset(p, wire_relay(p));
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_answer(p, c, NULL);
	ended(p, c, 1, CLIENT_END_REFUSED);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_advance(p, 1500 * NS_MS); /* no answer: the question is cancelled */
	ended(p, c, 2, CLIENT_END_REFUSED);
	assert_int_equal(p->host[c].ask_token, TOKEN_NONE);
	c = pair_client(p, B, WIRE_NAMED "dial-host=dial.test\nretry=manual\n"); /* MSH-002 */
	assert_string_equal(p->host[c].ask, "dial.test");
	pair_answer(p, c, &answer);
	request_is(p, wire_relay(p), "GET /derp HTTP/1.1\r\nHost: named.test\r\n");
	c = pair_client(p, B, "plain=on\n" REGION(NODE("1a", "192.0.2.50", ",\"DERPPort\":80"))); /* a literal as host name */
	state_is(p, c, CLIENT_HTTP);
	c = pair_client(p, C, "plain=on\nretry=manual\n" REGION(NODE("1a", "a.test", ",\"IPv4\":\"none\",\"IPv6\":\"none\"")));
	ended(p, c, 0, CLIENT_END_REFUSED);
}

static void region_to(struct pair *p, int c, const char *config, bool flag)
{
	const char *json = config + strlen("region=");
	uint32_t n = (uint32_t)strlen(json) - 1;
	uint8_t *copy = mem_alloc(n);

	memcpy(copy, json, n);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_REGION, .flag = flag, .p = copy, .n = n });
	free(copy);
}

/* CLI-017, CLI-038: a new region takes effect with the next attempt; one under way is given up, an established connection only if told so. */
STORY(region_changed)
{
	static const char to_52[] = REGION(NODE("1x", "x.test", V4("52")));
	static const char many[] = REGION(NODE("1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("61")) "," NODE("1c", "c.test", V4("50")));
	struct address at_52 = pair_address(52, 80);
	int c, s;

	wire_listens(p);
	pair_listen(p, at_52, PAIR_WIRE, -1, TOKEN_NONE, false);
	c = pair_client(p, A, many);
	assert_int_equal(client_node(client_of(p, c)), 2);
	state_is(p, c, CLIENT_HTTP);
	region_to(p, c, to_52, false); /* in the middle of an attempt on the third node of three */
	ended(p, c, 0, CLIENT_END_REGION);
	pair_advance(p, 0);
	s = wire_accepted(p, at_52);
	assert_true(s >= 0);
	assert_string_equal(p->stream[s].end[0].server_name, "x.test");
	assert_int_equal(client_node(client_of(p, c)), 0);
	wire_send(p, s, "HTTP/1.1 101 x\r\n\r\n", 18);
	server_key(p, s, 0);
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	state_is(p, c, CLIENT_READY);
	region_to(p, c, many, false);
	state_is(p, c, CLIENT_READY);
	region_to(p, c, to_52, true);
	ended(p, c, 1, CLIENT_END_REGION);
	state_is(p, c, CLIENT_HTTP);
}

/* OQ-4: return-after goes back to the first node; default is to stay (CLI-018). */
STORY(return_after)
{
	struct address first = pair_address(60, 80);
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, "raw=on\nreturn-after=30s\n" REGION(NODE("1a", "a.test", V4("60")) "," NODE("1b", "b.test", V4("50"))));
	s = wire_ready(p, c, A);
	pair_listen(p, first, PAIR_WIRE, -1, TOKEN_NONE, false);
	pair_advance(p, 30 * NS_S - 1);
	state_is(p, c, CLIENT_READY);
	pair_advance(p, 1);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(ended(p, c, 0, CLIENT_END_RETURN), 0);
	assert_int_equal(client_node(client_of(p, c)), 0);
	server_key(p, wire_accepted(p, first), 0);
	server_info(p, wire_accepted(p, first), A, &(struct server_info){ .version = 2 });
	pair_advance(p, 100 * NS_S);
	state_is(p, c, CLIENT_READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reconnect),           cmocka_unit_test(connect_timeout),  cmocka_unit_test(backoff_original),
		cmocka_unit_test(backoff_fixed),       cmocka_unit_test(backoff_others),   cmocka_unit_test(region_order),
		cmocka_unit_test(region_dial_timeout), cmocka_unit_test(url_dial_timeout), cmocka_unit_test(region_all_silent),
		cmocka_unit_test(region_stun_only),    cmocka_unit_test(families_race),    cmocka_unit_test(names_asked),
		cmocka_unit_test(region_changed),      cmocka_unit_test(return_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
