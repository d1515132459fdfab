/**
 * Pools: size classes, growth, the bound.
 */
#include "pool.h"

#include "leak_check.h"
#include "memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

LEAK_CHECKED_SUITE(pool);

enum { HOME = 7 };

static size_t bytes_of(uint32_t size_class)
{
    return (size_t)POOL_CLASS_BYTES << size_class;
}

/** As act_message_create does. */
static struct message *take_or_grow(struct act_pool *pool, uint32_t size_class)
{
    if (act_pool_is_empty(pool, size_class) && !act_pool_grow(pool, size_class)) return NULL;
    return act_pool_take(pool, size_class);
}

/* pool.h: the class whose messages have room for the body, and the smallest such. */
Test(pool, classes_at_their_borders)
{
    for (uint32_t c = 0; c < POOL_CLASSES; c++) {
        const uint32_t room = (uint32_t)(bytes_of(c) - sizeof(struct message));
        cr_assert_eq(pool_class_of(room - 1), c);
        cr_assert_eq(pool_class_of(room), c);
        cr_assert_eq(pool_class_of(room + 1), c + 1);
    }
    cr_assert_eq(pool_class_of(0), 0);
    cr_assert_lt(pool_class_of(ACT_MESSAGE_BODY_MAX), POOL_CLASSES);
}

/* pool.h: some messages of the small classes are there from the start. */
Test(pool, starts_with_small_messages)
{
    struct act_pool pool;

    cr_assert_eq(act_pool_init(&pool, HOME, 1 << 20), 0);
    for (uint32_t c = 0; c < POOL_CLASSES; c++)
        cr_assert_eq(act_pool_is_empty(&pool, c), c >= 4);
    cr_assert_eq(atomic_load(&pool.growths), 0);
    cr_assert_gt(atomic_load(&pool.bytes), 4 * POOL_SLAB_BYTES - 1);
    act_pool_deinit(&pool);
}

/* Every message has its home, its class, a body on 16 bytes, and memory of its own. */
Test(pool, messages_do_not_overlap)
{
    struct act_pool pool;
    enum { TAKEN = 3000 };
    static struct message *taken[TAKEN];

    cr_assert_eq(act_pool_init(&pool, HOME, 1ull << 30), 0);
    for (uint32_t c = 0; c < POOL_CLASSES; c++) {
        const uint32_t count = c < 2 ? TAKEN : 3;
        for (uint32_t i = 0; i < count; i++) {
            struct message *m = take_or_grow(&pool, c);
            cr_assert_not_null(m);
            cr_assert_eq(m->header.home, HOME);
            cr_assert_eq(m->header.size_class, c);
            cr_assert_eq((uintptr_t)m->body % 16, 0);
            cr_assert_eq((uintptr_t)m % 64, 0);
            m->user.from = i;
            m->body[bytes_of(c) - sizeof *m - 1] = (uint8_t)i;
            taken[i] = m;
        }
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(taken[i]->user.from, i);
            cr_assert_eq(taken[i]->body[bytes_of(c) - sizeof *taken[i] - 1], (uint8_t)i);
            act_pool_give(&pool, c, taken[i]);
        }
    }
    act_pool_deinit(&pool);
}

/* pool.h: gives a free message, or NULL; at the bound nothing is lost. */
Test(pool, bound_gives_null_and_loses_nothing)
{
    struct act_pool pool;
    const uint64_t bound = 1 << 20;
    enum { MAX = 1 << 15 };
    static struct message *taken[MAX];
    uint32_t count = 0;

    cr_assert_eq(act_pool_init(&pool, HOME, bound), 0);
    while ((taken[count] = take_or_grow(&pool, 0)) != NULL)
        count++;
    const uint64_t slabs = (bound - atomic_load(&pool.bytes)) / POOL_SLAB_BYTES;
    cr_assert_eq(slabs, 0, "there was room for one more slab");
    cr_assert_leq(atomic_load(&pool.bytes), bound);
    cr_assert_null(take_or_grow(&pool, 0));
    cr_assert_null(take_or_grow(&pool, POOL_CLASSES - 1), "2 MiB are above this bound");
    cr_assert_not_null(take_or_grow(&pool, 1), "other classes have theirs");

    for (uint32_t i = 0; i < count; i++)
        act_pool_give(&pool, 0, taken[i]);
    uint32_t again = 0;
    while (take_or_grow(&pool, 0) != NULL)
        again++;
    cr_assert_eq(again, count);
    act_pool_deinit(&pool);
}

/* A class grows when it is empty and not before, a slab or one message at a time. */
Test(pool, grows_when_a_class_is_empty)
{
    struct act_pool pool;
    const uint32_t in_slab = POOL_SLAB_BYTES / POOL_CLASS_BYTES;

    cr_assert_eq(act_pool_init(&pool, HOME, 1ull << 30), 0);
    for (uint32_t i = 0; i < in_slab; i++)
        cr_assert_not_null(take_or_grow(&pool, 0));
    cr_assert_eq(atomic_load(&pool.growths), 0);
    const uint64_t before = atomic_load(&pool.bytes);
    struct message *m = take_or_grow(&pool, 0);
    cr_assert_eq(atomic_load(&pool.growths), 1);
    cr_assert_geq(atomic_load(&pool.bytes), before + POOL_SLAB_BYTES);
    act_pool_give(&pool, 0, m);
    cr_assert_eq(take_or_grow(&pool, 0), m, "the last one given is the next one taken");
    cr_assert_eq(atomic_load(&pool.growths), 1);

    cr_assert_not_null(take_or_grow(&pool, POOL_CLASSES - 1));
    cr_assert(act_pool_is_empty(&pool, POOL_CLASSES - 1));
    cr_assert_eq(atomic_load(&pool.growths), 2);
    act_pool_deinit(&pool);
}

/* pool.h: false without memory; the pool stays as it was. */
Test(pool, no_memory_is_like_the_bound)
{
    struct act_pool pool;

    cr_assert_eq(act_pool_init(&pool, HOME, 1ull << 30), 0);
    for (unsigned long nth = 1; nth <= 2; nth++) { /* the stack, the slab */
        act_memory_fail_at(nth);
        cr_assert_null(take_or_grow(&pool, 9));
        cr_assert(act_pool_is_empty(&pool, 9));
    }
    cr_assert_not_null(take_or_grow(&pool, 9));
    act_pool_deinit(&pool);
}

/* pool.h: 0 or -ENOMEM; then nothing is held. */
Test(pool, init_without_memory_holds_nothing)
{
    struct act_pool pool;
    const size_t before = act_memory_held();
    unsigned long nth = 1;

    for (;; nth++) {
        act_memory_fail_at(nth);
        int error = act_pool_init(&pool, HOME, 1 << 20);
        if (error == 0) break;
        cr_assert_eq(error, -ENOMEM);
        cr_assert_eq(act_memory_held(), before);
    }
    cr_assert_gt(nth, 8);
    act_memory_fail_at(0);
    act_pool_deinit(&pool);
    cr_assert_eq(act_memory_held(), before);
}

/* A bound below the first slabs is no memory, too. */
Test(pool, init_below_the_first_slabs)
{
    struct act_pool pool;

    cr_assert_eq(act_pool_init(&pool, HOME, POOL_SLAB_BYTES), -ENOMEM);
}
