/* derp-relay: the reference relay, on TLS or plain TCP.
 *
 * Options (os_relay_options.h) make the configuration of the machine (relay.h); the host (os_host.h) runs it until a signal comes. SIGINT
 * and SIGTERM close every connection at once (SRV-037), with --drain one after the other. */
#include "address.h"
#include "os_dns.h"
#include "os_file.h"
#include "os_frames.h"
#include "os_host.h"
#include "os_keyfile.h"
#include "os_log.h"
#include "os_relay_options.h"
#include "os_user.h"
#include "relay.h"
#include "reply.h"

#include "../sim/recording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAVE_NS = 2000000000, RATES_MAX = 4096, LINE_SIZE = 400 };

struct app {
	struct os_owner owner;
	struct tracer tracer;
	struct relay_options options;
	struct key key;
	struct os_user user;
	struct os_tls *tls;
	struct relay *relay;
	struct os_loop *loop;
	struct os_host *host;
	struct os_frames *frames;
	FILE *frames_out;
	struct recording *recording;
	uint64_t record_at; /* commits what waits */
	uint64_t files;     /* that may be open */
	bool stopped;
};

static int cannot(const struct app *app, const char *what)
{
	fprintf(stderr, "%s: %s\n", app->options.cli.program, what);
	return OS_EXIT_CANNOT;
}

/* ---- what the machine tells ---- */

static void deliver(struct os_owner *owner, const struct action *x)
{
	struct app *app = (struct app *)owner;

	if (x->deliver.what == DELIVER_STOPPED) app->stopped = true;
}

static void stream(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	os_frames_stream(((struct app *)owner)->frames, token, what, p, n);
}

static void complain(struct os_owner *owner, const char *text) { os_log(OS_LOG_WARNING, "%s: %s", ((struct app *)owner)->options.cli.program, text); }

static size_t put_key(char *line, size_t n, const char *before, const uint8_t *key)
{
	char hex[KEY_HEX];

	if (key == NULL) return n;
	key_hex(key, hex);
	return n + (size_t)snprintf(line + n, LINE_SIZE - n, " %s%.*s", before, KEY_HEX, hex);
}

static void note_line(const struct note *note)
{
	char line[LINE_SIZE];
	size_t n = put_key(line, 0, "", note->key);

	n = put_key(line, n, "to ", note->key2);
	if (note->kind == NOTE_DROP)
		n += (size_t)snprintf(line + n, LINE_SIZE - n, " %s, %u bytes", drop_reason_name((enum drop_reason)note->a), note->n);
	line[n] = 0;
	os_log(OS_LOG_INFO, "%llu.%03llu s %s%s%s%s", (unsigned long long)(note->now / NS_S), (unsigned long long)(note->now % NS_S / NS_MS),
	       note_kind_name(note->kind), line, note->text != NULL ? ": " : "", note->text != NULL ? note->text : "");
}

static void note(struct tracer *tracer, const struct note *note)
{
	static const char *const mesh[] = { "down", "connecting", "up", "ourselves" };
	const struct app *app = (const struct app *)((char *)tracer - offsetof(struct app, tracer));

	if (note->kind == NOTE_MESH) os_log(OS_LOG_NOTICE, "mesh %s: %s", note->text, mesh[note->b]);
	if (note->kind == NOTE_RATES) {
		if (note->text != NULL) os_log(OS_LOG_WARNING, "receive limits stay as they are: %s", note->text);
		os_log(OS_LOG_NOTICE, "receive limits: %llu bytes a second, %llu at once", (unsigned long long)note->a, (unsigned long long)note->b);
	}
	if (app->options.verbose && note->kind != NOTE_MESH && note->kind != NOTE_FORWARD && note->kind != NOTE_RATES) note_line(note);
}

/* ---- files ---- */

