/**
 * A replica as an actor.
 */
#ifndef VSR_NODE_REPLICA_ACTOR_H
#define VSR_NODE_REPLICA_ACTOR_H

#include "driver.h"
#include "health.h"
#include "life.h"
#include "storage.h"
#include "wait.h"

#include <act/actor.h>
#include <vsr/cluster.h>

/** One replica's actor: a shell that lives as long as the cluster, for one life after the other. */
struct vsr_node_replica;

struct vsr_node_inbox;

/** Returns NULL without memory. Inbox, storage and stopped outlive the actor. */
struct vsr_node_replica *vsr_node_replica_create(const struct vsr_cluster_options *options,
                                                 uint32_t replica, struct vsr_node_storage *storage,
                                                 struct vsr_node_inbox *inbox,
                                                 struct vsr_node_event *stopped,
                                                 struct vsr_node_health *health);
/** For a replica whose actor was never spawned. */
void vsr_node_replica_destroy(struct vsr_node_replica *replica);

extern const struct act_behaviour vsr_node_replica_behaviour;
/** What its driver has it do. */
extern const struct vsr_host vsr_node_replica_host;

#endif
