/* One story, told twice: by the simulator, and by the epoll host on loopback sockets. Both drive the same machines; what each
 * connection reads must be the same frames in the same order. The only file that sees both hosts. */
#include "sim.h"

#include "../ref/client.h"
#include "../ref/frame.h"
#include "../ref/os_frames.h"
#include "../ref/os_host.h"
#include "../ref/relay.h"
#include "prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RELAY, A, B, C, PARTIES, PORT = 3340, WAIT_MS = 5000, SLOTS = 1024 };

struct party {
	struct os_owner owner; /* first */
	struct telling *telling;
	struct os_host *host;
	struct machine *machine; /* on sockets; the simulator owns its own */
	struct os_frames *frames;
	FILE *file;
	char *log;
	size_t log_n;
	struct key key, public_key;
	uint32_t ready, packets, gone, pongs;
};

/* One of the two. */
struct telling {
	struct sim *sim; /* NULL: on sockets */
	struct os_loop *loop;
	struct party party[PARTIES];
	char url[64];
};

/* ---- what happens is counted, what is read is written down ---- */

static void heard(struct party *p, const struct action *x)
{
	p->ready += x->deliver.what == DELIVER_READY;
	p->packets += x->deliver.what == DELIVER_PACKET;
	p->gone += x->deliver.what == DELIVER_PEER_GONE;
	p->pongs += x->deliver.what == DELIVER_PONG;
}

static void on_sockets(struct os_owner *owner, const struct action *x) { heard((struct party *)owner, x); }

static void stream_on_sockets(struct os_owner *owner, uint64_t token, enum os_stream what, const uint8_t *p, uint32_t n)
{
	if (what != OS_STREAM_OUT) os_frames_stream(((struct party *)owner)->frames, token, what, p, n);
}

static void in_simulator(void *ctx, uint32_t host, const struct action *x) { heard(&((struct telling *)ctx)->party[host], x); }

static void event_in_simulator(void *ctx, uint32_t host, const struct event *e, uint64_t content)
{
	struct os_frames *frames = ((struct telling *)ctx)->party[host].frames;

	(void)content;
	if (e->kind == EVENT_BYTES) os_frames_stream(frames, e->token, OS_STREAM_IN, e->bytes.p, e->bytes.n);
	if (e->kind == EVENT_CLOSED) os_frames_stream(frames, e->token, OS_STREAM_OVER, NULL, 0);
}

/* ---- who takes part ---- */

static struct machine *make(void *ctx, uint32_t who, const struct machine_env *env)
{
	(void)ctx;
	return who == RELAY ? relay_machine(relay_new(env)) : client_machine(client_new(env));
}

static size_t configure(void *ctx, uint32_t who, char *out, size_t cap)
{
	const struct telling *t = ctx;
	char hex[KEY_HEX];

	key_hex(t->party[who].key.b, hex);
	if (who == RELAY) return (size_t)snprintf(out, cap, "key=%.*s\n", KEY_HEX, hex);
	return (size_t)snprintf(out, cap, "key=%.*s\nurl=%s\n", KEY_HEX, hex, t->url);
}

static void path(void *ctx, uint32_t from, uint32_t to, struct sim_path *out)
{
	(void)ctx, (void)from, (void)to;
	*out = (struct sim_path){ .latency_ns = NS_MS };
}

static void parties_init(struct telling *t)
{
	static const char *const name[PARTIES] = { "relay", "a", "b", "c" };

	for (uint32_t i = 0; i < PARTIES; i++) {
		struct party *p = &t->party[i];
		p->telling = t;
		prng_derive(0, name[i], "key", p->key.b);
		key_clamp(&p->key);
		key_public(&p->key, &p->public_key);
		p->file = open_memstream(&p->log, &p->log_n);
		p->frames = os_frames_new(p->file);
	}
}

static void simulator_init(struct telling *t)
{
	struct sim_hooks hooks = {
		.ctx = t, .make = make, .configure = configure, .path = path, .deliver = in_simulator, .event = event_in_simulator
	};
	struct sim_host_config config = { .cores = 1, .window = SIM_WINDOW, .fds = 100, .slots = SLOTS };

	parties_init(t);
	t->sim = sim_new(1, &hooks, NULL);
	snprintf(t->url, sizeof t->url, "http://10.0.0.1:%d/derp", PORT);
	for (uint32_t i = 0; i < PARTIES; i++) {
		config.name = i == RELAY ? "relay" : i == A ? "a" : i == B ? "b" : "c";
		config.ip = (struct address){ .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(i + 1) } };
		config.listener = (struct sim_listener){ .port = i == RELAY ? PORT : 0, .backlog = 16 };
		assert_int_equal(sim_host_add(t->sim, &config), i);
	}
}

