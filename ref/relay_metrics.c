/* Counters as text: JSON as at /debug/vars, Prometheus as at /debug/varz; and what /debug/check and /healthz make of them.
 *
 * MET-001..MET-007. Names, types, labels and order are the original's; in JSON a name keeps the prefix that tells its type. Ours
 * adds some counters to the set, which profile=derper leaves out.
 *
 * Absent, since only a host can know them: tcp_rtt, memstats_sys0, current_file_descriptors, buffered_write_frames (a flush is the
 * host's turn), and of the top level memstats, goroutines, go_* and stun_* (no STUN here). Also unpublished: which names
 * /bootstrap-dns was asked for. */
#include "session.h"

#include <stdio.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE, UNTYPED, MILLIONTHS /* untyped, with a fraction */, HISTOGRAM, KINDS, VERSION };
enum metric_when { ALWAYS, OURS, RATES /* with a rate file (RAT-008) */ };

struct metric {
	const char *name; /* of the JSON form; the other drops a gauge_ or counter_ in front */
	enum metric_type type;
	enum metric_when when;
	size_t offset; /* in relay_counters */
	uint32_t bounds;
};

#define AT(member) offsetof(struct relay_counters, member)
/* Sorted by name. */
static const struct metric set[] = {
	{ "accepts", COUNTER, ALWAYS, AT(accepts), 0 },
	{ "average_queue_duration_ms", MILLIONTHS, ALWAYS, AT(average_queue_duration_ms), 0 },
	{ "bytes_received", COUNTER, ALWAYS, AT(bytes_received), 0 },
	{ "bytes_sent", COUNTER, ALWAYS, AT(bytes_sent), 0 },
	{ "counter_mesh_update_batch_size", HISTOGRAM, ALWAYS, AT(mesh_update_batch_size), 11 },
	{ "counter_mesh_update_loop_count", HISTOGRAM, ALWAYS, AT(mesh_update_loop_count), 8 },
	{ "counter_packets_received_kind", KINDS, ALWAYS, AT(packets_received_kind), 0 },
	{ "counter_total_dup_client_conns", COUNTER, ALWAYS, AT(total_dup_client_conns), 0 },
	{ "gauge_clients_local", GAUGE, ALWAYS, AT(clients_local), 0 },
	{ "gauge_clients_remote", GAUGE, ALWAYS, AT(clients_remote), 0 },
	{ "gauge_clients_total", GAUGE, ALWAYS, AT(clients_total), 0 },
	{ "gauge_current_connections", GAUGE, ALWAYS, AT(current_connections), 0 },
	{ "gauge_current_dup_client_conns", GAUGE, ALWAYS, AT(current_dup_client_conns), 0 },
	{ "gauge_current_dup_client_keys", GAUGE, ALWAYS, AT(current_dup_client_keys), 0 },
	{ "gauge_current_home_connections", GAUGE, ALWAYS, AT(current_home_connections), 0 },
	{ "gauge_current_notideal_connections", GAUGE, ALWAYS, AT(current_notideal_connections), 0 },
	{ "gauge_watchers", GAUGE, ALWAYS, AT(watchers), 0 },
	{ "got_ping", COUNTER, ALWAYS, AT(got_ping), 0 },
	{ "home_moves_in", COUNTER, ALWAYS, AT(home_moves_in), 0 },
	{ "home_moves_out", COUNTER, ALWAYS, AT(home_moves_out), 0 },
	{ "keepalive_frames", COUNTER, OURS, AT(keepalive_frames), 0 },
	{ "logins", COUNTER, OURS, AT(logins), 0 },
	{ "logins_failed", COUNTER, OURS, AT(logins_failed), 0 },
	{ "multiforwarder_created", COUNTER, ALWAYS, AT(multiforwarder_created), 0 },
	{ "multiforwarder_deleted", COUNTER, ALWAYS, AT(multiforwarder_deleted), 0 },
	{ "packet_forwarder_delete_other_value", COUNTER, ALWAYS, AT(packet_forwarder_delete_other_value), 0 },
	{ "packets_forwarded_in", COUNTER, ALWAYS, AT(packets_forwarded_in), 0 },
	{ "packets_forwarded_out", COUNTER, ALWAYS, AT(packets_forwarded_out), 0 },
	{ "packets_received", COUNTER, ALWAYS, AT(packets_received), 0 },
	{ "packets_sent", COUNTER, ALWAYS, AT(packets_sent), 0 },
	{ "peer_gone_disconnected_frames", COUNTER, ALWAYS, AT(peer_gone_disconnected_frames), 0 },
	{ "peer_gone_not_here_frames", COUNTER, ALWAYS, AT(peer_gone_not_here_frames), 0 },
	{ "peer_gone_suppressed", COUNTER, OURS, AT(peer_gone_suppressed), 0 },
	{ "peer_present_frames", COUNTER, OURS, AT(peer_present_frames), 0 },
	{ "rate_limit_per_client_burst_bytes", UNTYPED, RATES, AT(rate_limit_per_client_burst_bytes), 0 },
	{ "rate_limit_per_client_bytes_per_second", UNTYPED, RATES, AT(rate_limit_per_client_bytes_per_second), 0 },
	{ "rate_limit_per_client_waited", COUNTER, RATES, AT(rate_limit_per_client_waited), 0 },
	{ "sclient_write_timeouts", COUNTER, ALWAYS, AT(write_timeouts), 0 },
	{ "sent_pong", COUNTER, ALWAYS, AT(sent_pong), 0 },
	{ "unknown_frames", COUNTER, ALWAYS, AT(unknown_frames), 0 },
	{ "version", VERSION, ALWAYS, 0, 0 },
};

