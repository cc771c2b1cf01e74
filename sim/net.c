/* Connections from SYN to their end. */
#include "engine.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

enum { SYN_TRIES = 7 };

/* ---- the table ---- */

static uint32_t conn_new(struct sim *sim)
{
	uint32_t conn = sim->conns_free;

	if (conn == NONE) {
		if (sim->conns == sim->conns_cap) {
			uint64_t before = sim->conns_cap, cap = before ? 2 * before : 64;
			sim->conn = mem_grow_lines(sim->conn, before * sizeof *sim->conn, cap * sizeof *sim->conn);
			sim->flow = mem_grow_lines(sim->flow, before * 2 * sizeof *sim->flow, cap * 2 * sizeof *sim->flow);
			sim->conns_cap = (uint32_t)cap;
		}
		conn = sim->conns++;
		sim->conn[conn] = (struct conn){ .generation = 0 };
	} else {
		sim->conns_free = sim->conn[conn].next;
	}
	sim->conn[conn] = (struct conn){ .generation = sim->conn[conn].generation, .next = NONE };
	sim->conns_open++;
	return conn;
}

void net_settle(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (!c->over[0] || !c->over[1] || c->job) return;
	assert(!c->in_backlog);
	flow_free(sim, 2 * conn);
	flow_free(sim, 2 * conn + 1);
	free(c->meta_name);
	c->meta_name = NULL;
	c->phase = CONN_FREE;
	c->generation = (c->generation + 1) & 0xffffff;
	c->token[0] = c->token[1] = TOKEN_NONE;
	c->next = sim->conns_free;
	sim->conns_free = conn;
	sim->conns_open--;
}

void net_leave_backlog(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (!c->in_backlog) return;
	c->in_backlog = false;
	assert(sim->host[c->host[1]].backlog > 0);
	sim->host[c->host[1]].backlog--;
}

/* Gives the machine's slot back. */
static void slot_give(struct sim *sim, uint32_t conn, uint32_t side)
{
	struct conn *c = &sim->conn[conn];
	struct host *h = &sim->host[c->host[side]];
	uint32_t slot = token_slot(c->token[side]);

	if (c->token[side] == TOKEN_NONE || h->machine == NULL) return;
	if (side == 0) {
		if (h->dial[slot] == conn) h->dial[slot] = NONE;
		return;
	}
	assert(h->slot[slot].conn == conn && h->open > 0);
	h->slot[slot].conn = h->slot_free;
	h->slot_free = slot;
	h->open--;
}

void net_over(struct sim *sim, uint32_t conn, uint32_t side)
{
	if (side == 1) net_leave_backlog(sim, conn);
	slot_give(sim, conn, side);
	sim->conn[conn].over[side] = true;
	net_settle(sim, conn);
}

void net_closing(struct sim *sim, uint32_t conn, uint32_t side, enum close_cause cause)
{
	struct conn *c = &sim->conn[conn];

	if (end_gone(sim, conn, side)) return;
	c->closing[side] = true;
	c->cause[side] = (uint8_t)cause;
	node_ready(sim, c->host[side], READY_CLOSED, 2 * conn + side);
}

void net_reset_from(struct sim *sim, uint32_t conn, uint32_t side, uint64_t at)
{
	queue_push(&sim->queue, at + sim->flow[2 * conn + side].latency_ns, conn_kind(sim, QUEUE_RESET, conn), 2 * conn + side);
}

/* ---- opening ---- */

static uint32_t host_by_ip(const struct sim *sim, const struct address *ip)
{
	for (uint32_t i = 0; i < sim->listens; i++) {
		uint32_t host = sim->listen[i];
		if (memcmp(sim->host[host].config.ip.ip, ip->ip, sizeof ip->ip) == 0) return host;
	}
	return NONE;
}

/* Each connection uses one, dialled or accepted. */
static bool has_descriptor(const struct host *h)
{
	uint32_t used = h->open + h->backlog;

	for (uint32_t i = 0; i < h->config.slots; i++) used += h->dial[i] != NONE;
	return used < h->config.fds;
}

