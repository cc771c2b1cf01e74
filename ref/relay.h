/* The relay: who is here, who wants to hear of it, where a packet goes; and what it serves over HTTP beside that. A machine.
 *
 * SRV, DUP, PGR, MSH, HSK (server side), HTTP (server side), RAT, MET. One `session` a connection (session.h); the relay owns the table
 * of keys, the duplicates of each, the watchers, the forwarders, and its mesh links as children (mesh.h). Endpoints: endpoint.h;
 * the same stream in WebSocket messages: websocket.h.
 *
 * Configuration (config.h), with defaults; in brackets the flag of the original that does the same:
 *   key=privkey:HEX          required: the relay's identity (KEY-010) [-c]
 *   mesh-key=HEX             none: no connection gets mesh privilege [-mesh-psk-file]
 *   mesh-with=LIST           none: comma-separated [http://|https://]HOST[:PORT][/DIALHOST] of the other relays of the region
 *                            (MSH-002, MSH-005) [-mesh-with]
 *   mesh-retry=5s            MSH-013
 *   profile=ours|derper      ours: the quirks of the original are off, each named at its place in the code
 *   raw=off                  on: streams are DERP from byte 0, no HTTP (chapter 2.5, transport 1)
 *   queue-depth=32           SRV-010, SRV-011
 *   high-water=131072
 *   write-timeout=2s mesh-write-timeout=30s   SRV-019 [-tcp-write-timeout]
 *   http-timeout=30s         TLS and first request together, each further request, and an answer that nobody takes (HTTP-022)
 *   login-timeout=10s        HSK-017
 *   keepalive=60s keepalive-jitter=5s         SRV-022
 *   sessions-max=1000000     accepted connections above it are closed at once
 *   mesh-keys-max=1000000    keys that one mesh link may tell of; ours: to more there is no way
 *   departed-max=1000000     keys that are not here (any more) and of whose going one connection is still to be told; ours: a connection
 *                            that does not take the news of more is closed, and the end of more unknown sources (PGR-005) is not told
 *   keys-max=8000000         keys known in all, for connections, links and departed ones; ours: who brings one more is not let in
 *   derp=on                  off: /derp is 404, the rest is served (HTTP-041) [-derp]
 *   home=                    what / shows: nothing: a page; blank; or a http(s) URL to redirect to (HTTP-038) [-home]
 *   debug-allow=             up to 16 IP addresses, comma-separated, that may see /debug/ beside loopback and Tailscale's (HTTP-043)
 *   debug-key=               none: or what GET /debug/...?debugkey= must say to be let in from anywhere
 *   bootstrap-dns-names=     comma-separated names for /bootstrap-dns (HTTP-042) [-bootstrap-dns-names]
 *   unpublished-bootstrap-dns-names=          NAME or NAME/PERCENT, comma-separated [-unpublished-bootstrap-dns-names]
 *   verify-client-url=       none: everybody may come in; else whom that URL admits (RAT-014) [-verify-client-url]
 *   verify-client-url-fail-open=on            off: nobody comes in while the URL does not answer (RAT-016) [-verify-client-url-fail-open]
 *   verify-client-timeout=5s                  RAT-014
 *   verify-client-questions=1024              open at once; more clients wait for one of them
 *   rate-config=             none: or the JSON of a rate file on one line (RAT-001) [-rate-config]
 *   accept-connection-limit=0                 new TLS connections a second; 0: any number (RAT-012) [-accept-connection-limit]
 *   accept-connection-burst=                  at once; the limit's number if not given [-accept-connection-burst]
 * Flags of the original that are the host's: -a -http-port -stun -stun-port -hostname -cert* -tcp-keepalive-time -tcp-user-timeout -dev. Not
 * here: -verify-clients, -socket (RAT-013), -ace (HTTP-045), -acme*, -secrets-*.
 *
 * UDP sockets of START serve STUN (STN-001).
 *
 * Commands: COMMAND_CLOSE_PEER, COMMAND_RATES (a file that is wrong keeps the limits in force; NOTE_RATES tells), COMMAND_LEAVE (closes
 * everything, then DELIVER_STOPPED), COMMAND_DRAIN (over patience_ns, RELAY_DRAIN_LONGEST_NS at most: relay_drain.c; then as COMMAND_LEAVE).
 * With profile=derper DELIVER_STOPPED comes unasked when RAT-012 ends the original's process.
 * Notes: see enum note_kind; token of a note is that of the connection concerned. */
#ifndef REF_RELAY_H
#define REF_RELAY_H

#include "key.h"
#include "machine.h"
#include "stun.h"

struct relay;

/* Slots of tokens that a relay uses at most: mesh links, bootstrap names, questions of admission. Fewer do for fewer of them. */
enum { RELAY_QUESTIONS_MAX = 1024, RELAY_SLOTS = 64 * 8 + 32 + RELAY_QUESTIONS_MAX, RELAY_URL_MAX = 1000 };

