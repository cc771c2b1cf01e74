/* The table of chapter 1, and what follows from it. */
#include "frame.h"

#include "buf.h"

#include <assert.h>
#include <string.h>

const uint8_t frame_magic[FRAME_MAGIC] = { 0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91 };

#define ANY UINT32_MAX
#define CMAX FRAME_CLIENT_MAX

static const struct frame_info table[] = {
	/* type, name, to_server, to_client, mesh, server min..max, client min..max */
	{ FRAME_SERVER_KEY, "ServerKey", false, false, false, 0, ANY, 0, CMAX },                      /* later: FRM-012, FRM-013 */
	{ FRAME_CLIENT_INFO, "ClientInfo", false, false, false, 0, ANY, 0, CMAX },                    /* later: FRM-012 */
	{ FRAME_SERVER_INFO, "ServerInfo", false, true, false, 0, ANY, FRAME_SERVER_INFO_MIN, CMAX }, /* HSK-026 */
	{ FRAME_SEND_PACKET, "SendPacket", true, false, false, FRAME_KEY, FRAME_SEND_MAX, 0, CMAX },  /* SRV-002, FRM-005 */
	{ FRAME_RECV_PACKET, "RecvPacket", false, true, false, 0, ANY, FRAME_KEY, CMAX },             /* FRM-009 */
	{ FRAME_KEEP_ALIVE, "KeepAlive", false, true, false, 0, ANY, 0, CMAX },
	{ FRAME_NOTE_PREFERRED, "NotePreferred", true, false, false, 1, 1, 0, CMAX },                            /* SRV-029, FRM-014 */
	{ FRAME_PEER_GONE, "PeerGone", false, true, false, 0, ANY, FRAME_KEY, CMAX },                            /* PGR-001 */
	{ FRAME_PEER_PRESENT, "PeerPresent", false, true, false, 0, ANY, FRAME_KEY, CMAX },                      /* PGR-018 */
	{ FRAME_FORWARD_PACKET, "ForwardPacket", true, false, true, 2 * FRAME_KEY, FRAME_FORWARD_MAX, 0, CMAX }, /* MSH-016 */
	{ FRAME_WATCH_CONNS, "WatchConns", true, false, true, 0, 0, 0, CMAX },                                   /* MSH-007 */
	{ FRAME_CLOSE_PEER, "ClosePeer", true, false, true, FRAME_KEY, FRAME_KEY, 0, CMAX },                     /* MSH-032 */
	{ FRAME_PING, "Ping", true, true, false, FRAME_PING_SIZE, FRAME_PING_MAX, FRAME_PING_SIZE, CMAX },       /* SRV-025 */
	{ FRAME_PONG, "Pong", false, true, false, 0, ANY, FRAME_PING_SIZE, CMAX }, /* SRV-028: none is awaited by a relay */
	{ FRAME_HEALTH, "Health", false, true, false, 0, ANY, 0, CMAX },
	{ FRAME_RESTARTING, "Restarting", false, true, false, 0, ANY, 8, CMAX },
};

enum { ROWS = sizeof table / sizeof *table, TYPES = FRAME_RESTARTING + 1 };

/* Row + 1 by type; 0 = unassigned. */
static const uint8_t row_of[TYPES] = {
	[FRAME_SERVER_KEY] = 1,   [FRAME_CLIENT_INFO] = 2,     [FRAME_SERVER_INFO] = 3,    [FRAME_SEND_PACKET] = 4,
	[FRAME_RECV_PACKET] = 5,  [FRAME_KEEP_ALIVE] = 6,      [FRAME_NOTE_PREFERRED] = 7, [FRAME_PEER_GONE] = 8,
	[FRAME_PEER_PRESENT] = 9, [FRAME_FORWARD_PACKET] = 10, [FRAME_WATCH_CONNS] = 11,   [FRAME_CLOSE_PEER] = 12,
	[FRAME_PING] = 13,        [FRAME_PONG] = 14,           [FRAME_HEALTH] = 15,        [FRAME_RESTARTING] = 16,
};

const struct frame_info *frame_info(uint8_t type)
{
	if (type >= TYPES || row_of[type] == 0) return NULL;
	assert(table[row_of[type] - 1].type == type);
	return &table[row_of[type] - 1];
}

