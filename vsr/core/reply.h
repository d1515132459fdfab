/**
 * The primary's answers.
 */
#ifndef VSR_CORE_REPLY_H
#define VSR_CORE_REPLY_H

#include <vsr/message.h>
#include <vsr/replica.h>

/** Reply messages being filled at once, one per client address; one more closes the oldest. */
enum { OPEN_REPLIES_MAX = 16 };

/** A Reply message that the primary fills for one client. */
struct vsr_open_reply {
    vsr_address address;
    struct vsr_buffer buffer;
    uint32_t bytes;
    uint32_t count;
};

/** Appends a reply for a client. Without a buffer it is lost: the client will ask again. */
void vsr_reply(struct vsr_replica *r, vsr_address address, const struct vsr_reply *reply,
               const void *payload, struct vsr_effects *out);
void vsr_flush_replies(struct vsr_replica *r, struct vsr_effects *out);
/** Answers the operations that were executed: r->operations, whose results are in the table. */
void vsr_reply_to_operations(struct vsr_replica *r, struct vsr_effects *out);
/** Answers a Close: its session is closed. */
void vsr_reply_closed(struct vsr_replica *r, vsr_address address, const struct vsr_request *request,
                      struct vsr_effects *out);
/** Says that a request's session is gone, and what of it was executed, if the table knows. */
void vsr_reply_evicted(struct vsr_replica *r, vsr_address address,
                       const struct vsr_request *request, struct vsr_effects *out);
/** Answers a Register whose session was opened and is gone: its client needs another id. */
void vsr_reply_register_evicted(struct vsr_replica *r, const struct vsr_register *payload,
                                struct vsr_effects *out);
/** Repeats the reply that a client table entry holds. */
void vsr_reply_from_table(struct vsr_replica *r, uint32_t slot, struct vsr_effects *out);
/** Answers a Register from `address` whose client id has the session at `slot`: with the session,
 * or with a refusal when that is another address's. */
void vsr_reply_registered(struct vsr_replica *r, uint32_t slot, vsr_address address,
                          struct vsr_effects *out);

#endif
