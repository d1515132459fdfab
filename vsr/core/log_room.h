/**
 * Room in the log's ring: which entries may leave it, and for whom they stay.
 */
#ifndef VSR_CORE_LOG_ROOM_H
#define VSR_CORE_LOG_ROOM_H

#include <vsr/replica.h>

/** Whether somebody who is being sent the log still needs the entry after log.start. */
bool vsr_log_is_pinned(const struct vsr_replica *r);
/** Lets the log's entries go that every replica has applied. */
void vsr_release(struct vsr_replica *r, vsr_op released);
/** Makes room for one more op. Returns false when the oldest entry has to stay. */
bool vsr_make_primary_room(struct vsr_replica *r);
/** Appends the op after the last, whatever brought it. Ownership: takes m on VSR_DROP_NONE. */
enum vsr_drop vsr_append_entry(struct vsr_replica *r, const struct vsr_buffer *m,
                               struct vsr_effects *out);

#endif
