/**
 * The cuts that are never lifted, and the core that they leave. See struct standing.
 */
#include "world.h"

bool standing_links(const struct world *w, uint32_t from, uint32_t to)
{
    return !w->has_cuts || (w->scenario.standing.cut[from] >> to & 1) == 0;
}

void standing_cut(struct world *w)
{
    w->has_cuts = true;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        for (uint32_t k = 0; k < world_replicas(w); k++)
            w->network.links[i][k].blocks =
                (uint8_t)(w->network.links[i][k].blocks + !standing_links(w, i, k));
    journal_text(&w->journal, "some links are cut for good; outsiders %#x",
                 w->scenario.standing.outsiders);
}

void standing_on_sent(struct world *w, uint32_t from, uint8_t type)
{
    const struct standing *c = &w->scenario.standing;

    if (w->has_cuts || c->trigger != type || w->now < c->from_ticks * TICK) return;
    if ((c->outsiders >> from & 1) != 0) standing_cut(w);
}

/** Whether these exchange messages for good, and none of them is to halt. */
static bool is_connected(const struct world *w, uint32_t mask)
{
    for (uint32_t i = 0; i < world_replicas(w); i++)
        if ((mask >> i & 1) != 0 && w->hosts[i].is_deviant) return false;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        for (uint32_t k = 0; k < world_replicas(w); k++)
            if ((mask >> i & 1) != 0 && (mask >> k & 1) != 0 && !standing_links(w, i, k))
                return false;
    return true;
}

uint32_t standing_core_of(const struct world *w, uint32_t replica)
{
    uint32_t all = 0;

    for (uint32_t mask = 1; mask < 1u << world_replicas(w); mask++)
        if ((mask >> replica & 1) != 0 &&
            __builtin_popcount(mask) == (int)scenario_core(&w->scenario) && is_connected(w, mask))
            all |= mask;
    return all;
}
