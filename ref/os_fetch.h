/* URLs without waiting: libcurl's multi interface in the loop, and the only file that knows it.
 *
 * http and https only, also where a redirect leads to. A redirect is followed as the original's client does: 301, 302 and 303 turn a POST
 * into a GET, 307 and 308 repeat it; OS_FETCH_HOPS at most (RAT-015). Connections are kept and used again; more than OS_FETCH_CONNECTIONS
 * at once wait for each other. Certificates are verified by the system's store. */
#ifndef REF_OS_FETCH_H
#define REF_OS_FETCH_H

#include "machine.h"
#include "os_loop.h"

enum { OS_FETCH_HOPS = 9, OS_FETCH_CONNECTIONS = 64 };

struct os_fetch;
struct os_fetch_call;

struct os_fetch_request {
	const char *url;     /* as everything here, for the call of os_fetch_start only */
	const uint8_t *body; /* NULL: GET; else POST of body_n bytes, without a content type (RAT-014) */
	uint32_t body_n;
	uint32_t answer_max; /* of a longer answer the first so many bytes are told, or, with `whole`, it fails */
	bool whole;
	uint64_t patience_ns; /* for all of it */
};

struct os_fetch_answer {
	uint32_t status; /* of the last answer; 0: there was none, and `why` says why */
	const uint8_t *p;
	uint32_t n;
	const char *why; /* NULL: it is whole */
};

/* NULL: libcurl does not start. The loop outlives it. */
struct os_fetch *os_fetch_new(struct os_loop *loop);
/* Nobody is called any more. */
void os_fetch_free(struct os_fetch *fetch);
/* `done` is called once, later; what it is given lives for the call. */
struct os_fetch_call *os_fetch_start(struct os_fetch *fetch, const struct os_fetch_request *request,
                                     void (*done)(void *ctx, const struct os_fetch_answer *answer), void *ctx);
/* `done` will not be called. Only before it was. */
void os_fetch_cancel(struct os_fetch_call *call);

#endif
