/**
 * What the runtime has to know of the processor. A port to another one is a port of this file.
 *
 * The fences are for lane.c, whose accesses are Concurrency Kit's and so are not C11 atomics. As
 * inline assembly they stay invisible to ThreadSanitizer, which is told per message (tsan.h). On
 * x86 loads are not reordered with loads, nor stores with what comes before them: what is left to
 * do is to keep the compiler from it, and both fences cost nothing.
 */
#ifndef ACT_SRC_CPU_H
#define ACT_SRC_CPU_H

#include <stdatomic.h>
#include <stdint.h>

/** What two cores cannot write at the same time without taking it from each other. */
enum { CPU_LINE_BYTES = 64 };

#if defined(__x86_64__)

/** Between two looks of a loop that waits. */
static inline void cpu_pause(void)
{
    __builtin_ia32_pause();
}

/** Counts on at some steady rate of the machine's own; two cores may differ a little. */
static inline uint64_t cpu_counter(void)
{
    return __builtin_ia32_rdtsc();
}

/** Loads before it are done before the loads and stores behind it. */
static inline void cpu_fence_acquire(void)
{
    __asm__ __volatile__("" ::: "memory");
}

/** Loads and stores before it are done before the stores behind it. */
static inline void cpu_fence_release(void)
{
    __asm__ __volatile__("" ::: "memory");
}

#elif defined(__aarch64__)

/** Between two looks of a loop that waits. YIELD is over at once; ISB takes about as long as
 * x86's pause. */
static inline void cpu_pause(void)
{
    __asm__ __volatile__("isb" ::: "memory");
}

/** Counts on at some steady rate of the machine's own; two cores may differ a little. */
static inline uint64_t cpu_counter(void)
{
    uint64_t counter;

    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(counter));
    return counter;
}

/** Loads before it are done before the loads and stores behind it. */
static inline void cpu_fence_acquire(void)
{
    __asm__ __volatile__("dmb ishld" ::: "memory");
}

/** Loads and stores before it are done before the stores behind it. */
static inline void cpu_fence_release(void)
{
    __asm__ __volatile__("dmb ish" ::: "memory");
}

#else
#error "act runs on x86-64; another processor needs its part of cpu.h"
#endif

/** Stores before it are done before the loads behind it: the one that x86 does not give as a gift.
 */
static inline void cpu_fence_full(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

#endif
