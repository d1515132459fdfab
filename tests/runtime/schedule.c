/**
 * The schedule of timers and the belongings below it, alone: time is a number here.
 */
#include "schedule.h"

#include "leak_check.h"
#include "memory.h"
#include "program.h"
#include "registry.h"

#include <act/clock.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

LEAK_CHECKED_SUITE(schedule);
LEAK_CHECKED_SUITE(belongings);

enum { SLOTS = 64, SECRET = 0x1234 };

static struct act_belongings timers;
static struct act_schedule schedule;

static void init(void)
{
    act_belongings_init(&timers, SLOTS, SECRET);
    act_schedule_init(&schedule, &timers);
}

static void deinit(void)
{
    act_schedule_deinit(&schedule);
    act_belongings_deinit(&timers);
    cr_assert_eq(act_memory_held(), 0);
}

static act_id owner_of(uint32_t slot)
{
    return id_make(1, 1, slot);
}

static uint32_t start(uint32_t slot, uint64_t due_ns, uint64_t cookie)
{
    uint32_t timer;

    cr_assert_eq(act_belongings_take(&timers, owner_of(slot), &timer), 0);
    belonging_at(&timers, timer)->cookie = cookie;
    cr_assert_eq(act_schedule_add(&schedule, timer, due_ns), 0);
    return timer;
}

static void end(uint32_t timer)
{
    act_schedule_remove(&schedule, timer);
    act_belongings_give(&timers, timer);
}

/** Takes what is due next out; returns its cookie. */
static uint64_t next(void)
{
    const uint32_t timer = act_schedule_first(&schedule);
    const uint64_t cookie = belonging_at(&timers, timer)->cookie;

    end(timer);
    return cookie;
}

/* timer.h: in the order of due times, of start where they are equal. */
Test(schedule, equal_times_come_in_the_order_of_their_start)
{
    init();
    for (uint64_t i = 0; i < 3000; i++)
        start(1, 1000 + i % 3, i);
    uint64_t expected = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        cr_assert_eq(schedule.next_ns, 1000 + expected % 3);
        cr_assert_eq(next(), expected);
        expected += 3;
        if (expected >= 3000) expected = expected % 3 + 1;
    }
    cr_assert_eq(schedule.next_ns, SCHEDULE_NEVER);
    deinit();
}

/* A timer that gets another time is the last among its equals. */
Test(schedule, what_is_moved_is_the_last_of_its_time)
{
    init();
    const uint32_t first = start(1, 10, 1);
    start(1, 20, 2);
    start(1, 20, 3);
    act_schedule_move(&schedule, first, 20);
    cr_assert_eq(schedule.next_ns, 20);
    cr_assert_eq(next(), 2);
    act_schedule_move(&schedule, first, 15);
    cr_assert_eq(schedule.next_ns, 15);
    cr_assert_eq(next(), 1);
    cr_assert_eq(next(), 3);
    deinit();
}

/* timer.h: every due time that there is. */
Test(schedule, times_at_both_ends)
{
    init();
    start(1, SCHEDULE_NEVER - 1, 3);
    start(1, 0, 1);
    start(1, 1ull << 63, 2);
    cr_assert_eq(schedule.next_ns, 0);
    for (uint64_t i = 1; i <= 3; i++)
        cr_assert_eq(next(), i);
    deinit();
}

/* schedule.h: 0 or -ENOMEM; what is in it is not disturbed by growing. */
Test(schedule, grows_and_says_when_there_is_no_memory)
{
    uint32_t timer;

    init();
    cr_assert_eq(act_belongings_take(&timers, owner_of(1), &timer), 0);
    act_memory_fail_at(1);
    cr_assert_eq(act_schedule_add(&schedule, timer, 5), -ENOMEM);
    cr_assert_eq(schedule.count, 0);
    cr_assert_eq(act_schedule_add(&schedule, timer, 5), 0);
    const struct belonging *it = belonging_at(&timers, timer);
    for (uint64_t i = 0; i < 5000; i++)
        start(2, 10 + i, i);
    cr_assert_eq(belonging_at(&timers, timer), it, "it has not moved");
    end(timer);
    for (uint64_t i = 0; i < 5000; i++)
        cr_assert_eq(next(), i);
    deinit();
}

/* belongings.h: each allocation in turn; then nothing has been taken. */
Test(belongings, without_memory)
{
    for (unsigned long nth = 1; nth <= 2; nth++) {
        uint32_t index = 77;
        init();
        act_memory_fail_at(nth);
        cr_assert_eq(act_belongings_take(&timers, owner_of(1), &index), -ENOMEM);
        cr_assert_eq(index, 77);
        cr_assert_eq(timers.count, 0);
        cr_assert_eq(act_belongings_first(&timers, owner_of(1)), 0);
        act_memory_fail_at(0);
        cr_assert_eq(act_belongings_take(&timers, owner_of(1), &index), 0);
        act_belongings_give(&timers, index);
        deinit();
    }
}

