/* derp-load: puts load on a relay, anyone's, and says what it carried and what that cost it.
 *
 * The clients are one machine (swarm.h) on one host; the program runs it through its phases: open, warm up, measure, leave. */
#include "key.h"
#include "json.h"
#include "os_cli.h"
#include "os_host.h"
#include "os_keyfile.h"
#include "os_tls.h"
#include "os_usage.h"
#include "swarm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIDS_MAX = 8, STEPS = 3 };

static const char help[] =
	"usage: derp-load throughput|latency|fan-in|idle|logins URL [URL2] [OPTIONS]\n"
	"       derp-load failover --derp-map FILE [--kill PID] [OPTIONS]\n"
	"\n"
	"Puts load on a DERP relay. URL is http://HOST:PORT/derp or https://...; with URL2 packets go from clients at URL to\n"
	"clients at URL2: over the mesh, if that is another relay of the region.\n"
	"\n"
	"  throughput  pairs of clients, each with as many packets on their way as --window allows\n"
	"  latency     the same at a fixed --rate of packets a second in all, timed from when each was due\n"
	"  fan-in      all send to one\n"
	"  idle        clients that only stay\n"
	"  logins      clients that log in and leave, --logins at a time\n"
	"\n"
	"  failover    pairs that send to each other at --rate while a relay dies: how long is each client, each pair, without\n"
	"\n"
	"      --derp-map FILE     a DERP map instead of a URL: each client takes a region of it, drawn, and every second one begins\n"
	"                          with another node\n"
	"      --kill PID          failover: ends this process with SIGKILL when the measured time begins\n"
	"      --clients N         clients in all (default 20; fan-in 11; idle 1000; logins: --logins; failover 300)\n"
	"      --pairs N           the same, two clients each\n"
	"      --size N            bytes of a packet, 24 to 65536 (default 200)\n"
	"      --batch N           packets that a client writes at once (default 1)\n"
	"      --window N          packets on their way from a sender, at most (default 32)\n"
	"      --rate N            latency, failover: packets a second in all (default 1000); throughput, fan-in: none unless given\n"
	"      --logins N          logins at a time (default 16)\n"
	"      --time T            how long to measure (default 2s; idle: how long to wait before reading memory)\n"
	"      --warmup T          load before measuring (default 300ms)\n"
	"      --drain T           then send no more, and wait until all has come or, for T, nothing (default: do not wait)\n"
	"      --timeout T         time for all clients to log in (default 60s)\n"
	"      --pid PID           a relay's process, of which CPU time and memory are read; may be repeated\n"
	"      --ca FILE           certificates to trust in https, instead of the system's\n"
	"      --insecure          judge no certificate\n"
	"      --websocket         DERP in WebSocket messages\n"
	"      --raw               DERP from byte 0, without HTTP\n"
	"      --mesh-psk-file F   log in with the region's mesh key\n"
	"      --set NAME=VALUE    any other setting of the swarm, such as patience=5s; may be repeated\n"
	"      --json              one JSON object instead of text\n"
	"  -h, --help              this text\n"
	"      --version\n"
	"\n"
	"Exit codes: 0 fine, 1 packets that should not have come, connections that ended, of failover: who did not come back; 2 bad usage or\n"
	"input, 3 no connection.\n";

enum option_id {
	HELP = 1,
	VERSION,
	CLIENTS,
	PAIRS,
	SIZE,
	BATCH,
	WINDOW,
	RATE,
	LOGINS,
	TIME,
	WARMUP,
	TIMEOUT,
	DRAIN,
	PID,
	INSECURE,
	WEBSOCKET,
	RAW,
	MESH_PSK,
	SET,
	JSON,
	CA,
	DERP_MAP,
	KILL
};

static const struct os_option options[] = {
	{ HELP, "help", 'h', false },
	{ VERSION, "version", 0, false },
	{ CLIENTS, "clients", 0, true },
	{ PAIRS, "pairs", 0, true },
	{ SIZE, "size", 0, true },
	{ BATCH, "batch", 0, true },
	{ WINDOW, "window", 0, true },
	{ RATE, "rate", 0, true },
	{ LOGINS, "logins", 0, true },
	{ TIME, "time", 0, true },
	{ WARMUP, "warmup", 0, true },
	{ TIMEOUT, "timeout", 0, true },
	{ DRAIN, "drain", 0, true },
	{ PID, "pid", 0, true },
	{ CA, "ca", 0, true },
	{ INSECURE, "insecure", 0, false },
	{ WEBSOCKET, "websocket", 0, false },
	{ RAW, "raw", 0, false },
	{ MESH_PSK, "mesh-psk-file", 0, true },
	{ SET, "set", 0, true },
	{ DERP_MAP, "derp-map", 0, true },
	{ KILL, "kill", 0, true },
	{ JSON, "json", 0, false },
	{ 0, NULL, 0, false },
};

