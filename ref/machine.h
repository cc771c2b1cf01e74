/* The seam: events in, actions out.
 *
 * Everything that speaks the protocol is a machine: the relay, the client, the mesh link, the coordination server. A machine
 * is driven by a host (the simulator's node, the epoll driver, a fuzz harness, a unit test) or by a parent machine, and by
 * nothing else. It has no clock, no socket, no random source and no file: `now` is in the event, bytes are in events and
 * actions, START carries a 32-byte seed from which every draw comes. Recording a machine's events records its whole run.
 * The only call out of a machine is the tracer's, which must not influence it.
 *
 * Tokens name connections, sockets and questions. 64 bits: bits 0..31 a slot (dense: both sides index an array with it),
 * bits 32..62 a generation, bit 63 set in tokens that the machine chose (DIAL, ASK) and clear in those of the host (ACCEPTED,
 * listeners, UDP sockets). A parent hands each child a range of slots in START. CLOSED comes exactly once for each connection
 * token (ANSWER for each ASK); a slot is used again only after the actions of that turn are flushed.
 *
 * A turn of a host: read at most `turn_max` bytes in all, step the machine with each event, then flush: one write (or one TLS
 * record) a connection. The host copies only what the kernel refused.
 *
 * Backlog. Both sides keep one number for each connection: unacked = bytes SENT - bytes told by DRAINED. A machine sends a
 * packet while unacked < high_water (its own; the last frame may overshoot) and queues it otherwise. DRAINED is due above the host's
 * low_water; high_water - low_water is at least 2 x turn_max, so that it comes before a queue is needed on a healthy connection:
 * asserted at START.
 *
 * Lifetimes. BYTES are const and, like everything an event points to, live until the actions of that turn are flushed; data
 * of SECURED, ANSWER and START live for the step only. An action's packet is counted: the action owns one count, given back
 * by actions_reset. Arena bytes live until actions_reset. What a machine unmasked of an event's bytes (WebSocket) lies in a packet that
 * the list of the host keeps until actions_reset, and so lives like them. */
#ifndef REF_MACHINE_H
#define REF_MACHINE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet; /* counted bytes: buf.h */

#define TOKEN_MACHINE (UINT64_C(1) << 63)
#define TOKEN_NONE 0 /* slot 0 of generation 0 is never handed out by a host for a connection */
#define TIME_NEVER UINT64_MAX

static inline uint64_t token_make(uint32_t slot, uint32_t generation) { return (uint64_t)(generation & 0x7fffffffu) << 32 | slot; }
static inline uint32_t token_slot(uint64_t token) { return (uint32_t)token; }
static inline uint32_t token_generation(uint64_t token) { return (uint32_t)(token >> 32) & 0x7fffffffu; }
static inline bool token_is_machine(uint64_t token) { return (token & TOKEN_MACHINE) != 0; }

/* Nanoseconds; all times in events are since START of the machine. */
#define NS_US UINT64_C(1000)
#define NS_MS UINT64_C(1000000)
#define NS_S UINT64_C(1000000000)

/* An IP address and port. IPv4 is IPv4-mapped (::ffff:a.b.c.d), as on the wire (PGR-018); all zero = unknown (PGR-020). */
struct address {
	uint8_t ip[16];
	uint16_t port;
};

/* ---- events ---- */

enum event_kind {
	EVENT_START,    /* first, once */
	EVENT_ACCEPTED, /* a stream came in, before TLS: limits can spare the handshake */
	EVENT_DIALED,   /* DIAL succeeded */
	EVENT_SECURED,  /* START_TLS succeeded */
	EVENT_BYTES,    /* bytes of a stream, never 0 */
	EVENT_DRAINED,  /* the transport took bytes, or the host holds a different number of refused ones */
	EVENT_CLOSED,   /* the last event of a connection token */
	EVENT_DATAGRAM, /* a datagram came in */
	EVENT_ANSWER,   /* the one answer to an ASK */
	EVENT_TIMER,    /* deadline() has come; may come early */
	EVENT_COMMAND,  /* what the owner wants: the verbs are in enum command_verb */
	EVENT_KINDS
};

/* A listener or UDP socket that the host has opened before START. */
struct socket_info {
	uint64_t token;
	struct address local;
	bool tls;      /* listener: the machine answers ACCEPTED with START_TLS */
	bool helper;   /* listener: the plain HTTP port beside a TLS one (HTTP-044) */
	bool datagram; /* UDP socket */
};

