/**
 * What is gathered beside the own log.
 */
#ifndef VSR_CORE_STAGING_H
#define VSR_CORE_STAGING_H

#include <vsr/replica.h>

enum vsr_transfer_kind {
    TRANSFER_NONE,
    TRANSFER_CATCH_UP, /* VIEW_CHANGE: the view has started; its log from whoever is NORMAL in it */
    TRANSFER_SELECTED, /* VIEW_CHANGE, primary: the log that starts the view, from who has it */
    TRANSFER_RECOVERY, /* RECOVERING: the log of the view, from its primary */
    TRANSFER_BEHIND,   /* NORMAL: only a snapshot; the rest of the log closes as a gap */
};

/**
 * A log, and if need be a snapshot, that is gathered beside the own ones until all of it is there.
 * Only then it takes their place, in one step. See transfer.c.
 */
struct vsr_transfer {
    enum vsr_transfer_kind kind; /* none: it was broken off, and what has come is kept */
    uint32_t provider;
    uint64_t nonce;      /* names the question; a repetition carries the same */
    uint32_t ticks_left; /* until the question is repeated */
    uint32_t tries;      /* since the last progress */
    uint32_t aways;      /* that the provider has said since then */
    uint32_t refusals;   /* in a row: all of it had come, and was not what it is called */
    uint32_t doublings;  /* of the time that an answer is waited for: what the network has taught */
    vsr_op began_at;     /* where the own log ended then */
    bool has_target;
    vsr_op base; /* what is staged follows this op: of the own log, or of the snapshot */
    vsr_op op;   /* staged up to here; entry n lies at ring[n & log.mask] */
    vsr_checksum op_checksum;
    vsr_op target; /* the log that is wanted ends here */
    vsr_checksum target_checksum;
    struct vsr_buffer *ring; /* as many places as the log's */

    bool needs_snapshot;
    bool has_snapshot; /* all of its bytes */
    bool is_loading;
    bool has_touched_state;         /* it has: what fails from then on leaves no state at all */
    struct vsr_snapshot snapshot;   /* op 0: not known yet */
    vsr_checksum snapshot_checksum; /* of the entry at snapshot.op */
    uint64_t snapshot_timestamp;    /* of it too; known once it is loaded */
    uint64_t snapshot_at;           /* bytes that have come */
    uint32_t snapshot_from;         /* ... from this one */
    bool asks_giver;                /* for the rest, once: it may be gone */
    uint32_t teller;                /* ... and then this one, who answers in this view */
};

/**
 * Asks no more, and keeps what was gathered, for the next transfer: where views change faster than
 * a log or a snapshot comes, none would ever be whole. Our own log must not change meanwhile.
 */
void vsr_transfer_break_off(struct vsr_replica *r);
/** Forgets what was gathered, but for a part of a snapshot: whoever keeps that one goes on. */
void vsr_transfer_reset(struct vsr_replica *r);
/** Lets go of what was gathered of a log. */
void vsr_transfer_drop_entries(struct vsr_replica *r);
/** ... beyond an op. */
void vsr_transfer_drop_after(struct vsr_replica *r, vsr_op op);
/** Puts the gathered log in the place of ours. Returns false when it has to wait for room. */
bool vsr_replace_log(struct vsr_replica *r);

#endif
