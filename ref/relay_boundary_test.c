/* Every length of a frame at its borders, as a relay receives it: the last good length, the first bad one and an absurd one, of every type,
 * before the login, from a regular client and from a mesh peer. What is good is seen by its effect; what is bad ends the connection by its
 * header, for the reason that is noted, and nothing behind it is read. Whole, byte by byte and in pieces of 13, as every story here.
 * client_boundary_test.c is the other side. */
#include "pair_relay.h"

#define ABSURD UINT32_MAX

/* Who sends; a border may be the same for two of them. */
enum who { LOGIN = 1, REGULAR = 2, PEER = 4, BOTH = REGULAR | PEER };

static const char no_length[] = "illegal frame length", no_mesh[] = "privileged frame without mesh key",
		  no_forward[] = "ForwardPacket without mesh key", no_login[] = "first frame is no ClientInfo of legal length",
		  no_box[] = "ClientInfo does not open or parse";

/* Payload lengths, written from chapter 1 and not from frame.c. first..last: the types. A reason says how the connection ends; NULL: it goes
 * on. bad == good: every length up to the largest that a header can say is like it. */
static const struct border {
	uint8_t first, last;
	enum who who;
	uint32_t good, bad, absurd;
	const char *good_ends, *bad_ends;
} borders[] = {
	/* HSK-007: its own border, and that of the shortest box with an object in it */
	{ 0x02, 0x02, LOGIN, 56, 55, 0, no_box, no_login },
	{ 0x02, 0x02, LOGIN, 74, 73, 72, NULL, no_box },
	{ 0x02, 0x02, LOGIN, 262144, 262145, ABSURD, NULL, no_login },
	/* HSK-006 */
	{ 0x00, 0x01, LOGIN, 0, 0, ABSURD, no_login, no_login },
	{ 0x03, 0xff, LOGIN, 0, 0, ABSURD, no_login, no_login },
	{ 0x00, 0x01, LOGIN, 104, 104, 104, no_login, no_login },
	{ 0x03, 0xff, LOGIN, 104, 104, 104, no_login, no_login },
	/* SRV-002, FRM-004, FRM-005 */
	{ 0x04, 0x04, BOTH, 32, 31, 0, NULL, no_length },
	{ 0x04, 0x04, BOTH, 65568, 65569, ABSURD, NULL, no_length },
	/* SRV-029, FRM-014 */
	{ 0x07, 0x07, BOTH, 1, 0, 0, NULL, no_length },
	{ 0x07, 0x07, BOTH, 1, 2, ABSURD, NULL, no_length },
	/* MSH-016, SRV-031: the privilege comes before the length */
	{ 0x0a, 0x0a, PEER, 64, 63, 0, NULL, no_length },
	{ 0x0a, 0x0a, PEER, 65600, 65601, ABSURD, NULL, no_length },
	{ 0x0a, 0x0a, REGULAR, 64, 63, 0, no_forward, no_forward },
	{ 0x0a, 0x0a, REGULAR, 65600, 65601, ABSURD, no_forward, no_forward },
	/* MSH-007, SRV-031: the length comes before the privilege */
	{ 0x10, 0x10, PEER, 0, 1, ABSURD, NULL, no_length },
	{ 0x10, 0x10, REGULAR, 0, 1, ABSURD, no_mesh, no_length },
	/* MSH-032, SRV-031 */
	{ 0x11, 0x11, PEER, 32, 31, 0, NULL, no_length },
	{ 0x11, 0x11, PEER, 32, 33, ABSURD, NULL, no_length },
	{ 0x11, 0x11, REGULAR, 32, 31, 0, no_mesh, no_length },
	{ 0x11, 0x11, REGULAR, 32, 33, ABSURD, no_mesh, no_length },
	/* SRV-025 */
	{ 0x12, 0x12, BOTH, 8, 7, 0, NULL, no_length },
	{ 0x12, 0x12, BOTH, 1000, 1001, ABSURD, NULL, no_length },
	/* FRM-011, FRM-012, SRV-028, SRV-032: skipped at any length */
	{ 0x00, 0x03, BOTH, ABSURD, ABSURD, 0, NULL, NULL },
	{ 0x05, 0x06, BOTH, ABSURD, ABSURD, 0, NULL, NULL },
	{ 0x08, 0x09, BOTH, ABSURD, ABSURD, 0, NULL, NULL },
	{ 0x0b, 0x0f, BOTH, ABSURD, ABSURD, 0, NULL, NULL },
	{ 0x13, 0xff, BOTH, ABSURD, ABSURD, 0, NULL, NULL },
};
enum { BORDERS = sizeof borders / sizeof *borders, LONGEST = 262145, BEHIND = 13 };

