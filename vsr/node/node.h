/**
 * A node: one replica in this process, with its storage, its actor and the actor's address.
 *
 * A cluster is some nodes with peers in one process; each is told of the others by their ids only.
 * Threads: those of a cluster's owner, with a port.
 */
#ifndef VSR_NODE_NODE_H
#define VSR_NODE_NODE_H

#include "control.h"
#include "health.h"
#include "peers.h"
#include "storage.h"
#include "wait.h"

#include <vsr/cluster.h>

/** What the nodes of one process share. */
struct vsr_node_common {
    struct vsr_cluster_options options;
    bool has_result_bytes; /* options.replica.result_bytes_max is the state machines' */
    struct vsr_node_storage *storage;
    struct vsr_node_health health;
};

struct vsr_node {
    struct vsr_node_common *common;
    uint32_t index;
    act_id address; /* ACT_ID_NONE: there is no actor */
    struct vsr_node_inbox inbox;
    struct vsr_node_event stopped;
};

/** Lays a node into the caller's memory. Ownership: borrows common until deinit. */
void vsr_node_init(struct vsr_node *node, struct vsr_node_common *common, uint32_t index);
/** Its actor has stopped, or never was. */
void vsr_node_deinit(struct vsr_node *node);

/** Starts its actor, without a life. Returns 0, -ENOMEM, or what act_spawn returned. */
int vsr_node_spawn(struct vsr_node *node) ACT_MUST_CHECK;

/**
 * Makes what its replica begins with, in control->life; what it does not take is the caller's.
 *
 * Ownership: borrows peers until the control is answered.
 * Returns:   0, or as vsr_cluster_start, and *why.
 */
int vsr_node_prepare(struct vsr_node *node, const struct vsr_peers *peers,
                     struct vsr_node_control *control, struct vsr_error *why) ACT_MUST_CHECK;

/** As vsr_node_control_ask. */
int vsr_node_ask(struct vsr_node *node, struct vsr_node_control *control) ACT_MUST_CHECK;
/** As vsr_node_control_await. */
int vsr_node_await(struct vsr_node *node, struct vsr_node_control *control) ACT_MUST_CHECK;
/** Both. */
int vsr_node_command(struct vsr_node *node, struct vsr_node_control *control) ACT_MUST_CHECK;
/** Looks at it, with its state machine's digest or without. Returns as vsr_node_command. */
int vsr_node_inspect(struct vsr_node *node, bool wants_digest,
                     struct vsr_cluster_report *report) ACT_MUST_CHECK;

/** Tells its actor, if there is one, to stop. */
void vsr_node_stop(struct vsr_node *node);
/** Waits until it has, as long as that takes; stderr names it. */
void vsr_node_join(struct vsr_node *node);

#endif
