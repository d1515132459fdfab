/**
 * One life of a replica.
 */
#ifndef VSR_NODE_LIFE_H
#define VSR_NODE_LIFE_H

#include "driver.h"
#include "snapshots.h"

#include <vsr/cluster.h>

/** What a replica loses when it dies. Zeroed = dead. */
struct vsr_node_life {
    struct vsr_driver driver; /* with the core */
    struct vsr_state_machine machine;
    struct vsr_node_snapshots snapshots;
    struct vsr_superblock superblock; /* it begins with; incarnation 0: the replica never ran */
};

/**
 * Makes the first half of a life, its state machine. Returns 0, what create_machine returned, or
 * -EINVAL and *why for a machine that lacks something or gives results above the limit.
 */
int vsr_node_life_create_machine(const struct vsr_cluster_options *options, uint32_t replica,
                                 struct vsr_node_life *life, struct vsr_error *why);
/**
 * Makes the other half, the core; options->replica.result_bytes_max is the machine's. Returns 0 or
 * -ENOMEM: then the machine is gone too.
 */
int vsr_node_life_create_core(const struct vsr_cluster_options *options, uint32_t replica,
                              const struct vsr_superblock *superblock, struct vsr_node_life *life);
/** Threads: a worker, or a thread with a port. */
void vsr_node_life_destroy(struct vsr_node_life *life);

#endif
