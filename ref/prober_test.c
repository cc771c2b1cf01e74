/* The prober at our relays, where everything is good or a node is missing, and at a relay written by hand, which errs. */
#include "pair_client.h"
#include "prober.h"
#include "stun.h"

#define NODES_MAX 3
#define PLAIN "plain=on\n"
#define MESH_LINE "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

static struct derp_map *map; /* of the test at hand */

static void map_is(const char *json)
{
	char error[DERPMAP_ERROR_SIZE];

	derp_map_free(map);
	map = derp_map_parse(json, strlen(json), error);
	if (map == NULL) fail_msg("%s", error);
}

#define ONE(nodes) "{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"x\",\"Nodes\":[" nodes "]}}}"
#define AT(name, last, port) NODE(name, name ".test", ",\"IPv4\":\"192.0.2." last "\",\"IPv6\":\"none\",\"STUNPort\":-1,\"DERPPort\":" port)

static int prober(struct pair *p, const char *config)
{
	int host = pair_host_new(p);
	struct pair_host *h = &p->host[host];
	char error[200];

	if (!prober_config_check(config, strlen(config), error)) fail_msg("%s", error);
	h->machine = prober_machine(prober_new(&(struct machine_env){ .tracer = &h->tracer }, map));
	pair_start(p, host, config, NULL, 0);
	pair_run(p);
	return host;
}

static const struct prober_result *result(const struct pair *p, int host, uint32_t i)
{
	return prober_result((const struct prober *)p->host[host].machine, i);
}

/* "login a good, pair a b failed: why": every result so far. */
static void results_are(const struct pair *p, int host, const char *want)
{
	static const char *const verdict[] = { "good", "failed", "skipped" };
	const struct prober_result *r;
	char text[4000] = "";
	size_t n = 0;

	for (uint32_t i = 0; (r = result(p, host, i)) != NULL; i++) {
		const char *from = r->region->node[r->from].name, *to = r->region->node[r->to].name;
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s%s%s %s", i == 0 ? "" : ", ", prober_check_name(r->check), from,
		                      r->check >= PROBER_PAIR ? " " : "", r->check >= PROBER_PAIR ? to : "", verdict[r->verdict]);
		if (r->why[0] != 0) n += (size_t)snprintf(text + n, sizeof text - n, ": %s", r->why);
		assert_int_equal(pair_heard(p, host, DELIVER_REPORT, i)->a, i);
	}
	assert_string_equal(text, want);
}

/* All of it is done, with so many failures, and everybody has left. */
static void stopped(const struct pair *p, int host, uint64_t failed)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_STOPPED, 0);

	assert_non_null(h);
	assert_int_equal(h->a, failed);
	assert_int_equal(machine_deadline(p->host[host].machine), TIME_NEVER);
	for (int i = 0; i < host; i++)
		if (p->host[i].relay != NULL) assert_true(relay_counters(p->host[i].relay)->current_connections <= 1); /* the mesh link */
}

/* ---- our relays ---- */

/* PRB-001: every node and every ordered pair of a meshed region, each with ServerInfo; 100 ms where the nodes differ, none where not. */
STORY(region)
{
	int first = pair_relay(p, SERVER, MESH_LINE "mesh-with=http://192.0.2.102\n"),
	    second = pair_relay(p, C, MESH_LINE "mesh-with=http://192.0.2.101\n"), host;
	uint64_t began;

	map_is(ONE(AT("a", "101", "80") "," AT("b", "102", "80")));
	pair_advance(p, 6 * NS_S);
	began = p->now;
	host = prober(p, PLAIN MESH_LINE);
	results_are(p, host, "login a good, login b good, pair a a good");
	pair_advance(p, 100 * NS_MS - 1);
	results_are(p, host, "login a good, login b good, pair a a good");
	pair_advance(p, 1);
	results_are(p, host, "login a good, login b good, pair a a good, pair a b good");
	pair_advance(p, NS_S);
	results_are(p, host, "login a good, login b good, pair a a good, pair a b good, pair b a good, pair b b good");
	stopped(p, host, 0);
	assert_int_equal(pair_heard(p, host, DELIVER_STOPPED, 0)->now - began, 200 * NS_MS);
	assert_int_equal(relay_counters(p->host[first].relay)->packets_forwarded_out, 1);
	assert_int_equal(relay_counters(p->host[second].relay)->packets_forwarded_out, 1);
}

