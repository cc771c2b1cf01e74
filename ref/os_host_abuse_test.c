/* What strangers may do to a relay on sockets, while a pair of bystanders talks: all of the pair's packets arrive, whatever happens.
 *
 * The bystanders are a swarm (swarm.h) with a fixed rate, so that a packet that waits, is lost or comes twice shows. They and the relay
 * share a loop with the test, which is the abuser. */
#include "login.h"
#include "os_loop.h"
#include "pair_sockets.h"
#include "swarm.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RATE = 500 };

struct scene {
	struct os_loop *loop;
	struct box *box;
	struct party party; /* of the bystanders */
	struct swarm *pair;
};

static void scene_open(struct scene *s, const char *config)
{
	char text[400];

	*s = (struct scene){ .loop = os_loop_new() };
	s->box = box_new(s->loop, NULL);
	box_start(s->box, config);
	s->pair = swarm_new(&(struct machine_env){ 0 });
	party_init(&s->party, s->loop, swarm_machine(s->pair), NULL);
	s->party.owner.stream = NULL;
	s->box->party.owner.stream = NULL;
	snprintf(text, sizeof text, "url=http://127.0.0.1:%u/derp\nclients=2\nrate=%d\n", s->box->at.port, RATE);
	os_host_start(s->party.host, text, strlen(text), swarm_slots(2));
	AWAIT(s->loop, swarm_count(s->pair)->ready == 2);
	os_host_command(s->party.host, &(struct event_command){ .verb = COMMAND_SET, .p = (const uint8_t *)"running=on", .n = 10 });
}

static void run_for(const struct scene *s, uint64_t ns)
{
	uint64_t until = os_now() + ns;

	while (os_now() < until) os_loop_turn(s->loop, os_now() + NS_MS < until ? os_now() + NS_MS : until);
}

/* The last packets are let come; then everything that was sent was delivered, by connections that nobody touched. */
static void scene_close(struct scene *s)
{
	const struct swarm_count *c = swarm_count(s->pair);

	run_for(s, 100 * NS_MS);
	os_host_command(s->party.host, &(struct event_command){ .verb = COMMAND_SET, .p = (const uint8_t *)"running=off", .n = 11 });
	AWAIT(s->loop, c->delivered == c->sent);
	assert_true(c->sent >= RATE / 20);
	assert_int_equal(c->lost + c->wrong + c->blocked + c->ended, 0);
	assert_int_equal(c->logins, 2);
	party_end(&s->party);
	machine_free(swarm_machine(s->pair));
	box_end(s->box);
	os_loop_free(s->loop);
}

/* ---- a stranger ---- */

static int stranger(const struct scene *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(s->box->at.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno == EINPROGRESS);
	return fd;
}

/* Everything, while the relay runs. False: the relay has closed the connection. */
static bool tell(const struct scene *s, int fd, const void *p, size_t n)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	for (size_t at = 0; at < n && os_now() < until;) {
		ssize_t took = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
		if (took > 0) at += (size_t)took;
		if (took < 0 && errno != EAGAIN && errno != ENOTCONN) return false;
		os_loop_turn(s->loop, took > 0 ? os_now() : os_now() + NS_MS);
	}
	return true;
}

static bool is_closed(int fd)
{
	char p[4096];
	ssize_t n = recv(fd, p, sizeof p, 0);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != ENOTCONN);
}

static void hear(const struct scene *s, int fd, uint8_t *p, size_t n)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	for (size_t at = 0; at < n;) {
		ssize_t got = recv(fd, p + at, n - at, 0);
		if (got > 0) at += (size_t)got;
		assert_true(got != 0 && os_now() < until);
		os_loop_turn(s->loop, os_now() + NS_MS);
	}
}

/* The relay ends it; whoever does not answer its FIN is waited for, so this one does. */
static void is_let_go(const struct scene *s, int fd)
{
	AWAIT(s->loop, is_closed(fd));
	close(fd);
	AWAIT(s->loop, os_host_connections(s->box->party.host) == 2);
}

