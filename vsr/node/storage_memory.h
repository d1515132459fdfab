/**
 * Superblocks in memory.
 */
#ifndef VSR_NODE_STORAGE_MEMORY_H
#define VSR_NODE_STORAGE_MEMORY_H

#include <vsr/storage.h>

/** Superblocks in memory. Zeroed = no replica ran. */
struct vsr_node_storage_memory {
    struct vsr_superblock superblocks[VSR_REPLICAS_MAX];
};

/** A storage that never blocks. Ownership: borrows memory for as long as it is used. */
struct vsr_storage vsr_node_storage_memory_of(struct vsr_node_storage_memory *memory);

#endif
