/**
 * A cluster: nodes and peers in one process. cluster.c starts and stops it, steering.c does what
 * its owner asks meanwhile.
 */
#ifndef VSR_NODE_STEERING_H
#define VSR_NODE_STEERING_H

#include "node.h"
#include "peers.h"

#include <vsr/cluster.h>

#include <pthread.h>
#include <stdatomic.h>

struct vsr_cluster {
    struct vsr_node_common common;
    struct vsr_node nodes[VSR_REPLICAS_MAX];
    struct vsr_peers peers;
    pthread_mutex_t mutex; /* one kill, restart, pause or resume at a time; it checks its owner */
    atomic_uint calls;     /* about it that have not returned */
};

#endif
