/* UDP sockets alone, and a relay that answers STUN over them (STN-001). */
#include "os_udp.h"

#include "address.h"
#include "pair_sockets.h"
#include "stun.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

static const struct address any = { .port = 0 };
static const struct address loopback4 = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

static struct os_udp *udp_at(const struct address *at, struct address *bound)
{
	char error[OS_ERROR_SIZE];

	return os_udp_open(at, bound, error);
}

/* A plain socket that is connected to `text` at a port: it hears nothing from elsewhere. -1: no such family here. */
static int plain_to(const char *text, uint16_t port)
{
	struct address to = { 0 };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct timeval patience = { .tv_sec = 3 };
	bool is_v4;
	int fd;

	assert_true(address_ip_parse(text, strlen(text), &to));
	is_v4 = address_is_v4(&to);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return -1;
	memcpy(&v4.sin_addr, to.ip + 12, 4);
	memcpy(&v6.sin6_addr, to.ip, 16);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6) == 0) return fd;
	close(fd);
	return -1;
}

static uint32_t read_some(struct os_udp *u, uint8_t *room, struct event_datagram *out)
{
	uint64_t until = os_now() + 3 * NS_S;
	uint32_t n;

	while ((n = os_udp_read(u, room, OS_UDP_BATCH, out)) == 0) assert_true(os_now() < until);
	return n;
}

/* As many as there are, a batch at a time, each with its bytes, who sent it and where it came to. */
static void batches(void **state)
{
	static uint8_t room[OS_UDP_BATCH * OS_UDP_MAX];
	struct event_datagram in[OS_UDP_BATCH];
	struct address bound, mine;
	struct os_udp *u = udp_at(&loopback4, &bound);
	int fd = plain_to("127.0.0.1", bound.port);
	struct sockaddr_in name;
	socklen_t name_n = sizeof name;
	uint32_t got = 0;

	(void)state;
	getsockname(fd, (struct sockaddr *)&name, &name_n);
	mine = loopback4, mine.port = ntohs(name.sin_port);
	assert_int_equal(os_udp_read(u, room, OS_UDP_BATCH, in), 0);
	for (uint8_t i = 0; i < 40; i++) assert_int_equal(send(fd, (uint8_t[]){ i, 7 }, 1 + i % 2, 0), 1 + i % 2);
	while (got < 40) {
		uint32_t n = read_some(u, room, in);
		assert_true(n <= OS_UDP_BATCH);
		for (uint32_t i = 0; i < n; i++, got++) {
			assert_int_equal(in[i].n, 1 + got % 2);
			assert_int_equal(in[i].p[0], got);
			assert_true(address_equal(&in[i].peer, &mine));
			assert_true(address_equal(&in[i].local, &bound));
		}
	}
	close(fd);
	os_udp_close(u);
}

static void answer_all(struct os_udp *u)
{
	static uint8_t room[OS_UDP_BATCH * OS_UDP_MAX];
	struct event_datagram in[OS_UDP_BATCH];
	uint32_t n = read_some(u, room, in);

	for (uint32_t i = 0; i < n; i++) os_udp_send(u, &in[i].peer, (const uint8_t *)"re:", 3, &(struct span){ .p = in[i].p, .n = in[i].n });
	os_udp_flush(u);
}

/* One socket for both families, and every question is answered from the address that it came to: a connected socket hears it. */
static void answers_from_where_it_was_asked(void **state)
{
	static const char *const at[] = { "127.0.0.1", "127.0.0.2", "127.0.0.77", "::1" };
	struct address bound;
	struct os_udp *u = udp_at(&any, &bound), *v4 = udp_at(&(struct address){ .ip = { [10] = 0xff, [11] = 0xff } }, &(struct address){ 0 });
	char in[20];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		int fd = plain_to(at[i], bound.port);
		if (fd < 0) continue; /* no IPv6 here */
		assert_int_equal(send(fd, "what", 4, 0), 4);
		answer_all(u);
		assert_int_equal(recv(fd, in, sizeof in, 0), 7);
		assert_memory_equal(in, "re:what", 7);
		close(fd);
	}
	os_udp_send(v4, &(struct address){ .ip = { [15] = 1 }, .port = 9 }, (const uint8_t *)"x", 1, &(struct span){ 0 }); /* no way there: dropped */
	os_udp_flush(v4);
	os_udp_close(v4);
	os_udp_close(u);
}

/* The wildcard of IPv4 alone does the same by IPv4's own means. */
static void answers_from_where_it_was_asked_v4(void **state)
{
	struct address bound;
	struct os_udp *u = udp_at(&(struct address){ .ip = { [10] = 0xff, [11] = 0xff } }, &bound);
	int fd = plain_to("127.0.0.5", bound.port);
	char in[20];

	(void)state;
	assert_int_equal(send(fd, "what", 4, 0), 4);
	answer_all(u);
	assert_int_equal(recv(fd, in, sizeof in, 0), 7);
	close(fd);
	os_udp_close(u);
}

