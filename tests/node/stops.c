/**
 * A cluster stops when nobody needs it any more; until then the call says who does.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/port.h>
#include <vsr/client_actor.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

LEAK_CHECKED_SUITE(stops);

static void expect_busy(struct world *w, const char *text)
{
    struct vsr_error why;

    cr_assert_eq(vsr_cluster_stop(w->cluster, &why), -EBUSY);
    cr_assert_not_null(strstr(why.text, text), "%s is not in: %s", text, why.text);
}

/* cluster.h: -EBUSY, at once, while a service runs; it is named, and nothing was stopped. */
Test(stops, a_cluster_with_a_service_goes_on)
{
    char name[64];
    uint64_t value;
    struct world w;

    world_init(&w);
    world_start_caller(&w);
    snprintf(name, sizeof name, "actor %llu has not ended: ", (unsigned long long)w.service);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 2}, &value, 20 * SECOND), 0);
    expect_busy(&w, name);
    expect_busy(&w, name);
    cr_assert_eq(vsr_cluster_stop(w.cluster, NULL), -EBUSY);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 2}, &value, 20 * SECOND), 0);
    cr_assert_eq(value, 4);
    const act_id second = world_spawn_service(&w);
    expect_busy(&w, "has not ended, nor have 1 more: ");
    cr_assert_eq(vsr_service_stop(w.runtime, second, 10 * SECOND), 0);
    expect_busy(&w, name);
    world_stop(&w);
}

/** Stops its cluster from a callback of its own, and says how it has ended. */
struct insider {
    struct world world;
    atomic_int answer; /* 1: none yet */
    atomic_uint has_stopped;
};

static void stop_from_inside(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct insider *i = context;

    (void)client, (void)session;
    atomic_store(&i->answer, vsr_cluster_stop(i->world.cluster, NULL));
}

static void note_stop(void *context)
{
    atomic_store(&((struct insider *)context)->has_stopped, 1);
}

/* cluster.h: -EDEADLK to a client's own callback; a client actor has ended when `stopped` runs. */
Test(stops, a_client_does_not_stop_its_own_cluster)
{
    const struct vsr_client_callbacks callbacks = {.opened = stop_from_inside,
                                                   .stopped = note_stop};
    struct insider i = {.answer = 1};
    struct vsr_client_actor_options o;
    struct act_port *port;
    act_id id;

    world_init(&i.world);
    world_start(&i.world);
    vsr_client_actor_options_init(&o);
    o.peers = vsr_cluster_peers(i.world.cluster);
    o.callbacks = &callbacks;
    o.context = &i;
    cr_assert_eq(vsr_client_actor_spawn(&o, &id, NULL), 0);
    AWAIT(atomic_load(&i.answer) != 1);
    cr_assert_eq(atomic_load(&i.answer), -EDEADLK);
    expect_busy(&i.world, "has not ended");
    cr_assert_eq(act_port_open(i.world.runtime, &port), 0);
    cr_assert_eq(act_stop(id, 0), 0);
    AWAIT(atomic_load(&i.has_stopped) == 1);
    cr_assert_eq(vsr_cluster_stop(i.world.cluster, NULL), 0);
    act_port_close(port);
    i.world.cluster = NULL;
    world_stop(&i.world);
}

static void *stop_service(void *context)
{
    struct world *w = context;

    cr_assert_eq(vsr_service_stop(w->runtime, w->service, 10 * SECOND), 0);
    return NULL;
}

/* cluster.h: a service may be ending meanwhile, by another thread's hand. */
Test(stops, a_service_may_end_while_its_cluster_is_stopped)
{
    struct world w;

    world_init(&w);
    for (uint32_t round = 0; round < 20; round++) {
        uint64_t value;
        uint32_t busy = 0;
        pthread_t thread;
        int error;
        world_start_caller(&w);
        cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 2}, &value, 20 * SECOND), 0);
        vsr_caller_close(w.caller);
        w.caller = NULL;
        cr_assert_eq(vsr_cluster_stop(w.cluster, NULL), -EBUSY);
        cr_assert_eq(pthread_create(&thread, NULL, stop_service, &w), 0);
        while ((error = vsr_cluster_stop(w.cluster, NULL)) == -EBUSY && ++busy < 10000000)
            sched_yield();
        cr_assert_eq(error, 0);
        pthread_join(thread, NULL);
        w.cluster = NULL;
        w.service = ACT_ID_NONE;
    }
    world_stop(&w);
}

static atomic_uint digest_has_begun, digest_may_end;

static uint64_t held_digest(void *state)
{
    (void)state;
    atomic_store(&digest_has_begun, 1);
    for (uint32_t ms = 0; ms < 3000 && atomic_load(&digest_may_end) == 0; ms++)
        world_sleep_ms(1);
    return 1;
}

static int create_held(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)context, (void)replica;
    machine->digest = held_digest;
    return error;
}

static void *inspect(void *cluster)
{
    struct vsr_cluster_report report;

    cr_assert_eq(vsr_cluster_inspect(cluster, 1, &report), 0);
    return NULL;
}

/* cluster.h: -EBUSY while another call about the cluster is under way. */
Test(stops, another_call_ends_first)
{
    struct world w;
    pthread_t thread;

    world_init(&w);
    w.options.create_machine = create_held;
    world_start(&w);
    cr_assert_eq(pthread_create(&thread, NULL, inspect, w.cluster), 0);
    AWAIT(atomic_load(&digest_has_begun) == 1);
    expect_busy(&w, "another call about the cluster has not returned");
    atomic_store(&digest_may_end, 1);
    pthread_join(thread, NULL);
    world_stop(&w);
}

/* cluster.h: -EINVAL through a port of another runtime, which does not reach its actors. */
Test(stops, another_runtimes_port_does_not_do)
{
    struct world w, other;
    struct act_port *port;

    world_init(&w);
    world_start(&w);
    world_init(&other);
    world_start_runtime(&other);
    cr_assert_eq(act_port_open(other.runtime, &port), 0);
    cr_assert_eq(vsr_cluster_stop(w.cluster, NULL), -EINVAL);
    act_port_close(port);
    world_stop(&other);
    world_stop(&w);
}
