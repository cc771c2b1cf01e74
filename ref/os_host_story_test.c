/* Relays and clients of ours on loopback sockets, all in one process: logins, packets, departures, a stalled reader, a mesh,
 * refusals and resets. Who shares a loop runs together; a peer with a loop of its own stands still until the test turns it. */
#include "os_host.h"

#include "pair_sockets.h"

#include <unistd.h>

/* ---- stories ---- */

/* Slow and fast start end in the same state; packets of every size go both ways between the two, unchanged (HTTP-005, HTTP-008, SRV-018). */
static void packets_come_unchanged(void **state)
{
	static const uint32_t size[] = { 0, 1, 1400, 65536 };
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls);
	struct peer *slow, *fast;
	char text[160];

	box_start(b, "");
	slow = peer_new(loop, b, tls, "fast-start=never\n");
	fast = peer_new(loop, b, tls, fast_start(b, text));
	AWAIT(loop, slow->ready == 1 && fast->ready == 1);
	for (uint32_t i = 0; i < 4; i++) {
		struct packet *there = pattern(size[i], i), *back = pattern(size[i], i + 100);
		peer_send(slow, fast->key, there);
		peer_send(fast, slow->key, back);
		AWAIT(loop, slow->packets == i + 1 && fast->packets == i + 1);
		assert_got(fast, i, slow->key, there);
		assert_got(slow, i, fast->key, back);
		packet_drop(there);
		packet_drop(back);
	}
	assert_int_equal(relay_counters(b->relay)->logins, 2);
	assert_int_equal(relay_counters(b->relay)->packets_sent, 8);
	peer_end(slow);
	peer_end(fast);
	box_end(b);
	os_loop_free(loop);
}

/* Who got a packet of somebody hears when that one leaves (PGR-004). */
static void leaving_is_told(void **state)
{
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls);
	struct packet *packet = pattern(50, 1);
	struct peer *a, *c;

	box_start(b, "");
	a = peer_new(loop, b, tls, "");
	c = peer_new(loop, b, tls, "");
	AWAIT(loop, a->ready == 1 && c->ready == 1);
	peer_send(a, c->key, packet);
	AWAIT(loop, c->packets == 1);
	peer_leave(a);
	AWAIT(loop, c->gone == 1);
	assert_memory_equal(c->gone_key, a->key, KEY_SIZE);
	assert_int_equal(c->gone_reason, GONE_DISCONNECTED);
	AWAIT(loop, os_host_connections(a->party.host) == 0);
	assert_int_equal(a->end, CLIENT_END_LEFT);
	packet_drop(packet);
	peer_end(a);
	peer_end(c);
	box_end(b);
	os_loop_free(loop);
}

/* Draining: a client hears Restarting, packets go on, nobody else is let in, and in the end the stream ends with FIN behind everything that
 * was sent (SRV-034). */
static void drained_in_peace(void **state)
{
	struct event_command drain = { .verb = COMMAND_DRAIN, .patience_ns = 300 * NS_MS };
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls);
	struct packet *packet = pattern(50, 1);
	struct peer *a, *c, *late;
	uint64_t from;

	box_start(b, "");
	a = peer_new(loop, b, tls, "");
	c = peer_new(loop, b, tls, "");
	AWAIT(loop, a->ready == 1 && c->ready == 1);
	from = os_now();
	os_host_command(b->party.host, &drain);
	peer_send(a, c->key, packet);
	AWAIT(loop, c->packets == 1);
	late = peer_new(loop, b, tls, "");
	AWAIT(loop, late->ended == 1);
	AWAIT(loop, a->ended == 1);
	assert_int_equal(a->end, CLIENT_END_CLOSED);
	assert_int_equal(c->ended, 0);
	AWAIT(loop, c->ended == 1);
	assert_int_equal(c->end, CLIENT_END_CLOSED);
	assert_true(os_now() - from >= 300 * NS_MS);
	assert_int_equal(late->ready, 0);
	AWAIT(loop, os_host_connections(b->party.host) == 0);
	fflush(a->party.log_file);
	assert_non_null(strstr(a->party.log, "in Restarting 8"));
	packet_drop(packet);
	peer_end(a);
	peer_end(c);
	peer_end(late);
	box_end(b);
	os_loop_free(loop);
}

/* One reads nothing while another floods it: its queue overflows (SRV-012), others get every packet meanwhile, and in the end it is
 * closed (SRV-020). */