struct event_start {
	uint8_t seed[32];
	uint64_t wall_ns;    /* Unix time at START; wall time later = wall_ns + now */
	uint32_t slot_first; /* the machine's own tokens use slots slot_first .. slot_first + slot_count - 1 */
	uint32_t slot_count;
	uint32_t generation_first; /* of these tokens: a range that has been another child's goes on from where that one was; 0 */
	uint32_t turn_max;         /* bytes a host reads in one turn at most */
	uint32_t low_water;        /* DRAINED is due above it */
	const char *config;        /* text, `key=value` lines: config.h; the machine's header lists the keys */
	size_t config_n;
	const struct socket_info *sockets;
	uint32_t sockets_n;
};

struct event_accepted {
	uint64_t listener;
	struct address local, remote;
};

struct event_dialed {
	struct address local, remote;
};

/* A name for which a certificate is valid, of its subject alternative names. */
struct certificate_name {
	const char *p;
	size_t n;
	bool ip; /* an iPAddress entry, written as a literal; else a dNSName entry as it stands, wildcards included */
};

/* One certificate of the peer's chain, as presented. Strings are not terminated and hold what the peer sent. */
struct certificate {
	const char *common_name;
	size_t common_name_n;
	uint64_t serial; /* UINT64_MAX: does not fit */
	uint8_t sha256[32];
	uint64_t not_before_s, not_after_s; /* Unix time */
	const struct certificate_name *names;
	uint32_t names_n;
};

struct event_secured {
	uint16_t version; /* 0x0303, 0x0304 */
	bool resumed;
	bool verified; /* the chain's verdict: it leads to a root that the host trusts, now. The machine judges its names (MAP-008) */
	const struct certificate *chain;
	uint32_t chain_n;
};

struct event_bytes {
	const uint8_t *p;
	uint32_t n;
};

/* Due when unacked > low_water, or when `left` becomes > 0, shrinks or reaches 0. */
struct event_drained {
	uint64_t n;    /* taken by the transport since the last DRAINED of this token */
	uint64_t left; /* what the host still holds because the transport refused it */
};

enum close_cause {
	CLOSE_EOF,         /* the peer's FIN, after the last BYTES; the host still sends what it holds, then closes */
	CLOSE_RESET,       /* RST */
	CLOSE_TIMEOUT,     /* the transport gave up: SYN without answer, user timeout (HTTP-023) */
	CLOSE_REFUSED,     /* DIAL: nobody listens */
	CLOSE_UNREACHABLE, /* DIAL: no route */
	CLOSE_LIMIT,       /* descriptors or ports are used up */
	CLOSE_TLS,         /* handshake or record failure */
	CLOSE_LOCAL,       /* we closed with abort */
	CLOSE_CAUSES
};

struct event_closed {
	enum close_cause cause;
};

struct event_datagram {
	struct address local, peer;
	const uint8_t *p;
	uint32_t n;
};

enum answer_result { ANSWER_OK, ANSWER_FAILED, ANSWER_CANCELLED };

struct event_answer {
	enum answer_result result;
	uint32_t status;  /* ASK_URL: HTTP status */
	const uint8_t *p; /* ASK_URL, ASK_MAP: body; ASK_NAME: struct address[] */
	uint32_t n;       /* bytes; ASK_NAME: addresses */
};

