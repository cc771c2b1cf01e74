/* Transcripts of STUN: the recorded datagrams come to our relay, which answers what the original answered, byte by byte, and is silent
 * where that was; our network check asks in the place of the recorded one, what it asked, and believes the recorded answer. Both but for
 * the transaction ID, which is drawn, and its checksum. The relay with both profiles; the check has none. STN-002, STN-003. */
#include "pair_difference.h"
#include "pair_netcheck.h"

struct stun_play {
	const struct story *s;
	struct relay *relay;
	struct actions out, up;
	struct pair_buf answer[CONNS]; /* of the relay, until the recorded one has come */
};

static bool is_stun(const struct story *s, int conn) { return s->conn[conn][0] == 'u' || strcmp(s->conn[conn], "x") == 0; }

/* Where the relay saw this connection's datagrams come from: so its next answer says. */
static struct address seen_at(const struct story *s, size_t record, uint8_t txid[STUN_TXID])
{
	struct address at = { 0 };

	for (size_t i = record; i < s->records; i++)
		if (s->record[i].conn == s->record[record].conn && s->record[i].from_server) {
			assert_int_equal(stun_response_parse(s->record[i].p, (uint32_t)s->record[i].n, txid, &at), STUN_GOOD);
			return at;
		}
	fail_msg("%s: a request without any answer", s->conn[s->record[record].conn]);
	return at;
}

/* ---- our relay ---- */

static void relay_start(struct stun_play *x)
{
	static const struct socket_info socket = { .token = (uint64_t)1 << 32 | 7, .datagram = true };
	char hex[KEY_HEX + 1], config[120];
	struct event_start start = { .slot_first = 1, .slot_count = 64, .turn_max = 1024, .low_water = 1024, .sockets = &socket, .sockets_n = 1 };

	snprintf(config, sizeof config, "key=%s\n%s", pair_hex(0x00, hex), x->s->ours ? "" : "profile=derper\n");
	start.config = config, start.config_n = strlen(config);
	x->relay = relay_new(&(struct machine_env){ 0 });
	actions_init(&x->out);
	actions_init(&x->up);
	machine_step(relay_machine(x->relay), &(struct event){ .kind = EVENT_START, .start = &start }, &x->out, &x->up);
}

static void relay_asked(struct stun_play *x, size_t record)
{
	const struct record *r = &x->s->record[record];
	uint8_t txid[STUN_TXID];
	struct event_datagram d = { .local = pair_address(101, STUN_PORT), .peer = seen_at(x->s, record, txid), .p = r->p, .n = (uint32_t)r->n };
	const struct event e = { .kind = EVENT_DATAGRAM, .now = r->ms * NS_MS, .token = token_make(7, 1), .datagram = &d };

	if (x->answer[r->conn].n != 0) fail_msg("%s: an answer that was not recorded", x->s->conn[r->conn]);
	actions_reset(&x->out);
	machine_step(relay_machine(x->relay), &e, &x->out, &x->up);
	for (uint32_t i = 0; i < x->out.n; i++) {
		assert_int_equal(x->out.v[i].kind, ACTION_DATAGRAM);
		assert_true(address_equal(&x->out.v[i].address, &d.peer));
		pair_put(&x->answer[r->conn], action_head(&x->out, &x->out.v[i]), x->out.v[i].head_n);
	}
}

static void relay_answered(struct stun_play *x, const struct record *r)
{
	struct pair_buf *answer = &x->answer[r->conn];

	if (answer->n != r->n || memcmp(answer->p, r->p, r->n) != 0) fail_msg("%s: another answer than recorded", x->s->conn[r->conn]);
	answer->n = 0;
	compared++;
}

static void play_relay(const struct story *s)
{
	struct stun_play x = { .s = s };

	relay_start(&x);
	for (size_t i = 0; i < s->records; i++) {
		const struct record *r = &s->record[i];
		if (r->what != DATA || !is_stun(s, r->conn)) continue;
		if (r->from_server)
			relay_answered(&x, r);
		else
			relay_asked(&x, i);
	}
	for (int i = 0; i < s->conns; i++) {
		assert_int_equal(x.answer[i].n, 0);
		free(x.answer[i].p);
	}
	machine_free(relay_machine(x.relay));
	actions_free(&x.out);
	actions_free(&x.up);
	plays_judged++;
}

/* ---- our network check ---- */

/* In the place of the one that sent this record. */
static void play_check(const struct story *s, size_t record)
{
	const struct record *r = &s->record[record];
	uint8_t txid[STUN_TXID], asked[STUN_REQUEST];
	struct address seen = seen_at(s, record, txid);
	char text[ADDRESS_TEXT];
	struct world *w = world_new();

	address_text(&seen, text);
	world_add(w, UDP_ANSWERS, "192.0.2.1:3478", 4 * NS_MS)->mapped = text; /* with the bytes that relay_answered compares */
	world_start(w, "only=stun", "1");
	world_run_until(w, 10 * NS_S);
	assert_int_equal(w->requests, 1);
	assert_int_equal(r->n, STUN_REQUEST);
	assert_memory_equal(w->datagram, r->p, 8);
	assert_memory_equal(w->datagram + 8 + STUN_TXID, r->p + 8 + STUN_TXID, STUN_REQUEST - 8 - STUN_TXID - 4);
	stun_request(asked, txid); /* and the checksum */
	assert_memory_equal(asked, r->p, STUN_REQUEST);
	assert_true(address_equal(&netcheck_report(w->check)->global_v4, &seen));
	compared++;
	world_free(w);
}

static void stun_story(void **state)
{
	struct story *s = case_story(state);

	if (s == NULL) skip();
	play_relay(s);
	for (size_t i = 0; i < s->records; i++)
		if (s->record[i].what == DATA && !s->record[i].from_server && s->conn[s->record[i].conn][0] == 'u') play_check(s, i);
	story_free(s);
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX];

	return _cmocka_run_group_tests("stun", tests, transcript_cases(SIDE_STUN, stun_story, tests), NULL, difference_report);
}