enum mode { MODE_NONE, MODE_THROUGHPUT, MODE_LATENCY, MODE_FAN_IN, MODE_IDLE, MODE_LOGINS, MODE_FAILOVER, MODES };
static const char *const mode_names[MODES] = { "", "throughput", "latency", "fan-in", "idle", "logins", "failover" };
static const char *const jobs[MODES] = { "", "pairs", "pairs", "fan-in", "idle", "logins", "mates" };
static const uint64_t clients_default[MODES] = { 0, 20, 20, 11, 1000, 0, 300 };

/* What was used between two moments, of all relays together. */
struct cost {
	uint64_t wall_ns, cpu_ns, resident;
};

struct app {
	struct os_owner owner;
	struct os_cli cli;
	struct os_config config;
	enum mode mode;
	const char *url[2], *mesh_psk_file;
	const char *map_file;
	uint32_t pid[PIDS_MAX], pids, urls, kill;
	bool json;
	uint64_t clients, size, batch, window, rate, logins, time, warmup, timeout, drain;
	struct swarm *swarm;
	struct os_tls_config tls_config;
	struct os_tls *tls;
	struct os_loop *loop;
	struct os_host *host;
	struct cost cost;         /* of the measured time */
	struct swarm_count count; /* the same */
	struct swarm_count all;   /* from the first packet to the end of --drain: what the relay's own counters are to agree with */
	uint32_t silent;          /* failover: flows without a packet at the end */
	uint64_t resident[STEPS]; /* idle: with 0, a tenth and all of the clients */
	bool complained;
};

static int cannot(const struct app *app, const char *what)
{
	fprintf(stderr, "%s: %s\n", app->cli.program, what);
	return OS_EXIT_CANNOT;
}

/* The first complaint is worth a line; thousands of the same are not. */
static void complain(struct os_owner *owner, const char *text)
{
	struct app *app = (struct app *)owner;

	if (!app->complained) fprintf(stderr, "%s: %s\n", app->cli.program, text);
	app->complained = true;
}

/* ---- options ---- */

static int set_argument(struct app *app)
{
	if (app->mode == MODE_NONE) {
		for (int i = 1; i < MODES; i++)
			if (strcmp(app->cli.value, mode_names[i]) == 0) app->mode = (enum mode)i;
		if (app->mode != MODE_NONE) return -1;
		return os_cli_usage(&app->cli, "found '%s', expected throughput, latency, fan-in, idle, logins or failover", app->cli.value);
	}
	if (app->urls == 2) return os_cli_usage(&app->cli, "two URLs are enough, found also '%s'", app->cli.value);
	app->url[app->urls++] = app->cli.value;
	return -1;
}

static int process(struct app *app, uint32_t *out)
{
	struct os_usage usage;
	uint64_t pid;

	if (!os_cli_u64(&app->cli, 1, INT32_MAX, &pid)) return OS_EXIT_USAGE;
	*out = (uint32_t)pid;
	if (os_usage_of(*out, &usage)) return -1;
	return os_cli_usage(&app->cli, "--%s: there is no process %s whose use can be read", app->cli.name, app->cli.value);
}

static int set_pid(struct app *app)
{
	if (app->pids == PIDS_MAX) return os_cli_usage(&app->cli, "at most %d times --pid", PIDS_MAX);
	return process(app, &app->pid[app->pids++]);
}

static int number(struct app *app, uint64_t min, uint64_t max, uint64_t *out) { return os_cli_u64(&app->cli, min, max, out) ? -1 : OS_EXIT_USAGE; }
static int duration(struct app *app, uint64_t *out) { return os_cli_time(&app->cli, out) ? -1 : OS_EXIT_USAGE; }

static int line(struct app *app, const char *text)
{
	os_config_add(&app->config, "%s\n", text);
	return -1;
}

