/**
 * From one view's log to the next one's. DESIGN.md, "Rules", 6.3 and 6.4; what follows is in
 * rules_start_view.c.
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_6_3);
LEAK_CHECKED_SUITE(rule_6_4);

/** Replica 1 of 3 with the first `op` entries; then `view` is to be started by it. */
static struct fixture *primary_elect(const struct chain *c, vsr_op op, vsr_op commit, vsr_view view)
{
    struct fixture *f = fixture_of(3, 1);

    chain_feed(f, c, op, commit);
    leave(f, view);
    return f;
}

/** What leaves only when a view has started. */
static uint32_t claims(const struct fixture *f)
{
    return fixture_sent_count(f, VSR_START_VIEW) + fixture_sent_count(f, VSR_PREPARE) +
           fixture_sent_count(f, VSR_COMMIT) + fixture_sent_count(f, VSR_NEW_STATE) +
           fixture_sent_count(f, VSR_REPLY);
}

/* 6.3: v < view: dropped, and a NORMAL replica says what the view is. */
Test(rule_6_3, old_do_view_change_is_dropped)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 0);

    fixture_message(f, make_start_view(f, 5, &c, 0, 0));
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 0, 4, 0, &c, 0, 0)),
                 VSR_DROP_STALE_VIEW);
    cr_assert_eq(receivers(f, VSR_PONG), 1u << 0);
    leave(f, 7);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 0, 4, 0, &c, 0, 0)),
                 VSR_DROP_STALE_VIEW);
    cr_assert_eq(f->sent_count, 0);
    cr_assert(!f->r->in_view.logs[0].is_here);
    fixture_end(f);
}

/* 6.3: v > view: the view is joined, by its primary and by the others. */
Test(rule_6_3, do_view_change_of_a_higher_view_is_joined)
{
    struct chain c = chain_make(5, 0);

    for (uint32_t replica = 0; replica < 5; replica++) {
        if (replica == 3) continue;
        struct fixture *f = fixture_of(5, replica);
        cr_assert_eq(fixture_message(f, make_do_view_change(f, 3, 6, 0, &c, 0, 0)),
                     replica == 1 ? VSR_DROP_NONE : VSR_DROP_NOT_PRIMARY);
        cr_assert_eq(seen(f).view, 6);
        cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
        cr_assert_eq(f->superblock.view, 6);
        cr_assert_eq(SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change)->header.view, 6);
        cr_assert_eq(f->r->in_view.logs[3].is_here, replica == 1);
        fixture_end(f);
    }
}

/* 6.3: v == view and NORMAL: the primary sends StartView to the sender, a backup nothing. */
Test(rule_6_3, late_do_view_change_is_answered_with_start_view)
{
    struct chain c = chain_make(3, 2);
    struct fixture *f = primary_elect(&c, 2, 0, 1);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 2, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 0, 1, 0, &c, 1, 0)),
                 VSR_DROP_STARTED_VIEW);
    cr_assert_eq(receivers(f, VSR_START_VIEW), 1u << 0);
    cr_assert(chain_is_log(&c, f, 2));
    fixture_free(f);

    f = fixture_of(3, 2);
    fixture_message(f, make_start_view(f, 1, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 0, 1, 0, &c, 0, 0)),
                 VSR_DROP_STARTED_VIEW);
    cr_assert_eq(f->sent_count, 0);
    chain_free(&c);
    fixture_end(f);
}

