/* What the files of a story share. Internal. */
#ifndef SIM_STORY_CORE_H
#define SIM_STORY_CORE_H

#include "../ref/client.h"
#include "../ref/keymap.h"
#include "../ref/mesh.h"
#include "../ref/relay.h"
#include "ledger.h"
#include "prng.h"
#include "record.h"
#include "story.h"

enum { NOBODY = UINT32_MAX, LINKS_MAX = 63, NAME_MAX_LEN = 64, ORDER_MAX = 64 };

struct place {
	int32_t lat_udeg, lon_udeg;
	uint32_t city; /* NOBODY: none of the table */
};

/* A line of the timeline, and its how-manieth firing, from 0. */
struct story_cause {
	uint32_t act, firing;
};

/* A directed link of the mesh as its dialer knows it. */
struct story_link {
	uint32_t to;    /* node */
	bool up;        /* logged in and subscribed */
	uint32_t boots; /* of the other node when it came up: a link to a process that is gone is none */
};

struct story_node {
	char name[NAME_MAX_LEN];
	uint32_t region, index; /* of the scenario; from 1 */
	uint32_t boots;
	bool up;
	bool falling;               /* its crash waits for the end of a step */
	struct story_cause fell;    /* of the last crash */
	enum scenario_verb fell_as; /* likewise */
	struct place place;
	struct scenario_settings settings;
	struct cost_table cost;
	struct key key;
	uint32_t *session; /* by slot of the token: the client that is registered, NOBODY */
	uint32_t sessions;
	uint32_t conns;       /* clients registered */
	uint64_t conns_start; /* before the first line of the timeline */
	uint64_t links_start;
	struct story_link link[LINKS_MAX];
	uint32_t links;
	uint64_t forwarded, dropped, delivered; /* packets */
	uint64_t cpu_told, handshake_told;      /* for the series */
};

struct story_region {
	const struct scenario_region *def;
	struct derp_region map; /* as clients see it: the nodes that take part */
	uint32_t first, nodes;  /* in node[] */
	struct place place;
};

struct story_tailnet {
	const struct scenario_tailnet *def;
	uint32_t def_index, copy; /* from 1 */
	char name[NAME_MAX_LEN];
	uint32_t first, clients;
};

struct story_client {
	char *name; /* "acme/12/3" */
	struct key key, public_key;
	uint32_t tailnet, index; /* from 1 */
	uint32_t region;
	struct place place;
	uint64_t access_ns;
	uint64_t join_at, return_ns; /* SCENARIO_NEVER: it does not */
	bool ready;                  /* holds a connection that is logged in, as it believes */
	bool alive;                  /* which is registered at the other end, on a host that runs */
	bool away;                   /* on another than its first node */
	bool gone;                   /* left */
	bool closing;                /* its relay has been told to close it, and has not yet */
	struct story_cause closes;
	uint32_t node; /* of that connection */
	uint64_t token, peer_token;
	uint32_t logins;
	uint64_t fault_at; /* waits since then for a new connection; TIME_NEVER */
	uint32_t fault_node;
	uint64_t hit_at; /* of the last fault that took its connection; 0: none */
	struct prng disco;
	uint32_t disco_call, boot_call;
};

/* A pair of clients that a fault hit: from its first packet after it to the first delivered. */
struct story_pair {
	uint64_t key; /* smaller client << 32 | larger; 0 = empty slot */
	uint64_t hit_at, sent_at;
	bool open;
};

struct story_flow {
	uint32_t from, to, call;
	uint64_t end_at;
};

struct story_load {
	const struct scenario_load *def;
	struct story *st;
	char word[40];
	uint64_t interval_ns;
	uint64_t begin, till;
	struct prng prng;
	uint64_t *pairs_before; /* bulk: pairs of the tailnets before, for a uniform pick */
	uint64_t pairs;
	struct story_flow *flow;
	uint32_t flows;
};

struct story_window {
	uint64_t at;
	bool done;
};

struct story_rate {
	uint64_t at, n;
};