static int set_option(struct app *app, int id)
{
	int end;

	switch (id) {
	case HELP: fputs(help, stdout); return OS_EXIT_FINE;
	case VERSION: puts("derp-load " DERP_VERSION); return OS_EXIT_FINE;
	case CLIENTS: return number(app, 1, SWARM_CLIENTS_MAX, &app->clients);
	case PAIRS:
		end = number(app, 1, SWARM_CLIENTS_MAX / 2, &app->clients);
		app->clients *= 2;
		return end;
	case SIZE: return number(app, SWARM_SIZE_MIN, 65536, &app->size);
	case BATCH: return number(app, 1, SWARM_WINDOW_MAX, &app->batch);
	case WINDOW: return number(app, 1, SWARM_WINDOW_MAX, &app->window);
	case RATE: return number(app, 1, 1000000000, &app->rate);
	case LOGINS: return number(app, 1, SWARM_CLIENTS_MAX, &app->logins);
	case TIME: return duration(app, &app->time);
	case WARMUP: return duration(app, &app->warmup);
	case TIMEOUT: return duration(app, &app->timeout);
	case DRAIN: return duration(app, &app->drain);
	case PID: return set_pid(app);
	case KILL: return process(app, &app->kill);
	case DERP_MAP: app->map_file = app->cli.value; return -1;
	case CA: app->tls_config.ca_file = app->cli.value; return -1;
	case INSECURE: return line(app, "insecure=on");
	case WEBSOCKET: return line(app, "websocket=on");
	case RAW: return line(app, "raw=on");
	case MESH_PSK: app->mesh_psk_file = app->cli.value; return -1;
	case SET: return line(app, app->cli.value);
	case JSON: app->json = true; return -1;
	case OS_CLI_ARGUMENT: return set_argument(app);
	default: return OS_EXIT_USAGE;
	}
}

/* On one line, as configurations have it: no string of JSON goes over a line's end. */
static int add_map(struct app *app)
{
	FILE *file = fopen(app->map_file, "re");
	char text[sizeof app->config.text];
	size_t n;

	if (file == NULL) return os_cli_usage(&app->cli, "%s: %s", app->map_file, strerror(errno));
	n = fread(text, 1, sizeof text, file);
	fclose(file);
	if (n == 0) return os_cli_usage(&app->cli, "%s: found nothing to read, expected a DERP map", app->map_file);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n' || text[i] == '\r') text[i] = ' ';
	os_config_add(&app->config, "map=%.*s\n", (int)n, text);
	return -1;
}

static int configure(struct app *app)
{
	char error[KEYFILE_ERROR_SIZE];
	struct key mesh_key;
	char hex[KEY_HEX];

	if (app->mesh_psk_file != NULL) {
		if (!os_keyfile_mesh(app->mesh_psk_file, &mesh_key, error)) return os_cli_usage(&app->cli, "%s", error);
		key_hex(mesh_key.b, hex);
		os_config_add(&app->config, "mesh-key=%.*s\n", KEY_HEX, hex);
	}
	if (app->map_file != NULL && add_map(app) >= 0) return OS_EXIT_USAGE;
	if (app->urls != 0) os_config_add(&app->config, "url=%s\n", app->url[0]);
	if (app->urls == 2) os_config_add(&app->config, "url2=%s\n", app->url[1]);
	os_config_add(&app->config, "job=%s\nclients=%llu\nlogins=%llu\nsize=%llu\nbatch=%llu\nwindow=%llu\nrate=%llu\n", jobs[app->mode],
	              (unsigned long long)app->clients, (unsigned long long)app->logins, (unsigned long long)app->size,
	              (unsigned long long)app->batch, (unsigned long long)app->window, (unsigned long long)app->rate);
	if (app->config.full) return os_cli_usage(&app->cli, "the configuration is too long");
	if (!swarm_config_check(app->config.text, app->config.n, error)) return os_cli_usage(&app->cli, "configuration %s", error);
	return -1;
}

