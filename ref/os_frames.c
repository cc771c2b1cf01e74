/* A header of five bytes, its length counted down; before that, perhaps, a head of HTTP. */
#include "os_frames.h"

#include "buf.h"
#include "frame.h"

#include <stdlib.h>
#include <string.h>

enum mode { MODE_NEW, MODE_HTTP, MODE_DERP, MODE_OTHER };

struct flow {
	uint8_t mode;
	uint8_t head[12]; /* of HTTP or of a frame */
	uint32_t have;    /* bytes of the head so far */
	uint64_t rest;    /* payload still to come */
	uint32_t length;
	bool blank; /* HTTP: the last line was empty so far */
};

struct stream {
	uint64_t token;
	uint64_t number;
	struct flow flow[2];
};

struct os_frames {
	FILE *file;
	struct stream **v[2]; /* by slot, of the host's and of the machine's tokens */
	uint32_t cap[2];
	uint64_t numbers;
};

struct os_frames *os_frames_new(FILE *file)
{
	struct os_frames *f = mem_zero(1, sizeof *f);

	f->file = file;
	return f;
}

void os_frames_free(struct os_frames *f)
{
	if (f == NULL) return;
	for (int side = 0; side < 2; side++) {
		for (uint32_t i = 0; i < f->cap[side]; i++) free(f->v[side][i]);
		free(f->v[side]);
	}
	free(f);
}

/* The place of a token's stream; another token there is an older one of the same slot. */
static struct stream **place(struct os_frames *f, uint64_t token)
{
	int side = token_is_machine(token);
	uint32_t slot = token_slot(token), cap = f->cap[side] ? f->cap[side] : 64;

	if (slot >= f->cap[side]) {
		while (cap <= slot) cap *= 2;
		f->v[side] = mem_grow(f->v[side], (uint64_t)cap * sizeof *f->v[side]);
		memset(f->v[side] + f->cap[side], 0, (cap - f->cap[side]) * sizeof *f->v[side]);
		f->cap[side] = cap;
	}
	return &f->v[side][slot];
}

static struct stream *find(struct os_frames *f, uint64_t token)
{
	struct stream **at = place(f, token);

	if (*at == NULL) *at = mem_zero(1, sizeof **at);
	if ((*at)->token != token) **at = (struct stream){ .token = token, .number = ++f->numbers };
	return *at;
}

static void line(const struct os_frames *f, const struct stream *s, enum os_stream what, const char *type, uint32_t n)
{
	fprintf(f->file, "%llu %s %s %u\n", (unsigned long long)s->number, what == OS_STREAM_IN ? "in" : "out", type, n);
}

/* HTTP-005, HTTP-008: a head of HTTP comes first, or DERP from the first byte; no frame type that may come first looks like one. */
static enum mode first_mode(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? MODE_HTTP : MODE_DERP; }

static bool http_over(struct flow *w, uint8_t byte)
{
	bool empty = w->blank;

	if (byte == '\n') w->blank = true;
	if (byte != '\n' && byte != '\r') w->blank = false;
	return byte == '\n' && empty;
}

static void http_byte(const struct os_frames *f, const struct stream *s, enum os_stream what, struct flow *w, uint8_t byte)
{
	bool answer, good;

	if (w->length < sizeof w->head) w->head[w->length] = byte;
	w->length++;
	if (!http_over(w, byte)) return;
	line(f, s, what, "HTTP", w->length);
	answer = w->length > sizeof w->head && memcmp(w->head, "HTTP/", 5) == 0;
	good = !answer || memcmp(w->head + 9, "101", 3) == 0;
	*w = (struct flow){ .mode = good ? MODE_NEW : MODE_OTHER }; /* another request may follow a refused one */
}

static void frame_over(const struct os_frames *f, const struct stream *s, enum os_stream what, struct flow *w)
{
	line(f, s, what, frame_name(w->head[0]), w->length);
	*w = (struct flow){ .mode = MODE_DERP };
}

/* As much of the bytes as belongs to the frame at hand. */
static uint32_t frame_bytes(const struct os_frames *f, const struct stream *s, enum os_stream what, struct flow *w, const uint8_t *p, uint32_t n)
{
	uint32_t take = n < w->rest ? n : (uint32_t)w->rest;

	if (w->have < FRAME_HEADER) {
		w->head[w->have++] = *p;
		if (w->have < FRAME_HEADER) return 1;
		w->rest = w->length = (uint32_t)w->head[1] << 24 | (uint32_t)w->head[2] << 16 | (uint32_t)w->head[3] << 8 | w->head[4];
		take = 1;
	} else {
		w->rest -= take;
	}
	if (w->rest == 0) frame_over(f, s, what, w);
	return take;
}

void os_frames_stream(struct os_frames *f, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	struct stream *s;
	struct flow *w;

	if (what == OS_STREAM_OVER) {
		struct stream **at = place(f, token);
		free(*at);
		*at = NULL;
		return;
	}
	s = find(f, token);
	w = &s->flow[what == OS_STREAM_OUT];
	while (n > 0) {
		uint32_t used = 1;
		if (w->mode == MODE_NEW) w->mode = (uint8_t)first_mode(*p);
		switch ((enum mode)w->mode) {
		case MODE_HTTP: http_byte(f, s, what, w, *p); break;
		case MODE_DERP: used = frame_bytes(f, s, what, w, p, n); break;
		default: return;
		}
		p += used, n -= used;
	}
}
