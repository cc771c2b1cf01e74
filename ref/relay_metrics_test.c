/* Metrics as text: every name of the original with its type and labels, values that a story must leave, JSON that is JSON. */
#include "json.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVER = 0x00, A = 0x20, B = 0x40, MESH = 0xe0 };

#define MESHED "mesh-key=e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"

static char varz[1 << 16], vars[1 << 16];

/* Fetches both forms. */
static void fetch(struct pair *p, int r)
{
	struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = 5000 };
	char *const to[] = { varz, vars };

	p->remote = loopback;
	for (int i = 0; i < 2; i++) {
		static const char *const request[] = { "GET /debug/varz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /debug/vars HTTP/1.1\r\nHost: x\r\n\r\n" };
		int s = wire_connect(p, r);
		size_t n;
		const uint8_t *b;
		wire_send(p, s, request[i], strlen(request[i]));
		assert_true(wire_http(p, s));
		b = wire_rest(p, s, &n);
		assert_true(n < sizeof varz);
		memcpy(to[i], b, n);
		to[i][n] = 0;
		wire_reset(p, s);
	}
	p->remote = (struct address){ 0 };
}

static void line(const char *want)
{
	char text[300];

	snprintf(text, sizeof text, "\n%s\n", want);
	if (strncmp(varz, want, strlen(want)) != 0 && strstr(varz, text) == NULL) fail_msg("no line '%s' in\n%s", want, varz);
}

static void member(const char *want)
{
	if (strstr(vars, want) == NULL) fail_msg("no '%s' in\n%s", want, vars);
}

static int login_mesh(struct pair *p, int r, uint8_t key)
{
	struct client_info info = { .version = 2, .mesh_key = pair_key(MESH) };

	return wire_login(p, r, key, &info);
}

/* The names of MET-002 and MET-004 that are plain numbers. */
static const struct {
	const char *json, *prometheus, *type; /* type NULL: untyped */
} named[] = {
	{ "accepts", "derp_accepts", "counter" },
	{ "average_queue_duration_ms", "derp_average_queue_duration_ms", NULL },
	{ "bytes_received", "derp_bytes_received", "counter" },
	{ "bytes_sent", "derp_bytes_sent", "counter" },
	{ "counter_total_dup_client_conns", "derp_total_dup_client_conns", "counter" },
	{ "gauge_clients_local", "derp_clients_local", "gauge" },
	{ "gauge_clients_remote", "derp_clients_remote", "gauge" },
	{ "gauge_clients_total", "derp_clients_total", "gauge" },
	{ "gauge_current_connections", "derp_current_connections", "gauge" },
	{ "gauge_current_dup_client_conns", "derp_current_dup_client_conns", "gauge" },
	{ "gauge_current_dup_client_keys", "derp_current_dup_client_keys", "gauge" },
	{ "gauge_current_home_connections", "derp_current_home_connections", "gauge" },
	{ "gauge_current_notideal_connections", "derp_current_notideal_connections", "gauge" },
	{ "gauge_watchers", "derp_watchers", "gauge" },
	{ "got_ping", "derp_got_ping", "counter" },
	{ "home_moves_in", "derp_home_moves_in", "counter" },
	{ "home_moves_out", "derp_home_moves_out", "counter" },
	{ "multiforwarder_created", "derp_multiforwarder_created", "counter" },
	{ "multiforwarder_deleted", "derp_multiforwarder_deleted", "counter" },
	{ "packet_forwarder_delete_other_value", "derp_packet_forwarder_delete_other_value", "counter" },
	{ "packets_forwarded_in", "derp_packets_forwarded_in", "counter" },
	{ "packets_forwarded_out", "derp_packets_forwarded_out", "counter" },
	{ "packets_received", "derp_packets_received", "counter" },
	{ "packets_sent", "derp_packets_sent", "counter" },
	{ "peer_gone_disconnected_frames", "derp_peer_gone_disconnected_frames", "counter" },
	{ "peer_gone_not_here_frames", "derp_peer_gone_not_here_frames", "counter" },
	{ "sclient_write_timeouts", "derp_sclient_write_timeouts", "counter" },
	{ "sent_pong", "derp_sent_pong", "counter" },
	{ "unknown_frames", "derp_unknown_frames", "counter" },
	{ "derp_websocket_accepts", "derp_websocket_accepts", "counter" },
	{ "counter_accepted_connections", "tls_listener_accepted_connections", "counter" },
	{ "counter_rejected_connections", "tls_listener_rejected_connections", "counter" },
	{ "counter_bootstrap_dns_requests", "bootstrap_dns_requests", "counter" },
	{ "counter_bootstrap_dns_published_hits", "bootstrap_dns_published_hits", "counter" },
	{ "counter_bootstrap_dns_published_misses", "bootstrap_dns_published_misses", "counter" },
	{ "counter_bootstrap_dns_unpublished_hits", "bootstrap_dns_unpublished_hits", "counter" },
	{ "counter_bootstrap_dns_unpublished_misses", "bootstrap_dns_unpublished_misses", "counter" },
	{ "counter_bootstrap_dns_unpublished_percent_misses", "bootstrap_dns_unpublished_percent_misses", "counter" },
};

