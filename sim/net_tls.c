/* TLS handshakes: one round trip (TLS 1.3) and a job of the server's host.
 *
 * The jobs of a host share evenly what its steps leave of the cores, one core each at most (processor sharing), never less than a
 * quarter of a core together, as a kernel's scheduler would see to. All jobs are equally long, so that they end in the order in which
 * they came. Service is counted in 1/256 ns. */
#include "engine.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS = 256 };

static char *copy_text(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(mem_alloc(n), text, n);
}

/* Brings the service of each waiting job up to now. */
static void serve(struct sim *sim, struct host *h)
{
	uint64_t dt = sim->now - h->served_at, busy = h->busy_ns - h->served_busy, all, each;

	h->served_at = sim->now;
	if (busy > dt) busy = dt; /* one thread; what is charged ahead counts when it comes */
	h->served_busy += busy;
	if (h->jobs == 0) return;
	all = max_u64((dt * h->config.cores - busy) * PARTS, dt * PARTS / 4);
	each = all / h->jobs;
	if (each > dt * PARTS) each = dt * PARTS;
	h->served += each;
	h->job_ns += each * h->jobs / PARTS;
}

static void arm_jobs(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];
	uint64_t left, need;

	if (h->job_armed || h->jobs == 0) return;
	left = (sim->conn[h->job_first].job_at - h->served + PARTS - 1) / PARTS;
	need = h->jobs <= h->config.cores ? left : (left * h->jobs + h->config.cores - 1) / h->config.cores;
	h->job_armed = true;
	queue_push(&sim->queue, sim->now + need, host_kind(sim, QUEUE_JOBS, host), host);
}

static void job_add(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];
	struct host *h = &sim->host[c->host[1]];
	uint64_t cost = h->config.cost == NULL ? 0 : h->config.cost->handshake_ns;

	serve(sim, h);
	c->job = true;
	c->job_at = h->served + cost * PARTS;
	c->next = NONE;
	if (h->jobs++ == 0)
		h->job_first = conn;
	else
		sim->conn[h->job_last].next = conn;
	h->job_last = conn;
	arm_jobs(sim, c->host[1]);
}

void tls_start(struct sim *sim, uint32_t conn, uint32_t side, const struct action_tls *tls, uint64_t at)
{
	struct conn *c = &sim->conn[conn];
	struct flow *f = &sim->flow[2 * conn];

	if (end_gone(sim, conn, side)) return;
	if (side == 0) {
		c->server_name = tls->server_name;
		f->stream.last_at = max_u64(at + f->latency_ns, f->stream.last_at);
		queue_push(&sim->queue, f->stream.last_at, conn_kind(sim, QUEUE_HELLO, conn), conn);
		return;
	}
	assert(tls->server);
	if (tls->meta_name != NULL) c->meta_name = copy_text(tls->meta_name);
	if (at > sim->now)
		queue_push(&sim->queue, at, conn_kind(sim, QUEUE_TLS, conn), conn);
	else
		tls_wanted(sim, conn);
}

void tls_wanted(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (end_gone(sim, conn, 1)) return;
	c->tls_wanted = true;
	if (c->hello_come) job_add(sim, conn);
}

void tls_hello(struct sim *sim, uint32_t conn)
{
	struct conn *c = &sim->conn[conn];

	if (end_gone(sim, conn, 1)) {
		if (c->died) flow_at_nobody(sim, 2 * conn);
		return;
	}
	c->hello_come = true;
	if (c->tls_wanted) job_add(sim, conn);
}

void tls_jobs(struct sim *sim, uint32_t host)
{
	struct host *h = &sim->host[host];

	h->job_armed = false;
	serve(sim, h);
	while (h->jobs > 0 && sim->conn[h->job_first].job_at <= h->served) {
		uint32_t conn = h->job_first;
		struct conn *c = &sim->conn[conn];
		h->job_first = c->next;
		h->jobs--;
		c->job = false;
		if (c->over[1]) {
			net_settle(sim, conn); /* ended meanwhile: it waited for this */
			continue;
		}
		queue_push(&sim->queue, sim->now + sim->flow[2 * conn + 1].latency_ns, conn_kind(sim, QUEUE_FLIGHT, conn), conn);
	}
	arm_jobs(sim, host);
}

void tls_flight(struct sim *sim, uint32_t conn)
{
	struct flow *f = &sim->flow[2 * conn];

	if (end_gone(sim, conn, 0)) {
		if (sim->conn[conn].died) flow_at_nobody(sim, 2 * conn + 1);
		return;
	}
	f->stream.last_at = max_u64(sim->now + f->latency_ns, f->stream.last_at);
	queue_push(&sim->queue, f->stream.last_at, conn_kind(sim, QUEUE_FINISHED, conn), conn);
	node_ready(sim, sim->conn[conn].host[0], READY_SECURED, 2 * conn);
}

void tls_finished(struct sim *sim, uint32_t conn)
{
	if (end_gone(sim, conn, 1)) {
		if (sim->conn[conn].died) flow_at_nobody(sim, 2 * conn);
		return;
	}
	node_ready(sim, sim->conn[conn].host[1], READY_SECURED, 2 * conn + 1);
}
