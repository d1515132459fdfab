/**
 * The world's message buffers: counted, recycled, and watched for changes after they were sent.
 */
#ifndef SIM_POOL_H
#define SIM_POOL_H

#include "random.h"

#include <vsr/types.h>

enum { POOL_CLASSES = 14, POOL_CLASS_SHIFT = 7 }; /* 128 bytes .. 1 MiB */

struct pool {
    struct pool_memory *free[POOL_CLASSES];
    long live; /* buffers that somebody owns */
};

/** One host's access: the same pool, its own bad luck. */
struct pool_source {
    struct pool *pool;
    struct random random;
    uint32_t famine_ppm; /* of takes and refs that fail */
    uint64_t refusals;
};

void pool_deinit(struct pool *pool);
struct vsr_buffers pool_buffers(struct pool_source *source);

/** A buffer that nobody refuses. */
struct vsr_buffer pool_take(struct pool *pool, uint32_t bytes);
/** The same bytes, not sealed. */
struct vsr_buffer pool_copy(struct pool *pool, struct vsr_buffer buffer);
/** A second reference that cannot fail: the network's. */
struct vsr_buffer pool_ref(struct vsr_buffer buffer);
void pool_unref(struct pool *pool, struct vsr_buffer buffer);

/** Notes what a message says now. From here on it is read-only. */
void pool_seal(struct vsr_buffer buffer);
/** Whether it still says what it said when it was sealed. */
bool pool_is_intact(struct vsr_buffer buffer);

#endif
