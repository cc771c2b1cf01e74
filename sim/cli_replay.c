/* derpsim replay: runs again what a trace holds, and compares.
 *
 * Level full: each machine event with the trace's row, in step; sampled: each 64th. At every level the digest of each second and that of the
 * end, which take in every event. Rows that are missing or too many differ as well. Of a run that was cut off, what the trace holds up to its
 * last second. */
#include "cli.h"

#include "geo.h"
#include "recording.h"

#include "../ref/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay {
	struct record_reader *reader;
	const struct record_run_row *run;
	bool full, sampled;
	bool diverged;          /* which was printed */
	uint64_t compared;      /* events */
	uint64_t seconds, last; /* by digest; the last of them, ns */
	uint64_t last_events;   /* by then */
	char last_digest[33];   /* then */
	struct cli_progress progress;
};

/* ---- events ---- */

/* A machine event as both sides have it. */
static struct record_event_row row_of(uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	return (struct record_event_row){
		.seq = seq, .t = now, .host = host, .kind = event_kind_name(e->kind), .token = e->token, .n = record_event_n(e), .content = content
	};
}

static bool same_event(const struct record_event_row *a, const struct record_event_row *b)
{
	return a->seq == b->seq && a->t == b->t && a->host == b->host && a->token == b->token && a->n == b->n && a->content == b->content &&
	       strcmp(a->kind, b->kind) == 0;
}

/* row NULL: it has none. */
static void print_event(struct replay *r, const char *who, const struct record_event_row *row)
{
	if (row == NULL) {
		printf("  %-8s  no event\n", who);
		return;
	}
	printf("  %-8s  event %" PRIu64 " at %" PRIu64 ".%09" PRIu64 " s: %s (host %" PRIu64 ") %s, token %016" PRIx64 ", n %" PRIu64
	       ", content %016" PRIx64 "\n",
	       who, row->seq, row->t / NS_S, row->t % NS_S, record_reader_host(r->reader, row->host), row->host, row->kind, row->token, row->n,
	       row->content);
}

static void events_differ(struct replay *r, const struct record_event_row *trace, const struct record_event_row *here)
{
	uint64_t seq = trace == NULL || (here != NULL && here->seq < trace->seq) ? here->seq : trace->seq;

	r->diverged = true;
	printf("The first divergence is at event %" PRIu64 ":\n", seq);
	print_event(r, "trace", trace);
	print_event(r, "this run", here);
}

static bool on_event(void *ctx, uint64_t seq, uint64_t now, uint32_t host, const struct event *e, uint64_t content)
{
	struct replay *r = ctx;
	struct record_event_row here = row_of(seq, now, host, e, content), trace;

	if (r->sampled && seq % RECORD_SAMPLE != 0) return true;
	if (seq > r->run->events) return true; /* more than the trace has: the end, or the next second's digest, judges that */
	if (!record_reader_event(r->reader, &trace)) {
		if (record_reader_error(r->reader) == NULL) events_differ(r, NULL, &here);
		return false;
	}
	if (!same_event(&trace, &here)) {
		events_differ(r, &trace, &here);
		return false;
	}
	r->compared++;
	return true;
}

/* ---- seconds ---- */

static void seconds_differ(struct replay *r, uint64_t now, const struct record_second_row *trace, uint64_t events, const char *digest)
{
	r->diverged = true;
	printf("The first divergence lies in second %" PRIu64 ", from %" PRIu64 " s to %" PRIu64 " s:\n", now / NS_S, now / NS_S - 1, now / NS_S);
	if (trace == NULL)
		printf("  trace     no such second\n");
	else
		printf("  trace     %" PRIu64 " events by %" PRIu64 " s, digest %s\n", trace->events, trace->t / NS_S, trace->digest);
	printf("  this run  %" PRIu64 " events by %" PRIu64 " s, digest %s\n", events, now / NS_S, digest);
	if (!r->full) printf("A trace made with --trace full names the event.\n");
}

static bool on_digest(void *ctx, uint64_t now, uint64_t events, struct sim_digest digest)
{
	struct replay *r = ctx;
	struct record_second_row trace;
	char text[33];

	record_digest_text(digest, text);
	if (!record_reader_second(r->reader, &trace)) {
		if (r->run->finished && record_reader_error(r->reader) == NULL) seconds_differ(r, now, NULL, events, text);
		return false; /* or it was cut off: this is where */
	}
	if (trace.t != now || trace.events != events || strcmp(trace.digest, text) != 0) {
		seconds_differ(r, now, &trace, events, text);
		return false;
	}
	r->seconds++;
	r->last = now;
	r->last_events = events;
	memcpy(r->last_digest, text, sizeof text);
	return true;
}

static bool on_second(void *ctx, uint64_t now, uint64_t until)
{
	struct replay *r = ctx;

	cli_progress_at(&r->progress, now, until);
	return !cli_interrupted();
}

/* ---- the end ---- */

/* Rows behind the last that this run has. */
static void look_for_more(struct replay *r)
{
	struct record_event_row event;
	struct record_second_row second;

	if ((r->full || r->sampled) && record_reader_event(r->reader, &event)) {
		events_differ(r, &event, NULL);
	} else if (record_reader_second(r->reader, &second)) {
		r->diverged = true;
		printf("The first divergence: the trace has a second that ends at %" PRIu64 ".%09" PRIu64 " s, this run has none\n", second.t / NS_S,
		       second.t % NS_S);
	}
}

