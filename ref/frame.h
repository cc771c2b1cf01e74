/* Frames: chapter 1 of the protocol document as one table, with encoder and incremental parser made from it.
 *
 * FRM-001..FRM-019. A frame is a type byte, a 4-byte big-endian length and that many payload bytes. The parser takes spans of a
 * stream as they come and says for each header what the rules of its role make of it, before any payload is read. */
#ifndef REF_FRAME_H
#define REF_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet;

/* FRM-003: ForwardPacket stands out of order with its group. */
enum frame_type {
	FRAME_SERVER_KEY = 0x01,
	FRAME_CLIENT_INFO = 0x02,
	FRAME_SERVER_INFO = 0x03,
	FRAME_SEND_PACKET = 0x04,
	FRAME_RECV_PACKET = 0x05,
	FRAME_KEEP_ALIVE = 0x06,
	FRAME_NOTE_PREFERRED = 0x07,
	FRAME_PEER_GONE = 0x08,
	FRAME_PEER_PRESENT = 0x09,
	FRAME_FORWARD_PACKET = 0x0a,
	FRAME_WATCH_CONNS = 0x10,
	FRAME_CLOSE_PEER = 0x11,
	FRAME_PING = 0x12,
	FRAME_PONG = 0x13,
	FRAME_HEALTH = 0x14,
	FRAME_RESTARTING = 0x15
};

enum {
	FRAME_HEADER = 5,
	FRAME_KEY = 32,
	FRAME_MAGIC = 8,
	FRAME_PACKET_MAX = 65536,                             /* FRM-004 */
	FRAME_SEND_MAX = FRAME_KEY + FRAME_PACKET_MAX,        /* SendPacket, RecvPacket */
	FRAME_FORWARD_MAX = 2 * FRAME_KEY + FRAME_PACKET_MAX, /* ForwardPacket */
	FRAME_CLIENT_MAX = 1048576,                           /* FRM-006 */
	FRAME_CLIENT_INFO_MIN = 56,                           /* HSK-007 */
	FRAME_CLIENT_INFO_MAX = 262144,
	FRAME_SERVER_KEY_MIN = FRAME_MAGIC + FRAME_KEY, /* HSK-003 */
	FRAME_SERVER_KEY_MAX = 1024,
	FRAME_SERVER_INFO_MIN = 24,
	FRAME_PING_SIZE = 8,
	FRAME_PING_MAX = 1000,                       /* SRV-025 */
	FRAME_PRESENT_SIZE = FRAME_KEY + 16 + 2 + 1, /* PGR-018 */
	FRAME_GONE_SIZE = FRAME_KEY + 1,
	FRAME_PROTOCOL_VERSION = 2 /* FRM-018 */
};

extern const uint8_t frame_magic[FRAME_MAGIC];           /* "DERP" and U+1F511, HSK-002 */
#define FRAME_DISCO_MIN 62                               /* 6 + 32 + 24, KEY-011 */
bool frame_looks_like_disco(const uint8_t *p, size_t n); /* KEY-011 */

/* PGR-002 */
enum peer_gone_reason { GONE_DISCONNECTED = 0x00, GONE_NOT_HERE = 0x01, GONE_MESH_BROKE = 0xf0 /* never on the wire, PGR-003 */ };
enum present_flags { PRESENT_REGULAR = 0x01, PRESENT_MESH = 0x02, PRESENT_PROBER = 0x04, PRESENT_NOT_IDEAL = 0x08 };

/* Who reads. Login roles take exactly one frame type first (HSK-003, HSK-006). */
enum frame_role {
	FRAME_ROLE_SERVER_LOGIN, /* relay before ClientInfo */
	FRAME_ROLE_SERVER,       /* relay, steady state */
	FRAME_ROLE_CLIENT_LOGIN, /* client that waits for ServerKey */
	FRAME_ROLE_CLIENT,       /* client, steady state */
	FRAME_ROLES
};

enum frame_verdict {
	FRAME_TAKE, /* read the payload and hand it out */
	FRAME_SKIP, /* read and throw away: unknown, of the wrong direction, or (client) shorter than its minimum: FRM-009..FRM-013 */
	FRAME_BAD   /* close: FRM-006, FRM-008, HSK-003, HSK-006, HSK-007 */
};

/* One row a type: the parser's verdicts, the encoder's asserts, the documentation of tools and scenarios. */
struct frame_info {
	uint8_t type;
	const char *name;          /* of chapter 1: "SendPacket" */
	bool to_server, to_client; /* who takes it in steady state */
	bool mesh;                 /* needs the mesh key, else close (SRV-031) */
	uint32_t server_min, server_max;
	uint32_t client_min, client_max;
};
const struct frame_info *frame_info(uint8_t type);    /* NULL: unassigned */
const struct frame_info *frame_info_at(uint32_t row); /* NULL behind the last row */
const char *frame_name(uint8_t type);                 /* "unknown" if unassigned */
/* What the rules say of a header, privilege apart. */
enum frame_verdict frame_verdict(enum frame_role role, uint8_t type, uint32_t n);

