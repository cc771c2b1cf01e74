/* Events that come when their connection is over: a host may have them in its hands already when the machine closes (machine.h: a
 * turn's actions are done behind its steps). Nothing may come of them. */
#include "pair_relay.h"

static void late(struct pair *p, int r, uint64_t token)
{
	struct event_secured secured = { .version = 0x0304 };
	struct event e[] = {
		{ .kind = EVENT_BYTES, .now = p->now, .token = token, .bytes = { .p = (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", .n = 18 } },
		{ .kind = EVENT_DRAINED, .now = p->now, .token = token, .drained = { .n = 1 << 20, .left = 0 } },
		{ .kind = EVENT_SECURED, .now = p->now, .token = token, .secured = &secured },
	};
	struct actions out, up;

	actions_init(&out);
	actions_init(&up);
	for (size_t i = 0; i < sizeof e / sizeof *e; i++) {
		machine_step(p->host[r].machine, &e[i], &out, &up);
		assert_int_equal(out.n, 0);
		assert_int_equal(up.n, 0);
	}
	actions_free(&out);
	actions_free(&up);
}

/* Of one that has ended, of its successor's predecessor in the same slot, and of slots that nobody ever had. */
STORY(nothing_comes_of_it, RAW)
{
	struct relay_session_view view;
	int s = wire_login(p, r, A, NULL), other = wire_login(p, r, B, NULL), next;
	uint64_t gone = p->stream[s].end[0].host < 0 ? p->stream[s].end[1].token : p->stream[s].end[0].token;

	assert_true(relay_session(p->host[r].relay, gone, &view));
	wire_reset(p, s);
	assert_false(relay_session(p->host[r].relay, gone, &view));
	late(p, r, gone);
	next = wire_login(p, r, C, NULL);
	late(p, r, gone);
	late(p, r, token_make(70000, 1));
	assert_false(relay_session(p->host[r].relay, token_make(70000, 1), &view));
	ping(p, other);
	ping(p, next);
	assert_int_equal(counters(p, r)->current_connections, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_comes_of_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
