/* The engine: machines on hosts, connections between them, crashes of each kind. */
#include "sim.h"

#include "../ref/client.h"
#include "../ref/derpmap.h"
#include "../ref/relay.h"
#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RELAYS = 3, CLIENTS = 4, HOSTS = RELAYS + CLIENTS };

/* Three meshed relays and four clients that know them as one region in the order 1, 2, 3. */
struct world {
	struct sim *sim;
	struct key relay_key[RELAYS], client_key[CLIENTS];
	struct key client_public[CLIENTS];
	char name[HOSTS][16];
	const char *extra; /* configuration of clients */
	uint32_t ready[CLIENTS], packets[CLIENTS], ends[CLIENTS];
	uint64_t ready_at[CLIENTS], end_at[CLIENTS], end_why[CLIENTS], packet_at[CLIENTS];
	uint8_t last[CLIENTS][65536];
	uint32_t last_n[CLIENTS];
	uint64_t bytes_at[HOSTS]; /* last BYTES */
	uint64_t leave_at;        /* last NOTE_LEAVE */
	uint32_t drops, leaves;
};

static struct address host_ip(uint32_t host)
{
	struct address a = { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(host + 1) } };

	return a;
}

static struct machine *make(void *ctx, uint32_t host, const struct machine_env *env)
{
	(void)ctx;
	return host < RELAYS ? relay_machine(relay_new(env)) : client_machine(client_new(env));
}

static void hex(const struct key *k, char out[KEY_HEX + 1])
{
	key_hex(k->b, out);
	out[KEY_HEX] = 0;
}

static size_t configure(void *ctx, uint32_t host, char *out, size_t cap)
{
	struct world *w = ctx;
	char text[KEY_HEX + 1];
	int n;

	if (host < RELAYS) {
		hex(&w->relay_key[host], text);
		n = snprintf(out, cap, "key=%s\nmesh-key=%064d\nmesh-with=https://10.0.0.1:443,https://10.0.0.2:443,https://10.0.0.3:443\n", text, 7);
		return (size_t)n;
	}
	hex(&w->client_key[host - RELAYS], text);
	n = snprintf(out, cap,
	             "key=%s\nregion={\"RegionID\":4,\"RegionCode\":\"fra\",\"Nodes\":["
	             "{\"Name\":\"4a\",\"RegionID\":4,\"HostName\":\"a.example\",\"IPv4\":\"10.0.0.1\",\"IPv6\":\"none\"},"
	             "{\"Name\":\"4b\",\"RegionID\":4,\"HostName\":\"b.example\",\"IPv4\":\"10.0.0.2\",\"IPv6\":\"none\"},"
	             "{\"Name\":\"4c\",\"RegionID\":4,\"HostName\":\"c.example\",\"IPv4\":\"10.0.0.3\",\"IPv6\":\"none\"}]}\n%s",
	             text, w->extra);
	return (size_t)n;
}

static void path(void *ctx, uint32_t from, uint32_t to, struct sim_path *out)
{
	(void)ctx;
	*out = (struct sim_path){ .latency_ns = from < RELAYS && to < RELAYS ? NS_MS : 10 * NS_MS };
}

static void deliver(void *ctx, uint32_t host, const struct action *x)
{
	struct world *w = ctx;
	uint32_t c = host - RELAYS;

	if (host < RELAYS) return;
	switch (x->deliver.what) {
	case DELIVER_READY:
		w->ready[c]++;
		w->ready_at[c] = sim_now(w->sim);
		break;
	case DELIVER_DISCONNECTED:
		w->ends[c]++;
		w->end_at[c] = sim_now(w->sim);
		w->end_why[c] = x->deliver.a;
		break;
	case DELIVER_PACKET:
		w->packets[c]++;
		w->packet_at[c] = sim_now(w->sim);
		w->last_n[c] = x->span.n;
		memcpy(w->last[c], x->span.p, x->span.n);
		break;
	default: break;
	}
}

static void note(void *ctx, uint32_t host, const struct note *n)
{
	struct world *w = ctx;

	(void)host;
	if (n->kind == NOTE_DROP) w->drops++;
	if (n->kind == NOTE_LEAVE) w->leaves++, w->leave_at = sim_now(w->sim);
	if (getenv("SIM_TRACE") != NULL)
		printf("%12.6f ms host %u note %s a=%llu b=%llu %s\n", (double)sim_now(w->sim) / 1e6, host, note_kind_name(n->kind),
		       (unsigned long long)n->a, (unsigned long long)n->b, n->text == NULL ? "" : n->text);
}

static void event(void *ctx, uint32_t host, const struct event *e, uint64_t content)
{
	struct world *w = ctx;

	if (e->kind == EVENT_BYTES) w->bytes_at[host] = sim_now(w->sim);
	if (getenv("SIM_TRACE") != NULL)
		printf("%12.6f ms host %u %s token %llx n=%u content %016llx\n", (double)sim_now(w->sim) / 1e6, host, event_kind_name(e->kind),
		       (unsigned long long)e->token,
		       e->kind == EVENT_BYTES    ? e->bytes.n
		       : e->kind == EVENT_CLOSED ? e->closed.cause
		                                 : 0,
		       (unsigned long long)content);
}

