/**
 * Rule 4.2: timestamps neither run backwards nor stand still because a clock was out.
 */
#include "clock.h"
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_4_2);

#define TICK 1000000ull
#define DAY (86400ull * 1000000000ull)
#define START (365 * DAY)

/** Reads so many ticks of a clock that goes as it should, from *host_ns on. */
static void read_ticks(struct vsr_clock *clock, uint64_t *host_ns, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks; i++)
        vsr_clock_read(clock, *host_ns += TICK);
}

/* 4.2: one reading that is a day ahead is forgotten, and so is one that is a day late. */
Test(rule_4_2, one_reading_that_is_out_is_not_believed)
{
    struct vsr_clock clock = {0};
    uint64_t host = START;

    read_ticks(&clock, &host, 5);
    cr_assert_eq(clock.now_ns, host);
    vsr_clock_read(&clock, host + DAY);
    cr_assert_eq(clock.now_ns, host);
    read_ticks(&clock, &host, 1);
    cr_assert_eq(clock.now_ns, host);
    vsr_clock_read(&clock, host - DAY);
    read_ticks(&clock, &host, 1);
    cr_assert_eq(clock.now_ns, host);
    /* Two, not in a row: still. */
    for (uint32_t i = 0; i < 8; i++) {
        vsr_clock_read(&clock, host + DAY);
        read_ticks(&clock, &host, 1);
        cr_assert_eq(clock.now_ns, host);
    }
}

/* 4.2: a clock that was set forward is followed after some ticks. */
Test(rule_4_2, step_forward_is_believed_when_it_stays)
{
    struct vsr_clock clock = {0};
    uint64_t host = START;

    read_ticks(&clock, &host, 5);
    host += DAY;
    read_ticks(&clock, &host, 2);
    cr_assert_eq(clock.now_ns, START + 5 * TICK);
    read_ticks(&clock, &host, 1);
    cr_assert_eq(clock.now_ns, host);
}

/* 4.2: after a step back time goes on, at half of its rate, until the clock has come up with it. */
Test(rule_4_2, step_back_slows_time_down_and_does_not_stop_it)
{
    struct vsr_clock clock = {0};
    uint64_t host = START;

    read_ticks(&clock, &host, 5);
    host -= 100 * TICK;
    read_ticks(&clock, &host, 3);
    uint64_t before = clock.now_ns;
    for (uint32_t i = 0; i < 150; i++) {
        read_ticks(&clock, &host, 1);
        cr_assert_eq(clock.now_ns, before + TICK / 2);
        before = clock.now_ns;
    }
    read_ticks(&clock, &host, 100);
    cr_assert_eq(clock.now_ns, host);
}

/* 4.2: a host that says its ticks more than a second apart has a clock too. */
Test(rule_4_2, ticks_that_are_far_apart_move_time)
{
    struct vsr_clock clock = {0};
    uint64_t host = START;

    for (uint32_t i = 0; i < 30; i++)
        vsr_clock_read(&clock, host += 10000 * TICK);
    cr_assert_geq(clock.now_ns, host - 3 * 10000 * TICK);
}

/** The timestamp of an op that a replica alone executes now. */
static uint64_t stamp(struct fixture *f, uint64_t client_id)
{
    fixture_message(f, make_register(f, client_id));
    fixture_turn_end(f);
    return vsr_replica_entry(f->r, seen(f).op)->entry.timestamp;
}

/* 4.2: the sequence that held all timestamps of a day at one value. */
Test(rule_4_2, one_tick_a_day_ahead_does_not_hold_timestamps)
{
    struct vsr_replica_options o = fixture_options(1, 0);
    struct fixture *f = fixture_start(&o);
    uint64_t host = START;

    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = host});
    cr_assert_eq(stamp(f, 1), START);
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = host + DAY});
    uint64_t before = stamp(f, 2);
    for (uint64_t i = 3; i < 10; i++) {
        fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = host += TICK});
        const uint64_t now = stamp(f, i);
        cr_assert_gt(now, before);
        cr_assert_leq(now, host);
        before = now;
    }
    fixture_end(f);
}

/* 4.2: a primary whose log comes from one whose clock was a day ahead: from there on, slower. */
Test(rule_4_2, log_that_is_a_day_ahead_does_not_hold_timestamps)
{
    struct vsr_clock clock = {0};
    uint64_t host = START;

    read_ticks(&clock, &host, 5);
    uint64_t head = host + DAY;
    cr_assert_eq(vsr_clock_stamp(&clock, head), head);
    for (uint32_t i = 0; i < 5; i++) {
        read_ticks(&clock, &host, 1);
        cr_assert_eq(vsr_clock_stamp(&clock, head), head + TICK / 2);
        head += TICK / 2;
    }
}
