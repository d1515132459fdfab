/**
 * Timers of actors.
 */
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

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
    int cancelled; /* what cancel said */
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
    t->cancelled = act_timer_cancel(t->name);
}

/* timer.h: 0, or -ENOENT when it has fired or was cancelled. */
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
    cr_assert_eq(soon.cancelled, -ENOENT);
    for (uint32_t i = 0; i < 2; i++) {
        run_in(&w, p->self, cancel_timer, &far);
        run_in(&w, p->self, cancel_timer, &endless);
        cr_assert_eq(far.cancelled, i == 0 ? 0 : -ENOENT);
        cr_assert_eq(endless.cancelled, i == 0 ? 0 : -ENOENT);
    }
    struct timing none = {.name = 0};
    run_in(&w, p->self, cancel_timer, &none);
    cr_assert_eq(none.cancelled, -ENOENT);
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
    t->cancelled = act_timer_cancel(t->name);
}

/* Its time is over, but it has not fired: cancel still prevents it. */
Test(timer, cancel_of_an_overdue_timer)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 0, .cookie = 1};
    struct timing next = {.delay_ns = 0, .cookie = 2};

    run_in(&w, p->self, start_and_cancel_overdue, &t);
    cr_assert_eq(t.cancelled, 0);
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

/* timer.h: a timer ends with its actor: nothing is left of it, and nobody is told. */
Test(timer, ends_with_its_actor)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    struct timing t = {.delay_ns = 1000000, .cookie = 1};
    struct timing later = {.delay_ns = 3000000, .cookie = 2};

    run_in(&w, p->self, start_timer_and_exit, &t);
    cr_assert_eq(t.error, 0);
    run_in(&w, q->self, start_timer, &later);
    world_await(&w, q, 1);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    cr_assert_eq(p->count, 0);
    world_stop(&w);
}

static void start_timer_at_stop(struct probe *p)
{
    p->result = act_timer_start(3600 * SECOND, TYPE_TICK, 0, NULL);
}

/* Also one that its last handler starts: its place is free for the next actor's. */
Test(timer, of_the_last_handler_ends_with_its_actor)
{
    enum { ROUNDS = 300 };
    struct timing far = {.delay_ns = 3600 * SECOND};
    size_t held = 0;

    start();
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        p->at_stop = start_timer_at_stop;
        run_in(&w, p->self, start_timer_and_exit, &far);
        cr_assert_eq(far.error | p->result, 0);
        if (i == 0) held = act_memory_held();
        const struct act_spawn_options o = {
            .behaviour = &probe_behaviour, .state = p, .place = ACT_PLACE_ON(0)};
        cr_assert_eq(act_spawn(&o, &p->self), 0);
    }
    world_sync(&w, p);
    /* The slots that wait for a grace period are the only thing that may have grown. */
    cr_assert_leq(act_memory_held(), held + 16384, "%zu", act_memory_held() - held);
    world_stop(&w);
}

enum { EQUALS = 10 };

static void start_equals(struct probe *p, void *argument)
{
    const struct timing *t = argument;

    for (uint64_t i = 0; i < EQUALS; i++)
        p->result |= act_timer_start(t->delay_ns, TYPE_TICK, i, NULL);
    while (act_now_ns() < t->cookie) /* all are due before any can fire */
        continue;
}

/* timer.h: in the order of their start when they are due at the same time, whatever the delay. */
Test(timer, equal_delays_fire_in_the_order_of_their_start)
{
    const uint64_t delays[] = {0, 1, 50000, 1000000, 20000000};

    start();
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        struct timing t = {.delay_ns = delays[i], .cookie = act_now_ns() + delays[i] + 2000000};
        run_in(&w, p->self, start_equals, &t);
        cr_assert_eq(p->result, 0);
        world_await(&w, p, (i + 1) * EQUALS);
        for (uint32_t k = 0; k < EQUALS; k++)
            cr_assert_eq(p->log[i * EQUALS + k].value, k, "delay %llu",
                         (unsigned long long)delays[i]);
    }
    world_stop(&w);
}

static void start_backwards(struct probe *p, void *argument)
{
    const uint64_t end = act_now_ns() + 25000000;

    (void)argument;
    for (uint64_t i = EQUALS; i > 0; i--)
        p->result |= act_timer_start(i * 2000000, TYPE_TICK, i, NULL);
    while (act_now_ns() < end)
        continue;
}

/* timer.h: in the order of their due times, also when all are late. */
Test(timer, fire_in_the_order_of_their_due_times)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, start_backwards, NULL);
    cr_assert_eq(p->result, 0);
    world_await(&w, p, EQUALS);
    for (uint32_t k = 0; k < EQUALS; k++)
        cr_assert_eq(p->log[k].value, k + 1);
    world_stop(&w);
}

