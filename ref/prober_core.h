/* What the prober's files share. Internal.
 *
 * prober.c       the machine: its clients, and which check comes next
 * prober_pair.c  the checks that have two clients
 * prober_stun.c  STUN */
#ifndef REF_PROBER_CORE_H
#define REF_PROBER_CORE_H

#include "buf.h"
#include "config.h"
#include "histogram.h"
#include "prober.h"
#include "rng.h"

/* One of the two clients. */
struct prober_side {
	struct client *client; /* NULL: none */
	uint32_t uses, node;
	struct key public_key;
	struct actions up;
	uint32_t heard; /* of up */
	bool ready, secured;
	char server_name[256]; /* as asked for in TLS; "" if by address */
	uint32_t chain_n;
	uint64_t expires_s;
};

enum prober_state {
	PROBER_IDLE,
	PROBER_IN,        /* clients are logging in */
	PROBER_SETTLING,  /* both are, and the mesh is to learn of it */
	PROBER_AWAITED,   /* a packet is on its way */
	PROBER_CONFIRMED, /* it came; is there another one? */
	PROBER_FLOODING,
	PROBER_PACED,
	PROBER_ASKED, /* STUN */
	PROBER_LEAVING,
	PROBER_DONE
};

struct prober_config {
	uint64_t region, timeout, bandwidth, rate, rate_time;
	struct key mesh_key;
	bool plain, insecure;
	struct config_text proxy;
};

struct prober {
	struct machine machine;
	struct machine_env env;
	struct rng rng;
	const struct derp_map *map;
	struct prober_config config;
	char *proxy;
	uint32_t slot_first, turn_max, low_water;
	uint64_t wall_ns, socket[2]; /* by family, IPv6 second */
	struct actions *out, *up;    /* of the step under way */
	bool hearing;
	/* where we are */
	enum prober_state state;
	uint32_t region, at; /* at: first each node and its STUN, then each pair */
	bool *in;            /* which nodes of the region let us in */
	struct prober_side side[2];
	struct prober_result now; /* of the check under way */
	uint64_t began, deadline, due;
	/* checks of two */
	uint8_t sent_bytes[8];
	uint64_t sent, got, sent_n, got_n; /* packets, bytes */
	uint64_t *sent_at;                 /* DELAY: TIME_NEVER once it came */
	struct histogram delay;
	uint8_t txid[12]; /* STUN */
	/* what came out */
	struct prober_result *result;
	uint32_t results, results_cap, failed;
};

enum { PROBER_PACKET = 8, PROBER_FLIGHT = 30, PROBER_DELAY_PACKET = 260 };
#define PROBER_SETTLE (100 * NS_MS)
#define PROBER_LATE (5 * NS_S)
#define PROBER_STUN_WAIT (2 * NS_S)

/* prober.c */
const struct derp_region *prober_region(const struct prober *p);
/* The check under way is over: the result is told, clients leave, the next one follows. */
void prober_over(struct prober *p, uint64_t now, enum prober_verdict verdict, const char *why);
/* The same, but the clients go on with another check. */
void prober_tell(struct prober *p, enum prober_verdict verdict, const char *why);
void prober_command(struct prober *p, uint64_t now, uint32_t side, const struct event_command *command);

/* prober_pair.c */
void prober_pair_ready(struct prober *p, uint64_t now);
void prober_pair_packet(struct prober *p, uint64_t now, uint32_t side, const struct action *x);
void prober_pair_confirmed(struct prober *p, uint64_t now, bool answered);
void prober_pair_timer(struct prober *p, uint64_t now);

/* prober_stun.c */
void prober_stun_start(struct prober *p, uint64_t now);
void prober_stun_timer(struct prober *p, uint64_t now);
void prober_stun_answer(struct prober *p, const struct event *e);

#endif
