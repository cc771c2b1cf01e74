/* The simulator's engine: virtual time, hosts that drive machines, and the network between them.
 *
 * A host is a machine (relay or client, the same code that the programs ship) with addresses, listeners and a CPU. The engine
 * turns actions into connections and bytes on their way, and what arrives into events, exactly as ref/machine.h says. Nothing
 * in it is random but the jitter of paths, which is drawn from the seed.
 *
 * CPU. A host takes the next ready event when its CPU is free at t, steps the machine with now = t, prices what the step counted
 * (cost.h), and the actions leave at t + cost; meanwhile ready events wait in order and bytes of one connection come together. A
 * step is atomic: a crash takes effect when it is over. A host without prices is infinitely fast. TLS handshakes are jobs beside
 * the steps: they share evenly what the steps leave of the host's cores (processor sharing), at most one core each.
 *
 * Connections. SYN takes one latency; a closed port answers RST, a full backlog or a silent host answers nothing, and the
 * transport sends SYN again after 1, 3, 7, ... s until 127 s. ACCEPTED comes with the ACK. TLS 1.3 is one more round trip and the
 * server's job. FIN is behind the data, RST overtakes it. Data for a host that vanished stays unacknowledged: the sender's user
 * timeout (HTTP-023) ends the connection, or a RST of the host once it is back.
 *
 * Order is that of (time, insertion). The digest takes every event of every machine; two runs are the same if it is. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "../ref/machine.h"
#include "cost.h"

struct sim;

/* A path from one host to another, one direction. */
struct sim_path {
	uint64_t latency_ns;
	uint64_t jitter_ns; /* added per arrival, uniform 0..jitter */
	uint64_t rate_bps;  /* 0: unlimited */
};

struct sim_listener {
	uint16_t port;
	bool tls;
	uint32_t backlog; /* connections between SYN and ACCEPTED */
};

struct sim_host_config {
	const char *name; /* lives as long as the simulation */
	struct address ip;
	struct sim_listener listener;  /* port 0: none */
	const struct cost_table *cost; /* NULL: infinitely fast */
	uint32_t cores;
	uint64_t user_timeout_ns; /* of accepted connections; 0: the kernel's 924 s */
	uint32_t window;          /* bytes of a stream to this host that may be unread or unacknowledged; 2 * SIM_TURN_MAX at least */
	uint32_t fds;             /* connections at a time; more are refused with CLOSED limit, or by not accepting */
	uint32_t slots;           /* of the machine's own tokens */
};

enum sim_crash {
	SIM_CRASH_RESET,         /* the process dies: RST to its connections, the port refuses */
	SIM_CRASH_SILENT,        /* the host vanishes: nothing is sent, nothing answered */
	SIM_CRASH_SILENT_REFUSE, /* the process is gone without a word; its host answers what arrives with RST */
};

struct sim_loss {
	uint32_t from, to; /* hosts */
	uint64_t rx_token; /* of the receiver's end; TOKEN_NONE: it never had one */
	bool crashed;      /* one of the two ends died with its host */
};

/* What the owner of a simulation provides and hears. ctx is handed to each. Only make, configure and path are required. */
struct sim_hooks {
	void *ctx;
	/* A fresh machine at each boot, and its configuration: returns the length of the text put into out. */
	struct machine *(*make)(void *ctx, uint32_t host, const struct machine_env *env);
	size_t (*configure)(void *ctx, uint32_t host, char *out, size_t cap);
	void (*path)(void *ctx, uint32_t from, uint32_t to, struct sim_path *out);
	void (*deliver)(void *ctx, uint32_t host, const struct action *x); /* an action of the machine's up list; x->span is its data */
	void (*note)(void *ctx, uint32_t host, const struct note *note);
	/* Before each step, with the event as the machine sees it. For full traces. `content` is what the digest took of its bytes. */
	void (*event)(void *ctx, uint32_t host, const struct event *e, uint64_t content);
	/* A direction of a connection is over: called for the bytes of each arrival that nobody read, in order, then for what the stream
	 * had refused, and last with n = 0, even if there was nothing. */
	void (*lost)(void *ctx, const struct sim_loss *loss, const uint8_t *p, uint32_t n);
	void (*down)(void *ctx, uint32_t host, enum sim_crash how); /* a crash takes effect: the machine and its connections are still there */
	/* Time is about to move on, after sim_moment was called: the state of this instant is complete. */
	void (*moment)(void *ctx);
	/* A connection is over at this end: one call an end. */
	void (*ended)(void *ctx, uint32_t host, uint64_t token);
};

