/* Fields one by one, in the order of the structs of machine.h. */
#include "event_code.h"

#include "../ref/buf.h"

#include <stdlib.h>
#include <string.h>

enum { ADDRESS_CODE = 18, SOCKET_CODE = 8 + ADDRESS_CODE + 3, NAME_CODE = 5, CERTIFICATE_CODE = 4 + 8 + 32 + 8 + 8 + 4, KEY_BYTES = 32 };

/* ---- to bytes ---- */

static uint8_t *room(struct event_code *c, uint32_t n)
{
	if (c->own_n + n > c->cap) {
		c->cap = 2 * (c->own_n + n);
		c->own = mem_grow(c->own, c->cap);
	}
	c->own_n += n;
	return c->own + c->own_n - n;
}

static void put(struct event_code *c, uint64_t v, uint32_t bytes)
{
	uint8_t *p = room(c, bytes);

	for (uint32_t i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static void put_raw(struct event_code *c, const void *p, uint32_t n)
{
	if (n != 0) memcpy(room(c, n), p, n);
}

static void put_blob(struct event_code *c, const void *p, uint32_t n)
{
	put(c, n, 4);
	put_raw(c, p, n);
}

static void put_address(struct event_code *c, const struct address *a)
{
	put_raw(c, a->ip, sizeof a->ip);
	put(c, a->port, 2);
}

static void put_start(struct event_code *c, const struct event_start *s)
{
	put_raw(c, s->seed, sizeof s->seed);
	put(c, s->wall_ns, 8);
	put(c, s->slot_first, 4);
	put(c, s->slot_count, 4);
	put(c, s->generation_first, 4);
	put(c, s->turn_max, 4);
	put(c, s->low_water, 4);
	put(c, s->sockets_n, 4);
	for (uint32_t i = 0; i < s->sockets_n; i++) {
		const struct socket_info *x = &s->sockets[i];
		put(c, x->token, 8);
		put_address(c, &x->local);
		put(c, x->tls, 1);
		put(c, x->helper, 1);
		put(c, x->datagram, 1);
	}
	put_raw(c, s->config, (uint32_t)s->config_n);
}

static void put_secured(struct event_code *c, const struct event_secured *s)
{
	put(c, s->version, 2);
	put(c, s->resumed, 1);
	put(c, s->verified, 1);
	put(c, s->chain_n, 4);
	for (uint32_t i = 0; i < s->chain_n; i++) {
		const struct certificate *x = &s->chain[i];
		put_blob(c, x->common_name, (uint32_t)x->common_name_n);
		put(c, x->serial, 8);
		put_raw(c, x->sha256, sizeof x->sha256);
		put(c, x->not_before_s, 8);
		put(c, x->not_after_s, 8);
		put(c, x->names_n, 4);
		for (uint32_t k = 0; k < x->names_n; k++) {
			put(c, x->names[k].ip, 1);
			put_blob(c, x->names[k].p, (uint32_t)x->names[k].n);
		}
	}
}

static void put_answer(struct event_code *c, const struct event_answer *a, bool names)
{
	put(c, a->result, 1);
	put(c, a->status, 4);
	put(c, names ? 2 : a->p != NULL, 1);
	if (!names) put_raw(c, a->p, a->n);
	for (uint32_t i = 0; names && i < a->n; i++) put_address(c, (const struct address *)(const void *)a->p + i);
}

static void put_key(struct event_code *c, const uint8_t *key)
{
	put(c, key != NULL, 1);
	if (key != NULL) put_raw(c, key, KEY_BYTES);
}

static void put_command(struct event_code *c, const struct event_command *m)
{
	put(c, m->verb, 1);
	put(c, m->flag, 1);
	put_key(c, m->dst);
	put_key(c, m->src);
	put(c, m->region, 8);
	put(c, m->patience_ns, 8);
	put(c, m->owner != NULL ? 2 : m->p != NULL, 1);
	put_raw(c, m->p, m->p == NULL ? 0 : m->n);
}

void event_encode(struct event_code *c, const struct event *e, bool names)
{
	c->own_n = 0;
	switch (e->kind) {
	case EVENT_BYTES: c->p = e->bytes.p, c->n = e->bytes.n; return;
	case EVENT_START: put_start(c, e->start); break;
	case EVENT_ACCEPTED:
		put(c, e->accepted->listener, 8);
		put_address(c, &e->accepted->local);
		put_address(c, &e->accepted->remote);
		break;
	case EVENT_DIALED:
		put_address(c, &e->dialed->local);
		put_address(c, &e->dialed->remote);
		break;
	case EVENT_SECURED: put_secured(c, e->secured); break;
	case EVENT_DRAINED:
		put(c, e->drained.n, 8);
		put(c, e->drained.left, 8);
		break;
	case EVENT_CLOSED: put(c, e->closed.cause, 1); break;
	case EVENT_DATAGRAM:
		put_address(c, &e->datagram->local);
		put_address(c, &e->datagram->peer);
		put_raw(c, e->datagram->p, e->datagram->n);
		break;
	case EVENT_ANSWER: put_answer(c, e->answer, names); break;
	case EVENT_COMMAND: put_command(c, e->command); break;
	case EVENT_TIMER:
	case EVENT_KINDS: break;
	}
	c->p = c->own;
	c->n = c->own_n;
}

void event_code_free(struct event_code *c)
{
	free(c->own);
	*c = (struct event_code){ 0 };
}

/* ---- and back ---- */

struct reader {
	const uint8_t *p;
	uint32_t n;
	bool bad;
};

static const uint8_t *take(struct reader *r, uint32_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->n -= n;
	return p;
}

static uint64_t get(struct reader *r, uint32_t bytes)
{
	const uint8_t *p = take(r, bytes);
	uint64_t v = 0;

	for (uint32_t i = 0; p != NULL && i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* A number below `end`. */
static uint32_t get_below(struct reader *r, uint32_t bytes, uint32_t end)
{
	uint64_t v = get(r, bytes);

	if (v < end) return (uint32_t)v;
	r->bad = true;
	return 0;
}

static bool get_bool(struct reader *r) { return get_below(r, 1, 2) != 0; }

/* How many follow, of so many bytes each at least. */
static uint32_t get_count(struct reader *r, uint32_t each)
{
	uint64_t n = get(r, 4);

	if (n <= r->n / each) return (uint32_t)n;
	r->bad = true;
	return 0;
}

static void get_raw(struct reader *r, void *out, uint32_t n)
{
	const uint8_t *p = take(r, n);

	if (p != NULL) memcpy(out, p, n);
}

static struct address get_address(struct reader *r)
{
	struct address a = { { 0 }, 0 };

	get_raw(r, a.ip, sizeof a.ip);
	a.port = (uint16_t)get(r, 2);
	return a;
}

static const uint8_t *rest(struct reader *r, uint32_t *n)
{
	*n = r->n;
	return take(r, r->n);
}

static void get_start(struct reader *r, struct event_copy *c)
{
	struct event_start *s = &c->start;
	struct socket_info *socket;
	uint32_t n;

	get_raw(r, s->seed, sizeof s->seed);
	s->wall_ns = get(r, 8);
	s->slot_first = (uint32_t)get(r, 4);
	s->slot_count = (uint32_t)get(r, 4);
	s->generation_first = (uint32_t)get(r, 4);
	s->turn_max = (uint32_t)get(r, 4);
	s->low_water = (uint32_t)get(r, 4);
	s->sockets_n = get_count(r, SOCKET_CODE);
	s->sockets = c->array[0] = socket = mem_zero(s->sockets_n + 1, sizeof *s->sockets);
	for (uint32_t i = 0; i < s->sockets_n; i++) {
		socket[i].token = get(r, 8);
		socket[i].local = get_address(r);
		socket[i].tls = get_bool(r);
		socket[i].helper = get_bool(r);
		socket[i].datagram = get_bool(r);
	}
	s->config = (const char *)rest(r, &n);
	s->config_n = n;
	c->e.start = s;
}

/* Names lie in one array behind each other, which grows until all are there; then the certificates are told where theirs begin. */
static void get_secured(struct reader *r, struct event_copy *c)
{
	struct event_secured *s = &c->secured;
	struct certificate_name *name = NULL;
	struct certificate *chain;
	uint32_t names = 0, cap = 0, n;

	s->version = (uint16_t)get(r, 2);
	s->resumed = get_bool(r);
	s->verified = get_bool(r);
	s->chain_n = get_count(r, CERTIFICATE_CODE);
	s->chain = c->array[0] = chain = mem_zero(s->chain_n + 1, sizeof *chain);
	for (uint32_t i = 0; i < s->chain_n && !r->bad; i++) {
		struct certificate *x = &chain[i];
		x->common_name_n = n = get_count(r, 1);
		x->common_name = (const char *)take(r, n);
		x->serial = get(r, 8);
		get_raw(r, x->sha256, sizeof x->sha256);
		x->not_before_s = get(r, 8);
		x->not_after_s = get(r, 8);
		x->names_n = get_count(r, NAME_CODE);
		for (uint32_t k = 0; k < x->names_n && !r->bad; k++) {
			MEM_ROOM(name, names, cap);
			name[names].ip = get_bool(r);
			name[names].n = n = get_count(r, 1);
			name[names++].p = (const char *)take(r, n);
		}
	}
	for (uint32_t i = 0, at = 0; i < s->chain_n && !r->bad; at += chain[i++].names_n) chain[i].names = name == NULL ? NULL : name + at;
	c->array[1] = name;
	c->e.secured = s;
}

static void get_answer(struct reader *r, struct event_copy *c)
{
	struct event_answer *a = &c->answer;
	struct address *v;
	uint32_t form;

	a->result = (enum answer_result)get_below(r, 1, ANSWER_CANCELLED + 1);
	a->status = (uint32_t)get(r, 4);
	form = get_below(r, 1, 3);
	a->n = form == 2 ? r->n / ADDRESS_CODE : r->n;
	if (form == 1) a->p = take(r, r->n);
	if (form == 2) {
		c->array[0] = v = mem_zero(a->n + 1, sizeof *v);
		for (uint32_t i = 0; i < a->n; i++) v[i] = get_address(r);
		a->p = (const uint8_t *)v;
	}
	c->e.answer = a;
}

static const uint8_t *get_key(struct reader *r) { return get_bool(r) ? take(r, KEY_BYTES) : NULL; }

static void get_command(struct reader *r, struct event_copy *c)
{
	struct event_command *m = &c->command;
	uint32_t form;

	m->verb = (enum command_verb)get_below(r, 1, COMMAND_VERBS);
	m->flag = get_bool(r);
	m->dst = get_key(r);
	m->src = get_key(r);
	m->region = get(r, 8);
	m->patience_ns = get(r, 8);
	form = get_below(r, 1, 3);
	if (form != 0) m->p = rest(r, &m->n);
	if (form == 2 && !r->bad) {
		m->owner = packet_copy(m->p, m->n);
		m->p = m->owner->bytes;
	}
	c->e.command = m;
}

static void get_others(struct reader *r, struct event_copy *c)
{
	struct event *e = &c->e;

	switch (e->kind) {
	case EVENT_BYTES:
		e->bytes.p = rest(r, &e->bytes.n);
		r->bad |= e->bytes.n == 0;
		break;
	case EVENT_ACCEPTED:
		c->accepted.listener = get(r, 8);
		c->accepted.local = get_address(r);
		c->accepted.remote = get_address(r);
		e->accepted = &c->accepted;
		break;
	case EVENT_DIALED:
		c->dialed.local = get_address(r);
		c->dialed.remote = get_address(r);
		e->dialed = &c->dialed;
		break;
	case EVENT_DRAINED:
		e->drained.n = get(r, 8);
		e->drained.left = get(r, 8);
		break;
	case EVENT_CLOSED: e->closed.cause = (enum close_cause)get_below(r, 1, CLOSE_CAUSES); break;
	case EVENT_DATAGRAM:
		c->datagram.local = get_address(r);
		c->datagram.peer = get_address(r);
		c->datagram.p = rest(r, &c->datagram.n);
		e->datagram = &c->datagram;
		break;
	default: break; /* TIMER says nothing */
	}
}

struct event_copy *event_decode(enum event_kind kind, uint64_t now, uint64_t token, const uint8_t *p, uint32_t n)
{
	struct event_copy *c = mem_zero(1, sizeof *c);
	struct reader r;

	assert(kind < EVENT_KINDS);
	c->e = (struct event){ .kind = kind, .now = now, .token = token };
	c->data = mem_zero(1, (uint64_t)n + 1); /* terminated: the configuration is the last of START */
	if (n != 0) memcpy(c->data, p, n);
	r = (struct reader){ .p = c->data, .n = n };
	switch (kind) {
	case EVENT_START: get_start(&r, c); break;
	case EVENT_SECURED: get_secured(&r, c); break;
	case EVENT_ANSWER: get_answer(&r, c); break;
	case EVENT_COMMAND: get_command(&r, c); break;
	default: get_others(&r, c); break;
	}
	if (!r.bad && r.n == 0) return c;
	event_copy_free(c);
	return NULL;
}

void event_copy_free(struct event_copy *c)
{
	if (c == NULL) return;
	if (c->e.kind == EVENT_COMMAND) packet_drop(c->command.owner);
	free(c->array[0]);
	free(c->array[1]);
	free(c->data);
	free(c);
}
