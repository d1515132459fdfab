/**
 * What the files of a run share: the run, its clients and what they note.
 *
 * Ordering: `phase` and the clients' counters are relaxed: they carry numbers, no memory. A
 * client's figures are read after its `stopped` hook has posted the semaphore.
 *   R1 store recorded (release) -> R2 load recorded (acquire)   the points before it
 */
#ifndef VSR_BENCH_RUN_H
#define VSR_BENCH_RUN_H

#include "run_cluster.h"

#include <act/port.h>
#include <act/runtime.h>

#include <semaphore.h>

#include <stdalign.h>
#include <stdatomic.h>

enum phase { PHASE_OPENING, PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

/** What a session has outstanding, and how much it has done. */
struct bench_session {
    uint64_t sent_ns;
    uint64_t answered;
    bool is_out;
    bool is_sampled; /* its latency is noted */
};

struct bench_client {
    alignas(64) struct run *run;
    uint32_t index; /* over all groups */
    uint32_t group;
    uint32_t first_session; /* index of session 0 in its group */
    uint32_t opened;
    uint32_t out_count;
    uint32_t sample_mask; /* the operations whose latency is noted: a power of two, less 1 */
    uint64_t now_ns;      /* of this turn; 0 = not looked at yet */
    enum phase phase;     /* of this turn */
    uint32_t limit;       /* of this turn: operations outstanding at once */
    uint64_t rested_ns;   /* when the last answer came */
    uint64_t waited_ns;   /* by the first operation that this turn brought an answer for */
    struct run_point *points;
    uint32_t points_max; /* 0: this run notes none */
    struct workload_cursor cursor;
    struct bench_session *sessions;
    uint32_t *idle; /* sessions without an operation: a stack */
    uint32_t idle_count;
    uint64_t submitted;
    uint64_t answered_count; /* `answered` takes it over at the turn's end */
    uint64_t wrong_results;
    uint64_t unexpected; /* results that nobody waits for */
    uint64_t evictions;
    bool is_at_end; /* of the trace */
    struct histogram latency;
    uint8_t *buffer;
    alignas(64) atomic_ullong answered;
    atomic_uint is_open;
    atomic_ullong quiet_ns; /* since when nothing is outstanding nor to be submitted; 0 = not */
    atomic_uint recording;  /* the last one it knows of; 0 = none */
    atomic_uint recorded;   /* points of it */
};

struct run {
    const struct bench_options *options;
    const struct workload *workload;
    const struct run_plan *plan; /* NULL = none */
    struct run_result *result;
    struct act_runtime *runtime;
    struct act_port *port;
    struct vsr_cluster **groups; /* options->groups of them; NULL = not started */
    struct bench_client *clients;
    uint32_t client_count; /* of all groups, one group's behind the other's */
    act_id *ids;
    uint32_t spawned;
    uint32_t *places;
    sem_t stopped;
    atomic_uint phase;
    atomic_uint load;      /* enum run_load */
    atomic_uint recording; /* counts them; even = none now */
};

/** One operation at a time: what counts is how seldom it changes workers. */
static inline bool run_is_for_latency(const struct bench_options *b)
{
    return b->clients == 1 && b->outstanding == 1;
}

/** Where all of a group lies, when there are several. */
static inline uint32_t run_group_worker(const struct bench_options *b, uint32_t group)
{
    return group % b->workers;
}

/* run_clients.c */

/** Operations answered to the clients of a group. */
uint64_t run_group_answered(const struct run *run, uint32_t group);
/** Spawns the clients, which open their sessions. Returns false after run_fail. */
bool run_start_clients(struct run *run);
bool run_all_open(const struct run *run);
/** Whether nothing is outstanding and nothing more will be submitted. */
bool run_all_quiet(const struct run *run);
/** When the last client became so. */
uint64_t run_quiet_ns(const struct run *run);

/* run_verify.c */

/** Every reply once, all replicas alike, applied = acknowledged. Returns false after run_fail. */
bool run_verify(struct run *run);

#endif
