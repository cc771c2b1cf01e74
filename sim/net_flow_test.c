/* Bytes on their way: rates, jitter, windows, what a stream refuses and how its sender hears of it. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THERE (10 * NS_MS)
#define BACK (7 * NS_MS)
#define ROUND (THERE + BACK)

enum { DIALER, LISTENER, WINDOW = 65536 };

/* A connection that is open since a while; it is 1 s. Stories send from the dialer to the listener unless they say otherwise. */
struct pair {
	struct stage *st;
	uint64_t token, accepted;
	struct puppet_end *rx; /* the listener's end */
};

/* Two hosts with a window of WINDOW; `path` is the way there. */
static struct pair pair_open(struct sim_path path)
{
	struct pair p = { .st = stage_new(1, THERE) };

	stage_host(p.st, false);
	stage_host(p.st, true);
	p.st->path[DIALER][LISTENER] = path;
	p.st->path[LISTENER][DIALER].latency_ns = BACK;
	p.st->host[DIALER].config.window = p.st->host[LISTENER].config.window = WINDOW;
	p.st->host[LISTENER].config.user_timeout_ns = 15 * NS_S; /* HTTP-023 */
	stage_open(p.st);
	p.token = stage_connect(p.st, DIALER, LISTENER, &p.accepted);
	p.rx = puppet_end(&p.st->host[LISTENER], p.accepted);
	return p;
}

static struct pair pair_plain(void) { return pair_open((struct sim_path){ .latency_ns = THERE }); }

/* n bytes, in as many orders of one step as it takes. */
static void send(struct stage *st, uint32_t host, uint64_t token, uint64_t n)
{
	struct order o[20];
	uint32_t orders = 0;

	for (; n > 0; n -= o[orders++].n) {
		assert_true(orders < 20);
		o[orders] = (struct order){ .kind = ORDER_SEND, .token = token, .n = n < 60000 ? n : 60000 };
	}
	stage_order(st, host, o, orders);
}

static void assert_bytes(const struct stage *st, uint32_t host, uint32_t k, uint64_t n, uint64_t at)
{
	const struct heard *x = stage_heard(st, host, EVENT_BYTES, k);

	assert_int_equal(x->at, at);
	assert_int_equal(x->n, n);
}

static void assert_drained(const struct stage *st, uint32_t host, uint32_t k, uint64_t n, uint64_t left, uint64_t at)
{
	const struct heard *x = stage_heard(st, host, EVENT_DRAINED, k);

	assert_int_equal(x->at, at);
	assert_int_equal(x->n, n);
	assert_int_equal(x->left, left);
}

/* ---- time ---- */

/* n bytes over a path of R bit/s come after n * 8 / R and the latency; what is sent meanwhile waits for its turn. */
static void rate_and_latency(void **state)
{
	static const struct {
		uint64_t rate_bps, n, ns;
	} with[] = {
		{ 0, 16384, 0 },
		{ 8000000, 1, NS_US },
		{ 8000000, 1500, 1500 * NS_US },
		{ 100000000, 1500, 120 * NS_US },
		{ 1000000000, 16384, 131072 },
		{ 10000000000, 1500, 1200 },
		{ 25000000000, 1, 1 /* 0.32 ns, rounded up */ },
		{ 64000, 100, 12500 * NS_US },
	};

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct pair p = pair_open((struct sim_path){ .latency_ns = THERE, .rate_bps = with[i].rate_bps });
		stage_send(p.st, DIALER, p.token, with[i].n);
		if (with[i].rate_bps != 0) stage_send(p.st, DIALER, p.token, with[i].n);
		sim_run(p.st->sim, 5 * NS_S);
		assert_bytes(p.st, LISTENER, 0, with[i].n, NS_S + THERE + with[i].ns);
		if (with[i].rate_bps != 0) assert_bytes(p.st, LISTENER, 1, with[i].n, NS_S + THERE + 2 * with[i].ns);
		stage_send(p.st, DIALER, p.token, with[i].n); /* the path is free again */
		sim_run(p.st->sim, 10 * NS_S);
		assert_int_equal(p.st->host[LISTENER].heard[p.st->host[LISTENER].heard_n - 1].at, 5 * NS_S + THERE + with[i].ns);
		stage_free(p.st);
	}
}

