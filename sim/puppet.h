/* Machines for tests of the engine: each does what it is ordered, notes what it hears, and holds the engine to the seam.
 *
 * A stage has up to STAGE_HOSTS hosts with paths of their own. An order is one action, or work to be charged; orders come as one
 * COMMAND, through the CPU like any event. Sent bytes follow from their place in the stream, so that a receiver sees at once what
 * was lost, doubled or changed. Every puppet asserts what ref/machine.h promises: `now` is the host's time, a token is told before
 * it is used and never after its CLOSED, BYTES are at most what READ allows. Functions are static inline: one header, no object.
 * For *_test.c only. */
#ifndef SIM_PUPPET_H
#define SIM_PUPPET_H

#include "../ref/buf.h"
#include "prng.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGE_HOSTS = 12, STAGE_PORT = 443, STAGE_SLOTS = 64, STAGE_PERIOD = 65521 };

/* ---- what is heard ---- */

struct heard {
	uint64_t at; /* of the simulation */
	enum event_kind kind;
	uint64_t token;
	uint64_t n;    /* BYTES: how many; DRAINED: taken; START: the seed's first 8 bytes */
	uint64_t left; /* DRAINED; START: wall time */
	enum close_cause cause;
	struct address local, remote; /* ACCEPTED, DIALED */
	uint32_t chain;               /* SECURED: certificates */
	char name[2][32];             /* their common names */
};

/* A connection's end, as its machine sees it. */
struct puppet_end {
	uint64_t token;
	bool open;      /* between DIAL or ACCEPTED and CLOSED */
	bool connected; /* DIALED or ACCEPTED came */
	bool finished;  /* CLOSE finish was said */
	bool aborted;
	uint32_t read_max;
	uint64_t sent, got, told; /* bytes; told by DRAINED */
};

/* ---- orders ---- */

enum order_kind { ORDER_DIAL, ORDER_TLS, ORDER_SEND, ORDER_READ, ORDER_CLOSE, ORDER_ABORT, ORDER_WAKE, ORDER_WORK };

struct order {
	enum order_kind kind;
	uint64_t token;
	uint64_t n;      /* SEND, READ: bytes; WAKE: ns from now; WORK: ns of CPU */
	uint32_t head_n; /* SEND: of these in the head; the rest is a span */
	bool counted;    /* SEND: the span is a counted packet, else a constant */
	struct address to;
};

struct puppet_host {
	struct sim_host_config config;
	struct cost_table cost; /* a step costs cost.step_ps; ORDER_WORK is charged by the nanosecond */
	char name[16];
	bool tls;          /* says START_TLS at once, as listener or dialer */
	uint32_t read_max; /* says READ at once, if not the default */
	struct heard *heard;
	uint32_t heard_n, heard_cap;
	struct puppet_end *end; /* all there ever were */
	uint32_t ends, ends_cap;
	uint32_t dials; /* so far */
	uint64_t boot_at;
};

struct stage {
	struct sim *sim;
	struct puppet_host host[STAGE_HOSTS];
	uint32_t hosts;
	struct sim_path path[STAGE_HOSTS][STAGE_HOSTS];
	uint64_t lost[STAGE_HOSTS][STAGE_HOSTS]; /* bytes that nobody read, of connections that are over */
	uint32_t ended, moments;
	uint8_t table[2 * STAGE_PERIOD]; /* the bytes of every stream, from its place modulo the period */
};

struct puppet {
	struct machine machine;
	struct stage *stage;
	uint32_t host;
	uint64_t wake_at;
};

/* ---- the machine ---- */

static inline struct puppet_end *puppet_end(struct puppet_host *h, uint64_t token)
{
	for (uint32_t i = h->ends; i-- > 0;)
		if (h->end[i].token == token) return &h->end[i];
	return NULL;
}

static inline void puppet_end_new(struct puppet_host *h, uint64_t token, bool connected)
{
	const struct puppet_end *old = puppet_end(h, token);

	assert(old == NULL || !old->open);
	MEM_ROOM(h->end, h->ends, h->ends_cap);
	h->end[h->ends++] = (struct puppet_end){ .token = token, .open = true, .connected = connected, .read_max = SIM_TURN_MAX };
}

static inline void puppet_send(struct puppet *m, const struct order *o, struct actions *out)
{
	struct stage *st = m->stage;
	struct puppet_end *end = puppet_end(&st->host[m->host], o->token);
	uint32_t head_n = o->head_n, n = (uint32_t)o->n - head_n;
	const uint8_t *from;
	struct packet *packet;

	assert(end != NULL && end->connected && !end->finished && n <= STAGE_PERIOD && head_n <= ACTIONS_HEAD_MAX);
	if (!end->open) return;
	memcpy(actions_send(out, o->token, head_n), st->table + end->sent % STAGE_PERIOD, head_n);
	end->sent += head_n;
	from = st->table + end->sent % STAGE_PERIOD;
	end->sent += n;
	if (n == 0) return;
	if (!o->counted) {
		actions_span(out, from, n);
		return;
	}
	packet = packet_copy(from, n);
	actions_span_packet(out, packet, packet->bytes, n);
}

