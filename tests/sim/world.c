/**
 * A run from the beginning to the end. See world.h.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

void world_init(struct world *w)
{
    const uint64_t seed = w->scenario.seed;

    w->network_random = random_stream(seed, STREAM_NETWORK);
    w->fault_random = random_stream(seed, STREAM_FAULTS);
    w->disk_random = random_stream(seed, STREAM_DISK);
    w->client_random = random_stream(seed, STREAM_CLIENTS);
    w->end_random = random_stream(seed, STREAM_END);
    w->cost_random = random_stream(seed, STREAM_COSTS);
    w->network.is_faulty = true;
    ghost_init(w);
    monitor_init(w);
    faults_start(w);
    if (w->scenario.standing.outsiders != 0 && w->scenario.standing.trigger == 0)
        queue_push(&w->queue, (struct event){.time = w->scenario.standing.from_ticks * TICK,
                                             .kind = EVENT_CUT});
    for (uint32_t i = 0; i < world_replicas(w); i++)
        w->hosts[i].index = i; /* The first may crash at once, and the others count by it. */
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        host_init(w, i);
        host_start(w, &w->hosts[i]);
    }
    clients_start(w);
    if (w->scenario.first_view != 0) network_vote(w, w->scenario.first_view);
}

void world_advance(struct world *w, uint64_t time)
{
    while (w->queue.count > 0 && w->queue.heap[0].time <= time) {
        const struct event event = queue_pop(&w->queue);
        w->now = event.time;
        w->stats.counts[COUNT_EVENTS]++;
        if (event.kind == EVENT_DELIVER_CLIENT || event.kind == EVENT_CLIENT_TICK)
            clients_on_event(w, &event);
        else if (event.kind == EVENT_FAULT || event.kind == EVENT_FAULT_END)
            faults_on_event(w, &event);
        else if (event.kind == EVENT_CUT)
            standing_cut(w);
        else
            host_on_event(w, &event);
    }
    w->now = time;
}

void world_deinit(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++)
        host_deinit(w, &w->hosts[i]);
    for (uint32_t i = 0; i < w->scenario.load.clients; i++)
        client_deinit(w, &w->clients[i]);
    network_deinit(w);
    if (w->pool.live != 0)
        journal_fail(&w->journal, OUTCOME_INVARIANT, "%ld buffers did not come back", w->pool.live);
    pool_deinit(&w->pool);
    ghost_deinit(&w->ghost);
    free(w->calls);
}

void world_run(struct world *w, uint32_t replicas_asked, enum vsr_trace_level level)
{
    w->journal.scenario = &w->scenario;
    w->journal.now = &w->now;
    w->journal.level = level;
    w->journal.replicas_asked = replicas_asked;
    if (level > VSR_TRACE_OFF) scenario_print(&w->scenario, stdout);
    world_init(w);
    while (w->now < w->scenario.fault_ticks * TICK) {
        world_advance(w, w->now + LOOK_EVERY);
        monitor_look(w);
    }
    finish_run(w);
    w->stats.counts[COUNT_SEEDS]++;
    w->stats.counts[COUNT_TICKS] += w->now / TICK;
    world_deinit(w);
}
