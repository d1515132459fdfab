/**
 * What a backup does for clients.
 */
#ifndef VSR_CORE_FORWARD_H
#define VSR_CORE_FORWARD_H

#include <vsr/replica.h>

/**
 * Answers what has been executed, passes the rest on to the primary, and tells the client who that
 * is.
 *
 * Ownership: borrows m, a Request that is well-formed.
 * Returns:   VSR_DROP_NOT_PRIMARY.
 */
enum vsr_drop vsr_pass_on(struct vsr_replica *r, const struct vsr_header *m,
                          struct vsr_effects *out);

#endif