static const char request[] = "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n";

/* A stranger that has logged in; *key is its public key. */
static int member(const struct scene *s, const char *mesh, struct key *key)
{
	struct client_info info = { .version = 2, .can_ack_pings = true };
	uint8_t frame[LOGIN_FRAME_MAX], nonce[KEY_NONCE] = { 9 }, answer[FRAME_HEADER + FRAME_MAGIC + KEY_SIZE];
	struct key private_key, shared;
	int fd = stranger(s);

	os_key_draw(&private_key);
	key_public(&private_key, key);
	if (mesh != NULL) assert_true(key_from_hex(mesh, KEY_HEX, &info.mesh_key));
	assert_true(tell(s, fd, request, sizeof request - 1));
	hear(s, fd, answer, sizeof answer);
	assert_true(key_shared(&private_key, answer + FRAME_HEADER + FRAME_MAGIC, &shared));
	assert_true(tell(s, fd, frame, login_client_info_frame(frame, key, &shared, nonce, &info)));
	hear(s, fd, answer, FRAME_HEADER);
	assert_int_equal(answer[0], FRAME_SERVER_INFO);
	return fd;
}

static void header(uint8_t out[FRAME_HEADER], uint8_t type, uint32_t n) { frame_header(out, type, n); }

/* ---- what they do ---- */

/* 2,000 connections as fast as they go, each ended by RST before it has said a word. */
static void accept_storm(void **state)
{
	struct linger rst = { 1, 0 };
	struct scene s;

	(void)state;
	scene_open(&s, "");
	for (int i = 0; i < 2000; i++) {
		int fd = stranger(&s);
		if (i % 20 == 0) os_loop_turn(s.loop, os_now());
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
		close(fd);
	}
	AWAIT(s.loop, os_host_connections(s.box->party.host) == 2);
	scene_close(&s);
}

/* 300 that connect and say nothing (HTTP-022), or the half of a request, or all but ClientInfo (HSK-017): each is closed in its time. */
static void half_open_logins(void **state)
{
	enum { N = 300 };
	struct scene s;
	int fd[N];

	(void)state;
	scene_open(&s, "http-timeout=400ms\nlogin-timeout=400ms\n");
	for (int i = 0; i < N; i++) {
		fd[i] = stranger(&s);
		if (i % 3 != 0) assert_true(tell(&s, fd[i], request, i % 3 == 1 ? 20 : sizeof request - 1));
	}
	run_for(&s, 800 * NS_MS);
	for (int i = 0; i < N; i++) {
		assert_true(is_closed(fd[i]) || is_closed(fd[i])); /* a ServerKey may lie before the end */
		close(fd[i]);
	}
	AWAIT(s.loop, os_host_connections(s.box->party.host) == 2);
	scene_close(&s);
}

/* A request at one byte in 5 ms is let go on until the time for it is over (HTTP-022). */
static void slow_login(void **state)
{
	struct scene s;
	size_t said = 0;
	int fd;

	(void)state;
	scene_open(&s, "http-timeout=300ms\n");
	fd = stranger(&s);
	while (said < sizeof request - 1 && !is_closed(fd) && tell(&s, fd, request + said, 1)) {
		said++;
		run_for(&s, 5 * NS_MS);
	}
	assert_in_range(said, 20, 70); /* 300 ms of it */
	close(fd);
	scene_close(&s);
}

/* A head without end is refused when its limit is reached (HTTP limits), a megabyte of body is not waited for. */
static void endless_request(void **state)
{
	static char junk[1 << 20];
	struct scene s;
	int fd;

	(void)state;
	scene_open(&s, "");
	memset(junk, 'a', sizeof junk);
	memcpy(junk, "GET /derp HTTP/1.1\r\nX: ", 23);
	fd = stranger(&s);
	tell(&s, fd, junk, sizeof junk);
	is_let_go(&s, fd);
	scene_close(&s);
}

