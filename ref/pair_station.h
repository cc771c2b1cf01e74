/* What the stories of a station share: regions whose one node is a relay written by hand, and a map of them. For *_test.c only. */
#ifndef REF_PAIR_STATION_H
#define REF_PAIR_STATION_H

#include "pair_client.h"
#include "station.h"

enum { REGIONS = 9 };

static inline struct station *station_of(struct pair *p, int host) { return (struct station *)p->host[host].machine; }

/* Public keys are asked for again and again here. */
static inline struct key peer_key(uint8_t first)
{
	static struct key memo[256];

	if (key_is_zero(memo[first].b)) memo[first] = pair_public(first);
	return memo[first];
}

/* Region n has its node at 192.0.2.(60 + n), port 80; its relay speaks DERP from byte 0. */
static inline struct address region_at(uint32_t region) { return pair_address((uint8_t)(60 + region), 80); }

static inline void regions_listen(struct pair *p)
{
	for (uint32_t i = 1; i <= REGIONS; i++) pair_listen(p, region_at(i), PAIR_WIRE, -1, TOKEN_NONE, false);
}

/* The map of regions 1 .. n, with `more` members in region 1; beside: what stands beside the regions, or "". */
static inline size_t map_text(char *out, size_t cap, uint32_t n, const char *more, const char *beside)
{
	size_t at = (size_t)snprintf(out, cap, "{%s\"Regions\": {\n", beside);

	for (uint32_t i = 1; i <= n; i++)
		at += (size_t)snprintf(out + at, cap - at,
		                       "%s\"%u\":{\"RegionID\":%u,\"RegionCode\":\"r%u\",\"Nodes\":[{\"Name\":\"%ua\",\"RegionID\":%u,\n"
		                       "\"HostName\":\"r%u.test\",\"IPv4\":\"192.0.2.%u\",\"IPv6\":\"none\",\"DERPPort\":80}]%s}",
		                       i == 1 ? "" : ",", i, i, i, i, i, i, 60 + i, i == 1 ? more : "");
	at += (size_t)snprintf(out + at, cap - at, "}}");
	assert(at < cap);
	return at;
}

static inline void set_map_text(struct pair *p, int host, const char *text, size_t n)
{
	uint8_t *copy = mem_alloc(n); /* gone behind the step */

	memcpy(copy, text, n);
	pair_command(p, host, &(struct event_command){ .verb = COMMAND_MAP, .p = copy, .n = (uint32_t)n });
	free(copy);
}

static inline void set_map(struct pair *p, int host, uint32_t n, const char *more, const char *beside)
{
	char text[4096];

	set_map_text(p, host, text, map_text(text, sizeof text, n, more, beside));
}

static inline void set_home(struct pair *p, int host, uint64_t region)
{
	pair_command(p, host, &(struct event_command){ .verb = COMMAND_HOME, .region = region });
}

static inline void set_peer(struct pair *p, int host, uint8_t key, uint64_t region)
{
	struct key peer = peer_key(key);

	pair_command(p, host, &(struct event_command){ .verb = COMMAND_PEER, .dst = peer.b, .region = region });
}

static inline void send_to(struct pair *p, int host, uint8_t key, uint64_t region, const char *text)
{
	struct key peer = peer_key(key);

	pair_command(p, host,
	             &(struct event_command){
			     .verb = COMMAND_SEND, .dst = peer.b, .region = region, .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) });
}

/* A station without map, without home, that speaks HTTP and TLS. */
static inline int station_http(struct pair *p, uint8_t key, const char *config)
{
	int host = pair_host_new(p);
	struct pair_host *h = &p->host[host];
	char text[1024], hex[KEY_HEX + 1];

	snprintf(text, sizeof text, "key=%s\n%s", pair_hex(key, hex), config);
	h->machine = station_machine(station_new(&(struct machine_env){ .tracer = &h->tracer }));
	pair_start(p, host, text, NULL, 0);
	pair_run(p);
	return host;
}

