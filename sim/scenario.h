/* The scenario language: text in, typed structures out, or every error of the file in one run.
 *
 * One statement a line; the first word says what it is. `#` at the start of a word begins a comment; the first line, a comment, is
 * the story's title. Extra blanks mean nothing; order matters only for lines of the timeline at equal times.
 *
 *   file     = { [ statement ] [ "#" text ] NEWLINE }
 *   statement= about | world | load | timeline | demand
 *   about    = "rules" ID {ID} | "why" text | "tags" WORD {WORD} | "since" VERSION | "include" PATH | "until" TIME | "let" NAME=VALUE
 *            | "vary" NAME ( VALUE {VALUE} | VALUE "to" VALUE ["by" VALUE] )
 *   world    = "world" {opt} | "region" NAME {opt} | "node" set {opt} | "tailnet" NAME ["x"INT] {opt} | "policy" {opt}
 *   load     = "load" KIND {opt}
 *   timeline = "at" TIME verb (set | path) {opt}
 *   verb     = a word of the table of verbs | "crash silent" ["refuse"]
 *   path     = set ( "->" | "<->" ) set
 *   set      = part {"," part} ["but" part {"," part}]
 *   part     = [ (INT | PERCENT) "of" ] base
 *   base     = "all" | "control" | "clients" [ "on" node | "of" tailnet | "in" CITY | "homed" REGION | "away" ] | node | tailnet
 *   node     = REGION | REGION/INDEX | REGION/ *
 *   tailnet  = NAME | NAME/INDEX | NAME/ * | NAME/INDEX/INDEX
 *   demand   = ("expect" | "goal") when ( condition | "nothing" WORD {"," WORD} )
 *   when     = "always" | "sometimes" | "in some run" | "at end" | "at" TIME | "within" TIME "of" event | "from" TIME "after" event
 *   event    = "start" | ["end of"] NAME [set | path]
 *   condition= metric ["of" set] ["since" event] ["per" ("node"|"region"|"tailnet"|"client"|"pair")]
 *              ( OP VALUE | "between" VALUE "and" VALUE )
 *   opt      = KEY=VALUE       no blanks; a value with a blank or # stands in "quotes"
 *   VALUE    = WORD | NUMBER UNIT | VALUE..VALUE | VALUE,VALUE | $NAME
 *
 * The language has more words than this version simulates: control, link, maybe, swarm, the steps of conformance stories, further
 * verbs, loads, options and metrics. They are known, and each is an error that says so; none is ever ignored. To turn one on, set
 * its flag in the table where it stands: SCENARIO_METRICS below, scenario_word.c (statements, verbs, events, nothing), and
 * scenario_option.c (options and their words).
 *
 * Everything is an exact integer (enum scenario_unit). Bounds and defaults of options are in scenario_option.c. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "../ref/derpmap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCENARIO_BYTES_MAX = 1 << 20, /* of a file */
	SCENARIO_COLUMNS_MAX = 4096,  /* bytes of a line */
	SCENARIO_LINES_MAX = 20000,   /* of all files together */
	SCENARIO_DEPTH_MAX = 8,       /* files including files */
	SCENARIO_FILES_MAX = 64,
	SCENARIO_ERRORS_MAX = 200,       /* then one more says that there are more */
	SCENARIO_VARY_MAX = 1000,        /* values of a vary */
	SCENARIO_NODES_MAX = 1000,       /* of a region */
	SCENARIO_CLIENTS_MAX = 10000000, /* of a tailnet line, all copies together */
	SCENARIO_REASON_SIZE = 400,
};

#define SCENARIO_TIME_MAX (UINT64_C(3600000000000) * 10000) /* 10,000 h, so that sums of a few times fit */
#define SCENARIO_SHARE_ALL UINT64_C(1000000000)             /* 100% */
#define SCENARIO_NEVER UINT64_MAX                           /* return=never, watchdog=off, accept=unlimited */

/* ---- values ---- */

/* What a number counts. Decimals are exact: one that is not a whole number of these is an error. */
enum scenario_unit {
	SCENARIO_NONE,  /* not given and without default */
	SCENARIO_COUNT, /* things */
	SCENARIO_TIME,  /* nanoseconds */
	SCENARIO_RATE,  /* bits per second */
	SCENARIO_SIZE,  /* bytes */
	SCENARIO_PACE,  /* events in a million hours: 1/h = 1000000, 1/s = 3600000000 */
	SCENARIO_SHARE, /* parts of 1000000000: 1% = 10000000 */
	SCENARIO_UNITS
};