/* What is too long is cut; more sends than a batch all go; a port in use is said. */
static void edges(void **state)
{
	static uint8_t room[OS_UDP_BATCH * OS_UDP_MAX], large[5000];
	struct event_datagram in[OS_UDP_BATCH];
	struct address bound, other;
	char error[OS_ERROR_SIZE];
	struct os_udp *u = udp_at(&loopback4, &bound), *v = udp_at(&loopback4, &other);
	uint32_t got = 0;
	int fd = plain_to("127.0.0.1", bound.port);

	(void)state;
	assert_int_equal(send(fd, large, sizeof large, 0), sizeof large);
	assert_int_equal(read_some(u, room, in), 1);
	assert_int_equal(in[0].n, OS_UDP_MAX);
	for (int i = 0; i < 50; i++) os_udp_send(v, &bound, (const uint8_t *)"abc", 3, &(struct span){ 0 });
	os_udp_flush(v);
	while (got < 50) got += read_some(u, room, in);
	assert_int_equal(got, 50);
	for (int i = 0; i < 3; i++) { /* nobody has port 0: that one is lost, the others are not */
		struct address to = bound;
		if (i == 1) to.port = 0;
		os_udp_send(v, &to, (const uint8_t *)"abc", 3, &(struct span){ 0 });
	}
	os_udp_flush(v);
	for (got = 0; got < 2;) got += read_some(u, room, in);
	assert_int_equal(got, 2);
	assert_null(os_udp_open(&bound, &other, error));
	assert_non_null(strstr(error, "in use"));
	close(fd);
	os_udp_close(u);
	os_udp_close(v);
}

static void stun_round(struct os_loop *loop, int fd, uint8_t number)
{
	uint8_t request[STUN_REQUEST], response[200], txid[STUN_TXID] = { number }, got[STUN_TXID];
	struct address mapped, mine;
	struct sockaddr_storage name;
	socklen_t name_n = sizeof name;
	ssize_t n = -1;
	uint16_t port;

	stun_request(request, txid);
	assert_int_equal(send(fd, request, sizeof request, 0), sizeof request);
	for (uint64_t until = os_now() + 3 * NS_S; n < 0 && os_now() < until;) {
		os_loop_turn(loop, os_now() + NS_MS);
		n = recv(fd, response, sizeof response, MSG_DONTWAIT);
	}
	assert_true(n > 0);
	assert_int_equal(stun_response_parse(response, (uint32_t)n, got, &mapped), STUN_GOOD);
	assert_memory_equal(got, txid, STUN_TXID);
	getsockname(fd, (struct sockaddr *)&name, &name_n);
	port = name.ss_family == AF_INET ? ((struct sockaddr_in *)&name)->sin_port : ((struct sockaddr_in6 *)&name)->sin6_port;
	mine = loopback4;
	if (name.ss_family == AF_INET6) memcpy(mine.ip, &((struct sockaddr_in6 *)&name)->sin6_addr, 16);
	mine.port = ntohs(port);
	assert_true(address_equal(&mapped, &mine));
}

/* STN-001..STN-003: a relay answers STUN on UDP to whoever asks, by both families, and nothing else; a flood of nonsense is bounded and
 * counted, and a client logs in meanwhile. */
static void relay_serves_stun(void **state)
{
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, NULL);
	const struct stun_counters *count;
	struct address bound;
	char error[OS_ERROR_SIZE], in[100];
	struct peer *p;
	int v4, v6;

	(void)state;
	assert_true(os_host_udp(b->party.host, &any, &bound, error));
	box_start(b, "");
	count = &relay_counters(b->relay)->stun;
	v4 = plain_to("127.0.0.1", bound.port), v6 = plain_to("::1", bound.port);
	for (uint8_t i = 0; i < 20; i++) stun_round(loop, v4, i);
	if (v6 >= 0) stun_round(loop, v6, 99);
	assert_int_equal(count->requests[STUN_SUCCESS], 20 + (v6 >= 0));
	assert_int_equal(count->addrfamily[STUN_IPV4], 20);
	assert_int_equal(count->addrfamily[STUN_IPV6], v6 >= 0);
	for (int i = 0; i < 100; i++) send(v4, "nonsense", 8, 0);
	p = peer_new(loop, b, NULL, "");
	AWAIT(loop, p->ready == 1 && count->requests[STUN_NOT_STUN] == 100);
	assert_int_equal(recv(v4, in, sizeof in, MSG_DONTWAIT), -1);
	peer_end(p);
	box_end(b);
	close(v4);
	if (v6 >= 0) close(v6);
	os_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches),
		cmocka_unit_test(answers_from_where_it_was_asked),
		cmocka_unit_test(answers_from_where_it_was_asked_v4),
		cmocka_unit_test(edges),
		cmocka_unit_test(relay_serves_stun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
