/**
 * A cluster in one process: starts and stops its replicas. What is done to them meanwhile is
 * steering.c's.
 */
#include "steering.h"

#include "../core/assert.h"
#include "../core/options.h"
#include "errors.h"
#include "misuse.h"
#include "ports.h"
#include "storage.h"
#include "wait.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <vsr/cluster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct vsr_peers *vsr_cluster_peers(struct vsr_cluster *cluster)
{
    NODE_REQUIRE(cluster != NULL, "cluster is NULL");
    return &cluster->peers;
}

uint32_t vsr_cluster_replica_count(const struct vsr_cluster *cluster)
{
    NODE_REQUIRE(cluster != NULL, "cluster is NULL");
    return cluster->common.options.replica.replica_count;
}

void vsr_cluster_options_init(struct vsr_cluster_options *options)
{
    *options = (struct vsr_cluster_options){.tick_ns = 1000000, .mailbox_max = 1 << 20};
    vsr_replica_options_init(&options->replica);
    options->replica.replica_count = 3;
    options->replica.op_bytes_max = 1024;
    /* Threads that share their cores with others lose them for tens of milliseconds. */
    options->replica.suspect_ticks = 100;
    options->replica.abdicate_ticks = 150;
}

/* Start and stop. */

/** The entries of the ring lie in the pool of whoever was the primary: they have to fit into it. */
static int check_pool(const struct vsr_cluster_options *options, struct vsr_error *why)
{
    const uint64_t bytes_max = act_runtime_pool_bytes_max(options->runtime);
    const uint64_t ring_bytes =
        (uint64_t)options->replica.log_ops * options->replica.batch_bytes_max;

    if (ring_bytes <= bytes_max) return 0;
    return vsr_node_explain(
        why, "log_ops", -EINVAL,
        "the log's ring, log_ops %u of up to batch_bytes_max %u bytes, may need %llu "
        "bytes; the runtime's pool_bytes_max is %llu: raise that, or lower these",
        options->replica.log_ops, options->replica.batch_bytes_max, (unsigned long long)ring_bytes,
        (unsigned long long)bytes_max);
}

static int check(const struct vsr_cluster_options *options, struct vsr_error *why)
{
    if (options->storage != NULL && options->superblock_directory != NULL)
        return vsr_node_explain(why, "storage", -EINVAL,
                                "storage and superblock_directory: a cluster has one of them");
    const struct vsr_storage *storage = options->storage;
    if (storage != NULL && (storage->write == NULL || storage->read == NULL))
        return vsr_node_explain(why, "storage", -EINVAL, "storage: it has no %s",
                                storage->write == NULL ? "write" : "read");
    if (options->is_formatting && options->superblock_directory == NULL)
        return vsr_node_explain(why, "is_formatting", -EINVAL,
                                "is_formatting needs a superblock_directory");
    if (options->runtime == NULL || options->create_machine == NULL || options->tick_ns < 100000) {
        const bool is_tick = options->runtime != NULL && options->create_machine != NULL;
        if (why == NULL) return -EINVAL;
        *why = (struct vsr_error){
            .option = is_tick                    ? "tick_ns"
                      : options->runtime == NULL ? "runtime"
                                                 : "create_machine",
            .value = is_tick ? options->tick_ns : 0,
            .min = is_tick ? 100000 : 1,
            .max = UINT64_MAX,
            .rule = is_tick ? "in ns, of a tick of the protocol's timers" : "it has no default",
        };
        vsr_error_explain(why);
        return -EINVAL;
    }
    /* result_bytes_max is the state machine's, and is looked at once there is one. */
    struct vsr_replica_options o = options->replica;
    o.result_bytes_max = 0;
    int error = vsr_replica_options_check(&o, why);
    return error != 0 ? error : check_pool(options, why);
}