/* lo == hi, or a draw, inclusive and uniform: prng_draw. */
struct scenario_amount {
	enum scenario_unit unit;
	uint64_t lo, hi;
};

/* Where a thing stands, and what its draws are named by: the entity's name, `word` with `number`, and the key of the option.
 * Keys that are no options: "at" of a timeline line, "x" of a tailnet's copies. */
struct scenario_line {
	const char *file;      /* bare name */
	const char *text;      /* the statement without comment, as written */
	const char *word;      /* "region", "load disco", "at crash", "tailnet", "policy", "expect" */
	uint32_t number;       /* among its like: lines of the same word (and name, where it has one), from 1 */
	uint32_t line, column; /* of its first word, from 1; 0: not written (a region of the map, defaults) */
	uint32_t sequence;     /* of all lines of all files; orders the timeline at equal times */
};

/* When the k-th event of a pace is due after the first (k = 0), rounded down; saturates at SCENARIO_NEVER. pace > 0. */
uint64_t scenario_pace_ns(uint64_t pace, uint64_t k);

/* ---- sets ---- */

enum scenario_base {
	SCENARIO_ALL,           /* all nodes and all clients */
	SCENARIO_CONTROL,       /* the coordinator */
	SCENARIO_CLIENTS,       /* all clients */
	SCENARIO_CLIENTS_ON,    /* whose home connection is to region `name`, node `index` (0: any) */
	SCENARIO_CLIENTS_IN,    /* who are in `city` */
	SCENARIO_CLIENTS_HOMED, /* whose home in force is region `name` */
	SCENARIO_CLIENTS_AWAY,  /* who are not on the first node of their order */
	SCENARIO_NODES,         /* of region `name`, node `index` (0: all) */
	SCENARIO_TAILNET,       /* clients of tailnet `name`, copy `index` (0: all), client `client` (0: all); also `clients of` */
	SCENARIO_BASES
};

struct scenario_part {
	enum scenario_base base;
	bool but;                    /* taken away from what the other parts give; these come last */
	struct scenario_amount pick; /* COUNT or SHARE of them, drawn when the line fires; NONE: all */
	uint32_t name;               /* index in region[] or tailnet[] */
	uint32_t index;              /* from 1; 0: all */
	uint32_t client;             /* from 1; 0: all */
	const char *city;
};

/* Looked up when the line fires or the metric is measured. */
struct scenario_set {
	struct scenario_part *part;
	uint32_t parts; /* 0: none was given */
};

/* Only verbs of the network take paths: cut, reset, degrade, swizzle, heal. `to.parts` is 0 without one. */
struct scenario_path {
	struct scenario_set from, to;
	bool both;
};

/* ---- the world ---- */

enum scenario_profile { SCENARIO_PROFILE_OURS, SCENARIO_PROFILE_DERPER };

struct scenario_world {
	struct scenario_line line;
	const char *map;    /* path as written; NULL: ours */
	const char *cities; /* path as written; NULL: builtin */
	enum scenario_profile profile;
};

enum scenario_mesh_key { SCENARIO_KEY_SAME, SCENARIO_KEY_RIGHT, SCENARIO_KEY_WRONG };

/* Of a host and its relay. NONE in a `node` line or a restart: unchanged. NONE in a region: the cost table's, or no limit. */
struct scenario_settings {
	struct scenario_amount cpu;                     /* COUNT of cores */
	struct scenario_amount nic;                     /* RATE */
	struct scenario_amount mem;                     /* SIZE */
	struct scenario_amount fds;                     /* COUNT */
	struct scenario_amount backlog;                 /* COUNT */
	struct scenario_amount handshake, packet, byte; /* TIME of CPU each */
	struct scenario_amount watchdog;                /* TIME above 100 % demand until killed; SCENARIO_NEVER: off */
	const char *costs;                              /* path of a cost table; NULL: ours */
	enum scenario_mesh_key mesh_key;
};

struct scenario_region {
	struct scenario_line line;
	const char *name;
	struct scenario_amount nodes;     /* COUNT; NONE: the map's */
	const char *city;                 /* NULL: where the map says */
	const struct derp_region *in_map; /* NULL: not in it, or no map was loaded */
	struct scenario_settings settings;
};

