/**
 * Whole stories of several replicas, told message by message: the two in which the published paper
 * loses what it has acknowledged, and the tables of rules 4.3 and 6.5.
 *
 * Where a story says "votes", they are made up: a vote promises nothing and may come at any time.
 */
#include "leak_check.h"
#include "messages.h"
#include "story.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(paper);
LEAK_CHECKED_SUITE(rule_4_3);
LEAK_CHECKED_SUITE(rule_6_5);

static bool holds(uint32_t i, vsr_op op, vsr_checksum checksum)
{
    return vsr_log_has(&replica(i)->log, op, checksum);
}

/**
 * The paper's state transfer (VRR §5.2) loses an acknowledged operation: rule 7.2, steps 1 to 7.
 *
 * A backup that hears of a later view cuts its log off at its own commit number, which lags, and
 * counts as a holder of the later view's log before it has that log.
 */
Test(paper, state_transfer_keeps_what_was_acknowledged)
{
    enum { A = 1, B = 2, C = 0, X = 10, Y, Z };
    begin(3);
    struct world_answer x = world_open(&w, C, 1); /* in view 0, whose primary is C */
    struct world_answer y = world_open(&w, C, 2);
    struct world_answer z = world_open(&w, C, 3);
    world_change_view(&w, 1, 7);
    world_run(&w, 6); /* all know that ops 1 .. 3 are committed */

    /* 1. A prepares x, B acknowledges, A answers; y reaches nobody. */
    ask(A, &x, 1, X);
    world_drop(&w, VSR_PREPARE, A, C);
    world_settle(&w);
    cr_assert_eq(answered(&x, 1), 1);
    ask(A, &y, 1, Y);
    world_drop(&w, VSR_PREPARE, A, ANY);
    const vsr_checksum x_checksum = vsr_log_at(&replica(A)->log, 4)->entry.checksum;
    cr_assert_eq(replica(B)->log.op, 4);
    cr_assert_eq(replica(B)->commit, 3, "its commit number lags");
    cr_assert_eq(replica(C)->log.op, 3);

    /* 2. A and C leave for view 2 and then 3; B hears nothing of it. */
    world_cut(&w, A, B);
    world_cut(&w, B, C);
    world_vote(&w, 2, 1u << A | 1u << C);
    world_drop(&w, ANY, ANY, ANY);
    world_vote(&w, 3, 1u << A | 1u << C);
    /* 4. C has its own log and A's, and starts view 3; its StartView is on the way. C prepares z.
     */
    world_deliver(&w, VSR_DO_VIEW_CHANGE, A, C);
    cr_assert_eq(world_deliver(&w, VSR_GET_STATE, C, A), 1);
    world_deliver(&w, VSR_NEW_STATE, A, C);
    cr_assert_eq(replica(C)->status, VSR_STATUS_NORMAL);
    world_heal(&w);
    cr_assert_eq(replica(C)->log.op, 5);
    cr_assert_eq(replica(C)->commit, 4);
    ask(C, &z, 1, Z);

    /* 5. B, still in view 1, receives the Prepare of z: a later view, and a gap. */
    cr_assert_eq(world_waiting(&w, VSR_PREPARE, C, B), 1);
    cr_assert_eq(replica(B)->view, 1);
    world_deliver(&w, VSR_PREPARE, C, B);
    cr_assert_eq(replica(B)->view, 3);
    cr_assert(holds(B, 4, x_checksum), "x is cut off before its replacement is there");
    cr_assert_eq(replica(B)->log_view, 1, "log_view is raised without the log");
    world_drop(&w, VSR_GET_STATE, B, ANY);
    world_hold(&w, ANY, C, ANY);

    /* 3, 6. A has not heard that view 3 has started; A and B leave for view 4. */
    cr_assert_eq(replica(A)->status, VSR_STATUS_VIEW_CHANGE);
    world_vote(&w, 4, 1u << A | 1u << B);
    /* 7. A starts view 4 with B's log and its own. C adopts it. */
    world_settle(&w);
    cr_assert_eq(replica(A)->status, VSR_STATUS_NORMAL);
    cr_assert(holds(A, 4, x_checksum), "x is gone");
    world_deliver(&w, ANY, C, ANY); /* what C said in view 3 */
    world_converge(&w, 500);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert(holds(i, 4, x_checksum));
    world_all_counted(&w, X, 1);
    world_end(&w);
}

/** Runs until a replica is NORMAL, if it is not. */
static void until_normal(uint32_t i)
{
    for (int ticks = 0; ticks < 1000 && replica(i)->status != VSR_STATUS_NORMAL; ticks++)
        world_run(&w, 1);
    cr_assert_eq(replica(i)->status, VSR_STATUS_NORMAL);
}

