/* The station's connections: home, others, and what comes and goes with time and network. */
#include "pair_station.h"

/* REG-003, CLI-034, CLI-042: home is connected at once, is told that it is home, and stays without a packet for a day; nothing else is open. */
STORY(home_stays)
{
	struct station_view view;
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	assert_int_equal(p->streams, 0);
	set_home(p, h, 3);
	told(p, h, DELIVER_HOME, 0, 3, 0);
	s = region_ready(p, 3, A, true);
	pass(p, 86400 * NS_S);
	assert_true(station_region(station_of(p, h), 3, &view));
	assert_true(view.home && view.connected);
	assert_int_equal(station_connections(station_of(p, h)), 1);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(p->streams, 1);
}

/* TRP-034: the owner hears of the new home, to tell control, before the connection to it stands. */
STORY(home_before_connection)
{
	int h;

	pair_listen(p, region_at(1), PAIR_SILENT, -1, TOKEN_NONE, false);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	told(p, h, DELIVER_HOME, 0, 1, 0);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CONNECTED), 0);
}

/* CLI-032, TRP-036: a broken connection asks for a network check and comes back; with nobody there it is tried for ever, at intervals that end
 * at 2.5 to 7.5 s; one message makes the next wait short again. */
STORY(home_comes_back)
{
	uint64_t before;
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	s = region_ready(p, 1, A, true);
	wire_reset(p, s);
	told(p, h, DELIVER_CHECK, 1, 1, STATION_CHECK_BROKEN); /* the first one was the map's */
	assert_true(is_open(p, h, 1));
	pair_listen_set(p, region_at(1), PAIR_REFUSE);
	pair_advance(p, 1500 * NS_S);
	before = pair_heard_count(p, h, DELIVER_CHECK);
	assert_true(before > 1500 / 8 && before < 1500 * 2 / 5);
	pair_advance(p, 7500 * NS_MS);
	assert_true(pair_heard_count(p, h, DELIVER_CHECK) > before);
	pair_listen_set(p, region_at(1), PAIR_WIRE);
	pair_advance(p, 7500 * NS_MS);
	s = region_ready(p, 1, A, true);
	wire_reset(p, s);
	pair_advance(p, 15 * NS_MS);
	region_ready(p, 1, A, true);
}

/* TRP-033: a home that is gone without a word is noticed after 120 s, not before. */
STORY(half_open)
{
	int h;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	region_ready(p, 1, A, true);
	pair_advance(p, 120 * NS_S - 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_DISCONNECTED), 0);
	pair_advance(p, 1);
	told(p, h, DELIVER_DISCONNECTED, 0, 1, CLIENT_END_SILENCE);
	pair_advance(p, 15 * NS_MS);
	region_ready(p, 1, A, true);
}

/* A station at home in a region whose first node refuses, while the second, which is where region 2 is otherwise, does not. */
static int two_nodes(struct pair *p, const char *config)
{
	static const char map[] =
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"Name\":\"1a\",\"HostName\":\"a\",\"IPv4\":\"192.0.2.61\",\"IPv6\":\"-\",\"DERPPort\":80},"
		"{\"Name\":\"1b\",\"HostName\":\"b\",\"IPv4\":\"192.0.2.62\",\"IPv6\":\"-\",\"DERPPort\":80}]}}}";
	int h;

	pair_listen(p, region_at(1), PAIR_REFUSE, -1, TOKEN_NONE, false);
	pair_listen(p, region_at(2), PAIR_WIRE, -1, TOKEN_NONE, false);
	h = station_alone(p, A, config);
	set_map_text(p, h, map, sizeof map - 1);
	set_home(p, h, 1);
	return h;
}

