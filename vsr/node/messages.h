/**
 * What the actors of a node say to each other.
 */
#ifndef VSR_NODE_MESSAGES_H
#define VSR_NODE_MESSAGES_H

/** Types of the actor messages inside a node. */
enum {
    NODE_MESSAGE = 0x56530100, /* body: a protocol message */
    NODE_TICK,
    NODE_CONTROL, /* to a replica: its inbox may hold something. No body */
    NODE_DURABLE, /* to a replica: vsr_node_storage_take may have something. No body */
    NODE_START,   /* to a client */
    NODE_SUBMIT,  /* to a service. Body: struct vsr_node_submit, then the payload */
    NODE_STOP,    /* to a service: end when all is answered */
};

#endif
