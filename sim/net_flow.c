/* The bytes of one direction: what a machine sent on its way through the stream, and what the stream refused. */
#include "engine.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

/* Transport constants of Linux: the user timeout without HTTP-023 (15 retransmissions), and those retransmissions. */
static const uint64_t kernel_timeout = 924 * NS_S, retransmit_first = 200 * NS_MS, retransmit_max = 120 * NS_S;

/* ---- life ---- */

void flow_open(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint32_t tx_host = flow_tx_host(sim, flow), rx_host = flow_rx_host(sim, flow);
	struct sim_path path = { 0 };

	*f = (struct flow){ .read_max = SIM_TURN_MAX };
	sim->hooks.path(sim->hooks.ctx, tx_host, rx_host, &path);
	f->latency_ns = path.latency_ns;
	f->jitter_ns = path.jitter_ns;
	f->ps_per_byte = path.rate_bps == 0 ? 0 : UINT64_C(8000000000000) / path.rate_bps;
	stream_init(&f->stream, sim->host[rx_host].config.window);
}

void flow_each(const struct flow *f, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx)
{
	stream_each(&f->stream, fn, ctx);
	for (const struct held *x = f->held; x != NULL; x = x->next) fn(ctx, x->p, x->n);
}

struct losing {
	struct sim *sim;
	struct sim_loss loss;
};

struct sim_loss flow_loss(const struct sim *sim, uint32_t flow)
{
	return (struct sim_loss){ .from = flow_tx_host(sim, flow),
		                  .to = flow_rx_host(sim, flow),
		                  .rx_token = sim->flow[flow].rx_token,
		                  .crashed = sim->conn[flow_conn(flow)].died };
}

static void lose(void *ctx, const uint8_t *p, uint32_t n)
{
	struct losing *l = ctx;

	l->sim->hooks.lost(l->sim->hooks.ctx, &l->loss, p, n);
}

static void held_pop(struct flow *f)
{
	struct held *x = f->held;

	f->held = x->next;
	packet_drop(x->packet);
	free(x);
}

void flow_free(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	struct losing losing = { sim, flow_loss(sim, flow) };

	if (sim->hooks.lost != NULL) {
		flow_each(f, lose, &losing);
		lose(&losing, NULL, 0);
	}
	while (f->held != NULL) held_pop(f);
	stream_free(&f->stream, &sim->pool);
}

/* ---- sending ---- */

static uint64_t arrival_time(struct sim *sim, uint32_t flow, uint32_t n, uint64_t at)
{
	struct flow *f = &sim->flow[flow];
	uint64_t leave = max_u64(at, f->stream.free_at) + (n * f->ps_per_byte + 999) / 1000, come;

	f->stream.free_at = leave;
	come = leave + f->latency_ns;
	if (f->jitter_ns > 0) come += prng_below(&sim->host[flow_tx_host(sim, flow)].jitter, f->jitter_ns + 1);
	return max_u64(come, f->stream.last_at);
}

static uint64_t user_timeout(const struct sim *sim, uint32_t flow)
{
	uint64_t own = flow_side(flow) == 1 ? sim->host[flow_tx_host(sim, flow)].config.user_timeout_ns : 0;

	return own == 0 ? kernel_timeout : own;
}

static void arm_stuck(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint64_t at = f->progress_at + user_timeout(sim, flow);

	if (f->stuck_armed) return;
	f->stuck_armed = true;
	queue_push(&sim->queue, max_u64(sim->now, at), conn_kind(sim, QUEUE_STUCK, flow_conn(flow)), flow);
}

/* What was sent at `from`, or was on its way then, will not be acknowledged. */
static void unanswered_from(struct sim *sim, uint32_t flow, uint64_t from)
{
	struct flow *f = &sim->flow[flow];

	if (!f->unanswered && f->left == 0) f->progress_at = from;
	f->unanswered = true;
	arm_stuck(sim, flow);
}

static void arm_arrival_at(struct sim *sim, uint32_t flow, uint64_t at)
{
	sim->flow[flow].arrive_armed = true;
	queue_push(&sim->queue, max_u64(at, sim->now), conn_kind(sim, QUEUE_ARRIVE, flow_conn(flow)), flow);
}

/* What was just sent will come to nobody: its host answers, or the user timeout. */
static void sent_to_nobody(struct sim *sim, uint32_t flow, uint64_t at, uint64_t come)
{
	if (!sim->flow[flow].arrive_armed) arm_arrival_at(sim, flow, come);
	unanswered_from(sim, flow, at);
}

