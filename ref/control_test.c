/* The coordination server: who hears what, and what becomes of packets until everybody has heard. */
#include "control.h"
#include "pair_station.h"

static const uint8_t secret[16] = { 7 };

static struct key member_key(uint32_t i) { return (struct key){ { 1, (uint8_t)i, (uint8_t)(i >> 8) } }; }

static uint32_t join(struct control *c, uint32_t tailnet, uint32_t i)
{
	struct key key = member_key(i);

	return control_join(c, tailnet, key.b);
}

static bool reports(struct control *c, uint32_t member, uint32_t home, uint32_t flags)
{
	return control_report(c, member, &(struct control_report){ .home = home, .flags = flags });
}

/* The next news is for this member: the map (about = CONTROL_NONE), or that member `about` is at home there. */
static void news_is(struct control *c, uint32_t member, uint32_t about, uint32_t home)
{
	struct control_news news;
	struct key key = member_key(about);

	assert_true(control_news(c, &news));
	assert_int_equal(news.member, member);
	assert_int_equal(news.map, about == CONTROL_NONE);
	if (news.map) return;
	assert_memory_equal(news.key, key.b, KEY_SIZE);
	assert_int_equal(news.home, home);
}

static void no_news(struct control *c)
{
	struct control_news news;

	assert_false(control_news(c, &news));
}

static void all_news(struct control *c)
{
	struct control_news news;

	while (control_news(c, &news)) continue;
}

/* A member hears the map and the homes that are known when it joins, and of each new home then; of its own it hears nothing, nor of other
 * tailnets. Who leaves is at home nowhere. */
static void members(void **state)
{
	struct control *c = control_new(secret);
	uint32_t acme = control_tailnet(c), other = control_tailnet(c), m[4];

	(void)state;
	m[0] = join(c, acme, 0);
	news_is(c, m[0], CONTROL_NONE, 0);
	no_news(c);
	assert_true(reports(c, m[0], 5, 0)); /* alone */
	no_news(c);
	m[1] = join(c, acme, 1);
	news_is(c, m[1], CONTROL_NONE, 0);
	news_is(c, m[1], 0, 5);
	no_news(c);
	m[2] = join(c, other, 2);
	news_is(c, m[2], CONTROL_NONE, 0);
	no_news(c);
	m[3] = join(c, acme, 3); /* m[1] is there, but nobody knows where */
	news_is(c, m[3], CONTROL_NONE, 0);
	news_is(c, m[3], 0, 5);
	no_news(c);
	assert_true(reports(c, m[1], 6, 0));
	news_is(c, m[0], 1, 6);
	news_is(c, m[3], 1, 6);
	no_news(c);
	assert_int_equal(control_members(c, acme), 3);
	control_leave(c, m[0]);
	news_is(c, m[1], 0, 0);
	news_is(c, m[3], 0, 0);
	no_news(c);
	control_leave(c, m[3]); /* was never anywhere */
	no_news(c);
	assert_int_equal(control_members(c, acme), 1);
	assert_int_equal(control_member(c, member_key(0).b), CONTROL_NONE);
	assert_int_equal(control_member(c, member_key(1).b), m[1]);
	m[0] = join(c, other, 0);
	news_is(c, m[0], CONTROL_NONE, 0);
	no_news(c);
	assert_int_equal(control_home(c, m[0]), 0);
	assert_int_equal(join(c, other, 1), CONTROL_NONE); /* a key is in one place */
	no_news(c);
	control_free(c);
	control_free(NULL);
}

/* A million (2^20) tailnets, and no more. */
static void tailnets(void **state)
{
	struct control *c = control_new(secret);

	(void)state;
	for (uint32_t i = 0; i < 1048576; i++)
		if (control_tailnet(c) != i) fail_msg("tailnet %u", i);
	assert_int_equal(control_tailnet(c), CONTROL_NONE);
	control_free(c);
}

/* HOM-020: a report counts if anything but latencies changed, and the first one always; only a new home is news for others. */
static void report(void **state)
{
	struct control_latency latency[2] = { { .region = 1, .ns = 20 * NS_MS }, { .region = 1, .v6 = true, .ns = 30 * NS_MS } };
	struct control_report first = { .home = 1, .flags = CONTROL_UDP, .latency = latency, .latencies = 2 }, next = first;
	struct control *c = control_new(secret);
	uint32_t tailnet = control_tailnet(c), a = join(c, tailnet, 0), b;

	(void)state;
	all_news(c);
	b = join(c, tailnet, 1);
	all_news(c);
	assert_true(reports(c, b, 0, 0)); /* nothing known, but the first */
	no_news(c);
	assert_false(reports(c, b, 0, 0));
	assert_true(control_report(c, a, &first));
	news_is(c, b, 0, 1);
	no_news(c);
	latency[0].ns++;
	assert_false(control_report(c, a, &next));
	next.latencies = 1;
	assert_false(control_report(c, a, &next));
	next.latencies = 0;
	assert_false(control_report_differs(&first, &next));
	for (uint32_t flag = CONTROL_UDP; flag <= CONTROL_PORT_MAP; flag *= 2) {
		next.flags = first.flags ^ flag;
		assert_true(control_report_differs(&first, &next));
		assert_true(control_report(c, a, &next));
		no_news(c); /* of no concern to peers */
		assert_true(control_report(c, a, &first));
		no_news(c);
	}
	next = first;
	next.home = 2;
	assert_true(control_report(c, a, &next));
	news_is(c, b, 0, 2);
	no_news(c);
	assert_int_equal(control_home(c, a), 2);
	next.home = 0; /* homeless */
	assert_true(control_report(c, a, &next));
	news_is(c, b, 0, 0);
	no_news(c);
	control_free(c);
}

