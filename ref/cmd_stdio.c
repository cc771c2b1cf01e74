/* derp-client stdio: a DERP client for programs in any language. A JSON object a line, in both directions. The names in the text below,
 * which is also its --help, are frozen: more may come, none goes away or changes its sense. */
#include "cmd.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUED_MAX = 16, NAME_SIZE = 32, DATA_MAX = FRAME_PACKET_MAX };
#define PATIENCE_NS (10 * NS_S)

/* What the words of the two directions are. */
const char cmd_stdio_help[] =
	"A JSON object a line, in both directions. KEY is 64 hex digits, HEX any even number of them, times are ns.\n"
	"\n"
	"Commands, on standard input. A member \"id\" (a number) is given back in the \"done\" that answers every command:\n"
	"  {\"do\":\"send\",\"to\":KEY,\"data\":HEX}                 a packet; while 16 packets wait for the relay nothing more is read\n"
	"  {\"do\":\"forward\",\"from\":KEY,\"to\":KEY,\"data\":HEX}   with the mesh key\n"
	"  {\"do\":\"ping\"}                                     ends in \"pinged\"; with \"data\":16 HEX digits in \"pong\"\n"
	"  {\"do\":\"home\",\"on\":BOOL}\n"
	"  {\"do\":\"watch\"}                                    with the mesh key\n"
	"  {\"do\":\"close-peer\",\"key\":KEY}                     with the mesh key\n"
	"  {\"do\":\"status\"}                                   ends in \"status\"\n"
	"  {\"do\":\"leave\"}                                    ends the program, as the end of the input does, when the relay has read everything\n"
	"\n"
	"Events, on standard output, each with its name as \"event\":\n"
	"  key           key: our own. The first line\n"
	"  connected     key: the relay's; generation: logins so far\n"
	"  disconnected  text: why; retry_ns: until the next attempt\n"
	"  packet        key: from whom; data: HEX\n"
	"  gone          key; reason: disconnected, not-here or mesh-broke\n"
	"  present       key; address: IP:PORT or unknown; flags: regular, mesh, prober, not-ideal, with commas. After \"watch\"\n"
	"  ping, pong    data: HEX\n"
	"  pinged        answered: BOOL; ns\n"
	"  keepalive\n"
	"  health        text, empty: well again\n"
	"  restarting    wait_ms, try_ms\n"
	"  dropped       size, reason: a packet of ours that was given up\n"
	"  refused       command, reason: what was not carried out\n"
	"  lost          bytes: sent, and not taken by the transport when the connection ended\n"
	"  status        state, queued (packets), generation\n"
	"  done          id (if there was one), ok: BOOL, text: what was wrong with the command\n";

struct app {
	struct peer peer; /* first */
	struct input input;
	bool leaving, pinged;
	uint64_t leave_until;
};

/* A command as read. */
struct order {
	char name[NAME_SIZE];
	struct key to, from, key;
	bool has_to, has_from, has_key, has_data, has_on, has_id, on;
	uint64_t id;
	struct packet *data;
	const char *wrong;
};

static const uint8_t last_ping[FRAME_PING_SIZE] = { 's', 't', 'd', 'i', 'o', 'e', 'n', 'd' };

/* ---- events ---- */

static void say_hex(struct say *s, const char *name, const uint8_t *p, uint32_t n)
{
	static const char digit[] = "0123456789abcdef";
	char *text = mem_alloc(2 * (uint64_t)n + 1);

	for (uint32_t i = 0; i < n; i++) text[2 * i] = digit[p[i] >> 4], text[2 * i + 1] = digit[p[i] & 15];
	say_bytes(s, name, text, 2 * (size_t)n);
	free(text);
}

static const char *gone_reason(uint64_t reason)
{
	return reason == GONE_DISCONNECTED ? "disconnected" : reason == GONE_NOT_HERE ? "not-here" : "mesh-broke";
}

