/* What a bad relay can make a client hold, and a bad sibling the relay by way of its mesh link: for each behaviour the most, as an
 * expression over the limits, and what was measured; and that nothing of it is left behind the connection. See relay_memory_test.c. */
#include "client_core.h"
#include "digest.h"
#include "mesh.h"
#include "pair_memory.h"
#include "session.h"

enum { HIGH_WATER = 131072, DEPTH = 32, PACKET = sizeof(struct packet), LOCAL = 1 };
#define AT "192.0.2.50"
#define CLIENT "!raw=on\nretry=manual\nurl=http://" AT "/derp\n"
#define CLIENT_HTTP "!retry=manual\nurl=http://" AT "/derp\n"
#define CLIENT_WEBSOCKET "!retry=manual\nwebsocket=on\nurl=http://" AT "/derp\n"
#define MESH "raw=on\nmesh-retry=1m\nmesh-key=" MEM_MESH_KEY "\nmesh-with=http://" AT "\n"
#define TABLES_KEY (2 * sizeof(struct peer) + 8 * sizeof(struct keymap_slot) / 3 + 2 * sizeof(struct forwarder))
/* What a link says to its relay in a step, and what a client is told: frames of 5 bytes and more. */
#define TOLD(frame) (2 * (MEM_TURN / (frame)) * sizeof(struct action))

static uint8_t junk[FRAME_CLIENT_MAX + 1];

/* ---- the bad relay ---- */

/* Takes the connection that was dialled last; who has lost it dials again when asked, or of itself. */
static void accepts(struct mem *w, uint32_t i)
{
	static const struct event_dialed dialed = { .local = { .port = 1 }, .remote = { .port = 80 } };
	struct event_command command = { .verb = COMMAND_CONNECT };

	(void)i;
	while (mem_at(w, w->dialed) == NULL) {
		if (w->client != NULL)
			mem_event(w, (struct event){ .kind = EVENT_COMMAND, .command = &command });
		else
			mem_advance(w, NS_S);
	}
	mem_event(w, (struct event){ .kind = EVENT_DIALED, .token = w->dialed, .dialed = &dialed });
}

static void frame(struct mem *w, uint8_t type, const void *p, uint32_t n)
{
	uint8_t head[FRAME_HEADER];

	frame_header(head, type, n);
	mem_bytes(w, w->dialed, head, sizeof head);
	mem_bytes(w, w->dialed, p, n);
}

static void lets_in(struct mem *w, uint32_t i)
{
	static const uint8_t nonce[KEY_NONCE] = { 1 };
	static const struct server_info info = { .version = 2 };
	struct key server = mem_key(77), server_public, shared;
	uint8_t bytes[LOGIN_FRAME_MAX];

	accepts(w, i);
	key_public(&server, &server_public);
	mem_bytes(w, w->dialed, bytes, frame_server_key(bytes, server_public.b));
	if (!key_shared(&server, w->client != NULL ? client_public_key(w->client) : relay_public_key(w->relay), &shared)) abort();
	mem_bytes(w, w->dialed, bytes, login_server_info_frame(bytes, &shared, nonce, &info));
	if (w->client != NULL) assert_int_equal(client_state(w->client), CLIENT_READY);
}

static void lets_in_stalls(struct mem *w, uint32_t i)
{
	lets_in(w, i);
	mem_stick(w, w->dialed);
}

static void resets(struct mem *w, uint32_t i)
{
	(void)i;
	mem_leave(w, w->dialed);
}

static void flood(struct mem *w, const void *bytes, size_t n, size_t times)
{
	static uint8_t all[1 << 20];
	size_t now = 0;

	for (size_t i = 0; i < times && (now + 1) * n <= sizeof all; i++, now++) memcpy(all + now * n, bytes, n);
	mem_bytes(w, w->dialed, all, now * n);
}

static bool is_here(const struct mem *w) { return w->client == NULL || client_token(w->client) == w->dialed; }

/* ---- the client ---- */

