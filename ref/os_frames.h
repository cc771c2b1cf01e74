/* Which frames pass on each connection, told from its bytes alone: for --frames, and for comparing one story on sockets and in the
 * simulator.
 *
 * A line a complete frame: `CONNECTION DIRECTION TYPE LENGTH`, as in `1 in SendPacket 232`. Connections are numbered in the order of
 * their first byte; the direction is seen from the program; the length is the payload's. A head of HTTP is one line of type HTTP
 * with its length; what follows any status but 101 is not DERP and is left out. */
#ifndef REF_OS_FRAMES_H
#define REF_OS_FRAMES_H

#include "os_host.h"

#include <stdio.h>

struct os_frames;

/* Writes to `file`, which stays the caller's, a line at a time. */
struct os_frames *os_frames_new(FILE *file);
void os_frames_free(struct os_frames *frames);
/* As os_owner.stream is told. */
void os_frames_stream(struct os_frames *frames, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n);

#endif