static const uint32_t bounds[RELAY_BOUNDS_MAX] = { 0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 };
static const char *const kinds[PACKET_KINDS] = { [PACKET_DISCO] = "disco", [PACKET_OTHER] = "other" };
static const char *const tls_names[2] = { "1.2", "1.3" };
#define VERSION_TEXT "derpsim"

typedef unsigned long long ull;

/* ---- observing ---- */

/* MET-002: a moving average, of which a new value is a tenth; the original counts whole milliseconds too. */
void metrics_queued(struct relay *r, uint64_t queued_at, uint64_t now)
{
	uint64_t average = r->count.average_queue_duration_ms, value = (now - queued_at) / NS_MS;

	r->count.average_queue_duration_ms = average - average / 10 + value * 100000;
}

static void observe(struct relay_histogram *h, uint64_t v)
{
	for (int i = 0; i < RELAY_BOUNDS_MAX; i++) h->bucket[i] += v <= bounds[i];
	h->sum += v;
	h->count++;
}

/* Ours writes all that is due, and takes, in one go. */
void metrics_mesh_update(struct relay *r, uint64_t batch)
{
	observe(&r->count.mesh_update_batch_size, batch);
	observe(&r->count.mesh_update_loop_count, 1);
}

/* ---- both forms ---- */

static bool is_shown(const struct relay *r, const struct metric *m)
{
	return m->when == ALWAYS || (m->when == OURS && !relay_is_derper(r)) || (m->when == RATES && r->rates_used);
}

static const void *value_at(const struct relay *r, const struct metric *m) { return (const char *)&r->count + m->offset; }

static uint64_t value_of(const struct relay *r, const struct metric *m)
{
	uint64_t v;

	memcpy(&v, value_at(r, m), sizeof v);
	return v;
}

static void put_millionths(struct reply *o, uint64_t v)
{
	char fraction[8];
	int n = snprintf(fraction, sizeof fraction, "%06llu", (ull)(v % 1000000));

	while (n > 0 && fraction[n - 1] == '0') fraction[--n] = 0;
	reply_format(o, n == 0 ? "%llu" : "%llu.%s", (ull)(v / 1000000), fraction);
}

static bool has_tls(const struct relay *r)
{
	for (uint32_t i = 0; i < r->sockets_n; i++)
		if (r->sockets[i].tls) return true;
	return false;
}

static const struct {
	const char *name;
	size_t offset;
} bootstrap_set[] = {
	{ "bootstrap_dns_published_hits", offsetof(struct bootstrap_counters, published_hits) },
	{ "bootstrap_dns_published_misses", offsetof(struct bootstrap_counters, published_misses) },
	{ "bootstrap_dns_requests", offsetof(struct bootstrap_counters, requests) },
	{ "bootstrap_dns_unpublished_hits", offsetof(struct bootstrap_counters, unpublished_hits) },
	{ "bootstrap_dns_unpublished_misses", offsetof(struct bootstrap_counters, unpublished_misses) },
	{ "bootstrap_dns_unpublished_percent_misses", offsetof(struct bootstrap_counters, unpublished_percent_misses) },
};
enum { BOOTSTRAP_SET = sizeof bootstrap_set / sizeof *bootstrap_set };

