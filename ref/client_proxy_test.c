/* The CONNECT proxy, against proxies written by hand (CLI-022). */
#include "pair_client.h"

#define PROXY "plain=on\nretry=manual\nproxy=http://192.0.2.50\n"
#define TWO REGION(NODE("1a", "a.test", "") "," NODE("1b", "2001:db8::7", ",\"DERPPort\":8443"))

static const char request_a[] = "CONNECT a.test:3340 HTTP/1.1\r\nHost: a.test:3340\r\n\r\n";
static const char request_b[] = "CONNECT [2001:db8::7]:8443 HTTP/1.1\r\nHost: [2001:db8::7]:8443\r\n\r\n";
static const char yes[] = "HTTP/1.1 200 Connection established\r\nVia: somebody\r\n\r\n";

static void says(struct pair *p, int s, const char *text) { wire_send(p, s, text, strlen(text)); }

/* CLI-022: the proxy is dialled instead of the node, asked for HostName:port with the Host header equal to it, and after its 200 the
 * login goes on as if nothing stood in between. */
STORY(through_proxy)
{
	struct client_info info;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, PROXY TWO);
	state_is(p, c, CLIENT_PROXY);
	s = wire_relay(p);
	request_is(p, s, request_a);
	quiet(p, s);
	says(p, s, yes);
	state_is(p, c, CLIENT_HTTP);
	request_is(p, s, "GET /derp HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n");
	says(p, s, "HTTP/1.1 101 x\r\n\r\n");
	server_key(p, s, 0);
	client_info_is(p, s, A, &info);
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	state_is(p, c, CLIENT_READY);
	assert_int_equal(p->streams, 1);
	assert_int_equal(client_node(client_of(p, c)), 0);
}

/* The port of the target is the node's: 443 where the map says none, and what it says else; literals of the node are not dialled. */
STORY(target_port)
{
	static const struct {
		const char *region, *target;
	} cases[] = {
		{ REGION(NODE("1a", "a.test", ",\"IPv4\":\"192.0.2.77\",\"IPv6\":\"none\"")), "a.test:443" },
		{ REGION(NODE("1a", "a.test", ",\"IPv4\":\"none\",\"IPv6\":\"none\",\"DERPPort\":1")), "a.test:1" },
		{ REGION(NODE("1a", "192.0.2.77", ",\"DERPPort\":65535")), "192.0.2.77:65535" },
	};

	wire_listens(p);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[600], request[200];
		int c, s;
		snprintf(text, sizeof text, "retry=manual\ninsecure=on\nproxy=http://192.0.2.50:80/\n%s", cases[i].region);
		c = pair_client(p, A, text);
		s = wire_relay(p);
		snprintf(request, sizeof request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].target, cases[i].target);
		request_is(p, s, request);
		says(p, s, yes);
		state_is(p, c, CLIENT_HTTP); /* TLS was asked for and is there */
		assert_true(p->stream[s].end[0].tls);
		wire_reset(p, s);
	}
	assert_int_equal(p->streams, 3);
}

/* Only 200 will do: any other status, something that is no HTTP, too long a head and a close lead to the next node, as a refused TCP
 * connection would (CLI-016), and behind the last node to the end of the attempt. */
STORY(refusals)
{
	static const char *const bad[] = {
		"HTTP/1.1 199 x\r\n\r\n",
		"HTTP/1.1 201 Created\r\n\r\n",
		"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 502 Bad Gateway\r\n\r\n",
		"SSH-2.0-x\r\n\r\n",
		NULL,
	};
	int c;

	wire_listens(p);
	c = pair_client(p, A, "connect=off\n" PROXY TWO);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int first, second;
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		first = wire_relay(p);
		request_is(p, first, request_a);
		bad[i] != NULL ? says(p, first, bad[i]) : wire_fin(p, first);
		state_is(p, c, CLIENT_PROXY);
		assert_int_not_equal(wire_end(p, first)->ended, PAIR_OPEN);
		second = wire_relay(p);
		assert_int_not_equal(second, first);
		request_is(p, second, request_b);
		bad[i] != NULL ? says(p, second, bad[i]) : wire_reset(p, second);
		ended(p, c, i, CLIENT_END_REFUSED);
		state_is(p, c, CLIENT_IDLE);
	}
	assert_int_equal(pair_heard_count(p, c, DELIVER_DISCONNECTED), sizeof bad / sizeof *bad);
}

