/* What peers can make a relay hold: for each behaviour the most, as an expression over the limits, and what was measured, for one peer and
 * for a thousand; and that nothing of it is left when they have gone. Memory is counted by malloc (pair_memory.h). The table is printed. */
#include "pair_memory.h"
#include "session.h"

enum { PEER = 16, HELPER = 1, CROWD = 4000, HIGH_WATER = 131072, DEPTH = 32, PACKET = sizeof(struct packet) };
enum { SET = sizeof(struct slotset_page) + 2 * sizeof(void *) }; /* a set with few members */
/* What a key, a connection cost in tables that grow by doubling and keep their size: their pool. */
#define TABLES_KEY (2 * sizeof(struct peer) + 8 * sizeof(struct keymap_slot) / 3 + 2 * sizeof(struct forwarder))
#define TABLES_CONNECTION (sizeof(struct session) + 2 * sizeof(struct timer_entry) + TABLES_KEY)
/* Sessions come in chunks, and the smallest tables are larger than what is in them. */
#define TABLES(connections) ((connections)*TABLES_CONNECTION + 2 * CHUNK * sizeof(struct session) + 4096)
#define RAW "raw=on\n"
#define ADMIT_URL "http://127.0.0.1:9/admit"
#define MESHED RAW "mesh-key=" MEM_MESH_KEY "\n"

static uint8_t junk[1 << 20];

static uint64_t token_of(const struct mem *w, uint32_t slot) { return w->conn[slot].token; }
static uint64_t peer(const struct mem *w, uint32_t i) { return token_of(w, PEER + i); }

/* ---- who comes, who goes ---- */

static void connects(struct mem *w, uint32_t i) { mem_accept(w, PEER + i); }
static void logs_in(struct mem *w, uint32_t i) { mem_login(w, PEER + i, i, false); }
static void logs_in_meshed(struct mem *w, uint32_t i) { mem_login(w, PEER + i, i, true); }
static void goes(struct mem *w, uint32_t i) { mem_leave(w, peer(w, i)); }

static void logs_in_stalls(struct mem *w, uint32_t i)
{
	logs_in(w, i);
	mem_stick(w, peer(w, i));
}

static void header(struct mem *w, uint64_t token, uint8_t type, uint32_t n)
{
	uint8_t frame[FRAME_HEADER];

	frame_header(frame, type, n);
	mem_bytes(w, token, frame, sizeof frame);
}

/* So many frames of these bytes, in events as long as they may be. */
static void flood(struct mem *w, uint64_t token, const void *frame, size_t n, size_t times)
{
	static uint8_t all[1 << 20];

	for (size_t sent = 0; sent < times;) {
		size_t now = 0;
		for (; sent < times && (now + 1) * n <= sizeof all; now++, sent++) memcpy(all + now * n, frame, n);
		mem_bytes(w, token, all, now * n);
	}
}

static void pings(struct mem *w, uint64_t token, size_t times)
{
	uint8_t frame[FRAME_HEADER + FRAME_PING_SIZE];

	frame_ping(frame, junk);
	flood(w, token, frame, sizeof frame, times);
}

static void sends(struct mem *w, uint64_t token, const struct key *to, uint32_t n, bool disco)
{
	static const uint8_t magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	static uint8_t frame[FRAME_HEADER + FRAME_SEND_MAX];
	uint32_t head = frame_send_head(frame, to->b, n);

	memset(frame + head, 0, n);
	if (disco) memcpy(frame + head, magic, sizeof magic);
	mem_bytes(w, token, frame, head + n);
}

static struct key key_of(uint32_t i)
{
	struct key private_key = mem_key(i), public_key;

	key_public(&private_key, &public_key);
	return public_key;
}

static void both(const struct mem_row *row, uint32_t many)
{
	mem_run(row, 1, TABLES(1));
	mem_run(row, many, TABLES(many));
}

/* ---- idle ---- */

