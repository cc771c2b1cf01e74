/* Names that clients ask a relay for when their own DNS is broken, and what they resolve to (HTTP-042).
 *
 * The owner asks for each name every ten minutes, tells what came, and finishes the round; then the lists are shuffled, so that no
 * client keeps to the first address. A name that cannot be asked for keeps what it had. Published names are answered together;
 * an unpublished one only to who asks for it by name, and of those to a share of the source addresses. The original reads that
 * share from a TXT record; ours from the configuration.
 *
 * Limits: BOOTSTRAP_NAMES_MAX names of both lists together, BOOTSTRAP_ADDRESSES_MAX addresses of each family a name. */
#ifndef REF_BOOTSTRAP_H
#define REF_BOOTSTRAP_H

#include "machine.h"
#include "reply.h"
#include "rng.h"

enum { BOOTSTRAP_NAMES_MAX = 16, BOOTSTRAP_ADDRESSES_MAX = 8, BOOTSTRAP_NAME_SIZE = 254 };
#define BOOTSTRAP_EVERY_NS (600 * NS_S)
#define BOOTSTRAP_PATIENCE_NS (60 * NS_S) /* for the answers of a round */

struct bootstrap_name {
	char name[BOOTSTRAP_NAME_SIZE];
	bool published;
	uint8_t percent; /* unpublished: of the source addresses */
	uint8_t n[2];    /* by family: IPv4, IPv6 */
	struct address v[2][BOOTSTRAP_ADDRESSES_MAX];
	uint8_t order[2 * BOOTSTRAP_ADDRESSES_MAX]; /* shuffled: places in v[0] and, behind them, v[1] */
};

struct bootstrap_counters { /* MET-004 */
	uint64_t requests, published_hits, published_misses, unpublished_hits, unpublished_misses, unpublished_percent_misses;
};

struct bootstrap {
	struct bootstrap_name *name; /* sorted */
	uint32_t names;
	bool any;           /* there are published names at all */
	struct reply known; /* its body: the published names as JSON, once a round is finished */
	struct bootstrap_counters count;
};

/* Reads the two comma-separated lists, of which the second may say NAME/PERCENT; all zero before. False: `error` says why. */
bool bootstrap_init(struct bootstrap *b, const char *published, size_t published_n, const char *unpublished, size_t unpublished_n, char error[200]);
void bootstrap_free(struct bootstrap *b);
/* What a name resolves to now; family 0: IPv4, 1: IPv6. More than the limit are left out. */
void bootstrap_resolved(struct bootstrap *b, uint32_t name, uint32_t family, const struct address *v, uint32_t n);
void bootstrap_finish(struct bootstrap *b, struct rng *rng);
/* query: the name asked for, or NULL. */
void bootstrap_reply(struct bootstrap *b, const char *query, const struct address *remote, struct reply *reply);
uint64_t bootstrap_memory(const struct bootstrap *b);

#endif
