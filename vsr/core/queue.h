/**
 * What waits at the primary: the open batch, and the requests behind it.
 */
#ifndef VSR_CORE_QUEUE_H
#define VSR_CORE_QUEUE_H

#include <vsr/replica.h>

/** The Prepare that the primary fills. */
struct vsr_batch {
    struct vsr_buffer buffer; /* header NULL: none open */
    uint32_t bytes;
    uint32_t count;
    uint8_t kind; /* of all its requests */
};

/** A Request message whose requests, from `offset` on, wait for room in the pipeline. */
struct vsr_waiting {
    struct vsr_buffer buffer;
    uint32_t offset;
};

struct vsr_queue {
    struct vsr_waiting *ring; /* mask + 1 of them */
    uint32_t mask;
    uint32_t head;
    uint32_t count;
};

/** Ownership: takes m when it returns true; false: the queue is full. */
bool vsr_queue_push(struct vsr_queue *queue, struct vsr_buffer m, uint32_t offset);
/** Forgets requests that wait: their clients will ask again. */
void vsr_drop_requests(struct vsr_replica *r);

#endif