/* Relays that know nothing of each other: what goes between them does not come. */
STORY(unmeshed)
{
	int host;

	pair_relay(p, SERVER, "");
	pair_relay(p, C, "");
	map_is(ONE(AT("a", "101", "80") "," AT("b", "102", "80")));
	host = prober(p, PLAIN "timeout=2s\n");
	pair_advance(p, 5 * NS_S);
	results_are(p, host,
	            "login a good, login b good, pair a a good, pair a b failed: nothing came within the time, "
	            "pair b a failed: nothing came within the time, pair b b good");
	stopped(p, host, 2);
}

/* A node that is not there costs its login; its pairs are not tried. One region is probed, if one is named. */
STORY(missing)
{
	int host;

	pair_relay(p, SERVER, "");
	map_is(ONE(AT("a", "101", "80") "," AT("b", "199", "80")));
	host = prober(p, PLAIN);
	pair_advance(p, 20 * NS_S);
	results_are(p, host,
	            "login a good, login b failed: no login at b: refused, pair a a good, pair a b skipped: no login, "
	            "pair b a skipped: no login, pair b b skipped: no login");
	stopped(p, host, 1);
	assert_int_equal(p->streams, 4); /* of a, of b, and two of the one pair */
	host = prober(p, PLAIN "region=2\n");
	results_are(p, host, "");
	stopped(p, host, 0);
}

/* A node that takes the connection and says nothing is given up after the time: 10 s if nobody says. */
STORY(silent_node)
{
	int host;

	map_is(ONE(AT("a", "50", "80")));
	wire_listens(p);
	for (int given = 0; given < 2; given++) {
		host = prober(p, given ? PLAIN "timeout=1s\n" : PLAIN);
		pair_advance(p, (given ? 1 : 10) * NS_S - 1);
		results_are(p, host, "");
		pair_advance(p, 1);
		results_are(p, host, "login a failed: no login at a within the time, pair a a skipped: no login");
		stopped(p, host, 1);
	}
}

/* PRB-002: logins are by TLS, with a certificate, for the node's HostName. */
STORY(certificates)
{
	static const struct certificate none[1];
	int host;

	pair_relay(p, SERVER, "");
	map_is(ONE(AT("a", "101", "443")));
	host = prober(p, "");
	results_are(p, host, "login a good, certificate a good, pair a a good");
	assert_string_equal(p->stream[0].end[0].server_name, "a.test");
	p->chain = none, p->chain_n = 0;
	host = prober(p, "insecure=on\n");
	results_are(p, host, "login a good, certificate a failed: no certificate, pair a a good");
	stopped(p, host, 1);
}

/* PRB-003, PRB-004: as many bytes as asked for, and as many packets as fit the time. */
STORY(loads)
{
	int host;

	pair_relay(p, SERVER, "");
	map_is(ONE(AT("a", "101", "80")));
	host = prober(p, PLAIN "bandwidth=1000000\nrate=20\n");
	results_are(p, host, "login a good, pair a a good, bandwidth a a good");
	assert_int_equal(result(p, host, 2)->bytes, 1000000);
	assert_int_equal(relay_counters(p->host[0].relay)->packets_received, 1 + 16 + 1); /* of DELAY the first has gone */
	pair_advance(p, 6 * NS_S);
	results_are(p, host, "login a good, pair a a good, bandwidth a a good, delay a a good");
	assert_int_equal(result(p, host, 3)->sent, 100); /* for 5 s if nobody says */
	assert_int_equal(relay_counters(p->host[0].relay)->packets_received, 1 + 16 + 100);
	stopped(p, host, 0);
}

/* ---- a relay that errs ---- */

/* The n-th connection that is open at the relay written by hand. */
static int hand(struct pair *p, int n)
{
	for (int s = 0; s < p->streams; s++)
		if (p->stream[s].end[1].host < 0 && p->stream[s].end[0].open && n-- == 0) return s;
	fail_msg("no such connection");
	return -1;
}