static inline void puppet_tls(struct puppet *m, uint64_t token, struct actions *out)
{
	struct action *x = actions_add(out, ACTION_START_TLS, token);

	x->tls.server = !token_is_machine(token);
	x->tls.server_name = x->tls.server ? NULL : "puppet.example";
	x->tls.meta_name = x->tls.server ? m->stage->host[m->host].name : NULL;
}

static inline void puppet_obey(struct puppet *m, const struct order *o, uint64_t now, struct actions *out)
{
	struct puppet_host *h = &m->stage->host[m->host];
	struct puppet_end *end = puppet_end(h, o->token);

	switch (o->kind) {
	case ORDER_DIAL:
		puppet_end_new(h, o->token, false);
		actions_dial(out, o->token, &o->to);
		break;
	case ORDER_TLS: puppet_tls(m, o->token, out); break;
	case ORDER_SEND: puppet_send(m, o, out); break;
	case ORDER_READ:
		end->read_max = (uint32_t)o->n;
		actions_read(out, o->token, (uint32_t)o->n);
		break;
	case ORDER_CLOSE:
	case ORDER_ABORT:
		if (o->kind == ORDER_CLOSE)
			end->finished = true;
		else
			end->aborted = true;
		actions_close(out, o->token, o->kind == ORDER_ABORT);
		break;
	case ORDER_WAKE: m->wake_at = now + o->n; break;
	case ORDER_WORK: out->work[WORK_TIMERS] += o->n; break;
	}
}

static inline void puppet_bytes(struct puppet *m, const struct event *e)
{
	struct puppet_end *end = puppet_end(&m->stage->host[m->host], e->token);

	assert(end != NULL && end->open && end->connected && !end->aborted);
	assert(e->bytes.n > 0 && e->bytes.n <= end->read_max && e->bytes.n <= SIM_TURN_MAX);
	assert(memcmp(e->bytes.p, m->stage->table + end->got % STAGE_PERIOD, e->bytes.n) == 0);
	end->got += e->bytes.n;
}

/* What the seam promises of an event, and what the end's state becomes. */
static inline void puppet_hear(struct puppet *m, const struct event *e)
{
	struct puppet_host *h = &m->stage->host[m->host];
	struct puppet_end *end = e->token == TOKEN_NONE ? NULL : puppet_end(h, e->token);

	switch (e->kind) {
	case EVENT_ACCEPTED:
		assert(!token_is_machine(e->token));
		puppet_end_new(h, e->token, true);
		break;
	case EVENT_DIALED:
		assert(end != NULL && end->open && !end->connected && !end->aborted);
		end->connected = true;
		break;
	case EVENT_SECURED: assert(end != NULL && end->open && end->connected && !end->aborted); break;
	case EVENT_BYTES: puppet_bytes(m, e); break;
	case EVENT_DRAINED:
		assert(end != NULL && end->open && !end->aborted);
		end->told += e->drained.n;
		assert(end->told + e->drained.left == end->sent);
		break;
	case EVENT_CLOSED:
		assert(end != NULL && end->open);
		assert((e->closed.cause == CLOSE_LOCAL) == end->aborted);
		assert(e->closed.cause != CLOSE_EOF || end->read_max > 0);
		end->open = false;
		break;
	default: break;
	}
}

static inline void puppet_note_chain(struct heard *x, const struct event_secured *s)
{
	x->chain = s->chain_n;
	assert(s->chain_n <= 2);
	for (uint32_t i = 0; i < s->chain_n; i++)
		snprintf(x->name[i], sizeof x->name[i], "%.*s", (int)s->chain[i].common_name_n, s->chain[i].common_name);
}

static inline void puppet_note(struct puppet_host *h, const struct event *e, uint64_t at)
{
	struct heard *x;

	MEM_ROOM(h->heard, h->heard_n, h->heard_cap);
	x = &h->heard[h->heard_n++];
	*x = (struct heard){ .at = at, .kind = e->kind, .token = e->token };
	if (e->kind == EVENT_START) memcpy(&x->n, e->start->seed, 8), x->left = e->start->wall_ns;
	if (e->kind == EVENT_BYTES) x->n = e->bytes.n;
	if (e->kind == EVENT_DRAINED) x->n = e->drained.n, x->left = e->drained.left;
	if (e->kind == EVENT_CLOSED) x->cause = e->closed.cause;
	if (e->kind == EVENT_ACCEPTED) x->local = e->accepted->local, x->remote = e->accepted->remote;
	if (e->kind == EVENT_SECURED) puppet_note_chain(x, e->secured);
	if (e->kind == EVENT_DIALED) x->local = e->dialed->local, x->remote = e->dialed->remote;
}