/* What was just written will come to somebody, or to nobody. */
static inline void written(struct sim *sim, uint32_t flow, uint64_t at)
{
	struct flow *f = &sim->flow[flow];

	if (!sim->conn[flow_conn(flow)].over[1 - flow_side(flow)]) {
		if (!f->arrive_armed && f->read_max > 0 && !f->ready) arm_arrival_at(sim, flow, stream_first_at(&f->stream));
		return;
	}
	sent_to_nobody(sim, flow, at, f->stream.last_at);
}

static void arm_room(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint64_t at = f->held->at > sim->now ? f->held->at : stream_room_at(&f->stream);

	if (f->room_armed || at == UINT64_MAX) return; /* flow_taken arms it */
	f->room_armed = true;
	queue_push(&sim->queue, max_u64(at, sim->now), conn_kind(sim, QUEUE_ROOM, flow_conn(flow)), flow);
}

static void touch(struct sim *sim, uint32_t flow)
{
	if (sim->flow[flow].touched) return;
	sim->flow[flow].touched = true;
	MEM_ROOM(sim->touched, sim->touched_n, sim->touched_cap);
	sim->touched[sim->touched_n++] = flow;
}

static void hold(struct flow *f, struct packet *owner, const uint8_t *p, uint32_t n, uint64_t at)
{
	struct held *x;

	if (n == 0) return;
	x = mem_alloc(sizeof *x);
	*x = (struct held){ .packet = owner == NULL ? packet_copy(p, n) : packet_hold(owner), .p = p, .n = n, .at = at };
	if (owner == NULL) x->p = x->packet->bytes;
	if (f->held == NULL)
		f->held = x;
	else
		f->held_last->next = x;
	f->held_last = x;
	f->left += n;
}

static void refuse(struct sim *sim, uint32_t flow, const uint8_t *head, uint32_t head_n, const struct span *span, uint32_t skip, uint64_t at)
{
	struct flow *f = &sim->flow[flow];
	uint32_t behind = skip > head_n ? skip - head_n : 0;

	if (f->left == 0 && !f->unanswered) f->progress_at = at;
	if (skip < head_n) hold(f, NULL, head + skip, head_n - skip, at);
	if (span->n > behind) hold(f, span->owner, span->p + behind, span->n - behind, at);
	arm_room(sim, flow);
	arm_stuck(sim, flow);
	touch(sim, flow);
}

void flow_send(struct sim *sim, uint32_t flow, const uint8_t *head, uint32_t head_n, const struct span *span, uint64_t at)
{
	struct flow *f = &sim->flow[flow];
	uint32_t n = head_n + span->n, room = f->held != NULL ? 0 : stream_room(&f->stream, at), part = n < room ? n : room;

	assert(!f->fin_wanted && n < (UINT32_C(1) << 28));
	if (n == 0) return;
	f->sent += n;
	if (part > 0) {
		uint8_t *to = stream_put(&f->stream, &sim->pool, arrival_time(sim, flow, part, at), part);
		uint32_t first = part < head_n ? part : head_n;
		if (first > 0) memcpy(to, head, first);
		if (part > first) memcpy(to + first, span->p, part - first);
		written(sim, flow, at);
	}
	if (part < n) refuse(sim, flow, head, head_n, span, part, at);
	if (f->sent - f->told > SIM_LOW_WATER) touch(sim, flow);
}

static void send_fin(struct sim *sim, uint32_t flow, uint64_t at)
{
	struct flow *f = &sim->flow[flow];

	f->fin_sent = true;
	f->fin_at = max_u64(max_u64(at, f->stream.free_at) + f->latency_ns, f->stream.last_at);
	if (sim->conn[flow_conn(flow)].over[1 - flow_side(flow)])
		sent_to_nobody(sim, flow, at, f->fin_at);
	else if (!f->arrive_armed && f->stream.arrivals == 0 && f->read_max > 0)
		arm_arrival_at(sim, flow, f->fin_at);
}

void flow_finish(struct sim *sim, uint32_t flow, uint64_t at)
{
	struct flow *f = &sim->flow[flow];

	if (f->fin_wanted) return;
	f->fin_wanted = true;
	if (f->held == NULL) send_fin(sim, flow, at);
}

