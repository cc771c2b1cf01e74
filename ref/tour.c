/* The tour of ref/README.md: two meshed relays and three clients of theirs in one process, over wires of memory. */
#include <derp/derp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELAYS = 2, HOSTS = 5, ENDS = 16, MAILS = 100, MAIL_MAX = 512, LISTENER = 1 };
static struct host { /* drives one machine */
	const char *name;
	struct machine *machine;
	const uint8_t *key;
	struct actions out, up;
} host[HOSTS] = { { .name = "relay1" }, { .name = "relay2" }, { .name = "alice" }, { .name = "bob" }, { .name = "carol" } };
static struct end { /* of a wire: 2i dialled, 2i + 1 accepted */
	struct host *host;
	uint64_t token;
} end[ENDS];
static struct mail { /* an event on its way to an end */
	struct end *to;
	struct event event;
	uint8_t bytes[MAIL_MAX];
} mail[MAILS];
static uint32_t ends, mails, done;
static void post(struct end *to, struct event event, const uint8_t *head, uint32_t head_n, struct span span)
{
	struct mail *m = &mail[mails++];
	if (mails == MAILS || head_n + span.n > MAIL_MAX) abort();
	if (head_n != 0) memcpy(m->bytes, head, head_n); /* copied: head and span live until the actions are reset */
	if (span.n != 0) memcpy(m->bytes + head_n, span.p, span.n);
	m->to = to, m->event = event, m->event.token = to->token;
	if (event.kind == EVENT_BYTES) m->event.bytes = (struct event_bytes){ m->bytes, head_n + span.n };
}
static void apply(struct host *h, const struct action *x) /* what the machine wants */
{
	static const struct event_accepted accepted = { .listener = LISTENER };
	static const struct event_dialed dialed;
	uint32_t i = 0;
	while (i < ends && (end[i].host != h || end[i].token != x->token)) i++;
	if (x->kind == ACTION_DIAL && i < ENDS) { /* 10.0.0.N is relay N; the token of the end that accepts is the host's choice */
		end[ends++] = (struct end){ h, x->token };
		end[ends++] = (struct end){ &host[x->address.ip[15] - 1], token_make(i + 2, 1) };
		post(&end[i + 1], (struct event){ .kind = EVENT_ACCEPTED, .accepted = &accepted }, NULL, 0, (struct span){ 0 });
		post(&end[i], (struct event){ .kind = EVENT_DIALED, .dialed = &dialed }, NULL, 0, (struct span){ 0 });
	} else if (x->kind == ACTION_SEND && i < ends)
		post(&end[i ^ 1], (struct event){ .kind = EVENT_BYTES }, action_head(&h->out, x), x->head_n, x->span);
	else if (x->kind != ACTION_READ || x->read_n < MAIL_MAX)
		abort(); /* a real host has CLOSE, START_TLS, ASK, DATAGRAM, and READ of less */
}
static void hear(const struct host *h, const struct action *x) /* what the machine tells its owner */
{
	const char *from = "", *text = x->deliver.what == DELIVER_PACKET ? (const char *)x->span.p : NULL;
	for (int i = RELAYS; x->deliver.key != NULL && i < HOSTS; i++)
		if (memcmp(host[i].key, x->deliver.key, KEY_SIZE) == 0) from = host[i].name;
	if (text == NULL) printf("%s: %s\n", h->name, deliver_kind_name(x->deliver.what));
	if (text != NULL) printf("%s: packet from %s: %.*s\n", h->name, from, (int)x->span.n, text);
}
static void step(struct host *h, struct event event) /* one event is one turn. event.now stays 0: no time passes here */
{
	machine_step(h->machine, &event, &h->out, &h->up);
	for (uint32_t i = 0; i < h->up.n; i++) hear(h, &h->up.v[i]);
	for (uint32_t i = 0; i < h->out.n; i++) apply(h, &h->out.v[i]);
	actions_reset(&h->up), actions_reset(&h->out);
	if (machine_deadline(h->machine) == 0) step(h, (struct event){ .kind = EVENT_TIMER });
}
static void run(void) /* until nothing is on its way */
{
	for (; done < mails; done++) step(mail[done].to->host, mail[done].event);
}
static void start(int i, struct machine *machine, const uint8_t *key, uint32_t slots, const char *format, int relay)
{
	char config[300]; /* a real host draws all of the seed, and the keys */
	struct socket_info listener = { .token = LISTENER };
	struct event_start start = { .seed = { (uint8_t)i }, .slot_count = slots, .turn_max = MAIL_MAX, .low_water = MAILS * MAIL_MAX };
	start.config = config, start.config_n = (size_t)snprintf(config, sizeof config, format, i + 1, relay, 7);
	start.sockets = &listener, start.sockets_n = i < RELAYS, host[i].machine = machine, host[i].key = key;
	step(&host[i], (struct event){ .kind = EVENT_START, .start = &start });
}
static void tell(int from, int to, const char *text)
{
	struct event_command send = { .verb = COMMAND_SEND, .dst = host[to].key, .p = (const uint8_t *)text, .n = (uint32_t)strlen(text) };
	step(&host[from], (struct event){ .kind = EVENT_COMMAND, .command = &send });
	run();
}
int main(void)
{
	struct machine_env env = { 0 };
	struct relay *relay[] = { relay_new(&env), relay_new(&env) };
	struct client *client[] = { client_new(&env), client_new(&env), client_new(&env) };
	const char relays[] = "key=privkey:%064d\nmesh-with=http://10.0.0.%d\nmesh-key=%064d\n";
	const char clients[] = "key=privkey:%064d\nurl=http://10.0.0.%d/derp\n";
	for (int i = 0; i < 2; i++) start(i, relay_machine(relay[i]), relay_public_key(relay[i]), RELAY_SLOTS, relays, 2 - i);
	for (int i = 0; i < 3; i++) start(2 + i, client_machine(client[i]), client_public_key(client[i]), CLIENT_SLOTS, clients, 1 + i % 2);
	run();
	tell(2, 3, "over the mesh"); /* alice and carol are at relay 1, bob is at relay 2 */
	tell(3, 2, "and back");
	tell(2, 4, "next door");
	printf("relay1: %d packet into the mesh\n", (int)relay_counters(relay[0])->packets_forwarded_out);
	for (int i = 0; i < HOSTS; i++) machine_free(host[i].machine), actions_free(&host[i].out), actions_free(&host[i].up);
}