static void say_end_of_connection(struct say *s, const struct action *x)
{
	say_text(s, "text", client_end_name((enum client_end)x->deliver.a));
	if (x->deliver.b != TIME_NEVER) say_u64(s, "retry_ns", x->deliver.b);
}

static void say_members(struct say *s, const struct app *app, const struct action *x)
{
	switch (x->deliver.what) {
	case DELIVER_READY: say_key(s, "key", client_server_key(app->peer.client)), say_u64(s, "generation", x->deliver.a); break;
	case DELIVER_DISCONNECTED: say_end_of_connection(s, x); break;
	case DELIVER_PACKET: say_key(s, "key", x->deliver.key), say_hex(s, "data", x->span.p, x->span.n); break;
	case DELIVER_PEER_GONE: say_key(s, "key", x->deliver.key), say_text(s, "reason", gone_reason(x->deliver.a)); break;
	case DELIVER_PEER_PRESENT: say_presence(s, x); break;
	case DELIVER_PING:
	case DELIVER_PONG: say_hex(s, "data", x->span.p, x->span.n); break;
	case DELIVER_PINGED: say_bool(s, "answered", x->deliver.a == 1), say_u64(s, "ns", x->deliver.b); break;
	case DELIVER_HEALTH: say_bytes(s, "text", x->span.p, x->span.n); break;
	case DELIVER_RESTARTING: say_u64(s, "wait_ms", x->deliver.a), say_u64(s, "try_ms", x->deliver.b); break;
	case DELIVER_DROPPED: say_u64(s, "size", x->span.n), say_text(s, "reason", drop_reason_name((enum drop_reason)x->deliver.a)); break;
	case DELIVER_REFUSED:
		say_text(s, "command", command_verb_name((enum command_verb)x->deliver.b));
		say_text(s, "reason", refusal_name((enum refusal)x->deliver.a));
		break;
	case DELIVER_LOST: say_u64(s, "bytes", x->deliver.a); break;
	case DELIVER_KEEPALIVE: break;
	default: break;
	}
}

static void on(struct peer *p, const struct action *x)
{
	static const char *const name[DELIVER_KINDS] = {
		[DELIVER_READY] = "connected",
		[DELIVER_DISCONNECTED] = "disconnected",
		[DELIVER_PACKET] = "packet",
		[DELIVER_PEER_GONE] = "gone",
		[DELIVER_PEER_PRESENT] = "present",
		[DELIVER_PING] = "ping",
		[DELIVER_PONG] = "pong",
		[DELIVER_PINGED] = "pinged",
		[DELIVER_HEALTH] = "health",
		[DELIVER_RESTARTING] = "restarting",
		[DELIVER_DROPPED] = "dropped",
		[DELIVER_REFUSED] = "refused",
		[DELIVER_LOST] = "lost",
		[DELIVER_KEEPALIVE] = "keepalive",
	};
	struct app *app = (struct app *)p;
	struct say s;

	if (x->deliver.what == DELIVER_PONG && app->pinged && memcmp(x->span.p, last_ping, sizeof last_ping) == 0) {
		cmd_finish(p->cmd, OS_EXIT_FINE);
		return;
	}
	if (x->deliver.what == DELIVER_DISCONNECTED) app->pinged = false; /* once more, on the next one */
	if (name[x->deliver.what] == NULL || (x->deliver.what == DELIVER_DISCONNECTED && x->deliver.a == CLIENT_END_LEFT)) return;
	say_begin(&s, true, name[x->deliver.what]);
	say_members(&s, app, x);
	say_end(&s);
}

/* ---- reading commands ---- */

