/* derp-client echo and recv: what comes goes back, or is printed. */
#include "cmd.h"

#include <string.h>

enum { SUM_SIZE = 8 };

struct app {
	struct peer peer; /* first */
	uint64_t got;
};

/* A checksum for people who compare two ends. */
static void say_packet(const struct cmd *cmd, const struct action *x)
{
	char sum[KEY_HEX];
	uint8_t digest[32];
	struct say s;

	key_derive(x->span.p, x->span.n, "derp-client packet", digest);
	key_hex(digest, sum);
	say_begin(&s, cmd->json, "packet");
	say_key(&s, "key", x->deliver.key);
	say_u64(&s, "size", x->span.n);
	say_bytes(&s, "sum", sum, 2 * SUM_SIZE);
	say_end(&s);
}

static void on(struct peer *p, const struct action *x)
{
	struct app *app = (struct app *)p;
	struct cmd *cmd = p->cmd;

	if (x->deliver.what == DELIVER_PEER_GONE) say_gone(cmd, x);
	if (x->deliver.what != DELIVER_PACKET || cmd->done) return;
	if (cmd->id == CMD_ECHO)
		peer_send(p, x->deliver.key, x->span.owner, x->span.p, x->span.n);
	else
		say_packet(cmd, x);
	if (++app->got == cmd->count) cmd_finish(cmd, OS_EXIT_FINE);
}

static int late(void *ctx)
{
	const struct app *app = ctx;
	const struct cmd *cmd = app->peer.cmd;

	if (!app->peer.was_ready) return cmd_cannot(cmd, "no connection within the time");
	if (cmd->count == CMD_UNSET) return OS_EXIT_FINE;
	cmd_cannot(cmd, "%llu of %llu packets within the time", (unsigned long long)app->got, (unsigned long long)cmd->count);
	return OS_EXIT_FINDING;
}

static int run(struct cmd *cmd)
{
	struct app app = { .peer.on = on };
	int end = peer_start(&app.peer, cmd, "");

	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .late = late, .ctx = &app });
	peer_end(&app.peer);
	return end;
}

int cmd_echo(struct cmd *cmd)
{
	cmd->home = true;
	return run(cmd);
}

int cmd_recv(struct cmd *cmd) { return run(cmd); }
