/* Every length of a frame at its borders, as a client receives it, and of a packet as it sends it: the last good length, the first bad one
 * and an absurd one, of every type, while it waits for ServerKey, between its ClientInfo and ServerInfo, and later. Whole and byte by byte,
 * as every story here. relay_boundary_test.c is the other side. */
#include "pair_client.h"

#define ABSURD UINT32_MAX

/* When it comes. */
enum when { LOGIN = 1, SENT = 2, READY = 4, STEADY = SENT | READY };
enum fate { HEARD, SKIPPED, ENDS };

/* Payload lengths, written from chapter 1 and not from frame.c. first..last: the types. */
static const struct border {
	uint8_t first, last;
	enum when when;
	uint32_t good, bad, absurd;
	enum fate good_fate, bad_fate;
} borders[] = {
	/* HSK-003 */
	{ 0x01, 0x01, LOGIN, 40, 39, 0, HEARD, ENDS },
	{ 0x01, 0x01, LOGIN, 1024, 1025, ABSURD, HEARD, ENDS },
	{ 0x00, 0x00, LOGIN, 40, 40, ABSURD, ENDS, ENDS },
	{ 0x02, 0xff, LOGIN, 40, 40, ABSURD, ENDS, ENDS },
	/* HSK-026: the border of chapter 1, and that of the shortest box with an object in it */
	{ 0x03, 0x03, STEADY, 24, 23, 0, ENDS, ENDS },
	{ 0x03, 0x03, STEADY, 42, 41, 40, HEARD, ENDS },
	{ 0x03, 0x03, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* FRM-009; FRM-004 is no limit on this side */
	{ 0x05, 0x05, STEADY, 32, 31, 0, HEARD, SKIPPED },
	{ 0x05, 0x05, STEADY, 65569, 65569, 65569, HEARD, HEARD },
	{ 0x05, 0x05, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* FRM-010 */
	{ 0x06, 0x06, STEADY, 0, 0, 0, HEARD, HEARD },
	{ 0x06, 0x06, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* PGR-001: behind the key a reason byte */
	{ 0x08, 0x08, STEADY, 32, 31, 0, HEARD, SKIPPED },
	{ 0x08, 0x08, STEADY, 33, 32, 34, HEARD, HEARD },
	{ 0x08, 0x08, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* PGR-018: behind the key 18 bytes of address, behind them the flags */
	{ 0x09, 0x09, STEADY, 32, 31, 0, HEARD, SKIPPED },
	{ 0x09, 0x09, STEADY, 50, 49, 33, HEARD, HEARD },
	{ 0x09, 0x09, STEADY, 51, 50, 52, HEARD, HEARD },
	{ 0x09, 0x09, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* CLI-010, CLI-011, SRV-034 */
	{ 0x12, 0x13, STEADY, 8, 7, 0, HEARD, SKIPPED },
	{ 0x12, 0x13, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	{ 0x15, 0x15, STEADY, 8, 7, 0, HEARD, SKIPPED },
	{ 0x15, 0x15, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* SRV-033 */
	{ 0x14, 0x14, STEADY, 0, 0, 0, HEARD, HEARD },
	{ 0x14, 0x14, STEADY, 1048576, 1048577, ABSURD, HEARD, ENDS },
	/* FRM-006, FRM-011, FRM-013 */
	{ 0x00, 0x02, STEADY, 1048576, 1048577, ABSURD, SKIPPED, ENDS },
	{ 0x04, 0x04, STEADY, 1048576, 1048577, ABSURD, SKIPPED, ENDS },
	{ 0x07, 0x07, STEADY, 1048576, 1048577, ABSURD, SKIPPED, ENDS },
	{ 0x0a, 0x11, STEADY, 1048576, 1048577, ABSURD, SKIPPED, ENDS },
	{ 0x16, 0xff, STEADY, 1048576, 1048577, ABSURD, SKIPPED, ENDS },
};
enum { BORDERS = sizeof borders / sizeof *borders, LONGEST = 1048577, BEHIND = 5 };

/* ---- one frame ---- */

struct scene {
	struct pair *p;
	int c, s; /* the client, and the stream to its relay where there is one */
	enum when when;
};

/* The state in which the frame comes, on a fresh connection if need be. */
static void enter(struct scene *x)
{
	enum client_state want = x->when == LOGIN ? CLIENT_LOGIN : x->when == SENT ? CLIENT_SENT : CLIENT_READY;

	if (x->s >= 0 && client_state(client_of(x->p, x->c)) == want) return;
	if (client_state(client_of(x->p, x->c)) != CLIENT_LOGIN) {
		if (x->s >= 0 && wire_end(x->p, x->s)->ended == PAIR_OPEN) wire_reset(x->p, x->s);
		pair_advance(x->p, NS_S);
	}
	state_is(x->p, x->c, CLIENT_LOGIN);
	x->s = wire_relay(x->p);
	if (x->when == SENT) wire_sent(x->p, x->c, A);
	if (x->when == READY) wire_ready(x->p, x->c, A);
}

/* A box for A with this in it. */
static void seal_info(uint8_t *payload, const uint8_t *json, uint32_t n)
{
	struct key private_key = pair_key(SERVER), public_key = pair_public(A), shared;
	static const uint8_t nonce[KEY_NONCE] = { 5 };

	assert_true(key_shared(&private_key, public_key.b, &shared));
	key_seal(&shared, nonce, json, n, payload);
}

/* Of n bytes in all: an object and blanks before it, in what there is room for. */
static void server_info_of(uint8_t *payload, uint32_t n)
{
	uint8_t *json = mem_zero(1, n);
	uint32_t json_n = n - KEY_BOX_OVERHEAD;

	memset(json, ' ', json_n);
	if (json_n > 0) json[json_n - 1] = '}';
	if (json_n > 1) json[json_n - 2] = '{';
	seal_info(payload, json, json_n);
	free(json);
}

/* The frame as a relay would send it, of n bytes at most LONGEST, and a KeepAlive behind it. Returns the bytes before that. */
static uint32_t make_frame(uint8_t type, uint32_t n, uint8_t *out)
{
	uint32_t have = n < LONGEST ? n : LONGEST;
	struct key server = pair_public(SERVER);
	uint8_t *payload = out + FRAME_HEADER;

	frame_header(out, type, n);
	for (uint32_t i = 0; i < have; i++) payload[i] = (uint8_t)(1 + i * 7 + i / 256);
	if (type == FRAME_SERVER_KEY && have >= FRAME_SERVER_KEY_MIN) {
		memcpy(payload, frame_magic, FRAME_MAGIC);
		memcpy(payload + FRAME_MAGIC, server.b, KEY_SIZE);
	}
	if (type == FRAME_SERVER_INFO && have >= KEY_BOX_OVERHEAD) server_info_of(payload, have);
	frame_keep_alive(payload + have);
	return FRAME_HEADER + have;
}

static uint32_t u32_at(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* What the owner heard of a frame with a key: the key, and so many bytes behind it. */
static void of_key_is(const struct pair_heard *h, const uint8_t *payload, uint32_t n)
{
	assert_true(h->has_key);
	assert_memory_equal(h->key, payload, KEY_SIZE);
	assert_int_equal(h->n, n);
	if (n != 0) assert_memory_equal(h->p, payload + KEY_SIZE, n);
}

/* What is heard of a frame of n bytes. */
static void heard(struct scene *x, const struct pair_heard *h, uint8_t type, const uint8_t *payload, uint32_t n)
{
	static const enum deliver_kind kinds[] = {
		[FRAME_SERVER_KEY] = DELIVER_CONNECTED,
		[FRAME_SERVER_INFO] = DELIVER_READY,
		[FRAME_RECV_PACKET] = DELIVER_PACKET,
		[FRAME_KEEP_ALIVE] = DELIVER_KEEPALIVE,
		[FRAME_PEER_GONE] = DELIVER_PEER_GONE,
		[FRAME_PEER_PRESENT] = DELIVER_PEER_PRESENT,
		[FRAME_PING] = DELIVER_PING,
		[FRAME_PONG] = DELIVER_PONG,
		[FRAME_HEALTH] = DELIVER_HEALTH,
		[FRAME_RESTARTING] = DELIVER_RESTARTING,
	};

	assert_int_equal(h->what, kinds[type]);
	switch (type) {
	case FRAME_RECV_PACKET: of_key_is(h, payload, n - KEY_SIZE); break;
	case FRAME_PEER_GONE:
		of_key_is(h, payload, 0);
		assert_int_equal(h->a, n > KEY_SIZE ? payload[KEY_SIZE] : 0);
		break;
	case FRAME_PEER_PRESENT:
		of_key_is(h, payload, n - KEY_SIZE);
		assert_int_equal(h->a, n > 50 ? payload[50] : 0);
		break;
	case FRAME_PING: frame_is(x->p, x->s, FRAME_PONG, payload, 8); /* fall through */
	case FRAME_PONG:
		assert_int_equal(h->n, 8);
		assert_memory_equal(h->p, payload, 8);
		break;
	case FRAME_HEALTH:
		assert_int_equal(h->n, n);
		if (n != 0) assert_memory_equal(h->p, payload, n);
		break;
	case FRAME_RESTARTING:
		assert_int_equal(h->a, u32_at(payload));
		assert_int_equal(h->b, u32_at(payload + 4));
		break;
	default: break;
	}
}

/* Heard or not, the stream goes on: the KeepAlive behind it is heard. Of a skipped frame nothing else is. */
static void goes_on(struct scene *x, uint8_t type, uint32_t n, bool is_heard)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + LONGEST + BEHIND);
	uint32_t size = make_frame(type, n, frame);
	const struct pair_host *h = &x->p->host[x->c];
	size_t before;

	enter(x);
	before = h->heard_n;
	wire_send(x->p, x->s, frame, size + BEHIND);
	assert_int_equal(h->heard_n, before + 1 + is_heard);
	assert_int_equal(h->heard[h->heard_n - 1].what, DELIVER_KEEPALIVE);
	if (is_heard) heard(x, &h->heard[before], type, frame + FRAME_HEADER, n);
	if (x->when == LOGIN) client_info_is(x->p, x->s, A, &(struct client_info){ 0 });
	quiet(x->p, x->s);
	free(frame);
}

/* FRM-006, CLI-009: by the header alone, whose last byte comes apart, or with everything at once; nothing behind it is heard. box: the
 * payload is read, and ends it. */
static void ends(struct scene *x, uint8_t type, uint32_t n, bool box)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + LONGEST + BEHIND);
	uint32_t size = make_frame(type, n, frame);
	const struct pair_host *h = &x->p->host[x->c];

	for (int whole = box; whole < 2; whole++) {
		size_t before;
		enter(x);
		before = h->heard_n;
		wire_send(x->p, x->s, frame, whole ? 0 : FRAME_HEADER - 1);
		assert_int_equal(h->heard_n, before);
		wire_send(x->p, x->s, whole ? frame : frame + FRAME_HEADER - 1, whole ? size + BEHIND : 1);
		assert_int_equal(h->heard_n, before + 1);
		assert_int_equal(h->heard[before].what, DELIVER_DISCONNECTED);
		assert_int_equal(h->heard[before].a, CLIENT_END_PROTOCOL);
		quiet(x->p, x->s);
		assert_int_not_equal(wire_end(x->p, x->s)->ended, PAIR_OPEN);
	}
	free(frame);
}

static void one(struct scene *x, uint8_t type, uint32_t n, enum fate fate)
{
	if (fate == ENDS)
		ends(x, type, n, x->when != LOGIN && type == FRAME_SERVER_INFO && n >= 24 && n <= 1048576);
	else
		goes_on(x, type, n, fate == HEARD);
	if (x->when == SENT && type == FRAME_SERVER_INFO && fate == HEARD) assert_int_equal(client_state(client_of(x->p, x->c)), CLIENT_READY);
}

/* The three lengths of each row. Of types that are not assigned the first and last are sent: every_border has them all. */
static void triples(struct pair *p, enum when when)
{
	struct scene x = { .p = p, .when = when, .s = -1 };

	wire_listens(p);
	x.c = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < BORDERS; i++) {
		const struct border *b = &borders[i];
		if ((b->when & when) == 0) continue;
		for (uint32_t type = b->first; type <= b->last; type++) {
			if (type > FRAME_RESTARTING + 1 && type < b->last) continue;
			one(&x, (uint8_t)type, b->good, b->good_fate);
			if (b->bad != b->good) one(&x, (uint8_t)type, b->bad, b->bad_fate);
			if (b->absurd != b->bad) one(&x, (uint8_t)type, b->absurd, b->bad_fate);
		}
	}
}

/* HSK-003: the first frame. */
STORY(server_key_expected) { triples(p, LOGIN); }

/* CLI-007, HSK-023, HSK-026: what comes before ServerInfo is treated like what comes behind it. */
STORY(server_info_expected) { triples(p, SENT); }

/* An object with arrays in it, so deep in all; returns its length. */
static uint32_t deep_json(uint8_t *out, uint32_t depth)
{
	uint32_t n = (uint32_t)sprintf((char *)out, "{\"x\":");

	memset(out + n, '[', depth - 1);
	memset(out + n + depth - 1, ']', depth - 1);
	n += 2 * (depth - 1);
	out[n++] = '}';
	return n;
}

/* HSK-009, HSK-026: JSON of ServerInfo 9,999 and 10,000 levels deep, one deeper, and 100,000. */
STORY(info_depth)
{
	static const uint32_t depths[] = { 9999, 10000, 10001, 100000 };
	struct scene x = { .p = p, .when = READY, .s = -1 };
	uint8_t *json = mem_alloc(LONGEST), *payload = mem_alloc(LONGEST);

	wire_listens(p);
	x.c = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
		uint32_t n = deep_json(json, depths[i]);
		size_t ready;
		enter(&x);
		ready = pair_heard_count(p, x.c, DELIVER_READY);
		seal_info(payload, json, n);
		wire_send_frame(p, x.s, FRAME_SERVER_INFO, payload, KEY_BOX_OVERHEAD + n);
		assert_int_equal(pair_heard_count(p, x.c, DELIVER_READY), ready + (i < 2));
		if (i >= 2) ended(p, x.c, i - 2, CLIENT_END_PROTOCOL);
	}
	free(json);
	free(payload);
}

/* CLI-006, CLI-010, FRM-004, FRM-006, FRM-009..FRM-011, FRM-013, HSK-026, PGR-001, PGR-002, PGR-017, PGR-018, SRV-033, SRV-034: of a
 * relay, later. */
STORY(of_relay) { triples(p, READY); }

/* ---- there is no border but these ---- */

static bool has_row(enum when when, uint32_t type, uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < BORDERS; i++) {
		const struct border *x = &borders[i];
		if ((x->when & when) != 0 && type >= x->first && type <= x->last && ((x->good == a && x->bad == b) || (x->good == b && x->bad == a)))
			return true;
	}
	return false;
}

static bool has_any_row(enum when when, uint32_t type)
{
	for (size_t i = 0; i < BORDERS; i++)
		if ((borders[i].when & when) != 0 && type >= borders[i].first && type <= borders[i].last) return true;
	return false;
}

/* FRM-003, FRM-006: every type has a row at any time, and wherever the verdict on a header changes with its length a row says so: up to
 * 1.1 million bytes length by length, for every type that is assigned and for the first and last of those that are not; above at 4 GiB. */
static void every_border(void **state)
{
	static const uint8_t others[] = { 0x00, 0x0b, 0x0f, 0x16, 0xff };
	static const struct {
		enum frame_role role;
		enum when when;
	} roles[] = { { FRAME_ROLE_CLIENT_LOGIN, LOGIN }, { FRAME_ROLE_CLIENT, SENT }, { FRAME_ROLE_CLIENT, READY } };
	const struct frame_info *info;

	(void)state;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		for (uint32_t type = 0; type < 256; type++)
			if (!has_any_row(roles[i].when, type)) fail_msg("no row for type %u", type);
		for (uint32_t k = 0; (info = frame_info_at(k)) != NULL || k < 32; k++) {
			uint8_t type = info != NULL ? info->type : others[k % sizeof others];
			enum frame_verdict was = frame_verdict(roles[i].role, type, 0), now;
			for (uint32_t n = 1; n < 1100000; n++, was = now) {
				now = frame_verdict(roles[i].role, type, n);
				if (now != was && !has_row(roles[i].when, type, n - 1, n)) fail_msg("no row for %s at %u", frame_name(type), n);
			}
			assert_int_equal(frame_verdict(roles[i].role, type, ABSURD), was);
		}
	}
}

