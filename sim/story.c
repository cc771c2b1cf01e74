/* Build, run, and the hooks in which the engine tells what happens. */
#include "story.h"

#include "story_core.h"

#include "../ref/buf.h"
#include "geo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CENSUS_EVERY = 30 }; /* virtual seconds between two countings of all packets */

const char *story_plant_name(enum story_plant plant)
{
	static const char *const name[STORY_PLANTS] = { "none", "forged", "changed", "doubled", "misdelivered", "twice-forwarded", "unaccounted" };

	assert(plant < STORY_PLANTS);
	return name[plant];
}

/* ---- small things for all files ---- */

void story_client_name(const struct story *st, uint32_t client, char out[NAME_MAX_LEN])
{
	const struct story_client *c = &st->client[client];
	const struct story_tailnet *t = &st->tailnet[c->tailnet];

	snprintf(out, NAME_MAX_LEN, "%s/%u/%u", t->def->name, t->copy, c->index);
}

/* What a finding is of, and the rule of the protocol that it speaks of. */
static const struct {
	const char *name, *rule;
} nothing[SCENARIO_NOTHINGS] = {
	[SCENARIO_FORGED] = { "forged", "SRV-003" },           [SCENARIO_CHANGED] = { "changed", "SRV-004" },
	[SCENARIO_DOUBLED] = { "doubled", "SRV-004" },         [SCENARIO_MISDELIVERED] = { "misdelivered", "SRV-005" },
	[SCENARIO_MISORDERED] = { "misordered", "SRV-014" },   [SCENARIO_TWICE_FORWARDED] = { "twice-forwarded", "MSH-017" },
	[SCENARIO_GONE_UNSEEN] = { "gone-unseen", "PGR-005" }, [SCENARIO_UNACCOUNTED] = { "unaccounted", "SRV-015" },
};

void story_found(struct story *st, enum scenario_nothing what, const char *format, ...)
{
	struct story_finding *f = &st->finding[st->findings < STORY_FINDINGS_MAX ? st->findings : STORY_FINDINGS_MAX - 1];
	va_list args;
	int n;

	st->found[what]++;
	if (st->findings++ >= STORY_FINDINGS_MAX) return;
	f->at = sim_now(st->sim);
	snprintf(f->rule, sizeof f->rule, "%s", nothing[what].name);
	n = snprintf(f->text, sizeof f->text, "%s: ", nothing[what].rule);
	va_start(args, format);
	vsnprintf(f->text + n, sizeof f->text - (size_t)n, format, args);
	va_end(args);
	record_finding(st->record, f->at, f->rule, f->text);
}

void story_packet_text(const struct story *st, const struct ledger_packet *p, char out[PACKET_TEXT])
{
	static const char *const unknown = "nobody";
	char sent[48] = "";

	if (p->sent_at != 0) story_print_value(SCENARIO_TIME, p->sent_at, sent, sizeof sent);
	snprintf(out, PACKET_TEXT, "packet %u.%u of %u B from %s to %s%s%s", (uint32_t)p->number, (uint32_t)(p->number >> 32), p->size,
	         p->from < st->clients ? st->client[p->from].name : unknown, p->to < st->clients ? st->client[p->to].name : unknown,
	         sent[0] != 0 ? ", sent at " : "", sent);
}

struct prng story_stream(const struct story *st, const char *name, const struct scenario_line *line, const char *key)
{
	char purpose[128];

	snprintf(purpose, sizeof purpose, "%s %u %s", line->word, line->number, key);
	return prng_make(st->options.seed, name, purpose);
}

