/* Statements are prepared once; each row is one step. */
#include "record.h"

#include "../ref/buf.h"
#include "../ref/key.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
#include "sim/schema.sql.inc"
	;

enum insert {
	INSERT_RUN,
	INSERT_FILE,
	INSERT_ENTITY,
	INSERT_DRAW,
	INSERT_FAULT,
	INSERT_MOVE,
	INSERT_PAIR,
	INSERT_NOTE,
	INSERT_EVENT,
	INSERT_NODE_SECOND,
	INSERT_SECOND,
	INSERT_EXPECT,
	INSERT_FINDING,
	INSERT_FAILOVER,
	UPDATE_END,
	INSERTS
};

static const char *const insert_sql[INSERTS] = {
	[INSERT_RUN] = "INSERT INTO run VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', 'unfinished')",
	[INSERT_FILE] = "INSERT INTO file VALUES (?, ?, ?, ?)",
	[INSERT_ENTITY] = "INSERT INTO entity VALUES (?, ?, ?, ?, ?, ?)",
	[INSERT_DRAW] = "INSERT INTO draw VALUES (?, ?, ?, ?, ?)",
	[INSERT_FAULT] = "INSERT INTO fault VALUES (?, ?, ?, ?)",
	[INSERT_MOVE] = "INSERT INTO move VALUES (?, ?, ?, ?, ?)",
	[INSERT_PAIR] = "INSERT INTO pair VALUES (?, ?, ?, ?)",
	[INSERT_NOTE] = "INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_EVENT] = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
	[INSERT_NODE_SECOND] = "INSERT INTO second_node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_SECOND] = "INSERT INTO second_run VALUES (?, ?, ?, ?, ?, ?)",
	[INSERT_EXPECT] = "INSERT INTO expect VALUES (?, ?, ?, ?, ?)",
	[INSERT_FINDING] = "INSERT INTO finding VALUES (?, ?, ?)",
	[INSERT_FAILOVER] = "INSERT INTO failover VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[UPDATE_END] = "UPDATE run SET finished = ?, events = ?, digest = ?, verdict = ?",
};

struct record {
	sqlite3 *db;
	sqlite3_stmt *insert[INSERTS];
	enum record_level level;
	bool failed;
	char error[RECORD_ERROR_SIZE];
};

const char *record_level_name(enum record_level level)
{
	static const char *const name[RECORD_LEVELS] = { "off", "summary", "sampled", "full" };

	assert(level < RECORD_LEVELS);
	return name[level];
}

void record_digest_text(struct sim_digest digest, char out[33])
{
	snprintf(out, 33, "%016llx%016llx", (unsigned long long)digest.a, (unsigned long long)digest.b);
}

uint32_t record_event_n(const struct event *e)
{
	switch (e->kind) {
	case EVENT_BYTES: return e->bytes.n;
	case EVENT_COMMAND: return e->command->n;
	case EVENT_CLOSED: return e->closed.cause;
	default: return 0;
	}
}

/* ---- writing ---- */

static void fail(struct record *r, const char *doing)
{
	int code = sqlite3_errcode(r->db), number = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? sqlite3_system_errno(r->db) : 0;

	if (r->failed) return;
	r->failed = true;
	snprintf(r->error, sizeof r->error, "cannot %s the trace: %s%s%s%s", doing, sqlite3_errmsg(r->db), number == 0 ? "" : " (",
	         number == 0 ? "" : strerror(number), number == 0 ? "" : ")");
}

static bool run_sql(struct record *r, const char *sql, const char *doing)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK) return true;
	fail(r, doing);
	return false;
}

static bool record_prepare(struct record *r)
{
	/* A journal beside the file, synced by the operating system in its own time: a killed process loses a second, not the file. */
	if (!run_sql(r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536", "open") || !run_sql(r, schema, "begin") ||
	    !run_sql(r, "BEGIN", "begin"))
		return false;
	for (int i = 0; i < INSERTS; i++)
		if (sqlite3_prepare_v2(r->db, insert_sql[i], -1, &r->insert[i], NULL) != SQLITE_OK) {
			fail(r, "prepare");
			return false;
		}
	return true;
}

struct record *record_new(const char *path, enum record_level level, char error[RECORD_ERROR_SIZE])
{
	struct record *r = mem_zero(1, sizeof *r);

	assert(level > RECORD_OFF && level < RECORD_LEVELS);
	r->level = level;
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE, NULL) != SQLITE_OK) fail(r, "create");
	if (!r->failed) record_prepare(r);
	if (!r->failed) return r;
	memcpy(error, r->error, RECORD_ERROR_SIZE);
	record_close(r, r->error);
	return NULL;
}

