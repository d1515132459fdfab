/**
 * One replica as a function: (state, event) -> (state, effects).
 *
 * No clock, no randomness but a seeded generator, no allocation after init, no I/O, no threads. The
 * same seed and events give the same effects, byte for byte. The host owns time, sockets, memory
 * and the state machine; it performs the effects of a step in their order before the next step.
 *
 * Threads: one at a time.
 */
#ifndef VSR_REPLICA_H
#define VSR_REPLICA_H

#include <vsr/counters.h>
#include <vsr/drop.h>
#include <vsr/message.h>
#include <vsr/notice.h>
#include <vsr/state_machine.h>
#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

struct vsr_replica;

/** Where a comment begins with a number, that is the default; vsr_cluster_options has others. */
struct vsr_replica_options {
    uint64_t cluster;            /* 0; the same for all its replicas and clients */
    uint32_t replica_count;      /* 1; 1..VSR_REPLICAS_MAX */
    uint32_t replica;            /* 0; 0..replica_count-1 */
    uint32_t incarnation;        /* 1; of this process start; never used before by this replica */
    uint32_t quorum_replication; /* 0 = majority; Qr */
    uint32_t quorum_view_change; /* 0 = majority; Qv; Qr + Qv > replica_count */

    uint32_t sessions_max;       /* 1024; 1..VSR_SESSIONS_MAX; the idlest is evicted for one more */
    uint32_t op_bytes_max;       /* 64; 0..VSR_OP_BYTES_MAX: VSR_REPLY_TOO_LARGE to a larger one */
    uint32_t result_bytes_max;   /* 16; 0..VSR_RESULT_BYTES_MAX; the state machine's */
    uint32_t log_ops;            /* 1024; power of two, >= 4 * pipeline_max, <= VSR_LOG_OPS_MAX */
    uint32_t pipeline_max;       /* 8; 1..VSR_PIPELINE_MAX ops prepared and not committed */
    uint32_t batch_bytes_max;    /* 16384; of a Prepare; it holds at least the largest request */
    uint32_t batch_requests_max; /* 1024; 1..65536 */
    uint32_t reply_bytes_max; /* 8192; of a Reply message; it holds at least the largest result */
    uint32_t queue_max; /* 16384; power of two, <= 2^22: Request messages that wait for room */
    uint32_t replies_per_message; /* 0 = as many as fit; 1 = one request, one message */

    uint32_t heartbeat_ticks; /* 5; T_hb: an idle primary sends a Commit this often; >= 1 */
    uint32_t resend_ticks;    /* 5; T_resend, >= 1 */
    uint32_t suspect_ticks;   /* 20; T_suspect > heartbeat_ticks; a silent primary is voted out */
    uint32_t abdicate_ticks; /* 30; T_abdicate > heartbeat_ticks: a primary that hears no quorum for
                                so long falls silent itself; so does one whose work is not served */
    /** Ticks that the log's ring, when it is full, waits in all for a replica that is slow or
     * catches up; regained one in eight, and when all are back it waits again. 0 = 10 *
     * suspect_ticks; UINT32_MAX = as long as it moves. One that does not move for suspect_ticks
     * and three round trips is not waited for anyhow. Source: rule 4.7. */
    uint32_t catch_up_ticks;

    uint32_t checkpoint_ops;  /* 0; so many ops, then the next one saves; 0 = only on demand */
    uint32_t chunk_bytes_max; /* 65536; of a snapshot in one message: 1024..VSR_CHUNK_BYTES_MAX */
    uint32_t recovery_quorum; /* 0 = replica_count - Qv + 1; answers, all from others */
    uint64_t seed;            /* 0; of the timers' jitter */

    struct vsr_buffers buffers;
};

enum vsr_status {
    VSR_STATUS_STARTING, /* the first superblock is not durable yet: says nothing */
    VSR_STATUS_NORMAL,
    VSR_STATUS_VIEW_CHANGE, /* has left its view; the log is frozen until it has the next one's */
    VSR_STATUS_RECOVERING,  /* has lost its memory; only answers to its Recovery count */
    VSR_STATUS_HALTED,      /* its log or state cannot be: a notice says why; says nothing more */
};

