/**
 * What a cluster's owner does to its replicas while they run: looks, kills, pauses, restarts.
 */
#include "steering.h"

#include "../core/assert.h"
#include "../core/members.h"
#include "errors.h"
#include "life.h"
#include "ports.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/timer.h>
#include <vsr/cluster.h>

#include <errno.h>
#include <time.h>

/* Lives and deaths. */

uint32_t vsr_cluster_down_max(const struct vsr_cluster *cluster)
{
    const struct vsr_replica_options *o = &cluster->common.options.replica;
    const struct vsr_members members =
        vsr_members_of(o->replica_count, VSR_NO_MEMBER, o->quorum_replication,
                       o->quorum_view_change, o->recovery_quorum);
    uint32_t needed = members.quorums.replication;

    if (members.quorums.view_change > needed) needed = members.quorums.view_change;
    if (members.quorums.recovery > needed) needed = members.quorums.recovery;
    VSR_ASSERT(needed > 0);
    VSR_ASSERT(needed <= members.count);
    return needed < members.count ? members.count - needed : 0;
}

/** Whether a replica has, as far as the others are concerned, no log. None is STARTING any more. */
static bool is_lost(const struct vsr_cluster_report *report)
{
    return report->run_state == VSR_DOWN || report->run_state == VSR_FAILED ||
           report->replica.status == VSR_STATUS_RECOVERING ||
           report->replica.status == VSR_STATUS_HALTED;
}

/** Returns 0, -EBUSY when one more may not be lost, or what inspect returned. */
static int check_loss(struct vsr_cluster *cluster, uint32_t replica)
{
    VSR_ASSERT(replica < vsr_cluster_replica_count(cluster));
    uint32_t lost = 1;

    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++) {
        struct vsr_cluster_report report;
        if (i == replica) continue;
        int error = vsr_node_inspect(&cluster->nodes[i], false, &report);
        if (error != 0) return error;
        lost += is_lost(&report);
    }
    VSR_ASSERT(lost <= vsr_cluster_replica_count(cluster));
    return lost <= vsr_cluster_down_max(cluster) ? 0 : -EBUSY;
}

/** Begins a call: the cluster is not to be stopped before end_call. Returns 0 or -EDEADLK. */
static int begin_call(struct vsr_cluster *cluster)
{
    if (act_on_worker()) return -EDEADLK;
    atomic_fetch_add(&cluster->calls, 1);
    return 0;
}

/** The last look at the cluster. */
static void end_call(struct vsr_cluster *cluster)
{
    const unsigned before = atomic_fetch_sub(&cluster->calls, 1);
    VSR_ASSERT(before > 0);
}

/** Begins a call that changes a replica; end it with leave. Returns 0, or a negative errno. */
static int enter(struct vsr_cluster *cluster, uint32_t replica, struct act_port **port)
{
    if (cluster == NULL || replica >= vsr_cluster_replica_count(cluster)) return -EINVAL;
    int error = begin_call(cluster);
    if (error != 0) return error;
    /* EDEADLK: from a function of the embedder's that such a call runs, of a machine's or a
     * storage's. */
    error = -pthread_mutex_lock(&cluster->mutex);
    if (error != 0) goto undo;
    error = vsr_node_port_borrow(cluster->common.options.runtime, port);
    if (error != 0) goto undo_lock;
    return 0;

undo_lock:
    pthread_mutex_unlock(&cluster->mutex);
undo:
    end_call(cluster);
    return error;
}

static void leave(struct vsr_cluster *cluster, struct act_port *port)
{
    VSR_ASSERT(atomic_load(&cluster->calls) > 0); /* its own */
    vsr_node_port_return(port);
    pthread_mutex_unlock(&cluster->mutex);
    end_call(cluster);
}

int vsr_cluster_kill(struct vsr_cluster *cluster, uint32_t replica, enum vsr_kill how)
{
    struct vsr_node_control control = {.command = NODE_KILL};
    struct vsr_cluster_report report;
    struct act_port *port;
    int error = enter(cluster, replica, &port);
    if (error != 0) return error;

    error = vsr_node_inspect(&cluster->nodes[replica], false, &report);
    if (error == 0 && report.run_state == VSR_DOWN) error = -EALREADY;
    if (error == 0 && how == VSR_KILL_SAFELY) error = check_loss(cluster, replica);
    if (error == 0) error = vsr_node_command(&cluster->nodes[replica], &control);
    VSR_ASSERT(error != 0 || control.life.driver.core != NULL); /* the life that it had */
    /* Here and not by the actor: a large state machine takes its time, which other actors of the
     * worker would miss. */
    vsr_node_life_destroy(&control.life);
    leave(cluster, port);
    return error;
}

/** The first lives began with the cluster: a blank superblock is one that was lost since. */
static int check_has_run(const struct vsr_superblock *superblock, uint32_t replica,
                         struct vsr_error *why)
{
    if (superblock->incarnation > 0) return 0;
    return vsr_node_explain(why, "storage", -EBADMSG,
                            "replica %u: its superblock is that of a replica that never ran. "
                            "Restore it or replace the replica: starting it empty would fork the "
                            "log",
                            replica);
}