/* G1: fields that do not fit. */
Test(rule_6_3, malformed_do_view_change_is_dropped)
{
    struct chain c = chain_make(3, 2);
    struct fixture *f = fixture_of(3, 1);

    cr_assert_eq(fixture_message(f, make_do_view_change(f, 2, 1, 1, &c, 2, 0)), VSR_DROP_MALFORMED);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 2, 1, 2, &c, 2, 0)), VSR_DROP_MALFORMED);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 1, 2)), VSR_DROP_MALFORMED);
    struct vsr_buffer b = make_do_view_change(f, 2, 1, 0, &c, 1, 1);
    BODY(b, vsr_do_view_change)->log_start = 2;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
    cr_assert_eq(seen(f).view, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4 guard: Qv distinct senders; the same one twice counts once. */
Test(rule_6_4, start_needs_distinct_senders)
{
    struct chain c = chain_make(5, 0);
    struct fixture *f = fixture_of(5, 1);

    leave(f, 1);
    for (int i = 0; i < 4; i++)
        fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    fixture_message(f, make_do_view_change(f, 4, 1, 0, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_end(f);
}

/* 6.4 guard: the own DoViewChange is among them, and it waits for the view to be durable. */
Test(rule_6_4, start_needs_the_own_log)
{
    struct chain c = chain_make(5, 0);
    struct fixture *f = fixture_of(5, 1);

    f->holds_persist = true;
    leave(f, 1);
    for (uint32_t from = 2; from <= 4; from++)
        fixture_message(f, make_do_view_change(f, from, 1, 0, &c, 0, 0));
    cr_assert(!f->r->in_view.is_log_selected);
    f->holds_persist = false;
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_end(f);
}

/* 6.4 guard: DoViewChanges of an earlier view are forgotten; counting them loses data. */
Test(rule_6_4, logs_of_an_earlier_view_do_not_count)
{
    struct chain c = chain_make(5, 0);
    struct fixture *f = fixture_of(5, 1);

    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 0, 0));
    leave(f, 6);
    fixture_message(f, make_do_view_change(f, 3, 6, 0, &c, 0, 0));
    cr_assert(!f->r->in_view.is_log_selected);
    fixture_message(f, make_do_view_change(f, 4, 6, 0, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).view, 6);
    fixture_end(f);
}

/* 6.4.1: the log of the highest log_view is taken, and among those the longest. */
Test(rule_6_4, logs_are_ranked_by_log_view_then_op)
{
    static const struct {
        vsr_view log_view[2];
        vsr_op op[2];
        uint32_t winner; /* 1: we, with log_view 0 and op 5 */
    } cases[] = {
        {{0, 0}, {4, 5}, 1}, {{0, 0}, {6, 5}, 2}, {{0, 0}, {6, 7}, 4}, {{3, 0}, {2, 9}, 2},
        {{3, 2}, {2, 9}, 2}, {{2, 3}, {9, 2}, 4}, {{4, 4}, {6, 7}, 4}, {{4, 4}, {7, 7}, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chain c = chain_make(5, 9);
        struct fixture *f = fixture_of(5, 1);
        chain_feed(f, &c, 5, 2);
        leave(f, 6);
        fixture_message(f,
                        make_do_view_change(f, 2, 6, cases[i].log_view[0], &c, cases[i].op[0], 2));
        fixture_message(f,
                        make_do_view_change(f, 4, 6, cases[i].log_view[1], &c, cases[i].op[1], 2));
        cr_assert(f->r->in_view.is_log_selected);
        const uint32_t winner = cases[i].winner;
        const vsr_op op = winner == 1 ? 5 : cases[i].op[winner == 2 ? 0 : 1];
        if (op <= 5) {
            cr_assert(chain_is_log(&c, f, op), "case %zu", i); /* ours, or a part of it */
        } else {
            cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << winner, "case %zu", i);
            cr_assert_eq(f->r->transfer.target, op, "case %zu", i);
        }
        chain_free(&c);
        fixture_end(f);
    }
}

/* 6.4.2: the commit number is the highest of all, not the winner's. */
Test(rule_6_4, commit_is_the_highest_heard)
{
    struct chain c = chain_make(5, 6);
    struct fixture *f = fixture_of(5, 1);

    chain_feed(f, &c, 5, 2);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 4));
    fixture_message(f, make_do_view_change(f, 3, 1, 0, &c, 5, 3));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).commit, 4);
    cr_assert_eq(seen(f).applied, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.2: a chosen log that ends before what was committed is data loss: halt, say nothing more. */
Test(rule_6_4, lost_data_halts)
{
    struct chain c = chain_make(5, 6);
    struct fixture *f = fixture_of(5, 1);

    chain_feed(f, &c, 6, 2);
    leave(f, 6);
    fixture_message(f, make_do_view_change(f, 2, 6, 0, &c, 6, 6));
    fixture_message(f, make_do_view_change(f, 3, 6, 4, &c, 5, 5));
    cr_assert(fixture_noticed(f, VSR_NOTICE_DATA_LOST));
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 3, 7, 4, &c, 5, 5)), VSR_DROP_STATUS);
    for (int i = 0; i < 200; i++) {
        fixture_tick(f);
        fixture_turn_end(f);
        cr_assert_eq(f->sent_count, 0);
    }
    cr_assert(chain_is_log(&c, f, 6));
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3, 6.4.4: a log that is not held is fetched from its holder; ours stays until all of it is
 * there, then is replaced: the extra tail goes. */
