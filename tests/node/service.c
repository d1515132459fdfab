/**
 * Services and callers: the client API of embedders.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/port.h>

#include <errno.h>
#include <sched.h>
#include <string.h>

LEAK_CHECKED_SUITE(service);

static void start_with(struct world *w, uint32_t replicas, uint32_t sessions, uint32_t waiting_max,
                       uint32_t sessions_max)
{
    world_init(w);
    w->options.replica.replica_count = replicas;
    w->options.replica.sessions_max = sessions_max;
    w->service_options.sessions = sessions;
    w->service_options.waiting_max = waiting_max;
    world_start_service(w);
}

static void start(struct world *w, uint32_t replicas, uint32_t sessions, uint32_t waiting_max)
{
    start_with(w, replicas, sessions, waiting_max, 1024);
}

static int call(struct vsr_caller *caller, uint64_t index, uint64_t amount, uint64_t *value)
{
    return world_add(caller, (struct vsr_counter_add){index, amount}, value, 10 * SECOND);
}

/** A service of the world's cluster beside its own. Returns what vsr_service_spawn returned. */
static int spawn_beside(struct world *w, uint64_t seed, act_id *id, struct vsr_error *why)
{
    struct vsr_service_options s = w->service_options;

    s.sessions = 1;
    s.seed = seed;
    return vsr_service_spawn(&s, id, why);
}

/* 5.4: services with default options are two clients: each is told of its own operations. Were they
 * one, A's first add would be answered with the result of B's, and never be executed. */
Test(service, two_services_of_default_options_share_nothing)
{
    struct world w;
    struct vsr_caller *caller;
    act_id b;
    uint64_t value = 0;

    start(&w, 3, 1, 4);
    cr_assert_eq(spawn_beside(&w, 0, &b, NULL), 0);
    cr_assert_eq(vsr_caller_open(w.runtime, b, &caller), 0);
    cr_assert_eq(call(caller, 2, 100, &value), 0);
    cr_assert_eq(value, 100);
    vsr_caller_close(caller);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &caller), 0);
    cr_assert_eq(call(caller, 1, 1, &value), 0);
    cr_assert_eq(value, 1);
    cr_assert_eq(call(caller, 2, 0, &value), 0);
    cr_assert_eq(value, 100);
    vsr_caller_close(caller);
    cr_assert_eq(vsr_service_stop(w.runtime, b, 10 * SECOND), 0);
    world_stop(&w);
}

/* client_actor.h: a cluster takes a seed once; that its client has stopped changes nothing. */
Test(service, seed_is_taken_once)
{
    struct world w;
    struct vsr_caller *caller;
    struct vsr_error why = {0};
    act_id id;
    uint64_t value = 0;

    start(&w, 3, 1, 4);
    cr_assert_eq(spawn_beside(&w, 1, &id, &why), 0);
    cr_assert_eq(vsr_caller_open(w.runtime, id, &caller), 0);
    cr_assert_eq(call(caller, 1, 5, &value), 0);
    vsr_caller_close(caller);
    cr_assert_eq(spawn_beside(&w, 1, &id, &why), -EEXIST);
    cr_assert_str_eq(why.option, "seed");
    cr_assert_neq(strstr(why.text, "seed 1 "), NULL, "%s", why.text);
    cr_assert_eq(vsr_service_stop(w.runtime, id, 10 * SECOND), 0);
    cr_assert_eq(spawn_beside(&w, 1, &id, NULL), -EEXIST);
    act_id other;
    cr_assert_eq(spawn_beside(&w, 2, &other, NULL), 0);
    cr_assert_eq(vsr_service_stop(w.runtime, other, 10 * SECOND), 0);
    world_stop(&w);
}

/* 5.5: services that come and go close their sessions, so a session that is idle meanwhile stays:
 * 24 x 64 sessions in a table of 1024. */
