/* Counted packets: the one way in which bytes outlive the turn that brought them.
 *
 * A packet is made with one count; packet_hold adds one, packet_drop gives one back and frees at zero. Whoever stores a pointer
 * owns a count. Not for several threads. */
#ifndef REF_BUF_H
#define REF_BUF_H

#include <stdint.h>

struct packet {
	uint32_t count; /* owners */
	uint32_t n;     /* bytes */
	uint8_t bytes[];
};

/* Uninitialised bytes. n may be 0. Aborts when memory is used up, as every allocation of the core does. */
struct packet *packet_new(uint32_t n);
struct packet *packet_copy(const uint8_t *p, uint32_t n);
struct packet *packet_hold(struct packet *packet);
void packet_drop(struct packet *packet); /* NULL is fine */
/* More bytes behind those that are there, in a packet of one owner, which may move. */
struct packet *packet_grow(struct packet *packet, uint32_t n);

/* malloc, calloc and realloc that abort on failure. Single sizes are asserted to be below 1 GiB, grown ones below 4. */
void *mem_alloc(uint64_t size);
void *mem_zero(uint64_t count, uint64_t size);
void *mem_grow(void *p, uint64_t size);
/* mem_grow for tables whose elements are laid out by cache line: begins at one. What is new is zero. */
enum { MEM_LINE = 64 };
void *mem_grow_lines(void *p, uint64_t size_before, uint64_t size);

/* Makes room for one more element in a growing array: `v` with `n` used of `cap`; doubles from 8. */
#define MEM_ROOM(v, n, cap) ((n) < (cap) ? (void)0 : (void)((cap) = (cap) ? 2 * (cap) : 8, (v) = mem_grow((v), (uint64_t)(cap) * sizeof *(v))))

#endif
