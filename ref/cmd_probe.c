/* derp-client probe: the prober (prober.h) on real sockets, and its results: a line each, and a table of the pairs of each region. */
#include "cmd.h"

#include "address.h"
#include "os_keyfile.h"
#include "prober.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct app {
	struct os_owner owner; /* first */
	struct cmd *cmd;
	struct derp_map *map;
	struct prober *prober;
	struct os_host *host;
	uint64_t failed;
};

static const char *const verdict_name[] = { [PROBER_GOOD] = "good", [PROBER_FAILED] = "FAILED", [PROBER_SKIPPED] = "skipped" };

/* ---- a line each ---- */

static const char *node_name(const struct prober_result *r, uint32_t node) { return r->region->node[node].name; }

static void say_json(const struct prober_result *r)
{
	char text[ADDRESS_TEXT];
	struct say s;

	say_begin(&s, true, "check");
	say_u64(&s, "region", (uint64_t)r->region->id);
	say_text(&s, "check", prober_check_name(r->check));
	say_text(&s, "from", node_name(r, r->from));
	say_text(&s, "to", node_name(r, r->to));
	say_text(&s, "verdict", r->verdict == PROBER_FAILED ? "failed" : verdict_name[r->verdict]);
	if (r->why[0] != 0) say_text(&s, "text", r->why);
	if (r->check == PROBER_STUN) say_text(&s, "family", r->v6 ? "ipv6" : "ipv4");
	if (r->ns != 0) say_time(&s, "ns", r->ns);
	if (r->check == PROBER_DELAY) say_u64(&s, "p99_ns", r->p99_ns), say_u64(&s, "max_ns", r->max_ns);
	if (r->check == PROBER_DELAY) say_u64(&s, "sent", r->sent), say_u64(&s, "lost", r->lost);
	if (r->bytes != 0) say_u64(&s, "bytes", r->bytes);
	if (r->expires_s != 0) say_u64(&s, "expires_s", r->expires_s);
	if (!address_is_zero(&r->mapped)) say_text(&s, "mapped", address_text(&r->mapped, text));
	say_end(&s);
}

/* What was measured, in words. */
static const char *figure(const struct prober_result *r, char out[160])
{
	char ns[SAY_TIME], p99[SAY_TIME], max[SAY_TIME], address[ADDRESS_TEXT];
	uint64_t now = os_wall() / NS_S;

	out[0] = 0;
	say_ms(r->ns, ns);
	switch (r->check) {
	case PROBER_CERTIFICATE:
		if (r->expires_s > now) snprintf(out, 160, "%" PRIu64 " days left", (r->expires_s - now) / 86400);
		break;
	case PROBER_STUN: snprintf(out, 160, "%s, we are %s", ns, address_text(&r->mapped, address)); break;
	case PROBER_BANDWIDTH: snprintf(out, 160, "%" PRIu64 " bytes in %s", r->bytes, ns); break;
	case PROBER_DELAY: snprintf(out, 160, "median %s, 99 %% %s, max %s", ns, say_ms(r->p99_ns, p99), say_ms(r->max_ns, max)); break;
	default: snprintf(out, 160, "%s", ns);
	}
	return out;
}

static void say_line(const struct prober_result *r)
{
	char text[160];
	bool pair = r->check >= PROBER_PAIR;
	const char *family = r->check != PROBER_STUN ? "" : r->v6 ? " IPv6" : " IPv4";

	printf("%-7s %" PRId64 " %s%s %s%s%s: %s\n", verdict_name[r->verdict], r->region->id, prober_check_name(r->check), family,
	       node_name(r, r->from), pair ? " to " : "", pair ? node_name(r, r->to) : "", r->verdict == PROBER_GOOD ? figure(r, text) : r->why);
	fflush(stdout);
}

/* ---- the table ---- */

static const char *cell(const struct app *app, const struct derp_region *region, uint32_t from, uint32_t to, char out[SAY_TIME])
{
	const struct prober_result *r;

	for (uint32_t i = 0; (r = prober_result(app->prober, i)) != NULL; i++) {
		if (r->region != region || r->check != PROBER_PAIR || r->from != from || r->to != to) continue;
		return r->verdict == PROBER_GOOD ? say_ms(r->ns, out) : verdict_name[r->verdict];
	}
	return "-";
}

static void table(const struct app *app, const struct derp_region *region)
{
	char text[SAY_TIME];

	printf("\nregion %" PRId64 " %s, from each node (row) to each (column)\n%-12s", region->id, region->code, "");
	for (uint32_t to = 0; to < region->nodes; to++) printf(" %12.12s", region->node[to].name);
	printf("\n");
	for (uint32_t from = 0; from < region->nodes; from++) {
		printf("%-12.12s", region->node[from].name);
		for (uint32_t to = 0; to < region->nodes; to++) printf(" %12s", cell(app, region, from, to, text));
		printf("\n");
	}
}

