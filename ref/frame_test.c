/* Frames: the table of chapter 1 against a table of its own, and reading byte by byte and whole. Which length is good of which type is
 * shown by relay_boundary_test.c and client_boundary_test.c. */
#include "buf.h"
#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 16 };

/* Chapter 1 once more, written from the document and not from frame.c. to: what the steady-state reader takes. */
static const struct row {
	uint8_t type;
	const char *name;
	bool to_server, to_client, mesh;
	uint32_t server_min, server_max, client_min;
} rows[ROWS] = {
	{ 0x01, "ServerKey", false, false, false, 0, 0, 0 },    { 0x02, "ClientInfo", false, false, false, 0, 0, 0 },
	{ 0x03, "ServerInfo", false, true, false, 0, 0, 24 },   { 0x04, "SendPacket", true, false, false, 32, 65568, 0 },
	{ 0x05, "RecvPacket", false, true, false, 0, 0, 32 },   { 0x06, "KeepAlive", false, true, false, 0, 0, 0 },
	{ 0x07, "NotePreferred", true, false, false, 1, 1, 0 }, { 0x08, "PeerGone", false, true, false, 0, 0, 32 },
	{ 0x09, "PeerPresent", false, true, false, 0, 0, 32 },  { 0x0a, "ForwardPacket", true, false, true, 64, 65600, 0 },
	{ 0x10, "WatchConns", true, false, true, 0, 0, 0 },     { 0x11, "ClosePeer", true, false, true, 32, 32, 0 },
	{ 0x12, "Ping", true, true, false, 8, 1000, 8 },        { 0x13, "Pong", false, true, false, 0, 0, 8 },
	{ 0x14, "Health", false, true, false, 0, 0, 0 },        { 0x15, "Restarting", false, true, false, 0, 0, 8 },
};

static const struct row *row_of(uint8_t type)
{
	for (int i = 0; i < ROWS; i++)
		if (rows[i].type == type) return &rows[i];
	return NULL;
}

/* FRM-003: types, names, directions and privilege are those of chapter 1; the other bytes are unassigned. */
static void frame_table(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 256; type++) {
		const struct row *want = row_of((uint8_t)type);
		const struct frame_info *info = frame_info((uint8_t)type);
		assert_int_equal(info == NULL, want == NULL);
		assert_string_equal(frame_name((uint8_t)type), want == NULL ? "unknown" : want->name);
		if (want == NULL) continue;
		assert_int_equal(info->type, type);
		assert_int_equal(info->to_server, want->to_server);
		assert_int_equal(info->to_client, want->to_client);
		assert_int_equal(info->mesh, want->mesh);
	}
	for (uint32_t i = 0; i < ROWS; i++) assert_int_equal(frame_info_at(i)->type, rows[i].type);
	assert_null(frame_info_at(ROWS));
}

/* ---- reading: one stream, cut in every way ---- */

struct stream {
	uint8_t *p;
	size_t n, cap;
};

static void put(struct stream *s, uint8_t type, uint32_t n)
{
	if (s->n + FRAME_HEADER + n > s->cap) {
		s->cap = 2 * (s->n + FRAME_HEADER + n);
		s->p = mem_grow(s->p, s->cap);
	}
	frame_header(s->p + s->n, type, n);
	for (uint32_t i = 0; i < n; i++) s->p[s->n + FRAME_HEADER + i] = (uint8_t)(type + 7 * i + n);
	s->n += FRAME_HEADER + n;
}

/* Every type in both directions at its shortest and at some longer length, and what a reader must skip. */
static struct stream every_frame(enum frame_role role)
{
	struct stream s = { 0 };

	for (uint32_t type = 0; type < 256; type += type < 0x18 ? 1 : 29) {
		const struct row *row = row_of((uint8_t)type);
		bool server = role == FRAME_ROLE_SERVER, taken = row != NULL && (server ? row->to_server : row->to_client);
		uint32_t least = !taken ? 0 : server ? row->server_min : row->client_min;
		put(&s, (uint8_t)type, least);
		if (!taken || !server || row->server_max > least) put(&s, (uint8_t)type, least + 1);
		if (!server && least > 0 && row->type != 0x03) put(&s, (uint8_t)type, least - 1);
		if (!taken || !server || row->server_max > 900) put(&s, (uint8_t)type, 900);
	}
	return s;
}

