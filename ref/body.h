/* The body of an HTTP request, which no endpoint of a relay wants: how long it is, and skipping it.
 *
 * RFC 9112 section 6. An upgrade has no body: whatever its head says, DERP begins behind it (HTTP-003), and none of this is asked.
 * Nothing is kept of a body; one of more than BODY_MAX bytes, framing included, is not skipped but ends the connection. */
#ifndef REF_BODY_H
#define REF_BODY_H

#include "http.h"

enum { BODY_MAX = 262144 };

enum body_state { BODY_OVER, BODY_BYTES, BODY_SIZE, BODY_EXTENSION, BODY_CHUNK, BODY_CHUNK_END, BODY_TRAILER, BODY_LINE };
struct body {
	enum body_state state; /* BODY_OVER: nothing, or nothing more, to skip */
	uint32_t left;         /* of the bytes or of the chunk under way */
	uint32_t total;        /* skipped so far */
	bool digits;           /* of the chunk's size: there was one */
};

/* What the head says of its body. Status 0: *b is to be skipped behind the answer; else an error (400, 501). *too_long: there is
 * more than will be skipped, or the client waits for a word before it sends (Expect): answer and close. */
uint32_t body_begin(struct body *b, const struct http_head *head, bool *too_long);

enum body_result { BODY_MORE, BODY_DONE, BODY_BAD };
/* Takes the body's bytes from *p,*n; what follows stays. BAD: broken framing or longer than BODY_MAX. */
enum body_result body_skip(struct body *b, const uint8_t **p, size_t *n);

#endif
