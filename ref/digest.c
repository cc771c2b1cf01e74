/* nettle, and nothing else of it than two pure functions. */
#include "digest.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>

_Static_assert(DIGEST_SHA1 == SHA1_DIGEST_SIZE, "160 bits");

void digest_sha1(const void *p, size_t n, uint8_t out[DIGEST_SHA1])
{
	struct sha1_ctx ctx;

	sha1_init(&ctx);
	sha1_update(&ctx, n, p);
	sha1_digest(&ctx, DIGEST_SHA1, out);
}

void digest_base64(const void *p, size_t n, char *out) { base64_encode_raw(out, n, p); }
