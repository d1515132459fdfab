/**
 * Lanes: two ends of one ring, both in this thread.
 */
#include "lane.h"

#include "leak_check.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(lane);

/* lane.c's figures: slots that the ring can fill, and batches of several that it can carry. */
enum { SLOTS = 1023, BATCHES = 95, FULL = LANE_BATCH_ITEMS };

/** The k-th item: any word whose lowest bit is 0, and never 0. */
static uintptr_t item(uint64_t k)
{
    return (uintptr_t)(k + 1) << 6;
}

static void append(struct act_lane *lane, uint64_t first, uint64_t count)
{
    for (uint64_t k = first; k < first + count; k++)
        cr_assert(act_lane_append(lane, item(k)), "item %llu", (unsigned long long)k);
}

static void take(struct act_lane *lane, uint64_t first, uint32_t count)
{
    struct act_lane_items items = act_lane_take(lane);

    cr_assert_eq(items.count, count);
    for (uint32_t k = 0; k < count; k++)
        cr_assert_eq(items.list[k], item(first + k));
}

/* lane.h: items appended are not visible before they are published. */
Test(lane, appended_items_wait_for_publish)
{
    struct act_lane *lane = act_lane_create();

    cr_assert(act_lane_is_clean(lane));
    append(lane, 0, 3);
    cr_assert_not(act_lane_is_clean(lane));
    cr_assert(act_lane_is_empty(lane));
    take(lane, 0, 0);
    cr_assert(act_lane_publish(lane));
    cr_assert(act_lane_is_clean(lane));
    cr_assert_not(act_lane_is_empty(lane));
    take(lane, 0, 3);
    take(lane, 0, 0);
    cr_assert(act_lane_is_empty(lane));
    act_lane_destroy(lane);
}

/* lane.h: nothing to publish is no failure. */
Test(lane, publishing_nothing_publishes_nothing)
{
    struct act_lane *lane = act_lane_create();

    for (uint32_t i = 0; i < 2 * SLOTS; i++)
        cr_assert(act_lane_publish(lane));
    cr_assert(act_lane_is_empty(lane));
    act_lane_destroy(lane);
}

/* A batch of one travels in the slot itself: same items, and it needs no batch. */
Test(lane, batches_of_one_and_of_many_alternate)
{
    struct act_lane *lane = act_lane_create();
    uint64_t sent = 0;
    uint64_t got = 0;

    for (uint32_t round = 0; round < 500; round++) {
        const uint32_t count = round % 2 == 0 ? 1 : 2 + round % (FULL - 1);
        append(lane, sent, count);
        cr_assert(act_lane_publish(lane));
        sent += count;
        if (round % 3 != 2) continue;
        for (struct act_lane_items i; (i = act_lane_take(lane)).count > 0;)
            for (uint32_t k = 0; k < i.count; k++)
                cr_assert_eq(i.list[k], item(got++));
    }
    for (struct act_lane_items i; (i = act_lane_take(lane)).count > 0;)
        for (uint32_t k = 0; k < i.count; k++)
            cr_assert_eq(i.list[k], item(got++));
    cr_assert_eq(got, sent);
    act_lane_destroy(lane);
}

/* lane.h: append publishes the open batch when it is full. */
Test(lane, full_batch_is_published_by_the_next_append)
{
    struct act_lane *lane = act_lane_create();

    append(lane, 0, FULL - 1);
    cr_assert(act_lane_is_empty(lane));
    append(lane, FULL - 1, 1);
    cr_assert(act_lane_is_empty(lane));
    append(lane, FULL, 1);
    cr_assert_not(act_lane_is_empty(lane));
    take(lane, 0, FULL);
    take(lane, 0, 0);
    cr_assert(act_lane_publish(lane));
    take(lane, FULL, 1);
    act_lane_destroy(lane);
}

/* lane.h: publish returns false when the ring is full; the items stay in the open batch. */
Test(lane, ring_of_singles_at_one_below_at_and_above_its_size)
{
    struct act_lane *lane = act_lane_create();

    for (uint64_t k = 0; k < SLOTS; k++) {
        append(lane, k, 1);
        cr_assert(act_lane_has_slot(lane));
        cr_assert(act_lane_publish(lane), "slot %llu", (unsigned long long)k);
    }
    cr_assert_not(act_lane_has_slot(lane));
    append(lane, SLOTS, 1);
    cr_assert_not(act_lane_publish(lane));
    cr_assert_not(act_lane_is_clean(lane));
    take(lane, 0, 1);
    cr_assert(act_lane_has_slot(lane));
    cr_assert(act_lane_publish(lane));
    append(lane, SLOTS + 1, 1);
    cr_assert_not(act_lane_publish(lane));
    for (uint64_t k = 1; k <= SLOTS; k++)
        take(lane, k, 1);
    cr_assert(act_lane_publish(lane));
    take(lane, SLOTS + 1, 1);
    take(lane, 0, 0);
    act_lane_destroy(lane);
}