static void stalled_reader_harms_nobody(void **state)
{
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new(), *still = os_loop_new();
	struct box *b = box_new(loop, tls);
	const struct relay_counters *count = relay_counters(b->relay);
	struct packet *large = pattern(65536, 1), *small = pattern(1400, 2);
	struct peer *stalled, *flooder, *from, *to;
	uint32_t sent = 0;

	box_start(b, "write-timeout=1s\n");
	stalled = peer_new(still, b, tls, "retry=manual\n");
	flooder = peer_new(loop, b, tls, "");
	from = peer_new(loop, b, tls, "");
	to = peer_new(loop, b, tls, "");
	for (uint64_t until = os_now() + WAIT_MS * NS_MS; stalled->ready == 0 && os_now() < until;) {
		os_loop_turn(still, os_now() + NS_MS);
		os_loop_turn(loop, os_now() + NS_MS);
	}
	AWAIT(loop, flooder->ready == 1 && from->ready == 1 && to->ready == 1);
	for (uint32_t i = 0; i < 20000 && count->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER] == 0; i++) {
		if (client_packets_queued(flooder->client) == 0) peer_send(flooder, stalled->key, large);
		os_loop_turn(loop, os_now() + NS_MS);
	}
	assert_true(count->packets_dropped[DROP_QUEUE_HEAD][PACKET_OTHER] > 0);
	assert_int_equal(count->write_timeouts, 0);
	for (; sent < 200; sent++) {
		if (client_packets_queued(flooder->client) == 0) peer_send(flooder, stalled->key, large);
		peer_send(from, to->key, small);
		AWAIT(loop, to->packets == sent + 1);
		assert_got(to, sent, from->key, small);
	}
	AWAIT(loop, count->write_timeouts == 1);
	AWAIT(still, stalled->ended == 1);
	assert_int_equal(to->packets, sent);
	assert_int_equal(flooder->ended + from->ended + to->ended, 0);
	packet_drop(large);
	packet_drop(small);
	peer_end(stalled);
	peer_end(flooder);
	peer_end(from);
	peer_end(to);
	box_end(b);
	os_loop_free(loop);
	os_loop_free(still);
}

/* Two relays of a mesh: a packet between their clients takes one hop, both ways (MSH-018, MSH-020); a departure is heard across
 * (MSH-030). */
static void mesh_forwards(void **state)
{
	static const uint32_t size[] = { 0, 1, 1400, 65536 };
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b[2] = { box_new(loop, tls), box_new(loop, tls) };
	struct peer *p[2];
	char text[200];

	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof text, "mesh-key=%s\nmesh-retry=50ms\nmesh-with=%s://127.0.0.1:%u\n", mesh_key, b[1 - i]->scheme,
		         b[1 - i]->at.port);
		box_start(b[i], text);
	}
	for (int i = 0; i < 2; i++) p[i] = peer_new(loop, b[i], tls, "");
	AWAIT(loop, relay_route(b[0]->relay, p[1]->key) == ROUTE_FORWARD && relay_route(b[1]->relay, p[0]->key) == ROUTE_FORWARD);
	AWAIT(loop, p[0]->ready == 1 && p[1]->ready == 1);
	for (uint32_t i = 0; i < 4; i++) {
		struct packet *packet = pattern(size[i], i);
		peer_send(p[0], p[1]->key, packet);
		peer_send(p[1], p[0]->key, packet);
		AWAIT(loop, p[0]->packets == i + 1 && p[1]->packets == i + 1);
		assert_got(p[0], i, p[1]->key, packet);
		assert_got(p[1], i, p[0]->key, packet);
		packet_drop(packet);
	}
	assert_int_equal(relay_counters(b[0]->relay)->packets_forwarded_out, 4);
	assert_int_equal(relay_counters(b[0]->relay)->packets_forwarded_in, 4);
	peer_leave(p[0]);
	AWAIT(loop, relay_route(b[1]->relay, p[0]->key) == ROUTE_NONE);
	AWAIT(loop, p[1]->gone == 1);
	for (int i = 0; i < 2; i++) peer_end(p[i]);
	for (int i = 0; i < 2; i++) box_end(b[i]);
	os_loop_free(loop);
}

