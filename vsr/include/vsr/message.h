/**
 * The protocol's messages. What lies in memory is what travels on a wire: little-endian, fixed
 * layout, no pointers. In one process only the pointer travels and the two checksums of the
 * header stay 0; a transport fills them in and checks them.
 *
 * Source: VRR §4; fields beyond the paper's are explained in DESIGN.md.
 */
#ifndef VSR_MESSAGE_H
#define VSR_MESSAGE_H

#include <vsr/request.h>
#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

#define VSR_MAGIC 0x31525356u /* "VSR1" */
#define VSR_VERSION 1u
#define VSR_TO_ALL 0xFFu

/**
 * Name, text, struct vsr_<body>, its bytes on the wire, whether more follow it, when to trace it.
 *
 * The one list of messages: of it are made the enum, names, checks of sizes, makers and readers.
 */
#define VSR_MESSAGES(X)                                                                            \
    X(REQUEST, "Request", requests, 64, AT_LEAST, ALL)                                             \
    X(REPLY, "Reply", replies, 64, AT_LEAST, ALL)                                                  \
    X(NOT_PRIMARY, "NotPrimary", not_primary, 64, FIXED, ALL)                                      \
    X(PREPARE, "Prepare", prepare, 152, AT_LEAST, ALL)                                             \
    X(PREPARE_OK, "PrepareOK", prepare_ok, 104, FIXED, ALL)                                        \
    X(COMMIT, "Commit", commit, 128, FIXED, ALL)                                                   \
    X(COMMIT_OK, "CommitOK", commit_ok, 112, FIXED, ALL)                                           \
    X(GET_STATE, "GetState", get_state, 104, FIXED, DEBUG)                                         \
    X(NEW_STATE, "NewState", new_state, 128, AT_LEAST, DEBUG)                                      \
    X(START_VIEW_CHANGE, "StartViewChange", start_view_change, 72, FIXED, DEBUG)                   \
    X(DO_VIEW_CHANGE, "DoViewChange", do_view_change, 112, FIXED, DEBUG)                           \
    X(START_VIEW, "StartView", start_view, 104, FIXED, DEBUG)                                      \
    X(RECOVERY, "Recovery", recovery, 80, FIXED, DEBUG)                                            \
    X(RECOVERY_RESPONSE, "RecoveryResponse", recovery_response, 112, FIXED, DEBUG)                 \
    X(GET_CHUNK, "GetChunk", get_chunk, 96, FIXED, DEBUG)                                          \
    X(CHUNK, "Chunk", chunk, 112, AT_LEAST, DEBUG)                                                 \
    X(PING, "Ping", ping, 64, FIXED, ALL)                                                          \
    X(PONG, "Pong", pong, 88, FIXED, ALL)                                                          \
    X(NEW_VIEW, "NewView", new_view, 64, FIXED, DEBUG)                                             \
    X(AWAY, "Away", away, 64, FIXED, ALL)

enum vsr_message_type {
    VSR_MESSAGE_NONE,
#define X(name, ...) VSR_##name,
    VSR_MESSAGES(X)
#undef X
        VSR_MESSAGE_COUNT
};

struct vsr_header {
    uint32_t magic;
    uint8_t version;
    uint8_t type;     /* enum vsr_message_type */
    uint8_t to;       /* replica index, or VSR_TO_ALL: whoever receives it */
    uint8_t reserved; /* 0 */
    uint64_t cluster;
    uint64_t view;
    uint64_t from; /* replica index; of a Request: the client's address */
    uint32_t epoch;
    uint32_t from_incarnation;
    uint32_t bytes; /* header and body */
    uint32_t count; /* requests or replies in the body; else 0 */
    uint64_t header_checksum;
    uint64_t body_checksum;
};

/** Requests follow. */
struct vsr_requests {
    struct vsr_header header; /* count: of requests */
};

/** Replies follow. */
struct vsr_replies {
    struct vsr_header header; /* count: of replies */
};

/** To a client: ask the primary of the header's view. */
struct vsr_not_primary {
    struct vsr_header header;
};

/** A log entry: the requests of many clients under one op number. They follow the Prepare. */
struct vsr_entry {
    uint64_t op;
    uint64_t view; /* in which it was first prepared; never rewritten */
    uint64_t parent_checksum;
    uint64_t checksum; /* of all other fields here and of the requests */
    uint64_t timestamp;
    uint32_t epoch;
    uint8_t kind; /* of all its requests: enum vsr_request_kind */
    uint8_t reserved[3];
};

/** "All results up to this op, chained, are this." op 0: nothing. See divergence.h. */
struct vsr_claim {
    uint64_t op;
    uint64_t digest;
};

struct vsr_prepare {
    struct vsr_header header; /* count: of requests */
    uint64_t commit;
    uint64_t commit_checksum;
    uint64_t released;       /* every replica has executed the log up to here */
    struct vsr_claim agreed; /* a majority's */
    struct vsr_entry entry;
};

/** "I hold the log of this view up to op." */
struct vsr_prepare_ok {
    struct vsr_header header;
    uint64_t op;
    uint64_t checksum; /* of the entry at op */
    uint64_t applied;
    struct vsr_claim own;
};

struct vsr_commit {
    struct vsr_header header;
    uint64_t commit;
    uint64_t commit_checksum;
    uint64_t released;
    uint64_t sequence;       /* of heartbeats */
    uint64_t op;             /* the primary's newest: a backup that lacks it asks */
    uint64_t op_checksum;    /* of the entry at op */
    struct vsr_claim agreed; /* a majority's */
};

