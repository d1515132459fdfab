/**
 * Descriptors of a worker's actors: see act/poll.h. Touched by the worker alone.
 */
#ifndef ACT_SRC_POLLER_H
#define ACT_SRC_POLLER_H

#include "endpoint.h"

#include <act/poll.h>

/** Sends what is ready to who asked for it, some of it at each call. For a worker with a poller. */
__attribute__((cold)) void act_poller_fire(struct act_endpoint *e);
/** Ends an actor's registrations. For a worker with a poller. */
__attribute__((cold)) void act_poller_drop(struct act_endpoint *e, act_id owner);
/** Ends all. The worker may have none. */
__attribute__((cold)) void act_poller_destroy(struct act_endpoint *e);
/** Registrations that there are. */
uint32_t act_poller_count(const struct act_endpoint *e);

#endif
