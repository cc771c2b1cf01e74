/* Streams of TLS over socket pairs, with a wire between them that the test moves bytes along. */
#include "os_tls.h"

#include "buf.h"
#include "key.h"
#include "os_loop.h"
#include "pair_certificates.h"
#include "pair_tls.h"

#include <errno.h>
#include <time.h>

/* ---- handshakes ---- */

/* SECURED tells what the certificates say, the meta certificate last (HTTP-011, HTTP-012), also where each byte comes alone. */
static void secured_tells_the_chain(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL);
	uint64_t now = (uint64_t)time(NULL);
	char hash[KEY_HEX + 1] = "", pin[OS_TLS_PIN + 1] = "";

	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		struct os_tls *client = tls_new(NULL, "ca.crt");
		struct wires w = wires_new(server, client, "relay.test", false);
		struct seen seen;
		w.at_once = whole ? WIRE_MAX : 1;
		shaken(&w);
		seen = tell(&w.client);
		assert_int_equal(seen.secured.version, 0x0304);
		assert_true(seen.secured.verified);
		assert_false(seen.secured.resumed);
		assert_int_equal(seen.secured.chain_n, 3);
		assert_string_equal(seen.common_name[0], "relay.test");
		assert_string_equal(seen.name[0], "dns relay.test dns *.relay.test ip 127.0.0.1 ip ::1 ");
		assert_int_equal(seen.chain[0].serial, 77);
		assert_true(seen.chain[0].not_before_s <= now && seen.chain[0].not_before_s > now - 3600);
		assert_int_equal(seen.chain[0].not_after_s - seen.chain[0].not_before_s, 20 * 86400);
		key_hex(seen.chain[0].sha256, hash);
		assert_true(os_tls_pin(server, pin));
		assert_string_equal(strchr(pin, ':') + 1, hash);
		assert_shell(hash, "openssl x509 -in relay.test.crt -outform DER | sha256sum");
		assert_string_equal(seen.common_name[1], "ca");
		assert_int_equal(seen.names[1], 0);
		assert_string_equal(seen.common_name[2], meta_name);
		assert_int_equal(seen.chain[2].serial, 2);
		assert_int_equal(seen.chain[2].not_after_s - seen.chain[2].not_before_s, 60 * 86400);
		assert_in_range(seen.chain[2].not_after_s, now + 30 * 86400 - 100, now + 30 * 86400 + 100);
		seen = tell(&w.server);
		assert_int_equal(seen.secured.chain_n, 0);
		assert_false(seen.secured.verified);
		assert_talks(&w);
		wires_end(&w);
		os_tls_free(client);
	}
	os_tls_free(server);
}

