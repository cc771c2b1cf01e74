/* derp-bare: the least that relays DERP, as the limit beside which `make bench-relay` sets ours. Not a relay to use.
 *
 * Logs in, looks up, copies, and writes once a connection and turn of epoll. No queues by kind, no mesh, no PeerGone, no Ping, no
 * keepalive, no time at all; what a receiver does not read grows without limit. Keys, frames, logins and TLS are those of ref/, since
 * they are not what is compared. Ends by a signal. */
#include "address.h"
#include "buf.h"
#include "frame.h"
#include "keymap.h"
#include "login.h"
#include "os_cli.h"
#include "os_keyfile.h"
#include "os_cpu.h"
#include "os_loop.h"
#include "os_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 65536, CLIENTS_MAX = 1 << 20, EPOLL_IN = 1, EPOLL_OUT = 4 };
enum phase { HANDSHAKE, HTTP, LOGIN, STEADY };

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

struct conn {
	struct os_watch watch; /* first */
	struct os_tls_stream *tls;
	enum phase phase;
	struct key key;
	struct bytes in, out; /* what is no whole frame yet; what is to be written */
	size_t out_at;
	bool touched, blocked, dead, known;
	uint32_t number;
};

static struct {
	struct os_watch listener;
	struct os_loop *loop;
	struct os_tls *tls;
	struct key key, public_key;
	struct keymap by_key;
	struct conn **conn;
	struct conn **touched;
	uint32_t conns, cap, touched_n, touched_cap;
	uint8_t buffer[READ_MAX];
	uint64_t nonces;
} bare;

static const uint8_t *key_at(const void *owner, uint32_t index)
{
	(void)owner;
	return bare.conn[index]->key.b;
}