Test(service, services_come_and_go_beside_an_idle_one)
{
    struct world w;
    struct vsr_caller *caller;
    uint64_t value = 0;

    start(&w, 3, 1, 4);
    for (uint32_t i = 0; i < 24; i++) {
        w.service_options.sessions = 64;
        const act_id id = world_spawn_service(&w);
        cr_assert_eq(vsr_caller_open(w.runtime, id, &caller), 0);
        cr_assert_eq(call(caller, 1, 1, &value), 0);
        cr_assert_eq(value, i + 1);
        vsr_caller_close(caller);
        cr_assert_eq(vsr_service_stop(w.runtime, id, 10 * SECOND), 0);
    }
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &caller), 0);
    cr_assert_eq(call(caller, 1, 1, &value), 0);
    cr_assert_eq(value, 25);
    vsr_caller_close(caller);
    cr_assert_eq(world_look(&w, 0).replica.counters.evictions, 0);
    world_stop(&w);
}

/* client_actor.h: a service that is ended at once lets its sessions go, too. */
Test(service, services_that_are_ended_leave_no_sessions)
{
    struct world w;
    struct act_port *port;
    uint64_t value = 0;

    start_with(&w, 3, 1, 4, 9);
    world_start_caller(&w);
    cr_assert_eq(call(w.caller, 1, 1, &value), 0);
    vsr_caller_close(w.caller);
    w.service_options.sessions = 8;
    for (uint32_t i = 0; i < 4; i++) {
        const act_id id = world_spawn_service(&w);
        cr_assert_eq(vsr_caller_open(w.runtime, id, &w.caller), 0);
        cr_assert_eq(call(w.caller, 1, 1, &value), 0);
        vsr_caller_close(w.caller);
        cr_assert_eq(act_port_open(w.runtime, &port), 0);
        cr_assert_eq(act_stop(id, 0), 0);
        act_port_close(port);
        cr_assert_eq(vsr_service_stop(w.runtime, id, 10 * SECOND), 0); /* it has ended */
    }
    world_start_caller(&w);
    cr_assert_eq(call(w.caller, 1, 1, &value), 0);
    cr_assert_eq(value, 6);
    cr_assert_eq(world_look(&w, 0).replica.counters.evictions, 0);
    world_stop(&w);
}

/* 5.6: more sessions than the table holds: who was evicted while it was idle is not told that an
 * outcome is unknown; its operation is executed once in a new session. */
Test(service, operation_after_an_eviction_is_executed_once)
{
    struct world w;
    struct vsr_caller *caller;
    act_id other[2];
    uint64_t value = 0;

    start_with(&w, 3, 1, 4, 2);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &caller), 0);
    cr_assert_eq(call(caller, 1, 1, &value), 0);
    vsr_caller_close(caller);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert_eq(spawn_beside(&w, 0, &other[i], NULL), 0);
    for (uint32_t i = 0; i < 40; i++) {
        const uint32_t who = i % 3;
        cr_assert_eq(vsr_caller_open(w.runtime, who == 2 ? w.service : other[who], &caller), 0);
        cr_assert_eq(call(caller, 1, 1, &value), 0, "operation %u", i);
        cr_assert_eq(value, i + 2);
        vsr_caller_close(caller);
    }
    cr_assert_gt(world_look(&w, 0).replica.counters.evictions, 10);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert_eq(vsr_service_stop(w.runtime, other[i], 10 * SECOND), 0);
    world_stop(&w);
}

/* caller.h: executes one operation and waits for its result. */
Test(service, call_returns_the_machine_s_result)
{
    struct world w;
    uint64_t value = 0;

    start(&w, 3, 4, 16);
    world_start_caller(&w);
    for (uint64_t i = 1; i <= 100; i++) {
        cr_assert_eq(call(w.caller, 3, 2, &value), 0);
        cr_assert_eq(value, 2 * i);
    }
    world_stop(&w);
}

