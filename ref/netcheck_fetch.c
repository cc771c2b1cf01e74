/* Dial, secure, ask, judge. */
#include "netcheck_fetch.h"

#include "address.h"

#include <stdio.h>
#include <string.h>

static const enum netcheck_family family_of[2] = { NETCHECK_V4, NETCHECK_V6 };

/* ---- tokens ---- */

uint64_t netcheck_token_new(struct netcheck_tokens *t)
{
	for (uint32_t i = 0; i < NETCHECK_SLOTS; i++) {
		if (t->busy >> i & 1) continue;
		t->busy |= UINT64_C(1) << i;
		return TOKEN_MACHINE | token_make(t->slot_first + i, ++t->generation);
	}
	return TOKEN_NONE;
}

void netcheck_token_over(struct netcheck_tokens *t, uint64_t token)
{
	uint32_t i = token_slot(token) - t->slot_first;

	assert(token_is_machine(token) && i < NETCHECK_SLOTS && (t->busy >> i & 1) != 0);
	t->busy &= ~(UINT64_C(1) << i);
}

/* ---- ends ---- */

static void cancel_dials(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	for (int i = 0; i < 2; i++) {
		if (f->dial[i] != TOKEN_NONE) actions_close(w->out, f->dial[i], true);
		f->dial[i] = TOKEN_NONE;
	}
}

void netcheck_fetch_end(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	cancel_dials(f, w);
	if (f->conn != TOKEN_NONE) actions_close(w->out, f->conn, true);
	f->conn = TOKEN_NONE;
	f->deadline = TIME_NEVER;
	http_reader_free(&f->http);
	if (!netcheck_fetch_over(f)) f->state = NETCHECK_FETCH_FAILED;
}

static void done(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	f->state = NETCHECK_FETCH_DONE;
	f->ns = w->now > f->asked ? w->now - f->asked : 1;
	netcheck_fetch_end(f, w);
}

/* ---- asking ---- */

/* A name goes into the request's head: short enough for it, and nothing that would end a line. */
static bool name_fits(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f) return false;
	return n > 0 && n <= 255;
}

/* A portal's endpoint is an IPv4 literal (MAP-019). */
static const char *ip_text(const struct netcheck_fetch *f, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", f->to.ip[12], f->to.ip[13], f->to.ip[14], f->to.ip[15]);
	return out;
}

static int request_text(const struct netcheck_fetch *f, char out[HTTP_OUT_MAX])
{
	char ip[16];
	const char *host;
	bool v6;

	if (f->kind == NETCHECK_PORTAL) {
		ip_text(f, ip);
		return snprintf(out, HTTP_OUT_MAX,
		                "GET /generate_204 HTTP/1.1\r\nHost: %s\r\nX-Tailscale-Challenge: ts_%s\r\n"
		                "Cache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\nConnection: close\r\n\r\n",
		                ip, ip);
	}
	host = f->region->node[f->node].host_name;
	v6 = strchr(host, ':') != NULL;
	return snprintf(out, HTTP_OUT_MAX, "%s HTTP/1.1\r\nHost: %s%s%s\r\n\r\n",
	                f->kind == NETCHECK_LATENCY ? "GET /derp/latency-check" : "HEAD /derp/probe", v6 ? "[" : "", host, v6 ? "]" : "");
}

static void ask(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	char text[HTTP_OUT_MAX];
	int n = request_text(f, text);

	assert(n > 0 && n < HTTP_OUT_MAX);
	memcpy(actions_send(w->out, f->conn, (uint32_t)n), text, (size_t)n);
	f->state = NETCHECK_FETCH_ASKED;
	f->asked = w->now;
	f->requests--;
}

/* MAP-019: a portal answers otherwise than a relay would. */
static bool looks_like_portal(const struct netcheck_fetch *f, const struct http_head *head)
{
	const struct http_text *response = http_field(head, "X-Tailscale-Response");
	char ip[16], want[40];

	snprintf(want, sizeof want, "response ts_%s", ip_text(f, ip));
	return head->status != 204 || response == NULL || !http_text_is(*response, want);
}

static void judge(struct netcheck_fetch *f, const struct netcheck_fetcher *w, const struct http_head *head)
{
	if (f->kind == NETCHECK_PORTAL) f->portal = looks_like_portal(f, head);
	if (f->kind != NETCHECK_PORTAL && head->status > 299)
		netcheck_fetch_end(f, w); /* somebody else's answer */
	else if (f->requests > 0)
		ask(f, w);
	else
		done(f, w);
}

static void bytes(struct netcheck_fetch *f, const struct netcheck_fetcher *w, const uint8_t *p, size_t n)
{
	while (f->state == NETCHECK_FETCH_ASKED && n > 0) {
		struct http_head head;
		enum http_result result = http_read(&f->http, &p, &n, &head);
		if (result == HTTP_MORE) return;
		if (result != HTTP_READY)
			netcheck_fetch_end(f, w);
		else if (head.status >= 200) /* others announce one */
			judge(f, w, &head);
		http_reader_free(&f->http); /* for the next head */
	}
}

/* ---- dialling ---- */

static bool dialing(const struct netcheck_fetch *f) { return f->dial[0] != TOKEN_NONE || f->dial[1] != TOKEN_NONE; }

static void ask_name(struct netcheck_fetch *f, const struct netcheck_fetcher *w, int i, const char *host)
{
	struct action *x = actions_add(w->out, ACTION_ASK, f->dial[i]);

	x->ask = family_of[i] == NETCHECK_V6 ? ASK_NAME6 : ASK_NAME4;
	x->span = (struct span){ .p = (const uint8_t *)host, .n = (uint32_t)strlen(host) };
}