/** Replicas that all start have no log; when one of them had one it is gone, with what it held. */
static int check_first_life(struct vsr_cluster *cluster, struct vsr_error *why)
{
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++) {
        struct vsr_superblock superblock;
        int error = vsr_node_storage_read(cluster->common.storage, i, &superblock, why);
        if (error != 0) return error;
        if (superblock.incarnation == 0) continue;
        return vsr_node_explain(
            why, cluster->common.options.storage != NULL ? "storage" : "superblock_directory",
            -ENOTRECOVERABLE,
            "replica %u ran before, and all replicas were stopped at once: their logs "
            "were in memory and are gone. To begin with an empty cluster remove the "
            "superblocks of all replicas (%s) and format",
            i,
            cluster->common.options.storage != NULL ? "of the storage"
                                                    : cluster->common.options.superblock_directory);
    }
    return 0;
}

/** Starts all replicas: they are made before the first begins, so that none has to wait. */
static int begin(struct vsr_cluster *cluster, struct vsr_error *why)
{
    const uint32_t count = vsr_cluster_replica_count(cluster);
    struct vsr_node_control controls[VSR_REPLICAS_MAX];
    uint32_t asked = 0;
    uint32_t made = 0;
    int error = 0;

    VSR_ASSERT(cluster->common.storage != NULL);
    VSR_ASSERT(count <= VSR_REPLICAS_MAX);
    error = check_first_life(cluster, why);
    while (made < count && error == 0) {
        error = vsr_node_prepare(&cluster->nodes[made], &cluster->peers, &controls[made], why);
        made += error == 0;
    }
    while (asked < made && error == 0) {
        error = vsr_node_ask(&cluster->nodes[asked], &controls[asked]);
        asked += error == 0;
    }
    for (uint32_t i = 0; i < asked; i++) {
        int answer = vsr_node_await(&cluster->nodes[i], &controls[i]);
        if (error == 0) error = answer;
    }
    VSR_ASSERT(asked <= made);
    VSR_ASSERT(error != 0 || asked == count);
    for (uint32_t i = 0; i < made; i++) {
        /* A replica that has begun has taken its life and left an empty one. */
        VSR_ASSERT(error != 0 || controls[i].life.driver.core == NULL);
        vsr_node_life_destroy(&controls[i].life);
    }
    return error;
}

/** Waits until every replica's first superblock is durable. */
static int await_started(struct vsr_cluster *cluster, struct vsr_error *why)
{
    struct vsr_node_wait wait = vsr_node_wait_begin("a replica's first superblock", 0);

    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster);) {
        struct vsr_cluster_report report;
        int error = vsr_node_inspect(&cluster->nodes[i], false, &report);
        if (error != 0) return error;
        if (report.run_state == VSR_FAILED) {
            const char *directory = cluster->common.options.superblock_directory;
            return vsr_node_explain(why, directory != NULL ? "superblock_directory" : "storage",
                                    -EIO,
                                    "replica %u: its superblock could not be written; look at %s",
                                    i, directory != NULL ? directory : "the storage");
        }
        if (report.replica.status != VSR_STATUS_STARTING) {
            wait = vsr_node_wait_begin(wait.what, ++i);
        } else if (!vsr_node_wait_pause(&wait)) {
            return vsr_node_explain(why, "storage", -ETIMEDOUT,
                                    "replica %u: its first superblock is not durable yet", i);
        }
    }
    return 0;
}

/** Stops the actors; the storage is left. */
static void stop_replicas(struct vsr_cluster *cluster)
{
    VSR_ASSERT(!act_on_worker()); /* It would wait for itself. */
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++)
        vsr_node_stop(&cluster->nodes[i]);
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++)
        vsr_node_join(&cluster->nodes[i]);
}

static struct vsr_cluster *create(const struct vsr_cluster_options *options)
{
    const struct vsr_replica_options *r = &options->replica;
    const struct vsr_peers_options peers = {
        .runtime = options->runtime,
        .replica_count = r->replica_count,
        .cluster = r->cluster,
        .sessions_max = r->sessions_max,
        .op_bytes_max = r->op_bytes_max,
        .tick_ns = options->tick_ns,
        .send = options->send,
        .send_context = options->send_context,
    };
    pthread_mutexattr_t attributes;
    struct vsr_cluster *c = calloc(1, sizeof *c);

