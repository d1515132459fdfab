/**
 * What has happened in the runs, so that what never happens is seen.
 */
#ifndef SIM_STATS_H
#define SIM_STATS_H

#include "faults.h"

#include <vsr/replica.h>

#include <stdio.h>

/** Name, text: counted by the simulator itself. */
#define SIM_COUNTS(X)                                                                              \
    X(SEEDS, "seeds")                                                                              \
    X(EVENTS, "events")                                                                            \
    X(TICKS, "simulated ticks")                                                                    \
    X(STEPS, "steps of replicas")                                                                  \
    X(COMMITS, "ops committed")                                                                    \
    X(REQUESTS, "requests executed by the reference")                                              \
    X(CALLS, "requests submitted")                                                                 \
    X(ANSWERS, "requests answered")                                                                \
    X(RETRIES, "client retries")                                                                   \
    X(BUSY, "Busy answers")                                                                        \
    X(CLIENT_EVICTIONS, "evictions told to clients")                                               \
    X(REFUSED_SESSIONS, "sessions refused for another's id")                                       \
    X(DEVIATIONS_SEEN, "deviating machines that were noticed")                                     \
    X(TWISTED, "messages garbled on their way")                                                    \
    X(LOST, "messages lost")                                                                       \
    X(BLOCKED, "messages stopped by a partition")                                                  \
    X(DUPLICATED, "messages duplicated")                                                           \
    X(REPLAYED, "messages replayed much later")                                                    \
    X(TO_NOBODY, "messages to a replica that is down or paused")                                   \
    X(REFUSED_BUFFERS, "buffers refused")                                                          \
    X(CRASHES, "crashes")                                                                          \
    X(CRASHES_SPARED, "crashes that the limit forbade")                                            \
    X(RESTARTS, "restarts with RECOVER")                                                           \
    X(RESTARTS_NEW, "restarts with START: nothing was durable")                                    \
    X(PERSISTS, "superblocks written")                                                             \
    X(PERSISTS_LOST, "superblocks lost in a crash")                                                \
    X(PERSISTS_UNTOLD, "superblocks written, then a crash before the replica knew")                \
    X(DURABLE_AGAIN, "answers of a disk that came again, or to a life that was over")              \
    X(CHUNKS, "chunks stored")                                                                     \
    X(SNAPSHOTS_REFUSED, "snapshots whose bytes were bad")                                         \
    X(ENDS_WITH_ALL, "ends with all replicas")                                                     \
    X(ENDS_WITH_CORE, "ends with a core, the others frozen")                                       \
    X(ENDS_WITHOUT_PRIMARY, "ends with the primary frozen")                                        \
    X(ENDS_WITH_CUTS, "ends with links cut for good")                                              \
    X(SNAPSHOTS_FAILED, "snapshots that could not be saved")                                       \
    X(LOADS_REFUSED, "snapshots that a machine did not take")                                      \
    X(EFFECTS_MAX, "effects of a step, at most")                                                   \
    X(EFFECTS_PERCENT_MAX, "... of what the core promises, percent, at most")                      \
    X(REST_PERCENT_MAX, "traffic at rest, percent of its bound, at most")                          \
    X(ENDS_BEYOND, "ends with more than f without memory: nothing more is asked")                  \
    X(ENDS_WITH_LIES, "ends after lies: nothing more is asked")                                    \
    X(UNDECIDED, "histories too long to judge")                                                    \
    X(END_TICKS, "ticks to converge, summed")                                                      \
    X(END_TICKS_MAX, "ticks to converge, at most")                                                 \
    X(END_VIEWS_MAX, "views left while converging, at most")

enum sim_count {
#define X(name, text) COUNT_##name,
    SIM_COUNTS(X)
#undef X
        COUNT_COUNT
};

struct stats {
    uint64_t counts[COUNT_COUNT];
    struct vsr_counters replicas; /* of all lives of all replicas */
    uint64_t sent[VSR_MESSAGE_COUNT];
    uint64_t delivered[VSR_MESSAGE_COUNT];
    uint64_t drops[VSR_DROP_COUNT];
    uint64_t notices[VSR_NOTICE_COUNT];
    uint64_t faults[FAULT_COUNT];
};

static inline void stats_max(struct stats *stats, enum sim_count count, uint64_t value)
{
    if (value > stats->counts[count]) stats->counts[count] = value;
}

void stats_add(struct stats *to, const struct stats *from);
/** Prints everything; what is 0 is marked. */
void stats_print(const struct stats *stats, FILE *file);

#endif
