/**
 * The clock that timers, timeouts and deadlines of the runtime follow.
 */
#ifndef ACT_CLOCK_H
#define ACT_CLOCK_H

#include <act/types.h>

#include <stdint.h>

ACT_DECLARATIONS_BEGIN

/**
 * Tells the time since some moment before the process began (CLOCK_MONOTONIC).
 *
 * Threads: any.
 * Returns: ns; never less than before.
 */
uint64_t act_now_ns(void);

ACT_DECLARATIONS_END

#endif
