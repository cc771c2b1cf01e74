/* One screen. Time runs from left to right in COLUMNS buckets; a digit is a node's clients in ninths of the most that any node ever had. */
#include "timeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 60, NODES_SHOWN = 12, MOVES_SHOWN = 8, FAULTS_SHOWN = 12, FINDINGS_SHOWN = 5, MEASURED_AT = 55, NAME = 64, NAME_COLUMNS = 10 };

struct span {
	int64_t until; /* ns, of the whole run */
	bool finished;
};

static int64_t ask(struct db *db, const char *sql)
{
	struct db_rows *r = db_query(db, sql);
	int64_t value = db_next(r) ? db_int(r, 0) : 0;

	db_done(r);
	return value;
}

/* Words and numbers behind a head that is not broken. */
static void line(const struct paper *o, const char *head, unsigned indent, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void line(const struct paper *o, const char *head, unsigned indent, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	paper_wrap(o, head, indent, text);
}

static const char *name_at(const struct db_rows *r, int column, char out[NAME])
{
	paper_clean(db_text(r, column), out, NAME);
	return out;
}

/* part / whole in steps; whatever a trace says, within 0..steps. */
static int64_t steps_of(int64_t part, int64_t whole, int64_t steps)
{
	if (part <= 0 || whole <= 0) return 0;
	return part >= whole ? steps : (int64_t)((__int128)part * steps / whole);
}

/* The bucket of what ends at t: a second is in that of its last ns, and so is a fault at its end. */
static int64_t column_of(int64_t t, const struct span *span)
{
	int64_t at = steps_of(t > 0 ? t - 1 : 0, span->until, COLUMNS);

	return at < COLUMNS ? at : COLUMNS - 1;
}

static bool header(struct db *db, const struct paper *o, struct span *span)
{
	struct db_rows *r = db_query(db, "SELECT title, scenario, seed, build, level, until_ns, finished, events FROM run");
	char text[PAPER_TIME];
	bool there = db_next(r);

	if (there) {
		*span = (struct span){ .until = db_int(r, 5), .finished = db_int(r, 6) != 0 };
		if (db_text(r, 0)[0] != 0) paper_wrap(o, "", 0, db_text(r, 0));
		line(o, "", 0, "%s, seed %" PRIu64 ", level %s, by %s", db_text(r, 1), (uint64_t)db_int(r, 2), db_text(r, 4), db_text(r, 3));
		paper_say(o, "%" PRId64 " relays, %" PRId64 " clients, %s of virtual time, %" PRId64 " machine events\n",
		          ask(db, "SELECT count(*) FROM entity WHERE kind = 'relay'"), ask(db, "SELECT count(*) FROM entity WHERE kind = 'client'"),
		          paper_duration(span->until, text), db_int(r, 7));
		if (!span->finished)
			paper_say(o, "The run was cut off: this is its story up to %s.\n",
			          paper_moment(ask(db, "SELECT max(t) FROM second_run"), text));
	}
	db_done(r);
	return there;
}

/* ---- faults ---- */

static void fault(const struct db_rows *r, const struct paper *o)
{
	int64_t first = db_int(r, 0), last = db_int(r, 1), times = db_int(r, 3), hosts = db_int(r, 4);
	char at[PAPER_TIME], verb[NAME], name[NAME], head[60], again[60] = "", until[80] = "";

	snprintf(head, sizeof head, "  %12s  ", paper_moment(first, at));
	if (hosts > 1) snprintf(name, sizeof name, "%" PRId64 " clients", hosts);
	if (hosts <= 1) name_at(r, 5, name);
	if (times > hosts) snprintf(again, sizeof again, ", %" PRId64 " times", times);
	if (last > first) snprintf(until, sizeof until, ", the last at %s", paper_moment(last, at));
	line(o, head, 16, "%s %s%s%s", name_at(r, 2, verb), name, again, until);
}

/* A line of the scenario that strikes clients is one line here; one that strikes nodes, a line for each node. */
static void faults(struct db *db, const struct paper *o)
{
	struct db_rows *r = db_query(db, "SELECT min(f.t), max(f.t), f.verb, count(*), count(DISTINCT f.host), min(e.name)"
	                                 " FROM fault f LEFT JOIN entity e USING (host)"
	                                 " GROUP BY f.line, f.verb, CASE WHEN e.kind = 'client' THEN -1 ELSE f.host END"
	                                 " ORDER BY min(f.t), f.line, f.verb, min(f.host)");
	int shown = 0;

	paper_say(o, "\nWhat happened\n");
	for (; db_next(r); shown++)
		if (shown < FAULTS_SHOWN) fault(r, o);
	if (shown == 0) paper_say(o, "  nothing\n");
	if (shown > FAULTS_SHOWN) paper_say(o, "  and %d more\n", shown - FAULTS_SHOWN);
	db_done(r);
}

/* ---- connections ---- */

struct chart {
	char mark[NODES_SHOWN][COLUMNS]; /* 0: none */
	int64_t value[COLUMNS];          /* of the node at hand; -1: not known */
	int64_t most;
};

static void marks(struct db *db, const struct span *span, struct chart *c)
{
	struct db_rows *r = db_query(db, "SELECT t, verb, host FROM fault ORDER BY t, rowid");

	while (db_next(r)) {
		int64_t at = column_of(db_int(r, 0), span), host = db_int(r, 2);
		char sign = strncmp(db_text(r, 1), "crash", 5) == 0 ? 'X' : '^';
		if (host >= 0 && host < NODES_SHOWN && c->mark[host][at] != 'X') c->mark[host][at] = sign;
	}
	db_done(r);
}

/* A long name's end: that is where its number is. */
static const char *name_end(const char *name)
{
	size_t n = strlen(name);

	if (n > NAME_COLUMNS) name += n - NAME_COLUMNS;
	while (((unsigned char)*name & 0xc0) == 0x80) name++; /* never from within a letter */
	return name;
}

static void node_row(const struct paper *o, const struct chart *c, int64_t host, const char *name)
{
	char row[COLUMNS + 1];
	int64_t last = 0;

	for (int i = 0; i < COLUMNS; i++) {
		int64_t v = c->value[i];
		row[i] = v < 0 ? ' ' : v == 0 ? '.' : (char)('0' + steps_of(v, c->most, 9));
		if (host >= 0 && host < NODES_SHOWN && c->mark[host][i] != 0) row[i] = c->mark[host][i];
		if (v >= 0) last = v;
	}
	row[COLUMNS] = 0;
	paper_say(o, "  %-10s %s %6" PRId64 "\n", name_end(name), row, last);
}

static void node_rows(struct db *db, const struct paper *o, const struct span *span, struct chart *c)
{
	struct db_rows *r = db_query(db, "SELECT s.host, e.name, s.t, s.conns FROM second_node s JOIN entity e USING (host) ORDER BY s.host, s.t");
	int64_t host = -1, filled = 0;
	char name[NAME] = "";
	int nodes = 0;

	while (db_next(r)) {
		int64_t at = column_of(db_int(r, 2), span);
		if (db_int(r, 0) != host || nodes == 0) {
			if (nodes > 0 && nodes <= NODES_SHOWN) node_row(o, c, host, name);
			for (int i = 0; i < COLUMNS; i++) c->value[i] = -1;
			host = db_int(r, 0), filled = 0, nodes++;
			name_at(r, 1, name);
		}
		for (; filled < at; filled++) /* fewer seconds than columns */
			if (c->value[filled] < 0) c->value[filled] = db_int(r, 3);
		c->value[at] = db_int(r, 3);
	}
	if (nodes > 0 && nodes <= NODES_SHOWN) node_row(o, c, host, name);
	if (nodes > NODES_SHOWN) paper_say(o, "  and %d more nodes\n", nodes - NODES_SHOWN);
	db_done(r);
}

static void connections(struct db *db, const struct paper *o, const struct span *span)
{
	struct chart c = { .most = ask(db, "SELECT max(conns) FROM second_node") };
	char text[PAPER_TIME];

	paper_say(o, "\nClients at each node, in ninths of %" PRId64 " (. none), and the last number of them\n", c.most);
	marks(db, span, &c);
	node_rows(db, o, span, &c);
	paper_say(o, "  %-10s 0%*s   X crash ^ restart\n", "", COLUMNS - 21, paper_duration(span->until, text));
}

/* ---- moves ---- */

static void moves(struct db *db, const struct paper *o)
{
	struct db_rows *r =
		db_query(db, "SELECT count(*), coalesce(a.name, '?'), coalesce(b.name, 'nowhere'), min(m.since), max(m.t - m.since), m.dst IS NULL"
	                     " FROM move m LEFT JOIN entity a ON a.host = m.src LEFT JOIN entity b ON b.host = m.dst"
	                     " GROUP BY m.src, m.dst ORDER BY min(m.since), count(*) DESC, m.src, m.dst");
	char a[PAPER_TIME], b[PAPER_TIME], from[NAME], to[NAME], head[40];
	int shown = 0;

	paper_say(o, "\nWho moved where\n");
	for (; db_next(r); shown++) {
		if (shown >= MOVES_SHOWN) continue;
		snprintf(head, sizeof head, "  %7" PRId64 " clients  ", db_int(r, 0));
		line(o, head, 18, "%s -> %s, hit at %s, %s%s", name_at(r, 1, from), name_at(r, 2, to), paper_moment(db_int(r, 3), a),
		     db_int(r, 5) != 0 ? "never back" : "back within ", db_int(r, 5) != 0 ? "" : paper_duration(db_int(r, 4), b));
	}
	if (shown == 0) paper_say(o, "  nobody\n");
	if (shown > MOVES_SHOWN) paper_say(o, "  and %d more ways\n", shown - MOVES_SHOWN);
	db_done(r);
}

/* ---- failover ---- */

/* A percentile of 1/1024 precision, or never; - where there is nothing to measure. */
static const char *quantile(const struct db_rows *r, int column, char out[PAPER_TIME])
{
	if (db_int(r, 1) == 0) return "-";
	return db_null(r, column) ? "never" : paper_duration(db_int(r, column), out);
}

static void failover(struct db *db, const struct paper *o, const struct span *span)
{
	struct db_rows *r;
	int64_t later = ask(db, "SELECT n FROM failover WHERE who = 'pair later'");
	char p[4][PAPER_TIME], who[NAME];

	paper_say(o, "\nHow long failover took\n");
	if (!span->finished) {
		paper_say(o, "  this is measured at the end, and the run was cut off\n");
		return;
	}
	r = db_query(db, "SELECT who, n, p50, p90, p99, max, never FROM failover ORDER BY who");
	paper_say(o, "  %-11s %8s %10s %10s %10s %10s %8s\n", "", "n", "p50", "p90", "p99", "max", "never");
	while (db_next(r)) {
		if (later == 0 && strncmp(db_text(r, 0), "pair ", 5) == 0) continue; /* all are of the first kind */
		paper_say(o, "  %-11.11s %8" PRId64 " %10s %10s %10s %10s %8" PRId64 "\n", name_at(r, 0, who), db_int(r, 1), quantile(r, 2, p[0]),
		          quantile(r, 3, p[1]), quantile(r, 4, p[2]), quantile(r, 5, p[3]), db_int(r, 6));
	}
	db_done(r);
	paper_wrap(o, "  ", 2,
	           "client: from the fault to the login at a node. pair: from the first packet that either sends after the fault to the first that "
	           "arrives.");
	if (later > 0)
		paper_wrap(o, "  ", 2,
		           "pair first: that was the same packet. pair later: it was lost, and the time goes on until another arrives, so that it "
		           "also counts how long the pair's load was silent.");
}

/* ---- verdicts ---- */

/* Text to the left, what was measured to the right; below it where both do not fit. */
static void verdict(const struct paper *o, const char *word, const char *text, const char *measured)
{
	char a[400], b[200];
	unsigned left, right;

	if (strncmp(text, "expect ", 7) == 0) text += 7;
	left = 9 + paper_clean(text, a, sizeof a);
	right = paper_clean(measured, b, sizeof b);
	if (left < MEASURED_AT && MEASURED_AT + right <= PAPER_COLUMNS)
		paper_say(o, "  %s %s%*s%s\n", word, a, (int)(MEASURED_AT - left), "", b);
	else if (left + 2 + right <= PAPER_COLUMNS)
		paper_say(o, "  %s %s%*s%s\n", word, a, (int)(PAPER_COLUMNS - left - right), "", b);
	else {
		paper_say(o, "  %s ", word);
		paper_wrap(o, "", 9, a);
		paper_wrap(o, "           ", 11, b);
	}
}

static void verdicts(struct db *db, const struct paper *o, const struct span *span)
{
	struct db_rows *r = db_query(db, "SELECT ok, goal, text, measured FROM expect ORDER BY rowid");
	int64_t findings = ask(db, "SELECT count(*) FROM finding");
	char at[PAPER_TIME], head[100], rule[NAME], text[NAME];

	paper_say(o, "\nVerdicts\n");
	while (db_next(r)) verdict(o, db_int(r, 0) ? "ok    " : db_int(r, 1) ? "goal  " : "MISSED", db_text(r, 2), db_text(r, 3));
	db_done(r);
	r = db_query(db, "SELECT t, rule, text FROM finding ORDER BY rowid");
	for (int i = 0; i < FINDINGS_SHOWN && db_next(r); i++) {
		snprintf(head, sizeof head, "  FOUND  %s at %s: ", name_at(r, 1, rule), paper_moment(db_int(r, 0), at));
		paper_wrap(o, head, 9, db_text(r, 2));
	}
	db_done(r);
	if (findings > FINDINGS_SHOWN) paper_say(o, "  FOUND  and %" PRId64 " more\n", findings - FINDINGS_SHOWN);
	if (!span->finished) paper_say(o, "  expectations are judged at the end, and the run was cut off\n");
	r = db_query(db, "SELECT verdict, digest FROM run");
	if (db_next(r)) paper_say(o, "  %s, digest %s\n", name_at(r, 0, rule), name_at(r, 1, text));
	db_done(r);
}

bool timeline_print(struct db *db, const struct paper *o)
{
	struct span span;

	if (!header(db, o, &span)) return false;
	faults(db, o);
	connections(db, o, &span);
	moves(db, o);
	failover(db, o, &span);
	verdicts(db, o, &span);
	return db_error(db) == NULL;
}
