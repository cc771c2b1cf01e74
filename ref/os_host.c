/* Tokens, turns and what the machine wants. */
#include "os_host.h"

#include "address.h"
#include "buf.h"
#include "os_conn.h"
#include "os_cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void host_complain(struct os_host *h, const char *text)
{
	if (h->owner->complain != NULL) h->owner->complain(h->owner, text);
}

void host_stream(struct os_host *h, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	if (h->owner->stream != NULL && (n != 0 || what == OS_STREAM_OVER)) h->owner->stream(h->owner, token, what, p, n);
}

uint64_t os_host_now(const struct os_host *h) { return os_now() - h->boot_at; }
uint32_t os_host_connections(const struct os_host *h) { return h->sockets; }
uint64_t os_host_left(const struct os_host *h) { return h->left; }

/* One event, and what the machine has to say to its owner about it. The owner may give commands meanwhile: those are steps within
 * this one's loop. */
void host_step(struct os_host *h, struct event *e)
{
	uint32_t out_from = h->out.n, up_from = h->up.n;

	e->now = os_host_now(h);
	if (h->owner->before != NULL) h->owner->before(h->owner, e, out_from == 0);
	machine_step(h->machine, e, &h->out, &h->up);
	if (h->owner->after != NULL) h->owner->after(h->owner, &h->out, out_from, &h->up, up_from);
	if (h->stepping) return;
	h->stepping = true;
	for (uint32_t i = 0; i < h->up.n; i++) {
		struct action x = h->up.v[i]; /* the list may grow meanwhile */
		if (h->owner->deliver != NULL) h->owner->deliver(h->owner, &x);
	}
	actions_reset(&h->up);
	h->stepping = false;
}

/* ---- turns ---- */

/* What came due in earlier turns; what these steps make due waits for the next. */
static void give_due(struct os_host *h)
{
	struct conn *c = h->due_first, *next;

	h->due_first = h->due_last = NULL;
	for (; c != NULL; c = next) {
		next = c->due_next;
		conn_give_due(c);
	}
	asks_give_due(h);
}

void host_turn_begin(struct os_host *h)
{
	struct event timer = { .kind = EVENT_TIMER };

	if (h->in_turn) return;
	h->in_turn = true;
	give_due(h);
	if (machine_deadline(h->machine) <= os_host_now(h)) host_step(h, &timer);
}

static void flush(struct os_host *h);

static void turn_end(struct os_host *h)
{
	flush(h);
	h->used = 0;
	h->in_turn = false;
}

/* The turn is over when its bytes or its list of actions are used up; another begins. */
void host_turn_room(struct os_host *h, uint32_t room)
{
	if (OS_TURN_MAX - h->used >= room && actions_room(&h->out)) return;
	turn_end(h);
	host_turn_begin(h);
}

static uint64_t party_deadline(const struct os_party *party)
{
	const struct os_host *h = (const struct os_host *)party;
	uint64_t at = machine_deadline(h->machine);

	if (h->due_first != NULL || h->ask_first != NULL || h->more != NULL) return 0;
	at = at >= UINT64_MAX - h->boot_at ? UINT64_MAX : h->boot_at + at;
	return h->accept_at != 0 && h->accept_at < at ? h->accept_at : at;
}

/* A turn of their own: what the last one wanted is done. */
static void read_more(struct os_host *h)
{
	struct conn *c;
	uint32_t n = 0;

	for (c = h->more; c != NULL; c = c->more_next) n++;
	if (n == 0) return;
	host_turn_begin(h);
	for (; n > 0 && h->more != NULL; n--) {
		c = h->more;
		h->more = c->more_next;
		c->more = false;
		conn_go_on(c);
	}
	turn_end(h);
}

