/* One connection of the relay, from accept to end, and the relay's state around it. Internal to the relay's files.
 *
 * session.c       accept, TLS, HTTP upgrade, login, end          (HSK, HTTP)
 * relay_http.c    HTTP requests: endpoints, upgrades              (HTTP)
 * relay_traffic.c the stream of /debug/traffic                    (MET-008)
 * relay_metrics.c counters as text, consistency, health           (MET)
 * relay_wait.c    connections that are not read on for a while; receive limits (RAT-001..RAT-011)
 * relay_ask.c     questions to the host: admission, names         (RAT-013..RAT-020, HTTP-042)
 * relay_websocket.c the DERP stream in WebSocket messages        (HTTP-026..HTTP-033)
 * relay_route.c   frames of the steady state, where packets go    (SRV)
 * relay_peers.c   who is here: keys, duplicates, PeerGone, watchers (DUP, PGR)
 * relay_drain.c   going in peace                                  (SRV-034)
 * relay_mesh.c    links to the other relays, forwarders           (MSH)
 * relay.c         the machine: configuration, dispatch, timers, views */
#ifndef REF_SESSION_H
#define REF_SESSION_H

#include "body.h"
#include "bootstrap.h"
#include "config.h"
#include "endpoint.h"
#include "frame.h"
#include "http.h"
#include "keymap.h"
#include "limit.h"
#include "login.h"
#include "mesh.h"
#include "outbox.h"
#include "relay.h"
#include "rng.h"
#include "slotset.h"
#include "timer.h"
#include "websocket.h"

enum { SLOT_NONE = UINT32_MAX };

/* Why a connection is not read on: its READ is 0. */
enum session_pause {
	PAUSE_RATE,      /* tokens for the frame whose header was read are to come (RAT-002) */
	PAUSE_ADMISSION, /* the question whether it may log in is open (HSK-019) */
	PAUSE_ANSWERS    /* it does not take the HTTP answers that it has asked for */
};

/* Exists while a connection is not read on. */
struct session_wait {
	enum session_pause why;
	uint64_t until;      /* goes on then at the latest; TIME_NEVER */
	struct packet *hold; /* what was read and not looked at, from `at` on; NULL: nothing. At most the BYTES of one event */
	uint32_t at;
	/* Over WebSocket the first `plain` bytes are unmasked already; then comes `behind`, then bytes as they were read. */
	uint32_t plain;
	enum websocket_result behind;
	uint32_t ask; /* ADMISSION: the question; SLOT_NONE: it waits for others to be answered */
	struct client_info info;
	struct key client, shared;
};

/* The bucket of a connection, once it has paid for a frame; full again when the limits changed since (RAT-006). */
struct session_rate {
	struct limit_bucket bucket;
	uint32_t epoch;
};

/* HTTP of a connection; exists only while there is something to remember. */
struct session_http {
	struct http_reader reader; /* while a head is incomplete */
	struct body body;          /* of the request that was answered */
	struct traffic *traffic;   /* it is a stream of /debug/traffic */
};

