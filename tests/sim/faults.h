/**
 * What goes wrong in a run, and the profiles that say what may.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
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
    X(BAD_SNAPSHOT, "a snapshot damaged on its way")                                               \
    X(STALL, "a pause in which messages wait")                                                     \
    X(CLOCK_JUMP, "a clock that jumps by a day")                                                   \
    X(AMNESIA, "more replicas than f lose their memory at once")                                   \
    X(DEVIATION, "a state machine that deviates on one replica")

enum fault {
#define X(name, text) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

/**
 * Name, whether a run of any profile may draw it, text: what a run is like from its beginning to
 * its end, also while liveness is judged. What is not SWITCHED_ON is drawn by the profiles alone
 * that are about it, and those are not part of --profile all.
 */
#define SIM_CONDITIONS(X)                                                                          \
    X(CUTS, SWITCHED_ON, "links of up to f replicas cut for good")                                 \
    X(SLOW_LINKS, SWITCHED_ON, "a round trip above resend_ticks")                                  \
    X(CRAWLING_LINKS, SWITCHED_ON, "a round trip above every timer")                               \
    X(STEADY_LOAD, SWITCHED_ON, "load that goes on, for more than a ring of new ops at the end")   \
    X(CUT_AT_MESSAGE, SWITCHED_ON, "... from the moment in which an outsider asks something")      \
    X(KEEPS_UP, SWITCHED_ON, "a healthy replica has to keep up with the load")                    \
    X(LARGE_SNAPSHOTS, SWITCHED_ON, "snapshots of many chunks")                                    \
    X(SLOW_SNAPSHOTS, SWITCHED_ON, "saving and loading take time")                                 \
    X(FAILING_SNAPSHOTS, SWITCHED_ON, "saves and loads that fail")                                 \
    X(NEVER_SAVES, SWITCHED_OFF, "a replica whose saves all fail")                                 \
    X(PAYLOADS, SWITCHED_ON, "payloads of random words, of a hash's constants, long ones")         \
    X(HIGH_NUMBERS, SWITCHED_ON, "views, incarnations and times near 2^32, 2^63 and 2^64")         \
    X(TWINS, SWITCHED_ON, "two clients with one id")                                               \
    X(MALFORMED, SWITCHED_ON, "messages cut short and with fields that cannot be")                 \
    X(LIES, SWITCHED_OFF, "messages with any bit flipped: nothing may crash, no more is asked")    \
    X(CROWD, SWITCHED_OFF, "hundreds of sessions of one client")                                   \
    X(STAYS, SWITCHED_OFF, "nobody leaves a view, ever: nothing is wrong")                         \
    X(NO_FALSE_FORK, SWITCHED_ON, "FORKED_LOG is a failure: nothing here forks a log")

enum { SWITCHED_OFF, SWITCHED_ON };

enum condition {
#define X(name, is_on, text) CONDITION_##name,
    SIM_CONDITIONS(X)
#undef X
        CONDITION_COUNT
};

struct profile {
    const char *name;
    uint32_t faults; /* mask of those that may happen */
    uint32_t loss_percent_max;
    uint32_t small_ring_percent; /* of runs with a ring as small as the options allow */
    uint32_t conditions;         /* mask: what it is about; drawn whether switched on or not */
    bool is_in_all;              /* one of --profile all */
    const char *text;
};

/** Ends with a row without a name. */
extern const struct profile sim_profiles[];
const struct profile *sim_profile_find(const char *name);
const char *sim_fault_text(enum fault fault);
const char *sim_condition_text(enum condition condition);
/** Whether a run of a profile may draw it. */
bool sim_may_draw(const struct profile *profile, enum condition condition);

#endif