/* ---- reading ---- */

enum frame_result {
	FRAME_MORE,        /* the span is used up */
	FRAME_HEADER_READ, /* out->type, n and verdict are set; nothing of the payload is read. Call again to go on */
	FRAME_READY,       /* out->payload too */
};

struct frame {
	uint8_t type;
	enum frame_verdict verdict;
	uint32_t n;             /* announced payload length */
	const uint8_t *payload; /* FRAME_READY: n bytes, in the span or in the owner */
	struct packet *owner;   /* the reader's counted packet that holds the whole payload, or NULL: span bytes. Hold it to keep it */
};

/* State between spans. A frame that lies whole in one span is handed out in place; one that does not is gathered in a counted
 * packet: of its announced length in the end (never more than the role's largest), and before that of no more than twice what came of
 * it, or FRAME_GATHER_FIRST: who only announces costs little. An idle reader owns nothing. */
enum { FRAME_GATHER_FIRST = 4096 };
struct frame_reader {
	enum frame_role role;
	uint8_t head[FRAME_HEADER];
	uint8_t head_n;        /* header bytes so far */
	bool announced;        /* the header has been handed out */
	uint8_t verdict;       /* on it, once it has: enum frame_verdict */
	uint32_t have;         /* payload bytes gathered or skipped */
	struct packet *gather; /* its n: room so far */
};

void frame_reader_init(struct frame_reader *r, enum frame_role role);
void frame_reader_free(struct frame_reader *r);
/* Changes the role between two frames (login is over). */
void frame_reader_role(struct frame_reader *r, enum frame_role role);
/* Takes bytes from *p,*n and advances them. Every frame is first handed out as FRAME_HEADER_READ; one with verdict TAKE then as
 * FRAME_READY; a skipped one is not seen again; after a BAD one the reader must not be called again. The payload handed out is
 * valid until the next call. */
enum frame_result frame_read(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out);
/* The usual case in one call: a frame that lies whole in the span, and that the role takes, is handed out as FRAME_READY would be. False:
 * nothing is taken, frame_read goes on. */
bool frame_read_whole(const struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out);
/* With no bytes at hand another call has nothing to say. */
static inline bool frame_reader_idle(const struct frame_reader *r) { return !r->announced && r->gather == NULL; }
/* The header that was handed out last, again; its payload has not been read. */
void frame_reader_header(const struct frame_reader *r, struct frame *out);
/* Is the stream between two frames, or inside a header? Ends there are quiet (FRM-016). */
bool frame_reader_at_boundary(const struct frame_reader *r);
/* The gathered part of the frame under way; *n is 0 if there is none. */
const uint8_t *frame_reader_partial(const struct frame_reader *r, uint32_t *n);
/* Bytes of memory the reader holds now. */
uint32_t frame_reader_memory(const struct frame_reader *r);

/* ---- writing ---- each returns the number of bytes written, header included; the caller gives room for FRAME_x bytes ---- */

void frame_header(uint8_t *out, uint8_t type, uint32_t n);
uint32_t frame_server_key(uint8_t *out, const uint8_t key[FRAME_KEY]);                                                    /* 45 */
uint32_t frame_send_head(uint8_t *out, const uint8_t dst[FRAME_KEY], uint32_t packet_n);                                  /* 37; the packet follows */
uint32_t frame_recv_head(uint8_t *out, const uint8_t src[FRAME_KEY], uint32_t packet_n);                                  /* 37 */
uint32_t frame_forward_head(uint8_t *out, const uint8_t src[FRAME_KEY], const uint8_t dst[FRAME_KEY], uint32_t packet_n); /* 69 */
uint32_t frame_keep_alive(uint8_t *out);                                                                                  /* 5 */
uint32_t frame_note_preferred(uint8_t *out, bool home);                                                                   /* 6 */
uint32_t frame_peer_gone(uint8_t *out, const uint8_t key[FRAME_KEY], uint8_t reason);                                     /* 38 */
uint32_t frame_peer_present(uint8_t *out, const uint8_t key[FRAME_KEY], const uint8_t ip[16], uint16_t port, uint8_t flags); /* 56 */
uint32_t frame_watch_conns(uint8_t *out);                                                                                    /* 5 */
uint32_t frame_close_peer(uint8_t *out, const uint8_t key[FRAME_KEY]);                                                       /* 37 */
uint32_t frame_ping(uint8_t *out, const uint8_t data[FRAME_PING_SIZE]);                                                      /* 13 */
uint32_t frame_pong(uint8_t *out, const uint8_t data[FRAME_PING_SIZE]);                                                      /* 13 */
uint32_t frame_restarting(uint8_t *out, uint32_t wait_ms, uint32_t try_ms);                                                  /* 13 */
/* Health has a text, ClientInfo and ServerInfo a box behind frame_header: login.h. */

#endif