/* One of them, at 0, in both forms. */
static void named_zero(size_t i)
{
	char want[200];

	snprintf(want, sizeof want, "# TYPE %s %s", named[i].prometheus, named[i].type == NULL ? "" : named[i].type);
	if (named[i].type != NULL)
		line(want);
	else
		assert_null(strstr(varz, want));
	snprintf(want, sizeof want, "%s 0", named[i].prometheus);
	line(want);
	snprintf(want, sizeof want, "\"%s\": 0", named[i].json);
	member(want);
}

/* MET-006: every reason and kind is there from the start. */
static void drops_zero(void)
{
	static const char *const reasons[] = { "unknown_dest", "unknown_dest_on_fwd", "gone_disconnected", "queue_head",
		                               "queue_tail",   "write_error",         "dup_client" };
	char want[200];

	for (int i = 0; i < 7 * 2 * 2; i++) {
		snprintf(want, sizeof want, "derp_%s_dropped{reason=\"%s\",kind=\"%s\"} 0", i % 2 ? "bytes" : "packets", reasons[i / 4],
		         i / 2 % 2 == 0 ? "disco" : "other");
		line(want);
	}
	line("# TYPE derp_packets_dropped counter");
	line("# TYPE derp_bytes_dropped counter");
}

/* MET-001, MET-002, MET-004, MET-006: names and types of a relay that has done nothing, in both forms and profiles. */
static void names(void **state)
{
	(void)state;
	for (int derper = 0; derper < 2; derper++) {
		struct pair *p = pair_new(0);
		int r = pair_relay(p, SERVER, derper ? "profile=derper\n" : "");
		fetch(p, r);
		for (size_t i = 0; i < sizeof named / sizeof *named; i++) named_zero(i);
		drops_zero();
		line("# TYPE derp_packets_received_kind counter");
		line("derp_packets_received_kind{kind=\"disco\"} 0");
		line("derp_packets_received_kind{kind=\"other\"} 0");
		line("# TYPE derp_mesh_update_batch_size histogram");
		line("derp_mesh_update_batch_size_bucket{le=\"1000\"} 0");
		line("derp_mesh_update_batch_size_bucket{le=\"+Inf\"} 0");
		line("derp_mesh_update_loop_count_bucket{le=\"100\"} 0");
		assert_null(strstr(varz, "derp_mesh_update_loop_count_bucket{le=\"200\"}"));
		line("# TYPE derper_tls_active_version gauge");
		line("derper_tls_request_version{version=\"1.3\"} 0");
		line("process_start_unix_time 0");
		member("\"version\": \"derpsim\"");
		assert_null(strstr(varz, "derp_version"));
		assert_null(strstr(varz, "rate_limit")); /* RAT-008 */
		assert_null(strstr(vars, "rate_limit"));
		assert_int_equal(strstr(varz, "derp_logins ") == NULL, derper); /* ours */
		assert_int_equal(strstr(vars, "\"derp_packets_dropped\": \"MultiLabelMap\"") != NULL, derper);
		pair_free(p);
	}
}