static struct client_info said; /* by the last one */

/* Lets a client in up to ServerInfo; its key is in *key. */
static void let_in(struct pair *p, int s, struct key *key, bool info)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n";
	struct key private_key = pair_key(SERVER), shared;
	uint8_t nonce[KEY_NONCE] = { 5 }, frame[LOGIN_FRAME_MAX];
	struct wire_frame f = { 0 };

	assert_true(wire_http(p, s));
	wire_send(p, s, answer, sizeof answer - 1);
	server_key(p, s, 0);
	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_CLIENT_INFO);
	memcpy(key->b, f.p, KEY_SIZE);
	assert_true(key_shared(&private_key, key->b, &shared));
	assert_true(login_client_info_open(f.p, f.n, &shared, &said));
	assert_true(said.is_prober);
	if (info) wire_send(p, s, frame, login_server_info_frame(frame, &shared, nonce, &(struct server_info){ .version = 2 }));
}

/* The packet that the first client has sent to the second; its bytes. */
static const uint8_t *sent(struct pair *p, int s, const struct key *to, uint32_t n)
{
	struct wire_frame f = { 0 };

	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_SEND_PACKET);
	assert_int_equal(f.n, KEY_SIZE + n);
	assert_memory_equal(f.p, to->b, KEY_SIZE);
	return f.p + KEY_SIZE;
}

static void receive(struct pair *p, int s, const struct key *from, const uint8_t *bytes, uint32_t n)
{
	uint8_t *payload = mem_alloc(KEY_SIZE + (uint64_t)n);

	memcpy(payload, from->b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, bytes, n);
	wire_send_frame(p, s, FRAME_RECV_PACKET, payload, KEY_SIZE + n);
	free(payload);
}

struct two {
	int host, s[2];
	struct key key[2];
};

/* A login, and then both clients of the pair. */
static void open_pair(struct pair *p, struct two *t, const char *config)
{
	struct key any;

	map_is(ONE(AT("a", "50", "80")));
	wire_listens(p);
	t->host = prober(p, config);
	let_in(p, hand(p, 0), &any, true);
	for (int i = 0; i < 2; i++) t->s[i] = hand(p, i);
	for (int i = 0; i < 2; i++) let_in(p, t->s[i], &t->key[i], true);
}

#define LET_IN "login a good, pair a a "

/* PRB-001: once, from its sender, unchanged. */
STORY(delivery)
{
	static const uint8_t other[9];
	const char *const want[] = { "good",
		                     "failed: the packet is changed",
		                     "failed: the packet is changed",
		                     "failed: a packet from somebody else",
		                     "failed: the packet came twice",
		                     "failed: no Pong behind the packet",
		                     "failed: a packet from somebody else" };

	for (int fault = 0; fault < 7; fault++) {
		struct two t;
		struct wire_frame f = { 0 };
		char text[100];
		uint8_t bytes[8];
		open_pair(p, &t, fault == 5 ? PLAIN "bandwidth=9\n" : PLAIN);
		memcpy(bytes, sent(p, t.s[0], &t.key[1], 8), 8);
		wire_send_frame(p, t.s[1], FRAME_KEEP_ALIVE, NULL, 0); /* means nothing */
		if (fault == 1) bytes[7] ^= 1;
		receive(p, t.s[fault == 6 ? 0 : 1], &t.key[fault == 3], fault == 2 ? other : bytes, fault == 2 ? 9 : 8);
		if (fault == 4) receive(p, t.s[1], &t.key[0], bytes, 8);
		if (fault == 0 || fault == 4) {
			if (fault == 0) assert_true(wire_frame(p, t.s[1], &f) && f.type == FRAME_PING);
			if (fault == 0) wire_send_frame(p, t.s[1], FRAME_PONG, f.p, f.n);
		}
		pair_advance(p, 20 * NS_S);
		snprintf(text, sizeof text, LET_IN "%s", want[fault]);
		results_are(p, t.host, text);
		stopped(p, t.host, fault != 0);
	}
}

