/* Relays and clients of ours with TLS on loopback sockets: with fast start and without, with certificates good and bad, in a crowd. */
#include "os_tls.h"

#include "pair_certificates.h"
#include "pair_sockets.h"
#include "pair_tls.h"

static struct os_tls *ours; /* of relays and clients: its root is trusted */

static int setup(void **state)
{
	if (certificates_setup(state) != 0) return -1;
	ours = tls_new("127.0.0.1", "ca.crt");
	return 0;
}

static int teardown(void **state)
{
	os_tls_free(ours);
	return certificates_teardown(state);
}

/* HTTP-009: with TLS 1.3 the client finds the meta certificate and asks for no answer (HTTP-008); with 1.2 it does. */
static void fast_and_slow_start(void **state)
{
	static const uint32_t size[] = { 0, 1, 1400, 65536 };
	struct os_tls_config config = { .ca_file = certificate_path("ca.crt"), .version_max = 0x0303 };
	char error[OS_TLS_ERROR_SIZE];
	struct os_tls *old = os_tls_new(&config, error);
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, ours);
	struct peer *fast, *slow;

	(void)state;
	box_start(b, "");
	fast = peer_new(loop, b, ours, "");
	AWAIT(loop, fast->ready == 1);
	slow = peer_new(loop, b, old, "");
	AWAIT(loop, slow->ready == 1);
	for (uint32_t i = 0; i < 4; i++) {
		struct packet *there = pattern(size[i], i), *back = pattern(size[i], i + 100);
		peer_send(slow, fast->key, there);
		peer_send(fast, slow->key, back);
		AWAIT(loop, slow->packets == i + 1 && fast->packets == i + 1);
		assert_got(fast, i, slow->key, there);
		assert_got(slow, i, fast->key, back);
		packet_drop(there);
		packet_drop(back);
	}
	fflush(fast->party.log_file);
	fflush(slow->party.log_file);
	fflush(b->party.log_file);
	assert_int_equal(strncmp(fast->party.log, "1 out HTTP ", 11), 0);
	assert_null(strstr(fast->party.log, "in HTTP"));
	assert_int_equal(strncmp(strchr(fast->party.log, '\n'), "\n1 out ClientInfo ", 18), 0); /* before it has read a byte */
	assert_non_null(strstr(slow->party.log, "1 in HTTP 172\n"));
	assert_null(strstr(b->party.log, "1 out HTTP"));
	assert_non_null(strstr(b->party.log, "2 out HTTP 172\n"));
	assert_int_equal(relay_counters(b->relay)->tls_requests[1], 1);
	assert_int_equal(relay_counters(b->relay)->tls_requests[0], 1);
	assert_int_equal(relay_counters(b->relay)->tls_active[1], 1);
	peer_end(fast);
	peer_end(slow);
	box_end(b);
	os_loop_free(loop);
	os_tls_free(old);
}

/* A relay whose certificate is expired, or of an unknown root, gets no client; one that judges nothing comes in all the same. */
static void clients_judge(void **state)
{
	static const char *const bad[] = { "expired.test", "stranger.test" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct os_tls_config config = { .certdir = certificate_path("bad"), .hostname = "127.0.0.1" };
		char error[OS_TLS_ERROR_SIZE];
		struct os_loop *loop = os_loop_new();
		struct os_tls *server;
		struct box *b;
		struct peer *careful, *careless;
		certificates_shell("umask 077; mkdir -p bad; for n in crt key; do cp %s.$n bad/127.0.0.1.$n; done", bad[i]);
		server = os_tls_new(&config, error);
		assert_non_null(server);
		b = box_new(loop, server);
		box_start(b, "");
		careful = peer_new(loop, b, ours, "retry=manual\n");
		careless = peer_new(loop, b, ours, "insecure=on\n");
		AWAIT(loop, careful->ended == 1 && careless->ready == 1);
		assert_int_equal(careful->end, CLIENT_END_TLS);
		peer_end(careful);
		peer_end(careless);
		box_end(b);
		os_loop_free(loop);
		os_tls_free(server);
	}
}

/* A crowd of handshakes, some from strangers: nobody who is in waits for all of them. */
static void crowd_at_the_door(void **state)
{
	enum { CROWD = 100 };
	struct os_loop *loop = os_loop_new();
	struct box *b = box_new(loop, ours);
	struct peer *from, *to, *crowd[CROWD];
	struct packet *packet = pattern(100, 1);
	uint32_t in = 0;

	(void)state;
	box_start(b, "");
	from = peer_new(loop, b, ours, "");
	to = peer_new(loop, b, ours, "");
	AWAIT(loop, from->ready == 1 && to->ready == 1);
	for (int i = 0; i < CROWD; i++) crowd[i] = peer_new(loop, b, ours, i % 10 == 0 ? "insecure=on\n" : "");
	peer_send(from, to->key, packet);
	AWAIT(loop, to->packets == 1);
	for (int i = 0; i < CROWD; i++) in += crowd[i]->ready;
	assert_true(in < CROWD);
	for (int i = 0; i < CROWD; i++) AWAIT(loop, crowd[i]->ready == 1);
	assert_int_equal(relay_counters(b->relay)->logins, CROWD + 2);
	for (int i = 0; i < CROWD; i++) peer_end(crowd[i]);
	packet_drop(packet);
	peer_end(from);
	peer_end(to);
	box_end(b);
	os_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_and_slow_start),
		cmocka_unit_test(clients_judge),
		cmocka_unit_test(crowd_at_the_door),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