/* REG-007, CLI-018: when the first node of home is back, the station stays on the second until that breaks. */
STORY(second_node)
{
	int h = two_nodes(p, ""), s;

	s = region_ready(p, 2, A, true);
	pair_listen_set(p, region_at(1), PAIR_WIRE);
	pass(p, 3600 * NS_S);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	wire_reset(p, s);
	pair_advance(p, 15 * NS_MS);
	region_ready(p, 1, A, true);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 2); /* the map's and this one's */
}

/* OQ-4: with return-after it goes back by itself, which is no reason for a network check. */
STORY(return_to_first_node)
{
	int h = two_nodes(p, "return-after=30s\n"), s;

	s = region_ready(p, 2, A, true);
	relay_sends(p, s, B, "x");
	pair_listen_set(p, region_at(1), PAIR_WIRE);
	pair_advance(p, 30 * NS_S);
	region_ready(p, 1, A, true);
	assert_int_equal(route_to(p, h, B), 0);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 1);
}

/* ---- others ---- */

/* CLI-034: a region that is nobody's home here is opened by the first packet for it, which waits for the login; it is closed with FIN by the first look,
 * one every 15 s, that finds 60 s gone since the last packet that was to be sent. What is received does not count. */
STORY(others_come_and_go)
{
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	send_to(p, h, B, 2, "first"); /* the looks are at 15 s, 30 s, ... from now on */
	s = wire_region(p, 2);
	quiet(p, s);
	region_ready(p, 2, A, false);
	packet_is(p, s, B, "first");
	pair_advance(p, 60 * NS_S - 1);
	relay_sends(p, s, B, "not for this clock");
	assert_true(is_open(p, h, 2));
	pair_advance(p, 1); /* exactly 60 s */
	assert_false(is_open(p, h, 2));
	told(p, h, DELIVER_CLOSED, 0, 2, STATION_CLOSE_IDLE);
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 1); /* the map's: closing it ourselves is no reason for one */
}

/* CLI-034: the looks go on every 15 s from the first connection on; new ones do not put them off. */
STORY(looks)
{
	int h;

	regions_listen(p);
	h = station_with(p, A, "");
	send_to(p, h, B, 2, "x");
	pair_advance(p, 10 * NS_S);
	send_to(p, h, B, 3, "x");
	pair_advance(p, 50 * NS_S);
	assert_false(is_open(p, h, 2));
	assert_true(is_open(p, h, 3));
	pair_advance(p, 15 * NS_S - 1);
	assert_true(is_open(p, h, 3));
	pair_advance(p, 1);
	assert_false(is_open(p, h, 3));
}

/* CLI-034: 1 ns later than the first look: 75 s for the packet that was sent then; a request counts though nothing could be sent. */
STORY(reaped_late)
{
	int h;

	pair_listen(p, region_at(2), PAIR_REFUSE, -1, TOKEN_NONE, false);
	h = station_with(p, A, "");
	send_to(p, h, B, 2, "x");
	pair_advance(p, 15 * NS_S + 1);
	send_to(p, h, B, 2, "y");
	pair_advance(p, 75 * NS_S - 2); /* at 90 s - 1 ns */
	assert_true(is_open(p, h, 2));
	pair_advance(p, 1);
	assert_false(is_open(p, h, 2));
	told(p, h, DELIVER_CLOSED, 0, 2, STATION_CLOSE_IDLE);
	assert_int_equal(pair_heard_count(p, h, DELIVER_DROPPED), 2); /* what waited for a connection is told to be lost */
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 1);
}

/* CLI-028: one connection a region: packets for several peers share it. Closed and wanted again, a new one is made, while the old one is still
 * waiting for the relay's FIN; what comes on the old one is nobody's any more. */
