/* A fault that somebody makes, and who comes back from it when. */
#include "swarm_core.h"

#include "buf.h"

#include <stdlib.h>

void failover_fault(struct swarm *s, uint64_t now)
{
	s->fault_at = now;
	for (uint32_t i = 0; i < s->clients; i++) s->member[i].hit = false;
	for (uint32_t i = 0; s->mates != NULL && i < s->clients / 2; i++) s->mates[i] = (struct swarm_mates){ TIME_NEVER, TIME_NEVER };
}

void failover_lost(struct swarm *s, uint32_t member)
{
	struct swarm_member *m = &s->member[member];

	if (s->fault_at == TIME_NEVER || m->hit) return; /* or it has been away before: the first time counts */
	m->hit = true;
	m->back_at = TIME_NEVER;
}

void failover_back(struct swarm *s, uint64_t now, uint32_t member)
{
	struct swarm_member *m = &s->member[member];

	if (m->hit && m->back_at == TIME_NEVER) m->back_at = now;
}

void failover_sent(struct swarm *s, const struct swarm_flow *f, uint64_t due)
{
	struct swarm_mates *m = &s->mates[f->from / 2];

	if (s->fault_at != TIME_NEVER && due >= s->fault_at && m->sent_at == TIME_NEVER) m->sent_at = due;
}

void failover_delivered(struct swarm *s, uint64_t now, const struct swarm_flow *f, uint64_t due)
{
	struct swarm_mates *m = &s->mates[f->from / 2];

	if (s->fault_at != TIME_NEVER && m->sent_at != TIME_NEVER && due >= m->sent_at && m->back_at == TIME_NEVER) m->back_at = now;
}

/* ---- views ---- */

static void count(struct swarm_failover *f, uint64_t from, uint64_t to)
{
	if (to == TIME_NEVER)
		f->never++;
	else
		f->ns[f->n++] = to - from;
}

struct swarm_failover swarm_failover_clients(const struct swarm *s)
{
	struct swarm_failover f = { .ns = mem_alloc((uint64_t)s->clients * sizeof *f.ns) };

	for (uint32_t i = 0; i < s->clients && s->fault_at != TIME_NEVER; i++)
		if (s->member[i].hit) count(&f, s->fault_at, s->member[i].back_at);
	return f;
}

struct swarm_failover swarm_failover_pairs(const struct swarm *s)
{
	struct swarm_failover f = { .ns = mem_alloc((uint64_t)s->clients * sizeof *f.ns) };

	for (uint32_t i = 0; i < s->clients / 2 && s->mates != NULL && s->fault_at != TIME_NEVER; i++) {
		const struct swarm_mates *m = &s->mates[i];
		if ((s->member[2 * i].hit || s->member[2 * i + 1].hit) && m->sent_at != TIME_NEVER) count(&f, m->sent_at, m->back_at);
	}
	return f;
}
