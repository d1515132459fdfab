/**
 * See registry.h.
 *
 * Ordering
 *   R1 spawn: store of a slot's word (release)  ->  R2 send: load of it (acquire)
 *      carries the actor's struct to its home; R1 is in actor.c, R2 in registry.h and worker.c.
 *   R3 a slot comes into an endpoint's list (release)  ->  R4 it is taken out (acquire), maybe by
 *      another endpoint (its own thread has put it there: no edge is needed)
 *      the home of the last actor is done with its struct before the next one's is filled in.
 *   R5 the mutex orders those who look for slots: what one has in its hands is in its list before
 *      the next one looks there.
 */
#include "registry.h"

#include "assert.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>

/** Slots that move between an endpoint and the registry at a time. */
enum { SLOTS_AT_A_TIME = 256 };

/**
 * An endpoint's free slots: two lists, linked through `next`, of which its own thread alone makes
 * longer. Slots are taken from one and given into the other, so that each slot has its turn: its
 * generation then wraps that much later. Others take a whole list at once, never a single slot, so
 * a head that has not changed means a list that has not.
 */
struct slot_cache {
    alignas(CPU_LINE_BYTES) atomic_uint free; /* first slot, + 1; 0 = none */
    atomic_uint ended;                        /* likewise */
    uint32_t ended_count;                     /* its own thread's: since `ended` was empty */
};

struct act_registry {
    struct act_registry_view view;
    atomic_uint *next;         /* [actors_max] the slot behind it in its list, + 1 */
    struct slot_cache *caches; /* [endpoints] */
    uint32_t endpoints;
    pthread_mutex_t mutex; /* R5, guards what follows */
    uint32_t used;
    uint32_t stocked;
    uint32_t *stock; /* [actors_max / SLOTS_AT_A_TIME + 1] lists that endpoints had too many of */
};

struct act_registry_view act_registry_view(const struct act_registry *registry)
{
    return registry->view;
}

static size_t stock_bytes(const struct act_registry *r)
{
    return (r->view.actors_max / SLOTS_AT_A_TIME + 1) * sizeof *r->stock;
}

/** The next number for a registry of this process. Relaxed: that it is another one is enough. */
static uint32_t next_scope(void)
{
    static atomic_uint last;

    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) % SCOPE_MAX + 1;
}

struct act_registry *act_registry_create(uint32_t actors_max, uint32_t endpoints)
{
    struct act_registry *r = act_memory_take(sizeof *r);

    ACT_ASSERT(actors_max > 0);
    ACT_ASSERT(actors_max <= SLOT_MASK + 1);
    ACT_ASSERT(endpoints > 0);
    if (r == NULL) return NULL;
    pthread_mutex_init(&r->mutex, NULL);
    r->view.actors_max = actors_max;
    r->view.scope = next_scope();
    r->endpoints = endpoints;
    r->view.words = act_memory_map(actors_max * sizeof *r->view.words);
    r->view.actors = act_memory_map(actors_max * sizeof *r->view.actors);
    r->view.counted = act_memory_map(actors_max * sizeof *r->view.counted);
    r->next = act_memory_map(actors_max * sizeof *r->next);
    r->caches = act_memory_take(endpoints * sizeof *r->caches);
    r->stock = act_memory_take(stock_bytes(r));
    if (r->view.words == NULL || r->view.actors == NULL || r->view.counted == NULL ||
        r->next == NULL || r->caches == NULL || r->stock == NULL) {
        act_registry_destroy(r);
        return NULL;
    }
    return r;
}

void act_registry_destroy(struct act_registry *r)
{
    pthread_mutex_destroy(&r->mutex);
    act_memory_unmap(r->view.words, r->view.actors_max * sizeof *r->view.words);
    act_memory_unmap(r->view.actors, r->view.actors_max * sizeof *r->view.actors);
    act_memory_unmap(r->view.counted, r->view.actors_max * sizeof *r->view.counted);
    act_memory_unmap(r->next, r->view.actors_max * sizeof *r->next);
    act_memory_give(r->caches, r->endpoints * sizeof *r->caches);
    act_memory_give(r->stock, stock_bytes(r));
    act_memory_give(r, sizeof *r);
}

/** The slot behind this one, + 1. Relaxed: what is behind a head comes with it (R3, R4). */
static uint32_t next_of(const struct act_registry *r, uint32_t slot)
{
    ACT_DCHECK(slot < r->view.actors_max);
    return atomic_load_explicit(&r->next[slot], memory_order_relaxed);
}

/** Takes a whole list. */
static uint32_t take_list(atomic_uint *list)
{
    /* A look first: a line of another endpoint's is not written without need. */
    if (atomic_load_explicit(list, memory_order_relaxed) == 0) return 0;
    return atomic_exchange_explicit(list, 0, memory_order_acquire); /* R4 */
}

