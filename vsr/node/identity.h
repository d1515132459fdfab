/**
 * Who a client is.
 */
#ifndef VSR_NODE_IDENTITY_H
#define VSR_NODE_IDENTITY_H

#include <vsr/types.h>

#include <pthread.h>

/** The seeds that clients of a cluster have had, those that have stopped too. */
struct vsr_node_identities {
    pthread_mutex_t mutex;
    uint64_t *seeds;
    uint32_t count;
    uint32_t capacity;
};

/** No seed has been had. */
void vsr_node_identities_init(struct vsr_node_identities *identities);
/** Forgets them. No client is being made. */
void vsr_node_identities_deinit(struct vsr_node_identities *identities);
/**
 * Makes a client's id: random, or, unless the seed is 0, the seed's.
 *
 * Threads: any, any number at once.
 * Returns: 0; -EEXIST: a client of the cluster has had this seed; -ENOMEM; what getrandom said.
 */
int vsr_node_identify(struct vsr_node_identities *identities, uint64_t seed, uint64_t id[2],
                      struct vsr_error *why);

#endif
