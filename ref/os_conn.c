/* One socket: watched, read, written, ended; and what of that its machine hears. */
#include "os_conn.h"

#include "address.h"
#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void conn_ready(struct os_watch *watch, uint32_t events);

struct conn *conn_find(const struct os_host *h, uint64_t token)
{
	uint32_t slot = token_slot(token);
	struct conn *c;

	if (token_is_machine(token))
		c = slot < h->dials ? h->dial[slot] : NULL;
	else
		c = slot < h->slots ? h->slot[slot].conn : NULL;
	return c != NULL && c->token == token ? c : NULL;
}

void conn_due(struct conn *c)
{
	struct os_host *h = c->host;

	if (c->due) return;
	c->due = true;
	c->due_next = NULL;
	if (h->due_first == NULL)
		h->due_first = c;
	else
		h->due_last->due_next = c;
	h->due_last = c;
}

void conn_touch(struct conn *c)
{
	if (c->touched) return;
	c->touched = true;
	c->touched_next = c->host->touched;
	c->host->touched = c;
}

struct conn *conn_new(struct os_host *h, uint64_t token, int fd, enum conn_state state)
{
	struct conn *c = mem_zero(1, sizeof *c);

	c->watch = (struct os_watch){ .fd = fd, .ready = conn_ready };
	c->host = h;
	c->token = token;
	c->state = (uint8_t)state;
	c->read_max = OS_TURN_MAX;
	c->first = c->last = NONE;
	c->all_next = h->all, c->all_prev = &h->all;
	if (h->all != NULL) h->all->all_prev = &c->all_next;
	h->all = c;
	h->sockets += fd >= 0;
	return c;
}

void conn_more(struct conn *c)
{
	struct os_host *h = c->host;

	if (c->more) return;
	c->more = true;
	c->more_next = NULL;
	*(h->more == NULL ? &h->more : &h->more_last->more_next) = c;
	h->more_last = c;
}

static void conn_no_more(struct conn *c)
{
	struct os_host *h = c->host;
	struct conn *before = h->more == c ? NULL : h->more;

	if (!c->more) return;
	while (before != NULL && before->more_next != c) before = before->more_next;
	*(before == NULL ? &h->more : &before->more_next) = c->more_next;
	if (h->more_last == c) h->more_last = before;
	c->more = false;
}

uint64_t conn_left(const struct conn *c) { return c->held.bytes + (c->tls != NULL ? os_tls_inflight(c->tls) : 0); }

bool conn_waits(const struct conn *c) { return c->held.n != 0 || (c->tls != NULL && os_tls_blocked(c->tls)); }

/* What the loop shall report of it. */
void conn_watch(struct conn *c)
{
	bool reading = c->state == CONN_OPEN && (c->read_max != 0 || c->shaking);

	if (c->watch.fd < 0) return;
	if (!os_loop_watch(c->host->loop, &c->watch, (reading ? EPOLLIN : 0u) | (c->blocked || c->state == CONN_DIALING ? EPOLLOUT : 0u))) {
		c->closed_due = true;
		c->cause = CLOSE_LIMIT; /* epoll has a limit of its own */
		conn_due(c);
	}
}

static void conn_forget_held(struct conn *c)
{
	c->host->left -= conn_left(c);
	os_held_free(&c->held);
	if (c->tls != NULL) os_tls_forget(c->tls);
}

void conn_shut(struct conn *c, bool abort)
{
	struct os_host *h = c->host;

	conn_forget_held(c);
	os_tls_close(c->tls);
	c->tls = NULL;
	if (c->watch.fd < 0) return;
	os_loop_forget(&c->watch);
	if (abort)
		os_tcp_abort(c->watch.fd);
	else
		close(c->watch.fd);
	c->watch.fd = -1;
	h->sockets--;
	if (h->accept_at != 0) { /* a descriptor is free again */
		h->accept_at = 0;
		host_listeners_watch(h);
	}
}

void conn_free(struct conn *c)
{
	conn_shut(c, false);
	conn_no_more(c);
	*c->all_prev = c->all_next;
	if (c->all_next != NULL) c->all_next->all_prev = c->all_prev;
	free(c);
}

