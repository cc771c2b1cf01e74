/* derp-client: the reference client on TLS and plain TCP, for hands and scripts.
 *
 * echo answers every packet to its sender, recv prints what comes, send sends. Options make the configuration of the machine
 * (client.h); the host (os_host.h) runs it. `send` ends when the relay has read everything: it pings behind its last packet and
 * waits for the Pong (TRP-006). */
#include "buf.h"
#include "client.h"
#include "frame.h"
#include "json.h"
#include "os_cli.h"
#include "os_frames.h"
#include "os_host.h"
#include "os_keyfile.h"
#include "os_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVE_NS = 1000000000, SUM_SIZE = 8, BURST = 64 };

static const char help[] = "usage: derp-client echo|recv|send URL [OPTIONS]\n"
			   "\n"
			   "A DERP client; URL is https://HOST[:PORT]/derp, or http:// for plain TCP. Prints its own public key first.\n"
			   "\n"
			   "  echo   answers every packet to its sender\n"
			   "  recv   prints every packet: source, size and a checksum of its bytes\n"
			   "  send   sends packets, waits until the relay has read them all, and ends\n"
			   "\n"
			   "      --to KEY            send: the receiver's public key, 64 hex digits, with or without nodekey:\n"
			   "      --size N            send: bytes of a packet, 0 to 65536 (default 100)\n"
			   "      --data TEXT|@FILE   send: the bytes of every packet, instead of a pattern\n"
			   "      --count N           send: so many packets (default 1); echo, recv: end after so many (default: never)\n"
			   "      --echo              send: await each packet back from the receiver, unchanged, before the next goes\n"
			   "      --timeout T         give up after this time (default 10s for send, else never)\n"
			   "      --key FILE          private key as JSON, made if absent (default: a new key for this run)\n"
			   "      --mesh-psk-file F   log in with the region's mesh key\n"
			   "      --ca FILE           certificates to trust in https, instead of the system's\n"
			   "      --tls12             TLS 1.2 and nothing newer\n"
			   "      --keylog FILE       write TLS secrets there, for those who decrypt captures\n"
			   "      --fast-start        send the login with the request, without waiting for an answer; needs --server-key\n"
			   "      --server-key KEY    the relay's public key\n"
			   "      --home              tell the relay that it is home\n"
			   "      --set NAME=VALUE    any other setting of the client, such as receive-timeout=30s; may be repeated\n"
			   "      --frames FILE       write a line for each frame of each connection\n"
			   "      --json              a JSON object a line instead of text\n"
			   "  -h, --help              this text\n"
			   "      --version\n"
			   "\n"
			   "Exit codes: 0 fine, 1 packets did not come or were changed, 2 bad usage or input, 3 no connection.\n";

enum option_id {
	HELP = 1,
	VERSION,
	TO,
	SIZE,
	DATA,
	COUNT,
	ECHO,
	TIMEOUT,
	KEYFILE,
	MESH_PSK,
	FAST,
	SERVER_KEY,
	HOME,
	SET,
	FRAMES,
	JSON,
	CA,
	KEYLOG,
	TLS12
};

static const struct os_option options[] = {
	{ HELP, "help", 'h', false },
	{ VERSION, "version", 0, false },
	{ TO, "to", 0, true },
	{ SIZE, "size", 0, true },
	{ DATA, "data", 0, true },
	{ COUNT, "count", 0, true },
	{ ECHO, "echo", 0, false },
	{ TIMEOUT, "timeout", 0, true },
	{ KEYFILE, "key", 0, true },
	{ MESH_PSK, "mesh-psk-file", 0, true },
	{ CA, "ca", 0, true },
	{ KEYLOG, "keylog", 0, true },
	{ TLS12, "tls12", 0, false },
	{ FAST, "fast-start", 0, false },
	{ SERVER_KEY, "server-key", 0, true },
	{ HOME, "home", 0, false },
	{ SET, "set", 0, true },
	{ FRAMES, "frames", 0, true },
	{ JSON, "json", 0, false },
	{ 0, NULL, 0, false },
};

enum job { JOB_NONE, JOB_ECHO, JOB_RECV, JOB_SEND };