/* A client between two things that happen to it owns itself, and where to connect. */
static void idle(void **state)
{
	struct mem *w = mem_new(CLIENT);
	uint64_t most = sizeof(struct client) + sizeof(struct client_region) + sizeof(struct client_node) + 64 /* texts */, before;

	(void)state;
	lets_in(w, 0);
	before = heap.bytes;
	print_message("# idle client: %llu bytes, %llu at most (sizeof(struct client) + sizeof(struct client_region) + "
	              "sizeof(struct client_node) + texts)\n",
	              (unsigned long long)before, (unsigned long long)most);
	assert_in_range(before, sizeof(struct client), most);
	for (uint32_t n = 0; n < 100000; n += 9999) {
		frame(w, FRAME_RECV_PACKET, junk, FRAME_KEY + n % FRAME_PACKET_MAX);
		frame(w, FRAME_PING, junk, 8);
		frame(w, 0x7a, junk, n);
		frame(w, FRAME_KEEP_ALIVE, junk, 0);
	}
	assert_int_equal(heap.bytes, before);
	mem_free(w);
}

static void unknown_frames(struct mem *w, uint32_t i)
{
	(void)i;
	for (int k = 0; k < 5; k++) frame(w, 0x7a, junk, FRAME_CLIENT_MAX);
	assert_true(is_here(w));
	frame(w, 0x7a, junk, FRAME_CLIENT_MAX + 1);
	assert_false(w->client != NULL && is_here(w));
}

/* FRM-006, FRM-011: what is thrown away is not kept, and above 1 MiB is the end. */
static void giant_frame(void **state)
{
	static const struct mem_row row = { "client: frames of 1 MiB of an unknown type, and one longer",
		                            "FRM-006",
		                            CLIENT,
		                            BOUND(0),
		                            .arrive = lets_in,
		                            .act = unknown_frames,
		                            .leave = resets };
	struct mem_row link = row;

	(void)state;
	mem_run(&row, 1, 0);
	link.behaviour = "link:   frames of 1 MiB of an unknown type, and one longer";
	link.config = MESH;
	mem_run(&link, 1, TOLD(FRAME_HEADER));
}

static void large_frames(struct mem *w, uint32_t i)
{
	static const uint8_t types[] = { FRAME_HEALTH, FRAME_RECV_PACKET, FRAME_PEER_PRESENT, FRAME_PEER_GONE, FRAME_PONG, FRAME_SERVER_INFO };

	(void)i;
	for (size_t k = 0; k < sizeof types; k++) {
		frame(w, types[k], junk, FRAME_CLIENT_MAX - 1);
		if (types[k] != FRAME_SERVER_INFO) frame(w, types[k], junk, FRAME_CLIENT_MAX);
	}
	assert_false(w->client != NULL && is_here(w)); /* ServerInfo that does not open */
}

static void announces_large(struct mem *w, uint32_t i)
{
	uint8_t head[FRAME_HEADER + 1];

	(void)i;
	frame_header(head, FRAME_HEALTH, FRAME_CLIENT_MAX);
	mem_bytes(w, w->dialed, head, sizeof head);
}

/* FRM-006 */
static void large_frame(void **state)
{
	static const struct mem_row announced = { "client: a Health of 1 MiB is announced, one byte of it sent",
		                                  "FRM-006",
		                                  CLIENT,
		                                  BOUND(PACKET + FRAME_GATHER_FIRST),
		                                  .arrive = lets_in,
		                                  .act = announces_large,
		                                  .leave = resets };
	static const struct mem_row row = { "client: Health, ServerInfo, PeerPresent... of 1 MiB",
		                            "FRM-006",
		                            CLIENT,
		                            BOUND(PACKET + FRAME_CLIENT_MAX),
		                            .work = FRAME_CLIENT_MAX,
		                            .arrive = lets_in,
		                            .act = large_frames,
		                            .leave = resets };
	struct mem_row link = row;

	(void)state;
	mem_run(&announced, 1, 0);
	mem_run(&row, 1, 0);
	link.behaviour = "link:   Health, ServerInfo, PeerPresent... of 1 MiB";
	link.config = MESH;
	link.others = TABLES_KEY + TOLD(FRAME_HEADER);
	mem_run(&link, 1, TABLES_KEY + TOLD(FRAME_HEADER));
}

