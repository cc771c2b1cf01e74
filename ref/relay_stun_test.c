/* A relay's UDP sockets: what it answers, from which socket and to whom, and what it counts (STN-001..STN-003, MET-004). */
#include "netcheck.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SOCKET_SLOT = 7 };

struct world {
	struct relay *relay;
	struct actions out, up;
};

static void setup(struct world *w)
{
	static const struct socket_info sockets[2] = { { .token = (uint64_t)1 << 32 | SOCKET_SLOT, .datagram = true },
		                                       { .token = (uint64_t)1 << 32 | (SOCKET_SLOT + 1), .datagram = true } };
	char hex[KEY_HEX + 1], config[100];
	struct event_start start = { .slot_first = 1, .slot_count = 64, .turn_max = 1024, .low_water = 1024, .sockets = sockets, .sockets_n = 2 };

	snprintf(config, sizeof config, "key=%s", pair_hex(0, hex));
	start.config = config, start.config_n = strlen(config);
	*w = (struct world){ .relay = relay_new(&(struct machine_env){ 0 }) };
	actions_init(&w->out);
	actions_init(&w->up);
	machine_step(relay_machine(w->relay), &(struct event){ .kind = EVENT_START, .start = &start }, &w->out, &w->up);
}

static void teardown(struct world *w)
{
	machine_free(relay_machine(w->relay));
	actions_free(&w->out);
	actions_free(&w->up);
}

static void datagram(struct world *w, uint32_t slot, const char *from, const uint8_t *p, uint32_t n)
{
	struct event_datagram d = { .local = pair_address(1, STUN_PORT), .n = n };
	uint8_t *copy = mem_alloc(n);

	assert_true(address_parse(from, strlen(from), &d.peer));
	memcpy(copy, p, n);
	d.p = copy;
	actions_reset(&w->out);
	machine_step(relay_machine(w->relay), &(struct event){ .kind = EVENT_DATAGRAM, .token = token_make(slot, 1), .datagram = &d }, &w->out,
	             &w->up);
	free(copy);
}

/* STN-002, STN-003: a request from anywhere is answered from the socket that it came to, with where it came from. */
static void answered(void **state)
{
	static const char *const from[] = { "198.51.100.7:1", "203.0.113.250:65535", "[2001:db8::7]:41641" };
	const struct stun_counters *count;
	struct world w;

	(void)state;
	setup(&w);
	count = &relay_counters(w.relay)->stun;
	for (uint32_t i = 0; i < 3; i++) {
		uint8_t request[STUN_REQUEST], txid[STUN_TXID] = { (uint8_t)i, 9 }, got[STUN_TXID];
		struct address mapped;
		const struct action *x;
		stun_request(request, txid);
		datagram(&w, SOCKET_SLOT + i % 2, from[i], request, sizeof request);
		assert_int_equal(w.out.n, 1);
		x = &w.out.v[0];
		assert_int_equal(x->kind, ACTION_DATAGRAM);
		assert_int_equal(x->token, token_make(SOCKET_SLOT + i % 2, 1));
		assert_int_equal(x->span.n, 0);
		assert_int_equal(stun_response_parse(action_head(&w.out, x), x->head_n, got, &mapped), STUN_GOOD);
		assert_memory_equal(got, txid, STUN_TXID);
		assert_true(address_equal(&mapped, &x->address));
		assert_true(address_parse(from[i], strlen(from[i]), &mapped));
		assert_true(address_equal(&mapped, &x->address));
	}
	assert_int_equal(count->requests[STUN_SUCCESS], 3);
	assert_int_equal(count->requests[STUN_NOT_STUN], 0);
	assert_int_equal(count->addrfamily[STUN_IPV4], 2);
	assert_int_equal(count->addrfamily[STUN_IPV6], 1);
	teardown(&w);
}

/* STN-002, MET-004: everything else is ignored in silence and counted as one thing. */
static void ignored(void **state)
{
	uint8_t request[STUN_REQUEST], response[STUN_RESPONSE_MAX], txid[STUN_TXID] = { 1 };
	const struct stun_counters *count;
	struct address peer = pair_address(9, 9);
	struct world w;

	(void)state;
	setup(&w);
	count = &relay_counters(w.relay)->stun;
	stun_request(request, txid);
	datagram(&w, SOCKET_SLOT, "192.0.2.9:9", request, sizeof request - 1);
	assert_int_equal(w.out.n, 0);
	datagram(&w, SOCKET_SLOT, "192.0.2.9:9", response, stun_response(response, txid, &peer));
	assert_int_equal(w.out.n, 0);
	datagram(&w, SOCKET_SLOT, "192.0.2.9:9", (const uint8_t *)"hello", 5);
	assert_int_equal(w.out.n, 0);
	request[STUN_REQUEST - 1] ^= 1;
	datagram(&w, SOCKET_SLOT, "192.0.2.9:9", request, sizeof request);
	assert_int_equal(w.out.n, 0);
	assert_int_equal(count->requests[STUN_NOT_STUN], 4);
	assert_int_equal(count->requests[STUN_SUCCESS], 0);
	assert_int_equal(count->addrfamily[STUN_IPV4], 0);
	teardown(&w);
}