int vsr_cluster_restart(struct vsr_cluster *cluster, uint32_t replica, struct vsr_error *why)
{
    struct vsr_node_control control = {.command = NODE_BEGIN};
    struct vsr_cluster_report report;
    struct act_port *port;
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    int error = enter(cluster, replica, &port);
    if (error != 0) {
        vsr_node_error_finish(why, error);
        return error;
    }

    error = vsr_node_inspect(&cluster->nodes[replica], false, &report);
    if (error == 0 && report.run_state != VSR_DOWN && report.run_state != VSR_FAILED)
        error = -EALREADY;
    if (error == 0)
        error = vsr_node_prepare(&cluster->nodes[replica], &cluster->peers, &control, why);
    if (error == 0) error = check_has_run(&control.life.superblock, replica, why);
    if (error == 0) error = vsr_node_command(&cluster->nodes[replica], &control);
    vsr_node_life_destroy(&control.life);
    vsr_node_error_finish(why, error);
    leave(cluster, port);
    return error;
}

static int tell(struct vsr_cluster *cluster, uint32_t replica, enum vsr_node_command what)
{
    VSR_ASSERT(what == NODE_PAUSE || what == NODE_RESUME);
    struct vsr_node_control control = {.command = what};
    struct act_port *port;
    int error = enter(cluster, replica, &port);
    if (error != 0) return error;

    error = vsr_node_command(&cluster->nodes[replica], &control);
    leave(cluster, port);
    return error;
}

int vsr_cluster_pause(struct vsr_cluster *cluster, uint32_t replica)
{
    return tell(cluster, replica, NODE_PAUSE);
}

int vsr_cluster_resume(struct vsr_cluster *cluster, uint32_t replica)
{
    return tell(cluster, replica, NODE_RESUME);
}

/* Looking. */

/** Begins a call that looks; end it with stop_looking. Returns 0, or a negative errno. */
static int start_looking(struct vsr_cluster *cluster, struct act_port **port)
{
    int error = begin_call(cluster);

    if (error != 0) return error;
    error = vsr_node_port_borrow(cluster->common.options.runtime, port);
    if (error != 0) end_call(cluster);
    return error;
}

static void stop_looking(struct vsr_cluster *cluster, struct act_port *port)
{
    vsr_node_port_return(port);
    end_call(cluster);
}

static int inspect_from_outside(struct vsr_cluster *cluster, uint32_t replica, bool wants_digest,
                                struct vsr_cluster_report *report)
{
    struct act_port *port;

    if (cluster == NULL || report == NULL) return -EINVAL;
    if (replica >= vsr_cluster_replica_count(cluster)) return -EINVAL;
    int error = start_looking(cluster, &port);
    if (error != 0) return error;
    error = vsr_node_inspect(&cluster->nodes[replica], wants_digest, report);
    stop_looking(cluster, port);
    return error;
}

int vsr_cluster_inspect(struct vsr_cluster *cluster, uint32_t replica,
                        struct vsr_cluster_report *report)
{
    return inspect_from_outside(cluster, replica, true, report);
}

int vsr_cluster_look(struct vsr_cluster *cluster, uint32_t replica,
                     struct vsr_cluster_report *report)
{
    return inspect_from_outside(cluster, replica, false, report);
}

/** Whether one that runs has executed the log of another to its end. */
static bool is_level(const struct vsr_replica_report *r, const struct vsr_replica_report *with)
{
    return r->status == VSR_STATUS_NORMAL && r->op == with->op && r->applied == with->op &&
           r->head_checksum == with->head_checksum;
}

/**
 * Compares the replicas that run; with digests only once they are level, for each costs its
 * machine time. Returns 0 and *is_settled, -ESRCH: none runs, or -EBADMSG.
 */
static int compare(struct vsr_cluster *cluster, bool with_digests, bool *is_settled)
{
    struct vsr_cluster_report first = {0};
    uint32_t running = 0;
    bool has_differed = false;

    *is_settled = true;
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++) {
        struct vsr_cluster_report report;
        int error = vsr_node_inspect(&cluster->nodes[i], with_digests, &report);
        if (error != 0) return error;
        if (report.run_state != VSR_RUNNING) continue;
        if (running++ == 0) first = report;
        if (!is_level(&report.replica, &first.replica)) *is_settled = false;
        has_differed |= report.digest != first.digest;
    }
    VSR_ASSERT(running <= vsr_cluster_replica_count(cluster));
    if (running == 0) return -ESRCH;
    /* Digests of different ops say nothing. */
    return *is_settled && has_differed ? -EBADMSG : 0;
}

int vsr_cluster_settle(struct vsr_cluster *cluster, uint64_t timeout_ns)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const uint64_t start = act_now_ns();
    struct act_port *port;
    bool is_settled = false;

    if (cluster == NULL) return -EINVAL;
    int error = start_looking(cluster, &port);
    if (error != 0) return error;
    while ((error = compare(cluster, false, &is_settled)) == 0) {
        if (is_settled) error = compare(cluster, true, &is_settled);
        if (is_settled || error != 0) break;
        if (act_now_ns() - start > timeout_ns) {
            error = -ETIMEDOUT;
            break;
        }
        nanosleep(&pause, NULL);
    }
    stop_looking(cluster, port);
    return error;
}
