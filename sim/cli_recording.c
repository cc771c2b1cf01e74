/* derpsim replay of a recording (recording.h): runs what entered a relay on real sockets through the relay of this build. */
#include "cli.h"

#include "recording.h"
#include "rerun.h"

#include "../ref/relay.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ACTIONS_SHOWN = 12 };

static struct recording_row under_way; /* for the handler */

static void print_row(const struct recording_row *row)
{
	printf("event %" PRIu64 " at %" PRIu64 ".%09" PRIu64 " s: %s, token %016" PRIx64 ", %u bytes", row->seq, row->t / NS_S, row->t % NS_S,
	       row->kind, row->token, row->n);
}

/* In the core, as a rule, with standard output at rest. */
static void on_crash(int number)
{
	signal(SIGABRT, SIG_DFL);
	printf(under_way.crashed ? "The crash repeats, in " : "The first divergence is a crash, in ");
	print_row(&under_way);
	printf(": signal %d (%s)\n", number, strsignal(number));
	fflush(stdout);
	_exit(EXIT_FINDING);
}

static void print_actions(const char *list, const struct actions *a, uint32_t from)
{
	for (uint32_t i = from; i < a->n && i < from + ACTIONS_SHOWN; i++) {
		const struct action *x = &a->v[i];
		printf("    %s: %s, token %016" PRIx64 ", %u + %u bytes%s%s\n", list, action_kind_name((enum action_kind)x->kind), x->token,
		       x->head_n, x->span.n, x->kind == ACTION_DELIVER ? ", " : "",
		       x->kind == ACTION_DELIVER ? deliver_kind_name(x->deliver.what) : "");
	}
}

static int differs(const struct rerun *r, const struct recording_row *row)
{
	uint32_t n = r->out.n - r->out_from + r->up.n - r->up_from;

	printf("The first divergence is at ");
	print_row(row);
	printf("\n  recorded  %" PRIu64 " actions, digest %016" PRIx64 "\n  this run  %u actions, digest %016" PRIx64 "\n", row->actions, row->digest,
	       n, r->digest.a);
	print_actions("out", &r->out, r->out_from);
	print_actions("up", &r->up, r->up_from);
	return EXIT_FINDING;
}

static int judge(const struct cli *o, const struct rerun *r, const struct recording_row *row, enum rerun_result result)
{
	switch (result) {
	case RERUN_MISSING:
		printf("The first divergence: event %" PRIu64 " is missing, behind it stands ", r->seq);
		print_row(row);
		printf("\n");
		return EXIT_FINDING;
	case RERUN_ALTERED:
		printf("The first divergence is at ");
		print_row(row);
		printf(": it is not what was recorded\n");
		return EXIT_FINDING;
	case RERUN_DAMAGED: return cli_usage("%s: event %" PRIu64 ": %s", o->arg[0], row->seq, r->error);
	case RERUN_DIVERGES: return differs(r, row);
	case RERUN_SAME: break;
	}
	return EXIT_FINE;
}

static int compare_end(const struct rerun *r, const struct recording_run *run, bool quiet)
{
	char digest[33];

	record_digest_text(r->digest, digest);
	if (run->ended[0] != 0 && run->events != r->seq) {
		printf("The end differs: the recording says %" PRIu64 " events, and holds %" PRIu64 "\n", run->events, r->seq);
		return EXIT_FINDING;
	}
	if (run->ended[0] != 0 && strcmp(run->ended, "crash") != 0 && strcmp(run->digest, digest) != 0) {
		printf("The end differs:\n  recorded  digest %s\n  this run  digest %s\n", run->digest, digest);
		return EXIT_FINDING;
	}
	if (!quiet && run->ended[0] == 0)
		printf("The recording was cut off; what it holds repeats: %" PRIu64 " events.\n", r->seq);
	else if (!quiet && strcmp(run->ended, "crash") == 0)
		printf("The relay crashed here when it was recorded; what went before repeats, and this build goes on: %" PRIu64 " events.\n",
		       r->seq);
	else if (!quiet)
		printf("The recording repeats, to its end (%s): %" PRIu64 " events.\n", run->ended, r->seq);
	printf("digest %s\n", digest);
	return EXIT_FINE;
}

static int replay_rows(const struct cli *o, struct recording_reader *reader, const struct recording_run *run, struct rerun *r)
{
	struct recording_row row;
	int code = EXIT_FINE;

	while (code == EXIT_FINE && recording_reader_row(reader, &row)) {
		if (cli_interrupted()) return cli_failed("stopped at event %" PRIu64 "; up to there the recording repeats", row.seq);
		under_way = row;
		code = judge(o, r, &row, rerun_step(r, &row));
	}
	if (code != EXIT_FINE) return code;
	if (recording_reader_error(reader) != NULL) return cli_usage("%s: the recording is damaged: %s", o->arg[0], recording_reader_error(reader));
	if (r->seq == 0) return cli_usage("%s: found a recording without events", o->arg[0]);
	return compare_end(r, run, o->quiet);
}

int cli_replay_recording(const struct cli *o)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	char error[RECORDING_ERROR_SIZE];
	struct recording_reader *reader = recording_reader_new(o->arg[0], error);
	struct machine_env env = { NULL, NULL };
	struct recording_run run;
	struct relay *relay;
	struct rerun r;
	int code;

	if (reader == NULL) return cli_usage("%s: %s", o->arg[0], error);
	if (!recording_reader_run(reader, &run)) {
		code = cli_usage("%s: the recording is damaged: %s", o->arg[0],
		                 recording_reader_error(reader) != NULL ? recording_reader_error(reader) : "it does not say of what it is one");
	} else if (strcmp(run.machine, "relay") != 0) {
		code = cli_usage("%s: found a recording of '%s', expected one of a relay", o->arg[0], run.machine);
	} else {
		for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], on_crash);
		relay = relay_new(&env);
		rerun_init(&r, relay_machine(relay), relay_config_check);
		code = replay_rows(o, reader, &run, &r);
		rerun_free(&r);
		machine_free(relay_machine(relay));
	}
	recording_reader_free(reader);
	return code;
}
