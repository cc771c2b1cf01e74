/* The trace: what is written is read again, to the last bit; what is committed survives; what is no trace is refused with a sentence. */
#include "record.h"

#include "../ref/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static char folder[] = P_tmpdir "/record-test-XXXXXX", path[sizeof folder + 20];

static int enter(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL) return -1;
	snprintf(path, sizeof path, "%s/trace.db", folder);
	return 0;
}

static int fresh(void **state)
{
	static const char *const side[] = { "", "-wal", "-shm" };
	char name[sizeof path + 8];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s%s", path, side[i]);
		unlink(name);
	}
	return 0;
}

static int leave(void **state)
{
	fresh(state);
	return rmdir(folder);
}

/* What somebody does to a trace by hand. */
static void alter(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int64_t ask(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_type(s, 0) == SQLITE_NULL ? -1 : sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static const struct record_run run = { .scenario = "a \"b\".scn",
	                               .title = "",
	                               .build = "test 1",
	                               .overrides = "a=1\nb=\xc3\xbc\n",
	                               .plant = "forged@5ns",
	                               .seed = UINT64_MAX,
	                               .until_ns = 1,
	                               .cities = UINT64_C(1) << 63 };

static struct record *begin(enum record_level level)
{
	char error[RECORD_ERROR_SIZE];
	struct record *r = record_new(path, level, error);

	assert_non_null(r);
	record_run(r, &run);
	return r;
}

static struct event bytes_of(uint64_t token, uint32_t n) { return (struct event){ .kind = EVENT_BYTES, .token = token, .bytes = { .n = n } }; }

static void finish(struct record *r)
{
	char error[RECORD_ERROR_SIZE];

	assert_true(record_close(r, error));
}

static struct record_reader *reader(void)
{
	char error[RECORD_ERROR_SIZE] = "";
	struct record_reader *r = record_reader_new(path, error);

	assert_string_equal(error, "");
	assert_non_null(r);
	return r;
}

/* Numbers of 64 bits without sign, texts with quotes, line ends and other alphabets come back as they were; behind the last row there is none, also
 * when asked again. */
static void what_is_written_is_read(void **state)
{
	static const char text[] = "# \xe5\x86\x86 \"\\'\nuntil 1s\n";
	struct record *w = begin(RECORD_FULL);
	struct event e = bytes_of(UINT64_MAX - 1, 7);
	struct record_reader *r;
	struct record_run_row row;
	struct record_event_row event;
	struct record_second_row second;

	(void)state;
	record_file(w, 0, run.scenario, "scenario", text, sizeof text - 1);
	record_file(w, 1, "m", "map", "", 0);
	record_event(w, 1, UINT64_MAX, 3, &e, UINT64_C(1) << 63);
	record_second(w, NS_S, 1, (struct sim_digest){ 1, UINT64_MAX }, 0, 0, 0);
	record_end(w, 2, (struct sim_digest){ 2, 0 }, false);
	finish(w);

	r = reader();
	assert_true(record_reader_run(r, &row));
	assert_string_equal(row.scenario, run.scenario);
	assert_string_equal(row.overrides, run.overrides);
	assert_string_equal(row.plant, run.plant);
	assert_string_equal(row.level, "full");
	assert_string_equal(row.verdict, "finding");
	assert_string_equal(row.digest, "00000000000000020000000000000000");
	assert_true(row.seed == run.seed && row.cities == run.cities && row.until_ns == 1 && row.events == 2 && row.finished);
	assert_int_equal(record_reader_files(r), 2);
	assert_int_equal(record_reader_file(r, 0).n, sizeof text - 1);
	assert_string_equal(record_reader_file(r, 0).text, text);
	assert_int_equal(record_reader_file(r, 1).n, 0);
	assert_true(record_reader_event(r, &event));
	assert_true(event.seq == 1 && event.t == UINT64_MAX && event.host == 3 && event.token == e.token && event.n == 7);
	assert_true(event.content == UINT64_C(1) << 63);
	assert_string_equal(event.kind, "bytes");
	assert_true(record_reader_second(r, &second));
	assert_string_equal(second.digest, "0000000000000001ffffffffffffffff");
	for (int i = 0; i < 2; i++) {
		assert_false(record_reader_event(r, &event));
		assert_false(record_reader_second(r, &second));
	}
	assert_null(record_reader_error(r));
	assert_string_equal(record_reader_host(r, 3), "?");
	record_reader_free(r);
}

/* full keeps each event and note, sampled each 64th event, summary none and only the notes that tell who came and went. */
static void levels_keep_what_they_say(void **state)
{
	static const struct {
		enum record_level level;
		int64_t events, notes;
	} cases[] = { { RECORD_FULL, 200, NOTE_KINDS }, { RECORD_SAMPLED, 3, NOTE_KINDS }, { RECORD_SUMMARY, 0, 6 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct record *w = begin(cases[i].level);
		struct event e = bytes_of(1, 1);
		assert_true(record_wants_events(w) == (cases[i].events > 0));
		for (uint64_t seq = 1; seq <= 200; seq++) record_event(w, seq, seq, 0, &e, 0);
		for (int kind = 0; kind < NOTE_KINDS; kind++) record_note(w, 0, 0, &(struct note){ .kind = (enum note_kind)kind });
		finish(w);
		assert_int_equal(ask("SELECT count(*) FROM event"), cases[i].events);
		assert_int_equal(ask("SELECT count(*) FROM event WHERE seq % 64 <> 0"), cases[i].events == 200 ? 197 : 0);
		assert_int_equal(ask("SELECT count(*) FROM note"), cases[i].notes);
		fresh(state);
	}
}

/* Without a trace every call does nothing, and nothing is wrong. */
static void no_trace_is_fine(void **state)
{
	char error[RECORD_ERROR_SIZE] = "";
	struct event e = bytes_of(1, 1);
	struct dist d;

	(void)state;
	dist_init(&d);
	record_run(NULL, &run);
	record_event(NULL, 1, 1, 0, &e, 0);
	record_second(NULL, 1, 1, (struct sim_digest){ 0, 0 }, 0, 0, 0);
	record_failover(NULL, "client", &d);
	record_commit(NULL);
	record_end(NULL, 1, (struct sim_digest){ 0, 0 }, true);
	assert_false(record_wants_events(NULL));
	assert_null(record_error(NULL));
	assert_true(record_close(NULL, error));
	assert_string_equal(error, "");
}

/* A program that dies leaves what was committed: the run at record_commit, then second after second, and nothing of the second under way. */
static void what_is_committed_survives(void **state)
{
	struct record *w = begin(RECORD_FULL);
	struct record_run_row row;
	struct record_reader *r;
	struct event e = bytes_of(1, 1);

	(void)state;
	assert_int_equal(ask("SELECT count(*) FROM run"), 0);
	record_commit(w);
	assert_int_equal(ask("SELECT count(*) FROM run"), 1);
	record_event(w, 1, 1, 0, &e, 0);
	record_second(w, NS_S, 1, (struct sim_digest){ 1, 1 }, 0, 0, 0);
	record_event(w, 2, NS_S + 1, 0, &e, 0);

	r = reader(); /* as after a kill: nobody has closed it */
	assert_true(record_reader_run(r, &row));
	assert_false(row.finished);
	assert_true(row.events == 1);
	assert_string_equal(row.verdict, "unfinished");
	record_reader_free(r);
	assert_int_equal(ask("SELECT max(seq) FROM event"), 1);
	finish(w);
	assert_int_equal(ask("SELECT max(seq) FROM event"), 2);
}

/* The first row that cannot be written ends the writing: later ones are not tried, the closing says so, and what was committed is there. */
static void first_error_ends_the_writing(void **state)
{
	char error[RECORD_ERROR_SIZE] = "";
	struct record *w = begin(RECORD_FULL);
	struct event e = bytes_of(1, 1);

	(void)state;
	record_event(w, 1, 1, 0, &e, 0);
	record_commit(w);
	record_event(w, 2, 1, 0, &e, 0);
	assert_null(record_error(w));
	record_event(w, 1, 1, 0, &e, 0);
	assert_string_equal(record_error(w), "cannot write to the trace: UNIQUE constraint failed: event.seq");
	record_event(w, 3, 1, 0, &e, 0);
	record_second(w, NS_S, 3, (struct sim_digest){ 1, 1 }, 0, 0, 0);
	assert_false(record_close(w, error));
	assert_string_equal(error, "cannot write to the trace: UNIQUE constraint failed: event.seq");
	assert_int_equal(ask("SELECT count(*) FROM event"), 1);
	assert_int_equal(ask("SELECT count(*) FROM second_run"), 0);
}

/* Somebody who reads the trace while the run ends does not make it fail: all of it is there. */
static void readers_do_not_matter(void **state)
{
	struct record *w = begin(RECORD_SUMMARY);
	sqlite3_stmt *s;
	sqlite3 *db;

	(void)state;
	record_commit(w);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT seed FROM run", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	record_end(w, 1, (struct sim_digest){ 0, 0 }, true);
	finish(w);
	sqlite3_finalize(s);
	sqlite3_close(db);
	assert_int_equal(ask("SELECT finished FROM run"), 1);
}

/* A file that is there is never written to. */
static void never_overwrites(void **state)
{
	char error[RECORD_ERROR_SIZE] = "";

	(void)state;
	finish(begin(RECORD_SUMMARY));
	assert_null(record_new(path, RECORD_SUMMARY, error));
	assert_non_null(strstr(error, "trace"));
	assert_int_equal(ask("SELECT count(*) FROM run"), 1);
}

/* Of times some of which never came: a percentile that falls on these is NULL, and so is the largest. Of none at all, everything is. */
static void never_is_null(void **state)
{
	struct record *w = begin(RECORD_SUMMARY);
	struct dist d;

	(void)state;
	dist_init(&d);
	record_failover(w, "none", &d);
	for (uint64_t i = 1; i <= 95; i++) dist_add(&d, i);
	record_failover(w, "all", &d);
	d.never = 5;
	record_failover(w, "some", &d);
	dist_free(&d);
	finish(w);
	assert_int_equal(ask("SELECT n = 0 AND never = 0 AND coalesce(min, p50, p90, p99, max) IS NULL FROM failover WHERE who = 'none'"), 1);
	assert_int_equal(
		ask("SELECT n = 95 AND never = 0 AND min = 1 AND p50 = 48 AND p90 = 86 AND p99 = 95 AND max = 95 FROM failover WHERE who = 'all'"),
		1);
	assert_int_equal(ask("SELECT n = 100 AND never = 5 AND min = 1 AND p50 = 50 AND p90 = 90 AND coalesce(p99, max) IS NULL FROM failover WHERE "
	                     "who = 'some'"),
	                 1);
}

/* A pair that never heard of each other again has no time, also behind one that has. */
static void pairs_are_kept(void **state)
{
	struct record *w = begin(RECORD_SUMMARY);

	(void)state;
	record_pair(w, 7 * NS_S, 3, 4, 5 * NS_S);
	record_pair(w, TIME_NEVER, 3, 5, 6 * NS_S);
	finish(w);
	assert_int_equal(ask("SELECT count(*) FROM pair WHERE a = 3 AND b = 4 AND t - since = 2000000000"), 1);
	assert_int_equal(ask("SELECT count(*) FROM pair WHERE a = 3 AND b = 5 AND t IS NULL AND since = 6000000000"), 1);
}

static void assert_refused(const char *want)
{
	char error[RECORD_ERROR_SIZE] = "";

	assert_null(record_reader_new(path, error));
	if (strncmp(error, want, strlen(want)) != 0) fail_msg("wanted '%s', got '%s'", want, error);
}

/* Every file that is no trace of ours is refused, and the sentence says what it is. */
static void what_is_no_trace_is_refused(void **state)
{
	static const struct {
		const char *sql, *want;
	} cases[] = {
		{ "PRAGMA user_version = 1", "found a trace of version 1, expected version 2" },
		{ "PRAGMA application_id = 1", "found another database, expected a trace" },
		{ "DROP TABLE event", "the trace is damaged: no such table: event" },
		{ "ALTER TABLE second_run RENAME COLUMN digest TO d", "the trace is damaged: no such column: digest" },
		{ "UPDATE file SET text = x'00'", "the trace is damaged: text is no text in a row of: SELECT" },
	};
	FILE *f;

	assert_refused("unable to open database file, expected a trace");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct record *w = begin(RECORD_SUMMARY);
		record_file(w, 0, "a", "scenario", "b", 1);
		finish(w);
		alter(cases[i].sql);
		assert_refused(cases[i].want);
		fresh(state);
	}
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++) fputs("no database ", f);
	fclose(f);
	assert_refused("file is not a database, expected a trace");
}

/* A number that is none, in a row of a trace, is damage and no zero. */
static void what_is_no_number_is_damage(void **state)
{
	struct record *w = begin(RECORD_FULL);
	struct event e = bytes_of(1, 1);
	struct record_event_row row;
	struct record_reader *r;

	(void)state;
	record_event(w, 1, 1, 0, &e, 0);
	finish(w);
	alter("UPDATE event SET t = '12 o''clock'");
	r = reader();
	assert_false(record_reader_event(r, &row));
	assert_non_null(record_reader_error(r));
	assert_int_equal(strncmp(record_reader_error(r), "t is no integer in a row of: SELECT seq, t,", 43), 0);
	record_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_written_is_read, fresh),
		cmocka_unit_test_setup(levels_keep_what_they_say, fresh),
		cmocka_unit_test_setup(no_trace_is_fine, fresh),
		cmocka_unit_test_setup(what_is_committed_survives, fresh),
		cmocka_unit_test_setup(first_error_ends_the_writing, fresh),
		cmocka_unit_test_setup(never_overwrites, fresh),
		cmocka_unit_test_setup(never_is_null, fresh),
		cmocka_unit_test_setup(pairs_are_kept, fresh),
		cmocka_unit_test_setup(what_is_no_trace_is_refused, fresh),
		cmocka_unit_test_setup(what_is_no_number_is_damage, fresh),
		cmocka_unit_test_setup(readers_do_not_matter, fresh),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
