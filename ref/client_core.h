/* What the client's files share. Internal.
 *
 * client.c        the machine: configuration, commands, timers, sending, views
 * client_dial.c   where to connect: region, URL, attempts, races of families (CLI-013..CLI-021)
 * client_proxy.c  a CONNECT proxy in between (CLI-022)
 * client_certificate.c  what the relay's certificates are good for (MAP-008, MAP-009, HTTP-013)
 * client_login.c  TLS result, HTTP, login, frames from the relay (HSK, HTTP, CLI-006..CLI-012)
 * client_ping.c   Pings of our own (CLI-011)
 * client_websocket.c  the same stream in WebSocket messages (HTTP-028..HTTP-031, HTTP-034) */
#ifndef REF_CLIENT_CORE_H
#define REF_CLIENT_CORE_H

#include "address.h"
#include "client.h"
#include "config.h"
#include "frame.h"
#include "http.h"
#include "login.h"
#include "outbox.h"
#include "rng.h"
#include "websocket.h"

enum client_retry { RETRY_ORIGINAL, RETRY_FULL_JITTER, RETRY_NONE, RETRY_FIXED, RETRY_MANUAL };
enum client_fast { FAST_AUTO, FAST_ALWAYS, FAST_NEVER };

/* Where a node can be reached; texts are in the region's pool. */
struct client_node {
	struct address v4, v6; /* port included */
	bool has_v4, has_v6;   /* literals (MAP-006) */
	bool ask_v4, ask_v6;   /* by name */
	bool stun_only;        /* MAP-005 */
	bool insecure;         /* InsecureForTests */
	uint16_t name_at, host_at, http_host_at, ask_at, cert_at;
};

/* A proxy is reached as a node is. */
struct client_proxy {
	struct address v4, v6;
	bool has_v4, has_v6, ask;
	char host[256];
};

/* scheme://host[:port][/path] */
struct client_url {
	const char *host, *path, *authority;
	size_t host_n, path_n, authority_n;
	uint16_t port;
	bool tls;
};

/* One allocation: nodes, then texts. In URL mode one node. */
struct client_region {
	uint32_t nodes;
	uint32_t texts_n;
	bool tls;
	bool from_url; /* URL mode: its one node has the time of the whole attempt */
	uint16_t path_at;
	struct client_node node[]; /* and behind them char texts[texts_n] */
};

struct client_config {
	struct key key, mesh_key, server_key;
	struct config_text region, url, dial_host, app_name, proxy;
	bool raw, plain, websocket, connect, home, watch, prober, can_ack_pings, prefer_v6, insecure;
	uint32_t fast, retry, queue_depth, high_water, profile;
	uint64_t dial_timeout, connect_timeout, receive_timeout, retry_after, retry_max, return_after, forward_timeout;
};

/* The parts of the configuration that live on, the seldom ones apart: most clients of a simulation share one set of values. */
struct client_times {
	uint64_t receive, dial, connect, retry_after, retry_max, return_after;
};

struct client_extra { /* only where set */
	struct key mesh_key, server_key;
	char app_name[64];
};

struct client_dial {
	uint64_t token; /* DIAL or ASK under way, TOKEN_NONE */
	bool asking, v6;
};

/* Tokens, and the part of the next one in 1/10^9, as they were at `at`. */
struct client_bucket {
	uint64_t rate, burst, tokens, part, at;
};

struct client_websocket {
	struct websocket w;
	uint8_t nonce[HTTP_WEBSOCKET_NONCE]; /* of the request */
	bool open;                           /* the relay has consented: everything is in messages */
	bool busy, dead;                     /* it is being read; it is of no use any more and freed behind that */
	uint64_t token, deadline;            /* while it closes: its stream, and when that is aborted */
};

struct client_ping {
	uint8_t data[FRAME_PING_SIZE];
	uint64_t sent_at, until;
};
struct client_pings { /* only while some are under way */
	uint32_t n;
	struct client_ping v[CLIENT_PINGS_MAX];
};

struct client_closing { /* ClosePeer that waits for a connection; only while some do */
	uint32_t n;
	uint8_t key[CLIENT_CLOSING_MAX][KEY_SIZE];
};

/* What a packet touches comes first. */
struct client {
	struct machine machine;
	struct actions *out_now, *up_now; /* of the step under way */
	uint64_t conn;                    /* connection in use, TOKEN_NONE */
	struct outbox out;
	struct frame_reader reader;
	uint64_t heard; /* when the last complete frame came: CLI-008 */
	uint8_t state;  /* enum client_state */
	uint8_t fast, retry;
	bool raw : 1, websocket : 1, connect : 1, home : 1, watch : 1, prober : 1, can_ack_pings : 1, derper : 1, wanted : 1, region_changed : 1;
	bool prefer_v6 : 1, insecure : 1, plain : 1, at_once : 1;
	bool skipping : 1;            /* the frame under way is read and thrown away */
	bool pong_due : 1;            /* `pong`, until the transport takes it */
	uint32_t failures;            /* CLI-032 */
	struct client_bucket *bucket; /* CLI-004 */
	uint64_t attempt_deadline, node_deadline, retry_at, return_at;
	uint64_t v4_at; /* when the IPv4 dial starts that waits for a head start of IPv6 (CLI-020); TIME_NEVER */
	struct outbox_limits limits;
	struct client_times times;
	struct machine_env env;
	uint32_t node; /* in use or tried */
	struct client_dial dial[2];
	uint32_t slot_first, slots_busy, generation_next;
	uint64_t generation;
	struct rng rng;
	struct key key, public_key, server_key, shared;
	bool server_known;
	struct client_region *region;
	struct client_extra *extra;
	struct client_proxy *proxy; /* NULL: none */
	struct client_pings *pings;
	struct client_closing *closing;
	uint64_t wall_ns;
	struct http_reader *http;
	struct client_websocket *ws, *ws_closing; /* of the connection in use; of the last one, while it closes (HTTP-030) */
	uint8_t pong[FRAME_PING_SIZE];
};

