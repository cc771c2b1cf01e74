/* The host against the sentences of machine.h: a machine that does as the test says, and plain sockets at the other end. */
#include "os_host.h"

#include "pair_puppet.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

/* ---- stories ---- */

/* A connection comes, says something and goes: ACCEPTED, BYTES, CLOSED eof, each once; the slot is used again, the token is not. */
static void accepted_says_and_goes(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	const struct heard *accepted = await(p, EVENT_ACCEPTED, 1);
	uint64_t first = accepted->token;
	struct sockaddr_in name;
	socklen_t n = sizeof name;

	(void)state;
	getsockname(fd, (struct sockaddr *)&name, &n);
	assert_int_equal(accepted->remote.port, ntohs(name.sin_port));
	assert_int_equal(accepted->remote.ip[12], 127);
	assert_false(token_is_machine(first));
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	close(fd);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	assert_memory_equal(p->in, "hello", 5);
	fd = plain_connect(p);
	assert_int_equal(token_slot(await(p, EVENT_ACCEPTED, 2)->token), token_slot(first));
	assert_true(await(p, EVENT_ACCEPTED, 2)->token != first);
	plain_reset(fd);
	assert_int_equal(await(p, EVENT_CLOSED, 2)->cause, CLOSE_RESET);
	quiet(p);
	assert_int_equal(count(p, EVENT_CLOSED), 2);
	assert_int_equal(os_host_connections(p->host), 0);
	puppet_end(p);
}

/* HTTP-023: what a listener sets, its connections have. */
static void accepted_inherits_times(void **state)
{
	struct puppet *p = puppet_new(NULL);
	struct address bound, local, remote, at = p->at;
	char error[OS_ERROR_SIZE];
	int listener, fd, accepted, value;
	socklen_t n = sizeof value;

	(void)state;
	at.port = 0;
	listener = os_tcp_listen(&at, &OS_TCP_TIMES, &bound, error);
	p->at = bound;
	fd = plain_connect(p);
	while ((accepted = os_tcp_accept(listener, &local, &remote)) < 0) assert_int_equal(errno, EAGAIN);
	assert_int_equal(local.port, bound.port);
	getsockopt(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &n);
	assert_int_equal(value, 15000);
	getsockopt(accepted, IPPROTO_TCP, TCP_KEEPIDLE, &value, &n);
	assert_int_equal(value, 600);
	getsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &value, &n);
	assert_int_equal(value, 1);
	getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &value, &n);
	assert_int_equal(value, 1);
	close(accepted);
	close(fd);
	close(listener);
	puppet_end(p);
}

/* A healthy connection costs no event a message: DRAINED comes only above low_water. */
static void drained_above_low_water(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	uint64_t token = await(p, EVENT_ACCEPTED, 1)->token;
	static uint8_t in[200000];
	const struct heard *drained;

	(void)state;
	act(p, token, 1000, do_packet);
	assert_int_equal(plain_read(p, fd, in, 1002), 1002);
	quiet(p);
	assert_int_equal(count(p, EVENT_DRAINED), 0);
	act(p, token, OS_LOW_WATER, do_packet);
	drained = await(p, EVENT_DRAINED, 1);
	assert_int_equal(drained->n + drained->left, 1002 + OS_LOW_WATER + 2);
	assert_int_equal(plain_read(p, fd, in, OS_LOW_WATER + 2), OS_LOW_WATER + 2);
	close(fd);
	puppet_end(p);
}

/* What the kernel refuses is told once, kept, and given when it takes it: every byte, in order; the sums are right. */
static void drained_tells_refused(void **state)
{
	enum { SIZE = 8 << 20 };
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	uint64_t token = await(p, EVENT_ACCEPTED, 1)->token, n = 0, left = UINT64_MAX;
	uint8_t *in = malloc(SIZE + 7);

	(void)state;
	act(p, token, SIZE, do_packet);
	act(p, token, 0, do_hello); /* copied behind it */
	assert_true(await(p, EVENT_DRAINED, 1)->left > 0);
	quiet(p);
	assert_int_equal(count(p, EVENT_DRAINED), 1);
	assert_int_equal(os_host_left(p->host), await(p, EVENT_DRAINED, 1)->left + 5);
	assert_int_equal(plain_read(p, fd, in, SIZE + 7), SIZE + 7);
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->v[i].kind != EVENT_DRAINED) continue;
		assert_true(n == 0 || p->v[i].n > 0); /* a later one is progress */
		n += p->v[i].n, left = p->v[i].left;
	}
	assert_int_equal(n, SIZE + 7);
	assert_int_equal(left, 0);
	assert_int_equal(os_host_left(p->host), 0);
	assert_memory_equal(in, "<>", 2);
	assert_memory_equal(in + 2, p->packet->bytes, SIZE);
	assert_memory_equal(in + 2 + SIZE, "hello", 5);
	free(in);
	close(fd);
	puppet_end(p);
}

