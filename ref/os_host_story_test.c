/* Relays and clients of ours on loopback sockets, all in one process: logins, packets, departures, a stalled reader, a mesh,
 * refusals and resets. Who shares a loop runs together; a peer with a loop of its own stands still until the test turns it. */
#include "os_host.h"

#include "buf.h"
#include "client.h"
#include "frame.h"
#include "os_frames.h"
#include "os_keyfile.h"
#include "relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { WAIT_MS = 5000, GOT_MAX = 256, MESH_SLOTS_ALL = 64 };
static const char mesh_key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/* ---- who takes part ---- */

struct party {
	struct os_owner owner; /* first */
	struct os_loop *loop;
	struct os_host *host;
	struct os_frames *frames;
	char *log;
	size_t log_n;
	FILE *log_file;
};

struct box {
	struct party party; /* first */
	struct relay *relay;
	struct address at;
	char config[600];
};

struct got {
	uint8_t key[KEY_SIZE];
	struct packet *packet;
};

struct peer {
	struct party party; /* first */
	struct client *client;
	uint8_t key[KEY_SIZE];
	struct got got[GOT_MAX];
	uint32_t packets, ready, gone, ended;
	uint8_t gone_key[KEY_SIZE];
	uint64_t gone_reason;
	enum client_end end;
};

static void peer_deliver(struct os_owner *owner, const struct action *x)
{
	struct peer *p = (struct peer *)owner;

	switch (x->deliver.what) {
	case DELIVER_READY: p->ready++; break;
	case DELIVER_PACKET:
		assert_true(p->packets < GOT_MAX);
		memcpy(p->got[p->packets].key, x->deliver.key, KEY_SIZE);
		p->got[p->packets++].packet = packet_copy(x->span.p, x->span.n);
		break;
	case DELIVER_PEER_GONE:
		memcpy(p->gone_key, x->deliver.key, KEY_SIZE);
		p->gone_reason = x->deliver.a;
		p->gone++;
		break;
	case DELIVER_DISCONNECTED:
		p->end = (enum client_end)x->deliver.a;
		p->ended++;
		break;
	default: break;
	}
}

static void log_stream(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	os_frames_stream(((struct party *)owner)->frames, token, what, p, n);
}

static void party_init(struct party *p, struct os_loop *loop, struct machine *machine)
{
	p->owner.stream = log_stream;
	p->log_file = open_memstream(&p->log, &p->log_n);
	p->frames = os_frames_new(p->log_file);
	p->loop = loop;
	p->host = os_host_new(loop, machine, &p->owner);
}

static void party_end(struct party *p)
{
	os_host_free(p->host);
	os_frames_free(p->frames);
	fclose(p->log_file);
	free(p->log);
}

static void add_key(char *config, size_t size)
{
	struct key key;
	char hex[KEY_HEX];

	os_key_draw(&key);
	key_hex(key.b, hex);
	snprintf(config + strlen(config), size - strlen(config), "key=%.*s\n", KEY_HEX, hex);
}

/* A relay that listens; it starts with box_start, so that two can know each other's ports. */
static struct box *box_new(struct os_loop *loop)
{
	static const struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	struct box *b = calloc(1, sizeof *b);
	char error[OS_ERROR_SIZE];

	b->relay = relay_new(&(struct machine_env){ 0 });
	party_init(&b->party, loop, relay_machine(b->relay));
	assert_true(os_host_listen(b->party.host, &loopback, &OS_TCP_TIMES, &b->at, error));
	add_key(b->config, sizeof b->config);
	return b;
}

static void box_start(struct box *b, const char *more)
{
	strncat(b->config, more, sizeof b->config - strlen(b->config) - 1);
	os_host_start(b->party.host, b->config, strlen(b->config), MESH_SLOTS_ALL * CLIENT_SLOTS);
}

static void box_end(struct box *b)
{
	struct machine *machine = relay_machine(b->relay);

	party_end(&b->party);
	machine_free(machine);
	free(b);
}

static struct peer *peer_new(struct os_loop *loop, const struct box *b, const char *more)
{
	struct peer *p = calloc(1, sizeof *p);
	char config[600] = "";

	add_key(config, sizeof config);
	snprintf(config + strlen(config), sizeof config - strlen(config), "url=http://127.0.0.1:%u/derp\n%s", b->at.port, more);
	p->client = client_new(&(struct machine_env){ 0 });
	party_init(&p->party, loop, client_machine(p->client));
	p->party.owner.deliver = peer_deliver;
	os_host_start(p->party.host, config, strlen(config), CLIENT_SLOTS);
	memcpy(p->key, client_public_key(p->client), KEY_SIZE);
	return p;
}

static void peer_end(struct peer *p)
{
	struct machine *machine = client_machine(p->client);

	party_end(&p->party);
	machine_free(machine);
	for (uint32_t i = 0; i < p->packets; i++) packet_drop(p->got[i].packet);
	free(p);
}

/* ---- what they do ---- */