void story_draw_note(struct story *st, const char *name, const struct scenario_line *line, const char *key, enum scenario_unit unit, uint64_t value)
{
	struct story_draw *d = NULL;

	for (uint32_t i = st->draws; i-- > 0 && d == NULL;)
		if (st->draw[i].line == line->line && strcmp(st->draw[i].key, key) == 0 && strcmp(st->draw[i].word, line->word) == 0)
			d = &st->draw[i];
	if (d == NULL) {
		MEM_ROOM(st->draw, st->draws, st->draws_cap);
		d = &st->draw[st->draws++];
		memset(d, 0, sizeof *d);
		d->word = line->word, d->key = key, d->line = line->line, d->unit = unit, d->late = st->running;
		dist_init(&d->values);
	}
	if (d->values.n < 20) {
		snprintf(d->name[d->values.n], sizeof d->name[0], "%.39s", name);
		d->value[d->values.n] = value;
	}
	dist_add(&d->values, value);
	record_draw(st->record, line->line, line->word, key, name, value);
}

uint64_t story_take(struct story *st, const char *name, const struct scenario_line *line, const char *key, const struct scenario_amount *amount)
{
	struct prng p;
	uint64_t value;

	if (amount->lo == amount->hi) return amount->lo;
	p = story_stream(st, name, line, key);
	value = prng_range(&p, amount->lo, amount->hi);
	story_draw_note(st, name, line, key, amount->unit, value);
	return value;
}

/* ---- what the engine tells ---- */

static enum scenario_nothing fault_of(enum ledger_fault fault)
{
	static const enum scenario_nothing of[LEDGER_FAULTS] = { [LEDGER_FORGED] = SCENARIO_FORGED,
		                                                 [LEDGER_CHANGED] = SCENARIO_CHANGED,
		                                                 [LEDGER_DOUBLED] = SCENARIO_DOUBLED,
		                                                 [LEDGER_MISDELIVERED] = SCENARIO_MISDELIVERED,
		                                                 [LEDGER_TWICE_FORWARDED] = SCENARIO_TWICE_FORWARDED };

	assert(fault != LEDGER_OK);
	return of[fault];
}

/* Something is wrong with p,n at `host`: `doing`. The packet that it seems to be is not told as nowhere later. */
static void found_packet(struct story *st, enum ledger_fault fault, uint32_t host, const char *doing, const uint8_t *p, uint32_t n)
{
	struct ledger_packet packet;
	char text[PACKET_TEXT] = "bytes that nobody sent";

	if (ledger_read(p, n, &packet)) {
		bool open = fault == LEDGER_CHANGED || fault == LEDGER_MISDELIVERED || fault == LEDGER_TWICE_FORWARDED;
		if (open) packet.sent_at = ledger_sent_at(st->ledger, packet.number);
		if (open && st->faulties < STORY_FINDINGS_MAX) st->faulty[st->faulties++] = packet.number;
		story_packet_text(st, &packet, text);
	}
	story_found(st, fault_of(fault), "%s %s what is %s: %s", sim_host_name(st->sim, host), doing, ledger_fault_name(fault), text);
}

static void forwarded(struct story *st, uint32_t node, const struct note *n)
{
	enum ledger_fault fault = ledger_forward(st->ledger, n->p, n->n);

	st->forwarded++;
	st->node[node].forwarded++;
	story_dirty(st, DIRT_PACKETS);
	if (st->options.plant == STORY_PLANT_TWICE_FORWARDED && !st->planted && sim_now(st->sim) >= st->options.plant_at) {
		st->planted = true;
		fault = ledger_forward(st->ledger, n->p, n->n);
	}
	if (fault != LEDGER_OK) found_packet(st, fault, node, "forwards", n->p, n->n);
}

static void on_note_node(struct story *st, uint32_t node, const struct note *n)
{
	switch (n->kind) {
	case NOTE_LOGIN: truth_login(st, node, n); break;
	case NOTE_LEAVE: truth_leave(st, node, n); break;
	case NOTE_MESH: truth_mesh(st, node, n); break;
	case NOTE_FORWARD: forwarded(st, node, n); break;
	default: break;
	}
}

