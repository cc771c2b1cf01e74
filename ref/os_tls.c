/* OpenSSL behind a BIO of our own, whose writes never block: a stream keeps what the kernel refused. */
#include "os_tls.h"

#include "address.h"
#include "buf.h"
#include "key.h"
#include "os_loop.h"
#include "os_tls_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
	RECORD_MAX = 16384,
	REST_MAX = 256 << 10, /* refused by the kernel: a record, a flight of the handshake, answers to a peer that does not read */
	READS_MAX = 4,        /* system calls for one os_tls_read: a peer may send records without bytes for ever */
	REMEMBERED_MAX = 32
};
#define LOOK_NS NS_S
#define TICKET_KEY_NS (86400 * NS_S)

/* A ticket for a server. */
struct remembered {
	uint64_t id, used;
	char name[256]; /* as SNI */
	struct address to;
	SSL_SESSION *session;
};

struct os_tls {
	struct tls_certificate own; /* of the server; hostname NULL: there is none */
	char *ca_file;
	uint16_t version_max;
	bool no_tickets;
	FILE *keylog;
	BIO_METHOD *bio;
	X509 *meta;
	uint64_t looked_at, made_at; /* at the files; the server's context */
	char meta_name[80];
	SSL_CTX *server, *client; /* made when they are needed */
	struct remembered remembered[REMEMBERED_MAX];
	uint64_t remembered_id;
	char why[OS_TLS_ERROR_SIZE];
	uint8_t record[RECORD_MAX]; /* one is gathered here */
};

struct os_tls_stream {
	SSL *ssl;
	struct os_tls *tls;
	uint64_t remembered_id;
	uint8_t *rest; /* of records, refused */
	uint32_t rest_at, rest_n, inflight;
	int fd, error, write_error; /* what came before a write failed may still be read */
	uint8_t end;                /* enum os_tls_result that every further read has; OK: none yet */
	uint8_t reads;
	bool server, insecure, secured, fin, notified;
};

/* ---- what is shared ---- */

static void keylog_line(const SSL *ssl, const char *line)
{
	const struct os_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	fprintf(t->keylog, "%s\n", line);
	fflush(t->keylog);
}

/* SHA-256 and AES-128 first: both ends save time and memory by it. */
static SSL_CTX *context_new(struct os_tls *t, const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	bool good = ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && /* HTTP-019 */
	            SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384") == 1;

	good = good && SSL_CTX_set_max_proto_version(ctx, t->version_max) == 1;
	assert(good);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1); /* one system call a record, or for several */
	SSL_CTX_set_app_data(ctx, t);
	if (t->keylog != NULL) SSL_CTX_set_keylog_callback(ctx, keylog_line);
	return ctx;
}

/* HTTP-020: there is nothing else here, and the end of the handshake says it. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *arg)
{
	static const char http[] = "http/1.1";

	(void)ssl, (void)arg;
	for (unsigned i = 0; i < in_n; i += 1u + in[i]) {
		if (in[i] != sizeof http - 1 || memcmp(in + i + 1, http, in[i]) != 0) continue;
		*out = in + i + 1, *out_n = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* HTTP-046 */
static int check_name(SSL *ssl, int *alert, void *arg)
{
	const struct os_tls *t = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (t->own.ip || (name != NULL && strcmp(name, t->own.hostname) == 0)) return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Certificates go by reference: what a handshake under way has stays. */
static SSL_CTX *server_context(struct os_tls *t)
{
	SSL_CTX *ctx = context_new(t, TLS_server_method());
	bool good = SSL_CTX_use_certificate(ctx, t->own.leaf) == 1 && SSL_CTX_use_PrivateKey(ctx, t->own.key) == 1;

	for (int i = 0; good && i < sk_X509_num(t->own.chain); i++) good = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(t->own.chain, i)) == 1;
	if (good && t->meta != NULL) good = SSL_CTX_add1_chain_cert(ctx, t->meta) == 1; /* the last: HTTP-011 */
	if (!good) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* everything is in the tickets */
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, check_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	return ctx;
}

/* Puts what was read into force. The ticket key is a new one. */
static bool renew(struct os_tls *t, char error[OS_TLS_ERROR_SIZE])
{
	SSL_CTX *ctx = server_context(t);

	if (ctx == NULL) return tls_complain(error, "%.200s: cannot be used: %s", t->own.crt_path, tls_reason());
	SSL_CTX_free(t->server);
	t->server = ctx;
	t->made_at = os_now();
	return true;
}

