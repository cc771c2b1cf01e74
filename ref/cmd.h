/* The command line of derp-client. These files and the main may use the operating system; the protocol is all in the machines.
 *
 * client_main.c  which command            cmd_options.c  its words, and the help
 * cmd_say.c      a line a fact            cmd_peer.c     one client on a connection, turns until it is enough
 * cmd_map.c      files and DERP maps      cmd_input.c    standard input in the loop
 * cmd_echo.c     echo, recv               cmd_send.c     send
 * cmd_ping.c     ping                     cmd_mesh.c     watch, prune
 * cmd_stdio.c    stdio                    cmd_pipe.c     pipe
 * cmd_probe.c    probe                    cmd_netcheck.c netcheck
 * cmd_lint.c     lint-map
 *
 * Functions that return int: an exit code, or -1: go on. Errors are told to standard error before. */
#ifndef REF_CMD_H
#define REF_CMD_H

#include "client.h"
#include "derpmap.h"
#include "frame.h"
#include "json.h"
#include "key.h"
#include "os_cli.h"
#include "os_frames.h"
#include "os_host.h"
#include "os_tls.h"

#include <stdio.h>

/* ---- words: cmd_options.c ---- */

enum cmd_id { CMD_PING, CMD_SEND, CMD_RECV, CMD_ECHO, CMD_PIPE, CMD_WATCH, CMD_PRUNE, CMD_PROBE, CMD_NETCHECK, CMD_LINT, CMD_STDIO, CMD_IDS };

enum { CMD_ARGS_MAX = 64 };
#define CMD_UNSET UINT64_MAX

struct cmd_key {
	struct key key;
	bool given;
};

struct cmd {
	struct os_cli cli;
	enum cmd_id id; /* CMD_IDS: none was given */
	const char *url;
	const char *arg[CMD_ARGS_MAX]; /* what else is no option */
	uint32_t args;
	/* options */
	bool help, version, json, fast, home, insecure, websocket, tls12, echo, plain, full, https_only, stun_only;
	const char *key_file, *mesh_psk_file, *map_file, *region, *proxy, *frames_file, *data, *policy, *ca_file, *keylog_file;
	struct cmd_key to, server_key;
	uint64_t size, count, timeout, interval, bandwidth, rate, rate_time; /* CMD_UNSET; times in ns */
	struct os_config settings;                                           /* of --set */
	/* what commands share: client_main.c */
	struct os_tls *tls;
	struct os_loop *loop;
	bool done;
	int end; /* the exit code, once done */
};