/* A digest of what a reader hands out: headers, verdicts, payloads. Spans are copied to their exact size. */
static uint64_t digest(const struct stream *s, enum frame_role role, size_t chunk, uint32_t *frames)
{
	struct frame_reader r;
	uint64_t h = 1469598103934665603u;
	uint32_t headers = 0;

	*frames = 0;
	frame_reader_init(&r, role);
	for (size_t at = 0; at < s->n;) {
		size_t n = s->n - at < chunk ? s->n - at : chunk, left = n;
		uint8_t *span = malloc(n);
		const uint8_t *p = span;
		struct frame f;
		enum frame_result result;
		assert_non_null(span);
		memcpy(span, s->p + at, n);
		while ((result = frame_read(&r, &p, &left, &f)) != FRAME_MORE) {
			h = (h ^ (uint64_t)result ^ (uint64_t)f.type << 8 ^ (uint64_t)f.n << 16 ^ (uint64_t)f.verdict << 56) * 1099511628211u;
			headers += result == FRAME_HEADER_READ;
			*frames += result == FRAME_READY;
			assert_int_not_equal(f.verdict, FRAME_BAD);
			for (uint32_t i = 0; result == FRAME_READY && i < f.n; i++) {
				assert_int_equal(f.payload[i], (uint8_t)(f.type + 7 * i + f.n));
				h = (h ^ f.payload[i]) * 1099511628211u;
			}
		}
		assert_int_equal(left, 0);
		free(span);
		at += n;
	}
	assert_true(frame_reader_at_boundary(&r));
	frame_reader_free(&r);
	assert_int_equal(frame_reader_memory(&r), 0);
	assert_true(headers > *frames);
	return h;
}

/* FRM-001, FRM-002, TRP-004: whole, byte by byte and in pieces of 2 to 70 bytes read the same, for both directions. */
static void reading_cut_anywhere(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		enum frame_role role = i == 0 ? FRAME_ROLE_SERVER : FRAME_ROLE_CLIENT;
		struct stream s = every_frame(role);
		uint32_t frames, whole_frames;
		uint64_t whole = digest(&s, role, s.n, &whole_frames);
		assert_true(whole_frames > 10);
		for (size_t chunk = 1; chunk <= 70; chunk++) {
			assert_true(digest(&s, role, chunk, &frames) == whole);
			assert_int_equal(frames, whole_frames);
		}
		free(s.p);
	}
}

/* A frame whole in the span is handed out in place and costs no memory; one that is not is gathered in a packet that can be held. */
static void reading_in_place(void **state)
{
	struct frame_reader r;
	struct stream s = { 0 };
	struct frame f;
	struct packet *kept;
	const uint8_t *p;
	size_t n;

	(void)state;
	put(&s, FRAME_RECV_PACKET, 1000);
	frame_reader_init(&r, FRAME_ROLE_CLIENT);
	p = s.p, n = s.n;
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_HEADER_READ);
	assert_false(frame_reader_at_boundary(&r));
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_READY);
	assert_ptr_equal(f.payload, s.p + FRAME_HEADER);
	assert_null(f.owner);
	p = s.p, n = 100;
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_HEADER_READ);
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_MORE);
	assert_true(frame_reader_memory(&r) >= 1000);
	p = s.p + 100, n = s.n - 100;
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_READY);
	assert_non_null(f.owner);
	kept = packet_hold(f.owner);
	n = 0;
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_MORE);
	assert_int_equal(frame_reader_memory(&r), 0);
	assert_memory_equal(kept->bytes, s.p + FRAME_HEADER, 1000);
	packet_drop(kept);
	frame_reader_free(&r);
	free(s.p);
}

/* The call for whole frames hands out what the two others would, and takes nothing where it says no: of every type, by every role, one
 * byte short, exact and with bytes behind it. */
static void reading_whole(void **state)
{
	(void)state;
	for (uint32_t role = 0; role < FRAME_ROLES; role++)
		for (uint32_t type = 0; type < 32; type++)
			for (uint32_t size = 0; size < 80; size++) {
				struct stream s = { 0 };
				put(&s, (uint8_t)type, size);
				put(&s, FRAME_KEEP_ALIVE, 0);
				for (size_t cut = FRAME_HEADER + size - 1; cut <= s.n; cut++) {
					bool taken =
						cut >= FRAME_HEADER + size && frame_verdict((enum frame_role)role, (uint8_t)type, size) == FRAME_TAKE;
					struct frame_reader r;
					struct frame f;
					const uint8_t *p = s.p;
					size_t n = cut;
					frame_reader_init(&r, (enum frame_role)role);
					assert_int_equal(frame_read_whole(&r, &p, &n, &f), taken);
					assert_ptr_equal(p, s.p + (taken ? FRAME_HEADER + size : 0));
					assert_int_equal(n, cut - (size_t)(p - s.p));
					if (!taken) continue;
					assert_int_equal(f.type, type);
					assert_int_equal(f.n, size);
					assert_int_equal(f.verdict, FRAME_TAKE);
					assert_ptr_equal(f.payload, s.p + FRAME_HEADER);
					assert_null(f.owner);
					assert_true(frame_reader_idle(&r));
				}
				free(s.p);
			}
}