/* An idle connection owns its place in the tables and nothing behind: also when it has been used in every way. */
static void idle(void **state)
{
	struct mem *w = mem_new(MESHED);
	uint64_t before, each;
	struct key to = key_of(PEER);

	(void)state;
	for (uint32_t i = 0; i < 2 * CHUNK; i++) mem_login(w, PEER + i, i, false);
	before = heap.bytes;
	for (uint32_t i = 2 * CHUNK; i < 6 * CHUNK; i++) mem_login(w, PEER + i, i, false);
	each = (heap.bytes - before) / (4 * CHUNK);
	print_message("# idle connection: %llu bytes in tables, of which %zu its session, %zu at most (sizeof(struct session) + "
	              "2 * sizeof(struct timer_entry) + 2 * sizeof(struct peer) + 8 * sizeof(struct keymap_slot) / 3), and nothing else\n",
	              (unsigned long long)each, sizeof(struct session), TABLES_CONNECTION);
	assert_in_range(each, sizeof(struct session), TABLES_CONNECTION);
	before = heap.bytes;
	for (uint32_t i = 0; i < CHUNK; i++) {
		header(w, peer(w, i), 0x7a, 1000);
		mem_bytes(w, peer(w, i), junk, 1000);
		pings(w, peer(w, i), 1);
		sends(w, peer(w, i), &to, 0, false); /* 37 bytes */
		header(w, peer(w, i), FRAME_SEND_PACKET, 5000);
		mem_pieces(w, peer(w, i), junk, 5000, 7);
		mem_bytes(w, peer(w, i), "\x06", 1); /* a piece of a header */
	}
	mem_leave(w, peer(w, PEER)); /* and who was sent to is gone: nobody is remembered for it */
	assert_in_range(heap.bytes, before - TABLES_KEY - SET, before);
	mem_free(w);
}

/* ---- stalled readers ---- */

static void sender(struct mem *w) { mem_login(w, HELPER, CROWD, false); }

static void is_sent_to(struct mem *w, uint32_t i, uint32_t n)
{
	struct key to = key_of(i);

	for (int k = 0; k < 2 * DEPTH + 300000 / (int)n; k++) sends(w, token_of(w, HELPER), &to, n, k % 2);
	for (int k = 0; k < 2 * DEPTH + 2; k++) sends(w, token_of(w, HELPER), &to, n, true);
}
static void is_sent_large(struct mem *w, uint32_t i) { is_sent_to(w, i, FRAME_PACKET_MAX); }
static void is_sent_small(struct mem *w, uint32_t i) { is_sent_to(w, i, 1200); }

/* SRV-010, SRV-013: two queues of queue-depth packets, and what high-water lets out. */
static void stalled_reader(void **state)
{
	static const struct mem_row large = { "a reader that stalls, packets of 65,536 bytes",
		                              "SRV-010",
		                              RAW,
		                              BOUND(OUTBOX_KINDS * (16 + DEPTH * sizeof(struct outbox_entry) + DEPTH * (PACKET + FRAME_SEND_MAX)) +
		                                    2 * SET),
		                              .others = PACKET + FRAME_SEND_MAX, /* the frame of the sender under way */
		                              .work = 1 << 16,
		                              .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_SEND_MAX,
		                              .before = sender,
		                              .arrive = logs_in_stalls,
		                              .act = is_sent_large,
		                              .leave = goes };
	static const struct mem_row small = { "a reader that stalls, packets of 1,200 bytes",
		                              "SRV-010",
		                              RAW,
		                              BOUND(OUTBOX_KINDS * (16 + DEPTH * sizeof(struct outbox_entry) + DEPTH * (PACKET + 1200)) + 2 * SET),
		                              .work = 1 << 16,
		                              .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_KEY + 1200,
		                              .before = sender,
		                              .arrive = logs_in_stalls,
		                              .act = is_sent_small,
		                              .leave = goes };

	(void)state;
	mem_run(&large, 1, TABLES(1));
	both(&small, 1000);
}

static void floods_pings(struct mem *w, uint32_t i) { pings(w, peer(w, i), 40000); }

/* SRV-026: one Pong is due and no more. */
static void unread_pongs(void **state)
{
	static const struct mem_row row = {
		"a reader that stalls and pings", "SRV-026",           RAW,           BOUND(PACKET + FRAME_PING_SIZE),
		.arrive = logs_in_stalls,         .act = floods_pings, .leave = goes, .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_PING_SIZE
	};

	(void)state;
	both(&row, 200);
}

/* It takes a byte a second, so that no write deadline strikes, and hears once a second that somebody is not here. */
static void trickles(struct mem *w, uint32_t i)
{
	struct key to = mem_name(0);

	for (int s = 0; s < 10000; s++) {
		sends(w, peer(w, i), &to, 62, true);
		mem_take(w, peer(w, i), 1);
		mem_advance(w, NS_S);
	}
}