/* Jitter is added to each arrival and never reorders: later bytes wait for earlier ones. Some come early, some late. */
static void jitter_keeps_order(void **state)
{
	enum { SENDS = 1000 };
	struct pair p = pair_open((struct sim_path){ .latency_ns = THERE, .jitter_ns = 20 * NS_MS });
	uint32_t early = 0, late = 0, events;
	uint64_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < SENDS; i++) {
		sim_run(p.st->sim, NS_S + i * 50 * NS_MS); /* none waits for another */
		stage_send(p.st, DIALER, p.token, 10);
	}
	sim_run(p.st->sim, 100 * NS_S);
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_BYTES), SENDS);
	for (uint32_t i = 0; i < SENDS; i++) {
		uint64_t took = stage_heard(p.st, LISTENER, EVENT_BYTES, i)->at - (NS_S + i * 50 * NS_MS);
		assert_in_range(took, THERE, THERE + 20 * NS_MS);
		early += took < THERE + 5 * NS_MS;
		late += took > THERE + 15 * NS_MS;
	}
	assert_in_range(early, 200, 300);
	assert_in_range(late, 200, 300);
	for (uint32_t i = 0; i < SENDS; i++) {
		sim_run(p.st->sim, 100 * NS_S + i * NS_MS); /* many under way at once */
		stage_send(p.st, DIALER, p.token, 1 + i % 7);
	}
	stage_close(p.st, DIALER, p.token, false);
	sim_run(p.st->sim, 200 * NS_S);
	events = p.st->host[LISTENER].heard_n;
	assert_int_equal(p.rx->got, puppet_end(&p.st->host[DIALER], p.token)->sent); /* the puppet has looked at each byte */
	for (uint32_t i = 0; i < events; i++) {
		assert_true(p.st->host[LISTENER].heard[i].at >= last);
		last = p.st->host[LISTENER].heard[i].at;
	}
	assert_int_equal(p.st->host[LISTENER].heard[events - 1].cause, CLOSE_EOF);
	stage_free(p.st);
}

/* ---- reading ---- */

/* READ n: BYTES of n at most, as many as it takes, at once. */
static void reads_in_parts(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	stage_read(p.st, LISTENER, p.accepted, 300);
	stage_send(p.st, DIALER, p.token, 1000);
	sim_run(p.st->sim, 2 * NS_S);
	for (uint32_t i = 0; i < 4; i++) assert_bytes(p.st, LISTENER, i, i < 3 ? 300 : 100, NS_S + THERE);
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_BYTES), 4);
	stage_forget(p.st);
	stage_read(p.st, LISTENER, p.accepted, 1000000); /* more than a turn */
	stage_send(p.st, DIALER, p.token, 40000);
	sim_run(p.st->sim, 4 * NS_S);
	for (uint32_t i = 0; i < 3; i++) assert_bytes(p.st, LISTENER, i, i < 2 ? SIM_TURN_MAX : 40000 - 2 * SIM_TURN_MAX, 2 * NS_S + THERE);
	stage_free(p.st);
}

/* READ 0 closes the window: what the sender has beyond it is refused, and it is told so at once; READ opens it, and one latency later
 * the rest is on its way. FIN waits behind the rest, eof for a READ. */
static void read_0_closes_the_window(void **state)
{
	struct pair p = pair_plain();
	const struct heard *x;

	(void)state;
	stage_read(p.st, LISTENER, p.accepted, 0);
	send(p.st, DIALER, p.token, WINDOW + 5000);
	assert_drained(p.st, DIALER, 0, WINDOW, 5000, NS_S);
	stage_send(p.st, DIALER, p.token, 100);
	assert_drained(p.st, DIALER, 1, 0, 5100, NS_S);
	stage_close(p.st, DIALER, p.token, false);
	sim_run(p.st->sim, 4 * NS_S);
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_BYTES), 0);
	stage_read(p.st, LISTENER, p.accepted, SIM_TURN_MAX);
	sim_run(p.st->sim, 5 * NS_S);
	for (uint32_t i = 0; i < 4; i++) assert_bytes(p.st, LISTENER, i, SIM_TURN_MAX, 4 * NS_S);
	assert_drained(p.st, DIALER, 2, 5100, 0, 4 * NS_S + BACK);
	assert_bytes(p.st, LISTENER, 4, 5100, 4 * NS_S + BACK + THERE);
	x = stage_heard(p.st, LISTENER, EVENT_CLOSED, 0);
	assert_int_equal(x->cause, CLOSE_EOF);
	assert_int_equal(x->at, 4 * NS_S + BACK + THERE);
	assert_int_equal(stage_count(p.st, DIALER, EVENT_DRAINED), 3);
	stage_free(p.st);
}

