/**
 * Timers of actors.
 */
#include "endpoint.h"
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"
#include "wheel.h"

#include <errno.h>
#include <signal.h>

LEAK_CHECKED_SUITE(timer);

static struct world w;

static void start(void)
{
    struct act_runtime_options o = world_options(1);
    world_start(&w, &o);
}

enum { TYPE_TICK = 3, TIMERS = 8 };

/** Timers that a handler starts, and when they fired. */
struct clocked {
    uint64_t delay_ns[TIMERS];
    uint64_t started_ns[TIMERS];
    uint64_t fired_ns[TIMERS];
    uint32_t fired[TIMERS];
    act_timer names[TIMERS];
    act_id port;
    uint32_t left;
    bool is_wrong;
};

static void on_tick(void *state, struct act_message *m)
{
    struct clocked *c = state;

    if (m->type == TYPE_TICK) {
        const uint64_t cookie = *(uint64_t *)m->body;
        if (m->body_bytes != sizeof cookie || m->from != act_self() || cookie >= TIMERS)
            c->is_wrong = true;
        else {
            c->fired_ns[cookie] = act_now_ns();
            c->fired[cookie]++;
        }
        if (--c->left == 0 && send_value(c->port, TYPE_TICK, 0) != 0) c->is_wrong = true;
    } else {
        for (uint32_t i = 0; i < TIMERS; i++) {
            c->started_ns[i] = act_now_ns();
            if (act_timer_start(c->delay_ns[i], TYPE_TICK, i, i % 2 ? &c->names[i] : NULL) != 0)
                c->is_wrong = true;
        }
    }
    act_message_unref(m);
}

/* timer.h: one message, type and cookie, never early; a delay of 0 is fine. */
Test(timer, fires_once_and_never_early)
{
    static const struct act_behaviour behaviour = {.receive = on_tick};
    struct clocked c = {
        .delay_ns = {5000000, 0, 1, 65536, 100000, 20000000, 1000000, 999999},
        .left = TIMERS,
    };
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = &c};
    act_id id;

    start();
    c.port = w.port_id;
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(send_value(id, 1, 0), 0);
    expect(&w, TYPE_TICK);
    cr_assert_not(c.is_wrong);
    for (uint32_t i = 0; i < TIMERS; i++) {
        cr_assert_eq(c.fired[i], 1);
        cr_assert_geq(c.fired_ns[i] - c.started_ns[i], c.delay_ns[i], "timer %u", i);
        cr_assert_eq(c.names[i] != 0, i % 2 == 1);
    }
    world_stop(&w);
}

struct timing {
    uint64_t delay_ns;
    uint64_t cookie;
    act_timer name;
    int error;
    bool was_running;
};

static void start_timer(struct probe *p, void *argument)
{
    struct timing *t = argument;
    (void)p;
    t->error = act_timer_start(t->delay_ns, TYPE_TICK, t->cookie, &t->name);
}

static void cancel_timer(struct probe *p, void *argument)
{
    struct timing *t = argument;
    (void)p;
    t->was_running = act_timer_cancel(t->name);
}

/* timer.h: cancel returns whether it had not fired. */
Test(timer, cancel_before_and_after_it_fires)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing far = {.delay_ns = 3600 * SECOND, .cookie = 1};
    struct timing endless = {.delay_ns = UINT64_MAX, .cookie = 2};
    struct timing soon = {.delay_ns = 0, .cookie = 3};

    run_in(&w, p->self, start_timer, &far);
    run_in(&w, p->self, start_timer, &endless);
    run_in(&w, p->self, start_timer, &soon);
    cr_assert_eq(far.error | endless.error | soon.error, 0);
    cr_assert_neq(far.name, endless.name);
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].type, TYPE_TICK);
    cr_assert_eq(p->log[0].value, 3);
    cr_assert_eq(p->log[0].from, p->self);

    run_in(&w, p->self, cancel_timer, &soon);
    cr_assert_not(soon.was_running);
    for (uint32_t i = 0; i < 2; i++) {
        run_in(&w, p->self, cancel_timer, &far);
        run_in(&w, p->self, cancel_timer, &endless);
        cr_assert_eq(far.was_running, i == 0);
        cr_assert_eq(endless.was_running, i == 0);
    }
    struct timing none = {.name = 0, .was_running = true};
    run_in(&w, p->self, cancel_timer, &none);
    cr_assert_not(none.was_running);
    cr_assert_eq(p->count, 1);
    world_stop(&w);
}

