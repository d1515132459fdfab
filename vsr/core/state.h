/**
 * A replica's state.
 */
#ifndef VSR_CORE_STATE_H
#define VSR_CORE_STATE_H

#include "client_table.h"
#include "clock.h"
#include "divergence.h"
#include "durable.h"
#include "effects.h"
#include "log.h"
#include "members.h"
#include "queue.h"
#include "recovery.h"
#include "reply.h"
#include "snapshot.h"
#include "splitmix.h"
#include "staging.h"
#include "state_transfer.h"
#include "view_change.h"
#include "witness.h"

#include <vsr/replica.h>

/** Prepares that a backup keeps from beyond a gap, and that an answer to GetState brings at most.
 */
enum { REORDER_MAX = VSR_PIPELINE_MAX };
/** Heartbeats whose answers are timed. */
enum { HEARTBEATS_KEPT = 64 };
/** Registers of which a primary remembers that it has logged them. */
enum { REGISTERS_KEPT = 256 };
/** Effects that a step may need beside one reply per request of a batch and one Prepare per op. */
enum { EFFECTS_SPARE = 32 + REORDER_MAX };

/** The log, or a snapshot with the log behind it, that a replica is being sent. */
struct vsr_hold {
    vsr_op op;      /* it needs the log after this one */
    uint64_t at;    /* 1 + how far into the snapshot; HOLD_LOG once it asks for the log itself */
    uint32_t ticks; /* for so long the log keeps it, unless the replica moves; 0 = not held */
};

#define HOLD_LOG UINT64_MAX

/** What a handler leaves to the end of its step. */
enum vsr_due {
    DUE_HALT = 1 << 0,       /* our state is not the majority's: divergence.halts_at */
    DUE_LOST_STATE = 1 << 1, /* a snapshot has not loaded: what is left is left */
    DUE_FORK = 1 << 2,       /* our log is not the view's: it is left */
    DUE_VOTES = 1 << 3,      /* another vote is to be counted */
};

/** The last question that a replica has asked: for a part of a log or of a snapshot. */
struct vsr_asked {
    uint64_t nonce;
    uint64_t at;         /* ticks, when it came first */
    uint32_t round_trip; /* ticks from an answer to the question behind it; 0 = not known */
};

/** A Register that is in the log of the view's primary, or was executed from there. */
struct vsr_logged_register {
    uint64_t client_id[2];
    vsr_address address;
    vsr_op op; /* 0: none */
};

/**
 * What holds within a view only: all of it is cleared when the view is left (vsr_clear_in_view), so
 * that nothing of one view counts in another.
 */
struct vsr_in_view {
    /* Primary: of each, itself included. */
    vsr_op acked[VSR_REPLICAS_MAX];        /* highest cumulative PrepareOK */
    vsr_op acked_before[VSR_REPLICAS_MAX]; /* at the last look of the resend timer */
    bool has_answered[VSR_REPLICAS_MAX];
    bool is_behind_log[VSR_REPLICAS_MAX];
    bool is_full[VSR_REPLICAS_MAX]; /* it said so last */
    struct vsr_comparisons compared;

    /* Primary. */
    uint32_t lagging;     /* mask: too far behind for a new op to be of use; as of the last tick */
    vsr_op view_start_op; /* where the log ended when the view started */
    uint32_t announced;   /* slots of the client table whose clients know of this view */
    bool is_abdicating;
    bool is_giving_up;       /* ... for good: it is heard, and commits nothing */
    uint32_t ticks_unserved; /* that there is work, and neither commit nor applied has moved */

    /* Backup. */
    struct vsr_doubt doubt;                 /* whether our log is the view's */
    struct vsr_buffer reorder[REORDER_MAX]; /* Prepares beyond a gap; op n at n % REORDER_MAX */
    struct vsr_fetch fetch;
    bool is_ack_due;
    bool is_primary_silent;

    /* Before the view has started. */
    struct vsr_known_log logs[VSR_REPLICAS_MAX];
    bool is_log_selected; /* the view's log is chosen: no DoViewChange changes that */

    /* Primary: the last one for each hash of an id. */
    struct vsr_logged_register registers[REGISTERS_KEPT];
};

/** What a replica knows of each, itself included, whatever the view. */
struct vsr_known_peers {
    vsr_op applied[VSR_REPLICAS_MAX];         /* as it last said; of the primary's view */
    uint32_t ticks_unheard[VSR_REPLICAS_MAX]; /* since it acknowledged anything in this view */
    uint32_t ticks_still[VSR_REPLICAS_MAX];   /* that it lacks something and has not moved */
    uint64_t timed[VSR_REPLICAS_MAX];         /* the heartbeat whose answer was timed last */
    uint32_t round_trip[VSR_REPLICAS_MAX];    /* ticks from a heartbeat to its answer */
    uint32_t pong_ticks[VSR_REPLICAS_MAX];    /* until it is told of our view again */
    uint32_t
        away[VSR_REPLICAS_MAX]; /* ticks that its silence is no sign: it saves or loads; 0 = no */
    struct vsr_hold holds[VSR_REPLICAS_MAX];
    struct vsr_asked asked[VSR_REPLICAS_MAX];
    uint32_t held_for;                     /* a mask: nothing is held for the others */
    uint32_t allowance[VSR_REPLICAS_MAX];  /* ticks that the log may still wait for it: rule 4.7 */
    bool is_left_behind[VSR_REPLICAS_MAX]; /* until the allowance is whole again */
    uint32_t regained[VSR_REPLICAS_MAX];   /* eighths of a tick of that */
    bool is_waited_for[VSR_REPLICAS_MAX];  /* the log has, since the last tick */
    uint64_t no_save_until[VSR_REPLICAS_MAX]; /* ticks; for it, while it is left behind */
    struct vsr_replica_cost costs[VSR_REPLICAS_MAX];
};