/* -1: go on; else the exit code. */
static int parse(struct app *app, int argc, char **argv)
{
	int id, end;

	os_cli_init(&app->cli, "derp-load", options, argc, argv);
	while ((id = os_cli_next(&app->cli)) != OS_CLI_END)
		if ((end = set_option(app, id)) >= 0) return end;
	if (app->urls == 0 && (app->map_file == NULL || app->mode == MODE_NONE))
		return os_cli_usage(&app->cli, "expected what to do and a URL, such as: throughput http://127.0.0.1:3340/derp");
	if (app->clients == 0) app->clients = app->mode == MODE_LOGINS ? app->logins : clients_default[app->mode];
	if (app->urls != 0 && app->map_file != NULL) return os_cli_usage(&app->cli, "expected either a URL or --derp-map");
	if (app->kill != 0 && app->mode != MODE_FAILOVER) return os_cli_usage(&app->cli, "--kill is of failover");
	if ((app->mode == MODE_LATENCY || app->mode == MODE_FAILOVER) && app->rate == 0) app->rate = 1000;
	return configure(app);
}

/* ---- phases ---- */

static void read_cost(const struct app *app, struct cost *cost)
{
	struct os_usage usage;

	*cost = (struct cost){ .wall_ns = os_now() };
	for (uint32_t i = 0; i < app->pids; i++) {
		if (!os_usage_of(app->pid[i], &usage)) continue;
		cost->cpu_ns += usage.cpu_ns;
		cost->resident += usage.resident;
	}
}

/* Turns until the time has come. Without waiting in the kernel where latency is measured: epoll sleeps by milliseconds. In failover
 * the relays may need the core. */
static void run_until(struct app *app, uint64_t until)
{
	bool spin = app->rate != 0 && app->mode != MODE_FAILOVER;

	while (os_now() < until && os_loop_signal(app->loop) == 0) os_loop_turn(app->loop, spin ? 0 : until);
}

static void command(struct app *app, enum command_verb verb, const char *text)
{
	struct event_command c = { .verb = verb, .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) };

	os_host_command(app->host, &c);
}

static int open_clients(struct app *app, uint64_t clients)
{
	uint64_t until = os_now() + app->timeout;
	char text[200];

	while (swarm_count(app->swarm)->ready < clients && os_loop_signal(app->loop) == 0) {
		if (os_now() >= until) {
			snprintf(text, sizeof text, "%llu of %llu clients logged in within the time, %llu attempts failed",
			         (unsigned long long)swarm_count(app->swarm)->ready, (unsigned long long)clients,
			         (unsigned long long)swarm_count(app->swarm)->failed);
			return cannot(app, text);
		}
		os_loop_turn(app->loop, until);
	}
	return -1;
}

/* What was counted since the last reset is part of the whole. */
static void take_count(struct app *app)
{
	const struct swarm_count *c = swarm_count(app->swarm);

	app->all.sent += c->sent, app->all.delivered += c->delivered;
	app->all.ended += c->ended, app->all.wrong += c->wrong;
}

static void measure(struct app *app)
{
	struct cost before, after;

	take_count(app);
	swarm_count_reset(app->swarm);
	read_cost(app, &before);
	run_until(app, before.wall_ns + app->time);
	read_cost(app, &after);
	app->count = *swarm_count(app->swarm);
	app->cost = (struct cost){ after.wall_ns - before.wall_ns, after.cpu_ns - before.cpu_ns, after.resident };
}

/* No more is sent; what is on its way may come. */
static void drain(struct app *app)
{
	const struct swarm_count *c = swarm_count(app->swarm);
	uint64_t came = 0, quiet_at = os_now() + app->drain;

	command(app, COMMAND_SET, "running=off");
	while (app->all.sent + c->sent != app->all.delivered + c->delivered && os_now() < quiet_at && os_loop_signal(app->loop) == 0) {
		os_loop_turn(app->loop, quiet_at);
		if (c->delivered != came) came = c->delivered, quiet_at = os_now() + app->drain;
	}
}

/* A flow is silent that nothing has come of for a second and two of its intervals. */
static void measure_failover(struct app *app)
{
	uint64_t patience = NS_S + 2 * app->clients * NS_S / app->rate, now;

	swarm_count_reset(app->swarm);
	command(app, COMMAND_SET, "fault=now");
	if (app->kill != 0) kill((pid_t)app->kill, SIGKILL);
	app->cost.wall_ns = os_now();
	run_until(app, app->cost.wall_ns + app->time);
	app->cost.wall_ns = os_now() - app->cost.wall_ns;
	app->count = *swarm_count(app->swarm);
	now = os_host_now(app->host);
	app->silent = swarm_flows_silent(app->swarm, now > patience ? now - patience : 0);
}

