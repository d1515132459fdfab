/**
 * Exactly-once through view changes and snapshots, as stories of several replicas: every known way
 * to get it wrong. DESIGN.md, "Rules", 5.2, C1 to C9.
 */
#include "leak_check.h"
#include "story.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_5_2);
LEAK_CHECKED_SUITE(rule_5_7);

/* 5.2 C1: what was noted of a request when it was prepared goes with its entry, or the request
 * would be blocked for ever. */
Test(rule_5_2, C1_dropped_request_is_not_blocked)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    ask(0, &c, 1, 5);
    world_drop(&w, VSR_PREPARE, 0, ANY); /* only 0 has it */
    world_isolate(&w, 0);
    world_change_view(&w, 1, 6);
    ask(1, &c, 1, 6); /* not the same op: this one is dropped too, from 1's open batch */
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 0);
    const vsr_view view = (replica(0)->view / 3 + 1) * 3; /* 0 serves again */
    world_change_view(&w, view, 7);
    ask(0, &c, 2, 5);
    world_settle(&w);
    cr_assert_eq(answered(&c, 2), 1);
    world_all_counted(&w, 6, 1);
    world_end(&w);
}

/* 5.2 C1: likewise when nobody has repeated the request meanwhile. */
Test(rule_5_2, C1_dropped_request_can_be_asked_again_of_whom_dropped_it)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    ask(0, &c, 1, 5);
    world_drop(&w, VSR_PREPARE, 0, ANY);
    world_isolate(&w, 0);
    world_change_view(&w, 1, 6);
    world_heal(&w);
    world_converge(&w, 500);
    cr_assert_eq(replica(0)->log.op, 1);
    world_change_view(&w, (replica(0)->view / 3 + 1) * 3, 7);
    ask(0, &c, 1, 5);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 5.2 C2: an entry that survives in the new primary's suffix; the client asks again: once. */
Test(rule_5_2, C2_retry_at_the_new_primary_is_executed_once)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    ask(0, &c, 1, 5);
    world_drop(&w, VSR_PREPARE, 0, 2);
    world_deliver(&w, VSR_PREPARE, 0, 1); /* 1 has it, not committed */
    world_isolate(&w, 0);
    world_vote(&w, 1, 6);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    cr_assert_eq(replica(1)->status, VSR_STATUS_NORMAL);
    ask(1, &c, 1, 5); /* before anything is executed */
    cr_assert_eq(replica(1)->log.op, 2);
    world_settle(&w);
    ask(1, &c, 1, 5); /* and after */
    cr_assert_geq(answered(&c, 1), 1);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 1);
    cr_assert_eq(replica(0)->counters.requests_repeated, 0);
    world_end(&w);
}

/* 5.2 C3: executing a lower number does not forget a higher one that is in the log. */
Test(rule_5_2, C3_executing_forgets_no_pending_number)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    world_isolate(&w, 1);
    ask(0, &c, 1, 5);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    ask(0, &c, 2, 5);
    world_deliver(&w, VSR_PREPARE, 0, 2); /* it says that number 1 is committed */
    world_drop(&w, ANY, ANY, ANY);
    world_heal(&w);
    world_isolate(&w, 0);
    world_vote(&w, 1, 6);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    world_deliver(&w, VSR_GET_STATE, 1, 2);
    world_deliver(&w, VSR_NEW_STATE, 2, 1);
    cr_assert(is_serving(replica(1)));
    cr_assert_eq(replica(1)->applied, 2, "it has executed number 1, and holds number 2");
    cr_assert_eq(replica(1)->log.op, 3);
    ask(1, &c, 2, 5);
    cr_assert_eq(replica(1)->log.op, 3);
    cr_assert_eq(replica(1)->drops[VSR_DROP_IN_LOG], 1);
    world_heal(&w);
    world_converge(&w, 500);
    cr_assert_eq(answered(&c, 2), 1);
    world_all_counted(&w, 5, 2);
    world_end(&w);
}

