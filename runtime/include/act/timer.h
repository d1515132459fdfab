/**
 * Timers of the running actor, from its worker's timer wheel. Only from a handler.
 */
#ifndef ACT_TIMER_H
#define ACT_TIMER_H

#include <act/types.h>

#include <stdbool.h>

/** Names a running timer; 0 is none. */
typedef uint64_t act_timer;

/**
 * Sends the running actor one message (`type`, body: the 8 bytes of `cookie`) after a delay.
 *
 * Shape:     never early; late by the wheel's resolution (about 0.1 ms) and by what the worker is
 *            busy with. A delay of 0 fires on the next look at the wheel.
 * Returns:   0 and, when timer is not NULL, its name in *timer; -ENOMEM.
 */
int act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie,
                    act_timer *timer) ACT_MUST_CHECK;

/** Cancels a timer. Returns whether it had not fired; if false its message is on the way or was
 * received. */
bool act_timer_cancel(act_timer timer);

/** Monotonic time in ns: the clock that timers follow. Any thread. */
uint64_t act_now_ns(void);

#endif
