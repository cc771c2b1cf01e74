/* A host at work: what is ready goes into its machine, one event after the other as its CPU allows; what the machine wants goes out. */
#include "engine.h"

#include "fold.h"

#include "../ref/address.h"
#include "../ref/buf.h"
#include "../ref/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 16384 };

/* ---- digest ---- */

/* Length, the first 64 bytes and the last 8: frames carry what tells them apart in their heads, and the load its number. */
static uint64_t content_of(const uint8_t *p, uint32_t n)
{
	uint64_t h = n;

	if (n < 8) {
		for (uint32_t i = 0; i < n; i++) h = h << 8 ^ p[i] ^ h >> 56;
		return fold(h, UINT64_C(0x9e3779b97f4a7c15));
	}
	if (n >= 64)
		for (uint32_t i = 0; i < 64; i += 16) h = fold(h ^ load(p + i), UINT64_C(0xd6e8feb86659fd93) ^ load(p + i + 8)); /* unrolled */
	else
		for (uint32_t i = 0; i + 16 <= n; i += 16) h = fold(h ^ load(p + i), UINT64_C(0xd6e8feb86659fd93) ^ load(p + i + 8));
	return fold(h ^ load(p + n - 8), UINT64_C(0xa0761d6478bd642f));
}

static uint64_t event_content(const struct event *e)
{
	switch (e->kind) {
	case EVENT_BYTES: return content_of(e->bytes.p, e->bytes.n);
	case EVENT_DRAINED: return fold(e->drained.n + 1, e->drained.left + UINT64_C(0x9e3779b97f4a7c15));
	case EVENT_CLOSED: return e->closed.cause;
	case EVENT_COMMAND: return (uint64_t)e->command->verb << 32 ^ (e->command->p == NULL ? 0 : content_of(e->command->p, e->command->n));
	case EVENT_START: return content_of((const uint8_t *)e->start->config, (uint32_t)e->start->config_n) ^ load(e->start->seed);
	default: return 0;
	}
}

static inline uint64_t digest_event(struct sim *sim, uint32_t host, const struct event *e)
{
	uint64_t content = event_content(e);

	sim->digest_a = fold(sim->digest_a ^ sim->now, UINT64_C(0x9e3779b97f4a7c15) ^ ((uint64_t)host << 8 | e->kind)) + content;
	sim->digest_b = fold(sim->digest_b ^ e->token ^ content, UINT64_C(0xd6e8feb86659fd93)) ^ sim->digest_a;
	return content;
}

/* ---- boot and crash ---- */

static void traced(struct tracer *t, const struct note *note)
{
	const struct host_tracer *x = (const struct host_tracer *)t;

	if (x->sim->hooks.note != NULL) x->sim->hooks.note(x->sim->hooks.ctx, x->host, note);
}

void node_init(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	h->tracer = mem_alloc(sizeof *h->tracer);
	*h->tracer = (struct host_tracer){ .tracer = { traced }, .sim = sim, .host = host };
	h->wake_at = TIME_NEVER;
	h->slot_free = NONE;
	h->job_first = h->job_last = NONE;
	h->dial = mem_alloc((uint64_t)h->config.slots * sizeof *h->dial);
	for (uint32_t i = 0; i < h->config.slots; i++) h->dial[i] = NONE;
	h->jitter = prng_make(sim->seed, h->config.name, "jitter");
}

static void ready_clear(struct host *h)
{
	for (; h->ready_n > 0; h->ready_n--, h->ready_head = (h->ready_head + 1) & (h->ready_cap - 1)) free(h->ready[h->ready_head].command);
	h->ready_head = 0;
}

void node_free(struct host *h)
{
	ready_clear(h);
	if (h->machine != NULL) machine_free(h->machine);
	free(h->ready);
	free(h->slot);
	free(h->dial);
	free(h->tracer);
}

static void turn(struct sim *sim, uint32_t host, struct event *e);

