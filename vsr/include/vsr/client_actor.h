/**
 * Clients as actors: sessions with a cluster.
 *
 * A client actor runs the embedder's callbacks on its worker: they submit operations and get
 * results, the fastest way. Two more comfortable ones stand on it: a service (vsr/service.h) takes
 * operations as messages from any actor, a caller (vsr/caller.h) from a thread of the embedder's.
 */
#ifndef VSR_CLIENT_ACTOR_H
#define VSR_CLIENT_ACTOR_H

#include <act/actor.h>
#include <vsr/client.h>
#include <vsr/peers.h>

VSR_DECLARATIONS_BEGIN

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
    /**
     * The session's operation never was executed and never will be. -ECONNRESET: its session was
     * evicted before; -EMSGSIZE: too large for the replicas. The session opens anew.
     */
    void (*not_executed)(void *context, struct vsr_client_actor *client, uint32_t session,
                         int status);
    /**
     * The cluster has lost too many replicas at once and is gone for good: whatever is outstanding
     * is unknown, and nothing more will be executed. Called once.
     */
    void (*gone)(void *context, struct vsr_client_actor *client);
    /** All sessions are closed, after vsr_client_actor_close; one that never opens counts as
     * closed. Called once. */
    void (*closed)(void *context, struct vsr_client_actor *client);
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
    struct vsr_peers *peers; /* no default: vsr_cluster_peers, or vsr_peers_create */
    /** The actor sets cluster, replica_count, address, sessions_max, op_bytes_max, id, buffers. */
    struct vsr_client_options client;
    /** 0, the default: the client's id comes from the system's random source. Another number makes
     * it the same in every run, for tests: no two clients of a cluster may ever have the same. */
    uint64_t seed;
    const struct vsr_client_callbacks *callbacks; /* outlives the actor */
    void *context;
    uint32_t place;       /* 0; as act_spawn_options.place */
    uint32_t mailbox_max; /* 1048576; 0 = the runtime's default */
};

/** Fills in the defaults; peers and callbacks are still to be given. Threads: any. */
void vsr_client_actor_options_init(struct vsr_client_actor_options *options);

/**
 * Starts a client actor; it opens its sessions at once. End it with act_stop(*id), or with
 * vsr_client_actor_close and act_exit.
 *
 * Ownership: borrows options; the client has to end before its cluster or its peers do.
 * Threads:   any thread, a worker too; one without a port uses one for the call.
 * Returns:   0; -EINVAL and *why (may be NULL) for an option out of range, a NULL id or a thread
 *            with a port of another runtime; -EEXIST and *why when a client of this cluster has had
 *            this seed, be it one that has stopped; -ENOMEM; what act_spawn, act_port_open or
 *            getrandom returned.
 */
int vsr_client_actor_spawn(const struct vsr_client_actor_options *options, act_id *id,
                           struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Submits an operation.
 *
 * Ownership: borrows payload.
 * Threads:   only the callbacks of this client, but for `stopped`; anybody else is an error of the
 *            program: it ends with the function's name. The same holds for the next three.
 * Returns:   0, -EBUSY when the session is not open or has an operation outstanding, -EMSGSIZE,
 *            -EINVAL for a session index out of range or a NULL payload that is not empty.
 */
int vsr_client_actor_submit(struct vsr_client_actor *client, uint32_t session, const void *payload,
                            uint32_t payload_bytes) VSR_MUST_CHECK;

/**
 * Closes the client's sessions through the log, each when it has nothing outstanding; `closed`
 * tells when all are. Said again it changes nothing. Threads: as vsr_client_actor_submit.
 *
 * A client that ends without (act_stop) asks once for its sessions to be closed; those for which
 * that is lost, or whose operation was outstanding, stay until they are evicted.
 */
void vsr_client_actor_close(struct vsr_client_actor *client);

/** How many sessions it has, open or not: they are numbered from 0. Threads: as submit. */
uint32_t vsr_client_actor_sessions(const struct vsr_client_actor *client);

/** Counters of this client. Threads: as vsr_client_actor_submit. */
void vsr_client_actor_report(const struct vsr_client_actor *client,
                             struct vsr_client_report *report);

VSR_DECLARATIONS_END

#endif