/* ClientInfo: 256 KiB of no box are read and refused, one byte more is refused by its header (HSK-007). */
static void large_client_info(void **state)
{
	static uint8_t junk[FRAME_HEADER + (256 << 10)];
	struct scene s;

	(void)state;
	scene_open(&s, "");
	for (uint32_t more = 0; more < 2; more++) {
		int fd = stranger(&s);
		assert_true(tell(&s, fd, request, sizeof request - 1));
		header(junk, FRAME_CLIENT_INFO, (256 << 10) + more);
		tell(&s, fd, junk, more == 0 ? sizeof junk : FRAME_HEADER);
		is_let_go(&s, fd);
	}
	assert_int_equal(relay_counters(s.box->relay)->logins, 2);
	scene_close(&s);
}

/* A packet of 4 GiB is refused by its header (FRM-006); of a frame that nobody knows as many bytes are read and dropped as come
 * (FRM-009), and the relay holds none of them. */
static void giant_frames(void **state)
{
	static uint8_t junk[1 << 20];
	struct scene s;
	struct key key;
	uint64_t held;
	int fd;

	(void)state;
	scene_open(&s, "");
	fd = member(&s, NULL, &key);
	header(junk, FRAME_SEND_PACKET, UINT32_MAX);
	tell(&s, fd, junk, FRAME_HEADER);
	is_let_go(&s, fd);
	fd = member(&s, NULL, &key);
	held = relay_memory(s.box->relay);
	header(junk, 0x7a, UINT32_MAX);
	for (int i = 0; i < 64; i++) assert_true(tell(&s, fd, junk, sizeof junk));
	assert_in_range(relay_memory(s.box->relay), 1, held + 65536);
	close(fd);
	scene_close(&s);
}

/* 300 packets a byte at a time come whole, and in order. */
static void byte_at_a_time(void **state)
{
	uint8_t frame[FRAME_HEADER + KEY_SIZE + 10];
	struct key key, to;
	struct peer *peer;
	struct scene s;
	int fd;

	(void)state;
	scene_open(&s, "");
	peer = peer_new(s.loop, s.box, NULL, "");
	AWAIT(s.loop, peer->ready == 1);
	memcpy(to.b, peer->key, KEY_SIZE);
	fd = member(&s, NULL, &key);
	for (uint8_t i = 0; i < 200; i++) {
		frame_send_head(frame, to.b, 10);
		memset(frame + FRAME_HEADER + KEY_SIZE, i, 10);
		for (size_t k = 0; k < sizeof frame; k++) assert_true(tell(&s, fd, frame + k, 1));
	}
	AWAIT(s.loop, peer->packets == 200);
	for (uint8_t i = 0; i < 200; i++) assert_int_equal(peer->got[i].packet->bytes[9], i);
	close(fd);
	peer_end(peer);
	scene_close(&s);
}

/* 100,000 WatchConns of a mesh peer: each is answered by what changed since, that is by nothing (MSH-008). */
static void watching_again(void **state)
{
	enum { BURST = 1000 };
	uint8_t many[BURST * FRAME_HEADER];
	struct scene s;
	struct key key;
	char config[120];
	int fd;

	(void)state;
	snprintf(config, sizeof config, "mesh-key=%s\n", mesh_key);
	scene_open(&s, config);
	fd = member(&s, mesh_key, &key);
	for (int i = 0; i < BURST; i++) header(many + i * FRAME_HEADER, FRAME_WATCH_CONNS, 0);
	for (int i = 0; i < 100; i++) assert_true(tell(&s, fd, many, sizeof many));
	assert_false(is_closed(fd));
	close(fd);
	scene_close(&s);
}

/* Who watches without the mesh key is closed (SRV-031), however often it comes. */
static void wrong_mesh_key(void **state)
{
	static const char wrong[] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	uint8_t frame[FRAME_HEADER];
	char config[120];
	struct scene s;
	struct key key;

	(void)state;
	snprintf(config, sizeof config, "mesh-key=%s\n", mesh_key);
	scene_open(&s, config);
	header(frame, FRAME_WATCH_CONNS, 0);
	for (int i = 0; i < 20; i++) {
		int fd = member(&s, wrong, &key);
		assert_true(tell(&s, fd, frame, sizeof frame));
		is_let_go(&s, fd);
	}
	scene_close(&s);
}

