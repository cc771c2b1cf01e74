/* PEM files, X.509 and the names in it. */
#include "os_tls_certificate.h"

#include "address.h"
#include "buf.h"
#include "frame.h"
#include "os_keyfile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { META_DAYS = 30, SELF_SIGNED_DAYS = 365, DAY_S = 86400 };

const char *tls_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "no reason given";
}

bool tls_complain(char error[OS_TLS_ERROR_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, OS_TLS_ERROR_SIZE, format, args);
	va_end(args);
	ERR_clear_error();
	return false;
}

/* ---- files ---- */

static struct tls_stamp stamp_of(const char *path)
{
	struct stat s;

	if (stat(path, &s) != 0) return (struct tls_stamp){ 0 };
	return (struct tls_stamp){ s.st_dev, s.st_ino, s.st_size, s.st_mtim };
}

static bool stamp_equal(const struct tls_stamp *a, const struct tls_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->time.tv_sec == b->time.tv_sec &&
	       a->time.tv_nsec == b->time.tv_nsec;
}

bool tls_certificate_changed(const struct tls_certificate *c)
{
	struct tls_stamp crt = stamp_of(c->crt_path), key = stamp_of(c->key_path);

	return !stamp_equal(&crt, &c->crt_stamp) || !stamp_equal(&key, &c->key_stamp);
}

/* An encrypted key is refused: nobody is there to ask. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *open_pem(const char *path, bool secret, char error[OS_TLS_ERROR_SIZE])
{
	BIO *file = BIO_new_file(path, "re");
	struct stat s;

	if (file == NULL) {
		tls_complain(error, "%.200s: cannot be read: %s", path, strerror(errno));
	} else if (secret && stat(path, &s) == 0 && (s.st_mode & 07) != 0) {
		tls_complain(error, "%.200s: anybody on this machine may use this private key; expected one without rights for others (chmod o=)",
		             path);
		BIO_free(file);
		file = NULL;
	}
	return file;
}

/* NULL or at least one. */
static STACK_OF(X509) * read_chain(const char *path, char error[OS_TLS_ERROR_SIZE])
{
	BIO *file = open_pem(path, false, error);
	STACK_OF(X509) *chain = sk_X509_new_null();
	bool good = file != NULL;
	X509 *x;

	while (good && (x = PEM_read_bio_X509(file, NULL, no_password, NULL)) != NULL) sk_X509_push(chain, x);
	if (good && (sk_X509_num(chain) == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		good = tls_complain(error, "%.200s: expected certificates in PEM: %s", path, tls_reason());
	ERR_clear_error();
	BIO_free(file);
	if (good) return chain;
	sk_X509_pop_free(chain, X509_free);
	return NULL;
}

static EVP_PKEY *read_key(const char *path, char error[OS_TLS_ERROR_SIZE])
{
	BIO *file = open_pem(path, true, error);
	EVP_PKEY *key = file == NULL ? NULL : PEM_read_bio_PrivateKey(file, NULL, no_password, NULL);

	if (file != NULL && key == NULL) tls_complain(error, "%.200s: expected a private key in PEM, without a password: %s", path, tls_reason());
	BIO_free(file);
	return key;
}

static bool is_for(X509 *leaf, const char *hostname, bool ip)
{
	if (ip) return X509_check_ip_asc(leaf, hostname, 0) == 1;
	return X509_check_host(leaf, hostname, strlen(hostname), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

bool tls_certificate_read(struct tls_certificate *c, char error[OS_TLS_ERROR_SIZE])
{
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	bool good;

	c->crt_stamp = stamp_of(c->crt_path);
	c->key_stamp = stamp_of(c->key_path);
	chain = read_chain(c->crt_path, error);
	key = chain == NULL ? NULL : read_key(c->key_path, error);
	good = key != NULL;
	if (good && X509_check_private_key(sk_X509_value(chain, 0), key) != 1)
		good = tls_complain(error, "%.150s: this is not the key of the first certificate in %.150s", c->key_path, c->crt_path);
	if (good && !is_for(sk_X509_value(chain, 0), c->hostname, c->ip))
		good = tls_complain(error, "%.200s: the first certificate is not valid for '%.100s'", c->crt_path, c->hostname);
	if (good) {
		X509_free(c->leaf);
		EVP_PKEY_free(c->key);
		sk_X509_pop_free(c->chain, X509_free);
		c->leaf = sk_X509_shift(chain), c->key = key, c->chain = chain;
		return true;
	}
	EVP_PKEY_free(key);
	sk_X509_pop_free(chain, X509_free);
	return false;
}

void tls_certificate_free(struct tls_certificate *c)
{
	X509_free(c->leaf);
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->chain, X509_free);
	free(c->hostname);
	free(c->crt_path);
	free(c->key_path);
}

/* ---- certificates of our own ---- */

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool good = extension != NULL && X509_add_ext(x, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return good;
}

/* Issued by its subject, not yet signed. A type is named for the name, since OpenSSL allows 64 bytes only to whoever names none. */
static X509 *certificate_new(const char *name, EVP_PKEY *key, long from_s, long to_s)
{
	X509 *x = X509_new();
	X509_NAME *subject = x == NULL ? NULL : X509_get_subject_name(x);
	bool good = subject != NULL && X509_set_version(x, X509_VERSION_3) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), from_s) != NULL &&
	            X509_gmtime_adj(X509_getm_notAfter(x), to_s) != NULL && X509_set_pubkey(x, key) == 1 &&
	            X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_PRINTABLESTRING, (const unsigned char *)name, -1, -1, 0) == 1 &&
	            X509_set_issuer_name(x, subject) == 1;

	assert(good); /* nothing of it comes from outside */
	return x;
}

