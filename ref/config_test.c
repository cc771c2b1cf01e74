/* `key=value` lines into a struct, and messages that say what is wrong where. */
#include "config.h"
#include "key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
	bool flag;
	uint32_t small, wide, choice;
	uint64_t big, time, later;
	struct key key;
	struct config_text text;
};

static const char *const choices[] = { "one", "two", NULL };
#define FIELD(member) offsetof(struct sample, member)
static const struct config_key table[] = {
	{ "flag", CONFIG_BOOL, FIELD(flag), 0, 0, NULL },   { "small", CONFIG_U32, FIELD(small), 2, 9, NULL },
	{ "wide", CONFIG_U32, FIELD(wide), 0, 0, NULL },    { "choice", CONFIG_ENUM, FIELD(choice), 0, 0, choices },
	{ "big", CONFIG_U64, FIELD(big), 0, 0, NULL },      { "time", CONFIG_TIME, FIELD(time), 1000, 5000000000, NULL },
	{ "later", CONFIG_TIME, FIELD(later), 0, 0, NULL }, { "key", CONFIG_KEY, FIELD(key), 0, 0, NULL },
	{ "text", CONFIG_TEXT, FIELD(text), 0, 0, NULL },   { NULL, CONFIG_BOOL, 0, 0, 0, NULL },
};

/* Parses a copy of exactly that length; the text of a CONFIG_TEXT is dead afterwards. */
static bool parse(const char *text, struct sample *out, char error[CONFIG_ERROR_SIZE])
{
	size_t n = strlen(text);
	char *copy = malloc(n + (n == 0));
	bool good;

	assert_non_null(copy);
	memcpy(copy, text, n);
	memset(error, 0, CONFIG_ERROR_SIZE);
	good = config_parse(copy, n, table, out, error);
	free(copy);
	return good;
}

/* Every type; comments and blank lines; defaults stay where a key is absent; the last line needs no newline. */
static void every_type(void **state)
{
	static const char text[] = "# a comment = with equals\n\nflag=on\nsmall=9\nchoice=two\nbig=18446744073709551615\ntime=1500ms\nlater=never\n"
				   "key=privkey:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\ntext={\"a\":\"b=c\"}";
	struct sample x = { .later = 5 };
	char error[CONFIG_ERROR_SIZE];

	(void)state;
	assert_true(config_parse(text, sizeof text - 1, table, &x, error));
	assert_true(x.flag);
	assert_int_equal(x.small, 9);
	assert_int_equal(x.choice, 1);
	assert_true(x.big == UINT64_MAX);
	assert_int_equal(x.time, 1500000000);
	assert_int_equal(x.later, 0);
	assert_int_equal(x.key.b[31], 31);
	assert_int_equal(x.text.n, strlen("{\"a\":\"b=c\"}"));
	assert_memory_equal(x.text.p, "{\"a\":\"b=c\"}", x.text.n);
	x = (struct sample){ .small = 3, .later = 5 };
	assert_true(parse("", &x, error));
	assert_true(parse("\n\n#\n", &x, error));
	assert_int_equal(x.small, 3);
	assert_int_equal(x.later, 5);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: refused */
	} cases[] = {
		{ "later=1ns", 1 },
		{ "later=2us", 2000 },
		{ "later=3ms", 3000000 },
		{ "later=4s", 4000000000 },
		{ "later=5m", 300000000000 },
		{ "later=6h", 21600000000000 },
		{ "later=18446744073709551615ns", UINT64_MAX },
		{ "later=18446744073709551616ns", 0 },
		{ "later=5124096h", 0 },
		{ "later=1", 0 },
		{ "later=s", 0 },
		{ "later=1.5s", 0 },
		{ "later=-1s", 0 },
		{ "later=1 s", 0 },
		{ "later=1sec", 0 },
		{ "later=1S", 0 },
		{ "later=", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sample x = { 0 };
		char error[CONFIG_ERROR_SIZE];
		if (parse(cases[i].text, &x, error) != (cases[i].ns != 0)) fail_msg("%s: %s", cases[i].text, error);
		if (cases[i].ns != 0) assert_true(x.later == cases[i].ns);
	}
}

/* Messages name the line and what was expected; limits are good at their last value and bad behind it; a key is never repeated. */
static void refused(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: good */
	} cases[] = {
		{ "small=2", NULL },
		{ "small=1", "line 1: found 'small=1', expected a number from 2 to 9" },
		{ "small=10", "from 2 to 9" },
		{ "small=4294967298", "from 2 to 9" },
		{ "small=+3", "from 2 to 9" },
		{ "small=3x", "from 2 to 9" },
		{ "small= 3", "from 2 to 9" },
		{ "wide=4294967295", NULL },
		{ "wide=4294967296", "expected a number" }, /* 32 bits, also without limits */
		{ "wide=18446744073709551616", "expected a number" },
		{ "big=18446744073709551616", "expected a number" },
		{ "big=", "expected a number" },
		{ "time=1us", NULL },
		{ "time=999ns", "expected a time" },
		{ "time=5s", NULL },
		{ "time=5000000001ns", "expected a time" },
		{ "time=never", "expected a time" },
		{ "flag=true", "expected on or off" },
		{ "flag=", "expected on or off" },
		{ "choice=three", "one of: one two" },
		{ "choice=", "one of: one two" },
		{ "choice=on", "one of: one two" },
		{ "\n\nwhat=1\n", "line 3: found 'what=1', expected a known key" },
		{ "flag", "expected key=value" },
		{ "=x", "expected a known key" },
		{ " flag=on", "expected a known key" },
		{ "flag=on\nsmall=3\nflag=on", "line 3" },
		{ "key=secret", "64 hex digits" },
		{ "flag=on\r\n", "expected on or off" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sample x = { 0 };
		char error[CONFIG_ERROR_SIZE];
		if (parse(cases[i].text, &x, error) != (cases[i].says == NULL)) fail_msg("%s: %s", cases[i].text, error);
		if (cases[i].says != NULL && strstr(error, cases[i].says) == NULL) fail_msg("%s: %s", cases[i].text, error);
		assert_null(strstr(error, "secret"));
	}
}

/* A very long line is quoted in part only. */
static void long_line(void **state)
{
	char *text = malloc(100000), error[CONFIG_ERROR_SIZE];
	struct sample x = { 0 };

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 100000);
	assert_false(config_parse(text, 100000, table, &x, error));
	text[50000] = '=';
	assert_false(config_parse(text, 100000, table, &x, error));
	assert_non_null(strstr(error, "expected a known key"));
	memcpy(text, "key=", 4);
	assert_false(config_parse(text, 100000, table, &x, error));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_type), cmocka_unit_test(times), cmocka_unit_test(refused),
		                            cmocka_unit_test(long_line) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
