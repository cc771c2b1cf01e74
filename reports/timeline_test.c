/* The timeline of traces made by hand: of nothing, of too much, of odd texts and numbers, of damage. */
#include "timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static const char schema[] =
#include "sim/schema.sql.inc"
	;

static char folder[] = P_tmpdir "/timeline-test-XXXXXX", path[sizeof folder + 20], page[65536];

static int enter(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL) return -1;
	snprintf(path, sizeof path, "%s/trace.db", folder);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void onto_page(void *ctx, const char *p, size_t n)
{
	size_t at = strlen(page);

	(void)ctx;
	assert_true(at + n < sizeof page);
	memcpy(page + at, p, n);
	page[at + n] = 0;
}

/* Letters, where each byte that does not follow in one begins one. */
static void assert_within_80_columns(void)
{
	int columns = 0;

	for (const char *p = page; *p != 0; p++) {
		columns = *p == '\n' ? 0 : columns + (((unsigned char)*p & 0xc0) != 0x80);
		assert_true(columns <= 80);
	}
}

/* The timeline of an empty trace into which `sql` put its rows is on the page. False: there was none; *damage says why, "" if nothing is wrong. */
static bool timeline_of(const char *sql, char damage[DB_ERROR_SIZE])
{
	struct paper paper = { onto_page, NULL };
	char error[DB_ERROR_SIZE] = "";
	sqlite3 *handle;
	struct db *db;
	bool good;

	unlink(path);
	page[0] = 0;
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, schema, NULL, NULL, NULL), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sqlite3_errmsg(handle), sql);
	sqlite3_close(handle);
	db = db_open(path, error);
	assert_string_equal(error, "");
	good = timeline_print(db, &paper);
	snprintf(damage, DB_ERROR_SIZE, "%s", db_error(db) == NULL ? "" : db_error(db));
	db_close(db);
	return good;
}

static void tell(const char *sql)
{
	char damage[DB_ERROR_SIZE];

	assert_true(timeline_of(sql, damage));
	assert_string_equal(damage, "");
	assert_within_80_columns();
}

static void assert_line(const char *line)
{
	char text[200];

	snprintf(text, sizeof text, "\n%s\n", line);
	if (strstr(page, text) == NULL) fail_msg("no line '%s' in:\n%s", line, page);
}

/* title, seed, until (s), finished */
#define RUN(title, seed, until, finished) \
	"INSERT INTO run VALUES (1, 'a.scn', " title ", " seed ", 'test', 'full', " until "000000000, '', '', 0, " finished ", 7, 'd', 'good');"
#define NODES \
	"INSERT INTO entity VALUES (0, 'relay', 'fra/1', 'fra', 'x', ''), (1, 'relay', 'fra/2', 'fra', 'x', ''), (2, 'client', 'c', 'fra', 'x', " \
	"'');"

/* A trace without a run has no story, and that is no damage. */
static void no_run(void **state)
{
	char damage[DB_ERROR_SIZE];

	(void)state;
	assert_false(timeline_of("", damage));
	assert_string_equal(damage, "");
	assert_string_equal(page, "");
}

/* A run of nothing is told whole, each chapter saying that it is empty; a seed of 64 bits stays one. */
static void empty_run(void **state)
{
	(void)state;
	tell(RUN("''", "-1", "0", "1"));
	assert_int_equal(strncmp(page, "a.scn, seed 18446744073709551615, level full, by test\n", 53), 0);
	assert_line("0 relays, 0 clients, 0s of virtual time, 7 machine events");
	assert_line("  nothing");
	assert_line("  nobody");
	assert_line("  good, digest d");
	assert_null(strstr(page, "cut off"));
}