/* RAT-004, RAT-008: with a rate file there are three more, and the burst is the raised one. */
static void names_with_rates(void **state)
{
	struct pair *p = pair_new(0);
	int r = pair_relay(p, SERVER, "rate-config={\"PerClientRateLimitBytesPerSec\":20000,\"PerClientRateBurstBytes\":7}\n");

	(void)state;
	fetch(p, r);
	line("derp_rate_limit_per_client_bytes_per_second 20000");
	line("derp_rate_limit_per_client_burst_bytes 65568");
	assert_null(strstr(varz, "# TYPE derp_rate_limit_per_client_b"));
	line("# TYPE derp_rate_limit_per_client_waited counter");
	member("\"rate_limit_per_client_waited\": 0");
	pair_free(p);
}

/* Members of an object by name: walks down `path` (separated by '/') and returns the number there. */
static uint64_t number(const char *path)
{
	struct json_reader *j = mem_alloc(sizeof *j);
	const char *p = path;
	uint64_t v = 0;

	json_init(j, vars, strlen(vars));
	while (*p != 0) {
		size_t n = strcspn(p, "/"), name_n;
		const uint8_t *name;
		bool found = false;
		assert_int_equal(json_peek(j), JSON_OBJECT);
		json_enter(j);
		while (!found && json_member(j, &name, &name_n)) {
			found = name_n == n && memcmp(name, p, n) == 0;
			if (!found) json_skip(j);
		}
		if (!found) fail_msg("no %s in\n%s", path, vars);
		p += n + (p[n] == '/');
	}
	v = json_u64(j);
	if (j->bad) fail_msg("%s: %s at %zu in\n%s", path, j->error, j->at, vars);
	free(j);
	return v;
}

static void is_json(void)
{
	struct json_reader *j = mem_alloc(sizeof *j);

	json_init(j, vars, strlen(vars));
	json_skip(j);
	if (!json_done(j)) fail_msg("%s at %zu in\n%s", j->error, j->at, vars);
	free(j);
}

