/* Names in the loop, against a small name server of the test's own. */
#include "os_dns.h"

#include "address.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_S = 8, TYPE_A = 1, TYPE_AAAA = 28 };

/* ---- a name server ---- */

struct server {
	struct os_watch watch; /* first */
	struct os_loop *loop;
	char at[40];
	bool silent;
	uint32_t asked;
};

/* The name in a question as text; returns what is behind it. */
static size_t read_name(const uint8_t *p, size_t at, char *out)
{
	size_t n = 0;

	for (; p[at] != 0; at += 1u + p[at]) {
		if (n != 0) out[n++] = '.';
		memcpy(out + n, p + at + 1, p[at]);
		n += p[at];
	}
	out[n] = 0;
	return at + 1;
}

/* Behind the question: `count` addresses 192.0.2.1.. or 2001:db8::1.. */
static size_t put_answers(uint8_t *p, size_t n, uint32_t type, uint32_t count)
{
	uint32_t size = type == TYPE_A ? 4 : 16;

	p[7] = (uint8_t)count;
	for (uint32_t i = 1; i <= count; i++) {
		uint8_t head[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)size };
		memcpy(p + n, head, sizeof head);
		n += sizeof head;
		memset(p + n, 0, size);
		memcpy(p + n, type == TYPE_A ? "\xc0\x00\x02\x00" : "\x20\x01\x0d\xb8", 4);
		p[n + size - 1] = (uint8_t)i;
		n += size;
	}
	return n;
}

/* two.test has two addresses of each family, four.test one of IPv4 and none of IPv6, many.test more than a list holds, slow.test no answer at all. */
static void server_ready(struct os_watch *watch, uint32_t events)
{
	struct server *s = (struct server *)watch;
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	uint8_t p[2000] = { 0 };
	char name[256];
	ssize_t got = recvfrom(watch->fd, p, 500, 0, (struct sockaddr *)&from, &from_n);
	uint32_t type, count = 0;
	size_t n;

	(void)events;
	if (got < 12) return;
	s->asked++;
	n = read_name(p, 12, name) + 4;
	type = p[n - 3];
	if (s->silent || strcmp(name, "slow.test") == 0) return;
	p[2] = 0x84, p[3] = 0, p[11] = 0; /* an answer with authority; no additional records */
	if (strcmp(name, "two.test") == 0) count = 2;
	if (strcmp(name, "four.test") == 0) count = type == TYPE_A;
	if (strcmp(name, "many.test") == 0) count = type == TYPE_A ? 25 : 17; /* what 512 bytes hold */
	if (count == 0 && strcmp(name, "four.test") != 0) p[3] = 3;           /* there is no such name */
	n = put_answers(p, n, type, count);
	sendto(watch->fd, p, n, 0, (struct sockaddr *)&from, from_n);
}

static struct server *server_new(struct os_loop *loop, bool silent)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof name;
	struct server *s = calloc(1, sizeof *s);

	*s = (struct server){ .watch = { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), .ready = server_ready },
		              .loop = loop,
		              .silent = silent };
	assert_int_equal(bind(s->watch.fd, (struct sockaddr *)&name, n), 0);
	getsockname(s->watch.fd, (struct sockaddr *)&name, &n);
	snprintf(s->at, sizeof s->at, "127.0.0.1:%u", ntohs(name.sin_port));
	os_loop_watch(loop, &s->watch, EPOLLIN);
	return s;
}

static void server_end(struct server *s)
{
	os_loop_unwatch(s->loop, &s->watch);
	close(s->watch.fd);
	free(s);
}

/* ---- asking ---- */

struct heard {
	uint32_t calls, n;
	struct address v[OS_DNS_ADDRESSES_MAX];
	char why[100];
};

static void heard(void *ctx, const struct address *v, uint32_t n, const char *why)
{
	struct heard *h = ctx;

	h->calls++;
	h->n = n;
	assert_int_equal(n == 0, why != NULL);
	if (n != 0) memcpy(h->v, v, n * sizeof *v);
	snprintf(h->why, sizeof h->why, "%s", why == NULL ? "" : why);
}

static void await(struct os_loop *loop, const struct heard *h, uint32_t calls)
{
	uint64_t until = os_now() + WAIT_S * NS_S;

	while (h->calls < calls && os_now() < until) os_loop_turn(loop, until);
	assert_int_equal(h->calls, calls);
}

static void is(const struct heard *h, uint32_t n, const char *first)
{
	char text[ADDRESS_TEXT];

	assert_int_equal(h->n, n);
	if (n != 0) assert_string_equal(address_ip_text(&h->v[0], text), first);
	for (uint32_t i = 0; i < n; i++) assert_int_equal(h->v[i].port, 0);
}

