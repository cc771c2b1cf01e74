/* One HTTP exchange of a network check: a latency measured over HTTPS (HOM-007), or the question for a captive portal (MAP-019).
 *
 *   LATENCY   GET /derp/latency-check over TLS from the region's first node that can be reached; timed is the request, not dialling
 *   BROWSER   the second of two HEAD /derp/probe on one connection over TLS to the region's first node
 *   PORTAL    GET /generate_204 with a challenge over plain HTTP from one address
 *
 * Names are asked for, both families of a node are dialled at once, the first to come wins. When it is over its connection is
 * aborted: what a relay says behind the head is of no interest. Its tokens are over when their CLOSED or ANSWER has come, which may be
 * after the fetch itself is gone. */
#ifndef REF_NETCHECK_FETCH_H
#define REF_NETCHECK_FETCH_H

#include "http.h"
#include "netcheck.h"
#include "netcheck_plan.h"

/* Tokens of a machine: one a slot, each busy until its last event. */
struct netcheck_tokens {
	uint64_t busy; /* a bit a slot */
	uint32_t slot_first, generation;
};
uint64_t netcheck_token_new(struct netcheck_tokens *t); /* TOKEN_NONE: all slots are busy */
void netcheck_token_over(struct netcheck_tokens *t, uint64_t token);
/* For two more? */
static inline bool netcheck_tokens_room(const struct netcheck_tokens *t) { return (~t->busy & (~t->busy - 1)) != 0; }

enum netcheck_fetch_kind { NETCHECK_LATENCY, NETCHECK_BROWSER, NETCHECK_PORTAL };
enum netcheck_fetch_state {
	NETCHECK_FETCH_NEW,
	NETCHECK_FETCH_DIALING,
	NETCHECK_FETCH_TLS,
	NETCHECK_FETCH_ASKED,
	NETCHECK_FETCH_DONE,
	NETCHECK_FETCH_FAILED
};

struct netcheck_fetch {
	enum netcheck_fetch_kind kind;
	enum netcheck_fetch_state state;
	const struct derp_region *region; /* LATENCY, BROWSER */
	uint32_t node;                    /* of the region, in use or tried */
	struct address to;                /* PORTAL */
	uint64_t dial[2];                 /* DIAL or ASK under way, by family; TOKEN_NONE */
	uint64_t conn;                    /* connection in use, TOKEN_NONE */
	bool v6;                          /* its family */
	bool portal;                      /* DONE: the answer was not that of a relay */
	uint32_t requests;                /* still to be sent */
	uint64_t deadline;                /* of the dialling; PORTAL: of the whole. TIME_NEVER: none */
	uint64_t asked, ns;               /* when the last request left; DONE: how long its answer took, at least 1 */
	struct http_reader http;
};

/* What a fetch works with. */
struct netcheck_fetcher {
	struct netcheck_tokens *tokens;
	struct actions *out;
	uint64_t now, dial_timeout, portal_timeout;
};

void netcheck_fetch_init(struct netcheck_fetch *f, enum netcheck_fetch_kind kind, const struct derp_region *region, const struct address *to);
/* From NEW on. It is NEW again if there is no room for its tokens. The region must live until the fetch is freed and its tokens are over. */
void netcheck_fetch_start(struct netcheck_fetch *f, const struct netcheck_fetcher *w);
bool netcheck_fetch_has(const struct netcheck_fetch *f, uint64_t token);
void netcheck_fetch_event(struct netcheck_fetch *f, const struct netcheck_fetcher *w, const struct event *e); /* of a token that it has */
void netcheck_fetch_timer(struct netcheck_fetch *f, const struct netcheck_fetcher *w);
/* Cancels what is under way and gives memory back. */
void netcheck_fetch_end(struct netcheck_fetch *f, const struct netcheck_fetcher *w);
static inline bool netcheck_fetch_over(const struct netcheck_fetch *f) { return f->state >= NETCHECK_FETCH_DONE; }

#endif
