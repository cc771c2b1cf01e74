/* A thin layer over SQLite, read only. */
#include "db.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct db {
	sqlite3 *handle;
};

struct db_rows {
	sqlite3_stmt *statement;
};

static void *must(void *p)
{
	if (p == NULL) abort();
	return p;
}

struct db *db_open(const char *path, char error[DB_ERROR_SIZE])
{
	struct db *db = must(calloc(1, sizeof *db));
	sqlite3_stmt *s = NULL;
	int64_t version = -1;

	/* Opened for writing, never written: a journal that a killed run left behind must be readable. */
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	if (version == DB_VERSION) return db;
	if (version < 0)
		snprintf(error, DB_ERROR_SIZE, "%s: expected a trace: %s", path, sqlite3_errmsg(db->handle));
	else
		snprintf(error, DB_ERROR_SIZE, "%s: expected a trace of version %d, this is %lld (0: no trace at all)", path, DB_VERSION,
		         (long long)version);
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	if (db == NULL) return;
	sqlite3_close(db->handle);
	free(db);
}

struct db_rows *db_query(struct db *db, const char *sql)
{
	struct db_rows *rows = must(calloc(1, sizeof *rows));
	int result = sqlite3_prepare_v2(db->handle, sql, -1, &rows->statement, NULL);

	assert(result == SQLITE_OK);
	(void)result;
	return rows;
}

bool db_next(struct db_rows *rows) { return sqlite3_step(rows->statement) == SQLITE_ROW; }
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
