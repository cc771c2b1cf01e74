/* What the libraries read and write, told to MemorySanitizer, which sees only what is compiled with it: each function that ref/ calls
 * is wrapped (-Wl,--wrap). What goes in must be set; what comes out is. Linked by .ci/msan alone. */
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <sanitizer/msan_interface.h>
#include <sodium.h>
#include <wslay/wslay.h>

#define WRAPS(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)
#define IN(p, n) __msan_check_mem_is_initialized(p, n)
#define OUT(p, n) __msan_unpoison(p, n)

/* ---- libsodium ---- */

WRAPS(int, crypto_scalarmult_base, unsigned char *q, const unsigned char *n)
{
	IN(n, crypto_scalarmult_SCALARBYTES);
	OUT(q, crypto_scalarmult_BYTES);
	return __real_crypto_scalarmult_base(q, n);
}
WRAPS(int, crypto_box_beforenm, unsigned char *k, const unsigned char *pk, const unsigned char *sk)
{
	IN(pk, crypto_box_PUBLICKEYBYTES);
	IN(sk, crypto_box_SECRETKEYBYTES);
	OUT(k, crypto_box_BEFORENMBYTES);
	return __real_crypto_box_beforenm(k, pk, sk);
}
WRAPS(int, crypto_box_easy_afternm, unsigned char *c, const unsigned char *m, unsigned long long n, const unsigned char *nonce, const unsigned char *k)
{
	IN(m, n);
	IN(nonce, crypto_box_NONCEBYTES);
	IN(k, crypto_box_BEFORENMBYTES);
	OUT(c, n + crypto_box_MACBYTES);
	return __real_crypto_box_easy_afternm(c, m, n, nonce, k);
}
WRAPS(int, crypto_box_open_easy_afternm, unsigned char *m, const unsigned char *c, unsigned long long n, const unsigned char *nonce,
      const unsigned char *k)
{
	int failed;

	IN(c, n);
	IN(nonce, crypto_box_NONCEBYTES);
	IN(k, crypto_box_BEFORENMBYTES);
	failed = __real_crypto_box_open_easy_afternm(m, c, n, nonce, k);
	if (failed == 0) OUT(m, n - crypto_box_MACBYTES);
	return failed;
}
WRAPS(int, crypto_stream_chacha20_xor_ic, unsigned char *c, const unsigned char *m, unsigned long long n, const unsigned char *nonce, uint64_t ic,
      const unsigned char *k)
{
	IN(m, n);
	IN(nonce, crypto_stream_chacha20_NONCEBYTES);
	IN(k, crypto_stream_chacha20_KEYBYTES);
	OUT(c, n);
	return __real_crypto_stream_chacha20_xor_ic(c, m, n, nonce, ic, k);
}
WRAPS(int, crypto_generichash_update, crypto_generichash_state *state, const unsigned char *p, unsigned long long n)
{
	IN(p, n);
	return __real_crypto_generichash_update(state, p, n);
}
WRAPS(int, crypto_generichash_final, crypto_generichash_state *state, unsigned char *out, const size_t n)
{
	OUT(out, n);
	return __real_crypto_generichash_final(state, out, n);
}
WRAPS(int, sodium_memcmp, const void *a, const void *b, size_t n)
{
	IN(a, n);
	IN(b, n);
	return __real_sodium_memcmp(a, b, n);
}
WRAPS(void, sodium_memzero, void *p, const size_t n)
{
	OUT(p, n);
	__real_sodium_memzero(p, n);
}

/* ---- nettle ---- */

WRAPS(void, nettle_sha1_update, struct sha1_ctx *ctx, size_t n, const uint8_t *p)
{
	IN(p, n);
	__real_nettle_sha1_update(ctx, n, p);
}
WRAPS(void, nettle_sha1_digest, struct sha1_ctx *ctx, size_t n, uint8_t *out)
{
	OUT(out, n);
	__real_nettle_sha1_digest(ctx, n, out);
}
WRAPS(void, nettle_base64_encode_raw, char *out, size_t n, const uint8_t *p)
{
	IN(p, n);
	OUT(out, BASE64_ENCODE_RAW_LENGTH(n));
	__real_nettle_base64_encode_raw(out, n, p);
}

/* ---- wslay: what it hands to the callbacks of ref/websocket.c was given by them or is its own ---- */

WRAPS(int, wslay_frame_context_init, wslay_frame_context_ptr *ctx, const struct wslay_frame_callbacks *callbacks, void *user)
{
	OUT(ctx, sizeof *ctx);
	return __real_wslay_frame_context_init(ctx, callbacks, user);
}
WRAPS(ssize_t, wslay_frame_recv, wslay_frame_context_ptr ctx, struct wslay_frame_iocb *iocb)
{
	ssize_t n = __real_wslay_frame_recv(ctx, iocb);

	OUT(iocb, sizeof *iocb);
	if (n > 0) OUT((void *)(uintptr_t)iocb->data, iocb->data_length);
	return n;
}
WRAPS(ssize_t, wslay_frame_send, wslay_frame_context_ptr ctx, struct wslay_frame_iocb *iocb)
{
	IN(iocb->data, iocb->data_length);
	return __real_wslay_frame_send(ctx, iocb);
}
