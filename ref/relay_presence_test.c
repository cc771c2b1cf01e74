/* What watchers are told of a connection: address and flags, from every way in; and what the relay shows of itself before that. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, D = 0x80, MESH = 0xe0 };

#define MESHED "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

static int watcher(struct pair *p, int r)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };
	struct wire_frame f;
	int s = wire_login(p, r, D, &info);

	wire_send_frame(p, s, FRAME_WATCH_CONNS, NULL, 0);
	assert_true(wire_frame(p, s, &f)); /* itself */
	return s;
}

/* The next PeerPresent: 51 bytes, key first. */
static const uint8_t *present(struct pair *p, int w)
{
	struct key key = pair_public(A);
	struct wire_frame f = { 0 };

	if (!wire_frame(p, w, &f) || f.type != FRAME_PEER_PRESENT) fail_msg("no PeerPresent");
	assert_int_equal(f.n, 51);
	assert_memory_equal(f.p, key.b, KEY_SIZE);
	return f.p + KEY_SIZE;
}

/* A login over HTTP, with these fields in the request. */
static int login(struct pair *p, int r, uint16_t port, const char *fields, const struct client_info *info)
{
	struct key server = pair_public(SERVER);
	char request[300];
	int s = wire_connect_port(p, r, port);

	snprintf(request, sizeof request, "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n%s\r\n", fields);
	wire_send(p, s, request, strlen(request));
	wire_client_info(p, s, A, &server, info);
	return s;
}

/* PGR-018, PGR-020: the address is the TCP peer's, IPv4 mapped into IPv6, the port big-endian; all zero if it is not known. */
static void addresses(void **state)
{
	static const struct address from[] = {
		{ .ip = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 9 }, .port = 0x1234 },
		{ .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, .port = 443 },
		{ .port = 0 },
	};
	struct client_info info = { .version = 2 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pair *p = pair_new(0);
		int r = pair_relay(p, SERVER, MESHED), w = watcher(p, r);
		const uint8_t *told;
		p->remote = from[i];
		p->nameless = i == 2;
		login(p, r, 80, "", &info);
		told = present(p, w);
		assert_memory_equal(told, from[i].ip, 16);
		assert_int_equal(told[16] << 8 | told[17], from[i].port);
		pair_free(p);
	}
}

/* PGR-019, HTTP-018: regular only if nothing else is set; mesh peer, prober, not ideal in any combination. */
static void flags(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct pair *p = pair_new(0);
		struct client_info info = { .version = 2, .is_prober = i & 2 };
		int r = pair_relay(p, SERVER, MESHED), w = watcher(p, r);
		if (i & 1) info.mesh_key = pair_key(MESH);
		login(p, r, i & 1 ? 443 : 80, i & 4 ? "Ideal-Node: anything\r\n" : "Ideal-Node:\r\n", &info);
		assert_int_equal(present(p, w)[18], i == 0 ? 0x01 : i << 1);
		assert_int_equal(relay_counters(p->host[r].relay)->current_notideal_connections, i >> 2);
		pair_free(p);
	}
}

/* HTTP-011: the host is told the name of the certificate to append to every TLS chain: derpkey and the public key in lower case. */
static void meta_certificate(void **state)
{
	struct pair *p = pair_new(0);
	int r = pair_relay(p, SERVER, ""), s = wire_connect_port(p, r, 443);

	(void)state;
	assert_string_equal(p->stream[s].end[1].meta, "derpkey8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
	assert_int_equal(FRAME_PROTOCOL_VERSION, 2); /* its serial */
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(flags),
		cmocka_unit_test(meta_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
