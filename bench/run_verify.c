/**
 * What makes a run's figures good: see run_verify in run.h.
 */
#include "run.h"

static bool verify_clients(struct run *run)
{
    for (uint32_t i = 0; i < run->client_count; i++) {
        const struct bench_client *c = &run->clients[i];
        uint64_t got = atomic_load_explicit(&c->answered, memory_order_relaxed);
        if (c->submitted != got || c->unexpected != 0)
            return run_fail(run, "client %u: %llu operations submitted, %llu answered, %llu twice",
                            i, (unsigned long long)c->submitted, (unsigned long long)got,
                            (unsigned long long)c->unexpected);
        if (c->wrong_results != 0)
            return run_fail(run,
                            "client %u: %llu results are not what the state machine has to say", i,
                            (unsigned long long)c->wrong_results);
        if (c->evictions != 0)
            return run_fail(run, "client %u: %llu sessions were evicted", i,
                            (unsigned long long)c->evictions);
    }
    return true;
}

/** A replica is in order, and has executed what its clients were answered. */
static bool verify_replica(struct run *run, uint32_t group, uint32_t replica,
                           struct vsr_cluster_report *report)
{
    const uint64_t answered = run_group_answered(run, group);

    if (vsr_cluster_inspect(run->groups[group], replica, report) != 0)
        return run_fail(run, "group %u: replica %u could not be inspected", group, replica);
    if (report->run_state != VSR_RUNNING || report->replica.status != VSR_STATUS_NORMAL)
        return run_fail(run, "group %u: replica %u is %s", group, replica,
                        report->run_state != VSR_RUNNING ? "not running"
                                                         : vsr_status_name(report->replica.status));
    if (report->replica.counters.requests_executed != answered)
        return run_fail(run, "group %u: replica %u applied %llu operations, %llu were acknowledged",
                        group, replica,
                        (unsigned long long)report->replica.counters.requests_executed,
                        (unsigned long long)answered);
    return true;
}

static bool verify_group(struct run *run, uint32_t group)
{
    struct vsr_cluster_report first;
    struct vsr_cluster_report report;

    if (vsr_cluster_settle(run->groups[group], 10000000000ull) != 0)
        return run_fail(run, "group %u: the replicas did not reach the same op within 10 s", group);
    if (!verify_replica(run, group, 0, &first)) return false;
    for (uint32_t i = 1; i < run->options->replicas; i++) {
        if (!verify_replica(run, group, i, &report)) return false;
        if (report.replica.applied != first.replica.applied || report.digest != first.digest ||
            report.replica.head_checksum != first.replica.head_checksum)
            return run_fail(run,
                            "group %u: replica %u differs: op %llu digest %llx, replica 0: op %llu "
                            "digest %llx",
                            group, i, (unsigned long long)report.replica.applied,
                            (unsigned long long)report.digest,
                            (unsigned long long)first.replica.applied,
                            (unsigned long long)first.digest);
    }
    return true;
}

bool run_verify(struct run *run)
{
    if (!verify_clients(run)) return false;
    for (uint32_t group = 0; group < run->options->groups; group++)
        if (!verify_group(run, group)) return false;
    return true;
}