static void on_drop(struct story *st, uint32_t host, const struct note *n)
{
	bool ours = ledger_end(st->ledger, n->p, n->n, LEDGER_DROPPED, NULL);

	assert(n->a < DROP_REASONS);
	if (host_is_node(st, host))
		st->drops[n->a]++, st->node[host].dropped++;
	else
		st->dropped_by_client += ours; /* no relay counts these (CLI-031) */
	if (!ours)
		story_found(st, SCENARIO_FORGED, "%s drops a packet (%s) that is none of ours, or had its end before", sim_host_name(st->sim, host),
		            drop_reason_name((enum drop_reason)n->a));
	story_dirty(st, DIRT_PACKETS);
}

static void on_note(void *ctx, uint32_t host, const struct note *n)
{
	struct story *st = ctx;

	record_note(st->record, sim_now(st->sim), host, n);
	if (n->kind == NOTE_DROP)
		on_drop(st, host, n);
	else if (n->kind == NOTE_CUT)
		census_cut(st, host, n);
	else if (host_is_node(st, host))
		on_note_node(st, host, n);
}

static void delivered(struct story *st, uint32_t client, const uint8_t *key, const uint8_t *p, uint32_t n)
{
	struct ledger_packet packet;
	uint32_t from = ledger_claims(p, n);
	enum ledger_fault fault;

	if (from >= st->clients || memcmp(st->client[from].public_key.b, key, KEY_SIZE) != 0) from = truth_client_of_key(st, key);
	fault = ledger_deliver(st->ledger, client, from, p, n, &packet);
	if (fault != LEDGER_OK) {
		found_packet(st, fault, client_host(st, client), "got", p, n);
		return;
	}
	st->delivered++;
	st->forwarded_delivered += packet.forwards > 0;
	if (st->client[client].node != NOBODY) st->node[st->client[client].node].delivered++;
	if (st->hit) truth_pair_delivered(st, packet.from, packet.to, ledger_sent_at(st->ledger, packet.number));
	story_dirty(st, DIRT_PACKETS);
}

/* Switched on by tests only: what a broken relay would do to one packet. */
static bool plant(struct story *st, uint32_t client, const struct action *x)
{
	const uint8_t *key = x->deliver.key;
	uint32_t n = x->span.n;

	if (st->planted || sim_now(st->sim) < st->options.plant_at || n < LEDGER_HEAD) return false;
	st->planted = true;
	memcpy(st->plant_copy, x->span.p, n);
	switch (st->options.plant) {
	case STORY_PLANT_FORGED:
		st->plant_copy[16] ^= 0xff, st->plant_copy[19] ^= 0x7f;
		delivered(st, client, key, st->plant_copy, n);
		return false; /* the real one comes too */
	case STORY_PLANT_CHANGED: st->plant_copy[n - 1] ^= 1; break;
	case STORY_PLANT_DOUBLED: delivered(st, client, key, st->plant_copy, n); break;
	case STORY_PLANT_MISDELIVERED: client = client == 0 ? 1 : 0; break;
	case STORY_PLANT_UNACCOUNTED: return true;
	default: st->planted = false; return false;
	}
	delivered(st, client, key, st->plant_copy, n);
	return true;
}

static void on_deliver(void *ctx, uint32_t host, const struct action *x)
{
	struct story *st = ctx;
	uint32_t client = host - st->nodes;

	if (host_is_node(st, host)) return;
	switch (x->deliver.what) {
	case DELIVER_PACKET:
		if (st->options.plant != STORY_PLANT_NONE && plant(st, client, x)) return;
		delivered(st, client, x->deliver.key, x->span.p, x->span.n);
		break;
	case DELIVER_READY: truth_ready(st, client, x->token); break;
	case DELIVER_DISCONNECTED: truth_disconnected(st, client, x->token, x->deliver.a); break;
	case DELIVER_DROPPED: {
		struct note n = { .kind = NOTE_DROP, .now = sim_now(st->sim), .token = x->token, .p = x->span.p, .n = x->span.n, .a = x->deliver.a };
		record_note(st->record, n.now, host, &n);
		on_drop(st, host, &n);
		break;
	}
	default: break;
	}
}

