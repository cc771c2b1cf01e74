/* The scenario language: what valid lines mean, that every error is exact, and that no bytes can break it. The faulty files in
 * scenarios/bad are compared with their .expected by .ci/bad; here are the values, and what no file can show. */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)
#define BASE "region fra nodes=3\ntailnet acme x200 clients=5 spread=europe\n"

static const char *const city[] = { "frankfurt", "london", "paris", "tokyo" };

static const char map_json[] = "{\"Regions\":{"
			       "\"4\":{\"RegionID\":4,\"RegionCode\":\"fra\",\"Latitude\":50.1,\"Longitude\":8.7,\"Nodes\":["
			       "{\"Name\":\"4a\",\"RegionID\":4,\"HostName\":\"a\"},{\"Name\":\"4b\",\"RegionID\":4,\"HostName\":\"b\"}]},"
			       "\"5\":{\"RegionID\":5,\"RegionCode\":\"ams\",\"Latitude\":52.3,\"Longitude\":4.9,\"Nodes\":["
			       "{\"Name\":\"5a\",\"RegionID\":5,\"HostName\":\"c\"}]}}}";

/* ctx: the text of every file that is included, or NULL: there is none. */
static bool load(void *ctx, enum scenario_file_kind kind, const char *from, const char *path, struct scenario_text *out,
                 char reason[SCENARIO_REASON_SIZE])
{
	assert_non_null(from);
	if (kind == SCENARIO_FILE_MAP) {
		*out = (struct scenario_text){ "map.json", map_json, sizeof map_json - 1 };
		return true;
	}
	if (ctx == NULL) {
		snprintf(reason, SCENARIO_REASON_SIZE, "there is no such file");
		return false;
	}
	*out = (struct scenario_text){ path, ctx, strlen(ctx) };
	return true;
}

static struct scenario *parse_with(const char *text, const char *const *set, uint32_t sets, void *include)
{
	struct scenario_request request = {
		.file = { "t.scn", text, strlen(text) }, .set = set, .sets = sets, .load = load, .ctx = include, .city = city, .cities = 4
	};

	return scenario_parse(&request);
}

static struct scenario *parse(const char *text) { return parse_with(text, NULL, 0, NULL); }

/* Without errors, or the test fails and shows the first. */
static struct scenario *good(const char *text)
{
	struct scenario *s = parse(text);

	if (s->errors > 0) print_error("%u:%u: %s\n", s->error[0].line, s->error[0].column, s->error[0].text);
	assert_int_equal(s->errors, 0);
	return s;
}

static void print_all(const struct scenario *s, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < s->errors && n + 1 < cap; i++) {
		n += scenario_error_print(&s->error[i], out + n, cap - n);
		if (n + 1 < cap) out[n++] = '\n', out[n] = '\0';
	}
}

static void errors_are(const char *text, const char *expected)
{
	struct scenario *s = parse(text);
	char all[4096];

	print_all(s, all, sizeof all);
	assert_string_equal(all, expected);
	scenario_free(s);
}

static void amount_is(const struct scenario_amount *a, enum scenario_unit unit, uint64_t lo, uint64_t hi)
{
	assert_int_equal(a->unit, unit);
	assert_int_equal(a->lo, lo);
	assert_int_equal(a->hi, hi);
}

/* ---- values ---- */

