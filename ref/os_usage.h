/* What another process has used, read from /proc: how a load tool prices a relay. Linux. */
#ifndef REF_OS_USAGE_H
#define REF_OS_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct os_usage {
	uint64_t cpu_ns;   /* on a CPU so far, all threads that live */
	uint64_t resident; /* bytes */
	uint64_t threads;
};

/* False: there is no such process, or not ours to see. */
bool os_usage_of(uint32_t pid, struct os_usage *usage);

#endif