const struct frame_info *frame_info_at(uint32_t row) { return row < ROWS ? &table[row] : NULL; }

const char *frame_name(uint8_t type)
{
	const struct frame_info *info = frame_info(type);

	return info == NULL ? "unknown" : info->name;
}

bool frame_looks_like_disco(const uint8_t *p, size_t n)
{
	static const uint8_t magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	return n >= FRAME_DISCO_MIN && memcmp(p, magic, sizeof magic) == 0;
}

static enum frame_verdict verdict_server(const struct frame_info *info, uint32_t n)
{
	if (info == NULL || !info->to_server) return FRAME_SKIP;                      /* FRM-011, FRM-012, SRV-032: of any length */
	return n < info->server_min || n > info->server_max ? FRAME_BAD : FRAME_TAKE; /* FRM-008 */
}

/* CLI-006: a client is as lenient as can be; FRM-010: more than a layout needs is fine. */
static enum frame_verdict verdict_client(const struct frame_info *info, uint32_t n)
{
	if (n > FRAME_CLIENT_MAX) return FRAME_BAD;              /* FRM-006 */
	if (info == NULL || !info->to_client) return FRAME_SKIP; /* FRM-011, FRM-013 */
	if (n >= info->client_min) return FRAME_TAKE;
	return info->type == FRAME_SERVER_INFO ? FRAME_BAD : FRAME_SKIP; /* HSK-026; FRM-009 */
}

/* FRM-007: a limit for each type, known from the header; there is no general one. */
enum frame_verdict frame_verdict(enum frame_role role, uint8_t type, uint32_t n)
{
	switch (role) {
	case FRAME_ROLE_SERVER_LOGIN: /* HSK-006, HSK-007 */
		return type == FRAME_CLIENT_INFO && n >= FRAME_CLIENT_INFO_MIN && n <= FRAME_CLIENT_INFO_MAX ? FRAME_TAKE : FRAME_BAD;
	case FRAME_ROLE_CLIENT_LOGIN: /* HSK-003 */
		return type == FRAME_SERVER_KEY && n >= FRAME_SERVER_KEY_MIN && n <= FRAME_SERVER_KEY_MAX ? FRAME_TAKE : FRAME_BAD;
	case FRAME_ROLE_SERVER: return verdict_server(frame_info(type), n);
	case FRAME_ROLE_CLIENT: return verdict_client(frame_info(type), n);
	case FRAME_ROLES: break;
	}
	assert(false && "every role has a case");
	return FRAME_BAD;
}

/* ---- reading ---- */

void frame_reader_init(struct frame_reader *r, enum frame_role role) { *r = (struct frame_reader){ .role = role }; }

void frame_reader_free(struct frame_reader *r)
{
	packet_drop(r->gather);
	frame_reader_init(r, r->role);
}

void frame_reader_role(struct frame_reader *r, enum frame_role role)
{
	assert(r->head_n == 0 && r->gather == NULL);
	r->role = role;
}

static uint32_t get_u32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* The frame is over; a gathered payload stays until the next call. */
static void next_frame(struct frame_reader *r)
{
	r->head_n = 0;
	r->announced = false;
	r->have = 0;
}

/* FRM-001, FRM-002: five bytes, which may come one by one. */
static bool read_header(struct frame_reader *r, const uint8_t **p, size_t *n)
{
	size_t take = FRAME_HEADER - r->head_n;

	if (take == FRAME_HEADER && *n >= FRAME_HEADER) { /* the usual case */
		memcpy(r->head, *p, FRAME_HEADER);
		r->head_n = FRAME_HEADER;
		*p += FRAME_HEADER, *n -= FRAME_HEADER;
		return true;
	}
	if (take > *n) take = *n;
	memcpy(r->head + r->head_n, *p, take);
	r->head_n = (uint8_t)(r->head_n + take);
	*p += take, *n -= take;
	return r->head_n == FRAME_HEADER;
}

static void skip_payload(struct frame_reader *r, const uint8_t **p, size_t *n, uint32_t announced)
{
	uint32_t take = announced - r->have;

	if (take > *n) take = (uint32_t)*n;
	r->have += take;
	*p += take, *n -= take;
	if (r->have == announced) next_frame(r);
}

