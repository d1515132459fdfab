/**
 * Sessions of a client whose slot another session of it has: by their number and that slot.
 *
 * They have been evicted and do not know it yet. A session that has its slot is found by that;
 * these are found here, so that a message of evictions costs a look each, however many sessions
 * there are.
 */
#ifndef VSR_CORE_CLIENT_DISPLACED_H
#define VSR_CORE_CLIENT_DISPLACED_H

#include "client_state.h"

/** How many lists there are for so many sessions: a power of two. */
uint32_t vsr_displaced_lists(uint32_t sessions);
/** Another session has the slot of this one. */
void vsr_displaced_add(struct vsr_client *c, uint32_t index);
/** The session registers anew or is closed; one that is not among them stays so. */
void vsr_displaced_remove(struct vsr_client *c, uint32_t index);
/** The index of the one that a reply names, or UINT32_MAX. */
uint32_t vsr_displaced_find(struct vsr_client *c, const struct vsr_reply *reply);

#endif
