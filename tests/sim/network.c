/**
 * Links that lose, repeat, delay, clog and are cut; an archive of old messages to replay.
 */
#include "world.h"

#include <stddef.h>

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

/* Garbled messages. */

/** Fields that no message has: what the core drops must leave no trace. */
static void twist(struct world *w, struct vsr_header *m)
{
    struct random *r = &w->cost_random;
    const uint32_t body = m->bytes - (uint32_t)sizeof *m;
    uint8_t *entry = (uint8_t *)m + offsetof(struct vsr_prepare, entry);

    switch (random_below(r, m->type == VSR_PREPARE ? 14 : 9)) {
    case 0:
        m->magic ^= 1u << random_below(r, 32);
        break;
    case 1:
        m->version ^= (uint8_t)(1u << random_below(r, 8));
        break;
    case 2:
        m->type = (uint8_t)random_between(r, VSR_MESSAGE_COUNT, 255);
        break;
    case 3:
        m->type = 0;
        break;
    case 4:
        m->cluster ^= 1ull << random_below(r, 64);
        break;
    case 5:
        m->to = (uint8_t)random_between(r, VSR_REPLICAS_MAX, 254);
        break;
    case 6:
        m->bytes = (uint32_t)random_below(r, sizeof *m);
        break;
    case 7:
        m->bytes -= (uint32_t)random_below(r, body + 1) & ~7u;
        m->magic ^= m->bytes == sizeof *m + body; /* or nothing would be wrong with it */
        break;
    case 8:
        if (m->type == VSR_REQUEST || m->type == VSR_REPLY || m->type == VSR_PREPARE)
            m->count += (uint32_t)random_between(r, 1, UINT32_MAX - m->count);
        else
            m->epoch ^= 1u << random_below(r, 32);
        break;
    default: /* the entry's checksum is over all of this */
        entry[random_below(r, m->bytes - offsetof(struct vsr_prepare, entry))] ^=
            (uint8_t)(1u << random_below(r, 8));
        break;
    }
}

/** A message whose bytes are not what was sent, in place of it or beside it. */
static struct vsr_buffer garble(struct world *w, struct vsr_buffer buffer)
{
    struct vsr_buffer copy = pool_copy(&w->pool, buffer);

    w->stats.counts[COUNT_TWISTED]++;
    if (scenario_has(&w->scenario, CONDITION_LIES)) {
        const uint32_t bytes = copy.header->bytes;
        w->has_lied = true;
        for (uint64_t flips = random_between(&w->cost_random, 1, 3); flips > 0; flips--)
            ((uint8_t *)copy.header)[random_below(&w->cost_random, bytes)] ^=
                (uint8_t)(1u << random_below(&w->cost_random, 8));
        /* A transport hands on as many bytes as there are. */
        if (copy.header->bytes > bytes) copy.header->bytes = bytes;
    } else {
        twist(w, copy.header);
    }
    return copy;
}

/** Ownership: takes the event's buffer. */
static void post_one(struct world *w, struct event event)
{
    struct network *n = &w->network;
    struct random *r = &w->network_random;

    event.time = w->now + delay_of(w);
    if (!n->is_faulty) {
        queue_push(&w->queue, event);
        return;
    }
    if (w->scenario.fault_period[FAULT_REPLAY] != 0) archive(w, &event);
    const uint8_t type = event.buffer.header->type;
    const struct type_fault *fault = &n->type_faults[type < VSR_MESSAGE_COUNT ? type : 0];
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

/** Ownership: takes the event's buffer. */
static void post(struct world *w, struct event event)
{
    if (random_ppm(&w->cost_random, w->scenario.garbled_ppm) && !w->has_ended) {
        struct event other = event;
        other.buffer = garble(w, event.buffer);
        if (random_percent(&w->cost_random, 50)) {
            post_one(w, other);
        } else {
            pool_unref(&w->pool, event.buffer);
            event = other;
        }
    }
    post_one(w, event);
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

void network_vote(struct world *w, vsr_view target)
{
    for (uint32_t from = 0; from < world_replicas(w); from++) {
        struct vsr_buffer buffer = pool_take(&w->pool, sizeof(struct vsr_start_view_change));
        struct vsr_start_view_change *vote = (struct vsr_start_view_change *)(void *)buffer.header;
        *vote = (struct vsr_start_view_change){
            .header = {.magic = VSR_MAGIC,
                       .version = VSR_VERSION,
                       .type = VSR_START_VIEW_CHANGE,
                       .to = VSR_TO_ALL,
                       .cluster = w->scenario.replica.cluster,
                       .from = from,
                       .from_incarnation = w->hosts[from].incarnation,
                       .bytes = sizeof *vote},
            .target = target,
        };
        pool_seal(buffer);
        network_send(w, from, (1u << world_replicas(w)) - 1, buffer);
    }
}

void network_send_client(struct world *w, uint32_t from, vsr_address to, struct vsr_buffer buffer)
{
    (void)from;
    const bool is_known = to >= CLIENT_ADDRESS && to < CLIENT_ADDRESS + w->scenario.load.clients;
    if (!is_known && w->has_lied) {
        pool_unref(&w->pool, buffer);
        return;
    }
    if (!is_known)
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