/* eof is not told while READ is 0, even if there is nothing else. */
static void eof_waits_for_read(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	stage_read(p.st, LISTENER, p.accepted, 0);
	stage_close(p.st, DIALER, p.token, false);
	sim_run(p.st->sim, 3 * NS_S);
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_CLOSED), 0);
	stage_read(p.st, LISTENER, p.accepted, 1);
	sim_run(p.st->sim, 4 * NS_S);
	assert_int_equal(stage_heard(p.st, LISTENER, EVENT_CLOSED, 0)->at, 3 * NS_S);
	stage_free(p.st);
}

/* ---- the window and DRAINED ---- */

/* A window a round trip: however fast the path, that is the rate. DRAINED tells at each step what is left. */
static void window_a_round_trip(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	send(p.st, DIALER, p.token, 5 * WINDOW);
	sim_run(p.st->sim, 3 * NS_S);
	for (uint32_t k = 0; k < 5; k++) {
		assert_drained(p.st, DIALER, k, WINDOW, (4 - k) * WINDOW, NS_S + k * ROUND);
		for (uint32_t i = 0; i < 4; i++) assert_bytes(p.st, LISTENER, 4 * k + i, SIM_TURN_MAX, NS_S + THERE + k * ROUND);
	}
	assert_int_equal(stage_count(p.st, DIALER, EVENT_DRAINED), 5);
	stage_free(p.st);
}

/* DRAINED is due above the low water of 64 KiB, and is then the first event of the turn; at it or below it there is none. */
static void drained_above_low_water(void **state)
{
	struct stage *st = stage_new(1, THERE);
	uint64_t token;

	(void)state;
	stage_host(st, false);
	stage_host(st, true);
	stage_open(st);
	token = stage_connect(st, DIALER, LISTENER, NULL);
	send(st, DIALER, token, SIM_LOW_WATER);
	sim_run(st->sim, 2 * NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_DRAINED), 0);
	stage_send(st, DIALER, token, 1);
	assert_drained(st, DIALER, 0, SIM_LOW_WATER + 1, 0, 2 * NS_S);
	send(st, DIALER, token, SIM_WINDOW / 2); /* several SENDs, one DRAINED */
	assert_drained(st, DIALER, 1, SIM_WINDOW / 2, 0, 2 * NS_S);
	sim_run(st->sim, 4 * NS_S);
	assert_int_equal(stage_count(st, DIALER, EVENT_DRAINED), 2);
	stage_free(st);
}

/* A SEND is cut at every byte by the window, in its head, in its span, with and without an owner: what is refused is kept, whole and
 * in order, beyond the turn in which it was sent. */
static void cut_at_every_byte(void **state)
{
	enum { HEAD = 12, SPAN = 21, ALL = HEAD + SPAN };

	(void)state;
	for (uint32_t room = 0; room <= ALL; room++)
		for (uint32_t kind = 0; kind < 4; kind++) {
			struct pair p = pair_plain();
			struct order o = { .kind = ORDER_SEND, .token = p.token, .n = ALL, .head_n = HEAD, .counted = kind & 1 };
			uint64_t sent;
			if (kind & 2) o.head_n = kind & 1 ? 0 : ALL; /* a span alone, a head alone */
			stage_read(p.st, LISTENER, p.accepted, 0);
			send(p.st, DIALER, p.token, WINDOW - room);
			for (int i = 0; i < 3; i++) stage_order(p.st, DIALER, &o, 1);
			sent = puppet_end(&p.st->host[DIALER], p.token)->sent;
			assert_int_equal(p.st->host[DIALER].heard[p.st->host[DIALER].heard_n - 1].left, sent - WINDOW);
			sim_run(p.st->sim, 2 * NS_S);
			stage_read(p.st, LISTENER, p.accepted, 1000);
			sim_run(p.st->sim, 3 * NS_S);
			assert_int_equal(p.rx->got, sent);
			stage_free(p.st);
		}
}

