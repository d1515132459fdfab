/**
 * The timer wheel, alone: time is a number here.
 */
#include "wheel.h"

#include "leak_check.h"
#include "memory.h"
#include "program.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

LEAK_CHECKED_SUITE(wheel);

#define TICK (1ull << WHEEL_TICK_SHIFT)
/** Ticks that a level spans. */
#define SPAN(level) (1ull << (WHEEL_BITS * ((level) + 1)))

static struct act_wheel wheel;

static act_timer start(uint64_t due_ns, uint64_t cookie)
{
    const struct act_wheel_timer t = {.owner = 5, .cookie = cookie, .type = 9};
    act_timer name = 0;

    cr_assert_eq(act_wheel_start(&wheel, due_ns, t, &name), 0);
    cr_assert_neq(name, 0);
    return name;
}

static bool fires(uint64_t now_ns, uint64_t cookie)
{
    struct act_wheel_timer t;

    if (!act_wheel_expire(&wheel, now_ns, &t)) return false;
    cr_assert_eq(t.cookie, cookie);
    cr_assert_eq(t.owner, 5);
    cr_assert_eq(t.type, 9);
    return true;
}

/* timer.h: never early; late by the wheel's resolution. */
Test(wheel, never_early_and_late_by_two_ticks_at_most)
{
    const uint64_t base = 123456789012345;

    for (uint64_t delay = 0; delay < 5 * TICK; delay += 4099) {
        act_wheel_init(&wheel, base);
        start(base + delay, 1);
        if (delay > 0) cr_assert_not(fires(base + delay - 1, 1));
        act_wheel_deinit(&wheel);

        act_wheel_init(&wheel, base);
        start(base + delay, 1);
        cr_assert(fires(base + delay + 2 * TICK, 1));
        act_wheel_deinit(&wheel);
    }
}

/* All four levels and beyond the horizon, one below, at and above each border. */
Test(wheel, borders_of_every_level)
{
    const uint64_t bases[] = {0, 1, 255, 256, 65535, 0xFFFFFF, 0x1000001, 0xFFFFFFFF};

    for (size_t b = 0; b < sizeof bases / sizeof bases[0]; b++) {
        /* The top level and the horizon take 2^24 and 2^32 steps: they have a test below. */
        for (uint32_t level = 0; level < WHEEL_LEVELS - 2; level++) {
            for (uint64_t ticks = SPAN(level) - 2; ticks <= SPAN(level) + 2; ticks++) {
                act_wheel_init(&wheel, bases[b] * TICK);
                start((bases[b] + ticks) * TICK, ticks);
                cr_assert_not(fires((bases[b] + ticks + 1) * TICK - 1, ticks));
                cr_assert(fires((bases[b] + ticks + 1) * TICK, ticks));
                cr_assert_eq(wheel.count, 0);
                act_wheel_deinit(&wheel);
            }
        }
    }
}

/** Moves the wheel on as if it had been looked at all the time, without its empty ticks. */
static void skip_to_before(uint64_t tick)
{
    /* The next deal-out is at a multiple of 256; between, nothing lies in the lowest level. */
    for (uint32_t i = 0; i < WHEEL_BUCKETS; i++)
        cr_assert_eq(wheel.buckets[i], 0, "a timer lies in what is to be skipped");
    wheel.now = tick - 1;
}

/* Timers of the top level come down level by level, at the ticks that deal them out. */
Test(wheel, top_level_cascades_through_all_levels)
{
    const uint64_t due = 3 * SPAN(2) + 5 * SPAN(1) + 7 * SPAN(0) + 11;

    act_wheel_init(&wheel, 0);
    start(due * TICK, 1);
    const uint64_t stops[] = {3 * SPAN(2), 3 * SPAN(2) + 5 * SPAN(1),
                              3 * SPAN(2) + 5 * SPAN(1) + 7 * SPAN(0)};
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(wheel.nodes[0].bucket / WHEEL_BUCKETS, WHEEL_LEVELS - 1 - i);
        skip_to_before(stops[i]);
        cr_assert_not(fires(stops[i] * TICK, 1));
    }
    cr_assert_eq(wheel.nodes[0].bucket / WHEEL_BUCKETS, 0);
    cr_assert_not(fires((due + 1) * TICK - 1, 1));
    cr_assert(fires((due + 1) * TICK, 1));
    act_wheel_deinit(&wheel);
}

