/* The words of the command line: one table of commands and one of options, from which parsing, errors and help are made. */
#include "cmd.h"

#include "version.h"

#include <stdarg.h>
#include <string.h>

/* ---- what there is ---- */

static const struct {
	const char *name, *takes, *what, *more;
	uint32_t args_min, args_max; /* without the URL */
	bool connects;               /* to a URL, or a region of --derp-map */
} commands[CMD_IDS] = {
	[CMD_PING] = { "ping", "URL", "logs in and measures round trips by Ping and Pong",
	               "Exit code 1 if a Pong did not come. Gives up 10s after the last is due.\n", 0, 0, true },
	[CMD_SEND] = { "send", "URL KEY [FILE]", "sends packets, waits until the relay has read them all, and ends",
	               "FILE, - for standard input, goes in as many packets as it needs; without it --data or a pattern, --count times.\nGives up "
	               "after 10s.\n",
	               0, 2, true },
	[CMD_RECV] = { "recv", "URL", "prints every packet: source, size and a checksum of its bytes", "", 0, 0, true },
	[CMD_ECHO] = { "echo", "URL", "sends every packet back to its sender, and reconnects for ever", "", 0, 0, true },
	[CMD_PIPE] = { "pipe", "URL --to KEY", "standard input to the other side's standard output, and back",
	               "Both sides run it and name each other. Bytes arrive whole and in order; it ends when both inputs have ended.\n"
	               "Exit code 1 if the other side is gone before.\n",
	               0, 0, true },
	[CMD_WATCH] = { "watch", "URL --mesh-psk-file F", "prints who comes and goes at a relay", "present KEY IP:PORT FLAGS, and gone KEY.\n", 0, 0,
	                true },
	[CMD_PRUNE] = { "prune", "URL KEY --mesh-psk-file F", "has the relay close every connection of a client (ClosePeer)",
	                "Exit code 1 if it is not there, or stays, for 3s.\n", 1, 1, true },
	[CMD_PROBE] = { "probe", "MAP", "checks every node, and every ordered pair of nodes, of each region of a DERP map",
	                "MAP is a file or a URL. Per node: login, certificate, STUN; per pair: delivery from one node to the other and its latency.\n"
	                "Exit code 1 if anything failed. Gives a check 10s.\n",
	                1, 1, false },
	[CMD_NETCHECK] = { "netcheck", "MAP", "measures the regions of a DERP map and says which is home, and why",
	                   "MAP is a file or a URL. Gives up after 10s.\n", 1, 1, false },
	[CMD_LINT] = { "lint-map", "MAP.json...", "what is wrong with DERP maps: all of it, with place, path and rule",
	               "Exit code 1 if there is any error or warning.\n", 1, CMD_ARGS_MAX, false },
	[CMD_STDIO] = { "stdio", "URL", "commands on standard input, events on standard output, in JSON: for programs in any language",
	                cmd_stdio_help, 0, 0, true },
};

#define OF(id) (1u << CMD_##id)
#define OF_ALL ((1u << CMD_IDS) - 1)
#define OF_TLS (OF_ALL & ~OF(LINT))
#define OF_CONNECTS (OF(PING) | OF(SEND) | OF(RECV) | OF(ECHO) | OF(PIPE) | OF(WATCH) | OF(PRUNE) | OF(STDIO))

enum word_kind { WORD_FLAG, WORD_TEXT, WORD_NUMBER, WORD_TIME, WORD_KEY, WORD_LINE };
#define AT(field) offsetof(struct cmd, field)

