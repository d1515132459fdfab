/**
 * Rule 10: a snapshot that does not load costs its replica the state, and nobody else anything.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_10_refused);

static struct world w;

/** A group whose small ring has gone round while replica 2 was not there. */
static struct world_answer ring_goes_round(void)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.log_ops = 32;
    o.chunk_bytes_max = 1024;
    world_start(&w, &o);
    struct world_answer client = world_open(&w, 0, 1);
    world_run(&w, 10);
    world_isolate(&w, 2);
    for (uint64_t number = 1; number <= 70; number++) {
        world_request(&w, 0, client.session, client.slot, number, number);
        world_run(&w, 1);
    }
    world_heal(&w);
    return client;
}

static void check_others_go_on(const struct world_answer *client, uint64_t number)
{
    world_request(&w, world_primary(&w), client->session, client->slot, number, 7);
    world_run(&w, 5);
    cr_assert_eq(world_answered(&w, client->session, number), 1);
}

/* 10: it says so, has another replica's, and is whole again; the others do not notice. */
Test(rule_10_refused, snapshot_that_does_not_load_is_had_from_another_replica)
{
    for (uint32_t refused = 1; refused <= 3; refused++) {
        struct world_answer client = ring_goes_round();
        w.replicas[2]->loads_refused = refused;
        for (uint32_t i = 0; i < 600 && w.replicas[2]->loads_refused > 0; i++)
            world_run(&w, 1);
        cr_assert_eq(w.replicas[2]->loads_refused, 0);
        cr_assert(world_noticed(&w, 2, VSR_NOTICE_LOAD_FAILED));
        world_converge(&w, 2000);
        cr_assert_eq(seen(w.replicas[2]).counters.snapshots_loaded, 1);
        for (uint32_t i = 0; i < 2; i++)
            cr_assert_gt(seen(w.replicas[i]).counters.snapshots_saved, 0, "%u was asked", i);
        check_others_go_on(&client, 71);
        cr_assert(!world_noticed(&w, 0, VSR_NOTICE_LOAD_FAILED));
        cr_assert_eq(seen(w.replicas[0]).view, 0);
        world_end(&w);
    }
}

/* 10, 12: a machine that saves no snapshot at all: it stops by itself and says why. */
Test(rule_10_refused, replica_that_can_load_none_halts)
{
    struct world_answer client = ring_goes_round();

    w.replicas[2]->loads_refused = UINT32_MAX;
    for (uint32_t i = 0; i < 2000 && seen(w.replicas[2]).status != VSR_STATUS_HALTED; i++)
        world_run(&w, 1);
    cr_assert_eq(seen(w.replicas[2]).status, VSR_STATUS_HALTED);
    cr_assert(world_noticed(&w, 2, VSR_NOTICE_CANNOT_LOAD));
    check_others_go_on(&client, 71);
    check_others_go_on(&client, 72);
    world_end(&w);
}

/* 8.3, 10: likewise while it recovers into a view above the one on its disk, which is not durable
 * yet: it asks again. */
Test(rule_10_refused, snapshot_that_does_not_load_in_a_new_view_is_asked_for_again)
{
    struct world_answer client = ring_goes_round();

    world_crash(&w, 2);
    world_change_view(&w, 3, 1u << 0 | 1u << 1);
    world_recover(&w, 2);
    w.replicas[2]->loads_refused = 1;
    world_converge(&w, 4000);
    cr_assert_eq(w.replicas[2]->loads_refused, 0);
    cr_assert(world_noticed(&w, 2, VSR_NOTICE_LOAD_FAILED));
    cr_assert_eq(seen(w.replicas[2]).view, 3);
    check_others_go_on(&client, 71);
    world_end(&w);
}