/* PGR-014, SRV-022: a slow reader is not sent what it does not wait for either. */
static void trickle(void **state)
{
	static const struct mem_row row = { "a reader of a byte a second, sends to nobody",
		                            "ours",
		                            RAW "keepalive=1s\nkeepalive-jitter=0s\n",
		                            BOUND(0),
		                            .arrive = logs_in_stalls,
		                            .act = trickles,
		                            .leave = goes,
		                            .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_GONE_SIZE };

	(void)state;
	mem_run(&row, 1, TABLES(1));
}

/* ---- frames ---- */

static void giant(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), 0x7a, UINT32_MAX);
	mem_bytes(w, peer(w, i), junk, sizeof junk);
}

/* FRM-011: what is thrown away is not kept. */
static void giant_frame(void **state)
{
	static const struct mem_row row = {
		"a frame of 4 GiB of an unknown type", "FRM-011", RAW, BOUND(0), .arrive = logs_in, .act = giant, .leave = goes
	};

	(void)state;
	both(&row, 1000);
}

static void announces_info(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), FRAME_CLIENT_INFO, FRAME_CLIENT_INFO_MAX);
	mem_bytes(w, peer(w, i), junk, 1);
}

static void sends_info(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), FRAME_CLIENT_INFO, FRAME_CLIENT_INFO_MAX);
	mem_bytes(w, peer(w, i), junk, FRAME_CLIENT_INFO_MAX - 1);
}

static void sends_whole_info(struct mem *w, uint32_t i)
{
	sends_info(w, i);
	mem_bytes(w, peer(w, i), "\x01", 1);
}

/* HSK-007 */
static void client_info(void **state)
{
	static const struct mem_row announced = { "a ClientInfo of 256 KiB is announced, one byte of it sent",
		                                  "ours",
		                                  RAW,
		                                  BOUND(PACKET + FRAME_GATHER_FIRST),
		                                  .arrive = connects,
		                                  .act = announces_info,
		                                  .leave = goes };
	static const struct mem_row sent = { "a ClientInfo of 256 KiB but for the last byte",
		                             "ours",
		                             RAW,
		                             BOUND(PACKET + FRAME_CLIENT_INFO_MAX),
		                             .work = FRAME_CLIENT_INFO_MAX / 2 + PACKET, /* where it grows */
		                             .arrive = connects,
		                             .act = sends_info,
		                             .leave = goes };
	static const struct mem_row whole = { "a ClientInfo of 256 KiB that does not open",
		                              "ours",
		                              RAW,
		                              BOUND(PACKET + FRAME_CLIENT_INFO_MAX),
		                              .work = FRAME_CLIENT_INFO_MAX, /* the box is opened beside it */
		                              .arrive = connects,
		                              .act = sends_whole_info,
		                              .leave = goes };

	(void)state;
	both(&announced, 1000);
	both(&sent, 100);
	mem_run(&whole, 1, TABLES(1));
}

static void announces_packet(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), FRAME_SEND_PACKET, FRAME_SEND_MAX);
	mem_bytes(w, peer(w, i), junk, 1);
}

static void sends_half(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), FRAME_SEND_PACKET, FRAME_SEND_MAX);
	mem_bytes(w, peer(w, i), junk, FRAME_SEND_MAX - 1);
}

/* FRM-004 */
static void packet_under_way(void **state)
{
	static const struct mem_row announced = { "a SendPacket of 64 KiB is announced, one byte of it sent",
		                                  "FRM-004",
		                                  RAW,
		                                  BOUND(PACKET + FRAME_GATHER_FIRST),
		                                  .arrive = logs_in,
		                                  .act = announces_packet,
		                                  .leave = goes };
	static const struct mem_row sent = { "a SendPacket of 64 KiB but for the last byte",
		                             "FRM-004",
		                             RAW,
		                             BOUND(PACKET + FRAME_SEND_MAX),
		                             .work = FRAME_SEND_MAX,
		                             .arrive = logs_in,
		                             .act = sends_half,
		                             .leave = goes };

	(void)state;
	both(&announced, 1000);
	both(&sent, 1000);
}

/* ---- who is here ---- */