/* PRB-001: the first message is ServerInfo. */
STORY(first_message)
{
	static const uint8_t packet[40];
	struct key key, mesh = pair_key(MESH);
	int host;

	map_is(ONE(AT("a", "50", "80")));
	wire_listens(p);
	host = prober(p, PLAIN MESH_LINE);
	let_in(p, hand(p, 0), &key, false);
	assert_memory_equal(said.mesh_key.b, mesh.b, KEY_SIZE);
	wire_send_frame(p, hand(p, 0), FRAME_RECV_PACKET, packet, sizeof packet);
	results_are(p, host, "login a failed: packet came before ServerInfo, pair a a skipped: no login");
	stopped(p, host, 1);
}

/* A connection that ends in the middle. */
STORY(cut_off)
{
	struct two t;

	open_pair(p, &t, PLAIN);
	wire_reset(p, t.s[1]);
	pair_run(p);
	results_are(p, t.host, LET_IN "failed: the connection ended at a: reset");
	stopped(p, t.host, 1);
}

static void delivered(struct pair *p, struct two *t)
{
	uint8_t bytes[8];
	struct wire_frame f = { 0 };

	memcpy(bytes, sent(p, t->s[0], &t->key[1], 8), 8);
	receive(p, t->s[1], &t->key[0], bytes, 8);
	assert_true(wire_frame(p, t->s[1], &f) && f.type == FRAME_PING);
	wire_send_frame(p, t->s[1], FRAME_PONG, f.p, f.n);
}

/* PRB-003: 30 packets on their way and no more; complete, equal, in order. */
STORY(bandwidth)
{
	static uint8_t got[2][FRAME_PACKET_MAX];
	struct two t;
	size_t n;

	for (int fault = 0; fault < 3; fault++) {
		open_pair(p, &t, PLAIN "timeout=3s\nbandwidth=2000000\n"); /* 31 packets */
		delivered(p, &t);
		memcpy(got[0], sent(p, t.s[0], &t.key[1], FRAME_PACKET_MAX), FRAME_PACKET_MAX);
		memcpy(got[1], sent(p, t.s[0], &t.key[1], FRAME_PACKET_MAX), FRAME_PACKET_MAX);
		for (int i = 2; i < 30; i++) sent(p, t.s[0], &t.key[1], FRAME_PACKET_MAX);
		wire_rest(p, t.s[0], &n);
		assert_int_equal(n, 0);
		if (fault == 1) got[0][FRAME_PACKET_MAX - 1] ^= 1;
		if (fault != 2) receive(p, t.s[1], &t.key[0], got[0], FRAME_PACKET_MAX);
		if (fault == 0) sent(p, t.s[0], &t.key[1], 2000000 - 30 * FRAME_PACKET_MAX);
		if (fault == 2) receive(p, t.s[1], &t.key[0], got[1], FRAME_PACKET_MAX);
		pair_advance(p, 4 * NS_S);
		results_are(p, t.host,
		            fault == 0 ? LET_IN "good, bandwidth a a failed: not everything came within the time"
		                       : LET_IN "good, bandwidth a a failed: a packet is missing, changed or out of order");
		stopped(p, t.host, 1);
	}
}

/* PRB-004: 260 bytes that begin with a number, at their times; what is later than 5 s is lost. */
STORY(delay)
{
	static const uint8_t number[2][8] = { { 0 }, { 0, 0, 0, 0, 0, 0, 0, 1 } };
	uint8_t got[2][260];
	struct two t;
	size_t n;

	for (int late = 0; late < 2; late++) {
		open_pair(p, &t, PLAIN "rate=2\nrate-time=1s\n");
		delivered(p, &t);
		memcpy(got[0], sent(p, t.s[0], &t.key[1], 260), 260);
		assert_memory_equal(got[0], number[0], 8);
		pair_advance(p, 500 * NS_MS - 1);
		wire_rest(p, t.s[0], &n);
		assert_int_equal(n, 0);
		pair_advance(p, 1);
		memcpy(got[1], sent(p, t.s[0], &t.key[1], 260), 260);
		assert_memory_equal(got[1], number[1], 8);
		pair_advance(p, 4500 * NS_MS + (uint64_t)late); /* 5 s after the first */
		receive(p, t.s[1], &t.key[0], got[0], 260);
		receive(p, t.s[1], &t.key[0], got[1], 260);
		pair_advance(p, 2 * NS_S);
		results_are(p, t.host, late ? LET_IN "good, delay a a failed: 1 of 2 packets are lost" : LET_IN "good, delay a a good");
		assert_int_equal(result(p, t.host, 2)->max_ns, late ? 4500 * NS_MS + 1 : 5 * NS_S);
		assert_int_equal(result(p, t.host, 2)->sent, 2);
		stopped(p, t.host, late != 0);
	}
}

