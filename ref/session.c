/* A connection's way in and out: accept, TLS, HTTP upgrade, login (HSK-001..HSK-022), end (SRV-035). */
#include "session.h"

#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a connection that we finished may take to send its own FIN; and before, over WebSocket, its close message (HTTP-030). */
#define LINGER_NS (5 * NS_S)
_Static_assert(LINGER_NS == WEBSOCKET_LINGER, "one deadline for both");

struct session *session_find(const struct relay *r, uint64_t token)
{
	uint32_t slot = token_slot(token);
	struct session *s;

	if (token_is_machine(token) || slot >> CHUNK_BITS >= r->chunks || r->chunk[slot >> CHUNK_BITS] == NULL) return NULL;
	s = session_at(r, slot);
	return s->token == token ? s : NULL;
}

static struct session *slot_make(struct relay *r, uint64_t token)
{
	uint32_t slot = token_slot(token), chunk = slot >> CHUNK_BITS, ready_next;
	struct session *s;
	bool listed;

	if (chunk >= r->chunks) {
		uint32_t chunks = r->chunks ? r->chunks : 1;
		while (chunks <= chunk) chunks *= 2;
		r->chunk = mem_grow(r->chunk, (uint64_t)chunks * sizeof *r->chunk);
		memset(r->chunk + r->chunks, 0, (chunks - r->chunks) * sizeof *r->chunk);
		r->chunks = chunks;
	}
	if (r->chunk[chunk] == NULL) r->chunk[chunk] = mem_zero(CHUNK, sizeof **r->chunk);
	s = session_at(r, slot);
	assert(s->token == TOKEN_NONE);
	listed = s->ready_listed, ready_next = s->ready_next; /* the slot may still be on the ready list */
	*s = (struct session){ .token = token,
		               .slot = slot,
		               .peer = SLOT_NONE,
		               .key_next = SLOT_NONE,
		               .key_prev = SLOT_NONE,
		               .ready_listed = listed,
		               .ready_next = ready_next };
	s->timer.owner = slot;
	r->sessions++;
	return s;
}

/* Sets the one timer to the earliest thing due; a timer that is already earlier stays and looks again when it fires. */
void session_timer_arm(struct relay *r, struct session *s)
{
	uint64_t at = s->phase_deadline, write = outbox_deadline(&s->out, session_limits(r, s));

	if (s->phase == SESSION_STEADY && s->keepalive_at < at) at = s->keepalive_at;
	if (s->wait != NULL && s->wait->until < at) at = s->wait->until;
	if (s->http != NULL && http_deadline(s) < at) at = http_deadline(s);
	if (write < at) at = write;
	if (at == TIME_NEVER || (timer_is_set(&s->timer) && timer_at(&r->timers, &s->timer) <= at)) return;
	timer_set(&r->timers, &s->timer, at);
}

static void send_bytes(struct session *s, const void *p, uint32_t n, struct actions *out) { memcpy(session_send(s, n, NULL, out), p, n); }

/* HSK-001, HSK-017: ServerKey first, then 10 s for ClientInfo. `head` goes before it in the same flush (HTTP-006). */
void session_enter_login(struct relay *r, struct session *s, uint64_t now, const char *head, uint32_t head_n, struct actions *out)
{
	uint8_t frame[FRAME_HEADER + FRAME_MAGIC + FRAME_KEY];
	uint32_t n = frame_server_key(frame, r->public_key.b);
	uint8_t *p = session_send(s, head_n + n, NULL, out);

	if (head_n != 0) memcpy(p, head, head_n);
	memcpy(p + head_n, frame, n);
	out->work[WORK_FRAMES_OUT]++;
	r->count.accepts++;
	if (s->tls != 0) r->count.tls_active[s->tls == 3]++;
	s->phase = SESSION_LOGIN;
	s->phase_deadline = now + r->config.login_timeout;
	frame_reader_init(&s->reader, FRAME_ROLE_SERVER_LOGIN);
	session_timer_arm(r, s);
}