/* Every unit is exact, and decimals are. */
static void value_units(void **state)
{
	struct scenario *s = good("# t\nregion fra nodes=3 nic=2.5Gbps mem=1.5MiB..2GiB cpu=2..4 handshake=1.5us packet=0s byte=1ns\n"
	                          "region ams nodes=2..3 nic=10Kbps mem=2MB\n"
	                          "tailnet acme x20..60 clients=zipf:2..8 spread=tokyo,europe join=0s..1.5m\n"
	                          "load bulk share=0.0000001% rate=1bps for=1h\n");

	(void)state;
	amount_is(&s->region[0].settings.nic, SCENARIO_RATE, 2500000000u, 2500000000u);
	amount_is(&s->region[0].settings.cpu, SCENARIO_COUNT, 2, 4);
	amount_is(&s->region[0].settings.handshake, SCENARIO_TIME, 1500, 1500);
	amount_is(&s->region[1].nodes, SCENARIO_COUNT, 2, 3);
	amount_is(&s->region[1].settings.mem, SCENARIO_SIZE, 2000000, 2000000);
	amount_is(&s->region[1].settings.fds, SCENARIO_COUNT, 65536, 65536);
	assert_int_equal(s->region[1].settings.handshake.unit, SCENARIO_NONE);
	amount_is(&s->tailnet[0].copies, SCENARIO_COUNT, 20, 60);
	amount_is(&s->tailnet[0].clients, SCENARIO_COUNT, 2, 8);
	assert_true(s->tailnet[0].zipf);
	amount_is(&s->tailnet[0].join, SCENARIO_TIME, 0, 90 * S);
	assert_int_equal(s->tailnet[0].spreads, 2);
	assert_string_equal(s->tailnet[0].spread[0].city, "tokyo");
	assert_int_equal(s->tailnet[0].spread[1].kind, SCENARIO_EUROPE);
	amount_is(&s->load[0].share, SCENARIO_SHARE, 1, 1);
	amount_is(&s->load[0].hold, SCENARIO_TIME, 3600 * S, 3600 * S);
	assert_int_equal(scenario_region_nodes(s, 1), 3);
	scenario_free(s);
}

/* A pace is exact: the k-th of 3/s is due k/3 s after the first, rounded down; what is too far away is never. */
static void value_pace(void **state)
{
	uint64_t a_second = UINT64_C(3600000000);

	(void)state;
	assert_int_equal(scenario_pace_ns(3 * a_second, 0), 0);
	assert_int_equal(scenario_pace_ns(3 * a_second, 1), 333333333);
	assert_int_equal(scenario_pace_ns(3 * a_second, 3), S);
	assert_int_equal(scenario_pace_ns(1000000, 2), 7200 * S);
	assert_true(scenario_pace_ns(1, UINT64_MAX) == SCENARIO_NEVER);
}

/* ---- names and the map ---- */

/* Without a region line all of the map's take part; with one, only those named. */
static void map_regions(void **state)
{
	struct scenario *s = good("# t\ntailnet acme\n");

	(void)state;
	assert_int_equal(s->regions, 2);
	assert_string_equal(s->region[1].name, "ams");
	assert_int_equal(s->region[1].line.line, 0);
	assert_int_equal(scenario_region_nodes(s, 0), 2);
	assert_int_equal(s->region[0].settings.cpu.lo, 2);
	assert_false(s->tailnet[0].numbered);
	assert_int_equal(s->tailnet[0].copies.lo, 1);
	scenario_free(s);
	s = good("# t\nregion ams\nregion mine city=paris nodes=5\ntailnet acme\n");
	assert_int_equal(s->regions, 2);
	assert_ptr_equal(s->region[0].in_map, &s->map->region[1]);
	assert_null(s->region[1].in_map);
	assert_string_equal(s->region[1].city, "paris");
	scenario_free(s);
}

/* Without a loader maps are not looked at, and nothing can be included. */
static void map_without_loader(void **state)
{
	static const char text[] = "# t\nregion any\ntailnet acme\nat 1s crash any/7\ninclude a.part\n";
	struct scenario_request request = { .file = { "t.scn", text, sizeof text - 1 } };
	struct scenario *s = scenario_parse(&request);

	(void)state;
	assert_null(s->map);
	assert_int_equal(scenario_region_nodes(s, 0), 0);
	assert_int_equal(s->errors, 1);
	assert_int_equal(s->error[0].line, 5);
	scenario_free(s);
}

/* Later `node` lines win, and only for the nodes that they name. */
static void node_settings(void **state)
{
	struct scenario *s = good("# t\n" BASE "node fra/* cpu=4 backlog=10\nnode fra/2 cpu=8 mesh-key=wrong\nnode fra/* but fra/1 nic=1Mbps\n");
	struct scenario_settings one = scenario_node_settings(s, 0, 1), two = scenario_node_settings(s, 0, 2);

	(void)state;
	assert_int_equal(one.cpu.lo, 4);
	assert_int_equal(one.nic.lo, S);
	assert_int_equal(one.mesh_key, SCENARIO_KEY_SAME);
	assert_int_equal(two.cpu.lo, 8);
	assert_int_equal(two.backlog.lo, 10);
	assert_int_equal(two.nic.lo, 1000000);
	assert_int_equal(two.mesh_key, SCENARIO_KEY_WRONG);
	assert_int_equal(s->node[2].line.number, 3);
	scenario_free(s);
}

