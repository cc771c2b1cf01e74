/* The swarm against our relay, and against a relay written by hand where a loop must not close by itself. */
#include "pair_client.h"
#include "relay.h"
#include "swarm.h"

static struct swarm *swarm_of(struct pair *p, int host) { return (struct swarm *)p->host[host].machine; }
static const struct swarm_count *count(struct pair *p, int host) { return swarm_count(swarm_of(p, host)); }

static int swarm(struct pair *p, const char *config)
{
	int host = pair_host_new(p);
	struct pair_host *h = &p->host[host];
	char error[200];

	if (!swarm_config_check(config, strlen(config), error)) fail_msg("%s", error);
	h->machine = swarm_machine(swarm_new(&(struct machine_env){ .tracer = &h->tracer }));
	pair_start(p, host, config, NULL, 0);
	pair_run(p);
	return host;
}

static void set(struct pair *p, int host, const char *text)
{
	pair_command(p, host, &(struct event_command){ .verb = COMMAND_SET, .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) });
}

#define RELAY "url=http://192.0.2.101/derp\n"
#define RELAYS RELAY "url2=http://192.0.2.102/derp\n"

/* Open loop: exactly as many as were due, each at its time, in turn; when it ends nothing more is sent. */
STORY(rate)
{
	int r = pair_relay(p, SERVER, ""), s = swarm(p, RELAY "clients=6\nrate=300\nbatch=3\n");
	const struct swarm_count *c = count(p, s);

	assert_int_equal(c->ready, 6);
	assert_int_equal(c->logins, 6);
	pair_advance(p, NS_S);
	assert_int_equal(c->sent, 0);
	set(p, s, "running=on");
	pair_advance(p, 10 * NS_S - 1);
	assert_int_equal(c->sent, 3000);
	assert_int_equal(c->delivered, 3000);
	assert_int_equal(c->bytes, 3000 * 200);
	assert_int_equal(c->lost + c->wrong + c->blocked + c->ended + c->failed, 0);
	assert_int_equal(swarm_latency(swarm_of(p, s))->n, 3000);
	assert_int_equal(swarm_latency(swarm_of(p, s))->max, 0); /* this network takes no time */
	assert_int_equal(swarm_late(swarm_of(p, s))->max, 0);
	assert_int_equal(relay_counters(p->host[r].relay)->packets_sent, 3000);
	set(p, s, "running=off");
	pair_advance(p, 10 * NS_S);
	assert_int_equal(c->sent, 3000);
	swarm_count_reset(swarm_of(p, s));
	assert_int_equal(c->ready, 6);
	assert_int_equal(c->sent + swarm_latency(swarm_of(p, s))->n, 0);
	pair_command(p, s, &(struct event_command){ .verb = COMMAND_LEAVE });
	assert_true(swarm_is_over(swarm_of(p, s)));
	assert_int_equal(c->ended, 0); /* who leaves has not been left */
}

/* Senders at the first relay, receivers at the second: every packet goes over the mesh once (MSH-018). */
STORY(mesh_hop)
{
#define MESH_LINE "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
	int first = pair_relay(p, SERVER, MESH_LINE "mesh-with=http://192.0.2.102\n"), second = pair_relay(p, C, MESH_LINE), s;

	pair_advance(p, 6 * NS_S);
	s = swarm(p, RELAYS "clients=4\nrate=100\n");
	set(p, s, "running=on");
	pair_advance(p, NS_S - 1);
	assert_int_equal(count(p, s)->delivered, 100);
	assert_int_equal(relay_counters(p->host[first].relay)->packets_forwarded_out, 100);
	assert_int_equal(relay_counters(p->host[second].relay)->packets_forwarded_in, 100);
}

#define MAP_NODE(n) "{\"Name\":\"" n "\",\"RegionID\":1,\"HostName\":\"192.0.2.10" n "\",\"IPv6\":\"none\",\"DERPPort\":80}"
#define MAP "map={\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[" MAP_NODE("1") "," MAP_NODE("2") "]}}}\n"

