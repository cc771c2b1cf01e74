/* What the network check's files share. Internal.
 *
 * netcheck.c        the machine: configuration, commands, when checks run, dispatch, views
 * netcheck_check.c  one check: STUN, its ends, the phases
 * netcheck_fetch.c  one HTTP exchange
 * netcheck_plan.c   what is asked of whom
 * netcheck_report.c what is found out */
#ifndef REF_NETCHECK_CORE_H
#define REF_NETCHECK_CORE_H

#include "config.h"
#include "netcheck.h"
#include "netcheck_fetch.h"
#include "netcheck_plan.h"
#include "rng.h"
#include "stun.h"

enum netcheck_style { STYLE_NATIVE, STYLE_BROWSER };
enum netcheck_only { ONLY_ALL, ONLY_STUN, ONLY_HTTPS };

struct netcheck_config {
	struct config_text map, policy; /* only while a text is taken */
	uint32_t style, only, enough;
	bool hysteresis, ipv4, ipv6, control, periodic, homeless, active;
	uint64_t force, home, heard;
	uint64_t report_timeout, stun_timeout, full_every, portal_delay, portal_timeout, dial_timeout, period_min, period_max, active_for;
};

enum netcheck_phase { CHECK_IDLE, CHECK_STUN, CHECK_HTTPS, CHECK_PORTAL };

/* Where a set of probes has got to. */
struct netcheck_progress {
	uint32_t next;      /* probe to send */
	bool done, waiting; /* waiting: for the address of that probe's node */
};

/* A request that is not answered yet. */
struct netcheck_flight {
	uint8_t txid[STUN_TXID];
	uint32_t set, node;
	uint64_t sent;
};

/* The address of a node that has to be asked for, once a check. */
struct netcheck_name {
	const struct derp_node *node;
	enum netcheck_family family;
	uint64_t token; /* of the ASK; TOKEN_NONE: answered */
	bool found;
	struct address address; /* without port */
};

/* A check under way. */
struct netcheck_check {
	enum netcheck_phase phase;
	struct netcheck_report report;
	struct netcheck_plan plan;
	struct netcheck_progress *progress; /* by set */
	struct netcheck_flight *flight;
	uint32_t flights, flights_cap;
	struct netcheck_name *name;
	uint32_t names, names_cap;
	struct netcheck_fetch *fetch; /* LATENCY or BROWSER of regions, and PORTAL */
	uint32_t fetches, fetches_cap;
	uint64_t stun_until, enough_at, portal_at; /* TIME_NEVER: not at all */
};

struct netcheck_map {
	const struct derp_map *map;
	struct derp_map *owned; /* the same if it is ours, else NULL */
};

struct netcheck {
	struct machine machine;
	struct machine_env env;
	struct netcheck_config config;
	struct home home;
	struct rng rng;
	struct netcheck_map map, next_map;
	bool map_waits;     /* next_map is to be used */
	uint64_t socket[2]; /* by family; TOKEN_NONE */
	struct netcheck_tokens tokens;
	uint64_t last_full; /* TIME_NEVER: none yet */
	uint64_t active_at, next_at, due;
	bool wanted, wanted_full, has_last, stopped;
	struct netcheck_report last;
	struct netcheck_check check;
	struct actions *out_now, *up_now; /* of the step under way */
};

/* netcheck_check.c */
void netcheck_check_begin(struct netcheck *n, uint64_t now);
void netcheck_check_event(struct netcheck *n, const struct event *e); /* of a token of the machine's */
void netcheck_check_datagram(struct netcheck *n, const struct event *e);
/* Does what is due. True: the check is over, and its report complete but for the choice. */
bool netcheck_check_pump(struct netcheck *n, uint64_t now);
uint64_t netcheck_check_due(const struct netcheck *n); /* TIME_NEVER while idle */
/* Cancels what is under way and frees it, the report too. */
void netcheck_check_end(struct netcheck *n, uint64_t now);
void netcheck_check_free(struct netcheck_check *c);

#endif
