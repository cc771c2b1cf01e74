/* The client: one connection to a region (or to one URL), kept for as long as its owner wants it. A machine.
 *
 * Chapter 3.2, CLI-001..CLI-027, CLI-032, HSK (client side), HTTP upgrade client side. Region mode walks the region's nodes in
 * order (CLI-015, CLI-016, CLI-018); retries follow the configuration. The owner sends COMMANDs and hears DELIVERs.
 *
 * Configuration (config.h), with defaults:
 *   key=privkey:HEX           required
 *   mesh-key=HEX              none
 *   region=JSON               one region object of a DERP map on one line (derpmap.h), or
 *   url=URL                   http://HOST:PORT/derp or https://...; HOST an IP literal, [IPv6] or a name (asked by ASK_NAME4/6)
 *   dial-host=HOST            URL mode: dial or ask this address or name; request and certificate keep those of the URL (MSH-002)
 *   raw=off                   on: no HTTP, no TLS: DERP from byte 0
 *   websocket=off             on: DERP in WebSocket messages, always to the first node, without failover, fast start, watch (HTTP-034)
 *   plain=off                 on: region mode over http instead of https
 *   connect=on                on: connect at START and keep connected; off: wait for COMMAND_CONNECT or for something to send
 *   home=off watch=off prober=off can-ack-pings=on app-name=TEXT
 *   prefer-v6=off             on: IPv4 dials start 200 ms later (CLI-020)
 *   proxy=http://HOST[:PORT]  none: region mode through a CONNECT proxy (CLI-022)
 *   insecure=off              on: no certificate is judged
 *   fast-start=auto|always|never   auto is HTTP-009
 *   server-key=HEX            for fast-start=always without meta certificate
 *   dial-timeout=1500ms connect-timeout=10s receive-timeout=120s   CLI-015, CLI-014, CLI-008
 *   retry=original|full-jitter|none|fixed|manual   CLI-032; none: at once; manual: wait for COMMAND_CONNECT
 *   retry-after=5s            for fixed
 *   retry-max=5s
 *   return-after=never        or a time: after that long on another than the first node, reconnect from the first (OQ-4)
 *   queue-depth=32 high-water=131072   CLI-031
 *   forward-timeout=never     CLI-003: closes the connection when a blocked write makes no progress, mesh links only
 *   profile=ours|derper
 *
 * Commands: SEND FORWARD PING HOME WATCH CLOSE_PEER REGION CONNECT LEAVE PREFER_V6. SEND and FORWARD without connection: queued (32,
 * oldest dropped) and, with connect=off, dial; so does CLOSE_PEER (CLI-013, CLI-027). DELIVERs: see enum deliver_kind; a DELIVER's
 * token is the connection's. What cannot be done is told by REFUSED, what was sent and is lost by LOST (CLI-023). */
#ifndef REF_CLIENT_H
#define REF_CLIENT_H

#include "key.h"
#include "machine.h"

struct client;

struct client *client_new(const struct machine_env *env);
static inline struct machine *client_machine(struct client *client) { return (struct machine *)client; }
bool client_config_check(const char *text, size_t n, char error[200]);

/* Would COMMAND_REGION, or region= beside these, be understood? */
bool client_region_check(const char *json, size_t n, char error[200]);

/* Slots of tokens a client needs in START; Pings under way and ClosePeers that wait for a connection, at most. */
enum { CLIENT_SLOTS = 8, CLIENT_PINGS_MAX = 4, CLIENT_CLOSING_MAX = 32 };

enum client_state {
	CLIENT_IDLE,    /* no connection wanted yet, or connect=off */
	CLIENT_DIALING, /* TCP, names */
	CLIENT_PROXY,   /* CONNECT sent, the proxy's answer awaited */
	CLIENT_TLS,
	CLIENT_HTTP,    /* slow start: request sent, response awaited */
	CLIENT_LOGIN,   /* slow start or raw: ServerKey awaited */
	CLIENT_SENT,    /* ClientInfo sent; sends are allowed (HSK-023); ServerInfo awaited */
	CLIENT_READY,   /* ServerInfo received */
	CLIENT_WAITING, /* backing off */
	CLIENT_GONE,    /* COMMAND_LEAVE: final */
	CLIENT_STATES
};
const char *client_state_name(enum client_state state);

/* Why a connection or an attempt ended: DELIVER_DISCONNECTED.a */
enum client_end {
	CLIENT_END_REFUSED, /* every node refused or timed out: no node left */
	CLIENT_END_TIMEOUT, /* connect-timeout (CLI-014) */
	CLIENT_END_TLS,
	CLIENT_END_HTTP,     /* status other than 101 */
	CLIENT_END_PROTOCOL, /* bad ServerKey, ServerInfo, frame over 1 MiB */
	CLIENT_END_CLOSED,   /* the relay's FIN */
	CLIENT_END_RESET,
	CLIENT_END_SILENCE, /* receive-timeout (CLI-008), or the transport's own */
	CLIENT_END_WRITE,   /* forward-timeout */
	CLIENT_END_RETURN,  /* return-after */
	CLIENT_END_REGION,  /* COMMAND_REGION changed the node in use */
	CLIENT_END_LEFT,    /* COMMAND_LEAVE */
	CLIENT_ENDS
};
const char *client_end_name(enum client_end end);

enum client_state client_state(const struct client *client);
uint64_t client_token(const struct client *client); /* connection in use, TOKEN_NONE */
uint32_t client_node(const struct client *client);  /* index in the region of the node in use or tried; 0 in URL mode */
uint32_t client_nodes(const struct client *client);
uint64_t client_generation(const struct client *client); /* successful logins so far (CLI-024) */
const uint8_t *client_public_key(const struct client *client);
const uint8_t *client_server_key(const struct client *client); /* of the relay in use, or NULL before it is known */
bool client_is_over(const struct client *client);              /* GONE, and every token has had its last event: it may be freed */
uint64_t client_packets_queued(const struct client *client);
void client_holds(const struct client *client, const struct machine_holds *visit);
uint64_t client_memory(const struct client *client);

#endif
