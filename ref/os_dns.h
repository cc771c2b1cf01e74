/* Names to addresses without waiting: c-ares in the loop, and the only file that knows it.
 *
 * Literals, localhost and /etc/hosts are answered at once, the rest by the servers of /etc/resolv.conf or those given. That file is read anew
 * whenever no question was open. A server has OS_DNS_TIMEOUT_MS, then the next is asked, OS_DNS_TRIES times around; who asks has a
 * deadline of its own as a rule. */
#ifndef REF_OS_DNS_H
#define REF_OS_DNS_H

#include "machine.h"
#include "os_loop.h"

enum { OS_DNS_TIMEOUT_MS = 2000, OS_DNS_TRIES = 3, OS_DNS_ADDRESSES_MAX = 16 };

struct os_dns;
struct os_dns_query;

/* servers: HOST[:PORT],... as literals, NULL: the system's. The text and the loop outlive it. */
struct os_dns *os_dns_new(struct os_loop *loop, const char *servers);
/* Nobody is called any more. */
void os_dns_free(struct os_dns *dns);

/* Is this a list of servers? For whoever reads options. */
bool os_dns_servers_check(const char *servers);

/* Asks for the addresses of one family; without ports, OS_DNS_ADDRESSES_MAX at most. `done` is called once; n = 0: there is none, and `why`
 * says why. The addresses live for the call. NULL: it was called before this returned. */
struct os_dns_query *os_dns_ask(struct os_dns *dns, const char *name, bool v6,
                                void (*done)(void *ctx, const struct address *v, uint32_t n, const char *why), void *ctx);
/* `done` will not be called. Only before it was. */
void os_dns_cancel(struct os_dns_query *query);

#endif