/**
 * The paper's recovery (VRR §4.3) loses an acknowledged operation: rule 8.2, steps 1 to 7. Never is
 * more than one replica down.
 *
 * A replica forgets in a crash that it has left a view, and acknowledges in it again; the messages
 * of its first life start the next view without what it acknowledges.
 */
Test(paper, recovery_forgets_no_view)
{
    enum { A = 10, M };
    begin(3);
    struct world_answer a = world_open(&w, 0, 1);
    struct world_answer m = world_open(&w, 0, 2);
    world_run(&w, 6);

    /* 1. R1 leaves for view 1; what it says of that is lost on the way to R0, late to R2. */
    world_vote(&w, 1, 1u << 1);
    world_drop(&w, ANY, 1, 0);
    cr_assert_geq(world_hold(&w, VSR_DO_VIEW_CHANGE, 1, 2), 1);
    /* 2. R1 crashes and recovers. */
    world_crash(&w, 1);
    cr_assert_eq(w.superblocks[1].view, 1);
    world_recover(&w, 1);
    world_settle(&w);
    until_normal(1);
    cr_assert_geq(replica(1)->view, 1, "it has forgotten view 1");
    /* 3. The late message reaches R2, whose answer is late as well. */
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 1, 2);
    world_drop(&w, VSR_DO_VIEW_CHANGE, 2, 0);
    world_hold(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    /* 4. R2 crashes and recovers. */
    world_crash(&w, 2);
    world_recover(&w, 2);
    world_settle(&w);
    until_normal(2);
    /* 5. R0 prepares a; R2 acknowledges; R1 does not hear of it. */
    ask(0, &a, 1, A);
    world_drop(&w, VSR_PREPARE, ANY, 1);
    world_settle(&w);
    /* 6. What R2 said before its crash reaches R1. */
    world_isolate(&w, 0);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, 2, 1);
    world_settle(&w);
    /* 7. m is committed by R1 and R2, perhaps in the place of a. */
    ask(1, &m, 1, M);
    world_settle(&w);

    world_heal(&w);
    world_converge(&w, 1000);
    const bool was_answered = answered(&a, 1) > 0;
    for (uint32_t i = 0; was_answered && i < 3; i++)
        cr_assert_eq(w.replicas[i]->counts[A], 1, "a was acknowledged and is gone");
    ask(world_primary(&w), &a, 1, A);
    ask(world_primary(&w), &m, 1, M);
    world_settle(&w);
    world_converge(&w, 1000);
    world_all_counted(&w, A, 1);
    world_all_counted(&w, M, 1);
    world_end(&w);
}

/* 4.3, the next op: appended and acknowledged; a lost acknowledgement is given again. */
Test(rule_4_3, lost_acknowledgement_is_repeated)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    ask(0, &c, 1, 5);
    world_deliver(&w, VSR_PREPARE, 0, ANY);
    cr_assert_eq(world_drop(&w, VSR_PREPARE_OK, ANY, 0), 2);
    cr_assert_eq(answered(&c, 1), 0);
    world_tick(&w, 0, 2 * w.options.resend_ticks);
    cr_assert_geq(world_deliver(&w, VSR_PREPARE, 0, 1), 1);
    cr_assert_geq(world_deliver(&w, VSR_PREPARE_OK, 1, 0), 1);
    cr_assert_eq(answered(&c, 1), 1);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 4.3, n <= op: not appended again, acknowledged again. */
Test(rule_4_3, repeated_prepares_change_nothing)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    for (uint64_t number = 1; number <= 4; number++) {
        ask(0, &c, number, 5);
        world_repeat(&w, VSR_PREPARE, 0, ANY);
        world_repeat(&w, VSR_PREPARE, 0, ANY);
        world_settle(&w);
        cr_assert_eq(answered(&c, number), 1);
    }
    cr_assert_eq(replica(1)->log.op, 5);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 4);
    world_end(&w);
}