static inline const char *region_text(const struct client_region *r, uint16_t at) { return (const char *)&r->node[r->nodes] + at; }

/* client.c */
void client_move(struct client *c, uint64_t now, enum client_state to);
/* The connection or attempt is over: closes what is open, plans the next attempt by the retry policy, tells the owner. */
void client_end(struct client *c, uint64_t now, enum client_end why, bool stream_gone);
void client_stream_forget(struct client *c, uint64_t now); /* everything that belongs to the connection in use */
/* DERP bytes for the relay: head and, behind it, a span, or NULL. An owner's count is added, not taken over. */
void client_send(struct client *c, const void *head, uint32_t head_n, const struct span *span);
void client_cut(const struct client *c, uint64_t now, uint64_t token, const uint8_t *p, size_t n); /* notes bytes that are of no use */
void client_pump(struct client *c, uint64_t now); /* queued packets go out while the transport takes them */
void client_send_pong(struct client *c);          /* if one is due and the transport takes it */
uint64_t client_token_new(struct client *c);      /* TOKEN_NONE: all slots are busy */

/* client_dial.c */
struct client_region *client_region_parse(const struct client_config *config, char error[200]); /* NULL: bad */
bool client_url_parse(const char *p, size_t n, struct client_url *u);
void client_attempt(struct client *c, uint64_t now);
void client_start_v4(struct client *c, uint64_t now); /* the head start of IPv6 is over */
void client_dialed(struct client *c, const struct event *e);
void client_dial_closed(struct client *c, const struct event *e);
void client_answer(struct client *c, const struct event *e);
void client_node_failed(struct client *c, uint64_t now); /* 1.5 s are over, or the proxy does not reach it: on to the next node */
void client_dials_cancel(struct client *c);
uint32_t client_first_usable(const struct client *c);

/* client_proxy.c */
bool client_proxy_parse(struct config_text text, struct client_proxy *out, char error[200]);
void client_proxy_dialed(struct client *c, uint64_t now); /* TCP to the proxy is up */
void client_proxy_closed(struct client *c, uint64_t now);
void client_proxy_bytes(struct client *c, uint64_t now, const uint8_t **p, size_t *n);

/* client_certificate.c */
bool client_certificate_good(const struct client *c, uint64_t now, const struct event_secured *s);
bool client_tls_insecure(const struct client *c);                     /* may the handshake go on whatever the chain's verdict is? */
bool client_meta_key(const struct event_secured *s, struct key *out); /* HTTP-013 */

/* client_ping.c */
void client_ping(struct client *c, uint64_t now, uint64_t patience_ns);
bool client_pong(struct client *c, uint64_t now, const uint8_t data[FRAME_PING_SIZE]); /* true: it answers a Ping of ours */
void client_pings_expire(struct client *c, uint64_t now);
void client_pings_fail(struct client *c, uint64_t now); /* the connection is gone */
uint64_t client_pings_deadline(const struct client *c);

/* client_login.c */
void client_connected(struct client *c, uint64_t now); /* TCP is up, through the proxy if there is one */
/* Reads on in the head of a response; *status is set on HTTP_READY, to 0 if it is no consent to our WebSocket (HTTP-028). */
enum http_result client_read_head(struct client *c, const uint8_t **p, size_t *n, uint32_t *status);
void client_secured(struct client *c, const struct event *e);
void client_bytes(struct client *c, const struct event *e);
void client_stream(struct client *c, uint64_t now, const uint8_t *p, size_t n); /* bytes of DERP */
void client_note_preferred(struct client *c);
void client_watch_conns(struct client *c);

/* client_websocket.c */
uint32_t client_websocket_request(struct client *c, char out[HTTP_OUT_MAX]);
bool client_websocket_accepted(struct client *c, const struct http_head *head);
void client_websocket_send(struct client *c, const uint8_t *head, uint32_t head_n, const struct span *span);
void client_websocket_pong(struct client *c); /* if one is due and the transport takes it */
/* Reads for ws, which is c->ws or c->ws_closing. */
void client_websocket_bytes(struct client *c, uint64_t now, struct client_websocket *ws, uint64_t token, const uint8_t *p, size_t n);
/* Sends our close message and keeps the stream for the relay's, apart from what the client does next. False: there is no WebSocket. */
bool client_websocket_goodbye(struct client *c, uint64_t now, uint16_t status);
bool client_websocket_over(struct client *c, uint64_t token); /* CLOSED: was it the closing one? */
void client_websocket_timer(struct client *c, uint64_t now);
void client_websocket_drop(struct client *c); /* the stream of c->ws is no more */
void client_websocket_release(struct client *c);
uint64_t client_websocket_memory(const struct client *c);

#endif