static void read_key(struct order *o, struct json_reader *r, struct key *key, bool *has)
{
	char text[100];

	if (json_peek(r) != JSON_STRING || json_string(r, text, sizeof text) >= sizeof text || !cmd_key_parse(text, key)) {
		if (o->wrong == NULL) o->wrong = "a key is 64 hex digits";
		return;
	}
	*has = true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_data(struct order *o, struct json_reader *r)
{
	size_t cap = 2 * DATA_MAX + 2, n;
	char *text = mem_alloc(cap);
	bool good = json_peek(r) == JSON_STRING;

	n = good ? json_string(r, text, cap) : 0;
	if (n > 2 * DATA_MAX || n % 2 != 0) good = false;
	packet_drop(o->data);
	o->data = packet_new(good ? (uint32_t)(n / 2) : 0);
	for (size_t i = 0; good && i < n; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
		good = high >= 0 && low >= 0;
		if (good) o->data->bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	o->has_data = good;
	if (!good && o->wrong == NULL) o->wrong = "data is an even number of hex digits, of 65536 bytes at most";
	free(text);
}

static void read_member(struct order *o, struct json_reader *r, const uint8_t *name, size_t n)
{
	if (json_name_is(name, n, "do") && json_peek(r) == JSON_STRING)
		json_string(r, o->name, sizeof o->name);
	else if (json_name_is(name, n, "to"))
		read_key(o, r, &o->to, &o->has_to);
	else if (json_name_is(name, n, "from"))
		read_key(o, r, &o->from, &o->has_from);
	else if (json_name_is(name, n, "key"))
		read_key(o, r, &o->key, &o->has_key);
	else if (json_name_is(name, n, "data"))
		read_data(o, r);
	else if (json_name_is(name, n, "on"))
		o->on = json_bool(r), o->has_on = true;
	else if (json_name_is(name, n, "id"))
		o->id = json_u64(r), o->has_id = true;
	else
		json_skip(r);
}

static void read_order(struct order *o, const uint8_t *p, uint32_t n)
{
	static struct json_reader r; /* large */
	const uint8_t *name;
	size_t name_n;

	json_init(&r, p, n);
	if (json_peek(&r) != JSON_OBJECT || r.bad) {
		o->wrong = "a command is a JSON object";
		return;
	}
	json_enter(&r);
	while (o->wrong == NULL && json_member(&r, &name, &name_n)) read_member(o, &r, name, name_n);
	if (o->wrong == NULL && !json_done(&r)) o->wrong = r.error != NULL ? r.error : "something behind the object";
}

/* ---- carrying them out ---- */

static void do_send(struct app *app, struct order *o) { peer_send(&app->peer, o->to.b, o->data, o->data->bytes, o->data->n); }

static void do_forward(struct app *app, struct order *o)
{
	struct event_command command = {
		.verb = COMMAND_FORWARD, .dst = o->to.b, .src = o->from.b, .owner = o->data, .p = o->data->bytes, .n = o->data->n
	};

	os_host_command(app->peer.host, &command);
}

static void do_ping(struct app *app, struct order *o)
{
	struct event_command command = { .verb = COMMAND_PING };

	if (o->has_data && o->data->n != FRAME_PING_SIZE) {
		o->wrong = "a Ping has 8 bytes";
		return;
	}
	if (o->has_data) command.owner = o->data, command.p = o->data->bytes, command.n = o->data->n;
	os_host_command(app->peer.host, &command);
}

static void do_home(struct app *app, struct order *o)
{
	struct event_command command = { .verb = COMMAND_HOME, .flag = o->on };

	os_host_command(app->peer.host, &command);
}

static void do_watch(struct app *app, struct order *o)
{
	(void)o;
	peer_command(&app->peer, COMMAND_WATCH, NULL);
}

static void do_close_peer(struct app *app, struct order *o) { peer_command(&app->peer, COMMAND_CLOSE_PEER, o->key.b); }

static void do_status(struct app *app, struct order *o)
{
	const struct client *client = app->peer.client;
	struct say s;

	(void)o;
	say_begin(&s, true, "status");
	say_text(&s, "state", client_state_name(client_state(client)));
	say_u64(&s, "queued", client_packets_queued(client));
	say_u64(&s, "generation", client_generation(client));
	say_end(&s);
}

static void leave(struct app *app)
{
	if (!app->leaving) app->leave_until = os_now() + PATIENCE_NS;
	app->leaving = true;
}

static void do_leave(struct app *app, struct order *o)
{
	(void)o;
	leave(app);
}

static const struct {
	const char *name;
	bool to, from, key, data, on, mesh;
	void (*run)(struct app *app, struct order *o);
} orders[] = {
	{ "send", .to = true, .data = true, .run = do_send },
	{ "forward", .to = true, .from = true, .data = true, .mesh = true, .run = do_forward },
	{ "ping", .run = do_ping },
	{ "home", .on = true, .run = do_home },
	{ "watch", .mesh = true, .run = do_watch },
	{ "close-peer", .key = true, .mesh = true, .run = do_close_peer },
	{ "status", .run = do_status },
	{ "leave", .run = do_leave },
};

static void carry_out(struct app *app, struct order *o)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(orders[i].name, o->name) != 0) continue;
		if (orders[i].mesh && app->peer.cmd->mesh_psk_file == NULL)
			o->wrong = "this needs --mesh-psk-file";
		else if ((orders[i].to && !o->has_to) || (orders[i].from && !o->has_from) || (orders[i].key && !o->has_key) ||
		         (orders[i].data && !o->has_data) || (orders[i].on && !o->has_on))
			o->wrong = "a member is missing";
		else
			orders[i].run(app, o);
		return;
	}
	o->wrong = "expected do: send, forward, ping, home, watch, close-peer, status or leave";
}

