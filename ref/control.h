/* The coordination server, as far as relays matter: who is in which tailnet, where each of them is at home, and which map each tailnet
 * sees. A pure module without time: it says what has to be told to whom, and the caller decides when it arrives (as a COMMAND to a
 * station), so that what happens in between can be seen.
 *
 * HOM-020, REG-004, MAP-018, TRP-034. The order of a region's nodes is a function of the tailnet: the caller gives each tailnet its map
 * as text, which control_map_text writes for an order of the caller's choice. Clients of one tailnet share the text.
 *
 * Every change (join, leave, report, map) has news: take them all with control_news before the next change, which is asserted. So nothing
 * is queued here, however many there are. What one member is told must arrive in the order in which it was said. */
#ifndef REF_CONTROL_H
#define REF_CONTROL_H

#include "derpmap.h"
#include "key.h"
#include "machine.h"

struct control;

enum { CONTROL_TAILNETS_MAX = 1 << 20, CONTROL_MEMBERS_MAX = 1 << 24, CONTROL_LATENCIES_MAX = 2 * 65536 };
#define CONTROL_NONE UINT32_MAX

/* What a client says of its network, as far as it matters here. Latencies are numbers that never agree twice. */
enum control_flags {
	CONTROL_UDP = 1,
	CONTROL_V6 = 2,    /* IPv6 works */
	CONTROL_OS_V6 = 4, /* the system has it */
	CONTROL_ICMP4 = 8,
	CONTROL_VARIES = 16,  /* the mapping varies by destination */
	CONTROL_PORT_MAP = 32 /* the router maps ports */
};
struct control_latency {
	uint64_t region;
	bool v6;
	uint64_t ns;
};
struct control_report {
	uint32_t home;  /* PreferredDERP, 0 = none */
	uint32_t flags; /* enum control_flags */
	const struct control_latency *latency;
	uint32_t latencies;
};
/* Is the second worth sending after the first? By anything but latencies (HOM-020). For both ends. */
bool control_report_differs(const struct control_report *a, const struct control_report *b);

/* The table of keys is keyed from the secret. */
struct control *control_new(const uint8_t secret[16]);
void control_free(struct control *c);

/* A new tailnet, without a map. CONTROL_NONE: there are too many. */
uint32_t control_tailnet(struct control *c);
/* The map of a tailnet; takes one count of text, NULL: none. News: all its members are told. */
void control_map(struct control *c, uint32_t tailnet, struct packet *text);
/* A new member, whose home is unknown. News: it is told the map and the homes that are known. CONTROL_NONE: its key is in use, or there
 * are too many. */
uint32_t control_join(struct control *c, uint32_t tailnet, const uint8_t key[KEY_SIZE]);
/* News: the others are told that it is nowhere. Its number may be given to another. */
void control_leave(struct control *c, uint32_t member);
/* False: nothing but latencies changed, which the client should not have sent. News: if its home changed, the others are told. */
bool control_report(struct control *c, uint32_t member, const struct control_report *report);

struct control_news {
	uint32_t member;     /* who is to be told */
	bool map;            /* the map; else the home of a peer */
	struct packet *text; /* the map: not counted, alive until the tailnet gets another; NULL: there is none */
	uint8_t key[KEY_SIZE];
	uint32_t home;
};
/* The next thing to tell. False: all is told. Members in the order in which they joined. */
bool control_news(struct control *c, struct control_news *out);
/* The same as a command to the station of the member; it points into `news`. */
struct event_command control_command(const struct control_news *news);

uint32_t control_member(const struct control *c, const uint8_t key[KEY_SIZE]); /* CONTROL_NONE */
uint32_t control_home(const struct control *c, uint32_t member);
uint32_t control_members(const struct control *c, uint32_t tailnet);

/* The text of a map for a tailnet: derp_map_json, in a packet with one count. */
struct packet *control_map_text(const struct derp_map *map, void (*permute)(void *ctx, const struct derp_region *region, uint32_t *order), void *ctx);

#endif
