/**
 * What call.c offers to the runtime's own files.
 */
#ifndef ACT_SRC_CALL_H
#define ACT_SRC_CALL_H

#include "endpoint.h"

#include <act/call.h>

/**
 * Makes m a request of the current actor or port and sends it.
 *
 * Ownership: takes m on 0; on an error it stays with the caller.
 * Returns:   as act_call.
 */
int act_call_send(struct act_endpoint *e, act_id to, struct act_message *m, uint64_t call);

/** Whether an index is a call's, and no timer's. */
static inline bool call_is_at(const struct belonging *it)
{
    return it->type == ACT_TYPE_TIMEOUT;
}

/** Sends word that a call's time is over. Returns false when there is no message for it. */
bool act_call_expire(struct act_endpoint *e, uint32_t index);

/**
 * Looks whether the running actor waits for an answer.
 *
 * Returns: whether it is for its handler; if not it has been ended.
 */
bool act_call_on_answer(struct act_endpoint *e, struct act_message *m);

#endif
