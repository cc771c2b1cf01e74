/* The run: the queue, the owner's calls, hosts that come and go. */
#include "sim.h"

#include "engine.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

/* How many events ahead what is fetched into the cache, and how many lines of it. */
enum { AHEAD_MACHINE = 2, AHEAD_BYTES = 3, AHEAD_FLOW = 6, MACHINE_LINES = 3, BYTES_LINES = 5 };

struct sim *sim_new(uint64_t seed, const struct sim_hooks *hooks, struct key_cache *keys)
{
	struct sim *sim = mem_zero(1, sizeof *sim);

	sim->seed = seed;
	sim->hooks = *hooks;
	sim->keys = keys;
	sim->conns_free = sim->ending = NONE;
	sim->digest_a = seed ^ UINT64_C(0x243f6a8885a308d3);
	sim->digest_b = UINT64_C(0x13198a2e03707344);
	sim->scratch = mem_alloc(SIM_TURN_MAX);
	queue_init(&sim->queue);
	actions_init(&sim->out);
	actions_init(&sim->up);
	return sim;
}

void sim_free(struct sim *sim)
{
	if (sim == NULL) return;
	sim->hooks.lost = NULL;
	for (uint32_t i = 0; i < sim->conns; i++) {
		if (sim->conn[i].phase == CONN_FREE) continue;
		flow_free(sim, 2 * i);
		flow_free(sim, 2 * i + 1);
		free(sim->conn[i].meta_name);
	}
	for (uint32_t i = 0; i < sim->hosts; i++) node_free(&sim->host[i]);
	stream_pool_free(&sim->pool);
	queue_free(&sim->queue);
	actions_free(&sim->out);
	actions_free(&sim->up);
	free(sim->conn);
	free(sim->flow);
	free(sim->host);
	free(sim->listen);
	free(sim->call);
	free(sim->touched);
	free(sim->scratch);
	free(sim);
}

/* ---- hosts ---- */

uint32_t sim_host_add(struct sim *sim, const struct sim_host_config *config)
{
	uint32_t host = sim->hosts;

	assert(config->window >= 2 * SIM_TURN_MAX); /* a full window is still under pressure after one reading: stream.c */
	assert(config->slots > 0 && config->fds > 0);
	if (sim->hosts == sim->hosts_cap) {
		uint64_t before = sim->hosts_cap, cap = before ? 2 * before : 8;
		sim->host = mem_grow_lines(sim->host, before * sizeof *sim->host, cap * sizeof *sim->host);
		sim->hosts_cap = (uint32_t)cap;
	}
	sim->hosts++;
	sim->host[host] = (struct host){ .config = *config };
	node_init(sim, host);
	if (config->listener.port != 0) {
		MEM_ROOM(sim->listen, sim->listens, sim->listens_cap);
		sim->listen[sim->listens++] = host;
	}
	return host;
}

uint32_t sim_hosts(const struct sim *sim) { return sim->hosts; }
const char *sim_host_name(const struct sim *sim, uint32_t host) { return sim->host[host].config.name; }
struct machine *sim_machine(const struct sim *sim, uint32_t host) { return sim->host[host].machine; }
bool sim_host_up(const struct sim *sim, uint32_t host) { return sim->host[host].machine != NULL; }

void sim_boot(struct sim *sim, uint32_t host)
{
	bool again = sim->host[host].boots > 0;

	assert(!sim->in_step && sim->host[host].machine == NULL);
	node_boot(sim, host);
	if (again) net_host_back(sim, host);
}

static void crash_now(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	if (sim->hooks.down != NULL) sim->hooks.down(sim->hooks.ctx, host, h->crash);
	net_host_down(sim, host, h->crash);
	node_down(sim, host);
	h->silent = h->crash == SIM_CRASH_SILENT;
}

void sim_crash(struct sim *sim, uint32_t host, enum sim_crash how)
{
	struct host *h = &sim->host[host];

	assert(!sim->in_step && h->machine != NULL);
	h->crash = how;
	if (h->free_at <= sim->now) {
		crash_now(sim, host);
		return;
	}
	queue_push(&sim->queue, h->free_at, host_kind(sim, QUEUE_CRASH, host), host);
	h->free_at = TIME_NEVER; /* no other step begins */
}

bool sim_command(struct sim *sim, uint32_t host, const struct event_command *command) { return node_command(sim, host, command); }

/* ---- calls ---- */

uint32_t sim_call_add(struct sim *sim, void (*fn)(void *ctx, uint32_t arg), void *ctx, uint32_t arg)
{
	MEM_ROOM(sim->call, sim->calls, sim->calls_cap);
	sim->call[sim->calls] = (struct call){ .fn = fn, .ctx = ctx, .arg = arg };
	return sim->calls++;
}

void sim_call_at(struct sim *sim, uint32_t call, uint64_t at) { queue_push(&sim->queue, max_u64(at, sim->now), QUEUE_CALL, call); }

/* ---- the run ---- */

static void host_event(struct sim *sim, const struct queued *q)
{
	if ((sim->host[q->id].boots & 0xffffff) != q->kind >> 8 || sim->host[q->id].machine == NULL) return;
	switch ((enum sim_event)(q->kind & 0xff)) {
	case QUEUE_WAKE: node_wake(sim, q->id); break;
	case QUEUE_FREE: node_cpu_free(sim, q->id); break;
	case QUEUE_JOBS: tls_jobs(sim, q->id); break;
	case QUEUE_CRASH: crash_now(sim, q->id); break;
	default: assert(false && "not an event of a host");
	}
}