/* A connection. The first lines are what a relayed packet touches; an idle one owns no memory behind its pointers. */
struct session {
	uint64_t token; /* 0: the slot is free */
	struct outbox out;
	struct slotset seen; /* peers whose packets went to this connection: PGR-005 */
	uint32_t peer;       /* of its key; SLOT_NONE before login */
	uint8_t phase;       /* enum session_phase */
	uint8_t tls;         /* 0: none; else 2 for TLS 1.2, 3 for 1.3 */
	/* of the connection, not of its key: DUP-014 */
	bool mesh_peer : 1, watcher : 1, home : 1, not_ideal : 1, prober : 1, pong_due : 1, doomed : 1, ready_listed : 1;
	bool helper : 1;     /* came in at the plain port beside a TLS one */
	bool header_due : 1; /* the header that was read is still to be judged: it waited for tokens */
	bool messages : 1;   /* it speaks WebSocket: the stream is in messages, from the handshake on */
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
	struct slotset gone_due; /* peers to be told as gone: none is lost (PGR-009) */
	struct slotset dirty;    /* watcher: peers whose present state is to be told */
	struct session_http *http;
	struct session_wait *wait;
	struct session_rate *rate;
	struct websocket *ws;       /* from the handshake until nothing is awaited of the peer any more */
	uint64_t received, drained; /* bytes read, and bytes that the transport has taken */
	const char *doom;           /* why, for the note */
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

/* A link through which a key is known, in order of registration (MSH-025): an order without a number that could wrap (TRP-020). */
struct forwarder {
	uint32_t link, next;
};

/* A question to the host. */
struct relay_ask {
	uint64_t token; /* TOKEN_NONE: free */
	bool name;      /* `who` is 2 x name + family of the bootstrap names; else a session's slot */
	uint32_t who;   /* SLOT_NONE: nobody wants the answer any more */
};

enum { CHUNK_BITS = 8, CHUNK = 1 << CHUNK_BITS, RELAY_LINKS_MAX = 64, RELAY_TRAFFICS_MAX = 4, RELAY_READ_LOGIN = 4096 };

struct relay_config {
	struct key key, mesh_key;
	struct config_text mesh_with;
	uint32_t profile; /* 1: derper */
	bool raw, derp, fail_open;
	uint32_t queue_depth, high_water, sessions_max, questions, keys_max, mesh_keys_max, departed_max;
	uint64_t mesh_retry, write_timeout, mesh_write_timeout, http_timeout, login_timeout, keepalive, keepalive_jitter, admit_timeout;
	struct config_text home, debug_allow, debug_key, published, unpublished, admit_url, rates;
	struct limit accepts;
};

/* COMMAND_DRAIN under way. */
struct relay_drain {
	bool on;
	uint64_t began, span;
	uint32_t total, closed; /* regular clients at its begin; closed since */
	uint32_t told, cursor;  /* slots: up to here it was told, was closed */
};

struct relay_link {
	struct mesh *mesh;
	enum mesh_state state; /* as last seen */
	uint32_t keys;         /* that it has told of: at most mesh-keys-max */
	char url[128];
};

struct relay {
	struct machine machine;
	struct machine_env env;
	struct relay_config config;
	struct key public_key;
	struct outbox_limits limits[3]; /* by mesh_peer: SRV-019; before the login: HTTP-022 */
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
	struct relay_drain drain;
	uint32_t mesh_keys, regular;
	uint64_t wall_ns; /* at START */
	uint32_t turn_max;
	struct endpoint_site site;
	char *admit_url, *home, *debug_key; /* NULL: none */
	struct limit rates;                 /* in force (RAT-001) */
	uint32_t rate_epoch;                /* how often they have changed */
	bool rates_used;
	struct limit_bucket accept_bucket; /* RAT-012 */
	struct packet *feed;               /* what is being read comes out of it: bytes that waited; NULL: event bytes */
	struct relay_ask *ask;
	uint32_t asks, ask_slot, ask_next, ask_generation; /* their number; slot of the first; where to look for a free one */
	struct slotset askers;                             /* sessions that wait for a question to be free */
	struct bootstrap bootstrap;
	uint64_t bootstrap_began; /* the last round */
	uint64_t bootstrap_at;    /* the next round, or the end of this one's patience */
	uint32_t bootstrap_asked; /* questions of this round that are open */
	bool bootstrap_round;
	uint32_t traffics;
	uint64_t updates; /* PeerPresent and PeerGone written for watching */
	struct socket_info *sockets;
	uint32_t sockets_n;
	struct relay_counters count;
	char meta_name[16 + KEY_HEX];
};

static inline struct session *session_at(const struct relay *r, uint32_t slot) { return &r->chunk[slot >> CHUNK_BITS][slot & (CHUNK - 1)]; }
static inline bool relay_is_derper(const struct relay *r) { return r->config.profile == 1; }
static inline const struct outbox_limits *session_limits(const struct relay *r, const struct session *s)
{
	return &r->limits[s->phase < SESSION_LOGIN ? 2 : s->mesh_peer];
}

/* Bytes written in all. */
static inline uint64_t session_sent(const struct session *s) { return s->drained + s->out.unacked; }

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
/* Looks at bytes until they are used up, the connection is not to be read on, or it is over; *p,*n is the rest. */
void session_feed(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out);
/* The same for bytes of the DERP stream alone, which WebSocket messages hold. */
void session_stream(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out);
/* Serves an upgrade of /derp, or says which error it is, and with which header lines, or NULL. */
uint32_t session_upgrade(struct relay *r, struct session *s, uint64_t now, const struct http_head *head, const char **extra, struct actions *out);
/* ClientInfo was good and the client may come in (HSK-020). */
void session_login_done(struct relay *r, struct session *s, uint64_t now, const uint8_t *key, const struct client_info *info,
                        const struct key *shared, struct actions *out);
void session_timer(struct relay *r, struct session *s, uint64_t now, struct actions *out);
void session_timer_arm(struct relay *r, struct session *s);
/* Ends a connection from our side: unregisters it now and closes the stream. `why` is a constant. */
void session_close(struct relay *r, struct session *s, uint64_t now, const char *why, bool abort, struct actions *out);
/* Nothing is awaited of a closing connection any more but its FIN: sends ours. */
void session_fin(struct relay *r, struct session *s, uint64_t now, struct actions *out);
/* Its stream is gone: frees the slot. */
void session_closed(struct relay *r, struct session *s, uint64_t now, enum close_cause cause, struct actions *out);
void session_enter_login(struct relay *r, struct session *s, uint64_t now, const char *head, uint32_t head_n, struct actions *out);
void session_cut(const struct relay *r, uint64_t now, uint64_t token, const uint8_t *p, size_t n);
void session_doom(struct relay *r, struct session *s, const char *why); /* close soon: for many at once */
uint64_t session_memory(const struct session *s);

/* relay_http.c */
/* One request, or a part of one. False: waits, is over, or is DERP from here on. */
bool http_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out);
void http_pump(struct relay *r, struct session *s, uint64_t now, struct actions *out); /* the transport takes bytes again, or it is time */
uint64_t http_deadline(const struct session *s);
void http_free(struct relay *r, struct session *s);
uint64_t http_memory(const struct session *s);