/* Memory is read with none, a tenth and all of the clients: the slope leaves out what the relay needs anyway. */
static int measure_idle(struct app *app)
{
	struct cost now;

	for (int i = 1; i < STEPS; i++) {
		int end = open_clients(app, i == 1 ? (app->clients + 9) / 10 : app->clients);
		if (end >= 0) return end;
		if (i == 2) run_until(app, os_now() + app->time);
		read_cost(app, &now);
		app->resident[i] = now.resident;
	}
	measure(app);
	return -1;
}

static int run(struct app *app)
{
	int end;

	if (app->mode == MODE_IDLE) return measure_idle(app);
	if (app->mode != MODE_LOGINS && (end = open_clients(app, app->clients)) >= 0) return end;
	command(app, COMMAND_SET, "running=on");
	run_until(app, os_now() + app->warmup);
	if (app->mode == MODE_FAILOVER)
		measure_failover(app);
	else
		measure(app);
	if (app->drain != 0) drain(app);
	if (app->mode == MODE_LOGINS && app->count.logins == 0) return cannot(app, "nobody could log in");
	return -1;
}

static void leave(struct app *app)
{
	uint64_t until = os_now() + NS_S;

	command(app, COMMAND_LEAVE, "");
	while (os_host_connections(app->host) != 0 && os_now() < until) os_loop_turn(app->loop, until);
}

static int start(struct app *app)
{
	struct machine_env env = { 0 };
	char tls_error[OS_TLS_ERROR_SIZE];
	struct cost now;

	app->tls_config.no_tickets = true; /* a relay is asked for whole handshakes, as the original's clients ask */
	app->tls = os_tls_new(&app->tls_config, tls_error);
	if (app->tls == NULL) return os_cli_usage(&app->cli, "%s", tls_error);
	os_tcp_raise_limit();
	app->loop = os_loop_new();
	if (app->loop == NULL || !os_loop_signals(app->loop)) return cannot(app, strerror(errno));
	read_cost(app, &now);
	app->resident[0] = now.resident;
	app->swarm = swarm_new(&env);
	app->host = os_host_new(app->loop, swarm_machine(app->swarm), &app->owner);
	os_host_tls(app->host, app->tls);
	os_host_start(app->host, app->config.text, app->config.n, swarm_slots((uint32_t)app->clients));
	return -1;
}

/* ---- the result ---- */

struct result {
	double seconds, cpu_s, per_s, per_cpu_s, cpu_us, slope;
	uint64_t what; /* packets or logins */
};

static struct result result_of(const struct app *app)
{
	struct result r = { .seconds = (double)app->cost.wall_ns / 1e9, .cpu_s = (double)app->cost.cpu_ns / 1e9 };

	r.what = app->mode == MODE_LOGINS ? app->count.logins : app->count.delivered;
	r.per_s = (double)r.what / r.seconds;
	if (r.cpu_s > 0) r.per_cpu_s = (double)r.what / r.cpu_s;
	if (r.what > 0) r.cpu_us = r.cpu_s * 1e6 / (double)r.what;
	if (app->mode == MODE_IDLE && app->clients >= 10)
		r.slope = ((double)app->resident[2] - (double)app->resident[1]) / (double)(app->clients - (app->clients + 9) / 10);
	return r;
}

static void text_times(const char *what, const struct histogram *h)
{
	printf("%s p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us\n", what, (double)histogram_quantile(h, 500) / 1e3,
	       (double)histogram_quantile(h, 900) / 1e3, (double)histogram_quantile(h, 990) / 1e3, (double)h->max / 1e3);
}

