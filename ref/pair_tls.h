/* Two streams of TLS over socket pairs, and a wire between them that counts records. *_test.c only, like pair.h. */
#ifndef REF_PAIR_TLS_H
#define REF_PAIR_TLS_H

#include "key.h"
#include "os_tls.h"
#include "pair_certificates.h"

#include <sys/socket.h>

enum { WIRE_MAX = 1 << 20, TURNS_MAX = 200000 };
static uint16_t wires_port = 443; /* of the server that the next client dials */
static const char meta_name[] = "derpkey00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/* ---- two ends and a wire ---- */

struct side {
	struct os_tls_stream *s;
	int fd, wire; /* the stream's, the wire's end of it */
	enum os_tls_result result;
	bool done;
	uint32_t records; /* of application data, sent by this side */
	uint8_t head[5];  /* of the record under way */
	uint32_t head_n, body;
};

struct wires {
	struct side server, client;
	uint32_t at_once; /* bytes moved in one go */
};

struct seen {
	struct event_secured secured;
	struct certificate chain[8];
	char name[8][100], common_name[8][100];
	uint32_t names[8];
};

static inline struct os_tls *tls_new(const char *hostname, const char *ca)
{
	struct os_tls_config config = { .certdir = certificates, .hostname = hostname, .ca_file = ca == NULL ? NULL : certificate_path(ca) };
	char error[OS_TLS_ERROR_SIZE] = "";
	struct os_tls *tls = os_tls_new(&config, error);

	if (tls == NULL) fail_msg("%s", error);
	return tls;
}

static inline void side_init(struct side *side)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	*side = (struct side){ .fd = fd[0], .wire = fd[1] };
}

static inline struct wires wires_new(struct os_tls *server, struct os_tls *client, const char *name, bool insecure)
{
	struct address to = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = wires_port };
	struct wires w = { .at_once = WIRE_MAX };

	side_init(&w.server);
	side_init(&w.client);
	w.server.s = os_tls_open(server, w.server.fd, &(struct action_tls){ .server = true, .meta_name = meta_name }, NULL);
	w.client.s = os_tls_open(client, w.client.fd, &(struct action_tls){ .server_name = name, .insecure = insecure }, &to);
	assert_non_null(w.server.s);
	assert_non_null(w.client.s);
	return w;
}

static inline void wires_end(struct wires *w)
{
	struct side *sides[] = { &w->server, &w->client };

	for (int i = 0; i < 2; i++) {
		os_tls_close(sides[i]->s);
		close(sides[i]->fd);
		if (sides[i]->wire >= 0) close(sides[i]->wire);
	}
}

/* Counts the records of application data among what a side sent. */
static inline void count_records(struct side *from, const uint8_t *p, size_t n)
{
	for (; n > 0; p++, n--) {
		if (from->body > 0) {
			from->body--;
			continue;
		}
		from->head[from->head_n++] = *p;
		if (from->head_n < 5) continue;
		from->head_n = 0;
		from->body = (uint32_t)from->head[3] << 8 | from->head[4];
		from->records += from->head[0] == 23;
	}
}

static inline bool carry(struct side *from, struct side *to, uint32_t at_once)
{
	static uint8_t p[WIRE_MAX];
	ssize_t n = recv(from->wire, p, at_once, MSG_DONTWAIT);

	if (n <= 0) return false;
	count_records(from, p, (size_t)n);
	assert_int_equal(send(to->wire, p, (size_t)n, 0), n);
	return true;
}

static inline bool move(struct wires *w)
{
	bool there = carry(&w->client, &w->server, w->at_once), back = carry(&w->server, &w->client, w->at_once);

	return there || back;
}

static inline void step(struct side *side)
{
	if (side->done) return;
	side->result = os_tls_handshake(side->s);
	side->done = side->result != OS_TLS_AGAIN;
}

/* Until both are done, or nothing moves any more. */
static inline void shake(struct wires *w)
{
	bool moved = true;

	for (int i = 0; i < TURNS_MAX && !(w->client.done && w->server.done) && moved; i++) {
		step(&w->client);
		step(&w->server);
		moved = move(w) || (w->client.done && w->server.done);
	}
	while (move(w)) continue;
}

static inline void shaken(struct wires *w)
{
	shake(w);
	assert_int_equal(w->client.result, OS_TLS_OK);
	assert_int_equal(w->server.result, OS_TLS_OK);
}

static inline void see(void *arg, const struct event_secured *secured)
{
	struct seen *seen = arg;

	seen->secured = *secured;
	for (uint32_t i = 0; i < secured->chain_n && i < 8; i++) {
		const struct certificate *x = &secured->chain[i];
		seen->chain[i] = *x;
		seen->names[i] = x->names_n;
		snprintf(seen->common_name[i], 100, "%.*s", (int)x->common_name_n, x->common_name);
		for (uint32_t k = 0; k < x->names_n; k++)
			snprintf(seen->name[i] + strlen(seen->name[i]), 100 - strlen(seen->name[i]), "%s%.*s ", x->names[k].ip ? "ip " : "dns ",
			         (int)x->names[k].n, x->names[k].p);
	}
}

static inline struct seen tell(struct side *side)
{
	struct seen seen = { 0 };

	os_tls_tell(side->s, see, &seen);
	return seen;
}

static inline enum os_tls_result read_some(struct side *side, uint8_t *p, uint32_t max, uint32_t *n) { return os_tls_read(side->s, p, max, n); }

/* One piece; what is taken. */
static inline uint64_t write_one(struct side *side, const void *p, size_t n, bool *blocked)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	int error = 0;
	uint64_t taken = os_tls_write(side->s, &v, 1, blocked, &error);

	assert_int_equal(error, 0);
	return taken;
}

/* Small words both ways, whatever else is on the wire. */
static inline void assert_talks(struct wires *w)
{
	struct side *sides[] = { &w->client, &w->server };
	uint8_t p[20];
	uint32_t n = 0;
	bool blocked;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(write_one(sides[i], "hello", 5, &blocked), 5);
		while (move(w)) continue;
		assert_int_equal(read_some(sides[1 - i], p, sizeof p, &n), OS_TLS_OK);
		assert_int_equal(n, 5);
		assert_memory_equal(p, "hello", 5);
		assert_int_equal(read_some(sides[1 - i], p, sizeof p, &n), OS_TLS_AGAIN);
	}
}

#endif