/* relay_traffic.c */
struct traffic *traffic_new(struct relay *r, uint64_t now, bool chunked); /* NULL: there are enough of them */
void traffic_free(struct relay *r, struct traffic *t);
void traffic_pump(struct relay *r, struct session *s, struct traffic *t, uint64_t now, struct actions *out);
uint64_t traffic_deadline(const struct traffic *t);
uint64_t traffic_memory(const struct traffic *t);

/* relay_metrics.c */
enum { DEBUG_PAGE = REPLY_BROWSER | REPLY_STYLES }; /* as the original hardens what is below /debug/ */
void metrics_vars(const struct relay *r, uint64_t now, struct reply *reply);
void metrics_varz(const struct relay *r, uint64_t now, struct reply *reply);
void metrics_index(const struct relay *r, uint64_t now, struct reply *reply); /* the page of /debug/ */
void metrics_check(const struct relay *r, struct reply *reply);
void metrics_health(const struct relay *r, struct reply *reply);
void metrics_queued(struct relay *r, uint64_t queued_at, uint64_t now);
/* A packet left its queue. The usual one has not waited, and neither have those before it. */
static inline void metrics_queue_time(struct relay *r, uint64_t queued_at, uint64_t now)
{
	if (now != queued_at || r->count.average_queue_duration_ms != 0) metrics_queued(r, queued_at, now);
}
void metrics_mesh_update(struct relay *r, uint64_t batch);

