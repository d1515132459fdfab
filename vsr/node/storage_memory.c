/**
 * Superblocks in the memory of the process: durable means outside of the replica's own.
 */
#include "storage_memory.h"

#include "../core/assert.h"
#include "storage.h"

static int write_superblock(void *context, uint32_t replica,
                            const struct vsr_superblock *superblock)
{
    struct vsr_node_storage_memory *memory = context;

    VSR_ASSERT(replica < VSR_REPLICAS_MAX);
    VSR_ASSERT(superblock->log_view <= superblock->view);
    VSR_ASSERT(superblock->view >= memory->superblocks[replica].view);
    VSR_ASSERT(superblock->incarnation >= memory->superblocks[replica].incarnation); /* I21 */
    memory->superblocks[replica] = *superblock;
    return 0;
}

static int read_superblock(void *context, uint32_t replica, struct vsr_superblock *superblock,
                           struct vsr_error *why)
{
    const struct vsr_node_storage_memory *memory = context;

    (void)why;
    VSR_ASSERT(replica < VSR_REPLICAS_MAX);
    *superblock = memory->superblocks[replica];
    return 0;
}

struct vsr_storage vsr_node_storage_memory_of(struct vsr_node_storage_memory *memory)
{
    return (struct vsr_storage){
        .context = memory,
        .write = write_superblock,
        .read = read_superblock,
    };
}
