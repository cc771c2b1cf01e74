/* HTTP on a connection that is not DERP yet: requests one after the other, their answers, the bodies that nobody wants.
 *
 * HTTP-002..HTTP-004, HTTP-022, HTTP-035..HTTP-045. An idle connection owns nothing; one whose head is incomplete owns that head; one
 * that does not take its answers is not read on, so that it cannot ask for more than it takes. */
#include "session.h"

#include <stdlib.h>

static struct session_http *remembered(struct session *s)
{
	if (s->http == NULL) s->http = mem_zero(1, sizeof *s->http);
	return s->http;
}

void http_free(struct relay *r, struct session *s)
{
	if (s->http == NULL) return;
	http_reader_free(&s->http->reader);
	traffic_free(r, s->http->traffic);
	free(s->http);
	s->http = NULL;
}

uint64_t http_memory(const struct session *s)
{
	return s->http == NULL ? 0 : sizeof *s->http + s->http->reader.held_cap + traffic_memory(s->http->traffic);
}

uint64_t http_deadline(const struct session *s)
{
	return s->http == NULL || s->http->traffic == NULL ? TIME_NEVER : traffic_deadline(s->http->traffic);
}

void http_pump(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	if (s->http != NULL && s->http->traffic != NULL) {
		traffic_pump(r, s, s->http->traffic, now, out);
		session_timer_arm(r, s);
	}
	if (s->wait != NULL && outbox_open(&s->out, session_limits(r, s))) session_resume(r, s, now, out);
}

/* ---- answers ---- */

static void send_reply(struct relay *r, struct session *s, uint64_t now, const struct reply *reply, bool head_only, bool close, struct actions *out)
{
	struct packet *packet = reply_write(reply, head_only, close, (r->wall_ns + now) / NS_S);

	session_send(s, 0, &(struct span){ .owner = packet, .p = packet->bytes, .n = packet->n }, out);
	packet_drop(packet);
}

/* Answers; then the connection ends, or the body of the request is skipped and the next one awaited for as long as the first. */
static void answer(struct relay *r, struct session *s, uint64_t now, const struct reply *reply, bool head_only, bool close, struct actions *out)
{
	close |= (reply->with & (REPLY_SAY_CLOSE | REPLY_BARE)) != 0;
	send_reply(r, s, now, reply, head_only, close, out);
	if (close) {
		session_close(r, s, now, "http answered", false, out);
		return;
	}
	s->phase_deadline = now + r->config.http_timeout; /* HTTP-022 */
	session_timer_arm(r, s);
}

/* MET-008: endless, unless only its head was asked for. */
static void stream_traffic(struct relay *r, struct session *s, uint64_t now, struct reply *reply, const struct http_head *head, struct actions *out)
{
	bool head_only = http_text_is(head->method, "HEAD"), chunked = head->minor == 1;
	struct traffic *t = head_only ? NULL : traffic_new(r, now, chunked);

	if (t == NULL && !head_only) {
		reply_error(reply, 503, "too many traffic streams");
		answer(r, s, now, reply, false, true, out);
		return;
	}
	reply_init(reply, 200, "text/plain; charset=utf-8", DEBUG_PAGE | REPLY_TYPE_GUESSED | REPLY_CHUNKED);
	if (t == NULL) {
		answer(r, s, now, reply, true, true, out);
		return;
	}
	if (!chunked) reply->with = DEBUG_PAGE | REPLY_TYPE_GUESSED | REPLY_SAY_CLOSE | REPLY_UNTIL_CLOSE;
	send_reply(r, s, now, reply, false, false, out);
	remembered(s)->traffic = t;
	s->phase_deadline = TIME_NEVER;
	http_pump(r, s, now, out);
}