static const struct word {
	const char *name, *value; /* value NULL: takes none */
	char letter;
	enum word_kind kind;
	size_t at; /* of the field */
	uint64_t min, max;
	unsigned of;
	const char *what;
} words[] = {
	{ "to", "KEY", 0, WORD_KEY, AT(to), 0, 0, OF(SEND) | OF(PIPE), "the receiver: 64 hex digits, with or without nodekey:" },
	{ "size", "N", 0, WORD_NUMBER, AT(size), 0, FRAME_PACKET_MAX, OF(SEND),
	  "bytes of a packet, 0 to 65536 (default 100; of FILE 65536 at most)" },
	{ "data", "TEXT|@FILE", 0, WORD_TEXT, AT(data), 0, 0, OF(SEND), "the bytes of every packet, instead of a pattern" },
	{ "count", "N", 'c', WORD_NUMBER, AT(count), 1, UINT32_MAX, OF(PING) | OF(SEND) | OF(RECV) | OF(ECHO) | OF(WATCH),
	  "so many packets (send: 1) or Pings (ping: 5); else end after so many (never)" },
	{ "interval", "T", 'i', WORD_TIME, AT(interval), 0, 0, OF(PING), "between Pings (default 1s)" },
	{ "echo", NULL, 0, WORD_FLAG, AT(echo), 0, 0, OF(SEND), "await each packet back, unchanged, before the next goes" },
	{ "bandwidth", "BYTES", 0, WORD_NUMBER, AT(bandwidth), 1, 1 << 30, OF(PROBE), "send so many through each pair too, and measure" },
	{ "rate", "N", 0, WORD_NUMBER, AT(rate), 1, 10000, OF(PROBE), "send so many small packets a second through each pair, and measure delays" },
	{ "rate-time", "T", 0, WORD_TIME, AT(rate_time), 0, 0, OF(PROBE), "for so long (default 5s)" },
	{ "plain", NULL, 0, WORD_FLAG, AT(plain), 0, 0, OF_CONNECTS | OF(PROBE), "http instead of https to the nodes of a DERP map" },
	{ "full", NULL, 0, WORD_FLAG, AT(full), 0, 0, OF(NETCHECK), "wait for every region, not just for enough" },
	{ "https-only", NULL, 0, WORD_FLAG, AT(https_only), 0, 0, OF(NETCHECK), "without STUN" },
	{ "stun-only", NULL, 0, WORD_FLAG, AT(stun_only), 0, 0, OF(NETCHECK), "by STUN only" },
	{ "policy", "VERSION", 0, WORD_TEXT, AT(policy), 0, 0, OF(NETCHECK), "choose as this version of the original does, such as 1.62" },
	{ "derp-map", "FILE|URL", 0, WORD_TEXT, AT(map_file), 0, 0, OF_CONNECTS, "connect to a region of this DERP map instead of a URL" },
	{ "region", "N|CODE", 0, WORD_TEXT, AT(region), 0, 0, OF_CONNECTS | OF(PROBE), "which region of the map" },
	{ "key", "FILE", 0, WORD_TEXT, AT(key_file), 0, 0, OF_CONNECTS,
	  "private key, 64 hex digits or JSON, made if absent (default: a new one for this run)" },
	{ "mesh-psk-file", "F", 0, WORD_TEXT, AT(mesh_psk_file), 0, 0, OF_CONNECTS | OF(PROBE), "log in with the region's mesh key" },
	{ "ca", "FILE", 0, WORD_TEXT, AT(ca_file), 0, 0, OF_TLS, "certificates to trust in https, instead of the system's" },
	{ "insecure", NULL, 0, WORD_FLAG, AT(insecure), 0, 0, OF_CONNECTS | OF(PROBE), "trust any certificate" },
	{ "tls12", NULL, 0, WORD_FLAG, AT(tls12), 0, 0, OF_TLS, "TLS 1.2 and nothing newer" },
	{ "keylog", "FILE", 0, WORD_TEXT, AT(keylog_file), 0, 0, OF_TLS, "write TLS secrets there, for those who decrypt captures" },
	{ "websocket", NULL, 0, WORD_FLAG, AT(websocket), 0, 0, OF_CONNECTS & ~OF(WATCH), "DERP in WebSocket messages" },
	{ "proxy", "URL", 0, WORD_TEXT, AT(proxy), 0, 0, OF_CONNECTS | OF(PROBE),
	  "through a CONNECT proxy, http://HOST:PORT, to the nodes of a DERP map" },
	{ "fast-start", NULL, 0, WORD_FLAG, AT(fast), 0, 0, OF_CONNECTS, "send the login with the request, without an answer; needs --server-key" },
	{ "server-key", "KEY", 0, WORD_KEY, AT(server_key), 0, 0, OF_CONNECTS, "the relay's public key" },
	{ "home", NULL, 0, WORD_FLAG, AT(home), 0, 0, OF_CONNECTS, "tell the relay that it is home (echo does)" },
	{ "set", "NAME=VALUE", 0, WORD_LINE, AT(settings), 0, 0, OF_CONNECTS | OF(NETCHECK),
	  "any other setting of ref/client.h or ref/netcheck.h; may be repeated" },
	{ "frames", "FILE", 0, WORD_TEXT, AT(frames_file), 0, 0, OF_CONNECTS, "write a line for each frame of each connection" },
	{ "timeout", "T", 0, WORD_TIME, AT(timeout), 0, 0, OF_CONNECTS | OF(PROBE) | OF(NETCHECK),
	  "give up after this time, in all; probe: of each check" },
	{ "json", NULL, 0, WORD_FLAG, AT(json), 0, 0, OF_ALL, "a JSON object a line instead of text; times in ns" },
	{ "help", NULL, 'h', WORD_FLAG, AT(help), 0, 0, OF_ALL, "this text" },
	{ "version", NULL, 0, WORD_FLAG, AT(version), 0, 0, OF_ALL, "the version" },
};
enum { WORDS = sizeof words / sizeof *words };

