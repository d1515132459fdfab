/**
 * Ports: opening, receiving, the descriptor, closing.
 */
#include <act/port.h>

#include "fabric.h"
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"
#include "registry.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

LEAK_CHECKED_SUITE(port);

static struct world w;

static void start(uint32_t workers, uint32_t ports_max)
{
    struct act_runtime_options o = world_options(workers);

    o.ports_max = ports_max;
    world_start(&w, &o);
}

static void open_port(struct probe *p, void *argument)
{
    (void)argument;
    struct act_port *port = NULL;
    p->result = act_port_open(w.runtime, &port);
    if (port != NULL) p->result = 1;
    p->count = act_on_worker();
}

/* port.h: -EBUSY when the thread has a port or is a worker. actor.h: act_on_worker tells which. */
Test(port, one_port_a_thread_and_none_for_workers)
{
    struct act_port *port = NULL;

    start(1, 4);
    cr_assert_eq(act_port_open(w.runtime, &port), -EBUSY);
    cr_assert_null(port);
    cr_assert(!act_on_worker());
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, open_port, NULL);
    cr_assert_eq(p->result, -EBUSY);
    cr_assert_eq(p->count, 1);
    p->count = 0;
    world_stop(&w);
}

/** A second thread that opens a port and keeps it until told to close. */
struct other_thread {
    struct act_runtime *runtime;
    pthread_t thread;
    atomic_int is_opened;
    atomic_int is_to_close;
    act_id id;
    int error;
};

static bool is_set(void *flag)
{
    return atomic_load((atomic_int *)flag) != 0;
}

static void *keep_port(void *argument)
{
    struct other_thread *t = argument;
    struct act_port *port;

    t->error = act_port_open(t->runtime, &port);
    if (t->error == 0) t->id = act_port_id(port);
    atomic_store(&t->is_opened, 1);
    if (t->error != 0) return NULL;
    while (!is_set(&t->is_to_close)) {
        struct act_message *m = act_port_receive(port, 1000000);
        if (m != NULL) act_message_unref(m);
    }
    act_port_close(port);
    return NULL;
}

static void open_elsewhere(struct other_thread *t)
{
    *t = (struct other_thread){.runtime = w.runtime};
    cr_assert_eq(pthread_create(&t->thread, NULL, keep_port, t), 0);
    cr_assert(wait_until(is_set, &t->is_opened));
}

static void close_elsewhere(struct other_thread *t)
{
    atomic_store(&t->is_to_close, 1);
    pthread_join(t->thread, NULL);
}

/* port.h: -EAGAIN when ports_max are open; a closed one makes room. */
Test(port, ports_at_the_limit)
{
    struct other_thread t[3];

    start(1, 3);
    open_elsewhere(&t[0]);
    open_elsewhere(&t[1]);
    cr_assert_eq(t[0].error, 0);
    cr_assert_eq(t[1].error, 0);
    cr_assert_neq(t[0].id, t[1].id);
    cr_assert_neq(t[0].id, w.port_id);
    open_elsewhere(&t[2]);
    cr_assert_eq(t[2].error, -EAGAIN);
    close_elsewhere(&t[2]);
    close_elsewhere(&t[0]);
    open_elsewhere(&t[2]);
    cr_assert_eq(t[2].error, 0);
    cr_assert_neq(t[2].id, t[0].id);
    close_elsewhere(&t[1]);
    close_elsewhere(&t[2]);
    world_stop(&w);
}

/* runtime.h: ports_max may be 0. */
Test(port, a_runtime_without_ports)
{
    struct act_runtime_options o = world_options(1);
    struct act_runtime *runtime;
    struct act_port *port = NULL;

    o.ports_max = 0;
    cr_assert_eq(act_runtime_start(&o, &runtime, NULL), 0);
    cr_assert_eq(act_port_open(runtime, &port), -EAGAIN);
    cr_assert_null(port);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}

static void echo(struct probe *p, void *argument)
{
    (void)argument;
    p->result = send_value(p->other, 5, 50);
}

/* port.h: actors answer to a port's id; ports send to each other and to themselves. */
Test(port, messages_reach_a_port)
{
    struct other_thread t;

    start(2, 2);
    open_elsewhere(&t);
    struct probe *p = world_probe(&w, 1, 0);
    p->other = w.port_id;
    start_in(p->self, echo, NULL);
    struct act_message *m = act_port_receive(w.port, PATIENCE);
    cr_assert_not_null(m);
    cr_assert_eq(m->type, 5);
    cr_assert_eq(m->from, p->self);
    act_message_unref(m);
    expect(&w, TYPE_RAN);
    cr_assert_eq(send_value(w.port_id, 6, 60), 0);
    cr_assert_eq(expect(&w, 6), 60);
    const uint64_t before = world_stats(&w).messages_delivered;
    for (uint32_t i = 0; i < 10; i++)
        cr_assert_eq(send_value(t.id, 7, i), 0);
    close_elsewhere(&t);
    const struct act_runtime_stats s = world_stats(&w);
    cr_assert_eq(s.messages_delivered + s.dead_letters, before + 10);
    world_stop(&w);
}