static void enter_http(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	if (r->config.raw) {
		session_enter_login(r, s, now, NULL, 0, out);
		return;
	}
	s->phase = SESSION_HTTP;
	session_timer_arm(r, s);
}

static const struct socket_info *listener_of(const struct relay *r, uint64_t token)
{
	for (uint32_t i = 0; i < r->sockets_n; i++)
		if (r->sockets[i].token == token) return &r->sockets[i];
	assert(false && "ACCEPTED names a listener of START");
	return NULL;
}

/* RAT-012. Ours closes the one and goes on; with the original's first rejection its process ends (TRP-024). */
static bool accept_allowed(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	if (limit_allow(&r->config.accepts, &r->accept_bucket, now)) {
		r->count.tls_accepted++;
		return true;
	}
	r->count.tls_rejected++;
	session_close(r, s, now, "too many connections a second", true, out);
	if (relay_is_derper(r)) {
		r->leaving = true;
		links_leave(r, now, out);
	}
	return false;
}

void session_accepted(struct relay *r, const struct event *e, struct actions *out)
{
	const struct socket_info *listener = listener_of(r, e->accepted->listener);
	struct session *s = slot_make(r, e->token);
	struct action *tls;

	s->remote = e->accepted->remote;
	s->helper = listener->helper;
	s->phase = SESSION_TLS;
	s->phase_deadline = e->now + r->config.http_timeout; /* HTTP-022: TLS and request together */
	relay_note(r, &(struct note){ .kind = NOTE_ACCEPTED, .now = e->now, .token = e->token });
	if (r->sessions > r->config.sessions_max || r->leaving || r->drain.on) {
		session_close(r, s, e->now, "too many connections", true, out);
		return;
	}
	if (listener->tls && !accept_allowed(r, s, e->now, out)) return;
	if (r->admit_url != NULL) actions_read(out, e->token, RELAY_READ_LOGIN); /* what waits behind a question is never more */
	if (!listener->tls) {
		enter_http(r, s, e->now, out);
		return;
	}
	tls = actions_add(out, ACTION_START_TLS, e->token);
	tls->tls = (struct action_tls){ .server = true, .meta_name = r->meta_name }; /* HTTP-011 */
	session_timer_arm(r, s);
}

void session_secured(struct relay *r, struct session *s, const struct event *e, struct actions *out)
{
	if (s->phase != SESSION_TLS) return;
	s->tls = e->secured->version >= 0x0304 ? 3 : 2;
	enter_http(r, s, e->now, out);
}

/* ---- HTTP ---- */

uint32_t session_upgrade(struct relay *r, struct session *s, uint64_t now, const struct http_head *head, const char **extra, struct actions *out)
{
	char text[HTTP_OUT_MAX];
	struct http_request request;
	uint32_t status = http_request_judge(head, &request);

	*extra = request.extra;
	if (status != 0) return status;
	s->not_ideal = request.ideal_node;
	if (request.upgrade == HTTP_UPGRADE_WEBSOCKET)
		session_websocket_enter(r, s, now, &request, out);
	else if (request.upgrade == HTTP_UPGRADE_DERP_FAST) /* HTTP-008 */
		session_enter_login(r, s, now, NULL, 0, out);
	else
		session_enter_login(r, s, now, text, http_upgrade_response(text, r->public_key.b), out);
	return 0;
}

/* ---- login ---- */

/* FRM-015, HSK-028: the end is the answer, there is no other. */
static void login_failed(struct relay *r, struct session *s, uint64_t now, const char *why, struct actions *out)
{
	session_close(r, s, now, why, false, out);
}

/* HSK-021; HSK-028: this is all the acknowledgement there is. */
static void send_server_info(struct relay *r, struct session *s, const struct key *shared, struct actions *out)
{
	static const struct server_info info = { .version = FRAME_PROTOCOL_VERSION }; /* HSK-025, RAT-009 */
	uint8_t nonce[KEY_NONCE], frame[LOGIN_FRAME_MAX];

	rng_bytes(&r->rng, RNG_NONCE, nonce, sizeof nonce); /* KEY-005 */
	send_bytes(s, frame, login_server_info_frame(frame, shared, nonce, &info), out);
	out->work[WORK_BOXES]++;
	out->work[WORK_FRAMES_OUT]++;
}

