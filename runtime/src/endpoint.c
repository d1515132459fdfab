/**
 * See endpoint.h: lanes, returns and mailboxes of one thread.
 *
 * Ordering
 *   E1 port open: store of in_count (release)  ->  E2 drain: load of it (acquire)
 *      carries the new lane's pointer.
 */
#include "actor.h"
#include "assert.h"
#include "memory.h"
#include "runtime.h"

#include <errno.h>
#include <string.h>

/** Batches taken from one lane before the next one gets its turn. */
enum { DRAIN_BATCHES = 8, PREFETCH_AHEAD = 6 };

int act_endpoint_init(struct act_endpoint *e, struct act_runtime *runtime, uint32_t index,
                      uint32_t endpoints, uint64_t pool_bytes_max)
{
    e->runtime = runtime;
    e->ready_end = &e->ready_head;
    e->turn_max = runtime->options.turn_max;
    e->registry = act_registry_view(runtime->registry);
    e->index = index;
    e->is_worker = index < runtime->options.workers;
    e->out = &runtime->lanes[(size_t)index * endpoints];
    e->back_out = &runtime->back_lanes[(size_t)index * endpoints];
    e->park.event_fd = e->park.epoll_fd = -1;
    e->in = act_memory_take(endpoints * sizeof(struct act_lane *));
    e->back_in = act_memory_take(endpoints * sizeof(struct act_lane *));
    if (e->in == NULL || e->back_in == NULL) return -ENOMEM;
    int error = act_pool_init(&e->pool, (uint8_t)index, pool_bytes_max);
    if (error != 0) return error;
    return act_park_init(&e->park, e->is_worker);
}

void act_endpoint_deinit(struct act_endpoint *e, uint32_t endpoints)
{
    act_registry_drop_cache(e->runtime->registry, &e->slots);
    act_park_deinit(&e->park);
    act_pool_deinit(&e->pool);
    act_memory_give(e->waiters, e->waiter_capacity * sizeof *e->waiters);
    act_memory_give(e->in, endpoints * sizeof(struct act_lane *));
    act_memory_give(e->back_in, endpoints * sizeof(struct act_lane *));
}

/** Publishes the lanes of a mask word; those that are full stay in it. */
static uint64_t publish_word(struct act_endpoint *e, struct act_lane **lanes, uint64_t word,
                             uint32_t base, bool is_to_wake)
{
    uint64_t left = 0;

    for (; word != 0; word &= word - 1) {
        uint32_t to = base + (uint32_t)__builtin_ctzll(word);
        if (act_lane_publish(lanes[to]))
            count(&e->counters.batches);
        else
            left |= word & -word;
        /* Also when the lane is full: what fills it was published since the last poke. */
        if (is_to_wake && act_park_poke(&e->runtime->endpoints[to]->park)) /* K1 */
            count(&e->counters.wakes);
    }
    return left;
}

void act_endpoint_publish_dirty(struct act_endpoint *e)
{
    for (uint32_t i = 0; i < DIRTY_WORDS; i++)
        if (e->dirty[i] != 0) e->dirty[i] = publish_word(e, e->out, e->dirty[i], i * 64, true);
}

/** Offers the lane what it did not take before. Returns false when it is full again. */
static bool unstick(struct act_endpoint *e, uint32_t home)
{
    while (e->back_stuck[home] != NULL) {
        struct message *m = message_of(e->back_stuck[home]);
        struct act_message *next = m->header.next;
        uintptr_t item = (uintptr_t)m | (uintptr_t)m->header.size_class << 1;
        if (!act_lane_append(e->back_out[home], item)) return false;
        e->back_stuck[home] = next;
    }
    return true;
}

void act_endpoint_return(struct act_endpoint *e)
{
    for (uint32_t i = 0; i < DIRTY_WORDS; i++) {
        uint64_t left = 0;
        for (uint64_t word = e->back_dirty[i]; word != 0; word &= word - 1) {
            uint32_t home = i * 64 + (uint32_t)__builtin_ctzll(word);
            if (!unstick(e, home) || !act_lane_publish(e->back_out[home])) left |= word & -word;
        }
        e->back_dirty[i] = left;
    }
}

void act_endpoint_collect(struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */

    for (uint32_t i = 0; i < lanes; i++) {
        for (;;) {
            struct act_lane_items items = act_lane_take(e->back_in[i]);
            if (items.count == 0) break;
            for (uint32_t k = 0; k < items.count; k++) {
                uint32_t size_class = (uint32_t)(items.list[k] >> 1) & (POOL_CLASSES - 1);
                act_pool_give(&e->pool, size_class,
                              (struct message *)(items.list[k] & ~(uintptr_t)63));
            }
        }
    }
}

