/* Every kind of event, as bytes and back: the copy says what the event said, and bytes cut short are none. */
#include "event_code.h"

#include "recording.h"

#include "../ref/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key1[32] = { 1, 2, 3 }, key2[32] = { 9 };
static const struct address here = { { 0, 1, 2 }, 443 }, there = { { 0xff, 0xfe }, 65535 };

/* Encodes, decodes, encodes again: the same bytes. Each shorter piece, and one byte more, is refused or says something else. */
static struct event_copy *again(const struct event *e, bool names)
{
	struct event_code code = { 0 }, second = { 0 };
	struct event_copy *copy, *other;
	uint8_t *longer;

	event_encode(&code, e, names);
	copy = event_decode(e->kind, e->now, e->token, code.p, code.n);
	assert_non_null(copy);
	assert_int_equal(copy->e.kind, e->kind);
	assert_true(copy->e.now == e->now && copy->e.token == e->token);
	event_encode(&second, &copy->e, names);
	assert_int_equal(second.n, code.n);
	if (code.n != 0) assert_memory_equal(second.p, code.p, code.n);
	for (uint32_t n = 0; n < code.n; n++) {
		other = event_decode(e->kind, e->now, e->token, code.p, n);
		if (other == NULL) continue;
		event_encode(&second, &other->e, names);
		assert_true(second.n != code.n);
		event_copy_free(other);
	}
	longer = mem_zero(1, code.n + 1);
	if (code.n != 0) memcpy(longer, code.p, code.n);
	other = event_decode(e->kind, 0, 0, longer, code.n + 1);
	if (e->kind == EVENT_TIMER || e->kind == EVENT_DRAINED || e->kind == EVENT_CLOSED || e->kind == EVENT_ACCEPTED || e->kind == EVENT_DIALED ||
	    e->kind == EVENT_SECURED)
		assert_null(other);
	event_copy_free(other);
	free(longer);
	event_code_free(&code);
	event_code_free(&second);
	return copy;
}

static void test_start(void **state)
{
	const struct socket_info sockets[2] = { { .token = 5, .local = here, .tls = true }, { .token = 6, .local = there, .datagram = true } };
	struct event_start start = { .seed = { 1, 255 },
		                     .wall_ns = UINT64_MAX,
		                     .slot_first = 3,
		                     .slot_count = 4,
		                     .generation_first = 5,
		                     .turn_max = 6,
		                     .low_water = 7,
		                     .config = "a=b\n",
		                     .config_n = 4,
		                     .sockets = sockets,
		                     .sockets_n = 2 };
	struct event_copy *c = again(&(struct event){ .kind = EVENT_START, .now = 1, .start = &start }, false);
	const struct event_start *s = c->e.start;

	(void)state;
	assert_memory_equal(s->seed, start.seed, 32);
	assert_true(s->wall_ns == UINT64_MAX && s->slot_first == 3 && s->slot_count == 4 && s->generation_first == 5);
	assert_true(s->turn_max == 6 && s->low_water == 7 && s->config_n == 4 && s->sockets_n == 2);
	assert_string_equal(s->config, "a=b\n");
	assert_true(s->sockets[0].token == 5 && s->sockets[0].tls && !s->sockets[0].helper && !s->sockets[0].datagram);
	assert_true(s->sockets[1].token == 6 && !s->sockets[1].tls && s->sockets[1].datagram);
	assert_memory_equal(&s->sockets[1].local, &there, sizeof there);
	event_copy_free(c);
}

