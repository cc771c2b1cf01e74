/* The one call of libsodium that is not a pure function: it stands beside key.c because the core may not make it. */
#include "os_cpu.h"

#include <assert.h>
#include <sodium.h>

void os_cpu_use(void)
{
	int failed = sodium_init();

	assert(failed >= 0); /* 1: it was done before */
	(void)failed;
}