/* HTTP-011: the serial number is the protocol version. HTTP-012: 30 days on both sides of now. */
struct x509_st *tls_meta_new(const char *name)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = certificate_new(name, key, -META_DAYS * DAY_S, META_DAYS * DAY_S);
	bool good = ASN1_INTEGER_set(X509_get_serialNumber(x), FRAME_PROTOCOL_VERSION) == 1 &&
	            add_extension(x, NID_basic_constraints, "critical,CA:FALSE") && X509_sign(x, key, NULL) > 0;

	assert(good);
	EVP_PKEY_free(key);
	return x;
}

static X509 *self_signed_new(const char *ip, EVP_PKEY *key)
{
	X509 *x = certificate_new(ip, key, 0, SELF_SIGNED_DAYS * DAY_S);
	uint8_t serial[16];
	BIGNUM *number;
	char name[80];
	bool good = RAND_bytes(serial, sizeof serial) == 1;

	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of this length */
	number = BN_bin2bn(serial, sizeof serial, NULL);
	snprintf(name, sizeof name, "IP:%s", ip);
	good = good && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature,keyEncipherment") && add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") && add_extension(x, NID_subject_alt_name, name) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
	BN_free(number);
	assert(good);
	return x;
}

static bool write_pem(const char *path, BIO *text, mode_t mode, char error[OS_TLS_ERROR_SIZE])
{
	char why[KEYFILE_ERROR_SIZE] = "";
	char *p;
	long n = BIO_get_mem_data(text, &p);

	return os_keyfile_write(path, p, (size_t)n, mode, why) || tls_complain(error, "%s", why);
}

/* The key first: a certificate without one would be taken for a mistake at the next start. */
static bool make_self_signed(const struct tls_certificate *c, char error[OS_TLS_ERROR_SIZE])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = self_signed_new(c->hostname, key);
	BIO *crt_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_secmem());
	bool good = PEM_write_bio_X509(crt_text, x) == 1 && PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1;

	assert(good);
	good = write_pem(c->key_path, key_text, 0600, error) && write_pem(c->crt_path, crt_text, 0644, error);
	BIO_free(crt_text);
	BIO_free(key_text);
	X509_free(x);
	EVP_PKEY_free(key);
	return good;
}

static char *join(const char *certdir, const char *name, const char *ending)
{
	size_t size = strlen(certdir) + strlen(name) + strlen(ending) + 2;
	char *path = mem_alloc(size);

	snprintf(path, size, "%s/%s%s", certdir, name, ending);
	return path;
}

