/* Counted packets and memory that is there or ends the program. */
#include "buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MEM_MAX = 1 << 30 };

static void *mem_check(void *p)
{
	if (p != NULL) return p;
	/* Nothing sensible can be done without memory; an abort leaves a core to look at. */
	abort();
}

void *mem_alloc(uint64_t size)
{
	assert(size < MEM_MAX);
	return mem_check(malloc(size == 0 ? 1 : (size_t)size));
}

void *mem_zero(uint64_t count, uint64_t size)
{
	assert(count < MEM_MAX && size < MEM_MAX && count * size < MEM_MAX);
	return mem_check(calloc(count == 0 ? 1 : (size_t)count, size == 0 ? 1 : (size_t)size));
}

void *mem_grow(void *p, uint64_t size)
{
	assert(size != 0 && size < (uint64_t)4 * MEM_MAX);
	return mem_check(realloc(p, (size_t)size));
}

void *mem_grow_lines(void *p, uint64_t size_before, uint64_t size)
{
	uint64_t whole = (size + MEM_LINE - 1) & ~(uint64_t)(MEM_LINE - 1);
	uint8_t *lines;

	assert(size_before <= size && size != 0 && size < (uint64_t)4 * MEM_MAX);
	lines = mem_check(aligned_alloc(MEM_LINE, (size_t)whole));
	if (size_before > 0) memcpy(lines, p, (size_t)size_before);
	memset(lines + size_before, 0, (size_t)(whole - size_before));
	free(p);
	return lines;
}

struct packet *packet_new(uint32_t n)
{
	struct packet *packet = mem_alloc(sizeof *packet + (uint64_t)n);

	packet->count = 1;
	packet->n = n;
	return packet;
}

struct packet *packet_copy(const uint8_t *p, uint32_t n)
{
	struct packet *packet = packet_new(n);

	if (n != 0) memcpy(packet->bytes, p, n);
	return packet;
}

struct packet *packet_grow(struct packet *packet, uint32_t n)
{
	assert(packet->count == 1 && n >= packet->n);
	packet = mem_grow(packet, sizeof *packet + (uint64_t)n);
	packet->n = n;
	return packet;
}

struct packet *packet_hold(struct packet *packet)
{
	assert(packet->count > 0 && packet->count < UINT32_MAX);
	packet->count++;
	return packet;
}

void packet_drop(struct packet *packet)
{
	if (packet == NULL) return;
	assert(packet->count > 0);
	if (--packet->count == 0) free(packet);
}
