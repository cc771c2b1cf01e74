/* A table from 32-byte keys to a 32-bit index. Open addressing; the hash is keyed from the seed, since peers choose keys.
 *
 * Iteration order is never visible: there is none; owners keep their own lists. Grows by doubling at 3/4; never shrinks below
 * what is in use. The keys themselves stay with the owner: entries hold the index and a hash tag, and the owner says where
 * the key of an index is, so that a look-up touches one line of the table and one of the owner's. */
#ifndef REF_KEYMAP_H
#define REF_KEYMAP_H

#include <stdint.h>

struct keymap_slot {
	uint32_t tag;   /* upper hash bits; 0 with index 0 = empty */
	uint32_t index; /* owner's index + 1; 0 = empty */
};

struct keymap {
	struct keymap_slot *v;
	uint32_t n, mask; /* used, capacity - 1 */
	uint64_t k0, k1;
	const uint8_t *(*key_at)(const void *owner, uint32_t index);
	const void *owner;
};

enum { KEYMAP_NONE = UINT32_MAX };

void keymap_init(struct keymap *m, const uint8_t secret[16], const uint8_t *(*key_at)(const void *owner, uint32_t index), const void *owner);
void keymap_free(struct keymap *m);
/* Index of the key, or KEYMAP_NONE. */
uint32_t keymap_find(const struct keymap *m, const uint8_t *key);
/* The key must not be in the table; key_at(index) must already be it. */
void keymap_add(struct keymap *m, const uint8_t *key, uint32_t index);
/* The key must be in the table. */
void keymap_remove(struct keymap *m, const uint8_t *key);
/* The owner moved the entry of the key to another index. */
void keymap_move(struct keymap *m, const uint8_t *key, uint32_t index);

#endif