static bool absent(const char *path) { return access(path, F_OK) != 0 && errno == ENOENT; }

bool tls_certificate_init(struct tls_certificate *c, const char *certdir, const char *hostname, char error[OS_TLS_ERROR_SIZE])
{
	char *name = mem_zero(1, strlen(hostname) + 1), *end = name;

	for (const char *p = hostname; *p != 0; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '.') *end++ = *p;
	c->crt_path = join(certdir, name, ".crt");
	c->key_path = join(certdir, name, ".key");
	free(name);
	c->hostname = mem_alloc(strlen(hostname) + 1);
	memcpy(c->hostname, hostname, strlen(hostname) + 1);
	c->ip = address_ip_parse(hostname, strlen(hostname), &(struct address){ 0 });
	if (!c->ip || !absent(c->crt_path) || !absent(c->key_path)) return true;
	if (mkdir(certdir, 0700) != 0 && errno != EEXIST) return tls_complain(error, "%.200s: cannot be made: %s", certdir, strerror(errno));
	return make_self_signed(c, error);
}

/* ---- what a machine hears ---- */

struct tls_told {
	GENERAL_NAMES *from;
	struct certificate_name *names;
	char (*ip)[INET6_ADDRSTRLEN]; /* addresses as text */
};

static uint64_t unix_time(const ASN1_TIME *time)
{
	struct tm tm = { 0 };
	time_t at = ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;

	return at < 0 ? 0 : (uint64_t)at;
}

/* The last common name counts, as in the original. */
static void tell_common_name(const X509 *x, struct certificate *out)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	const ASN1_STRING *text;
	int at = -1;

	for (int i; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) at = i;
	if (at < 0) return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	out->common_name = (const char *)ASN1_STRING_get0_data(text);
	out->common_name_n = (size_t)ASN1_STRING_length(text);
}

static bool tell_name(const GENERAL_NAME *from, struct certificate_name *out, char ip[INET6_ADDRSTRLEN])
{
	int type, n;
	const ASN1_STRING *text = GENERAL_NAME_get0_value(from, &type);

	if (type != GEN_DNS && type != GEN_IPADD) return false;
	n = ASN1_STRING_length(text);
	*out = (struct certificate_name){ (const char *)ASN1_STRING_get0_data(text), (size_t)n, false };
	if (type == GEN_DNS) return true;
	if ((n != 4 && n != 16) || inet_ntop(n == 4 ? AF_INET : AF_INET6, out->p, ip, INET6_ADDRSTRLEN) == NULL) return false;
	*out = (struct certificate_name){ ip, strlen(ip), true };
	return true;
}

struct tls_told *tls_certificate_tell(struct x509_st *x, struct certificate *out)
{
	GENERAL_NAMES *from = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = from == NULL ? 0 : sk_GENERAL_NAME_num(from);
	struct tls_told *told = mem_zero(1, sizeof *told);

	*out = (struct certificate){ .not_before_s = unix_time(X509_get0_notBefore(x)), .not_after_s = unix_time(X509_get0_notAfter(x)) };
	tell_common_name(x, out);
	if (ASN1_INTEGER_get_uint64(&out->serial, X509_get0_serialNumber(x)) != 1) out->serial = UINT64_MAX;
	X509_digest(x, EVP_sha256(), out->sha256, NULL);
	ERR_clear_error();
	told->from = from;
	told->names = mem_alloc((uint64_t)n * sizeof *told->names + 1);
	told->ip = mem_alloc((uint64_t)n * sizeof *told->ip + 1);
	out->names = told->names;
	for (int i = 0; i < n; i++)
		if (tell_name(sk_GENERAL_NAME_value(from, i), &told->names[out->names_n], told->ip[i])) out->names_n++;
	return told;
}

void tls_told_free(struct tls_told *told)
{
	if (told == NULL) return;
	GENERAL_NAMES_free(told->from);
	free(told->names);
	free(told->ip);
	free(told);
}