/** What a superblock holds; nothing that depends on it leaves before it is durable. */
struct vsr_superblock {
    vsr_view view;
    vsr_view log_view;
    vsr_epoch epoch;
    uint32_t incarnation;
};

enum vsr_event_kind {
    VSR_EVENT_START,    /* once, first, on a replica that never ran before */
    VSR_EVENT_RECOVER,  /* instead, after a crash. superblock: the last that became durable */
    VSR_EVENT_MESSAGE,  /* message: a buffer; the step takes it */
    VSR_EVENT_TURN_END, /* no more messages wait for now: close the batch, acknowledge, reply */
    VSR_EVENT_TICK,     /* now_ns: the host's clock, for timestamps */
    VSR_EVENT_DURABLE,  /* sequence: of a durable effect; it and all before it outlive a crash */
    VSR_EVENT_APPLIED,  /* op: of the completed apply effect */
    VSR_EVENT_SAVED,    /* snapshot: what the save effect has made */
    VSR_EVENT_LOADED,   /* is_loaded. Both before any message, tick or turn's end */
    VSR_EVENT_COUNT
};

/** A snapshot that the host keeps: the replica's part (vsr_replica_save), then the machine's. */
struct vsr_snapshot {
    vsr_op op;       /* executed in it, the last one */
    uint64_t bytes;  /* 0: the host had no room for it */
    vsr_checksum id; /* vsr_snapshot_id of its bytes */
};

struct vsr_event {
    enum vsr_event_kind kind;
    bool is_local; /* MESSAGE: the very bytes that another core of this process holds, verified by
                      it; its options are the same */
    union {
        struct vsr_buffer message;
        uint64_t now_ns;
        struct vsr_superblock superblock;
        vsr_sequence sequence;
        vsr_op op;
        struct vsr_snapshot snapshot;
        bool is_loaded; /* false: the bytes are not those of the id, or did not load */
    };
};

enum vsr_effect_kind {
    VSR_EFFECT_SEND,        /* to the replicas in the mask `to`; gives the host the buffer */
    VSR_EFFECT_SEND_CLIENT, /* to `address`; gives the host the buffer */
    VSR_EFFECT_APPLY,       /* give operations to the state machine, then say VSR_EVENT_APPLIED */
    VSR_EFFECT_PERSIST,     /* make superblock durable, then say VSR_EVENT_DURABLE{sequence} */
    VSR_EFFECT_SAVE, /* save a snapshot now, keep it for the last one; then say VSR_EVENT_SAVED */
    VSR_EFFECT_SEND_CHUNK,  /* fill the buffer, a Chunk, from the snapshot kept; then as SEND */
    VSR_EFFECT_STORE_CHUNK, /* put a Chunk's bytes aside; offset 0 begins anew; gives the buffer */
    VSR_EFFECT_LOAD,   /* check the bytes put aside against snapshot.id, load them, keep them as
                          the snapshot; then say VSR_EVENT_LOADED */
    VSR_EFFECT_NOTICE, /* tell the operator */
};

struct vsr_effect {
    enum vsr_effect_kind kind;
    union {
        struct {
            struct vsr_buffer buffer;
            uint32_t to;
            uint32_t chunk_bytes;  /* of a Chunk: so many bytes behind its struct vsr_chunk ... */
            uint64_t chunk_offset; /* ... are the snapshot's from here on */
            vsr_address address;
        };
        struct {
            const struct vsr_operation *operations; /* good until VSR_EVENT_APPLIED */
            vsr_op op;
            uint64_t timestamp;
            uint32_t count;
        };
        struct {
            struct vsr_superblock superblock;
            vsr_sequence sequence;
        };
        struct vsr_snapshot snapshot; /* LOAD: all of it; SAVE: op */
        struct {
            enum vsr_notice notice;
            uint32_t replica; /* which the notice is about */
            vsr_op at_op;
        };
    };
};

/** The host's array; a step never needs more than vsr_replica_effects_max(). */
struct vsr_effects {
    struct vsr_effect *list;
    uint32_t capacity;
    uint32_t count;
};