/* What a policy says is in force for a tailnet unless its own line says otherwise. */
static void policy_overrides(void **state)
{
	struct scenario *s = good("# t\ntailnet one order=same\ntailnet two\npolicy order=rotated mesh-retry=3s\n");

	(void)state;
	assert_int_equal(s->tailnet[0].policy.order, SCENARIO_ORDER_SAME);
	assert_int_equal(s->tailnet[1].policy.order, SCENARIO_ORDER_ROTATED);
	amount_is(&s->policy.mesh_retry, SCENARIO_TIME, 3 * S, 3 * S);
	assert_true(s->policy.back.lo == SCENARIO_NEVER);
	assert_true(s->policy.accept.lo == SCENARIO_NEVER);
	scenario_free(s);
}

/* ---- the timeline ---- */

static void timeline_sets(void **state)
{
	struct scenario *s = good("# t\n" BASE "at 10s..20s crash silent refuse 1..2 of fra/* for=5s as=boom\n"
	                          "at 20s leave 10% of clients away, clients on fra/1 , acme/3 but acme/3/2 every=1m times=3 pace=20/s\n"
	                          "at 30s crash fra/1\nat 40s crash fra/1\nat 1m restart fra/1 mesh-key=right down=10s\n"
	                          "at 50s close clients in tokyo,clients homed fra,clients of acme/7\n");
	const struct scenario_act *a = s->act;

	(void)state;
	assert_int_equal(a[0].verb, SCENARIO_CRASH_SILENT_REFUSE);
	assert_string_equal(a[0].line.word, "at crash silent refuse");
	assert_string_equal(a[0].line.text, "at 10s..20s crash silent refuse 1..2 of fra/* for=5s as=boom");
	assert_string_equal(a[0].as, "boom");
	amount_is(&a[0].at, SCENARIO_TIME, 10 * S, 20 * S);
	amount_is(&a[0].path.from.part[0].pick, SCENARIO_COUNT, 1, 2);
	amount_is(&a[0].times, SCENARIO_COUNT, 1, 1);
	assert_int_equal(a[0].pace.unit, SCENARIO_NONE);
	assert_int_equal(a[1].path.from.parts, 4);
	assert_int_equal(a[1].path.from.part[0].base, SCENARIO_CLIENTS_AWAY);
	assert_int_equal(a[1].path.from.part[0].pick.lo, SCENARIO_SHARE_ALL / 10);
	assert_int_equal(a[1].path.from.part[1].index, 1);
	assert_true(a[1].path.from.part[3].but);
	assert_int_equal(a[1].path.from.part[3].client, 2);
	assert_int_equal(a[1].pace.lo, 20 * UINT64_C(3600000000));
	assert_int_equal(a[3].line.number, 2);
	assert_true(a[3].line.sequence > a[2].line.sequence);
	assert_int_equal(a[4].settings.mesh_key, SCENARIO_KEY_RIGHT);
	assert_string_equal(a[5].path.from.part[0].city, "tokyo");
	assert_int_equal(a[5].path.from.part[1].base, SCENARIO_CLIENTS_HOMED);
	assert_int_equal(a[5].path.from.part[2].index, 7);
	scenario_free(s);
}

static void set_members(void **state)
{
	struct scenario *s = good("# t\nregion fra nodes=3\nregion ams nodes=2\ntailnet acme\nat 1s crash fra/*, ams/1 but fra/2\nat 2s crash ams\n");
	const struct scenario_set *set = &s->act[0].path.from;

	(void)state;
	assert_true(scenario_set_has_node(set, 0, 1));
	assert_false(scenario_set_has_node(set, 0, 2));
	assert_true(scenario_set_has_node(set, 1, 1));
	assert_false(scenario_set_has_node(set, 1, 2));
	assert_true(scenario_set_has_node(&s->act[1].path.from, 1, 2));
	scenario_free(s);
}

