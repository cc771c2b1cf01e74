/* A run is a function of its text and seed: of nothing else, and of every draw as it is printed. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "story_try.h"

#define CROWD \
	"# a crash with both kinds of load\n" \
	"region fra nodes=3 cpu=2\n" \
	"tailnet acme x20 clients=2..5 spread=europe join=0s..5s\n" \
	"load disco every=5s..10s\n" \
	"load bulk share=5% rate=100Kbps for=5s..10s\n" \
	"at 20s..22s crash fra/1\n" \
	"at 30s restart fra/1\n"

struct outcome {
	struct sim_digest digest;
	uint64_t events;
};

static struct outcome run(struct try *t, const char *text)
{
	struct outcome o;

	try_run(t, text);
	try_is_good(t);
	o = (struct outcome){ story_digest(t->story), story_events(t->story) };
	try_end(t);
	return o;
}

static void same(struct outcome a, struct outcome b)
{
	assert_int_equal(a.events, b.events);
	assert_true(try_same_digest(a.digest, b.digest));
}

/* Twice in one process; with a cache of keys of another size that has seen other runs; with somebody who listens to every event. Another
 * seed, or another word of the text that matters, is another run. */
static bool hears(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	(void)ctx, (void)seq, (void)now, (void)host, (void)e, (void)content;
	return true;
}

static void story_repeats(void **state)
{
	struct try t;
	struct outcome first, other;

	(void)state;
	try_init(&t);
	first = run(&t, CROWD);
	same(first, run(&t, CROWD));
	t.keys = key_cache_new(16);
	same(first, run(&t, CROWD));
	t.options.event = hears;
	same(first, run(&t, CROWD));
	t.options.event = NULL;
	key_cache_free(t.keys);
	t.keys = key_cache_new(4096);
	t.options.seed = 2;
	other = run(&t, CROWD);
	assert_false(try_same_digest(first.digest, other.digest));
	t.options.seed = 1;
	same(first, run(&t, CROWD));
	key_cache_free(t.keys);
	t.keys = NULL;
	other = run(&t, CROWD "policy backoff=none\n");
	assert_false(try_same_digest(first.digest, other.digest));
	same(first, run(&t, CROWD "# what is said for people changes nothing\n"
	                          "why nobody asked\nexpect at end clients.connected == 100%\n"));
}

/* ---- draws ---- */

static const struct story_draw *draw_of(const struct story *st, const char *word, const char *key)
{
	for (uint32_t i = 0; i < story_draws(st); i++)
		if (strcmp(story_draw(st, i)->word, word) == 0 && strcmp(story_draw(st, i)->key, key) == 0) return story_draw(st, i);
	fail_msg("nothing was drawn for %s %s", word, key);
	return NULL;
}

static void append(char *text, size_t cap, const char *format, ...)
{
	size_t n = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + n, cap - n, format, args);
	va_end(args);
	assert_true(strlen(text) + 1 < cap);
}

static void append_value(char *text, size_t cap, const struct story_draw *d, uint32_t i)
{
	char value[48];

	story_print_exact(d->unit, d->value[i], value, sizeof value);
	append(text, cap, "%s", value);
}

/* The drawn values as they are printed, put into the text where the ranges stood, run to the same digest: a time, a number of nodes and of
 * copies, what is drawn for each node, what was drawn while the run went on, and whom a pick took. */
static void story_printed_draws_repeat_it(void **state)
{
	static const char drawn[] = "# ranges\n"
				    "region fra nodes=2..4 cpu=2..4 handshake=300us..400us\n"
				    "tailnet acme x10..20 clients=2 spread=europe join=1s..1s\n"
				    "load disco every=2s..3s\n"
				    "at 20s..25s crash 1 of fra/* for=2s..9s\n"
				    "at 40s close 3 of acme\n"
				    "until 50s..60s\n";
	char text[4096] = "";
	const struct story_draw *d;
	struct outcome first;
	struct try t;
	uint32_t nodes;

	(void)state;
	try_init(&t);
	try_run(&t, drawn);
	first = (struct outcome){ story_digest(t.story), story_events(t.story) };
	nodes = story_nodes(t.story);
	d = draw_of(t.story, "region", "nodes");
	assert_int_equal(d->values.n, 1);
	assert_int_equal(d->value[0], nodes);
	append(text, sizeof text, "# no ranges\nregion fra nodes=%u\n", nodes);
	for (uint32_t i = 0; i < nodes; i++) {
		d = draw_of(t.story, "region", "cpu");
		append(text, sizeof text, "node %s cpu=", d->name[i]);
		append_value(text, sizeof text, d, i);
		append(text, sizeof text, " handshake=");
		append_value(text, sizeof text, draw_of(t.story, "region", "handshake"), i);
		append(text, sizeof text, "\n");
	}
	append(text, sizeof text, "tailnet acme x");
	append_value(text, sizeof text, draw_of(t.story, "tailnet", "x"), 0);
	append(text, sizeof text, " clients=2 spread=europe join=1s\nload disco every=2s..3s\nat ");
	append_value(text, sizeof text, draw_of(t.story, "at crash", "at"), 0);
	append(text, sizeof text, " crash %s for=", draw_of(t.story, "at crash", "pick")->name[0]);
	append_value(text, sizeof text, draw_of(t.story, "at crash", "for"), 0);
	d = draw_of(t.story, "at close", "pick");
	append(text, sizeof text, "\nat 40s close %s, %s, %s\nuntil ", d->name[0], d->name[1], d->name[2]);
	append_value(text, sizeof text, draw_of(t.story, "until", "until"), 0);
	append(text, sizeof text, "\n");
	try_end(&t);
	same(first, run(&t, text));
}

