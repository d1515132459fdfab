/**
 * A cluster in one process: starts, inspects and stops replica actors.
 */
#include "node.h"

#include <act/timer.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vsr_cluster {
    struct vsr_cluster_options options;
    act_id peers[VSR_REPLICAS_MAX];
    struct node_storage storage[VSR_REPLICAS_MAX];
    struct node_event stopped[VSR_REPLICAS_MAX];
    bool is_alive[VSR_REPLICAS_MAX]; /* spawned and not killed */
};

const struct vsr_cluster_options *node_cluster_options(const struct vsr_cluster *cluster)
{
    return &cluster->options;
}

const act_id *node_cluster_peers(const struct vsr_cluster *cluster)
{
    return cluster->peers;
}

uint32_t vsr_cluster_replica_count(const struct vsr_cluster *cluster)
{
    return cluster->options.replica.replica_count;
}

void vsr_cluster_options_init(struct vsr_cluster_options *options)
{
    *options = (struct vsr_cluster_options){.tick_ns = 1000000, .mailbox_max = 1 << 20};
    vsr_replica_options_init(&options->replica);
    options->replica.replica_count = 3;
    /* Threads that share their cores with others lose them for tens of milliseconds. */
    options->replica.suspect_ticks = 100;
    options->replica.abdicate_ticks = 150;
}

/** Sends, waiting for room: a replica's mailbox empties by itself. */
static void send_patiently(act_id to, struct act_message *m)
{
    const struct timespec pause = {.tv_nsec = 100000};

    while (act_send(to, m) != 0)
        nanosleep(&pause, NULL);
}

static void stop_patiently(act_id id)
{
    const struct timespec pause = {.tv_nsec = 100000};

    while (act_stop(id, 0) != 0)
        nanosleep(&pause, NULL);
}

static int check(const struct vsr_cluster_options *options, struct vsr_error *why)
{
    if (options->runtime == NULL || options->create_machine == NULL || options->tick_ns < 100000) {
        if (why != NULL)
            *why = (struct vsr_error){
                .option = options->runtime == NULL          ? "runtime"
                          : options->create_machine == NULL ? "create_machine"
                                                            : "tick_ns",
                .value = options->tick_ns,
                .min = 100000,
                .max = UINT64_MAX,
                .rule = "a runtime and create_machine are needed",
            };
        return -EINVAL;
    }
    return vsr_replica_options_check(&options->replica, why);
}

static int spawn_replica(struct vsr_cluster *cluster, uint32_t i)
{
    const struct vsr_cluster_options *o = &cluster->options;
    int error;

    struct node_replica *replica =
        node_replica_create(o, i, &cluster->storage[i], &cluster->stopped[i], &error);
    if (replica == NULL) return error;
    error = act_spawn(
        &(struct act_spawn_options){
            .behaviour = &node_replica_behaviour,
            .state = replica,
            .place = o->places != NULL ? o->places[i]
                                       : ACT_PLACE_ON(i % act_runtime_workers(o->runtime)),
            .mailbox_max = o->mailbox_max,
        },
        &cluster->peers[i]);
    if (error != 0) {
        node_replica_destroy(replica);
        return error;
    }
    cluster->is_alive[i] = true;
    return 0;
}

/** Tells every replica who the others are, which starts it. */
static int introduce(struct vsr_cluster *cluster)
{
    const uint32_t count = vsr_cluster_replica_count(cluster);
    const uint32_t bytes = count * (uint32_t)sizeof cluster->peers[0];

    for (uint32_t i = 0; i < count; i++) {
        struct act_message *m = act_message_create(NODE_START, bytes);
        if (m == NULL) return -ENOMEM;
        memcpy(m->body, cluster->peers, bytes);
        send_patiently(cluster->peers[i], m);
    }
    return 0;
}

static void stop_replica(struct vsr_cluster *cluster, uint32_t i)
{
    if (!cluster->is_alive[i]) return;
    cluster->is_alive[i] = false;
    stop_patiently(cluster->peers[i]);
    node_event_wait(&cluster->stopped[i]);
}

