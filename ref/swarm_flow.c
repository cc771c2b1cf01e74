/* Who sends when; and what of it came. */
#include "swarm_core.h"

#include "buf.h"
#include "frame.h"

#include <string.h>

enum { ISSUE_MAX = 2048 }; /* packets that a step may issue in an open loop */

static void put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* Each client is in one, as is its mate; their turns are drawn, so that nothing is known of when the two of a pair send. */
static void mates_make(struct swarm *s)
{
	for (uint32_t i = 0; i < s->flows; i++) {
		uint32_t at = (uint32_t)rng_range(&s->rng, RNG_JITTER, 0, i);
		s->flow[i] = s->flow[at];
		s->flow[at].from = i, s->flow[at].to = i ^ 1;
	}
	s->mates = mem_alloc((uint64_t)s->clients / 2 * sizeof *s->mates);
}

void flows_make(struct swarm *s)
{
	if (s->job == SWARM_PAIRS) s->flows = s->clients / 2;
	if (s->job == SWARM_FAN_IN) s->flows = s->clients - 1;
	if (s->job == SWARM_MATES) s->flows = s->clients;
	s->flow = mem_zero(s->flows, sizeof *s->flow);
	s->waiting = mem_zero(2 * (uint64_t)s->flows, sizeof *s->waiting); /* those of this turn behind those of the last */
	for (uint32_t i = 0; i < s->flows && s->job != SWARM_MATES; i++) {
		s->flow[i].from = s->job == SWARM_PAIRS ? 2 * i : i + 1;
		s->flow[i].to = s->job == SWARM_PAIRS ? 2 * i + 1 : 0;
	}
	if (s->job == SWARM_MATES) mates_make(s);
	s->turn = 1;
	s->packet = packet_new(s->size);
	memset(s->packet->bytes, 0x5a, s->size);
	s->patience_at = TIME_NEVER;
}

/* The flow of which a client is an end, in a closed loop: of pairs one, of a fan-in its own. */
static uint32_t flow_of(const struct swarm *s, uint32_t member) { return s->job == SWARM_PAIRS ? member / 2 : member - 1; }

static bool may_send(const struct swarm *s, const struct swarm_flow *f)
{
	if (s->job == SWARM_MATES) return f->from < s->opened && f->to < s->opened && !s->left;
	return s->member[f->from].ready && s->member[f->to].ready && client_packets_queued(s->member[f->from].client) == 0;
}

/* The bytes of the packet are copied by nobody before the transport refuses them, so each batch needs bytes of its own: a counted
 * packet holds the whole batch. */
static void send(struct swarm *s, uint64_t now, struct swarm_flow *f, uint32_t n, uint64_t due)
{
	struct packet *batch = packet_new(n * s->size);
	struct event_command command = { .verb = COMMAND_SEND, .owner = batch, .dst = s->member[f->to].public_key.b, .n = s->size };
	struct event e = { .kind = EVENT_COMMAND, .now = now, .command = &command };
	uint32_t i;

	for (i = 0; i < n && may_send(s, f); i++) {
		uint8_t *p = batch->bytes + i * s->size;
		memcpy(p, s->packet->bytes, s->size);
		put64(p, (uint64_t)(f - s->flow));
		put64(p + 8, f->sent);
		put64(p + 16, due);
		f->sent++;
		s->count.sent++;
		if (s->job == SWARM_MATES) failover_sent(s, f, due);
		command.p = p;
		swarm_step_member(s, f->from, &e);
	}
	s->count.blocked += n - i;
	f->sent_at = now;
	packet_drop(batch);
}

/* A host gathers what a connection sends in a turn into one write. A batch is to be one, so a flow sends once a turn: the next begins
 * with TIMER. */
static void refill(struct swarm *s, uint64_t now, struct swarm_flow *f)
{
	if (!s->running || s->rate != 0 || f->waits || f->sent - f->got + s->batch > s->window || !may_send(s, f)) return;
	if (f->turn == s->turn) {
		f->waits = true;
		s->waiting[s->waits++] = (uint32_t)(f - s->flow);
		return;
	}
	f->turn = s->turn;
	send(s, now, f, s->batch, now);
	refill(s, now, f); /* once more, to wait if there is room for a batch */
}

static void refill_waiting(struct swarm *s, uint64_t now)
{
	uint32_t n = s->waits;

	s->turn++;
	for (uint32_t i = 0; i < n; i++) { /* who waits again comes behind these */
		struct swarm_flow *f = &s->flow[s->waiting[i]];
		f->waits = false;
		refill(s, now, f);
	}
	s->waits -= n;
	memmove(s->waiting, s->waiting + n, s->waits * sizeof *s->waiting);
}

void flows_run(struct swarm *s, uint64_t now, bool running)
{
	if (running && !s->running) s->began = now, s->issued = 0;
	s->running = running;
	s->patience_at = running && s->rate == 0 && s->flows != 0 ? now + s->patience : TIME_NEVER;
	for (uint32_t i = 0; i < s->flows; i++) refill(s, now, &s->flow[i]);
}

void flows_member_ready(struct swarm *s, uint64_t now, uint32_t member)
{
	if (s->job == SWARM_FAN_IN && member == 0)
		flows_run(s, now, s->running);
	else if (s->flows != 0 && s->rate == 0)
		refill(s, now, &s->flow[flow_of(s, member)]);
}

void flows_packet(struct swarm *s, uint64_t now, uint32_t member, const struct action *x)
{
	uint64_t flow, number, due;
	struct swarm_flow *f;

	if (x->span.n != s->size || (flow = get64(x->span.p)) >= s->flows || s->flow[flow].to != member) {
		s->count.wrong++;
		return;
	}
	f = &s->flow[flow];
	number = get64(x->span.p + 8), due = get64(x->span.p + 16);
	if (number < f->got || number >= f->sent || due > now) {
		s->count.wrong++;
		return;
	}
	s->count.lost += number - f->got;
	f->got = number + 1;
	f->sent_at = f->heard_at = now;
	s->count.delivered++;
	s->count.bytes += s->size;
	histogram_add(&s->latency, now - due);
	if (s->job == SWARM_MATES) failover_delivered(s, now, f, due);
	refill(s, now, f);
}

/* ---- time ---- */

static uint64_t due_at(const struct swarm *s, uint64_t number) { return s->began + (number / s->rate) * NS_S + (number % s->rate) * NS_S / s->rate; }

static void issue(struct swarm *s, uint64_t now)
{
	for (uint32_t n = 0; n < ISSUE_MAX && due_at(s, s->issued) <= now; n += s->batch) {
		uint64_t due = due_at(s, s->issued);
		send(s, now, &s->flow[s->flow_next], s->batch, due);
		histogram_add(&s->late, now - due);
		s->issued += s->batch;
		s->flow_next = (s->flow_next + 1) % s->flows;
	}
}

static void give_up(struct swarm *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->flows; i++) {
		struct swarm_flow *f = &s->flow[i];
		if (f->sent == f->got || now - f->sent_at < s->patience) continue;
		s->count.lost += f->sent - f->got;
		f->got = f->sent;
	}
	flows_run(s, now, s->running);
}

void flows_timer(struct swarm *s, uint64_t now)
{
	if (s->running && s->rate != 0 && s->flows != 0) issue(s, now);
	refill_waiting(s, now);
	if (now >= s->patience_at) give_up(s, now);
}

uint64_t flows_deadline(const struct swarm *s)
{
	if (s->waits != 0) return 0;
	return s->running && s->rate != 0 && s->flows != 0 ? due_at(s, s->issued) : s->patience_at;
}