/* READ 0: nothing is read, the end is not told; READ n: at most n; a reset is told at once. */
static void read_zero_pauses(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p), other;
	uint64_t token = await(p, EVENT_ACCEPTED, 1)->token;

	(void)state;
	act(p, token, 0, do_read);
	assert_int_equal(send(fd, "abcdef", 6, 0), 6);
	shutdown(fd, SHUT_WR);
	quiet(p);
	assert_int_equal(count(p, EVENT_BYTES), 0);
	assert_int_equal(count(p, EVENT_CLOSED), 0);
	act(p, token, 4, do_read);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 4);
	assert_int_equal(await(p, EVENT_BYTES, 2)->n, 2);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	close(fd);
	other = plain_connect(p);
	act(p, await(p, EVENT_ACCEPTED, 2)->token, 0, do_read);
	assert_int_equal(send(other, "x", 1, 0), 1);
	plain_reset(other);
	assert_int_equal(await(p, EVENT_CLOSED, 2)->cause, CLOSE_RESET);
	assert_int_equal(count(p, EVENT_BYTES), 2);
	puppet_end(p);
}

/* READ 0 on a listener: nobody is accepted until READ again. */
static void read_zero_stops_accepting(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd;

	(void)state;
	act(p, p->listener, 0, do_read);
	fd = plain_connect(p);
	quiet(p);
	assert_int_equal(count(p, EVENT_ACCEPTED), 0);
	act(p, p->listener, 1, do_read);
	await(p, EVENT_ACCEPTED, 1);
	close(fd);
	puppet_end(p);
}

/* CLOSE finish: FIN behind what was sent; bytes of the peer and its end still come. */
static void finish_is_half_closed(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	uint8_t in[10];

	(void)state;
	act(p, await(p, EVENT_ACCEPTED, 1)->token, 0, do_hello_finish);
	assert_int_equal(plain_read(p, fd, in, sizeof in), 5);
	assert_memory_equal(in, "hello", 5);
	assert_int_equal(send(fd, "late", 4, 0), 4);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 4);
	assert_int_equal(count(p, EVENT_CLOSED), 0);
	close(fd);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	puppet_end(p);
}

/* CLOSE abort: the peer sees a reset, the machine hears CLOSED local and nothing else. */
static void abort_is_reset(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	uint64_t token = await(p, EVENT_ACCEPTED, 1)->token;
	uint8_t in[10];

	(void)state;
	assert_int_equal(send(fd, "unread", 6, 0), 6);
	act(p, token, 0, do_abort);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_LOCAL);
	assert_int_equal(plain_read(p, fd, in, sizeof in), -ECONNRESET);
	act(p, token, 0, do_hello); /* late actions mean nothing */
	act(p, token, 0, do_abort);
	quiet(p);
	assert_int_equal(count(p, EVENT_CLOSED), 1);
	close(fd);
	puppet_end(p);
}

/* The peer has said its last word and is slow to read: CLOSED eof is told, what the host holds still arrives. */
static void eof_still_sends_held(void **state)
{
	enum { SIZE = 8 << 20 };
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);
	uint8_t *in = malloc(SIZE + 3);

	(void)state;
	act(p, await(p, EVENT_ACCEPTED, 1)->token, SIZE, do_packet);
	shutdown(fd, SHUT_WR);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	assert_true(os_host_left(p->host) > 0);
	assert_int_equal(plain_read(p, fd, in, SIZE + 3), SIZE + 2);
	assert_memory_equal(in + 2, p->packet->bytes, SIZE);
	quiet(p);
	assert_int_equal(os_host_connections(p->host), 0);
	assert_int_equal(os_host_left(p->host), 0);
	free(in);
	close(fd);
	puppet_end(p);
}

