/**
 * What the clients of a cluster share: its replicas' ids, and who the clients are.
 */
#ifndef VSR_NODE_PEERS_H
#define VSR_NODE_PEERS_H

#include "health.h"
#include "identity.h"

#include <vsr/peers.h>

struct vsr_peers {
    struct vsr_peers_options options; /* replicas: NULL, the ids are here */
    act_id ids[VSR_REPLICAS_MAX];
    struct vsr_node_identities identities;
    const struct vsr_node_health *health; /* NULL: nobody here knows how the replicas are */
};

/** Lays peers into the caller's memory; the ids are still to be set. The options are in range. */
void vsr_node_peers_init(struct vsr_peers *peers, const struct vsr_peers_options *options,
                         const struct vsr_node_health *health);
/** The memory is the caller's again. */
void vsr_node_peers_deinit(struct vsr_peers *peers);

#endif