static void result_text(const struct app *app, const struct result *r)
{
	const char *what = app->mode == MODE_LOGINS ? "logins" : "packets";

	if (app->mode != MODE_IDLE) printf("%llu %s in %.3f s: %.0f a second\n", (unsigned long long)r->what, what, r->seconds, r->per_s);
	if (app->pids != 0 && app->mode != MODE_IDLE)
		printf("relay: %.3f s of CPU, %.0f %% of a core; %.0f %s a CPU second, %.2f us each\n", r->cpu_s, 100 * r->cpu_s / r->seconds,
		       r->per_cpu_s, what, r->cpu_us);
	if (app->pids != 0 && app->mode == MODE_IDLE)
		printf("relay: %.1f, %.1f, %.1f MB resident with 0, %llu, %llu clients: %.0f bytes a connection; %.2f %% of a core\n",
		       (double)app->resident[0] / 1e6, (double)app->resident[1] / 1e6, (double)app->resident[2] / 1e6,
		       (unsigned long long)(app->clients + 9) / 10, (unsigned long long)app->clients, r->slope, 100 * r->cpu_s / r->seconds);
	if (app->count.delivered != 0) text_times("latency", swarm_latency(app->swarm));
	if (app->rate != 0) text_times("late", swarm_late(app->swarm));
	printf("sent %llu, lost %llu, wrong %llu, not sent %llu; connections ended %llu, failed %llu\n", (unsigned long long)app->count.sent,
	       (unsigned long long)app->count.lost, (unsigned long long)app->count.wrong, (unsigned long long)app->count.blocked,
	       (unsigned long long)app->count.ended, (unsigned long long)app->count.failed);
	if (app->drain != 0)
		printf("in all: sent %llu, delivered %llu; connections ended %llu\n", (unsigned long long)app->all.sent,
		       (unsigned long long)app->all.delivered, (unsigned long long)app->all.ended);
}

static void field_u64(struct json_writer *w, const char *name, uint64_t value)
{
	json_name(w, name);
	json_put_u64(w, value);
}

static void field_times(struct json_writer *w, const char *name, const struct histogram *h)
{
	json_name(w, name);
	json_open(w, '{');
	field_u64(w, "n", h->n);
	field_u64(w, "p50_ns", histogram_quantile(h, 500));
	field_u64(w, "p90_ns", histogram_quantile(h, 900));
	field_u64(w, "p99_ns", histogram_quantile(h, 990));
	field_u64(w, "max_ns", h->max);
	json_close(w, '}');
}

/* Times in ns, sizes in bytes; `schema` grows when a name changes. */
static void result_json(const struct app *app)
{
	static const char *const resident[STEPS] = { "resident_none", "resident_tenth", "resident_all" };
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	field_u64(&w, "schema", 1);
	json_name(&w, "mode");
	json_put_string(&w, mode_names[app->mode], strlen(mode_names[app->mode]));
	field_u64(&w, "clients", app->clients);
	field_u64(&w, "size", app->size);
	field_u64(&w, "batch", app->batch);
	field_u64(&w, "window", app->window);
	field_u64(&w, "rate", app->rate);
	field_u64(&w, "wall_ns", app->cost.wall_ns);
	field_u64(&w, "cpu_ns", app->cost.cpu_ns);
	field_u64(&w, "resident", app->cost.resident);
	for (int i = 0; i < STEPS; i++) field_u64(&w, resident[i], app->resident[i]);
	field_u64(&w, "logins", app->count.logins);
	field_u64(&w, "sent", app->count.sent);
	field_u64(&w, "delivered", app->count.delivered);
	field_u64(&w, "lost", app->count.lost);
	field_u64(&w, "wrong", app->count.wrong);
	field_u64(&w, "not_sent", app->count.blocked);
	field_u64(&w, "ended", app->count.ended);
	field_u64(&w, "failed", app->count.failed);
	field_u64(&w, "all_sent", app->all.sent);
	field_u64(&w, "all_delivered", app->all.delivered);
	field_u64(&w, "all_ended", app->all.ended);
	field_times(&w, "latency", swarm_latency(app->swarm));
	field_times(&w, "late", swarm_late(app->swarm));
	json_close(&w, '}');
	printf("%.*s\n", (int)w.n, w.p);
	json_writer_free(&w);
}

/* ---- the result of failover ---- */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank; those who never came back stand behind all others, at the end of the run. `ns` ascends. */
static uint64_t quantile(const struct app *app, const struct swarm_failover *f, uint32_t per_mille)
{
	uint64_t all = (uint64_t)f->n + f->never, rank = (all * per_mille + 999) / 1000;

	return all == 0 ? 0 : rank <= f->n ? f->ns[rank - 1] : app->cost.wall_ns;
}

static void failover_text(const struct app *app, const char *what, const struct swarm_failover *f)
{
	printf("%-8s %6u %7.1f ms %7.1f ms %7.1f ms %6u\n", what, f->n + f->never, (double)quantile(app, f, 500) / 1e6,
	       (double)quantile(app, f, 950) / 1e6, (double)quantile(app, f, 1000) / 1e6, f->never);
}

