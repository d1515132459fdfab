/**
 * In-process clusters: options, start and stop.
 */
#include "leak_check.h"

#include "messages.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

LEAK_CHECKED_SUITE(cluster);

/** Fails at the replica that is its context. */
static int fail_at(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const uint32_t *failing = context;
    return replica == *failing ? -ENOMEM : vsr_counter_create(8, machine);
}

/** Starts a cluster, which is refused with an option's name in *why. */
static void assert_refused(const struct vsr_cluster_options *o, const char *option,
                           struct vsr_error *why)
{
    struct vsr_cluster *cluster;

    cr_assert_eq(vsr_cluster_start(o, &cluster, why), -EINVAL);
    cr_assert_str_eq(why->option, option);
}

/* cluster.h: -EINVAL and why for an option out of range. */
Test(cluster, option_out_of_range_is_named)
{
    struct world w;
    struct vsr_cluster_options o;
    struct vsr_error why;

    world_init(&w);
    world_start_runtime(&w);
    o = w.options, o.replica.replica_count = 8, assert_refused(&o, "replica_count", &why);
    cr_assert_eq(why.max, 7);
    o = w.options, o.tick_ns = 99999, assert_refused(&o, "tick_ns", &why);
    cr_assert_eq(why.min, 100000);
    o = w.options, o.runtime = NULL, assert_refused(&o, "runtime", &why);
    o = w.options, o.create_machine = NULL, assert_refused(&o, "create_machine", &why);
    cr_assert_eq(vsr_cluster_start(&o, &w.cluster, NULL), -EINVAL);
    world_stop(&w);
}

/* cluster.h: on an error nothing is left behind. */
Test(cluster, failing_machine_leaves_nothing_behind)
{
    struct world w;

    world_init(&w);
    world_start_runtime(&w);
    w.options.create_machine = fail_at;
    for (uint32_t replica = 0; replica < 3; replica++) {
        w.options.machine_context = &replica;
        cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), -ENOMEM);
    }
    world_stop(&w);
}

