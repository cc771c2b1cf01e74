/* recvmmsg and sendmmsg, with the local address of each datagram beside it. */
#include "os_udp.h"

#include "address.h"
#include "buf.h"
#include "os_sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))]; /* the longer of the two */
};

struct os_udp {
	int fd;
	bool v6; /* the socket's family; IPv4 comes mapped then */
	struct address local;
	uint32_t in_n, out_n;
	struct mmsghdr in[OS_UDP_BATCH], out[OS_UDP_BATCH];
	struct iovec in_piece[OS_UDP_BATCH], out_piece[OS_UDP_BATCH][2];
	union os_sockaddr in_name[OS_UDP_BATCH], out_name[OS_UDP_BATCH];
	union control in_control[OS_UDP_BATCH], out_control[OS_UDP_BATCH];
	struct event_datagram came[OS_UDP_BATCH]; /* the last batch: who is answered from where */
};

/* ---- opening ---- */

static int open_at(const struct address *at, bool both)
{
	union os_sockaddr name;
	socklen_t n = os_sockaddr(at, &name);
	int fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error, on = 1, only = !both;

	if (fd < 0) return -1;
	if (name.any.sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
	} else {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
	}
	if (bind(fd, &name.any, n) == 0) return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct os_udp *os_udp_open(const struct address *at, struct address *bound, char error[OS_ERROR_SIZE])
{
	struct address v4 = { .ip = { [10] = 0xff, [11] = 0xff }, .port = at->port };
	bool any = os_sockaddr_any(at);
	char text[ADDRESS_TEXT];
	int fd = open_at(at, any);
	struct os_udp *u;

	if (fd < 0 && any && errno == EAFNOSUPPORT) fd = open_at(&v4, false); /* a machine without IPv6 */
	if (fd < 0) {
		snprintf(error, OS_ERROR_SIZE, "cannot open UDP at %s: %s", address_text(at, text), strerror(errno));
		return NULL;
	}
	u = mem_zero(1, sizeof *u);
	u->fd = fd;
	os_sockaddr_local(fd, &u->local);
	u->v6 = !address_is_v4(&u->local);
	*bound = u->local;
	return u;
}

void os_udp_close(struct os_udp *u)
{
	if (u == NULL) return;
	close(u->fd);
	free(u);
}

int os_udp_fd(const struct os_udp *u) { return u->fd; }

/* ---- reading ---- */

/* The address that it came to, by what the kernel says beside it. */
static void local_of(const struct os_udp *u, struct msghdr *message, struct address *local)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	*local = u->local;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof v6);
			memcpy(local->ip, &v6.ipi6_addr, 16);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof v4);
			*local = (struct address){ .ip = { [10] = 0xff, [11] = 0xff }, .port = u->local.port };
			memcpy(local->ip + 12, &v4.ipi_addr, 4);
		}
	}
}

uint32_t os_udp_read(struct os_udp *u, uint8_t *room, uint32_t max, struct event_datagram out[OS_UDP_BATCH])
{
	int n;

	assert(max > 0 && max <= OS_UDP_BATCH);
	for (uint32_t i = 0; i < max; i++) {
		u->in_piece[i] = (struct iovec){ room + i * OS_UDP_MAX, OS_UDP_MAX };
		u->in[i].msg_hdr = (struct msghdr){ .msg_name = &u->in_name[i],
			                            .msg_namelen = sizeof u->in_name[i],
			                            .msg_iov = &u->in_piece[i],
			                            .msg_iovlen = 1,
			                            .msg_control = &u->in_control[i],
			                            .msg_controllen = sizeof u->in_control[i] };
	}
	n = recvmmsg(u->fd, u->in, max, MSG_DONTWAIT, NULL);
	u->in_n = n > 0 ? (uint32_t)n : 0; /* an error is of an earlier send: that datagram is gone, as it might have been on its way */
	for (uint32_t i = 0; i < u->in_n; i++) {
		u->came[i] = (struct event_datagram){ .p = room + i * OS_UDP_MAX, .n = u->in[i].msg_len };
		local_of(u, &u->in[i].msg_hdr, &u->came[i].local);
		os_sockaddr_address(&u->in_name[i], &u->came[i].peer);
		out[i] = u->came[i];
	}
	return u->in_n;
}

/* ---- sending ---- */

/* From the address to which this peer's datagram of the last batch came, if there is one. */
static void set_source(const struct os_udp *u, const struct address *to, struct msghdr *message, union control *control)
{
	struct in6_pktinfo v6 = { 0 };
	struct in_pktinfo v4 = { 0 };
	struct cmsghdr *c = &control->align;
	uint32_t i = 0;

	while (i < u->in_n && !address_equal(&u->came[i].peer, to)) i++;
	if (i == u->in_n) return;
	*control = (union control){ 0 };
	message->msg_control = control;
	if (u->v6) {
		memcpy(&v6.ipi6_addr, u->came[i].local.ip, 16);
		message->msg_controllen = CMSG_SPACE(sizeof v6);
		c->cmsg_level = IPPROTO_IPV6, c->cmsg_type = IPV6_PKTINFO, c->cmsg_len = CMSG_LEN(sizeof v6);
		memcpy(CMSG_DATA(c), &v6, sizeof v6);
	} else {
		memcpy(&v4.ipi_spec_dst, u->came[i].local.ip + 12, 4);
		message->msg_controllen = CMSG_SPACE(sizeof v4);
		c->cmsg_level = IPPROTO_IP, c->cmsg_type = IP_PKTINFO, c->cmsg_len = CMSG_LEN(sizeof v4);
		memcpy(CMSG_DATA(c), &v4, sizeof v4);
	}
}

void os_udp_send(struct os_udp *u, const struct address *to, const uint8_t *head, uint32_t head_n, const struct span *span)
{
	struct msghdr *message;
	uint32_t i;

	if (!u->v6 && !address_is_v4(to)) return; /* no way there */
	if (u->out_n == OS_UDP_BATCH) os_udp_flush(u);
	i = u->out_n++;
	message = &u->out[i].msg_hdr;
	u->out_piece[i][0] = (struct iovec){ (void *)(uintptr_t)head, head_n };
	u->out_piece[i][1] = (struct iovec){ (void *)(uintptr_t)span->p, span->n };
	*message = (struct msghdr){ .msg_name = &u->out_name[i], .msg_iov = u->out_piece[i], .msg_iovlen = 2 };
	message->msg_namelen = u->v6 ? os_sockaddr_v6(to, &u->out_name[i]) : os_sockaddr(to, &u->out_name[i]);
	set_source(u, to, message, &u->out_control[i]);
}

void os_udp_flush(struct os_udp *u)
{
	uint32_t at = 0;
	int n;

	while (at < u->out_n) {
		n = sendmmsg(u->fd, u->out + at, u->out_n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) break;
		at += n > 0 ? (uint32_t)n : 1; /* the first of them cannot be sent */
	}
	u->out_n = 0;
}
