/* Transcripts of HTTP played to our relay: every request of http-endpoints and http-tls-helper, and every answer compared byte by byte,
 * its date too, with both profiles, whole and cut to single bytes (TRP-004). The recorder came from 127.0.0.1. */
#include "pair_difference.h"

/* No rule makes a difference with the default profile. Of a page whose text is not the original's, all but its length is compared. */
static const struct difference differences[] = {
	{ "http-endpoints", "r8", NULL, "page", "the words of the home page are ours; HTTP-038 says only that there is one" },
	{ "http-endpoints", "r13", NULL, "page", "the same page" },
};
enum { DIFFERENCES = sizeof differences / sizeof *differences };

/* The head of a page, up to its length, which goes last there. */
static size_t page_head(const struct pair_buf *b)
{
	const char *at = b->n == 0 ? NULL : memmem(b->p, b->n, "Content-Length: ", 16);

	assert_non_null(at);
	return (size_t)(at - (const char *)b->p);
}

static void compare(struct judge *j, int conn, const struct pair_buf *want, const struct pair_buf *came)
{
	const char *name = j->story->conn[conn];
	size_t n = want->n, got = came->n;

	compared++;
	if (n == got && memcmp(want->p, came->p, n) == 0) return;
	if (n != 0 && got != 0 && memmem(want->p, n, "<html", 5) != NULL) {
		judge_difference(j, name, "page");
		n = page_head(want), got = page_head(came);
	}
	if (n != got || memcmp(want->p, came->p, n) != 0)
		fail_msg("%s %s: recorded\n%.*s\ncame\n%.*s", j->story->name, name, (int)want->n, (const char *)want->p, (int)came->n,
		         (const char *)came->p);
}

static void exchange(struct pair *p, int relay, struct judge *j, int conn)
{
	struct pair_buf asked = recorded(j->story, conn, false), answered = recorded(j->story, conn, true);
	int stream = wire_connect_port(p, relay, strcmp(j->story->name, "http-tls-helper") == 0 ? 8080 : 80);

	wire_send(p, stream, asked.p, asked.n);
	compare(j, conn, &answered, &wire_end(p, stream)->got);
	/* The recorder ended first; a relay that has said that it will close has done so. */
	assert_int_equal(wire_end(p, stream)->ended == PAIR_EOF, memmem(answered.p, answered.n, "\r\nConnection: close\r\n", 21) != NULL);
	wire_fin(p, stream);
	free(asked.p), free(answered.p);
}

static void http_story(void **state)
{
	struct story *s = case_story(state);

	if (s == NULL) skip();
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct judge j = judge_new(s, differences, DIFFERENCES);
		struct pair *p = pair_new(chunk);
		int relay;
		p->wall_ns = UINT64_C(1795438505) * NS_S; /* both were recorded within this second */
		p->remote = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 40000 };
		relay = pair_relay(p, 0x00, s->ours ? "" : "profile=derper\n");
		for (int i = 0; i < s->conns; i++) exchange(p, relay, &j, i);
		judge_done(&j);
		pair_free(p);
	}
	story_free(s);
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX];

	return _cmocka_run_group_tests("http", tests, transcript_cases(SIDE_HTTP, http_story, tests), NULL, difference_report);
}
