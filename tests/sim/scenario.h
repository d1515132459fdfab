/**
 * Everything about a run that is fixed before it starts, drawn from its seed.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "faults.h"
#include "random.h"

#include <vsr/client.h>
#include <vsr/replica.h>

#include <stdio.h>

enum { TICK = 1000 }; /* units of simulated time in a tick of a clock that runs true */

/** Purposes of random streams. A new one goes to the end. */
enum stream {
    STREAM_SCENARIO,
    STREAM_NETWORK,
    STREAM_FAULTS,
    STREAM_DISK,
    STREAM_CLIENTS,
    STREAM_END,
    STREAM_POOL, /* and on: one per host */
};

struct load {
    uint32_t clients;
    uint32_t sessions;    /* of each */
    uint32_t goal;        /* requests of each session while faults happen */
    uint32_t goal_end;    /* and after them */
    uint32_t think_ticks; /* on average between two requests of a session */
    uint32_t burst_ticks; /* 0: no bursts; else all sessions submit at once, so often */
    uint32_t keys;
    uint32_t read_percent;
};

struct scenario {
    uint64_t seed;
    const struct profile *profile;
    struct vsr_replica_options replica;
    struct vsr_client_options client;
    struct load load;
    uint32_t crash_limit; /* replicas down or recovering at once */
    uint32_t quorum_replication;
    uint32_t quorum_view_change;

    uint64_t fault_ticks; /* how long faults happen */
    bool has_victim;      /* ... and mostly to one replica */
    uint32_t victim;
    uint32_t fault_period[FAULT_COUNT]; /* mean ticks between two; 0 = never */
    uint64_t delay_min, delay_jitter;   /* of a message, in units */
    uint32_t loss_ppm, duplicate_ppm, tail_ppm;
    uint64_t tail_mean;                   /* units: of the few messages that take much longer */
    uint64_t persist_min, persist_jitter; /* units */
    uint64_t apply_delay;                 /* units; 0 = at once */
    uint64_t turn_delay;                  /* units from a message to the turn's end */
    uint32_t skew_percent;                /* clocks run up to so much too fast or slow */
};

/** Draws a run. replicas: 0 = drawn too. */
void scenario_draw(struct scenario *s, uint64_t seed, const struct profile *profile,
                   uint32_t replicas);
void scenario_print(const struct scenario *s, FILE *file);

#endif