/* The same, that speaks DERP from byte 0. */
static inline int station_alone(struct pair *p, uint8_t key, const char *config)
{
	char text[512];

	snprintf(text, sizeof text, "raw=on\n%s", config);
	return station_http(p, key, text);
}

/* A station with a map of all regions. */
static inline int station_with(struct pair *p, uint8_t key, const char *config)
{
	int host = station_alone(p, key, config);

	set_map(p, host, REGIONS, "", "");
	return host;
}

/* The relay's end of the connection to a region. */
static inline int wire_region(struct pair *p, uint32_t region)
{
	int s = wire_accepted(p, region_at(region));

	if (s < 0) fail_msg("no connection to region %u", region);
	return s;
}

/* The relay of the region logs the station in, whose home it is or not. */
static inline int region_ready(struct pair *p, uint32_t region, uint8_t key, bool home)
{
	struct client_info info;
	int s = wire_region(p, region);

	server_key(p, s, 0);
	client_info_is(p, s, key, &info);
	assert_true(info.can_ack_pings); /* CLI-042 */
	if (home) frame_is(p, s, FRAME_NOTE_PREFERRED, "\x01", 1);
	server_info(p, s, key, &(struct server_info){ .version = 2 });
	return s;
}

/* The packet that comes to a relay. */
static inline void packet_is(struct pair *p, int s, uint8_t key, const char *text)
{
	struct key peer = peer_key(key);
	uint8_t payload[KEY_SIZE + 64];
	size_t n = strlen(text);

	assert(n <= 64);
	memcpy(payload, peer.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, text, n);
	frame_is(p, s, FRAME_SEND_PACKET, payload, KEY_SIZE + (uint32_t)n);
}

/* A packet of the peer comes from the relay. */
static inline void relay_sends(struct pair *p, int s, uint8_t key, const char *text)
{
	struct key peer = peer_key(key);
	uint8_t payload[KEY_SIZE + 64];
	size_t n = strlen(text);

	assert(n <= 64);
	memcpy(payload, peer.b, KEY_SIZE);
	memcpy(payload + KEY_SIZE, text, n);
	wire_send_frame(p, s, FRAME_RECV_PACKET, payload, KEY_SIZE + (uint32_t)n);
}

static inline void relay_says_gone(struct pair *p, int s, uint8_t key, uint8_t reason)
{
	struct key peer = peer_key(key);
	uint8_t payload[KEY_SIZE + 1];

	memcpy(payload, peer.b, KEY_SIZE);
	payload[KEY_SIZE] = reason;
	wire_send_frame(p, s, FRAME_PEER_GONE, payload, sizeof payload);
}

static inline uint32_t route_to(struct pair *p, int host, uint8_t key) { return station_route(station_of(p, host), peer_key(key).b); }

static inline bool is_open(struct pair *p, int host, uint32_t region)
{
	struct station_view view;

	return station_region(station_of(p, host), region, &view);
}

/* The i-th thing of that kind was about this region, with this number. */
static inline void told(struct pair *p, int host, enum deliver_kind what, size_t i, uint32_t region, uint64_t a)
{
	const struct pair_heard *h = pair_heard(p, host, what, i);

	if (h == NULL) fail_msg("no %s of number %zu", deliver_kind_name(what), i);
	assert_int_equal(h->region, region);
	assert_int_equal(h->a, a);
}

/* Keeps the connections alive through the time: a KeepAlive on each stream every 50 s at most. */
static inline void pass(struct pair *p, uint64_t ns)
{
	for (uint64_t at = 0; at < ns;) {
		uint64_t d = ns - at < 50 * NS_S ? ns - at : 50 * NS_S;
		pair_advance(p, d);
		at += d;
		for (int s = 0; s < p->streams; s++)
			if (p->stream[s].end[1].host < 0 && p->stream[s].end[1].open && p->stream[s].end[0].open && !p->stream[s].end[1].fin &&
			    p->stream[s].end[1].ended == PAIR_OPEN)
				wire_send_frame(p, s, FRAME_KEEP_ALIVE, NULL, 0);
	}
}

#endif