static struct world *world_new(uint64_t seed, const char *extra)
{
	struct world *w = calloc(1, sizeof *w);
	struct sim_hooks hooks = { .ctx = w, .make = make, .configure = configure, .path = path, .deliver = deliver, .note = note, .event = event };

	w->extra = extra;
	w->sim = sim_new(seed, &hooks, NULL);
	for (uint32_t i = 0; i < HOSTS; i++) {
		struct sim_host_config config = { .name = w->name[i], .ip = host_ip(i), .cores = 2, .window = SIM_WINDOW, .fds = 10000, .slots = 64 };
		struct key *key = i < RELAYS ? &w->relay_key[i] : &w->client_key[i - RELAYS];
		snprintf(w->name[i], sizeof w->name[i], i < RELAYS ? "relay%u" : "client%u", i);
		prng_derive(0, w->name[i], "key", key->b);
		key_clamp(key);
		if (i >= RELAYS) key_public(key, &w->client_public[i - RELAYS]);
		if (i < RELAYS) {
			config.listener = (struct sim_listener){ .port = 443, .tls = true, .backlog = 128 };
			config.cost = &cost_ours;
			config.user_timeout_ns = 15 * NS_S;
		}
		assert_int_equal(sim_host_add(w->sim, &config), i);
	}
	for (uint32_t i = 0; i < HOSTS; i++) sim_boot(w->sim, i);
	return w;
}

static void world_free(struct world *w)
{
	sim_free(w->sim);
	free(w);
}

static void send_packet(struct world *w, uint32_t from, uint32_t to, const void *p, uint32_t n)
{
	struct event_command c = { .verb = COMMAND_SEND, .dst = w->client_public[to].b, .p = p, .n = n };

	assert_true(sim_command(w->sim, RELAYS + from, &c));
}

static struct relay *relay_of(struct world *w, uint32_t i) { return (struct relay *)sim_machine(w->sim, i); }

/* Clients log in at the first node of the order, all links of the mesh come up, and a packet arrives unchanged. */
static void sim_logs_in_and_delivers(void **state)
{
	struct world *w = world_new(1, "");

	(void)state;
	sim_run(w->sim, 6 * NS_S);
	for (uint32_t i = 0; i < CLIENTS; i++) assert_int_equal(w->ready[i], 1);
	for (uint32_t i = 0; i < RELAYS; i++) assert_int_equal(relay_mesh_links_up(relay_of(w, i)), 2);
	assert_int_equal(relay_regular_clients(relay_of(w, 0)), CLIENTS);
	send_packet(w, 0, 1, "hello, peer", 11);
	sim_run(w->sim, 7 * NS_S);
	assert_int_equal(w->packets[1], 1);
	assert_int_equal(w->last_n[1], 11);
	assert_memory_equal(w->last[1], "hello, peer", 11);
	world_free(w);
}

/* RST is noticed within a round trip; the next node is dialled at once; the mesh carries a tailnet that is split. */
static void sim_crash_moves_clients(void **state)
{
	struct world *w = world_new(1, "");

	(void)state;
	sim_run(w->sim, 10 * NS_S);
	sim_crash(w->sim, 0, SIM_CRASH_RESET);
	sim_run(w->sim, 20 * NS_S);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		assert_int_equal(w->ready[i], 2);
		assert_true(w->end_at[i] <= 10 * NS_S + 20 * NS_MS);
	}
	assert_int_equal(relay_regular_clients(relay_of(w, 1)), CLIENTS);
	send_packet(w, 2, 3, "after", 5);
	sim_run(w->sim, 21 * NS_S);
	assert_int_equal(w->packets[3], 1);
	sim_boot(w->sim, 0);
	sim_run(w->sim, 30 * NS_S);
	for (uint32_t i = 0; i < RELAYS; i++) assert_int_equal(relay_mesh_links_up(relay_of(w, i)), 2);
	world_free(w);
}

/* How long a client needs from its boot until it is logged in, with relays 0 and 1 down in these ways. */
enum down { UP, REFUSES, SILENT };

static uint64_t login_time(enum down first, enum down second)
{
	static const enum sim_crash how[] = { [REFUSES] = SIM_CRASH_RESET, [SILENT] = SIM_CRASH_SILENT };
	struct world *w = world_new(1, "");
	uint64_t took;

	sim_run(w->sim, 20 * NS_S);
	sim_crash(w->sim, RELAYS, SIM_CRASH_RESET);
	if (first != UP) sim_crash(w->sim, 0, how[first]);
	if (second != UP) sim_crash(w->sim, 1, how[second]);
	sim_run(w->sim, 60 * NS_S);
	w->ready[0] = 0;
	sim_boot(w->sim, RELAYS);
	sim_run(w->sim, 70 * NS_S);
	assert_int_equal(w->ready[0], 1);
	took = w->ready_at[0] - 60 * NS_S;
	world_free(w);
	return took;
}

