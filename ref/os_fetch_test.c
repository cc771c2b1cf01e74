/* URLs in the loop, and a relay that asks one whom to admit (RAT-014..RAT-019). */
#include "os_fetch.h"

#include "pair_sockets.h"
#include "pair_webserver.h"

struct heard {
	uint32_t calls, status, n;
	char body[200000], why[200];
};

static void heard(void *ctx, const struct os_fetch_answer *answer)
{
	struct heard *h = ctx;

	h->calls++;
	h->status = answer->status;
	h->n = answer->n;
	assert_true(answer->n < sizeof h->body);
	if (answer->n != 0) memcpy(h->body, answer->p, answer->n);
	h->body[answer->n] = 0;
	snprintf(h->why, sizeof h->why, "%s", answer->why == NULL ? "" : answer->why);
}

struct scene {
	struct os_loop *loop;
	struct web *web;
	struct os_fetch *fetch;
	struct heard heard;
};

static struct scene *scene_new(void)
{
	struct scene *s = calloc(1, sizeof *s);

	s->loop = os_loop_new();
	s->web = web_new(s->loop);
	s->fetch = os_fetch_new(s->loop);
	assert_non_null(s->fetch);
	return s;
}

static void scene_end(struct scene *s)
{
	os_fetch_free(s->fetch);
	web_end(s->web);
	os_loop_free(s->loop);
	free(s);
}

static struct os_fetch_call *start(struct scene *s, const char *path, const char *body, uint32_t answer_max, bool whole, uint64_t patience_ns)
{
	char url[100];
	struct os_fetch_request r = { .url = web_url(s->web, path, url),
		                      .body = (const uint8_t *)body,
		                      .body_n = body == NULL ? 0 : (uint32_t)strlen(body),
		                      .answer_max = answer_max,
		                      .whole = whole,
		                      .patience_ns = patience_ns };

	return os_fetch_start(s->fetch, &r, heard, &s->heard);
}

static const struct heard *fetch(struct scene *s, const char *path, const char *body)
{
	uint32_t calls = s->heard.calls;

	start(s, path, body, 4096, false, 3 * NS_S);
	assert_int_equal(s->heard.calls, calls); /* never before it returns */
	AWAIT(s->loop, s->heard.calls == calls + 1);
	return &s->heard;
}

/* RAT-014: a POST of the body, with no content type, as the original's client does; a GET without a body. */
static void request_is_the_original_s(void **state)
{
	struct scene *s = scene_new();
	char want[300];

	(void)state;
	assert_int_equal(fetch(s, "/allow", "{\"a\":1}")->status, 200);
	assert_string_equal(s->heard.body, "{\"Allow\":true}");
	assert_string_equal(s->heard.why, "");
	snprintf(want, sizeof want,
	         "POST /allow HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}", s->web->port);
	assert_string_equal(s->web->last, want);
	assert_int_equal(fetch(s, "/allow", NULL)->status, 200);
	snprintf(want, sizeof want, "GET /allow HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: Go-http-client/1.1\r\n\r\n", s->web->port);
	assert_string_equal(s->web->last, want);
	assert_int_equal(fetch(s, "/say/201", "")->status, 201);
	assert_int_equal(fetch(s, "/say/503", "")->status, 503);
	assert_int_equal(s->web->conns, 1); /* one connection for all */
	scene_end(s);
}

/* RAT-015: 302 turns into GET, 307 repeats the POST; a loop is no answer, nor is what is no http. */
static void redirects(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	assert_int_equal(fetch(s, "/302", "body")->status, 200);
	assert_non_null(strstr(s->web->last, "GET /allow "));
	assert_null(strstr(s->web->last, "body"));
	assert_int_equal(fetch(s, "/307", "body")->status, 200);
	assert_non_null(strstr(s->web->last, "POST /allow "));
	assert_non_null(strstr(s->web->last, "\r\n\r\nbody"));
	s->web->requests = 0;
	assert_int_equal(fetch(s, "/loop", "body")->status, 0);
	assert_int_equal(s->web->requests, OS_FETCH_HOPS + 1);
	assert_true(s->heard.why[0] != 0);
	assert_int_equal(fetch(s, "/ftp", "body")->status, 0);
	assert_non_null(strstr(s->heard.why, "rotocol"));
	scene_end(s);
}

/* RAT-016: an answer that breaks off is one, with what came of it; no answer is none. Bodies have a limit, waiting too. */
static void limits_and_failures(void **state)
{
	struct scene *s = scene_new();
	uint64_t from;

	(void)state;
	assert_int_equal(fetch(s, "/half", "x")->status, 200);
	assert_string_equal(s->heard.body, "{\"Allow\":true}");
	assert_true(s->heard.why[0] != 0);
	assert_int_equal(fetch(s, "/long", "x")->n, 4096);
	assert_string_equal(s->heard.why, "");
	assert_int_equal(s->heard.status, 200);
	start(s, "/long", NULL, 4096, true, 3 * NS_S);
	AWAIT(s->loop, s->heard.calls == 3);
	assert_non_null(strstr(s->heard.why, "longer"));
	start(s, "/long", NULL, 150000, true, 3 * NS_S);
	AWAIT(s->loop, s->heard.calls == 4);
	assert_int_equal(s->heard.n, 100000);
	assert_string_equal(s->heard.why, "");
	assert_int_equal(fetch(s, "/reset", "x")->status, 0);
	from = os_now();
	start(s, "/silent", "x", 4096, false, 200 * NS_MS);
	AWAIT(s->loop, s->heard.calls == 6);
	assert_int_equal(s->heard.status, 0);
	assert_in_range(os_now() - from, 190 * NS_MS, 1500 * NS_MS);
	scene_end(s);
}