static bool is_skipped(const struct border *b) { return b->bad_ends == NULL; }

/* ---- one frame ---- */

struct scene {
	struct pair *p;
	int r, other; /* a client that is only looked at: B */
	enum who who;
};

static int enter(const struct scene *x)
{
	int s;

	if (x->who == REGULAR) return login(x->p, x->r, A);
	if (x->who == PEER) return login_mesh(x->p, x->r, A);
	s = wire_connect(x->p, x->r);
	frame_is(x->p, s, FRAME_SERVER_KEY, NULL, 40);
	return s;
}

/* A ClientInfo of A with this in its box. */
static void seal_info(uint8_t *payload, const uint8_t *json, uint32_t n)
{
	struct key private_key = pair_key(A), public_key = pair_public(A), server = pair_public(SERVER), shared;
	static const uint8_t nonce[KEY_NONCE] = { 4 };

	memcpy(payload, public_key.b, KEY_SIZE);
	assert_true(key_shared(&private_key, server.b, &shared));
	key_seal(&shared, nonce, json, n, payload + KEY_SIZE);
}

/* Of n bytes in all: an object and blanks before it. Shorter ones hold what there is room for. */
static void client_info(uint8_t *payload, uint32_t n)
{
	uint32_t json_n = n - KEY_SIZE - KEY_BOX_OVERHEAD;
	uint8_t *json;

	if (n < KEY_SIZE + KEY_BOX_OVERHEAD) return;
	json = mem_zero(1, json_n + 1);
	memset(json, ' ', json_n);
	if (json_n > 0) json[json_n - 1] = '}';
	if (json_n > 1) json[json_n - 2] = '{';
	seal_info(payload, json, json_n);
	free(json);
}

/* The frame as a client would send it, of n bytes at most LONGEST; a Ping of 8 bytes behind it. Returns the bytes before the Ping. */
static uint32_t make_frame(uint8_t type, uint32_t n, uint8_t *out)
{
	static const uint8_t behind[FRAME_PING_SIZE];
	uint32_t have = n < LONGEST ? n : LONGEST;
	struct key a = pair_public(A), b = pair_public(B), c = pair_public(C);
	uint8_t *payload = out + FRAME_HEADER;

	frame_header(out, type, n);
	for (uint32_t i = 0; i < have; i++) payload[i] = (uint8_t)(1 + i * 7 + i / 256);
	if (type == FRAME_SEND_PACKET && have >= FRAME_KEY) memcpy(payload, b.b, FRAME_KEY);
	if (type == FRAME_FORWARD_PACKET && have >= 2 * FRAME_KEY) memcpy(payload, c.b, FRAME_KEY), memcpy(payload + FRAME_KEY, b.b, FRAME_KEY);
	if (type == FRAME_CLOSE_PEER && have >= FRAME_KEY) memcpy(payload, c.b, FRAME_KEY);
	if (type == FRAME_CLIENT_INFO) memcpy(payload, a.b, have < FRAME_KEY ? have : FRAME_KEY), client_info(payload, have);
	frame_ping(payload + have, behind);
	return FRAME_HEADER + have;
}

/* What a taken frame does. victim: a client with the key C. */
static void effect(const struct scene *x, int s, int victim, uint8_t type, const uint8_t *payload, uint32_t n)
{
	struct wire_frame f;
	uint32_t came = 0;

	switch (type) {
	case FRAME_CLIENT_INFO: frame_is(x->p, s, FRAME_SERVER_INFO, NULL, 53); break;
	case FRAME_SEND_PACKET: packet_is(x->p, x->other, A, payload + FRAME_KEY, n - FRAME_KEY); break;
	case FRAME_FORWARD_PACKET: packet_is(x->p, x->other, C, payload + 2 * FRAME_KEY, n - 2 * FRAME_KEY); break;
	case FRAME_NOTE_PREFERRED: assert_int_equal(counters(x->p, x->r)->current_home_connections, 1); break;
	case FRAME_CLOSE_PEER: closed(x->p, victim); break;
	case FRAME_PING: frame_is(x->p, s, FRAME_PONG, payload, FRAME_PING_SIZE); break;
	case FRAME_WATCH_CONNS:
		while (wire_frame(x->p, s, &f)) came += f.type == FRAME_PEER_PRESENT;
		assert_int_equal(came, 3);
		break;
	default: fail_msg("type %u is taken", type);
	}
}

