/**
 * Gathering another log, and if need be a snapshot, beside the own one.
 */
#ifndef VSR_CORE_TRANSFER_H
#define VSR_CORE_TRANSFER_H

#include "staging.h"

#include <vsr/message.h>
#include <vsr/replica.h>

/** The replica after `provider` that is not this one. */
uint32_t vsr_next_provider(const struct vsr_replica *r, uint32_t provider);
/** A question for the log after {from_op, from_checksum}. */
struct vsr_question {
    uint64_t nonce;
    vsr_op from_op;
    vsr_checksum from_checksum;
    uint32_t flags;
};

/** Asks. Returns false without a buffer. */
bool vsr_send_get_state(struct vsr_replica *r, uint32_t to, const struct vsr_question *question,
                        struct vsr_effects *out);
/** How long a question that was repeated so often waits for its answer: rule 7.3. */
uint32_t vsr_patience(const struct vsr_replica *r, uint32_t repeats);
/** The entry at `offset` of a NewState's body, or NULL when none fits there. */
const struct vsr_prepare *vsr_entry_in(const struct vsr_new_state *state, uint32_t offset);
/**
 * Gives a copy of an entry of a NewState's body, if it is the one that follows {op, checksum}.
 *
 * Returns: VSR_DROP_NONE and the buffer in *copy, or why not.
 */
enum vsr_drop vsr_copy_entry(struct vsr_replica *r, const struct vsr_prepare *entry, vsr_op op,
                             vsr_checksum checksum, struct vsr_buffer *copy);

/** Begins to gather a log. A target whose op is UINT64_MAX is whatever the first answer says. */
void vsr_transfer_start(struct vsr_replica *r, enum vsr_transfer_kind kind, uint32_t provider,
                        vsr_op target, vsr_checksum target_checksum, struct vsr_effects *out);
/** All of it has come and cannot be used: begins anew, from the next replica, less and less often.
 */
void vsr_transfer_restart(struct vsr_replica *r, struct vsr_effects *out);
/** Stages what an answer brings of the log that is gathered. */
enum vsr_drop vsr_gather(struct vsr_replica *r, const struct vsr_new_state *state,
                         struct vsr_effects *out);
/** Asks for the next part: a new question. */
void vsr_transfer_ask(struct vsr_replica *r, struct vsr_effects *out);
/** When all is there: loads the snapshot, puts the log in place. */
void vsr_transfer_finish(struct vsr_replica *r, struct vsr_effects *out);
/** Whether the log that is to start a view was asked for in vain, and a provider is not Away. */
bool vsr_transfer_is_unanswered(const struct vsr_replica *r);
/** Repeats the question. */
void vsr_transfer_tick(struct vsr_replica *r, struct vsr_effects *out);

#endif