/* HSK-020, HSK-022: deadlines cleared, registered, then ServerInfo, and only then anything else. */
void session_login_done(struct relay *r, struct session *s, uint64_t now, const uint8_t *key, const struct client_info *info,
                        const struct key *shared, struct actions *out)
{
	if (!peer_room(r, key)) {
		login_failed(r, s, now, "too many keys", out);
		return;
	}
	frame_reader_free(&s->reader); /* the gathered ClientInfo is done with */
	frame_reader_role(&s->reader, FRAME_ROLE_SERVER);
	s->prober = info->is_prober; /* HSK-013. The rest of info changes nothing: HSK-011, HSK-012 */
	s->phase = SESSION_STEADY;
	s->phase_deadline = TIME_NEVER; /* SRV-024: silence has no limit from here on */
	s->connected_at = now;
	s->keepalive_period = r->config.keepalive;
	if (r->config.keepalive_jitter != 0)
		s->keepalive_period += rng_range(&r->rng, RNG_JITTER, 0, r->config.keepalive_jitter); /* SRV-022, TRP-003 */
	s->keepalive_at = now + s->keepalive_period;
	peer_register(r, s, now, key); /* TRP-015: watchers hear of it although ServerInfo may never arrive */
	send_server_info(r, s, shared, out);
	out->work[WORK_LOGINS]++;
	r->count.logins++;
	timer_cancel(&r->timers, &s->timer);
	session_timer_arm(r, s);
	relay_note(r, &(struct note){ .kind = NOTE_READY, .now = now, .token = s->token, .key = r->peer[s->peer].key });
}

static void login_client_info(struct relay *r, struct session *s, uint64_t now, const struct frame *frame, struct actions *out)
{
	const uint8_t *key = frame->payload;
	struct client_info info;
	struct key shared;

	out->work[WORK_BOXES]++;
	out->work[WORK_SHARED]++;
	if (key_is_zero(key) || !key_cache_shared(r->env.keys, &r->config.key, &r->public_key, key, &shared)) { /* KEY-006, KEY-007, TRP-017 */
		login_failed(r, s, now, "key of low order", out);
		return;
	}
	if (!login_client_info_open(frame->payload, frame->n, &shared, &info)) { /* HSK-008, HSK-009 */
		login_failed(r, s, now, "ClientInfo does not open or parse", out);
	} else {
		uint8_t copy[KEY_SIZE]; /* the frame goes before the client is in */
		memcpy(copy, key, sizeof copy);
		s->mesh_peer = !key_is_zero(r->config.mesh_key.b) && key_equal(info.mesh_key.b, r->config.mesh_key.b); /* HSK-015, KEY-012, MSH-001 */
		if (admission_is_due(r, s))                                                                            /* HSK-019 */
			admission_begin(r, s, now, copy, &info, &shared, out);
		else
			session_login_done(r, s, now, copy, &info, &shared, out);
		if (r->admit_url != NULL && s->wait == NULL) actions_read(out, s->token, r->turn_max); /* a mesh peer: as others from here on */
	}
	key_wipe(&shared, sizeof shared);
}

/* Not limited but by its lengths and times (RAT-011). When the login is done and bytes are left, they are read at once (HSK-018). */
static void login_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	struct frame frame;
	enum frame_result result = frame_read(&s->reader, p, n, &frame);

	if (result == FRAME_HEADER_READ) {
		if (frame.verdict == FRAME_BAD) { /* HSK-006, HSK-007 */
			login_failed(r, s, now, "first frame is no ClientInfo of legal length", out);
			return;
		}
		result = frame_read(&s->reader, p, n, &frame);
	}
	if (result == FRAME_MORE) return;
	out->work[WORK_FRAMES_IN]++;
	login_client_info(r, s, now, &frame, out);
}

