/* Addresses of machine.h as the kernel's, both ways. IPv4 is IPv4-mapped in ours. */
#ifndef REF_OS_SOCKADDR_H
#define REF_OS_SOCKADDR_H

#include "machine.h"

#include <netinet/in.h>
#include <sys/socket.h>

union os_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

/* Of the address's own family; returns its length. */
socklen_t os_sockaddr(const struct address *a, union os_sockaddr *out);
/* Always AF_INET6: for a socket of that family, which takes IPv4-mapped addresses too. */
socklen_t os_sockaddr_v6(const struct address *a, union os_sockaddr *out);
/* All zero for any other family. */
void os_sockaddr_address(const union os_sockaddr *from, struct address *out);
/* Is it every address of both families? The port does not matter. */
bool os_sockaddr_any(const struct address *a);
/* The local address of a socket. */
void os_sockaddr_local(int fd, struct address *out);

#endif