static void endless_head(struct mem *w, uint32_t i)
{
	static char head[HTTP_HEAD_MAX - 1];
	uint32_t n = (uint32_t)snprintf(head, sizeof head, "HTTP/1.1 101 Switching Protocols\r\nX: ");

	(void)i;
	memset(head + n, 'x', sizeof head - n);
	mem_pieces(w, w->dialed, head, sizeof head, 1000);
	assert_true(is_here(w));
}

static void longer_head(struct mem *w, uint32_t i)
{
	endless_head(w, i);
	mem_pieces(w, w->dialed, "yz", 2, 1);
	assert_false(is_here(w));
}

static void http_head(void **state)
{
	static const struct mem_row row = { "client: an HTTP head without an end",
		                            "ours",
		                            CLIENT_HTTP,
		                            BOUND(sizeof(struct http_reader) + HTTP_HEAD_MAX),
		                            .work = HTTP_HEAD_MAX / 2,
		                            .arrive = accepts,
		                            .act = endless_head,
		                            .leave = resets };
	struct mem_row longer = row;

	(void)state;
	mem_run(&row, 1, 0);
	longer.behaviour = "client: an HTTP head of more than 16,384 bytes";
	longer.act = longer_head;
	mem_run(&longer, 1, 0);
}

static void presence(struct mem *w, uint32_t i)
{
	uint8_t bytes[FRAME_HEADER + FRAME_PRESENT_SIZE];

	(void)i;
	for (uint32_t k = 0; k < 20000; k++) {
		struct key key = mem_name(k);
		mem_bytes(w, w->dialed, bytes, frame_peer_present(bytes, key.b, junk, 1, 1));
	}
}

/* PGR-017: who is not a watcher tells its owner and keeps nothing. */
static void not_watching(void **state)
{
	static const struct mem_row row = {
		"client: 20,000 PeerPresent of new keys", "PGR-017", CLIENT, BOUND(0), .arrive = lets_in, .act = presence, .leave = resets
	};

	(void)state;
	mem_run(&row, 1, 0);
}

static void pings(struct mem *w, uint32_t i)
{
	uint8_t bytes[FRAME_HEADER + FRAME_PING_SIZE];

	(void)i;
	for (int k = 0; k < 5; k++) flood(w, bytes, frame_ping(bytes, junk), 30000);
	assert_true(is_here(w));
}

/* CLI-010: one Pong is due, whatever the relay takes. */
static void unread_pongs(void **state)
{
	static const struct mem_row row = { "client: a relay that pings and stalls",
		                            "CLI-010",
		                            CLIENT,
		                            BOUND(2 * (PACKET + FRAME_PING_SIZE)), /* cut at the border of an event, and told to the owner */
		                            .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_PING_SIZE,
		                            .arrive = lets_in_stalls,
		                            .act = pings,
		                            .leave = resets };

	(void)state;
	mem_run(&row, 1, 0);
}

static void owner_sends(struct mem *w, uint32_t i)
{
	struct key to = mem_name(1);
	struct event_command command = { .verb = COMMAND_SEND, .dst = to.b, .p = junk, .n = FRAME_PACKET_MAX };

	(void)i;
	for (int k = 0; k < 200; k++) mem_event(w, (struct event){ .kind = EVENT_COMMAND, .command = &command });
}

static void leaves_with_queue(struct mem *w, uint32_t i)
{
	resets(w, i);
	lets_in(w, i); /* who takes what waited: CLI-023 */
	resets(w, i);
}