struct story_judge {
	struct story_expect result;
	struct story_window *window;
	uint32_t windows, windows_cap, first_open;
	uint64_t from_at; /* FROM: judged from then on; TIME_NEVER */
	uint32_t call;
	bool judged, broken, held;
	bool due;                 /* to be looked at when this instant is over */
	uint64_t worst, worst_at; /* value */
	uint64_t longest;         /* WITHIN: until it was true */
	uint64_t counter;         /* rates: at the last look */
	struct story_rate *rate;
	uint32_t rate_head, rate_n, rate_cap;
	uint64_t rate_sum;
	bool since_come; /* the event of `since` */
	uint64_t since;  /* counter at that event */
};

struct carry {
	uint32_t host;
	uint64_t token;
	uint8_t bytes[LEDGER_HEAD];
	uint32_t n;
};

struct story {
	const struct scenario *scenario;
	struct story_options options;
	struct key_cache *keys;
	struct sim *sim;
	struct record *record;
	struct ledger *ledger;
	uint64_t until;
	bool running, interrupted;

	struct story_region *region;
	uint32_t regions;
	struct story_node *node;
	uint32_t nodes;
	struct story_tailnet *tailnet;
	uint32_t tailnets;
	struct story_client *client;
	uint32_t clients;
	struct keymap by_key;
	char mesh_key[KEY_HEX + 1];

	struct story_load *load;
	uint32_t loads;

	/* the timeline */
	struct story_fire *fire;
	uint32_t fires, fires_cap;
	struct story_deed *deed;
	uint32_t deeds, deeds_cap, deeds_free;
	bool begun; /* the first line has fired */

	/* truth */
	uint64_t connected, zombies, away, reconnects, forwarded, forwarded_delivered, delivered;
	uint64_t drops[DROP_REASONS], dropped_by_client;
	struct dist failover_client, failover_pair;
	struct dist failover_first, failover_later; /* the pairs in two: by their first packet, or by a later one */
	struct story_pair *pair;
	uint32_t pairs, pairs_mask;
	bool hit; /* a fault has happened: packets are looked at for pairs */

	/* judging */
	struct story_judge *judge;
	uint32_t judges;
	uint32_t wanted; /* bits of dirt that somebody judges at every moment */
	uint32_t dirt;

	struct story_finding finding[STORY_FINDINGS_MAX];
	uint32_t findings, found[SCENARIO_NOTHINGS];
	struct story_draw *draw;
	uint32_t draws, draws_cap;
	uint32_t second_call, census_call;

	/* census */
	uint64_t faulty[STORY_FINDINGS_MAX]; /* numbers of open packets that a finding has named already */
	uint32_t faulties;
	struct carry *carry;
	uint32_t carries, carries_cap;
	bool planted;
	uint8_t plant_copy[LEDGER_SIZE_MAX];
};

/* What may have changed. */
enum { DIRT_CLIENTS = 1, DIRT_MESH = 2, DIRT_PACKETS = 4, DIRT_FAILOVER = 8, DIRT_ALL = 15 };

static inline void story_dirty(struct story *st, uint32_t what)
{
	if ((st->wanted & what) == 0) return;
	st->dirt |= what;
	sim_moment(st->sim);
}
static inline uint32_t client_host(const struct story *st, uint32_t client) { return st->nodes + client; }
static inline bool host_is_node(const struct story *st, uint32_t host) { return host < st->nodes; }

