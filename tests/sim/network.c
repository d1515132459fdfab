/**
 * Links that lose, repeat, delay, clog and are cut; an archive of old messages to replay.
 */
#include "world.h"

enum { ARCHIVE_ONE_IN = 16, CALM_DELAY = TICK / 5 };

static uint64_t delay_of(struct world *w)
{
    const struct scenario *s = &w->scenario;
    struct random *r = &w->network_random;
    uint64_t delay = s->delay_min + random_below(r, s->delay_jitter + 1);

    if (!w->network.is_faulty) return s->link_units + delay % CALM_DELAY + 1;
    if (random_ppm(r, s->tail_ppm)) delay += random_exponential(r, s->tail_mean);
    return s->link_units + delay;
}

static uint32_t loss_of(const struct world *w)
{
    return w->now < w->network.loss_until ? w->network.loss_ppm : w->scenario.loss_ppm;
}

/** Keeps a sample of all messages for much later. */
static void archive(struct world *w, const struct event *event)
{
    struct network *n = &w->network;

    /* Those of view changes and recoveries are rare, and the ones that hurt. */
    const bool is_rare = event->buffer.header->type >= VSR_START_VIEW_CHANGE &&
                         event->buffer.header->type <= VSR_RECOVERY_RESPONSE;
    if (random_below(&w->network_random, is_rare ? 2 : ARCHIVE_ONE_IN) != 0) return;
    struct event *place =
        &n->archive[n->archived < ARCHIVE_MAX ? n->archived++
                                              : random_below(&w->network_random, ARCHIVE_MAX)];
    if (place->buffer.header != NULL) pool_unref(&w->pool, place->buffer);
    *place = *event;
    pool_ref(event->buffer);
}

/** Ownership: takes the event's buffer. */
static void post(struct world *w, struct event event)
{
    struct network *n = &w->network;
    struct random *r = &w->network_random;

    event.time = w->now + delay_of(w);
    if (!n->is_faulty) {
        queue_push(&w->queue, event);
        return;
    }
    if (w->scenario.fault_period[FAULT_REPLAY] != 0) archive(w, &event);
    const struct type_fault *fault = &n->type_faults[event.buffer.header->type];
    if (w->now < fault->until && random_ppm(r, fault->ppm)) {
        if (fault->delay == 0) {
            w->stats.counts[COUNT_LOST]++;
            pool_unref(&w->pool, event.buffer);
            return;
        }
        event.time += random_below(r, fault->delay);
    }
    if (random_ppm(r, w->scenario.duplicate_ppm)) {
        struct event copy = event;
        pool_ref(copy.buffer);
        copy.time = w->now + delay_of(w) + random_below(r, TICK);
        w->stats.counts[COUNT_DUPLICATED]++;
        queue_push(&w->queue, copy);
    }
    if (random_ppm(r, loss_of(w))) {
        w->stats.counts[COUNT_LOST]++;
        pool_unref(&w->pool, event.buffer);
        return;
    }
    queue_push(&w->queue, event);
}

void network_send(struct world *w, uint32_t from, uint32_t to_mask, struct vsr_buffer buffer)
{
    for (uint32_t to = 0; to < world_replicas(w); to++) {
        if ((to_mask >> to & 1) == 0) continue;
        struct link *link = &w->network.links[from][to];
        if (link->blocks > 0) {
            w->stats.counts[COUNT_BLOCKED]++;
            continue;
        }
        if (to == from) continue;
        struct event event = {
            .kind = EVENT_DELIVER, .target = (uint16_t)to, .buffer = pool_ref(buffer)};
        if (w->now < link->clogged_until) {
            event.time = link->clogged_until + random_below(&w->network_random, TICK);
            queue_push(&w->queue, event);
        } else {
            post(w, event);
        }
    }
    pool_unref(&w->pool, buffer);
}

void network_send_client(struct world *w, uint32_t from, vsr_address to, struct vsr_buffer buffer)
{
    (void)from;
    if (to < CLIENT_ADDRESS || to >= CLIENT_ADDRESS + w->scenario.load.clients)
        journal_fail(&w->journal, OUTCOME_INVARIANT, "replica %u answers address %llu: nobody's",
                     from, (unsigned long long)to);
    post(w, (struct event){.kind = EVENT_DELIVER_CLIENT,
                           .target = (uint16_t)(to - CLIENT_ADDRESS),
                           .buffer = buffer});
}

void network_from_client(struct world *w, uint32_t client, uint32_t to_mask,
                         struct vsr_buffer buffer)
{
    pool_seal(buffer);
    w->stats.sent[buffer.header->type]++;
    journal_message(&w->journal, NOTE_SENT, buffer.header, (int16_t)(-1 - (int)client), to_mask);
    for (uint32_t to = 0; to < world_replicas(w); to++)
        if ((to_mask >> to & 1) != 0)
            post(w, (struct event){
                        .kind = EVENT_DELIVER, .target = (uint16_t)to, .buffer = pool_ref(buffer)});
    pool_unref(&w->pool, buffer);
}

static void replay(struct world *w, const struct event *archived)
{
    struct event event = *archived;

    pool_ref(event.buffer);
    event.time = w->now + delay_of(w);
    w->stats.counts[COUNT_REPLAYED]++;
    queue_push(&w->queue, event);
}

void network_replay(struct world *w)
{
    struct network *n = &w->network;
    const uint64_t copies = random_between(&w->network_random, 1, 8);

    for (uint64_t i = 0; i < copies && n->archived > 0; i++)
        replay(w, &n->archive[random_below(&w->network_random, n->archived)]);
}

void network_replay_to(struct world *w, uint32_t replica)
{
    struct network *n = &w->network;

    if (!n->is_faulty || !random_percent(&w->network_random, 30)) return;
    for (uint32_t i = 0; i < n->archived; i++) {
        const struct event *event = &n->archive[i];
        if (event->kind == EVENT_DELIVER && event->target == replica &&
            random_percent(&w->network_random, 30))
            replay(w, event);
    }
}

void network_calm(struct world *w)
{
    struct network *n = &w->network;

    n->is_faulty = false;
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        for (uint32_t k = 0; k < VSR_REPLICAS_MAX; k++)
            n->links[i][k] = (struct link){.blocks = !standing_links(w, i, k)};
}

void network_deinit(struct world *w)
{
    struct network *n = &w->network;

    for (uint32_t i = 0; i < n->archived; i++)
        pool_unref(&w->pool, n->archive[i].buffer);
    while (w->queue.count > 0) {
        struct event event = queue_pop(&w->queue);
        if (event.kind == EVENT_DELIVER || event.kind == EVENT_DELIVER_CLIENT)
            pool_unref(&w->pool, event.buffer);
    }
    queue_deinit(&w->queue);
}
