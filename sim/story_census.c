/* Every packet is somewhere: received = sent + dropped with a reason + queued + in flight + lost with a host, a link or a stream.
 *
 * What a stream or a machine holds is found by the marks in its bytes (ledger_scan). A packet may lie across the end of a connection: its
 * first bytes read by a machine that will not see the rest, or in two arrivals. So the last bytes of each piece are carried on to the
 * next one of the same direction. */
#include "story_core.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

/* ---- carried bytes ---- */

static struct carry *carry_of(struct story *st, uint32_t host, uint64_t token, bool make)
{
	for (uint32_t i = 0; i < st->carries; i++)
		if (st->carry[i].host == host && st->carry[i].token == token) return &st->carry[i];
	if (!make) return NULL;
	MEM_ROOM(st->carry, st->carries, st->carries_cap);
	st->carry[st->carries] = (struct carry){ .host = host, .token = token };
	return &st->carry[st->carries++];
}

static void carry_end(struct story *st, uint32_t host, uint64_t token)
{
	struct carry *c = carry_of(st, host, token, false);

	if (c != NULL) *c = st->carry[--st->carries];
}

/* The last bytes of what has been seen so far, this piece included: less than a packet's head. */
static void carry_on(struct carry *c, const uint8_t *p, uint32_t n)
{
	enum { KEEP = LEDGER_HEAD - 1 };

	if (n >= KEEP) {
		memcpy(c->bytes, p + n - KEEP, KEEP);
		c->n = KEEP;
		return;
	}
	if (c->n + n > KEEP) {
		uint32_t away = c->n + n - KEEP;
		memmove(c->bytes, c->bytes + away, c->n - away);
		c->n -= away;
	}
	memcpy(c->bytes + c->n, p, n);
	c->n += n;
}

/* ---- ends ---- */

struct ending {
	struct story *st;
	enum ledger_end end;
};

static void end_packet(void *ctx, const uint8_t *head)
{
	struct ending *e = ctx;

	if (ledger_end(e->st->ledger, head, LEDGER_HEAD, e->end, NULL)) story_dirty(e->st, DIRT_PACKETS);
}

static enum ledger_end loss_kind(const struct story *st, const struct sim_loss *loss)
{
	if (loss->crashed) return LEDGER_LOST_CRASH;
	return host_is_node(st, loss->from) && host_is_node(st, loss->to) ? LEDGER_LOST_FORWARD : LEDGER_LOST_STREAM;
}

void census_lost(void *ctx, const struct sim_loss *loss, const uint8_t *p, uint32_t n)
{
	struct story *st = ctx;
	struct ending e = { st, loss_kind(st, loss) };
	struct carry *c;

	if (n == 0) {
		carry_end(st, loss->to, loss->rx_token);
		return;
	}
	c = carry_of(st, loss->to, loss->rx_token, true);
	ledger_scan(st->ledger, c->bytes, c->n, p, n, end_packet, &e);
	carry_on(c, p, n);
}

/* Bytes that a machine read and that will not be a frame: the head of a packet may be among them, or go on in the stream. */
static void cut(struct story *st, uint32_t host, uint64_t token, const uint8_t *p, uint32_t n, enum ledger_end end)
{
	struct ending e = { st, end };
	struct carry *c = carry_of(st, host, token, true);

	ledger_scan(st->ledger, c->bytes, c->n, p, n, end_packet, &e);
	carry_on(c, p, n);
}

static enum ledger_end cut_kind(const struct story *st, uint32_t host, uint64_t token)
{
	uint32_t other;
	bool died;

	if (!sim_other_end(st->sim, host, token, &other, &died)) return LEDGER_LOST_STREAM;
	if (died) return LEDGER_LOST_CRASH;
	return host_is_node(st, host) && host_is_node(st, other) ? LEDGER_LOST_FORWARD : LEDGER_LOST_STREAM;
}

void census_cut(struct story *st, uint32_t host, const struct note *note)
{
	cut(st, host, note->token, note->p, note->n, cut_kind(st, host, note->token));
}

/* ---- a machine dies ---- */

struct dying {
	struct story *st;
	uint32_t host;
};

static void dying_queued(void *ctx, const uint8_t *p, uint32_t n)
{
	const struct dying *d = ctx;

	ledger_end(d->st->ledger, p, n, LEDGER_LOST_CRASH, NULL);
	story_dirty(d->st, DIRT_PACKETS);
}

static void dying_partial(void *ctx, uint64_t token, const uint8_t *p, uint32_t n)
{
	const struct dying *d = ctx;

	cut(d->st, d->host, token, p, n, LEDGER_LOST_CRASH);
}

static void holds_of(struct story *st, uint32_t host, const struct machine_holds *visit)
{
	struct machine *m = sim_machine(st->sim, host);

	if (m == NULL) return;
	if (host_is_node(st, host))
		relay_holds((const struct relay *)m, visit);
	else
		client_holds((const struct client *)m, visit);
}

