/**
 * The registry alone: slots, grace periods, names.
 */
#include "registry.h"

#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

LEAK_CHECKED_SUITE(registry);

/* types.h: {node, slot, generation} in 64 bits. */
Test(registry, ids_keep_their_parts)
{
    const uint32_t parts[] = {0, 1, 255, 0xABCDEF, SLOT_MASK};

    for (size_t g = 0; g < sizeof parts / sizeof parts[0]; g++) {
        for (size_t s = 0; s < sizeof parts / sizeof parts[0]; s++) {
            const act_id id = id_make(parts[g], parts[s]);
            cr_assert_eq(id_generation(id), parts[g]);
            cr_assert_eq(id_slot(id), parts[s]);
            cr_assert_eq(id_node(id), 0);
            cr_assert_eq(id_node(id | 5ull << 48), 5);
        }
    }
}

static bool take(struct act_registry *r, struct slot_cache *cache, uint32_t *slot)
{
    return act_registry_take_slot(r, cache, slot) == 0;
}

/* registry.h: takes a free slot; every slot once; none beyond actors_max. */
Test(registry, every_slot_is_given_out_once)
{
    const uint32_t sizes[] = {1, 255, 256, 257, 1000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static bool is_taken[1000];
        struct act_registry *r = act_registry_create(sizes[i]);
        struct slot_cache caches[3] = {{0}};
        uint32_t slot;
        uint32_t count = 0;

        memset(is_taken, 0, sizeof is_taken);
        for (uint32_t c = 0; c < 3; c++) {
            while (take(r, &caches[c], &slot)) {
                cr_assert_lt(slot, sizes[i]);
                cr_assert_not(is_taken[slot]);
                is_taken[slot] = true;
                if (++count % 300 == 0) break;
            }
        }
        while (take(r, &caches[0], &slot))
            count++;
        for (uint32_t c = 0; c < 3; c++)
            act_registry_drop_cache(r, &caches[c]);
        cr_assert_leq(count, sizes[i]);
        cr_assert_gt(count + 2 * SLOT_CHUNK, sizes[i]);
        cr_assert_eq(act_registry_slots_used(r), sizes[i]);
        act_registry_destroy(r);
    }
}

/* registry.h: a slot whose word was never published goes back at once. */
Test(registry, untaken_slot_is_the_next_one)
{
    struct act_registry *r = act_registry_create(1);
    struct slot_cache cache = {0};
    uint32_t slot;

    cr_assert(take(r, &cache, &slot));
    cr_assert_eq(act_registry_take_slot(r, &cache, &slot), -EAGAIN);
    act_registry_untake_slot(&cache, slot);
    cr_assert(take(r, &cache, &slot));
    cr_assert_eq(slot, 0);
    act_registry_drop_cache(r, &cache);
    act_registry_destroy(r);
}

struct taking {
    struct act_registry *registry;
    struct slot_cache *cache;
    uint32_t slot;
};

static bool takes_again(void *argument)
{
    struct taking *t = argument;

    act_registry_quiescent();
    return act_registry_take_slot(t->registry, t->cache, &t->slot) == 0;
}

/* registry.h: a dead actor's slot is given out again only after a grace period. */
Test(registry, dead_slot_waits_for_every_reader)
{
    struct act_registry *r = act_registry_create(2);
    struct slot_cache cache = {0};
    uint32_t slots[2];

    act_registry_register_thread(); /* a reader that announces nothing */
    cr_assert(take(r, &cache, &slots[0]));
    cr_assert(take(r, &cache, &slots[1]));
    act_registry_retire_slot(r, &cache, slots[1]);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t slot;
        cr_assert_not(take(r, &cache, &slot), "a reader may still hold it");
    }
    struct taking t = {.registry = r, .cache = &cache};
    cr_assert(wait_until(takes_again, &t));
    cr_assert_eq(t.slot, slots[1]);
    act_registry_unregister_thread();
    act_registry_drop_cache(r, &cache);
    act_registry_destroy(r);
}