/* `node SET KEY=..`: overrides for these; later lines win. The set has only NODES. */
struct scenario_node {
	struct scenario_line line;
	struct scenario_set set;
	struct scenario_settings settings;
};

enum scenario_order { SCENARIO_ORDER_PERMUTED, SCENARIO_ORDER_ROTATED, SCENARIO_ORDER_SAME, SCENARIO_ORDER_SCATTERED };
enum scenario_backoff { SCENARIO_BACKOFF_ORIGINAL, SCENARIO_BACKOFF_FULL_JITTER, SCENARIO_BACKOFF_NONE };
enum scenario_hysteresis { SCENARIO_HYSTERESIS_ON, SCENARIO_HYSTERESIS_OFF };
enum scenario_home_needs { SCENARIO_HOME_NEEDS_STUN, SCENARIO_HOME_NEEDS_TCP };
enum scenario_notice { SCENARIO_NOTICE_IGNORE, SCENARIO_NOTICE_HONOUR };
enum scenario_service { SCENARIO_SERVICE_SHARED, SCENARIO_SERVICE_FIFO, SCENARIO_SERVICE_LIFO, SCENARIO_SERVICE_SKIP_DEAD };
enum scenario_shed { SCENARIO_SHED_NONE, SCENARIO_SHED_NEWEST, SCENARIO_SHED_OLDEST };

struct scenario_policy {
	struct scenario_line line;
	/* of clients; a tailnet has its own copy, its overrides applied */
	enum scenario_order order;
	struct scenario_amount back; /* return=: TIME, SCENARIO_NEVER */
	enum scenario_backoff backoff;
	enum scenario_hysteresis hysteresis;
	enum scenario_home_needs home_needs;
	enum scenario_notice notice;
	/* of nodes; meaningful in scenario.policy only */
	struct scenario_amount mesh_retry; /* TIME */
	enum scenario_service service;
	struct scenario_amount accept; /* PACE, SCENARIO_NEVER: unlimited */
	enum scenario_shed shed;
};

enum scenario_area_kind { SCENARIO_WORLD, SCENARIO_EUROPE, SCENARIO_AMERICA, SCENARIO_ASIA, SCENARIO_CITY };

struct scenario_area {
	enum scenario_area_kind kind;
	const char *city; /* CITY: its name */
};

enum scenario_per { SCENARIO_PER_NONE, SCENARIO_PER_NODE, SCENARIO_PER_REGION, SCENARIO_PER_TAILNET, SCENARIO_PER_CLIENT, SCENARIO_PER_PAIR };
enum scenario_net { SCENARIO_NET_OPEN, SCENARIO_NET_NAT, SCENARIO_NET_NO_UDP, SCENARIO_NET_PROXY };

struct scenario_tailnet {
	struct scenario_line line;
	const char *name;
	struct scenario_amount copies;  /* COUNT */
	bool numbered;                  /* xN was given: the copies are NAME/1..; else the one is NAME */
	struct scenario_amount clients; /* COUNT, drawn for each copy */
	bool zipf;                      /* clients=zipf:lo..hi */
	struct scenario_area *spread;
	uint32_t spreads;
	struct scenario_amount join; /* TIME, drawn for each client */
	enum scenario_per per;       /* NONE, NODE, REGION: copies for each of them */
	enum scenario_net net;
	struct scenario_amount direct; /* SHARE */
	struct scenario_policy policy; /* in force for these clients */
};

enum scenario_load_kind { SCENARIO_DISCO, SCENARIO_BULK, SCENARIO_ONOFF, SCENARIO_ARRIVALS, SCENARIO_ROAMING, SCENARIO_BACKGROUND, SCENARIO_LOADS };
enum scenario_curve { SCENARIO_CURVE_FLAT, SCENARIO_CURVE_DAY };

