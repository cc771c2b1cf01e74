/* One screen. Time runs from left to right in COLUMNS buckets; a digit is a node's connections as tenths of the largest value of all. */
#include "timeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 72, NODES_SHOWN = 12, MOVES_SHOWN = 8, FAULTS_SHOWN = 12, LINE = 512 };
#define SECOND INT64_C(1000000000)

struct span {
	int64_t until; /* ns, of the whole run */
};

static void say(const struct timeline_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct timeline_out *o, const char *format, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n > 0) o->write(o->ctx, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static const char *seconds(int64_t ns, char out[32])
{
	snprintf(out, 32, "%" PRId64 ".%03" PRId64 " s", ns / SECOND, ns / (SECOND / 1000) % 1000);
	return out;
}

/* Times below a second in milliseconds. */
static const char *duration(const struct db_rows *r, int column, char out[32])
{
	int64_t ns = db_int(r, column);

	if (db_null(r, column))
		snprintf(out, 32, "never");
	else if (ns < SECOND)
		snprintf(out, 32, "%" PRId64 ".%" PRId64 " ms", ns / 1000000, ns / 100000 % 10);
	else
		seconds(ns, out);
	return out;
}

static bool header(struct db *db, const struct timeline_out *o, struct span *span)
{
	struct db_rows *r = db_query(db, "SELECT title, scenario, seed, build, until_ns, finished, verdict, digest, events,"
	                                 " (SELECT count(*) FROM entity WHERE kind = 'relay'), (SELECT count(*) FROM entity WHERE kind = 'client'),"
	                                 " (SELECT max(t) FROM second_run) FROM run");
	char text[32];

	if (!db_next(r)) {
		db_done(r);
		return false;
	}
	span->until = db_int(r, 4);
	say(o, "%s\n", db_text(r, 0));
	say(o, "%s  seed %" PRId64 "  %" PRId64 " relays, %" PRId64 " clients, %s, %" PRId64 " machine events\n", db_text(r, 1), db_int(r, 2),
	    db_int(r, 9), db_int(r, 10), seconds(span->until, text), db_int(r, 8));
	if (db_int(r, 5) == 0) say(o, "The run was cut off: this is its story up to %s.\n", seconds(db_int(r, 11), text));
	db_done(r);
	return true;
}

/* ---- faults ---- */

static void fault_marks(struct db *db, const struct timeline_out *o, const struct span *span)
{
	struct db_rows *r = db_query(db, "SELECT t, verb FROM fault ORDER BY t, rowid");
	char mark[COLUMNS + 1];

	memset(mark, ' ', COLUMNS);
	mark[COLUMNS] = 0;
	while (db_next(r)) {
		int64_t at = span->until == 0 ? 0 : db_int(r, 0) * COLUMNS / span->until;
		const char *verb = db_text(r, 1);
		char sign = strncmp(verb, "crash", 5) == 0 ? 'X' : strcmp(verb, "restart") == 0 ? '^' : '.';
		if (at < COLUMNS && mark[at] != 'X') mark[at] = sign;
	}
	db_done(r);
	say(o, "%-14s%s\n", "", mark);
}

static void faults(struct db *db, const struct timeline_out *o)
{
	struct db_rows *r = db_query(
		db, "SELECT min(t), max(t), verb, count(*), min(e.name), f.line FROM fault f LEFT JOIN entity e USING (host)"
		    " GROUP BY f.line, verb, CASE WHEN verb IN ('close', 'leave', 'join') THEN -1 ELSE host END ORDER BY min(t), f.line, verb");
	char a[32], b[32];
	int shown = 0;

	say(o, "\nWhat happened\n");
	while (db_next(r) && shown++ < FAULTS_SHOWN) {
		if (db_int(r, 3) == 1)
			say(o, "  %12s  %s %s\n", seconds(db_int(r, 0), a), db_text(r, 2), db_text(r, 4));
		else
			say(o, "  %12s  %s, %" PRId64 " times until %s\n", seconds(db_int(r, 0), a), db_text(r, 2), db_int(r, 3),
			    seconds(db_int(r, 1), b));
	}
	db_done(r);
}

/* ---- connections ---- */

static int64_t most_conns(struct db *db)
{
	struct db_rows *r = db_query(db, "SELECT max(conns) FROM second_node");
	int64_t most = db_next(r) ? db_int(r, 0) : 0;

	db_done(r);
	return most;
}

/* A row of the chart. Levels 0 to 9 of the most that any node ever had; '.' is none. */
static void node_row(const struct timeline_out *o, const char *name, const int64_t *value, int64_t most)
{
	char row[COLUMNS + 1];
	int64_t last = 0;

	for (int i = 0; i < COLUMNS; i++) {
		row[i] = " .0123456789"[value[i] < 0 ? 0 : value[i] == 0 ? 1 : 2 + (most == 0 ? 0 : value[i] * 9 / most)];
		if (value[i] < 0) continue;
		last = value[i];
	}
	row[COLUMNS] = 0;
	say(o, "  %-11s %s %6" PRId64 "\n", name, row, last);
}

static void connections(struct db *db, const struct timeline_out *o, const struct span *span)
{
	struct db_rows *r = db_query(db, "SELECT s.host, e.name, s.t, s.conns FROM second_node s JOIN entity e USING (host) ORDER BY s.host, s.t");
	int64_t value[COLUMNS], host = -1, most = most_conns(db);
	char name[64] = "", text[32];
	int shown = 0;

	say(o, "\nClients at each node (9 is %" PRId64 ", . is none; right: at the end)   X crash, ^ restart, . close\n", most);
	fault_marks(db, o, span);
	for (bool more = db_next(r); more; more = db_next(r)) {
		int64_t at = span->until == 0 ? 0 : (db_int(r, 2) - 1) * COLUMNS / span->until;
		if (db_int(r, 0) != host) {
			if (host >= 0 && shown++ < NODES_SHOWN) node_row(o, name, value, most);
			for (int i = 0; i < COLUMNS; i++) value[i] = -1;
			host = db_int(r, 0);
			snprintf(name, sizeof name, "%s", db_text(r, 1));
		}
		if (at >= 0 && at < COLUMNS) value[at] = db_int(r, 3);
		for (int64_t k = at; k > 0 && k < COLUMNS && value[k - 1] < 0; k--) value[k - 1] = db_int(r, 3); /* fewer seconds than columns */
	}
	if (host >= 0 && shown < NODES_SHOWN) node_row(o, name, value, most);
	db_done(r);
	say(o, "  %-11s 0%*s\n", "", COLUMNS - 1, seconds(span->until, text));
}

/* ---- moves ---- */

static void moves(struct db *db, const struct timeline_out *o)
{
	struct db_rows *r = db_query(db, "SELECT count(*), coalesce(a.name, '?'), coalesce(b.name, 'nowhere'), min(m.since), min(m.t), max(m.t), "
	                                 "max(m.t - m.since), m.dst IS NULL"
	                                 " FROM move m LEFT JOIN entity a ON a.host = m.src LEFT JOIN entity b ON b.host = m.dst"
	                                 " GROUP BY m.src, m.dst ORDER BY min(m.since), count(*) DESC, m.src, m.dst");
	char a[32], b[32];
	int shown = 0;

	say(o, "\nWho moved where\n");
	while (db_next(r)) {
		if (shown++ >= MOVES_SHOWN) continue;
		say(o, "  %6" PRId64 " clients  %s -> %s  from %s, the slowest took %s\n", db_int(r, 0), db_text(r, 1), db_text(r, 2),
		    seconds(db_int(r, 3), a), db_int(r, 7) ? "for ever" : duration(r, 6, b));
	}
	if (shown == 0) say(o, "  nobody\n");
	if (shown > MOVES_SHOWN) say(o, "  and %d more ways\n", shown - MOVES_SHOWN);
	db_done(r);
}

static void failover(struct db *db, const struct timeline_out *o)
{
	struct db_rows *r = db_query(db, "SELECT who, n, p50, p90, p99, max, never FROM failover ORDER BY who");
	char p[4][32];

	say(o, "\nHow long it took: a client from the fault to its next login, a pair from its first packet after the fault to the first that "
	       "arrived\n");
	say(o, "  %-8s %8s %12s %12s %12s %12s %8s\n", "", "n", "p50", "p90", "p99", "max", "never");
	while (db_next(r)) {
		for (int i = 0; i < 4; i++) duration(r, 2 + i, p[i]);
		say(o, "  %-8s %8" PRId64 " %12s %12s %12s %12s %8" PRId64 "\n", db_text(r, 0), db_int(r, 1), db_int(r, 1) ? p[0] : "-",
		    db_int(r, 1) ? p[1] : "-", db_int(r, 1) ? p[2] : "-", db_int(r, 1) ? p[3] : "-", db_int(r, 6));
	}
	db_done(r);
}

static void verdicts(struct db *db, const struct timeline_out *o)
{
	struct db_rows *r = db_query(db, "SELECT ok, goal, text, measured FROM expect ORDER BY rowid");
	char at[32];

	say(o, "\nVerdicts\n");
	while (db_next(r)) say(o, "  %s %-62s %s\n", db_int(r, 0) ? "ok    " : db_int(r, 1) ? "goal  " : "MISSED", db_text(r, 2), db_text(r, 3));
	db_done(r);
	r = db_query(db, "SELECT t, rule, text FROM finding ORDER BY rowid LIMIT 5");
	while (db_next(r)) say(o, "  FOUND  %s at %s: %s\n", db_text(r, 1), seconds(db_int(r, 0), at), db_text(r, 2));
	db_done(r);
	r = db_query(db, "SELECT verdict, digest FROM run");
	if (db_next(r)) say(o, "  %s, digest %s\n", db_text(r, 0), db_text(r, 1));
	db_done(r);
}

bool timeline_print(struct db *db, const struct timeline_out *o)
{
	struct span span;

	if (!header(db, o, &span)) return false;
	faults(db, o);
	connections(db, o, &span);
	moves(db, o);
	failover(db, o);
	verdicts(db, o);
	return true;
}
