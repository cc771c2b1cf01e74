/* A mesh link: one relay's connection to another relay of its region. A machine, child of the relay.
 *
 * MSH-004..MSH-015, chapter 3.3. A client in URL mode with the relay's own key pair and the mesh key, which watches; after a failed
 * attempt or a broken connection it waits mesh-retry (MSH-013). Its up list tells the relay: PEER_PRESENT and PEER_GONE of keys,
 * CONNECTED, READY, DISCONNECTED (forget all keys, MSH-014), DROPPED, STOPPED (the other end is ourselves, MSH-011).
 * "Ours": packets to forward wait in the client's own queue (TRP-012); they never block the sender.
 *
 * Configuration: key, mesh-key, url, dial-host, mesh-retry=5s, profile, raw, plus the client's times; commands: COMMAND_FORWARD. */
#ifndef REF_MESH_H
#define REF_MESH_H

#include "client.h"

enum mesh_state { MESH_DOWN, MESH_CONNECTING, MESH_UP /* logged in and subscribed */, MESH_SELF /* stopped: it is ourselves */ };

struct mesh;

struct mesh *mesh_new(const struct machine_env *env);
static inline struct machine *mesh_machine(struct mesh *mesh) { return (struct machine *)mesh; }
enum { MESH_SLOTS = CLIENT_SLOTS };
enum mesh_state mesh_state(const struct mesh *mesh);
const struct client *mesh_client(const struct mesh *mesh);

#endif