static uint64_t bootstrap_value(const struct relay *r, int i)
{
	uint64_t v;

	memcpy(&v, (const char *)&r->bootstrap.count + bootstrap_set[i].offset, sizeof v);
	return v;
}

/* ---- JSON ---- */

static void json_histogram(struct reply *o, const struct relay_histogram *h, uint32_t n)
{
	reply_format(o, "{");
	for (uint32_t i = 0; i < n; i++) reply_format(o, "\"%u\": %llu,", bounds[i], (ull)h->bucket[i]);
	reply_format(o, "\"+Inf\": %llu,\"sum\": %llu,\"count\": %llu}", (ull)h->count, (ull)h->sum, (ull)h->count);
}

static void json_value(const struct relay *r, const struct metric *m, struct reply *o)
{
	switch (m->type) {
	case MILLIONTHS: put_millionths(o, value_of(r, m)); break;
	case HISTOGRAM: json_histogram(o, value_at(r, m), m->bounds); break;
	case KINDS:
		reply_format(o, "{\"disco\": %llu, \"other\": %llu}", (ull)r->count.packets_received_kind[PACKET_DISCO],
		             (ull)r->count.packets_received_kind[PACKET_OTHER]);
		break;
	case VERSION: reply_format(o, "\"" VERSION_TEXT "\""); break;
	default: reply_format(o, "%llu", (ull)value_of(r, m)); break;
	}
}

static void json_set(const struct relay *r, struct reply *o)
{
	const char *comma = "";

	reply_format(o, "\"derp\": {");
	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		if (!is_shown(r, &set[i])) continue;
		reply_format(o, "%s\"%s\": ", comma, set[i].name);
		json_value(r, &set[i], o);
		comma = ", ";
	}
	reply_format(o, "},\n");
}

/* MET-006; what the original says here is only that it is a map. */
static void json_drops(const struct relay *r, const char *name, const uint64_t v[DROP_REASONS][PACKET_KINDS], struct reply *o)
{
	if (relay_is_derper(r)) {
		reply_format(o, "\"%s\": \"MultiLabelMap\",\n", name);
		return;
	}
	reply_format(o, "\"%s\": {", name);
	for (int i = 0; i < DROP_REASONS; i++)
		reply_format(o, "%s\"%s\": {\"disco\": %llu, \"other\": %llu}", i == 0 ? "" : ", ", drop_reason_name((enum drop_reason)i),
		             (ull)v[i][PACKET_DISCO], (ull)v[i][PACKET_OTHER]);
	reply_format(o, "},\n");
}

void metrics_vars(const struct relay *r, uint64_t now, struct reply *o)
{
	const struct relay_counters *c = &r->count;

	reply_init(o, 200, "application/json; charset=utf-8", DEBUG_PAGE);
	reply_format(o, "{\n");
	for (int i = 0; i < BOOTSTRAP_SET; i++) reply_format(o, "\"counter_%s\": %llu,\n", bootstrap_set[i].name, (ull)bootstrap_value(r, i));
	reply_format(o, "\"counter_uptime_sec\": %llu,\n", (ull)(now / NS_S));
	json_set(r, o);
	json_drops(r, "derp_bytes_dropped", c->bytes_dropped, o);
	json_drops(r, "derp_packets_dropped", c->packets_dropped, o);
	reply_format(o, "\"derp_websocket_accepts\": %llu,\n", (ull)c->websocket_accepts);
	if (has_tls(r)) {
		reply_format(o, "\"derper_tls_request_version\": {\"1.2\": %llu, \"1.3\": %llu},\n", (ull)c->tls_requests[0],
		             (ull)c->tls_requests[1]);
		reply_format(o, "\"gauge_derper_tls_active_version\": {\"1.2\": %llu, \"1.3\": %llu},\n", (ull)c->tls_active[0],
		             (ull)c->tls_active[1]);
	}
	reply_format(o, "\"process_start_unix_time\": %llu,\n", (ull)(r->wall_ns / NS_S));
	if (has_tls(r))
		reply_format(o, "\"tls_listener\": {\"counter_accepted_connections\": %llu, \"counter_rejected_connections\": %llu},\n",
		             (ull)c->tls_accepted, (ull)c->tls_rejected);
	reply_format(o, "\"version\": \"" VERSION_TEXT "\"\n}\n");
}

/* ---- Prometheus ---- */