    VSR_ASSERT(r->replica_count >= 1);
    VSR_ASSERT(r->replica_count <= VSR_REPLICAS_MAX);
    if (c == NULL) return NULL;
    c->common.options = *options;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&c->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    vsr_node_health_init(&c->common.health, r);
    vsr_node_peers_init(&c->peers, &peers, &c->common.health);
    for (uint32_t i = 0; i < r->replica_count; i++)
        vsr_node_init(&c->nodes[i], &c->common, i);
    return c;
}

static void destroy(struct vsr_cluster *cluster)
{
    VSR_ASSERT(atomic_load(&cluster->calls) == 0);
    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster); i++)
        vsr_node_deinit(&cluster->nodes[i]);
    vsr_node_peers_deinit(&cluster->peers);
    pthread_mutex_destroy(&cluster->mutex);
    free(cluster);
}

static int start_replicas(struct vsr_cluster *cluster, struct vsr_error *why)
{
    int error = 0;

    for (uint32_t i = 0; i < vsr_cluster_replica_count(cluster) && error == 0; i++) {
        error = vsr_node_spawn(&cluster->nodes[i]);
        cluster->peers.ids[i] = cluster->nodes[i].address;
    }
    if (error == 0) error = begin(cluster, why);
    cluster->peers.options.result_bytes_max = cluster->common.options.replica.result_bytes_max;
    if (error == 0) error = await_started(cluster, why);
    if (error != 0) stop_replicas(cluster);
    return error;
}

static int start(const struct vsr_cluster_options *options, struct vsr_cluster **cluster,
                 struct vsr_error *why)
{
    struct act_port *port;
    if (options == NULL || cluster == NULL) return -EINVAL;
    int error = act_on_worker() ? -EDEADLK : check(options, why);
    if (error != 0) return error;

    struct vsr_cluster *c = create(options);
    if (c == NULL) return -ENOMEM;
    error = vsr_node_port_borrow(c->common.options.runtime, &port);
    if (error != 0) goto undo;
    error = vsr_node_storage_create(&c->common.options, &c->common.storage, why);
    if (error != 0) goto undo_port;
    error = start_replicas(c, why);
    if (error != 0) goto undo_storage;
    vsr_node_port_return(port);
    *cluster = c;
    return 0;

undo_storage:
    vsr_node_storage_undo(c->common.storage);
undo_port:
    vsr_node_port_return(port);
undo:
    destroy(c);
    return error;
}

int vsr_cluster_start(const struct vsr_cluster_options *options, struct vsr_cluster **cluster,
                      struct vsr_error *why)
{
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    int error = start(options, cluster, why);
    vsr_node_error_finish(why, error);
    return error;
}

/** Whether anybody still looks at what the cluster has. Returns 0, or -EBUSY and *why. */
static int check_idle(struct vsr_cluster *cluster, struct vsr_error *why)
{
    char more[32] = "";
    act_id one;
    const uint32_t clients = vsr_node_peers_clients(&cluster->peers, &one);

    if (atomic_load(&cluster->calls) > 0)
        return vsr_node_explain(why, "cluster", -EBUSY,
                                "another call about the cluster has not returned");
    if (clients == 0) return 0;
    if (clients > 1) snprintf(more, sizeof more, ", nor have %u more", clients - 1);
    return vsr_node_explain(
        why, "cluster", -EBUSY,
        "the service or client actor %llu has not ended%s: wait for vsr_service_stop, or stop the "
        "client actor and wait for its `stopped`, then stop the cluster",
        (unsigned long long)one, more);
}

static int stop(struct vsr_cluster *cluster, struct vsr_error *why)
{
    struct act_port *port;

    if (cluster == NULL) return -EINVAL;
    if (act_on_worker()) return -EDEADLK;
    int error = check_idle(cluster, why);
    if (error == 0) error = vsr_node_port_borrow(cluster->common.options.runtime, &port);
    if (error != 0) return error;
    stop_replicas(cluster);
    vsr_node_storage_destroy(cluster->common.storage);
    destroy(cluster);
    vsr_node_port_return(port);
    return 0;
}

int vsr_cluster_stop(struct vsr_cluster *cluster, struct vsr_error *why)
{
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    const int error = stop(cluster, why);
    vsr_node_error_finish(why, error);
    return error;
}
