/* A token bucket: how much may pass now, and how long the next must wait. For receive limits and the accept limiter.
 *
 * RAT-001..RAT-006, RAT-012. Waiting is the owner's business. Integers only, and exact: a bucket counts tokens times nanoseconds. */
#ifndef REF_LIMIT_H
#define REF_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limit {
	uint64_t rate;  /* tokens a second; 0: no limit */
	uint64_t burst; /* tokens in a full bucket; at least 1 where rate is not 0 */
};

/* All zero: full. */
struct limit_bucket {
	uint64_t owed; /* what lacks to a full bucket, in tokens x ns, at the time `at` */
	uint64_t at;
};

/* Takes n <= burst tokens, also those that are not there yet, and returns after how many ns they are; 0: now. The owner takes
 * nothing more before that. Bursts above LIMIT_BURST_MAX hold that much. */
uint64_t limit_take(const struct limit *l, struct limit_bucket *b, uint64_t now, uint32_t n);
/* Takes one token if there is one. */
bool limit_allow(const struct limit *l, struct limit_bucket *b, uint64_t now);
#define LIMIT_BURST_MAX (UINT64_C(1) << 33)

enum { LIMIT_RECEIVE_MIN = 65568 /* the largest SendPacket: RAT-004 */ };

/* The JSON of a rate file (RAT-001, chapter 4.4) as what is in force: without a rate no burst, else a burst of LIMIT_RECEIVE_MIN
 * or more. False: `error` says why, *out is untouched. */
bool limit_parse(const char *json, size_t n, struct limit *out, char error[200]);

#endif
