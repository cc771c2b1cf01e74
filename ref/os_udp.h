/* UDP sockets of a host: DATAGRAM both ways (STN-001).
 *
 * Many datagrams a system call: up to OS_UDP_BATCH come in at once, and what a turn sends leaves at once. A socket of every address serves
 * both families, and what answers a datagram of the same batch leaves from the address that it came to: a machine with several
 * addresses answers from the right one. Nothing waits: what the kernel does not take is dropped, as networks do.
 *
 * Of a datagram longer than OS_UDP_MAX the first OS_UDP_MAX bytes are told. */
#ifndef REF_OS_UDP_H
#define REF_OS_UDP_H

#include "machine.h"
#include "os_loop.h"
#include "os_tcp.h"

enum { OS_UDP_BATCH = 16, OS_UDP_MAX = 2048 };

struct os_udp;

/* Bound to `at`; port 0 takes a free one, all-zero ip is every address of both families. NULL: `error` says why. */
struct os_udp *os_udp_open(const struct address *at, struct address *bound, char error[OS_ERROR_SIZE]);
void os_udp_close(struct os_udp *u);
int os_udp_fd(const struct os_udp *u);

/* Reads what has come, at most max <= OS_UDP_BATCH datagrams, into room of OS_UDP_MAX bytes each; their number, 0 if there is none. The
 * bytes stay the caller's. */
uint32_t os_udp_read(struct os_udp *u, uint8_t *room, uint32_t max, struct event_datagram out[OS_UDP_BATCH]);
/* Adds one to what the next flush sends; p,n and the span live until then. Flushes first when there are OS_UDP_BATCH. */
void os_udp_send(struct os_udp *u, const struct address *to, const uint8_t *head, uint32_t head_n, const struct span *span);
void os_udp_flush(struct os_udp *u);

#endif
