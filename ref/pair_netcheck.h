/* A small world of virtual time for tests of the network check: STUN servers, TCP ports and names with delays and faults, a host that
 * drives the machine, and a log of all that it does. Functions are static inline: one header, no object. For *_test.c only, which
 * include it behind cmocka. */
#ifndef REF_PAIR_NETCHECK_H
#define REF_PAIR_NETCHECK_H

#include "address.h"
#include "buf.h"
#include "netcheck.h"
#include "stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORLD_SERVERS = 128, WORLD_CONNS = 1024, WORLD_ITEMS = 4096, WORLD_LOG = 1 << 16, WORLD_MAP = 1 << 15 };

/* A place in the world, by address: a STUN server, a TCP port, or a name (then `name` says which and `at` what it stands for). */
enum kind { UDP_ANSWERS, TCP_ANSWERS, TCP_REFUSES, TCP_SILENT, TCP_BREAKS, NAME_KNOWN, NAME_FAILS, NAME_SILENT };
struct server {
	enum kind kind;
	const char *name;
	struct address at;
	uint64_t rtt;
	uint32_t lose;               /* UDP: first requests that vanish */
	const char *mapped;          /* UDP: NULL: one and the same */
	const char *answer;          /* TCP: to a request; NULL: none */
	bool unverified;             /* TCP: its certificate */
	uint32_t asked;              /* requests, dials or questions so far */
	char request[600], sni[300]; /* TCP: the last ones */
};

struct conn {
	uint64_t token; /* TOKEN_NONE: over */
	struct server *server;
	const char *name; /* of START_TLS, while it must live */
};

struct item {
	uint64_t at, order, token;
	enum event_kind kind;
	enum close_cause cause;
	enum answer_result result;
	struct server *server;
	uint8_t bytes[STUN_RESPONSE_MAX]; /* DATAGRAM */
	uint32_t from, n;                 /* BYTES: of the server's answer */
};

struct world {
	struct tracer tracer;
	struct netcheck *check;
	struct actions out, up;
	uint64_t now, orders;
	struct server server[WORLD_SERVERS];
	uint32_t servers;
	struct conn conn[WORLD_CONNS];
	struct item item[WORLD_ITEMS];
	uint32_t items;
	uint32_t open, open_max;          /* tokens of the machine's that are not over */
	size_t chunk;                     /* BYTES of at most so many bytes; 0: whole */
	uint32_t reports, stopped, homes; /* DELIVERs and notes so far */
	char log[WORLD_LOG];
	size_t log_n;
	uint8_t txid[WORLD_ITEMS][STUN_TXID]; /* of all requests */
	uint8_t datagram[STUN_REQUEST];       /* the last one */
	uint32_t requests;
};

#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define WORLD_SOCKET4 ((uint64_t)1 << 32 | 5000)
#define WORLD_SOCKET6 ((uint64_t)1 << 32 | 5001)

static inline struct address world_address(const char *text)
{
	struct address a = { 0 };

	if (!address_parse(text, strlen(text), &a)) fail_msg("no address: %s", text);
	return a;
}

/* "12.5 udp 192.0.2.1:3478": milliseconds, what, where. */
static inline void world_logged(struct world *w, const char *what, const char *where)
{
	unsigned long long us = (unsigned long long)(w->now / NS_US);

	w->log_n += (size_t)snprintf(w->log + w->log_n, WORLD_LOG - w->log_n, "%llu", us / 1000);
	if (us % 1000 != 0) w->log_n += (size_t)snprintf(w->log + w->log_n, WORLD_LOG - w->log_n, ".%03llu", us % 1000);
	w->log_n += (size_t)snprintf(w->log + w->log_n, WORLD_LOG - w->log_n, " %s %s\n", what, where);
	assert_true(w->log_n < WORLD_LOG);
}

static inline void world_log_is(struct world *w, const char *want)
{
	assert_string_equal(w->log, want);
	w->log_n = 0, w->log[0] = 0;
}

/* ---- the world answers ---- */

static inline struct item *world_enqueue(struct world *w, uint64_t delay, enum event_kind kind, uint64_t token)
{
	assert_true(w->items < WORLD_ITEMS);
	w->item[w->items] = (struct item){ .at = w->now + delay, .order = w->orders++, .kind = kind, .token = token };
	return &w->item[w->items++];
}