static void verb_kinds(void **state)
{
	(void)state;
	assert_true(scenario_verb_is(SCENARIO_CRASH_SILENT_REFUSE, SCENARIO_CRASH));
	assert_true(scenario_verb_is(SCENARIO_CRASH_SILENT_REFUSE, SCENARIO_CRASH_SILENT));
	assert_false(scenario_verb_is(SCENARIO_CRASH, SCENARIO_CRASH_SILENT));
	assert_true(scenario_verb_is(SCENARIO_RESTART, SCENARIO_RESTART));
	assert_string_equal(scenario_verb_name(SCENARIO_CRASH_SILENT), "crash silent");
}

/* Without `until` the run ends a minute after the last that is planned or demanded. */
static void until_computed(void **state)
{
	struct scenario *s = good("# t\n" BASE "at 1m crash fra/1 for=30s\nexpect within 10s of restart clients.connected == 100%\n");

	(void)state;
	assert_false(s->until_given);
	amount_is(&s->until, SCENARIO_TIME, 160 * S, 160 * S);
	scenario_free(s);
	s = good("# t\n" BASE "at 60s restart fra/* down=10s pace=1/m\n"); /* 60 s, two minutes, 10 s, one minute */
	assert_int_equal(s->until.lo, 250 * S);
	scenario_free(s);
}

/* ---- what is demanded ---- */

static void expect_conditions(void **state)
{
	struct scenario *s = good("# t\n" BASE "at 30s crash fra/1 as=boom\nat 1m restart fra/1\n"
	                          "expect within 2s of crash fra/1, fra/2 clients.connected >= 99%\n"
	                          "goal from 1m after end of boom reconnects.rate of acme since restart <= 1.5/s\n"
	                          "expect always conns per node between 92% and 108%\n"
	                          "expect at end failover.client.never == 0\n"
	                          "expect in some run nothing forged,doubled , unaccounted # a comment\n"
	                          "expect at 30s mesh.links of fra/1 != 2\nexpect sometimes failover.pair.p99 < 1s\n");
	const struct scenario_expect *e = s->expect;

	(void)state;
	assert_int_equal(s->expects, 7);
	assert_int_equal(e[0].when, SCENARIO_WITHIN);
	assert_int_equal(e[0].time, 2 * S);
	assert_int_equal(e[0].event.kind, SCENARIO_ON_VERB);
	assert_int_equal(e[0].event.path.from.parts, 2);
	assert_int_equal(e[0].condition.unit, SCENARIO_SHARE);
	assert_int_equal(e[0].condition.low, 990000000);
	assert_true(e[1].goal);
	assert_string_equal(e[1].line.word, "goal");
	assert_int_equal(e[1].event.kind, SCENARIO_ON_ACT);
	assert_true(e[1].event.end);
	assert_int_equal(e[1].condition.statistic, SCENARIO_PER_SECOND);
	assert_int_equal(e[1].condition.unit, SCENARIO_PACE);
	assert_int_equal(e[1].condition.low, 5400000000u);
	assert_int_equal(e[1].condition.of.part[0].base, SCENARIO_TAILNET);
	assert_true(e[1].condition.has_since);
	assert_int_equal(e[1].condition.since.verb, SCENARIO_RESTART);
	assert_int_equal(e[2].condition.per, SCENARIO_PER_NODE);
	assert_int_equal(e[2].condition.op, SCENARIO_BETWEEN);
	assert_int_equal(e[2].condition.high, 1080000000);
	assert_int_equal(e[2].line.number, 2);
	assert_int_equal(e[3].condition.statistic, SCENARIO_LOST);
	assert_int_equal(e[3].condition.unit, SCENARIO_COUNT);
	assert_int_equal(e[4].when, SCENARIO_IN_SOME_RUN);
	assert_int_equal(e[4].nothing, 1u << SCENARIO_FORGED | 1u << SCENARIO_DOUBLED | 1u << SCENARIO_UNACCOUNTED);
	assert_string_equal(e[4].line.text, "expect in some run nothing forged,doubled , unaccounted");
	assert_int_equal(e[6].condition.low, S);
	scenario_free(s);
}