/* port.h: timeout_ns 0 only looks; else NULL when the time is over, not before. */
Test(port, receive_with_timeouts)
{
    const uint64_t timeouts[] = {0, 1, 500000, 3000000};

    start(1, 1);
    for (uint32_t i = 0; i < 4; i++) {
        const uint64_t start_ns = act_now_ns();
        cr_assert_null(act_port_receive(w.port, timeouts[i]));
        cr_assert_geq(act_now_ns() - start_ns, timeouts[i]);
    }
    /* Messages that wait come one at a time, in order, whatever the timeout. */
    const uint64_t all[] = {0, 1000, PATIENCE, UINT64_MAX};
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(send_value(w.port_id, 1, i), 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct act_message *m = act_port_receive(w.port, all[i]);
        cr_assert_not_null(m);
        cr_assert_eq(*(uint64_t *)m->body, i);
        act_message_unref(m);
    }
    /* UINT64_MAX waits without end: for an answer that is still to come. */
    struct probe *p = world_probe(&w, 0, 0);
    p->other = w.port_id;
    for (uint32_t i = 0; i < 100; i++) {
        start_in(p->self, echo, NULL);
        for (uint32_t k = 0; k < 2; k++) {
            struct act_message *m = act_port_receive(w.port, UINT64_MAX);
            cr_assert_not_null(m);
            act_message_unref(m);
        }
    }
    world_stop(&w);
}