static void rotate(void *ctx, const struct derp_region *region, uint32_t *order)
{
	for (uint32_t i = 0; i < region->nodes; i++) order[i] = (i + *(uint32_t *)ctx) % region->nodes;
}

/* REG-004: each tailnet sees the nodes in its own order, and all of its members in the same one, with everything else as it was. */
static void maps(void **state)
{
	static const char text[] = "{\"omitDefaultRegions\":true,\"Regions\":{\"3\":{\"RegionID\":3,\"RegionCode\":\"x\",\"RegionName\":\"X\","
				   "\"NoMeasureNoHome\":true,\"Nodes\":["
				   "{\"Name\":\"3a\",\"RegionID\":3,\"HostName\":\"a\",\"InsecureForTests\":true},{\"Name\":\"3b\",\"RegionID\":3,"
				   "\"HostName\":\"b\"},{\"Name\":\"3c\","
				   "\"RegionID\":3,\"HostName\":\"c\",\"CanPort80\":true}]},\"4\":{\"RegionID\":4,\"Avoid\":true,\"Nodes\":[]}}}";
	char error[DERPMAP_ERROR_SIZE];
	struct derp_map *map = derp_map_parse(text, sizeof text - 1, error), *seen;
	struct control *c = control_new(secret);
	struct control_news news;
	struct event_command command;
	struct packet *packet[3];

	(void)state;
	assert_non_null(map);
	for (uint32_t t = 0; t < 3; t++) {
		control_tailnet(c);
		packet[t] = control_map_text(map, rotate, &t);
		control_map(c, t, packet_hold(packet[t]));
		no_news(c); /* nobody is there */
	}
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(join(c, i % 3, i), i);
		assert_true(control_news(c, &news));
		command = control_command(&news);
		assert_int_equal(command.verb, COMMAND_MAP);
		assert_ptr_equal(command.owner, packet[i % 3]);
		seen = derp_map_parse((const char *)command.p, command.n, error);
		assert_non_null(seen);
		assert_int_equal(seen->regions, 2);
		assert_true(seen->omit_default_regions);
		for (uint32_t k = 0; k < 3; k++) assert_string_equal(seen->region[0].node[k].name, map->region[0].node[(k + i) % 3].name);
		if (i % 3 == 0) assert_true(derp_region_equal(&seen->region[0], &map->region[0]));
		assert_true(derp_region_equal(&seen->region[1], &map->region[1]));
		derp_map_free(seen);
		no_news(c);
	}
	control_map(c, 1, NULL);
	for (uint32_t i = 1; i < 6; i += 3) {
		assert_true(control_news(c, &news));
		assert_int_equal(news.member, i);
		command = control_command(&news);
		assert_int_equal(command.verb, COMMAND_MAP);
		assert_int_equal(command.n, 0);
	}
	no_news(c);
	for (uint32_t t = 0; t < 3; t++) {
		assert_int_equal(packet[t]->count, t == 1 ? 1 : 2);
		packet_drop(packet[t]);
	}
	control_free(c);
	derp_map_free(map);
}

/* Many come, move and go: what each has been told of the others is what is so. */
static void all_hear(void **state)
{
	enum { KEYS = 40, TAILNETS = 3 };
	uint32_t member[KEYS], tailnet[KEYS], told_home[KEYS][KEYS] = { { 0 } };
	struct control *c = control_new(secret);
	struct control_news news;
	uint64_t x = 88172645463325252u;

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++) member[i] = CONTROL_NONE, tailnet[i] = 0;
	for (uint32_t t = 0; t < TAILNETS; t++) control_tailnet(c);
	for (int i = 0; i < 3000; i++) {
		uint32_t who;
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		who = (uint32_t)(x >> 8) % KEYS;
		if (member[who] == CONTROL_NONE) {
			tailnet[who] = (uint32_t)(x >> 30) % TAILNETS;
			member[who] = join(c, tailnet[who], who);
			for (uint32_t k = 0; k < KEYS; k++) told_home[who][k] = 0;
		} else if ((x >> 40) % 4 == 0) {
			control_leave(c, member[who]);
			member[who] = CONTROL_NONE;
		} else {
			reports(c, member[who], (uint32_t)(x >> 50) % 5, 0);
		}
		while (control_news(c, &news)) {
			uint32_t hearer = 0;
			if (news.map) continue;
			while (member[hearer] != news.member) hearer++;
			told_home[hearer][news.key[1]] = news.home;
		}
		for (uint32_t a = 0; a < KEYS; a++)
			for (uint32_t b = 0; b < KEYS; b++) {
				bool together = member[b] != CONTROL_NONE && tailnet[a] == tailnet[b] && a != b;
				if (member[a] == CONTROL_NONE) continue;
				assert_int_equal(told_home[a][b], together ? control_home(c, member[b]) : 0);
			}
	}
	control_free(c);
}

