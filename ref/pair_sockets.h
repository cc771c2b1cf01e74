/* Relays and clients of ours on loopback sockets, in one process, plain or with TLS. Who shares a loop runs together; a peer with a loop
 * of its own stands still until the test turns it. *_test.c only, like pair.h. */
#ifndef REF_PAIR_SOCKETS_H
#define REF_PAIR_SOCKETS_H

#include "buf.h"
#include "client.h"
#include "frame.h"
#include "os_frames.h"
#include "os_host.h"
#include "os_keyfile.h"
#include "os_tls.h"
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
	const char *scheme;
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

static inline void peer_deliver(struct os_owner *owner, const struct action *x)
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

static inline void log_stream(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	os_frames_stream(((struct party *)owner)->frames, token, what, p, n);
}

static inline void party_init(struct party *p, struct os_loop *loop, struct machine *machine, struct os_tls *tls)
{
	p->owner.stream = log_stream;
	p->log_file = open_memstream(&p->log, &p->log_n);
	p->frames = os_frames_new(p->log_file);
	p->loop = loop;
	p->host = os_host_new(loop, machine, &p->owner);
	os_host_tls(p->host, tls);
}

static inline void party_end(struct party *p)
{
	os_host_free(p->host);
	os_frames_free(p->frames);
	fclose(p->log_file);
	free(p->log);
}

static inline void add_key(char *config, size_t size)
{
	struct key key;
	char hex[KEY_HEX];

	os_key_draw(&key);
	key_hex(key.b, hex);
	snprintf(config + strlen(config), size - strlen(config), "key=%.*s\n", KEY_HEX, hex);
}

/* A relay that listens; it starts with box_start, so that two can know each other's ports. */
static inline struct box *box_new(struct os_loop *loop, struct os_tls *tls)
{
	static const struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	struct box *b = calloc(1, sizeof *b);
	char error[OS_ERROR_SIZE];

	b->relay = relay_new(&(struct machine_env){ 0 });
	party_init(&b->party, loop, relay_machine(b->relay), tls);
	b->scheme = tls != NULL ? "https" : "http";
	assert_true((tls != NULL ? os_host_listen_tls : os_host_listen)(b->party.host, &loopback, &OS_TCP_TIMES, &b->at, error));
	add_key(b->config, sizeof b->config);
	return b;
}

static inline void box_start(struct box *b, const char *more)
{
	strncat(b->config, more, sizeof b->config - strlen(b->config) - 1);
	os_host_start(b->party.host, b->config, strlen(b->config), MESH_SLOTS_ALL * CLIENT_SLOTS);
}

static inline void box_end(struct box *b)
{
	struct machine *machine = relay_machine(b->relay);

	party_end(&b->party);
	machine_free(machine);
	free(b);
}

static inline struct peer *peer_new(struct os_loop *loop, const struct box *b, struct os_tls *tls, const char *more)
{
	struct peer *p = calloc(1, sizeof *p);
	char config[600] = "";

	add_key(config, sizeof config);
	snprintf(config + strlen(config), sizeof config - strlen(config), "url=%s://127.0.0.1:%u/derp\n%s", b->scheme, b->at.port, more);
	p->client = client_new(&(struct machine_env){ 0 });
	party_init(&p->party, loop, client_machine(p->client), tls);
	p->party.owner.deliver = peer_deliver;
	os_host_start(p->party.host, config, strlen(config), CLIENT_SLOTS);
	memcpy(p->key, client_public_key(p->client), KEY_SIZE);
	return p;
}

static inline void peer_end(struct peer *p)
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

static inline struct packet *pattern(uint32_t n, uint32_t seed)
{
	struct packet *packet = packet_new(n);

	for (uint32_t i = 0; i < n; i++) packet->bytes[i] = (uint8_t)(seed + i * 13 + (i >> 8) * 5);
	return packet;
}

static inline void peer_send(struct peer *p, const uint8_t *to, struct packet *packet)
{
	struct event_command command = { .verb = COMMAND_SEND, .dst = to, .owner = packet, .p = packet->bytes, .n = packet->n };

	os_host_command(p->party.host, &command);
}

static inline void peer_leave(struct peer *p)
{
	struct event_command command = { .verb = COMMAND_LEAVE };

	os_host_command(p->party.host, &command);
}

static inline void assert_got(const struct peer *p, uint32_t i, const uint8_t *from, const struct packet *want)
{
	assert_true(i < p->packets);
	assert_memory_equal(p->got[i].key, from, KEY_SIZE);
	assert_int_equal(p->got[i].packet->n, want->n);
	if (want->n != 0) assert_memory_equal(p->got[i].packet->bytes, want->bytes, want->n);
}

static inline const char *fast_start(const struct box *b, char out[160])
{
	char hex[KEY_HEX];

	key_hex(relay_public_key(b->relay), hex);
	snprintf(out, 160, "fast-start=always\nserver-key=%.*s\n", KEY_HEX, hex);
	return out;
}

#endif
