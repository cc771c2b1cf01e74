/* One row an event, through one prepared statement. */
#include "recording.h"

#include "record.h"

#include "../ref/buf.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
#include "sim/recording.sql.inc"
	;

enum { COMMIT_BYTES = 4 << 20, ROW_BYTES = 64 /* beside its data, about */ };

struct recording {
	sqlite3 *db; /* NULL: it is over */
	sqlite3_stmt *insert;
	struct event_code code;
	struct event event; /* under way: what points elsewhere is not looked at */
	uint64_t content;
	bool turn, pending, busy;
	uint8_t *names; /* by slot: the machine asked for a name there */
	uint32_t names_n;
	uint64_t seq, size, size_max, waiting; /* bytes since the last commit */
	struct sim_digest digest;
	char error[RECORDING_ERROR_SIZE];
};

/* ---- writing ---- */

static void close_db(struct recording *r)
{
	sqlite3_finalize(r->insert);
	sqlite3_close(r->db);
	r->insert = NULL;
	r->db = NULL;
	r->waiting = 0;
}

/* What was committed before stays. */
static void fail(struct recording *r, const char *doing)
{
	int code = sqlite3_errcode(r->db), number = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? sqlite3_system_errno(r->db) : 0;

	snprintf(r->error, sizeof r->error, "cannot %s it: %.200s%s%.60s", doing, sqlite3_errmsg(r->db), number == 0 ? "" : ": ",
	         number == 0 ? "" : strerror(number));
	close_db(r);
}

static bool run_sql(struct recording *r, const char *sql, const char *doing)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK) return true;
	fail(r, doing);
	return false;
}

static bool prepare(struct recording *r, const char *build)
{
	sqlite3_stmt *s;
	int result;

	/* Large pages for large blobs; synced by the operating system in its own time: a killed process loses what was not committed. */
	if (!run_sql(r, "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384", "open") ||
	    !run_sql(r, schema, "begin"))
		return false;
	if (sqlite3_prepare_v2(r->db, "INSERT INTO recording VALUES (1, 'relay', ?, '', 0, '')", -1, &s, NULL) != SQLITE_OK) {
		fail(r, "begin");
		return false;
	}
	sqlite3_bind_text(s, 1, build, -1, SQLITE_TRANSIENT);
	result = sqlite3_step(s);
	sqlite3_finalize(s);
	if (result == SQLITE_DONE &&
	    sqlite3_prepare_v2(r->db, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &r->insert, NULL) == SQLITE_OK)
		return run_sql(r, "BEGIN", "begin");
	fail(r, "begin");
	return false;
}

struct recording *recording_new(const char *path, const char *build, uint64_t size_max, char error[RECORDING_ERROR_SIZE])
{
	struct recording *r = mem_zero(1, sizeof *r);

	r->size_max = size_max;
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		fail(r, "create");
	else
		prepare(r, build);
	if (r->db != NULL) return r;
	memcpy(error, r->error, RECORDING_ERROR_SIZE);
	recording_free(r);
	return NULL;
}

/* The row that says how it ended; then everything is in one file. */
static void finish(struct recording *r, const char *ended)
{
	char digest[33], sql[200];

	record_digest_text(r->digest, digest);
	snprintf(sql, sizeof sql, "UPDATE recording SET ended = '%s', events = %llu, digest = '%s'; COMMIT", ended, (unsigned long long)r->seq,
	         digest);
	if (!run_sql(r, sql, "finish")) return;
	sqlite3_exec(r->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL); /* unless somebody reads it now */
	close_db(r);
}

void recording_free(struct recording *r)
{
	if (r == NULL) return;
	if (r->db != NULL) finish(r, "stopped");
	event_code_free(&r->code);
	free(r->names);
	free(r);
}

void recording_commit(struct recording *r)
{
	if (r->db == NULL) return;
	r->busy = true;
	r->waiting = 0;
	run_sql(r, "COMMIT; BEGIN", "write to");
	r->busy = false;
}

bool recording_waits(const struct recording *r) { return r->waiting != 0; }
const char *recording_over(const struct recording *r) { return r->db == NULL ? r->error : NULL; }
uint64_t recording_events(const struct recording *r) { return r->seq; }