static void goes_on(const struct scene *x, uint8_t type, uint32_t n)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + LONGEST + BEHIND);
	uint32_t size = make_frame(type, n, frame);
	struct wire_frame f;
	int victim = type == FRAME_CLOSE_PEER || type == FRAME_WATCH_CONNS ? login(x->p, x->r, C) : -1, s = enter(x);

	wire_send(x->p, s, frame, size);
	effect(x, s, victim, type, frame + FRAME_HEADER, n);
	if (type != FRAME_WATCH_CONNS) ping(x->p, s);
	wire_reset(x->p, s);
	if (victim >= 0) wire_reset(x->p, victim);
	while (wire_frame(x->p, x->other, &f)) assert_int_equal(f.type, FRAME_PEER_GONE); /* for who had sent it something */
	free(frame);
}

static void skipped(const struct scene *x, int s, uint8_t type, uint32_t n)
{
	static const uint8_t junk[100];
	uint8_t head[FRAME_HEADER];

	frame_header(head, type, n);
	wire_send(x->p, s, head, sizeof head);
	for (uint32_t sent = 0, left; sent < n && sent < 70000; sent += left) {
		left = n - sent < sizeof junk ? n - sent : (uint32_t)sizeof junk;
		wire_send(x->p, s, junk, left);
	}
	silent(x->p, s);
	if (n < 70000) ping(x->p, s);
	assert_int_equal(counters(x->p, x->r)->unknown_frames, 0); /* SRV-032 */
}

static const char *last_end(const struct scene *x)
{
	const struct pair_host *h = &x->p->host[x->r];

	for (size_t i = h->note_n; i-- > 0;)
		if (h->note[i].kind == (x->who == LOGIN ? NOTE_LOGIN_FAILED : NOTE_LEAVE)) return h->note[i].text;
	return "";
}

/* FRM-007, FRM-015: by the header alone, whose last byte comes apart, or with everything at once; without a word, and nothing behind it
 * counts. box: the payload is read, and ends it. */
static void ends(const struct scene *x, uint8_t type, uint32_t n, const char *why, bool box)
{
	uint8_t *frame = mem_alloc(FRAME_HEADER + LONGEST + BEHIND);
	uint32_t size = make_frame(type, n, frame);
	struct relay_counters before = *counters(x->p, x->r);

	for (int whole = box; whole < 2; whole++) {
		int s = enter(x);
		uint64_t logins = counters(x->p, x->r)->logins;
		wire_send(x->p, s, frame, whole ? 0 : FRAME_HEADER - 1);
		silent(x->p, s);
		wire_send(x->p, s, whole ? frame : frame + FRAME_HEADER - 1, whole ? size + BEHIND : 1);
		closed(x->p, s);
		if (strcmp(last_end(x), why) != 0) fail_msg("%s of %u ends with: %s", frame_name(type), n, last_end(x));
		assert_int_equal(counters(x->p, x->r)->got_ping - before.got_ping, type == FRAME_PING && x->who != LOGIN ? (uint64_t)whole + 1 : 0);
		assert_int_equal(counters(x->p, x->r)->logins, logins);
	}
	assert_int_equal(counters(x->p, x->r)->packets_received, before.packets_received);
	assert_int_equal(counters(x->p, x->r)->packets_forwarded_in, before.packets_forwarded_in);
	assert_int_equal(counters(x->p, x->r)->current_home_connections, before.current_home_connections);
	assert_int_equal(counters(x->p, x->r)->current_connections, 1);
	silent(x->p, x->other);
	free(frame);
}

static void one(const struct scene *x, uint8_t type, uint32_t n, const char *why)
{
	if (why == NULL)
		goes_on(x, type, n);
	else
		ends(x, type, n, why, why == no_box);
}

/* The three lengths of each row, sent by one of those for whom it holds. */
static void triples(struct pair *p, int r, enum who who)
{
	struct scene x = { .p = p, .r = r, .who = who, .other = login(p, r, B) };

	for (size_t i = 0; i < BORDERS; i++) {
		const struct border *b = &borders[i];
		int s = -1;
		if ((b->who & who) == 0) continue;
		for (uint32_t type = b->first; type <= b->last; type++) {
			if (is_skipped(b)) {
				if (s < 0) s = enter(&x);
				skipped(&x, s, (uint8_t)type, 0);
				skipped(&x, s, (uint8_t)type, 1);
				if (type % 32 == 0) skipped(&x, s, (uint8_t)type, 65601);
				if (type != b->first && type != b->last) continue;
				skipped(&x, s, (uint8_t)type, b->good); /* which never ends */
				wire_reset(p, s);
				s = -1;
				continue;
			}
			if (type > FRAME_RESTARTING + 1 && type < b->last) continue; /* unassigned: every_border has them all */
			one(&x, (uint8_t)type, b->good, b->good_ends);
			if (b->bad != b->good) one(&x, (uint8_t)type, b->bad, b->bad_ends);
			if (b->absurd != b->bad) one(&x, (uint8_t)type, b->absurd, b->bad_ends);
		}
		if (s >= 0) wire_reset(p, s);
	}
	silent(p, x.other);
}