/* MET-001: the prefix of the set, and the type that the name's own prefix tells. */
static void prom_number(struct reply *o, const char *prefix, const char *name, const char *type, uint64_t v)
{
	if (type != NULL) reply_format(o, "# TYPE %s%s %s\n", prefix, name, type);
	reply_format(o, "%s%s %llu\n", prefix, name, (ull)v);
}

static void prom_histogram(struct reply *o, const char *name, const struct relay_histogram *h, uint32_t n)
{
	reply_format(o, "# TYPE derp_%s histogram\n", name);
	for (uint32_t i = 0; i < n; i++) reply_format(o, "derp_%s_bucket{le=\"%u\"} %llu\n", name, bounds[i], (ull)h->bucket[i]);
	reply_format(o, "derp_%s_bucket{le=\"+Inf\"} %llu\nderp_%s_sum %llu\nderp_%s_count %llu\n", name, (ull)h->count, name, (ull)h->sum, name,
	             (ull)h->count);
}

static void prom_metric(const struct relay *r, const struct metric *m, struct reply *o)
{
	const char *name = m->name;

	if (strncmp(name, "gauge_", 6) == 0) name += 6;
	if (strncmp(name, "counter_", 8) == 0) name += 8;
	switch (m->type) {
	case COUNTER: prom_number(o, "derp_", name, "counter", value_of(r, m)); break;
	case GAUGE: prom_number(o, "derp_", name, "gauge", value_of(r, m)); break;
	case UNTYPED: prom_number(o, "derp_", name, NULL, value_of(r, m)); break;
	case MILLIONTHS:
		reply_format(o, "derp_%s ", name);
		put_millionths(o, value_of(r, m));
		reply_format(o, "\n");
		break;
	case HISTOGRAM: prom_histogram(o, name, value_at(r, m), m->bounds); break;
	case KINDS:
		reply_format(o, "# TYPE derp_%s counter\n", name);
		for (int k = 0; k < PACKET_KINDS; k++)
			reply_format(o, "derp_%s{kind=\"%s\"} %llu\n", name, kinds[k], (ull)r->count.packets_received_kind[k]);
		break;
	case VERSION: break; /* JSON only */
	}
}

/* MET-006, by label in their order. */
static void prom_drops(struct reply *o, const char *name, const char *what, const uint64_t v[DROP_REASONS][PACKET_KINDS])
{
	static const enum drop_reason sorted[DROP_REASONS] = { DROP_DUP_CLIENT,   DROP_GONE_DISCONNECTED,   DROP_QUEUE_HEAD, DROP_QUEUE_TAIL,
		                                               DROP_UNKNOWN_DEST, DROP_UNKNOWN_DEST_ON_FWD, DROP_WRITE_ERROR };

	reply_format(o, "# TYPE %s counter\n# HELP %s %s of dropped packets, by reason and kind\n", name, name, what);
	for (int i = 0; i < DROP_REASONS; i++)
		for (int k = 0; k < PACKET_KINDS; k++)
			reply_format(o, "%s{reason=\"%s\",kind=\"%s\"} %llu\n", name, drop_reason_name(sorted[i]), kinds[k], (ull)v[sorted[i]][k]);
}

static void prom_tls(struct reply *o, const char *name, const char *type, const uint64_t v[2])
{
	if (type != NULL) reply_format(o, "# TYPE %s %s\n", name, type);
	for (int i = 0; i < 2; i++) reply_format(o, "%s{version=\"%s\"} %llu\n", name, tls_names[i], (ull)v[i]);
}

void metrics_varz(const struct relay *r, uint64_t now, struct reply *o)
{
	const struct relay_counters *c = &r->count;

	reply_init(o, 200, "text/plain;version=0.0.4;charset=utf-8", DEBUG_PAGE);
	for (int i = 0; i < BOOTSTRAP_SET; i++) prom_number(o, "", bootstrap_set[i].name, "counter", bootstrap_value(r, i));
	for (size_t i = 0; i < sizeof set / sizeof *set; i++)
		if (is_shown(r, &set[i])) prom_metric(r, &set[i], o);
	prom_drops(o, "derp_bytes_dropped", "bytes", c->bytes_dropped);
	prom_drops(o, "derp_packets_dropped", "number", c->packets_dropped);
	prom_number(o, "", "derp_websocket_accepts", "counter", c->websocket_accepts);
	if (has_tls(r)) {
		prom_tls(o, "derper_tls_active_version", "gauge", c->tls_active);
		prom_tls(o, "derper_tls_request_version", NULL, c->tls_requests);
	}
	prom_number(o, "", "process_start_unix_time", NULL, r->wall_ns / NS_S);
	if (has_tls(r)) {
		prom_number(o, "tls_listener_", "accepted_connections", "counter", c->tls_accepted);
		prom_number(o, "tls_listener_", "rejected_connections", "counter", c->tls_rejected);
	}
	prom_number(o, "", "uptime_sec", "counter", now / NS_S);
	reply_format(o, "version{version=\"" VERSION_TEXT "\",binary=\"derp-relay\"} 1\n");
}

