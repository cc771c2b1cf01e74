/* A set of small numbers (slots of sessions, indexes of peers): pages of 512 bits, allocated where there are members.
 *
 * Test, add and remove are O(1) and touch one line each of a small directory and of a page; walking is in ascending order, so it
 * is the same on every machine. An empty set owns nothing. Bounded by the largest number that its owner hands out. */
#ifndef REF_SLOTSET_H
#define REF_SLOTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOTSET_PAGE_BITS = 512, SLOTSET_WORDS = SLOTSET_PAGE_BITS / 64, SLOTSET_MAX = 1 << 26, SLOTSET_NONE = UINT32_MAX };

struct slotset_page {
	uint64_t w[SLOTSET_WORDS];
};

struct slotset {
	struct slotset_page **page;
	uint32_t pages; /* length of the directory */
	uint32_t n;     /* members */
};

void slotset_free(struct slotset *s);
static inline bool slotset_has(const struct slotset *s, uint32_t i)
{
	const struct slotset_page *page = i / SLOTSET_PAGE_BITS < s->pages ? s->page[i / SLOTSET_PAGE_BITS] : NULL;

	return page != NULL && (page->w[i / 64 % SLOTSET_WORDS] >> (i % 64) & 1) != 0;
}
bool slotset_add(struct slotset *s, uint32_t i);    /* false: it was a member */
bool slotset_remove(struct slotset *s, uint32_t i); /* false: it was none; the last member gives all memory back */
/* Smallest member >= from, or SLOTSET_NONE. */
uint32_t slotset_next(const struct slotset *s, uint32_t from);
uint32_t slotset_memory(const struct slotset *s);

#endif