static void dial_one(struct netcheck_fetch *f, const struct netcheck_fetcher *w, int i)
{
	const struct derp_node *node = f->kind == NETCHECK_PORTAL ? NULL : &f->region->node[f->node];
	struct address to = f->to;
	enum netcheck_where where = node != NULL                                          ? netcheck_derp_address(node, family_of[i], &to)
	                            : address_is_v4(&to) == (family_of[i] == NETCHECK_V4) ? NETCHECK_KNOWN
	                                                                                  : NETCHECK_NOWHERE;

	if (where == NETCHECK_NOWHERE || (node != NULL && !name_fits(node->host_name))) return;
	f->dial[i] = netcheck_token_new(w->tokens);
	assert(f->dial[i] != TOKEN_NONE);
	if (where == NETCHECK_KNOWN)
		actions_dial(w->out, f->dial[i], &to);
	else
		ask_name(f, w, i, node->host_name);
}

/* From the node `from` on: both families at once; none left is the end. Browsers and portals have one node. Without room for tokens
 * it waits to be started again. */
static void try_from(struct netcheck_fetch *f, const struct netcheck_fetcher *w, uint32_t from)
{
	uint32_t nodes = f->kind == NETCHECK_LATENCY ? f->region->nodes : 1;

	if (!netcheck_tokens_room(w->tokens)) {
		f->state = NETCHECK_FETCH_NEW;
		f->node = from;
		f->deadline = TIME_NEVER;
		return;
	}
	for (f->node = from; f->node < nodes; f->node++) {
		for (int i = 0; i < 2; i++) dial_one(f, w, i);
		if (!dialing(f)) continue;
		f->state = NETCHECK_FETCH_DIALING;
		f->deadline = w->now + (f->kind == NETCHECK_PORTAL ? w->portal_timeout : w->dial_timeout);
		return;
	}
	netcheck_fetch_end(f, w);
}

void netcheck_fetch_init(struct netcheck_fetch *f, enum netcheck_fetch_kind kind, const struct derp_region *region, const struct address *to)
{
	*f = (struct netcheck_fetch){ .kind = kind, .region = region, .requests = kind == NETCHECK_BROWSER ? 2 : 1, .deadline = TIME_NEVER };
	assert((kind == NETCHECK_PORTAL) == (region == NULL) && (region == NULL || region->nodes > 0));
	if (to != NULL) f->to = *to;
	http_reader_init(&f->http, true);
}

void netcheck_fetch_start(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	assert(f->state == NETCHECK_FETCH_NEW);
	try_from(f, w, f->node);
}

static void one_failed(struct netcheck_fetch *f, const struct netcheck_fetcher *w, int i)
{
	f->dial[i] = TOKEN_NONE;
	if (!dialing(f)) try_from(f, w, f->node + 1);
}

static void answer(struct netcheck_fetch *f, const struct netcheck_fetcher *w, int i, const struct event_answer *a)
{
	struct address to, port;

	if (a->result != ANSWER_OK || a->n == 0) {
		one_failed(f, w, i);
		return;
	}
	memcpy(&to, a->p, sizeof to);
	netcheck_derp_address(&f->region->node[f->node], family_of[i], &port);
	to.port = port.port;
	f->dial[i] = netcheck_token_new(w->tokens); /* the ASK's own slot at least is idle */
	assert(f->dial[i] != TOKEN_NONE);
	actions_dial(w->out, f->dial[i], &to);
}

static void dialed(struct netcheck_fetch *f, const struct netcheck_fetcher *w, int i)
{
	const struct derp_node *node;

	f->conn = f->dial[i];
	f->v6 = family_of[i] == NETCHECK_V6;
	f->dial[i] = TOKEN_NONE;
	cancel_dials(f, w); /* the first success wins */
	if (f->kind == NETCHECK_PORTAL) {
		ask(f, w);
		return;
	}
	f->deadline = TIME_NEVER;
	f->state = NETCHECK_FETCH_TLS;
	node = &f->region->node[f->node];
	actions_add(w->out, ACTION_START_TLS, f->conn)->tls =
		(struct action_tls){ .insecure = node->insecure_for_tests, .server_name = node->host_name };
}

/* ---- events ---- */

bool netcheck_fetch_has(const struct netcheck_fetch *f, uint64_t token)
{
	return token != TOKEN_NONE && (f->conn == token || f->dial[0] == token || f->dial[1] == token);
}

static void connection_event(struct netcheck_fetch *f, const struct netcheck_fetcher *w, const struct event *e)
{
	switch (e->kind) {
	case EVENT_SECURED:
		if (e->secured->verified || f->region->node[f->node].insecure_for_tests)
			ask(f, w);
		else
			netcheck_fetch_end(f, w);
		break;
	case EVENT_BYTES: bytes(f, w, e->bytes.p, e->bytes.n); break;
	case EVENT_CLOSED:
		f->conn = TOKEN_NONE;
		netcheck_fetch_end(f, w);
		break;
	default: break;
	}
}

void netcheck_fetch_event(struct netcheck_fetch *f, const struct netcheck_fetcher *w, const struct event *e)
{
	int i = f->dial[1] == e->token;

	if (f->conn == e->token)
		connection_event(f, w, e);
	else if (e->kind == EVENT_DIALED)
		dialed(f, w, i);
	else if (e->kind == EVENT_ANSWER)
		answer(f, w, i, e->answer);
	else if (e->kind == EVENT_CLOSED)
		one_failed(f, w, i);
}

void netcheck_fetch_timer(struct netcheck_fetch *f, const struct netcheck_fetcher *w)
{
	if (w->now < f->deadline) return;
	if (f->state == NETCHECK_FETCH_DIALING && f->kind != NETCHECK_PORTAL) {
		cancel_dials(f, w);
		try_from(f, w, f->node + 1);
	} else {
		netcheck_fetch_end(f, w);
	}
}
