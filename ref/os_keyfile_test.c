/* Key files: made once, read for ever, and refused with a reason (KEY-009, KEY-010). */
#include "os_keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = P_tmpdir "/keyfile-test-XXXXXX", path[64];
static const char digits[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeFF";

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL) return -1;
	snprintf(path, sizeof path, "%s/key.json", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder); /* nothing else is left in it */
}

static void put(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

/* KEY-010: an absent file is made with mode 0600; read again it is the same key, and is not made again. */
static void private_is_made_once(void **state)
{
	char error[KEYFILE_ERROR_SIZE];
	struct key first, second;
	struct stat st;
	bool made;

	(void)state;
	unlink(path);
	assert_true(os_keyfile_private(path, &first, &made, error));
	assert_true(made);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(first.b[0] & 7, 0); /* KEY-008 */
	assert_true(os_keyfile_private(path, &second, &made, error));
	assert_false(made);
	assert_memory_equal(first.b, second.b, KEY_SIZE);
}

/* What the original writes is read; other members mean nothing. What is no key file is refused, and stays as it is. */
static void private_is_judged(void **state)
{
	static const struct {
		const char *format;
		bool good;
	} cases[] = {
		{ "{\n\t\"PrivateKey\": \"privkey:%s\"\n}", true },
		{ "{\"Other\":[1,{}],\"PrivateKey\":\"privkey:%s\"}", true },
		{ "{\"PrivateKey\":\"privkey:%s0\"}", false },
		{ "{\"PrivateKey\":\"privkey:%s\"", false },
		{ "{\"PublicKey\":\"nodekey:%s\"}", false },
		{ "[\"privkey:%s\"]", false },
		{ "{\"PrivateKey\":null}%s", false },
		{ "privkey:%s", false },
	};
	char error[KEYFILE_ERROR_SIZE], text[200];
	struct key key;
	bool made;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, cases[i].format, digits);
		put(text);
		assert_int_equal(os_keyfile_private(path, &key, &made, error), cases[i].good);
		assert_false(made);
		if (cases[i].good) assert_int_equal(key.b[1], 0x11);
		if (!cases[i].good) assert_non_null(strstr(error, "PrivateKey"));
	}
	assert_false(os_keyfile_private("no-such-folder/key.json", &key, &made, error));
	assert_non_null(strstr(error, "no-such-folder"));
}

/* A private key that others can get at is refused, whatever is in it. */
static void private_is_private(void **state)
{
	static const mode_t bad[] = { 0644, 0640, 0604, 0620, 0601 }, good[] = { 0600, 0400 };
	char error[KEYFILE_ERROR_SIZE], text[200];
	struct key key;
	bool made;

	(void)state;
	unlink(path);
	snprintf(text, sizeof text, "{\"PrivateKey\":\"privkey:%s\"}", digits);
	put(text);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		chmod(path, bad[i]);
		assert_false(os_keyfile_private(path, &key, &made, error));
		assert_non_null(strstr(error, "expected 0600"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		chmod(path, good[i]);
		assert_true(os_keyfile_private(path, &key, &made, error));
	}
	unlink(path);
}

/* KEY-009: white space around, then exactly 64 digits. */
static void mesh_is_judged(void **state)
{
	static const struct {
		const char *format;
		bool good;
	} cases[] = { { "%s", true }, { " \n%s\r\n\n", true }, { "%s0", false }, { "0x%s", false }, { "%.63s", false } };
	char error[KEYFILE_ERROR_SIZE], text[200];
	struct key key;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, cases[i].format, digits);
		put(text);
		assert_int_equal(os_keyfile_mesh(path, &key, error), cases[i].good);
	}
	unlink(path);
	assert_false(os_keyfile_mesh(path, &key, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_is_made_once),
		cmocka_unit_test(private_is_judged),
		cmocka_unit_test(private_is_private),
		cmocka_unit_test(mesh_is_judged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