uint32_t net_dial(struct sim *sim, uint32_t host, uint64_t token, const struct address *to, uint64_t at)
{
	uint32_t conn = conn_new(sim), target = host_by_ip(sim, to);
	struct conn *c = &sim->conn[conn];

	c->phase = CONN_SYN;
	c->host[0] = host;
	c->host[1] = target == NONE ? host : target;
	c->token[0] = token;
	c->to = *to;
	c->dialed_at = at;
	flow_open(sim, 2 * conn);
	flow_open(sim, 2 * conn + 1);
	sim->flow[2 * conn].back_ns = sim->flow[2 * conn + 1].latency_ns;
	sim->flow[2 * conn + 1].back_ns = sim->flow[2 * conn].latency_ns;
	sim->flow[2 * conn + 1].rx_token = token;
	if (target == NONE || !has_descriptor(&sim->host[host])) {
		c->over[1] = true;
		net_closing(sim, conn, 0, target == NONE ? CLOSE_UNREACHABLE : CLOSE_LIMIT);
		return conn;
	}
	queue_push(&sim->queue, at + sim->flow[2 * conn].latency_ns, conn_kind(sim, QUEUE_SYN, conn), conn);
	return conn;
}

/* Nothing came back: SYN goes out again 1, 3, 7 .. s after the first, until the transport gives up. */
static void syn_lost(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];
	uint64_t at;

	c->syn_tries++;
	at = c->dialed_at + ((UINT64_C(1) << c->syn_tries) - 1) * NS_S;
	queue_push(&sim->queue, max_u64(at, sim->now), conn_kind(sim, QUEUE_SYN_AGAIN, conn), conn);
}

static void syn_again(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (c->phase != CONN_SYN || end_gone(sim, conn, 0)) return;
	if (c->syn_tries == SYN_TRIES) {
		c->over[1] = true;
		net_closing(sim, conn, 0, CLOSE_TIMEOUT);
		return;
	}
	queue_push(&sim->queue, sim->now + sim->flow[2 * conn].latency_ns, conn_kind(sim, QUEUE_SYN, conn), conn);
}

static void syn(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];
	struct host *h = &sim->host[c->host[1]];
	uint64_t back = sim->now + sim->flow[2 * conn + 1].latency_ns;

	if (c->phase != CONN_SYN || end_gone(sim, conn, 0)) return;
	if (h->silent) {
		syn_lost(sim, conn);
	} else if (h->machine == NULL || h->config.listener.port != c->to.port) {
		queue_push(&sim->queue, back, conn_kind(sim, QUEUE_REFUSED, conn), conn);
	} else if (h->backlog >= h->config.listener.backlog || !has_descriptor(h)) {
		syn_lost(sim, conn);
	} else {
		c->phase = CONN_BACKLOG;
		c->in_backlog = true;
		h->backlog++;
		queue_push(&sim->queue, back, conn_kind(sim, QUEUE_SYN_ACK, conn), conn);
	}
}

static void syn_ack(struct sim *sim, uint32_t conn)
{
	struct flow *f = &sim->flow[2 * conn];

	if (end_gone(sim, conn, 0)) { /* RST; of a silent host the listener's would give up after a minute, with no other end */
		if (sim->conn[conn].died) net_reset_from(sim, conn, 0, sim->now);
		return;
	}
	f->stream.last_at = sim->now + f->latency_ns; /* data comes behind the ACK */
	queue_push(&sim->queue, f->stream.last_at, conn_kind(sim, QUEUE_ACK, conn), conn);
	node_ready(sim, sim->conn[conn].host[0], READY_DIALED, 2 * conn);
}

static void ack(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (end_gone(sim, conn, 1)) {
		if (c->died && !sim->host[c->host[1]].silent) flow_at_nobody(sim, 2 * conn);
		return;
	}
	c->phase = CONN_OPEN;
	node_ready(sim, c->host[1], READY_ACCEPTED, 2 * conn + 1);
}

static void refused(struct sim *sim, uint32_t conn)
{
	sim->conn[conn].over[1] = true;
	if (sim->conn[conn].over[0])
		net_settle(sim, conn);
	else
		net_closing(sim, conn, 0, CLOSE_REFUSED);
}

/* ---- closing ---- */

