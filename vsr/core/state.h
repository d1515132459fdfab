/**
 * A replica's state and the functions that its source files share.
 */
#ifndef VSR_CORE_STATE_H
#define VSR_CORE_STATE_H

#include "client_table.h"
#include "effects.h"
#include "log.h"
#include "quorum.h"
#include "splitmix.h"

#include <vsr/replica.h>

/** Reply messages being filled at once, one per client address; one more closes the oldest. */
enum { OPEN_REPLIES_MAX = 16 };
/** Prepares that a backup keeps from beyond a gap, and that an answer to GetState brings at most.
 */
enum { REORDER_MAX = VSR_PIPELINE_MAX };
/** Effects that a step may need beside one reply per request of a batch and one Prepare per op. */
enum { EFFECTS_SPARE = 32 + REORDER_MAX };

/** The Prepare that the primary fills. */
struct vsr_batch {
    struct vsr_buffer buffer; /* header NULL: none open */
    uint32_t bytes;
    uint32_t count;
    uint8_t kind; /* of all its requests */
};

/** A Reply message that the primary fills for one client. */
struct vsr_open_reply {
    vsr_address address;
    struct vsr_buffer buffer; /* header NULL: free */
    uint32_t bytes;
    uint32_t count;
};

/** A Request message whose requests, from `offset` on, wait for room in the pipeline. */
struct vsr_waiting {
    struct vsr_buffer buffer;
    uint32_t offset;
};

struct vsr_queue {
    struct vsr_waiting *ring; /* mask + 1 of them */
    uint32_t mask;
    uint32_t head;
    uint32_t count;
};

/** How a backup closes a gap: VRR §5.2, within the view. */
struct vsr_fetch {
    vsr_op op_heard;     /* the highest op that the view is known to have */
    vsr_op target;       /* the last answer reaches to here */
    uint32_t ticks_left; /* until it may be repeated */
    uint32_t provider;   /* whom to ask; the next one when it does not answer */
    bool is_waiting;     /* a GetState is out and its NewState has not come */
};

enum vsr_transfer_kind {
    TRANSFER_NONE,
    TRANSFER_CATCH_UP, /* VIEW_CHANGE: the view has started; its log from whoever is NORMAL in it */
    TRANSFER_SELECTED, /* VIEW_CHANGE, primary: the log that starts the view, from who has it */
    TRANSFER_RECOVERY, /* RECOVERING: the log of the view, from its primary */
    TRANSFER_BEHIND,   /* NORMAL: only a snapshot; the rest of the log closes as a gap */
};

/**
 * A log, and if need be a snapshot, that is gathered beside the own ones until all of it is there.
 * Only then it takes their place, in one step. See state_transfer.c.
 */
struct vsr_transfer {
    enum vsr_transfer_kind kind;
    uint32_t provider;
    uint32_t ticks_left; /* until the question is repeated */
    uint32_t tries;      /* since the last progress */
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
    struct vsr_snapshot snapshot;   /* op 0: not known yet */
    vsr_checksum snapshot_checksum; /* of the entry at snapshot.op */
    uint64_t snapshot_timestamp;    /* of it too; known once it is loaded */
    uint64_t snapshot_at;           /* bytes that have come */
};

/** What one replica said in its DoViewChange of our view. */
struct vsr_dvc {
    bool is_here;
    vsr_view log_view;
    vsr_op log_start;
    vsr_op op;
    vsr_checksum checksum;
    vsr_op commit;
    vsr_checksum commit_checksum;
};

struct vsr_view_change {
    vsr_view votes[VSR_REPLICAS_MAX];      /* highest StartViewChange target of each; 0 = none */
    uint32_t vote_ticks[VSR_REPLICAS_MAX]; /* until the vote is forgotten */
    struct vsr_dvc dvc[VSR_REPLICAS_MAX];  /* of our view */
    bool is_selected;                      /* the view's log is chosen: no DVC changes that */
    vsr_op commit;                         /* the highest heard of; execute to it when NORMAL */
    vsr_checksum commit_checksum;
    uint32_t attempts;     /* view changes in a row that did not end */
    uint32_t ticks_left;   /* T_vc */
    uint32_t ticks_stable; /* in NORMAL */
    uint32_t ticks_to_resend;
};

/** What each replica answered to our Recovery. */
struct vsr_recovery_state {
    uint64_t nonce;      /* 0: not asked yet */
    bool is_installed;   /* state and log are there; NORMAL when that is durable */
    uint32_t ticks_left; /* until it is asked again, or anew */
    struct vsr_recovery_answer {
        bool is_here;
        vsr_view view;
        vsr_op op;
        vsr_checksum checksum;
        vsr_op commit;
        vsr_checksum commit_checksum;
    } answers[VSR_REPLICAS_MAX];
};

