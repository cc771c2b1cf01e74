/* Maps: what a new one closes, what it leaves alone, and what it makes of home. */
#include "pair_station.h"

static int ready_home(struct pair *p, int *s)
{
	int h;

	regions_listen(p);
	h = station_with(p, A, "");
	set_home(p, h, 1);
	*s = region_ready(p, 1, A, true);
	return h;
}

/* Without a map there is no region; the first one says which there are, and that a network check is due. A home that was chosen before is
 * opened with it. */
STORY(first_map)
{
	int h;

	regions_listen(p);
	h = station_alone(p, A, "");
	send_to(p, h, B, 1, "x");
	told(p, h, DELIVER_REFUSED, 0, 1, REFUSED_REGION);
	set_home(p, h, 1);
	assert_int_equal(station_home(station_of(p, h)), 1);
	assert_int_equal(p->streams, 0);
	set_map(p, h, 2, "", "");
	told(p, h, DELIVER_CHECK, 0, 0, STATION_CHECK_MAP);
	region_ready(p, 1, A, true);
	send_to(p, h, B, 3, "x");
	told(p, h, DELIVER_REFUSED, 1, 3, REFUSED_REGION);
}

/* MAP-011: an equal map has no effect, whether it is the same text or only says the same. */
STORY(equal_map)
{
	char text[4096], wide[8192];
	int one, h = ready_home(p, &one);
	size_t n = map_text(text, sizeof text, REGIONS, "", ""), w = 0;

	for (int i = 0; i < 3; i++) set_map(p, h, REGIONS, "", "");
	for (size_t i = 0; i < n; i++) {
		wide[w++] = text[i];
		if (text[i] == ',') wide[w++] = ' ';
	}
	set_map_text(p, h, wide, w);
	set_map(p, h, REGIONS, ",\"Unknown\":[1]", "\"Other\":{},");
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 1);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 0);
	assert_int_equal(station_home(station_of(p, h)), 1);
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
}

/* CLI-038: a changed home is closed and is home no more, until the network check that follows says so again; with the new definition. Other
 * regions are left alone. */
STORY(home_changed)
{
	int one, two, h = ready_home(p, &one);

	send_to(p, h, B, 2, "x");
	two = region_ready(p, 2, A, false);
	packet_is(p, two, B, "x");
	set_map(p, h, REGIONS, ",\"Avoid\":true", "");
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_MAP);
	told(p, h, DELIVER_CHECK, 1, 0, STATION_CHECK_MAP);
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	assert_int_equal(station_home(station_of(p, h)), 0);
	assert_false(station_homeless(station_of(p, h)));
	pair_advance(p, 50 * NS_S);
	assert_int_equal(station_connections(station_of(p, h)), 1);
	set_home(p, h, 1);
	quiet(p, two); /* it was not home and is not */
	region_ready(p, 1, A, true);
	told(p, h, DELIVER_HOME, 1, 1, 0);
}

/* CLI-038: a changed region that is not home is only closed; the next packet opens it at its new place. */
STORY(other_changed)
{
	static const char map[] =
		"{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"r1\",\"Nodes\":[{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"r1.test\","
		"\"IPv4\":\"192.0.2.61\",\"IPv6\":\"none\",\"DERPPort\":80}]},\"2\":{\"Nodes\":[{\"HostName\":\"new\",\"IPv4\":\"192.0.2.69\","
		"\"IPv6\":\"none\",\"DERPPort\":80}]}}}";
	int one, two, h = ready_home(p, &one);

	send_to(p, h, B, 2, "x");
	two = region_ready(p, 2, A, false);
	relay_sends(p, two, C, "x");
	set_map_text(p, h, map, sizeof map - 1);
	told(p, h, DELIVER_CLOSED, 0, 2, STATION_CLOSE_MAP);
	assert_int_equal(wire_end(p, two)->ended, PAIR_EOF);
	assert_int_equal(route_to(p, h, C), 0);
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
	assert_int_equal(station_home(station_of(p, h)), 1);
	send_to(p, h, B, 2, "y");
	packet_is(p, region_ready(p, 9, A, false), B, "y");
}

/* MAP-003, TRP-037: a region that is gone or null is closed and cannot be opened; new ones are there for who wants them. */
STORY(removed_and_added)
{
	int one, h = ready_home(p, &one);

	set_map(p, h, 1, "", "");
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
	told(p, h, DELIVER_CHECK, 1, 0, STATION_CHECK_MAP);
	send_to(p, h, B, 2, "x");
	told(p, h, DELIVER_REFUSED, 0, 2, REFUSED_REGION);
	set_map(p, h, 2, "", "");
	told(p, h, DELIVER_CHECK, 2, 0, STATION_CHECK_MAP);
	send_to(p, h, B, 2, "x");
	region_ready(p, 2, A, false);
	set_map_text(p, h, "{\"Regions\":{\"1\":null}}", 22);
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_MAP);
	told(p, h, DELIVER_CLOSED, 1, 2, STATION_CLOSE_MAP);
	assert_int_equal(station_home(station_of(p, h)), 0);
	assert_int_equal(station_connections(station_of(p, h)), 0);
	set_home(p, h, 1);
	pair_advance(p, 3600 * NS_S);
	assert_int_equal(p->streams, 2);
	set_map(p, h, 1, "", "");
	region_ready(p, 1, A, true);
}