static inline void puppet_step(struct machine *machine, const struct event *e, struct actions *out, struct actions *up)
{
	struct puppet *m = (struct puppet *)machine;
	struct puppet_host *h = &m->stage->host[m->host];
	struct order o;

	(void)up;
	assert(h->boot_at + e->now == sim_now(m->stage->sim));
	puppet_hear(m, e);
	puppet_note(h, e, sim_now(m->stage->sim));
	if (e->kind == EVENT_ACCEPTED || e->kind == EVENT_DIALED) {
		if (h->read_max != 0) puppet_obey(m, &(struct order){ .kind = ORDER_READ, .token = e->token, .n = h->read_max }, e->now, out);
		if (h->tls) puppet_tls(m, e->token, out);
	}
	if (e->kind == EVENT_TIMER && m->wake_at <= e->now) m->wake_at = TIME_NEVER;
	if (e->kind != EVENT_COMMAND) return;
	for (uint32_t i = 0; i < e->command->n; i += sizeof o) {
		memcpy(&o, e->command->p + i, sizeof o);
		puppet_obey(m, &o, e->now, out);
	}
}

static inline uint64_t puppet_deadline(const struct machine *machine) { return ((const struct puppet *)(const void *)machine)->wake_at; }
static inline void puppet_free(struct machine *machine) { free(machine); }

/* ---- the stage ---- */

static inline struct machine *stage_make(void *ctx, uint32_t host, const struct machine_env *env)
{
	static const struct machine_ops ops = { .name = "puppet", .step = puppet_step, .deadline = puppet_deadline, .free = puppet_free };
	struct puppet *m = mem_alloc(sizeof *m);

	(void)env;
	*m = (struct puppet){ .machine = { &ops }, .stage = ctx, .host = host, .wake_at = TIME_NEVER };
	return &m->machine;
}

static inline size_t stage_configure(void *ctx, uint32_t host, char *out, size_t cap)
{
	struct stage *st = ctx;

	(void)out, (void)cap;
	for (uint32_t i = 0; i < st->host[host].ends; i++) st->host[host].end[i].open = false; /* of a life before */
	st->host[host].boot_at = sim_now(st->sim);
	return 0;
}

static inline void stage_path(void *ctx, uint32_t from, uint32_t to, struct sim_path *out) { *out = ((struct stage *)ctx)->path[from][to]; }

static inline void stage_lost(void *ctx, const struct sim_loss *loss, const uint8_t *p, uint32_t n)
{
	(void)p;
	((struct stage *)ctx)->lost[loss->from][loss->to] += n;
}

static inline void stage_ended(void *ctx, uint32_t host, uint64_t token)
{
	(void)host, (void)token;
	((struct stage *)ctx)->ended++;
}

static inline void stage_moment(void *ctx) { ((struct stage *)ctx)->moments++; }

