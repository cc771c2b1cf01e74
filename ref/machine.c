/* Names of the seam's words, and lists of actions. */
#include "machine.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

#define NAME_OF(table, value) (assert((size_t)(value) < sizeof(table) / sizeof *(table)), (table)[value])

const char *event_kind_name(enum event_kind kind)
{
	static const char *const name[EVENT_KINDS] = { "start",  "accepted", "dialed", "secured", "bytes",  "drained",
		                                       "closed", "datagram", "answer", "timer",   "command" };
	return NAME_OF(name, kind);
}

const char *close_cause_name(enum close_cause cause)
{
	static const char *const name[CLOSE_CAUSES] = { "eof", "reset", "timeout", "refused", "unreachable", "limit", "tls", "local" };
	return NAME_OF(name, cause);
}

const char *command_verb_name(enum command_verb verb)
{
	static const char *const name[COMMAND_VERBS] = { "send",    "forward", "ping",      "home",  "watch", "close-peer", "region",
		                                         "connect", "leave",   "prefer-v6", "map",   "peer",  "network",    "rebind",
		                                         "key",     "rates",   "drain",     "check", "set" };
	return NAME_OF(name, verb);
}

const char *action_kind_name(enum action_kind kind)
{
	static const char *const name[ACTION_KINDS] = { "dial", "start-tls", "send", "read", "close", "datagram", "ask", "deliver" };
	return NAME_OF(name, kind);
}

const char *deliver_kind_name(enum deliver_kind what)
{
	static const char *const name[DELIVER_KINDS] = { "connected", "ready",   "disconnected", "packet", "peer-gone",  "peer-present",
		                                         "ping",      "pong",    "keepalive",    "health", "restarting", "dropped",
		                                         "stopped",   "pinged",  "refused",      "lost",   "home",       "check",
		                                         "closed",    "warning", "report" };
	return NAME_OF(name, what);
}

const char *refusal_name(enum refusal refusal)
{
	static const char *const name[REFUSALS] = { "not-connected", "limit", "left", "region", "route", "network", "text" };
	return NAME_OF(name, refusal);
}

const char *note_kind_name(enum note_kind kind)
{
	static const char *const name[NOTE_KINDS] = { "accepted", "login",   "login-failed", "ready",     "leave",      "drop",
		                                      "forward",  "watcher", "mesh",         "forwarder", "queue-full", "write-timeout",
		                                      "cut",      "state",   "rates",        "home" };
	return NAME_OF(name, kind);
}

const char *drop_reason_name(enum drop_reason reason)
{
	static const char *const name[DROP_REASONS] = { "unknown_dest", "unknown_dest_on_fwd", "gone_disconnected", "queue_head",
		                                        "queue_tail",   "write_error",         "dup_client" };
	return NAME_OF(name, reason);
}

void actions_init(struct actions *a) { memset(a, 0, sizeof *a); }

void actions_free(struct actions *a)
{
	actions_reset(a);
	free(a->v);
	free(a->arena);
	free(a->kept);
	actions_init(a);
}

void actions_reset(struct actions *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->v[i].span.owner != NULL) packet_drop(a->v[i].span.owner);
	for (uint32_t i = 0; i < a->kept_n; i++) packet_drop(a->kept[i]);
	a->n = 0;
	a->arena_n = 0;
	a->kept_n = 0;
	memset(a->work, 0, sizeof a->work);
}

void actions_grow(struct actions *a)
{
	assert(a->n < ACTIONS_MAX);
	MEM_ROOM(a->v, a->n, a->cap);
}

void actions_arena_grow(struct actions *a, uint32_t n)
{
	uint32_t cap = a->arena_cap ? a->arena_cap : 4096;

	while (cap < a->arena_n + n) cap *= 2;
	assert(cap <= ACTIONS_ARENA_MAX);
	a->arena = mem_grow(a->arena, cap);
	a->arena_cap = cap;
}

uint8_t *actions_datagram(struct actions *a, uint64_t socket, const struct address *to, uint32_t head_n)
{
	struct action *x = actions_add(a, ACTION_DATAGRAM, socket);

	x->address = *to;
	return actions_head(a, x, head_n);
}

void actions_span_packet(struct actions *a, struct packet *packet, const uint8_t *p, uint32_t n)
{
	assert(a->n > 0 && a->v[a->n - 1].span.owner == NULL);
	assert(p >= packet->bytes && p + n <= packet->bytes + packet->n);
	a->v[a->n - 1].span = (struct span){ .owner = packet, .p = p, .n = n };
}

void actions_keep(struct actions *a, struct packet *packet)
{
	MEM_ROOM(a->kept, a->kept_n, a->kept_cap);
	a->kept[a->kept_n++] = packet;
}

void actions_read(struct actions *a, uint64_t token, uint32_t n) { actions_add(a, ACTION_READ, token)->read_n = n; }

void actions_close(struct actions *a, uint64_t token, bool abort) { actions_add(a, ACTION_CLOSE, token)->abort = abort; }

void actions_dial(struct actions *a, uint64_t token, const struct address *to) { actions_add(a, ACTION_DIAL, token)->address = *to; }

struct action *actions_deliver(struct actions *up, enum deliver_kind what, uint64_t token)
{
	struct action *x = actions_add(up, ACTION_DELIVER, token);

	x->deliver = (struct action_deliver){ .what = what };
	return x;
}