struct app {
	struct os_owner owner;
	struct os_cli cli;
	struct os_tls_config tls_config;
	struct os_tls *tls;
	struct os_config config;
	enum job job;
	const char *url, *data, *key_file, *mesh_psk_file, *frames_file;
	struct key to, server_key, key;
	bool has_to, has_size, has_server_key, fast, echo, json;
	uint64_t size, count, timeout;
	struct client *client;
	struct os_loop *loop;
	struct os_host *host;
	struct os_frames *frames;
	FILE *frames_out;
	struct packet *packet; /* send: the one under way */
	uint64_t sent, got, bytes, dropped;
	bool ready, was_ready, pinged, ponged, done;
	int end; /* exit code, once done */
};

static const uint8_t ping_data[FRAME_PING_SIZE] = { 'd', 'e', 'r', 'p', 's', 'e', 'n', 'd' };

static int cannot(const struct app *app, const char *what)
{
	fprintf(stderr, "%s: %s\n", app->cli.program, what);
	return OS_EXIT_CANNOT;
}

static void finish(struct app *app, int end)
{
	if (app->done) return;
	app->done = true;
	app->end = end;
}

/* ---- saying what happens ---- */

struct say {
	const char *what;
	const uint8_t *key;
	bool has_size;
	uint64_t size;
	const uint8_t *p; /* of size bytes: their checksum is said */
	const char *text;
};

static void say_json(const struct say *s, const char *hex, const char *sum)
{
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	json_name(&w, "event");
	json_put_string(&w, s->what, strlen(s->what));
	if (s->key != NULL) {
		json_name(&w, "key");
		json_put_string(&w, hex, KEY_HEX);
	}
	if (s->has_size) {
		json_name(&w, "size");
		json_put_u64(&w, s->size);
	}
	if (s->p != NULL) {
		json_name(&w, "sum");
		json_put_string(&w, sum, 2 * SUM_SIZE);
	}
	if (s->text != NULL) {
		json_name(&w, "text");
		json_put_string(&w, s->text, strlen(s->text));
	}
	json_close(&w, '}');
	printf("%.*s\n", (int)w.n, w.p);
	json_writer_free(&w);
}

static void say(const struct app *app, const struct say *s)
{
	char hex[KEY_HEX], sum[KEY_HEX];
	uint8_t digest[32];

	if (s->key != NULL) key_hex(s->key, hex);
	if (s->p != NULL) {
		key_derive(s->p, s->size, "derp-client packet", digest);
		key_hex(digest, sum);
	}
	if (app->json) {
		say_json(s, hex, sum);
	} else {
		printf("%s", s->what);
		if (s->key != NULL) printf(" %.*s", KEY_HEX, hex);
		if (s->has_size) printf(" %llu", (unsigned long long)s->size);
		if (s->p != NULL) printf(" %.*s", 2 * SUM_SIZE, sum);
		printf("%s%s\n", s->text != NULL ? " " : "", s->text != NULL ? s->text : "");
	}
	fflush(stdout);
}

/* ---- sending ---- */

/* A pattern in which a byte out of place, of another packet or of another size shows. */
static struct packet *pattern(uint64_t number, uint32_t n)
{
	struct packet *packet = packet_new(n);

	for (uint32_t i = 0; i < n; i++) packet->bytes[i] = (uint8_t)(number * 131 + (uint64_t)i * 7 + (i >> 8) + n);
	return packet;
}

static void send_packet(struct app *app, const uint8_t *to, struct packet *owner, const uint8_t *p, uint32_t n)
{
	struct event_command command = { .verb = COMMAND_SEND, .dst = to, .owner = owner, .p = p, .n = n };

	os_host_command(app->host, &command);
}

static void send_next(struct app *app)
{
	if (app->data == NULL) {
		packet_drop(app->packet);
		app->packet = pattern(app->sent, (uint32_t)app->size);
	}
	send_packet(app, app->to.b, app->packet, app->packet->bytes, app->packet->n);
	app->sent++;
	app->bytes += app->packet->n;
}

/* One in the queue at most: the client's queue drops its oldest when it is full (CLI-031). */
static bool may_send(const struct app *app)
{
	return app->ready && app->sent < app->count && client_packets_queued(app->client) == 0 && (!app->echo || app->got == app->sent);
}

static void send_some(struct app *app)
{
	struct event_command ping = { .verb = COMMAND_PING, .p = ping_data, .n = sizeof ping_data };

	for (int i = 0; i < BURST && may_send(app); i++) send_next(app);
	if (!app->ready || app->sent < app->count || app->pinged || client_packets_queued(app->client) != 0) return;
	app->pinged = true;
	os_host_command(app->host, &ping);
}

/* The relay has read everything and, with --echo, everything came back. */
static void finish_sending(struct app *app)
{
	if (app->ponged && (!app->echo || app->got == app->count)) finish(app, app->dropped == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING);
}

