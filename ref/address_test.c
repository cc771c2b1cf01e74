/* Address literals in and out. */
#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses from a copy of exactly that length. */
static bool parse(const char *text, bool port, struct address *out)
{
	size_t n = strlen(text);
	char *copy = malloc(n + (n == 0));
	bool good;

	assert_non_null(copy);
	memcpy(copy, text, n);
	good = port ? address_parse(copy, n, out) : address_ip_parse(copy, n, out);
	free(copy);
	return good;
}

/* Literals of both families; what is none; and back as text. */
static void literals(void **state)
{
	static const struct {
		const char *text, *back; /* NULL: refused */
	} cases[] = {
		{ "192.0.2.7", "192.0.2.7:9" },
		{ "0.0.0.0", "0.0.0.0:9" },
		{ "255.255.255.255", "255.255.255.255:9" },
		{ "256.0.0.1", NULL },
		{ "1.2.3", NULL },
		{ "1.2.3.4.5", NULL },
		{ "1.2.3.", NULL },
		{ ".1.2.3", NULL },
		{ "01.2.3.4", NULL },
		{ "1.2.3.04", NULL },
		{ "1.2.3.4 ", NULL },
		{ "0x1.2.3.4", NULL },
		{ "1..2.3", NULL },
		{ "99999999999.1.1.1", NULL },
		{ "", NULL },
		{ "name", NULL },
		{ "none", NULL },
		{ "::", "[0:0:0:0:0:0:0:0]:9" },
		{ "::1", "[0:0:0:0:0:0:0:1]:9" },
		{ "1::", "[1:0:0:0:0:0:0:0]:9" },
		{ "2001:db8::1", "[2001:db8:0:0:0:0:0:1]:9" },
		{ "2001:DB8:0:0:1:2:3:4", "[2001:db8:0:0:1:2:3:4]:9" },
		{ "1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:9" },
		{ "1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:9" },
		{ "::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:9" },
		{ "1:2:3::7:8", "[1:2:3:0:0:0:7:8]:9" },
		{ "::ffff:192.0.2.7", "192.0.2.7:9" },
		{ "64:ff9b::192.0.2.7", "[64:ff9b:0:0:0:0:c000:207]:9" },
		{ "1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]:9" },
		{ "1:2:3:4:5:6:7:1.2.3.4", NULL },
		{ "1::2:3:4:5:6:7:8", NULL },
		{ "::1.2.3", NULL },
		{ "1.2.3.4::", NULL },
		{ "1:2:3:4:5:6:7", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "1::2::3", NULL },
		{ ":::", NULL },
		{ ":1", NULL },
		{ "1:", NULL },
		{ ":", NULL },
		{ "12345::", NULL },
		{ "g::", NULL },
		{ "fe80::1%eth0", NULL },
		{ "[::1]", NULL },
		{ "::1 ", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a = { .port = 9 };
		char text[ADDRESS_TEXT];
		if (parse(cases[i].text, false, &a) != (cases[i].back != NULL)) fail_msg("%s", cases[i].text);
		if (cases[i].back != NULL) assert_string_equal(address_text(&a, text), cases[i].back);
	}
}

/* With ports: 0 to 65535, IPv6 in brackets only; a refused text changes nothing. */
static void with_ports(void **state)
{
	static const char *const good[] = { "192.0.2.7:443", "192.0.2.7:0", "1.2.3.4:65535", "[2001:db8:0:0:0:0:0:1]:443", "[0:0:0:0:0:0:0:0]:1" };
	static const char *const bad[] = { "192.0.2.7",
		                           "192.0.2.7:",
		                           "192.0.2.7:65536",
		                           "192.0.2.7:123456",
		                           "192.0.2.7:-1",
		                           "192.0.2.7:1x",
		                           ":443",
		                           ":",
		                           "",
		                           "::1:443",
		                           "[::1]",
		                           "[::1]:",
		                           "[::1]443",
		                           "[192.0.2.7]:1",
		                           "[::1:443",
		                           "::1]:443",
		                           "[]:1",
		                           "[:1",
		                           "]:1",
		                           "name:1",
		                           "[::ffff:1.2.3.4]:1" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct address a;
		char text[ADDRESS_TEXT];
		if (!parse(good[i], true, &a)) fail_msg("%s", good[i]);
		assert_string_equal(address_text(&a, text), good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct address a = { .port = 7, .ip = { 1 } };
		if (parse(bad[i], true, &a)) fail_msg("%s", bad[i]);
		assert_int_equal(a.port, 7);
		assert_int_equal(a.ip[0], 1);
	}
}

static void comparing(void **state)
{
	struct address a, b, zero = { 0 };

	(void)state;
	assert_true(parse("192.0.2.7:443", true, &a) && parse("192.0.2.7:444", true, &b));
	assert_false(address_equal(&a, &b));
	b.port = 443;
	assert_true(address_equal(&a, &b));
	assert_true(address_is_v4(&a));
	assert_false(address_is_v4(&zero));
	assert_true(address_is_zero(&zero));
	assert_false(address_is_zero(&a));
	zero.port = 1;
	assert_false(address_is_zero(&zero));
}

/* The canonical form: the first longest run of zeros becomes "::", a single zero group does not, IPv4 is itself. */
static void canonical(void **state)
{
	static const char *const texts[][2] = {
		{ "192.0.2.7", NULL },
		{ "::", NULL },
		{ "::1", NULL },
		{ "1::", NULL },
		{ "2001:db8::1", NULL },
		{ "2001:DB8:0:0:0:0:0:0001", "2001:db8::1" },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3" },
		{ "1:0:0:2:3:0:0:4", "1::2:3:0:0:4" },
		{ "1:0:2:3:4:5:6:7", NULL },
		{ "0:1:2:3:4:5:6:0", NULL },
		{ "0:0:1:2:3:4:5:6", "::1:2:3:4:5:6" },
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct address a;
		char text[ADDRESS_TEXT];
		assert_true(parse(texts[i][0], false, &a));
		assert_string_equal(address_ip_text(&a, text), texts[i][1] == NULL ? texts[i][0] : texts[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(literals), cmocka_unit_test(with_ports), cmocka_unit_test(comparing),
		                            cmocka_unit_test(canonical) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