static void sockets_init(struct telling *t)
{
	static const struct address loopback = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	static const struct machine_env env = { 0 };
	char error[OS_ERROR_SIZE];
	struct address bound;

	parties_init(t);
	t->loop = os_loop_new();
	for (uint32_t i = 0; i < PARTIES; i++) {
		struct party *p = &t->party[i];
		p->owner.deliver = on_sockets;
		p->owner.stream = stream_on_sockets;
		p->machine = make(t, i, &env);
		p->host = os_host_new(t->loop, p->machine, &p->owner);
	}
	assert_true(os_host_listen(t->party[RELAY].host, &loopback, &OS_TCP_TIMES, &bound, error));
	snprintf(t->url, sizeof t->url, "http://127.0.0.1:%u/derp", bound.port);
}

static void telling_free(struct telling *t)
{
	sim_free(t->sim);
	for (uint32_t i = 0; i < PARTIES; i++) {
		struct party *p = &t->party[i];
		if (p->host != NULL) os_host_free(p->host);
		if (p->machine != NULL) machine_free(p->machine);
		os_frames_free(p->frames);
		fclose(p->file);
		free(p->log);
	}
	if (t->loop != NULL) os_loop_free(t->loop);
}

/* ---- the story ---- */

static void boot(struct telling *t, uint32_t who)
{
	char text[500];

	if (t->sim != NULL)
		sim_boot(t->sim, who);
	else
		os_host_start(t->party[who].host, text, configure(t, who, text, sizeof text), SLOTS);
}

static void command(struct telling *t, uint32_t who, const struct event_command *c)
{
	if (t->sim != NULL)
		assert_true(sim_command(t->sim, who, c));
	else
		os_host_command(t->party[who].host, c);
}

/* Until the count has come; the story goes on only then, so that both tell it in one order. */
static void await(struct telling *t, const uint32_t *count, uint32_t want)
{
	for (uint32_t ms = 0; *count < want && ms < WAIT_MS; ms++) {
		if (t->sim != NULL)
			sim_run(t->sim, sim_now(t->sim) + NS_MS);
		else
			os_loop_turn(t->loop, os_now() + NS_MS);
	}
	assert_int_equal(*count, want);
}

static void send_packet(struct telling *t, uint32_t from, const uint8_t *to, uint32_t n, bool disco)
{
	static const uint8_t magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac }; /* KEY-011 */
	static uint8_t bytes[FRAME_PACKET_MAX];

	for (uint32_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 7 + 4);
	if (disco) memcpy(bytes, magic, sizeof magic);
	command(t, from, &(struct event_command){ .verb = COMMAND_SEND, .dst = to, .p = bytes, .n = n });
}

static void tell(struct telling *t)
{
	static const uint8_t nobody[KEY_SIZE] = { 9, 9, 9 };
	struct party *a = &t->party[A], *b = &t->party[B], *c = &t->party[C];

	boot(t, RELAY);
	for (uint32_t who = A; who <= C; who++) {
		boot(t, who);
		await(t, &t->party[who].ready, 1);
	}
	send_packet(t, A, b->public_key.b, 1400, false);
	await(t, &b->packets, 1);
	send_packet(t, B, a->public_key.b, 0, false); /* FRM-005 */
	await(t, &a->packets, 1);
	send_packet(t, A, c->public_key.b, FRAME_PACKET_MAX, false); /* FRM-004 */
	await(t, &c->packets, 1);
	send_packet(t, A, nobody, 100, true); /* SRV-007: NotHere */
	await(t, &a->gone, 1);
	command(t, A, &(struct event_command){ .verb = COMMAND_HOME, .flag = true });
	command(t, A, &(struct event_command){ .verb = COMMAND_PING, .p = (const uint8_t *)"12345678", .n = 8 });
	await(t, &a->pongs, 1);
	command(t, B, &(struct event_command){ .verb = COMMAND_LEAVE });
	await(t, &a->gone, 2); /* PGR-005 */
}

/* The lines but for the lengths of HTTP heads, which depend on the address. */
static char *lines_of(struct party *p)
{
	char *text, *out;

	fflush(p->file);
	text = out = strdup(p->log);
	for (const char *in = p->log; *in != 0;) {
		const char *end = strchr(in, '\n') + 1, *http = strstr(in, " HTTP ");
		size_t n = http != NULL && http < end ? (size_t)(http + 6 - in) : (size_t)(end - in);
		memcpy(out, in, n);
		out += n;
		if (http != NULL && http < end) *out++ = '\n';
		in = end;
	}
	*out = 0;
	return text;
}

/* The same frames on each connection, in the same order, at every party. */
static void one_story_on_both_hosts(void **state)
{
	struct telling *simulated = calloc(1, sizeof *simulated), *real = calloc(1, sizeof *real);

	(void)state;
	simulator_init(simulated);
	sockets_init(real);
	tell(simulated);
	tell(real);
	for (uint32_t i = 0; i < PARTIES; i++) {
		char *a = lines_of(&simulated->party[i]), *b = lines_of(&real->party[i]);
		assert_string_equal(a, b);
		assert_non_null(strstr(a, i == RELAY ? "SendPacket 65568\n" : "ServerInfo 53\n"));
		free(a);
		free(b);
	}
	telling_free(simulated);
	telling_free(real);
	free(simulated);
	free(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_story_on_both_hosts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