/* A client trusts what leads to a root of its own and is in time; the machine's `insecure` lets everything pass, with the verdict. */
static void verdicts(void **state)
{
	static const struct {
		const char *hostname, *why; /* NULL: it is trusted */
	} cases[] = {
		{ "relay.test", NULL },
		{ "rsa.test", NULL },
		{ "expired.test", "expired" },
		{ "stranger.test", "local issuer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct os_tls *server = tls_new(cases[i].hostname, NULL), *client = tls_new(NULL, "ca.crt");
		struct wires w = wires_new(server, client, cases[i].hostname, true);
		struct seen seen;
		shaken(&w);
		seen = tell(&w.client);
		assert_string_equal(seen.common_name[0], cases[i].hostname);
		assert_int_equal(seen.secured.verified, cases[i].why == NULL);
		assert_talks(&w); /* and a ticket comes */
		wires_end(&w);
		for (int again = 0; again < 2; again++) { /* with the ticket of the one that did not look, then without */
			w = wires_new(server, client, cases[i].hostname, false);
			shake(&w);
			assert_int_equal(w.client.result, cases[i].why == NULL ? OS_TLS_OK : OS_TLS_FAILED);
			if (cases[i].why != NULL) assert_non_null(strstr(os_tls_why(client), cases[i].why));
			wires_end(&w);
		}
		os_tls_free(server);
		os_tls_free(client);
	}
}

/* A certificate in the file is trusted whatever it is: here a server's own, not a root. */
static void trusted_is_trusted(void **state)
{
	struct os_tls *server = tls_new("stranger.test", NULL), *client = tls_new(NULL, "stranger.test.crt");
	struct wires w = wires_new(server, client, "stranger.test", false);

	(void)state;
	shaken(&w);
	assert_true(tell(&w.client).secured.verified);
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* A ticket is used once, brings the chain along, and is worth nothing once the certificate was read again. */
static void tickets_resume(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	char error[OS_TLS_ERROR_SIZE];
	static const bool resumed[] = { false, true, true, false, true };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct wires w;
		struct seen seen;
		if (i == 3) assert_true(os_tls_reload(server, error));
		w = wires_new(server, client, "relay.test", false);
		shaken(&w);
		seen = tell(&w.client);
		assert_int_equal(seen.secured.resumed, resumed[i]);
		assert_int_equal(tell(&w.server).secured.resumed, resumed[i]);
		assert_true(seen.secured.verified);
		assert_int_equal(seen.secured.chain_n, 3);
		assert_string_equal(seen.common_name[2], meta_name);
		assert_talks(&w);
		wires_end(&w);
	}
	for (int i = 0; i < 2; i++) { /* two at once have one ticket between them */
		struct wires first = wires_new(server, client, "relay.test", false), second = wires_new(server, client, "relay.test", false);
		shaken(&first);
		shaken(&second);
		assert_true(tell(&first.client).secured.resumed);
		assert_false(tell(&second.client).secured.resumed);
		assert_talks(&first);
		wires_end(&first);
		wires_end(&second);
	}
	os_tls_free(server);
	os_tls_free(client);
}

/* A ticket's key lives a day: behind it the handshake is a whole one. A client that wants no tickets never resumes. */
static void tickets_end(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt"), *never;
	struct os_tls_config config = { .ca_file = certificate_path("ca.crt"), .no_tickets = true };
	static const bool resumed[] = { false, true, true, false };
	char error[OS_TLS_ERROR_SIZE];

	(void)state;
	never = os_tls_new(&config, error);
	for (int i = 0; i < 8; i++) {
		struct wires w;
		if (i == 2) assert_true(os_tls_refresh(server, os_now() + 86000 * NS_S, error));
		if (i == 3) assert_true(os_tls_refresh(server, os_now() + 86401 * NS_S, error));
		w = wires_new(server, i < 4 ? client : never, "relay.test", false);
		shaken(&w);
		assert_int_equal(tell(&w.client).secured.resumed, i < 4 && resumed[i]);
		assert_talks(&w);
		wires_end(&w);
	}
	os_tls_free(server);
	os_tls_free(client);
	os_tls_free(never);
}

/* Of other servers, and of more of them than are remembered, tickets are not mixed up. */
static void tickets_are_of_one_server(void **state)
{
	struct os_tls *server = tls_new("127.0.0.1", NULL), *client = tls_new(NULL, "127.0.0.1.crt");

	(void)state;
	for (wires_port = 443; wires_port < 446; wires_port++) {
		struct wires w = wires_new(server, client, "", false);
		shaken(&w);
		assert_false(tell(&w.client).secured.resumed);
		assert_talks(&w);
		wires_end(&w);
	}
	wires_port = 443;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40; i++) {
			char name[20];
			struct wires w;
			snprintf(name, sizeof name, "r%d.test", i);
			w = wires_new(server, client, name, false);
			shaken(&w);
			assert_false(tell(&w.client).secured.resumed);
			assert_talks(&w);
			wires_end(&w);
		}
	os_tls_free(server);
	os_tls_free(client);
}

/* What is no TLS ends the handshake on either side, and so does a peer that goes away in the middle. */
static void garbage_and_silence(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	static const char garbage[] = "GET /derp HTTP/1.1\r\nHost: relay.test\r\nUpgrade: DERP\r\n\r\n";
	struct wires w;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct side *side;
		w = wires_new(server, client, "relay.test", false);
		side = i % 2 == 0 ? &w.server : &w.client;
		step(side);
		assert_false(side->done);
		if (i < 2)
			assert_int_equal(send(side->wire, garbage, sizeof garbage, 0), sizeof garbage);
		else
			shutdown(side->wire, SHUT_WR);
		step(side);
		assert_int_equal(side->result, OS_TLS_FAILED);
		assert_int_equal(os_tls_handshake(side->s), OS_TLS_FAILED);
		assert_true(strlen(os_tls_why(i % 2 == 0 ? server : client)) > 3);
		wires_end(&w);
	}
	os_tls_free(server);
	os_tls_free(client);
}

