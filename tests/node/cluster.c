/**
 * In-process clusters: options, start and stop.
 */
#include "leak_check.h"

#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <criterion/criterion.h>
#include <errno.h>
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
