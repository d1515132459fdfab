/**
 * Room in the log's ring: which entries may leave it, and for whom they stay.
 */
#ifndef VSR_CORE_LOG_ROOM_H
#define VSR_CORE_LOG_ROOM_H

#include <vsr/replica.h>

/** Notes that a replica has more of the log: it moves. */
void vsr_note_move(struct vsr_replica *r, uint32_t replica);
/** Times the way from the answer to a replica's question to its next question. */
void vsr_time_question(struct vsr_replica *r, uint32_t replica, uint64_t nonce);
/**
 * Keeps the log after `op` for a replica that is being sent it, if the question shows progress.
 *
 * Shape: at is how far into the snapshot at `op` it is, or HOLD_LOG.
 */
void vsr_hold_log(struct vsr_replica *r, uint32_t replica, vsr_op op, uint64_t at);
/** Counts what the log has waited for others since the last tick. */
void vsr_tick_room(struct vsr_replica *r, struct vsr_effects *out);
/** Lets the log's entries go that every replica has applied. */
void vsr_release(struct vsr_replica *r, vsr_op released);
/** Makes room in the ring for one more op. Returns false when the oldest entry has to stay. */
bool vsr_make_room(struct vsr_replica *r);
/** Backup: whether the view has more, and the log no room for it for the sake of others. */
bool vsr_is_full(struct vsr_replica *r);
/** Appends the op after the last, whatever brought it. Ownership: takes m on VSR_DROP_NONE. */
enum vsr_drop vsr_append_entry(struct vsr_replica *r, const struct vsr_buffer *m,
                               struct vsr_effects *out);

#endif
