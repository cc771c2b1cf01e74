/* Certificate files, good and bad, and what the program openssl sees of a server of ours: its certificates, protocols, names. */
#include "os_tls_certificate.h"

#include "pair_certificates.h"
#include "pair_tls.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* ---- files ---- */

/* What is wrong with a file is said, with its name. */
static void files_bad(void **state)
{
	static const struct {
		const char *prepare, *hostname, *says;
	} cases[] = {
		{ "true", "none.test", "none.test.crt: cannot be read: No such file" },
		{ "cp relay.test.crt a.test.crt", "a.test", "a.test.key: cannot be read: No such file" },
		{ "echo nonsense >a.test.crt", "a.test", "a.test.crt: expected certificates in PEM" },
		{ "cp relay.test.crt a.test.crt; cp rsa.test.key a.test.key", "a.test", "a.test.key: this is not the key of" },
		{ "cp relay.test.key a.test.key", "a.test", "a.test.crt: the first certificate is not valid for 'a.test'" },
		{ "chmod 644 a.test.key", "a.test", "a.test.key: anybody on this machine may use this private key" },
		{ "chmod 600 a.test.key; echo nonsense >a.test.key", "a.test", "a.test.key: expected a private key in PEM" },
		{ "openssl pkey -in relay.test.key -aes128 -passout pass:secret -out a.test.key", "a.test", "a.test.key: expected a private key" },
		{ "sed 's/^MII./MIIx/' relay.test.crt >a.test.crt", "a.test", "a.test.crt: expected certificates in PEM" },
		{ "cp relay.test.crt 127.0.0.3.crt", "127.0.0.3", "127.0.0.3.key: cannot be read" },
		{ "openssl req -x509 -newkey rsa:1024 -nodes -keyout weak.test.key -out weak.test.crt -subj /CN=x -addext "
		  "subjectAltName=DNS:weak.test",
		  "weak.test", "weak.test.crt: cannot be used: ee key too small" },
	};
	struct os_tls_config config = { .certdir = certificates };
	char error[OS_TLS_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(certificates_shell("umask 077; %s", cases[i].prepare), 0);
		config.hostname = cases[i].hostname;
		error[0] = 0;
		assert_null(os_tls_new(&config, error));
		if (strstr(error, cases[i].says) == NULL) fail_msg("'%s' says '%s', not '%s'", cases[i].prepare, error, cases[i].says);
	}
	config = (struct os_tls_config){ .ca_file = certificate_path("none.crt") };
	assert_null(os_tls_new(&config, error));
	assert_non_null(strstr(error, "none.crt: expected certificates in PEM"));
	config = (struct os_tls_config){ .keylog_file = certificate_path("none/log") };
	assert_null(os_tls_new(&config, error));
	assert_non_null(strstr(error, "none/log: cannot be written: No such file"));
}