void census_down(struct story *st, uint32_t host)
{
	struct dying d = { st, host };
	struct machine_holds visit = { dying_queued, dying_partial, &d };

	holds_of(st, host, &visit);
}

/* ---- the census ---- */

struct census {
	struct story *st;
	struct carry carry; /* of the stream that is being read */
	uint32_t host;
	struct carry *partial; /* what machines have read of frames under way */
	uint32_t partials, partials_cap;
};

static void see(void *ctx, const uint8_t *head)
{
	struct census *c = ctx;

	ledger_see(c->st->ledger, head, LEDGER_HEAD);
}

static void see_queued(void *ctx, const uint8_t *p, uint32_t n)
{
	struct census *c = ctx;

	ledger_see(c->st->ledger, p, n);
}

static void see_partial(void *ctx, uint64_t token, const uint8_t *p, uint32_t n)
{
	struct census *c = ctx;

	ledger_scan(c->st->ledger, NULL, 0, p, n, see, c);
	MEM_ROOM(c->partial, c->partials, c->partials_cap);
	c->partial[c->partials] = (struct carry){ .host = c->host, .token = token };
	carry_on(&c->partial[c->partials++], p, n);
}

static void see_begin(void *ctx, const struct sim_loss *flow)
{
	struct census *c = ctx;
	const struct carry *old = carry_of(c->st, flow->to, flow->rx_token, false);

	c->carry = old != NULL ? *old : (struct carry){ .n = 0 };
	for (uint32_t i = 0; i < c->partials; i++)
		if (c->partial[i].host == flow->to && c->partial[i].token == flow->rx_token) c->carry = c->partial[i];
}

static void see_bytes(void *ctx, const uint8_t *p, uint32_t n)
{
	struct census *c = ctx;

	ledger_scan(c->st->ledger, c->carry.bytes, c->carry.n, p, n, see, c);
	carry_on(&c->carry, p, n);
}

static void skip_queued(void *ctx, const uint8_t *p, uint32_t n) { (void)ctx, (void)p, (void)n; }
static void skip_partial(void *ctx, uint64_t token, const uint8_t *p, uint32_t n) { (void)ctx, (void)token, (void)p, (void)n; }

static bool count_unseen(void *ctx, const struct ledger_packet *p)
{
	(void)p;
	++*(uint64_t *)ctx;
	return false;
}

/* Marks every open packet that a queue or a stream holds. Returns how many are in neither; *not_queued are in no queue. */
static uint64_t look(struct story *st, uint64_t *not_queued)
{
	struct census c = { .st = st };
	struct machine_holds queues = { see_queued, skip_partial, &c }, partials = { skip_queued, see_partial, &c };
	struct sim_stream_visit streams = { see_begin, see_bytes, &c };
	uint64_t nowhere = 0;

	*not_queued = 0;
	ledger_see_none(st->ledger);
	for (uint32_t host = 0; host < sim_hosts(st->sim); host++) holds_of(st, host, &queues);
	sim_commands_each(st->sim, see_queued, &c);
	ledger_unseen_each(st->ledger, count_unseen, not_queued);
	for (c.host = 0; c.host < sim_hosts(st->sim); c.host++) holds_of(st, c.host, &partials);
	sim_streams_each(st->sim, &streams);
	ledger_unseen_each(st->ledger, count_unseen, &nowhere);
	free(c.partial);
	return nowhere;
}

static bool unseen(void *ctx, const struct ledger_packet *p)
{
	struct story *st = ctx;
	char text[PACKET_TEXT];

	for (uint32_t i = 0; i < st->faulties; i++)
		if (st->faulty[i] == p->number) return true;
	story_packet_text(st, p, text);
	story_found(st, SCENARIO_UNACCOUNTED, "%s, is nowhere: not delivered, dropped, queued, in flight or lost", text);
	return true;
}

void census_take(struct story *st)
{
	uint64_t not_queued;

	if (ledger_open(st->ledger) > 0 && look(st, &not_queued) > 0) ledger_unseen_each(st->ledger, unseen, st);
}

struct story_packets story_packets(struct story *st)
{
	const struct ledger *l = st->ledger;
	uint64_t open = ledger_open(l), not_queued, nowhere = look(st, &not_queued);

	return (struct story_packets){ .sent = ledger_sent(l),
		                       .delivered = ledger_ended(l, LEDGER_DELIVERED),
		                       .dropped = ledger_ended(l, LEDGER_DROPPED) - st->dropped_by_client,
		                       .dropped_by_client = st->dropped_by_client,
		                       .lost_crash = ledger_ended(l, LEDGER_LOST_CRASH),
		                       .lost_forwarding = ledger_ended(l, LEDGER_LOST_FORWARD),
		                       .lost_stream = ledger_ended(l, LEDGER_LOST_STREAM),
		                       .queued = open - not_queued,
		                       .in_flight = not_queued - nowhere,
		                       .nowhere = nowhere + ledger_ended(l, LEDGER_UNACCOUNTED) };
}

void census_free(struct story *st) { free(st->carry); }
