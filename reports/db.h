/* Reading a trace: sim/schema.sql is its manual. The only file of the reports that touches SQLite. */
#ifndef REPORTS_DB_H
#define REPORTS_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
enum { DB_ERROR_SIZE = 300, DB_VERSION = 1 };

/* NULL: error is a sentence, also when the trace is of another version. */
struct db *db_open(const char *path, char error[DB_ERROR_SIZE]);
void db_close(struct db *db);

/* A query at work. Columns are read by number, from 0; text lives until the next step. */
struct db_rows;
struct db_rows *db_query(struct db *db, const char *sql); /* asserted to be good SQL: ours is */
bool db_next(struct db_rows *rows);                       /* false: no more */
int64_t db_int(const struct db_rows *rows, int column);
bool db_null(const struct db_rows *rows, int column);
const char *db_text(const struct db_rows *rows, int column);
void db_done(struct db_rows *rows);

#endif
