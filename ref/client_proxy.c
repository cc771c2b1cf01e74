/* A CONNECT proxy between the client and the nodes of its region (CLI-022).
 *
 * The proxy takes the place of a node's addresses: it is dialled, asked for HostName:port, and must say 200. All this belongs to
 * "connecting TCP", so a node that the proxy does not reach is followed by the next one (CLI-016); only the whole attempt is timed.
 * TLS begins behind it. */
#include "client_core.h"

#include <stdio.h>
#include <string.h>

static bool complain(char error[200], struct config_text text)
{
	snprintf(error, 200, "proxy=: expected http://HOST[:PORT], found '%.*s'", (int)(text.n < 100 ? text.n : 100), text.p);
	return false;
}

bool client_proxy_parse(struct config_text text, struct client_proxy *out, char error[200])
{
	struct client_url u;
	struct address ip = { 0 };

	*out = (struct client_proxy){ 0 };
	if (!client_url_parse(text.p, text.n, &u) || u.tls) return complain(error, text);
	if (u.path_n > 1 || (u.path_n == 1 && *u.path != '/')) return complain(error, text);
	memcpy(out->host, u.host, u.host_n);
	out->ask = !address_ip_parse(u.host, u.host_n, &ip);
	out->has_v4 = !out->ask && address_is_v4(&ip);
	out->has_v6 = !out->ask && !address_is_v4(&ip);
	out->v4 = out->v6 = ip;
	out->v4.port = out->v6.port = u.port;
	return true;
}

/* HostName:port, an IPv6 literal in brackets. */
static uint32_t connect_request(const struct client *c, char out[HTTP_OUT_MAX])
{
	const struct client_node *node = &c->region->node[c->node];
	const char *host = region_text(c->region, node->host_at), *open = "", *shut = "";
	char target[300];
	int n;

	if (strchr(host, ':') != NULL) open = "[", shut = "]";
	snprintf(target, sizeof target, "%s%s%s:%u", open, host, shut, node->v4.port);
	n = snprintf(out, HTTP_OUT_MAX, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target);
	assert(n > 0 && n < HTTP_OUT_MAX);
	return (uint32_t)n;
}

void client_proxy_dialed(struct client *c, uint64_t now)
{
	char text[HTTP_OUT_MAX];

	client_send(c, text, connect_request(c, text), NULL);
	client_move(c, now, CLIENT_PROXY);
}

void client_proxy_closed(struct client *c, uint64_t now)
{
	client_stream_forget(c, now);
	client_move(c, now, CLIENT_DIALING);
	client_node_failed(c, now);
}

/* The original throws away what it has read behind the head; then TLS fails in a way that nobody understands. */
void client_proxy_bytes(struct client *c, uint64_t now, const uint8_t **p, size_t *n)
{
	uint32_t status = 0;
	enum http_result result = client_read_head(c, p, n, &status);

	if (result == HTTP_MORE) return;
	if (result == HTTP_READY && status == 200 && *n == 0)
		client_connected(c, now);
	else
		client_node_failed(c, now);
}
