/* The host with TLS against the sentences of machine.h: a machine that does as the test says, and a stream of TLS, driven by hand, at
 * the other end. */
#include "os_tls.h"

#include "os_conn.h"

#include "pair_certificates.h"
#include "pair_puppet.h"
#include "pair_tls.h"

#include <netinet/tcp.h>

static struct os_tls *ours, *theirs; /* each trusts the other; theirs is of the far end */

static int setup(void **state)
{
	if (certificates_setup(state) != 0) return -1;
	ours = tls_new("127.0.0.1", "ca.crt");
	theirs = tls_new("127.0.0.1", "ca.crt");
	return 0;
}

static int teardown(void **state)
{
	os_tls_free(ours);
	os_tls_free(theirs);
	return certificates_teardown(state);
}

/* ---- the other end ---- */

struct far {
	int fd;
	struct os_tls_stream *s;
	enum os_tls_result result; /* of the last read */
};

static struct far far_new(const struct puppet *p)
{
	struct far f = { .fd = plain_connect(p) };
	int on = 1;

	setsockopt(f.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* two small words arrive together */
	fcntl(f.fd, F_SETFL, O_NONBLOCK);
	f.s = os_tls_open(theirs, f.fd, &(struct action_tls){ .insecure = false }, &p->at);
	assert_non_null(f.s);
	return f;
}

static void far_shake(struct puppet *p, struct far *f)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;
	enum os_tls_result result;

	while ((result = os_tls_handshake(f->s)) == OS_TLS_AGAIN && os_now() < until) os_loop_turn(p->loop, os_now() + NS_MS);
	assert_int_equal(result, OS_TLS_OK);
}

static void far_write(struct far *f, const void *data, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)data, n };
	bool blocked = false;
	int error = 0;

	assert_int_equal(os_tls_write(f->s, &v, 1, &blocked, &error), n);
	assert_int_equal(error, 0);
	assert_false(blocked);
}

/* Reads what comes while the host runs, to the end of the stream or `max` bytes. */
static size_t far_read(struct puppet *p, struct far *f, uint8_t *out, size_t max)
{
	uint64_t until = os_now() + WAIT_MS * NS_MS;
	size_t n = 0;
	uint32_t got;
	int large = 1 << 20;

	setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large); /* its small window was for the stall */
	while (n < max && os_now() < until) {
		f->result = os_tls_read(f->s, out + n, (uint32_t)(max - n < OS_TURN_MAX ? max - n : OS_TURN_MAX), &got);
		if (f->result == OS_TLS_OK) n += got;
		if (f->result == OS_TLS_AGAIN) os_loop_turn(p->loop, os_now() + NS_MS);
		if (f->result != OS_TLS_OK && f->result != OS_TLS_AGAIN) break;
	}
	return n;
}

/* The same while the host stands still. */
static size_t far_read_alone(struct far *f, uint8_t *out, size_t max)
{
	uint64_t heard = os_now();
	size_t n = 0;
	uint32_t got;

	while (n < max && os_now() < heard + QUIET_MS * NS_MS) {
		f->result = os_tls_read(f->s, out + n, (uint32_t)(max - n < OS_TURN_MAX ? max - n : OS_TURN_MAX), &got);
		if (f->result == OS_TLS_OK) n += got, heard = os_now();
	}
	return n;
}

static void far_end(struct far *f)
{
	os_tls_close(f->s);
	f->s = NULL;
	close(f->fd);
}

/* A puppet and one connection of it that is secured. */
static uint64_t begin(struct puppet *p, struct far *f)
{
	*f = far_new(p);
	far_shake(p, f);
	return await(p, EVENT_SECURED, 1)->token;
}

/* ---- the seam ---- */

/* ACCEPTED before TLS, SECURED behind it, then bytes both ways. What came with the last message of the handshake is read too, in an
 * event of its own, although the socket has nothing more. */
static void secured_then_bytes(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f = far_new(p);
	uint8_t in[10];
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	(void)state;
	while (os_tls_handshake(f.s) == OS_TLS_AGAIN && os_now() < until) os_loop_turn(p->loop, os_now() + NS_MS);
	assert_int_equal(count(p, EVENT_SECURED), 0); /* Finished and this word are read together */
	far_write(&f, "first", 5);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 5);
	assert_memory_equal(p->in, "first", 5);
	assert_int_equal(p->v[0].kind, EVENT_START);
	assert_int_equal(p->v[1].kind, EVENT_ACCEPTED);
	assert_int_equal(p->v[2].kind, EVENT_SECURED);
	assert_int_equal(p->v[2].secured.version, 0x0304);
	assert_int_equal(p->v[2].secured.chain_n, 0);
	assert_int_equal(p->v[3].kind, EVENT_BYTES);
	act(p, p->v[2].token, 0, do_hello);
	assert_int_equal(far_read(p, &f, in, 5), 5);
	assert_memory_equal(in, "hello", 5);
	far_end(&f);
	await(p, EVENT_CLOSED, 1);
	quiet(p);
	assert_int_equal(os_host_connections(p->host), 0);
	puppet_end(p);
}

