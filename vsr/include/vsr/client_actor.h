/**
 * Clients as actors: sessions with a cluster of this process.
 *
 * Two ways to use one. A *client actor* runs the embedder's callbacks on its worker: they submit
 * operations and get results, the fastest way. A *service* is a client actor of ours that takes
 * operations as messages from any actor, or from any foreign thread through a *caller*.
 */
#ifndef VSR_CLIENT_ACTOR_H
#define VSR_CLIENT_ACTOR_H

#include <act/actor.h>
#include <vsr/client.h>
#include <vsr/cluster.h>

struct vsr_client_actor;

/**
 * What an embedder's client does. All run on the actor's worker, must not block, and may submit.
 * NULL = nothing.
 */
struct vsr_client_callbacks {
    /** The session is open (again): it may submit. */
    void (*opened)(void *context, struct vsr_client_actor *client, uint32_t session);
    /** The session's operation was executed, exactly once. The result is borrowed. */
    void (*result)(void *context, struct vsr_client_actor *client, uint32_t session,
                   const void *result, uint32_t result_bytes);
    /** The session is gone; whether its outstanding operation was executed is unknown. */
    void (*evicted)(void *context, struct vsr_client_actor *client, uint32_t session);
    /** The session never opens: another client has this one's id, which takes a seed given twice.
     */
    void (*refused)(void *context, struct vsr_client_actor *client, uint32_t session);
    /** A message of the application's own. Takes m. */
    void (*message)(void *context, struct vsr_client_actor *client, struct act_message *m);
    /** After each turn. */
    void (*turn_end)(void *context, struct vsr_client_actor *client);
    /** The last call. */
    void (*stopped)(void *context);
};

struct vsr_client_actor_options {
    struct vsr_cluster *cluster;
    /** The actor sets cluster, replica_count, address, sessions_max, op_bytes_max, id, buffers. */
    struct vsr_client_options client;
    /** 0, the default: the client's id comes from the system's random source. Another number makes
     * it the same in every run, for tests: no two clients of a cluster may ever have the same. */
    uint64_t seed;
    const struct vsr_client_callbacks *callbacks; /* outlives the actor */
    void *context;
    uint32_t place;       /* as act_spawn_options.place */
    uint32_t mailbox_max; /* 0 = the runtime's default */
};

void vsr_client_actor_options_init(struct vsr_client_actor_options *options);

/**
 * Starts a client actor; it opens its sessions at once. End it with act_stop(*id).
 *
 * Threads: any thread, a worker too; one without a port uses one for the call.
 * Returns: 0; -EINVAL and *why (may be NULL) for an option out of range; -EEXIST and *why when a
 *          client of this cluster has had this seed, be it one that has stopped; -ENOMEM; what
 *          act_spawn, act_port_open or getrandom returned.
 */
int vsr_client_actor_spawn(const struct vsr_client_actor_options *options, act_id *id,
                           struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Submits an operation. Only from the callbacks of this client.
 *
 * Ownership: borrows payload.
 * Returns:   0, -EBUSY when the session is not open or has an operation outstanding, -EMSGSIZE,
 *            -EINVAL for a session index out of range.
 */
int vsr_client_actor_submit(struct vsr_client_actor *client, uint32_t session, const void *payload,
                            uint32_t payload_bytes) VSR_MUST_CHECK;

uint32_t vsr_client_actor_sessions(const struct vsr_client_actor *client);

/** Counters of this client. Only from its callbacks. */
void vsr_client_actor_report(const struct vsr_client_actor *client,
                             struct vsr_client_report *report);

/** The type of the message that a service answers with. Body: struct vsr_answer, then the result.
 */
#define VSR_TYPE_ANSWER 0x56530001u

struct vsr_answer {
    uint64_t cookie; /* of the request */
    int32_t status;  /* 0; -EAGAIN: too many wait, not executed; -ECONNRESET: outcome unknown */
    uint32_t result_bytes;
};

struct vsr_service_options {
    struct vsr_cluster *cluster;
    uint32_t sessions;    /* operations outstanding at once */
    uint32_t waiting_max; /* operations that wait for a session, >= 1; more are answered -EAGAIN */
    uint32_t place;
    uint64_t seed; /* as vsr_client_actor_options.seed; 0, the default: random */
};

void vsr_service_options_init(struct vsr_service_options *options);

/** Starts a service. End it with act_stop(*id). Returns as vsr_client_actor_spawn. */
int vsr_service_spawn(const struct vsr_service_options *options, act_id *id,
                      struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Sends an operation to a service, from an actor or a thread with an open port. The answer comes as
 * one message of type VSR_TYPE_ANSWER.
 *
 * Returns: 0, -EAGAIN when the service's mailbox is full, -ENOMEM, -EMSGSIZE.
 */
int vsr_service_send(act_id service, uint64_t cookie, const void *payload,
                     uint32_t payload_bytes) VSR_MUST_CHECK;

struct vsr_caller;

/**
 * Lets a foreign thread call a service. A caller is a port of its own: it belongs to one thread.
 *
 * Returns: 0, or what act_port_open returned.
 */
int vsr_caller_open(struct act_runtime *runtime, act_id service,
                    struct vsr_caller **caller) VSR_MUST_CHECK;
void vsr_caller_close(struct vsr_caller *caller);

/**
 * Executes one operation and waits for its result.
 *
 * Shape:   *result_bytes is the room in result, then the result's size (the rest is cut off).
 * Returns: 0; -ETIMEDOUT or -ECONNRESET: the outcome is unknown; -EAGAIN: not executed, too many
 *          wait; -EMSGSIZE; -ENOMEM.
 */
int vsr_caller_call(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    void *result, uint32_t *result_bytes, uint64_t timeout_ns) VSR_MUST_CHECK;

/** Sends an operation without waiting. Its number is in *ticket. Returns as vsr_service_send. */
int vsr_caller_send(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    uint64_t *ticket) VSR_MUST_CHECK;

/**
 * Waits for the next answer to a vsr_caller_send, in the order they come.
 *
 * Returns: the operation's status as vsr_caller_call, with its number in *ticket; -ETIMEDOUT and
 *          *ticket == 0 when no answer came.
 */
int vsr_caller_receive(struct vsr_caller *caller, uint64_t *ticket, void *result,
                       uint32_t *result_bytes, uint64_t timeout_ns) VSR_MUST_CHECK;

#endif