static void test_connection(void **state)
{
	struct event_accepted accepted = { .listener = 8, .local = here, .remote = there };
	struct event_dialed dialed = { .local = there, .remote = here };
	struct event_datagram datagram = { .local = here, .peer = there, .p = key1, .n = 20 };
	struct event_copy *c;

	(void)state;
	c = again(&(struct event){ .kind = EVENT_ACCEPTED, .token = UINT64_MAX, .accepted = &accepted }, false);
	assert_true(c->e.accepted->listener == 8);
	assert_memory_equal(&c->e.accepted->local, &here, sizeof here);
	assert_memory_equal(&c->e.accepted->remote, &there, sizeof there);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_DIALED, .dialed = &dialed }, false);
	assert_memory_equal(&c->e.dialed->local, &there, sizeof here);
	assert_memory_equal(&c->e.dialed->remote, &here, sizeof here);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_DATAGRAM, .datagram = &datagram }, false);
	assert_memory_equal(&c->e.datagram->peer, &there, sizeof here);
	assert_int_equal(c->e.datagram->n, 20);
	assert_memory_equal(c->e.datagram->p, key1, 20);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_BYTES, .bytes = { key2, 32 } }, false);
	assert_int_equal(c->e.bytes.n, 32);
	assert_memory_equal(c->e.bytes.p, key2, 32);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_DRAINED, .drained = { UINT64_MAX, 3 } }, false);
	assert_true(c->e.drained.n == UINT64_MAX && c->e.drained.left == 3);
	event_copy_free(c);
	event_copy_free(again(&(struct event){ .kind = EVENT_TIMER, .now = 77 }, false));
	for (int cause = 0; cause < CLOSE_CAUSES; cause++) {
		c = again(&(struct event){ .kind = EVENT_CLOSED, .closed = { (enum close_cause)cause } }, false);
		assert_int_equal(c->e.closed.cause, cause);
		event_copy_free(c);
	}
	assert_null(event_decode(EVENT_CLOSED, 0, 0, (const uint8_t[]){ CLOSE_CAUSES }, 1));
	assert_null(event_decode(EVENT_BYTES, 0, 0, key1, 0));
}

static void test_secured(void **state)
{
	static const struct certificate_name names[3] = { { "a.test", 6, false }, { "::1", 3, true }, { "", 0, false } };
	static const struct certificate chain[2] = { { .common_name = "one",
		                                       .common_name_n = 3,
		                                       .serial = UINT64_MAX,
		                                       .sha256 = { 7 },
		                                       .not_before_s = 1,
		                                       .not_after_s = 2,
		                                       .names = names,
		                                       .names_n = 2 },
		                                     { .common_name = "", .serial = 1, .names = names + 2, .names_n = 1 } };
	struct event_secured secured = { .version = 0x0304, .resumed = true, .chain = chain, .chain_n = 2 };
	struct event_copy *c = again(&(struct event){ .kind = EVENT_SECURED, .secured = &secured }, false);
	const struct event_secured *s = c->e.secured;

	(void)state;
	assert_true(s->version == 0x0304 && s->resumed && !s->verified && s->chain_n == 2);
	assert_memory_equal(s->chain[0].common_name, "one", 3);
	assert_true(s->chain[0].serial == UINT64_MAX && s->chain[0].sha256[0] == 7 && s->chain[0].not_before_s == 1 && s->chain[0].not_after_s == 2);
	assert_int_equal(s->chain[0].names_n, 2);
	assert_memory_equal(s->chain[0].names[0].p, "a.test", 6);
	assert_true(s->chain[0].names[1].ip && s->chain[0].names[1].n == 3 && !s->chain[0].names[0].ip);
	assert_true(s->chain[1].names_n == 1 && s->chain[1].names[0].n == 0);
	event_copy_free(c);
}

static void test_answer(void **state)
{
	struct address v[2] = { here, there };
	struct event_answer names = { .result = ANSWER_OK, .p = (const uint8_t *)v, .n = 2 },
			    body = { .result = ANSWER_OK, .status = 200, .p = key1, .n = 9 }, none = { .result = ANSWER_CANCELLED };
	struct event_copy *c = again(&(struct event){ .kind = EVENT_ANSWER, .answer = &names }, true);

	(void)state;
	assert_int_equal(c->e.answer->n, 2);
	assert_memory_equal(c->e.answer->p, v, sizeof v);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_ANSWER, .answer = &body }, false);
	assert_true(c->e.answer->status == 200 && c->e.answer->n == 9);
	assert_memory_equal(c->e.answer->p, key1, 9);
	event_copy_free(c);
	c = again(&(struct event){ .kind = EVENT_ANSWER, .answer = &none }, false);
	assert_true(c->e.answer->result == ANSWER_CANCELLED && c->e.answer->p == NULL && c->e.answer->n == 0);
	event_copy_free(c);
}

