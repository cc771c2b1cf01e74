/* SHA-1 and base64, as the WebSocket handshake wants them (RFC 6455, 4.2.2, HTTP-028): the only file that touches nettle.
 *
 * SHA-1 proves here that the peer has read the request, nothing more; no secret depends on it. nettle, since libsodium has no SHA-1 and
 * OpenSSL is for TLS only; both functions are pure. */
#ifndef REF_DIGEST_H
#define REF_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SHA1 = 20 };

void digest_sha1(const void *p, size_t n, uint8_t out[DIGEST_SHA1]);
/* Characters of n bytes in base64 with padding, without a NUL. */
static inline size_t digest_base64_n(size_t n) { return (n + 2) / 3 * 4; }
void digest_base64(const void *p, size_t n, char *out);

#endif
