/* Every limit of a configuration at its borders: the numbers and times of every key of every machine, how long texts may be, how many
 * entries a list may have. The last good value, the first bad one, an absurd one; what is refused is refused with a reason. .ci/check-limits
 * wants a row here for each key of ref/ that takes a number. What is behind a border does not come from a peer: the text is whole. */
#include "pair_client.h"

#include "netcheck.h"
#include "prober.h"
#include "station.h"
#include "swarm.h"

enum machines { relay, client, netcheck, station, swarm, prober };

#define K "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"
#define M "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

/* What the machine is given before the line in question. */
static const char *const before[] = {
	[relay] = K M, [client] = K "url=http://192.0.2.1\n", [netcheck] = "", [station] = K, [swarm] = "url=http://192.0.2.1/derp\n", [prober] = ""
};

static void takes(enum machines m, const char *line, bool good)
{
	static bool (*const check[])(const char *, size_t, char[200]) = {
		[relay] = relay_config_check,     [client] = client_config_check, [netcheck] = netcheck_config_check,
		[station] = station_config_check, [swarm] = swarm_config_check,   [prober] = prober_config_check
	};
	size_t n = strlen(before[m]) + strlen(line);
	char *text = mem_alloc(n + 1), error[200] = "";

	sprintf(text, "%s%s", before[m], line);
	if (check[m](text, n, error) != good) fail_msg("%.100s: %s", line, good ? error : "is taken");
	assert_int_equal(error[0] != 0, !good);
	free(text);
}

/* ---- numbers and times ---- */

#define BEYOND_U32 "4294967296"           /* one more than 32 bits hold: not to be taken for 0 */
#define BEYOND_U64 "18446744073709551616" /* one more than 64 bits hold */
#define NO_TIME "18446744073709551616ns"
#define MS_TO_HOUR "999999ns", "1ms", "1h", "3600000000001ns", NO_TIME
#define MS_TO_DAY "999999ns", "1ms", "24h", "86400000000001ns", NO_TIME
#define ZERO_TO_HOUR NULL, "0s", "1h", "3600000000001ns", NO_TIME
#define ZERO_TO_DAY NULL, "0s", "24h", "86400000000001ns", NO_TIME
#define REGION_NUMBER NULL, "0", "9007199254740991", "9007199254740992", BEYOND_U64 /* MAP-002 */