static void happen(struct sim *sim, const struct queued *q)
{
	switch ((enum sim_event)(q->kind & 0xff)) {
	case QUEUE_CALL: {
		struct call call = sim->call[q->id];
		call.fn(call.ctx, call.arg);
		break;
	}
	case QUEUE_WAKE:
	case QUEUE_FREE:
	case QUEUE_JOBS:
	case QUEUE_CRASH: host_event(sim, q); break;
	default: net_queue_event(sim, q); break;
	}
}

/* Above 1,000 clients a run waits for memory. What comes next is known (queue_next), so its memory is fetched meanwhile: first the flow,
 * then what the flow points to, then the machine. Hints only, a stale one is harmless. always_inline: gcc takes a function that only
 * fetches for one that does nothing, and drops the call. */
#define FETCHES static inline __attribute__((always_inline))

FETCHES void fetch(const void *p, uint32_t lines)
{
	for (uint32_t i = 0; i < lines; i++) __builtin_prefetch((const uint8_t *)p + i * MEM_LINE);
}

/* The flow of the k-th event from here, if it is an arrival. */
FETCHES uint32_t arrival_ahead(const struct sim *sim, uint32_t k)
{
	const struct queued *q = queue_next(&sim->queue, k);

	return q != NULL && (q->kind & 0xff) == QUEUE_ARRIVE ? q->id : NONE;
}

FETCHES void fetch_ahead(const struct sim *sim)
{
	uint32_t flow = arrival_ahead(sim, AHEAD_FLOW);

	if (flow != NONE) {
		fetch(&sim->flow[flow], sizeof *sim->flow / MEM_LINE);
		fetch(&sim->conn[flow_conn(flow)], 1);
	}
	flow = arrival_ahead(sim, AHEAD_BYTES);
	if (flow != NONE) {
		const struct stream *s = &sim->flow[flow].stream;
		if (s->ring != NULL) fetch(s->ring + s->head, BYTES_LINES);
		fetch(&sim->host[flow_rx_host(sim, flow)], 2);
	}
	flow = arrival_ahead(sim, AHEAD_MACHINE);
	if (flow != NONE) {
		const struct machine *machine = sim->host[flow_rx_host(sim, flow)].machine;
		if (machine != NULL) fetch(machine, MACHINE_LINES);
	}
}

static inline void end_instant(struct sim *sim)
{
	if (!sim->moment) return;
	sim->moment = false;
	if (sim->hooks.moment != NULL) sim->hooks.moment(sim->hooks.ctx);
}

void sim_run(struct sim *sim, uint64_t until)
{
	struct queued q;

	assert(until >= sim->now);
	sim->stop = false;
	while (!sim->stop && queue_pop(&sim->queue, until, &q)) {
		assert(q.at >= sim->now);
		if (q.at > sim->now) end_instant(sim);
		sim->now = q.at;
		fetch_ahead(sim);
		happen(sim, &q);
	}
	if (sim->stop) return;
	end_instant(sim);
	sim->now = until;
}

void sim_moment(struct sim *sim) { sim->moment = true; }
void sim_stop(struct sim *sim) { sim->stop = true; }
uint64_t sim_now(const struct sim *sim) { return sim->now; }
uint64_t sim_events(const struct sim *sim) { return sim->events; }
struct sim_digest sim_digest(const struct sim *sim) { return (struct sim_digest){ sim->digest_a, sim->digest_b }; }

/* ---- the truth ---- */

bool sim_peer_of(const struct sim *sim, uint32_t host, uint64_t token, uint32_t *peer_host, uint64_t *peer_token)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], token, &side);

	if (conn == NONE || sim->conn[conn].over[1 - side] || sim->conn[conn].token[1 - side] == TOKEN_NONE) return false;
	*peer_host = sim->conn[conn].host[1 - side];
	*peer_token = sim->conn[conn].token[1 - side];
	return true;
}

bool sim_other_end(const struct sim *sim, uint32_t host, uint64_t token, uint32_t *other, bool *died)
{
	uint32_t side, conn = node_conn(sim, &sim->host[host], token, &side);

	if (conn == NONE && side == 0 && sim->ending != NONE && sim->conn[sim->ending].token[0] == token) conn = sim->ending;
	if (conn == NONE) return false;
	*other = sim->conn[conn].host[1 - side];
	*died = sim->conn[conn].died;
	return true;
}

void sim_streams_each(const struct sim *sim, const struct sim_stream_visit *visit)
{
	for (uint32_t flow = 0; flow < 2 * sim->conns; flow++) {
		struct sim_loss of;
		if (sim->conn[flow_conn(flow)].phase == CONN_FREE) continue;
		of = flow_loss(sim, flow);
		visit->begin(visit->ctx, &of);
		flow_each(&sim->flow[flow], visit->bytes, visit->ctx);
	}
}

void sim_commands_each(const struct sim *sim, void (*fn)(void *ctx, const uint8_t *p, uint32_t n), void *ctx)
{
	for (uint32_t i = 0; i < sim->hosts; i++) {
		const struct host *h = &sim->host[i];
		for (uint32_t k = 0; k < h->ready_n; k++) {
			const struct ready *r = &h->ready[(h->ready_head + k) & (h->ready_cap - 1)];
			if (r->kind == READY_COMMAND && r->command->p != NULL) fn(ctx, r->command->p, r->command->n);
		}
	}
}

uint32_t sim_connections(const struct sim *sim) { return sim->conns_open; }

struct sim_cpu sim_cpu(const struct sim *sim, uint32_t host)
{
	const struct host *h = &sim->host[host];

	return (struct sim_cpu){
		.busy_ns = h->busy_ns, .handshake_ns = h->job_ns, .handshakes = h->jobs, .ready = h->ready_n, .free_at = h->free_at
	};
}
