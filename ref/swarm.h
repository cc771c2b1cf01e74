/* Many clients as one machine, and the load that they make. A machine; derp-load is its host.
 *
 * The clients are those of client.h, each with a key of its own, drawn from START's seed. They are opened in order, `logins` of them
 * at a time, and then talk by the job:
 *   pairs    client 2i sends to client 2i+1; with two URLs the senders are at the first and the receivers at the second
 *   fan-in   all clients send to client 0
 *   idle     nobody sends
 *   logins   each client leaves once it is READY, and a new one with a new key takes its place
 *   mates    clients 2i and 2i+1 send to each other, in an open loop and also while they have no connection, when their client keeps
 *            or drops the packet as it does for anyone
 * Closed loop (rate=0): a flow has at most `window` packets on their way and sends when `batch` more fit. Open loop: `rate` packets a
 * second in all, in batches, the flows in turn; latency counts from when a packet was due, not from when it was sent, so that a load
 * that is late hides nothing; `late` says how late it was. A packet that its client could not pass on at once is not sent: `blocked`.
 *
 * A packet carries flow, number and the time it was due; `lost` counts the gaps in the numbers, `wrong` what should not have come.
 * In a closed loop whose packets were all lost, nothing would go on: after `patience` without a delivery what is on its way counts as
 * lost.
 *
 * Configuration (config.h), with defaults:
 *   url=URL            required, unless there is a map
 *   url2=URL           receivers; else as url
 *   map=JSON           a DERP map on one line: each client has a region of it, drawn, and its nodes in the order that begins with node
 *                      i/2 modulo their number, i being the client's number: mates have the same
 *   clients=2          pairs, mates: even
 *   logins=16          at most so many at a time
 *   job=pairs
 *   size=200           bytes of a packet, SWARM_SIZE_MIN to 65,536
 *   batch=1 window=32  closed loop: batch <= window <= 4096
 *   rate=0             packets a second in all flows
 *   patience=1s
 *   mesh-key= raw= plain= websocket= insecure= fast-start= server-key= high-water= app-name=   as in client.h, for each client
 *
 * Commands: SET with `running=on` or `running=off`: traffic begins and ends. Connections that end are counted (`ended`) and opened again
 * by their clients. SET `fault=now`: failover times count from here, anew. LEAVE: all clients leave. */
#ifndef REF_SWARM_H
#define REF_SWARM_H

#include "client.h"
#include "histogram.h"
#include "machine.h"

struct swarm;

enum { SWARM_SIZE_MIN = 24, SWARM_CLIENTS_MAX = 1 << 20, SWARM_WINDOW_MAX = 4096 };

struct swarm_count {
	uint64_t ready;  /* clients that are READY now */
	uint64_t logins; /* times that one became it */
	uint64_t failed; /* attempts that ended before */
	uint64_t ended;  /* connections that ended after, those that left apart */
	uint64_t sent, delivered, bytes /* of packets delivered */, lost, wrong, blocked;
};

struct swarm *swarm_new(const struct machine_env *env);
static inline struct machine *swarm_machine(struct swarm *swarm) { return (struct machine *)swarm; }
bool swarm_config_check(const char *text, size_t n, char error[200]);

/* Slots of tokens that so many clients need in START. */
static inline uint32_t swarm_slots(uint32_t clients) { return clients * CLIENT_SLOTS; }

const struct swarm_count *swarm_count(const struct swarm *swarm);
bool swarm_is_over(const struct swarm *swarm);                    /* LEAVE, and every connection is closed */
const struct histogram *swarm_latency(const struct swarm *swarm); /* ns from due to delivered */
const struct histogram *swarm_late(const struct swarm *swarm);    /* open loop: ns from due to sent */
/* After fault=now: of each client that has lost a connection since, the time to READY on another; of each pair of mates with such a
 * client, from the first packet that either sent to the first delivered that is no older. ns is in no order, to be freed. */
struct swarm_failover {
	uint64_t *ns;
	uint32_t n;     /* who came back: entries of ns */
	uint32_t never; /* who did not, so far */
};
struct swarm_failover swarm_failover_clients(const struct swarm *swarm);
struct swarm_failover swarm_failover_pairs(const struct swarm *swarm);
/* Flows of which no packet has come since then. */
uint32_t swarm_flows_silent(const struct swarm *swarm, uint64_t since);
/* Measuring begins anew: the histograms are empty, the counts but `ready` are 0. */
void swarm_count_reset(struct swarm *swarm);

#endif
