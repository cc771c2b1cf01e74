/* A story told: a scenario, a seed, and what came of it.
 *
 * story_new builds the world of the scenario (regions, nodes, tailnets, places, keys), story_run lets virtual time pass until the end and
 * judges on the way. Whatever is measured is the simulator's knowledge of both ends, not what a machine believes.
 *
 * story.c        build and run, hooks of the engine         story_world.c  hosts, places, paths, configurations
 * story_load.c   who talks                                  story_act.c    what the timeline does
 * story_truth.c  who is where, failovers                    story_metric.c what is measured
 * story_check.c  expectations                               story_census.c every packet accounted for */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include "dist.h"
#include "scenario.h"
#include "sim.h"

struct record;
struct key_cache;

/* Faults planted in the simulator itself, to see each check ring. Not in the language: a test switch. */
enum story_plant {
	STORY_PLANT_NONE,
	STORY_PLANT_FORGED,          /* a packet that nobody sent is delivered */
	STORY_PLANT_CHANGED,         /* a byte of a delivered packet is another */
	STORY_PLANT_DOUBLED,         /* a packet is delivered twice */
	STORY_PLANT_MISDELIVERED,    /* a packet is delivered to another client */
	STORY_PLANT_TWICE_FORWARDED, /* a forwarded packet is forwarded again */
	STORY_PLANT_UNACCOUNTED,     /* a packet vanishes */
	STORY_PLANTS
};
const char *story_plant_name(enum story_plant plant);

struct story_options {
	uint64_t seed;
	uint64_t until;        /* TIME_NEVER: what the scenario says */
	struct record *record; /* NULL: no trace */
	enum story_plant plant;
	uint64_t plant_at; /* from this time on */
	/* Told each virtual second; false ends the run there (the result is then that of an interrupted run). NULL: nobody listens. */
	bool (*second)(void *ctx, uint64_t now, uint64_t until);
	/* Told each event before the machine sees it; for replay. Hosts are the nodes in order, then the clients. NULL: not. */
	bool (*event)(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content);
	/* Told what the timeline does to whom, when it takes effect. NULL: not. */
	void (*fault)(void *ctx, uint64_t now, enum scenario_verb verb, uint32_t host);
	/* Told each second's digest; false stops. NULL: not. */
	bool (*digest)(void *ctx, uint64_t now, uint64_t events, struct sim_digest digest);
	void *ctx;
};

enum story_verdict { STORY_OK, STORY_MISSED, STORY_NEVER_JUDGED };

struct story_expect {
	const struct scenario_expect *def;
	enum story_verdict verdict;
	char measured[160];
};

struct story_finding {
	uint64_t at;
	char rule[32];
	char text[240];
};

/* Where the packets of the load are. At every moment `sent` is the sum of all that follows. */
struct story_packets {
	uint64_t sent, delivered;
	uint64_t dropped;           /* by relays, with a reason of MET-006 */
	uint64_t dropped_by_client; /* from a client's own full queue (CLI-031) */
	uint64_t lost_crash, lost_forwarding, lost_stream;
	uint64_t queued;    /* in queues of machines, and of hosts whose CPU is busy */
	uint64_t in_flight; /* in streams, or read by a machine that waits for the rest of the frame */
	uint64_t nowhere;   /* a finding each: unaccounted, or they came changed or to another client */
};

struct story_client_view {
	const char *name;     /* acme/12/3 */
	const char *node;     /* of its connection: fra/1; NULL: it has none */
	bool connected, away; /* as clients.connected and clients.away count */
	uint32_t logins;
};

struct story_node_view {
	const char *name; /* fra/1 */
	bool up;
	uint32_t conns, links; /* as the metrics conns and mesh.links */
	uint64_t forwarded;
};

/* All draws of one key of one line. */
struct story_draw {
	const char *word, *key;
	uint32_t line;
	enum scenario_unit unit; /* NONE: a pick; the names are who was drawn */
	bool late;               /* drawn while the run went on: it is not known before */
	struct dist values;
	char name[20][40]; /* of the first 20: whose */
	uint64_t value[20];
};

struct story;

/* NULL: the scenario asks for something that this simulator has not; error says what, as FILE:LINE: text. */
struct story *story_new(const struct scenario *scenario, const struct story_options *options, struct key_cache *keys, char *error, size_t cap);
void story_run(struct story *st);
void story_free(struct story *st);

uint64_t story_until(const struct story *st);
uint64_t story_events(const struct story *st);
uint64_t story_now(const struct story *st);
struct sim_digest story_digest(const struct story *st);
bool story_interrupted(const struct story *st);
uint32_t story_clients(const struct story *st);
uint64_t story_connected(const struct story *st);
uint64_t story_delivered(const struct story *st);     /* packets */
struct story_packets story_packets(struct story *st); /* looks into every machine and stream: not for every event */
uint32_t story_nodes(const struct story *st);
struct story_client_view story_client(const struct story *st, uint32_t i); /* below story_clients */
struct story_node_view story_node(const struct story *st, uint32_t i);     /* below story_nodes */
uint32_t story_tailnets(const struct story *st);
const struct dist *story_failover_clients(const struct story *st);
const struct dist *story_failover_pairs(const struct story *st);
const struct dist *story_failover_first(const struct story *st); /* of these, where the first packet sent is the first delivered */
const struct dist *story_failover_later(const struct story *st); /* and where it was lost, or overtaken: until the next */
uint32_t story_expects(const struct story *st);
const struct story_expect *story_expect(const struct story *st, uint32_t i);
uint32_t story_findings(const struct story *st); /* all; the first STORY_FINDINGS_MAX are kept */
enum { STORY_FINDINGS_MAX = 100 };
const struct story_finding *story_finding(const struct story *st, uint32_t i);
uint32_t story_draws(const struct story *st);
const struct story_draw *story_draw(const struct story *st, uint32_t i);
bool story_good(const struct story *st); /* no finding, no missed expect */
/* A value in its unit, as a person writes it: "99.1%", "412ms", "21.5/s"; or to its last digit, for a scenario: "33.482915233s". */
size_t story_print_value(enum scenario_unit unit, uint64_t value, char *out, size_t cap);
size_t story_print_exact(enum scenario_unit unit, uint64_t value, char *out, size_t cap);

#endif
