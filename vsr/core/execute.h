/**
 * From committed to applied.
 */
#ifndef VSR_CORE_EXECUTE_H
#define VSR_CORE_EXECUTE_H

#include <vsr/replica.h>

/** Starts executing the next committed op, unless one is under way. */
void vsr_execute(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_applied(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);

#endif