/* DIAL ends in DIALED or CLOSED refused; bytes go both ways; a token's slot is free again after CLOSED. */
static void dial_ends_once(void **state)
{
	struct puppet *p = puppet_start(NULL);
	struct address at;
	int listener = plain_listen(&at), fd;
	uint64_t first = TOKEN_MACHINE | token_make(2, 1), second = TOKEN_MACHINE | token_make(2, 2);
	uint8_t in[10];

	(void)state;
	act(p, first, at.port, do_dial);
	assert_true(await(p, EVENT_DIALED, 1)->token == first);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(send(fd, "abc", 3, 0), 3);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 3);
	act(p, first, 0, do_hello_finish);
	assert_int_equal(plain_read(p, fd, in, sizeof in), 5);
	close(fd);
	close(listener);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	act(p, second, at.port, do_dial);
	assert_int_equal(await(p, EVENT_CLOSED, 2)->cause, CLOSE_REFUSED);
	assert_true(await(p, EVENT_CLOSED, 2)->token == second);
	assert_int_equal(count(p, EVENT_DIALED), 1);
	puppet_end(p);
}

/* Out of descriptors: a dial ends in CLOSED limit; whoever waits to be accepted is, once a descriptor is free. DERP_NO_RLIMIT: the limit
 * is not the kernel's (.ci/valgrind). */
static void limit_pauses_accepting(void **state)
{
	struct rlimit before, low;
	struct puppet *p;
	uint64_t token;
	int first, second, gap;

	(void)state;
	if (getenv("DERP_NO_RLIMIT") != NULL) skip();
	p = puppet_start(NULL);
	first = plain_connect(p);
	token = await(p, EVENT_ACCEPTED, 1)->token;
	second = plain_connect(p);
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	gap = dup(first); /* the lowest free one: those below are in use */
	low.rlim_cur = (rlim_t)gap + 1;
	setrlimit(RLIMIT_NOFILE, &low);
	quiet(p);
	assert_int_equal(count(p, EVENT_ACCEPTED), 1);
	assert_non_null(strstr(p->complaint, "file descriptors"));
	act(p, TOKEN_MACHINE | token_make(0, 1), p->at.port, do_dial);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_LIMIT);
	act(p, token, 0, do_abort);
	await(p, EVENT_ACCEPTED, 2);
	setrlimit(RLIMIT_NOFILE, &before);
	close(gap);
	close(first);
	close(second);
	puppet_end(p);
}

static void do_tls(struct puppet *p, struct actions *out) { actions_add(out, ACTION_START_TLS, p->token)->tls.server = true; }

/* Without os_host_tls, START_TLS ends in CLOSED tls and in a sentence. */
static void tls_is_refused(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd = plain_connect(p);

	(void)state;
	act(p, await(p, EVENT_ACCEPTED, 1)->token, 0, do_tls);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_TLS);
	assert_non_null(strstr(p->complaint, "set up none"));
	close(fd);
	puppet_end(p);
}

static void ask(struct puppet *p, struct actions *out, enum ask_kind kind, const char *text)
{
	struct action *x = actions_add(out, ACTION_ASK, p->token);

	x->ask = (uint8_t)kind;
	x->span = (struct span){ .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) };
}
static void do_ask_literal(struct puppet *p, struct actions *out) { ask(p, out, ASK_NAME4, "192.0.2.7"); }
static void do_ask_bad(struct puppet *p, struct actions *out) { ask(p, out, ASK_NAME4, "an impossible..name"); }
static void do_ask_cancel(struct puppet *p, struct actions *out)
{
	ask(p, out, ASK_NAME4, "192.0.2.7"); /* its answer is due when it is cancelled */
	do_abort(p, out);
}
static void do_ask_file(struct puppet *p, struct actions *out) { ask(p, out, ASK_MAP, "ref/os_host_test.c"); }
static void do_ask_nothing(struct puppet *p, struct actions *out) { ask(p, out, ASK_MAP, "no/such/map.json"); }

/* Each ASK has one ANSWER: ok, failed, or cancelled after CLOSE. */
static void ask_is_answered(void **state)
{
	struct puppet *p = puppet_new(NULL);

	(void)state;
	os_host_dns(p->host, "127.0.0.1:9"); /* where nobody answers */
	os_host_start(p->host, "", 0, 4);
	act(p, TOKEN_MACHINE | token_make(0, 1), 0, do_ask_literal);
	assert_int_equal(await(p, EVENT_ANSWER, 1)->result, ANSWER_OK);
	assert_int_equal(await(p, EVENT_ANSWER, 1)->n, 1);
	act(p, TOKEN_MACHINE | token_make(0, 2), 0, do_ask_bad);
	assert_int_equal(await(p, EVENT_ANSWER, 2)->result, ANSWER_FAILED);
	act(p, TOKEN_MACHINE | token_make(0, 3), 0, do_ask_cancel);
	assert_int_equal(await(p, EVENT_ANSWER, 3)->result, ANSWER_CANCELLED);
	assert_int_equal(await(p, EVENT_ANSWER, 3)->n, 0);
	act(p, TOKEN_MACHINE | token_make(0, 4), 0, do_ask_file);
	assert_int_equal(await(p, EVENT_ANSWER, 4)->result, ANSWER_OK);
	assert_true(await(p, EVENT_ANSWER, 4)->n > 1000);
	act(p, TOKEN_MACHINE | token_make(0, 5), 0, do_ask_nothing);
	assert_int_equal(await(p, EVENT_ANSWER, 5)->result, ANSWER_FAILED);
	assert_non_null(strstr(p->complaint, "no/such/map.json"));
	quiet(p);
	assert_int_equal(count(p, EVENT_ANSWER), 5);
	puppet_end(p);
}

