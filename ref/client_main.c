/* derp-client: the reference client on TLS and plain TCP, for people and scripts. What it does is in cmd_*.c (cmd.h). */
#include "cmd.h"

#include "key.h"
#include "os_loop.h"
#include "version.h"

#include <errno.h>
#include <string.h>

static int (*const run[CMD_IDS])(struct cmd *cmd) = {
	[CMD_PING] = cmd_ping,         [CMD_SEND] = cmd_send,   [CMD_RECV] = cmd_recv,   [CMD_ECHO] = cmd_echo,
	[CMD_PIPE] = cmd_pipe,         [CMD_WATCH] = cmd_watch, [CMD_PRUNE] = cmd_prune, [CMD_PROBE] = cmd_probe,
	[CMD_NETCHECK] = cmd_netcheck, [CMD_LINT] = cmd_lint,   [CMD_STDIO] = cmd_stdio,
};

void cmd_finish(struct cmd *cmd, int end)
{
	if (cmd->done) return;
	cmd->done = true;
	cmd->end = end;
}

static int start(struct cmd *cmd)
{
	struct os_tls_config config = { .ca_file = cmd->ca_file, .keylog_file = cmd->keylog_file, .version_max = cmd->tls12 ? 0x0303 : 0 };
	char error[OS_TLS_ERROR_SIZE];

	if (cmd->id != CMD_LINT) { /* which makes no TLS of its own */
		cmd->tls = os_tls_new(&config, error);
		if (cmd->tls == NULL) return os_cli_usage(&cmd->cli, "%s", error);
	}
	cmd->loop = os_loop_new();
	if (cmd->loop == NULL || !os_loop_signals(cmd->loop)) return cmd_cannot(cmd, "%s", strerror(errno));
	return -1;
}

int main(int argc, char **argv)
{
	static struct cmd cmd;
	int end = cmd_parse(&cmd, argc, argv);

	if (end < 0 && cmd.help) {
		cmd_help(cmd.id);
		return OS_EXIT_FINE;
	}
	if (end < 0 && cmd.version) {
		puts("derp-client " DERP_VERSION);
		return OS_EXIT_FINE;
	}
	if (end < 0) end = start(&cmd);
	if (end < 0) end = run[cmd.id](&cmd);
	os_loop_free(cmd.loop);
	os_tls_free(cmd.tls);
	key_wipe(&cmd.settings, sizeof cmd.settings);
	return end;
}