/* Nothing refers to it but callbacks of the batch under way: gone when that is over. */
void conn_bury(struct conn *c)
{
	if (c->tls != NULL && !c->broken) os_tls_finish(c->tls);
	conn_shut(c, false);
	c->ending_next = c->host->dead;
	c->host->dead = c;
}

void conn_closed_due(struct conn *c, enum close_cause cause)
{
	if (c->closed_due || c->state == CONN_OVER) return;
	c->closed_due = true;
	c->cause = (uint8_t)cause;
	conn_due(c);
}

/* CLOSED, once. Its slot and its memory go at the end of the turn. */
static void conn_give_closed(struct conn *c)
{
	struct event e = { .kind = EVENT_CLOSED, .token = c->token, .closed = { (enum close_cause)c->cause } };

	assert(c->state != CONN_OVER);
	c->state = CONN_OVER;
	c->ending = true;
	c->ending_next = c->host->ending;
	c->host->ending = c;
	host_stream(c->host, c->token, OS_STREAM_OVER, NULL, 0);
	host_step(c->host, &e);
}

static bool conn_drained(struct conn *c, struct event *e)
{
	uint64_t left = conn_left(c), taken = c->sent - left, n = taken - c->told;
	bool due = (n > 0 && (c->sent - c->told > OS_LOW_WATER || c->left_told > 0)) || (left > 0 && c->left_told == 0);

	assert(taken >= c->told);
	if (!due || c->broken || c->closed_due || c->state != CONN_OPEN) return false;
	*e = (struct event){ .kind = EVENT_DRAINED, .token = c->token, .drained = { .n = n, .left = left } };
	return true;
}

void conn_give_due(struct conn *c)
{
	struct event_dialed dialed = { .remote = c->to };
	struct event e = { .kind = EVENT_DIALED, .token = c->token, .dialed = &dialed };

	c->due = false;
	if (c->state == CONN_OVER) return;
	if (c->closed_due) {
		conn_give_closed(c);
		return;
	}
	if (c->dialed_due) {
		c->dialed_due = false;
		c->state = CONN_OPEN;
		os_tcp_dialed(c->watch.fd, &dialed.local);
		conn_watch(c);
		host_step(c->host, &e);
	}
	if (conn_drained(c, &e)) {
		c->told += e.drained.n;
		c->left_told = e.drained.left;
		host_step(c->host, &e);
	}
}

/* ---- what the kernel says ---- */

/* Writing failed. What the peer said before is read first. */
static void conn_broke(struct conn *c, int error)
{
	c->broken = true;
	c->blocked = false;
	c->cause = (uint8_t)(error == EPROTO ? CLOSE_TLS : os_tcp_cause(error));
	conn_forget_held(c);
	if (c->read_max == 0) conn_closed_due(c, (enum close_cause)c->cause);
}

/* Bytes into p. 0: none now. -1: the end, c->cause says which. */
static int64_t receive_plain(struct conn *c, uint8_t *p, uint32_t room)
{
	ssize_t n = recv(c->watch.fd, p, room, 0);

	if (n > 0) return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (!c->broken) c->cause = (uint8_t)(n == 0 ? CLOSE_EOF : os_tcp_cause(errno));
	return -1;
}

/* The same of a failed handshake or record, and a word about it. Of what strangers do to a relay there is none. */
static void tls_ended(struct conn *c, enum os_tls_result result)
{
	char text[OS_ERROR_SIZE], peer[ADDRESS_TEXT];

	if (c->broken) return;
	c->cause = (uint8_t)(result == OS_TLS_EOF ? CLOSE_EOF : result == OS_TLS_DEAD ? os_tcp_cause(os_tls_errno(c->tls)) : CLOSE_TLS);
	if (result != OS_TLS_FAILED || !token_is_machine(c->token)) return;
	snprintf(text, sizeof text, "TLS with %s: %s", address_text(&c->to, peer), os_tls_why(c->host->tls));
	host_complain(c->host, text);
}

static int64_t receive_tls(struct conn *c, uint8_t *p, uint32_t room)
{
	uint32_t n;
	enum os_tls_result result = os_tls_read(c->tls, p, room, &n);

	if (result == OS_TLS_OK || result == OS_TLS_AGAIN) {
		if (result == OS_TLS_OK && os_tls_pending(c->tls)) conn_more(c);
		if (os_tls_blocked(c->tls) && !c->blocked) { /* an answer of TLS itself */
			c->blocked = true;
			conn_watch(c);
		}
		return n;
	}
	tls_ended(c, result);
	return -1;
}

