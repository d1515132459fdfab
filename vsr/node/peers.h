/**
 * What the clients of a cluster share: its replicas' ids, and who the clients are.
 *
 * Ordering: a client's last look at its peers (vsr_node_peers_leave, release) comes before they are
 * freed (vsr_node_peers_clients, acquire).
 */
#ifndef VSR_NODE_PEERS_H
#define VSR_NODE_PEERS_H

#include "health.h"
#include "identity.h"

#include <vsr/peers.h>

#include <stdatomic.h>

struct vsr_peers {
    struct vsr_peers_options options; /* replicas: NULL, the ids are here */
    act_id ids[VSR_REPLICAS_MAX];
    struct vsr_node_identities identities;
    const struct vsr_node_health *health; /* NULL: nobody here knows how the replicas are */
    atomic_uint clients;                  /* that have not ended */
};

/** Lays peers into the caller's memory; the ids are still to be set. The options are in range. */
void vsr_node_peers_init(struct vsr_peers *peers, const struct vsr_peers_options *options,
                         const struct vsr_node_health *health);
/** The memory is the caller's again. No client is left. */
void vsr_node_peers_deinit(struct vsr_peers *peers);

/** A client begins. Ownership: it borrows peers until vsr_node_peers_leave. Threads: any. */
void vsr_node_peers_enter(struct vsr_peers *peers);
/** It has ended, and looks at peers no more. Threads: any. */
void vsr_node_peers_leave(struct vsr_peers *peers);
/** How many have not ended. Threads: any. */
uint32_t vsr_node_peers_clients(const struct vsr_peers *peers);

#endif