/* Turns the loop until the condition holds. */
#define AWAIT(loop, condition) \
	do { \
		uint64_t until_ = os_now() + WAIT_MS * NS_MS; \
		while (!(condition) && os_now() < until_) os_loop_turn((loop), os_now() + NS_MS); \
		assert_true(condition); \
	} while (0)

static struct packet *pattern(uint32_t n, uint32_t seed)
{
	struct packet *packet = packet_new(n);

	for (uint32_t i = 0; i < n; i++) packet->bytes[i] = (uint8_t)(seed + i * 13 + (i >> 8) * 5);
	return packet;
}

static void peer_send(struct peer *p, const uint8_t *to, struct packet *packet)
{
	struct event_command command = { .verb = COMMAND_SEND, .dst = to, .owner = packet, .p = packet->bytes, .n = packet->n };

	os_host_command(p->party.host, &command);
}

static void peer_leave(struct peer *p)
{
	struct event_command command = { .verb = COMMAND_LEAVE };

	os_host_command(p->party.host, &command);
}

static void assert_got(const struct peer *p, uint32_t i, const uint8_t *from, const struct packet *want)
{
	assert_true(i < p->packets);
	assert_memory_equal(p->got[i].key, from, KEY_SIZE);
	assert_int_equal(p->got[i].packet->n, want->n);
	if (want->n != 0) assert_memory_equal(p->got[i].packet->bytes, want->bytes, want->n);
}

static const char *fast_start(const struct box *b, char out[160])
{
	char hex[KEY_HEX];

	key_hex(relay_public_key(b->relay), hex);
	snprintf(out, 160, "fast-start=always\nserver-key=%.*s\n", KEY_HEX, hex);
	return out;
}

/* ---- stories ---- */

/* Slow and fast start end in the same state; packets of every size go both ways between the two, unchanged (HTTP-005, HTTP-008, SRV-018). */
static void packets_come_unchanged(void **state)
{
	static const uint32_t size[] = { 0, 1, 1400, 65536 };
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop);
	struct peer *slow, *fast;
	char text[160];

	(void)state;
	box_start(b, "");
	slow = peer_new(loop, b, "");
	fast = peer_new(loop, b, fast_start(b, text));
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
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop);
	struct packet *packet = pattern(50, 1);
	struct peer *a, *c;

	(void)state;
	box_start(b, "");
	a = peer_new(loop, b, "");
	c = peer_new(loop, b, "");
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

/* One reads nothing while another floods it: its queue overflows (SRV-012), others get every packet meanwhile, and in the end it is
 * closed (SRV-020). */
static void stalled_reader_harms_nobody(void **state)
{
	struct os_loop *loop = os_loop_new(), *still = os_loop_new();
	struct box *b = box_new(loop);
	const struct relay_counters *count = relay_counters(b->relay);
	struct packet *large = pattern(65536, 1), *small = pattern(1400, 2);
	struct peer *stalled, *flooder, *from, *to;
	uint32_t sent = 0;

	(void)state;
	box_start(b, "write-timeout=1s\n");
	stalled = peer_new(still, b, "retry=manual\n");
	flooder = peer_new(loop, b, "");
	from = peer_new(loop, b, "");
	to = peer_new(loop, b, "");
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
	struct os_loop *loop = os_loop_new();
	struct box *b[2] = { box_new(loop), box_new(loop) };
	struct peer *p[2];
	char text[200];

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof text, "mesh-key=%s\nmesh-retry=50ms\nmesh-with=http://127.0.0.1:%u\n", mesh_key, b[1 - i]->at.port);
		box_start(b[i], text);
	}
	for (int i = 0; i < 2; i++) p[i] = peer_new(loop, b[i], "");
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
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop), *gone = box_new(loop), nowhere = { .at = gone->at };
	struct event_command leave = { .verb = COMMAND_LEAVE };
	struct peer *refused, *reset;

	(void)state;
	box_end(gone); /* its port is free */
	refused = peer_new(loop, &nowhere, "retry=fixed\nretry-after=5ms\n");
	AWAIT(loop, refused->ended >= 2);
	assert_int_equal(refused->end, CLIENT_END_REFUSED);
	box_start(b, "");
	reset = peer_new(loop, b, "retry=manual\n");
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
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop);
	struct peer *p;

	(void)state;
	box_start(b, "");
	p = peer_new(loop, b, "");
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
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop);
	struct packet *packet = pattern(10, 1);
	char client[300] = "1 in ServerKey 40\n", relay[300] = "1 out ServerKey 40\n";
	struct peer *p;

	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(client + strlen(client), sizeof client - strlen(client), "1 %s %s\n", want[i].out ? "out" : "in", want[i].rest);
		snprintf(relay + strlen(relay), sizeof relay - strlen(relay), "1 %s %s\n", want[i].out ? "in" : "out", want[i].rest);
	}
	box_start(b, "");
	p = peer_new(loop, b, "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_unchanged), cmocka_unit_test(leaving_is_told),   cmocka_unit_test(stalled_reader_harms_nobody),
		cmocka_unit_test(mesh_forwards),          cmocka_unit_test(refused_and_reset), cmocka_unit_test(reset_client_is_gone),
		cmocka_unit_test(frames_mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