static void failover_json(const struct app *app, struct json_writer *w, const char *what, const struct swarm_failover *f)
{
	json_name(w, what);
	json_open(w, '{');
	field_u64(w, "n", f->n + f->never);
	field_u64(w, "never", f->never);
	field_u64(w, "p50_ns", quantile(app, f, 500));
	field_u64(w, "p95_ns", quantile(app, f, 950));
	field_u64(w, "max_ns", quantile(app, f, 1000));
	json_name(w, "times_ns");
	json_open(w, '[');
	for (uint32_t i = 0; i < f->n; i++) json_put_u64(w, f->ns[i]);
	json_close(w, ']');
	json_close(w, '}');
}

/* Times in ns; those of who never came back are not in times_ns, and stand for `wall_ns` in the others. */
static void result_failover_json(const struct app *app, const struct swarm_failover *clients, const struct swarm_failover *pairs)
{
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	field_u64(&w, "schema", 1);
	json_name(&w, "mode");
	json_put_string(&w, mode_names[app->mode], strlen(mode_names[app->mode]));
	field_u64(&w, "clients", app->clients);
	field_u64(&w, "rate", app->rate);
	field_u64(&w, "wall_ns", app->cost.wall_ns);
	field_u64(&w, "ready", app->count.ready);
	field_u64(&w, "silent", app->silent);
	field_u64(&w, "ended", app->count.ended);
	field_u64(&w, "failed", app->count.failed);
	field_u64(&w, "logins", app->count.logins);
	field_u64(&w, "sent", app->count.sent);
	field_u64(&w, "delivered", app->count.delivered);
	field_u64(&w, "wrong", app->count.wrong);
	failover_json(app, &w, "client", clients);
	failover_json(app, &w, "pair", pairs);
	json_close(&w, '}');
	printf("%.*s\n", (int)w.n, w.p);
	json_writer_free(&w);
}

static void result_failover_text(const struct app *app, const struct swarm_failover *clients, const struct swarm_failover *pairs)
{
	printf("failover      n        p50        p95        max  never\n");
	failover_text(app, "clients", clients);
	failover_text(app, "pairs", pairs);
	printf("%llu of %llu clients are logged in, %llu of %llu packets came, %u flows are silent, wrong %llu, attempts failed %llu\n",
	       (unsigned long long)app->count.ready, (unsigned long long)app->clients, (unsigned long long)app->count.delivered,
	       (unsigned long long)app->count.sent, app->silent, (unsigned long long)app->count.wrong, (unsigned long long)app->count.failed);
}

static int tell_failover(const struct app *app)
{
	struct swarm_failover clients = swarm_failover_clients(app->swarm), pairs = swarm_failover_pairs(app->swarm);
	bool lost = app->count.ready != app->clients || app->silent != 0 || clients.never + pairs.never != 0;

	qsort(clients.ns, clients.n, sizeof *clients.ns, by_size);
	qsort(pairs.ns, pairs.n, sizeof *pairs.ns, by_size);
	if (app->json)
		result_failover_json(app, &clients, &pairs);
	else
		result_failover_text(app, &clients, &pairs);
	free(clients.ns);
	free(pairs.ns);
	return lost || app->count.wrong != 0 ? OS_EXIT_FINDING : OS_EXIT_FINE;
}

static int tell(const struct app *app)
{
	struct result r = result_of(app);

	if (app->mode == MODE_FAILOVER) return tell_failover(app);
	if (app->json)
		result_json(app);
	else
		result_text(app, &r);
	return app->all.wrong + app->all.ended == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING;
}

int main(int argc, char **argv)
{
	static struct app app;
	int end;

	app.owner = (struct os_owner){ .complain = complain };
	app.size = 200, app.batch = 1, app.window = 32, app.logins = 16;
	app.time = 2 * NS_S, app.warmup = 300 * NS_MS, app.timeout = 60 * NS_S;
	end = parse(&app, argc, argv);
	if (end < 0) end = start(&app);
	if (end < 0) end = run(&app);
	if (end < 0) {
		take_count(&app);
		end = tell(&app);
		leave(&app);
	}
	os_host_free(app.host);
	if (app.swarm != NULL) machine_free(swarm_machine(app.swarm));
	os_loop_free(app.loop);
	os_tls_free(app.tls);
	key_wipe(&app.config, sizeof app.config);
	return end;
}