void node_boot(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];
	struct machine_env env = { .tracer = sim->hooks.note == NULL ? NULL : &h->tracer->tracer, .keys = sim->keys };
	struct socket_info socket = { .token = token_make(0, 1), .local = h->config.ip, .tls = h->config.listener.tls };
	struct event_start start = { .wall_ns = UINT64_C(1767225600) * NS_S + sim->now,
		                     .slot_count = h->config.slots,
		                     .turn_max = SIM_TURN_MAX,
		                     .low_water = SIM_LOW_WATER,
		                     .sockets = &socket,
		                     .sockets_n = h->config.listener.port != 0 };
	struct event e = { .kind = EVENT_START, .start = &start };
	char text[CONFIG_MAX], purpose[32];

	assert(h->machine == NULL);
	h->machine = sim->hooks.make(sim->hooks.ctx, host, &env);
	h->silent = false;
	h->boot_at = sim->now;
	h->free_at = sim->now;
	h->boots++;
	socket.local.port = h->config.listener.port;
	snprintf(purpose, sizeof purpose, "machine-%u", h->boots);
	prng_derive(sim->seed, h->config.name, purpose, start.seed);
	start.config_n = sim->hooks.configure(sim->hooks.ctx, host, text, sizeof text);
	assert(start.config_n < sizeof text);
	start.config = text;
	turn(sim, host, &e);
}

/* The machine is gone; connections are net.c's. */
void node_down(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	machine_free(h->machine);
	h->machine = NULL;
	h->wake_at = TIME_NEVER;
	ready_clear(h);
	h->free_armed = false;
	h->jobs = 0;
	h->job_first = h->job_last = NONE;
	h->job_armed = false;
	h->backlog = 0;
	h->open = 0;
	h->slot_free = NONE;
	for (uint32_t i = h->slots; i > 1; i--) { /* all slots are free again, the lowest first; generations go on */
		h->slot[i - 1].conn = h->slot_free;
		h->slot_free = i - 1;
	}
	for (uint32_t i = 0; i < h->config.slots; i++) h->dial[i] = NONE;
}

/* ---- waiting events ---- */

static void ready_push(struct host *h, struct ready r)
{
	if (h->ready_n == h->ready_cap) {
		uint32_t cap = h->ready_cap ? 2 * h->ready_cap : 16;
		struct ready *v = mem_alloc((uint64_t)cap * sizeof *v);
		for (uint32_t i = 0; i < h->ready_n; i++) v[i] = h->ready[(h->ready_head + i) & (h->ready_cap - 1)];
		free(h->ready);
		h->ready = v, h->ready_cap = cap, h->ready_head = 0;
	}
	h->ready[(h->ready_head + h->ready_n++) & (h->ready_cap - 1)] = r;
}

static void arm_free(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	if (h->free_armed) return;
	h->free_armed = true;
	queue_push(&sim->queue, h->free_at > sim->now ? h->free_at : sim->now, host_kind(sim, QUEUE_FREE, host), host);
}

static bool busy(const struct sim *sim, const struct host *h) { return h->free_at > sim->now || h->ready_n > 0 || sim->in_step; }

static void run_ready(struct sim *sim, uint32_t host, const struct ready *r);

void node_ready(struct sim *sim, uint32_t host, enum ready_kind kind, uint32_t id)
{
	struct host *h = &sim->host[host];
	struct ready r = { .kind = (uint8_t)kind, .id = id };

	if (h->machine == NULL) return;
	if (kind == READY_STREAM) {
		if (sim->flow[id].ready) return;
		sim->flow[id].ready = true;
	}
	if (kind == READY_DRAINED) {
		if (sim->flow[id].drained_ready) return;
		sim->flow[id].drained_ready = true;
	}
	if (!busy(sim, h)) {
		run_ready(sim, host, &r);
		return;
	}
	ready_push(h, r);
	arm_free(sim, host);
}

void node_cpu_free(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];
	struct ready r;

	h->free_armed = false;
	if (h->ready_n == 0) return;
	if (h->free_at > sim->now) {
		arm_free(sim, host);
		return;
	}
	r = h->ready[h->ready_head];
	h->ready_head = (h->ready_head + 1) & (h->ready_cap - 1);
	h->ready_n--;
	run_ready(sim, host, &r);
	if (h->machine != NULL && h->ready_n > 0) arm_free(sim, host);
}

/* ---- a turn ---- */

static void apply_close(struct sim *sim, uint32_t host, const struct action *x, uint64_t at)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], x->token, &side);

	if (conn != NONE) net_close(sim, conn, side, x->abort, at);
}

static void apply_read(struct sim *sim, uint32_t host, const struct action *x)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], x->token, &side);

	if (conn != NONE) flow_read(sim, 2 * conn + 1 - side, x->read_n);
}

