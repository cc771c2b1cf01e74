/* Golden transcripts: what a real relay and the real client library said, read for replay. The folder is data/transcripts beside the
 * checkout, or DERP_DATA/transcripts; its README says what the stories are. For transcript_*_test.c only, behind cmocka.
 *
 * The table below says which side of ours plays each story; every test of a side takes its cases from there, twice each: with
 * profile=derper and with the default one, "ours". transcript_test.c holds the table against the folder. */
#ifndef REF_PAIR_TRANSCRIPT_H
#define REF_PAIR_TRANSCRIPT_H

#include "pair_websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONNS = 32, KEYS = 12, LINE_MAX_BYTES = 1 << 19 };

enum side {
	SIDE_RELAY = 1,  /* the recorded client's bytes go to our relay: transcript_relay_test.c */
	SIDE_CLIENT = 2, /* the recorded relay's bytes go to our client: transcript_client_test.c */
	SIDE_MESH = 4,   /* to two of our relays, meshed: transcript_mesh_test.c */
	SIDE_HTTP = 8,   /* requests to our relay: transcript_http_test.c */
	SIDE_STUN = 16   /* datagrams to our relay and our network check: transcript_stun_test.c */
};

static const struct transcript {
	const char *name;
	unsigned sides;
	const char *config; /* more lines for the relay */
} transcripts[] = {
	{ "login-slow-plain", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "login-slow-tls", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "login-fast-plain", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "login-fast-tls", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "login-refused", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "packets", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "max-packet", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "not-here", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "peer-gone", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "duplicate-key", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "ping-pong", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "note-preferred", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "keepalive", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "ignored-frames", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "illegal-frames", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "stalled-reader", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "rate-limit", SIDE_RELAY | SIDE_CLIENT, "rate-config={\"PerClientRateLimitBytesPerSec\":20000}\n" },
	{ "mesh-client", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "websocket", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-client-plain", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-client-tls", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-client-tls-stripped", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-client-region", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-mesh-client", SIDE_RELAY | SIDE_CLIENT, "" },
	{ "go-client-scripted-relay", SIDE_CLIENT, "" },
	{ "mesh-relays-fast", SIDE_MESH | SIDE_CLIENT, "" },
	{ "mesh-relays-slow", SIDE_MESH | SIDE_CLIENT, "" },
	{ "derpprobe", SIDE_MESH | SIDE_CLIENT | SIDE_STUN, "" },
	{ "http-endpoints", SIDE_HTTP, "" },
	{ "http-tls-helper", SIDE_HTTP, "" },
	{ "netcheck-stun", SIDE_STUN, "" },
};
enum { TRANSCRIPTS = sizeof transcripts / sizeof *transcripts };

enum what { OPEN, END, RESET, DATA };

struct record {
	uint64_t ms;
	int conn;
	bool from_server;
	enum what what;
	uint8_t *p;
	size_t n;
};

struct story {
	const char *name;
	bool ours; /* play it with the default profile, else with profile=derper */
	const char *config;
	char conn[CONNS][40];
	int conns;
	struct key public_key[KEYS];
	char key_name[KEYS][16];
	int keys;
	char mesh_key[KEY_HEX + 1];
	char client[128], relay[128]; /* who they were: recorded-by, relay */
	bool has_http, has_udp;       /* kinds of connections that it declares */
	struct record *record;
	size_t records, cap;
};

/* ---- reading a story ---- */

static inline void transcript_path(char path[1000], const char *name, const char *ending)
{
	const char *data = getenv("DERP_DATA");

	snprintf(path, 1000, "%s/transcripts/%s%s", data == NULL ? "../shared/data" : data, name, ending);
}

static inline int conn_of(struct story *s, const char *name)
{
	for (int i = 0; i < s->conns; i++)
		if (strcmp(s->conn[i], name) == 0) return i;
	assert_in_range(s->conns, 0, CONNS - 1);
	snprintf(s->conn[s->conns], sizeof s->conn[0], "%s", name);
	return s->conns++;
}

static inline uint8_t *bytes_of(const char *hex, size_t *n)
{
	uint8_t *p;

	*n = strlen(hex) / 2;
	p = mem_alloc(*n);
	for (size_t i = 0; i < *n; i++) {
		unsigned v;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		p[i] = (uint8_t)v;
	}
	return p;
}

static inline void read_comment(struct story *s, const char *line)
{
	char name[16], one[KEY_HEX + 1], two[KEY_HEX + 1];

	if (sscanf(line, "# key %15s %64s %64s", name, one, two) == 3) {
		assert_in_range(s->keys, 0, KEYS - 1);
		assert_true(key_from_hex(two, KEY_HEX, &s->public_key[s->keys]));
		snprintf(s->key_name[s->keys++], sizeof name, "%s", name);
	} else if (sscanf(line, "# mesh-key %64s", one) == 1) {
		snprintf(s->mesh_key, sizeof s->mesh_key, "%s", one);
	} else if (sscanf(line, "# conn %*s %15s", name) == 1) {
		s->has_http |= strcmp(name, "http") == 0, s->has_udp |= strcmp(name, "udp") == 0;
	}
	sscanf(line, "# recorded-by %127[^\n]", s->client);
	sscanf(line, "# relay %127[^\n]", s->relay);
}

static inline void read_record(struct story *s, char *line)
{
	char name[40], dir[8];
	unsigned long long ms;
	int at = 0;
	struct record r = { .what = DATA };

	assert_int_equal(sscanf(line, "%llu %39s %7s %n", &ms, name, dir, &at), 3);
	r.ms = ms;
	r.conn = conn_of(s, name);
	r.from_server = strcmp(dir, "S>C") == 0;
	line[strcspn(line, "\n")] = 0;
	if (strcmp(line + at, "OPEN") == 0)
		r.what = OPEN;
	else if (strcmp(line + at, "END") == 0)
		r.what = END;
	else if (strcmp(line + at, "RESET") == 0)
		r.what = RESET;
	else
		r.p = bytes_of(line + at, &r.n);
	MEM_ROOM(s->record, s->records, s->cap);
	s->record[s->records++] = r;
}

/* NULL: the folder is absent. The name must outlive the story. */
static inline struct story *story_read(const char *name)
{
	char path[1000], *line;
	struct story *s;
	FILE *f;

	transcript_path(path, name, ".wire");
	f = fopen(path, "r");
	if (f == NULL) return NULL;
	s = mem_zero(1, sizeof *s);
	s->name = name, s->config = "";
	line = mem_alloc(LINE_MAX_BYTES);
	while (fgets(line, LINE_MAX_BYTES, f) != NULL)
		if (line[0] == '#')
			read_comment(s, line);
		else
			read_record(s, line);
	free(line);
	fclose(f);
	assert_true(s->records > 0);
	return s;
}

static inline void story_free(struct story *s)
{
	for (size_t i = 0; i < s->records; i++) free(s->record[i].p);
	free(s->record);
	free(s);
}

static inline int conn_named(const struct story *s, const char *name)
{
	for (int i = 0; i < s->conns; i++)
		if (strcmp(s->conn[i], name) == 0) return i;
	fail_msg("%s: no connection %s", s->name, name);
	return -1;
}

/* Is it a connection of the reference client, which a proxy recorded? Then its end may be told as the other side's. */
static inline bool is_proxied(const struct story *s, int conn)
{
	const char *name = s->conn[conn];

	return strncmp(name, "go", 2) == 0 || (strcmp(s->name, "derpprobe") == 0 && name[0] == 'p');
}

/* A link between the two relays. */
static inline bool is_link(const char *conn) { return strncmp(conn, "AB", 2) == 0 || strncmp(conn, "BA", 2) == 0; }

/* The bytes of one connection and direction in the first records (TRP-004). */
static inline struct pair_buf recorded_until(const struct story *s, int conn, bool from_server, size_t records)
{
	struct pair_buf b = { 0 };

	for (size_t i = 0; i < records; i++)
		if (s->record[i].conn == conn && s->record[i].from_server == from_server) pair_put(&b, s->record[i].p, s->record[i].n);
	return b;
}

static inline struct pair_buf recorded(const struct story *s, int conn, bool from_server) { return recorded_until(s, conn, from_server, s->records); }

/* The same without WebSocket, where it speaks it (HTTP-030). */
static inline struct pair_buf joined(const struct story *s, int conn, bool from_server)
{
	struct pair_buf b = recorded(s, conn, from_server);

	ws_strip(&b, NULL);
	return b;
}

/* ---- frames of a stream ---- */

struct list {
	struct wire_frame *v;
	size_t n, cap;
	const uint8_t *head; /* HTTP head in front */
	size_t head_n;
	size_t rest; /* bytes behind the last whole frame */
};

/* The list points into b; its v is the caller's to free. */
static inline struct list frames_of(const struct pair_buf *b)
{
	struct list l = { .head = b->p };
	size_t at = 0;

	if (b->n >= 4 && (memcmp(b->p, "GET ", 4) == 0 || memcmp(b->p, "HTTP", 4) == 0)) {
		while (at + 4 <= b->n && memcmp(b->p + at, "\r\n\r\n", 4) != 0) at++;
		l.head_n = at += 4;
		if (at > b->n) return (struct list){ .head = b->p, .head_n = b->n };
	}
	while (b->n - at >= FRAME_HEADER) {
		struct wire_frame f = { .type = b->p[at],
			                .n = (uint32_t)b->p[at + 1] << 24 | (uint32_t)b->p[at + 2] << 16 | (uint32_t)b->p[at + 3] << 8 | b->p[at + 4],
			                .p = b->p + at + FRAME_HEADER };
		if (b->n - at - FRAME_HEADER < f.n) break;
		MEM_ROOM(l.v, l.n, l.cap);
		l.v[l.n++] = f;
		at += FRAME_HEADER + f.n;
	}
	l.rest = b->n - at;
	return l;
}

/* The key under which the client of a connection logged in; false: it did not say. */
static inline bool client_key(const struct story *s, int conn, struct key *key)
{
	struct pair_buf b = joined(s, conn, false);
	struct list l = frames_of(&b);
	bool said = l.n > 0 && l.v[0].type == FRAME_CLIENT_INFO && l.v[0].n >= KEY_SIZE;

	if (said) memcpy(key->b, l.v[0].p, KEY_SIZE);
	free(l.v);
	free(b.p);
	return said;
}

/* First byte of the private key of the relay of a connection: server, or server2 (of relay B). */
static inline uint8_t server_of(const struct story *s, int conn)
{
	struct pair_buf b = joined(s, conn, true);
	struct list l = frames_of(&b);
	struct key two = pair_public(0xa0);
	bool second = l.n > 0 && l.v[0].type == FRAME_SERVER_KEY && memcmp(l.v[0].p + FRAME_MAGIC, two.b, KEY_SIZE) == 0;

	free(l.v);
	free(b.p);
	return second ? 0xa0 : 0x00;
}

/* ---- cases ---- */

enum { CASES_MAX = 2 * TRANSCRIPTS };

struct transcript_case {
	const struct transcript *transcript;
	bool ours;
	char name[60];
};

/* The cases of a side: each of its transcripts with both profiles. */
static inline size_t transcript_cases(enum side side, CMUnitTestFunction play, struct CMUnitTest tests[CASES_MAX])
{
	static struct transcript_case cases[CASES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < 2 * TRANSCRIPTS; i++) {
		struct transcript_case *c = &cases[n];
		*c = (struct transcript_case){ .transcript = &transcripts[i / 2], .ours = i % 2 == 1 };
		if ((c->transcript->sides & side) == 0) continue;
		snprintf(c->name, sizeof c->name, "%s %s", c->transcript->name, c->ours ? "ours" : "derper");
		tests[n++] = (struct CMUnitTest){ .name = c->name, .test_func = play, .initial_state = c };
	}
	return n;
}

/* The story of a case; NULL: to be skipped. */
static inline struct story *case_story(void **state)
{
	const struct transcript_case *c = *state;
	struct story *s = story_read(c->transcript->name);

	if (s == NULL) return NULL;
	s->ours = c->ours;
	s->config = c->transcript->config;
	return s;
}

#endif
