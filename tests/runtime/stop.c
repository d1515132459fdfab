/**
 * How actors end: act_stop, act_exit, act_monitor, and what they leave.
 */
#include "fixture.h"
#include "leak_check.h"

#include <limits.h>
#include <signal.h>

LEAK_CHECKED_SUITE(stop);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

/* actor.h: once it has handled what this sender sent before; the reason reaches hook and monitor.
 */
Test(stop, comes_after_what_was_sent_before)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    cr_assert_eq(act_monitor(p->self), 0);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(send_value(p->self, 1, i), 0);
    cr_assert_eq(act_stop(p->self, 17), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, p->self);
    cr_assert_eq(down.reason, 17);
    cr_assert_eq(p->count, 100);
    cr_assert_eq(p->stops, 1);
    cr_assert_eq(p->reason, 17);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
    cr_assert_eq(p->stops, 1);
}

/* actor.h: what then still waits in its mailbox becomes dead letters. */
Test(stop, what_waits_behind_it_becomes_dead_letters)
{
    struct gate gate;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    gate_shut(&gate, p);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(send_value(p->self, 1, i), 0);
    cr_assert_eq(act_stop(p->self, 0), 0);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(send_value(p->self, 2, i), 0);
    cr_assert_eq(act_stop(p->self, 9), 0);
    cr_assert_eq(act_monitor(p->self), 0);
    gate_open(&w, &gate);
    cr_assert_eq(expect_down(&w).reason, ACT_REASON_GONE);
    cr_assert_eq(p->count, 3);
    cr_assert_eq(p->reason, 0, "the first stop counts");
    cr_assert_eq(p->stops, 1);
    cr_assert_eq(world_stats(&w).dead_letters, 5);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* actor.h: 0, also when it is gone already. */
Test(stop, of_one_that_is_gone)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    world_end(&w, p, 0);
    cr_assert_eq(act_stop(p->self, 0), 0);
    cr_assert_eq(act_stop(ACT_ID_NONE, 0), 0);
    world_stop(&w);
    cr_assert_eq(p->stops, 1);
}

/* An application's reasons are 0 or positive, all of them; the hook and the monitors get them
 * whole. */
static void exit_with(struct probe *p, void *reason)
{
    (void)p;
    act_exit(*(int *)reason);
}

Test(stop, reasons_are_kept_whole)
{
    int reasons[] = {0, 1, SHRT_MAX, SHRT_MAX + 1, USHRT_MAX, 70000, INT_MAX};

    start(2);
    for (uint32_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        struct probe *p = world_probe(&w, i % 2, 0);
        cr_assert_eq(world_end(&w, p, reasons[i]), reasons[i]);
        cr_assert_eq(p->reason, reasons[i]);

        p = world_probe(&w, i % 2, 0);
        cr_assert_eq(act_monitor(p->self), 0);
        run_in(&w, p->self, exit_with, &reasons[i]);
        cr_assert_eq(expect_down(&w).reason, reasons[i]);
        cr_assert_eq(p->reason, reasons[i]);
    }
    world_stop(&w);
}

static void send_to_self_and_exit(struct probe *p, void *turns)
{
    *(uint32_t *)turns = p->turns;
    act_exit(4);
    p->result = send_value(act_self(), 1, 1) | send_value(act_self(), 1, 2);
}

/* act_exit: stops the running actor when its handler returns, not before. */
Test(stop, exit_ends_with_the_handler)
{
    uint32_t turns;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    cr_assert_eq(act_monitor(p->self), 0);
    run_in(&w, p->self, send_to_self_and_exit, &turns);
    cr_assert_eq(expect_down(&w).reason, 4);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(p->count, 0);
    cr_assert_eq(p->turns, turns, "actor.h: but for the turn in which the actor stops");
    cr_assert_eq(world_stats(&w).dead_letters, 2);
    cr_assert_eq(world_stats(&w).actors_live, 1);
    /* It was in its worker's list of the ready: the worker goes on without it. */
    world_sync(&w, world_probe(&w, 0, 0));
    world_stop(&w);
    cr_assert_eq(p->stops, 1);
}

static void exit_at_turn_end(struct probe *p)
{
    p->at_turn_end = NULL;
    act_exit(6);
}

/* The same from turn_end. */
Test(stop, exit_from_turn_end)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    p->at_turn_end = exit_at_turn_end;
    cr_assert_eq(act_monitor(p->self), 0); /* the only message, and so the only turn */
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, p->self);
    cr_assert_eq(down.reason, 6);
    cr_assert_eq(p->reason, 6);
    cr_assert_eq(p->turns, 1);
    world_stop(&w);
}

static void send_farewell(struct probe *p)
{
    p->self = act_self();
    p->result = send_value(p->other, 0x77, 77) | send_value(act_self(), 1, 1);
}

/* actor.h: the last call an actor gets. It may send; to itself that is a dead letter. */
Test(stop, stopped_hook_may_send)
{
    start(2);
    struct probe *p = world_probe(&w, 1, 0);
    const act_id id = p->self;
    p->other = w.port_id;
    p->at_stop = send_farewell;
    cr_assert_eq(act_monitor(id), 0);
    cr_assert_eq(act_stop(id, 0), 0);
    struct act_message *m = act_port_receive(w.port, PATIENCE);
    cr_assert_not_null(m);
    cr_assert_eq(m->type, 0x77);
    cr_assert_eq(m->from, id);
    act_message_unref(m);
    cr_assert_eq(expect_down(&w).actor, id, "the notice comes after what it sent");
    cr_assert_eq(p->self, id);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(p->count, 0);
    cr_assert_eq(world_stats(&w).dead_letters, 1);
    world_stop(&w);
}