static void apply_dial(struct sim *sim, uint32_t host, const struct action *x, uint64_t at)
{
	uint32_t slot = token_slot(x->token);

	assert(token_is_machine(x->token) && slot < sim->host[host].config.slots && sim->host[host].dial[slot] == NONE);
	sim->host[host].dial[slot] = net_dial(sim, host, x->token, &x->address, at);
}

static void apply_tls(struct sim *sim, uint32_t host, const struct action *x, uint64_t at)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], x->token, &side);

	if (conn != NONE) tls_start(sim, conn, side, &x->tls, at);
}

static inline void apply_send(struct sim *sim, uint32_t host, const struct action *x, uint64_t at)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], x->token, &side);

	if (conn == NONE || sim->conn[conn].closing[side]) return; /* its CLOSED is on its way */
	flow_send(sim, 2 * conn + side, action_head(&sim->out, x), x->head_n, &x->span, at);
}

static void apply(struct sim *sim, uint32_t host, uint64_t at)
{
	for (uint32_t i = 0; i < sim->out.n; i++) {
		const struct action *x = &sim->out.v[i];
		switch ((enum action_kind)x->kind) {
		case ACTION_SEND: apply_send(sim, host, x, at); break;
		case ACTION_DIAL: apply_dial(sim, host, x, at); break;
		case ACTION_START_TLS: apply_tls(sim, host, x, at); break;
		case ACTION_READ: apply_read(sim, host, x); break;
		case ACTION_CLOSE: apply_close(sim, host, x, at); break;
		case ACTION_ASK:      /* a world gives addresses, not names */
		case ACTION_DATAGRAM: /* STUN and direct paths come with the whole simulator */
		case ACTION_DELIVER:
		case ACTION_KINDS: assert(false && "an action that this world does not have"); break;
		}
	}
}

static void arm_wake(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];
	uint64_t d = machine_deadline(h->machine), at;

	if (d >= TIME_NEVER - h->boot_at) return;
	at = h->boot_at + d;
	if (at < sim->now) at = sim->now;
	if (at >= h->wake_at) return;
	h->wake_at = at;
	queue_push(&sim->queue, at, host_kind(sim, QUEUE_WAKE, host), host);
}

static void step(struct sim *sim, uint32_t host, struct event *e)
{
	struct host *h = &sim->host[host];
	uint64_t cost, content, start = h->free_at > sim->now ? h->free_at : sim->now;

	e->now = sim->now - h->boot_at;
	sim->events++;
	content = digest_event(sim, host, e);
	if (sim->hooks.event != NULL) sim->hooks.event(sim->hooks.ctx, host, e, content);
	sim->in_step = true;
	machine_step(h->machine, e, &sim->out, &sim->up);
	cost = h->config.cost == NULL ? 0 : cost_of(h->config.cost, sim->out.work);
	h->busy_ns += cost;
	h->free_at = start + cost;
	apply(sim, host, h->free_at);
	if (sim->hooks.deliver != NULL)
		for (uint32_t i = 0; i < sim->up.n; i++) sim->hooks.deliver(sim->hooks.ctx, host, &sim->up.v[i]);
	actions_reset(&sim->out);
	if (sim->up.n > 0) actions_reset(&sim->up); /* nothing but deliveries is in it */
	sim->in_step = false;
}

static bool drained_event(struct flow *f, struct event *e)
{
	uint64_t taken = f->sent - f->left;

	if (!(f->sent - f->told > SIM_LOW_WATER && taken > f->told) && f->left == f->left_told) return false;
	*e = (struct event){ .kind = EVENT_DRAINED, .drained = { .n = taken - f->told, .left = f->left } };
	f->told = taken;
	f->left_told = f->left;
	return true;
}

/* An event and the DRAINEDs that its actions made due: they come first. */
static void turn(struct sim *sim, uint32_t host, struct event *e)
{
	step(sim, host, e);
	while (sim->touched_n > 0) {
		uint32_t flow = sim->touched[--sim->touched_n], side = flow_side(flow);
		struct event drained;
		sim->flow[flow].touched = false;
		if (sim->conn[flow_conn(flow)].over[side] || sim->conn[flow_conn(flow)].closing[side]) continue;
		if (!drained_event(&sim->flow[flow], &drained)) continue;
		drained.token = sim->conn[flow_conn(flow)].token[side];
		step(sim, host, &drained);
	}
	arm_wake(sim, host);
}