static inline void world_forget(struct world *w, uint64_t token)
{
	for (uint32_t i = 0; i < w->items;)
		if (w->item[i].token == token)
			w->item[i] = w->item[--w->items];
		else
			i++;
}

static inline struct conn *world_conn(struct world *w, uint64_t token)
{
	for (uint32_t i = 0; i < WORLD_CONNS; i++)
		if (w->conn[i].token == token) return &w->conn[i];
	return NULL;
}

static inline struct server *world_server_at(struct world *w, bool udp, const struct address *at)
{
	for (uint32_t i = 0; i < w->servers; i++)
		if (w->server[i].name == NULL && (w->server[i].kind == UDP_ANSWERS) == udp && address_equal(&w->server[i].at, at))
			return &w->server[i];
	return NULL;
}

static inline void world_opened(struct world *w, uint64_t token, struct server *server)
{
	struct conn *c = world_conn(w, TOKEN_NONE);

	assert_non_null(c);
	assert_true(token_is_machine(token));
	assert_in_range(token_slot(token), 100, 100 + NETCHECK_SLOTS - 1);
	for (uint32_t i = 0; i < WORLD_CONNS; i++) assert_true(w->conn[i].token == TOKEN_NONE || token_slot(w->conn[i].token) != token_slot(token));
	*c = (struct conn){ .token = token, .server = server };
	if (++w->open > w->open_max) w->open_max = w->open;
}

static inline void world_datagram_sent(struct world *w, const struct action *x)
{
	struct server *s = world_server_at(w, true, &x->address);
	const uint8_t *p = action_head(&w->out, x);
	uint8_t txid[STUN_TXID];
	struct address mapped;
	struct item *item;
	char text[ADDRESS_TEXT];

	assert_int_equal(x->token, address_is_v4(&x->address) ? WORLD_SOCKET4 : WORLD_SOCKET6);
	assert_int_equal(stun_request_parse(p, x->head_n, txid), STUN_GOOD);
	assert_int_equal(x->head_n, STUN_REQUEST);
	memcpy(w->datagram, p, STUN_REQUEST);
	for (uint32_t i = 0; i < w->requests; i++) assert_memory_not_equal(w->txid[i], txid, STUN_TXID);
	memcpy(w->txid[w->requests++], txid, STUN_TXID);
	world_logged(w, "udp", address_text(&x->address, text));
	if (s == NULL || s->asked++ < s->lose) return;
	item = world_enqueue(w, s->rtt, EVENT_DATAGRAM, x->token);
	mapped = world_address(s->mapped != NULL ? s->mapped : address_is_v4(&s->at) ? "203.0.113.5:41641" : "[2001:db8::5]:41641");
	item->n = stun_response(item->bytes, txid, &mapped);
	item->server = s;
}

static inline void world_dialed(struct world *w, const struct action *x)
{
	struct server *s = world_server_at(w, false, &x->address);
	char text[ADDRESS_TEXT];

	world_logged(w, "dial", address_text(&x->address, text));
	world_opened(w, x->token, s);
	if (s == NULL) return; /* nobody is there: silence */
	s->asked++;
	if (s->kind == TCP_ANSWERS || s->kind == TCP_BREAKS) world_enqueue(w, s->rtt, EVENT_DIALED, x->token);
	if (s->kind == TCP_REFUSES) world_enqueue(w, s->rtt, EVENT_CLOSED, x->token)->cause = CLOSE_REFUSED;
}

static inline void world_asked(struct world *w, const struct action *x)
{
	char name[80];

	snprintf(name, sizeof name, "%.*s%s", (int)x->span.n, (const char *)x->span.p, x->ask == ASK_NAME6 ? "/6" : "/4");
	world_logged(w, "ask", name);
	for (uint32_t i = 0; i < w->servers; i++) {
		struct server *s = &w->server[i];
		struct item *item;
		if (s->name == NULL || strcmp(s->name, name) != 0) continue;
		world_opened(w, x->token, s);
		s->asked++;
		if (s->kind == NAME_SILENT) return;
		item = world_enqueue(w, s->rtt, EVENT_ANSWER, x->token);
		item->server = s;
		item->result = s->kind == NAME_KNOWN ? ANSWER_OK : ANSWER_FAILED;
		return;
	}
	world_opened(w, x->token, NULL);
	world_enqueue(w, 0, EVENT_ANSWER, x->token)->result = ANSWER_FAILED;
}

