/* Questions to the host: may this client come in (RAT-014..RAT-020), and what do the bootstrap names resolve to (HTTP-042).
 *
 * Each open question has a slot of those that are left behind the mesh links'. A client whose question finds no slot waits for one;
 * what it waits in all is bounded by the time that a question may take. The local daemon's check (RAT-013) is not ours. */
#include "session.h"

#include "address.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

void asks_start(struct relay *r, const struct event_start *start)
{
	uint32_t links = r->links * MESH_SLOTS, room = start->slot_count - links, want = r->admit_url == NULL ? 0 : r->config.questions;

	want += 2 * r->bootstrap.names;
	r->asks = want < room ? want : room;
	r->ask_slot = start->slot_first + links;
	r->ask = mem_zero(r->asks, sizeof *r->ask);
	assert(want == 0 || r->asks > 0); /* relay.h says how many slots a relay needs */
	r->bootstrap_at = r->bootstrap.names == 0 ? TIME_NEVER : 0;
}

bool asks_mine(const struct relay *r, uint64_t token) { return r->asks != 0 && token_slot(token) >= r->ask_slot; }

/* The place of a new question, or SLOT_NONE. */
static uint32_t ask_new(struct relay *r, bool name, uint32_t who)
{
	for (uint32_t i = 0; i < r->asks; i++) {
		struct relay_ask *a = &r->ask[(r->ask_next + i) % r->asks];
		if (a->token != TOKEN_NONE) continue;
		r->ask_next = (uint32_t)(a - r->ask) + 1;
		r->ask_generation = (r->ask_generation + 1) & 0x7fffffffu;
		*a = (struct relay_ask){ .token = TOKEN_MACHINE | token_make(r->ask_slot + (uint32_t)(a - r->ask), r->ask_generation),
			                 .name = name,
			                 .who = who };
		return (uint32_t)(a - r->ask);
	}
	return SLOT_NONE;
}

/* ---- admission ---- */

/* RAT-018, MSH-006, TRP-040: mesh peers need no leave. RAT-020: asked at the login and never again. */
bool admission_is_due(const struct relay *r, const struct session *s) { return r->admit_url != NULL && !s->mesh_peer; }

/* URL, NUL, body (RAT-014, chapter 4.4). */
static struct packet *question(const struct relay *r, const struct session *s)
{
	char body[200], hex[KEY_HEX], ip[ADDRESS_TEXT] = "";
	uint32_t url_n = (uint32_t)strlen(r->admit_url) + 1;
	struct packet *packet;
	int n;

	if (!address_is_zero(&s->remote)) address_ip_text(&s->remote, ip);
	key_hex(s->wait->client.b, hex);
	n = snprintf(body, sizeof body, "{\"NodePublic\":\"nodekey:%.*s\",\"Source\":\"%s\"}", KEY_HEX, hex, ip);
	packet = packet_new(url_n + (uint32_t)n);
	memcpy(packet->bytes, r->admit_url, url_n);
	memcpy(packet->bytes + url_n, body, (size_t)n);
	return packet;
}

static void ask_admission(struct relay *r, struct session *s, struct actions *out)
{
	uint32_t i = ask_new(r, false, s->slot);
	struct packet *packet;
	struct action *x;

	s->wait->ask = i;
	if (i == SLOT_NONE) {
		slotset_add(&r->askers, s->slot);
		return;
	}
	slotset_remove(&r->askers, s->slot);
	packet = question(r, s);
	x = actions_add(out, ACTION_ASK, r->ask[i].token);
	x->ask = ASK_URL;
	actions_span_packet(out, packet, packet->bytes, packet->n);
}

/* A slot is free: the next of those who wait for one. */
static void ask_next(struct relay *r, struct actions *out)
{
	uint32_t slot = slotset_next(&r->askers, 0);

	if (slot != SLOTSET_NONE) ask_admission(r, session_at(r, slot), out);
}

void admission_begin(struct relay *r, struct session *s, uint64_t now, const uint8_t *key, const struct client_info *info, const struct key *shared,
                     struct actions *out)
{
	s->phase_deadline = TIME_NEVER; /* it was for reading ClientInfo (HSK-017) */
	session_pause(r, s, PAUSE_ADMISSION, now + r->config.admit_timeout, out);
	s->wait->info = *info;
	s->wait->shared = *shared;
	memcpy(s->wait->client.b, key, KEY_SIZE);
	ask_admission(r, s, out);
}

/* HSK-020 or RAT-019. */
static void decide(struct relay *r, struct session *s, uint64_t now, bool allowed, struct actions *out)
{
	struct session_wait *w = s->wait;

	assert(w->why == PAUSE_ADMISSION);
	if (!allowed) {
		session_close(r, s, now, "not admitted", false, out);
		return;
	}
	session_login_done(r, s, now, w->client.b, &w->info, &w->shared, out);
	if (s->phase == SESSION_CLOSING) return;
	session_resume(r, s, now, out);
}

