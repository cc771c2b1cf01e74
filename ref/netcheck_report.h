/* What a network check finds out: a value that grows while answers come in, and is compared when it is told to others. */
#ifndef REF_NETCHECK_REPORT_H
#define REF_NETCHECK_REPORT_H

#include "home.h"
#include "machine.h"

enum netcheck_answer { NETCHECK_UNKNOWN, NETCHECK_NO, NETCHECK_YES };

/* Smallest latencies of a region, over all probes and by family; 0: not measured. */
struct netcheck_region {
	int64_t id;
	uint64_t ns, v4_ns, v6_ns;
};

struct netcheck_report {
	uint64_t started, ended; /* ns since START of the machine */
	bool full;
	bool udp;        /* a STUN round trip was completed; browser style: anything was (TRP-031) */
	bool ipv4, ipv6; /* a round trip over that family was completed */
	bool ipv4_can_send, ipv6_can_send;
	enum netcheck_answer mapping_varies; /* does the mapped IPv4 address depend on who is asked? */
	enum netcheck_answer captive_portal; /* MAP-019 */
	struct address global_v4, global_v6; /* as answers said: the first for IPv4, the last for IPv6; zero: unknown */
	struct netcheck_region *region;      /* ascending by id */
	uint32_t regions, regions_cap;
	struct home_choice choice; /* when it has ended */
};

void netcheck_report_free(struct netcheck_report *r);
const struct netcheck_region *netcheck_report_region(const struct netcheck_report *r, int64_t id); /* NULL: not measured */
/* Books a latency of at least 1 ns, over a family or over none in particular. */
enum netcheck_family { NETCHECK_ANY, NETCHECK_V4, NETCHECK_V6 };
void netcheck_report_book(struct netcheck_report *r, int64_t id, enum netcheck_family family, uint64_t ns);
/* Notes the address under which a STUN server saw us. */
void netcheck_report_mapped(struct netcheck_report *r, const struct address *mapped);
bool netcheck_report_has_family(const struct netcheck_report *r, enum netcheck_family family); /* any region measured over it? */
uint64_t netcheck_report_slowest(const struct netcheck_report *r);                             /* 0: nothing measured */
/* HOM-006: would an answer from the region over the family tell anything that is not known? */
bool netcheck_report_wants(const struct netcheck_report *r, int64_t id, enum netcheck_family family);
/* HOM-020: is b worth telling the control server, which knows a (NULL: nothing)? Latencies alone are not. */
bool netcheck_report_is_news(const struct netcheck_report *a, const struct netcheck_report *b);

#endif