/* crashed: without what came of it. */
static void insert(struct recording *r, bool crashed, uint64_t actions)
{
	sqlite3_stmt *s = r->insert;

	sqlite3_bind_int64(s, 1, (sqlite3_int64)r->seq);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)r->event.now);
	sqlite3_bind_text(s, 3, event_kind_name(r->event.kind), -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)r->event.token);
	sqlite3_bind_int(s, 5, r->turn);
	sqlite3_bind_blob(s, 6, r->code.n == 0 ? (const void *)"" : r->code.p, (int)r->code.n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 7, (sqlite3_int64)r->content);
	if (crashed) {
		sqlite3_bind_null(s, 8);
		sqlite3_bind_null(s, 9);
	} else {
		sqlite3_bind_int64(s, 8, (sqlite3_int64)actions);
		sqlite3_bind_int64(s, 9, (sqlite3_int64)r->digest.a);
	}
	if (sqlite3_step(s) != SQLITE_DONE)
		fail(r, "write to");
	else
		sqlite3_reset(s);
}

/* What the machine asks, so that the answer is read as what it is. */
static void look_at_questions(struct recording *r, const struct actions *out, uint32_t from)
{
	for (uint32_t i = from; i < out->n; i++) {
		uint32_t slot = token_slot(out->v[i].token), before = r->names_n;
		if (out->v[i].kind != ACTION_ASK) continue;
		if (slot >= r->names_n) {
			r->names_n = slot + 64;
			r->names = mem_grow(r->names, r->names_n);
			memset(r->names + before, 0, r->names_n - before);
		}
		r->names[slot] = out->v[i].ask == ASK_NAME4 || out->v[i].ask == ASK_NAME6;
	}
}

void recording_before(struct recording *r, const struct event *e, bool turn)
{
	uint32_t slot = token_slot(e->token);

	if (r->db == NULL) return;
	assert(!r->pending);
	event_encode(&r->code, e, e->kind == EVENT_ANSWER && e->answer->p != NULL && slot < r->names_n && r->names[slot]);
	r->event = *e;
	r->turn = turn;
	r->seq++;
	r->content = recording_content(r->seq, e, turn, r->code.p, r->code.n);
	r->pending = true;
}

void recording_after(struct recording *r, const struct actions *out, uint32_t out_from, const struct actions *up, uint32_t up_from)
{
	if (!r->pending) return;
	r->busy = true;
	r->pending = false;
	r->digest = recording_digest(r->digest, r->content, out, out_from, up, up_from);
	look_at_questions(r, out, out_from);
	insert(r, false, out->n - out_from + up->n - up_from);
	r->waiting += r->code.n + ROW_BYTES;
	r->size += r->code.n + ROW_BYTES;
	if (r->db != NULL && r->size_max != 0 && r->size >= r->size_max) {
		snprintf(r->error, sizeof r->error, "it has reached its size");
		finish(r, "limit");
	} else if (r->db != NULL && r->waiting >= COMMIT_BYTES) {
		recording_commit(r);
	}
	r->busy = false;
}

void recording_crashed(struct recording *r)
{
	if (r == NULL || r->db == NULL || r->busy) return;
	if (r->pending) insert(r, true, 0);
	if (r->db != NULL) finish(r, "crash");
}

/* ---- reading ---- */

struct recording_reader {
	sqlite3 *db;
	sqlite3_stmt *run, *event;
	bool over;
	char error[RECORDING_ERROR_SIZE];
};

const char *recording_reader_error(const struct recording_reader *r) { return r->error[0] == 0 ? NULL : r->error; }

void recording_reader_free(struct recording_reader *r)
{
	if (r == NULL) return;
	sqlite3_finalize(r->run);
	sqlite3_finalize(r->event);
	sqlite3_close(r->db);
	free(r);
}