static void monitor_other(struct probe *p, void *argument)
{
    (void)argument;
    p->result = act_monitor(p->other);
}

/* actor.h: one DOWN message for each request, to whoever asked: actors and ports. */
Test(stop, every_monitor_is_told)
{
    start(2);
    struct probe *target = world_probe(&w, 0, 0);
    struct probe *watchers[2] = {world_probe(&w, 0, 0), world_probe(&w, 1, 0)};
    for (uint32_t i = 0; i < 2; i++) {
        watchers[i]->other = target->self;
        run_in(&w, watchers[i]->self, monitor_other, NULL);
        run_in(&w, watchers[i]->self, monitor_other, NULL);
        cr_assert_eq(watchers[i]->result, 0);
    }
    cr_assert_eq(act_monitor(target->self), 0);
    expect_nothing(&w);
    cr_assert_eq(act_stop(target->self, 8), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, target->self);
    cr_assert_eq(down.reason, 8);
    for (uint32_t i = 0; i < 2; i++) {
        world_await(&w, watchers[i], 2);
        world_sync(&w, watchers[i]);
        cr_assert_eq(watchers[i]->count, 2);
        cr_assert_eq(watchers[i]->log[1].type, ACT_TYPE_DOWN);
        cr_assert_eq(watchers[i]->log[1].value, target->self);
    }
    expect_nothing(&w);
    world_stop(&w);
}

/* actor.h: at once when it is gone; types.h: ACT_REASON_GONE. */
Test(stop, monitor_of_one_that_is_gone)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    world_end(&w, p, 5);
    cr_assert_eq(act_monitor(p->self), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, p->self);
    cr_assert_eq(down.reason, ACT_REASON_GONE);
    cr_assert_eq(act_monitor(ACT_ID_NONE), 0);
    cr_assert_eq(expect_down(&w).reason, ACT_REASON_GONE);

    /* Also when the request is overtaken by the stop. */
    struct gate gate;
    p = world_probe(&w, 0, 0);
    gate_shut(&gate, p);
    cr_assert_eq(act_stop(p->self, 5), 0);
    cr_assert_eq(act_monitor(p->self), 0);
    gate_open(&w, &gate);
    down = expect_down(&w);
    cr_assert_eq(down.actor, p->self);
    cr_assert_eq(down.reason, ACT_REASON_GONE);
    world_stop(&w);
}

/* A watcher that ends before its target has ended its monitor: there is no notice. */
Test(stop, monitor_ends_first)
{
    start(1);
    struct probe *target = world_probe(&w, 0, 0);
    struct probe *watcher = world_probe(&w, 0, 0);
    watcher->other = target->self;
    run_in(&w, watcher->self, monitor_other, NULL);
    world_end(&w, watcher, 0);
    world_end(&w, target, 0);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* A monitor is told although the target's mailbox is full: the request passes the bound. */
Test(stop, monitor_and_stop_pass_a_full_mailbox)
{
    struct gate gate;

    start(1);
    struct probe *p = world_probe(&w, 0, 2);
    gate_shut(&gate, p);
    while (send_value(p->self, 1, 0) == 0)
        continue;
    /* The lane is as full as the mailbox: let the worker take some. */
    gate_open(&w, &gate);
    world_sync(&w, p);
    cr_assert_eq(world_end(&w, p, 3), 3);
    world_stop(&w);
}

/* types.h: ACT_REASON_SHUTDOWN when the runtime stops; every actor's hook is called once. */
Test(stop, runtime_stops_every_actor_once)
{
    struct probe many[50] = {{.count = 0}};

    start(2);
    for (uint32_t i = 0; i < 50; i++) {
        const struct act_spawn_options o = {
            .behaviour = &probe_behaviour,
            .state = &many[i],
            .place = i % 3,
            .name = i == 7 ? "named" : NULL,
        };
        cr_assert_eq(act_spawn(&o, &many[i].self), 0);
        many[i].other = i > 0 ? many[i - 1].self : ACT_ID_NONE;
        if (i > 0) run_in(&w, many[i].self, monitor_other, NULL);
        many[i].at_stop = send_farewell;
        cr_assert_eq(send_value(many[i].self, 1, i), 0);
    }
    world_stop(&w);
    for (uint32_t i = 0; i < 50; i++) {
        cr_assert_eq(many[i].stops, 1);
        cr_assert_eq(many[i].reason, ACT_REASON_SHUTDOWN);
        cr_assert_eq(many[i].result, 0);
    }
}

static void spawn_at_stop(struct probe *p)
{
    const struct act_spawn_options o = {.behaviour = &probe_behaviour, .state = p};
    act_id id;

    p->result = act_spawn(&o, &id);
}

/* Who spawns while the runtime stops finds out. */
Test(stop, no_new_actor_while_the_runtime_stops)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    static struct probe copy;
    const struct act_spawn_options o = {.behaviour = &probe_behaviour, .state = &copy};
    (void)p;
    copy.at_stop = spawn_at_stop;
    cr_assert_eq(act_spawn(&o, &copy.self), 0);
    world_stop(&w);
    cr_assert_lt(copy.result, 0);
    cr_assert_eq(copy.stops, 1);
}

/* actor.h: only from a handler. */
Test(stop, exit_from_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start(1);
    act_exit(0);
}

Test(stop, await_room_from_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start(1);
    int error = act_await_room(ACT_ID_NONE);
    (void)error;
}
