/* derp-client send: a file, or the same packet many times. It ends when the relay has read everything: it pings behind its last packet
 * and waits for the Pong (TRP-006). */
#include "cmd.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { BURST = 64, SIZE_DEFAULT = 100 };

struct app {
	struct peer peer; /* first */
	struct key to;
	struct cmd_text text;  /* of a file, or --data */
	struct packet *packet; /* under way */
	uint64_t count, size, sent, got, dropped;
	bool pinged, ponged;
};

static const uint8_t ping_data[FRAME_PING_SIZE] = { 'd', 'e', 'r', 'p', 's', 'e', 'n', 'd' };

/* A pattern in which a byte out of place, of another packet or of another size shows. */
static struct packet *pattern(uint64_t number, uint32_t n)
{
	struct packet *packet = packet_new(n);

	for (uint32_t i = 0; i < n; i++) packet->bytes[i] = (uint8_t)(number * 131 + (uint64_t)i * 7 + (i >> 8) + n);
	return packet;
}

/* The packet of this number: a piece of the file, the data, or a pattern. */
static struct packet *packet_of(const struct app *app, uint64_t number)
{
	uint64_t at = number * app->size, n = app->text.n - at;

	if (app->text.p == NULL) return pattern(number, (uint32_t)app->size);
	if (app->peer.cmd->args < 2) return packet_copy((const uint8_t *)app->text.p, (uint32_t)app->text.n);
	return packet_copy((const uint8_t *)app->text.p + at, (uint32_t)(n < app->size ? n : app->size));
}

static void send_next(struct app *app)
{
	packet_drop(app->packet);
	app->packet = packet_of(app, app->sent++);
	peer_send(&app->peer, app->to.b, app->packet, app->packet->bytes, app->packet->n);
}

/* One in the queue at most: the client's queue drops its oldest when it is full (CLI-031). */
static bool may_send(const struct app *app)
{
	return app->peer.ready && app->sent < app->count && client_packets_queued(app->peer.client) == 0 &&
	       (!app->peer.cmd->echo || app->got == app->sent);
}

static uint64_t step(void *ctx)
{
	struct app *app = ctx;
	struct event_command ping = { .verb = COMMAND_PING, .p = ping_data, .n = sizeof ping_data };

	for (int i = 0; i < BURST && may_send(app); i++) send_next(app);
	if (may_send(app)) return 0;
	if (app->peer.ready && app->sent == app->count && !app->pinged && client_packets_queued(app->peer.client) == 0) {
		app->pinged = true;
		os_host_command(app->peer.host, &ping);
	}
	return UINT64_MAX;
}

/* The relay has read everything and, with --echo, everything came back. */
static void finish_sending(struct app *app)
{
	struct cmd *cmd = app->peer.cmd;

	if (app->ponged && (!cmd->echo || app->got == app->count)) cmd_finish(cmd, app->dropped == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING);
}

static void on_packet(struct app *app, const struct action *x)
{
	struct cmd *cmd = app->peer.cmd;
	struct say s;

	if (!cmd->echo || !key_equal(x->deliver.key, app->to.b) || app->packet == NULL) return;
	if (x->span.n != app->packet->n || memcmp(x->span.p, app->packet->bytes, x->span.n) != 0) {
		say_begin(&s, cmd->json, "changed");
		say_key(&s, "key", x->deliver.key);
		say_u64(&s, "size", x->span.n);
		say_end(&s);
		cmd_finish(cmd, OS_EXIT_FINDING);
		return;
	}
	app->got++;
	finish_sending(app);
}

static void on(struct peer *p, const struct action *x)
{
	struct app *app = (struct app *)p;

	if (x->deliver.what == DELIVER_PACKET) on_packet(app, x);
	if (x->deliver.what == DELIVER_DROPPED) app->dropped++;
	if (x->deliver.what == DELIVER_PONG && app->pinged && memcmp(x->span.p, ping_data, sizeof ping_data) == 0) {
		app->ponged = true;
		finish_sending(app);
	}
	if (x->deliver.what == DELIVER_PEER_GONE) say_gone(p->cmd, x);
}