/* ---- with stations ---- */

/* What was said and has not arrived yet. */
struct later {
	uint64_t at;
	int host;
	struct control_news news;
};
struct post {
	struct control *control;
	struct later later[64];
	uint32_t n, arrived;
};

/* Control has told; it arrives after the delay at the stations, which are hosts 0, 1, ... in order of joining. */
static void post(struct pair *p, struct post *o, uint64_t delay)
{
	struct control_news news;

	while (control_news(o->control, &news)) {
		assert_true(o->n < 64);
		o->later[o->n++] = (struct later){ .at = p->now + delay, .host = (int)news.member, .news = news };
	}
}

static void arrive(struct pair *p, struct post *o, uint64_t ns)
{
	uint64_t end = p->now + ns;

	for (; o->arrived < o->n && o->later[o->arrived].at <= end; o->arrived++) {
		struct later *l = &o->later[o->arrived];
		struct event_command command = control_command(&l->news);
		pair_advance(p, l->at - p->now);
		pair_command(p, l->host, &command);
	}
	pair_advance(p, end - p->now);
}

/* The station says where its home is now; control hears at once. */
static void report_home(struct pair *p, struct post *o, int host, uint32_t region, uint64_t delay)
{
	const struct pair_heard *h;

	set_home(p, host, region);
	h = pair_heard(p, host, DELIVER_HOME, pair_heard_count(p, host, DELIVER_HOME) - 1);
	assert_int_equal(h->region, region);
	assert_true(reports(o->control, (uint32_t)host, h->region, 0));
	post(p, o, delay);
}

/* TRP-034, REG-010: a station moves its home. Until its peer has heard of it, packets go to the old home, where it is still connected; then to
 * the new one. A map that comes later moves everybody. */
STORY(home_moves)
{
	struct post o = { .control = control_new(secret) };
	uint32_t tailnet = control_tailnet(o.control);
	char text[4096];
	size_t n = map_text(text, sizeof text, REGIONS, "", "");
	int a, b, two, three;

	regions_listen(p);
	control_map(o.control, tailnet, packet_copy((const uint8_t *)text, (uint32_t)n));
	post(p, &o, 0);
	a = station_alone(p, A, "");
	b = station_alone(p, B, "");
	for (int h = a; h <= b; h++) {
		struct key key = peer_key(h == a ? A : B);
		assert_int_equal(control_join(o.control, tailnet, key.b), h);
		post(p, &o, 100 * NS_MS);
	}
	arrive(p, &o, NS_S);
	report_home(p, &o, b, 2, 500 * NS_MS);
	two = region_ready(p, 2, B, true);
	send_to(p, a, B, 0, "where are you");
	told(p, a, DELIVER_REFUSED, 0, 0, REFUSED_ROUTE);
	arrive(p, &o, 500 * NS_MS);
	send_to(p, a, B, 0, "at two");
	packet_is(p, region_ready(p, 2, A, false), B, "at two");
	report_home(p, &o, b, 3, 500 * NS_MS);
	frame_is(p, two, FRAME_NOTE_PREFERRED, "\x00", 1);
	three = region_ready(p, 3, B, true);
	arrive(p, &o, 500 * NS_MS - 1);
	send_to(p, a, B, 0, "still at two");
	packet_is(p, wire_region(p, 2), B, "still at two");
	assert_false(is_open(p, a, 3));
	arrive(p, &o, 1);
	send_to(p, a, B, 0, "at three");
	packet_is(p, region_ready(p, 3, A, false), B, "at three");
	n = map_text(text, sizeof text, 2, "", "");
	control_map(o.control, tailnet, packet_copy((const uint8_t *)text, (uint32_t)n));
	post(p, &o, 100 * NS_MS);
	assert_int_equal(wire_end(p, three)->ended, PAIR_OPEN);
	arrive(p, &o, 100 * NS_MS);
	assert_int_equal(wire_end(p, three)->ended, PAIR_EOF);
	assert_int_equal(station_home(station_of(p, b)), 0);
	assert_false(is_open(p, a, 3));
	control_free(o.control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members), cmocka_unit_test(tailnets), cmocka_unit_test(report),
		cmocka_unit_test(maps),    cmocka_unit_test(all_hear), cmocka_unit_test(home_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
