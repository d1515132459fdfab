/**
 * See endpoint.h: lanes and returns of one thread.
 *
 * Ordering
 *   E1 port open: store of in_count (release)  ->  E2 drain: load of it (acquire)
 *      carries the new lane's pointer. E2 is in delivery.c too.
 *   E3 publish, fence, load is_closed  <->  E4 store is_closed, fence, the last look at the lanes
 *      what was sent to a port that closes is ended by the port or by its sender. E4 is in
 *      delivery.c.
 */
#include "endpoint.h"

#include "assert.h"
#include "fabric.h"
#include "item.h"
#include "memory.h"

#include <act/clock.h>

#include <errno.h>

_Static_assert((int)POOL_CLASSES <= (int)ITEM_CLASSES, "an item has room for a size class");

static _Thread_local struct act_endpoint *current;

struct act_endpoint *act_endpoint_current(void)
{
    return current;
}

void act_endpoint_set_current(struct act_endpoint *e)
{
    ACT_ASSERT(e == NULL || e->runtime != NULL);
    current = e;
}

/** Of its belongings: another one in each endpoint, runtime and process (splitmix64, Steele 2014).
 */
static uint64_t secret_of(const struct act_endpoint *e)
{
    uint64_t z = act_now_ns() + (uint64_t)(uintptr_t)e;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

int act_endpoint_init(struct act_endpoint *e, struct act_runtime *runtime, uint32_t index,
                      uint32_t endpoints, uint64_t pool_bytes_max)
{
    ACT_ASSERT(index < endpoints);
    ACT_ASSERT(endpoints <= ENDPOINTS_MAX);
    ACT_ASSERT(runtime->registry != NULL);
    e->runtime = runtime;
    e->ready_end = &e->ready_head;
    e->turn_max = runtime->options.turn_max;
    e->registry = act_registry_view(runtime->registry);
    e->index = index;
    e->is_worker = index < runtime->options.workers;
    e->out = &runtime->lanes[(size_t)index * endpoints];
    e->back_out = &runtime->back_lanes[(size_t)index * endpoints];
    e->park.event_fd = e->park.epoll_fd = -1;
    act_belongings_init(&e->belongings, e->registry.actors_max, secret_of(e));
    e->in = act_memory_take(endpoints * sizeof(struct act_lane *));
    e->back_in = act_memory_take(endpoints * sizeof(struct act_lane *));
    if (e->in == NULL || e->back_in == NULL) return -ENOMEM;
    int error = act_pool_init(&e->pool, (uint8_t)index, pool_bytes_max);
    if (error != 0) return error;
    return act_park_init(&e->park, e->is_worker);
}

void act_endpoint_deinit(struct act_endpoint *e, uint32_t endpoints)
{
    ACT_ASSERT(e->unsent.head == NULL);
    ACT_ASSERT(e->waiter_count <= e->waiter_capacity);
    ACT_ASSERT(e->belongings.count == 0); /* every actor has ended */
    act_belongings_deinit(&e->belongings);
    act_watches_deinit(&e->watches);
    act_park_deinit(&e->park);
    act_pool_deinit(&e->pool);
    act_memory_give(e->waiters, e->waiter_capacity * sizeof *e->waiters);
    act_memory_give(e->in, endpoints * sizeof(struct act_lane *));
    act_memory_give(e->back_in, endpoints * sizeof(struct act_lane *));
}

/** Creates the lanes from one endpoint to another; they live as long as the runtime. */
static int create_lanes(struct act_runtime *rt, uint32_t from, uint32_t to)
{
    const size_t at = (size_t)from * rt->endpoint_count + to;
    struct act_endpoint *receiver = rt->endpoints[to];
    const uint32_t count = atomic_load_explicit(&receiver->in_count, memory_order_relaxed);

    ACT_ASSERT(from != to);
    ACT_ASSERT(from < rt->endpoint_count);
    ACT_ASSERT(to < rt->endpoint_count);
    ACT_ASSERT((rt->lanes[at] == NULL) == (rt->back_lanes[at] == NULL));
    if (rt->lanes[at] != NULL) return 0;
    ACT_ASSERT(count < rt->endpoint_count); /* one lane from each */
    struct act_lane *lane = act_lane_create();
    struct act_lane *back = act_lane_create();
    if (lane == NULL || back == NULL) {
        act_lane_destroy(lane);
        act_lane_destroy(back);
        return -ENOMEM;
    }
    rt->lanes[at] = lane;
    rt->back_lanes[at] = back;
    receiver->in[count] = lane;
    receiver->back_in[count] = back;
    atomic_store_explicit(&receiver->in_count, count + 1, memory_order_release); /* E1 */
    return 0;
}

int act_endpoint_connect(struct act_runtime *rt, uint32_t index)
{
    ACT_ASSERT(rt->endpoints[index] != NULL);
    for (uint32_t i = 0; i < rt->endpoint_count; i++) {
        if (i == index || rt->endpoints[i] == NULL) continue;
        int error = create_lanes(rt, index, i);
        if (error == 0) error = create_lanes(rt, i, index);
        if (error != 0) return error;
    }
    return 0;
}

/** Wakes who sleeps, after something was published for it. */
static void wake(struct act_endpoint *e, uint32_t to)
{
    struct act_endpoint *receiver = e->runtime->endpoints[to];

    if (act_park_poke(&receiver->park)) count(&e->counters.wakes); /* K1 */
    /* E3. The poke of a port has a fence, and only ports are closed. */
    if (!atomic_load_explicit(&receiver->is_closed, memory_order_relaxed)) return;
    e->stranded[to / 64] |= 1ull << (to % 64);
    e->has_stranded = true;
}

/** Publishes the lanes of a mask word; those that are full stay in it. */
static uint64_t publish_word(struct act_endpoint *e, struct act_lane **lanes, uint64_t word,
                             uint32_t base, bool is_to_wake)
{
    uint64_t left = 0;

    for (; word != 0; word &= word - 1) {
        uint32_t to = base + (uint32_t)__builtin_ctzll(word);
        ACT_DCHECK(to != e->index && lanes[to] != NULL);
        if (act_lane_publish(lanes[to]))
            count(&e->counters.batches);
        else
            left |= word & -word;
        /* Also when the lane is full: what fills it was published since the last poke. */
        if (is_to_wake) wake(e, to);
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
        ACT_DCHECK(m->header.home == home);
        if (!act_lane_append(e->back_out[home], item_of_memory(m, m->header.size_class)))
            return false;
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

void act_endpoint_want(struct act_endpoint *e, uint32_t to)
{
    ACT_ASSERT(e->is_worker);
    ACT_ASSERT(to != e->index);
    atomic_store_explicit(&e->runtime->endpoints[to]->is_wanted, 1, memory_order_release); /* K3 */
}

void act_endpoint_wake_workers(struct act_endpoint *e)
{
    /* Before it looks who is parked: who raises the flag later finds it raised, who did before is
     * found parked. */
    atomic_exchange_explicit(&e->is_wanted, 0, memory_order_seq_cst); /* K4 */
    for (uint32_t i = 0; i < e->runtime->options.workers; i++)
        if (i != e->index && act_park_poke(&e->runtime->endpoints[i]->park))
            count(&e->counters.wakes);
}

void act_endpoint_collect(struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */
    bool has_some = false;

    for (uint32_t i = 0; i < lanes; i++) {
        for (;;) {
            struct act_lane_items items = act_lane_take(e->back_in[i]);
            if (items.count == 0) break;
            has_some = true;
            for (uint32_t k = 0; k < items.count; k++) {
                ACT_DCHECK(item_message(items.list[k])->header.home == e->index);
                act_pool_give(&e->pool, item_size_class(items.list[k]),
                              item_message(items.list[k]));
            }
        }
    }
    if (has_some) endpoint_offer_room(e);
}

bool act_endpoint_has_input(const struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */

    for (uint32_t i = 0; i < lanes; i++)
        if (!act_lane_is_empty(e->in[i])) return true;
    return false;
}
