/**
 * Replicas as actors: a whole cluster in one process.
 *
 * WHAT IT SURVIVES. Logs live in memory. With majority quorums at most f = (N - 1) / 2 replicas,
 * with others at most min(N - Qr, N - Qv), may be down or recovering AT THE SAME TIME. One more and
 * operations that were acknowledged may be gone: the cluster then stops FOR GOOD rather than go on
 * without them. A replica that was killed counts until it has recovered, not until it is restarted.
 * A superblock file keeps a replica's promises, not its data: it changes nothing of this. All
 * replicas of one process share its fate.
 *
 * Threads: these functions block; call them from threads that are not workers, any number at once
 * but for start and stop. They use the calling thread's port, or open one for the call (-EAGAIN,
 * -ENOMEM when there is none; the runtime's ports_max, 8 by default, is how many there may be:
 * callers have one each). Each returns -EDEADLK on a worker, whose actors it would wait for;
 * -EINVAL to a thread with a port of another runtime, and for a NULL where something has to be;
 * -ETIMEDOUT when a replica's actor has not looked for a minute. Whoever is waited for is named on
 * stderr every five seconds. A state machine that is made or destroyed, and a storage that is read,
 * may look at the cluster; kill, restart, pause and resume run these themselves, and say -EDEADLK
 * to them.
 */
#ifndef VSR_CLUSTER_H
#define VSR_CLUSTER_H

#include <act/actor.h>
#include <act/runtime.h>
#include <vsr/peers.h>
#include <vsr/replica.h>
#include <vsr/state_machine.h>
#include <vsr/storage.h>

VSR_DECLARATIONS_BEGIN

struct vsr_cluster;

/**
 * Makes the state machine of one replica. Returns 0, or a negative errno: then the cluster does not
 * start. The cluster calls machine->destroy.
 */
typedef int (*vsr_machine_create)(void *context, uint32_t replica,
                                  struct vsr_state_machine *machine);