/* cluster.h: a report of a replica that is not there is refused. */
Test(cluster, inspect_knows_its_replicas)
{
    struct world w;
    struct vsr_cluster_report report;

    world_init(&w);
    world_start(&w);
    report = world_inspect(&w, 0);
    cr_assert(report.replica.is_primary);
    cr_assert_eq(report.replica.status, VSR_STATUS_NORMAL);
    cr_assert_eq(vsr_cluster_inspect(w.cluster, 3, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(w.cluster, SECOND), 0);
    world_stop(&w);
}

/* cluster.h: -EINVAL to a thread with a port of another runtime, and nothing happens to either. */
Test(cluster, a_port_of_another_runtime_is_refused)
{
    struct world worlds[2];
    struct vsr_cluster *third;
    struct vsr_cluster_report report;
    struct act_port *port;
    act_id id;

    for (int i = 0; i < 2; i++) {
        world_init(&worlds[i]);
        world_start(&worlds[i]);
    }
    cr_assert_eq(act_port_open(worlds[0].runtime, &port), 0);
    cr_assert_eq(vsr_service_spawn(&worlds[1].service_options, &id, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_start(&worlds[1].options, &third, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_kill(worlds[1].cluster, 1, VSR_KILL_SAFELY), -EINVAL);
    cr_assert_eq(vsr_cluster_inspect(worlds[1].cluster, 1, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(worlds[1].cluster, 0), -EINVAL);
    cr_assert_eq(vsr_cluster_pause(worlds[0].cluster, 1), 0); /* its own is fine */
    cr_assert_eq(vsr_cluster_resume(worlds[0].cluster, 1), 0);
    act_port_close(port);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(world_look(&worlds[i], 1).run_state, VSR_RUNNING);
        world_stop(&worlds[i]);
    }
}

struct asker {
    struct world world;
    atomic_int answers[7];
    atomic_uint is_done;
};

static void ask_on_worker(void *state, struct act_message *m)
{
    struct asker *a = state;
    struct vsr_cluster_report report;
    struct vsr_cluster *another;

    act_message_unref(m);
    atomic_store(&a->answers[0], vsr_cluster_inspect(a->world.cluster, 0, &report));
    atomic_store(&a->answers[1], vsr_cluster_kill(a->world.cluster, 0, VSR_KILL_FORCED));
    atomic_store(&a->answers[2], vsr_cluster_restart(a->world.cluster, 0, NULL));
    atomic_store(&a->answers[3], vsr_cluster_pause(a->world.cluster, 0));
    atomic_store(&a->answers[4], vsr_cluster_settle(a->world.cluster, UINT64_MAX));
    atomic_store(&a->answers[5], vsr_cluster_start(&a->world.options, &another, NULL));
    atomic_store(&a->answers[6], vsr_cluster_stop(a->world.cluster, NULL));
    atomic_store(&a->is_done, 1);
}

/* cluster.h: -EDEADLK on a worker, which would wait for itself. */
Test(cluster, a_worker_is_told_that_it_would_wait_for_itself)
{
    static const struct act_behaviour behaviour = {.receive = ask_on_worker};
    struct asker a = {.is_done = 0};
    struct act_port *port;
    act_id id;

    world_init(&a.world);
    world_start(&a.world);
    cr_assert_eq(act_port_open(a.world.runtime, &port), 0);
    cr_assert_eq(act_spawn(&(struct act_spawn_options){.behaviour = &behaviour, .state = &a}, &id),
                 0);
    struct act_message *m = act_message_create(1, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(id, m), 0);
    AWAIT(atomic_load(&a.is_done) == 1);
    act_port_close(port);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(atomic_load(&a.answers[i]), -EDEADLK, "call %d", i);
    world_stop(&a.world);
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
    struct world w;

    world_init(&w);
    w.options.create_machine = create_odd;
    world_start(&w);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 10 * SECOND), -EBADMSG);
    world_stop(&w);
}

/* cluster.h: the log's ring has to fit into a pool; and why->text is filled for every error. */
Test(cluster, every_refusal_says_why)
{
    struct world w;
    struct vsr_cluster_options o;
    struct vsr_error why;

    world_init(&w);
    w.runtime_options.pool_bytes_max = 16 << 20;
    w.options.replica.log_ops = 1024;
    w.options.replica.batch_bytes_max = 16 * 1024; /* just as much as there is */
    world_start(&w);
    o = w.options, o.replica.log_ops = 2048, assert_refused(&o, "log_ops", &why);
    cr_assert_not_null(strstr(why.text, "pool_bytes_max is 16777216"));
    o = w.options, o.replica.sessions_max = 0, assert_refused(&o, "sessions_max", &why);
    cr_assert_str_eq(why.text, "sessions_max is 0; accepted is 1 to 4194304");
    o = w.options, o.create_machine = fail_at, o.machine_context = &(uint32_t){1};
    cr_assert_eq(vsr_cluster_start(&o, &w.cluster, &why), -ENOMEM);
    cr_assert_gt(strlen(why.text), 0);
    world_stop(&w);
}

/* No message steers a replica: what it is told to do lies in the process. */
Test(cluster, a_forged_control_moves_nobody)
{
    static const uint32_t types[] = {NODE_CONTROL, NODE_DURABLE};
    struct world w;
    struct act_port *port;

    world_init(&w);
    world_start(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    for (uint32_t bytes = 0; bytes <= 64; bytes += 8) {
        for (uint32_t i = 0; i < 2; i++) {
            struct act_message *m = act_message_create(types[i], bytes);
            cr_assert_not_null(m);
            memset(m->body, 0x41, bytes);
            cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(w.cluster), 1), m), 0);
        }
    }
    cr_assert_eq(world_look(&w, 1).run_state, VSR_RUNNING);
    act_port_close(port);
    world_stop(&w);
}
