/* derp-client watch and prune: what the mesh key allows. */
#include "cmd.h"

#include <string.h>

static int need_mesh_key(const struct cmd *cmd)
{
	if (cmd->mesh_psk_file != NULL) return -1;
	return os_cli_usage(&cmd->cli, "this needs the region's mesh key: --mesh-psk-file FILE");
}

static void say_present(const struct cmd *cmd, const struct action *x)
{
	struct say s;

	say_begin(&s, cmd->json, "present");
	say_presence(&s, x);
	say_end(&s);
}

static void say_left(const struct cmd *cmd, const struct action *x)
{
	struct say s;

	say_begin(&s, cmd->json, "gone");
	say_key(&s, "key", x->deliver.key);
	say_end(&s);
}

/* A wrong mesh key is answered by the end of the connection, again and again. */
static int no_watcher(const struct cmd *cmd)
{
	cmd_cannot(cmd, "the relay does not let us watch: is this its mesh key?");
	return OS_EXIT_CANNOT;
}

/* ---- watch ---- */

struct watcher {
	struct peer peer; /* first */
	uint64_t heard;
	bool present;
};

static void on_watch(struct peer *p, const struct action *x)
{
	struct watcher *w = (struct watcher *)p;
	bool present = x->deliver.what == DELIVER_PEER_PRESENT;

	if (p->cmd->done) return;
	if (x->deliver.what == DELIVER_DISCONNECTED && p->was_ready && !w->present) cmd_finish(p->cmd, no_watcher(p->cmd));
	if (present) say_present(p->cmd, x);
	if (x->deliver.what == DELIVER_PEER_GONE) say_left(p->cmd, x);
	if (!present && x->deliver.what != DELIVER_PEER_GONE) return;
	w->present = true;
	if (++w->heard == p->cmd->count) cmd_finish(p->cmd, OS_EXIT_FINE);
}

static int late_watch(void *ctx)
{
	const struct watcher *w = ctx;

	if (!w->peer.was_ready) return cmd_cannot(w->peer.cmd, "no connection within the time");
	return w->peer.cmd->count == CMD_UNSET ? OS_EXIT_FINE : OS_EXIT_FINDING;
}

int cmd_watch(struct cmd *cmd)
{
	struct watcher w = { .peer.on = on_watch };
	int end = need_mesh_key(cmd);

	if (end < 0) end = peer_start(&w.peer, cmd, "watch=on\n");
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .late = late_watch, .ctx = &w });
	peer_end(&w.peer);
	return end;
}

/* ---- prune ---- */

struct pruner {
	struct peer peer; /* first */
	struct key key;
	bool present, asked;
};

static void on_prune(struct peer *p, const struct action *x)
{
	struct pruner *r = (struct pruner *)p;
	const uint8_t *key = x->deliver.key;

	if (x->deliver.what == DELIVER_PEER_PRESENT) r->present = true;
	if (key == NULL || !key_equal(key, r->key.b)) return;
	if (x->deliver.what == DELIVER_PEER_PRESENT && !r->asked) {
		r->asked = true;
		say_present(p->cmd, x);
		peer_command(p, COMMAND_CLOSE_PEER, r->key.b);
	} else if (x->deliver.what == DELIVER_PEER_GONE && r->asked && !p->cmd->done) {
		say_left(p->cmd, x);
		cmd_finish(p->cmd, OS_EXIT_FINE);
	}
}

static int late_prune(void *ctx)
{
	const struct pruner *r = ctx;
	const struct cmd *cmd = r->peer.cmd;

	if (!r->peer.was_ready) return cmd_cannot(cmd, "no connection within the time");
	cmd_cannot(cmd, r->asked ? "the relay was asked to close it, and it is still there" : "it is not at this relay");
	return OS_EXIT_FINDING;
}

int cmd_prune(struct cmd *cmd)
{
	struct pruner r = { .peer = { .on = on_prune, .once = true } };
	int end = need_mesh_key(cmd);

	if (end < 0 && !cmd_key_parse(cmd->arg[0], &r.key))
		end = os_cli_usage(&cmd->cli, "found '%s', expected a public key of 64 hex digits", cmd->arg[0]);
	if (cmd->timeout == CMD_UNSET) cmd->timeout = 3 * NS_S;
	if (end < 0) end = peer_start(&r.peer, cmd, "watch=on\n");
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .late = late_prune, .ctx = &r });
	peer_end(&r.peer);
	if (r.peer.was_ready && !r.present && end == OS_EXIT_FINDING) end = no_watcher(cmd);
	return end;
}