struct vsr_cluster_options {
    struct act_runtime *runtime; /* no default */
    /** Common to all replicas. The cluster sets replica, incarnation, buffers,
     * result_bytes_max. Defaults as there, but replica_count 3, op_bytes_max 1024, suspect_ticks
     * 100, abdicate_ticks 150: threads that share their cores lose them for tens of milliseconds.
     */
    struct vsr_replica_options replica;
    vsr_machine_create create_machine; /* no default */
    void *machine_context;
    /** Of each replica (ACT_PLACE_ON). NULL = one worker after the other from the last on, so that
     * what a thread spawns first, a service, is not on the primary's. */
    const uint32_t *places;
    uint64_t tick_ns;     /* 1000000; >= 100 us: what a tick of the protocol's timers lasts */
    uint32_t mailbox_max; /* 1048576; of a replica; 0 = the runtime's default */
    /** Hears what an operator should know, on a worker; NULL = a line on stderr. Must not block. */
    void (*on_notice)(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op);
    void *notice_context;
    /**
     * Where the replicas' superblock files lie (vsr/superblock.h); it must exist. NULL: they
     * are kept in memory outside of the replicas, which is enough for replicas that come and go
     * while the process lives. With files a thread of the cluster writes them; it needs a port.
     */
    const char *superblock_directory;
    /** Instead of both: an embedder's own (vsr/storage.h). Borrowed until the cluster has stopped.
     */
    const struct vsr_storage *storage;
    bool is_formatting; /* makes the files of a new cluster; with files there already, no start */
    /** Instead of act_send, for tests that lose, delay or repeat messages. Same contract. */
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

enum vsr_run_state {
    VSR_RUNNING,
    VSR_PAUSED, /* has its memory, hears and says nothing */
    VSR_DOWN,   /* killed: its memory is gone */
    VSR_FAILED, /* its superblock could not be written: says nothing more; kill it or restart it */
};

/** Name, what it counts: messages of one replica's actor. */
#define VSR_CLUSTER_COUNTERS(X)                                                                    \
    X(messages_dropped, "messages dropped for want of room at the receiver; they are sent again")  \
    X(messages_ended, "messages that came while the replica was not running")

/** A replica as seen from outside: its report, and its state machine's digest at `applied`. */
struct vsr_cluster_report {
    enum vsr_run_state run_state;
    uint64_t changed_ns;               /* act_now_ns() when run_state last changed */
    struct vsr_replica_report replica; /* all zero when it is VSR_DOWN */
    uint64_t digest;                   /* likewise */
#define X(name, help) uint64_t name;
    VSR_CLUSTER_COUNTERS(X)
#undef X
};

/** Fills in the defaults; runtime and create_machine are still to be given. Threads: any. */
void vsr_cluster_options_init(struct vsr_cluster_options *options);

/**
 * Starts the replicas; returns when each has its first superblock durable and takes part.
 *
 * A process that has lost all replicas at once, log and all, cannot start them from their
 * superblock files: it is told so, and has to remove the files and format.
 *
 * Ownership: borrows options; gives the caller *cluster, to be ended by vsr_cluster_stop before the
 *            runtime stops.
 * Returns:   0, or a negative errno, and in why->text (why may be NULL) what is wrong:
 *            -EINVAL: an option out of range; a state machine without apply, save, load, digest or
 *            destroy, with results above VSR_RESULT_BYTES_MAX or above what reply_bytes_max holds,
 *            or with another result_bytes_max than the others'; a log whose ring may outgrow the
 *            runtime's pool_bytes_max; two storages, or half a one.
 *            -ENOMEM; what create_machine or act_spawn returned; -EIO: a first superblock could not
 *            be written; -ENOTRECOVERABLE: a replica ran before.
 *            With files, and why->text says which one and what to do: -EEXIST: is_formatting, and
 *            there is one; -ENOENT: one is missing; -EBADMSG: one has no valid copy; -EINVAL: one
 *            is another replica's; -EBUSY: another process has one; what the file system said.
 *            On an error nothing is left behind.
 */
int vsr_cluster_start(const struct vsr_cluster_options *options, struct vsr_cluster **cluster,
                      struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Stops the replicas and frees them.
 *
 * Services and client actors end first, for they look at what the cluster has: a service has when
 * vsr_service_stop returns 0 or -ETIMEDOUT, a client actor when its `stopped` runs. One that has
 * not, be it about to, stops nothing: end it, and stop the cluster again.
 *
 * Ownership: takes cluster when it returns 0.
 * Threads:   not beside any other function of this file; services and client actors may be ending
 *            meanwhile.
 * Returns:   0; on an error nothing was stopped, and why->text (why may be NULL) says what is in
 *            the way: -EBUSY: a service or client actor, which it names, or another call about the
 *            cluster that has not returned; -EINVAL; -EDEADLK; -ENOMEM, -EAGAIN.
 */
int vsr_cluster_stop(struct vsr_cluster *cluster, struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Looks at a replica, between two of its turns; at one that does not run, too.
 *
 * Returns: 0, -EINVAL, -ENOMEM, -EAGAIN.
 */
int vsr_cluster_inspect(struct vsr_cluster *cluster, uint32_t replica,
                        struct vsr_cluster_report *report) VSR_MUST_CHECK;

/** As vsr_cluster_inspect, but for the digest (0): a large state machine stands still for that. */
int vsr_cluster_look(struct vsr_cluster *cluster, uint32_t replica,
                     struct vsr_cluster_report *report) VSR_MUST_CHECK;

/**
 * Waits until every replica that runs is VSR_STATUS_NORMAL and has executed the same log to its
 * end, which needs clients at rest. Replicas that are paused, down or failed are not waited for.
 *
 * Returns: 0; -ETIMEDOUT when they have not after timeout_ns; -EBADMSG when they have and their
 *          state machines' digests differ: a machine is not deterministic; -ESRCH when no replica
 *          runs; -ENOMEM, -EAGAIN.
 */
int vsr_cluster_settle(struct vsr_cluster *cluster, uint64_t timeout_ns) VSR_MUST_CHECK;

enum vsr_kill {
    VSR_KILL_SAFELY, /* not when too many would be down or recovering at once */
    VSR_KILL_FORCED, /* MAY STOP THE CLUSTER FOR GOOD: see the head of this file */
};

/**
 * Destroys a replica's core and state machine, as a crash of its process would. What it is sent
 * from then on is ended, until it is restarted.
 *
 * Returns: 0; -EINVAL; -EALREADY when it is down; -EBUSY, unless forced, when more replicas than
 * the cluster survives would be down, failed, halted or recovering; -ENOMEM, -EAGAIN.
 */
int vsr_cluster_kill(struct vsr_cluster *cluster, uint32_t replica,
                     enum vsr_kill how) VSR_MUST_CHECK;

/**
 * Gives a replica that is down, or has failed, a new state machine and a new core, which know what
 * its superblock says and ask the others for the rest. It has recovered when its status is
 * VSR_STATUS_NORMAL (VSR_NOTICE_RECOVERED): until then it counts as down.
 *
 * Returns: 0; -EINVAL, also for a state machine that vsr_cluster_start would refuse; -EALREADY
 * when it runs or is paused; -EBADMSG when the storage holds what no replica has asked it to keep,
 * or nothing;
 * what create_machine returned; with files as vsr_cluster_start, and
 * why->text (why may be NULL); -ENOMEM, -EAGAIN.
 */
int vsr_cluster_restart(struct vsr_cluster *cluster, uint32_t replica,
                        struct vsr_error *why) VSR_MUST_CHECK;

/**
 * Stops a replica in its tracks, memory kept, as SIGSTOP would; what it is sent meanwhile is lost.
 * While more are paused or down than the cluster survives nothing is committed.
 *
 * Returns: 0; -EINVAL; -EALREADY when it is paused; -ESRCH when it is down or has failed; -ENOMEM,
 *          -EAGAIN.
 */
int vsr_cluster_pause(struct vsr_cluster *cluster, uint32_t replica) VSR_MUST_CHECK;

/**
 * Lets a paused replica go on.
 *
 * Returns: 0; -EINVAL; -EALREADY when it runs; -ESRCH when it is down or has failed; -ENOMEM,
 *          -EAGAIN.
 */
int vsr_cluster_resume(struct vsr_cluster *cluster, uint32_t replica) VSR_MUST_CHECK;

/** Its replicas, for clients and services. Ownership: borrowed until it stops. Threads: any. */
struct vsr_peers *vsr_cluster_peers(struct vsr_cluster *cluster);

/** How many replicas it has: they are numbered from 0. Threads: any. */
uint32_t vsr_cluster_replica_count(const struct vsr_cluster *cluster);

/** How many replicas may be down or recovering at once. */
uint32_t vsr_cluster_down_max(const struct vsr_cluster *cluster);

VSR_DECLARATIONS_END

#endif
