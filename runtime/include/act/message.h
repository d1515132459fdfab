/**
 * Reference-counted messages from per-worker pools.
 *
 * A `struct act_message` is a handle: it has one owner at a time (sender, mailbox, then the actor
 * that received it). A body may be shared by several handles; from then on it is read-only. The
 * count becomes atomic only once a body is shared. A message may end its life on any worker: it
 * travels back to the pool it came from, in batches.
 *
 * Threads: workers of the runtime, and threads with an open port. One handle, one thread at a time.
 */
#ifndef ACT_MESSAGE_H
#define ACT_MESSAGE_H

#include <act/types.h>

#include <stdbool.h>

ACT_DECLARATIONS_BEGIN

struct act_message {
    act_id from;         /* who sent it; act_send sets it */
    uint32_t type;       /* the application's, below ACT_TYPE_SYSTEM */
    uint32_t body_bytes; /* in use; the owner may change it, up to act_message_capacity() */
    void *body; /* 16-byte aligned; plain bytes, no pointers: it may cross to another node */
};

/**
 * Takes a message from the calling thread's pool.
 *
 * Ownership: gives the caller the message; end it with act_send or act_message_unref.
 * Threads:   any worker, any thread with an open port. Wait-free but when the pool grows.
 * Shape:     body_bytes 0..ACT_MESSAGE_BODY_MAX; the body is not cleared.
 * Returns:   the message, or NULL when body_bytes is too large or the pool is at its bound.
 */
struct act_message *act_message_create(uint32_t type, uint32_t body_bytes) ACT_MUST_CHECK;

/**
 * Gives a second handle to the same body. The body is read-only while it has more than one.
 *
 * Ownership: borrows m; gives the caller a handle with the same type and body.
 * Threads:   as act_message_create.
 * Returns:   the handle, or NULL when the pool is at its bound.
 */
struct act_message *act_message_ref(struct act_message *m) ACT_MUST_CHECK;

/**
 * Ends a handle; the last one ends the body.
 *
 * Ownership: takes m.
 * Threads:   as act_message_create; not necessarily the thread that created m.
 */
void act_message_unref(struct act_message *m);

/** Bytes that the body of m can hold. At least what act_message_create was asked for. */
uint32_t act_message_capacity(const struct act_message *m);

/** Whether another handle shares the body of m, which makes it read-only. */
bool act_message_is_shared(const struct act_message *m);

ACT_DECLARATIONS_END

#endif