/* lane.h: append returns false when batch and ring are full: the item was not taken. */
Test(lane, append_to_a_full_lane_takes_nothing)
{
    struct act_lane *lane = act_lane_create();

    for (uint64_t k = 0; k < SLOTS; k++) {
        append(lane, k, 1);
        cr_assert(act_lane_publish(lane));
    }
    append(lane, SLOTS, FULL - 1);
    cr_assert(act_lane_has_room(lane));
    append(lane, SLOTS + FULL - 1, 1);
    cr_assert_not(act_lane_has_room(lane));
    cr_assert_not(act_lane_append(lane, item(0)));
    cr_assert_not(act_lane_append(lane, item(0)));

    take(lane, 0, 1);
    cr_assert(act_lane_has_room(lane));
    append(lane, SLOTS + FULL, 1);
    for (uint64_t k = 1; k < SLOTS; k++)
        take(lane, k, 1);
    take(lane, SLOTS, FULL);
    cr_assert(act_lane_publish(lane));
    take(lane, SLOTS + FULL, 1);
    take(lane, 0, 0);
    act_lane_destroy(lane);
}

/* lane.h: items are good until the next take; lane.c, L3-L4: then the batch may be filled again. */
Test(lane, batch_is_used_again_only_when_the_consumer_has_moved_on)
{
    struct act_lane *lane = act_lane_create();
    uint64_t k = 0;

    for (uint32_t i = 0; i < BATCHES; i++, k += 2) {
        append(lane, k, 2);
        cr_assert(act_lane_publish(lane), "batch %u", i);
    }
    append(lane, k, FULL);
    cr_assert_not(act_lane_publish(lane));
    cr_assert_not(act_lane_has_room(lane));
    cr_assert_not(act_lane_append(lane, item(0)));

    struct act_lane_items first = act_lane_take(lane);
    cr_assert_not(act_lane_has_room(lane));
    cr_assert_not(act_lane_publish(lane), "the consumer still reads the first batch");
    cr_assert_eq(first.list[0], item(0));
    cr_assert_eq(first.list[1], item(1));

    take(lane, 2, 2);
    cr_assert(act_lane_has_room(lane));
    cr_assert(act_lane_publish(lane));
    for (uint64_t at = 4; at < k; at += 2)
        take(lane, at, 2);
    take(lane, k, FULL);
    take(lane, 0, 0);
    act_lane_destroy(lane);
}

/* The same with single items between: they take slots but no batch. */
Test(lane, singles_pass_when_no_batch_is_free)
{
    struct act_lane *lane = act_lane_create();

    for (uint32_t i = 0; i < BATCHES; i++) {
        append(lane, 2 * i, 2);
        cr_assert(act_lane_publish(lane));
    }
    append(lane, 2 * BATCHES, 1);
    cr_assert(act_lane_publish(lane));
    append(lane, 2 * BATCHES + 1, 2);
    cr_assert_not(act_lane_publish(lane));
    for (uint32_t i = 0; i < BATCHES; i++)
        take(lane, 2 * i, 2);
    take(lane, 2 * BATCHES, 1);
    cr_assert(act_lane_publish(lane));
    take(lane, 2 * BATCHES + 1, 2);
    act_lane_destroy(lane);
}

/* lane.h: what waits in the open batch, once its producer has ended. */
Test(lane, unpublished_gives_the_open_batch_once)
{
    struct act_lane *lane = act_lane_create();

    cr_assert_eq(act_lane_unpublished(lane).count, 0);
    append(lane, 0, 1);
    cr_assert(act_lane_publish(lane));
    append(lane, 1, 5);
    struct act_lane_items items = act_lane_unpublished(lane);
    cr_assert_eq(items.count, 5);
    for (uint32_t k = 0; k < 5; k++)
        cr_assert_eq(items.list[k], item(1 + k));
    cr_assert_eq(act_lane_unpublished(lane).count, 0);
    cr_assert(act_lane_is_clean(lane));
    take(lane, 0, 1);
    act_lane_destroy(lane);
}

/* lane.h: takes lane (NULL is fine). */
Test(lane, destroying_none_is_fine)
{
    act_lane_destroy(NULL);
}