static void crowd(struct mem *w)
{
	for (uint32_t i = 0; i < 1000; i++) mem_login(w, CROWD + i, CROWD + i, false);
}

static void meshed_stalls(struct mem *w, uint32_t i)
{
	logs_in_meshed(w, i);
	mem_stick(w, peer(w, i));
	pings(w, peer(w, i), HIGH_WATER / 13 + 2);
}

static void watches(struct mem *w, uint32_t i)
{
	uint8_t frame[FRAME_HEADER];

	frame_watch_conns(frame);
	flood(w, peer(w, i), frame, sizeof frame, 1000);
}

/* MSH-009, MSH-010: a bit a key of whom it is to hear. */
static void watch_conns(void **state)
{
	static const struct mem_row row = { "WatchConns a thousand times, stalled, 1,000 clients",
		                            "ours",
		                            MESHED,
		                            BOUND(4 * (sizeof(struct slotset_page) + sizeof(void *)) + SET),
		                            .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_PRESENT_SIZE,
		                            .before = crowd,
		                            .arrive = meshed_stalls,
		                            .act = watches,
		                            .leave = goes };

	(void)state;
	both(&row, 20);
}

static void logs_in_again(struct mem *w, uint32_t i) { mem_login(w, PEER + i, 1, false); }

static void takes_turns(struct mem *w, uint32_t i)
{
	for (int k = 0; k < 10; k++) {
		pings(w, peer(w, 0), 1);
		pings(w, peer(w, i), 1);
	}
}

/* DUP-008, DUP-009, SRV-038: a place each, and no history that grows. */
static void duplicates(void **state)
{
	static const struct mem_row row = {
		"logins of one key, which take turns", "DUP-009", RAW, BOUND(0), .arrive = logs_in_again, .act = takes_turns, .leave = goes
	};

	(void)state;
	mem_run(&row, 2, TABLES(2));
	mem_run(&row, 3000, TABLES(3000));
}

/* ---- departed keys ---- */

#define DEPARTED_MAX 2000
static void watches_stalled(struct mem *w, uint32_t i)
{
	uint8_t frame[FRAME_HEADER];

	logs_in_meshed(w, i);
	mem_bytes(w, peer(w, i), frame, frame_watch_conns(frame));
	mem_stick(w, peer(w, i));
	pings(w, peer(w, i), HIGH_WATER / 13 + 2);
}

/* Keys that nobody has seen come and go; the reader takes a byte meanwhile. */
static void others_come_and_go(struct mem *w, uint32_t i)
{
	for (uint32_t k = 0; k < 2 * DEPARTED_MAX + 100; k++) {
		uint64_t other = mem_login(w, HELPER, 100000 + k, false);
		mem_leave(w, other);
		mem_take(w, peer(w, i), 1);
		mem_advance(w, NS_S / 10);
		if (k < DEPARTED_MAX) assert_true(peer(w, i) != TOKEN_NONE);
	}
	assert_true(peer(w, i) == TOKEN_NONE);
}

/* Each of them has sent it a packet. */
static void others_send_and_go(struct mem *w, uint32_t i)
{
	struct key to = key_of(i);

	for (uint32_t k = 0; k < 2 * DEPARTED_MAX + 100; k++) {
		uint64_t other = mem_login(w, HELPER, 100000 + k, false);
		sends(w, other, &to, 1, false);
		mem_leave(w, other);
		mem_take(w, peer(w, i), 1);
		mem_advance(w, NS_S / 10);
		if (k < DEPARTED_MAX) assert_true(peer(w, i) != TOKEN_NONE);
	}
	assert_true(peer(w, i) == TOKEN_NONE);
}

static void stalls_full(struct mem *w, uint32_t i)
{
	logs_in_stalls(w, i);
	pings(w, peer(w, i), HIGH_WATER / 13 + 2);
}