static void on_event(void *ctx, uint32_t host, const struct event *e, uint64_t content)
{
	struct story *st = ctx;

	record_event(st->record, sim_events(st->sim), sim_now(st->sim), host, e, content);
	if (st->options.event != NULL && !st->options.event(st->options.ctx, sim_events(st->sim), sim_now(st->sim), host, e, content)) {
		st->interrupted = true;
		sim_stop(st->sim);
	}
}

static void on_down(void *ctx, uint32_t host, enum sim_crash how)
{
	struct story *st = ctx;

	census_down(st, host);
	if (host_is_node(st, host)) act_down(st, host, how);
}

static void on_moment(void *ctx) { check_moment(ctx); }

/* ---- time ---- */

static void on_second(void *ctx, uint32_t unused)
{
	struct story *st = ctx;
	uint64_t now = sim_now(st->sim);
	bool go = true;

	(void)unused;
	check_all(st);
	for (uint32_t i = 0; i < st->nodes; i++) {
		struct story_node *n = &st->node[i];
		struct sim_cpu cpu = sim_cpu(st->sim, i);
		record_node_second(st->record, now,
		                   &(struct record_node_second){ .host = i,
		                                                 .conns = n->conns,
		                                                 .handshakes_waiting = cpu.handshakes,
		                                                 .delivered = n->delivered,
		                                                 .forwarded = n->forwarded,
		                                                 .dropped = n->dropped,
		                                                 .cpu_ns = cpu.busy_ns - n->cpu_told,
		                                                 .handshake_ns = cpu.handshake_ns - n->handshake_told });
		n->cpu_told = cpu.busy_ns;
		n->handshake_told = cpu.handshake_ns;
	}
	record_second(st->record, now, sim_events(st->sim), sim_digest(st->sim), st->connected, st->zombies, st->away);
	if (st->options.digest != NULL) go = st->options.digest(st->options.ctx, now, sim_events(st->sim), sim_digest(st->sim));
	if (go && st->options.second != NULL) go = st->options.second(st->options.ctx, now, st->until);
	if (!go) {
		st->interrupted = true;
		sim_stop(st->sim);
		return;
	}
	if (record_error(st->record) != NULL) {
		st->interrupted = true;
		sim_stop(st->sim);
		return;
	}
	if (now / NS_S % CENSUS_EVERY == 0) census_take(st);
	sim_call_at(st->sim, st->second_call, now + NS_S);
}

static void boot_client(void *ctx, uint32_t client)
{
	struct story *st = ctx;

	if (!st->client[client].gone && !sim_host_up(st->sim, client_host(st, client))) sim_boot(st->sim, client_host(st, client));
}

static void boot_all(struct story *st)
{
	for (uint32_t i = 0; i < st->nodes; i++) {
		st->node[i].up = true;
		st->node[i].boots = 1;
		sim_boot(st->sim, i);
	}
	for (uint32_t i = 0; i < st->clients; i++) sim_call_at(st->sim, sim_call_add(st->sim, boot_client, st, i), st->client[i].join_at);
}

/* ---- the whole ---- */

static void engine(struct story *st)
{
	struct sim_hooks hooks = { .ctx = st,
		                   .make = world_make,
		                   .configure = world_configure,
		                   .path = world_path,
		                   .deliver = on_deliver,
		                   .note = on_note,
		                   .lost = census_lost,
		                   .down = on_down,
		                   .moment = on_moment };

	if (st->options.event != NULL || record_wants_events(st->record)) hooks.event = on_event;
	st->sim = sim_new(st->options.seed, &hooks, st->keys);
}

struct story *story_new(const struct scenario *scenario, const struct story_options *options, struct key_cache *keys, char *error, size_t cap)
{
	struct story *st = mem_zero(1, sizeof *st);