/* A restart of what runs is a crash too, and a crash with an end a restart. */
static void expect_derived_events(void **state)
{
	(void)state;
	scenario_free(good("# t\n" BASE "at 1m restart fra/* down=1s\nexpect within 2s of crash clients.connected >= 99%\n"));
	scenario_free(good("# t\n" BASE "at 1m crash fra/1 for=5s\nexpect within 2s of restart clients.connected >= 99%\n"));
	scenario_free(good("# t\n" BASE "at 1m crash silent fra/1\nexpect within 2s of crash clients.zombie > 0\n"));
	errors_are("# t\n" BASE "at 1m crash fra/1\nexpect within 2s of crash silent clients.zombie > 0\n",
	           "t.scn:5:21: found 'crash', expected an event that this file causes: crash. Nothing here crashes silently, so this line would "
	           "never be judged.\n");
}

static void metric_names(void **state)
{
	static char text[16384];

	(void)state;
	assert_int_equal(scenario_metric_find("packets.lost", 12), SCENARIO_METRIC_PACKETS_LOST);
	assert_int_equal(scenario_metric_find("packets.lost.", 13), SCENARIO_METRIC_KINDS);
	assert_int_equal(scenario_metric_info(SCENARIO_METRIC_FAILOVER_PAIR)->type, SCENARIO_DISTRIBUTION);
	assert_true(scenario_print_metrics(text, sizeof text) < sizeof text);
	assert_int_equal(scenario_print_metrics(NULL, 0), strlen(text));
	assert_non_null(strstr(text, "clients.zombie"));
}

/* ---- let, vary, --set ---- */

static void names_replaced(void **state)
{
	static const char *const set[] = { "gap=10s", "u=5%", "policy.order=same", "region.cpu=7", "world.profile=derper" };
	static const char text[] =
		"# t\nlet gap=20s\nlet twice=$gap..40s\nvary u 10% to 30% by 10%\nvary t 500ms to 2s by 500ms\nvary o rotated same\n"
		"region fra nodes=3 cpu=2\ntailnet acme order=$o\nat $twice crash fra/1\nexpect within $t of crash clients.connected >= $u\n";
	struct scenario *s = good(text);

	(void)state;
	amount_is(&s->act[0].at, SCENARIO_TIME, 20 * S, 40 * S);
	assert_int_equal(s->vary[0].values, 3);
	assert_string_equal(s->vary[0].value[2], "30%");
	assert_string_equal(s->vary[1].value[3], "2s");
	assert_string_equal(s->vary[1].value[2], "1500ms");
	assert_int_equal(s->expect[0].condition.low, SCENARIO_SHARE_ALL / 10);
	assert_int_equal(s->tailnet[0].policy.order, SCENARIO_ORDER_ROTATED);
	scenario_free(s);
	s = parse_with(text, set, 5, NULL);
	assert_int_equal(s->errors, 0);
	amount_is(&s->act[0].at, SCENARIO_TIME, 10 * S, 40 * S);
	assert_true(s->let[0].set);
	assert_string_equal(s->let[0].value, "10s");
	assert_string_equal(s->vary[0].chosen, "5%");
	assert_int_equal(s->expect[0].condition.low, SCENARIO_SHARE_ALL / 20);
	assert_int_equal(s->policy.order, SCENARIO_ORDER_SAME);
	assert_int_equal(s->region[0].settings.cpu.lo, 7);
	assert_int_equal(s->world.profile, SCENARIO_PROFILE_DERPER);
	scenario_free(s);
}

/* An override that is wrong is named as it was written; one that fits no line, or two, is an error. */
static void set_errors(void **state)
{
	static const char *const set[] = { "n=5", "region.nodes=x", "tailnet.join=1s", "region", "regoin.nodes=2", "let.n=2" };
	struct scenario *s = parse_with("# t\nlet m=5\nregion fra nodes=3\ntailnet a\ntailnet b\n", set, 6, NULL);
	char all[2048];

	(void)state;
	print_all(s, all, sizeof all);
	assert_string_equal(all,
	                    "--set n=5: found 'n', expected the name of a let or vary: m.\n"
	                    "--set tailnet.join=1s: found 'tailnet', expected a statement of one line, and here are 2. Use a let and --set that.\n"
	                    "--set region: found 'region', expected name=value, or statement.option=value.\n"
	                    "--set regoin.nodes=2: found 'regoin', expected a statement. Did you mean region?\n"
	                    "--set let.n=2: found 'let', expected a statement that has options.\n"
	                    "--set region.nodes=x: found 'x', expected a whole number for nodes=.\n");
	scenario_free(s);
}