struct scenario_load {
	struct scenario_line line;
	enum scenario_load_kind kind;
	struct scenario_amount begin; /* TIME */
	struct scenario_amount till;  /* TIME; NONE: the end */
	struct scenario_set of;       /* parts 0: all clients */
	enum scenario_curve curve;
	struct scenario_amount every;   /* TIME: disco, drawn for each interval; roaming */
	struct scenario_amount share;   /* SHARE of pairs: bulk, onoff; of clients: roaming */
	struct scenario_amount rate;    /* RATE: bulk, onoff */
	struct scenario_amount hold;    /* for=, TIME of a flow: bulk */
	struct scenario_amount size;    /* SIZE of a packet: bulk, onoff */
	struct scenario_amount on, off; /* TIME: onoff */
	struct scenario_amount pace;    /* PACE: arrivals */
	struct scenario_amount stay;    /* TIME: arrivals */
	struct scenario_area *to;       /* roaming */
	uint32_t tos;
	struct scenario_amount cpu; /* SHARE: background */
};

/* ---- the timeline ---- */

enum scenario_verb {
	SCENARIO_CRASH,
	SCENARIO_CRASH_SILENT,
	SCENARIO_CRASH_SILENT_REFUSE,
	SCENARIO_RESTART,
	SCENARIO_CLOSE,
	SCENARIO_LEAVE,
	SCENARIO_JOIN,
	SCENARIO_FREEZE,
	SCENARIO_STALL,
	SCENARIO_SLOW,
	SCENARIO_SQUEEZE,
	SCENARIO_THROTTLE,
	SCENARIO_CLOCK,
	SCENARIO_CUT,
	SCENARIO_RESET,
	SCENARIO_DEGRADE,
	SCENARIO_SWIZZLE,
	SCENARIO_HEAL,
	SCENARIO_MOVE,
	SCENARIO_CLONE,
	SCENARIO_REMAP,
	SCENARIO_CALM,
	SCENARIO_VERBS
};
const char *scenario_verb_name(enum scenario_verb verb); /* "crash silent" */

/* A line of the timeline. In scenario.act[] in the order of the files; the runner orders by (drawn time, line.sequence). */
struct scenario_act {
	struct scenario_line line;
	struct scenario_amount at; /* TIME */
	enum scenario_verb verb;
	struct scenario_path path;         /* of most verbs only path.from: the set */
	const char *as;                    /* NULL, or the name of its events */
	struct scenario_amount hold;       /* for=, TIME; NONE: no end by itself. A crash ends with a restart */
	struct scenario_amount pace;       /* PACE: one member after the other, each an event of its own; NONE: all at once */
	struct scenario_amount every;      /* TIME; NONE: once. The line fires at at, at + every, .. */
	struct scenario_amount times;      /* COUNT of firings, 1 without every= */
	struct scenario_amount down;       /* restart: TIME between crash and restart of a running node; NONE: it was down before */
	struct scenario_settings settings; /* restart: what changes */
};

/* ---- what is demanded ---- */

/* What something happening may be called. ACT: any event of the line act[event.act]. */
enum scenario_event_kind {
	SCENARIO_ON_START,
	SCENARIO_ON_VERB,
	SCENARIO_ON_ACT,
	SCENARIO_ON_DEATH,
	SCENARIO_ON_HOME,
	SCENARIO_ON_ARRIVE,
	SCENARIO_ON_DEPART,
	SCENARIO_ON_FULL,
	SCENARIO_ON_SPLIT,
	SCENARIO_ON_TIMEOUT,
	SCENARIO_ON_KINDS
};

/* ON_VERB with verb CRASH means every crash, CRASH_SILENT both silent ones: scenario_verb_is. A MOVE may come from roaming too. */
struct scenario_event {
	enum scenario_event_kind kind;
	enum scenario_verb verb;   /* ON_VERB */
	uint32_t act;              /* ON_ACT: index in act[] */
	bool end;                  /* its end */
	struct scenario_path path; /* from.parts 0: whoever it happens to; else only events of these */
};
/* Is `verb` a kind of `wanted`? */
bool scenario_verb_is(enum scenario_verb verb, enum scenario_verb wanted);

enum scenario_metric_of { /* the chapter of the metric's table */
	                  SCENARIO_OF_CLIENT,
	                  SCENARIO_OF_PAIR,
	                  SCENARIO_OF_NODE,
	                  SCENARIO_OF_HOST,
	                  SCENARIO_OF_MESH,
	                  SCENARIO_OF_PACKET,
	                  SCENARIO_OF_DROP,
	                  SCENARIO_OF_FRAME,
	                  SCENARIO_OF_TIME,
	                  SCENARIO_OF_KINDS
};
enum scenario_metric_type { SCENARIO_GAUGE, SCENARIO_COUNTER, SCENARIO_RATIO, SCENARIO_DISTRIBUTION }; /* n c % d */

