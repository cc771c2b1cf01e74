/* What the station's files share. Internal.
 *
 * station.c          the machine: configuration, commands, timers, views
 * station_place.c    the connections: opening, closing, stepping, hearing
 * station_contact.c  the peers: their homes and where they were heard
 * station_map.c      the map: which regions there are and what changed */
#ifndef REF_STATION_CORE_H
#define REF_STATION_CORE_H

#include "derpmap.h"
#include "keymap.h"
#include "rng.h"
#include "slotset.h"
#include "station.h"

enum { STATION_PLACES_MAX = 4096, STATION_CONTACTS_MAX = 1 << 24 };
#define STATION_NONE UINT32_MAX

static const uint64_t station_idle_ns = 60 * NS_S, station_reap_ns = 15 * NS_S;      /* CLI-034 */
static const uint64_t station_record_ns = 5 * NS_S, station_silence_ns = 125 * NS_S; /* CLI-041 */
static const uint64_t station_rebind_ns = 3 * NS_S;                                  /* CLI-039 */
static const uint64_t station_linger_ns = 10 * NS_S; /* how long a relay may take to answer our FIN before it gets RST */

/* One connection: a client and the token range that is its own. */
struct station_place {
	uint32_t region; /* 0: free */
	uint32_t uses;   /* clients that it has had: their tokens differ */
	bool leaving;    /* closed by us; the client's last events are awaited */
	bool connected, pinging, has_last;
	struct address local;   /* of the connection in use, once it is dialled */
	uint8_t last[KEY_SIZE]; /* source of the last packet */
	struct client *client;
	uint64_t token; /* leaving: the connection, to be aborted at linger_at */
	uint64_t linger_at, open_at, write_at, recorded_at;
	uint32_t routes;     /* contacts whose route it is */
	struct slotset seen; /* derper: contacts heard on it since it was last connected (CLI-036) */
	char *problem;
};

struct station_contact {
	uint8_t key[KEY_SIZE];
	bool used;
	uint32_t home;       /* 0: unknown */
	uint32_t place;      /* where it was heard, STATION_NONE */
	uint32_t prev, next; /* among those without home, oldest first; next also in the list of free ones */
};

struct station_heard {
	uint32_t region;
	uint64_t at;
};

/* The text of the map, shared, and where its regions stand. */
struct station_map {
	struct packet *text; /* NULL: there is none */
	const char *json;
	struct derp_index index;
};

struct station {
	struct machine machine;
	struct machine_env env;
	struct rng rng;
	struct key key, public_key;
	char *client_text; /* configuration for every client */
	uint64_t wall_ns;
	uint32_t turn_max, low_water, slot_first;
	uint32_t home;
	bool homeless, down, left, stopped, derper, prefer_v6, warned;
	bool home_waits; /* for a place */
	uint64_t home_since, reap_at;
	struct station_place *place;
	uint32_t places, places_max;
	struct station_contact *contact;
	uint32_t contacts, contacts_cap, contacts_max, contacts_known, contact_free; /* free list by next */
	uint32_t oldest, newest;                                                     /* of those without home */
	struct keymap by_key;
	struct station_map map;
	struct station_heard *heard;
	uint32_t heard_n, heard_cap;
	char *error;              /* of the last map that was refused */
	struct actions *out, *up; /* of the step under way */
};

/* station.c */
void station_refuse(struct station *s, const struct event_command *m, enum refusal why);
void station_home_set(struct station *s, uint64_t now, uint32_t region); /* nothing but the number, and the end of its warning */

/* station_place.c */
uint32_t place_of(const struct station *s, uint32_t region); /* STATION_NONE: no connection */
/* Opens a connection. STATION_NONE: *why says why not. */
uint32_t place_open(struct station *s, uint64_t now, uint32_t region, enum refusal *why);
/* FIN, or with abort RST. The connection counts no more; its place is free when the client has had its last event. */
void place_shut(struct station *s, uint64_t now, uint32_t place, enum station_close why, bool abort);
void place_shut_all(struct station *s, uint64_t now, enum station_close why, bool abort);
void place_step(struct station *s, uint32_t place, const struct event *e);
void place_command(struct station *s, uint64_t now, uint32_t place, const struct event_command *command);
void place_home_open(struct station *s, uint64_t now); /* if there is a home and no connection to it */
bool place_sweep(struct station *s);                   /* frees what is over; true: something was */
uint64_t place_deadline(const struct station *s);
void place_timer(struct station *s, uint64_t now);

/* station_contact.c */
void contacts_init(struct station *s);
void contacts_free(struct station *s);
bool contact_home_set(struct station *s, const uint8_t *key, uint32_t region); /* false: there is no room */
void contact_heard(struct station *s, uint32_t place, const uint8_t *key);     /* a packet of it came */
void contact_gone(struct station *s, uint32_t place, const uint8_t *key);      /* PeerGone */
void contact_routes_forget(struct station *s, uint32_t place);
const struct station_contact *contact_find(const struct station *s, const uint8_t *key); /* NULL */

/* station_map.c */
void station_map_set(struct station *s, uint64_t now, const struct event_command *m);
void station_map_free(struct station_map *map);
/* The region's object on one line, to be freed; NULL: not in the map, or a client could make nothing of it. */
char *station_map_region(const struct station *s, uint32_t region);

#endif