static void crash(struct pair *p, int relay, const char *ip)
{
	struct address at = { .port = 80 };

	assert_true(address_ip_parse(ip, strlen(ip), &at));
	at.port = 80;
	pair_listen_set(p, at, PAIR_REFUSE);
	for (int s = 0; s < p->streams; s++)
		for (int side = 0; side < 2; side++)
			if (p->stream[s].used && p->stream[s].end[side].open && p->stream[s].end[side].host == relay) {
				pair_abort(p, s, side);
				pair_run(p);
			}
}

static void assert_failover(const struct swarm_failover f, uint32_t n, uint32_t never, uint64_t min, uint64_t max)
{
	assert_int_equal(f.n, n);
	assert_int_equal(f.never, never);
	for (uint32_t i = 0; i < n; i++) assert_in_range(f.ns[i], min, max);
	free(f.ns);
}

/* A pair at each of two nodes. One node dies; its two clients come back at the other after 5 to 15 ms (CLI-032). Their pair's time runs
 * from the first packet that was due after the fault; nobody else was hit. */
STORY(failover)
{
	int first = pair_relay(p, SERVER, MESH_LINE "mesh-with=http://192.0.2.102\n"), second, s;
	const struct swarm_count *c;

	second = pair_relay(p, C, MESH_LINE "mesh-with=http://192.0.2.101\n");
	pair_advance(p, 6 * NS_S);
	s = swarm(p, MAP "plain=on\njob=mates\nclients=4\nrate=40\n");
	c = count(p, s);
	assert_int_equal(relay_counters(p->host[first].relay)->accepts, 3); /* and the other relay */
	assert_int_equal(relay_counters(p->host[second].relay)->accepts, 3);
	set(p, s, "running=on");
	pair_advance(p, NS_S - 1);
	assert_int_equal(c->delivered, 40);
	assert_int_equal(swarm_flows_silent(swarm_of(p, s), p->now - 100 * NS_MS), 0);
	assert_failover(swarm_failover_clients(swarm_of(p, s)), 0, 0, 0, 0); /* no fault yet */
	set(p, s, "fault=now");
	crash(p, first, "192.0.2.101");
	assert_int_equal(c->ready, 2);
	assert_failover(swarm_failover_clients(swarm_of(p, s)), 0, 2, 0, 0);
	pair_advance(p, NS_S);
	assert_int_equal(c->ready, 4);
	assert_int_equal(c->wrong, 0);
	assert_failover(swarm_failover_clients(swarm_of(p, s)), 2, 0, 5 * NS_MS, 15 * NS_MS + NS_MS);
	assert_failover(swarm_failover_pairs(swarm_of(p, s)), 1, 0, 0, 115 * NS_MS);
	assert_int_equal(swarm_flows_silent(swarm_of(p, s), p->now - 101 * NS_MS), 0);
	crash(p, second, "192.0.2.102"); /* none is left */
	pair_advance(p, NS_S);
	assert_int_equal(c->ready, 0);
	assert_int_equal(swarm_flows_silent(swarm_of(p, s), p->now - 101 * NS_MS), 4);
	set(p, s, "fault=now");
	pair_advance(p, NS_S);
	assert_failover(swarm_failover_clients(swarm_of(p, s)), 0, 0, 0, 0); /* nobody was there to be hit */
}

/* What all clients share reaches the relay: with the mesh key they are mesh peers (MSH-001), over WebSocket they are its. */
STORY(shared_options)
{
	int r = pair_relay(p, SERVER, MESH_LINE), s = swarm(p, RELAY MESH_LINE "clients=2\napp-name=crowd\n");
	const struct relay_counters *c = relay_counters(p->host[r].relay);

	assert_int_equal(count(p, s)->ready, 2);
	assert_int_equal(pair_noted(p, r, NOTE_LOGIN, 1)->a & PRESENT_MESH, PRESENT_MESH);
	assert_int_equal(c->websocket_accepts, 0);
	s = swarm(p, RELAY "websocket=on\nclients=2\n");
	assert_int_equal(count(p, s)->ready, 2);
	assert_int_equal(c->websocket_accepts, 2);
	assert_int_equal(pair_noted(p, r, NOTE_LOGIN, 3)->a & PRESENT_MESH, 0);
}

