/* A ring of spans and sendmsg. */
#include "os_held.h"

#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { PIECES_MAX = 1024 /* IOV_MAX */, TOGETHER_MAX = 32768, SMALL_MAX = 512 };

static struct span *held_at(const struct os_held *h, uint32_t i) { return &h->v[(h->head + i) & (h->cap - 1)]; }

static void take_first(struct os_held *h, uint32_t n)
{
	struct span *x = held_at(h, 0);

	assert(n <= x->n);
	x->p += n, x->n -= n;
	h->bytes -= n;
	if (x->n != 0) return;
	packet_drop(x->owner);
	h->head = (h->head + 1) & (h->cap - 1);
	h->n--;
}

void os_held_free(struct os_held *h)
{
	while (h->n > 0) take_first(h, held_at(h, 0)->n);
	free(h->v);
	*h = (struct os_held){ 0 };
}

static void grow(struct os_held *h)
{
	uint32_t cap = h->cap ? 2 * h->cap : 8;
	struct span *v = mem_alloc((uint64_t)cap * sizeof *v);

	for (uint32_t i = 0; i < h->n; i++) v[i] = *held_at(h, i);
	free(h->v);
	h->v = v, h->cap = cap, h->head = 0;
}

static void add(struct os_held *h, const struct span *x, uint32_t skip)
{
	struct packet *owner = x->owner != NULL ? packet_hold(x->owner) : packet_copy(x->p + skip, x->n - skip);

	if (h->n == h->cap) grow(h);
	h->n++;
	*held_at(h, h->n - 1) = (struct span){ .owner = owner, .p = x->owner != NULL ? x->p + skip : owner->bytes, .n = x->n - skip };
	h->bytes += x->n - skip;
}

/* `taken` bytes are gone, of those held first; what is left of both is held. */
static void keep(struct os_held *h, uint64_t taken, const struct span *fresh, uint32_t fresh_n)
{
	while (taken > 0 && h->n > 0) {
		uint32_t n = held_at(h, 0)->n;
		if (n > taken) n = (uint32_t)taken;
		take_first(h, n);
		taken -= n;
	}
	for (uint32_t i = 0; i < fresh_n; i++) {
		uint32_t skip = taken < fresh[i].n ? (uint32_t)taken : fresh[i].n;
		taken -= skip;
		if (skip < fresh[i].n) add(h, &fresh[i], skip);
	}
	assert(taken == 0);
	if (h->n == 0) os_held_free(h);
}

/* Many small pieces cost the kernel more than a copy of them costs us. */
static bool together(const struct iovec *v, uint32_t n, size_t bytes, uint8_t room[TOGETHER_MAX])
{
	if (n < 3 || bytes > TOGETHER_MAX || bytes > (size_t)n * SMALL_MAX) return false;
	for (uint32_t i = 0; i < n; room += v[i++].iov_len) memcpy(room, v[i].iov_base, v[i].iov_len);
	return true;
}

uint64_t os_write_socket(void *to, const struct iovec *v, uint32_t n, bool *blocked, int *error)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n };
	uint8_t room[TOGETHER_MAX];
	struct iovec one = { .iov_base = room };
	size_t want = 0;
	ssize_t took;

	for (uint32_t i = 0; i < n; i++) want += v[i].iov_len;
	if (together(v, n, want, room)) one.iov_len = want, message.msg_iov = &one, message.msg_iovlen = 1;
	do took = sendmsg(*(const int *)to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (took < 0 && errno == EINTR);
	if (took < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) *error = errno;
	*blocked = took < 0 || (size_t)took < want;
	return took < 0 ? 0 : (uint64_t)took;
}

int os_held_write(struct os_held *h, os_write *write, void *to, const struct span *fresh, uint32_t fresh_n, bool *blocked)
{
	uint32_t at = 0, all = h->n + fresh_n;
	uint64_t taken = 0;
	int error = 0;

	while (at < all && !*blocked && error == 0) {
		struct iovec v[PIECES_MAX];
		uint32_t n = 0;
		for (; n < PIECES_MAX && at < all; n++, at++) {
			const struct span *x = at < h->n ? held_at(h, at) : &fresh[at - h->n];
			v[n] = (struct iovec){ .iov_base = (void *)(uintptr_t)x->p, .iov_len = x->n };
		}
		taken += write(to, v, n, blocked, &error);
	}
	keep(h, taken, fresh, fresh_n);
	return error;
}