/* R5: what one endpoint retires reaches the others. */
Test(registry, dead_slots_of_one_endpoint_reach_another)
{
    struct act_registry *r = act_registry_create(SLOT_CHUNK);
    struct slot_cache spawner = {0};
    struct slot_cache home = {0};
    uint32_t slot;

    for (uint32_t i = 0; i < SLOT_CHUNK; i++) {
        cr_assert(take(r, &spawner, &slot));
        act_registry_retire_slot(r, &home, slot);
    }
    cr_assert_null(home.retired, "a full chunk goes to the registry");
    act_registry_register_thread();
    struct taking t = {.registry = r, .cache = &spawner};
    cr_assert(wait_until(takes_again, &t));
    act_registry_unregister_thread();
    act_registry_drop_cache(r, &spawner);
    act_registry_drop_cache(r, &home);
    act_registry_destroy(r);
}

/* registry.h: NULL when there is no memory, and then nothing is held. */
Test(registry, create_without_memory_holds_nothing)
{
    const size_t before = act_memory_held();
    struct act_registry *r;

    for (unsigned long nth = 1;; nth++) {
        act_memory_fail_at(nth);
        r = act_registry_create(1000);
        if (r != NULL) {
            cr_assert_eq(nth, 4);
            break;
        }
        cr_assert_eq(act_memory_held(), before);
    }
    act_memory_fail_at(0);
    act_registry_destroy(r);
    cr_assert_eq(act_memory_held(), before);
}

/* A slot without memory for its chunk: an answer, and the slot is there the next time. */
Test(registry, take_slot_without_memory)
{
    struct act_registry *r = act_registry_create(1);
    struct slot_cache cache = {0};
    uint32_t slot;

    act_memory_fail_at(1);
    cr_assert_eq(act_registry_take_slot(r, &cache, &slot), -ENOMEM);
    cr_assert_eq(act_registry_take_slot(r, &cache, &slot), 0);
    cr_assert_eq(act_registry_take_slot(r, &cache, &slot), -EAGAIN);
    act_registry_drop_cache(r, &cache);
    act_registry_destroy(r);
}

/* registry.h: binds a name. Returns 0, -EEXIST, -ENOMEM. */
Test(registry, names_are_bound_found_and_unbound)
{
    struct act_registry *r = act_registry_create(100);

    act_registry_register_thread();
    cr_assert_eq(act_registry_find(r, "one"), ACT_ID_NONE);
    cr_assert_eq(act_registry_bind(r, "one", id_make(1, 1)), 0);
    cr_assert_eq(act_registry_bind(r, "two", id_make(1, 2)), 0);
    cr_assert_eq(act_registry_bind(r, "one", id_make(1, 3)), -EEXIST);
    cr_assert_eq(act_registry_find(r, "one"), id_make(1, 1));
    cr_assert_eq(act_registry_find(r, "two"), id_make(1, 2));
    cr_assert_eq(act_registry_find(r, "on"), ACT_ID_NONE);
    cr_assert_eq(act_registry_find(r, "ones"), ACT_ID_NONE);
    act_registry_unbind(r, id_make(1, 1));
    cr_assert_eq(act_registry_find(r, "one"), ACT_ID_NONE);
    cr_assert_eq(act_registry_find(r, "two"), id_make(1, 2));
    cr_assert_eq(act_registry_bind(r, "one", id_make(2, 1)), 0);
    cr_assert_eq(act_registry_find(r, "one"), id_make(2, 1));
    act_registry_unbind(r, id_make(9, 9)); /* has none */

    act_memory_fail_at(1);
    cr_assert_eq(act_registry_bind(r, "three", id_make(1, 3)), -ENOMEM);
    cr_assert_eq(act_registry_find(r, "three"), ACT_ID_NONE);
    act_registry_unregister_thread();
    act_registry_destroy(r);
    cr_assert_eq(act_memory_held(), 0);
}

/* More names than the table has buckets, of every length. */
Test(registry, many_names)
{
    struct act_registry *r = act_registry_create(100);
    char name[ACT_NAME_MAX + 1];
    enum { NAMES = 3000 };

    act_registry_register_thread();
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%.*u", (int)(4 + i % (ACT_NAME_MAX - 3)), i);
        cr_assert_eq(act_registry_bind(r, name, id_make(1, i)), 0);
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%.*u", (int)(4 + i % (ACT_NAME_MAX - 3)), i);
        cr_assert_eq(act_registry_find(r, name), id_make(1, i));
    }
    act_registry_unregister_thread();
    act_registry_destroy(r);
    cr_assert_eq(act_memory_held(), 0, "destroy ends the names that are still bound");
}
