/**
 * What timer.c offers to the runtime's own files, beside act/timer.h.
 */
#ifndef ACT_SRC_TIMER_H
#define ACT_SRC_TIMER_H

#include "endpoint.h"

#include <act/timer.h>

/** Fires what is due on a worker's schedule; out of messages, a timer is tried again soon. */
void act_timer_fire(struct act_endpoint *e, uint64_t now_ns);
/** Notes that a periodic timer's message (MESSAGE_IS_TICK) is about to be handled. */
void act_timer_on_tick(struct act_endpoint *e, struct act_message *m);
/** Ends an actor's timers. */
__attribute__((cold)) void act_timer_drop(struct act_endpoint *e, act_id owner);

#endif
