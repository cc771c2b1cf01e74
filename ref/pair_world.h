/* A host for tests: relays, clients and hand-written peers joined in memory.
 *
 * What machines SEND becomes BYTES of the other end, whole or in chunks, at once; time stands still until pair_advance. One end
 * of a stream may be a "wire": then the test itself writes its bytes and reads what came. A transport can be stopped for a while
 * (pair_stall), so that DRAINED tells of refused bytes. Event bytes are copies of exactly their length that die after the step,
 * so that a sanitizer sees who keeps them too long. Functions are static inline: one header, no object. For *_test.c only. */
#ifndef REF_PAIR_WORLD_H
#define REF_PAIR_WORLD_H

#include "address.h"
#include "buf.h"
#include "client.h"
#include "frame.h"
#include "login.h"
#include "machine.h"
#include "relay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAIR_HOSTS = 8,
	PAIR_STREAMS = 512,
	PAIR_SLOTS = 1024,
	PAIR_LISTENERS = 16,
	PAIR_TURN = 32768,
	PAIR_LOW_WATER = 65536,
	PAIR_LISTENER_SLOT = 900000,
	PAIR_CHILD_SLOTS = 64 * CLIENT_SLOTS,
	PAIR_ASKS = 64
};

struct pair_buf {
	uint8_t *p;
	size_t n, cap;
};

/* What a machine told its owner, copied. */
struct pair_heard {
	enum deliver_kind what;
	uint64_t now, token, a, b;
	uint32_t region;
	bool has_key;
	uint8_t key[KEY_SIZE];
	uint8_t *p;
	uint32_t n;
};

struct pair_note {
	enum note_kind kind;
	uint64_t now, token, a, b;
	uint8_t key[KEY_SIZE], key2[KEY_SIZE];
	char text[64];
};

/* Where a DIAL ends up. Addresses without a listener refuse. */
enum pair_where { PAIR_REFUSE, PAIR_RELAY, PAIR_WIRE, PAIR_SILENT, PAIR_UNREACHABLE };
struct pair_listener {
	struct address at;
	enum pair_where where;
	int host;
	uint64_t token;
	bool tls;
};

enum pair_ended { PAIR_OPEN, PAIR_EOF, PAIR_RESET };

struct pair_end {
	int host; /* -1: a wire */
	uint64_t token;
	bool open;               /* host: between ACCEPTED or DIALED and CLOSED; wire: it may write */
	bool fin;                /* FIN once `held` is gone */
	bool fin_gone;           /* and it is on its way */
	bool eof_due;            /* CLOSED eof waits: it is not read on */
	uint32_t read_max;       /* READ; 0: not read on */
	bool tls, secured;       /* START_TLS asked for, SECURED told */
	char meta[96];           /* server side: meta certificate's name */
	char server_name[128];   /* client side: SNI */
	struct pair_buf held;    /* sent and not yet taken by the transport */
	struct pair_buf got;     /* on its way to this end; a wire's whole input */
	size_t at;               /* of `got`: how far it is read */
	struct pair_buf log;     /* with pair.log: everything that came to this end */
	size_t room;             /* bytes that the transport still takes; SIZE_MAX: everything */
	uint64_t unacked, moved; /* as in machine.h; taken and not yet told */
	uint64_t left_told;      /* `left` of the last DRAINED */
	enum pair_ended ended;   /* wire: how the other side ended */
};

struct pair_stream {
	struct pair_end end[2]; /* 0 dialled, 1 accepted */
	struct address to;
	bool used, silent;
};

/* A question of a relay that is open. */
struct pair_ask {
	uint64_t token; /* TOKEN_NONE: free */
	uint8_t ask;
	char text[512]; /* as asked; a body stands behind its NUL */
};