/* CLI-031 */
static void stalled_relay(void **state)
{
	static const struct mem_row row = { "client: a relay that stalls, packets of 65,536 bytes",
		                            "CLI-031",
		                            CLIENT,
		                            BOUND(16 + DEPTH * sizeof(struct outbox_entry) + DEPTH * (PACKET + FRAME_PACKET_MAX)),
		                            .work = PACKET + FRAME_PACKET_MAX + 4096, /* the newest beside the oldest */
		                            .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_SEND_MAX,
		                            .arrive = lets_in_stalls,
		                            .act = owner_sends,
		                            .leave = leaves_with_queue };
	struct mem_row ends = row;

	(void)state;
	ends.others = PACKET + FRAME_PACKET_MAX; /* the oldest, while it is told to be dropped */
	mem_run(&ends, 1, 0);
}

/* The relay's consent to the nonce that the client has drawn. */
static void consents(struct mem *w, uint32_t i)
{
	char key[HTTP_WEBSOCKET_KEY], text[HTTP_OUT_MAX];
	struct http_request request = { .subprotocol = true, .accept_key = { .p = key, .n = HTTP_WEBSOCKET_KEY } };

	accepts(w, i);
	digest_base64(w->client->ws->nonce, HTTP_WEBSOCKET_NONCE, key);
	mem_bytes(w, w->dialed, text, http_websocket_response(text, &request));
	assert_int_equal(client_state(w->client), CLIENT_LOGIN);
	mem_stick(w, w->dialed);
}

/* A byte of a ServerKey that is announced, empty fragments of its message without end, pings, and one that stays open. */
static void fragments(struct mem *w, uint32_t i)
{
	static const uint8_t first[] = { 0x02, 0x06, FRAME_SERVER_KEY, 0, 0, 4, 0, 'D' }, more[] = { 0x00, 0x00 };
	uint8_t ping[2 + 125] = { 0x89, 125 };

	(void)i;
	mem_pieces(w, w->dialed, first, sizeof first, 1);
	flood(w, more, sizeof more, 100000);
	flood(w, ping, sizeof ping, 5000);
	mem_bytes(w, w->dialed, ping, 6);
	assert_true(is_here(w));
}

/* HTTP-030: fragments are not joined; the answer to one ping is due. */
static void websocket(void **state)
{
	static const struct mem_row row = { "client: WebSocket fragments and pings without end, stalled",
		                            "ours",
		                            CLIENT_WEBSOCKET,
		                            BOUND(PACKET + FRAME_SERVER_KEY_MAX + 4400 /* wslay's, once it writes */),
		                            .others = PACKET + MEM_TURN, /* what was unmasked in this turn */
		                            .unsent_most = HIGH_WATER + WEBSOCKET_CONTROL_MAX,
		                            .arrive = consents,
		                            .act = fragments,
		                            .leave = resets };

	(void)state;
	mem_run(&row, 1, 0);
}

/* ---- the mesh link ---- */

#define MESH_KEYS_MAX 2000
#define MESH_LIMITED MESH "mesh-keys-max=2000\n"

static void presence_told(struct mem *w, uint32_t i)
{
	struct key first = mem_name(0), last = mem_name(19999);

	presence(w, i);
	assert_int_equal(relay_mesh_keys(w->relay), MESH_KEYS_MAX);
	assert_int_equal(relay_route(w->relay, first.b), ROUTE_FORWARD);
	assert_int_equal(relay_route(w->relay, last.b), ROUTE_NONE);
}

/* MSH-011, ours: a link tells of so many keys and no more; when one has gone, there is room for another; all go with the link. */
static void mesh_presence(void **state)
{
	static const struct mem_row row = { "link:   20,000 PeerPresent of new keys",
		                            "ours",
		                            MESH_LIMITED,
		                            BOUND(MESH_KEYS_MAX * TABLES_KEY + 4096),
		                            .others = TOLD(FRAME_HEADER + FRAME_KEY),
		                            .work = MESH_KEYS_MAX * TABLES_KEY,
		                            .arrive = lets_in,
		                            .act = presence_told,
		                            .leave = resets };
	struct mem *w;
	struct key first = mem_name(0), next = mem_name(20000);
	uint8_t bytes[FRAME_HEADER + FRAME_PRESENT_SIZE];

	(void)state;
	mem_run(&row, 1, MESH_KEYS_MAX * TABLES_KEY + 4096 + TOLD(FRAME_HEADER + FRAME_KEY));
	w = mem_new(MESH_LIMITED);
	lets_in(w, 0);
	presence(w, 0);
	mem_bytes(w, w->dialed, bytes, frame_peer_gone(bytes, first.b, GONE_DISCONNECTED));
	mem_bytes(w, w->dialed, bytes, frame_peer_present(bytes, next.b, junk, 1, 1));
	assert_int_equal(relay_route(w->relay, next.b), ROUTE_FORWARD);
	resets(w, 0);
	assert_int_equal(relay_mesh_keys(w->relay), 0);
	lets_in(w, 0);
	presence(w, 0);
	assert_int_equal(relay_mesh_keys(w->relay), MESH_KEYS_MAX);
	mem_free(w);
}