static void same_draws(const struct story_draw *a, const struct story_draw *b)
{
	assert_int_equal(a->values.n, b->values.n);
	for (uint32_t i = 0; i < 20 && i < a->values.n; i++) {
		assert_string_equal(a->name[i], b->name[i]);
		assert_int_equal(a->value[i], b->value[i]);
	}
	assert_int_equal(a->values.sum, b->values.sum);
}

/* A line more shifts no draw of another: not of times, copies, clients, joins, nodes. Nor which nodes are whose: acme comes to sit on the
 * same ones. */
static void story_line_more_shifts_nothing(void **state)
{
	static const char *const key[][2] = {
		{ "tailnet", "x" }, { "tailnet", "clients" }, { "tailnet", "join" }, { "at crash", "at" }, { "region", "cpu" }
	};
	static const char base[] = "region fra nodes=3 cpu=2..4\n"
				   "tailnet acme x10..20 clients=2..5 spread=europe join=0s..5s\n"
				   "at 8s..12s crash fra/1\n"
				   "until 15s\n";
	char text[2048];
	struct try a, b;

	(void)state;
	try_init(&a);
	try_init(&b);
	snprintf(text, sizeof text, "# one\n%s", base);
	try_run(&a, text);
	snprintf(text, sizeof text,
	         "# more\n%snode fra/2 packet=1us..2us\ntailnet beta x3..9 clients=2..9 join=0s..9s\nload disco every=1s..2s\n"
	         "load bulk share=1%% rate=10Kbps for=1s..2s\nat 5s..9s close beta\n",
	         base);
	try_run(&b, text);
	for (uint32_t i = 0; i < sizeof key / sizeof *key; i++)
		same_draws(draw_of(a.story, key[i][0], key[i][1]), draw_of(b.story, key[i][0], key[i][1]));
	for (uint32_t i = 0; i < story_clients(a.story); i++) {
		struct story_client_view one = story_client(a.story, i), two = story_client(b.story, i);
		assert_string_equal(one.name, two.name);
		assert_non_null(one.node);
		assert_string_equal(one.node, two.node);
	}
	try_end(&a);
	try_end(&b);
}

/* Values for people are cut to three decimals; for a scenario they are whole. */
static void story_prints_values(void **state)
{
	static const struct {
		enum scenario_unit unit;
		uint64_t value;
		const char *people, *exact;
	} of[] = {
		{ SCENARIO_TIME, 33482915233, "33.482s", "33.482915233s" },
		{ SCENARIO_TIME, 412000000, "412ms", "412ms" },
		{ SCENARIO_TIME, 1, "0.001us", "0.001us" },
		{ SCENARIO_TIME, 10 * NS_S, "10s", "10s" },
		{ SCENARIO_TIME, 1000400000, "1s", "1.0004s" },
		{ SCENARIO_SHARE, 991000000, "99.1%", "99.1%" },
		{ SCENARIO_SHARE, 1, "0%", "0.0000001%" },
		{ SCENARIO_PACE, UINT64_C(3600000000) * 43 / 2, "21.5/s", "21.5/s" },
		{ SCENARIO_RATE, 2500000, "2.5Mbps", "2.5Mbps" },
		{ SCENARIO_RATE, 64500, "64.5Kbps", "64.5Kbps" },
		{ SCENARIO_SIZE, 1234567, "1.234MB", "1.234567MB" },
		{ SCENARIO_SIZE, 1312, "1312B", "1312B" },
		{ SCENARIO_COUNT, 7, "7", "7" },
		{ SCENARIO_TIME, SCENARIO_NEVER, "never", "never" },
	};
	char out[48], small[4];

	(void)state;
	for (uint32_t i = 0; i < sizeof of / sizeof *of; i++) {
		assert_int_equal(story_print_value(of[i].unit, of[i].value, out, sizeof out), strlen(of[i].people));
		assert_string_equal(out, of[i].people);
		assert_int_equal(story_print_exact(of[i].unit, of[i].value, out, sizeof out), strlen(of[i].exact));
		assert_string_equal(out, of[i].exact);
	}
	assert_int_equal(story_print_exact(SCENARIO_TIME, 33482915233, small, sizeof small), 13);
	assert_string_equal(small, "33.");
}

/* A run that somebody stops is told as such, and as of that moment. */
static bool stops(void *ctx, uint64_t now, uint64_t until)
{
	(void)ctx;
	assert_int_equal(until, 60 * NS_S);
	return now < 7 * NS_S;
}

static void story_can_be_stopped(void **state)
{
	struct try t;

	(void)state;
	try_init(&t);
	t.options.second = stops;
	t.options.until = 60 * NS_S;
	try_run(&t, CROWD);
	assert_true(story_interrupted(t.story));
	assert_int_equal(story_now(t.story), 7 * NS_S);
	assert_int_equal(story_until(t.story), 60 * NS_S);
	try_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(story_repeats),
		cmocka_unit_test(story_printed_draws_repeat_it),
		cmocka_unit_test(story_line_more_shifts_nothing),
		cmocka_unit_test(story_prints_values),
		cmocka_unit_test(story_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