/** A list that an endpoint had too many of. */
static uint32_t take_stock(struct act_registry *r)
{
    return r->stocked > 0 ? r->stock[--r->stocked] : 0;
}

/** A list of slots that were never in use. */
static uint32_t take_fresh(struct act_registry *r)
{
    const uint32_t first = r->used;
    const uint32_t left = r->view.actors_max - first;
    const uint32_t count = left < SLOTS_AT_A_TIME ? left : SLOTS_AT_A_TIME;

    ACT_ASSERT(first <= r->view.actors_max);
    if (count == 0) return 0;
    r->used += count;
    for (uint32_t slot = first; slot + 1 < first + count; slot++)
        atomic_store_explicit(&r->next[slot], slot + 2, memory_order_relaxed); /* R3 publishes */
    return first + 1;
}

/** A list that another endpoint keeps for its own next spawns. */
static uint32_t take_from_others(struct act_registry *r, uint32_t endpoint)
{
    uint32_t head = 0;

    for (uint32_t i = 1; i < r->endpoints && head == 0; i++) {
        struct slot_cache *other = &r->caches[(endpoint + i) % r->endpoints];
        head = take_list(&other->ended);
        if (head == 0) head = take_list(&other->free);
    }
    return head;
}

/** A list of free slots, wherever there is one. */
static uint32_t find_slots(struct act_registry *r, uint32_t endpoint)
{
    uint32_t head = take_stock(r);

    if (head == 0) head = take_list(&r->caches[endpoint].ended);
    if (head == 0) head = take_fresh(r);
    if (head == 0) head = take_from_others(r, endpoint);
    return head;
}

/** Takes a slot when the endpoint's list is empty, and fills that. */
static int refill(struct act_registry *r, uint32_t endpoint, uint32_t *slot)
{
    pthread_mutex_lock(&r->mutex); /* R5 */
    const uint32_t head = find_slots(r, endpoint);
    if (head != 0) {
        *slot = head - 1;
        atomic_store_explicit(&r->caches[endpoint].free, next_of(r, head - 1),
                              memory_order_release); /* R3 */
    }
    pthread_mutex_unlock(&r->mutex);
    return head != 0 ? 0 : -EAGAIN;
}

int act_registry_take_slot(struct act_registry *registry, uint32_t endpoint, uint32_t *slot)
{
    struct slot_cache *cache = &registry->caches[endpoint];
    /* Relaxed: this thread has put in whatever is there. */
    uint32_t head = atomic_load_explicit(&cache->free, memory_order_relaxed);

    ACT_DCHECK(endpoint < registry->endpoints);
    /* Release: R3, for who takes the rest. The head is as it was only if nobody took the list: no
     * other thread puts a slot into it. */
    while (head != 0 &&
           !atomic_compare_exchange_weak_explicit(&cache->free, &head, next_of(registry, head - 1),
                                                  memory_order_release, memory_order_relaxed))
        continue;
    if (head == 0) return refill(registry, endpoint, slot);
    *slot = head - 1;
    return 0;
}

/** What an endpoint has too many of, for those that spawn elsewhere what ends here. */
static void give_stock(struct act_registry *r, struct slot_cache *cache)
{
    pthread_mutex_lock(&r->mutex); /* R5 */
    const uint32_t head = take_list(&cache->ended);
    ACT_ASSERT(r->stocked <= r->view.actors_max / SLOTS_AT_A_TIME);
    if (head != 0) r->stock[r->stocked++] = head;
    pthread_mutex_unlock(&r->mutex);
}

void act_registry_give_slot(struct act_registry *registry, uint32_t endpoint, uint32_t slot)
{
    struct slot_cache *cache = &registry->caches[endpoint];
    /* Relaxed: only this thread puts something in; that somebody took the list fails the CAS. */
    uint32_t head = atomic_load_explicit(&cache->ended, memory_order_relaxed);

    ACT_DCHECK(endpoint < registry->endpoints);
    ACT_DCHECK(slot < registry->view.actors_max);
    do
        atomic_store_explicit(&registry->next[slot], head, memory_order_relaxed); /* R3 publishes */
    while (!atomic_compare_exchange_weak_explicit(
        &cache->ended, &head, slot + 1, memory_order_release, memory_order_relaxed)); /* R3 */
    cache->ended_count = head != 0 ? cache->ended_count + 1 : 1;
    if (cache->ended_count == SLOTS_AT_A_TIME) give_stock(registry, cache);
}

uint32_t act_registry_slots_used(const struct act_registry *registry)
{
    struct act_registry *r = (struct act_registry *)(uintptr_t)registry;

    pthread_mutex_lock(&r->mutex);
    uint32_t used = r->used;
    pthread_mutex_unlock(&r->mutex);
    return used;
}
