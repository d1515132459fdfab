/**
 * The command line of bench_cluster.
 */
#ifndef VSR_BENCH_OPTIONS_H
#define VSR_BENCH_OPTIONS_H

#include "harness.h"
#include "workload.h"

enum scenario_kind {
    SCENARIO_NONE,
    SCENARIO_FAILOVER, /* the primary is killed, again and again */
    SCENARIO_RESTART,  /* a backup is */
    SCENARIO_CHURN,    /* any replica is killed, paused, restarted */
};

struct bench_options {
    uint32_t replicas;
    uint32_t workers;
    uint32_t groups;   /* clusters, each on a worker of its own as far as they go round */
    uint32_t clients;  /* of each cluster */
    uint32_t sessions; /* of each client */
    uint32_t op_bytes;
    enum workload_kind workload;
    const char *trace_file;        /* NULL = none */
    uint32_t read_percent;         /* UINT32_MAX = the workload's */
    uint32_t outstanding;          /* operations of each client at once; 0 = one per session */
    uint32_t requests_per_message; /* 0 = as many as there are */
    double seconds;                /* that a row is measured; 0 = a default */
    uint64_t seed;
    bool is_pinned;
    uint32_t spin_us;
    bool is_json;
    const char *plot_file; /* NULL = none */
    enum scenario_kind scenario;
    uint32_t suspect_ticks; /* of a scenario's replicas; 0 = a default */
    bool is_custom;         /* an option that shapes the run was given: only that run */
};

/** Reads the command line; prints and exits on --help (0) and on what is not accepted (2). */
struct bench_options bench_options_parse(int argc, char **argv);

const char *scenario_name(enum scenario_kind scenario);

/** Adds the options in force to a row. */
void bench_options_describe(const struct bench_options *options, struct row *row);

#endif