/* TIMER comes at the deadline, not before, and once. */
static void timer_is_never_early(void **state)
{
	struct puppet *p = puppet_start(NULL);
	uint64_t at = os_host_now(p->host) + 30 * NS_MS;

	(void)state;
	p->wake = at;
	assert_true(await(p, EVENT_TIMER, 1)->now >= at);
	quiet(p);
	assert_int_equal(count(p, EVENT_TIMER), 1);
	puppet_end(p);
}

/* The bytes of a datagram live until the turn's actions are done, whatever else is read in the same batch. */
static void datagram_lives_for_its_turn(void **state)
{
	struct puppet *p = puppet_new(NULL);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp;
	struct address bound, at = p->at;
	struct sockaddr_in name;
	char error[OS_ERROR_SIZE], in[20];
	ssize_t n = -1;

	(void)state;
	at.port = 0;
	assert_true(os_host_udp(p->host, &at, &bound, error));
	os_host_start(p->host, "", 0, 4);
	tcp = plain_connect(p);
	await(p, EVENT_ACCEPTED, 1);
	name = ipv4(&bound);
	assert_int_equal(sendto(udp, "datagram", 8, 0, (struct sockaddr *)&name, sizeof name), 8);
	assert_int_equal(send(tcp, "something else", 14, 0), 14);
	for (uint64_t until = os_now() + WAIT_MS * NS_MS; n < 0 && os_now() < until;) {
		os_loop_turn(p->loop, os_now() + NS_MS);
		n = recv(udp, in, sizeof in, MSG_DONTWAIT);
	}
	assert_int_equal(n, 8);
	assert_memory_equal(in, "datagram", 8);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 14);
	close(udp);
	close(tcp);
	puppet_end(p);
}

/* More bytes than a turn may read: they come over several turns, none of them longer, all of them in order. */
static void turn_is_bounded(void **state)
{
	struct puppet *p = puppet_start(NULL);
	int fd[8];
	uint64_t total = 0, until = os_now() + WAIT_MS * NS_MS;
	static uint8_t bytes[OS_TURN_MAX];

	(void)state;
	for (int i = 0; i < 8; i++) fd[i] = plain_connect(p);
	await(p, EVENT_ACCEPTED, 8);
	for (int i = 0; i < 8; i++) assert_int_equal(send(fd[i], bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
	while (total < 8 * sizeof bytes && os_now() < until) {
		os_loop_turn(p->loop, until);
		total = 0;
		for (uint32_t i = 0; i < p->n; i++)
			if (p->v[i].kind == EVENT_BYTES) total += p->v[i].n;
	}
	assert_int_equal(total, 8 * sizeof bytes);
	for (uint32_t i = 0; i < p->n; i++) assert_true(p->v[i].kind != EVENT_BYTES || p->v[i].n <= OS_TURN_MAX);
	for (int i = 0; i < 8; i++) close(fd[i]);
	puppet_end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_says_and_goes),  cmocka_unit_test(accepted_inherits_times),
		cmocka_unit_test(drained_above_low_water), cmocka_unit_test(drained_tells_refused),
		cmocka_unit_test(read_zero_pauses),        cmocka_unit_test(read_zero_stops_accepting),
		cmocka_unit_test(finish_is_half_closed),   cmocka_unit_test(abort_is_reset),
		cmocka_unit_test(eof_still_sends_held),    cmocka_unit_test(dial_ends_once),
		cmocka_unit_test(limit_pauses_accepting),  cmocka_unit_test(tls_is_refused),
		cmocka_unit_test(ask_is_answered),         cmocka_unit_test(timer_is_never_early),
		cmocka_unit_test(turn_is_bounded),         cmocka_unit_test(datagram_lives_for_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
