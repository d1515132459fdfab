/**
 * In-process clusters: options, start and stop.
 */
#include "leak_check.h"

#include "messages.h"

#include <act/port.h>
#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

LEAK_CHECKED_SUITE(cluster);

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const uint32_t *fails_at = context;

    if (fails_at != NULL && replica == *fails_at) return -ENOMEM;
    return vsr_counter_create(8, machine);
}

static struct act_runtime *start_runtime(void)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;

    act_runtime_options_init(&o);
    o.workers = 2;
    cr_assert_eq(act_runtime_start(&o, &runtime, NULL), 0);
    return runtime;
}

static struct vsr_cluster_options options_of(struct act_runtime *runtime)
{
    struct vsr_cluster_options o;

    vsr_cluster_options_init(&o);
    o.runtime = runtime;
    o.create_machine = create_machine;
    o.replica.cluster = 1;
    return o;
}

/* cluster.h: -EINVAL and why for an option out of range. */
Test(cluster, option_out_of_range_is_named)
{
    struct act_runtime *runtime = start_runtime();
    struct vsr_cluster_options o = options_of(runtime);
    struct vsr_cluster *cluster;
    struct vsr_error why;

    o.replica.replica_count = 8;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "replica_count");
    cr_assert_eq(why.max, 7);
    o = options_of(runtime);
    o.tick_ns = 99999;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "tick_ns");
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* cluster.h: on an error nothing is left behind. */
Test(cluster, failing_machine_leaves_nothing_behind)
{
    struct act_runtime *runtime = start_runtime();

    for (uint32_t replica = 0; replica < 3; replica++) {
        struct vsr_cluster_options o = options_of(runtime);
        struct vsr_cluster *cluster;
        o.machine_context = &replica;
        cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), -ENOMEM);
    }
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* cluster.h: a report of a replica that is not there is refused. */
Test(cluster, inspect_knows_its_replicas)
{
    struct act_runtime *runtime = start_runtime();
    struct vsr_cluster_options o = options_of(runtime);
    struct vsr_cluster *cluster;
    struct vsr_cluster_report report;

    cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), 0);
    cr_assert_eq(vsr_cluster_inspect(cluster, 0, &report), 0);
    cr_assert(report.replica.is_primary);
    cr_assert_eq(report.replica.status, VSR_STATUS_NORMAL);
    cr_assert_eq(vsr_cluster_inspect(cluster, 3, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(cluster, 1000000000), 0);
    vsr_cluster_stop(cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* cluster.h: -EINVAL to a thread with a port of another runtime, and nothing happens to either. */
Test(cluster, a_port_of_another_runtime_is_refused)
{
    struct act_runtime *runtimes[2] = {start_runtime(), start_runtime()};
    struct vsr_cluster *clusters[2];
    struct vsr_cluster *third;
    struct vsr_cluster_report report;
    struct act_port *port;

    for (int i = 0; i < 2; i++) {
        struct vsr_cluster_options o = options_of(runtimes[i]);
        cr_assert_eq(vsr_cluster_start(&o, &clusters[i], NULL), 0);
    }
    cr_assert_eq(act_port_open(runtimes[0], &port), 0);
    struct vsr_cluster_options o = options_of(runtimes[1]);
    cr_assert_eq(vsr_cluster_start(&o, &third, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_kill(clusters[1], 1, VSR_KILL_SAFELY), -EINVAL);
    cr_assert_eq(vsr_cluster_inspect(clusters[1], 1, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(clusters[1], 0), -EINVAL);
    cr_assert_eq(vsr_cluster_pause(clusters[0], 1), 0); /* its own is fine */
    cr_assert_eq(vsr_cluster_resume(clusters[0], 1), 0);
    act_port_close(port);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(vsr_cluster_look(clusters[i], 1, &report), 0);
        cr_assert_eq(report.run_state, VSR_RUNNING);
        vsr_cluster_stop(clusters[i]);
        cr_assert_eq(act_runtime_stop(runtimes[i]), 0);
    }
}

struct asker {
    struct vsr_cluster *cluster;
    struct vsr_cluster_options options;
    atomic_int answers[6];
    atomic_uint is_done;
};

static void ask_on_worker(void *state, struct act_message *m)
{
    struct asker *a = state;
    struct vsr_cluster_report report;
    struct vsr_cluster *another;

    act_message_unref(m);
    atomic_store(&a->answers[0], vsr_cluster_inspect(a->cluster, 0, &report));
    atomic_store(&a->answers[1], vsr_cluster_kill(a->cluster, 0, VSR_KILL_FORCED));
    atomic_store(&a->answers[2], vsr_cluster_restart(a->cluster, 0, NULL));
    atomic_store(&a->answers[3], vsr_cluster_pause(a->cluster, 0));
    atomic_store(&a->answers[4], vsr_cluster_settle(a->cluster, UINT64_MAX));
    atomic_store(&a->answers[5], vsr_cluster_start(&a->options, &another, NULL));
    atomic_store(&a->is_done, 1);
}

/* cluster.h: -EDEADLK on a worker, which would wait for itself. */
Test(cluster, a_worker_is_told_that_it_would_wait_for_itself)
{
    static const struct act_behaviour behaviour = {.receive = ask_on_worker};
    struct act_runtime *runtime = start_runtime();
    struct asker a = {.options = options_of(runtime)};
    struct act_port *port;
    act_id id;

    cr_assert_eq(vsr_cluster_start(&a.options, &a.cluster, NULL), 0);
    cr_assert_eq(act_port_open(runtime, &port), 0);
    cr_assert_eq(act_spawn(&(struct act_spawn_options){.behaviour = &behaviour, .state = &a}, &id),
                 0);
    struct act_message *m = act_message_create(1, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(id, m), 0);
    while (atomic_load(&a.is_done) == 0)
        sched_yield();
    act_port_close(port);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(atomic_load(&a.answers[i]), -EDEADLK, "call %d", i);
    vsr_cluster_stop(a.cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* cluster.h: so would vsr_cluster_stop, which has no error to return; and another runtime's port
 * does not reach its actors. The process ends with the caller's mistake in words. */
Test(cluster, stop_through_another_runtimes_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct act_runtime *runtime = start_runtime();
    struct act_runtime *other = start_runtime();
    struct vsr_cluster_options o = options_of(runtime);
    struct vsr_cluster *cluster;
    struct act_port *port;

    cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), 0);
    cr_assert_eq(act_port_open(other, &port), 0);
    vsr_cluster_stop(cluster);
}

static uint64_t (*true_digest)(void *state);
static atomic_uint digests;

/** The third replica's state differs from the others'. */
static uint64_t odd_digest(void *state)
{
    return true_digest(state) + (atomic_fetch_add(&digests, 1) % 3 == 2);
}

static int create_odd(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context, (void)replica;
    int error = vsr_counter_create(8, machine);
    true_digest = machine->digest;
    machine->digest = odd_digest;
    return error;
}

/* cluster.h: settled means the same state, not only the same log. */
Test(cluster, settle_compares_the_states)
{
    struct act_runtime *runtime = start_runtime();
    struct vsr_cluster_options o = options_of(runtime);
    struct vsr_cluster *cluster;

    o.create_machine = create_odd;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), 0);
    cr_assert_eq(vsr_cluster_settle(cluster, 10000000000), -EBADMSG);
    vsr_cluster_stop(cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* cluster.h: the log's ring has to fit into a pool; and why->text is filled for every error. */
Test(cluster, every_refusal_says_why)
{
    struct act_runtime_options ro;
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct vsr_error why;

    act_runtime_options_init(&ro);
    ro.workers = 2;
    ro.pool_bytes_max = 16 << 20;
    cr_assert_eq(act_runtime_start(&ro, &runtime, NULL), 0);
    struct vsr_cluster_options o = options_of(runtime);
    o.replica.log_ops = 1024;
    o.replica.batch_bytes_max = 16 * 1024; /* just as much as there is */
    cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), 0);
    vsr_cluster_stop(cluster);
    o.replica.log_ops = 2048;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "log_ops");
    cr_assert_not_null(strstr(why.text, "pool_bytes_max is 16777216"));
    o = options_of(runtime);
    o.replica.sessions_max = 0;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, &why), -EINVAL);
    cr_assert_str_eq(why.text, "sessions_max is 0; accepted is 1 to 4194304");
    uint32_t fails_at = 1;
    o = options_of(runtime);
    o.machine_context = &fails_at;
    cr_assert_eq(vsr_cluster_start(&o, &cluster, &why), -ENOMEM);
    cr_assert_gt(strlen(why.text), 0);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

/* No message steers a replica: what it is told to do lies in the process. */
Test(cluster, a_forged_control_moves_nobody)
{
    static const uint32_t types[] = {NODE_CONTROL, NODE_PERSISTED};
    struct act_runtime *runtime = start_runtime();
    struct vsr_cluster_options o = options_of(runtime);
    struct vsr_cluster *cluster;
    struct vsr_cluster_report report;
    struct act_port *port;

    cr_assert_eq(vsr_cluster_start(&o, &cluster, NULL), 0);
    cr_assert_eq(act_port_open(runtime, &port), 0);
    for (uint32_t bytes = 0; bytes <= 64; bytes += 8) {
        for (uint32_t i = 0; i < 2; i++) {
            struct act_message *m = act_message_create(types[i], bytes);
            cr_assert_not_null(m);
            memset(m->body, 0x41, bytes);
            cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(cluster), 1), m), 0);
        }
    }
    cr_assert_eq(vsr_cluster_look(cluster, 1, &report), 0);
    cr_assert_eq(report.run_state, VSR_RUNNING);
    act_port_close(port);
    vsr_cluster_stop(cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}
