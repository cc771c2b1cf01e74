/* The prober: logs in at every node of a DERP map, and sends packets from each node of a region to each, itself included. A machine;
 * derp-client probe is its host.
 *
 * Region by region, one check after the other, each with clients and keys of its own (PRB-001..PRB-005):
 *   LOGIN        ServerInfo comes, and as the first message
 *   CERTIFICATE  of that login: TLS with a chain, asked for by the node's HostName; not in plain mode
 *   STUN         an answer with the request's transaction ID from the IPv4 and IPv6 literal of the node. `none` is not probed, what is no
 *                address fails; the original probes both (and fails)
 *   PAIR         8 random bytes go from one node to the other and come once, from their sender, unchanged
 *   BANDWIDTH    with bandwidth=: so many bytes in packets of 65,536, at most 30 on their way; complete, equal, in order
 *   DELAY        with rate=: packets of 260 bytes at a fixed rate; what is later than 5 s is lost
 * STUN-only nodes take part in STUN alone. Where a node did not let us in, its pairs are SKIPPED.
 *
 * Of the sockets of START the first UDP socket of each family is used; a family without one is SKIPPED.
 *
 * Configuration (config.h), with defaults:
 *   region=0           only this one; 0: all
 *   mesh-key=HEX       none; clients log in with it
 *   plain=off insecure=off proxy=   as in client.h
 *   timeout=10s        of a login, of a PAIR once both are in, of BANDWIDTH; STUN asks again every 2 s of it
 *   bandwidth=0        bytes of BANDWIDTH; 0: none
 *   rate=0             packets a second of DELAY; 0: none
 *   rate-time=5s
 *
 * Commands: none. DELIVERs: REPORT for each result, a = its number; STOPPED when all is done, a = failed checks. */
#ifndef REF_PROBER_H
#define REF_PROBER_H

#include "client.h"
#include "derpmap.h"
#include "machine.h"

struct prober;

enum { PROBER_SLOTS = 2 * CLIENT_SLOTS, PROBER_WHY = 120 };

enum prober_check { PROBER_LOGIN, PROBER_CERTIFICATE, PROBER_STUN, PROBER_PAIR, PROBER_BANDWIDTH, PROBER_DELAY, PROBER_CHECKS };
enum prober_verdict { PROBER_GOOD, PROBER_FAILED, PROBER_SKIPPED };

struct prober_result {
	enum prober_check check;
	enum prober_verdict verdict;
	const struct derp_region *region;
	uint32_t from, to; /* nodes; alike in checks of one node */
	bool v6;           /* STUN */
	uint64_t ns;       /* LOGIN: until ServerInfo; STUN: until the answer; PAIR: from one to the other; BANDWIDTH: all; DELAY: median */
	uint64_t p99_ns, max_ns, sent, lost; /* DELAY */
	uint64_t bytes;                      /* BANDWIDTH */
	uint64_t expires_s;                  /* CERTIFICATE: the leaf, Unix time */
	struct address mapped;               /* STUN: as the node sees us */
	char why[PROBER_WHY];                /* not GOOD */
};

/* The map must live as long as the prober. */
struct prober *prober_new(const struct machine_env *env, const struct derp_map *map);
static inline struct machine *prober_machine(struct prober *p) { return (struct machine *)p; }
bool prober_config_check(const char *text, size_t n, char error[200]);
const struct prober_result *prober_result(const struct prober *p, uint32_t i);
const char *prober_check_name(enum prober_check check);

#endif
