/* Standard input in the loop. epoll takes no plain files: these are read a piece a turn. */
#include "cmd.h"

#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PIECE = 65536 };

/* Full or paused: nothing is watched, since what is not read would be told of again and again. */
static bool wants_more(const struct input *in) { return !in->over && !in->paused && in->n < INPUT_MAX; }

static void rewatch(struct input *in)
{
	if (in->plain_file) return;
	if (wants_more(in))
		os_loop_watch(in->loop, &in->watch, EPOLLIN);
	else
		os_loop_unwatch(in->loop, &in->watch);
}

static void offer(struct input *in)
{
	uint32_t taken = in->take(in->ctx, in->p, in->n, in->over);

	memmove(in->p, in->p + taken, in->n - taken);
	in->n -= taken;
	rewatch(in);
}

static void read_some(struct input *in)
{
	ssize_t got = read(0, in->p + in->n, INPUT_MAX - in->n < PIECE ? INPUT_MAX - in->n : PIECE);

	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got > 0)
		in->n += (uint32_t)got;
	else
		in->over = true; /* its end, or an error that is one */
	offer(in);
}

static void ready(struct os_watch *watch, uint32_t events)
{
	struct input *in = (struct input *)watch;

	(void)events;
	if (wants_more(in)) read_some(in);
}

int input_start(struct input *in, const struct cmd *cmd)
{
	in->watch = (struct os_watch){ .fd = 0, .ready = ready };
	in->loop = cmd->loop;
	in->p = mem_alloc(INPUT_MAX);
	in->plain_file = !os_loop_watch(in->loop, &in->watch, EPOLLIN);
	if (!in->plain_file || errno == EPERM) return -1;
	return cmd_cannot(cmd, "standard input: %s", strerror(errno));
}

void input_pause(struct input *in, bool paused)
{
	if (in->paused == paused) return;
	in->paused = paused;
	rewatch(in);
}

uint64_t input_step(struct input *in)
{
	if (in->n != 0 && !in->paused) offer(in);
	if (!in->plain_file || !wants_more(in)) return UINT64_MAX;
	read_some(in);
	return in->over ? UINT64_MAX : 0;
}

void input_end(struct input *in)
{
	if (in->loop != NULL && !in->plain_file) os_loop_unwatch(in->loop, &in->watch);
	free(in->p);
}