/* Who aborts drops what the window held back. */
static void abort_drops_what_is_held(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	stage_read(p.st, LISTENER, p.accepted, 0);
	send(p.st, DIALER, p.token, WINDOW + 5000);
	sim_run(p.st->sim, 2 * NS_S);
	stage_close(p.st, DIALER, p.token, true);
	sim_run(p.st->sim, 3 * NS_S);
	assert_int_equal(stage_heard(p.st, LISTENER, EVENT_CLOSED, 0)->cause, CLOSE_RESET); /* although READ is 0 */
	assert_int_equal(p.st->lost[DIALER][LISTENER], WINDOW + 5000);
	assert_int_equal(sim_connections(p.st->sim), 0);
	stage_free(p.st);
}

/* What a busy machine sent leaves when its step is over, also if the window has room before, and behind what was held already. */
static void held_leaves_when_the_step_is_over(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		struct pair p = pair_plain();
		struct order o[2] = { { .kind = ORDER_SEND, .token = p.token, .n = 100 }, { .kind = ORDER_WORK, .n = 300 * NS_MS } };
		const struct heard *x;
		stage_read(p.st, LISTENER, p.accepted, 0);
		send(p.st, DIALER, p.token, WINDOW + 1);
		sim_run(p.st->sim, 2 * NS_S);
		if (first) stage_read(p.st, LISTENER, p.accepted, SIM_TURN_MAX); /* there is room at 2 s + BACK */
		sim_run(p.st->sim, 2 * NS_S);
		stage_order(p.st, DIALER, o, 2);
		if (!first) stage_read(p.st, LISTENER, p.accepted, SIM_TURN_MAX);
		sim_run(p.st->sim, 3 * NS_S);
		assert_int_equal(p.rx->got, WINDOW + 101);
		assert_bytes(p.st, LISTENER, 4, 1, 2 * NS_S + BACK + THERE);
		x = &p.st->host[LISTENER].heard[p.st->host[LISTENER].heard_n - 1];
		assert_int_equal(x->n, 100);
		assert_int_equal(x->at, 2 * NS_S + 300 * NS_MS + THERE);
		stage_free(p.st);
	}
}

/* What the simulation's owner may see of a stream, and of its end. */
struct sight {
	const struct pair *p;
	bool there; /* the way from the dialer */
	uint32_t begun;
	uint64_t bytes;
};

static void see_begin(void *ctx, const struct sim_loss *flow)
{
	struct sight *s = ctx;

	s->begun++;
	s->there = flow->from == DIALER;
	assert_int_equal(flow->from + flow->to, DIALER + LISTENER);
	assert_int_equal(flow->rx_token, s->there ? s->p->accepted : s->p->token);
	assert_false(flow->crashed);
}

static void see_bytes(void *ctx, const uint8_t *p, uint32_t n)
{
	struct sight *s = ctx;

	assert_true(s->there);
	for (uint32_t i = 0; i < n; i++) assert_int_equal(p[i], s->p->st->table[(s->bytes + i) % STAGE_PERIOD]);
	s->bytes += n;
}

/* Unread bytes are told direction by direction: those on their way or come, then those that the window holds back, in order. */
static void streams_are_told(void **state)
{
	struct pair p = pair_plain();
	struct sight sight = { .p = &p };
	struct sim_stream_visit visit = { .begin = see_begin, .bytes = see_bytes, .ctx = &sight };

	(void)state;
	stage_read(p.st, LISTENER, p.accepted, 0);
	send(p.st, DIALER, p.token, WINDOW + 5000);
	sim_streams_each(p.st->sim, &visit);
	assert_int_equal(sight.begun, 2);
	assert_int_equal(sight.bytes, WINDOW + 5000);
	stage_read(p.st, LISTENER, p.accepted, SIM_TURN_MAX);
	sim_run(p.st->sim, 2 * NS_S);
	sight.bytes = 0;
	sim_streams_each(p.st->sim, &visit);
	assert_int_equal(sight.bytes, 0);
	stage_free(p.st);
}

