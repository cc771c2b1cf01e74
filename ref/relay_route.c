/* The steady state: frames in, packets routed, what is due written (SRV-001..SRV-032).
 *
 * A packet whose receiver takes it goes out in the turn that brought it in, from the bytes of the event: nothing is copied and
 * nothing allocated. Else it waits in the receiver's outbox in a counted packet. */
#include "session.h"

#include <string.h>

/* A packet on its way. */
struct parcel {
	const uint8_t *src, *dst;
	uint32_t src_peer; /* SLOT_NONE: not known yet */
	const uint8_t *p;
	uint32_t n;
	struct packet *owner; /* counted packet that holds p, or NULL: event bytes */
	bool crowded;         /* the owner holds more than this packet: who keeps it copies */
	enum packet_kind kind;
};

void route_drop(struct relay *r, uint64_t now, uint64_t token, const uint8_t *src, const uint8_t *dst, const uint8_t *p, uint32_t n,
                enum drop_reason reason)
{
	enum packet_kind kind = frame_looks_like_disco(p, n) ? PACKET_DISCO : PACKET_OTHER;

	r->count.packets_dropped[reason][kind]++; /* SRV-015 */
	r->count.bytes_dropped[reason][kind] += n;
	relay_note(r, &(struct note){ .kind = NOTE_DROP, .now = now, .token = token, .key = src, .key2 = dst, .p = p, .n = n, .a = reason });
}

/* ---- writing ---- */

static void count_sent(struct relay *r, uint32_t n, struct actions *out)
{
	r->count.packets_sent++; /* SRV-021 */
	r->count.bytes_sent += n;
	out->work[WORK_FRAMES_OUT]++;
	out->work[WORK_BYTES_OUT] += n;
}

/* SRV-004: the bytes as they came. */
static void write_parcel(struct relay *r, struct session *to, const struct parcel *x, struct actions *out)
{
	bool nameless = key_is_zero(x->src); /* the original's old form of the frame (FRM-019); ours lets no such packet in */
	uint32_t head_n = FRAME_HEADER + (nameless ? 0 : FRAME_KEY);
	uint8_t *head = session_send(to, head_n, &(struct span){ .owner = x->owner, .p = x->p, .n = x->n }, out);

	if (nameless)
		frame_header(head, FRAME_RECV_PACKET, x->n);
	else
		frame_recv_head(head, x->src, x->n); /* SRV-018 */
	count_sent(r, x->n, out);
}

static void queue_parcel(struct relay *r, struct session *to, uint64_t now, const struct parcel *x)
{
	bool whole = x->owner != NULL && !x->crowded;
	struct packet *packet = whole ? packet_hold(x->owner) : packet_copy(x->p, x->n);
	struct outbox_entry entry = { .packet = packet, .p = whole ? x->p : packet->bytes, .n = x->n, .queued_at = now }, dropped;

	memcpy(entry.src, x->src, KEY_SIZE);
	memcpy(entry.dst, x->dst, KEY_SIZE);
	if (!outbox_push(&to->out, session_limits(r, to), x->kind == PACKET_DISCO ? OUTBOX_DISCO : OUTBOX_OTHER, &entry, &dropped)) return;
	metrics_queue_time(r, dropped.queued_at, now);
	relay_note(r, &(struct note){ .kind = NOTE_QUEUE_FULL, .now = now, .token = to->token, .key2 = dropped.dst });
	route_drop(r, now, to->token, dropped.src, dropped.dst, dropped.p, dropped.n, DROP_QUEUE_HEAD); /* SRV-012, SRV-013 */
	packet_drop(dropped.packet);
}

/* SRV-017: never waits for the receiver. */
static void deliver(struct relay *r, struct session *to, uint64_t now, const struct parcel *x, struct actions *out)
{
	enum outbox_kind queue = x->kind == PACKET_DISCO ? OUTBOX_DISCO : OUTBOX_OTHER;
	bool direct = outbox_open(&to->out, session_limits(r, to)) && to->out.queue[queue] == NULL;

	/* Ours tracks a sender as soon as a packet of it is on its way; the original only when it is written (PGR-006, TRP-011). */
	if (direct || !relay_is_derper(r)) {
		if (x->src_peer == SLOT_NONE || !slotset_has(&to->seen, x->src_peer)) peer_heard(r, to, x->src_peer, x->src);
	}
	if (!direct) {
		queue_parcel(r, to, now, x);
		return;
	}
	write_parcel(r, to, x, out);
	metrics_queue_time(r, now, now);
}