/* 5.2 C4: the entry comes to the new primary with the log that it adopts. */
Test(rule_5_2, C4_adopted_request_is_known)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    ask(0, &c, 1, 5);
    world_drop(&w, VSR_PREPARE, 0, 1);
    world_deliver(&w, VSR_PREPARE, 0, 2); /* 2 has it; 1 will be the primary */
    world_drop(&w, ANY, ANY, ANY);
    world_isolate(&w, 0);
    world_vote(&w, 1, 6);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    cr_assert_eq(world_waiting(&w, VSR_GET_STATE, 1, 2), 1);
    world_deliver(&w, VSR_GET_STATE, 1, 2);
    world_deliver(&w, VSR_NEW_STATE, 2, 1);
    cr_assert_eq(replica(1)->status, VSR_STATUS_NORMAL);
    ask(1, &c, 1, 5);
    cr_assert_eq(replica(1)->log.op, 2);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 5.2 C4: likewise when the session's Register comes with it, and is executed only after the view
 * has begun. */
Test(rule_5_2, C4_request_of_a_session_that_opens_later_is_known)
{
    begin(3);
    world_isolate(&w, 1);
    struct world_answer c = world_open(&w, 0, 1);
    ask(0, &c, 1, 5);
    world_deliver(&w, VSR_PREPARE, 0, 2);
    world_drop(&w, ANY, ANY, ANY);
    world_heal(&w);
    world_isolate(&w, 0);
    world_vote(&w, 1, 6);
    cr_assert_eq(replica(1)->log.op, 0);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    world_deliver(&w, VSR_GET_STATE, 1, 2);
    world_deliver(&w, VSR_NEW_STATE, 2, 1);
    cr_assert(is_serving(replica(1)));
    cr_assert_eq(replica(1)->applied, 1);
    ask(1, &c, 1, 5);
    cr_assert_eq(replica(1)->log.op, 2);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 5.2 C5: a replica whose state came as a snapshot knows what was executed, and the replies. */
Test(rule_5_2, C5_snapshot_brings_the_client_table)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.log_ops = 32;
    world_start(&w, &o);
    struct world_answer c = world_open(&w, 0, 1);
    struct world_answer d = world_open(&w, 0, 2);
    world_isolate(&w, 1);
    ask(0, &d, 1, 6);
    for (uint64_t number = 1; number <= 70; number++) {
        ask(0, &c, number, 5);
        world_run(&w, 1);
    }
    world_heal(&w);
    world_converge(&w, 1000);
    cr_assert_eq(replica(1)->counters.snapshots_loaded, 1);
    world_change_view(&w, (replica(1)->view / 3 + 1) * 3 + 1, 7);
    cr_assert(is_serving(replica(1)));
    const uint32_t before = answered(&d, 1);
    ask(1, &d, 1, 6);
    ask(1, &c, 70, 5);
    cr_assert_eq(answered(&d, 1), before + 1);
    cr_assert_eq(w.answers[w.answer_count - 1].value, 70);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 70);
    world_all_counted(&w, 6, 1);
    world_end(&w);
}

/* 5.2 C6: who is evicted follows from the log: the same session everywhere, whoever is primary. */
Test(rule_5_2, C6_eviction_is_the_same_everywhere)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.sessions_max = 3;
    world_start(&w, &o);
    struct world_answer a = world_open(&w, 0, 1);
    struct world_answer b = world_open(&w, 0, 2);
    struct world_answer c = world_open(&w, 0, 3);
    ask(0, &a, 1, 5);
    world_settle(&w);
    world_change_view(&w, 1, 7);
    ask(1, &b, 1, 6);
    world_settle(&w);
    world_open(&w, 1, 4); /* c is the oldest now */
    world_change_view(&w, 2, 7);
    ask(2, &c, 1, 7);
    cr_assert_eq(w.answers[w.answer_count - 1].status, VSR_REPLY_EVICTED);
    ask(2, &a, 2, 5);
    ask(2, &b, 2, 6);
    world_settle(&w);
    cr_assert_eq(answered(&a, 2), 1);
    cr_assert_eq(answered(&b, 2), 1);
    world_converge(&w, 100);
    for (uint32_t i = 1; i < 3; i++)
        for (uint32_t slot = 0; slot < 3; slot++)
            cr_assert_eq(vsr_client_table_at(&replica(i)->clients, slot)->session,
                         vsr_client_table_at(&replica(0)->clients, slot)->session);
    world_all_counted(&w, 7, 0);
    world_end(&w);
}

