/* One connection of the relay, from accept to end, and the relay's state around it. Internal to the relay's files.
 *
 * session.c     accept, TLS, HTTP upgrade, login, end          (HSK, HTTP)
 * relay_websocket.c the same stream in WebSocket messages        (HTTP-026..HTTP-033)
 * relay_route.c frames of the steady state, where packets go   (SRV)
 * relay_peers.c who is here: keys, duplicates, PeerGone, watchers (DUP, PGR)
 * relay_mesh.c  links to the other relays, forwarders           (MSH)
 * relay.c       the machine: configuration, dispatch, timers, views */
#ifndef REF_SESSION_H
#define REF_SESSION_H

#include "config.h"
#include "frame.h"
#include "http.h"
#include "keymap.h"
#include "mesh.h"
#include "outbox.h"
#include "relay.h"
#include "rng.h"
#include "slotset.h"
#include "timer.h"
#include "websocket.h"

enum { SLOT_NONE = UINT32_MAX };

/* A connection. The first lines are what a relayed packet touches; an idle one owns no memory behind its pointers. */
struct session {
	uint64_t token; /* 0: the slot is free */
	struct outbox out;
	struct slotset seen; /* peers whose packets went to this connection: PGR-005 */
	uint32_t peer;       /* of its key; SLOT_NONE before login */
	uint8_t phase;       /* enum session_phase */
	bool mesh_peer : 1, watcher : 1, home : 1, not_ideal : 1, prober : 1, pong_due : 1, doomed : 1, ready_listed : 1;
	bool messages : 1; /* it speaks WebSocket: the stream is in messages, from the handshake on */
	struct frame_reader reader;
	struct timer timer;      /* the earliest of what follows */
	uint64_t phase_deadline; /* login and close; TIME_NEVER in steady state */
	uint64_t keepalive_at, keepalive_period;
	uint64_t connected_at;
	uint64_t history;     /* order of last activity among the connections of its key, 0 = not in the history (DUP-008) */
	uint64_t not_here_at; /* NotHere bucket (PGR-014): when it was last full, moved on by 1 s a frame */
	uint32_t slot;
	uint32_t key_next, key_prev; /* connections of the same key, in order of registration */
	uint32_t ready_next;
	uint8_t pong[FRAME_PING_SIZE];
	struct address remote;
	struct slotset gone_due;  /* peers to be told as gone */
	struct slotset dirty;     /* watcher: peers whose present state is to be told */
	struct http_reader *http; /* while a head is awaited */
	struct websocket *ws;     /* from the handshake until nothing is awaited of the peer any more */
	const char *doom;         /* why, for the note */
};

/* What is known of a key: local connections, forwarders, and who must hear when it goes. Lives while anything refers to it. */
struct peer {
	uint8_t key[KEY_SIZE];
	uint32_t active;      /* slot of the active connection (DUP-002), SLOT_NONE if there is none */
	uint32_t first, last; /* connections of this key */
	uint32_t sessions;
	uint32_t forwarder;        /* first of its list, SLOT_NONE */
	uint32_t refs;             /* sets of sessions in which it is */
	struct slotset recipients; /* connections that hear of its going */
};

/* A link through which a key is known, in order of registration (MSH-025). */
struct forwarder {
	uint32_t link, next;
};

enum { CHUNK_BITS = 8, CHUNK = 1 << CHUNK_BITS, RELAY_LINKS_MAX = 64 };

struct relay_config {
	struct key key, mesh_key;
	struct config_text mesh_with;
	uint32_t profile; /* 1: derper */
	bool raw;
	uint32_t queue_depth, high_water, sessions_max;
	uint64_t mesh_retry, write_timeout, mesh_write_timeout, http_timeout, login_timeout, keepalive, keepalive_jitter;
};

struct relay_link {
	struct mesh *mesh;
	enum mesh_state state; /* as last seen */
	char url[128];
};

struct relay {
	struct machine machine;
	struct machine_env env;
	struct relay_config config;
	struct key public_key;
	struct outbox_limits limits[2]; /* by mesh_peer: SRV-019 */
	struct rng rng;
	struct timers timers;
	struct keymap keys;
	struct peer *peer;
	uint32_t peers, peers_cap, peers_free;
	struct session **chunk; /* sessions by slot, in chunks that never move */
	uint32_t chunks, sessions;
	uint32_t ready_first, ready_last; /* connections with something due that did not fit the step */
	struct slotset watchers;
	struct forwarder *forwarder;
	uint32_t forwarders, forwarders_cap, forwarders_free;
	struct relay_link link[RELAY_LINKS_MAX];
	uint32_t links, slot_first;
	struct actions up; /* of children */
	uint64_t history;
	bool leaving, stopped;
	uint32_t leave_cursor;
	uint32_t mesh_keys, regular;
	struct socket_info *sockets;
	uint32_t sockets_n;
	struct relay_counters count;
	char meta_name[16 + KEY_HEX];
};

static inline struct session *session_at(const struct relay *r, uint32_t slot) { return &r->chunk[slot >> CHUNK_BITS][slot & (CHUNK - 1)]; }
static inline bool relay_is_derper(const struct relay *r) { return r->config.profile == 1; }
static inline const struct outbox_limits *session_limits(const struct relay *r, const struct session *s) { return &r->limits[s->mesh_peer]; }