/* ---- what it sends ---- */

/* CLI-001, FRM-004, FRM-005: packets of no byte and of 65,536 are sent; of one more, or far more, nothing is written; so for forwards. */
STORY(packet_lengths)
{
	static uint8_t big[1048576];
	static const enum command_verb verbs[] = { COMMAND_SEND, COMMAND_FORWARD };
	static const uint32_t lengths[] = { 0, 65536, 65537, sizeof big };
	struct key b = pair_public(B);
	struct wire_frame f;
	size_t dropped = 0;
	int c, s;

	wire_listens(p);
	c = pair_client(p, A, WIRE "raw=on\n");
	s = wire_ready(p, c, A);
	for (uint32_t i = 0; i < 2; i++)
		for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
			bool good = lengths[k] <= 65536;
			pair_command(p, c, &(struct event_command){ .verb = verbs[i], .dst = b.b, .src = b.b, .p = big, .n = lengths[k] });
			assert_int_equal(wire_frame(p, s, &f), good);
			quiet(p, s);
			if (good) {
				assert_int_equal(f.n, lengths[k] + 32 * (i + 1));
				continue;
			}
			assert_int_equal(pair_heard_count(p, c, DELIVER_DROPPED), dropped + 1);
			assert_int_equal(pair_heard(p, c, DELIVER_DROPPED, dropped)->a, DROP_WRITE_ERROR);
			assert_int_equal(pair_heard(p, c, DELIVER_DROPPED, dropped)->n, lengths[k]);
			assert_memory_equal(pair_heard(p, c, DELIVER_DROPPED, dropped++)->key, b.b, KEY_SIZE);
		}
	state_is(p, c, CLIENT_READY); /* the original drops the connection (CLI-023) */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_key_expected), cmocka_unit_test(server_info_expected),
		cmocka_unit_test(info_depth),          cmocka_unit_test(of_relay),
		cmocka_unit_test(every_border),        cmocka_unit_test(packet_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
