/**
 * One life of a replica: its state machine, its core, its snapshots.
 */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Lays out the core and its list of effects. */
static int create_core(struct node_life *life, const struct vsr_replica_options *o)
{
    const size_t bytes = (vsr_replica_bytes(o) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);

    if (memory == NULL) return -ENOMEM;
    memset(memory, 0, bytes);
    life->core = vsr_replica_init(memory, o);
    life->effects.capacity = vsr_replica_effects_max(o);
    life->effects.list = calloc(life->effects.capacity, sizeof *life->effects.list);
    return life->effects.list != NULL ? 0 : -ENOMEM;
}

int node_life_create(const struct vsr_cluster_options *options, uint32_t replica,
                     const struct vsr_superblock *superblock, struct node_life *life)
{
    struct vsr_replica_options o = options->replica;

    *life = (struct node_life){.superblock = *superblock};
    int error = options->create_machine(options->machine_context, replica, &life->machine);
    if (error != 0) {
        *life = (struct node_life){0};
        return error;
    }
    o.replica = replica;
    o.incarnation = superblock->incarnation + 1;
    o.buffers = node_buffers;
    error = create_core(life, &o);
    if (error != 0) node_life_destroy(life);
    return error;
}

void node_life_destroy(struct node_life *life)
{
    if (life->core != NULL) vsr_replica_deinit(life->core);
    if (life->machine.destroy != NULL) life->machine.destroy(life->machine.state);
    node_snapshots_deinit(&life->snapshots);
    free(life->effects.list);
    free(life->core);
    *life = (struct node_life){0};
}
