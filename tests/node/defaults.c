/**
 * Defaults: what the headers say of them is what the functions fill in, for every number.
 */
#include "leak_check.h"

#include "world.h"

#include <vsr/client_actor.h>
#include <vsr/peers.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(defaults);

/** Compares a field with the number that its comment in a header begins with. */
static void check(const char *header, const char *field, uint64_t value)
{
    char path[512], line[256], wanted[80];
    bool is_found = false;

    snprintf(path, sizeof path, "%s/%s", VSR_INCLUDE, header);
    snprintf(wanted, sizeof wanted, " %s;", field);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (!is_found && fgets(line, sizeof line, file) != NULL) {
        const char *at = strstr(line, wanted);
        const char *comment = at != NULL ? strstr(at, "/* ") : NULL;
        char *end;
        if (comment == NULL) continue;
        is_found = true;
        const uint64_t said = strtoull(comment + 3, &end, 10);
        cr_assert_neq(end, comment + 3, "%s: %s has no default", header, field);
        cr_assert_eq(said, value, "%s: %s is %llu, not %llu", header, field,
                     (unsigned long long)value, (unsigned long long)said);
    }
    fclose(file);
    cr_assert(is_found, "%s says nothing of %s", header, field);
}

/* The fields of each header that have a number for a default. */
/* clang-format off */

#define REPLICA_FIELDS(X)                                                                          \
    X(cluster) X(replica_count) X(replica) X(incarnation) X(quorum_replication)                    \
    X(quorum_view_change) X(sessions_max) X(op_bytes_max) X(result_bytes_max) X(log_ops)           \
    X(pipeline_max) X(batch_bytes_max) X(batch_requests_max) X(reply_bytes_max) X(queue_max)       \
    X(replies_per_message) X(heartbeat_ticks) X(resend_ticks) X(suspect_ticks) X(abdicate_ticks)   \
    X(checkpoint_ops) X(chunk_bytes_max) X(recovery_quorum) X(seed)
#define CLIENT_FIELDS(X)                                                                           \
    X(cluster) X(replica_count) X(sessions) X(sessions_max) X(op_bytes_max) X(request_bytes_max)   \
    X(requests_per_message) X(retry_ticks) X(retry_doublings) X(busy_ticks)
#define CLIENT_ACTOR_FIELDS(X) X(place) X(mailbox_max)
#define CLUSTER_FIELDS(X) X(tick_ns) X(mailbox_max)
#define SERVICE_FIELDS(X) X(sessions) X(waiting_max) X(place) X(mailbox_max) X(seed)
#define PEERS_FIELDS(X)                                                                            \
    X(replica_count) X(cluster) X(sessions_max) X(op_bytes_max) X(result_bytes_max) X(tick_ns)
/* clang-format on */

/* replica.h */
Test(defaults, of_a_replica)
{
    struct vsr_replica_options o;

    memset(&o, 0xFF, sizeof o);
    vsr_replica_options_init(&o);
#define X(field) check("replica.h", #field, o.field);
    REPLICA_FIELDS(X)
#undef X
    cr_assert_eq(o.catch_up_ticks, 0);
}

/* client.h, client_actor.h */
Test(defaults, of_a_client)
{
    struct vsr_client_actor_options a;

    memset(&a, 0xFF, sizeof a);
    vsr_client_actor_options_init(&a);
    const struct vsr_client_options o = a.client;
#define X(field) check("client.h", #field, o.field);
    CLIENT_FIELDS(X)
#undef X
    cr_assert_eq(o.id[0] | o.id[1], 0);
#define X(field) check("client_actor.h", #field, a.field);
    CLIENT_ACTOR_FIELDS(X)
#undef X
    cr_assert_null(a.peers);
    cr_assert_null(a.callbacks);
    cr_assert_eq(a.seed, 0);
}

