/* derp-client ping: how long a Ping takes to the relay and back (CLI-011). */
#include "cmd.h"

#include "histogram.h"

#include <inttypes.h>

enum { COUNT_DEFAULT = 5 };

struct app {
	struct peer peer; /* first */
	uint64_t count, interval, next_at, login_ns;
	uint64_t sent, lost, min, sum;
	bool waiting;
	struct histogram ns;
};

static void say_one(struct app *app, bool answered, uint64_t ns)
{
	struct say s;

	say_begin(&s, app->peer.cmd->json, answered ? "pong" : "lost");
	say_u64(&s, "number", app->sent);
	if (answered) say_time(&s, "ns", ns);
	say_end(&s);
}

static void pinged(struct app *app, const struct action *x)
{
	bool answered = x->deliver.a == 1;

	app->waiting = false;
	if (answered) {
		if (app->ns.n == 0 || x->deliver.b < app->min) app->min = x->deliver.b;
		app->sum += x->deliver.b;
		histogram_add(&app->ns, x->deliver.b);
	} else {
		app->lost++;
	}
	say_one(app, answered, x->deliver.b);
	if (app->sent == app->count) cmd_finish(app->peer.cmd, app->lost == 0 ? OS_EXIT_FINE : OS_EXIT_FINDING);
}

static void on(struct peer *p, const struct action *x)
{
	struct app *app = (struct app *)p;

	if (x->deliver.what == DELIVER_READY) app->login_ns = os_now() - p->began;
	if (x->deliver.what == DELIVER_PINGED && app->waiting) pinged(app, x);
}

static uint64_t step(void *ctx)
{
	struct app *app = ctx;
	uint64_t now = os_now();

	if (!app->peer.ready || app->waiting) return UINT64_MAX;
	if (now < app->next_at) return app->next_at;
	app->waiting = true;
	app->next_at = now + app->interval;
	app->sent++;
	peer_command(&app->peer, COMMAND_PING, NULL);
	return UINT64_MAX;
}

static int late(void *ctx)
{
	const struct app *app = ctx;

	if (!app->peer.was_ready) return cmd_cannot(app->peer.cmd, "no connection within the time");
	cmd_cannot(app->peer.cmd, "%" PRIu64 " of %" PRIu64 " Pongs within the time", app->ns.n, app->count);
	return OS_EXIT_FINDING;
}

static void statistics(const struct app *app)
{
	char login[SAY_TIME], min[SAY_TIME], mean[SAY_TIME], p50[SAY_TIME], max[SAY_TIME];
	uint64_t got = app->ns.n, average = got == 0 ? 0 : app->sum / got, median = histogram_quantile(&app->ns, 500);
	struct say s;

	if (!app->peer.cmd->json) {
		printf("%" PRIu64 " sent, %" PRIu64 " answered; login %s; round trip min %s, median %s, mean %s, max %s\n", app->sent, got,
		       say_ms(app->login_ns, login), say_ms(app->min, min), say_ms(median, p50), say_ms(average, mean), say_ms(app->ns.max, max));
		return;
	}
	say_begin(&s, true, "statistics");
	say_u64(&s, "sent", app->sent);
	say_u64(&s, "answered", got);
	say_time(&s, "login_ns", app->login_ns);
	say_time(&s, "min_ns", app->min);
	say_time(&s, "median_ns", median);
	say_time(&s, "mean_ns", average);
	say_time(&s, "max_ns", app->ns.max);
	say_end(&s);
}

int cmd_ping(struct cmd *cmd)
{
	static struct app app; /* its histogram is large */
	int end;

	app = (struct app){ .peer = { .on = on, .once = true } };
	app.count = cmd->count == CMD_UNSET ? COUNT_DEFAULT : cmd->count;
	app.interval = cmd->interval == CMD_UNSET ? NS_S : cmd->interval;
	if (cmd->timeout == CMD_UNSET) cmd->timeout = 10 * NS_S + app.count * app.interval;
	end = peer_start(&app.peer, cmd, "");
	if (end < 0) end = cmd_turns(cmd, &(struct cmd_turns){ .step = step, .late = late, .ctx = &app });
	peer_end(&app.peer);
	if (app.peer.was_ready) statistics(&app);
	return end;
}
