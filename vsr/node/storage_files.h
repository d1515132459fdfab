/**
 * Superblocks in files.
 */
#ifndef VSR_NODE_STORAGE_FILES_H
#define VSR_NODE_STORAGE_FILES_H

#include <vsr/cluster.h>
#include <vsr/storage.h>

/** Superblocks in the files of a directory. */
struct vsr_node_storage_files;

/**
 * Opens the files of all replicas, formatted before if asked for: all, or none.
 *
 * Returns: 0 and *storage, or as vsr_cluster_start.
 */
int vsr_node_storage_files_create(const struct vsr_cluster_options *options,
                                  struct vsr_node_storage_files **files,
                                  struct vsr_storage *storage, struct vsr_error *why);
/** Closes the files, which stay. Ownership: takes files. */
void vsr_node_storage_files_destroy(struct vsr_node_storage_files *files);
/** Likewise, and removes the files if they were formatted by create. */
void vsr_node_storage_files_undo(struct vsr_node_storage_files *files);

#endif
