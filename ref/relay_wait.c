/* Connections that are not read on for a while, and the receive limit that is one reason for it (RAT-001..RAT-011).
 *
 * READ 0 makes the host stop, and the peer's window closes. What the event that led there still held, at most turn_max bytes, waits
 * in a counted packet; packets out of it go out from there, so it lives as long as they do. */
#include "session.h"

#include <stdlib.h>

void session_pause(struct relay *r, struct session *s, enum session_pause why, uint64_t until, struct actions *out)
{
	assert(s->wait == NULL && s->phase != SESSION_CLOSING);
	s->wait = mem_zero(1, sizeof *s->wait);
	s->wait->why = why;
	s->wait->until = until;
	s->wait->ask = SLOT_NONE;
	actions_read(out, s->token, 0);
	session_timer_arm(r, s);
}

void session_keep(struct session *s, struct packet *feed, const uint8_t *p, size_t n)
{
	if (n == 0) return;
	s->wait->hold = feed != NULL ? packet_hold(feed) : packet_copy(p, (uint32_t)n);
	s->wait->at = feed != NULL ? (uint32_t)(p - feed->bytes) : 0;
	assert(s->wait->at + n == s->wait->hold->n);
}

void session_wait_free(struct session *s)
{
	if (s->wait == NULL) return;
	packet_drop(s->wait->hold);
	key_wipe(s->wait, sizeof *s->wait);
	free(s->wait);
	s->wait = NULL;
}

uint64_t session_wait_memory(const struct session *s)
{
	if (s->wait == NULL) return 0;
	return sizeof *s->wait + (s->wait->hold == NULL ? 0 : sizeof *s->wait->hold + s->wait->hold->n);
}

/* Goes on with what was held; then, unless something stops it again, with the stream. */
void session_resume(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	struct session_wait wait = { .hold = s->wait->hold, .at = s->wait->at, .plain = s->wait->plain, .behind = s->wait->behind };
	struct packet *feed = wait.hold;
	bool messages = s->messages;
	const uint8_t *p = feed == NULL ? (const uint8_t *)"" : feed->bytes + wait.at;
	size_t n = feed == NULL ? 0 : feed->n - wait.at;

	s->wait->hold = NULL;
	session_wait_free(s);
	r->feed = feed;
	if (messages) {
		actions_read(out, s->token, r->turn_max); /* also if it closes here: the peer's close message is to be seen (HTTP-030) */
		session_websocket_resume(r, s, now, &wait, out);
		n = 0;
	} else {
		session_feed(r, s, now, &p, &n, out);
	}
	r->feed = NULL;
	if (s->phase == SESSION_CLOSING)
		session_cut(r, now, s->token, p, n);
	else if (s->wait != NULL)
		session_keep(s, feed, p, n);
	else if (!messages)
		actions_read(out, s->token, r->turn_max);
	packet_drop(feed);
	if (s->phase != SESSION_CLOSING) session_timer_arm(r, s);
}

/* ---- receive limits ---- */

bool session_pay(struct relay *r, struct session *s, uint64_t now, uint32_t n, struct actions *out)
{
	uint64_t wait;

	if (s->rate == NULL || s->rate->epoch != r->rate_epoch) {
		if (s->rate == NULL) s->rate = mem_alloc(sizeof *s->rate);
		*s->rate = (struct session_rate){ .epoch = r->rate_epoch };
	}
	wait = limit_take(&r->rates, &s->rate->bucket, now, n < LIMIT_RECEIVE_MIN ? n : LIMIT_RECEIVE_MIN); /* RAT-004 */
	if (wait == 0) return false;
	r->count.rate_limit_per_client_waited++;          /* RAT-008 */
	session_pause(r, s, PAUSE_RATE, now + wait, out); /* RAT-003: nothing is dropped; the window closes, and all frames wait */
	return true;
}

/* RAT-006: whoever waits finishes that wait; after it every bucket is new and full, however often (TRP-026). */
void rates_set(struct relay *r, uint64_t now, const char *json, size_t n)
{
	char error[200];
	bool good = limit_parse(json, n, &r->rates, error);

	if (good) r->rate_epoch++, r->rates_used = true;
	r->count.rate_limit_per_client_bytes_per_second = r->rates.rate;
	r->count.rate_limit_per_client_burst_bytes = r->rates.burst;
	relay_note(r, &(struct note){ .kind = NOTE_RATES, .now = now, .a = r->rates.rate, .b = r->rates.burst, .text = good ? NULL : error });
}
