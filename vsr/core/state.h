/**
 * A replica's state and the functions that its source files share.
 */
#ifndef VSR_CORE_STATE_H
#define VSR_CORE_STATE_H

#include "client_table.h"
#include "effects.h"
#include "log.h"
#include "quorum.h"

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
    vsr_op op_heard;     /* the highest op that the primary is known to have */
    vsr_op target;       /* the last answer reaches to here */
    uint64_t nonce;      /* of the last GetState */
    uint32_t ticks_left; /* until it may be repeated */
    bool is_waiting;     /* a GetState is out and its NewState has not come */
    bool is_behind_log;
};

/** What the primary knows of each replica, itself included. */
struct vsr_peers {
    vsr_op acked[VSR_REPLICAS_MAX];        /* highest cumulative PrepareOK in this view */
    vsr_op applied[VSR_REPLICAS_MAX];      /* as it last said */
    vsr_op acked_before[VSR_REPLICAS_MAX]; /* at the last look of the resend timer */
    uint32_t ticks_silent[VSR_REPLICAS_MAX];
    bool is_behind_log[VSR_REPLICAS_MAX];
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
    uint64_t heartbeat_sequence;
    uint32_t ticks_to_heartbeat;
    uint32_t ticks_to_resend;

    /* Backup. */
    struct vsr_buffer reorder[REORDER_MAX]; /* Prepares beyond a gap; op n at n % REORDER_MAX */
    struct vsr_fetch fetch;
    bool is_ack_due;
    bool is_primary_silent;
    uint32_t ticks_silent;

    uint64_t now_ns;                  /* the host's clock at the last tick */
    struct vsr_operation *operations; /* batch_requests_max, of the apply effect that is out */

    uint64_t requests_executed;
    uint64_t requests_repeated;
    uint64_t prepares_resent;
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
/** Notes that the primary is alive. */
void vsr_hear_primary(struct vsr_replica *r, struct vsr_effects *out);
/** Lets the log's entries go that every replica has applied. */
void vsr_release(struct vsr_replica *r, vsr_op released);

/* execute.c: from committed to applied. */

/** Advances commit to `op` and starts executing. */
void vsr_commit_to(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);
enum vsr_drop vsr_on_applied(struct vsr_replica *r, vsr_op op, struct vsr_effects *out);

/* state_transfer.c: closing a gap within the view. */

static inline bool has_gap(const struct vsr_replica *r)
{
    return r->fetch.op_heard > r->log.op;
}

/** Asks the primary for what is missing, unless a question is out already. */
void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);
enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m,
                               struct vsr_effects *out);

#endif
