/**
 * The primary's intake.
 */
#ifndef VSR_CORE_REQUEST_H
#define VSR_CORE_REQUEST_H

#include <vsr/replica.h>

enum vsr_drop vsr_on_request(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
/** Sends what the pipeline has room for: waiting requests, then the open batch. */
void vsr_close_turn(struct vsr_replica *r, struct vsr_effects *out);

#endif
