/* A recording: every event of a machine on real sockets, in SQLite, with a digest of the actions. sim/recording.sql is its manual.
 *
 * Writing: recording_before and recording_after around each step; recording_commit at least once a second while recording_waits. The first
 * error (a full disk) and the limit of size end the recording, not the machine: recording_over says so. Reading: rows in order. */
#ifndef SIM_RECORDING_H
#define SIM_RECORDING_H

#include "event_code.h"
#include "sim.h"

enum { RECORDING_ERROR_SIZE = 300, RECORDING_VERSION = 1, RECORDING_APPLICATION = 0x64657265 /* "dere" */ };

/* ---- digests ---- */

/* Of one row's event. */
uint64_t recording_content(uint64_t seq, const struct event *e, bool turn, const uint8_t *data, uint32_t n);
/* After the event, and the actions that it added to the lists: everything that they say, bytes whole. */
struct sim_digest recording_digest(struct sim_digest before, uint64_t content, const struct actions *out, uint32_t out_from, const struct actions *up,
                                   uint32_t up_from);

/* ---- writing ---- */

struct recording;
/* Into a database that is empty or not there. size_max: bytes of events, 0: any number. NULL: error says why. */
struct recording *recording_new(const char *path, const char *build, uint64_t size_max, char error[RECORDING_ERROR_SIZE]);
/* Commits and closes; NULL is fine. */
void recording_free(struct recording *r);
void recording_before(struct recording *r, const struct event *e, bool turn);
void recording_after(struct recording *r, const struct actions *out, uint32_t out_from, const struct actions *up, uint32_t up_from);
bool recording_waits(const struct recording *r);
void recording_commit(struct recording *r);
/* Why it is over before its time, in a sentence, and how many events were kept at most; NULL: it is not. */
const char *recording_over(const struct recording *r);
uint64_t recording_events(const struct recording *r);
/* From the handler of a fatal signal, behind which nothing follows: keeps the event under way too, if the crash was not in here. */
void recording_crashed(struct recording *r);

/* ---- reading ---- */

struct recording_reader;
/* Is it a recording, whatever its version and state? */
bool recording_is(const char *path);
/* NULL: error says why. */
struct recording_reader *recording_reader_new(const char *path, char error[RECORDING_ERROR_SIZE]);
void recording_reader_free(struct recording_reader *r);
const char *recording_reader_error(const struct recording_reader *r); /* NULL: all is well. Looked at when no row came */

struct recording_run {
	const char *machine, *build, *ended, *digest; /* live as long as the reader */
	uint64_t events;
};
struct recording_row {
	uint64_t seq, t, token, content, actions, digest;
	const char *kind; /* this and data: until the next call */
	const uint8_t *data;
	uint32_t n;
	uint64_t turn; /* 0, 1; as read */
	bool crashed;  /* crashed: no actions, no digest */
};
bool recording_reader_run(struct recording_reader *r, struct recording_run *out);
bool recording_reader_row(struct recording_reader *r, struct recording_row *out);

#endif