/* The names of the counters' labels (MET-004). */
static void names(void **state)
{
	(void)state;
	assert_string_equal(stun_disposition_name(STUN_READ_ERROR), "read_error");
	assert_string_equal(stun_disposition_name(STUN_NOT_STUN), "not_stun");
	assert_string_equal(stun_disposition_name(STUN_WRITE_ERROR), "write_error");
	assert_string_equal(stun_disposition_name(STUN_SUCCESS), "success");
	assert_string_equal(stun_family_name(STUN_IPV4), "ipv4");
	assert_string_equal(stun_family_name(STUN_IPV6), "ipv6");
}

/* A relay that is leaving answers nothing more. */
static void silent_when_leaving(void **state)
{
	uint8_t request[STUN_REQUEST], txid[STUN_TXID] = { 1 };
	struct event_command leave = { .verb = COMMAND_LEAVE };
	struct world w;

	(void)state;
	setup(&w);
	machine_step(relay_machine(w.relay), &(struct event){ .kind = EVENT_COMMAND, .command = &leave }, &w.out, &w.up);
	stun_request(request, txid);
	datagram(&w, SOCKET_SLOT, "192.0.2.9:9", request, sizeof request);
	assert_int_equal(w.out.n, 0);
	assert_int_equal(relay_counters(w.relay)->stun.requests[STUN_SUCCESS], 0);
	teardown(&w);
}

/* A network check of ours asks a relay of ours: the report has the relay's distance and the address under which it was seen. */
static void asked_by_netcheck(void **state)
{
	static const char config[] =
		"map={\"Regions\":{\"9\":{\"Nodes\":[{\"Name\":\"9a\",\"RegionID\":9,\"HostName\":\"h.test\",\"IPv4\":\"192.0.2.1\"}]}}}";
	const struct socket_info socket = { .token = 99, .local = pair_address(7, 41641), .datagram = true };
	struct event_start start = {
		.slot_first = 1, .slot_count = NETCHECK_SLOTS, .config = config, .config_n = sizeof config - 1, .sockets = &socket, .sockets_n = 1
	};
	struct netcheck *n = netcheck_new(&(struct machine_env){ 0 });
	struct event_datagram d = { 0 };
	struct address seen, relay;
	struct actions out, up;
	uint8_t bytes[100];
	struct world w;

	(void)state;
	setup(&w);
	actions_init(&out);
	actions_init(&up);
	machine_step(netcheck_machine(n), &(struct event){ .kind = EVENT_START, .start = &start }, &out, &up);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.v[0].token, 99);
	assert_true(address_parse("192.0.2.1:3478", 14, &relay) && address_equal(&out.v[0].address, &relay));
	memcpy(bytes, action_head(&out, &out.v[0]), out.v[0].head_n);
	datagram(&w, SOCKET_SLOT, "198.51.100.7:1024", bytes, out.v[0].head_n);
	assert_int_equal(w.out.n, 1);
	d.peer = relay, d.n = w.out.v[0].head_n;
	d.p = memcpy(bytes, action_head(&w.out, &w.out.v[0]), d.n);
	machine_step(netcheck_machine(n), &(struct event){ .kind = EVENT_DATAGRAM, .now = 25 * NS_MS, .token = 99, .datagram = &d }, &out, &up);
	assert_non_null(netcheck_report(n));
	assert_int_equal(netcheck_report_region(netcheck_report(n), 9)->ns, 25 * NS_MS);
	assert_true(address_parse("198.51.100.7:1024", 17, &seen) && address_equal(&netcheck_report(n)->global_v4, &seen));
	assert_int_equal(netcheck_home(n), 9);
	machine_free(netcheck_machine(n));
	actions_free(&out);
	actions_free(&up);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered),          cmocka_unit_test(ignored), cmocka_unit_test(names), cmocka_unit_test(silent_when_leaving),
		cmocka_unit_test(asked_by_netcheck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
