/* One epoll set, level-triggered, so that whoever is not served in this batch is reported in the next. */
#include "os_loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256 };

struct os_loop {
	int epoll;
	int signal;
	unsigned ends;
	sigset_t caught;
	uint64_t noticed; /* a bit a signal */
	struct os_watch signals;
	struct os_party *parties;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	int error = clock_gettime(id, &t);

	assert(error == 0);
	(void)error;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t os_now(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t os_wall(void) { return clock_ns(CLOCK_REALTIME); }

void os_seed(uint8_t out[32])
{
	ssize_t n = getrandom(out, 32, 0);

	assert(n == 32); /* up to 256 bytes are never cut short */
	(void)n;
}

struct os_loop *os_loop_new(void)
{
	struct os_loop *loop = calloc(1, sizeof *loop);

	if (loop == NULL) return NULL;
	loop->signals.fd = -1;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll >= 0) return loop;
	free(loop);
	return NULL;
}

void os_loop_free(struct os_loop *loop)
{
	if (loop == NULL) return;
	assert(loop->parties == NULL);
	if (loop->signals.fd >= 0) close(loop->signals.fd);
	close(loop->epoll);
	free(loop);
}

bool os_loop_watch(struct os_loop *loop, struct os_watch *watch, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = watch };

	assert(watch->fd >= 0);
	if (watch->known && watch->events == events) return true;
	if (epoll_ctl(loop->epoll, watch->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd, &e) != 0) return false;
	watch->known = true;
	watch->events = events;
	return true;
}

void os_loop_unwatch(struct os_loop *loop, struct os_watch *watch)
{
	if (!watch->known) return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->known = false;
}

void os_loop_join(struct os_loop *loop, struct os_party *party)
{
	party->next = loop->parties;
	loop->parties = party;
}

void os_loop_part(struct os_loop *loop, struct os_party *party)
{
	struct os_party **place = &loop->parties;

	while (*place != party) {
		assert(*place != NULL);
		place = &(*place)->next;
	}
	*place = party->next;
}

/* ---- signals ---- */

static void signal_ready(struct os_watch *watch, uint32_t events)
{
	struct os_loop *loop = (struct os_loop *)((char *)watch - offsetof(struct os_loop, signals));
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo != SIGINT && info.ssi_signo != SIGTERM) {
			loop->noticed |= UINT64_C(1) << info.ssi_signo;
			continue;
		}
		loop->ends++;
		if (loop->signal == 0) loop->signal = (int)info.ssi_signo;
	}
}

static bool catch_signals(struct os_loop *loop)
{
	if (sigprocmask(SIG_BLOCK, &loop->caught, NULL) != 0) return false;
	loop->signals.fd = signalfd(loop->signals.fd, &loop->caught, SFD_NONBLOCK | SFD_CLOEXEC);
	return loop->signals.fd >= 0;
}

bool os_loop_signals(struct os_loop *loop)
{
	sigemptyset(&loop->caught);
	sigaddset(&loop->caught, SIGINT);
	sigaddset(&loop->caught, SIGTERM);
	loop->signals.ready = signal_ready;
	return catch_signals(loop) && os_loop_watch(loop, &loop->signals, EPOLLIN);
}

int os_loop_signal(const struct os_loop *loop) { return loop->signal; }
unsigned os_loop_ends(const struct os_loop *loop) { return loop->ends; }

bool os_loop_notice(struct os_loop *loop, int signal)
{
	assert(loop->signals.fd >= 0);
	sigaddset(&loop->caught, signal);
	return catch_signals(loop);
}

int os_loop_noticed(struct os_loop *loop)
{
	for (int signal = 1; signal < 64; signal++) {
		if ((loop->noticed >> signal & 1) == 0) continue;
		loop->noticed &= ~(UINT64_C(1) << signal);
		return signal;
	}
	return 0;
}

/* ---- waiting ---- */

static int wait_ms(const struct os_loop *loop, uint64_t until)
{
	uint64_t now, ms;

	for (const struct os_party *p = loop->parties; p != NULL; p = p->next) {
		uint64_t at = p->deadline(p);
		if (at < until) until = at;
	}
	if (until == UINT64_MAX) return -1;
	now = os_now();
	if (until <= now) return 0;
	ms = (until - now + 999999) / 1000000; /* a deadline is never early by a fraction: that would be a busy loop */
	return ms < 3600000 ? (int)ms : 3600000;
}

void os_loop_turn(struct os_loop *loop, uint64_t until)
{
	struct epoll_event batch[BATCH];
	int n = epoll_wait(loop->epoll, batch, BATCH, wait_ms(loop, until));

	assert(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++) {
		struct os_watch *watch = batch[i].data.ptr;
		if (watch->fd >= 0) watch->ready(watch, batch[i].events);
	}
	for (struct os_party *p = loop->parties, *next; p != NULL; p = next) {
		next = p->next;
		p->turn(p);
	}
}