bool os_tls_reload(struct os_tls *t, char error[OS_TLS_ERROR_SIZE])
{
	return t->own.hostname == NULL || (tls_certificate_read(&t->own, error) && renew(t, error));
}

bool os_tls_refresh(struct os_tls *t, uint64_t now, char error[OS_TLS_ERROR_SIZE])
{
	if (t->own.hostname == NULL || now - t->looked_at < LOOK_NS) return true;
	t->looked_at = now;
	if (tls_certificate_changed(&t->own)) return os_tls_reload(t, error);
	return now - t->made_at < TICKET_KEY_NS || renew(t, error);
}

/* The newest ticket of a server (SSL_SESSION is copied: OpenSSL spoils the one of a connection that ends without ceremony). */
static int remember(SSL *ssl, SSL_SESSION *session)
{
	const struct os_tls_stream *s = SSL_get_app_data(ssl);

	for (int i = 0; i < REMEMBERED_MAX; i++) {
		struct remembered *r = &s->tls->remembered[i];
		if (r->id != s->remembered_id) continue;
		SSL_SESSION_free(r->session);
		r->session = SSL_SESSION_dup(session);
	}
	return 0;
}

static bool trust(struct os_tls *t, SSL_CTX *ctx, char error[OS_TLS_ERROR_SIZE])
{
	if (t->ca_file == NULL) return SSL_CTX_set_default_verify_paths(ctx) == 1;
	if (SSL_CTX_load_verify_file(ctx, t->ca_file) == 1) return true;
	return tls_complain(error, "%.200s: expected certificates in PEM: %s", t->ca_file, tls_reason());
}

static bool client_context(struct os_tls *t, char error[OS_TLS_ERROR_SIZE])
{
	SSL_CTX *ctx = context_new(t, TLS_client_method());

	if (!trust(t, ctx, error)) {
		SSL_CTX_free(ctx);
		return false;
	}
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN); /* trusted is trusted, root or not */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	if (!t->no_tickets) SSL_CTX_sess_set_new_cb(ctx, remember);
	t->client = ctx;
	return true;
}

/* ---- the socket as OpenSSL sees it ---- */

static int socket_read(BIO *bio, char *p, int max)
{
	struct os_tls_stream *s = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (s->fin || s->error != 0) return s->fin ? 0 : -1;
	if (s->reads == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	s->reads--;
	do n = recv(s->fd, p, (size_t)max, 0);
	while (n < 0 && errno == EINTR);
	if (n < max) s->reads = 0; /* that was all */
	if (n == 0) s->fin = true;
	if (n >= 0) return (int)n;
	if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		s->error = errno;
	return -1;
}

/* Returns what the kernel took. */
static size_t send_some(struct os_tls_stream *s, const uint8_t *p, size_t n)
{
	ssize_t took;

	do took = send(s->fd, p, n, MSG_NOSIGNAL);
	while (took < 0 && errno == EINTR);
	if (took >= 0) return (size_t)took;
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) s->write_error = errno;
	return 0;
}

static int socket_write(BIO *bio, const char *p, int n)
{
	struct os_tls_stream *s = BIO_get_data(bio);
	size_t want = (size_t)n, took = 0;

	BIO_clear_retry_flags(bio);
	if (s->rest_n == 0 && s->write_error == 0) took = send_some(s, (const uint8_t *)p, want);
	if (s->write_error == 0 && s->rest_n + want - took > REST_MAX) s->write_error = ENOBUFS;
	if (s->write_error != 0) return -1;
	if (took == want) return n;
	s->rest = mem_grow(s->rest, s->rest_n + want - took);
	memcpy(s->rest + s->rest_n, p + took, want - took);
	s->rest_n += (uint32_t)(want - took);
	return n;
}

static long socket_control(BIO *bio, int command, long number, void *p)
{
	(void)bio, (void)number, (void)p;
	return command == BIO_CTRL_FLUSH;
}

/* ---- opening and closing ---- */

static bool keylog_init(struct os_tls *t, const char *path, char error[OS_TLS_ERROR_SIZE])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	t->keylog = fd < 0 ? NULL : fdopen(fd, "a");
	return t->keylog != NULL || tls_complain(error, "%.200s: cannot be written: %s", path, strerror(errno));
}

