/* From one node of a region to another: delivery, bandwidth, delay. */
#include "prober_core.h"

#include "frame.h"

#include <stdio.h>
#include <string.h>

enum { FROM, TO };

static void send_packet(struct prober *p, uint64_t now, struct packet *packet)
{
	struct event_command command = { .verb = COMMAND_SEND, .dst = p->side[TO].public_key.b, .owner = packet, .p = packet->bytes, .n = packet->n };

	prober_command(p, now, FROM, &command);
	packet_drop(packet);
}

static void begin(struct prober *p, uint64_t now, enum prober_check check, enum prober_state state)
{
	p->now.check = check;
	p->state = state;
	p->began = now;
	p->deadline = now + p->config.timeout;
	p->sent = p->got = p->sent_n = p->got_n = 0;
}

/* ---- delivery (PRB-001) ---- */

static void send_bytes(struct prober *p, uint64_t now)
{
	begin(p, now, PROBER_PAIR, PROBER_AWAITED);
	p->due = TIME_NEVER;
	rng_bytes(&p->rng, RNG_PING, p->sent_bytes, sizeof p->sent_bytes);
	send_packet(p, now, packet_copy(p->sent_bytes, sizeof p->sent_bytes));
}

/* A relay tells its region of a login only after it: other nodes have 100 ms. */
void prober_pair_ready(struct prober *p, uint64_t now)
{
	if (p->now.from == p->now.to) {
		send_bytes(p, now);
		return;
	}
	p->state = PROBER_SETTLING;
	p->due = now + PROBER_SETTLE;
}

/* Whatever comes before the answer to this Ping would have been a second one. */
static void confirm(struct prober *p, uint64_t now)
{
	const struct event_command ping = { .verb = COMMAND_PING };

	p->now.ns = now - p->began;
	p->state = PROBER_CONFIRMED;
	prober_command(p, now, TO, &ping);
}

/* ---- bandwidth (PRB-003) ---- */

static void fill(uint8_t *p, uint64_t number, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) p[i] = (uint8_t)(number * 131 + (uint64_t)i * 7 + (i >> 8) + n);
}

static uint32_t piece(uint64_t total, uint64_t done) { return (uint32_t)(total - done < FRAME_PACKET_MAX ? total - done : FRAME_PACKET_MAX); }

static void flood(struct prober *p, uint64_t now)
{
	while (p->state == PROBER_FLOODING && p->sent_n < p->config.bandwidth && p->sent - p->got < PROBER_FLIGHT) {
		struct packet *packet = packet_new(piece(p->config.bandwidth, p->sent_n));
		fill(packet->bytes, p->sent++, packet->n);
		p->sent_n += packet->n;
		send_packet(p, now, packet);
	}
}

static void begin_pace(struct prober *p, uint64_t now);

static void begin_flood(struct prober *p, uint64_t now)
{
	begin(p, now, PROBER_BANDWIDTH, PROBER_FLOODING);
	flood(p, now);
}

static void flooded(struct prober *p, uint64_t now, const struct action *x)
{
	uint8_t want[FRAME_PACKET_MAX];
	uint32_t n = piece(p->config.bandwidth, p->got_n);

	fill(want, p->got, n);
	if (x->span.n != n || memcmp(x->span.p, want, n) != 0) {
		prober_over(p, now, PROBER_FAILED, "a packet is missing, changed or out of order");
		return;
	}
	p->got++;
	p->got_n += n;
	if (p->got_n < p->config.bandwidth) {
		flood(p, now);
		return;
	}
	p->now.ns = now - p->began;
	p->now.bytes = p->got_n;
	if (p->config.rate == 0) {
		prober_over(p, now, PROBER_GOOD, "");
		return;
	}
	prober_tell(p, PROBER_GOOD, "");
	begin_pace(p, now);
}

/* ---- delay (PRB-004) ---- */

static uint64_t send_time(const struct prober *p, uint64_t number) { return p->began + number * NS_S / p->config.rate; }
static uint64_t packets(const struct prober *p) { return p->config.rate * p->config.rate_time / NS_S; }

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) v = v << 8 | p[i];
	return v;
}