static int late(void *ctx)
{
	const struct app *app = ctx;
	const struct cmd *cmd = app->peer.cmd;

	if (!app->peer.was_ready) return cmd_cannot(cmd, "no connection within the time");
	cmd_cannot(cmd, "%llu of %llu packets within the time", (unsigned long long)(cmd->echo ? app->got : app->sent),
	           (unsigned long long)app->count);
	return OS_EXIT_FINDING;
}

/* ---- what to send ---- */

static int read_data(struct app *app)
{
	struct cmd *cmd = app->peer.cmd;
	int end = -1;

	if (cmd->data[0] == '@') {
		end = cmd_read(cmd, cmd->data + 1, &app->text);
	} else {
		app->text = (struct cmd_text){ .p = strdup(cmd->data), .n = strlen(cmd->data) };
	}
	if (end < 0 && app->text.n > FRAME_PACKET_MAX) return os_cli_usage(&cmd->cli, "--data: a packet has at most 65536 bytes (FRM-004)");
	return end;
}

static int read_file(struct app *app)
{
	struct cmd *cmd = app->peer.cmd;
	int end = cmd_read(cmd, cmd->arg[1], &app->text);

	if (cmd->count != CMD_UNSET || cmd->data != NULL || cmd->size == 0)
		return os_cli_usage(&cmd->cli, "FILE goes with neither --count, nor --data, nor --size 0");
	app->size = cmd->size == CMD_UNSET ? FRAME_PACKET_MAX : cmd->size;
	app->count = app->text.n == 0 ? 1 : (app->text.n + app->size - 1) / app->size;
	return end;
}

/* KEY is an argument or --to. */
static int receiver(struct app *app)
{
	struct cmd *cmd = app->peer.cmd;

	if (cmd->to.given && cmd->args > 0) return os_cli_usage(&cmd->cli, "found '%s' beside --to, which says already whom to send to", cmd->arg[0]);
	if (!cmd->to.given && cmd->args == 0) return os_cli_usage(&cmd->cli, "send needs the receiver's key: send URL KEY [FILE], or --to KEY");
	app->to = cmd->to.key;
	if (cmd->args == 0 || cmd_key_parse(cmd->arg[0], &app->to)) return -1;
	return os_cli_usage(&cmd->cli, "found '%s', expected a public key of 64 hex digits", cmd->arg[0]);
}

static int prepare(struct app *app)
{
	struct cmd *cmd = app->peer.cmd;
	int end = receiver(app);

	if (end < 0 && cmd->data != NULL && cmd->size != CMD_UNSET) end = os_cli_usage(&cmd->cli, "--size and --data exclude each other");
	if (end >= 0) return end;
	if (cmd->timeout == CMD_UNSET) cmd->timeout = 10 * NS_S;
	app->count = cmd->count == CMD_UNSET ? 1 : cmd->count;
	app->size = cmd->size == CMD_UNSET ? SIZE_DEFAULT : cmd->size;
	if (cmd->args == 2) return read_file(app);
	return cmd->data != NULL ? read_data(app) : -1;
}

int cmd_send(struct cmd *cmd)
{
	struct app app = { .peer = { .on = on, .once = true, .cmd = cmd } };
	struct say s;
	int end = prepare(&app);

	if (end < 0) end = peer_start(&app.peer, cmd, "");
	if (end < 0) {
		end = cmd_turns(cmd, &(struct cmd_turns){ .step = step, .late = late, .ctx = &app });
		peer_end(&app.peer);
		say_begin(&s, cmd->json, "sent");
		say_u64(&s, "size", app.sent);
		say_text(&s, "text", "packets");
		say_end(&s);
	}
	packet_drop(app.packet);
	free(app.text.p);
	return end;
}
