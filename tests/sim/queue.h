/**
 * What will happen, in the order of time; what falls together, in the order it was added.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <vsr/types.h>

enum event_kind {
    EVENT_DELIVER,        /* target: replica */
    EVENT_DELIVER_CLIENT, /* target: client */
    EVENT_TICK,
    EVENT_TURN_END,
    EVENT_WRITTEN, /* the superblock is on the disk */
    EVENT_DURABLE, /* ... and the replica is told */
    EVENT_APPLIED,
    EVENT_COMPLETED, /* a snapshot that took time is saved or loaded */
    EVENT_RESTART,
    EVENT_RESUME,
    EVENT_CLIENT_TICK,
    EVENT_FAULT,     /* target: enum fault; the next one of its kind */
    EVENT_FAULT_END, /* target: enum fault; life names what ends */
    EVENT_CUT,       /* the standing cuts begin */
};

struct event {
    uint64_t time;
    uint64_t order;
    uint16_t kind;
    uint16_t target;
    uint32_t life;         /* of the target: an event for an earlier one is void */
    vsr_sequence sequence; /* of DURABLE */
    struct vsr_buffer buffer;
};

struct queue {
    struct event *heap;
    size_t count;
    size_t capacity;
    uint64_t order;
};

void queue_push(struct queue *queue, struct event event);
/** The queue is not empty. */
struct event queue_pop(struct queue *queue);
void queue_deinit(struct queue *queue);

#endif
