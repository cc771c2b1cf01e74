/* TLS on sockets that do not block: the only file with OpenSSL.
 *
 * An os_tls is what connections share: the relay's certificate, the roots that a client trusts, tickets. A stream is one connection. It
 * reads and writes its socket itself; what the kernel refuses of a record it keeps, so that OpenSSL never sees a blocked write.
 *
 * TLS 1.2 and 1.3 (HTTP-019), no renegotiation, no compression, no client certificates. A server takes http/1.1 where ALPN is offered and
 * ends a handshake that offers only others (HTTP-020); a client offers none. Tickets are on: a server's are sealed with a key that lives
 * a day at most, a client keeps the newest for each server and uses it once.
 *
 * The certificate is DIR/NAME.crt, leaf first, and DIR/NAME.key, both PEM, ECDSA or RSA; of NAME only letters, digits, `-` and `.` count
 * (HTTP-046). If NAME is a name, a client that does not ask for exactly it by SNI is refused with internal_error; if it is an IP address,
 * SNI does not matter, and a self-signed certificate for a year is made where there is neither file. The relay's meta certificate goes
 * behind the last one of the file (HTTP-011); it is made once a process for each common name (HTTP-012). */
#ifndef REF_OS_TLS_H
#define REF_OS_TLS_H

#include "os_tcp.h"

#include <sys/uio.h>

enum { OS_TLS_ERROR_SIZE = 400, OS_TLS_PIN = 12 + 64 };

struct os_tls;
struct os_tls_stream;

struct os_tls_config {
	const char *certdir, *hostname; /* server; NULL: there is none */
	const char *ca_file;            /* client: PEM, each certificate in it is trusted; NULL: the system's */
	uint16_t version_max;           /* 0x0303: TLS 1.2 and nothing newer; 0: any */
	bool no_tickets;                /* client: every handshake is a whole one, as the original's are */
	const char *keylog_file;        /* appended to, for those who decrypt captures; NULL: none */
};

/* NULL: error says which file is wrong, and how. */
struct os_tls *os_tls_new(const struct os_tls_config *config, char error[OS_TLS_ERROR_SIZE]);
void os_tls_free(struct os_tls *tls); /* after its streams; NULL is fine */
/* Reads the certificate files again; new handshakes use them. False: error says why, and the old ones stay. */
bool os_tls_reload(struct os_tls *tls, char error[OS_TLS_ERROR_SIZE]);
/* The same where the files have changed since, looked at once a second at most. `now` as os_now. */
bool os_tls_refresh(struct os_tls *tls, uint64_t now, char error[OS_TLS_ERROR_SIZE]);
/* The server certificate as a DERP map pins it (MAP-009): "sha256-raw:" and 64 hex digits, terminated. False: there is
 * no server. */
bool os_tls_pin(const struct os_tls *tls, char out[OS_TLS_PIN]);

/* ---- one connection ---- */

enum os_tls_result {
	OS_TLS_OK,
	OS_TLS_AGAIN,  /* when the socket can be read */
	OS_TLS_EOF,    /* close_notify, or FIN between two records */
	OS_TLS_FAILED, /* not TLS, not trusted, cut within a record: os_tls_why */
	OS_TLS_DEAD    /* the socket's errno: os_tls_errno */
};

/* fd stays the caller's. `to`: of a client, the server's address. NULL: os_tls_why(tls). */
struct os_tls_stream *os_tls_open(struct os_tls *tls, int fd, const struct action_tls *how, const struct address *to);
void os_tls_close(struct os_tls_stream *s); /* says nothing to the peer; NULL is fine */
/* OK: once, then bytes may be read and written; some may have come already. */
enum os_tls_result os_tls_handshake(struct os_tls_stream *s);
/* After the handshake. What is told lives for the call. */
void os_tls_tell(struct os_tls_stream *s, void (*tell)(void *arg, const struct event_secured *secured), void *arg);

/* At most `max` bytes, of as many records as are there. OK: *n > 0. */
enum os_tls_result os_tls_read(struct os_tls_stream *s, uint8_t *p, uint32_t max, uint32_t *n);
/* Could a read give something although the socket has nothing more? */
bool os_tls_pending(const struct os_tls_stream *s);

/* An os_write of os_held.h, in records as full as can be. What it takes is written, but for the last record's end, see os_tls_inflight. */
uint64_t os_tls_write(void *stream, const struct iovec *v, uint32_t n, bool *blocked, int *error);
/* What the kernel refused before. Returns an errno or 0. */
int os_tls_flush(struct os_tls_stream *s, bool *blocked);
bool os_tls_blocked(const struct os_tls_stream *s);      /* the kernel has refused something */
uint32_t os_tls_inflight(const struct os_tls_stream *s); /* bytes of the machine in the record of which a part was refused */
void os_tls_forget(struct os_tls_stream *s);             /* what was refused is not sent any more */
void os_tls_finish(struct os_tls_stream *s);             /* close_notify, once; reading goes on */

int os_tls_errno(const struct os_tls_stream *s);
const char *os_tls_why(const struct os_tls *tls); /* of the last failure of any of its streams, until the next call */

#endif
