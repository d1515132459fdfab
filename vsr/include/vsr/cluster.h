/**
 * Replicas as actors: a whole cluster in one process.
 *
 * Threads: these functions block; call them from threads that are not workers. They use the calling
 * thread's port, or open one for the call.
 */
#ifndef VSR_CLUSTER_H
#define VSR_CLUSTER_H

#include <act/actor.h>
#include <act/runtime.h>
#include <vsr/replica.h>
#include <vsr/state_machine.h>

struct vsr_cluster;

/**
 * Makes the state machine of one replica. Returns 0, or a negative errno: then the cluster does not
 * start. The cluster calls machine->destroy.
 */
typedef int (*vsr_machine_create)(void *context, uint32_t replica,
                                  struct vsr_state_machine *machine);

struct vsr_cluster_options {
    struct act_runtime *runtime;
    /** Common to all replicas. The cluster sets replica, incarnation, buffers, result_bytes_max. */
    struct vsr_replica_options replica;
    vsr_machine_create create_machine;
    void *machine_context;
    const uint32_t
        *places;          /* of each replica (ACT_PLACE_ON); NULL = round robin over the workers */
    uint64_t tick_ns;     /* >= 100 us: what a tick of the protocol's timers lasts */
    uint32_t mailbox_max; /* of a replica; 0 = the runtime's default */
    /** Hears what an operator should know, on a worker; NULL = a line on stderr. Must not block. */
    void (*on_notice)(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op);
    void *notice_context;
    /** Instead of act_send, for tests that lose, delay or repeat messages. Same contract. */
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

/** A replica as seen from outside: its report, and its state machine's digest at `applied`. */
struct vsr_cluster_report {
    struct vsr_replica_report replica;
    uint64_t digest;
    uint64_t messages_dropped; /* for want of room at the receiver; the protocol sent them again */
};

void vsr_cluster_options_init(struct vsr_cluster_options *options);

/**
 * Starts the replicas.
 *
 * Ownership: borrows options; gives the caller *cluster, to be ended by vsr_cluster_stop before the
 *            runtime stops.
 * Returns:   0; -EINVAL and *why (may be NULL) for an option out of range; -ENOMEM; what
 *            create_machine or act_spawn returned. On an error nothing is left behind.
 */
int vsr_cluster_start(const struct vsr_cluster_options *options, struct vsr_cluster **cluster,
                      struct vsr_error *why) VSR_MUST_CHECK;

/** Stops the replicas and frees them. Clients must have stopped before. Ownership: takes cluster.
 */
void vsr_cluster_stop(struct vsr_cluster *cluster);

/** Looks at a replica, between two of its turns. Returns 0, or -EINVAL, -ENOMEM, -EAGAIN. */
int vsr_cluster_inspect(struct vsr_cluster *cluster, uint32_t replica,
                        struct vsr_cluster_report *report) VSR_MUST_CHECK;

/**
 * Waits until every replica has executed the same log to its end, which needs clients at rest.
 *
 * Returns: 0, -ETIMEDOUT when they have not after timeout_ns.
 */
int vsr_cluster_settle(struct vsr_cluster *cluster, uint64_t timeout_ns) VSR_MUST_CHECK;

/**
 * Stops one replica's actor and leaves it stopped, as a crash would.
 *
 * Returns: 0, -EINVAL, -EALREADY when it is stopped.
 */
int vsr_cluster_kill(struct vsr_cluster *cluster, uint32_t replica) VSR_MUST_CHECK;

uint32_t vsr_cluster_replica_count(const struct vsr_cluster *cluster);

#endif
