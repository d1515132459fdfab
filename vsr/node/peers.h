/**
 * What the clients of a cluster share: its replicas' ids, and who the clients are.
 */
#ifndef VSR_NODE_PEERS_H
#define VSR_NODE_PEERS_H

#include "health.h"
#include "identity.h"

#include <vsr/peers.h>

#include <pthread.h>

/** A client, in the list of its peers. */
struct vsr_node_member {
    struct vsr_node_member *next;
    struct vsr_node_member **link; /* what points to this one */
    act_id id;                     /* ACT_ID_NONE: it has not begun */
};

struct vsr_peers {
    struct vsr_peers_options options; /* replicas: NULL, the ids are here */
    act_id ids[VSR_REPLICAS_MAX];
    struct vsr_node_identities identities;
    const struct vsr_node_health *health; /* NULL: nobody here knows how the replicas are */
    pthread_mutex_t mutex;
    struct vsr_node_member *members; /* the clients that have not ended; under the mutex */
};

/** Lays peers into the caller's memory; the ids are still to be set. The options are in range. */
void vsr_node_peers_init(struct vsr_peers *peers, const struct vsr_peers_options *options,
                         const struct vsr_node_health *health);
/** The memory is the caller's again. No client is left. */
void vsr_node_peers_deinit(struct vsr_peers *peers);

/** A client is made. Ownership: each borrows the other until vsr_node_peers_leave. Threads: any. */
void vsr_node_peers_enter(struct vsr_peers *peers, struct vsr_node_member *member);
/** It begins, and is this actor. Threads: any. */
void vsr_node_peers_name(struct vsr_peers *peers, struct vsr_node_member *member, act_id id);
/** It has ended, and looks at peers no more: they may be gone when this returns. Threads: any. */
void vsr_node_peers_leave(struct vsr_peers *peers, struct vsr_node_member *member);
/** How many have not ended, and the id of one that has begun, or ACT_ID_NONE. Threads: any. */
uint32_t vsr_node_peers_clients(struct vsr_peers *peers, act_id *one);

#endif