bool act_endpoint_has_input(const struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */

    for (uint32_t i = 0; i < lanes; i++)
        if (!act_lane_is_empty(e->in[i])) return true;
    return false;
}

static void set_full(struct act_endpoint *e, struct act_actor *actor, bool is_full)
{
    atomic_ullong *word = &e->registry.words[actor_slot(e, actor)];
    unsigned long long value = atomic_load_explicit(word, memory_order_relaxed);

    /* Relaxed: a hint to senders; only the home stores the word. */
    atomic_store_explicit(word, is_full ? value | WORD_FULL : value & ~WORD_FULL,
                          memory_order_relaxed);
    if (is_full)
        actor->flags |= ACTOR_IS_FULL;
    else
        actor->flags &= (uint16_t)~ACTOR_IS_FULL;
}

/** Delivers a message that a lane brought. The home knows best who lives in the slot. */
static void deliver(struct act_endpoint *e, struct act_message *m)
{
    const act_id to = message_of(m)->header.to;
    struct act_actor *actor = &e->registry.actors[id_slot(to)];
    /* Relaxed: the sender looked it up (R2), and the lane brought what the sender had seen (L2). */
    unsigned long long word =
        atomic_load_explicit(&e->registry.words[id_slot(to)], memory_order_relaxed);

    if (!word_is_of(word, to)) {
        act_endpoint_bury(e, m);
        return;
    }
    ACT_DCHECK(word_home(word) == e->index);
    act_endpoint_push(e, actor, m);
    if (actor->count >= actor->limit && (actor->flags & ACTOR_IS_FULL) == 0)
        set_full(e, actor, true);
}

uint32_t act_endpoint_drain(struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */
    uint32_t delivered = 0;

    for (uint32_t i = 0; i < lanes; i++) {
        for (uint32_t batch = 0; batch < DRAIN_BATCHES; batch++) {
            struct act_lane_items items = act_lane_take(e->in[i]);
            if (items.count == 0) break;
            for (uint32_t k = 0; k < items.count && k < PREFETCH_AHEAD; k++)
                __builtin_prefetch((const void *)items.list[k], 1);
            for (uint32_t k = 0; k < items.count; k++) {
                if (k + PREFETCH_AHEAD < items.count)
                    __builtin_prefetch((const void *)items.list[k + PREFETCH_AHEAD], 1);
                deliver(e, &((struct message *)items.list[k])->user);
            }
            delivered += items.count;
        }
    }
    return delivered;
}

void act_endpoint_relieve(struct act_endpoint *e, struct act_actor *actor)
{
    if (actor->count <= actor->limit / 2) set_full(e, actor, false);
}

/** Whether a send would be accepted now, as far as anyone can tell; also when `to` is gone. */
static bool has_room(const struct act_endpoint *e, act_id to)
{
    if (id_node(to) != 0 || id_slot(to) >= e->registry.actors_max) return true;
    unsigned long long word =
        atomic_load_explicit(&e->registry.words[id_slot(to)], memory_order_acquire);
    if (!word_is_of(word, to)) return true;
    if (word_home(word) == e->index) {
        const struct act_actor *actor = &e->registry.actors[id_slot(to)];
        return actor->count < actor->limit;
    }
    return (word & WORD_FULL) == 0 && act_lane_has_room(e->out[word_home(word)]);
}

/** Tells those who wait for room and have it. */
static void serve_waiters(struct act_endpoint *e)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < e->waiter_count; i++) {
        struct room_waiter waiter = e->waiters[i];
        struct act_message *m = NULL;
        if (has_room(e, waiter.to)) m = act_message_create(ACT_TYPE_ROOM, sizeof waiter.to);
        if (m == NULL) {
            e->waiters[kept++] = waiter;
            continue;
        }
        memcpy(m->body, &waiter.to, sizeof waiter.to);
        act_endpoint_send_system(e, waiter.waiter, m);
    }
    e->waiter_count = kept;
}

void act_endpoint_retry(struct act_endpoint *e)
{
    struct message_list again = e->unsent;
    struct act_message *m;

    e->unsent = (struct message_list){0};
    while ((m = list_pop(&again)) != NULL)
        act_endpoint_send_system(e, message_of(m)->header.to, m);
    if (e->waiter_count > 0) serve_waiters(e);
    act_endpoint_publish(e);
}
