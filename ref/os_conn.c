/* One socket: watched, read, written, ended; and what of that its machine hears. */
#include "os_conn.h"

#include "buf.h"

#include <errno.h>
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

/* What the loop shall report of it. */
void conn_watch(struct conn *c)
{
	bool reading = c->state == CONN_OPEN && c->read_max != 0;

	if (c->watch.fd < 0) return;
	if (!os_loop_watch(c->host->loop, &c->watch, (reading ? EPOLLIN : 0u) | (c->blocked || c->state == CONN_DIALING ? EPOLLOUT : 0u))) {
		c->closed_due = true;
		c->cause = CLOSE_LIMIT; /* epoll has a limit of its own */
		conn_due(c);
	}
}

static void conn_forget_held(struct conn *c)
{
	c->host->left -= c->held.bytes;
	os_held_free(&c->held);
}

void conn_shut(struct conn *c, bool abort)
{
	struct os_host *h = c->host;

	conn_forget_held(c);
	if (c->watch.fd < 0) return;
	os_loop_unwatch(h->loop, &c->watch);
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
	*c->all_prev = c->all_next;
	if (c->all_next != NULL) c->all_next->all_prev = c->all_prev;
	free(c);
}

/* Nothing refers to it but callbacks of the batch under way: gone when that is over. */
void conn_bury(struct conn *c)
{
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
	uint64_t taken = c->sent - c->held.bytes, n = taken - c->told, left = c->held.bytes;
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

static void conn_read(struct conn *c)
{
	struct os_host *h = c->host;
	struct event e = { .kind = EVENT_BYTES, .token = c->token };
	uint32_t room;
	ssize_t n;

	host_turn_room(h, c->read_max < ROOM_MIN ? c->read_max : ROOM_MIN);
	if (c->state != CONN_OPEN || c->closed_due || c->watch.fd < 0 || c->read_max == 0) return; /* that turn changed it */
	room = OS_TURN_MAX - h->used;
	if (room > c->read_max) room = c->read_max;
	n = recv(c->watch.fd, h->buffer + h->used, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (n <= 0) {
		if (!c->broken) c->cause = (uint8_t)(n == 0 ? CLOSE_EOF : os_tcp_cause(errno));
		conn_give_closed(c);
		return;
	}
	e.bytes = (struct event_bytes){ .p = h->buffer + h->used, .n = (uint32_t)n };
	h->used += (uint32_t)n;
	host_stream(h, c->token, OS_STREAM_IN, e.bytes.p, e.bytes.n);
	host_step(h, &e);
}

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

static void conn_ready(struct os_watch *watch, uint32_t events)
{
	struct conn *c = (struct conn *)watch;

	host_turn_begin(c->host);
	if (c->watch.fd < 0 || c->closed_due) return;
	if (c->state == CONN_DIALING) {
		conn_dialed(c);
		return;
	}
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		c->blocked = false; /* the write finds out */
		if (c->held.n != 0) conn_touch(c);
	}
	if (c->state != CONN_OPEN) return;
	if (c->read_max != 0)
		conn_read(c);
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

/* The one write of a connection in this turn. */
void conn_write(struct conn *c)
{
	struct os_host *h = c->host;
	uint32_t n = gather(h, c);
	struct event due;
	int error;

	c->first = c->last = NONE;
	if (c->watch.fd < 0 || c->broken) return;
	h->left -= c->held.bytes;
	error = os_held_write(&c->held, c->watch.fd, h->piece, n, &c->blocked);
	h->left += c->held.bytes;
	if (error != 0) { /* what the peer said before is read first */
		c->broken = true;
		c->blocked = false;
		c->cause = (uint8_t)os_tcp_cause(error);
		conn_forget_held(c);
		if (c->read_max == 0) conn_closed_due(c, (enum close_cause)c->cause);
	}
	if (c->finish && !c->fin && !c->broken && c->held.n == 0) {
		c->fin = true;
		shutdown(c->watch.fd, SHUT_WR);
	}
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
	if (c->cause == CLOSE_EOF && c->held.n != 0 && !c->broken)
		conn_watch(c);
	else
		conn_bury(c);
}