static void destroy(struct vsr_cluster *cluster)
{
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++) {
        stop_replica(cluster, i);
        node_event_deinit(&cluster->stopped[i]);
    }
    free(cluster);
}

int vsr_cluster_start(const struct vsr_cluster_options *options, struct vsr_cluster **cluster,
                      struct vsr_error *why)
{
    struct act_port *port;
    int error = check(options, why);
    if (error != 0) return error;

    struct vsr_cluster *c = calloc(1, sizeof *c);
    if (c == NULL) return -ENOMEM;
    c->options = *options;
    for (uint32_t i = 0; i < vsr_cluster_replica_count(c); i++)
        node_event_init(&c->stopped[i]);
    error = node_port_borrow(c->options.runtime, &port);
    if (error != 0) goto undo;
    for (uint32_t i = 0; i < vsr_cluster_replica_count(c) && error == 0; i++)
        error = spawn_replica(c, i);
    if (error == 0) error = introduce(c);
    if (error != 0) goto undo_port;
    node_port_return(port);
    *cluster = c;
    return 0;

undo_port:
    destroy(c);
    node_port_return(port);
    return error;
undo:
    destroy(c);
    return error;
}

void vsr_cluster_stop(struct vsr_cluster *cluster)
{
    struct act_port *port;
    const struct timespec pause = {.tv_nsec = 1000000};

    /* A port gets free when another thread closes its own. */
    while (node_port_borrow(cluster->options.runtime, &port) != 0)
        nanosleep(&pause, NULL);
    destroy(cluster);
    node_port_return(port);
}

int vsr_cluster_kill(struct vsr_cluster *cluster, uint32_t replica)
{
    struct act_port *port;

    if (replica >= vsr_cluster_replica_count(cluster)) return -EINVAL;
    if (!cluster->is_alive[replica]) return -EALREADY;
    int error = node_port_borrow(cluster->options.runtime, &port);
    if (error != 0) return error;
    stop_replica(cluster, replica);
    node_port_return(port);
    return 0;
}

static int inspect_replica(struct vsr_cluster *cluster, uint32_t replica, bool wants_digest,
                           struct vsr_cluster_report *report)
{
    struct node_inspect inspect = {.report = report, .wants_digest = wants_digest};
    struct node_inspect *pointer = &inspect;
    struct act_port *port;

    if (replica >= vsr_cluster_replica_count(cluster) || !cluster->is_alive[replica])
        return -EINVAL;
    int error = node_port_borrow(cluster->options.runtime, &port);
    if (error != 0) return error;
    struct act_message *m = act_message_create(NODE_INSPECT, sizeof pointer);
    if (m == NULL) {
        node_port_return(port);
        return -ENOMEM;
    }
    memcpy(m->body, &pointer, sizeof pointer);
    node_event_init(&inspect.done);
    send_patiently(cluster->peers[replica], m);
    node_event_wait(&inspect.done);
    node_event_deinit(&inspect.done);
    node_port_return(port);
    return 0;
}

int vsr_cluster_inspect(struct vsr_cluster *cluster, uint32_t replica,
                        struct vsr_cluster_report *report)
{
    return inspect_replica(cluster, replica, true, report);
}

/** Whether the living replicas have executed the same log to its end. */
static int look(struct vsr_cluster *cluster, bool *is_settled)
{
    struct vsr_cluster_report report;
    vsr_op op = UINT64_MAX;

    *is_settled = true;
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++) {
        if (!cluster->is_alive[i]) continue;
        int error = inspect_replica(cluster, i, false, &report);
        if (error != 0) return error;
        if (op == UINT64_MAX) op = report.replica.op;
        if (report.replica.op != op || report.replica.applied != op) *is_settled = false;
    }
    return 0;
}

int vsr_cluster_settle(struct vsr_cluster *cluster, uint64_t timeout_ns)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const uint64_t start = act_now_ns();

    for (;;) {
        bool is_settled;
        int error = look(cluster, &is_settled);
        if (error != 0) return error;
        if (is_settled) return 0;
        if (act_now_ns() - start > timeout_ns) return -ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
}