struct os_tls *os_tls_new(const struct os_tls_config *config, char error[OS_TLS_ERROR_SIZE])
{
	struct os_tls *t = mem_zero(1, sizeof *t);
	bool good;

	t->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 100, "stream");
	assert(t->bio != NULL);
	BIO_meth_set_read(t->bio, socket_read);
	BIO_meth_set_write(t->bio, socket_write);
	BIO_meth_set_ctrl(t->bio, socket_control);
	t->version_max = config->version_max;
	t->no_tickets = config->no_tickets;
	if (config->ca_file != NULL) t->ca_file = strdup(config->ca_file);
	good = config->keylog_file == NULL || keylog_init(t, config->keylog_file, error);
	good = good &&
	       (config->hostname == NULL || (tls_certificate_init(&t->own, config->certdir, config->hostname, error) && os_tls_reload(t, error)));
	good = good && (config->ca_file == NULL || client_context(t, error));
	if (good) return t;
	os_tls_free(t);
	return NULL;
}

void os_tls_free(struct os_tls *t)
{
	if (t == NULL) return;
	for (int i = 0; i < REMEMBERED_MAX; i++) SSL_SESSION_free(t->remembered[i].session);
	SSL_CTX_free(t->server);
	SSL_CTX_free(t->client);
	tls_certificate_free(&t->own);
	X509_free(t->meta);
	BIO_meth_free(t->bio);
	if (t->keylog != NULL) fclose(t->keylog);
	free(t->ca_file);
	free(t);
}

bool os_tls_pin(const struct os_tls *t, char out[OS_TLS_PIN])
{
	uint8_t hash[32];
	char hex[KEY_HEX];

	if (t->own.leaf == NULL || X509_digest(t->own.leaf, EVP_sha256(), hash, NULL) != 1) return false;
	key_hex(hash, hex);
	snprintf(out, OS_TLS_PIN, "sha256-raw:%.*s", KEY_HEX, hex);
	return true;
}

static bool fail(struct os_tls *t, const char *why)
{
	snprintf(t->why, sizeof t->why, "%s", why);
	return false;
}

/* HTTP-012: the meta certificate is made with its name, and stays. */
static bool server_ready(struct os_tls *t, const char *meta_name)
{
	char error[OS_TLS_ERROR_SIZE];

	if (t->own.hostname == NULL) return fail(t, "there is no certificate");
	if (meta_name == NULL) meta_name = "";
	if (strcmp(t->meta_name, meta_name) == 0) return true;
	assert(strlen(meta_name) < sizeof t->meta_name);
	memcpy(t->meta_name, meta_name, strlen(meta_name) + 1);
	X509_free(t->meta);
	t->meta = *meta_name == 0 ? NULL : tls_meta_new(meta_name);
	return renew(t, error) || fail(t, error);
}

static bool client_ready(struct os_tls *t)
{
	char error[OS_TLS_ERROR_SIZE] = "the system's certificates cannot be read";

	return t->client != NULL || client_context(t, error) || fail(t, error);
}

/* The place of a server among the remembered: its own, or the one that was not used for longest. */
static struct remembered *place_of(struct os_tls *t, const char *name, const struct address *to)
{
	struct remembered *oldest = &t->remembered[0];

	for (int i = 0; i < REMEMBERED_MAX; i++) {
		struct remembered *r = &t->remembered[i];
		if (r->id != 0 && strcmp(r->name, name) == 0 && address_equal(&r->to, to)) return r;
		if (r->used < oldest->used) oldest = r;
	}
	SSL_SESSION_free(oldest->session);
	*oldest = (struct remembered){ .id = ++t->remembered_id, .to = *to };
	snprintf(oldest->name, sizeof oldest->name, "%s", name);
	return oldest;
}