/* What is not known yet of a run that was cut off is said, once where it matters. */
static void cut_off(void **state)
{
	(void)state;
	tell(RUN("'t'", "1", "9", "0") NODES
	     "INSERT INTO second_run VALUES (2500000000, 5, '', 0, 0, 0); INSERT INTO second_node VALUES (1000000000, 0, 1, 0, 0, 0, 0, 0, 0)");
	assert_line("The run was cut off: this is its story up to 2.500 s.");
	assert_line("  this is measured at the end, and the run was cut off");
	assert_line("  expectations are judged at the end, and the run was cut off");
	assert_line("  fra/1      9999999                                                           1");
}

/* Each node has a row of 60 columns: in ninths of the most of all, with a mark where a fault struck it, in the second that ends with the fault. */
static void chart(void **state)
{
	(void)state;
	tell(RUN("'t'", "1", "60", "1") NODES
	     "WITH RECURSIVE s (t) AS (SELECT 1 UNION ALL SELECT t + 1 FROM s WHERE t < 60)"
	     " INSERT INTO second_node SELECT t * 1000000000, h, CASE WHEN h = 1 THEN t WHEN t < 20 THEN 30 ELSE 0 END, 0, 0, 0, 0, 0, 0"
	     " FROM s, (SELECT 0 AS h UNION SELECT 1);"
	     "INSERT INTO fault VALUES (20000000000, 'crash silent', 0, 1), (40000000000, 'restart', 0, 2), (50000000000, 'close', 2, 3)");
	assert_line("Clients at each node, in ninths of 60 (. none), and the last number of them");
	assert_line("  fra/1      4444444444444444444X...................^....................      0");
	assert_line("  fra/2      000000111111122222233333334444444555555666666677777778888889     60");
	assert_line("      20.000 s  crash silent fra/1");
	assert_line("      50.000 s  close c");
}

/* Percentiles: never where they fall on those who did not come back, - where there is nobody; the explanation of the second kind of pairs only where
 * there are some. */
static void percentiles(void **state)
{
	(void)state;
	tell(RUN("'t'", "1", "9", "1") "INSERT INTO failover VALUES ('client', 0, 0, NULL, NULL, NULL, NULL, NULL),"
	                               " ('pair', 10, 1, 1, 999, 138543103, 61000000000, NULL), ('pair first', 10, 1, 1, 1, 1, 1, 1), ('pair later', "
	                               "0, 0, 0, 0, 0, 0, 0)");
	assert_line("  client             0          -          -          -          -        0");
	assert_line("  pair              10    0.999us  138.543ms        61s      never        1");
	assert_null(strstr(page, "pair first"));
	tell(RUN("'t'", "1", "9",
	         "1") "INSERT INTO failover VALUES ('pair first', 1, 0, 0, 0, 1000, 1000000, 1000000000), ('pair later', 2, 1, 5, 5, 5, 5, NULL)");
	assert_line("  pair first         1         0s        1us        1ms         1s        0");
	assert_non_null(strstr(page, "pair later: it was lost"));
}

/* A text of a trace is anybody's: none of its control characters is printed, letters of other alphabets are, and long ones are broken between words. */
static void odd_texts(void **state)
{
	(void)state;
	tell(RUN("'a' || char(27) || '[2J' || char(10) || char(13) || '  b' || char(7, 127, 155) || ' \xe5\x86\x86'", "1", "9",
	         "1") "INSERT INTO expect VALUES (1, 'expect at   end x', char(27), 1, 0), (2, 'goal at end ' || replace(hex(zeroblob(30)), '00', "
	              "'\xc3\xbc '), '0', 0, 1),"
	              " (3, 'expect always nothing forged, doubled, misdelivered, unaccounted', 'none at all, and this is long', 0, 0);"
	              "INSERT INTO finding VALUES (1500000000, 'forged', replace(hex(zeroblob(60)), '00', 'word '))");
	assert_int_equal(strncmp(page, "a?[2J b??? \xe5\x86\x86\n", 14), 0);
	assert_line("  ok     at end x                                      ?");
	assert_line("  MISSED always nothing forged, doubled, misdelivered, unaccounted");
	assert_line("           none at all, and this is long");
	assert_non_null(strstr(page, "  FOUND  forged at 1.500 s: word word"));
	for (const char *p = page; *p != 0; p++) assert_true((unsigned char)*p >= ' ' || *p == '\n');
}