/* Every metric of the language: name, chapter, type, unit of its values, does this version measure it (1 turns it on), what it is. */
#define SCENARIO_METRICS(M) \
	M(CLIENTS_CONNECTED, "clients.connected", CLIENT, GAUGE, COUNT, 1, "home connection logged in and alive at both ends") \
	M(CLIENTS_ZOMBIE, "clients.zombie", CLIENT, GAUGE, COUNT, 1, "hold a home connection that leads nowhere") \
	M(CLIENTS_AWAY, "clients.away", CLIENT, GAUGE, COUNT, 1, "not on the first node of their order") \
	M(CLIENTS_WAITING, "clients.waiting", CLIENT, GAUGE, COUNT, 0, "dialling or backing off") \
	M(CLIENTS_HOMELESS, "clients.homeless", CLIENT, GAUGE, COUNT, 0, "without a home") \
	M(HOMES, "homes", CLIENT, GAUGE, COUNT, 0, "clients whose home in force is there") \
	M(HOME_CHANGES, "home.changes", CLIENT, COUNTER, COUNT, 0, "the first choice not counted") \
	M(HOME_WRONG, "home.wrong", CLIENT, GAUGE, COUNT, 0, "preference is not what HOM-010..015 give for their reports") \
	M(RECONNECTS, "reconnects", CLIENT, COUNTER, COUNT, 1, "logins but the first of each client") \
	M(PAIRS_REACHABLE, "pairs.reachable", PAIR, GAUGE, COUNT, 0, "a packet sent now would arrive") \
	M(PAIRS_SPLIT, "pairs.split", PAIR, GAUGE, COUNT, 0, "on two nodes") \
	M(PAIRS_DIRECT, "pairs.direct", PAIR, GAUGE, COUNT, 0, "need no relay") \
	M(FAILOVER_CLIENT, "failover.client", PAIR, DISTRIBUTION, TIME, 1, "from the fault to ServerInfo on another connection") \
	M(FAILOVER_PAIR, "failover.pair", PAIR, DISTRIBUTION, TIME, 1, "from the first packet sent after the fault to the first delivered") \
	M(OUTAGE_PAIR, "outage.pair", PAIR, DISTRIBUTION, TIME, 0, "unreachable spells") \
	M(CONNS, "conns", NODE, GAUGE, COUNT, 1, "clients registered, mesh peers not counted") \
	M(CONNS_STALE, "conns.stale", NODE, GAUGE, COUNT, 0, "whose other end is gone") \
	M(CONNS_HOME, "conns.home", NODE, GAUGE, COUNT, 0, "that are the client's home") \
	M(CONNS_DUPLICATE, "conns.duplicate", NODE, GAUGE, COUNT, 0, "with a key that has another one here") \
	M(ACCEPTS, "accepts", NODE, COUNTER, COUNT, 0, "connections accepted") \
	M(LOGINS, "logins", NODE, COUNTER, COUNT, 0, "logins that succeeded") \
	M(LOGINS_FAILED, "logins.failed", NODE, COUNTER, COUNT, 0, "logins that failed") \
	M(DEATHS, "deaths", NODE, COUNTER, COUNT, 0, "killed by memory or watchdog") \
	M(HANDSHAKES, "handshakes", NODE, COUNTER, COUNT, 0, "TLS handshakes done") \
	M(HANDSHAKES_WASTED, "handshakes.wasted", NODE, RATIO, SHARE, 0, "of handshake CPU, spent on clients who had given up") \
	M(ACCEPT_QUEUE, "accept.queue", NODE, GAUGE, COUNT, 0, "connections not accepted yet") \
	M(ACCEPT_REJECTED, "accept.rejected", NODE, COUNTER, COUNT, 0, "closed by the limiter") \
	M(SYN_LOST, "syn.lost", NODE, COUNTER, COUNT, 0, "SYNs that found the backlog full") \
	M(WRITE_TIMEOUTS, "write.timeouts", NODE, COUNTER, COUNT, 0, "write deadlines that passed") \
	M(CPU, "cpu", HOST, RATIO, SHARE, 0, "of all cores, over the last second") \
	M(CPU_DEMAND, "cpu.demand", HOST, RATIO, SHARE, 0, "asked for, may exceed 100%") \
	M(MEM, "mem", HOST, GAUGE, SIZE, 0, "memory in use") \
	M(NIC, "nic", HOST, GAUGE, RATE, 0, "rate over the last second") \
	M(FDS, "fds", HOST, GAUGE, COUNT, 0, "descriptors in use") \
	M(STUN_REQUESTS, "stun.requests", HOST, COUNTER, COUNT, 0, "STUN requests answered") \
	M(MESH_LINKS, "mesh.links", MESH, GAUGE, COUNT, 1, "directed links up and subscribed; of a node: its own") \
	M(MESH_REJECTED, "mesh.rejected", MESH, COUNTER, COUNT, 0, "link attempts ended by the other side") \
	M(MESH_KEYS, "mesh.keys", MESH, GAUGE, COUNT, 0, "known through links") \
	M(MESH_UPDATES, "mesh.updates", MESH, COUNTER, COUNT, 0, "PeerPresent and PeerGone on links") \
	M(FORWARDED, "forwarded", MESH, COUNTER, COUNT, 1, "packets over a link") \
	M(FORWARDED_SHARE, "forwarded.share", MESH, RATIO, SHARE, 1, "of packets delivered, over a link") \
	M(PACKETS_SENT, "packets.sent", PACKET, COUNTER, COUNT, 1, "by clients") \
	M(PACKETS_DELIVERED, "packets.delivered", PACKET, COUNTER, COUNT, 1, "to clients") \
	M(PACKETS_QUEUED, "packets.queued", PACKET, GAUGE, COUNT, 0, "in queues of relays") \
	M(PACKETS_LOST, "packets.lost", PACKET, COUNTER, COUNT, 1, "by nobody counted, the three below") \
	M(PACKETS_LOST_CRASH, "packets.lost.crash", PACKET, COUNTER, COUNT, 1, "with a host") \
	M(PACKETS_LOST_FORWARDING, "packets.lost.forwarding", PACKET, COUNTER, COUNT, 1, "with a mesh link") \
	M(PACKETS_LOST_STREAM, "packets.lost.stream", PACKET, COUNTER, COUNT, 1, "with a client's stream") \
	M(BYTES_SENT, "bytes.sent", PACKET, COUNTER, SIZE, 1, "by clients") \
	M(BYTES_DELIVERED, "bytes.delivered", PACKET, COUNTER, SIZE, 1, "to clients") \
	M(DROPS, "drops", DROP, COUNTER, COUNT, 1, "by relays, with a reason of MET-006") \
	M(DROPS_UNKNOWN_DEST, "drops.unknown_dest", DROP, COUNTER, COUNT, 1, "for a key that nobody has") \
	M(DROPS_UNKNOWN_DEST_ON_FWD, "drops.unknown_dest_on_fwd", DROP, COUNTER, COUNT, 1, "forwarded for a key that is not here") \
	M(DROPS_GONE_DISCONNECTED, "drops.gone_disconnected", DROP, COUNTER, COUNT, 1, "queued for one who left") \
	M(DROPS_QUEUE_HEAD, "drops.queue_head", DROP, COUNTER, COUNT, 1, "the oldest of a full queue") \
	M(DROPS_QUEUE_TAIL, "drops.queue_tail", DROP, COUNTER, COUNT, 1, "the newest of a full queue") \
	M(DROPS_WRITE_ERROR, "drops.write_error", DROP, COUNTER, COUNT, 1, "while writing") \
	M(DROPS_DUP_CLIENT, "drops.dup_client", DROP, COUNTER, COUNT, 1, "for a key that fights over its connections") \
	M(KEEPALIVES, "keepalives", FRAME, COUNTER, COUNT, 0, "KeepAlive frames") \
	M(PINGS, "pings", FRAME, COUNTER, COUNT, 0, "Ping frames") \
	M(PONGS, "pongs", FRAME, COUNTER, COUNT, 0, "Pong frames") \
	M(PEERPRESENT, "peerpresent", FRAME, COUNTER, COUNT, 0, "PeerPresent frames") \
	M(PEERGONE_DISCONNECTED, "peergone.disconnected", FRAME, COUNTER, COUNT, 0, "PeerGone frames") \
	M(PEERGONE_NOTHERE, "peergone.nothere", FRAME, COUNTER, COUNT, 0, "PeerGone frames, reason NotHere (PGR-014)") \
	M(PEERGONE_SUPPRESSED, "peergone.suppressed", FRAME, COUNTER, COUNT, 0, "NotHere not sent, by the limiter") \
	M(DELAY_PACKET, "delay.packet", TIME, DISTRIBUTION, TIME, 0, "send to delivery") \
	M(DELAY_QUEUE, "delay.queue", TIME, DISTRIBUTION, TIME, 0, "in the queues of relays") \
	M(DELAY_LOGIN, "delay.login", TIME, DISTRIBUTION, TIME, 0, "dial to ServerInfo") \
	M(DELAY_HOME, "delay.home", TIME, DISTRIBUTION, TIME, 0, "loss to new home") \
	M(DELAY_MESH, "delay.mesh", TIME, DISTRIBUTION, TIME, 0, "login to known at every node")