static inline void world_sent(struct world *w, const struct action *x)
{
	struct server *s = world_conn(w, x->token)->server;
	char first[64];

	snprintf(s->request, sizeof s->request, "%.*s", (int)x->head_n, (const char *)action_head(&w->out, x));
	snprintf(first, sizeof first, "%.*s", (int)strcspn(s->request, "\r"), s->request);
	world_logged(w, "send", first);
	if (s->kind == TCP_BREAKS) world_enqueue(w, s->rtt, EVENT_CLOSED, x->token)->cause = CLOSE_RESET;
	if (s->answer == NULL) return;
	for (size_t at = 0, n = strlen(s->answer); at < n;) {
		struct item *item = world_enqueue(w, s->rtt, EVENT_BYTES, x->token);
		size_t take = w->chunk == 0 || w->chunk > n - at ? n - at : w->chunk;
		item->server = s;
		item->from = (uint32_t)at;
		item->n = (uint32_t)take;
		at += take;
	}
}

static inline void world_closed(struct world *w, const struct action *x)
{
	struct conn *c = world_conn(w, x->token);
	bool name = c != NULL && c->server != NULL && c->server->name != NULL;

	assert_non_null(c);
	assert_true(x->abort);
	world_forget(w, x->token);
	if (name)
		world_enqueue(w, 0, EVENT_ANSWER, x->token)->result = ANSWER_CANCELLED;
	else
		world_enqueue(w, 0, EVENT_CLOSED, x->token)->cause = CLOSE_LOCAL;
}

static inline void world_tls(struct world *w, const struct action *x)
{
	struct conn *c = world_conn(w, x->token);

	snprintf(c->server->sni, sizeof c->server->sni, "%s%s", x->tls.server_name, x->tls.insecure ? " insecure" : "");
	c->name = x->tls.server_name;
	world_enqueue(w, c->server->rtt, EVENT_SECURED, x->token);
}

static inline void world_apply(struct world *w)
{
	for (uint32_t i = 0; i < w->out.n; i++) {
		const struct action *x = &w->out.v[i];
		switch (x->kind) {
		case ACTION_DATAGRAM: world_datagram_sent(w, x); break;
		case ACTION_DIAL: world_dialed(w, x); break;
		case ACTION_ASK: world_asked(w, x); break;
		case ACTION_SEND: world_sent(w, x); break;
		case ACTION_CLOSE: world_closed(w, x); break;
		case ACTION_START_TLS: world_tls(w, x); break;
		default: fail_msg("action %s", action_kind_name((enum action_kind)x->kind));
		}
	}
	for (uint32_t i = 0; i < w->up.n; i++) {
		char text[80];
		w->reports += w->up.v[i].deliver.what == DELIVER_REPORT;
		w->stopped += w->up.v[i].deliver.what == DELIVER_STOPPED;
		snprintf(text, sizeof text, "home=%llu preferred=%llu", (unsigned long long)w->up.v[i].deliver.a,
		         (unsigned long long)w->up.v[i].deliver.b);
		world_logged(w, deliver_kind_name(w->up.v[i].deliver.what), text);
	}
	actions_reset(&w->out);
	actions_reset(&w->up);
}

static inline void world_step(struct world *w, struct event e)
{
	e.now = w->now;
	machine_step(netcheck_machine(w->check), &e, &w->out, &w->up);
	world_apply(w);
}

/* ---- time ---- */

