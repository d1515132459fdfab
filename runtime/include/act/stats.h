/**
 * What a runtime counts: a list, so that reports are loops.
 *
 *     for (uint32_t i = 0; act_runtime_stat(&stats, i, &stat); i++)
 *         printf("%s %llu\n", stat.name, (unsigned long long)stat.value);
 */
#ifndef ACT_STATS_H
#define ACT_STATS_H

#include <act/types.h>

#include <stdbool.h>
#include <stdint.h>

ACT_DECLARATIONS_BEGIN

struct act_runtime;

/** How a figure moves: SUM only rises, LEVEL is what there is now. */
enum act_stat_kind { ACT_STAT_SUM, ACT_STAT_LEVEL };

/** X(name, kind, what it is). At rest, messages_sent is messages_delivered and dead_letters. */
#define ACT_RUNTIME_STATS(X)                                                                       \
    X(messages_sent, SUM, "messages accepted by act_send or act_reply, and the runtime's own")     \
    X(messages_delivered, SUM, "messages given to a handler or to a port's owner")                 \
    X(dead_letters, SUM, "messages whose receiver was gone")                                       \
    X(messages_live, LEVEL, "messages taken from a pool and not ended yet")                        \
    X(sends_refused, SUM, "sends answered with -EAGAIN")                                           \
    X(batches_published, SUM, "batches made visible to another endpoint")                          \
    X(pool_growths, SUM, "times that a pool of messages grew after its start")                     \
    X(pool_bytes, LEVEL, "bytes of all pools of messages")                                         \
    X(parks, SUM, "times that a worker or a port went to sleep")                                   \
    X(wakes, SUM, "times that a sleeper was woken for a message")                                  \
    X(actors_live, LEVEL, "actors and open ports that have not ended")

struct act_runtime_stats {
#define ACT_STATS_FIELD(name, kind, help) uint64_t name;
    ACT_RUNTIME_STATS(ACT_STATS_FIELD)
#undef ACT_STATS_FIELD
};

struct act_stat {
    const char *name;
    const char *help; /* one line without its full stop */
    enum act_stat_kind kind;
    uint64_t value;
};

/**
 * Adds up the counters of all workers and ports; while they run, each is a recent value.
 *
 * Threads: any, while the runtime lives. Waits for nobody but who opens or closes a port.
 */
void act_runtime_stats(const struct act_runtime *runtime, struct act_runtime_stats *stats);

/**
 * Tells one figure of the list, with its name.
 *
 * Ownership: borrows stats; name and help live for ever.
 * Threads:   any.
 * Shape:     index 0, 1, 2, ... in the order of ACT_RUNTIME_STATS.
 * Returns:   whether there is such a figure; if false *stat is as it was.
 */
bool act_runtime_stat(const struct act_runtime_stats *stats, uint32_t index, struct act_stat *stat);

ACT_DECLARATIONS_END

#endif
