/* Sockets by their system calls. */
#include "os_tcp.h"

#include "address.h"
#include "os_sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static void set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

/* ---- listening ---- */

/* What accepted connections inherit. Small packets must not wait for each other. */
static void set_listener(int fd, const struct os_tcp_times *times)
{
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, times->keepalive_s != 0);
	if (times->keepalive_s != 0) set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)times->keepalive_s);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)times->user_timeout_ms);
}

static int listen_at(const struct address *at, const struct os_tcp_times *times, bool both)
{
	union os_sockaddr name;
	socklen_t n = os_sockaddr(at, &name);
	int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd < 0) return -1;
	set_listener(fd, times);
	if (name.any.sa_family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
	if (bind(fd, &name.any, n) == 0 && listen(fd, BACKLOG) == 0) return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int os_tcp_listen(const struct address *at, const struct os_tcp_times *times, struct address *bound, char error[OS_ERROR_SIZE])
{
	bool any = os_sockaddr_any(at);
	struct address v4 = { .ip = { [10] = 0xff, [11] = 0xff }, .port = at->port };
	char text[ADDRESS_TEXT];
	int fd = listen_at(at, times, any);

	if (fd < 0 && any && errno == EAFNOSUPPORT) fd = listen_at(&v4, times, false); /* a machine without IPv6 */
	if (fd < 0)
		snprintf(error, OS_ERROR_SIZE, "cannot listen on %s: %s", address_text(at, text), strerror(errno));
	else
		os_sockaddr_local(fd, bound);
	return fd;
}

int os_tcp_accept(int listener, struct address *local, struct address *remote)
{
	union os_sockaddr name = { 0 };
	socklen_t n = sizeof name;
	int fd = accept4(listener, &name.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) return -1;
	os_sockaddr_address(&name, remote);
	os_sockaddr_local(fd, local);
	return fd;
}

/* ---- dialling ---- */

int os_tcp_dial(const struct address *to, bool *connected)
{
	union os_sockaddr name;
	socklen_t n = os_sockaddr(to, &name);
	int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd < 0) return -1;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	*connected = connect(fd, &name.any, n) == 0;
	if (*connected || errno == EINPROGRESS) return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int os_tcp_dialed(int fd, struct address *local)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0) return errno;
	if (error == 0) os_sockaddr_local(fd, local);
	return error;
}

/* ---- ends ---- */

void os_tcp_abort(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

bool os_tcp_limit(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

enum close_cause os_tcp_cause(int error)
{
	switch (error) {
	case ECONNREFUSED: return CLOSE_REFUSED;
	case ETIMEDOUT: return CLOSE_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EAFNOSUPPORT:
	case EACCES: /* a packet filter or a broadcast address */
	case EPERM:
	case EINVAL: return CLOSE_UNREACHABLE;
	case EADDRNOTAVAIL: return CLOSE_LIMIT; /* no port is left */
	default: return os_tcp_limit(error) ? CLOSE_LIMIT : CLOSE_RESET;
	}
}

uint64_t os_tcp_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}
