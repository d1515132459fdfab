/**
 * Where a replica's superblock lives: outside of its memory, so that it outlives it.
 *
 * The third thing that a host gives a replica, beside buffers (vsr/types.h) and a state machine
 * (vsr/state_machine.h). The node has two of its own, memory and files (vsr/cluster.h); an embedder
 * may bring another, and a test one that is slow or fails.
 *
 * Threads: of one replica's functions one at a time, of different replicas any number at once.
 * `write` is called by a thread of the node when may_block, else by the replica's worker; `read` by
 * a thread that starts a replica.
 */
#ifndef VSR_STORAGE_H
#define VSR_STORAGE_H

#include <vsr/replica.h>
#include <vsr/types.h>

struct vsr_storage {
    void *context;
    bool may_block; /* write waits for a disk: no worker must */
    /**
     * Makes a superblock durable, instead of the one before.
     *
     * Returns: 0: it outlives a crash. A negative errno: what is held is not known; the replica
     *          says nothing more, until it is restarted and has read what is held.
     */
    int (*write)(void *context, uint32_t replica, const struct vsr_superblock *superblock);
    /**
     * Reads the last one that became durable; one whose write a crash or an error cut short may be
     * it or not. All zero: the replica never ran.
     *
     * Returns: 0, or a negative errno: then *why says what to do (why may be NULL).
     */
    int (*read)(void *context, uint32_t replica, struct vsr_superblock *superblock,
                struct vsr_error *why);
};

#endif
