/**
 * Parking, as far as one thread sees it, and the memory below the runtime.
 */
#include "park.h"

#include "leak_check.h"
#include "memory.h"

#include <act/timer.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

LEAK_CHECKED_SUITE(park);
LEAK_CHECKED_SUITE(memory);

#ifndef SYS_epoll_wait /* aarch64 */
#define SYS_epoll_wait SYS_epoll_pwait
#endif

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

/** Has the kernel refuse a system call of this process from now on. */
static void refuse(uint32_t call, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/** How late a wait of 0.3 ms ends, at best of many: the rest is what else the machine does. */
static uint64_t best_lateness_ns(struct act_park *park)
{
    const uint64_t timeout_ns = 300000;
    uint64_t best_ns = UINT64_MAX;

    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t start_ns = act_now_ns();
        act_park_announce(park);
        act_park_wait(park, timeout_ns);
        const uint64_t spent_ns = act_now_ns() - start_ns;
        cr_assert_geq(spent_ns, timeout_ns);
        if (spent_ns - timeout_ns < best_ns) best_ns = spent_ns - timeout_ns;
    }
    return best_ns;
}

/** Waits and wakes as ever. */
static void check_wakes(struct act_park *park)
{
    const uint64_t start_ns = act_now_ns();

    act_park_announce(park);
    cr_assert(act_park_poke(park));
    act_park_wait(park, LONG_NS);
    act_park_announce(park);
    cr_assert(act_park_poke(park));
    act_park_wait(park, UINT64_MAX);
    cr_assert_lt(act_now_ns() - start_ns, LONG_NS / 2);
}

/* park.h: a sleep is not rounded to ms, however the kernel is asked for it; one that it refuses, by
 * ENOSYS as an old one or by EPERM as a filter, is asked for in another way. */
Test(park, sleeps_by_nanoseconds_in_two_ways_and_goes_on_in_any)
{
    struct act_park park;

    cr_assert_eq(act_park_init(&park, true), 0);
    cr_assert_lt(best_lateness_ns(&park), 200000);
    check_wakes(&park);
    refuse(SYS_epoll_pwait2, ENOSYS);
    cr_assert_lt(best_lateness_ns(&park), 200000);
    cr_assert_eq(park.way, PARK_BY_PPOLL);
    check_wakes(&park);
    refuse(SYS_ppoll, EPERM);
    cr_assert_lt(best_lateness_ns(&park), 2000000);
    cr_assert_eq(park.way, PARK_BY_EPOLL_WAIT);
    check_wakes(&park);
    refuse(SYS_epoll_wait, EPERM);
    act_park_announce(&park);
    act_park_wait(&park, UINT64_MAX); /* does not sleep, and does not end the program */
    cr_assert_not(act_park_poke(&park));
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