STORY(one_connection_a_region)
{
	int h, old, new;

	regions_listen(p);
	h = station_with(p, A, "");
	send_to(p, h, B, 2, "b");
	send_to(p, h, C, 2, "c");
	assert_int_equal(p->streams, 1);
	old = region_ready(p, 2, A, false);
	packet_is(p, old, B, "b");
	packet_is(p, old, C, "c");
	pair_advance(p, 60 * NS_S);
	assert_int_equal(wire_end(p, old)->ended, PAIR_EOF);
	send_to(p, h, B, 2, "again");
	new = region_ready(p, 2, A, false);
	assert_int_not_equal(new, old);
	assert_int_not_equal(p->stream[new].end[0].token, p->stream[old].end[0].token);
	packet_is(p, new, B, "again");
	relay_sends(p, old, B, "too late");
	assert_int_equal(pair_heard_count(p, h, DELIVER_PACKET), 0);
	assert_int_equal(route_to(p, h, B), 0);
	assert_int_equal(station_connections(station_of(p, h)), 1);
}

/* A relay that does not answer the FIN gets RST 10 s later, and its place is free again. */
STORY(linger)
{
	uint64_t token;
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "regions-max=1\n");
	send_to(p, h, B, 2, "x");
	s = region_ready(p, 2, A, false);
	pair_advance(p, 70 * NS_S - 1);
	assert_int_equal(wire_end(p, s)->ended, PAIR_EOF);
	assert_true(p->stream[s].end[0].open);
	send_to(p, h, B, 3, "x");
	told(p, h, DELIVER_REFUSED, 0, 3, REFUSED_LIMIT);
	token = p->stream[s].end[0].token;
	pair_advance(p, 1);
	assert_false(p->stream[s].end[0].open);
	send_to(p, h, B, 3, "x");
	assert_true(is_open(p, h, 3));
	assert_int_equal(token_slot(p->stream[wire_region(p, 3)].end[0].token), token_slot(token)); /* the same slot, never the same token */
	assert_int_not_equal(p->stream[wire_region(p, 3)].end[0].token, token);
}

/* CLI-031: 32 packets wait for each region, and the oldest of each goes. */
STORY(queues)
{
	int h;

	pair_listen(p, region_at(2), PAIR_SILENT, -1, TOKEN_NONE, false);
	pair_listen(p, region_at(3), PAIR_SILENT, -1, TOKEN_NONE, false);
	h = station_with(p, A, "");
	for (int i = 0; i < 33; i++) send_to(p, h, B, 2, "b");
	for (int i = 0; i < 32; i++) send_to(p, h, C, 3, "c");
	assert_int_equal(station_packets_queued(station_of(p, h)), 64);
	assert_int_equal(pair_heard_count(p, h, DELIVER_DROPPED), 1);
	told(p, h, DELIVER_DROPPED, 0, 2, DROP_QUEUE_HEAD);
}

/* ---- CLI-037, HOM-019 ---- */

/* CLI-037: with a new home every relay hears whether it is it, once; the new one is opened; the old one stays until its 60 s are over. */
STORY(home_changes)
{
	int h, one, two, three;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	send_to(p, h, B, 2, "b");
	two = region_ready(p, 2, A, false);
	packet_is(p, two, B, "b");
	set_home(p, h, 2);
	frame_is(p, one, FRAME_NOTE_PREFERRED, "\x00", 1);
	frame_is(p, two, FRAME_NOTE_PREFERRED, "\x01", 1);
	set_home(p, h, 2); /* no news */
	assert_int_equal(pair_heard_count(p, h, DELIVER_HOME), 2);
	set_home(p, h, 3);
	frame_is(p, two, FRAME_NOTE_PREFERRED, "\x00", 1);
	three = region_ready(p, 3, A, true);
	quiet(p, one);
	pass(p, 60 * NS_S);
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	assert_int_equal(wire_end(p, two)->ended, PAIR_EOF);
	assert_int_equal(wire_end(p, three)->ended, PAIR_OPEN);
}