#define DEPARTED_KEYS (DEPARTED_MAX * (TABLES_KEY + 2) + 16 * SET + 4096)
/* PGR-009: whoever does not take the news of so many is closed. */
static void departed(void **state)
{
	static const struct mem_row watcher = { "a watcher of a byte in 100 ms, fresh keys come and go",
		                                "ours",
		                                MESHED "departed-max=2000\n",
		                                BOUND(DEPARTED_KEYS),
		                                .work = DEPARTED_KEYS,
		                                .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_PRESENT_SIZE,
		                                .arrive = watches_stalled,
		                                .act = others_come_and_go,
		                                .leave = goes };
	static const struct mem_row client = { "a reader of a byte in 100 ms, fresh keys send to it and go",
		                               "ours",
		                               RAW "departed-max=2000\n",
		                               BOUND(DEPARTED_KEYS + OUTBOX_KINDS * (16 + DEPTH * (sizeof(struct outbox_entry) + PACKET + 1))),
		                               .work = DEPARTED_KEYS,
		                               .unsent_most = HIGH_WATER + FRAME_HEADER + FRAME_PRESENT_SIZE,
		                               .arrive = stalls_full,
		                               .act = others_send_and_go,
		                               .leave = goes };

	(void)state;
	mem_run(&watcher, 1, TABLES(1) + DEPARTED_KEYS);
	mem_run(&client, 1, TABLES(1) + DEPARTED_KEYS);
}

static void forwards(struct mem *w, uint32_t i)
{
	uint8_t frame[FRAME_HEADER + 2 * FRAME_KEY];
	struct key to = key_of(CROWD);

	(void)i;
	for (uint32_t k = 0; k < 3 * DEPARTED_MAX; k++) {
		struct key from = mem_name(k);
		mem_bytes(w, peer(w, i), frame, frame_forward_head(frame, from.b, to.b, 0));
	}
}

static void reader_goes(struct mem *w, uint32_t i)
{
	goes(w, i);
	mem_leave(w, token_of(w, HELPER));
	sender(w);
}

/* PGR-005: of so many sources that nobody knows the end is told, and of no more. */
static void sources(void **state)
{
	static const struct mem_row row = { "a mesh peer that forwards from ever new keys",
		                            "ours",
		                            MESHED "departed-max=2000\n",
		                            BOUND(DEPARTED_MAX * (TABLES_KEY + SET) + 16 * SET + 4096),
		                            .work = DEPARTED_KEYS,
		                            .before = sender,
		                            .arrive = logs_in_meshed,
		                            .act = forwards,
		                            .leave = reader_goes };

	(void)state;
	mem_run(&row, 1, TABLES(1) + DEPARTED_KEYS);
}

static uint64_t logs_in_as(struct mem *w, uint32_t slot, uint32_t key, bool mesh)
{
	mem_login(w, slot, key, mesh);
	return token_of(w, slot);
}

/* keys-max: a key more is not let in, whether or not somebody was asked; one that is here is, and so is another when one has gone. */
static void keys_max(void **state)
{
	static const char *const configs[] = { MESHED "keys-max=10\n", MESHED "keys-max=10\nverify-client-url=" ADMIT_URL "\n" };

	(void)state;
	for (int asks = 0; asks < 2; asks++) {
		struct event_answer answer = { .status = 200, .p = (const uint8_t *)"{\"Allow\":true}", .n = 14 };
		struct mem *w = mem_new(configs[asks]);
		uint64_t before;
		for (uint32_t i = 0; i < 10; i++) assert_true(logs_in_as(w, PEER + i, i, true) != TOKEN_NONE);
		before = heap.bytes;
		for (uint32_t i = 0; i < 200; i++) {
			assert_true(logs_in_as(w, PEER + 10, 10 + i, true) == TOKEN_NONE);
			if (logs_in_as(w, PEER + 10, 10 + i, false) == TOKEN_NONE) continue;
			assert_int_equal(asks, 1);
			mem_event(w, (struct event){ .kind = EVENT_ANSWER, .token = w->asked, .answer = &answer });
			assert_true(token_of(w, PEER + 10) == TOKEN_NONE);
		}
		assert_int_equal(heap.bytes, before);
		assert_true(logs_in_as(w, PEER + 10, 9, true) != TOKEN_NONE);
		mem_leave(w, peer(w, 0));
		assert_true(logs_in_as(w, PEER + 11, 11, true) != TOKEN_NONE);
		mem_free(w);
	}
}

/* ---- waits ---- */

static void floods_login(struct mem *w, uint32_t i)
{
	static uint8_t all[65536];
	uint32_t n = mem_client_info(w, i, &(struct client_info){ .version = 2 }, all);

	while (n + 13 <= sizeof all) n += frame_ping(all + n, junk);
	mem_bytes(w, peer(w, i), all, n);
}

