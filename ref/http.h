/* HTTP/1.1 as far as DERP needs it: heads of requests and responses, both sides.
 *
 * HTTP-001..HTTP-010, HTTP-016..HTTP-018, HTTP-026..HTTP-029, HTTP-032. Incremental parsers over spans; a head is gathered only while it is incomplete. Limits:
 * HTTP_HEAD_MAX bytes a head, HTTP_FIELDS_MAX header fields. Bodies are the caller's. */
#ifndef REF_HTTP_H
#define REF_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 100 };

struct http_text {
	const char *p;
	uint32_t n;
};
struct http_field {
	struct http_text name, value; /* value without blanks around */
};
struct http_head {
	struct http_text method, target; /* request */
	uint32_t minor;                  /* HTTP/1.minor, 0 or 1 */
	uint32_t status;                 /* response */
	struct http_field field[HTTP_FIELDS_MAX];
	uint32_t fields;
};

enum http_result { HTTP_MORE, HTTP_READY, HTTP_BAD, HTTP_TOO_LONG };

/* Gathers a head. Owns memory only while a head is incomplete. */
struct http_reader {
	uint8_t *held;
	uint32_t held_n, held_cap;
	bool response;
};
void http_reader_init(struct http_reader *r, bool response);
void http_reader_free(struct http_reader *r);
/* Takes bytes from *p,*n up to and including the blank line; what follows stays in *p,*n (HTTP-006). On READY, head points into
 * the span or the reader and is valid until the next call or free. Our reading of odd requests is the original's where a rule
 * fixes it (HTTP-002, HTTP-003). */
enum http_result http_read(struct http_reader *r, const uint8_t **p, size_t *n, struct http_head *head);

const struct http_text *http_field(const struct http_head *head, const char *name);     /* first one, name in any case; NULL */
bool http_has_token(const struct http_head *head, const char *name, const char *token); /* in the lists of all fields of that name */
bool http_text_is(struct http_text t, const char *s);                                   /* exactly */
bool http_text_is_nocase(struct http_text t, const char *s);

/* What a relay makes of the head of a request to /derp; other paths are endpoint.h's. */
enum http_upgrade { HTTP_UPGRADE_NONE, HTTP_UPGRADE_DERP, HTTP_UPGRADE_DERP_FAST /* HTTP-008 */, HTTP_UPGRADE_WEBSOCKET };
struct http_request {
	enum http_upgrade upgrade;
	bool ideal_node;             /* HTTP-018: a non-empty Ideal-Node; never over WebSocket (HTTP-032) */
	bool subprotocol;            /* WebSocket: exactly `derp` is among those offered (HTTP-026, HTTP-029) */
	struct http_text accept_key; /* WebSocket: Sec-WebSocket-Key, HTTP_WEBSOCKET_KEY characters, in the head */
	const char *extra;           /* a refusal's header lines, or NULL: for http_answer */
};
/* Of a request to /derp. Status 0: serve the upgrade that out says; else answer with this status (426, ...). */
uint32_t http_request_judge(const struct http_head *head, struct http_request *out);

enum { HTTP_OUT_MAX = 2048 };
/* The 101 response of HTTP-005 with the relay's public key. */
uint32_t http_upgrade_response(char out[HTTP_OUT_MAX], const uint8_t public_key[32]);
/* A complete answer with a short text body, `Connection: close` unless keep_alive. extra: header lines ended by CR LF, or NULL. */
uint32_t http_answer(char out[HTTP_OUT_MAX], uint32_t status, const char *extra, const char *body, bool keep_alive);
/* The client's request of HTTP-001, HTTP-008, HTTP-017, chapter 2.5. host: Host header as is (name or name:port). ideal: NULL or
 * the node's name. Returns 0 if it does not fit. */
uint32_t http_upgrade_request(char out[HTTP_OUT_MAX], const char *host, const char *path, bool fast, const char *ideal);

/* ---- the handshake of RFC 6455, chapter 4 ---- */

enum { HTTP_WEBSOCKET_NONCE = 16, HTTP_WEBSOCKET_KEY = 24 };
/* The relay's 101 response to a request that http_request_judge took for WebSocket. No Derp-* headers (HTTP-032), no extensions. */
uint32_t http_websocket_response(char out[HTTP_OUT_MAX], const struct http_request *request);
/* The client's request; nonce: drawn by the client, for this request only. Returns 0 if it does not fit. */
uint32_t http_websocket_request(char out[HTTP_OUT_MAX], const char *host, const char *path, const uint8_t nonce[HTTP_WEBSOCKET_NONCE]);
/* Is this the relay's consent to that request? */
bool http_websocket_accepted(const struct http_head *head, const uint8_t nonce[HTTP_WEBSOCKET_NONCE]);
const char *http_status_text(uint32_t status);

#endif
