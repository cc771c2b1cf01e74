/* What the host does to a station's connections: names, TLS, transports that refuse, counted packets; and places that are about to be free. */
#include "pair_station.h"

static const char named_map[] = "{\"Regions\":{\"70000\":{},\"1\":\r\n{\"RegionID\":1,\"Nodes\":\r[{\"HostName\":\"r1.test\",\"DERPPort\":443}]}}}";

/* A node without addresses is asked for by its name, and reached over TLS under it; all of it through the station. */
STORY(name_and_tls)
{
	struct address relay = pair_address(101, 0);
	int a, b;

	pair_relay(p, SERVER, "");
	a = station_http(p, A, "");
	b = station_http(p, B, "");
	for (int h = a; h <= b; h++) {
		set_map_text(p, h, named_map, sizeof named_map - 1);
		set_home(p, h, 1);
		assert_string_equal(p->host[h].ask, "r1.test");
		pair_answer(p, h, &relay);
		told(p, h, DELIVER_READY, 0, 1, 1);
		assert_true(p->stream[p->streams - 1].end[0].secured);
	}
	send_to(p, a, B, 1, "hello");
	packet_came(p, b, 0, A, "hello");
}

/* A region that no station can use is no reason to close anything when it goes. */
STORY(huge_region_goes)
{
	static const char less[] = "{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"HostName\":\"r1.test\",\"DERPPort\":443}]}}}";
	struct address relay = pair_address(101, 0);
	int h;

	pair_relay(p, SERVER, "");
	h = station_http(p, A, "");
	set_map_text(p, h, named_map, sizeof named_map - 1);
	set_home(p, h, 1);
	pair_answer(p, h, &relay);
	set_map_text(p, h, less, sizeof less - 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 2); /* it is another map */
	assert_true(is_open(p, h, 1));
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 0);
	assert_int_equal(p->streams, 1);
}

/* What the transport does not take now waits in the client, and goes when it does, in order. */
STORY(transport_refuses)
{
	uint8_t big[16384];
	struct key b = peer_key(B);
	int h, s;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	s = region_ready(p, 1, A, true);
	wire_room(p, s, 0);
	memset(big, 'x', sizeof big);
	for (uint8_t i = 0; i < 20; i++) {
		big[0] = i;
		pair_command(p, h, &(struct event_command){ .verb = COMMAND_SEND, .dst = b.b, .region = 1, .p = big, .n = sizeof big });
	}
	assert_true(station_packets_queued(station_of(p, h)) > 0);
	wire_room(p, s, SIZE_MAX);
	assert_int_equal(station_packets_queued(station_of(p, h)), 0);
	for (uint8_t i = 0; i < 20; i++) {
		struct wire_frame f = { 0 };
		assert_true(wire_frame(p, s, &f));
		assert_int_equal(f.n, KEY_SIZE + sizeof big);
		assert_int_equal(f.p[KEY_SIZE], i);
	}
}

/* A counted packet that comes to nothing goes back to the owner, who has its own count all the while. CLI-001, CLI-030. */
STORY(counted_packets)
{
	struct packet *packet = packet_new(FRAME_PACKET_MAX + 1);
	struct key b = peer_key(B);
	int h;

	regions_listen(p);
	memset(packet->bytes, 'x', packet->n);
	h = station_with(p, A, "");
	for (uint32_t n = packet->n; n >= packet->n - 1; n--) {
		struct event_command m = { .verb = COMMAND_SEND, .owner = packet, .dst = b.b, .p = packet->bytes, .n = n };
		pair_command(p, h, &m);
		assert_int_equal(packet->count, 1);
	}
	told(p, h, DELIVER_DROPPED, 0, 0, DROP_WRITE_ERROR);
	told(p, h, DELIVER_REFUSED, 0, 0, REFUSED_ROUTE);
	assert_int_equal(pair_heard(p, h, DELIVER_REFUSED, 0)->n, FRAME_PACKET_MAX);
	packet_drop(packet);
}

/* A packet for region n, and a second. */
static void keep(struct pair *p, int h, uint32_t region)
{
	send_to(p, h, B, region, "x");
	pair_advance(p, NS_S);
}

/* CLI-039: connections that are being closed are let be when the network changes. */
STORY(rebind_while_leaving)
{
	struct address none = pair_address(99, 0);
	int h, two, three;

	regions_listen(p);
	h = station_with(p, A, "");
	send_to(p, h, B, 2, "x");
	send_to(p, h, B, 3, "x");
	two = region_ready(p, 2, A, false);
	three = region_ready(p, 3, A, false);
	pair_advance(p, 60 * NS_S);
	wire_fin(p, three); /* over; the other one lingers */
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 2);
	assert_int_equal(wire_end(p, two)->ended, PAIR_EOF);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_REBIND, .p = (const uint8_t *)&none, .n = sizeof none });
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_PREFER_V6, .flag = true });
	set_home(p, h, 1);
	pair_advance(p, 200 * NS_MS); /* the head start of IPv6 */
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 2);
	assert_int_equal(wire_end(p, two)->ended, PAIR_EOF); /* not reset */
	region_ready(p, 1, A, true);
}

/* Home waits for the place that is about to be free, and takes no other for it; else the one goes that was asked longest ago. */
STORY(room_for_home)
{
	int h, two;

	regions_listen(p);
	h = station_with(p, A, "regions-max=2\n");
	keep(p, h, 2);
	two = region_ready(p, 2, A, false);
	keep(p, h, 3);
	region_ready(p, 3, A, false);
	for (int i = 0; i < 58; i++) keep(p, h, 3);
	assert_false(is_open(p, h, 2)); /* lingers */
	set_home(p, h, 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 1);
	assert_true(is_open(p, h, 3));
	wire_fin(p, two);
	region_ready(p, 1, A, true);
	assert_true(is_open(p, h, 3));
	set_home(p, h, 4); /* 3 was asked before 1 became home, which is asked by nobody */
	assert_int_equal(station_connections(station_of(p, h)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_and_tls),    cmocka_unit_test(huge_region_goes),     cmocka_unit_test(transport_refuses),
		cmocka_unit_test(counted_packets), cmocka_unit_test(rebind_while_leaving), cmocka_unit_test(room_for_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
