/**
 * Superblock files: the promises of a replica that outlive its process.
 *
 * A replica keeps its log in memory, and in a small file what it has promised: the highest view,
 * the view its log is of, its epoch, the number of its life (incarnation). Nothing that depends on
 * these leaves the replica before they are durable. A file keeps promises, not data: see
 * vsr/cluster.h for what a cluster survives.
 *
 * The file is named DIRECTORY/replica-N.superblock. It has four checksummed copies in two pairs,
 * written alternately: a write that a crash has torn leaves the pair before it whole, and one copy
 * that went bad later has a twin.
 */
#ifndef VSR_SUPERBLOCK_H
#define VSR_SUPERBLOCK_H

#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

/** Whose file it is. A file of another one is refused. */
struct vsr_superblock_identity {
    uint64_t cluster;
    uint32_t replica;
    uint32_t replica_count;
};

/**
 * Makes the file of a replica that never ran, and never will have run elsewhere. It is never
 * overwritten: a replica that forgets its promises may bring committed operations to nought.
 *
 * Ownership: borrows all.
 * Threads:   any; blocks.
 * Returns:   0; -EEXIST when there is a file; -EINVAL for a replica that no cluster has, or a NULL
 *            directory or identity; a negative errno of the file system. In why->text
 *            (why may be NULL) then stands which file, why, and what to do.
 */
int vsr_superblock_format(const char *directory, const struct vsr_superblock_identity *identity,
                          struct vsr_error *why) VSR_MUST_CHECK;

VSR_DECLARATIONS_END

#endif