Test(rule_6_4, missing_log_is_fetched_whole_then_installed)
{
    struct chain ours = chain_make(3, 6);
    struct chain theirs = chain_fork(&ours, 4);
    struct fixture *f = primary_elect(&ours, 6, 3, 4);

    while (theirs.op < 8)
        chain_append(&theirs, 2, 0);
    fixture_message(f, make_do_view_change(f, 2, 4, 2, &theirs, 8, 3));
    const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
    cr_assert_eq(get->flags, VSR_GET_TRANSFER | VSR_GET_SELECTED);
    cr_assert_eq(get->from_op, 6);
    cr_assert_eq(get->from_checksum, chain_checksum(&ours, 6));
    cr_assert_eq(get->commit, 3);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 2);

    /* Op 6 is not theirs: the answer begins after our commit. In two parts. */
    cr_assert_eq(fixture_message(f, make_new_state(f, 2, &theirs, 3, 6, 8, 3)), VSR_DROP_NONE);
    get = SENT(f, VSR_GET_STATE, vsr_get_state);
    cr_assert_eq(get->from_op, 6);
    cr_assert_eq(get->from_checksum, chain_checksum(&theirs, 6));
    cr_assert(chain_is_log(&ours, f, 6), "nothing is cut off yet");
    cr_assert_eq(seen(f).log_view, 0);
    cr_assert_eq(fixture_message(f, make_new_state(f, 2, &theirs, 6, 8, 8, 3)), VSR_DROP_NONE);
    cr_assert(chain_is_log(&theirs, f, 8));
    cr_assert_eq(seen(f).log_view, 4);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).counters.log_transfers, 1);
    chain_free(&ours);
    chain_free(&theirs);
    fixture_end(f);
}

/* 6.4.1: a shorter log of a higher log_view replaces a longer one: replace, never merge. */
Test(rule_6_4, longer_tail_of_an_older_view_is_dropped)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = primary_elect(&c, 6, 2, 4);

    fixture_message(f, make_do_view_change(f, 2, 4, 2, &c, 4, 2));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(chain_is_log(&c, f, 4));
    cr_assert_eq(SENT(f, VSR_START_VIEW, vsr_start_view)->op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3: the choice is frozen; a better log that comes later does not change it. */
Test(rule_6_4, choice_is_frozen)
{
    struct chain c = chain_make(5, 9);
    struct fixture *f = fixture_of(5, 1);

    chain_feed(f, &c, 2, 2);
    leave(f, 6);
    fixture_message(f, make_do_view_change(f, 2, 6, 0, &c, 5, 2));
    fixture_message(f, make_do_view_change(f, 3, 6, 0, &c, 4, 2));
    const uint64_t nonce = f->r->nonce;
    fixture_message(f, make_do_view_change(f, 4, 6, 3, &c, 9, 2));
    cr_assert_eq(f->r->nonce, nonce);
    cr_assert_eq(f->r->transfer.provider, 2);
    fixture_message(f, make_new_state(f, 2, &c, 2, 5, 5, 2));
    cr_assert(chain_is_log(&c, f, 5));
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3, 6.7: the question is repeated, less and less often, under the same nonce, to the holder
 * only. */
Test(rule_6_4, question_for_the_log_is_repeated)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = primary_elect(&c, 2, 2, 4);

    fixture_message(f, make_do_view_change(f, 2, 4, 0, &c, 6, 2));
    for (int i = 0; i < 8; i++) {
        const uint64_t nonce = f->r->nonce;
        cr_assert_leq(tick_until_sent(f, VSR_GET_STATE, 1000), f->options.resend_ticks << i);
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 2);
        cr_assert_eq(f->r->nonce, nonce);
    }
    cr_assert_eq(fixture_message(f, make_new_state(f, 0, &c, 2, 6, 6, 2)), VSR_DROP_WRONG_SENDER);
    cr_assert_eq(f->r->transfer.op, 2);
    cr_assert_eq(fixture_message(f, make_new_state(f, 2, &c, 2, 6, 6, 2)), VSR_DROP_NONE);
    cr_assert(chain_is_log(&c, f, 6));
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3: whoever has the best log is heard and does not hear us. Any quorum's logs hold what is
 * committed, so the view starts without that log; it does not come back by being said again. */
Test(rule_6_4, log_that_nobody_gives_is_passed_over)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = fixture_of(3, 1);

    chain_feed(f, &c, 4, 2);
    leave(f, 4);
    fixture_message(f, make_do_view_change(f, 2, 4, 0, &c, 6, 2));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 2);
    fixture_message(f, make_do_view_change(f, 0, 4, 0, &c, 4, 2));
    for (int i = 0; i < 1000 && seen(f).status != VSR_STATUS_NORMAL; i++) {
        cr_assert_eq(seen(f).view, 4);
        fixture_message(f, make_do_view_change(f, 2, 4, 0, &c, 6, 2));
        fixture_tick(f);
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).log_view, 4);
    cr_assert(chain_is_log(&c, f, 4));
    cr_assert_eq(seen(f).counters.log_transfers, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3: a log that no longer reaches down to our commit: another one's view is better. */
Test(rule_6_4, primary_elect_behind_the_log_forfeits)
{
    for (vsr_op log_start = 2; log_start <= 3; log_start++) {
        struct chain c = chain_make(3, 9);
        struct fixture *f = primary_elect(&c, 3, 2, 4);
        struct vsr_buffer b = make_do_view_change(f, 2, 4, 2, &c, 9, 5);
        BODY(b, vsr_do_view_change)->log_start = log_start;
        fixture_message(f, b);
        const bool forfeits = log_start > 2;
        cr_assert_eq(seen(f).counters.forfeits, forfeits);
        cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), !forfeits);
        cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW_CHANGE), forfeits);
        if (forfeits)
            cr_assert_eq(SENT(f, VSR_START_VIEW_CHANGE, vsr_start_view_change)->target, 5);
        cr_assert_eq(seen(f).view, 4);
        cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
        chain_free(&c);
        fixture_end(f);
    }
}