void admission_cancel(struct relay *r, struct session *s, struct actions *out)
{
	uint32_t i = s->wait->ask;

	slotset_remove(&r->askers, s->slot);
	if (s->wait->why != PAUSE_ADMISSION || i == SLOT_NONE) return;
	r->ask[i].who = SLOT_NONE; /* free when the host has confirmed it */
	s->wait->ask = SLOT_NONE;
	actions_close(out, r->ask[i].token, true);
}

void admission_timeout(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	admission_cancel(r, s, out);
	decide(r, s, now, r->config.fail_open, out); /* RAT-016 */
}

/* RAT-015: the first value of the first 4 KiB, whatever follows it. */
static bool says_allow(const uint8_t *p, uint32_t n)
{
	struct json_reader *j = mem_alloc(sizeof *j); /* it is large */
	const uint8_t *name;
	size_t name_n;
	bool allow = false, good;

	json_init(j, p, n < 4096 ? n : 4096);
	if (json_peek(j) == JSON_OBJECT) {
		json_enter(j);
		while (json_member(j, &name, &name_n)) {
			bool is = json_name_is(name, name_n, "Allow");
			if (is && json_peek(j) != JSON_NULL)
				allow = json_bool(j);
			else
				json_skip(j);
		}
	}
	good = !j->bad;
	free(j);
	return good && allow;
}

static void admission_answer(struct relay *r, struct session *s, uint64_t now, const struct event_answer *a, struct actions *out)
{
	bool allowed = a->result == ANSWER_OK ? a->status == 200 && says_allow(a->p, a->n) : r->config.fail_open; /* RAT-015, RAT-016 */

	s->wait->ask = SLOT_NONE;
	decide(r, s, now, allowed, out);
}

/* ---- bootstrap names ---- */

static void round_begin(struct relay *r, uint64_t now, struct actions *out)
{
	r->bootstrap_round = true;
	r->bootstrap_at = now + BOOTSTRAP_PATIENCE_NS;
	for (uint32_t who = 0; who < 2 * r->bootstrap.names; who++) {
		const char *name = r->bootstrap.name[who / 2].name;
		uint32_t i = ask_new(r, true, who);
		if (i == SLOT_NONE) break; /* those keep what they have until the next round */
		actions_add(out, ACTION_ASK, r->ask[i].token)->ask = who % 2 == 0 ? ASK_NAME4 : ASK_NAME6;
		actions_span(out, (const uint8_t *)name, (uint32_t)strlen(name));
		r->bootstrap_asked++;
	}
}

static void round_end(struct relay *r, uint64_t now, struct actions *out)
{
	for (uint32_t i = 0; i < r->asks; i++) {
		if (r->ask[i].token == TOKEN_NONE || !r->ask[i].name || r->ask[i].who == SLOT_NONE) continue;
		r->ask[i].who = SLOT_NONE;
		actions_close(out, r->ask[i].token, true);
	}
	r->bootstrap_asked = 0;
	r->bootstrap_round = false;
	r->bootstrap_at = r->bootstrap_began + BOOTSTRAP_EVERY_NS;
	if (r->bootstrap_at < now) r->bootstrap_at = now;
	bootstrap_finish(&r->bootstrap, &r->rng);
}

void asks_timer(struct relay *r, uint64_t now, struct actions *out)
{
	if (r->bootstrap_round) {
		round_end(r, now, out);
		return;
	}
	r->bootstrap_began = now;
	round_begin(r, now, out);
	if (r->bootstrap_asked == 0) round_end(r, now, out);
}

static void name_answer(struct relay *r, uint64_t now, uint32_t who, const struct event_answer *a, struct actions *out)
{
	if (a->result == ANSWER_OK) bootstrap_resolved(&r->bootstrap, who / 2, who % 2, (const struct address *)(const void *)a->p, a->n);
	if (--r->bootstrap_asked == 0) round_end(r, now, out);
}

/* ---- answers ---- */

void asks_answer(struct relay *r, const struct event *e, struct actions *out)
{
	uint32_t i = token_slot(e->token) - r->ask_slot;
	struct relay_ask a;

	assert(e->kind == EVENT_ANSWER && i < r->asks && r->ask[i].token == e->token);
	a = r->ask[i];
	r->ask[i].token = TOKEN_NONE;
	if (a.who != SLOT_NONE && a.name)
		name_answer(r, e->now, a.who, e->answer, out);
	else if (a.who != SLOT_NONE)
		admission_answer(r, session_at(r, a.who), e->now, e->answer, out);
	ask_next(r, out);
}