/* A head of HTTP_HEAD_MAX bytes is read, one byte more is not; and one that never ends is given up there. */
STORY(head_limit)
{
	char *text = malloc(HTTP_HEAD_MAX + 2);
	int c;

	assert_non_null(text);
	wire_listens(p);
	c = pair_client(p, A, "connect=off\n" PROXY REGION(NODE("1a", "a.test", "")));
	for (int more = -1; more <= 1; more++) {
		int n = HTTP_HEAD_MAX + more, head = snprintf(text, 64, "HTTP/1.1 200 OK\r\nX: ");
		memset(text + head, 'x', (size_t)(n - head));
		memcpy(text + n - 4, "\r\n\r\n", 4);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		wire_send(p, wire_relay(p), text, (size_t)n);
		if (more <= 0) {
			state_is(p, c, CLIENT_HTTP);
			wire_reset(p, wire_relay(p));
		} else {
			state_is(p, c, CLIENT_IDLE);
		}
	}
	free(text);
}

/* What comes behind the 200 with it is an error: it cannot be the relay's, which has not been spoken to. Cut to bytes it comes later, and
 * is the business of what follows. */
static void over_read(void **state)
{
	struct pair *p = pair_new(0);
	char text[100];
	int c, s;

	(void)state;
	wire_listens(p);
	c = pair_client(p, A, PROXY REGION(NODE("1a", "a.test", "")));
	s = wire_relay(p);
	snprintf(text, sizeof text, "%s!", yes);
	says(p, s, text);
	ended(p, c, 0, CLIENT_END_REFUSED);
	state_is(p, c, CLIENT_IDLE);
	assert_int_equal(pair_noted(p, c, NOTE_CUT, 0)->token, pair_noted(p, c, NOTE_STATE, 1)->token);
	pair_free(p);
}

/* CLI-014: a silent proxy costs the whole attempt its 10 s and no node its 1.5 s; one that is not there at all is asked once a node. */
STORY(silence)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, PROXY TWO);
	s = wire_relay(p);
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_PROXY);
	assert_int_equal(wire_relay(p), s);
	pair_advance(p, 1);
	ended(p, c, 0, CLIENT_END_TIMEOUT);
	assert_int_equal(wire_end(p, s)->ended, PAIR_RESET);
	pair_listen_set(p, wire_at, PAIR_SILENT);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	pair_advance(p, 10 * NS_S - 1);
	state_is(p, c, CLIENT_DIALING);
	pair_advance(p, 1);
	ended(p, c, 1, CLIENT_END_TIMEOUT);
	assert_int_equal(p->streams, 2);
	pair_listen_set(p, wire_at, PAIR_REFUSE);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
	ended(p, c, 2, CLIENT_END_REFUSED);
	assert_int_equal(p->streams, 4);
}

/* A proxy with a name is asked for by name, with its own port; CLI-020 does not delay it. */
STORY(named_proxy)
{
	struct address answer = pair_address(50, 0);
	int c;

	wire_listens(p);
	c = pair_client(p, A, "prefer-v6=on\nproxy=http://proxy.test\n" REGION(NODE("1a", "a.test", ",\"DERPPort\":8443")));
	assert_string_equal(p->host[c].ask, "proxy.test");
	pair_answer(p, c, &answer);
	state_is(p, c, CLIENT_PROXY);
	request_is(p, wire_relay(p), "CONNECT a.test:8443 HTTP/1.1\r\n");
}

/* CLI-026: Leave in the middle closes the connection to the proxy too. */
STORY(leave)
{
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, PROXY TWO);
	s = wire_relay(p);
	pair_command(p, c, &(struct event_command){ .verb = COMMAND_LEAVE });
	state_is(p, c, CLIENT_GONE);
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	says(p, s, yes);
	state_is(p, c, CLIENT_GONE);
}

static void config_checked(void **state)
{
#define K "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "proxy=http://192.0.2.1:3128\n" REGION(""), true }, { "proxy=http://[2001:db8::1]\n" REGION(""), true },
		{ "proxy=http://proxy.test/\n" REGION(""), true },    { "proxy=https://proxy.test\n" REGION(""), false },
		{ "proxy=http://proxy.test/x\n" REGION(""), false },  { "proxy=proxy.test:3128\n" REGION(""), false },
		{ "proxy=http://proxy.test:0\n" REGION(""), false },  { "proxy=http://192.0.2.1\nurl=http://x/\n", false },
	};
	char error[200], text[400];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, K "%s", cases[i].text);
		if (client_config_check(text, strlen(text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
	}
	snprintf(text, sizeof text, K REGION("") "proxy=ftp://%0150d\n", 0); /* shown cut, as errors are */
	assert_false(client_config_check(text, strlen(text), error));
	assert_non_null(strstr(error, "proxy="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(through_proxy), cmocka_unit_test(target_port), cmocka_unit_test(refusals),
		cmocka_unit_test(head_limit),    cmocka_unit_test(over_read),   cmocka_unit_test(silence),
		cmocka_unit_test(named_proxy),   cmocka_unit_test(leave),       cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
