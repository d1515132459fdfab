/**
 * Scenarios: what clients notice of replicas that die and come back.
 */
#ifndef VSR_BENCH_SCENARIO_H
#define VSR_BENCH_SCENARIO_H

#include "options.h"

/**
 * Runs options->scenario, verifies the run and prints what it measured.
 *
 * Returns: false, after saying why on stderr, when the run is not verified.
 */
bool scenario_run(const struct bench_options *options, struct workload *workload);

#endif