/* What is kept for a peer that does not read has a limit, also in a handshake: here a chain of half a megabyte. */
static void refused_has_a_limit(void **state)
{
	struct os_tls *server, *client = tls_new(NULL, "ca.crt");
	struct wires w;

	(void)state;
	assert_int_equal(
		certificates_shell("mkdir large; cp relay.test.key large; for i in $(seq 1200); do cat relay.test.crt; done >large/relay.test.crt"),
		0);
	server =
		os_tls_new(&(struct os_tls_config){ .certdir = certificate_path("large"), .hostname = "relay.test" }, (char[OS_TLS_ERROR_SIZE]){ 0 });
	assert_non_null(server);
	w = wires_new(server, client, "relay.test", false);
	step(&w.client);
	move(&w);
	step(&w.server);
	assert_int_equal(w.server.result, OS_TLS_DEAD);
	assert_int_equal(os_tls_errno(w.server.s), ENOBUFS);
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* ---- bytes ---- */

/* Many pieces go into records as full as can be; READ's limit holds; every byte comes, in order. */
static void records_are_full(void **state)
{
	enum { PIECES = 64, PIECE = 237, LARGE = 70000 };
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	struct wires w = wires_new(server, client, "relay.test", false);
	static uint8_t out[PIECES * PIECE + LARGE], in[sizeof out];
	struct iovec v[PIECES + 3];
	uint32_t n, total = 0, before, i;
	bool blocked = false;
	int error = 0;

	(void)state;
	for (i = 0; i < sizeof out; i++) out[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < PIECES; i++) v[i] = (struct iovec){ out + (size_t)i * PIECE, PIECE };
	shaken(&w);
	before = w.server.records;
	assert_int_equal(os_tls_write(w.server.s, v, PIECES, &blocked, &error), PIECES * PIECE);
	while (move(&w)) continue;
	assert_int_equal(w.server.records - before, 1);
	v[0] = (struct iovec){ out + (size_t)PIECES * PIECE, 1 };
	v[1] = (struct iovec){ out + (size_t)PIECES * PIECE + 1, 0 };
	v[2] = (struct iovec){ out + (size_t)PIECES * PIECE + 1, LARGE - 1 };
	assert_int_equal(os_tls_write(w.server.s, v, 3, &blocked, &error), LARGE);
	while (move(&w)) continue;
	assert_int_equal(w.server.records - before, 1 + (LARGE + 16383) / 16384);
	assert_false(blocked);
	for (i = 1; total < sizeof out; i = i * 3 % 5000 + 1) {
		uint32_t max = i < sizeof out - total ? i : (uint32_t)sizeof out - total;
		assert_int_equal(read_some(&w.client, in + total, max, &n), OS_TLS_OK);
		assert_true(n >= 1 && n <= max);
		total += n;
	}
	assert_memory_equal(in, out, sizeof out);
	assert_false(os_tls_pending(w.client.s));
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* Small records that came together are read together. */
static void records_are_read_together(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	struct wires w = wires_new(server, client, "relay.test", false);
	uint8_t in[1000];
	uint32_t n;
	bool blocked;

	(void)state;
	shaken(&w);
	for (int i = 0; i < 50; i++) assert_int_equal(write_one(&w.client, "0123456789", 10, &blocked), 10);
	while (move(&w)) continue;
	assert_int_equal(read_some(&w.server, in, 495, &n), OS_TLS_OK);
	assert_int_equal(n, 495);
	assert_true(os_tls_pending(w.server.s));
	assert_int_equal(read_some(&w.server, in, sizeof in, &n), OS_TLS_OK);
	assert_int_equal(n, 5);
	assert_false(os_tls_pending(w.server.s));
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* A full socket takes no more, what it refused of a record is kept and counted until its last byte is gone; nothing is lost. */
static void refused_is_kept(void **state)
{
	enum { SIZE = 3 << 20 };
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	struct wires w = wires_new(server, client, "relay.test", false);
	uint8_t *out = malloc(SIZE), *in = malloc(SIZE);
	uint32_t sent = 0, got = 0, n, times_blocked = 0;
	bool blocked = false;

	(void)state;
	for (uint32_t i = 0; i < SIZE; i++) out[i] = (uint8_t)(i * 11 + (i >> 9));
	shaken(&w);
	while (got < SIZE) {
		if (sent < SIZE && !blocked) {
			sent += (uint32_t)write_one(&w.server, out + sent, SIZE - sent, &blocked);
			if (blocked) {
				times_blocked++;
				assert_true(os_tls_blocked(w.server.s));
				assert_in_range(os_tls_inflight(w.server.s), 1, 16384);
			}
		}
		w.at_once = 5000;
		carry(&w.server, &w.client, w.at_once);
		if (blocked) assert_int_equal(os_tls_flush(w.server.s, &blocked), 0);
		if (!blocked) assert_int_equal(os_tls_inflight(w.server.s), 0);
		if (read_some(&w.client, in + got, SIZE - got, &n) == OS_TLS_OK) got += n;
	}
	assert_int_equal(sent, SIZE);
	assert_true(times_blocked > 2);
	assert_memory_equal(in, out, SIZE);
	free(in);
	free(out);
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* ---- ends ---- */

/* close_notify and FIN between records are the end of the stream, behind its last bytes; within a record FIN is a failure; a
 * reset is the socket's error. After close_notify of ours, the peer's bytes still come. */
static void ends(void **state)
{
	enum { NOTIFY, FIN, CUT, CUT_HEAD, ENDS };
	static const enum os_tls_result want[] = { OS_TLS_EOF, OS_TLS_EOF, OS_TLS_FAILED, OS_TLS_FAILED };
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	static uint8_t p[2000], record[3000];

	(void)state;
	for (int how = 0; how < ENDS; how++) {
		struct wires w = wires_new(server, client, "relay.test", false);
		enum os_tls_result result;
		uint32_t n;
		bool blocked;
		shaken(&w);
		assert_talks(&w);
		if (how == NOTIFY) {
			os_tls_finish(w.server.s);
			assert_int_equal(write_one(&w.client, "late", 4, &blocked), 4);
			while (move(&w)) continue;
			os_tls_finish(w.server.s);
			assert_int_equal(read_some(&w.server, p, sizeof p, &n), OS_TLS_OK);
			assert_int_equal(n, 4);
		} else {
			ssize_t whole;
			assert_int_equal(write_one(&w.server, p, 1000, &blocked), 1000);
			if (how == CUT || how == CUT_HEAD) {
				whole = recv(w.server.wire, record, sizeof record, MSG_DONTWAIT);
				assert_int_equal(whole, 1022);
				assert_int_equal(send(w.client.wire, record, how == CUT ? 500 : 5, 0), how == CUT ? 500 : 5);
			}
			while (move(&w)) continue;
			shutdown(w.client.wire, SHUT_WR);
			if (how == FIN) {
				assert_int_equal(read_some(&w.client, p, sizeof p, &n), OS_TLS_OK);
				assert_int_equal(n, 1000);
			}
		}
		while ((result = read_some(&w.client, p, sizeof p, &n)) == OS_TLS_AGAIN) continue;
		assert_int_equal(result, want[how]);
		assert_int_equal(read_some(&w.client, p, sizeof p, &n), want[how]);
		assert_true(os_tls_pending(w.client.s));
		wires_end(&w);
	}
	os_tls_free(server);
	os_tls_free(client);
}

/* A changed byte is a failure; a socket that nobody reads any more an errno. */
static void damage(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL), *client = tls_new(NULL, "ca.crt");
	struct wires w = wires_new(server, client, "relay.test", false);
	struct iovec v = { "hello", 5 };
	uint8_t p[100];
	uint32_t n;
	bool blocked;
	int error = 0;

	(void)state;
	shaken(&w);
	assert_int_equal(write_one(&w.server, "hello", 5, &blocked), 5);
	n = (uint32_t)recv(w.server.wire, p, sizeof p, MSG_DONTWAIT);
	p[n - 1] ^= 1;
	assert_int_equal(send(w.client.wire, p, n, 0), n);
	assert_int_equal(read_some(&w.client, p, sizeof p, &n), OS_TLS_FAILED);
	wires_end(&w);
	w = wires_new(server, client, "relay.test", false);
	shaken(&w);
	assert_int_equal(write_one(&w.client, "before", 6, &blocked), 6);
	move(&w);
	close(w.server.wire);
	w.server.wire = -1;
	assert_int_equal(os_tls_write(w.server.s, &v, 1, &blocked, &error), 0);
	assert_int_equal(error, EPIPE);
	assert_int_equal(read_some(&w.server, p, sizeof p, &n), OS_TLS_OK); /* what came before is there all the same */
	assert_int_equal(n, 6);
	assert_int_equal(read_some(&w.server, p, sizeof p, &n), OS_TLS_EOF);
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secured_tells_the_chain),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(trusted_is_trusted),
		cmocka_unit_test(tickets_resume),
		cmocka_unit_test(tickets_end),
		cmocka_unit_test(tickets_are_of_one_server),
		cmocka_unit_test(refused_has_a_limit),
		cmocka_unit_test(garbage_and_silence),
		cmocka_unit_test(records_are_full),
		cmocka_unit_test(records_are_read_together),
		cmocka_unit_test(refused_is_kept),
		cmocka_unit_test(ends),
		cmocka_unit_test(damage),
	};

	return cmocka_run_group_tests(tests, certificates_setup, certificates_teardown);
}