static void conn_read(struct conn *c)
{
	struct os_host *h = c->host;
	struct event e = { .kind = EVENT_BYTES, .token = c->token };
	uint32_t room;
	int64_t n;

	host_turn_room(h, c->read_max < ROOM_MIN ? c->read_max : ROOM_MIN);
	if (c->state != CONN_OPEN || c->closed_due || c->watch.fd < 0 || c->read_max == 0) return; /* that turn changed it */
	room = OS_TURN_MAX - h->used;
	if (room > c->read_max) room = c->read_max;
	n = (c->tls != NULL ? receive_tls : receive_plain)(c, h->buffer + h->used, room);
	if (n == 0) return;
	if (n < 0) {
		conn_give_closed(c);
		return;
	}
	e.bytes = (struct event_bytes){ .p = h->buffer + h->used, .n = (uint32_t)n };
	h->used += (uint32_t)n;
	host_stream(h, c->token, OS_STREAM_IN, e.bytes.p, e.bytes.n);
	host_step(h, &e);
}

/* ---- TLS ---- */

static void tell_secured(void *arg, const struct event_secured *secured)
{
	struct conn *c = arg;
	struct event e = { .kind = EVENT_SECURED, .token = c->token, .secured = secured };

	host_step(c->host, &e);
}

/* A few in one batch of callbacks: they are dear, and those who are in do not wait behind a crowd. */
static void conn_handshake(struct conn *c)
{
	enum os_tls_result result;

	if (c->host->handshakes++ >= HANDSHAKES_MAX) {
		conn_more(c);
		return;
	}
	result = os_tls_handshake(c->tls);
	if (result == OS_TLS_OK) {
		c->shaking = false;
		os_tls_tell(c->tls, tell_secured, c);
		if (os_tls_pending(c->tls)) conn_more(c); /* behind the last message: read once what SECURED brought about is done */
		if (c->held.n != 0) conn_touch(c);
	} else if (result != OS_TLS_AGAIN) {
		tls_ended(c, result == OS_TLS_EOF ? OS_TLS_FAILED : result);
		conn_give_closed(c);
		return;
	}
	c->blocked = os_tls_blocked(c->tls);
	conn_watch(c);
}

static void tls_refused(struct conn *c, const char *why)
{
	host_complain(c->host, why);
	conn_shut(c, true);
	conn_closed_due(c, CLOSE_TLS);
}

void conn_start_tls(struct conn *c, const struct action_tls *how)
{
	struct os_host *h = c->host;
	char error[OS_TLS_ERROR_SIZE];

	if (h->tls == NULL) {
		tls_refused(c, "TLS was asked for, and this program has set up none");
		return;
	}
	if (how->server && !os_tls_refresh(h->tls, os_now(), error)) host_complain(h, error);
	if (c->first != NONE) conn_write(c); /* a request to a proxy, say */
	if (c->held.n != 0 || c->broken) {
		tls_refused(c, "TLS was to begin before the bytes ahead of it were sent");
		return;
	}
	c->tls = os_tls_open(h->tls, c->watch.fd, how, &c->to);
	if (c->tls == NULL) {
		tls_refused(c, os_tls_why(h->tls));
		return;
	}
	c->shaking = true;
	if (!how->server) conn_more(c); /* it speaks first */
	conn_watch(c);
}

/* What there is to read or to shake, with nothing of the loop's. */
void conn_go_on(struct conn *c)
{
	if (c->state != CONN_OPEN || c->closed_due || c->watch.fd < 0) return;
	if (c->shaking)
		conn_handshake(c);
	else if (c->read_max != 0)
		conn_read(c);
}

/* ---- readiness ---- */

/* READ is 0: a reset is told at once, the end of the stream when it is read. */
static void conn_hung_up(struct conn *c)
{
	struct address local;
	int error = os_tcp_dialed(c->watch.fd, &local);

	if (error != 0)
		conn_closed_due(c, os_tcp_cause(error));
	else if (c->broken)
		conn_closed_due(c, (enum close_cause)c->cause);
	else
		os_loop_unwatch(c->host->loop, &c->watch); /* it would be reported again and again */
}