enum scenario_metric {
#define SCENARIO_METRIC_ENUM(id, name, of, type, unit, measured, what) SCENARIO_METRIC_##id,
	SCENARIO_METRICS(SCENARIO_METRIC_ENUM)
#undef SCENARIO_METRIC_ENUM
		SCENARIO_METRIC_KINDS
};

struct scenario_metric_info {
	const char *name, *what;
	enum scenario_metric_of of;
	enum scenario_metric_type type;
	enum scenario_unit unit; /* of a gauge's, counter's and distribution's values */
	bool measured;
};
const struct scenario_metric_info *scenario_metric_info(enum scenario_metric metric);
/* SCENARIO_METRIC_KINDS: there is none of this name (without .p99 and the like). */
enum scenario_metric scenario_metric_find(const char *name, size_t n);
/* The text of `check --metrics`, whole lines, into out (cap bytes, terminated); returns its full length. */
size_t scenario_print_metrics(char *out, size_t cap);

/* What of a metric is compared: a gauge, counter or ratio as it is (VALUE), a counter's rate over the last second, or a statistic
 * of a distribution. NEVER counts those who did not come back; a SHARE there is of all. */
enum scenario_statistic {
	SCENARIO_VALUE,
	SCENARIO_PER_SECOND,
	SCENARIO_MIN,
	SCENARIO_P50,
	SCENARIO_P90,
	SCENARIO_P99,
	SCENARIO_MAX,
	SCENARIO_MEAN,
	SCENARIO_SAMPLES,
	SCENARIO_LOST,
	SCENARIO_STATISTICS
};

