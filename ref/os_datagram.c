/* The host's UDP sockets: what comes is told, what the machine sends leaves with the turn. */
#include "os_conn.h"

#include <sys/epoll.h>

/* One batch; the loop reports what is left. Its turn is over with it, so that answers leave from where their questions came to. */
static void socket_ready(struct os_watch *watch, uint32_t events)
{
	struct udp_socket *s = (struct udp_socket *)watch;
	struct os_host *h = s->host;
	struct event_datagram came[OS_UDP_BATCH];
	uint32_t n;

	(void)events;
	host_turn_begin(h);
	host_turn_room(h, OS_TURN_MAX);
	n = os_udp_read(s->udp, h->buffer, OS_UDP_BATCH, came);
	h->used = n * OS_UDP_MAX;
	for (uint32_t i = 0; i < n; i++) host_step(h, &(struct event){ .kind = EVENT_DATAGRAM, .token = s->info.token, .datagram = &came[i] });
	host_turn_room(h, OS_TURN_MAX);
}

bool os_host_udp(struct os_host *h, const struct address *at, struct address *bound, char error[OS_ERROR_SIZE])
{
	struct udp_socket *s = &h->udp_socket[h->udp_sockets];

	assert(h->boot_at == 0 && h->udp_sockets < OS_UDP_SOCKETS_MAX);
	s->udp = os_udp_open(at, bound, error);
	if (s->udp == NULL) return false;
	s->watch = (struct os_watch){ .fd = os_udp_fd(s->udp), .ready = socket_ready };
	s->host = h;
	s->info = (struct socket_info){ .token = token_make(slot_take(h), 1), .local = *bound, .datagram = true };
	h->udp_sockets++;
	return true;
}

void udp_watch(struct os_host *h)
{
	for (uint32_t i = 0; i < h->udp_sockets; i++) os_loop_watch(h->loop, &h->udp_socket[i].watch, EPOLLIN);
}

void udp_send(struct os_host *h, const struct action *x)
{
	for (uint32_t i = 0; i < h->udp_sockets; i++)
		if (h->udp_socket[i].info.token == x->token)
			os_udp_send(h->udp_socket[i].udp, &x->address, action_head(&h->out, x), x->head_n, &x->span);
}

void udp_flush(struct os_host *h)
{
	for (uint32_t i = 0; i < h->udp_sockets; i++) os_udp_flush(h->udp_socket[i].udp);
}

void udp_free(struct os_host *h)
{
	for (uint32_t i = 0; i < h->udp_sockets; i++) {
		os_loop_unwatch(h->loop, &h->udp_socket[i].watch);
		os_udp_close(h->udp_socket[i].udp);
	}
}
