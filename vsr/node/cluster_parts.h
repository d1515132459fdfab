/**
 * A cluster's parts, for the files that start it (cluster.c) and that steer it (steering.c).
 */
#ifndef VSR_NODE_CLUSTER_PARTS_H
#define VSR_NODE_CLUSTER_PARTS_H

#include "control.h"
#include "health.h"
#include "identity.h"
#include "storage.h"
#include "wait.h"

#include <vsr/cluster.h>

struct vsr_cluster {
    struct vsr_cluster_options options;
    act_id peers[VSR_REPLICAS_MAX];
    uint32_t spawned;      /* actors: the first so many */
    bool has_result_bytes; /* options.replica.result_bytes_max is the state machines' */
    struct vsr_node_storage *storage;
    struct vsr_node_inbox inboxes[VSR_REPLICAS_MAX];
    struct vsr_node_event stopped[VSR_REPLICAS_MAX];
    pthread_mutex_t mutex; /* one kill, restart, pause or resume at a time */
    struct vsr_node_identities identities;
    struct vsr_node_health health;
};

/** The cluster's options, and its replicas' ids: peers()[0 .. replica_count-1]. */
const struct vsr_cluster_options *vsr_node_cluster_options(const struct vsr_cluster *cluster);
const act_id *vsr_node_cluster_peers(const struct vsr_cluster *cluster);
struct vsr_node_identities *vsr_node_cluster_identities(struct vsr_cluster *cluster);
struct vsr_node_health *vsr_node_cluster_health(struct vsr_cluster *cluster);

/* For threads with a port. */

/** Asks a replica's actor and waits. Returns what vsr_node_control_ask and vsr_node_control_await
 * do. */
int vsr_node_cluster_command(struct vsr_cluster *cluster, uint32_t replica,
                             struct vsr_node_control *control);
int vsr_node_cluster_inspect(struct vsr_cluster *cluster, uint32_t replica, bool wants_digest,
                             struct vsr_cluster_report *report);
/** Makes what a replica begins with. Returns 0, or a negative errno and *why. */
int vsr_node_cluster_prepare(struct vsr_cluster *cluster, uint32_t replica,
                             struct vsr_node_control *control, struct vsr_error *why);

#endif
