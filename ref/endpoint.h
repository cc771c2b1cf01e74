/* What a relay serves over HTTP beside DERP: which endpoint a request is for, who may see it, and every answer that needs nothing
 * but the request.
 *
 * HTTP-003, HTTP-004, HTTP-035..HTTP-045. Paths are taken as the original's multiplexer takes them: cleaned ones serve, others are
 * redirected to their cleaned form, escapes in segments are resolved. No state; what depends on the relay is named for it to
 * answer. Limit: a request target of ENDPOINT_TARGET_MAX bytes.
 *
 * Not served: pprof, gc and the like of the original's runtime, ACME challenges (HTTP-044), a CONNECT proxy (HTTP-045). */
#ifndef REF_ENDPOINT_H
#define REF_ENDPOINT_H

#include "machine.h"
#include "reply.h"

enum { ENDPOINT_TARGET_MAX = 8192, ENDPOINT_ALLOW_MAX = 16, ENDPOINT_VALUE_MAX = 256 };

struct endpoint_site {
	const char *home;                         /* what / shows: "" the page, "blank", or a URL (HTTP-038) */
	const char *debug_key;                    /* opens /debug/ to GET with ?debugkey=; never empty, NULL: none */
	struct address allow[ENDPOINT_ALLOW_MAX]; /* who may see /debug/ too; ports do not matter */
	uint32_t allow_n;
	bool derp;     /* DERP is served (HTTP-041) */
	bool original; /* nothing of ours: no /healthz */
};

struct endpoint_call {
	const struct http_head *head;
	struct address remote; /* all zero: unknown (PGR-020) */
	bool tls;              /* came over TLS */
	bool helper;           /* at the plain port beside a TLS listener (HTTP-044) */
};

enum endpoint {
	ENDPOINT_REPLY,     /* the reply is complete */
	ENDPOINT_DERP,      /* /derp: an upgrade, or 426 (HTTP-002) */
	ENDPOINT_BOOTSTRAP, /* /bootstrap-dns */
	ENDPOINT_HEALTH,    /* /healthz: ours */
	/* below /debug/; the caller may see them */
	ENDPOINT_DEBUG,
	ENDPOINT_VARS,
	ENDPOINT_VARZ,
	ENDPOINT_CHECK,
	ENDPOINT_TRAFFIC
};

/* *reply is made here; the caller frees it also where the endpoint is another than ENDPOINT_REPLY. The reply points into the head. */
enum endpoint endpoint_route(const struct endpoint_site *site, const struct endpoint_call *call, struct reply *reply);

/* HTTP-043: loopback, a Tailscale address, an allowed one, or the key. */
bool endpoint_debug_allowed(const struct endpoint_site *site, const struct endpoint_call *call);
/* The first value of a query parameter, escapes resolved. False: there is none, or none that fits. */
bool endpoint_query(const struct http_head *head, const char *name, char out[ENDPOINT_VALUE_MAX]);

#endif
