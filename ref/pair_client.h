/* What the stories of a client share: how a story is run, what must be seen, and a relay written by hand. Every story runs with whole
 * events and with streams cut to single bytes (TRP-004). For *_test.c only. */
#ifndef REF_PAIR_CLIENT_H
#define REF_PAIR_CLIENT_H

#include "http.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, MESH = 0xe0 };

static inline void each(void (*story)(struct pair *p))
{
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct pair *p = pair_new(chunk);
		story(p);
		pair_free(p);
	}
}

#define STORY(name) \
	static void name##_story(struct pair *p); \
	static void name(void **state) \
	{ \
		(void)state; \
		each(name##_story); \
	} \
	static void name##_story(struct pair *p)

static inline struct client *client_of(struct pair *p, int host) { return p->host[host].client; }

static inline void state_is(struct pair *p, int host, enum client_state state)
{
	if (client_state(client_of(p, host)) != state)
		fail_msg("the client is %s, not %s", client_state_name(client_state(client_of(p, host))), client_state_name(state));
}

/* The i-th end of a connection or attempt was for this reason; returns the announced wait. */
static inline uint64_t ended(struct pair *p, int host, size_t i, enum client_end why)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_DISCONNECTED, i);

	assert_non_null(h);
	if (h->a != why) fail_msg("ended because of %s, not %s", client_end_name((enum client_end)h->a), client_end_name(why));
	return h->b;
}

static inline void packet_came(struct pair *p, int host, size_t i, uint8_t from, const char *text)
{
	const struct pair_heard *h = pair_heard(p, host, DELIVER_PACKET, i);
	struct key key = pair_public(from);

	assert_non_null(h);
	assert_memory_equal(h->key, key.b, KEY_SIZE);
	assert_int_equal(h->n, strlen(text));
	assert_memory_equal(h->p, text, h->n);
}

static const struct address wire_at = { .ip = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 50 }, .port = 80 };
#define WIRE "url=http://192.0.2.50/derp\n"

static inline int wire_relay(struct pair *p)
{
	int s = wire_accepted(p, wire_at);

	assert_true(s >= 0);
	return s;
}

static inline void wire_listens(struct pair *p) { pair_listen(p, wire_at, PAIR_WIRE, -1, TOKEN_NONE, false); }

static inline void request_is(struct pair *p, int s, const char *text)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	if (n < strlen(text) || memcmp(rest, text, strlen(text)) != 0) fail_msg("the request is: %.*s", (int)n, (const char *)rest);
	wire_skip(p, s, strlen(text));
}

static inline void server_key(struct pair *p, int s, uint32_t more)
{
	struct key server = pair_public(SERVER);
	uint8_t payload[1100] = { 0 };

	memcpy(payload, frame_magic, FRAME_MAGIC);
	memcpy(payload + FRAME_MAGIC, server.b, KEY_SIZE);
	wire_send_frame(p, s, FRAME_SERVER_KEY, payload, 40 + more);
}

static inline void server_info(struct pair *p, int s, uint8_t client, const struct server_info *info)
{
	struct key private_key = pair_key(SERVER), public_key = pair_public(client), shared;
	uint8_t nonce[KEY_NONCE] = { 5 }, frame[LOGIN_FRAME_MAX];

	assert_true(key_shared(&private_key, public_key.b, &shared));
	wire_send(p, s, frame, login_server_info_frame(frame, &shared, nonce, info));
}

static inline void client_info_is(struct pair *p, int s, uint8_t client, struct client_info *info)
{
	struct key private_key = pair_key(SERVER), public_key = pair_public(client), shared;
	struct wire_frame f = { 0 };

	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_CLIENT_INFO);
	assert_memory_equal(f.p, public_key.b, KEY_SIZE);
	assert_true(key_shared(&private_key, public_key.b, &shared));
	assert_true(login_client_info_open(f.p, f.n, &shared, info));
}

static inline void frame_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a %s, nothing came", frame_name(type));
	assert_int_equal(f.type, type);
	assert_int_equal(f.n, n);
	if (n != 0) assert_memory_equal(f.p, payload, n);
}

static inline void quiet(struct pair *p, int s)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
}

/* A raw connection with the login done, but for ServerInfo. */
static inline int wire_sent(struct pair *p, int host, uint8_t key)
{
	struct client_info info;
	int s = wire_relay(p);

	server_key(p, s, 0);
	client_info_is(p, s, key, &info);
	state_is(p, host, CLIENT_SENT);
	return s;
}

static inline int wire_ready(struct pair *p, int host, uint8_t key)
{
	int s = wire_sent(p, host, key);

	server_info(p, s, key, &(struct server_info){ .version = 2 });
	state_is(p, host, CLIENT_READY);
	return s;
}

#define NODE(name, host, more) "{\"Name\":\"" name "\",\"RegionID\":1,\"HostName\":\"" host "\"" more "}"
#define REGION(nodes) "region={\"RegionID\":1,\"RegionCode\":\"x\",\"Nodes\":[" nodes "]}\n"
#define V4(last) ",\"IPv4\":\"192.0.2." last "\",\"IPv6\":\"none\",\"DERPPort\":80"

#endif
