/* Waiting: epoll, the monotonic clock, signals by signalfd.
 *
 * A watch is a file descriptor with a callback; a party is someone with a deadline who wants its turn after every batch of
 * callbacks (a host of machines). Several parties may share a loop; a program has as many loops as it likes. Not for threads.
 * Watches and parties belong to their callers and must not move while they are known here. */
#ifndef REF_OS_LOOP_H
#define REF_OS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct os_loop;

struct os_watch {
	int fd;
	bool known; /* the loop's own */
	uint32_t events;
	void (*ready)(struct os_watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
};

struct os_party {
	uint64_t (*deadline)(const struct os_party *party); /* on the clock of os_now; UINT64_MAX: none, 0: now */
	void (*turn)(struct os_party *party);               /* after the callbacks of a batch, also of none */
	struct os_party *next;                              /* the loop's own */
};

/* NULL: errno says why. */
struct os_loop *os_loop_new(void);
void os_loop_free(struct os_loop *loop);

/* Watches for these events, or changes what is watched for; 0 leaves errors and hang-ups only. False: errno says why. */
bool os_loop_watch(struct os_loop *loop, struct os_watch *watch, uint32_t events);
/* Before its descriptor is closed. A callback of the batch under way may still come: the caller keeps the watch in memory until
 * its turn and sets fd to -1, for which nothing is called. */
void os_loop_unwatch(struct os_loop *loop, struct os_watch *watch);

void os_loop_join(struct os_loop *loop, struct os_party *party);
void os_loop_part(struct os_loop *loop, struct os_party *party);

/* From now on SIGINT and SIGTERM arrive here instead of ending the process. False: errno says why. */
bool os_loop_signals(struct os_loop *loop);
int os_loop_signal(const struct os_loop *loop);    /* the first that arrived, or 0 */
unsigned os_loop_ends(const struct os_loop *loop); /* how many arrived */
/* The same for another signal, which is not one of those; behind os_loop_signals. */
bool os_loop_notice(struct os_loop *loop, int signal);
int os_loop_noticed(struct os_loop *loop); /* one that arrived and was not returned yet, or 0 */

/* Waits until something is ready, a party's deadline or `until` has come; then calls whom it concerns, and every party. */
void os_loop_turn(struct os_loop *loop, uint64_t until);

uint64_t os_now(void);  /* ns, monotonic */
uint64_t os_wall(void); /* ns since 1970 */
/* 32 random bytes of the kernel, for START. */
void os_seed(uint8_t out[32]);

#endif