/* Beyond the horizon: as far as it goes, where it is dealt out again. */
Test(wheel, beyond_the_horizon_is_dealt_out_again)
{
    const uint64_t now = 10;
    const uint64_t due = now + SPAN(3) + SPAN(2) + 5;

    act_wheel_init(&wheel, now * TICK);
    start(due * TICK, 1);
    cr_assert_eq(wheel.nodes[0].bucket / WHEEL_BUCKETS, WHEEL_LEVELS - 1);
    skip_to_before(SPAN(3));
    cr_assert_not(fires(SPAN(3) * TICK, 1));
    cr_assert_eq(wheel.nodes[0].bucket / WHEEL_BUCKETS, WHEEL_LEVELS - 1, "once more");
    skip_to_before(SPAN(3) + SPAN(2));
    cr_assert_not(fires((SPAN(3) + SPAN(2)) * TICK, 1));
    cr_assert_not(fires((due + 1) * TICK - 1, 1));
    cr_assert(fires((due + 1) * TICK, 1));
    act_wheel_deinit(&wheel);
}

/* A delay that is over already fires on the next look, not in the past. */
Test(wheel, a_due_time_in_the_past_fires_at_the_next_tick)
{
    act_wheel_init(&wheel, 100 * TICK);
    start(7 * TICK, 1);
    cr_assert_not(fires(100 * TICK, 1));
    cr_assert(fires(101 * TICK, 1));
    act_wheel_deinit(&wheel);
}

/* wheel.h: cancel returns whether it was running; a cancelled timer does not fire. */
Test(wheel, cancel_once)
{
    act_wheel_init(&wheel, 0);
    act_timer a = start(3 * TICK, 1);
    act_timer b = start(3 * TICK, 2);
    act_timer c = start(3 * TICK, 3);
    cr_assert(act_wheel_cancel(&wheel, b));
    cr_assert_not(act_wheel_cancel(&wheel, b));
    cr_assert_eq(wheel.count, 2);
    struct act_wheel_timer t;
    uint64_t seen = 0;
    while (act_wheel_expire(&wheel, 10 * TICK, &t))
        seen += t.cookie;
    cr_assert_eq(seen, 4);
    cr_assert_not(act_wheel_cancel(&wheel, a), "it has fired");
    cr_assert_not(act_wheel_cancel(&wheel, c));
    cr_assert_not(act_wheel_cancel(&wheel, 0));
    cr_assert_not(act_wheel_cancel(&wheel, UINT64_MAX));
    cr_assert_not(act_wheel_cancel(&wheel, 1), "index 0 of a generation that never was");
    act_wheel_deinit(&wheel);
}

/* A stale name does not reach the timer that has its node now. */
Test(wheel, stale_name_does_not_reach_the_next_timer)
{
    act_wheel_init(&wheel, 0);
    act_timer old = start(TICK, 1);
    cr_assert(act_wheel_cancel(&wheel, old));
    act_timer next = start(TICK, 2);
    cr_assert_eq((uint32_t)old, (uint32_t)next, "the node is used again");
    cr_assert_neq(old, next);
    cr_assert_not(act_wheel_cancel(&wheel, old));
    cr_assert(fires(5 * TICK, 2));
    act_timer third = start(9 * TICK, 3);
    cr_assert_not(act_wheel_cancel(&wheel, next));
    cr_assert(act_wheel_cancel(&wheel, third));
    act_wheel_deinit(&wheel);
}

/* wheel.h: how long until it wants to be looked at; UINT64_MAX when no timer runs. */
Test(wheel, sleep_until_the_next_timer_or_deal_out)
{
    act_wheel_init(&wheel, 0);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 0), UINT64_MAX);
    start(9 * TICK, 1);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 0), 10 * TICK);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 4 * TICK + 3), 6 * TICK - 3);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 10 * TICK), 0);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 99 * TICK), 0);
    cr_assert(fires(10 * TICK, 1));
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 10 * TICK), UINT64_MAX);
    /* A timer of a higher level: not later than the tick that deals it out. */
    start(1000 * TICK, 2);
    cr_assert_eq(act_wheel_sleep_ns(&wheel, 10 * TICK), 246 * TICK);
    act_wheel_deinit(&wheel);
}