/* cluster.h: those of replica.h but for four. service.h, peers.h */
Test(defaults, of_a_cluster_its_peers_and_services)
{
    struct vsr_cluster_options c;
    struct vsr_replica_options r;
    struct vsr_service_options s;
    struct vsr_peers_options p;

    memset(&c, 0xFF, sizeof c);
    memset(&s, 0xFF, sizeof s);
    memset(&p, 0xFF, sizeof p);
    vsr_cluster_options_init(&c);
#define X(field) check("cluster.h", #field, c.field);
    CLUSTER_FIELDS(X)
#undef X
    cr_assert_eq(c.replica.replica_count, 3);
    cr_assert_eq(c.replica.op_bytes_max, 1024);
    cr_assert_eq(c.replica.suspect_ticks, 100);
    cr_assert_eq(c.replica.abdicate_ticks, 150);
    vsr_replica_options_init(&r);
    r.replica_count = 3;
    r.op_bytes_max = 1024;
    r.suspect_ticks = 100;
    r.abdicate_ticks = 150;
    /* Field by field: padding has no value. */
    cr_assert_eq(c.replica.sessions_max, r.sessions_max);
    cr_assert_eq(c.replica.result_bytes_max, r.result_bytes_max);
    cr_assert_eq(c.replica.log_ops, r.log_ops);
    cr_assert_eq(c.replica.pipeline_max, r.pipeline_max);
    cr_assert_eq(c.replica.batch_bytes_max, r.batch_bytes_max);
    cr_assert_eq(c.replica.batch_requests_max, r.batch_requests_max);
    cr_assert_eq(c.replica.reply_bytes_max, r.reply_bytes_max);
    cr_assert_eq(c.replica.queue_max, r.queue_max);
    cr_assert_eq(c.replica.heartbeat_ticks, r.heartbeat_ticks);
    cr_assert_eq(c.replica.resend_ticks, r.resend_ticks);
    cr_assert_eq(c.replica.checkpoint_ops, r.checkpoint_ops);
    cr_assert_eq(c.replica.chunk_bytes_max, r.chunk_bytes_max);
    cr_assert_eq(c.replica.catch_up_ticks, r.catch_up_ticks);
    vsr_service_options_init(&s);
#define X(field) check("service.h", #field, s.field);
    SERVICE_FIELDS(X)
#undef X
    vsr_peers_options_init(&p);
#define X(field) check("peers.h", #field, p.field);
    PEERS_FIELDS(X)
#undef X
}

/* caller.h, cluster.h: 8 ports by default; a call about a cluster uses one, unless the thread has.
 */

struct holder {
    struct act_runtime *runtime;
    act_id service;
    pthread_barrier_t *opened, *done;
    int error;
};

static void *hold_a_caller(void *context)
{
    struct holder *h = context;
    struct vsr_caller *caller = NULL;

    h->error = vsr_caller_open(h->runtime, h->service, &caller);
    pthread_barrier_wait(h->opened);
    pthread_barrier_wait(h->done);
    if (caller != NULL) vsr_caller_close(caller);
    return NULL;
}

/** Kills a replica while so many callers are open. Returns what vsr_cluster_kill returned. */
static int kill_beside_callers(uint32_t callers)
{
    struct world w;
    struct vsr_cluster_report report;
    struct holder holder[16];
    pthread_t threads[16];
    pthread_barrier_t opened, done;

    world_init(&w);
    cr_assert_eq(w.runtime_options.ports_max, 8, "what caller.h and cluster.h say");
    world_start_service(&w);
    pthread_barrier_init(&opened, NULL, callers + 1);
    pthread_barrier_init(&done, NULL, callers + 1);
    for (uint32_t i = 0; i < callers; i++) {
        holder[i] = (struct holder){w.runtime, w.service, &opened, &done, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, hold_a_caller, &holder[i]), 0);
    }
    pthread_barrier_wait(&opened);
    const int error = vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY);
    cr_assert_eq(vsr_cluster_look(w.cluster, 2, &report), error);
    pthread_barrier_wait(&done);
    for (uint32_t i = 0; i < callers; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(holder[i].error, 0);
    }
    cr_assert_eq(vsr_cluster_look(w.cluster, 2, &report), 0);
    cr_assert_eq(report.run_state, error == 0 ? VSR_DOWN : VSR_RUNNING, "as if it was not called");
    world_stop(&w);
    pthread_barrier_destroy(&opened);
    pthread_barrier_destroy(&done);
    return error;
}

Test(defaults, calls_need_a_port_beside_the_callers)
{
    cr_assert_eq(kill_beside_callers(7), 0);
    cr_assert_eq(kill_beside_callers(8), -EAGAIN);
}