/* belongings.h: an actor's are found from it, whichever of them has ended. */
Test(belongings, are_chained_by_their_owner)
{
    uint32_t mine[5];
    uint32_t others;

    init();
    cr_assert_eq(act_belongings_first(&timers, owner_of(3)), 0);
    cr_assert_eq(act_belongings_take(&timers, owner_of(4), &others), 0);
    for (uint32_t skipped = 0; skipped < 5; skipped++) {
        for (uint32_t i = 0; i < 5; i++)
            cr_assert_eq(act_belongings_take(&timers, owner_of(3), &mine[i]), 0);
        act_belongings_give(&timers, mine[skipped]);
        uint32_t count = 0;
        for (uint32_t at; (at = act_belongings_first(&timers, owner_of(3))) != 0; count++) {
            cr_assert_neq(at - 1, mine[skipped]);
            cr_assert_eq(belonging_at(&timers, at - 1)->owner, owner_of(3));
            act_belongings_give(&timers, at - 1);
        }
        cr_assert_eq(count, 4);
    }
    cr_assert_eq(act_belongings_first(&timers, owner_of(4)), others + 1);
    deinit();
}

/* belongings.h: a name is good for its owner, at its endpoint, until it ends. */
Test(belongings, a_name_carries_its_scope)
{
    struct act_belongings elsewhere;
    uint32_t index;
    uint32_t there;
    uint32_t found = 77;

    init();
    act_belongings_init(&elsewhere, SLOTS, SECRET + 1);
    cr_assert_eq(act_belongings_take(&timers, owner_of(1), &index), 0);
    cr_assert_eq(act_belongings_take(&elsewhere, owner_of(1), &there), 0);
    cr_assert_eq(index, there);
    const uint64_t name = act_belongings_name(&timers, index);
    cr_assert_neq(name, act_belongings_name(&elsewhere, there));
    cr_assert_not(act_belongings_find(&elsewhere, owner_of(1), name, &found), "of another worker");
    cr_assert_not(act_belongings_find(&timers, owner_of(2), name, &found), "of another actor");
    cr_assert_not(act_belongings_find(&timers, owner_of(1), 0, &found));
    cr_assert_not(act_belongings_find(&timers, owner_of(1), UINT64_MAX, &found));
    cr_assert_not(act_belongings_find(&timers, owner_of(1), name ^ 1, &found));
    cr_assert_eq(found, 77);
    cr_assert(act_belongings_find(&timers, owner_of(1), name, &found));
    cr_assert_eq(found, index);

    act_belongings_give(&timers, index);
    cr_assert_not(act_belongings_find(&timers, owner_of(1), name, &found), "it has ended");
    cr_assert_eq(act_belongings_take(&timers, owner_of(1), &there), 0);
    cr_assert_eq(there, index, "the place is used again");
    cr_assert_not(act_belongings_find(&timers, owner_of(1), name, &found), "it is the next one");
    act_belongings_deinit(&elsewhere);
    deinit();
}

/* No name is 0, which is none. */
Test(belongings, a_name_is_never_none)
{
    uint32_t index;
    uint32_t found;

    act_belongings_init(&timers, SLOTS, 0); /* the first name would be 0 */
    cr_assert_eq(act_belongings_take(&timers, owner_of(1), &index), 0);
    const uint64_t name = act_belongings_name(&timers, index);
    cr_assert_neq(name, 0);
    cr_assert(act_belongings_find(&timers, owner_of(1), name, &found));
    cr_assert_eq(act_belongings_name(&timers, index), name);
    act_belongings_deinit(&timers);
}

/* The reference: a list of due times. */
enum { MODEL_TIMERS = 512 };

struct model_timer {
    uint64_t due_ns;
    uint64_t start;
    uint32_t timer;
    bool is_running;
};

static struct model_timer model[MODEL_TIMERS];
static uint64_t seed_state;

static uint64_t random_below(uint64_t bound)
{
    /* xorshift64* (Vigna 2016). */
    seed_state ^= seed_state >> 12;
    seed_state ^= seed_state << 25;
    seed_state ^= seed_state >> 27;
    return seed_state * 2685821657736338717ull % bound;
}

/** What the list says is next; MODEL_TIMERS for none. */
static uint32_t model_first(void)
{
    uint32_t first = MODEL_TIMERS;

    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        if (!model[i].is_running) continue;
        if (first == MODEL_TIMERS || model[i].due_ns < model[first].due_ns ||
            (model[i].due_ns == model[first].due_ns && model[i].start < model[first].start))
            first = i;
    }
    return first;
}

static void model_step(uint64_t step)
{
    const uint32_t i = (uint32_t)random_below(MODEL_TIMERS);
    struct model_timer *m = &model[i];

    if (!m->is_running) {
        m->due_ns = random_below(1ull << random_below(40));
        m->start = step;
        m->timer = start(i % SLOTS, m->due_ns, i);
        m->is_running = true;
    } else if (random_below(4) == 0) {
        end(m->timer);
        m->is_running = false;
    } else if (random_below(4) == 0) {
        m->due_ns = random_below(1ull << random_below(40));
        m->start = step;
        act_schedule_move(&schedule, m->timer, m->due_ns);
    }
}

/* Against the list: the order, nothing lost, nothing twice. SEED sets the seed. */
Test(schedule, random_timers_agree_with_a_list)
{
    const char *given = getenv("SEED");
    const uint64_t seed = given != NULL ? program_seed("SEED", given) : act_now_ns() | 1;

    seed_state = seed | 1;
    init();
    for (uint64_t step = 0; step < 20000; step++) {
        model_step(step);
        if (random_below(3) != 0) continue;
        const uint32_t first = model_first();
        cr_assert_eq(schedule.next_ns,
                     first < MODEL_TIMERS ? model[first].due_ns : SCHEDULE_NEVER, "seed %llu",
                     (unsigned long long)seed);
        if (first == MODEL_TIMERS) continue;
        cr_assert_eq(next(), first, "seed %llu", (unsigned long long)seed);
        model[first].is_running = false;
    }
    deinit();
}