const char *record_error(const struct record *r) { return r != NULL && r->failed ? r->error : NULL; }
bool record_wants_events(const struct record *r) { return r != NULL && r->level >= RECORD_SAMPLED; }

bool record_close(struct record *r, char error[RECORD_ERROR_SIZE])
{
	bool good;

	if (r == NULL) return true;
	for (int i = 0; i < INSERTS; i++) sqlite3_finalize(r->insert[i]);
	if (!r->failed) run_sql(r, "COMMIT", "finish");
	/* One file for those who carry it away; where somebody reads it right now, all is written as well, in two. */
	if (!r->failed && sqlite3_exec(r->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK && sqlite3_errcode(r->db) != SQLITE_BUSY)
		fail(r, "finish");
	good = !r->failed;
	if (!good && error != r->error) memcpy(error, r->error, RECORD_ERROR_SIZE);
	sqlite3_close(r->db);
	free(r);
	return good;
}

/* The statement, or NULL when nothing is written any more. */
static sqlite3_stmt *row(struct record *r, enum insert which) { return r == NULL || r->failed ? NULL : r->insert[which]; }

static void put_int(sqlite3_stmt *s, int at, uint64_t v) { sqlite3_bind_int64(s, at, (sqlite3_int64)v); }
static void put_text(sqlite3_stmt *s, int at, const char *v) { sqlite3_bind_text(s, at, v, -1, SQLITE_TRANSIENT); }

static void put_key(sqlite3_stmt *s, int at, const uint8_t *key)
{
	char hex[KEY_HEX];

	if (key == NULL) {
		sqlite3_bind_null(s, at);
		return;
	}
	key_hex(key, hex);
	sqlite3_bind_text(s, at, hex, KEY_HEX, SQLITE_TRANSIENT);
}

static void done(struct record *r, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE) fail(r, "write to");
	sqlite3_reset(s);
}

void record_run(struct record *r, const struct record_run *run)
{
	sqlite3_stmt *s = row(r, INSERT_RUN);

	if (s == NULL) return;
	put_text(s, 1, run->scenario);
	put_text(s, 2, run->title);
	put_int(s, 3, run->seed);
	put_text(s, 4, run->build);
	put_text(s, 5, record_level_name(r->level));
	put_int(s, 6, run->until_ns);
	put_text(s, 7, run->overrides);
	put_text(s, 8, run->plant);
	put_int(s, 9, run->cities);
	done(r, s);
}

void record_file(struct record *r, uint32_t id, const char *name, const char *kind, const char *text, size_t n)
{
	sqlite3_stmt *s = row(r, INSERT_FILE);

	if (s == NULL) return;
	put_int(s, 1, id);
	put_text(s, 2, name);
	put_text(s, 3, kind);
	sqlite3_bind_text64(s, 4, text, n, SQLITE_TRANSIENT, SQLITE_UTF8);
	done(r, s);
}

void record_entity(struct record *r, uint32_t host, const char *kind, const char *name, const char *region, const char *city, const uint8_t *key)
{
	sqlite3_stmt *s = row(r, INSERT_ENTITY);

	if (s == NULL) return;
	put_int(s, 1, host);
	put_text(s, 2, kind);
	put_text(s, 3, name);
	put_text(s, 4, region);
	put_text(s, 5, city);
	put_key(s, 6, key);
	done(r, s);
}

void record_draw(struct record *r, uint32_t line, const char *word, const char *key, const char *name, uint64_t value)
{
	sqlite3_stmt *s = row(r, INSERT_DRAW);

	if (s == NULL) return;
	put_int(s, 1, line);
	put_text(s, 2, word);
	put_text(s, 3, key);
	put_text(s, 4, name);
	put_int(s, 5, value);
	done(r, s);
}

void record_fault(struct record *r, uint64_t t, const char *verb, uint32_t host, uint32_t line)
{
	sqlite3_stmt *s = row(r, INSERT_FAULT);

	if (s == NULL) return;
	put_int(s, 1, t);
	put_text(s, 2, verb);
	put_int(s, 3, host);
	put_int(s, 4, line);
	done(r, s);
}

static void put_host(sqlite3_stmt *s, int at, uint32_t host)
{
	if (host == UINT32_MAX)
		sqlite3_bind_null(s, at);
	else
		put_int(s, at, host);
}