/* ---- files ---- */

/* Lines of a part count as if they stood there, and their errors name the part. */
static void include_parts(void **state)
{
	char part[] = "# not the title\ntailnet acme\nload disco evry=5s\n";
	struct scenario *s =
		parse_with("# The title \nwhy one #two\nwhy\tthree # four\ninclude a.part\nregion fra nodes=3\ninclude a.part\n", NULL, 0, part);
	char all[1024];

	(void)state;
	print_all(s, all, sizeof all);
	assert_string_equal(all, "a.part:3:12: found 'evry', expected an option of load disco: begin=, till=, of=, every=. Did you mean every=?\n"
	                         "t.scn:6:9: found 'a.part', expected a file that is not read already.\n");
	assert_string_equal(s->title, "The title");
	assert_string_equal(s->why, "one three");
	assert_int_equal(s->files, 2);
	assert_string_equal(s->file[1].name, "a.part");
	assert_int_equal(s->tailnets, 1);
	scenario_free(s);
}

/* The line of the longest allowed length is read, one byte more is an error; so are too many lines, and too large a file. */
static void file_limits(void **state)
{
	char *text = malloc(SCENARIO_BYTES_MAX + 2);
	struct scenario *s;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SCENARIO_BYTES_MAX + 1);
	memcpy(text, BASE "why ", sizeof BASE + 3);
	text[sizeof BASE - 1 + SCENARIO_COLUMNS_MAX] = '\0';
	scenario_free(good(text));
	text[sizeof BASE - 1 + SCENARIO_COLUMNS_MAX] = 'x';
	text[sizeof BASE + SCENARIO_COLUMNS_MAX] = '\0';
	errors_are(text, "t.scn:3:4097: found a line of 4097 bytes, expected 4096 at most.\n");
	memset(text + sizeof BASE - 1, '\n', SCENARIO_LINES_MAX);
	text[sizeof BASE - 1 + SCENARIO_LINES_MAX - 2] = '\0'; /* BASE has two lines */
	scenario_free(good(text));
	text[sizeof BASE - 1 + SCENARIO_LINES_MAX - 2] = '\n';
	text[sizeof BASE - 1 + SCENARIO_LINES_MAX - 1] = '\0';
	errors_are(text, "t.scn: found more than 20000 lines, expected fewer in all files together.\n");
	memset(text, '\n', SCENARIO_BYTES_MAX + 1);
	text[SCENARIO_BYTES_MAX + 1] = '\0';
	s = parse(text);
	assert_string_equal(s->error[0].text, "found a file of 1048577 bytes, expected 1048576 at most.");
	scenario_free(s);
	free(text);
}

/* The last 200 and how many more; in line order, whatever pass found them. */
static void error_order(void **state)
{
	char text[16384] = "";
	size_t n = 0;
	struct scenario *s;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "expect always conns == x\nat x crash fra/1\nregion fra/%u\n", i);
	}
	s = parse(text);
	assert_int_equal(s->errors, SCENARIO_ERRORS_MAX + 1);
	for (uint32_t i = 1; i < SCENARIO_ERRORS_MAX; i++) assert_true(s->error[i].line >= s->error[i - 1].line);
	assert_string_equal(s->error[SCENARIO_ERRORS_MAX].text, "100 more errors are not shown.");
	scenario_free(s);
}

/* ---- errors ---- */

