/**
 * What message.c offers to the runtime's own files: what a call adds to a message.
 *
 * A request has a trailer at the end of its own memory, an answer the last 8 bytes of one. What is
 * neither has none, and pays nothing: flags tell.
 */
#ifndef ACT_SRC_MESSAGE_H
#define ACT_SRC_MESSAGE_H

#include "endpoint.h"

#include <act/call.h>

struct call_trailer {
    struct act_down down; /* the body of what a request becomes that nobody answers */
    act_id caller;
    uint64_t call;
};

_Static_assert(sizeof(struct call_trailer) == ACT_CALL_BYTES, "as the header says");
_Static_assert(sizeof(struct call_trailer) % 16 == 0, "its first field is a body");

/** Where a message's own memory ends; its body may be another one's. */
static inline uint8_t *message_end(const struct act_message *m)
{
    const struct message *own = message_of(m);
    return (uint8_t *)(uintptr_t)own + ((size_t)POOL_CLASS_BYTES << own->header.size_class);
}

/** Of a request. */
static inline struct call_trailer *message_trailer(const struct act_message *m)
{
    return (struct call_trailer *)(void *)(message_end(m) - sizeof(struct call_trailer));
}

/** The number of the call, of a request or an answer. */
static inline uint64_t *message_call(const struct act_message *m)
{
    return (uint64_t *)(void *)(message_end(m) - sizeof(uint64_t));
}

static inline bool message_is_request(const struct act_message *m)
{
    return (message_of(m)->header.flags & MESSAGE_IS_REQUEST) != 0;
}

/**
 * Finds so many bytes for a call in a message's own memory, behind its body, or gives another
 * handle that has them.
 *
 * Ownership: borrows m. Gives the caller a handle to its body, unless it is m itself.
 * Shape:     bytes up to ACT_CALL_BYTES.
 * Returns:   m, the other handle, or NULL when the pool is at its bound.
 */
struct act_message *act_message_envelope(struct act_message *m, uint32_t bytes);

/**
 * Makes a request the answer to it that says DOWN, and leaves it to be sent.
 *
 * Ownership: takes m.
 */
void act_message_refuse(struct act_endpoint *e, struct act_message *m, int reason);

#endif
