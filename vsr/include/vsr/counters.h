/**
 * What a replica counts.
 */
#ifndef VSR_COUNTERS_H
#define VSR_COUNTERS_H

#include <vsr/types.h>

#include <stdint.h>

VSR_DECLARATIONS_BEGIN

/** Name, what it counts: one list for the fields, and for whoever goes through all of them. */
#define VSR_COUNTERS(X)                                                                            \
    X(requests_executed, "requests executed")                                                      \
    X(requests_repeated, "requests executed before, so not again")                                 \
    X(evictions, "sessions evicted")                                                               \
    X(prepares_resent, "Prepares sent again")                                                      \
    X(view_changes, "views left")                                                                  \
    X(views_started, "views started as their primary")                                             \
    X(votes, "rounds of votes")                                                                    \
    X(forfeits, "views given up for want of the log")                                              \
    X(abdications, "abdications")                                                                  \
    X(recoveries, "recoveries completed")                                                          \
    X(log_transfers, "logs installed that another replica sent")                                   \
    X(snapshots_saved, "snapshots saved")                                                          \
    X(snapshots_loaded, "snapshots loaded")

struct vsr_counters {
#define X(name, help) uint64_t name;
    VSR_COUNTERS(X)
#undef X
};

enum { VSR_COUNTER_COUNT = sizeof(struct vsr_counters) / sizeof(uint64_t) };

/** The counter's name, as in struct vsr_counters; "?" from VSR_COUNTER_COUNT on. */
const char *vsr_counters_name(uint32_t counter);
/** What it counts, for reports; "?" likewise. */
const char *vsr_counters_help(uint32_t counter);
/** Its value; 0 likewise. */
uint64_t vsr_counters_value(const struct vsr_counters *counters, uint32_t counter);
/** Adds those of `from`, one by one. */
void vsr_counters_add(struct vsr_counters *to, const struct vsr_counters *from);

VSR_DECLARATIONS_END

#endif
