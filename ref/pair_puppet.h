/* A machine that does as the test says, on a host of real sockets, and plain sockets for the other end. *_test.c only, like pair.h. */
#ifndef REF_PAIR_PUPPET_H
#define REF_PAIR_PUPPET_H

#include "buf.h"
#include "os_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEARD_MAX = 4096, WAIT_MS = 3000, QUIET_MS = 60 };

struct heard {
	enum event_kind kind;
	uint64_t token, now, n, left;
	enum close_cause cause;
	enum answer_result result;
	struct event_secured secured; /* without what it points to */
	struct address remote;
};

struct puppet {
	struct machine machine; /* first */
	struct os_owner owner;
	struct os_loop *loop;
	struct os_host *host;
	struct os_tls *tls; /* NULL: plain; else every connection of it is secured, or is to be */
	struct address at;  /* its listener */
	uint64_t listener;
	uint64_t wake; /* deadline */
	struct heard v[HEARD_MAX];
	uint32_t n;
	char in[1024]; /* the last bytes heard */
	uint32_t in_n;
	char complaint[200];
	void (*act)(struct puppet *p, struct actions *out);
	void (*also)(struct puppet *p, const struct event *e, struct actions *out); /* NULL; what it does about every event */
	uint64_t token;                                                             /* for act */
	uint32_t number;
	struct packet *packet;
};

/* ---- the machine ---- */

static inline void puppet_bytes(struct puppet *p, const struct event *e)
{
	assert_true(e->bytes.n > 0);
	if (p->in_n + e->bytes.n <= sizeof p->in) memcpy(p->in + p->in_n, e->bytes.p, e->bytes.n), p->in_n += e->bytes.n;
}

static inline void puppet_step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct puppet *p = (struct puppet *)m;
	struct heard h = { .kind = e->kind, .token = e->token, .now = e->now };

	(void)up;
	if (e->kind == EVENT_START) p->listener = e->start->sockets_n != 0 ? e->start->sockets[0].token : TOKEN_NONE;
	if (e->kind == EVENT_ACCEPTED) h.remote = e->accepted->remote;
	if (e->kind == EVENT_BYTES) h.n = e->bytes.n, puppet_bytes(p, e);
	if (e->kind == EVENT_DRAINED) h.n = e->drained.n, h.left = e->drained.left;
	if (e->kind == EVENT_CLOSED) h.cause = e->closed.cause;
	if (e->kind == EVENT_ANSWER) h.result = e->answer->result, h.n = e->answer->n;
	if (e->kind == EVENT_TIMER) p->wake = TIME_NEVER;
	if (e->kind == EVENT_DATAGRAM) { /* goes back, out of the event's bytes */
		actions_datagram(out, e->token, &e->datagram->peer, 0);
		actions_span(out, e->datagram->p, e->datagram->n);
	}
	if (e->kind == EVENT_SECURED) h.secured = *e->secured;
	if (p->tls != NULL && (e->kind == EVENT_ACCEPTED || e->kind == EVENT_DIALED))
		actions_add(out, ACTION_START_TLS, e->token)->tls.server = e->kind == EVENT_ACCEPTED;
	if (e->kind == EVENT_COMMAND) {
		p->act(p, out);
		return;
	}
	if (p->also != NULL) p->also(p, e, out);
	assert_true(p->n < HEARD_MAX);
	p->v[p->n++] = h;
}

static inline uint64_t puppet_deadline(const struct machine *m) { return ((const struct puppet *)m)->wake; }
static inline void puppet_free(struct machine *m) { (void)m; }
static const struct machine_ops puppet_ops = { "puppet", puppet_step, puppet_deadline, puppet_free };

static inline void complain(struct os_owner *owner, const char *text)
{
	struct puppet *p = (struct puppet *)((char *)owner - offsetof(struct puppet, owner));

	snprintf(p->complaint, sizeof p->complaint, "%s", text);
}