/* HSK-006, HSK-007: the first frame. */
STORY(first_frame, RAW) { triples(p, r, LOGIN); }

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

/* HSK-009: JSON of ClientInfo 9,999 and 10,000 levels deep, one deeper, and 100,000. */
STORY(info_depth, RAW)
{
	static const uint32_t depths[] = { 9999, 10000, 10001, 100000 };
	struct scene x = { .p = p, .r = r, .who = LOGIN };
	uint8_t *json = mem_alloc(LONGEST), *payload = mem_alloc(LONGEST);

	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
		uint32_t n = deep_json(json, depths[i]);
		int s = enter(&x);
		seal_info(payload, json, n);
		wire_send_frame(p, s, FRAME_CLIENT_INFO, payload, KEY_SIZE + KEY_BOX_OVERHEAD + n);
		if (i < 2) {
			frame_is(p, s, FRAME_SERVER_INFO, NULL, 53);
			continue;
		}
		closed(p, s);
		assert_string_equal(last_end(&x), no_box);
	}
	free(json);
	free(payload);
}

/* FRM-004, FRM-005, FRM-007, FRM-008, FRM-011, FRM-012, FRM-014, FRM-015, SRV-002, SRV-025, SRV-028, SRV-029, SRV-031, SRV-032: of a
 * regular client. */
STORY(of_client, MESHED) { triples(p, r, REGULAR); }

/* FRM-008, MSH-007, MSH-016, MSH-032: of a mesh peer, which may do more and is limited like others in the rest. */
STORY(of_mesh_peer, MESHED) { triples(p, r, PEER); }

/* ---- there is no border but these ---- */

static bool has_row(enum who who, uint32_t type, uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < BORDERS; i++) {
		const struct border *x = &borders[i];
		if ((x->who & who) != 0 && type >= x->first && type <= x->last && ((x->good == a && x->bad == b) || (x->good == b && x->bad == a)))
			return true;
	}
	return false;
}

static bool has_any_row(enum who who, uint32_t type)
{
	for (size_t i = 0; i < BORDERS; i++)
		if ((borders[i].who & who) != 0 && type >= borders[i].first && type <= borders[i].last) return true;
	return false;
}

/* FRM-003, FRM-007: every type has a row for everybody, and wherever the verdict on a header changes with its length a row says so: up to
 * 1.1 million bytes length by length, for every type that is assigned and for the first and last of those that are not; above at 4 GiB. */
static void every_border(void **state)
{
	static const uint8_t others[] = { 0x00, 0x0b, 0x0f, 0x16, 0xff };
	static const struct {
		enum frame_role role;
		enum who who;
	} roles[] = { { FRAME_ROLE_SERVER_LOGIN, LOGIN }, { FRAME_ROLE_SERVER, REGULAR }, { FRAME_ROLE_SERVER, PEER } };
	const struct frame_info *info;

	(void)state;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		for (uint32_t type = 0; type < 256; type++)
			if (!has_any_row(roles[i].who, type)) fail_msg("no row for type %u", type);
		for (uint32_t k = 0; (info = frame_info_at(k)) != NULL || k < 32; k++) {
			uint8_t type = info != NULL ? info->type : others[k % sizeof others];
			enum frame_verdict was = frame_verdict(roles[i].role, type, 0), now;
			for (uint32_t n = 1; n < 1100000; n++, was = now) {
				now = frame_verdict(roles[i].role, type, n);
				if (now != was && !has_row(roles[i].who, type, n - 1, n)) fail_msg("no row for %s at %u", frame_name(type), n);
			}
			assert_int_equal(frame_verdict(roles[i].role, type, ABSURD), was);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_frame),  cmocka_unit_test(info_depth),   cmocka_unit_test(of_client),
		cmocka_unit_test(of_mesh_peer), cmocka_unit_test(every_border),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
