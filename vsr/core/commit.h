/**
 * How far the log is committed.
 */
#ifndef VSR_CORE_COMMIT_H
#define VSR_CORE_COMMIT_H

#include <vsr/replica.h>

/** Advances commit to `op` and starts executing. */
void vsr_commit_to(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);
/**
 * Learns the view's commit number, as far as the view has confirmed our log. Source: rule G0.
 *
 * Shape:   witness names the message that says it: witness.h.
 * Returns: false when the entry at that op is not the view's: nothing is executed then.
 */
bool vsr_learn_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum, uint64_t witness,
                      struct vsr_effects *out);
/** What the view says of the entry at `op`. False: ours is another one, and our log a fork once
 * another message says so, too. */
bool vsr_confirm(struct vsr_replica *r, vsr_op op, vsr_checksum checksum, uint64_t witness,
                 struct vsr_effects *out);
/** Commits what a quorum has acknowledged. */
void vsr_count_acks(struct vsr_replica *r, struct vsr_effects *out);

#endif