/* wheel.h: 0 or -ENOMEM; what runs is not disturbed by growing. */
Test(wheel, grows_and_says_when_there_is_no_memory)
{
    const struct act_wheel_timer t = {.owner = 5, .cookie = 0, .type = 9};
    act_timer name = 77;
    uint32_t count = 0;

    act_wheel_init(&wheel, 0);
    act_memory_fail_at(1);
    cr_assert_eq(act_wheel_start(&wheel, TICK, t, &name), -ENOMEM);
    cr_assert_eq(name, 77);
    cr_assert_eq(wheel.count, 0);
    for (uint32_t i = 0; i < 1000; i++)
        start((i + 1) * TICK, i);
    cr_assert_eq(act_wheel_start(&wheel, TICK, t, NULL), 0);
    struct act_wheel_timer got;
    while (act_wheel_expire(&wheel, 2000 * TICK, &got))
        count++;
    cr_assert_eq(count, 1001);
    act_wheel_deinit(&wheel);
}

/* A wheel that nobody looked at for a month, because nothing ran, goes on without its empty ticks.
 */
Test(wheel, idle_wheel_is_set_to_now)
{
    const uint64_t later = 30ull * 24 * 3600 * 1000000000;

    act_wheel_init(&wheel, 0);
    act_wheel_skip(&wheel, later);
    cr_assert_eq(wheel.now, later / TICK);
    start(later + 3 * TICK, 1);
    act_wheel_skip(&wheel, 2 * later);
    cr_assert_eq(wheel.now, later / TICK, "a timer runs");
    cr_assert_not(fires(later + 3 * TICK, 1));
    cr_assert(fires(later + 5 * TICK, 1));
    act_wheel_skip(&wheel, later);
    cr_assert_geq(wheel.now, later / TICK + 4, "it does not go back");
    act_wheel_deinit(&wheel);
}

/* The reference: a list of due times. */
enum { MODEL_TIMERS = 512 };

struct model_timer {
    act_timer name;
    uint64_t due_ns;
    bool is_running;
};

static uint64_t seed_state;

static uint64_t random_below(uint64_t bound)
{
    /* xorshift64* (Vigna 2016). */
    seed_state ^= seed_state >> 12;
    seed_state ^= seed_state << 25;
    seed_state ^= seed_state >> 27;
    return seed_state * 2685821657736338717ull % bound;
}

static void check_expired(struct model_timer *model, uint64_t now_ns, uint64_t seed)
{
    struct act_wheel_timer t;

    while (act_wheel_expire(&wheel, now_ns, &t)) {
        cr_assert_lt(t.cookie, MODEL_TIMERS);
        struct model_timer *m = &model[t.cookie];
        cr_assert(m->is_running, "seed %llu: fired twice", (unsigned long long)seed);
        cr_assert_leq(m->due_ns, now_ns, "seed %llu: early", (unsigned long long)seed);
        m->is_running = false;
    }
    for (uint32_t i = 0; i < MODEL_TIMERS; i++)
        cr_assert_not(model[i].is_running && model[i].due_ns + 2 * TICK <= now_ns,
                      "seed %llu: timer %u is late", (unsigned long long)seed, i);
}

/* Against the model: never early, never late, nothing lost, nothing twice. SEED sets the seed.
 */
Test(wheel, random_timers_agree_with_a_list)
{
    static struct model_timer model[MODEL_TIMERS];
    const char *given = getenv("SEED");
    const uint64_t seed = given != NULL ? program_seed("SEED", given) : act_now_ns() | 1;
    uint64_t now_ns;

    seed_state = seed | 1;
    now_ns = random_below(1ull << 50);
    act_wheel_init(&wheel, now_ns);
    for (uint32_t step = 0; step < 40000; step++) {
        const uint32_t i = (uint32_t)random_below(MODEL_TIMERS);
        if (!model[i].is_running) {
            model[i].due_ns = now_ns + random_below(TICK << random_below(20));
            model[i].name = start(model[i].due_ns, i);
            model[i].is_running = true;
        } else if (random_below(4) == 0) {
            cr_assert(act_wheel_cancel(&wheel, model[i].name), "seed %llu",
                      (unsigned long long)seed);
            model[i].is_running = false;
        }
        if (random_below(8) != 0) continue;
        const uint64_t sleep_ns = act_wheel_sleep_ns(&wheel, now_ns);
        /* Half the time as the worker does, half the time any time. */
        if (random_below(2) == 0 && sleep_ns != UINT64_MAX)
            now_ns += sleep_ns;
        else
            now_ns += random_below(TICK << random_below(10));
        check_expired(model, now_ns, seed);
    }
    act_wheel_deinit(&wheel);
}
