/**
 * What a runtime counts, and what its end says.
 */
#include "fixture.h"
#include "leak_check.h"

#include <errno.h>
#include <string.h>

LEAK_CHECKED_SUITE(stats);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

static void keep_message(struct probe *p, void *argument)
{
    (void)argument;
    struct act_message *m = act_message_create(1, 8);
    p->result = m != NULL;
}

/* runtime.h: the number of message handles that the application never ended. */
Test(stats, stop_counts_forgotten_handles)
{
    for (uint32_t forgotten = 0; forgotten <= 3; forgotten++) {
        start(2);
        struct probe *p = world_probe(&w, 1, 0);
        if (forgotten >= 1) run_in(&w, p->self, keep_message, NULL);
        struct act_message *m = act_message_create(1, 100);
        if (forgotten >= 2) {
            struct act_message *view = act_message_ref(m);
            (void)view;
        }
        if (forgotten < 3) act_message_unref(m);
        cr_assert_eq(world_stats(&w).messages_live, forgotten);
        act_port_close(w.port);
        cr_assert_eq(act_runtime_stop(w.runtime), forgotten);
    }
}

static void start_timers(struct probe *p, void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < 5; i++)
        p->result |= act_timer_start(i * 100000, 2, i, NULL);
}

static void await_room(struct probe *p, void *argument)
{
    (void)argument;
    p->result |= act_await_room(p->other);
}

static void send_and_exit(struct probe *p, void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < 10; i++)
        p->result |= send_value(p->other, 1, i);
    p->result |= send_value(act_self(), 1, 0);
    act_exit(0);
}

static bool adds_up(void *argument)
{
    (void)argument;
    expect_nothing(&w);
    const struct act_runtime_stats s = world_stats(&w);
    return s.messages_sent == s.messages_delivered + s.dead_letters;
}

/* stats.h: what was sent was delivered, or is a dead letter, once nothing is under way. */
Test(stats, sent_is_delivered_or_dead)
{
    start(2);
    for (uint32_t round = 0; round < 4; round++) {
        struct probe *a = world_probe(&w, round % 2, 0);
        struct probe *b = world_probe(&w, round / 2, 0);
        a->other = b->self;
        b->other = a->self;
        run_in(&w, a->self, start_timers, NULL);
        run_in(&w, b->self, await_room, NULL);
        run_in(&w, a->self, send_and_exit, NULL);
        cr_assert_eq(act_monitor(a->self), 0);
        expect_down(&w);
        for (uint32_t i = 0; i < 10; i++)
            cr_assert_eq(send_value(a->self, 1, i), 0);
        world_end(&w, b, 0);
        cr_assert_eq(send_value(ACT_ID_NONE, 1, 1), 0);
        cr_assert_eq(a->result | b->result, 0);
    }
    cr_assert(wait_until(adds_up, NULL));
    /* Timers of a, 5 or fewer of them, and b's to itself: dead by now or soon. */
    cr_assert_geq(world_stats(&w).dead_letters, 4 * 12);
    cr_assert_eq(world_stats(&w).actors_live, 1, "the port");
    world_stop(&w);
}

/* stats.h: delivered is what a handler or a port's owner was given. */
Test(stats, requests_of_the_runtime_are_not_delivered)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    const struct act_runtime_stats before = world_stats(&w);
    cr_assert_eq(world_end(&w, p, 0), 0); /* a monitor, a stop; one DOWN for the port */
    const struct act_runtime_stats after = world_stats(&w);
    cr_assert_eq(after.messages_delivered, before.messages_delivered + 1);
    cr_assert_eq(after.messages_sent, before.messages_sent + 1);
    cr_assert_eq(after.dead_letters, before.dead_letters);
    world_stop(&w);
}

static bool has_parked(void *parks)
{
    return world_stats(&w).parks > *(uint64_t *)parks;
}

/* stats.h: parks and wakes; runtime.h: spin_us 0: an idle worker sleeps at once, and wakes for a
 * message. */
