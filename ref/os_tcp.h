/* TCP sockets: everything about them that has no state.
 *
 * HTTP-023: listeners carry the keepalive and user timeouts of the relay, which accepted connections inherit. Addresses are
 * those of machine.h: IPv4 is IPv4-mapped, also where a dual-stack listener accepts it. */
#ifndef REF_OS_TCP_H
#define REF_OS_TCP_H

#include "machine.h"

enum { OS_ERROR_SIZE = 200 };

struct os_tcp_times {
	uint32_t keepalive_s;     /* 600; 0: no keepalive */
	uint32_t user_timeout_ms; /* 15000; 0: the kernel's own */
};
#define OS_TCP_TIMES ((struct os_tcp_times){ 600, 15000 })

/* A listening socket that does not block; port 0 takes a free one. All-zero ip: every address of both families. Fills *bound. -1:
 * `error` says what failed. */
int os_tcp_listen(const struct address *at, const struct os_tcp_times *times, struct address *bound, char error[OS_ERROR_SIZE]);
/* -1: errno; EAGAIN: nobody waits. */
int os_tcp_accept(int listener, struct address *local, struct address *remote);
/* A socket on its way to `to`: *connected says whether it is there already. -1: errno. */
int os_tcp_dial(const struct address *to, bool *connected);
/* How a dial went, once the socket is writable: 0 or an errno; fills *local. */
int os_tcp_dialed(int fd, struct address *local);
/* Closes with RST: what is unsent or unread is dropped. */
void os_tcp_abort(int fd);
/* What an errno of a dial, read or write means to a machine. */
enum close_cause os_tcp_cause(int error);

/* Is the process out of descriptors or memory for sockets? */
bool os_tcp_limit(int error);
/* Lets the process open as many files as it is allowed at most; returns that number. */
uint64_t os_tcp_raise_limit(void);

#endif