/* 5.2 C7: a new primary does not answer for what it has adopted before that is committed. */
Test(rule_5_2, C7_adopted_request_is_not_answered_before_it_is_committed)
{
    begin(5);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    ask(0, &c, 1, 5);
    world_deliver(&w, VSR_PREPARE, 0, 1); /* two of five have it */
    world_drop(&w, ANY, ANY, ANY);
    world_isolate(&w, 0);
    world_vote(&w, 1, 0x1e);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, ANY, 1);
    cr_assert_eq(replica(1)->status, VSR_STATUS_NORMAL);
    cr_assert_eq(replica(1)->log.op, 2);
    ask(1, &c, 1, 5);
    cr_assert_eq(answered(&c, 1), 0);
    cr_assert_eq(replica(1)->commit, 1);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 5.2 C8: an old primary that has not heard of a session does not say that it is gone. */
Test(rule_5_2, C8_old_primary_is_silent_about_a_newer_session)
{
    begin(3);
    world_open(&w, 0, 1);
    world_isolate(&w, 0);
    world_change_view(&w, 1, 6);
    struct world_answer c = world_open(&w, 1, 2);
    const uint32_t before = w.answer_count;

    cr_assert(is_serving(replica(0)), "it thinks so");
    ask(0, &c, 1, 5);
    world_settle(&w);
    cr_assert_eq(w.answer_count, before);
    cr_assert_eq(replica(0)->drops[VSR_DROP_UNKNOWN_SESSION], 1);
    world_heal(&w);
    world_converge(&w, 500);
    ask(world_primary(&w), &c, 1, 5);
    world_settle(&w);
    cr_assert_eq(answered(&c, 1), 1);
    world_end(&w);
}

/* 5.2 C9: a Register that comes again after its session was evicted does not bring it back. */
Test(rule_5_2, C9_register_that_comes_late_revives_no_session)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.sessions_max = 1;
    world_start(&w, &o);
    struct world_answer a = world_open(&w, 0, 1);
    ask(0, &a, 1, 5);
    world_settle(&w);
    world_open(&w, 0, 2);
    world_change_view(&w, 1, 7);
    struct world_answer late = world_open(&w, 1, 1);
    cr_assert_neq(late.session, a.session);
    ask(1, &a, 2, 5);
    world_settle(&w);
    cr_assert_eq(w.answers[w.answer_count - 1].status, VSR_REPLY_EVICTED);
    cr_assert_eq(answered(&a, 2), 0);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 5.7: every Request of a client to the primary is lost: the backups pass them on. */
Test(rule_5_7, requests_that_never_reach_the_primary_are_executed)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    for (uint64_t number = 1; number <= 10; number++) {
        ask(1, &c, number, 5);
        ask(2, &c, number, 5);
        world_settle(&w);
        cr_assert_geq(answered(&c, number), 1);
    }
    cr_assert(is_serving(replica(0)));
    world_converge(&w, 100);
    world_all_counted(&w, 5, 10);
    world_end(&w);
}

/* 5.7: every Reply of the primary is lost: the backups answer what they have executed. */
Test(rule_5_7, replies_that_never_leave_the_primary_are_given_by_backups)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);
    world_run(&w, 6);

    for (uint64_t number = 1; number <= 10; number++) {
        ask(0, &c, number, 5);
        world_settle(&w);
        world_run(&w, 6);   /* the heartbeat tells the backups */
        w.answer_count = 0; /* what the primary said */
        ask(1, &c, number, 5);
        cr_assert_eq(answered(&c, number), 1, "number %u", (unsigned)number);
    }
    world_converge(&w, 100);
    world_all_counted(&w, 5, 10);
    world_end(&w);
}