/** The snapshot that the host keeps for others, and who is waiting for one. */
struct vsr_checkpoint {
    struct vsr_snapshot snapshot; /* op 0: none */
    vsr_checksum checksum;        /* of the entry at snapshot.op */
    struct vsr_snapshot periodic; /* the last at a multiple of checkpoint_ops: all have the same */
    bool is_wanted;               /* take one when no op is being applied */
    bool is_saving;
    uint64_t nonce_of[VSR_REPLICAS_MAX]; /* of a GetChunk that waits for it; 0 = none */
};

/** What a replica knows of each, itself included; the first three as primary. */
struct vsr_peers {
    vsr_op acked[VSR_REPLICAS_MAX];        /* highest cumulative PrepareOK in this view */
    vsr_op applied[VSR_REPLICAS_MAX];      /* as it last said */
    vsr_op acked_before[VSR_REPLICAS_MAX]; /* at the last look of the resend timer */
    bool is_in_view[VSR_REPLICAS_MAX];     /* it has answered in this view */
    bool is_behind_log[VSR_REPLICAS_MAX];
    uint32_t ticks_silent[VSR_REPLICAS_MAX];
    uint32_t pong_ticks[VSR_REPLICAS_MAX]; /* until it is told of our view again */
    vsr_op pin[VSR_REPLICAS_MAX];          /* it is being sent the log after this op */
    uint32_t pin_ticks[VSR_REPLICAS_MAX];  /* for so long the log keeps it */
};

struct vsr_replica {
    struct vsr_replica_options options; /* quorums filled in */
    struct vsr_log log;
    struct vsr_client_table clients;

    enum vsr_status status;
    vsr_view view;
    vsr_view log_view;
    vsr_epoch epoch;
    struct vsr_superblock durable;
    bool is_persisting;

    vsr_op commit;
    vsr_op applied;
    vsr_op released; /* every replica has applied the log up to here */
    vsr_checksum commit_checksum;
    bool is_applying; /* an apply effect for applied + 1 is out */

    /* Primary. */
    struct vsr_batch batch;
    struct vsr_queue queue;
    struct vsr_open_reply replies[OPEN_REPLIES_MAX];
    uint32_t reply_last;   /* where the last reply went: the next one mostly goes there too */
    uint32_t reply_victim; /* which to close when all are in use */
    struct vsr_peers peers;
    vsr_op view_start_op; /* where the view's log ended when it started */
    uint64_t heartbeat_sequence;
    uint32_t ticks_to_heartbeat;
    uint32_t ticks_to_resend;
    bool is_abdicating;
    uint32_t announced; /* slots of the client table whose clients know of this view */

    /* Backup. */
    struct vsr_buffer reorder[REORDER_MAX]; /* Prepares beyond a gap; op n at n % REORDER_MAX */
    struct vsr_fetch fetch;
    bool is_ack_due;
    bool is_primary_silent;
    uint32_t ticks_silent;
    uint32_t suspect_ticks; /* drawn anew for each view */

    /* Between views. */
    struct vsr_view_change change;
    struct vsr_transfer transfer;
    struct vsr_recovery_state recovery;
    struct vsr_checkpoint checkpoint;
    uint64_t nonce; /* of the last question; {incarnation, count} */
    uint64_t random;

    uint64_t now_ns;                  /* the host's clock at the last tick */
    struct vsr_operation *operations; /* batch_requests_max, of the apply effect that is out */
    uint32_t operation_count;         /* of them in use */

    uint64_t requests_executed;
    uint64_t requests_repeated;
    uint64_t prepares_resent;
    struct {
        uint64_t view_changes;
        uint64_t views_started;
        uint64_t votes;
        uint64_t forfeits;
        uint64_t abdications;
        uint64_t recoveries;
        uint64_t log_transfers;
        uint64_t snapshots_saved;
        uint64_t snapshots_loaded;
    } counts;
    uint64_t drops[VSR_DROP_COUNT];
};

static inline bool is_primary(const struct vsr_replica *r)
{
    return primary_of(r->view, r->options.replica_count) == r->options.replica;
}

static inline uint32_t primary_mask(const struct vsr_replica *r)
{
    return 1u << primary_of(r->view, r->options.replica_count);
}

/** Whether it acts as the primary: its view has started and its log is that view's. */
static inline bool is_serving(const struct vsr_replica *r)
{
    return r->status == VSR_STATUS_NORMAL && is_primary(r);
}

