/* Options as design.md says them for all tools. */
#include "os_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLAG = 1, VALUE, SWITCH };
static const struct os_option options[] = {
	{ FLAG, "flag", 'f', false }, { VALUE, "value", 'v', true }, { SWITCH, "switch", 0, OS_ON_OFF }, { 0, NULL, 0, false }
};

static void begin(struct os_cli *cli, int argc, const char **argv) { os_cli_init(cli, "test", options, argc, (char **)(uintptr_t)argv); }

/* Every way to write an option, with arguments in between. */
static void options_anywhere(void **state)
{
	const char *argv[] = { "test",   "one", "--value=1", "two",     "--value",        "2",        "-v",     "3",     "-v4",
		               "-value", "5",   "-value=6",  "-f",      "--flag",         "-value=7", "-value", "8",     "-flag",
		               "--v",    "9",   "-v=10",     "-switch", "--switch=false", "-",        "--",     "--flag" };
	static const struct {
		int id;
		const char *value;
	} want[] = {
		{ OS_CLI_ARGUMENT, "one" },
		{ VALUE, "1" },
		{ OS_CLI_ARGUMENT, "two" },
		{ VALUE, "2" },
		{ VALUE, "3" },
		{ VALUE, "4" },
		{ VALUE, "5" },
		{ VALUE, "6" },
		{ FLAG, NULL },
		{ FLAG, NULL },
		{ VALUE, "7" },
		{ VALUE, "8" },
		{ FLAG, NULL },
		{ VALUE, "9" },
		{ VALUE, "10" },
		{ SWITCH, NULL },
		{ SWITCH, "false" },
		{ OS_CLI_ARGUMENT, "-" },
		{ OS_CLI_ARGUMENT, "--flag" },
		{ OS_CLI_END, NULL },
	};
	struct os_cli cli;

	(void)state;
	begin(&cli, sizeof argv / sizeof *argv, argv);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(os_cli_next(&cli), want[i].id);
		if (want[i].value != NULL) assert_string_equal(cli.value, want[i].value);
	}
}

/* What is wrong is said with what was found, and ends in OS_CLI_BAD. */
static void options_bad(void **state)
{
	static const struct {
		const char *word, *says;
	} bad[] = {
		{ "--none", "no option '--none'" }, { "-x", "no option '-x'" },           { "--flag=1", "takes no value, found '1'" },
		{ "--value", "needs a value" },     { "--valu=1", "no option '--valu'" },
	};
	int before = dup(STDERR_FILENO);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *argv[] = { "test", bad[i].word };
		char said[300] = "";
		struct os_cli cli;
		FILE *file = tmpfile();
		int id;
		begin(&cli, 2, argv);
		dup2(fileno(file), STDERR_FILENO);
		id = os_cli_next(&cli);
		dup2(before, STDERR_FILENO);
		rewind(file);
		assert_true(fread(said, 1, sizeof said - 1, file) > 0);
		fclose(file);
		assert_int_equal(id, OS_CLI_BAD);
		assert_non_null(strstr(said, bad[i].says));
	}
	close(before);
}

/* Numbers within limits, times with their units. */
static void values_are_checked(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: bad */
	} times[] = {
		{ "1500ms", 1500000000 },
		{ "2m", UINT64_C(120000000000) },
		{ "7ns", 7 },
		{ "10", 0 },
		{ "ms", 0 },
		{ "1.5s", 1500000000 },
		{ "1m30s", UINT64_C(90000000000) },
		{ "1h0m0.25s", UINT64_C(3600250000000) },
		{ "1m30", 0 },
		{ "1x", 0 },
		{ "", 0 },
		{ "99999999999h", 0 },
	};
	int before = dup(STDERR_FILENO);
	FILE *nowhere = tmpfile();
	uint64_t v;
	bool on;

	(void)state;
	dup2(fileno(nowhere), STDERR_FILENO);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct os_cli cli = { .program = "test", .name = "value", .value = times[i].text };
		v = 0;
		assert_int_equal(os_cli_time(&cli, &v), times[i].ns != 0);
		assert_int_equal(v, times[i].ns);
	}
	assert_true(os_cli_time(&(struct os_cli){ .program = "t", .name = "n", .value = "0" }, &v));
	assert_int_equal(v, 0);
	assert_true(os_cli_on_off(&(struct os_cli){ .program = "t", .name = "n", .value = "F" }, &on) && !on);
	assert_true(os_cli_on_off(&(struct os_cli){ .program = "t", .name = "n" }, &on) && on);
	assert_false(os_cli_on_off(&(struct os_cli){ .program = "t", .name = "n", .value = "yes" }, &on));
	assert_true(os_cli_u64(&(struct os_cli){ .program = "t", .name = "n", .value = "65536" }, 0, 65536, &v));
	assert_int_equal(v, 65536);
	assert_false(os_cli_u64(&(struct os_cli){ .program = "t", .name = "n", .value = "65537" }, 0, 65536, &v));
	assert_false(os_cli_u64(&(struct os_cli){ .program = "t", .name = "n", .value = "-1" }, 0, 65536, &v));
	assert_false(os_cli_u64(&(struct os_cli){ .program = "t", .name = "n", .value = "99999999999999999999" }, 0, UINT64_MAX, &v));
	dup2(before, STDERR_FILENO);
	close(before);
	fclose(nowhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_anywhere),
		cmocka_unit_test(options_bad),
		cmocka_unit_test(values_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
