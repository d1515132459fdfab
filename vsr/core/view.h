/**
 * The view a replica is in.
 */
#ifndef VSR_CORE_VIEW_H
#define VSR_CORE_VIEW_H

#include <vsr/replica.h>

void vsr_halt(struct vsr_replica *r, enum vsr_notice why, vsr_op op, struct vsr_effects *out);
/** Notes a commit number heard while it cannot be acted upon. */
void vsr_note_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum);
void vsr_withdraw_vote(struct vsr_replica *r);
/** A time that doubles with every view in a row that did not start or did not last: rule 6.7. */
uint32_t vsr_grown(const struct vsr_replica *r, uint32_t ticks);
/** Whether the view has been NORMAL for so long that it counts as a success: 3 T_suspect, grown. */
bool vsr_has_lasted(const struct vsr_replica *r);
/** Draws the time after which this view's primary is suspected. */
void vsr_draw_suspicion(struct vsr_replica *r);
/** A log that the view waits for grows: T_vc begins anew. Source: rule 6.7. */
void vsr_note_progress(struct vsr_replica *r);
/** T_vc: doubles with every view change in a row that did not end. */
void vsr_start_view_timer(struct vsr_replica *r);
/** Lets go of all that holds within a view only. */
void vsr_clear_in_view(struct vsr_replica *r);
/** Raises the view. What only holds within a view goes; the log stays as it is. */
void vsr_set_view(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** The log is the view's: log_view follows, and NORMAL once that is durable. */
void vsr_install_view(struct vsr_replica *r, struct vsr_effects *out);

#endif