/* What an owner asks of a machine. Which verbs a machine knows, and which fields they use, is said in its header. */
enum command_verb {
	COMMAND_SEND,       /* client: packet p,n to dst; station: region = home of dst, 0 = what COMMAND_PEER said */
	COMMAND_FORWARD,    /* client with mesh key: packet p,n from src to dst (MSH-016) */
	COMMAND_PING,       /* client: Ping with the 8 bytes at p; p = NULL: with 8 random ones, DELIVER_PINGED tells how it went (CLI-011) */
	COMMAND_HOME,       /* client: flag = this region is home (CLI-025); station: home is region, 0 = homeless (CLI-037, HOM-019) */
	COMMAND_WATCH,      /* client with mesh key: WatchConns, now and after every login */
	COMMAND_CLOSE_PEER, /* client with mesh key: ClosePeer dst; relay: close all local connections of dst (MSH-033) */
	COMMAND_REGION,     /* client: p,n is a new configuration text of the region (CLI-017) */
	COMMAND_CONNECT,    /* client: connect if not connected, and stay so by the policy of its configuration */
	COMMAND_LEAVE,      /* client, station: close with FIN and stay away (CLI-026), flag = with RST; relay: close everything and stop (SRV-036) */
	COMMAND_PREFER_V6,  /* client, station: flag = IPv6 is preferred (CLI-020) */
	COMMAND_MAP,        /* station: p,n is a DERP map, n = 0: there is none (CLI-038) */
	COMMAND_PEER,       /* station: dst is at home in region, 0 = unknown (MAP-018) */
	COMMAND_NETWORK,    /* station: flag = the network is up (CLI-039) */
	COMMAND_REBIND,     /* station: the local network changed; p,n is struct address[], the local addresses that are left (CLI-039) */
	COMMAND_KEY,        /* station: p,n is a new private key (CLI-039) */
	COMMAND_RATES,      /* relay: p,n is a rate file (RAT-001), put into force as on SIGHUP (RAT-006) */
	COMMAND_DRAIN,      /* relay: accept nobody, tell all clients, close them spread over patience_ns, and stop */
	COMMAND_CHECK,      /* network check: now; flag = a full one */
	COMMAND_SET,        /* network check: p,n is configuration text with what changes */
	COMMAND_VERBS
};

struct event_command {
	enum command_verb verb;
	bool flag;
	struct packet *owner;     /* counted packet that holds p; NULL: p are event bytes. The event keeps its own count */
	const uint8_t *dst, *src; /* 32-byte keys */
	const uint8_t *p;
	uint32_t n;
	uint64_t region;
	uint64_t patience_ns; /* PING without data: how long to wait, 0 or more than 5 s = 5 s */
};

struct event {
	enum event_kind kind;
	uint64_t now;
	uint64_t token;
	union {
		const struct event_start *start;
		const struct event_accepted *accepted;
		const struct event_dialed *dialed;
		const struct event_secured *secured;
		struct event_bytes bytes;
		struct event_drained drained;
		struct event_closed closed;
		const struct event_datagram *datagram;
		const struct event_answer *answer;
		const struct event_command *command;
	};
};

const char *event_kind_name(enum event_kind kind);
const char *close_cause_name(enum close_cause cause);
const char *command_verb_name(enum command_verb verb);

/* ---- actions ---- */

enum action_kind {
	ACTION_DIAL,      /* TCP to one address; ends in DIALED or CLOSED. No deadline: the machine times it and says CLOSE abort */
	ACTION_START_TLS, /* in place on a connection; ends in SECURED or CLOSED */
	ACTION_SEND,      /* never fails */
	ACTION_READ,      /* at most n bytes in this connection's next BYTES; 0 = none until another READ. On a listener 0 stops accepting */
	ACTION_CLOSE,     /* finish: FIN behind what was sent, BYTES and CLOSED eof still come. abort: RST, unsent dropped, and the only
	                   * event left for the token is CLOSED local. On an ASK: cancel. On a listener: it is gone, its port refuses */
	ACTION_DATAGRAM,
	ACTION_ASK,
	ACTION_DELIVER, /* to the owner: only in `up` lists */
	ACTION_KINDS
};

/* Bytes that are not copied until the transport refuses them. owner != NULL: a counted packet, the action owns one count;
 * else event bytes of this turn, or a constant. */
struct span {
	struct packet *owner;
	const uint8_t *p;
	uint32_t n;
};

/* ASK_URL: a POST of the body to the URL, as RAT-014 says; redirects are followed, and the last answer is the one told (RAT-015). */
enum ask_kind { ASK_NAME4, ASK_NAME6, ASK_URL, ASK_MAP };

struct action_tls {
	bool server;
	bool insecure;           /* client: go on whatever the chain's verdict is: the machine has another way to judge (MAP-009), or none */
	const char *server_name; /* client: SNI, NULL = none (HTTP-024); server: NULL. Lives in the machine until SECURED or CLOSED */
	const char *meta_name;   /* server: common name of the meta certificate to append (HTTP-011), NULL = none. Lives as above */
};

