/* The trace in SQLite: sim/schema.sql is its manual. The only file of the simulator that touches the library.
 *
 * Writing: every record_* takes NULL for "no trace". Rows are committed each virtual second, so that a run that is killed leaves a readable
 * database. The first error (a full disk) stops the writing and is told by record_error; the run's owner ends it with exit code 3.
 * Reading: what replay needs, in order. */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "dist.h"
#include "sim.h"

#include <stddef.h>

struct record;
struct story;

enum record_level { RECORD_OFF, RECORD_SUMMARY, RECORD_SAMPLED, RECORD_FULL, RECORD_LEVELS };
const char *record_level_name(enum record_level level);
enum { RECORD_ERROR_SIZE = 300, RECORD_VERSION = 2, RECORD_SAMPLE = 64 /* sampled: events whose seq is a multiple of this */ };
enum { RECORD_APPLICATION = 0x64657270 /* "derp" */ };

/* ---- writing ---- */

/* Creates the database; the file must not exist. NULL: error says why. level is not OFF. */
struct record *record_new(const char *path, enum record_level level, char error[RECORD_ERROR_SIZE]);
/* Commits and closes; NULL is fine. False: something could not be written (record_error has said so, or the commit failed now). */
bool record_close(struct record *r, char error[RECORD_ERROR_SIZE]);
/* NULL: all is well. */
const char *record_error(const struct record *r);
bool record_wants_events(const struct record *r);

struct record_run {
	const char *scenario, *title, *build, *overrides, *plant;
	uint64_t seed, until_ns, cities;
};
void record_run(struct record *r, const struct record_run *run);
void record_file(struct record *r, uint32_t id, const char *name, const char *kind, const char *text, size_t n);
void record_entity(struct record *r, uint32_t host, const char *kind, const char *name, const char *region, const char *city, const uint8_t *key);
void record_draw(struct record *r, uint32_t line, const char *word, const char *key, const char *name, uint64_t value);
void record_fault(struct record *r, uint64_t t, const char *verb, uint32_t host, uint32_t line);
void record_move(struct record *r, uint64_t t, uint32_t client_host, uint32_t from, uint32_t to, uint64_t since); /* UINT32_MAX: none */
void record_pair(struct record *r, uint64_t t, uint32_t a_host, uint32_t b_host, uint64_t since);                 /* t TIME_NEVER: never */
void record_note(struct record *r, uint64_t t, uint32_t host, const struct note *note);
void record_event(struct record *r, uint64_t seq, uint64_t t, uint32_t host, const struct event *e, uint64_t content);
struct record_node_second {
	uint32_t host, conns, handshakes_waiting;
	uint64_t delivered, forwarded, dropped, cpu_ns, handshake_ns;
};
void record_node_second(struct record *r, uint64_t t, const struct record_node_second *s);
/* What came before survives from here on, whatever happens to the program. */
void record_commit(struct record *r);
/* Also commits what came before. */
void record_second(struct record *r, uint64_t t, uint64_t events, struct sim_digest digest, uint64_t connected, uint64_t zombies, uint64_t away);
void record_expect(struct record *r, uint32_t line, const char *text, const char *measured, bool ok, bool goal);
void record_finding(struct record *r, uint64_t t, const char *rule, const char *text);
void record_failover(struct record *r, const char *who, const struct dist *d);
void record_end(struct record *r, uint64_t events, struct sim_digest digest, bool good);

/* 32 hex digits and a NUL. */
void record_digest_text(struct sim_digest digest, char out[33]);
/* Bytes of an event as the trace counts them; its kind is event_kind_name. */
uint32_t record_event_n(const struct event *e);

/* ---- reading ---- */

struct record_reader;
/* NULL: error says why, also when it is no trace or one of another version. */
struct record_reader *record_reader_new(const char *path, char error[RECORD_ERROR_SIZE]);
void record_reader_free(struct record_reader *r);
/* Why a row could not be read, or is none of ours; NULL: all is well. Looked at when a row did not come. */
const char *record_reader_error(const struct record_reader *r);

struct record_run_row {
	const char *scenario, *level, *overrides, *plant, *digest, *verdict, *build; /* live as long as the reader */
	uint64_t seed, until_ns, cities, events;
	bool finished;
};
/* False: the trace has no run, or cannot be read. */
bool record_reader_run(struct record_reader *r, struct record_run_row *out);
struct record_file_row {
	const char *name, *kind, *text;
	size_t n;
};
uint32_t record_reader_files(const struct record_reader *r);
struct record_file_row record_reader_file(const struct record_reader *r, uint32_t i);

struct record_event_row {
	uint64_t seq, t, host, token, n, content;
	const char *kind; /* until the next call */
};
/* The next row in order; false: no more. */
bool record_reader_event(struct record_reader *r, struct record_event_row *out);
struct record_second_row {
	uint64_t t, events;
	const char *digest; /* until the next call */
};
bool record_reader_second(struct record_reader *r, struct record_second_row *out);
/* Name of a host, "?" if unknown; until the next call. */
const char *record_reader_host(struct record_reader *r, uint64_t host);

#endif