/* ---- what the machine tells ---- */

static void on_packet(struct app *app, const struct action *x)
{
	bool from_it = key_equal(x->deliver.key, app->to.b);

	if (app->job == JOB_SEND && (!app->echo || !from_it)) return;
	if (app->job == JOB_ECHO) send_packet(app, x->deliver.key, x->span.owner, x->span.p, x->span.n);
	if (app->job == JOB_SEND && (x->span.n != app->packet->n || memcmp(x->span.p, app->packet->bytes, x->span.n) != 0)) {
		say(app, &(struct say){ .what = "changed", .key = x->deliver.key, .has_size = true, .size = x->span.n, .p = x->span.p });
		finish(app, OS_EXIT_FINDING);
		return;
	}
	app->got++;
	if (app->job == JOB_SEND) finish_sending(app);
	if (app->job == JOB_RECV)
		say(app, &(struct say){ .what = "packet", .key = x->deliver.key, .has_size = true, .size = x->span.n, .p = x->span.p });
	if (app->job != JOB_SEND && app->count != 0 && app->got == app->count) finish(app, OS_EXIT_FINE);
}

static void on_ready(struct app *app)
{
	app->ready = app->was_ready = true;
	say(app, &(struct say){ .what = "connected", .key = client_server_key(app->client) });
}

/* send gives up with its connection: nobody knows what of it arrived. */
static void on_disconnected(struct app *app, const struct action *x)
{
	const char *why = client_end_name((enum client_end)x->deliver.a);

	if (x->deliver.a == CLIENT_END_LEFT) return;
	app->ready = false;
	if (app->job != JOB_SEND && app->was_ready) say(app, &(struct say){ .what = "disconnected", .text = why });
	if (app->job != JOB_SEND) return;
	fprintf(stderr, "%s: %s %s: %s\n", app->cli.program, app->was_ready ? "connection lost to" : "no connection to", app->url, why);
	finish(app, app->was_ready ? OS_EXIT_FINDING : OS_EXIT_CANNOT);
}

static void on_pong(struct app *app, const struct action *x)
{
	if (!app->pinged || memcmp(x->span.p, ping_data, sizeof ping_data) != 0) return;
	app->ponged = true;
	finish_sending(app);
}

static void on_gone(const struct app *app, const struct action *x)
{
	say(app, &(struct say){ .what = "gone", .key = x->deliver.key, .text = x->deliver.a == GONE_NOT_HERE ? "not here" : "disconnected" });
}

static void deliver(struct os_owner *owner, const struct action *x)
{
	struct app *app = (struct app *)owner;
	char text[200];

	switch (x->deliver.what) {
	case DELIVER_READY: on_ready(app); break;
	case DELIVER_DISCONNECTED: on_disconnected(app, x); break;
	case DELIVER_PACKET: on_packet(app, x); break;
	case DELIVER_PEER_GONE: on_gone(app, x); break;
	case DELIVER_PONG: on_pong(app, x); break;
	case DELIVER_DROPPED: app->dropped++; break;
	case DELIVER_HEALTH:
		snprintf(text, sizeof text, "%.*s", (int)(x->span.n < 150 ? x->span.n : 150), (const char *)x->span.p);
		say(app, &(struct say){ .what = "health", .text = text });
		break;
	default: break;
	}
}

static void stream(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	os_frames_stream(((struct app *)owner)->frames, token, what, p, n);
}

static void complain(struct os_owner *owner, const char *text) { fprintf(stderr, "%s: %s\n", ((struct app *)owner)->cli.program, text); }

/* ---- options ---- */

static int set_key(const struct app *app, struct key *out, bool *has)
{
	*has = key_from_text(app->cli.value, strlen(app->cli.value), "nodekey:", out);
	if (*has) return -1;
	return os_cli_usage(&app->cli, "option '--%s': found '%s', expected a public key of 64 hex digits", app->cli.name, app->cli.value);
}

static int set_argument(struct app *app)
{
	static const char *const jobs[] = { [JOB_ECHO] = "echo", [JOB_RECV] = "recv", [JOB_SEND] = "send" };

	if (app->job != JOB_NONE && app->url != NULL) return os_cli_usage(&app->cli, "one URL is enough, found also '%s'", app->cli.value);
	if (app->job != JOB_NONE) {
		app->url = app->cli.value;
		return -1;
	}
	for (int job = JOB_ECHO; job <= JOB_SEND; job++)
		if (strcmp(app->cli.value, jobs[job]) == 0) app->job = (enum job)job;
	if (app->job != JOB_NONE) return -1;
	return os_cli_usage(&app->cli, "found '%s', expected echo, recv or send", app->cli.value);
}

