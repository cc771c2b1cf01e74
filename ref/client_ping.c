/* Pings of the client's own (CLI-011): 8 random bytes, at most 5 s of patience, one DELIVER_PINGED each. A Pong that answers none
 * of them is the owner's. */
#include "client_core.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t patience_max_ns = 5 * NS_S;

static void tell(struct client *c, uint64_t now, uint64_t sent_at, bool answered)
{
	struct action *x = actions_deliver(c->up_now, DELIVER_PINGED, c->conn);

	x->deliver.a = answered;
	x->deliver.b = now - sent_at;
}

static void remove_ping(struct client *c, uint32_t i)
{
	struct client_pings *pings = c->pings;

	memmove(pings->v + i, pings->v + i + 1, (pings->n - i - 1) * sizeof *pings->v);
	if (--pings->n > 0) return;
	free(pings);
	c->pings = NULL;
}

void client_ping(struct client *c, uint64_t now, uint64_t patience_ns)
{
	uint8_t frame[FRAME_HEADER + FRAME_PING_SIZE];
	struct client_ping *ping;

	if ((c->state != CLIENT_SENT && c->state != CLIENT_READY) || (c->pings != NULL && c->pings->n == CLIENT_PINGS_MAX)) {
		tell(c, now, now, false);
		return;
	}
	if (c->pings == NULL) c->pings = mem_zero(1, sizeof *c->pings);
	ping = &c->pings->v[c->pings->n++];
	rng_bytes(&c->rng, RNG_PING, ping->data, sizeof ping->data);
	ping->sent_at = now;
	ping->until = now + (patience_ns == 0 || patience_ns > patience_max_ns ? patience_max_ns : patience_ns);
	client_send(c, frame, frame_ping(frame, ping->data), NULL);
	c->out_now->work[WORK_FRAMES_OUT]++;
}

bool client_pong(struct client *c, uint64_t now, const uint8_t data[FRAME_PING_SIZE])
{
	for (uint32_t i = 0; c->pings != NULL && i < c->pings->n; i++) {
		if (memcmp(c->pings->v[i].data, data, FRAME_PING_SIZE) != 0) continue;
		tell(c, now, c->pings->v[i].sent_at, true);
		remove_ping(c, i);
		return true;
	}
	return false;
}

void client_pings_expire(struct client *c, uint64_t now)
{
	for (uint32_t i = 0; c->pings != NULL && i < c->pings->n;) {
		if (c->pings->v[i].until > now) {
			i++;
			continue;
		}
		tell(c, now, c->pings->v[i].sent_at, false);
		remove_ping(c, i);
	}
}

void client_pings_fail(struct client *c, uint64_t now)
{
	while (c->pings != NULL) {
		tell(c, now, c->pings->v[0].sent_at, false);
		remove_ping(c, 0);
	}
}

uint64_t client_pings_deadline(const struct client *c)
{
	uint64_t at = TIME_NEVER;

	for (uint32_t i = 0; c->pings != NULL && i < c->pings->n; i++)
		if (c->pings->v[i].until < at) at = c->pings->v[i].until;
	return at;
}