static void comes_and_goes(struct mem *w, uint32_t i)
{
	uint8_t bytes[FRAME_HEADER + FRAME_PRESENT_SIZE];

	(void)i;
	for (uint32_t k = 0; k < 20000; k++) {
		struct key key = mem_name(k);
		mem_bytes(w, w->dialed, bytes, frame_peer_present(bytes, key.b, junk, 1, 1));
		mem_bytes(w, w->dialed, bytes, frame_peer_gone(bytes, key.b, GONE_DISCONNECTED));
	}
}

/* MSH-011: a key that has gone leaves its place to the next. */
static void mesh_comes_and_goes(void **state)
{
	static const struct mem_row row = { "link:   20,000 keys come and go one after the other",
		                            "ours",
		                            MESH,
		                            BOUND(8 * TABLES_KEY),
		                            .others = TOLD(FRAME_HEADER + FRAME_KEY),
		                            .arrive = lets_in,
		                            .act = comes_and_goes,
		                            .leave = resets };

	(void)state;
	mem_run(&row, 1, 8 * TABLES_KEY + TOLD(FRAME_HEADER + FRAME_KEY));
}

static void local_client(struct mem *w) { mem_login(w, LOCAL, 1, false); }

static void is_forwarded(struct mem *w, uint32_t i)
{
	static uint8_t packet[FRAME_HEADER + FRAME_SEND_MAX];
	uint8_t bytes[FRAME_HEADER + FRAME_PRESENT_SIZE];
	struct key to = mem_name(1);
	uint32_t head = frame_send_head(packet, to.b, FRAME_PACKET_MAX);

	(void)i;
	mem_bytes(w, w->dialed, bytes, frame_peer_present(bytes, to.b, junk, 1, 1));
	for (int k = 0; k < 200; k++) mem_bytes(w, w->conn[LOCAL].token, packet, head + FRAME_PACKET_MAX);
}

/* TRP-012, CLI-031: a queue a link; the sender does not wait. */
static void stalled_sibling(void **state)
{
	static const struct mem_row row = { "link:   a sibling that stalls, packets of 65,536 bytes for it",
		                            "TRP-012",
		                            MESH,
		                            BOUND(16 + DEPTH * sizeof(struct outbox_entry) + DEPTH * (PACKET + FRAME_SEND_MAX) + TABLES_KEY),
		                            .others = 2 * (PACKET + FRAME_SEND_MAX) +
		                                      TOLD(FRAME_HEADER + FRAME_KEY), /* the sender's, the one dropped */
		                            .work = FRAME_SEND_MAX,
		                            .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_FORWARD_MAX,
		                            .before = local_client,
		                            .arrive = lets_in_stalls,
		                            .act = is_forwarded,
		                            .leave = resets };

	(void)state;
	mem_run(&row, 1, TABLES_KEY + TOLD(FRAME_HEADER + FRAME_KEY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle),
		cmocka_unit_test(giant_frame),
		cmocka_unit_test(large_frame),
		cmocka_unit_test(http_head),
		cmocka_unit_test(not_watching),
		cmocka_unit_test(unread_pongs),
		cmocka_unit_test(stalled_relay),
		cmocka_unit_test(websocket),
		cmocka_unit_test(mesh_presence),
		cmocka_unit_test(mesh_comes_and_goes),
		cmocka_unit_test(stalled_sibling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