static void take_line(struct app *app, const uint8_t *p, uint32_t n)
{
	struct order o = { .name = "" };
	struct say s;

	read_order(&o, p, n);
	if (o.wrong == NULL) carry_out(app, &o);
	say_begin(&s, true, "done");
	if (o.has_id) say_u64(&s, "id", o.id);
	say_bool(&s, "ok", o.wrong == NULL);
	if (o.wrong != NULL) say_text(&s, "text", o.wrong);
	say_end(&s);
	packet_drop(o.data);
}

/* Whole lines, while there is room in the client's queue, which drops its oldest when it is full (CLI-031). */
static uint32_t take(void *ctx, const uint8_t *p, uint32_t n, bool last)
{
	struct app *app = ctx;
	uint32_t at = 0;

	while (at < n && !app->leaving && client_packets_queued(app->peer.client) < QUEUED_MAX) {
		const uint8_t *end = memchr(p + at, '\n', n - at);
		uint32_t line = end != NULL ? (uint32_t)(end - p) - at : n - at;
		if (end == NULL && !last && n < INPUT_MAX) break;
		if (line != 0) take_line(app, p + at, line);
		at += line + (end != NULL);
	}
	return at;
}

/* ---- its life ---- */

static uint64_t step(void *ctx)
{
	struct app *app = ctx;
	struct event_command ping = { .verb = COMMAND_PING, .p = last_ping, .n = sizeof last_ping };
	uint64_t wait = input_step(&app->input);

	if (app->input.over && app->input.n == 0) leave(app);
	if (!app->leaving) return wait;
	if (app->peer.ready && !app->pinged && client_packets_queued(app->peer.client) == 0) {
		app->pinged = true;
		os_host_command(app->peer.host, &ping);
	}
	if (os_now() >= app->leave_until) cmd_finish(app->peer.cmd, cmd_cannot(app->peer.cmd, "no connection for what is left to be sent"));
	return app->leave_until;
}

int cmd_stdio(struct cmd *cmd)
{
	struct app app = { .peer = { .on = on, .quiet = true }, .input = { .take = take, .plain_file = true } };
	struct say s;
	int end = peer_start(&app.peer, cmd, "");

	app.input.ctx = &app;
	if (end < 0) {
		say_begin(&s, true, "key");
		say_key(&s, "key", app.peer.public_key.b);
		say_end(&s);
		end = input_start(&app.input, cmd);
	}
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .step = step, .ctx = &app });
	peer_end(&app.peer);
	input_end(&app.input);
	return end;
}