STORY(fan_in)
{
	int r = pair_relay(p, SERVER, ""), s = swarm(p, RELAY "job=fan-in\nclients=5\nrate=400\n");

	(void)r;
	set(p, s, "running=on");
	pair_advance(p, NS_S - 1);
	assert_int_equal(count(p, s)->delivered, 400);
	assert_int_equal(count(p, s)->lost + count(p, s)->wrong, 0);
}

/* ---- a relay written by hand ---- */

static struct key admit(struct pair *p, int s)
{
	struct key private_key = pair_key(SERVER), shared, client;
	uint8_t nonce[KEY_NONCE] = { 5 }, frame[LOGIN_FRAME_MAX];
	struct wire_frame f = { 0 };
	struct server_info info = { .version = 2 };

	server_key(p, s, 0);
	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_CLIENT_INFO);
	memcpy(client.b, f.p, KEY_SIZE);
	assert_true(key_shared(&private_key, client.b, &shared));
	wire_send(p, s, frame, login_server_info_frame(frame, &shared, nonce, &info));
	return client;
}

struct flow {
	int s, from, to;
	struct key key[2];
	uint8_t last[24];
	uint32_t came;
};

/* One pair, logged in; its sender's end and its receiver's. */
static struct flow flow(struct pair *p, const char *config)
{
	struct flow f = { 0 };

	wire_listens(p);
	f.s = swarm(p, config);
	f.from = wire_relay(p);
	f.key[0] = admit(p, f.from);
	f.to = wire_relay(p);
	f.key[1] = admit(p, f.to);
	assert_int_equal(count(p, f.s)->ready, 2);
	return f;
}

static void came(struct pair *p, struct flow *f, uint32_t n)
{
	struct wire_frame w;
	uint32_t i;

	for (i = 0; wire_frame(p, f->from, &w); i++) {
		assert_int_equal(w.type, FRAME_SEND_PACKET);
		assert_memory_equal(w.p, f->key[1].b, KEY_SIZE);
		memcpy(f->last, w.p + KEY_SIZE, sizeof f->last);
		assert_int_equal(w.p[KEY_SIZE + 8], f->came++); /* its number */
	}
	assert_int_equal(i, n);
}

static void pass(struct pair *p, const struct flow *f, uint8_t number, uint32_t n)
{
	uint8_t payload[KEY_SIZE + 300] = { 0 };

	memcpy(payload, f->key[0].b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, f->last, sizeof f->last);
	payload[KEY_SIZE + 8] = number;
	wire_send_frame(p, f->to, FRAME_RECV_PACKET, payload, KEY_SIZE + n);
}

/* Never more than the window on their way; a batch as soon as there is room for it; gaps are lost packets. */
STORY(window)
{
	struct flow f = flow(p, WIRE "raw=on\nlogins=1\nclients=2\nbatch=2\nwindow=5\n");
	const struct swarm_count *c = count(p, f.s);

	set(p, f.s, "running=on");
	came(p, &f, 4);
	pass(p, &f, 0, 200);
	came(p, &f, 2);
	pass(p, &f, 1, 200);
	came(p, &f, 0);
	pass(p, &f, 2, 200);
	came(p, &f, 2);
	assert_int_equal(c->delivered, 3);
	pass(p, &f, 6, 200);
	assert_int_equal(c->lost, 3);
	came(p, &f, 4);
	assert_int_equal(c->wrong, 0);
}

/* At most `logins` at a time. Who is in leaves, and when it is gone another key comes in its place; who fails is tried again. */
STORY(logins)
{
	struct key key[3];
	int s, w[3];

	wire_listens(p);
	s = swarm(p, WIRE "raw=on\njob=logins\nclients=2\nlogins=1\n");
	w[0] = wire_relay(p);
	assert_int_equal(p->streams, 1);
	key[0] = admit(p, w[0]);
	assert_int_equal(p->stream[w[0]].end[1].ended, PAIR_EOF);
	w[1] = wire_relay(p);
	assert_int_equal(p->streams, 2);
	key[1] = admit(p, w[1]);
	assert_int_equal(p->streams, 2);
	wire_fin(p, w[0]); /* now it is gone */
	w[2] = wire_relay(p);
	key[2] = admit(p, w[2]);
	assert_false(key_equal(key[0].b, key[1].b) || key_equal(key[0].b, key[2].b) || key_equal(key[1].b, key[2].b));
	assert_int_equal(count(p, s)->logins, 3);
	assert_int_equal(count(p, s)->failed + count(p, s)->ended, 0);
	wire_fin(p, w[1]);
	wire_reset(p, wire_relay(p));
	assert_int_equal(count(p, s)->failed, 1);
	pair_advance(p, NS_S);
	admit(p, wire_relay(p));
	assert_int_equal(count(p, s)->logins, 4);
}