static void pace(struct prober *p, uint64_t now)
{
	while (p->state == PROBER_PACED && p->sent < packets(p) && send_time(p, p->sent) <= now) {
		struct packet *packet = packet_new(PROBER_DELAY_PACKET);
		memset(packet->bytes, 0, packet->n);
		put_u64(packet->bytes, p->sent);
		p->sent_at[p->sent++] = now;
		send_packet(p, now, packet);
	}
	p->due = p->sent < packets(p) ? send_time(p, p->sent) : TIME_NEVER;
}

static void begin_pace(struct prober *p, uint64_t now)
{
	begin(p, now, PROBER_DELAY, PROBER_PACED);
	p->deadline = now + p->config.rate_time + PROBER_LATE;
	p->sent_at = mem_grow(p->sent_at, (packets(p) + 1) * sizeof *p->sent_at);
	memset(&p->delay, 0, sizeof p->delay);
	pace(p, now);
}

static void paced_over(struct prober *p, uint64_t now)
{
	char why[PROBER_WHY];

	p->now.sent = p->sent, p->now.lost = p->sent - p->got;
	p->now.ns = histogram_quantile(&p->delay, 500);
	p->now.p99_ns = histogram_quantile(&p->delay, 990), p->now.max_ns = p->delay.max;
	snprintf(why, sizeof why, "%llu of %llu packets are lost", (unsigned long long)p->now.lost, (unsigned long long)p->sent);
	prober_over(p, now, p->now.lost == 0 ? PROBER_GOOD : PROBER_FAILED, p->now.lost == 0 ? "" : why);
}

static void paced(struct prober *p, uint64_t now, const struct action *x)
{
	uint64_t number = x->span.n == PROBER_DELAY_PACKET ? get_u64(x->span.p) : UINT64_MAX;

	if (number >= p->sent || p->sent_at[number] == TIME_NEVER) {
		prober_over(p, now, PROBER_FAILED, "a packet came changed, or twice");
		return;
	}
	if (now - p->sent_at[number] <= PROBER_LATE) {
		histogram_add(&p->delay, now - p->sent_at[number]);
		p->got++;
	}
	p->sent_at[number] = TIME_NEVER;
	if (p->got == packets(p)) paced_over(p, now);
}

/* ---- what comes ---- */

void prober_pair_packet(struct prober *p, uint64_t now, uint32_t side, const struct action *x)
{
	if (side != TO || !key_equal(x->deliver.key, p->side[FROM].public_key.b)) {
		prober_over(p, now, PROBER_FAILED, "a packet from somebody else");
	} else if (p->state == PROBER_FLOODING) {
		flooded(p, now, x);
	} else if (p->state == PROBER_PACED) {
		paced(p, now, x);
	} else if (p->state != PROBER_AWAITED) {
		prober_over(p, now, PROBER_FAILED, p->state == PROBER_CONFIRMED ? "the packet came twice" : "a packet that nobody sent");
	} else if (x->span.n != sizeof p->sent_bytes || memcmp(x->span.p, p->sent_bytes, sizeof p->sent_bytes) != 0) {
		prober_over(p, now, PROBER_FAILED, "the packet is changed");
	} else {
		confirm(p, now);
	}
}

void prober_pair_confirmed(struct prober *p, uint64_t now, bool answered)
{
	if (p->state != PROBER_CONFIRMED) return;
	if (!answered || (p->config.bandwidth == 0 && p->config.rate == 0)) {
		prober_over(p, now, answered ? PROBER_GOOD : PROBER_FAILED, answered ? "" : "no Pong behind the packet");
		return;
	}
	prober_tell(p, PROBER_GOOD, "");
	if (p->config.bandwidth != 0)
		begin_flood(p, now);
	else
		begin_pace(p, now);
}

void prober_pair_timer(struct prober *p, uint64_t now)
{
	if (p->state == PROBER_SETTLING) {
		send_bytes(p, now);
	} else if (p->state == PROBER_PACED) {
		if (now >= p->deadline)
			paced_over(p, now);
		else
			pace(p, now);
	} else {
		prober_over(p, now, PROBER_FAILED,
		            p->state == PROBER_FLOODING ? "not everything came within the time" : "nothing came within the time");
	}
}
