/* Golden transcripts of HTTP: http-endpoints and http-tls-helper, every request to our relay (profile=derper) and every answer compared
 * byte by byte, its date too, whole and cut to single bytes. Left out, each with its reason, in `ours` below. The recorder came from
 * 127.0.0.1. Stories of DERP: transcript_test.c, where the format is read in full. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONNS = 16, LINE_SIZE = 65536 };

struct exchange {
	char name[40];
	struct pair_buf asked, answered;
};

struct story {
	struct exchange v[CONNS];
	int n;
};

static void hex_add(struct pair_buf *b, const char *hex)
{
	unsigned v;

	for (; sscanf(hex, "%2x", &v) == 1; hex += 2) {
		uint8_t byte = (uint8_t)v;
		pair_put(b, &byte, 1);
	}
}

static void record(struct story *s, const char *line)
{
	char name[40], dir[8];
	int at = 0, i = 0;

	assert_int_equal(sscanf(line, "%*u %39s %7s %n", name, dir, &at), 2);
	while (i < s->n && strcmp(s->v[i].name, name) != 0) i++;
	if (i == s->n) {
		assert_in_range(s->n, 0, CONNS - 1);
		snprintf(s->v[s->n++].name, sizeof name, "%s", name);
	}
	if (strncmp(line + at, "OPEN", 4) == 0 || strncmp(line + at, "END", 3) == 0) return;
	hex_add(strcmp(dir, "S>C") == 0 ? &s->v[i].answered : &s->v[i].asked, line + at);
}

static bool read_story(const char *name, struct story *s)
{
	const char *data = getenv("DERP_DATA");
	char path[1000], *line = mem_alloc(LINE_SIZE);
	FILE *f;

	snprintf(path, sizeof path, "%s/transcripts/%s.wire", data == NULL ? "../shared/data" : data, name);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, LINE_SIZE, f) != NULL)
		if (line[0] != '#') record(s, line);
	if (f != NULL) fclose(f);
	free(line);
	return f != NULL;
}

/* What is not the original's, byte for byte, and why. */
static const struct {
	const char *story, *conn, *why;
} ours[] = {
	{ "http-endpoints", "r8", "the text of the home page is ours, and so is its length" },
	{ "http-endpoints", "r13", "the same page" },
};

static bool is_ours(const char *story, const char *conn)
{
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(ours[i].story, story) == 0 && strcmp(ours[i].conn, conn) == 0) return true;
	return false;
}

/* The head of a page, up to its length, which goes last there. */
static size_t page_head(const struct pair_buf *b)
{
	const char *length = strstr((const char *)b->p, "Content-Length: ");

	assert_non_null(length);
	return (size_t)(length - (const char *)b->p);
}

static void compare(const char *story, struct exchange *x, struct pair_buf *came)
{
	size_t n = x->answered.n, got = came->n;

	pair_put(&x->answered, "", 1), x->answered.n--;
	pair_put(came, "", 1), came->n--;
	if (is_ours(story, x->name)) n = page_head(&x->answered), got = page_head(came);
	if (n != got || memcmp(x->answered.p, came->p, n) != 0)
		fail_msg("%s %s: recorded\n%s\ncame\n%s", story, x->name, (const char *)x->answered.p, (const char *)came->p);
}

static void play(const char *name, struct story *s, uint16_t port, size_t chunk)
{
	struct pair *p = pair_new(chunk);
	int r;

	p->wall_ns = UINT64_C(1795438505) * NS_S; /* both were recorded within this second */
	p->remote = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 40000 };
	r = pair_relay(p, 0x00, "profile=derper\n");
	for (int i = 0; i < s->n; i++) {
		int stream = wire_connect_port(p, r, port);
		bool says_close;
		wire_send(p, stream, s->v[i].asked.p, s->v[i].asked.n);
		compare(name, &s->v[i], &wire_end(p, stream)->got);
		/* The recorder ended first; a relay that has said that it will close has done so. */
		says_close = strstr((const char *)s->v[i].answered.p, "Connection: close\r\n") != NULL;
		assert_int_equal(wire_end(p, stream)->ended == PAIR_EOF, says_close);
		wire_fin(p, stream);
	}
	pair_free(p);
}

static void story(const char *name, uint16_t port)
{
	struct story s = { .n = 0 };

	if (!read_story(name, &s)) skip();
	assert_true(s.n > 5);
	play(name, &s, port, 0);
	play(name, &s, port, 1);
	for (int i = 0; i < s.n; i++) free(s.v[i].asked.p), free(s.v[i].answered.p);
}

static void http_endpoints(void **state)
{
	(void)state;
	story("http-endpoints", 80);
}

static void http_tls_helper(void **state)
{
	(void)state;
	story("http-tls-helper", 8080);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(http_endpoints), cmocka_unit_test(http_tls_helper) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
