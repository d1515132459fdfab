/**
 * Peers: the replicas of a cluster as its clients reach them.
 *
 * A replica is an id of this process's runtime, to which its messages are sent. Those of a cluster
 * that runs here come from vsr_cluster_peers. Whoever reaches replicas in another way, through
 * actors that stand for replicas elsewhere, makes peers of these actors' ids: clients and services
 * do not see the difference.
 */
#ifndef VSR_PEERS_H
#define VSR_PEERS_H

#include <act/actor.h>
#include <act/runtime.h>
#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

struct vsr_peers;

struct vsr_peers_options {
    struct act_runtime *runtime; /* no default */
    const act_id *replicas;      /* no default: replica_count of them, by number; copied */
    uint32_t replica_count;      /* 3; 1..VSR_REPLICAS_MAX */
    uint64_t cluster;            /* 0; this and the next three are the replicas' options */
    uint32_t sessions_max;       /* 1024; 1..VSR_SESSIONS_MAX */
    uint32_t op_bytes_max;       /* 1024; 0..VSR_OP_BYTES_MAX */
    uint32_t result_bytes_max;   /* 16; 0..VSR_RESULT_BYTES_MAX; the state machine's */
    uint64_t tick_ns;            /* 1000000; >= 100 us: of the clients' timers */
    /** Instead of act_send, for tests that lose, delay or repeat messages. Same contract. */
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

/** Fills in the defaults; runtime and replicas are still to be given. Threads: any. */
void vsr_peers_options_init(struct vsr_peers_options *options);

/**
 * Makes peers.
 *
 * Ownership: borrows options; gives the caller *peers, to be destroyed when the last client and
 *            service with them has stopped.
 * Threads:   any.
 * Returns:   0; -EINVAL and *why (may be NULL) for an option out of range, or a NULL argument;
 *            -ENOMEM.
 */
int vsr_peers_create(const struct vsr_peers_options *options, struct vsr_peers **peers,
                     struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Frees them. A cluster's, NULL, and peers of a client or a service that has not ended are errors
 * of the program: it ends with words. Ownership: takes peers.
 */
void vsr_peers_destroy(struct vsr_peers *peers);

/** How many replicas there are. Threads: any. */
uint32_t vsr_peers_count(const struct vsr_peers *peers);

/** Where messages to a replica are sent; ACT_ID_NONE for a number that is none's. Threads: any. */
act_id vsr_peers_id(const struct vsr_peers *peers, uint32_t replica);

VSR_DECLARATIONS_END

#endif
