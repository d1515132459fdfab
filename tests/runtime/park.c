/**
 * Parking, as far as one thread sees it, and the memory below the runtime.
 */
#include "park.h"

#include "leak_check.h"
#include "memory.h"

#include <act/timer.h>

#include <criterion/criterion.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

LEAK_CHECKED_SUITE(park);
LEAK_CHECKED_SUITE(memory);

/** A wait that has to end at once does not come near this. */
#define LONG_NS 30000000000ull

static bool is_readable(const struct act_park *park)
{
    struct pollfd p = {.fd = park->epoll_fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* K1-K2: who publishes after the announcement wakes the sleeper, also before it sleeps. */
Test(park, wake_before_wait_returns_at_once)
{
    struct act_park park;
    const uint64_t start = act_now_ns();

    cr_assert_eq(act_park_init(&park, true), 0);
    act_park_announce(&park);
    cr_assert(act_park_poke(&park));
    act_park_wait(&park, LONG_NS);
    cr_assert_lt(act_now_ns() - start, LONG_NS / 2);
    act_park_deinit(&park);
}

/* park.h: wake returns whether it slept: one publisher of several wakes. */
Test(park, only_the_first_poke_wakes)
{
    struct act_park park;

    cr_assert_eq(act_park_init(&park, false), 0);
    cr_assert_not(act_park_poke(&park), "awake");
    cr_assert_not(act_park_wake(&park), "awake");
    cr_assert_not(is_readable(&park));
    act_park_announce(&park);
    cr_assert(act_park_poke(&park));
    cr_assert_not(act_park_poke(&park));
    cr_assert_not(act_park_wake(&park));
    cr_assert(is_readable(&park));
    act_park_wait(&park, LONG_NS);
    cr_assert_not(is_readable(&park), "the wait took the wake-up");
    cr_assert_not(act_park_poke(&park), "awake again");
    act_park_deinit(&park);
}

/* A wake-up that came meanwhile would only end the next sleep at once: cancel takes it. */
Test(park, cancel_takes_the_wake_up)
{
    struct act_park park;

    cr_assert_eq(act_park_init(&park, true), 0);
    act_park_announce(&park);
    cr_assert(act_park_poke(&park));
    act_park_cancel(&park);
    cr_assert_not(is_readable(&park));
    cr_assert_not(act_park_poke(&park));

    act_park_announce(&park);
    act_park_cancel(&park);
    cr_assert_not(act_park_poke(&park), "cancelled before anyone came");
    cr_assert_not(is_readable(&park));
    act_park_deinit(&park);
}

/* park.h: a timeout ends the sleep, not before it is over; nobody is parked afterwards. */
Test(park, timeout_ends_the_wait)
{
    const uint64_t timeouts[] = {0, 1, 999999, 1000000, 3000001};
    struct act_park park;

    cr_assert_eq(act_park_init(&park, false), 0);
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        const uint64_t start = act_now_ns();
        act_park_announce(&park);
        act_park_wait(&park, timeouts[i]);
        cr_assert_geq(act_now_ns() - start, timeouts[i]);
        cr_assert_not(act_park_poke(&park));
    }
    act_park_deinit(&park);
}

/* memory.h: zeroed and 64-byte aligned, whatever lay there before. */
Test(memory, taken_memory_is_zero_and_aligned)
{
    static const uint8_t zero[70000];
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 70000};
    const size_t before = act_memory_held();

    for (uint32_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            uint8_t *memory = act_memory_take(sizes[i]);
            cr_assert_not_null(memory);
            cr_assert_eq((uintptr_t)memory % 64, 0);
            cr_assert_eq(memcmp(memory, zero, sizes[i]), 0);
            cr_assert_geq(act_memory_held(), before + sizes[i]);
            memset(memory, 0xA5, sizes[i]);
            act_memory_give(memory, sizes[i]);
            cr_assert_eq(act_memory_held(), before);
        }
    }
}

/* memory.h: memory may be NULL. */
Test(memory, giving_nothing_is_fine)
{
    act_memory_give(NULL, 100);
    act_memory_unmap(NULL, 100);
    cr_assert_eq(act_memory_held(), 0);
}

/* memory.h: zeroed pages that cost nothing until they are touched. */
Test(memory, maps_more_than_the_machine_has)
{
    const size_t bytes = (size_t)1 << 40;
    uint8_t *memory = act_memory_map(bytes);

    cr_assert_not_null(memory);
    cr_assert_eq(memory[bytes / 2], 0);
    memory[bytes / 2] = 1;
    cr_assert_eq(act_memory_held(), bytes);
    act_memory_unmap(memory, bytes);
    cr_assert_eq(act_memory_held(), 0);
}

/* memory.h: fails the n-th take or map from now, once; 0 is none. */
Test(memory, the_nth_take_or_map_fails)
{
    for (unsigned long nth = 1; nth <= 4; nth++) {
        act_memory_fail_at(nth);
        for (unsigned long i = 1; i <= 6; i++) {
            void *memory = i % 2 == 0 ? act_memory_map(4096) : act_memory_take(4096);
            cr_assert_eq(memory == NULL, i == nth, "call %lu of %lu", i, nth);
            if (i % 2 == 0)
                act_memory_unmap(memory, 4096);
            else
                act_memory_give(memory, 4096);
        }
    }
    act_memory_fail_at(1);
    act_memory_fail_at(0);
    void *memory = act_memory_take(1);
    cr_assert_not_null(memory);
    act_memory_give(memory, 1);
    cr_assert_eq(act_memory_held(), 0);
}