uint8_t *session_websocket_send(struct session *s, uint32_t head_n, const struct span *span, struct actions *out);
/* Everything that leaves for a connection goes through here: head_n bytes of DERP that the caller writes at the returned place before the
 * next action, and behind them a span, or NULL. An owner's count is added, not taken over. */
static inline uint8_t *session_send(struct session *s, uint32_t head_n, const struct span *span, struct actions *out)
{
	uint8_t *head;

	if (s->messages) return session_websocket_send(s, head_n, span, out);
	head = actions_send(out, s->token, head_n);
	if (span != NULL && span->owner != NULL)
		actions_span_packet(out, packet_hold(span->owner), span->p, span->n);
	else if (span != NULL && span->n != 0)
		actions_span(out, span->p, span->n);
	outbox_sent(&s->out, head_n + (span != NULL ? span->n : 0));
	return head;
}

/* session.c */
struct session *session_find(const struct relay *r, uint64_t token); /* NULL: not or no longer here */
void session_accepted(struct relay *r, const struct event *e, struct actions *out);
void session_secured(struct relay *r, struct session *s, const struct event *e, struct actions *out);
void session_bytes(struct relay *r, struct session *s, const struct event *e, struct actions *out);
void session_timer(struct relay *r, struct session *s, uint64_t now, struct actions *out);
void session_timer_arm(struct relay *r, struct session *s);
/* Ends a connection from our side: unregisters it now and closes the stream. `why` is a constant. */
void session_close(struct relay *r, struct session *s, uint64_t now, const char *why, bool abort, struct actions *out);
/* Nothing is awaited of a closing connection any more but its FIN: sends ours. */
void session_fin(struct relay *r, struct session *s, uint64_t now, struct actions *out);
/* Its stream is gone: frees the slot. */
void session_closed(struct relay *r, struct session *s, uint64_t now, enum close_cause cause);
/* Bytes of the DERP stream. They may come from a packet that out keeps. */
void session_stream(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out);
void session_enter_login(struct relay *r, struct session *s, uint64_t now, const char *head, uint32_t head_n, struct actions *out);
void session_cut(const struct relay *r, uint64_t now, uint64_t token, const uint8_t *p, size_t n);
void session_doom(struct relay *r, struct session *s, const char *why); /* close soon: for many at once */
uint64_t session_memory(const struct session *s);

/* relay_websocket.c */
void session_websocket_enter(struct relay *r, struct session *s, uint64_t now, const struct http_request *request, struct actions *out);
void session_websocket_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out);
void session_websocket_pong(struct relay *r, struct session *s, struct actions *out); /* if one is due and the transport takes it */
/* Sends our close message. True: the stream stays open for the peer's (HTTP-030); false: there is nothing to wait for. */
bool session_websocket_goodbye(struct session *s, uint16_t status, struct actions *out);
void session_websocket_free(struct session *s);

/* relay_route.c */
/* Bytes of the steady state. Returns with the session possibly closed. */
void route_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out);
void route_drop(struct relay *r, uint64_t now, uint64_t token, const uint8_t *src, const uint8_t *dst, const uint8_t *p, uint32_t n,
                enum drop_reason reason);
/* Writes what is due, while the transport takes it and the step has room; else lists the session as ready. */
void route_pump(struct relay *r, struct session *s, uint64_t now, struct actions *out);
void route_ready(struct relay *r, struct session *s);

/* relay_peers.c */
const uint8_t *peer_key_at(const void *relay, uint32_t index);
uint32_t peer_of_key(struct relay *r, const uint8_t key[KEY_SIZE]); /* makes one if there is none */
void peer_settle(struct relay *r, uint32_t index);                  /* frees it if nothing refers to it any more */
void peer_register(struct relay *r, struct session *s, uint64_t now, const uint8_t key[KEY_SIZE]);
void peer_unregister(struct relay *r, struct session *s, uint64_t now, const char *why);
void peer_activity(struct relay *r, struct session *s);
void peer_track(struct relay *r, struct session *recipient, uint32_t source);
void peer_gone_from_region(struct relay *r, uint32_t index);
void peer_watch(struct relay *r, struct session *s, uint64_t now);
uint8_t peer_flags(const struct session *s);

/* relay_mesh.c */
bool mesh_list_next(struct config_text *list, char url[128]); /* false: no more; url[0] == 0: a bad entry */
void links_start(struct relay *r, const struct event *start, struct actions *out);
void links_step(struct relay *r, const struct event *e, struct actions *out);
void links_timer(struct relay *r, uint64_t now, struct actions *out);
uint64_t links_deadline(const struct relay *r);
void links_forward(struct relay *r, uint64_t now, uint32_t peer, const uint8_t *src, const uint8_t *p, uint32_t n, struct packet *owner,
                   struct actions *out);
void links_leave(struct relay *r, uint64_t now, struct actions *out);

/* relay.c */
void relay_note(const struct relay *r, const struct note *note);

#endif