/* Login is three round trips (TCP, TLS, DERP behind a fast start), the handshake's job and some microseconds of steps. */
static void sim_login_takes_three_round_trips(void **state)
{
	(void)state;
	assert_in_range(login_time(UP, UP), 60 * NS_MS + 330 * NS_US, 60 * NS_MS + 450 * NS_US);
}

/* CLI-015, CLI-016: a node that refuses costs one round trip, one that is silent 1.5 s, and then the next one is dialled at once. */
static void sim_dials_the_next_node(void **state)
{
	static const struct {
		enum down first, second;
		uint64_t ns;
	} with[] = { { REFUSES, UP, 20 * NS_MS },       { SILENT, UP, 1500 * NS_MS },      { REFUSES, REFUSES, 40 * NS_MS },
		     { SILENT, REFUSES, 1520 * NS_MS }, { REFUSES, SILENT, 1520 * NS_MS }, { SILENT, SILENT, 3 * NS_S } };
	uint64_t healthy = login_time(UP, UP);

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++)
		assert_in_range(login_time(with[i].first, with[i].second) - healthy + 50 * NS_US, with[i].ns, with[i].ns + 100 * NS_US);
}

/* HTTP-023: the relay notices a client that vanished 15 s after the first packet for it, or after the keep-alive (SRV-022) that it
 * sends after 60 to 65 s if there is none. */
static void sim_vanished_client_is_noticed(void **state)
{
	(void)state;
	for (int packet = 0; packet < 2; packet++) {
		struct world *w = world_new(1, "");
		uint64_t from, to;
		sim_run(w->sim, 10 * NS_S);
		w->leaves = 0; /* relays that found themselves at the other end of a link */
		sim_crash(w->sim, RELAYS + 1, SIM_CRASH_SILENT);
		sim_run(w->sim, 12 * NS_S);
		if (packet) send_packet(w, 0, 1, "are you there?", 14);
		sim_run(w->sim, 120 * NS_S);
		from = packet ? 12 * NS_S + 10 * NS_MS : 60 * NS_S;
		to = packet ? from + 100 * NS_US : 66 * NS_S;
		assert_int_equal(w->leaves, 1);
		assert_in_range(w->leave_at, from + 15 * NS_S, to + 15 * NS_S);
		assert_int_equal(relay_regular_clients(relay_of(w, 0)), CLIENTS - 1);
		world_free(w);
	}
}

/* CLI-008: a client with nothing to say notices a relay that vanished 120 s after the last frame, and has moved 1.5 s later. */
static void sim_vanished_relay_is_noticed(void **state)
{
	struct world *w = world_new(1, "");
	uint64_t last;

	(void)state;
	sim_run(w->sim, 10 * NS_S);
	last = w->bytes_at[RELAYS];
	sim_crash(w->sim, 0, SIM_CRASH_SILENT);
	sim_run(w->sim, 200 * NS_S);
	assert_int_equal(w->ends[0], 1);
	assert_int_equal(w->end_why[0], CLIENT_END_SILENCE);
	assert_int_equal(w->end_at[0], last + 120 * NS_S);
	assert_int_equal(w->ready[0], 2);
	assert_true(w->ready_at[0] >= w->end_at[0] + 1500 * NS_MS);
	assert_int_equal(relay_regular_clients(relay_of(w, 1)), CLIENTS);
	world_free(w);
}

/* A client that sends to a relay that vanished is told by RST: of the host itself if only the process is dead, after a round trip; or
 * when what it sent is sent again and the relay is back. The others, who say nothing, go on waiting. */
static void sim_sender_is_told_by_rst(void **state)
{
	(void)state;
	for (int back = 0; back < 2; back++) {
		struct world *w = world_new(1, "");
		sim_run(w->sim, 10 * NS_S);
		sim_crash(w->sim, 0, back ? SIM_CRASH_SILENT : SIM_CRASH_SILENT_REFUSE);
		sim_run(w->sim, 10500 * NS_MS);
		send_packet(w, 0, 1, "hello?", 6);
		sim_run(w->sim, 11 * NS_S);
		if (back) sim_boot(w->sim, 0);
		sim_run(w->sim, 20 * NS_S);
		assert_int_equal(w->ends[0], 1);
		assert_int_equal(w->end_why[0], CLIENT_END_RESET);
		assert_int_equal(w->end_at[0], (back ? 11100 : 10500) * NS_MS + 20 * NS_MS); /* 200 ms, 600 ms after the first time */
		assert_int_equal(w->ready[0], 2);
		assert_int_equal(w->ends[2], 0);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim_logs_in_and_delivers),          cmocka_unit_test(sim_crash_moves_clients),
		cmocka_unit_test(sim_login_takes_three_round_trips), cmocka_unit_test(sim_dials_the_next_node),
		cmocka_unit_test(sim_vanished_client_is_noticed),    cmocka_unit_test(sim_vanished_relay_is_noticed),
		cmocka_unit_test(sim_sender_is_told_by_rst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