/* HOM-019: homeless, the old home is closed at once and nothing is home; other regions are as before. */
STORY(homeless)
{
	int h, one;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	set_home(p, h, 0);
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_HOME);
	told(p, h, DELIVER_HOME, 1, 0, 0);
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	assert_true(station_homeless(station_of(p, h)));
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(station_connections(station_of(p, h)), 0);
	assert_int_equal(p->streams, 1);
	send_to(p, h, B, 1, "b");
	one = region_ready(p, 1, A, false);
	packet_is(p, one, B, "b");
	set_home(p, h, 1);
	frame_is(p, one, FRAME_NOTE_PREFERRED, "\x01", 1);
}

/* ---- the network ---- */

/* CLI-039: down closes everything and nothing is opened; packets are refused. Up opens home, and only that. */
STORY(network_down)
{
	int h, one, two;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	send_to(p, h, B, 2, "b");
	two = region_ready(p, 2, A, false);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_NETWORK, .flag = false });
	assert_int_equal(wire_end(p, one)->ended, PAIR_RESET);
	assert_int_equal(wire_end(p, two)->ended, PAIR_RESET);
	told(p, h, DELIVER_CLOSED, 1, 2, STATION_CLOSE_NETWORK);
	send_to(p, h, B, 2, "b");
	told(p, h, DELIVER_REFUSED, 0, 2, REFUSED_NETWORK);
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(p->streams, 2);
	for (int i = 0; i < 2; i++) pair_command(p, h, &(struct event_command){ .verb = COMMAND_NETWORK, .flag = true });
	region_ready(p, 1, A, true);
	assert_int_equal(p->streams, 3);
}

static void rebind(struct pair *p, int h, uint8_t last)
{
	struct address left[2] = { pair_address(99, 0), pair_address(last, 0) };

	pair_command(p, h, &(struct event_command){ .verb = COMMAND_REBIND, .p = (const uint8_t *)left, .n = sizeof left });
}

/* CLI-039: whose local address is gone, or who is not connected yet, is closed; home is dialled again at once. */
STORY(rebind_address)
{
	int h, one, two;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	p->dials_from = 8;
	send_to(p, h, B, 2, "b");
	two = region_ready(p, 2, A, false);
	packet_is(p, two, B, "b");
	send_to(p, h, C, 3, "c"); /* dialled, but not logged in */
	rebind(p, h, 8);
	assert_int_equal(wire_end(p, one)->ended, PAIR_RESET);
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_ADDRESS);
	told(p, h, DELIVER_CLOSED, 1, 3, STATION_CLOSE_ADDRESS);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 2);
	assert_false(is_open(p, h, 3));
	assert_int_equal(wire_end(p, two)->ended, PAIR_OPEN);
	region_ready(p, 1, A, true);
}

static void answer_ping(struct pair *p, int s)
{
	struct wire_frame f = { 0 };
	uint8_t data[FRAME_PING_SIZE];

	assert_true(wire_frame(p, s, &f));
	assert_int_equal(f.type, FRAME_PING);
	memcpy(data, f.p, sizeof data);
	wire_send_frame(p, s, FRAME_PONG, data, sizeof data);
}

/* CLI-039: the others are asked: who answers stays; who has not after 3 s is closed, and dialled again if it is home. */
STORY(rebind_ping)
{
	int h, one, two, three;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	send_to(p, h, B, 2, "b");
	send_to(p, h, C, 3, "c");
	two = region_ready(p, 2, A, false);
	three = region_ready(p, 3, A, false);
	packet_is(p, two, B, "b");
	packet_is(p, three, C, "c");
	pair_advance(p, 10 * NS_S);
	rebind(p, h, 7);
	rebind(p, h, 7); /* one question is enough */
	pair_advance(p, 3 * NS_S - 1);
	answer_ping(p, two);
	assert_int_equal(station_heard_at(station_of(p, h), 2), p->now); /* CLI-041 */
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 0);
	pair_advance(p, 1);
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_PING);
	told(p, h, DELIVER_CLOSED, 1, 3, STATION_CLOSE_PING);
	assert_int_equal(wire_end(p, one)->ended, PAIR_RESET);
	assert_int_equal(wire_end(p, three)->ended, PAIR_RESET);
	region_ready(p, 1, A, true);
	quiet(p, two);
	pair_advance(p, 10 * NS_S);
	assert_true(is_open(p, h, 2));
	assert_false(is_open(p, h, 3));
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 2);
}