/** What one that cannot keep up has cost this replica, as the primary of its views. */
struct vsr_replica_cost {
    uint64_t waited_ticks; /* in which new ops waited because its place in the log was needed */
    uint64_t left_behind;  /* times that its allowance was used up: VSR_NOTICE_LEFT_BEHIND */
};

/** What a host may look at. */
struct vsr_replica_report {
    enum vsr_status status;
    bool is_primary;
    bool primary_is_silent;
    bool is_abdicating; /* a primary that has fallen silent: rule 6.7 */
    bool is_behind_log; /* needs another replica's snapshot */
    uint32_t sessions;  /* open */
    vsr_view view;
    vsr_view log_view;
    vsr_op op;
    vsr_op commit;
    vsr_op applied;
    vsr_op log_start;           /* entries log_start + 1 .. op are held */
    vsr_checksum head_checksum; /* of the entry at op: equal checksum, equal log */
    uint64_t results_digest;    /* of all results up to applied, chained */
    vsr_op snapshot_op;         /* of the snapshot that it keeps for others; 0 = none */
    vsr_checksum snapshot_id;
    struct vsr_counters counters;
    uint64_t drops[VSR_DROP_COUNT];
    struct vsr_replica_cost costs[VSR_REPLICAS_MAX]; /* by replica */
};

/** Checks every option. Returns 0, or -EINVAL and the reason in *why (why may be NULL). */
int vsr_replica_options_check(const struct vsr_replica_options *options,
                              struct vsr_error *why) VSR_MUST_CHECK;

/** Fills in the defaults: one replica, id 0; the host sets cluster, ids, sizes and buffers. */
void vsr_replica_options_init(struct vsr_replica_options *options);

/** Bytes of memory that a replica with these (checked) options needs. */
size_t vsr_replica_bytes(const struct vsr_replica_options *options);

/** Effects that one step may have at most. */
uint32_t vsr_replica_effects_max(const struct vsr_replica_options *options);

/**
 * Lays a replica into the caller's memory.
 *
 * Ownership: borrows options; keeps the memory, 64-byte aligned and zeroed, until deinit.
 */
struct vsr_replica *vsr_replica_init(void *memory, const struct vsr_replica_options *options);

/** Gives every buffer back. The memory is the caller's again. */
void vsr_replica_deinit(struct vsr_replica *r);

/**
 * Takes one event, appends the effects.
 *
 * After the messages that wait, the host says VSR_EVENT_TURN_END; while a turn's end brings an
 * apply effect, it says it again after VSR_EVENT_APPLIED.
 *
 * Ownership: takes the event's message; gives the host the buffers in the effects.
 * Shape:     out->capacity >= vsr_replica_effects_max(); the step starts at out->count.
 * Returns:   VSR_DROP_NONE, or why the event changed nothing (counted in the report).
 * Source:    VRR §4.1; the rules of DESIGN.md.
 */
enum vsr_drop vsr_replica_step(struct vsr_replica *r, const struct vsr_event *event,
                               struct vsr_effects *out);

/* Snapshots, for a host that performs VSR_EFFECT_SAVE and VSR_EFFECT_LOAD. */

/** Writes the replica's part: the client table and where the log stands. No apply effect is out.
 * Returns what write did. */
bool vsr_replica_save(const struct vsr_replica *r, vsr_snapshot_write write, void *stream);
/** Reads it back. Returns false on bytes that are not of a replica with these options. */
bool vsr_replica_load(struct vsr_replica *r, vsr_snapshot_read read, void *stream);
/** The id of a whole snapshot of a cluster: a checksum, for accidents and not for attackers. */
vsr_checksum vsr_snapshot_id(uint64_t cluster, const void *bytes, size_t count);

/** Copies where the replica stands and what it has counted. Ownership: borrows r. */
void vsr_replica_report(const struct vsr_replica *r, struct vsr_replica_report *report);

/** The entry that the log holds at an op, or NULL. Good until the next step. */
const struct vsr_prepare *vsr_replica_entry(const struct vsr_replica *r, vsr_op op);

/** The name of a status without VSR_STATUS_: "NORMAL"; "?" for a number that is none. Threads: any.
 */
const char *vsr_status_name(enum vsr_status status);

VSR_DECLARATIONS_END

#endif
