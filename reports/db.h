/* Reading a trace: sim/schema.sql is its manual. The only file of the reports that touches SQLite. */
#ifndef REPORTS_DB_H
#define REPORTS_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
enum { DB_ERROR_SIZE = 300, DB_VERSION = 2, DB_APPLICATION = 0x64657270 /* "derp" */ };

/* NULL: error says why, also when it is no trace or one of another version. */
struct db *db_open(const char *path, char error[DB_ERROR_SIZE]);
void db_close(struct db *db);
/* Why rows could not be read: the file is damaged or lacks a table. NULL: all is well. */
const char *db_error(const struct db *db);

/* A query at work. Columns are read by number, from 0; text lives until the next step. */
struct db_rows;
struct db_rows *db_query(struct db *db, const char *sql); /* never NULL: what cannot be asked has no rows, and db_error says why */
bool db_next(struct db_rows *rows);                       /* false: no more */
int64_t db_int(const struct db_rows *rows, int column);
bool db_null(const struct db_rows *rows, int column);
const char *db_text(const struct db_rows *rows, int column); /* "" for NULL */
void db_done(struct db_rows *rows);

#endif