static bool pump_packet(struct relay *r, struct session *s, uint64_t now, enum outbox_kind queue, struct actions *out)
{
	struct outbox_entry e;
	struct parcel x;

	if (!outbox_take(&s->out, queue, &e)) return false;
	x = (struct parcel){ .src = e.src, .p = e.p, .n = e.n, .owner = e.packet };
	if (relay_is_derper(r)) { /* PGR-006 */
		peer_heard(r, s, SLOT_NONE, e.src);
	}
	write_parcel(r, s, &x, out);
	metrics_queue_time(r, e.queued_at, now);
	packet_drop(e.packet);
	return true;
}

static void send_pong(struct relay *r, struct session *s, struct actions *out)
{
	frame_pong(session_send(s, FRAME_HEADER + FRAME_PING_SIZE, NULL, out), s->pong);
	s->pong_due = false;
	r->count.sent_pong++;
	out->work[WORK_FRAMES_OUT]++;
}

static void send_gone(struct relay *r, struct session *s, const uint8_t *key, enum peer_gone_reason reason, struct actions *out)
{
	frame_peer_gone(session_send(s, FRAME_HEADER + FRAME_GONE_SIZE, NULL, out), key, (uint8_t)reason);
	if (reason == GONE_NOT_HERE)
		r->count.peer_gone_not_here_frames++;
	else
		r->count.peer_gone_disconnected_frames++;
	out->work[WORK_FRAMES_OUT]++;
}

/* The state of a peer as it is now, so that any number of changes while a watcher is blocked cost one frame (MSH-010). */
static void send_update(struct relay *r, struct session *s, uint32_t index, struct actions *out)
{
	const struct peer *peer = &r->peer[index];
	const struct session *active;

	r->updates++;
	if (peer->active == SLOT_NONE) {
		send_gone(r, s, peer->key, GONE_DISCONNECTED, out); /* PGR-023 */
		return;
	}
	active = session_at(r, peer->active);
	frame_peer_present(session_send(s, FRAME_HEADER + FRAME_PRESENT_SIZE, NULL, out), peer->key, active->remote.ip, active->remote.port,
	                   peer_flags(active));
	r->count.peer_present_frames++;
	out->work[WORK_FRAMES_OUT]++;
}

static bool pump_set(struct relay *r, struct session *s, struct slotset *set, bool update, struct actions *out)
{
	uint32_t index = slotset_next(set, 0);

	if (index == SLOTSET_NONE) return false;
	if (update)
		send_update(r, s, index, out);
	else
		send_gone(r, s, r->peer[index].key, GONE_DISCONNECTED, out);
	slotset_remove(set, index);
	assert(r->peer[index].refs > 0);
	r->peer[index].refs--;
	peer_settle(r, index);
	return true;
}

/* One frame of what is due. The original's writer picks at random (SRV-014, TRP-002); ours has a fixed order, so that PeerGone may
 * overtake packets of that peer (PGR-010). */
static bool pump_one(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	if (s->pong_due) {
		send_pong(r, s, out);
		return true;
	}
	return pump_set(r, s, &s->dirty, true, out) || pump_set(r, s, &s->gone_due, false, out) || pump_packet(r, s, now, OUTBOX_DISCO, out) ||
	       pump_packet(r, s, now, OUTBOX_OTHER, out);
}

void route_ready(struct relay *r, struct session *s)
{
	if (s->ready_listed) return;
	s->ready_listed = true;
	s->ready_next = SLOT_NONE;
	if (r->ready_first == SLOT_NONE)
		r->ready_first = s->slot;
	else
		session_at(r, r->ready_last)->ready_next = s->slot;
	r->ready_last = s->slot;
}

static void pump(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	while (outbox_open(&s->out, session_limits(r, s))) {
		if (!actions_room(out)) {
			route_ready(r, s);
			return;
		}
		if (!pump_one(r, s, now, out)) return;
	}
}

