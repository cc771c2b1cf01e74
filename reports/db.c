/* A thin layer over SQLite, read only. The first error stays. */
#include "db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct db {
	sqlite3 *handle;
	char error[DB_ERROR_SIZE];
};

struct db_rows {
	struct db *db;
	sqlite3_stmt *statement; /* NULL: it could not be asked */
};

static void *must(void *p)
{
	if (p == NULL) abort();
	return p;
}

static int64_t pragma(struct db *db, const char *sql)
{
	struct db_rows *r = db_query(db, sql);
	int64_t value = db_next(r) ? db_int(r, 0) : -1;

	db_done(r);
	return value;
}

/* Opened for writing, never written: a journal that a killed run left behind must be readable. */
static bool is_trace(struct db *db, const char *path, char error[DB_ERROR_SIZE])
{
	int64_t version = -1;

	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) version = pragma(db, "PRAGMA user_version");
	if (version >= 0 && pragma(db, "PRAGMA application_id") == DB_APPLICATION && version == DB_VERSION) return true;
	if (version < 0)
		snprintf(error, DB_ERROR_SIZE, "%s, expected a trace", sqlite3_errmsg(db->handle));
	else if (pragma(db, "PRAGMA application_id") != DB_APPLICATION)
		snprintf(error, DB_ERROR_SIZE, "found another database, expected a trace");
	else
		snprintf(error, DB_ERROR_SIZE, "found a trace of version %lld, expected version %d", (long long)version, DB_VERSION);
	return false;
}

struct db *db_open(const char *path, char error[DB_ERROR_SIZE])
{
	struct db *db = must(calloc(1, sizeof *db));

	if (is_trace(db, path, error)) return db;
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	if (db == NULL) return;
	sqlite3_close(db->handle);
	free(db);
}

const char *db_error(const struct db *db) { return db->error[0] == 0 ? NULL : db->error; }

static void failed(struct db *db)
{
	if (db->error[0] == 0) snprintf(db->error, sizeof db->error, "%s", sqlite3_errmsg(db->handle));
}

struct db_rows *db_query(struct db *db, const char *sql)
{
	struct db_rows *rows = must(calloc(1, sizeof *rows));

	rows->db = db;
	if (sqlite3_prepare_v2(db->handle, sql, -1, &rows->statement, NULL) != SQLITE_OK) failed(db);
	return rows;
}

bool db_next(struct db_rows *rows)
{
	int result = rows->statement == NULL ? SQLITE_DONE : sqlite3_step(rows->statement);

	if (result != SQLITE_ROW && result != SQLITE_DONE) failed(rows->db);
	return result == SQLITE_ROW;
}

int64_t db_int(const struct db_rows *rows, int column) { return sqlite3_column_int64(rows->statement, column); }
bool db_null(const struct db_rows *rows, int column) { return sqlite3_column_type(rows->statement, column) == SQLITE_NULL; }

const char *db_text(const struct db_rows *rows, int column)
{
	const char *p = (const char *)sqlite3_column_text(rows->statement, column);

	return p == NULL ? "" : p;
}

void db_done(struct db_rows *rows)
{
	sqlite3_finalize(rows->statement);
	free(rows);
}
