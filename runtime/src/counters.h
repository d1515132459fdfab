/**
 * What an endpoint counts. stats.c makes the public figures of it.
 *
 * Stored by the owner, read by act_runtime_stats. Relaxed: each is a recent value, no edge hangs on
 * it.
 */
#ifndef ACT_SRC_COUNTERS_H
#define ACT_SRC_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/** X(name, what it counts). The first are the hot ones: they share a cache line. */
#define ACT_COUNTERS(X)                                                                            \
    X(sent, "accepted for a mailbox")                                                              \
    X(delivered, "given to a handler or a port's owner")                                           \
    X(dead_letters, "ended without a receiver")                                                    \
    X(taken, "messages taken from this pool")                                                      \
    X(ended, "messages ended here, of any pool")                                                   \
    X(refused, "sends answered with -EAGAIN")                                                      \
    X(batches, "published")                                                                        \
    X(parks, "times this endpoint went to sleep")                                                  \
    X(wakes, "times it woke another one")                                                          \
    X(spawned, "actors made visible here")                                                         \
    X(stopped, "actors ended here")

struct act_counters {
#define ACT_COUNTERS_FIELD(name, help) atomic_ullong name;
    ACT_COUNTERS(ACT_COUNTERS_FIELD)
#undef ACT_COUNTERS_FIELD
};

/** So many more, by the only thread that stores it: no read-modify-write needed. */
static inline void count_more(atomic_ullong *counter, uint32_t more)
{
    unsigned long long value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

static inline void count(atomic_ullong *counter)
{
    count_more(counter, 1);
}

#endif
