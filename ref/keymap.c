/* Linear probing with backward-shift deletion, so that there are no tombstones and look-ups stay short for ever. */
#include "keymap.h"

#include "buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, KEY_BYTES = 32 };

static uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 x = (unsigned __int128)a * b;

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Peers choose keys, but not k0 and k1, which come from the seed: they cannot aim at one bucket. */
static uint64_t hash(const struct keymap *m, const uint8_t *key)
{
	uint64_t a = fold(load(key) ^ m->k0, load(key + 8) ^ m->k1);
	uint64_t b = fold(load(key + 16) ^ m->k1, load(key + 24) ^ m->k0);

	return fold(a ^ UINT64_C(0x9e3779b97f4a7c15), b ^ m->k0);
}

void keymap_init(struct keymap *m, const uint8_t secret[16], const uint8_t *(*key_at)(const void *owner, uint32_t index), const void *owner)
{
	*m = (struct keymap){ .key_at = key_at, .owner = owner, .k0 = load(secret), .k1 = load(secret + 8) };
	m->v = mem_zero(FIRST_CAPACITY, sizeof *m->v);
	m->mask = FIRST_CAPACITY - 1;
}

void keymap_free(struct keymap *m)
{
	free(m->v);
	m->v = NULL;
	m->n = 0;
}

static uint32_t find_slot(const struct keymap *m, const uint8_t *key, uint64_t h)
{
	uint32_t tag = (uint32_t)(h >> 32);

	for (uint32_t i = (uint32_t)h & m->mask;; i = (i + 1) & m->mask) {
		const struct keymap_slot *s = &m->v[i];
		if (s->index == 0) return i;
		if (s->tag == tag && memcmp(m->key_at(m->owner, s->index - 1), key, KEY_BYTES) == 0) return i;
	}
}

uint32_t keymap_find(const struct keymap *m, const uint8_t *key)
{
	/* An empty slot holds index 0, and 0 - 1 is KEYMAP_NONE. */
	return m->v[find_slot(m, key, hash(m, key))].index - 1;
}

static void grow(struct keymap *m)
{
	struct keymap_slot *old = m->v;
	uint32_t old_cap = m->mask + 1;

	assert(old_cap < UINT32_C(1) << 30);
	m->v = mem_zero((uint64_t)old_cap * 2, sizeof *m->v);
	m->mask = old_cap * 2 - 1;
	for (uint32_t i = 0; i < old_cap; i++) {
		uint32_t at;
		if (old[i].index == 0) continue;
		at = (uint32_t)hash(m, m->key_at(m->owner, old[i].index - 1)) & m->mask;
		while (m->v[at].index != 0) at = (at + 1) & m->mask;
		m->v[at] = old[i];
	}
	free(old);
}

void keymap_add(struct keymap *m, const uint8_t *key, uint32_t index)
{
	uint64_t h = hash(m, key);
	uint32_t at;

	assert(index < KEYMAP_NONE);
	if (m->n + 1 > (m->mask + 1) / 4 * 3) grow(m);
	at = find_slot(m, key, h);
	assert(m->v[at].index == 0);
	m->v[at] = (struct keymap_slot){ .tag = (uint32_t)(h >> 32), .index = index + 1 };
	m->n++;
}

void keymap_remove(struct keymap *m, const uint8_t *key)
{
	uint32_t hole = find_slot(m, key, hash(m, key));

	assert(m->v[hole].index != 0);
	for (uint32_t i = (hole + 1) & m->mask; m->v[i].index != 0; i = (i + 1) & m->mask) {
		uint32_t home = (uint32_t)hash(m, m->key_at(m->owner, m->v[i].index - 1)) & m->mask;
		if (((i - home) & m->mask) < ((i - hole) & m->mask)) continue; /* it may not move before its home */
		m->v[hole] = m->v[i];
		hole = i;
	}
	m->v[hole] = (struct keymap_slot){ 0 };
	m->n--;
}

void keymap_move(struct keymap *m, const uint8_t *key, uint32_t index)
{
	uint32_t at = find_slot(m, key, hash(m, key));

	assert(m->v[at].index != 0 && index < KEYMAP_NONE);
	m->v[at].index = index + 1;
}
