/**
 * What goes wrong in a run, and the profiles that say what may.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdint.h>

/** Name, text. */
#define SIM_FAULTS(X)                                                                              \
    X(PARTITION, "partition in two")                                                               \
    X(ONE_WAY, "one-way partition")                                                                \
    X(SINGLETON, "one replica cut off for a few view changes")                                     \
    X(DEAF, "a deaf replica")                                                                      \
    X(MUTE, "a mute replica")                                                                      \
    X(CLOG, "a clogged link")                                                                      \
    X(LOSS, "a burst of loss")                                                                     \
    X(REPLAY, "old messages replayed")                                                             \
    X(CRASH, "a crash")                                                                            \
    X(CRASH_PRIMARY, "a crash of the primary")                                                     \
    X(PAUSE, "a pause, with memory")                                                               \
    X(CRASH_SENDER, "a crash right after sending a message of a kind")                             \
    X(CRASH_RECEIVER, "a crash around receiving a message of a kind")                              \
    X(CRASH_PERSIST, "a crash at a persist boundary")                                              \
    X(TYPE_DELAY, "one kind of message delayed")                                                   \
    X(TYPE_DROP, "one kind of message dropped")                                                    \
    X(SLOW_DISK, "a slow disk")                                                                    \
    X(FAMINE, "few buffers")                                                                       \
    X(CLIENT_RESTART, "a client that restarts")                                                    \
    X(BAD_SNAPSHOT, "a snapshot damaged on its way")

enum fault {
#define X(name, text) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

struct profile {
    const char *name;
    uint32_t faults; /* mask of those that may happen */
    uint32_t loss_percent_max;
    uint32_t small_ring_percent; /* of runs with a ring as small as the options allow */
    const char *text;
};

/** Ends with a row without a name. */
extern const struct profile sim_profiles[];
const struct profile *sim_profile_find(const char *name);
const char *sim_fault_text(enum fault fault);

#endif
