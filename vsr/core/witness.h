/**
 * Claims that no checksum covers: what a message says of another log or state than ours.
 *
 * One message may be damaged, and one that goes to all would then stop all of them. So nothing
 * irrevocable follows from one: another message has to say that they differ, too.
 */
#ifndef VSR_CORE_WITNESS_H
#define VSR_CORE_WITNESS_H

#include "assert.h"

#include <vsr/types.h>

#include <stdbool.h>
#include <stdint.h>

/** What the number of a message is of. Prepares are sent again with the same bytes. */
enum vsr_witness_kind {
    WITNESS_OP = 1,   /* a Prepare's, a PrepareOK's */
    WITNESS_SEQUENCE, /* a Commit's, a CommitOK's */
    WITNESS_OTHER,    /* a NewState's nonce, a Pong's sender */
};

/** Names a message, so that its repetition is no other one. Never 0. */
static inline uint64_t vsr_witness(enum vsr_witness_kind kind, uint64_t number)
{
    return number << 2 | kind;
}

/** That something of ours differs from `op` on, as one message has said. */
struct vsr_doubt {
    vsr_op op;
    uint64_t witness; /* 0: there is none */
};

/** Takes another such claim. Returns whether it is another message's. */
static inline bool vsr_doubt_again(struct vsr_doubt *doubt, vsr_op op, uint64_t witness)
{
    VSR_ASSERT(witness != 0);
    if (doubt->witness != 0 && doubt->witness != witness) return true;
    *doubt = (struct vsr_doubt){.op = op, .witness = witness};
    return false;
}

/** At `op` nothing differs: nor did it before, for logs and digests are chains. */
static inline void vsr_doubt_ends(struct vsr_doubt *doubt, vsr_op op)
{
    if (doubt->witness != 0 && op >= doubt->op) doubt->witness = 0;
}

#endif
