/* Pages of bits behind a directory. */
#include "slotset.h"

#include "buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void slotset_free(struct slotset *s)
{
	for (uint32_t i = 0; i < s->pages; i++) free(s->page[i]);
	free(s->page);
	*s = (struct slotset){ 0 };
}

static void grow(struct slotset *s, uint32_t page)
{
	uint32_t pages = s->pages ? s->pages : 1;

	while (pages <= page) pages *= 2;
	s->page = mem_grow(s->page, (uint64_t)pages * sizeof *s->page);
	memset(s->page + s->pages, 0, (pages - s->pages) * sizeof *s->page);
	s->pages = pages;
}

bool slotset_add(struct slotset *s, uint32_t i)
{
	uint32_t page = i / SLOTSET_PAGE_BITS;
	uint64_t *word, bit = UINT64_C(1) << (i % 64);

	assert(i < SLOTSET_MAX);
	if (page >= s->pages) grow(s, page);
	if (s->page[page] == NULL) s->page[page] = mem_zero(1, sizeof **s->page);
	word = &s->page[page]->w[i / 64 % SLOTSET_WORDS];
	if ((*word & bit) != 0) return false;
	*word |= bit;
	s->n++;
	return true;
}

bool slotset_remove(struct slotset *s, uint32_t i)
{
	if (!slotset_has(s, i)) return false;
	s->page[i / SLOTSET_PAGE_BITS]->w[i / 64 % SLOTSET_WORDS] &= ~(UINT64_C(1) << (i % 64));
	if (--s->n == 0) slotset_free(s);
	return true;
}

uint32_t slotset_next(const struct slotset *s, uint32_t from)
{
	if (s->n == 0) return SLOTSET_NONE;
	for (uint32_t page = from / SLOTSET_PAGE_BITS; page < s->pages; page++, from = 0) {
		if (s->page[page] == NULL) continue;
		for (uint32_t w = from / 64 % SLOTSET_WORDS; w < SLOTSET_WORDS; w++) {
			uint64_t bits = s->page[page]->w[w] & (UINT64_MAX << (from % 64));
			if (bits != 0) return page * SLOTSET_PAGE_BITS + w * 64 + (uint32_t)__builtin_ctzll(bits);
			from = 0;
		}
	}
	return SLOTSET_NONE;
}

uint32_t slotset_memory(const struct slotset *s)
{
	uint32_t bytes = s->pages * (uint32_t)sizeof *s->page;

	for (uint32_t i = 0; i < s->pages; i++)
		if (s->page[i] != NULL) bytes += (uint32_t)sizeof **s->page;
	return bytes;
}