enum deliver_kind {
	DELIVER_CONNECTED,    /* client: ClientInfo is sent, sends are allowed (HSK-023). a = index of the node in the region */
	DELIVER_READY,        /* client: ServerInfo arrived and is valid. a = generation (CLI-024) */
	DELIVER_DISCONNECTED, /* client: connection or attempt ended. a = enum client_end, b = ns until the next attempt */
	DELIVER_PACKET,       /* client: key = source, span = packet bytes */
	DELIVER_PEER_GONE,    /* client: key, a = reason byte */
	DELIVER_PEER_PRESENT, /* client: key, span = IP and port as they came, a = flags */
	DELIVER_PING,         /* client: span = 8 bytes; with can-ack-pings it has been answered */
	DELIVER_PONG,         /* client: span = 8 bytes */
	DELIVER_KEEPALIVE,
	DELIVER_HEALTH,     /* client: span = text */
	DELIVER_RESTARTING, /* client: a = wait ms, b = try-for ms */
	DELIVER_DROPPED,    /* client: a packet of COMMAND_SEND or COMMAND_FORWARD was given up; span = packet bytes, a = enum drop_reason;
	                     * write_error: longer than 65,536 bytes (CLI-001) */
	DELIVER_STOPPED,    /* the machine is done for good. a = machine's reason */
	DELIVER_PINGED,     /* client: the end of a COMMAND_PING without data. a = 1: answered, 0: not; b = ns that it took */
	DELIVER_REFUSED,    /* client, station: a command that was not carried out. a = enum refusal, b = enum command_verb, key = dst, span = p,n */
	DELIVER_LOST,       /* client: before DISCONNECTED: a = bytes of what was sent that the transport had not taken (CLI-023) */
	DELIVER_HOME,       /* station: home is region now, 0 = none: to be told to control (HOM-020) */
	DELIVER_CHECK,      /* station: a network check is due (HOM-001). a = enum station_check */
	DELIVER_CLOSED,     /* station: it closed the connection to region. a = enum station_close */
	DELIVER_WARNING,    /* station: a = 1: nothing was heard from home, which is region, for 2 min 5 s (CLI-041); 0: that is over */
	DELIVER_REPORT,     /* network check: a = region that is home, b = region that the report prefers; 0 = none */
	DELIVER_KINDS
};

/* Why a command was not carried out: what the original swallows or returns as an error. */
enum refusal {
	REFUSED_NOT_CONNECTED, /* CLOSE_PEER: the attempt to connect for it failed (CLI-013) */
	REFUSED_LIMIT,         /* one more than a limit allows */
	REFUSED_LEFT,          /* behind COMMAND_LEAVE (CLI-026) */
	REFUSED_REGION,        /* not in the map, or over 65,535 (CLI-043), or it cannot be used as it stands there */
	REFUSED_ROUTE,         /* neither the home of the peer is known nor where it was heard (CLI-030) */
	REFUSED_NETWORK,       /* the network is down (CLI-039) */
	REFUSED_TEXT,          /* a map that cannot be read; span = why */
	REFUSALS
};

struct action_deliver {
	enum deliver_kind what;
	uint32_t region;    /* station: which of its connections; 0 of a client that is nobody's child */
	const uint8_t *key; /* 32 bytes, lifetime as event bytes or the machine's state */
	uint64_t a, b;
};

struct action {
	uint8_t kind;     /* enum action_kind */
	uint8_t abort;    /* CLOSE */
	uint8_t ask;      /* ASK: enum ask_kind */
	uint32_t head_at; /* SEND, DATAGRAM: head_n bytes in the arena from head_at */
	uint32_t head_n;
	uint32_t read_n; /* READ */
	uint64_t token;
	struct span span; /* SEND, DATAGRAM: behind the head; ASK: the question (name or URL, body behind a NUL); DELIVER: data */
	union {
		struct address address; /* DIAL; DATAGRAM: the peer */
		struct action_tls tls;
		struct action_deliver deliver; /* the longest */
	};
};
static_assert(DELIVER_CONNECTED == 0, "actions_add zeroes `deliver` by it");
static_assert(sizeof(struct action_tls) <= sizeof(struct action_deliver) && sizeof(struct address) <= sizeof(struct action_deliver),
              "who zeroes `deliver` zeroes them all");

