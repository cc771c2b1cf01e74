/* The network check: how far away is each region, does UDP work, is there a captive portal; and with that, which region is home. A
 * machine, alone or as the child of a client stack.
 *
 * HOM-001..HOM-007, HOM-020, MAP-005, MAP-006, MAP-010, MAP-014, MAP-015, MAP-017, MAP-019, MAP-020. A check makes one report:
 *
 *   STUN      the probe plan's requests (netcheck_plan.h) until every set of probes is done, enough regions have answered, or 3 s are over
 *   HTTPS     only if no answer came: one request to every region (netcheck_fetch.h). ICMP, which the original tries beside, is not of
 *             this seam
 *   PORTAL    full reports: from 200 ms on, beside the others, unless STUN was through by then; the report waits for it
 *   the home  by home.h, from the report; then DELIVER_REPORT
 *
 * Checks run at START, when a map comes, when COMMAND_CHECK says so (a link change, an error of a DERP connection: HOM-001), and every
 * 20 to 26 s while that makes sense. A wish that comes during a check is granted behind it.
 *
 * Of the sockets of START the first UDP socket of each family is used, for STUN requests only; a family without one is not probed.
 * Other datagrams of the same sockets may be passed too and are ignored; a parent passes those for which stun_is says yes.
 *
 * Configuration (config.h), with defaults. COMMAND_SET changes any of it at any time:
 *   map=JSON                 the DERP map on one line (derpmap.h); needed for checks, unless the owner shares one (netcheck_share_map)
 *   policy=current           how a home is chosen, and whether it is always probed: home.h
 *   hysteresis=on            off: the home is the fastest region every time
 *   style=native|browser     browser: HTTP only (HOM-007, TRP-031)
 *   only=all|stun|https      measure by STUN only; by HTTPS only
 *   ipv4=on ipv6=on          has the host interfaces of that family?
 *   control=on               is there a connection to the control server? (HOM-017)
 *   periodic=off             are there peers and a key, so that checks are worth repeating? (HOM-001)
 *   homeless=off             HOM-019; no periodic checks either
 *   force=0                  a region that is home if it can be (HOM-015)
 *   home=0                   a region to begin with (HOM-018)
 *   heard=0                  COMMAND_SET: a DERP frame has come from this region (HOM-013; CLI-041 says how often to tell)
 *   active=off               COMMAND_SET, on: the node has traffic; good for 45 s (HOM-001). It is active at START
 *   enough=3                 regions that must answer before the rest is given up (HOM-006)
 *   report-timeout=5s stun-timeout=3s        HOM-002
 *   full-every=5m                            HOM-003
 *   portal-delay=200ms portal-timeout=3s     MAP-019
 *   dial-timeout=1500ms                      HTTPS, of each node
 *   period-min=20s period-max=26s active-for=45s   HOM-001
 *
 * Commands: COMMAND_CHECK (flag: a full one), COMMAND_SET (p,n: configuration text), COMMAND_LEAVE (gives up; then DELIVER_STOPPED).
 * DELIVERs: DELIVER_REPORT: a = home in force, b = region that the report prefers; the report itself by netcheck_report. */
#ifndef REF_NETCHECK_H
#define REF_NETCHECK_H

#include "netcheck_report.h"

struct netcheck;

struct netcheck *netcheck_new(const struct machine_env *env);
static inline struct machine *netcheck_machine(struct netcheck *n) { return (struct machine *)n; }
/* Slots of tokens it needs in START. */
enum { NETCHECK_SLOTS = 64 };

/* Is this a configuration that START or COMMAND_SET takes? A bad one is asserted there. */
bool netcheck_config_check(const char *text, size_t n, char error[200]);

/* A map that belongs to somebody else, who shares it among many; NULL: none. It is used from the next check on, and until then the one
 * before: that must live until netcheck_map returns another one. Starts no check. */
void netcheck_share_map(struct netcheck *n, const struct derp_map *map);
const struct derp_map *netcheck_map(const struct netcheck *n);

/* Of the last finished check, valid until the next is finished; NULL: there was none. */
const struct netcheck_report *netcheck_report(const struct netcheck *n);
int64_t netcheck_home(const struct netcheck *n); /* in force; 0: none */
bool netcheck_is_running(const struct netcheck *n);
uint64_t netcheck_memory(const struct netcheck *n);

#endif
