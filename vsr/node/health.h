/**
 * Whether a cluster is gone for good: what its clients have to know, and no message can tell them.
 *
 * A replica that is down, has failed, has halted or is recovering has, as far as the others are
 * concerned, no log. When fewer have one than can commit, and fewer than can help another recover,
 * that stays so whatever happens: the cluster is gone.
 *
 * Ordering
 *   H1 a replica's bit changes (seq_cst: all agree on the order)  ->  is_gone is set (release)
 *   H2 is_gone is read (acquire)   nothing else is read through it
 */
#ifndef VSR_NODE_HEALTH_H
#define VSR_NODE_HEALTH_H

#include <vsr/replica.h>

#include <stdatomic.h>

struct vsr_node_health {
    atomic_uint lost; /* a bit for each replica */
    atomic_bool is_gone;
    uint32_t replica_count;
    uint32_t needed; /* replicas with a log: one less, and it is over */
};

/** All replicas have a log. The options are in range. Threads: before any other. */
void vsr_node_health_init(struct vsr_node_health *health,
                          const struct vsr_replica_options *options);

/** Notes whether a replica is lost; says it on stderr when that ends the cluster. Threads: its
 * actor. */
void vsr_node_health_note(struct vsr_node_health *health, uint32_t replica, bool is_lost);

/** Whether the cluster is gone for good: once true, always. Threads: any; wait-free. */
bool vsr_node_health_is_gone(const struct vsr_node_health *health);

#endif
