/* What the engine's files share. Internal.
 *
 * sim.c   the run: queue, calls, digest, hosts
 * node.c  a host at work: events into its machine, actions out of it, CPU, crash
 * net.c   connections: SYN to RST; net_flow.c their bytes; net_tls.c handshakes */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "../ref/buf.h"
#include "prng.h"
#include "queue.h"
#include "sim.h"
#include "stream.h"

enum { NONE = UINT32_MAX };

/* Kinds of queue events; id: */
enum sim_event {
	QUEUE_ARRIVE,  /* stream: its first arrival has come */
	QUEUE_WAKE,    /* host: its machine's deadline */
	QUEUE_CALL,    /* call of the owner */
	QUEUE_FREE,    /* host: its CPU is free and events wait */
	QUEUE_SYN,     /* connection: SYN reaches the listener's host */
	QUEUE_SYN_ACK, /* connection: its answer reaches the dialer */
	QUEUE_ACK,     /* connection: the handshake's third part reaches the listener */
	QUEUE_REFUSED, /* connection: RST answers the SYN */
	QUEUE_SYN_AGAIN,
	QUEUE_TLS,      /* connection: the step in which the server said START_TLS is over */
	QUEUE_HELLO,    /* connection: the TLS client's first flight has come */
	QUEUE_JOBS,     /* host: the first handshake job may be done */
	QUEUE_FLIGHT,   /* connection: the server's flight reaches the client */
	QUEUE_FINISHED, /* connection: the client's reaches the server */
	QUEUE_RESET,    /* stream: RST reaches its receiver */
	QUEUE_ROOM,     /* stream: an acknowledgement makes room for what the host holds */
	QUEUE_STUCK,    /* stream: user timeout of its sender */
	QUEUE_CRASH     /* host: the step under way is over */
};

/* Bytes that a stream refused. */
struct held {
	struct held *next;
	struct packet *packet;
	const uint8_t *p;
	uint32_t n;
	uint64_t at; /* when the step that sent them is over: they leave then or later */
};

/* One direction, with what is known of both ends. The stream sent by side s of connection c has number 2c + s. Three cache lines: a
 * reader touches the first two. */
struct flow {
	struct stream stream;
	uint64_t back_ns;  /* latency of the other direction: acknowledgements */
	uint64_t rx_token; /* of the receiver's end */
	uint32_t read_max; /* READ of the receiver's machine */
	bool arrive_armed : 1, ready : 1, drained_ready : 1, fin_wanted : 1, fin_sent : 1, room_armed : 1, stuck_armed : 1, touched : 1;
	bool unanswered : 1; /* something was sent that nobody will acknowledge */
	/* of the sender's end */
	uint64_t latency_ns, jitter_ns, ps_per_byte;
	uint64_t sent, told; /* bytes of SEND, of DRAINED */
	struct held *held, *held_last;
	uint64_t left, left_told;
	uint64_t progress_at; /* since when nothing was acknowledged, while something is unanswered or left: user timeout */
	uint64_t fin_at;      /* when FIN comes, if fin_sent */
};
static_assert(sizeof(struct flow) == 3 * MEM_LINE, "a flow fills its cache lines");

enum conn_phase { CONN_FREE, CONN_SYN, CONN_BACKLOG, CONN_OPEN };

/* What an event of its bytes touches is in the first cache line. */
struct conn {
	uint8_t phase;
	uint8_t syn_tries;
	bool over[2];        /* this end got its CLOSED, or died */
	bool died;           /* one of the ends, with its host */
	bool closing[2];     /* CLOSED is on its way to this end's machine */
	uint8_t cause[2];    /* of it: enum close_cause */
	bool in_backlog;     /* counted in the listener's backlog */
	bool hello_come;     /* the TLS client's first flight */
	bool tls_wanted;     /* the server has said START_TLS */
	bool job;            /* its TLS handshake is waiting or being served */
	uint32_t generation; /* queue events of an earlier use are stale */
	uint32_t host[2];    /* 0: dialer, 1: listener */
	uint64_t token[2];
	uint32_t next;   /* free list, or the job queue of a host */
	uint64_t job_at; /* virtual service at which the handshake is done */
	uint64_t dialed_at;
	const char *server_name; /* the dialer's, while TLS is under way */
	char *meta_name;         /* a copy of the server's, likewise */
	struct address to;
	uint8_t fill[22];
};
static_assert(sizeof(struct conn) == 2 * MEM_LINE, "a connection fills its cache lines");

