/* derp-client netcheck: one network check over a map, the home that follows from it, and why (HOM). */
#include "cmd.h"

#include "address.h"
#include "netcheck.h"

#include <stdlib.h>
#include <string.h>

enum { EVERY_REGION = 1024 /* NETCHECK_REGIONS_MAX */ };

struct app {
	struct os_owner owner; /* first */
	struct cmd *cmd;
	struct derp_map *map;
	struct netcheck *check;
	struct os_host *host;
};

static void deliver(struct os_owner *owner, const struct action *x)
{
	struct app *app = (struct app *)owner;

	if (x->deliver.what == DELIVER_REPORT) cmd_finish(app->cmd, x->deliver.b != 0 ? OS_EXIT_FINE : OS_EXIT_FINDING);
}

static void complain(struct os_owner *owner, const char *text) { cmd_cannot(((struct app *)owner)->cmd, "%s", text); }

/* ---- the report ---- */

static const char *answer_name(enum netcheck_answer answer) { return answer == NETCHECK_YES ? "yes" : answer == NETCHECK_NO ? "no" : "unknown"; }

static const char *code_of(const struct app *app, int64_t id)
{
	const struct derp_region *region = derp_map_by_id(app->map, id);

	return region == NULL ? "" : region->code;
}

static void say_fact(const struct app *app, const char *name, const char *value, const struct address *address)
{
	char text[ADDRESS_TEXT];
	struct say s;

	say_begin(&s, app->cmd->json, name);
	say_text(&s, "value", value);
	if (address != NULL && !address_is_zero(address)) say_text(&s, "address", address_text(address, text));
	say_end(&s);
}

static int by_latency(const void *a, const void *b)
{
	const struct netcheck_region *x = a, *y = b;

	return x->ns != y->ns ? (x->ns < y->ns ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

static void say_region(const struct app *app, const struct netcheck_region *r)
{
	struct say s;

	say_begin(&s, app->cmd->json, "region");
	say_u64(&s, "region", (uint64_t)r->id);
	say_text(&s, "code", code_of(app, r->id));
	say_time(&s, "ns", r->ns);
	if (app->cmd->json && r->v4_ns != 0) say_time(&s, "v4_ns", r->v4_ns);
	if (app->cmd->json && r->v6_ns != 0) say_time(&s, "v6_ns", r->v6_ns);
	if (!app->cmd->json)
		say_text(&s, "by", r->v4_ns != 0 && r->v6_ns != 0 ? "IPv4 and IPv6" : r->v4_ns != 0 ? "IPv4" : r->v6_ns != 0 ? "IPv6" : "HTTPS");
	say_end(&s);
}

static void say_unmeasured(const struct app *app, const struct netcheck_report *r)
{
	struct say s;

	for (uint32_t i = 0; i < app->map->regions; i++) {
		const struct derp_region *region = &app->map->region[i];
		if (netcheck_report_region(r, region->id) != NULL) continue;
		say_begin(&s, app->cmd->json, "unmeasured");
		say_u64(&s, "region", (uint64_t)region->id);
		say_text(&s, "code", region->code);
		if (region->no_measure_no_home) say_text(&s, "text", "NoMeasureNoHome");
		say_end(&s);
	}
}

static void say_home(const struct app *app, const struct home_choice *choice)
{
	struct say s;

	say_begin(&s, app->cmd->json, "home");
	say_u64(&s, "region", (uint64_t)choice->home);
	say_text(&s, "code", code_of(app, choice->home));
	if (app->cmd->json) say_u64(&s, "preferred", (uint64_t)choice->preferred);
	say_text(&s, "reason", home_reason_text(choice->reason));
	if (choice->effect != HOME_AS_PREFERRED || app->cmd->json) say_text(&s, "effect", home_effect_text(choice->effect));
	say_end(&s);
}

static void say_report(const struct app *app, const struct netcheck_report *r)
{
	struct netcheck_region *sorted = calloc(r->regions + 1, sizeof *sorted);

	if (sorted == NULL) abort();
	if (r->regions != 0) memcpy(sorted, r->region, r->regions * sizeof *sorted);
	qsort(sorted, r->regions, sizeof *sorted, by_latency);
	say_fact(app, "udp", r->udp ? "yes" : "no", NULL);
	say_fact(app, "ipv4", r->ipv4 ? "yes" : "no", &r->global_v4);
	say_fact(app, "ipv6", r->ipv6 ? "yes" : "no", &r->global_v6);
	say_fact(app, "mapping-varies", answer_name(r->mapping_varies), NULL);
	say_fact(app, "captive-portal", answer_name(r->captive_portal), NULL);
	for (uint32_t i = 0; i < r->regions; i++) say_region(app, &sorted[i]);
	say_unmeasured(app, r);
	say_home(app, &r->choice);
	free(sorted);
}

/* ---- start ---- */

static int configure(const struct app *app, struct os_config *config)
{
	const struct cmd *cmd = app->cmd;
	char error[200];

	if (cmd->https_only && cmd->stun_only) return os_cli_usage(&cmd->cli, "--https-only and --stun-only exclude each other");
	if (cmd->https_only || cmd->stun_only) os_config_add(config, "only=%s\n", cmd->https_only ? "https" : "stun");
	if (cmd->full) os_config_add(config, "enough=%d\n", EVERY_REGION);
	if (cmd->policy != NULL) os_config_add(config, "policy=%s\n", cmd->policy);
	os_config_add(config, "%.*s", (int)cmd->settings.n, cmd->settings.text);
	if (config->full || cmd->settings.full) return os_cli_usage(&cmd->cli, "the configuration is too long");
	if (!netcheck_config_check(config->text, config->n, error)) return os_cli_usage(&cmd->cli, "configuration %s", error);
	return -1;
}

static int start(struct app *app)
{
	struct machine_env env = { 0 };
	struct os_config config = { .n = 0 };
	int end = configure(app, &config);

	if (end < 0) end = cmd_map(app->cmd, app->cmd->arg[0], &app->map);
	if (end >= 0) return end;
	app->check = netcheck_new(&env);
	netcheck_share_map(app->check, app->map);
	app->host = os_host_new(app->cmd->loop, netcheck_machine(app->check), &app->owner);
	os_host_tls(app->host, app->cmd->tls);
	cmd_udp_open(app->host);
	os_host_start(app->host, config.text, config.n, NETCHECK_SLOTS);
	return -1;
}

static int late(void *ctx) { return cmd_cannot(((struct app *)ctx)->cmd, "no report within the time"); }

int cmd_netcheck(struct cmd *cmd)
{
	struct app app = { .owner = { .deliver = deliver, .complain = complain }, .cmd = cmd };
	const struct netcheck_report *report;
	int end = start(&app);

	if (cmd->timeout == CMD_UNSET) cmd->timeout = 10 * NS_S;
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .late = late, .ctx = &app });
	report = app.check == NULL ? NULL : netcheck_report(app.check);
	if (report != NULL) say_report(&app, report);
	os_host_free(app.host);
	if (app.check != NULL) machine_free(netcheck_machine(app.check));
	derp_map_free(app.map);
	return end;
}
