/* Certificates of os_tls.c: read from files, made, and told to a machine. Internal; with it the only files with OpenSSL, whose types
 * are named by their tags here, so that nobody else needs its headers. */
#ifndef REF_OS_TLS_CERTIFICATE_H
#define REF_OS_TLS_CERTIFICATE_H

#include "os_tls.h"

#include <sys/stat.h>
#include <time.h>

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

/* What tells that a file is another one. */
struct tls_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec time;
};

struct tls_certificate {
	char *hostname, *crt_path, *key_path;
	bool ip; /* hostname is a literal */
	struct tls_stamp crt_stamp, key_stamp;
	struct x509_st *leaf;
	struct evp_pkey_st *key;
	struct stack_st_X509 *chain; /* behind the leaf */
};

/* Names the files, and makes them where the hostname is an IP address and neither is there. */
bool tls_certificate_init(struct tls_certificate *c, const char *certdir, const char *hostname, char error[OS_TLS_ERROR_SIZE]);
void tls_certificate_free(struct tls_certificate *c);
/* False: error says why, and leaf, key and chain stay as they are. */
bool tls_certificate_read(struct tls_certificate *c, char error[OS_TLS_ERROR_SIZE]);
bool tls_certificate_changed(const struct tls_certificate *c); /* on disk, since the last read, whether that went well or not */

/* The meta certificate of this common name, made now (HTTP-011). */
struct x509_st *tls_meta_new(const char *name);

/* What a machine hears of a certificate. It lies in `x` and in what is returned, which goes with tls_told_free. */
struct tls_told;
struct tls_told *tls_certificate_tell(struct x509_st *x, struct certificate *out);
void tls_told_free(struct tls_told *told);

const char *tls_reason(void); /* the last error of OpenSSL, in its words */
bool tls_complain(char error[OS_TLS_ERROR_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3))); /* false */

#endif
