/**
 * A snapshot, {client table, state machine} at one op: when it is saved, what its bytes are.
 */
#ifndef VSR_CORE_SNAPSHOT_H
#define VSR_CORE_SNAPSHOT_H

#include <vsr/replica.h>

/** The snapshot that the host keeps for others, and who is waiting for one. */
struct vsr_checkpoint {
    struct vsr_snapshot snapshot; /* op 0: none */
    vsr_checksum checksum;        /* of the entry at snapshot.op */
    bool is_wanted;               /* save one when no op is being applied */
    bool is_saving;
    uint64_t nonce_of[VSR_REPLICAS_MAX]; /* of a GetChunk that waits for it; 0 = none */
};

/** What the log says of the last op that was executed. */
void vsr_entry_at_applied(const struct vsr_replica *r, vsr_checksum *checksum, uint64_t *timestamp);
/** Whether a periodic snapshot is due at the op that has just been executed, here: they take turns.
 */
bool vsr_checkpoint_is_due(const struct vsr_replica *r);
/** Begins to save the snapshot that is wanted, if the state is at rest. Returns whether it did. */
bool vsr_checkpoint_save(struct vsr_replica *r, struct vsr_effects *out);

#endif