/* What is SENT before SECURED waits for it, and is told as such. */
static void sent_before_secured(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f = far_new(p);
	uint8_t in[10];

	(void)state;
	act(p, await(p, EVENT_ACCEPTED, 1)->token, 0, do_hello);
	assert_int_equal(await(p, EVENT_DRAINED, 1)->left, 5);
	far_shake(p, &f);
	assert_int_equal(far_read(p, &f, in, 5), 5);
	assert_memory_equal(in, "hello", 5);
	assert_int_equal(await(p, EVENT_DRAINED, 2)->n, 5);
	assert_int_equal(await(p, EVENT_DRAINED, 2)->left, 0);
	far_end(&f);
	puppet_end(p);
}

/* Both ends are hosts: DIALED, SECURED with the chain's verdict, and on the second connection, resumption. */
static void client_is_secured(void **state)
{
	struct puppet *p = puppet_start(ours), *c = puppet_new(ours);
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	(void)state;
	os_host_start(c->host, "", 0, 4);
	for (uint32_t i = 1; i <= 2; i++) {
		uint64_t token = TOKEN_MACHINE | token_make(i, i);
		act(c, token, p->at.port, do_dial);
		while (count(c, EVENT_SECURED) < i && os_now() < until) {
			os_loop_turn(c->loop, os_now() + NS_MS);
			os_loop_turn(p->loop, os_now() + NS_MS);
		}
		assert_true(await(c, EVENT_SECURED, i)->token == token);
		assert_true(await(c, EVENT_SECURED, i)->secured.verified);
		assert_int_equal(await(c, EVENT_SECURED, i)->secured.resumed, i == 2);
		assert_int_equal(await(p, EVENT_SECURED, i)->secured.resumed, i == 2);
		act(p, await(p, EVENT_SECURED, i)->token, 0, do_hello); /* behind the ticket */
		assert_int_equal(await(c, EVENT_BYTES, i)->n, 5);
	}
	puppet_end(c);
	puppet_end(p);
}

/* A peer that is not trusted, one that speaks no TLS, one that goes away in the middle, one that resets, one that says goodbye:
 * CLOSED, and no SECURED. */
static void handshakes_fail(void **state)
{
	static const enum close_cause want[] = { CLOSE_TLS, CLOSE_TLS, CLOSE_TLS, CLOSE_RESET, CLOSE_TLS };
	struct puppet *p = puppet_start(ours);
	uint8_t in[100];

	(void)state;
	for (int i = 0; i < 5; i++) {
		int fd;
		if (i == 0) { /* it finds that the certificate is not valid, and says so */
			struct os_tls *other = tls_new(NULL, "other.crt");
			struct os_tls_stream *s;
			fd = plain_connect(p);
			fcntl(fd, F_SETFL, O_NONBLOCK);
			s = os_tls_open(other, fd, &(struct action_tls){ 0 }, &p->at);
			while (os_tls_handshake(s) == OS_TLS_AGAIN) os_loop_turn(p->loop, os_now() + NS_MS);
			os_tls_close(s);
			os_tls_free(other);
			await(p, EVENT_CLOSED, 1);
		} else {
			fd = plain_connect(p);
			await(p, EVENT_ACCEPTED, (uint32_t)i + 1);
			if (i == 1) assert_int_equal(send(fd, "\x16\x03\x01\x00\x05hello", 10, 0), 10);
			if (i == 2) shutdown(fd, SHUT_WR);
			if (i == 3) plain_reset(fd);
			if (i == 4) assert_int_equal(send(fd, "\x15\x03\x03\x00\x02\x01\x00", 7, 0), 7); /* close_notify */
		}
		assert_int_equal(await(p, EVENT_CLOSED, (uint32_t)i + 1)->cause, want[i]);
		if (i == 1) assert_int_equal(plain_read(p, fd, in, sizeof in), 7); /* an alert */
		if (i != 3) close(fd);
	}
	quiet(p);
	assert_int_equal(count(p, EVENT_SECURED), 0);
	assert_int_equal(os_host_connections(p->host), 0);
	puppet_end(p);
}

