/**
 * What makes a run's figures good: see run_verify in run.h.
 */
#include "run.h"

static bool verify_clients(struct run *run)
{
    for (uint32_t i = 0; i < run->options->clients; i++) {
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

static bool verify_replicas(struct run *run)
{
    struct vsr_cluster_report first = {0};

    if (vsr_cluster_settle(run->cluster, 10000000000ull) != 0)
        return run_fail(run, "the replicas did not reach the same op within 10 s");
    for (uint32_t i = 0; i < run->options->replicas; i++) {
        struct vsr_cluster_report report;
        if (vsr_cluster_inspect(run->cluster, i, &report) != 0)
            return run_fail(run, "replica %u could not be inspected", i);
        if (report.run_state != VSR_RUNNING || report.replica.status != VSR_STATUS_NORMAL)
            return run_fail(run, "replica %u is %s", i,
                            report.run_state != VSR_RUNNING
                                ? "not running"
                                : vsr_status_name(report.replica.status));
        if (i == 0) first = report;
        if (report.replica.applied != first.replica.applied || report.digest != first.digest ||
            report.replica.head_checksum != first.replica.head_checksum)
            return run_fail(
                run, "replica %u differs: op %llu digest %llx, replica 0: op %llu digest %llx", i,
                (unsigned long long)report.replica.applied, (unsigned long long)report.digest,
                (unsigned long long)first.replica.applied, (unsigned long long)first.digest);
        if (report.replica.requests_executed != run_answered(run))
            return run_fail(run, "replica %u applied %llu operations, %llu were acknowledged", i,
                            (unsigned long long)report.replica.requests_executed,
                            (unsigned long long)run_answered(run));
    }
    return true;
}

bool run_verify(struct run *run)
{
    return verify_clients(run) && verify_replicas(run);
}