/* HTTP-046: for an IP address a certificate is made, for a year, its key for its owner only; the next start finds it. */
static void self_signed_is_made(void **state)
{
	static const char *const hosts[] = { "127.0.0.2", "::1" };
	static const char *const files[] = { "127.0.0.2", "1" };
	char folder[100], pin[2][OS_TLS_PIN + 1] = { "", "" }, error[OS_TLS_ERROR_SIZE], name[40];
	struct stat st;

	(void)state;
	snprintf(folder, sizeof folder, "%s/made", certificates);
	for (int host = 0; host < 2; host++) {
		for (int i = 0; i < 2; i++) {
			struct os_tls *tls = os_tls_new(&(struct os_tls_config){ .certdir = folder, .hostname = hosts[host] }, error);
			assert_non_null(tls);
			assert_true(os_tls_pin(tls, pin[i]));
			os_tls_free(tls);
		}
		assert_string_equal(pin[0], pin[1]);
		snprintf(name, sizeof name, "made/%s.key", files[host]);
		assert_int_equal(stat(certificate_path(name), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		snprintf(name, sizeof name, "made/%s.crt", files[host]);
		assert_shell(host == 0 ? "IP Address:127.0.0.2" : "IP Address:0:0:0:0:0:0:0:1", "openssl x509 -in %s -noout -text", name);
		assert_non_null(strstr(certificate_text("out"), "ASN1 OID: prime256v1"));
		assert_non_null(strstr(certificate_text("out"), "TLS Web Server Authentication"));
		assert_non_null(strstr(certificate_text("out"), "CA:FALSE"));
		assert_shell("will not expire", "openssl x509 -in %s -noout -checkend 31449600", name); /* 364 days */
		assert_shell("will expire", "openssl x509 -in %s -noout -checkend 31622400", name);     /* 366 days */
		assert_shell("OK", "openssl verify -CAfile %s %s", name, name);
	}
}

/* A file that changes is read again, at most once a second; one that is wrong changes nothing, and is complained of once. */
static void changed_files_are_read(void **state)
{
	struct os_tls *server, *client = tls_new(NULL, "ca.crt");
	uint64_t now = 100 * NS_S;
	char error[OS_TLS_ERROR_SIZE], first[OS_TLS_PIN], pin[OS_TLS_PIN];
	struct wires w;

	(void)state;
	assert_int_equal(certificates_shell("umask 077; cp relay.test.crt kept.crt; cp relay.test.key kept.key; "
	                                    "openssl x509 -req -in relay.csr -CA ca.crt -CAkey ca.key -copy_extensions copy -out new.crt"),
	                 0);
	server = tls_new("relay.test", NULL);
	os_tls_pin(server, first);
	assert_true(os_tls_refresh(server, now, error));
	assert_int_equal(certificates_shell("cp new.crt relay.test.crt"), 0);
	assert_true(os_tls_refresh(server, now + NS_S - 1, error));
	os_tls_pin(server, pin);
	assert_memory_equal(pin, first, OS_TLS_PIN);
	assert_true(os_tls_refresh(server, now += NS_S, error));
	os_tls_pin(server, pin);
	assert_memory_not_equal(pin, first, OS_TLS_PIN);
	w = wires_new(server, client, "relay.test", false);
	assert_int_equal(certificates_shell("echo nonsense >relay.test.key"), 0);
	assert_false(os_tls_refresh(server, now += NS_S, error));
	assert_non_null(strstr(error, "relay.test.key"));
	assert_true(os_tls_refresh(server, now += NS_S, error));
	shaken(&w);
	assert_int_equal(tell(&w.client).secured.chain_n, 2); /* the new one has no root behind it */
	wires_end(&w);
	assert_int_equal(certificates_shell("cp kept.crt relay.test.crt; cp kept.key relay.test.key"), 0);
	assert_true(os_tls_refresh(server, now += NS_S, error));
	os_tls_pin(server, pin);
	assert_memory_equal(pin, first, OS_TLS_PIN);
	os_tls_free(server);
	os_tls_free(client);
}

/* The secrets of a connection, for those who decrypt captures, and nobody else. */
static void keylog(void **state)
{
	char error[OS_TLS_ERROR_SIZE];
	struct os_tls *server = tls_new("relay.test", NULL);
	struct os_tls *client = os_tls_new(&(struct os_tls_config){ .keylog_file = certificate_path("keys") }, error);
	struct wires w = wires_new(server, client, "relay.test", true);
	struct stat st;

	(void)state;
	shaken(&w);
	assert_non_null(strstr(certificate_text("keys"), "CLIENT_TRAFFIC_SECRET_0 "));
	assert_int_equal(stat(certificate_path("keys"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	wires_end(&w);
	os_tls_free(server);
	os_tls_free(client);
}

/* ---- the program openssl as a client ---- */

struct door {
	struct os_tls *tls;
	int listener;
	uint16_t port;
	enum os_tls_result result; /* of the last handshake */
};

static struct door door_new(struct os_tls *tls)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof name;
	struct door door = { .tls = tls, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };

	assert_int_equal(bind(door.listener, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(door.listener, 8), 0);
	getsockname(door.listener, (struct sockaddr *)&name, &n);
	door.port = ntohs(name.sin_port);
	return door;
}

/* One connection, served until its program ends: what comes is sent back. */
static void serve(struct door *door, pid_t pid)
{
	struct os_tls_stream *s = NULL;
	int fd = -1;
	uint8_t p[1000];
	uint32_t n;
	bool blocked, shaking = true;

	for (uint64_t until = os_now() + 10 * NS_S; !certificates_ended(pid); usleep(1000)) {
		assert_true(os_now() < until);
		if (fd < 0 && (fd = accept4(door->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
			s = os_tls_open(door->tls, fd, &(struct action_tls){ .server = true, .meta_name = meta_name }, NULL);
		if (s == NULL) continue;
		if (shaking) shaking = (door->result = os_tls_handshake(s)) == OS_TLS_AGAIN;
		if (!shaking && door->result == OS_TLS_OK && os_tls_read(s, p, sizeof p, &n) == OS_TLS_OK) {
			int error = 0;
			os_tls_write(s, &(struct iovec){ p, n }, 1, &blocked, &error);
		}
		if (!shaking && door->result != OS_TLS_OK && fd >= 0) shutdown(fd, SHUT_RDWR);
	}
	os_tls_close(s);
	if (fd >= 0) close(fd);
}

/* openssl s_client with these options; its output. */
static const char *s_client(struct door *door, const char *options)
{
	serve(door, certificates_start("sleep 0.2 | openssl s_client -connect 127.0.0.1:%u -CAfile ca.crt %s", door->port, options));
	return certificate_text("said");
}

static void assert_says(const char *text, const char *want)
{
	if (strstr(text, want) == NULL) fail_msg("no '%s' in: %s", want, text);
}

/* HTTP-011, KEY-003: the meta certificate as openssl reads it, the last of the chain, with TLS 1.2 and 1.3 (HTTP-012) the same. */
static void meta_certificate_is_exact(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL);
	struct door door = door_new(server);
	const char *text;
	char want[200];

	(void)state;
	for (int version = 2; version <= 3; version++) {
		const char *said =
			s_client(&door, version == 2 ? "-tls1_2 -servername relay.test -showcerts" : "-tls1_3 -servername relay.test -showcerts");
		assert_int_equal(door.result, OS_TLS_OK);
		assert_says(said, "Verify return code: 0 (ok)");
		assert_says(said, " 2 s:CN = derpkey");
		assert_null(strstr(said, " 3 s:"));
		certificates_shell("awk '/BEGIN CERT/ { n++ } n == 3 { print } n == 3 && /END CERT/ { exit }' said >meta%d.crt", version);
	}
	assert_int_equal(certificates_shell("cmp meta2.crt meta3.crt"), 0);
	certificates_shell("openssl x509 -in meta3.crt -noout -text -nameopt RFC2253; openssl verify -CAfile meta3.crt meta3.crt");
	text = certificate_text("out");
	assert_says(text, "Version: 3 ");
	assert_says(text, "Serial Number: 2 (0x2)");
	assert_says(text, "Signature Algorithm: ED25519");
	assert_says(text, "Public Key Algorithm: ED25519");
	snprintf(want, sizeof want, "Subject: CN=%s\n", meta_name);
	assert_says(text, want);
	snprintf(want, sizeof want, "Issuer: CN=%s\n", meta_name);
	assert_says(text, want);
	assert_says(text, "X509v3 extensions:\n            X509v3 Basic Constraints: critical\n                CA:FALSE\n    Signature Algorithm");
	assert_says(text, "meta3.crt: OK"); /* it signs itself */
	close(door.listener);
	os_tls_free(server);
}

/* What a handshake asks for and what comes of it. */
static void handshakes(void **state)
{
	static const struct {
		const char *hostname, *options, *says;
		enum os_tls_result result;
	} cases[] = {
		/* HTTP-019 */
		{ "relay.test", "-servername relay.test -tls1_3", "New, TLSv1.3", OS_TLS_OK },
		{ "relay.test", "-servername relay.test -tls1_2", "New, TLSv1.2", OS_TLS_OK },
		{ "relay.test", "-servername relay.test -tls1_1 -cipher ALL@SECLEVEL=0", "alert protocol version", OS_TLS_FAILED },
		/* HTTP-020: http/1.1 in whatever order, and nothing else */
		{ "relay.test", "-servername relay.test -alpn http/1.1,h2", "ALPN protocol: http/1.1", OS_TLS_OK },
		{ "relay.test", "-servername relay.test -alpn h2,http/1.1", "ALPN protocol: http/1.1", OS_TLS_OK },
		{ "relay.test", "-servername relay.test", "No ALPN negotiated", OS_TLS_OK },
		{ "relay.test", "-servername relay.test -alpn h2", "alert no application protocol", OS_TLS_FAILED },
		/* HTTP-046 */
		{ "relay.test", "-servername other.test", "alert internal error", OS_TLS_FAILED },
		{ "relay.test", "-servername Relay.test", "alert internal error", OS_TLS_FAILED },
		{ "relay.test", "-noservername", "alert internal error", OS_TLS_FAILED },
		{ "127.0.0.1", "-noservername", "TLSv1.3", OS_TLS_OK },
		{ "127.0.0.1", "-servername other.test", "TLSv1.3", OS_TLS_OK },
		{ "rsa.test", "-servername rsa.test", "Peer signature type: RSA-PSS", OS_TLS_OK },
		{ "relay.test", "-servername relay.test", "Peer signature type: ECDSA", OS_TLS_OK },
		/* neither compression nor a second handshake */
		{ "relay.test", "-servername relay.test -tls1_2 -comp", "Compression: NONE", OS_TLS_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct os_tls *server = tls_new(cases[i].hostname, NULL);
		struct door door = door_new(server);
		const char *text = s_client(&door, cases[i].options);
		if (strstr(text, cases[i].says) == NULL) fail_msg("%s: no '%s' in: %s", cases[i].options, cases[i].says, text);
		assert_int_equal(door.result, cases[i].result);
		close(door.listener);
		os_tls_free(server);
	}
}

/* Whoever wants to shake hands again and again is refused; key updates are answered. */
static void renegotiation_is_refused(void **state)
{
	struct os_tls *server = tls_new("relay.test", NULL);
	struct door door = door_new(server);

	(void)state;
	serve(&door, certificates_start("{ sleep 0.1; echo R; sleep 0.2; echo still; sleep 0.2; } | "
	                                "openssl s_client -connect 127.0.0.1:%u -servername relay.test -tls1_2",
	                                door.port));
	assert_says(certificate_text("said"), "no renegotiation");
	serve(&door, certificates_start("{ sleep 0.1; echo K; sleep 0.1; echo k; sleep 0.1; echo still here; sleep 0.2; } | "
	                                "openssl s_client -connect 127.0.0.1:%u -servername relay.test -tls1_3",
	                                door.port));
	assert_says(certificate_text("said"), "KEYUPDATE");
	assert_says(certificate_text("said"), "still here");
	close(door.listener);
	os_tls_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_bad),
		cmocka_unit_test(self_signed_is_made),
		cmocka_unit_test(changed_files_are_read),
		cmocka_unit_test(keylog),
		cmocka_unit_test(meta_certificate_is_exact),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(renegotiation_is_refused),
	};

	return cmocka_run_group_tests(tests, certificates_setup, certificates_teardown);
}
