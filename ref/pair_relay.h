/* What the stories of a relay among hand-written clients share: how a story is run, how a client logs in and sends, what must be
 * seen. Every story runs with whole events, with streams cut to single bytes and to pieces of 13 (TRP-004). For *_test.c only. */
#ifndef REF_PAIR_RELAY_H
#define REF_PAIR_RELAY_H

#include "http.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, C = 0x60, D = 0x80, MESH = 0xe0 };

static inline void each(void (*story)(struct pair *p, int r), const char *config)
{
	static const size_t chunks[] = { 0, 1, 13 };

	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		struct pair *p = pair_new(chunks[i]);
		story(p, pair_relay(p, SERVER, config));
		pair_free(p);
	}
}

#define STORY(name, config) \
	static void name##_story(struct pair *p, int r); \
	static void name(void **state) \
	{ \
		(void)state; \
		each(name##_story, config); \
	} \
	static void name##_story(struct pair *p, int r)

#define RAW "raw=on\n"
#define MESH_KEY "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
#define MESHED RAW MESH_KEY

/* ---- what must be seen ---- */

static inline void frame_is(struct pair *p, int s, uint8_t type, const void *payload, uint32_t n)
{
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a %s, nothing came", frame_name(type));
	if (f.type != type || f.n != n) fail_msg("expected a %s of %u, got a %s of %u", frame_name(type), n, frame_name(f.type), f.n);
	assert_memory_equal(f.p, payload == NULL ? f.p : payload, n);
}

static inline void packet_is(struct pair *p, int s, uint8_t from, const void *packet, uint32_t n)
{
	struct key source = pair_public(from);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, s, &f)) fail_msg("expected a RecvPacket, nothing came");
	assert_int_equal(f.type, FRAME_RECV_PACKET);
	assert_int_equal(f.n, FRAME_KEY + n);
	assert_memory_equal(f.p, source.b, KEY_SIZE);
	assert_memory_equal(f.p + FRAME_KEY, packet, n);
}

static inline void gone_is(struct pair *p, int s, uint8_t who, uint8_t reason)
{
	struct key key = pair_public(who);
	uint8_t payload[FRAME_GONE_SIZE];

	memcpy(payload, key.b, KEY_SIZE);
	payload[KEY_SIZE] = reason;
	frame_is(p, s, FRAME_PEER_GONE, payload, sizeof payload);
}

static inline void present_is(struct pair *p, int s, uint8_t who, uint8_t flags)
{
	struct key key = pair_public(who);
	struct address from = pair_address(7, 41641);
	uint8_t frame[FRAME_HEADER + FRAME_PRESENT_SIZE];

	frame_peer_present(frame, key.b, from.ip, from.port, flags);
	frame_is(p, s, FRAME_PEER_PRESENT, frame + FRAME_HEADER, FRAME_PRESENT_SIZE);
}

static inline void silent(struct pair *p, int s)
{
	size_t n;
	const uint8_t *rest = wire_rest(p, s, &n);

	if (n != 0) fail_msg("expected nothing, got %zu bytes: %s", n, frame_name(rest[0]));
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

static inline void closed(struct pair *p, int s)
{
	size_t n;

	wire_rest(p, s, &n);
	assert_int_equal(n, 0);
	assert_int_not_equal(wire_end(p, s)->ended, PAIR_OPEN);
}

/* Everything that was sent before has been read when the Pong is here (TRP-006). */
static inline void ping(struct pair *p, int s)
{
	static const uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	wire_send_frame(p, s, FRAME_PING, data, sizeof data);
	frame_is(p, s, FRAME_PONG, data, sizeof data);
}

static const struct relay_counters *counters(struct pair *p, int r) { return relay_counters(p->host[r].relay); }
static inline enum relay_route route_to(struct pair *p, int r, uint8_t key)
{
	struct key public_key = pair_public(key);

	return relay_route(p->host[r].relay, public_key.b);
}

static inline int login(struct pair *p, int r, uint8_t key) { return wire_login(p, r, key, NULL); }

static inline int login_mesh(struct pair *p, int r, uint8_t key)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };

	return wire_login(p, r, key, &info);
}

static inline void send_to(struct pair *p, int s, uint8_t to, const void *packet, uint32_t n)
{
	struct key dst = pair_public(to);

	wire_send_packet(p, s, &dst, packet, n);
}

static inline void send_disco(struct pair *p, int s, uint8_t to)
{
	static const uint8_t packet[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	send_to(p, s, to, packet, sizeof packet);
}

static inline void key_frame(struct pair *p, int s, uint8_t type, uint8_t key)
{
	struct key public_key = pair_public(key);

	wire_send_frame(p, s, type, public_key.b, KEY_SIZE);
}

#endif