void session_stream(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	if (*n > 0 && s->phase == SESSION_LOGIN && s->wait == NULL) login_bytes(r, s, now, p, n, out);
	if (s->phase == SESSION_STEADY && s->wait == NULL) route_bytes(r, s, now, p, n, out);
}

void session_feed(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	while (*n > 0 && s->phase == SESSION_HTTP && s->wait == NULL && http_bytes(r, s, now, p, n, out)) continue;
	if (s->messages) {
		session_websocket_bytes(r, s, now, *p, *n, out);
		*n = 0; /* what it does not look at, it keeps */
	} else {
		session_stream(r, s, now, p, n, out);
	}
}

void session_bytes(struct relay *r, struct session *s, const struct event *e, struct actions *out)
{
	const uint8_t *p = e->bytes.p;
	size_t n = e->bytes.n;

	assert(s->wait == NULL); /* its READ is 0 */
	out->work[WORK_BYTES_IN] += n;
	s->received += n;
	session_feed(r, s, e->now, &p, &n, out);
	if (s->phase == SESSION_CLOSING)
		session_cut(r, e->now, e->token, p, n); /* SESSION_TLS: no bytes before SECURED */
	else if (s->wait != NULL)
		session_keep(s, NULL, p, n);
}

/* ---- ends ---- */

/* For whoever counts: bytes that no frame will come of. */
void session_cut(const struct relay *r, uint64_t now, uint64_t token, const uint8_t *p, size_t n)
{
	if (n > 0) relay_note(r, &(struct note){ .kind = NOTE_CUT, .now = now, .token = token, .p = p, .n = (uint32_t)n });
}

/* Queued packets are counted as gone; memory goes back (SRV-016; ours counts all of them, TRP-014). */
static void release(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	struct outbox_entry entry;
	const uint8_t *partial;
	uint32_t n;

	for (int kind = 0; kind < OUTBOX_KINDS; kind++)
		while (outbox_take(&s->out, (enum outbox_kind)kind, &entry)) {
			route_drop(r, now, s->token, entry.src, entry.dst, entry.p, entry.n, DROP_GONE_DISCONNECTED);
			packet_drop(entry.packet);
		}
	http_free(r, s);
	partial = frame_reader_partial(&s->reader, &n);
	session_cut(r, now, s->token, partial, n);
	frame_reader_free(&s->reader);
	if (s->wait != NULL) {
		admission_cancel(r, s, out);
		if (s->messages)
			session_websocket_held_cut(r, s, now);
		else if (s->wait->hold != NULL)
			session_cut(r, now, s->token, s->wait->hold->bytes + s->wait->at, s->wait->hold->n - s->wait->at);
		session_wait_free(s);
	}
	free(s->rate); /* RAT-007: the end of the connection ends its wait */
	s->rate = NULL;
	timer_cancel(&r->timers, &s->timer);
}

/* SRV-035: the queues first, then the table and whoever must hear; TRP-013: ours waits for no writer, also where bytes are stuck. */
static void leave(struct relay *r, struct session *s, uint64_t now, const char *why, struct actions *out)
{
	bool was_in = s->phase == SESSION_STEADY;

	if (s->phase == SESSION_CLOSING) return;
	if (s->tls != 0 && (was_in || s->phase == SESSION_LOGIN)) r->count.tls_active[s->tls == 3]--;
	release(r, s, now, out);
	s->phase = SESSION_CLOSING;
	if (was_in) {
		peer_unregister(r, s, now, why);
		return;
	}
	r->count.logins_failed++; /* HSK-030: invisible to others */
	relay_note(r, &(struct note){ .kind = NOTE_LOGIN_FAILED, .now = now, .token = s->token, .text = why });
}