void record_move(struct record *r, uint64_t t, uint32_t client_host, uint32_t from, uint32_t to, uint64_t since)
{
	sqlite3_stmt *s = row(r, INSERT_MOVE);

	if (s == NULL) return;
	put_int(s, 1, t);
	put_int(s, 2, client_host);
	put_host(s, 3, from);
	put_host(s, 4, to);
	put_int(s, 5, since);
	done(r, s);
}

void record_pair(struct record *r, uint64_t t, uint32_t a, uint32_t b, uint64_t since)
{
	sqlite3_stmt *s = row(r, INSERT_PAIR);

	if (s == NULL) return;
	if (t == TIME_NEVER)
		sqlite3_bind_null(s, 1);
	else
		put_int(s, 1, t);
	put_int(s, 2, a);
	put_int(s, 3, b);
	put_int(s, 4, since);
	done(r, s);
}

static bool note_is_kept(enum record_level level, enum note_kind kind)
{
	if (level >= RECORD_SAMPLED) return true;
	return kind == NOTE_LOGIN || kind == NOTE_LOGIN_FAILED || kind == NOTE_LEAVE || kind == NOTE_MESH || kind == NOTE_WATCHER ||
	       kind == NOTE_WRITE_TIMEOUT;
}

void record_note(struct record *r, uint64_t t, uint32_t host, const struct note *note)
{
	sqlite3_stmt *s = r == NULL || !note_is_kept(r->level, note->kind) ? NULL : row(r, INSERT_NOTE);

	if (s == NULL) return;
	put_int(s, 1, t);
	put_int(s, 2, host);
	put_text(s, 3, note_kind_name(note->kind));
	put_int(s, 4, note->token);
	put_key(s, 5, note->key);
	put_key(s, 6, note->key2);
	put_int(s, 7, note->a);
	put_int(s, 8, note->b);
	if (note->kind == NOTE_DROP)
		put_text(s, 9, drop_reason_name((enum drop_reason)note->a));
	else if (note->text != NULL)
		put_text(s, 9, note->text);
	else
		sqlite3_bind_null(s, 9);
	done(r, s);
}

void record_event(struct record *r, uint64_t seq, uint64_t t, uint32_t host, const struct event *e, uint64_t content)
{
	sqlite3_stmt *s = row(r, INSERT_EVENT);

	if (s == NULL || r->level < RECORD_SAMPLED || (r->level == RECORD_SAMPLED && seq % RECORD_SAMPLE != 0)) return;
	put_int(s, 1, seq);
	put_int(s, 2, t);
	put_int(s, 3, host);
	sqlite3_bind_text(s, 4, event_kind_name(e->kind), -1, SQLITE_STATIC);
	put_int(s, 5, e->token);
	put_int(s, 6, record_event_n(e));
	put_int(s, 7, content);
	done(r, s);
}

void record_node_second(struct record *r, uint64_t t, const struct record_node_second *x)
{
	sqlite3_stmt *s = row(r, INSERT_NODE_SECOND);

	if (s == NULL) return;
	put_int(s, 1, t);
	put_int(s, 2, x->host);
	put_int(s, 3, x->conns);
	put_int(s, 4, x->delivered);
	put_int(s, 5, x->forwarded);
	put_int(s, 6, x->dropped);
	put_int(s, 7, x->cpu_ns);
	put_int(s, 8, x->handshake_ns);
	put_int(s, 9, x->handshakes_waiting);
	done(r, s);
}

static void end_row(struct record *r, bool finished, uint64_t events, struct sim_digest digest, const char *verdict)
{
	sqlite3_stmt *s = row(r, UPDATE_END);
	char text[33];

	if (s == NULL) return;
	record_digest_text(digest, text);
	put_int(s, 1, finished);
	put_int(s, 2, events);
	put_text(s, 3, text);
	put_text(s, 4, verdict);
	done(r, s);
}

void record_commit(struct record *r)
{
	if (r != NULL && !r->failed) run_sql(r, "COMMIT; BEGIN", "write to");
}

void record_second(struct record *r, uint64_t t, uint64_t events, struct sim_digest digest, uint64_t connected, uint64_t zombies, uint64_t away)
{
	sqlite3_stmt *s = row(r, INSERT_SECOND);
	char text[33];

	if (s == NULL) return;
	record_digest_text(digest, text);
	put_int(s, 1, t);
	put_int(s, 2, events);
	put_text(s, 3, text);
	put_int(s, 4, connected);
	put_int(s, 5, zombies);
	put_int(s, 6, away);
	done(r, s);
	end_row(r, false, events, digest, "unfinished");
	record_commit(r);
}