/* ---- what was ready ---- */

static void run_stream(struct sim *sim, uint32_t host, uint32_t id)
{
	struct flow *f = &sim->flow[id];
	uint32_t conn = flow_conn(id), rx = 1 - flow_side(id), n;
	uint64_t back = f->back_ns;
	struct event e = { .kind = EVENT_BYTES, .token = f->rx_token };
	const uint8_t *p;

	f->ready = false;
	if (sim->conn[conn].over[rx] || sim->conn[conn].closing[rx] || f->read_max == 0) return;
	p = stream_peek(&f->stream, sim->now, &n);
	if (n == 0) {
		flow_arm_arrival(sim, id);
		return;
	}
	if (n > f->read_max) n = f->read_max;
	if (n < f->read_max && stream_more(&f->stream, sim->now)) {
		uint32_t max = f->read_max < SIM_TURN_MAX ? f->read_max : SIM_TURN_MAX;
		n = stream_gather(&f->stream, &sim->pool, sim->now, sim->scratch, max, back);
		e.bytes = (struct event_bytes){ .p = sim->scratch, .n = n };
		turn(sim, host, &e);
	} else {
		if (n > SIM_TURN_MAX) n = SIM_TURN_MAX;
		e.bytes = (struct event_bytes){ .p = p, .n = n };
		turn(sim, host, &e);
		stream_take(&sim->flow[id].stream, &sim->pool, sim->now, n, back);
	}
	flow_taken(sim, id);
}

static void run_drained(struct sim *sim, uint32_t host, uint32_t id)
{
	struct flow *f = &sim->flow[id];
	uint32_t conn = flow_conn(id), side = flow_side(id);
	struct event e;

	f->drained_ready = false;
	if (sim->conn[conn].over[side] || sim->conn[conn].closing[side] || !drained_event(f, &e)) return;
	e.token = sim->conn[conn].token[side];
	turn(sim, host, &e);
}

static uint32_t slot_take(struct host *h)
{
	uint32_t slot = h->slot_free;

	if (slot != NONE) {
		h->slot_free = h->slot[slot].conn;
		return slot;
	}
	if (h->slots == 0) h->slots = 1; /* slot 0 is the listener's */
	slot = h->slots++;
	if ((slot & (slot - 1)) == 0) h->slot = mem_grow(h->slot, (uint64_t)slot * 2 * sizeof *h->slot);
	h->slot[0].conn = NONE;
	h->slot[slot].generation = 0;
	return slot;
}

static void run_accepted(struct sim *sim, uint32_t host, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];
	struct host *h = &sim->host[host];
	struct event_accepted accepted = { .listener = token_make(0, 1), .local = c->to, .remote = sim->host[c->host[0]].config.ip };
	struct event e = { .kind = EVENT_ACCEPTED, .accepted = &accepted };
	uint32_t slot = slot_take(h);

	h->slot[slot].generation++;
	h->slot[slot].conn = conn;
	h->open++;
	net_leave_backlog(sim, conn);
	accepted.remote.port = (uint16_t)(1024 + conn % 60000);
	c->token[1] = e.token = token_make(slot, h->slot[slot].generation);
	sim->flow[2 * conn].rx_token = e.token;
	turn(sim, host, &e);
}

static void run_dialed(struct sim *sim, uint32_t host, uint32_t conn)
{
	struct event_dialed dialed = { .local = sim->host[host].config.ip, .remote = sim->conn[conn].to };
	struct event e = { .kind = EVENT_DIALED, .token = sim->conn[conn].token[0], .dialed = &dialed };

	turn(sim, host, &e);
}