/* service.h: every cluster size works, one replica too. */
Test(service, every_cluster_size_answers)
{
    for (uint32_t replicas = 1; replicas <= 7; replicas++) {
        struct world w;
        uint64_t value = 0;

        start(&w, replicas, 1, 1);
        world_start_caller(&w);
        cr_assert_eq(call(w.caller, 0, 7, &value), 0);
        cr_assert_eq(value, 7);
        world_stop(&w);
    }
}

/* caller.h: asynchronous sends are answered with their ticket, also around a call. */
Test(service, sends_are_answered_with_their_tickets)
{
    struct world w;
    uint64_t value;
    uint64_t ticket;
    uint64_t seen = 0;

    start(&w, 3, 8, 64);
    world_start_caller(&w);
    const struct vsr_counter_add add = {.index = 1, .amount = 1};
    for (uint64_t i = 0; i < 50; i++)
        cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &ticket), 0);
    cr_assert_eq(call(w.caller, 2, 1, &value), 0);
    for (uint64_t i = 0; i < 50; i++) {
        uint32_t bytes = sizeof value;
        cr_assert_eq(vsr_caller_receive(w.caller, &ticket, &value, &bytes, 10 * SECOND), 0);
        cr_assert(ticket >= 1 && ticket <= 50);
        cr_assert((seen >> ticket & 1) == 0, "ticket %llu came twice", (unsigned long long)ticket);
        seen |= 1ull << ticket;
    }
    uint32_t bytes = 0;
    cr_assert_eq(vsr_caller_receive(w.caller, &ticket, NULL, &bytes, 0), -ENOENT);
    cr_assert_eq(ticket, 0);
    world_stop(&w);
}

/* caller.h: answers that nobody has received end with the caller. */
Test(service, a_caller_closes_with_answers_left)
{
    struct world w;
    const struct vsr_counter_add add = {.index = 1, .amount = 1};
    uint64_t value, ticket;

    start(&w, 3, 1, 64);
    world_start_caller(&w);
    for (uint64_t i = 0; i < 10; i++)
        cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &ticket), 0);
    cr_assert_eq(call(w.caller, 1, 1, &value), 0);
    cr_assert_eq(value, 11);
    world_stop(&w);
}

/* caller.h: -ETIMEDOUT, and the late answer is not taken for the next call's. */
Test(service, call_times_out_while_the_primary_is_gone)
{
    struct world w;
    uint64_t value = 0;
    uint32_t bytes = sizeof value;
    const struct vsr_counter_add add = {.index = 1, .amount = 1};

    start(&w, 3, 1, 4);
    world_start_caller(&w);
    cr_assert_eq(call(w.caller, 1, 1, &value), 0);
    world_kill(&w, 0);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 0, VSR_KILL_SAFELY), -EALREADY);
    cr_assert_eq(vsr_caller_call(w.caller, &add, sizeof add, &value, &bytes, SECOND / 20),
                 -ETIMEDOUT);
    world_stop(&w);
}

/* service.h: more than waiting_max operations are answered -EAGAIN, and none is lost. */
Test(service, too_many_operations_are_refused_and_none_is_lost)
{
    struct world w;
    uint64_t ticket;
    uint64_t value;
    uint32_t done = 0;
    uint32_t refused = 0;
    const struct vsr_counter_add add = {.index = 4, .amount = 1};

    start(&w, 3, 1, 2);
    world_start_caller(&w);
    for (uint32_t i = 0; i < 500; i++) {
        int error;
        while ((error = vsr_caller_send(w.caller, &add, sizeof add, &ticket)) == -EAGAIN)
            sched_yield(); /* the lane to the service is full */
        cr_assert_eq(error, 0);
    }
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t bytes = sizeof value;
        int status = vsr_caller_receive(w.caller, &ticket, &value, &bytes, 10 * SECOND);
        cr_assert(status == 0 || status == -EAGAIN, "status %d", status);
        done += status == 0;
        refused += status == -EAGAIN;
    }
    cr_assert_eq(done + refused, 500);
    cr_assert_gt(done, 0);
    cr_assert_eq(call(w.caller, 4, 0, &value), 0);
    cr_assert_eq(value, done);
    world_stop(&w);
}