/* ---- the user timeout ---- */

/* HTTP-023: it also ends a connection whose receiver is alive but has kept its window closed for so long. Its receiver gets a RST. */
static void closed_window_times_out(void **state)
{
	(void)state;
	for (uint32_t sender = 0; sender < 2; sender++) {
		struct pair p = pair_plain();
		uint32_t other = 1 - sender;
		uint64_t tx = sender == DIALER ? p.token : p.accepted, rx = sender == DIALER ? p.accepted : p.token;
		uint64_t at = NS_S + (sender == LISTENER ? 15 * NS_S : 924 * NS_S);
		stage_read(p.st, other, rx, 0);
		send(p.st, sender, tx, WINDOW + 1);
		sim_run(p.st->sim, 2000 * NS_S);
		assert_int_equal(stage_heard(p.st, sender, EVENT_CLOSED, 0)->cause, CLOSE_TIMEOUT);
		assert_int_equal(stage_heard(p.st, sender, EVENT_CLOSED, 0)->at, at);
		assert_int_equal(stage_heard(p.st, other, EVENT_CLOSED, 0)->cause, CLOSE_RESET);
		assert_int_equal(stage_heard(p.st, other, EVENT_CLOSED, 0)->at, at + (sender == LISTENER ? BACK : THERE));
		assert_int_equal(sim_connections(p.st->sim), 0);
		stage_free(p.st);
	}
}

/* Progress renews it: a reader who takes a window every ten seconds keeps the connection, and it ends 15 s after the last acknowledgement. */
static void progress_renews_timeout(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	stage_read(p.st, DIALER, p.token, 0);
	send(p.st, LISTENER, p.accepted, 10 * WINDOW);
	for (uint64_t s = 11; s <= 61; s += 10) {
		sim_run(p.st->sim, s * NS_S);
		stage_read(p.st, DIALER, p.token, 2000);
		sim_run(p.st->sim, s * NS_S); /* all that is there */
		stage_read(p.st, DIALER, p.token, 0);
	}
	assert_int_equal(stage_count(p.st, LISTENER, EVENT_CLOSED), 0);
	sim_run(p.st->sim, 200 * NS_S);
	assert_int_equal(stage_heard(p.st, LISTENER, EVENT_CLOSED, 0)->cause, CLOSE_TIMEOUT);
	assert_int_equal(stage_heard(p.st, LISTENER, EVENT_CLOSED, 0)->at, 61 * NS_S + THERE + 15 * NS_S);
	stage_free(p.st);
}

/* It counts from when the window closed, not from an earlier time at which it was closed for a while. */
static void timeout_counts_afresh(void **state)
{
	struct pair p = pair_plain();

	(void)state;
	stage_read(p.st, DIALER, p.token, 0);
	send(p.st, LISTENER, p.accepted, WINDOW + 1);
	sim_run(p.st->sim, 2 * NS_S);
	stage_read(p.st, DIALER, p.token, SIM_TURN_MAX);
	sim_run(p.st->sim, 14 * NS_S);
	stage_read(p.st, DIALER, p.token, 0);
	send(p.st, LISTENER, p.accepted, WINDOW + 1);
	sim_run(p.st->sim, 100 * NS_S);
	assert_int_equal(stage_heard(p.st, LISTENER, EVENT_CLOSED, 0)->at, 14 * NS_S + 15 * NS_S);
	stage_free(p.st);
}

/* ---- whatever happens ---- */

enum { WILD_HOSTS = 4 };