static void client_open(struct os_tls_stream *s, const struct action_tls *how, const struct address *to)
{
	const char *name = how->server_name != NULL ? how->server_name : "";
	struct remembered *r = place_of(s->tls, name, to);

	s->insecure = how->insecure;
	s->remembered_id = r->id;
	r->used = os_now();
	SSL_set_app_data(s->ssl, s);
	SSL_set_connect_state(s->ssl);
	SSL_set_verify(s->ssl, how->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (*name != 0) SSL_set_tlsext_host_name(s->ssl, name); /* HTTP-024 */
	if (r->session == NULL) return;
	SSL_set_session(s->ssl, r->session);
	SSL_SESSION_free(r->session); /* a ticket is used once */
	r->session = NULL;
}

struct os_tls_stream *os_tls_open(struct os_tls *t, int fd, const struct action_tls *how, const struct address *to)
{
	struct os_tls_stream *s;
	BIO *bio;

	ERR_clear_error();
	if (how->server ? !server_ready(t, how->meta_name) : !client_ready(t)) return NULL;
	s = mem_zero(1, sizeof *s);
	s->tls = t;
	s->fd = fd;
	s->server = how->server;
	s->ssl = SSL_new(how->server ? t->server : t->client);
	bio = BIO_new(t->bio);
	if (s->ssl == NULL || bio == NULL) abort(); /* as where memory is used up elsewhere */
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	if (how->server)
		SSL_set_accept_state(s->ssl);
	else
		client_open(s, how, to);
	return s;
}

void os_tls_close(struct os_tls_stream *s)
{
	if (s == NULL) return;
	SSL_free(s->ssl);
	free(s->rest);
	free(s);
}

/* ---- reading ---- */

static bool within_record(const struct os_tls_stream *s) { return SSL_has_pending(s->ssl) != 0 || strcmp(SSL_rstate_string(s->ssl), "RB") == 0; }

static void explain(struct os_tls_stream *s)
{
	long verdict = s->server ? X509_V_OK : SSL_get_verify_result(s->ssl);

	if (s->fin && ERR_peek_last_error() == 0)
		fail(s->tls, s->secured ? "the connection was cut within a record" : "the peer ended the connection during the handshake");
	else if (verdict != X509_V_OK && !s->insecure)
		snprintf(s->tls->why, sizeof s->tls->why, "certificate: %s", X509_verify_cert_error_string(verdict));
	else
		fail(s->tls, tls_reason());
}

/* What a call that gave nothing means. */
static enum os_tls_result judge(struct os_tls_stream *s, int result)
{
	int error = SSL_get_error(s->ssl, result);

	if (error == SSL_ERROR_WANT_READ) return OS_TLS_AGAIN;
	if (s->error == 0 && error == SSL_ERROR_SYSCALL && !s->fin) s->error = s->write_error; /* it had to answer */
	if (s->error != 0)
		s->end = OS_TLS_DEAD;
	else if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && s->fin && s->secured && !within_record(s)))
		s->end = OS_TLS_EOF;
	else
		s->end = OS_TLS_FAILED;
	if (s->end == OS_TLS_FAILED) explain(s);
	ERR_clear_error();
	return (enum os_tls_result)s->end;
}

enum os_tls_result os_tls_handshake(struct os_tls_stream *s)
{
	int result;

	assert(!s->secured);
	if (s->end != OS_TLS_OK) return (enum os_tls_result)s->end;
	ERR_clear_error();
	s->reads = READS_MAX;
	result = SSL_do_handshake(s->ssl);
	if (result != 1) return judge(s, result);
	if (!s->server && !s->insecure && SSL_get_verify_result(s->ssl) != X509_V_OK) { /* a ticket of one that did not look */
		s->end = OS_TLS_FAILED;
		explain(s);
		return OS_TLS_FAILED;
	}
	s->secured = true;
	return OS_TLS_OK;
}

enum os_tls_result os_tls_read(struct os_tls_stream *s, uint8_t *p, uint32_t max, uint32_t *n)
{
	enum os_tls_result result = (enum os_tls_result)s->end;
	size_t got;

	assert(s->secured && max > 0);
	*n = 0;
	s->reads = READS_MAX;
	while (result == OS_TLS_OK && *n < max && (*n == 0 || SSL_has_pending(s->ssl))) {
		int one;
		ERR_clear_error();
		one = SSL_read_ex(s->ssl, p + *n, max - *n, &got);
		if (one == 1)
			*n += (uint32_t)got;
		else
			result = judge(s, one);
	}
	return *n > 0 ? OS_TLS_OK : result;
}

bool os_tls_pending(const struct os_tls_stream *s) { return s->end != OS_TLS_OK || SSL_has_pending(s->ssl) != 0; }

