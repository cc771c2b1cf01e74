/* The application layer of a client: one device of a tailnet, with a home region and connections to others as traffic wants them
 * (in the original: magicsock's DERP part). A machine, parent of one client a region.
 *
 * Chapter 3.4, CLI-028..CLI-043, PGR-016, REG-003, HOM-019, TRP-010. Home is kept for ever; another region is opened by the first packet
 * for a peer whose home it is, and closed 60 s after the last one, which is looked at every 15 s. A packet goes through the connection to
 * the home of its peer; else through the one on which the peer was heard; else that home is opened.
 *
 * Configuration (config.h), with defaults:
 *   key=privkey:HEX     required
 *   profile=ours|derper derper: reverse routes are forgotten and not relearnt as TRP-010 says
 *   prefer-v6=off       CLI-020
 *   regions-max=64      connections at once, at most; no more than the token range of START has room for, CLIENT_SLOTS each
 *   peers-max=65536     peers known at once: by home, by route. A new one takes the place of the one without home that is known longest
 *   Whatever else client.h lists goes to every client, but for url, region, home, connect, watch, which are this machine's business.
 *
 * Commands: HOME (of region; 0: homeless), MAP, SEND, PEER, NETWORK, REBIND, KEY, PREFER_V6, LEAVE. There is no home and no map at first.
 * A map's text is not copied if it comes in a counted packet: many stations can share one.
 * DELIVERs: those of the clients, with their region; HOME, CHECK, CLOSED, WARNING, REFUSED of its own; STOPPED when everything is over
 * behind LEAVE. */
#ifndef REF_STATION_H
#define REF_STATION_H

#include "client.h"

struct station;

struct station *station_new(const struct machine_env *env);
static inline struct machine *station_machine(struct station *station) { return (struct machine *)station; }
bool station_config_check(const char *text, size_t n, char error[200]);

enum {
	STATION_REGION_MAX = 65535, /* CLI-043: the number of a region is a port in the original */
	STATION_PROBLEM_MAX = 255,  /* bytes kept of a relay's Health text */
	STATION_HEARD_MAX = 256     /* regions of which it is kept when they were heard: the last ones */
};

/* Why a connection was closed: DELIVER_CLOSED.a */
enum station_close {
	STATION_CLOSE_IDLE,    /* not home, and nothing to send for 60 s (CLI-034) */
	STATION_CLOSE_MAP,     /* its region was changed or removed, or there is no map (CLI-038) */
	STATION_CLOSE_HOME,    /* homeless (HOM-019) */
	STATION_CLOSE_NETWORK, /* the network is down (CLI-039) */
	STATION_CLOSE_ADDRESS, /* rebind: it has no local address yet, or one that is gone */
	STATION_CLOSE_PING,    /* rebind: no Pong within 3 s */
	STATION_CLOSE_KEY,     /* another private key */
	STATION_CLOSE_ROOM,    /* home needs its place */
	STATION_CLOSE_LEAVE,
	STATION_CLOSES
};
const char *station_close_name(enum station_close why);

/* Why a network check is due: DELIVER_CHECK.a */
enum station_check {
	STATION_CHECK_BROKEN, /* a connection ended by itself, or could not be made (CLI-032) */
	STATION_CHECK_MAP,    /* the map says something new (MAP-011); if home changed there is none until a new COMMAND_HOME (CLI-038) */
	STATION_CHECKS
};
const char *station_check_name(enum station_check why);

uint32_t station_home(const struct station *station); /* 0: none */
bool station_homeless(const struct station *station); /* by command */
const uint8_t *station_public_key(const struct station *station);

struct station_view {
	bool home, connected;        /* connected: ServerInfo has come, and the connection stands (CLI-040) */
	uint64_t open_at, write_at;  /* when it was opened, and last asked to write */
	const char *problem;         /* what the relay says is wrong, NULL: nothing (CLI-040) */
	const struct client *client; /* for truth and dumps */
};
/* False: no connection to that region, nor one being made. */
bool station_region(const struct station *station, uint32_t region, struct station_view *out);
uint32_t station_connections(const struct station *station); /* open or being made */
/* When the region was last heard, recorded at most every 5 s (CLI-041, HOM-013); TIME_NEVER: not yet, or too long ago to be known. */
uint64_t station_heard_at(const struct station *station, uint32_t region);
/* The region on whose connection the peer was heard (CLI-029), and its home as far as known; 0: none. */
uint32_t station_route(const struct station *station, const uint8_t key[KEY_SIZE]);
uint32_t station_peer_home(const struct station *station, const uint8_t key[KEY_SIZE]);
uint32_t station_peers(const struct station *station);
uint64_t station_packets_queued(const struct station *station);
void station_holds(const struct station *station, const struct machine_holds *visit);
uint64_t station_memory(const struct station *station);

#endif