/* relay_wait.c */
/* READ 0 until `until` or session_resume. What is left of the bytes at hand is kept by whoever feeds. */
void session_pause(struct relay *r, struct session *s, enum session_pause why, uint64_t until, struct actions *out);
/* Keeps the rest of what was fed to a connection that is not read on. feed: the packet that holds it, or NULL: event bytes. */
void session_keep(struct session *s, struct packet *feed, const uint8_t *p, size_t n);
void session_resume(struct relay *r, struct session *s, uint64_t now, struct actions *out);
void session_wait_free(struct session *s); /* what was held is forgotten */
uint64_t session_wait_memory(const struct session *s);
/* Takes n tokens for a frame. True: they are not there yet, and the connection waits. */
bool session_pay(struct relay *r, struct session *s, uint64_t now, uint32_t n, struct actions *out);
static inline bool session_rate_wait(struct relay *r, struct session *s, uint64_t now, uint32_t n, struct actions *out)
{
	return r->rates.rate != 0 && !s->mesh_peer && n != 0 && session_pay(r, s, now, n, out); /* RAT-005, MSH-006 */
}
void rates_set(struct relay *r, uint64_t now, const char *json, size_t n);

/* relay_ask.c */
void asks_start(struct relay *r, const struct event_start *start);
bool asks_mine(const struct relay *r, uint64_t token); /* a question of the relay itself, not of a link */
void asks_answer(struct relay *r, const struct event *e, struct actions *out);
void asks_timer(struct relay *r, uint64_t now, struct actions *out); /* bootstrap_at has come */
bool admission_is_due(const struct relay *r, const struct session *s);
void admission_begin(struct relay *r, struct session *s, uint64_t now, const uint8_t *key, const struct client_info *info, const struct key *shared,
                     struct actions *out);
void admission_timeout(struct relay *r, struct session *s, uint64_t now, struct actions *out);
void admission_cancel(struct relay *r, struct session *s, struct actions *out);
/* relay_websocket.c */
void session_websocket_enter(struct relay *r, struct session *s, uint64_t now, const struct http_request *request, struct actions *out);
/* Bytes as they were read. All are used up or, if the connection is not to be read on, kept. */
void session_websocket_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t *p, size_t n, struct actions *out);
/* Goes on with what was kept; r->feed is what holds it. */
void session_websocket_resume(struct relay *r, struct session *s, uint64_t now, const struct session_wait *w, struct actions *out);
void session_websocket_held_cut(struct relay *r, struct session *s, uint64_t now);    /* nothing will come of what is kept */
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
uint32_t peer_of_key(struct relay *r, const uint8_t key[KEY_SIZE]); /* makes one if there is none; SLOT_NONE: there are keys-max */
bool peer_room(const struct relay *r, const uint8_t key[KEY_SIZE]); /* would it? */
void peer_settle(struct relay *r, uint32_t index);                  /* frees it if nothing refers to it any more */
void peer_register(struct relay *r, struct session *s, uint64_t now, const uint8_t key[KEY_SIZE]);
void peer_unregister(struct relay *r, struct session *s, uint64_t now, const char *why);
void peer_activity(struct relay *r, struct session *s);
/* A packet of the source, whose peer is `index` or to be found, is for the recipient. */
void peer_heard(struct relay *r, struct session *recipient, uint32_t index, const uint8_t *source);
void peer_gone_from_region(struct relay *r, uint32_t index);
void peer_watch(struct relay *r, struct session *s, uint64_t now);
uint8_t peer_flags(const struct session *s);

/* relay_mesh.c */
struct mesh_entry {
	char url[128];       /* url[0] == 0: a bad entry */
	char dial_host[104]; /* "": the URL's */
};
bool mesh_list_next(struct config_text *list, struct mesh_entry *out); /* false: no more */
void links_start(struct relay *r, const struct event *start, struct actions *out);
void links_step(struct relay *r, const struct event *e, struct actions *out);
void links_timer(struct relay *r, uint64_t now, struct actions *out);
uint64_t links_deadline(const struct relay *r);
void links_forward(struct relay *r, uint64_t now, uint32_t peer, const uint8_t *src, const uint8_t *p, uint32_t n, struct packet *owner,
                   struct actions *out);
void links_leave(struct relay *r, uint64_t now, struct actions *out);

/* relay_drain.c */
void drain_begin(struct relay *r, uint64_t now, uint64_t span, struct actions *out);
void drain_on(struct relay *r, uint64_t now, struct actions *out);
uint64_t drain_deadline(const struct relay *r);

/* relay.c */
void relay_note(const struct relay *r, const struct note *note);

#endif