STORY(delay_changed)
{
	uint8_t got[260];
	struct two t;

	open_pair(p, &t, PLAIN "rate=2\nrate-time=1s\n");
	delivered(p, &t);
	memcpy(got, sent(p, t.s[0], &t.key[1], 260), 260);
	receive(p, t.s[1], &t.key[0], got, 260);
	receive(p, t.s[1], &t.key[0], got, 260);
	results_are(p, t.host, LET_IN "good, delay a a failed: a packet came changed, or twice");
	stopped(p, t.host, 1);
}

/* ---- STUN ---- */

struct stun {
	struct prober *prober;
	struct actions out, up;
	uint64_t now, failed;
	bool stopped;
};

static void stun_step(struct stun *w, struct event e)
{
	actions_reset(&w->out);
	e.now = w->now;
	machine_step(prober_machine(w->prober), &e, &w->out, &w->up);
	for (uint32_t i = 0; i < w->up.n; i++)
		if (w->up.v[i].deliver.what == DELIVER_STOPPED) w->stopped = true, w->failed = w->up.v[i].deliver.a;
	actions_reset(&w->up);
}

static void stun_start(struct stun *w, const char *json, bool v6)
{
	static const char config[] = "timeout=5s\n";
	const struct socket_info sockets[] = { { .token = 77, .local = pair_address(0, 0), .datagram = true }, { .token = 78, .datagram = true } };
	struct event_start start = { .slot_first = 1, .slot_count = PROBER_SLOTS, .turn_max = 1024, .low_water = 1024, .sockets = sockets };

	start.config = config, start.config_n = sizeof config - 1, start.sockets_n = v6 ? 2 : 1;
	map_is(json);
	*w = (struct stun){ .prober = prober_new(&(struct machine_env){ 0 }, map) };
	actions_init(&w->out);
	actions_init(&w->up);
	stun_step(w, (struct event){ .kind = EVENT_START, .start = &start });
}

static void stun_end(struct stun *w)
{
	machine_free(prober_machine(w->prober));
	actions_free(&w->out);
	actions_free(&w->up);
}

/* The request that just went out, from this socket to there. */
static void asked(const struct stun *w, uint64_t token, const char *to, uint8_t txid[STUN_TXID])
{
	char text[ADDRESS_TEXT];

	assert_int_equal(w->out.n, 1);
	assert_int_equal(w->out.v[0].kind, ACTION_DATAGRAM);
	assert_int_equal(w->out.v[0].token, token);
	assert_string_equal(address_text(&w->out.v[0].address, text), to);
	assert_int_equal(stun_request_parse(action_head(&w->out, &w->out.v[0]), w->out.v[0].head_n, txid), STUN_GOOD);
}

static void answer(struct stun *w, const uint8_t txid[STUN_TXID])
{
	uint8_t bytes[STUN_RESPONSE_MAX];
	struct address mapped = pair_address(9, 999);
	struct event_datagram d = { .p = bytes, .n = stun_response(bytes, txid, &mapped) };

	stun_step(w, (struct event){ .kind = EVENT_DATAGRAM, .token = 77, .datagram = &d });
}

#define STUN_NODE(v4, v6, port) ONE("{\"Name\":\"a\",\"RegionID\":1,\"HostName\":\"a.test\",\"STUNOnly\":true" v4 v6 port "}")