/* Each family has its own answer; none is none, with a reason; more than a list holds are left out. */
static void families(void **state)
{
	static const struct {
		const char *name;
		bool v6;
		uint32_t n;
		const char *first;
	} cases[] = {
		{ "two.test", false, 2, "192.0.2.1" },
		{ "two.test", true, 2, "2001:db8::1" },
		{ "four.test", false, 1, "192.0.2.1" },
		{ "four.test", true, 0, NULL },
		{ "no-such.test", false, 0, NULL },
		{ "many.test", false, OS_DNS_ADDRESSES_MAX, "192.0.2.1" },
		{ "many.test", true, OS_DNS_ADDRESSES_MAX, "2001:db8::1" },
	};
	struct os_loop *loop = os_loop_new();
	struct server *s = server_new(loop, false);
	struct os_dns *dns = os_dns_new(loop, s->at);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct heard h = { 0 };
		os_dns_ask(dns, cases[i].name, cases[i].v6, heard, &h);
		await(loop, &h, 1);
		is(&h, cases[i].n, cases[i].first);
		os_loop_turn(loop, os_now()); /* the channel goes, the next question opens another */
	}
	os_dns_free(dns);
	server_end(s);
	os_loop_free(loop);
}

/* Literals need no server, and are answered before asking returns; so is localhost, which is ourselves (RFC 6761). */
static void without_server(void **state)
{
	struct os_loop *loop = os_loop_new();
	struct server *s = server_new(loop, true);
	struct os_dns *dns = os_dns_new(loop, s->at);
	struct heard h = { 0 };

	(void)state;
	assert_null(os_dns_ask(dns, "192.0.2.9", false, heard, &h));
	is(&h, 1, "192.0.2.9");
	assert_null(os_dns_ask(dns, "192.0.2.9", true, heard, &h));
	is(&h, 0, NULL);
	assert_null(os_dns_ask(dns, "2001:db8::9", true, heard, &h));
	is(&h, 1, "2001:db8::9");
	assert_null(os_dns_ask(dns, "2001:db8::9", false, heard, &h));
	is(&h, 0, NULL);
	assert_null(os_dns_ask(dns, "localhost", false, heard, &h));
	is(&h, 1, "127.0.0.1");
	assert_null(os_dns_ask(dns, "LocalHost", true, heard, &h));
	is(&h, 1, "::1");
	assert_int_equal(h.calls, 6);
	assert_int_equal(s->asked, 0);
	os_dns_free(dns);
	server_end(s);
	os_loop_free(loop);
}

/* An open question holds nobody up; cancelled it is never answered; nor are those that are open at the end. */
static void open_questions_wait_alone(void **state)
{
	struct os_loop *loop = os_loop_new();
	struct server *s = server_new(loop, false);
	struct os_dns *dns = os_dns_new(loop, s->at);
	struct heard slow = { 0 }, cancelled = { 0 }, quick = { 0 };
	struct os_dns_query *query;
	uint64_t from = os_now();

	(void)state;
	os_dns_ask(dns, "slow.test", false, heard, &slow);
	query = os_dns_ask(dns, "slow.test", true, heard, &cancelled);
	assert_non_null(query);
	for (uint32_t i = 0; i < 100; i++) os_dns_ask(dns, "two.test", i % 2, heard, &quick);
	await(loop, &quick, 100);
	os_dns_cancel(query);
	os_dns_cancel(os_dns_ask(dns, "two.test", false, heard, &cancelled)); /* whose answer comes */
	os_dns_ask(dns, "two.test", true, heard, &quick);
	await(loop, &quick, 101);
	assert_true(os_now() - from < OS_DNS_TIMEOUT_MS * NS_MS);
	assert_int_equal(slow.calls, 0);
	os_dns_free(dns);
	assert_int_equal(slow.calls + cancelled.calls, 0);
	server_end(s);
	os_loop_free(loop);
}

/* A server that says nothing has its time; then the next is asked. */
static void next_server(void **state)
{
	struct os_loop *loop = os_loop_new();
	struct server *mute = server_new(loop, true), *s = server_new(loop, false);
	struct heard h = { 0 };
	uint64_t from = os_now();
	struct os_dns *dns;
	char both[100];

	(void)state;
	snprintf(both, sizeof both, "%s,%s", mute->at, s->at);
	dns = os_dns_new(loop, both);
	os_dns_ask(dns, "two.test", false, heard, &h);
	await(loop, &h, 1);
	is(&h, 2, "192.0.2.1");
	assert_int_equal(mute->asked, 1);
	assert_in_range(os_now() - from, OS_DNS_TIMEOUT_MS * NS_MS * 3 / 4, OS_DNS_TIMEOUT_MS * NS_MS * 2);
	os_dns_free(dns);
	server_end(mute);
	server_end(s);
	os_loop_free(loop);
}

static void servers_are_checked(void **state)
{
	(void)state;
	assert_true(os_dns_servers_check("192.0.2.1"));
	assert_true(os_dns_servers_check("192.0.2.1:5353,[2001:db8::1]:53,2001:db8::2"));
	assert_false(os_dns_servers_check(""));
	assert_false(os_dns_servers_check("192.0.2.1,"));
	assert_false(os_dns_servers_check("dns.example.net"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families),    cmocka_unit_test(without_server),      cmocka_unit_test(open_questions_wait_alone),
		cmocka_unit_test(next_server), cmocka_unit_test(servers_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
