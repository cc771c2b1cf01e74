/* Lengths and chunks, one byte at a time where it is framing. */
#include "body.h"

#include <assert.h>
#include <string.h>

/* Decimal digits only; saturates above BODY_MAX. */
static bool length(struct http_text t, uint64_t *out)
{
	*out = 0;
	if (t.n == 0) return false;
	for (uint32_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9') return false;
		if (*out <= BODY_MAX) *out = *out * 10 + (uint64_t)(t.p[i] - '0');
	}
	return true;
}

uint32_t body_begin(struct body *b, const struct http_head *head, bool *too_long)
{
	const struct http_text *coding = http_field(head, "Transfer-Encoding"), *n = NULL;
	uint64_t bytes = 0;

	*b = (struct body){ .state = BODY_OVER };
	*too_long = http_field(head, "Expect") != NULL;
	for (uint32_t i = 0; i < head->fields; i++) {
		const struct http_field *f = &head->field[i];
		if (!http_text_is_nocase(f->name, "Content-Length")) continue;
		if (n != NULL && (n->n != f->value.n || memcmp(n->p, f->value.p, n->n) != 0)) return 400; /* two different ones */
		n = &f->value;
		if (!length(*n, &bytes)) return 400;
	}
	if (coding != NULL) {
		if (n != NULL || head->minor == 0) return 400; /* who believes which is how requests are smuggled */
		if (!http_text_is_nocase(*coding, "chunked")) return 501;
		b->state = BODY_SIZE;
	} else if (bytes != 0) {
		*too_long |= bytes > BODY_MAX;
		*b = (struct body){ .state = BODY_BYTES, .left = (uint32_t)(bytes > BODY_MAX ? BODY_MAX : bytes) };
	} else {
		*too_long = false;
	}
	return 0;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9') return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The size of a chunk is known. */
static bool chunk(struct body *b)
{
	if (!b->digits || b->left > BODY_MAX) return false;
	b->state = b->left == 0 ? BODY_TRAILER : BODY_CHUNK;
	return true;
}

static bool size_byte(struct body *b, uint8_t c)
{
	int d = digit(c);

	if (d >= 0) {
		b->digits = true;
		if (b->left <= BODY_MAX) b->left = b->left * 16 + (uint32_t)d;
		return true;
	}
	if (c == '\n') return chunk(b);
	if (c != '\r' && c != ';' && c != ' ' && c != '\t') return false;
	b->state = BODY_EXTENSION;
	return true;
}

/* A byte of framing. False: it is wrong. */
static bool frame_byte(struct body *b, uint8_t c)
{
	switch (b->state) {
	case BODY_SIZE: return size_byte(b, c);
	case BODY_EXTENSION: return c != '\n' || chunk(b);
	case BODY_CHUNK_END:
		if (c == '\r') return true;
		*b = (struct body){ .state = BODY_SIZE, .total = b->total };
		return c == '\n';
	case BODY_TRAILER: /* at the start of a line */
		if (c == '\r') return true;
		b->state = c == '\n' ? BODY_OVER : BODY_LINE;
		return true;
	case BODY_LINE:
		if (c == '\n') b->state = BODY_TRAILER;
		return true;
	default: assert(false && "a state of framing"); return false;
	}
}

enum body_result body_skip(struct body *b, const uint8_t **p, size_t *n)
{
	while (b->state != BODY_OVER && *n > 0) {
		bool bytes = b->state == BODY_BYTES || b->state == BODY_CHUNK;
		uint32_t take = !bytes ? 1 : *n < b->left ? (uint32_t)*n : b->left;
		if (!bytes && !frame_byte(b, **p)) return BODY_BAD;
		if (bytes) b->left -= take;
		b->total += take;
		*p += take, *n -= take;
		if (bytes && b->left == 0) b->state = b->state == BODY_BYTES ? BODY_OVER : BODY_CHUNK_END;
		if (b->total > BODY_MAX) return BODY_BAD;
	}
	return b->state == BODY_OVER ? BODY_DONE : BODY_MORE;
}