/* ---- help ---- */

void cmd_help(enum cmd_id id)
{
	char word[40];

	if (id == CMD_IDS) {
		printf("derp-client talks to DERP relays.\n\n");
		for (int i = 0; i < CMD_IDS; i++) printf("  derp-client %-8s %-26s %s\n", commands[i].name, commands[i].takes, commands[i].what);
		printf("\nURL is https://HOST[:PORT]/derp, or http:// for plain TCP; or --derp-map FILE|URL --region N.\n"
		       "derp-client COMMAND --help says more; --version. Options may stand anywhere, as --name=value or --name value.\n");
	} else {
		printf("usage: derp-client %s %s [OPTIONS]: %s\n%s\n", commands[id].name, commands[id].takes, commands[id].what, commands[id].more);
		for (int i = 0; i < WORDS; i++) {
			if ((words[i].of & 1u << id) == 0) continue;
			snprintf(word, sizeof word, "--%s %s", words[i].name, words[i].value == NULL ? "" : words[i].value);
			printf("  %-22s %s\n", word, words[i].what);
		}
	}
	printf("Exit codes: 0 fine, 1 a finding, 2 bad usage or input, 3 no connection.\n");
}

/* ---- errors ---- */

static void tell(const struct cmd *cmd, const char *format, va_list args)
{
	fprintf(stderr, "%s: ", cmd->cli.program);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
}

void cmd_note(const struct cmd *cmd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(cmd, format, args);
	va_end(args);
}

int cmd_cannot(const struct cmd *cmd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(cmd, format, args);
	va_end(args);
	return OS_EXIT_CANNOT;
}

static int expected_command(const struct cmd *cmd, const char *found)
{
	char list[200] = "";
	size_t n = 0;

	for (int i = 0; i < CMD_IDS; i++)
		n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i == 0 ? "" : i == CMD_IDS - 1 ? " or " : ", ", commands[i].name);
	return os_cli_usage(&cmd->cli, "found %s%s%s, expected %s", found[0] == 0 ? "no command" : "'", found, found[0] == 0 ? "" : "'", list);
}

/* ---- parsing ---- */

bool cmd_key_parse(const char *text, struct key *out) { return key_from_text(text, strlen(text), "nodekey:", out); }

static int set_key(const struct cmd *cmd, struct cmd_key *key)
{
	key->given = cmd_key_parse(cmd->cli.value, &key->key);
	if (key->given) return -1;
	return os_cli_usage(&cmd->cli, "option '--%s': found '%s', expected a public key of 64 hex digits", cmd->cli.name, cmd->cli.value);
}

static int set_word(struct cmd *cmd, const struct word *w)
{
	char *at = (char *)cmd + w->at;

	switch (w->kind) {
	case WORD_FLAG: *(bool *)at = true; return -1;
	case WORD_TEXT: *(const char **)at = cmd->cli.value; return -1;
	case WORD_NUMBER: return os_cli_u64(&cmd->cli, w->min, w->max, (uint64_t *)at) ? -1 : OS_EXIT_USAGE;
	case WORD_TIME: return os_cli_time(&cmd->cli, (uint64_t *)at) ? -1 : OS_EXIT_USAGE;
	case WORD_KEY: return set_key(cmd, (struct cmd_key *)at);
	case WORD_LINE: os_config_add((struct os_config *)at, "%s\n", cmd->cli.value); return -1;
	}
	return OS_EXIT_USAGE;
}