/* PRB-005: each literal is asked, every 2 s until the time is up; only an answer with the ID of the last request counts. */
static void stun(void **state)
{
	uint8_t txid[2][STUN_TXID], wrong[STUN_TXID] = { 1 };
	struct stun w;

	(void)state;
	stun_start(&w, STUN_NODE(",\"IPv4\":\"192.0.2.1\"", ",\"IPv6\":\"2001:db8::1\"", ",\"STUNPort\":3000"), true);
	asked(&w, 77, "192.0.2.1:3000", txid[0]);
	w.now = 2 * NS_S - 1;
	stun_step(&w, (struct event){ .kind = EVENT_TIMER });
	assert_int_equal(w.out.n, 0);
	w.now++;
	assert_int_equal(machine_deadline(prober_machine(w.prober)), w.now);
	stun_step(&w, (struct event){ .kind = EVENT_TIMER });
	asked(&w, 77, "192.0.2.1:3000", txid[1]);
	assert_memory_not_equal(txid[0], txid[1], STUN_TXID);
	answer(&w, wrong);
	answer(&w, txid[0]);
	assert_null(prober_result(w.prober, 0));
	w.now += 30 * NS_MS;
	answer(&w, txid[1]);
	assert_int_equal(prober_result(w.prober, 0)->verdict, PROBER_GOOD);
	assert_int_equal(prober_result(w.prober, 0)->ns, 30 * NS_MS);
	assert_int_equal(prober_result(w.prober, 0)->mapped.port, 999);
	asked(&w, 78, "[2001:db8:0:0:0:0:0:1]:3000", txid[0]);
	w.now += 5 * NS_S;
	stun_step(&w, (struct event){ .kind = EVENT_TIMER });
	assert_int_equal(prober_result(w.prober, 1)->verdict, PROBER_FAILED);
	assert_true(prober_result(w.prober, 1)->v6 && w.stopped);
	assert_int_equal(w.failed, 1);
	stun_end(&w);
}

/* PRB-005: what is no address fails at once; without a socket of the family, a port or a literal nothing is asked. */
static void stun_nothing(void **state)
{
	static const struct {
		const char *json;
		int verdict; /* -1: no result */
	} cases[] = {
		{ STUN_NODE(",\"IPv4\":\"192.0.2.300\"", "", ""), PROBER_FAILED },
		{ STUN_NODE(",\"IPv4\":\"2001:db8::1\"", "", ""), PROBER_FAILED },
		{ STUN_NODE("", ",\"IPv6\":\"2001:db8::1\"", ""), PROBER_SKIPPED },
		{ STUN_NODE(",\"IPv4\":\"none\"", ",\"IPv6\":\"none\"", ""), -1 },
		{ STUN_NODE("", "", ""), -1 },
		{ STUN_NODE(",\"IPv4\":\"192.0.2.1\"", "", ",\"STUNPort\":-1"), -1 },
	};
	struct stun w;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		stun_start(&w, cases[i].json, false);
		assert_true(w.stopped);
		assert_int_equal(w.out.n, 0);
		if (cases[i].verdict < 0) assert_null(prober_result(w.prober, 0));
		if (cases[i].verdict >= 0) assert_int_equal(prober_result(w.prober, 0)->verdict, cases[i].verdict);
		assert_int_equal(w.failed, cases[i].verdict == PROBER_FAILED);
		stun_end(&w);
	}
}

static void proxies(void **state)
{
	char error[200] = "";

	(void)state;
	assert_true(prober_config_check("proxy=http://192.0.2.1:80\n", 26, error));
	assert_false(prober_config_check("proxy=ftp://192.0.2.1:80\n", 25, error));
	assert_non_null(strstr(error, "proxy"));
}

static int release(void **state)
{
	(void)state;
	derp_map_free(map);
	map = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(region),       cmocka_unit_test(unmeshed),     cmocka_unit_test(missing),  cmocka_unit_test(silent_node),
		cmocka_unit_test(certificates), cmocka_unit_test(loads),        cmocka_unit_test(delivery), cmocka_unit_test(first_message),
		cmocka_unit_test(cut_off),      cmocka_unit_test(bandwidth),    cmocka_unit_test(delay),    cmocka_unit_test(delay_changed),
		cmocka_unit_test(stun),         cmocka_unit_test(stun_nothing), cmocka_unit_test(proxies),
	};

	return cmocka_run_group_tests(tests, NULL, release);
}
