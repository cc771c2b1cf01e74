/* The relay: who is here, who wants to hear of it, where a packet goes. A machine.
 *
 * SRV, DUP, PGR, MSH, HSK (server side), HTTP upgrade, WebSocket. One `session` a connection (session.h); the relay owns the table of keys,
 * the duplicates of each, the watchers, the forwarders, and its mesh links as children (mesh.h).
 *
 * Configuration (config.h), with defaults:
 *   key=privkey:HEX          required: the relay's identity (KEY-010)
 *   mesh-key=HEX             none: no connection gets mesh privilege
 *   mesh-with=LIST           none: comma-separated [http://|https://]IP:PORT of the other relays of the region (MSH-002, MSH-005)
 *   mesh-retry=5s            MSH-013
 *   profile=ours|derper      ours: the quirks of the original are off, each named at its place in the code
 *   raw=off                  on: streams are DERP from byte 0, no HTTP (chapter 2.5, transport 1)
 *   queue-depth=32           SRV-010, SRV-011
 *   high-water=131072
 *   write-timeout=2s mesh-write-timeout=30s   SRV-019
 *   http-timeout=30s login-timeout=10s        HTTP-022, HSK-017
 *   keepalive=60s keepalive-jitter=5s         SRV-022
 *   sessions-max=1000000     accepted connections above it are closed at once
 *
 * Commands: COMMAND_CLOSE_PEER, COMMAND_LEAVE (closes everything, then DELIVER_STOPPED).
 * Notes: see enum note_kind; token of a note is that of the connection concerned. */
#ifndef REF_RELAY_H
#define REF_RELAY_H

#include "key.h"
#include "machine.h"

struct relay;

/* A relay that waits for START. env outlives it. */
struct relay *relay_new(const struct machine_env *env);
static inline struct machine *relay_machine(struct relay *relay) { return (struct machine *)relay; }

/* Is this a configuration a relay would start with? For hosts and tools, before START; a bad one at START is asserted. */
bool relay_config_check(const char *text, size_t n, char error[200]);

/* ---- counters, by the names of MET-002 ---- */

enum packet_kind { PACKET_DISCO, PACKET_OTHER, PACKET_KINDS };

struct relay_counters {
	/* gauges */
	uint64_t current_connections, current_home_connections, current_notideal_connections;
	uint64_t clients_local, clients_remote, clients_total, watchers, current_dup_client_keys, current_dup_client_conns;
	/* counters */
	uint64_t accepts, logins, logins_failed, websocket_accepts /* MET-004 */, total_dup_client_conns;
	uint64_t packets_received, bytes_received, packets_received_kind[PACKET_KINDS];
	uint64_t packets_sent, bytes_sent, packets_forwarded_out, packets_forwarded_in;
	uint64_t peer_gone_disconnected_frames, peer_gone_not_here_frames, peer_gone_suppressed, peer_present_frames, keepalive_frames;
	uint64_t got_ping, sent_pong, home_moves_in, home_moves_out;
	uint64_t multiforwarder_created, multiforwarder_deleted, packet_forwarder_delete_other_value;
	uint64_t write_timeouts;
	uint64_t packets_dropped[DROP_REASONS][PACKET_KINDS], bytes_dropped[DROP_REASONS][PACKET_KINDS];
};
const struct relay_counters *relay_counters(const struct relay *relay);

/* ---- for the simulator's truth and for state dumps ---- */

enum session_phase { SESSION_TLS, SESSION_HTTP, SESSION_LOGIN, SESSION_STEADY, SESSION_CLOSING };
struct relay_session_view {
	enum session_phase phase;
	const uint8_t *key; /* STEADY */
	bool mesh_peer, watcher, home, not_ideal, active, websocket;
	uint32_t queued_disco, queued_other;
	uint64_t unacked, left;
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