/* Event bytes are copies of exactly their length that die after the step. */
static inline void world_deliver(struct world *w, struct item item)
{
	struct event e = { .kind = item.kind, .token = item.token };
	struct event_datagram datagram = { .n = item.n };
	struct event_dialed dialed_ = { 0 };
	struct event_secured secured = { .version = 0x0304, .verified = true };
	struct event_answer answer = { .result = item.result };
	struct address *to = mem_zero(1, sizeof *to);
	struct conn *c = item.kind == EVENT_DATAGRAM ? NULL : world_conn(w, item.token);
	uint8_t *copy = mem_alloc(item.n);

	if (item.kind == EVENT_DATAGRAM) {
		memcpy(copy, item.bytes, item.n);
		if (item.server != NULL) datagram.peer = item.server->at;
		datagram.p = copy, e.datagram = &datagram;
	}
	if (item.kind == EVENT_BYTES) {
		memcpy(copy, item.server->answer + item.from, item.n);
		e.bytes = (struct event_bytes){ copy, item.n };
	}
	if (c != NULL && c->name != NULL && (item.kind == EVENT_SECURED || item.kind == EVENT_CLOSED)) {
		assert_memory_equal(c->name, c->server->sni, strlen(c->name)); /* it lives until now */
		c->name = NULL;
	}
	if (item.kind == EVENT_DIALED) e.dialed = &dialed_;
	if (item.kind == EVENT_SECURED) secured.verified = !c->server->unverified, e.secured = &secured;
	if (item.kind == EVENT_ANSWER && item.result == ANSWER_OK) *to = item.server->at, answer.p = (const uint8_t *)to, answer.n = 1;
	if (item.kind == EVENT_ANSWER) e.answer = &answer;
	if (item.kind == EVENT_CLOSED) e.closed.cause = item.cause;
	if (item.kind == EVENT_CLOSED || item.kind == EVENT_ANSWER) c->token = TOKEN_NONE, w->open--;
	world_step(w, e);
	free(copy);
	free(to);
}

static inline uint32_t world_next(const struct world *w)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < w->items; i++) {
		const struct item *a = &w->item[i], *b = &w->item[best];
		if (a->at < b->at || (a->at == b->at && a->order < b->order)) best = i;
	}
	return best;
}

/* Lets time pass up to and with `until`, answers before timers. */
static inline void world_run_until(struct world *w, uint64_t until)
{
	for (uint32_t steps = 0;; steps++) {
		uint64_t timer = machine_deadline(netcheck_machine(w->check)), at = timer;
		uint32_t next = world_next(w);
		assert_in_range(steps, 0, 1000000);
		if (w->items > 0 && w->item[next].at <= at) at = w->item[next].at;
		if (at > until) break;
		if (at > w->now) w->now = at;
		if (w->items > 0 && w->item[next].at <= w->now) {
			struct item item = w->item[next];
			w->item[next] = w->item[--w->items];
			world_deliver(w, item);
		} else {
			world_step(w, (struct event){ .kind = EVENT_TIMER });
		}
	}
	w->now = until;
}

static inline void world_run_for(struct world *w, uint64_t ns) { world_run_until(w, w->now + ns); }

/* ---- set up ---- */

static inline void world_note(struct tracer *t, const struct note *n)
{
	((struct world *)t)->homes += n->kind == NOTE_HOME;
	assert_non_null(n->text);
	assert_int_not_equal(n->a, n->b);
}

static inline struct world *world_new(void)
{
	struct world *w = mem_zero(1, sizeof *w);

	w->tracer.note = world_note;
	w->check = netcheck_new(&(struct machine_env){ .tracer = &w->tracer });
	actions_init(&w->out);
	actions_init(&w->up);
	return w;
}

static inline void world_free(struct world *w)
{
	machine_free(netcheck_machine(w->check));
	actions_free(&w->out);
	actions_free(&w->up);
	free(w);
}

static inline struct server *world_add(struct world *w, enum kind kind, const char *at, uint64_t rtt)
{
	struct server *s = &w->server[w->servers++];

	assert_true(w->servers <= WORLD_SERVERS);
	*s = (struct server){ .kind = kind, .rtt = rtt };
	if (at != NULL) s->at = world_address(at);
	return s;
}

static inline struct server *world_add_name(struct world *w, enum kind kind, const char *name, const char *at, uint64_t rtt)
{
	struct server *s = world_add(w, kind, at, rtt);

	s->name = name;
	return s;
}

/* One element of a list behind `at`: everything up to a blank or one of `ends`, with what is in braces skipped. */
static inline const char *world_element(const char *at, const char *ends)
{
	int depth = 0;

	for (; *at != 0 && (depth > 0 || (*at != ' ' && strchr(ends, *at) == NULL)); at++) depth += *at == '{', depth -= *at == '}';
	return at;
}

