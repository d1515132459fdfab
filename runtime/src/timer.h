/**
 * What timer.c offers to the runtime's own files, beside act/timer.h.
 */
#ifndef ACT_SRC_TIMER_H
#define ACT_SRC_TIMER_H

#include "endpoint.h"

#include <act/timer.h>

/** Fires what is due on a worker's wheel; out of messages, the timer is tried again soon. */
void act_timer_fire(struct act_endpoint *e, uint64_t now_ns);

#endif