/* CLI-039: a connection that breaks while it is asked has not answered: home comes back without waiting. */
STORY(rebind_broken)
{
	int h, one;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	rebind(p, h, 7);
	wire_reset(p, one);
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_PING);
	region_ready(p, 1, A, true);
}

/* CLI-039: another private key closes everything and logs in at home under it; the same one changes nothing. */
STORY(key_changes)
{
	struct key a = pair_key(A), c = pair_key(C);
	int h, one;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_KEY, .p = a.b, .n = KEY_SIZE });
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_KEY, .p = c.b, .n = KEY_SIZE });
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_KEY);
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	region_ready(p, 1, C, true);
	assert_memory_equal(station_public_key(station_of(p, h)), pair_public(C).b, KEY_SIZE);
}

/* CLI-020: what the last network check said of IPv6 reaches open clients and new ones. */
STORY(prefers_v6)
{
	int h;

	regions_listen(p);
	h = station_with(p, A, "prefer-v6=on\n");
	set_home(p, h, 1);
	pair_advance(p, 200 * NS_MS - 1);
	assert_int_equal(p->streams, 0);
	pair_advance(p, 1);
	wire_reset(p, region_ready(p, 1, A, true));
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_PREFER_V6, .flag = false });
	pair_advance(p, 15 * NS_MS);
	region_ready(p, 1, A, true);
	send_to(p, h, B, 2, "b");
	region_ready(p, 2, A, false);
}

/* ---- CLI-040, CLI-041 ---- */

static const char *problem_of(struct pair *p, int h, uint32_t region)
{
	struct station_view view;

	assert_true(station_region(station_of(p, h), region, &view));
	return view.problem;
}

/* CLI-040: Health says what is wrong or that nothing is; ServerInfo says that nothing is. At most 255 bytes are kept. */
STORY(health)
{
	static char text[1 << 20];
	struct station_view view;
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	assert_true(station_region(station_of(p, h), 1, &view));
	assert_false(view.connected);
	s = region_ready(p, 1, A, true);
	assert_null(problem_of(p, h, 1));
	wire_send_frame(p, s, FRAME_HEALTH, "sick", 4);
	assert_string_equal(problem_of(p, h, 1), "sick");
	told(p, h, DELIVER_HEALTH, 0, 1, 0);
	wire_send_frame(p, s, FRAME_HEALTH, NULL, 0);
	assert_null(problem_of(p, h, 1));
	memset(text, 'x', sizeof text);
	for (uint32_t n = 254; n <= sizeof text; n += n < 256 ? 1 : (uint32_t)sizeof text - 256) {
		wire_send_frame(p, s, FRAME_HEALTH, text, n);
		assert_int_equal(strlen(problem_of(p, h, 1)), n < 255 ? n : 255);
	}
	wire_send_frame(p, s, FRAME_RESTARTING, "\0\0\0\1\0\0\0\2", 8); /* changes nothing */
	server_info(p, s, A, &(struct server_info){ .version = 2 });
	assert_null(problem_of(p, h, 1));
	assert_true(station_region(station_of(p, h), 1, &view));
	assert_true(view.connected);
	wire_reset(p, s);
	assert_true(station_region(station_of(p, h), 1, &view));
	assert_false(view.connected);
}

