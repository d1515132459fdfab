/**
 * Monitors: set twice, called off, ended with the one who set them; and what they cost.
 */
#include "endpoint.h"
#include "fixture.h"
#include "leak_check.h"

#include <errno.h>
#include <string.h>

LEAK_CHECKED_SUITE(monitor);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

static void monitor(struct probe *p, void *target)
{
    p->result = act_monitor(*(act_id *)target);
}

static void demonitor(struct probe *p, void *target)
{
    p->result = act_demonitor(*(act_id *)target);
}

static void count_watches(struct probe *p, void *nothing)
{
    (void)nothing;
    p->result = (int)act_endpoint_current()->watches.count;
}

static int watches_at(const struct probe *p)
{
    run_in(&w, p->self, count_watches, NULL);
    return p->result;
}

/* actor.h: asked twice, it is told twice; one of a dead actor is told at once. */
Test(monitor, set_twice_tells_twice)
{
    start(2);
    for (uint32_t worker = 0; worker < 2; worker++) {
        struct probe *p = world_probe(&w, 0, 0);
        struct probe *q = world_probe(&w, worker, 0);
        run_in(&w, p->self, monitor, &q->self);
        run_in(&w, p->self, monitor, &q->self);
        world_end(&w, q, 6);
        world_await(&w, p, 2);
        run_in(&w, p->self, monitor, &q->self);
        world_await(&w, p, 3);
        for (uint32_t i = 0; i < 3; i++) {
            cr_assert_eq(p->log[i].type, ACT_TYPE_DOWN);
            cr_assert_eq(p->log[i].value, q->self);
        }
        cr_assert_eq(p->count, 3);
        cr_assert_eq(watches_at(p), 0);
    }
    world_stop(&w);
}

/* actor.h: act_demonitor ends all of the caller's on that target, and nobody else's; -ENOENT. */
Test(monitor, called_off)
{
    start(2);
    for (uint32_t worker = 0; worker < 2; worker++) {
        struct probe *p = world_probe(&w, 0, 0);
        struct probe *other = world_probe(&w, 0, 0);
        struct probe *q = world_probe(&w, worker, 0);
        run_in(&w, p->self, demonitor, &q->self);
        cr_assert_eq(p->result, -ENOENT);
        run_in(&w, other->self, monitor, &q->self);
        run_in(&w, p->self, monitor, &q->self);
        run_in(&w, p->self, monitor, &q->self);
        run_in(&w, p->self, demonitor, &q->self);
        cr_assert_eq(p->result, 0);
        run_in(&w, p->self, demonitor, &q->self);
        cr_assert_eq(p->result, -ENOENT);
        world_sync(&w, q);
        /* The other one's request, and its note where that is on the same worker. */
        for (uint32_t i = 0; watches_at(q) != (worker == 0 ? 2 : 1); i++)
            cr_assert_lt(i, 100000, "requests of who has called off are left");
        world_end(&w, q, 6);
        world_await(&w, other, 1);
        world_sync(&w, p);
        cr_assert_eq(p->count, 0);

        /* It was told: there is none any more. */
        run_in(&w, other->self, demonitor, &q->self);
        cr_assert_eq(other->result, -ENOENT);
        cr_assert_eq(watches_at(p), 0);
    }
    world_stop(&w);
}

/* actor.h: also one whose DOWN waits in the mailbox already does not come; set anew, it does. */
Test(monitor, called_off_while_its_message_waits)
{
    struct gate gate;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    run_in(&w, p->self, monitor, &q->self);
    gate_shut(&gate, p);
    cr_assert_eq(act_stop(q->self, 3), 0); /* q has its turn before p has */
    start_in(p->self, demonitor, &q->self);
    gate_open(&w, &gate);
    expect(&w, TYPE_RAN);
    world_sync(&w, p);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(q->stops, 1);
    cr_assert_eq(p->count, 0);
    run_in(&w, p->self, monitor, &q->self);
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].type, ACT_TYPE_DOWN);
    cr_assert_eq(watches_at(p), 0);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}

static void monitor_and_exit(struct probe *p, void *target)
{
    monitor(p, target);
    act_exit(0);
}

/* actor.h: a monitor ends with the one who has set it: at a target that lives nothing is left,
 * whatever worker it is on, and it tells nobody. */
Test(monitor, ends_with_who_has_set_it)
{
    enum { ROUNDS = 14 };

    start(2);
    struct probe *here = world_probe(&w, 0, 0);
    struct probe *there = world_probe(&w, 1, 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct probe *p = world_probe(&w, 0, 0);
        run_in(&w, p->self, monitor, &here->self);
        run_in(&w, p->self, monitor_and_exit, &there->self);
        cr_assert_eq(p->result, 0);
    }
    for (uint32_t i = 0; watches_at(there) > 0; i++)
        cr_assert_lt(i, 1000000);
    cr_assert_eq(watches_at(here), 0);
    world_end(&w, here, 0);
    world_end(&w, there, 0);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}

