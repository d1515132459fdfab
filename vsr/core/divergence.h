/**
 * Whether the replicas' states are the same, compared while they run: rule 10 of DESIGN.md.
 *
 * A state machine that is not deterministic makes states differ without any fault of the log. Each
 * replica chains a digest of the results of all that it executes, and says it with what it
 * acknowledges; the primary finds out which of them a majority has, and says that to all. Who has
 * another one halts; a primary that cannot be one of a majority halts too.
 */
#ifndef VSR_CORE_DIVERGENCE_H
#define VSR_CORE_DIVERGENCE_H

#include "witness.h"

#include <vsr/replica.h>

struct vsr_divergence {
    uint64_t digest;   /* of the results of all ops up to applied; a part of snapshots */
    uint64_t *digests; /* after each of the last ops; op n at n & log.mask */
    vsr_op known_from; /* the first op whose digest is among them */
    vsr_op halts_at;   /* our state is not the majority's; 0: it is. The step's end halts */
};

/** Within a view. At the primary of every replica, at a backup of what the primary says. */
struct vsr_comparisons {
    struct vsr_claim waiting[VSR_REPLICAS_MAX]; /* of an op that we have not come to; op 0: none */
    uint64_t waiting_witness[VSR_REPLICAS_MAX];
    struct vsr_doubt doubts[VSR_REPLICAS_MAX]; /* that it is what we have */
    vsr_op equal[VSR_REPLICAS_MAX];            /* the highest at which it was what we have */
    vsr_op other[VSR_REPLICAS_MAX];            /* the first at which it was not; 0: none */
    struct vsr_claim agreed;                   /* primary: the last that a majority has */
    bool is_due;                               /* something waits */
    bool is_split_said;                        /* once in a view */
};

/** Adds the results of the op that has just been applied to the digest. */
void vsr_digest_results(struct vsr_replica *r, vsr_op op);
/** We have come to another op: compares what has waited for it. */
void vsr_compare_waiting(struct vsr_replica *r, struct vsr_effects *out);

/** What our state is. */
struct vsr_claim vsr_claim_own(const struct vsr_replica *r);
/**
 * Notes what replica `from` has said: a backup of its state, the primary of the majority's.
 *
 * Shape: witness names the message that says it: witness.h.
 */
void vsr_hear_claim(struct vsr_replica *r, uint32_t from, const struct vsr_claim *claim,
                    uint64_t witness, struct vsr_effects *out);
/** A replica begins anew: what it had said was of another life. */
void vsr_forget_claims(struct vsr_replica *r, uint32_t from);

#endif