static void test_command(void **state)
{
	struct packet *packet = packet_copy(key1, 32);
	struct event_command m = {
		.flag = true, .owner = packet, .dst = key1, .src = key2, .p = packet->bytes + 1, .n = 30, .region = UINT64_MAX, .patience_ns = 4
	};
	struct event_copy *c;

	(void)state;
	for (int verb = 0; verb < COMMAND_VERBS; verb++) {
		m.verb = (enum command_verb)verb;
		c = again(&(struct event){ .kind = EVENT_COMMAND, .command = &m }, false);
		assert_true(c->e.command->verb == m.verb && c->e.command->flag && c->e.command->region == UINT64_MAX &&
		            c->e.command->patience_ns == 4);
		assert_memory_equal(c->e.command->dst, key1, 32);
		assert_memory_equal(c->e.command->src, key2, 32);
		assert_int_equal(c->e.command->n, 30);
		assert_memory_equal(c->e.command->p, key1 + 1, 30);
		assert_true(c->e.command->p == c->e.command->owner->bytes);
		event_copy_free(c);
	}
	m = (struct event_command){ .verb = COMMAND_LEAVE };
	c = again(&(struct event){ .kind = EVENT_COMMAND, .command = &m }, false);
	assert_true(c->e.command->owner == NULL && c->e.command->p == NULL && c->e.command->dst == NULL && c->e.command->src == NULL);
	event_copy_free(c);
	packet_drop(packet);
}

/* Each thing that an action says, changed alone, is another digest. */
static void test_digest(void **state)
{
	struct actions out, up;
	struct action *x;
	struct sim_digest seen[20];
	uint8_t head[3] = { 1, 2, 3 }, span[100] = { 0 };
	int n = 0;

	(void)state;
	actions_init(&out);
	actions_init(&up);
	memcpy(actions_send(&out, 7, 3), head, 3);
	actions_span(&out, span, 100);
#define TAKE() (seen[n++] = recording_digest((struct sim_digest){ 1, 2 }, 3, &out, 0, &up, 0))
	TAKE();
	x = &out.v[0];
	x->token = 8, TAKE(), x->token = 7;
	x->abort = 1, TAKE(), x->abort = 0;
	x->ask = 1, TAKE(), x->ask = 0;
	x->read_n = 1, TAKE(), x->read_n = 0;
	out.arena[2] = 9, TAKE(), out.arena[2] = 3;
	for (int i = 0; i < 100; i += 33) span[i] = 1, TAKE(), span[i] = 0;
	x->span.n = 99, TAKE(), x->span.n = 100;
	x->kind = ACTION_DATAGRAM, x->address = here, TAKE();
	x->address.port = 1, TAKE();
	x->kind = ACTION_DELIVER, x->deliver = (struct action_deliver){ .what = DELIVER_PACKET }, TAKE();
	x->deliver.key = key1, TAKE();
	x->deliver.b = 1, TAKE();
	x->kind = ACTION_START_TLS, x->tls = (struct action_tls){ .server = true }, TAKE();
	x->tls.meta_name = "", TAKE();
	x->tls.meta_name = "a", TAKE();
	for (int i = 0; i < n; i++)
		for (int k = 0; k < i; k++) assert_true(seen[i].a != seen[k].a);
	actions_free(&out);
	actions_free(&up);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),  cmocka_unit_test(test_connection), cmocka_unit_test(test_secured),
		cmocka_unit_test(test_answer), cmocka_unit_test(test_command),    cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