	assert(scenario->errors == 0 && scenario->map != NULL);
	st->scenario = scenario;
	st->options = *options;
	st->keys = keys;
	st->record = options->record;
	st->deeds_free = NOBODY;
	st->ledger = ledger_new();
	dist_init(&st->failover_client);
	dist_init(&st->failover_pair);
	dist_init(&st->failover_first);
	dist_init(&st->failover_later);
	engine(st);
	if (!world_build(st, error, cap) || !load_build(st, error, cap) || !check_build(st, error, cap)) {
		story_free(st);
		return NULL;
	}
	world_hosts(st);
	st->until = options->until != TIME_NEVER ? options->until : story_take(st, "run", &scenario->until_line, "until", &scenario->until);
	st->second_call = sim_call_add(st->sim, on_second, st, 0);
	sim_call_at(st->sim, st->second_call, NS_S);
	if (!act_build(st, error, cap)) {
		story_free(st);
		return NULL;
	}
	return st;
}

static void trace_world(struct story *st)
{
	struct key public_key;

	for (uint32_t i = 0; st->record != NULL && i < st->nodes; i++) {
		const struct story_node *n = &st->node[i];
		key_cache_public(st->keys, &n->key, &public_key);
		record_entity(st->record, i, "relay", n->name, st->region[n->region].def->name,
		              geo_city(geo_nearest(n->place.lat_udeg, n->place.lon_udeg))->name, public_key.b);
	}
	for (uint32_t i = 0; st->record != NULL && i < st->clients; i++) {
		const struct story_client *c = &st->client[i];
		record_entity(st->record, client_host(st, i), "client", c->name, st->region[c->region].def->name, geo_city(c->place.city)->name,
		              c->public_key.b);
	}
}

void story_run(struct story *st)
{
	trace_world(st);
	st->running = true;
	check_event(st, SCENARIO_ON_START, SCENARIO_VERBS, NOBODY, false, NOBODY, NOBODY);
	boot_all(st);
	load_start(st);
	sim_run(st->sim, st->until);
	if (st->interrupted) return;
	census_take(st);
	truth_end(st);
	check_end(st);
	record_failover(st->record, "client", &st->failover_client);
	record_failover(st->record, "pair", &st->failover_pair);
	record_failover(st->record, "pair first", &st->failover_first);
	record_failover(st->record, "pair later", &st->failover_later);
	record_end(st->record, sim_events(st->sim), sim_digest(st->sim), story_good(st));
}

void story_free(struct story *st)
{
	if (st == NULL) return;
	sim_free(st->sim);
	ledger_free(st->ledger);
	load_free(st);
	act_free(st);
	check_free(st);
	census_free(st);
	world_free(st);
	dist_free(&st->failover_client);
	dist_free(&st->failover_pair);
	dist_free(&st->failover_first);
	dist_free(&st->failover_later);
	for (uint32_t i = 0; i < st->draws; i++) dist_free(&st->draw[i].values);
	free(st->draw);
	free(st->pair);
	free(st);
}

/* ---- results ---- */

uint64_t story_until(const struct story *st) { return st->until; }
uint64_t story_events(const struct story *st) { return sim_events(st->sim); }
uint64_t story_now(const struct story *st) { return sim_now(st->sim); }
struct sim_digest story_digest(const struct story *st) { return sim_digest(st->sim); }
bool story_interrupted(const struct story *st) { return st->interrupted; }
uint32_t story_clients(const struct story *st) { return st->clients; }
uint64_t story_connected(const struct story *st) { return st->connected; }
uint64_t story_delivered(const struct story *st) { return st->delivered; }
uint32_t story_nodes(const struct story *st) { return st->nodes; }

struct story_client_view story_client(const struct story *st, uint32_t i)
{
	const struct story_client *c = &st->client[i];

	assert(i < st->clients);
	return (struct story_client_view){ .name = c->name,
		                           .node = c->ready && c->node != NOBODY ? st->node[c->node].name : NULL,
		                           .connected = c->alive,
		                           .away = c->away,
		                           .logins = c->logins };
}

struct story_node_view story_node(const struct story *st, uint32_t i)
{
	const struct story_node *n = &st->node[i];