enum scenario_op { SCENARIO_EQ, SCENARIO_NE, SCENARIO_LT, SCENARIO_LE, SCENARIO_GT, SCENARIO_GE, SCENARIO_BETWEEN };

/* low and high are in `unit`: that of the metric, or SHARE where the value was written with % (then of its start, limit or all, as
 * the language says), or PACE for PER_SECOND. BETWEEN is inclusive; for the others low == high. */
struct scenario_condition {
	enum scenario_metric metric;
	enum scenario_statistic statistic;
	struct scenario_set of; /* parts 0: all */
	bool has_since;
	struct scenario_event since;
	enum scenario_per per; /* NONE: all together; else each alone, and the worst counts */
	enum scenario_op op;
	enum scenario_unit unit;
	uint64_t low, high;
};

enum scenario_when {
	SCENARIO_ALWAYS,
	SCENARIO_SOMETIMES,
	SCENARIO_IN_SOME_RUN,
	SCENARIO_AT_END,
	SCENARIO_AT,
	SCENARIO_WITHIN,
	SCENARIO_FROM,
	SCENARIO_WHENS
};

enum scenario_nothing {
	SCENARIO_FORGED,
	SCENARIO_CHANGED,
	SCENARIO_DOUBLED,
	SCENARIO_MISDELIVERED,
	SCENARIO_MISORDERED,
	SCENARIO_TWICE_FORWARDED,
	SCENARIO_GONE_UNSEEN,
	SCENARIO_UNACCOUNTED,
	SCENARIO_NOTHINGS
};

struct scenario_expect {
	struct scenario_line line;
	bool goal; /* a missed one is a result, not a finding */
	enum scenario_when when;
	uint64_t time;               /* AT, WITHIN, FROM */
	struct scenario_event event; /* WITHIN, FROM */
	uint32_t nothing;            /* bits 1 << enum scenario_nothing; 0: the condition counts */
	struct scenario_condition condition;
};