static void fill(struct relay *r, const struct session *s, uint64_t now, enum endpoint endpoint, const struct http_head *head, struct reply *reply)
{
	char query[ENDPOINT_VALUE_MAX];

	switch (endpoint) {
	case ENDPOINT_BOOTSTRAP: bootstrap_reply(&r->bootstrap, endpoint_query(head, "q", query) ? query : NULL, &s->remote, reply); break;
	case ENDPOINT_HEALTH: metrics_health(r, reply); break;
	case ENDPOINT_DEBUG: metrics_index(r, now, reply); break;
	case ENDPOINT_VARS: metrics_vars(r, now, reply); break;
	case ENDPOINT_VARZ: metrics_varz(r, now, reply); break;
	case ENDPOINT_CHECK: metrics_check(r, reply); break;
	default: break;
	}
}

/* ---- requests ---- */

/* Something that is no request: the connection cannot go on. */
static void refuse(struct relay *r, struct session *s, uint64_t now, uint32_t status, struct actions *out)
{
	struct reply reply = { 0 };

	reply_refuse(&reply, status, NULL);
	answer(r, s, now, &reply, false, true, out);
	reply_free(&reply);
}

/* False: the connection is DERP now, over, or has nothing more to say. */
static bool serve(struct relay *r, struct session *s, uint64_t now, const struct http_head *head, struct actions *out)
{
	struct endpoint_call call = { .head = head, .remote = s->remote, .tls = s->tls != 0, .helper = s->helper };
	bool too_long, close = head->minor == 0 || http_has_token(head, "Connection", "close");
	struct reply reply;
	struct body body;
	uint32_t status = body_begin(&body, head, &too_long);
	enum endpoint endpoint;

	if (s->tls != 0) r->count.tls_requests[s->tls == 3]++;
	if (status != 0) {
		refuse(r, s, now, status, out);
		return false;
	}
	endpoint = endpoint_route(&r->site, &call, &reply);
	if (endpoint == ENDPOINT_TRAFFIC) {
		stream_traffic(r, s, now, &reply, head, out);
		reply_free(&reply);
		return s->phase == SESSION_HTTP;
	}
	if (endpoint == ENDPOINT_DERP) {
		const char *extra;
		status = session_upgrade(r, s, now, head, &extra, out); /* HTTP-003: whatever body it announces */
		if (status == 0) {
			reply_free(&reply);
			return false;
		}
		reply_error(&reply, status, status == 426 ? "DERP requires connection upgrade" : http_status_text(status)); /* HTTP-002 */
		reply.extra = extra;                                                                                        /* HTTP-028 */
	}
	fill(r, s, now, endpoint, head, &reply);
	answer(r, s, now, &reply, http_text_is(head->method, "HEAD"), close || too_long, out);
	reply_free(&reply);
	if (s->phase == SESSION_HTTP && body.state != BODY_OVER) remembered(s)->body = body;
	return s->phase == SESSION_HTTP;
}

static bool head_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	struct http_reader reader;
	struct http_head head;
	enum http_result result;
	bool more = false;

	http_reader_init(&reader, false);
	if (s->http != NULL) reader = s->http->reader;
	result = http_read(&reader, p, n, &head);
	if (result == HTTP_MORE) {
		remembered(s)->reader = reader;
		return false;
	}
	if (s->http != NULL) http_reader_init(&s->http->reader, false); /* what it held is in `reader` now, also should the session end here */
	http_free(r, s);
	if (result == HTTP_READY)
		more = serve(r, s, now, &head, out);
	else
		refuse(r, s, now, result == HTTP_TOO_LONG ? 431 : 400, out);
	http_reader_free(&reader);
	return more;
}

bool http_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	if (s->http != NULL && s->http->traffic != NULL) { /* nobody listens to it any more */
		*n = 0;
		return false;
	}
	if (s->http != NULL && s->http->body.state != BODY_OVER) {
		switch (body_skip(&s->http->body, p, n)) {
		case BODY_MORE: return false;
		case BODY_BAD: session_close(r, s, now, "http body", false, out); return false;
		case BODY_DONE: http_free(r, s); return true;
		}
	}
	if (!outbox_open(&s->out, session_limits(r, s))) {
		session_pause(r, s, PAUSE_ANSWERS, TIME_NEVER, out);
		return false;
	}
	return head_bytes(r, s, now, p, n, out);
}
