/**
 * What monitor.c offers to the runtime's own files.
 */
#ifndef ACT_SRC_MONITOR_H
#define ACT_SRC_MONITOR_H

#include "endpoint.h"

#include <act/actor.h>

/**
 * Handles a message of monitors and links.
 *
 * Ownership: takes m, unless it is for the handler.
 * Returns:   whether it is for the actor's handler, or a port's owner: DOWN or EXIT.
 */
bool act_monitor_on_system(struct act_endpoint *e, struct act_actor *actor, struct act_message *m);

/** Tells those who watch an actor that it ends, and those whom it watches that it does no more. */
void act_monitor_end(struct act_endpoint *e, struct act_actor *actor, act_id id, int reason);

#endif
