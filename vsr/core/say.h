/**
 * What a replica says on its own account, in any role.
 */
#ifndef VSR_CORE_SAY_H
#define VSR_CORE_SAY_H

#include <vsr/message.h>
#include <vsr/replica.h>

/** Sends an entry that is held. Without a buffer nothing happens: a timer will come again. */
void vsr_send_entry(struct vsr_replica *r, vsr_op op, uint32_t to_mask, struct vsr_effects *out);
/** Votes for the next view. */
void vsr_vote(struct vsr_replica *r, struct vsr_effects *out);
void vsr_send_ping(struct vsr_replica *r, struct vsr_effects *out);
void vsr_send_pong(struct vsr_replica *r, uint32_t to, struct vsr_effects *out);
/** After a save or a load: we hear and speak again. */
void vsr_send_back(struct vsr_replica *r, struct vsr_effects *out);
/** Before a save or a load, in which nothing is heard or said: silence is no sign then. */
void vsr_send_away(struct vsr_replica *r, struct vsr_effects *out);
/** A message of an older view: its sender is told of ours, but not over and over. */
void vsr_tell_view(struct vsr_replica *r, uint32_t to, struct vsr_effects *out);
/** Tells a replica that has not answered in this view how the view started. */
void vsr_send_start_view(struct vsr_replica *r, uint32_t to_mask, struct vsr_effects *out);
/** Tells clients of a new primary, some at a time. */
void vsr_announce_view(struct vsr_replica *r, struct vsr_effects *out);

#endif
