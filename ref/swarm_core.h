/* What the swarm's files share. Internal.
 *
 * swarm.c           the machine: configuration, clients, timers
 * swarm_flow.c      the traffic
 * swarm_failover.c  a fault, and who comes back from it when */
#ifndef REF_SWARM_CORE_H
#define REF_SWARM_CORE_H

#include "derpmap.h"
#include "rng.h"
#include "swarm.h"
#include "timer.h"

enum swarm_job { SWARM_PAIRS, SWARM_FAN_IN, SWARM_IDLE, SWARM_LOGINS, SWARM_MATES };

struct swarm_member {
	struct client *client;
	struct timer timer; /* the client's deadline, or something earlier */
	struct key public_key;
	uint32_t uses; /* clients that the place has had: their tokens differ */
	bool ready, pending /* its first login is awaited */, leaving;
	bool hit;         /* it lost its connection after the fault */
	uint64_t back_at; /* and was READY again; TIME_NEVER */
};

/* Two who talk to each other, after the fault: when the first packet of either was sent, and when one no older came; TIME_NEVER. */
struct swarm_mates {
	uint64_t sent_at, back_at;
};

/* From one client to another. */
struct swarm_flow {
	uint32_t from, to;
	uint64_t sent, got; /* numbers: of the next to be sent; behind the last that came */
	uint64_t sent_at;   /* when it last sent or heard: patience */
	uint64_t heard_at;  /* when one of it last came */
	uint64_t turn;      /* of the host, in which it last sent */
	bool waits;         /* for the next turn: it is in swarm.waiting */
};

struct swarm {
	struct machine machine;
	struct machine_env env;
	struct rng rng;
	char *client_text; /* configuration that all clients share */
	char *url[2];
	struct derp_map *map; /* NULL: by URL */
	uint32_t clients, logins, opened, pending, batch, window, size;
	enum swarm_job job;
	uint64_t rate, patience, wall_ns;
	uint32_t slot_first, turn_max, low_water;
	bool running, left;
	struct swarm_member *member;
	struct timers timers;
	struct swarm_flow *flow;
	uint32_t flows, flow_next; /* open loop: whose turn it is */
	uint32_t *waiting, waits;  /* flows that have sent in this turn and may send more */
	uint64_t turn;             /* number of the host's turn, as TIMER shows it */
	uint64_t began, issued;    /* open loop: when, and packets that were due since */
	uint64_t patience_at;
	uint64_t fault_at; /* TIME_NEVER: none yet */
	struct swarm_mates *mates;
	struct packet *packet; /* of which all are made */
	struct swarm_count count;
	struct histogram latency, late;
	struct actions *out, up; /* of the step under way; what clients tell */
	uint32_t heard;          /* of up */
};

/* swarm.c */
void swarm_step_member(struct swarm *s, uint32_t member, const struct event *e);

/* swarm_flow.c */
void flows_make(struct swarm *s);
void flows_run(struct swarm *s, uint64_t now, bool running);
void flows_member_ready(struct swarm *s, uint64_t now, uint32_t member);
void flows_packet(struct swarm *s, uint64_t now, uint32_t member, const struct action *x);
void flows_timer(struct swarm *s, uint64_t now);
uint64_t flows_deadline(const struct swarm *s);

/* swarm_failover.c */
void failover_fault(struct swarm *s, uint64_t now);
void failover_lost(struct swarm *s, uint32_t member);
void failover_back(struct swarm *s, uint64_t now, uint32_t member);
void failover_sent(struct swarm *s, const struct swarm_flow *f, uint64_t due);
void failover_delivered(struct swarm *s, uint64_t now, const struct swarm_flow *f, uint64_t due);

#endif