/* FRM-007, FRM-011: a header of 4 GiB of an unknown type pins a server reader and costs no memory. */
static void reading_unknown_endless(void **state)
{
	static const uint8_t zeros[4096];
	uint8_t head[FRAME_HEADER];
	struct frame_reader r;
	struct frame f;
	const uint8_t *p = head;
	size_t n = sizeof head;

	(void)state;
	frame_header(head, 0x7a, UINT32_MAX);
	frame_reader_init(&r, FRAME_ROLE_SERVER);
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_HEADER_READ);
	assert_int_equal(f.n, UINT32_MAX);
	for (uint32_t i = 0; i < 1u << 20; i++) {
		p = zeros, n = i == (1u << 20) - 1 ? sizeof zeros - 1 : sizeof zeros;
		assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_MORE);
		assert_int_equal(n, 0);
	}
	assert_int_equal(frame_reader_memory(&r), 0);
	assert_true(frame_reader_at_boundary(&r));
	frame_header(head, FRAME_PING, 8);
	p = head, n = sizeof head;
	assert_int_equal(frame_read(&r, &p, &n, &f), FRAME_HEADER_READ);
	assert_int_equal(f.type, FRAME_PING);
	frame_reader_free(&r);
}

/* ---- writing ---- */

static void equal_hex(const uint8_t *p, size_t n, const char *hex)
{
	assert_int_equal(strlen(hex), 2 * n);
	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], 0 };
		assert_int_equal(p[i], strtoul(two, NULL, 16));
	}
}

/* The frames of chapter 2.1 and 2.4, byte by byte. */
static void writing_vectors(void **state)
{
	static const uint8_t server[32] = { 0x8f, 0x40, 0xc5, 0xad, 0xb6, 0x8f, 0x25, 0x62, 0x4a, 0xe5, 0xb2, 0x14, 0xea, 0x76, 0x7a, 0x6e,
		                            0xc9, 0x4d, 0x82, 0x9d, 0x3d, 0x7b, 0x5e, 0x1a, 0xd1, 0xba, 0x6f, 0x3e, 0x21, 0x38, 0x28, 0x5f };
	static const uint8_t client[32] = { 0x35, 0x80, 0x72, 0xd6, 0x36, 0x58, 0x80, 0xd1, 0xae, 0xea, 0x32, 0x9a, 0xdf, 0x91, 0x21, 0x38,
		                            0x38, 0x51, 0xed, 0x21, 0xa2, 0x8e, 0x3b, 0x75, 0xe9, 0x65, 0xd0, 0xd2, 0xcd, 0x16, 0x62, 0x54 };
	static const uint8_t ip[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7 };
	static const uint8_t eight[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t b[128];

	(void)state;
	equal_hex(b, frame_server_key(b, server), "010000002844455250f09f94918f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
	equal_hex(b, frame_note_preferred(b, true), "070000000101");
	equal_hex(b, frame_note_preferred(b, false), "070000000100");
	equal_hex(b, frame_send_head(b, client, 2), "0400000022358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
	equal_hex(b, frame_recv_head(b, client, 2), "0500000022358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
	equal_hex(b, frame_ping(b, eight), "12000000080102030405060708");
	equal_hex(b, frame_pong(b, eight), "13000000080102030405060708");
	equal_hex(b, frame_keep_alive(b), "0600000000");
	equal_hex(b, frame_peer_gone(b, client, GONE_DISCONNECTED), "0800000021358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd16625400");
	equal_hex(b, frame_peer_present(b, client, ip, 41641, PRESENT_REGULAR),
	          "0900000033358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd16625400000000000000000000ffffc0000207a2a901");
	equal_hex(b, frame_restarting(b, 1000, 5000), "1500000008000003e800001388");
	equal_hex(b, frame_watch_conns(b), "1000000000");
	equal_hex(b, frame_close_peer(b, client), "1100000020358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
	equal_hex(b, frame_forward_head(b, server, client, FRAME_PACKET_MAX),
	          "0a000100408f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
	          "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
}

/* KEY-011: 6 bytes of magic and at least 62 in all. */
static void disco_looks(void **state)
{
	uint8_t p[80] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	(void)state;
	assert_true(frame_looks_like_disco(p, 62));
	assert_true(frame_looks_like_disco(p, 80));
	assert_false(frame_looks_like_disco(p, 61));
	assert_false(frame_looks_like_disco(p, 0));
	for (int i = 0; i < 6; i++) {
		p[i] ^= 1;
		assert_false(frame_looks_like_disco(p, 62));
		p[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_table),          cmocka_unit_test(reading_in_place),        cmocka_unit_test(reading_whole),
		cmocka_unit_test(reading_cut_anywhere), cmocka_unit_test(reading_unknown_endless), cmocka_unit_test(writing_vectors),
		cmocka_unit_test(disco_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