static void party_turn(struct os_party *party)
{
	struct os_host *h = (struct os_host *)party;

	if (h->accept_at != 0 && os_now() >= h->accept_at) {
		h->accept_at = 0;
		host_listeners_watch(h);
	}
	host_turn_begin(h);
	turn_end(h);
	read_more(h);
	h->handshakes = 0;
	while (h->dead != NULL) {
		struct conn *c = h->dead;
		h->dead = c->ending_next;
		conn_free(c);
	}
}

/* ---- what the kernel says ---- */

uint32_t slot_take(struct os_host *h)
{
	uint32_t slot = h->slot_free;

	if (slot != NONE) {
		h->slot_free = h->slot[slot].free_next;
		return slot;
	}
	MEM_ROOM(h->slot, h->slots, h->slots_cap);
	h->slot[h->slots] = (struct slot){ 0 };
	return h->slots++;
}

static void accepted(struct listener *l, int fd, struct event_accepted *accepted)
{
	struct os_host *h = l->host;
	struct event e = { .kind = EVENT_ACCEPTED, .accepted = accepted };
	uint32_t slot = slot_take(h);
	struct conn *c;

	h->slot[slot].generation = (h->slot[slot].generation + 1) & 0x7fffffff;
	e.token = token_make(slot, h->slot[slot].generation);
	h->slot[slot].conn = c = conn_new(h, e.token, fd, CONN_OPEN);
	accepted->listener = l->info.token;
	conn_watch(c);
	host_step(h, &e);
}

static void listener_ready(struct os_watch *watch, uint32_t events)
{
	struct listener *l = (struct listener *)watch;
	struct os_host *h = l->host;

	(void)events;
	host_turn_begin(h);
	for (int i = 0; i < ACCEPTS_MAX && !l->stopped && l->watch.fd >= 0; i++) {
		struct event_accepted e;
		int fd = os_tcp_accept(l->watch.fd, &e.local, &e.remote);
		if (fd < 0 && errno == EAGAIN) return;
		if (fd < 0 && os_tcp_limit(errno)) { /* those who wait stay in the kernel's queue */
			h->accept_at = os_now() + ACCEPT_PAUSE_NS;
			host_listeners_watch(h);
			host_complain(h, "out of file descriptors: accepting pauses until a connection is closed");
			return;
		}
		if (fd >= 0) accepted(l, fd, &e); /* else one that was gone before we came */
		host_turn_room(h, 0);
	}
}

void host_listeners_watch(struct os_host *h)
{
	for (uint32_t i = 0; i < h->listeners; i++) {
		struct listener *l = &h->listener[i];
		if (l->watch.fd < 0) continue;
		if (l->stopped || h->accept_at != 0)
			os_loop_unwatch(h->loop, &l->watch);
		else
			os_loop_watch(h->loop, &l->watch, EPOLLIN);
	}
}

/* ---- what the machine wants ---- */

static void apply_dial(struct os_host *h, const struct action *x)
{
	uint32_t slot = token_slot(x->token);
	bool connected = false;
	int fd = os_tcp_dial(&x->address, &connected), error = errno;
	struct conn *c;

	assert(token_is_machine(x->token) && slot < h->dials);
	assert(h->dial[slot] == NULL || h->dial[slot]->state == CONN_OVER);
	h->dial[slot] = c = conn_new(h, x->token, fd, CONN_DIALING);
	c->to = x->address;
	if (fd < 0) {
		conn_closed_due(c, os_tcp_cause(error));
	} else if (connected) {
		c->dialed_due = true;
		conn_due(c);
	} else {
		conn_watch(c);
	}
}

static void apply_send(struct os_host *h, uint32_t i)
{
	const struct action *x = &h->out.v[i];
	struct conn *c = conn_find(h, x->token);

	h->next[i] = NONE;
	if (c == NULL || c->watch.fd < 0 || c->broken || c->finish) return; /* its CLOSED is on its way */
	c->sent += x->head_n + x->span.n;
	host_stream(h, x->token, OS_STREAM_OUT, action_head(&h->out, x), x->head_n);
	host_stream(h, x->token, OS_STREAM_OUT, x->span.p, x->span.n);
	if (c->first == NONE)
		c->first = i;
	else
		h->next[c->last] = i;
	c->last = i;
	conn_touch(c);
}

