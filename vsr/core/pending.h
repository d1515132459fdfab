/**
 * The pending numbers: what the log holds of each session and nobody has executed yet.
 */
#ifndef VSR_CORE_PENDING_H
#define VSR_CORE_PENDING_H

#include <vsr/replica.h>

/** Rebuilds the pending numbers from the log's suffix. Source: 5.2, C4. */
void vsr_rebuild_pending(struct vsr_replica *r);
/** The same for the sessions that an op has just opened: a new primary's log may be ahead of it. */
void vsr_note_pending_of(struct vsr_replica *r, vsr_op opened);

#endif