/** Everybody else. */
static inline uint32_t others_mask(const struct vsr_replica *r)
{
    return ((1u << r->options.replica_count) - 1) & ~(1u << r->options.replica);
}

static inline enum vsr_drop drop(struct vsr_replica *r, enum vsr_drop why)
{
    r->drops[why]++;
    return why;
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

/** Takes a buffer and fills in the header of a message of ours. False: the host has none. */
bool vsr_take_message(struct vsr_replica *r, enum vsr_message_type type, uint32_t bytes,
                      uint32_t capacity, struct vsr_buffer *out);

/* message.c: walking the requests of a Request or an entry. */

static inline const struct vsr_request *request_at(const void *message, uint32_t offset)
{
    return (const struct vsr_request *)(const void *)((const uint8_t *)message + offset);
}

static inline uint32_t request_bytes(const struct vsr_request *request)
{
    return (uint32_t)sizeof *request + VSR_PADDED(request->payload_bytes);
}

/** Whether `count` requests of known kinds fill the message exactly from `offset` to its end. */
bool vsr_requests_are_well_formed(const struct vsr_header *header, uint32_t offset);

/* request.c: the primary's intake. */

enum vsr_drop vsr_on_request(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
/** Sends what the pipeline has room for: waiting requests, then the open batch. */
void vsr_close_turn(struct vsr_replica *r, struct vsr_effects *out);

/* reply.c: the primary's answers. */

/** Appends a reply for a client. Without a buffer it is lost: the client will ask again. */
void vsr_reply(struct vsr_replica *r, vsr_address address, const struct vsr_reply *reply,
               const void *payload, struct vsr_effects *out);
void vsr_flush_replies(struct vsr_replica *r, struct vsr_effects *out);
/** Answers the operations that were executed: r->operations, whose results are in the table. */
void vsr_reply_to_operations(struct vsr_replica *r, struct vsr_effects *out);
/** Repeats the reply that a client table entry holds. */
void vsr_reply_from_table(struct vsr_replica *r, uint32_t slot, struct vsr_effects *out);
/** Answers a Register. */
void vsr_reply_registered(struct vsr_replica *r, uint32_t slot, vsr_address address,
                          struct vsr_effects *out);

/* normal.c: Prepare, PrepareOK, Commit, CommitOK and their timers. */

/** Appends the finished Prepare to the log and sends it. Ownership: takes prepare. */
void vsr_prepare(struct vsr_replica *r, struct vsr_buffer prepare, struct vsr_effects *out);
enum vsr_drop vsr_on_prepare(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_prepare_ok(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out);
enum vsr_drop vsr_on_commit(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_commit_ok(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
void vsr_on_heartbeat_timeout(struct vsr_replica *r, struct vsr_effects *out);
void vsr_on_resend_timeout(struct vsr_replica *r, struct vsr_effects *out);
/** Sends the cumulative PrepareOK that this turn's Prepares ask for. */
void vsr_acknowledge(struct vsr_replica *r, struct vsr_effects *out);
/** Commits what a quorum has acknowledged. */
void vsr_count_acks(struct vsr_replica *r, struct vsr_effects *out);
/** Takes the primary's commit number as far as the log reaches; false when that entry is another.
 */
bool vsr_learn_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum,
                      struct vsr_effects *out);
/** Appends the op after the last; the same as a Prepare's entry, whatever brought it. */
enum vsr_drop vsr_append_entry(struct vsr_replica *r, const struct vsr_buffer *m,
                               struct vsr_effects *out);
/** Notes that the primary is alive. */
void vsr_hear_primary(struct vsr_replica *r, struct vsr_effects *out);
/** Lets the log's entries go that every replica has applied. */
void vsr_release(struct vsr_replica *r, vsr_op released);

/* execute.c: from committed to applied. */

/** Starts executing the next committed op, unless one is under way. */
void vsr_execute(struct vsr_replica *r, struct vsr_effects *out);
/** Advances commit to `op` and starts executing. */
void vsr_commit_to(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);
enum vsr_drop vsr_on_applied(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);

/* state_transfer.c: closing a gap within the view, and fetching another view's log. */

static inline bool has_gap(const struct vsr_replica *r)
{
    return r->fetch.op_heard > r->log.op;
}

/** Asks for what is missing, unless a question is out already. */
void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
/** Begins to gather a log. A target whose op is UINT64_MAX is whatever the first answer says. */
void vsr_transfer_start(struct vsr_replica *r, enum vsr_transfer_kind kind, uint32_t provider,
                        vsr_op target, vsr_checksum target_checksum, struct vsr_effects *out);
/** Forgets what was gathered. */
void vsr_transfer_reset(struct vsr_replica *r);
/** Repeats the question. */
void vsr_transfer_tick(struct vsr_replica *r, struct vsr_effects *out);
/** Asks for the next part. */
void vsr_transfer_ask(struct vsr_replica *r, struct vsr_effects *out);
/** When all is there: loads the snapshot, puts the log in place. */
void vsr_transfer_finish(struct vsr_replica *r, struct vsr_effects *out);
/** Whether somebody who is being sent the log still needs the entry after log.start. */
bool vsr_log_is_pinned(const struct vsr_replica *r);

/** Lets go of what was gathered of a log. */
void vsr_transfer_drop_entries(struct vsr_replica *r);

/* checkpoint.c: snapshots, taken and sent, received and loaded. */

/** Takes the snapshot that is wanted, if the state is at rest. Returns whether it did. */
bool vsr_checkpoint_take(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_saved(struct vsr_replica *r, const struct vsr_snapshot *snapshot,
                           struct vsr_effects *out);
enum vsr_drop vsr_on_loaded(struct vsr_replica *r, bool is_loaded, struct vsr_effects *out);
enum vsr_drop vsr_on_get_chunk(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
enum vsr_drop vsr_on_chunk(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);

/* view_change.c: from one view's log to the next one's. */

/** Asks for the superblock to be made durable when it is not what it should be. */
void vsr_persist(struct vsr_replica *r, struct vsr_effects *out);
/** Raises the view. What only holds within a view goes; the log stays as it is. */
void vsr_set_view(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** Leaves the view for a higher one and says so once that is durable. Source: VRR §4.2. */
void vsr_enter_view_change(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** A view that is ours or higher has started: fetches its log. Source: VRR §5.2, corrected. */
void vsr_catch_up(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** The log is the view's: log_view follows, and NORMAL once that is durable. */
void vsr_install_view(struct vsr_replica *r, struct vsr_effects *out);
/** What waits for the superblock goes on. */
void vsr_proceed(struct vsr_replica *r, struct vsr_effects *out);
void vsr_halt(struct vsr_replica *r, enum vsr_notice why, vsr_op op, struct vsr_effects *out);
/** Notes a commit number heard while it cannot be acted upon. */
void vsr_note_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum);
enum vsr_drop vsr_on_start_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out);
enum vsr_drop vsr_on_do_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                    struct vsr_effects *out);
enum vsr_drop vsr_on_start_view(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out);
/** Tells a replica that has not answered in this view how the view started. */
void vsr_send_start_view(struct vsr_replica *r, uint32_t to_mask, struct vsr_effects *out);
void vsr_view_change_tick(struct vsr_replica *r, struct vsr_effects *out);

/* liveness.c: who is silent, who votes, who is told. */

/** Votes for the next view. */
void vsr_vote(struct vsr_replica *r, struct vsr_effects *out);
void vsr_withdraw_vote(struct vsr_replica *r);
/** Leaves the view when a quorum has voted for a higher one. */
void vsr_count_votes(struct vsr_replica *r, struct vsr_effects *out);
/** Draws the time after which this view's primary is suspected. */
void vsr_draw_suspicion(struct vsr_replica *r);
/** A message of an older view: its sender is told of ours, but not over and over. */
void vsr_tell_view(struct vsr_replica *r, uint32_t to, struct vsr_effects *out);
void vsr_send_ping(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_ping(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_pong(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
/** The primary hears too few to commit: it falls silent until it hears them. */
void vsr_look_at_quorum(struct vsr_replica *r, struct vsr_effects *out);
/** Tells clients of a new primary, some at a time. */
void vsr_announce_view(struct vsr_replica *r, struct vsr_effects *out);
void vsr_backup_tick(struct vsr_replica *r, struct vsr_effects *out);

/* recovery.c: the state of a replica that has lost its memory. */

void vsr_recovery_start(struct vsr_replica *r, struct vsr_effects *out);
void vsr_recovery_tick(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_recovery(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_recovery_response(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out);

/* request.c, again. */

/** Rebuilds the pending numbers from the log's suffix. Source: 5.2, C4. */
void vsr_rebuild_pending(struct vsr_replica *r);
/** The same for the sessions that an op has just opened: a new primary's log may be ahead of it. */
void vsr_note_pending_of(struct vsr_replica *r, vsr_op opened);
/** Forgets requests that wait: their clients will ask again. */
void vsr_drop_requests(struct vsr_replica *r);

#endif