static int64_t pragma(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return -1;
	if (sqlite3_step(s) == SQLITE_ROW) value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

bool recording_is(const char *path)
{
	sqlite3 *db;
	bool is =
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK && pragma(db, "PRAGMA application_id") == RECORDING_APPLICATION;

	sqlite3_close(db);
	return is;
}

static bool ask(struct recording_reader *r, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(r->db, sql, -1, out, NULL) == SQLITE_OK) return true;
	snprintf(r->error, sizeof r->error, "the recording is damaged: %.250s", sqlite3_errmsg(r->db));
	return false;
}

struct recording_reader *recording_reader_new(const char *path, char error[RECORDING_ERROR_SIZE])
{
	struct recording_reader *r = mem_zero(1, sizeof *r);
	int64_t version = -1;

	/* Opened for writing, never written: a journal that a killed relay left behind must be readable. */
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) version = pragma(r->db, "PRAGMA user_version");
	if (version < 0)
		snprintf(r->error, sizeof r->error, "%s, expected a recording", sqlite3_errmsg(r->db));
	else if (version != RECORDING_VERSION)
		snprintf(r->error, sizeof r->error, "found a recording of version %lld, expected version %d", (long long)version, RECORDING_VERSION);
	else if (ask(r, "SELECT machine, build, ended, events, digest FROM recording", &r->run) &&
	         ask(r, "SELECT seq, t, kind, token, turn, data, content, actions, digest FROM event ORDER BY seq", &r->event))
		return r;
	memcpy(error, r->error, RECORDING_ERROR_SIZE);
	recording_reader_free(r);
	return NULL;
}

/* kinds: what each column must hold: i, t, b; n: integer or nothing. A recording that somebody altered may hold anything. */
static bool step(struct recording_reader *r, sqlite3_stmt *s, const char *kinds)
{
	int result = sqlite3_step(s);

	if (result == SQLITE_DONE) return false;
	if (result != SQLITE_ROW) {
		snprintf(r->error, sizeof r->error, "%s", sqlite3_errmsg(r->db));
		return false;
	}
	for (int i = 0; kinds[i] != 0; i++) {
		int type = sqlite3_column_type(s, i), want = kinds[i] == 't' ? SQLITE_TEXT : kinds[i] == 'b' ? SQLITE_BLOB : SQLITE_INTEGER;
		if (type == want || (kinds[i] == 'n' && type == SQLITE_NULL)) continue;
		snprintf(r->error, sizeof r->error, "%s is no %s in a row of: %s", sqlite3_column_name(s, i),
		         want == SQLITE_TEXT   ? "text"
		         : want == SQLITE_BLOB ? "blob"
		                               : "integer",
		         sqlite3_sql(s));
		return false;
	}
	return true;
}

static uint64_t int_at(sqlite3_stmt *s, int at) { return (uint64_t)sqlite3_column_int64(s, at); }

bool recording_reader_run(struct recording_reader *r, struct recording_run *out)
{
	sqlite3_stmt *s = r->run;

	if (!step(r, s, "tttit")) return false;
	*out = (struct recording_run){ .machine = (const char *)sqlite3_column_text(s, 0),
		                       .build = (const char *)sqlite3_column_text(s, 1),
		                       .ended = (const char *)sqlite3_column_text(s, 2),
		                       .events = int_at(s, 3),
		                       .digest = (const char *)sqlite3_column_text(s, 4) };
	return true;
}

bool recording_reader_row(struct recording_reader *r, struct recording_row *out)
{
	sqlite3_stmt *s = r->event;

	if (r->over || !step(r, s, "iitiibinn")) {
		r->over = true;
		return false;
	}
	*out = (struct recording_row){ .seq = int_at(s, 0),
		                       .t = int_at(s, 1),
		                       .kind = (const char *)sqlite3_column_text(s, 2),
		                       .token = int_at(s, 3),
		                       .turn = int_at(s, 4),
		                       .data = sqlite3_column_blob(s, 5),
		                       .n = (uint32_t)sqlite3_column_bytes(s, 5),
		                       .content = int_at(s, 6),
		                       .actions = int_at(s, 7),
		                       .digest = int_at(s, 8),
		                       .crashed = sqlite3_column_type(s, 8) == SQLITE_NULL };
	return true;
}