/* What a step did, for hosts that price it. The core counts and never measures time. */
enum work {
	WORK_FRAMES_IN,
	WORK_FRAMES_OUT,
	WORK_BYTES_IN,
	WORK_BYTES_OUT,
	WORK_BOXES,  /* boxes opened or sealed */
	WORK_SHARED, /* Curve25519 multiplications: shared secrets and public keys, as if nothing were cached */
	WORK_TIMERS,
	WORK_LOGINS,
	WORK_KINDS
};

enum { ACTIONS_HEAD_MAX = 4096 };

/* A list of actions with an arena for the bytes of their heads. Grows on demand up to ACTIONS_MAX actions; machines stop
 * fan-outs when actions_room says so and go on at a TIMER with deadline() = now. */
struct actions {
	struct action *v;
	uint32_t n, cap;
	uint8_t *arena;
	uint32_t arena_n, arena_cap;
	struct packet **kept;
	uint32_t kept_n, kept_cap;
	uint64_t work[WORK_KINDS];
};

enum { ACTIONS_MAX = 16384, ACTIONS_FANOUT_MAX = 4096, ACTIONS_ARENA_MAX = 64 << 20 };

void actions_init(struct actions *a);
void actions_free(struct actions *a);
/* Gives back the packets of all actions and those kept, empties list and arena, keeps their memory; work is zeroed. */
void actions_reset(struct actions *a);
/* May a fan-out go on? False when the list is as long as one step of it may make it. */
static inline bool actions_room(const struct actions *a) { return a->n < ACTIONS_FANOUT_MAX; }

void actions_grow(struct actions *a);                   /* the list is full */
void actions_arena_grow(struct actions *a, uint32_t n); /* so is the arena for n more bytes */
/* Appends an action of this kind with everything else zero. The pointer is valid until the next append. */
static inline struct action *actions_add(struct actions *a, enum action_kind kind, uint64_t token)
{
	struct action *x;

	if (a->n == a->cap) actions_grow(a);
	x = &a->v[a->n++];
	/* In parts, each short enough to be stored; the whole would be filled by a string instruction, and this is a hot place. */
	x->kind = (uint8_t)kind;
	x->abort = x->ask = 0;
	x->head_at = x->head_n = x->read_n = 0;
	x->token = token;
	x->span = (struct span){ NULL, NULL, 0 }; /* in words that C++ takes too */
	x->deliver = (struct action_deliver){ DELIVER_CONNECTED, 0, NULL, 0, 0 };
	return x;
}
/* Room for head_n bytes of the head of an action just added; head_n <= ACTIONS_HEAD_MAX, may be 0. */
static inline uint8_t *actions_head(struct actions *a, struct action *x, uint32_t head_n)
{
	assert(head_n <= ACTIONS_HEAD_MAX);
	if (a->arena_cap - a->arena_n <= head_n) actions_arena_grow(a, head_n + 1); /* a head of no bytes has a place too */
	x->head_at = a->arena_n;
	x->head_n = head_n;
	a->arena_n += head_n;
	return a->arena + x->head_at;
}
/* SEND of head_n bytes, to be written by the caller at the returned place before the next call; the caller may set ->span of
 * the last action afterwards with actions_span. */
static inline uint8_t *actions_send(struct actions *a, uint64_t token, uint32_t head_n)
{
	return actions_head(a, actions_add(a, ACTION_SEND, token), head_n);
}
/* Puts event bytes or constants behind the head of the last action. */
static inline void actions_span(struct actions *a, const uint8_t *p, uint32_t n)
{
	assert(a->n > 0 && a->v[a->n - 1].span.n == 0);
	a->v[a->n - 1].span = (struct span){ NULL, p, n };
}
/* The same with a counted packet; takes over one count from the caller. p,n lie inside the packet. */
void actions_span_packet(struct actions *a, struct packet *packet, const uint8_t *p, uint32_t n);
/* DATAGRAM of head_n bytes from a UDP socket to an address; the bytes are written as those of actions_send. */
uint8_t *actions_datagram(struct actions *a, uint64_t socket, const struct address *to, uint32_t head_n);
/* Takes over one count of a packet until actions_reset: its bytes may be used like those of the event. */
void actions_keep(struct actions *a, struct packet *packet);
void actions_read(struct actions *a, uint64_t token, uint32_t n);
void actions_close(struct actions *a, uint64_t token, bool abort);
void actions_dial(struct actions *a, uint64_t token, const struct address *to);
/* DELIVER with everything but `what` zero or NULL. */
struct action *actions_deliver(struct actions *up, enum deliver_kind what, uint64_t token);
static inline const uint8_t *action_head(const struct actions *a, const struct action *x) { return a->arena + x->head_at; }
const char *action_kind_name(enum action_kind kind);
const char *deliver_kind_name(enum deliver_kind what);
const char *refusal_name(enum refusal refusal);