struct slot {
	uint32_t conn; /* NONE: free */
	uint32_t generation;
};

struct ready {
	uint8_t kind; /* enum ready_kind */
	uint32_t id;
	struct event_command *command;
};
/* id: stream; for ACCEPTED to CLOSED the end, 2 * connection + side. */
enum ready_kind { READY_STREAM, READY_DRAINED, READY_ACCEPTED, READY_DIALED, READY_SECURED, READY_CLOSED, READY_WAKE, READY_COMMAND };

struct host_tracer {
	struct tracer tracer;
	struct sim *sim;
	uint32_t host;
};

/* What each step touches is in the first cache line and a bit. */
struct host {
	struct machine *machine; /* NULL: down */
	uint64_t free_at, boot_at, wake_at;
	uint32_t *dial;    /* connection by slot of the machine's tokens, NONE */
	struct slot *slot; /* of accepted connections, from 1 */
	uint32_t ready_n, slots;
	uint64_t busy_ns;
	struct sim_host_config config;
	uint32_t boots;
	bool silent; /* vanished, or down without a kernel that answers */
	enum sim_crash crash;
	struct host_tracer *tracer;
	uint32_t slot_free, open;
	uint32_t backlog;
	struct ready *ready; /* ring */
	uint32_t ready_head, ready_cap;
	bool free_armed;
	/* handshakes */
	uint32_t jobs, job_first, job_last;
	uint64_t served, served_at, served_busy, job_ns;
	bool job_armed;
	struct prng jitter;
} __attribute__((aligned(MEM_LINE)));

struct call {
	void (*fn)(void *ctx, uint32_t arg);
	void *ctx;
	uint32_t arg;
};

struct sim {
	uint64_t now, seed, events;
	struct sim_hooks hooks;
	struct key_cache *keys;
	struct queue queue;
	struct stream_pool pool;
	struct host *host;
	uint32_t hosts, hosts_cap;
	uint32_t *listen; /* hosts with a listener */
	uint32_t listens, listens_cap;
	struct conn *conn;
	struct flow *flow;
	uint32_t conns, conns_cap, conns_free, conns_open;
	uint32_t ending; /* whose dialer is being given CLOSED: its slot is free already; NONE */
	struct call *call;
	uint32_t calls, calls_cap;
	struct actions out, up;
	uint32_t *touched; /* flows of the turn whose sender may be owed a DRAINED */
	uint32_t touched_n, touched_cap;
	uint8_t *scratch;
	uint64_t digest_a, digest_b;
	bool stop, in_step, moment;
};

static inline uint32_t flow_conn(uint32_t flow) { return flow >> 1; }
static inline uint32_t flow_side(uint32_t flow) { return flow & 1; } /* of the sender */
static inline uint32_t flow_tx_host(const struct sim *sim, uint32_t flow) { return sim->conn[flow >> 1].host[flow & 1]; }
static inline uint32_t flow_rx_host(const struct sim *sim, uint32_t flow) { return sim->conn[flow >> 1].host[1 - (flow & 1)]; }

static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }
/* Queue kinds carry what makes them stale: the connection's generation or the host's boots. */
static inline uint32_t conn_kind(const struct sim *sim, enum sim_event kind, uint32_t conn)
{
	return (uint32_t)kind | sim->conn[conn].generation << 8;
}
static inline uint32_t host_kind(const struct sim *sim, enum sim_event kind, uint32_t host) { return (uint32_t)kind | sim->host[host].boots << 8; }
static inline bool end_gone(const struct sim *sim, uint32_t conn, uint32_t side)
{
	return sim->conn[conn].over[side] || sim->conn[conn].closing[side];
}

