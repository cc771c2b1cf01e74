/* A client that watches, and comes back five seconds after whatever happened. */
#include "mesh.h"

#include "buf.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mesh {
	struct machine machine;
	struct client *client;
	uint64_t retry_ns, retry_at;
	enum mesh_state state;
};

struct mesh_config {
	struct config_text key, mesh_key, url, dial_host, profile, raw;
	uint64_t retry;
};

#define FIELD(member) offsetof(struct mesh_config, member)
static const struct config_key config_table[] = {
	{ "key", CONFIG_TEXT, FIELD(key), 0, 0, NULL },
	{ "mesh-key", CONFIG_TEXT, FIELD(mesh_key), 0, 0, NULL },
	{ "url", CONFIG_TEXT, FIELD(url), 0, 0, NULL },
	{ "dial-host", CONFIG_TEXT, FIELD(dial_host), 0, 0, NULL },
	{ "profile", CONFIG_TEXT, FIELD(profile), 0, 0, NULL },
	{ "raw", CONFIG_TEXT, FIELD(raw), 0, 0, NULL },
	{ "mesh-retry", CONFIG_TIME, FIELD(retry), NS_MS, 3600 * NS_S, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

/* MSH-004, MSH-015: CanAckPings is false, WatchConns comes with the login; CLI-003, MSH-023: a blocked write ends the link after 5 s. */
static void start(struct mesh *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct mesh_config config = { .retry = 5 * NS_S };
	struct event_start child = *e->start;
	struct event event = { .kind = EVENT_START, .now = e->now, .start = &child };
	char error[CONFIG_ERROR_SIZE], text[600];
	bool good = config_parse(e->start->config, e->start->config_n, config_table, &config, error);

	assert(good);
	(void)good;
	m->retry_ns = config.retry;
	child.config_n = (size_t)snprintf(
		text, sizeof text,
		"key=%.*s\nmesh-key=%.*s\nurl=%.*s\ndial-host=%.*s\nprofile=%.*s\nraw=%.*s\nwatch=on\ncan-ack-pings=off\nretry=manual\n"
		"forward-timeout=5s\n",
		(int)config.key.n, config.key.p, (int)config.mesh_key.n, config.mesh_key.p, (int)config.url.n, config.url.p, (int)config.dial_host.n,
		config.dial_host.p, (int)config.profile.n, config.profile.p, (int)config.raw.n, config.raw.p);
	assert(child.config_n < sizeof text);
	child.config = text;
	m->state = MESH_CONNECTING;
	machine_step(client_machine(m->client), &event, out, up);
	memset(text, 0, sizeof text);
}

static void leave(struct mesh *m, uint64_t now, struct actions *out, struct actions *up)
{
	struct event_command command = { .verb = COMMAND_LEAVE };
	struct event e = { .kind = EVENT_COMMAND, .now = now, .command = &command };

	if (client_state(m->client) != CLIENT_GONE) machine_step(client_machine(m->client), &e, out, up);
}

static void connect(struct mesh *m, uint64_t now, struct actions *out, struct actions *up)
{
	struct event_command command = { .verb = COMMAND_CONNECT };
	struct event e = { .kind = EVENT_COMMAND, .now = now, .command = &command };

	m->retry_at = TIME_NEVER;
	m->state = MESH_CONNECTING;
	machine_step(client_machine(m->client), &e, out, up);
}

/* What the client said in this step; MSH-011, MSH-013. */
static void hear(struct mesh *m, uint64_t now, uint32_t first, struct actions *out, struct actions *up)
{
	for (uint32_t i = first; i < up->n; i++) {
		switch (up->v[i].deliver.what) {
		case DELIVER_CONNECTED:
			if (memcmp(client_server_key(m->client), client_public_key(m->client), KEY_SIZE) != 0) break;
			m->state = MESH_SELF; /* ours closes at once (MSH-012, TRP-018) */
			leave(m, now, out, up);
			return;
		case DELIVER_READY: m->state = MESH_UP; break;
		case DELIVER_DISCONNECTED:
			m->state = MESH_DOWN;
			m->retry_at = now + m->retry_ns;
			break;
		default: break;
		}
	}
}

static void step(struct machine *machine, const struct event *e, struct actions *out, struct actions *up)
{
	struct mesh *m = (struct mesh *)machine;
	uint32_t first = up->n;

	if (e->kind == EVENT_START)
		start(m, e, out, up);
	else if (e->kind == EVENT_TIMER && e->now >= m->retry_at && m->state == MESH_DOWN)
		connect(m, e->now, out, up);
	else
		machine_step(client_machine(m->client), e, out, up);
	if (m->state != MESH_SELF) hear(m, e->now, first, out, up);
	if (client_state(m->client) == CLIENT_GONE) m->retry_at = TIME_NEVER;
}

static uint64_t deadline(const struct machine *machine)
{
	const struct mesh *m = (const struct mesh *)machine;
	uint64_t at = machine_deadline(client_machine(m->client));

	return m->retry_at < at ? m->retry_at : at;
}

static void release(struct machine *machine)
{
	struct mesh *m = (struct mesh *)machine;

	machine_free(client_machine(m->client));
	free(m);
}

static const struct machine_ops ops = { .name = "mesh", .step = step, .deadline = deadline, .free = release };

struct mesh *mesh_new(const struct machine_env *env)
{
	struct mesh *m = mem_zero(1, sizeof *m);

	m->machine.ops = &ops;
	m->client = client_new(env);
	m->retry_at = TIME_NEVER;
	return m;
}

enum mesh_state mesh_state(const struct mesh *m) { return m->state; }
const struct client *mesh_client(const struct mesh *m) { return m->client; }
