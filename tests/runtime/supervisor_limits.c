/**
 * Supervisors: the limit of restarts, starts that fail, deadlines, and what is refused.
 */
#include "family.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>

LEAK_CHECKED_SUITE(supervisor_limits);

static int await_down(act_id id)
{
    struct act_down down = expect_down(&w);

    cr_assert_eq(down.actor, id);
    return down.reason;
}

/* supervisor.h: restarts_max within the window are made, not one more, by either strategy; then
 * the children are stopped in reverse order and it ends with ACT_REASON_RESTARTS. */
Test(supervisor_limits, gives_up_at_the_limit)
{
    for (uint32_t max = 0; max < 6; max++) {
        start(2);
        options.strategy = max % 2 ? ACT_ONE_FOR_ALL : ACT_ONE_FOR_ONE;
        options.restarts_max = max;
        options.window_ns = 3600 * SECOND;
        act_id id = found();
        cr_assert_eq(act_monitor(id), 0);
        for (uint32_t i = 0; i < max; i++) {
            end_kid(i % 2, 3);
            await_count(&kids[i % 2].births, options.strategy ? i + 2 : i / 2 + 2);
            if (options.strategy) await_births(i + 2);
        }
        end_kid(1, 3);
        cr_assert_eq(await_down(id), ACT_REASON_RESTARTS);
        cr_assert_eq(kids[0].starts + kids[1].starts, options.strategy ? 2 + 2 * max : 2 + max);
        cr_assert_lt(kids[3].ended_at, kids[2].ended_at);
        cr_assert_lt(kids[2].ended_at, kids[0].ended_at);
        for (uint32_t i = 0; i < KIDS; i++)
            cr_assert_eq(kids[i].ends, kids[i].starts);
        cr_assert_eq(world_stats(&w).actors_live, 1);
        world_stop(&w);
    }
}

/* supervisor.h: within window_ns: restarts that lie further apart are no reason to give up. */
Test(supervisor_limits, the_window_moves_on)
{
    start(1);
    options.restarts_max = 2;
    options.window_ns = 1;
    act_id id = found();
    for (uint32_t i = 0; i < 20; i++) {
        end_kid(0, 3);
        await_count(&kids[0].births, i + 2);
    }
    cr_assert_eq(end_family(&w, id, 0), 0);
    world_stop(&w);
}

/* supervisor.h: a start that fails counts as a failure of the child; a name in use has the state
 * discarded. */
Test(supervisor_limits, starts_that_fail)
{
    start(1);
    kids[1].create_fails = 2;
    act_id id = found();
    cr_assert_eq(kids[1].starts, 1);
    cr_assert_eq(kids[0].starts, 1);
    cr_assert_eq(end_family(&w, id, 0), 0);
    world_stop(&w);

    start(1);
    kids[3].create_fails = 100;
    cr_assert_eq(act_supervisor_spawn(&options, &id), 0);
    cr_assert_eq(act_monitor(id), 0);
    const int reason = await_down(id);
    cr_assert(reason == ACT_REASON_RESTARTS || reason == ACT_REASON_GONE);
    cr_assert_eq(kids[3].create_fails, 100 - 4);
    cr_assert_eq(kids[0].ends, 1);
    world_stop(&w);

    start(1);
    specs[3].name = kid_names[0];
    options.strategy = ACT_ONE_FOR_ALL;
    options.restarts_max = 1;
    cr_assert_eq(act_supervisor_spawn(&options, &id), 0);
    cr_assert_eq(act_monitor(id), 0);
    (void)await_down(id);
    cr_assert_eq(kids[3].discards, 2);
    cr_assert_eq(kids[3].births, 0);
    cr_assert_eq(kids[0].starts, 2);
    cr_assert_eq(kids[0].ends, 2);
    world_stop(&w);
}

static bool is_reached(void *gate)
{
    return atomic_load(&((struct gate *)gate)->is_reached) != 0;
}

/* supervisor.h: one that does not end in time is told of by name; the others are stopped, and it
 * ends with ACT_REASON_OVERDUE. When the late one ends at last, nothing is left. */
