/* derp-relay: the reference relay, on TLS or plain TCP.
 *
 * Options make the configuration of the machine (relay.h); the host (os_host.h) runs it until a signal comes. Then every
 * connection is closed and the program ends. */
#include "address.h"
#include "os_cli.h"
#include "os_frames.h"
#include "os_host.h"
#include "os_keyfile.h"
#include "os_tls.h"
#include "relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVE_NS = 2000000000 };

static const char help[] =
	"usage: derp-relay [-a [ADDRESS]:PORT] [-c FILE] [OPTIONS]\n"
	"\n"
	"A DERP relay, on TLS with --certmode manual, else on plain TCP. Prints its address and public key, then serves until SIGINT or SIGTERM.\n"
	"\n"
	"  -a, --address [ADDRESS]:PORT  where to listen; port 0 takes a free one, no address means all (default :3340)\n"
	"  -c, --key FILE                the relay's private key as JSON, made if absent (default: a new key for this run)\n"
	"      --certmode manual|none    manual: TLS with a certificate from files (default none)\n"
	"      --certdir DIR             where they are: NAME.crt and NAME.key, in PEM\n"
	"      --hostname NAME           their name, which clients must ask for; for an IP address they are made if absent\n"
	"      --ca FILE                 certificates to trust in the mesh, instead of the system's\n"
	"      --keylog FILE             write TLS secrets there, for those who decrypt captures\n"
	"      --mesh-psk-file FILE      64 hex digits that all relays of the region share\n"
	"      --mesh-with LIST          the region's other relays: HOST[:PORT][/DIALHOST],... for TLS, http://HOST:PORT for plain\n"
	"      --profile ours|derper     derper: with the quirks of the original (default ours)\n"
	"      --tcp-keepalive-time T    of accepted connections (default 10m)\n"
	"      --tcp-user-timeout T      of accepted connections (default 15s)\n"
	"      --set NAME=VALUE          any other setting of the relay, such as keepalive=10s or write-timeout=5s; may be repeated\n"
	"      --frames FILE             write a line for each frame of each connection\n"
	"  -v, --verbose                 tell of every login, departure and dropped packet\n"
	"  -h, --help                    this text\n"
	"      --version\n"
	"\n"
	"Exit codes: 0 ended by a signal, 2 bad usage or input, 3 could not run.\n";

enum option_id {
	HELP = 1,
	VERSION,
	ADDRESS,
	KEYFILE,
	MESH_PSK,
	MESH_WITH,
	PROFILE,
	KEEPALIVE,
	USER_TIMEOUT,
	SET,
	FRAMES,
	VERBOSE,
	CERTMODE,
	CERTDIR,
	HOSTNAME,
	CA,
	KEYLOG
};

static const struct os_option options[] = {
	{ HELP, "help", 'h', false },
	{ VERSION, "version", 0, false },
	{ ADDRESS, "address", 'a', true },
	{ KEYFILE, "key", 'c', true },
	{ CERTMODE, "certmode", 0, true },
	{ CERTDIR, "certdir", 0, true },
	{ HOSTNAME, "hostname", 0, true },
	{ CA, "ca", 0, true },
	{ KEYLOG, "keylog", 0, true },
	{ MESH_PSK, "mesh-psk-file", 0, true },
	{ MESH_WITH, "mesh-with", 0, true },
	{ PROFILE, "profile", 0, true },
	{ KEEPALIVE, "tcp-keepalive-time", 0, true },
	{ USER_TIMEOUT, "tcp-user-timeout", 0, true },
	{ SET, "set", 0, true },
	{ FRAMES, "frames", 0, true },
	{ VERBOSE, "verbose", 'v', false },
	{ 0, NULL, 0, false },
};

struct app {
	struct os_owner owner;
	struct tracer tracer;
	struct os_cli cli;
	struct os_config config;
	struct address address;
	const char *key_file, *mesh_psk_file, *mesh_with, *frames_file;
	struct os_tcp_times times;
	const char *certmode;
	struct os_tls_config tls_config;
	struct os_tls *tls;
	struct key key;
	struct relay *relay;
	struct os_loop *loop;
	struct os_host *host;
	struct os_frames *frames;
	FILE *frames_out;
	bool verbose, stopped;
};

