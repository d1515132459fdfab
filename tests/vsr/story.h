/**
 * What a story is told with: one world, and its clients.
 */
#ifndef VSR_TESTS_STORY_H
#define VSR_TESTS_STORY_H

#include "world.h"

static struct world w;

static inline void begin(uint32_t replica_count)
{
    struct vsr_replica_options o = fixture_options(replica_count, 0);
    world_start(&w, &o);
}

static inline const struct vsr_replica *replica(uint32_t i)
{
    return w.replicas[i]->r;
}

static inline void ask(uint32_t to, const struct world_answer *client, uint64_t number,
                       uint64_t counter)
{
    world_request(&w, to, client->session, client->slot, number, counter);
}

static inline uint32_t answered(const struct world_answer *client, uint64_t number)
{
    return world_answered(&w, client->session, number);
}

#endif
