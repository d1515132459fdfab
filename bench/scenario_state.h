/**
 * What a scenario measures; scenario.c fills it in, scenario_report.c prints it.
 *
 * Ordering: the times in `seen` and the counters are relaxed: they carry numbers, no memory.
 */
#ifndef VSR_BENCH_SCENARIO_STATE_H
#define VSR_BENCH_SCENARIO_STATE_H

#include "run_cluster.h"

#include <stdatomic.h>

enum { ROUNDS_MAX = 256 };

/** One fault and what came of it. Times in ns. */
struct round {
    double one;        /* a commit's round trip: one operation after the other, before the fault */
    double round_trip; /* of the whole load, begun after rest: of all replicas, before the fault */
    double round_trip_left; /* likewise, of the replicas that are left */
    double detection;       /* death to the first replica that leaves its view; failover only */
    double without;         /* time without commits */
    double without_before;  /* the longest one in CALM_MS before the fault; restart only */
    double recovery;        /* restart to recovered */
    double before_per_s;    /* commits */
    double after_per_s;     /* in the second after the fault */
    uint32_t victim;
};

struct scenario {
    const struct bench_options *options;
    uint64_t random;
    atomic_ullong seen[VSR_REPLICAS_MAX][VSR_NOTICE_COUNT]; /* since forget(); 0 = not */
    atomic_ullong view_changes;
    struct round rounds[ROUNDS_MAX];
    uint32_t round_count;
    uint32_t disturbed; /* rounds in which something else happened too: a thread lost its core */
    uint32_t kills;     /* churn */
    uint32_t restarts;
    uint32_t pauses;
    double longest; /* ns without commits, in churn */
};

static inline bool is_failover(const struct scenario *s)
{
    return s->options->scenario == SCENARIO_FAILOVER;
}

/** Of 0 numbers: 0. Sorts them. */
double scenario_median(double *numbers, size_t count);

/** Prints what was measured: rows of JSON, or text. */
void scenario_report(const struct scenario *s, const struct run_result *result,
                     const struct calibration *calibration);

#endif
