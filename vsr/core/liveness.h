/**
 * Who is silent, and what follows from that: Ping, Pong, suspicion, abdication.
 */
#ifndef VSR_CORE_LIVENESS_H
#define VSR_CORE_LIVENESS_H

#include <vsr/replica.h>

enum vsr_drop vsr_on_ping(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_pong(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
/** Who saves or loads says so first: it is not voted out, given up or left behind for it. */
enum vsr_drop vsr_on_away(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
/** The primary hears too few to commit: it falls silent until it hears them. */
void vsr_look_at_quorum(struct vsr_replica *r, struct vsr_effects *out);
/** Who waits for what only another one has, for long, tells for whom: rule 12. */
void vsr_watch_waiting(struct vsr_replica *r, struct vsr_effects *out);
void vsr_backup_tick(struct vsr_replica *r, struct vsr_effects *out);

#endif
