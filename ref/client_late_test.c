/* Events of a connection that the client has done with: it may have them coming while it is already at the next node. */
#include "pair_client.h"

static void late(struct pair *p, int c, uint64_t token)
{
	struct event_secured secured = { .version = 0x0304 };
	struct event_dialed dialed = { .remote = wire_at };
	struct event e[] = {
		{ .kind = EVENT_DRAINED, .now = p->now, .token = token, .drained = { .n = 1 << 20, .left = 0 } },
		{ .kind = EVENT_SECURED, .now = p->now, .token = token, .secured = &secured },
		{ .kind = EVENT_DIALED, .now = p->now, .token = token, .dialed = &dialed },
	};
	struct actions out, up;

	actions_init(&out);
	actions_init(&up);
	for (size_t i = 0; i < sizeof e / sizeof *e; i++) {
		machine_step(p->host[c].machine, &e[i], &out, &up);
		assert_int_equal(out.n, 0);
		assert_int_equal(up.n, 0);
	}
	actions_free(&out);
	actions_free(&up);
}

/* Of the connection before, while another is up; and of a dial that was given up after CLI-015's 1.5 s. */
STORY(nothing_comes_of_it)
{
	struct client *c;
	uint64_t first;
	int host, s;

	wire_listens(p);
	host = pair_client(p, A, WIRE "raw=on\nretry=fixed\nretry-after=1s\n");
	c = client_of(p, host);
	s = wire_ready(p, host, A);
	first = client_token(c);
	late(p, host, first ^ (UINT64_C(1) << 40)); /* a generation that it never had */
	wire_reset(p, s);
	pair_advance(p, NS_S);
	s = wire_ready(p, host, A);
	assert_true(client_token(c) != first);
	late(p, host, first);
	state_is(p, host, CLIENT_READY);
	wire_send_frame(p, s, FRAME_HEALTH, "x", 1);
	assert_non_null(pair_heard(p, host, DELIVER_HEALTH, 0));
}

/* It may be freed at any time; what it has read of a head goes with it (a sanitizer sees that). */
STORY(freed_in_the_midst)
{
	int c;

	wire_listens(p);
	c = pair_client(p, A, WIRE "retry=manual\n");
	wire_send(p, wire_relay(p), "HTTP/1.1 101 x\r\n", 16);
	state_is(p, c, CLIENT_HTTP);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_comes_of_it), cmocka_unit_test(freed_in_the_midst) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
