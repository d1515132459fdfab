/**
 * The numbered invariants of DESIGN.md as code, as far as one replica can see them.
 */
#ifndef VSR_INVARIANTS_H
#define VSR_INVARIANTS_H

#include <vsr/replica.h>

VSR_DECLARATIONS_BEGIN

/** Aborts with the claim when one does not hold. O(log + sessions): for debug builds and tests. */
void vsr_replica_check(const struct vsr_replica *r);

VSR_DECLARATIONS_END

#endif
