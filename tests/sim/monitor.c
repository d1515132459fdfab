/**
 * See monitor.h.
 */
#include "world.h"

#include <inttypes.h>

/** Up, with its memory, and not short of anything. */
static bool is_healthy(const struct world *w, uint32_t replica)
{
    const struct host *h = &w->hosts[replica];

    return host_is_up(h) && h->has_seen && !h->is_amnesic && !h->is_deviant &&
           h->source.famine_ppm == 0;
}

/** Which replicas a replica exchanges messages with, both ways, itself included. */
static uint32_t neighbours(const struct world *w, uint32_t replica)
{
    uint32_t mask = 1u << replica;

    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct link *to = &w->network.links[replica][i];
        const struct link *from = &w->network.links[i][replica];
        const bool is_open = to->blocks == 0 && from->blocks == 0 && to->clogged_until <= w->now &&
                             from->clogged_until <= w->now;
        mask |= (uint32_t)is_open << i;
    }
    return mask;
}

/** Whether something happens to the whole network, or to all disks. */
static bool is_disturbed(const struct world *w)
{
    if (w->is_beyond || w->has_lied) return true;
    if (w->has_ended) return false;
    if (w->now < w->network.loss_until || w->now < w->slow_disk_until) return true;
    for (uint32_t i = 0; i < VSR_MESSAGE_COUNT; i++)
        if (w->now < w->network.type_faults[i].until + w->network.type_faults[i].delay) return true;
    return false;
}

void monitor_init(struct world *w)
{
    w->monitor = (struct monitor){.patience = scenario_patience_ticks(&w->scenario) * TICK};
}

void monitor_committed(struct world *w)
{
    w->monitor.last_commit = w->now;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/** How long a core has been healthy, somebody waiting, and nothing committed. */
static void judge_core(struct world *w, uint32_t core, uint64_t wait_since)
{
    struct monitor *m = &w->monitor;
    const uint64_t since = later(later(m->core_since[core], m->last_commit), wait_since);

    if (wait_since == UINT64_MAX || since + m->patience >= w->now) return;
    waits_tell(w);
    journal_fail(
        &w->journal, OUTCOME_NO_PROGRESS,
        "lack of progress: the connected, healthy core %#x has committed nothing for %" PRIu64
        " ticks, and a client has waited for %" PRIu64,
        core, (w->now - since) / TICK, (w->now - wait_since) / TICK);
}

static void look_at_cores(struct world *w, const uint32_t *open, uint32_t healthy)
{
    struct monitor *m = &w->monitor;
    const uint32_t n = world_replicas(w);
    const int size = (int)scenario_core(&w->scenario);
    const uint64_t wait_since = clients_wait_since(w);

    for (uint32_t core = 1; core < 1u << n; core++) {
        if (__builtin_popcount(core) != size) continue;
        bool is_whole = (core & ~healthy) == 0;
        for (uint32_t i = 0; i < n && is_whole; i++)
            is_whole = (core >> i & 1) == 0 || (core & ~open[i]) == 0;
        if (!is_whole)
            m->core_since[core] = 0;
        else if (m->core_since[core] == 0)
            m->core_since[core] = w->now;
        else
            judge_core(w, core, wait_since);
    }
}

/**
 * Everybody who has been up and connected since the mark was set has executed what it says; for a
 * replica that recovers, all others have been up too.
 */
static void look_at_laggards(struct world *w, const uint32_t *open, uint32_t healthy)
{
    struct monitor *m = &w->monitor;
    const uint32_t n = world_replicas(w);

    for (uint32_t i = 0; i < n; i++) {
        const bool is_up = host_is_up(&w->hosts[i]) && w->hosts[i].source.famine_ppm == 0;
        const uint32_t needed = (healthy >> i & 1) != 0 ? healthy : (1u << n) - 1;
        if (!is_up || w->hosts[i].is_deviant || (needed & ~open[i]) != 0) m->healthy &= ~(1u << i);
    }
    if (__builtin_popcount(healthy) < (int)scenario_core(&w->scenario)) m->healthy = 0;
    if (w->now < m->mark_at) return;
    for (uint32_t i = 0; i < n; i++) {
        const struct host *h = &w->hosts[i];
        if ((m->healthy >> i & 1) == 0 || h->seen.applied >= m->mark) continue;
        waits_tell(w);
        journal_fail(
            &w->journal, OUTCOME_NO_PROGRESS,
            "lack of progress: replica %u is healthy and connected and has executed op %" PRIu64
            "; op %" PRIu64 " was committed %" PRIu64 " ticks ago",
            i, h->seen.applied, m->mark, m->patience / TICK);
    }
    m->mark = w->ghost.commit;
    m->mark_at = w->now + m->patience;
    m->healthy = (1u << n) - 1;
}

void monitor_look(struct world *w)
{
    uint32_t open[VSR_REPLICAS_MAX];
    uint32_t healthy = 0;

    if (is_disturbed(w)) {
        for (uint32_t i = 0; i < CORES_MAX; i++)
            w->monitor.core_since[i] = 0;
        w->monitor.healthy = 0;
        return;
    }
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        open[i] = neighbours(w, i);
        healthy |= (uint32_t)is_healthy(w, i) << i;
    }
    look_at_cores(w, open, healthy);
    if (scenario_has(&w->scenario, CONDITION_KEEPS_UP)) look_at_laggards(w, open, healthy);
}