void route_pump(struct relay *r, struct session *s, uint64_t now, struct actions *out)
{
	uint64_t updates = r->updates;

	if (s->phase == SESSION_HTTP) http_pump(r, s, now, out);
	if (s->messages) session_websocket_pong(r, s, out);
	if (s->phase != SESSION_STEADY) return;
	if (s->doomed) {
		session_close(r, s, now, s->doom, false, out);
		return;
	}
	pump(r, s, now, out);
	if (r->updates != updates) metrics_mesh_update(r, r->updates - updates);
}

/* ---- reading ---- */

/* PGR-013, PGR-014, TRP-008: a bucket of 3, one a second, over all destinations. */
static void not_here(struct relay *r, struct session *s, uint64_t now, const uint8_t *key, struct actions *out)
{
	uint64_t full_at = s->not_here_at > now ? s->not_here_at : now;

	if (full_at + NS_S > now + 3 * NS_S || !outbox_open(&s->out, session_limits(r, s))) { /* ours: nor to one that is blocked */
		r->count.peer_gone_suppressed++;
		return;
	}
	s->not_here_at = full_at + NS_S;
	send_gone(r, s, key, GONE_NOT_HERE, out);
}

static void undeliverable(struct relay *r, struct session *s, uint64_t now, const struct parcel *x, enum drop_reason reason, struct actions *out)
{
	route_drop(r, now, s->token, x->src, x->dst, x->p, x->n, reason);
	if (x->kind == PACKET_DISCO) not_here(r, s, now, x->dst, out); /* SRV-007, MSH-019; PGR-015: to whoever sent or forwarded it */
}

static struct parcel parcel_of(const struct relay *r, const struct frame *f, const uint8_t *src, uint32_t src_peer, uint32_t keys)
{
	const uint8_t *p = f->payload + keys * FRAME_KEY;
	uint32_t n = f->n - keys * FRAME_KEY;

	return (struct parcel){ .src = src,
		                .dst = p - FRAME_KEY,
		                .src_peer = src_peer,
		                .p = p,
		                .n = n,
		                .owner = f->owner != NULL ? f->owner : r->feed,
		                .crowded = f->owner == NULL,
		                .kind = frame_looks_like_disco(p, n) ? PACKET_DISCO : PACKET_OTHER };
}

static void on_send(struct relay *r, struct session *s, uint64_t now, const struct frame *f, struct actions *out)
{
	struct parcel x = parcel_of(r, f, r->peer[s->peer].key, s->peer, 1); /* SRV-003 */
	uint32_t index;
	struct peer *peer;

	r->count.packets_received++; /* SRV-009: whatever becomes of it */
	r->count.bytes_received += x.n;
	r->count.packets_received_kind[x.kind]++;
	index = keymap_find(&r->keys, x.dst);
	if (index == KEYMAP_NONE) {
		undeliverable(r, s, now, &x, DROP_UNKNOWN_DEST, out);
		return;
	}
	peer = &r->peer[index]; /* SRV-005: local first, then mesh. SRV-006: the sender's own key is a key like others */
	if (peer->active != SLOT_NONE)
		deliver(r, session_at(r, peer->active), now, &x, out);
	else if (peer->forwarder != SLOT_NONE)
		links_forward(r, now, index, x.src, x.p, x.n, x.owner, out); /* MSH-018, REG-001, REG-006 */
	else
		undeliverable(r, s, now, &x, DROP_UNKNOWN_DEST, out);
}

static void on_forward(struct relay *r, struct session *s, uint64_t now, const struct frame *f, struct actions *out)
{
	struct parcel x = parcel_of(r, f, f->payload, SLOT_NONE, 2); /* MSH-020 */
	uint32_t index = keymap_find(&r->keys, x.dst);

	r->count.packets_forwarded_in++;                 /* MSH-021 */
	if (key_is_zero(x.src) && !relay_is_derper(r)) { /* FRM-019, TRP-016: ours drops */
		route_drop(r, now, s->token, x.src, x.dst, x.p, x.n, DROP_UNKNOWN_DEST_ON_FWD);
		return;
	}
	if (index == KEYMAP_NONE || r->peer[index].active == SLOT_NONE) { /* MSH-017: local clients only */
		undeliverable(r, s, now, &x, DROP_UNKNOWN_DEST_ON_FWD, out);
		return;
	}
	deliver(r, session_at(r, r->peer[index].active), now, &x, out);
}