/* ---- machines ---- */

struct machine;

struct machine_ops {
	const char *name;
	/* `up` is for the owner; `out` for the host. A parent appends its children's actions to the same `out`. */
	void (*step)(struct machine *m, const struct event *event, struct actions *out, struct actions *up);
	/* When the machine next wants a TIMER; may be early, never late; O(1). TIME_NEVER: not at all. */
	uint64_t (*deadline)(const struct machine *m);
	void (*free)(struct machine *m);
};

/* First member of every machine. */
struct machine {
	const struct machine_ops *ops;
};

static inline void machine_step(struct machine *m, const struct event *event, struct actions *out, struct actions *up)
{
	m->ops->step(m, event, out, up);
}
static inline uint64_t machine_deadline(const struct machine *m) { return m->ops->deadline(m); }
static inline void machine_free(struct machine *m)
{
	if (m != NULL) m->ops->free(m);
}

/* ---- tracing: the only call out ---- */

enum note_kind {
	NOTE_ACCEPTED,     /* relay: a connection was handed in */
	NOTE_LOGIN,        /* relay: registered (HSK-020). key, a = presence flags (PGR-019), b = connections of its key; text: over what */
	NOTE_LOGIN_FAILED, /* relay: ended before registration. text = why */
	NOTE_READY,        /* relay: ServerInfo written */
	NOTE_LEAVE,        /* relay: unregistered. key, a = connections of this key left; text = why */
	NOTE_DROP,         /* a packet was dropped. key = source, key2 = destination, p,n = packet, a = enum drop_reason */
	NOTE_FORWARD,      /* relay: handed to a mesh link. key = source, key2 = destination, p,n = packet */
	NOTE_WATCHER,      /* relay: subscribed */
	NOTE_MESH,         /* relay: link number a changed; b = enum mesh_state */
	NOTE_FORWARDER,    /* relay: key is (b = 1) or is no longer (b = 0) known through link a */
	NOTE_QUEUE_FULL,   /* relay, client: a queue of 32 overflowed. key2 = destination */
	NOTE_WRITE_TIMEOUT,
	NOTE_CUT,   /* relay, client: p,n will never be whole frames: the connection ended inside a frame, or they came behind its end */
	NOTE_STATE, /* client: a = new enum client_state, b = old */
	NOTE_RATES, /* relay: receive limits: a = bytes a second, b = burst in force; text = why the ones given are not, or NULL */
	NOTE_HOME,  /* network check: a = region that is home now, b = the one before, 0 = none; text = why */
	NOTE_KINDS
};

/* MET-006, in the order of the original. */
enum drop_reason {
	DROP_UNKNOWN_DEST,
	DROP_UNKNOWN_DEST_ON_FWD,
	DROP_GONE_DISCONNECTED,
	DROP_QUEUE_HEAD,
	DROP_QUEUE_TAIL,
	DROP_WRITE_ERROR,
	DROP_DUP_CLIENT,
	DROP_REASONS
};

struct note {
	enum note_kind kind;
	uint64_t now;
	uint64_t token;
	const uint8_t *key, *key2; /* 32 bytes each or NULL */
	const uint8_t *p;
	uint32_t n;
	uint64_t a, b;
	const char *text;
};

/* Given at init and outliving the machine; note() must not touch the machine. */
struct tracer {
	void (*note)(struct tracer *t, const struct note *note);
};

/* What a machine holds: whole packets in its queues, and what it has read of frames that are not whole yet. For a host that counts. */
struct machine_holds {
	void (*queued)(void *ctx, const uint8_t *p, uint32_t n);
	void (*partial)(void *ctx, uint64_t token, const uint8_t *p, uint32_t n);
	void *ctx;
};

const char *note_kind_name(enum note_kind kind);
const char *drop_reason_name(enum drop_reason reason);

/* What every machine is made with. Both may be NULL. The key cache is a memo of pure functions: it changes speed only. */
struct key_cache;
struct machine_env {
	struct tracer *tracer;
	struct key_cache *keys;
};

#endif