void net_close(struct sim *sim, uint32_t conn, uint32_t side, bool abort, uint64_t at)
{
	struct conn *c = &sim->conn[conn];

	if (c->closing[side] && abort) c->cause[side] = CLOSE_LOCAL; /* whatever else was on its way to the machine */
	if (end_gone(sim, conn, side)) return;
	if (side == 0 && c->phase == CONN_SYN) {
		c->over[1] = true; /* its SYN finds nobody who waits for an answer */
		net_closing(sim, conn, 0, CLOSE_LOCAL);
	} else if (abort) {
		if (!c->over[1 - side]) net_reset_from(sim, conn, side, at);
		net_closing(sim, conn, side, CLOSE_LOCAL);
	} else {
		flow_finish(sim, 2 * conn + side, at);
	}
}

static void reset(struct sim *sim, uint32_t flow)
{
	uint32_t conn = flow_conn(flow), rx = 1 - flow_side(flow);

	net_closing(sim, conn, rx, CLOSE_RESET);
}

/* ---- hosts that go and come ---- */

/* This end dies with its process. Its machine hears nothing more. */
static void end_dies(struct sim *sim, uint32_t conn, uint32_t side, enum sim_crash how)
{
	struct conn *c = &sim->conn[conn];

	if (c->token[side] != TOKEN_NONE && sim->hooks.ended != NULL) sim->hooks.ended(sim->hooks.ctx, c->host[side], c->token[side]);
	if (side == 1) {
		net_leave_backlog(sim, conn);
		c->job = false;
	}
	c->over[side] = c->died = true;
	if (c->phase == CONN_SYN && side == 0) c->over[1] = true;
	if (!c->over[1 - side]) {
		if (how == SIM_CRASH_RESET)
			net_reset_from(sim, conn, side, sim->now);
		else
			flow_peer_vanished(sim, 2 * conn + 1 - side);
		if (how == SIM_CRASH_SILENT_REFUSE) flow_peer_back(sim, 2 * conn + 1 - side);
	}
	net_settle(sim, conn);
}

void net_host_down(struct sim *sim, uint32_t host, enum sim_crash how)
{
	for (uint32_t conn = 0; conn < sim->conns; conn++) {
		for (uint32_t side = 0; side < 2; side++) {
			const struct conn *c = &sim->conn[conn];
			bool begun = side == 0 || c->phase != CONN_SYN;
			if (c->phase != CONN_FREE && c->host[side] == host && !c->over[side] && begun) end_dies(sim, conn, side, how);
		}
	}
}

void net_host_back(struct sim *sim, uint32_t host)
{
	for (uint32_t conn = 0; conn < sim->conns; conn++) {
		for (uint32_t side = 0; side < 2; side++) {
			const struct conn *c = &sim->conn[conn];
			if (c->phase != CONN_FREE && c->host[side] == host && c->over[side] && !c->over[1 - side])
				flow_peer_back(sim, 2 * conn + 1 - side);
		}
	}
}

/* ---- dispatch ---- */

void net_queue_event(struct sim *sim, const struct queued *q)
{
	enum sim_event kind = (enum sim_event)(q->kind & 0xff);
	bool of_flow = kind == QUEUE_ARRIVE || kind == QUEUE_RESET || kind == QUEUE_ROOM || kind == QUEUE_STUCK;
	uint32_t conn = of_flow ? flow_conn(q->id) : q->id;

	if (sim->conn[conn].generation != q->kind >> 8 || sim->conn[conn].phase == CONN_FREE) return;
	switch (kind) {
	case QUEUE_ARRIVE: flow_arrive(sim, q->id); break;
	case QUEUE_RESET: reset(sim, q->id); break;
	case QUEUE_ROOM: flow_room(sim, q->id); break;
	case QUEUE_STUCK: flow_stuck(sim, q->id); break;
	case QUEUE_SYN: syn(sim, conn); break;
	case QUEUE_SYN_AGAIN: syn_again(sim, conn); break;
	case QUEUE_SYN_ACK: syn_ack(sim, conn); break;
	case QUEUE_ACK: ack(sim, conn); break;
	case QUEUE_REFUSED: refused(sim, conn); break;
	case QUEUE_TLS: tls_wanted(sim, conn); break;
	case QUEUE_HELLO: tls_hello(sim, conn); break;
	case QUEUE_FLIGHT: tls_flight(sim, conn); break;
	case QUEUE_FINISHED: tls_finished(sim, conn); break;
	default: assert(false && "not an event of a connection");
	}
}