static const struct number {
	enum machines machine;
	const char *key, *below, *least, *most, *above, *absurd; /* below, above: NULL: there is no such value */
	const char *with;                                        /* a line that must stand beside it, or NULL */
} numbers[] = {
	{ relay, "queue-depth", "0", "1", "1024", "1025", BEYOND_U32, NULL },
	{ relay, "high-water", "0", "1", "1073741824", "1073741825", BEYOND_U32, NULL },
	{ relay, "sessions-max", "0", "1", "67108864", "67108865", BEYOND_U32, NULL },
	{ relay, "keys-max", "0", "1", "67108864", "67108865", BEYOND_U32, NULL },
	{ relay, "mesh-keys-max", "0", "1", "67108864", "67108865", BEYOND_U32, NULL },
	{ relay, "departed-max", "0", "1", "67108864", "67108865", BEYOND_U32, NULL },
	{ relay, "verify-client-questions", "0", "1", "1024", "1025", BEYOND_U32, NULL },
	{ relay, "accept-connection-limit", NULL, "0", "18446744073709551615", NULL, BEYOND_U64, NULL },
	{ relay, "accept-connection-burst", "0", "1", "18446744073709551615", NULL, BEYOND_U64, NULL },
	{ relay, "mesh-retry", MS_TO_HOUR, NULL },
	{ relay, "write-timeout", ZERO_TO_HOUR, NULL },
	{ relay, "mesh-write-timeout", ZERO_TO_HOUR, NULL },
	{ relay, "http-timeout", MS_TO_HOUR, NULL },
	{ relay, "login-timeout", MS_TO_HOUR, NULL },
	{ relay, "verify-client-timeout", MS_TO_HOUR, NULL },
	{ relay, "keepalive", MS_TO_DAY, NULL },
	{ relay, "keepalive-jitter", ZERO_TO_DAY, NULL },
	{ client, "queue-depth", "0", "1", "1024", "1025", BEYOND_U32, NULL },
	{ client, "high-water", "0", "1", "1073741824", "1073741825", BEYOND_U32, NULL },
	{ client, "dial-timeout", MS_TO_HOUR, NULL },
	{ client, "connect-timeout", MS_TO_HOUR, NULL },
	{ client, "receive-timeout", MS_TO_DAY, NULL },
	{ client, "retry-after", MS_TO_HOUR, NULL },
	{ client, "retry-max", MS_TO_HOUR, NULL },
	{ client, "return-after", NULL, "0s", "18446744073709551615ns", NULL, NO_TIME, NULL },
	{ client, "forward-timeout", ZERO_TO_HOUR, NULL },
	{ netcheck, "force", REGION_NUMBER, NULL },
	{ netcheck, "home", REGION_NUMBER, NULL },
	{ netcheck, "heard", REGION_NUMBER, NULL },
	{ netcheck, "enough", "0", "1", "1024", "1025", BEYOND_U32, NULL },
	{ netcheck, "report-timeout", MS_TO_HOUR, NULL },
	{ netcheck, "stun-timeout", MS_TO_HOUR, NULL },
	{ netcheck, "full-every", ZERO_TO_DAY, NULL },
	{ netcheck, "portal-delay", ZERO_TO_HOUR, NULL },
	{ netcheck, "portal-timeout", MS_TO_HOUR, NULL },
	{ netcheck, "dial-timeout", MS_TO_HOUR, NULL },
	{ netcheck, "period-min", MS_TO_DAY, "period-max=24h\n" },
	{ netcheck, "period-max", MS_TO_DAY, "period-min=1ms\n" },
	{ netcheck, "active-for", ZERO_TO_DAY, NULL },
	{ station, "regions-max", "0", "1", "4096", "4097", BEYOND_U32, NULL },
	{ prober, "region", REGION_NUMBER, NULL },
	{ prober, "timeout", MS_TO_HOUR, NULL },
	{ prober, "bandwidth", NULL, "0", "1073741824", "1073741825", BEYOND_U64, NULL },
	{ prober, "rate", NULL, "0", "10000", "10001", BEYOND_U64, NULL },
	{ prober, "rate-time", "999999ns", "1ms", "60s", "60000000001ns", NO_TIME, NULL },
	{ swarm, "clients", "1", "2", "1048576", "1048577", BEYOND_U32, NULL }, /* of pairs */
	{ swarm, "logins", "0", "1", "1048576", "1048577", BEYOND_U32, NULL },
	{ swarm, "size", "23", "24", "65536", "65537", BEYOND_U32, NULL },
	{ swarm, "batch", "0", "1", "4096", "4097", BEYOND_U32, "window=4096\n" },
	{ swarm, "window", "0", "1", "4096", "4097", BEYOND_U32, NULL },
	{ swarm, "rate", NULL, "0", "1000000000", "1000000001", BEYOND_U64, NULL },
	{ swarm, "patience", MS_TO_HOUR, NULL },
	{ swarm, "high-water", NULL, "0", "1073741824", "1073741825", BEYOND_U32, NULL }, /* 0: as a client has it */
	{ station, "peers-max", "0", "1", "16777216", "16777217", BEYOND_U32, NULL },
};

static void takes_value(const struct number *x, const char *value, bool good)
{
	char line[200];

	if (value == NULL) return;
	snprintf(line, sizeof line, "%s%s=%s\n", x->with == NULL ? "" : x->with, x->key, value);
	takes(x->machine, line, good);
}

/* SRV-011, SRV-019, SRV-022, HSK-017, HTTP-022, RAT-012, CLI-014, MAP-002: and never a sign, a fraction or nothing. */
static void every_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct number *x = &numbers[i];
		takes_value(x, x->below, false);
		takes_value(x, x->least, true);
		takes_value(x, x->most, true);
		takes_value(x, x->above, false);
		takes_value(x, x->absurd, false);
		takes_value(x, "-1", false);
		takes_value(x, "1.5", false);
		takes_value(x, "", false);
	}
}

/* ---- texts ---- */

/* start, n times what is repeated, end: a line of a configuration. */
static char *line_of(const char *start, const char *again, size_t n, const char *end)
{
	size_t at = strlen(start), step = strlen(again);
	char *line = mem_alloc(at + n * step + strlen(end) + 1);

	memcpy(line, start, at);
	for (size_t i = 0; i < n; i++, at += step) memcpy(line + at, again, step);
	strcpy(line + at, end);
	return line;
}