/* A value of an amount for the entity `name`: as it is, or drawn from the stream of (seed, name, line, key), and noted. */
uint64_t story_take(struct story *st, const char *name, const struct scenario_line *line, const char *key, const struct scenario_amount *amount);
struct prng story_stream(const struct story *st, const char *name, const struct scenario_line *line, const char *key);
void story_draw_note(struct story *st, const char *name, const struct scenario_line *line, const char *key, enum scenario_unit unit, uint64_t value);
void story_found(struct story *st, enum scenario_nothing what, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "packet 7.2 of 124 B from acme/5/3 to acme/5/1, sent at 29.97s", as far as p,n tells; 7.2 is the second packet in slot 7. */
enum { PACKET_TEXT = 200 };
void story_packet_text(const struct story *st, const struct ledger_packet *packet, char out[PACKET_TEXT]);
void story_client_name(const struct story *st, uint32_t client, char out[NAME_MAX_LEN]);

/* story_world.c */
bool world_build(struct story *st, char *error, size_t cap);
void world_hosts(struct story *st);
void world_free(struct story *st);
struct machine *world_make(void *ctx, uint32_t host, const struct machine_env *env);
size_t world_configure(void *ctx, uint32_t host, char *out, size_t cap);
void world_path(void *ctx, uint32_t from, uint32_t to, struct sim_path *out);
/* coordinator.c: the order of nodes that a client is told (REG-004) */
void coordinator_order(const struct story *st, uint32_t client, uint32_t *order);

/* story_load.c */
bool load_build(struct story *st, char *error, size_t cap);
void load_start(struct story *st);
void load_free(struct story *st);

/* story_act.c */
bool act_build(struct story *st, char *error, size_t cap);
void act_free(struct story *st);
void act_down(struct story *st, uint32_t node, enum sim_crash how); /* a crash took effect */
void act_left(struct story *st, uint32_t client);                   /* its relay has let go of its connection */

/* story_truth.c */
void truth_login(struct story *st, uint32_t node, const struct note *note);
void truth_leave(struct story *st, uint32_t node, const struct note *note);
void truth_mesh(struct story *st, uint32_t node, const struct note *note);
void truth_ready(struct story *st, uint32_t client, uint64_t token);
void truth_disconnected(struct story *st, uint32_t client, uint64_t token, uint64_t why);
void truth_down(struct story *st, uint32_t node);
void truth_hit(struct story *st, uint32_t client); /* a fault takes its connection */
void truth_pair_sent(struct story *st, uint32_t a, uint32_t b);
void truth_pair_delivered(struct story *st, uint32_t a, uint32_t b, uint64_t sent_at);
void truth_end(struct story *st);
uint64_t truth_links(const struct story *st, uint32_t node);
uint32_t truth_client_of_key(const struct story *st, const uint8_t *key);

/* story_metric.c */
bool metric_supported(const struct story *st, const struct scenario_expect *expect, char *error, size_t cap);
uint32_t metric_dirt(enum scenario_metric metric);
/* The value in the unit of the condition; false: there is none yet. With `per`, that member for which the condition is furthest from true. */
bool metric_measure(struct story *st, struct story_judge *j, uint64_t *value);
void metric_since(struct story *st, struct story_judge *j);
bool metric_holds(const struct scenario_condition *c, uint64_t value);
bool metric_worse(const struct scenario_condition *c, uint64_t a, uint64_t b); /* is a further from true than b? */
void metric_start(struct story *st);                                           /* the values that % is of */
bool set_has_client(const struct story *st, const struct scenario_set *set, uint32_t client);
bool set_has_node(const struct story *st, const struct scenario_set *set, uint32_t node);

/* story_check.c */
bool check_build(struct story *st, char *error, size_t cap);
void check_free(struct story *st);
void check_line(struct story *st); /* a line of the timeline fires */
/* Something happened: verb or kind, to `node` or `client` (NOBODY), caused by act (NOBODY). */
void check_event(struct story *st, enum scenario_event_kind kind, enum scenario_verb verb, uint32_t act, bool end, uint32_t node, uint32_t client);
void check_moment(struct story *st);
void check_all(struct story *st);
void check_end(struct story *st);

/* story_census.c */
void census_lost(void *ctx, const struct sim_loss *loss, const uint8_t *p, uint32_t n);
void census_cut(struct story *st, uint32_t host, const struct note *note);
void census_down(struct story *st, uint32_t node); /* its machine dies with what it holds */
void census_take(struct story *st);                /* every open packet is somewhere */
void census_free(struct story *st);

#endif