static bool is_readable(int timeout_ms)
{
    struct pollfd p = {.fd = act_port_fd(w.port), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

/* port.h: readable when a message may wait; the NULL of a receive arms it. */
Test(port, descriptor_is_readable_when_a_message_waits)
{
    start(1, 1);
    struct probe *p = world_probe(&w, 0, 0);
    p->other = w.port_id;
    cr_assert_geq(act_port_fd(w.port), 0);
    for (uint32_t i = 0; i < 200; i++) {
        expect_nothing(&w);
        start_in(p->self, echo, NULL);
        cr_assert(is_readable(20000), "round %u", i);
        uint32_t count = 0;
        while (count < 2) {
            struct act_message *m = act_port_receive(w.port, 0);
            if (m == NULL) {
                cr_assert(is_readable(20000), "round %u, second", i);
                continue;
            }
            count++;
            act_message_unref(m);
        }
        expect_nothing(&w);
        cr_assert_not(is_readable(0), "all was received");
    }
    world_stop(&w);
}

/** Sends to the test's port, then reaches the gate. */
static void send_and_wait(struct probe *p, void *gate)
{
    for (uint32_t i = 0; i < 7; i++)
        p->result |= send_value(p->other, 5, i);
    act_flush();
    wait_at_gate(p, gate);
}

/* port.h: what still waits for it becomes dead letters; its id reaches no later port. */
Test(port, reopened_port_is_a_new_one)
{
    struct gate gate = {0};

    start(1, 1);
    struct probe *p = world_probe(&w, 0, 0);
    const act_id old = w.port_id;
    p->other = old;
    start_in(p->self, send_and_wait, &gate);
    cr_assert(wait_until(is_set, &gate.is_reached));
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    act_port_close(w.port);
    cr_assert_eq(act_self(), ACT_ID_NONE);
    cr_assert_eq(world_stats(&w).dead_letters, 7);

    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    w.port_id = act_port_id(w.port);
    cr_assert_neq(w.port_id, old);
    cr_assert_eq(act_self(), w.port_id);
    cr_assert_eq(send_value(old, 1, 1), 0);
    atomic_store(&gate.is_open, 1); /* its TYPE_RAN goes to the old id */
    world_sync(&w, p);
    cr_assert_eq(p->result, 0);
    expect_nothing(&w);
    cr_assert_eq(world_stats(&w).dead_letters, 9);
    world_stop(&w);
}

/* A thread may open and close for ever: nothing is used up. */
Test(port, opened_and_closed_many_times)
{
    struct act_runtime_options o = world_options(1);

    o.actors_max = 4;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    const size_t before = act_memory_held();
    for (uint32_t i = 0; i < 1500; i++) {
        const act_id old = w.port_id;
        act_port_close(w.port);
        int error;
        do {
            error = act_port_open(w.runtime, &w.port);
        } while (error == -EAGAIN);
        cr_assert_eq(error, 0);
        w.port_id = act_port_id(w.port);
        cr_assert_neq(w.port_id, old);
    }
    world_sync(&w, p);
    cr_assert_leq(act_memory_held(), before + 65536);
    world_stop(&w);
}

/* A port is monitored like an actor; act_stop refuses: it is its owner who closes it. */
static void monitor_port(struct probe *p, void *count)
{
    for (uint32_t i = 0; i < *(uint32_t *)count; i++)
        p->result |= act_monitor(p->other);
}

static void stop_port(struct probe *p, void *argument)
{
    (void)argument;
    p->result = act_stop(p->other, 3);
}

Test(port, is_monitored_and_not_stopped_by_others)
{
    uint32_t count = 3;

    start(1, 1);
    struct probe *p = world_probe(&w, 0, 0);
    p->other = w.port_id;
    run_in(&w, p->self, monitor_port, &count);
    run_in(&w, p->self, stop_port, NULL);
    cr_assert_eq(p->result, -EINVAL);
    expect_nothing(&w);
    world_sync(&w, p);
    cr_assert_eq(p->count, 0, "it lives");
    act_port_close(w.port);
    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    world_sync(&w, p);
    cr_assert_eq(p->count, count);
    cr_assert_eq(p->log[0].type, ACT_TYPE_DOWN);
    cr_assert_eq(p->log[0].value, p->other);
    world_stop(&w);
}

static bool only_the_actors_live(void *runtime)
{
    struct act_runtime_stats stats;

    act_runtime_stats(runtime, &stats);
    return stats.actors_live == 1;
}

static void *open_gate_when_closed(void *gate)
{
    if (wait_until(only_the_actors_live, w.runtime))
        atomic_store(&((struct gate *)gate)->is_open, 1);
    return NULL;
}

static bool has_delivered(void *count)
{
    return world_stats(&w).messages_delivered >= *(uint64_t *)count;
}

/* port.h: who monitors the port is told, also those whom a full lane did not take at first. */
Test(port, close_tells_more_monitors_than_a_lane_takes)
{
    enum { MONITORS = 1300 };
    uint32_t count = MONITORS;
    struct gate gate;
    pthread_t opener;

    start(1, 1);
    struct probe *p = world_probe(&w, 0, 0);
    p->other = w.port_id;
    run_in(&w, p->self, monitor_port, &count);
    cr_assert_eq(p->result, 0);
    expect_nothing(&w);
    gate_shut(&gate, p);
    uint64_t all = world_stats(&w).messages_delivered + MONITORS;
    cr_assert_eq(pthread_create(&opener, NULL, open_gate_when_closed, &gate), 0);
    act_port_close(w.port);
    pthread_join(opener, NULL);
    cr_assert(wait_until(has_delivered, &all), "some were kept for the port's next life");
    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    run_in(&w, p->self, echo, NULL);
    cr_assert_eq(p->count, MONITORS);
    world_stop(&w);
}

/* port.h: -ENOMEM; then nothing is left, and the next try succeeds. */
Test(port, open_without_memory)
{
    struct act_runtime_options o = world_options(2);
    struct act_runtime *runtime;
    struct act_port *port = NULL;
    const size_t before = act_memory_held();

    o.ports_max = 2;
    cr_assert_eq(act_runtime_start(&o, &runtime, NULL), 0);
    for (unsigned long nth = 1;; nth++) {
        act_memory_fail_at(nth);
        int error = act_port_open(runtime, &port);
        if (error == 0) {
            cr_assert_gt(nth, 1);
            break;
        }
        cr_assert_eq(error, -ENOMEM);
        cr_assert_null(port);
        cr_assert_eq(act_self(), ACT_ID_NONE);
        cr_assert_lt(nth, 100);
    }
    act_memory_fail_at(0);
    cr_assert_eq(send_value(act_port_id(port), 1, 1), 0);
    struct act_message *m = act_port_receive(port, PATIENCE);
    cr_assert_not_null(m);
    act_message_unref(m);
    act_port_close(port);
    cr_assert_eq(act_runtime_stop(runtime), 0);
    cr_assert_eq(act_memory_held(), before);
}

/** Each allocation that fails in a runtime of its own: nothing is held when that ends. */
Test(port, open_without_memory_leaves_nothing)
{
    struct act_runtime_options o = world_options(1);
    const size_t before = act_memory_held();
    int error = -ENOMEM;

    for (unsigned long nth = 1; error != 0; nth++) {
        struct act_runtime *runtime;
        struct act_port *port;
        cr_assert_eq(act_runtime_start(&o, &runtime, NULL), 0);
        act_memory_fail_at(nth);
        error = act_port_open(runtime, &port);
        act_memory_fail_at(0);
        if (error == 0) act_port_close(port);
        cr_assert(error == 0 || error == -ENOMEM);
        cr_assert_eq(act_runtime_stop(runtime), 0);
        cr_assert_eq(act_memory_held(), before);
    }
}

/* port.h: to be closed before the runtime stops. */
Test(port, stop_with_an_open_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start(1, 1);
    act_runtime_stop(w.runtime);
}

static void *receive_elsewhere(void *port)
{
    struct act_message *m = act_port_receive(port, 0);
    (void)m;
    return NULL;
}

/* port.h: a port belongs to one thread. */
Test(port, use_by_another_thread_is_an_error_of_the_program, .signal = SIGABRT)
{
    pthread_t thread;

    start(1, 1);
    cr_assert_eq(pthread_create(&thread, NULL, receive_elsewhere, w.port), 0);
    pthread_join(thread, NULL);
}

struct farewell {
    act_id to;
    uint32_t count;
    uint32_t accepted;
    struct gate gate;
};

/** Sends, and then holds its turn open: what it has sent is published when that ends. */
static void send_and_hold(struct probe *p, void *argument)
{
    struct farewell *f = argument;

    for (uint32_t i = 0; i < f->count; i++)
        if (send_value(f->to, 1, i) == 0) f->accepted++;
    wait_at_gate(p, &f->gate);
}

static bool is_flag_set(void *flag)
{
    return atomic_load_explicit((atomic_int *)flag, memory_order_acquire) != 0;
}

struct count_of_dead {
    struct act_runtime *runtime;
    uint64_t expected;
};

static bool are_dead(void *argument)
{
    const struct count_of_dead *c = argument;
    struct act_runtime_stats stats;

    act_runtime_stats(c->runtime, &stats);
    return stats.dead_letters == c->expected &&
           stats.messages_sent == stats.messages_delivered + stats.dead_letters;
}

/* actor.h: an accepted message is delivered or counted as a dead letter, also when the port that it
 * is for closes before the sender's turn ends. A single message, some, more than a lane holds. */
Test(port, closes_during_a_senders_turn)
{
    const uint32_t counts[] = {1, 10, 100000};

    for (uint32_t i = 0; i < 3; i++) {
        struct act_runtime_options o = world_options(1);
        static struct farewell f;
        o.mailbox_max = 1 << 20;
        world_start(&w, &o);
        struct probe *p = world_probe(&w, 0, 0);
        f = (struct farewell){.to = w.port_id, .count = counts[i]};
        start_in(p->self, send_and_hold, &f);
        cr_assert(wait_until(is_flag_set, &f.gate.is_reached));
        act_port_close(w.port);
        atomic_store_explicit(&f.gate.is_open, 1, memory_order_release);
        /* One more: that it ran, for the port; and the message to run was delivered. */
        struct count_of_dead c = {.runtime = w.runtime, .expected = f.accepted + 1};
        cr_expect_gt(f.accepted, 0);
        cr_assert(wait_until(are_dead, &c), "of %u", f.accepted);
        cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
        cr_assert_null(act_port_receive(w.port, 0));
        world_stop(&w);
    }
}

/* actor.h: -EINVAL for an open port; 0 when it is gone. */
Test(port, is_not_to_be_stopped)
{
    start(1, 1);
    cr_assert_eq(act_stop(w.port_id, 0), -EINVAL);
    cr_assert_null(act_port_receive(w.port, 0));
    const act_id old = w.port_id;
    act_port_close(w.port);
    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    cr_assert_eq(act_stop(old, 0), 0);
    cr_assert_eq(send_value(act_port_id(w.port), 3, 7), 0);
    cr_assert_eq(expect(&w, 3), 7);
    world_stop(&w);
}

static void *open_and_end(void *argument)
{
    struct act_port *port;
    act_id *id = argument;

    if (act_port_open(w.runtime, &port) != 0) return NULL;
    *id = act_port_id(port);
    return NULL;
}

/* port.h: a thread that ends with an open port has it closed; who monitors it is told. */
Test(port, closes_with_its_thread)
{
    start(1, 2);
    for (uint32_t i = 0; i < 20; i++) {
        act_id id = ACT_ID_NONE;
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, open_and_end, &id), 0);
        pthread_join(thread, NULL);
        cr_assert_neq(id, ACT_ID_NONE, "the %u. port", i);
        cr_assert_eq(act_monitor(id), 0);
        cr_assert_eq(expect_down(&w).actor, id);
    }
    cr_assert_eq(world_stats(&w).actors_live, 1);
    world_stop(&w);
}