static int read_keys(struct app *app)
{
	struct relay_options *o = &app->options;
	char error[KEYFILE_ERROR_SIZE], hex[KEY_HEX];
	struct key mesh_key;
	bool made = false;

	if (o->key_file == NULL)
		os_key_draw(&app->key);
	else if (!os_keyfile_private(o->key_file, &app->key, &made, error))
		return os_cli_usage(&o->cli, "%s", error);
	if (made) os_log(OS_LOG_NOTICE, "%s: a new private key was made", o->key_file);
	key_hex(app->key.b, hex);
	os_config_add(&o->config, "key=privkey:%.*s\n", KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
	if (o->mesh_psk == NULL && o->mesh_psk_file == NULL) return -1;
	if (o->mesh_psk_file != NULL && !os_keyfile_mesh(o->mesh_psk_file, &mesh_key, error)) return os_cli_usage(&o->cli, "%s", error);
	if (o->mesh_psk_file == NULL && !key_mesh_from_text(o->mesh_psk, strlen(o->mesh_psk), &mesh_key))
		return os_cli_usage(&o->cli, "TAILSCALE_DERPER_MESH_KEY: expected 64 hex digits and nothing else");
	key_hex(mesh_key.b, hex);
	os_config_add(&o->config, "mesh-key=%.*s\n", KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
	key_wipe(&mesh_key, sizeof mesh_key);
	return -1;
}

/* The rate file as one line of JSON, whose white space does not matter. Returns its length, 0 if `error` says why not. */
static size_t read_rates(const char *path, char text[RATES_MAX], char error[LINE_SIZE])
{
	char why[200] = "expected less than 4096 bytes";
	ssize_t n = os_file_read(path, text, RATES_MAX, NULL);

	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\n' || text[i] == '\r') text[i] = ' ';
	if (n < 0) snprintf(why, sizeof why, "%s", strerror(errno));
	if (n >= 0 && n < RATES_MAX && relay_rates_check(text, (size_t)n, why)) return (size_t)n;
	snprintf(error, LINE_SIZE, "%.150s: %s", path, why);
	return 0;
}

/* RAT-006: an error is fatal at the start. */
static int start_rates(struct app *app)
{
	struct relay_options *o = &app->options;
	char text[RATES_MAX], error[LINE_SIZE];
	size_t n;

	if (o->rate_file == NULL) return -1;
	n = read_rates(o->rate_file, text, error);
	if (n == 0) return os_cli_usage(&o->cli, "%s", error);
	os_config_add(&o->config, "rate-config=%.*s\n", (int)n, text);
	return -1;
}

/* RAT-006: an error keeps what is in force. */
static void reload_rates(const struct app *app)
{
	char text[RATES_MAX], error[LINE_SIZE];
	size_t n = read_rates(app->options.rate_file, text, error);
	struct event_command command = { .verb = COMMAND_RATES, .p = (const uint8_t *)text, .n = (uint32_t)n };

	if (n == 0)
		os_log(OS_LOG_WARNING, "receive limits stay as they are: %s", error);
	else
		os_host_command(app->host, &command);
}

static void reload(const struct app *app)
{
	char error[OS_TLS_ERROR_SIZE];

	if (app->options.rate_file != NULL) reload_rates(app);
	if (app->options.tls.hostname == NULL) return;
	if (os_tls_reload(app->tls, error))
		os_log(OS_LOG_NOTICE, "certificates were read again");
	else
		os_log(OS_LOG_WARNING, "certificates stay as they are: %s", error);
}

/* ---- start ---- */

static int open_frames(struct app *app)
{
	const struct relay_options *o = &app->options;

	if (o->frames_file == NULL) return -1;
	app->frames_out = fopen(o->frames_file, "we");
	if (app->frames_out == NULL) {
		fprintf(stderr, "%s: cannot write '%s': %s\n", o->cli.program, o->frames_file, strerror(errno));
		return OS_EXIT_CANNOT;
	}
	setvbuf(app->frames_out, NULL, _IOLBF, 0);
	app->frames = os_frames_new(app->frames_out);
	app->owner.stream = stream;
	return -1;
}

/* ---- recording ---- */

enum { RECORD_NAMES_MAX = 1000 };

static void before(struct os_owner *owner, const struct event *e, bool turn) { recording_before(((struct app *)owner)->recording, e, turn); }

static void record_end(struct app *app)
{
	os_log(OS_LOG_WARNING, "recording ends at event %llu: %s", (unsigned long long)recording_events(app->recording),
	       recording_over(app->recording));
	app->owner.before = NULL;
	app->owner.after = NULL;
}

static void after(struct os_owner *owner, const struct actions *out, uint32_t out_from, const struct actions *up, uint32_t up_from)
{
	struct app *app = (struct app *)owner;

	recording_after(app->recording, out, out_from, up, up_from);
	if (recording_over(app->recording) != NULL) record_end(app);
}

static struct recording *crash_recording;

/* The crash is in the core as a rule: SQLite is at rest then, and its file may be finished. If not, the alarm ends us. */
static void on_crash(int number)
{
	alarm(5);
	recording_crashed(crash_recording);
	raise(number);
}

static void record_signals(struct recording *recording)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct sigaction crash = { .sa_handler = on_crash, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) }, ignore = { .sa_handler = SIG_IGN };

	crash_recording = recording;
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaction(fatal[i], &crash, NULL);
	sigaction(SIGXFSZ, &ignore, NULL); /* a file that may not grow ends the recording, not the relay */
}

