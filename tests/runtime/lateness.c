/**
 * How late a worker does what its time has come for.
 *
 * Other programs have the machine, too: a lateness is the best of many, and its bound generous. The
 * faults meant here are ten to ten thousand times as large. bench_actor prints percentiles.
 */
#include "fixture.h"
#include "leak_check.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

LEAK_CHECKED_SUITE(lateness);

enum { TYPE_TICK = 3, TYPE_WORK, TRIES = 100, MS = 1000000 };

static struct world w;

/** The clock of the runtime, which a test may put ahead. */
static atomic_ullong ahead_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    const int result = __real_clock_gettime(clock, t);

    if (clock == CLOCK_MONOTONIC)
        t->tv_sec += (time_t)(atomic_load_explicit(&ahead_ns, memory_order_relaxed) / SECOND);
    return result;
}

/** Starts a timer when its last one has fired. */
struct sleeper {
    uint64_t delay_ns;
    uint64_t due_ns;
    uint64_t best_ns; /* lateness */
    uint32_t left;
    act_id port;
};

static void on_sleeper_message(void *state, struct act_message *m)
{
    struct sleeper *s = state;
    const uint64_t now_ns = act_now_ns();

    if (m->type == TYPE_TICK && now_ns - s->due_ns < s->best_ns) s->best_ns = now_ns - s->due_ns;
    act_message_unref(m);
    if (s->left-- == 0) {
        if (send_value(s->port, TYPE_TICK, 0) != 0) abort();
        return;
    }
    s->due_ns = now_ns + s->delay_ns;
    if (act_timer_start(s->delay_ns, TYPE_TICK, 0, NULL) != 0) abort();
}

static uint64_t best_lateness_ns(uint64_t delay_ns)
{
    static const struct act_behaviour behaviour = {.receive = on_sleeper_message};
    static struct sleeper s;
    s = (struct sleeper){
        .delay_ns = delay_ns, .best_ns = UINT64_MAX, .left = TRIES, .port = w.port_id};
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = &s};
    act_id id;

    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(send_value(id, TYPE_WORK, 0), 0);
    expect(&w, TYPE_TICK);
    return s.best_ns;
}

/* timer.h: on an idle worker by 0.2 ms at most. */
Test(lateness, of_a_timer_on_an_idle_worker)
{
    const struct act_runtime_options o = world_options(1);

    world_start(&w, &o);
    cr_assert_lt(best_lateness_ns(200000), 200000);
    cr_assert_lt(best_lateness_ns(MS), 200000);
    cr_assert_lt(best_lateness_ns(20 * MS / 10), 200000);
    world_stop(&w);
}

/* port.h: a wait is not rounded to ms. */
Test(lateness, of_a_port_s_timeout)
{
    const struct act_runtime_options o = world_options(1);
    uint64_t best_ns = UINT64_MAX;

    world_start(&w, &o);
    for (uint32_t i = 0; i < TRIES; i++) {
        const uint64_t start_ns = act_now_ns();
        cr_assert_null(act_port_receive(w.port, 100000));
        const uint64_t spent_ns = act_now_ns() - start_ns;
        cr_assert_geq(spent_ns, 100000);
        if (spent_ns < best_ns) best_ns = spent_ns;
    }
    cr_assert_lt(best_ns, 300000);
    world_stop(&w);
}

static void start_far_timer(struct probe *p, void *delay_ns)
{
    p->result = act_timer_start(*(const uint64_t *)delay_ns, TYPE_TICK, 7, NULL);
}

/* A clock that has moved on by a day, as after a long halt of the machine, holds nobody up. */
Test(lateness, when_the_clock_moves_on_by_a_day)
{
    const uint64_t day_ns = 86400 * SECOND;
    const struct act_runtime_options o = world_options(1);
    uint64_t delay_ns = 3600 * SECOND;
    uint64_t later_ns = 30 * day_ns;

    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    run_in(&w, p->self, start_far_timer, &delay_ns);
    run_in(&w, q->self, start_far_timer, &later_ns);
    cr_assert_eq(p->result | q->result, 0);
    world_sync(&w, p);
    cr_assert_eq(p->count, 0);
    atomic_store(&ahead_ns, day_ns);
    const uint64_t start_ns = act_now_ns();
    world_await(&w, p, 1);
    cr_assert_lt(act_now_ns() - start_ns, SECOND / 2);
    cr_assert_eq(p->log[0].value, 7);
    cr_assert_eq(q->count, 0, "it is due in a month");
    atomic_store(&ahead_ns, 0); /* A clock never goes back; if it does, nothing breaks. */
    world_sync(&w, q);
    world_stop(&w);
}

/** An actor whose handler takes some time, and how often it has begun. */
struct busy {
    uint64_t handler_ns;
    atomic_uint begun;
    bool is_endless; /* it sends to itself */
};

static void on_work(void *state, struct act_message *m)
{
    struct busy *b = state;

    atomic_fetch_add(&b->begun, 1);
    for (const uint64_t end_ns = act_now_ns() + b->handler_ns; act_now_ns() < end_ns;)
        continue;
    if (!b->is_endless)
        act_message_unref(m);
    else if (act_send(act_self(), m) != 0)
        abort();
}

static act_id spawn_busy(struct busy *b)
{
    static const struct act_behaviour behaviour = {.receive = on_work};
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = b};
    act_id id;

    cr_assert_eq(act_spawn(&o, &id), 0);
    return id;
}

/** Timers, one after another, and how many handlers of others began while they were overdue. */
struct watcher {
    struct busy *busy;
    act_id target; /* gets some work with each eighth timer */
    uint32_t work;
    uint64_t delay_ns;
    uint64_t due_ns;
    uint32_t begun; /* by then */
    uint32_t worst;
    uint32_t ignored; /* so many timers first */
    uint32_t left;
    act_id port;
};