static inline struct puppet *puppet_new(struct os_tls *tls)
{
	static const struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	struct puppet *p = calloc(1, sizeof *p);
	char error[OS_ERROR_SIZE];

	p->machine.ops = &puppet_ops;
	p->tls = tls;
	p->owner.complain = complain;
	p->wake = TIME_NEVER;
	p->loop = os_loop_new();
	p->host = os_host_new(p->loop, &p->machine, &p->owner);
	os_host_tls(p->host, tls);
	assert_true((tls != NULL ? os_host_listen_tls : os_host_listen)(p->host, &loopback, &OS_TCP_TIMES, &p->at, error));
	return p;
}

static inline struct puppet *puppet_start(struct os_tls *tls)
{
	struct puppet *p = puppet_new(tls);

	os_host_start(p->host, "", 0, 4);
	return p;
}

static inline void puppet_end(struct puppet *p)
{
	os_host_free(p->host);
	os_loop_free(p->loop);
	packet_drop(p->packet);
	free(p);
}

static inline void act(struct puppet *p, uint64_t token, uint32_t number, void (*f)(struct puppet *p, struct actions *out))
{
	struct event_command command = { .verb = COMMAND_CONNECT };

	p->token = token, p->number = number, p->act = f;
	os_host_command(p->host, &command);
}

static inline void do_abort(struct puppet *p, struct actions *out) { actions_close(out, p->token, true); }
static inline void do_finish(struct puppet *p, struct actions *out) { actions_close(out, p->token, false); }
static inline void do_read(struct puppet *p, struct actions *out) { actions_read(out, p->token, p->number); }
static inline void do_hello(struct puppet *p, struct actions *out) { memcpy(actions_send(out, p->token, 5), "hello", 5); }
static inline void do_hello_finish(struct puppet *p, struct actions *out)
{
	do_hello(p, out);
	do_finish(p, out);
}

/* `number` bytes of a counted packet, behind a head of two. */
static inline void do_packet(struct puppet *p, struct actions *out)
{
	packet_drop(p->packet);
	p->packet = packet_new(p->number);
	for (uint32_t i = 0; i < p->number; i++) p->packet->bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(actions_send(out, p->token, 2), "<>", 2);
	actions_span_packet(out, packet_hold(p->packet), p->packet->bytes, p->number);
}

static inline void do_dial(struct puppet *p, struct actions *out)
{
	struct address to = p->at;

	to.port = (uint16_t)p->number;
	actions_dial(out, p->token, &to);
}

/* ---- waiting ---- */

static inline uint32_t count(const struct puppet *p, enum event_kind kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n; i++) n += p->v[i].kind == kind;
	return n;
}

/* The number-th event of this kind, from 1. */
static const struct heard *await(struct puppet *p, enum event_kind kind, uint32_t number)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	while (count(p, kind) < number && os_now() < until) os_loop_turn(p->loop, until);
	for (uint32_t i = 0, n = 0; i < p->n; i++)
		if (p->v[i].kind == kind && ++n == number) return &p->v[i];
	fail_msg("no %s number %u", event_kind_name(kind), number);
	return NULL;
}

static inline void quiet(struct puppet *p)
{
	uint64_t until = os_now() + QUIET_MS * NS_MS;

	while (os_now() < until) os_loop_turn(p->loop, until);
}

/* ---- the other end ---- */

static inline struct sockaddr_in ipv4(const struct address *a)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(a->port) };

	memcpy(&name.sin_addr, a->ip + 12, 4);
	return name;
}

static inline int plain_connect(const struct puppet *p)
{
	struct sockaddr_in name = ipv4(&p->at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
	return fd;
}

static inline int plain_listen(struct address *at)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof name;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&name, &n);
	*at = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = ntohs(name.sin_port) };
	return fd;
}

static inline void plain_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

/* Reads what comes while the host runs, to the end of the stream or `max` bytes; -errno at an error. */
static inline ssize_t plain_read(struct puppet *p, int fd, uint8_t *out, size_t max)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;
	size_t n = 0;
	int large = 1 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large); /* its small window was for the stall */
	while (n < max && os_now() < until) {
		ssize_t got = recv(fd, out + n, max - n, MSG_DONTWAIT);
		if (got == 0) break;
		if (got < 0 && errno != EAGAIN) return -errno;
		if (got > 0) n += (size_t)got;
		os_loop_turn(p->loop, os_now() + NS_MS);
	}
	return (ssize_t)n;
}

#endif