/* 6.4.3: an answer that begins after what we hold would leave a hole. */
Test(rule_6_4, answer_that_does_not_attach_is_not_taken)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = primary_elect(&c, 3, 2, 4);

    fixture_message(f, make_do_view_change(f, 2, 4, 2, &c, 9, 5));
    cr_assert_eq(fixture_message(f, make_new_state(f, 2, &c, 5, 9, 9, 5)), VSR_DROP_STALE);
    struct vsr_buffer b = make_new_state(f, 2, &c, 5, 5, 9, 5);
    BODY(b, vsr_new_state)->is_behind = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NOT_HELD);
    cr_assert(chain_is_log(&c, f, 3));
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.4, 9.2, 9.3: log and log_view in one record; nothing of the view leaves before it is durable.
 */
Test(rule_6_4, nothing_of_the_view_leaves_before_it_is_durable)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = primary_elect(&c, 4, 2, 1);

    f->holds_persist = true;
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 3));
    cr_assert_eq(f->superblock.view, 1);
    cr_assert_eq(f->superblock.log_view, 1);
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(fixture_message(f, make_request(f, 1, 0, 4, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_get_state(f, 0, &c, 2, 2, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_prepare_ok(f, 2, 4)), VSR_DROP_STATUS);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(claims(f), 0);
        fixture_tick(f);
    }
    cr_assert_eq(seen(f).commit, 2);
    fixture_persisted(f);
    const struct vsr_start_view *start_view = SENT(f, VSR_START_VIEW, vsr_start_view);
    cr_assert_eq(start_view->header.view, 1);
    cr_assert_eq(start_view->op, 4);
    cr_assert_eq(start_view->checksum, chain_checksum(&c, 4));
    cr_assert_eq(receivers(f, VSR_START_VIEW), 0x5u);
    cr_assert(fixture_noticed(f, VSR_NOTICE_PRIMARY));
    cr_assert_eq(seen(f).commit, 3);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.5, C4: pending numbers are those of the new log: adopted requests are known, dropped ones
 * are not. */
Test(rule_6_4, pending_is_rebuilt)
{
    struct chain c = chain_make(3, 6);
    struct fixture *adopts = primary_elect(&c, 2, 2, 1);
    struct fixture *drops = primary_elect(&c, 6, 2, 4);

    fixture_message(adopts, make_do_view_change(adopts, 2, 1, 0, &c, 4, 2));
    fixture_message(adopts, make_new_state(adopts, 2, &c, 2, 4, 4, 2));
    fixture_message(adopts, make_request(adopts, 1, 0, 3, 0));
    cr_assert_eq(seen(adopts).drops[VSR_DROP_IN_LOG], 1);
    fixture_message(drops, make_do_view_change(drops, 2, 4, 2, &c, 3, 2));
    fixture_message(drops, make_request(drops, 1, 0, 2, 0));
    cr_assert_eq(seen(drops).drops[VSR_DROP_IN_LOG], 1);
    fixture_message(drops, make_prepare_ok(drops, 2, 3));
    fixture_message(drops, make_request(drops, 1, 0, 3, 0));
    fixture_turn_end(drops);
    cr_assert_eq(seen(drops).op, 4, "dropped with the tail, so it enters the log again");
    chain_free(&c);
    fixture_free(adopts);
    fixture_end(drops);
}

/* 5.2: a request of the adopted log that is not its session's next is a no-op. Once it is executed
 * nothing of it is pending, or its session would wait for it for ever. */
Test(rule_6_4, adopted_request_out_of_order_does_not_stay_pending)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 3);

    chain_feed(f, &c, 3, 3); /* requests 1 and 2 */
    fixture_message(f,
                    make_prepare(f, log_prepare(&c.entry[3]), 3, chain_checksum(&c, 3), 1, 0, 9));
    fixture_turn_end(f);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 3, 3));
    cr_assert(is_serving(f->r));
    cr_assert_eq(vsr_client_table_at(&f->r->clients, 0)->pending, 9);
    fixture_message(f, make_prepare_ok(f, 2, 4));
    cr_assert_eq(seen(f).applied, 4);
    cr_assert_eq(vsr_client_table_at(&f->r->clients, 0)->pending, 2);
    fixture_message(f, make_request(f, 1, 0, 3, 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 5, "the session goes on");
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.5: the new primary answers the clients of ops that it is the first to execute. */
Test(rule_6_4, new_primary_answers_clients)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = primary_elect(&c, 4, 2, 1);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 2));
    cr_assert_null(fixture_reply(f, 0));
    fixture_message(f, make_prepare_ok(f, 2, 4));
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->number, 2, "of op 3, the first that is not committed");
    cr_assert_eq(fixture_reply(f, 1)->number, 3);
    cr_assert_eq(seen(f).applied, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.5, 6.4.6: acknowledgements of older views never count, not even our own backups'. */
Test(rule_6_4, acknowledgements_begin_at_nought)
{
    struct fixture *f = fixture_of(3, 0);
    struct chain c = chain_make(3, 0);

    for (uint64_t i = 1; i <= 3; i++) {
        fixture_message(f, make_register(f, i));
        fixture_turn_end(f);
    }
    struct vsr_buffer late = make_prepare_ok(f, 1, 3);
    struct vsr_buffer do_view_change = make_do_view_change(f, 2, 3, 0, &c, 0, 0);
    leave(f, 3);
    fixture_message(f, do_view_change);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).op, 3);
    cr_assert_eq(f->r->in_view.view_start_op, 3);
    cr_assert_eq(fixture_message(f, late), VSR_DROP_STALE_VIEW);
    cr_assert_eq(seen(f).commit, 0);
    for (uint32_t i = 1; i < 3; i++)
        cr_assert_eq(f->r->in_view.acked[i], 0);
    fixture_message(f, make_prepare_ok(f, 1, 3));
    cr_assert_eq(seen(f).commit, 3);
    fixture_end(f);
}

