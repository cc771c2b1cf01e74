/* Bootstrap names: lists, rounds, and who is told what. */
#include "bootstrap.h"

#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct address ip(const char *text)
{
	struct address a = { 0 };

	assert_true(address_ip_parse(text, strlen(text), &a));
	return a;
}

static void make(struct bootstrap *b, const char *published, const char *unpublished)
{
	char error[200] = "";

	*b = (struct bootstrap){ 0 };
	if (!bootstrap_init(b, published, strlen(published), unpublished, strlen(unpublished), error)) fail_msg("%s", error);
}

static char body[4000];

static const char *ask(struct bootstrap *b, const char *query, const char *from)
{
	struct address remote = ip(from);
	struct reply reply;

	bootstrap_reply(b, query, &remote, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.type, "application/json");
	assert_int_equal(reply.with, REPLY_SAY_CLOSE | REPLY_BROWSER);
	assert_true(reply.n < sizeof body);
	if (reply.n != 0) memcpy(body, reply.body, reply.n);
	body[reply.n] = 0;
	reply_free(&reply);
	return body;
}

/* Which lists are taken; 16 names are the last good number, a name of 253 letters the longest. */
static void lists(void **state)
{
	static const struct {
		const char *published, *unpublished;
		bool good;
	} cases[] = {
		{ "", "", true },
		{ "a.example", "", true },
		{ "a.example,b.example", "c.example/0,d.example/100,e.example", true },
		{ "a.example,a.example", "", false },
		{ "a.example", "a.example/50", false },
		{ "a.example,,b.example", "", false },
		{ "a.example/50", "", false },
		{ "", "a.example/101", false },
		{ "", "a.example/", false },
		{ "", "a.example/-1", false },
		{ "", "a.example/1000", false },
		{ "a\"b", "", false },
		{ "a b", "", false },
		{ "A-1_Z.example", "", true },
		{ "a{b", "", false },
		{ "a[b", "", false },
		{ "a:b", "", false },
		{ "", "a.example/5x", false },
		{ "", "a.example/5.", false },
	};
	char text[400], error[200];
	struct bootstrap b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = 0;
		if (bootstrap_init(&b, cases[i].published, strlen(cases[i].published), cases[i].unpublished, strlen(cases[i].unpublished), error) !=
		    cases[i].good)
			fail_msg("%s | %s", cases[i].published, cases[i].unpublished);
		assert_int_equal(error[0] != 0, !cases[i].good);
		bootstrap_free(&b);
	}
	for (int n = 15; n <= 90; n += n < 17 ? 1 : 73) {
		int at = 0;
		for (int i = 0; i < n; i++) at += snprintf(text + at, sizeof text - (size_t)at, "%sn%d", i == 0 ? "" : ",", i);
		assert_int_equal(bootstrap_init(&b, text, (size_t)at, "", 0, error), n <= 16);
		bootstrap_free(&b);
	}
	memset(text, 'a', sizeof text);
	for (size_t n = 252; n <= 400; n += n < 254 ? 1 : 146) {
		assert_int_equal(bootstrap_init(&b, text, n, "", 0, error), n <= 253);
		bootstrap_free(&b);
	}
}

/* HTTP-042: nothing before the first round and without names; then an object of names in their order, each with all its addresses;
 * a name that has none is left out, one that had some keeps them. */
static void rounds(void **state)
{
	struct address v[2] = { ip("192.0.2.1"), ip("192.0.2.2") }, v6 = ip("2001:db8::1");
	uint8_t seed[32] = { 1 };
	struct bootstrap b;
	struct rng rng;

	(void)state;
	rng_init(&rng, seed);
	make(&b, "", "");
	bootstrap_finish(&b, &rng);
	assert_string_equal(ask(&b, NULL, "127.0.0.1"), "");
	bootstrap_free(&b);
	make(&b, "b.example,a.example,c.example", "u.example");
	assert_string_equal(ask(&b, NULL, "127.0.0.1"), "");
	bootstrap_finish(&b, &rng);
	assert_string_equal(ask(&b, NULL, "127.0.0.1"), "{}");
	bootstrap_resolved(&b, 1, 0, v, 1);
	bootstrap_resolved(&b, 0, 1, &v6, 1);
	bootstrap_finish(&b, &rng);
	assert_string_equal(ask(&b, NULL, "127.0.0.1"),
	                    "{\n\t\"a.example\": [\n\t\t\"2001:db8::1\"\n\t],\n\t\"b.example\": [\n\t\t\"192.0.2.1\"\n\t]\n}");
	bootstrap_resolved(&b, 1, 0, v + 1, 1);
	bootstrap_finish(&b, &rng);
	assert_string_equal(ask(&b, NULL, "127.0.0.1"),
	                    "{\n\t\"a.example\": [\n\t\t\"2001:db8::1\"\n\t],\n\t\"b.example\": [\n\t\t\"192.0.2.2\"\n\t]\n}");
	bootstrap_free(&b);
}