static void start_and_cancel_overdue(struct probe *p, void *argument)
{
    struct timing *t = argument;
    const uint64_t end = act_now_ns() + 1000000;

    start_timer(p, argument);
    while (act_now_ns() < end)
        continue;
    t->was_running = act_timer_cancel(t->name);
}

/* Its time is over, but it has not fired: cancel still prevents it. */
Test(timer, cancel_of_an_overdue_timer)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 0, .cookie = 1};
    struct timing next = {.delay_ns = 0, .cookie = 2};

    run_in(&w, p->self, start_and_cancel_overdue, &t);
    cr_assert(t.was_running);
    run_in(&w, p->self, start_timer, &next);
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].value, 2);
    world_stop(&w);
}

static void start_timer_and_exit(struct probe *p, void *argument)
{
    start_timer(p, argument);
    act_exit(0);
}

static bool has_dead_letter(void *argument)
{
    (void)argument;
    return world_stats(&w).dead_letters > 0;
}

/* A timer whose actor is gone is a dead letter, not a message to the next inhabitant. */
Test(timer, outlives_its_actor_as_a_dead_letter)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 1000000, .cookie = 1};

    run_in(&w, p->self, start_timer_and_exit, &t);
    cr_assert_eq(t.error, 0);
    cr_assert(wait_until(has_dead_letter, NULL));
    cr_assert_eq(p->count, 0);
    world_stop(&w);
}

static void start_timer_without_memory(struct probe *p, void *argument)
{
    act_memory_fail_at(1);
    start_timer(p, argument);
    act_memory_fail_at(0);
}

/* timer.h: 0, or -ENOMEM and no timer. */
Test(timer, without_memory)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 0, .cookie = 1, .name = 5};
    run_in(&w, p->self, start_timer_without_memory, &t);
    cr_assert_eq(t.error, -ENOMEM);
    cr_assert_eq(t.name, 5);
    run_in(&w, p->self, start_timer, &t);
    cr_assert_eq(t.error, 0);
    world_await(&w, p, 1);
    world_stop(&w);
}

static void start_after_a_long_sleep(struct probe *p, void *argument)
{
    struct act_wheel *wheel = act_endpoint_current()->wheel;

    wheel->now = 0;
    start_timer(p, argument);
    p->result = wheel->now >= (act_now_ns() - SECOND) >> WHEEL_TICK_SHIFT;
}

/* The first timer after a long sleep does not make the worker walk through the time it slept. */
Test(timer, first_after_a_long_sleep)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 1000, .cookie = 1};
    run_in(&w, p->self, start_after_a_long_sleep, &t);
    cr_assert_eq(p->result, 1);
    world_await(&w, p, 1);
    world_stop(&w);
}

static struct act_message *kept[70000];
static uint32_t kept_count;

static void take_all(struct probe *p, void *argument)
{
    (void)p;
    (void)argument;
    while ((kept[kept_count] = act_message_create(1, 8)) != NULL)
        kept_count++;
}

static void give_all(struct probe *p, void *argument)
{
    (void)p;
    (void)argument;
    while (kept_count > 0)
        act_message_unref(kept[--kept_count]);
}

/** One of the kept messages asks for the others' end, because no other is left. */
static void start_timer_and_take_all(struct probe *p, void *argument)
{
    start_timer(p, argument);
    take_all(p, NULL);
    /* run_in's answer is a message, too. */
    act_message_unref(kept[--kept_count]);
}

/* Out of messages, a timer is tried again soon: it is late then, not lost. */
Test(timer, waits_for_a_message_when_the_pool_is_at_its_bound)
{
    struct act_runtime_options o = world_options(1);
    struct timing t = {.delay_ns = 0, .cookie = 9};

    o.pool_bytes_max = 1 << 20;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, start_timer_and_take_all, &t);
    cr_assert_eq(t.error, 0);
    run_in(&w, p->self, give_all, NULL);
    world_await(&w, p, 1);
    for (uint32_t i = 0; i < 20; i++)
        world_sync(&w, p);
    cr_assert_eq(p->count, 1);
    cr_assert_eq(p->log[0].value, 9);
    world_stop(&w);
}

/* timer.h: only from a handler. */
Test(timer, start_from_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start();
    int error = act_timer_start(0, 1, 0, NULL);
    (void)error;
}

Test(timer, cancel_from_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start();
    act_timer_cancel(1);
}

/* timer.h: monotonic time. */
Test(timer, now_does_not_go_back)
{
    uint64_t last = act_now_ns();

    for (uint32_t i = 0; i < 10000; i++) {
        const uint64_t now = act_now_ns();
        cr_assert_geq(now, last);
        last = now;
    }
}