struct vsr_commit_ok {
    struct vsr_header header;
    uint64_t sequence;
    uint64_t op;
    uint64_t applied;
    struct vsr_claim own;
    uint64_t is_full; /* 1: its ring takes nothing, for the sake of one that is being sent it */
};

/** Of a GetState: the entries are staged, not appended (rule 7.2). */
#define VSR_GET_TRANSFER 1u
/** Of a GetState: from the primary of a view that has not started, to whoever has its log. */
#define VSR_GET_SELECTED 2u

/** "Send me the log after from_op, if it is mine up to there, else after commit." */
struct vsr_get_state {
    struct vsr_header header;
    uint64_t from_op;
    uint64_t from_checksum; /* of the entry at from_op */
    uint64_t commit;        /* up to here all logs are the same */
    uint64_t nonce;
    uint32_t flags;
    uint32_t reserved;
};

/**
 * What the answering log holds. Its entries follow in the body, `count` whole Prepares one behind
 * the other; or, to a backup of the same view that asked the primary, as Prepares of their own.
 */
struct vsr_new_state {
    struct vsr_header header; /* count: of entries in the body */
    uint64_t nonce;
    uint64_t base;     /* its entries are base + 1 and on */
    uint64_t end;      /* the last entry of this answer */
    uint64_t op;       /* the last that the log holds */
    uint64_t checksum; /* of the entry at op */
    uint64_t commit;
    uint64_t commit_checksum;
    uint64_t is_behind; /* 1: what was asked for has left the log, which begins after base */
};

/** A vote to leave views below `target`. It promises nothing. */
struct vsr_start_view_change {
    struct vsr_header header;
    uint64_t target;
};

/** "I have left all views below this one; this is my log." Entries are fetched by GetState. */
struct vsr_do_view_change {
    struct vsr_header header;
    uint64_t log_view;
    uint64_t log_start; /* entries log_start + 1 .. op are held */
    uint64_t op;
    uint64_t checksum; /* of the entry at op */
    uint64_t commit;
    uint64_t commit_checksum;
};

/** "The view has started with this log." */
struct vsr_start_view {
    struct vsr_header header;
    uint64_t log_start;
    uint64_t op;
    uint64_t checksum; /* of the entry at op */
    uint64_t commit;
    uint64_t commit_checksum;
};

/** From a replica that lost its memory; the header's view is the one that it had persisted. */
struct vsr_recovery {
    struct vsr_header header; /* from: who asks, also when it is passed on */
    uint64_t nonce;
    uint64_t way; /* enum vsr_recovery_way */
};

/** By way of whom a Recovery comes, and its answer goes. */
enum vsr_recovery_way {
    VSR_WAY_DIRECT,
    VSR_WAY_ROUND,  /* asked again: a backup passes it on to its primary */
    VSR_WAY_PASSED, /* by a backup; the answer goes to all, and they pass it on */
    VSR_WAY_COUNT
};

struct vsr_recovery_response {
    struct vsr_header header;
    uint64_t nonce;
    uint64_t op;
    uint64_t checksum; /* of the entry at op */
    uint64_t commit;
    uint64_t commit_checksum;
    uint64_t asker; /* the replica that asks */
};

/** Asks for a part of a snapshot. checkpoint_op 0: of one that you have or save now. */
struct vsr_get_chunk {
    struct vsr_header header;
    uint64_t nonce;
    uint64_t checkpoint_op;
    uint64_t checkpoint_id;
    uint64_t offset;
};

/** A part of a snapshot. The bytes follow, padded to 8. */
struct vsr_chunk {
    struct vsr_header header; /* count: of the bytes that follow, without the padding */
    uint64_t nonce;
    uint64_t checkpoint_op;
    uint64_t checkpoint_id;       /* checksum of the whole snapshot */
    uint64_t checkpoint_checksum; /* of the log entry at checkpoint_op */
    uint64_t snapshot_bytes;      /* of the whole snapshot */
    uint64_t offset;
};

/** "Who is there?" */
struct vsr_ping {
    struct vsr_header header;
};

/** Answers a Ping, or a message of an older view: the view has started. */
struct vsr_pong {
    struct vsr_header header;
    uint64_t op;
    uint64_t commit;
    uint64_t commit_checksum;
};

/** "My silence is no sign of anything: I save or load a snapshot." */
struct vsr_away {
    struct vsr_header header;
};

/** To a client: the view of the header has started. */
struct vsr_new_view {
    struct vsr_header header;
};

#define X(name, text, body, size, ...)                                                             \
    VSR_STATIC_ASSERT(sizeof(struct vsr_##body) == size, "wire layout");
VSR_MESSAGES(X)
#undef X
VSR_STATIC_ASSERT(sizeof(struct vsr_header) == 64, "wire layout");
VSR_STATIC_ASSERT(offsetof(struct vsr_header, cluster) == 8, "wire layout");
VSR_STATIC_ASSERT(offsetof(struct vsr_header, header_checksum) == 48, "wire layout");
VSR_STATIC_ASSERT(sizeof(struct vsr_entry) == 48, "wire layout");
VSR_STATIC_ASSERT(offsetof(struct vsr_entry, timestamp) == 32, "wire layout");
VSR_STATIC_ASSERT(offsetof(struct vsr_prepare, entry) == 104, "wire layout");

/** The name of a message type, for diagnostics; "?" for a number that is none. */
const char *vsr_message_name(uint8_t type);

VSR_DECLARATIONS_END

#endif
