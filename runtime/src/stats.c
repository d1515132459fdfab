/**
 * See act/stats.h: the endpoints' counters, added up.
 */
#include "endpoint.h"
#include "fabric.h"

#include <act/stats.h>

/** Sums over all endpoints, under the counters' names. */
struct sums {
#define FIELD(name, help) uint64_t name;
    ACT_COUNTERS(FIELD)
#undef FIELD
    uint64_t pool_growths;
    uint64_t pool_bytes;
};

static void add(struct sums *sums, const struct act_endpoint *e)
{
#define ADD(name, help) sums->name += atomic_load_explicit(&e->counters.name, memory_order_relaxed);
    ACT_COUNTERS(ADD)
#undef ADD
    sums->pool_growths += atomic_load_explicit(&e->pool.growths, memory_order_relaxed);
    sums->pool_bytes += atomic_load_explicit(&e->pool.bytes, memory_order_relaxed);
}

/** The counters are read one after another, so a difference may be caught half-way: then 0. */
static uint64_t level(uint64_t in, uint64_t out)
{
    return in > out ? in - out : 0;
}

void act_runtime_stats(const struct act_runtime *runtime, struct act_runtime_stats *stats)
{
    struct act_runtime *rt = (struct act_runtime *)(uintptr_t)runtime;
    struct sums s = {0};

    pthread_mutex_lock(&rt->mutex);
    for (uint32_t i = 0; i < rt->endpoint_count; i++)
        if (rt->endpoints[i] != NULL) add(&s, rt->endpoints[i]);
    pthread_mutex_unlock(&rt->mutex);
    *stats = (struct act_runtime_stats){
        .messages_sent = s.sent,
        .messages_delivered = s.delivered,
        .dead_letters = s.dead_letters,
        .messages_live = level(s.taken, s.ended),
        .sends_refused = s.refused,
        .batches_published = s.batches,
        .pool_growths = s.pool_growths,
        .pool_bytes = s.pool_bytes,
        .parks = s.parks,
        .wakes = s.wakes,
        .actors_live = level(s.spawned, s.stopped),
    };
}

bool act_runtime_stat(const struct act_runtime_stats *stats, uint32_t index, struct act_stat *stat)
{
    const struct act_stat list[] = {
#define ROW(name, kind, help) {#name, help, ACT_STAT_##kind, stats->name},
        ACT_RUNTIME_STATS(ROW)
#undef ROW
    };

    if (index >= sizeof list / sizeof list[0]) return false;
    *stat = list[index];
    return true;
}