/* 4.3, n > op + 1: nothing is appended over a gap, or acknowledged; the gap is closed. */
Test(rule_4_3, gap_is_closed_before_anything_is_acknowledged)
{
    begin(3);
    struct world_answer c[3];

    for (uint32_t i = 0; i < 3; i++)
        c[i] = world_open(&w, 0, i + 1);
    world_isolate(&w, 2); /* so that replica 1 alone makes the quorum */
    ask(0, &c[0], 1, 5);
    world_drop(&w, VSR_PREPARE, 0, 1);
    ask(0, &c[1], 1, 6);
    ask(0, &c[2], 1, 7);
    world_deliver(&w, VSR_PREPARE, 0, 1);
    cr_assert_eq(replica(1)->log.op, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(answered(&c[i], 1), 0);
    cr_assert_eq(world_waiting(&w, VSR_PREPARE_OK, 1, 0), 0);
    cr_assert_eq(world_waiting(&w, VSR_GET_STATE, 1, 0), 1);
    world_settle(&w);
    cr_assert_eq(replica(1)->log.op, 6);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(answered(&c[i], 1), 1);
    world_end(&w);
}

/* 4.3: Prepares that overtake each other end up in order. */
Test(rule_4_3, overtaken_prepares_are_put_in_order)
{
    begin(3);
    struct world_answer c[5];

    for (uint32_t i = 0; i < 5; i++)
        c[i] = world_open(&w, 0, i + 1);
    for (uint32_t i = 0; i < 5; i++)
        ask(0, &c[i], 1, i);
    for (uint32_t from = 0, to = w.packet_count - 1; from < to; from++, to--) {
        struct packet swapped = w.packets[from];
        w.packets[from] = w.packets[to];
        w.packets[to] = swapped;
    }
    world_settle(&w);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(replica(i)->log.op, 10, "without waiting for a timer");
    world_converge(&w, 100);
    for (uint32_t i = 0; i < 5; i++)
        world_all_counted(&w, i, 1);
    world_end(&w);
}

/* 4.3, G5: Prepares and acknowledgements of an older view do nothing in a newer one, whoever was
 * and is its primary. */
Test(rule_4_3, late_messages_of_an_older_view_do_nothing)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    ask(0, &c, 1, 5);
    world_hold(&w, VSR_PREPARE, 0, 2);
    world_deliver(&w, VSR_PREPARE, 0, 1);
    world_hold(&w, VSR_PREPARE_OK, 1, 0);
    world_vote(&w, 3, 7); /* 0 is its primary again */
    world_cut(&w, 0, 1);
    world_drop(&w, VSR_DO_VIEW_CHANGE, 1, 0);
    world_settle(&w); /* 0 and 2 start view 3; op 2 is in it */
    cr_assert_eq(replica(0)->status, VSR_STATUS_NORMAL);
    const vsr_op commit = replica(0)->commit;
    world_deliver(&w, VSR_PREPARE, 0, 2);
    world_deliver(&w, VSR_PREPARE_OK, 1, 0);
    cr_assert_eq(replica(0)->in_view.acked[1], 0);
    cr_assert_eq(replica(0)->commit, commit);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 6.5, NORMAL in v: a StartView that comes twice would cut off what was acknowledged since. */
Test(rule_6_5, repeated_start_view_cuts_nothing_off)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    world_vote(&w, 1, 7);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, ANY, 1);
    cr_assert_geq(world_repeat(&w, VSR_START_VIEW, 1, 2), 1);
    world_hold(&w, VSR_START_VIEW, 1, 2);
    world_deliver(&w, VSR_START_VIEW, 1, 2);
    cr_assert_geq(world_repeat(&w, VSR_START_VIEW, 1, 0), 1);
    world_deliver(&w, VSR_START_VIEW, 1, 0);
    struct vsr_buffer again =
        make_start_view(w.replicas[1], 1, &(struct chain){.replica_count = 3}, 0, 0);
    BODY(again, vsr_start_view)->op = 1;
    BODY(again, vsr_start_view)->checksum = replica(1)->log.head_checksum;
    world_settle(&w);
    world_isolate(&w, 0);
    for (uint64_t number = 1; number <= 3; number++) {
        ask(1, &c, number, 5);
        world_settle(&w);
        cr_assert_eq(answered(&c, number), 1);
    }
    cr_assert_eq(world_say(&w, 2, again), VSR_DROP_STARTED_VIEW);
    cr_assert_eq(replica(2)->log.op, 4);
    world_heal(&w);
    world_isolate(&w, 1); /* 2 alone has what was acknowledged */
    world_change_view(&w, 2, 5);
    cr_assert_eq(replica(2)->log.op, 4);
    world_heal(&w);
    world_converge(&w, 500);
    world_all_counted(&w, 5, 3);
    world_end(&w);
}

/* 6.5, v < view: a StartView that was overtaken by a later view. */
Test(rule_6_5, overtaken_start_view_is_dropped)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    world_vote(&w, 1, 7);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, ANY, 1);
    cr_assert_geq(world_hold(&w, VSR_START_VIEW, 1, ANY), 2);
    world_settle(&w);
    world_change_view(&w, 2, 7);
    ask(2, &c, 1, 5);
    world_settle(&w);
    world_deliver(&w, VSR_START_VIEW, 1, ANY);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(replica(i)->view, 2);
        cr_assert_eq(replica(i)->log.op, 2);
    }
    world_end(&w);
}