static int set_command(struct cmd *cmd)
{
	for (int i = 0; i < CMD_IDS; i++)
		if (strcmp(cmd->cli.value, commands[i].name) == 0) cmd->id = (enum cmd_id)i;
	return cmd->id != CMD_IDS ? -1 : expected_command(cmd, cmd->cli.value);
}

static int set_argument(struct cmd *cmd)
{
	const char *value = cmd->cli.value;

	if (cmd->id == CMD_IDS) return set_command(cmd);
	if (commands[cmd->id].connects && strstr(value, "://") != NULL) {
		if (cmd->url != NULL) return os_cli_usage(&cmd->cli, "one URL is enough, found also '%s'", value);
		cmd->url = value;
		return -1;
	}
	if (cmd->args < commands[cmd->id].args_max) {
		cmd->arg[cmd->args++] = value;
		return -1;
	}
	if (commands[cmd->id].connects && cmd->url == NULL)
		return os_cli_usage(&cmd->cli, "found '%s', expected a URL such as http://127.0.0.1:3340/derp", value);
	return os_cli_usage(&cmd->cli, "found '%s', expected no more: derp-client %s %s", value, commands[cmd->id].name, commands[cmd->id].takes);
}

/* What does not fit together, whatever the command. */
static int check(const struct cmd *cmd, uint64_t seen)
{
	const struct os_cli *cli = &cmd->cli;
	bool connects;

	if (cmd->id == CMD_IDS) return expected_command(cmd, "");
	for (int i = 0; i < WORDS; i++)
		if ((seen >> i & 1) != 0 && (words[i].of & 1u << cmd->id) == 0)
			return os_cli_usage(cli, "%s has no option '--%s'", commands[cmd->id].name, words[i].name);
	connects = commands[cmd->id].connects;
	if (connects && cmd->url == NULL && cmd->map_file == NULL)
		return os_cli_usage(cli, "expected a URL such as http://127.0.0.1:3340/derp, or --derp-map and --region");
	if (cmd->url != NULL && cmd->map_file != NULL) return os_cli_usage(cli, "a URL and --derp-map exclude each other");
	if (connects && cmd->map_file == NULL && (cmd->region != NULL || cmd->proxy != NULL || cmd->plain))
		return os_cli_usage(cli, "--region, --proxy and --plain are for --derp-map");
	if (cmd->args < commands[cmd->id].args_min)
		return os_cli_usage(cli, "expected derp-client %s %s", commands[cmd->id].name, commands[cmd->id].takes);
	if (cmd->fast && !cmd->server_key.given) return os_cli_usage(cli, "--fast-start needs --server-key (HTTP-010)");
	return -1;
}

int cmd_parse(struct cmd *cmd, int argc, char **argv)
{
	struct os_option options[WORDS + 1] = { 0 };
	uint64_t seen = 0;
	int id, end;

	for (int i = 0; i < WORDS; i++)
		options[i] = (struct os_option){ .id = i + 1, .name = words[i].name, .letter = words[i].letter, .value = words[i].value != NULL };
	*cmd = (struct cmd){ .id = CMD_IDS, .size = CMD_UNSET, .count = CMD_UNSET, .timeout = CMD_UNSET, .interval = CMD_UNSET };
	cmd->bandwidth = cmd->rate = cmd->rate_time = CMD_UNSET;
	os_cli_init(&cmd->cli, "derp-client", options, argc, argv);
	while ((id = os_cli_next(&cmd->cli)) != OS_CLI_END) {
		end = id == OS_CLI_BAD ? OS_EXIT_USAGE : id == OS_CLI_ARGUMENT ? set_argument(cmd) : set_word(cmd, &words[id - 1]);
		if (end >= 0) return end;
		if (id > 0) seen |= UINT64_C(1) << (id - 1);
	}
	cmd->cli.options = NULL; /* they end here */
	return cmd->help || cmd->version ? -1 : check(cmd, seen);
}
