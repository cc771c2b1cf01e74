/* Lists of names, rounds of answers, and the JSON of them. */
#include "bootstrap.h"

#include "address.h"
#include "key.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static bool complain(char error[200], const char *p, size_t n)
{
	snprintf(error, 200, "found '%.*s', expected at most %d different names, unpublished ones with /PERCENT behind or not",
	         (int)(n < 60 ? n : 60), p, BOOTSTRAP_NAMES_MAX);
	return false;
}

static bool percent_of(const char *p, const char *end, uint8_t *out)
{
	uint32_t v = 0;

	if (p == end || end - p > 3) return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9') return false;
		v = v * 10 + (uint32_t)(*p - '0');
	}
	*out = (uint8_t)v;
	return v <= 100;
}

static bool name_of(const char *p, const char *end, char out[BOOTSTRAP_NAME_SIZE])
{
	if (p == end || end - p >= BOOTSTRAP_NAME_SIZE) return false;
	for (const char *c = p; c < end; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && *c != '.' && *c != '-' && *c != '_')
			return false;
	memcpy(out, p, (size_t)(end - p));
	out[end - p] = 0;
	return true;
}

/* Into its place in the order of names. */
static bool insert(struct bootstrap *b, const struct bootstrap_name *entry)
{
	uint32_t at = 0;

	while (at < b->names && strcmp(b->name[at].name, entry->name) < 0) at++;
	if (b->names == BOOTSTRAP_NAMES_MAX || (at < b->names && strcmp(b->name[at].name, entry->name) == 0)) return false;
	if (b->name == NULL) b->name = mem_zero(BOOTSTRAP_NAMES_MAX, sizeof *b->name);
	memmove(b->name + at + 1, b->name + at, (b->names++ - at) * sizeof *b->name);
	b->name[at] = *entry;
	b->any |= entry->published;
	return true;
}

static bool read_list(struct bootstrap *b, const char *p, size_t n, bool published, char error[200])
{
	const char *end = p + n;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma == NULL ? end : comma;
		const char *slash = published ? NULL : memchr(p, '/', (size_t)(stop - p));
		struct bootstrap_name entry = { .published = published, .percent = 100 };
		if (!name_of(p, slash == NULL ? stop : slash, entry.name) || (slash != NULL && !percent_of(slash + 1, stop, &entry.percent)) ||
		    !insert(b, &entry))
			return complain(error, p, (size_t)(stop - p));
		p = comma == NULL ? end : comma + 1;
	}
	return true;
}

bool bootstrap_init(struct bootstrap *b, const char *published, size_t published_n, const char *unpublished, size_t unpublished_n, char error[200])
{
	if (read_list(b, published_n == 0 ? "" : published, published_n, true, error) &&
	    read_list(b, unpublished_n == 0 ? "" : unpublished, unpublished_n, false, error))
		return true;
	bootstrap_free(b);
	return false;
}

void bootstrap_free(struct bootstrap *b)
{
	free(b->name);
	reply_free(&b->known);
	*b = (struct bootstrap){ 0 };
}

/* ---- rounds ---- */

static uint32_t addresses(const struct bootstrap_name *name) { return (uint32_t)name->n[0] + name->n[1]; }

static const struct address *address_at(const struct bootstrap_name *name, uint32_t i)
{
	uint32_t at = name->order[i];

	return at < name->n[0] ? &name->v[0][at] : &name->v[1][at - name->n[0]];
}

static void in_order(struct bootstrap_name *name)
{
	for (uint32_t i = 0; i < addresses(name); i++) name->order[i] = (uint8_t)i;
}

void bootstrap_resolved(struct bootstrap *b, uint32_t name, uint32_t family, const struct address *v, uint32_t n)
{
	struct bootstrap_name *x = &b->name[name];

	assert(name < b->names && family < 2);
	if (n > BOOTSTRAP_ADDRESSES_MAX) n = BOOTSTRAP_ADDRESSES_MAX;
	if (n != 0) memcpy(x->v[family], v, n * sizeof *v);
	x->n[family] = (uint8_t)n;
	in_order(x);
}

/* As the original lays it out. */
static void put_name(struct reply *r, const struct bootstrap_name *name, bool first)
{
	char text[ADDRESS_TEXT];

	reply_format(r, "%s\n\t\"%s\": [", first ? "" : ",", name->name);
	for (uint32_t i = 0; i < addresses(name); i++)
		reply_format(r, "%s\n\t\t\"%s\"", i == 0 ? "" : ",", address_ip_text(address_at(name, i), text));
	reply_format(r, "\n\t]");
}

void bootstrap_finish(struct bootstrap *b, struct rng *rng)
{
	bool first = true;

	for (uint32_t i = 0; i < b->names; i++) {
		struct bootstrap_name *x = &b->name[i];
		in_order(x);
		for (uint32_t left = addresses(x); left > 1; left--) {
			uint32_t with = (uint32_t)rng_range(rng, RNG_SHUFFLE, 0, left - 1);
			uint8_t held = x->order[left - 1];
			x->order[left - 1] = x->order[with];
			x->order[with] = held;
		}
	}
	reply_free(&b->known);
	if (!b->any) return;
	reply_format(&b->known, "{");
	for (uint32_t i = 0; i < b->names; i++)
		if (b->name[i].published && addresses(&b->name[i]) != 0) {
			put_name(&b->known, &b->name[i], first);
			first = false;
		}
	reply_format(&b->known, first ? "}" : "\n}");
}

/* ---- answers ---- */

/* The same address always falls on the same side. */
static bool in_share(const struct address *remote, uint8_t percent)
{
	uint8_t hash[32];

	key_derive(remote->ip, sizeof remote->ip, "bootstrap share", hash);
	return (hash[0] | hash[1] << 8) % 100 < percent;
}

static const struct bootstrap_name *find(const struct bootstrap *b, const char *name)
{
	for (uint32_t i = 0; i < b->names; i++)
		if (strcmp(b->name[i].name, name) == 0) return &b->name[i];
	return NULL;
}

/* True: it is answered alone. */
static bool by_name(struct bootstrap *b, const char *query, const struct address *remote, struct reply *reply)
{
	const struct bootstrap_name *x = find(b, query);
	bool known = x != NULL && addresses(x) != 0;

	if (x != NULL && x->published) {
		b->count.published_hits += known;
		b->count.published_misses += !known;
		return false;
	}
	b->count.unpublished_hits += known;
	if (known && !in_share(remote, x->percent)) b->count.unpublished_percent_misses++, known = false;
	b->count.unpublished_misses += !known;
	if (!known) return false;
	reply_format(reply, "{");
	put_name(reply, x, true);
	reply_format(reply, "\n}");
	return true;
}

void bootstrap_reply(struct bootstrap *b, const char *query, const struct address *remote, struct reply *reply)
{
	reply_init(reply, 200, "application/json", REPLY_SAY_CLOSE | REPLY_BROWSER);
	b->count.requests++;
	if (query != NULL && query[0] != 0 && by_name(b, query, remote, reply)) return;
	reply_put(reply, b->known.body, b->known.n);
}

uint64_t bootstrap_memory(const struct bootstrap *b) { return (b->name == NULL ? 0 : BOOTSTRAP_NAMES_MAX * sizeof *b->name) + b->known.cap; }