void record_expect(struct record *r, uint32_t line, const char *text, const char *measured, bool ok, bool goal)
{
	sqlite3_stmt *s = row(r, INSERT_EXPECT);

	if (s == NULL) return;
	put_int(s, 1, line);
	put_text(s, 2, text);
	put_text(s, 3, measured);
	put_int(s, 4, ok);
	put_int(s, 5, goal);
	done(r, s);
}

void record_finding(struct record *r, uint64_t t, const char *rule, const char *text)
{
	sqlite3_stmt *s = row(r, INSERT_FINDING);

	if (s == NULL) return;
	put_int(s, 1, t);
	put_text(s, 2, rule);
	put_text(s, 3, text);
	done(r, s);
}

static void put_quantile(sqlite3_stmt *s, int at, uint64_t v)
{
	if (v == DIST_NEVER)
		sqlite3_bind_null(s, at);
	else
		put_int(s, at, v);
}

void record_failover(struct record *r, const char *who, const struct dist *d)
{
	sqlite3_stmt *s = row(r, INSERT_FAILOVER);

	if (s == NULL) return;
	put_text(s, 1, who);
	put_int(s, 2, d->n + d->never);
	put_int(s, 3, d->never);
	put_quantile(s, 4, d->n > 0 ? d->min : DIST_NEVER);
	put_quantile(s, 5, dist_quantile(d, 500));
	put_quantile(s, 6, dist_quantile(d, 900));
	put_quantile(s, 7, dist_quantile(d, 990));
	put_quantile(s, 8, d->never > 0 || d->n == 0 ? DIST_NEVER : d->max);
	done(r, s);
}

void record_end(struct record *r, uint64_t events, struct sim_digest digest, bool good)
{
	end_row(r, true, events, digest, good ? "good" : "finding");
}

/* ---- reading ---- */

struct record_reader {
	sqlite3 *db;
	sqlite3_stmt *run, *event, *second, *host;
	struct record_file_row *file;
	char **copy; /* of the files' texts */
	uint32_t files;
	bool events_over, seconds_over; /* SQLite would begin again */
	char error[RECORD_ERROR_SIZE];
};

void record_reader_free(struct record_reader *r)
{
	if (r == NULL) return;
	sqlite3_finalize(r->run);
	sqlite3_finalize(r->event);
	sqlite3_finalize(r->second);
	sqlite3_finalize(r->host);
	for (uint32_t i = 0; i < 3 * r->files; i++) free(r->copy[i]);
	free(r->copy);
	free(r->file);
	sqlite3_close(r->db);
	free(r);
}

const char *record_reader_error(const struct record_reader *r) { return r->error[0] == 0 ? NULL : r->error; }

static bool prepare(struct record_reader *r, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(r->db, sql, -1, out, NULL) == SQLITE_OK) return true;
	snprintf(r->error, sizeof r->error, "%s", sqlite3_errmsg(r->db));
	return false;
}

/* The next row. `kinds` says what each column must hold: i, t. A trace that somebody altered may hold anything. */
static bool step(struct record_reader *r, sqlite3_stmt *s, const char *kinds)
{
	int result = sqlite3_step(s);

	if (result == SQLITE_DONE) return false;
	if (result != SQLITE_ROW) {
		snprintf(r->error, sizeof r->error, "%s", sqlite3_errmsg(r->db));
		return false;
	}
	for (int i = 0; kinds[i] != 0; i++) {
		if (sqlite3_column_type(s, i) == (kinds[i] == 'i' ? SQLITE_INTEGER : SQLITE_TEXT)) continue;
		snprintf(r->error, sizeof r->error, "%s is no %s in a row of: %s", sqlite3_column_name(s, i), kinds[i] == 'i' ? "integer" : "text",
		         sqlite3_sql(s));
		return false;
	}
	return true;
}

static uint64_t int_at(sqlite3_stmt *s, int at) { return (uint64_t)sqlite3_column_int64(s, at); }
static const char *text_at(sqlite3_stmt *s, int at) { return (const char *)sqlite3_column_text(s, at); }

static char *copy_column(sqlite3_stmt *s, int at, size_t *n)
{
	const void *p = sqlite3_column_text(s, at);
	char *copy;

	*n = (size_t)sqlite3_column_bytes(s, at);
	copy = mem_alloc(*n + 1);
	if (*n > 0) memcpy(copy, p, *n);
	copy[*n] = 0;
	return copy;
}