/* Fills *cmd. With help or version nothing else is checked. */
int cmd_parse(struct cmd *cmd, int argc, char **argv);
void cmd_help(enum cmd_id id); /* to standard output; CMD_IDS: of all */
bool cmd_key_parse(const char *text, struct key *out);
/* A line for people, to standard error. */
void cmd_note(const struct cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* OS_EXIT_CANNOT, told. */
int cmd_cannot(const struct cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first word is the last one. */
void cmd_finish(struct cmd *cmd, int end);

/* ---- lines: cmd_say.c ---- */

/* One line to standard output: `EVENT VALUE VALUE...`, or with --json an object with "event" and the values by their names. */
struct say {
	struct json_writer w;
	bool json;
};
void say_begin(struct say *s, bool json, const char *event);
void say_key(struct say *s, const char *name, const uint8_t *key); /* NULL: left out */
void say_u64(struct say *s, const char *name, uint64_t v);
void say_bool(struct say *s, const char *name, bool v);
void say_time(struct say *s, const char *name, uint64_t ns); /* in text with a unit */
void say_text(struct say *s, const char *name, const char *text);
void say_bytes(struct say *s, const char *name, const void *p, size_t n); /* text of that length */
void say_end(struct say *s);
/* "1.234 ms" without floating point; returns out. */
enum { SAY_TIME = 32 };
const char *say_ms(uint64_t ns, char out[SAY_TIME]);

/* ---- one client: cmd_peer.c ---- */

struct peer {
	struct os_owner owner;
	struct cmd *cmd;
	/* Every DELIVER, after what is said here of connections. */
	void (*on)(struct peer *p, const struct action *x);
	bool once;  /* the command ends with its connection */
	bool quiet; /* nothing is said of connections */
	struct key key, public_key;
	struct client *client;
	struct os_host *host;
	struct os_frames *frames;
	FILE *frames_out;
	uint64_t began; /* os_now */
	bool ready, was_ready, complained;
};

/* Makes a client of the options with these lines of configuration beside, prints its key and starts it. */
int peer_start(struct peer *p, struct cmd *cmd, const char *lines);
void peer_command(struct peer *p, enum command_verb verb, const uint8_t *dst);
void peer_send(struct peer *p, const uint8_t *dst, struct packet *owner, const uint8_t *bytes, uint32_t n);
/* Leaves with everything sent, and frees what there is; also one that was never started. */
void peer_end(struct peer *p);
void say_gone(const struct cmd *cmd, const struct action *x); /* a line of PeerGone: key and why */
void say_presence(struct say *s, const struct action *x);     /* of PeerPresent: key, address, and flags as `mesh,prober` */

/* Before os_host_start: a UDP socket of each family, for STUN. A family of which there is none is not asked. */
void cmd_udp_open(struct os_host *host);

/* Turns of the loop until cmd_finish, a signal, or the time is up. */
struct cmd_turns {
	uint64_t (*step)(void *ctx); /* before every turn: until when to wait at most (os_now); NULL */
	int (*late)(void *ctx);      /* the exit code when the time is up; NULL: 0 */
	void *ctx;
};
int cmd_turns(struct cmd *cmd, const struct cmd_turns *turns);

/* ---- files and maps: cmd_map.c ---- */

struct cmd_text {
	char *p;
	size_t n;
};
enum { CMD_FILE_MAX = 64 << 20 };
/* A whole file, `-` for standard input; free(out->p). */
int cmd_read(const struct cmd *cmd, const char *path, struct cmd_text *out);
/* A DERP map from a file or an http or https URL: its text. */
int cmd_map_text(struct cmd *cmd, const char *where, struct cmd_text *out);
/* And what it says; derp_map_free. */
int cmd_map(struct cmd *cmd, const char *where, struct derp_map **out);
/* The region of --region, by number or code; without that option the only one. NULL: told. */
const struct derp_region *cmd_region(const struct cmd *cmd, const struct derp_map *map);

/* ---- standard input: cmd_input.c ---- */

struct input {
	struct os_watch watch;
	struct os_loop *loop;
	/* Bytes came, n = 0: that was all. Returns how many it has taken; the others are shown again, with what came meanwhile. */
	uint32_t (*take)(void *ctx, const uint8_t *p, uint32_t n, bool last);
	void *ctx;
	bool plain_file, paused, over;
	uint8_t *p;
	uint32_t n;
};
enum { INPUT_MAX = 1 << 20 };
int input_start(struct input *in, const struct cmd *cmd);
void input_pause(struct input *in, bool paused);
uint64_t input_step(struct input *in); /* for step: 0 while there is something to do without waiting */
void input_end(struct input *in);

/* ---- commands: exit codes ---- */

int cmd_ping(struct cmd *cmd);
int cmd_send(struct cmd *cmd);
int cmd_recv(struct cmd *cmd);
int cmd_echo(struct cmd *cmd);
int cmd_pipe(struct cmd *cmd);
int cmd_watch(struct cmd *cmd);
int cmd_prune(struct cmd *cmd);
int cmd_probe(struct cmd *cmd);
int cmd_netcheck(struct cmd *cmd);
int cmd_lint(struct cmd *cmd);
int cmd_stdio(struct cmd *cmd);
extern const char cmd_stdio_help[]; /* the words of its lines, frozen */

#endif
