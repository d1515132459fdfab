/**
 * One message's whole way from act_send to the mailbox, as the runtime's own files see it.
 *
 * A message goes into a mailbox of the own endpoint, or into the open batch of a lane; the other
 * end drains its lanes into its mailboxes. What has no receiver is buried; what may not be refused
 * waits until a full lane has room. Threads: the endpoint's own.
 */
#ifndef ACT_SRC_DELIVERY_H
#define ACT_SRC_DELIVERY_H

#include "endpoint.h"

#include <act/actor.h>

/** Types of the runtime's own messages (MESSAGE_IS_SYSTEM). */
enum {
    SYSTEM_STOP = 1,
    SYSTEM_MONITOR, /* all but STOP have a struct watch (watches.h) */
    SYSTEM_DEMONITOR,
    SYSTEM_LINK,
    SYSTEM_DOWN, /* what a MONITOR becomes */
    SYSTEM_EXIT, /* what a LINK becomes */
};

/** A message leaves its mailbox: if it counted for a small one, it does no longer. */
void act_delivery_count_out(struct act_endpoint *e, struct act_message *m);
/** Ends a message that has no receiver. Ownership: takes m. */
void act_delivery_bury(struct act_endpoint *e, struct act_message *m);
/** Turns a request to monitor or to link into its answer. */
void act_delivery_make_down(struct act_message *m, act_id actor, int reason);

/** Sends one of the runtime's own messages: never refused, sent later when a lane is full. */
void act_delivery_send_system(struct act_endpoint *e, act_id to, struct act_message *m);
/**
 * Tells an actor of this endpoint what it has asked for (a timer, room, readiness): a message from
 * itself, never refused.
 *
 * Returns: whether there was a message to send; if false nothing has happened.
 */
bool act_delivery_notify(struct act_endpoint *e, act_id to, uint32_t type, const void *body,
                         uint32_t body_bytes);
/**
 * Sends a request of the runtime's own, which passes a mailbox's bound and is not counted as sent.
 *
 * Ownership: takes m on 0; on an error it stays with the caller.
 * Returns:   0, -EAGAIN when the lane is full, -EHOSTUNREACH when the id is another runtime's.
 */
int act_delivery_request(struct act_endpoint *e, act_id to, struct act_message *m);
/**
 * Sends an answer to a call: as act_send, but that it passes a mailbox's bound.
 *
 * Ownership: takes m on 0; on an error it stays with the caller.
 * Returns:   0, -EAGAIN when the lane is full, -EHOSTUNREACH when the id is another runtime's.
 */
int act_delivery_answer(struct act_endpoint *e, act_id to, struct act_message *m);

/** Ends what has come for a port that closes, and has its senders end what comes later. Threads:
 * the port's; until it opens again it is not to look at its lanes. */
void act_delivery_close(struct act_endpoint *e);

/** Moves what the lanes bring into the mailboxes. Returns how many messages it was. */
uint32_t act_delivery_drain(struct act_endpoint *e);
/** Tells senders of room when a mailbox that was marked full is half empty again. */
void act_delivery_relieve(struct act_endpoint *e, struct act_actor *actor);
/** Offers the runtime's own messages again, looks whether those who wait for room have it, and ends
 * what was published for closed ports. */
void act_delivery_retry(struct act_endpoint *e);
/**
 * Has a worker woken when there is room for what waits here. Threads: about to park.
 *
 * Returns: false when something waits for what nobody tells: it has to look again itself.
 */
bool act_delivery_want(struct act_endpoint *e);

#endif
