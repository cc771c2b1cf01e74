/* Going in peace, ours: COMMAND_DRAIN. SRV-034, SRV-036.
 *
 * Listeners close, so that whoever dials goes elsewhere at once and a successor may take the port. Who is not in yet is sent away.
 * Regular clients hear Restarting; then their connections are closed one after the other, spread evenly over the time, in the
 * order of their slots. Mesh peers stay until the last of them is gone, so that packets still find their way. */
#include "session.h"

/* How long a client may keep trying before it treats this as any other failure: closes are spread already, so it need not wait. */
enum { RESTART_TRY_MS = 5000 };

static void listeners_close(const struct relay *r, struct actions *out)
{
	for (uint32_t i = 0; i < r->sockets_n; i++)
		if (!r->sockets[i].datagram) actions_close(out, r->sockets[i].token, true);
}

void drain_begin(struct relay *r, uint64_t now, uint64_t span, struct actions *out)
{
	if (r->drain.on || r->leaving) return;
	r->drain = (struct relay_drain){
		.on = true, .began = now, .span = span < RELAY_DRAIN_LONGEST_NS ? span : RELAY_DRAIN_LONGEST_NS, .total = r->regular
	};
	listeners_close(r, out);
}

static uint32_t slots(const struct relay *r) { return r->chunks << CHUNK_BITS; }
static bool is_regular(const struct session *s) { return s->token != TOKEN_NONE && s->phase == SESSION_STEADY && !s->mesh_peer; }

static void tell(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	if (s->token == TOKEN_NONE || s->mesh_peer || s->phase == SESSION_CLOSING) return;
	if (s->phase != SESSION_STEADY) {
		session_close(r, s, now, "relay drains", true, out);
		return;
	}
	frame_restarting(session_send(s, FRAME_HEADER + FRAME_PING_SIZE, NULL, out), 0, RESTART_TRY_MS);
	out->work[WORK_FRAMES_OUT]++;
	session_timer_arm(r, s);
}

/* How many were to be closed by now, of all that there were. */
static uint32_t closes_due(const struct relay_drain *d, uint64_t now)
{
	uint64_t passed = now - d->began;

	return passed >= d->span ? d->total : (uint32_t)(passed * d->total / d->span);
}

void drain_on(struct relay *r, uint64_t now, struct actions *out)
{
	struct relay_drain *d = &r->drain;

	for (; d->told < slots(r) && actions_room(out); d->told++)
		if (r->chunk[d->told >> CHUNK_BITS] != NULL) tell(r, session_at(r, d->told), now, out);
	if (d->told < slots(r)) return;
	for (; d->cursor < slots(r) && actions_room(out); d->cursor++) {
		struct session *s = r->chunk[d->cursor >> CHUNK_BITS] == NULL ? NULL : session_at(r, d->cursor);
		if (s == NULL || !is_regular(s)) continue;
		if (d->closed < d->total && d->closed >= closes_due(d, now)) return;
		session_close(r, s, now, "relay drains", false, out);
		d->closed++;
	}
	/* What is closing has its time to take what was sent (session.c); only mesh peers are left then. */
	if (d->cursor < slots(r) || r->sessions != r->count.current_connections) return;
	r->leaving = true;
	links_leave(r, now, out);
}

uint64_t drain_deadline(const struct relay *r)
{
	const struct relay_drain *d = &r->drain;

	if (!d->on || r->leaving) return TIME_NEVER;
	if (d->told < slots(r) || d->closed >= d->total) return d->cursor < slots(r) ? 0 : TIME_NEVER;
	if (d->cursor >= slots(r)) return TIME_NEVER; /* the next end of a connection is what is waited for */
	return d->began + ((uint64_t)(d->closed + 1) * d->span + d->total - 1) / d->total;
}
