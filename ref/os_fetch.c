/* Transfers of one multi handle; what libcurl wants of sockets and time is the loop's. */
#include "os_fetch.h"

#include "buf.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

/* A socket of libcurl. */
struct fetch_socket {
	struct os_watch watch; /* first */
	struct os_fetch *fetch;
	struct fetch_socket *next;
};

struct os_fetch_call {
	struct os_fetch *fetch;
	CURL *easy;
	struct curl_slist *headers;
	uint8_t *body, *answer;
	uint32_t answer_n, answer_cap, answer_max;
	bool whole, cut;       /* cut: the answer is longer than it may be */
	bool headed, leads_on; /* its head is there; it names another place */
	void (*done)(void *ctx, const struct os_fetch_answer *answer);
	void *ctx;
	char error[CURL_ERROR_SIZE];
	struct os_fetch_call *next, **prev;
};

struct os_fetch {
	struct os_party party; /* first */
	struct os_loop *loop;
	CURLM *multi;
	uint64_t wake; /* libcurl's timer */
	struct fetch_socket *sockets;
	struct os_fetch_call *calls;
};

/* ---- sockets and time ---- */

static void act(struct os_fetch *f, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(f->multi, fd, what, &running);
}

static void socket_ready(struct os_watch *watch, uint32_t events)
{
	int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

	act(((struct fetch_socket *)watch)->fetch, watch->fd, what);
}

static struct fetch_socket *socket_new(struct os_fetch *f, curl_socket_t fd)
{
	struct fetch_socket *s = mem_zero(1, sizeof *s);

	s->watch = (struct os_watch){ .fd = fd, .ready = socket_ready };
	s->fetch = f;
	s->next = f->sockets;
	f->sockets = s;
	curl_multi_assign(f->multi, fd, s);
	return s;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct os_fetch *f = ctx;
	struct fetch_socket *s = known;

	(void)easy;
	if (what != CURL_POLL_REMOVE) {
		if (s == NULL) s = socket_new(f, fd);
		os_loop_watch(f->loop, &s->watch, (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u));
	} else if (s != NULL) {
		os_loop_unwatch(f->loop, &s->watch);
		s->watch.fd = -1; /* forgotten when this batch of callbacks is over */
		curl_multi_assign(f->multi, fd, NULL);
	}
	return 0;
}

static void sockets_sweep(struct os_fetch *f)
{
	struct fetch_socket **place = &f->sockets;

	while (*place != NULL) {
		struct fetch_socket *s = *place;
		if (s->watch.fd >= 0) {
			place = &s->next;
			continue;
		}
		*place = s->next;
		free(s);
	}
}

static int timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct os_fetch *f = ctx;

	(void)multi;
	f->wake = ms < 0 ? UINT64_MAX : os_now() + (uint64_t)ms * NS_MS;
	return 0;
}

/* ---- calls ---- */

static size_t body_came(char *p, size_t one, size_t n, void *ctx)
{
	struct os_fetch_call *c = ctx;
	uint32_t room = c->answer_max - c->answer_n, take = n < room ? (uint32_t)n : room;

	(void)one; /* is 1 */
	if (c->answer_n + take > c->answer_cap) {
		c->answer_cap = 2 * c->answer_cap > c->answer_n + take ? 2 * c->answer_cap : c->answer_n + take;
		c->answer = mem_grow(c->answer, c->answer_cap);
	}
	if (take != 0) memcpy(c->answer + c->answer_n, p, take);
	c->answer_n += take;
	c->cut = take < n;
	return take; /* less than n ends the transfer */
}

/* A line of a head. Behind the last one it is known whether this is the answer or leads elsewhere. */
static size_t head_came(char *p, size_t one, size_t n, void *ctx)
{
	struct os_fetch_call *c = ctx;
	long status = 0;

	(void)one;
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) c->headed = c->leads_on = false;
	if (n > 9 && strncasecmp(p, "location:", 9) == 0) c->leads_on = true;
	if (p[0] != '\r' && p[0] != '\n') return n;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	c->headed = status >= 200 && !(status >= 300 && status < 400 && c->leads_on);
	return n;
}