/* Cancelled is never answered, nor what is open at the end; more than there are connections for wait and are answered all the same. */
static void cancel_and_crowd(void **state)
{
	struct scene *s = scene_new();
	struct os_fetch_call *call = start(s, "/silent", "x", 4096, false, 3 * NS_S);
	uint64_t until = os_now() + 100 * NS_MS;

	(void)state;
	while (os_now() < until) os_loop_turn(s->loop, until);
	os_fetch_cancel(call);
	os_fetch_cancel(start(s, "/allow", "x", 4096, false, 3 * NS_S)); /* at once */
	for (int i = 0; i < 300; i++) start(s, "/allow", "x", 4096, false, 3 * NS_S);
	AWAIT(s->loop, s->heard.calls == 300);
	assert_true(s->web->conns <= OS_FETCH_CONNECTIONS + 2);
	start(s, "/silent", "x", 4096, false, 3 * NS_S);
	scene_end(s);
}

/* ---- a relay that asks ---- */

#define MESH_KEY_LINE "mesh-key=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

struct story {
	struct os_loop *loop;
	struct web *web;
	struct box *box;
};

static void story_new(struct story *s, const char *path, const char *more)
{
	char url[100], config[300];

	s->loop = os_loop_new();
	s->web = web_new(s->loop);
	s->box = box_new(s->loop, NULL);
	snprintf(config, sizeof config, "verify-client-url=%s\n%s", web_url(s->web, path, url), more);
	box_start(s->box, config);
}

static void story_end(struct story *s, struct peer *p)
{
	peer_end(p);
	box_end(s->box);
	web_end(s->web);
	os_loop_free(s->loop);
}

static uint64_t logins(const struct story *s) { return relay_counters(s->box->relay)->logins; }

/* RAT-014: the question has the client's key and its address. RAT-015: who is allowed comes in, also behind redirects. */
static void admitted(void **state)
{
	static const char *const paths[] = { "/allow", "/302", "/307" };
	char want[200], hex[KEY_HEX];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct story s;
		struct peer *p;
		story_new(&s, paths[i], "verify-client-url-fail-open=off\n");
		p = peer_new(s.loop, s.box, NULL, "");
		AWAIT(s.loop, p->ready == 1);
		key_hex(p->key, hex);
		snprintf(want, sizeof want, "\r\n\r\n{\"NodePublic\":\"nodekey:%.*s\",\"Source\":\"127.0.0.1\"}", KEY_HEX, hex);
		assert_non_null(strstr(i == 1 ? s.web->before : s.web->last, want));
		story_end(&s, p);
	}
}

/* RAT-015, RAT-016, RAT-019: any answer but a good one refuses, whatever fail-open says. */
static void refused(void **state)
{
	static const char *const paths[] = { "/deny", "/say/201", "/say/500", "/long" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct story s;
		struct peer *p;
		story_new(&s, paths[i], "");
		p = peer_new(s.loop, s.box, NULL, "");
		AWAIT(s.loop, p->ended >= 1);
		assert_int_equal(p->ready, 0);
		assert_int_equal(logins(&s), 0);
		story_end(&s, p);
	}
}

/* RAT-016: without an exchange it is fail-open that decides: a reset, a loop, a server that says nothing for as long as it has. */
static void fail_open_decides(void **state)
{
	static const char *const paths[] = { "/reset", "/loop", "/silent" };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct story s;
		struct peer *p;
		story_new(&s, paths[i / 2],
		          i % 2 ? "verify-client-url-fail-open=off\nverify-client-timeout=200ms\n" : "verify-client-timeout=200ms\n");
		p = peer_new(s.loop, s.box, NULL, "");
		AWAIT(s.loop, i % 2 ? p->ended >= 1 : p->ready == 1);
		assert_int_equal(logins(&s), i % 2 == 0);
		story_end(&s, p);
	}
}

/* Fifty who wait for a silent server hold nobody up: those who are in go on at once. */
static void waiting_holds_nobody_up(void **state)
{
	struct packet *packet = pattern(100, 1);
	struct peer *in[2], *late[50];
	struct story s;
	uint64_t longest = 0, from;

	(void)state;
	story_new(&s, "/silent", MESH_KEY_LINE);
	for (int i = 0; i < 2; i++) in[i] = peer_new(s.loop, s.box, NULL, MESH_KEY_LINE); /* RAT-018: never asked about */
	AWAIT(s.loop, in[0]->ready == 1 && in[1]->ready == 1);
	for (int i = 0; i < 50; i++) late[i] = peer_new(s.loop, s.box, NULL, "");
	AWAIT(s.loop, s.web->requests == 50);
	for (uint32_t i = 0; i < 100; i++) {
		from = os_now();
		peer_send(in[0], in[1]->key, packet);
		AWAIT(s.loop, in[1]->packets == i + 1);
		if (os_now() - from > longest) longest = os_now() - from;
	}
	assert_true(longest < 500 * NS_MS);
	for (int i = 0; i < 50; i++) peer_end(late[i]);
	peer_end(in[0]);
	packet_drop(packet);
	story_end(&s, in[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_the_original_s),
		cmocka_unit_test(redirects),
		cmocka_unit_test(limits_and_failures),
		cmocka_unit_test(cancel_and_crowd),
		cmocka_unit_test(admitted),
		cmocka_unit_test(refused),
		cmocka_unit_test(fail_open_decides),
		cmocka_unit_test(waiting_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