/* A client of ours tells its owner what was wrong. */
static void client_says_why(void **state)
{
	struct os_tls *other = tls_new(NULL, "other.crt");
	struct puppet *p = puppet_start(ours), *c = puppet_new(NULL);
	uint64_t until = os_now() + WAIT_MS * NS_MS;

	(void)state;
	c->tls = other;
	os_host_tls(c->host, other);
	os_host_start(c->host, "", 0, 4);
	act(c, TOKEN_MACHINE | token_make(1, 1), p->at.port, do_dial);
	while (count(c, EVENT_CLOSED) < 1 && os_now() < until) {
		os_loop_turn(c->loop, os_now() + NS_MS);
		os_loop_turn(p->loop, os_now() + NS_MS);
	}
	assert_int_equal(await(c, EVENT_CLOSED, 1)->cause, CLOSE_TLS);
	assert_non_null(strstr(c->complaint, "certificate: self-signed certificate in certificate chain"));
	assert_non_null(strstr(c->complaint, "127.0.0.1:"));
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_TLS);
	puppet_end(c);
	puppet_end(p);
	os_tls_free(other);
}

/* What the kernel refuses is told once, kept, and given when it takes it: every byte, in order; the sums are right, and what is taken
 * is told by whole records. */
static void drained_by_whole_records(void **state)
{
	enum { SIZE = 8 << 20 };
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint64_t token = begin(p, &f), n = 0, left = UINT64_MAX;
	uint8_t *in = malloc(SIZE + 7);

	(void)state;
	act(p, token, SIZE, do_packet);
	act(p, token, 0, do_hello);
	assert_true(await(p, EVENT_DRAINED, 1)->left > 0);
	quiet(p);
	assert_int_equal(count(p, EVENT_DRAINED), 1);
	assert_int_equal(await(p, EVENT_DRAINED, 1)->n % 16384, 0);
	assert_int_equal(os_host_left(p->host), await(p, EVENT_DRAINED, 1)->left + 5);
	n = far_read_alone(&f, in, SIZE); /* what the kernel has is what was told, no more and no less */
	assert_int_equal(n, await(p, EVENT_DRAINED, 1)->n);
	assert_int_equal(far_read(p, &f, in + n, SIZE + 7 - n), SIZE + 7 - n);
	n = 0;
	quiet(p);
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
	far_end(&f);
	puppet_end(p);
}

/* READ n: at most n, also of what lies in a record that was read long ago; READ 0: nothing, and no end. */
static void read_limits_hold(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint64_t token = begin(p, &f);

	(void)state;
	act(p, token, 4, do_read);
	far_write(&f, "abcdef", 6);
	far_write(&f, "ghij", 4);
	for (uint32_t i = 0; i < 3; i++) assert_int_equal(await(p, EVENT_BYTES, i + 1)->n, i < 2 ? 4 : 2);
	act(p, token, 0, do_read);
	far_write(&f, "klm", 3);
	os_tls_finish(f.s);
	shutdown(f.fd, SHUT_WR);
	quiet(p);
	assert_int_equal(count(p, EVENT_BYTES), 3);
	assert_int_equal(count(p, EVENT_CLOSED), 0);
	act(p, token, 2, do_read);
	assert_int_equal(await(p, EVENT_BYTES, 4)->n, 2);
	assert_int_equal(await(p, EVENT_BYTES, 5)->n, 1);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	assert_memory_equal(p->in, "abcdefghijklm", 13);
	far_end(&f);
	puppet_end(p);
}

static void do_read_zero(struct puppet *p, struct actions *out) { actions_read(out, p->token, 0); }

/* READ 0 while a record is half given: the rest waits within TLS, and comes after READ although the socket stays silent. */
static void read_zero_within_a_record(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint64_t token = begin(p, &f), until = os_now() + WAIT_MS * NS_MS;

	(void)state;
	act(p, token, 1, do_read);
	far_write(&f, "abcdef", 6);
	while (count(p, EVENT_BYTES) < 2 && os_now() < until) os_loop_turn(p->loop, until);
	act(p, token, 0, do_read_zero);
	quiet(p);
	assert_in_range(count(p, EVENT_BYTES), 2, 5);
	act(p, token, 100, do_read);
	while (p->in_n < 6 && os_now() < until) os_loop_turn(p->loop, until);
	assert_memory_equal(p->in, "abcdef", 6);
	assert_true(os_now() < until - NS_S); /* nobody waited for the socket */
	far_end(&f);
	puppet_end(p);
}

