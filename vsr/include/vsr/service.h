/**
 * Services: a client that takes operations as messages, from any actor and any thread with a port.
 *
 * A service is a client actor of ours (vsr/client_actor.h) with `sessions` sessions: so many
 * operations are outstanding at once, `waiting_max` more wait for a session. Every operation that
 * vsr_service_send accepted gets one answer, whatever happens: the message it travels in has room
 * for the answer, and an answer whose receiver is full waits until it has room.
 *
 * Only the end of the service itself can take an answer away. Who sends to a service asks for news
 * of that (act_monitor): once the ACT_TYPE_DOWN message is there no more answers come, and what has
 * none yet is unknown as after -ECONNRESET. A caller (vsr/caller.h) does all that by itself.
 */
#ifndef VSR_SERVICE_H
#define VSR_SERVICE_H

#include <act/actor.h>
#include <act/runtime.h>
#include <vsr/peers.h>
#include <vsr/status.h>

VSR_DECLARATIONS_BEGIN

/**
 * The type of the message that a service answers with. Body: struct vsr_answer, then the result.
 */
#define VSR_TYPE_ANSWER 0x56530001u

struct vsr_answer {
    uint64_t cookie;       /* of the operation, as it was sent */
    int32_t status;        /* one of VSR_STATUSES */
    uint32_t result_bytes; /* that follow; 0 unless the status is 0 */
};

struct vsr_service_options {
    struct vsr_peers *peers; /* no default: vsr_cluster_peers, or vsr_peers_create */
    uint32_t sessions;       /* 64; 1..the cluster's sessions_max */
    uint32_t waiting_max;    /* 1024; 1..VSR_SESSIONS_MAX; more are answered -EAGAIN */
    uint32_t place;          /* 0: the spawner's worker; as act_spawn_options.place */
    uint32_t mailbox_max; /* 1048576; 0: the runtime's default; full, vsr_service_send is refused */
    uint64_t seed;        /* 0: random; as vsr_client_actor_options.seed */
};

/** Fills in the defaults; peers are still to be given. Threads: any. */
void vsr_service_options_init(struct vsr_service_options *options);

/**
 * Starts a service; it opens its sessions at once, and operations may be sent to it at once.
 *
 * Ownership: borrows options; the service has to end (vsr_service_stop) before its cluster does.
 * Threads:   any thread, a worker too; one without a port uses one for the call.
 * Returns:   0 and its id in *id; -EINVAL and *why (may be NULL) for an option out of range, or a
 *            NULL id; otherwise as vsr_client_actor_spawn.
 */
int vsr_service_spawn(const struct vsr_service_options *options, act_id *id,
                      struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Stops a service and waits for its end.
 *
 * What waits for a session, and what comes until nothing has come for 2 ms, is answered -ECANCELED;
 * what is outstanding gets its answer, if it comes in time. A service that is not done after
 * timeout_ns is ended: then what is outstanding is answered -ECONNRESET, and answers that their
 * receivers have no room for are lost (their receivers are told of its end).
 *
 * act_stop(id) ends a service at once, as if the time were over, and does not wait.
 *
 * Threads: blocks; any thread that is not a worker; one without a port uses one for the call.
 * Returns: 0, when it had ended before, too; -ETIMEDOUT: it was ended; -EDEADLK on a worker;
 *          -EINVAL without a runtime; -ENOMEM, or what act_spawn or act_port_open returned: then it
 *          has been asked at most.
 */
int vsr_service_stop(struct act_runtime *runtime, act_id service,
                     uint64_t timeout_ns) VSR_MUST_CHECK;

/**
 * Sends an operation to a service. The answer comes as one message of type VSR_TYPE_ANSWER to the
 * running actor or to the thread's port.
 *
 * Ownership: borrows payload.
 * Threads:   a handler, or a thread with an open port. Does not block.
 * Shape:     payload_bytes 0..VSR_OP_BYTES_MAX; above the cluster's op_bytes_max the answer says
 *            -EMSGSIZE. The cookie is the sender's, and comes back.
 * Returns:   0: there will be an answer; -EAGAIN when the service's mailbox is full; -ENOMEM when
 *            the pool is at its bound; -EMSGSIZE; -EINVAL for a NULL payload that is not empty, or
 *            on a thread that is neither a worker nor has a port.
 */
int vsr_service_send(act_id service, uint64_t cookie, const void *payload,
                     uint32_t payload_bytes) VSR_MUST_CHECK;

VSR_DECLARATIONS_END

#endif
