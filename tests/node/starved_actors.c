/**
 * Actors, and threads of ours, who are refused timers, messages, handles and monitors: they ask
 * again, or say so. What the calls of a thread are refused: starved.c.
 *
 * Every function that may refuse is wrapped by the linker.
 */
#include "leak_check.h"

#include "disk.h"
#include "messages.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/timer.h>
#include <vsr/peers.h>

#include <errno.h>
#include <pthread.h>

LEAK_CHECKED_SUITE(starved_actors);

/* What is refused. */

static atomic_uint type_refused, types_refused; /* messages of a type */
static atomic_uint timers_fail; /* so many periodic ones from now */
static atomic_ullong delay_refused; /* of a timer; 0 = none */
static atomic_uint refs_fail;
static atomic_uint monitors_fail;
static atomic_uint tickers; /* periodic timers that were started */

struct act_message *__real_act_message_create(uint32_t type, uint32_t bytes);
struct act_message *__wrap_act_message_create(uint32_t type, uint32_t bytes);
struct act_message *__wrap_act_message_create(uint32_t type, uint32_t bytes)
{
    if (type == 0 || type != atomic_load(&type_refused))
        return __real_act_message_create(type, bytes);
    atomic_fetch_add(&types_refused, 1);
    return NULL;
}

struct act_message *__real_act_message_ref(struct act_message *m);
struct act_message *__wrap_act_message_ref(struct act_message *m);
struct act_message *__wrap_act_message_ref(struct act_message *m)
{
    return atomic_load(&refs_fail) != 0 ? NULL : __real_act_message_ref(m);
}

int __real_act_monitor(act_id target);
int __wrap_act_monitor(act_id target);
int __wrap_act_monitor(act_id target)
{
    return atomic_load(&monitors_fail) != 0 ? -ENOMEM : __real_act_monitor(target);
}

int __real_act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie, act_timer *timer);
int __wrap_act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie, act_timer *timer);
int __wrap_act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie, act_timer *timer)
{
    if (delay_ns == atomic_load(&delay_refused)) return -ENOMEM;
    return __real_act_timer_start(delay_ns, type, cookie, timer);
}

int __real_act_timer_start_periodic(uint64_t period_ns, uint32_t type, uint64_t cookie,
                                    act_timer *timer);
int __wrap_act_timer_start_periodic(uint64_t period_ns, uint32_t type, uint64_t cookie,
                                    act_timer *timer);
int __wrap_act_timer_start_periodic(uint64_t period_ns, uint32_t type, uint64_t cookie,
                                    act_timer *timer)
{
    uint32_t left = atomic_load(&timers_fail);

    while (left > 0)
        if (atomic_compare_exchange_weak(&timers_fail, &left, left - 1)) return -ENOMEM;
    atomic_fetch_add(&tickers, 1);
    return __real_act_timer_start_periodic(period_ns, type, cookie, timer);
}

static int add(struct world *w)
{
    uint64_t value;
    return world_add(w->caller, (struct vsr_counter_add){1, 1}, &value, 20 * SECOND);
}

/* An actor whose timer was refused asks for it again: nobody is deaf for good. */
Test(starved_actors, timers_that_were_refused_are_asked_for_again)
{
    struct world w;

    world_init(&w);
    world_set_replicas(&w, 3);
    atomic_store(&timers_fail, 7); /* more than one of those of the replicas and of the client */
    world_start_caller(&w);
    cr_assert_eq(add(&w), 0);
    cr_assert_eq(atomic_load(&timers_fail), 0);
    cr_assert_geq(atomic_load(&tickers), 4);
    world_kill(&w, 0);
    cr_assert_eq(add(&w), 0); /* a view change needs the others' timers, and the client's */
    world_stop(&w);
}

/* One timer for each replica, however many lives it has had. */
Test(starved_actors, a_replica_has_one_timer)
{
    struct world w;

    world_init(&w);
    world_start(&w);
    world_await_normal(&w, 2);
    const uint32_t started = atomic_load(&tickers);
    cr_assert_gt(started, 0);
    for (uint32_t i = 0; i < 4; i++) {
        world_kill(&w, 2);
        world_restart(&w, 2);
        world_await_normal(&w, 2);
        cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
        cr_assert_eq(vsr_cluster_resume(w.cluster, 2), 0);
    }
    cr_assert_eq(atomic_load(&tickers), started);
    world_stop(&w);
}

/* storage.h: the news that a superblock is durable comes, when there is memory for it again; and a
 * cluster stops though there never is. */
Test(starved_actors, durable_is_said_when_there_is_memory_for_it)
{
    struct world w;
    struct disk disk;

    disk_init(&disk);
    const struct vsr_storage storage = disk_storage(&disk);
    world_init(&w);
    w.options.storage = &storage;
    world_start(&w);
    atomic_store(&type_refused, NODE_DURABLE);
    world_kill(&w, 2);
    world_restart(&w, 2);
    AWAIT(atomic_load(&types_refused) > 3);
    cr_assert_eq(world_look(&w, 2).replica.status, VSR_STATUS_RECOVERING);
    atomic_store(&type_refused, 0);
    world_await_normal(&w, 2);
    atomic_store(&type_refused, NODE_DURABLE);
    world_kill(&w, 2);
    world_restart(&w, 2);
    world_stop(&w);
    atomic_store(&type_refused, 0);
    disk_deinit(&disk);
}

/* cluster.h: messages that had no handle for one more receiver are counted, and come again. */
Test(starved_actors, messages_without_a_handle_are_counted)
{
    struct world w;

    world_init(&w);
    world_start_caller(&w);
    atomic_store(&refs_fail, 1);
    AWAIT(world_look(&w, 0).messages_dropped > 3); /* heartbeats to two */
    atomic_store(&refs_fail, 0);
    cr_assert_eq(add(&w), 0);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 20 * SECOND), 0);
    world_stop(&w);
}

/** Stops a service in a thread of its own: a fault would leave it waiting. */
struct stopper {
    struct world *world;
    uint64_t timeout_ns;
    pthread_t thread;
    int error;
    atomic_uint is_done;
};

static void *stop_in_thread(void *context)
{
    struct stopper *s = context;

    s->error = vsr_service_stop(s->world->runtime, s->world->service, s->timeout_ns);
    atomic_store(&s->is_done, 1);
    return NULL;
}

static int stop_service(struct world *w, uint64_t timeout_ns)
{
    struct stopper s = {.world = w, .timeout_ns = timeout_ns};

    cr_assert_eq(pthread_create(&s.thread, NULL, stop_in_thread, &s), 0);
    AWAIT_MS(5000, atomic_load(&s.is_done) == 1);
    pthread_join(s.thread, NULL);
    return s.error;
}

/* service.h: -ENOMEM when its end, or the time, cannot be waited for; it is stopped again. */
Test(starved_actors, a_stop_that_cannot_wait_says_so)
{
    struct world w;

    world_init(&w);
    world_start_service(&w);
    atomic_store(&monitors_fail, 1);
    cr_assert_eq(stop_service(&w, SECOND), -ENOMEM);
    atomic_store(&monitors_fail, 0);
    cr_assert_eq(stop_service(&w, 10 * SECOND), 0);

    w.service = world_spawn_service(&w);
    atomic_store(&delay_refused, 3 * SECOND + 1);
    cr_assert_eq(stop_service(&w, 3 * SECOND + 1), -ENOMEM);
    cr_assert_eq(stop_service(&w, UINT64_MAX), 0); /* for which there is no timer */
    world_stop(&w);
}
