/**
 * A lane that has carried more items than 32 bits count.
 *
 * Includes lane.c: to send two thousand million items would take a test too long.
 */
#include "src/lane.c"

#include "leak_check.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(lane_wrap);

/** The state after so many single items were published and taken. */
static void let_singles_pass(struct act_lane *lane, uint32_t count)
{
    lane->ring.p_tail += count;
    lane->ring.c_head += count;
    lane->published += count;
}

static bool send_pair(struct act_lane *lane, uintptr_t first)
{
    return act_lane_append(lane, first << 6) && act_lane_append(lane, (first + 1) << 6) &&
           act_lane_publish(lane);
}

/* A batch that was used long ago is free, however many single items went by since. */
Test(lane_wrap, old_batches_stay_free)
{
    const uint32_t gaps[] = {0, INT32_MAX - 1, INT32_MAX, 1u << 31, UINT32_MAX - 1, UINT32_MAX};

    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        struct act_lane *lane = act_lane_create();
        for (uintptr_t k = 1; k <= BATCHES; k++) {
            cr_assert(send_pair(lane, k));
            cr_assert_eq(act_lane_take(lane).count, 2);
        }
        cr_assert_eq(act_lane_take(lane).count, 0);
        let_singles_pass(lane, gaps[i]);
        for (uintptr_t k = 1; k <= 2 * BATCHES; k++) {
            cr_assert(send_pair(lane, k), "after %u singles", gaps[i]);
            struct act_lane_items items = act_lane_take(lane);
            cr_assert_eq(items.count, 2);
            cr_assert_eq(items.list[0], k << 6);
        }
        act_lane_destroy(lane);
    }
}

/* The other way: where the counter wraps, a batch that is still read is not free. */
Test(lane_wrap, batches_in_use_are_kept_across_the_wrap)
{
    struct act_lane *lane = act_lane_create();

    let_singles_pass(lane, UINT32_MAX - BATCHES / 2);
    for (uintptr_t k = 1; k < BATCHES; k++)
        cr_assert(send_pair(lane, k));
    cr_assert_not(send_pair(lane, BATCHES));
    for (uintptr_t k = 1; k < BATCHES; k++) {
        struct act_lane_items items = act_lane_take(lane);
        cr_assert_eq(items.count, 2);
        cr_assert_eq(items.list[0], k << 6);
        cr_assert_eq(act_lane_publish(lane), k > 1);
    }
    cr_assert_eq(act_lane_take(lane).count, 2);
    act_lane_destroy(lane);
}
