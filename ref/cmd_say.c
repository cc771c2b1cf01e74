/* A line a fact. */
#include "cmd.h"

#include <inttypes.h>
#include <string.h>

void say_begin(struct say *s, bool json, const char *event)
{
	s->json = json;
	if (!json) {
		printf("%s", event);
		return;
	}
	json_writer_init(&s->w);
	json_open(&s->w, '{');
	json_name(&s->w, "event");
	json_put_string(&s->w, event, strlen(event));
}

static bool named(struct say *s, const char *name)
{
	if (s->json) json_name(&s->w, name);
	return s->json;
}

void say_bytes(struct say *s, const char *name, const void *p, size_t n)
{
	if (named(s, name))
		json_put_string(&s->w, p, n);
	else
		printf(" %.*s", (int)n, (const char *)p);
}

void say_text(struct say *s, const char *name, const char *text) { say_bytes(s, name, text, strlen(text)); }

void say_key(struct say *s, const char *name, const uint8_t *key)
{
	char hex[KEY_HEX];

	if (key == NULL) return;
	key_hex(key, hex);
	say_bytes(s, name, hex, sizeof hex);
}

void say_u64(struct say *s, const char *name, uint64_t v)
{
	if (named(s, name))
		json_put_u64(&s->w, v);
	else
		printf(" %" PRIu64, v);
}

void say_bool(struct say *s, const char *name, bool v)
{
	if (named(s, name))
		json_put_bool(&s->w, v);
	else
		printf(" %s", v ? "yes" : "no");
}

const char *say_ms(uint64_t ns, char out[SAY_TIME])
{
	uint64_t us = (ns + NS_US / 2) / NS_US;

	snprintf(out, SAY_TIME, "%" PRIu64 ".%03" PRIu64 " ms", us / 1000, us % 1000);
	return out;
}

void say_time(struct say *s, const char *name, uint64_t ns)
{
	char text[SAY_TIME];

	if (named(s, name))
		json_put_u64(&s->w, ns);
	else
		printf(" %s", say_ms(ns, text));
}

void say_end(struct say *s)
{
	if (s->json) {
		json_close(&s->w, '}');
		fwrite(s->w.p, 1, s->w.n, stdout);
		json_writer_free(&s->w);
	}
	putchar('\n');
	fflush(stdout);
}