/* A name that is taken gets a number: what was recorded before a crash must survive the restart. -1: errno. */
static int record_create(const char *wanted, char *path, size_t size)
{
	int fd = -1;

	for (int i = 0; i < RECORD_NAMES_MAX && fd < 0; i++) {
		if (snprintf(path, size, i == 0 ? "%s" : "%s.%d", wanted, i) >= (int)size)
			errno = ENAMETOOLONG;
		else
			fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST) break;
	}
	return fd;
}

static int start_recording(struct app *app)
{
	const struct relay_options *o = &app->options;
	char path[1000], error[RECORDING_ERROR_SIZE];
	int fd;

	if (o->record_file == NULL) return -1;
	fd = record_create(o->record_file, path, sizeof path);
	if (fd < 0) return os_cli_usage(&o->cli, "option '--record': cannot create '%.200s': %s", o->record_file, strerror(errno));
	close(fd);
	app->recording = recording_new(path, "derp-relay " DERP_VERSION, o->record_mb << 20, error);
	if (app->recording == NULL) return cannot(app, error);
	record_signals(app->recording);
	app->owner.before = before;
	app->owner.after = after;
	os_log(OS_LOG_NOTICE, "recording to %s: it holds this relay's private key and all that reaches it; keep it as you keep the key", path);
	return -1;
}

/* When it is to be written at the latest. */
static uint64_t record_due(struct app *app)
{
	if (app->recording == NULL || !recording_waits(app->recording)) {
		app->record_at = 0;
		return UINT64_MAX;
	}
	if (app->record_at == 0) app->record_at = os_now() + NS_S;
	if (os_now() < app->record_at) return app->record_at;
	app->record_at = 0;
	recording_commit(app->recording);
	if (recording_over(app->recording) != NULL) record_end(app);
	return UINT64_MAX;
}

/* Everything that the user may have got wrong, before anything is opened. */
static int check(struct app *app)
{
	struct relay_options *o = &app->options;
	char error[LINE_SIZE];
	int end = read_keys(app);

	if (end < 0) end = start_rates(app);
	if (end >= 0) return end;
	if (o->user != NULL && !os_user_find(o->user, &app->user, error)) return os_cli_usage(&o->cli, "option '--user': %s", error);
	if (o->dns_servers != NULL && !os_dns_servers_check(o->dns_servers))
		return os_cli_usage(&o->cli, "option '--dns': found '%s', expected IP[:PORT],...", o->dns_servers);
	if (o->config.full) return os_cli_usage(&o->cli, "the configuration is too long");
	if (!relay_config_check(o->config.text, o->config.n, error)) return os_cli_usage(&o->cli, "configuration %s", error);
	o->times.defer_s = !relay_config_speaks_first(o->config.text, o->config.n);
	return -1;
}

