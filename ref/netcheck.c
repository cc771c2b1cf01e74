/* The machine: configuration, commands, when checks run, dispatch of events, views. */
#include "netcheck_core.h"

#include "address.h"
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

static const char *const styles[] = { "native", "browser", NULL };
static const char *const onlies[] = { "all", "stun", "https", NULL };

#define FIELD(member) offsetof(struct netcheck_config, member)
#define REGION_MAX ((UINT64_C(1) << 53) - 1) /* MAP-002 */
static const struct config_key config_table[] = {
	{ "map", CONFIG_TEXT, FIELD(map), 0, 0, NULL },
	{ "policy", CONFIG_TEXT, FIELD(policy), 0, 0, NULL },
	{ "hysteresis", CONFIG_BOOL, FIELD(hysteresis), 0, 0, NULL },
	{ "style", CONFIG_ENUM, FIELD(style), 0, 0, styles },
	{ "only", CONFIG_ENUM, FIELD(only), 0, 0, onlies },
	{ "ipv4", CONFIG_BOOL, FIELD(ipv4), 0, 0, NULL },
	{ "ipv6", CONFIG_BOOL, FIELD(ipv6), 0, 0, NULL },
	{ "control", CONFIG_BOOL, FIELD(control), 0, 0, NULL },
	{ "periodic", CONFIG_BOOL, FIELD(periodic), 0, 0, NULL },
	{ "homeless", CONFIG_BOOL, FIELD(homeless), 0, 0, NULL },
	{ "active", CONFIG_BOOL, FIELD(active), 0, 0, NULL },
	{ "force", CONFIG_U64, FIELD(force), 0, REGION_MAX, NULL },
	{ "home", CONFIG_U64, FIELD(home), 0, REGION_MAX, NULL },
	{ "heard", CONFIG_U64, FIELD(heard), 0, REGION_MAX, NULL },
	{ "enough", CONFIG_U32, FIELD(enough), 1, NETCHECK_REGIONS_MAX, NULL },
	{ "report-timeout", CONFIG_TIME, FIELD(report_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "stun-timeout", CONFIG_TIME, FIELD(stun_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "full-every", CONFIG_TIME, FIELD(full_every), 0, 86400 * NS_S, NULL },
	{ "portal-delay", CONFIG_TIME, FIELD(portal_delay), 0, 3600 * NS_S, NULL },
	{ "portal-timeout", CONFIG_TIME, FIELD(portal_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "dial-timeout", CONFIG_TIME, FIELD(dial_timeout), NS_MS, 3600 * NS_S, NULL },
	{ "period-min", CONFIG_TIME, FIELD(period_min), NS_MS, 86400 * NS_S, NULL },
	{ "period-max", CONFIG_TIME, FIELD(period_max), NS_MS, 86400 * NS_S, NULL },
	{ "active-for", CONFIG_TIME, FIELD(active_for), 0, 86400 * NS_S, NULL },
	{ NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

static const struct netcheck_config defaults = {
	.hysteresis = true,
	.ipv4 = true,
	.ipv6 = true,
	.control = true,
	.enough = 3,
	.report_timeout = 5 * NS_S,
	.stun_timeout = 3 * NS_S,
	.full_every = 300 * NS_S,
	.portal_delay = 200 * NS_MS,
	.portal_timeout = 3 * NS_S,
	.dial_timeout = 1500 * NS_MS,
	.period_min = 20 * NS_S,
	.period_max = 26 * NS_S,
	.active_for = 45 * NS_S,
};

static bool unknown_policy(char error[200])
{
	size_t used = (size_t)snprintf(error, 200, "policy=: expected one of:");

	for (uint32_t i = 0; home_policy_at(i) != NULL && used < 200; i++)
		used += (size_t)snprintf(error + used, 200 - used, " %s", home_policy_at(i)->name);
	return false;
}

/* What a text changes besides *config. */
struct change {
	const struct home_policy *policy; /* NULL: nothing */
	struct derp_map *map;             /* NULL: nothing; the caller's */
};

/* Applies a text to *config. */
static bool config_read(const char *text, size_t n, struct netcheck_config *config, struct change *change, char error[200])
{
	char why[DERPMAP_ERROR_SIZE];

	*change = (struct change){ 0 };
	if (!config_parse(text, n, config_table, config, error)) return false;
	if (config->period_min > config->period_max) {
		snprintf(error, 200, "period-min= is above period-max=");
		return false;
	}
	if (config->policy.n != 0) change->policy = home_policy_find(config->policy.p, config->policy.n);
	if (config->policy.n != 0 && change->policy == NULL) return unknown_policy(error);
	if (config->map.n == 0) return true;
	change->map = derp_map_parse(config->map.p, config->map.n, why);
	if (change->map == NULL) snprintf(error, 200, "map=: %.190s", why);
	return change->map != NULL;
}

bool netcheck_config_check(const char *text, size_t n, char error[200])
{
	struct netcheck_config config = defaults;
	struct change change;
	bool good = config_read(text, n, &config, &change, error);

	derp_map_free(change.map);
	return good;
}

/* ---- when checks run (HOM-001) ---- */

static bool is_idle(const struct netcheck *n) { return n->check.phase == CHECK_IDLE; }

/* Plans the next check, if it makes sense to repeat them. */
static void arm(struct netcheck *n, uint64_t now)
{
	n->next_at = TIME_NEVER;
	if (!n->config.periodic || n->config.homeless || now - n->active_at > n->config.active_for) return;
	n->next_at = now + rng_range(&n->rng, RNG_JITTER, n->config.period_min, n->config.period_max);
}

static void map_replace(struct netcheck *n)
{
	derp_map_free(n->map.owned);
	n->map = n->next_map;
	n->next_map = (struct netcheck_map){ 0 };
	n->map_waits = false;
}

static void map_put(struct netcheck *n, const struct derp_map *map, struct derp_map *owned)
{
	derp_map_free(n->next_map.owned);
	n->next_map = (struct netcheck_map){ .map = map, .owned = owned };
	n->map_waits = true;
}

static void note_home(const struct netcheck *n, uint64_t now, const struct home_choice *c)
{
	const char *why = c->effect == HOME_AS_PREFERRED ? home_reason_text(c->reason) : home_effect_text(c->effect);
	struct note note = { .kind = NOTE_HOME, .now = now, .a = (uint64_t)c->home, .b = (uint64_t)c->was, .text = why };

	if (c->home != c->was && n->env.tracer != NULL) n->env.tracer->note(n->env.tracer, &note);
}

/* The report is complete: it is weighed, kept and told. */
static void finish(struct netcheck *n, uint64_t now)
{
	struct netcheck_report r = n->check.report;
	struct home_latency *latency = mem_alloc(r.regions * sizeof *latency);
	struct home_report weighed = { .started = r.started, .now = now, .latency = latency, .latencies = r.regions };
	struct action *x;

	n->check.report = (struct netcheck_report){ 0 };
	netcheck_check_end(n, now);
	for (uint32_t i = 0; i < r.regions; i++) latency[i] = (struct home_latency){ .region = r.region[i].id, .ns = r.region[i].ns };
	r.ended = now;
	r.choice = home_add_report(&n->home, &weighed, n->map.map);
	free(latency);
	netcheck_report_free(&n->last);
	n->last = r;
	n->has_last = true;
	x = actions_deliver(n->up_now, DELIVER_REPORT, TOKEN_NONE);
	x->deliver.a = (uint64_t)r.choice.home;
	x->deliver.b = (uint64_t)r.choice.preferred;
	note_home(n, now, &r.choice);
	arm(n, now);
}

/* A map is replaced while nothing points into it: no check runs, and no connection is left over from the last. */
static void pump(struct netcheck *n, uint64_t now)
{
	if (n->stopped) return;
	for (;;) {
		if (is_idle(n) && n->map_waits && n->tokens.busy == 0) map_replace(n);
		if (is_idle(n) && n->wanted && !n->map_waits && n->map.map != NULL) {
			n->next_at = TIME_NEVER;
			netcheck_check_begin(n, now);
		}
		if (is_idle(n) || !netcheck_check_pump(n, now)) break;
		finish(n, now);
	}
	n->due = netcheck_check_due(n) < n->next_at ? netcheck_check_due(n) : n->next_at;
}

/* ---- events ---- */

static void change(struct netcheck *n, uint64_t now, const char *text, size_t text_n)
{
	struct change change;
	char error[200];
	bool good = config_read(text, text_n, &n->config, &change, error);

	assert(good); /* the owner has checked it */
	(void)good;
	if (change.policy != NULL) n->home.policy = *change.policy;
	if (change.map != NULL) map_put(n, change.map, change.map), n->wanted = true;
	n->home.policy.hysteresis = n->config.hysteresis;
	n->home.force = (int64_t)n->config.force;
	n->home.control = n->config.control;
	n->home.homeless = n->config.homeless;
	if (n->config.home != 0) home_adopt(&n->home, (int64_t)n->config.home);
	if (n->config.heard != 0) home_heard(&n->home, (int64_t)n->config.heard, now);
	if (n->config.active) n->active_at = now;
	n->config.map = n->config.policy = (struct config_text){ 0 }; /* these are for once */
	n->config.home = n->config.heard = 0;
	n->config.active = false;
	if (!n->config.periodic || n->config.homeless || n->next_at == TIME_NEVER) arm(n, now);
}

static void start(struct netcheck *n, const struct event *e)
{
	const struct event_start *s = e->start;

	assert(s->slot_count >= NETCHECK_SLOTS);
	rng_init(&n->rng, s->seed);
	home_init(&n->home, home_policy_find("current", 7), rng_u64(&n->rng, RNG_HOME));
	n->tokens.slot_first = s->slot_first;
	for (uint32_t i = s->sockets_n; i-- > 0;) /* so that the first of a family stays */
		if (s->sockets[i].datagram) n->socket[!address_is_v4(&s->sockets[i].local)] = s->sockets[i].token;
	n->config = defaults;
	n->active_at = e->now;
	n->wanted = true;
	change(n, e->now, s->config, s->config_n);
}

static void command(struct netcheck *n, const struct event *e)
{
	const struct event_command *m = e->command;

	if (n->stopped) return;
	switch (m->verb) {
	case COMMAND_CHECK:
		n->wanted = true;
		n->wanted_full |= m->flag;
		break;
	case COMMAND_SET: change(n, e->now, (const char *)m->p, m->n); break;
	case COMMAND_LEAVE:
		netcheck_check_end(n, e->now);
		n->stopped = true;
		n->due = TIME_NEVER;
		actions_deliver(n->up_now, DELIVER_STOPPED, TOKEN_NONE);
		break;
	default: assert(false && "a verb of a network check");
	}
}

static void step(struct machine *m, const struct event *e, struct actions *out, struct actions *up)
{
	struct netcheck *n = (struct netcheck *)m;

	n->out_now = out, n->up_now = up;
	switch (e->kind) {
	case EVENT_START: start(n, e); break;
	case EVENT_COMMAND: command(n, e); break;
	case EVENT_DATAGRAM: netcheck_check_datagram(n, e); break;
	case EVENT_TIMER:
		out->work[WORK_TIMERS]++;
		if (e->now >= n->next_at) n->wanted = true, n->next_at = TIME_NEVER;
		break;
	default:
		if (e->kind == EVENT_CLOSED || e->kind == EVENT_ANSWER) netcheck_token_over(&n->tokens, e->token);
		netcheck_check_event(n, e);
	}
	pump(n, e->now);
	n->out_now = n->up_now = NULL;
}

static uint64_t deadline(const struct machine *m) { return ((const struct netcheck *)m)->due; }

static void release(struct machine *m)
{
	struct netcheck *n = (struct netcheck *)m;

	netcheck_check_free(&n->check);
	netcheck_report_free(&n->last);
	home_free(&n->home);
	derp_map_free(n->map.owned);
	derp_map_free(n->next_map.owned);
	free(n);
}

static const struct machine_ops ops = { .name = "netcheck", .step = step, .deadline = deadline, .free = release };

struct netcheck *netcheck_new(const struct machine_env *env)
{
	struct netcheck *n = mem_zero(1, sizeof *n);

	n->machine.ops = &ops;
	n->env = *env;
	n->last_full = n->next_at = n->due = TIME_NEVER;
	return n;
}

/* ---- views ---- */

void netcheck_share_map(struct netcheck *n, const struct derp_map *map) { map_put(n, map, NULL); }
const struct derp_map *netcheck_map(const struct netcheck *n) { return n->map.map; }
const struct netcheck_report *netcheck_report(const struct netcheck *n) { return n->has_last ? &n->last : NULL; }
int64_t netcheck_home(const struct netcheck *n) { return n->home.home; }
bool netcheck_is_running(const struct netcheck *n) { return !is_idle(n); }

uint64_t netcheck_memory(const struct netcheck *n)
{
	const struct netcheck_check *c = &n->check;

	return sizeof *n + home_memory(&n->home) + n->last.regions_cap * sizeof *n->last.region + c->report.regions_cap * sizeof *c->report.region +
	       c->plan.cap * sizeof *c->plan.set + c->plan.sets * sizeof *c->progress + c->flights_cap * sizeof *c->flight +
	       c->names_cap * sizeof *c->name + c->fetches_cap * sizeof *c->fetch;
}