/* CLOSE finish: close_notify and FIN behind what was sent; bytes of the peer still come, and its end. */
static void finish_says_goodbye(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint64_t token = begin(p, &f);
	uint8_t in[10];

	(void)state;
	act(p, token, 0, do_hello_finish);
	assert_int_equal(far_read(p, &f, in, sizeof in), 5);
	assert_int_equal(f.result, OS_TLS_EOF);
	assert_int_equal(plain_read(p, f.fd, in, sizeof in), 0); /* FIN too */
	far_write(&f, "late", 4);
	assert_int_equal(await(p, EVENT_BYTES, 1)->n, 4);
	assert_int_equal(count(p, EVENT_CLOSED), 0);
	far_end(&f);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	puppet_end(p);
}

/* The same where the peer reads late: nothing of it overtakes what the kernel refused. */
static void finish_waits_its_turn(void **state)
{
	enum { SIZE = 8 << 20 };
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint64_t token = begin(p, &f);
	uint8_t *in = malloc(SIZE + 3);

	(void)state;
	act(p, token, SIZE, do_packet);
	act(p, token, 0, do_finish);
	quiet(p);
	assert_int_equal(far_read(p, &f, in, SIZE + 3), SIZE + 2);
	assert_int_equal(f.result, OS_TLS_EOF);
	assert_memory_equal(in + 2, p->packet->bytes, SIZE);
	far_end(&f);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_EOF);
	free(in);
	puppet_end(p);
}

/* The peer's close_notify, with or without FIN, and a FIN alone: CLOSED eof behind the last bytes, and what is held still goes out,
 * with a close_notify behind it. FIN within a record: CLOSED tls. A reset: CLOSED reset. */
static void ends_of_the_peer(void **state)
{
	enum { NOTIFY, NOTIFY_FIN, FIN, CUT, RESET, ENDS, SIZE = 4 << 20 };
	static const enum close_cause want[] = { CLOSE_EOF, CLOSE_EOF, CLOSE_EOF, CLOSE_TLS, CLOSE_RESET };
	uint8_t *in = malloc(SIZE + 3);

	(void)state;
	for (int how = 0; how < ENDS; how++) {
		struct puppet *p = puppet_start(ours);
		struct far f;
		uint64_t token = begin(p, &f);
		act(p, token, SIZE, do_packet);
		far_write(&f, "bye", 3);
		if (how == NOTIFY || how == NOTIFY_FIN) os_tls_finish(f.s);
		if (how == CUT) assert_int_equal(send(f.fd, "\x17\x03\x03\x00\x40half", 9, 0), 9);
		if (how == NOTIFY_FIN || how == FIN || how == CUT) shutdown(f.fd, SHUT_WR);
		assert_int_equal(await(p, EVENT_BYTES, 1)->n, 3);
		if (how == RESET) {
			plain_reset(f.fd);
			f.fd = dup(p->tls == NULL ? 0 : STDERR_FILENO); /* for far_end */
		}
		assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, want[how]);
		if (want[how] == CLOSE_EOF) {
			assert_int_equal(far_read(p, &f, in, SIZE + 3), SIZE + 2);
			assert_int_equal(f.result, OS_TLS_EOF);
			assert_memory_equal(in + 2, p->packet->bytes, SIZE);
		}
		far_end(&f);
		quiet(p);
		assert_int_equal(count(p, EVENT_CLOSED), 1);
		assert_int_equal(os_host_connections(p->host), 0);
		assert_int_equal(os_host_left(p->host), 0);
		puppet_end(p);
	}
	free(in);
}

/* CLOSE abort, in the middle of a handshake and later: the peer sees a reset, the machine CLOSED local. */
static void abort_is_reset(void **state)
{
	struct puppet *p = puppet_start(ours);
	struct far f;
	uint8_t in[10];
	int fd = plain_connect(p);

	(void)state;
	act(p, await(p, EVENT_ACCEPTED, 1)->token, 0, do_abort);
	assert_int_equal(await(p, EVENT_CLOSED, 1)->cause, CLOSE_LOCAL);
	assert_int_equal(plain_read(p, fd, in, sizeof in), -ECONNRESET);
	close(fd);
	act(p, begin(p, &f), 0, do_abort);
	assert_int_equal(await(p, EVENT_CLOSED, 2)->cause, CLOSE_LOCAL);
	assert_int_equal(far_read(p, &f, in, sizeof in), 0);
	assert_int_equal(f.result, OS_TLS_DEAD);
	assert_int_equal(os_tls_errno(f.s), ECONNRESET);
	far_end(&f);
	puppet_end(p);
}

