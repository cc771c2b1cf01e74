/* derp-client pipe: standard input to the other side's standard output, and back (pipe.h). What is said of connections goes to standard
 * error: standard output is the stream's. */
#include "cmd.h"

#include "buf.h"
#include "pipe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { QUEUED_MAX = 16 };
#define GONE_NS (10 * NS_S) /* it may come back: its client reconnects */

struct app {
	struct peer peer; /* first */
	struct input input;
	struct pipe pipe;
	struct key to;
	uint64_t gone_at; /* since when the other side is not there; 0: it is, or was never */
};

/* Our reader is slow: the relay's queue and the window hold the other side back. */
static bool write_all(const uint8_t *p, uint32_t n)
{
	while (n != 0) {
		ssize_t done = write(1, p, n);
		if (done < 0 && errno == EINTR) continue;
		if (done < 0) return false;
		p += done;
		n -= (uint32_t)done;
	}
	return true;
}

static void on_packet(struct app *app, const struct action *x)
{
	struct cmd *cmd = app->peer.cmd;
	const uint8_t *data;
	uint32_t n;

	if (!key_equal(x->deliver.key, app->to.b)) return;
	app->gone_at = 0;
	if (pipe_take(&app->pipe, os_now(), x->span.p, x->span.n, &data, &n) == PIPE_ANEW) {
		cmd_cannot(cmd, "the other side has begun anew: what it had not yet read is lost");
		cmd_finish(cmd, OS_EXIT_FINDING);
	} else if (!write_all(data, n)) {
		cmd_finish(cmd, cmd_cannot(cmd, "standard output: %s", strerror(errno)));
	}
}

/* Who has told us everything and heard everything may have left with the last ACK unsaid. */
static void on_gone(struct app *app, const struct action *x)
{
	struct cmd *cmd = app->peer.cmd;

	if (!key_equal(x->deliver.key, app->to.b)) return;
	if (app->pipe.peer_fin && pipe_all_sent(&app->pipe)) {
		cmd_finish(cmd, OS_EXIT_FINE);
	} else if (pipe_heard(&app->pipe) && app->gone_at == 0) {
		app->gone_at = os_now();
	}
}

static void on(struct peer *p, const struct action *x)
{
	struct app *app = (struct app *)p;

	if (p->cmd->done) return;
	if (x->deliver.what == DELIVER_READY) cmd_note(p->cmd, "connected");
	if (x->deliver.what == DELIVER_PACKET) on_packet(app, x);
	if (x->deliver.what == DELIVER_PEER_GONE) on_gone(app, x);
}

static uint32_t take(void *ctx, const uint8_t *p, uint32_t n, bool last)
{
	struct app *app = ctx;
	uint32_t taken;

	if (app->pipe.fin) return n;
	taken = pipe_put(&app->pipe, p, n);
	if (last && taken == n) pipe_finish(&app->pipe);
	return taken;
}

static void send_some(struct app *app, uint64_t now)
{
	struct packet *packet;
	uint32_t n;

	while (app->peer.ready && client_packets_queued(app->peer.client) < QUEUED_MAX) {
		packet = packet_new(PIPE_PACKET);
		n = pipe_next(&app->pipe, now, packet->bytes);
		if (n != 0) peer_send(&app->peer, app->to.b, packet, packet->bytes, n);
		packet_drop(packet);
		if (n == 0) return;
	}
}

static uint64_t step(void *ctx)
{
	struct app *app = ctx;
	uint64_t now = os_now(), wait;

	pipe_timer(&app->pipe, now);
	wait = input_step(&app->input);
	if (app->input.over && app->input.n == 0 && !app->pipe.fin) pipe_finish(&app->pipe);
	send_some(app, now);
	if (pipe_room(&app->pipe) == 0) wait = UINT64_MAX; /* an ACK will make room */
	if (pipe_deadline(&app->pipe) < wait) wait = pipe_deadline(&app->pipe);
	if (pipe_over(&app->pipe)) cmd_finish(app->peer.cmd, OS_EXIT_FINE);
	if (app->gone_at == 0) return wait;
	if (now >= app->gone_at + GONE_NS) {
		cmd_cannot(app->peer.cmd, "the other side is gone");
		cmd_finish(app->peer.cmd, OS_EXIT_FINDING);
	}
	return wait < app->gone_at + GONE_NS ? wait : app->gone_at + GONE_NS;
}

static int late(void *ctx)
{
	cmd_cannot(((struct app *)ctx)->peer.cmd, "not everything came across within the time");
	return OS_EXIT_FINDING;
}

int cmd_pipe(struct cmd *cmd)
{
	static struct app app; /* its window is large */
	struct key id;
	char hex[KEY_HEX];
	uint64_t number;
	int end;

	if (!cmd->to.given) return os_cli_usage(&cmd->cli, "pipe needs --to KEY, the other side's public key; --key FILE keeps ours the same");
	app = (struct app){ .peer = { .on = on, .quiet = true }, .input = { .take = take, .plain_file = true, .ctx = &app }, .to = cmd->to.key };
	os_seed(id.b);
	memcpy(&number, id.b, sizeof number);
	pipe_init(&app.pipe, number | 1);
	end = peer_start(&app.peer, cmd, "");
	if (end < 0) {
		key_hex(app.peer.public_key.b, hex);
		cmd_note(cmd, "key %.*s", KEY_HEX, hex);
		end = input_start(&app.input, cmd);
	}
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .step = step, .late = late, .ctx = &app });
	peer_end(&app.peer);
	input_end(&app.input);
	return end;
}
