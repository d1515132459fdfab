/**
 * Links: who ends with whom, and for what reason.
 */
#include "endpoint.h"
#include "fixture.h"
#include "leak_check.h"

#include <errno.h>

LEAK_CHECKED_SUITE(link);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

static void link_to(struct probe *p, void *other)
{
    p->result = act_link(*(act_id *)other);
}

static void trap(struct probe *p, void *is_trapping)
{
    p->result = act_trap_exits(is_trapping != NULL);
}

static void fail(struct probe *p, void *reason)
{
    (void)p;
    act_exit(*(int *)reason);
}

/** Links two probes and waits until both sides know. */
static void link_both(struct probe *p, struct probe *q)
{
    run_in(&w, p->self, link_to, &q->self);
    cr_assert_eq(p->result, 0);
    run_in(&w, q->self, link_to, &p->self);
    cr_assert_eq(q->result, 0);
}

static void await_end(const struct probe *p, int reason)
{
    cr_assert_eq(act_monitor(p->self), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, p->self);
    cr_assert(down.reason == reason || down.reason == ACT_REASON_GONE, "%d", down.reason);
    cr_assert_eq(p->stops, 1);
    cr_assert_eq(p->reason, reason);
}

/* actor.h: the failure of either ends the other with its reason, whoever has set the link. */
Test(link, failure_ends_the_other)
{
    int reason = 9;

    start(2);
    for (uint32_t i = 0; i < 4; i++) {
        struct probe *p = world_probe(&w, 0, 0);
        struct probe *q = world_probe(&w, i % 2, 0);
        struct probe *bystander = world_probe(&w, i % 2, 0);
        run_in(&w, p->self, link_to, &q->self);
        world_sync(&w, q);
        run_in(&w, i < 2 ? p->self : q->self, fail, &reason);
        await_end(p, 9);
        await_end(q, 9);
        world_sync(&w, bystander);
        cr_assert_eq(bystander->stops, 0);
        cr_assert_eq(p->count + q->count, 0, "who does not trap gets no message");
    }
    world_stop(&w);
}

/* actor.h: a chain fails as a whole, each with the first one's reason; a stop counts as well. */
Test(link, failure_goes_along_a_chain)
{
    enum { LENGTH = 6 };
    struct probe *chain[LENGTH];

    start(2);
    for (uint32_t i = 0; i < LENGTH; i++)
        chain[i] = world_probe(&w, i % 2, 0);
    for (uint32_t i = 1; i < LENGTH; i++)
        link_both(chain[i - 1], chain[i]);
    cr_assert_eq(act_stop(chain[2]->self, 4), 0);
    for (uint32_t i = 0; i < LENGTH; i++)
        await_end(chain[i], 4);
    world_stop(&w);
}

/* actor.h: a normal end does not; and of the link nothing is left. */
Test(link, normal_end_takes_nobody_along)
{
    int normal = 0;

    start(2);
    for (uint32_t i = 0; i < 4; i++) {
        struct probe *p = world_probe(&w, 0, 0);
        struct probe *q = world_probe(&w, i % 2, 0);
        link_both(p, q);
        struct probe *ended = i < 2 ? p : q;
        struct probe *left = i < 2 ? q : p;
        run_in(&w, ended->self, fail, &normal);
        await_end(ended, 0);
        for (uint32_t k = 0; k < 5; k++)
            world_sync(&w, left);
        cr_assert_eq(left->stops, 0);
        cr_assert_eq(left->count, 0);
        cr_assert_eq(world_end(&w, left, 3), 3);
    }
    world_stop(&w);
}

/* actor.h: who traps exits is told instead, of a normal end too, once, however often the link was
 * set; and no more when he traps no more. */
Test(link, trapped_exits_are_messages)
{
    int reasons[] = {0, 5};

    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, trap, &reasons);
    cr_assert_eq(p->result, 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct probe *q = world_probe(&w, i / 2, 0);
        link_both(p, q);
        link_both(p, q);
        run_in(&w, q->self, fail, &reasons[i % 2]);
        await_end(q, reasons[i % 2]);
        world_await(&w, p, i + 1);
        cr_assert_eq(p->log[i].type, ACT_TYPE_EXIT);
        cr_assert_eq(p->log[i].value, q->self);
    }
    struct probe *q = world_probe(&w, 1, 0);
    link_both(p, q);
    run_in(&w, p->self, trap, NULL);
    run_in(&w, q->self, fail, &reasons[1]);
    await_end(p, 5);
    cr_assert_eq(p->count, 4);
    cr_assert_eq(p->reason, 5);
    world_stop(&w);
}

/* actor.h: an `other` that is gone has failed with ACT_REASON_GONE; a trapping one is told. */
Test(link, to_somebody_who_is_gone)
{
    int yes;

    start(2);
    for (uint32_t worker = 0; worker < 2; worker++) {
        struct probe *p = world_probe(&w, 0, 0);
        struct probe *trapper = world_probe(&w, 0, 0);
        struct probe *q = world_probe(&w, worker, 0);
        world_end(&w, q, 0);
        run_in(&w, trapper->self, trap, &yes);
        run_in(&w, trapper->self, link_to, &q->self);
        world_await(&w, trapper, 1);
        cr_assert_eq(trapper->log[0].type, ACT_TYPE_EXIT);
        run_in(&w, p->self, link_to, &q->self);
        cr_assert_eq(p->result, 0);
        await_end(p, ACT_REASON_GONE);
    }
    world_stop(&w);
}

/* actor.h: a port is told, as one that traps, and does not fail when it is closed. */
Test(link, with_a_port)
{
    int reason = 8;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    run_in(&w, p->self, link_to, &w.port_id);
    run_in(&w, q->self, link_to, &w.port_id);
    start_in(p->self, fail, &reason);
    struct act_message *m = act_port_receive(w.port, PATIENCE);
    if (m->type == TYPE_RAN) {
        act_message_unref(m);
        m = act_port_receive(w.port, PATIENCE);
        cr_assert_eq(m->type, ACT_TYPE_EXIT);
        cr_assert_eq(((struct act_down *)m->body)->reason, 8);
    }
    act_message_unref(m);
    act_port_close(w.port);
    cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
    w.port_id = act_port_id(w.port);
    world_sync(&w, q);
    world_sync(&w, q);
    cr_assert_eq(q->stops, 0);
    world_stop(&w);
}

static void link_to_itself(struct probe *p, void *nothing)
{
    (void)nothing;
    p->result = act_link(act_self());
}

/* actor.h: -EPERM outside of a handler, -EINVAL for itself; another runtime's id. */
Test(link, what_is_refused)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    cr_assert_eq(act_link(p->self), -EPERM);
    cr_assert_eq(act_trap_exits(true), -EPERM);
    run_in(&w, p->self, link_to_itself, NULL);
    cr_assert_eq(p->result, -EINVAL);
    act_id elsewhere = p->self ^ (act_id)1 << 48;
    run_in(&w, p->self, link_to, &elsewhere);
    cr_assert_eq(p->result, -EHOSTUNREACH);
    world_stop(&w);
}

/* The runtime stops while links are set: everybody ends for the shutdown. */
Test(link, runtime_stops)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 1, 0);
    struct probe *r = world_probe(&w, 1, 0);
    link_both(p, q);
    link_both(q, r);
    run_in(&w, r->self, link_to, &p->self);
    world_stop(&w);
    cr_assert_eq(p->reason, ACT_REASON_SHUTDOWN);
    cr_assert_eq(q->reason, ACT_REASON_SHUTDOWN);
    cr_assert_eq(r->reason, ACT_REASON_SHUTDOWN);
}