/* All paths have this latency; change stage->path before hosts connect. */
static inline struct stage *stage_new(uint64_t seed, uint64_t latency_ns)
{
	struct stage *st = mem_zero(1, sizeof *st);
	struct sim_hooks hooks = { .ctx = st,
		                   .make = stage_make,
		                   .configure = stage_configure,
		                   .path = stage_path,
		                   .lost = stage_lost,
		                   .moment = stage_moment,
		                   .ended = stage_ended };

	for (uint32_t i = 0; i < 2 * STAGE_PERIOD; i++) st->table[i] = (uint8_t)((i % STAGE_PERIOD + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
	for (uint32_t i = 0; i < STAGE_HOSTS; i++)
		for (uint32_t k = 0; k < STAGE_HOSTS; k++) st->path[i][k].latency_ns = latency_ns;
	st->sim = sim_new(seed, &hooks, NULL);
	return st;
}

static inline void stage_free(struct stage *st)
{
	sim_free(st->sim);
	for (uint32_t i = 0; i < st->hosts; i++) {
		free(st->host[i].heard);
		free(st->host[i].end);
	}
	free(st);
}

static inline struct address stage_ip(uint32_t host)
{
	return (struct address){ .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(host + 1) }, .port = STAGE_PORT };
}

/* A host, infinitely fast but for what is ordered as work. Its config may be changed until stage_open. */
static inline uint32_t stage_host(struct stage *st, bool listens)
{
	struct puppet_host *h = &st->host[st->hosts];

	assert(st->hosts < STAGE_HOSTS);
	snprintf(h->name, sizeof h->name, "host%u", st->hosts);
	h->cost.work_ps[WORK_TIMERS] = 1000;
	h->config = (struct sim_host_config){
		.name = h->name, .ip = stage_ip(st->hosts), .cost = &h->cost, .cores = 1, .window = SIM_WINDOW, .fds = 1000, .slots = STAGE_SLOTS
	};
	if (listens) h->config.listener = (struct sim_listener){ .port = STAGE_PORT, .backlog = 128 };
	return st->hosts++;
}

/* All hosts are there: adds them to the simulation and boots them. */
static inline void stage_open(struct stage *st)
{
	for (uint32_t i = 0; i < st->hosts; i++) {
		uint32_t number = sim_host_add(st->sim, &st->host[i].config);
		assert(number == i);
	}
	for (uint32_t i = 0; i < st->hosts; i++) sim_boot(st->sim, i);
}

/* ---- orders ---- */

static inline void stage_order(struct stage *st, uint32_t host, const struct order *o, uint32_t n)
{
	struct event_command c = { .verb = COMMAND_PING, .p = (const uint8_t *)o, .n = n * (uint32_t)sizeof *o };
	bool up = sim_command(st->sim, host, &c);

	assert(up);
}

/* A slot of the machine's own that no open end has. */
static inline uint32_t stage_slot(const struct puppet_host *h)
{
	bool taken[STAGE_SLOTS] = { false };
	uint32_t slot = h->dials % STAGE_SLOTS;

	for (uint32_t i = 0; i < h->ends; i++)
		if (h->end[i].open && token_is_machine(h->end[i].token)) taken[token_slot(h->end[i].token)] = true;
	for (uint32_t i = 0; i < STAGE_SLOTS && taken[slot]; i++) slot = (slot + 1) % STAGE_SLOTS;
	assert(!taken[slot]);
	return slot;
}

/* Returns the token. */
static inline uint64_t stage_dial_to(struct stage *st, uint32_t host, struct address to)
{
	uint32_t slot = stage_slot(&st->host[host]);
	struct order o = { .kind = ORDER_DIAL, .token = TOKEN_MACHINE | token_make(slot, ++st->host[host].dials), .to = to };

	stage_order(st, host, &o, 1);
	return o.token;
}
static inline uint64_t stage_dial(struct stage *st, uint32_t host, uint32_t to) { return stage_dial_to(st, host, stage_ip(to)); }

static inline void stage_send(struct stage *st, uint32_t host, uint64_t token, uint64_t n)
{
	struct order o = { .kind = ORDER_SEND, .token = token, .n = n };

	stage_order(st, host, &o, 1);
}

static inline void stage_read(struct stage *st, uint32_t host, uint64_t token, uint64_t n)
{
	struct order o = { .kind = ORDER_READ, .token = token, .n = n };

	stage_order(st, host, &o, 1);
}

static inline void stage_close(struct stage *st, uint32_t host, uint64_t token, bool abort)
{
	struct order o = { .kind = abort ? ORDER_ABORT : ORDER_CLOSE, .token = token };

	stage_order(st, host, &o, 1);
}

static inline void stage_work(struct stage *st, uint32_t host, uint64_t ns)
{
	struct order o = { .kind = ORDER_WORK, .n = ns };

	stage_order(st, host, &o, 1);
}

/* ---- what was heard ---- */

static inline uint32_t stage_count(const struct stage *st, uint32_t host, enum event_kind kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < st->host[host].heard_n; i++) n += st->host[host].heard[i].kind == kind;
	return n;
}

/* The k-th event of this kind, from 0; where there is none, one that is nothing and never. */
static inline const struct heard *stage_heard(const struct stage *st, uint32_t host, enum event_kind kind, uint32_t k)
{
	static const struct heard nothing = { .at = TIME_NEVER, .kind = EVENT_KINDS, .cause = CLOSE_CAUSES };

	for (uint32_t i = 0; i < st->host[host].heard_n; i++)
		if (st->host[host].heard[i].kind == kind && k-- == 0) return &st->host[host].heard[i];
	return &nothing;
}

static inline void stage_forget(struct stage *st)
{
	for (uint32_t i = 0; i < st->hosts; i++) st->host[i].heard_n = 0;
}

/* A connection that is open at both ends, at a time at which nothing is under way any more. Returns the dialer's token; *accepted, if
 * not NULL, is the listener's. What was heard is forgotten. */
static inline uint64_t stage_connect(struct stage *st, uint32_t from, uint32_t to, uint64_t *accepted)
{
	uint64_t token = stage_dial(st, from, to);

	sim_run(st->sim, sim_now(st->sim) + NS_S);
	assert(puppet_end(&st->host[from], token)->connected);
	if (accepted != NULL) *accepted = stage_heard(st, to, EVENT_ACCEPTED, stage_count(st, to, EVENT_ACCEPTED) - 1)->token;
	stage_forget(st);
	return token;
}

#endif
