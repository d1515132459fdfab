/**
 * What actor.c offers to the runtime's own files.
 */
#ifndef ACT_SRC_ACTOR_H
#define ACT_SRC_ACTOR_H

#include "endpoint.h"

#include <act/actor.h>

/**
 * Handles one of the runtime's own messages to an actor.
 *
 * Ownership: takes m, unless it is for the handler.
 * Returns:   whether it is.
 */
bool act_actor_on_system(struct act_endpoint *e, struct act_actor *actor, struct act_message *m);

/** Puts an actor into a slot that was taken, and makes it visible. Returns its id. */
act_id act_actor_publish(struct act_endpoint *e, uint32_t slot, uint32_t home,
                         const struct act_actor *actor);

/** Ends an actor of this endpoint: mailbox, monitors, name, slot; calls its stopped hook. */
void act_actor_end(struct act_endpoint *e, struct act_actor *actor, int reason);

#endif