struct pair_host {
	struct pair *pair;
	struct tracer tracer;
	struct machine *machine;
	struct relay *relay;
	struct client *client;
	struct actions out, up;
	bool slot_used[PAIR_SLOTS];
	uint32_t generation;
	struct pair_heard *heard;
	size_t heard_n, heard_cap;
	struct pair_note *note;
	size_t note_n, note_cap;
	uint64_t ask_token; /* a client's last ASK */
	char ask[128];
	struct pair_ask asked[PAIR_ASKS]; /* a relay's, in the order in which places were free */
	uint32_t asks;                    /* so far */
	uint64_t work[WORK_KINDS];
	uint64_t timers; /* TIMER events so far */
};

struct pair_item {
	enum event_kind kind;
	int stream, side, host;
	enum close_cause cause;
	uint64_t n, left, token;
};

struct pair {
	uint64_t now;
	size_t chunk; /* BYTES of at most so many bytes; 0: whole */
	bool log;
	bool strip_meta;
	char wire_meta[96];              /* meta certificate's name that a wire shows as a relay */
	const struct certificate *chain; /* NULL, or what every server presents instead of a certificate for its name and address */
	uint32_t chain_n;
	bool unverified;    /* the host trusts no chain */
	uint64_t wall_ns;   /* at time 0 */
	uint8_t dials_from; /* last byte of the address from which connections are dialled; 0: 7 */
	uint16_t tls_version;
	uint8_t seed;
	struct address remote; /* from where wires and clients come, if not all zero */
	struct pair_host host[PAIR_HOSTS];
	int hosts;
	struct pair_stream stream[PAIR_STREAMS];
	int streams;
	struct pair_listener listener[PAIR_LISTENERS];
	int listeners;
	bool nameless; /* who connects has neither IP address nor port (PGR-020) */
	struct pair_item *queue;
	size_t queue_n, queue_cap, queue_at;
};

/* ---- bytes ---- */