/* NONE: over, or never was. */
static inline uint32_t node_conn(const struct sim *sim, const struct host *h, uint64_t token, uint32_t *side)
{
	uint32_t slot = token_slot(token), conn;

	*side = token_is_machine(token) ? 0 : 1;
	if (*side == 0)
		conn = slot < h->config.slots ? h->dial[slot] : NONE;
	else
		conn = slot < h->slots ? h->slot[slot].conn : NONE;
	return conn != NONE && sim->conn[conn].token[*side] == token ? conn : NONE;
}

/* node.c */
void node_init(struct sim *sim, uint32_t host);
void node_free(struct host *h);
void node_boot(struct sim *sim, uint32_t host);
void node_down(struct sim *sim, uint32_t host);
/* Something is ready for the machine: steps now if the CPU is free, else queues. */
void node_ready(struct sim *sim, uint32_t host, enum ready_kind kind, uint32_t id);
void node_wake(struct sim *sim, uint32_t host);
void node_cpu_free(struct sim *sim, uint32_t host);
bool node_command(struct sim *sim, uint32_t host, const struct event_command *command);

/* net.c: connections from SYN to their end */
uint32_t net_dial(struct sim *sim, uint32_t host, uint64_t token, const struct address *to, uint64_t at);
void net_queue_event(struct sim *sim, const struct queued *q);
void net_close(struct sim *sim, uint32_t conn, uint32_t side, bool abort, uint64_t at);
void net_closing(struct sim *sim, uint32_t conn, uint32_t side, enum close_cause cause); /* CLOSED is due at this end, if it has not come */
void net_leave_backlog(struct sim *sim, uint32_t conn);
void net_over(struct sim *sim, uint32_t conn, uint32_t side); /* the machine got CLOSED, or never had it */
void net_settle(struct sim *sim, uint32_t conn);              /* frees it if both ends are over */
void net_host_down(struct sim *sim, uint32_t host, enum sim_crash how);
void net_host_back(struct sim *sim, uint32_t host);
void net_reset_from(struct sim *sim, uint32_t conn, uint32_t side, uint64_t at); /* RST from this side */

/* net_flow.c: bytes */
void flow_open(struct sim *sim, uint32_t flow);
void flow_free(struct sim *sim, uint32_t flow); /* what was under way is lost */
void flow_send(struct sim *sim, uint32_t flow, const uint8_t *head, uint32_t head_n, const struct span *span, uint64_t at);
void flow_finish(struct sim *sim, uint32_t flow, uint64_t at);
void flow_read(struct sim *sim, uint32_t flow, uint32_t n);
void flow_taken(struct sim *sim, uint32_t flow); /* the receiver has read */
void flow_arm_arrival(struct sim *sim, uint32_t flow);
void flow_arrive(struct sim *sim, uint32_t flow);
void flow_room(struct sim *sim, uint32_t flow);
void flow_stuck(struct sim *sim, uint32_t flow);
void flow_at_nobody(struct sim *sim, uint32_t flow); /* something came for a process that is no more */
void flow_peer_vanished(struct sim *sim, uint32_t flow);
void flow_peer_back(struct sim *sim, uint32_t flow); /* its host answers again, or still */
struct sim_loss flow_loss(const struct sim *sim, uint32_t flow);
void flow_each(const struct flow *f, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx);

/* net_tls.c: handshakes */
void tls_start(struct sim *sim, uint32_t conn, uint32_t side, const struct action_tls *tls, uint64_t at);
void tls_wanted(struct sim *sim, uint32_t conn);
void tls_hello(struct sim *sim, uint32_t conn);
void tls_jobs(struct sim *sim, uint32_t host);
void tls_flight(struct sim *sim, uint32_t conn);
void tls_finished(struct sim *sim, uint32_t conn);

#endif