static void apply_read(struct os_host *h, const struct action *x)
{
	struct conn *c = conn_find(h, x->token);

	if (c != NULL && c->state != CONN_OVER) {
		c->read_max = x->read_n;
		if (c->state == CONN_OPEN) conn_watch(c);
		if (c->tls != NULL && !c->shaking && c->read_max != 0 && os_tls_pending(c->tls)) conn_more(c);
	}
	for (uint32_t i = 0; i < h->listeners; i++)
		if (h->listener[i].info.token == x->token) h->listener[i].stopped = x->read_n == 0;
	host_listeners_watch(h);
}

static void close_listener(struct listener *l)
{
	if (l->watch.fd < 0) return;
	os_loop_unwatch(l->host->loop, &l->watch);
	close(l->watch.fd);
	l->watch.fd = -1;
}

static void apply_close(struct os_host *h, const struct action *x)
{
	struct conn *c = conn_find(h, x->token);

	ask_cancel(h, x->token);
	for (uint32_t i = 0; i < h->listeners; i++)
		if (h->listener[i].info.token == x->token) close_listener(&h->listener[i]);
	if (c == NULL || c->state == CONN_OVER) return;
	if (!x->abort && c->state == CONN_OPEN) {
		c->finish = true;
		conn_touch(c);
		return;
	}
	conn_shut(c, true);
	c->first = c->last = NONE;
	c->closed_due = false; /* whatever it was: it is ours now */
	conn_closed_due(c, CLOSE_LOCAL);
}

static void apply_tls(struct os_host *h, const struct action *x)
{
	struct conn *c = conn_find(h, x->token);

	if (c != NULL && c->state == CONN_OPEN && c->watch.fd >= 0 && !c->broken) conn_start_tls(c, &x->tls);
}

static void apply(struct os_host *h, uint32_t i)
{
	const struct action *x = &h->out.v[i];

	switch ((enum action_kind)x->kind) {
	case ACTION_SEND: apply_send(h, i); break;
	case ACTION_DIAL: apply_dial(h, x); break;
	case ACTION_START_TLS: apply_tls(h, x); break;
	case ACTION_READ: apply_read(h, x); break;
	case ACTION_CLOSE: apply_close(h, x); break;
	case ACTION_ASK: ask_start(h, x); break;
	case ACTION_DATAGRAM: udp_send(h, x); break;
	case ACTION_DELIVER:
	case ACTION_KINDS: assert(false && "an action that this host does not have"); break;
	}
}

static void write_touched(struct os_host *h)
{
	while (h->touched != NULL) {
		struct conn *c = h->touched;
		h->touched = c->touched_next;
		c->touched = false;
		conn_write(c);
		if (c->state != CONN_OVER || c->ending) continue;
		if (conn_waits(c) && !c->broken) /* it lingers */
			conn_watch(c);
		else
			conn_bury(c);
	}
}

static void flush(struct os_host *h)
{
	if (h->out.cap > h->next_cap) {
		h->next_cap = h->out.cap;
		h->next = mem_grow(h->next, (uint64_t)h->next_cap * sizeof *h->next);
	}
	for (uint32_t i = 0; i < h->out.n; i++) apply(h, i);
	write_touched(h);
	udp_flush(h);
	while (h->ending != NULL) {
		struct conn *c = h->ending;
		h->ending = c->ending_next;
		c->ending = false;
		conn_end(c);
	}
	actions_reset(&h->out);
}

/* ---- from outside ---- */

struct os_host *os_host_new(struct os_loop *loop, struct machine *machine, struct os_owner *owner)
{
	struct os_host *h = mem_zero(1, sizeof *h);

	os_cpu_use();
	h->party = (struct os_party){ .deadline = party_deadline, .turn = party_turn };
	h->loop = loop;
	h->machine = machine;
	h->owner = owner;
	h->slot_free = NONE;
	actions_init(&h->out);
	actions_init(&h->up);
	return h;
}

