/**
 * Who the replicas of an epoch are, and how many of them decide what.
 *
 * Whatever counts replicas, names the primary of a view or makes a mask of receivers asks here: a
 * change of membership changes this object and nothing else.
 */
#ifndef VSR_CORE_MEMBERS_H
#define VSR_CORE_MEMBERS_H

#include "quorum.h"

#include <vsr/types.h>

#include <stdbool.h>
#include <stdint.h>

struct vsr_members {
    vsr_epoch epoch;
    uint32_t count; /* they are 0 .. count - 1 */
    uint32_t self;  /* which of them we are; a client is VSR_NO_MEMBER */
    struct {
        uint32_t replication; /* acknowledgements that commit an op, our own among them */
        uint32_t view_change; /* votes that end a view, and logs that start one */
        uint32_t recovery;    /* answers that bring a state back, none of them our own */
    } quorums;
};

/** A client's number: no replica has it. */
#define VSR_NO_MEMBER UINT32_MAX

/** A quorum of 0 stands for its default. */
static inline struct vsr_members vsr_members_of(uint32_t count, uint32_t self, uint32_t replication,
                                                uint32_t view_change, uint32_t recovery)
{
    VSR_ASSERT(count >= 1);
    VSR_ASSERT(count <= VSR_REPLICAS_MAX);
    VSR_ASSERT(self < count || self == VSR_NO_MEMBER);
    const uint32_t acks = replication != 0 ? replication : quorum_majority(count);
    const uint32_t votes = view_change != 0 ? view_change : quorum_majority(count);

    VSR_ASSERT(acks <= count);
    VSR_ASSERT(votes <= count);
    VSR_ASSERT(acks + votes >
               count); /* what was committed is in one of the logs that are chosen from */
    return (struct vsr_members){
        .count = count,
        .self = self,
        .quorums = {.replication = acks,
                    .view_change = votes,
                    .recovery = recovery != 0 ? recovery : count - votes + 1},
    };
}

/** Whether there is nobody else: everything is decided here. */
static inline bool vsr_members_is_alone(const struct vsr_members *m)
{
    return m->count == 1;
}

static inline bool vsr_members_has(const struct vsr_members *m, uint64_t replica)
{
    return replica < m->count;
}

/** Whether it is one of them, and not we ourselves. */
static inline bool vsr_members_has_other(const struct vsr_members *m, uint64_t replica)
{
    return replica < m->count && replica != m->self;
}

static inline uint32_t vsr_members_primary(const struct vsr_members *m, vsr_view view)
{
    return primary_of(view, m->count);
}

/** The member after this one; after the last comes the first. */
static inline uint32_t vsr_members_next(const struct vsr_members *m, uint32_t replica)
{
    VSR_ASSERT(replica < m->count);
    return (replica + 1) % m->count;
}

/* Masks of receivers, as VSR_EFFECT_SEND has them. */

static inline uint32_t vsr_mask_of(uint32_t replica)
{
    VSR_ASSERT(replica < VSR_REPLICAS_MAX);
    return 1u << replica;
}

static inline uint32_t vsr_members_all(const struct vsr_members *m)
{
    return (1u << m->count) - 1;
}

static inline uint32_t vsr_members_others(const struct vsr_members *m)
{
    return vsr_members_all(m) & ~vsr_mask_of(m->self);
}

/* What a quorum of the members has reached; `ops` has a number for each. */

/** The largest number that as many as replicate an op have reached. */
static inline vsr_op vsr_members_replicated(const struct vsr_members *m, const vsr_op *ops)
{
    return quorum_reached(ops, m->count, m->quorums.replication);
}

/** The highest view that as many as end a view want at least. */
static inline vsr_view vsr_members_voted(const struct vsr_members *m, const vsr_view *votes)
{
    return quorum_reached(votes, m->count, m->quorums.view_change);
}

/** What every member has reached. */
static inline vsr_op vsr_members_minimum(const struct vsr_members *m, const vsr_op *ops)
{
    return quorum_minimum(ops, m->count);
}

#endif