static void conn_dialed(struct conn *c)
{
	struct address local;
	int error = os_tcp_dialed(c->watch.fd, &local);

	os_loop_unwatch(c->host->loop, &c->watch);
	if (error != 0) {
		conn_closed_due(c, os_tcp_cause(error));
		return;
	}
	c->dialed_due = true;
	conn_due(c);
}

/* The kernel may take more, or the write finds out why not. */
static void conn_unblock(struct conn *c)
{
	int error = 0;

	c->blocked = false;
	if (!conn_waits(c)) return;
	if (c->tls != NULL) {
		c->host->left -= conn_left(c);
		error = os_tls_flush(c->tls, &c->blocked);
		c->host->left += conn_left(c);
	}
	if (error != 0) conn_broke(c, error); /* reading would not tell: the error was given to us */
	conn_touch(c);
}

static void conn_ready(struct os_watch *watch, uint32_t events)
{
	struct conn *c = (struct conn *)watch;

	host_turn_begin(c->host);
	if (c->watch.fd < 0 || c->closed_due) return;
	if (c->state == CONN_DIALING) {
		conn_dialed(c);
		return;
	}
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) conn_unblock(c);
	if (c->state != CONN_OPEN) return;
	if (c->shaking || c->read_max != 0)
		conn_go_on(c);
	else if (events & (EPOLLERR | EPOLLHUP))
		conn_hung_up(c);
}

/* ---- writing ---- */

static uint32_t gather(struct os_host *h, const struct conn *c)
{
	uint32_t n = 0;

	for (uint32_t i = c->first; i != NONE; i = h->next[i]) {
		const struct action *x = &h->out.v[i];
		if (n + 2 > h->piece_cap) {
			h->piece_cap = h->piece_cap ? 2 * h->piece_cap : 64;
			h->piece = mem_grow(h->piece, (uint64_t)h->piece_cap * sizeof *h->piece);
		}
		if (x->head_n != 0) h->piece[n++] = (struct span){ .p = action_head(&h->out, x), .n = x->head_n };
		if (x->span.n != 0) h->piece[n++] = x->span;
	}
	return n;
}

/* Before the handshake is over, TLS writes only its own. */
static int write_some(struct conn *c, const struct span *fresh, uint32_t n)
{
	bool waits = c->shaking;
	int error;

	if (c->tls == NULL) return os_held_write(&c->held, os_write_socket, &c->watch.fd, fresh, n, &c->blocked);
	error = c->blocked ? 0 : os_tls_flush(c->tls, &c->blocked);
	return error != 0 ? error : os_held_write(&c->held, os_tls_write, c->tls, fresh, n, waits ? &waits : &c->blocked);
}

/* close_notify, then FIN, each behind everything before it. */
static void conn_finish(struct conn *c)
{
	if (c->tls != NULL) os_tls_finish(c->tls);
	if (conn_waits(c)) {
		c->blocked = true;
		return;
	}
	c->fin = true;
	shutdown(c->watch.fd, SHUT_WR);
}

/* The one write of a connection in this turn. */
void conn_write(struct conn *c)
{
	struct os_host *h = c->host;
	uint32_t n = gather(h, c);
	struct event due;
	int error;

	c->first = c->last = NONE;
	if (c->watch.fd < 0 || c->broken) return;
	h->left -= conn_left(c);
	error = write_some(c, h->piece, n);
	h->left += conn_left(c);
	if (error != 0) conn_broke(c, error);
	if (c->finish && !c->fin && !c->broken && !conn_waits(c)) conn_finish(c);
	if (c->state != CONN_OVER) conn_watch(c);
	if (conn_drained(c, &due)) conn_due(c);
}

/* CLOSED is given. After the peer's FIN, what is held still goes out: the user timeout ends that at the latest. */
void conn_end(struct conn *c)
{
	struct os_host *h = c->host;
	uint32_t slot = token_slot(c->token);

	if (token_is_machine(c->token)) {
		if (h->dial[slot] == c) h->dial[slot] = NULL;
	} else if (h->slot[slot].conn == c) {
		h->slot[slot] = (struct slot){ .generation = h->slot[slot].generation, .free_next = h->slot_free };
		h->slot_free = slot;
	}
	if (c->cause == CLOSE_EOF && conn_waits(c) && !c->broken)
		conn_watch(c);
	else
		conn_bury(c);
}
