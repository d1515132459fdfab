/**
 * Timers of an actor: messages that its worker sends it when their time has come.
 *
 * A timer belongs to the actor that has started it, and ends with it. Timers fire in the order of
 * their due times, and of their start where those are equal; each is due at its own nanosecond, no
 * tick rounds it. None is early. How late the message is sent: on an idle worker at most 0.2 ms in
 * 99 of 100 cases, as far as the kernel gives the worker a CPU; on a busy one by what remains of
 * the handler that runs, and some 0.05 ms. What then waits before it, in the actor's own mailbox
 * and at the others that have messages, has its turn first.
 *
 * Threads: only from a handler, and each timer from its own actor's.
 */
#ifndef ACT_TIMER_H
#define ACT_TIMER_H

#include <act/clock.h>
#include <act/types.h>

ACT_DECLARATIONS_BEGIN

/** Names a running timer of an actor of one worker of one runtime; 0 is none. */
typedef uint64_t act_timer;

/** The body of a periodic timer's message. That of a timer that fires once is the cookie alone. */
struct act_tick {
    uint64_t cookie;
    act_timer timer;
    uint64_t periods; /* that are over since the last message: 1, or more when it was late */
};

/**
 * Sends the running actor one message (`type`, body: the 8 bytes of `cookie`) after a delay.
 *
 * Threads:   as above. Costs the logarithm of the number of the worker's timers.
 * Shape:     delay_ns 0 fires as soon as the worker looks at its timers; what would be due later
 *            than the clock can tell never fires.
 * Returns:   0 and, when timer is not NULL, its name in *timer; -EINVAL for a type of the
 *            runtime's, -ENOMEM.
 */
int act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie,
                    act_timer *timer) ACT_MUST_CHECK;

/**
 * Sends the running actor a message (`type`, body: struct act_tick) after each period, for ever.
 *
 * Without drift: the n-th message is due n periods after the start, however late those before it
 * were. One message at a time: while it waits to be handled no other is sent, and the next one
 * tells how many periods are over, so a slow actor is not flooded.
 *
 * Threads:   as above.
 * Shape:     period_ns 1..2^62.
 * Returns:   as act_timer_start; -EINVAL also for another period.
 */
int act_timer_start_periodic(uint64_t period_ns, uint32_t type, uint64_t cookie,
                             act_timer *timer) ACT_MUST_CHECK;

/**
 * Ends a timer. A message of it that was sent already still comes.
 *
 * Threads: as above.
 * Returns: 0, or -ENOENT when no timer of that name is running that the running actor has started
 *          in this runtime: it has fired or was cancelled, or it is somebody else's.
 */
int act_timer_cancel(act_timer timer);

ACT_DECLARATIONS_END

#endif