static void put(struct bytes *b, const void *p, size_t n)
{
	while (b->n + n > b->cap) {
		b->cap = b->cap == 0 ? 8192 : 2 * b->cap;
		b->p = mem_grow(b->p, b->cap);
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void let_go(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}

static void touch(struct conn *c)
{
	if (c->touched) return;
	c->touched = true;
	MEM_ROOM(bare.touched, bare.touched_n, bare.touched_cap);
	bare.touched[bare.touched_n++] = c;
}

static void send_bytes(struct conn *c, const void *p, size_t n)
{
	put(&c->out, p, n);
	touch(c);
}

/* ---- login ---- */

static void accept_login(struct conn *c, const uint8_t *payload, uint32_t n)
{
	struct server_info welcome = { .version = 2 };
	uint8_t frame[LOGIN_FRAME_MAX], nonce[KEY_NONCE] = { 0 };
	struct client_info info;
	struct key shared;
	uint32_t other;

	memcpy(c->key.b, payload, KEY_SIZE);
	memcpy(nonce, &bare.nonces, sizeof bare.nonces);
	bare.nonces++;
	c->dead = !key_shared(&bare.key, payload, &shared) || !login_client_info_open(payload, n, &shared, &info);
	if (c->dead) return;
	send_bytes(c, frame, login_server_info_frame(frame, &shared, nonce, &welcome));
	other = keymap_find(&bare.by_key, c->key.b);
	if (other != KEYMAP_NONE) {
		bare.conn[other]->known = false;
		keymap_remove(&bare.by_key, c->key.b);
	}
	keymap_add(&bare.by_key, c->key.b, c->number);
	c->known = true;
	c->phase = STEADY;
}

/* Bytes of the request that are there; 0: it is not whole. */
static size_t take_request(struct conn *c, const uint8_t *p, size_t n)
{
	static const char consent[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n\r\n";
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
	uint8_t frame[FRAME_HEADER + FRAME_MAGIC + KEY_SIZE];

	if (end == NULL) return 0;
	if (memmem(p, (size_t)(end - p), "Derp-Fast-Start: 1", 18) == NULL) send_bytes(c, consent, sizeof consent - 1);
	send_bytes(c, frame, frame_server_key(frame, bare.public_key.b));
	c->phase = LOGIN;
	return (size_t)(end - p) + 4;
}

/* ---- packets ---- */

static void relay_packet(const struct conn *from, const uint8_t *payload, uint32_t n)
{
	uint32_t to = keymap_find(&bare.by_key, payload);
	uint8_t head[FRAME_HEADER + KEY_SIZE];

	if (to == KEYMAP_NONE) return;
	send_bytes(bare.conn[to], head, frame_recv_head(head, from->key.b, n - KEY_SIZE));
	send_bytes(bare.conn[to], payload + KEY_SIZE, n - KEY_SIZE);
}

/* One request or frame at p; 0: there is none whole. */
static size_t take_one(struct conn *c, const uint8_t *p, size_t n)
{
	uint32_t payload;

	if (c->phase == HTTP) return take_request(c, p, n);
	if (n < FRAME_HEADER) return 0;
	payload = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	c->dead = payload > 1 << 20;
	if (c->dead || n - FRAME_HEADER < payload) return 0;
	if (p[0] == FRAME_CLIENT_INFO && c->phase == LOGIN && payload >= KEY_SIZE + KEY_BOX_OVERHEAD) accept_login(c, p + FRAME_HEADER, payload);
	if (p[0] == FRAME_SEND_PACKET && c->phase == STEADY && payload >= KEY_SIZE) relay_packet(c, p + FRAME_HEADER, payload);
	return FRAME_HEADER + payload;
}

static void take(struct conn *c, const uint8_t *p, size_t n)
{
	size_t used, rest = 0;

	if (c->in.n != 0) { /* behind what is there */
		put(&c->in, p, n);
		p = c->in.p, n = c->in.n;
	}
	while (!c->dead && (used = take_one(c, p + rest, n - rest)) != 0) rest += used;
	if (p != c->in.p) {
		if (rest < n) put(&c->in, p + rest, n - rest);
		return;
	}
	memmove(c->in.p, c->in.p + rest, n - rest);
	c->in.n = n - rest;
	if (c->in.n == 0) let_go(&c->in);
}

/* ---- sockets ---- */

static void end(struct conn *c)
{
	if (c->known) keymap_remove(&bare.by_key, c->key.b);
	os_loop_forget(&c->watch);
	os_tls_close(c->tls);
	if (c->watch.fd >= 0) close(c->watch.fd);
	c->watch.fd = -1;
	c->known = false, c->dead = true;
	let_go(&c->in);
	let_go(&c->out);
	touch(c); /* freed at the end of the turn */
}

static void read_plain(struct conn *c)
{
	ssize_t n = recv(c->watch.fd, bare.buffer, READ_MAX, 0);

	if (n > 0) take(c, bare.buffer, (size_t)n);
	c->dead |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void read_tls(struct conn *c)
{
	enum os_tls_result result = OS_TLS_OK;
	uint32_t n = 0;

	if (c->phase == HANDSHAKE) {
		result = os_tls_handshake(c->tls);
		if (result == OS_TLS_OK) c->phase = HTTP;
	}
	while (result == OS_TLS_OK && (result = os_tls_read(c->tls, bare.buffer, READ_MAX, &n)) == OS_TLS_OK) take(c, bare.buffer, n);
	c->dead |= result != OS_TLS_AGAIN;
	if (os_tls_blocked(c->tls)) touch(c);
}

static void conn_ready(struct os_watch *watch, uint32_t events)
{
	struct conn *c = (struct conn *)watch;

	if (c->dead) return;
	if (events & EPOLL_OUT) {
		c->blocked = false;
		touch(c);
	}
	if (events & ~(uint32_t)EPOLL_OUT) {
		if (c->tls != NULL)
			read_tls(c);
		else
			read_plain(c);
	}
	if (c->dead) end(c);
}

static void write_out(struct conn *c)
{
	struct iovec v = { c->out.p + c->out_at, c->out.n - c->out_at };
	int error = 0;
	ssize_t n;

	if (c->blocked) return;
	if (c->tls != NULL) {
		error = os_tls_flush(c->tls, &c->blocked);
		n = error == 0 && !c->blocked && v.iov_len != 0 ? (ssize_t)os_tls_write(c->tls, &v, 1, &c->blocked, &error) : 0;
	} else {
		n = v.iov_len == 0 ? 0 : send(c->watch.fd, v.iov_base, v.iov_len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) error = errno;
		c->blocked = n < (ssize_t)v.iov_len;
		if (n < 0) n = 0;
	}
	c->dead |= error != 0;
	c->out_at += (size_t)n;
	if (c->out_at == c->out.n) {
		let_go(&c->out);
		c->out_at = 0;
	}
	os_loop_watch(bare.loop, &c->watch, EPOLL_IN | (c->blocked ? EPOLL_OUT : 0));
}

static void write_touched(void)
{
	for (uint32_t i = 0; i < bare.touched_n; i++) {
		struct conn *c = bare.touched[i];
		if (!c->dead) write_out(c);
		c->touched = false;
		if (c->dead && c->watch.fd >= 0) {
			end(c); /* touches it: freed when its turn comes again */
			continue;
		}
		if (c->watch.fd >= 0) continue;
		bare.conn[c->number] = NULL;
		free(c);
	}
	bare.touched_n = 0;
}

static void listener_ready(struct os_watch *watch, uint32_t events)
{
	struct action_tls how = { .server = true };
	struct address local, remote;
	struct conn *c;
	int fd;

	(void)events;
	for (int i = 0; i < 64 && (fd = os_tcp_accept(watch->fd, &local, &remote)) >= 0; i++) {
		c = mem_zero(1, sizeof *c);
		c->watch = (struct os_watch){ .fd = fd, .ready = conn_ready };
		c->phase = bare.tls == NULL ? HTTP : HANDSHAKE;
		c->number = bare.conns;
		MEM_ROOM(bare.conn, bare.conns, bare.cap);
		bare.conn[bare.conns++] = c; /* numbers are never used again */
		if (bare.tls != NULL) c->tls = os_tls_open(bare.tls, fd, &how, &remote);
		os_loop_watch(bare.loop, &c->watch, EPOLL_IN);
	}
}

/* ---- start ---- */

static int usage(void)
{
	fputs("usage: derp-bare ADDRESS:PORT [CERTDIR HOSTNAME]\n\n"
	      "The least that relays DERP, for comparing; with CERTDIR over TLS. Ends by a signal.\n",
	      stderr);
	return OS_EXIT_USAGE;
}

static int cannot(const char *why)
{
	fprintf(stderr, "derp-bare: %s\n", why);
	return OS_EXIT_CANNOT;
}

int main(int argc, char **argv)
{
	static const uint8_t secret[16];
	struct os_tcp_times times = OS_TCP_TIMES;
	char error[OS_TLS_ERROR_SIZE];
	struct address at, bound;

	times.defer_s = 1;
	if (argc != 2 && argc != 4) return usage();
	if (!address_parse(argv[1], strlen(argv[1]), &at)) return usage();
	os_cpu_use();
	os_key_draw(&bare.key);
	key_public(&bare.key, &bare.public_key);
	keymap_init(&bare.by_key, secret, key_at, NULL);
	os_tcp_raise_limit();
	if (argc == 4) {
		bare.tls = os_tls_new(&(struct os_tls_config){ .certdir = argv[2], .hostname = argv[3] }, error);
		if (bare.tls == NULL) return cannot(error);
	}
	bare.loop = os_loop_new();
	if (bare.loop == NULL || !os_loop_signals(bare.loop)) return cannot(strerror(errno));
	bare.listener = (struct os_watch){ .fd = os_tcp_listen(&at, &times, &bound, error), .ready = listener_ready };
	if (bare.listener.fd < 0) return cannot(error);
	os_loop_watch(bare.loop, &bare.listener, EPOLL_IN);
	while (os_loop_signal(bare.loop) == 0) {
		os_loop_turn(bare.loop, UINT64_MAX);
		write_touched();
	}
	return OS_EXIT_FINE;
}