#define RELAY_DRAIN_LONGEST_NS (3600 * NS_S)

/* A relay that waits for START. env outlives it. */
struct relay *relay_new(const struct machine_env *env);
static inline struct machine *relay_machine(struct relay *relay) { return (struct machine *)relay; }

/* Is this a configuration a relay would start with? For hosts and tools, before START; a bad one at START is asserted. */
bool relay_config_check(const char *text, size_t n, char error[200]);
/* Is this a rate file (RAT-001)? For hosts that read one. */
bool relay_rates_check(const char *json, size_t n, char error[200]);

/* ---- counters, by the names of MET-002 ---- */

enum packet_kind { PACKET_DISCO, PACKET_OTHER, PACKET_KINDS };

/* How many observations were at most as large as each bound; the bounds are those of the original. */
enum { RELAY_BOUNDS_MAX = 11 };
struct relay_histogram {
	uint64_t bucket[RELAY_BOUNDS_MAX], sum, count;
};

struct relay_counters {
	/* gauges */
	uint64_t current_connections, current_home_connections, current_notideal_connections;
	uint64_t clients_local, clients_remote, clients_total, watchers, current_dup_client_keys, current_dup_client_conns;
	/* counters */
	uint64_t accepts, logins, logins_failed, total_dup_client_conns;
	uint64_t packets_received, bytes_received, packets_received_kind[PACKET_KINDS];
	uint64_t packets_sent, bytes_sent, packets_forwarded_out, packets_forwarded_in;
	uint64_t peer_gone_disconnected_frames, peer_gone_not_here_frames, peer_gone_suppressed, peer_present_frames, keepalive_frames;
	uint64_t got_ping, sent_pong, home_moves_in, home_moves_out;
	uint64_t multiforwarder_created, multiforwarder_deleted, packet_forwarder_delete_other_value;
	uint64_t write_timeouts;
	uint64_t rate_limit_per_client_waited, rate_limit_per_client_bytes_per_second, rate_limit_per_client_burst_bytes;
	uint64_t unknown_frames;            /* SRV-032: never */
	uint64_t average_queue_duration_ms; /* in millionths */
	struct relay_histogram mesh_update_batch_size, mesh_update_loop_count;
	/* MET-004 */
	uint64_t tls_accepted, tls_rejected, websocket_accepts /* MET-004 */;
	uint64_t tls_requests[2], tls_active[2]; /* TLS 1.2, 1.3: HTTP requests; connections that are DERP now */
	uint64_t packets_dropped[DROP_REASONS][PACKET_KINDS], bytes_dropped[DROP_REASONS][PACKET_KINDS];
	struct stun_counters stun; /* MET-004: outside of the set */
};
const struct relay_counters *relay_counters(const struct relay *relay);

/* All of them in Prometheus's text form, as /debug/varz shows them (MET-001); the caller frees the reply. */
struct reply;
void relay_metrics(const struct relay *relay, uint64_t now, struct reply *reply);

/* ---- for the simulator's truth and for state dumps ---- */

enum session_phase { SESSION_TLS, SESSION_HTTP, SESSION_LOGIN, SESSION_STEADY, SESSION_CLOSING };
struct relay_session_view {
	enum session_phase phase;
	const uint8_t *key; /* STEADY */
	bool mesh_peer, watcher, home, not_ideal, active, websocket;
	uint32_t queued_disco, queued_other;
	uint64_t unacked, left;
	bool waits;    /* it is not read on: for tokens, for its admission, or until it takes its answers */
	uint32_t held; /* bytes read of it and not looked at meanwhile */
};
/* False: no such connection. */
bool relay_session(const struct relay *relay, uint64_t token, struct relay_session_view *out);
/* Packets that the relay holds in queues now, those of its mesh links included. */
uint64_t relay_packets_queued(const struct relay *relay);
void relay_holds(const struct relay *relay, const struct machine_holds *visit);
uint32_t relay_regular_clients(const struct relay *relay); /* registered connections without mesh privilege */
uint32_t relay_mesh_links(const struct relay *relay);      /* links configured, without those to itself */
uint32_t relay_mesh_links_up(const struct relay *relay);   /* of these: logged in and subscribed */
uint32_t relay_mesh_keys(const struct relay *relay);       /* keys known through links */
/* Would a packet sent to this relay for key be delivered or forwarded? */
enum relay_route { ROUTE_NONE, ROUTE_LOCAL, ROUTE_FORWARD };
enum relay_route relay_route(const struct relay *relay, const uint8_t key[KEY_SIZE]);
const uint8_t *relay_public_key(const struct relay *relay);
uint64_t relay_memory(const struct relay *relay); /* bytes held, an estimate by its own books */

#endif