/* ---- what they are good for ---- */

/* MET-007: counters against tables. The original takes two connections of one key for an inconsistency (TRP-025); ours counts both
 * ways. Text of what differs, or nothing. */
static void inconsistencies(const struct relay *r, struct reply *o)
{
	const struct relay_counters *c = &r->count;
	uint64_t keys = 0, connections = 0, remote = 0;

	for (uint32_t i = 0; i < r->peers; i++) {
		if (keymap_find(&r->keys, r->peer[i].key) != i) continue; /* a free place */
		keys += r->peer[i].sessions != 0;
		connections += r->peer[i].sessions;
		remote += r->peer[i].sessions == 0 && r->peer[i].forwarder != SLOT_NONE;
	}
	if (c->clients_local != keys) reply_format(o, "%llu local keys counted, %llu in the table, ", (ull)c->clients_local, (ull)keys);
	if (c->clients_remote != remote) reply_format(o, "%llu remote keys counted, %llu in the table, ", (ull)c->clients_remote, (ull)remote);
	if (c->current_connections != (relay_is_derper(r) ? keys : connections))
		reply_format(o, "expvar connections = %llu != clients map says of %llu, ", (ull)c->current_connections,
		             (ull)(relay_is_derper(r) ? keys : connections));
	if (o->n != 0) o->n -= 2;
}

void metrics_check(const struct relay *r, struct reply *o)
{
	struct reply found = { 0 };

	inconsistencies(r, &found);
	if (found.n == 0) {
		reply_init(o, 200, "text/plain; charset=utf-8", DEBUG_PAGE | REPLY_TYPE_GUESSED);
		reply_format(o, "derp.Server ConsistencyCheck okay");
		return;
	}
	reply_put(&found, "", 1);
	reply_error(o, 500, found.body);
	o->with |= DEBUG_PAGE;
	reply_free(&found);
}

/* Ours, for whoever watches the machine, and cheap, since anybody may ask: 200 while everything that is configured works. */
void metrics_health(const struct relay *r, struct reply *o)
{
	uint32_t links = relay_mesh_links(r), up = relay_mesh_links_up(r);

	reply_init(o, 200, "text/plain; charset=utf-8", REPLY_NO_CACHE | REPLY_NO_SNIFF);
	if (!r->site.derp) reply_format(o, "DERP is switched off\n");
	if (up < links) reply_format(o, "%u of %u mesh links up\n", up, links);
	o->status = o->n == 0 ? 200 : 503;
	if (o->n == 0) reply_format(o, "ok\n");
}

void metrics_index(const struct relay *r, uint64_t now, struct reply *o)
{
	static const char *const page[][2] = {
		{ "vars", "counters as JSON" },
		{ "varz", "counters for Prometheus" },
		{ "check", "do counters and tables agree?" },
		{ "traffic", "bytes of each client, every two seconds" },
	};
	char hex[KEY_HEX];

	key_hex(r->public_key.b, hex);
	reply_init(o, 200, "text/html; charset=utf-8", 0);
	reply_format(
		o,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>DERP relay</title></head><body><h1>DERP relay</h1><ul>\n");
	reply_format(o, "<li>up for %llu s</li>\n<li>key nodekey:%.*s</li>\n<li>mesh key: %s</li>\n", (ull)(now / NS_S), KEY_HEX, hex,
	             key_is_zero(r->config.mesh_key.b) ? "none" : "set");
	for (size_t i = 0; i < sizeof page / sizeof *page; i++)
		reply_format(o, "<li><a href=\"/debug/%s\">/debug/%s</a>: %s</li>\n", page[i][0], page[i][0], page[i][1]);
	reply_format(o, "</ul></body></html>\n");
}

void relay_metrics(const struct relay *r, uint64_t now, struct reply *reply) { metrics_varz(r, now, reply); }
