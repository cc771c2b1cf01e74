/* All transcripts: each is played by every side of ours that has a part in it, and each recorded stream is read alike whole and byte by
 * byte. What the sides answer: transcript_relay_test.c, transcript_client_test.c, transcript_mesh_test.c, transcript_http_test.c and
 * transcript_stun_test.c. */
#include "pair_transcript.h"

#include <dirent.h>

/* ---- nothing is left out ---- */

/* Which parts a recording has, told from its own head and bytes. */
static unsigned sides_of(const struct story *s)
{
	unsigned sides = s->has_udp ? SIDE_STUN : 0;
	bool derp = false, first = false, second = false;

	for (int i = 0; i < s->conns; i++) {
		struct pair_buf b = joined(s, i, true);
		struct list l = frames_of(&b);
		bool is_derp = l.n > 0 && l.v[0].type == FRAME_SERVER_KEY;
		derp |= is_derp;
		*(server_of(s, i) == 0xa0 ? &second : &first) |= is_derp;
		free(l.v);
		free(b.p);
	}
	if (!derp) return sides | (s->has_http ? SIDE_HTTP : 0);
	if (strncmp(s->relay, "derper ", 7) == 0) sides |= first && second ? SIDE_MESH : SIDE_RELAY;
	return sides | SIDE_CLIENT;
}

static const struct transcript *transcript_named(const char *name)
{
	for (size_t i = 0; i < TRANSCRIPTS; i++)
		if (strcmp(transcripts[i].name, name) == 0) return &transcripts[i];
	return NULL;
}

/* Every recording in the folder is played by each side that it has a part for, and nothing is in the table that is not in the folder. */
static void all_are_played(void **state)
{
	char path[1000], name[256];
	const struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	(void)state;
	transcript_path(path, "", "");
	dir = opendir(path);
	if (dir == NULL) skip();
	while ((entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		const struct transcript *t;
		struct story *s;
		if (dot == NULL || strcmp(dot, ".wire") != 0) continue;
		snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
		t = transcript_named(name);
		if (t == NULL) fail_msg("%s.wire: nobody plays it", name);
		s = story_read(name);
		assert_non_null(s);
		if (sides_of(s) != t->sides) fail_msg("%s.wire: has parts %x, sides %x play it", name, sides_of(s), t->sides);
		story_free(s);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, TRANSCRIPTS);
}

/* ---- the parser alone ---- */

static uint64_t parse_digest(enum frame_role role, const uint8_t *p, size_t n, size_t chunk, size_t *frames)
{
	struct frame_reader r;
	uint64_t h = 7;

	frame_reader_init(&r, role);
	for (size_t at = 0; at < n; at += chunk) {
		const uint8_t *q = p + at;
		size_t left = n - at < chunk ? n - at : chunk;
		struct frame f;
		for (enum frame_result result; (result = frame_read(&r, &q, &left, &f)) != FRAME_MORE;) {
			h = (h ^ f.type ^ (uint64_t)f.n << 8 ^ (uint64_t)f.verdict << 60) * 1099511628211u;
			for (uint32_t i = 0; result == FRAME_READY && i < f.n; i++) h = (h ^ f.payload[i]) * 1099511628211u;
			*frames += result == FRAME_HEADER_READ;
			if (f.verdict == FRAME_BAD) {
				frame_reader_free(&r);
				return h;
			}
		}
	}
	frame_reader_free(&r);
	return h;
}

/* Every recorded stream, whole and byte by byte, gives the same headers, verdicts and payloads. */
static void parser_chunked(void **state)
{
	size_t all = 0;

	(void)state;
	for (size_t k = 0; k < TRANSCRIPTS; k++) {
		struct story *s = story_read(transcripts[k].name);
		if (s == NULL) skip();
		for (int i = 0; (transcripts[k].sides & SIDE_CLIENT) != 0 && i < 2 * s->conns; i++) {
			struct pair_buf b = joined(s, i / 2, i % 2 == 1);
			struct list l = frames_of(&b);
			size_t one = 0, two = 0, n = b.n - l.head_n;
			enum frame_role role = i % 2 == 1 ? FRAME_ROLE_CLIENT : FRAME_ROLE_SERVER;
			if (n != 0) assert_true(parse_digest(role, b.p + l.head_n, n, n + 1, &one) == parse_digest(role, b.p + l.head_n, n, 1, &two));
			assert_int_equal(one, two);
			assert_true(one >= l.n || role == FRAME_ROLE_SERVER);
			all += one;
			free(l.v);
			free(b.p);
		}
		story_free(s);
	}
	assert_true(all > 600);
	print_message("%zu frames read\n", all);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_are_played), cmocka_unit_test(parser_chunked) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