/* timer.h: somebody else's timer is not to be cancelled: another actor's, worker's, runtime's. */
Test(timer, somebody_elses_is_not_cancelled)
{
    struct act_runtime_options o = world_options(2);
    struct act_runtime *other_runtime = NULL;
    struct timing mine = {.delay_ns = 5000000, .cookie = 1};
    struct timing theirs = {.delay_ns = 5000000, .cookie = 2};

    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *neighbour = world_probe(&w, 0, 0);
    struct probe *far = world_probe(&w, 1, 0);
    run_in(&w, p->self, start_timer, &mine);
    run_in(&w, far->self, start_timer, &theirs);
    cr_assert_neq(mine.name, theirs.name, "the first of each worker");
    run_in(&w, neighbour->self, cancel_timer, &mine);
    cr_assert_eq(mine.cancelled, -ENOENT, "another actor");
    run_in(&w, far->self, cancel_timer, &mine);
    cr_assert_eq(mine.cancelled, -ENOENT, "another worker");
    world_await(&w, p, 1);
    world_await(&w, far, 1);
    act_port_close(w.port);

    /* The other runtime's first actor has the same id, its first timer the same place. */
    struct world second;
    struct timing there = {.delay_ns = 5000000, .cookie = 3};
    cr_assert_eq(act_runtime_start(&o, &other_runtime, NULL), 0);
    second = (struct world){.runtime = other_runtime};
    cr_assert_eq(act_port_open(other_runtime, &second.port), 0);
    struct probe *q = world_probe(&second, 0, 0);
    run_in(&second, q->self, cancel_timer, &mine);
    cr_assert_eq(mine.cancelled, -ENOENT);
    run_in(&second, q->self, start_timer, &there);
    cr_assert_neq(there.name, mine.name, "of another runtime");
    world_await(&second, q, 1);
    world_stop(&second);
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
}

/* What a periodic timer has told. */
struct periodic {
    uint64_t period_ns;
    uint64_t start_ns;
    uint64_t busy_ns; /* that its handler takes each time */
    uint64_t messages;
    uint64_t periods;
    uint64_t most_periods; /* in one message */
    uint64_t until;        /* periods; then it is cancelled */
    act_timer name;
    act_id port;
    uint32_t early;
    int error;
};

static void on_period(void *state, struct act_message *m)
{
    struct periodic *p = state;
    struct act_tick tick;

    if (m->type != TYPE_TICK) {
        p->start_ns = act_now_ns();
        p->error = act_timer_start_periodic(p->period_ns, TYPE_TICK, 42, &p->name);
        act_message_unref(m);
        return;
    }
    memcpy(&tick, m->body, sizeof tick);
    if (m->body_bytes != sizeof tick || tick.cookie != 42 || tick.timer != p->name ||
        m->from != act_self() || tick.periods == 0)
        p->error = -EPROTO;
    act_message_unref(m);
    p->messages++;
    p->periods += tick.periods;
    if (tick.periods > p->most_periods) p->most_periods = tick.periods;
    if (act_now_ns() < p->start_ns + p->periods * p->period_ns) p->early++;
    for (const uint64_t end = act_now_ns() + p->busy_ns; act_now_ns() < end;)
        continue;
    if (p->periods < p->until) return;
    p->error |= act_timer_cancel(tick.timer);
    if (send_value(p->port, TYPE_TURN, 0) != 0) abort();
}

static void run_periodic(struct periodic *p)
{
    static const struct act_behaviour behaviour = {.receive = on_period};
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = p};
    act_id id;

    p->port = w.port_id;
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(send_value(id, 1, 0), 0);
    expect(&w, TYPE_TURN);
    cr_assert_eq(p->error, 0);
}

/* timer.h: the n-th message is due n periods after the start: what was late does not add up. */
Test(timer, periodic_does_not_drift)
{
    start();
    struct periodic p = {.period_ns = 300000, .until = 500, .busy_ns = 100000};

    run_periodic(&p);
    cr_assert_eq(p.early, 0);
    /* Each is told once, or counted in the next one: at the end none is missing. */
    cr_assert_leq(p.periods - 1, (act_now_ns() - p.start_ns) / p.period_ns);
    /* With a delay that begins anew at each message it would take 500 times 0.1 ms longer. */
    const uint64_t spent_ns = act_now_ns() - p.start_ns;
    cr_assert_geq(p.periods + 20 + p.most_periods, spent_ns / p.period_ns, "%llu of %llu",
                  (unsigned long long)p.periods, (unsigned long long)(spent_ns / p.period_ns));
    world_stop(&w);
}

/* timer.h: one message at a time; the next one tells how many periods are over. */
Test(timer, periodic_does_not_flood_a_slow_actor)
{
    start();
    struct periodic p = {.period_ns = 100000, .until = 200, .busy_ns = 2000000};

    run_periodic(&p);
    cr_assert_eq(p.early, 0);
    cr_assert_geq(p.most_periods, 10);
    cr_assert_leq(p.messages, p.periods / 5);
    world_stop(&w);
}

/* timer.h: -EINVAL for no period, one that is too long, a type of the runtime's. */
static void start_wrong_timers(struct probe *p, void *argument)
{
    act_timer name = 5;

    (void)argument;
    p->result = act_timer_start_periodic(0, TYPE_TICK, 0, &name) == -EINVAL &&
                act_timer_start_periodic((1ull << 62) + 1, TYPE_TICK, 0, &name) == -EINVAL &&
                act_timer_start_periodic(1, ACT_TYPE_DOWN, 0, &name) == -EINVAL &&
                act_timer_start(0, ACT_TYPE_SYSTEM, 0, &name) == -EINVAL && name == 5 &&
                act_timer_start_periodic(1ull << 62, ACT_TYPE_SYSTEM - 1, 0, &name) == 0 &&
                act_timer_cancel(name) == 0;
}

Test(timer, wrong_options)
{
    start();
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, start_wrong_timers, NULL);
    cr_assert_eq(p->result, 1);
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
    for (uint32_t i = 0; i < 3; i++) { /* the first timer of a worker takes memory three times */
        run_in(&w, p->self, start_timer_without_memory, &t);
        cr_assert_eq(t.error, -ENOMEM);
        cr_assert_eq(t.name, 5);
    }
    run_in(&w, p->self, start_timer, &t);
    cr_assert_eq(t.error, 0);
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
