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
    STREAM_POOL,                          /* and on: one per host */
    STREAM_CONDITIONS = STREAM_POOL + 64, /* and on: one per condition */
    STREAM_COSTS = STREAM_CONDITIONS + 64,
    STREAM_PLACES,
};

struct load {
    bool is_steady; /* until goal_end more ops are committed after the faults */
    uint32_t clients;
    uint32_t sessions;    /* of each */
    uint32_t goal;        /* requests of each session while faults happen */
    uint32_t goal_end;    /* and after them */
    uint32_t think_ticks; /* on average between two requests of a session */
    uint32_t burst_ticks; /* 0: no bursts; else all sessions submit at once, so often */
    uint32_t keys;
    uint32_t read_percent;
};

/** Links that never work again; a core of max(Qr, Qv) replicas stays connected. */
struct standing {
    uint64_t from_ticks;
    uint32_t outsiders;            /* mask: the core does without them */
    uint8_t cut[VSR_REPLICAS_MAX]; /* per sender: who never hears it */
    uint8_t trigger;               /* 0, or the kind of message of an outsider that begins it */
};

/** What snapshots cost the hosts. */
struct snapshot_costs {
    uint32_t ballast_words; /* behind the machine's bytes */
    uint64_t save_units, load_units;
    uint32_t fail_ppm;    /* of saves and loads */
    uint32_t never_saves; /* mask: replicas whose saves all fail */
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

    uint32_t conditions; /* mask */
    struct standing standing;
    struct snapshot_costs snapshots;
    uint64_t link_units; /* one way, of each message, as long as the run lasts */
    vsr_view first_view; /* voted for at once */
    uint32_t garbled_ppm;
    bool is_local; /* replicas of one process: what one has verified the others believe */
};

static inline bool scenario_has(const struct scenario *s, enum condition condition)
{
    return (s->conditions >> condition & 1) != 0;
}

/** max(Qr, Qv): so many connected replicas have to go on. */
static inline uint32_t scenario_core(const struct scenario *s)
{
    return s->quorum_replication > s->quorum_view_change ? s->quorum_replication
                                                         : s->quorum_view_change;
}

/** Of a message and its answer, in ticks. */
static inline uint64_t scenario_round_trip(const struct scenario *s)
{
    return (2 * (s->link_units + s->delay_min + s->delay_jitter + s->turn_delay)) / TICK + 1;
}

/** Draws a run. replicas: 0 = drawn too. */
void scenario_draw(struct scenario *s, uint64_t seed, const struct profile *profile,
                   uint32_t replicas);
/** Draws what holds from the beginning to the end. conditions.c. */
void conditions_draw(struct scenario *s);
void conditions_print(const struct scenario *s, FILE *file);
/** How long a healthy core may take for one commit, whatever was before. */
uint64_t scenario_patience_ticks(const struct scenario *s);
/** How long what is still wanted takes, one op for each request, where an op may cost a save or
 * hundreds of sessions wait. */
uint64_t scenario_backlog_ticks(const struct scenario *s);
void scenario_print(const struct scenario *s, FILE *file);

#endif