/* HSK-019: one read of a connection that has not logged in. */
static void admission(void **state)
{
	static const struct mem_row row = { "frames behind an open admission question",
		                            "HSK-019",
		                            RAW "verify-client-url=" ADMIT_URL "\n",
		                            BOUND(sizeof(struct session_wait) + PACKET + RELAY_READ_LOGIN + SET),
		                            .others = PACKET + sizeof ADMIT_URL + 200, /* the question, until the host has it */
		                            .unsent_most = 0,
		                            .arrive = connects,
		                            .act = floods_login,
		                            .leave = goes };

	(void)state;
	mem_run(&row, 1, TABLES(1) + RELAY_QUESTIONS_MAX * sizeof(struct relay_ask));
	mem_run(&row, 1500, TABLES(1500) + RELAY_QUESTIONS_MAX * sizeof(struct relay_ask)); /* some wait for a question */
}

static void overspends(struct mem *w, uint32_t i)
{
	header(w, peer(w, i), 0x7a, LIMIT_RECEIVE_MIN);
	mem_bytes(w, peer(w, i), junk, LIMIT_RECEIVE_MIN);
	pings(w, peer(w, i), 20000);
}

/* RAT-002, RAT-003 */
static void rate_limited(void **state)
{
	static const struct mem_row row = { "a flood above the receive limit",
		                            "RAT-003",
		                            RAW "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n",
		                            BOUND(sizeof(struct session_rate) + sizeof(struct session_wait) + PACKET + MEM_TURN),
		                            .arrive = logs_in,
		                            .act = overspends,
		                            .leave = goes };

	(void)state;
	both(&row, 1000);
}

/* ---- HTTP ---- */

static void endless_head(struct mem *w, uint32_t i)
{
	static char head[HTTP_HEAD_MAX - 1];
	uint32_t n = (uint32_t)snprintf(head, sizeof head, "GET /derp HTTP/1.1\r\nX: ");

	memset(head + n, 'x', sizeof head - n);
	mem_pieces(w, peer(w, i), head, sizeof head, 1000);
	assert_true(mem_at(w, peer(w, i)) != NULL);
}

static void longer_head(struct mem *w, uint32_t i)
{
	endless_head(w, i);
	mem_pieces(w, peer(w, i), "yz", 2, 1);
	assert_int_equal(token_of(w, PEER + i), TOKEN_NONE);
}

static void short_head(struct mem *w, uint32_t i) { mem_bytes(w, peer(w, i), "GET /", 5); }

/* HTTP-022: the head's time ends it; HTTP_HEAD_MAX its length. */
static void http_head(void **state)
{
	static const struct mem_row row = { "an HTTP head without an end",
		                            "ours",
		                            "",
		                            BOUND(sizeof(struct session_http) + HTTP_HEAD_MAX),
		                            .work = HTTP_HEAD_MAX / 2,
		                            .arrive = connects,
		                            .act = endless_head,
		                            .leave = goes };
	static const struct mem_row few = { "the first five bytes of an HTTP head",
		                            "ours",
		                            "",
		                            BOUND(sizeof(struct session_http) + 512),
		                            .arrive = connects,
		                            .act = short_head,
		                            .leave = goes };
	struct mem_row longer = row;

	(void)state;
	both(&row, 1000);
	both(&few, 1000);
	longer.behaviour = "an HTTP head of more than 16,384 bytes";
	longer.others = HTTP_OUT_MAX; /* the answer */
	longer.act = longer_head;
	mem_run(&longer, 1, TABLES(1));
}

static void connects_stalls(struct mem *w, uint32_t i)
{
	connects(w, i);
	mem_stick(w, peer(w, i));
}

static void asks_on(struct mem *w, uint32_t i)
{
	static const char get[] = "GET /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n";

	flood(w, peer(w, i), get, sizeof get - 1, 10000);
}

/* HTTP-022: who does not take the answers is not read on. */
static void http_answers(void **state)
{
	static const struct mem_row row = { "HTTP requests whose answers are not taken",
		                            "ours",
		                            "",
		                            BOUND(sizeof(struct session_wait) + PACKET + MEM_TURN),
		                            .others = 2 * HIGH_WATER, /* answers, until the host has them */
		                            .work = 4096,
		                            .unsent_most = HIGH_WATER + HTTP_OUT_MAX,
		                            .arrive = connects_stalls,
		                            .act = asks_on,
		                            .leave = goes };

	(void)state;
	both(&row, 1000);
}