/* Acknowledgements made room: what the host held goes on. */
void flow_room(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint32_t side = flow_side(flow);

	f->room_armed = false;
	if (sim->conn[flow_conn(flow)].over[side] && !f->fin_wanted) return;
	while (f->held != NULL && f->held->at <= sim->now) {
		struct held *x = f->held;
		uint32_t room = stream_room(&f->stream, sim->now), n = x->n < room ? x->n : room;
		if (n == 0) break;
		memcpy(stream_put(&f->stream, &sim->pool, arrival_time(sim, flow, n, sim->now), n), x->p, n);
		f->left -= n;
		x->p += n;
		x->n -= n;
		f->progress_at = sim->now;
		written(sim, flow, sim->now);
		if (x->n == 0) held_pop(f);
	}
	if (f->held != NULL)
		arm_room(sim, flow);
	else if (f->fin_wanted && !f->fin_sent)
		send_fin(sim, flow, sim->now);
	if (f->left != f->left_told) node_ready(sim, flow_tx_host(sim, flow), READY_DRAINED, flow);
}

/* ---- receiving ---- */

void flow_arm_arrival(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint64_t at = f->stream.arrivals > 0 ? stream_first_at(&f->stream) : f->fin_sent ? f->fin_at : UINT64_MAX;

	if (f->arrive_armed || f->ready || f->read_max == 0 || at == UINT64_MAX || end_gone(sim, flow_conn(flow), 1 - flow_side(flow))) return;
	arm_arrival_at(sim, flow, at);
}

void flow_at_nobody(struct sim *sim, uint32_t flow)
{
	const struct flow *f = &sim->flow[flow];

	if (end_gone(sim, flow_conn(flow), flow_side(flow))) return;
	if (!sim->host[flow_rx_host(sim, flow)].silent)
		net_reset_from(sim, flow_conn(flow), 1 - flow_side(flow), sim->now);
	else
		unanswered_from(sim, flow, sim->now - f->latency_ns);
}

void flow_arrive(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint32_t conn = flow_conn(flow), rx = 1 - flow_side(flow);

	f->arrive_armed = false;
	if (sim->conn[conn].over[rx]) {
		flow_at_nobody(sim, flow);
		return;
	}
	if (sim->conn[conn].closing[rx] || f->read_max == 0) return;
	if (f->stream.arrivals > 0) {
		node_ready(sim, flow_rx_host(sim, flow), READY_STREAM, flow);
	} else if (f->fin_sent && f->fin_at <= sim->now) {
		if (!sim->conn[conn].over[rx]) flow_finish(sim, flow ^ 1, sim->now);
		net_closing(sim, conn, rx, CLOSE_EOF);
	} else {
		flow_arm_arrival(sim, flow);
	}
}

void flow_read(struct sim *sim, uint32_t flow, uint32_t n)
{
	struct flow *f = &sim->flow[flow];
	bool opened = f->read_max == 0 && n > 0;

	f->read_max = n < SIM_TURN_MAX ? n : SIM_TURN_MAX;
	if (opened) flow_arm_arrival(sim, flow);
}

void flow_taken(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];

	flow_arm_arrival(sim, flow);
	if (f->held != NULL) arm_room(sim, flow);
}

/* ---- silence ---- */

/* The user timeout may be over: no acknowledgement for what was sent, or no progress of what was refused. */
void flow_stuck(struct sim *sim, uint32_t flow)
{
	struct flow *f = &sim->flow[flow];
	uint32_t conn = flow_conn(flow), side = flow_side(flow);

	f->stuck_armed = false;
	if (end_gone(sim, conn, side) || (!f->unanswered && f->left == 0)) return;
	if (f->progress_at + user_timeout(sim, flow) > sim->now) {
		arm_stuck(sim, flow);
		return;
	}
	if (!sim->conn[conn].over[1 - side]) net_reset_from(sim, conn, side, sim->now);
	net_closing(sim, conn, side, CLOSE_TIMEOUT);
}

/* What has come is acknowledged, read or not; what has not, bytes or FIN, comes to nobody. */
void flow_peer_vanished(struct sim *sim, uint32_t flow)
{
	const struct flow *f = &sim->flow[flow];
	uint64_t last = max_u64(f->stream.arrivals > 0 ? f->stream.last_at : 0, f->fin_sent ? f->fin_at : 0);

	if (last > sim->now) sent_to_nobody(sim, flow, sim->now, last);
}

/* A sender with something unacknowledged or refused sends it or asks for room again after 200 ms, 600 ms, .. and is answered by the host. */
void flow_peer_back(struct sim *sim, uint32_t flow)
{
	const struct flow *f = &sim->flow[flow];
	uint64_t at = f->progress_at, wait = max_u64(retransmit_first, 2 * f->latency_ns);

	if (!f->unanswered && f->left == 0) return;
	while (at <= sim->now) {
		at += wait;
		wait = 2 * wait < retransmit_max ? 2 * wait : retransmit_max;
	}
	arm_arrival_at(sim, flow, at + f->latency_ns);
}