void os_host_free(struct os_host *h)
{
	if (h == NULL) return;
	assert(!h->in_turn);
	if (h->boot_at != 0) os_loop_part(h->loop, &h->party);
	while (h->all != NULL) conn_free(h->all);
	for (uint32_t i = 0; i < h->listeners; i++) close_listener(&h->listener[i]);
	udp_free(h);
	asks_free(h);
	actions_free(&h->out);
	actions_free(&h->up);
	free(h->next);
	free(h->piece);
	free(h->slot);
	free(h->dial);
	free(h);
}

void os_host_tls(struct os_host *h, struct os_tls *tls)
{
	assert(h->boot_at == 0);
	h->tls = tls;
}

bool os_host_listen_tls(struct os_host *h, const struct address *at, const struct os_tcp_times *times, struct address *bound,
                        char error[OS_ERROR_SIZE])
{
	assert(h->tls != NULL);
	if (!os_host_listen(h, at, times, bound, error)) return false;
	h->listener[h->listeners - 1].info.tls = true;
	return true;
}

bool os_host_listen_helper(struct os_host *h, const struct address *at, const struct os_tcp_times *times, struct address *bound,
                           char error[OS_ERROR_SIZE])
{
	if (!os_host_listen(h, at, times, bound, error)) return false;
	h->listener[h->listeners - 1].info.helper = true;
	return true;
}

bool os_host_listen(struct os_host *h, const struct address *at, const struct os_tcp_times *times, struct address *bound, char error[OS_ERROR_SIZE])
{
	struct listener *l = &h->listener[h->listeners];
	int fd;

	assert(h->boot_at == 0 && h->listeners < OS_LISTENERS_MAX);
	fd = os_tcp_listen(at, times, bound, error);
	if (fd < 0) return false;
	l->watch = (struct os_watch){ .fd = fd, .ready = listener_ready };
	l->host = h;
	l->info = (struct socket_info){ .token = token_make(slot_take(h), 1), .local = *bound };
	h->listeners++;
	return true;
}

void os_host_dns(struct os_host *h, const char *servers)
{
	assert(h->boot_at == 0);
	h->dns_servers = servers;
}

void os_host_start(struct os_host *h, const char *config, size_t config_n, uint32_t slot_count)
{
	struct socket_info sockets[OS_LISTENERS_MAX + OS_UDP_SOCKETS_MAX];
	struct event_start start = { .wall_ns = os_wall(),
		                     .slot_count = slot_count,
		                     .turn_max = OS_TURN_MAX,
		                     .low_water = OS_LOW_WATER,
		                     .config = config,
		                     .config_n = config_n,
		                     .sockets = sockets,
		                     .sockets_n = h->listeners + h->udp_sockets };
	struct event e = { .kind = EVENT_START, .start = &start };

	assert(h->boot_at == 0);
	h->boot_at = os_now();
	h->dials = slot_count;
	h->dial = mem_zero(slot_count, sizeof *h->dial);
	h->ask = mem_zero(slot_count, sizeof(struct ask *));
	for (uint32_t i = 0; i < h->listeners; i++) sockets[i] = h->listener[i].info;
	for (uint32_t i = 0; i < h->udp_sockets; i++) sockets[h->listeners + i] = h->udp_socket[i].info;
	os_seed(start.seed);
	os_loop_join(h->loop, &h->party);
	host_listeners_watch(h);
	udp_watch(h);
	h->in_turn = true;
	host_step(h, &e);
	turn_end(h);
	memset(start.seed, 0, sizeof start.seed);
}

void os_host_command(struct os_host *h, const struct event_command *command)
{
	struct event e = { .kind = EVENT_COMMAND, .command = command };
	bool within = h->in_turn;

	host_turn_begin(h);
	host_step(h, &e);
	if (!within) turn_end(h);
}