/* Room for `more` bytes of the payload: what is announced has not come yet. */
static void gather_room(struct frame_reader *r, uint32_t more, uint32_t announced)
{
	uint32_t room = r->gather == NULL ? FRAME_GATHER_FIRST : r->gather->n, need = r->have + more;

	if (r->gather != NULL && need <= room) return;
	if (r->gather != NULL) room = room < announced / 2 ? 2 * room : announced;
	if (room < need) room = need;
	if (room > announced) room = announced;
	r->gather = r->gather == NULL ? packet_new(room) : packet_grow(r->gather, room);
}

static enum frame_result take_payload(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out)
{
	uint32_t take;

	if (r->have == 0 && *n >= out->n) { /* the usual case: whole in the span */
		out->payload = *p;
		*p += out->n, *n -= out->n;
		next_frame(r);
		return FRAME_READY;
	}
	if (*n == 0) return FRAME_MORE;
	take = out->n - r->have;
	if (take > *n) take = (uint32_t)*n;
	gather_room(r, take, out->n);
	memcpy(r->gather->bytes + r->have, *p, take);
	r->have += take;
	*p += take, *n -= take;
	if (r->have < out->n) return FRAME_MORE;
	out->payload = r->gather->bytes;
	out->owner = r->gather;
	next_frame(r);
	return FRAME_READY;
}

/* The header stands: its verdict is the same each time it is asked for. */
void frame_reader_header(const struct frame_reader *r, struct frame *out)
{
	assert(r->announced);
	out->type = r->head[0];
	out->n = get_u32(r->head + 1);
	out->verdict = (enum frame_verdict)r->verdict;
	out->payload = NULL;
	out->owner = NULL;
}

enum frame_result frame_read(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out)
{
	for (;;) {
		if (r->gather != NULL && r->have == 0) { /* handed out by the call before */
			packet_drop(r->gather);
			r->gather = NULL;
		}
		if (!r->announced) {
			if (*n == 0 || !read_header(r, p, n)) return FRAME_MORE;
			r->verdict = (uint8_t)frame_verdict(r->role, r->head[0], get_u32(r->head + 1));
			r->announced = true;
			frame_reader_header(r, out);
			return FRAME_HEADER_READ;
		}
		assert(r->verdict != FRAME_BAD);
		frame_reader_header(r, out);
		if (out->verdict == FRAME_TAKE) return take_payload(r, p, n, out);
		skip_payload(r, p, n, out->n);
		if (r->announced) return FRAME_MORE;
	}
}

bool frame_read_whole(const struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out)
{
	const uint8_t *head = *p;
	uint32_t announced;

	if (r->head_n != 0 || r->gather != NULL || *n < FRAME_HEADER) return false;
	announced = get_u32(head + 1);
	if (*n - FRAME_HEADER < announced || frame_verdict(r->role, head[0], announced) != FRAME_TAKE) return false;
	*out = (struct frame){ .type = head[0], .verdict = FRAME_TAKE, .n = announced, .payload = head + FRAME_HEADER };
	*p += FRAME_HEADER + announced, *n -= FRAME_HEADER + announced;
	return true;
}

bool frame_reader_at_boundary(const struct frame_reader *r) { return !r->announced; }

const uint8_t *frame_reader_partial(const struct frame_reader *r, uint32_t *n)
{
	*n = r->gather == NULL ? 0 : r->have;
	return r->gather == NULL ? NULL : r->gather->bytes;
}

uint32_t frame_reader_memory(const struct frame_reader *r) { return r->gather == NULL ? 0 : (uint32_t)sizeof *r->gather + r->gather->n; }

/* ---- writing ---- */

static void put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* FRM-001: the length does not count these five bytes. */
void frame_header(uint8_t *out, uint8_t type, uint32_t n)
{
	out[0] = type;
	put_u32(out + 1, n);
}

static uint32_t key_frame(uint8_t *out, uint8_t type, const uint8_t *key, uint32_t more)
{
	frame_header(out, type, FRAME_KEY + more);
	memcpy(out + FRAME_HEADER, key, FRAME_KEY);
	return FRAME_HEADER + FRAME_KEY;
}