static int cannot(const struct app *app, const char *what)
{
	fprintf(stderr, "%s: %s\n", app->cli.program, what);
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

static void complain(struct os_owner *owner, const char *text) { fprintf(stderr, "%s: %s\n", ((struct app *)owner)->cli.program, text); }

static void print_key(const char *before, const uint8_t *key)
{
	char hex[KEY_HEX];

	if (key == NULL) return;
	key_hex(key, hex);
	fprintf(stderr, " %s%.*s", before, KEY_HEX, hex);
}

static void note(struct tracer *tracer, const struct note *note)
{
	static const char *const mesh[] = { "down", "connecting", "up", "ourselves" };
	const struct app *app = (const struct app *)((char *)tracer - offsetof(struct app, tracer));

	if (note->kind == NOTE_MESH) fprintf(stderr, "mesh %s: %s\n", note->text, mesh[note->b]);
	if (!app->verbose || note->kind == NOTE_MESH || note->kind == NOTE_FORWARD) return;
	fprintf(stderr, "%llu.%03llu s %s", (unsigned long long)(note->now / NS_S), (unsigned long long)(note->now % NS_S / NS_MS),
	        note_kind_name(note->kind));
	print_key("", note->key);
	print_key("to ", note->key2);
	if (note->kind == NOTE_DROP) fprintf(stderr, " %s, %u bytes", drop_reason_name((enum drop_reason)note->a), note->n);
	fprintf(stderr, "%s%s\n", note->text != NULL ? ": " : "", note->text != NULL ? note->text : "");
}

/* ---- options ---- */

/* ":3340" is every address; the rest as in address.h. */
static bool parse_address(struct app *app)
{
	char text[80];
	const char *value = app->cli.value;

	snprintf(text, sizeof text, "%s%s", value[0] == ':' ? "0.0.0.0" : "", value);
	if (!address_parse(text, strlen(text), &app->address)) {
		os_cli_usage(&app->cli, "option '--address': found '%s', expected ADDRESS:PORT or :PORT, such as 127.0.0.1:3340 or [::1]:3340",
		             value);
		return false;
	}
	if (value[0] == ':') memset(app->address.ip, 0, sizeof app->address.ip);
	return true;
}

static bool parse_time(const struct app *app, uint64_t unit, uint32_t *out)
{
	uint64_t ns;

	if (!os_cli_time(&app->cli, &ns)) return false;
	*out = ns / unit > INT32_MAX ? INT32_MAX : (uint32_t)(ns / unit);
	return true;
}

static int set_option(struct app *app, int id)
{
	switch (id) {
	case HELP: fputs(help, stdout); return OS_EXIT_FINE;
	case VERSION: puts("derp-relay " DERP_VERSION); return OS_EXIT_FINE;
	case ADDRESS: return parse_address(app) ? -1 : OS_EXIT_USAGE;
	case KEYFILE: app->key_file = app->cli.value; return -1;
	case CERTMODE: app->certmode = app->cli.value; return -1;
	case CERTDIR: app->tls_config.certdir = app->cli.value; return -1;
	case HOSTNAME: app->tls_config.hostname = app->cli.value; return -1;
	case CA: app->tls_config.ca_file = app->cli.value; return -1;
	case KEYLOG: app->tls_config.keylog_file = app->cli.value; return -1;
	case MESH_PSK: app->mesh_psk_file = app->cli.value; return -1;
	case MESH_WITH: app->mesh_with = app->cli.value; return -1;
	case PROFILE: os_config_add(&app->config, "profile=%s\n", app->cli.value); return -1;
	case KEEPALIVE: return parse_time(app, NS_S, &app->times.keepalive_s) ? -1 : OS_EXIT_USAGE;
	case USER_TIMEOUT: return parse_time(app, NS_MS, &app->times.user_timeout_ms) ? -1 : OS_EXIT_USAGE;
	case SET: os_config_add(&app->config, "%s\n", app->cli.value); return -1;
	case FRAMES: app->frames_file = app->cli.value; return -1;
	case VERBOSE: app->verbose = true; return -1;
	case OS_CLI_ARGUMENT: return os_cli_usage(&app->cli, "expected options only, found '%s'", app->cli.value);
	default: return OS_EXIT_USAGE;
	}
}

/* -1: go on; else the exit code. */
static int parse(struct app *app, int argc, char **argv)
{
	int id, end;

	os_cli_init(&app->cli, "derp-relay", options, argc, argv);
	while ((id = os_cli_next(&app->cli)) != OS_CLI_END)
		if ((end = set_option(app, id)) >= 0) return end;
	return -1;
}

/* ---- start ---- */

static int read_keys(struct app *app)
{
	char error[KEYFILE_ERROR_SIZE], hex[KEY_HEX];
	struct key mesh_key;
	bool made;

	if (app->key_file == NULL)
		os_key_draw(&app->key);
	else if (!os_keyfile_private(app->key_file, &app->key, &made, error))
		return os_cli_usage(&app->cli, "%s", error);
	key_hex(app->key.b, hex);
	os_config_add(&app->config, "key=privkey:%.*s\n", KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
	if (app->mesh_psk_file == NULL) return -1;
	if (!os_keyfile_mesh(app->mesh_psk_file, &mesh_key, error)) return os_cli_usage(&app->cli, "%s", error);
	key_hex(mesh_key.b, hex);
	os_config_add(&app->config, "mesh-key=%.*s\n", KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
	return -1;
}

/* What will be dialled: behind the slash, if there is one. */
static bool resolve_entry(struct app *app, char entry[128], char error[OS_ERROR_SIZE])
{
	const char *slash = strchr(entry + (strncmp(entry, "http://", 7) == 0 ? 7 : 0), '/');
	char dial[160];
	struct address ip;

	if (slash == NULL) return os_host_resolve_url(app->host, entry, error);
	if (address_ip_parse(slash + 1, strlen(slash + 1), &ip)) return true;
	snprintf(dial, sizeof dial, "http://%s", slash + 1);
	return os_host_resolve_url(app->host, dial, error);
}

/* HTTP-019, HTTP-046: of the original's ways to a certificate, the one by files. */
static int check_tls(struct app *app)
{
	const struct os_cli *cli = &app->cli;
	struct os_tls_config *config = &app->tls_config;

	if (app->certmode == NULL && app->address.port == 443)
		return os_cli_usage(cli, "port 443 is for TLS: expected --certmode manual, or --certmode none for plain TCP all the same");
	if (app->certmode == NULL || strcmp(app->certmode, "none") == 0) {
		config->certdir = config->hostname = NULL;
		return -1;
	}
	if (strcmp(app->certmode, "manual") != 0) return os_cli_usage(cli, "option '--certmode': found '%s', expected manual or none", app->certmode);
	if (config->certdir == NULL || config->hostname == NULL) return os_cli_usage(cli, "--certmode manual needs --certdir and --hostname");
	return -1;
}

static int start_tls(struct app *app)
{
	char error[OS_TLS_ERROR_SIZE], pin[OS_TLS_PIN];
	int end = check_tls(app);

	if (end >= 0) return end;
	app->tls = os_tls_new(&app->tls_config, error);
	if (app->tls == NULL) return os_cli_usage(&app->cli, "%s", error);
	if (os_tls_pin(app->tls, pin)) printf("certificate for %s, %s\n", app->tls_config.hostname, pin); /* MAP-009 */
	os_host_tls(app->host, app->tls);
	return -1;
}

/* Names of the mesh are looked up now: nothing may block later. */
static int resolve_mesh(struct app *app)
{
	char error[OS_ERROR_SIZE], entry[128];

	for (const char *p = app->mesh_with; p != NULL && *p != 0;) {
		size_t n = strcspn(p, ",");
		snprintf(entry, sizeof entry, "%.*s", (int)n, p);
		if (!resolve_entry(app, entry, error)) return cannot(app, error);
		p += n;
		p += *p == ',';
	}
	return -1;
}

static int start(struct app *app)
{
	struct machine_env env = { .tracer = &app->tracer };
	char error[OS_ERROR_SIZE], text[ADDRESS_TEXT], hex[KEY_HEX];
	struct address bound;
	int end = read_keys(app);

	if (end >= 0) return end;
	if (app->mesh_with != NULL) os_config_add(&app->config, "mesh-with=%s\n", app->mesh_with);
	if (app->config.full) return os_cli_usage(&app->cli, "the configuration is too long");
	if (!relay_config_check(app->config.text, app->config.n, error)) return os_cli_usage(&app->cli, "configuration %s", error);
	app->times.defer_s = !relay_config_speaks_first(app->config.text, app->config.n);
	if (app->frames_file != NULL) {
		app->frames_out = fopen(app->frames_file, "we");
		if (app->frames_out == NULL) {
			fprintf(stderr, "%s: cannot write '%s': %s\n", app->cli.program, app->frames_file, strerror(errno));
			return OS_EXIT_CANNOT;
		}
		setvbuf(app->frames_out, NULL, _IOLBF, 0);
		app->frames = os_frames_new(app->frames_out);
		app->owner.stream = stream;
	}
	os_tcp_raise_limit();
	app->loop = os_loop_new();
	if (app->loop == NULL || !os_loop_signals(app->loop)) return cannot(app, strerror(errno));
	app->relay = relay_new(&env);
	app->host = os_host_new(app->loop, relay_machine(app->relay), &app->owner);
	end = start_tls(app);
	if (end < 0) end = resolve_mesh(app);
	if (end >= 0) return end;
	if (!(app->tls_config.hostname != NULL ? os_host_listen_tls : os_host_listen)(app->host, &app->address, &app->times, &bound, error))
		return cannot(app, error);
	os_host_start(app->host, app->config.text, app->config.n, RELAY_SLOTS);
	key_hex(relay_public_key(app->relay), hex);
	printf("listening on %s, public key nodekey:%.*s\n", address_text(&bound, text), KEY_HEX, hex);
	fflush(stdout);
	return -1;
}

static void serve(struct app *app)
{
	struct event_command leave = { .verb = COMMAND_LEAVE };
	const struct relay_counters *count = relay_counters(app->relay);
	uint64_t until;

	while (os_loop_signal(app->loop) == 0 && !app->stopped) os_loop_turn(app->loop, UINT64_MAX);
	os_host_command(app->host, &leave); /* SRV-036 */
	until = os_now() + LEAVE_NS;
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
	os_frames_free(app->frames);
	if (app->frames_out != NULL) fclose(app->frames_out);
	key_wipe(&app->key, sizeof app->key);
	key_wipe(&app->config, sizeof app->config);
}

int main(int argc, char **argv)
{
	static struct app app;
	int end;

	app.owner = (struct os_owner){ .deliver = deliver, .complain = complain };
	app.tracer.note = note;
	app.address.port = 3340;
	app.times = OS_TCP_TIMES;
	end = parse(&app, argc, argv);
	if (end < 0) end = start(&app);
	if (end < 0) {
		serve(&app);
		end = OS_EXIT_FINE;
	}
	release(&app);
	return end;
}
