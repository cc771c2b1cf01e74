/* What a program may do for speed before it begins. */
#ifndef REF_OS_CPU_H
#define REF_OS_CPU_H

/* Lets libsodium take the fastest code that this CPU has, instead of its portable one; as often as one likes. What key.h computes stays the
 * same. The system's random source is opened on the way, so the core leaves it to hosts. */
void os_cpu_use(void);

#endif