static inline void pair_put(struct pair_buf *b, const void *p, size_t n)
{
	if (n == 0) return;
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->p = mem_grow(b->p, b->cap);
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void pair_cut(struct pair_buf *b, size_t n)
{
	assert(n <= b->n);
	if (n != b->n) memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

static inline void pair_enqueue(struct pair *p, struct pair_item item)
{
	if (p->queue_n == p->queue_cap) {
		p->queue_cap = p->queue_cap ? 2 * p->queue_cap : 64;
		p->queue = mem_grow(p->queue, p->queue_cap * sizeof *p->queue);
	}
	p->queue[p->queue_n++] = item;
}

/* ---- keys ---- */

/* The keys of the transcripts: 32 bytes that count up from `first`. server 00, a 20, b 40, c 60, d 80, server2 a0, mesh e0. */
static inline struct key pair_key(uint8_t first)
{
	struct key key;

	for (int i = 0; i < KEY_SIZE; i++) key.b[i] = (uint8_t)(first + i);
	return key;
}

static inline struct key pair_public(uint8_t first)
{
	struct key key = pair_key(first), public_key;

	key_public(&key, &public_key);
	return public_key;
}

static inline const char *pair_hex(uint8_t first, char out[KEY_HEX + 1])
{
	struct key key = pair_key(first);

	key_hex(key.b, out);
	out[KEY_HEX] = 0;
	return out;
}

/* ---- the transport ---- */

static inline void pair_apply(struct pair *p, int host);

static inline void pair_note_copy(struct tracer *t, const struct note *note)
{
	struct pair_host *h = (struct pair_host *)(void *)((char *)t - offsetof(struct pair_host, tracer));
	struct pair_note *x;

	MEM_ROOM(h->note, h->note_n, h->note_cap);
	x = &h->note[h->note_n++];
	*x = (struct pair_note){ .kind = note->kind, .now = note->now, .token = note->token, .a = note->a, .b = note->b };
	if (note->key != NULL) memcpy(x->key, note->key, KEY_SIZE);
	if (note->key2 != NULL) memcpy(x->key2, note->key2, KEY_SIZE);
	if (note->text != NULL) snprintf(x->text, sizeof x->text, "%s", note->text);
}

static inline void pair_hear(struct pair *p, struct pair_host *h)
{
	for (uint32_t i = 0; i < h->up.n; i++) {
		const struct action *x = &h->up.v[i];
		struct pair_heard *y;
		MEM_ROOM(h->heard, h->heard_n, h->heard_cap);
		y = &h->heard[h->heard_n++];
		assert(x->kind == ACTION_DELIVER);
		*y = (struct pair_heard){ .what = x->deliver.what,
			                  .now = p->now,
			                  .token = x->token,
			                  .a = x->deliver.a,
			                  .b = x->deliver.b,
			                  .region = x->deliver.region,
			                  .has_key = x->deliver.key != NULL,
			                  .n = x->span.n };
		if (y->has_key) memcpy(y->key, x->deliver.key, KEY_SIZE);
		y->p = mem_alloc(x->span.n);
		if (x->span.n != 0) memcpy(y->p, x->span.p, x->span.n);
	}
	actions_reset(&h->up);
}

static inline void pair_step(struct pair *p, int host, const struct event *e)
{
	struct pair_host *h = &p->host[host];

	machine_step(h->machine, e, &h->out, &h->up);
	for (int i = 0; i < WORK_KINDS; i++) h->work[i] += h->out.work[i];
	pair_hear(p, h);
	pair_apply(p, host);
	actions_reset(&h->out);
}

static inline uint64_t pair_slot(struct pair_host *h)
{
	for (uint32_t i = 1; i < PAIR_SLOTS; i++)
		if (!h->slot_used[i]) {
			h->slot_used[i] = true;
			return token_make(i, ++h->generation);
		}
	assert(false && "slots of a test host");
	return TOKEN_NONE;
}

static inline struct pair_end *pair_peer(struct pair *p, int s, int side) { return &p->stream[s].end[!side]; }

static inline void pair_close_told(struct pair *p, int s, int side, enum close_cause cause)
{
	struct pair_end *e = &p->stream[s].end[side];

	if (e->host < 0) {
		if (e->ended == PAIR_OPEN) e->ended = cause == CLOSE_EOF ? PAIR_EOF : PAIR_RESET;
		return;
	}
	pair_enqueue(p, (struct pair_item){ .kind = EVENT_CLOSED, .stream = s, .side = side, .cause = cause, .token = e->token });
}

/* Moves what the transport takes, tells DRAINED where it is due, lets a FIN follow the last byte. */
static inline void pair_flush(struct pair *p, int s, int side)
{
	struct pair_end *e = &p->stream[s].end[side], *peer = pair_peer(p, s, side);
	size_t take = e->held.n < e->room ? e->held.n : e->room;

	if (take != 0) {
		pair_put(&peer->got, e->held.p, take);
		if (p->log) pair_put(&peer->log, e->held.p, take);
		pair_cut(&e->held, take);
		if (e->room != SIZE_MAX) e->room -= take;
		e->moved += take;
		if (peer->host >= 0) pair_enqueue(p, (struct pair_item){ .kind = EVENT_BYTES, .stream = s, .side = !side });
	}
	if (e->host >= 0 && e->open &&
	    ((e->moved != 0 && (e->unacked > PAIR_LOW_WATER || e->left_told != 0)) || (e->held.n != 0) != (e->left_told != 0) ||
	     e->held.n < e->left_told)) {
		pair_enqueue(p, (struct pair_item){
					.kind = EVENT_DRAINED, .stream = s, .side = side, .n = e->moved, .left = e->held.n, .token = e->token });
		e->unacked -= e->moved;
		e->moved = 0;
		e->left_told = e->held.n;
	}
	if (e->fin && !e->fin_gone && e->held.n == 0) {
		e->fin_gone = true;
		pair_close_told(p, s, !side, CLOSE_EOF);
	}
}

static inline void pair_abort(struct pair *p, int s, int side)
{
	struct pair_end *e = &p->stream[s].end[side], *peer = pair_peer(p, s, side);

	e->held.n = 0;
	e->fin = e->fin_gone = true;
	peer->held.n = 0;
	if (peer->host >= 0) peer->got.n = peer->at = 0;
	if (e->host >= 0) e->got.n = e->at = 0;
	if (e->open) pair_close_told(p, s, side, CLOSE_LOCAL);
	if (peer->open && peer->ended == PAIR_OPEN) pair_close_told(p, s, !side, CLOSE_RESET);
}

static inline int pair_find(struct pair *p, int host, uint64_t token, int *side)
{
	for (int s = 0; s < p->streams; s++)
		for (int i = 0; i < 2; i++)
			if (p->stream[s].used && p->stream[s].end[i].host == host && p->stream[s].end[i].token == token) {
				*side = i;
				return s;
			}
	return -1;
}

static inline const struct pair_listener *pair_listener_at(const struct pair *p, const struct address *at)
{
	for (int i = 0; i < p->listeners; i++)
		if (address_equal(&p->listener[i].at, at)) return &p->listener[i];
	return NULL;
}

static inline void pair_listener_closed(struct pair *p, int host, uint64_t token)
{
	int n = 0;

	for (int i = 0; i < p->listeners; i++) {
		if (p->listener[i].host != host || p->listener[i].token != token) continue;
		p->listener[i].where = PAIR_REFUSE;
		n++;
	}
	assert(n == 1);
}

static inline int pair_stream_new(struct pair *p, int host, uint64_t token, const struct address *to)
{
	struct pair_stream *x = &p->stream[p->streams];

	assert(p->streams < PAIR_STREAMS);
	*x = (struct pair_stream){ .used = true, .to = *to };
	x->end[0] = (struct pair_end){ .host = host, .token = token, .room = SIZE_MAX, .read_max = PAIR_TURN };
	x->end[1] = (struct pair_end){ .host = -1, .room = SIZE_MAX, .read_max = PAIR_TURN };
	return p->streams++;
}

static inline void pair_accept(struct pair *p, int s, const struct pair_listener *l)
{
	struct pair_end *e = &p->stream[s].end[1];

	e->open = true;
	p->stream[s].end[0].open = true;
	if (l->where == PAIR_WIRE) return;
	e->host = l->host;
	e->token = pair_slot(&p->host[l->host]);
	pair_enqueue(p, (struct pair_item){ .kind = EVENT_ACCEPTED, .stream = s, .side = 1, .token = l->token });
}

static inline void pair_dial(struct pair *p, int host, const struct action *x)
{
	const struct pair_listener *l = pair_listener_at(p, &x->address);
	int s = pair_stream_new(p, host, x->token, &x->address);

	if (l != NULL && l->where == PAIR_SILENT) {
		p->stream[s].silent = true;
		p->stream[s].end[0].open = true;
		return;
	}
	if (l == NULL || l->where == PAIR_REFUSE || l->where == PAIR_UNREACHABLE) {
		pair_close_told(p, s, 0, l != NULL && l->where == PAIR_UNREACHABLE ? CLOSE_UNREACHABLE : CLOSE_REFUSED);
		return;
	}
	pair_accept(p, s, l);
	pair_enqueue(p, (struct pair_item){ .kind = EVENT_DIALED, .stream = s, .side = 0, .token = x->token });
}

/* Both sides want TLS, or one wants it and the other is a wire: the handshake is over at once. */
static inline void pair_tls(struct pair *p, int s, int side, const struct action *x)
{
	struct pair_end *e = &p->stream[s].end[side], *peer = pair_peer(p, s, side);

	e->tls = true;
	assert(x->tls.server == (side == 1));
	if (x->tls.meta_name != NULL) snprintf(e->meta, sizeof e->meta, "%s", x->tls.meta_name);
	if (x->tls.server_name != NULL) snprintf(e->server_name, sizeof e->server_name, "%s", x->tls.server_name);
	if (peer->host >= 0 && !peer->tls) return;
	for (int i = 0; i < 2; i++)
		if (p->stream[s].end[i].host >= 0) pair_enqueue(p, (struct pair_item){ .kind = EVENT_SECURED, .stream = s, .side = i });
}

static inline void pair_read(struct pair *p, int s, int side, uint32_t n)
{
	struct pair_end *e = &p->stream[s].end[side];
	bool opened = e->read_max == 0 && n != 0;

	e->read_max = n;
	if (!opened) return;
	if (e->got.n != 0) pair_enqueue(p, (struct pair_item){ .kind = EVENT_BYTES, .stream = s, .side = side });
	if (e->eof_due) pair_enqueue(p, (struct pair_item){ .kind = EVENT_CLOSED, .stream = s, .side = side, .cause = CLOSE_EOF, .token = e->token });
	e->eof_due = false;
}

static inline struct pair_ask *pair_asked(struct pair_host *h, uint64_t token)
{
	for (int i = 0; i < PAIR_ASKS; i++)
		if (h->asked[i].token == token) return &h->asked[i];
	return NULL;
}

static inline void pair_ask(struct pair *p, int host, const struct action *x)
{
	struct pair_host *h = &p->host[host];
	struct pair_ask *a = pair_asked(h, TOKEN_NONE);

	if (h->relay != NULL) {
		assert(a != NULL && x->span.n < sizeof a->text && pair_asked(h, x->token) == NULL);
		*a = (struct pair_ask){ .token = x->token, .ask = x->ask };
		memcpy(a->text, x->span.p, x->span.n);
		h->asks++;
		return;
	}
	assert(h->ask_token == TOKEN_NONE || x->ask == ASK_NAME6);
	snprintf(h->ask, sizeof h->ask, "%.*s", (int)x->span.n, (const char *)x->span.p);
	if (x->ask == ASK_NAME6) /* names have no IPv6 here */
		pair_enqueue(p, (struct pair_item){ .kind = EVENT_ANSWER, .host = host, .token = x->token });
	else
		h->ask_token = x->token;
}

static inline void pair_ask_cancelled(struct pair *p, int host, uint64_t token)
{
	struct pair_host *h = &p->host[host];
	struct pair_ask *a = pair_asked(h, token);

	assert(a != NULL || token == h->ask_token);
	pair_enqueue(p, (struct pair_item){ .kind = EVENT_ANSWER, .host = host, .token = token });
	if (a != NULL)
		a->token = TOKEN_NONE;
	else
		h->ask_token = TOKEN_NONE;
}

static inline void pair_apply(struct pair *p, int host)
{
	struct pair_host *h = &p->host[host];
	bool touched[PAIR_STREAMS][2];

	if (h->out.n == 0) return;
	memset(touched, 0, sizeof touched);
	for (uint32_t i = 0; i < h->out.n; i++) {
		const struct action *x = &h->out.v[i];
		int side = 0, s = -1;
		if (x->kind != ACTION_DIAL && x->kind != ACTION_ASK) s = pair_find(p, host, x->token, &side);
		switch (x->kind) {
		case ACTION_DIAL: pair_dial(p, host, x); break;
		case ACTION_START_TLS:
			assert(s >= 0);
			pair_tls(p, s, side, x);
			break;
		case ACTION_SEND:
			assert(s >= 0 && p->stream[s].end[side].open && !p->stream[s].end[side].fin);
			pair_put(&p->stream[s].end[side].held, action_head(&h->out, x), x->head_n);
			pair_put(&p->stream[s].end[side].held, x->span.p, x->span.n);
			p->stream[s].end[side].unacked += x->head_n + x->span.n;
			assert(x->head_n + x->span.n > 0);
			touched[s][side] = true;
			break;
		case ACTION_CLOSE:
			if (s < 0 && !token_is_machine(x->token)) {
				pair_listener_closed(p, host, x->token);
			} else if (s < 0) {
				pair_ask_cancelled(p, host, x->token);
			} else if (x->abort) {
				pair_abort(p, s, side);
			} else {
				p->stream[s].end[side].fin = true;
				touched[s][side] = true;
			}
			break;
		case ACTION_READ:
			assert(s >= 0);
			pair_read(p, s, side, x->read_n);
			break;
		case ACTION_ASK: pair_ask(p, host, x); break;
		default: assert(false && "an action this host knows");
		}
	}
	for (int s = 0; s < p->streams; s++)
		for (int side = 0; side < 2; side++)
			if (touched[s][side]) pair_flush(p, s, side);
}

/* ---- events ---- */

static inline void pair_bytes(struct pair *p, int s, int side)
{
	struct pair_end *e = &p->stream[s].end[side];
	size_t n = e->got.n - e->at, most = p->chunk != 0 ? p->chunk : PAIR_TURN;
	uint8_t *copy;

	if (n == 0 || !e->open || e->read_max == 0) return;
	if (n > most) n = most;
	if (n > e->read_max) n = e->read_max;
	copy = mem_alloc(n);
	memcpy(copy, e->got.p + e->at, n);
	e->at += n;
	if (e->at == e->got.n) e->got.n = e->at = 0;
	pair_step(p, e->host, &(struct event){ .kind = EVENT_BYTES, .now = p->now, .token = e->token, .bytes = { .p = copy, .n = (uint32_t)n } });
	free(copy);
	if (p->stream[s].end[side].got.n != 0) pair_enqueue(p, (struct pair_item){ .kind = EVENT_BYTES, .stream = s, .side = side });
}

static inline void pair_closed(struct pair *p, const struct pair_item *x)
{
	struct pair_end *e = &p->stream[x->stream].end[x->side];
	int host = e->host;

	if (e->token != x->token) return;
	if (x->cause == CLOSE_EOF && e->open && e->read_max == 0) {
		e->eof_due = true;
		return;
	}
	if (x->cause == CLOSE_EOF && e->got.n != 0 && e->open) { /* behind the last BYTES */
		pair_enqueue(p, *x);
		return;
	}
	e->open = false;
	pair_step(p, host, &(struct event){ .kind = EVENT_CLOSED, .now = p->now, .token = x->token, .closed = { .cause = x->cause } });
	if (!token_is_machine(e->token)) p->host[host].slot_used[token_slot(e->token)] = false;
	e->token = TOKEN_NONE;
	if (x->cause == CLOSE_EOF && !e->fin) { /* the host closes too */
		e->fin = true;
		pair_flush(p, x->stream, x->side);
	}
}

/* The literal without the port, which a certificate has not. */
static inline size_t pair_ip_text(const struct address *a, char out[ADDRESS_TEXT])
{
	size_t n = (size_t)(strrchr(address_text(a, out), ':') - out);

	if (*out != '[') return n;
	memmove(out, out + 1, n - 2);
	return n - 2;
}

static inline void pair_secured(struct pair *p, int s, int side)
{
	struct pair_end *e = &p->stream[s].end[side], *peer = pair_peer(p, s, side);
	const char *meta = peer->host < 0 ? p->wire_meta : peer->meta;
	char ip[ADDRESS_TEXT];
	struct certificate_name names[2] = { { .p = e->server_name, .n = strlen(e->server_name) }, { .p = ip, .ip = true } };
	struct certificate chain[2] = { { .common_name = "relay.test", .common_name_n = 10, .serial = 77, .names = names, .names_n = 2 } };
	struct event_secured secured = { .version = p->tls_version, .verified = !p->unverified, .chain = chain, .chain_n = 1 };

	if (!e->open || e->secured) return;
	e->secured = true;
	names[1].n = pair_ip_text(&p->stream[s].to, ip);
	if (side == 0 && !p->strip_meta && meta[0] != 0) {
		chain[1] = (struct certificate){ .common_name = meta, .common_name_n = strlen(meta), .serial = FRAME_PROTOCOL_VERSION };
		secured.chain_n = 2;
	}
	if (p->chain != NULL) secured.chain = p->chain, secured.chain_n = p->chain_n;
	pair_step(p, e->host, &(struct event){ .kind = EVENT_SECURED, .now = p->now, .token = e->token, .secured = &secured });
}

static inline struct address pair_address(uint8_t last, uint16_t port)
{
	return (struct address){ .ip = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last }, .port = port };
}

static inline void pair_dispatch(struct pair *p, struct pair_item x)
{
	struct pair_end *e = &p->stream[x.stream].end[x.side];
	struct event_accepted accepted = { .listener = x.token,
		                           .local = p->stream[x.stream].to,
		                           .remote = address_is_zero(&p->remote) ? pair_address(7, 41641) : p->remote };
	struct event_dialed dialed = { .local = pair_address(p->dials_from == 0 ? 7 : p->dials_from, 41641), .remote = p->stream[x.stream].to };
	struct event_answer answer = { .result = ANSWER_FAILED };

	if (p->nameless) accepted.remote = (struct address){ 0 };
	switch (x.kind) {
	case EVENT_ACCEPTED: pair_step(p, e->host, &(struct event){ .kind = x.kind, .now = p->now, .token = e->token, .accepted = &accepted }); break;
	case EVENT_DIALED:
		if (e->open && e->token == x.token)
			pair_step(p, e->host, &(struct event){ .kind = x.kind, .now = p->now, .token = x.token, .dialed = &dialed });
		break;
	case EVENT_SECURED: pair_secured(p, x.stream, x.side); break;
	case EVENT_BYTES: pair_bytes(p, x.stream, x.side); break;
	case EVENT_DRAINED:
		if (e->open && e->token == x.token)
			pair_step(p, e->host,
			          &(struct event){ .kind = x.kind, .now = p->now, .token = x.token, .drained = { .n = x.n, .left = x.left } });
		break;
	case EVENT_CLOSED: pair_closed(p, &x); break;
	case EVENT_ANSWER: pair_step(p, x.host, &(struct event){ .kind = x.kind, .now = p->now, .token = x.token, .answer = &answer }); break;
	default: assert(false && "an event this host queues");
	}
}

static inline uint64_t pair_deadline(const struct pair *p, int *host)
{
	uint64_t best = TIME_NEVER;

	for (int i = 0; i < p->hosts; i++) {
		uint64_t at = machine_deadline(p->host[i].machine);
		if (at < best) best = at, *host = i;
	}
	return best;
}

/* Everything that happens now, until nothing more does. */
static inline void pair_run(struct pair *p)
{
	int host = 0;

	for (uint32_t i = 0;; i++) {
		assert(i < 10000000 && "it never comes to rest");
		if (p->queue_at < p->queue_n) {
			pair_dispatch(p, p->queue[p->queue_at++]);
			continue;
		}
		p->queue_at = p->queue_n = 0;
		if (pair_deadline(p, &host) > p->now) return;
		p->host[host].timers++;
		pair_step(p, host, &(struct event){ .kind = EVENT_TIMER, .now = p->now });
	}
}

/* Lets time pass, with everything that comes due on the way. */
static inline void pair_advance(struct pair *p, uint64_t ns)
{
	uint64_t target = p->now + ns, at;
	int host = 0;

	for (pair_run(p); (at = pair_deadline(p, &host)) <= target; pair_run(p)) p->now = at > p->now ? at : p->now;
	p->now = target;
	pair_run(p);
}

/* ---- set up ---- */

static inline struct pair *pair_new(size_t chunk)
{
	struct pair *p = mem_zero(1, sizeof *p);

	p->chunk = chunk;
	p->tls_version = 0x0304;
	p->now = 0;
	return p;
}

static inline void pair_free(struct pair *p)
{
	for (int i = 0; i < p->hosts; i++) {
		struct pair_host *h = &p->host[i];
		machine_free(h->machine);
		actions_free(&h->out);
		actions_free(&h->up);
		for (size_t k = 0; k < h->heard_n; k++) free(h->heard[k].p);
		free(h->heard);
		free(h->note);
	}
	for (int s = 0; s < p->streams; s++)
		for (int i = 0; i < 2; i++) {
			free(p->stream[s].end[i].held.p);
			free(p->stream[s].end[i].got.p);
			free(p->stream[s].end[i].log.p);
		}
	free(p->queue);
	free(p);
}

static inline int pair_host_new(struct pair *p)
{
	struct pair_host *h = &p->host[p->hosts];

	assert(p->hosts < PAIR_HOSTS);
	h->pair = p;
	h->tracer.note = pair_note_copy;
	actions_init(&h->out);
	actions_init(&h->up);
	return p->hosts++;
}

static inline void pair_start(struct pair *p, int host, const char *config, const struct socket_info *sockets, uint32_t sockets_n)
{
	size_t n = strlen(config);
	char *text = mem_alloc(n);
	struct event_start start = { .seed = { p->seed, (uint8_t)(host + 1) },
		                     .wall_ns = p->wall_ns + p->now,
		                     .slot_first = 1,
		                     .slot_count = PAIR_CHILD_SLOTS,
		                     .turn_max = PAIR_TURN,
		                     .low_water = PAIR_LOW_WATER,
		                     .config = text,
		                     .config_n = n,
		                     .sockets = sockets,
		                     .sockets_n = sockets_n };

	memcpy(text, config, n);
	pair_step(p, host, &(struct event){ .kind = EVENT_START, .now = p->now, .start = &start });
	free(text);
}

static inline void pair_listen(struct pair *p, struct address at, enum pair_where where, int host, uint64_t token, bool tls)
{
	assert(p->listeners < PAIR_LISTENERS);
	p->listener[p->listeners++] = (struct pair_listener){ .at = at, .where = where, .host = host, .token = token, .tls = tls };
}

static inline void pair_listen_set(struct pair *p, struct address at, enum pair_where where)
{
	for (int i = 0; i < p->listeners; i++)
		if (address_equal(&p->listener[i].at, &at)) p->listener[i].where = where;
}

/* A relay at 192.0.2.(101 + host): port 80 plain, port 443 TLS, port 8080 the plain port beside TLS. config: more lines behind the key. Returns the host. */
static inline int pair_relay(struct pair *p, uint8_t key, const char *config)
{
	int host = pair_host_new(p);
	struct pair_host *h = &p->host[host];
	char text[2048], hex[KEY_HEX + 1];
	struct socket_info sockets[3] = {
		{ .token = token_make(PAIR_LISTENER_SLOT, 1), .local = pair_address((uint8_t)(101 + host), 80) },
		{ .token = token_make(PAIR_LISTENER_SLOT + 1, 1), .local = pair_address((uint8_t)(101 + host), 443), .tls = true },
		{ .token = token_make(PAIR_LISTENER_SLOT + 2, 1), .local = pair_address((uint8_t)(101 + host), 8080), .helper = true }
	};

	snprintf(text, sizeof text, "key=%s\n%s", pair_hex(key, hex), config);
	h->relay = relay_new(&(struct machine_env){ .tracer = &h->tracer });
	h->machine = relay_machine(h->relay);
	for (int i = 0; i < 3; i++) pair_listen(p, sockets[i].local, PAIR_RELAY, host, sockets[i].token, sockets[i].tls);
	pair_start(p, host, text, sockets, 3);
	pair_run(p);
	return host;
}

/* A client; config must say url= or region=. */
static inline int pair_client(struct pair *p, uint8_t key, const char *config)
{
	int host = pair_host_new(p);
	struct pair_host *h = &p->host[host];
	char text[4096], hex[KEY_HEX + 1];

	snprintf(text, sizeof text, "key=%s\n%s", pair_hex(key, hex), config);
	h->client = client_new(&(struct machine_env){ .tracer = &h->tracer });
	h->machine = client_machine(h->client);
	pair_start(p, host, text, NULL, 0);
	pair_run(p);
	return host;
}

#endif
