/**
 * One measured run of an in-process cluster.
 */
#ifndef VSR_BENCH_RUN_CLUSTER_H
#define VSR_BENCH_RUN_CLUSTER_H

#include "harness.h"
#include "options.h"

#include <vsr/cluster.h>

struct run_result {
    double seconds;   /* measured */
    uint64_t commits; /* in them */
    double cpu_seconds;
    uint64_t peak_rss_bytes;
    struct histogram latency;
    bool is_verified;
    char difference[256]; /* why not */
};

/** A run in progress. */
struct run;

/** What a scenario does in place of the plain measurement. */
struct run_plan {
    uint32_t suspect_ticks; /* of 1 ms */
    /** As vsr_cluster_options.on_notice. */
    void (*on_notice)(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op);
    /** On the main thread, once all sessions are open. Returns false after run_fail. */
    bool (*measure)(void *context, struct run *run);
    void *context;
};

/** A turn that brought a client answers. */
struct run_point {
    uint64_t ns;        /* when it began */
    uint64_t waited_ns; /* by the first operation answered in it */
};

/** How much clients have outstanding. */
enum run_load {
    RUN_FULL,   /* as many operations as the options say */
    RUN_ONE,    /* one in the whole cluster: the next follows its answer at once */
    RUN_BURSTS, /* as many as the options say, all at once, after REST_MS of rest */
};

/**
 * Starts runtime, cluster and clients, measures, waits for every reply, verifies, stops all.
 *
 * Shape:   plan may be NULL: then commits are counted for as long as the options say.
 * Returns: false, with the reason in difference, when the run could not be made or is not verified.
 */
bool run_cluster(const struct bench_options *options, struct workload *workload,
                 const struct run_plan *plan, struct run_result *result);

/* For a plan. */

/** Of the first group: a plan has one. */
struct vsr_cluster *run_replicas(struct run *run);
uint64_t run_answered(const struct run *run);
void run_pause_ms(uint32_t ms);
/** Notes why the run is no good. Returns false. */
bool run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_set_load(struct run *run, enum run_load load);
/** Begins to note the clients' points; returns when all do. */
void run_record(struct run *run);
/**
 * Ends it.
 *
 * Ownership: gives the caller *points, to be freed; by time.
 * Returns:   how many there are; 0 also without memory.
 */
size_t run_recorded(struct run *run, struct run_point **points);

#endif
