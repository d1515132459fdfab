/**
 * What a replica asks its host to make durable, and what is.
 *
 * Every durable effect carries a sequence; the host says when all up to it is durable. Whatever
 * depends on it waits until what it needs is: `needs <= durable`.
 */
#ifndef VSR_CORE_DURABLE_H
#define VSR_CORE_DURABLE_H

#include <vsr/replica.h>

/** One effect is out at a time; what changes meanwhile is one more behind it. */
struct vsr_durability {
    struct vsr_superblock superblock; /* asked for last; before that, the one held at the start */
    vsr_sequence asked;               /* of that */
    vsr_sequence durable;             /* all that was asked for up to here */
};

/** Begins a life with what the storage holds; all zero = nothing. */
void vsr_durable_begin(struct vsr_replica *r, const struct vsr_superblock *held);
/** Whether what depends on view, log view, epoch and incarnation may be said. Source: rule 9.2. */
bool vsr_is_durable(const struct vsr_replica *r);
/** Asks for the superblock to be made durable when it is not what it should be. */
void vsr_persist(struct vsr_replica *r, struct vsr_effects *out);
/** An answer to what was asked before, or by another life, changes nothing. */
enum vsr_drop vsr_on_durable(struct vsr_replica *r, vsr_sequence sequence, struct vsr_effects *out);

#endif