struct sim *sim_new(uint64_t seed, const struct sim_hooks *hooks, struct key_cache *keys);
void sim_free(struct sim *sim);

/* Hosts get numbers from 0 in order. They are down until sim_boot. */
uint32_t sim_host_add(struct sim *sim, const struct sim_host_config *config);
uint32_t sim_hosts(const struct sim *sim);
const char *sim_host_name(const struct sim *sim, uint32_t host);
struct machine *sim_machine(const struct sim *sim, uint32_t host); /* NULL: down */
/* Makes the machine and gives it START. The host must be down. */
void sim_boot(struct sim *sim, uint32_t host);

/* Takes effect when the step under way is over. The host must be up; sim_boot ends it. */
void sim_crash(struct sim *sim, uint32_t host, enum sim_crash how);
bool sim_host_up(const struct sim *sim, uint32_t host);

/* The machine's owner speaks; through the CPU like any event. command and what it points to are used during the call, or copied
 * by the engine when the CPU is busy (packets only: dst, src, p). Returns false if the host is down. */
bool sim_command(struct sim *sim, uint32_t host, const struct event_command *command);

/* Calls of the owner at a time. Registered once, armed as often as wanted; several armings of one are independent. */
uint32_t sim_call_add(struct sim *sim, void (*fn)(void *ctx, uint32_t arg), void *ctx, uint32_t arg);
void sim_call_at(struct sim *sim, uint32_t call, uint64_t at);

/* Runs until the queue is empty or its next event is later than `until`; then now = until. */
void sim_run(struct sim *sim, uint64_t until);
/* Asks for the moment hook at the end of this instant. */
void sim_moment(struct sim *sim);
/* Ends sim_run after the event under way. */
void sim_stop(struct sim *sim);
uint64_t sim_now(const struct sim *sim);
uint64_t sim_events(const struct sim *sim); /* machine events so far */

struct sim_digest {
	uint64_t a, b;
};
struct sim_digest sim_digest(const struct sim *sim);

/* The truth about a connection: its other end. False: it is over, or there is none (yet). A silent host still has its ends. */
bool sim_peer_of(const struct sim *sim, uint32_t host, uint64_t token, uint32_t *peer_host, uint64_t *peer_token);
/* The host at the other end, also when that end is over; *died: one of the two went with its host. For a connection of which CLOSED
 * is not yet through the machine; false: it is over. */
bool sim_other_end(const struct sim *sim, uint32_t host, uint64_t token, uint32_t *other, bool *died);
/* The unread bytes of all streams, in the order of connections: begin, then bytes in pieces. */
struct sim_stream_visit {
	void (*begin)(void *ctx, const struct sim_loss *flow);
	void (*bytes)(void *ctx, const uint8_t *p, uint32_t n);
	void *ctx;
};
void sim_streams_each(const struct sim *sim, const struct sim_stream_visit *visit);
/* The packets of commands that wait for a busy CPU. */
void sim_commands_each(const struct sim *sim, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx);
uint32_t sim_connections(const struct sim *sim); /* that are not over */

/* A host's CPU since boot. */
struct sim_cpu {
	uint64_t busy_ns;      /* steps */
	uint64_t handshake_ns; /* TLS jobs, as served */
	uint32_t handshakes;   /* waiting or being served */
	uint32_t ready;        /* events waiting */
	uint64_t free_at;
};
struct sim_cpu sim_cpu(const struct sim *sim, uint32_t host);

enum { SIM_TURN_MAX = 16384, SIM_LOW_WATER = 65536, SIM_WINDOW = 262144, SIM_BACKLOG = 4096 };

#endif