static void compare_end(struct replay *r, uint64_t events, const char *digest, const char *verdict)
{
	const struct record_run_row *run = r->run;

	if (run->events == events && strcmp(run->digest, digest) == 0 && strcmp(run->verdict, verdict) == 0) return;
	r->diverged = true;
	printf("The end differs:\n  trace     %" PRIu64 " events, digest %s, %s\n  this run  %" PRIu64 " events, digest %s, %s\n", run->events,
	       run->digest, run->verdict, events, digest, verdict);
}

static void print_proof(const struct replay *r, bool quiet)
{
	const struct record_run_row *run = r->run;

	if (!run->finished)
		printf("The run was cut off; what the trace holds of it repeats, up to %" PRIu64 " s.\n", r->last / NS_S);
	else if (!quiet)
		printf("The run repeats, to its end and its verdict: %s.\n", run->verdict);
	if (!quiet && (r->full || r->sampled))
		printf("Compared: %s of its %" PRIu64 " machine events, and the digests of %" PRIu64 " s.\n", r->full ? "each" : "each 64th",
		       run->events, r->seconds);
	else if (!quiet)
		printf("Compared: the digests of %" PRIu64 " s, which take in its %" PRIu64 " machine events.\n", r->seconds, run->events);
	if (run->digest[0] != 0) printf("digest %s\n", run->digest);
}

static int judge(struct replay *r, const struct story *st, const struct cli *o)
{
	char digest[33];

	record_digest_text(story_digest(st), digest);
	if (r->diverged) return EXIT_FINDING;
	if (cli_interrupted())
		return cli_failed("stopped at %" PRIu64 " s of %" PRIu64 " s; up to there the run repeats", r->last / NS_S, story_until(st) / NS_S);
	if (record_reader_error(r->reader) == NULL) look_for_more(r);
	if (record_reader_error(r->reader) != NULL) return cli_usage("%s: the trace is damaged: %s", o->arg[0], record_reader_error(r->reader));
	if (!r->diverged && r->run->finished)
		compare_end(r, story_events(st), digest, story_good(st) ? "good" : "finding");
	else if (!r->diverged)
		compare_end(r, r->last_events, r->last_digest, "unfinished");
	if (r->diverged) return EXIT_FINDING;
	print_proof(r, o->quiet);
	return EXIT_FINE;
}

/* ---- the whole ---- */

static int replay_scenario(struct replay *r, const struct scenario *sc, const struct cli *o)
{
	struct story_options so = { .seed = r->run->seed, .until = r->run->until_ns, .digest = on_digest, .second = on_second, .ctx = r };
	struct key_cache *keys;
	struct story *st;
	char error[512];
	int code = EXIT_USAGE;

	if (r->run->plant[0] != 0 && !cli_parse_plant(r->run->plant, &so.plant, &so.plant_at))
		return cli_usage("%s: the trace names the planted fault '%s', which this version has not", o->arg[0], r->run->plant);
	if (r->full || r->sampled) so.event = on_event;
	keys = key_cache_new(CLI_KEYS_CACHED);
	st = story_new(sc, &so, keys, error, sizeof error);
	if (st == NULL) {
		cli_usage("%s: this version does not run the trace's scenario: %s", o->arg[0], error);
	} else {
		cli_progress_begin(&r->progress, !o->quiet);
		story_run(st);
		cli_progress_end(&r->progress);
		code = judge(r, st, o);
	}
	story_free(st);
	key_cache_free(keys);
	return code;
}

static int replay_run(struct replay *r, const struct cli *o)
{
	const struct record_run_row *run = r->run;
	struct scenario *sc;
	int code = EXIT_USAGE;

	if (run->cities != geo_table_hash())
		return cli_usage("%s: made by %s with another table of cities, so that this version cannot repeat it", o->arg[0], run->build);
	if (run->until_ns > SCENARIO_TIME_MAX) return cli_usage("%s: the trace is damaged: its run ends beyond all time", o->arg[0]);
	sc = cli_load_trace(r->reader, run->overrides);
	if (sc == NULL) return cli_usage("%s: found a trace without a scenario, expected one", o->arg[0]);
	if (sc->errors > 0) {
		cli_usage("%s: this version does not read the trace's scenario:", o->arg[0]);
		cli_print_errors(sc, true);
	} else {
		if (strcmp(run->build, CLI_BUILD) != 0) printf("Made by %s, replayed by %s.\n", run->build, CLI_BUILD);
		code = replay_scenario(r, sc, o);
	}
	scenario_free(sc);
	return code;
}

int cli_replay(const struct cli *o)
{
	char error[RECORD_ERROR_SIZE];
	struct record_reader *reader;
	struct record_run_row run;
	struct replay r;
	int code = cli_look_at_trace(o->arg[0]);

	if (code != EXIT_FINE) return code;
	if (recording_is(o->arg[0])) return cli_replay_recording(o);
	reader = record_reader_new(o->arg[0], error);
	if (reader == NULL) return cli_usage("%s: %s", o->arg[0], error);
	if (record_reader_run(reader, &run)) {
		r = (struct replay){
			.reader = reader, .run = &run, .full = strcmp(run.level, "full") == 0, .sampled = strcmp(run.level, "sampled") == 0
		};
		code = replay_run(&r, o);
	} else if (record_reader_error(reader) != NULL) {
		code = cli_usage("%s: the trace is damaged: %s", o->arg[0], record_reader_error(reader));
	} else {
		code = cli_usage("%s: found a trace without a run, expected one that holds a run", o->arg[0]);
	}
	record_reader_free(reader);
	return code;
}
