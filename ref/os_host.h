/* The host of one machine on real sockets: the second host of the seam (machine.h; the simulator's node is the first).
 *
 * A turn: events that earlier turns made due (DRAINED, CLOSED, DIALED, ANSWER), TIMER if the machine's deadline has come, then what
 * the kernel has to say, at most turn_max bytes of it; then everything that the machine wants is done at once, with one gathered
 * write a connection. Out of descriptors, dials end in CLOSED limit and accepting pauses until one is free. HTTP-023.
 *
 * TLS is what os_host_tls gave; without it START_TLS ends in CLOSED tls. At most HANDSHAKES_MAX steps of handshakes go into one batch, so
 * that a crowd at the door does not hold up those who are in.
 *
 * Questions: names are asked for by c-ares (os_dns.h), URLs by libcurl (os_fetch.h), neither of which waits; ASK_MAP is a URL, or the name of
 * a file. Datagrams: os_udp.h.
 *
 * Order: os_host_new, os_host_listen and os_host_udp, os_host_start, then os_loop_turn again and again, os_host_free. */
#ifndef REF_OS_HOST_H
#define REF_OS_HOST_H

#include "os_loop.h"
#include "os_tcp.h"

struct os_host;
struct os_tls; /* os_tls.h */

enum os_stream { OS_STREAM_IN, OS_STREAM_OUT, OS_STREAM_OVER };

/* Whom the machine works for. Every function may be NULL. */
struct os_owner {
	/* A DELIVER of the machine, valid for the call. os_host_command may be called from it. */
	void (*deliver)(struct os_owner *owner, const struct action *x);
	/* The bytes of each stream in the machine's order: read ones before the machine sees them, written ones when they are SENT. */
	void (*stream)(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n);
	/* Around each step of the machine: the event as it is about to see it, and what it added to the lists; turn: `out` is empty. For
	 * recorders, which may not touch the host. Both or none. */
	void (*before)(struct os_owner *owner, const struct event *e, bool turn);
	void (*after)(struct os_owner *owner, const struct actions *out, uint32_t out_from, const struct actions *up, uint32_t up_from);
	/* Something that the host could not do, in a sentence. */
	void (*complain)(struct os_owner *owner, const char *text);
};

enum { OS_TURN_MAX = 32768, OS_LOW_WATER = 65536, OS_LISTENERS_MAX = 8, OS_UDP_SOCKETS_MAX = 4 };

/* The machine, the owner and the loop outlive the host. */
struct os_host *os_host_new(struct os_loop *loop, struct machine *machine, struct os_owner *owner);
/* Closes what is open, without a word to the machine. */
void os_host_free(struct os_host *host);

/* Before START. False: error says why. *bound is the address with the port that it got. */
bool os_host_listen(struct os_host *host, const struct address *at, const struct os_tcp_times *times, struct address *bound,
                    char error[OS_ERROR_SIZE]);
/* Before START. What TLS is made of; it outlives the host and may be shared. */
void os_host_tls(struct os_host *host, struct os_tls *tls);
/* Behind os_host_tls: a listener whose connections the machine is to secure. */
bool os_host_listen_tls(struct os_host *host, const struct address *at, const struct os_tcp_times *times, struct address *bound,
                        char error[OS_ERROR_SIZE]);
/* Before START. The plain port beside a TLS one (HTTP-044). */
bool os_host_listen_helper(struct os_host *host, const struct address *at, const struct os_tcp_times *times, struct address *bound,
                           char error[OS_ERROR_SIZE]);
/* Before START. A UDP socket; everything as for os_host_listen. */
bool os_host_udp(struct os_host *host, const struct address *at, struct address *bound, char error[OS_ERROR_SIZE]);
/* Before START. The name servers to ask, as os_dns_new takes them; the text outlives the host. */
void os_host_dns(struct os_host *host, const char *servers);

/* START with slot_count slots for the machine's own tokens. */
void os_host_start(struct os_host *host, const char *config, size_t config_n, uint32_t slot_count);
/* COMMAND. What it points to lives until the call returns, or, inside of `deliver`, as event bytes and counted packets do. */
void os_host_command(struct os_host *host, const struct event_command *command);

uint32_t os_host_connections(const struct os_host *host); /* sockets, listeners apart */
uint64_t os_host_left(const struct os_host *host);        /* bytes SENT that no kernel has taken yet */
uint64_t os_host_now(const struct os_host *host);         /* the machine's clock */

#endif