/* Nobody listens: refused, and again by the retry policy. The relay closes everything (SRV-036): its clients see it at once. */
static void refused_and_reset(void **state)
{
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls), *gone = box_new(loop, tls), nowhere = { .at = gone->at, .scheme = gone->scheme };
	struct event_command leave = { .verb = COMMAND_LEAVE };
	struct peer *refused, *reset;

	box_end(gone); /* its port is free */
	refused = peer_new(loop, &nowhere, tls, "retry=fixed\nretry-after=5ms\n");
	AWAIT(loop, refused->ended >= 2);
	assert_int_equal(refused->end, CLIENT_END_REFUSED);
	box_start(b, "");
	reset = peer_new(loop, b, tls, "retry=manual\n");
	AWAIT(loop, reset->ready == 1);
	os_host_command(b->party.host, &leave);
	AWAIT(loop, reset->ended == 1);
	assert_int_equal(reset->end, CLIENT_END_RESET);
	peer_end(refused);
	peer_end(reset);
	box_end(b);
	os_loop_free(loop);
}

/* A client that ends without a word is unregistered at once (SRV-035). */
static void reset_client_is_gone(void **state)
{
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls);
	struct peer *p;

	box_start(b, "");
	p = peer_new(loop, b, tls, "");
	AWAIT(loop, p->ready == 1);
	assert_int_equal(relay_regular_clients(b->relay), 1);
	peer_end(p);
	AWAIT(loop, relay_regular_clients(b->relay) == 0);
	AWAIT(loop, os_host_connections(b->party.host) == 0);
	box_end(b);
	os_loop_free(loop);
}

/* The two ends of a connection tell of the same frames. Here they are also in one order, since each waits for the other. */
static void frames_mirror(void **state)
{
	static const struct {
		bool out; /* of the client */
		const char *rest;
	} want[] = {
		{ true, "ClientInfo 104" },
		{ false, "ServerInfo 53" },
		{ true, "SendPacket 42" },
		{ false, "RecvPacket 42" },
	};
	struct os_tls *tls = *(struct os_tls **)*state;
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, tls);
	struct packet *packet = pattern(10, 1);
	char client[300] = "1 in ServerKey 40\n", relay[300] = "1 out ServerKey 40\n";
	struct peer *p;

	for (int i = 0; i < 4; i++) {
		snprintf(client + strlen(client), sizeof client - strlen(client), "1 %s %s\n", want[i].out ? "out" : "in", want[i].rest);
		snprintf(relay + strlen(relay), sizeof relay - strlen(relay), "1 %s %s\n", want[i].out ? "in" : "out", want[i].rest);
	}
	box_start(b, "");
	p = peer_new(loop, b, tls, "fast-start=never\n");
	AWAIT(loop, p->ready == 1);
	peer_send(p, p->key, packet);
	AWAIT(loop, p->packets == 1);
	fflush(p->party.log_file);
	fflush(b->party.log_file);
	/* Two heads of HTTP go before, of a length that depends on the port. */
	assert_int_equal(strncmp(p->party.log, "1 out HTTP ", 11), 0);
	assert_int_equal(strncmp(b->party.log, "1 in HTTP ", 10), 0);
	assert_non_null(strstr(p->party.log, "1 in HTTP 172\n"));
	assert_string_equal(strstr(p->party.log, "1 in ServerKey"), client);
	assert_string_equal(strstr(b->party.log, "1 out ServerKey"), relay);
	packet_drop(packet);
	peer_end(p);
	box_end(b);
	os_loop_free(loop);
}

static struct os_tls *no_tls;
static struct os_tls *tls_of_all;

/* One for all: its own certificate is the only one it trusts. */
static int setup(void **state)
{
	struct os_tls_config config = { .certdir = "127.0.0.1", .hostname = "127.0.0.1", .ca_file = "127.0.0.1/127.0.0.1.crt" };
	char folder[] = P_tmpdir "/derp-story-XXXXXX", command[60], error[OS_TLS_ERROR_SIZE];

	(void)state;
	if (mkdtemp(folder) == NULL || chdir(folder) != 0) return -1;
	tls_of_all = os_tls_new(&config, error);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 && tls_of_all != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	os_tls_free(tls_of_all);
	return 0;
}

#define STORY(f) \
	{ #f, f, NULL, NULL, &no_tls }, { #f "_tls", f, NULL, NULL, &tls_of_all }

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(packets_come_unchanged), STORY(leaving_is_told),   STORY(drained_in_peace),     STORY(stalled_reader_harms_nobody),
		STORY(mesh_forwards),          STORY(refused_and_reset), STORY(reset_client_is_gone), STORY(frames_mirror),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