/* The examples of the language's description. */
static void error_examples(void **state)
{
	(void)state;
	errors_are("# t\n" BASE "at 30s   crash fra/4\n",
	           "t.scn:4:16: found 'fra/4', expected a node of fra, which has 1..3 (line 2). Did you mean fra/3?\n");
	errors_are("# t\n" BASE "load     disco every=25..35s\n",
	           "t.scn:4:22: found '25', expected a time with a unit for every=. Write 25s..35s.\n");
	errors_are("# t\n" BASE "at 1s crash fra/1\nexpect within 2s of crash       clients.conected >= 99%\n",
	           "t.scn:5:33: found 'clients.conected', expected a metric. Did you mean clients.connected? All of them: derpsim check --metrics\n");
	errors_are("# t\n" BASE "at 1s crash fra/1\nat 2s restart fra/1\nexpect within 2s of freeze      clients.connected >= 99%\n",
	           "t.scn:6:21: found 'freeze', expected an event that this file causes: crash, restart. Nothing here freezes, so this line would "
	           "never be judged.\n");
}

/* One slip is one message: a line with an error still names its things and causes its events. */
static void error_once(void **state)
{
	(void)state;
	errors_are("# t\nregoin fra nodes=3\ntailnet acme\nat 1s crash fra/1\n",
	           "t.scn:2:1: found 'regoin', expected a statement. Did you mean region?\n");
	errors_are("# t\nregion fra nodes=3x\ntailnet acme\nat 1s crash fra/3\n",
	           "t.scn:2:18: found '3x', expected a whole number for nodes=, without a unit.\n");
	errors_are("# t\n" BASE "at 1 crash fra/1\nexpect within 2s of crash clients.away == 0\n",
	           "t.scn:4:4: found '1', expected a time with a unit after at: one of ns, us, ms, s, m, h.\n");
	errors_are("# t\n" BASE
	           "at 1s freeze fra/1 as=boom\nexpect within 2s of freeze clients.away == 0\nexpect within 2s of boom clients.away == 0\n",
	           "t.scn:4:7: found 'freeze', a verb that is not simulated yet, expected one that is: crash, restart, close, leave, join.\n");
	errors_are("# t\nlet n\nregion fra nodes=$n\ntailnet acme\n", "t.scn:2:5: found 'n', expected NAME=VALUE.\n");
}

/* Any bytes give a scenario or errors: every prefix of a story, and every byte of it replaced. */
static void error_any_bytes(void **state)
{
	static const char story[] =
		"# t\nlet gap=20s\nworld map=m profile=ours\nregion fra nodes=3\ntailnet acme x2 clients=zipf:2..5 spread=europe,tokyo\n"
		"load disco every=25s..35s of=\"clients on fra/1 but acme/1\"\nat $gap crash 1 of fra/* as=boom for=5s\n"
		"expect within 2s of end of boom fra/1 reconnects.rate of acme since crash <= 5%\nexpect always nothing forged, doubled\nuntil 5m\n";
	static const char odd[] = "\0\n\" #=$,/.%x9\xff\xc3-";
	char text[sizeof story];

	(void)state;
	for (size_t n = 0; n < sizeof story; n++) {
		struct scenario_request request = { .file = { "t.scn", story, n }, .load = load };
		scenario_free(scenario_parse(&request));
	}
	for (size_t i = 0; i < sizeof story - 1; i++) {
		for (size_t k = 0; k < sizeof odd - 1; k++) {
			struct scenario_request request = { .file = { "t.scn", text, sizeof story - 1 }, .load = load };
			memcpy(text, story, sizeof story);
			text[i] = odd[k];
			scenario_free(scenario_parse(&request));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_units),        cmocka_unit_test(value_pace),        cmocka_unit_test(map_regions),
		cmocka_unit_test(map_without_loader), cmocka_unit_test(node_settings),     cmocka_unit_test(policy_overrides),
		cmocka_unit_test(timeline_sets),      cmocka_unit_test(set_members),       cmocka_unit_test(verb_kinds),
		cmocka_unit_test(until_computed),     cmocka_unit_test(expect_conditions), cmocka_unit_test(expect_derived_events),
		cmocka_unit_test(metric_names),       cmocka_unit_test(names_replaced),    cmocka_unit_test(set_errors),
		cmocka_unit_test(include_parts),      cmocka_unit_test(file_limits),       cmocka_unit_test(error_order),
		cmocka_unit_test(error_examples),     cmocka_unit_test(error_once),        cmocka_unit_test(error_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