/* The inside of braces, with ' for ". */
static inline size_t world_members(char *out, const char *p, const char *end)
{
	size_t n = 0;

	if (p == end || *p != '{') return 0;
	out[n++] = ',';
	for (p++; p < end - 1; p++) out[n++] = *p == '\'' ? '"' : *p;
	return n;
}

/* A map from a list of regions: ID[{members}][=NODE[{members}][+NODE...]]. A region without `=` has the node of its own number. Node N has
 * the host name nN.test, IPv4 192.0.2.N and no IPv6; members change that. `1 2{'Avoid':true}=2+3{'STUNPort':-1} 4=` */
static inline void world_json(char out[WORLD_MAP], const char *spec)
{
	size_t n = (size_t)sprintf(out, "{\"Regions\":{");

	while (*spec != 0) {
		const char *end = world_element(spec, "="), *nodes = *end == '=' ? end + 1 : spec, *stop = world_element(end, "");
		int id = atoi(spec);
		n += (size_t)sprintf(out + n, "%s\"%d\":{\"RegionID\":%d", out[n - 1] == '{' ? "" : ",", id, id);
		n += world_members(out + n, spec + strspn(spec, "0123456789"), end);
		n += (size_t)sprintf(out + n, ",\"Nodes\":[");
		while (nodes < stop) {
			const char *next = world_element(nodes, "+=");
			int node = atoi(nodes);
			n += (size_t)sprintf(out + n,
			                     "%s{\"Name\":\"%d\",\"RegionID\":%d,\"HostName\":\"n%d.test\",\"IPv4\":\"192.0.2.%d\",\"IPv6\":\"none\"",
			                     out[n - 1] == '[' ? "" : ",", node, id, node, node);
			if (*end == '=') n += world_members(out + n, nodes + strspn(nodes, "0123456789"), next);
			out[n++] = '}';
			nodes = *next == '+' ? next + 1 : stop;
		}
		n += (size_t)sprintf(out + n, "]}");
		spec = *stop == ' ' ? stop + 1 : stop;
		assert_true(n < WORLD_MAP - 1000);
	}
	sprintf(out + n, "}}");
}

/* Configuration text with a map: NULL for none. The copy is the caller's. */
static inline char *world_text(const char *config, const char *map)
{
	char *text = mem_alloc(2 * WORLD_MAP), error[200];
	size_t n = (size_t)snprintf(text, WORLD_MAP, "%s%s", config, map == NULL ? "" : "\nmap=");

	if (map != NULL) world_json(text + n, map);
	if (!netcheck_config_check(text, strlen(text), error)) fail_msg("%s", error);
	return mem_grow(text, strlen(text) + 1);
}

static inline void world_set(struct world *w, const char *config, const char *map)
{
	char *text = world_text(config, map);
	struct event_command m = { .verb = COMMAND_SET, .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) };

	world_step(w, (struct event){ .kind = EVENT_COMMAND, .command = &m });
	free(text);
}

static inline void world_check(struct world *w, bool full)
{
	struct event_command m = { .verb = COMMAND_CHECK, .flag = full };

	world_step(w, (struct event){ .kind = EVENT_COMMAND, .command = &m });
}

static inline void world_start_seeded(struct world *w, const char *config, const char *map, uint8_t seed)
{
	struct socket_info sockets[4] = { { .token = 77 },
		                          { .token = WORLD_SOCKET4, .datagram = true },
		                          { .token = WORLD_SOCKET6, .datagram = true },
		                          { .token = 78, .datagram = true } };
	char *text = world_text(config, map);
	struct event_start s = { .seed = { seed },
		                 .slot_first = 100,
		                 .slot_count = NETCHECK_SLOTS,
		                 .config = text,
		                 .config_n = strlen(text),
		                 .sockets = sockets,
		                 .sockets_n = 4 };

	sockets[1].local = sockets[3].local = world_address("0.0.0.0:1");
	world_step(w, (struct event){ .kind = EVENT_START, .start = &s });
	free(text);
}

static inline void world_start(struct world *w, const char *config, const char *map) { world_start_seeded(w, config, map, 1); }

static inline uint64_t world_latency(const struct world *w, int64_t region)
{
	const struct netcheck_region *r = netcheck_report_region(netcheck_report(w->check), region);

	return r == NULL ? 0 : r->ns;
}

#endif