/* How often what is repeated may stand there: once at least, `most` times, not once more, and not 100,000 times. */
static const struct repeated {
	enum machines machine;
	const char *start, *again;
	size_t most;
	const char *end;
} lengths[] = {
	{ relay, "debug-key=", "k", 255, "\n" },
	{ relay, "home=http://", "h", 993, "\n" }, /* 1,000 characters with the seven before them */
	{ relay, "verify-client-url=https://", "h", 992, "\n" },
	{ relay, "mesh-with=", "h", 100, "\n" },
	{ relay, "mesh-with=http://", "h", 93, "\n" },
	{ relay, "mesh-with=a/", "d", 98, "\n" },
	{ relay, "bootstrap-dns-names=", "n", 253, "\n" },
	{ relay, "unpublished-bootstrap-dns-names=", "n", 253, "/100\n" },
	{ client, "app-name=", "n", 63, "\n" },
	{ client, "dial-host=", "h", 255, "\n" },
}, urls[] = {
	{ client, K "url=http://", "h", 255, "/derp\n" },
	{ client, K "url=http://", "h", 255, ":65535/derp\n" },
	{ client, K "url=http://a/", "p", 1022, "\n" },
	{ client, K "region={\"Nodes\":[{\"HostName\":\"", "h", 255, "\"}]}\n" },
	{ client, K "region={\"Nodes\":[{\"HostName\":\"a\",\"Name\":\"", "n", 255, "\"}]}\n" },
	{ client, K "region={\"Nodes\":[{\"HostName\":\"a\",\"CertName\":\"", "c", 255, "\"}]}\n" },
}, lists[] = {
	{ relay, "mesh-with=", "a.test,", 64, "\n" },      /* MSH-002 */
	{ relay, "debug-allow=", "192.0.2.1,", 16, "\n" }, /* HTTP-043 */
};

static void takes_text(const struct repeated *x, size_t n, bool good)
{
	char *line = line_of(x->start, x->again, n, x->end);
	char error[200] = "";

	if (strncmp(line, K, strlen(K)) != 0) {
		takes(x->machine, line, good);
	} else { /* a whole text of its own */
		if (client_config_check(line, strlen(line), error) != good) fail_msg("%s... %zu times: %s", x->start, n, error);
		assert_int_equal(error[0] != 0, !good);
	}
	free(line);
}

static void takes_up_to(const struct repeated *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		takes_text(&x[i], 1, true);
		takes_text(&x[i], x[i].most, true);
		takes_text(&x[i], x[i].most + 1, false);
		takes_text(&x[i], 100000, false);
	}
}

/* HTTP-042, HTTP-043, RAT-014, HSK-014: texts that have a longest. */
static void texts(void **state)
{
	(void)state;
	takes_up_to(lengths, sizeof lengths / sizeof *lengths);
	takes_up_to(urls, sizeof urls / sizeof *urls);
}

/* MSH-002, HTTP-042, HTTP-043: entries of a list; names that must differ are counted by ref/bootstrap_test.c. */
static void list_entries(void **state)
{
	(void)state;
	takes_up_to(lists, sizeof lists / sizeof *lists);
}

/* The texts of a region's nodes together: 64 bytes, and for each node 16, its names and its host name twice, of less than 60,000. */
static void region_nodes(void **state)
{
	char *start = line_of(K "region={\"Nodes\":[", "{\"HostName\":\"a\"},", 3328, "{\"HostName\":\"a\",\"Name\":\"");
	struct repeated last = { client, start, "n", 13, "\"}]}\n" };

	(void)state;
	takes_up_to(&last, 1);
	free(start);
}

/* CLI-021, CLI-022, MSH-002: a port is 1 to 65,535. */
static void ports(void **state)
{
	static const struct {
		const char *port;
		bool good;
	} cases[] = {
		{ "0", false }, { "1", true }, { "65535", true }, { "65536", false }, { "99999", false }, { "4294967297", false }, { "", false }
	};
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[200];
		snprintf(line, sizeof line, K "url=https://a.test:%s/derp\n", cases[i].port);
		assert_int_equal(client_config_check(line, strlen(line), error), cases[i].good);
		snprintf(line, sizeof line, K "region={}\nproxy=http://a.test:%s\n", cases[i].port);
		assert_int_equal(client_config_check(line, strlen(line), error), cases[i].good);
		snprintf(line, sizeof line, "mesh-with=a.test:%s\n", cases[i].port);
		takes(relay, line, cases[i].good);
	}
}

/* HTTP-001, HTTP-034: the longest URL that a configuration may hold goes out as a request, whole, as a WebSocket too. */
STORY(longest_request)
{
	char *host = line_of("url=http://", "h", 255, ":80/"), *url = line_of(host, "p", 1022, "\nretry=manual\ndial-host=192.0.2.50\n");
	char *want = line_of("GET /", "p", 1022, " HTTP/1.1\r\nHost: "), *whole = line_of(want, "h", 255, ":80\r\n");
	char *websocket = line_of(url, "websocket=on\n", 1, "");

	wire_listens(p);
	pair_client(p, A, url);
	request_is(p, wire_relay(p), whole);
	pair_client(p, B, websocket);
	request_is(p, wire_relay(p), whole);
	free(host), free(url), free(want), free(whole), free(websocket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number), cmocka_unit_test(texts), cmocka_unit_test(list_entries),
		cmocka_unit_test(region_nodes), cmocka_unit_test(ports), cmocka_unit_test(longest_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
