/**
 * How the replicas of a cluster reach their storage: the thread that waits for it.
 */
#ifndef VSR_NODE_STORAGE_H
#define VSR_NODE_STORAGE_H

#include <act/runtime.h>
#include <act/types.h>
#include <vsr/storage.h>

struct vsr_cluster_options;
struct vsr_node_storage;

/**
 * Makes what the options ask for; with files, opens or formats them. Returns 0, or as
 * vsr_cluster_start.
 */
int vsr_node_storage_create(const struct vsr_cluster_options *options,
                            struct vsr_node_storage **storage, struct vsr_error *why);
/**
 * Writes what is still wanted, ends the thread and frees it. Its replicas have stopped.
 *
 * Ownership: takes storage.
 * Threads:   blocks for as long as a write takes.
 */
void vsr_node_storage_destroy(struct vsr_node_storage *storage);
/** Destroys it, and removes the files that were formatted: the cluster did not start. */
void vsr_node_storage_undo(struct vsr_node_storage *storage);

/**
 * Makes a superblock durable, the effect `sequence`. Only from the replica's actor, one at a time.
 *
 * Returns: 0: it is durable. -EINPROGRESS: a NODE_DURABLE comes to the actor, which then calls
 *          vsr_node_storage_take. Else why it may not be durable.
 */
int vsr_node_storage_persist(struct vsr_node_storage *storage, uint32_t replica,
                             vsr_sequence sequence, const struct vsr_superblock *superblock);

/**
 * Takes the answer to the last vsr_node_storage_persist of this life. Only from the replica's
 * actor.
 *
 * Returns: whether there was one: *sequence, and in *error 0 or why it may not be durable.
 */
bool vsr_node_storage_take(struct vsr_node_storage *storage, uint32_t replica,
                           vsr_sequence *sequence, int *error);

/**
 * The superblock of a replica that is not running; all zero: it never ran. What it had asked for
 * last may or may not have become durable, and is not answered any more. Blocks.
 */
int vsr_node_storage_read(struct vsr_node_storage *storage, uint32_t replica,
                          struct vsr_superblock *superblock, struct vsr_error *why);

#endif