uint32_t frame_server_key(uint8_t *out, const uint8_t key[FRAME_KEY])
{
	frame_header(out, FRAME_SERVER_KEY, FRAME_MAGIC + FRAME_KEY);
	memcpy(out + FRAME_HEADER, frame_magic, FRAME_MAGIC);
	memcpy(out + FRAME_HEADER + FRAME_MAGIC, key, FRAME_KEY);
	return FRAME_HEADER + FRAME_MAGIC + FRAME_KEY;
}

uint32_t frame_send_head(uint8_t *out, const uint8_t dst[FRAME_KEY], uint32_t packet_n)
{
	assert(packet_n <= FRAME_PACKET_MAX);
	return key_frame(out, FRAME_SEND_PACKET, dst, packet_n);
}

uint32_t frame_recv_head(uint8_t *out, const uint8_t src[FRAME_KEY], uint32_t packet_n)
{
	assert(packet_n <= FRAME_PACKET_MAX);
	return key_frame(out, FRAME_RECV_PACKET, src, packet_n);
}

uint32_t frame_forward_head(uint8_t *out, const uint8_t src[FRAME_KEY], const uint8_t dst[FRAME_KEY], uint32_t packet_n)
{
	assert(packet_n <= FRAME_PACKET_MAX);
	key_frame(out, FRAME_FORWARD_PACKET, src, FRAME_KEY + packet_n);
	memcpy(out + FRAME_HEADER + FRAME_KEY, dst, FRAME_KEY);
	return FRAME_HEADER + 2 * FRAME_KEY;
}

uint32_t frame_keep_alive(uint8_t *out)
{
	frame_header(out, FRAME_KEEP_ALIVE, 0);
	return FRAME_HEADER;
}

uint32_t frame_note_preferred(uint8_t *out, bool home)
{
	frame_header(out, FRAME_NOTE_PREFERRED, 1);
	out[FRAME_HEADER] = home;
	return FRAME_HEADER + 1;
}

uint32_t frame_peer_gone(uint8_t *out, const uint8_t key[FRAME_KEY], uint8_t reason)
{
	assert(reason != GONE_MESH_BROKE); /* PGR-003 */
	out[key_frame(out, FRAME_PEER_GONE, key, 1)] = reason;
	return FRAME_HEADER + FRAME_GONE_SIZE;
}

uint32_t frame_peer_present(uint8_t *out, const uint8_t key[FRAME_KEY], const uint8_t ip[16], uint16_t port, uint8_t flags)
{
	uint8_t *p = out + key_frame(out, FRAME_PEER_PRESENT, key, FRAME_PRESENT_SIZE - FRAME_KEY);

	memcpy(p, ip, 16);
	p[16] = (uint8_t)(port >> 8);
	p[17] = (uint8_t)port;
	p[18] = flags;
	return FRAME_HEADER + FRAME_PRESENT_SIZE;
}

uint32_t frame_watch_conns(uint8_t *out)
{
	frame_header(out, FRAME_WATCH_CONNS, 0);
	return FRAME_HEADER;
}

uint32_t frame_close_peer(uint8_t *out, const uint8_t key[FRAME_KEY]) { return key_frame(out, FRAME_CLOSE_PEER, key, 0); }

static uint32_t small_frame(uint8_t *out, uint8_t type, const uint8_t data[FRAME_PING_SIZE])
{
	frame_header(out, type, FRAME_PING_SIZE);
	memcpy(out + FRAME_HEADER, data, FRAME_PING_SIZE);
	return FRAME_HEADER + FRAME_PING_SIZE;
}

uint32_t frame_ping(uint8_t *out, const uint8_t data[FRAME_PING_SIZE]) { return small_frame(out, FRAME_PING, data); }
uint32_t frame_pong(uint8_t *out, const uint8_t data[FRAME_PING_SIZE]) { return small_frame(out, FRAME_PONG, data); }

uint32_t frame_restarting(uint8_t *out, uint32_t wait_ms, uint32_t try_ms)
{
	uint8_t data[FRAME_PING_SIZE];

	put_u32(data, wait_ms);
	put_u32(data + 4, try_ms);
	return small_frame(out, FRAME_RESTARTING, data);
}
