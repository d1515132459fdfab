/**
 * Normal operation: Prepare, PrepareOK, Commit, CommitOK and their timers.
 */
#ifndef VSR_CORE_NORMAL_H
#define VSR_CORE_NORMAL_H

#include <vsr/replica.h>

/** Appends the finished Prepare to the log and sends it. Ownership: takes prepare. */
void vsr_append_and_send(struct vsr_replica *r, struct vsr_buffer prepare, struct vsr_effects *out);
/** Sends the cumulative PrepareOK that this turn's Prepares ask for. */
void vsr_acknowledge(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_prepare(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_prepare_ok(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out);
enum vsr_drop vsr_on_commit(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_commit_ok(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
void vsr_on_heartbeat_timeout(struct vsr_replica *r, struct vsr_effects *out);
void vsr_on_resend_timeout(struct vsr_replica *r, struct vsr_effects *out);

#endif
