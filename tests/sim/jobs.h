/**
 * Seeds in processes of their own: one that crashes takes nothing with it.
 */
#ifndef SIM_JOBS_H
#define SIM_JOBS_H

#include "faults.h"
#include "journal.h"

#include <vsr/trace.h>

enum { JOBS_MAX = 64 };

struct job_options {
    const struct profile *profile; /* NULL: they take turns */
    uint64_t first;
    uint64_t seeds;
    uint64_t seconds;  /* 0: no limit */
    uint32_t replicas; /* 0: drawn */
    uint32_t jobs;
    uint32_t failures_max;
    bool is_single;
    enum vsr_trace_level level;
};

/** Runs the first seed in this process. */
enum outcome jobs_run_one(const struct job_options *options);
/** Runs them all; prints what happened. Returns the first outcome that is not OK. */
enum outcome jobs_run_many(const struct job_options *options);

/** Ends this process: its run has crashed. */
_Noreturn void job_crashed(const char *what, const char *claim, const char *file, int line);

#endif