/* HTTP-042: the order is shuffled in each round, from the seed: all orders of three come up, and each address stands once. */
static void shuffled(void **state)
{
	struct address v[100];
	char seen[6][200] = { { 0 } };
	uint8_t seed[32] = { 7 };
	struct bootstrap b, again;
	struct rng rng, same;
	int orders = 0;

	(void)state;
	rng_init(&rng, seed);
	rng_init(&same, seed);
	for (int i = 0; i < 100; i++) {
		char text[20];
		snprintf(text, sizeof text, "192.0.2.%d", 10 + i);
		v[i] = ip(text);
	}
	make(&b, "a", "");
	make(&again, "a", "");
	bootstrap_resolved(&b, 0, 0, v, 2);
	bootstrap_resolved(&b, 0, 1, v + 2, 1);
	bootstrap_resolved(&again, 0, 0, v, 2);
	bootstrap_resolved(&again, 0, 1, v + 2, 1);
	for (int round = 0; round < 100; round++) {
		char text[200];
		int i = 0;
		bootstrap_finish(&b, &rng);
		bootstrap_finish(&again, &same);
		snprintf(text, sizeof text, "%s", ask(&b, NULL, "127.0.0.1"));
		assert_string_equal(ask(&again, NULL, "127.0.0.1"), text);
		for (int k = 0; k < 3; k++) {
			char address[ADDRESS_TEXT], quoted[ADDRESS_TEXT + 2];
			snprintf(quoted, sizeof quoted, "\"%s\"", address_ip_text(&v[k], address));
			assert_non_null(strstr(text, quoted));
		}
		while (i < orders && strcmp(seen[i], text) != 0) i++;
		if (i == orders) snprintf(seen[orders++], sizeof seen[0], "%s", text);
	}
	assert_int_equal(orders, 6);
	for (uint32_t n = 7; n <= 100; n += n < 9 ? 1 : 91) { /* 7, 8, 9 and 100 addresses: the rest is left out */
		bootstrap_resolved(&b, 0, 0, v, n);
		bootstrap_finish(&b, &rng);
		assert_int_equal(strstr(ask(&b, NULL, "127.0.0.1"), "192.0.2.17") != NULL, n >= 8);
		assert_null(strstr(ask(&b, NULL, "127.0.0.1"), "192.0.2.18"));
	}
	bootstrap_free(&b);
	bootstrap_free(&again);
}

/* HTTP-042, MET-004: an unpublished name alone, to its share of the sources, the same ones each time; who asks for anything else
 * gets the public list. */
static void by_name(void **state)
{
	struct address v = ip("192.0.2.1"), u = ip("198.51.100.1");
	uint8_t seed[32] = { 1 };
	struct bootstrap b;
	struct rng rng;
	int alone = 0;

	(void)state;
	rng_init(&rng, seed);
	make(&b, "a.example,n.example", "u.example,half.example/50,never.example/0,x.example");
	for (uint32_t i = 0; i < b.names; i++)
		if (strcmp(b.name[i].name, "n.example") != 0 && strcmp(b.name[i].name, "x.example") != 0)
			bootstrap_resolved(&b, i, 0, b.name[i].published ? &v : &u, 1);
	bootstrap_finish(&b, &rng);
	assert_string_equal(ask(&b, "u.example", "203.0.113.1"), "{\n\t\"u.example\": [\n\t\t\"198.51.100.1\"\n\t]\n}");
	assert_non_null(strstr(ask(&b, "never.example", "203.0.113.1"), "a.example"));
	assert_null(strstr(body, "never.example"));
	assert_non_null(strstr(ask(&b, "x.example", "203.0.113.1"), "a.example")); /* has no address */
	assert_non_null(strstr(ask(&b, "a.example", "203.0.113.1"), "a.example"));
	assert_non_null(strstr(ask(&b, "n.example", "203.0.113.1"), "a.example"));
	assert_non_null(strstr(ask(&b, "other.example", "203.0.113.1"), "a.example"));
	assert_non_null(strstr(ask(&b, "", "203.0.113.1"), "a.example"));
	assert_int_equal(b.count.requests, 7);
	assert_int_equal(b.count.published_hits, 1);
	assert_int_equal(b.count.published_misses, 1);
	assert_int_equal(b.count.unpublished_hits, 2);
	assert_int_equal(b.count.unpublished_percent_misses, 1);
	assert_int_equal(b.count.unpublished_misses, 3);
	for (int i = 0; i < 1000; i++) {
		char from[20];
		bool first;
		snprintf(from, sizeof from, "10.0.%d.%d", i / 250, i % 250);
		first = strstr(ask(&b, "half.example", from), "half.example") != NULL;
		assert_int_equal(strstr(ask(&b, "half.example", from), "half.example") != NULL, first);
		alone += first;
	}
	assert_in_range(alone, 430, 570);
	bootstrap_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(rounds),
		cmocka_unit_test(shuffled),
		cmocka_unit_test(by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
