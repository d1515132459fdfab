/**
 * Whether a cluster is gone for good. See health.h.
 */
#include "health.h"

#include "../core/assert.h"
#include "../core/members.h"

#include <stdio.h>

void vsr_node_health_init(struct vsr_node_health *health, const struct vsr_replica_options *options)
{
    const uint32_t n = options->replica_count;
    const struct vsr_members members =
        vsr_members_of(n, VSR_NO_MEMBER, options->quorum_replication, options->quorum_view_change,
                       options->recovery_quorum);
    const uint32_t answers = members.quorums.recovery;
    const uint32_t acknowledgements = members.quorums.replication;

    atomic_init(&health->lost, 0);
    atomic_init(&health->is_gone, false);
    health->replica_count = n;
    health->needed = answers < acknowledgements ? answers : acknowledgements;
    VSR_ASSERT(health->needed >= 1);
    VSR_ASSERT(health->needed <= n);
}

void vsr_node_health_note(struct vsr_node_health *health, uint32_t replica, bool is_lost)
{
    VSR_ASSERT(replica < health->replica_count);
    const unsigned bit = 1u << replica;
    const unsigned before = is_lost ? atomic_fetch_or(&health->lost, bit)    /* H1 */
                                    : atomic_fetch_and(&health->lost, ~bit); /* H1 */
    VSR_ASSERT(((before & bit) != 0) != is_lost); /* Only what changes is noted. */
    const unsigned lost = before ^ bit;
    const uint32_t left = health->replica_count - (uint32_t)__builtin_popcount(lost);

    if (left >= health->needed || atomic_exchange(&health->is_gone, true)) return; /* H1 */
    fprintf(stderr,
            "vsr: %u of %u replicas have lost their memory at once: what was acknowledged may be "
            "lost, and nothing will be executed any more; clients are told\n",
            health->replica_count - left, health->replica_count);
}

bool vsr_node_health_is_gone(const struct vsr_node_health *health)
{
    return atomic_load_explicit(&health->is_gone, memory_order_acquire); /* H2 */
}
