/**
 * Quorum arithmetic. Source: DESIGN.md, "Quorums"; VRR §3, §4.1 step 5.
 */
#ifndef VSR_CORE_QUORUM_H
#define VSR_CORE_QUORUM_H

#include "assert.h"

#include <vsr/types.h>

static inline uint32_t quorum_majority(uint32_t replica_count)
{
    return replica_count / 2 + 1;
}

static inline uint32_t primary_of(vsr_view view, uint32_t replica_count)
{
    return (uint32_t)(view % replica_count);
}

/** The largest op that at least `quorum` of the `count` replicas have reached. */
static inline vsr_op quorum_reached(const vsr_op *ops, uint32_t count, uint32_t quorum)
{
    vsr_op sorted[VSR_REPLICAS_MAX]; /* descending */

    VSR_ASSERT(quorum >= 1);
    VSR_ASSERT(quorum <= count);
    VSR_ASSERT(count <= VSR_REPLICAS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < ops[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = ops[i];
    }
    return sorted[quorum - 1];
}

static inline vsr_op quorum_minimum(const vsr_op *ops, uint32_t count)
{
    vsr_op least = ops[0];

    VSR_ASSERT(count >= 1);
    VSR_ASSERT(count <= VSR_REPLICAS_MAX);
    for (uint32_t i = 1; i < count; i++)
        if (ops[i] < least) least = ops[i];
    return least;
}

#endif