/* A client's process is killed in the middle of a frame. */
static void killed_in_the_middle(void **state)
{
	uint8_t frame[FRAME_HEADER + 100] = { 0 };
	struct scene s;
	struct key key;
	pid_t child;
	int fd;

	(void)state;
	scene_open(&s, "");
	for (int i = 0; i < 10; i++) {
		fd = member(&s, NULL, &key);
		header(frame, FRAME_SEND_PACKET, 1000);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			if (send(fd, frame, sizeof frame, MSG_NOSIGNAL) < 0) _exit(1);
			for (;;) pause();
		}
		close(fd); /* the child's is the last */
		run_for(&s, 10 * NS_MS);
		assert_int_equal(os_host_connections(s.box->party.host), 3);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		AWAIT(s.loop, os_host_connections(s.box->party.host) == 2);
	}
	scene_close(&s);
}

/* Out of descriptors: those who wait are not served, those who are here are; when some leave, the others come in. */
static void descriptors_used_up(void **state)
{
	enum { N = 60 };
	struct rlimit old, low;
	struct scene s;
	int fd[N];

	(void)state;
	scene_open(&s, "http-timeout=10s\n");
	for (int i = 0; i < N; i++) fd[i] = stranger(&s);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){ (rlim_t)fd[N - 1] + 1 + 20, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	run_for(&s, 200 * NS_MS);
	assert_int_equal(os_host_connections(s.box->party.host), 2 + 20);
	for (int i = 0; i < 40; i++) close(fd[i]);
	AWAIT(s.loop, os_host_connections(s.box->party.host) == 2 + 20); /* the last 20 have come in */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 40; i < N; i++) close(fd[i]);
	AWAIT(s.loop, os_host_connections(s.box->party.host) == 2);
	scene_close(&s);
}

/* As many idle clients as descriptors allow, 10,000 at most. */
static void idle_crowd(void **state)
{
	uint64_t room = os_tcp_raise_limit(), n = room / 2 < 10200 ? room / 2 - 200 : 10000;
	struct party crowd = { 0 };
	struct swarm *idle;
	struct scene s;
	char text[200];

	(void)state;
	scene_open(&s, "");
	idle = swarm_new(&(struct machine_env){ 0 });
	party_init(&crowd, s.loop, swarm_machine(idle), NULL);
	crowd.owner.stream = NULL;
	snprintf(text, sizeof text, "url=http://127.0.0.1:%u/derp\njob=idle\nclients=%u\n", s.box->at.port, (unsigned)n);
	os_host_start(crowd.host, text, strlen(text), swarm_slots((uint32_t)n));
	for (uint64_t until = os_now() + 60 * NS_S; swarm_count(idle)->ready < n && os_now() < until;) os_loop_turn(s.loop, os_now() + NS_MS);
	assert_int_equal(swarm_count(idle)->ready, n);
	run_for(&s, 500 * NS_MS);
	assert_int_equal(swarm_count(idle)->ended, 0);
	party_end(&crowd);
	machine_free(swarm_machine(idle));
	for (uint64_t until = os_now() + 60 * NS_S; os_host_connections(s.box->party.host) > 2 && os_now() < until;)
		os_loop_turn(s.loop, os_now() + NS_MS);
	assert_int_equal(os_host_connections(s.box->party.host), 2);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_storm),         cmocka_unit_test(half_open_logins),    cmocka_unit_test(slow_login),
		cmocka_unit_test(endless_request),      cmocka_unit_test(large_client_info),   cmocka_unit_test(giant_frames),
		cmocka_unit_test(byte_at_a_time),       cmocka_unit_test(watching_again),      cmocka_unit_test(wrong_mesh_key),
		cmocka_unit_test(killed_in_the_middle), cmocka_unit_test(descriptors_used_up), cmocka_unit_test(idle_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
