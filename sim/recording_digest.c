/* Digests of a recording. Fields one by one, bytes whole: what is left out is proved of nothing. */
#include "recording.h"

#include "fold.h"

static const uint64_t k0 = UINT64_C(0x9e3779b97f4a7c15), k1 = UINT64_C(0xd6e8feb86659fd93), k2 = UINT64_C(0xa0761d6478bd642f);

static inline uint64_t word(uint64_t h, uint64_t v) { return fold(h ^ v ^ k0, h + k1); }

static uint64_t bytes(uint64_t h, const uint8_t *p, size_t n)
{
	uint64_t g = k2 ^ n;
	uint8_t last[16] = { 0 };

	for (; n >= 32; p += 32, n -= 32) {
		h = fold(h ^ load(p), k0 ^ load(p + 8));
		g = fold(g ^ load(p + 16), k1 ^ load(p + 24));
	}
	for (; n >= 16; p += 16, n -= 16) h = fold(h ^ load(p), k0 ^ load(p + 8));
	if (n != 0) memcpy(last, p, n);
	h = fold(h ^ load(last), k0 ^ load(last + 8));
	return word(h, g);
}

/* NULL is another thing than no bytes. */
static uint64_t text(uint64_t h, const char *p) { return p == NULL ? word(h, 0) : bytes(word(h, 1), (const uint8_t *)p, strlen(p)); }

static uint64_t address(uint64_t h, const struct address *a) { return word(bytes(h, a->ip, sizeof a->ip), a->port); }

static uint64_t action(uint64_t h, const struct actions *list, const struct action *x)
{
	h = word(word(h, (uint64_t)x->kind << 16 | (uint64_t)x->abort << 8 | x->ask), x->token);
	h = word(h, (uint64_t)x->read_n << 32 | x->head_n);
	if (x->head_n != 0) h = bytes(h, action_head(list, x), x->head_n);
	h = bytes(h, x->span.p, x->span.n);
	switch ((enum action_kind)x->kind) {
	case ACTION_DIAL:
	case ACTION_DATAGRAM: return address(h, &x->address);
	case ACTION_START_TLS: return text(text(word(h, (uint64_t)x->tls.server << 1 | x->tls.insecure), x->tls.server_name), x->tls.meta_name);
	case ACTION_DELIVER:
		h = word(word(word(h, (uint64_t)x->deliver.what << 32 | x->deliver.region), x->deliver.a), x->deliver.b);
		return x->deliver.key == NULL ? word(h, 0) : bytes(word(h, 1), x->deliver.key, 32);
	default: return h;
	}
}

uint64_t recording_content(uint64_t seq, const struct event *e, bool turn, const uint8_t *data, uint32_t n)
{
	return bytes(word(word(word(seq, e->now), (uint64_t)e->kind << 1 | turn), e->token), data, n);
}

struct sim_digest recording_digest(struct sim_digest d, uint64_t content, const struct actions *out, uint32_t out_from, const struct actions *up,
                                   uint32_t up_from)
{
	uint64_t h = word(d.a, content);

	for (uint32_t i = out_from; i < out->n; i++) h = action(h, out, &out->v[i]);
	for (uint32_t i = up_from; i < up->n; i++) h = action(word(h, k2), up, &up->v[i]);
	return (struct sim_digest){ .a = h, .b = word(d.b, h) };
}