/* SRV-009, SRV-015, SRV-021, SRV-027, MET-003, MET-006: what a story leaves in both forms. */
static void values(void **state)
{
	static const uint8_t disco[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac }, packet[100] = { 1 };
	struct pair *p = pair_new(0);
	int r = pair_relay(p, SERVER, MESHED), a = wire_login(p, r, A, NULL), b = wire_login(p, r, B, NULL), m = login_mesh(p, r, 0x60);
	struct key to_b = pair_public(B), nobody = pair_public(0x80);

	(void)state;
	wire_send_frame(p, m, FRAME_WATCH_CONNS, NULL, 0);
	wire_send_packet(p, a, &to_b, packet, sizeof packet);
	wire_send_packet(p, a, &to_b, disco, sizeof disco);
	wire_send_packet(p, a, &nobody, packet, 7);
	wire_send_packet(p, a, &nobody, disco, sizeof disco);
	wire_send_frame(p, a, FRAME_PING, packet, 8);
	wire_send_frame(p, a, FRAME_NOTE_PREFERRED, packet, 1);
	wire_login(p, r, A, NULL);
	fetch(p, r);
	is_json();
	assert_int_equal(number("derp/accepts"), 4);
	assert_int_equal(number("derp/gauge_current_connections"), 4);
	assert_int_equal(number("derp/gauge_clients_local"), 3); /* the mesh peer's key too */
	assert_int_equal(number("derp/gauge_clients_total"), 3);
	assert_int_equal(number("derp/gauge_current_dup_client_keys"), 1);
	assert_int_equal(number("derp/gauge_current_dup_client_conns"), 2);
	assert_int_equal(number("derp/gauge_current_home_connections"), 1);
	assert_int_equal(number("derp/gauge_watchers"), 1);
	assert_int_equal(number("derp/packets_received"), 4);
	assert_int_equal(number("derp/bytes_received"), 100 + 62 + 7 + 62);
	assert_int_equal(number("derp/counter_packets_received_kind/disco"), 2);
	assert_int_equal(number("derp/packets_sent"), 2);
	assert_int_equal(number("derp/bytes_sent"), 162);
	assert_int_equal(number("derp/got_ping"), 1);
	assert_int_equal(number("derp/sent_pong"), 1);
	assert_int_equal(number("derp/peer_gone_not_here_frames"), 1);
	assert_int_equal(number("derp/logins"), 4);
	assert_int_equal(number("derp_packets_dropped/unknown_dest/disco"), 1);
	assert_int_equal(number("derp_bytes_dropped/unknown_dest/other"), 7);
	assert_int_equal(number("derp_bytes_dropped/write_error/other"), 0);
	/* the list of three at once, then the fourth login */
	assert_int_equal(number("derp/counter_mesh_update_batch_size/1"), 1);
	assert_int_equal(number("derp/counter_mesh_update_batch_size/2"), 1);
	assert_int_equal(number("derp/counter_mesh_update_batch_size/5"), 2);
	assert_int_equal(number("derp/counter_mesh_update_batch_size/sum"), 4);
	assert_int_equal(number("derp/counter_mesh_update_batch_size/count"), 2);
	assert_int_equal(number("derp/counter_mesh_update_loop_count/0"), 0);
	assert_int_equal(number("derp/counter_mesh_update_loop_count/1"), 2);
	line("derp_packets_received_kind{kind=\"disco\"} 2");
	line("derp_packets_dropped{reason=\"unknown_dest\",kind=\"other\"} 1");
	line("derp_bytes_dropped{reason=\"unknown_dest\",kind=\"disco\"} 62");
	line("derp_mesh_update_batch_size_bucket{le=\"5\"} 2");
	line("derp_mesh_update_batch_size_sum 4");
	wire_fin(p, b);
	pair_advance(p, 61 * NS_S + 999 * NS_MS);
	fetch(p, r);
	line("derp_current_connections 3");
	line("uptime_sec 61");
	assert_int_equal(number("counter_uptime_sec"), 61);
	pair_free(p);
}

/* MET-002: a tenth of each packet's whole milliseconds in the queue moves the average, also of those dropped at the head; packets
 * that did not wait pull it back. */
static void queue_time(void **state)
{
	static uint8_t packet[60000];
	struct pair *p = pair_new(0);
	int r = pair_relay(p, SERVER, "queue-depth=1\nwrite-timeout=0s\n"), a = wire_login(p, r, A, NULL), b = wire_login(p, r, B, NULL);
	struct key to_b = pair_public(B);

	(void)state;
	wire_room(p, b, 0);
	for (int i = 0; i < 4; i++) wire_send_packet(p, a, &to_b, packet, sizeof packet); /* the fourth waits */
	fetch(p, r);
	line("derp_average_queue_duration_ms 0");
	pair_advance(p, 25 * NS_MS + 999 * NS_US);
	wire_send_packet(p, a, &to_b, packet, sizeof packet); /* drops it: 25 ms */
	fetch(p, r);
	line("derp_average_queue_duration_ms 2.5");
	member("\"average_queue_duration_ms\": 2.5,");
	pair_advance(p, 10 * NS_MS);
	wire_room(p, b, SIZE_MAX); /* the other one goes out after 10 ms */
	fetch(p, r);
	line("derp_average_queue_duration_ms 3.25");
	wire_send_packet(p, a, &to_b, packet, 1);
	fetch(p, r);
	line("derp_average_queue_duration_ms 2.925");
	is_json();
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_with_rates),
		cmocka_unit_test(values),
		cmocka_unit_test(queue_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
