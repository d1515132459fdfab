/**
 * Snapshots on their way, sent and received in chunks: GetChunk, Chunk.
 */
#ifndef VSR_CORE_CHECKPOINT_H
#define VSR_CORE_CHECKPOINT_H

#include <vsr/replica.h>

enum vsr_drop vsr_on_saved(struct vsr_replica *r, const struct vsr_snapshot *snapshot,
                           struct vsr_effects *out);
enum vsr_drop vsr_on_loaded(struct vsr_replica *r, bool is_loaded, struct vsr_effects *out);
enum vsr_drop vsr_on_get_chunk(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
enum vsr_drop vsr_on_chunk(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);

#endif