static int start_tls(struct app *app)
{
	char error[OS_TLS_ERROR_SIZE], pin[OS_TLS_PIN];

	app->tls = os_tls_new(&app->options.tls, error);
	if (app->tls == NULL) return os_cli_usage(&app->options.cli, "%s", error);
	if (os_tls_pin(app->tls, pin)) printf("certificate for %s, %s\n", app->options.tls.hostname, pin); /* MAP-009 */
	os_host_tls(app->host, app->tls);
	return -1;
}

/* HTTP-044, STN-001: at the same IP. The line for `main` is the last: whoever waits for it finds all of them open. */
static int open_sockets(struct app *app, struct address *bound)
{
	struct relay_options *o = &app->options;
	struct address at = o->address, beside;
	char error[OS_ERROR_SIZE], text[ADDRESS_TEXT];

	if (!(o->tls.hostname != NULL ? os_host_listen_tls : os_host_listen)(app->host, &at, &o->times, bound, error))
		return os_cli_usage(&o->cli, "option '-a': %s", error);
	if (o->http_port != RELAY_HTTP_PORT_OFF) {
		at.port = (uint16_t)o->http_port;
		if (!os_host_listen_helper(app->host, &at, &o->times, &beside, error))
			return os_cli_usage(&o->cli, "option '--http-port': %s; -1 is none", error);
		printf("plain HTTP on %s\n", address_text(&beside, text));
	}
	if (o->stun) {
		at.port = o->stun_port;
		if (!os_host_udp(app->host, &at, &beside, error))
			return os_cli_usage(&o->cli, "option '--stun-port': %s; --stun=false is none", error);
		printf("STUN on %s\n", address_text(&beside, text));
	}
	return -1;
}

/* Signals first: libraries may make threads, which take over what is blocked. */
static int open_loop(struct app *app)
{
	app->files = os_tcp_raise_limit();
	app->loop = os_loop_new();
	if (app->loop != NULL && os_loop_signals(app->loop) && os_loop_notice(app->loop, SIGHUP) && os_loop_notice(app->loop, SIGUSR1)) return -1;
	return cannot(app, strerror(errno));
}

static int start(struct app *app)
{
	struct machine_env env = { .tracer = &app->tracer };
	const struct relay_options *o = &app->options;
	char error[OS_USER_ERROR_SIZE], text[ADDRESS_TEXT], hex[KEY_HEX];
	struct address bound;
	int end = check(app);

	if (end < 0) end = open_frames(app);
	if (end < 0) end = open_loop(app);
	if (end >= 0) return end;
	app->relay = relay_new(&env);
	app->host = os_host_new(app->loop, relay_machine(app->relay), &app->owner);
	if (o->dns_servers != NULL) os_host_dns(app->host, o->dns_servers);
	end = start_tls(app);
	if (end < 0) end = open_sockets(app, &bound);
	if (end >= 0) return end;
	if (o->user != NULL && !os_user_become(&app->user, error)) return cannot(app, error);
	os_user_no_more_rights();
	end = start_recording(app);
	if (end >= 0) return end;
	os_host_start(app->host, o->config.text, o->config.n, RELAY_SLOTS);
	key_hex(relay_public_key(app->relay), hex);
	printf("listening on %s, public key nodekey:%.*s\n", address_text(&bound, text), KEY_HEX, hex);
	fflush(stdout);
	return -1;
}

/* ---- serving ---- */

static uint32_t files_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	if (dir == NULL) return 0;
	while (readdir(dir) != NULL) n++;
	closedir(dir);
	return n - 3; /* two that are no files, and the folder itself */
}

