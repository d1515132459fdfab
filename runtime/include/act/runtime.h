/**
 * The life cycle of a runtime: a pool of worker threads, their lanes and pools.
 *
 * Threads: start and stop from one thread that is neither a worker nor holds an open port;
 * everything else from any thread.
 */
#ifndef ACT_RUNTIME_H
#define ACT_RUNTIME_H

#include <act/stats.h>
#include <act/types.h>

#include <stdbool.h>
#include <stddef.h>

ACT_DECLARATIONS_BEGIN

struct act_runtime;

/** Where a comment begins with a number, that is the default. */
struct act_runtime_options {
    uint32_t workers;     /* 0 = one per core the process may use; 1..ACT_WORKERS_MAX */
    bool pin;             /* false; pin worker k to the k-th CPU of `cpus`, or of those allowed */
    const uint32_t *cpus; /* CPU numbers, cpu_count of them; NULL = those allowed */
    uint32_t cpu_count;   /* with cpus: at least `workers` */
    uint32_t ports_max;   /* 8; 0..ACT_PORTS_MAX open at once */
    uint32_t actors_max;  /* 2^20; 1..ACT_ACTORS_MAX alive at once, open ports too */
    uint32_t mailbox_max; /* 4096; 1..2^30 messages: the default bound of a mailbox */
    uint32_t spin_us;     /* 50; 0..1000000: longest spin before an idle worker sleeps */
    uint32_t turn_max;    /* 256; 1..65536 messages at most in one turn of an actor */
    uint64_t pool_bytes_max; /* 4 GiB; >= 1 MiB; bound of each worker's, and port's, message pool */
};

/** Why a start failed, for a person: names the option, its value and what is accepted. */
struct act_error {
    char text[192];
};

/** Fills in the defaults. */
void act_runtime_options_init(struct act_runtime_options *options);

/**
 * Makes a runtime and starts its workers.
 *
 * They take no signals that are meant for the program: act/thread.h says which.
 * Ownership: borrows options; gives the caller *runtime, to be ended by act_runtime_stop.
 * Returns:   0, -EINVAL for an option out of range, -ENOMEM, or another negative errno of
 *            opening files or creating threads; then nothing is left behind and `why`, if not
 *            NULL, says what to change.
 */
int act_runtime_start(const struct act_runtime_options *options, struct act_runtime **runtime,
                      struct act_error *why) ACT_MUST_CHECK;

/**
 * Tells how many workers run: the option, or what 0 came to.
 *
 * Threads: any, while the runtime lives.
 * Returns: 1..ACT_WORKERS_MAX; they are numbered from 0, as ACT_PLACE_ON wants it.
 */
uint32_t act_runtime_workers(const struct act_runtime *runtime);

/**
 * Tells the bound of each worker's message pool.
 *
 * Threads: any, while the runtime lives.
 */
uint64_t act_runtime_pool_bytes_max(const struct act_runtime *runtime);

/**
 * Stops every actor (reason ACT_REASON_SHUTDOWN), waits for the workers, frees everything.
 *
 * Every port must be closed. What is still under way becomes dead letters.
 * Ownership: takes runtime.
 * Returns:   the number of message handles that the application never ended; 0 in a correct
 * program.
 */
uint64_t act_runtime_stop(struct act_runtime *runtime);

ACT_DECLARATIONS_END

#endif