static void call_free(struct os_fetch_call *c)
{
	curl_multi_remove_handle(c->fetch->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	*c->prev = c->next;
	if (c->next != NULL) c->next->prev = c->prev;
	free(c->body);
	free(c->answer);
	free(c);
}

/* An answer whose head was there is one, whatever became of its body (RAT-016). */
static void call_end(struct os_fetch_call *c, CURLcode result)
{
	struct os_fetch_answer answer = { .p = c->answer, .n = c->answer_n };
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->headed) answer.status = (uint32_t)status;
	if (c->cut && c->whole)
		answer.why = "the answer is longer than it may be";
	else if (result != CURLE_OK && !c->cut)
		answer.why = c->error[0] != 0 ? c->error : curl_easy_strerror(result);
	c->done(c->ctx, &answer);
	call_free(c);
}

static void calls_end(struct os_fetch *f)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct os_fetch_call *c = NULL;
		CURLcode result = message->data.result; /* the message does not outlive its handle */
		if (message->msg != CURLMSG_DONE) continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		call_end(c, result);
	}
}

static void set_request(struct os_fetch_call *c, const struct os_fetch_request *r)
{
	curl_easy_setopt(c->easy, CURLOPT_URL, r->url);
	curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "Go-http-client/1.1"); /* RAT-014: what admission servers know */
	c->headers = curl_slist_append(c->headers, "Accept:");              /* an empty one is left out */
	if (r->body != NULL) {
		c->body = mem_alloc(r->body_n + 1);
		memcpy(c->body, r->body, r->body_n);
		c->headers = curl_slist_append(c->headers, "Content-Type:");
		c->headers = curl_slist_append(c->headers, "Expect:");
		curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, (char *)c->body);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)r->body_n);
	}
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)((r->patience_ns + NS_MS - 1) / NS_MS));
}

static void set_policy(struct os_fetch_call *c)
{
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https"); /* also of redirects */
	curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c->easy, CURLOPT_MAXREDIRS, (long)OS_FETCH_HOPS);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L); /* never waits for a thread that looks up a name */
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, body_came);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, head_came);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
}

struct os_fetch_call *os_fetch_start(struct os_fetch *f, const struct os_fetch_request *r,
                                     void (*done)(void *ctx, const struct os_fetch_answer *answer), void *ctx)
{
	struct os_fetch_call *c = mem_zero(1, sizeof *c);

	*c = (struct os_fetch_call){ .fetch = f, .answer_max = r->answer_max, .whole = r->whole, .done = done, .ctx = ctx, .next = f->calls };
	c->easy = curl_easy_init();
	if (c->easy == NULL) abort(); /* no memory */
	c->prev = &f->calls;
	if (f->calls != NULL) f->calls->prev = &c->next;
	f->calls = c;
	set_policy(c);
	set_request(c, r);
	curl_multi_add_handle(f->multi, c->easy);
	return c;
}

void os_fetch_cancel(struct os_fetch_call *c) { call_free(c); }

/* ---- the party ---- */

static uint64_t party_deadline(const struct os_party *party) { return ((const struct os_fetch *)party)->wake; }

static void party_turn(struct os_party *party)
{
	struct os_fetch *f = (struct os_fetch *)party;

	if (os_now() >= f->wake) {
		f->wake = UINT64_MAX; /* it asks again if it wants another */
		act(f, CURL_SOCKET_TIMEOUT, 0);
	}
	calls_end(f);
	sockets_sweep(f);
}

struct os_fetch *os_fetch_new(struct os_loop *loop)
{
	struct os_fetch *f;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NULL;
	signal(SIGPIPE, SIG_IGN); /* below libcurl, TLS writes without a flag against it */
	f = mem_zero(1, sizeof *f);
	f->multi = curl_multi_init();
	if (f->multi == NULL) {
		free(f);
		return NULL;
	}
	f->party = (struct os_party){ .deadline = party_deadline, .turn = party_turn };
	f->loop = loop;
	f->wake = UINT64_MAX;
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)OS_FETCH_CONNECTIONS);
	os_loop_join(loop, &f->party);
	return f;
}

void os_fetch_free(struct os_fetch *f)
{
	if (f == NULL) return;
	os_loop_part(f->loop, &f->party);
	while (f->calls != NULL) call_free(f->calls);
	curl_multi_cleanup(f->multi);
	sockets_sweep(f);
	for (struct fetch_socket *s = f->sockets; s != NULL; s = f->sockets) { /* one that libcurl did not tell of */
		f->sockets = s->next;
		free(s);
	}
	curl_global_cleanup();
	free(f);
}
