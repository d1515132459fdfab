/**
 * Messages on their way: kept while their receiver has no room.
 */
#ifndef VSR_NODE_OUTBOX_H
#define VSR_NODE_OUTBOX_H

#include <act/actor.h>
#include <act/message.h>

#include <stdint.h>

/**
 * Messages that their receiver had no room for. They are offered again at the end of every turn and
 * at every tick; when the outbox itself is full a message is dropped, which the protocol mends.
 */
enum { OUTBOX_MAX = 16384 };

struct vsr_node_outbox {
    struct vsr_node_parcel {
        act_id to;
        struct act_message *message;
    } * parcels; /* OUTBOX_MAX of them */
    uint32_t count;
    uint64_t dropped;
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

/** With send NULL act_send sends. Returns 0 or -ENOMEM. */
int vsr_node_outbox_init(struct vsr_node_outbox *outbox,
                         int (*send)(void *context, act_id to, struct act_message *m),
                         void *send_context);
/** Ends all that waits, and gives its memory back; also of one whose init has failed. */
void vsr_node_outbox_deinit(struct vsr_node_outbox *outbox);
/**
 * Sends a message, or keeps it until its receiver has room; when the outbox is full it is dropped
 * and counted.
 *
 * Ownership: takes m.
 * Threads:   the actor that owns the outbox, as for all that follow.
 */
void vsr_node_outbox_send(struct vsr_node_outbox *outbox, act_id to, struct act_message *m);
/** Offers all that waits again, the oldest first. */
void vsr_node_outbox_retry(struct vsr_node_outbox *outbox);
/** Ends all that waits. */
void vsr_node_outbox_clear(struct vsr_node_outbox *outbox);

#endif