	assert(i < st->nodes);
	return (struct story_node_view){
		.name = n->name, .up = n->up, .conns = n->conns, .links = (uint32_t)truth_links(st, i), .forwarded = n->forwarded
	};
}

uint32_t story_tailnets(const struct story *st) { return st->tailnets; }
const struct dist *story_failover_clients(const struct story *st) { return &st->failover_client; }
const struct dist *story_failover_pairs(const struct story *st) { return &st->failover_pair; }
const struct dist *story_failover_first(const struct story *st) { return &st->failover_first; }
const struct dist *story_failover_later(const struct story *st) { return &st->failover_later; }
uint32_t story_expects(const struct story *st) { return st->judges; }
const struct story_expect *story_expect(const struct story *st, uint32_t i) { return &st->judge[i].result; }
uint32_t story_findings(const struct story *st) { return st->findings; }
const struct story_finding *story_finding(const struct story *st, uint32_t i) { return &st->finding[i]; }
uint32_t story_draws(const struct story *st) { return st->draws; }
const struct story_draw *story_draw(const struct story *st, uint32_t i) { return &st->draw[i]; }

bool story_good(const struct story *st)
{
	bool good = st->findings == 0;

	for (uint32_t i = 0; i < st->judges; i++) good = good && (st->judge[i].result.verdict == STORY_OK || st->judge[i].result.def->goal);
	return good;
}

/* ---- values for people ---- */

enum { DECIMALS = 3, DECIMALS_ALL = 20 };

/* value / unit; with fewer decimals than it takes the rest is cut off. Trailing zeros are left out. */
static size_t print_decimal(uint64_t value, uint64_t unit, int decimals, const char *suffix, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%llu", (unsigned long long)(value / unit)), behind = n;
	uint64_t rest = value % unit;

	for (int i = 0; i < decimals && rest != 0; i++) {
		unsigned __int128 ten = (unsigned __int128)rest * 10;
		n += (size_t)snprintf(out + n, n < cap ? cap - n : 0, "%s%llu", i == 0 ? "." : "", (unsigned long long)(ten / unit));
		rest = (uint64_t)(ten % unit);
	}
	while (n > behind && n < cap && (out[n - 1] == '0' || out[n - 1] == '.')) n--;
	return n + (size_t)snprintf(out + n, n < cap ? cap - n : 0, "%s", suffix);
}

static size_t print_value(enum scenario_unit unit, uint64_t v, int decimals, char *out, size_t cap)
{
	if (v == SCENARIO_NEVER) return (size_t)snprintf(out, cap, "never");
	switch (unit) {
	case SCENARIO_TIME:
		if (v == 0) return (size_t)snprintf(out, cap, "0s");
		if (v >= NS_S) return print_decimal(v, NS_S, decimals, "s", out, cap);
		return v >= NS_MS ? print_decimal(v, NS_MS, decimals, "ms", out, cap) : print_decimal(v, NS_US, decimals, "us", out, cap);
	case SCENARIO_SHARE: return print_decimal(v, SCENARIO_SHARE_ALL / 100, decimals, "%", out, cap);
	case SCENARIO_PACE: return print_decimal(v, UINT64_C(3600000000), decimals, "/s", out, cap);
	case SCENARIO_RATE:
		return v >= 1000000 ? print_decimal(v, 1000000, decimals, "Mbps", out, cap) : print_decimal(v, 1000, decimals, "Kbps", out, cap);
	case SCENARIO_SIZE: return v >= 1000000 ? print_decimal(v, 1000000, decimals, "MB", out, cap) : print_decimal(v, 1, decimals, "B", out, cap);
	default: return (size_t)snprintf(out, cap, "%llu", (unsigned long long)v);
	}
}

size_t story_print_value(enum scenario_unit unit, uint64_t v, char *out, size_t cap) { return print_value(unit, v, DECIMALS, out, cap); }
size_t story_print_exact(enum scenario_unit unit, uint64_t v, char *out, size_t cap) { return print_value(unit, v, DECIMALS_ALL, out, cap); }