static void on_note_preferred(struct relay *r, struct session *s, uint64_t now, bool home)
{
	bool moved = now - s->connected_at > 5 * NS_S; /* SRV-030 */

	if (s->home == home) return;
	s->home = home;
	if (home)
		r->count.current_home_connections++, r->count.home_moves_in += moved;
	else
		r->count.current_home_connections--, r->count.home_moves_out += moved;
}

static void on_ping(struct relay *r, struct session *s, const struct frame *f, struct actions *out)
{
	if (s->pong_due) return; /* SRV-026 */
	memcpy(s->pong, f->payload, FRAME_PING_SIZE);
	s->pong_due = true;
	if (outbox_open(&s->out, session_limits(r, s))) send_pong(r, s, out);
}

/* MSH-033, TRP-023: the connections that the key has now, soon; MSH-034: a new one is welcome. */
static void on_close_peer(struct relay *r, const uint8_t *key)
{
	uint32_t index = keymap_find(&r->keys, key);

	if (index == KEYMAP_NONE) return;
	for (uint32_t slot = r->peer[index].first; slot != SLOT_NONE; slot = session_at(r, slot)->key_next)
		session_doom(r, session_at(r, slot), "ClosePeer");
}

static void dispatch(struct relay *r, struct session *s, uint64_t now, const struct frame *f, struct actions *out)
{
	switch (f->type) {
	case FRAME_SEND_PACKET: on_send(r, s, now, f, out); break;
	case FRAME_FORWARD_PACKET: on_forward(r, s, now, f, out); break;
	case FRAME_NOTE_PREFERRED: on_note_preferred(r, s, now, f->payload[0] != 0); break;
	case FRAME_PING: on_ping(r, s, f, out); break;
	case FRAME_WATCH_CONNS: peer_watch(r, s, now); break;
	case FRAME_CLOSE_PEER: on_close_peer(r, f->payload); break;
	default: assert(false && "the table takes no other type to a server");
	}
}

/* NULL: go on; else why the connection ends. */
static const char *judge_header(struct relay *r, struct session *s, const struct frame *f)
{
	const struct frame_info *info;

	if (r->peer[s->peer].sessions > 1) peer_activity(r, s);                                        /* DUP-005: before the handler */
	if (f->type == FRAME_PING) r->count.got_ping++;                                                /* SRV-027 */
	if (f->type == FRAME_FORWARD_PACKET && !s->mesh_peer) return "ForwardPacket without mesh key"; /* MSH-016: before the length */
	if (f->verdict == FRAME_BAD) return "illegal frame length";                                    /* FRM-008 */
	info = f->verdict == FRAME_TAKE ? frame_info(f->type) : NULL;
	return info != NULL && info->mesh && !s->mesh_peer ? "privileged frame without mesh key" : NULL; /* SRV-031 */
}

/* What a header alone decides; it has been paid for (RAT-002). */
static void on_header(struct relay *r, struct session *s, uint64_t now, const struct frame *f, struct actions *out)
{
	const char *why = judge_header(r, s, f);

	if (why != NULL) session_close(r, s, now, why, false, out);
}

static void on_frame(struct relay *r, struct session *s, uint64_t now, const struct frame *f, struct actions *out)
{
	if (s->phase != SESSION_STEADY) return; /* its header ended the connection */
	out->work[WORK_FRAMES_IN]++;
	dispatch(r, s, now, f, out);
}

/* SRV-001: one frame after the other, each done with before the next header. */
void route_bytes(struct relay *r, struct session *s, uint64_t now, const uint8_t **p, size_t *n, struct actions *out)
{
	struct frame f;

	if (s->header_due) { /* it waited for its tokens */
		s->header_due = false;
		frame_reader_header(&s->reader, &f);
		on_header(r, s, now, &f, out);
	}
	while (s->phase == SESSION_STEADY && (*n > 0 || !frame_reader_idle(&s->reader))) {
		if (r->rates.rate == 0 && frame_read_whole(&s->reader, p, n, &f)) { /* else its tokens come between header and payload */
			on_header(r, s, now, &f, out);
			on_frame(r, s, now, &f, out);
			continue;
		}
		switch (frame_read(&s->reader, p, n, &f)) {
		case FRAME_MORE: return;
		case FRAME_HEADER_READ:
			if (session_rate_wait(r, s, now, f.n, out)) {
				s->header_due = true;
				return;
			}
			on_header(r, s, now, &f, out);
			break;
		case FRAME_READY: on_frame(r, s, now, &f, out); break;
		}
	}
}