Test(stats, idle_workers_park_and_are_woken)
{
    struct act_runtime_options o = world_options(1);

    o.spin_us = 0;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t parks = world_stats(&w).parks;
        if (i == 0) parks = 0;
        world_sync(&w, p);
        cr_assert(wait_until(has_parked, &parks));
    }
    cr_assert_gt(world_stats(&w).wakes, 0);
    world_stop(&w);
}

/* stats.h: every counter that is not above. */
Test(stats, pools_batches_and_refusals)
{
    struct act_runtime_options o = world_options(1);
    enum { KEPT = 3000 };
    static struct act_message *kept[KEPT];

    o.mailbox_max = 4;
    world_start(&w, &o);
    const struct act_runtime_stats before = world_stats(&w);
    for (uint32_t i = 0; i < KEPT; i++)
        kept[i] = act_message_create(1, 100);
    struct act_runtime_stats s = world_stats(&w);
    cr_assert_eq(s.messages_live, before.messages_live + KEPT);
    cr_assert_gt(s.pool_growths, before.pool_growths);
    cr_assert_geq(s.pool_bytes, before.pool_bytes + 128 * (KEPT - 600));
    for (uint32_t i = 0; i < KEPT; i++)
        act_message_unref(kept[i]);
    cr_assert_eq(world_stats(&w).messages_live, before.messages_live);

    struct probe *p = world_probe(&w, 0, 0);
    struct gate gate;
    gate_shut(&gate, p);
    const struct act_runtime_stats held = world_stats(&w);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(send_value(p->self, 1, i), 0);
    cr_assert_eq(send_value(p->self, 1, 5), -EAGAIN);
    s = world_stats(&w);
    cr_assert_eq(s.messages_sent, held.messages_sent + 4);
    cr_assert_eq(s.sends_refused, held.sends_refused + 1);
    gate_open(&w, &gate);
    world_await(&w, p, 4);
    cr_assert_geq(world_stats(&w).messages_delivered, held.messages_delivered + 4);
    cr_assert_eq(world_stats(&w).actors_live, 2);
    world_sync(&w, p);
    cr_assert_geq(world_stats(&w).batches_published, before.batches_published + 2);
    world_stop(&w);
}

/* stats.h: a report is a loop; every figure has its own name, help, kind and value. */
Test(stats, every_figure_is_in_the_list)
{
    struct act_runtime_stats s;
    struct act_stat stat = {0};
    uint32_t count = 0;

    memset(&s, 0, sizeof s);
    while (act_runtime_stat(&s, count, &stat))
        count++;
    cr_assert_eq(count * sizeof(uint64_t), sizeof s, "one for each field");
    for (uint32_t i = 0; i < count; i++) {
        ((uint64_t *)(void *)&s)[i] = 1000 + i;
        cr_assert(act_runtime_stat(&s, i, &stat));
        cr_assert_eq(stat.value, 1000 + i, "%s", stat.name);
        cr_assert_gt(strlen(stat.help), 10, "%s", stat.name);
    }
    cr_assert(act_runtime_stat(&s, 3, &stat));
    cr_assert_str_eq(stat.name, "messages_live");
    cr_assert_eq(stat.kind, ACT_STAT_LEVEL);
    cr_assert_eq(stat.value, s.messages_live);
    cr_assert_not(act_runtime_stat(&s, count, &stat));
    cr_assert_str_eq(stat.name, "messages_live", "as it was");
}

/* stats.h: the figures of a running runtime are those of the list. */
Test(stats, the_list_shows_what_was_counted)
{
    struct act_stat stat;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    world_sync(&w, p);
    const struct act_runtime_stats s = world_stats(&w);
    cr_assert(act_runtime_stat(&s, 0, &stat));
    cr_assert_str_eq(stat.name, "messages_sent");
    cr_assert_eq(stat.kind, ACT_STAT_SUM);
    cr_assert_gt(stat.value, 0);
    world_stop(&w);
}
