/* An HTTP response as the original's server writes it: its own header fields in the order of their names, then the server's.
 *
 * HTTP-035..HTTP-044 fix the contents; the recorded sessions fix the order: what an endpoint sets is sorted, then Date,
 * Content-Length, a guessed Content-Type and Connection follow. A reply owns its body until it is written. */
#ifndef REF_REPLY_H
#define REF_REPLY_H

#include "buf.h"
#include "http.h"

enum {
	REPLY_ANY_ORIGIN = 1,    /* Access-Control-Allow-Origin: * */
	REPLY_NO_CACHE = 2,      /* Cache-Control of HTTP-036 */
	REPLY_SAY_CLOSE = 4,     /* the endpoint's own Connection: close (HTTP-042) */
	REPLY_BROWSER = 8,       /* the hardening headers (HTTP-040) */
	REPLY_NO_SNIFF = 16,     /* X-Content-Type-Options alone: error texts */
	REPLY_TYPE_GUESSED = 32, /* Content-Type stands behind the date, and only beside a body */
	REPLY_CHUNKED = 64,      /* the body follows in chunks, for as long as it likes */
	REPLY_UNTIL_CLOSE = 128, /* the body follows, and ends with the connection */
	REPLY_STYLES = 256,      /* with REPLY_BROWSER: pages may style themselves (below /debug/) */
	REPLY_BARE = 512         /* a refusal: its text is status line and body, little else; the connection ends */
};

struct reply {
	uint32_t status;
	uint32_t with;              /* REPLY_ bits */
	const char *type;           /* Content-Type, or NULL */
	char *location;             /* or NULL */
	const char *extra;          /* header lines for a refused WebSocket, or NULL */
	struct http_text challenge; /* X-Tailscale-Response: response CHALLENGE; in the request's head; n 0: none */
	char *body;
	size_t n, cap;
};

void reply_init(struct reply *r, uint32_t status, const char *type, uint32_t with);
void reply_free(struct reply *r);
void reply_put(struct reply *r, const void *p, size_t n); /* behind the body so far */
void reply_format(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text of one line and a line feed, as errors are told. Replaces what the reply was. */
void reply_error(struct reply *r, uint32_t status, const char *line);
/* What the original says of requests that it cannot read: "400 Bad Request", with ": WHY" behind it or (NULL) not. */
void reply_refuse(struct reply *r, uint32_t status, const char *why);
/* To the URL; bytes above ASCII are escaped in it. GET gets a link as body; GET and HEAD a type. `with` stays. */
void reply_redirect(struct reply *r, uint32_t status, const char *url, size_t n, struct http_text method);

/* The whole response: head and, unless head_only, body. close: say so, unless the endpoint has. wall_s: Unix time. The caller
 * owns the packet's count. */
struct packet *reply_write(const struct reply *r, bool head_only, bool close, uint64_t wall_s);

enum { REPLY_DATE = 30 };
/* "Mon, 23 Nov 2026 12:55:05 GMT"; returns out. */
const char *reply_date(uint64_t wall_s, char out[REPLY_DATE]);

#endif
