/* Copying by family. */
#include "os_sockaddr.h"

#include "address.h"

#include <string.h>

socklen_t os_sockaddr_v6(const struct address *a, union os_sockaddr *out)
{
	memset(out, 0, sizeof *out);
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(a->port);
	memcpy(&out->v6.sin6_addr, a->ip, 16);
	return sizeof out->v6;
}

socklen_t os_sockaddr(const struct address *a, union os_sockaddr *out)
{
	if (!address_is_v4(a)) return os_sockaddr_v6(a, out);
	memset(out, 0, sizeof *out);
	out->v4.sin_family = AF_INET;
	out->v4.sin_port = htons(a->port);
	memcpy(&out->v4.sin_addr, a->ip + 12, 4);
	return sizeof out->v4;
}

void os_sockaddr_address(const union os_sockaddr *from, struct address *out)
{
	*out = (struct address){ 0 };
	if (from->any.sa_family == AF_INET6) {
		memcpy(out->ip, &from->v6.sin6_addr, 16);
		out->port = ntohs(from->v6.sin6_port);
	} else if (from->any.sa_family == AF_INET) {
		out->ip[10] = out->ip[11] = 0xff;
		memcpy(out->ip + 12, &from->v4.sin_addr, 4);
		out->port = ntohs(from->v4.sin_port);
	}
}

bool os_sockaddr_any(const struct address *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof zero) == 0;
}

void os_sockaddr_local(int fd, struct address *out)
{
	union os_sockaddr name = { 0 };
	socklen_t n = sizeof name;

	getsockname(fd, &name.any, &n);
	os_sockaddr_address(&name, out);
}
