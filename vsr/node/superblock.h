/**
 * Superblock files: format, read, write. No actor, no thread; one owner at a time.
 */
#ifndef VSR_NODE_SUPERBLOCK_H
#define VSR_NODE_SUPERBLOCK_H

#include <vsr/replica.h>
#include <vsr/superblock.h>

enum {
    SUPERBLOCK_COPIES = 4,
    SUPERBLOCK_COPY_BYTES = 4096, /* apart: no sector holds two */
    SUPERBLOCK_VERSION = 2,       /* 1 had a checksum of our own; nothing else differs */
    SUPERBLOCK_PATH_MAX = 512,    /* an error text has room for it */
};

/** One copy as it lies in the file, little-endian; the rest of its 4 KiB is zero. */
struct superblock_copy {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes; /* of this struct: what the checksum covers, itself apart */
    uint64_t cluster;
    uint32_t replica;
    uint32_t replica_count;
    uint64_t sequence; /* of the write; the pair is sequence % 2 */
    uint64_t view;
    uint64_t log_view;
    uint32_t epoch;
    uint32_t incarnation; /* 0: formatted, and never ran */
    uint64_t checksum;
};

_Static_assert(sizeof(struct superblock_copy) == 72, "the file's layout");

struct superblock_file {
    struct vsr_superblock_identity identity;
    uint64_t sequence; /* of the last write */
    int fd;            /* -1 = closed. It holds a lock: one owner in all processes */
    char path[SUPERBLOCK_PATH_MAX];
};

/**
 * Opens a replica's file and reads the newest of its valid copies.
 *
 * Returns: 0; -ENOENT: there is none; -EBADMSG: it is cut short, or no copy is
 *          valid; -EINVAL: it is of another version,
 *          cluster or replica; -EBUSY: another process has it; another negative errno of the file
 *          system. Then file->fd is -1, and why->text (why may be NULL) says what to do.
 */
int vsr_node_superblock_open(struct superblock_file *file, const char *directory,
                             const struct vsr_superblock_identity *identity,
                             struct vsr_superblock *superblock,
                             struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Makes a superblock durable. Blocks for as long as the disk takes.
 *
 * Returns: 0, or a negative errno: then what the file holds is not known, also when a later write
 *          seems to succeed, and the replica must not go on.
 */
int vsr_node_superblock_write(struct superblock_file *file,
                              const struct vsr_superblock *superblock) VSR_MUST_CHECK;

/** Closes the file, and gives up its lock; one that is closed already stays so. */
void vsr_node_superblock_close(struct superblock_file *file);

/** Removes a file just made by vsr_superblock_format. */
void vsr_node_superblock_remove(const char *directory, uint32_t replica);

#endif