/* MAP-012: an update without Regions keeps them; new HomeParams are a reason for a network check, the same ones are not. */
STORY(update_of_the_rest)
{
	int one, h = ready_home(p, &one);

	set_map_text(p, h, "{}", 2);
	set_map_text(p, h, "{\"Regions\":null}", 16);
	set_map_text(p, h, "{\"HomeParams\":null}", 19);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 1);
	set_map_text(p, h, "{\"HomeParams\":{\"RegionScore\":{}}}", 33);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 2);
	set_map(p, h, REGIONS, "", "\"HomeParams\":{\"RegionScore\":{\"1\":2}},");
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 3);
	set_map(p, h, REGIONS, "", "\"HomeParams\":{\"RegionScore\":{\"1\":2}},");
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 3);
	set_map(p, h, REGIONS, "", "");
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 4);
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CLOSED), 0);
}

/* CLI-038: no map closes everything; a map of no regions does so too, but is a map. */
STORY(no_map)
{
	int one, h = ready_home(p, &one);

	send_to(p, h, B, 2, "x");
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_MAP });
	told(p, h, DELIVER_CLOSED, 0, 1, STATION_CLOSE_MAP);
	told(p, h, DELIVER_CLOSED, 1, 2, STATION_CLOSE_MAP);
	assert_int_equal(wire_end(p, one)->ended, PAIR_EOF);
	assert_int_equal(station_home(station_of(p, h)), 0);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 1);
	send_to(p, h, B, 2, "x");
	told(p, h, DELIVER_REFUSED, 0, 2, REFUSED_REGION);
	pair_command(p, h, &(struct event_command){ .verb = COMMAND_MAP });
	set_map_text(p, h, "{\"Regions\":{}}", 14);
	assert_int_equal(pair_heard_count(p, h, DELIVER_CHECK), 2);
	set_map(p, h, 1, "", "");
	set_home(p, h, 1);
	region_ready(p, 1, A, true);
	set_map_text(p, h, "{\"Regions\":{}}", 14);
	assert_int_equal(station_home(station_of(p, h)), 0);
	assert_int_equal(station_connections(station_of(p, h)), 0);
}

/* A map that cannot be read is refused with the place and the reason, and the old one goes on. A region of which a client could make nothing is
 * as good as none. */
STORY(bad_maps)
{
	static const char *const bad[] = { "{", "null", "[]", "{\"Regions\":{\"x\":{}}}",
		                           "{\"Regions\":{\"1\":{\"Nodes\":[{\"DERPPort\":\"80\"}]}}}" };
	static const char odd[] =
		"{\"Regions\":{\"5\":{\"Nodes\":[{\"HostName\":\"a b\"}]},\"6\":{\"Nodes\":[{\"Name\":\"x\\r\\nY: z\",\"HostName\":\"a\"}]}}}";
	int one, h = ready_home(p, &one);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		set_map_text(p, h, bad[i], strlen(bad[i]));
		told(p, h, DELIVER_REFUSED, i, 0, REFUSED_TEXT);
		assert_true(pair_heard(p, h, DELIVER_REFUSED, i)->n > 5);
		assert_memory_equal(pair_heard(p, h, DELIVER_REFUSED, i)->p, "1:", 2);
	}
	assert_int_equal(wire_end(p, one)->ended, PAIR_OPEN);
	assert_int_equal(station_home(station_of(p, h)), 1);
	set_map_text(p, h, odd, sizeof odd - 1);
	for (uint32_t region = 5; region <= 6; region++) {
		send_to(p, h, B, region, "x");
		told(p, h, DELIVER_REFUSED, region, region, REFUSED_REGION);
	}
}

/* One text for many: a map in a counted packet is held, not copied, and given back with the station or with the next map. */
STORY(shared_map)
{
	char text[4096];
	size_t n = map_text(text, sizeof text, REGIONS, "", "");
	struct packet *packet = packet_copy((const uint8_t *)text, (uint32_t)n);
	struct event_command command = { .verb = COMMAND_MAP, .owner = packet, .p = packet->bytes, .n = (uint32_t)n };
	int h[3];

	regions_listen(p);
	for (uint8_t i = 0; i < 3; i++) {
		h[i] = station_alone(p, (uint8_t)(0x20 + 0x20 * i), "");
		pair_command(p, h[i], &command);
		pair_command(p, h[i], &command);
		assert_int_equal(packet->count, 2 + i);
	}
	set_map(p, h[1], 1, "", "");
	pair_command(p, h[2], &(struct event_command){ .verb = COMMAND_MAP });
	assert_int_equal(packet->count, 2);
	packet_drop(packet);
	set_home(p, h[0], 4);
	region_ready(p, 4, A, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_map),     cmocka_unit_test(equal_map),         cmocka_unit_test(home_changed),
		cmocka_unit_test(other_changed), cmocka_unit_test(removed_and_added), cmocka_unit_test(update_of_the_rest),
		cmocka_unit_test(no_map),        cmocka_unit_test(bad_maps),          cmocka_unit_test(shared_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
