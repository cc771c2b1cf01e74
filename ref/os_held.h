/* The outgoing bytes of one connection: one gathered write, and what is refused is kept until it is taken.
 *
 * Only refused bytes are copied; those of counted packets are held instead. Without refused bytes it owns no memory. */
#ifndef REF_OS_HELD_H
#define REF_OS_HELD_H

#include "machine.h"

#include <sys/uio.h>

struct os_held {
	struct span *v; /* ring of pieces, each with a count of its owner */
	uint32_t head, n, cap;
	uint64_t bytes; /* in all pieces: DRAINED's `left` */
};

void os_held_free(struct os_held *h);
/* Where bytes go. Takes what it can of the pieces and returns how much; *blocked: it took less, or would not take more. *error: the errno
 * of a dead socket, of which the caller has made 0. */
typedef uint64_t os_write(void *to, const struct iovec *v, uint32_t n, bool *blocked, int *error);
/* The one of sockets. `to`: an int, the descriptor. */
os_write os_write_socket;

/* Writes what is held and then `fresh`, unless *blocked; keeps the rest and says so in *blocked. The spans of fresh may be of any
 * kind; their owners' counts stay with the caller. Returns 0, or the errno of a dead socket: then the rest is kept all the same. */
int os_held_write(struct os_held *h, os_write *write, void *to, const struct span *fresh, uint32_t fresh_n, bool *blocked);

#endif
