/* What long work does beside its work: it hears ^C, and says how far it is. */
#include "cli.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_EVERY_NS = 100000000 };

static volatile sig_atomic_t interrupted;
static void on_signal(int number) { interrupted = number; }

void cli_work_signals(void)
{
	struct sigaction ask = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &ask, NULL);
	sigaction(SIGTERM, &ask, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

bool cli_interrupted(void) { return interrupted != 0; }

static uint64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_S + (uint64_t)t.tv_nsec;
}

void cli_progress_begin(struct cli_progress *p, bool shown)
{
	*p = (struct cli_progress){ .shown = shown && isatty(STDERR_FILENO) };
	if (p->shown) p->begun = p->last = real_ns();
}

void cli_progress_at(struct cli_progress *p, uint64_t now, uint64_t until)
{
	uint64_t real, spent;

	if (!p->shown || now == 0) return;
	real = real_ns();
	if (real - p->last < PROGRESS_EVERY_NS) return;
	p->last = real;
	spent = real - p->begun;
	fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " s, %" PRIu64 " times real time, %" PRIu64 " s left  ", now / NS_S, until / NS_S, now / spent,
	        (uint64_t)((unsigned __int128)(until - now) * spent / now / NS_S));
}

void cli_progress_end(const struct cli_progress *p)
{
	if (p->shown) fprintf(stderr, "\r%70s\r", "");
}
