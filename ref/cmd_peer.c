/* One client on a connection, as the options want it. */
#include "cmd.h"

#include "address.h"
#include "os_keyfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAVE_NS NS_S
enum { REGION_MAX = 12000 };

/* ---- configuration ---- */

static void add_key(struct os_config *config, const char *name, const struct key *key)
{
	char hex[KEY_HEX];

	key_hex(key->b, hex);
	os_config_add(config, "%s=%.*s\n", name, KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
}

static int add_keys(struct peer *p, struct os_config *config)
{
	char error[KEYFILE_ERROR_SIZE];
	const struct cmd *cmd = p->cmd;
	struct key mesh_key;
	bool made;

	if (cmd->key_file == NULL)
		os_key_draw(&p->key);
	else if (!os_keyfile_private(cmd->key_file, &p->key, &made, error))
		return os_cli_usage(&cmd->cli, "%s", error);
	key_public(&p->key, &p->public_key);
	add_key(config, "key", &p->key);
	if (cmd->server_key.given) add_key(config, "server-key", &cmd->server_key.key);
	if (cmd->mesh_psk_file == NULL) return -1;
	if (!os_keyfile_mesh(cmd->mesh_psk_file, &mesh_key, error)) return os_cli_usage(&cmd->cli, "%s", error);
	add_key(config, "mesh-key", &mesh_key);
	key_wipe(&mesh_key, sizeof mesh_key);
	return -1;
}

static int add_region(const struct cmd *cmd, const struct derp_map *map, struct os_config *config)
{
	const struct derp_region *region = cmd_region(cmd, map);
	char text[REGION_MAX];

	if (region == NULL) return OS_EXIT_USAGE;
	if (derp_region_json(region, NULL, text, sizeof text) == 0)
		return os_cli_usage(&cmd->cli, "%s: region %lld has too many nodes for a client", cmd->map_file, (long long)region->id);
	os_config_add(config, "region=%s\n", text);
	return -1;
}

/* Where it goes to. */
static int add_place(struct cmd *cmd, struct os_config *config)
{
	struct derp_map *map = NULL;
	int end = -1;

	if (cmd->map_file == NULL) {
		os_config_add(config, "url=%s\n", cmd->url);
		return -1;
	}
	end = cmd_map(cmd, cmd->map_file, &map);
	if (end < 0) end = add_region(cmd, map, config);
	derp_map_free(map);
	if (cmd->proxy != NULL) os_config_add(config, "proxy=%s\n", cmd->proxy);
	return end;
}

static void add_flags(const struct cmd *cmd, struct os_config *config)
{
	const struct {
		bool on;
		const char *line;
	} flag[] = { { cmd->fast, "fast-start=always\n" },
		     { cmd->home, "home=on\n" },
		     { cmd->insecure, "insecure=on\n" },
		     { cmd->websocket, "websocket=on\n" },
		     { cmd->plain, "plain=on\n" } };

	for (size_t i = 0; i < sizeof flag / sizeof *flag; i++)
		if (flag[i].on) os_config_add(config, "%s", flag[i].line);
}

static int configure(struct peer *p, const char *lines, struct os_config *config)
{
	struct cmd *cmd = p->cmd;
	char error[200];
	int end = add_keys(p, config);

	if (end < 0) end = add_place(cmd, config);
	if (end >= 0) return end;
	add_flags(cmd, config);
	os_config_add(config, "%s%.*s", lines, (int)cmd->settings.n, cmd->settings.text);
	if (config->full || cmd->settings.full) return os_cli_usage(&cmd->cli, "the configuration is too long");
	if (!client_config_check(config->text, config->n, error)) return os_cli_usage(&cmd->cli, "configuration %s", error);
	return -1;
}

/* ---- what is said of connections ---- */

static const char *goal(const struct cmd *cmd) { return cmd->url != NULL ? cmd->url : "the region"; }

static void on_ready(struct peer *p)
{
	struct say s;

	p->ready = p->was_ready = true;
	p->complained = false;
	if (p->quiet) return;
	say_begin(&s, p->cmd->json, "connected");
	say_key(&s, "key", client_server_key(p->client));
	say_end(&s);
}

/* Who stays for the next attempt is told once why there is none yet. */
static void on_disconnected(struct peer *p, const struct action *x)
{
	const char *why = client_end_name((enum client_end)x->deliver.a);
	struct say s;
	bool was = p->ready;

	if (x->deliver.a == CLIENT_END_LEFT) return;
	p->ready = false;
	if (p->once) {
		cmd_cannot(p->cmd, "%s %s: %s", p->was_ready ? "connection lost to" : "no connection to", goal(p->cmd), why);
		cmd_finish(p->cmd, p->was_ready ? OS_EXIT_FINDING : OS_EXIT_CANNOT);
	} else if (was && !p->quiet) {
		say_begin(&s, p->cmd->json, "disconnected");
		say_text(&s, "text", why);
		say_end(&s);
	} else if (!was && !p->complained) {
		p->complained = true;
		cmd_cannot(p->cmd, "no connection to %s: %s; trying again", goal(p->cmd), why);
	}
}

static void on_health(const struct peer *p, const struct action *x)
{
	struct say s;

	if (p->quiet) return;
	say_begin(&s, p->cmd->json, "health");
	say_bytes(&s, "text", x->span.p, x->span.n < 150 ? x->span.n : 150);
	say_end(&s);
}

static void deliver(struct os_owner *owner, const struct action *x)
{
	struct peer *p = (struct peer *)owner;

	if (x->deliver.what == DELIVER_READY) on_ready(p);
	if (x->deliver.what == DELIVER_DISCONNECTED) on_disconnected(p, x);
	if (x->deliver.what == DELIVER_HEALTH) on_health(p, x);
	p->on(p, x);
}

static void stream(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *bytes, uint32_t n)
{
	os_frames_stream(((struct peer *)owner)->frames, token, what, bytes, n);
}

static void complain(struct os_owner *owner, const char *text) { cmd_cannot(((struct peer *)owner)->cmd, "%s", text); }

/* ---- its life ---- */

static int open_frames(struct peer *p)
{
	const char *path = p->cmd->frames_file;

	if (path == NULL) return -1;
	p->frames_out = fopen(path, "we");
	if (p->frames_out == NULL) return os_cli_usage(&p->cmd->cli, "%s: cannot be written: %s", path, strerror(errno));
	setvbuf(p->frames_out, NULL, _IOLBF, 0);
	p->frames = os_frames_new(p->frames_out);
	p->owner.stream = stream;
	return -1;
}

static void say_own_key(const struct peer *p)
{
	struct say s;

	if (p->quiet) return;
	say_begin(&s, p->cmd->json, "key");
	say_key(&s, "key", p->public_key.b);
	say_end(&s);
}

int peer_start(struct peer *p, struct cmd *cmd, const char *lines)
{
	struct machine_env env = { 0 };
	struct os_config config = { .n = 0 };
	int end;

	p->cmd = cmd;
	p->owner = (struct os_owner){ .deliver = deliver, .complain = complain };
	end = configure(p, lines, &config);
	if (end < 0) end = open_frames(p);
	if (end < 0) {
		p->client = client_new(&env);
		p->host = os_host_new(cmd->loop, client_machine(p->client), &p->owner);
		os_host_tls(p->host, cmd->tls);
		say_own_key(p);
		p->began = os_now();
		os_host_start(p->host, config.text, config.n, CLIENT_SLOTS);
	}
	key_wipe(&config, sizeof config);
	return end;
}

void peer_command(struct peer *p, enum command_verb verb, const uint8_t *dst)
{
	struct event_command command = { .verb = verb, .dst = dst };

	os_host_command(p->host, &command);
}

void peer_send(struct peer *p, const uint8_t *dst, struct packet *owner, const uint8_t *bytes, uint32_t n)
{
	struct event_command command = { .verb = COMMAND_SEND, .dst = dst, .owner = owner, .p = bytes, .n = n };

	os_host_command(p->host, &command);
}

static void leave(struct peer *p)
{
	uint64_t until = os_now() + LEAVE_NS;

	peer_command(p, COMMAND_LEAVE, NULL);
	while (os_host_connections(p->host) != 0 && os_now() < until) os_loop_turn(p->cmd->loop, until);
}

void peer_end(struct peer *p)
{
	if (p->client != NULL) {
		leave(p);
		os_host_free(p->host);
		machine_free(client_machine(p->client));
	}
	os_frames_free(p->frames);
	if (p->frames_out != NULL) fclose(p->frames_out);
	key_wipe(&p->key, sizeof p->key);
}

static const char *flag_names(uint64_t flags, char out[64])
{
	static const struct {
		unsigned flag;
		const char *name;
	} known[] = { { PRESENT_REGULAR, "regular" }, { PRESENT_MESH, "mesh" }, { PRESENT_PROBER, "prober" }, { PRESENT_NOT_IDEAL, "not-ideal" } };
	size_t n = 0;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if ((flags & known[i].flag) != 0) n += (size_t)snprintf(out + n, 64 - n, "%s%s", n == 0 ? "" : ",", known[i].name);
	if (n == 0) snprintf(out, 64, "0x%02llx", (unsigned long long)flags);
	return out;
}

void say_gone(const struct cmd *cmd, const struct action *x)
{
	struct say s;

	say_begin(&s, cmd->json, "gone");
	say_key(&s, "key", x->deliver.key);
	say_text(&s, "text", x->deliver.a == GONE_NOT_HERE ? "not here" : "disconnected");
	say_end(&s);
}

/* IP and port as they came; an old relay does not tell them (PGR-018, PGR-020). */
void say_presence(struct say *s, const struct action *x)
{
	char text[ADDRESS_TEXT], flags[64];
	struct address address = { .port = 0 };

	if (x->span.n >= 18) {
		memcpy(address.ip, x->span.p, 16);
		address.port = (uint16_t)(x->span.p[16] << 8 | x->span.p[17]);
	}
	say_key(s, "key", x->deliver.key);
	say_text(s, "address", address_is_zero(&address) ? "unknown" : address_text(&address, text));
	say_text(s, "flags", flag_names(x->deliver.a, flags));
}

void cmd_udp_open(struct os_host *host)
{
	const struct address any[] = { { .ip = { [10] = 0xff, [11] = 0xff } }, { .port = 0 } };
	char error[OS_ERROR_SIZE];
	struct address bound;

	for (int i = 0; i < 2; i++) os_host_udp(host, &any[i], &bound, error);
}

int cmd_turns(struct cmd *cmd, const struct cmd_turns *turns)
{
	uint64_t begun = os_now(), until = cmd->timeout == CMD_UNSET || cmd->timeout == 0 ? UINT64_MAX : begun + cmd->timeout;

	while (!cmd->done && os_loop_signal(cmd->loop) == 0) {
		uint64_t wait = until, next;
		if (os_now() >= until) cmd_finish(cmd, turns->late == NULL ? OS_EXIT_FINE : turns->late(turns->ctx));
		next = turns->step == NULL || cmd->done ? UINT64_MAX : turns->step(turns->ctx);
		if (next < wait) wait = next;
		if (!cmd->done) os_loop_turn(cmd->loop, wait);
	}
	return cmd->end;
}