static void run_secured(struct sim *sim, uint32_t host, uint32_t conn, uint32_t side)
{
	struct conn *c = &sim->conn[conn];
	char ip[ADDRESS_TEXT];
	struct certificate_name names[2] = { { .p = c->server_name }, { .p = ip, .ip = true } }; /* good for whatever was asked for */
	struct certificate chain[2] = { { .serial = 1, .names = names, .names_n = 2, .not_after_s = UINT64_MAX }, { .serial = 2 } };
	struct event_secured secured = { .version = 0x0304, .verified = true };
	struct event e = { .kind = EVENT_SECURED, .token = c->token[side], .secured = &secured };

	if (side == 0) {
		chain[0].common_name = c->server_name;
		chain[0].common_name_n = names[0].n = c->server_name == NULL ? 0 : strlen(c->server_name);
		names[1].n = (size_t)(strrchr(address_text(&c->to, ip), ':') - ip); /* all addresses here are IPv4 */
		chain[1].common_name = c->meta_name;
		chain[1].common_name_n = c->meta_name == NULL ? 0 : strlen(c->meta_name);
		secured.chain = chain;
		secured.chain_n = c->meta_name == NULL ? 1 : 2; /* HTTP-011: the last of the chain */
	}
	turn(sim, host, &e);
}

static void run_closed(struct sim *sim, uint32_t host, uint32_t conn, uint32_t side)
{
	struct conn *c = &sim->conn[conn];
	struct event e = { .kind = EVENT_CLOSED, .token = c->token[side], .closed = { (enum close_cause)c->cause[side] } };

	if (side == 0) sim->host[host].dial[token_slot(e.token)] = NONE; /* the machine may use its slot again at once */
	sim->ending = conn;
	turn(sim, host, &e);
	sim->ending = NONE;
	if (sim->hooks.ended != NULL) sim->hooks.ended(sim->hooks.ctx, host, e.token);
	net_over(sim, conn, side);
}

static void run_end(struct sim *sim, uint32_t host, const struct ready *r)
{
	uint32_t conn = r->id >> 1, side = r->id & 1;
	const struct conn *c = &sim->conn[conn];

	if (c->over[side] || c->host[side] != host) return;
	if (r->kind == READY_CLOSED) {
		if (side == 1 && c->token[1] == TOKEN_NONE)
			net_over(sim, conn, side); /* closed before it was accepted */
		else
			run_closed(sim, host, conn, side);
		return;
	}
	if (c->closing[side]) return;
	if (r->kind == READY_ACCEPTED)
		run_accepted(sim, host, conn);
	else if (r->kind == READY_DIALED)
		run_dialed(sim, host, conn);
	else
		run_secured(sim, host, conn, side);
}

static void run_wake(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];
	struct event e = { .kind = EVENT_TIMER };

	if (machine_deadline(h->machine) <= sim->now - h->boot_at)
		turn(sim, host, &e);
	else
		arm_wake(sim, host);
}

static void run_command(struct sim *sim, uint32_t host, const struct event_command *command)
{
	struct event e = { .kind = EVENT_COMMAND, .command = command };

	turn(sim, host, &e);
}

static void run_ready(struct sim *sim, uint32_t host, const struct ready *r)
{
	switch ((enum ready_kind)r->kind) {
	case READY_STREAM: run_stream(sim, host, r->id); break;
	case READY_DRAINED: run_drained(sim, host, r->id); break;
	case READY_WAKE: run_wake(sim, host); break;
	case READY_COMMAND:
		run_command(sim, host, r->command);
		free(r->command);
		break;
	default: run_end(sim, host, r); break;
	}
}

void node_wake(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	if (h->machine == NULL || h->wake_at != sim->now) return; /* a later or earlier one counts */
	h->wake_at = TIME_NEVER;
	node_ready(sim, host, READY_WAKE, 0);
}

/* The command with all that it points to, in one allocation. */
static struct event_command *command_copy(const struct event_command *c)
{
	struct event_command *copy = mem_alloc(sizeof *copy + 64 + (uint64_t)c->n);
	uint8_t *p = (uint8_t *)(copy + 1);

	*copy = *c;
	copy->owner = NULL;
	if (c->dst != NULL) memcpy(p, c->dst, KEY_SIZE), copy->dst = p;
	if (c->src != NULL) memcpy(p + 32, c->src, KEY_SIZE), copy->src = p + 32;
	if (c->p != NULL) memcpy(p + 64, c->p, c->n), copy->p = p + 64;
	return copy;
}

bool node_command(struct sim *sim, uint32_t host, const struct event_command *command)
{
	struct host *h = &sim->host[host];

	if (h->machine == NULL) return false;
	if (!busy(sim, h)) {
		run_command(sim, host, command);
		return true;
	}
	ready_push(h, (struct ready){ .kind = READY_COMMAND, .command = command_copy(command) });
	arm_free(sim, host);
	return true;
}