/* CLI-041: last heard is recorded with the first message of a connection and then when more than 5 s are over, by whatever message. */
STORY(last_heard)
{
	uint64_t first;
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	assert_true(station_heard_at(station_of(p, h), 1) == TIME_NEVER);
	pair_advance(p, NS_S);
	s = region_ready(p, 1, A, true);
	first = p->now;
	assert_int_equal(station_heard_at(station_of(p, h), 1), first);
	for (int i = -1; i <= 1; i++) {
		pair_advance(p, first + 5 * NS_S + (uint64_t)(NS_S + i) - NS_S - p->now);
		wire_send_frame(p, s, FRAME_KEEP_ALIVE, NULL, 0);
		assert_int_equal(station_heard_at(station_of(p, h), 1), i == 1 ? p->now : first);
	}
	wire_send_frame(p, s, FRAME_RESTARTING, "\0\0\0\1\0\0\0\2", 8);
	pair_advance(p, NS_S);
	wire_reset(p, s);
	pair_advance(p, 15 * NS_MS);
	region_ready(p, 1, A, true); /* a new connection: recorded at once */
	assert_int_equal(station_heard_at(station_of(p, h), 1), p->now);
}

/* Of so many regions it is known when they were heard; one more takes the place of the one that was heard longest ago. */
static void heard_max(void **state)
{
	struct pair *p = pair_new(0);
	char *text = malloc(1 << 16);
	size_t n = (size_t)snprintf(text, 1 << 16, "{\"Regions\":{");
	int h;

	(void)state;
	assert_non_null(text);
	for (uint32_t i = 1; i <= 257; i++)
		n += (size_t)snprintf(text + n, (1 << 16) - n, "%s\"%u\":{\"Nodes\":[{\"HostName\":\"192.0.2.61\",\"DERPPort\":80}]}",
		                      i > 1 ? "," : "", i);
	n += (size_t)snprintf(text + n, (1 << 16) - n, "}}");
	regions_listen(p);
	h = station_alone(p, A, "");
	set_map_text(p, h, text, n);
	for (uint32_t i = 1; i <= 257; i++) {
		uint32_t region = i == 2 ? 1 : i == 1 ? 2 : i; /* the oldest is not the first of the list for long */
		send_to(p, h, B, region, "x");
		region_ready(p, 1, A, false);
		if (i == 2) { /* the second one is heard once more, so that region 1 is the oldest */
			struct station_view view;
			assert_true(station_region(station_of(p, h), 2, &view));
			pair_advance(p, 6 * NS_S);
			wire_send_frame(p, 0, FRAME_KEEP_ALIVE, NULL, 0);
		}
		if (i == 256) assert_true(station_heard_at(station_of(p, h), 1) != TIME_NEVER);
		pair_advance(p, 2 * NS_S);
	}
	assert_true(station_heard_at(station_of(p, h), 1) == TIME_NEVER);
	for (uint32_t i = 2; i <= 257; i++) assert_true(station_heard_at(station_of(p, h), i) != TIME_NEVER);
	free(text);
	pair_free(p);
}

/* CLI-041: no message from home for 2 min 5 s is a warning; the next message ends it, and so does another home. */
STORY(warning)
{
	int h, s;

	regions_listen(p);
	pair_listen_set(p, region_at(2), PAIR_SILENT);
	h = station_with(p, A, "");
	pair_advance(p, 3600 * NS_S); /* without home there is none */
	set_home(p, h, 1);
	s = region_ready(p, 1, A, true);
	pair_listen_set(p, region_at(1), PAIR_SILENT);
	pair_advance(p, 125 * NS_S - 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_WARNING), 0);
	pair_advance(p, 1);
	told(p, h, DELIVER_WARNING, 0, 1, 1);
	pair_advance(p, 1200 * NS_S);
	assert_int_equal(pair_heard_count(p, h, DELIVER_WARNING), 1);
	pair_listen_set(p, region_at(1), PAIR_WIRE);
	pair_advance(p, 9 * NS_S);
	s = region_ready(p, 1, A, true);
	told(p, h, DELIVER_WARNING, 1, 1, 0);
	pass(p, 3600 * NS_S);
	assert_int_equal(wire_end(p, s)->ended, PAIR_OPEN);
	assert_int_equal(pair_heard_count(p, h, DELIVER_WARNING), 2);
	set_home(p, h, 2); /* never heard: the time begins with it */
	pair_advance(p, 125 * NS_S - 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_WARNING), 2);
	pair_advance(p, 1);
	told(p, h, DELIVER_WARNING, 2, 2, 1);
	set_home(p, h, 0);
	told(p, h, DELIVER_WARNING, 3, 2, 0);
	send_to(p, h, B, 3, "x");
	region_ready(p, 3, A, false);
	pair_advance(p, 3600 * NS_S); /* heard an hour ago, as what it was then */
	pair_listen_set(p, region_at(3), PAIR_SILENT);
	set_home(p, h, 3);
	pair_advance(p, 125 * NS_S - 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_WARNING), 4);
	pair_advance(p, 1);
	told(p, h, DELIVER_WARNING, 4, 3, 1);
}

