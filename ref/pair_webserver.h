/* A small HTTP server in the test's own loop, which keeps what it was asked and answers by the path. *_test.c only, like pair.h.
 *
 *   /allow /deny    200 with a JSON body              /say/NUMBER      that status, no body
 *   /302 /307       to /allow, with that status       /loop            to itself
 *   /long           200 with 100,000 bytes            /half            200, a part of its body, then the end
 *   /reset          a reset at once                   /silent          nothing
 *   /ftp            302 to ftp://127.0.0.1:1/ */
#ifndef REF_PAIR_WEBSERVER_H
#define REF_PAIR_WEBSERVER_H

#include "os_loop.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WEB_CONNS = 128, WEB_TEXT = 2048 };

struct web_conn {
	struct os_watch watch; /* first */
	struct web *web;
	char in[WEB_TEXT];
	size_t n;
};

struct web {
	struct os_watch watch; /* first */
	struct os_loop *loop;
	uint16_t port;
	struct web_conn conn[WEB_CONNS];
	uint32_t conns, requests;
	char last[WEB_TEXT], before[WEB_TEXT]; /* the last request, and the one before it */
};

static inline void web_close(struct web_conn *c, bool reset)
{
	struct linger linger = { .l_onoff = reset };

	if (c->watch.fd < 0) return;
	setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	os_loop_unwatch(c->web->loop, &c->watch);
	close(c->watch.fd);
	c->watch.fd = -1;
}

static inline void web_say(struct web_conn *c, const char *text) { assert_true(send(c->watch.fd, text, strlen(text), MSG_NOSIGNAL) >= 0); }

static inline void web_answer(struct web_conn *c)
{
	static char large[100000];
	char path[100] = "", text[300];

	sscanf(c->in, "%*s %99s", path);
	if (strcmp(path, "/silent") == 0) return;
	if (strcmp(path, "/allow") == 0) {
		web_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"Allow\":true}");
	} else if (strcmp(path, "/deny") == 0) {
		web_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"Allow\":false}");
	} else if (strncmp(path, "/say/", 5) == 0) {
		snprintf(text, sizeof text, "HTTP/1.1 %.3s Said\r\nContent-Length: 0\r\n\r\n", path + 5);
		web_say(c, text);
	} else if (strcmp(path, "/long") == 0) {
		memset(large, 'x', sizeof large);
		web_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
		send(c->watch.fd, large, sizeof large, MSG_NOSIGNAL);
	} else if (strcmp(path, "/half") == 0) {
		web_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Allow\":true}");
		shutdown(c->watch.fd, SHUT_WR);
	} else if (strcmp(path, "/reset") == 0) {
		web_close(c, true);
	} else if (strcmp(path, "/ftp") == 0) {
		web_say(c, "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
	} else {
		snprintf(text, sizeof text, "HTTP/1.1 %s Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		         strcmp(path, "/307") == 0 ? "307" : "302", strcmp(path, "/loop") == 0 ? "/loop" : "/allow");
		web_say(c, text);
	}
}

/* A whole request is there: head, and as many bytes as it announces. */
static inline bool web_whole(const struct web_conn *c)
{
	const char *end = strstr(c->in, "\r\n\r\n"), *length = strstr(c->in, "Content-Length: ");
	size_t want = length == NULL || length > end ? 0 : strtoul(length + 16, NULL, 10);

	return end != NULL && c->n >= (size_t)(end + 4 - c->in) + want;
}

static inline void web_conn_ready(struct os_watch *watch, uint32_t events)
{
	struct web_conn *c = (struct web_conn *)watch;
	ssize_t got = recv(watch->fd, c->in + c->n, sizeof c->in - 1 - c->n, 0);

	(void)events;
	if (got <= 0) {
		web_close(c, false);
		return;
	}
	c->n += (size_t)got;
	c->in[c->n] = 0;
	if (!web_whole(c)) return;
	memcpy(c->web->before, c->web->last, WEB_TEXT);
	memcpy(c->web->last, c->in, WEB_TEXT);
	c->web->requests++;
	web_answer(c);
	c->n = 0;
}

static inline void web_ready(struct os_watch *watch, uint32_t events)
{
	struct web *w = (struct web *)watch;
	struct web_conn *c = &w->conn[w->conns];
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) return;
	assert_true(w->conns++ < WEB_CONNS);
	*c = (struct web_conn){ .watch = { .fd = fd, .ready = web_conn_ready }, .web = w };
	os_loop_watch(w->loop, &c->watch, EPOLLIN);
}

static inline struct web *web_new(struct os_loop *loop)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof name;
	struct web *w = calloc(1, sizeof *w);

	w->watch = (struct os_watch){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .ready = web_ready };
	w->loop = loop;
	assert_int_equal(bind(w->watch.fd, (struct sockaddr *)&name, n), 0);
	assert_int_equal(listen(w->watch.fd, WEB_CONNS), 0);
	getsockname(w->watch.fd, (struct sockaddr *)&name, &n);
	w->port = ntohs(name.sin_port);
	os_loop_watch(loop, &w->watch, EPOLLIN);
	return w;
}

static inline void web_end(struct web *w)
{
	for (uint32_t i = 0; i < w->conns; i++) web_close(&w->conn[i], false);
	os_loop_unwatch(w->loop, &w->watch);
	close(w->watch.fd);
	free(w);
}

static inline const char *web_url(const struct web *w, const char *path, char out[100])
{
	snprintf(out, 100, "http://127.0.0.1:%u%s", w->port, path);
	return out;
}

#endif