struct vsr_replica {
    struct vsr_replica_options options;
    struct vsr_members members;
    struct vsr_log log;
    struct vsr_client_table clients;

    enum vsr_status status;
    vsr_view view;
    uint32_t primary; /* of view: asked for in every step, and a division each time */
    vsr_view log_view;
    struct vsr_durability durability;
    struct vsr_in_view in_view;
    struct vsr_known_peers peers;

    vsr_op commit;
    vsr_op applied;
    vsr_op released; /* every replica has applied the log up to here */
    vsr_checksum commit_checksum;
    vsr_op confirmed;      /* backup: the view has said that it has our log up to here. Rule G0 */
    uint32_t loads_failed; /* in a row */
    bool has_source;       /* who gave the last log or snapshot to recover from was of no use */
    uint32_t source;       /* ... and this one is asked next */
    bool is_local;         /* the message of this step: vsr_event.is_local */
    bool is_applying;      /* an apply effect for applied + 1 is out */

    /* Primary. */
    struct vsr_batch batch;
    struct vsr_queue queue;
    struct vsr_open_reply replies[OPEN_REPLIES_MAX];
    uint32_t replies_open; /* a mask of those in use */
    uint32_t reply_last;   /* where the last reply went: the next one mostly goes there too */
    uint32_t reply_victim; /* which to close when all are in use */
    uint64_t heartbeat_sequence;
    uint64_t heartbeat_at[HEARTBEATS_KEPT]; /* ticks; by sequence */
    uint32_t ticks_to_heartbeat;
    uint32_t ticks_to_resend;
    uint32_t ticks_abdicating;
    vsr_op served;  /* commit + applied at the last tick */
    uint64_t ticks; /* since the start */

    /* Backup. */
    uint32_t ticks_silent;
    uint32_t suspect_ticks; /* drawn anew for each view */

    /* Between views. */
    struct vsr_view_change change;
    struct vsr_transfer transfer;
    struct vsr_recovery_state recovery;
    struct {
        uint64_t progress; /* log, transfer: what has come so far */
        uint32_t ticks;    /* that it has not moved, since it was told of */
        uint32_t told;     /* times that it was due to be */
    } wait;
    struct vsr_checkpoint checkpoint;
    struct vsr_divergence divergence;
    uint64_t nonce; /* of the last question; {incarnation, count} */
    uint64_t random;
    uint32_t due;         /* at the step's end: a mask of DUE_... */
    uint32_t effects_max; /* of a step */
    uint32_t effects_end; /* the step's list ends here at the latest */

    struct vsr_clock clock;           /* for timestamps */
    struct vsr_operation *operations; /* batch_requests_max, of the apply effect that is out */
    uint32_t operation_count;         /* of them in use */

    struct vsr_counters counters; /* evictions: the client table counts them */
    uint64_t drops[VSR_DROP_COUNT];
};

/** The view, and what follows from it. */
static inline void enter_view(struct vsr_replica *r, vsr_view view)
{
    r->view = view;
    r->primary = vsr_members_primary(&r->members, view);
}

static inline bool is_primary(const struct vsr_replica *r)
{
    return r->primary == r->members.self;
}

static inline uint32_t primary_mask(const struct vsr_replica *r)
{
    return vsr_mask_of(r->primary);
}

/** Whether it acts as the primary: its view has started and its log is that view's. */
static inline bool is_serving(const struct vsr_replica *r)
{
    return r->status == VSR_STATUS_NORMAL && is_primary(r);
}

/** A view's primary; mostly of our own view. */
static inline uint32_t primary_in(const struct vsr_replica *r, vsr_view view)
{
    return view == r->view ? r->primary : vsr_members_primary(&r->members, view);
}

/** Everybody else. */
static inline uint32_t others_mask(const struct vsr_replica *r)
{
    return vsr_members_others(&r->members);
}

static inline enum vsr_drop drop(struct vsr_replica *r, enum vsr_drop why)
{
    r->drops[why]++;
    return why;
}

/** The view has another entry at `op` than we hold. A backup leaves its log at the step's end; the
 * primary's is the view's, whatever is said. Source: rule G0. */
static inline enum vsr_drop note_fork(struct vsr_replica *r, vsr_op op, struct vsr_effects *out)
{
    effects_notice(out, VSR_NOTICE_FORKED_LOG, r->members.self, op);
    if (!is_primary(r)) r->due |= DUE_FORK;
    return VSR_DROP_FORKED;
}

static inline void unref(struct vsr_replica *r, struct vsr_buffer *buffer)
{
    r->options.buffers.unref(r->options.buffers.context, buffer->handle);
    *buffer = (struct vsr_buffer){0};
}

/** The number of a question that no answer to another one carries, of whatever incarnation. */
static inline uint64_t next_nonce(struct vsr_replica *r)
{
    return r->nonce = (uint64_t)r->options.incarnation << 32 | ((uint32_t)r->nonce + 1);
}

/** Whether the view has more of the log than we do. */
static inline bool has_gap(const struct vsr_replica *r)
{
    return r->in_view.fetch.op_heard > r->log.op;
}

#endif