static int set_option(struct app *app, int id)
{
	const char *value = app->cli.value;

	switch (id) {
	case HELP: fputs(help, stdout); return OS_EXIT_FINE;
	case VERSION: puts("derp-client " DERP_VERSION); return OS_EXIT_FINE;
	case TO: return set_key(app, &app->to, &app->has_to);
	case SIZE: app->has_size = true; return os_cli_u64(&app->cli, 0, FRAME_PACKET_MAX, &app->size) ? -1 : OS_EXIT_USAGE;
	case DATA: app->data = value; return -1;
	case COUNT: return os_cli_u64(&app->cli, 1, UINT32_MAX, &app->count) ? -1 : OS_EXIT_USAGE;
	case ECHO: app->echo = true; return -1;
	case TIMEOUT: return os_cli_time(&app->cli, &app->timeout) ? -1 : OS_EXIT_USAGE;
	case KEYFILE: app->key_file = value; return -1;
	case MESH_PSK: app->mesh_psk_file = value; return -1;
	case CA: app->tls_config.ca_file = value; return -1;
	case KEYLOG: app->tls_config.keylog_file = value; return -1;
	case TLS12: app->tls_config.version_max = 0x0303; return -1;
	case FAST: app->fast = true; return -1;
	case SERVER_KEY: return set_key(app, &app->server_key, &app->has_server_key);
	case HOME: os_config_add(&app->config, "home=on\n"); return -1;
	case SET: os_config_add(&app->config, "%s\n", value); return -1;
	case FRAMES: app->frames_file = value; return -1;
	case JSON: app->json = true; return -1;
	case OS_CLI_ARGUMENT: return set_argument(app);
	default: return OS_EXIT_USAGE;
	}
}

/* What does not fit together. */
static int check(struct app *app)
{
	const struct os_cli *cli = &app->cli;

	if (app->job == JOB_NONE) return os_cli_usage(cli, "expected echo, recv or send, and a URL");
	if (app->url == NULL) return os_cli_usage(cli, "expected a URL such as http://127.0.0.1:3340/derp");
	if (app->job == JOB_SEND && !app->has_to) return os_cli_usage(cli, "send needs --to KEY");
	if (app->data != NULL && app->has_size) return os_cli_usage(cli, "--size and --data exclude each other");
	if (app->fast && !app->has_server_key) return os_cli_usage(cli, "--fast-start needs --server-key (HTTP-010)");
	if (app->job == JOB_SEND && app->count == 0) app->count = 1;
	if (app->job == JOB_SEND && app->timeout == 0) app->timeout = 10 * NS_S;
	return -1;
}

/* -1: go on; else the exit code. */
static int parse(struct app *app, int argc, char **argv)
{
	int id, end;

	os_cli_init(&app->cli, "derp-client", options, argc, argv);
	while ((id = os_cli_next(&app->cli)) != OS_CLI_END)
		if ((end = set_option(app, id)) >= 0) return end;
	return check(app);
}

/* ---- start ---- */