Test(supervisor_limits, overdue_child_is_named)
{
    for (uint32_t i = 0; i < 2; i++) {
        start(2);
        options.stop_ns = 2000000;
        options.strategy = ACT_ONE_FOR_ALL;
        for (uint32_t k = 0; k < KIDS; k++)
            specs[k].place = ACT_PLACE_ON(k == 2);
        act_id id = found();
        const act_id late = act_find(kid_names[2]);
        cr_assert_eq(act_monitor(id), 0);
        cr_assert_eq(send_value(late, TYPE_HANG, 0), 0);
        /* The supervisor's order to stop comes by another lane: it might be there before. */
        cr_assert(wait_until(is_reached, &kids[2].gate));
        if (i == 0)
            cr_assert_eq(act_supervisor_stop(id, 0), 0);
        else
            end_kid(0, 1);
        cr_assert_eq(await_down(id), ACT_REASON_OVERDUE);
        cr_assert_str_eq(overdue_name, kid_names[2]);
        cr_assert_eq(overdue_id, late);
        cr_assert_eq(kids[1].ends, 1);
        cr_assert_eq(kids[2].ends, 0);
        atomic_store(&kids[2].gate.is_open, 1);
        await_count(&kids[2].ends, 1);
        world_stop(&w);
    }
}

static void *spawn_from_nowhere(void *nothing)
{
    act_id id;

    (void)nothing;
    cr_assert_eq(act_supervisor_spawn(&options, &id), -EPERM);
    cr_assert_eq(act_supervisor_stop(1, 0), -EPERM);
    return NULL;
}

/* supervisor.h: -EINVAL, -ENAMETOOLONG, -EEXIST, -EPERM; then nothing has happened. */
Test(supervisor_limits, what_is_refused)
{
    static char long_name[ACT_NAME_MAX + 2];
    struct act_supervisor_options o;
    pthread_t thread;
    act_id id = 77;

    start(1);
    memset(long_name, 'n', ACT_NAME_MAX + 1);
    cr_assert_eq(act_supervisor_spawn(NULL, &id), -EINVAL);
    cr_assert_eq(act_supervisor_spawn(&options, NULL), -EINVAL);
#define REFUSED(change, error)                                                                     \
    do {                                                                                           \
        o = options;                                                                               \
        family_specify(specs, 1);                                                                  \
        change;                                                                                    \
        cr_assert_eq(act_supervisor_spawn(&o, &id), error, #change);                               \
    } while (0)
    REFUSED(o.children = NULL, -EINVAL);
    REFUSED(o.child_count = 0, -EINVAL);
    REFUSED(o.child_count = ACT_CHILDREN_MAX + 1, -EINVAL);
    REFUSED(o.restarts_max = ACT_RESTARTS_MAX + 1, -EINVAL);
    REFUSED(o.window_ns = 0, -EINVAL);
    REFUSED(o.strategy = (enum act_strategy)2, -EINVAL);
    REFUSED(o.place = ACT_PLACE_ON(1), -EINVAL);
    REFUSED(o.name = long_name, -ENAMETOOLONG);
    REFUSED(specs[3].behaviour = NULL, -EINVAL);
    REFUSED(specs[3].place = ACT_PLACE_ON(1), -EINVAL);
    REFUSED(specs[3].restart = (enum act_restart)3, -EINVAL);
    REFUSED(specs[3].first_type = ACT_TYPE_SYSTEM, -EINVAL);
    REFUSED(specs[3].name = long_name, -ENAMETOOLONG);
#undef REFUSED
    for (uint32_t i = 0; i < KIDS; i++)
        cr_assert_eq(kids[i].starts, 0);
    cr_assert_eq(pthread_create(&thread, NULL, spawn_from_nowhere, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(id, 77);
    cr_assert_eq(world_stats(&w).actors_live, 1);
    world_stop(&w);
}

/* supervisor.h: -ENOMEM at each allocation; nothing is left. */
Test(supervisor_limits, without_memory)
{
    uint32_t failures = 0;
    act_id id;

    start(1);
    for (unsigned long nth = 1; nth < 20; nth++) {
        const size_t held = act_memory_held();
        act_memory_fail_at(nth);
        int error = act_supervisor_spawn(&options, &id);
        act_memory_fail_at(0);
        if (error == 0) break;
        cr_assert_eq(error, -ENOMEM);
        cr_assert_eq(act_memory_held(), held);
        failures++;
    }
    cr_assert_geq(failures, 1);
    await_births(1);
    cr_assert_eq(end_family(&w, id, 0), 0);
    world_stop(&w);
}
