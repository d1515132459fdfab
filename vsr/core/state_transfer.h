/**
 * Closing a gap within the view, and giving the own log to others: GetState, NewState.
 */
#ifndef VSR_CORE_STATE_TRANSFER_H
#define VSR_CORE_STATE_TRANSFER_H

#include <vsr/replica.h>

/** How a backup closes a gap: VRR §5.2, within the view. */
struct vsr_fetch {
    vsr_op op_heard;     /* the highest op that the view is known to have */
    vsr_op target;       /* the last answer reaches to here */
    uint64_t nonce;      /* of the question that is out */
    uint32_t repeats;    /* of it, without an answer */
    uint32_t ticks_left; /* until it may be repeated */
    uint32_t provider;   /* whom to ask; the next one when it does not answer */
    bool is_waiting;     /* a GetState is out and its NewState has not come */
};

/** Asks for what is missing, unless a question is out already. */
void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);

#endif
