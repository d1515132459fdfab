/**
 * The client's side as a function: many sessions, one address.
 *
 * Each session has one request outstanding (the paper's client); who wants more opens more
 * sessions. All requests of a turn travel to the primary in one message, replies come back the same
 * way. A session whose request is not answered in time asks again, all replicas, less and less
 * often. The core retries until it is told to stop: a request's fate is never guessed.
 *
 * Threads: one at a time. No allocation after init, no clock: ticks arrive as events.
 */
#ifndef VSR_CLIENT_H
#define VSR_CLIENT_H

#include <vsr/message.h>
#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

struct vsr_client;

struct vsr_client_options {
    uint64_t cluster;       /* 0; the cluster's, as the next */
    uint32_t replica_count; /* 1; 1..VSR_REPLICAS_MAX */
    vsr_address address;    /* where replies go */
    uint32_t sessions;      /* 1; 1..sessions_max, of this client */
    uint32_t sessions_max;  /* 1024; the cluster's */
    uint32_t op_bytes_max;  /* 64; the cluster's */
    uint32_t
        request_bytes_max; /* 8192; of a Request message; it holds at least the largest request */
    uint32_t requests_per_message; /* 0 = as many as fit */
    uint32_t retry_ticks;          /* 100; first timeout of a request, >= 1 */
    uint32_t retry_doublings;      /* 5; 0..16: the timeout doubles this often at most */
    uint32_t busy_ticks;           /* 2; pause after Busy, >= 1 */
    /** Who this client is: 128 bits of the system's random source, never used before in this
     * cluster. There is no default: two clients of one id share their sessions, and one is told
     * that its operation is done which never executes. */
    uint64_t id[2];
    struct vsr_buffers buffers;
};

enum vsr_session_state {
    VSR_SESSION_CLOSED,      /* before vsr_client_open; after _REFUSED and _CLOSED */
    VSR_SESSION_REGISTERING, /* opening; again by itself after an eviction, at times later */
    VSR_SESSION_READY,       /* vsr_client_submit may be called */
    VSR_SESSION_WAITING,     /* a request is outstanding */
    VSR_SESSION_CLOSING,     /* its Close is */
};

enum vsr_client_effect_kind {
    VSR_CLIENT_SEND,    /* to the replicas in the mask `to`; gives the host the buffer */
    VSR_CLIENT_OPENED,  /* the session is ready for its first, or next, request */
    VSR_CLIENT_RESULT,  /* the request was executed once; the result is borrowed from the message */
    VSR_CLIENT_EVICTED, /* the session is gone, its request's outcome unknown; it opens anew */
    VSR_CLIENT_REFUSED, /* another client has this one's id: the session is closed for good */
    VSR_CLIENT_NOT_EXECUTED, /* the request never was executed and never will be: `status` says why;
                                the session opens anew */
    VSR_CLIENT_CLOSED,       /* after vsr_client_close: the cluster has forgotten the session */
};

struct vsr_client_effect {
    enum vsr_client_effect_kind kind;
    uint32_t session; /* index, 0..sessions-1 */
    union {
        struct {
            struct vsr_buffer buffer;
            uint32_t to;
        };
        struct {
            const void *result; /* lies in the message received */
            uint32_t result_bytes;
            uint64_t number; /* of the request */
            int status; /* NOT_EXECUTED: -ECONNRESET: its session was evicted before; -EMSGSIZE */
        };
    };
};

struct vsr_client_effects {
    struct vsr_client_effect *list;
    uint32_t capacity;
    uint32_t count;
};

/** Name, what it counts: one list for the fields, and for whoever goes through all of them. */
#define VSR_CLIENT_COUNTERS(X)                                                                     \
    X(submitted, "operations submitted")                                                           \
    X(answered, "operations answered with their result")                                           \
    X(retries, "requests sent again")                                                              \
    X(busy, "times that a replica had no room")                                                    \
    X(evicted, "sessions evicted")                                                                 \
    X(refused, "sessions refused: another client has their id")                                    \
    X(not_executed, "requests that never were executed: evicted before, or too large")             \
    X(closed, "sessions closed")                                                                   \
    X(replies_ignored, "replies late, repeated, or not ours")

