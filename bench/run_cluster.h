/**
 * One measured run of an in-process cluster.
 */
#ifndef VSR_BENCH_RUN_CLUSTER_H
#define VSR_BENCH_RUN_CLUSTER_H

#include "harness.h"
#include "options.h"

struct run_result {
    double seconds;   /* measured */
    uint64_t commits; /* in them */
    double cpu_seconds;
    uint64_t peak_rss_bytes;
    struct histogram latency;
    bool is_verified;
    char difference[256]; /* why not */
};

/**
 * Starts runtime, cluster and clients, measures, waits for every reply, verifies, stops all.
 *
 * Returns: false, with the reason in difference, when the run could not be made or is not verified.
 */
bool run_cluster(const struct bench_options *options, struct workload *workload,
                 struct run_result *result);

#endif
