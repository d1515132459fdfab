/**
 * The registry alone: ids and slots.
 */
#include "registry.h"

#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(registry);

/* types.h: {runtime, generation, slot} in 64 bits. */
Test(registry, ids_keep_their_parts)
{
    const uint32_t parts[] = {0, 1, 255, 0xABCDEF, SLOT_MASK};

    for (size_t g = 0; g < sizeof parts / sizeof parts[0]; g++) {
        for (size_t s = 0; s < sizeof parts / sizeof parts[0]; s++) {
            const act_id id = id_make(7, parts[g], parts[s]);
            cr_assert_eq(id_generation(id), parts[g]);
            cr_assert_eq(id_slot(id), parts[s]);
            cr_assert_eq(id_scope(id), 7);
        }
    }
}

/* registry.h: takes a free slot; every slot once; none beyond actors_max, whoever asks. */
Test(registry, every_slot_is_given_out_once)
{
    const uint32_t sizes[] = {1, 255, 256, 257, 1000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static bool is_taken[1000];
        struct act_registry *r = act_registry_create(sizes[i], 3);
        uint32_t slot;

        memset(is_taken, 0, sizeof is_taken);
        for (uint32_t count = 0; count < sizes[i]; count++) {
            cr_assert_eq(act_registry_take_slot(r, count / 100 % 3, &slot), 0);
            cr_assert_lt(slot, sizes[i]);
            cr_assert_not(is_taken[slot]);
            is_taken[slot] = true;
        }
        for (uint32_t endpoint = 0; endpoint < 3; endpoint++)
            cr_assert_eq(act_registry_take_slot(r, endpoint, &slot), -EAGAIN);
        cr_assert_eq(act_registry_slots_used(r), sizes[i]);
        act_registry_destroy(r);
    }
}

/* registry.h: refused only when all are taken, wherever those lie that are not. */
Test(registry, every_endpoint_finds_the_slots_of_the_others)
{
    enum { SLOTS = 300, ENDPOINTS = 5 };
    struct act_registry *r = act_registry_create(SLOTS, ENDPOINTS);
    uint32_t slot;

    for (uint32_t endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
        for (uint32_t i = 0; i < SLOTS; i++)
            cr_assert_eq(act_registry_take_slot(r, endpoint, &slot), 0, "%u, slot %u", endpoint, i);
        cr_assert_eq(act_registry_take_slot(r, (endpoint + 3) % ENDPOINTS, &slot), -EAGAIN);
        for (slot = 0; slot < SLOTS; slot++) /* given back by all, most by the last one */
            act_registry_give_slot(r, slot < ENDPOINTS ? slot : ENDPOINTS - 1, slot);
    }
    act_registry_destroy(r);
}

/* registry.c: each slot has its turn, so that its generation wraps that much later. */
Test(registry, a_slot_comes_back_after_the_others)
{
    struct act_registry *r = act_registry_create(1 << 20, 1);
    uint32_t first;
    uint32_t slot;
    uint32_t turns = 0;

    cr_assert_eq(act_registry_take_slot(r, 0, &first), 0);
    act_registry_give_slot(r, 0, first);
    do {
        cr_assert_eq(act_registry_take_slot(r, 0, &slot), 0);
        act_registry_give_slot(r, 0, slot);
        turns++;
    } while (slot != first);
    cr_assert_geq(turns, 256);
    act_registry_destroy(r);
}

/* registry.c: what ends at one endpoint in great numbers is used by those that spawn, before slots
 * that were never in use. */
Test(registry, slots_of_the_dead_are_used_first)
{
    struct act_registry *r = act_registry_create(1 << 20, 2);
    uint32_t slot;

    for (uint32_t i = 0; i < 10000; i++) {
        cr_assert_eq(act_registry_take_slot(r, 0, &slot), 0);
        act_registry_give_slot(r, 1, slot);
    }
    cr_assert_leq(act_registry_slots_used(r), 1024);
    act_registry_destroy(r);
}

/* registry.h: NULL when there is no memory, and then nothing is held. */
Test(registry, create_without_memory_holds_nothing)
{
    const size_t before = act_memory_held();
    struct act_registry *r;

    for (unsigned long nth = 1;; nth++) {
        act_memory_fail_at(nth);
        r = act_registry_create(1000, 4);
        if (r != NULL) {
            cr_assert_eq(nth, 8);
            break;
        }
        cr_assert_eq(act_memory_held(), before);
    }
    act_memory_fail_at(0);
    act_registry_destroy(r);
    cr_assert_eq(act_memory_held(), before);
}

/* Threads that take and give as fast as they can, of fewer slots than all want together. */
enum { TAKERS = 3, SHARED = 64, EACH = 24, ROUNDS = 20000 };

struct taker {
    struct act_registry *registry;
    uint32_t endpoint;
    uint32_t errors;
};

static atomic_uint owners[SHARED];

static void *take_and_give(void *argument)
{
    struct taker *t = argument;
    uint32_t mine[EACH];
    uint32_t count = 0;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t slot;
        if (count < EACH && act_registry_take_slot(t->registry, t->endpoint, &slot) == 0) {
            if (atomic_exchange(&owners[slot], t->endpoint + 1) != 0) t->errors++;
            mine[count++] = slot;
        }
        if (i % 3 != 0 || count == 0) continue;
        const uint32_t which = i % count;
        slot = mine[which];
        mine[which] = mine[--count];
        if (atomic_exchange(&owners[slot], 0) != t->endpoint + 1) t->errors++;
        act_registry_give_slot(t->registry, t->endpoint, slot);
    }
    while (count > 0) {
        atomic_store(&owners[mine[--count]], 0);
        act_registry_give_slot(t->registry, t->endpoint, mine[count]);
    }
    return NULL;
}

/* R3, R4, R5: no slot has two owners and none is lost. */
Test(registry, slots_wander_between_threads)
{
    struct act_registry *r = act_registry_create(SHARED, TAKERS);
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    uint32_t slot;

    for (uint32_t i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.registry = r, .endpoint = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &takers[i]), 0);
    }
    for (uint32_t i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(takers[i].errors, 0);
    }
    for (uint32_t i = 0; i < SHARED; i++)
        cr_assert_eq(act_registry_take_slot(r, 0, &slot), 0);
    cr_assert_eq(act_registry_take_slot(r, 0, &slot), -EAGAIN);
    act_registry_destroy(r);
}