static bool read_files(struct record_reader *r)
{
	sqlite3_stmt *s;
	uint32_t cap = 0;
	size_t n;

	if (!prepare(r, "SELECT name, kind, text FROM file ORDER BY id", &s)) return false;
	while (step(r, s, "ttt")) {
		struct record_file_row *f;
		char **copy;
		MEM_ROOM(r->file, r->files, cap);
		r->copy = mem_grow(r->copy, 3 * (uint64_t)cap * sizeof *r->copy);
		f = &r->file[r->files];
		copy = &r->copy[3 * (r->files++)];
		f->name = copy[0] = copy_column(s, 0, &n);
		f->kind = copy[1] = copy_column(s, 1, &n);
		f->text = copy[2] = copy_column(s, 2, &f->n);
	}
	sqlite3_finalize(s);
	return r->error[0] == 0;
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

/* Opened for writing, never written: a journal that a killed run left behind must be readable. */
static bool is_trace(struct record_reader *r, const char *path)
{
	int64_t version = -1;

	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) version = pragma(r->db, "PRAGMA user_version");
	if (version < 0)
		snprintf(r->error, sizeof r->error, "%s, expected a trace", sqlite3_errmsg(r->db));
	else if (pragma(r->db, "PRAGMA application_id") != RECORD_APPLICATION)
		snprintf(r->error, sizeof r->error, "found another database, expected a trace");
	else if (version != RECORD_VERSION)
		snprintf(r->error, sizeof r->error, "found a trace of version %lld, expected version %d", (long long)version, RECORD_VERSION);
	return r->error[0] == 0;
}

struct record_reader *record_reader_new(const char *path, char error[RECORD_ERROR_SIZE])
{
	struct record_reader *r = mem_zero(1, sizeof *r);
	char damage[RECORD_ERROR_SIZE];

	if (is_trace(r, path)) {
		if (read_files(r) &&
		    prepare(r, "SELECT scenario, seed, build, level, until_ns, overrides, plant, cities, finished, events, digest, verdict FROM run",
		            &r->run) &&
		    prepare(r, "SELECT seq, t, host, kind, token, n, content FROM event ORDER BY seq", &r->event) &&
		    prepare(r, "SELECT t, events, digest FROM second_run ORDER BY t", &r->second) &&
		    prepare(r, "SELECT name FROM entity WHERE host = ?", &r->host))
			return r;
		memcpy(damage, r->error, sizeof damage);
		snprintf(r->error, sizeof r->error, "the trace is damaged: %.250s", damage);
	}
	memcpy(error, r->error, RECORD_ERROR_SIZE);
	record_reader_free(r);
	return NULL;
}

bool record_reader_run(struct record_reader *r, struct record_run_row *out)
{
	sqlite3_stmt *s = r->run;

	if (!step(r, s, "tittittiiitt")) return false;
	*out = (struct record_run_row){
		.scenario = text_at(s, 0),
		.seed = int_at(s, 1),
		.build = text_at(s, 2),
		.level = text_at(s, 3),
		.until_ns = int_at(s, 4),
		.overrides = text_at(s, 5),
		.plant = text_at(s, 6),
		.cities = int_at(s, 7),
		.finished = int_at(s, 8) != 0,
		.events = int_at(s, 9),
		.digest = text_at(s, 10),
		.verdict = text_at(s, 11),
	};
	return true;
}

uint32_t record_reader_files(const struct record_reader *r) { return r->files; }
struct record_file_row record_reader_file(const struct record_reader *r, uint32_t i) { return r->file[i]; }

bool record_reader_event(struct record_reader *r, struct record_event_row *out)
{
	sqlite3_stmt *s = r->event;

	if (r->events_over || !step(r, s, "iiitiii")) {
		r->events_over = true;
		return false;
	}
	*out = (struct record_event_row){ .seq = int_at(s, 0),
		                          .t = int_at(s, 1),
		                          .host = int_at(s, 2),
		                          .kind = text_at(s, 3),
		                          .token = int_at(s, 4),
		                          .n = int_at(s, 5),
		                          .content = int_at(s, 6) };
	return true;
}

bool record_reader_second(struct record_reader *r, struct record_second_row *out)
{
	if (r->seconds_over || !step(r, r->second, "iit")) {
		r->seconds_over = true;
		return false;
	}
	*out = (struct record_second_row){ .t = int_at(r->second, 0), .events = int_at(r->second, 1), .digest = text_at(r->second, 2) };
	return true;
}

const char *record_reader_host(struct record_reader *r, uint64_t host)
{
	sqlite3_reset(r->host);
	sqlite3_bind_int64(r->host, 1, (sqlite3_int64)host);
	return step(r, r->host, "t") ? text_at(r->host, 0) : "?";
}