/* SIGUSR1: what a look at the relay needs, then every metric. */
static void dump(const struct app *app)
{
	const struct relay_counters *c = relay_counters(app->relay);
	struct reply metrics;

	os_log(OS_LOG_NOTICE, "state: %u sockets, %u files of %llu, %llu connections, %u regular clients, %u of %u mesh links, %u keys behind them",
	       os_host_connections(app->host), files_open(), (unsigned long long)app->files, (unsigned long long)c->current_connections,
	       relay_regular_clients(app->relay), relay_mesh_links_up(app->relay), relay_mesh_links(app->relay), relay_mesh_keys(app->relay));
	os_log(OS_LOG_NOTICE, "state: %llu packets queued, %llu bytes refused by sockets, %llu bytes of memory, up %llu s",
	       (unsigned long long)relay_packets_queued(app->relay), (unsigned long long)os_host_left(app->host),
	       (unsigned long long)relay_memory(app->relay), (unsigned long long)(os_host_now(app->host) / NS_S));
	relay_metrics(app->relay, os_host_now(app->host), &metrics);
	for (char *line = strtok(metrics.body, "\n"); line != NULL; line = strtok(NULL, "\n"))
		if (line[0] != '#') os_log(OS_LOG_INFO, "state: %s", line);
	os_log(OS_LOG_NOTICE, "state: told");
	reply_free(&metrics);
}

static void on_notice(const struct app *app, int signal)
{
	if (signal == SIGHUP) reload(app);
	if (signal == SIGUSR1) dump(app);
}

static void drain(const struct app *app)
{
	struct event_command command = { .verb = COMMAND_DRAIN, .patience_ns = app->options.drain_ns };

	os_log(OS_LOG_NOTICE, "draining %u clients over %llu ms; a second signal stops at once", relay_regular_clients(app->relay),
	       (unsigned long long)(app->options.drain_ns / NS_MS));
	os_host_command(app->host, &command);
}

/* Until the machine has stopped, or a signal says that it must at once. */
static void serve(struct app *app)
{
	unsigned patience = app->options.drain_ns != 0;
	bool draining = false;
	int signal;

	while (!app->stopped && os_loop_ends(app->loop) <= patience) {
		if (os_loop_ends(app->loop) != 0 && !draining) {
			draining = true;
			drain(app);
		}
		while ((signal = os_loop_noticed(app->loop)) != 0) on_notice(app, signal);
		os_loop_turn(app->loop, record_due(app));
	}
}

static void leave(struct app *app)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	const struct relay_counters *count = relay_counters(app->relay);
	uint64_t until = os_now() + LEAVE_NS;

	if (!app->stopped) os_host_command(app->host, &command); /* SRV-036, SRV-037 */
	while ((!app->stopped || os_host_connections(app->host) != 0) && os_now() < until) os_loop_turn(app->loop, until);
	printf("%llu logins, %llu packets received, %llu sent, %llu forwarded\n", (unsigned long long)count->logins,
	       (unsigned long long)count->packets_received, (unsigned long long)count->packets_sent,
	       (unsigned long long)count->packets_forwarded_out);
}

static void release(struct app *app)
{
	os_host_free(app->host);
	if (app->relay != NULL) machine_free(relay_machine(app->relay));
	os_loop_free(app->loop);
	os_tls_free(app->tls);
	crash_recording = NULL;
	recording_free(app->recording);
	os_frames_free(app->frames);
	if (app->frames_out != NULL) fclose(app->frames_out);
	key_wipe(&app->key, sizeof app->key);
	key_wipe(&app->options.config, sizeof app->options.config);
}

int main(int argc, char **argv)
{
	static struct app app;
	int end;

	app.owner = (struct os_owner){ .deliver = deliver, .complain = complain };
	app.tracer.note = note;
	end = relay_options_parse(&app.options, argc, argv);
	if (end < 0) end = start(&app);
	if (end < 0) {
		serve(&app);
		leave(&app);
		end = OS_EXIT_FINE;
	}
	release(&app);
	return end;
}
