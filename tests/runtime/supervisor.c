/**
 * Supervisors: starts, restarts, strategies, the order of stops.
 */
#include "family.h"
#include "leak_check.h"

#include <errno.h>

LEAK_CHECKED_SUITE(supervisor);

/* supervisor.h: children start in order, each with a state of its own and its first message; they
 * are stopped in reverse order; the supervisor ends with the reason that it was given. */
Test(supervisor, starts_in_order_and_stops_in_reverse)
{
    start(1);
    act_id id = found();
    for (uint32_t i = 0; i < KIDS; i++) {
        cr_assert_eq(kids[i].started_at, i + 1);
        cr_assert_eq(kids[i].starts, 1);
        cr_assert_neq(act_find(kid_names[i]), ACT_ID_NONE);
    }
    cr_assert_eq(end_family(&w, id, 12), 12);
    for (uint32_t i = 0; i < KIDS; i++) {
        cr_assert_eq(kids[i].ended_at, 2 * KIDS - i);
        cr_assert_eq(kids[i].ends, 1);
        cr_assert_eq(kids[i].reason, ACT_REASON_SHUTDOWN);
        cr_assert_eq(act_find(kid_names[i]), ACT_ID_NONE);
    }
    cr_assert_eq(act_supervisor_stop(id, 0), 0, "gone already");
    cr_assert_eq(world_stats(&w).actors_live, 1);
    world_stop(&w);
}

/* The same over two workers: one after another, each when the last one has ended. */
Test(supervisor, stops_in_reverse_over_workers)
{
    start(2);
    act_id id = found();
    cr_assert_eq(end_family(&w, id, 0), 0);
    for (uint32_t i = 1; i < KIDS; i++)
        cr_assert_lt(kids[i].ended_at, kids[i - 1].ended_at);
    world_stop(&w);
}

/* supervisor.h: one for one: only the child that has ended is started again. */
Test(supervisor, one_for_one)
{
    start(2);
    act_id id = found();
    for (uint32_t i = 1; i <= 3; i++) {
        end_kid(2, i == 2 ? 0 : 5);
        await_count(&kids[2].births, i + 1);
    }
    for (uint32_t i = 0; i < KIDS; i++)
        cr_assert_eq(kids[i].starts, i == 2 ? 4 : 1);
    cr_assert_eq(end_family(&w, id, 0), 0);
    world_stop(&w);
}

/* supervisor.h: which ends have a child started again. */
Test(supervisor, permanent_transient_temporary)
{
    start(2);
    specs[1].restart = ACT_RESTART_TRANSIENT;
    specs[2].restart = ACT_RESTART_TEMPORARY;
    specs[3].restart = ACT_RESTART_TRANSIENT;
    act_id id = found();
    end_kid(0, 0);
    await_count(&kids[0].births, 2);
    end_kid(1, 5);
    await_count(&kids[1].births, 2);
    end_kid(2, 5);
    end_kid(3, 0);
    end_kid(0, 5); /* after those: its birth comes after what they would bring about */
    await_count(&kids[0].births, 3);
    cr_assert_eq(kids[2].starts, 1);
    cr_assert_eq(kids[3].starts, 1);
    cr_assert_eq(end_family(&w, id, 0), 0);
    cr_assert_eq(kids[1].ends, 2);
    cr_assert_eq(kids[2].ends, 1);
    world_stop(&w);
}

/* supervisor.h: one for all: the others are stopped in reverse order, then all are started, but
 * for those that are not to be any more. */
Test(supervisor, one_for_all)
{
    start(2);
    options.strategy = ACT_ONE_FOR_ALL;
    specs[3].restart = ACT_RESTART_TEMPORARY;
    act_id id = found();
    end_kid(1, 5);
    for (uint32_t i = 0; i < 3; i++)
        await_count(&kids[i].births, 2);
    cr_assert_eq(kids[1].reason, 5);
    cr_assert_lt(kids[1].ended_at, kids[3].ended_at);
    cr_assert_lt(kids[3].ended_at, kids[2].ended_at);
    cr_assert_lt(kids[2].ended_at, kids[0].ended_at);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_gt(kids[i].started_at, kids[0].ended_at);
    cr_assert_eq(kids[3].starts, 1);
    cr_assert_eq(end_family(&w, id, 0), 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(kids[i].ends, 2);
    world_stop(&w);
}

/* supervisor.h: a back-off, twice as long each time, up to its bound. */
Test(supervisor, backs_off)
{
    const uint64_t at_least_ns[] = {3000000, 6000000, 9000000, 9000000};
    start(1);
    options.restarts_max = 9;
    options.backoff_ns = 3000000;
    options.backoff_max_ns = 9000000;
    options.window_ns = 3600 * SECOND;
    act_id id = found();
    for (uint32_t i = 0; i < 4; i++) {
        const uint64_t ended_ns = act_now_ns();
        end_kid(0, 1);
        await_count(&kids[0].births, i + 2);
        cr_assert_geq(kids[0].born_ns - ended_ns, at_least_ns[i]);
    }
    cr_assert_eq(end_family(&w, id, 0), 0);
    world_stop(&w);
}

/* It ends while a restart is due: nobody is started any more. */
Test(supervisor, stops_during_a_back_off)
{
    for (uint32_t i = 0; i < 2; i++) {
        start(1);
        options.strategy = i == 0 ? ACT_ONE_FOR_ONE : ACT_ONE_FOR_ALL;
        options.backoff_ns = options.backoff_max_ns = 3600 * SECOND;
        act_id id = found();
        end_kid(0, 1);
        if (i == 1) await_count(&kids[1].ends, 1);
        cr_assert_eq(end_family(&w, id, 3), 3);
        cr_assert_eq(kids[0].starts, 1);
        for (uint32_t k = 0; k < KIDS; k++)
            cr_assert_eq(kids[k].ends, 1);
        world_stop(&w);
    }
}

/* supervisor.h: act_stop, normal or not, ends the children too. */
Test(supervisor, stopped_as_any_actor)
{
    for (int reason = 0; reason < 2; reason++) {
        start(2);
        act_id id = found();
        cr_assert_eq(act_stop(id, reason * 7), 0);
        for (uint32_t i = 0; i < KIDS; i++)
            await_count(&kids[i].ends, 1);
        world_stop(&w);
        for (uint32_t i = 0; i < KIDS; i++) {
            cr_assert_eq(kids[i].ends, 1);
            cr_assert_eq(kids[i].starts, 1);
        }
    }
}

static void link_to(struct probe *p, void *other)
{
    p->result = act_link(*(act_id *)other);
}

/* supervisor.h: a linked one that fails makes it stop its children and end with that reason. */
Test(supervisor, a_linked_one_fails)
{
    start(2);
    act_id id = found();
    struct probe *p = world_probe(&w, 1, 0);
    run_in(&w, p->self, link_to, &id);
    cr_assert_eq(act_monitor(id), 0);
    cr_assert_eq(act_stop(p->self, 21), 0);
    struct act_down down = expect_down(&w);
    cr_assert_eq(down.actor, id);
    cr_assert_eq(down.reason, 21);
    for (uint32_t i = 0; i < KIDS; i++)
        cr_assert_eq(kids[i].reason, ACT_REASON_SHUTDOWN);
    world_stop(&w);
}

/* The runtime stops with a family in it. */
Test(supervisor, runtime_stops)
{
    start(2);
    (void)found();
    world_stop(&w);
    for (uint32_t i = 0; i < KIDS; i++) {
        cr_assert_eq(kids[i].starts, 1);
        cr_assert_eq(kids[i].ends, 1);
    }
}