/* A port monitors as well, calls off, and leaves nothing when it is closed. */
Test(monitor, of_a_port)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    cr_assert_eq(act_demonitor(q->self), -ENOENT);
    cr_assert_eq(act_monitor(q->self), 0);
    cr_assert_eq(act_monitor(p->self), 0);
    cr_assert_eq(watches_at(p), 2);
    cr_assert_eq(act_demonitor(p->self), 0);
    cr_assert_eq(watches_at(p), 1);
    cr_assert_eq(act_stop(p->self, 1), 0);
    cr_assert_eq(act_stop(q->self, 2), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, q->self);
    cr_assert_eq(down.reason, 2);
    p = world_probe(&w, 0, 0);
    cr_assert_eq(act_monitor(p->self), 0);
    world_sync(&w, p);
    act_port_close(w.port);
    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    w.port_id = act_port_id(w.port);
    cr_assert_eq(watches_at(p), 0);
    world_stop(&w);
}

/* What a handler notes that has no message left. */
struct poor {
    act_id watched;
    act_id other;
    int errors[4];
};

static void watch_without_messages(struct probe *p, void *argument)
{
    struct poor *poor = argument;
    struct act_message *list = NULL;
    struct act_message *m;

    (void)p;
    poor->errors[0] = act_monitor(poor->watched);
    while ((m = act_message_create(1, 80)) != NULL) {
        memcpy(m->body, &list, sizeof list);
        list = m;
    }
    poor->errors[1] = act_monitor(poor->other);
    poor->errors[2] = act_link(poor->other);
    poor->errors[3] = act_demonitor(poor->watched);
    while ((m = list) != NULL) {
        memcpy(&list, m->body, sizeof list);
        act_message_unref(m);
    }
}

/* actor.h: -ENOMEM; act_demonitor needs no memory. */
Test(monitor, without_memory)
{
    struct act_runtime_options o = world_options(1);
    struct poor poor;

    o.pool_bytes_max = 1 << 20;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    struct probe *r = world_probe(&w, 0, 0);
    poor = (struct poor){.watched = q->self, .other = r->self};
    run_in(&w, p->self, watch_without_messages, &poor);
    cr_assert_eq(poor.errors[0], 0);
    cr_assert_eq(poor.errors[1], -ENOMEM);
    cr_assert_eq(poor.errors[2], -ENOMEM);
    cr_assert_eq(poor.errors[3], 0);
    cr_assert_eq(watches_at(p), 0);
    world_end(&w, q, 1);
    world_end(&w, r, 1);
    world_sync(&w, p);
    cr_assert_eq(p->count, 0);
    world_stop(&w);
}

/* What a watch costs at a table of n: looks at others of its chain. */
static uint64_t looks(struct act_watches *watches, uint32_t n, struct act_message **messages)
{
    struct act_actor target = {0};
    uint64_t longest = 0;

    for (uint32_t i = 0; i < n; i++)
        act_watches_add(watches, &target, 1, 1000 + i, messages[i]);
    cr_assert_geq(watches->bucket_count, n / 2);
    for (uint32_t i = 0; i < watches->bucket_count; i++) {
        uint64_t length = 0;
        for (struct act_message *m = watches->buckets[i]; m != NULL; m = message_of(m)->header.next)
            length++;
        if (length > longest) longest = length;
    }
    for (uint32_t i = 0; i < n; i++)
        cr_assert_eq(act_watches_take(watches, &target, 1, 1000 + i, 9), messages[i]);
    cr_assert_null(target.watches);
    cr_assert_null(act_watches_take_any(watches, &target));
    return longest;
}

/* watches.h: the same however many there are: at N and at 2N. */
Test(monitor, costs_the_same_however_many_there_are)
{
    enum { N = 10000, BLOCK = 128 };
    static uint8_t memory[2 * N][BLOCK] __attribute__((aligned(64)));
    static struct act_message *messages[2 * N];
    struct act_watches watches = {0};

    for (uint32_t i = 0; i < 2 * N; i++) {
        struct message *m = (struct message *)(void *)memory[i];
        m->user.type = 9;
        m->user.body = m->body;
        messages[i] = &m->user;
    }
    cr_assert_leq(looks(&watches, N, messages), 12);
    cr_assert_leq(looks(&watches, 2 * N, messages), 12);
    act_watches_deinit(&watches);
}
