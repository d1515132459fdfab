/**
 * Defaults: what the headers say of them is what the functions fill in, for every number.
 */
#include "leak_check.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/client_actor.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>
#include <vsr/peers.h>
#include <vsr/service.h>

#include <criterion/criterion.h>
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

#define CHECK(header, options, field) check(header, #field, (options).field)

/* replica.h */
Test(defaults, of_a_replica)
{
    struct vsr_replica_options o;

    memset(&o, 0xFF, sizeof o);
    vsr_replica_options_init(&o);
    CHECK("replica.h", o, cluster);
    CHECK("replica.h", o, replica_count);
    CHECK("replica.h", o, replica);
    CHECK("replica.h", o, incarnation);
    CHECK("replica.h", o, quorum_replication);
    CHECK("replica.h", o, quorum_view_change);
    CHECK("replica.h", o, sessions_max);
    CHECK("replica.h", o, op_bytes_max);
    CHECK("replica.h", o, result_bytes_max);
    CHECK("replica.h", o, log_ops);
    CHECK("replica.h", o, pipeline_max);
    CHECK("replica.h", o, batch_bytes_max);
    CHECK("replica.h", o, batch_requests_max);
    CHECK("replica.h", o, reply_bytes_max);
    CHECK("replica.h", o, queue_max);
    CHECK("replica.h", o, replies_per_message);
    CHECK("replica.h", o, heartbeat_ticks);
    CHECK("replica.h", o, resend_ticks);
    CHECK("replica.h", o, suspect_ticks);
    CHECK("replica.h", o, abdicate_ticks);
    cr_assert_eq(o.catch_up_ticks, 0);
    CHECK("replica.h", o, checkpoint_ops);
    CHECK("replica.h", o, chunk_bytes_max);
    CHECK("replica.h", o, recovery_quorum);
    CHECK("replica.h", o, seed);
}

/* client.h, client_actor.h */
Test(defaults, of_a_client)
{
    struct vsr_client_actor_options a;

    memset(&a, 0xFF, sizeof a);
    vsr_client_actor_options_init(&a);
    const struct vsr_client_options o = a.client;
    CHECK("client.h", o, cluster);
    CHECK("client.h", o, replica_count);
    CHECK("client.h", o, sessions);
    CHECK("client.h", o, sessions_max);
    CHECK("client.h", o, op_bytes_max);
    CHECK("client.h", o, request_bytes_max);
    CHECK("client.h", o, requests_per_message);
    CHECK("client.h", o, retry_ticks);
    CHECK("client.h", o, retry_doublings);
    CHECK("client.h", o, busy_ticks);
    cr_assert_eq(o.id[0] | o.id[1], 0);
    CHECK("client_actor.h", a, place);
    CHECK("client_actor.h", a, mailbox_max);
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
    CHECK("cluster.h", c, tick_ns);
    CHECK("cluster.h", c, mailbox_max);
    cr_assert_eq(c.replica.replica_count, 3);
    cr_assert_eq(c.replica.op_bytes_max, 1024);
    cr_assert_eq(c.replica.suspect_ticks, 100);
    cr_assert_eq(c.replica.abdicate_ticks, 150);
    vsr_replica_options_init(&r);
    r.replica_count = 3;
    r.op_bytes_max = 1024;
    r.suspect_ticks = 100;
    r.abdicate_ticks = 150;
    cr_assert_arr_eq(&c.replica, &r, offsetof(struct vsr_replica_options, buffers));
    vsr_service_options_init(&s);
    CHECK("service.h", s, sessions);
    CHECK("service.h", s, waiting_max);
    CHECK("service.h", s, place);
    CHECK("service.h", s, mailbox_max);
    CHECK("service.h", s, seed);
    vsr_peers_options_init(&p);
    CHECK("peers.h", p, replica_count);
    CHECK("peers.h", p, cluster);
    CHECK("peers.h", p, sessions_max);
    CHECK("peers.h", p, op_bytes_max);
    CHECK("peers.h", p, result_bytes_max);
    CHECK("peers.h", p, tick_ns);
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

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context, (void)replica;
    return vsr_counter_create(8, machine);
}

/** Kills a replica while so many callers are open. Returns what vsr_cluster_kill returned. */
static int kill_beside_callers(uint32_t callers)
{
    struct act_runtime_options ro;
    struct vsr_cluster_options c;
    struct vsr_service_options s;
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct vsr_cluster_report report;
    struct holder holder[16];
    pthread_t threads[16];
    pthread_barrier_t opened, done;
    act_id service;

    act_runtime_options_init(&ro);
    ro.workers = 2;
    cr_assert_eq(ro.ports_max, 8, "what caller.h and cluster.h say");
    cr_assert_eq(act_runtime_start(&ro, &runtime, NULL), 0);
    vsr_cluster_options_init(&c);
    c.runtime = runtime;
    c.create_machine = create_machine;
    cr_assert_eq(vsr_cluster_start(&c, &cluster, NULL), 0);
    vsr_service_options_init(&s);
    s.peers = vsr_cluster_peers(cluster);
    cr_assert_eq(vsr_service_spawn(&s, &service, NULL), 0);
    pthread_barrier_init(&opened, NULL, callers + 1);
    pthread_barrier_init(&done, NULL, callers + 1);
    for (uint32_t i = 0; i < callers; i++) {
        holder[i] = (struct holder){runtime, service, &opened, &done, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, hold_a_caller, &holder[i]), 0);
    }
    pthread_barrier_wait(&opened);
    const int error = vsr_cluster_kill(cluster, 2, VSR_KILL_SAFELY);
    cr_assert_eq(vsr_cluster_look(cluster, 2, &report), error);
    pthread_barrier_wait(&done);
    for (uint32_t i = 0; i < callers; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(holder[i].error, 0);
    }
    cr_assert_eq(vsr_cluster_look(cluster, 2, &report), 0);
    cr_assert_eq(report.run_state, error == 0 ? VSR_DOWN : VSR_RUNNING, "as if it was not called");
    cr_assert_eq(vsr_service_stop(runtime, service, 10000000000ull), 0);
    vsr_cluster_stop(cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
    pthread_barrier_destroy(&opened);
    pthread_barrier_destroy(&done);
    return error;
}

Test(defaults, calls_need_a_port_beside_the_callers)
{
    cr_assert_eq(kill_beside_callers(7), 0);
    cr_assert_eq(kill_beside_callers(8), -EAGAIN);
}