/* ---- writing ---- */

struct cursor {
	const struct iovec *v;
	uint32_t n, i;
	size_t at;
};

/* The next record's bytes: where they lie if they lie together, else gathered. */
static const uint8_t *next_record(struct cursor *c, uint8_t scratch[RECORD_MAX], uint32_t *out_n)
{
	const uint8_t *p = c->i < c->n ? (const uint8_t *)c->v[c->i].iov_base + c->at : NULL;
	uint32_t n = 0;

	if (p != NULL && c->v[c->i].iov_len - c->at >= RECORD_MAX) {
		c->at += RECORD_MAX;
		*out_n = RECORD_MAX;
		return p;
	}
	for (; c->i < c->n && n < RECORD_MAX; c->at = c->at == c->v[c->i].iov_len ? 0 : c->at) {
		size_t some = c->v[c->i].iov_len - c->at;
		if (some > RECORD_MAX - n) some = RECORD_MAX - n;
		memcpy(scratch + n, (const uint8_t *)c->v[c->i].iov_base + c->at, some);
		n += (uint32_t)some;
		c->at += some;
		if (c->at == c->v[c->i].iov_len) c->i++, c->at = 0;
		if (c->i == c->n) break;
	}
	*out_n = n;
	return scratch;
}

uint64_t os_tls_write(void *stream, const struct iovec *v, uint32_t n, bool *blocked, int *error)
{
	struct os_tls_stream *s = stream;
	struct cursor c = { .v = v, .n = n };
	uint64_t taken = 0;
	uint32_t some;

	assert(s->secured && s->inflight == 0);
	while (s->rest_n == 0 && *error == 0) {
		const uint8_t *p = next_record(&c, s->tls->record, &some);
		if (some == 0) break;
		ERR_clear_error();
		if (SSL_write(s->ssl, p, (int)some) != (int)some) {
			*error = s->write_error != 0 ? s->write_error : EPROTO;
			break;
		}
		taken += some;
		if (s->rest_n != 0) s->inflight = some;
	}
	*blocked = s->rest_n != 0;
	return taken;
}

int os_tls_flush(struct os_tls_stream *s, bool *blocked)
{
	if (s->rest_n != 0 && s->write_error == 0) s->rest_at += (uint32_t)send_some(s, s->rest + s->rest_at, s->rest_n - s->rest_at);
	if (s->rest_at == s->rest_n) os_tls_forget(s);
	*blocked = s->rest_n != 0;
	return s->write_error;
}

bool os_tls_blocked(const struct os_tls_stream *s) { return s->rest_n != 0; }
uint32_t os_tls_inflight(const struct os_tls_stream *s) { return s->inflight; }

void os_tls_forget(struct os_tls_stream *s)
{
	free(s->rest);
	s->rest = NULL;
	s->rest_at = s->rest_n = s->inflight = 0;
}

void os_tls_finish(struct os_tls_stream *s)
{
	if (s->notified || !s->secured || s->write_error != 0 || s->end == OS_TLS_FAILED) return;
	s->notified = true;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
}

int os_tls_errno(const struct os_tls_stream *s) { return s->error != 0 ? s->error : s->write_error; }
const char *os_tls_why(const struct os_tls *t) { return t->why; }

void os_tls_tell(struct os_tls_stream *s, void (*tell)(void *arg, const struct event_secured *secured), void *arg)
{
	STACK_OF(X509) *chain = s->server ? NULL : SSL_get_peer_cert_chain(s->ssl);
	uint32_t n = chain == NULL ? 0 : (uint32_t)sk_X509_num(chain);
	struct certificate *v = mem_zero(n + 1, sizeof *v);
	struct tls_told **told = mem_zero(n + 1, sizeof *told);
	struct event_secured secured = { .version = (uint16_t)SSL_version(s->ssl),
		                         .resumed = SSL_session_reused(s->ssl) == 1,
		                         .verified = n != 0 && SSL_get_verify_result(s->ssl) == X509_V_OK,
		                         .chain = v,
		                         .chain_n = n };

	for (uint32_t i = 0; i < n; i++) told[i] = tls_certificate_tell(sk_X509_value(chain, (int)i), &v[i]);
	tell(arg, &secured);
	for (uint32_t i = 0; i < n; i++) tls_told_free(told[i]);
	free(told);
	free(v);
}