struct vsr_client_report {
    uint32_t ready;
    uint32_t waiting;
    uint32_t registering;
    vsr_view view_hint;
#define X(name, help) uint64_t name;
    VSR_CLIENT_COUNTERS(X)
#undef X
    uint64_t oldest_attempts; /* largest number of tries of a request still waiting */
};

/**
 * Says whether a client can be made of these options.
 *
 * Ownership: borrows options.
 * Threads:   any.
 * Returns:   0; -EINVAL and, when why is not NULL, the option, its value and what is accepted.
 */
int vsr_client_options_check(const struct vsr_client_options *options,
                             struct vsr_error *why) VSR_MUST_CHECK;

/** Fills in the defaults; an id, replicas and buffers are still to be given. Threads: any. */
void vsr_client_options_init(struct vsr_client_options *options);

/** How much memory vsr_client_init wants for these options, which have to be in range. */
size_t vsr_client_bytes(const struct vsr_client_options *options);
/** Effects that one call may have at most. */
uint32_t vsr_client_effects_max(const struct vsr_client_options *options);

/** Lays a client into the caller's memory: 64-byte aligned and zeroed, kept until deinit. */
struct vsr_client *vsr_client_init(void *memory, const struct vsr_client_options *options);

/** Gives back the buffers that are still open. The memory is the caller's again. */
void vsr_client_deinit(struct vsr_client *c);

/**
 * Registers every session that is closed; VSR_CLIENT_OPENED, or _REFUSED, tells of each.
 *
 * As many as `out` has room for; vsr_client_turn_end and vsr_client_tick go on with the rest.
 */
void vsr_client_open(struct vsr_client *c, struct vsr_client_effects *out);

/**
 * Closes every session through the log, each once it has nothing outstanding; VSR_CLIENT_CLOSED
 * tells of each, of those too that vsr_client_open had not come to yet. Like vsr_client_open some
 * now, the rest later. None opens anew by itself.
 */
void vsr_client_close(struct vsr_client *c, struct vsr_client_effects *out);

/**
 * Likewise at once, whatever is outstanding: the host ends, and sends what this and
 * vsr_client_turn_end bring, once. A session that is registering is left to be evicted.
 */
void vsr_client_leave(struct vsr_client *c, struct vsr_client_effects *out);

/**
 * Sends an operation on a session that is ready.
 *
 * Ownership: borrows payload (it is kept for retries).
 * Returns:   0, -EBUSY when the session is not ready, -EMSGSIZE above op_bytes_max, -EINVAL for a
 *            session index out of range.
 */
int vsr_client_submit(struct vsr_client *c, uint32_t session, const void *payload,
                      uint32_t payload_bytes, struct vsr_client_effects *out) VSR_MUST_CHECK;

/**
 * Looks at a message from a replica. Bytes that do not fit are counted and ignored.
 *
 * Ownership: borrows message; results in the effects point into it.
 */
void vsr_client_receive(struct vsr_client *c, const struct vsr_header *message,
                        struct vsr_client_effects *out);

/** Hands out what the turn's submits and retries add up to. */
void vsr_client_turn_end(struct vsr_client *c, struct vsr_client_effects *out);

/** Retries what is overdue. */
void vsr_client_tick(struct vsr_client *c, struct vsr_client_effects *out);

/** What a session does now. Shape: session below options.sessions. */
enum vsr_session_state vsr_client_session_state(const struct vsr_client *c, uint32_t session);

/** Copies the counters and counts the sessions by state. O(sessions). Ownership: borrows c. */
void vsr_client_report(const struct vsr_client *c, struct vsr_client_report *report);

VSR_DECLARATIONS_END

#endif