/* Another size, a number that has come already or was never sent, another flow. */
STORY(wrong)
{
	struct flow f = flow(p, WIRE "raw=on\nlogins=1\nclients=2\nbatch=2\nwindow=5\n");
	const struct swarm_count *c = count(p, f.s);

	set(p, f.s, "running=on");
	came(p, &f, 4);
	pass(p, &f, 1, 200);
	came(p, &f, 2);
	pass(p, &f, 1, 200);
	assert_int_equal(c->wrong, 1);
	pass(p, &f, 0, 200);
	assert_int_equal(c->wrong, 2);
	pass(p, &f, 6, 200);
	assert_int_equal(c->wrong, 3);
	pass(p, &f, 2, 199);
	assert_int_equal(c->wrong, 4);
	f.last[0] = 1;
	pass(p, &f, 2, 200);
	assert_int_equal(c->wrong, 5);
	assert_int_equal(c->delivered, 1);
	assert_int_equal(c->lost, 1);
}

/* What nobody delivered is lost after the patience, and the loop goes on. */
STORY(patience)
{
	struct flow f = flow(p, WIRE "raw=on\nlogins=1\nclients=2\nwindow=3\npatience=2s\n");

	set(p, f.s, "running=on");
	came(p, &f, 3);
	pair_advance(p, 2 * NS_S - 1);
	came(p, &f, 0);
	assert_int_equal(count(p, f.s)->lost, 0);
	pair_advance(p, 1);
	assert_int_equal(count(p, f.s)->lost, 3);
	came(p, &f, 3);
}

/* A sender whose connection takes nothing sends nothing: its packets are not thrown away by its own queue. */
STORY(blocked)
{
	struct flow f = flow(p, WIRE "raw=on\nlogins=1\nclients=2\nrate=1000\nsize=60000\n");
	const struct swarm_count *c = count(p, f.s);

	wire_room(p, f.from, 0);
	set(p, f.s, "running=on");
	pair_advance(p, NS_S - 1);
	assert_int_equal(c->sent + c->blocked, 1000);
	assert_in_range(c->sent, 2, 5);
	assert_int_equal(pair_heard_count(p, f.s, DELIVER_DROPPED), 0);
}

static void bad_config(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "clients=2\n", "url=" },
		{ "url=ftp://x/\n", "url=" },
		{ RELAY "url2=nonsense\n", "url=" },
		{ RELAY "clients=3\n", "even" },
		{ RELAY "clients=1\njob=fan-in\n", "at least 2" },
		{ RELAY "batch=5\nwindow=4\n", "batch=" },
		{ RELAY "size=23\n", "size" },
		{ RELAY "size=65537\n", "size" },
		{ RELAY "job=party\n", "job" },
		{ RELAY MAP, "either" },
		{ RELAY "job=mates\n", "rate=" },
		{ RELAY "job=mates\nrate=1\nclients=3\n", "even" },
		{ "map={\n", "map=" },
		{ "map={\"Regions\":{}}\n", "a region" },
		{ "map={\"Regions\":{\"1\":{\"RegionID\":1}}}\n", "nodes" },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(swarm_config_check(bad[i].text, strlen(bad[i].text), error));
		if (strstr(error, bad[i].error) == NULL) fail_msg("'%s' does not name %s", error, bad[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate),     cmocka_unit_test(mesh_hop), cmocka_unit_test(fan_in),     cmocka_unit_test(shared_options),
		cmocka_unit_test(failover), cmocka_unit_test(logins),   cmocka_unit_test(window),     cmocka_unit_test(wrong),
		cmocka_unit_test(patience), cmocka_unit_test(blocked),  cmocka_unit_test(bad_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