/* ---- the whole ---- */

/* `let`, with its value as written or set. */
struct scenario_let {
	struct scenario_line line;
	const char *name, *value;
	bool set; /* by --set */
};

/* `vary`: all values, as text; this parse took `chosen` (by --set, or the first). */
struct scenario_vary {
	struct scenario_line line;
	const char *name;
	const char **value;
	uint32_t values;
	const char *chosen;
	bool set;
};

struct scenario_text {
	const char *name; /* as the loader named it */
	const char *text; /* terminated as well */
	size_t n;
};

struct scenario_error {
	const char *file;      /* bare name; "--set name=value" for an override */
	uint32_t line, column; /* 0: none */
	const char *text;
};

struct scenario {
	const char *title; /* the first line's comment, "" if it has none */
	const char *why;   /* "" if there is none; several are joined by a blank */
	const char **rule, **tag;
	uint32_t rules, tags;
	const char *since;          /* "" if there is none */
	struct scenario_text *file; /* [0] is the scenario itself, then what it includes, in order */
	uint32_t files;
	struct scenario_text map_text; /* as loaded; text NULL without a loader */
	struct derp_map *map;          /* NULL without a loader */

	struct scenario_world world;
	struct scenario_region *region; /* that take part: those named, or all of the map */
	uint32_t regions;
	struct scenario_node *node;
	uint32_t nodes;
	struct scenario_policy policy;
	struct scenario_tailnet *tailnet;
	uint32_t tailnets;
	struct scenario_load *load;
	uint32_t loads;
	struct scenario_act *act;
	uint32_t acts;
	struct scenario_expect *expect;
	uint32_t expects;
	struct scenario_let *let;
	uint32_t lets;
	struct scenario_vary *vary;
	uint32_t varies;
	struct scenario_amount until; /* TIME; computed if not given: the last planned moment or window, and 60 s */
	bool until_given;
	struct scenario_line until_line;

	struct scenario_error *error; /* in line order; any: do not run it */
	uint32_t errors;
	void *own; /* the memory of all of this */
};

enum scenario_file_kind { SCENARIO_FILE_INCLUDE, SCENARIO_FILE_MAP };

struct scenario_request {
	struct scenario_text file; /* need not be terminated */
	const char *const *set;    /* overrides: "name=value" of a let or vary, "statement.option=value" of a one-line statement */
	uint32_t sets;
	/* Reads the file `path` that a line of the file `from` names (MAP: NULL is our own map). Fills *out, which must live until
	 * scenario_parse returns; equal files must get equal names. False: `reason` says why not, as a sentence without full stop.
	 * NULL: nothing can be included, and maps are not looked at. */
	bool (*load)(void *ctx, enum scenario_file_kind kind, const char *from, const char *path, struct scenario_text *out,
	             char reason[SCENARIO_REASON_SIZE]);
	void *ctx;
	const char *const *city; /* names of the builtin cities, for spelling; cities 0: not checked. Not asked with cities=FILE */
	uint32_t cities;
};

/* Never NULL: any bytes give a scenario or errors. Asks nothing but the loader; copies what it keeps. scenario_free gives it back. */
struct scenario *scenario_parse(const struct scenario_request *request);
void scenario_free(struct scenario *scenario);
/* "node-crash.scn:10:16: found 'fra/4', expected ..." without newline; returns the full length. */
size_t scenario_error_print(const struct scenario_error *error, char *out, size_t cap);
/* The settings of node `index` (from 1) of a region: the region's, and what `node` lines override. */
struct scenario_settings scenario_node_settings(const struct scenario *scenario, uint32_t region, uint32_t index);
/* Nodes that a region has at most: nodes=, or the map's; 0 if neither is known. */
uint32_t scenario_region_nodes(const struct scenario *scenario, uint32_t region);
/* The one of the candidates that was probably meant by a word that is none of them; NULL: none is near. */
const char *scenario_nearest(const char *word, const char *const *candidate, uint32_t candidates);
/* Does the set's text name this node (picks not drawn, parts behind `but` taken away)? CONTROL and clients are no nodes. */
bool scenario_set_has_node(const struct scenario_set *set, uint32_t region, uint32_t index);

#endif