/* ---- limits and ends ---- */

/* CLI-001 comes before everything: too long a packet opens no connection. */
STORY(too_long)
{
	static uint8_t big[65537];
	struct key b = pair_public(B);
	int h = station_with(p, A, "");

	for (uint32_t n = 65535; n <= 65537; n++)
		pair_command(p, h, &(struct event_command){ .verb = COMMAND_SEND, .dst = b.b, .region = n - 65533, .p = big, .n = n });
	assert_true(is_open(p, h, 2) && is_open(p, h, 3));
	assert_false(is_open(p, h, 4));
	assert_int_equal(pair_heard_count(p, h, DELIVER_DROPPED), 1);
	told(p, h, DELIVER_DROPPED, 0, 0, DROP_WRITE_ERROR);
}

/* As many connections as the configuration says and not one more. Home gets its place nevertheless: the one that was silent longest goes. */
STORY(regions_max)
{
	int h, two;

	regions_listen(p);
	h = station_with(p, A, "regions-max=2\n");
	send_to(p, h, B, 2, "x");
	two = region_ready(p, 2, A, false);
	pair_advance(p, NS_S);
	send_to(p, h, B, 3, "x");
	region_ready(p, 3, A, false);
	send_to(p, h, B, 4, "x");
	told(p, h, DELIVER_REFUSED, 0, 4, REFUSED_LIMIT);
	assert_int_equal(pair_heard(p, h, DELIVER_REFUSED, 0)->n, 1);
	assert_int_equal(pair_heard(p, h, DELIVER_REFUSED, 0)->b, COMMAND_SEND);
	set_home(p, h, 1);
	told(p, h, DELIVER_CLOSED, 0, 2, STATION_CLOSE_ROOM);
	assert_int_equal(wire_end(p, two)->ended, PAIR_RESET);
	region_ready(p, 1, A, true);
	assert_true(is_open(p, h, 3));
	assert_int_equal(station_connections(station_of(p, h)), 2);
}

/* CLI-026: Leave closes everything with FIN, and says when it is over; commands are refused then. */
STORY(leave)
{
	int h, one, two;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	one = region_ready(p, 1, A, true);
	send_to(p, h, B, 2, "x");
	two = wire_region(p, 2);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_LEAVE });
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	assert_int_equal(wire_end(p, two)->ended, PAIR_EOF);
	assert_int_equal(pair_heard_count(p, h, DELIVER_DROPPED), 1);
	wire_fin(p, one);
	assert_int_equal(pair_heard_count(p, h, DELIVER_STOPPED), 0);
	wire_fin(p, two);
	assert_int_equal(pair_heard_count(p, h, DELIVER_STOPPED), 1);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_LEAVE });
	set_home(p, h, 2);
	told(p, h, DELIVER_REFUSED, 0, 2, REFUSED_LEFT);
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(p->streams, 2);
	assert_int_equal(pair_heard_count(p, h, DELIVER_STOPPED), 1);
	assert_true(machine_deadline(p->host[h].machine) == TIME_NEVER);
	h = station_alone(p, B, "");
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_LEAVE });
	assert_int_equal(pair_heard_count(p, h, DELIVER_STOPPED), 1);
}