/* One random thing at one random end. */
static void wild_step(struct stage *st, struct prng *draw)
{
	uint32_t host = (uint32_t)prng_below(draw, WILD_HOSTS), what = (uint32_t)prng_below(draw, 20);
	struct puppet_host *h = &st->host[host];
	struct puppet_end *end = h->ends == 0 ? NULL : &h->end[h->ends - 1 - prng_below(draw, h->ends < 8 ? h->ends : 8)];
	struct order o = { .kind = ORDER_SEND, .counted = prng_below(draw, 2) };

	if (end == NULL || !end->open) {
		if (what < 4) stage_dial(st, host, (host + 1 + (uint32_t)prng_below(draw, WILD_HOSTS - 1)) % WILD_HOSTS);
		return;
	}
	if (!end->connected || end->aborted) return;
	o.token = end->token;
	o.n = prng_below(draw, what < 3 ? 60000 : 2000);
	o.head_n = (uint32_t)prng_below(draw, (o.n < ACTIONS_HEAD_MAX ? o.n : ACTIONS_HEAD_MAX) + 1);
	if (what < 12 && !end->finished)
		stage_order(st, host, &o, 1);
	else if (what == 12)
		stage_read(st, host, end->token, 0);
	else if (what < 18)
		stage_read(st, host, end->token, 1 + prng_below(draw, 20000));
	else if (prng_below(draw, 8) == 0)
		stage_close(st, host, end->token, what == 18);
}

static uint64_t wild_sum(const struct stage *st, bool got)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < WILD_HOSTS; i++)
		for (uint32_t k = 0; k < st->host[i].ends; k++) sum += got ? st->host[i].end[k].got : st->host[i].end[k].sent;
	return sum;
}

static struct stage *wild_open(uint64_t seed)
{
	struct stage *st = stage_new(seed, NS_MS);
	struct prng draw = prng_make(seed, "wild", "world");

	for (uint32_t i = 0; i < WILD_HOSTS; i++) {
		stage_host(st, true);
		st->host[i].config.window = i % 2 ? WINDOW : SIM_WINDOW;
		for (uint32_t k = 0; k < WILD_HOSTS; k++)
			st->path[i][k] = (struct sim_path){ .latency_ns = prng_below(&draw, 20 * NS_MS),
				                            .jitter_ns = prng_below(&draw, 3) * NS_MS,
				                            .rate_bps = prng_below(&draw, 2) * 50000000 };
	}
	stage_open(st);
	return st;
}

/* Four hosts that do whatever they like: every byte that was sent came once, in its place, or is told as lost; nothing is left when
 * all have gone. */
static void conserves_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage *st = wild_open(seed);
		struct prng draw = prng_make(seed, "wild", "steps");
		uint64_t lost = 0, now = 0;
		for (uint32_t i = 0; i < 6000; i++) {
			wild_step(st, &draw);
			now += prng_below(&draw, 3 * NS_MS);
			sim_run(st->sim, now);
		}
		for (uint32_t i = 0; i < WILD_HOSTS; i++)
			for (uint32_t k = 0; k < st->host[i].ends; k++)
				if (st->host[i].end[k].open) stage_close(st, i, st->host[i].end[k].token, true);
		sim_run(st->sim, now + 2000 * NS_S);
		assert_int_equal(sim_connections(st->sim), 0);
		for (uint32_t i = 0; i < WILD_HOSTS; i++)
			for (uint32_t k = 0; k < WILD_HOSTS; k++) lost += st->lost[i][k];
		assert_true(wild_sum(st, true) > 2000000);
		assert_int_equal(wild_sum(st, false), wild_sum(st, true) + lost);
		stage_free(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_and_latency),         cmocka_unit_test(jitter_keeps_order),
		cmocka_unit_test(reads_in_parts),           cmocka_unit_test(read_0_closes_the_window),
		cmocka_unit_test(eof_waits_for_read),       cmocka_unit_test(window_a_round_trip),
		cmocka_unit_test(drained_above_low_water),  cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(abort_drops_what_is_held), cmocka_unit_test(held_leaves_when_the_step_is_over),
		cmocka_unit_test(streams_are_told),         cmocka_unit_test(closed_window_times_out),
		cmocka_unit_test(progress_renews_timeout),  cmocka_unit_test(timeout_counts_afresh),
		cmocka_unit_test(conserves_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