/* 6.4.6: new requests are taken at once. */
Test(rule_6_4, new_primary_takes_requests)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = primary_elect(&c, 3, 3, 1);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 3, 3));
    fixture_message(f, make_request(f, 1, 0, 3, 0));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 4);
    cr_assert_eq(vsr_replica_entry(f->r, 4)->entry.view, 1);
    cr_assert_eq(vsr_replica_entry(f->r, 3)->entry.view, 0, "never rewritten");
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.6: the old primary had answered what is not executed here yet, so its client goes on: that
 * request waits for its predecessor, and is not dropped as out of order. */
Test(rule_6_4, request_after_an_adopted_one_waits)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = primary_elect(&c, 3, 2, 1);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 3, 2));
    fixture_message(f, make_request(f, 1, 0, 3, 0));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 3);
    cr_assert_eq(seen(f).drops[VSR_DROP_OUT_OF_ORDER], 0);
    fixture_message(f, make_request(f, 1, 0, 4, 0));
    fixture_message(f, make_prepare_ok(f, 2, 3));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 4);
    cr_assert_eq(seen(f).drops[VSR_DROP_OUT_OF_ORDER], 1, "the one after it");
    chain_free(&c);
    fixture_end(f);
}

/* 4.2: the state machine's clock does not run backwards from one primary to the next. */
Test(rule_6_4, timestamps_go_on_from_the_log)
{
    struct chain c = chain_make(3, 1);
    struct fixture *f = fixture_of(3, 1);

    chain_append(&c, 0, 7000);
    chain_feed(f, &c, 2, 1);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 2, 1));
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = 100});
    fixture_message(f, make_register(f, 77));
    fixture_turn_end(f);
    cr_assert_eq(vsr_replica_entry(f->r, 3)->entry.timestamp, 7000);
    chain_free(&c);
    fixture_end(f);
}