/* Much on many connections: over several turns, none longer than one may be, all in order and none twice. */
static void turns_are_bounded(void **state)
{
	enum { FARS = 8, SIZE = 3 * OS_TURN_MAX };
	struct puppet *p = puppet_start(ours);
	struct far f[FARS];
	static uint8_t bytes[SIZE];
	uint64_t total = 0, until = os_now() + WAIT_MS * NS_MS;

	(void)state;
	for (int i = 0; i < FARS; i++) {
		f[i] = far_new(p);
		far_shake(p, &f[i]);
	}
	await(p, EVENT_SECURED, FARS);
	for (int i = 0; i < FARS; i++) far_write(&f[i], bytes, SIZE);
	while (total < (uint64_t)FARS * SIZE && os_now() < until) {
		os_loop_turn(p->loop, until);
		total = 0;
		for (uint32_t i = 0; i < p->n; i++)
			if (p->v[i].kind == EVENT_BYTES) total += p->v[i].n;
	}
	assert_int_equal(total, (uint64_t)FARS * SIZE);
	for (uint32_t i = 0; i < p->n; i++) assert_true(p->v[i].kind != EVENT_BYTES || p->v[i].n <= OS_TURN_MAX);
	for (int i = 0; i < FARS; i++) far_end(&f[i]);
	puppet_end(p);
}

/* Aborts each connection at its second bytes, while more of it waits within TLS. */
static void abort_second(struct puppet *p, const struct event *e, struct actions *out)
{
	uint32_t n = 0;

	if (e->kind != EVENT_BYTES) return;
	for (uint32_t i = 0; i < p->n; i++) n += p->v[i].kind == EVENT_BYTES && p->v[i].token == e->token;
	if (n == 1) actions_close(out, e->token, true);
}

/* Who is gone is read no more, however much of it had been read ahead. */
static void aborted_with_more(void **state)
{
	enum { FARS = 12, SIZE = 4 * OS_TURN_MAX };
	struct puppet *p = puppet_start(ours);
	struct far f[FARS];
	static uint8_t bytes[SIZE];

	(void)state;
	for (int i = 0; i < FARS; i++) {
		f[i] = far_new(p);
		far_shake(p, &f[i]);
	}
	await(p, EVENT_SECURED, FARS);
	p->also = abort_second;
	for (int i = 0; i < FARS; i++) far_write(&f[i], bytes, SIZE);
	for (uint32_t i = 1; i <= FARS; i++) assert_int_equal(await(p, EVENT_CLOSED, i)->cause, CLOSE_LOCAL);
	quiet(p);
	assert_int_equal(count(p, EVENT_BYTES), 2 * FARS);
	assert_int_equal(os_host_connections(p->host), 0);
	for (int i = 0; i < FARS; i++) far_end(&f[i]);
	puppet_end(p);
}

/* A crowd shakes hands in portions, and everybody's turn comes. */
static void handshakes_in_portions(void **state)
{
	enum { FARS = 3 * HANDSHAKES_MAX };
	struct puppet *p = puppet_start(ours);
	struct far f[FARS];
	uint64_t until = os_now() + WAIT_MS * NS_MS;
	uint32_t answered = 0, most = 0;

	(void)state;
	for (int i = 0; i < FARS; i++) {
		f[i] = far_new(p);
		assert_int_equal(os_tls_handshake(f[i].s), OS_TLS_AGAIN);
	}
	while (answered < FARS && os_now() < until) {
		uint32_t before = answered;
		os_loop_turn(p->loop, until);
		answered = 0;
		for (int i = 0; i < FARS; i++) answered += recv(f[i].fd, &(char){ 0 }, 1, MSG_PEEK) == 1;
		if (answered - before > most) most = answered - before;
	}
	assert_int_equal(answered, FARS);
	assert_in_range(most, 1, HANDSHAKES_MAX);
	for (int i = 0; i < FARS; i++) far_shake(p, &f[i]);
	await(p, EVENT_SECURED, FARS);
	for (int i = 0; i < FARS; i++) far_end(&f[i]);
	puppet_end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secured_then_bytes),    cmocka_unit_test(sent_before_secured),       cmocka_unit_test(client_is_secured),
		cmocka_unit_test(handshakes_fail),       cmocka_unit_test(client_says_why),           cmocka_unit_test(drained_by_whole_records),
		cmocka_unit_test(read_limits_hold),      cmocka_unit_test(read_zero_within_a_record), cmocka_unit_test(finish_says_goodbye),
		cmocka_unit_test(finish_waits_its_turn), cmocka_unit_test(ends_of_the_peer),          cmocka_unit_test(abort_is_reset),
		cmocka_unit_test(turns_are_bounded),     cmocka_unit_test(aborted_with_more),         cmocka_unit_test(handshakes_in_portions),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
