/* What the files of the host share. Internal.
 *
 * os_host.c   tokens, turns, what the machine wants
 * os_conn.c   one socket of it
 * os_ask.c    its questions: names, URLs, maps
 * os_datagram.c   its UDP sockets */
#ifndef REF_OS_CONN_H
#define REF_OS_CONN_H

#include "os_held.h"
#include "os_host.h"
#include "os_tls.h"
#include "os_udp.h"

enum { NONE = UINT32_MAX, ACCEPTS_MAX = 64, ROOM_MIN = 2048, HANDSHAKES_MAX = 16 };
#define ACCEPT_PAUSE_NS NS_S

enum conn_state { CONN_DIALING, CONN_OPEN, CONN_OVER /* CLOSED is given */ };

struct conn {
	struct os_watch watch; /* first */
	struct os_host *host;
	uint64_t token;
	struct os_held held;
	struct os_tls_stream *tls; /* NULL: plain */
	uint64_t sent, told;       /* bytes SENT, bytes told by DRAINED */
	uint64_t left_told;
	uint32_t read_max;
	uint32_t first, last; /* SENDs of this turn: actions, linked by host->next */
	uint8_t state;
	uint8_t cause;    /* of CLOSED, once closed_due or broken */
	bool blocked;     /* the kernel took less than it was given: wait for EPOLLOUT */
	bool finish, fin; /* FIN is wanted, is sent */
	bool broken;      /* writing failed; what came before may still be read */
	bool dialed_due, closed_due, due, touched, ending;
	bool shaking;      /* TLS, before SECURED */
	bool more;         /* its stream may have bytes of which the loop knows nothing */
	struct address to; /* DIAL */
	struct conn *due_next, *touched_next, *ending_next, *more_next, *all_next, **all_prev;
};

struct listener {
	struct os_watch watch; /* first */
	struct os_host *host;
	struct socket_info info;
	bool stopped; /* READ 0 */
};

struct slot {
	struct conn *conn;
	uint32_t generation;
	uint32_t free_next;
};

struct udp_socket {
	struct os_watch watch; /* first */
	struct os_host *host;
	struct socket_info info;
	struct os_udp *udp;
};

struct ask; /* os_ask.c */

struct os_host {
	struct os_party party; /* first */
	struct os_loop *loop;
	struct machine *machine;
	struct os_owner *owner;
	uint64_t boot_at;
	struct actions out, up;
	uint32_t *next; /* beside out.v: the next SEND of the same connection */
	uint32_t next_cap;
	struct span *piece; /* scratch: one connection's SENDs */
	uint32_t piece_cap;
	uint8_t buffer[OS_TURN_MAX]; /* event bytes of this turn */
	uint32_t used;
	struct slot *slot;
	uint32_t slots, slots_cap, slot_free;
	struct conn **dial; /* by slot of the machine's tokens, as ask */
	uint32_t dials;
	struct listener listener[OS_LISTENERS_MAX];
	uint32_t listeners;
	struct conn *all, *due_first, *due_last, *touched, *ending, *dead, *more, *more_last;
	struct os_tls *tls;
	uint32_t handshakes; /* steps of them in this batch of callbacks */
	uint32_t sockets;
	uint64_t left;
	struct udp_socket udp_socket[OS_UDP_SOCKETS_MAX];
	uint32_t udp_sockets;
	struct ask **ask;
	struct ask *ask_first, *ask_last; /* whose answers are due */
	struct os_dns *dns;               /* these two once they are needed */
	struct os_fetch *fetch;
	const char *dns_servers;
	uint64_t complained_at;
	uint64_t accept_at; /* accepting pauses until then; 0: it does not */
	bool in_turn, stepping;
};

/* os_host.c */
void host_step(struct os_host *h, struct event *e);
void host_turn_begin(struct os_host *h);
/* Room for this many bytes and for actions; else this turn is over and another begins. */
void host_turn_room(struct os_host *h, uint32_t room);
void host_stream(struct os_host *h, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n);
void host_complain(struct os_host *h, const char *text);
void host_listeners_watch(struct os_host *h);
uint32_t slot_take(struct os_host *h);

/* os_ask.c */
void ask_start(struct os_host *h, const struct action *x);
void ask_cancel(struct os_host *h, uint64_t token);
void asks_give_due(struct os_host *h);
void asks_free(struct os_host *h);

/* os_datagram.c */
void udp_watch(struct os_host *h);
void udp_send(struct os_host *h, const struct action *x);
void udp_flush(struct os_host *h); /* the sends of this turn */
void udp_free(struct os_host *h);

/* os_conn.c */
struct conn *conn_find(const struct os_host *h, uint64_t token); /* NULL: not or no longer here */
struct conn *conn_new(struct os_host *h, uint64_t token, int fd, enum conn_state state);
void conn_due(struct conn *c);   /* it has an event for the next turn */
void conn_touch(struct conn *c); /* it is to be written at the end of this turn */
void conn_watch(struct conn *c); /* tells the loop what to report of it */
void conn_more(struct conn *c);  /* read it in the next turn, whatever the loop says */
void conn_go_on(struct conn *c);
void conn_start_tls(struct conn *c, const struct action_tls *how);
uint64_t conn_left(const struct conn *c); /* bytes of the machine that no kernel has taken */
bool conn_waits(const struct conn *c);    /* there is something to be written */
void conn_shut(struct conn *c, bool abort);
void conn_closed_due(struct conn *c, enum close_cause cause);
void conn_give_due(struct conn *c);
void conn_write(struct conn *c); /* the one write of this turn */
/* CLOSED is given. After the peer's FIN, what is held still goes out: the user timeout ends that at the latest. */
void conn_end(struct conn *c);
void conn_bury(struct conn *c); /* gone when the batch of callbacks under way is over */
void conn_free(struct conn *c);

#endif