/* 6.5, v > view, shorter: the old primary's tail that nobody else has goes. */
Test(rule_6_5, old_primary_drops_what_nobody_else_has)
{
    begin(3);
    struct world_answer c[4];

    for (uint32_t i = 0; i < 4; i++)
        c[i] = world_open(&w, 0, i + 1);
    world_run(&w, 6);
    world_isolate(&w, 0);
    for (uint32_t i = 0; i < 3; i++)
        ask(0, &c[i], 1, 5);
    cr_assert_eq(replica(0)->log.op, 7);
    world_change_view(&w, 1, 6);
    ask(1, &c[3], 1, 6);
    world_settle(&w);
    cr_assert_eq(answered(&c[3], 1), 1);
    world_heal(&w);
    world_tick(&w, 1, w.options.resend_ticks);
    cr_assert_geq(world_waiting(&w, VSR_START_VIEW, 1, 0), 1);
    world_deliver(&w, VSR_START_VIEW, 1, 0);
    cr_assert_eq(replica(0)->log_view, 0, "not before it has the other log");
    cr_assert_eq(replica(0)->log.op, 7);
    world_settle(&w);
    cr_assert_eq(replica(0)->log.op, 5);
    cr_assert_eq(replica(0)->log.head_checksum, replica(1)->log.head_checksum);
    world_converge(&w, 200);
    world_all_counted(&w, 5, 0);
    world_all_counted(&w, 6, 1);
    world_end(&w);
}

/* 6.5, VIEW_CHANGE in v: the StartView is lost; a Prepare or a Commit tells as much. */
Test(rule_6_5, lost_start_view_is_made_up_for)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    world_vote(&w, 1, 7);
    world_deliver(&w, VSR_DO_VIEW_CHANGE, ANY, 1);
    world_drop(&w, VSR_START_VIEW, 1, 2);
    world_settle(&w);
    cr_assert_eq(replica(2)->status, VSR_STATUS_VIEW_CHANGE);
    ask(1, &c, 1, 5);
    world_deliver(&w, VSR_PREPARE, 1, 2);
    cr_assert_eq(replica(2)->status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(replica(2)->log.op, 1, "not appended: its tail might be stale");
    cr_assert_eq(world_waiting(&w, VSR_GET_STATE, 2, 1), 1);
    world_settle(&w);
    cr_assert_eq(replica(2)->status, VSR_STATUS_NORMAL);
    cr_assert_eq(replica(2)->log.op, 2);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}

/* 6.5, VIEW_CHANGE and catching up: the StartView of a still later view takes its place. */
Test(rule_6_5, later_start_view_while_catching_up)
{
    begin(5);
    struct world_answer c = world_open(&w, 0, 1);

    world_isolate(&w, 4);
    world_change_view(&w, 1, 0xf);
    ask(1, &c, 1, 5);
    world_settle(&w);
    world_heal(&w);
    world_tick(&w, 1, w.options.resend_ticks);
    world_deliver(&w, VSR_START_VIEW, 1, 4);
    cr_assert_eq(replica(4)->view, 1);
    cr_assert_eq(world_hold(&w, VSR_GET_STATE, 4, 1), 1);
    world_isolate(&w, 4);
    world_change_view(&w, 2, 0xf);
    ask(2, &c, 2, 5);
    world_settle(&w);
    world_heal(&w);
    world_tick(&w, 2, w.options.resend_ticks);
    world_deliver(&w, VSR_START_VIEW, 2, 4);
    cr_assert_eq(replica(4)->view, 2);
    cr_assert_eq(replica(4)->log_view, 0);
    world_deliver(&w, VSR_GET_STATE, 4, 1); /* the old question: of an older view */
    world_settle(&w);
    cr_assert_eq(replica(4)->status, VSR_STATUS_NORMAL);
    cr_assert_eq(replica(4)->log.op, 3);
    world_converge(&w, 100);
    world_all_counted(&w, 5, 2);
    world_end(&w);
}

/* 6.5, G4, RECOVERING: a StartView is no way back in. */
Test(rule_6_5, start_view_does_not_reach_a_recovering_replica)
{
    begin(3);
    struct world_answer c = world_open(&w, 0, 1);

    world_crash(&w, 2);
    world_recover(&w, 2);
    world_hold(&w, VSR_RECOVERY, 2, ANY);
    world_vote(&w, 1, 3);
    world_settle(&w);
    world_deliver(&w, VSR_START_VIEW, 1, 2);
    cr_assert_eq(replica(2)->status, VSR_STATUS_RECOVERING);
    cr_assert_eq(replica(2)->view, 0);
    ask(1, &c, 1, 5);
    world_settle(&w);
    cr_assert_eq(replica(2)->log.op, 0);
    world_deliver(&w, VSR_RECOVERY, 2, ANY);
    world_converge(&w, 200);
    world_all_counted(&w, 5, 1);
    world_end(&w);
}