static void summary(const struct app *app)
{
	const struct prober_result *r;
	const struct derp_region *last = NULL;
	uint32_t count[3] = { 0 };
	struct say s;

	for (uint32_t i = 0; (r = prober_result(app->prober, i)) != NULL; i++) {
		count[r->verdict]++;
		if (!app->cmd->json && r->region != last) table(app, r->region);
		last = r->region;
	}
	if (!app->cmd->json) {
		printf("\n%u good, %u failed, %u skipped\n", count[PROBER_GOOD], count[PROBER_FAILED], count[PROBER_SKIPPED]);
		return;
	}
	say_begin(&s, true, "summary");
	say_u64(&s, "good", count[PROBER_GOOD]);
	say_u64(&s, "failed", count[PROBER_FAILED]);
	say_u64(&s, "skipped", count[PROBER_SKIPPED]);
	say_end(&s);
}

/* ---- running ---- */

static void deliver(struct os_owner *owner, const struct action *x)
{
	struct app *app = (struct app *)owner;
	const struct prober_result *r;

	if (x->deliver.what == DELIVER_REPORT && (r = prober_result(app->prober, (uint32_t)x->deliver.a)) != NULL) {
		if (app->cmd->json)
			say_json(r);
		else
			say_line(r);
	}
	if (x->deliver.what == DELIVER_STOPPED) cmd_finish(app->cmd, x->deliver.a == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING);
}

static void complain(struct os_owner *owner, const char *text) { cmd_cannot(((struct app *)owner)->cmd, "%s", text); }

static int add_mesh_key(const struct cmd *cmd, struct os_config *config)
{
	char error[KEYFILE_ERROR_SIZE], hex[KEY_HEX];
	struct key key;

	if (cmd->mesh_psk_file == NULL) return -1;
	if (!os_keyfile_mesh(cmd->mesh_psk_file, &key, error)) return os_cli_usage(&cmd->cli, "%s", error);
	key_hex(key.b, hex);
	os_config_add(config, "mesh-key=%.*s\n", KEY_HEX, hex);
	key_wipe(hex, sizeof hex);
	key_wipe(&key, sizeof key);
	return -1;
}

static int configure(const struct app *app, struct os_config *config)
{
	const struct cmd *cmd = app->cmd;
	const struct derp_region *region = cmd->region == NULL ? NULL : cmd_region(cmd, app->map);
	char error[200];

	if (cmd->region != NULL && region == NULL) return OS_EXIT_USAGE;
	if (region != NULL) os_config_add(config, "region=%" PRId64 "\n", region->id);
	os_config_add(config, "%s%s", cmd->plain ? "plain=on\n" : "", cmd->insecure ? "insecure=on\n" : "");
	if (cmd->proxy != NULL) os_config_add(config, "proxy=%s\n", cmd->proxy);
	if (cmd->timeout != CMD_UNSET) os_config_add(config, "timeout=%" PRIu64 "ns\n", cmd->timeout);
	if (cmd->bandwidth != CMD_UNSET) os_config_add(config, "bandwidth=%" PRIu64 "\n", cmd->bandwidth);
	if (cmd->rate != CMD_UNSET) os_config_add(config, "rate=%" PRIu64 "\n", cmd->rate);
	if (cmd->rate_time != CMD_UNSET) os_config_add(config, "rate-time=%" PRIu64 "ns\n", cmd->rate_time);
	if (add_mesh_key(cmd, config) >= 0) return OS_EXIT_USAGE;
	if (config->full || !prober_config_check(config->text, config->n, error)) return os_cli_usage(&cmd->cli, "%s", error);
	return -1;
}

static int start(struct app *app)
{
	struct machine_env env = { 0 };
	struct os_config config = { .n = 0 };
	int end = cmd_map(app->cmd, app->cmd->arg[0], &app->map);

	if (end < 0) end = configure(app, &config);
	if (end < 0) {
		app->cmd->timeout = CMD_UNSET; /* of each check, not of all */
		app->prober = prober_new(&env, app->map);
		app->host = os_host_new(app->cmd->loop, prober_machine(app->prober), &app->owner);
		os_host_tls(app->host, app->cmd->tls);
		cmd_udp_open(app->host);
		os_host_start(app->host, config.text, config.n, PROBER_SLOTS);
	}
	key_wipe(&config, sizeof config);
	return end;
}

int cmd_probe(struct cmd *cmd)
{
	struct app app = { .owner = { .deliver = deliver, .complain = complain }, .cmd = cmd };
	int end = start(&app);

	if (end < 0) {
		end = cmd_turns(cmd, &(struct cmd_turns){ .ctx = &app });
		summary(&app);
	}
	os_host_free(app.host);
	if (app.prober != NULL) machine_free(prober_machine(app.prober));
	derp_map_free(app.map);
	return end;
}