static void add_key(struct app *app, const char *name, const struct key *key)
{
	char hex[KEY_HEX];

	key_hex(key->b, hex);
	os_config_add(&app->config, "%s=%.*s\n", name, KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
}

static int configure(struct app *app)
{
	char error[KEYFILE_ERROR_SIZE];
	struct key mesh_key;
	bool made;

	if (app->key_file == NULL)
		os_key_draw(&app->key);
	else if (!os_keyfile_private(app->key_file, &app->key, &made, error))
		return os_cli_usage(&app->cli, "%s", error);
	add_key(app, "key", &app->key);
	if (app->mesh_psk_file != NULL && !os_keyfile_mesh(app->mesh_psk_file, &mesh_key, error)) return os_cli_usage(&app->cli, "%s", error);
	if (app->mesh_psk_file != NULL) add_key(app, "mesh-key", &mesh_key);
	if (app->has_server_key) add_key(app, "server-key", &app->server_key);
	os_config_add(&app->config, "url=%s\n%s", app->url, app->fast ? "fast-start=always\n" : "");
	if (app->config.full) return os_cli_usage(&app->cli, "the configuration is too long");
	if (!client_config_check(app->config.text, app->config.n, error)) return os_cli_usage(&app->cli, "configuration %s", error);
	return -1;
}

static int read_data(struct app *app)
{
	size_t n = app->data == NULL ? 0 : strlen(app->data);
	FILE *file;

	if (app->data == NULL) return -1;
	app->packet = packet_new(FRAME_PACKET_MAX + 1);
	if (app->data[0] == '@') {
		file = fopen(app->data + 1, "re");
		if (file == NULL) return os_cli_usage(&app->cli, "cannot read '%s': %s", app->data + 1, strerror(errno));
		n = fread(app->packet->bytes, 1, FRAME_PACKET_MAX + 1, file);
		fclose(file);
	} else if (n <= FRAME_PACKET_MAX) {
		memcpy(app->packet->bytes, app->data, n);
	}
	if (n > FRAME_PACKET_MAX) return os_cli_usage(&app->cli, "--data: a packet has at most 65536 bytes (FRM-004)");
	app->packet->n = (uint32_t)n;
	return -1;
}

static int open_frames(struct app *app)
{
	if (app->frames_file == NULL) return -1;
	app->frames_out = fopen(app->frames_file, "we");
	if (app->frames_out == NULL) return cannot(app, strerror(errno));
	setvbuf(app->frames_out, NULL, _IOLBF, 0);
	app->frames = os_frames_new(app->frames_out);
	app->owner.stream = stream;
	return -1;
}

static int start(struct app *app)
{
	struct machine_env env = { 0 };
	char tls_error[OS_TLS_ERROR_SIZE];
	struct key public_key;
	int end = configure(app);

	if (end < 0) end = read_data(app);
	if (end < 0) end = open_frames(app);
	if (end >= 0) return end;
	app->tls = os_tls_new(&app->tls_config, tls_error);
	if (app->tls == NULL) return os_cli_usage(&app->cli, "%s", tls_error);
	app->loop = os_loop_new();
	if (app->loop == NULL || !os_loop_signals(app->loop)) return cannot(app, strerror(errno));
	app->client = client_new(&env);
	app->host = os_host_new(app->loop, client_machine(app->client), &app->owner);
	os_host_tls(app->host, app->tls);
	key_public(&app->key, &public_key);
	say(app, &(struct say){ .what = "key", .key = public_key.b });
	os_host_start(app->host, app->config.text, app->config.n, CLIENT_SLOTS);
	return -1;
}

/* What is missing when the time is up. */
static int late(const struct app *app)
{
	if (!app->was_ready) return cannot(app, "no connection within the time");
	if (app->job != JOB_SEND && app->count == 0) return OS_EXIT_FINE;
	fprintf(stderr, "%s: %llu of %llu packets within the time\n", app->cli.program,
	        (unsigned long long)(app->job == JOB_SEND && !app->echo ? app->sent : app->got), (unsigned long long)app->count);
	return OS_EXIT_FINDING;
}

static void leave(struct app *app)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	uint64_t until = os_now() + LEAVE_NS;

	os_host_command(app->host, &command);
	while (os_host_connections(app->host) != 0 && os_now() < until) os_loop_turn(app->loop, until);
}

static int run(struct app *app)
{
	uint64_t until = app->timeout == 0 ? UINT64_MAX : os_now() + app->timeout;

	while (!app->done && os_loop_signal(app->loop) == 0) {
		if (os_now() >= until) finish(app, late(app));
		if (app->job == JOB_SEND) send_some(app);
		os_loop_turn(app->loop, app->job == JOB_SEND && may_send(app) ? 0 : until);
	}
	leave(app);
	if (app->job == JOB_SEND) say(app, &(struct say){ .what = "sent", .has_size = true, .size = app->sent, .text = "packets" });
	return app->end;
}

static void release(struct app *app)
{
	os_host_free(app->host);
	if (app->client != NULL) machine_free(client_machine(app->client));
	os_loop_free(app->loop);
	os_tls_free(app->tls);
	os_frames_free(app->frames);
	if (app->frames_out != NULL) fclose(app->frames_out);
	packet_drop(app->packet);
	key_wipe(&app->key, sizeof app->key);
	key_wipe(&app->config, sizeof app->config);
}

int main(int argc, char **argv)
{
	static struct app app;
	int end;

	app.owner = (struct os_owner){ .deliver = deliver, .complain = complain };
	app.size = 100;
	end = parse(&app, argc, argv);
	if (end < 0) end = start(&app);
	if (end < 0) end = run(&app);
	release(&app);
	return end;
}