static void watches_traffic(struct mem *w, uint32_t i)
{
	static const char get[] = "GET /debug/traffic HTTP/1.1\r\nHost: x\r\n\r\n";

	mem_bytes(w, peer(w, i), get, sizeof get - 1);
	mem_advance(w, 2 * NS_S);
}

/* MET-008: RELAY_TRAFFICS_MAX of them, each with what it told of each slot. */
static void traffic(void **state)
{
	static const struct mem_row row = { "streams of /debug/traffic, 1,000 clients",
		                            "ours",
		                            "debug-allow=192.0.2.7\n",
		                            BOUND(0),
		                            .before = crowd,
		                            .others = RELAY_TRAFFICS_MAX * (sizeof(struct session_http) + 64 + 32 * CHUNK * 24) + HTTP_OUT_MAX,
		                            .work = 32 * CHUNK * 24,
		                            .unsent_most = 0,
		                            .arrive = connects,
		                            .act = watches_traffic,
		                            .leave = goes };

	(void)state;
	mem_run(&row, 2 * RELAY_TRAFFICS_MAX, TABLES(2 * RELAY_TRAFFICS_MAX));
}

/* ---- WebSocket ---- */

static void upgrades(struct mem *w, uint32_t i)
{
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: derp\r\n\r\n";

	connects(w, i);
	mem_bytes(w, peer(w, i), request, sizeof request - 1);
	mem_stick(w, peer(w, i));
}

/* A masked fragment of one byte, of a ClientInfo that is announced; then empty ones without end; and pings. */
static void fragments(struct mem *w, uint32_t i)
{
	uint8_t first[] = { 0x02, 0x85, 0, 0, 0, 0, 2, 0, 4, 0, 0 }, more[] = { 0x00, 0x80, 0, 0, 0, 0 }, ping[6 + 125] = { 0x89, 0x80 | 125 };

	mem_pieces(w, peer(w, i), first, sizeof first, 1);
	flood(w, peer(w, i), more, sizeof more, 10000);
	flood(w, peer(w, i), ping, sizeof ping, 2000);
	mem_bytes(w, peer(w, i), ping, 6); /* and one that stays open */
}

static void upgrades_pings(struct mem *w, uint32_t i)
{
	uint8_t ping[6 + 125] = { 0x89, 0x80 | 125 };

	mem_over(w, peer(w, i), CLOSE_RESET);
	upgrades(w, i);
	mem_pieces(w, peer(w, i), ping, sizeof ping, 1);
}

/* HTTP-030, HTTP-031: fragments are not joined; the answer to one ping is due. */
static void websocket(void **state)
{
	static const struct mem_row row = { "WebSocket fragments and pings without end, stalled",
		                            "ours",
		                            "",
		                            BOUND(sizeof(struct websocket) + 4400),
		                            .others = PACKET + MEM_TURN + 4096, /* what was unmasked in this turn */
		                            .work = 4400,
		                            .unsent_most = HIGH_WATER + WEBSOCKET_CONTROL_MAX,
		                            .arrive = upgrades,
		                            .act = fragments,
		                            .leave = goes };

	static const struct mem_row rest = { "WebSocket between two messages",
		                             "ours",
		                             "",
		                             BOUND(sizeof(struct websocket)),
		                             .others = PACKET + 4096 + 4400, /* of the one that is being read: unmasked bytes, and wslay */
		                             .work = 8192,
		                             .unsent_most = HIGH_WATER,
		                             .arrive = connects,
		                             .act = upgrades_pings,
		                             .leave = goes };

	(void)state;
	both(&row, 1000);
	both(&rest, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle),        cmocka_unit_test(stalled_reader), cmocka_unit_test(unread_pongs),     cmocka_unit_test(trickle),
		cmocka_unit_test(giant_frame), cmocka_unit_test(client_info),    cmocka_unit_test(packet_under_way), cmocka_unit_test(watch_conns),
		cmocka_unit_test(duplicates),  cmocka_unit_test(departed),       cmocka_unit_test(sources),          cmocka_unit_test(keys_max),
		cmocka_unit_test(admission),   cmocka_unit_test(rate_limited),   cmocka_unit_test(http_head),        cmocka_unit_test(http_answers),
		cmocka_unit_test(traffic),     cmocka_unit_test(websocket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
