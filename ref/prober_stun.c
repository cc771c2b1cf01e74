/* STUN from the IP literals of a node (PRB-005). */
#include "prober_core.h"

#include "address.h"
#include "stun.h"

#include <string.h>

static void ask(struct prober *p, uint64_t now, const struct address *to)
{
	uint8_t request[STUN_REQUEST];

	rng_bytes(&p->rng, RNG_STUN, p->txid, sizeof p->txid);
	stun_request(request, p->txid);
	memcpy(actions_datagram(p->out, p->socket[p->now.v6], to, STUN_REQUEST), request, sizeof request);
	p->began = now;
	p->due = now + PROBER_STUN_WAIT;
	p->state = PROBER_ASKED;
}

static const char *literal(const struct prober *p)
{
	const struct derp_node *node = &prober_region(p)->node[p->now.from];

	return p->now.v6 ? node->ipv6 : node->ipv4;
}

/* False: no address. */
static bool where(const struct prober *p, struct address *to)
{
	const struct derp_node *node = &prober_region(p)->node[p->now.from];
	const char *text = literal(p);

	*to = (struct address){ .port = node->stun_port == 0 ? STUN_PORT : (uint16_t)node->stun_port };
	return address_ip_parse(text, strlen(text), to) && address_is_v4(to) == !p->now.v6;
}

/* PRB-005. IDLE stays: there is nothing to ask. */
void prober_stun_start(struct prober *p, uint64_t now)
{
	const struct derp_node *node = &prober_region(p)->node[p->now.from];
	struct address to;

	if (node->stun_port < 0 || node->stun_port > UINT16_MAX || literal(p)[0] == 0 || strcmp(literal(p), "none") == 0) return;
	if (!where(p, &to))
		prober_over(p, now, PROBER_FAILED, "the literal is no address of its family");
	else if (p->socket[p->now.v6] == TOKEN_NONE)
		prober_over(p, now, PROBER_SKIPPED, p->now.v6 ? "no IPv6 here" : "no IPv4 here");
	else
		ask(p, now, &to);
}

void prober_stun_timer(struct prober *p, uint64_t now)
{
	struct address to;

	if (now >= p->deadline || !where(p, &to))
		prober_over(p, now, PROBER_FAILED, "no answer");
	else
		ask(p, now, &to);
}

/* Late answers to earlier requests, and whatever else comes to the socket, mean nothing. */
void prober_stun_answer(struct prober *p, const struct event *e)
{
	uint8_t txid[STUN_TXID];
	struct address mapped;

	if (p->state != PROBER_ASKED || stun_response_parse(e->datagram->p, e->datagram->n, txid, &mapped) != STUN_GOOD) return;
	if (memcmp(txid, p->txid, sizeof txid) != 0) return;
	p->now.ns = e->now - p->began;
	p->now.mapped = mapped;
	prober_over(p, e->now, PROBER_GOOD, "");
}
