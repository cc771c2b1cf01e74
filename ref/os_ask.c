/* What a machine asks its host: names by os_dns, URLs by os_fetch, maps by either or from a file. */
#include "os_conn.h"
#include "os_dns.h"
#include "os_fetch.h"
#include "os_file.h"

#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, ADMIT_MAX = 4096 /* RAT-015 */, MAP_MAX = 4 << 20, TEXT_SHOWN = 120 };
/* The machine has a shorter patience as a rule (RAT-014); a question must end even if not. */
#define ASK_PATIENCE_NS (60 * NS_S)
#define COMPLAIN_EVERY_NS NS_S

/* A question that is open, or whose answer is due. */
struct ask {
	struct os_host *host;
	uint64_t token;
	enum ask_kind kind;
	char *text; /* what was asked for */
	bool due;
	struct event_answer answer; /* once due */
	void *data;                 /* of it */
	struct os_dns_query *query;
	struct os_fetch_call *call;
	struct ask *due_next;
};

static void ask_due(struct ask *a, enum answer_result result)
{
	struct os_host *h = a->host;

	assert(!a->due);
	a->due = true;
	a->answer.result = result;
	a->query = NULL;
	a->call = NULL;
	if (h->ask_first == NULL)
		h->ask_first = a;
	else
		h->ask_last->due_next = a;
	h->ask_last = a;
}

static void ask_keep(struct ask *a, const void *p, size_t bytes, uint32_t n)
{
	a->data = mem_alloc(bytes + 1);
	if (bytes != 0) memcpy(a->data, p, bytes);
	a->answer.p = a->data;
	a->answer.n = n;
}

/* A server that is down is told of once a second, not once a client. */
static void ask_complain(struct ask *a, const char *why)
{
	struct os_host *h = a->host;
	uint64_t now = os_now();
	char text[2 * TEXT_SHOWN + 100];

	if (h->complained_at != 0 && now - h->complained_at < COMPLAIN_EVERY_NS) return;
	h->complained_at = now;
	snprintf(text, sizeof text, "%.*s: %.*s", TEXT_SHOWN, a->text, TEXT_SHOWN, why);
	host_complain(h, text);
}

/* ---- what answers ---- */

static void name_done(void *ctx, const struct address *v, uint32_t n, const char *why)
{
	struct ask *a = ctx;

	(void)why; /* of two families one is often not there */
	ask_keep(a, v, n * sizeof *v, n);
	ask_due(a, n != 0 ? ANSWER_OK : ANSWER_FAILED);
}

/* RAT-015, RAT-016: any answer counts, if need be the part of it that came. */
static void url_done(void *ctx, const struct os_fetch_answer *answer)
{
	struct ask *a = ctx;
	bool good = a->kind == ASK_MAP ? answer->status == 200 && answer->why == NULL : answer->status != 0;
	char status[40];

	a->answer.status = answer->status;
	ask_keep(a, answer->p, answer->n, answer->n);
	if (answer->why != NULL) ask_complain(a, answer->why);
	snprintf(status, sizeof status, "status %u, expected 200", answer->status);
	if (!good && answer->why == NULL) ask_complain(a, status);
	ask_due(a, good ? ANSWER_OK : ANSWER_FAILED);
}

static void map_from_file(struct ask *a)
{
	uint8_t *p = mem_alloc(MAP_MAX + 1);
	ssize_t n = os_file_read(a->text, p, MAP_MAX + 1, NULL);

	if (n < 0 || n > MAP_MAX)
		ask_complain(a, n < 0 ? strerror(errno) : "longer than 4 MiB");
	else
		ask_keep(a, p, (size_t)n, (uint32_t)n);
	ask_due(a, a->data != NULL ? ANSWER_OK : ANSWER_FAILED);
	free(p);
}

/* ---- asking ---- */

static void ask_name(struct os_host *h, struct ask *a)
{
	if (h->dns == NULL) h->dns = os_dns_new(h->loop, h->dns_servers);
	a->query = os_dns_ask(h->dns, a->text, a->kind == ASK_NAME6, name_done, a);
}

static void ask_url(struct os_host *h, struct ask *a, const uint8_t *body, uint32_t body_n)
{
	struct os_fetch_request request = { .url = a->text,
		                            .body = body,
		                            .body_n = body_n,
		                            .answer_max = a->kind == ASK_MAP ? MAP_MAX : ADMIT_MAX,
		                            .whole = a->kind == ASK_MAP,
		                            .patience_ns = ASK_PATIENCE_NS };

	if (h->fetch == NULL) h->fetch = os_fetch_new(h->loop);
	if (h->fetch != NULL) {
		a->call = os_fetch_start(h->fetch, &request, url_done, a);
		return;
	}
	ask_complain(a, "libcurl does not start");
	ask_due(a, ANSWER_FAILED);
}

void ask_start(struct os_host *h, const struct action *x)
{
	const uint8_t *nul = memchr(x->span.p, 0, x->span.n);
	uint32_t slot = token_slot(x->token), n = nul == NULL ? x->span.n : (uint32_t)(nul - x->span.p);
	struct ask *a = mem_zero(1, sizeof *a);

	assert(token_is_machine(x->token) && slot < h->dials && h->ask[slot] == NULL);
	*a = (struct ask){ .host = h, .token = x->token, .kind = (enum ask_kind)x->ask, .text = mem_alloc(n + 1) };
	memcpy(a->text, x->span.p, n);
	a->text[n] = 0;
	h->ask[slot] = a;
	if (a->kind == ASK_URL)
		ask_url(h, a, nul == NULL ? (const uint8_t *)"" : nul + 1, nul == NULL ? 0 : x->span.n - n - 1);
	else if (a->kind == ASK_MAP && (strncmp(a->text, "http://", 7) == 0 || strncmp(a->text, "https://", 8) == 0))
		ask_url(h, a, NULL, 0);
	else if (a->kind == ASK_MAP)
		map_from_file(a);
	else if (n > NAME_MAX_BYTES)
		ask_due(a, ANSWER_FAILED);
	else
		ask_name(h, a);
}

static void ask_stop(struct ask *a)
{
	if (a->query != NULL) os_dns_cancel(a->query);
	if (a->call != NULL) os_fetch_cancel(a->call);
}

static void ask_free(struct ask *a)
{
	free(a->data);
	free(a->text);
	free(a);
}

/* An answer that is due already is not given any more. */
void ask_cancel(struct os_host *h, uint64_t token)
{
	uint32_t slot = token_slot(token);
	struct ask *a = token_is_machine(token) && slot < h->dials ? h->ask[slot] : NULL;

	if (a == NULL || a->token != token) return;
	ask_stop(a);
	if (!a->due) ask_due(a, ANSWER_CANCELLED);
	a->answer = (struct event_answer){ .result = ANSWER_CANCELLED };
}

void asks_give_due(struct os_host *h)
{
	struct ask *a = h->ask_first, *next;

	h->ask_first = h->ask_last = NULL;
	for (; a != NULL; a = next) {
		struct event e = { .kind = EVENT_ANSWER, .token = a->token, .answer = &a->answer };
		next = a->due_next;
		h->ask[token_slot(a->token)] = NULL;
		host_step(h, &e);
		ask_free(a);
	}
}

void asks_free(struct os_host *h)
{
	for (uint32_t i = 0; i < h->dials; i++) {
		if (h->ask[i] == NULL) continue;
		ask_stop(h->ask[i]);
		ask_free(h->ask[i]);
	}
	free(h->ask);
	os_fetch_free(h->fetch);
	os_dns_free(h->dns);
}
