/* Streams told as lines: whole and byte by byte alike, with and without HTTP before them. */
#include "os_frames.h"

#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
	uint8_t p[400];
	uint32_t n;
};

static void put(struct bytes *b, const void *p, uint32_t n) { memcpy(b->p + b->n, p, n), b->n += n; }

static void frame(struct bytes *b, uint8_t type, uint32_t n)
{
	uint8_t head[FRAME_HEADER], zero[100] = { 0 };

	frame_header(head, type, n);
	put(b, head, sizeof head);
	put(b, zero, n);
}

/* Feeds in pieces and compares the lines. */
static void assert_lines(const struct bytes *b, uint32_t piece, const char *want)
{
	char *log = NULL;
	size_t log_n;
	FILE *file = open_memstream(&log, &log_n);
	struct os_frames *frames = os_frames_new(file);

	for (uint32_t at = 0; at < b->n; at += piece)
		os_frames_stream(frames, token_make(3, 1), OS_STREAM_IN, b->p + at, piece < b->n - at ? piece : b->n - at);
	os_frames_free(frames);
	fclose(file);
	assert_string_equal(log, want);
	free(log);
}

/* A request refused, one that is not, and frames, an empty and an unfinished one among them. */
static void stream_in_pieces(void **state)
{
	static const char refused[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", good[] = "GET /derp HTTP/1.1\nUpgrade: DERP\n\n";
	struct bytes b = { .n = 0 };

	(void)state;
	put(&b, refused, sizeof refused - 1);
	put(&b, good, sizeof good - 1);
	frame(&b, FRAME_CLIENT_INFO, 60);
	frame(&b, FRAME_KEEP_ALIVE, 0);
	frame(&b, 0x77, 3);
	frame(&b, FRAME_SEND_PACKET, 33);
	b.n -= 1;
	for (uint32_t piece = 1; piece <= b.n; piece++)
		assert_lines(&b, piece, "1 in HTTP 27\n1 in HTTP 34\n1 in ClientInfo 60\n1 in KeepAlive 0\n1 in unknown 3\n");
}

/* What follows an answer other than 101 is no DERP; without HTTP, DERP begins with the first byte. */
static void stream_answers(void **state)
{
	static const char no[] = "HTTP/1.1 404 Not Found\r\n\r\n", yes[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
	struct bytes a = { .n = 0 }, b = { .n = 0 }, c = { .n = 0 };

	(void)state;
	put(&a, no, sizeof no - 1);
	frame(&a, FRAME_SERVER_KEY, 40);
	put(&b, yes, sizeof yes - 1);
	frame(&b, FRAME_SERVER_KEY, 40);
	frame(&c, FRAME_SERVER_KEY, 40);
	for (uint32_t piece = 1; piece <= b.n; piece += 3) {
		assert_lines(&a, piece, "1 in HTTP 26\n");
		assert_lines(&b, piece, "1 in HTTP 36\n1 in ServerKey 40\n");
		assert_lines(&c, piece, "1 in ServerKey 40\n");
	}
}

/* A slot that is used again is another connection; both directions of one are apart. */
static void stream_of_each_token(void **state)
{
	char *log = NULL;
	size_t log_n;
	FILE *file = open_memstream(&log, &log_n);
	struct os_frames *frames = os_frames_new(file);
	struct bytes b = { .n = 0 };

	(void)state;
	frame(&b, FRAME_KEEP_ALIVE, 0);
	os_frames_stream(frames, token_make(500, 1), OS_STREAM_IN, b.p, 3); /* never finished */
	os_frames_stream(frames, token_make(500, 1), OS_STREAM_OUT, b.p, b.n);
	os_frames_stream(frames, token_make(500, 1), OS_STREAM_OVER, NULL, 0);
	os_frames_stream(frames, token_make(500, 2), OS_STREAM_IN, b.p, b.n);
	os_frames_stream(frames, TOKEN_MACHINE | token_make(500, 1), OS_STREAM_IN, b.p, b.n);
	os_frames_stream(frames, token_make(500, 2), OS_STREAM_IN, b.p, b.n);
	os_frames_free(frames);
	fclose(file);
	assert_string_equal(log, "1 out KeepAlive 0\n2 in KeepAlive 0\n3 in KeepAlive 0\n2 in KeepAlive 0\n");
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_in_pieces),
		cmocka_unit_test(stream_answers),
		cmocka_unit_test(stream_of_each_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