void session_close(struct relay *r, struct session *s, uint64_t now, const char *why, bool abort, struct actions *out)
{
	bool waited = s->wait != NULL;

	if (s->phase == SESSION_CLOSING && !abort) return;
	leave(r, s, now, why, out);
	if (abort) session_websocket_free(s);
	if (waited && !abort) actions_read(out, s->token, r->turn_max); /* its end is to be seen */
	if (!session_websocket_goodbye(s, WEBSOCKET_NORMAL, out)) actions_close(out, s->token, abort);
	s->phase_deadline = abort ? TIME_NEVER : now + LINGER_NS;
	session_timer_arm(r, s);
}

void session_closed(struct relay *r, struct session *s, uint64_t now, enum close_cause cause, struct actions *out)
{
	leave(r, s, now, close_cause_name(cause), out);
	session_websocket_free(s);
	timer_cancel(&r->timers, &s->timer);
	assert(s->seen.n == 0 && s->gone_due.n == 0 && s->dirty.n == 0);
	s->token = TOKEN_NONE; /* a slot still on the ready list is skipped there */
	r->sessions--;
}

void session_doom(struct relay *r, struct session *s, const char *why)
{
	if (s->phase == SESSION_CLOSING) return;
	s->doomed = true;
	s->doom = why;
	route_ready(r, s);
}

void session_fin(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	assert(s->phase == SESSION_CLOSING);
	session_websocket_free(s);
	actions_close(out, s->token, false);
	timer_cancel(&r->timers, &s->timer);
	s->phase_deadline = now + LINGER_NS;
	session_timer_arm(r, s);
}

/* Not sent to a connection that is blocked, which has enough to read. */
static void send_keepalive(struct relay *r, struct session *s, struct actions *out)
{
	uint8_t frame[FRAME_HEADER];

	send_bytes(s, frame, frame_keep_alive(frame), out);
	out->work[WORK_FRAMES_OUT]++;
	r->count.keepalive_frames++;
}

void session_timer(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	out->work[WORK_TIMERS]++;
	if (s->phase == SESSION_CLOSING) {
		if (now < s->phase_deadline) return;
		if (s->ws != NULL) /* the peer's close message has not come: HTTP-030 */
			session_fin(r, s, now, out);
		else
			session_close(r, s, now, "linger", true, out);
		return;
	}
	/* SRV-020, HTTP-022. Ours counts no write_error: the packet in hand was the transport's already, and may have arrived. */
	if (now >= outbox_deadline(&s->out, session_limits(r, s))) {
		r->count.write_timeouts += s->phase >= SESSION_LOGIN;
		relay_note(r, &(struct note){ .kind = NOTE_WRITE_TIMEOUT, .now = now, .token = s->token });
		session_close(r, s, now, "write timeout", true, out);
		return;
	}
	if (now >= s->phase_deadline) {    /* HSK-017, HTTP-022 */
		session_websocket_free(s); /* HTTP-033: for good, without a close message */
		login_failed(r, s, now, s->phase == SESSION_LOGIN ? "login timeout" : "http timeout", out);
		return;
	}
	if (s->wait != NULL && now >= s->wait->until) {
		if (s->wait->why == PAUSE_ADMISSION)
			admission_timeout(r, s, now, out);
		else
			session_resume(r, s, now, out);
	}
	if (s->phase == SESSION_HTTP && now >= http_deadline(s)) http_pump(r, s, now, out);
	if (s->phase == SESSION_CLOSING) return;
	if (s->phase == SESSION_STEADY && now >= s->keepalive_at) {
		if (outbox_open(&s->out, session_limits(r, s))) send_keepalive(r, s, out);
		s->keepalive_at = now + s->keepalive_period; /* SRV-023: whatever else was sent */
	}
	session_timer_arm(r, s);
}

uint64_t session_memory(const struct session *s)
{
	return outbox_memory(&s->out) + slotset_memory(&s->seen) + slotset_memory(&s->gone_due) + slotset_memory(&s->dirty) +
	       frame_reader_memory(&s->reader) + http_memory(s) + session_wait_memory(s) + (s->rate == NULL ? 0 : sizeof *s->rate) +
	       (s->ws == NULL ? 0 : sizeof *s->ws + websocket_memory(s->ws));
}
