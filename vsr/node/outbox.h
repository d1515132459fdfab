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
void vsr_node_outbox_deinit(struct vsr_node_outbox *outbox);
/** Ownership: takes m. */
void vsr_node_outbox_send(struct vsr_node_outbox *outbox, act_id to, struct act_message *m);
void vsr_node_outbox_retry(struct vsr_node_outbox *outbox);
/** Ends all that waits. */
void vsr_node_outbox_clear(struct vsr_node_outbox *outbox);

#endif