/* What is too much for one screen is counted. */
static void too_much(void **state)
{
	(void)state;
	tell(RUN("'t'", "1", "9", "1") "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 13)"
	                               " INSERT INTO entity SELECT i, 'relay', 'a-region-with-a-very-long-name/' || i, 'r', 'c', '' FROM n;"
	                               "INSERT INTO second_node SELECT 1000000000, host, host, 0, 0, 0, 0, 0, 0 FROM entity;"
	                               "INSERT INTO fault SELECT 1000000000, 'crash', host, 1 FROM entity;"
	                               "INSERT INTO move SELECT 2000000000, host, host, 0, 1000000000 FROM entity;"
	                               "INSERT INTO finding SELECT host, 'forged', 'x' FROM entity");
	assert_line("  and 2 more");
	assert_line("  and 2 more nodes");
	assert_line("  and 6 more ways");
	assert_line("  FOUND  and 9 more");
}

/* Lines of a scenario that strike many clients, or a node again and again, are one line of the story. */
static void faults_run_together(void **state)
{
	(void)state;
	tell(RUN("'t'", "1", "9", "1") NODES "INSERT INTO entity SELECT 3, 'client', 'd', 'fra', 'x', '';"
	                                     "INSERT INTO fault VALUES (1000000000, 'close', 2, 1), (1250000000, 'close', 3, 1), (2000000000, "
	                                     "'leave', 2, 2), (2000000000, 'leave', 3, 2),"
	                                     " (3000000000, 'crash', 1, 3), (4000000000, 'crash', 1, 3), (3000000000, 'crash', 0, 3)");
	assert_line("       1.000 s  close 2 clients, the last at 1.250 s");
	assert_line("       2.000 s  leave 2 clients");
	assert_line("       3.000 s  crash fra/1\n       3.000 s  crash fra/2, 2 times, the last at 4.000 s");
}

/* Numbers beyond all sense do not stop the story. */
static void wild_numbers(void **state)
{
	char why[DB_ERROR_SIZE];

	(void)state;
	assert_true(timeline_of(RUN("'t'", "1", "9", "1") NODES
	                        "UPDATE run SET until_ns = 9223372036854775807, events = -9223372036854775808;"
	                        "INSERT INTO second_node VALUES (-9223372036854775807 - 1, 0, 9223372036854775807, 0, 0, 0, 0, 0, 0), "
	                        "(9223372036854775807, 0, -5, 0, 0, "
	                        "0, "
	                        "0, 0, 0);"
	                        "INSERT INTO fault VALUES (-9223372036854775807 - 1, 'crash', 0, 1), (9223372036854775807, 'crash', -7, 1);"
	                        "INSERT INTO move VALUES (-9223372036854775807 - 1, 2, 0, 1, 9223372036854775807), (9223372036854775807, 2, 0, 99, "
	                        "-9223372036854775807 - 1)",
	                        why));
	assert_string_equal(why, "");
	assert_non_null(strstr(page, "\nVerdicts\n"));
}

/* A table that is not there is damage, and is named. */
static void damage(void **state)
{
	char why[DB_ERROR_SIZE];

	(void)state;
	assert_false(timeline_of(RUN("'t'", "1", "9", "1") "DROP TABLE move", why));
	assert_string_equal(why, "no such table: move");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_run),       cmocka_unit_test(empty_run), cmocka_unit_test(cut_off),  cmocka_unit_test(chart),
		cmocka_unit_test(percentiles),  cmocka_unit_test(odd_texts), cmocka_unit_test(too_much), cmocka_unit_test(faults_run_together),
		cmocka_unit_test(wild_numbers), cmocka_unit_test(damage),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
