/* One channel of c-ares, which lives while questions are open. */
#include "os_dns.h"

#include "address.h"
#include "buf.h"
#include "os_sockaddr.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/time.h>

/* A socket of c-ares. */
struct dns_socket {
	struct os_watch watch; /* first */
	struct os_dns *dns;
	struct dns_socket *next;
};

struct os_dns {
	struct os_party party; /* first */
	struct os_loop *loop;
	const char *servers;
	ares_channel channel;
	bool open; /* there is a channel */
	bool over; /* nobody is to be called any more */
	uint32_t queries;
	struct dns_socket *sockets;
};

struct os_dns_query {
	struct os_dns *dns;
	void (*done)(void *ctx, const struct address *v, uint32_t n, const char *why); /* NULL: nobody wants to know */
	void *ctx;
	bool *early; /* set when it is answered before os_dns_ask returns */
};

/* ---- sockets ---- */

static void socket_ready(struct os_watch *watch, uint32_t events)
{
	struct os_dns *dns = ((struct dns_socket *)watch)->dns;
	bool in = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0, out = (events & (EPOLLOUT | EPOLLERR)) != 0;

	if (dns->open) ares_process_fd(dns->channel, in ? watch->fd : ARES_SOCKET_BAD, out ? watch->fd : ARES_SOCKET_BAD);
}

static struct dns_socket *socket_of(struct os_dns *dns, int fd)
{
	struct dns_socket *s = dns->sockets;

	while (s != NULL && s->watch.fd != fd) s = s->next;
	if (s != NULL) return s;
	s = mem_zero(1, sizeof *s);
	s->watch = (struct os_watch){ .fd = fd, .ready = socket_ready };
	s->dns = dns;
	s->next = dns->sockets;
	dns->sockets = s;
	return s;
}

static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct os_dns *dns = data;
	struct dns_socket *s = socket_of(dns, fd);

	if (readable || writable) {
		os_loop_watch(dns->loop, &s->watch, (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u));
		return;
	}
	os_loop_unwatch(dns->loop, &s->watch);
	s->watch.fd = -1; /* forgotten when this batch of callbacks is over */
}

static void sockets_sweep(struct os_dns *dns)
{
	struct dns_socket **place = &dns->sockets;

	while (*place != NULL) {
		struct dns_socket *s = *place;
		if (s->watch.fd >= 0) {
			place = &s->next;
			continue;
		}
		*place = s->next;
		free(s);
	}
}

/* ---- the channel ---- */

static void channel_close(struct os_dns *dns)
{
	if (!dns->open) return;
	ares_destroy(dns->channel);
	dns->open = false;
}

static bool channel_open(struct os_dns *dns)
{
	struct ares_options options = {
		.timeout = OS_DNS_TIMEOUT_MS, .tries = OS_DNS_TRIES, .sock_state_cb = socket_state, .sock_state_cb_data = dns
	};

	if (dns->open) return true;
	if (ares_init_options(&dns->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) return false;
	dns->open = true;
	if (dns->servers == NULL || ares_set_servers_ports_csv(dns->channel, dns->servers) == ARES_SUCCESS) return true;
	channel_close(dns);
	return false;
}

static uint64_t party_deadline(const struct os_party *party)
{
	const struct os_dns *dns = (const struct os_dns *)party;
	struct timeval most = { .tv_sec = 3600 }, left;

	if (!dns->open) return UINT64_MAX;
	if (dns->queries == 0) return 0;
	left = *ares_timeout(dns->channel, &most, &left);
	return os_now() + (uint64_t)left.tv_sec * NS_S + (uint64_t)left.tv_usec * NS_US;
}

static void party_turn(struct os_party *party)
{
	struct os_dns *dns = (struct os_dns *)party;

	if (dns->open) ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what is overdue */
	if (dns->queries == 0) channel_close(dns);                                      /* resolv.conf may have changed by the next question */
	sockets_sweep(dns);
}

/* ---- questions ---- */

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	struct os_dns_query *q = arg;
	struct address v[OS_DNS_ADDRESSES_MAX];
	uint32_t n = 0;

	(void)timeouts;
	for (const struct ares_addrinfo_node *x = list == NULL ? NULL : list->nodes; x != NULL && n < OS_DNS_ADDRESSES_MAX; x = x->ai_next) {
		union os_sockaddr from = { 0 };
		if ((size_t)x->ai_addrlen > sizeof from) continue;
		memcpy(&from, x->ai_addr, (size_t)x->ai_addrlen);
		os_sockaddr_address(&from, &v[n]);
		v[n++].port = 0;
	}
	ares_freeaddrinfo(list);
	q->dns->queries--;
	if (q->early != NULL) *q->early = true;
	if (q->done != NULL && !q->dns->over) q->done(q->ctx, v, n, n != 0 ? NULL : ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA : status));
	free(q);
}

/* A literal is an address of its own family and none of the other. localhost is what RFC 6761 says; c-ares 1.18 leaks when asked for it. */
static bool answer_literal(const char *name, bool v6, void (*done)(void *ctx, const struct address *v, uint32_t n, const char *why), void *ctx)
{
	struct address literal = { 0 };
	bool local = strcasecmp(name, "localhost") == 0;
	const char *text = !local ? name : v6 ? "::1" : "127.0.0.1";

	if (!address_ip_parse(text, strlen(text), &literal)) return false;
	if (address_is_v4(&literal) != v6)
		done(ctx, &literal, 1, NULL);
	else
		done(ctx, NULL, 0, "an address of the other family");
	return true;
}

struct os_dns_query *os_dns_ask(struct os_dns *dns, const char *name, bool v6,
                                void (*done)(void *ctx, const struct address *v, uint32_t n, const char *why), void *ctx)
{
	struct ares_addrinfo_hints hints = { .ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT };
	struct os_dns_query *q;
	bool early = false;

	if (answer_literal(name, v6, done, ctx)) return NULL;
	q = mem_zero(1, sizeof *q);
	*q = (struct os_dns_query){ .dns = dns, .done = done, .ctx = ctx, .early = &early };
	dns->queries++;
	if (channel_open(dns))
		ares_getaddrinfo(dns->channel, name, NULL, &hints, answered, q);
	else
		answered(q, ARES_ENOTINITIALIZED, 0, NULL);
	if (early) return NULL;
	q->early = NULL;
	return q;
}

void os_dns_cancel(struct os_dns_query *q) { q->done = NULL; }

bool os_dns_servers_check(const char *p)
{
	struct address a;
	size_t n;

	for (;; p += n + 1) {
		n = strcspn(p, ",");
		if (!address_parse(p, n, &a) && !address_ip_parse(p, n, &a)) return false;
		if (p[n] == 0) return true;
	}
}

struct os_dns *os_dns_new(struct os_loop *loop, const char *servers)
{
	struct os_dns *dns = mem_zero(1, sizeof *dns);

	ares_library_init(ARES_LIB_INIT_ALL);
	dns->party = (struct os_party){ .deadline = party_deadline, .turn = party_turn };
	dns->loop = loop;
	dns->servers = servers;
	os_loop_join(loop, &dns->party);
	return dns;
}

void os_dns_free(struct os_dns *dns)
{
	if (dns == NULL) return;
	os_loop_part(dns->loop, &dns->party);
	dns->over = true;
	channel_close(dns); /* which answers every question */
	assert(dns->queries == 0);
	sockets_sweep(dns);
	ares_library_cleanup();
	free(dns);
}