/* Two stations by way of our own relays: each at home in its region, they meet in the other's. */
STORY(two_stations)
{
	static const char map[] = "{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\",\"IPv4\":\"192.0.2.101\",\"IPv6\":\"-\",\"DERPPort\":80}]},"
				  "\"2\":{\"Nodes\":[{\"HostName\":\"b\",\"IPv4\":\"192.0.2.102\",\"IPv6\":\"-\",\"DERPPort\":80}]}}}";
	int a, b;

	pair_relay(p, SERVER, "raw=on\n");
	pair_relay(p, 0xa0, "raw=on\n");
	a = station_alone(p, A, "");
	b = station_alone(p, B, "");
	for (int h = a; h <= b; h++) set_map_text(p, h, map, sizeof map - 1);
	set_home(p, a, 1);
	set_home(p, b, 2);
	set_peer(p, a, B, 2);
	send_to(p, a, B, 0, "to your home");
	packet_came(p, b, 0, A, "to your home");
	told(p, b, DELIVER_PACKET, 0, 2, 0);
	send_to(p, b, A, 0, "where you came from"); /* CLI-030 */
	packet_came(p, a, 0, B, "where you came from");
	told(p, a, DELIVER_PACKET, 0, 2, 0);
	assert_int_equal(station_connections(station_of(p, a)), 2);
	assert_int_equal(station_connections(station_of(p, b)), 1);
	pair_advance(p, 75 * NS_S); /* CLI-034: region 2 is closed by a, whom b then cannot reach there (PGR-016) */
	assert_int_equal(station_connections(station_of(p, a)), 1);
	assert_int_equal(route_to(p, b, A), 0);
	send_to(p, b, A, 0, "lost");
	told(p, b, DELIVER_REFUSED, 0, 0, REFUSED_ROUTE);
}

static void config_checked(void **state)
{
#define K "key=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ K, true },
		{ "", false },
		{ K "regions-max=1\npeers-max=1\nprofile=derper\n", true },
		{ K "retry=full-jitter\nplain=on\n# a word\n\nproxy=http://192.0.2.1\n", true },
		{ K "home=on\n", false },
		{ K "region={}\n", false },
		{ K "url=http://x\n", false },
		{ K "connect=off\n", false },
		{ K "watch=on\n", false },
		{ K "keys=1\n", false },
		{ K K, false },
		{ K "plain=on", true },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = 0;
		if (station_config_check(cases[i].text, strlen(cases[i].text), error) != cases[i].good) fail_msg("%s: %s", cases[i].text, error);
		assert_int_equal(error[0] != 0, !cases[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(home_stays),
		cmocka_unit_test(home_before_connection),
		cmocka_unit_test(home_comes_back),
		cmocka_unit_test(half_open),
		cmocka_unit_test(second_node),
		cmocka_unit_test(return_to_first_node),
		cmocka_unit_test(others_come_and_go),
		cmocka_unit_test(looks),
		cmocka_unit_test(reaped_late),
		cmocka_unit_test(one_connection_a_region),
		cmocka_unit_test(linger),
		cmocka_unit_test(queues),
		cmocka_unit_test(home_changes),
		cmocka_unit_test(homeless),
		cmocka_unit_test(network_down),
		cmocka_unit_test(rebind_address),
		cmocka_unit_test(rebind_ping),
		cmocka_unit_test(rebind_broken),
		cmocka_unit_test(key_changes),
		cmocka_unit_test(prefers_v6),
		cmocka_unit_test(health),
		cmocka_unit_test(last_heard),
		cmocka_unit_test(heard_max),
		cmocka_unit_test(warning),
		cmocka_unit_test(too_long),
		cmocka_unit_test(regions_max),
		cmocka_unit_test(leave),
		cmocka_unit_test(two_stations),
		cmocka_unit_test(config_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