/** The others' handler, which knows when the timer is due. */
static void on_watched_work(void *state, struct act_message *m)
{
    struct watcher *watcher = state;

    if (act_now_ns() < watcher->due_ns) watcher->begun = atomic_load(&watcher->busy->begun) + 1;
    on_work(watcher->busy, m);
}

static act_id spawn_watched(struct watcher *watcher)
{
    static const struct act_behaviour behaviour = {.receive = on_watched_work};
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = watcher};
    act_id id;

    cr_assert_eq(act_spawn(&o, &id), 0);
    return id;
}

static void on_watcher_message(void *state, struct act_message *m)
{
    struct watcher *watcher = state;
    const uint32_t begun = atomic_load(&watcher->busy->begun);

    if (m->type == TYPE_TICK) {
        if (watcher->ignored > 0)
            watcher->ignored--;
        else if (begun - watcher->begun > watcher->worst)
            watcher->worst = begun - watcher->begun;
    }
    act_message_unref(m);
    if (watcher->left-- == 0) {
        if (send_value(watcher->port, TYPE_TICK, 0) != 0) abort();
        return;
    }
    watcher->begun = begun;
    watcher->due_ns = act_now_ns() + watcher->delay_ns;
    if (act_timer_start(watcher->delay_ns, TYPE_TICK, 0, NULL) != 0) abort();
    for (uint32_t i = 0; i < watcher->work && watcher->left % 8 == 0; i++)
        if (send_value(watcher->target, TYPE_WORK, 0) != 0) abort();
}

static void run_watcher(struct watcher *watcher)
{
    static const struct act_behaviour behaviour = {.receive = on_watcher_message};
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = watcher};
    act_id id;

    watcher->port = w.port_id;
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(send_value(id, TYPE_WORK, 0), 0);
    expect(&w, TYPE_TICK);
}

/* timer.h: on a busy worker by what remains of the handler that runs, and 0.05 ms: 5 of 10 us. */
Test(lateness, of_a_timer_beside_an_actor_that_sends_to_itself)
{
    const struct act_runtime_options o = world_options(1);
    static struct busy busy = {.handler_ns = 10000, .is_endless = true};
    static struct watcher watcher = {.busy = &busy, .delay_ns = MS, .left = TRIES};

    world_start(&w, &o);
    cr_assert_eq(send_value(spawn_watched(&watcher), TYPE_WORK, 0), 0);
    run_watcher(&watcher);
    cr_assert_geq(atomic_load(&busy.begun), TRIES);
    cr_assert_leq(watcher.worst, 20);
    world_stop(&w);
}

/* The same with handlers that take longer than all the rest: the one that runs, and no other. */
Test(lateness, of_a_timer_beside_slow_handlers)
{
    const struct act_runtime_options o = world_options(1);
    static struct busy busy = {.handler_ns = MS, .is_endless = true};
    static struct watcher watcher = {.busy = &busy, .delay_ns = 3 * MS, .left = 50};

    world_start(&w, &o);
    cr_assert_eq(send_value(spawn_watched(&watcher), TYPE_WORK, 0), 0);
    run_watcher(&watcher);
    cr_assert_geq(atomic_load(&busy.begun), 50);
    cr_assert_leq(watcher.worst, 2);
    world_stop(&w);
}

/* Among actors that are quick, one that has been slow is timed one by one: what comes of its
 * backlog does not wait for all of it. */
Test(lateness, of_a_timer_beside_a_slow_actor_among_quick_ones)
{
    const struct act_runtime_options o = world_options(1);
    static struct busy quick = {.is_endless = true};
    static struct busy slow = {.handler_ns = MS};
    static struct watcher watcher = {
        .busy = &slow, .work = 20, .delay_ns = 3 * MS, .ignored = 8, .left = 64};

    world_start(&w, &o);
    watcher.target = spawn_watched(&watcher);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert_eq(send_value(spawn_busy(&quick), TYPE_WORK, 0), 0);
    run_watcher(&watcher);
    cr_assert_gt(atomic_load(&quick.begun), 1000);
    cr_assert_leq(watcher.worst, 6, "%u", watcher.worst);
    world_stop(&w);
}

static void note_begun(struct probe *p, void *busy)
{
    p->count = atomic_load(&((struct busy *)busy)->begun);
}

/* A port's message does not wait until a backlog on its way is done. */
Test(lateness, of_a_port_s_message_beside_slow_handlers)
{
    const struct act_runtime_options o = world_options(1);
    static struct busy busy = {.handler_ns = MS, .is_endless = true};

    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    const act_id id = spawn_busy(&busy);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(send_value(id, TYPE_WORK, 0), 0);
    while (atomic_load(&busy.begun) < 3)
        sched_yield();
    uint32_t best = UINT32_MAX; /* this thread may lose its CPU between looking and sending */
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t begun = atomic_load(&busy.begun);
        run_in(&w, p->self, note_begun, &busy);
        if (p->count - begun < best) best = p->count - begun;
    }
    cr_assert_leq(best, 2);
    world_stop(&w);
}

/* act_runtime_stop does not wait for a backlog either. */
Test(lateness, of_a_stop_beside_slow_handlers)
{
    const struct act_runtime_options o = world_options(1);
    static struct busy busy = {.handler_ns = MS, .is_endless = true};

    world_start(&w, &o);
    cr_assert_eq(send_value(spawn_busy(&busy), TYPE_WORK, 0), 0);
    while (atomic_load(&busy.begun) < 3)
        sched_yield();
    act_port_close(w.port);
    const uint32_t begun = atomic_load(&busy.begun);
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
    cr_assert_leq(atomic_load(&busy.begun) - begun,
                  30); /* they begin while this thread waits, too */
}
